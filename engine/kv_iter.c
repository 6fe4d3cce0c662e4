/* kv_iter.c - scans: a transaction's own writes, the buffers and the base merged in key order, in batches by column.
 * Why segments: most rows of a scan come from the base, where no buffer has an entry; they are copied by whole columns up to the next key that
 *   some buffer holds. Only those few entries are taken apart one by one.
 * Precedence: overlay, active buffer, frozen layers from new to old, base: of equal keys the first wins, erasures included.
 * Rows of one batch may come from blocks and buffers alike; a column whose types differ between them becomes VEC_MIXED. */
#include <string.h>

#include "base/mem.h"
#include "kv_internal.h"
#include "kv_spill.h"

struct source {
    struct kv_walk walk;
    bool done;
};

#define LATE_PARTS_MAX 96u /* a batch of more parts is filled at once */
#define LATE_SPARSE 32u    /* where one row in so many is wanted, finding it costs no more than filling all */

struct wanted {
    uint16_t column;
    uint16_t at; /* in the caller's order */
};
struct part { /* rows of the batch that lie in one block side by side */
    struct block block;
    uint32_t from, count, at; /* in the block; in the batch */
};

struct kv_iter {
    struct kv_snap *snap;
    struct kv_overlay over; /* held */
    tree_id tree;
    struct buf lo, hi;
    bool hi_open, reverse, dead, want_keys, want_records;
    uint32_t column_count;
    struct wanted *wanted;   /* by column */
    struct value *missing;   /* in the caller's order */
    struct vec *cols;        /* likewise */
    struct source *sources;  /* their memory is kept from one start to the next */
    uint32_t source_count, source_cap;

    struct base_cursor base;
    bool base_open, base_done; /* base_done: no block after the present one */
    struct block block;        /* p NULL: none */
    uint32_t from, to;         /* its rows that are still to come */

    bool *late;          /* by place: waits for kv_iter_late; NULL: none does */
    struct part *parts;  /* LATE_PARTS_MAX: where the batch's rows lie */
    uint32_t part_count;
    bool waiting;        /* late columns of this batch are still to be filled */
    uint16_t *early;     /* columns that are read of every block */
    uint32_t early_count;
    int64_t *int_keys;   /* BATCH_ROWS_MAX for each of the key's columns, or NULL */
    uint8_t int_key_count, int_keys_unwanted;

    uint32_t n; /* rows of the batch so far */
    struct buf key_bytes, record_bytes;
    struct arena texts;        /* those of the batch that do not stand in their block as they are */
    uint32_t *key_ends, *record_ends; /* BATCH_ROWS_MAX */
    struct slice *keys, *records;
};

static struct slice lo_of(const struct kv_iter *it)
{
    return slice_of(it->lo.data, it->lo.len);
}

static struct slice hi_of(const struct kv_iter *it)
{
    return slice_of(it->hi.data, it->hi.len);
}

/* ---- sources: buffers ---- */

static void source_check(const struct kv_iter *it, struct source *s)
{
    s->done = !s->walk.valid || s->walk.tree != it->tree;
    if (s->done)
        return;
    s->done = it->reverse ? slice_cmp(s->walk.key, lo_of(it)) < 0 : !it->hi_open && slice_cmp(s->walk.key, hi_of(it)) >= 0;
}

static quartet_status source_step(const struct kv_iter *it, struct source *s, struct err *err)
{
    quartet_status rc = it->reverse ? kv_walk_prev(&s->walk, err) : kv_walk_next(&s->walk, err);
    source_check(it, s);
    return rc;
}

/* Room for one more; the caller sets its walk and starts it. NULL: out of memory. */
static struct source *source_new(struct kv_iter *it, struct err *err)
{
    if (it->source_count == it->source_cap) {
        uint32_t cap = it->source_cap == 0 ? 3 : it->source_cap * 2;
        struct source *grown = mem_realloc(it->sources, cap, sizeof *grown);
        if (grown == NULL) {
            (void)err_nomem(err); /* NULL says it */
            return NULL;
        }
        memset(grown + it->source_cap, 0, (cap - it->source_cap) * sizeof *grown);
        it->sources = grown;
        it->source_cap = cap;
    }
    return &it->sources[it->source_count++];
}

