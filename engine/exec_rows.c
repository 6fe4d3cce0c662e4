/* exec_rows.c - rows that an operator keeps.
 * Why chunks: each chunk has types of its own, so a column that turns from INTEGER to TEXT in the
 * millionth row converts one chunk and not a million cells, and growing copies nothing. Invariants:
 * chunks[0 .. count-2] are full; in a vector of type VALUE_NULL every row's null[] is 1. */
#include "exec_rows.h"

#include <string.h>

#define ROWS_FIRST_CAP 32u /* most statements of a service keep a handful of rows */

static bool type_has_bytes(uint8_t type)
{
    return type == VALUE_TEXT || type == VALUE_BLOB || type == VALUE_JSON;
}

void rows_init(struct rows *r, uint32_t col_count, struct arena *a)
{
    *r = (struct rows){.a = a, .col_count = col_count};
}

/* Room for `cap` rows where `used` are filled. */
static bool vec_grow(struct vec *v, uint32_t used, uint32_t cap, struct arena *a)
{
    size_t width = vec_cell_bytes(v->type);
    uint8_t *null = arena_alloc(a, cap);
    void *cells = width > 0 ? arena_alloc(a, width * cap) : NULL;
    if (null == NULL || (width > 0 && cells == NULL))
        return false;
    memcpy(null, v->null, used);
    memset(null + used, 0, cap - used);
    if (width > 0) {
        memcpy(cells, v->p, width * used);
        memset((uint8_t *)cells + width * used, 0, width * (cap - used));
    }
    v->null = null;
    v->p = cells;
    return true;
}

/* From "all NULL so far" to a type. */
static bool vec_adopt(struct vec *v, uint8_t type, uint8_t scale, uint32_t used, uint32_t cap,
                      struct arena *a)
{
    size_t width = vec_cell_bytes(type);
    void *cells = arena_zalloc(a, cap, width);
    if (cells == NULL)
        return false;
    v->type = type;
    v->scale = scale;
    v->p = cells;
    v->has_null = used > 0;
    if (type == VEC_MIXED) {
        for (uint32_t k = 0; k < used; k++)
            v->v[k].type = VALUE_NULL;
    }
    return true;
}

static bool rows_to_mixed(struct vec *v, uint32_t used, uint32_t cap, struct arena *a)
{
    if (v->type == VALUE_NULL)
        return vec_adopt(v, VEC_MIXED, 0, used, cap, a);
    struct value *cells = arena_zalloc(a, cap, sizeof *cells);
    if (cells == NULL)
        return false;
    for (uint32_t k = 0; k < used; k++)
        cells[k] = vec_get(v, k);
    v->type = VEC_MIXED;
    v->v = cells;
    return true;
}

static bool copy_slices(struct slice *cells, const uint8_t *null, uint32_t n, struct arena *a)
{
    size_t total = 0;
    for (uint32_t k = 0; k < n; k++)
        total += null[k] ? 0 : cells[k].n;
    uint8_t *to = arena_alloc(a, total > 0 ? total : 1);
    if (to == NULL)
        return false;
    for (uint32_t k = 0; k < n; k++) {
        if (null[k] || cells[k].n == 0)
            continue;
        memcpy(to, cells[k].p, cells[k].n);
        cells[k].p = to;
        to += cells[k].n;
    }
    return true;
}

#define PUT_CELLS(member)                                                                          \
    do {                                                                                           \
        if (src->constant) {                                                                       \
            for (uint32_t k = 0; k < n; k++)                                                       \
                dst->member[at + k] = src->member[0];                                              \
        } else if (sel == NULL) {                                                                  \
            memcpy(dst->member + at, src->member, n * sizeof dst->member[0]);                      \
        } else {                                                                                   \
            for (uint32_t k = 0; k < n; k++)                                                       \
                dst->member[at + k] = src->member[sel[k]];                                         \
        }                                                                                          \
    } while (0)

