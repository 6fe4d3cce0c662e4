/* table_read.c - scans and look-ups of rows for the executor, a batch at a time.
 * Why three ways: along the primary key the store's columns are passed on as they are, without a copy; along an index rows are fetched by key, unless the
 *   entries themselves hold all that is wanted; a bound that names one row by its whole primary key is a look-up, for which an iterator would cost more
 *   than the row.
 * As of a stamp, the present records, dead ones too, are gone through by primary key, and each is taken back to what it was.
 * Orphans (orphan.h) are left out while there may be any: then the columns of the foreign keys are read too.
 * Rows that are quarantined (claim.h) are left out by the store; they have entries, so an index alone does not do while there are any.
 * Invariants: a scan sees the transaction's own writes up to the statement before (no Halloween problem), and remembers its range as read.
 * Not here: writing (table_write.c), which index to use (the planner). */
#include <string.h>

#include "base/mem.h"
#include "claim.h"
#include "derived.h"
#include "history.h"
#include "kind.h"
#include "orphan.h"
#include "past_judge.h"
#include "table_internal.h"

#define REST_COLUMNS_MAX 32u /* a scan of more columns gives up their vectors while it rests */

struct table_scan {
    txn *t;
    const struct table_def *table;
    const struct index_def *index;
    struct scan_keys keys;
    struct key_span span;
    kv_iter *it;
    struct kv_want want;
    struct kv_overlay over;
    bool want_keys, covering;
    bool constrained;         /* rows of the table may be quarantined */
    bool doubted;             /* in this snapshot some of some table are: entries do not tell of which rows */
    bool point, point_done;   /* the bound names one row; it has been given out */
    uint32_t column_count;
    struct vec *cols;         /* the iterator's, of the last batch */
    uint32_t *columns;        /* wanted, by table position */
    uint16_t *record_columns; /* want.columns */
    struct value *missing;
    int32_t *from;            /* wanted column -> its place among want.columns, or -1: decoded from the key */
    struct vec *vecs;
    struct slice *key_slices;
    struct arena batch;        /* of one batch */
    struct kv_want fetch;      /* of rows that are looked up */
    struct value *cells;       /* by fetch.columns */
    struct value *row;         /* one row by table position: the columns that are wanted, and those of the keys before them */
    uint32_t keys_wanted;      /* so many of the key's columns must be taken apart */
    struct value *point_cells; /* room for the vectors of a point */
    uint8_t *point_nulls;
    bool *late;                /* want.late */
    uint8_t *no_nulls;         /* of int_keys: BATCH_ROWS_MAX zeros */
    struct history_reader past; /* as_of 0: of no use */
    struct chain_table chains;  /* as of the scan's begin: what versions name */
    past_judge *judge;          /* of as_of in the snapshot judge_at; NULL: nothing can be broken */
    bool unjudged, judge_made;
    hlc_stamp judge_of;
    apply_no judge_at;
    struct orphan_filter filter;
    struct scan_plain {         /* what is wanted where no orphans can be */
        struct kv_want want;
        uint32_t fetched, keys_wanted;
        bool covering;
    } plain;
    bool testing;               /* what is wanted is more, for orphans */
    bool orphans;               /* they alone are wanted */
    struct scan_derived *derived; /* columns that are computed; NULL: none is wanted */
    uint32_t link_count, link_extra; /* columns of foreign keys; those of the record that are not wanted anyway, which stand behind them */
    uint32_t *link_columns;     /* by table position */
    int32_t *link_from;         /* as `from` */
};

/* The next piece of the room; with NULL only its bytes are counted. */
static void *scan_piece(uint8_t *room, size_t *at, size_t count, size_t size)
{
    void *p = room != NULL ? room + *at : NULL;
    *at += (count * size + 15) & ~(size_t)15;
    return p;
}

/* Where the pointers of a scan point to: into the room behind it, since statements that run once make many scans. *cleared: so much of it begins with zeros; the keys
 * of a batch, behind that, are four fifths of it. */
static size_t scan_layout(table_scan *s, uint32_t n, const struct table_def *table, bool many_keys, uint8_t *room, size_t *cleared)
{
    size_t at = (sizeof *s + 15) & ~(size_t)15;
    uint32_t links = 0;
    for (uint32_t i = 0; i < table->foreign_key_count; i++)
        links += table->foreign_keys[i].column_count;
    s->link_columns = scan_piece(room, &at, links, sizeof *s->link_columns);
    s->link_from = scan_piece(room, &at, links, sizeof *s->link_from);
    s->vecs = scan_piece(room, &at, n, sizeof *s->vecs);
    s->missing = scan_piece(room, &at, n + links, sizeof *s->missing);
    s->cells = scan_piece(room, &at, n + links, sizeof *s->cells);
    s->point_cells = scan_piece(room, &at, n, sizeof *s->point_cells);
    s->row = scan_piece(room, &at, table->column_count, sizeof *s->row);
    s->columns = scan_piece(room, &at, n, sizeof *s->columns);
    s->from = scan_piece(room, &at, n, sizeof *s->from);
    s->record_columns = scan_piece(room, &at, n + links, sizeof *s->record_columns);
    s->point_nulls = scan_piece(room, &at, n, sizeof *s->point_nulls);
    s->late = scan_piece(room, &at, n + links, sizeof *s->late);
    *cleared = at;
    s->key_slices = scan_piece(room, &at, many_keys ? BATCH_ROWS_MAX : 1u, sizeof *s->key_slices);
    return at;
}

