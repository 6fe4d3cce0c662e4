/* table_pending.c - what a transaction has done to a row, net: read from a pending row, and brought up to date by an UPDATE.
 * Why the visible values tell most of it: a plain column's write is its value. What they do not tell are items: what was added to a COUNTER, which elements of a
 *   SET came and went (so that others', not seen, stay), that a MAXIMUM began anew.
 * Item: varint record column, u8 op; COUNTER: u64 lo, u64 hi of the sum; SET: the element as an encoded TEXT; else nothing.
 * Invariants: items ascend by column, a SET's by element, each once.
 * Not here: the delta (txn_commit.c), index entries (table_write.c). */
#include <stdlib.h>
#include <string.h>

#include "kind.h"
#include "txn_internal.h"

bool pending_next(struct bytes_in *items, const struct row_schema *schema, struct pending_item *out)
{
    if (items->left == 0 || items->bad)
        return false;
    uint64_t column = bytes_varint(items);
    *out = (struct pending_item){.column = (uint32_t)column, .op = bytes_u8(items)};
    if (items->bad || column >= schema->count) {
        items->bad = true;
        return false;
    }
    if (schema->columns[column].kind == ROW_COUNTER) {
        struct dec128 d = {.lo = bytes_u64(items)};
        d.hi = (int64_t)bytes_u64(items);
        out->sum = dec_get(d);
    } else if (schema->columns[column].kind == ROW_SET) {
        struct value token;
        if (!value_decode(items, &token) || token.type != VALUE_TEXT)
            items->bad = true;
        else
            out->token = token.s;
    }
    return !items->bad;
}

struct element { /* of a SET that came or went */
    uint32_t column, at; /* at: later ones count */
    struct kind_change change;
};
struct net {
    const struct table_def *table;
    uint8_t *map;
    __int128 *sums;
    bool *anew;
    struct element *elements;
    uint32_t element_count, element_cap;
    struct arena *a;
    struct err *err;
};

static quartet_status add_elements(struct net *n, uint32_t column, const struct kind_change *changes, uint32_t count)
{
    if (n->element_cap - n->element_count < count) {
        uint32_t cap = n->element_count * 2 + count;
        struct element *grown = arena_alloc(n->a, (size_t)cap * sizeof *grown);
        if (grown == NULL)
            return arena_fail(n->a, n->err);
        if (n->element_count > 0)
            memcpy(grown, n->elements, n->element_count * sizeof *grown);
        n->elements = grown;
        n->element_cap = cap;
    }
    for (uint32_t i = 0; i < count; i++) {
        n->elements[n->element_count] = (struct element){.column = column, .at = n->element_count, .change = changes[i]};
        n->element_count++;
    }
    return QUARTET_OK;
}

static quartet_status open_net(struct net *n, const struct pending *prior)
{
    uint32_t count = n->table->rows.count;
    size_t map_n = (count + 7u) / 8u;
    quartet_status rc = QUARTET_OK;
    n->map = arena_zalloc(n->a, map_n + 1, 1);
    n->sums = arena_zalloc(n->a, count + 1u, sizeof *n->sums);
    n->anew = arena_zalloc(n->a, count + 1u, sizeof *n->anew);
    if (n->map == NULL || n->sums == NULL || n->anew == NULL)
        return arena_fail(n->a, n->err);
    if (prior == NULL || prior->flags != 0)
        return QUARTET_OK;
    if (prior->bitmap.n > 0)
        memcpy(n->map, prior->bitmap.p, prior->bitmap.n < map_n ? prior->bitmap.n : map_n);
    struct bytes_in items = prior->items;
    struct pending_item item;
    while (rc == QUARTET_OK && pending_next(&items, &n->table->rows, &item)) {
        uint8_t kind = n->table->rows.columns[item.column].kind;
        if (kind == ROW_COUNTER)
            n->sums[item.column] = item.sum;
        else if (kind == ROW_SET)
            rc = add_elements(n, item.column, &(struct kind_change){.op = item.op, .token = item.token}, 1);
        else
            n->anew[item.column] = true;
    }
    if (rc == QUARTET_OK && items.bad)
        rc = err_set(n->err, QUARTET_INTERNAL, "damaged pending row of table %s", n->table->name);
    return rc;
}

/* ---- one write, by the column's kind ---- */

