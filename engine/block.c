/* block.c - rows into the bytes of a block.
 * Why by column: a scan that wants one integer of sixty bytes a row touches an eighth of the memory, and cells of one type are copied,
 *   not parsed. What is known of rows beside their values (stamps, chains, meta) is columns, too: few transactions wrote the rows of a block, so
 *   that metadata takes a byte or two a row.
 * Invariants: what goes in comes out bit by bit (block_record); equal rows give equal blocks.
 * Not here: how a column is written (block_pack.c), reading (block_read.c), which rows belong together (kv_merge.c). */
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

#include "block_format.h"

size_t block_value_bytes(const struct value *v)
{
    return v->type == VALUE_NULL ? 1 : block_type_is_bytes(v->type) ? v->s.n + 3 : 9;
}

/* Most rows have one life that has not ended, and meta begins with its birth: 01, stamp, chain * 2 as a varint. Its parts then stand in columns. */
static bool take_life(struct slice *meta, struct ver *birth)
{
    const uint8_t *p = meta->p;
    if (meta->n < 10 || p[0] != 1)
        return false;
    uint32_t twice = 0, n = 0;
    do {
        twice |= (p[9 + n] & 0x7Fu) << (7 * n);
        n++;
    } while ((p[8 + n] & 0x80u) != 0 && n < 3 && 9 + n < meta->n);
    if ((p[8 + n] & 0x80u) != 0 || (n > 1 && p[8 + n] == 0) || (twice & 1) != 0 || twice / 2 > UINT16_MAX)
        return false;
    *birth = (struct ver){.stamp = load_le64(p + 1), .chain = (chain_no)(twice / 2)};
    *meta = slice_of(p + 9 + n, meta->n - 9 - n);
    return true;
}

quartet_status block_row_from_record(struct block_row *row, struct slice key, struct slice record, struct arena *a, struct err *err)
{
    *row = (struct block_row){.key = key, .class = BLOCK_EMPTY, .bytes = key.n + 4};
    if (record.n == 0)
        return QUARTET_OK;
    struct record_view view;
    bool good = record_view(record, &view) && view.value_count <= ROW_COLUMNS_MAX;
    if (good && view.value_count > 0) {
        row->values = arena_alloc(a, view.value_count * sizeof *row->values);
        if (row->values == NULL)
            return arena_fail(a, err);
        struct bytes_in in = bytes_in(view.values.p, view.values.n);
        for (uint32_t i = 0; i < view.value_count && good; i++) {
            good = value_decode(&in, &row->values[i]);
            row->bytes += good ? block_value_bytes(&row->values[i]) : 0;
        }
        good = good && in.left == 0;
    } else {
        good = good && view.values.n == 0;
    }
    if (!good) {
        row->class = BLOCK_RAW;
        row->meta = record;
        row->values = NULL;
        row->bytes = key.n + 4 + record.n;
        return QUARTET_OK;
    }
    row->class = view.flags;
    row->value_count = view.value_count;
    if ((view.flags & RECORD_SIMPLE) != 0)
        row->ver = view.ver;
    else
        row->meta = view.meta;
    if (take_life(&row->meta, &row->ver))
        row->class |= BLOCK_LIFE;
    row->bytes += row->meta.n;
    return QUARTET_OK;
}

struct encoder {
    const struct block_row *rows;
    uint32_t n, cols;
    struct buf *out;
    size_t start; /* of the block in out */
    uint8_t flags;
    struct pack pack;
};

/* ---- keys ---- */

struct keys {
    size_t prefix, suffix; /* suffix BLOCK_VAR_SUFFIX: they differ in length */
    uint8_t encoding, width;
    uint64_t first, factor;
    struct pack_template template;
};

