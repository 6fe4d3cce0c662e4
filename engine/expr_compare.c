/* expr_compare.c - comparisons over vectors, into truth values or straight into a selection.
 * Why two forms: a WHERE clause needs no vector of ones and zeros; the selection without branches is what a scan with a filter spends its time in. */
#include "expr_ops.h"

#include "decimal.h"

#include <string.h>

#define EXACT_INT (INT64_C(1) << 53) /* every integer up to here is a double */

#define INLINE static inline __attribute__((always_inline))

/* Both operands as one kind that has a loop. */
enum kind { KIND_NONE, KIND_INT, KIND_REAL, KIND_TEXT, KIND_DECIMAL };

static bool is_int_like(uint8_t type) /* one class of its own each, compared by i */
{
    return type == VALUE_INTEGER || type == VALUE_DATE || type == VALUE_TIME || type == VALUE_TIMESTAMP;
}

/* A constant in the type of the column beside it, where that is the same number. `room` keeps its cell. */
static void adapt_constant(struct vec *c, const struct vec *column, struct dec128 *room)
{
    if (!c->constant || column->constant || c->type == column->type || c->has_null)
        return;
    if (c->type == VALUE_INTEGER && column->type == VALUE_REAL && c->i[0] >= -EXACT_INT && c->i[0] <= EXACT_INT) {
        double r = (double)c->i[0];
        memcpy(room, &r, sizeof r);
    } else if (c->type == VALUE_REAL && column->type == VALUE_INTEGER && c->r[0] >= -(double)EXACT_INT && c->r[0] <= (double)EXACT_INT &&
               (double)(int64_t)c->r[0] == c->r[0]) {
        int64_t i = (int64_t)c->r[0];
        memcpy(room, &i, sizeof i);
    } else if (c->type == VALUE_INTEGER && column->type == VALUE_DECIMAL && column->scale <= 18) {
        *room = dec_make((__int128)c->i[0] * decimal_pow10(column->scale));
        c->scale = column->scale;
    } else {
        return;
    }
    c->type = column->type;
    c->p = room;
}

/* A DECIMAL constant of another scale. */
static void adapt_scale(struct vec *c, const struct vec *column, struct dec128 *room)
{
    struct decimal d;
    bool exact;
    if (!c->constant || column->constant || c->has_null || c->type != VALUE_DECIMAL || column->type != VALUE_DECIMAL || c->scale == column->scale)
        return;
    d = (struct decimal){dec_get(c->dec[0]), c->scale};
    if (!decimal_rescale(d, column->scale, &d, &exact) || !exact)
        return;
    *room = dec_make(d.v);
    c->scale = column->scale;
    c->dec = room;
}

struct sides {
    struct vec a, b;
    struct dec128 room;
};

static void adapt(struct sides *s, const struct vec *a, const struct vec *b)
{
    s->a = *a;
    s->b = *b;
    adapt_constant(&s->a, b, &s->room); /* at most one of these four does anything */
    adapt_constant(&s->b, a, &s->room);
    adapt_scale(&s->a, b, &s->room);
    adapt_scale(&s->b, a, &s->room);
}

static enum kind kind_of(const struct expr *e, const struct vec *a, const struct vec *b)
{
    if (a->type != b->type || (a->constant && b->constant))
        return KIND_NONE;
    if (is_int_like(a->type))
        return KIND_INT;
    if (a->type == VALUE_REAL)
        return KIND_REAL;
    if ((a->type == VALUE_TEXT || a->type == VALUE_BLOB) && (e->flags & EXPR_NOCASE) == 0)
        return KIND_TEXT;
    return a->type == VALUE_DECIMAL && a->scale == b->scale ? KIND_DECIMAL : KIND_NONE;
}

INLINE bool holds_int(enum expr_op op, int64_t a, int64_t b)
{
    switch (op) {
    case EXPR_EQ:
        return a == b;
    case EXPR_NE:
        return a != b;
    case EXPR_LT:
        return a < b;
    case EXPR_LE:
        return a <= b;
    case EXPR_GT:
        return a > b;
    default:
        return a >= b;
    }
}

INLINE bool holds_real(enum expr_op op, double a, double b)
{
    switch (op) {
    case EXPR_EQ:
        return a == b;
    case EXPR_NE:
        return a != b;
    case EXPR_LT:
        return a < b;
    case EXPR_LE:
        return a <= b;
    case EXPR_GT:
        return a > b;
    default:
        return a >= b;
    }
}

INLINE bool holds_text(enum expr_op op, struct slice a, struct slice b)
{
    if (op == EXPR_EQ || op == EXPR_NE)
        return (a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0)) == (op == EXPR_EQ);
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n > 0 ? memcmp(a.p, b.p, n) : 0;
    if (c == 0)
        c = (a.n > b.n) - (a.n < b.n);
    return ops_holds(op, c);
}

