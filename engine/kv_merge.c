/* kv_merge.c - the flush: entries of frozen layers merged into the blocks of the base, in key order, in slices.
 * Why slices: one transaction for a whole buffer would keep all its dirty pages in memory and triple the file; a slice is bounded, and
 *   whatever stands half merged is hidden by the buffer, which readers lay over the base until the last slice.
 * How: a *run* is a stretch of neighbouring blocks that change. Their rows and the buffer's flow through `pending`, out of which full
 *   blocks are cut; the rest of a run is shared out evenly, and a small rest takes in the next block. Reads go to a snapshot
 *   from the slice's start: a run only moves forward, so what lies ahead of it is unchanged.
 * Invariants: at the end of a run all rows read are written; the first block written keeps the separator of the first one read. */
#include <string.h>

#include "base/mem.h"
#include "kv_merge.h"

#define SMALL_BYTES (BLOCK_BYTES / 3u) /* so little is not worth a block of its own: the next one is taken in */
#define SLICE_PAGES 3800u        /* LMDB's branch pages come on top: 4,096 in all */
#define SLICE_PAGES_MIN 256u
#define SLICE_PAGES_LEAST 4u     /* a run must get on in its slice */
#define SLICE_PART 24u           /* of a small base a slice takes this part: pages are copied before they are free, and the file never shrinks */
#define FILL_BYTES (BLOCK_BYTES * 9u / 10u)
#define BLOCK_ROWS_CUT 4096u     /* no more rows in a block, unless they cannot be parted */
#define ENTRIES_A_LEAF 16u       /* a cautious guess */
#define TURN_BYTES (256u << 10)  /* of an arena */
#define CUT_AT_BYTES (BLOCK_BYTES * 3u) /* pending rows of about this size are cut */

/* Pages that LMDB has dirtied: those of values; leaves, which hold some 60 entries at least unless separators are long, and one more for each run. */
bool merge_slice_full(const struct merge *m)
{
    return !m->endless && m->values + m->entries / ENTRIES_A_LEAF + m->runs >= m->slice_pages;
}

static struct arena *arena_of(struct merge *m)
{
    return &m->arenas[m->turn];
}

/* Between blocks: go over to the other arena where this one is large and nobody is left in that one. */
static void turn_arenas(struct merge *m)
{
    if (arena_of(m)->used_bytes < TURN_BYTES || m->turn_rows > 0)
        return;
    m->turn ^= 1;
    m->turn_rows = m->row_count;
    arena_rewind(arena_of(m), (struct arena_mark){0});
}

static double pending_bytes(const struct merge *m)
{
    return (double)m->row_bytes * m->density;
}

static quartet_status pending_reserve(struct merge *m, size_t n, struct err *err)
{
    if (m->row_count + n <= m->row_cap)
        return QUARTET_OK;
    size_t cap = m->row_cap == 0 ? 512 : m->row_cap * 2;
    cap = cap < m->row_count + n ? m->row_count + n : cap;
    struct block_row *grown = mem_realloc(m->rows, cap, sizeof *grown);
    if (grown == NULL)
        return err_nomem(err);
    m->rows = grown;
    m->row_cap = cap;
    return QUARTET_OK;
}

