/* kv_sweep.c - taking away what is of no use any longer: pasts that are out of date, and rows that are not live and that no history tells of.
 * Why apart from the flush: what is never written again is met by no flush. A step looks at so many blocks and goes on where the one before ended.
 * Why a row waits for its history: as of a time when it was live it is told from its present record back, so the record must be there.
 * Invariants: between two slices the base is a whole state, that of its checkpoint, in which only what no reader can ask for is missing.
 * Not here: what may go (kv_host.sweep), when (kv_tidy.c), blocks and runs (kv_merge.c). */
#include <string.h>

#include "base/mem.h"
#include "base/plant.h"
#include "kv_merge.h"

struct sweep {
    struct merge m;
    const struct kv_sweep_how *how;
    struct kv_swept *out;
    struct base_cursor probe; /* in the history tree of the tree that is looked at */
    struct block block;       /* under it; p NULL: none */
    struct base_cursor present; /* in the tree whose history is looked at */
    struct buf key, probed, record;
    tree_id asked; /* of this tree (0: none) it was asked whether its rows stay */
    bool stays;
};

/* Does the block hold an entry of this key that is in date? *past: it ends with one of the key, or before: perhaps the next does. */
static quartet_status told_in_block(struct sweep *s, struct slice key, bool *told, bool *past, struct err *err)
{
    uint32_t row;
    bool exact;
    *past = false;
    if (!block_find(&s->block, key, &row, &exact))
        return err_set(err, QUARTET_CORRUPT, "damaged block: keys");
    for (; row < s->block.rows && !*told; row++) {
        uint64_t stamp;
        buf_clear(&s->probed);
        if (!block_key(&s->block, row, &s->probed))
            return s->probed.failed ? err_nomem(err) : err_set(err, QUARTET_CORRUPT, "damaged block: keys");
        struct slice at = slice_of(s->probed.data, s->probed.len);
        if (at.n < key.n || memcmp(at.p, key.p, key.n) != 0)
            return QUARTET_OK;
        *told = kv_past_key_stamp(at, &stamp) && stamp >= s->how->past_from;
    }
    *past = !*told;
    return QUARTET_OK;
}

static quartet_status probe_open(struct sweep *s, struct err *err)
{
    s->block.p = NULL;
    return s->probe.found ? block_open(&s->block, s->probe.tree, s->probe.block, s->probe.block_bytes, !s->m.base->trusted, err) : QUARTET_OK;
}

/* Is there history of this row? Keys come ascending, so the block of the last answer mostly has this one too. */
static quartet_status has_history(struct sweep *s, tree_id tree, struct slice key, bool *told, struct err *err)
{
    const struct kv_base_ops *ops = s->m.base->ops;
    bool past = true;
    quartet_status rc = QUARTET_OK;
    *told = false;
    bool here = s->block.p != NULL && s->probe.tree == kv_past_tree(tree) && slice_cmp(s->probe.separator, key) <= 0;
    if (here) {
        rc = told_in_block(s, key, told, &past, err);
        if (rc != QUARTET_OK || !past)
            return rc;
    }
    /* Not there, or it may go on in a later block. */
    rc = ops->seek(&s->probe, kv_past_tree(tree), key, err);
    if (rc == QUARTET_OK)
        rc = probe_open(s, err);
    while (rc == QUARTET_OK && past && s->block.p != NULL) {
        rc = told_in_block(s, key, told, &past, err);
        if (rc != QUARTET_OK || !past)
            break;
        rc = ops->next(&s->probe, err);
        if (rc == QUARTET_OK)
            rc = probe_open(s, err);
    }
    return rc;
}

/* Does the row as it stands tell of something that is in date? */
static quartet_status is_in_date(struct sweep *s, tree_id tree, struct slice key, bool *yes, struct err *err)
{
    struct block b;
    uint32_t row;
    bool exact = false;
    *yes = false;
    quartet_status rc = s->how->row_newest != NULL ? s->m.base->ops->seek(&s->present, tree, key, err) : QUARTET_OK;
    if (rc != QUARTET_OK || s->how->row_newest == NULL || !s->present.found)
        return rc;
    rc = block_open(&b, tree, s->present.block, s->present.block_bytes, !s->m.base->trusted, err);
    if (rc == QUARTET_OK && !block_find(&b, key, &row, &exact))
        rc = err_set(err, QUARTET_CORRUPT, "damaged block: keys");
    if (rc != QUARTET_OK || !exact)
        return rc;
    buf_clear(&s->record);
    rc = block_record(&b, row, &s->record, err);
    *yes = rc == QUARTET_OK && s->how->row_newest(s->how->arg, tree, slice_of(s->record.data, s->record.len)) >= s->how->past_from;
    return rc;
}

