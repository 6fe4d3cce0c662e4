/* block.c - rows into the bytes of a block.
 * Why by column: a scan that wants one integer of sixty bytes a row touches an eighth of the memory, and cells of one type are copied,
 *   not parsed. Why per-column encodings: a column of small or equal numbers is stored in what it needs; more encodings can come
 *   without a new shape.
 * Invariants: what goes in comes out bit by bit (block_record); equal rows give equal blocks.
 * Not here: reading (block_read.c), which rows belong together (kv_merge.c). */
#include "block.h"

#include <string.h>
#include <xxhash.h>

#include "block_format.h"

quartet_status block_row_from_record(struct block_row *row, struct slice key, struct slice record, struct arena *a, struct err *err)
{
    *row = (struct block_row){.key = key, .class = BLOCK_EMPTY, .bytes = key.n + 4};
    if (record.n == 0)
        return QUARTET_OK;
    row->bytes += record.n;
    struct record_view view;
    bool good = record_view(record, &view) && view.flags < BLOCK_EMPTY && view.value_count <= ROW_COLUMNS_MAX;
    if (good && view.value_count > 0) {
        row->values = arena_alloc(a, view.value_count * sizeof *row->values);
        if (row->values == NULL)
            return arena_fail(a, err);
        struct bytes_in in = bytes_in(view.values.p, view.values.n);
        for (uint32_t i = 0; i < view.value_count && good; i++)
            good = value_decode(&in, &row->values[i]);
        good = good && in.left == 0;
    } else {
        good = good && view.values.n == 0;
    }
    if (!good) {
        row->class = BLOCK_RAW;
        row->meta = record;
        row->values = NULL;
        return QUARTET_OK;
    }
    row->class = view.flags;
    row->value_count = view.value_count;
    if ((view.flags & RECORD_SIMPLE) != 0)
        row->ver = view.ver;
    else
        row->meta = view.meta;
    return QUARTET_OK;
}

struct encoder {
    const struct block_row *rows;
    uint32_t n, cols;
    struct buf *out;
    size_t start; /* of the block in out */
    bool wide;
    uint8_t flags;
    uint8_t version_encoding;
};

static void put_offset(struct encoder *e, size_t v)
{
    if (e->wide)
        buf_u32(e->out, (uint32_t)v);
    else
        buf_u16(e->out, (uint16_t)v);
}

