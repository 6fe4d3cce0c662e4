/* expr_arith.c - + - * / % over vectors of INTEGER, REAL and DECIMAL.
 * How: one loop per operator, kind of operand and shape (column or constant), made by inlining one function with those as constants; without branches
 *   inside, so that the compiler can use vector instructions. Overflow is only noted; where it was, the rows are done again one by one, which finds the
 *   row (a NULL or one that is not selected must not count) and words the error. */
#include "expr_ops.h"

#include "decimal.h"

#include <math.h>

#define INLINE static inline __attribute__((always_inline))

INLINE bool int_step(enum expr_op op, int64_t a, int64_t b, int64_t *r)
{
    switch (op) {
    case EXPR_ADD:
        return __builtin_add_overflow(a, b, r);
    case EXPR_SUB:
        return __builtin_sub_overflow(a, b, r);
    default:
        return __builtin_mul_overflow(a, b, r);
    }
}

struct int_loop {
    const int64_t *a, *b;
    int64_t *r;
    const uint16_t *sel;
    uint32_t n;
};

INLINE bool int_rows(enum expr_op op, bool ca, bool cb, const struct int_loop *l)
{
    bool bad = false;
    const int64_t *a = l->a, *b = l->b;
    int64_t *r = l->r;
    if (l->sel == NULL) {
        for (uint32_t k = 0; k < l->n; k++)
            bad |= int_step(op, a[ca ? 0 : k], b[cb ? 0 : k], &r[k]);
    } else {
        for (uint32_t k = 0; k < l->n; k++) {
            uint32_t row = l->sel[k];
            bad |= int_step(op, a[ca ? 0 : row], b[cb ? 0 : row], &r[row]);
        }
    }
    return bad;
}

INLINE bool int_shapes(enum expr_op op, bool ca, bool cb, const struct int_loop *l)
{
    if (ca)
        return int_rows(op, true, false, l);
    return cb ? int_rows(op, false, true, l) : int_rows(op, false, false, l);
}

static bool int_ops(enum expr_op op, bool ca, bool cb, const struct int_loop *l)
{
    switch (op) {
    case EXPR_ADD:
        return int_shapes(EXPR_ADD, ca, cb, l);
    case EXPR_SUB:
        return int_shapes(EXPR_SUB, ca, cb, l);
    default:
        return int_shapes(EXPR_MUL, ca, cb, l);
    }
}

struct real_loop {
    const double *a, *b;
    double *r;
    const uint16_t *sel;
    uint32_t n;
};

INLINE double real_step(enum expr_op op, double a, double b)
{
    switch (op) {
    case EXPR_ADD:
        return a + b;
    case EXPR_SUB:
        return a - b;
    case EXPR_MUL:
        return a * b;
    default:
        return a / b;
    }
}

INLINE void real_rows(enum expr_op op, bool ca, bool cb, const struct real_loop *l)
{
    const double *a = l->a, *b = l->b;
    double *r = l->r;
    if (l->sel == NULL) {
        for (uint32_t k = 0; k < l->n; k++)
            r[k] = real_step(op, a[ca ? 0 : k], b[cb ? 0 : k]);
    } else {
        for (uint32_t k = 0; k < l->n; k++) {
            uint32_t row = l->sel[k];
            r[row] = real_step(op, a[ca ? 0 : row], b[cb ? 0 : row]);
        }
    }
}

INLINE void real_shapes(enum expr_op op, bool ca, bool cb, const struct real_loop *l)
{
    if (ca)
        real_rows(op, true, false, l);
    else if (cb)
        real_rows(op, false, true, l);
    else
        real_rows(op, false, false, l);
}

static void real_ops(enum expr_op op, bool ca, bool cb, const struct real_loop *l)
{
    switch (op) {
    case EXPR_ADD:
        real_shapes(EXPR_ADD, ca, cb, l);
        break;
    case EXPR_SUB:
        real_shapes(EXPR_SUB, ca, cb, l);
        break;
    case EXPR_MUL:
        real_shapes(EXPR_MUL, ca, cb, l);
        break;
    default:
        real_shapes(EXPR_DIV, ca, cb, l);
    }
}

/* NULL rows hold 0, as everywhere. */
static void zero_nulls_int(struct vec *out, const struct batch *in)
{
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k);
        if (out->null[row] != 0)
            out->i[row] = 0;
    }
}

/* A division by zero or inf - inf gave a NaN or an infinity from nothing: NULL. */
static void real_results(struct vec *out, const struct batch *in, const struct vec *b, bool is_div)
{
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k);
        bool null = out->null[row] != 0 || isnan(out->r[row]) || (is_div && b->r[b->constant ? 0 : row] == 0);
        out->null[row] = null;
        out->has_null = out->has_null || null;
        out->r[row] = null ? 0 : out->r[row];
    }
}