static quartet_status source_start(const struct kv_iter *it, struct source *s, struct err *err)
{
    quartet_status rc;
    if (!it->reverse)
        rc = kv_walk_seek(&s->walk, it->tree, lo_of(it), err);
    else if (it->hi_open && it->tree == UINT64_MAX)
        rc = kv_walk_seek_last(&s->walk, err);
    else
        rc = kv_walk_seek_before(&s->walk, it->hi_open ? it->tree + 1 : it->tree, it->hi_open ? slice_of(NULL, 0) : hi_of(it), err);
    source_check(it, s);
    return rc;
}

static quartet_status source_add(struct kv_iter *it, const kv_buffer *b, apply_no through, struct err *err)
{
    if (kv_buffer_entries(b) == 0)
        return QUARTET_OK;
    struct source *s = source_new(it, err);
    if (s == NULL)
        return QUARTET_NOMEM;
    kv_walk_set_buffer(&s->walk, b, through, false);
    return source_start(it, s, err);
}

static quartet_status source_add_own(struct kv_iter *it, kv_own *own, apply_no through, struct err *err)
{
    struct source *s = source_new(it, err);
    if (s == NULL)
        return QUARTET_NOMEM;
    kv_walk_set_own(&s->walk, own, through, false);
    return source_start(it, s, err);
}

static quartet_status source_add_spill(struct kv_iter *it, uint32_t run, struct err *err)
{
    struct source *s = source_new(it, err);
    if (s == NULL)
        return QUARTET_NOMEM;
    kv_spill_walk(it->over.spill, run, it->over.through, &s->walk);
    return source_start(it, s, err);
}

static quartet_status source_add_run(struct kv_iter *it, const kv_run *r, const struct kv_sight *sight, struct err *err)
{
    struct source *s = source_new(it, err);
    if (s == NULL)
        return QUARTET_NOMEM;
    kv_walk_set_run(&s->walk, r, sight);
    return source_start(it, s, err);
}

/* The source whose entry comes next, NULL where none has any. */
static struct source *source_next(struct kv_iter *it)
{
    struct source *best = NULL;
    for (uint32_t i = 0; i < it->source_count; i++) {
        struct source *s = &it->sources[i];
        if (s->done)
            continue;
        int c = best != NULL ? slice_cmp(s->walk.key, best->walk.key) : -1;
        if (best == NULL || (it->reverse ? c > 0 : c < 0))
            best = s;
    }
    return best;
}

/* Step all sources off the key of this one, itself last, since it holds the key. */
static quartet_status sources_pass(struct kv_iter *it, struct source *best, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < it->source_count && rc == QUARTET_OK; i++)
        if (&it->sources[i] != best && !it->sources[i].done && slice_eq(it->sources[i].walk.key, best->walk.key))
            rc = source_step(it, &it->sources[i], err);
    return rc == QUARTET_OK ? source_step(it, best, err) : rc;
}

/* ---- the base ---- */

/* Open the block under the cursor and find which of its rows lie in the range. */
static quartet_status block_enter(struct kv_iter *it, struct err *err)
{
    it->block.p = NULL;
    if (!it->base.found) {
        it->base_done = true;
        return QUARTET_OK;
    }
    quartet_status rc = kv_block_open(it->snap->store, it->tree, it->base.block, it->base.block_bytes, &it->block, err);
    if (rc != QUARTET_OK)
        return rc;
    if (it->n > 0) /* a scan of several blocks */
        block_prefetch_next(&it->block, it->early, it->early_count);
    it->from = 0;
    it->to = it->block.rows;
    bool exact;
    bool good = true;
    if (!it->hi_open) {
        good = block_find(&it->block, hi_of(it), &it->to, &exact);
        it->base_done = it->base_done || (!it->reverse && it->to < it->block.rows);
    }
    if (good && it->lo.len > 0) {
        good = block_find(&it->block, lo_of(it), &it->from, &exact);
        it->base_done = it->base_done || (it->reverse && it->from > 0);
    }
    if (!good)
        return err_set(err, QUARTET_CORRUPT, "%s: damaged block: keys", it->snap->store->name);
    if (it->to < it->from)
        it->to = it->from;
    return QUARTET_OK;
}