/* May this row go? Counts why not. */
static quartet_status row_may_go(struct sweep *s, tree_id tree, struct slice key, bool *go, struct err *err)
{
    bool told = false;
    *go = false;
    if (s->asked != tree) {
        s->asked = tree;
        s->stays = s->how->keeps_dead != NULL && s->how->keeps_dead(s->how->arg, tree);
    }
    if (s->stays)
        return QUARTET_OK;
    quartet_status rc = has_history(s, tree, key, &told, err);
    if (rc != QUARTET_OK)
        return rc;
    *go = (!told || plant_is(PLANT_PURGE_IN_HISTORY)) && s->how->rows;
    s->out->held |= told;
    s->out->dead |= !told && !*go;
    return QUARTET_OK;
}

/* A late operation stays as long as anything tells of its row as it was later, an entry of history or the row as it stands: taken back so far, the row lacks it, and it is
 * merged in again. */
static quartet_status past_may_go(struct sweep *s, tree_id tree, struct slice key, bool *go, struct err *err)
{
    uint64_t stamp;
    struct slice row;
    bool told = false;
    quartet_status rc = QUARTET_OK;
    *go = false;
    if (!kv_past_key_stamp(key, &stamp))
        return rc;
    *go = stamp < s->how->past_from;
    if (!*go)
        s->out->oldest_past = stamp < s->out->oldest_past ? stamp : s->out->oldest_past;
    else if (kv_past_key_late(key, &row) && !plant_is(PLANT_LATE_GOES_EARLY)) {
        rc = has_history(s, tree & ~KV_PAST_TREE, row, &told, err);
        if (rc == QUARTET_OK && !told)
            rc = is_in_date(s, tree & ~KV_PAST_TREE, row, &told, err);
        *go = !told;
    }
    return rc;
}

static quartet_status drops(struct merge *m, const struct block_row *row, bool *drop, struct err *err)
{
    struct sweep *s = m->drops_arg;
    *drop = false;
    if (kv_past_is_tree(m->tree)) {
        quartet_status rc = past_may_go(s, m->tree, row->key, drop, err);
        s->out->pasts += *drop;
        return rc;
    }
    if (!merge_row_dead(m->tree, row->class))
        return QUARTET_OK;
    quartet_status rc = row_may_go(s, m->tree, row->key, drop, err);
    s->out->rows += *drop;
    return rc;
}

