/* db_fork_rows.c - what is kept of forks, and told: rows of quartet_forks, records of the log, a part of checkpoints.
 * Why each member writes a row: it holds the two signed headers, which anyone can check and nobody can make who has not the slot's key; and the row's transaction depends
 *   on all that its writer had taken of the slot, so that everybody takes that too. What it had taken is written into the row, and the row again where that changed.
 * Why rows are believed only with a proof: a member that lies must not freeze others.
 * Not here: what a fork means for batches and vectors (db_fork.c). */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "db_fork.h"
#include "system_table.h"
#include "txn_internal.h"

bool fork_proof(const db *d, const uint8_t *a, const uint8_t *b, struct batch_header *h)
{
    struct batch_header other;
    struct err ignored = ERR_INIT; /* then it proves nothing */
    if (batch_parse_header(slice_of(a, BATCH_SIGNED_BYTES), h, &ignored) != QUARTET_OK || batch_parse_header(slice_of(b, BATCH_SIGNED_BYTES), &other, &ignored) != QUARTET_OK ||
        (d->forks.keys_known & 1u << h->chain.slot) == 0)
        return false;
    return chain_id_cmp(h->chain, other.chain) == 0 && h->first == other.first && (h->first == 1 || memcmp(h->prev, other.prev, sizeof h->prev) == 0) &&
           memcmp(h->hash, other.hash, sizeof h->hash) != 0 &&
           batch_verify_header(slice_of(a, BATCH_SIGNED_BYTES), h, &d->identity.cluster, d->forks.keys[h->chain.slot], &ignored) == QUARTET_OK &&
           batch_verify_header(slice_of(b, BATCH_SIGNED_BYTES), &other, &d->identity.cluster, d->forks.keys[h->chain.slot], &ignored) == QUARTET_OK;
}

/* A row of this node's own says that it has told. */
static void told_by(db *d, const struct value *v)
{
    for (uint32_t i = 0; i < d->forks.count && v[FORK_MEMBER].i == d->identity.slot; i++) {
        struct fork_point *p = &d->forks.points[i];
        struct chain_id id = chain_id_of(&d->chains, p->root);
        if (v[FORK_SLOT].i == id.slot && v[FORK_INCARNATION].i == (int64_t)id.incarnation && v[FORK_NUMBER].i == (int64_t)p->first) {
            p->told = true;
            p->told_taken = (uint64_t)v[FORK_TAKEN].i;
        }
    }
}

static quartet_status take_row(void *arg, const struct value *v, struct slice key, struct slice record, struct err *err)
{
    db *d = arg;
    (void)key, (void)record; /* the shape of system_take */
    struct batch_header h;
    chain_no root;
    for (int i = 0; i < 2; i++)
        if (v[FORK_ONE + i].type != VALUE_BLOB || v[FORK_ONE + i].s.n != BATCH_SIGNED_BYTES)
            return QUARTET_OK; /* it proves nothing */
    if (!fork_proof(d, v[FORK_ONE].s.p, v[FORK_OTHER].s.p, &h)) {
        told_by(d, v); /* what it knew when the slot had the key of then is not told anew by each start */
        return QUARTET_OK;
    }
    quartet_status rc = chain_intern(&d->chains, h.chain, &root, err);
    if (rc == QUARTET_OK && db_chain(d, root, err) == NULL)
        rc = QUARTET_NOMEM;
    if (rc == QUARTET_OK)
        rc = fork_point_add(d, root, &h, v[FORK_ONE].s.p, v[FORK_OTHER].s.p, !d->recovering, err);
    if (rc == QUARTET_OK)
        told_by(d, v);
    return rc;
}

quartet_status forks_load(db *d, struct err *err)
{
    return system_rows_now(d, catalog_table_by_id(d->catalog, SYS_FORKS), take_row, d, err);
}

void db_set_member_key(db *d, uint8_t slot, const uint8_t *public_key)
{
    struct err err = ERR_INIT;
    QASSERT(slot < SLOTS_MAX);
    pthread_mutex_lock(&d->commit_lock);
    memcpy(d->forks.keys[slot], public_key, sizeof d->forks.keys[slot]);
    d->forks.keys_known |= (uint8_t)(1u << slot);
    if (forks_load(d, &err) != QUARTET_OK)
        log_line(d->env, LOG_WARN, "db", "quartet_forks could not be read: %s", err.text);
    for (uint32_t i = 0; i < d->forks.count; i++) { /* a crash may have come between the record of a fork and those of its branches */
        if (chain_id_of(&d->chains, d->forks.points[i].root).slot == slot && fork_split_all(d, &d->forks.points[i], &err) != QUARTET_OK)
            log_line(d->env, LOG_WARN, "db", "%s", err.text);
        struct fork_point *p = &d->forks.points[i];
        struct batch_header h;
        if (chain_id_of(&d->chains, p->root).slot == slot)
            p->former = !fork_proof(d, p->signed_by_it[0], p->signed_by_it[1], &h);
        if (d->identity.member && !p->former && chain_id_of(&d->chains, p->root).slot == d->identity.slot)
            d->fenced = d->frozen = true;
    }
    pthread_mutex_unlock(&d->commit_lock);
}

