/* exec_bound.c - the values of a bound, made into the type of their key column.
 * Why here and not in the plan: parameters and outer columns have no type before they have a value.
 * Invariant: a bound never hides a row that its condition accepts; where it may let too many
 * through, `inexact` is set. */
#include <stdlib.h>
#include <string.h>

#include "exec_internal.h"

static enum types_fit fit_value(const struct column_def *c, struct value *v, struct arena *a)
{
    struct type_decl to = {.type = c->type, .precision = c->precision, .scale = c->scale};
    return types_fit(&to, v, a);
}

static quartet_status eval(const struct expr *e, struct expr_ctx *ctx, const struct batch *in,
                           uint32_t row, struct value *out, struct err *err)
{
    if (e->op == EXPR_CONST) {
        *out = e->u.value;
        return QUARTET_OK;
    }
    return expr_value(e, ctx, in, row, out, err);
}

static int compare_values(const void *x, const void *y)
{
    return value_cmp(x, y);
}

static int compare_nocase(const void *x, const void *y)
{
    return types_compare(x, y, true);
}

static void sort_values(struct value *v, uint32_t n)
{
    for (uint32_t i = 1; i < n && n <= 16; i++) {
        struct value x = v[i];
        uint32_t k = i;
        for (; k > 0 && compare_values(&v[k - 1], &x) > 0; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
    if (n > 16)
        qsort(v, n, sizeof *v, compare_values);
}

static quartet_status bound_in(struct bound_state *b, const struct pscan *s,
                               const struct column_def *c, struct expr_ctx *ctx,
                               const struct batch *in, uint32_t row, struct err *err)
{
    uint32_t n = 0;
    b->in = arena_alloc(ctx->arena, (s->bound.in_count + 1) * sizeof *b->in);
    if (b->in == NULL)
        return arena_fail(ctx->arena, err);
    for (uint32_t i = 0; i < s->bound.in_count; i++) {
        struct value v;
        quartet_status rc = eval(s->bound.in[i], ctx, in, row, &v, err);
        if (rc == QUARTET_OK && c->type != VALUE_NULL)
            rc = types_affinity(c->type, &v, ctx->arena, err);
        if (rc != QUARTET_OK)
            return rc;
        if (v.type != VALUE_NULL && fit_value(c, &v, ctx->arena) == TYPES_FIT_EXACT)
            b->in[n++] = v;
    }
    if (c->nocase)
        qsort(b->in, n, sizeof *b->in, compare_nocase);
    else
        sort_values(b->in, n);
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (k == 0 || types_compare(&b->in[k - 1], &b->in[i], c->nocase) != 0)
            b->in[k++] = b->in[i];
    }
    if (s->reverse) {
        for (uint32_t i = 0; i < k / 2; i++) {
            struct value x = b->in[i];
            b->in[i] = b->in[k - 1 - i];
            b->in[k - 1 - i] = x;
        }
    }
    b->in_count = k;
    return QUARTET_OK;
}

/* One end of an interval. */
static quartet_status bound_end(struct bound_state *b, const struct pscan *s,
                                const struct column_def *c, bool is_lo, struct expr_ctx *ctx,
                                const struct batch *in, uint32_t row, struct err *err)
{
    struct value *v = is_lo ? &b->lo : &b->hi;
    bool open = is_lo ? s->bound.lo_open : s->bound.hi_open;
    quartet_status rc = eval(is_lo ? s->bound.lo : s->bound.hi, ctx, in, row, v, err);
    if (rc != QUARTET_OK)
        return rc;
    if (v->type == VALUE_NULL) {
        b->empty = true;
        return QUARTET_OK;
    }
    enum types_fit fit = fit_value(c, v, ctx->arena);
    if (fit == TYPES_FIT_INEXACT) {
        b->inexact = true;
        return QUARTET_OK;
    }
    if (fit == TYPES_FIT_NEVER)
        open = is_lo; /* between floor and floor + 1: above means > floor, below means <= floor */
    if (is_lo) {
        b->bound.lo = v;
        b->bound.lo_open = open;
    } else {
        b->bound.hi = v;
        b->bound.hi_open = open;
    }
    return QUARTET_OK;
}

quartet_status bound_eval(struct bound_state *b, const struct pscan *s, struct expr_ctx *ctx,
                          const struct batch *in, uint32_t row, struct err *err)
{
    const uint32_t *columns = s->index != NULL ? s->index->columns : s->table->key_columns;
    b->bound = (struct key_bound){.prefix = b->prefix, .prefix_count = s->bound.eq_count};
    b->in = NULL;
    b->in_count = b->in_at = 0;
    b->empty = b->inexact = false;
    QASSERT(s->bound.eq_count < sizeof b->prefix / sizeof b->prefix[0]);
    for (uint32_t i = 0; i < s->bound.eq_count; i++) {
        quartet_status rc = eval(s->bound.eq[i], ctx, in, row, &b->prefix[i], err);
        if (rc != QUARTET_OK)
            return rc;
        if (b->prefix[i].type == VALUE_NULL ||
            fit_value(&s->table->columns[columns[i]], &b->prefix[i], ctx->arena) != TYPES_FIT_EXACT) {
            b->empty = true;
            return QUARTET_OK;
        }
    }
    if (s->bound.in_count == 0 && s->bound.lo == NULL && s->bound.hi == NULL)
        return QUARTET_OK;
    const struct column_def *c = &s->table->columns[columns[s->bound.eq_count]];
    if (s->bound.in_count > 0) {
        quartet_status rc = bound_in(b, s, c, ctx, in, row, err);
        b->empty |= b->in_count == 0;
        if (rc == QUARTET_OK && !b->empty)
            (void)bound_next(b); /* there is one */
        return rc;
    }
    quartet_status rc = QUARTET_OK;
    if (s->bound.lo != NULL)
        rc = bound_end(b, s, c, true, ctx, in, row, err);
    if (rc == QUARTET_OK && s->bound.hi != NULL && !b->empty)
        rc = bound_end(b, s, c, false, ctx, in, row, err);
    if (rc == QUARTET_OK && s->bound.hi != NULL && b->bound.lo == NULL && !b->inexact &&
        !b->empty) {
        b->lo = VALUE_NULL_INIT; /* NULLs sort first and are below nothing: leave them out */
        b->bound.lo = &b->lo;
        b->bound.lo_open = true;
    }
    return rc;
}

bool bound_next(struct bound_state *b)
{
    if (b->in_at >= b->in_count)
        return false;
    b->prefix[b->bound.prefix_count - (b->in_at > 0 ? 1 : 0)] = b->in[b->in_at];
    if (b->in_at == 0)
        b->bound.prefix_count++;
    b->in_at++;
    return true;
}