static size_t common_prefix(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    size_t i = 0;
    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

static uint64_t suffix_number(const struct encoder *e, const struct keys *k, uint32_t row)
{
    const uint8_t *p = e->rows[row].key.p + k->prefix;
    uint64_t v = 0;
    for (size_t i = 0; i < k->suffix; i++)
        v = v << 8 | p[i];
    return v;
}

/* Keys that are numbers of up to eight bytes: counted from the first. Equal steps need no cells at all. */
static void survey_numbers(struct encoder *e, struct keys *k)
{
    uint64_t *cells = (uint64_t *)(void *)e->pack.ints; /* signed and unsigned may share memory */
    bool equal_steps = true;
    uint64_t g = 0;
    k->first = suffix_number(e, k, 0);
    cells[1] = suffix_number(e, k, 1) - k->first;
    for (uint32_t r = 0; r < e->n; r++) {
        cells[r] = suffix_number(e, k, r) - k->first;
        equal_steps = equal_steps && cells[r] == r * cells[1];
        for (uint64_t a = cells[r], rest; a != 0 && g != 1; a = rest) {
            rest = g % a;
            g = a;
        }
    }
    k->encoding = KEYS_INT;
    k->factor = g;
    k->width = equal_steps ? 0 : cell_width(cells[e->n - 1] / g);
    for (uint32_t r = 0; r < e->n && g > 1; r++)
        cells[r] /= g;
}

static void survey_long_keys(const struct encoder *e, struct keys *k)
{
    uint8_t diff[KEY_TEMPLATE_MAX] = {0};
    const uint8_t *first = e->rows[0].key.p + k->prefix;
    for (uint32_t r = 1; r < e->n; r++) {
        const uint8_t *p = e->rows[r].key.p + k->prefix;
        for (size_t i = 0; i < k->suffix; i++)
            diff[i] |= (uint8_t)(first[i] ^ p[i]);
    }
    if (pack_template_find(&k->template, diff, (uint32_t)k->suffix))
        k->encoding = KEYS_TEMPLATE;
}

static void survey_keys(struct encoder *e, struct keys *k)
{
    /* Keys ascend, so what the first and the last share, all share. */
    *k = (struct keys){.encoding = KEYS_BYTES};
    k->prefix = e->n > 1 ? common_prefix(e->rows[0].key, e->rows[e->n - 1].key) : 0;
    k->suffix = e->rows[0].key.n - k->prefix;
    for (uint32_t r = 1; r < e->n && k->suffix != BLOCK_VAR_SUFFIX; r++)
        if (e->rows[r].key.n - k->prefix != k->suffix)
            k->suffix = BLOCK_VAR_SUFFIX;
    if (e->n > 1 && k->suffix <= 8)
        survey_numbers(e, k);
    else if (e->n > 1 && k->suffix <= KEY_TEMPLATE_MAX)
        survey_long_keys(e, k);
}

static void put_key_bytes(struct encoder *e, const struct keys *k)
{
    uint32_t *places = (uint32_t *)(void *)e->pack.ints;
    uint32_t at = 0;
    for (uint32_t r = 0; r < e->n; r++) {
        places[r] = at;
        at += (uint32_t)(e->rows[r].key.n - k->prefix);
    }
    places[e->n] = at;
    pack_offsets(e->out, places, e->n);
    for (uint32_t r = 0; r < e->n; r++)
        buf_put(e->out, e->rows[r].key.p + k->prefix, e->rows[r].key.n - k->prefix);
}

static void put_keys(struct encoder *e, const struct keys *k)
{
    buf_put(e->out, e->rows[0].key.p, k->prefix);
    if (k->encoding == KEYS_INT) {
        buf_u64(e->out, k->first);
        buf_u64(e->out, k->factor);
        if (k->width > 0)
            pack_cells(e->out, (const uint64_t *)(const void *)e->pack.ints, e->n, k->width);
    } else if (k->encoding == KEYS_TEMPLATE) {
        pack_template_head(e->out, &k->template, e->rows[0].key.p + k->prefix);
        for (uint32_t r = 0; r < e->n; r++)
            pack_template_cell(e->out, &k->template, e->rows[r].key.p + k->prefix);
    } else {
        put_key_bytes(e, k);
    }
}

/* ---- rows ---- */

static bool has_version(const struct block_row *row)
{
    return row->class < BLOCK_EMPTY && (row->class & (RECORD_SIMPLE | BLOCK_LIFE)) != 0;
}

/* Find out which facts are equal in all rows. */
static void survey_rows(struct encoder *e)
{
    bool full = true, live = true, meta = false, one_class = true, version = false;
    for (uint32_t r = 0; r < e->n; r++) {
        const struct block_row *row = &e->rows[r];
        if (row->value_count > e->cols)
            e->cols = row->value_count;
        one_class = one_class && row->class == e->rows[0].class;
        live = live && block_class_live(row->class);
        meta = meta || row->meta.n > 0;
        version = version || has_version(row);
    }
    for (uint32_t r = 0; r < e->n; r++)
        full = full && (e->rows[r].value_count == e->cols || !block_class_has_values(e->rows[r].class));
    e->flags = (uint8_t)((live ? BLOCK_ALL_LIVE : 0) | (one_class ? 0 : BLOCK_CLASS_EACH) | (version ? BLOCK_HAS_VERSION : 0) |
                         (full ? 0 : BLOCK_COUNT_EACH) | (meta ? BLOCK_HAS_META : 0));
}

static void put_classes(struct encoder *e)
{
    for (uint32_t r = 0; r < e->n && (e->flags & BLOCK_CLASS_EACH) != 0; r += 2) {
        uint8_t high = r + 1 < e->n ? block_code_of_class(e->rows[r + 1].class) : 0;
        buf_u8(e->out, (uint8_t)(block_code_of_class(e->rows[r].class) | high << 4));
    }
}

enum about { ABOUT_STAMP, ABOUT_CHAIN, ABOUT_COUNT, ABOUT_META };

static void put_about(struct encoder *e, enum about what, size_t *directory)
{
    struct pack *p = &e->pack;
    for (uint32_t r = 0; r < e->n; r++) {
        const struct block_row *row = &e->rows[r];
        p->nulls[r] = (uint8_t)(what == ABOUT_COUNT ? 0 : what == ABOUT_META ? row->meta.n == 0 : !has_version(row));
        p->cells[r] = what == ABOUT_META ? (struct value){.type = VALUE_BLOB, .s = row->meta}
                                         : value_int(what == ABOUT_STAMP ? (int64_t)row->ver.stamp
                                                                         : what == ABOUT_CHAIN ? row->ver.chain : row->value_count);
    }
    pack_column(p, *directory);
    *directory += BLOCK_COLUMN_BYTES;
}

static void put_columns(struct encoder *e)
{
    struct pack *p = &e->pack;
    size_t directory = BLOCK_HEADER_BYTES;
    if ((e->flags & BLOCK_HAS_VERSION) != 0) {
        put_about(e, ABOUT_STAMP, &directory);
        put_about(e, ABOUT_CHAIN, &directory);
    }
    if ((e->flags & BLOCK_COUNT_EACH) != 0)
        put_about(e, ABOUT_COUNT, &directory);
    if ((e->flags & BLOCK_HAS_META) != 0)
        put_about(e, ABOUT_META, &directory);
    for (uint32_t c = 0; c < e->cols; c++, directory += BLOCK_COLUMN_BYTES) {
        for (uint32_t r = 0; r < e->n; r++) {
            const struct block_row *row = &e->rows[r];
            p->nulls[r] = c >= row->value_count || row->values[c].type == VALUE_NULL;
            if (p->nulls[r] == 0)
                p->cells[r] = row->values[c];
        }
        pack_column(p, directory);
    }
}

static void encode(struct encoder *e, tree_id tree)
{
    struct keys keys;
    e->start = e->pack.start = e->out->len;
    survey_rows(e);
    survey_keys(e, &keys);
    uint32_t about = block_about_columns(e->flags);
    size_t head = BLOCK_HEADER_BYTES + (size_t)(about + e->cols) * BLOCK_COLUMN_BYTES;
    if (buf_reserve(e->out, head) == NULL)
        return;
    memset(e->out->data + e->start, 0, head);
    e->out->len += head;
    put_keys(e, &keys);
    put_classes(e);
    put_columns(e);
    if (e->out->failed)
        return;
    uint8_t *p = e->out->data + e->start;
    size_t size = e->out->len - e->start;
    store_le32(p + 8, (uint32_t)size);
    store_le32(p + 12, e->n);
    p[16] = BLOCK_FORMAT;
    p[17] = e->flags;
    store_le16(p + 18, (uint16_t)e->cols);
    p[20] = block_code_of_class(e->rows[0].class);
    p[21] = keys.encoding;
    p[22] = keys.width;
    store_le16(p + 24, (uint16_t)keys.prefix);
    store_le16(p + 26, (uint16_t)keys.suffix);
    store_le64(p, XXH3_64bits_withSeed(p + 8, size - 8, tree));
}

quartet_status block_encode(tree_id tree, const struct block_row *rows, uint32_t n, struct buf *out, struct err *err)
{
    QASSERT(n > 0 && n <= BLOCK_ROWS_MAX);
    struct encoder e = {.rows = rows, .n = n, .out = out, .pack = {.out = out, .n = n}};
    size_t bytes = 0, start = out->len;
    for (uint32_t r = 0; r < n; r++)
        bytes += rows[r].bytes;
    if (bytes > BLOCK_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "a block of %zu bytes is too large", bytes);
    size_t each = sizeof *e.pack.ints + sizeof *e.pack.cells + sizeof *e.pack.nulls + sizeof *e.pack.index;
    e.pack.ints = mem_alloc((n + 2) * each);
    if (e.pack.ints == NULL)
        return err_nomem(err);
    e.pack.cells = (struct value *)(void *)(e.pack.ints + n + 2);
    e.pack.nulls = (uint8_t *)(e.pack.cells + n);
    e.pack.index = e.pack.nulls + n;
    encode(&e, tree);
    mem_free(e.pack.ints);
    quartet_status rc = buf_check(out, err);
    if (rc == QUARTET_OK && out->len - start > BLOCK_BYTES_MAX)
        rc = err_set(err, QUARTET_LIMIT, "a block of %zu bytes is too large", out->len - start);
    return rc;
}
