/* db_purge.c - what may go from the base for good: which stamps history ends at, and whether every member has what a row's end depends on.
 * A row that is not live may go when (DESIGN.md section 6) every member has reported, in its present incarnation and over a link that stands, a vector that covers all that
 *   the base holds; this node holds all that those vectors name; and no history that is in date tells of the row. Then whatever is still to come was written by somebody who
 *   had applied the row's end. Never by a timer alone: while a member is away nothing goes.
 * Why all that the base holds and not each row's end: a dead row would have to carry the version of its DELETE for that; the base is seldom more than a flush ahead of the
 *   reports, and waits for the next ones.
 * Why a *purge vector*: a node that does not know all of it may hold rows as live whose end nobody can tell it any longer by merging rows. It is the vector that belongs to the
 *   base that rows went from, and stands in the checkpoint that is stored with the very slice in which they went.
 * Locks: commit_lock guards reports and freezes; purge.lock, below all others, the purge vector, since the thread that flushes writes it.
 * Not here: which rows those are (kv_sweep.c), when it is looked for them (kv_tidy.c). */
#include <string.h>

#include "base/mem.h"
#include "base/plant.h"
#include "db_fork.h"
#include "history.h"

#define DUE_PART 16u /* history is swept when its oldest entry is out of date by this part of the retention */

quartet_status db_purge_init(db *d, struct err *err)
{
    atomic_init(&d->purge.rows_below, 0);
    atomic_init(&d->purge.ready, false);
    if (pthread_mutex_init(&d->purge.lock, NULL) != 0)
        return err_nomem(err);
    return QUARTET_OK;
}

void db_purge_deinit(db *d)
{
    for (uint32_t i = 0; i < d->purge.freeze_count; i++)
        vv_deinit(&d->purge.freezes[i].v);
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        vv_deinit(&d->purge.reports[i].v);
    buf_deinit(&d->purge.vector);
    pthread_mutex_destroy(&d->purge.lock);
}

/* ---- what every member has ---- */

/* Does anybody write in the member's name whom its report does not know? A later run, started from an old copy perhaps, which came to here by way of others while the link
 * to the one before still seems to stand: what that one had does not tell what this one has. */
static bool is_outdated(const db *d, uint32_t slot, const struct db_report *r)
{
    for (uint32_t i = 0; i < d->applied.count; i++) {
        const struct vv_entry *e = &d->applied.e[i];
        struct chain_id id = chain_id_of(&d->chains, e->chain);
        if (id.slot == slot && id.incarnation != r->incarnation && e->number > vv_number(&r->v, e->chain))
            return true;
    }
    return false;
}

static bool report_serves(const db *d, uint32_t slot, const struct vv *v)
{
    const struct db_report *r = &d->purge.reports[slot];
    return r->told && vv_covers(&r->v, v) && vv_covers(&d->applied, &r->v) && !is_outdated(d, slot, r);
}

static bool is_stable(const db *d, const struct vv *v)
{
    if (!d->has_identity || plant_is(PLANT_PURGE_UNASKED))
        return true;
    bool stable = d->peers_known;
    for (uint32_t i = 0; i < SLOTS_MAX && stable; i++)
        stable = (d->peers & 1u << i) == 0 || report_serves(d, i, v);
    return stable;
}

bool db_chain_stable(const db *d, chain_no chain, uint64_t number)
{
    bool stable = d->peers_known;
    for (uint32_t i = 0; i < SLOTS_MAX && stable; i++) {
        const struct db_report *r = &d->purge.reports[i];
        stable = (d->peers & 1u << i) == 0 || (r->told && vv_number(&r->v, chain) >= number && vv_covers(&d->applied, &r->v) && !is_outdated(d, i, r));
    }
    return stable;
}

bool db_seen_by_all(const db *d, struct ver v)
{
    bool seen = !d->has_identity || d->peers_known;
    for (uint32_t i = 0; i < SLOTS_MAX && d->has_identity && seen; i++) {
        const struct db_report *r = &d->purge.reports[i];
        seen = (d->peers & 1u << i) == 0 || (r->told && vv_saw(&r->v, v) && vv_covers(&d->applied, &r->v) && !is_outdated(d, i, r));
    }
    return seen;
}

