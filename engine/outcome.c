/* outcome.c - which request of a client committed last, by session: so that a client whose link broke before the answer came can ask, and need not guess.
 * A transaction's identifier is (slot, incarnation, session, request): the run of the node that was asked, the session's number within that run, and the client's number of the
 *   request that was to commit. Nothing of it is random, so a delta, which names its chain anyway, carries two small numbers (delta_request), and every node that applies it knows.
 * Why one row a session and not one a transaction: a client that gets an answer never asks about that request; so all but the last are of no use to anybody, and a random key for
 *   each commit would cost more than the commit. A session belongs to one chain, whose deltas are applied in order, so the row is the same on all nodes that have the same of
 *   the chain, without a rule for conflicts; it is derived from deltas, local, and no part of the state hash.
 * What "no" means: that there is no row tells nothing of a delta that is on its way. It is final only where nothing of the chain can come any more: on the node itself, when the
 *   session has ended (node_outcome.c), or where the chain is closed and applied as a whole.
 * Bounded: OUTCOME_SESSIONS a chain, and chains whose last delta is older than OUTCOME_KEPT_MS are forgotten. Then the answer is FORGOTTEN, never "no".
 * Not here: who may say "no" (node_outcome.c), what a client does with it (net/client_outcome.c). */
#include "outcome.h"

#include "apply_internal.h"
#include "system_table.h"
#include "txn_internal.h"

#define SWEEP_ROWS 1024u
#define SWEEP_SESSIONS 256u /* a sweep for fewer is not worth a look */
#define SWEEP_EVERY 4096u   /* commits of clients from one look for old chains to the next */

enum { OUTCOME_SLOT, OUTCOME_INCARNATION, OUTCOME_SESSION, OUTCOME_REQUEST, OUTCOME_STAMP, OUTCOME_GAVE_ROWS, OUTCOME_AFFECTED, OUTCOME_LAST_ID, OUTCOME_COLUMNS };

/* The key's columns up to `count` of its three. */
static void put_key(struct buf *out, const struct table_def *t, struct chain_id id, uint64_t session, uint32_t count)
{
    struct value v[3] = {value_int(id.slot), value_int((int64_t)id.incarnation), value_int((int64_t)session)};
    buf_clear(out);
    for (uint32_t i = 0; i < count; i++)
        key_put(out, &t->keys[i], &v[i]);
}

static bool is_old(const struct vv_entry *e, hlc_stamp newest)
{
    return hlc_ms(e->stamp) + OUTCOME_KEPT_MS < hlc_ms(newest);
}

/* Rows of the chain below this session (0: all of them) go, at most SWEEP_ROWS. *all: none is left. */
static quartet_status sweep(struct applying *a, const struct table_def *t, struct chain_id id, uint64_t below, bool *all)
{
    struct buf lo = {0}, hi = {0};
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {0};
    kv_iter *it = NULL;
    put_key(&lo, t, id, 0, 2);
    put_key(&hi, t, id, below, below > 0 ? 3 : 2);
    struct kv_range range = {.lo = slice_of(lo.data, lo.len), .hi_open = below == 0 && !key_prefix_end(&hi)};
    range.hi = slice_of(hi.data, hi.len);
    quartet_status rc = lo.failed || hi.failed ? err_nomem(a->err) : kv_iter_open(a->snap, NULL, SYS_OUTCOMES, &range, &want, &it, a->err);
    if (rc == QUARTET_OK)
        rc = kv_iter_next(it, SWEEP_ROWS, &rows, a->err);
    for (uint32_t i = 0; i < rows.n && rc == QUARTET_OK; i++)
        rc = ops_put_copy(&a->ops, SYS_OUTCOMES, rows.keys[i], (struct slice){0}, a->err);
    *all = rows.n < SWEEP_ROWS;
    kv_iter_close(it);
    buf_deinit(&lo);
    buf_deinit(&hi);
    return rc;
}

static quartet_status let_go(struct applying *a, const struct table_def *t, struct chain_state *s, struct chain_id id)
{
    db *d = a->d;
    uint64_t session = a->request.session, below = session > OUTCOME_SESSIONS ? session - OUTCOME_SESSIONS : 0;
    bool all = false;
    quartet_status rc = QUARTET_OK;
    if (below >= s->outcomes_from + SWEEP_SESSIONS) {
        rc = sweep(a, t, id, below, &all);
        if (rc == QUARTET_OK && all)
            s->outcomes_from = below;
    }
    if (d->outcomes_put++ % SWEEP_EVERY != 0)
        return rc;
    for (uint32_t i = 0; i < d->applied.count && rc == QUARTET_OK; i++)
        if (d->applied.e[i].chain != a->in.chain && is_old(&d->applied.e[i], a->newest))
            rc = sweep(a, t, chain_id_of(&d->chains, d->applied.e[i].chain), 0, &all);
    return rc;
}

