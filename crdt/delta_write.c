/* delta_write.c - building a delta's bytes (docs/WIRE.md, "Deltas and batches").
 * Why the counts of tables and rows are always array 32: they are known last, and patching four bytes beats moving a megabyte.
 * Not here: reading (delta_read.c), signing (delta_sign.c). */
#include "delta_codec.h"

/* An array whose count comes later; returns where. */
static size_t open_array(struct buf *out)
{
    static const uint8_t head[5] = {0xdd, 0, 0, 0, 0};
    size_t at = out->len + 1;
    buf_put(out, head, sizeof head);
    return at;
}

static void close_array(struct buf *out, size_t at, uint32_t count)
{
    if (out->failed)
        return;
    QASSERT(at + 4 <= out->len);
    for (uint32_t i = 0; i < 4; i++)
        out->data[at + i] = (uint8_t)(count >> (24 - 8 * i));
}

static void put_deps(struct buf *out, const struct vv *deps, const struct chain_table *chains)
{
    uint32_t count = 0, parts = chains->fork_count + 1;
    struct chain_id id;
    struct vv_entry e;
    for (uint32_t i = 0; deps != NULL && i < deps->count; i++)
        for (uint32_t k = 0; k < parts; k++)
            count += vv_part(chains, &deps->e[i], k, &id, &e);
    mp_put_array(out, count);
    for (uint32_t i = 0; deps != NULL && i < deps->count; i++)
        for (uint32_t k = 0; k < parts; k++) {
            QASSERT(deps->e[i].chain < chains->count);
            if (!vv_part(chains, &deps->e[i], k, &id, &e))
                continue;
            mp_put_array(out, DELTA_DEP_FIELDS);
            mp_put_uint(out, id.slot);
            mp_put_uint(out, id.incarnation);
            mp_put_uint(out, e.number);
            mp_put_uint(out, e.stamp);
            mp_put_uint(out, e.head);
        }
}

void delta_begin(struct delta_writer *w, struct buf *out, const struct chain_table *chains, const struct delta_head *head)
{
    bool next = LEVEL_MAX >= LEVEL_NEXT && head->level >= LEVEL_NEXT;
    *w = (struct delta_writer){.out = out, .chains = chains, .op_more = next ? DELTA_OP_NEXT : 0, .request = head->request};
    QASSERT((head->request != NULL) == ((head->flags & DELTA_REQUEST) != 0));
    QASSERT(head->request == NULL || ((head->flags & DELTA_MORE) == 0 && head->request->session > 0));
    QASSERT(head->number > 0);
    QASSERT(head->stamp > 0);
    mp_put_array(out, DELTA_FIELDS + (head->request != NULL));
    mp_put_uint(out, next ? DELTA_VERSION_NEXT : DELTA_VERSION);
    mp_put_uint(out, head->number);
    mp_put_uint(out, head->stamp);
    mp_put_uint(out, head->flags);
    put_deps(out, head->deps, chains);
    w->tables_at = open_array(out);
}

static void close_table(struct delta_writer *w)
{
    if (w->table_count > 0)
        close_array(w->out, w->count_at, w->count);
}

void delta_table(struct delta_writer *w, uint64_t table_id, const uint32_t *column_ids, uint32_t count)
{
    struct buf *out = w->out;
    close_table(w);
    w->table_count++;
    w->count = 0;
    w->column_count = count;
    mp_put_array(out, DELTA_TABLE_FIELDS);
    mp_put_uint(out, table_id);
    mp_put_array(out, count);
    for (uint32_t i = 0; i < count; i++)
        mp_put_uint(out, column_ids[i]);
    w->count_at = open_array(w->out);
}

void delta_row(struct delta_writer *w, struct slice key, const struct row_op *op)
{
    struct buf *out = w->out;
    bool insert = (op->flags & ROW_OP_INSERT) != 0;
    QASSERT(w->table_count > 0);
    QASSERT(!insert || op->write_count == w->column_count);
    w->count++;
    bool several = (op->flags & ROW_OP_LIVES) != 0;
    QASSERT(several ? op->life_count > 0 : op->life_count == (op->flags == ROW_OP_ADD_TO));
    QASSERT((op->flags & (ROW_OP_ADD_TO | ROW_OP_LIVES)) == 0 || op->life_count > 0);
    mp_put_array(out, DELTA_ROW_FIELDS + several + DELTA_LIFE_FIELDS * op->life_count + (insert ? op->write_count : 2 * op->write_count));
    mp_put_bin(out, key);
    mp_put_uint(out, op->flags | w->op_more);
    if (several)
        mp_put_uint(out, op->life_count);
    for (uint32_t i = 0; i < op->life_count; i++) {
        mp_put_uint(out, op->lives[i].stamp);
        mp_put_uint(out, op->lives[i].chain.slot);
        mp_put_uint(out, op->lives[i].chain.incarnation);
    }
    for (uint32_t i = 0; i < op->write_count; i++) {
        const struct row_write *write = &op->writes[i];
        QASSERT(insert ? write->column == i : write->column < w->column_count);
        if (!insert)
            mp_put_uint(out, (uint64_t)write->column << 2 | write->op);
        mp_put_value(out, &write->value);
    }
}

bool delta_insert(struct delta_writer *w, struct slice key, struct slice values, uint32_t *ends)
{
    struct buf *out = w->out;
    struct bytes_in in = bytes_in(values.p, values.n);
    QASSERT(w->table_count > 0);
    w->count++;
    mp_put_array(out, DELTA_ROW_FIELDS + w->column_count);
    mp_put_bin(out, key);
    mp_put_uint(out, ROW_OP_INSERT | w->op_more);
    for (uint32_t i = 0; i < w->column_count; i++) {
        if (!mp_put_encoded(out, &in))
            return false;
        ends[i] = (uint32_t)(values.n - in.left);
    }
    return in.left == 0;
}

void delta_end(struct delta_writer *w)
{
    close_table(w);
    close_array(w->out, w->tables_at, w->table_count);
    if (w->request == NULL)
        return;
    const struct delta_request *q = w->request;
    struct value affected = {.type = VALUE_INTEGER, .i = q->affected}, last = {.type = VALUE_INTEGER, .i = q->last_insert_id};
    mp_put_array(w->out, DELTA_REQUEST_FIELDS);
    mp_put_uint(w->out, q->session);
    mp_put_uint(w->out, q->request);
    mp_put_uint(w->out, q->gave_rows);
    mp_put_value(w->out, &affected);
    mp_put_value(w->out, &last);
}
