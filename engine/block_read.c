/* block_read.c - blocks back into rows, records and vectors.
 * Why it checks so much: a block is bytes from a file. Its checksum tells of damage by accident; the bounds here keep even a forged
 *   block from being read past its end. block_open() checks what costs nothing per row, accessors check what they touch.
 * Not here: making blocks (block.c). The format: block_format.h, docs/STORAGE.md. */
#include "block.h"

#include <string.h>
#include <xxhash.h>

#include "block_format.h"

static quartet_status damaged(struct err *err, const char *what)
{
    return err_set(err, QUARTET_CORRUPT, "damaged block: %s", what);
}

uint64_t block_checksum(const uint8_t *p)
{
    return load_le64(p);
}

/* As bytes_take, but inlined: blocks are opened and columns found millions of times a second. */
static inline const uint8_t *take(struct bytes_in *in, size_t n)
{
    if (in->bad || n > in->left) {
        in->bad = true;
        return NULL;
    }
    const uint8_t *start = in->at;
    in->at += n;
    in->left -= n;
    return start;
}

static inline uint32_t take_u16(struct bytes_in *in)
{
    const uint8_t *p = take(in, 2);
    return p != NULL ? load_le16(p) : 0;
}

static size_t offset_width(const struct block *b)
{
    return b->wide ? 4 : 2;
}

static size_t offset_get(const struct block *b, const uint8_t *offsets, uint32_t i)
{
    return b->wide ? load_le32(offsets + (size_t)i * 4) : load_le16(offsets + (size_t)i * 2);
}

/* The i-th piece of a section of `bytes` that `offsets` cut up. */
static inline bool piece(const struct block *b, const uint8_t *offsets, const uint8_t *section, size_t bytes, uint32_t i, struct slice *out)
{
    size_t from = offset_get(b, offsets, i), to = offset_get(b, offsets, i + 1);
    if (from > to || to > bytes)
        return false;
    *out = slice_of(section + from, to - from);
    return true;
}

static void open_keys(struct block *b, struct bytes_in *in)
{
    b->prefix_len = take_u16(in);
    b->suffix_len = take_u16(in);
    b->prefix = take(in, b->prefix_len);
    b->key_offsets = NULL;
    b->suffix_bytes = (size_t)b->rows * b->suffix_len;
    if (b->suffix_len == BLOCK_VAR_SUFFIX) {
        b->key_offsets = take(in, ((size_t)b->rows + 1) * offset_width(b));
        b->suffix_bytes = b->key_offsets != NULL ? offset_get(b, b->key_offsets, b->rows) : 0;
    }
    b->suffixes = take(in, b->suffix_bytes);
}

static void open_rows(struct block *b, struct bytes_in *in, uint8_t flags)
{
    b->classes = NULL;
    b->one_class = 0;
    if ((flags & BLOCK_CLASS_EACH) != 0) {
        b->classes = take(in, b->rows);
    } else {
        const uint8_t *p = take(in, 1);
        b->one_class = p != NULL ? *p : 0;
    }
    b->stamps = b->chains = NULL;
    if (b->version_encoding == VERSIONS_ONE)
        b->stamps = take(in, 8);
    else if (b->version_encoding != VERSIONS_NONE)
        b->stamps = take(in, (size_t)b->rows * 8);
    if (b->version_encoding == VERSIONS_EACH)
        b->chains = take(in, (size_t)b->rows * 2);
    else if (b->version_encoding != VERSIONS_NONE)
        b->chains = take(in, 2);
    b->counts = (flags & BLOCK_COUNT_EACH) != 0 ? take(in, (size_t)b->rows * 2) : NULL;
    b->meta_offsets = b->metas = NULL;
    b->meta_bytes = 0;
    if ((flags & BLOCK_HAS_META) != 0) {
        b->meta_offsets = take(in, ((size_t)b->rows + 1) * offset_width(b));
        b->meta_bytes = b->meta_offsets != NULL ? offset_get(b, b->meta_offsets, b->rows) : 0;
        b->metas = take(in, b->meta_bytes);
    }
}

