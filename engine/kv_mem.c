/* kv_mem.c - the base in memory: for :memory: databases and the simulator.
 * Why not a plain tree: snapshots must stay while the flusher writes. So nothing is changed in place: blocks are grouped into runs, a
 *   root lists the runs, each is counted by those that point to it, and a commit makes a new root and new runs only where it
 *   wrote. A reader takes the root that stands and lets it go when done.
 * Invariants: runs are never empty and stand in key order; a commit that fails has changed nothing. */
#include "kv_base.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define RUN_BLOCKS_MAX 128u

struct mem_block {
    atomic_uint refs;
    uint32_t key_len;
    size_t block_bytes;
    const uint8_t *block; /* 8-aligned, behind the key */
    uint8_t key[];        /* tree id big-endian, separator */
};
struct mem_run {
    atomic_uint refs;
    uint32_t count;
    uint64_t bytes;
    struct mem_block *blocks[];
};
struct mem_root {
    atomic_uint refs;
    size_t count;
    uint64_t bytes;
    struct mem_run *runs[];
};
struct mem_base {
    struct kv_base base;
    pthread_mutex_t lock; /* guards root and checkpoint */
    struct mem_root *root;
    struct buf checkpoint;
};
struct base_read {
    struct mem_root *root;
};
struct change {
    struct mem_block *block; /* owned until the commit takes it */
    bool erase;
    size_t order;
};
struct base_write {
    struct mem_base *base;
    struct change *changes;
    size_t count, cap;
};

static void block_unref(struct mem_block *b)
{
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        mem_free(b);
}

static void run_unref(struct mem_run *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < r->count; i++)
        block_unref(r->blocks[i]);
    mem_free(r);
}

static void root_unref(struct mem_root *r)
{
    if (r == NULL || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < r->count; i++)
        run_unref(r->runs[i]);
    mem_free(r);
}

static struct slice block_key_of(const struct mem_block *b)
{
    return slice_of(b->key, b->key_len);
}

static int key_cmp(const struct mem_block *b, tree_id tree, struct slice separator)
{
    uint64_t t = load_be64(b->key);
    if (t != tree)
        return t < tree ? -1 : 1;
    return slice_cmp(slice_of(b->key + 8, b->key_len - 8), separator);
}

static void mem_close(struct kv_base *base)
{
    struct mem_base *b = (struct mem_base *)(void *)base;
    root_unref(b->root);
    buf_deinit(&b->checkpoint);
    pthread_mutex_destroy(&b->lock);
    mem_free(b);
}

static quartet_status mem_read_begin(struct kv_base *base, struct base_read **out, struct err *err)
{
    struct mem_base *b = (struct mem_base *)(void *)base;
    struct base_read *r = mem_alloc(sizeof *r);
    if (r == NULL)
        return err_nomem(err);
    pthread_mutex_lock(&b->lock);
    r->root = b->root;
    atomic_fetch_add_explicit(&r->root->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&b->lock);
    *out = r;
    return QUARTET_OK;
}

static void mem_read_end(struct base_read *r)
{
    if (r == NULL)
        return;
    root_unref(r->root);
    mem_free(r);
}

static quartet_status mem_cursor_open(struct base_read *r, struct base_cursor *c, struct err *err)
{
    (void)err; /* cannot fail here, but can elsewhere */
    *c = (struct base_cursor){.read = r};
    return QUARTET_OK;
}

static void mem_cursor_close(struct base_cursor *c)
{
    c->read = NULL;
}

/* Stand on block `i` of run `run`, if there is one and it is of the cursor's tree. */
static void cursor_set(struct base_cursor *c, uint64_t run, uint64_t i)
{
    const struct mem_root *root = c->read->root;
    c->place[0] = run;
    c->place[1] = i;
    c->found = false;
    if (run >= root->count || i >= root->runs[run]->count)
        return;
    const struct mem_block *b = root->runs[run]->blocks[i];
    if (load_be64(b->key) != c->tree)
        return;
    c->found = true;
    c->separator = slice_of(b->key + 8, b->key_len - 8);
    c->block = b->block;
    c->block_bytes = b->block_bytes;
}

