/* kv.c - the store: its layers, what is applied to the active buffer, opening and closing.
 * Why layers: a commit only touches memory; the base is rewritten in key order, many rows at a time. Readers lay the buffers over the
 *   base, so a flush shows in no result and may be half done at a crash.
 * Locks: one writer at a time (its lock is the owner's); kv.lock is short and lies below it.
 * Not here: how frozen buffers get into the base (kv_flush.c). */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "kv_internal.h"

void kv_layer_unref(struct kv_layer *l)
{
    if (l == NULL || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    kv_layer_unref(l->moved); /* a run's, which has none */
    kv_buffer_free(l->buffer);
    kv_run_free(l->run);
    buf_deinit(&l->checkpoint);
    mem_free(l);
}

void kv_view_unref(struct kv_view *v)
{
    if (v == NULL || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < v->count; i++)
        kv_layer_unref(v->layers[i]);
    mem_free(v);
}

struct kv_layer *kv_layer_new(kv_run *run)
{
    struct kv_layer *l = mem_zalloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    atomic_init(&l->refs, 1);
    l->run = run;
    if (run == NULL && (l->buffer = kv_buffer_new()) == NULL) {
        mem_free(l);
        return NULL;
    }
    return l;
}

uint64_t kv_layer_bytes(const struct kv_layer *l)
{
    return l->run != NULL ? kv_run_bytes(l->run) : kv_buffer_bytes(l->buffer);
}

struct kv_view *kv_view_new(struct kv_layer *const *layers, uint32_t count)
{
    struct kv_view *v = mem_zalloc(1, sizeof *v + count * sizeof v->layers[0]);
    if (v == NULL)
        return NULL;
    atomic_init(&v->refs, 1);
    v->count = count;
    for (uint32_t i = 0; i < count; i++) {
        v->layers[i] = layers[i];
        atomic_fetch_add_explicit(&layers[i]->refs, 1, memory_order_relaxed);
    }
    return v;
}

struct kv_view *kv_view_replace(struct kv *s, struct kv_layer *const *layers, uint32_t count)
{
    struct kv_view *v = kv_view_new(layers, count), *old = s->view;
    if (v == NULL)
        return NULL;
    s->view = v;
    s->active = v->layers[0];
    pthread_cond_broadcast(&s->wake);
    return old;
}

quartet_status kv_block_open(struct kv *s, tree_id tree, const uint8_t *p, size_t n, struct block *out, struct err *err)
{
    bool verify = s->verified != NULL && n >= 16;
    uint64_t mark = 0;
    size_t slot = 0;
    if (verify) {
        /* The address and the stored checksum together: a page that is used again holds another block. */
        mark = block_checksum(p) ^ (uint64_t)(uintptr_t)p * 0x9E3779B97F4A7C15u;
        slot = ((uintptr_t)p >> 12) % KV_VERIFIED_SLOTS;
        verify = atomic_load_explicit(&s->verified[slot], memory_order_relaxed) != mark;
    }
    quartet_status rc = block_open(out, tree, p, n, verify, err);
    if (rc != QUARTET_OK)
        err_prefix(err, s->name);
    else if (verify)
        atomic_store_explicit(&s->verified[slot], mark, memory_order_relaxed);
    return rc;
}

/* Where the active buffer is full: freeze it, and without a thread flush at once. Failing to do so is no failure of the writer: its
 * data are in the log and in the buffer, and the next call tries again. */
static void make_room(struct kv *s)
{
    struct err err = ERR_INIT;
    bool room = kv_wait_frozen(s, KV_FROZEN_MAX - 1);
    if (room && !s->has_thread && atomic_load(&s->published) < s->applied)
        return;
    if (room && kv_freeze(s, &err) != QUARTET_OK)
        log_line(s->env, LOG_WARN, "store", "the write buffer could not be frozen: %s", err.text);
    if (!s->has_thread) {
        pthread_mutex_lock(&s->lock);
        (void)kv_flush_frozen(s, &err); /* kv_health tells */
        s->run_waits = s->view->count > 1;
        pthread_mutex_unlock(&s->lock);
    }
}

/* Readers want to know the greatest key of a tree. Failing to find it is no failure of the writer. A bulk that is under way may have put keys already. */
static void find_top(struct kv *s, tree_id tree)
{
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true, .records = true, .dead = true, .reverse = true};
    struct kv_rows rows = {0};
    struct err err = ERR_INIT;
    kv_snap *snap = NULL;
    kv_iter *it = NULL;
    quartet_status rc = s->bulks == 0 ? kv_snapshot_latest(s, &snap, &err) : QUARTET_BUSY;
    if (rc == QUARTET_OK)
        rc = kv_iter_open(snap, NULL, tree, &all, &want, &it, &err);
    if (rc == QUARTET_OK)
        rc = kv_iter_next(it, 1, &rows, &err);
    if (rc == QUARTET_OK)
        kv_tops_know(&s->tops, tree, rows.n > 0 ? rows.keys[0] : slice_of(NULL, 0), s->applied);
    else
        kv_tops_give_up(&s->tops);
    kv_iter_close(it);
    kv_release(snap);
}

