/* batch.c - vectors of values: the executor's and the store's common form of a column.
 * Why: one type test per column and batch instead of one per value. A column whose rows have several types stays correct
 *   as VEC_MIXED, at the price of whole values.
 * Invariants: where null[k] is set the cell beside it is zero; a vector of type VALUE_NULL has no cells at all. */
#include "batch.h"

#include <string.h>

size_t vec_cell_bytes(uint8_t type)
{
    switch (type) {
    case VEC_MIXED:
        return sizeof(struct value);
    case VALUE_NULL:
        return 0;
    case VALUE_TEXT:
    case VALUE_BLOB:
    case VALUE_JSON:
        return sizeof(struct slice);
    case VALUE_DECIMAL:
        return sizeof(struct dec128);
    case VALUE_UUID:
        return 16;
    default:
        return 8;
    }
}

bool vec_init(struct vec *v, uint8_t type, uint32_t rows, struct arena *a)
{
    *v = (struct vec){.type = type};
    v->null = arena_zalloc(a, rows > 0 ? rows : 1, 1);
    if (v->null == NULL)
        return false;
    size_t cell = vec_cell_bytes(type);
    if (cell == 0) {
        memset(v->null, 1, rows);
        v->has_null = true;
        return true;
    }
    v->p = arena_zalloc(a, rows > 0 ? rows : 1, cell);
    return v->p != NULL;
}

static struct value typed_get(const struct vec *v, uint32_t row)
{
    struct value out = {.type = v->type};
    switch (v->type) {
    case VALUE_REAL:
        out.r = v->r[row];
        break;
    case VALUE_TEXT:
    case VALUE_BLOB:
    case VALUE_JSON:
        out.s = v->s[row];
        break;
    case VALUE_DECIMAL:
        out.scale = v->scale;
        out.dec = v->dec[row];
        break;
    case VALUE_UUID:
        memcpy(out.uuid, v->uuid[row], 16);
        break;
    default:
        out.i = v->i[row];
        break;
    }
    return out;
}

struct value vec_get(const struct vec *v, uint32_t row)
{
    if (v->constant)
        row = 0;
    if (v->type == VEC_MIXED)
        return v->v[row];
    if (v->type == VALUE_NULL || (v->has_null && v->null[row] != 0))
        return VALUE_NULL_INIT;
    return typed_get(v, row);
}

void vec_to_mixed(struct vec *v, uint32_t rows, struct value *room)
{
    QASSERT(!v->constant);
    if (v->type == VEC_MIXED)
        return;
    /* From the end, since `room` may be the memory of the narrower cells themselves. */
    for (uint32_t k = rows; k-- > 0;)
        room[k] = vec_get(v, k);
    v->type = VEC_MIXED;
    v->v = room;
}

/* Give a vector that held only NULLs the type of its first value. */
static bool vec_adopt(struct vec *v, const struct value *value, uint32_t rows_cap, struct arena *a)
{
    void *cells = arena_zalloc(a, rows_cap, vec_cell_bytes(value->type));
    if (cells == NULL)
        return false;
    v->p = cells;
    v->type = value->type;
    v->scale = value->type == VALUE_DECIMAL ? value->scale : 0;
    return true;
}

void vec_put_cell(struct vec *v, uint32_t row, const struct value *value)
{
    switch (v->type) {
    case VEC_MIXED:
        v->v[row] = *value;
        break;
    case VALUE_REAL:
        v->r[row] = value->r;
        break;
    case VALUE_TEXT:
    case VALUE_BLOB:
    case VALUE_JSON:
        v->s[row] = value->s;
        break;
    case VALUE_DECIMAL:
        v->dec[row] = value->dec;
        break;
    case VALUE_UUID:
        memcpy(v->uuid[row], value->uuid, 16);
        break;
    default:
        v->i[row] = value->i;
        break;
    }
}

void vec_put(struct vec *v, uint32_t row, const struct value *value)
{
    v->null[row] = value->type == VALUE_NULL;
    if (value->type != VALUE_NULL || v->type == VEC_MIXED) {
        vec_put_cell(v, row, value);
        return;
    }
    v->has_null = true;
    if (v->type != VALUE_NULL)
        memset((uint8_t *)v->p + row * vec_cell_bytes(v->type), 0, vec_cell_bytes(v->type));
}

bool vec_set(struct vec *v, uint32_t row, const struct value *value, uint32_t rows_cap, struct arena *a)
{
    QASSERT(row < rows_cap);
    QASSERT(!v->constant);
    if (value->type != VALUE_NULL && !vec_fits(v, value)) {
        if (v->type == VALUE_NULL) {
            if (!vec_adopt(v, value, rows_cap, a))
                return false;
        } else {
            struct value *room = arena_zalloc(a, rows_cap, sizeof *room);
            if (room == NULL)
                return false;
            for (uint32_t k = row; k < rows_cap; k++)
                room[k].type = VALUE_NULL;
            vec_to_mixed(v, row, room);
        }
    }
    vec_put(v, row, value);
    return true;
}

bool batch_init(struct batch *b, uint32_t col_count, struct arena *a)
{
    *b = (struct batch){.col_count = col_count};
    if (col_count == 0)
        return true;
    b->cols = arena_zalloc(a, col_count, sizeof *b->cols);
    if (b->cols == NULL)
        return false;
    for (uint32_t c = 0; c < col_count; c++)
        if (!vec_init(&b->cols[c], VALUE_NULL, BATCH_ROWS_MAX, a))
            return false;
    return true;
}