bool db_slot_frozen(db *d, uint8_t slot)
{
    pthread_mutex_lock(&d->commit_lock);
    bool frozen = fork_frozen(d, slot);
    pthread_mutex_unlock(&d->commit_lock);
    return frozen;
}

/* ---- writing rows ---- */

/* How much of a slot is applied here: of all its chains together, since it can but grow. */
static uint64_t taken_of(const db *d, uint8_t slot)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->applied.count; i++)
        if (chain_id_of(&d->chains, d->applied.e[i].chain).slot == slot)
            sum += d->applied.e[i].number;
    return sum;
}

static quartet_status write_one(txn *t, struct fork_point *p, uint64_t taken, struct err *err)
{
    const struct table_def *def = catalog_table_by_id(txn_catalog(t), SYS_FORKS);
    struct chain_id id = chain_id_of(&t->d->chains, p->root);
    struct value row[FORK_COLUMNS];
    row[FORK_SLOT] = value_int(id.slot);
    row[FORK_INCARNATION] = value_int((int64_t)id.incarnation);
    row[FORK_NUMBER] = value_int((int64_t)p->first);
    row[FORK_MEMBER] = value_int(t->d->identity.slot);
    row[FORK_TAKEN] = value_int((int64_t)taken);
    row[FORK_ONE] = (struct value){.type = VALUE_BLOB, .s = slice_of(p->signed_by_it[0], BATCH_SIGNED_BYTES)};
    row[FORK_OTHER] = (struct value){.type = VALUE_BLOB, .s = slice_of(p->signed_by_it[1], BATCH_SIGNED_BYTES)};
    return system_put(t, def, row, (const uint32_t[]){FORK_TAKEN}, 1, err);
}

/* The next one that is to be told; under commit_lock. */
static bool due(db *d, struct fork_point *out, uint64_t *taken)
{
    struct err ignored = ERR_INIT; /* it is told once there is room again */
    if (!d->identity.member || !d->can_sign || d->fenced || db_usable(d, &ignored) != QUARTET_OK)
        return false;
    for (uint32_t i = 0; i < d->forks.count; i++) {
        *out = d->forks.points[i];
        *taken = taken_of(d, chain_id_of(&d->chains, out->root).slot);
        if (!out->told || (!out->former && out->told_taken != *taken)) /* what the slot's new node writes is none of the fork's */
            return true;
    }
    return false;
}

void fork_tick(db *d)
{
    for (uint32_t round = 0; round < FORK_ROWS_AT_ONCE; round++) {
        struct fork_point p;
        struct err err = ERR_INIT;
        uint64_t taken;
        txn *t = NULL;
        pthread_mutex_lock(&d->commit_lock);
        bool any = due(d, &p, &taken);
        pthread_mutex_unlock(&d->commit_lock);
        if (!any)
            return;
        quartet_status rc = txn_begin(d, &t, &err);
        if (rc == QUARTET_OK) {
            rc = txn_statement_begin(t, &err);
            if (rc == QUARTET_OK)
                rc = write_one(t, &p, taken, &err);
            if (rc == QUARTET_OK)
                rc = txn_commit(t, &err);
            else
                txn_rollback(t);
        }
        if (rc != QUARTET_OK && rc != QUARTET_SERIALIZATION)
            log_line(d->env, LOG_WARN, "db", "that a slot is frozen could not be written: %s", err.text);
        if (rc != QUARTET_OK)
            return; /* the next round tries again */
    }
}

void forks_deinit(db *d)
{
    fork_needs_end(d);
    mem_free(d->forks.points);
    d->forks.points = NULL;
    d->forks.count = 0;
}

/* ---- the log ---- */

