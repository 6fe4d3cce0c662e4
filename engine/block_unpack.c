/* block_unpack.c - one column of a block: its parts found, single values, and rows by the hundred into a vector.
 * Why it checks so much: a block is bytes from a file. column_open checks what costs nothing per row (the cells lie inside the block, type and
 *   encoding go together), the rest is checked where it is touched: offsets, numbers of a dictionary, encoded values.
 * Not here: rows, keys, records (block_read.c); writing (block_pack.c). The format: block_format.h, docs/STORAGE.md. */
#include "block_format.h"

#define REALS_AT_ONCE 256u

bool offsets_open(struct offsets *o, struct bytes_in *in, size_t count)
{
    const uint8_t *p = bytes_take(in, OFFSETS_HEAD_BYTES);
    if (p == NULL || (p[0] != 0 && (!cell_width_good(p[0]) || p[0] > 32)))
        return false;
    o->width = p[0];
    o->slope = load_le32(p + 1);
    o->low = (int32_t)load_le32(p + 5);
    o->cells = bytes_take(in, cells_bytes(count + 1, o->width));
    return !in->bad;
}

bool template_open(struct template *t, struct bytes_in *in, uint32_t length)
{
    const uint8_t *p = bytes_take(in, 1);
    if (p == NULL || *p > TEMPLATE_SEGMENTS_MAX)
        return false;
    *t = (struct template){.count = *p, .length = length};
    t->segments = bytes_take(in, (size_t)t->count * 4);
    t->text = bytes_take(in, length);
    if (in->bad)
        return false;
    uint32_t end = 0;
    for (uint32_t s = 0; s < t->count; s++) {
        uint32_t at = load_le16(t->segments + (size_t)s * 4), n = load_le16(t->segments + (size_t)s * 4 + 2);
        if (at < end || at + n > length)
            return false;
        end = at + n;
        t->varying += n;
    }
    return true;
}

static bool open_ints(struct column *c, struct bytes_in *in, uint32_t rows)
{
    const uint8_t *base = bytes_take(in, 8);
    c->base = base != NULL ? (int64_t)load_le64(base) : 0;
    c->factor = 1;
    if (c->encoding == COLUMN_TIMES) {
        const uint8_t *factor = bytes_take(in, 8);
        c->factor = factor != NULL ? load_le64(factor) : 0;
    }
    bool real = c->encoding == COLUMN_TENTHS || c->encoding == COLUMN_HALVES;
    if (!cell_width_good(c->width) || (real ? c->type != VALUE_REAL || c->scale > COLUMN_SCALE_MAX : !block_type_is_int(c->type) && c->type != VALUE_DECIMAL))
        return false;
    c->cells = bytes_take(in, cells_bytes(rows, c->width));
    return !in->bad;
}

static bool open_fixed(struct column *c, struct bytes_in *in, uint32_t rows)
{
    if (c->type != VALUE_REAL && c->type != VALUE_DECIMAL && c->type != VALUE_UUID)
        return false;
    c->cells = bytes_take(in, (size_t)rows * (c->type == VALUE_REAL ? 8 : 16));
    return !in->bad;
}

static bool open_affix(struct column *c, struct bytes_in *in, uint32_t rows)
{
    c->prefix_bytes = block_take_u16(in);
    c->suffix_bytes = block_take_u16(in);
    c->prefix = bytes_take(in, (size_t)c->prefix_bytes + c->suffix_bytes);
    return !in->bad && offsets_open(&c->offsets, in, rows);
}

/* DICT and RUNS: the values, then cells or ends. */
static bool open_values(struct column *c, struct bytes_in *in, uint32_t rows)
{
    c->count = block_take_u16(in);
    if (c->count == 0 || !offsets_open(&c->offsets, in, c->count))
        return false;
    uint64_t bytes = offsets_get(&c->offsets, c->count);
    if (bytes > in->left)
        return false;
    c->value_bytes = (size_t)bytes;
    c->values = bytes_take(in, c->value_bytes);
    if (c->encoding == COLUMN_RUNS)
        c->cells = bytes_take(in, (size_t)c->count * 4);
    else if (c->count > COLUMN_DICT_MAX || !cell_width_good(c->width) || c->width > 8)
        return false;
    else
        c->cells = bytes_take(in, cells_bytes(rows, c->width));
    return !in->bad;
}