/* The place of the last block at or below (tree, key); false: there is none. */
static bool place_at_or_below(const struct mem_root *root, tree_id tree, struct slice key, uint64_t *run, uint64_t *at)
{
    size_t lo = 0, hi = root->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (key_cmp(root->runs[mid]->blocks[0], tree, key) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return false;
    const struct mem_run *r = root->runs[lo - 1];
    size_t a = 0, z = r->count;
    while (a < z) {
        size_t mid = a + (z - a) / 2;
        if (key_cmp(r->blocks[mid], tree, key) <= 0)
            a = mid + 1;
        else
            z = mid;
    }
    *run = lo - 1;
    *at = a - 1;
    return true;
}

static quartet_status mem_next(struct base_cursor *c, struct err *err)
{
    (void)err;
    const struct mem_root *root = c->read->root;
    if (c->place[0] < root->count && c->place[1] + 1 < root->runs[c->place[0]]->count)
        cursor_set(c, c->place[0], c->place[1] + 1);
    else
        cursor_set(c, c->place[0] + 1, 0);
    return QUARTET_OK;
}

static quartet_status mem_prev(struct base_cursor *c, struct err *err)
{
    (void)err;
    if (c->place[1] > 0)
        cursor_set(c, c->place[0], c->place[1] - 1);
    else if (c->place[0] > 0)
        cursor_set(c, c->place[0] - 1, c->read->root->runs[c->place[0] - 1]->count - 1);
    else
        c->found = false;
    return QUARTET_OK;
}

static quartet_status mem_seek(struct base_cursor *c, tree_id tree, struct slice key, struct err *err)
{
    uint64_t run, at;
    c->tree = tree;
    if (!place_at_or_below(c->read->root, tree, key, &run, &at)) {
        cursor_set(c, 0, 0);
        return QUARTET_OK;
    }
    cursor_set(c, run, at);
    return c->found ? QUARTET_OK : mem_next(c, err); /* the last block of an earlier tree */
}

static quartet_status mem_seek_last(struct base_cursor *c, tree_id tree, struct err *err)
{
    (void)err;
    uint64_t run, at;
    c->tree = tree;
    c->found = false;
    bool any = tree < UINT64_MAX ? place_at_or_below(c->read->root, tree + 1, slice_of(NULL, 0), &run, &at)
                                 : c->read->root->count > 0;
    if (!any)
        return QUARTET_OK;
    if (tree == UINT64_MAX) {
        run = c->read->root->count - 1;
        at = c->read->root->runs[run]->count - 1;
    }
    cursor_set(c, run, at);
    /* A block of the next tree whose separator is empty stands at the place itself. */
    return c->found ? QUARTET_OK : mem_prev(c, err);
}

static quartet_status mem_next_tree(struct base_read *r, tree_id *tree, bool *found, struct err *err)
{
    uint64_t run = 0, at = 0;
    (void)err; /* cannot fail here, but can elsewhere */
    if (place_at_or_below(r->root, *tree, slice_of(NULL, 0), &run, &at)) {
        const struct mem_block *b = r->root->runs[run]->blocks[at];
        if (load_be64(b->key) < *tree && ++at == r->root->runs[run]->count) {
            run++;
            at = 0;
        }
    }
    *found = run < r->root->count;
    if (*found)
        *tree = load_be64(r->root->runs[run]->blocks[at]->key);
    return QUARTET_OK;
}

static quartet_status mem_write_begin(struct kv_base *base, struct base_write **out, struct err *err)
{
    struct base_write *w = mem_zalloc(1, sizeof *w);
    if (w == NULL)
        return err_nomem(err);
    w->base = (struct mem_base *)(void *)base;
    *out = w;
    return QUARTET_OK;
}

static void mem_abort(struct base_write *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < w->count; i++)
        block_unref(w->changes[i].block);
    mem_free(w->changes);
    mem_free(w);
}

