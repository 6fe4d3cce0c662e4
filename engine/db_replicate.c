/* db_replicate.c - batches from and for peers: check and take what comes, read back what a peer asks for, tell how far this node is.
 * Why the bytes are stored and relayed as received: the signature is over them, and anyone can check them again.
 * Invariants: nothing of a batch takes effect before its signature was verified and it links to its predecessor in the chain; what a peer can pull is on this
 *   disk or comes again from its origin.
 * Not here: signing (db_seal.c), dependencies (db_take.c), who is asked when (net/gossip.c). */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/plant.h"
#include "db_fork.h"

struct chain_id db_batch_name(db *d, const struct batch_header *h)
{
    struct chain_id name = h->chain;
    struct err ignored = ERR_INIT;
    pthread_mutex_lock(&d->commit_lock);
    if (d->chains.fork_count > 0) {
        struct fork_place at = fork_place(d, h, &ignored);
        if (at.result == DELIVER_DUPLICATE)
            name = chain_id_at(&d->chains, at.chain, h->first);
    }
    pthread_mutex_unlock(&d->commit_lock);
    return name;
}

static struct chain_state *find_state(db *d, struct chain_id id, chain_no *no)
{
    return chain_find(&d->chains, id, no) && *no < d->state_count ? d->state[*no] : NULL;
}

/* A verified batch that links. commit_lock held. */
static quartet_status take(db *d, struct slice bytes, const struct batch_header *h, const struct fork_place *at, enum deliver_result *result, uint64_t *need,
                           struct err *err)
{
    chain_no chain = at->chain;
    bool taken = true;
    quartet_status rc = at->fork ? fork_found(d, h, bytes, at->chain, &chain, &taken, err) : at->fresh ? chain_intern(&d->chains, h->chain, &chain, err) : QUARTET_OK;
    if (rc == QUARTET_OK && !taken) {
        *result = DELIVER_LATER; /* if somebody needs it */
        return QUARTET_OK;
    }
    if (rc == QUARTET_OK && h->chain.slot == d->identity.slot)
        db_heard_of_own_slot(d, at->fresh);
    struct chain_state *s = rc == QUARTET_OK ? db_chain(d, chain, err) : NULL;
    struct held_batch *b = s == NULL ? NULL : held_new(chain, h, bytes, err);
    bool rest, bad;
    if (b == NULL)
        return rc != QUARTET_OK ? rc : QUARTET_NOMEM;
    rc = take_batch(d, b, &rest, &bad, err);
    if (rc == QUARTET_OK && bad && !b->logged) { /* nothing of it took effect */
        *result = DELIVER_REFUSED;
        mem_free(b);
        return rc;
    }
    if (rc == QUARTET_OK && rest && !b->logged && d->held_bytes + b->n > DB_STASH_BYTES_MAX) {
        *result = DELIVER_GAP; /* no room to hold it: it is pulled again later */
        *need = h->first;
        mem_free(b);
        return rc;
    }
    if (rc != QUARTET_OK) {
        mem_free(b);
        return rc;
    }
    s->received = b->last;
    s->back = 0;
    memcpy(s->received_hash, h->hash, sizeof s->received_hash);
    s->poisoned = bad;
    *result = bad ? DELIVER_REFUSED : rest ? DELIVER_HELD : DELIVER_APPLIED;
    if (rest && !bad && !plant_is(PLANT_HELD_DROPPED))
        held_add(d, b);
    else
        mem_free(b);
    struct err ignored = ERR_INIT;
    return d->held_count == 0 ? QUARTET_OK : take_held(d, bad ? &ignored : err);
}

/* Of a former member nothing is taken but what a member had taken before it was evicted. */
static void hold_back_former(const db *d, const struct batch_header *h, bool former, struct fork_place *at)
{
    if (former && at->result == DELIVER_APPLIED && !fork_needs(d, h) && !plant_is(PLANT_FORMER_TAKEN))
        at->result = DELIVER_LATER;
}

