/* db_seal.c - signing what this node wrote: batches of durable deltas, each with a header that links to the one before.
 * Why after the commit and not in it: a signature costs 13 us and covers up to 256 commits. Why the seal is synced before anybody gets the batch: after a crash the
 *   same deltas might be cut into other batches, and two batches of one number are the mark of a forged node.
 * A LOG_SEAL record: u8 slot, u64 incarnation, u64 first, u32 count, 32 bytes hash of the header (DB_SEAL_HEAD_BYTES), header and signature (200), then for each
 *   delta the log position of its LOG_LOCAL record.
 * Invariants: of one transaction in chunks all are signed in one go, or none; a chain is signed in order, older chains of this slot before the present one. */
#include <string.h>

#include "base/mem.h"
#include "base/plant.h"
#include "db_internal.h"

#define SEAL_ROUND_BYTES (4u << 20) /* signed before they are synced and given out */

struct sealing {
    db *d;
    struct local_delta *deltas; /* of the batch at work */
    uint32_t count;
    chain_no chain;
    struct batch_header h;
    uint8_t secret[64];
    struct buf record, payload, local;
    struct buf out; /* finished batches, u32 length before each */
    struct err *err;
};

size_t db_seal_ready(const struct chain_state *s, log_pos synced)
{
    size_t n = 0;
    for (size_t i = 0; i < s->local_count && (s->local[s->local_start + i].end <= synced || plant_is(PLANT_SHIPS_UNSYNCED)); i++)
        if (!s->local[s->local_start + i].more)
            n = i + 1;
    return n;
}

/* Choose the next batch. commit_lock held. False: nothing is left. */
static bool choose(struct sealing *z)
{
    db *d = z->d;
    log_pos synced = commit_log_synced(d->log);
    z->count = 0;
    if (!d->can_sign)
        return false;
    for (uint32_t i = 0; i < d->state_count && z->count == 0; i++) {
        struct chain_state *s = d->state[i];
        size_t n = s == NULL || s->local_count == 0 || d->chains.ids[i].slot != d->identity.slot ? 0 : db_seal_ready(s, synced);
        size_t bytes = 0;
        for (; z->count < n && z->count < BATCH_DELTAS_MAX; z->count++) {
            const struct local_delta *x = &s->local[s->local_start + z->count];
            if (z->count > 0 && bytes + x->n + 4 > BATCH_PAYLOAD_BYTES_MAX)
                break;
            bytes += x->n + 4u;
            z->deltas[z->count] = *x;
        }
        if (z->count == 0)
            continue;
        z->chain = (chain_no)i;
        z->h = (struct batch_header){.chain = d->chains.ids[i], .cluster = d->identity.cluster, .first = z->deltas[0].number, .count = z->count,
                                     .last_stamp = z->deltas[z->count - 1].stamp};
        if (!plant_is(PLANT_NOT_LINKED))
            memcpy(z->h.prev, z->deltas[0].number == 1 ? d->own_head : s->head, sizeof z->h.prev);
        memcpy(z->secret, d->identity.secret_key, sizeof z->secret);
    }
    return z->count > 0;
}

static quartet_status read_payload(struct sealing *z)
{
    buf_clear(&z->payload);
    for (uint32_t i = 0; i < z->count; i++) {
        enum log_type type;
        log_pos end;
        buf_clear(&z->local);
        quartet_status rc = commit_log_read(z->d->log, z->deltas[i].at, &type, &z->local, &end, z->err);
        if (rc != QUARTET_OK)
            return rc;
        if (type != LOG_LOCAL || z->local.len != DB_LOCAL_HEAD_BYTES + (size_t)z->deltas[i].n)
            return err_set(z->err, QUARTET_CORRUPT, "log: another record where a delta should stand");
        buf_u32(&z->payload, z->deltas[i].n);
        buf_put(&z->payload, z->local.data + DB_LOCAL_HEAD_BYTES, z->deltas[i].n);
    }
    return buf_check(&z->payload, z->err);
}

/* Sign, and write the record into z->record. */
static quartet_status sign(struct sealing *z)
{
    struct buf *r = &z->record;
    quartet_status rc = read_payload(z);
    if (rc != QUARTET_OK)
        return rc;
    buf_clear(r);
    buf_u8(r, z->h.chain.slot);
    buf_u64(r, z->h.chain.incarnation);
    buf_u64(r, z->h.first);
    buf_u32(r, z->h.count);
    size_t hash_at = r->len;
    buf_put(r, z->h.hash, sizeof z->h.hash);
    QASSERT(r->failed || r->len == DB_SEAL_HEAD_BYTES);
    rc = batch_seal(&z->h, slice_of(z->payload.data, z->payload.len), z->secret, r, z->err);
    if (rc != QUARTET_OK)
        return rc;
    memcpy(r->data + hash_at, z->h.hash, sizeof z->h.hash);
    buf_u32(&z->out, (uint32_t)(BATCH_HEADER_BYTES + BATCH_SIGNATURE_BYTES + z->payload.len));
    buf_put(&z->out, r->data + DB_SEAL_HEAD_BYTES, BATCH_HEADER_BYTES + BATCH_SIGNATURE_BYTES);
    buf_put(&z->out, z->payload.data, z->payload.len);
    for (uint32_t i = 0; i < z->count; i++)
        buf_u64(r, z->deltas[i].at);
    rc = buf_check(r, z->err);
    return rc == QUARTET_OK ? buf_check(&z->out, z->err) : rc;
}