static void look(db *d)
{
    apply_no below = d->has_identity ? 0 : UINT64_MAX;
    for (uint32_t i = 0; i < d->purge.freeze_count && d->has_identity; i++)
        if (d->purge.freezes[i].at >= below && is_stable(d, &d->purge.freezes[i].v))
            below = d->purge.freezes[i].at + 1;
    atomic_store(&d->purge.rows_below, below);
}

void db_purge_froze(db *d, apply_no at)
{
    struct db_purge *p = &d->purge;
    struct vv v = {0};
    struct err ignored = ERR_INIT; /* then rows stay longer */
    if (vv_copy(&v, &d->applied, &ignored) != QUARTET_OK)
        return;
    if (p->freeze_count == DB_FREEZES_MAX) {
        vv_deinit(&p->freezes[0].v);
        memmove(p->freezes, p->freezes + 1, --p->freeze_count * sizeof p->freezes[0]);
    }
    p->freezes[p->freeze_count++] = (struct db_freeze){.at = at, .v = v};
    look(d);
}

quartet_status db_peer_applied(db *d, uint8_t slot, uint64_t incarnation, struct slice encoded_vv, struct err *err)
{
    struct vv v = {0};
    struct bytes_in in = bytes_in(encoded_vv.p, encoded_vv.n);
    QASSERT(slot < SLOTS_MAX);
    pthread_mutex_lock(&d->commit_lock);
    struct db_report *r = &d->purge.reports[slot];
    quartet_status rc = vv_decode(&in, &v, &d->chains, err);
    if (rc == QUARTET_OK)
        rc = fork_resolve(d, &v, true, err);
    if (rc == QUARTET_OK) { /* never the maximum: another incarnation may know less */
        vv_deinit(&r->v);
        *r = (struct db_report){.told = true, .incarnation = incarnation, .v = v};
        look(d);
    } else {
        vv_deinit(&v);
    }
    pthread_mutex_unlock(&d->commit_lock);
    return rc;
}

void db_peer_gone(db *d, uint8_t slot)
{
    QASSERT(slot < SLOTS_MAX);
    pthread_mutex_lock(&d->commit_lock);
    d->purge.reports[slot].told = false; /* who comes back may be another incarnation */
    look(d);
    pthread_mutex_unlock(&d->commit_lock);
}

uint64_t db_incarnation(db *d)
{
    pthread_mutex_lock(&d->commit_lock);
    uint64_t run = d->run;
    pthread_mutex_unlock(&d->commit_lock);
    return run;
}

quartet_status db_sweep(db *d, struct err *err)
{
    pthread_mutex_lock(&d->commit_lock);
    look(d);
    db_history_raise(d);
    pthread_mutex_unlock(&d->commit_lock);
    return kv_sweep_all(d->store, err);
}

/* ---- what the store asks ---- */

bool db_purge_sweep(void *ctx, struct kv_sweep *out)
{
    db *d = ctx;
    if (!atomic_load(&d->purge.ready))
        return false;
    /* How far history goes is raised under the commit lock, for which the thread that flushes must not wait: who holds it may wait for a flush. */
    if (pthread_mutex_trylock(&d->commit_lock) == 0) {
        db_history_raise(d);
        pthread_mutex_unlock(&d->commit_lock);
    }
    uint64_t ms = db_history_ms(d), late_ms = ms / DUE_PART;
    out->past_from = atomic_load(&d->history_from);
    out->due_from = hlc_ms(out->past_from) > late_ms ? hlc_make(hlc_ms(out->past_from) - late_ms, 0, 0) : 0;
    if (ms == 0)
        out->due_from = out->past_from;
    out->rows_below = atomic_load(&d->purge.rows_below);
    return true;
}

