/* db_recover.c - from the base and the log to a database as it was: replay, incarnations, identity.
 * Why everything goes through take_delta again: a second way of applying would be a second truth. Replaying too much is harmless.
 * Invariants: a member's run begins a new chain, so that a copy of its files can never reuse a number; a database never in a cluster keeps one chain for ever.
 *   What the log holds unsigned stays in the chain's queue and is signed when the keys are there.
 * Not here: the base (kv.c), torn tails (commit_log.c). */
#include <string.h>

#include "apply.h"
#include "db_fork.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/plant.h"

enum meta_kind { META_INCARNATION = 1, META_IDENTITY = 2 }; /* first byte of LOG_META: u8 slot, u64 incarnation; 32 bytes cluster, u8 slot */

#define NEVER_CLUSTERED ((struct chain_id){.slot = 0, .incarnation = 1})

static struct chain_id never_clustered(const db *d)
{
    struct chain_id id = NEVER_CLUSTERED;
    if (d->incarnation != 0)
        id.incarnation = d->incarnation;
    return id;
}

struct replaying {
    db *d;
    uint64_t records;
};

static quartet_status write_meta(db *d, const struct buf *b, struct err *err)
{
    log_pos at, end;
    return b->failed ? err_nomem(err) : db_log(d, LOG_META, slice_of(b->data, b->len), &at, &end, err);
}

quartet_status db_own_since(db *d, log_pos at, chain_no chain, struct err *err)
{
    if (d->own_count == d->own_cap) {
        uint32_t cap = d->own_cap == 0 ? 4 : d->own_cap * 2;
        struct own_since *grown = mem_realloc(d->owns, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        d->owns = grown;
        d->own_cap = cap;
    }
    d->owns[d->own_count++] = (struct own_since){.at = at, .chain = chain};
    return QUARTET_OK;
}

/* Under commit_lock. What a member reports names it, so it is drawn before its chain begins. */
static quartet_status draw_incarnation(db *d, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && (d->run <= NEVER_CLUSTERED.incarnation || d->run >= CHAIN_SUMS)) {
        rc = d->env->ops->random(d->env, &d->run, sizeof d->run, err);
        d->run &= ~CHAIN_BRANCH_BIT;
    }
    return rc;
}

quartet_status db_own_start(db *d, struct err *err)
{
    if (d->own_started)
        return QUARTET_OK;
    struct chain_id id = never_clustered(d);
    quartet_status rc = QUARTET_OK;
    if (d->identity.member) {
        rc = draw_incarnation(d, err);
        id = (struct chain_id){.slot = d->identity.slot, .incarnation = plant_is(PLANT_ONE_INCARNATION) ? 7 : d->run};
    }
    if (rc == QUARTET_OK)
        rc = chain_intern(&d->chains, id, &d->own, err);
    if (rc == QUARTET_OK && db_chain(d, d->own, err) == NULL)
        rc = QUARTET_NOMEM;
    if (rc == QUARTET_OK && d->identity.member)
        rc = db_own_since(d, commit_log_end(d->log), d->own, err);
    if (rc != QUARTET_OK)
        return rc;
    if (d->identity.member) {
        struct buf b = {0};
        buf_u8(&b, META_INCARNATION);
        buf_u8(&b, id.slot);
        buf_u64(&b, id.incarnation);
        rc = write_meta(d, &b, err);
        buf_deinit(&b);
    }
    d->own_started = rc == QUARTET_OK;
    return rc;
}

static quartet_status replay_meta(db *d, const struct log_record *r, struct err *err)
{
    struct bytes_in in = bytes_in(r->payload.p, r->payload.n);
    uint8_t kind = bytes_u8(&in);
    if (kind == META_INCARNATION) {
        struct chain_id id = {.slot = bytes_u8(&in)};
        id.incarnation = bytes_u64(&in);
        if (in.bad)
            return err_set(err, QUARTET_CORRUPT, "log: a damaged record of an incarnation");
        quartet_status rc = chain_intern(&d->chains, id, &d->own, err);
        d->own_chain_known = rc == QUARTET_OK;
        return rc == QUARTET_OK ? db_own_since(d, r->at, d->own, err) : rc;
    }
    if (kind == FORK_META_BRANCH || kind == FORK_META_NEXT || kind == FORK_META_POINT)
        return fork_replay_meta(d, kind, &in, err);
    if (kind != META_IDENTITY)
        return QUARTET_OK; /* of a later version: it says nothing that this one must know */
    const uint8_t *cluster = bytes_take(&in, sizeof d->identity.cluster.b);
    uint8_t slot = bytes_u8(&in);
    if (in.bad || slot >= SLOTS_MAX)
        return err_set(err, QUARTET_CORRUPT, "log: a damaged record of the membership");
    memcpy(d->identity.cluster.b, cluster, sizeof d->identity.cluster.b);
    d->identity.slot = slot;
    d->identity.member = d->has_identity = true;
    return QUARTET_OK;
}