static quartet_status base_start(struct kv_iter *it, struct err *err)
{
    const struct kv_base_ops *ops = it->snap->base->ops;
    quartet_status rc = ops->cursor_open(it->snap->read, &it->base, err);
    if (rc != QUARTET_OK)
        return rc;
    it->base_open = true;
    if (!it->reverse)
        rc = ops->seek(&it->base, it->tree, lo_of(it), err);
    else if (it->hi_open)
        rc = ops->seek_last(&it->base, it->tree, err);
    else
        rc = ops->seek(&it->base, it->tree, hi_of(it), err);
    return rc == QUARTET_OK ? block_enter(it, err) : rc;
}

/* Make sure that from < to, unless the base has no more rows. */
static quartet_status base_ready(struct kv_iter *it, struct err *err)
{
    const struct kv_base_ops *ops = it->snap->base->ops;
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && it->block.p != NULL && it->from >= it->to) {
        if (it->base_done) {
            it->block.p = NULL;
            break;
        }
        rc = it->reverse ? ops->prev(&it->base, err) : ops->next(&it->base, err);
        if (rc == QUARTET_OK)
            rc = block_enter(it, err);
    }
    return rc;
}

/* ---- output ---- */

static void vec_reverse(struct vec *v, uint32_t from, uint32_t to)
{
    size_t cell = vec_cell_bytes(v->type);
    for (uint32_t a = from, z = to - 1; a < z; a++, z--) {
        uint8_t bit = v->null[a];
        v->null[a] = v->null[z];
        v->null[z] = bit;
        uint8_t swap[sizeof(struct value)];
        uint8_t *p = v->p;
        if (cell == 0)
            continue;
        memcpy(swap, p + a * cell, cell);
        memcpy(p + a * cell, p + z * cell, cell);
        memcpy(p + z * cell, swap, cell);
    }
}

static quartet_status put_column(struct kv_iter *it, const struct wanted *w, const struct block *b, uint32_t from, uint32_t count, uint32_t at,
                                 struct err *err)
{
    quartet_status rc = block_column(b, w->column, from, count, &it->cols[w->at], at, &it->missing[w->at], &it->texts, err);
    if (rc == QUARTET_OK && it->reverse)
        vec_reverse(&it->cols[w->at], at, at + count);
    return rc;
}

/* All rows of a late column, part by part. */
static quartet_status put_late(struct kv_iter *it, const struct wanted *w, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    struct vec *v = &it->cols[w->at];
    v->type = VALUE_NULL;
    v->has_null = false;
    for (uint32_t i = 0; i < it->part_count && rc == QUARTET_OK; i++)
        rc = put_column(it, w, &it->parts[i].block, it->parts[i].from, it->parts[i].count, it->parts[i].at, err);
    return rc;
}

static quartet_status put_all_late(struct kv_iter *it, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < it->column_count && it->waiting && rc == QUARTET_OK; i++)
        if (it->late[it->wanted[i].at])
            rc = put_late(it, &it->wanted[i], err);
    it->waiting = false;
    return rc;
}

