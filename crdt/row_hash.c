/* row_hash.c - the state hash: what nodes compare to know that they converged.
 * Why a sum: it is free of order and can be corrected by one row at a time. Why over logical content: chain numbers, column
 *   positions, records and folded counters differ between nodes that hold the same. A row's bytes are hashed with XXH3 (128
 *   bits): it guards against our mistakes, not against a member that lies.
 * Not here: which rows are hashed and when (engine). */
#include "row_cell.h"

#include <string.h>
#include <xxhash.h>

/* After each column's id plus 1. */
enum { MARK_END = 0, MARK_BIRTH = 1, MARK_VERSION = 2, MARK_COUNTER = 3, MARK_COUNTER_SET = 4, MARK_ITEM = 5, MARK_ANEW = 6 };

void state_hash_add(struct state_hash *sum, struct state_hash x)
{
    uint64_t lo = sum->lo + x.lo;
    sum->hi += x.hi + (lo < x.lo);
    sum->lo = lo;
}

void state_hash_sub(struct state_hash *sum, struct state_hash x)
{
    uint64_t borrow = sum->lo < x.lo;
    sum->lo -= x.lo;
    sum->hi -= x.hi + borrow;
}

/* The stamp alone, which holds the slot: what a chain is called may change when its fork becomes known (chain.h). */
static void put_ver(struct buf *out, const struct chain_table *chains, struct ver ver)
{
    (void)chains; /* see above */
    uint8_t raw[8];
    store_le64(raw, ver.stamp);
    buf_put(out, raw, sizeof raw);
}

static uint8_t *add_varint(uint8_t *to, uint64_t v)
{
    for (; v >= 0x80u; v >>= 7)
        *to++ = (uint8_t)(v | 0x80u);
    *to++ = (uint8_t)v;
    return to;
}

static void put_counter(struct buf *out, const struct row_cell *cell, bool set, uint32_t id)
{
    unsigned __int128 sum = 0;
    for (uint32_t i = 0; i < cell->part_count; i++)
        sum += (unsigned __int128)dec_get(cell->parts[i].sum);
    if (!set && sum == 0)
        return; /* as if never written: folding may have taken the parts */
    buf_varint(out, (uint64_t)id + 1);
    buf_u8(out, set ? MARK_COUNTER_SET : MARK_COUNTER);
    buf_u64(out, (uint64_t)sum);
    buf_u64(out, (uint64_t)(sum >> 64));
}

static void put_cell(struct buf *out, const struct row_life *life, const struct row_cell *cell, uint32_t id,
                     const struct chain_table *chains)
{
    if (cell->ver.stamp == 0)
        return;
    (void)chains; /* as put_ver */
    bool birth = ver_eq(cell->ver, life->birth);
    uint8_t *to = buf_reserve(out, 10 + 1 + 8); /* at once: this is for each column of each row that is updated, twice */
    if (to == NULL)
        return;
    to = add_varint(to, (uint64_t)id + 1);
    *to++ = birth ? MARK_BIRTH : MARK_VERSION;
    if (!birth) {
        store_le64(to, cell->ver.stamp);
        to += 8;
    }
    out->len = (size_t)(to - out->data);
    value_encode(out, &cell->value);
}

/* A SET's and a MULTIVALUE's marks tell nothing that shows, ever; a MAXIMUM's decides what later writes do. */
static void put_items(struct buf *out, const struct row_cell *cell, const struct row_column *column, uint32_t id, const struct chain_table *chains)
{
    bool extreme = column->kind == ROW_MAXIMUM || column->kind == ROW_MINIMUM;
    for (uint32_t i = 0; i < cell->part_count; i++) {
        bool mark = item_is_mark(&cell->items[i]);
        if (mark && !extreme)
            continue;
        buf_varint(out, (uint64_t)id + 1);
        buf_u8(out, mark ? MARK_ANEW : MARK_ITEM);
        put_ver(out, chains, cell->items[i].ver);
        if (!mark)
            value_encode(out, &cell->items[i].value);
    }
}

static void put_register(struct buf *out, const struct row_life *life, uint32_t at, const struct row_column *column, uint32_t id,
                         const struct chain_table *chains)
{
    const struct row_cell *cell = &life->cells[at];
    if (column->kind == ROW_COUNTER && !column->over_lww) {
        put_counter(out, cell, cell->ver.stamp != 0, id);
        return;
    }
    put_cell(out, life, cell, id, chains);
    if (column->kind == ROW_COUNTER)
        put_counter(out, cell, false, id);
    else if (cell_has_items(column))
        put_items(out, cell, column, id, chains);
}

/* Positions in ascending order of their ids. They nearly always are already, so insertion sort takes one pass. */
static void order_of(const uint32_t *ids, uint32_t count, uint16_t *order)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        for (; at > 0 && ids[order[at - 1]] > ids[i]; at--)
            order[at] = order[at - 1];
        order[at] = (uint16_t)i;
    }
}

struct state_hash row_hash(const struct row *row, const struct row_schema *schema, const uint32_t *column_ids, uint64_t table_id,
                           struct slice key, const struct chain_table *chains, struct buf *scratch)
{
    uint16_t order[ROW_COLUMNS_MAX];
    QASSERT(schema->count <= ROW_COLUMNS_MAX);
    if (!row_live(row))
        return (struct state_hash){0};
    order_of(column_ids, schema->count, order);
    buf_clear(scratch);
    buf_u64(scratch, table_id);
    buf_varint(scratch, key.n);
    buf_put(scratch, key.p, key.n);
    for (uint32_t l = 0; l < row->life_count; l++) {
        const struct row_life *life = &row->lives[l];
        if (life->ended)
            continue;
        put_ver(scratch, chains, life->birth);
        for (uint32_t i = 0; i < schema->count; i++) {
            uint32_t column = order[i];
            put_register(scratch, life, column, &schema->columns[column], column_ids[column], chains);
        }
        buf_u8(scratch, MARK_END);
    }
    if (scratch->failed)
        return (struct state_hash){0};
    XXH128_hash_t h = XXH3_128bits(scratch->data, scratch->len);
    return (struct state_hash){.lo = h.low64, .hi = h.high64};
}

struct state_hash row_hash_plain(const struct row_plain *row, const uint32_t *column_ids, uint64_t table_id, struct slice key,
                                 const struct chain_table *chains, struct buf *scratch)
{
    size_t values = row->count > 0 ? row->ends[row->count - 1] : 0;
    buf_clear(scratch);
    uint8_t *start = buf_reserve(scratch, 8 + 10 + key.n + 8 + values + (size_t)row->count * 6 + 1), *to = start;
    if (start == NULL)
        return (struct state_hash){0};
    (void)chains; /* as put_ver */
    store_le64(to, table_id);
    to = add_varint(to + 8, key.n);
    bytes_copy(to, key.p, key.n);
    to += key.n;
    store_le64(to, row->ver.stamp);
    to += 8;
    for (uint32_t i = 0, from = 0; i < row->count; from = row->ends[i++]) {
        QASSERT(i == 0 || column_ids[i - 1] < column_ids[i]);
        to = add_varint(to, (uint64_t)column_ids[i] + 1);
        *to++ = MARK_BIRTH;
        bytes_copy(to, row->values + from, row->ends[i] - from);
        to += row->ends[i] - from;
    }
    *to++ = MARK_END;
    XXH128_hash_t h = XXH3_128bits(start, (size_t)(to - start));
    return (struct state_hash){.lo = h.low64, .hi = h.high64};
}