/* Into log and index. commit_lock held. */
static quartet_status record(struct sealing *z)
{
    db *d = z->d;
    struct chain_state *s = d->state[z->chain];
    log_pos at, end;
    quartet_status rc = db_log(d, LOG_SEAL, slice_of(z->record.data, z->record.len), &at, &end, z->err);
    if (rc != QUARTET_OK)
        return rc; /* where the disk is full the next round signs it */
    rc = chain_add_batch(d, s, (struct batch_at){.first = z->h.first, .count = z->h.count, .is_seal = true, .head = load_le64(z->h.hash), .at = at, .low = z->deltas[0].at}, z->err);
    if (rc != QUARTET_OK) {
        db_break(d);
        return rc;
    }
    uint64_t last = z->h.first + z->h.count - 1;
    chain_drop_local(s, last);
    s->head_number = last;
    s->head_stamp = z->h.last_stamp;
    memcpy(s->head, z->h.hash, sizeof s->head);
    memcpy(s->received_hash, z->h.hash, sizeof s->received_hash);
    memcpy(d->own_head, z->h.hash, sizeof d->own_head);
    for (uint32_t i = 0; i < d->applied.count; i++)
        if (d->applied.e[i].chain == z->chain && d->applied.e[i].number >= last)
            d->applied.e[i].head = load_le64(s->head);
    return rc;
}

quartet_status db_head_durable(db *d, chain_no chain, struct err *err)
{
    const struct chain_state *s = d->state[chain];
    if (s->head_number == 0)
        return QUARTET_OK;
    struct vv_entry e = {.chain = chain, .number = s->head_number, .stamp = s->head_stamp, .head = load_le64(s->head)};
    return vv_raise(&d->durable, e, err);
}

/* Make the round durable, then give it out. */
static quartet_status give_out(struct sealing *z, void (*emit)(void *arg, struct slice batch, const struct batch_header *h), void *arg)
{
    db *d = z->d;
    quartet_status rc = plant_is(PLANT_SHIPS_UNSYNCED) ? QUARTET_OK : commit_log_sync(d->log, commit_log_end(d->log), LOG_SYNC_FULL, z->err);
    if (rc != QUARTET_OK) {
        db_break(d);
        return rc;
    }
    pthread_mutex_lock(&d->commit_lock);
    for (uint32_t i = 0; i < d->state_count && rc == QUARTET_OK; i++)
        if (d->state[i] != NULL && d->chains.ids[i].slot == d->identity.slot)
            rc = db_head_durable(d, (chain_no)i, z->err);
    pthread_mutex_unlock(&d->commit_lock);
    struct bytes_in in = bytes_in(z->out.data, z->out.len);
    while (rc == QUARTET_OK && in.left > 0) {
        uint32_t n = bytes_u32(&in);
        struct slice batch = slice_of(bytes_take(&in, n), n), payload;
        struct batch_header h;
        rc = batch_parse(batch, &h, &payload, z->err);
        if (rc == QUARTET_OK)
            emit(arg, batch, &h);
    }
    buf_clear(&z->out);
    return rc;
}

quartet_status db_seal(db *d, void (*emit)(void *arg, struct slice batch, const struct batch_header *h), void *arg, struct err *err)
{
    struct sealing z = {.d = d, .err = err};
    pthread_mutex_lock(&d->seal_lock);
    pthread_mutex_lock(&d->commit_lock);
    bool unsynced = false, any = false; /* commits with synchronous normal or off: somebody must sync for them */
    for (uint32_t i = 0; i < d->state_count && d->can_sign; i++) {
        const struct chain_state *s = d->state[i];
        if (s == NULL || s->local_count == 0)
            continue;
        any = true;
        unsynced |= s->local[s->local_start + s->local_count - 1].end > commit_log_synced(d->log);
    }
    log_pos end = commit_log_end(d->log);
    pthread_mutex_unlock(&d->commit_lock);
    quartet_status rc = unsynced ? commit_log_sync(d->log, end, LOG_SYNC_FULL, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        db_break(d);
    if (rc == QUARTET_OK && any) {
        z.deltas = mem_zalloc(BATCH_DELTAS_MAX, sizeof *z.deltas);
        if (z.deltas == NULL)
            rc = err_nomem(err);
    }
    while (rc == QUARTET_OK && any) {
        size_t before = z.out.len;
        pthread_mutex_lock(&d->commit_lock);
        any = choose(&z);
        pthread_mutex_unlock(&d->commit_lock);
        if (any)
            rc = sign(&z);
        if (any && rc == QUARTET_OK) {
            pthread_mutex_lock(&d->commit_lock);
            rc = record(&z);
            pthread_mutex_unlock(&d->commit_lock);
        }
        if (rc != QUARTET_OK) { /* what is in the log is given out all the same */
            z.out.len = before;
            z.out.failed = false;
        }
        if (z.out.len > 0 && (rc != QUARTET_OK || !any || z.out.len >= SEAL_ROUND_BYTES)) {
            quartet_status given = give_out(&z, emit, arg);
            rc = rc != QUARTET_OK ? rc : given;
        }
    }
    pthread_mutex_unlock(&d->seal_lock);
    memset(z.secret, 0, sizeof z.secret);
    mem_free(z.deltas);
    buf_deinit(&z.record);
    buf_deinit(&z.payload);
    buf_deinit(&z.local);
    buf_deinit(&z.out);
    return rc;
}
