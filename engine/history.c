/* history.c - entries of history made and taken back, late operations, and rows as of a stamp.
 * Why differences: most updates change a column or two; an entry is then a record whose columns are those of the table, so that blocks pack the old values
 *   by column as they pack the rows, with one version for all of them where they share it.
 * Entry, a record (crdt/row.h): not live: the whole old record of a row that was not live. Live, by its first value: INTEGER, a bitmap of columns, the
 *   values that they had follow in their places, all of the record's version; BLOB, registers one after the other; NULL, the whole old record's flags,
 *   version or meta, and its values follow.
 * Why late operations are kept whole: what they do to an old state depends on that state. With its writer's vector, cut to the chains that ever
 *   began a life of this row, it merges into every state alike, on every node.
 * Not here: where entries are kept (kv_past.c), who calls for them (apply.c). */
#include "history.h"

#include <string.h>

#include "crdt/row_cell.h"

#define MASK_COLUMNS 62u /* columns that a bitmap in an INTEGER can name */

/* ---- entries ---- */

quartet_status history_save(const struct row *row, const struct row_schema *schema, const struct row_op *op, struct arena *a, struct history_saved *out,
                            struct err *err)
{
    *out = (struct history_saved){.whole = (op->flags & (ROW_OP_DELETE | ROW_OP_INSERT)) != 0 || row->life_count != 1 || row->lives[0].ended || schema->updates_win};
    if (out->whole)
        return QUARTET_OK;
    out->columns = arena_alloc(a, (op->write_count + 1u) * sizeof *out->columns);
    out->cells = arena_alloc(a, (op->write_count + 1u) * sizeof *out->cells);
    if (out->columns == NULL || out->cells == NULL)
        return arena_fail(a, err);
    for (uint32_t i = 0; i < op->write_count; i++) {
        uint32_t column = op->writes[i].column, n = out->count;
        if (column >= schema->count)
            return err_set(err, QUARTET_INTERNAL, "a write to column %u of %u", column, schema->count);
        if (n > 0 && out->columns[n - 1] == column)
            continue; /* several elements of one SET */
        out->count++;
        const struct row_cell *cell = &row->lives[0].cells[column];
        out->columns[n] = column;
        out->cells[n] = *cell;
        if (schema->columns[column].kind != ROW_COUNTER || cell->part_count == 0)
            continue; /* lists of items never change in place */
        out->cells[n].parts = arena_dup(a, cell->parts, cell->part_count * sizeof *cell->parts); /* parts are changed in place */
        if (out->cells[n].parts == NULL)
            return arena_fail(a, err);
    }
    return QUARTET_OK;
}

static bool same_parts(const struct row_cell *x, const struct row_cell *y)
{
    for (uint32_t i = 0; i < x->part_count; i++)
        if (x->parts[i].chain != y->parts[i].chain || x->parts[i].last != y->parts[i].last)
            return false;
    return true;
}

/* A list that was not changed is still the same memory; one that was differs in its versions or in what they stand for. */
static bool same_items(const struct row_cell *x, const struct row_cell *y)
{
    bool same = true;
    for (uint32_t i = 0; i < x->part_count && x->items != y->items && same; i++)
        same = ver_eq(x->items[i].ver, y->items[i].ver) && item_is_mark(&x->items[i]) == item_is_mark(&y->items[i]) &&
               (item_is_mark(&x->items[i]) || value_identical(&x->items[i].value, &y->items[i].value));
    return same;
}

static bool cell_changed(const struct row_column *c, const struct row_cell *was, const struct row_cell *is)
{
    return !ver_eq(was->ver, is->ver) || was->part_count != is->part_count || (cell_has_items(c) ? !same_items(was, is) : !same_parts(was, is));
}

/* The registers that did change; false: a bitmap and one version cannot tell them. */
static bool changed_columns(const struct history_saved *s, const struct row_schema *schema, const struct row *now, uint64_t *mask, struct ver *ver, uint32_t *end)
{
    bool plain = true;
    *mask = 0;
    *end = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t c = s->columns[i];
        if (!cell_changed(&schema->columns[c], &s->cells[i], &now->lives[0].cells[c]))
            continue;
        plain = plain && c < MASK_COLUMNS && s->cells[i].part_count == 0 && now->lives[0].cells[c].part_count == 0 && s->cells[i].ver.stamp != 0 &&
                (*mask == 0 || ver_eq(*ver, s->cells[i].ver));
        if (!plain)
            return false;
        *ver = s->cells[i].ver;
        *mask |= 1ull << c;
        *end = c + 1 > *end ? c + 1 : *end;
    }
    return true;
}

