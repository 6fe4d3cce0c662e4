/* replay.c - batches into the naive model (tests/merge/model.c). Nothing of the engine: not even which tables there are. */
#include "replay.h"

#include <string.h>

#include "base/mem.h"

void replay_init(struct replay *r, const struct replay_hooks *hooks)
{
    *r = (struct replay){.hooks = *hooks};
    model_init(&r->model);
}

void replay_deinit(struct replay *r)
{
    for (uint32_t i = 0; i < REPLAY_CHAINS_MAX; i++)
        vv_deinit(&r->seen[i]);
    model_deinit(&r->model);
    chain_table_deinit(&r->chains);
    arena_free_all(&r->arena);
}

static bool add_op(struct replay *r, chain_no chain, const struct delta_reader *d, struct slice key, const struct row_op *op)
{
    struct replay_ops *open = &r->open[chain];
    if (open->count == open->cap) {
        uint32_t cap = open->cap == 0 ? 16 : open->cap * 2;
        struct model_op *grown = arena_alloc(&r->arena, cap * sizeof *grown);
        if (grown == NULL)
            return false;
        if (open->count > 0)
            memcpy(grown, open->ops, open->count * sizeof *grown);
        open->ops = grown;
        open->cap = cap;
    }
    struct row_write *writes = arena_alloc(&r->arena, (op->write_count + 1) * sizeof *writes);
    uint32_t count = 0;
    if (writes == NULL)
        return false;
    for (uint32_t i = 0; i < op->write_count; i++) {
        int32_t at = r->hooks.column_at(r->hooks.arg, d->table_id, d->column_ids[op->writes[i].column]);
        if (at < 0)
            continue;
        writes[count] = op->writes[i];
        writes[count++].column = (uint32_t)at;
    }
    open->ops[open->count++] = (struct model_op){.table = d->table_id, .key = key, .flags = op->flags, .writes = writes, .write_count = count,
                                              .lives = op->lives, .life_count = op->life_count};
    return true;
}

static quartet_status finish(struct replay *r, chain_no chain, const struct delta_reader *d, struct err *err)
{
    const struct vv *seen = &r->seen[chain];
    struct model_seen *list = arena_alloc(&r->arena, (seen->count + 1) * sizeof *list);
    struct model_txn *t = arena_zalloc(&r->arena, 1, sizeof *t);
    if (list == NULL || t == NULL)
        return arena_fail(&r->arena, err);
    for (uint32_t i = 0; i < seen->count; i++)
        list[i] = (struct model_seen){.chain = r->chains.ids[seen->e[i].chain], .number = seen->e[i].number};
    list[seen->count] = (struct model_seen){.chain = r->chains.ids[chain], .number = d->number - 1};
    *t = (struct model_txn){.chain = r->chains.ids[chain], .number = d->number, .stamp = d->stamp, .seen = list, .seen_count = seen->count + 1,
                            .ops = r->open[chain].ops, .op_count = r->open[chain].count};
    r->open[chain] = (struct replay_ops){0};
    if (r->txn_count == r->txn_cap) {
        uint32_t cap = r->txn_cap == 0 ? 64 : r->txn_cap * 2;
        const struct model_txn **grown = arena_alloc(&r->arena, cap * sizeof *grown);
        if (grown == NULL)
            return arena_fail(&r->arena, err);
        if (r->txn_count > 0)
            memcpy(grown, r->txns, r->txn_count * sizeof *grown);
        r->txns = grown;
        r->txn_cap = cap;
    }
    r->txns[r->txn_count++] = t;
    return model_add(&r->model, t, err);
}

static quartet_status take_rows(struct replay *r, chain_no chain, struct delta_reader *d, struct err *err)
{
    bool takes = r->hooks.takes_table == NULL || r->hooks.takes_table(r->hooks.arg, d->table_id);
    quartet_status rc = QUARTET_OK;
    for (bool more = true; rc == QUARTET_OK && more;) {
        struct slice key;
        struct row_op op;
        rc = delta_next_row(d, &r->arena, &key, &op, &more, err);
        if (rc == QUARTET_OK && more && takes && !add_op(r, chain, d, key, &op))
            rc = arena_fail(&r->arena, err);
    }
    return rc;
}

static quartet_status take_delta(struct replay *r, chain_no chain, struct slice bytes, struct err *err)
{
    struct delta_reader d;
    bool tables = true;
    quartet_status rc = delta_open(&d, bytes, &r->chains, err);
    if (rc != QUARTET_OK)
        return rc;
    if (r->hooks.check != NULL)
        rc = r->hooks.check(r->hooks.arg, chain, &d, err);
    if (rc == QUARTET_OK)
        rc = vv_merge(&r->seen[chain], &d.deps, err);
    while (rc == QUARTET_OK && tables) {
        rc = delta_next_table(&d, &r->arena, &tables, err);
        if (rc == QUARTET_OK && tables)
            rc = take_rows(r, chain, &d, err);
    }
    if (rc == QUARTET_OK && (d.flags & DELTA_MORE) == 0)
        rc = finish(r, chain, &d, err);
    r->done[chain] = d.number;
    delta_close(&d);
    return rc;
}

quartet_status replay_take(struct replay *r, struct slice batch, struct err *err)
{
    struct batch_header h;
    struct slice payload, delta;
    chain_no chain;
    quartet_status rc = batch_parse(batch, &h, &payload, err);
    if (rc == QUARTET_OK)
        rc = chain_intern(&r->chains, h.chain, &chain, err);
    if (rc != QUARTET_OK)
        return rc;
    if (chain >= REPLAY_CHAINS_MAX)
        return err_set(err, QUARTET_LIMIT, "more than %u chains", REPLAY_CHAINS_MAX);
    struct bytes_in in = bytes_in(payload.p, payload.n);
    while (rc == QUARTET_OK && batch_next_delta(&in, &delta))
        rc = take_delta(r, chain, delta, err);
    return rc;
}