bool column_open(const struct block *b, uint32_t entry, struct column *c)
{
    const uint8_t *dir = b->p + BLOCK_HEADER_BYTES + (size_t)entry * BLOCK_COLUMN_BYTES;
    size_t at = load_le32(dir);
    *c = (struct column){.encoding = dir[4], .type = dir[5], .scale = dir[6], .width = dir[7] & 0x7Fu};
    if (at > b->size || (c->type == VALUE_DECIMAL && c->scale > VALUE_SCALE_MAX))
        return false;
    struct bytes_in in = {.at = b->p + at, .left = b->size - at};
    if ((dir[7] & COLUMN_HAS_NULL) != 0)
        c->nulls = bytes_take(&in, ((size_t)b->rows + 7) / 8);
    bool good = true;
    switch (c->encoding) {
    case COLUMN_NONE:
    case COLUMN_ONE:
        break;
    case COLUMN_INT:
    case COLUMN_TIMES:
    case COLUMN_TENTHS:
    case COLUMN_HALVES:
        return open_ints(c, &in, b->rows);
    case COLUMN_FIXED:
        return open_fixed(c, &in, b->rows);
    case COLUMN_TEMPLATE: {
        uint32_t length = block_take_u16(&in);
        good = block_type_is_bytes(c->type) && template_open(&c->template, &in, length);
        c->cells = good ? bytes_take(&in, (size_t)b->rows * c->template.varying) : NULL;
        return good && !in.bad;
    }
    case COLUMN_AFFIX:
        good = block_type_is_bytes(c->type) && open_affix(c, &in, b->rows);
        break;
    case COLUMN_BYTES:
        good = block_type_is_bytes(c->type) && offsets_open(&c->offsets, &in, b->rows);
        break;
    case COLUMN_MIXED:
        good = c->type == VEC_MIXED && offsets_open(&c->offsets, &in, b->rows);
        break;
    case COLUMN_DICT:
    case COLUMN_RUNS:
        return c->type != VEC_MIXED && open_values(c, &in, b->rows);
    default:
        return false;
    }
    c->cells = in.at;
    c->cell_bytes = in.left;
    return good && !in.bad;
}

/* ---- single values ---- */

bool column_text_bytes(const struct column *c, uint32_t row, size_t *n)
{
    struct slice s;
    if (c->encoding == COLUMN_TEMPLATE) {
        *n = c->template.length;
        return true;
    }
    if (!offsets_piece(&c->offsets, c->cells, c->cell_bytes, row, &s))
        return false;
    *n = s.n + c->prefix_bytes + c->suffix_bytes;
    return true;
}

void column_text_build(const struct column *c, uint32_t row, uint8_t *to)
{
    if (c->encoding == COLUMN_TEMPLATE) {
        template_fill(&c->template, c->cells + (size_t)row * c->template.varying, to);
        return;
    }
    uint64_t from = offsets_get(&c->offsets, row), n = offsets_get(&c->offsets, row + 1) - from;
    memcpy(to, c->prefix, c->prefix_bytes);
    memcpy(to + c->prefix_bytes, c->cells + from, (size_t)n);
    memcpy(to + c->prefix_bytes + n, c->prefix + c->prefix_bytes, c->suffix_bytes);
}

static bool decode_typed(const struct column *c, struct bytes_in in, bool whole, struct value *out)
{
    return value_decode(&in, out) && out->type == c->type && out->scale == c->scale && (!whole || in.left == 0);
}

