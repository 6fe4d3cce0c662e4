/* kv_walk.c - one cursor for a buffer, a run, or a transaction's own writes, and many of them merged.
 * Why a heap: a large transaction may be sorted in a hundred pieces; looking at all of them for every entry would cost more than sorting did.
 * Invariants: at the top of the heap stands the least key, of equal ones that of the walk that comes first. */
#include "kv_walk.h"

#include "base/mem.h"

static void show_buffer(struct kv_walk *w)
{
    w->valid = w->in_buffer.node != NULL;
    w->tree = w->in_buffer.tree;
    w->key = w->in_buffer.key;
    w->record = w->in_buffer.record;
    w->version = w->in_buffer.version;
}

static void show_own(struct kv_walk *w)
{
    w->valid = w->in_own.valid;
    w->tree = w->in_own.tree;
    w->key = w->in_own.key;
    w->record = w->in_own.record;
    w->version = w->in_own.version;
}

static void show_run(struct kv_walk *w)
{
    w->valid = w->in_run.valid;
    w->tree = w->in_run.tree;
    w->key = w->in_run.key;
    w->record = w->in_run.record;
    w->version = w->in_run.version;
}

static void show(struct kv_walk *w)
{
    if (w->buffer != NULL)
        show_buffer(w);
    else if (w->own != NULL)
        show_own(w);
    else
        show_run(w);
}

void kv_walk_set_buffer(struct kv_walk *w, const kv_buffer *b, apply_no through, bool every)
{
    kv_walk_rest(w);
    w->buffer = b;
    w->sight = (struct kv_sight){.through = through, .every = every};
}

void kv_walk_set_own(struct kv_walk *w, kv_own *own, apply_no through, bool every)
{
    kv_walk_rest(w);
    w->own = own;
    w->sight = (struct kv_sight){.through = through, .every = every};
}

void kv_walk_set_run(struct kv_walk *w, const kv_run *r, const struct kv_sight *sight)
{
    kv_walk_rest(w);
    w->run = r;
    w->sight = *sight;
}

/* Own writes that were put since are put in order. */
static quartet_status in_order(struct kv_walk *w, struct err *err)
{
    quartet_status rc = w->own != NULL ? kv_own_settle(w->own, err) : QUARTET_OK;
    w->valid = w->valid && rc == QUARTET_OK;
    return rc;
}

quartet_status kv_walk_seek(struct kv_walk *w, tree_id tree, struct slice key, struct err *err)
{
    quartet_status rc = in_order(w, err);
    if (rc != QUARTET_OK)
        return rc;
    if (w->buffer != NULL)
        kv_cursor_seek(&w->in_buffer, w->buffer, w->sight.through, tree, key);
    else if (w->own != NULL)
        kv_own_seek(&w->in_own, w->own, w->sight.through, tree, key);
    else
        rc = kv_run_seek(&w->in_run, w->run, &w->sight, tree, key, err);
    show(w);
    return rc;
}

quartet_status kv_walk_seek_before(struct kv_walk *w, tree_id tree, struct slice key, struct err *err)
{
    quartet_status rc = in_order(w, err);
    if (rc != QUARTET_OK)
        return rc;
    if (w->buffer != NULL)
        kv_cursor_seek_before(&w->in_buffer, w->buffer, w->sight.through, tree, key);
    else if (w->own != NULL)
        kv_own_seek_before(&w->in_own, w->own, w->sight.through, tree, key);
    else
        rc = kv_run_seek_before(&w->in_run, w->run, &w->sight, tree, key, err);
    show(w);
    return rc;
}

quartet_status kv_walk_seek_last(struct kv_walk *w, struct err *err)
{
    quartet_status rc = in_order(w, err);
    if (rc != QUARTET_OK)
        return rc;
    if (w->buffer != NULL)
        kv_cursor_seek_last(&w->in_buffer, w->buffer, w->sight.through);
    else if (w->own != NULL)
        kv_own_seek_last(&w->in_own, w->own, w->sight.through);
    else
        rc = kv_run_seek_last(&w->in_run, w->run, &w->sight, err);
    show(w);
    return rc;
}

quartet_status kv_walk_next(struct kv_walk *w, struct err *err)
{
    quartet_status rc = in_order(w, err);
    if (rc != QUARTET_OK)
        return rc;
    if (w->buffer != NULL) {
        if (!w->sight.every || !kv_cursor_older(&w->in_buffer))
            kv_cursor_next(&w->in_buffer);
    } else if (w->own != NULL) {
        if (!w->sight.every || !kv_own_older(&w->in_own))
            kv_own_next(&w->in_own);
    } else {
        rc = kv_run_next(&w->in_run, err);
    }
    show(w);
    return rc;
}

quartet_status kv_walk_prev(struct kv_walk *w, struct err *err)
{
    quartet_status rc = in_order(w, err);
    if (rc != QUARTET_OK)
        return rc;
    if (w->buffer != NULL)
        kv_cursor_prev(&w->in_buffer);
    else if (w->own != NULL)
        kv_own_prev(&w->in_own);
    else
        rc = kv_run_prev(&w->in_run, err);
    show(w);
    return rc;
}