static size_t shared_prefix(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    size_t i = 0;
    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

/* May a block end before row `i`? Only where the two keys differ early enough for a separator. */
static bool may_cut(const struct merge *m, size_t i)
{
    return shared_prefix(m->rows[i - 1].key, m->rows[i].key) < BASE_SEPARATOR_BYTES_MAX;
}

/* A place to cut at or before `n` rows, or else after; 0: there is none, all pending rows must stay together. */
static size_t cut_near(const struct merge *m, size_t n)
{
    if (n >= m->row_count)
        return m->row_count;
    for (size_t i = n; i > 0; i--)
        if (may_cut(m, i))
            return i;
    for (size_t i = n + 1; i < m->row_count; i++)
        if (may_cut(m, i))
            return i;
    return 0;
}

/* Erase blocks that were read, up to `before` (all where it is NULL); one with exactly this separator is about to be overwritten. */
static quartet_status erase_stale(struct merge *m, const struct slice *before, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (m->stale_at < m->stale.len && rc == QUARTET_OK) {
        const uint8_t *p = m->stale.data + m->stale_at;
        struct slice s = slice_of(p + 4, load_le32(p));
        int c = before != NULL ? slice_cmp(s, *before) : -1;
        if (c > 0)
            break;
        m->stale_at += 4 + s.n;
        if (c == 0)
            break;
        rc = m->base->ops->del(m->write, m->tree, s, err);
        m->entries++;
    }
    return rc;
}

/* Write m->block, made of the first n pending rows, and drop these. */
static quartet_status write_block(struct merge *m, size_t n, struct err *err)
{
    m->next_separator.len = 0; /* of no use at the end of a run, which is the only time when n is all */
    if (n < m->row_count) {
        size_t shared = shared_prefix(m->rows[n - 1].key, m->rows[n].key);
        buf_put(&m->next_separator, m->rows[n].key.p, shared + 1);
        if (m->next_separator.failed)
            return err_nomem(err);
    }
    struct slice separator = slice_of(m->separator.data, m->separator.len);
    quartet_status rc = erase_stale(m, &separator, err);
    if (rc == QUARTET_OK)
        rc = m->base->ops->put(m->write, m->tree, separator, slice_of(m->block.data, m->block.len), err);
    if (rc != QUARTET_OK)
        return rc;
    m->values += m->block.len / 4096 + 1;
    m->entries++;
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += m->rows[i].bytes;
    m->density = (double)m->block.len / (double)(bytes > 0 ? bytes : 1);
    m->row_bytes -= bytes;
    m->row_count -= n;
    m->turn_rows -= n < m->turn_rows ? n : m->turn_rows;
    memmove(m->rows, m->rows + n, m->row_count * sizeof *m->rows);
    struct buf swap = m->separator;
    m->separator = m->next_separator;
    m->next_separator = swap;
    return QUARTET_OK;
}

static quartet_status encode_rows(struct merge *m, size_t n, struct err *err)
{
    m->block.len = 0;
    return block_encode(m->tree, m->rows, (uint32_t)n, &m->block, err);
}

/* How many rows from the front make about `target` bytes. */
static size_t rows_for(const struct merge *m, double target)
{
    double bytes = 0;
    size_t n = 0;
    while (n < m->row_count && n < BLOCK_ROWS_CUT && (n == 0 || bytes + (double)m->rows[n].bytes * m->density <= target)) {
        bytes += (double)m->rows[n].bytes * m->density;
        n++;
    }
    return n;
}

static double density_of(const struct merge *m, size_t n)
{
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++)
        bytes += m->rows[i].bytes;
    return (double)m->block.len / (double)bytes;
}

/* Cut one block of about `target` bytes off the front and write it. *cut false: nothing can be cut off yet, since all keys share
 * a long prefix or there is one row only; with `all` they become one block all the same. */
static quartet_status emit(struct merge *m, size_t target, bool all, bool *cut, struct err *err)
{
    size_t n = cut_near(m, rows_for(m, (double)target));
    size_t fits = 0; /* the most rows that were seen to fit */
    *cut = all || (n > 0 && n < m->row_count);
    if (!*cut)
        return QUARTET_OK;
    for (int attempt = 0;; attempt++) {
        if (n == 0)
            n = m->row_count;
        quartet_status rc = encode_rows(m, n, err);
        if (rc != QUARTET_OK)
            return rc;
        bool large = m->block.len > BLOCK_BYTES;
        bool small = m->block.len < target * 85 / 100 && n < m->row_count;
        fits = large ? fits : n;
        if ((!large && !small) || n == 1 || attempt == 6)
            break;
        m->density = density_of(m, n) * (large ? 1.03 : 1.0);
        size_t next = cut_near(m, rows_for(m, (double)target));
        if (large && fits > 0 && (next == 0 || next >= n))
            next = fits;
        if (next == n || next == 0 || (small && next < n))
            break; /* it gets no better */
        if (!all && next == m->row_count) { /* the rows were taken for larger than they are: wait for more */
            *cut = false;
            return QUARTET_OK;
        }
        n = next;
    }
    return write_block(m, n, err);
}