static quartet_status add_change(struct base_write *w, tree_id tree, struct slice separator, struct slice block, bool erase, struct err *err)
{
    if (w->count == w->cap) {
        size_t cap = w->cap == 0 ? 64 : w->cap * 2;
        struct change *grown = mem_realloc(w->changes, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        w->changes = grown;
        w->cap = cap;
    }
    size_t key_bytes = (8 + separator.n + 7) & ~(size_t)7;
    struct mem_block *b = mem_alloc(sizeof *b + key_bytes + block.n);
    if (b == NULL)
        return err_nomem(err);
    atomic_init(&b->refs, 1);
    b->key_len = (uint32_t)(8 + separator.n);
    store_be64(b->key, tree);
    if (separator.n > 0)
        memcpy(b->key + 8, separator.p, separator.n);
    b->block = b->key + key_bytes;
    b->block_bytes = block.n;
    if (block.n > 0)
        memcpy(b->key + key_bytes, block.p, block.n);
    w->changes[w->count] = (struct change){.block = b, .erase = erase, .order = w->count};
    w->count++;
    return QUARTET_OK;
}

static quartet_status mem_put(struct base_write *w, tree_id tree, struct slice separator, struct slice block, struct err *err)
{
    return add_change(w, tree, separator, block, false, err);
}

static quartet_status mem_del(struct base_write *w, tree_id tree, struct slice separator, struct err *err)
{
    return add_change(w, tree, separator, slice_of(NULL, 0), true, err);
}

static int change_cmp(const void *x, const void *y)
{
    const struct change *a = x, *b = y;
    int c = slice_cmp(block_key_of(a->block), block_key_of(b->block));
    if (c != 0)
        return c;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* Sort, and keep the last change of each key. */
static void settle_changes(struct base_write *w)
{
    if (w->count == 0)
        return;
    qsort(w->changes, w->count, sizeof *w->changes, change_cmp);
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (i + 1 < w->count && slice_eq(block_key_of(w->changes[i].block), block_key_of(w->changes[i + 1].block))) {
            block_unref(w->changes[i].block);
            continue;
        }
        w->changes[kept++] = w->changes[i];
    }
    w->count = kept;
}

/* A root under construction: blocks are appended in key order. */
struct builder {
    struct mem_root *root;
    size_t root_cap;
    struct mem_run *run;
    bool failed;
};

static void builder_push_run(struct builder *b, struct mem_run *run)
{
    if (b->failed || b->root->count == b->root_cap) {
        size_t cap = b->root_cap * 2;
        struct mem_root *grown = b->failed ? NULL : mem_realloc(b->root, 1, sizeof *grown + cap * sizeof grown->runs[0]);
        if (grown == NULL) {
            b->failed = true;
            run_unref(run);
            return;
        }
        b->root = grown;
        b->root_cap = cap;
    }
    b->root->runs[b->root->count++] = run;
}

static void builder_end_run(struct builder *b)
{
    if (b->run != NULL)
        builder_push_run(b, b->run);
    b->run = NULL;
}

/* Takes a reference of its own. */
static void builder_add(struct builder *b, struct mem_block *block)
{
    if (b->run == NULL) {
        b->run = mem_alloc(sizeof *b->run + RUN_BLOCKS_MAX * sizeof b->run->blocks[0]);
        if (b->run == NULL) {
            b->failed = true;
            return;
        }
        atomic_init(&b->run->refs, 1);
        b->run->count = 0;
        b->run->bytes = 0;
    }
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    b->root->bytes += block->block_bytes;
    b->run->bytes += block->block_bytes;
    b->run->blocks[b->run->count++] = block;
    if (b->run->count == RUN_BLOCKS_MAX)
        builder_end_run(b);
}

/* Merge one run with the changes from *at on that lie before `limit` (NULL: all). */
static void merge_run(struct builder *b, const struct base_write *w, size_t *at, const struct mem_run *old, const struct mem_block *limit)
{
    uint32_t i = 0;
    for (; *at < w->count; (*at)++) {
        const struct change *c = &w->changes[*at];
        struct slice key = block_key_of(c->block);
        if (limit != NULL && slice_cmp(key, block_key_of(limit)) >= 0)
            break;
        while (old != NULL && i < old->count && slice_cmp(block_key_of(old->blocks[i]), key) < 0)
            builder_add(b, old->blocks[i++]);
        if (old != NULL && i < old->count && slice_eq(block_key_of(old->blocks[i]), key))
            i++;
        if (!c->erase)
            builder_add(b, c->block);
    }
    while (old != NULL && i < old->count)
        builder_add(b, old->blocks[i++]);
}

static struct mem_root *merge_root(const struct base_write *w, const struct mem_root *old)
{
    struct builder b = {.root_cap = old->count + 16};
    b.root = mem_alloc(sizeof *b.root + b.root_cap * sizeof b.root->runs[0]);
    if (b.root == NULL)
        return NULL;
    atomic_init(&b.root->refs, 1);
    b.root->count = 0;
    b.root->bytes = 0;
    size_t at = 0;
    if (old->count == 0)
        merge_run(&b, w, &at, NULL, NULL);
    for (size_t r = 0; r < old->count && !b.failed; r++) {
        const struct mem_block *limit = r + 1 < old->count ? old->runs[r + 1]->blocks[0] : NULL;
        bool touched = at < w->count && (limit == NULL || slice_cmp(block_key_of(w->changes[at].block), block_key_of(limit)) < 0);
        if (touched) {
            merge_run(&b, w, &at, old->runs[r], limit);
            builder_end_run(&b); /* the runs behind it stay as they are */
            continue;
        }
        builder_end_run(&b);
        atomic_fetch_add_explicit(&old->runs[r]->refs, 1, memory_order_relaxed);
        b.root->bytes += old->runs[r]->bytes;
        builder_push_run(&b, old->runs[r]);
    }
    builder_end_run(&b);
    if (b.failed) {
        root_unref(b.root);
        return NULL;
    }
    return b.root;
}

static quartet_status mem_commit(struct base_write *w, struct slice checkpoint, struct err *err)
{
    struct mem_base *b = w->base;
    settle_changes(w);
    struct buf stored = {0};
    buf_put(&stored, checkpoint.p, checkpoint.n);
    struct mem_root *root = stored.failed ? NULL : merge_root(w, b->root); /* only the writer replaces the root */
    mem_abort(w);
    if (root == NULL) {
        buf_deinit(&stored);
        return err_nomem(err);
    }
    pthread_mutex_lock(&b->lock);
    struct mem_root *old = b->root;
    b->root = root;
    if (checkpoint.p != NULL) {
        struct buf before = b->checkpoint;
        b->checkpoint = stored;
        stored = before;
    }
    pthread_mutex_unlock(&b->lock);
    root_unref(old);
    buf_deinit(&stored);
    return QUARTET_OK;
}

static quartet_status mem_checkpoint(struct kv_base *base, struct buf *out, struct err *err)
{
    struct mem_base *b = (struct mem_base *)(void *)base;
    pthread_mutex_lock(&b->lock);
    buf_put(out, b->checkpoint.data, b->checkpoint.len);
    pthread_mutex_unlock(&b->lock);
    return buf_check(out, err);
}

static uint64_t mem_bytes(struct kv_base *base)
{
    struct mem_base *b = (struct mem_base *)(void *)base;
    pthread_mutex_lock(&b->lock);
    uint64_t n = b->root->bytes;
    pthread_mutex_unlock(&b->lock);
    return n;
}

static uint64_t mem_dead(struct kv_base *base)
{
    (void)base;
    return 0;
}

static uint64_t mem_room(struct kv_base *base)
{
    (void)base;
    return UINT64_MAX;
}

static const struct kv_base_ops mem_ops = {
    .close = mem_close,
    .read_begin = mem_read_begin,
    .read_end = mem_read_end,
    .cursor_open = mem_cursor_open,
    .cursor_close = mem_cursor_close,
    .seek = mem_seek,
    .seek_last = mem_seek_last,
    .next = mem_next,
    .prev = mem_prev,
    .next_tree = mem_next_tree,
    .write_begin = mem_write_begin,
    .put = mem_put,
    .del = mem_del,
    .commit = mem_commit,
    .abort = mem_abort,
    .checkpoint = mem_checkpoint,
    .bytes = mem_bytes,
    .dead = mem_dead,
    .room = mem_room,
};

quartet_status kv_mem_open(struct kv_base **out, struct err *err)
{
    struct mem_base *b = mem_zalloc(1, sizeof *b);
    if (b == NULL)
        return err_nomem(err);
    b->base = (struct kv_base){.ops = &mem_ops, .trusted = true};
    atomic_init(&b->base.refs, 1);
    b->root = mem_zalloc(1, sizeof *b->root);
    if (b->root == NULL || pthread_mutex_init(&b->lock, NULL) != 0) {
        mem_free(b->root);
        mem_free(b);
        return err_nomem(err);
    }
    atomic_init(&b->root->refs, 1);
    *out = &b->base;
    return QUARTET_OK;
}