static void judge_drop(table_scan *s)
{
    past_judge_free(s->judge);
    s->judge = NULL;
    s->judge_made = false;
}

/* Versions are compared by the chains' identities. */
static quartet_status past_start(table_scan *s, struct err *err)
{
    db *d = s->t->d;
    quartet_status rc = db_history_check(d, s->past.as_of, err);
    if (rc != QUARTET_OK)
        return rc;
    kv_past_close(s->past.past); /* of another snapshot, maybe */
    s->past.past = NULL;
    if (!s->t->exclusive)
        pthread_mutex_lock(&d->commit_lock);
    rc = chain_table_follow(&s->chains, &d->chains, err);
    if (!s->t->exclusive)
        pthread_mutex_unlock(&d->commit_lock);
    s->past.chains = &s->chains;
    s->past.table = s->table;
    if (rc == QUARTET_OK)
        rc = kv_past_open(s->t->snap, s->table->id, &s->past.past, err);
    bool made = s->judge_made && s->judge_of == s->past.as_of && s->judge_at == s->t->snap_at;
    if (rc != QUARTET_OK || s->unjudged || made)
        return rc;
    judge_drop(s);
    rc = past_judge_new(s->t, s->table, s->past.as_of, &s->judge, err);
    s->judge_made = rc == QUARTET_OK;
    s->judge_of = s->past.as_of;
    s->judge_at = s->t->snap_at;
    return rc;
}

/* The columns of foreign keys: those of them that are not wanted anyway come behind those that are. */
static void link_prepare(table_scan *s, uint32_t fetched)
{
    const struct table_def *t = s->table;
    for (uint32_t k = 0; k < t->foreign_key_count; k++)
        for (uint32_t i = 0; i < t->foreign_keys[k].column_count; i++) {
            uint32_t at = t->foreign_keys[k].columns[i], seen = 0;
            while (seen < s->link_count && s->link_columns[seen] != at)
                seen++;
            if (seen < s->link_count)
                continue;
            int32_t record_at = t->columns[at].record_at, from = -1;
            for (uint32_t c = 0; c < fetched + s->link_extra && record_at >= 0; c++)
                if (s->record_columns[c] == record_at)
                    from = (int32_t)c;
            if (record_at >= 0 && from < 0) {
                from = (int32_t)(fetched + s->link_extra++);
                s->record_columns[from] = (uint16_t)record_at;
                s->missing[from] = t->rows.columns[record_at].missing;
            }
            s->link_columns[s->link_count] = at;
            s->link_from[s->link_count++] = from;
        }
    s->plain = (struct scan_plain){.want = s->want, .fetched = fetched, .keys_wanted = s->keys_wanted, .covering = s->covering};
}

/* Read what the test for orphans needs, or no longer. */
static void scan_testing(table_scan *s, bool testing)
{
    if (testing == s->testing)
        return;
    s->testing = testing;
    kv_iter_close(s->it); /* of other columns */
    s->it = NULL;
    s->want = s->plain.want;
    s->fetch.column_count = s->plain.fetched;
    s->keys_wanted = s->plain.keys_wanted;
    s->covering = s->plain.covering && !testing;
    if (!testing)
        return;
    s->fetch.column_count += s->link_extra;
    for (uint32_t i = 0; i < s->link_count; i++) {
        int32_t at = s->table->columns[s->link_columns[i]].key_at;
        if (at >= (int32_t)s->keys_wanted)
            s->keys_wanted = (uint32_t)at + 1;
    }
    if (s->index != NULL || s->past.as_of != 0)
        return;
    s->want.column_count += s->link_extra;
    s->want.keys = true;
    s->want.int_keys = 0;
    s->want.late = NULL;
}

/* The column's, where it is a SET whose records may show a plain value; NULL: it is none. */
static const struct row_column *element_of(const struct table_def *t, uint32_t column)
{
    int32_t at = t->sets_below ? t->columns[column].record_at : -1;
    return at >= 0 && t->rows.columns[at].element != NULL ? &t->rows.columns[at] : NULL;
}

