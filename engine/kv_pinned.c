/* kv_pinned.c - what held snapshots cost, when the oldest has become too old, and pinned buffers that go to disk.
 * Why: a snapshot pins the layers that lay over the base when it was taken, and pages of the base that would be free. A session that begins a transaction and
 *   forgets it would fill the disk. Commits never fail for it: the oldest reader does.
 * How: after each flush, which is when layers become pinned and pages dead, all is counted. One that is too old lets go at once where it is idle (between two
 *   statements of a transaction), else when it is released: what was read through it may still be looked at.
 * Why files: a flushed buffer is kept for who began before; past 4 x buffer_bytes of those, it is written as a run, all versions of it, to a file that has no name, and
 *   snapshots take the run in its place once they are idle; the buffer goes with the last one that holds it. A database in memory has no files: nothing is moved.
 * Invariants: `use` goes from idle to taken and back only under the lock; a busy snapshot's view, base and read are its thread's. */
#include <stdlib.h>

#include "base/log.h"
#include "kv_internal.h"
#include "kv_walk.h"

#define DROP_MAX 64u /* snapshots that one look makes too old; the next flush goes on */
#define MEMORY_BUFFERS 4u /* so many full buffers may be pinned in memory */

void kv_limits(kv *s, struct kv_limits *out)
{
    *out = (struct kv_limits){.buffer_bytes = s->buffer_bytes, .snapshot_bytes = s->snapshot_bytes};
}

void kv_set_limits(kv *s, const struct kv_limits *limits)
{
    s->buffer_bytes = limits->buffer_bytes > 0 ? limits->buffer_bytes : KV_BUFFER_BYTES_DEFAULT;
    if (s->buffer_bytes < KV_BUFFER_BYTES_MIN)
        s->buffer_bytes = KV_BUFFER_BYTES_MIN;
    s->snapshot_bytes = limits->snapshot_bytes > 0 ? limits->snapshot_bytes : KV_SNAPSHOT_BYTES_DEFAULT;
}

/* ---- what they cost; all with the lock held ---- */

/* Bytes of the layers that were not counted in this round. */
static uint64_t count_layers(const struct kv *s, struct kv_layer *const *layers, uint32_t count)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (layers[i]->counted == s->count_round)
            continue;
        layers[i]->counted = s->count_round;
        bytes += kv_layer_bytes(layers[i]);
    }
    return bytes;
}

/* Begin a round: what is in the present view is no snapshot's cost. */
static void begin_round(struct kv *s)
{
    s->count_round++;
    (void)count_layers(s, s->view->layers, s->view->count);
}

/* Pages that came free since it was taken, which nobody may use again; after VACUUM, all of the old file. */
static uint64_t base_cost(const struct kv *s, const struct kv_snap *n)
{
    if (n->base != s->base)
        return n->base->ops->bytes(n->base);
    return s->base_dead > n->base_dead ? s->base_dead - n->base_dead : 0;
}

/* Layers that are kept for this snapshot: those it reads, and those that came later and say what changed since (kv_changed_since). */
static uint64_t layers_cost(const struct kv *s, const struct kv_snap *n)
{
    uint64_t bytes = count_layers(s, n->view->layers, n->view->count);
    for (uint32_t i = 0; i < s->retired_count; i++)
        if (n->at < s->retired[i]->last)
            bytes += count_layers(s, &s->retired[i], 1);
    return bytes;
}

static uint64_t snap_cost(struct kv *s, const struct kv_snap *n)
{
    begin_round(s);
    return layers_cost(s, n) + base_cost(s, n);
}

/* Of all snapshots, or of those that are not too old. What one pins of the base the older ones pin, too. */
static void pinned(struct kv *s, bool all, uint64_t *layers, uint64_t *base)
{
    *layers = *base = 0;
    begin_round(s);
    for (const struct kv_snap *n = s->snaps; n != NULL; n = n->older) {
        if (n->view == NULL || (!all && n->too_old))
            continue;
        uint64_t cost = base_cost(s, n);
        *base = cost > *base ? cost : *base;
        *layers += layers_cost(s, n);
    }
}

static uint64_t layer_memory(const struct kv_layer *l)
{
    return l->run != NULL ? kv_run_memory_bytes(l->run) : kv_buffer_bytes(l->buffer);
}

