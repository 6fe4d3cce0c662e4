/* sim_model.c - the end, held against the naive model of tests/merge: all signed batches, merged again from scratch; and the past likewise. */
#include "sim/sim_load.h"

#include <string.h>

#include "base/mem.h"
#include "engine/types.h"
#include "merge/model.h"

struct replay_txn {
    struct replay_txn *next;
    const struct model_txn *t;
};
struct replay {
    struct sim *s;
    struct arena arena;
    struct model model;
    struct chain_table chains;
    struct vv seen[64];       /* by chain number: what its writer had applied, cumulated over its deltas */
    uint64_t done[64];        /* by chain number: deltas taken */
    struct replay_txn *txns;  /* newest first */
    uint32_t txn_count;
    struct model_op *ops;     /* of an unfinished transaction */
    uint32_t op_count, op_cap;
    const struct catalog *catalog;
    struct idvec vector;      /* of node 0, with which all agree */
    uint8_t head[64][32];     /* by chain number: the hash of its last batch */
    hlc_stamp newest[64];     /* by chain number: the stamp of its last transaction */
    struct err err;
};

static bool add_op(struct replay *r, const struct table_def *t, const struct delta_reader *d, struct slice key, const struct row_op *op)
{
    if (r->op_count == r->op_cap) {
        uint32_t cap = r->op_cap == 0 ? 64 : r->op_cap * 2;
        struct model_op *grown = arena_alloc(&r->arena, cap * sizeof *grown);
        if (grown == NULL)
            return false;
        if (r->op_count > 0)
            memcpy(grown, r->ops, r->op_count * sizeof *grown);
        r->ops = grown;
        r->op_cap = cap;
    }
    struct row_write *writes = arena_alloc(&r->arena, (op->write_count + 1) * sizeof *writes);
    uint32_t count = 0;
    if (writes == NULL)
        return false;
    for (uint32_t i = 0; i < op->write_count; i++)
        for (uint32_t c = 0; c < t->rows.count; c++)
            if (t->record_ids[c] == d->column_ids[op->writes[i].column]) {
                writes[count] = op->writes[i];
                writes[count++].column = c;
            }
    r->ops[r->op_count++] = (struct model_op){.table = t->id, .key = key, .flags = op->flags, .writes = writes, .write_count = count,
                                                .lives = op->lives, .life_count = op->life_count};
    return true;
}

static bool finish_txn(struct replay *r, chain_no chain, const struct delta_reader *d)
{
    struct vv *seen = &r->seen[chain];
    struct model_seen *list = arena_alloc(&r->arena, (seen->count + 1) * sizeof *list);
    struct model_txn *t = arena_zalloc(&r->arena, 1, sizeof *t);
    if (list == NULL || t == NULL)
        return false;
    for (uint32_t i = 0; i < seen->count; i++)
        list[i] = (struct model_seen){.chain = r->chains.ids[seen->e[i].chain], .number = seen->e[i].number};
    list[seen->count] = (struct model_seen){.chain = r->chains.ids[chain], .number = d->number - 1};
    *t = (struct model_txn){.chain = r->chains.ids[chain], .number = d->number, .stamp = d->stamp, .seen = list, .seen_count = seen->count + 1,
                              .ops = r->ops, .op_count = r->op_count};
    r->ops = NULL;
    r->op_count = r->op_cap = 0;
    struct replay_txn *link = arena_zalloc(&r->arena, 1, sizeof *link);
    if (link == NULL)
        return false;
    *link = (struct replay_txn){.next = r->txns, .t = t};
    r->txns = link;
    r->txn_count++;
    return model_add(&r->model, t, &r->err) == QUARTET_OK;
}

