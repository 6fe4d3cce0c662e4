/* kv_past.c - reading the history of a key: pasts beside its versions in the buffers, then those in the history tree.
 * Why two places: a commit pays for history with some bytes beside the record that it writes anyway; sorting them into a tree of their own is the
 *   flusher's work, who passes every key once.
 * Invariant: of one stamp the entry that was put last counts; it stands in the newest version, and the flush overwrites the older one. */
#include "kv_past.h"

#include "base/mem.h"
#include "kv_internal.h"

#define STAMP_BYTES 8u
#define BEFORE_BYTES (STAMP_BYTES + 1u)
#define LATE_BYTES (STAMP_BYTES + 3u)
#define BATCH 64u /* entries asked of the tree at once */

struct kv_past {
    kv_snap *snap;
    tree_id tree;
    kv_iter *back, *late;
    struct buf key, lo, hi;
    uint64_t above;
    struct side { /* the next that each place has; `stamp` 0: none */
        bool ready;
        uint64_t stamp;
        struct slice record;
    } buffered, stored;
    uint64_t last;         /* that the buffers gave */
    uint32_t layer;        /* the next one to look into */
    bool on_layer;
    struct kv_cursor cursor;
    const void *at;
    struct kv_rows rows;
    uint32_t row;
};

void kv_past_key(struct buf *out, struct slice key, enum kv_past_kind kind, uint64_t stamp, uint16_t chain)
{
    uint8_t tail[STAMP_BYTES + 3];
    size_t n = STAMP_BYTES;
    store_be64(tail, stamp);
    if (kind == KV_PAST_LATE) {
        tail[n++] = (uint8_t)(chain >> 8);
        tail[n++] = (uint8_t)chain;
    }
    tail[n++] = (uint8_t)kind;
    buf_put(out, key.p, key.n);
    buf_put(out, tail, n);
}

static size_t tail_bytes(struct slice key)
{
    return key.n == 0                                ? 0
           : key.p[key.n - 1] == KV_PAST_BEFORE ? BEFORE_BYTES
           : key.p[key.n - 1] == KV_PAST_LATE   ? LATE_BYTES
                                                : 0;
}

bool kv_past_key_late(struct slice key, struct slice *row)
{
    bool late = tail_bytes(key) == LATE_BYTES && key.n >= LATE_BYTES;
    *row = slice_of(key.p, late ? key.n - LATE_BYTES : key.n);
    return late;
}

bool kv_past_key_stamp(struct slice key, uint64_t *stamp)
{
    size_t tail = tail_bytes(key);
    if (tail == 0 || key.n < tail)
        return false;
    *stamp = load_be64(key.p + key.n - tail);
    return true;
}

void kv_past_put(struct buf *out, uint64_t stamp, struct slice record)
{
    buf_u64(out, stamp);
    buf_put(out, record.p, record.n);
}

void kv_past_take(struct slice past, uint64_t *stamp, struct slice *record)
{
    QASSERT(past.n >= STAMP_BYTES);
    *stamp = load_le64(past.p);
    *record = slice_of(past.p + STAMP_BYTES, past.n - STAMP_BYTES);
}

quartet_status kv_past_open(kv_snap *snap, tree_id tree, kv_past **out, struct err *err)
{
    kv_past *p = mem_zalloc(1, sizeof *p);
    if (p == NULL)
        return err_nomem(err);
    p->snap = snap;
    p->tree = tree;
    *out = p;
    return QUARTET_OK;
}

void kv_past_close(kv_past *p)
{
    if (p == NULL)
        return;
    kv_iter_close(p->back);
    kv_iter_close(p->late);
    buf_deinit(&p->key);
    buf_deinit(&p->lo);
    buf_deinit(&p->hi);
    mem_free(p);
}

/* Entries of the tree, of both kinds, from stamp `from` up to, not including, `to`. */
static quartet_status seek_tree(kv_past *p, kv_iter **it, bool reverse, uint64_t from, uint64_t to, struct err *err)
{
    struct kv_want want = {.keys = true, .records = true, .dead = true, .reverse = reverse};
    struct slice key = slice_of(p->key.data, p->key.len);
    buf_clear(&p->lo);
    buf_clear(&p->hi);
    kv_past_key(&p->lo, key, KV_PAST_BEFORE, from, 0);
    kv_past_key(&p->hi, key, KV_PAST_BEFORE, to, 0);
    if (p->lo.failed || p->hi.failed)
        return err_nomem(err);
    struct kv_range range = {.lo = slice_of(p->lo.data, p->lo.len - 1), .hi = slice_of(p->hi.data, p->hi.len - 1)};
    p->rows = (struct kv_rows){.n = 0};
    p->row = 0;
    return *it != NULL ? kv_iter_restart(*it, p->snap, NULL, &range, err)
                       : kv_iter_open(p->snap, NULL, kv_past_tree(p->tree), &range, &want, it, err);
}

