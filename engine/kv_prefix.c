/* kv_prefix.c - is a key with this beginning the only one? What a merge asks of every value that only one row may have, and the answer is nearly always yes.
 * Why not a scan: a scan makes ready to merge its layers and to yield rows, which costs more than looking into them.
 * Not here: which rows they are (kv_iter.c). */
#include <string.h>

#include "kv_internal.h"

static bool begins(struct slice key, struct slice prefix)
{
    return key.n >= prefix.n && memcmp(key.p, prefix.p, prefix.n) == 0;
}

static quartet_status in_run(const struct kv_layer *l, apply_no at, tree_id tree, struct slice prefix, uint32_t *n, struct err *err)
{
    struct kv_walk w = {0};
    kv_walk_set_run(&w, l->run, &(struct kv_sight){.through = at});
    quartet_status rc = kv_walk_seek(&w, tree, prefix, err);
    for (*n = 0; rc == QUARTET_OK && *n < 2 && w.valid && w.tree == tree && begins(w.key, prefix);) {
        *n += w.record.p != NULL;
        rc = kv_walk_next(&w, err);
    }
    kv_walk_deinit(&w);
    return rc;
}

static quartet_status in_base(kv_snap *snap, tree_id tree, struct slice prefix, struct slice end, uint32_t *n, struct err *err)
{
    const struct block *b = &snap->block;
    quartet_status rc = kv_snap_block(snap, tree, prefix, err);
    *n = 0;
    while (rc == QUARTET_OK && b->p != NULL && *n < 2) {
        uint32_t from, to = b->rows;
        bool exact;
        if (!block_find(b, prefix, &from, &exact) || (from < b->rows && end.p != NULL && !block_find(b, end, &to, &exact)))
            return err_set(err, QUARTET_CORRUPT, "%s: damaged block: keys", snap->store->name);
        *n += to - from;
        if (to < b->rows)
            break;
        rc = kv_snap_block_next(snap, tree, err);
    }
    return rc;
}

quartet_status kv_begin_with(kv_snap *snap, tree_id tree, struct slice prefix, struct slice end, bool base_only, uint32_t *n, struct err *err)
{
    quartet_status rc = kv_snap_check(snap, err);
    uint32_t some;
    *n = 0;
    for (uint32_t i = 0; i < snap->view->count && !base_only && rc == QUARTET_OK && *n < 2; i++) {
        const struct kv_layer *l = snap->view->layers[i];
        if (l->buffer != NULL)
            some = kv_buffer_begin_with(l->buffer, tree, prefix, snap->at);
        else
            rc = in_run(l, snap->at, tree, prefix, &some, err);
        if (rc == QUARTET_OK)
            *n += some;
    }
    if (rc != QUARTET_OK || *n >= 2)
        return rc;
    rc = in_base(snap, tree, prefix, end, &some, err);
    *n += some;
    return rc;
}

bool kv_claimed(const kv_snap *snap, tree_id tree, struct slice value)
{
    bool may = false;
    for (uint32_t i = 0; i < snap->view->count && !may; i++)
        may = snap->view->layers[i]->buffer == NULL || kv_buffer_claimed(snap->view->layers[i]->buffer, tree, value);
    return may;
}
