/* sim_model.c - the end, held against the naive model of tests/merge: all signed batches, merged again from scratch; and the past likewise. */
#include "sim/sim_load.h"

#include <string.h>

#include "base/mem.h"
#include "engine/types.h"
#include "merge/replay.h"

struct checked { /* the replay of a run's batches, and what is checked beside it */
    struct sim *s;
    struct replay r;
    const struct catalog *catalog;
    struct idvec vector;                    /* of node 0, with which all agree */
    uint8_t head[REPLAY_CHAINS_MAX][32];    /* by chain number: the hash of its last batch */
    hlc_stamp newest[REPLAY_CHAINS_MAX];    /* by chain number: the stamp of its last transaction */
    struct err err;
};

static int32_t column_at(void *arg, uint64_t table, uint32_t column_id)
{
    const struct checked *x = arg;
    const struct table_def *t = catalog_table_by_id(x->catalog, table);
    for (uint32_t c = 0; t != NULL && c < t->rows.count; c++)
        if (t->record_ids[c] == column_id)
            return (int32_t)c;
    return -1;
}

static bool takes_table(void *arg, uint64_t table)
{
    const struct checked *x = arg;
    const struct table_def *t = catalog_table_by_id(x->catalog, table);
    return t != NULL && !t->is_system;
}

/* Stamps of a chain grow, but for the chunks of one transaction, and each is greater than those of all that its writer had seen. */
static quartet_status stamp_follows(void *arg, chain_no chain, const struct delta_reader *d, struct err *err)
{
    struct checked *x = arg;
    hlc_stamp floor = x->newest[chain];
    for (uint32_t i = 0; i < d->deps.count; i++)
        floor = d->deps.e[i].stamp > floor ? d->deps.e[i].stamp : floor;
    bool follows = (d->flags & DELTA_CONTINUES) != 0 ? d->stamp == x->newest[chain] : d->stamp > floor;
    x->newest[chain] = d->stamp;
    return follows ? QUARTET_OK
                   : err_set(err, QUARTET_INTERNAL, "delta %llu of slot %u is stamped %llu, not above %llu, which it or its writer had seen", (unsigned long long)d->number,
                             (unsigned)hlc_slot(d->stamp), (unsigned long long)d->stamp, (unsigned long long)floor);
}

/* Each batch is signed by its slot, and names the one before it of its chain by hash. */
static quartet_status links(struct checked *x, struct slice bytes, const struct batch_header *h, struct slice payload, chain_no chain)
{
    const struct sim *s = x->s;
    const struct member_node *origin = member_find_slot(&s->docs[0], h->chain.slot), *later = s->stage == 2 ? member_find_slot(&s->docs[2], h->chain.slot) : NULL;
    if (origin == NULL)
        return err_set(&x->err, QUARTET_INTERNAL, "a batch of slot %u, which is no member", (unsigned)h->chain.slot);
    if (h->first > 1 && memcmp(h->prev, x->head[chain], sizeof x->head[chain]) != 0)
        return err_set(&x->err, QUARTET_INTERNAL, "batch %llu of slot %u does not link to the one before", (unsigned long long)h->first, (unsigned)h->chain.slot);
    memcpy(x->head[chain], h->hash, sizeof x->head[chain]);
    quartet_status rc = batch_verify(bytes, h, payload, &s->docs[0].cluster, origin->public_key, &x->err);
    if (rc != QUARTET_OK && later != NULL) { /* the slot's new node has another key */
        err_clear(&x->err);
        rc = batch_verify(bytes, h, payload, &s->docs[0].cluster, later->public_key, &x->err);
    }
    return rc;
}

/* *took: it is the next of its chain. What was signed again after a crash holds the same deltas, and what went with a disk is no part of the history. */
static quartet_status take_batch(struct checked *x, struct slice bytes, bool maybe_lost, bool *took)
{
    struct batch_header h;
    struct slice payload;
    chain_no chain;
    *took = false;
    quartet_status rc = batch_parse(bytes, &h, &payload, &x->err);
    if (rc == QUARTET_OK && maybe_lost && idvec_number(&x->vector, h.chain) < h.first + h.count - 1)
        return QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = chain_intern(&x->r.chains, h.chain, &chain, &x->err);
    if (rc == QUARTET_OK && chain >= REPLAY_CHAINS_MAX)
        rc = err_set(&x->err, QUARTET_LIMIT, "more than %u chains", REPLAY_CHAINS_MAX);
    if (rc != QUARTET_OK || h.first != x->r.done[chain] + 1)
        return rc;
    *took = true;
    rc = links(x, bytes, &h, payload, chain);
    return rc == QUARTET_OK ? replay_take(&x->r, bytes, &x->err) : rc;
}

/* A chain's batches in their order; which chain comes first does not matter to the model. */
static quartet_status take_told(struct checked *x)
{
    quartet_status rc = QUARTET_OK;
    for (bool more = true; more && rc == QUARTET_OK;) {
        more = false;
        for (size_t i = 0; i < x->s->batch_count && rc == QUARTET_OK; i++) {
            const struct sim_batch *b = &x->s->batches[i];
            bool took;
            rc = take_batch(x, slice_of(b->bytes, b->n), b->maybe_lost, &took);
            more |= took;
        }
    }
    return rc;
}