INLINE bool holds_row(enum expr_op op, enum kind kind, const struct vec *a, const struct vec *b, uint32_t i, uint32_t j)
{
    switch (kind) {
    case KIND_INT:
        return holds_int(op, a->i[i], b->i[j]);
    case KIND_REAL:
        return holds_real(op, a->r[i], b->r[j]);
    case KIND_TEXT:
        return holds_text(op, a->s[i], b->s[j]);
    default: {
        __int128 x = dec_get(a->dec[i]), y = dec_get(b->dec[j]);
        return ops_holds(op, (x > y) - (x < y));
    }
    }
}

/* ---- into truth values ---- */

INLINE void truth_rows(enum expr_op op, enum kind kind, const struct batch *in, const struct vec *a, const struct vec *b, struct vec *out)
{
    const struct vec left = *a, right = *b; /* copies, so that the stores below cannot alias them */
    int64_t *r = out->i;
    if (in->sel != NULL) {
        for (uint32_t k = 0; k < in->n; k++) {
            uint32_t row = in->sel[k];
            r[row] = holds_row(op, kind, &left, &right, left.constant ? 0 : row, right.constant ? 0 : row);
        }
    } else if (right.constant) {
        for (uint32_t k = 0; k < in->n; k++)
            r[k] = holds_row(op, kind, &left, &right, k, 0);
    } else if (left.constant) {
        for (uint32_t k = 0; k < in->n; k++)
            r[k] = holds_row(op, kind, &left, &right, 0, k);
    } else {
        for (uint32_t k = 0; k < in->n; k++)
            r[k] = holds_row(op, kind, &left, &right, k, k);
    }
}

INLINE void truth_kinds(enum expr_op op, enum kind kind, const struct batch *in, const struct vec *a, const struct vec *b, struct vec *out)
{
    if (kind == KIND_INT)
        truth_rows(op, KIND_INT, in, a, b, out);
    else if (kind == KIND_REAL)
        truth_rows(op, KIND_REAL, in, a, b, out);
    else if (kind == KIND_TEXT)
        truth_rows(op, KIND_TEXT, in, a, b, out);
    else
        truth_rows(op, KIND_DECIMAL, in, a, b, out);
}

quartet_status vec_compare(const struct expr *e, const struct batch *in, const struct vec *a, const struct vec *b, struct arena *arena,
                           struct vec *out, bool *done, struct err *err)
{
    struct sides sides;
    adapt(&sides, a, b);
    a = &sides.a;
    b = &sides.b;
    enum kind kind = kind_of(e, a, b);
    *done = false;
    if (kind == KIND_NONE || e->op < EXPR_EQ || e->op > EXPR_GE)
        return QUARTET_OK;
    uint32_t top = rows_top(in);
    quartet_status rc = vec_result(out, VALUE_INTEGER, top, arena, err);
    if (rc != QUARTET_OK)
        return rc;
    vec_join_nulls(out, a, b, top);
    switch (e->op) {
    case EXPR_EQ:
        truth_kinds(EXPR_EQ, kind, in, a, b, out);
        break;
    case EXPR_NE:
        truth_kinds(EXPR_NE, kind, in, a, b, out);
        break;
    case EXPR_LT:
        truth_kinds(EXPR_LT, kind, in, a, b, out);
        break;
    case EXPR_LE:
        truth_kinds(EXPR_LE, kind, in, a, b, out);
        break;
    case EXPR_GT:
        truth_kinds(EXPR_GT, kind, in, a, b, out);
        break;
    default:
        truth_kinds(EXPR_GE, kind, in, a, b, out);
    }
    if (out->has_null)
        for (uint32_t k = 0; k < in->n; k++) {
            uint32_t row = batch_row(in, k);
            if (out->null[row] != 0)
                out->i[row] = 0;
        }
    *done = true;
    return QUARTET_OK;
}

/* ---- into a selection ---- */

/* Both ends of a closed interval at once. sel_out may be in->sel: writing never overtakes reading. */
INLINE uint32_t interval_ints(const struct batch *in, const int64_t *v, int64_t lo, int64_t hi, uint16_t *sel_out)
{
    const uint16_t *sel = in->sel;
    uint64_t width = (uint64_t)hi - (uint64_t)lo;
    uint32_t n = 0, rows = in->n;
    for (uint32_t k = 0; k < rows && sel == NULL; k++) {
        sel_out[n] = (uint16_t)k;
        n += (uint64_t)v[k] - (uint64_t)lo <= width;
    }
    for (uint32_t k = 0; k < rows && sel != NULL; k++) {
        uint32_t row = sel[k];
        sel_out[n] = (uint16_t)row;
        n += (uint64_t)v[row] - (uint64_t)lo <= width;
    }
    return n;
}