/* After FORK_META_BRANCH: u8 slot, u64 incarnation, u64 first, u64 after, u64 head, u64 branch, u8 1 it is the chain itself; 0 and 32 bytes hash of the batch before, a vector. */
static quartet_status replay_branch(db *d, struct bytes_in *in, struct err *err)
{
    struct chain_id id = {.slot = bytes_u8(in)};
    struct chain_fork f = {0};
    id.incarnation = bytes_u64(in);
    f.first = bytes_u64(in);
    f.after = bytes_u64(in);
    f.head = bytes_u64(in);
    f.branch = bytes_u64(in);
    bool itself = bytes_u8(in) == 1;
    if (in->bad || f.first == 0 || f.branch == 0)
        return err_set(err, QUARTET_CORRUPT, "log: a damaged record of a fork");
    quartet_status rc = chain_intern(&d->chains, id, &f.chain, err);
    if (rc != QUARTET_OK)
        return rc;
    f.as = f.chain;
    if (itself)
        return chain_fork_add(&d->chains, f, err);
    const uint8_t *prev = bytes_take(in, 32);
    struct vv seen = {0};
    if (prev == NULL)
        return err_set(err, QUARTET_CORRUPT, "log: a damaged record of a fork");
    rc = vv_decode(in, &seen, &d->chains, err);
    if (rc == QUARTET_OK)
        rc = chain_intern(&d->chains, (struct chain_id){.slot = id.slot, .incarnation = f.branch}, &f.as, err);
    struct chain_state *s = rc == QUARTET_OK ? db_chain(d, f.as, err) : NULL;
    if (s == NULL) {
        vv_deinit(&seen);
        return rc != QUARTET_OK ? rc : QUARTET_NOMEM;
    }
    rc = chain_fork_add(&d->chains, f, err);
    if (rc == QUARTET_OK && s->received < f.first) { /* otherwise the checkpoint knows more */
        struct vv swap = s->seen;
        s->seen = seen;
        seen = swap;
        s->received = s->head_number = f.first - 1;
        s->head_stamp = s->last_stamp = f.after;
        memcpy(s->head, prev, sizeof s->head);
        memcpy(s->received_hash, prev, sizeof s->received_hash);
        rc = fork_seen_origin(d, f.as, &s->seen, err);
    }
    if (rc == QUARTET_OK && f.first > 1)
        rc = vv_raise(&d->applied, (struct vv_entry){.chain = f.as, .number = f.first - 1, .stamp = f.after, .head = f.head}, err);
    vv_deinit(&seen);
    return rc;
}

quartet_status fork_replay_meta(db *d, uint8_t kind, struct bytes_in *in, struct err *err)
{
    if (kind == FORK_META_BRANCH)
        return replay_branch(d, in, err);
    struct chain_id id = {.slot = bytes_u8(in)};
    id.incarnation = bytes_u64(in);
    const uint8_t *a = kind == FORK_META_POINT ? bytes_take(in, BATCH_SIGNED_BYTES) : NULL, *b = kind == FORK_META_POINT ? bytes_take(in, BATCH_SIGNED_BYTES) : NULL;
    struct batch_header h;
    chain_no no;
    if (in->bad || (kind == FORK_META_POINT && batch_parse_header(slice_of(a, BATCH_SIGNED_BYTES), &h, err) != QUARTET_OK))
        return err_set(err, QUARTET_CORRUPT, "log: a damaged record of a fork");
    quartet_status rc = chain_intern(&d->chains, id, &no, err);
    if (rc == QUARTET_OK && db_chain(d, no, err) == NULL)
        rc = QUARTET_NOMEM;
    if (rc != QUARTET_OK)
        return rc;
    if (kind == FORK_META_POINT)
        return fork_point_add(d, no, &h, a, b, false, err);
    d->forks.next_head = bytes_u64(in);
    if (in->bad)
        return err_set(err, QUARTET_CORRUPT, "log: a damaged record of a fork");
    d->forks.next_is_branch = true;
    d->forks.next_branch = no;
    return QUARTET_OK;
}

/* ---- the checkpoint ---- */

void fork_checkpoint_put(const db *d, struct buf *out)
{
    buf_varint(out, d->chains.fork_count);
    for (uint32_t i = 0; i < d->chains.fork_count; i++) {
        const struct chain_fork *f = &d->chains.forks[i];
        buf_u16(out, f->chain);
        buf_u64(out, f->first);
        buf_u64(out, f->after);
        buf_u64(out, f->head);
        buf_u64(out, f->branch);
        buf_u16(out, f->as);
    }
    buf_varint(out, d->forks.count);
    for (uint32_t i = 0; i < d->forks.count; i++) {
        const struct fork_point *p = &d->forks.points[i];
        buf_u16(out, p->root);
        buf_put(out, p->signed_by_it[0], BATCH_SIGNED_BYTES);
        buf_put(out, p->signed_by_it[1], BATCH_SIGNED_BYTES);
    }
}

quartet_status fork_checkpoint_get(db *d, struct bytes_in *in, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    uint32_t n = bytes_count(in, 36);
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        struct chain_fork f = {.chain = bytes_u16(in)};
        f.first = bytes_u64(in);
        f.after = bytes_u64(in);
        f.head = bytes_u64(in);
        f.branch = bytes_u64(in);
        f.as = bytes_u16(in);
        if (in->bad || f.chain >= d->chains.count || f.as >= d->chains.count || f.first == 0 || f.branch == 0)
            return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: fork %u", i);
        rc = chain_fork_add(&d->chains, f, err);
    }
    n = rc == QUARTET_OK ? bytes_count(in, 2 + 2 * BATCH_SIGNED_BYTES) : 0;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        chain_no root = bytes_u16(in);
        const uint8_t *a = bytes_take(in, BATCH_SIGNED_BYTES), *b = bytes_take(in, BATCH_SIGNED_BYTES);
        struct batch_header h;
        if (in->bad || root >= d->chains.count || batch_parse_header(slice_of(a, BATCH_SIGNED_BYTES), &h, err) != QUARTET_OK)
            return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: the proof of fork %u", i);
        rc = fork_point_add(d, root, &h, a, b, false, err);
    }
    return rc;
}
