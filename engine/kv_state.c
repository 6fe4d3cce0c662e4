/* kv_state.c - a whole state of the base, read and built block by block. See kv_state.h.
 * Why blocks and not rows: they are a third of the size, cost the donor a walk over its pages and no decoding, and hold all that a base holds: rows that are not live, history, losing values.
 * Invariants: what is built has ascending separators, in each block ascending keys between its separator and the next one; a reader of the base relies on that.
 * Not here: which state it is, and for whom (db_donate.c, db_snapshot.c). */
#include "kv_state.h"

#include <string.h>

#include "base/mem.h"
#include "kv_internal.h"

#define FILL_PAGES 3800u /* of a slice, as in a flush */
#define TREE_OF_BASE UINT64_MAX

struct kv_state {
    struct kv_base *base;
    struct base_read *read;
    struct base_cursor at;
    bool has_cursor, on_tree;
    tree_id tree;
};

quartet_status kv_state_open(kv *s, kv_state **out, struct buf *checkpoint, struct err *err)
{
    struct kv_state *st = mem_zalloc(1, sizeof *st);
    if (st == NULL)
        return err_nomem(err);
    size_t start = checkpoint->len;
    pthread_mutex_lock(&s->lock);
    quartet_status rc = kv_whole_state(s, &st->base, &st->read, checkpoint, err);
    pthread_mutex_unlock(&s->lock);
    if (rc == QUARTET_OK)
        rc = st->base->ops->cursor_open(st->read, &st->at, err);
    st->has_cursor = rc == QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = checkpoint->len > start ? buf_check(checkpoint, err) : err_set(err, QUARTET_BUSY, "nothing was flushed yet");
    if (rc != QUARTET_OK) {
        kv_state_close(st);
        return rc;
    }
    memmove(checkpoint->data + start, checkpoint->data + start + 1, checkpoint->len - start - 1); /* without KV_FLUSH_WHOLE */
    checkpoint->len--;
    *out = st;
    return QUARTET_OK;
}

quartet_status kv_state_next(kv_state *st, struct kv_state_block *out, bool *end, struct err *err)
{
    const struct kv_base_ops *ops = st->base->ops;
    quartet_status rc = QUARTET_OK;
    bool found = true;
    *end = false;
    if (st->on_tree)
        rc = ops->next(&st->at, err);
    while (rc == QUARTET_OK && found && (!st->on_tree || !st->at.found)) {
        if (st->on_tree)
            st->tree++;
        rc = ops->next_tree(st->read, &st->tree, &found, err);
        if (rc == QUARTET_OK && found)
            rc = ops->seek(&st->at, st->tree, slice_of(NULL, 0), err);
        st->on_tree = found;
    }
    struct block b;
    if (rc == QUARTET_OK && found) /* damage is found and not shipped */
        rc = block_open(&b, st->at.tree, st->at.block, st->at.block_bytes, !st->base->trusted, err);
    if (rc != QUARTET_OK)
        return rc;
    *end = !found;
    if (found)
        *out = (struct kv_state_block){.tree = st->at.tree, .separator = st->at.separator, .block = slice_of(st->at.block, st->at.block_bytes)};
    return QUARTET_OK;
}

void kv_state_close(kv_state *st)
{
    if (st == NULL)
        return;
    if (st->has_cursor)
        st->base->ops->cursor_close(&st->at);
    if (st->read != NULL)
        st->base->ops->read_end(st->read);
    kv_base_unref(st->base);
    mem_free(st);
}

/* ---- building ---- */

struct kv_fill {
    struct kv_base *to;
    struct base_write *write;
    uint64_t pages;
    bool any;
    tree_id tree;
    struct buf separator, last, keys; /* of the block before: its separator, its last key; of this one: its keys */
};

quartet_status kv_fill_begin(struct kv_base *to, kv_fill **out, struct err *err)
{
    struct kv_fill *f = mem_zalloc(1, sizeof *f);
    if (f == NULL)
        return err_nomem(err);
    f->to = to;
    *out = f;
    return QUARTET_OK;
}