static bool take_rows(struct replay *r, struct delta_reader *d)
{
    const struct table_def *t = catalog_table_by_id(r->catalog, d->table_id);
    bool more = true;
    while (more) {
        struct slice key;
        struct row_op op;
        if (delta_next_row(d, &r->arena, &key, &op, &more, &r->err) != QUARTET_OK)
            return false;
        if (more && t != NULL && !t->is_system && !add_op(r, t, d, key, &op))
            return false;
    }
    return true;
}

/* Stamps of a chain grow, but for the chunks of one transaction, and each is greater than those of all that its writer had seen. */
static bool stamp_follows(struct replay *r, chain_no chain, const struct delta_reader *d)
{
    hlc_stamp floor = r->newest[chain];
    for (uint32_t i = 0; i < d->deps.count; i++)
        floor = d->deps.e[i].stamp > floor ? d->deps.e[i].stamp : floor;
    bool follows = (d->flags & DELTA_CONTINUES) != 0 ? d->stamp == r->newest[chain] : d->stamp > floor;
    r->newest[chain] = d->stamp;
    return follows || err_set(&r->err, QUARTET_INTERNAL, "delta %llu of slot %u is stamped %llu, not above %llu, which it or its writer had seen",
                              (unsigned long long)d->number, (unsigned)hlc_slot(d->stamp), (unsigned long long)d->stamp, (unsigned long long)floor) == QUARTET_OK;
}

static bool take_delta(struct replay *r, chain_no chain, struct slice bytes)
{
    struct delta_reader d;
    bool more = true;
    if (delta_open(&d, bytes, &r->chains, &r->err) != QUARTET_OK)
        return false;
    bool ok = stamp_follows(r, chain, &d) && r->chains.count <= 64 && vv_merge(&r->seen[chain], &d.deps, &r->err) == QUARTET_OK;
    while (ok && more)
        ok = delta_next_table(&d, &r->arena, &more, &r->err) == QUARTET_OK && (!more || take_rows(r, &d));
    if (ok && (d.flags & DELTA_MORE) == 0)
        ok = finish_txn(r, chain, &d);
    r->done[chain] = d.number;
    delta_close(&d);
    return ok;
}

/* What went with a disk is no part of the history. */
static bool is_known(struct replay *r, const struct sim_batch *b)
{
    struct batch_header h;
    struct slice payload;
    return !b->maybe_lost || (batch_parse(slice_of(b->bytes, b->n), &h, &payload, &r->err) == QUARTET_OK &&
                              idvec_number(&r->vector, h.chain) >= h.first + h.count - 1);
}

/* Each batch is signed by its slot, and names the one before it of its chain by hash. */
static bool links(struct replay *r, struct slice bytes, const struct batch_header *h, struct slice payload, chain_no chain)
{
    const struct member_node *origin = member_find_slot(&r->s->doc, h->chain.slot);
    if (origin == NULL)
        return err_set(&r->err, QUARTET_INTERNAL, "a batch of slot %u, which is no member", (unsigned)h->chain.slot) == QUARTET_OK;
    if (h->first > 1 && memcmp(h->prev, r->head[chain], sizeof r->head[chain]) != 0)
        return err_set(&r->err, QUARTET_INTERNAL, "batch %llu of slot %u does not link to the one before", (unsigned long long)h->first,
                       (unsigned)h->chain.slot) == QUARTET_OK;
    memcpy(r->head[chain], h->hash, sizeof r->head[chain]);
    return batch_verify(bytes, h, payload, &r->s->doc.cluster, origin->public_key, &r->err) == QUARTET_OK;
}