static quartet_status deliver(db *d, struct slice batch, const uint8_t *public_key, bool former, enum deliver_result *result, uint64_t *need, struct err *err)
{
    struct batch_header h;
    struct slice payload;
    *need = 0;
    *result = DELIVER_REFUSED;
    quartet_status rc = batch_parse(batch, &h, &payload, err);
    if (rc != QUARTET_OK)
        return rc == QUARTET_NOMEM ? rc : QUARTET_OK;
    pthread_mutex_lock(&d->commit_lock);
    bool member = d->identity.member;
    struct cluster_id cluster = d->identity.cluster;
    struct fork_place at = fork_place(d, &h, err);
    hold_back_former(d, &h, former, &at);
    pthread_mutex_unlock(&d->commit_lock);
    if (!member)
        return err_set(err, QUARTET_MISUSE, "this database is in no cluster");
    if (at.result != DELIVER_APPLIED) { /* cheap answers first: a batch comes from every peer */
        *result = at.result;
        *need = at.need;
        return QUARTET_OK;
    }
    if (batch_verify(batch, &h, payload, &cluster, public_key, err) != QUARTET_OK)
        return QUARTET_OK;
    if (db_payload_level(payload) > LEVEL_MAX) { /* this build has no business with it, and is told so at the link; the next one takes it */
        *result = DELIVER_LATER;
        return QUARTET_OK;
    }
    pthread_mutex_lock(&d->commit_lock);
    rc = db_usable(d, err);
    if (rc == QUARTET_OK) {
        at = fork_place(d, &h, err); /* another thread may have brought it meanwhile */
        hold_back_former(d, &h, former, &at);
        *result = at.result;
        *need = at.need;
        if (at.result == DELIVER_APPLIED)
            rc = take(d, batch, &h, &at, result, need, err);
    }
    pthread_mutex_unlock(&d->commit_lock);
    if (rc == QUARTET_OK && (*result == DELIVER_APPLIED || *result == DELIVER_HELD || at.fork)) /* a part of what is held may have been applied */
        db_notify(d);
    return rc;
}

quartet_status db_deliver(db *d, struct slice batch, const uint8_t *public_key, enum deliver_result *result, uint64_t *need, struct err *err)
{
    return deliver(d, batch, public_key, false, result, need, err);
}

quartet_status db_deliver_former(db *d, struct slice batch, const uint8_t *public_key, enum deliver_result *result, uint64_t *need, struct err *err)
{
    return deliver(d, batch, public_key, true, result, need, err);
}

/* ---- reading back ---- */

static quartet_status read_remote(db *d, const struct batch_at *at, struct buf *out, struct err *err)
{
    enum log_type type;
    log_pos end;
    size_t start = out->len;
    buf_u32(out, 0);
    quartet_status rc = commit_log_read(d->log, at->at, &type, out, &end, err);
    if (rc == QUARTET_OK && type != LOG_REMOTE)
        rc = err_set(err, QUARTET_CORRUPT, "log: another record where a batch should stand");
    if (rc == QUARTET_OK && !out->failed)
        store_le32(out->data + start, (uint32_t)(out->len - start - 4));
    return rc;
}

