/* kv_bulk.c - large transactions on their way into the store: a sorted run that becomes a layer.
 * Why: a skip list costs a search and a hundred bytes for each row, and a transaction must not be larger than memory. Rows come in key order as it is, for
 *   the delta holds them so; entries of indexes do not, and are sorted, beyond a limit on disk.
 * Why a thread: keeping a run (pages, checksums, filters, a file) is a sixth of a large COMMIT and needs nothing of the rest.
 * From which size on: a run goes into the base by itself, which is cheaper for each entry than the skip list (and read faster ever after), but rewrites the blocks that its
 *   keys lie in. Where the base is no more than some times as large as the transaction that costs little, however the keys lie; in a larger base many transactions are gathered.
 * Invariants: nothing shows before kv_bulk_commit, which fails without a trace. A tree that comes out of order is taken back from the writer; where pages of it
 *   were written already, all is merged once more at the end.
 * Not here: flushing (kv_flush.c, kv_merge.c: a run is walked as a buffer is). */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "kv_behind.h"
#include "kv_internal.h"
#include "kv_sort.h"

#define SORT_MEMORY_BYTES (16u << 20)
#define BULK_BASE_SHARE 8u /* a base of so many times the transaction's bytes may be rewritten for it */
#define BULK_AT_ONCE_BYTES (256u << 10) /* of entries on their way to the thread that takes them */
#define BULK_HEAD_BYTES 24u             /* of one: u64 tree, u64 length of the key, u64 length of the record + 1 (0: an erasure) */

struct kv_bulk {
    struct kv *store;
    kv_behind *behind;    /* while there is something on its way: owns what follows */
    kv_run_writer *writer;
    kv_sort *loose;       /* what came out of order; NULL: nothing yet */
    bool mixed;           /* a tree is in both */
    struct loose_tree *trees;
    uint32_t tree_count, tree_cap;
    struct kv_layer *layer, *fresh; /* prepared: the run, and the active buffer above it */
};
struct loose_tree { /* goes to `loose` from now on */
    tree_id tree;
};

static struct kv_run_place place_of(const struct kv *s, size_t memory_bytes)
{
    return (struct kv_run_place){.env = s->env, .dir = s->dir, .memory_bytes = memory_bytes};
}

static bool tree_loose(const struct kv_bulk *b, tree_id tree)
{
    for (uint32_t i = 0; i < b->tree_count; i++)
        if (b->trees[i].tree == tree)
            return true;
    return false;
}

static quartet_status sort_each(void *arg, tree_id tree, struct slice key, struct slice record, struct err *err)
{
    return kv_sort_put(arg, tree, key, record, err);
}