static quartet_status replay_local(db *d, const struct log_record *r, struct err *err)
{
    struct bytes_in in = bytes_in(r->payload.p, r->payload.n);
    struct local_delta x = {.number = bytes_u64(&in), .at = r->at, .end = r->end};
    enum take_result result;
    x.stamp = bytes_u64(&in);
    uint8_t flags = bytes_u8(&in);
    if (in.bad)
        return err_set(err, QUARTET_CORRUPT, "log: a damaged record of a delta");
    if (!d->own_chain_known) {
        if (d->identity.member)
            return err_set(err, QUARTET_CORRUPT, "log: a delta before its incarnation");
        quartet_status rc = chain_intern(&d->chains, never_clustered(d), &d->own, err);
        if (rc != QUARTET_OK)
            return rc;
        d->own_chain_known = true;
    }
    struct chain_state *s = db_chain(d, d->own, err);
    if (s == NULL)
        return QUARTET_NOMEM;
    x.n = (uint32_t)in.left;
    x.more = (flags & DELTA_MORE) != 0;
    if ((flags & DELTA_CONTINUES) == 0 && s->chunks.open)
        chain_drop_unfinished(s); /* a commit that a crash cut off: its numbers were given again */
    quartet_status rc = QUARTET_OK;
    chain_drop_again(s, x.number); /* what a commit that failed left in the log */
    if (d->identity.member && x.number > s->head_number && !plant_is(PLANT_TAIL_NOT_SIGNED))
        rc = chain_add_local(s, x, err);
    if ((x.stamp & ~(hlc_stamp)3) > d->clock.last && !plant_is(PLANT_CLOCK_FORGOTTEN))
        d->clock.last = x.stamp & ~(hlc_stamp)3;
    if (rc != QUARTET_OK || x.number <= vv_number(&d->applied, d->own))
        return rc;
    rc = take_delta(d, d->own, slice_of(in.at, in.left), r->at, r->end, true, &result, err);
    if (rc == QUARTET_OK && result != TAKE_DONE) {
        if (err->code == QUARTET_OK)
            err_set(err, QUARTET_CORRUPT, "log: delta %llu stands before what it depends on", (unsigned long long)x.number);
        return QUARTET_CORRUPT;
    }
    return rc;
}

static quartet_status replay_seal(db *d, const struct log_record *r, struct err *err)
{
    struct bytes_in in = bytes_in(r->payload.p, r->payload.n);
    struct chain_id id = {.slot = bytes_u8(&in)};
    struct batch_at at = {.is_seal = true, .at = r->at};
    chain_no no;
    id.incarnation = bytes_u64(&in);
    at.first = bytes_u64(&in);
    at.count = bytes_u32(&in);
    const uint8_t *hash = bytes_take(&in, 32), *header = bytes_take(&in, BATCH_HEADER_BYTES + BATCH_SIGNATURE_BYTES);
    at.low = bytes_u64(&in);
    at.head = hash != NULL ? load_le64(hash) : 0;
    if (in.bad || at.count == 0)
        return err_set(err, QUARTET_CORRUPT, "log: a damaged record of a signature");
    quartet_status rc = chain_intern(&d->chains, id, &no, err);
    struct chain_state *s = rc == QUARTET_OK ? db_chain(d, no, err) : NULL;
    if (s == NULL)
        return rc != QUARTET_OK ? rc : QUARTET_NOMEM;
    uint64_t last = at.first + at.count - 1;
    if (plant_is(PLANT_SIGNED_ANEW))
        return QUARTET_OK;
    rc = chain_add_batch(d, s, at, err);
    chain_drop_local(s, last);
    memcpy(d->own_head, hash, sizeof d->own_head);
    if (rc == QUARTET_OK && last >= s->head_number) {
        s->head_number = last;
        s->head_stamp = load_le64(header + BATCH_HEADER_BYTES - 8);
        memcpy(s->head, hash, sizeof s->head);
        memcpy(s->received_hash, hash, sizeof s->received_hash);
    }
    return rc;
}

