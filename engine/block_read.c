/* block_read.c - blocks back into keys, rows, records and vectors.
 * Why it checks so much: a block is bytes from a file. Its checksum tells of damage by accident; the bounds here and in block_unpack.c keep even a
 *   forged block from being read past its end. block_open() checks what costs nothing per row, accessors check what they touch.
 * Not here: keys of many rows (block_keys.c), single columns (block_unpack.c), making blocks (block.c). The format: block_format.h, docs/STORAGE.md. */
#include <string.h>
#include <xxhash.h>

#include "block_keys.h"

#define BLOCK_PAGE_OVERHEAD 16u /* of LMDB, in front of a block on its pages */
#define PREFETCH_COLUMN_BYTES 1024u

static quartet_status damaged(struct err *err, const char *what)
{
    return err_set(err, QUARTET_CORRUPT, "damaged block: %s", what);
}

static quartet_status failed(quartet_status rc, const struct arena *a, const char *what, struct err *err)
{
    return rc == QUARTET_NOMEM ? arena_fail(a, err) : damaged(err, what);
}

uint64_t block_checksum(const uint8_t *p)
{
    return load_le64(p);
}

/* ---- opening ---- */

/* Keys: what is left behind them is the classes' place. */
static bool open_keys(struct block *b, struct bytes_in *in)
{
    bool var = b->suffix_len == BLOCK_VAR_SUFFIX;
    b->prefix = bytes_take(in, b->prefix_len);
    b->keys = in->at;
    b->key_bytes = in->left;
    if (b->key_encoding == KEYS_INT) {
        const uint8_t *p = bytes_take(in, 16);
        return p != NULL && b->suffix_len <= 8 && load_le64(p + 8) != 0 && (b->key_width == 0 || cell_width_good(b->key_width)) &&
               bytes_take(in, cells_bytes(b->rows, b->key_width)) != NULL;
    }
    if (b->key_encoding == KEYS_TEMPLATE) {
        struct template t;
        return !var && b->suffix_len <= KEY_TEMPLATE_MAX && template_open(&t, in, b->suffix_len) &&
               bytes_take(in, (size_t)b->rows * t.varying) != NULL;
    }
    struct offsets o;
    if (b->key_encoding != KEYS_BYTES || !offsets_open(&o, in, b->rows))
        return false;
    uint64_t bytes = offsets_get(&o, b->rows);
    return bytes <= in->left && bytes_take(in, (size_t)bytes) != NULL;
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
        return err_set(err, QUARTET_CORRUPT, "damaged block, or one of another version: format %u, this program reads %u", p[16], BLOCK_FORMAT);
    *b = (struct block){.p = p, .size = n, .rows = load_le32(p + 12), .cols = load_le16(p + 18), .flags = p[17]};
    b->all_live = (b->flags & BLOCK_ALL_LIVE) != 0;
    b->full_rows = (b->flags & BLOCK_COUNT_EACH) == 0;
    b->about = block_about_columns(b->flags);
    b->one_class = block_class_of_code(p[20] & 15u);
    b->key_encoding = p[21];
    b->key_width = p[22];
    b->prefix_len = load_le16(p + 24);
    b->suffix_len = load_le16(p + 26);
    size_t head = BLOCK_HEADER_BYTES + (size_t)(b->about + b->cols) * BLOCK_COLUMN_BYTES;
    if (b->rows == 0 || b->rows > BLOCK_ROWS_MAX || b->cols > ROW_COLUMNS_MAX || (b->flags & ~BLOCK_FLAGS_ALL) != 0 || head > n)
        return damaged(err, "impossible header");
    struct bytes_in in = bytes_in(p + head, n - head);
    if (!open_keys(b, &in))
        return damaged(err, "its keys");
    if ((b->flags & BLOCK_CLASS_EACH) != 0) {
        b->classes = bytes_take(&in, cells_bytes(b->rows, 4));
        if (b->classes == NULL)
            return damaged(err, "rows past its end");
    }
    return QUARTET_OK;
}