/* The end of a run: write all pending rows, in full blocks where the tree ends here, else in evenly filled ones; erase what was read and not written again. */
static quartet_status emit_rest(struct merge *m, bool tree_ends, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (m->row_count > 0 && rc == QUARTET_OK) {
        double size = pending_bytes(m);
        size_t target = FILL_BYTES;
        if (size <= BLOCK_BYTES * 0.97)
            target = BLOCK_BYTES;
        else if (!tree_ends && size < 2.0 * FILL_BYTES)
            target = (size_t)(size / 2) + 64;
        bool cut;
        rc = emit(m, target, true, &cut, err);
    }
    if (rc == QUARTET_OK)
        rc = erase_stale(m, NULL, err);
    m->stale.len = m->stale_at = 0;
    return rc;
}

/* The block under m->old becomes part of the run: opened, noted as stale; *b is it. Sets the separator of the block after it. */
static quartet_status take_block(struct merge *m, struct block *b, struct err *err)
{
    quartet_status rc = block_open(b, m->tree, m->old.block, m->old.block_bytes, !m->base->trusted, err);
    if (rc != QUARTET_OK)
        return rc;
    buf_u32(&m->stale, (uint32_t)m->old.separator.n);
    buf_put(&m->stale, m->old.separator.p, m->old.separator.n);
    rc = buf_check(&m->stale, err);
    if (rc == QUARTET_OK)
        rc = m->base->ops->next(&m->old, err);
    if (rc != QUARTET_OK)
        return rc;
    m->has_upper = m->old.found;
    m->upper.len = 0;
    if (m->has_upper)
        buf_put(&m->upper, m->old.separator.p, m->old.separator.n);
    return buf_check(&m->upper, err);
}