static void put_typed_cells(struct vec *dst, uint32_t at, const struct vec *src,
                            const uint16_t *sel, uint32_t n)
{
    switch (vec_cell_bytes(src->type)) {
    case sizeof(int64_t):
        PUT_CELLS(i);
        break;
    case sizeof(struct slice): /* slices, decimals and uuids alike */
        PUT_CELLS(s);
        break;
    default:
        PUT_CELLS(v);
        break;
    }
}

static quartet_status put_as_values(struct vec *dst, uint32_t at, uint32_t cap,
                                    const struct vec *src, const uint16_t *sel, uint32_t n,
                                    bool copy, struct arena *a, struct err *err)
{
    if (dst->type != VEC_MIXED && !rows_to_mixed(dst, at, cap, a))
        return arena_fail(a, err);
    for (uint32_t k = 0; k < n; k++) {
        struct value v = vec_get(src, sel != NULL ? sel[k] : k);
        if (copy && !value_copy(a, &v))
            return arena_fail(a, err);
        dst->v[at + k] = v;
        dst->null[at + k] = v.type == VALUE_NULL;
        dst->has_null |= v.type == VALUE_NULL;
    }
    return QUARTET_OK;
}

quartet_status rows_put(struct vec *dst, uint32_t at, uint32_t cap, const struct vec *src,
                        const uint16_t *sel, uint32_t n, bool copy, struct arena *a,
                        struct err *err)
{
    if (n == 0)
        return QUARTET_OK;
    if (src->type == VALUE_NULL && dst->type != VEC_MIXED) {
        memset(dst->null + at, 1, n);
        dst->has_null = true;
        return QUARTET_OK;
    }
    if (dst->type == VALUE_NULL && src->type != VEC_MIXED &&
        !vec_adopt(dst, src->type, src->scale, at, cap, a))
        return arena_fail(a, err);
    if (dst->type != src->type || dst->type == VEC_MIXED ||
        (dst->type == VALUE_DECIMAL && dst->scale != src->scale))
        return put_as_values(dst, at, cap, src, sel, n, copy, a, err);
    put_typed_cells(dst, at, src, sel, n);
    if (src->has_null) {
        for (uint32_t k = 0; k < n; k++)
            dst->null[at + k] = src->null[src->constant ? 0 : sel != NULL ? sel[k] : k];
        dst->has_null = true;
    } else {
        memset(dst->null + at, 0, n);
    }
    if (copy && type_has_bytes(dst->type) && !copy_slices(dst->s + at, dst->null + at, n, a))
        return arena_fail(a, err);
    return QUARTET_OK;
}

/* After an append: does the column still have one type? */
static void note_type(struct rows *r, uint32_t col, const struct vec *v)
{
    if (v->type == VALUE_NULL || r->types[col] == VEC_MIXED)
        return;
    if (r->types[col] == VALUE_NULL) {
        r->types[col] = v->type;
        r->scales[col] = v->scale;
    } else if (r->types[col] != v->type || r->scales[col] != v->scale) {
        r->types[col] = VEC_MIXED;
        r->scales[col] = 0;
    }
}