uint8_t block_class(const struct block *b, uint32_t row)
{
    return b->classes != NULL ? block_class_of_code((uint8_t)cell_get(b->classes, 4, row)) : b->one_class;
}

uint8_t block_encoding(const struct block *b, uint32_t column)
{
    QASSERT(column < b->cols);
    return b->p[BLOCK_HEADER_BYTES + (size_t)(b->about + column) * BLOCK_COLUMN_BYTES + 4];
}

static void prefetch_bytes(uintptr_t from, size_t n)
{
    for (size_t at = 0; at < n; at += 64)
        __builtin_prefetch((const void *)(from + at));
}

void block_prefetch_next(const struct block *b, const uint16_t *columns, uint32_t n)
{
    uintptr_t next = (uintptr_t)b->p + (b->size + BLOCK_PAGE_OVERHEAD + 4095) / 4096 * 4096; /* never read: only asked for */
    uint32_t entries = b->about + b->cols;
    prefetch_bytes(next, BLOCK_HEADER_BYTES + (size_t)entries * BLOCK_COLUMN_BYTES + b->prefix_len + 1);
    for (uint32_t i = 0; i < n; i++) {
        if (columns[i] >= b->cols)
            continue;
        const uint8_t *dir = b->p + BLOCK_HEADER_BYTES + (size_t)(b->about + columns[i]) * BLOCK_COLUMN_BYTES;
        size_t at = load_le32(dir), end = b->about + columns[i] + 1 < entries ? load_le32(dir + BLOCK_COLUMN_BYTES) : b->size;
        size_t bytes = end > at ? end - at : 1; /* columns mostly stand in this order */
        prefetch_bytes((next + at) & ~(uintptr_t)63, bytes + 63 < PREFETCH_COLUMN_BYTES ? bytes + 63 : PREFETCH_COLUMN_BYTES);
    }
}

static uint32_t find_number(const struct block *b, const struct keys *k, struct slice rest, bool *exact)
{
    uint64_t want = 0;
    for (uint32_t i = 0; i < b->suffix_len; i++)
        want = want << 8 | (i < rest.n ? rest.p[i] : 0);
    bool longer = rest.n > b->suffix_len; /* then an equal number lies before it */
    if (want < k->first)
        return 0;
    uint64_t d = want - k->first, cell = d / k->factor;
    bool hit = cell * k->factor == d;
    if (longer && cell == UINT64_MAX)
        return b->rows;
    if (!hit || longer)
        cell++; /* the first one that may lie behind */
    uint32_t lo = 0, hi = b->rows;
    if (b->key_width == 0) {
        lo = cell < hi ? (uint32_t)cell : hi;
    } else {
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            if (cell_get(k->cells, b->key_width, mid) < cell)
                lo = mid + 1;
            else
                hi = mid;
        }
    }
    *exact = hit && rest.n == b->suffix_len && lo < b->rows && (b->key_width == 0 || cell_get(k->cells, b->key_width, lo) == cell);
    return lo;
}

/* Suffixes differ in their segments only. Where the key looked for differs from the template outside of them decides once for all rows how far
 * segments count (*count bytes), and which way it goes where these are equal. */
static int beside_template(const struct block *b, const struct keys *k, struct slice rest, uint8_t *want, size_t *count)
{
    size_t common = rest.n < b->suffix_len ? rest.n : b->suffix_len, at = 0;
    *count = 0;
    for (uint32_t s = 0; s <= k->template.count; s++) {
        const uint8_t *segment = k->template.segments + (size_t)s * 4;
        size_t begin = s < k->template.count ? load_le16(segment) : b->suffix_len;
        size_t end = s < k->template.count ? begin + load_le16(segment + 2) : begin;
        for (; at < begin && at < common; at++)
            if (k->template.text[at] != rest.p[at])
                return k->template.text[at] < rest.p[at] ? -1 : 1;
        for (; at < end && at < common; at++)
            want[(*count)++] = rest.p[at];
    }
    return rest.n < b->suffix_len ? 1 : rest.n > b->suffix_len ? -1 : 0;
}