quartet_status block_open(struct block *b, tree_id tree, const uint8_t *p, size_t n, bool verify, struct err *err)
{
    if (n < BLOCK_HEADER_BYTES)
        return damaged(err, "too short");
    for (size_t line = 64; line < 384 && line < n; line += 64)
        __builtin_prefetch(p + line); /* directory and keys */
    size_t size = load_le32(p + 8);
    if (size != n)
        return damaged(err, "its size is wrong");
    if (verify && XXH3_64bits_withSeed(p + 8, n - 8, tree) != load_le64(p))
        return damaged(err, "its checksum is wrong");
    if (p[16] != BLOCK_FORMAT)
        return damaged(err, "unknown format");
    uint8_t flags = p[17];
    b->p = p;
    b->size = n;
    b->rows = load_le32(p + 12);
    b->cols = load_le16(p + 18);
    b->wide = (flags & BLOCK_WIDE) != 0;
    b->all_live = (flags & BLOCK_ALL_LIVE) != 0;
    b->full_rows = (flags & BLOCK_COUNT_EACH) == 0;
    b->version_encoding = p[20];
    size_t keys_at = load_le32(p + 24), rows_at = load_le32(p + 28);
    if (b->rows == 0 || b->rows > BLOCK_ROWS_MAX || b->cols > ROW_COLUMNS_MAX || b->version_encoding > VERSIONS_EACH ||
        keys_at != BLOCK_HEADER_BYTES + (size_t)b->cols * BLOCK_COLUMN_BYTES || rows_at < keys_at || rows_at > n)
        return damaged(err, "impossible header");
    struct bytes_in in = bytes_in(p + keys_at, rows_at - keys_at);
    open_keys(b, &in);
    if (in.bad)
        return damaged(err, "keys past its end");
    in = bytes_in(p + rows_at, n - rows_at);
    open_rows(b, &in, flags);
    if (in.bad)
        return damaged(err, "rows past its end");
    return QUARTET_OK;
}

uint8_t block_class(const struct block *b, uint32_t row)
{
    return b->classes != NULL ? b->classes[row] : b->one_class;
}

bool block_suffix(const struct block *b, uint32_t row, struct slice *out)
{
    QASSERT(row < b->rows);
    if (b->key_offsets != NULL)
        return piece(b, b->key_offsets, b->suffixes, b->suffix_bytes, row, out);
    *out = slice_of(b->suffixes + (size_t)row * b->suffix_len, b->suffix_len);
    return true;
}

bool block_key(const struct block *b, uint32_t row, struct buf *out)
{
    struct slice suffix;
    if (!block_suffix(b, row, &suffix))
        return false;
    buf_put(out, b->prefix, b->prefix_len);
    buf_put(out, suffix.p, suffix.n);
    return true;
}

/* The first eight bytes as a number that sorts as they do, padded with zeros: where two differ, so do the keys, and in the same way. `roomy`: eight
 * bytes can be read there. */
static inline uint64_t head_of(const uint8_t *p, size_t n, bool roomy)
{
    uint64_t h = 0;
    if (roomy && n > 0)
        return n >= 8 ? load_be64(p) : load_be64(p) >> (64 - 8 * n) << (64 - 8 * n);
    for (size_t i = 0; i < n && i < 8; i++)
        h |= (uint64_t)p[i] << (56 - 8 * i);
    return h;
}

/* Keys of one length are often evenly spread: guess the row, and where the guess is right leave a few rows to search instead of all, each of which may
 * be a cache miss. */
static inline void narrow(const struct block *b, uint64_t head, uint32_t *lo, uint32_t *hi)
{
    const uint8_t *end = b->p + b->size;
    size_t n = b->suffix_len;
    if (n == 0 || (size_t)(end - (b->suffixes + (b->rows - 1) * n)) < 8)
        return;
    uint64_t first = head_of(b->suffixes, n, true), last = head_of(b->suffixes + (b->rows - 1) * n, n, true);
    if (head <= first || head >= last)
        return;
    uint32_t guess = (uint32_t)((double)(head - first) / (double)(last - first) * (double)(b->rows - 1));
    uint32_t from = guess > 1 ? guess - 1 : 0, to = guess + 2 < b->rows ? guess + 2 : b->rows - 1;
    if (from > to || head_of(b->suffixes + from * n, n, true) >= head || head_of(b->suffixes + to * n, n, true) <= head)
        return;
    *lo = from + 1;
    *hi = to; /* row `to` is past the key, so the first at or after it is there at the latest */
}