/* The next entry of this kind that the tree holds. */
static quartet_status next_in_tree(kv_past *p, kv_iter *it, size_t tail, uint64_t *stamp, struct slice *key, struct slice *record, bool *found,
                                   struct err *err)
{
    *found = false;
    for (;;) {
        if (p->row == p->rows.n) {
            p->row = 0;
            quartet_status rc = kv_iter_next(it, BATCH, &p->rows, err);
            if (rc != QUARTET_OK || p->rows.n == 0)
                return rc;
        }
        *key = p->rows.keys[p->row];
        *record = p->rows.records[p->row++];
        if (key->n != p->key.len + tail_bytes(*key) || !kv_past_key_stamp(*key, stamp))
            return err_set(err, QUARTET_CORRUPT, "a damaged key of history");
        *found = tail_bytes(*key) == tail;
        if (*found)
            return QUARTET_OK;
    }
}

static quartet_status set_key(kv_past *p, struct slice key, struct err *err)
{
    buf_clear(&p->key);
    buf_put(&p->key, key.p, key.n);
    return buf_check(&p->key, err);
}

quartet_status kv_past_seek(kv_past *p, struct slice key, uint64_t above, struct err *err)
{
    p->above = above;
    p->last = UINT64_MAX;
    p->layer = 0;
    p->on_layer = false;
    p->buffered = p->stored = (struct side){.ready = false};
    quartet_status rc = set_key(p, key, err);
    return rc == QUARTET_OK ? seek_tree(p, &p->back, true, above == UINT64_MAX ? above : above + 1, UINT64_MAX, err) : rc;
}

/* The next past beside a version in a buffer; of one stamp the newest version's. */
static bool next_buffered(kv_past *p, uint64_t *stamp, struct slice *record)
{
    const struct kv_view *view = p->snap->view;
    struct slice key = slice_of(p->key.data, p->key.len), past;
    for (;;) {
        while (p->on_layer && kv_buffer_past(&p->cursor, &p->at, &past)) {
            kv_past_take(past, stamp, record);
            if (*stamp < p->last && *stamp > p->above) {
                p->last = *stamp;
                return true;
            }
        }
        p->on_layer = false;
        if (p->layer == view->count)
            return false;
        const kv_buffer *b = view->layers[p->layer++]->buffer;
        if (b == NULL || !kv_buffer_has_past(b))
            continue; /* a run's pasts stand in the history tree */
        kv_cursor_seek(&p->cursor, b, p->snap->at, p->tree, key);
        p->on_layer = p->cursor.node != NULL && p->cursor.tree == p->tree && slice_eq(p->cursor.key, key);
        p->at = NULL;
    }
}

/* Two places may tell of one stamp; both are given out then, which takes back the same twice. */
quartet_status kv_past_next(kv_past *p, uint64_t *stamp, struct slice *record, bool *found, struct err *err)
{
    struct slice key;
    quartet_status rc = QUARTET_OK;
    if (!p->buffered.ready && !next_buffered(p, &p->buffered.stamp, &p->buffered.record))
        p->buffered.stamp = 0;
    p->buffered.ready = true;
    if (!p->stored.ready) {
        bool any;
        rc = next_in_tree(p, p->back, BEFORE_BYTES, &p->stored.stamp, &key, &p->stored.record, &any, err);
        p->stored.ready = true;
        if (!any)
            p->stored.stamp = 0;
    }
    struct side *newest = p->buffered.stamp >= p->stored.stamp ? &p->buffered : &p->stored;
    *found = rc == QUARTET_OK && newest->stamp != 0;
    if (!*found)
        return rc;
    *stamp = newest->stamp;
    *record = newest->record;
    newest->ready = false;
    return rc;
}

quartet_status kv_past_seek_late(kv_past *p, struct slice key, uint64_t through, struct err *err)
{
    quartet_status rc = set_key(p, key, err);
    return rc == QUARTET_OK ? seek_tree(p, &p->late, false, 0, through == UINT64_MAX ? through : through + 1, err) : rc;
}

quartet_status kv_past_next_late(kv_past *p, uint64_t *stamp, uint16_t *chain, struct slice *record, bool *found, struct err *err)
{
    struct slice key;
    quartet_status rc = next_in_tree(p, p->late, LATE_BYTES, stamp, &key, record, found, err);
    if (rc == QUARTET_OK && *found)
        *chain = (uint16_t)(key.p[key.n - 3] << 8 | key.p[key.n - 2]);
    return rc;
}