/* All rows of an old block into m->old_rows: column by column at once, which costs a fraction of row by row. */
static quartet_status read_old(struct merge *m, const struct block *b, struct err *err)
{
    if (b->rows > m->old_cap) {
        struct block_row *grown = mem_realloc(m->old_rows, b->rows, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        m->old_rows = grown;
        m->old_cap = b->rows;
    }
    return block_rows_get(b, 0, b->rows, m->old_rows, arena_of(m), err);
}

/* A late operation waits for the sweep, which knows whether an entry is left that it must be merged into. */
static bool out_of_date(const struct merge *m, struct slice key)
{
    uint64_t stamp;
    struct slice row;
    return kv_past_is_tree(m->tree) && m->past_from > 0 && kv_past_key_stamp(key, &stamp) && stamp < m->past_from && !kv_past_key_late(key, &row);
}

static quartet_status drops(struct merge *m, const struct block_row *row, bool *drop, struct err *err)
{
    if (m->drops != NULL)
        return m->drops(m, row, drop, err);
    *drop = out_of_date(m, row->key);
    m->met->pasts_gone += *drop;
    return QUARTET_OK;
}

static quartet_status push_old(struct merge *m, uint32_t from, uint32_t to, struct err *err)
{
    if (from >= to)
        return QUARTET_OK;
    quartet_status rc = pending_reserve(m, to - from, err);
    if (rc != QUARTET_OK)
        return rc;
    if (m->drops != NULL || (kv_past_is_tree(m->tree) && m->past_from > 0)) {
        for (uint32_t r = from; r < to && rc == QUARTET_OK; r++) {
            bool drop;
            rc = drops(m, &m->old_rows[r], &drop, err);
            if (rc != QUARTET_OK || drop)
                continue;
            m->rows[m->row_count++] = m->old_rows[r];
            m->row_bytes += m->old_rows[r].bytes;
        }
        return rc;
    }
    memcpy(m->rows + m->row_count, m->old_rows + from, (to - from) * sizeof *m->rows);
    m->row_count += to - from;
    for (uint32_t r = from; r < to; r++)
        m->row_bytes += m->old_rows[r].bytes;
    return QUARTET_OK;
}

/* What goes in now a sweep may take away one day. */
static void note_new(struct merge *m, const struct block_row *row)
{
    uint64_t stamp;
    if (merge_row_dead(m->tree, row->class))
        m->met->dead = true;
    else if (kv_past_is_tree(m->tree) && kv_past_key_stamp(row->key, &stamp) && stamp < m->met->oldest_past)
        m->met->oldest_past = stamp;
}

static quartet_status push_new(struct merge *m, struct err *err)
{
    struct slice key = m->in.at->key, record = m->in.at->record;
    if (record.p == NULL || out_of_date(m, key))
        return QUARTET_OK;
    if (!kv_walk_stays(m->in.at)) {
        key.p = arena_dup(arena_of(m), key.p, key.n);
        record.p = arena_dup(arena_of(m), record.p, record.n);
        if (key.p == NULL || record.p == NULL)
            return arena_fail(arena_of(m), err);
    }
    quartet_status rc = pending_reserve(m, 1, err);
    if (rc == QUARTET_OK)
        rc = block_row_from_record(&m->rows[m->row_count], key, record, arena_of(m), err);
    if (rc != QUARTET_OK)
        return rc;
    note_new(m, &m->rows[m->row_count]);
    m->row_bytes += m->rows[m->row_count++].bytes;
    return QUARTET_OK;
}

/* Does a run that is newer than layer `below` tell of this stamp? Runs hold pasts in history trees. */
static quartet_status told_in_run(const struct kv_blend *in, uint32_t below, uint64_t stamp, bool *told, struct err *err)
{
    struct kv_run_page page = {0};
    struct buf key = {0};
    struct slice record;
    apply_no version;
    quartet_status rc = QUARTET_OK;
    *told = false;
    for (uint32_t i = 0; i < below && rc == QUARTET_OK && !*told; i++) {
        if (in->walks[i].run == NULL)
            continue;
        buf_clear(&key);
        kv_past_key(&key, in->at->key, KV_PAST_BEFORE, stamp, 0);
        rc = buf_check(&key, err);
        if (rc == QUARTET_OK) {
            struct kv_run_probe probe = kv_run_probe_of(kv_past_tree(in->at->tree), slice_of(key.data, key.len));
            rc = kv_run_get(in->walks[i].run, &page, &probe, &in->walks[i].sight, &record, &version, told, err);
        }
    }
    kv_run_page_deinit(&page);
    buf_deinit(&key);
    return rc;
}

quartet_status kv_merge_pasts(const struct kv_blend *in, uint32_t count, uint64_t from,
                              quartet_status (*each)(void *arg, uint64_t stamp, struct slice record, struct err *err), void *arg, struct err *err)
{
    struct slice past, record;
    uint64_t stamp, last = UINT64_MAX;
    quartet_status rc = QUARTET_OK;
    const struct kv_walk *at = in->at;
    if (at->record.p == NULL)
        return rc; /* purged: its history goes with it */
    for (uint32_t i = 0; i < count && rc == QUARTET_OK; i++) {
        const struct kv_walk *w = &in->walks[i];
        const void *on = NULL;
        if (!w->valid || w->buffer == NULL || !kv_buffer_has_past(w->buffer) || w->tree != at->tree || !slice_eq(w->key, at->key))
            continue;
        while (rc == QUARTET_OK && kv_buffer_past(&w->in_buffer, &on, &past)) {
            bool told;
            kv_past_take(past, &stamp, &record);
            if (stamp >= last || stamp < from)
                continue; /* of one stamp the newest counts */
            last = stamp;
            rc = told_in_run(in, i, stamp, &told, err);
            if (rc == QUARTET_OK && !told)
                rc = each(arg, stamp, record, err);
        }
    }
    return rc;
}

/* A past of the key that passes by goes into the history trees at the end of the slice. */
static quartet_status gather_past(void *arg, uint64_t stamp, struct slice record, struct err *err)
{
    struct merge *m = arg;
    if (m->past == NULL && (m->past = kv_buffer_new()) == NULL)
        return err_nomem(err);
    m->entries++;
    buf_clear(&m->key);
    kv_past_key(&m->key, m->in.at->key, KV_PAST_BEFORE, stamp, 0);
    quartet_status rc = buf_check(&m->key, err);
    return rc == QUARTET_OK ? kv_buffer_put(m->past, kv_past_tree(m->in.at->tree), slice_of(m->key.data, m->key.len), 1, record, err) : rc;
}

static bool more(const struct merge *m)
{
    return m->in.at != NULL && m->in.at->tree <= m->until;
}

static bool in_reach(const struct merge *m)
{
    if (!more(m) || m->in.at->tree != m->tree)
        return false;
    return !m->has_upper || slice_cmp(m->in.at->key, slice_of(m->upper.data, m->upper.len)) < 0;
}

/* Cut full blocks off while there is plenty. *retry_at: how many pending rows it takes until another try is worth while. */
static quartet_status cut_plenty(struct merge *m, size_t *retry_at, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    bool cut = true;
    while (rc == QUARTET_OK && cut && m->row_count >= *retry_at && pending_bytes(m) > CUT_AT_BYTES) {
        rc = emit(m, FILL_BYTES, false, &cut, err);
        *retry_at = cut ? 0 : m->row_count * 2;
    }
    return rc;
}

/* Merge the buffer's entries with the rows of one old block (NULL: none). */
static quartet_status merge_block(struct merge *m, const struct block *b, struct err *err)
{
    turn_arenas(m);
    quartet_status rc = b != NULL ? read_old(m, b, err) : QUARTET_OK;
    uint32_t row = 0;
    size_t retry_at = 0;
    while (in_reach(m) && !merge_slice_full(m) && rc == QUARTET_OK) {
        if (b != NULL && row < b->rows) {
            uint32_t at;
            bool exact;
            if (!block_find(b, m->in.at->key, &at, &exact))
                return err_set(err, QUARTET_CORRUPT, "damaged block: keys");
            rc = push_old(m, row, at, err);
            row = at > row ? at : row;
            if (exact)
                row = at + 1;
        }
        if (b == NULL || row >= b->rows) /* none of the old rows still waits for its turn */
            turn_arenas(m);
        if (rc == QUARTET_OK)
            rc = push_new(m, err);
        if (rc == QUARTET_OK)
            rc = kv_merge_pasts(&m->in, m->walk_count, m->past_from, gather_past, m, err);
        if (rc == QUARTET_OK)
            rc = kv_blend_next(&m->in, err);
        if (rc == QUARTET_OK)
            rc = cut_plenty(m, &retry_at, err);
    }
    if (b != NULL && rc == QUARTET_OK)
        rc = push_old(m, row, b->rows, err);
    return rc == QUARTET_OK ? cut_plenty(m, &retry_at, err) : rc;
}

quartet_status merge_blocks(struct merge *m, bool more, quartet_status (*goes_on)(struct merge *m, void *arg, bool *yes, struct err *err), void *arg, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && more) {
        struct block b;
        rc = take_block(m, &b, err);
        if (rc == QUARTET_OK)
            rc = merge_block(m, &b, err);
        if (rc != QUARTET_OK || !m->has_upper)
            break;
        more = m->row_count > 0 && pending_bytes(m) < SMALL_BYTES;
        if (!more)
            rc = goes_on(m, arg, &more, err);
    }
    return rc == QUARTET_OK ? emit_rest(m, !m->has_upper, err) : rc;
}