bool block_find(const struct block *b, struct slice key, uint32_t *row, bool *exact)
{
    *exact = false;
    size_t shared = key.n < b->prefix_len ? key.n : b->prefix_len;
    int c = shared > 0 ? memcmp(key.p, b->prefix, shared) : 0;
    if (c != 0 || key.n < b->prefix_len) {
        *row = c > 0 ? b->rows : 0;
        return true;
    }
    struct slice rest = slice_of(key.p + b->prefix_len, key.n - b->prefix_len);
    uint64_t head = head_of(rest.p, rest.n, rest.n >= 8);
    uint32_t lo = 0, hi = b->rows;
    if (b->key_offsets == NULL && b->rows > 2)
        narrow(b, head, &lo, &hi);
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct slice s;
        if (!block_suffix(b, mid, &s))
            return false;
        uint64_t h = head_of(s.p, s.n, (size_t)(b->p + b->size - s.p) >= 8);
        c = h != head ? (h < head ? -1 : 1) : slice_cmp(s, rest);
        if (c < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
            *exact = *exact || c == 0;
        }
    }
    *row = lo;
    return true;
}

/* A column of the directory, with its payload's parts found and bounds checked. */
struct column {
    uint8_t encoding, type, scale, width;
    const uint8_t *nulls;   /* NULL: none */
    const uint8_t *cells;   /* ONE: the encoded value */
    size_t cell_bytes;      /* what is left from cells on */
    const uint8_t *offsets; /* BYTES, MIXED */
    int64_t base;
};

static bool open_fixed(const struct block *b, struct column *c, struct bytes_in *in)
{
    if (c->encoding == COLUMN_INT) {
        const uint8_t *base = take(in, 8);
        c->base = base != NULL ? (int64_t)load_le64(base) : 0;
        if (!block_type_is_int(c->type) || (c->width != 1 && c->width != 2 && c->width != 4 && c->width != 8))
            return false;
    } else if (!(c->type == VALUE_REAL && c->width == 8) && !((c->type == VALUE_DECIMAL || c->type == VALUE_UUID) && c->width == 16)) {
        return false;
    }
    c->cells = take(in, (size_t)b->rows * c->width);
    return !in->bad;
}

static bool open_column(const struct block *b, uint32_t column, struct column *c)
{
    const uint8_t *dir = b->p + BLOCK_HEADER_BYTES + (size_t)column * BLOCK_COLUMN_BYTES;
    size_t at = load_le32(dir);
    *c = (struct column){.encoding = dir[4], .type = dir[5], .scale = dir[6], .width = dir[7] & 0x7Fu};
    if (at > b->size || c->encoding > COLUMN_MIXED || (c->type == VALUE_DECIMAL && c->scale > 38))
        return false;
    struct bytes_in in = bytes_in(b->p + at, b->size - at);
    if ((dir[7] & COLUMN_HAS_NULL) != 0)
        c->nulls = take(&in, ((size_t)b->rows + 7) / 8);
    switch (c->encoding) {
    case COLUMN_INT:
    case COLUMN_FIXED:
        return open_fixed(b, c, &in);
    case COLUMN_BYTES:
    case COLUMN_MIXED:
        c->offsets = take(&in, ((size_t)b->rows + 1) * offset_width(b));
        if (c->encoding == COLUMN_BYTES ? !block_type_is_bytes(c->type) : c->type != VEC_MIXED)
            return false;
        break;
    default:
        break;
    }
    c->cells = in.at;
    c->cell_bytes = in.left;
    return !in.bad;
}