bool table_index_covers(const struct table_def *table, const struct index_def *index, const uint32_t *columns, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct column_def *c = &table->columns[columns[i]];
        bool held = c->key_at >= 0; /* in the key of the row and of every entry */
        for (uint32_t k = 0; k < index->column_count && !held; k++)
            held = index->columns[k] == columns[i] && !c->derived && !c->nocase && index->keys[k].kind != KEY_ANY;
        if (!held)
            return false;
    }
    return true;
}

#define INT_KEY_BYTES 9u /* of an ascending integer column: a mark, then eight bytes with the sign flipped */

/* Ascending integers alone stand before it, and it is one: it has one place in all keys. */
static bool fixed_place(const struct table_def *t, uint32_t key_at)
{
    for (uint32_t k = 0; k <= key_at; k++)
        if (t->keys[k].kind != KEY_INT || t->keys[k].desc)
            return false;
    return true;
}

/* The first columns of the key that are wanted, as bits. */
static uint32_t wanted_keys(const table_scan *s)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < s->column_count; i++) {
        int32_t at = s->table->columns[s->columns[i]].key_at;
        bits |= at >= 0 && at < 8 ? 1u << at : 0;
    }
    return bits;
}

static quartet_status scan_prepare(table_scan *s, const struct scan_want *want, struct err *err)
{
    const struct table_def *t = s->table;
    uint32_t n = want->column_count;
    s->column_count = n;
    s->covering = s->index != NULL && table_index_covers(t, s->index, want->columns, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct column_def *c = &t->columns[want->columns[i]];
        s->columns[i] = want->columns[i];
        s->from[i] = -1;
        if (c->key_at >= 0) { /* in the key of the row and of every entry */
            if ((uint32_t)c->key_at >= s->keys_wanted)
                s->keys_wanted = (uint32_t)c->key_at + 1;
            continue;
        }
        s->from[i] = (int32_t)s->want.column_count;
        s->missing[s->want.column_count] = t->rows.columns[c->record_at].missing;
        s->record_columns[s->want.column_count++] = (uint16_t)c->record_at;
    }
    bool key_wanted = want->keys || s->want.column_count < n;
    for (uint32_t i = 0; i < n && want->late != NULL; i++)
        if (s->from[i] >= 0)
            s->late[s->from[i]] = want->late[i] && element_of(t, want->columns[i]) == NULL;
    s->want.reverse = want->reverse;
    s->want_keys = want->keys;
    s->fetch = (struct kv_want){.columns = s->record_columns, .column_count = s->want.column_count, .missing = s->missing};
    if (s->index != NULL) {
        s->want.column_count = 0; /* entries have no columns */
        s->want.keys = true;
        link_prepare(s, s->fetch.column_count);
        return QUARTET_OK;
    }
    if (s->past.as_of != 0) {
        s->want = (struct kv_want){.keys = true, .records = true, .dead = true, .reverse = want->reverse};
        link_prepare(s, s->fetch.column_count);
        return QUARTET_OK;
    }
    s->want.columns = s->record_columns;
    s->want.missing = s->missing;
    s->want.late = want->late != NULL ? s->late : NULL;
    if (key_wanted && !want->keys && t->key_count <= KV_INT_KEYS_MAX && fixed_place(t, t->key_count - 1)) { /* nearly all tables */
        s->want.int_keys = (uint8_t)t->key_count;
        s->want.int_keys_unwanted = (uint8_t)~wanted_keys(s);
        s->no_nulls = mem_zalloc(BATCH_ROWS_MAX, 1);
        link_prepare(s, s->fetch.column_count);
        return s->no_nulls != NULL ? QUARTET_OK : err_nomem(err);
    }
    s->want.keys = key_wanted;
    link_prepare(s, s->fetch.column_count);
    return QUARTET_OK;
}

static quartet_status scan_start(table_scan *s, const struct key_bound *bound, struct err *err)
{
    s->point = s->index == NULL && s->past.as_of == 0 && bound != NULL && bound->lo == NULL && bound->hi == NULL && s->table->key_count > 0 &&
               bound->prefix_count == s->table->key_count;
    s->point_done = false;
    s->span.point = s->point;
    quartet_status rc = bound_range(&s->keys, bound, &s->span, err);
    if (rc == QUARTET_OK && s->past.as_of == 0)
        rc = orphan_filter_start(&s->filter, s->t, s->table, s->point, err);
    if (rc != QUARTET_OK)
        return rc;
    scan_testing(s, s->filter.on);
    s->doubted = s->constrained && claim_possible(s->t->d, s->t->snap_at);
    if (s->constrained && s->covering)
        rc = claim_note_table(s->t, s->table, err);
    if (rc != QUARTET_OK)
        return rc;
    struct kv_range range = span_range(&s->span);
    if (s->point)
        return txn_note_point(s->t, s->table->id, range.lo, err);
    tree_id tree = s->index != NULL ? s->index->id : s->table->id;
    if (rc == QUARTET_OK && s->past.as_of != 0)
        rc = past_start(s, err);
    if (rc == QUARTET_OK)
        rc = txn_note_range(s->t, tree, &range, err);
    if (rc == QUARTET_OK && s->it != NULL)
        rc = kv_iter_restart(s->it, s->t->snap, &s->over, &range, err);
    else if (rc == QUARTET_OK)
        rc = kv_iter_open(s->t->snap, &s->over, tree, &range, &s->want, &s->it, err);
    return rc;
}

