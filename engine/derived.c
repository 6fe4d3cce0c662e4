/* derived.c - computing derived columns: of one row's values, or of a batch.
 * Why not kept in the row: a value that was stored would be a register of its own, and two nodes that write different columns of one row would merge into a row whose
 *   stored value is that of neither.
 * Invariants: derived columns stand in table_def.derived in an order in which each reads only what stands before it.
 * Not here: how expressions are bound (catalog_derived.c). */
#include "derived.h"

#include <string.h>

#include "expr.h"

const struct derived_def *derived_of(const struct table_def *t, uint32_t column)
{
    for (uint32_t i = 0; i < t->derived_count; i++)
        if (t->derived[i].column == column)
            return &t->derived[i];
    return NULL;
}

bool derived_reads(const struct table_def *t, uint32_t column, uint32_t at)
{
    const struct derived_def *d = column == at ? NULL : derived_of(t, column);
    bool reads = column == at;
    for (uint32_t i = 0; d != NULL && i < d->read_count && !reads; i++)
        reads = d->reads[i] == at;
    return reads;
}

static quartet_status fill(const struct table_def *t, struct value *values, bool fresh, struct arena *a, struct err *err)
{
    if (t->derived_count == 0)
        return QUARTET_OK;
    struct vec *cols = arena_zalloc(a, t->column_count, sizeof *cols);
    uint8_t *nulls = arena_zalloc(a, t->column_count, 1);
    if (cols == NULL || nulls == NULL)
        return arena_fail(a, err);
    for (uint32_t i = 0; i < t->column_count; i++) {
        cols[i] = (struct vec){.type = VEC_MIXED, .null = &nulls[i], .has_null = true};
        cols[i].v = &values[i];
        nulls[i] = values[i].type == VALUE_NULL;
    }
    struct batch row = {.n = 1, .col_count = t->column_count, .cols = cols};
    struct expr_ctx ctx = {.arena = a};
    for (uint32_t i = 0; i < t->derived_count; i++) {
        const struct derived_def *d = &t->derived[i];
        struct value v = VALUE_NULL_INIT;
        quartet_status rc = d->expr != NULL ? expr_value(d->expr, &ctx, &row, 0, &v, err) : QUARTET_OK;
        if (rc != QUARTET_OK && (fresh || rc == QUARTET_NOMEM)) {
            err->sql_offset = -1; /* it points into the definition */
            err_prefix(err, t->columns[d->column].name);
            return rc;
        }
        if (rc != QUARTET_OK) {
            err_clear(err);
            v = VALUE_NULL_INIT;
        }
        values[d->column] = v;
        nulls[d->column] = v.type == VALUE_NULL;
    }
    return QUARTET_OK;
}

quartet_status derived_fill(const struct table_def *t, struct value *values, struct arena *a, struct err *err)
{
    return fill(t, values, false, a, err);
}

quartet_status derived_fill_new(const struct table_def *t, struct value *values, struct arena *a, struct err *err)
{
    return fill(t, values, true, a, err);
}

/* Row by row, where one of them cannot be computed. */
static quartet_status one_by_one(const struct derived_def *d, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    if (!vec_init(out, VALUE_NULL, in->n, ctx->arena))
        return arena_fail(ctx->arena, err);
    for (uint32_t r = 0; r < in->n; r++) {
        struct value v = VALUE_NULL_INIT;
        quartet_status rc = d->expr != NULL ? expr_value(d->expr, ctx, in, r, &v, err) : QUARTET_OK;
        if (rc == QUARTET_NOMEM)
            return rc;
        if (rc != QUARTET_OK) {
            err_clear(err);
            v = VALUE_NULL_INIT;
        }
        if (!vec_set(out, r, &v, in->n, ctx->arena))
            return arena_fail(ctx->arena, err);
    }
    return QUARTET_OK;
}

quartet_status derived_vec(const struct derived_def *d, struct vec *cols, uint32_t col_count, uint32_t rows, struct vec *out, struct arena *a, struct err *err)
{
    struct batch in = {.n = rows, .col_count = col_count, .cols = cols};
    struct expr_ctx ctx = {.arena = a};
    quartet_status rc = d->expr != NULL ? expr_eval(d->expr, &ctx, &in, out, err) : QUARTET_ERROR;
    if (rc == QUARTET_OK && !out->constant)
        return QUARTET_OK;
    if (rc == QUARTET_NOMEM)
        return rc;
    err_clear(err);
    return one_by_one(d, &ctx, &in, out, err);
}
