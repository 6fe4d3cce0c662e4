/* row_encode.c - a row as the bytes of its record (docs/STORAGE.md, "Records").
 * Why this shape: nearly every row was written by one transaction, so one version stands for all; an updated row adds a bitmap
 *   and the versions that differ, each once; what losers and counters need comes last. The visible values stand at the end in
 *   plain sight, so a scan reads them without any of this.
 * Invariants: equal rows with equal chain numbers give equal bytes, whatever the schema's later columns are.
 * Not here: the way back (row_decode.c), packing of records into blocks (engine), hashing (row_hash.c). */
#include "row_codec.h"

#include <stddef.h>
#include <string.h>

struct encoder {
    const struct row *row;
    const struct row_schema *schema;
    const struct chain_table *chains;
    struct buf *out;
    uint64_t base;   /* birth stamp of the first unended life */
    uint32_t count;  /* values: up to the last column that was ever written */
    uint32_t dict_count;
    bool several;    /* unended lives */
    struct ver dict[DICT_MAX];
};

void sum_put(struct buf *out, __int128 sum)
{
    unsigned __int128 v = (unsigned __int128)sum << 1 ^ (unsigned __int128)(sum >> 127);
    for (; v >= 0x80; v >>= 7)
        buf_u8(out, (uint8_t)(v | 0x80));
    buf_u8(out, (uint8_t)v);
}

static void put_simple_head(struct buf *out, uint8_t flags, struct ver ver, uint32_t count)
{
    uint8_t head[11] = {flags};
    store_le64(head + 1, ver.stamp);
    store_le16(head + 9, ver.chain);
    buf_put(out, head, sizeof head);
    buf_varint(out, count);
}

void record_put(struct buf *out, const struct record_view *view)
{
    if ((view->flags & RECORD_SIMPLE) != 0 && view->value_count < 0x80 && record_has_values(view->flags)) { /* nearly every record */
        uint8_t *p = buf_reserve(out, 12 + view->values.n);
        if (p == NULL)
            return;
        p[0] = view->flags;
        store_le64(p + 1, view->ver.stamp);
        store_le16(p + 9, view->ver.chain);
        p[11] = (uint8_t)view->value_count;
        if (view->values.n > 0)
            memcpy(p + 12, view->values.p, view->values.n);
        out->len += 12 + view->values.n;
        return;
    }
    if ((view->flags & RECORD_SIMPLE) != 0) {
        put_simple_head(out, view->flags, view->ver, view->value_count);
    } else {
        buf_u8(out, view->flags);
        buf_varint(out, view->meta.n);
        buf_put(out, view->meta.p, view->meta.n);
        if (record_has_values(view->flags))
            buf_varint(out, view->value_count);
    }
    if (record_has_values(view->flags))
        buf_put(out, view->values.p, view->values.n);
}

void record_set_hidden(uint8_t *record, size_t n, bool hidden)
{
    uint8_t from = hidden ? RECORD_LIVE : RECORD_HIDDEN, to = hidden ? RECORD_HIDDEN : RECORD_LIVE;
    if (n > 0 && (record[0] & from) != 0)
        record[0] = (uint8_t)((record[0] & ~from) | to);
}

void record_put_simple(struct buf *out, struct ver ver, const struct value *values, uint32_t count)
{
    put_simple_head(out, RECORD_LIVE | RECORD_SIMPLE, ver, count);
    for (uint32_t i = 0; i < count; i++)
        value_encode(out, &values[i]);
}

/* Does the visible value tell all about this counter? Set by the INSERT and not touched since, in the only life. */
static bool counter_untouched(const struct row_column *column, const struct row_life *life, const struct row_cell *cell)
{
    if (cell->ver.stamp == 0 || cell->part_count > 1)
        return false;
    if (cell->part_count == 0)
        return true;
    const struct row_part *part = cell->parts;
    if (part->chain != life->birth.chain || part->last != life->birth.stamp)
        return false;
    struct value shown = row_counter_value(column, dec_get(part->sum));
    return row_counter_number(column, &shown) == dec_get(part->sum);
}