static quartet_status open_plain(txn *t, const struct table_def *table, const struct index_def *index, const struct key_bound *bound, const struct scan_want *want,
                                 table_scan **out, struct err *err)
{
    table_scan counted; /* only its pointers are set, to nothing */
    bool many_keys = index != NULL || want->as_of != 0;
    size_t cleared, bytes = scan_layout(&counted, want->column_count, table, many_keys, NULL, &cleared);
    table_scan *s = mem_alloc(bytes);
    if (s == NULL)
        return err_nomem(err);
    memset(s, 0, cleared);
    (void)scan_layout(s, want->column_count, table, many_keys, (uint8_t *)s, &cleared); /* the same */
    s->table = table;
    s->index = index;
    s->past.as_of = want->as_of;
    s->orphans = want->orphans;
    s->unjudged = want->unjudged;
    s->constrained = index != NULL && (claim_tested(table) || claim_has_unique(table));
    QASSERT(want->as_of == 0 || index == NULL);
    s->keys = (struct scan_keys){.table = table, .index = index, .keys = index != NULL ? index->keys : table->keys,
                                 .count = index != NULL ? index->column_count : table->key_count};
    quartet_status rc = scan_prepare(s, want, err);
    if (rc == QUARTET_OK)
        rc = table_scan_rebind(s, t, bound, err);
    if (rc != QUARTET_OK) {
        table_scan_close(s);
        return rc;
    }
    *out = s;
    return QUARTET_OK;
}

quartet_status table_scan_open(txn *t, const struct table_def *table, const struct index_def *index, const struct key_bound *bound,
                               const struct scan_want *want, table_scan **out, struct err *err)
{
    struct scan_want plain = *want;
    struct scan_derived *derived = NULL;
    quartet_status rc = table->derived_count > 0 ? scan_derived_new(table, want, &plain, &derived, err) : QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = open_plain(t, table, index, bound, &plain, out, err);
    if (rc != QUARTET_OK)
        scan_derived_free(derived);
    else
        (*out)->derived = derived;
    return rc;
}

quartet_status table_scan_rebind(table_scan *s, txn *t, const struct key_bound *bound, struct err *err)
{
    t = txn_of(t, s->table);
    s->t = t;
    kv_overlay_drop(&s->over);
    quartet_status rc = txn_overlay(t, t->reads_through, &s->over, err);
    if (rc != QUARTET_OK) {
        s->over = (struct kv_overlay){0}; /* it holds nothing yet */
        return rc;
    }
    if (s->past.as_of != 0)
        s->over = (struct kv_overlay){0}; /* what is not committed has no stamp yet */
    kv_overlay_hold(&s->over);
    return scan_start(s, bound, err);
}

void table_scan_at(table_scan *s, hlc_stamp as_of)
{
    QASSERT((as_of == 0) == (s->past.as_of == 0));
    s->past.as_of = as_of;
}

void table_scan_rest(table_scan *s)
{
    if (s == NULL)
        return;
    if (s->it != NULL && s->want.column_count > REST_COLUMNS_MAX) {
        kv_iter_close(s->it);
        s->it = NULL;
    }
    if (s->it != NULL)
        kv_iter_rest(s->it);
    kv_past_close(s->past.past);
    s->past.past = NULL;
    judge_drop(s);
    s->t = NULL;
    orphan_filter_rest(&s->filter);
    kv_overlay_drop(&s->over);
}

void table_scan_close(table_scan *s)
{
    if (s == NULL)
        return;
    judge_drop(s);
    kv_iter_close(s->it);
    kv_overlay_drop(&s->over);
    kv_past_close(s->past.past);
    orphan_filter_deinit(&s->filter);
    chain_table_deinit(&s->chains);
    key_span_deinit(&s->span);
    arena_free_all(&s->batch);
    scan_derived_free(s->derived);
    mem_free(s->no_nulls);
    mem_free(s);
}

static quartet_status damaged_key(const table_scan *s, struct err *err)
{
    return err_set(err, QUARTET_CORRUPT, "damaged key in table %s", s->table->name);
}

static bool int_keys(const struct slice *keys, uint32_t n, uint32_t key_at, struct vec *v)
{
    size_t at = (size_t)key_at * INT_KEY_BYTES;
    for (uint32_t i = 0; i < n; i++) {
        if (keys[i].n < at + INT_KEY_BYTES || keys[i].p[at] != 1)
            return false;
        v->i[i] = (int64_t)(load_be64(keys[i].p + at + 1) ^ (1ull << 63));
    }
    return true;
}

