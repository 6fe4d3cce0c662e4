/* expr.h - bound expressions: how the binder builds them and how the executor evaluates them, a batch at a time or for one row.
 *
 * A tree lives in the plan's arena and is not changed while it runs. Values are typed at run time: a vector has one type or is VEC_MIXED.
 * Results are indexed by row of the input batch, as its columns are: only rows of in->sel (all where it is NULL) are computed,
 * the others hold nothing of meaning. So a column reference costs nothing and CASE evaluates a branch for its rows only. */
#ifndef ENGINE_EXPR_H
#define ENGINE_EXPR_H

#include "batch.h"
#include "func.h"

enum expr_op {
    EXPR_CONST = 1,   /* u.value */
    EXPR_COLUMN,      /* u.column: position in the input batch */
    EXPR_OUTER,       /* u.outer: a column of the row that an enclosing query stands at */
    EXPR_PARAM,       /* u.param, from 1 */
    /* one argument */
    EXPR_NEG, EXPR_POS, EXPR_BITNOT, EXPR_NOT, EXPR_IS_NULL, EXPR_NOT_NULL,
    EXPR_IS_TRUE, EXPR_IS_FALSE,  /* EXPR_NEGATED: IS NOT TRUE, IS NOT FALSE */
    EXPR_AFFINITY,    /* types_affinity to u.affinity_to */
    EXPR_CAST,        /* u.cast */
    EXPR_CONVERT,     /* u.cast: strict, as for storing; u.cast.column names the column in the error */
    /* two arguments */
    EXPR_ADD, EXPR_SUB, EXPR_MUL, EXPR_DIV, EXPR_MOD, EXPR_IDIV, EXPR_CONCAT,
    EXPR_BITAND, EXPR_BITOR, EXPR_SHL, EXPR_SHR, EXPR_JSON_GET, EXPR_JSON_GET_TEXT,
    EXPR_EQ, EXPR_NE, EXPR_LT, EXPR_LE, EXPR_GT, EXPR_GE,
    EXPR_IS, EXPR_IS_NOT, /* IS [NOT] DISTINCT FROM and friends: never NULL */
    EXPR_XOR,
    /* EXPR_NEGATED: NOT ... */
    EXPR_LIKE, EXPR_ILIKE, EXPR_GLOB, EXPR_REGEXP, EXPR_SIMILAR, /* value, pattern [, escape] */
    EXPR_BETWEEN,     /* value, low, high */
    EXPR_IN,          /* value, then the list (may be empty); u.set is made by expr_in where all are constants */
    /* any number */
    EXPR_AND, EXPR_OR,
    EXPR_CASE,        /* when, then, when, then, ... [, else]: conditions */
    EXPR_CASE_OF,     /* operand, then as EXPR_CASE: compared with = */
    EXPR_COALESCE,    /* the first that is not NULL */
    EXPR_NULLIF,
    EXPR_CALL,        /* u.func */
    /* answered by ctx->host->subquery; u.subquery is the planner's own */
    EXPR_SUBQUERY,    /* scalar: the value, NULL without rows */
    EXPR_EXISTS,      /* EXPR_NEGATED heeded here: the host answers EXISTS */
    EXPR_IN_QUERY     /* args: the left side's value or values; the host answers IN with NULL logic; EXPR_NEGATED heeded here */
};

enum expr_flags {
    EXPR_NEGATED = 1,
    EXPR_NOCASE = 2,     /* comparison under NOCASE */
    EXPR_CORRELATED = 4, /* subquery nodes: must be asked for every row; without it they are asked once per evaluation */
    EXPR_NOCASE_VALUE = 8, /* the value carries COLLATE NOCASE (a column so declared, or COLLATE): what expr_binary looks at */
    EXPR_COLLATED = 16,  /* by an explicit COLLATE, which beats a column's collation */
    EXPR_OF_COLUMN = 32, /* a column, or one under + or CAST: its collation counts, BINARY too */
    EXPR_TRY = 64        /* EXPR_CAST: TRY_CAST */
};

struct expr;
struct in_set;
struct like_pattern;