static void put_items(const struct row_cell *cell, struct buf *out)
{
    for (uint32_t i = 0; i < cell->part_count; i++) {
        buf_u16(out, cell->items[i].ver.chain);
        buf_u64(out, cell->items[i].ver.stamp);
        buf_u8(out, item_is_mark(&cell->items[i]));
        if (!item_is_mark(&cell->items[i]))
            value_encode(out, &cell->items[i].value);
    }
}

static void put_registers(const struct history_saved *s, const struct row_schema *schema, const struct row *now, struct buf *out)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct row_cell *cell = &s->cells[i];
        const struct row_column *c = &schema->columns[s->columns[i]];
        if (!cell_changed(c, cell, &now->lives[0].cells[s->columns[i]]))
            continue;
        buf_varint(out, s->columns[i]);
        buf_u64(out, cell->ver.stamp);
        buf_u16(out, cell->ver.chain);
        value_encode(out, &cell->value);
        buf_varint(out, cell->part_count);
        if (cell_has_items(c))
            put_items(cell, out);
        for (uint32_t p = 0; !cell_has_items(c) && p < cell->part_count; p++) {
            buf_u16(out, cell->parts[p].chain);
            buf_u64(out, cell->parts[p].last);
            buf_u64(out, cell->parts[p].sum.lo);
            buf_u64(out, (uint64_t)cell->parts[p].sum.hi);
        }
    }
}

quartet_status history_entry_whole(struct slice old_record, struct buf *out, struct buf *scratch, struct err *err)
{
    struct record_view view;
    struct value null = VALUE_NULL_INIT;
    if (!record_view(old_record, &view))
        return err_set(err, QUARTET_CORRUPT, "damaged record");
    if ((view.flags & RECORD_LIVE) != 0) {
        buf_clear(scratch);
        value_encode(scratch, &null);
        buf_put(scratch, view.values.p, view.values.n);
        if (scratch->failed)
            return err_nomem(err);
        view.value_count++;
        view.values = slice_of(scratch->data, scratch->len);
    }
    record_put(out, &view);
    return out->failed ? err_nomem(err) : QUARTET_OK;
}

quartet_status history_entry(const struct history_saved *saved, const struct row_schema *schema, const struct row *now, struct slice old_record,
                             struct buf *out, struct buf *scratch, struct err *err)
{
    uint64_t mask;
    struct ver ver = {0};
    uint32_t end;
    if (saved->whole)
        return history_entry_whole(old_record, out, scratch, err);
    struct record_view view = {.flags = RECORD_LIVE, .value_count = 1};
    buf_clear(scratch);
    if (changed_columns(saved, schema, now, &mask, &ver, &end)) {
        struct value first = value_int((int64_t)mask), null = VALUE_NULL_INIT;
        view = (struct record_view){.flags = RECORD_LIVE | RECORD_SIMPLE, .ver = ver, .value_count = end + 1};
        value_encode(scratch, &first);
        for (uint32_t c = 0; c < end; c++) {
            const struct value *v = &null;
            for (uint32_t i = 0; (mask >> c & 1) != 0 && i < saved->count; i++)
                if (saved->columns[i] == c)
                    v = &saved->cells[i].value;
            value_encode(scratch, v);
        }
    } else {
        struct buf registers = {0};
        put_registers(saved, schema, now, &registers);
        struct value blob = {.type = VALUE_BLOB, .s = slice_of(registers.data, registers.len)};
        if (!registers.failed)
            value_encode(scratch, &blob);
        scratch->failed |= registers.failed;
        buf_deinit(&registers);
    }
    if (scratch->failed)
        return err_nomem(err);
    view.values = slice_of(scratch->data, scratch->len);
    record_put(out, &view);
    return out->failed ? err_nomem(err) : QUARTET_OK;
}

static quartet_status damaged(struct err *err)
{
    return err_set(err, QUARTET_CORRUPT, "a damaged entry of history");
}