/* What is pinned in memory and has not been moved: that goes once those that hold it are idle, which nobody can hasten. With `all` that counts too. */
static uint64_t pinned_memory(struct kv *s, bool all)
{
    uint64_t bytes = 0;
    begin_round(s);
    for (const struct kv_snap *n = s->snaps; n != NULL; n = n->older)
        for (uint32_t i = 0; n->view != NULL && i < n->view->count; i++)
            if ((all || n->view->layers[i]->moved == NULL) && count_layers(s, &n->view->layers[i], 1) > 0)
                bytes += layer_memory(n->view->layers[i]);
    for (uint32_t i = 0; i < s->retired_count; i++)
        if ((all || s->retired[i]->moved == NULL) && count_layers(s, &s->retired[i], 1) > 0)
            bytes += layer_memory(s->retired[i]);
    return bytes;
}

void kv_count_pinned(struct kv *s, struct kv_stats *out)
{
    apply_no oldest = UINT64_MAX, published = atomic_load(&s->published);
    const struct kv_snap *first = NULL;
    for (const struct kv_snap *n = s->snaps; n != NULL; n = n->older) {
        if (n->view == NULL)
            continue;
        oldest = n->at < oldest ? n->at : oldest;
        first = n;
    }
    pinned(s, true, &out->pinned_bytes, &out->pinned_base_bytes);
    out->pinned_memory_bytes = pinned_memory(s, true);
    out->oldest_snapshot_lag = oldest < published ? published - oldest : 0;
    out->too_old = s->too_old;
    if (first == NULL)
        return;
    uint64_t now_ns = s->env->ops->mono_ns(s->env); /* not the coarse one, by which snapshots are taken: it may not have moved since */
    out->oldest_snapshot_ns = now_ns > first->taken_ns ? now_ns - first->taken_ns : 0;
    out->oldest_snapshot_bytes = snap_cost(s, first);
}

/* ---- too old ---- */

/* Let go what the snapshot pins, if nobody reads through it. The view is the caller's to unref without the lock; NULL: it is busy, or there is none. Lock held. */
static struct kv_view *let_go(struct kv_snap *n)
{
    unsigned idle = KV_SNAP_IDLE;
    if (!atomic_compare_exchange_strong(&n->use, &idle, KV_SNAP_TAKEN))
        return NULL;
    struct kv_view *view = n->view;
    if (view != NULL) {
        if (n->has_cursor)
            n->base->ops->cursor_close(&n->cursor);
        n->has_cursor = false;
        n->block.p = NULL;
        n->base->ops->read_end(n->read);
        kv_base_unref(n->base);
        kv_run_page_rest(&n->page);
        n->view = NULL;
        n->base = NULL;
        n->read = NULL;
    }
    atomic_store(&n->use, KV_SNAP_IDLE);
    return view;
}

/* The oldest one that may be told to go: not one that was taken while the flush went on, for it may be about to end, however much was flushed. Lock held. */
static struct kv_snap *oldest_of(const struct kv *s)
{
    struct kv_snap *oldest = NULL;
    for (struct kv_snap *n = s->snaps; n != NULL; n = n->older)
        if (!n->kept && !n->too_old && n->flush_number < s->flush_number)
            oldest = n;
    return oldest;
}

static bool past_limit(struct kv *s)
{
    uint64_t layers, base, limit = s->snapshot_bytes, room = s->base->ops->room(s->base) / 2;
    if (room < KV_SNAPSHOT_ROOM_MIN) /* a full disk ends no reader for a few pages */
        room = KV_SNAPSHOT_ROOM_MIN;
    pinned(s, false, &layers, &base);
    return layers + base > (limit < room ? limit : room);
}

static void make_too_old(struct kv *s, struct kv_snap *n)
{
    uint64_t now_ns = s->env->ops->mono_ns(s->env); /* not the coarse one, by which snapshots are taken: it may not have moved since */
    n->held_ns = now_ns > n->taken_ns ? now_ns - n->taken_ns : 0;
    n->cost = snap_cost(s, n);
    atomic_store(&n->too_old, true);
    s->too_old++;
    struct err why = ERR_INIT;
    (void)kv_snap_too_old(n, &why);
    log_line(s->env, LOG_WARN, "store", "%s", why.text);
}

