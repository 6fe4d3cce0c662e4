/* kv_flush.c - how buffers get into the base: freezing, the thread that flushes, and what it does when a flush fails.
 * Invariants: the base never holds a version that a snapshot which is still to be taken could not see: a buffer is flushed only when all of it is
 *   published, and `base_floor` is raised before its first slice. A buffer leaves the view only after its last slice is durable.
 * Not here: the merging of layers with blocks (kv_merge.c), a flush of several slices as one step (kv_journal.c), what is swept between flushes (kv_tidy.c). */
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "kv_internal.h"

#define RETRY_MS 200u

static bool snapshot_below(const struct kv *s, apply_no at)
{
    for (const struct kv_snap *n = s->snaps; n != NULL; n = n->older)
        if (n->at < at && n->view != NULL)
            return true;
    return false;
}

/* Keep a flushed layer while a transaction may ask whether something in it changed. Takes the caller's reference. Lock held. */
static void retire(struct kv *s, struct kv_layer *l)
{
    if (!snapshot_below(s, l->last)) {
        s->forgotten = l->last;
        kv_layer_unref(l);
        return;
    }
    if (s->retired_count == KV_RETIRED_MAX) {
        struct kv_layer *oldest = s->retired[KV_RETIRED_MAX - 1];
        s->forgotten = oldest->last;
        kv_layer_unref(oldest);
        s->retired_count--;
    }
    memmove(s->retired + 1, s->retired, s->retired_count * sizeof s->retired[0]);
    s->retired[0] = l;
    s->retired_count++;
}

quartet_status kv_freeze(struct kv *s, struct err *err)
{
    struct kv_layer *fresh = kv_layer_new(NULL), **layers = NULL;
    if (fresh == NULL)
        return err_nomem(err);
    struct kv_layer *active = s->active;
    buf_clear(&active->checkpoint);
    buf_u8(&active->checkpoint, KV_FLUSH_WHOLE);
    quartet_status rc = s->host.checkpoint != NULL ? s->host.checkpoint(s->host.ctx, s->applied, &active->checkpoint, err) : QUARTET_OK;
    if (rc != QUARTET_OK) {
        kv_layer_unref(fresh);
        return rc;
    }
    active->past_from = s->host.past_from != NULL ? s->host.past_from(s->host.ctx) : 0;
    active->last = s->applied;
    pthread_mutex_lock(&s->lock);
    struct kv_view *old = NULL;
    layers = mem_zalloc(s->view->count + 1u, sizeof *layers);
    if (layers != NULL) {
        layers[0] = fresh;
        memcpy(layers + 1, s->view->layers, s->view->count * sizeof layers[0]);
        old = kv_view_replace(s, layers, s->view->count + 1);
    }
    pthread_mutex_unlock(&s->lock);
    kv_layer_unref(fresh);
    kv_view_unref(old);
    mem_free(layers);
    return old != NULL ? QUARTET_OK : err_nomem(err);
}

bool kv_asked_to_stop(void *arg)
{
    struct kv *s = arg;
    pthread_mutex_lock(&s->lock);
    bool stop = s->stop;
    pthread_mutex_unlock(&s->lock);
    return stop;
}

/* Of the frozen layers those that may be flushed now, the oldest ones, newest of them first. Lock held. */
static uint32_t flushable(struct kv *s, struct kv_layer **layers)
{
    uint32_t count = 0;
    if (s->journal.id != 0)
        count = s->journal_layers;
    while (s->journal.id == 0 && count + 1 < s->view->count && count < KV_FLUSH_MAX && atomic_load(&s->published) >= s->view->layers[s->view->count - 1 - count]->last)
        count++;
    memcpy(layers, s->view->layers + s->view->count - count, count * sizeof *layers);
    return count;
}

static void walks_set(struct kv_walk *walks, struct kv_layer *const *layers, uint32_t count)
{
    memset(walks, 0, count * sizeof *walks);
    for (uint32_t i = 0; i < count; i++) {
        if (layers[i]->run != NULL)
            kv_walk_set_run(&walks[i], layers[i]->run, &(struct kv_sight){.through = UINT64_MAX});
        else
            kv_walk_set_buffer(&walks[i], layers[i]->buffer, UINT64_MAX, false);
    }
}

static void walks_deinit(struct kv_walk *walks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        kv_walk_deinit(&walks[i]);
}

