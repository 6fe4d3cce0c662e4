/* kv_top.c - the greatest key of a tree. Why only after some misses: it costs as much as a few look-ups, and a transaction of one row gains nothing. */
#include "kv_top.h"

#define MISSES_FIRST 8u

void kv_top_deinit(struct kv_top *top)
{
    buf_deinit(&top->key);
}

void kv_top_forget(struct kv_top *top)
{
    top->tree = 0;
    top->misses = 0;
    top->known = top->empty = false;
}

bool kv_top_above(const struct kv_top *top, tree_id tree, struct slice key)
{
    return top->tree == tree && top->known && (top->empty || slice_cmp(key, slice_of(top->key.data, top->key.len)) > 0);
}

quartet_status kv_top_missed(struct kv_top *top, kv_snap *snap, tree_id tree, struct err *err)
{
    if (top->tree != tree) {
        top->tree = tree;
        top->misses = 0;
        top->known = false;
    }
    if (++top->misses != MISSES_FIRST)
        return QUARTET_OK;
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true, .records = true, .dead = true, .reverse = true};
    struct kv_rows rows = {0};
    kv_iter *it = NULL;
    quartet_status rc = kv_iter_open(snap, NULL, tree, &all, &want, &it, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_next(it, 1, &rows, err);
    if (rc == QUARTET_OK) {
        buf_clear(&top->key);
        top->empty = rows.n == 0;
        if (rows.n > 0)
            buf_put(&top->key, rows.keys[0].p, rows.keys[0].n);
        top->known = !top->key.failed;
    }
    kv_iter_close(it);
    return rc;
}
