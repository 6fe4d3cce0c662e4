/* expr_ops.h - the operators on single values, and on constants; the loops over vectors fall back to them. Inside engine/expr*.c only. */
#ifndef ENGINE_EXPR_OPS_H
#define ENGINE_EXPR_OPS_H

#include "expr.h"

/* Results may point into the operands or the arena. Errors have no offset yet: expr_at puts it. */
quartet_status ops_arith(enum expr_op op, const struct value *a, const struct value *b, struct value *out, struct err *err); /* ADD .. IDIV */
quartet_status ops_bits(enum expr_op op, const struct value *a, const struct value *b, struct value *out);
quartet_status ops_concat(const struct value *a, const struct value *b, struct arena *arena, struct value *out, struct err *err);
quartet_status ops_negate(const struct value *v, struct value *out, struct err *err);
quartet_status ops_json_get(const struct value *doc, const struct value *path, bool as_text, struct arena *arena, struct value *out,
                            struct err *err); /* func_json.c */
/* EQ .. GE: 1, 0 or -1 for NULL. IS and IS_NOT: 1 or 0. */
int ops_compare(enum expr_op op, const struct value *a, const struct value *b, bool nocase);
enum expr_op ops_inverse(uint8_t op); /* what holds where this does not and neither side is NULL; EXPR_NOT: there is no such operator */
static inline bool ops_holds(enum expr_op op, int order) /* EQ .. GE of a comparison's result */
{
    switch (op) {
    case EXPR_EQ:
        return order == 0;
    case EXPR_NE:
        return order != 0;
    case EXPR_LT:
        return order < 0;
    case EXPR_LE:
        return order <= 0;
    case EXPR_GT:
        return order > 0;
    default:
        return order >= 0;
    }
}
static inline struct value ops_truth(int t)
{
    return t < 0 ? VALUE_NULL_INIT : value_int(t);
}
/* One argument: NEG, POS, BITNOT, NOT, IS_NULL, NOT_NULL, IS_TRUE, IS_FALSE, AFFINITY, CAST, CONVERT. */
quartet_status ops_unary(const struct expr *e, const struct value *v, struct arena *arena, struct value *out, struct err *err);
/* Two arguments: ADD .. XOR. */
quartet_status ops_binary(const struct expr *e, const struct value *a, const struct value *b, struct arena *arena, struct value *out,
                          struct err *err);
/* LIKE and its like; pattern is e->u.pattern, or compiled here. */
quartet_status ops_like(const struct expr *e, const struct value *v, const struct value *args, struct arena *arena, struct value *out,
                        struct err *err);
quartet_status ops_like_compile(const struct expr *e, const struct value *args, struct arena *arena, struct like_pattern **out, struct err *err);
/* "overflow: a + b does not fit ..." */
quartet_status ops_overflow(const char *what, const struct value *a, const struct value *b, struct err *err);

/* Put the expression's place into an error that has none. Returns rc. */
static inline quartet_status expr_at(const struct expr *e, quartet_status rc, struct err *err)
{
    if (rc != QUARTET_OK && err->sql_offset < 0)
        err->sql_offset = e->sql_offset;
    return rc;
}

/* IN over constants (expr_in.c). */
quartet_status in_set_new(struct arena *a, struct expr *const *items, uint32_t n, bool nocase, struct in_set **out, struct err *err);
int in_set_has(const struct in_set *s, const struct value *v); /* 1, 0, -1: unknown, for a NULL is among them */
bool in_set_int(const struct in_set *s, int64_t i);
bool in_set_text(const struct in_set *s, struct slice text);
bool in_set_null(const struct in_set *s);
bool in_set_ints_only(const struct in_set *s);
bool in_set_texts_only(const struct in_set *s);

/* ---- vectors (expr_vec.c) ---- */

/* How many rows the arrays of a result must hold: 1 + the highest row that is computed. */
static inline uint32_t rows_top(const struct batch *in)
{
    if (in->n == 0)
        return 0;
    return in->sel != NULL ? (uint32_t)in->sel[in->n - 1] + 1 : in->n;
}
static inline bool vec_is_null(const struct vec *v, uint32_t row)
{
    if (v->constant)
        row = 0;
    if (v->type == VEC_MIXED)
        return v->v[row].type == VALUE_NULL;
    return v->type == VALUE_NULL || (v->has_null && v->null[row] != 0);
}

/* A result that is filled row by row, in any order; type and NULLs come as they come. */
struct vec_out {
    struct vec *v;
    uint32_t top;
    struct arena *arena;
};
quartet_status vout_begin(struct vec_out *o, struct vec *v, const struct batch *in, struct arena *a, struct err *err); /* all rows NULL */
quartet_status vout_put(struct vec_out *o, uint32_t row, const struct value *value, struct err *err);
/* A typed result: cells uninitialised, null[] all zero. */
quartet_status vec_result(struct vec *v, uint8_t type, uint32_t top, struct arena *a, struct err *err);
quartet_status vec_constant(struct vec *v, const struct value *value, struct arena *a, struct err *err);
/* null[] of a typed result from its operands' (NULL where either is). */
void vec_join_nulls(struct vec *out, const struct vec *a, const struct vec *b, uint32_t top);
/* Truth of a vector's row: 1, 0, -1. */
static inline int vec_truth(const struct vec *v, uint32_t row)
{
    if (v->constant)
        row = 0;
    if (v->type == VALUE_INTEGER)
        return v->has_null && v->null[row] != 0 ? -1 : v->i[row] != 0;
    struct value value = vec_get(v, row);
    return types_truth(&value);
}

/* Loops over typed vectors; false: these types have none, the caller goes row by row. */
quartet_status vec_arith(const struct expr *e, const struct batch *in, const struct vec *a, const struct vec *b, struct arena *arena, struct vec *out,
                         bool *done, struct err *err);
quartet_status vec_compare(const struct expr *e, const struct batch *in, const struct vec *a, const struct vec *b, struct arena *arena,
                           struct vec *out, bool *done, struct err *err);
/* The rows for which low (x >= a, x > a) and high (x <= b, x < b) hold, both of one integer column and constants. false: they are not that. */
bool vec_interval_filter(const struct expr *low, const struct expr *high, const struct batch *in, uint16_t *sel_out, uint32_t *n_out);
/* The rows for which the comparison holds. */
bool vec_compare_filter(const struct expr *e, const struct batch *in, const struct vec *a, const struct vec *b, uint16_t *sel_out, uint32_t *n_out);

/* What expr_eval and expr_value share: one row's arguments are there. */
quartet_status expr_call_values(const struct expr *e, struct expr_ctx *ctx, const struct value *args, uint32_t n, struct value *out, struct err *err);
int expr_in_values(const struct expr *e, const struct value *args, uint32_t n); /* 1, 0, -1, negation heeded */
int expr_between_values(const struct expr *e, const struct value *args);
quartet_status expr_ask(const struct expr *e, struct expr_ctx *ctx, const struct value *left, const struct batch *in, uint32_t row,
                        struct value *out, struct err *err);

/* Parts of expr_eval with files of their own. */
quartet_status eval_logic(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err); /* AND, OR */
quartet_status eval_case(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err); /* CASE, CASE_OF, COALESCE */

#endif