struct flushing {
    struct kv *s;
    struct kv_layer *const *layers;
    uint32_t count;
};

/* Before the first of several slices: from here on only the journal knows how to get to a whole state. */
static quartet_status write_journal(void *arg, struct buf *mark, struct err *err)
{
    const struct flushing *f = arg;
    struct kv *s = f->s;
    quartet_status rc = QUARTET_OK;
    if (s->journal.id == 0) {
        struct kv_walk walks[2 * KV_FLUSH_MAX];
        const struct buf *checkpoint = &f->layers[0]->checkpoint;
        walks_set(walks, f->layers, f->count);
        walks_set(walks + f->count, f->layers, f->count);
        struct kv_journal_of of = {.walks = walks, .again = walks + f->count, .count = f->count, .past_from = f->layers[0]->past_from,
                                   .checkpoint = slice_of(checkpoint->data, checkpoint->len)};
        rc = kv_journal_write(s->env, s->dir, &of, &s->journal, err);
        walks_deinit(walks, 2 * f->count);
        s->journal_layers = f->count;
    }
    if (rc == QUARTET_OK)
        kv_journal_mark(&s->journal, mark);
    return rc;
}

static bool flushing_stop(void *arg)
{
    return kv_asked_to_stop(((struct flushing *)arg)->s);
}

/* Several layers at once: where the disk is behind, each block of the base is then written once for all of them. */
static quartet_status merge_layers(struct kv *s, struct kv_layer *const *layers, uint32_t count, struct kv_merged *met, struct err *err)
{
    const struct buf *checkpoint = &layers[0]->checkpoint;
    struct kv_walk walks[KV_FLUSH_MAX];
    struct flushing f = {s, layers, count};
    walks_set(walks, layers, count);
    struct kv_merge_how how = {.checkpoint = slice_of(checkpoint->data != NULL ? checkpoint->data : (const uint8_t *)"", checkpoint->len),
                               .torn = s->base->trusted ? NULL : write_journal, .stop = flushing_stop, .arg = &f,
                               .past_from = layers[0]->past_from, .slice_pages = s->slice_pages, .met = met};
    quartet_status rc = kv_merge_layers(s->base, walks, count, &how, err);
    if (rc == QUARTET_CORRUPT && strstr(err->text, s->name) == NULL)
        err_prefix(err, s->name); /* a block tells of itself only */
    walks_deinit(walks, count);
    if (rc == QUARTET_OK && s->journal.id != 0) {
        kv_journal_remove(s->env, s->dir, &s->journal);
        s->journal.id = 0;
    }
    return rc;
}

/* Lock held. */
static void note_flushed(struct kv *s, const struct buf *checkpoint)
{
    if (checkpoint->len == 0)
        return;
    s->flushed_bytes = checkpoint->len - 1 < KV_FLUSHED_BYTES ? checkpoint->len - 1 : KV_FLUSHED_BYTES;
    memcpy(s->flushed, checkpoint->data + 1, s->flushed_bytes);
}

/* What was swept since this was frozen is gone from the state that its checkpoint will stand for. */
static quartet_status tell_swept(struct kv *s, struct kv_layer *l, struct err *err)
{
    if (s->host.swept == NULL || l->checkpoint.len <= 1)
        return QUARTET_OK;
    return s->host.swept(s->host.ctx, false, 0, &l->checkpoint, 1, err);
}