static quartet_status write_counter(struct net *n, uint32_t at, const struct column_def *c, const struct table_write *w, struct value *v)
{
    const struct row_column *rc = &n->table->rows.columns[at];
    if (w->value.type == VALUE_NULL)
        return err_set(n->err, QUARTET_CONSTRAINT, "the COUNTER column %s.%s cannot be NULL", n->table->name, c->name);
    __int128 before = row_counter_number(rc, v), by = row_counter_number(rc, &w->value);
    __int128 add = w->op == ROW_ADD ? by : by - before;
    *v = row_counter_value(rc, before + add);
    if (row_counter_number(rc, v) != before + add)
        return err_set(n->err, QUARTET_ERROR, "overflow in the COUNTER column %s.%s", n->table->name, c->name);
    n->sums[at] += add;
    return QUARTET_OK;
}

static quartet_status write_set(struct net *n, uint32_t at, const struct table_write *w, struct value *v)
{
    struct kind_change *changes;
    uint32_t count;
    quartet_status rc = w->op == ROW_PUT ? kind_difference(v, &w->value, n->a, &changes, &count, n->err) : kind_changes(w->value.s, n->a, &changes, &count, n->err);
    if (rc == QUARTET_OK)
        rc = add_elements(n, at, changes, count);
    return rc == QUARTET_OK ? kind_changed(v, changes, count, n->a, v, n->err) : rc;
}

static quartet_status write_one(struct net *n, const struct table_write *w, struct value *v)
{
    const struct column_def *c = &n->table->columns[w->column];
    if (c->record_at < 0)
        return err_set(n->err, QUARTET_INTERNAL, "table_update of key column %s.%s", n->table->name, c->name);
    uint32_t at = (uint32_t)c->record_at;
    uint8_t bit = (uint8_t)(1u << (at % 8));
    switch (c->kind) {
    case ROW_COUNTER: return write_counter(n, at, c, w, v);
    case ROW_SET: return write_set(n, at, w, v);
    case ROW_MAXIMUM: case ROW_MINIMUM:
        if (w->op != ROW_CUT && kind_extreme(c->kind, v, &w->value) == v)
            return QUARTET_OK; /* what is there holds */
        n->anew[at] |= w->op == ROW_CUT;
        break;
    default: break;
    }
    n->map[at / 8] |= bit;
    *v = w->value;
    return QUARTET_OK;
}

/* ---- meta ---- */

static int element_order(const void *x, const void *y)
{
    const struct element *a = x, *b = y;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    int c = row_token_cmp(a->change.token, b->change.token);
    return c != 0 ? c : a->at < b->at ? -1 : a->at > b->at;
}

static void put_items(struct net *n, struct buf *meta)
{
    uint32_t e = 0;
    if (n->element_count > 1)
        qsort(n->elements, n->element_count, sizeof *n->elements, element_order);
    for (uint32_t i = 0; i < n->table->rows.count; i++) {
        if (n->sums[i] != 0) {
            struct dec128 d = dec_make(n->sums[i]);
            buf_varint(meta, i);
            buf_u8(meta, ROW_ADD);
            buf_u64(meta, d.lo);
            buf_u64(meta, (uint64_t)d.hi);
        }
        if (n->anew[i]) {
            buf_varint(meta, i);
            buf_u8(meta, ROW_CUT);
        }
        for (; e < n->element_count && n->elements[e].column == i; e++) {
            const struct element *one = &n->elements[e];
            if (e + 1 < n->element_count && one[1].column == i && row_token_cmp(one[1].change.token, one->change.token) == 0)
                continue; /* a later change of the same */
            struct value token = {.type = VALUE_TEXT, .s = one->change.token};
            buf_varint(meta, i);
            buf_u8(meta, one->change.op);
            value_encode(meta, &token);
        }
    }
}

quartet_status pending_update(const struct table_def *table, const struct pending *prior, const struct table_write *writes, uint32_t count, struct value *values,
                              struct arena *a, struct buf *meta, struct err *err)
{
    struct net n = {.table = table, .a = a, .err = err};
    quartet_status rc = open_net(&n, prior);
    for (uint32_t i = 0; i < count && rc == QUARTET_OK; i++)
        rc = write_one(&n, &writes[i], &values[writes[i].column]);
    if (rc != QUARTET_OK)
        return rc;
    buf_clear(meta);
    if (prior != NULL && (prior->flags & ROW_OP_INSERT) != 0) { /* the visible values say all */
        buf_u8(meta, prior->flags);
    } else {
        buf_u8(meta, 0);
        buf_put(meta, n.map, (table->rows.count + 7u) / 8u);
        put_items(&n, meta);
    }
    return meta->failed ? err_nomem(err) : QUARTET_OK;
}