static inline bool column_null(const struct column *c, uint32_t row)
{
    return c->nulls != NULL && (c->nulls[row / 8] >> (row % 8) & 1) != 0;
}

static uint64_t cell_uint(const uint8_t *p, uint8_t width)
{
    switch (width) {
    case 1:
        return *p;
    case 2:
        return load_le16(p);
    case 4:
        return load_le32(p);
    default:
        return load_le64(p);
    }
}

static bool column_value(const struct block *b, const struct column *c, uint32_t row, struct value *out)
{
    *out = VALUE_NULL_INIT;
    if (c->encoding == COLUMN_NONE || column_null(c, row))
        return true;
    struct bytes_in in;
    const uint8_t *cell = c->cells + (size_t)row * c->width;
    switch (c->encoding) {
    case COLUMN_ONE:
        in = bytes_in(c->cells, c->cell_bytes);
        return value_decode(&in, out) && out->type == c->type && out->scale == c->scale;
    case COLUMN_INT:
        out->i = (int64_t)((uint64_t)c->base + cell_uint(cell, c->width));
        break;
    case COLUMN_FIXED:
        if (c->type == VALUE_REAL) {
            memcpy(&out->r, cell, 8);
        } else if (c->type == VALUE_UUID) {
            memcpy(out->uuid, cell, 16);
        } else {
            out->scale = c->scale;
            out->dec = (struct dec128){.lo = load_le64(cell), .hi = (int64_t)load_le64(cell + 8)};
        }
        break;
    default: {
        struct slice s;
        if (!piece(b, c->offsets, c->cells, c->cell_bytes, row, &s))
            return false;
        if (c->encoding == COLUMN_MIXED) {
            in = bytes_in(s.p, s.n);
            return value_decode(&in, out) && in.left == 0;
        }
        out->s = s;
        break;
    }
    }
    out->type = c->type;
    return true;
}

static uint32_t row_count(const struct block *b, uint32_t row)
{
    if (b->counts != NULL)
        return load_le16(b->counts + (size_t)row * 2);
    uint8_t class = block_class(b, row);
    return class < BLOCK_EMPTY && (class & RECORD_LIVE) != 0 ? b->cols : 0;
}

/* All of a row but its values. */
static bool row_head(const struct block *b, uint32_t row, struct block_row *out)
{
    out->class = block_class(b, row);
    out->value_count = row_count(b, row);
    out->meta = slice_of(NULL, 0);
    out->ver = (struct ver){0};
    if (out->value_count > b->cols || (out->class >= BLOCK_EMPTY && out->value_count > 0))
        return false;
    bool simple = out->class < BLOCK_EMPTY && (out->class & RECORD_SIMPLE) != 0;
    if (simple) {
        if (b->stamps == NULL)
            return false;
        out->ver.stamp = load_le64(b->stamps + (b->version_encoding == VERSIONS_ONE ? 0 : (size_t)row * 8));
        out->ver.chain = load_le16(b->chains + (b->version_encoding == VERSIONS_EACH ? (size_t)row * 2 : 0));
    }
    return b->meta_offsets == NULL || piece(b, b->meta_offsets, b->metas, b->meta_bytes, row, &out->meta);
}

/* Ask for the cells of a row before they are needed: a block that is not in the processor's cache costs one wait then, not one a column. */
static inline void prefetch_cell(const struct block *b, uint32_t row, uint32_t column)
{
    const uint8_t *dir = b->p + BLOCK_HEADER_BYTES + (size_t)column * BLOCK_COLUMN_BYTES;
    size_t width = dir[4] == COLUMN_BYTES || dir[4] == COLUMN_MIXED ? offset_width(b) : dir[7] & 0x7Fu;
    size_t at = load_le32(dir) + (size_t)row * width;
    if (at < b->size)
        __builtin_prefetch(b->p + at);
}