static quartet_status replay_remote(db *d, const struct log_record *r, struct err *err)
{
    struct batch_header h;
    struct slice payload;
    chain_no no = d->forks.next_branch;
    quartet_status rc = batch_parse(r->payload, &h, &payload, err);
    if (rc == QUARTET_OK && (!d->forks.next_is_branch || d->forks.next_head != load_le64(h.hash))) /* what was to follow may have found no room */
        rc = chain_intern(&d->chains, h.chain, &no, err);
    d->forks.next_is_branch = false;
    struct chain_state *s = rc == QUARTET_OK ? db_chain(d, no, err) : NULL;
    if (s == NULL)
        return rc != QUARTET_OK ? rc : QUARTET_NOMEM;
    uint64_t last = h.first + h.count - 1;
    rc = chain_add_batch(d, s, (struct batch_at){.first = h.first, .count = h.count, .head = load_le64(h.hash), .at = r->at, .low = r->at}, err);
    if (rc != QUARTET_OK)
        return rc;
    if (last >= s->head_number) {
        s->head_number = last;
        s->head_stamp = h.last_stamp;
        memcpy(s->head, h.hash, sizeof s->head);
    }
    if (last >= s->received) {
        s->received = last;
        memcpy(s->received_hash, h.hash, sizeof s->received_hash);
    }
    if (last <= vv_number(&d->applied, no) || s->poisoned || plant_is(PLANT_PEERS_NOT_REPLAYED))
        return QUARTET_OK;
    struct held_batch *b = held_new(no, &h, r->payload, err);
    bool rest, bad;
    if (b == NULL)
        return QUARTET_NOMEM;
    b->logged = true;
    b->at = r->at;
    b->end = r->end;
    rc = take_batch(d, b, &rest, &bad, err);
    if (rc == QUARTET_OK && rest && !bad) {
        held_add(d, b);
    } else {
        mem_free(b);
    }
    if (rc == QUARTET_OK && bad) {
        s->poisoned = true;
        err_clear(err);
    }
    return rc == QUARTET_OK && d->held_count > 0 ? take_held(d, err) : rc;
}

static quartet_status replay_one(void *arg, const struct log_record *r, struct err *err)
{
    struct replaying *p = arg;
    db *d = p->d;
    p->records++;
    switch (r->type) {
    case LOG_META: return replay_meta(d, r, err);
    case LOG_LOCAL: return replay_local(d, r, err);
    case LOG_SEAL: return replay_seal(d, r, err);
    case LOG_REMOTE: return replay_remote(d, r, err);
    }
    return err_set(err, QUARTET_CORRUPT, "log: a record of the unknown type %d", (int)r->type);
}

static quartet_status first_catalog(db *d, struct err *err)
{
    kv_snap *snap = NULL;
    quartet_status rc = kv_snapshot_latest(d->store, &snap, err);
    struct catalog_source src = {.snap = snap, .chains = &d->chains};
    if (rc == QUARTET_OK)
        rc = catalog_read(&src, atomic_fetch_add(&d->catalog_versions, 1), &d->catalog, err);
    kv_release(snap);
    if (rc == QUARTET_OK)
        d->catalog_visible = catalog_ref(d->catalog);
    return rc;
}

/* All that the log holds is on disk now. */
static quartet_status after_replay(db *d, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < d->state_count && rc == QUARTET_OK; i++) {
        struct chain_state *s = d->state[i];
        if (s == NULL)
            continue;
        if (d->has_identity && d->chains.ids[i].slot == d->identity.slot && s->local_count > 0)
            chain_drop_unfinished(s);
        rc = db_head_durable(d, (chain_no)i, err);
        for (uint32_t k = 0; k < d->applied.count; k++)
            if (d->applied.e[k].chain == i && s->head_number != 0 && d->applied.e[k].number >= s->head_number)
                d->applied.e[k].head = load_le64(s->head);
    }
    return rc;
}

static void forget_hashes(db *d)
{
    struct map_entry *e;
    pthread_mutex_lock(&d->tables_lock);
    for (size_t i = 0; (e = map_at(&d->tables, &i)) != NULL;) {
        struct table_state *s = e->value;
        s->hash = s->hidden = (struct state_hash){0};
        s->hidden_count = 0;
    }
    pthread_mutex_unlock(&d->tables_lock);
}