static uint32_t find_template(const struct block *b, const struct keys *k, struct slice rest, bool *exact)
{
    uint8_t want[KEY_TEMPLATE_MAX];
    size_t count;
    int beside = beside_template(b, k, rest, want, &count);
    uint32_t lo = 0, hi = b->rows;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = count > 0 ? memcmp(k->cells + (size_t)mid * k->template.varying, want, count) : 0;
        c = c != 0 ? c : beside;
        if (c < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
            *exact = *exact || c == 0;
        }
    }
    return lo;
}

static bool find_bytes(const struct block *b, const struct keys *k, struct slice rest, uint32_t *row, bool *exact)
{
    uint32_t lo = 0, hi = b->rows;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct slice s;
        if (!offsets_piece(&k->offsets, k->cells, k->bytes, mid, &s))
            return false;
        int c = slice_cmp(s, rest);
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

bool block_find(const struct block *b, struct slice key, uint32_t *row, bool *exact)
{
    struct keys k;
    *exact = false;
    size_t shared = key.n < b->prefix_len ? key.n : b->prefix_len;
    int c = shared > 0 ? memcmp(key.p, b->prefix, shared) : 0;
    if (c != 0 || key.n < b->prefix_len) {
        *row = c > 0 ? b->rows : 0;
        return true;
    }
    struct slice rest = slice_of(key.p + b->prefix_len, key.n - b->prefix_len);
    if (!keys_open(b, &k))
        return false;
    if (b->key_encoding == KEYS_BYTES)
        return find_bytes(b, &k, rest, row, exact);
    *row = b->key_encoding == KEYS_INT ? find_number(b, &k, rest, exact) : find_template(b, &k, rest, exact);
    return true;
}

/* ---- rows ---- */

/* Columns about rows stand in this order, as far as the flags have them. */
enum about { ABOUT_STAMP, ABOUT_CHAIN, ABOUT_COUNT, ABOUT_META };

static uint32_t about_entry(const struct block *b, enum about what)
{
    uint32_t version = (b->flags & BLOCK_HAS_VERSION) != 0 ? 2 : 0;
    return what == ABOUT_STAMP ? 0 : what == ABOUT_CHAIN ? 1 : what == ABOUT_COUNT ? version : version + ((b->flags & BLOCK_COUNT_EACH) != 0 ? 1 : 0);
}

struct about_rows {
    struct column column[ABOUT_META + 1];
};

static bool about_open(const struct block *b, struct about_rows *r)
{
    bool good = true;
    if ((b->flags & BLOCK_HAS_VERSION) != 0)
        good = column_open(b, 0, &r->column[ABOUT_STAMP]) && column_open(b, 1, &r->column[ABOUT_CHAIN]) &&
               r->column[ABOUT_STAMP].type == VALUE_INTEGER && r->column[ABOUT_CHAIN].type == VALUE_INTEGER;
    if (good && (b->flags & BLOCK_COUNT_EACH) != 0)
        good = column_open(b, about_entry(b, ABOUT_COUNT), &r->column[ABOUT_COUNT]) && r->column[ABOUT_COUNT].type == VALUE_INTEGER;
    if (good && (b->flags & BLOCK_HAS_META) != 0)
        good = column_open(b, about_entry(b, ABOUT_META), &r->column[ABOUT_META]) && r->column[ABOUT_META].type == VALUE_BLOB;
    return good;
}

static bool row_count(const struct block *b, const struct column *counts, uint32_t row, uint8_t class, uint32_t *count)
{
    *count = 0;
    if (!block_class_has_values(class))
        return true;
    *count = b->cols;
    if (b->full_rows)
        return true;
    struct value v;
    if (column_value(counts, row, NULL, &v) != QUARTET_OK || v.type != VALUE_INTEGER || v.i < 0 || v.i > b->cols)
        return false;
    *count = (uint32_t)v.i;
    return true;
}

/* All of a row but its key and values. */
static quartet_status row_head(const struct block *b, const struct about_rows *about, uint32_t row, struct arena *a, struct block_row *out)
{
    struct value v;
    out->class = block_class(b, row);
    out->meta = slice_of(NULL, 0);
    out->ver = (struct ver){0};
    if (!row_count(b, &about->column[ABOUT_COUNT], row, out->class, &out->value_count))
        return QUARTET_CORRUPT;
    if (out->class < BLOCK_EMPTY && (out->class & (RECORD_SIMPLE | BLOCK_LIFE)) != 0) {
        if ((b->flags & BLOCK_HAS_VERSION) == 0 || column_value(&about->column[ABOUT_STAMP], row, NULL, &v) != QUARTET_OK || v.type != VALUE_INTEGER)
            return QUARTET_CORRUPT;
        out->ver.stamp = (hlc_stamp)v.i;
        if (column_value(&about->column[ABOUT_CHAIN], row, NULL, &v) != QUARTET_OK || v.type != VALUE_INTEGER || v.i < 0 || v.i > UINT16_MAX)
            return QUARTET_CORRUPT;
        out->ver.chain = (chain_no)v.i;
    }
    if ((b->flags & BLOCK_HAS_META) == 0)
        return QUARTET_OK;
    quartet_status rc = column_value(&about->column[ABOUT_META], row, a, &v);
    if (rc == QUARTET_OK && v.type != VALUE_NULL)
        out->meta = v.s;
    return rc;
}

/* Ask for the cells of a row before they are needed: a block that is not in the processor's cache costs one wait then, not one a column. */
static inline void prefetch_cell(const struct block *b, uint32_t row, uint32_t entry)
{
    const uint8_t *dir = b->p + BLOCK_HEADER_BYTES + (size_t)entry * BLOCK_COLUMN_BYTES;
    size_t at = load_le32(dir) + (size_t)row * (dir[7] & 0x7Fu) / 8;
    if (at < b->size)
        __builtin_prefetch(b->p + at);
}

/* A value that is encoded at the end of `out`; one that is built is built behind where it will stand. */
static quartet_status put_value(const struct column *c, uint32_t row, struct buf *out)
{
    struct value v;
    size_t n;
    if (!column_is_built(c) || column_null(c, row)) {
        quartet_status rc = column_value(c, row, NULL, &v);
        if (rc == QUARTET_OK)
            value_encode(out, &v);
        return rc;
    }
    if (!column_text_bytes(c, row, &n))
        return QUARTET_CORRUPT;
    uint8_t *to = buf_reserve(out, 2 * n + 16);
    if (to == NULL)
        return QUARTET_OK; /* out->failed tells */
    column_text_build(c, row, to + n + 16);
    v = (struct value){.type = c->type, .s = slice_of(to + n + 16, n)};
    value_encode(out, &v);
    return QUARTET_OK;
}

/* Meta whole again: of a LIFE its birth stands first. */
static void whole_meta(const struct block_row *row, struct buf *out)
{
    if ((row->class & BLOCK_LIFE) != 0) {
        buf_u8(out, 1);
        buf_u64(out, row->ver.stamp);
        buf_varint(out, (uint64_t)row->ver.chain * 2);
    }
    if (row->meta.n > 0)
        buf_put(out, row->meta.p, row->meta.n);
}

static quartet_status put_head(const struct block_row *head, struct buf *out)
{
    uint8_t small[64];
    struct buf meta = {.data = small, .cap = sizeof small, .limit_bytes = sizeof small};
    struct record_view view = {.flags = head->class & (RECORD_LIVE | RECORD_SIMPLE | RECORD_HIDDEN), .ver = head->ver, .value_count = head->value_count};
    if ((head->class & BLOCK_LIFE) == 0) {
        view.meta = head->meta;
        record_put(out, &view);
        return QUARTET_OK;
    }
    whole_meta(head, &meta); /* mostly small: on the stack */
    view.meta = slice_of(meta.data, meta.len);
    if (!meta.failed) {
        record_put(out, &view);
        return QUARTET_OK;
    }
    meta = (struct buf){0};
    whole_meta(head, &meta);
    view.meta = slice_of(meta.data, meta.len);
    bool good = !meta.failed;
    if (good)
        record_put(out, &view);
    buf_deinit(&meta);
    return good ? QUARTET_OK : QUARTET_NOMEM;
}

quartet_status block_record(const struct block *b, uint32_t row, struct buf *out, struct err *err)
{
    QASSERT(row < b->rows);
    struct about_rows about;
    struct block_row head;
    struct arena a = {0}; /* for a meta that is built: rare */
    for (uint32_t i = 0; i < b->about + b->cols; i++)
        prefetch_cell(b, row, i);
    quartet_status rc = about_open(b, &about) ? row_head(b, &about, row, &a, &head) : QUARTET_CORRUPT;
    if (rc == QUARTET_OK && (head.class & BLOCK_RAW) != 0) {
        buf_put(out, head.meta.p, head.meta.n);
    } else if (rc == QUARTET_OK && (head.class & BLOCK_EMPTY) == 0) {
        /* The values stand last in a record: its head first, then they one by one. */
        rc = put_head(&head, out);
        for (uint32_t i = 0; i < head.value_count && rc == QUARTET_OK; i++) {
            struct column c;
            rc = column_open(b, b->about + i, &c) ? put_value(&c, row, out) : QUARTET_CORRUPT;
        }
    }
    if (rc != QUARTET_OK)
        rc = failed(rc, &a, "a row", err);
    if (a.chunks != NULL)
        arena_free_all(&a);
    return rc == QUARTET_OK ? buf_check(out, err) : rc;
}

static quartet_status rows_keys(const struct block *b, uint32_t from, uint32_t n, struct block_row *out, struct arena *a)
{
    struct keys k;
    size_t bytes = 0;
    if (!keys_open(b, &k))
        return QUARTET_CORRUPT;
    for (uint32_t r = 0; r < n; r++) {
        if (!suffix_bytes(b, &k, from + r, &out[r].key.n))
            return QUARTET_CORRUPT;
        bytes += out[r].key.n + b->prefix_len;
    }
    uint8_t *to = arena_alloc(a, bytes > 0 ? bytes : 1);
    if (to == NULL)
        return QUARTET_NOMEM;
    for (uint32_t r = 0; r < n; r++) {
        key_build(b, &k, from + r, out[r].key.n, to);
        out[r].key = slice_of(to, out[r].key.n + b->prefix_len);
        to += out[r].key.n;
    }
    return QUARTET_OK;
}

static quartet_status rows_column(const struct block *b, uint32_t column, uint32_t from, uint32_t n, struct block_row *out, struct arena *a)
{
    struct column c;
    if (!column_open(b, b->about + column, &c))
        return QUARTET_CORRUPT;
    quartet_status rc = QUARTET_OK;
    for (uint32_t r = 0; r < n && rc == QUARTET_OK; r++) {
        if (column >= out[r].value_count)
            continue;
        rc = column_value(&c, from + r, a, &out[r].values[column]);
        out[r].bytes += block_value_bytes(&out[r].values[column]);
    }
    return rc;
}

quartet_status block_rows_get(const struct block *b, uint32_t from, uint32_t n, struct block_row *out, struct arena *a, struct err *err)
{
    QASSERT(from + n <= b->rows);
    struct about_rows about;
    if (n == 0)
        return QUARTET_OK;
    if (!about_open(b, &about))
        return damaged(err, "its rows");
    struct value *values = NULL;
    quartet_status rc = rows_keys(b, from, n, out, a);
    for (uint32_t r = 0; r < n && rc == QUARTET_OK; r++)
        rc = row_head(b, &about, from + r, a, &out[r]);
    if (rc == QUARTET_OK && b->cols > 0) {
        values = arena_alloc(a, (size_t)n * b->cols * sizeof *values);
        rc = values != NULL ? QUARTET_OK : QUARTET_NOMEM;
    }
    for (uint32_t r = 0; r < n && rc == QUARTET_OK; r++) {
        out[r].values = values != NULL ? values + (size_t)r * b->cols : NULL;
        out[r].bytes = out[r].key.n + out[r].meta.n + 4;
    }
    for (uint32_t c = 0; c < b->cols && rc == QUARTET_OK; c++)
        rc = rows_column(b, c, from, n, out, a);
    return rc == QUARTET_OK ? rc : failed(rc, a, "its rows", err);
}

/* ---- columns ---- */

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

/* Has the row this column? */
static bool has_column(const struct block *b, const struct column *counts, uint32_t row, uint32_t column, bool *live, bool *bad)
{
    uint32_t count;
    uint8_t class = block_class(b, row);
    *live = block_class_live(class);
    *bad = !row_count(b, counts, row, class, &count);
    return !*bad && *live && column < count; /* what a hidden row holds is for who takes its record apart */
}

quartet_status block_values(const struct block *b, uint32_t row, const uint16_t *columns, uint32_t n, const struct value *missing, struct value *out,
                            bool *live, struct arena *a, struct err *err)
{
    QASSERT(row < b->rows);
    for (uint32_t i = 0; i < n; i++)
        if (columns[i] < b->cols)
            prefetch_cell(b, row, b->about + columns[i]);
    uint8_t class = block_class(b, row);
    *live = block_class_live(class);
    if (!*live)
        return QUARTET_OK;
    struct column c;
    uint32_t count;
    if (class == BLOCK_RAW || (!b->full_rows && !column_open(b, about_entry(b, ABOUT_COUNT), &c)) || !row_count(b, &c, row, class, &count))
        return damaged(err, "a row's head");
    for (uint32_t i = 0; i < n; i++) {
        if (columns[i] >= count) {
            out[i] = missing != NULL ? missing[i] : VALUE_NULL_INIT;
            continue;
        }
        quartet_status rc = column_open(b, b->about + columns[i], &c) ? column_value(&c, row, a, &out[i]) : QUARTET_CORRUPT;
        if (rc != QUARTET_OK)
            return failed(rc, a, "a row's values", err);
    }
    return QUARTET_OK;
}

/* Row by row: of several types, or not all rows have the column. */
static quartet_status column_slow(const struct block *b, uint32_t column, const struct column *c, uint32_t from, uint32_t n, struct vec *out,
                                  uint32_t at, const struct value *missing, struct arena *a)
{
    struct column counts;
    if (!b->full_rows && !column_open(b, about_entry(b, ABOUT_COUNT), &counts))
        return QUARTET_CORRUPT;
    for (uint32_t k = 0; k < n; k++) {
        struct value v = VALUE_NULL_INIT;
        bool live, bad;
        quartet_status rc = QUARTET_OK;
        if (has_column(b, &counts, from + k, column, &live, &bad))
            rc = column_value(c, from + k, a, &v);
        else if (live && missing != NULL)
            v = *missing;
        if (bad || rc != QUARTET_OK)
            return bad ? QUARTET_CORRUPT : rc;
        put_any(out, at + k, &v);
    }
    return QUARTET_OK;
}

quartet_status block_column(const struct block *b, uint32_t column, uint32_t from, uint32_t n, struct vec *out, uint32_t at,
                            const struct value *missing, struct arena *a, struct err *err)
{
    QASSERT(from + n <= b->rows);
    QASSERT(at + n <= BATCH_ROWS_MAX);
    if (n == 0)
        return QUARTET_OK;
    struct column c = {.encoding = COLUMN_NONE};
    if (column < b->cols && !column_open(b, b->about + column, &c))
        return damaged(err, "a column");
    bool plain = column < b->cols && b->full_rows && b->all_live && c.encoding != COLUMN_NONE && c.encoding != COLUMN_MIXED;
    if (plain)
        vec_make_type(out, at, c.type, c.type == VALUE_DECIMAL ? c.scale : 0);
    quartet_status rc;
    if (plain && out->type == c.type)
        rc = column_fill(&c, from, n, out, at, a);
    else
        rc = column_slow(b, column, &c, from, n, out, at, missing, a);
    return rc == QUARTET_OK ? rc : failed(rc, a, "a column", err);
}