struct expr {
    uint8_t op;        /* enum expr_op */
    uint8_t flags;
    uint8_t type;      /* static value type of every result that is not NULL; 0: not known before it runs */
    uint8_t affinity;  /* value type of the column or CAST that it is (VALUE_BLOB: a column without a type); 0: none */
    uint8_t scale;     /* of a column of type DECIMAL(p, s) */
    bool is_boolean;   /* BOOLEAN column, or a truth value: for result column types only */
    uint32_t arg_count;
    int64_t sql_offset; /* where the caret goes, or -1 */
    const char *literal; /* EXPR_CONST of a real literal: as written; else NULL */
    struct expr **args;
    union {
        struct value value;
        uint32_t column;
        uint32_t param;
        uint8_t affinity_to;
        struct {
            uint32_t level; /* 1: the query around this one */
            uint32_t column;
        } outer;
        struct {
            struct type_decl type;
            const char *column;
        } cast;
        const struct func *func;
        void *subquery;
        const struct in_set *set;            /* EXPR_IN; NULL: compare one by one. The list stays in args */
        const struct like_pattern *pattern;  /* EXPR_LIKE and its like with constant patterns; NULL: made when it runs */
    } u;
};

/* ---- building (in the binder). All give trees in `a`; constant parts are folded at once; a part that fails to fold (overflow) fails when it
 *      runs, if it runs. Arguments become part of the new tree. QUARTET_NOMEM, QUARTET_LIMIT, else as told. ---- */

quartet_status expr_const(struct arena *a, const struct value *v, struct expr **out, struct err *err); /* copies the value's bytes */
/* A real literal as written: where it meets a DECIMAL it is that exact decimal. */
quartet_status expr_const_real(struct arena *a, double r, const char *text, struct expr **out, struct err *err);
quartet_status expr_column(struct arena *a, uint32_t column, const struct type_decl *type, bool nocase, struct expr **out, struct err *err);
quartet_status expr_outer(struct arena *a, uint32_t level, uint32_t column, const struct type_decl *type, bool nocase, struct expr **out,
                          struct err *err);
quartet_status expr_param(struct arena *a, uint32_t number, struct expr **out, struct err *err);
/* Ops of one argument and of two. Comparisons get their collation and affinity here. */
quartet_status expr_unary(struct arena *a, enum expr_op op, struct expr *x, int64_t sql_offset, struct expr **out, struct err *err);
quartet_status expr_binary(struct arena *a, enum expr_op op, struct expr *left, struct expr *right, int64_t sql_offset, struct expr **out,
                           struct err *err);
/* Any other op with arguments: AND, OR (nested ones are merged, constants dropped; none: true or false), BETWEEN, IN, CASE, CASE_OF, COALESCE, NULLIF,
 * LIKE .... `args` is copied; flags is 0 or EXPR_NEGATED. */
quartet_status expr_nary(struct arena *a, enum expr_op op, uint8_t flags, struct expr *const *args, uint32_t n, int64_t sql_offset, struct expr **out,
                         struct err *err);
/* A call of a scalar function; lowered ones (coalesce, iif, ...) become other nodes. */
quartet_status expr_call(struct arena *a, const struct func *f, struct expr *const *args, uint32_t n, int64_t sql_offset, struct expr **out,
                         struct err *err);
quartet_status expr_cast(struct arena *a, struct expr *x, const struct type_decl *to, uint8_t flags, int64_t sql_offset, struct expr **out, struct err *err);
/* Strict conversion for INSERT and UPDATE; x itself where its static type already fits. */
quartet_status expr_convert(struct arena *a, struct expr *x, const struct type_decl *to, const char *column, struct expr **out, struct err *err);
/* COLLATE name (BINARY or NOCASE; RTRIM is refused): x, marked. QUARTET_ERROR: no such collation. */
quartet_status expr_collate(struct arena *a, struct expr *x, const char *name, int64_t sql_offset, struct expr **out, struct err *err);
/* EXPR_SUBQUERY, EXPR_EXISTS, EXPR_IN_QUERY. flags: EXPR_NEGATED, EXPR_CORRELATED. */
quartet_status expr_subquery(struct arena *a, enum expr_op op, uint8_t flags, void *subquery, struct expr *const *left, uint32_t n, int64_t sql_offset,
                             struct expr **out, struct err *err);

/* ---- looking (in the planner) ---- */

bool expr_is_const(const struct expr *e);     /* EXPR_CONST */
bool expr_is_invariant(const struct expr *e); /* no columns: one value for all rows of one run (constants, parameters, outer columns, now();
                                               * not random(), not correlated subqueries) */
bool expr_equal(const struct expr *a, const struct expr *b); /* the same tree: for GROUP BY and for common parts; false with random() or subqueries */
bool expr_equal_from(const struct expr *a, const struct expr *b, uint32_t first); /* the same where column n of a is column first + n of b */
/* Call visit for e and all below it, parents first; where it returns false the walk stops and returns false. Does not enter subqueries' plans. */
bool expr_walk(const struct expr *e, bool (*visit)(void *arg, const struct expr *e), void *arg);
/* A deep copy. map (may be NULL) is asked for every node first: a tree it returns stands instead of the node (taken as it is). */
quartet_status expr_copy(struct arena *a, const struct expr *e, struct expr *(*map)(void *arg, const struct expr *e), void *arg, struct expr **out,
                         struct err *err);