uint64_t db_purge_row_newest(void *ctx, tree_id tree, struct slice record)
{
    struct catalog *catalog = db_catalog(ctx);
    const struct table_def *t = catalog_table_by_id(catalog, tree);
    struct err ignored = ERR_INIT; /* columns that are not known yet: it is looked at again when they are */
    struct arena a = {0};
    struct row row;
    uint64_t newest = 0;
    if (t != NULL)
        newest = row_decode(record, &t->rows, &a, &row, &ignored) == QUARTET_OK ? history_newest(&row, &t->rows) : UINT64_MAX;
    arena_free_all(&a);
    catalog_unref(catalog);
    return newest;
}

/* Where updates win, an UPDATE by a node that was started from an old copy, where the row is live, makes it live again on all nodes, since its DELETE had not seen that. Who
 * had let the row go could not tell. */
bool db_purge_keeps_dead(void *ctx, tree_id tree)
{
    struct catalog *catalog = db_catalog(ctx);
    const struct table_def *t = catalog_table_by_id(catalog, tree);
    bool keeps = t != NULL && t->rows.updates_win;
    catalog_unref(catalog);
    return keeps;
}

/* The trailer of a checkpoint: the purge vector as the checkpoint's vectors are written, u64 the stamp that history goes back to, u32 bytes of both. */
static quartet_status split(struct slice blob, struct slice *body, struct slice *vector, uint64_t *from, struct err *err)
{
    *body = blob;
    *vector = slice_of("\0", 1);
    *from = 0;
    if (blob.n < 2 || (blob.p[1] & CHECKPOINT_TRAILER) == 0)
        return QUARTET_OK;
    uint32_t n = blob.n >= 4 ? load_le32(blob.p + blob.n - 4) : 0;
    if (n < 9 || n > blob.n - 4)
        return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: its trailer");
    body->n = blob.n - 4 - n;
    *vector = slice_of(blob.p + body->n, n - 8);
    *from = load_le64(blob.p + blob.n - 12);
    return QUARTET_OK;
}

static void put_trailer(struct buf *out, struct slice vector, uint64_t from)
{
    buf_put(out, vector.p, vector.n);
    buf_u64(out, from);
    buf_u32(out, (uint32_t)vector.n + 8);
}

/* Where the vector of all that is applied stands in a checkpoint. */
static quartet_status applied_in(struct slice body, struct slice *out, struct err *err)
{
    struct bytes_in in = bytes_in(body.p, body.n);
    (void)bytes_take(&in, CHECKPOINT_HEAD_BYTES);
    uint32_t chains = bytes_count(&in, 9);
    (void)bytes_take(&in, (size_t)chains * 9);
    const uint8_t *at = in.at;
    uint32_t n = bytes_count(&in, 26);
    (void)bytes_take(&in, (size_t)n * 26);
    if (in.bad)
        return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: its vector");
    *out = slice_of(at, (size_t)(in.at - at));
    return QUARTET_OK;
}

quartet_status db_purge_swept(void *ctx, bool rows, uint64_t past_from, struct buf *b, size_t skip, struct err *err)
{
    db *d = ctx;
    struct slice body, old, vector = {0};
    uint64_t from;
    struct buf fresh = {0};
    if (b->len < skip + CHECKPOINT_HEAD_BYTES)
        return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: its head");
    quartet_status rc = split(slice_of(b->data + skip, b->len - skip), &body, &old, &from, err);
    if (rc == QUARTET_OK)
        rc = applied_in(body, &vector, err);
    if (rc != QUARTET_OK)
        return rc;
    pthread_mutex_lock(&d->purge.lock);
    if (rows && !plant_is(PLANT_PURGE_NOT_NAMED)) {
        buf_clear(&d->purge.vector);
        buf_put(&d->purge.vector, vector.p, vector.n);
    }
    buf_put(&fresh, b->data, skip + body.n);
    put_trailer(&fresh, d->purge.vector.len > 0 ? slice_of(d->purge.vector.data, d->purge.vector.len) : slice_of("\0", 1), past_from > from ? past_from : from);
    rc = d->purge.vector.failed ? err_nomem(err) : buf_check(&fresh, err);
    pthread_mutex_unlock(&d->purge.lock);
    if (rc != QUARTET_OK) {
        buf_deinit(&fresh);
        return rc;
    }
    fresh.data[skip + 1] |= CHECKPOINT_TRAILER;
    buf_deinit(b);
    *b = fresh;
    return QUARTET_OK;
}

