/* db_checkpoint.c - what must be known beside the base to go on from it: chains, vectors, clock, hashes, and where the log goes on.
 * Why it is stored with the last slice of a flush: base and checkpoint then always agree, and recovery replays exactly what the base lacks.
 * Format, version 8, all numbers little-endian or LEB128: u8 version; u8 flags (1 has an identity, 2 what is derived from rows must be derived again, 4 restored), 32 bytes cluster, u8 slot; u64 clock; u64 log position; varint chains:
 *   u8 slot, u64 incarnation each; vector applied; with flag 16 the forks (db_fork_rows.c); with flag 32 (from version 8 on) varint count, that many u16 chain, u32 its fold (db_folds.c); for each chain: vector seen, u64 received, 32 bytes its hash, u64 head, u64 its stamp, 32 bytes its hash,
 *   u64 last stamp; varint tables: u64 id, u64 lo, u64 hi, u64 hidden lo, u64 hidden hi, u64 hidden rows; u64 the stamp that history goes back to (not in
 *   version 1, which kept none); with flag 8 the trailer of db_purge.c stands at the very end; with flag 1 the index of the log below the position, see put_index (from version 3 on); with flag 4 u64 incarnation of the own chain.
 *   A vector: varint count, then u16 chain, u64 number, u64 stamp, u64 head.
 * Not here: when it is taken (kv_flush.c). */
#include <string.h>

#include "base/mem.h"
#include "db_fork.h"

#define CHECKPOINT_VERSION_INDEX 3u /* the first with an index of the log */
#define CHECKPOINT_VERSION_HIDDEN 5u /* the first with quarantined rows; from 4 on foreign keys have indexes and SYS_BROKEN */
#define CHECKPOINT_VERSION_NAMELESS 6u /* the first whose hashes hold no names of chains */
#define CHECKPOINT_VERSION_RUNS 7u /* the first whose index has runs of batches */

static void put_vector(struct buf *out, const struct vv *v)
{
    buf_varint(out, v->count);
    for (uint32_t i = 0; i < v->count; i++) {
        buf_u16(out, v->e[i].chain);
        buf_u64(out, v->e[i].number);
        buf_u64(out, v->e[i].stamp);
        buf_u64(out, v->e[i].head);
    }
}