static size_t common_prefix(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    size_t i = 0;
    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

static void put_keys(struct encoder *e)
{
    /* Keys ascend, so what the first and the last share, all share. */
    size_t prefix = common_prefix(e->rows[0].key, e->rows[e->n - 1].key);
    if (e->n == 1)
        prefix = 0;
    size_t suffix = e->rows[0].key.n - prefix;
    for (uint32_t r = 1; r < e->n && suffix != BLOCK_VAR_SUFFIX; r++)
        if (e->rows[r].key.n - prefix != suffix)
            suffix = BLOCK_VAR_SUFFIX;
    buf_u16(e->out, (uint16_t)prefix);
    buf_u16(e->out, (uint16_t)suffix);
    buf_put(e->out, e->rows[0].key.p, prefix);
    if (suffix == BLOCK_VAR_SUFFIX) {
        size_t at = 0;
        for (uint32_t r = 0; r < e->n; r++) {
            put_offset(e, at);
            at += e->rows[r].key.n - prefix;
        }
        put_offset(e, at);
    }
    for (uint32_t r = 0; r < e->n; r++)
        buf_put(e->out, e->rows[r].key.p + prefix, e->rows[r].key.n - prefix);
}

/* Find out which per-row facts are equal in all rows. */
static void survey_rows(struct encoder *e)
{
    const struct block_row *simple = NULL;
    bool one_stamp = true, one_chain = true, full = true, live = true, meta = false, one_class = true;
    for (uint32_t r = 0; r < e->n; r++) {
        const struct block_row *row = &e->rows[r];
        if (row->value_count > e->cols)
            e->cols = row->value_count;
        one_class = one_class && row->class == e->rows[0].class;
        live = live && block_class_live(row->class);
        meta = meta || row->meta.n > 0;
        if (row->class >= BLOCK_EMPTY || (row->class & RECORD_SIMPLE) == 0)
            continue;
        simple = simple == NULL ? row : simple;
        one_stamp = one_stamp && row->ver.stamp == simple->ver.stamp;
        one_chain = one_chain && row->ver.chain == simple->ver.chain;
    }
    for (uint32_t r = 0; r < e->n; r++)
        full = full && (e->rows[r].value_count == e->cols || !block_class_live(e->rows[r].class));
    if (simple == NULL)
        e->version_encoding = VERSIONS_NONE;
    else
        e->version_encoding = one_stamp && one_chain ? VERSIONS_ONE : one_chain ? VERSIONS_ONE_CHAIN : VERSIONS_EACH;
    e->flags = (uint8_t)((live ? BLOCK_ALL_LIVE : 0) | (one_class ? 0 : BLOCK_CLASS_EACH) | (full ? 0 : BLOCK_COUNT_EACH) |
                         (meta ? BLOCK_HAS_META : 0));
}

static void put_versions(struct encoder *e)
{
    const struct block_row *simple = e->rows;
    while (e->version_encoding != VERSIONS_NONE && (simple->class >= BLOCK_EMPTY || (simple->class & RECORD_SIMPLE) == 0))
        simple++;
    switch (e->version_encoding) {
    case VERSIONS_ONE:
        buf_u64(e->out, simple->ver.stamp);
        buf_u16(e->out, simple->ver.chain);
        break;
    case VERSIONS_ONE_CHAIN:
    case VERSIONS_EACH:
        for (uint32_t r = 0; r < e->n; r++)
            buf_u64(e->out, e->rows[r].ver.stamp);
        if (e->version_encoding == VERSIONS_ONE_CHAIN)
            buf_u16(e->out, simple->ver.chain);
        for (uint32_t r = 0; r < e->n && e->version_encoding == VERSIONS_EACH; r++)
            buf_u16(e->out, e->rows[r].ver.chain);
        break;
    default:
        break;
    }
}

static void put_rows(struct encoder *e)
{
    if ((e->flags & BLOCK_CLASS_EACH) == 0)
        buf_u8(e->out, e->rows[0].class);
    for (uint32_t r = 0; r < e->n && (e->flags & BLOCK_CLASS_EACH) != 0; r++)
        buf_u8(e->out, e->rows[r].class);
    put_versions(e);
    for (uint32_t r = 0; r < e->n && (e->flags & BLOCK_COUNT_EACH) != 0; r++)
        buf_u16(e->out, (uint16_t)e->rows[r].value_count);
    if ((e->flags & BLOCK_HAS_META) == 0)
        return;
    size_t at = 0;
    for (uint32_t r = 0; r < e->n; r++) {
        put_offset(e, at);
        at += e->rows[r].meta.n;
    }
    put_offset(e, at);
    for (uint32_t r = 0; r < e->n; r++)
        if (e->rows[r].meta.n > 0)
            buf_put(e->out, e->rows[r].meta.p, e->rows[r].meta.n);
}

/* The row's value of a column, NULL where it has none. */
static const struct value *cell(const struct block_row *row, uint32_t column)
{
    if (column >= row->value_count || row->values[column].type == VALUE_NULL)
        return NULL;
    return &row->values[column];
}

struct column_survey {
    const struct value *first;
    bool has_null, uniform, equal;
    int64_t min, max; /* integers */
};

static struct column_survey survey_column(const struct encoder *e, uint32_t column)
{
    struct column_survey s = {.uniform = true, .equal = true};
    for (uint32_t r = 0; r < e->n; r++) {
        const struct value *v = cell(&e->rows[r], column);
        if (v == NULL) {
            s.has_null = true;
            continue;
        }
        if (s.first == NULL) {
            s.first = v;
            s.min = s.max = block_type_is_int(v->type) ? v->i : 0;
            continue;
        }
        if (v->type != s.first->type || (v->type == VALUE_DECIMAL && v->scale != s.first->scale)) {
            s.uniform = s.equal = false;
            break;
        }
        s.equal = s.equal && value_identical(v, s.first);
        if (block_type_is_int(v->type)) {
            s.min = v->i < s.min ? v->i : s.min;
            s.max = v->i > s.max ? v->i : s.max;
        }
    }
    return s;
}

static void put_nulls(struct encoder *e, uint32_t column)
{
    for (uint32_t r = 0; r < e->n; r += 8) {
        uint8_t bits = 0;
        for (uint32_t k = 0; k < 8 && r + k < e->n; k++)
            if (cell(&e->rows[r + k], column) == NULL)
                bits |= (uint8_t)(1u << k);
        buf_u8(e->out, bits);
    }
}

static uint8_t int_width(int64_t min, int64_t max)
{
    uint64_t span = (uint64_t)max - (uint64_t)min;
    return span <= UINT8_MAX ? 1 : span <= UINT16_MAX ? 2 : span <= UINT32_MAX ? 4 : 8;
}

static void put_ints(struct encoder *e, uint32_t column, int64_t min, uint8_t width)
{
    buf_u64(e->out, (uint64_t)min);
    uint8_t *p = buf_reserve(e->out, (size_t)e->n * width);
    if (p == NULL)
        return;
    for (uint32_t r = 0; r < e->n; r++) {
        const struct value *v = cell(&e->rows[r], column);
        uint8_t le[8];
        store_le64(le, v != NULL ? (uint64_t)v->i - (uint64_t)min : 0);
        memcpy(p + (size_t)r * width, le, width);
    }
    e->out->len += (size_t)e->n * width;
}

static void put_fixed(struct encoder *e, uint32_t column, uint8_t type)
{
    static const uint8_t zero[16];
    for (uint32_t r = 0; r < e->n; r++) {
        const struct value *v = cell(&e->rows[r], column);
        if (v == NULL) {
            buf_put(e->out, zero, type == VALUE_REAL ? 8 : 16);
        } else if (type == VALUE_REAL) {
            uint64_t bits;
            memcpy(&bits, &v->r, 8);
            buf_u64(e->out, bits);
        } else if (type == VALUE_DECIMAL) {
            buf_u64(e->out, v->dec.lo);
            buf_u64(e->out, (uint64_t)v->dec.hi);
        } else {
            buf_put(e->out, v->uuid, 16);
        }
    }
}

static void put_bytes(struct encoder *e, uint32_t column)
{
    size_t at = 0;
    for (uint32_t r = 0; r < e->n; r++) {
        const struct value *v = cell(&e->rows[r], column);
        put_offset(e, at);
        at += v != NULL ? v->s.n : 0;
    }
    put_offset(e, at);
    for (uint32_t r = 0; r < e->n; r++) {
        const struct value *v = cell(&e->rows[r], column);
        if (v != NULL && v->s.n > 0)
            buf_put(e->out, v->s.p, v->s.n);
    }
}

static void put_mixed(struct encoder *e, uint32_t column)
{
    size_t width = e->wide ? 4 : 2;
    size_t offsets = e->out->len;
    if (buf_reserve(e->out, (e->n + 1) * width) == NULL)
        return;
    e->out->len += (e->n + 1) * width;
    size_t base = e->out->len;
    for (uint32_t r = 0; r <= e->n && !e->out->failed; r++) {
        size_t at = e->out->len - base;
        if (e->wide)
            store_le32(e->out->data + offsets + r * 4, (uint32_t)at);
        else
            store_le16(e->out->data + offsets + r * 2, (uint16_t)at);
        const struct value *v = r < e->n ? cell(&e->rows[r], column) : NULL;
        if (v != NULL)
            value_encode(e->out, v);
    }
}

static void put_column(struct encoder *e, uint32_t column)
{
    struct column_survey s = survey_column(e, column);
    uint8_t encoding = COLUMN_MIXED, type = VEC_MIXED, width = 0;
    size_t begins = e->out->len - e->start;
    if (s.first == NULL) {
        encoding = COLUMN_NONE;
    } else if (s.uniform) {
        type = s.first->type;
        if (s.equal && e->n > 1)
            encoding = COLUMN_ONE;
        else
            encoding = block_type_is_int(type) ? COLUMN_INT : block_type_is_bytes(type) ? COLUMN_BYTES : COLUMN_FIXED;
    }
    if (encoding != COLUMN_NONE && (s.has_null || !s.uniform))
        put_nulls(e, column);
    switch (encoding) {
    case COLUMN_ONE:
        value_encode(e->out, s.first);
        break;
    case COLUMN_INT:
        width = int_width(s.min, s.max);
        put_ints(e, column, s.min, width);
        break;
    case COLUMN_FIXED:
        width = type == VALUE_REAL ? 8 : 16;
        put_fixed(e, column, type);
        break;
    case COLUMN_BYTES:
        put_bytes(e, column);
        break;
    case COLUMN_MIXED:
        put_mixed(e, column);
        break;
    default:
        break;
    }
    if (e->out->failed)
        return;
    uint8_t *dir = e->out->data + e->start + BLOCK_HEADER_BYTES + (size_t)column * BLOCK_COLUMN_BYTES;
    store_le32(dir, (uint32_t)begins);
    dir[4] = encoding;
    dir[5] = type;
    dir[6] = type == VALUE_DECIMAL ? s.first->scale : 0;
    dir[7] = (uint8_t)(width | (encoding != COLUMN_NONE && (s.has_null || !s.uniform) ? COLUMN_HAS_NULL : 0));
}

static void encode(struct encoder *e, tree_id tree)
{
    e->start = e->out->len;
    size_t head = BLOCK_HEADER_BYTES + (size_t)e->cols * BLOCK_COLUMN_BYTES;
    if (buf_reserve(e->out, head) == NULL)
        return;
    memset(e->out->data + e->start, 0, head);
    e->out->len += head;
    put_keys(e);
    size_t rows_at = e->out->len - e->start;
    put_rows(e);
    for (uint32_t c = 0; c < e->cols; c++)
        put_column(e, c);
    if (e->out->failed)
        return;
    uint8_t *p = e->out->data + e->start;
    size_t size = e->out->len - e->start;
    store_le32(p + 8, (uint32_t)size);
    store_le32(p + 12, e->n);
    p[16] = BLOCK_FORMAT;
    p[17] = (uint8_t)(e->flags | (e->wide ? BLOCK_WIDE : 0));
    store_le16(p + 18, (uint16_t)e->cols);
    p[20] = e->version_encoding;
    store_le32(p + 24, (uint32_t)head);
    store_le32(p + 28, (uint32_t)rows_at);
    store_le64(p, XXH3_64bits_withSeed(p + 8, size - 8, tree));
}

quartet_status block_encode(tree_id tree, const struct block_row *rows, uint32_t n, struct buf *out, struct err *err)
{
    QASSERT(n > 0 && n <= BLOCK_ROWS_MAX);
    struct encoder e = {.rows = rows, .n = n, .out = out};
    size_t start = out->len, bytes = 0;
    for (uint32_t r = 0; r < n; r++)
        bytes += rows[r].bytes;
    /* A guess that is nearly always right; where it is not the block is made again. */
    e.wide = bytes > 30000;
    survey_rows(&e);
    encode(&e, tree);
    if (!out->failed && !e.wide && out->len - start > UINT16_MAX) {
        out->len = start;
        e.wide = true;
        encode(&e, tree);
    }
    quartet_status rc = buf_check(out, err);
    if (rc == QUARTET_OK && out->len - start > BLOCK_BYTES_MAX)
        rc = err_set(err, QUARTET_LIMIT, "a block of %zu bytes is too large", out->len - start);
    return rc;
}