bool kv_walk_stays(const struct kv_walk *w)
{
    return w->run == NULL || w->in_run.page.p == NULL || w->in_run.page.p != w->in_run.page.own;
}

void kv_walk_rest(struct kv_walk *w)
{
    w->buffer = NULL;
    w->run = NULL;
    w->own = NULL;
    w->valid = false;
    w->in_run.valid = false;
    kv_run_page_rest(&w->in_run.page);
}

void kv_walk_deinit(struct kv_walk *w)
{
    kv_run_cursor_deinit(&w->in_run);
    *w = (struct kv_walk){0};
}

/* ---- merged ---- */

static int place_cmp(const struct kv_blend *b, const struct kv_walk *x, const struct kv_walk *y)
{
    if (x->tree != y->tree)
        return x->tree < y->tree ? -1 : 1;
    int c = slice_cmp(x->key, y->key);
    if (c != 0 || !b->every)
        return c;
    return x->version > y->version ? -1 : x->version < y->version;
}

static bool heap_before(const struct kv_blend *b, uint32_t x, uint32_t y)
{
    int c = place_cmp(b, &b->walks[x], &b->walks[y]);
    return c < 0 || (c == 0 && x < y);
}

static void sink(struct kv_blend *b, uint32_t i)
{
    for (;;) {
        uint32_t least = i, left = 2 * i + 1;
        for (uint32_t k = left; k < left + 2 && k < b->count; k++)
            if (heap_before(b, b->heap[k], b->heap[least]))
                least = k;
        if (least == i)
            return;
        uint32_t swap = b->heap[i];
        b->heap[i] = b->heap[least];
        b->heap[least] = swap;
        i = least;
    }
}

/* What comes after the top of the heap? */
static void find_next(struct kv_blend *b)
{
    b->next = b->count < 2 ? 0 : b->count > 2 && heap_before(b, b->heap[2], b->heap[1]) ? 2 : 1;
    b->tie = b->next != 0 && place_cmp(b, &b->walks[b->heap[0]], &b->walks[b->heap[b->next]]) == 0;
}

quartet_status kv_blend_start(struct kv_blend *b, struct kv_walk *walks, uint32_t count, bool every, tree_id tree, struct slice key, struct err *err)
{
    *b = (struct kv_blend){.walks = walks, .every = every};
    b->heap = count < sizeof b->few / sizeof b->few[0] ? b->few : mem_zalloc(count + 1u, sizeof *b->heap);
    if (b->heap == NULL)
        return err_nomem(err);
    for (uint32_t i = 0; i < count; i++) {
        quartet_status rc = kv_walk_seek(&walks[i], tree, key, err);
        if (rc != QUARTET_OK)
            return rc;
        if (walks[i].valid)
            b->heap[b->count++] = i;
    }
    for (uint32_t i = b->count / 2; i-- > 0;)
        sink(b, i);
    find_next(b);
    b->at = b->count > 0 ? &walks[b->heap[0]] : NULL;
    return QUARTET_OK;
}

/* The walk at the top goes one on. Mostly it stays at the top: pieces that were sorted one after the other hardly overlap. */
static quartet_status top_next(struct kv_blend *b, struct err *err)
{
    struct kv_walk *w = &b->walks[b->heap[0]];
    quartet_status rc = kv_walk_next(w, err);
    if (rc != QUARTET_OK)
        return rc;
    if (w->valid && b->next != 0) {
        int c = place_cmp(b, w, &b->walks[b->heap[b->next]]);
        b->tie = c == 0;
        if (c < 0 || (c == 0 && b->heap[0] < b->heap[b->next]))
            return QUARTET_OK;
    }
    if (w->valid && b->next == 0)
        return QUARTET_OK;
    if (!w->valid)
        b->heap[0] = b->heap[--b->count];
    sink(b, 0);
    find_next(b);
    return QUARTET_OK;
}

quartet_status kv_blend_next(struct kv_blend *b, struct err *err)
{
    QASSERT(b->at != NULL);
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && b->tie) {
        /* Those hidden step over it first, since what is shown holds the key they are compared with. */
        uint32_t k = b->next;
        struct kv_walk *w = &b->walks[b->heap[k]];
        rc = kv_walk_next(w, err);
        if (rc != QUARTET_OK)
            break;
        if (!w->valid)
            b->heap[k] = b->heap[--b->count];
        if (k < b->count)
            sink(b, k);
        find_next(b);
    }
    if (rc == QUARTET_OK)
        rc = top_next(b, err);
    b->at = rc == QUARTET_OK && b->count > 0 ? &b->walks[b->heap[0]] : NULL;
    return rc;
}

void kv_blend_end(struct kv_blend *b)
{
    if (b->heap != b->few)
        mem_free(b->heap);
    *b = (struct kv_blend){0};
}
