/* db_donate.c - the state of this node as one stream of bytes, for a member that is too far behind for the logs (docs/WIRE.md, "Snapshots").
 * Why of the base and not of a snapshot of the store: a base is whole between two flushes, with the checkpoint that belongs to it, and to hold one costs pages that are not used
 *   again meanwhile, no lock and no memory.
 * What of the checkpoint goes along: chains, vectors, forks, hashes, how far history goes, the purge vector. Not: identity, clock's owner, log position, index of the log. And of a chain of which
 *   a batch is here in part only (its transaction is not finished, or waits for others'), it says that the batch before was the last: the receiver then asks for this one again.
 * Not here: who asks, pieces and signatures (node_snapshot.c); the other side (db_snapshot.c). */
#include <string.h>

#include <sodium.h>

#include "base/mem.h"
#include "base/plant.h"
#include "db_fork.h"
#include "db_snapshot_internal.h"
#include "kv_state.h"

struct db_donation {
    kv_state *state;
    struct buf pending; /* made and not read yet, from `at` on */
    size_t at;
    crypto_generichash_state sum;
    uint64_t blocks;
    bool ended;
};

static quartet_status flush(db *d, struct err *err)
{
    if (d->env->threads)
        return db_flush_all(d, err);
    quartet_status rc = commit_log_sync(d->log, commit_log_end(d->log), LOG_SYNC_FULL, err);
    pthread_mutex_lock(&d->commit_lock);
    if (rc == QUARTET_OK)
        rc = db_usable(d, err);
    if (rc == QUARTET_OK) {
        db_publish(d);
        rc = kv_flush(d->store, err);
    }
    pthread_mutex_unlock(&d->commit_lock);
    return rc;
}

/* Where a chain's batches go beyond what is applied of it: the last batch of which all is. It is known by the one after it, so that it may be gone from the log. */
static quartet_status cut_chain(db *d, const struct checkpoint_view *v, uint32_t chain, uint8_t *at, struct err *err)
{
    struct vv_entry applied = checkpoint_applied(v, chain);
    uint8_t raw[BATCH_SIGNED_BYTES];
    struct batch_header h;
    bool found = false;
    if (load_le64(at) <= applied.number)
        return QUARTET_OK;
    quartet_status rc = db_read_header(d, (chain_no)chain, applied.number + 1, raw, &h, &found, err);
    if (rc == QUARTET_OK && !found)
        rc = err_set(err, QUARTET_BUSY, "a batch of slot %u is here in part, and is not in the log's index", (unsigned)d->chains.ids[chain].slot);
    if (rc != QUARTET_OK)
        return rc;
    store_le64(at, h.first - 1);
    store_le64(at + 8, applied.stamp); /* of its last delta, or of one a little later */
    memcpy(at + 16, h.prev, sizeof h.prev);
    return QUARTET_OK;
}

static quartet_status cut_chains(db *d, struct buf *blob, struct err *err)
{
    struct checkpoint_view v;
    quartet_status rc = checkpoint_look(slice_of(blob->data, blob->len), &v, err);
    struct bytes_in in = bytes_in(blob->data + v.states_at, rc == QUARTET_OK ? v.states_end - v.states_at : 0);
    pthread_mutex_lock(&d->commit_lock);
    for (uint32_t i = 0; rc == QUARTET_OK && i < v.chains; i++) {
        checkpoint_skip_vector(&in);
        size_t at = v.states_end - in.left;
        (void)bytes_take(&in, CHECKPOINT_HEAD_OF_CHAIN_BYTES);
        rc = in.bad ? err_set(err, QUARTET_CORRUPT, "damaged checkpoint: chain %u", i) : cut_chain(d, &v, i, blob->data + at, err);
    }
    pthread_mutex_unlock(&d->commit_lock);
    return rc;
}

static void put(struct db_donation *o, const void *p, size_t n)
{
    buf_put(&o->pending, p, n);
    (void)crypto_generichash_update(&o->sum, p, n); /* cannot fail */
}