static quartet_status get_vector(struct bytes_in *in, struct vv *v, uint32_t chains, struct err *err)
{
    uint32_t n = bytes_count(in, 26);
    for (uint32_t i = 0; i < n; i++) {
        struct vv_entry e = {.chain = bytes_u16(in)};
        e.number = bytes_u64(in);
        e.stamp = bytes_u64(in);
        e.head = bytes_u64(in);
        if (in->bad || e.chain >= chains)
            return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: a vector");
        quartet_status rc = vv_raise(v, e, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

/* Replay must see what was taken from the log and is not in the base: whole batches of which a part waits, and unfinished transactions. */
log_pos db_replay_from(const db *d)
{
    log_pos at = d->applied_end;
    if (d->taking != NULL && d->taking->logged && d->taking->at < at)
        at = d->taking->at;
    for (uint32_t i = 0; i < d->state_count && d->held_count > 0; i++)
        for (const struct held_batch *b = d->state[i] != NULL ? d->state[i]->held : NULL; b != NULL && b->logged; b = b->next) /* behind one that was not logged none is */
            if (b->at < at)
                at = b->at;
    for (uint32_t i = 0; i < d->state_count; i++)
        if (d->state[i] != NULL && d->state[i]->chunks.open && d->state[i]->chunks.at < at)
            at = d->state[i]->chunks.at;
    return at;
}

log_pos db_base_at(db *d)
{
    uint8_t head[KV_FLUSHED_BYTES];
    return kv_flushed(d->store, head) >= CHECKPOINT_HEAD_BYTES ? load_le64(head + CHECKPOINT_AT) : d->opened_at;
}

/* Of one chain what stands below `at`: u8 1 poisoned; varint batches and runs: varint first less that of the one before, varint 4 * count + 2 where it is a run + 1 where it is a
 * LOG_SEAL (before version 7 2 * count + 1), varint low less the low before, varint at less low (of a run, of its first batch); varint unsigned deltas: u64 number, u64 stamp, u64 at, varint end less at, varint 2 * bytes + 1 where its transaction goes on. */
static void put_chain_index(struct buf *out, const struct chain_state *s, log_pos at)
{
    size_t batches = s->batch_count, locals = s->local_count;
    uint64_t number = 0;
    log_pos low = 0;
    while (batches > 0 && s->batches[batches - 1].at >= at)
        batches--;
    while (locals > 0 && s->local[s->local_start + locals - 1].at >= at)
        locals--;
    buf_u8(out, s->poisoned);
    buf_varint(out, batches);
    for (size_t i = 0; i < batches; i++) {
        const struct batch_at *b = &s->batches[i];
        buf_varint(out, b->first - number); /* ascend: chain_add_batch */
        buf_varint(out, (uint64_t)b->count << 2 | (uint64_t)b->run << 1 | b->is_seal);
        buf_varint(out, b->low - low);
        buf_varint(out, b->at - b->low);
        number = b->first;
        low = b->low;
    }
    buf_varint(out, locals);
    for (size_t i = 0; i < locals; i++) {
        const struct local_delta *x = &s->local[s->local_start + i];
        buf_u64(out, x->number);
        buf_u64(out, x->stamp);
        buf_u64(out, x->at);
        buf_varint(out, x->end - x->at);
        buf_varint(out, (uint64_t)x->n << 1 | x->more);
    }
}

/* What the log below `at` says, which is not read again: u8 is the next known; u16 the chain of what this node wrote last there; 32 bytes hash of the header that this
 * slot signed last; then each chain's; u64 bytes of all this. What stands at or above `at` is not told: replay finds it. */
static void put_index(struct buf *out, const db *d, log_pos at)
{
    static const struct chain_state none;
    const struct own_since *own = NULL;
    size_t start = out->len;
    for (uint32_t i = 0; i < d->own_count && d->owns[i].at < at; i++)
        own = &d->owns[i];
    buf_u8(out, own != NULL);
    buf_u16(out, own != NULL ? own->chain : 0);
    buf_put(out, d->own_head, sizeof d->own_head);
    for (uint32_t i = 0; i < d->chains.count; i++)
        put_chain_index(out, i < d->state_count && d->state[i] != NULL ? d->state[i] : &none, at);
    buf_u64(out, out->len - start);
}

static void put_folds(struct buf *out, const struct chain_table *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->fold_cap; i++)
        n += t->folds[i] > 0;
    if (n == 0)
        return;
    buf_varint(out, n);
    for (uint32_t i = 0; i < t->fold_cap; i++)
        if (t->folds[i] > 0) {
            buf_u16(out, (uint16_t)i);
            buf_u32(out, t->folds[i]);
        }
}

static quartet_status get_folds(db *d, struct bytes_in *in, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    uint32_t n = bytes_count(in, 6);
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        chain_no no = bytes_u16(in);
        uint32_t fold = bytes_u32(in);
        if (in->bad || no >= d->chains.count || fold == 0)
            return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: fold %u", i);
        rc = chain_fold_set(&d->chains, no, fold, err);
    }
    return rc;
}

quartet_status db_checkpoint(void *ctx, apply_no through, struct buf *out, struct err *err)
{
    db *d = ctx;
    static const struct chain_state none;
    QASSERT(through == d->applied_no); /* a buffer is frozen before the next transaction enters it */
    db_purge_froze(d, through);
    log_pos at = db_replay_from(d);
    buf_u8(out, CHECKPOINT_VERSION);
    buf_u8(out, (uint8_t)((d->has_identity ? CHECKPOINT_IDENTITY : 0) | (d->rebuild ? CHECKPOINT_REBUILD : 0) |
                         (d->incarnation != 0 ? CHECKPOINT_RESTORED : 0) | (d->forks.count > 0 || d->chains.fork_count > 0 ? CHECKPOINT_FORKS : 0) | (d->chains.fold_last > 0 ? CHECKPOINT_FOLDS : 0)));
    buf_put(out, d->identity.cluster.b, sizeof d->identity.cluster.b);
    buf_u8(out, d->identity.slot);
    buf_u64(out, d->clock.last);
    buf_u64(out, at);
    buf_varint(out, d->chains.count);
    for (uint32_t i = 0; i < d->chains.count; i++) {
        buf_u8(out, d->chains.ids[i].slot);
        buf_u64(out, d->chains.ids[i].incarnation);
    }
    put_vector(out, &d->applied);
    if (d->forks.count > 0 || d->chains.fork_count > 0)
        fork_checkpoint_put(d, out);
    put_folds(out, &d->chains);
    for (uint32_t i = 0; i < d->chains.count; i++) {
        const struct chain_state *s = i < d->state_count && d->state[i] != NULL ? d->state[i] : &none;
        put_vector(out, &s->seen);
        buf_u64(out, s->head_number); /* what is only held comes again from a peer */
        buf_u64(out, s->head_stamp);
        buf_put(out, s->head, sizeof s->head);
        const struct vv_entry *e = vv_find(&d->applied, (chain_no)i);
        buf_u64(out, e != NULL ? e->stamp : 0);
    }
    pthread_mutex_lock(&d->tables_lock);
    struct map_entry *e;
    buf_varint(out, d->tables.count);
    for (size_t i = 0; (e = map_at(&d->tables, &i)) != NULL;) {
        const struct table_state *s = e->value;
        buf_u64(out, s->id);
        buf_u64(out, s->hash.lo);
        buf_u64(out, s->hash.hi);
        buf_u64(out, s->hidden.lo);
        buf_u64(out, s->hidden.hi);
        buf_u64(out, s->hidden_count);
    }
    pthread_mutex_unlock(&d->tables_lock);
    db_history_raise(d);
    buf_u64(out, atomic_load(&d->history_from));
    if (d->has_identity)
        put_index(out, d, at);
    if (d->incarnation != 0)
        buf_u64(out, d->incarnation);
    return buf_check(out, err);
}

/* The log does not go along, so its index means nothing. */
static quartet_status drop_index(struct buf *blob, size_t least, struct err *err)
{
    uint64_t n = blob->len >= least + 8 ? load_le64(blob->data + blob->len - 8) : UINT64_MAX;
    if (n > blob->len - least - 8)
        return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: the index of the log has another length");
    blob->len -= (size_t)n + 8;
    return QUARTET_OK;
}

quartet_status db_checkpoint_renew(struct env *env, struct buf *blob, size_t skip, struct err *err)
{
    uint64_t incarnation = 0;
    uint8_t *p = blob->data + skip;
    if (blob->len < skip + CHECKPOINT_HEAD_BYTES || p[0] == 0 || p[0] > CHECKPOINT_VERSION)
        return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: its head, or another version's");
    uint64_t history_from;
    quartet_status rc = db_purge_renew(blob, skip, &history_from, err);
    while (rc == QUARTET_OK && (incarnation <= 1 || incarnation >= CHAIN_SUMS)) {
        rc = env->ops->random(env, &incarnation, sizeof incarnation, err);
        incarnation &= ~CHAIN_BRANCH_BIT;
    }
    if (rc != QUARTET_OK)
        return rc;
    if ((p[1] & CHECKPOINT_RESTORED) != 0 && blob->len >= skip + CHECKPOINT_HEAD_BYTES + 8)
        blob->len -= 8; /* it was restored before */
    if ((p[1] & CHECKPOINT_IDENTITY) != 0 && p[0] >= CHECKPOINT_VERSION_INDEX)
        rc = drop_index(blob, skip + CHECKPOINT_HEAD_BYTES, err);
    if (rc != QUARTET_OK)
        return rc;
    p[1] = (uint8_t)((p[1] & ~CHECKPOINT_IDENTITY) | CHECKPOINT_RESTORED);
    memset(p + 2, 0, 33);  /* cluster and slot */
    memset(p + 43, 0, 8);  /* the log begins anew */
    buf_u64(blob, incarnation);
    return buf_check(blob, err) == QUARTET_OK && history_from != 0 ? db_purge_again(blob, skip, history_from, err) : buf_check(blob, err);
}

static quartet_status get_chains(db *d, struct bytes_in *in, struct err *err)
{
    uint32_t n = bytes_count(in, 9);
    for (uint32_t i = 0; i < n; i++) {
        struct chain_id id = {.slot = bytes_u8(in)};
        chain_no no;
        id.incarnation = bytes_u64(in);
        quartet_status rc = chain_intern(&d->chains, id, &no, err);
        if (rc != QUARTET_OK)
            return rc;
        if (no != i || in->bad)
            return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: chain %u", i);
    }
    return get_vector(in, &d->applied, d->chains.count, err);
}

static quartet_status get_chain_index(const db *d, struct bytes_in *in, struct chain_state *s, uint8_t version, log_pos from, struct err *err)
{
    uint64_t number = 0, after = 1; /* where the next one may begin */
    log_pos low = 0;
    s->poisoned = bytes_u8(in) != 0;
    uint32_t n = bytes_count(in, 4);
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK && !in->bad; i++) {
        struct batch_at b = {.first = number + bytes_varint(in)};
        uint64_t count = bytes_varint(in);
        b.is_seal = (count & 1) != 0;
        b.run = version >= CHECKPOINT_VERSION_RUNS && (count & 2) != 0;
        count >>= version >= CHECKPOINT_VERSION_RUNS ? 2 : 1;
        b.count = (uint32_t)count;
        b.low = low + bytes_varint(in);
        b.at = b.low + bytes_varint(in);
        if (in->bad || b.first < after || count == 0 || count >> 32 != 0 || b.at < b.low || b.at >= from)
            return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: the index of the log, batch %u", i);
        number = b.first;
        after = b.run ? b.first + b.count : b.first + 1;
        low = b.low;
        rc = chain_add_batch(d, s, b, err);
    }
    n = rc == QUARTET_OK ? bytes_count(in, 26) : 0;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK && !in->bad; i++) {
        struct local_delta x = {.number = bytes_u64(in)};
        x.stamp = bytes_u64(in);
        x.at = bytes_u64(in);
        x.end = x.at + bytes_varint(in);
        uint64_t bytes = bytes_varint(in);
        x.n = (uint32_t)(bytes >> 1);
        x.more = (bytes & 1) != 0;
        if (in->bad || x.number <= s->head_number || x.end <= x.at || x.end > from || bytes >> 33 != 0)
            return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: the index of the log, delta %u", i);
        rc = chain_add_local(s, x, err);
    }
    return rc;
}