/* Header and signature, then the deltas from where they were first written. */
static quartet_status read_sealed(db *d, const struct batch_at *at, struct buf *out, struct err *err)
{
    struct buf seal = {0}, local = {0};
    enum log_type type;
    log_pos end;
    size_t start = out->len;
    quartet_status rc = commit_log_read(d->log, at->at, &type, &seal, &end, err);
    struct bytes_in in = bytes_in(seal.data, seal.len);
    (void)bytes_take(&in, DB_SEAL_HEAD_BYTES); /* known from the index */
    const uint8_t *head = bytes_take(&in, BATCH_HEADER_BYTES + BATCH_SIGNATURE_BYTES);
    if (rc == QUARTET_OK && (type != LOG_SEAL || head == NULL))
        rc = err_set(err, QUARTET_CORRUPT, "log: another record where a signature should stand");
    if (rc == QUARTET_OK) {
        buf_u32(out, 0);
        buf_put(out, head, BATCH_HEADER_BYTES + BATCH_SIGNATURE_BYTES);
    }
    for (uint32_t i = 0; i < at->count && rc == QUARTET_OK; i++) {
        buf_clear(&local);
        log_pos pos = bytes_u64(&in);
        rc = in.bad ? err_set(err, QUARTET_CORRUPT, "log: a signature's record is cut short") : commit_log_read(d->log, pos, &type, &local, &end, err);
        if (rc == QUARTET_OK && (type != LOG_LOCAL || local.len < DB_LOCAL_HEAD_BYTES))
            rc = err_set(err, QUARTET_CORRUPT, "log: another record where a delta should stand");
        if (rc != QUARTET_OK)
            break;
        buf_u32(out, (uint32_t)(local.len - DB_LOCAL_HEAD_BYTES));
        buf_put(out, local.data + DB_LOCAL_HEAD_BYTES, local.len - DB_LOCAL_HEAD_BYTES);
    }
    if (rc == QUARTET_OK && !out->failed)
        store_le32(out->data + start, (uint32_t)(out->len - start - 4));
    buf_deinit(&seal);
    buf_deinit(&local);
    return rc;
}

quartet_status db_read_batch(db *d, const struct batch_at *at, struct buf *out, struct err *err)
{
    size_t start = out->len;
    quartet_status rc = at->is_seal ? read_sealed(d, at, out, err) : read_remote(d, at, out, err);
    if (rc == QUARTET_OK)
        rc = buf_check(out, err);
    if (rc != QUARTET_OK)
        return rc;
    memmove(out->data + start, out->data + start + 4, out->len - start - 4); /* without its length */
    out->len -= 4;
    return QUARTET_OK;
}

quartet_status db_read_header(db *d, chain_no chain, uint64_t number, uint8_t raw[BATCH_SIGNED_BYTES], struct batch_header *out, bool *found, struct err *err)
{
    struct batch_at at;
    struct buf record = {0};
    enum log_type type;
    log_pos end;
    *found = db_find_batch(d, chain, number, &at);
    if (!*found)
        return QUARTET_OK;
    quartet_status rc = commit_log_read(d->log, at.at, &type, &record, &end, err);
    size_t from = at.is_seal ? DB_SEAL_HEAD_BYTES : 0;
    if (rc == QUARTET_OK && (record.len < from + BATCH_SIGNED_BYTES || type != (at.is_seal ? LOG_SEAL : LOG_REMOTE)))
        rc = err_set(err, QUARTET_CORRUPT, "log: another record where a batch should stand");
    if (rc == QUARTET_OK) {
        memcpy(raw, record.data + from, BATCH_SIGNED_BYTES);
        rc = batch_parse_header(slice_of(raw, BATCH_SIGNED_BYTES), out, err);
    }
    buf_deinit(&record);
    return rc;
}

/* Which batch, or run of them, holds delta *next of the chain? *next goes up to where the chain has this name. Not OK: nothing does, err says why. */
static quartet_status entry_of(db *d, struct chain_id chain, uint64_t *next, struct batch_at *out, struct err *err)
{
    chain_no no;
    uint64_t first = 1, part_end = UINT64_MAX;
    pthread_mutex_lock(&d->commit_lock);
    struct chain_state *s = find_state(d, chain, &no);
    if (s != NULL && d->chains.fork_count > 0)
        fork_part(d, chain, no, &first, &part_end);
    *next = *next < first ? first : *next;
    const struct batch_at *e = *next < part_end ? chain_entry(s, *next) : NULL;
    if (e != NULL)
        *out = *e;
    bool trimmed = e == NULL && s != NULL && *next < part_end && *next <= s->head_number && (s->batch_count == 0 || *next < s->batches[0].first);
    pthread_mutex_unlock(&d->commit_lock);
    if (e != NULL)
        return QUARTET_OK;
    return trimmed ? err_set(err, QUARTET_TOO_OLD, "the log no longer has delta %llu of that chain", (unsigned long long)*next)
                   : err_set(err, QUARTET_NOTFOUND, "no sealed batch holds delta %llu of that chain", (unsigned long long)*next);
}