/* Some rows of a late column; all others are zeros. */
static quartet_status put_some_late(struct kv_iter *it, const struct wanted *w, const uint16_t *sel, uint32_t n, struct err *err)
{
    struct vec *v = &it->cols[w->at];
    const struct part *p = it->parts;
    memset(v->null, 0, it->n);
    memset(v->p, 0, it->n * sizeof(struct value));
    for (uint32_t k = 0; k < n; k++) {
        while (sel[k] >= p->at + p->count)
            p++;
        uint32_t row = sel[k] - p->at;
        uint32_t at = p->from + (it->reverse ? p->count - 1 - row : row);
        quartet_status rc = block_column(&p->block, w->column, at, 1, v, sel[k], &it->missing[w->at], &it->texts, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return v->type == VEC_MIXED ? put_late(it, w, err) : QUARTET_OK; /* there zeros are no values */
}

quartet_status kv_iter_late(kv_iter *it, const uint16_t *sel, uint32_t n, struct err *err)
{
    if (!it->waiting)
        return QUARTET_OK;
    if (sel == NULL || n > it->n / LATE_SPARSE)
        return put_all_late(it, err);
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < it->column_count && rc == QUARTET_OK; i++)
        if (it->late[it->wanted[i].at])
            rc = put_some_late(it, &it->wanted[i], sel, n, err);
    it->waiting = false;
    return rc;
}

/* Note where rows lie whose late columns wait. */
static quartet_status note_part(struct kv_iter *it, uint32_t from, uint32_t count, struct err *err)
{
    if (it->waiting && it->part_count == LATE_PARTS_MAX)
        return put_all_late(it, err);
    if (it->waiting)
        it->parts[it->part_count++] = (struct part){.block = it->block, .from = from, .count = count, .at = it->n};
    return QUARTET_OK;
}

_Static_assert(KV_INT_KEYS_MAX == BLOCK_INT_KEYS_MAX, "what an iterator yields blocks can give");

static quartet_status put_int_keys(struct kv_iter *it, uint32_t from, uint32_t count, struct err *err)
{
    for (uint32_t c = 0; c < it->int_key_count; c++) {
        int64_t *out = it->int_keys + (size_t)c * BATCH_ROWS_MAX + it->n;
        if (((uint32_t)it->int_keys_unwanted >> c & 1u) != 0)
            continue;
        if (!block_int_keys(&it->block, from, count, c, it->int_key_count, out))
            return err_set(err, QUARTET_CORRUPT, "%s: damaged block: keys", it->snap->store->name);
        for (uint32_t a = 0, z = count - 1; it->reverse && a < z; a++, z--) {
            int64_t swap = out[a];
            out[a] = out[z];
            out[z] = swap;
        }
    }
    return QUARTET_OK;
}

/* Append rows from .. from+count-1 of the block, none of which is to be skipped. */
static quartet_status put_rows(struct kv_iter *it, uint32_t from, uint32_t count, struct err *err)
{
    quartet_status status = note_part(it, from, count, err);
    if (status == QUARTET_OK && it->int_keys != NULL)
        status = put_int_keys(it, from, count, err);
    for (uint32_t i = 0; i < it->column_count && status == QUARTET_OK; i++)
        if (!it->waiting || !it->late[it->wanted[i].at])
            status = put_column(it, &it->wanted[i], &it->block, from, count, it->n, err);
    if (status != QUARTET_OK)
        return status;
    if (it->want_keys && !block_keys(&it->block, from, count, it->reverse, &it->key_bytes, it->key_ends + it->n))
        return err_set(err, QUARTET_CORRUPT, "%s: damaged block: keys", it->snap->store->name);
    for (uint32_t k = 0; k < count && it->want_records; k++) {
        quartet_status rc = block_record(&it->block, it->reverse ? from + count - 1 - k : from + k, &it->record_bytes, err);
        if (rc != QUARTET_OK)
            return rc;
        it->record_ends[it->n + k] = (uint32_t)it->record_bytes.len;
    }
    it->n += count;
    return QUARTET_OK;
}

static bool row_skipped(const struct kv_iter *it, uint32_t row)
{
    return !block_class_live(block_class(&it->block, row));
}

/* Append the block's rows from .. to-1, dead ones left out unless asked for. */
static quartet_status put_segment(struct kv_iter *it, uint32_t from, uint32_t to, struct err *err)
{
    if (it->dead || it->block.all_live)
        return put_rows(it, from, to - from, err);
    quartet_status rc = QUARTET_OK;
    while (from < to && rc == QUARTET_OK) {
        uint32_t count = 0;
        if (it->reverse) {
            while (from < to && row_skipped(it, to - 1))
                to--;
            while (from + count < to && !row_skipped(it, to - 1 - count))
                count++;
            to -= count;
            rc = count > 0 ? put_rows(it, to, count, err) : rc;
        } else {
            while (from < to && row_skipped(it, from))
                from++;
            while (from + count < to && !row_skipped(it, from + count))
                count++;
            rc = count > 0 ? put_rows(it, from, count, err) : rc;
            from += count;
        }
    }
    return rc;
}

/* Append a buffer's entry, unless it is erased or dead. */
static quartet_status put_entry(struct kv_iter *it, const struct kv_walk *c, struct err *err)
{
    struct record_view view = {.flags = RECORD_LIVE};
    if (c->record.p == NULL)
        return QUARTET_OK;
    if (c->record.n > 0 && !record_view(c->record, &view))
        view = (struct record_view){.flags = RECORD_LIVE}; /* no record at all: bytes of their own kind */
    bool live = (view.flags & RECORD_LIVE) != 0;
    if (!live && !it->dead)
        return QUARTET_OK;
    quartet_status rc = put_all_late(it, err); /* its bytes may not wait: no column of this batch does any longer */
    if (rc != QUARTET_OK)
        return rc;
    if (it->int_keys != NULL) {
        for (uint32_t k = 0; k < it->int_key_count; k++) {
            if (c->key.n != (size_t)it->int_key_count * 9 || c->key.p[k * 9] != 1)
                return err_set(err, QUARTET_CORRUPT, "damaged key in the write buffer");
            it->int_keys[(size_t)k * BATCH_ROWS_MAX + it->n] = (int64_t)(load_be64(c->key.p + k * 9 + 1) ^ 1ull << 63);
        }
    }
    struct bytes_in in = bytes_in(view.values.p, view.values.n);
    uint32_t at = 0;
    struct value v = VALUE_NULL_INIT;
    bool moves = !kv_walk_stays(c);
    for (uint32_t i = 0; i < it->column_count; i++) {
        const struct wanted *w = &it->wanted[i];
        if (w->column < view.value_count && live) {
            for (; at < w->column; at++)
                (void)value_skip(&in); /* in.bad is looked at below */
            if (at == w->column) { /* else the same column again: v still is its value */
                (void)value_decode(&in, &v);
                at++;
            }
            if (in.bad)
                return err_set(err, QUARTET_CORRUPT, "damaged record in the write buffer");
        } else {
            v = live ? it->missing[w->at] : VALUE_NULL_INIT;
        }
        if (moves && !value_copy(&it->texts, &v))
            return arena_fail(&it->texts, err);
        block_vec_put(&it->cols[w->at], it->n, &v);
    }
    if (it->want_keys) {
        buf_put(&it->key_bytes, c->key.p, c->key.n);
        it->key_ends[it->n] = (uint32_t)it->key_bytes.len;
    }
    if (it->want_records) {
        buf_put(&it->record_bytes, c->record.p, c->record.n);
        it->record_ends[it->n] = (uint32_t)it->record_bytes.len;
    }
    it->n++;
    return QUARTET_OK;
}

/* Append base rows that come before the key of `next` (NULL: all), up to cap. *passed: it is that entry's turn. */
static quartet_status put_base(struct kv_iter *it, const struct source *next, uint32_t cap, bool *passed, struct err *err)
{
    uint32_t from = it->from, to = it->to;
    bool exact = false;
    *passed = false;
    if (next != NULL) {
        uint32_t at;
        if (!block_find(&it->block, next->walk.key, &at, &exact))
            return err_set(err, QUARTET_CORRUPT, "%s: damaged block: keys", it->snap->store->name);
        if (it->reverse)
            from = at + exact > from ? at + exact : from;
        else
            to = at < to ? at : to;
        exact = exact && at >= it->from && at < it->to;
    }
    if (from >= to) {
        *passed = next != NULL;
        if (exact && it->reverse) /* the entry hides the base's row */
            it->to--;
        else if (exact)
            it->from++;
        return QUARTET_OK;
    }
    if (to - from > cap - it->n) {
        if (it->reverse)
            from = to - (cap - it->n);
        else
            to = from + (cap - it->n);
    }
    if (it->reverse)
        it->to = from;
    else
        it->from = to;
    return put_segment(it, from, to, err);
}

static quartet_status fill(struct kv_iter *it, uint32_t cap, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (it->n < cap && rc == QUARTET_OK) {
        rc = base_ready(it, err);
        if (rc != QUARTET_OK)
            break;
        struct source *next = source_next(it);
        bool entry = next != NULL;
        if (it->block.p != NULL)
            rc = put_base(it, next, cap, &entry, err);
        else if (next == NULL)
            break;
        if (rc == QUARTET_OK && entry) {
            rc = put_entry(it, &next->walk, err);
            if (rc == QUARTET_OK)
                rc = sources_pass(it, next, err);
        }
    }
    return rc;
}

static quartet_status slices(const struct buf *bytes, const uint32_t *ends, uint32_t n, struct slice *out, struct err *err)
{
    quartet_status rc = buf_check(bytes, err);
    uint32_t start = 0;
    const uint8_t *data = bytes->data != NULL ? bytes->data : (const uint8_t *)"";
    for (uint32_t k = 0; k < n && rc == QUARTET_OK; k++) {
        out[k] = slice_of(data + start, ends[k] - start);
        start = ends[k];
    }
    return rc;
}

static quartet_status cells_alloc(struct kv_iter *it, struct err *err)
{
    for (uint32_t i = 0; i < it->column_count; i++) {
        struct vec *v = &it->cols[i];
        if (v->null == NULL)
            v->null = mem_alloc(BATCH_ROWS_MAX);
        if (v->null == NULL)
            return err_nomem(err);
        if (v->p == NULL)
            v->p = mem_alloc(BATCH_ROWS_MAX * sizeof(struct value));
        if (v->p == NULL)
            return err_nomem(err);
        v->type = VALUE_NULL;
        v->scale = 0;
        v->has_null = false;
    }
    return QUARTET_OK;
}

quartet_status kv_iter_next(kv_iter *it, uint32_t limit, struct kv_rows *out, struct err *err)
{
    uint32_t cap = limit != 0 && limit < BATCH_ROWS_MAX ? limit : BATCH_ROWS_MAX;
    *out = (struct kv_rows){.cols = it->cols};
    it->n = 0;
    it->waiting = it->late != NULL;
    it->part_count = 0;
    buf_clear(&it->key_bytes);
    buf_clear(&it->record_bytes);
    arena_rewind(&it->texts, (struct arena_mark){0});
    quartet_status rc = kv_snap_check(it->snap, err);
    if (rc == QUARTET_OK)
        rc = cells_alloc(it, err);
    if (rc == QUARTET_OK)
        rc = fill(it, cap, err);
    if (rc == QUARTET_OK && it->want_keys)
        rc = slices(&it->key_bytes, it->key_ends, it->n, it->keys, err);
    if (rc == QUARTET_OK && it->want_records)
        rc = slices(&it->record_bytes, it->record_ends, it->n, it->records, err);
    if (rc != QUARTET_OK)
        return rc;
    out->n = it->n;
    out->keys = it->want_keys ? it->keys : NULL;
    out->records = it->want_records ? it->records : NULL;
    out->int_keys = it->int_keys;
    return QUARTET_OK;
}

static quartet_status want_columns(struct kv_iter *it, const struct kv_want *want, struct err *err)
{
    uint32_t n = want->column_count;
    it->column_count = n;
    it->cols = mem_zalloc(n > 0 ? n : 1, sizeof *it->cols);
    it->wanted = mem_zalloc(n > 0 ? n : 1, sizeof *it->wanted);
    it->missing = mem_zalloc(n > 0 ? n : 1, sizeof *it->missing);
    if (it->cols == NULL || it->wanted == NULL || it->missing == NULL)
        return err_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        it->missing[i] = want->missing != NULL ? want->missing[i] : VALUE_NULL_INIT;
        uint32_t k = i; /* few columns, mostly in order already */
        for (; k > 0 && it->wanted[k - 1].column > want->columns[i]; k--)
            it->wanted[k] = it->wanted[k - 1];
        it->wanted[k] = (struct wanted){.column = want->columns[i], .at = (uint16_t)i};
    }
    it->early = mem_zalloc(n > 0 ? n : 1, sizeof *it->early);
    if (it->early == NULL)
        return err_nomem(err);
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        if (want->late == NULL || !want->late[i])
            it->early[it->early_count++] = want->columns[i];
        else
            any = true;
    }
    if (!any)
        return QUARTET_OK;
    it->late = mem_alloc(n * sizeof *it->late);
    it->parts = mem_alloc(LATE_PARTS_MAX * sizeof *it->parts);
    if (it->late == NULL || it->parts == NULL)
        return err_nomem(err);
    memcpy(it->late, want->late, n * sizeof *it->late);
    return QUARTET_OK;
}