static void check_too_old(struct kv *s)
{
    struct kv_view *views[DROP_MAX];
    struct kv_layer *layers[KV_RETIRED_MAX];
    uint32_t count = 0, layer_count = 0;
    pthread_mutex_lock(&s->lock);
    for (struct kv_snap *n; count < DROP_MAX && (n = oldest_of(s)) != NULL && past_limit(s);) {
        make_too_old(s, n);
        if ((views[count] = let_go(n)) != NULL)
            count++;
    }
    if (count > 0)
        layer_count = kv_drop_retired(s, layers);
    pthread_mutex_unlock(&s->lock);
    for (uint32_t i = 0; i < count; i++)
        kv_view_unref(views[i]);
    for (uint32_t i = 0; i < layer_count; i++)
        kv_layer_unref(layers[i]);
}

/* ---- buffers that go to disk ---- */

static struct kv_layer *older_buffer(const struct kv *s, struct kv_layer *l, struct kv_layer *oldest)
{
    if (l->counted == s->count_round || l->buffer == NULL || l->moved != NULL)
        return oldest;
    return oldest == NULL || l->last < oldest->last ? l : oldest;
}

/* The oldest buffer that is kept for an idle snapshot only, or to tell what changed, with a new reference, where too much is in memory; else NULL. Lock held. */
static struct kv_layer *layer_to_move(struct kv *s)
{
    struct kv_layer *oldest = NULL;
    if (s->dir == NULL || s->snaps == NULL || pinned_memory(s, false) <= MEMORY_BUFFERS * (uint64_t)s->buffer_bytes)
        return NULL;
    begin_round(s);
    for (const struct kv_snap *n = s->snaps; n != NULL; n = n->older)
        for (uint32_t i = 0; atomic_load(&n->use) == KV_SNAP_IDLE && n->view != NULL && i < n->view->count; i++)
            oldest = older_buffer(s, n->view->layers[i], oldest);
    for (uint32_t i = 0; i < s->retired_count; i++)
        oldest = older_buffer(s, s->retired[i], oldest);
    if (oldest != NULL)
        atomic_fetch_add_explicit(&oldest->refs, 1, memory_order_relaxed);
    return oldest;
}

/* All entries of a layer's buffer as a layer of its own, on disk. */
static quartet_status write_layer(struct kv *s, const struct kv_layer *l, struct kv_layer **out, struct err *err)
{
    struct kv_run_place place = {.env = s->env, .dir = s->dir};
    kv_run_writer *w = NULL;
    kv_run *run = NULL;
    struct kv_walk walk = {0};
    quartet_status rc = kv_run_writer_new(&place, &w, err);
    kv_walk_set_buffer(&walk, l->buffer, UINT64_MAX, true);
    if (rc == QUARTET_OK)
        rc = kv_walk_seek(&walk, 0, slice_of("", 0), err);
    while (rc == QUARTET_OK && walk.valid) {
        rc = kv_run_put(w, walk.tree, walk.key, walk.version, walk.record, err);
        if (rc == QUARTET_OK)
            rc = kv_walk_next(&walk, err);
    }
    kv_walk_deinit(&walk);
    if (rc != QUARTET_OK) {
        kv_run_writer_free(w);
        return rc;
    }
    rc = kv_run_finish(w, 0, &run, err);
    if (rc == QUARTET_OK && (*out = kv_layer_new(run)) == NULL) {
        kv_run_free(run);
        rc = err_nomem(err);
    }
    if (rc == QUARTET_OK)
        (*out)->last = l->last;
    return rc;
}

/* An idle snapshot reads what was moved from where it is now. The view that it had is the caller's to unref without the lock; NULL: it keeps it. Lock held. */
static struct kv_view *take_moved(struct kv *s, struct kv_snap *n)
{
    unsigned idle = KV_SNAP_IDLE;
    if (n->moves == s->moves || !atomic_compare_exchange_strong(&n->use, &idle, KV_SNAP_TAKEN))
        return NULL;
    struct kv_view *old = n->view, *fresh = NULL;
    bool any = false;
    for (uint32_t i = 0; old != NULL && i < old->count; i++)
        any = any || old->layers[i]->moved != NULL;
    if (any)
        fresh = kv_view_new(old->layers, old->count);
    for (uint32_t i = 0; fresh != NULL && i < fresh->count; i++) {
        struct kv_layer *l = fresh->layers[i];
        if (l->moved == NULL)
            continue;
        atomic_fetch_add_explicit(&l->moved->refs, 1, memory_order_relaxed);
        fresh->layers[i] = l->moved;
        kv_layer_unref(l); /* never the last: the old view holds it */
    }
    if (fresh != NULL)
        n->view = fresh;
    if (fresh != NULL || !any)
        n->moves = s->moves;
    atomic_store(&n->use, KV_SNAP_IDLE);
    return fresh != NULL ? old : NULL;
}