quartet_status apply_outcome(struct applying *a)
{
    const struct delta_request *q = &a->request;
    if (q->session == 0)
        return QUARTET_OK;
    db *d = a->d;
    struct chain_state *s = db_chain(d, a->in.chain, a->err);
    const struct table_def *t = catalog_table_by_id(a->catalog, SYS_OUTCOMES);
    struct chain_id id = chain_id_of(&d->chains, a->in.chain);
    struct value v[OUTCOME_COLUMNS - OUTCOME_REQUEST] = {value_int(q->request), value_int((int64_t)a->in.stamp), value_int(q->gave_rows), value_int(q->affected),
                                                         value_int(q->last_insert_id)};
    if (s == NULL)
        return QUARTET_NOMEM;
    put_key(&a->scratch, t, id, q->session, 3);
    buf_clear(&a->record);
    record_put_simple(&a->record, a->writer.ver, v, OUTCOME_COLUMNS - OUTCOME_REQUEST);
    if (a->scratch.failed || a->record.failed)
        return err_nomem(a->err);
    quartet_status rc = ops_put_copy(&a->ops, SYS_OUTCOMES, slice_of(a->scratch.data, a->scratch.len), slice_of(a->record.data, a->record.len), a->err);
    return rc == QUARTET_OK ? let_go(a, t, s, id) : rc;
}

/* ---- asking ---- */

struct finding {
    const struct outcome_name *name;
    struct outcome *out;
    bool later; /* a session that is so much newer that this one's row may have gone */
};

static quartet_status take(void *arg, const struct value *v, struct slice key, struct slice record, struct err *err)
{
    struct finding *f = arg;
    uint64_t session = (uint64_t)v[OUTCOME_SESSION].i;
    (void)key, (void)record, (void)err; /* the shape of system_take */
    f->later = f->later || session > f->name->session + OUTCOME_SESSIONS;
    if (session != f->name->session)
        return QUARTET_OK;
    int32_t after = (int32_t)((uint32_t)v[OUTCOME_REQUEST].i - f->name->request); /* clients count on from the start when 32 bits are over */
    if (after < 0)
        return QUARTET_OK;
    f->out->kind = after == 0 ? OUTCOME_COMMITTED : OUTCOME_OVERTAKEN;
    f->out->stamp = (hlc_stamp)v[OUTCOME_STAMP].i;
    f->out->gave_rows = v[OUTCOME_GAVE_ROWS].i != 0;
    f->out->affected = v[OUTCOME_AFFECTED].i;
    f->out->last_insert_id = v[OUTCOME_LAST_ID].i;
    return QUARTET_OK;
}

/* Sessions from the one that is meant on. */
static quartet_status find(db *d, struct finding *f, struct err *err)
{
    const struct table_def *t = catalog_table_by_id(d->catalog, SYS_OUTCOMES);
    struct chain_id id = {.slot = f->name->slot, .incarnation = f->name->incarnation};
    struct buf lo = {0}, hi = {0};
    kv_snap *snap = NULL;
    put_key(&lo, t, id, f->name->session, 3);
    put_key(&hi, t, id, 0, 2);
    struct kv_range range = {.lo = slice_of(lo.data, lo.len), .hi_open = !key_prefix_end(&hi)};
    range.hi = slice_of(hi.data, hi.len);
    quartet_status rc = lo.failed || hi.failed ? err_nomem(err) : kv_snapshot_latest(d->store, &snap, err);
    if (rc == QUARTET_OK)
        rc = system_rows(snap, NULL, t, &range, NULL, take, f, err);
    kv_release(snap);
    buf_deinit(&lo);
    buf_deinit(&hi);
    return rc;
}

static hlc_stamp newest(const db *d)
{
    hlc_stamp stamp = 0;
    for (uint32_t i = 0; i < d->applied.count; i++)
        stamp = d->applied.e[i].stamp > stamp ? d->applied.e[i].stamp : stamp;
    return stamp;
}

/* commit_lock held: what is applied and what is closed are looked at in the same moment as the rows. */
static quartet_status ask(db *d, const struct outcome_name *name, struct outcome *out, struct err *err)
{
    struct finding f = {.name = name, .out = out};
    chain_no chain;
    if (d->broken)
        return err_set(err, QUARTET_IO, "the database must be opened again before it can tell what was committed");
    quartet_status rc = find(d, &f, err);
    if (rc != QUARTET_OK || !chain_find(&d->chains, (struct chain_id){.slot = name->slot, .incarnation = name->incarnation}, &chain))
        return rc;
    const struct vv_entry *e = vv_find(&d->applied, chain);
    struct chain_id successor;
    uint64_t last = 0;
    out->applied = e != NULL ? e->number : 0;
    out->ended = db_chain_closed(d, chain, &last, &successor) && out->applied >= last;
    for (uint32_t i = 0; i < d->chains.fork_count; i++)
        out->forked = out->forked || d->chains.forks[i].chain == chain || d->chains.forks[i].as == chain;
    if (out->kind == OUTCOME_NONE && (f.later || (e != NULL && is_old(e, newest(d)))))
        out->kind = OUTCOME_FORGOTTEN;
    return QUARTET_OK;
}

quartet_status db_outcome(db *d, const struct outcome_name *name, struct outcome *out, struct err *err)
{
    *out = (struct outcome){.kind = OUTCOME_NONE};
    pthread_mutex_lock(&d->commit_lock);
    quartet_status rc = ask(d, name, out, err);
    pthread_mutex_unlock(&d->commit_lock);
    return rc;
}
