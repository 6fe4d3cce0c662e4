/* exec_bound.c - the values of a bound, made into the type of their key column.
 * Why here and not in the plan: parameters and outer columns have no type before they have a value.
 * Invariant: a bound never hides a row that its condition accepts; where it may let too many
 * through, `inexact` is set. */
#include <string.h>

#include "exec_internal.h"

enum types_fit bound_fit(const struct column_def *c, struct value *v, struct arena *a)
{
    struct type_decl to = {.type = c->type, .precision = c->precision, .scale = c->scale};
    return types_fit(&to, v, a);
}

quartet_status bound_value(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint32_t row, struct value *out, struct err *err)
{
    if (e->op == EXPR_CONST) {
        *out = e->u.value;
        return QUARTET_OK;
    }
    return expr_value(e, ctx, in, row, out, err);
}

/* One end of an interval. */
static quartet_status bound_end(struct bound_state *b, const struct pscan *s,
                                const struct column_def *c, bool is_lo, struct expr_ctx *ctx,
                                const struct batch *in, uint32_t row, struct err *err)
{
    struct value *v = is_lo ? &b->lo : &b->hi;
    bool open = is_lo ? s->bound.lo_open : s->bound.hi_open;
    quartet_status rc = bound_value(is_lo ? s->bound.lo : s->bound.hi, ctx, in, row, v, err);
    if (rc != QUARTET_OK)
        return rc;
    if (v->type == VALUE_NULL) {
        b->empty = true;
        return QUARTET_OK;
    }
    enum types_fit fit = bound_fit(c, v, ctx->arena);
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
    b->lookup_count = b->lookup_at = 0;
    b->empty = b->inexact = b->whole = false;
    QASSERT(s->bound.eq_count < sizeof b->prefix / sizeof b->prefix[0]);
    for (uint32_t i = 0; i < s->bound.eq_count; i++) {
        quartet_status rc = bound_value(s->bound.eq[i], ctx, in, row, &b->prefix[i], err);
        if (rc != QUARTET_OK)
            return rc;
        if (b->prefix[i].type == VALUE_NULL ||
            bound_fit(&s->table->columns[columns[i]], &b->prefix[i], ctx->arena) != TYPES_FIT_EXACT) {
            b->empty = true;
            return QUARTET_OK;
        }
    }
    if (s->bound.set_count == 0 && s->bound.lo == NULL && s->bound.hi == NULL)
        return QUARTET_OK;
    if (s->bound.set_count > 0) {
        quartet_status rc = bound_sets(b, s, ctx, in, row, err);
        b->empty |= b->lookup_count == 0 && !b->inexact;
        if (rc == QUARTET_OK && !b->empty && !b->inexact)
            (void)bound_next(b); /* there is one */
        if (rc != QUARTET_OK || b->empty || b->inexact || (s->bound.lo == NULL && s->bound.hi == NULL))
            return rc;
    }
    const struct column_def *c = &s->table->columns[columns[s->bound.eq_count + s->bound.set_width]];
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
    if (b->lookup_at >= b->lookup_count)
        return false;
    uint32_t at = b->backwards ? b->lookup_count - 1 - b->lookup_at : b->lookup_at;
    memcpy(&b->prefix[b->step_from], &b->lookups[(size_t)at * b->width], b->width * sizeof b->prefix[0]);
    b->bound.prefix_count = b->step_from + b->width;
    b->lookup_at++;
    return true;
}