/* The ends as integers that belong to the interval. false: none does. */
static bool closed_interval(const struct expr *low, const struct expr *high, int64_t *lo, int64_t *hi)
{
    *lo = low->args[1]->u.value.i;
    *hi = high->args[1]->u.value.i;
    if (low->op == EXPR_GT && __builtin_add_overflow(*lo, 1, lo))
        return false;
    if (high->op == EXPR_LT && __builtin_sub_overflow(*hi, 1, hi))
        return false;
    return *lo <= *hi;
}

static bool int_constant_beside(const struct expr *e, enum expr_op op, enum expr_op or_op)
{
    return (e->op == op || e->op == or_op) && e->arg_count == 2 && e->args[0]->op == EXPR_COLUMN && e->args[1]->op == EXPR_CONST &&
           e->args[1]->u.value.type == VALUE_INTEGER;
}

bool vec_interval_filter(const struct expr *low, const struct expr *high, const struct batch *in, uint16_t *sel_out, uint32_t *n_out)
{
    int64_t lo, hi;
    if (!int_constant_beside(low, EXPR_GE, EXPR_GT) || !int_constant_beside(high, EXPR_LE, EXPR_LT) ||
        low->args[0]->u.column != high->args[0]->u.column)
        return false;
    const struct vec *v = &in->cols[low->args[0]->u.column];
    if (v->type != VALUE_INTEGER || v->has_null || v->constant)
        return false;
    *n_out = closed_interval(low, high, &lo, &hi) ? interval_ints(in, v->i, lo, hi, sel_out) : 0;
    return true;
}

INLINE bool row_null(const struct vec *v, uint32_t row)
{
    return v->has_null && v->null[v->constant ? 0 : row] != 0;
}

INLINE uint32_t filter_rows(enum expr_op op, enum kind kind, const struct batch *in, const struct vec *a, const struct vec *b, uint16_t *sel_out)
{
    const struct vec left = *a, right = *b;
    uint32_t n = 0, rows = in->n;
    const uint16_t *sel = in->sel; /* may be sel_out: writing never overtakes reading */
    bool plain = !left.has_null && !left.constant && right.constant && !right.has_null;
    if (plain && sel == NULL) {
        for (uint32_t row = 0; row < rows; row++) {
            sel_out[n] = (uint16_t)row;
            n += holds_row(op, kind, &left, &right, row, 0);
        }
        return n;
    }
    if (plain) {
        for (uint32_t k = 0; k < rows; k++) {
            uint32_t row = sel[k];
            sel_out[n] = (uint16_t)row;
            n += holds_row(op, kind, &left, &right, row, 0);
        }
        return n;
    }
    for (uint32_t k = 0; k < rows; k++) {
        uint32_t row = sel != NULL ? sel[k] : k;
        bool null = row_null(&left, row) || row_null(&right, row);
        sel_out[n] = (uint16_t)row;
        n += !null && holds_row(op, kind, &left, &right, left.constant ? 0 : row, right.constant ? 0 : row);
    }
    return n;
}

INLINE uint32_t filter_kinds(enum expr_op op, enum kind kind, const struct batch *in, const struct vec *a, const struct vec *b, uint16_t *sel_out)
{
    if (kind == KIND_INT)
        return filter_rows(op, KIND_INT, in, a, b, sel_out);
    if (kind == KIND_REAL)
        return filter_rows(op, KIND_REAL, in, a, b, sel_out);
    return kind == KIND_TEXT ? filter_rows(op, KIND_TEXT, in, a, b, sel_out) : filter_rows(op, KIND_DECIMAL, in, a, b, sel_out);
}

bool vec_compare_filter(const struct expr *e, const struct batch *in, const struct vec *a, const struct vec *b, uint16_t *sel_out, uint32_t *n_out)
{
    struct sides sides;
    adapt(&sides, a, b);
    a = &sides.a;
    b = &sides.b;
    enum kind kind = kind_of(e, a, b);
    if (kind == KIND_NONE)
        return false;
    switch (e->op) {
    case EXPR_EQ:
        *n_out = filter_kinds(EXPR_EQ, kind, in, a, b, sel_out);
        return true;
    case EXPR_NE:
        *n_out = filter_kinds(EXPR_NE, kind, in, a, b, sel_out);
        return true;
    case EXPR_LT:
        *n_out = filter_kinds(EXPR_LT, kind, in, a, b, sel_out);
        return true;
    case EXPR_LE:
        *n_out = filter_kinds(EXPR_LE, kind, in, a, b, sel_out);
        return true;
    case EXPR_GT:
        *n_out = filter_kinds(EXPR_GT, kind, in, a, b, sel_out);
        return true;
    case EXPR_GE:
        *n_out = filter_kinds(EXPR_GE, kind, in, a, b, sel_out);
        return true;
    default:
        return false;
    }
}