static quartet_status chunk_add(struct rows *r, struct err *err)
{
    if (r->types == NULL) {
        r->types = arena_alloc(r->a, r->col_count + 1);
        r->scales = arena_zalloc(r->a, r->col_count + 1, 1);
        if (r->types == NULL || r->scales == NULL)
            return arena_fail(r->a, err);
        memset(r->types, VALUE_NULL, r->col_count + 1);
    }
    if (r->chunk_count == r->chunk_cap) {
        uint32_t cap = r->chunk_cap == 0 ? 4 : r->chunk_cap * 2;
        struct rows_chunk *chunks = arena_alloc(r->a, cap * sizeof *chunks);
        if (chunks == NULL)
            return arena_fail(r->a, err);
        if (r->chunk_count > 0)
            memcpy(chunks, r->chunks, r->chunk_count * sizeof *chunks);
        r->chunks = chunks;
        r->chunk_cap = cap;
    }
    struct rows_chunk *c = &r->chunks[r->chunk_count];
    *c = (struct rows_chunk){.cap = r->chunk_count == 0 ? ROWS_FIRST_CAP : BATCH_ROWS_MAX};
    c->cols = arena_zalloc(r->a, r->col_count > 0 ? r->col_count : 1, sizeof *c->cols);
    if (c->cols == NULL)
        return arena_fail(r->a, err);
    for (uint32_t i = 0; i < r->col_count; i++) {
        c->cols[i].type = VALUE_NULL;
        c->cols[i].null = arena_zalloc(r->a, c->cap, 1);
        if (c->cols[i].null == NULL)
            return arena_fail(r->a, err);
    }
    r->chunk_count++;
    return QUARTET_OK;
}

static quartet_status chunk_grow(struct rows *r, struct rows_chunk *c, uint32_t need,
                                 struct err *err)
{
    uint32_t cap = c->cap;
    while (cap < need)
        cap *= 4;
    if (cap > BATCH_ROWS_MAX)
        cap = BATCH_ROWS_MAX;
    for (uint32_t i = 0; i < r->col_count; i++) {
        if (!vec_grow(&c->cols[i], c->n, cap, r->a))
            return arena_fail(r->a, err);
    }
    c->cap = cap;
    return QUARTET_OK;
}

quartet_status rows_append_vecs(struct rows *r, const struct vec *cols, const uint16_t *sel,
                                uint32_t n, struct err *err)
{
    uint16_t shifted[BATCH_ROWS_MAX];
    uint32_t done = 0;
    if (r->n > ROWS_NONE - 1 - n)
        return err_set(err, QUARTET_LIMIT, "more than %u rows in one operator", ROWS_NONE - 1);
    while (done < n) {
        if (r->chunk_count == 0 || r->chunks[r->chunk_count - 1].n == BATCH_ROWS_MAX) {
            quartet_status rc = chunk_add(r, err);
            if (rc != QUARTET_OK)
                return rc;
        }
        struct rows_chunk *c = &r->chunks[r->chunk_count - 1];
        uint32_t room = BATCH_ROWS_MAX - c->n;
        uint32_t take = n - done < room ? n - done : room;
        if (c->n + take > c->cap) {
            quartet_status rc = chunk_grow(r, c, c->n + take, err);
            if (rc != QUARTET_OK)
                return rc;
        }
        const uint16_t *from = sel;
        if (done > 0) {
            for (uint32_t k = 0; k < take; k++)
                shifted[k] = (uint16_t)(sel != NULL ? sel[done + k] : done + k);
            from = shifted;
        }
        for (uint32_t i = 0; i < r->col_count; i++) {
            quartet_status rc =
                rows_put(&c->cols[i], c->n, c->cap, &cols[i], from, take, true, r->a, err);
            if (rc != QUARTET_OK)
                return rc;
            note_type(r, i, &c->cols[i]);
        }
        c->n += take;
        r->n += take;
        done += take;
    }
    return QUARTET_OK;
}

quartet_status rows_append(struct rows *r, const struct batch *b, struct err *err)
{
    QASSERT(b->col_count >= r->col_count);
    return rows_append_vecs(r, b->cols, b->sel, b->n, err);
}

struct value rows_value(const struct rows *r, uint32_t row, uint32_t col)
{
    QASSERT(row < r->n);
    return vec_get(&r->chunks[row / BATCH_ROWS_MAX].cols[col], row % BATCH_ROWS_MAX);
}