/* The first value of a live entry says which kind it is. */
static bool entry_open(struct slice entry, struct record_view *view, struct value *first, struct bytes_in *rest)
{
    *first = VALUE_NULL_INIT;
    if (!record_view(entry, view))
        return false;
    *rest = bytes_in(view->values.p, view->values.n);
    return (view->flags & RECORD_LIVE) == 0 || (view->value_count > 0 && value_decode(rest, first));
}

bool history_entry_is_whole(struct slice entry)
{
    struct record_view view;
    struct value first;
    struct bytes_in rest;
    return entry_open(entry, &view, &first, &rest) && ((view.flags & RECORD_LIVE) == 0 || first.type == VALUE_NULL);
}

static quartet_status undo_whole(struct row *row, const struct row_schema *schema, const struct record_view *entry, struct bytes_in rest, struct arena *a,
                                 struct err *err)
{
    struct record_view view = *entry;
    struct buf record = {0};
    if ((view.flags & RECORD_LIVE) != 0) {
        view.value_count--;
        view.values = slice_of(view.values.p + view.values.n - rest.left, rest.left);
    }
    record_put(&record, &view);
    uint8_t *copy = record.failed ? NULL : arena_dup(a, record.data, record.len);
    size_t n = record.len;
    buf_deinit(&record);
    return copy == NULL ? arena_fail(a, err) : row_decode(slice_of(copy, n), schema, a, row, err);
}

static quartet_status undo_columns(struct row_cell *cells, const struct row_schema *schema, const struct record_view *view, uint64_t mask,
                                   struct bytes_in rest, struct err *err)
{
    for (uint32_t c = 0; c + 1 < view->value_count; c++) {
        struct value v;
        if (!value_decode(&rest, &v))
            return damaged(err);
        if (c >= MASK_COLUMNS || (mask >> c & 1) == 0)
            continue;
        if (c >= schema->count)
            return damaged(err);
        cells[c] = (struct row_cell){.ver = view->ver, .value = v};
    }
    return QUARTET_OK;
}

static void get_item(struct bytes_in *in, struct row_item *item)
{
    item->ver.chain = bytes_u16(in);
    item->ver.stamp = bytes_u64(in);
    if (bytes_u8(in) == 0)
        (void)value_decode(in, &item->value); /* in->bad tells */
}

static quartet_status undo_registers(struct row_cell *cells, const struct row_schema *schema, struct slice bytes, struct arena *a, struct err *err)
{
    struct bytes_in in = bytes_in(bytes.p, bytes.n);
    while (in.left > 0) {
        uint64_t column = bytes_varint(&in);
        struct row_cell cell = {.value = VALUE_NULL_INIT};
        cell.ver.stamp = bytes_u64(&in);
        cell.ver.chain = bytes_u16(&in);
        if (in.bad || column >= schema->count || !value_decode(&in, &cell.value))
            return damaged(err);
        bool items = cell_has_items(&schema->columns[column]);
        cell.part_count = bytes_count(&in, items ? 11 : 26);
        cell.parts = arena_zalloc(a, cell.part_count + 1u, items ? sizeof *cell.items : sizeof *cell.parts);
        if (cell.parts == NULL)
            return arena_fail(a, err);
        for (uint32_t p = 0; items && p < cell.part_count && !in.bad; p++)
            get_item(&in, &cell.items[p]);
        for (uint32_t p = 0; !items && p < cell.part_count; p++) {
            cell.parts[p].chain = bytes_u16(&in);
            cell.parts[p].last = bytes_u64(&in);
            cell.parts[p].sum.lo = bytes_u64(&in);
            cell.parts[p].sum.hi = (int64_t)bytes_u64(&in);
        }
        if (in.bad)
            return damaged(err);
        cells[column] = cell;
    }
    return QUARTET_OK;
}

quartet_status history_undo(struct row *row, const struct row_schema *schema, struct slice entry, struct arena *a, struct err *err)
{
    struct record_view view;
    struct value first;
    struct bytes_in rest;
    uint8_t *copy = arena_dup(a, entry.p, entry.n);
    if (copy == NULL)
        return arena_fail(a, err);
    if (!entry_open(slice_of(copy, entry.n), &view, &first, &rest))
        return damaged(err);
    if ((view.flags & RECORD_LIVE) == 0 || first.type == VALUE_NULL)
        return undo_whole(row, schema, &view, rest, a, err);
    if (row->life_count != 1 || row->lives[0].ended)
        return damaged(err);
    if (first.type == VALUE_INTEGER)
        return undo_columns(row->lives[0].cells, schema, &view, (uint64_t)first.i, rest, err);
    return first.type == VALUE_BLOB ? undo_registers(row->lives[0].cells, schema, first.s, a, err) : damaged(err);
}