quartet_status kv_apply(kv *s, const struct kv_op *ops, size_t n, apply_no at, struct err *err)
{
    QASSERT(at > s->applied);
    if (kv_buffer_bytes(s->active->buffer) >= s->buffer_bytes || s->run_waits)
        make_room(s);
    tree_id wanted = atomic_load_explicit(&s->tops.wanted, memory_order_relaxed);
    if (wanted != 0)
        find_top(s, wanted);
    for (size_t i = 0; i < n; i++)
        kv_tops_raise(&s->tops, ops[i].tree, ops[i].key);
    kv_buffer *b = s->active->buffer;
    size_t done;
    quartet_status rc = kv_buffer_put_many(b, ops, n, at, &done, err);
    if (rc != QUARTET_OK) {
        while (done-- > 0)
            kv_buffer_take_back(b, ops[done].tree, ops[done].key, at);
        return rc;
    }
    s->applied = at;
    return QUARTET_OK;
}

/* A run's checkpoint is better as of the run itself: a crash after its flush need not replay it then. Only before it is published, when no flush has begun. */
static void settle_run(struct kv *s)
{
    struct buf fresh = {0};
    struct err err = ERR_INIT;
    buf_u8(&fresh, KV_FLUSH_WHOLE);
    if (s->host.checkpoint != NULL && s->host.checkpoint(s->host.ctx, s->applied, &fresh, &err) == QUARTET_OK && !fresh.failed && s->settle->last == s->applied) {
        pthread_mutex_lock(&s->lock);
        if (atomic_load(&s->published) < s->settle->last) {
            struct buf swap = s->settle->checkpoint;
            s->settle->checkpoint = fresh;
            fresh = swap;
        }
        pthread_mutex_unlock(&s->lock);
    }
    buf_deinit(&fresh);
    kv_layer_unref(s->settle);
    s->settle = NULL;
}

void kv_settle_run(kv *s)
{
    if (s->settle != NULL)
        settle_run(s);
}

void kv_settle(kv *s)
{
    kv_settle_run(s);
    if (!s->has_thread || kv_buffer_bytes(s->active->buffer) < s->buffer_bytes)
        return;
    pthread_mutex_lock(&s->lock);
    bool room = s->view->count <= KV_FROZEN_MAX && !s->broken;
    pthread_mutex_unlock(&s->lock);
    struct err err = ERR_INIT;
    if (room && kv_freeze(s, &err) != QUARTET_OK)
        log_line(s->env, LOG_WARN, "store", "the write buffer could not be frozen: %s", err.text);
}

bool kv_torn(const kv *s)
{
    return s->torn;
}

