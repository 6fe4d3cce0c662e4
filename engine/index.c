/* index.c - entries of secondary indexes: their keys, the check for UNIQUE, and filling a new one.
 * An entry's key is the indexed columns, then the row's whole primary key, so that equal values are neighbours and an entry names its row.
 * Why NOCASE is folded here and not in the row: the row keeps what was written, only comparing ignores case.
 * Not here: which rows are visible where UNIQUE is broken between nodes (claim.c). */
#include <string.h>

#include "base/mem.h"
#include "collate.h"
#include "kv_sort.h"
#include "table_internal.h"
#include "types.h"

void index_put_column(const struct table_def *t, const struct index_def *ix, uint32_t i, const struct value *v, struct buf *out, struct buf *fold)
{
    if (!t->columns[ix->columns[i]].nocase || v->type != VALUE_TEXT) {
        key_put(out, &ix->keys[i], v);
        return;
    }
    struct arena a = {0};
    struct slice same;
    (void)fold; /* the caller's buffer; folding needs an arena */
    if (!collate_fold(v->s, &a, &same)) {
        out->failed = true;
        arena_free_all(&a);
        return;
    }
    struct value folded = value_text(same.p, same.n);
    key_put(out, &ix->keys[i], &folded);
    arena_free_all(&a);
}

quartet_status index_key(const struct table_def *t, const struct index_def *ix, const struct value *values, struct slice primary, struct buf *out,
                         struct err *err)
{
    struct buf fold = {0};
    buf_clear(out);
    for (uint32_t i = 0; i < ix->column_count; i++)
        index_put_column(t, ix, i, &values[ix->columns[i]], out, &fold);
    buf_put(out, primary.p, primary.n);
    buf_deinit(&fold);
    if (out->failed)
        return err_nomem(err);
    if (out->len > KEY_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "an entry of index %s has %zu bytes, limit %u", ix->name, out->len, KEY_BYTES_MAX);
    return QUARTET_OK;
}

bool index_holds(const struct index_def *ix, const struct value *values)
{
    return ix->where == INDEX_WHOLE || types_truth(&values[ix->where]) == 1;
}

bool index_claims(const struct index_def *ix, const struct value *values)
{
    for (uint32_t i = 0; i < ix->column_count; i++)
        if (values[ix->columns[i]].type == VALUE_NULL)
            return false;
    return index_holds(ix, values);
}

size_t index_prefix(const struct index_def *ix, struct slice entry)
{
    struct bytes_in in = bytes_in(entry.p, entry.n);
    for (uint32_t i = 0; i < ix->column_count; i++)
        if (!key_skip(&in, &ix->keys[i]))
            return 0;
    return entry.n - in.left;
}

/* An iterator for entries of the index in this range, from the last look where there is one. */
static quartet_status look_begin(txn *t, tree_id tree, const struct kv_range *range, kv_iter **out, struct err *err)
{
    struct unique_look *look = &t->looks[tree % TXN_UNIQUE_LOOKS];
    struct kv_want want = {.keys = true};
    struct kv_overlay over;
    quartet_status rc = txn_overlay(t, t->statement, &over, err);
    if (rc != QUARTET_OK)
        return rc;
    if (look->it != NULL && look->tree != tree) {
        kv_iter_close(look->it);
        look->it = NULL;
    }
    look->tree = tree;
    rc = look->it != NULL ? kv_iter_restart(look->it, t->snap, &over, range, err) : kv_iter_open(t->snap, &over, tree, range, &want, &look->it, err);
    *out = look->it;
    return rc;
}