/* Does the buffer's next entry fall among the keys of the block under m->old? Then the run goes on with it. */
static quartet_status run_goes_on(struct merge *m, void *arg, bool *yes, struct err *err)
{
    (void)arg; /* the merge knows all */
    *yes = false;
    if (!more(m) || m->in.at->tree != m->tree || merge_slice_full(m) || m->row_count == 0)
        return QUARTET_OK;
    struct block next;
    quartet_status rc = block_open(&next, m->tree, m->old.block, m->old.block_bytes, false, err);
    if (rc != QUARTET_OK)
        return rc;
    uint32_t at;
    bool exact;
    if (!block_find(&next, m->in.at->key, &at, &exact))
        return err_set(err, QUARTET_CORRUPT, "damaged block: keys");
    *yes = at < next.rows;
    return QUARTET_OK;
}

/* One run, from the buffer's next entry on. */
static quartet_status merge_run(struct merge *m, struct err *err)
{
    m->tree = m->in.at->tree;
    m->runs++;
    m->separator.len = 0;
    m->has_upper = false;
    quartet_status rc = m->base->ops->seek(&m->old, m->tree, m->in.at->key, err);
    if (rc == QUARTET_OK && !m->old.found)
        rc = merge_block(m, NULL, err);
    else if (rc == QUARTET_OK && slice_cmp(m->old.separator, m->in.at->key) <= 0)
        buf_put(&m->separator, m->old.separator.p, m->old.separator.n);
    /* Else the key lies below the first block: that one is extended downwards, its separator becomes the empty one. */
    if (rc == QUARTET_OK)
        rc = buf_check(&m->separator, err);
    return rc == QUARTET_OK ? merge_blocks(m, m->old.found, run_goes_on, NULL, err) : rc;
}

