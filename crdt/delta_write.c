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

static void put_deps(msgpack_packer *pk, const struct vv *deps, const struct chain_table *chains)
{
    uint32_t count = deps == NULL ? 0 : deps->count;
    msgpack_pack_array(pk, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct vv_entry *e = &deps->e[i];
        struct chain_id id = chain_id_of(chains, e->chain);
        QASSERT(e->chain < chains->count);
        msgpack_pack_array(pk, DELTA_DEP_FIELDS);
        msgpack_pack_uint8(pk, id.slot);
        msgpack_pack_uint64(pk, id.incarnation);
        msgpack_pack_uint64(pk, e->number);
        msgpack_pack_uint64(pk, e->stamp);
        msgpack_pack_uint64(pk, e->head);
    }
}

void delta_begin(struct delta_writer *w, struct buf *out, const struct chain_table *chains, const struct delta_head *head)
{
    msgpack_packer pk = mp_packer(out);
    *w = (struct delta_writer){.out = out, .chains = chains};
    QASSERT(head->number > 0);
    QASSERT(head->stamp > 0);
    msgpack_pack_array(&pk, DELTA_FIELDS);
    msgpack_pack_uint8(&pk, DELTA_VERSION);
    msgpack_pack_uint64(&pk, head->number);
    msgpack_pack_uint64(&pk, head->stamp);
    msgpack_pack_uint8(&pk, head->flags);
    put_deps(&pk, head->deps, chains);
    w->tables_at = open_array(out);
}

static void close_table(struct delta_writer *w)
{
    if (w->table_count > 0)
        close_array(w->out, w->count_at, w->count);
}

void delta_table(struct delta_writer *w, uint64_t table_id, const uint32_t *column_ids, uint32_t count)
{
    msgpack_packer pk = mp_packer(w->out);
    close_table(w);
    w->table_count++;
    w->count = 0;
    w->column_count = count;
    msgpack_pack_array(&pk, DELTA_TABLE_FIELDS);
    msgpack_pack_uint64(&pk, table_id);
    msgpack_pack_array(&pk, count);
    for (uint32_t i = 0; i < count; i++)
        msgpack_pack_uint32(&pk, column_ids[i]);
    w->count_at = open_array(w->out);
}

void delta_row(struct delta_writer *w, struct slice key, const struct row_op *op)
{
    msgpack_packer pk = mp_packer(w->out);
    bool insert = (op->flags & ROW_OP_INSERT) != 0;
    QASSERT(w->table_count > 0);
    QASSERT(!insert || op->write_count == w->column_count);
    w->count++;
    bool named = (op->flags & ROW_OP_ADD_TO) != 0;
    QASSERT(!named || op->flags == ROW_OP_ADD_TO);
    msgpack_pack_array(&pk, DELTA_ROW_FIELDS + (named ? DELTA_LIFE_FIELDS : 0) + (insert ? (size_t)op->write_count : 2 * (size_t)op->write_count));
    msgpack_pack_bin(&pk, key.n);
    if (key.n > 0)
        msgpack_pack_bin_body(&pk, key.p, key.n);
    msgpack_pack_uint8(&pk, op->flags);
    if (named) {
        msgpack_pack_uint64(&pk, op->life_stamp);
        msgpack_pack_uint8(&pk, op->life_chain.slot);
        msgpack_pack_uint64(&pk, op->life_chain.incarnation);
    }
    for (uint32_t i = 0; i < op->write_count; i++) {
        const struct row_write *write = &op->writes[i];
        QASSERT(insert ? write->column == i : write->column < w->column_count);
        if (!insert)
            msgpack_pack_uint32(&pk, write->column << 1 | write->add);
        mp_put_value(&pk, &write->value);
    }
}

void delta_end(struct delta_writer *w)
{
    close_table(w);
    close_array(w->out, w->tables_at, w->table_count);
}