/* Fill the vectors of key columns. */
static quartet_status decode_keys(table_scan *s, const struct slice *keys, uint32_t n, struct err *err)
{
    const struct table_def *t = s->table;
    uint32_t last = 0;
    for (uint32_t i = 0; i < s->column_count; i++) {
        const struct column_def *c = &t->columns[s->columns[i]];
        if (c->key_at < 0)
            continue;
        uint8_t type = t->keys[c->key_at].kind == KEY_ANY ? VALUE_NULL : c->type;
        if (!vec_init(&s->vecs[i], type, n, &s->batch))
            return arena_fail(&s->batch, err);
        s->vecs[i].scale = type == VALUE_DECIMAL ? t->keys[c->key_at].scale : 0;
        if (fixed_place(t, (uint32_t)c->key_at)) {
            if (!int_keys(keys, n, (uint32_t)c->key_at, &s->vecs[i]))
                return damaged_key(s, err);
        } else if ((uint32_t)c->key_at + 1 > last) {
            last = (uint32_t)c->key_at + 1;
        }
    }
    for (uint32_t r = 0; r < n && last > 0; r++) {
        struct bytes_in in = bytes_in(keys[r].p, keys[r].n);
        for (uint32_t k = 0; k < last; k++) {
            struct value v;
            if (!key_get(&in, &t->keys[k], &v, &s->batch))
                return damaged_key(s, err);
            for (uint32_t i = 0; i < s->column_count; i++)
                if (s->columns[i] == t->key_columns[k] && !fixed_place(t, k) && !vec_set(&s->vecs[i], r, &v, n, &s->batch))
                    return arena_fail(&s->batch, err);
        }
    }
    return QUARTET_OK;
}

/* Which rows of the store's batch are no orphans: kept[0 .. *n - 1]. */
static quartet_status test_rows(table_scan *s, const struct kv_rows *rows, uint16_t *kept, uint32_t *n, struct err *err)
{
    const struct table_def *t = s->table;
    quartet_status rc = QUARTET_OK;
    *n = 0;
    for (uint32_t r = 0; r < rows->n && rc == QUARTET_OK; r++) {
        struct bytes_in in = bytes_in(rows->keys[r].p, rows->keys[r].n);
        bool orphan;
        for (uint32_t k = 0; k < s->keys_wanted; k++)
            if (!key_get(&in, &t->keys[k], &s->row[t->key_columns[k]], &s->batch))
                return damaged_key(s, err);
        for (uint32_t i = 0; i < s->link_count; i++)
            if (s->link_from[i] >= 0)
                s->row[s->link_columns[i]] = vec_get(&rows->cols[s->link_from[i]], r);
        rc = orphan_filter_test(&s->filter, s->row, rows->keys[r], &orphan, err);
        if (rc == QUARTET_OK && orphan == s->orphans)
            kept[(*n)++] = (uint16_t)r;
    }
    return rc;
}

/* The batch without the rows that are not kept. */
static quartet_status keep_rows(table_scan *s, const uint16_t *kept, uint32_t n, struct batch *out, struct err *err)
{
    for (uint32_t i = 0; i < s->column_count; i++) {
        struct vec all = s->vecs[i];
        if (!vec_init(&s->vecs[i], all.type, n, &s->batch))
            return arena_fail(&s->batch, err);
        s->vecs[i].scale = all.scale;
        for (uint32_t k = 0; k < n; k++) {
            struct value v = vec_get(&all, kept[k]);
            if (!vec_set(&s->vecs[i], k, &v, n, &s->batch))
                return arena_fail(&s->batch, err);
        }
    }
    if (out->keys != NULL) {
        struct slice *keys = arena_alloc(&s->batch, n * sizeof *keys);
        if (keys == NULL)
            return arena_fail(&s->batch, err);
        for (uint32_t k = 0; k < n; k++)
            keys[k] = out->keys[kept[k]];
        out->keys = keys;
    }
    out->n = n;
    return QUARTET_OK;
}

static quartet_status show_sets(table_scan *s, uint32_t n, struct err *err)
{
    for (uint32_t i = 0; i < s->column_count; i++) {
        const struct row_column *c = s->from[i] >= 0 ? element_of(s->table, s->columns[i]) : NULL;
        struct vec as_stored = s->vecs[i];
        if (c == NULL)
            continue;
        if (!vec_init(&s->vecs[i], VALUE_JSON, n, &s->batch))
            return arena_fail(&s->batch, err);
        for (uint32_t r = 0; r < n; r++) {
            struct value v = vec_get(&as_stored, r);
            if (!row_show_as_set(c, &v, &s->batch) || !vec_set(&s->vecs[i], r, &v, n, &s->batch))
                return arena_fail(&s->batch, err);
        }
    }
    return QUARTET_OK;
}