static quartet_status get_index(db *d, struct bytes_in *in, uint8_t version, log_pos from, struct err *err)
{
    size_t left = in->left;
    bool known = bytes_u8(in) != 0;
    chain_no own = bytes_u16(in);
    const uint8_t *head = bytes_take(in, sizeof d->own_head);
    if (in->bad || (known && own >= d->chains.count))
        return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: the index of the log");
    memcpy(d->own_head, head, sizeof d->own_head);
    quartet_status rc = QUARTET_OK;
    if (known) {
        d->own = own;
        d->own_chain_known = true;
        rc = db_own_since(d, 0, own, err);
    }
    for (uint32_t i = 0; i < d->chains.count && rc == QUARTET_OK; i++)
        rc = get_chain_index(d, in, d->state[i], version, from, err);
    left -= in->left;
    if (rc == QUARTET_OK && (bytes_u64(in) != left || in->bad))
        rc = err_set(err, QUARTET_CORRUPT, "damaged checkpoint: the index of the log has another length");
    return rc;
}

static quartet_status get_states(db *d, struct bytes_in *in, uint8_t version, log_pos from, struct err *err)
{
    for (uint32_t i = 0; i < d->chains.count; i++) {
        struct chain_state *s = db_chain(d, (chain_no)i, err);
        quartet_status rc = s == NULL ? QUARTET_NOMEM : get_vector(in, &s->seen, d->chains.count, err);
        if (rc != QUARTET_OK)
            return rc;
        s->received = s->head_number = bytes_u64(in);
        s->head_stamp = bytes_u64(in);
        const uint8_t *hash = bytes_take(in, sizeof s->head);
        s->last_stamp = bytes_u64(in);
        if (in->bad)
            break;
        memcpy(s->head, hash, sizeof s->head);
        memcpy(s->received_hash, hash, sizeof s->received_hash);
    }
    bool hidden = version >= CHECKPOINT_VERSION_HIDDEN;
    uint32_t n = bytes_count(in, hidden ? 48 : 24);
    for (uint32_t i = 0; i < n; i++) {
        struct table_state *t = db_table(d, bytes_u64(in), err);
        if (t == NULL)
            return QUARTET_NOMEM;
        t->hash.lo = bytes_u64(in);
        t->hash.hi = bytes_u64(in);
        t->hidden.lo = hidden ? bytes_u64(in) : 0;
        t->hidden.hi = hidden ? bytes_u64(in) : 0;
        t->hidden_count = hidden ? bytes_u64(in) : 0;
    }
    uint64_t history_from = version == 1 ? d->clock.last + 4 : bytes_u64(in);
    atomic_store(&d->history_from, history_from);
    quartet_status rc = d->has_identity && version >= CHECKPOINT_VERSION_INDEX && !in->bad ? get_index(d, in, version, from, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return rc;
    if (d->incarnation != 0)
        d->incarnation = bytes_u64(in);
    if (in->bad || in->left != 0)
        return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: cut short or too long");
    return QUARTET_OK;
}

quartet_status db_checkpoint_read(db *d, struct slice blob, log_pos *from, struct err *err)
{
    uint64_t history_from = 0;
    *from = 0;
    if (blob.n == 0)
        return QUARTET_OK;
    quartet_status rc = blob.p[0] == 0 || blob.p[0] > CHECKPOINT_VERSION ? QUARTET_OK : db_purge_read(d, &blob, &history_from, err);
    if (rc != QUARTET_OK)
        return rc;
    struct bytes_in in = bytes_in(blob.p, blob.n);
    uint8_t version = bytes_u8(&in);
    if (version == 0 || version > CHECKPOINT_VERSION)
        return err_set(err, QUARTET_CANTOPEN, "the database has format version %u, this program reads up to %u", version, CHECKPOINT_VERSION);
    uint8_t flags = bytes_u8(&in);
    d->has_identity = (flags & CHECKPOINT_IDENTITY) != 0;
    d->rebuild = (flags & CHECKPOINT_REBUILD) != 0 || version < CHECKPOINT_VERSION_NAMELESS;
    d->incarnation = (flags & CHECKPOINT_RESTORED) != 0; /* which one stands at the end */
    const uint8_t *cluster = bytes_take(&in, sizeof d->identity.cluster.b);
    d->identity.slot = bytes_u8(&in);
    d->identity.member = d->has_identity;
    d->clock.last = bytes_u64(&in);
    *from = bytes_u64(&in);
    if (in.bad || d->identity.slot >= SLOTS_MAX)
        return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: its head");
    memcpy(d->identity.cluster.b, cluster, sizeof d->identity.cluster.b);
    rc = get_chains(d, &in, err);
    if (rc == QUARTET_OK && (flags & CHECKPOINT_FORKS) != 0)
        rc = fork_checkpoint_get(d, &in, err);
    if (rc == QUARTET_OK && (flags & CHECKPOINT_FOLDS) != 0)
        rc = get_folds(d, &in, err);
    rc = rc == QUARTET_OK ? get_states(d, &in, version, *from, err) : rc;
    if (d->has_identity && version < CHECKPOINT_VERSION_INDEX)
        *from = 0; /* peers may ask for any batch: the index of all that is kept is made from the whole log */
    if (history_from > atomic_load(&d->history_from))
        atomic_store(&d->history_from, history_from);
    return rc;
}