static quartet_status want_bytes(uint32_t **ends, struct slice **slices_out, struct err *err)
{
    *ends = mem_alloc(BATCH_ROWS_MAX * sizeof **ends);
    *slices_out = mem_alloc(BATCH_ROWS_MAX * sizeof **slices_out);
    return *ends != NULL && *slices_out != NULL ? QUARTET_OK : err_nomem(err);
}

void kv_iter_rest(kv_iter *it)
{
    if (it->base_open)
        it->snap->base->ops->cursor_close(&it->base);
    it->base_open = false;
    it->block.p = NULL;
    for (uint32_t i = 0; i < it->source_count; i++)
        kv_walk_rest(&it->sources[i].walk);
    it->source_count = 0;
    kv_overlay_drop(&it->over);
    it->snap = NULL;
}

quartet_status kv_iter_restart(kv_iter *it, kv_snap *snap, const struct kv_overlay *over, const struct kv_range *range, struct err *err)
{
    kv_iter_rest(it);
    quartet_status rc = kv_snap_check(snap, err);
    if (rc != QUARTET_OK)
        return rc;
    it->snap = snap;
    it->base_done = false;
    it->from = it->to = 0;
    it->hi_open = range->hi_open;
    buf_clear(&it->lo);
    buf_clear(&it->hi);
    buf_put(&it->lo, range->lo.p, range->lo.n);
    buf_put(&it->hi, range->hi.p, range->hi_open ? 0 : range->hi.n);
    if (it->lo.failed || it->hi.failed)
        return err_nomem(err);
    if (over != NULL) {
        it->over = *over;
        kv_overlay_hold(over);
    }
    if (over != NULL && over->own != NULL && kv_own_entries(over->own) > 0)
        rc = source_add_own(it, over->own, over->through, err);
    for (uint32_t i = 0; rc == QUARTET_OK && over != NULL && i < kv_spill_runs(over->spill); i++)
        rc = source_add_spill(it, i, err);
    for (uint32_t i = 0; i < snap->view->count && rc == QUARTET_OK; i++) {
        const struct kv_layer *l = snap->view->layers[i];
        rc = l->run != NULL ? source_add_run(it, l->run, &(struct kv_sight){.through = snap->at}, err) : source_add(it, l->buffer, snap->at, err);
    }
    return rc == QUARTET_OK ? base_start(it, err) : rc;
}