/* The buffer has become this layer: whoever can takes that. Up to DROP_MAX views are let go; true: there may be more. */
static bool pass_on(struct kv *s)
{
    struct kv_view *views[DROP_MAX];
    uint32_t count = 0;
    pthread_mutex_lock(&s->lock);
    for (struct kv_snap *n = s->snaps; n != NULL && count < DROP_MAX; n = n->older)
        if ((views[count] = take_moved(s, n)) != NULL)
            count++;
    pthread_mutex_unlock(&s->lock);
    for (uint32_t i = 0; i < count; i++)
        kv_view_unref(views[i]);
    return count == DROP_MAX;
}

/* Move one layer. false: there is none, or it could not be: the next flush tries again. */
static bool move_one(struct kv *s)
{
    struct err err = ERR_INIT;
    struct kv_layer *fresh = NULL;
    pthread_mutex_lock(&s->lock);
    struct kv_layer *l = s->stop ? NULL : layer_to_move(s);
    pthread_mutex_unlock(&s->lock);
    if (l == NULL)
        return false;
    quartet_status rc = write_layer(s, l, &fresh, &err);
    if (rc != QUARTET_OK)
        log_line(s->env, LOG_WARN, "store", "a buffer that transactions hold stays in memory: %s", err.text);
    pthread_mutex_lock(&s->lock);
    struct kv_layer *retired = NULL;
    if (rc == QUARTET_OK) {
        l->moved = fresh;
        s->moves++;
        for (uint32_t i = 0; i < s->retired_count; i++)
            if (s->retired[i] == l) {
                atomic_fetch_add_explicit(&fresh->refs, 1, memory_order_relaxed);
                s->retired[i] = fresh;
                retired = l;
            }
    }
    pthread_mutex_unlock(&s->lock);
    kv_layer_unref(retired);
    kv_layer_unref(l);
    while (rc == QUARTET_OK && pass_on(s))
        ;
    return rc == QUARTET_OK;
}

void kv_check_pinned(struct kv *s)
{
    check_too_old(s);
    while (move_one(s))
        ;
}

quartet_status kv_snap_too_old(const struct kv_snap *snap, struct err *err)
{
    return err_set(err, QUARTET_TOO_OLD, "snapshot too old: held %llu s, costs %llu MiB; end the transaction and begin it again",
                   (unsigned long long)(snap->held_ns / 1000000000u), (unsigned long long)((snap->cost + (1u << 20) - 1) >> 20));
}

void kv_snap_idle(kv_snap *snap)
{
    unsigned busy = KV_SNAP_BUSY;
    struct kv *s = snap->store;
    if (atomic_load_explicit(&snap->use, memory_order_relaxed) != KV_SNAP_BUSY)
        return;
    uint64_t moves = snap->moves; /* ours while it is busy */
    if (!atomic_compare_exchange_strong(&snap->use, &busy, KV_SNAP_IDLE) || (!atomic_load(&snap->too_old) && moves == atomic_load(&s->moves)))
        return;
    struct kv_layer *layers[KV_RETIRED_MAX];
    pthread_mutex_lock(&s->lock);
    struct kv_view *view = snap->too_old ? let_go(snap) : take_moved(s, snap);
    uint32_t count = kv_drop_retired(s, layers);
    pthread_mutex_unlock(&s->lock);
    kv_view_unref(view);
    for (uint32_t i = 0; i < count; i++)
        kv_layer_unref(layers[i]);
}

void kv_snap_busy(kv_snap *snap)
{
    unsigned idle = KV_SNAP_IDLE;
    if (atomic_load_explicit(&snap->use, memory_order_relaxed) == KV_SNAP_BUSY)
        return;
    while (!atomic_compare_exchange_strong(&snap->use, &idle, KV_SNAP_BUSY)) {
        idle = KV_SNAP_IDLE; /* the store is at it, under the lock */
        pthread_mutex_lock(&snap->store->lock);
        pthread_mutex_unlock(&snap->store->lock);
    }
}