static quartet_status arith_ints(const struct expr *e, const struct batch *in, const struct vec *a, const struct vec *b, struct arena *arena,
                                 struct vec *out, bool *done, struct err *err)
{
    uint32_t top = rows_top(in);
    quartet_status rc = vec_result(out, VALUE_INTEGER, top, arena, err);
    if (rc != QUARTET_OK)
        return rc;
    vec_join_nulls(out, a, b, top);
    if (e->op == EXPR_DIV || e->op == EXPR_MOD) {
        for (uint32_t k = 0; k < in->n; k++) {
            uint32_t row = batch_row(in, k);
            int64_t x = a->i[a->constant ? 0 : row], y = b->i[b->constant ? 0 : row];
            if (y == 0) {
                out->null[row] = 1;
                out->has_null = true;
            }
            if (y == -1 && x == INT64_MIN && e->op == EXPR_DIV && out->null[row] == 0)
                return QUARTET_OK; /* not done: the loop by row words the error */
            bool skip = out->null[row] != 0 || y == -1;
            int64_t q = skip ? 0 : e->op == EXPR_DIV ? x / y : x % y;
            out->i[row] = y == -1 && out->null[row] == 0 && e->op == EXPR_DIV ? -x : q;
        }
        *done = true;
        return QUARTET_OK;
    }
    struct int_loop loop = {a->i, b->i, out->i, in->sel, in->n};
    *done = !int_ops(e->op, a->constant, b->constant, &loop);
    if (out->has_null)
        zero_nulls_int(out, in);
    return QUARTET_OK;
}

/* INTEGER beside REAL. */
static quartet_status as_reals(const struct vec *v, const struct batch *in, struct arena *arena, struct vec *out, struct err *err)
{
    *out = *v;
    if (v->type == VALUE_REAL)
        return QUARTET_OK;
    uint32_t top = v->constant ? 1 : rows_top(in);
    out->type = VALUE_REAL;
    out->r = arena_alloc(arena, (top > 0 ? top : 1) * sizeof(double));
    if (out->r == NULL)
        return arena_fail(arena, err);
    if (v->constant) {
        out->r[0] = (double)v->i[0];
        return QUARTET_OK;
    }
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k);
        out->r[row] = (double)v->i[row];
    }
    return QUARTET_OK;
}

static quartet_status arith_reals(const struct expr *e, const struct batch *in, const struct vec *a, const struct vec *b, struct arena *arena,
                                  struct vec *out, bool *done, struct err *err)
{
    struct vec x, y;
    uint32_t top = rows_top(in);
    quartet_status rc = as_reals(a, in, arena, &x, err);
    if (rc == QUARTET_OK)
        rc = as_reals(b, in, arena, &y, err);
    if (rc == QUARTET_OK)
        rc = vec_result(out, VALUE_REAL, top, arena, err);
    if (rc != QUARTET_OK)
        return rc;
    vec_join_nulls(out, a, b, top);
    struct real_loop loop = {x.r, y.r, out->r, in->sel, in->n};
    real_ops(e->op, a->constant, b->constant, &loop);
    real_results(out, in, &y, e->op == EXPR_DIV);
    *done = true;
    return QUARTET_OK;
}

static __int128 dec_cell(const struct vec *v, uint32_t row)
{
    if (v->constant)
        row = 0;
    return v->type == VALUE_DECIMAL ? dec_get(v->dec[row]) : v->i[row];
}

static bool small(__int128 v) /* two such have a product within 38 digits */
{
    return v < INT64_C(1000000000000000000) && v > -INT64_C(1000000000000000000);
}

/* + and - where both have one scale, and *; numbers below 10^18, as prices are. Others are not done here. */
static quartet_status arith_decimals(const struct expr *e, const struct batch *in, const struct vec *a, const struct vec *b, struct arena *arena,
                                     struct vec *out, bool *done, struct err *err)
{
    uint32_t as = a->type == VALUE_DECIMAL ? a->scale : 0, bs = b->type == VALUE_DECIMAL ? b->scale : 0;
    uint32_t top = rows_top(in), scale = e->op == EXPR_MUL ? as + bs : as > bs ? as : bs;
    if (scale > 18 || (e->op != EXPR_ADD && e->op != EXPR_SUB && e->op != EXPR_MUL))
        return QUARTET_OK;
    quartet_status rc = vec_result(out, VALUE_DECIMAL, top, arena, err);
    if (rc != QUARTET_OK)
        return rc;
    out->scale = (uint8_t)scale;
    vec_join_nulls(out, a, b, top);
    __int128 au = e->op == EXPR_MUL ? 1 : decimal_pow10(scale - as), bu = e->op == EXPR_MUL ? 1 : decimal_pow10(scale - bs);
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k);
        __int128 x = dec_cell(a, row), y = dec_cell(b, row);
        if (!small(x) || !small(y))
            return QUARTET_OK;
        __int128 r = e->op == EXPR_MUL ? x * y : e->op == EXPR_ADD ? x * au + y * bu : x * au - y * bu;
        out->dec[row] = dec_make(out->null[row] != 0 ? 0 : r);
    }
    *done = true;
    return QUARTET_OK;
}

quartet_status vec_arith(const struct expr *e, const struct batch *in, const struct vec *a, const struct vec *b, struct arena *arena, struct vec *out,
                         bool *done, struct err *err)
{
    *done = false;
    bool a_int = a->type == VALUE_INTEGER, b_int = b->type == VALUE_INTEGER;
    bool a_real = a->type == VALUE_REAL, b_real = b->type == VALUE_REAL;
    bool a_dec = a->type == VALUE_DECIMAL, b_dec = b->type == VALUE_DECIMAL;
    if (e->op == EXPR_IDIV || (a->constant && b->constant))
        return QUARTET_OK;
    if (a_int && b_int)
        return arith_ints(e, in, a, b, arena, out, done, err);
    if ((a_int || a_real) && (b_int || b_real) && e->op != EXPR_MOD)
        return arith_reals(e, in, a, b, arena, out, done, err);
    if ((a_int || a_dec) && (b_int || b_dec))
        return arith_decimals(e, in, a, b, arena, out, done, err);
    return QUARTET_OK;
}