static struct vec int_key_vec(const table_scan *s, const struct kv_rows *rows, const struct column_def *c)
{
    return (struct vec){.type = c->type, .null = s->no_nulls, .i = rows->int_keys + (size_t)c->key_at * BATCH_ROWS_MAX};
}

static quartet_status next_by_key(table_scan *s, uint32_t limit, struct batch *out, struct err *err)
{
    struct kv_rows rows;
    uint16_t kept[BATCH_ROWS_MAX];
    uint32_t kept_count = 0;
    quartet_status rc;
    do {
        rc = kv_iter_next(s->it, limit, &rows, err);
        if (rc != QUARTET_OK)
            return rc;
        arena_rewind(&s->batch, (struct arena_mark){0});
        if (s->testing && rows.n > 0)
            rc = test_rows(s, &rows, kept, &kept_count, err);
        if (rc != QUARTET_OK)
            return rc;
    } while (s->testing && rows.n > 0 && kept_count == 0);
    out->n = rows.n;
    if (rows.n == 0)
        return QUARTET_OK;
    bool keys = false;
    for (uint32_t i = 0; i < s->column_count; i++)
        if (s->from[i] >= 0)
            s->vecs[i] = rows.cols[s->from[i]];
        else if (rows.int_keys != NULL)
            s->vecs[i] = int_key_vec(s, &rows, &s->table->columns[s->columns[i]]);
        else
            keys = true;
    s->cols = rows.cols;
    if (keys)
        rc = decode_keys(s, rows.keys, rows.n, err);
    if (rc == QUARTET_OK && s->table->sets_below)
        rc = show_sets(s, rows.n, err);
    if (s->want_keys)
        out->keys = rows.keys;
    return rc == QUARTET_OK && s->testing && kept_count < rows.n ? keep_rows(s, kept, kept_count, out, err) : rc;
}

/* The columns of the key that are wanted, into s->row. */
static quartet_status key_values(table_scan *s, struct slice key, struct err *err)
{
    const struct table_def *t = s->table;
    struct bytes_in in = bytes_in(key.p, key.n);
    for (uint32_t k = 0; k < s->keys_wanted; k++)
        if (!key_get(&in, &t->keys[k], &s->row[t->key_columns[k]], &s->batch))
            return damaged_key(s, err);
    return QUARTET_OK;
}

/* What is wanted of the row with this key into s->row; its bytes are valid until the batch's end. *found false: there is no live one; *shown
 * false: or it is an orphan. */
static quartet_status find_row(table_scan *s, struct slice key, bool *found, bool *shown, struct err *err)
{
    quartet_status rc = kv_get_values(s->t->snap, &s->over, s->table->id, key, &s->fetch, s->cells, &s->batch, err);
    *found = *shown = rc == QUARTET_OK;
    if (rc == QUARTET_NOTFOUND)
        return QUARTET_OK;
    if (rc != QUARTET_OK) {
        err_prefix(err, s->table->name);
        return rc;
    }
    for (uint32_t i = 0; i < s->column_count; i++)
        if (s->from[i] >= 0)
            s->row[s->columns[i]] = s->cells[s->from[i]];
    for (uint32_t i = 0; i < s->link_count && s->testing; i++)
        if (s->link_from[i] >= 0)
            s->row[s->link_columns[i]] = s->cells[s->link_from[i]];
    for (uint32_t i = 0; i < s->column_count && s->table->sets_below; i++) {
        const struct row_column *c = s->from[i] >= 0 ? element_of(s->table, s->columns[i]) : NULL;
        if (c != NULL && !row_show_as_set(c, &s->row[s->columns[i]], &s->batch))
            return arena_fail(&s->batch, err);
    }
    rc = key_values(s, key, err);
    if (rc == QUARTET_OK && s->testing) {
        bool orphan;
        rc = orphan_filter_test(&s->filter, s->row, key, &orphan, err);
        *shown = rc == QUARTET_OK && orphan == s->orphans;
    }
    return rc;
}

/* A row that an index entry names. */
static quartet_status fetch_row(table_scan *s, struct slice key, bool *shown, struct err *err)
{
    bool found;
    quartet_status rc = txn_note_point(s->t, s->table->id, key, err);
    if (rc == QUARTET_OK)
        rc = find_row(s, key, &found, shown, err);
    bool hidden = false;
    if (rc == QUARTET_OK && !found && s->doubted)
        rc = claim_is_hidden(s->t, s->table, key, &hidden, err);
    if (rc == QUARTET_OK && !found && !hidden)
        rc = err_set(err, QUARTET_CORRUPT, "index %s of table %s names a row that is not there", s->index->name, s->table->name);
    return rc;
}