quartet_status db_recover(db *d, struct slice checkpoint, struct err *err)
{
    struct replaying p = {.d = d};
    log_pos from = 0;
    d->recovering = true;
    d->applied_no = kv_published(d->store);
    quartet_status rc = db_checkpoint_read(d, checkpoint, &from, err);
    if (rc == QUARTET_OK && checkpoint.n == 0 && commit_log_is_trimmed(d->log))
        rc = err_set(err, QUARTET_CORRUPT, "%.300s/base.mdb is missing or new, but the log does not go back to the beginning: restore a backup", d->path);
    if (rc == QUARTET_OK)
        rc = first_catalog(d, err);
    if (rc == QUARTET_OK)
        rc = apply_orphans_load(d, err);
    if (rc == QUARTET_OK)
        apply_claims_load(d);
    if (rc == QUARTET_OK)
        db_purge_froze(d, d->applied_no);
    if (rc == QUARTET_OK) {
        d->applied_end = d->opened_at = from;
        rc = commit_log_replay(d->log, from, replay_one, &p, err);
    }
    if (rc == QUARTET_OK && d->rebuild) {
        if (d->from_snapshot) /* also of tables that the catalog does not know */
            forget_hashes(d);
        log_line(d->env, LOG_WARN, "db", "%s: hashes, indexes and what is quarantined are made anew", d->path);
        rc = apply_rebuild(d, err);
    }
    if (rc == QUARTET_OK)
        rc = after_replay(d, err);
    if (rc == QUARTET_OK)
        rc = db_history_load(d, err);
    if (rc == QUARTET_OK)
        rc = db_closings_load(d, err);
    if (rc == QUARTET_OK)
        rc = db_folds_load(d, err);
    if (rc == QUARTET_OK)
        db_trim_index(d, commit_log_start(d->log)); /* the checkpoint may be older than the last trimming */
    d->applied_end = commit_log_end(d->log);
    hlc_init(&d->clock, d->identity.slot, d->clock.last);
    d->recovering = false;
    d->own_started = false;
    if (rc == QUARTET_OK && !d->has_identity)
        rc = db_own_start(d, err);
    atomic_store(&d->purge.ready, rc == QUARTET_OK);
    return rc;
}

quartet_status db_set_identity(db *d, const struct db_identity *id, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    QASSERT(id->slot < SLOTS_MAX);
    pthread_mutex_lock(&d->commit_lock);
    if (!id->member) {
        if (d->has_identity)
            rc = err_set(err, QUARTET_MISUSE, "this database belongs to a cluster: it cannot leave it this way");
    } else if (d->has_identity && memcmp(d->identity.cluster.b, id->cluster.b, sizeof id->cluster.b) != 0) {
        rc = err_set(err, QUARTET_MISUSE, "this database belongs to another cluster");
    } else if (d->has_identity && d->identity.slot != id->slot) {
        rc = err_set(err, QUARTET_MISUSE, "this database belongs to slot %u of the cluster, not to slot %u", d->identity.slot, id->slot);
    } else if (!d->has_identity && d->applied.count > 0) {
        rc = err_set(err, QUARTET_MISUSE,
                     "this database has data and was never in a cluster: write it to a file with `quartet dump`, join with an empty database, and "
                     "restore the file there");
    } else {
        bool fresh = !d->has_identity;
        rc = draw_incarnation(d, err);
        if (rc == QUARTET_OK && fresh) {
            struct buf b = {0};
            buf_u8(&b, META_IDENTITY);
            buf_put(&b, id->cluster.b, sizeof id->cluster.b);
            buf_u8(&b, id->slot);
            rc = write_meta(d, &b, err);
            buf_deinit(&b);
            d->own_started = false;
        }
        if (rc == QUARTET_OK) {
            bool told = d->can_sign && memcmp(d->identity.secret_key, id->secret_key, sizeof id->secret_key) == 0;
            if (!told) /* once a node runs, sessions read it without the lock: what says the same is not written again */
                d->identity = *id;
            d->identity.members_answered = id->members_answered;
            d->has_identity = d->can_sign = true;
            db_purge_froze(d, d->applied_no); /* from now on others count */
            if (fresh)
                hlc_init(&d->clock, id->slot, d->clock.last);
        }
    }
    pthread_mutex_unlock(&d->commit_lock);
    if (rc == QUARTET_OK && id->member)
        rc = commit_log_sync(d->log, commit_log_end(d->log), LOG_SYNC_FULL, err);
    return rc;
}