/* A chain's batches are taken in their order; which chain comes first does not matter to the model. */
static bool take_batch(struct replay *r, struct slice bytes)
{
    struct batch_header h;
    struct slice payload, delta;
    chain_no chain;
    if (batch_parse(bytes, &h, &payload, &r->err) != QUARTET_OK || chain_intern(&r->chains, h.chain, &chain, &r->err) != QUARTET_OK || chain >= 64)
        return false;
    if (h.first + h.count - 1 <= r->done[chain])
        return true; /* signed again after a crash: the same deltas */
    if (h.first != r->done[chain] + 1) {
        err_set(&r->err, QUARTET_INTERNAL, "a hole in a chain of slot %u: %llu after %llu", (unsigned)h.chain.slot, (unsigned long long)h.first,
                (unsigned long long)r->done[chain]);
        return false;
    }
    if (!links(r, bytes, &h, payload, chain))
        return false;
    struct bytes_in in = bytes_in(payload.p, payload.n);
    while (batch_next_delta(&in, &delta))
        if (!take_delta(r, chain, delta))
            return false;
    return true;
}

/* What was signed and never told by its node, because it fell over in that moment, is in the log all the same, and so at all nodes. */
static bool take_untold(struct replay *r)
{
    bool ok = true;
    for (uint32_t i = 0; i < r->vector.count && ok; i++) {
        const struct chain_id id = r->vector.e[i].chain;
        chain_no chain;
        ok = chain_intern(&r->chains, id, &chain, &r->err) == QUARTET_OK && chain < 64;
        while (ok && r->done[chain] < r->vector.e[i].number) {
            struct buf bytes = {0};
            uint32_t count = 0;
            ok = db_read_batches(r->s->nodes[0].d, id, r->done[chain] + 1, 1, &bytes, &count, &r->err) == QUARTET_OK && bytes.len > 4;
            uint8_t *copy = ok ? arena_dup(&r->arena, bytes.data + 4, load_le32(bytes.data)) : NULL;
            ok = copy != NULL && take_batch(r, slice_of(copy, load_le32(bytes.data)));
            buf_deinit(&bytes);
        }
    }
    return ok;
}

static bool take_batches(struct replay *r)
{
    struct sim *s = r->s;
    for (size_t i = 0; i < s->batch_count; i++)
        if (is_known(r, &s->batches[i]) && !take_batch(r, slice_of(s->batches[i].bytes, s->batches[i].n)))
            return false;
    return take_untold(r);
}

static void put_value(struct buf *out, const struct value *v)
{
    if (v == NULL)
        buf_str(out, "no row");
    else if (v->type == VALUE_NULL)
        buf_str(out, "NULL");
    else
        value_to_text(v, out);
}

static void put_pair(struct buf *out, const struct table_def *t, uint32_t c, const struct value *got, const struct value *expected)
{
    buf_printf(out, "%s%s ", c > 0 ? ", " : "", t->columns[t->record_columns[c]].name);
    put_value(out, got);
    buf_str(out, " | ");
    put_value(out, expected);
}

static void compare_row(struct replay *r, const struct table_def *t, const struct model_key *k, txn *reader, uint64_t *live)
{
    struct value expected[64], got[64];
    bool found = false;
    uint32_t births = 0;
    bool shown = model_show(&r->model, t->id, k->key, NULL, 0, &t->rows, &r->arena, expected, &births);
    *live += shown;
    if (table_get(reader, t, k->key, got, &r->arena, &found, &r->err) != QUARTET_OK) {
        sim_fail(r->s, "node 0: %s", r->err.text);
        return;
    }
    bool equal = shown == found;
    for (uint32_t c = 0; equal && shown && c < t->rows.count; c++)
        equal = value_identical(&expected[c], &got[t->record_columns[c]]);
    if (equal)
        return;
    struct buf text = {0};
    for (uint32_t c = 0; c < t->rows.count; c++)
        put_pair(&text, t, c, found ? &got[t->record_columns[c]] : NULL, shown ? &expected[c] : NULL);
    buf_u8(&text, 0);
    sim_fail(r->s, "node 0 and the naive model differ on a row of %s (node | model): %s", t->name, text.failed ? "?" : (const char *)text.data);
    buf_deinit(&text);
}

/* ---- history: what the model shows of the transactions up to a stamp, every node must tell AS OF it ---- */