static quartet_status next_by_point(table_scan *s, struct batch *out, struct err *err)
{
    bool found, shown;
    if (s->point_done)
        return QUARTET_OK;
    s->point_done = true;
    s->key_slices[0] = slice_of(s->span.lo.data, s->span.lo.len);
    quartet_status rc = find_row(s, s->key_slices[0], &found, &shown, err);
    if (rc != QUARTET_OK || !shown)
        return rc;
    for (uint32_t i = 0; i < s->column_count; i++) {
        const struct value *v = &s->row[s->columns[i]];
        s->vecs[i] = (struct vec){.type = v->type, .scale = v->type == VALUE_DECIMAL ? v->scale : 0, .null = &s->point_nulls[i], .p = &s->point_cells[i]};
        vec_put(&s->vecs[i], 0, v);
    }
    out->n = 1;
    if (s->want_keys)
        out->keys = s->key_slices;
    return QUARTET_OK;
}

/* All that is wanted stands in the entry. */
static quartet_status entry_values(table_scan *s, struct slice entry, struct slice key, struct err *err)
{
    struct bytes_in in = bytes_in(entry.p, entry.n);
    for (uint32_t k = 0; k < s->index->column_count; k++)
        if (!key_get(&in, &s->index->keys[k], &s->row[s->index->columns[k]], &s->batch))
            return damaged_key(s, err);
    return key_values(s, key, err); /* after the index's columns: a key column's own bytes are exact */
}

static quartet_status index_row(table_scan *s, struct slice entry, uint32_t room, struct batch *out, struct err *err)
{
    size_t n = index_prefix(s->index, entry);
    struct slice key = slice_of(entry.p + n, entry.n - n);
    bool shown = true;
    quartet_status rc = s->covering && !s->doubted ? entry_values(s, entry, key, err) : fetch_row(s, key, &shown, err);
    for (uint32_t i = 0; i < s->column_count && rc == QUARTET_OK && shown; i++)
        if (!vec_set(&s->vecs[i], out->n, &s->row[s->columns[i]], room, &s->batch))
            rc = arena_fail(&s->batch, err);
    if (rc == QUARTET_OK && shown)
        s->key_slices[out->n++] = key;
    return rc;
}

/* The next entries or records, and room for as many rows in s->vecs. rows->n 0: the end. */
static quartet_status next_rows(table_scan *s, uint32_t limit, struct kv_rows *rows, struct err *err)
{
    quartet_status rc = kv_iter_next(s->it, limit, rows, err);
    if (rc != QUARTET_OK || rows->n == 0)
        return rc;
    arena_rewind(&s->batch, (struct arena_mark){0});
    for (uint32_t i = 0; i < s->column_count; i++)
        if (!vec_init(&s->vecs[i], s->table->columns[s->columns[i]].type, rows->n, &s->batch))
            return arena_fail(&s->batch, err);
    return QUARTET_OK;
}