/* Of a run, of which `had` was the last to be read, what is behind it. */
static void go_on(struct batch_at *run, const struct batch_at *had)
{
    if (!run->run || had->count == 0 || had->first < run->first || had->first >= run->first + run->count)
        return;
    run->count -= (uint32_t)(had->first - run->first);
    run->first = had->first;
    run->at = had->at;
}

quartet_status db_read_batches(db *d, struct chain_id chain, uint64_t from, size_t max_bytes, struct buf *out, uint32_t *count, struct err *err)
{
    struct batch_at had = {0};
    *count = 0;
    for (uint64_t next = from;;) {
        struct batch_at at;
        size_t before = out->len;
        quartet_status rc = entry_of(d, chain, &next, &at, err);
        if (rc == QUARTET_OK) {
            go_on(&at, &had);
            rc = db_locate_batch(d, &at, next, err);
            /* Its own seals only once they are on disk: after a crash the same deltas might be cut into other batches. */
            if (rc == QUARTET_OK && at.is_seal && at.at >= commit_log_synced(d->log))
                rc = err_set(err, QUARTET_NOTFOUND, "no sealed batch holds delta %llu of that chain", (unsigned long long)next);
        }
        if (*count > 0 && (rc == QUARTET_NOTFOUND || rc == QUARTET_TOO_OLD)) {
            err_clear(err);
            return QUARTET_OK;
        }
        if (rc == QUARTET_OK)
            rc = at.is_seal ? read_sealed(d, &at, out, err) : read_remote(d, &at, out, err);
        if (rc == QUARTET_OK)
            rc = buf_check(out, err);
        if (rc != QUARTET_OK)
            return rc;
        if (*count > 0 && out->len > max_bytes) {
            out->len = before;
            return QUARTET_OK;
        }
        ++*count;
        if (out->len >= max_bytes)
            return QUARTET_OK;
        next = at.first + at.count;
        had = at;
    }
}

/* ---- how far this node is ---- */

bool db_lacks(db *d, struct chain_id chain, uint64_t from)
{
    chain_no no;
    pthread_mutex_lock(&d->commit_lock);
    const struct chain_state *s = find_state(d, chain, &no);
    bool lacks = s == NULL || s->received < from;
    pthread_mutex_unlock(&d->commit_lock);
    return lacks;
}

void db_set_behind(db *d, struct chain_id chain, uint64_t from)
{
    atomic_store(&d->behind_slot, chain.slot);
    if (atomic_exchange(&d->behind_from, from) == from)
        return;
    struct err why = ERR_INIT;
    if (from != 0 && db_writable(d, &why) != QUARTET_OK)
        log_line(d->env, LOG_ERROR, "db", "%s", why.text);
    else
        log_line(d->env, LOG_INFO, "db", "what no member's log held has come after all: this node takes writes again");
}

uint64_t db_behind_from(db *d)
{
    return atomic_load(&d->behind_from);
}

bool db_is_behind(db *d)
{
    return db_behind_from(d) != 0;
}

void db_set_evicted(db *d)
{
    pthread_mutex_lock(&d->commit_lock);
    d->fenced = d->evicted = true;
    pthread_mutex_unlock(&d->commit_lock);
}

bool db_is_fenced(db *d)
{
    pthread_mutex_lock(&d->commit_lock);
    bool fenced = d->fenced;
    pthread_mutex_unlock(&d->commit_lock);
    return fenced;
}

quartet_status db_vectors(db *d, struct buf *applied, struct buf *durable, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&d->commit_lock);
    if (applied != NULL)
        vv_encode(applied, &d->applied, &d->chains);
    if (durable != NULL)
        vv_encode(durable, &d->durable, &d->chains);
    pthread_mutex_unlock(&d->commit_lock);
    if (applied != NULL)
        rc = buf_check(applied, err);
    if (rc == QUARTET_OK && durable != NULL)
        rc = buf_check(durable, err);
    return rc;
}