bool set_untouched(const struct row_life *life, const struct row_cell *cell)
{
    if (cell->ver.stamp == 0)
        return cell->part_count == 0;
    for (uint32_t i = 0; i < cell->part_count; i++)
        if (cell->items[i].value.type != VALUE_TEXT || !ver_eq(cell->items[i].ver, life->birth))
            return false;
    return true;
}

/* Values to write: a column that was never written in any life needs none if none after it was. */
static uint32_t count_written(const struct row *row, uint32_t count)
{
    for (; count > 0; count--)
        for (uint32_t i = 0; i < row->life_count; i++) {
            const struct row_life *life = &row->lives[i];
            if (!life->ended && (life->cells[count - 1].ver.stamp != 0 || life->cells[count - 1].part_count > 0))
                return count;
        }
    return 0;
}

/* Is one version enough for the row? Then nothing else is stored. */
static bool encode_simple(const struct row *row, const struct row_schema *schema, const struct value *shown, struct buf *out)
{
    const struct row_life *life = row->lives;
    if (row->life_count != 1 || life->ended)
        return false;
    uint32_t count = count_written(row, schema->count);
    for (uint32_t i = 0; i < count; i++) {
        const struct row_cell *cell = &life->cells[i];
        if (codes_as_counter(schema, i) ? !counter_untouched(&schema->columns[i], life, cell) : !ver_eq(cell->ver, life->birth))
            return false;
    }
    put_simple_head(out, RECORD_LIVE | RECORD_SIMPLE, life->birth, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!codes_as_counter(schema, i)) {
            value_encode(out, shown != NULL ? &shown[i] : &life->cells[i].value);
            continue;
        }
        struct value sum = row_counter_value(&schema->columns[i], row_counter_sum(&schema->columns[i], &life->cells[i]));
        value_encode(out, &sum);
    }
    return true;
}

static struct ver part_ver(const struct row_part *part)
{
    return (struct ver){.stamp = part->last, .chain = part->chain};
}

/* The code of a version: the birth's, one of the dictionary's, or the one that means "written out". */
static uint32_t ver_code(const struct encoder *e, const struct row_life *life, struct ver ver)
{
    if (ver_eq(ver, life->birth))
        return CODE_BIRTH;
    uint32_t i = 0;
    while (i < e->dict_count && !ver_eq(e->dict[i], ver))
        i++;
    return CODE_OTHER + i;
}

static void dict_add(struct encoder *e, const struct row_life *life, struct ver ver)
{
    if (e->dict_count < DICT_MAX && ver_code(e, life, ver) == CODE_OTHER + e->dict_count)
        e->dict[e->dict_count++] = ver;
}

static uint32_t counter_code(const struct encoder *e, const struct row_life *life, uint32_t column)
{
    const struct row_cell *cell = &life->cells[column];
    if (cell->part_count == 0)
        return cell->ver.stamp == 0 ? CODE_NEVER : CODE_BIRTH;
    if (!e->several && counter_untouched(&e->schema->columns[column], life, cell))
        return CODE_BIRTH;
    return CODE_OTHER;
}

static bool lost(const struct encoder *e, const struct row_cell *cell, uint32_t column)
{
    return e->several && cell->ver.stamp != 0 && !ver_eq(cell->ver, row_shown_cell(e->row, e->schema, e->chains, column)->ver);
}

static uint32_t cell_code(const struct encoder *e, const struct row_life *life, uint32_t column)
{
    const struct row_cell *cell = &life->cells[column];
    if (codes_as_counter(e->schema, column))
        return counter_code(e, life, column) << e->several;
    uint32_t code = cell->ver.stamp == 0 ? CODE_NEVER : ver_code(e, life, cell->ver);
    return e->several ? code << 1 | lost(e, cell, column) : code;
}

static void dict_fill(struct encoder *e)
{
    for (uint32_t l = 0; l < e->row->life_count; l++) {
        const struct row_life *life = &e->row->lives[l];
        if (life->ended)
            continue;
        for (uint32_t i = 0; i < e->count; i++) {
            const struct row_cell *cell = &life->cells[i];
            if (!codes_as_counter(e->schema, i)) {
                if (cell->ver.stamp != 0)
                    dict_add(e, life, cell->ver);
            } else if (counter_code(e, life, i) == CODE_OTHER) {
                for (uint32_t p = 0; p < cell->part_count; p++)
                    dict_add(e, life, part_ver(&cell->parts[p]));
            }
        }
    }
}