quartet_status index_check_unique(txn *t, const struct table_def *table, const struct index_def *ix, const struct value *values, struct slice own_key,
                                  struct arena *a, struct slice *other, bool *taken, struct err *err)
{
    *taken = false;
    if (!index_claims(ix, values))
        return QUARTET_OK; /* NULLs differ from each other */
    quartet_status rc = index_key(table, ix, values, (struct slice){0}, &t->entry, err);
    if (rc != QUARTET_OK)
        return rc;
    struct buf hi = {0};
    buf_put(&hi, t->entry.data, t->entry.len);
    struct kv_range range = {.lo = slice_of(t->entry.data, t->entry.len)};
    range.hi_open = !key_prefix_end(&hi);
    range.hi = slice_of(hi.data, hi.len);
    kv_iter *it = NULL;
    struct kv_rows rows = {0};
    rc = hi.failed ? err_nomem(err) : look_begin(t, ix->id, &range, &it, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_next(it, 2, &rows, err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n && !*taken; i++) {
        struct slice key = slice_of(rows.keys[i].p + range.lo.n, rows.keys[i].n - range.lo.n);
        if (slice_eq(key, own_key))
            continue;
        *taken = true;
        *other = slice_of(arena_dup(a, key.p, key.n), key.n);
        rc = other->p == NULL ? arena_fail(a, err) : txn_note_range(t, ix->id, &range, err);
    }
    if (it != NULL)
        kv_iter_rest(it);
    buf_deinit(&hi);
    return rc;
}

struct own_fill {
    txn *t;
    const struct table_def *table;
    const struct index_def *ix;
    kv_sort *sort;
    struct arena a;
    struct value *values;
    struct buf last; /* the entry before, of a UNIQUE index */
};

/* The next one in order: rows with equal values are neighbours then. */
static quartet_status own_entry(void *arg, tree_id tree, struct slice key, struct slice record, struct err *err)
{
    struct own_fill *f = arg;
    size_t n = f->ix->unique ? index_prefix(f->ix, key) : 0;
    if (f->ix->unique && f->last.len >= n && f->last.len > 0 && memcmp(f->last.data, key.p, n) == 0 && index_prefix(f->ix, slice_of(f->last.data, f->last.len)) == n) {
        arena_rewind(&f->a, (struct arena_mark){0});
        bool null = false;
        struct bytes_in in = bytes_in(key.p, key.n);
        for (uint32_t i = 0; i < f->ix->column_count && !null; i++) {
            struct value v;
            if (!key_get(&in, &f->ix->keys[i], &v, &f->a))
                return err_set(err, QUARTET_INTERNAL, "index %s: a damaged entry", f->ix->name);
            null = v.type == VALUE_NULL;
        }
        if (!null) /* NULLs differ from each other */
            return err_set(err, QUARTET_CONSTRAINT, "UNIQUE index %s cannot be made: table %s has rows with equal values", f->ix->name, f->table->name);
    }
    if (f->ix->unique) {
        buf_clear(&f->last);
        buf_put(&f->last, key.p, key.n);
        if (f->last.failed)
            return err_nomem(err);
    }
    quartet_status rc = txn_writable(f->t, err);
    return rc == QUARTET_OK ? kv_own_put(f->t->writes, tree, key, f->t->statement, record, err) : rc;
}

static quartet_status own_rows(struct own_fill *f, table_scan *s, struct err *err)
{
    for (;;) {
        struct batch b;
        quartet_status rc = table_scan_next(s, 0, &b, err);
        if (rc != QUARTET_OK || b.n == 0)
            return rc;
        for (uint32_t r = 0; r < b.n && rc == QUARTET_OK; r++) {
            for (uint32_t i = 0; i < f->table->column_count; i++)
                f->values[i] = vec_get(&b.cols[i], r);
            if (!index_holds(f->ix, f->values))
                continue;
            rc = index_key(f->table, f->ix, f->values, b.keys[r], &f->t->entry, err);
            if (rc == QUARTET_OK)
                rc = kv_sort_put(f->sort, f->ix->id, slice_of(f->t->entry.data, f->t->entry.len), slice_of("", 0), err);
        }
        if (rc != QUARTET_OK)
            return rc;
    }
}

quartet_status index_fill_own(txn *t, const struct table_def *table, const struct index_def *ix, struct err *err)
{
    struct arena a = {0};
    struct own_fill f = {.t = t, .table = table, .ix = ix};
    struct scan_want want = {.keys = true};
    struct kv_run_place place = db_run_place(t->d);
    table_scan *s = NULL;
    uint32_t *columns = arena_zalloc(&a, table->column_count, sizeof *columns);
    f.values = arena_zalloc(&a, table->column_count, sizeof *f.values);
    quartet_status rc = columns == NULL || f.values == NULL ? arena_fail(&a, err) : kv_sort_new(&place, &f.sort, err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < table->column_count; i++)
        columns[i] = i;
    want.columns = columns;
    want.column_count = table->column_count;
    if (rc == QUARTET_OK)
        rc = table_scan_open(t, table, NULL, NULL, &want, &s, err);
    if (rc == QUARTET_OK)
        rc = own_rows(&f, s, err);
    table_scan_close(s); /* before what it reads may go to disk */
    if (rc == QUARTET_OK)
        rc = kv_sort_drain(f.sort, own_entry, &f, err);
    kv_sort_free(f.sort);
    buf_deinit(&f.last);
    arena_free_all(&f.a);
    arena_free_all(&a);
    return rc;
}