/* Raise v to what is on disk of this node's own chains: it is signed up to 5 ms after its commit was acknowledged, and whoever has the acknowledgement has seen it. */
static quartet_status raise_own(db *d, struct vv *v, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    log_pos synced = commit_log_synced(d->log);
    for (uint32_t i = 0; i < d->state_count && rc == QUARTET_OK; i++) {
        const struct chain_state *s = d->state[i];
        if (s == NULL || d->chains.ids[i].slot != d->identity.slot)
            continue;
        size_t n = db_seal_ready(s, synced);
        struct vv_entry e = {.chain = (chain_no)i, .number = s->head_number, .stamp = s->head_stamp, .head = load_le64(s->head)};
        if (n > 0) {
            e.number = s->local[s->local_start + n - 1].number;
            e.stamp = s->local[s->local_start + n - 1].stamp;
        }
        if (e.number > 0)
            rc = vv_raise(v, e, err);
    }
    return rc;
}

quartet_status db_session_vector(db *d, struct buf *out, struct err *err)
{
    struct vv v = {0};
    pthread_mutex_lock(&d->commit_lock);
    quartet_status rc = vv_copy(&v, &d->applied, err);
    for (uint32_t i = v.count; i-- > 0;)
        if (d->chains.ids[v.e[i].chain].slot == d->identity.slot)
            memmove(&v.e[i], &v.e[i + 1], (--v.count - i) * sizeof *v.e);
    for (uint32_t i = 0; rc == QUARTET_OK && i < d->durable.count; i++)
        if (d->chains.ids[d->durable.e[i].chain].slot == d->identity.slot)
            rc = vv_raise(&v, d->durable.e[i], err);
    if (rc == QUARTET_OK)
        rc = raise_own(d, &v, err);
    if (rc == QUARTET_OK)
        vv_encode(out, &v, &d->chains);
    pthread_mutex_unlock(&d->commit_lock);
    vv_deinit(&v);
    return rc == QUARTET_OK ? buf_check(out, err) : rc;
}

quartet_status db_sync_remote(db *d, struct err *err)
{
    struct vv v = {0};
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&d->commit_lock);
    log_pos end = commit_log_end(d->log);
    for (uint32_t i = 0; i < d->state_count && rc == QUARTET_OK; i++) {
        const struct chain_state *s = d->state[i];
        if (s != NULL && s->head_number > 0)
            rc = vv_raise(&v, (struct vv_entry){.chain = (chain_no)i, .number = s->head_number, .stamp = s->head_stamp, .head = load_le64(s->head)}, err);
    }
    pthread_mutex_unlock(&d->commit_lock);
    if (rc == QUARTET_OK && commit_log_synced(d->log) < end) {
        rc = commit_log_sync(d->log, end, LOG_SYNC_FULL, err);
        if (rc != QUARTET_OK)
            db_break(d);
    }
    if (rc == QUARTET_OK) {
        pthread_mutex_lock(&d->commit_lock);
        for (uint32_t i = 0; i < v.count && rc == QUARTET_OK; i++)
            if (v.e[i].number <= d->state[v.e[i].chain]->head_number) /* otherwise its end became void meanwhile */
                rc = vv_raise(&d->durable, v.e[i], err);
        pthread_mutex_unlock(&d->commit_lock);
    }
    vv_deinit(&v);
    return rc;
}

bool db_covers(db *d, struct slice encoded_vv)
{
    struct vv v = {0};
    struct err ignored = ERR_INIT;
    struct bytes_in in = bytes_in(encoded_vv.p, encoded_vv.n);
    if (encoded_vv.n == 0)
        return true;
    pthread_mutex_lock(&d->commit_lock);
    bool covers = vv_decode(&in, &v, &d->chains, &ignored) == QUARTET_OK && !in.bad && fork_resolve(d, &v, false, &ignored) == QUARTET_OK && vv_covers(&d->applied, &v);
    pthread_mutex_unlock(&d->commit_lock);
    vv_deinit(&v);
    return covers;
}