quartet_status merge_slice_begin(struct merge *m, uint32_t slice_pages, struct err *err)
{
    uint64_t part = m->base->ops->bytes(m->base) / 4096 / SLICE_PART;
    m->runs = m->values = m->entries = 0;
    m->slice_pages = part < SLICE_PAGES_MIN ? SLICE_PAGES_MIN : part > SLICE_PAGES ? SLICE_PAGES : part;
    if (slice_pages > 0)
        m->slice_pages = slice_pages < SLICE_PAGES_LEAST ? SLICE_PAGES_LEAST : slice_pages;
    quartet_status rc = m->base->ops->read_begin(m->base, &m->read, err);
    if (rc == QUARTET_OK)
        rc = m->base->ops->cursor_open(m->read, &m->old, err);
    if (rc == QUARTET_OK)
        rc = m->base->ops->write_begin(m->base, &m->write, err);
    return rc;
}

void merge_free(struct merge *m)
{
    kv_blend_end(&m->in);
    arena_free_all(&m->arenas[0]);
    arena_free_all(&m->arenas[1]);
    buf_deinit(&m->block);
    buf_deinit(&m->separator);
    buf_deinit(&m->next_separator);
    buf_deinit(&m->upper);
    buf_deinit(&m->stale);
    buf_deinit(&m->key);
    mem_free(m->rows);
    mem_free(m->old_rows);
}

/* What was gathered, into the history trees of the same write transaction. */
static quartet_status merge_past(struct merge *m, struct err *err)
{
    struct kv_walk in = {0};
    struct merge h = {.base = m->base, .read = m->read, .write = m->write, .until = UINT64_MAX, .endless = true, .walk_count = 0, .density = 1.0, .past_from = m->past_from, .met = m->met};
    if (m->past == NULL)
        return QUARTET_OK;
    kv_walk_set_buffer(&in, m->past, UINT64_MAX, false);
    quartet_status rc = kv_blend_start(&h.in, &in, 1, false, 0, slice_of("", 0), err);
    if (rc == QUARTET_OK)
        rc = m->base->ops->cursor_open(h.read, &h.old, err);
    while (rc == QUARTET_OK && more(&h))
        rc = merge_run(&h, err);
    if (h.old.read != NULL)
        m->base->ops->cursor_close(&h.old);
    merge_free(&h);
    kv_walk_deinit(&in);
    return rc;
}