static quartet_status loosen(struct kv_bulk *b, tree_id tree, struct err *err)
{
    if (b->loose == NULL) {
        struct kv_run_place place = place_of(b->store, SORT_MEMORY_BYTES);
        quartet_status rc = kv_sort_new(&place, &b->loose, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if (b->tree_count == b->tree_cap) {
        uint32_t cap = b->tree_cap == 0 ? 8 : b->tree_cap * 2;
        struct loose_tree *grown = mem_realloc(b->trees, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        b->trees = grown;
        b->tree_cap = cap;
    }
    bool taken;
    quartet_status rc = kv_run_take_back(b->writer, tree, sort_each, b->loose, &taken, err);
    b->mixed = b->mixed || !taken;
    b->trees[b->tree_count++].tree = tree;
    return rc;
}

static quartet_status take_one(struct kv_bulk *b, tree_id tree, struct slice key, struct slice record, struct err *err)
{
    quartet_status rc = QUARTET_MISUSE;
    if (b->tree_count == 0 || !tree_loose(b, tree)) {
        rc = kv_run_put(b->writer, tree, key, 0, record, err);
        if (rc != QUARTET_MISUSE)
            return rc;
        err_clear(err);
        rc = loosen(b, tree, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return kv_sort_put(b->loose, tree, key, record, err);
}

/* Whole entries, as kv_bulk_put wrote them. */
static quartet_status take(void *arg, const uint8_t *p, size_t n, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (size_t at = 0; at < n && rc == QUARTET_OK;) {
        size_t key_n = (size_t)load_le64(p + at + 8), record_n = (size_t)load_le64(p + at + 16);
        struct slice key = slice_of(p + at + BULK_HEAD_BYTES, key_n), record = {0};
        if (record_n > 0)
            record = slice_of(key.p + key_n, record_n - 1);
        rc = take_one(arg, load_le64(p + at), key, record, err);
        at += BULK_HEAD_BYTES + key_n + record.n;
    }
    return rc;
}

size_t kv_bulk_from(kv *s)
{
    size_t most = s->buffer_bytes / 4;
    pthread_mutex_lock(&s->lock);
    uint64_t from = s->base->ops->bytes(s->base) / BULK_BASE_SHARE;
    pthread_mutex_unlock(&s->lock);
    if (from < KV_BULK_BYTES_MIN)
        from = KV_BULK_BYTES_MIN;
    return from < most ? (size_t)from : most;
}

quartet_status kv_bulk_begin(kv *s, kv_bulk **out, struct err *err)
{
    kv_bulk *b = mem_zalloc(1, sizeof *b);
    if (b == NULL)
        return err_nomem(err);
    b->store = s;
    s->bulks++;
    struct kv_run_place place = place_of(s, s->buffer_bytes);
    place.stay = true;
    quartet_status rc = kv_run_writer_new(&place, &b->writer, err);
    if (rc == QUARTET_OK)
        rc = kv_behind_new(s->env->threads, BULK_AT_ONCE_BYTES, take, b, &b->behind, err);
    if (rc != QUARTET_OK) {
        kv_bulk_abort(b);
        return rc;
    }
    *out = b;
    return QUARTET_OK;
}

quartet_status kv_bulk_put(kv_bulk *b, tree_id tree, struct slice key, struct slice record, struct err *err)
{
    kv_tops_raise(&b->store->tops, tree, key);
    struct buf *to = kv_behind_fill(b->behind);
    uint8_t *p = buf_reserve(to, BULK_HEAD_BYTES + key.n + record.n);
    if (p != NULL) {
        store_le64(p, tree);
        store_le64(p + 8, key.n);
        store_le64(p + 16, record.p == NULL ? 0 : (uint64_t)record.n + 1);
        bytes_copy(p + BULK_HEAD_BYTES, key.p, key.n);
        if (record.n > 0)
            memcpy(p + BULK_HEAD_BYTES + key.n, record.p, record.n);
        to->len += BULK_HEAD_BYTES + key.n + record.n;
    }
    return kv_behind_filled(b->behind, err);
}

static quartet_status put_each(void *arg, tree_id tree, struct slice key, struct slice record, struct err *err)
{
    return kv_run_put(arg, tree, key, 0, record, err);
}

/* Entries that came in order and those that did not, as one run. What is loose was put later: it counts. */
static quartet_status blend(struct kv_bulk *b, apply_no at, kv_run **out, struct err *err)
{
    struct kv_run_place sorted_place = place_of(b->store, SORT_MEMORY_BYTES), place = place_of(b->store, b->store->buffer_bytes);
    place.stay = true;
    kv_run_writer *w = NULL;
    kv_run *ordered = NULL, *sorted = NULL;
    struct kv_walk walks[2] = {0};
    struct kv_blend x = {0};
    quartet_status rc = kv_run_finish(b->writer, 0, &ordered, err);
    b->writer = NULL;
    if (rc == QUARTET_OK)
        rc = kv_run_writer_new(&sorted_place, &w, err);
    if (rc == QUARTET_OK)
        rc = kv_sort_drain(b->loose, put_each, w, err);
    if (rc == QUARTET_OK) {
        rc = kv_run_finish(w, 0, &sorted, err);
        w = NULL;
    }
    if (rc == QUARTET_OK)
        rc = kv_run_writer_new(&place, &w, err);
    if (rc == QUARTET_OK) {
        struct kv_sight all = {.through = UINT64_MAX};
        kv_walk_set_run(&walks[0], sorted, &all);
        kv_walk_set_run(&walks[1], ordered, &all);
        rc = kv_blend_start(&x, walks, 2, false, 0, slice_of("", 0), err);
    }
    while (rc == QUARTET_OK && x.at != NULL) {
        rc = kv_run_put(w, x.at->tree, x.at->key, 0, x.at->record, err);
        if (rc == QUARTET_OK)
            rc = kv_blend_next(&x, err);
    }
    if (rc == QUARTET_OK) {
        rc = kv_run_finish(w, at, out, err);
        w = NULL;
    }
    kv_run_writer_free(w);
    kv_blend_end(&x);
    kv_walk_deinit(&walks[0]);
    kv_walk_deinit(&walks[1]);
    kv_run_free(ordered);
    kv_run_free(sorted);
    return rc;
}

static quartet_status make_run(struct kv_bulk *b, apply_no at, kv_run **out, struct err *err)
{
    quartet_status rc = kv_behind_drain(b->behind, err);
    if (rc != QUARTET_OK)
        return rc;
    if (b->mixed)
        return blend(b, at, out, err);
    rc = b->loose != NULL ? kv_sort_drain(b->loose, put_each, b->writer, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return rc;
    rc = kv_run_finish(b->writer, at, out, err);
    b->writer = NULL;
    return rc;
}

/* The run lies above the active buffer's entries and below those of a new one. */
static quartet_status publish(struct kv *s, struct kv_layer *run, struct kv_layer *fresh, struct err *err)
{
    pthread_mutex_lock(&s->lock);
    struct kv_view *old = NULL;
    uint32_t below = s->view->count, from = kv_buffer_entries(s->active->buffer) == 0 ? 1 : 0; /* an empty one need not be kept */
    struct kv_layer **layers = mem_zalloc(below + 2u, sizeof *layers);
    if (layers != NULL) {
        layers[0] = fresh;
        layers[1] = run;
        memcpy(layers + 2, s->view->layers + from, (below - from) * sizeof *layers);
        old = kv_view_replace(s, layers, below - from + 2);
    }
    pthread_mutex_unlock(&s->lock);
    mem_free(layers);
    kv_view_unref(old);
    return old != NULL ? QUARTET_OK : err_nomem(err);
}

quartet_status kv_bulk_prepare(kv_bulk *b, apply_no at, struct err *err)
{
    struct kv *s = b->store;
    QASSERT(at > s->applied && b->layer == NULL);
    kv_run *run = NULL;
    b->fresh = kv_layer_new(NULL);
    quartet_status rc = b->fresh != NULL ? make_run(b, at, &run, err) : err_nomem(err);
    if (rc != QUARTET_OK)
        return rc;
    b->layer = kv_layer_new(run);
    if (b->layer == NULL) {
        kv_run_free(run);
        return err_nomem(err);
    }
    b->layer->last = at;
    buf_u8(&b->layer->checkpoint, KV_FLUSH_WHOLE);
    rc = buf_check(&b->layer->checkpoint, err);
    if (rc == QUARTET_OK && s->host.checkpoint != NULL) /* one from before it: kv_settle has a better one */
        rc = s->host.checkpoint(s->host.ctx, s->applied, &b->layer->checkpoint, err);
    if (rc != QUARTET_OK)
        return rc;
    bool empty = kv_buffer_entries(s->active->buffer) == 0;
    (void)kv_wait_frozen(s, empty ? KV_FROZEN_MAX - 1 : KV_FROZEN_MAX - 2); /* where there is no waiting there are more layers */
    return empty ? QUARTET_OK : kv_freeze(s, err);
}

quartet_status kv_bulk_commit(kv_bulk *b, apply_no at, struct err *err)
{
    struct kv *s = b->store;
    quartet_status rc = b->layer == NULL ? kv_bulk_prepare(b, at, err) : QUARTET_OK;
    QASSERT(rc != QUARTET_OK || b->layer->last == at);
    if (rc == QUARTET_OK)
        rc = publish(s, b->layer, b->fresh, err);
    if (rc == QUARTET_OK) {
        s->applied = at;
        s->run_waits = !s->has_thread;
        kv_layer_unref(s->settle);
        s->settle = b->layer;
        b->layer = NULL;
    }
    kv_bulk_abort(b);
    return rc;
}

void kv_bulk_abort(kv_bulk *b)
{
    if (b == NULL)
        return;
    b->store->bulks--;
    kv_behind_free(b->behind); /* before what its thread works on */
    kv_run_writer_free(b->writer);
    kv_sort_free(b->loose);
    mem_free(b->trees);
    kv_layer_unref(b->layer);
    kv_layer_unref(b->fresh);
    mem_free(b);
}