static void put_ver(const struct encoder *e, struct ver ver)
{
    buf_varint(e->out, ver.chain);
    buf_varint(e->out, zigzag((int64_t)(ver.stamp - e->base)));
}

/* Written out where the dictionary was full. */
static void put_ver_inline(const struct encoder *e, uint32_t code, struct ver ver)
{
    if (code == CODE_OTHER + e->dict_count)
        put_ver(e, ver);
}

static void put_parts(const struct encoder *e, const struct row_life *life, uint32_t column)
{
    const struct row_cell *cell = &life->cells[column];
    const struct row_column *c = &e->schema->columns[column];
    __int128 sum = row_counter_sum(c, cell);
    struct value shown = row_counter_value(c, sum);
    bool derived = !e->several && row_counter_number(c, &shown) == sum; /* then the last part is what is left of the visible sum */
    buf_varint(e->out, (uint64_t)cell->part_count << 2 | (uint64_t)(cell->ver.stamp != 0) << 1 | derived);
    for (uint32_t p = 0; p < cell->part_count; p++) {
        const struct row_part *part = &cell->parts[p];
        uint32_t code = ver_code(e, life, part_ver(part));
        buf_varint(e->out, code);
        put_ver_inline(e, code, part_ver(part));
        if (!derived || p + 1 < cell->part_count)
            sum_put(e->out, dec_get(part->sum));
    }
}

static void put_extra(const struct encoder *e, const struct row_life *life, uint32_t column)
{
    const struct row_cell *cell = &life->cells[column];
    if (codes_as_counter(e->schema, column)) {
        if (counter_code(e, life, column) == CODE_OTHER)
            put_parts(e, life, column);
        return;
    }
    if (cell->ver.stamp == 0)
        return;
    put_ver_inline(e, ver_code(e, life, cell->ver), cell->ver);
    if (lost(e, cell, column))
        value_encode(e->out, &cell->value);
}

/* One life's registers: mode, bitmap of codes that are not 0, the codes unless all are the plain one, then the extras. */
static void put_life(const struct encoder *e, const struct row_life *life)
{
    struct buf *out = e->out;
    size_t mode_at = out->len, map_bytes = (e->count + 7u) / 8u;
    uint32_t plain = (uint32_t)CODE_OTHER << e->several;
    bool any = false, all_plain = true;
    uint8_t *room = buf_reserve(out, 1 + map_bytes);
    if (room == NULL)
        return;
    memset(room, 0, 1 + map_bytes);
    out->len += 1 + map_bytes;
    for (uint32_t i = 0; i < e->count; i++) {
        uint32_t code = cell_code(e, life, i);
        if (code == 0)
            continue;
        any = true;
        all_plain = all_plain && code == plain;
        buf_varint(out, code);
        if (out->failed)
            return;
        out->data[mode_at + 1 + i / 8] |= (uint8_t)(1u << (i % 8));
    }
    out->data[mode_at] = !any ? MAP_NONE : all_plain ? MAP_PLAIN : MAP_CODES;
    if (!any)
        out->len = mode_at + 1;
    else if (all_plain)
        out->len = mode_at + 1 + map_bytes;
    for (uint32_t i = 0; any && i < e->count; i++)
        put_extra(e, life, i);
}

static void put_meta(struct encoder *e)
{
    const struct row *row = e->row;
    uint64_t last = 0;
    buf_varint(e->out, row->life_count);
    for (uint32_t l = 0; l < row->life_count; l++) {
        const struct row_life *life = &row->lives[l];
        if (l == 0)
            buf_u64(e->out, life->birth.stamp);
        else
            buf_varint(e->out, life->birth.stamp - last);
        last = life->birth.stamp;
        buf_varint(e->out, (uint64_t)life->birth.chain << 1 | life->ended);
    }
    if (e->base == 0)
        return;
    dict_fill(e);
    buf_varint(e->out, e->dict_count);
    for (uint32_t i = 0; i < e->dict_count; i++)
        put_ver(e, e->dict[i]);
    for (uint32_t l = 0; l < row->life_count; l++)
        if (!row->lives[l].ended)
            put_life(e, &row->lives[l]);
}

