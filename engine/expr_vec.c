/* expr_vec.c - making result vectors: typed ones, constants, and those whose type shows row by row.
 * Invariant: in a result, rows that were not computed are NULL or hold nothing of meaning, never bytes that could be followed. */
#include "expr_ops.h"

#include <string.h>

static size_t cell_bytes(uint8_t type)
{
    switch (type) {
    case VEC_MIXED:
        return sizeof(struct value);
    case VALUE_TEXT:
    case VALUE_BLOB:
    case VALUE_JSON:
    case VALUE_DECIMAL:
    case VALUE_UUID:
        return 16;
    default:
        return 8;
    }
}
_Static_assert(sizeof(struct slice) == 16 && sizeof(struct dec128) == 16, "cells of 16 bytes");

quartet_status vec_result(struct vec *v, uint8_t type, uint32_t top, struct arena *a, struct err *err)
{
    size_t rows = top > 0 ? top : 1;
    *v = (struct vec){.type = type};
    v->null = arena_alloc(a, rows);
    v->p = arena_alloc(a, rows * cell_bytes(type));
    if (v->null == NULL || v->p == NULL)
        return arena_fail(a, err);
    memset(v->null, 0, rows);
    return QUARTET_OK;
}

quartet_status vec_constant(struct vec *v, const struct value *value, struct arena *a, struct err *err)
{
    quartet_status rc = vec_result(v, value->type, 1, a, err);
    if (rc != QUARTET_OK)
        return rc;
    v->constant = true;
    v->scale = value->type == VALUE_DECIMAL ? value->scale : 0;
    if (value->type == VALUE_NULL) {
        v->has_null = true;
        v->null[0] = 1;
        v->i[0] = 0;
    } else {
        vec_put_cell(v, 0, value);
    }
    return QUARTET_OK;
}

void vec_join_nulls(struct vec *out, const struct vec *a, const struct vec *b, uint32_t top)
{
    const struct vec *sides[2] = {a, b};
    for (int s = 0; s < 2; s++) {
        const struct vec *v = sides[s];
        if (!v->has_null)
            continue;
        if (v->constant) {
            if (v->null[0] != 0) {
                memset(out->null, 1, top);
                out->has_null = true;
            }
            continue;
        }
        for (uint32_t k = 0; k < top; k++)
            out->null[k] |= v->null[k];
        out->has_null = true;
    }
}

quartet_status vout_begin(struct vec_out *o, struct vec *v, const struct batch *in, struct arena *a, struct err *err)
{
    uint32_t top = rows_top(in);
    *o = (struct vec_out){.v = v, .top = top > 0 ? top : 1, .arena = a};
    *v = (struct vec){.type = VALUE_NULL, .has_null = true};
    v->null = arena_alloc(a, o->top);
    if (v->null == NULL)
        return arena_fail(a, err);
    memset(v->null, 1, o->top);
    return QUARTET_OK;
}

/* Room for cells of a type. Zeroed: a row that nobody fills must not hold a stray pointer. */
static quartet_status cells_for(struct vec_out *o, uint8_t type, void **cells, struct err *err)
{
    *cells = arena_zalloc(o->arena, o->top, cell_bytes(type));
    return *cells != NULL ? QUARTET_OK : arena_fail(o->arena, err);
}

static quartet_status to_mixed(struct vec_out *o, struct err *err)
{
    void *cells;
    quartet_status rc = cells_for(o, VEC_MIXED, &cells, err);
    if (rc != QUARTET_OK)
        return rc;
    struct value *values = cells;
    for (uint32_t k = 0; k < o->top; k++)
        values[k] = vec_get(o->v, k);
    o->v->type = VEC_MIXED;
    o->v->scale = 0;
    o->v->v = values;
    return QUARTET_OK;
}

quartet_status vout_put(struct vec_out *o, uint32_t row, const struct value *value, struct err *err)
{
    struct vec *v = o->v;
    if (value->type == VALUE_NULL) {
        v->null[row] = 1;
        if (v->type == VEC_MIXED)
            v->v[row].type = VALUE_NULL;
        return QUARTET_OK;
    }
    if (v->type == VALUE_NULL) {
        quartet_status rc = cells_for(o, value->type, &v->p, err);
        if (rc != QUARTET_OK)
            return rc;
        v->type = value->type;
        v->scale = value->type == VALUE_DECIMAL ? value->scale : 0;
    } else if (v->type != VEC_MIXED && (v->type != value->type || (v->type == VALUE_DECIMAL && v->scale != value->scale))) {
        quartet_status rc = to_mixed(o, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    v->null[row] = 0;
    vec_put_cell(v, row, value);
    return QUARTET_OK;
}