quartet_status block_record(const struct block *b, uint32_t row, struct buf *out, struct err *err)
{
    QASSERT(row < b->rows);
    struct block_row head;
    for (uint32_t i = 0; i < b->cols; i++)
        prefetch_cell(b, row, i);
    if (!row_head(b, row, &head))
        return damaged(err, "a row's head");
    if ((head.class & BLOCK_EMPTY) != 0)
        return QUARTET_OK;
    if ((head.class & BLOCK_RAW) != 0) {
        buf_put(out, head.meta.p, head.meta.n);
        return buf_check(out, err);
    }
    /* The values stand last in a record: its head first, then they one by one. */
    struct record_view view = {.flags = head.class, .ver = head.ver, .meta = head.meta, .value_count = head.value_count};
    record_put(out, &view);
    for (uint32_t i = 0; i < head.value_count; i++) {
        struct column c;
        struct value v;
        if (!open_column(b, i, &c) || !column_value(b, &c, row, &v))
            return damaged(err, "a row's values");
        value_encode(out, &v);
    }
    return buf_check(out, err);
}

quartet_status block_values(const struct block *b, uint32_t row, const uint16_t *columns, uint32_t n, const struct value *missing, struct value *out,
                            bool *live, struct err *err)
{
    QASSERT(row < b->rows);
    for (uint32_t i = 0; i < n; i++)
        if (columns[i] < b->cols)
            prefetch_cell(b, row, columns[i]);
    uint8_t class = block_class(b, row);
    *live = block_class_live(class);
    if (!*live)
        return QUARTET_OK;
    uint32_t count = row_count(b, row);
    if (count > b->cols || (class & BLOCK_RAW) != 0)
        return damaged(err, "a row's head");
    for (uint32_t i = 0; i < n; i++) {
        struct column c;
        if (columns[i] >= count)
            out[i] = missing != NULL ? missing[i] : VALUE_NULL_INIT;
        else if (!open_column(b, columns[i], &c) || !column_value(b, &c, row, &out[i]))
            return damaged(err, "a row's values");
    }
    return QUARTET_OK;
}

quartet_status block_row_get(const struct block *b, uint32_t row, struct block_row *out, struct arena *a, struct err *err)
{
    QASSERT(row < b->rows);
    struct slice suffix;
    if (!row_head(b, row, out) || !block_suffix(b, row, &suffix))
        return damaged(err, "a row's head");
    uint8_t *key = arena_alloc(a, b->prefix_len + suffix.n + 1);
    if (key == NULL)
        return arena_fail(a, err);
    memcpy(key, b->prefix, b->prefix_len);
    memcpy(key + b->prefix_len, suffix.p, suffix.n);
    out->key = slice_of(key, b->prefix_len + suffix.n);
    out->bytes = out->key.n + out->meta.n + 4;
    out->values = NULL;
    if (out->value_count == 0)
        return QUARTET_OK;
    out->values = arena_alloc(a, out->value_count * sizeof *out->values);
    if (out->values == NULL)
        return arena_fail(a, err);
    for (uint32_t i = 0; i < out->value_count; i++) {
        struct column c;
        struct value *v = &out->values[i];
        if (!open_column(b, i, &c) || !column_value(b, &c, row, v))
            return damaged(err, "a row's values");
        out->bytes += v->type == VALUE_NULL ? 1 : block_type_is_bytes(v->type) ? v->s.n + 3 : 9;
    }
    return QUARTET_OK;
}

/* Make room in the vector's type for cells of `type`; what it held so far stays. */
static void vec_make_type(struct vec *v, uint32_t rows, uint8_t type, uint8_t scale)
{
    if (type == VALUE_NULL || v->type == VEC_MIXED || (v->type == type && v->scale == scale))
        return;
    if (v->type == VALUE_NULL) {
        v->type = type;
        v->scale = scale;
        if (type == VEC_MIXED)
            for (uint32_t k = 0; k < rows; k++)
                v->v[k] = VALUE_NULL_INIT;
        else
            memset(v->p, 0, rows * vec_cell_bytes(type));
        return;
    }
    vec_to_mixed(v, rows, v->p);
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
}