/* What was signed and never told by its node, because it fell over in that moment, is in the log all the same, and so at all nodes; a log may have been cut, and who took a snapshot never had it. */
static quartet_status take_from_a_log(struct checked *x, struct chain_id id, uint64_t number, bool *took)
{
    quartet_status rc = QUARTET_NOTFOUND;
    *took = false;
    for (uint32_t k = 0; k < x->s->o.nodes && rc != QUARTET_OK; k++) {
        struct buf bytes = {0};
        uint32_t count = 0;
        err_clear(&x->err);
        rc = db_read_batches(x->s->nodes[k].d, id, number, 1, &bytes, &count, &x->err);
        uint8_t *copy = rc == QUARTET_OK && bytes.len > 4 ? arena_dup(&x->r.arena, bytes.data + 4, load_le32(bytes.data)) : NULL;
        if (rc == QUARTET_OK)
            rc = copy == NULL ? QUARTET_NOTFOUND : take_batch(x, slice_of(copy, load_le32(bytes.data)), false, took);
        buf_deinit(&bytes);
    }
    return rc;
}

/* All that node 0 has applied. */
static quartet_status take_batches(struct checked *x)
{
    quartet_status rc = take_told(x);
    for (uint32_t i = 0; i < x->vector.count && rc == QUARTET_OK; i++) {
        const struct idvec_entry *e = &x->vector.e[i];
        chain_no chain;
        bool took = true;
        rc = chain_intern(&x->r.chains, e->chain, &chain, &x->err);
        while (rc == QUARTET_OK && took && chain < REPLAY_CHAINS_MAX && x->r.done[chain] < e->number) {
            rc = take_from_a_log(x, e->chain, x->r.done[chain] + 1, &took);
            if (rc == QUARTET_OK && took)
                rc = take_told(x); /* what follows it */
        }
        if (rc == QUARTET_OK && (chain >= REPLAY_CHAINS_MAX || x->r.done[chain] < e->number))
            rc = err_set(&x->err, QUARTET_INTERNAL, "a hole in a chain of slot %u: nobody has %llu", (unsigned)e->chain.slot,
                         (unsigned long long)(chain < REPLAY_CHAINS_MAX ? x->r.done[chain] + 1 : 0));
    }
    return rc;
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

static void compare_row(struct checked *x, const struct table_def *t, const struct model_key *k, txn *reader, uint64_t *live)
{
    struct value expected[64], got[64];
    bool found = false;
    uint32_t births = 0;
    bool shown = model_show(&x->r.model, t->id, k->key, NULL, 0, &t->rows, &x->r.arena, expected, &births);
    *live += shown;
    if (table_get(reader, t, k->key, got, &x->r.arena, &found, &x->err) != QUARTET_OK) {
        sim_fail(x->s, "node 0: %s", x->err.text);
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
    sim_fail(x->s, "node 0 and the naive model differ on a row of %s (node | model): %s", t->name, text.failed ? "?" : (const char *)text.data);
    buf_deinit(&text);
}

/* ---- history: what the model shows of the transactions up to a stamp, every node must tell AS OF it ---- */

struct past {
    struct checked *x;
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
    struct checked *x = p->x;
    const struct table_def *first = catalog_table_by_id(x->catalog, t->id);
    struct value expected[64];
    uint32_t births;
    bool shown = first != NULL && model_show(&x->r.model, t->id, key, p->known, p->known_count, &first->rows, &x->r.arena, expected, &births);
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
        sim_fail(x->s, "HISTORY: node %u as of stamp %llu and the naive model differ on a row of %s (node | model): %s", p->node, (unsigned long long)p->as_of, t->name,
                 text.failed ? "?" : (const char *)text.data);
    buf_deinit(&text);
}

static bool scan_past(struct past *p, txn *reader, const struct table_def *t)
{
    struct checked *x = p->x;
    uint32_t columns[64];
    table_scan *scan = NULL;
    for (uint32_t i = 0; i < t->column_count; i++)
        columns[i] = i;
    struct scan_want want = {.columns = columns, .column_count = t->column_count, .keys = true, .as_of = p->as_of};
    quartet_status rc = table_scan_open(reader, t, NULL, NULL, &want, &scan, &x->err);
    while (rc == QUARTET_OK && x->s->failure[0] == '\0') {
        struct batch b;
        rc = table_scan_next(scan, 0, &b, &x->err);
        if (rc != QUARTET_OK || b.n == 0)
            break;
        for (uint32_t row = 0; row < b.n; row++)
            compare_past(p, t, b.keys[row], &b, row);
    }
    table_scan_close(scan);
    return rc == QUARTET_OK;
}

static void check_past(struct checked *x, uint32_t at, hlc_stamp as_of)
{
    struct past p = {.x = x, .node = at, .as_of = as_of};
    txn *reader = NULL;
    struct err gone = ERR_INIT;
    if (db_history_check(x->s->nodes[at].d, as_of, &gone) != QUARTET_OK)
        return; /* it is no longer promised */
    uint64_t live = 0;
    for (uint32_t c = 0; c < x->r.chains.count && c < 64; c++) {
        struct model_seen *k = &p.known[p.known_count];
        *k = (struct model_seen){.chain = x->r.chains.ids[c]};
        for (uint32_t i = 0; i < x->r.txn_count; i++) {
            const struct model_txn *t = x->r.txns[i];
            if (chain_id_cmp(t->chain, k->chain) == 0 && t->stamp <= as_of && t->number > k->number)
                k->number = t->number;
        }
        p.known_count += k->number > 0;
    }
    bool ok = txn_begin(x->s->nodes[at].d, &reader, &x->err) == QUARTET_OK && txn_statement_begin(reader, &x->err) == QUARTET_OK;
    const struct table_def *t;
    for (uint32_t i = 0; ok && (t = catalog_table_at(txn_catalog(reader), i)) != NULL; i++)
        if (!t->is_system && t->column_count < 64 && !sim_load_derives(t->name))
            ok = scan_past(&p, reader, t);
    if (!ok)
        sim_fail(x->s, "HISTORY: node %u as of stamp %llu: %s", at, (unsigned long long)as_of, x->err.text);
    for (size_t i = 0; ok && i < x->r.model.key_count; i++) {
        const struct model_key *k = x->r.model.keys[i];
        struct value shown[64];
        uint32_t births;
        t = catalog_table_by_id(txn_catalog(reader), k->table);
        if (t != NULL && !t->dropped && t->column_count < 64 && !sim_load_derives(t->name))
            live += model_show(&x->r.model, t->id, k->key, p.known, p.known_count, &t->rows, &x->r.arena, shown, &births);
    }
    txn_rollback(reader);
    if (x->s->failure[0] == '\0' && live != p.rows)
        sim_fail(x->s, "HISTORY: node %u shows %llu rows as of stamp %llu, the naive model %llu", at, (unsigned long long)p.rows,
                 (unsigned long long)as_of, (unsigned long long)live);
}

/* As of two transactions' stamps, each on one node. */
static void check_pasts(struct checked *x)
{
    struct prng random;
    prng_seed(&random, x->s->o.seed);
    for (uint32_t i = 0; i < 2 && x->r.txn_count > 0 && x->s->failure[0] == '\0'; i++) {
        const struct model_txn *t = x->r.txns[prng_below(&random, x->r.txn_count)];
        check_past(x, (uint32_t)prng_below(&random, x->s->o.nodes), t->stamp);
    }
}

void sim_check_model(struct sim *s)
{
    struct checked *x = mem_zalloc(1, sizeof *x);
    if (x == NULL) {
        sim_fail(s, "the simulator is out of memory");
        return;
    }
    struct catalog *catalog = db_catalog(s->nodes[0].d);
    txn *reader = NULL;
    *x = (struct checked){.s = s, .catalog = catalog, .err = ERR_INIT};
    replay_init(&x->r, &(struct replay_hooks){.column_at = column_at, .takes_table = takes_table, .check = stamp_follows, .arg = x});
    if (!sim_vector(&s->nodes[0], false, &x->vector, &x->err) || take_batches(x) != QUARTET_OK)
        sim_fail(s, "the naive model cannot take the batches: %s", x->err.text);
    else if (txn_begin(s->nodes[0].d, &reader, &x->err) != QUARTET_OK || txn_statement_begin(reader, &x->err) != QUARTET_OK)
        sim_fail(s, "node 0: %s", x->err.text);
    uint64_t live = 0;
    for (size_t i = 0; i < x->r.model.key_count && s->failure[0] == '\0'; i++) {
        const struct table_def *t = catalog_table_by_id(catalog, x->r.model.keys[i]->table);
        if (t != NULL && !t->dropped && t->rows.count < 64 && t->column_count < 64 && !sim_load_derives(t->name))
            compare_row(x, t, x->r.model.keys[i], reader, &live);
    }
    txn_rollback(reader);
    int64_t rows = 0;
    const struct table_def *t;
    for (uint32_t i = 0; s->failure[0] == '\0' && (t = catalog_table_at(catalog, i)) != NULL; i++) {
        int64_t count = 0;
        if (t->is_system || t->dropped || sim_load_derives(t->name))
            continue;
        if (sim_sqlf(&s->nodes[0], &count, &x->err, "SELECT count(*) FROM %s", t->name) != QUARTET_OK)
            sim_fail(s, "node 0: %s", x->err.text);
        rows += count;
    }
    if (s->failure[0] == '\0' && (uint64_t)rows != live)
        sim_fail(s, "node 0 shows %lld rows, the naive model %llu", (long long)rows, (unsigned long long)live);
    if (s->failure[0] == '\0')
        check_pasts(x);
    if (s->failure[0] == '\0')
        sim_purge_check_named(s, &x->r.model);
    idvec_deinit(&x->vector);
    replay_deinit(&x->r);
    mem_free(x);
    catalog_unref(catalog);
}