void merge_slice_end(struct merge *m)
{
    kv_buffer_free(m->past);
    m->past = NULL;
    if (m->old.read != NULL)
        m->base->ops->cursor_close(&m->old);
    m->old.read = NULL;
    m->base->ops->read_end(m->read);
    m->read = NULL;
    m->row_count = m->row_bytes = m->turn_rows = 0;
    m->stale.len = m->stale_at = 0;
    for (int i = 0; i < 2; i++)
        arena_rewind(&m->arenas[i], (struct arena_mark){0});
}

/* Commit a slice that is not the last one. With the first of them goes the mark: from then on the base is no state that ever was. */
static quartet_status commit_part(struct merge *m, const struct kv_merge_how *how, struct err *err)
{
    struct buf mark = {0};
    quartet_status rc = m->torn || how->torn == NULL ? QUARTET_OK : how->torn(how->arg, &mark, err);
    if (rc == QUARTET_OK)
        rc = buf_check(&mark, err);
    if (rc == QUARTET_OK)
        rc = m->base->ops->commit(m->write, slice_of(mark.len > 0 ? mark.data : NULL, mark.len), err);
    else
        m->base->ops->abort(m->write);
    m->torn = rc == QUARTET_OK;
    buf_deinit(&mark);
    return rc;
}

/* What passes up to m->until, in slices. `last`: the checkpoint goes with the last of them. */
static quartet_status merge_slices(struct merge *m, const struct kv_merge_how *how, bool last, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    do {
        if (how->stop != NULL && how->stop(how->arg)) {
            rc = err_set(err, QUARTET_INTERRUPTED, "the flush was stopped");
            break;
        }
        rc = merge_slice_begin(m, how->slice_pages, err);
        /* History trees stand last. What was gathered for them goes in before they are met themselves: both in one slice would not see each other. */
        while (rc == QUARTET_OK && more(m) && !merge_slice_full(m) && (m->past == NULL || !kv_past_is_tree(m->in.at->tree)))
            rc = merge_run(m, err);
        if (rc == QUARTET_OK)
            rc = merge_past(m, err);
        if (rc == QUARTET_OK)
            rc = more(m) || !last ? commit_part(m, how, err) : m->base->ops->commit(m->write, how->checkpoint, err);
        else if (m->write != NULL)
            m->base->ops->abort(m->write);
        m->write = NULL;
        merge_slice_end(m);
    } while (rc == QUARTET_OK && more(m));
    return rc;
}

quartet_status kv_merge_layers(struct kv_base *base, struct kv_walk *walks, uint32_t count, const struct kv_merge_how *how, struct err *err)
{
    struct merge m = {.base = base, .until = UINT64_MAX, .walk_count = count, .density = 1.0, .past_from = how->past_from};
    struct kv_merged unasked;
    m.met = how->met != NULL ? how->met : &unasked;
    *m.met = (struct kv_merged){.oldest_past = UINT64_MAX};
    quartet_status rc = QUARTET_OK;
    bool runs = false;
    for (uint32_t i = 0; i < count; i++)
        runs = runs || walks[i].run != NULL;
    if (runs) { /* their history stands in trees of its own: before the rows, so that it is there when they are */
        rc = kv_blend_start(&m.in, walks, count, false, KV_PAST_TREE, slice_of("", 0), err);
        if (rc == QUARTET_OK && m.in.at != NULL)
            rc = merge_slices(&m, how, false, err);
        kv_blend_end(&m.in);
        m.until = KV_PAST_TREE - 1;
    }
    if (rc == QUARTET_OK)
        rc = kv_blend_start(&m.in, walks, count, false, 0, slice_of("", 0), err);
    if (rc == QUARTET_OK)
        rc = merge_slices(&m, how, true, err);
    merge_free(&m);
    return rc;
}