hlc_stamp history_newest(const struct row *row, const struct row_schema *schema)
{
    hlc_stamp newest = 0;
    for (uint32_t i = 0; i < row->life_count; i++) {
        const struct row_life *life = &row->lives[i];
        newest = life->birth.stamp > newest ? life->birth.stamp : newest;
        for (uint32_t c = 0; life->cells != NULL && c < schema->count; c++) {
            const struct row_cell *cell = &life->cells[c];
            bool items = cell_has_items(&schema->columns[c]);
            newest = cell->ver.stamp > newest ? cell->ver.stamp : newest;
            for (uint32_t p = 0; p < cell->part_count; p++) {
                hlc_stamp last = items ? cell->items[p].ver.stamp : cell->parts[p].last;
                newest = last > newest ? last : newest;
            }
        }
        for (uint32_t k = 0; k < life->write_count; k++)
            newest = life->writes[k].last > newest ? life->writes[k].last : newest;
        for (uint32_t k = 0; k < life->delete_count; k++)
            newest = life->deletes[k].ver.stamp > newest ? life->deletes[k].ver.stamp : newest;
    }
    return newest;
}

/* ---- late operations ---- */

/* Of the writer's vector only chains that began a life of this row matter: others have no birth that it could have seen. A chain's newest life is
 * always listed, so the row as it is names them all; the writer's own births it knows by its own stamp. Where more than births is asked for, or a birth stands for folded chains', all of it. */
static uint32_t put_seen(const struct row *row, const struct row_schema *schema, const struct row_writer *w, struct buf *out)
{
    uint32_t n = 0;
    bool all = schema->observes;
    for (uint32_t i = 0; i < row->life_count && !all; i++)
        all = chain_is_sum(w->chains, row->lives[i].birth.chain);
    for (uint32_t i = 0; all && i < w->seen->count; i++) {
        n++;
        if (out == NULL)
            continue;
        buf_u16(out, w->seen->e[i].chain);
        buf_u64(out, w->seen->e[i].stamp);
    }
    if (all)
        return n;
    for (uint32_t i = 0; i < row->life_count; i++) {
        chain_no chain = row->lives[i].birth.chain;
        bool again = chain == w->ver.chain;
        for (uint32_t k = 0; k < i; k++)
            again = again || row->lives[k].birth.chain == chain;
        const struct vv_entry *e = again ? NULL : vv_find(w->seen, chain);
        if (e == NULL)
            continue;
        n++;
        if (out == NULL)
            continue;
        buf_u16(out, chain);
        buf_u64(out, e->stamp);
    }
    return n;
}

quartet_status history_late(const struct row *row, const struct row_schema *schema, const struct row_op *op, const struct row_writer *w, struct buf *out,
                            struct buf *scratch, struct err *err)
{
    buf_clear(scratch);
    buf_u8(scratch, op->flags);
    buf_varint(scratch, op->life_count);
    for (uint32_t i = 0; i < op->life_count; i++) {
        buf_u8(scratch, op->lives[i].chain.slot);
        buf_u64(scratch, op->lives[i].chain.incarnation);
        buf_u64(scratch, op->lives[i].stamp);
    }
    buf_varint(scratch, put_seen(row, schema, w, NULL));
    (void)put_seen(row, schema, w, scratch); /* as many again */
    buf_varint(scratch, op->write_count);
    for (uint32_t i = 0; i < op->write_count; i++) {
        buf_varint(scratch, op->writes[i].column);
        buf_u8(scratch, op->writes[i].op);
        value_encode(scratch, &op->writes[i].value);
    }
    struct record_view view = {.flags = RECORD_LIVE, .meta = slice_of(scratch->data, scratch->len)};
    if (!scratch->failed)
        record_put(out, &view);
    return scratch->failed || out->failed ? err_nomem(err) : QUARTET_OK;
}