quartet_status kv_iter_open(kv_snap *snap, const struct kv_overlay *over, tree_id tree, const struct kv_range *range, const struct kv_want *want,
                            kv_iter **out, struct err *err)
{
    QASSERT(!want->dead || want->records);
    QASSERT(want->column_count <= ROW_COLUMNS_MAX);
    struct kv_iter *it = mem_zalloc(1, sizeof *it);
    if (it == NULL)
        return err_nomem(err);
    it->tree = tree;
    it->reverse = want->reverse;
    it->dead = want->dead;
    it->want_keys = want->keys;
    it->want_records = want->records;
    quartet_status rc = want_columns(it, want, err);
    if (rc == QUARTET_OK && it->want_keys)
        rc = want_bytes(&it->key_ends, &it->keys, err);
    if (rc == QUARTET_OK && it->want_records)
        rc = want_bytes(&it->record_ends, &it->records, err);
    QASSERT(want->int_keys <= KV_INT_KEYS_MAX);
    it->int_key_count = want->int_keys;
    it->int_keys_unwanted = want->int_keys_unwanted;
    if (rc == QUARTET_OK && want->int_keys > 0 && (it->int_keys = mem_alloc(want->int_keys * BATCH_ROWS_MAX * sizeof *it->int_keys)) == NULL)
        rc = err_nomem(err);
    if (rc == QUARTET_OK)
        rc = kv_iter_restart(it, snap, over, range, err);
    if (rc != QUARTET_OK) {
        kv_iter_close(it);
        return rc;
    }
    *out = it;
    return QUARTET_OK;
}

void kv_iter_close(kv_iter *it)
{
    if (it == NULL)
        return;
    kv_iter_rest(it);
    for (uint32_t i = 0; i < it->source_cap; i++)
        kv_walk_deinit(&it->sources[i].walk);
    mem_free(it->sources);
    for (uint32_t i = 0; i < it->column_count && it->cols != NULL; i++) {
        mem_free(it->cols[i].null);
        mem_free(it->cols[i].p);
    }
    mem_free(it->cols);
    mem_free(it->wanted);
    mem_free(it->missing);
    mem_free(it->late);
    mem_free(it->parts);
    mem_free(it->early);
    mem_free(it->int_keys);
    mem_free(it->key_ends);
    mem_free(it->record_ends);
    mem_free(it->keys);
    mem_free(it->records);
    buf_deinit(&it->lo);
    buf_deinit(&it->hi);
    buf_deinit(&it->key_bytes);
    buf_deinit(&it->record_bytes);
    arena_free_all(&it->texts);
    mem_free(it);
}