struct past {
    struct replay *r;
    uint32_t node;
    hlc_stamp as_of;
    struct model_seen known[64];
    uint32_t known_count;
    uint64_t rows;
};

/* The model counts columns as node 0 learnt them, another node as it did. */
static uint32_t column_of(const struct table_def *t, uint32_t id)
{
    uint32_t at = 0;
    while (at < t->rows.count && t->record_ids[at] != id)
        at++;
    return at;
}

static void compare_past(struct past *p, const struct table_def *t, struct slice key, const struct batch *b, uint32_t row)
{
    const struct table_def *first = catalog_table_by_id(p->r->catalog, t->id);
    struct value expected[64];
    uint32_t births;
    bool shown = first != NULL && model_show(&p->r->model, t->id, key, p->known, p->known_count, &first->rows, &p->r->arena, expected, &births);
    bool equal = shown && first->rows.count == t->rows.count;
    struct buf text = {0};
    for (uint32_t c = 0; c < t->rows.count; c++) {
        struct value got = vec_get(&b->cols[t->record_columns[c]], row);
        uint32_t at = equal ? column_of(first, t->record_ids[c]) : first != NULL ? first->rows.count : 0;
        bool known = equal && at < first->rows.count;
        equal = known && value_identical(&expected[at], &got);
        put_pair(&text, t, c, &got, known ? &expected[at] : NULL);
        if (!equal)
            break;
    }
    p->rows++;
    buf_u8(&text, 0);
    if (!equal)
        sim_fail(p->r->s, "HISTORY: node %u as of stamp %llu and the naive model differ on a row of %s (node | model): %s", p->node, (unsigned long long)p->as_of, t->name,
                 text.failed ? "?" : (const char *)text.data);
    buf_deinit(&text);
}

static bool scan_past(struct past *p, txn *reader, const struct table_def *t)
{
    struct replay *r = p->r;
    uint32_t columns[64];
    table_scan *scan = NULL;
    for (uint32_t i = 0; i < t->column_count; i++)
        columns[i] = i;
    struct scan_want want = {.columns = columns, .column_count = t->column_count, .keys = true, .as_of = p->as_of};
    quartet_status rc = table_scan_open(reader, t, NULL, NULL, &want, &scan, &r->err);
    while (rc == QUARTET_OK && r->s->failure[0] == '\0') {
        struct batch b;
        rc = table_scan_next(scan, 0, &b, &r->err);
        if (rc != QUARTET_OK || b.n == 0)
            break;
        for (uint32_t row = 0; row < b.n; row++)
            compare_past(p, t, b.keys[row], &b, row);
    }
    table_scan_close(scan);
    return rc == QUARTET_OK;
}

static void check_past(struct replay *r, uint32_t at, hlc_stamp as_of)
{
    struct past p = {.r = r, .node = at, .as_of = as_of};
    txn *reader = NULL;
    struct err gone = ERR_INIT;
    if (db_history_check(r->s->nodes[at].d, as_of, &gone) != QUARTET_OK)
        return; /* it is no longer promised */
    uint64_t live = 0;
    for (uint32_t c = 0; c < r->chains.count && c < 64; c++) {
        struct model_seen *k = &p.known[p.known_count];
        *k = (struct model_seen){.chain = r->chains.ids[c]};
        for (const struct replay_txn *x = r->txns; x != NULL; x = x->next)
            if (chain_id_cmp(x->t->chain, k->chain) == 0 && x->t->stamp <= as_of && x->t->number > k->number)
                k->number = x->t->number;
        p.known_count += k->number > 0;
    }
    bool ok = txn_begin(r->s->nodes[at].d, &reader, &r->err) == QUARTET_OK && txn_statement_begin(reader, &r->err) == QUARTET_OK;
    const struct table_def *t;
    for (uint32_t i = 0; ok && (t = catalog_table_at(txn_catalog(reader), i)) != NULL; i++)
        if (!t->is_system && t->column_count < 64 && !sim_load_derives(t->name))
            ok = scan_past(&p, reader, t);
    if (!ok)
        sim_fail(r->s, "HISTORY: node %u as of stamp %llu: %s", at, (unsigned long long)as_of, r->err.text);
    for (size_t i = 0; ok && i < r->model.key_count; i++) {
        const struct model_key *k = r->model.keys[i];
        struct value shown[64];
        uint32_t births;
        t = catalog_table_by_id(txn_catalog(reader), k->table);
        if (t != NULL && !t->dropped && t->column_count < 64 && !sim_load_derives(t->name))
            live += model_show(&r->model, t->id, k->key, p.known, p.known_count, &t->rows, &r->arena, shown, &births);
    }
    txn_rollback(reader);
    if (r->s->failure[0] == '\0' && live != p.rows)
        sim_fail(r->s, "HISTORY: node %u shows %llu rows as of stamp %llu, the naive model %llu", at, (unsigned long long)p.rows,
                 (unsigned long long)as_of, (unsigned long long)live);
}