static quartet_status late_read(struct slice bytes, const struct row_schema *schema, struct vv *seen, struct row_op *op, struct arena *a, struct err *err)
{
    struct bytes_in in = bytes_in(bytes.p, bytes.n);
    *op = (struct row_op){.flags = bytes_u8(&in)};
    op->life_count = bytes_count(&in, 17);
    op->lives = arena_zalloc(a, op->life_count + 1u, sizeof *op->lives);
    if (op->lives == NULL)
        return arena_fail(a, err);
    for (uint32_t i = 0; i < op->life_count; i++) {
        op->lives[i].chain.slot = bytes_u8(&in);
        op->lives[i].chain.incarnation = bytes_u64(&in);
        op->lives[i].stamp = bytes_u64(&in);
    }
    *seen = (struct vv){.count = bytes_count(&in, 10)};
    seen->e = arena_zalloc(a, seen->count + 1u, sizeof *seen->e);
    for (uint32_t i = 0; seen->e != NULL && i < seen->count; i++) {
        struct vv_entry e = {.chain = bytes_u16(&in), .number = 1};
        e.stamp = bytes_u64(&in);
        uint32_t k = i;
        for (; k > 0 && seen->e[k - 1].chain > e.chain; k--)
            seen->e[k] = seen->e[k - 1]; /* vectors are sorted by chain */
        seen->e[k] = e;
    }
    op->write_count = bytes_count(&in, 3);
    op->writes = arena_zalloc(a, op->write_count + 1u, sizeof *op->writes);
    if (seen->e == NULL || op->writes == NULL)
        return arena_fail(a, err);
    for (uint32_t i = 0; i < op->write_count; i++) {
        struct row_write *w = &op->writes[i];
        w->column = (uint32_t)bytes_varint(&in);
        w->op = bytes_u8(&in);
        if (in.bad || w->column >= schema->count || !value_decode(&in, &w->value))
            return damaged(err);
    }
    return in.bad || in.left > 0 ? damaged(err) : QUARTET_OK;
}

/* ---- reading ---- */

bool history_is_present(struct slice record, hlc_stamp as_of)
{
    struct record_view view;
    return record_view(record, &view) && view.flags == (RECORD_LIVE | RECORD_SIMPLE) && view.ver.stamp <= as_of;
}

static quartet_status merge_late(struct history_reader *r, struct slice key, struct arena *a, struct row *out, struct err *err)
{
    const struct row_schema *schema = &r->table->rows;
    quartet_status rc = kv_past_seek_late(r->past, key, r->as_of, err);
    while (rc == QUARTET_OK) {
        struct ver ver = {0};
        struct slice record;
        struct record_view view;
        struct row_op op;
        struct vv seen;
        bool found, changed;
        rc = kv_past_next_late(r->past, &ver.stamp, &ver.chain, &record, &found, err);
        if (rc != QUARTET_OK || !found)
            return rc;
        uint8_t *copy = arena_dup(a, record.p, record.n);
        if (copy == NULL)
            return arena_fail(a, err);
        if (!record_view(slice_of(copy, record.n), &view))
            return damaged(err);
        rc = late_read(view.meta, schema, &seen, &op, a, err);
        struct row_writer w = {.ver = ver, .seen = &seen, .chains = r->chains};
        if (rc == QUARTET_OK)
            rc = row_apply(out, schema, &op, &w, a, &changed, err);
    }
    return rc;
}

quartet_status history_row(struct history_reader *r, struct slice key, struct slice record, struct arena *a, struct row *out, struct err *err)
{
    const struct row_schema *schema = &r->table->rows;
    quartet_status rc = row_decode(record, schema, a, out, err);
    if (rc != QUARTET_OK || history_is_present(record, r->as_of))
        return rc;
    rc = kv_past_seek(r->past, key, r->as_of, err);
    bool found = true, back = false;
    while (rc == QUARTET_OK && found) {
        uint64_t stamp;
        struct slice entry;
        rc = kv_past_next(r->past, &stamp, &entry, &found, err);
        if (rc == QUARTET_OK && found)
            rc = history_undo(out, schema, entry, a, err);
        back = back || found;
    }
    bool later = rc == QUARTET_OK && history_newest(out, schema) > r->as_of;
    if (rc != QUARTET_OK || (!back && !later))
        return rc;
    if (later)
        *out = (struct row){.life_count = 0}; /* the first that was heard of it: there is no entry for what was not */
    return merge_late(r, key, a, out, err);
}