/* The i-th value of a dictionary, or of a run. */
static bool listed_value(const struct column *c, uint32_t i, struct value *out)
{
    struct slice s;
    return i < c->count && offsets_piece(&c->offsets, c->values, c->value_bytes, i, &s) && decode_typed(c, bytes_in(s.p, s.n), true, out);
}

static inline uint32_t run_end(const struct column *c, uint32_t run)
{
    return load_le32(c->cells + (size_t)run * 4);
}

/* The run of a row; c->count: damaged. */
static uint32_t run_of(const struct column *c, uint32_t row)
{
    uint32_t lo = 0, hi = c->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (run_end(c, mid) <= row)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void int_value(const struct column *c, uint32_t row, struct value *out)
{
    int64_t i = (int64_t)((uint64_t)c->base + cell_get(c->cells, c->width, row) * c->factor);
    if (c->encoding == COLUMN_TENTHS) {
        out->r = block_tenths(i, c->scale);
    } else if (c->encoding == COLUMN_HALVES) {
        out->r = block_halves(i, c->scale);
    } else if (c->type == VALUE_DECIMAL) {
        out->scale = c->scale;
        out->dec = (struct dec128){.lo = (uint64_t)i, .hi = i >> 63};
    } else {
        out->i = i;
    }
}

static void fixed_value(const struct column *c, uint32_t row, struct value *out)
{
    if (c->type == VALUE_REAL) {
        uint64_t bits = load_le64(c->cells + (size_t)row * 8);
        memcpy(&out->r, &bits, 8);
        return;
    }
    const uint8_t *cell = c->cells + (size_t)row * 16;
    if (c->type == VALUE_UUID) {
        memcpy(out->uuid, cell, 16);
    } else {
        out->scale = c->scale;
        out->dec = (struct dec128){.lo = load_le64(cell), .hi = (int64_t)load_le64(cell + 8)};
    }
}

static quartet_status good_or(bool good)
{
    return good ? QUARTET_OK : QUARTET_CORRUPT;
}

quartet_status column_value(const struct column *c, uint32_t row, struct arena *a, struct value *out)
{
    *out = VALUE_NULL_INIT;
    if (c->encoding == COLUMN_NONE || column_null(c, row))
        return QUARTET_OK;
    struct slice s;
    switch (c->encoding) {
    case COLUMN_ONE:
        return good_or(decode_typed(c, bytes_in(c->cells, c->cell_bytes), false, out));
    case COLUMN_DICT:
        return good_or(listed_value(c, (uint32_t)cell_get(c->cells, c->width, row), out));
    case COLUMN_RUNS:
        return good_or(listed_value(c, run_of(c, row), out));
    case COLUMN_MIXED: {
        if (!offsets_piece(&c->offsets, c->cells, c->cell_bytes, row, &s))
            return QUARTET_CORRUPT;
        struct bytes_in in = bytes_in(s.p, s.n);
        return good_or(value_decode(&in, out) && in.left == 0);
    }
    case COLUMN_BYTES:
        if (!offsets_piece(&c->offsets, c->cells, c->cell_bytes, row, &out->s))
            return QUARTET_CORRUPT;
        break;
    case COLUMN_TEMPLATE:
    case COLUMN_AFFIX: {
        size_t n;
        if (!column_text_bytes(c, row, &n))
            return QUARTET_CORRUPT;
        uint8_t *to = arena_alloc(a, n > 0 ? n : 1);
        if (to == NULL)
            return QUARTET_NOMEM;
        column_text_build(c, row, to);
        out->s = slice_of(to, n);
        break;
    }
    case COLUMN_FIXED:
        fixed_value(c, row, out);
        break;
    default:
        int_value(c, row, out);
        break;
    }
    out->type = c->type;
    return QUARTET_OK;
}

/* ---- many ---- */

static inline __attribute__((always_inline)) void unpack(const uint8_t *p, uint8_t width, uint32_t from, uint32_t n, uint64_t base, uint64_t factor,
                                                         int64_t *out)
{
    for (uint32_t k = 0; k < n; k++)
        out[k] = (int64_t)(base + cell_get(p, width, (size_t)from + k) * factor);
}

static inline __attribute__((always_inline)) void unpack_by_width(const struct column *c, uint32_t from, uint32_t n, uint64_t factor, int64_t *out)
{
    uint64_t base = (uint64_t)c->base;
    switch (c->width) { /* a loop for each, which the compiler knows the width of */
    case 1:
        unpack(c->cells, 1, from, n, base, factor, out);
        return;
    case 2:
        unpack(c->cells, 2, from, n, base, factor, out);
        return;
    case 4:
        unpack(c->cells, 4, from, n, base, factor, out);
        return;
    case 8:
        unpack(c->cells, 8, from, n, base, factor, out);
        return;
    case 16:
        unpack(c->cells, 16, from, n, base, factor, out);
        return;
    case 24:
        unpack(c->cells, 24, from, n, base, factor, out);
        return;
    case 32:
        unpack(c->cells, 32, from, n, base, factor, out);
        return;
    case 40:
        unpack(c->cells, 40, from, n, base, factor, out);
        return;
    case 48:
        unpack(c->cells, 48, from, n, base, factor, out);
        return;
    case 56:
        unpack(c->cells, 56, from, n, base, factor, out);
        return;
    default:
        unpack(c->cells, 64, from, n, base, factor, out);
        return;
    }
}

static void fill_ints(const struct column *c, uint32_t from, uint32_t n, int64_t *out)
{
    if (c->factor == 1)
        unpack_by_width(c, from, n, 1, out);
    else
        unpack_by_width(c, from, n, c->factor, out);
}

static void fill_reals(const struct column *c, uint32_t from, uint32_t n, double *out)
{
    int64_t whole[REALS_AT_ONCE];
    double by = block_pow10[c->scale], times = 1.0 / (double)(1u << c->scale); /* exact: a power of 2 */
    for (uint32_t done = 0; done < n; done += REALS_AT_ONCE) {
        uint32_t count = n - done < REALS_AT_ONCE ? n - done : REALS_AT_ONCE;
        unpack_by_width(c, from + done, count, 1, whole);
        if (c->encoding == COLUMN_TENTHS)
            for (uint32_t k = 0; k < count; k++)
                out[done + k] = (double)whole[k] / by;
        else
            for (uint32_t k = 0; k < count; k++)
                out[done + k] = (double)whole[k] * times;
    }
}

static void fill_decimals(const struct column *c, uint32_t from, uint32_t n, struct dec128 *out)
{
    for (uint32_t k = 0; k < n; k++) {
        int64_t i = (int64_t)((uint64_t)c->base + cell_get(c->cells, c->width, (size_t)from + k) * c->factor);
        out[k] = (struct dec128){.lo = (uint64_t)i, .hi = i >> 63};
    }
}

static quartet_status fill_built(const struct column *c, uint32_t from, uint32_t n, struct slice *out, struct arena *a)
{
    size_t bytes = 0;
    for (uint32_t k = 0; k < n; k++) {
        out[k].n = 0;
        if (!column_null(c, from + k) && !column_text_bytes(c, from + k, &out[k].n))
            return QUARTET_CORRUPT;
        bytes += out[k].n;
    }
    uint8_t *to = arena_alloc(a, bytes > 0 ? bytes : 1);
    if (to == NULL)
        return QUARTET_NOMEM;
    for (uint32_t k = 0; k < n; k++) {
        out[k].p = to;
        if (!column_null(c, from + k))
            column_text_build(c, from + k, to);
        to += out[k].n;
    }
    return QUARTET_OK;
}

static quartet_status fill_one(const struct column *c, uint32_t from, uint32_t n, struct vec *out, uint32_t at)
{
    struct value v, null = VALUE_NULL_INIT;
    if (!decode_typed(c, bytes_in(c->cells, c->cell_bytes), false, &v))
        return QUARTET_CORRUPT;
    for (uint32_t k = 0; k < n; k++)
        vec_put(out, at + k, column_null(c, from + k) ? &null : &v);
    return QUARTET_OK;
}

static quartet_status fill_dict(const struct column *c, uint32_t from, uint32_t n, struct vec *out, uint32_t at)
{
    struct value list[COLUMN_DICT_MAX], null = VALUE_NULL_INIT;
    for (uint32_t i = 0; i < c->count; i++)
        if (!listed_value(c, i, &list[i]))
            return QUARTET_CORRUPT;
    bool bytes = block_type_is_bytes(c->type) && c->nulls == NULL;
    if (bytes)
        memset(out->null + at, 0, n);
    for (uint32_t k = 0; k < n; k++) {
        uint64_t i = cell_get(c->cells, c->width, (size_t)from + k);
        if (i >= c->count)
            return QUARTET_CORRUPT;
        if (bytes)
            out->s[at + k] = list[i].s;
        else
            vec_put(out, at + k, column_null(c, from + k) ? &null : &list[i]);
    }
    return QUARTET_OK;
}

static quartet_status fill_runs(const struct column *c, uint32_t from, uint32_t n, struct vec *out, uint32_t at)
{
    struct value v, null = VALUE_NULL_INIT;
    uint32_t run = run_of(c, from);
    for (uint32_t k = 0; k < n; run++) {
        if (!listed_value(c, run, &v))
            return QUARTET_CORRUPT;
        for (uint32_t end = run_end(c, run); k < n && from + k < end; k++)
            vec_put(out, at + k, column_null(c, from + k) ? &null : &v);
    }
    return QUARTET_OK;
}

static void set_nulls(struct vec *out, uint32_t at, const uint8_t *bits, uint32_t from, uint32_t n)
{
    if (bits == NULL) {
        memset(out->null + at, 0, n);
        return;
    }
    uint8_t any = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint8_t bit = (uint8_t)(bits[(from + k) / 8] >> ((from + k) % 8) & 1);
        out->null[at + k] = bit;
        any |= bit;
    }
    out->has_null = out->has_null || any != 0;
    size_t cell = vec_cell_bytes(out->type);
    for (uint32_t k = 0; k < n && any != 0; k++) /* the cell beside a NULL is zero */
        if (out->null[at + k] != 0)
            memset((uint8_t *)out->p + (at + k) * cell, 0, cell);
}