/* As of two transactions' stamps, each on one node. */
static void check_pasts(struct replay *r)
{
    struct prng random;
    prng_seed(&random, r->s->o.seed);
    for (uint32_t i = 0; i < 2 && r->txn_count > 0 && r->s->failure[0] == '\0'; i++) {
        const struct replay_txn *x = r->txns;
        for (uint64_t skip = prng_below(&random, r->txn_count); skip > 0; skip--)
            x = x->next;
        check_past(r, (uint32_t)prng_below(&random, r->s->o.nodes), x->t->stamp);
    }
}

void sim_check_model(struct sim *s)
{
    struct replay r = {.s = s, .err = ERR_INIT};
    struct catalog *catalog = db_catalog(s->nodes[0].d);
    txn *reader = NULL;
    r.catalog = catalog;
    model_init(&r.model);
    if (!sim_vector(&s->nodes[0], false, &r.vector, &r.err) || !take_batches(&r))
        sim_fail(s, "the naive model cannot take the batches: %s", r.err.text);
    else if (txn_begin(s->nodes[0].d, &reader, &r.err) != QUARTET_OK || txn_statement_begin(reader, &r.err) != QUARTET_OK)
        sim_fail(s, "node 0: %s", r.err.text);
    uint64_t live = 0;
    for (size_t i = 0; i < r.model.key_count && s->failure[0] == '\0'; i++) {
        const struct table_def *t = catalog_table_by_id(catalog, r.model.keys[i]->table);
        if (t != NULL && !t->dropped && t->rows.count < 64 && t->column_count < 64 && !sim_load_derives(t->name))
            compare_row(&r, t, r.model.keys[i], reader, &live);
    }
    txn_rollback(reader);
    int64_t rows = 0;
    const struct table_def *t;
    for (uint32_t i = 0; s->failure[0] == '\0' && (t = catalog_table_at(catalog, i)) != NULL; i++) {
        int64_t count = 0;
        if (t->is_system || t->dropped || sim_load_derives(t->name))
            continue;
        if (sim_sqlf(&s->nodes[0], &count, &r.err, "SELECT count(*) FROM %s", t->name) != QUARTET_OK)
            sim_fail(s, "node 0: %s", r.err.text);
        rows += count;
    }
    if (s->failure[0] == '\0' && (uint64_t)rows != live)
        sim_fail(s, "node 0 shows %lld rows, the naive model %llu", (long long)rows, (unsigned long long)live);
    if (s->failure[0] == '\0')
        check_pasts(&r);
    if (s->failure[0] == '\0')
        sim_purge_check_named(s, &r.model);
    for (size_t i = 0; i < 64; i++)
        vv_deinit(&r.seen[i]);
    idvec_deinit(&r.vector);
    model_deinit(&r.model);
    chain_table_deinit(&r.chains);
    arena_free_all(&r.arena);
    catalog_unref(catalog);
}