quartet_status db_purge_read(db *d, struct slice *blob, uint64_t *from, struct err *err)
{
    struct slice body, vector;
    quartet_status rc = split(*blob, &body, &vector, from, err);
    if (rc != QUARTET_OK)
        return rc;
    struct bytes_in in = bytes_in(vector.p, vector.n);
    uint32_t n = bytes_count(&in, 26);
    (void)bytes_take(&in, (size_t)n * 26);
    if (in.bad || in.left > 0)
        return err_set(err, QUARTET_CORRUPT, "damaged checkpoint: its purge vector");
    *blob = body;
    buf_clear(&d->purge.vector);
    if (n > 0)
        buf_put(&d->purge.vector, vector.p, vector.n);
    return buf_check(&d->purge.vector, err);
}

quartet_status db_purge_renew(struct buf *b, size_t skip, uint64_t *from, struct err *err)
{
    struct slice body, vector;
    quartet_status rc = split(slice_of(b->data + skip, b->len - skip), &body, &vector, from, err);
    if (rc == QUARTET_OK) {
        b->len = skip + body.n;
        b->data[skip + 1] &= (uint8_t)~CHECKPOINT_TRAILER;
    }
    return rc;
}

quartet_status db_purge_again(struct buf *b, size_t skip, uint64_t from, struct err *err)
{
    put_trailer(b, slice_of("\0", 1), from);
    b->data[skip + 1] |= CHECKPOINT_TRAILER;
    return buf_check(b, err);
}

/* ---- for people, and for tests ---- */

void db_purge_info(db *d, struct db_purge_info *out)
{
    *out = (struct db_purge_info){0};
    pthread_mutex_lock(&d->commit_lock);
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        bool member = (d->peers & 1u << i) != 0;
        out->waits_for |= (uint8_t)((member && !report_serves(d, i, &d->applied)) << i);
    }
    pthread_mutex_lock(&d->purge.lock);
    struct bytes_in in = bytes_in(d->purge.vector.data, d->purge.vector.len);
    uint32_t n = d->purge.vector.len > 0 ? bytes_count(&in, 26) : 0;
    for (uint32_t i = 0; i < n; i++) {
        struct vv_entry e = {.chain = bytes_u16(&in)};
        e.number = bytes_u64(&in);
        e.stamp = bytes_u64(&in);
        (void)bytes_u64(&in);
        out->deltas += e.number;
        out->stamp = e.stamp > out->stamp ? e.stamp : out->stamp;
    }
    pthread_mutex_unlock(&d->purge.lock);
    pthread_mutex_unlock(&d->commit_lock);
}

quartet_status db_purge_vector(db *d, struct buf *out, struct err *err)
{
    struct vv v = {0};
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&d->commit_lock);
    pthread_mutex_lock(&d->purge.lock);
    struct bytes_in in = bytes_in(d->purge.vector.data, d->purge.vector.len);
    uint32_t n = d->purge.vector.len > 0 ? bytes_count(&in, 26) : 0;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        struct vv_entry e = {.chain = bytes_u16(&in)};
        e.number = bytes_u64(&in);
        e.stamp = bytes_u64(&in);
        e.head = bytes_u64(&in);
        rc = vv_raise(&v, e, err);
    }
    pthread_mutex_unlock(&d->purge.lock);
    if (rc == QUARTET_OK)
        vv_encode(out, &v, &d->chains);
    pthread_mutex_unlock(&d->commit_lock);
    vv_deinit(&v);
    return rc == QUARTET_OK ? buf_check(out, err) : rc;
}