static quartet_status next_by_index(table_scan *s, uint32_t limit, struct batch *out, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (out->n == 0) {
        struct kv_rows rows;
        rc = next_rows(s, limit, &rows, err);
        if (rc != QUARTET_OK || rows.n == 0)
            return rc;
        for (uint32_t r = 0; r < rows.n && rc == QUARTET_OK; r++)
            rc = index_row(s, rows.keys[r], rows.n, out, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if (s->want_keys)
        out->keys = s->key_slices;
    return rc;
}

/* Of a record whose values are what they were. */
static quartet_status simple_values(table_scan *s, struct slice record, struct err *err)
{
    const struct table_def *t = s->table;
    struct record_view view;
    if (!record_view(record, &view))
        return err_set(err, QUARTET_CORRUPT, "damaged record in table %s", t->name);
    struct bytes_in in = bytes_in(view.values.p, view.values.n);
    for (uint32_t i = 0; i < t->rows.count; i++) {
        struct value *v = &s->row[t->record_columns[i]];
        if (i >= view.value_count)
            *v = t->rows.columns[i].missing;
        else if (!value_decode(&in, v))
            return err_set(err, QUARTET_CORRUPT, "damaged record in table %s", t->name);
    }
    return QUARTET_OK;
}

/* One row as it was, into s->row. */
static quartet_status past_values(table_scan *s, struct slice key, struct slice record, bool *live, struct err *err)
{
    const struct table_def *t = s->table;
    struct row row;
    bool simple = history_is_present(record, s->past.as_of);
    quartet_status rc = simple ? simple_values(s, record, err) : history_row(&s->past, key, record, &s->batch, &row, err);
    *live = rc == QUARTET_OK && (simple || row_live(&row));
    if (!*live)
        return rc;
    struct bytes_in in = bytes_in(key.p, key.n);
    for (uint32_t k = 0; k < t->key_count; k++)
        if (!key_get(&in, &t->keys[k], &s->row[t->key_columns[k]], &s->batch))
            return damaged_key(s, err);
    for (uint32_t i = 0; !simple && i < t->rows.count; i++)
        if (!row_show_column(&row, &t->rows, &s->chains, i, &s->batch, &s->row[t->record_columns[i]]))
            return arena_fail(&s->batch, err);
    rc = t->sets_below ? kind_show_sets(t, s->row, &s->batch, err) : QUARTET_OK;
    return rc == QUARTET_OK && t->derived_count > 0 && s->judge != NULL ? derived_fill(t, s->row, &s->batch, err) : rc;
}

static quartet_status next_past(table_scan *s, uint32_t limit, struct batch *out, struct err *err)
{
    while (out->n == 0) {
        struct kv_rows rows;
        quartet_status rc = next_rows(s, limit, &rows, err);
        if (rc != QUARTET_OK || rows.n == 0)
            return rc;
        for (uint32_t r = 0; r < rows.n; r++) {
            bool live = false;
            rc = past_values(s, rows.keys[r], rows.records[r], &live, err);
            if (rc == QUARTET_OK && live && s->judge != NULL)
                rc = past_judge_row(s->judge, rows.keys[r], s->row, &live, err);
            for (uint32_t i = 0; live && i < s->column_count && rc == QUARTET_OK; i++)
                if (!vec_set(&s->vecs[i], out->n, &s->row[s->columns[i]], rows.n, &s->batch))
                    rc = arena_fail(&s->batch, err);
            if (rc != QUARTET_OK)
                return rc;
            if (live)
                s->key_slices[out->n++] = rows.keys[r];
        }
    }
    if (s->want_keys)
        out->keys = s->key_slices;
    return QUARTET_OK;
}

static quartet_status next_plain(table_scan *s, uint32_t limit, struct batch *out, struct err *err)
{
    *out = (struct batch){.col_count = s->column_count, .cols = s->vecs};
    arena_rewind(&s->batch, (struct arena_mark){0});
    if (s->orphans && !s->testing)
        return QUARTET_OK; /* there are none */
    if (s->past.as_of != 0)
        return next_past(s, limit, out, err);
    if (s->point)
        return next_by_point(s, out, err);
    return s->index != NULL ? next_by_index(s, limit, out, err) : next_by_key(s, limit, out, err);
}

quartet_status table_scan_next(table_scan *s, uint32_t limit, struct batch *out, struct err *err)
{
    quartet_status rc = next_plain(s, limit, out, err);
    return rc == QUARTET_OK && s->derived != NULL && out->n > 0 ? scan_derived_next(s->derived, out, err) : rc;
}

quartet_status table_scan_late(table_scan *s, struct batch *b, struct err *err)
{
    if (s->point || s->index != NULL || s->want.late == NULL)
        return QUARTET_OK;
    quartet_status rc = kv_iter_late(s->it, b->sel, b->n, err);
    for (uint32_t i = 0; i < s->column_count && rc == QUARTET_OK; i++)
        if (s->from[i] >= 0 && element_of(s->table, s->columns[i]) == NULL) /* those were not late */
            s->vecs[i] = s->cols[s->from[i]];
    if (rc == QUARTET_OK && s->derived != NULL)
        scan_derived_late(s->derived, s->vecs);
    return rc;
}

/* any: quarantined rows too. */
static quartet_status get_row(txn *t, const struct table_def *table, struct slice key, bool any, struct value *values, struct arena *a, bool *found,
                              struct err *err)
{
    struct slice record;
    bool own;
    quartet_status rc = txn_note_point(t, table->id, key, err);
    if (rc == QUARTET_OK)
        rc = txn_row(t, table->id, key, t->statement, &record, &own, found, err);
    if (rc != QUARTET_OK || !*found)
        return rc;
    const void *copy = arena_dup(a, record.p, record.n);
    const void *key_copy = arena_dup(a, key.p, key.n);
    if (copy == NULL || key_copy == NULL)
        return arena_fail(a, err);
    struct slice k = slice_of(key_copy, key.n), r = slice_of(copy, record.n);
    return any ? table_decode_hidden(table, k, r, values, a, found, err) : table_decode(table, k, r, values, a, found, err);
}

quartet_status table_get_any(txn *t, const struct table_def *table, struct slice key, struct value *values, struct arena *a, bool *found, struct err *err)
{
    return get_row(txn_of(t, table), table, key, true, values, a, found, err);
}

quartet_status table_get(txn *t, const struct table_def *table, struct slice key, struct value *values, struct arena *a, bool *found, struct err *err)
{
    t = txn_of(t, table);
    quartet_status rc = get_row(t, table, key, false, values, a, found, err);
    if (rc != QUARTET_OK || !*found || table->foreign_key_count == 0)
        return rc;
    struct orphan_filter orphans = {0};
    bool orphan = false;
    rc = orphan_filter_start(&orphans, t, table, true, err);
    if (rc == QUARTET_OK && orphans.on)
        rc = orphan_filter_test(&orphans, values, key, &orphan, err);
    orphan_filter_deinit(&orphans);
    *found = rc == QUARTET_OK && !orphan;
    return rc;
}