static quartet_status put_head(struct db_donation *o, const db *d, struct slice checkpoint, struct err *err)
{
    struct checkpoint_view v;
    struct buf head = {0};
    quartet_status rc = checkpoint_look(checkpoint, &v, err);
    if (rc != QUARTET_OK)
        return rc;
    buf_put(&head, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_BYTES);
    buf_u8(&head, d->identity.slot);
    buf_u64(&head, v.hash.lo);
    buf_u64(&head, v.hash.hi);
    buf_u32(&head, (uint32_t)checkpoint.n);
    buf_put(&head, checkpoint.p, checkpoint.n);
    rc = buf_check(&head, err);
    if (rc == QUARTET_OK)
        put(o, head.data, head.len);
    buf_deinit(&head);
    return rc == QUARTET_OK ? buf_check(&o->pending, err) : rc;
}

quartet_status db_donate(db *d, db_donation **out, struct err *err)
{
    struct buf blob = {0};
    struct db_donation *o = mem_zalloc(1, sizeof *o);
    if (o == NULL)
        return err_nomem(err);
    (void)crypto_generichash_init(&o->sum, NULL, 0, SNAPSHOT_SUM_BYTES); /* cannot fail with these sizes */
    quartet_status rc = db_writable(d, err); /* who is behind has nothing to give */
    if (rc == QUARTET_OK && !plant_is(PLANT_SNAPSHOT_VECTOR_EARLY))
        rc = flush(d, err);
    if (rc == QUARTET_OK)
        rc = kv_state_open(d->store, &o->state, &blob, err);
    if (rc == QUARTET_OK && plant_is(PLANT_SNAPSHOT_VECTOR_EARLY)) {
        buf_clear(&blob);
        pthread_mutex_lock(&d->commit_lock);
        rc = db_checkpoint(d, d->applied_no, &blob, err);
        pthread_mutex_unlock(&d->commit_lock);
    }
    if (rc == QUARTET_OK)
        rc = cut_chains(d, &blob, err);
    if (rc == QUARTET_OK)
        rc = checkpoint_neutral(&blob, err);
    if (rc == QUARTET_OK)
        rc = put_head(o, d, slice_of(blob.data, blob.len), err);
    buf_deinit(&blob);
    if (rc != QUARTET_OK) {
        db_donation_free(o);
        return rc;
    }
    *out = o;
    return QUARTET_OK;
}

void db_donation_free(db_donation *o)
{
    if (o == NULL)
        return;
    kv_state_close(o->state);
    buf_deinit(&o->pending);
    mem_free(o);
}

/* The next block, or the end. */
static quartet_status more(struct db_donation *o, struct err *err)
{
    struct kv_state_block b;
    uint8_t head[SNAPSHOT_BLOCK_HEAD_BYTES] = {SNAPSHOT_BLOCK}, sum[SNAPSHOT_SUM_BYTES];
    if (o->at > 0 && o->at == o->pending.len)
        o->at = o->pending.len = 0;
    quartet_status rc = kv_state_next(o->state, &b, &o->ended, err);
    if (rc == QUARTET_OK && !o->ended && o->blocks == 7 && plant_is(PLANT_SNAPSHOT_PIECE_LOST))
        rc = kv_state_next(o->state, &b, &o->ended, err);
    if (rc != QUARTET_OK)
        return rc;
    if (o->ended) {
        head[0] = SNAPSHOT_END;
        store_le64(head + 1, o->blocks);
        put(o, head, SNAPSHOT_END_BYTES);
        (void)crypto_generichash_final(&o->sum, sum, sizeof sum); /* cannot fail */
        buf_put(&o->pending, sum, sizeof sum);
        return buf_check(&o->pending, err);
    }
    o->blocks++;
    store_le64(head + 1, b.tree);
    store_le16(head + 9, (uint16_t)b.separator.n);
    store_le32(head + 11, (uint32_t)b.block.n);
    put(o, head, sizeof head);
    put(o, b.separator.p, b.separator.n);
    put(o, b.block.p, b.block.n);
    return buf_check(&o->pending, err);
}

quartet_status db_donation_read(db_donation *o, size_t bytes, struct buf *out, bool *end, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (size_t left = bytes; rc == QUARTET_OK && left > 0;) {
        if (o->at == o->pending.len && o->ended)
            break;
        if (o->at == o->pending.len) {
            rc = more(o, err);
            continue;
        }
        size_t n = o->pending.len - o->at < left ? o->pending.len - o->at : left;
        buf_put(out, o->pending.data + o->at, n);
        o->at += n;
        left -= n;
    }
    *end = o->ended && o->at == o->pending.len;
    return rc == QUARTET_OK ? buf_check(out, err) : rc;
}
