/* txn_op.c - see txn_op.h. */
#include "txn_op.h"

#include "txn_internal.h"

static struct value sum_value(const struct row_column *column, __int128 sum)
{
    struct value v = row_counter_value(column, sum);
    if (row_counter_number(column, &v) == sum)
        return v;
    return (struct value){.type = VALUE_DECIMAL, .scale = column->scale, .dec = dec_make(sum)}; /* beyond 64 bits */
}

/* Who writes one column of a group writes all of it, as its row shows them: so they win or lose as one. */
static quartet_status write_together(struct txn_op_memory *m, const struct table_def *t, struct pending *p, struct err *err)
{
    if (t->together == NULL || !p->live || p->flags != 0)
        return QUARTET_OK;
    arena_rewind(&m->row, (struct arena_mark){0});
    uint8_t *map = arena_dup(&m->row, p->bitmap.p, p->bitmap.n);
    bool *written = arena_zalloc(&m->row, t->column_count + 2u, sizeof *written);
    if (map == NULL || written == NULL)
        return arena_fail(&m->row, err);
    uint32_t n = p->value_count < t->rows.count ? p->value_count : t->rows.count;
    for (uint32_t i = 0; i < n; i++)
        written[t->together[i]] |= (map[i / 8] >> (i % 8) & 1) != 0;
    for (uint32_t i = 0; i < n; i++)
        if (t->together[i] != 0 && written[t->together[i]])
            map[i / 8] |= (uint8_t)(1u << (i % 8));
    p->bitmap = slice_of(map, p->bitmap.n);
    return QUARTET_OK;
}

/* What the visible values do not tell. */
static quartet_status items_operation(const struct txn_op_memory *m, const struct table_def *t, const struct pending *p, struct row_op *op, struct err *err)
{
    struct bytes_in items = p->items;
    struct pending_item item;
    while (pending_next(&items, &t->rows, &item)) {
        const struct row_column *column = &t->rows.columns[item.column];
        if (column->kind == ROW_MAXIMUM || column->kind == ROW_MINIMUM) {
            for (uint32_t i = 0; i < op->write_count; i++)
                if (op->writes[i].column == item.column)
                    op->writes[i].op = item.op; /* begins anew with it */
            continue;
        }
        QASSERT(op->write_count < m->write_cap);
        struct row_write *w = &op->writes[op->write_count++];
        *w = (struct row_write){.column = item.column, .op = item.op};
        w->value = column->kind == ROW_COUNTER ? sum_value(column, item.sum) : (struct value){.type = VALUE_TEXT, .s = item.token};
    }
    return items.bad ? err_set(err, QUARTET_INTERNAL, "damaged pending row of table %s", t->name) : QUARTET_OK;
}

/* What an UPDATE that wrote a column's value does to its register. */
static uint8_t update_op(const struct row_column *column)
{
    return column->kind == ROW_LWW ? ROW_PUT : ROW_ADD;
}

static quartet_status room(struct txn_op_memory *m, const struct table_def *t, size_t record_bytes, struct err *err)
{
    uint32_t need = 2 * t->rows.count + 1;
    if (t->rows.observes) /* each element of a SET is a write; it takes three bytes at least */
        need += (uint32_t)(record_bytes / 3);
    if (m->write_cap >= need)
        return QUARTET_OK;
    m->writes = arena_zalloc(&m->arena, need, sizeof *m->writes);
    m->ends = arena_zalloc(&m->arena, need, sizeof *m->ends);
    m->write_cap = m->writes == NULL || m->ends == NULL ? 0 : need;
    return m->write_cap == 0 ? arena_fail(&m->arena, err) : QUARTET_OK;
}

quartet_status txn_op_read(struct txn_op_memory *m, const struct table_def *t, struct slice record, struct row_op *op, struct apply_values *values, bool *empty,
                           struct err *err)
{
    struct pending p;
    *empty = false;
    quartet_status rc = room(m, t, record.n, err);
    if (rc != QUARTET_OK)
        return rc;
    if (!pending_read(record, &p))
        return err_set(err, QUARTET_INTERNAL, "damaged pending row of table %s", t->name);
    *op = (struct row_op){.flags = p.flags, .writes = m->writes};
    *values = (struct apply_values){.bytes = (p.flags & ROW_OP_INSERT) != 0 && p.live && p.value_count == t->rows.count ? p.values.p : NULL, .ends = m->ends};
    rc = write_together(m, t, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    struct bytes_in in = bytes_in(p.values.p, p.values.n);
    for (uint32_t i = 0; p.live && i < p.value_count; i++) {
        struct row_write *w = &m->writes[op->write_count];
        *w = (struct row_write){.column = i, .op = (p.flags & ROW_OP_INSERT) != 0 ? ROW_PUT : update_op(&t->rows.columns[i])};
        if ((p.flags & ROW_OP_INSERT) != 0 || (p.bitmap.p[i / 8] >> (i % 8) & 1) != 0) {
            value_decode(&in, &w->value);
            m->ends[i] = (uint32_t)(p.values.n - in.left);
            op->write_count++;
        } else {
            value_skip(&in);
        }
    }
    while ((p.flags & ROW_OP_INSERT) != 0 && op->write_count < t->rows.count) { /* ALTER TABLE came after the INSERT */
        uint32_t i = op->write_count++;
        m->writes[i] = (struct row_write){.column = i, .value = t->rows.columns[i].missing};
    }
    rc = p.live && (p.flags & ROW_OP_INSERT) == 0 ? items_operation(m, t, &p, op, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return rc;
    if (in.bad)
        return err_set(err, QUARTET_INTERNAL, "damaged pending row of table %s", t->name);
    *empty = op->flags == 0 && op->write_count == 0 && !(p.live && t->updates_win); /* there a write of nothing counts (table_keep.c) */
    if (t->updates_win && op->flags != ROW_OP_INSERT)
        op->flags |= ROW_OP_WIN;
    return QUARTET_OK;
}

quartet_status txn_op_insert(struct txn_op_memory *m, const struct table_def *t, struct slice record, bool *yes, struct slice *values, struct err *err)
{
    const uint8_t *p = record.p;
    /* As table_insert makes it: live, one byte of metadata, which is the operation, and a count of one byte. */
    *yes = record.n > 4 && p[0] == RECORD_LIVE && p[1] == 1 && p[2] == ROW_OP_INSERT && t->rows.count < 0x80 && p[3] == t->rows.count;
    if (!*yes)
        return QUARTET_OK;
    *values = slice_of(p + 4, record.n - 4);
    return room(m, t, record.n, err);
}

void txn_op_recycle(struct txn_op_memory *m, size_t bytes_max)
{
    arena_recycle(&m->arena, bytes_max);
    arena_recycle(&m->row, bytes_max);
    m->writes = NULL;
    m->ends = NULL;
    m->write_cap = 0;
}

void txn_op_deinit(struct txn_op_memory *m)
{
    arena_free_all(&m->arena);
    arena_free_all(&m->row);
    *m = (struct txn_op_memory){.write_cap = 0};
}