/* Put the length of all that follows `at` before it. */
static void prefix_length(struct buf *out, size_t at)
{
    size_t n = out->len - at;
    buf_varint(out, n);
    if (out->failed)
        return;
    uint8_t length[10];
    size_t length_bytes = out->len - at - n;
    memcpy(length, out->data + at + n, length_bytes);
    memmove(out->data + at + length_bytes, out->data + at, n);
    memcpy(out->data + at, length, length_bytes);
}

/* The values that show, where records are not made of them anyway: a table with a SET, or a row that codes cannot tell. *shown stays NULL for all others. */
static quartet_status show(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, bool whole, struct arena *a,
                           struct value **shown, struct err *err)
{
    bool wanted = whole;
    for (uint32_t i = 0; i < schema->count && !wanted && schema->observes; i++)
        wanted = schema->columns[i].kind == ROW_SET;
    *shown = NULL;
    if (!wanted || !row_live(row))
        return QUARTET_OK;
    *shown = arena_alloc(a, (schema->count + 1u) * sizeof **shown);
    return *shown != NULL && row_show(row, schema, chains, a, *shown) ? QUARTET_OK : arena_fail(a, err);
}

static quartet_status encode_codes(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, const struct value *shown,
                                   struct arena *a, struct buf *out, struct err *err)
{
    struct encoder e;
    memset(&e, 0, offsetof(struct encoder, dict)); /* the list of versions is told by dict_count */
    e.row = row;
    e.schema = schema;
    e.chains = chains;
    e.out = out;
    uint32_t unended = 0;
    for (uint32_t l = row->life_count; l-- > 0;)
        if (!row->lives[l].ended) {
            unended++;
            e.base = row->lives[l].birth.stamp;
        }
    e.several = unended > 1;
    e.count = unended > 0 ? count_written(row, schema->count) : 0;
    buf_u8(out, unended > 0 ? RECORD_LIVE : 0);
    size_t at = out->len;
    put_meta(&e);
    prefix_length(out, at);
    if (unended > 0)
        buf_varint(out, e.count);
    const struct row_cell *only = row->life_count == 1 ? row->lives[0].cells : NULL; /* as nearly every row that was updated: nothing to choose */
    for (uint32_t i = 0; i < e.count; i++) {
        struct value v;
        if (shown != NULL)
            v = shown[i];
        else if (only != NULL && schema->columns[i].kind == ROW_LWW)
            v = only[i].ver.stamp != 0 ? only[i].value : schema->columns[i].missing;
        else if (!row_show_column(row, schema, chains, i, a, &v))
            return arena_fail(a, err);
        value_encode(out, &v);
    }
    return buf_check(out, err);
}

static quartet_status encode_whole(const struct row *row, const struct row_schema *schema, const struct value *shown, struct arena *a, struct buf *out,
                                   struct err *err)
{
    uint32_t count = shown != NULL ? count_written(row, schema->count) : 0;
    buf_u8(out, shown != NULL ? RECORD_LIVE : 0);
    size_t at = out->len;
    quartet_status rc = whole_put(row, schema, shown, count, a, out, err);
    if (rc != QUARTET_OK)
        return rc;
    prefix_length(out, at);
    if (shown != NULL)
        buf_varint(out, count);
    for (uint32_t i = 0; i < count; i++)
        value_encode(out, &shown[i]);
    return buf_check(out, err);
}

quartet_status row_encode(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, struct buf *out,
                          struct err *err)
{
    QASSERT(row->life_count > 0);
    struct arena a = {0};
    struct value *shown;
    bool whole = whole_needed(row, schema);
    quartet_status rc = show(row, schema, chains, whole, &a, &shown, err);
    if (rc == QUARTET_OK && whole)
        rc = encode_whole(row, schema, shown, &a, out, err);
    else if (rc == QUARTET_OK && !encode_simple(row, schema, shown, out))
        rc = encode_codes(row, schema, chains, shown, &a, out, err);
    if (rc == QUARTET_OK)
        rc = buf_check(out, err);
    arena_free_all(&a);
    return rc;
}