/* Is there anything in the block under the cursor that goes? */
static quartet_status worth(struct sweep *s, bool *yes, struct err *err)
{
    const struct base_cursor *at = &s->m.old;
    struct block b;
    bool pasts = kv_past_is_tree(at->tree);
    *yes = false;
    s->out->blocks++;
    quartet_status rc = block_open(&b, at->tree, at->block, at->block_bytes, !s->m.base->trusted && pasts, err);
    if (rc != QUARTET_OK || (!pasts && b.all_live))
        return rc;
    for (uint32_t r = 0; r < b.rows && !*yes; r++) {
        if (!pasts && !merge_row_dead(at->tree, block_class(&b, r)))
            continue;
        buf_clear(&s->key);
        if (!block_key(&b, r, &s->key))
            return s->key.failed ? err_nomem(err) : err_set(err, QUARTET_CORRUPT, "damaged block: keys");
        struct slice key = slice_of(s->key.data, s->key.len);
        rc = pasts ? past_may_go(s, at->tree, key, yes, err) : row_may_go(s, at->tree, key, yes, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

static quartet_status next_is_worth(struct merge *m, void *arg, bool *yes, struct err *err)
{
    *yes = false;
    return merge_slice_full(m) ? QUARTET_OK : worth(arg, yes, err);
}

/* From the block under the cursor on, as long as there is something to take away. */
static quartet_status sweep_run(struct sweep *s, struct err *err)
{
    struct merge *m = &s->m;
    m->tree = m->old.tree;
    m->runs++;
    m->separator.len = 0;
    buf_put(&m->separator, m->old.separator.p, m->old.separator.n);
    quartet_status rc = buf_check(&m->separator, err);
    return rc == QUARTET_OK ? merge_blocks(m, true, next_is_worth, s, err) : rc;
}

/* Is it looked for dead rows, or history, in this tree? */
static bool is_swept(tree_id tree)
{
    return tree >= KV_USER_TREES || tree == KV_GIVEN_UP;
}

/* The cursor to the next block of a tree that may hold something of interest; done: there is none. */
static quartet_status find_block(struct sweep *s, tree_id tree, struct err *err)
{
    struct merge *m = &s->m;
    bool found = true;
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && !m->old.found && !s->out->done) {
        tree = tree <= KV_GIVEN_UP ? KV_GIVEN_UP : tree < KV_USER_TREES ? KV_USER_TREES : tree;
        rc = m->base->ops->next_tree(m->read, &tree, &found, err);
        s->out->done = rc == QUARTET_OK && !found;
        if (rc == QUARTET_OK && found && is_swept(tree))
            rc = m->base->ops->seek(&m->old, tree, slice_of("", 0), err);
        tree++;
    }
    return rc;
}

static quartet_status sweep_blocks(struct sweep *s, const struct kv_sweep_at *at, struct err *err)
{
    struct merge *m = &s->m;
    quartet_status rc = is_swept(at->tree) ? m->base->ops->seek(&m->old, at->tree, slice_of(at->key.data, at->key.len), err) : QUARTET_OK;
    tree_id tree = is_swept(at->tree) ? at->tree + 1 : 0;
    if (rc == QUARTET_OK)
        rc = find_block(s, tree, err);
    for (uint32_t n = 0; rc == QUARTET_OK && !s->out->done && n < s->how->blocks && !merge_slice_full(m); n++) {
        bool yes;
        tree = m->old.tree + 1;
        rc = worth(s, &yes, err);
        if (rc == QUARTET_OK)
            rc = yes ? sweep_run(s, err) : m->base->ops->next(&m->old, err);
        if (rc == QUARTET_OK && !m->old.found)
            rc = find_block(s, tree, err);
    }
    return rc;
}

/* Where the next step begins: at the block that was not looked at. */
static quartet_status remember(struct sweep *s, struct kv_sweep_at *at, struct err *err)
{
    const struct base_cursor *c = &s->m.old;
    buf_clear(&at->key);
    at->tree = 0;
    if (s->out->done)
        return QUARTET_OK;
    at->tree = c->tree;
    buf_put(&at->key, c->separator.p, c->separator.n);
    return buf_check(&at->key, err);
}

static quartet_status sweep_commit(struct sweep *s, struct err *err)
{
    struct merge *m = &s->m;
    struct buf stored = {0};
    struct base_write *w = m->write;
    quartet_status rc = QUARTET_OK;
    m->write = NULL;
    if (s->out->rows == 0 && s->out->pasts == 0) {
        m->base->ops->abort(w);
        return rc;
    }
    if (s->how->checkpoint != NULL) {
        rc = m->base->ops->checkpoint(m->base, &stored, err);
        if (rc == QUARTET_OK)
            rc = s->how->checkpoint(s->how->arg, s->out, &stored, err);
    }
    if (rc == QUARTET_OK)
        rc = m->base->ops->commit(w, slice_of(stored.len > 0 ? stored.data : NULL, stored.len), err);
    else
        m->base->ops->abort(w);
    buf_deinit(&stored);
    return rc;
}

quartet_status kv_base_sweep(struct kv_base *base, const struct kv_sweep_how *how, struct kv_sweep_at *at, struct kv_swept *out, struct err *err)
{
    struct kv_merged unasked;
    struct sweep s = {.m = {.base = base, .until = UINT64_MAX, .density = 1.0, .drops = drops, .met = &unasked}, .how = how, .out = out};
    s.m.drops_arg = &s;
    *out = (struct kv_swept){.oldest_past = UINT64_MAX};
    quartet_status rc = merge_slice_begin(&s.m, how->slice_pages, err);
    if (rc == QUARTET_OK)
        rc = base->ops->cursor_open(s.m.read, &s.probe, err);
    if (rc == QUARTET_OK)
        rc = base->ops->cursor_open(s.m.read, &s.present, err);
    s.m.old.found = false;
    if (rc == QUARTET_OK)
        rc = sweep_blocks(&s, at, err);
    if (rc == QUARTET_OK)
        rc = remember(&s, at, err);
    if (rc == QUARTET_OK)
        rc = sweep_commit(&s, err);
    else if (s.m.write != NULL)
        base->ops->abort(s.m.write);
    if (s.probe.read != NULL)
        base->ops->cursor_close(&s.probe);
    if (s.present.read != NULL)
        base->ops->cursor_close(&s.present);
    merge_slice_end(&s.m);
    merge_free(&s.m);
    buf_deinit(&s.key);
    buf_deinit(&s.probed);
    buf_deinit(&s.record);
    return rc;
}