void kv_publish(kv *s, apply_no at)
{
    if (at > atomic_load_explicit(&s->published, memory_order_relaxed))
        atomic_store(&s->published, at);
    if (!atomic_load(&s->publish_wanted))
        return;
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

apply_no kv_published(const kv *s)
{
    return atomic_load_explicit(&s->published, memory_order_acquire);
}

quartet_status kv_flush(kv *s, struct err *err)
{
    if (!s->has_thread && atomic_load(&s->published) < s->applied)
        return err_set(err, QUARTET_MISUSE, "kv_flush: something was applied and is not published");
    pthread_mutex_lock(&s->lock);
    quartet_status rc = QUARTET_OK;
    bool frozen = false;
    while (rc == QUARTET_OK && !(frozen && s->view->count == 1)) {
        uint64_t attempts = s->attempts;
        if (!frozen && s->view->count <= KV_FROZEN_MAX) {
            pthread_mutex_unlock(&s->lock);
            rc = kv_freeze(s, err);
            pthread_mutex_lock(&s->lock);
            frozen = true;
            continue;
        }
        if (s->broken) {
            *err = s->health;
            rc = err->code;
        } else if (!s->has_thread) {
            rc = kv_flush_frozen(s, err);
        } else {
            pthread_cond_broadcast(&s->wake);
            while (s->attempts == attempts && s->view->count > 1)
                pthread_cond_wait(&s->done, &s->lock);
            if (s->health.code != QUARTET_OK) {
                *err = s->health;
                rc = err->code;
            }
        }
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

quartet_status kv_health(kv *s, struct err *err)
{
    if (!atomic_load_explicit(&s->unwell, memory_order_acquire))
        return QUARTET_OK; /* asked for by every commit */
    pthread_mutex_lock(&s->lock);
    if (s->health.code != QUARTET_OK && !s->broken && !s->has_thread) {
        struct err ignored = ERR_INIT;
        (void)kv_flush_frozen(s, &ignored); /* s->health has it */
    }
    quartet_status rc = s->health.code;
    if (rc != QUARTET_OK)
        *err = s->health;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static bool changed_in(const struct kv_layer *l, tree_id tree, const struct kv_range *range, apply_no since)
{
    if (l->run != NULL ? !kv_run_tree_changed(l->run, tree, since) : !kv_buffer_tree_changed(l->buffer, tree, since))
        return false;
    if (range->lo.n == 0 && range->hi_open)
        return true; /* asked for the whole tree: no need to walk a full buffer under the commit lock */
    struct err ignored = ERR_INIT; /* where it cannot tell it says yes */
    struct kv_walk w = {0};
    bool changed = false, past = false;
    if (l->run != NULL)
        kv_walk_set_run(&w, l->run, &(struct kv_sight){.through = UINT64_MAX});
    else
        kv_walk_set_buffer(&w, l->buffer, UINT64_MAX, false);
    quartet_status rc = kv_walk_seek(&w, tree, range->lo, &ignored);
    while (rc == QUARTET_OK && !changed && !past && w.valid && w.tree == tree) {
        past = !range->hi_open && slice_cmp(w.key, range->hi) >= 0;
        changed = !past && w.version > since;
        if (!changed && !past)
            rc = kv_walk_next(&w, &ignored);
    }
    kv_walk_deinit(&w);
    return changed || rc != QUARTET_OK;
}

bool kv_changed_since(kv *s, tree_id tree, const struct kv_range *range, apply_no since)
{
    struct kv_layer *layers[KV_RETIRED_MAX];
    uint32_t count = 0;
    pthread_mutex_lock(&s->lock);
    bool changed = since < s->forgotten;
    struct kv_view *view = s->view;
    atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
    for (uint32_t i = 0; i < s->retired_count && !changed; i++)
        layers[count++] = s->retired[i];
    for (uint32_t i = 0; i < count; i++)
        atomic_fetch_add_explicit(&layers[i]->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&s->lock);
    for (uint32_t i = 0; i < view->count; i++)
        changed = changed || changed_in(view->layers[i], tree, range, since);
    kv_view_unref(view);
    for (uint32_t i = 0; i < count; i++) {
        changed = changed || changed_in(layers[i], tree, range, since);
        kv_layer_unref(layers[i]);
    }
    return changed;
}

void kv_stats(kv *s, struct kv_stats *out)
{
    *out = (struct kv_stats){0};
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < s->view->count; i++)
        *(i == 0 ? &out->buffer_bytes : &out->frozen_bytes) += kv_layer_bytes(s->view->layers[i]);
    for (uint32_t i = 1; i < s->view->count; i++)
        out->frozen_runs += s->view->layers[i]->run != NULL;
    out->flushes = s->flushes;
    out->swept_rows = s->tidy.rows;
    out->swept_pasts = s->tidy.pasts;
    out->sweeps = s->tidy.passes;
    out->vacuums = s->tidy.vacuumed;
    out->base_dead_bytes = s->base->ops->dead(s->base);
    out->snapshots = s->snap_count;
    kv_count_pinned(s, out);
    out->base_bytes = s->base->ops->bytes(s->base);
    pthread_mutex_unlock(&s->lock);
}

size_t kv_flushed(kv *s, uint8_t *out)
{
    pthread_mutex_lock(&s->lock);
    size_t n = s->flushed_bytes;
    memcpy(out, s->flushed, n);
    pthread_mutex_unlock(&s->lock);
    return n;
}

static quartet_status start_thread(struct kv *s, struct err *err)
{
    s->has_thread = true;
    if (pthread_create(&s->thread, NULL, kv_flusher, s) == 0)
        return QUARTET_OK;
    s->has_thread = false;
    return err_set(err, QUARTET_NOMEM, "the flusher thread could not be started");
}

static quartet_status init_locks(struct kv *s, struct err *err)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return err_nomem(err);
    bool good = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_mutex_init(&s->lock, NULL) == 0 &&
                pthread_cond_init(&s->wake, &attr) == 0 && pthread_cond_init(&s->done, &attr) == 0;
    pthread_condattr_destroy(&attr);
    return good ? QUARTET_OK : err_nomem(err);
}

static quartet_status open_base(struct kv *s, const char *dir, const struct kv_options *options, struct err *err)
{
    if (options->in_memory) {
        quartet_status rc = kv_mem_open(&s->base, err);
        return rc == QUARTET_OK && options->fill != NULL ? options->fill(options->fill_arg, s->base, err) : rc;
    }
    if ((s->dir = mem_strdup(dir)) == NULL)
        return err_nomem(err);
    quartet_status rc = path_join(s->name, sizeof s->name, dir, "base.mdb", err);
    if (rc == QUARTET_OK)
        rc = kv_vacuum_clean(s->env, dir, err);
    return rc == QUARTET_OK ? kv_lmdb_open(s->env, dir, &s->base, err) : rc;
}

/* What a crash cut in two is a frozen layer again. */
static quartet_status resume_flush(struct kv *s, struct buf *checkpoint, struct err *err)
{
    struct buf mark = *checkpoint;
    kv_run *run = NULL;
    uint64_t past_from = 0;
    struct kv_layer *l = NULL;
    struct kv_view *v = NULL;
    *checkpoint = (struct buf){0};
    quartet_status rc = kv_journal_open(s->env, s->dir, slice_of(mark.data, mark.len), &s->journal, &run, &past_from, checkpoint, err);
    buf_deinit(&mark);
    if (rc != QUARTET_OK)
        return rc;
    l = kv_layer_new(run);
    if (l == NULL) {
        kv_run_free(run);
        return err_nomem(err);
    }
    l->last = 1;
    l->past_from = past_from;
    buf_put(&l->checkpoint, checkpoint->data, checkpoint->len);
    rc = buf_check(&l->checkpoint, err);
    if (rc == QUARTET_OK && (v = kv_view_new((struct kv_layer *[]){s->active, l}, 2)) == NULL)
        rc = err_nomem(err);
    kv_layer_unref(l);
    if (rc != QUARTET_OK)
        return rc;
    kv_view_unref(s->view);
    s->view = v;
    s->torn = true;
    s->journal_layers = 1;
    s->applied = 1;
    atomic_store(&s->published, 1);
    log_line(s->env, LOG_WARN, "store", "%s: a crash cut a flush in two: it is finished now", s->name);
    return QUARTET_OK;
}

/* Read the checkpoint, and what of a flush is not in the base yet. */
static quartet_status open_state(struct kv *s, struct buf *checkpoint, struct err *err)
{
    quartet_status rc = s->base->ops->checkpoint(s->base, checkpoint, err);
    if (rc == QUARTET_OK && checkpoint->len > 0 && checkpoint->data[0] != KV_FLUSH_WHOLE) {
        rc = resume_flush(s, checkpoint, err);
        if (rc == QUARTET_CORRUPT && strstr(err->text, s->dir) == NULL)
            err_prefix(err, s->name);
    }
    if (rc == QUARTET_OK && s->dir != NULL)
        rc = kv_journal_clean(s->env, s->dir, &s->journal, err);
    if (rc == QUARTET_OK && checkpoint->len > 0)
        memmove(checkpoint->data, checkpoint->data + 1, --checkpoint->len);
    return rc;
}

quartet_status kv_open(struct env *env, const char *dir, const struct kv_options *options, const struct kv_host *host, kv **out,
                       struct buf *checkpoint, struct err *err)
{
    struct kv *s = mem_zalloc(1, sizeof *s);
    if (s == NULL)
        return err_nomem(err);
    s->env = env;
    s->host = host != NULL ? *host : (struct kv_host){0};
    s->slice_pages = options->slice_pages;
    kv_set_limits(s, &(struct kv_limits){.buffer_bytes = options->buffer_bytes, .snapshot_bytes = options->snapshot_bytes});
    s->health = ERR_INIT;
    memcpy(s->name, "memory", 7);
    quartet_status rc = init_locks(s, err);
    if (rc != QUARTET_OK) {
        mem_free(s);
        return rc;
    }
    s->active = kv_layer_new(NULL);
    if (s->active != NULL)
        s->view = kv_view_new(&s->active, 1);
    kv_layer_unref(s->active); /* the view holds it */
    rc = s->view != NULL ? open_base(s, dir, options, err) : err_nomem(err);
    if (rc == QUARTET_OK && !s->base->trusted && (s->verified = mem_zalloc(KV_VERIFIED_SLOTS, sizeof *s->verified)) == NULL)
        rc = err_nomem(err);
    if (rc == QUARTET_OK) {
        s->base_dead = s->base->ops->dead(s->base);
        s->tidy.dead = true; /* nobody knows */
        s->tidy.due_ns = s->tidy.vacuum_due_ns = env->ops->mono_ns(env) + KV_TIDY_QUIET_MS * UINT64_C(1000000);
        rc = open_state(s, checkpoint, err);
    }
    if (rc == QUARTET_OK && env->threads)
        rc = start_thread(s, err);
    if (rc != QUARTET_OK) {
        kv_close(s);
        return rc;
    }
    *out = s;
    return QUARTET_OK;
}

static void free_pool(struct kv *s)
{
    for (struct kv_snap *n = s->pool, *next; n != NULL; n = next) {
        next = n->newer;
        kv_run_page_deinit(&n->page);
        mem_free(n);
    }
}

void kv_close(kv *s)
{
    if (s == NULL)
        return;
    QASSERT(s->snaps == NULL);
    if (s->has_thread) {
        pthread_mutex_lock(&s->lock);
        s->stop = true;
        pthread_cond_broadcast(&s->wake);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    for (uint32_t i = 0; i < s->retired_count; i++)
        kv_layer_unref(s->retired[i]);
    kv_layer_unref(s->settle);
    kv_view_unref(s->view);
    free_pool(s);
    kv_base_unref(s->base);
    mem_free(s->verified);
    buf_deinit(&s->tidy.at.key);
    mem_free(s->dir);
    pthread_cond_destroy(&s->wake);
    pthread_cond_destroy(&s->done);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}