/* Merge frozen layers, the oldest ones, newest of them first, into the base and take them out of the view. Without the lock. */
static quartet_status flush_layers(struct kv *s, struct kv_layer *const *layers, uint32_t count, struct err *err)
{
    /* Where there is a journal the log was synced before it was written, the log may not even be open yet; and nothing was swept since. */
    bool begun = s->journal.id != 0;
    quartet_status rc = s->host.sync_log != NULL && !begun ? s->host.sync_log(s->host.ctx, layers[0]->last, err) : QUARTET_OK;
    if (rc == QUARTET_OK && !begun)
        rc = tell_swept(s, layers[0], err);
    if (rc != QUARTET_OK)
        return rc;
    pthread_mutex_lock(&s->lock);
    s->base_floor = layers[0]->last;
    s->flush_number++;
    pthread_mutex_unlock(&s->lock);
    struct kv_merged met;
    rc = merge_layers(s, layers, count, &met, err);
    if (rc != QUARTET_OK)
        return rc; /* the base is no whole state until another attempt succeeds */
    pthread_mutex_lock(&s->lock);
    s->merging = false;
    QASSERT(s->view->count > count && s->view->layers[s->view->count - count] == layers[0]);
    struct kv_view *old = NULL, *v = kv_view_new(s->view->layers, s->view->count - count);
    if (v != NULL) {
        old = s->view;
        s->view = v;
        s->flushes += count;
        s->base_dead = s->base->ops->dead(s->base);
        note_flushed(s, &layers[0]->checkpoint);
        kv_tidy_met(s, &met);
        for (uint32_t i = count; i-- > 0;) {
            atomic_fetch_add_explicit(&layers[i]->refs, 1, memory_order_relaxed);
            retire(s, layers[i]);
        }
    }
    pthread_mutex_unlock(&s->lock);
    kv_view_unref(old);
    if (v == NULL)
        return err_nomem(err);
    kv_check_pinned(s);
    return QUARTET_OK;
}

void kv_note_health(struct kv *s, quartet_status rc, const struct err *why)
{
    s->attempts++;
    if (rc == QUARTET_OK) {
        if (!s->broken)
            s->health = ERR_INIT;
    } else if (rc != QUARTET_INTERRUPTED) {
        if (s->health.code == QUARTET_OK)
            log_line(s->env, LOG_ERROR, "store", "flush: %s", why->text);
        s->health = *why;
        s->broken = s->broken || (rc != QUARTET_FULL && rc != QUARTET_NOMEM && rc != QUARTET_LIMIT);
    }
    atomic_store_explicit(&s->unwell, s->health.code != QUARTET_OK, memory_order_release);
    pthread_cond_broadcast(&s->done);
}

static void wait_wake(struct kv *s, uint32_t ms)
{
    uint64_t ns = s->env->ops->mono_ns(s->env) + ms * UINT64_C(1000000);
    struct timespec until = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

quartet_status kv_flush_frozen(struct kv *s, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    if (s->flushing)
        return QUARTET_OK;
    s->flushing = true;
    while (rc == QUARTET_OK && s->view->count > 1 && !s->stop && !s->broken && !s->held) {
        struct kv_layer *layers[KV_FLUSH_MAX];
        atomic_store(&s->publish_wanted, true);
        uint32_t count = flushable(s, layers);
        if (count == 0) {
            if (!s->has_thread)
                break; /* the writer publishes later and comes back */
            pthread_cond_wait(&s->wake, &s->lock);
            continue;
        }
        atomic_store(&s->publish_wanted, false);
        s->merging = true; /* under the lock that `held` was looked at */
        pthread_mutex_unlock(&s->lock);
        rc = flush_layers(s, layers, count, err);
        pthread_mutex_lock(&s->lock);
        kv_note_health(s, rc, err);
        if (s->has_thread && s->waiting > 0 && !s->stop && !s->held)
            wait_wake(s, KV_GATHER_MS);
    }
    s->flushing = false;
    return rc;
}

void *kv_flusher(void *arg)
{
    struct kv *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        if (s->view->count <= 1 || s->broken || s->held) {
            bool more = kv_tidy(s), well = !s->broken && !s->held;
            if (more || s->stop || (well && (s->view->count > 1 || s->tidy.all))) /* it came while the lock was not held */
                continue;
            uint32_t ms = kv_tidy_wait_ms(s);
            if (ms > 0)
                wait_wake(s, ms);
            else
                pthread_cond_wait(&s->wake, &s->lock);
            continue;
        }
        struct err err = ERR_INIT;
        if (kv_flush_frozen(s, &err) == QUARTET_OK)
            continue;
        if (!s->stop) /* a full disk: try again until there is room */
            wait_wake(s, RETRY_MS);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

bool kv_wait_frozen(struct kv *s, uint32_t frozen)
{
    pthread_mutex_lock(&s->lock);
    s->waiting++;
    while (s->has_thread && s->view->count - 1 > frozen && s->health.code == QUARTET_OK)
        pthread_cond_wait(&s->done, &s->lock);
    s->waiting--;
    bool room = s->view->count - 1 <= frozen && !s->broken;
    pthread_mutex_unlock(&s->lock);
    return room;
}