void expr_print(const struct expr *e, const char *(*column_name)(void *arg, uint32_t column), void *arg, struct buf *out); /* for EXPLAIN */

/* ---- running ---- */

struct tz; /* tz.h */
struct expr_outer_row {
    const struct batch *in;
    uint32_t row;
    const struct expr_outer_row *up; /* the next query around */
};

/* What the expression asks its statement for. Functions that are NULL make the functions that need them fail with QUARTET_ERROR. */
struct rows;
struct expr_host {
    int64_t (*now_us)(void *host_arg);
    int64_t (*session)(void *host_arg, bool last_id); /* rows changed by the statement before, or the key it was given last */
    int64_t (*stamp)(void *host_arg, bool stable); /* the newest known, or the newest stable one */
    quartet_status (*random)(void *host_arg, void *p, size_t n, struct err *err);
    /* All values of a MULTIVALUE column of the row with this key, the one that shows first; in the arena. None: there is no such row. */
    quartet_status (*siblings)(void *host_arg, uint64_t table, uint32_t column, struct slice key, struct arena *a, struct value **out, uint32_t *count,
                               struct err *err);
    /* A time zone by its name; by an empty one the session's. */
    quartet_status (*zone)(void *host_arg, struct slice name, const struct tz **out, struct err *err);
    /* RAISE() in a trigger: an enum ast_raise and its message (empty for IGNORE). Returns the error that ends the statement. */
    quartet_status (*raise)(void *host_arg, int action, struct slice message, struct err *err);
    /* The answer of a subquery node for row `row` of `in` (in NULL: no row). `left`: values of e->args (EXPR_IN_QUERY). EXISTS and IN answer
     * INTEGER 1, 0 or NULL, without EXPR_NEGATED. Bytes of *out live as long as ctx->arena's. */
    quartet_status (*subquery)(void *host_arg, const struct expr *e, struct expr_ctx *ctx, const struct value *left, const struct batch *in,
                               uint32_t row, struct value *out, struct err *err);
    /* A plain IN for all rows of `in` at once, without EXPR_NEGATED; `left`: vectors of e->args. *done false: it has to be asked row by row. May be NULL. */
    quartet_status (*in_rows)(void *host_arg, const struct expr *e, struct expr_ctx *ctx, const struct vec *left, const struct batch *in,
                              struct vec *out, bool *done, struct err *err);
    /* The rows of a plain IN's query (exec_rows.h), as the left side's columns compare with them. They last until it is asked for other outer values. May be NULL. */
    quartet_status (*in_query)(void *host_arg, const struct expr *e, const struct rows **out, struct err *err);
};

struct expr_ctx {
    struct arena *arena;        /* temporaries and results; the caller rewinds it between batches */
    const struct value *params; /* ?1 is params[0] */
    uint32_t param_count;       /* parameters past it are NULL */
    const struct expr_outer_row *outer;
    const struct expr_host *host; /* may be NULL */
    void *host_arg;
    const volatile int *interrupted; /* may be NULL; not 0: QUARTET_INTERRUPTED, looked at once per batch and in long functions */
};

/* Evaluate for the rows of `in`. *out may borrow columns of `in` and bytes of the tree; it lives as long as those and ctx->arena's contents. It may be
 * constant (struct vec). Errors carry the expression's sql_offset: QUARTET_ERROR (integer overflow, ...), QUARTET_MISMATCH, QUARTET_LIMIT, QUARTET_NOMEM. */
quartet_status expr_eval(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err);
/* The rows of `in` (of its sel) for which e is true, ascending, into sel_out[BATCH_ROWS_MAX], which may be in->sel's own memory. */
quartet_status expr_filter(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint16_t *sel_out, uint32_t *n_out, struct err *err);
/* One row, without vectors: for constants, LIMIT, keys of point lookups (in NULL: no columns), and rows that come one at a time. */
quartet_status expr_value(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint32_t row, struct value *out, struct err *err);

/* What comparing two values under NOCASE and grouping by it need: the text's case folded, as a slice of itself where nothing changes, else in the arena. */
quartet_status expr_casefold(struct slice s, struct arena *a, struct slice *out, struct err *err);

#endif