quartet_status column_fill(const struct column *c, uint32_t from, uint32_t n, struct vec *out, uint32_t at, struct arena *a)
{
    quartet_status rc = QUARTET_OK;
    size_t cell = c->type == VALUE_REAL ? 8 : 16;
    switch (c->encoding) {
    case COLUMN_ONE:
        return fill_one(c, from, n, out, at);
    case COLUMN_DICT:
        return fill_dict(c, from, n, out, at);
    case COLUMN_RUNS:
        return fill_runs(c, from, n, out, at);
    case COLUMN_TENTHS:
    case COLUMN_HALVES:
        fill_reals(c, from, n, out->r + at);
        break;
    case COLUMN_FIXED:
        memcpy((uint8_t *)out->p + (size_t)at * cell, c->cells + (size_t)from * cell, (size_t)n * cell);
        break;
    case COLUMN_BYTES:
        for (uint32_t k = 0; k < n; k++)
            if (!offsets_piece(&c->offsets, c->cells, c->cell_bytes, from + k, &out->s[at + k]))
                return QUARTET_CORRUPT;
        break;
    case COLUMN_TEMPLATE:
    case COLUMN_AFFIX:
        rc = fill_built(c, from, n, out->s + at, a);
        break;
    default:
        if (c->type == VALUE_DECIMAL)
            fill_decimals(c, from, n, out->dec + at);
        else
            fill_ints(c, from, n, out->i + at);
        break;
    }
    if (rc == QUARTET_OK)
        set_nulls(out, at, c->nulls, from, n);
    return rc;
}