bool outvec_reset(struct outvec *o, uint8_t type, uint32_t n, struct arena *a)
{
    size_t width = vec_cell_bytes(type);
    if (o->cap < n || o->width < width) {
        uint32_t cap = n > o->cap ? (n > 64 ? BATCH_ROWS_MAX : 64) : o->cap;
        QASSERT(n <= BATCH_ROWS_MAX);
        o->width = width > o->width ? width : o->width;
        o->cells = o->width > 0 ? arena_alloc(a, cap * o->width) : NULL;
        o->null = arena_alloc(a, cap);
        o->cap = cap;
        if ((o->width > 0 && o->cells == NULL) || o->null == NULL) {
            *o = (struct outvec){0};
            return false;
        }
    }
    o->v = (struct vec){.type = type, .null = o->null};
    o->v.p = o->cells;
    memset(o->null, type == VALUE_NULL ? 1 : 0, n);
    o->v.has_null = type == VALUE_NULL;
    return true;
}

#define GATHER_CELLS(member)                                                                       \
    do {                                                                                           \
        for (uint32_t k = 0; k < n; k++)                                                           \
            out->v.member[k] = src->member[idx[k]];                                                \
    } while (0)

quartet_status vec_gather(const struct vec *src, const uint16_t *idx, uint32_t n,
                          struct outvec *out, struct arena *a, struct err *err)
{
    if (src->constant) {
        out->v = *src;
        return QUARTET_OK;
    }
    if (!outvec_reset(out, src->type, n, a))
        return arena_fail(a, err);
    out->v.scale = src->scale;
    switch (vec_cell_bytes(src->type)) {
    case 0:
        return QUARTET_OK;
    case sizeof(int64_t):
        GATHER_CELLS(i);
        break;
    case sizeof(struct slice):
        GATHER_CELLS(s);
        break;
    default:
        GATHER_CELLS(v);
        break;
    }
    if (src->has_null) {
        out->v.has_null = true;
        for (uint32_t k = 0; k < n; k++)
            out->null[k] = src->null[idx[k]];
    }
    return QUARTET_OK;
}

#define GATHER_ROWS(member)                                                                        \
    do {                                                                                           \
        for (uint32_t k = 0; k < n; k++) {                                                         \
            if (ids[k] == ROWS_NONE) {                                                             \
                out->null[k] = 1;                                                                  \
                memset(&out->v.member[k], 0, sizeof out->v.member[k]);                             \
                continue;                                                                          \
            }                                                                                      \
            const struct vec *v = &r->chunks[ids[k] / BATCH_ROWS_MAX].cols[col];                   \
            uint32_t at = ids[k] % BATCH_ROWS_MAX;                                                 \
            out->null[k] = v->null[at];                                                            \
            if (v->type == type)                                                                   \
                out->v.member[k] = v->member[at];                                                  \
            else                                                                                   \
                memset(&out->v.member[k], 0, sizeof out->v.member[k]);                             \
        }                                                                                          \
    } while (0)

quartet_status rows_gather(const struct rows *r, uint32_t col, const uint32_t *ids, uint32_t n,
                           struct outvec *out, struct arena *a, struct err *err)
{
    uint8_t type = r->types != NULL ? r->types[col] : VALUE_NULL;
    if (!outvec_reset(out, type, n, a))
        return arena_fail(a, err);
    out->v.scale = r->types != NULL ? r->scales[col] : 0;
    if (type == VALUE_NULL)
        return QUARTET_OK;
    if (type == VEC_MIXED) {
        for (uint32_t k = 0; k < n; k++) {
            out->v.v[k] = ids[k] == ROWS_NONE ? VALUE_NULL_INIT : rows_value(r, ids[k], col);
            out->null[k] = out->v.v[k].type == VALUE_NULL;
            out->v.has_null |= out->null[k];
        }
        return QUARTET_OK;
    }
    if (vec_cell_bytes(type) == sizeof(int64_t))
        GATHER_ROWS(i);
    else
        GATHER_ROWS(s);
    uint8_t any = 0;
    for (uint32_t k = 0; k < n; k++)
        any |= out->null[k];
    out->v.has_null = any != 0;
    return QUARTET_OK;
}