static void fill_ints(const struct column *c, uint32_t from, uint32_t n, int64_t *out)
{
    uint64_t base = (uint64_t)c->base;
    const uint8_t *p = c->cells + (size_t)from * c->width;
    switch (c->width) {
    case 1:
        for (uint32_t k = 0; k < n; k++)
            out[k] = (int64_t)(base + p[k]);
        break;
    case 2:
        for (uint32_t k = 0; k < n; k++)
            out[k] = (int64_t)(base + load_le16(p + (size_t)k * 2));
        break;
    case 4:
        for (uint32_t k = 0; k < n; k++)
            out[k] = (int64_t)(base + load_le32(p + (size_t)k * 4));
        break;
    default:
        for (uint32_t k = 0; k < n; k++)
            out[k] = (int64_t)(base + load_le64(p + (size_t)k * 8));
        break;
    }
}

/* Copy cells that need no look at each row; false: the column is not of that kind. */
static bool fill_fast(const struct block *b, const struct column *c, uint32_t from, uint32_t n, struct vec *out, uint32_t at)
{
    if (out->type != c->type)
        return false;
    switch (c->encoding) {
    case COLUMN_INT:
        fill_ints(c, from, n, out->i + at);
        break;
    case COLUMN_FIXED:
        memcpy((uint8_t *)out->p + (size_t)at * c->width, c->cells + (size_t)from * c->width, (size_t)n * c->width);
        break;
    case COLUMN_BYTES:
        for (uint32_t k = 0; k < n; k++)
            if (!piece(b, c->offsets, c->cells, c->cell_bytes, from + k, &out->s[at + k]))
                return false;
        break;
    case COLUMN_ONE: {
        struct value v, null = VALUE_NULL_INIT;
        if (!column_value(b, &(struct column){.encoding = COLUMN_ONE, .type = c->type, .scale = c->scale, .cells = c->cells,
                                              .cell_bytes = c->cell_bytes}, 0, &v))
            return false;
        for (uint32_t k = 0; k < n; k++)
            vec_put(out, at + k, column_null(c, from + k) ? &null : &v);
        return true;
    }
    default:
        return false;
    }
    set_nulls(out, at, c->nulls, from, n);
    if (c->nulls == NULL || c->encoding == COLUMN_FIXED)
        return true;
    for (uint32_t k = 0; k < n; k++) { /* the cell beside a NULL is zero */
        if (out->null[at + k] == 0)
            continue;
        if (c->encoding == COLUMN_INT)
            out->i[at + k] = 0;
        else
            out->s[at + k] = slice_of(NULL, 0);
    }
    return true;
}

static void put_any(struct vec *out, uint32_t row, const struct value *v)
{
    if (v->type != VALUE_NULL && !vec_fits(out, v))
        vec_make_type(out, row, v->type, v->type == VALUE_DECIMAL ? v->scale : 0);
    vec_put(out, row, v);
}

void block_vec_put(struct vec *out, uint32_t row, const struct value *v)
{
    put_any(out, row, v);
}

quartet_status block_column(const struct block *b, uint32_t column, uint32_t from, uint32_t n, struct vec *out, uint32_t at,
                            const struct value *missing, struct err *err)
{
    QASSERT(from + n <= b->rows);
    QASSERT(at + n <= BATCH_ROWS_MAX);
    struct column c = {.encoding = COLUMN_NONE};
    if (column < b->cols && !open_column(b, column, &c))
        return damaged(err, "a column");
    struct value absent = missing != NULL ? *missing : VALUE_NULL_INIT;
    bool plain = column < b->cols && b->full_rows && b->all_live;
    if (plain && c.encoding != COLUMN_NONE && c.encoding != COLUMN_MIXED) {
        vec_make_type(out, at, c.type, c.scale);
        if (fill_fast(b, &c, from, n, out, at))
            return QUARTET_OK;
    }
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = from + k;
        struct value v = VALUE_NULL_INIT;
        if (plain || column < row_count(b, row)) {
            if (!column_value(b, &c, row, &v))
                return damaged(err, "a value");
        } else if (block_class_live(block_class(b, row))) {
            v = absent;
        }
        put_any(out, at + k, &v);
    }
    return QUARTET_OK;
}
