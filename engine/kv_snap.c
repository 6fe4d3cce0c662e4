/* kv_snap.c - snapshots of the store, and reading one record.
 * Why pooled: a point read in a transaction of its own takes a snapshot and gives it back; that must cost a few dozen nanoseconds.
 * A snapshot is a version (`at`), the buffers that lay over the base when it was taken, and the base as it was then; it is taken
 * under the lock, so that no slice of a flush can come in between (see base_floor in kv_flush.c). */
#include "base/mem.h"
#include "kv_internal.h"
#include "kv_spill.h"

static struct kv_snap *snap_alloc(struct kv *s)
{
    struct kv_snap *n = s->pool;
    if (n == NULL)
        return mem_zalloc(1, sizeof *n);
    s->pool = n->newer;
    s->pool_count--;
    return n;
}

static void snap_free(struct kv_snap *n)
{
    if (n != NULL)
        kv_run_page_deinit(&n->page);
    mem_free(n);
}

static quartet_status take(struct kv *s, apply_no at, bool kept, struct kv_snap **out, struct err *err)
{
    uint64_t now_ns = s->env->ops->coarse_ns(s->env);
    pthread_mutex_lock(&s->lock);
    quartet_status rc = QUARTET_OK;
    struct kv_snap *n = snap_alloc(s);
    if (n == NULL)
        rc = err_nomem(err);
    if (rc == QUARTET_OK) {
        *n = (struct kv_snap){.store = s, .page = n->page, .kept = kept, .taken_ns = now_ns, .base_dead = s->base_dead, .flush_number = s->flush_number, .moves = s->moves, .at = at != 0 ? at : atomic_load_explicit(&s->published, memory_order_acquire)};
        if (n->at < s->base_floor)
            rc = err_set(err, QUARTET_TOO_OLD, "apply number %llu is no longer kept", (unsigned long long)n->at);
    }
    if (rc == QUARTET_OK)
        rc = s->base->ops->read_begin(s->base, &n->read, err);
    if (rc == QUARTET_OK) {
        n->base = s->base;
        atomic_fetch_add_explicit(&n->base->refs, 1, memory_order_relaxed);
        n->view = s->view;
        atomic_fetch_add_explicit(&n->view->refs, 1, memory_order_relaxed);
        n->older = s->snaps;
        if (s->snaps != NULL)
            s->snaps->newer = n;
        s->snaps = n;
        s->snap_count++;
        *out = n;
        n = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    snap_free(n);
    return rc;
}

quartet_status kv_snapshot(kv *s, apply_no at, kv_snap **out, struct err *err)
{
    return take(s, at, false, out, err);
}

quartet_status kv_snapshot_latest(kv *s, kv_snap **out, struct err *err)
{
    return take(s, s->applied, true, out, err);
}

uint32_t kv_drop_retired(struct kv *s, struct kv_layer **dropped)
{
    uint32_t count = 0;
    while (s->retired_count > 0) {
        struct kv_layer *oldest = s->retired[s->retired_count - 1];
        for (const struct kv_snap *n = s->snaps; n != NULL; n = n->older)
            if (n->at < oldest->last && n->view != NULL)
                return count;
        s->forgotten = oldest->last;
        s->retired_count--;
        dropped[count++] = oldest;
    }
    return count;
}

void kv_release(kv_snap *snap)
{
    if (snap == NULL)
        return;
    kv_snap_busy(snap);
    struct kv *s = snap->store;
    struct kv_view *view = snap->view;
    struct kv_layer *dropped[KV_RETIRED_MAX];
    if (view != NULL) {
        if (snap->has_cursor)
            snap->base->ops->cursor_close(&snap->cursor);
        snap->base->ops->read_end(snap->read);
        kv_base_unref(snap->base);
    }
    kv_run_page_rest(&snap->page);
    pthread_mutex_lock(&s->lock);
    if (snap->older != NULL)
        snap->older->newer = snap->newer;
    if (snap->newer != NULL)
        snap->newer->older = snap->older;
    else
        s->snaps = snap->older;
    s->snap_count--;
    uint32_t dropped_count = kv_drop_retired(s, dropped);
    if (s->pool_count < KV_SNAP_POOL_MAX) {
        snap->newer = s->pool;
        s->pool = snap;
        s->pool_count++;
        snap = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    kv_view_unref(view);
    for (uint32_t i = 0; i < dropped_count; i++)
        kv_layer_unref(dropped[i]);
    snap_free(snap);
}

void kv_snap_rest(kv_snap *snap)
{
    kv_run_page_rest(&snap->page);
}

apply_no kv_snap_at(const kv_snap *snap)
{
    return snap->at;
}

/* The cursor moved: open what it is on. */
static quartet_status enter_block(struct kv_snap *snap, tree_id tree, quartet_status rc, struct err *err)
{
    if (rc != QUARTET_OK || !snap->cursor.found) {
        snap->block.p = NULL;
        return rc;
    }
    if (snap->block.p == snap->cursor.block)
        return QUARTET_OK;
    rc = kv_block_open(snap->store, tree, snap->cursor.block, snap->cursor.block_bytes, &snap->block, err);
    if (rc != QUARTET_OK)
        snap->block.p = NULL;
    return rc;
}

quartet_status kv_snap_block(struct kv_snap *snap, tree_id tree, struct slice key, struct err *err)
{
    const struct kv_base_ops *ops = snap->base->ops;
    if (!snap->has_cursor) {
        quartet_status rc = ops->cursor_open(snap->read, &snap->cursor, err);
        if (rc != QUARTET_OK)
            return rc;
        snap->has_cursor = true;
    }
    return enter_block(snap, tree, ops->seek(&snap->cursor, tree, key, err), err);
}

quartet_status kv_snap_block_next(struct kv_snap *snap, tree_id tree, struct err *err)
{
    return enter_block(snap, tree, snap->base->ops->next(&snap->cursor, err), err);
}

/* Where the key's record is: *record in a buffer, or (*passing) in a run's page until the next one is looked at, or, with record->p NULL, row *row of
 * snap->block. QUARTET_NOTFOUND: nowhere. */
static quartet_status locate(kv_snap *snap, const struct kv_overlay *over, tree_id tree, struct slice key, struct slice *record, bool *passing, uint32_t *row,
                             struct err *err)
{
    apply_no version;
    *passing = false;
    quartet_status rc = kv_snap_check(snap, err);
    if (rc != QUARTET_OK)
        return rc;
    if (over != NULL && over->own != NULL && kv_own_get(over->own, tree, key, over->through, record, &version))
        return record->p != NULL ? QUARTET_OK : QUARTET_NOTFOUND;
    if (over != NULL && over->spill != NULL) {
        bool found;
        struct kv_run_probe probe = kv_run_probe_of(tree, key);
        rc = kv_spill_get(over->spill, &snap->page, &probe, over->through, record, &version, &found, err);
        *passing = true;
        if (rc != QUARTET_OK || found)
            return rc != QUARTET_OK || record->p != NULL ? rc : QUARTET_NOTFOUND;
    }
    if (kv_tops_above(&snap->store->tops, tree, key, snap->at))
        return QUARTET_NOTFOUND;
    for (uint32_t i = 0; i < snap->view->count; i++) {
        const struct kv_layer *l = snap->view->layers[i];
        bool found;
        if (l->run == NULL) {
            found = kv_buffer_get(l->buffer, tree, key, snap->at, record, &version);
        } else {
            struct kv_run_probe probe = kv_run_probe_of(tree, key);
            rc = kv_run_get(l->run, &snap->page, &probe, &(struct kv_sight){.through = snap->at}, record, &version, &found, err);
            if (rc != QUARTET_OK)
                return rc;
        }
        *passing = l->run != NULL;
        if (found)
            return record->p != NULL ? QUARTET_OK : QUARTET_NOTFOUND;
    }
    *passing = false;
    *record = slice_of(NULL, 0);
    rc = kv_snap_block(snap, tree, key, err);
    if (rc != QUARTET_OK)
        return rc;
    bool exact = false;
    if (snap->block.p != NULL && !block_find(&snap->block, key, row, &exact))
        return err_set(err, QUARTET_CORRUPT, "%s: damaged block: keys", snap->store->name);
    if (!exact)
        kv_tops_missed(&snap->store->tops, tree);
    return exact ? QUARTET_OK : QUARTET_NOTFOUND;
}

quartet_status kv_get(kv_snap *snap, const struct kv_overlay *over, tree_id tree, struct slice key, struct buf *out, struct err *err)
{
    struct slice record;
    uint32_t row;
    bool passing;
    quartet_status rc = locate(snap, over, tree, key, &record, &passing, &row, err);
    if (rc != QUARTET_OK)
        return rc;
    if (record.p == NULL)
        return block_record(&snap->block, row, out, err);
    buf_put(out, record.p, record.n);
    return buf_check(out, err);
}

/* Columns of a record of the buffers, as block_values gives those of a block. */
static quartet_status record_values(struct slice record, const uint16_t *columns, uint32_t n, const struct value *missing, struct value *out, bool *live,
                                struct err *err)
{
    struct record_view view = {.flags = RECORD_LIVE}; /* no bytes at all: an index entry */
    *live = false;
    if (record.n > 0 && !record_view(record, &view))
        return err_set(err, QUARTET_CORRUPT, "damaged record in the write buffer");
    *live = (view.flags & RECORD_LIVE) != 0;
    struct bytes_in in = bytes_in(view.values.p, view.values.n);
    uint32_t at = 0;
    for (uint32_t i = 0; i < n && *live; i++) {
        if (columns[i] >= view.value_count) {
            out[i] = missing != NULL ? missing[i] : VALUE_NULL_INIT;
            continue;
        }
        if (columns[i] < at) { /* mostly they ascend */
            in = bytes_in(view.values.p, view.values.n);
            at = 0;
        }
        for (; at < columns[i]; at++)
            (void)value_skip(&in); /* in.bad is looked at below */
        at++;
        if (!value_decode(&in, &out[i]))
            return err_set(err, QUARTET_CORRUPT, "damaged record in the write buffer");
    }
    return QUARTET_OK;
}

quartet_status kv_get_values(kv_snap *snap, const struct kv_overlay *over, tree_id tree, struct slice key, const struct kv_want *want,
                             struct value *out, struct arena *a, struct err *err)
{
    struct slice record;
    uint32_t row;
    bool live, passing;
    quartet_status rc = locate(snap, over, tree, key, &record, &passing, &row, err);
    if (rc != QUARTET_OK)
        return rc;
    if (passing && (record.p = arena_dup(a, record.p, record.n)) == NULL)
        return arena_fail(a, err);
    if (record.p == NULL)
        rc = block_values(&snap->block, row, want->columns, want->column_count, want->missing, out, &live, a, err);
    else
        rc = record_values(record, want->columns, want->column_count, want->missing, out, &live, err);
    return rc == QUARTET_OK && !live ? QUARTET_NOTFOUND : rc;
}