void kv_fill_free(kv_fill *f)
{
    if (f == NULL)
        return;
    if (f->write != NULL)
        f->to->ops->abort(f->write);
    buf_deinit(&f->separator);
    buf_deinit(&f->last);
    buf_deinit(&f->keys);
    mem_free(f);
}

static struct slice slice_of_buf(const struct buf *b)
{
    return slice_of(b->data, b->len);
}

static int compare(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n > 0 ? memcmp(a.p, b.p, n) : 0;
    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

/* Keys ascend, lie above those of the block before, and not below the separator; but a tree's first block also takes keys below its own. f->last becomes this one's last key. */
static quartet_status check_keys(struct kv_fill *f, const struct block *b, struct slice separator, bool first, struct err *err)
{
    for (uint32_t row = 0; row < b->rows; row++) {
        buf_clear(&f->keys);
        if (!block_key(b, row, &f->keys) || f->keys.failed)
            return f->keys.failed ? err_nomem(err) : err_set(err, QUARTET_CORRUPT, "a block of tree %llu: a damaged key", (unsigned long long)f->tree);
        struct slice key = slice_of_buf(&f->keys);
        if ((!(first && row == 0) && compare(key, slice_of_buf(&f->last)) <= 0) || (!first && compare(key, separator) < 0))
            return err_set(err, QUARTET_CORRUPT, "a block of tree %llu: keys that are out of order", (unsigned long long)f->tree);
        struct buf swap = f->last;
        f->last = f->keys;
        f->keys = swap;
    }
    return QUARTET_OK;
}

quartet_status kv_fill_put(kv_fill *f, const struct kv_state_block *b, struct err *err)
{
    struct block opened;
    bool first = !f->any || b->tree > f->tree;
    if (b->tree == 0 || b->tree == TREE_OF_BASE || b->separator.n > KV_STATE_SEPARATOR_BYTES_MAX || (f->any && b->tree < f->tree) ||
        (!first && (compare(b->separator, slice_of_buf(&f->separator)) <= 0 || compare(b->separator, slice_of_buf(&f->last)) <= 0)))
        return err_set(err, QUARTET_CORRUPT, "blocks that are out of order at tree %llu", (unsigned long long)b->tree);
    f->any = true;
    f->tree = b->tree;
    quartet_status rc = block_open(&opened, b->tree, b->block.p, b->block.n, true, err);
    if (rc == QUARTET_OK)
        rc = check_keys(f, &opened, b->separator, first, err);
    if (rc == QUARTET_OK) {
        buf_clear(&f->separator);
        buf_put(&f->separator, b->separator.p, b->separator.n);
        rc = buf_check(&f->separator, err);
    }
    if (rc == QUARTET_OK && f->write == NULL)
        rc = f->to->ops->write_begin(f->to, &f->write, err);
    if (rc == QUARTET_OK)
        rc = f->to->ops->put(f->write, b->tree, b->separator, b->block, err);
    f->pages += b->block.n / 4096 + 2;
    if (rc == QUARTET_OK && f->pages >= FILL_PAGES) {
        struct base_write *w = f->write;
        f->write = NULL;
        f->pages = 0;
        rc = f->to->ops->commit(w, slice_of(NULL, 0), err);
    }
    return rc;
}

quartet_status kv_fill_end(kv_fill *f, struct slice checkpoint, struct err *err)
{
    struct buf stored = {0};
    buf_u8(&stored, KV_FLUSH_WHOLE);
    buf_put(&stored, checkpoint.p, checkpoint.n);
    quartet_status rc = buf_check(&stored, err);
    if (rc == QUARTET_OK && f->write == NULL)
        rc = f->to->ops->write_begin(f->to, &f->write, err);
    if (rc == QUARTET_OK) {
        struct base_write *w = f->write;
        f->write = NULL;
        rc = f->to->ops->commit(w, slice_of_buf(&stored), err);
    }
    buf_deinit(&stored);
    return rc;
}
