/* kv_help.h - for tests of the store: its naive model, which keeps every version of every key in a plain list; random writes to both; what reads must show. */
#ifndef TESTS_UNIT_ENGINE_KV_HELP_H
#define TESTS_UNIT_ENGINE_KV_HELP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/prng.h"
#include "crdt/row.h"
#include "engine/kv.h"

#define KEYS_MAX 4000
#define TREES 3
#define COLUMNS 5

/* The model: every version of every key that was ever put, in a plain list. */
struct fact {
    tree_id tree;
    uint32_t key;
    apply_no at;
    struct buf record; /* data NULL: erased */
    bool erased;
};
struct model {
    struct fact *facts;
    size_t count, cap;
    struct prng rng;
    uint32_t key_count;
    bool long_keys, no_bulk;
};

static inline void model_free(struct model *m)
{
    for (size_t i = 0; i < m->count; i++)
        buf_deinit(&m->facts[i].record);
    free(m->facts);
}

static inline void key_of(const struct model *m, uint32_t number, struct buf *out)
{
    buf_clear(out);
    uint8_t be[8];
    store_be64(be, number);
    if (m->long_keys && number % 3 == 0) { /* one prefix of 600 bytes for a group of keys, then 8 KiB ones */
        uint8_t fill[8000];
        memset(fill, (int)(number / 600), sizeof fill);
        buf_put(out, fill, number % 9 == 0 ? 8000 : 600);
    } else {
        buf_put(out, be, 3);
    }
    buf_put(out, be + 3, 5);
    if (number % 7 == 0)
        buf_put(out, "x", 1);
}

static inline struct value random_value(struct prng *r, uint32_t column)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog and runs away from here";
    struct value v = VALUE_NULL_INIT;
    if (prng_chance(r, 0.1))
        return v;
    switch (prng_chance(r, 0.02) ? prng_below(r, 6) : column) {
    case 0:
        return value_int((int64_t)prng_u64(r) >> prng_below(r, 60));
    case 1:
        v.type = VALUE_REAL;
        v.r = prng_unit(r);
        return v;
    case 2:
        return value_text(text, prng_chance(r, 0.001) ? 60 : prng_below(r, 40));
    case 3:
        v.type = VALUE_DECIMAL;
        v.scale = 2;
        v.dec = dec_make((int64_t)prng_u64(r));
        return v;
    default:
        return value_int(7);
    }
}

static inline void random_record(struct prng *r, tree_id tree, struct buf *out)
{
    buf_clear(out);
    if (tree == 2)
        return; /* index entries */
    struct value values[COLUMNS];
    uint32_t count = prng_chance(r, 0.05) ? (uint32_t)prng_below(r, COLUMNS + 1) : COLUMNS;
    for (uint32_t i = 0; i < count; i++)
        values[i] = random_value(r, i);
    struct ver ver = {.stamp = 1000 + (prng_chance(r, 0.5) ? 0 : prng_below(r, 3)), .chain = (chain_no)(prng_chance(r, 0.1) ? 1 : 0)};
    if (prng_chance(r, 0.9)) {
        record_put_simple(out, ver, values, count);
        record_set_hidden(out->data, out->len, prng_chance(r, 0.05));
        return;
    }
    struct buf encoded = {0};
    struct record_view view = {.flags = prng_chance(r, 0.5) ? RECORD_LIVE : 0, .meta = slice_of("metadata", prng_below(r, 9))};
    if (view.flags != 0)
        for (uint32_t i = 0; i < count; i++)
            value_encode(&encoded, &values[i]);
    view.value_count = view.flags != 0 ? count : 0;
    view.values = slice_of(encoded.data, encoded.len);
    record_put(out, &view);
    buf_deinit(&encoded);
}

static inline const struct fact *model_find(const struct model *m, tree_id tree, uint32_t key, apply_no at)
{
    for (size_t i = m->count; i-- > 0;) {
        const struct fact *f = &m->facts[i];
        if (f->tree == tree && f->key == key && f->at <= at)
            return f->erased ? NULL : f;
    }
    return NULL;
}

static inline int op_cmp(const void *x, const void *y)
{
    const struct kv_op *a = x, *b = y;
    return a->tree != b->tree ? (a->tree < b->tree ? -1 : 1) : slice_cmp(a->key, b->key);
}

/* The same operations as a large transaction: in order or not, after others that were given up. */
static inline void apply_bulk(struct model *m, kv *s, struct kv_op *ops, size_t n, apply_no at)
{
    struct err err = ERR_INIT;
    kv_bulk *b;
    if (prng_chance(&m->rng, 0.3)) {
        CU_ASSERT_EQUAL_FATAL(kv_bulk_begin(s, &b, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(kv_bulk_put(b, 1, slice_of("never", 5), slice_of("", 0), &err), QUARTET_OK);
        kv_bulk_abort(b);
    }
    CU_ASSERT_EQUAL_FATAL(kv_bulk_begin(s, &b, &err), QUARTET_OK);
    for (size_t i = 0; i < n && prng_chance(&m->rng, 0.5); i++) /* put twice: the later one counts */
        CU_ASSERT_EQUAL(kv_bulk_put(b, ops[i].tree, ops[i].key, slice_of("", 0), &err), QUARTET_OK);
    if (prng_chance(&m->rng, 0.5))
        qsort(ops, n, sizeof *ops, op_cmp);
    for (size_t i = 0; i < n; i++)
        CU_ASSERT_EQUAL(kv_bulk_put(b, ops[i].tree, ops[i].key, ops[i].record, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_bulk_commit(b, at, &err), QUARTET_OK);
}

static inline void apply_random(struct model *m, kv *s, apply_no at)
{
    struct kv_op ops[24];
    struct buf keys[24] = {0};
    size_t n = 1 + prng_below(&m->rng, 24);
    bool used[24];
    for (size_t i = 0; i < n; i++) {
        if (m->count == m->cap) {
            m->cap = m->cap == 0 ? 1024 : m->cap * 2;
            m->facts = realloc(m->facts, m->cap * sizeof *m->facts);
        }
        struct fact *f = &m->facts[m->count];
        *f = (struct fact){.tree = 1 + prng_below(&m->rng, TREES), .key = (uint32_t)prng_below(&m->rng, m->key_count), .at = at};
        used[i] = true;
        for (size_t k = 0; k < i; k++)
            used[i] = used[i] && !(m->facts[m->count - 1 - k].at == at && m->facts[m->count - 1 - k].tree == f->tree &&
                                   m->facts[m->count - 1 - k].key == f->key);
        if (!used[i]) {
            n = i;
            break;
        }
        f->erased = prng_chance(&m->rng, 0.2);
        if (!f->erased)
            random_record(&m->rng, f->tree, &f->record);
        key_of(m, f->key, &keys[i]);
        ops[i] = (struct kv_op){.tree = f->tree, .key = slice_of(keys[i].data, keys[i].len)};
        ops[i].record = f->erased ? slice_of(NULL, 0) : slice_of(f->record.data != NULL ? f->record.data : (const uint8_t *)"", f->record.len);
        m->count++;
    }
    struct err err = ERR_INIT;
    if (!m->no_bulk && prng_chance(&m->rng, 0.1))
        apply_bulk(m, s, ops, n, at);
    else
        CU_ASSERT_EQUAL(kv_apply(s, ops, n, at, &err), QUARTET_OK);
    if (at % 2 == 0)
        kv_settle(s);
    kv_publish(s, at);
    for (size_t i = 0; i < 24; i++)
        buf_deinit(&keys[i]);
}

struct expected {
    uint32_t number;
    struct buf key;
    const struct fact *fact;
};

static inline int expected_cmp(const void *x, const void *y)
{
    const struct expected *a = x, *b = y;
    return slice_cmp(slice_of(a->key.data, a->key.len), slice_of(b->key.data, b->key.len));
}

static inline bool same_value(const struct value *a, const struct value *b)
{
    return value_identical(a, b);
}

/* Compare one row of a scan with what the model says, but for columns with skip set (NULL: none). */
static inline bool row_right(const struct expected *e, const struct kv_rows *rows, uint32_t k, const uint16_t *columns, uint32_t column_count,
                      const bool *skip)
{
    struct slice record = slice_of(e->fact->record.data, e->fact->record.len);
    if (!slice_eq(rows->keys[k], slice_of(e->key.data, e->key.len)) || !slice_eq(rows->records[k], record))
        return false;
    struct record_view view = {.flags = RECORD_LIVE};
    if (record.n > 0 && !record_view(record, &view))
        return false;
    struct value values[COLUMNS];
    struct bytes_in in = bytes_in(view.values.p, view.values.n);
    for (uint32_t i = 0; i < view.value_count; i++)
        if (!value_decode(&in, &values[i]))
            return false;
    for (uint32_t c = 0; c < column_count; c++) {
        struct value got = vec_get(&rows->cols[c], k), want = VALUE_NULL_INIT;
        if ((view.flags & RECORD_LIVE) != 0)
            want = columns[c] < view.value_count ? values[columns[c]] : value_int(99);
        if ((skip == NULL || !skip[c]) && !same_value(&got, &want))
            return false;
    }
    return true;
}

static inline bool fact_live(const struct fact *f)
{
    struct record_view view;
    return f->record.len == 0 || (record_view(slice_of(f->record.data, f->record.len), &view) && (view.flags & RECORD_LIVE) != 0);
}

/* Fill the late columns of some rows, or of all; *chosen gets a 1 for each. */
static inline void fill_late(struct prng *r, kv_iter *it, uint32_t n, uint8_t *chosen)
{
    struct err err = ERR_INIT;
    uint16_t sel[BATCH_ROWS_MAX];
    uint32_t count = 0;
    double share = prng_chance(r, 0.5) ? 0.02 : 0.5;
    bool all = prng_chance(r, 0.3);
    for (uint32_t k = 0; k < n; k++) {
        chosen[k] = all || prng_chance(r, share);
        if (chosen[k] != 0)
            sel[count++] = (uint16_t)k;
    }
    CU_ASSERT_EQUAL(kv_iter_late(it, all ? NULL : sel, all ? n : count, &err), QUARTET_OK);
}

static inline void check_scan(struct model *m, kv_snap *snap, tree_id tree, bool dead, bool reverse, bool whole)
{
    struct err err = ERR_INIT;
    struct buf lo = {0}, hi = {0};
    key_of(m, (uint32_t)prng_below(&m->rng, m->key_count), &lo);
    key_of(m, (uint32_t)prng_below(&m->rng, m->key_count), &hi);
    struct kv_range range = {.lo = slice_of(lo.data, lo.len), .hi = slice_of(hi.data, hi.len)};
    if (whole)
        range = (struct kv_range){.hi_open = true};
    struct expected *want = calloc(m->key_count, sizeof *want);
    size_t want_count = 0;
    for (uint32_t k = 0; k < m->key_count; k++) {
        struct expected e = {.number = k, .fact = model_find(m, tree, k, kv_snap_at(snap))};
        if (e.fact == NULL || (!dead && !fact_live(e.fact)))
            continue;
        key_of(m, k, &e.key);
        struct slice key = slice_of(e.key.data, e.key.len);
        if (whole || (slice_cmp(key, range.lo) >= 0 && slice_cmp(key, range.hi) < 0))
            want[want_count++] = e;
        else
            buf_deinit(&e.key);
    }
    qsort(want, want_count, sizeof *want, expected_cmp);
    uint16_t columns[4] = {2, 0, 6, 3};
    struct value missing[4] = {value_int(99), value_int(99), value_int(99), value_int(99)};
    struct kv_want w = {.columns = columns, .column_count = 4, .missing = missing, .keys = true, .records = true, .dead = dead, .reverse = reverse};
    bool late[4], some_late = prng_chance(&m->rng, 0.5);
    uint8_t chosen[BATCH_ROWS_MAX];
    for (int i = 0; i < 4; i++)
        late[i] = prng_chance(&m->rng, 0.6);
    w.late = some_late ? late : NULL;
    kv_iter *it = NULL;
    CU_ASSERT_EQUAL_FATAL(kv_iter_open(snap, NULL, tree, &range, &w, &it, &err), QUARTET_OK);
    size_t at = 0;
    bool good = true;
    for (;;) {
        struct kv_rows rows;
        uint32_t limit = (uint32_t)prng_below(&m->rng, 3) * 37;
        CU_ASSERT_EQUAL_FATAL(kv_iter_next(it, limit, &rows, &err), QUARTET_OK);
        if (rows.n == 0)
            break;
        if (some_late)
            fill_late(&m->rng, it, rows.n, chosen);
        for (uint32_t k = 0; k < rows.n && good; k++, at++)
            good = at < want_count && row_right(&want[reverse ? want_count - 1 - at : at], &rows, k, columns, 4,
                                                some_late && chosen[k] == 0 ? late : NULL);
        if (!good)
            break;
    }
    if (!good || at != want_count)
        fprintf(stderr, "scan: tree %d dead %d reverse %d whole %d: row %zu of %zu\n", (int)tree, dead, reverse, whole, at, want_count);
    CU_ASSERT_TRUE(good);
    CU_ASSERT_EQUAL(at, want_count);
    kv_iter_close(it);
    for (size_t i = 0; i < want_count; i++)
        buf_deinit(&want[i].key);
    free(want);
    buf_deinit(&lo);
    buf_deinit(&hi);
}

/* Columns of a row read on their own are those of its record. */
static inline void check_values(kv_snap *snap, const struct kv_overlay *over, tree_id tree, struct slice key, const struct buf *record)
{
    static const uint16_t columns[] = {COLUMNS - 1, 0, COLUMNS + 3, 2, 2};
    struct value got[5], missing[5] = {value_int(-1), value_int(-2), value_int(-3), value_int(-4), value_int(-5)}, want[COLUMNS];
    struct kv_want w = {.columns = columns, .column_count = 5, .missing = missing};
    struct record_view view = {.flags = RECORD_LIVE};
    struct arena a = {0};
    struct err err = ERR_INIT;
    if (record != NULL && record->len > 0)
        CU_ASSERT_TRUE_FATAL(record_view(slice_of(record->data, record->len), &view));
    bool live = record != NULL && (view.flags & RECORD_LIVE) != 0;
    CU_ASSERT_EQUAL(kv_get_values(snap, over, tree, key, &w, got, &a, &err), live ? QUARTET_OK : QUARTET_NOTFOUND);
    struct bytes_in in = bytes_in(view.values.p, view.values.n);
    for (uint32_t i = 0; live && i < view.value_count; i++)
        CU_ASSERT_TRUE(value_decode(&in, &want[i]));
    for (uint32_t i = 0; live && i < 5; i++)
        CU_ASSERT_TRUE(value_identical(&got[i], columns[i] < view.value_count ? &want[columns[i]] : &missing[i]));
    arena_free_all(&a);
}

static inline void check_gets(struct model *m, kv_snap *snap)
{
    struct err err = ERR_INIT;
    struct buf key = {0}, got = {0};
    for (int i = 0; i < 60; i++) {
        tree_id tree = 1 + prng_below(&m->rng, TREES);
        uint32_t k = (uint32_t)prng_below(&m->rng, m->key_count);
        key_of(m, k, &key);
        buf_clear(&got);
        quartet_status rc = kv_get(snap, NULL, tree, slice_of(key.data, key.len), &got, &err);
        const struct fact *f = model_find(m, tree, k, kv_snap_at(snap));
        CU_ASSERT_EQUAL(rc, f != NULL ? QUARTET_OK : QUARTET_NOTFOUND);
        if (rc != (f != NULL ? QUARTET_OK : QUARTET_NOTFOUND))
            fprintf(stderr, "get: rc %d, tree %d, key %u, at %d of %d\n", rc, (int)tree, k, f != NULL ? (int)f->at : -1, (int)kv_snap_at(snap));
        if (f != NULL)
            CU_ASSERT_TRUE(slice_eq(slice_of(got.data, got.len), slice_of(f->record.data, f->record.len)));
        check_values(snap, NULL, tree, slice_of(key.data, key.len), f != NULL ? &f->record : NULL);
    }
    buf_deinit(&key);
    buf_deinit(&got);
}

/* All rows of a tree as text: key and record lengths and bytes. */
static inline quartet_status dump(kv_snap *snap, const struct kv_overlay *over, tree_id tree, bool reverse, struct buf *out, struct err *err)
{
    kv_iter *it = NULL;
    struct kv_want want = {.keys = true, .records = true, .dead = true, .reverse = reverse};
    struct kv_range all = {.hi_open = true};
    quartet_status rc = kv_iter_open(snap, over, tree, &all, &want, &it, err);
    while (rc == QUARTET_OK) {
        struct kv_rows rows;
        rc = kv_iter_next(it, 0, &rows, err);
        if (rc != QUARTET_OK || rows.n == 0)
            break;
        for (uint32_t k = 0; k < rows.n; k++) {
            buf_varint(out, rows.keys[k].n);
            buf_put(out, rows.keys[k].p, rows.keys[k].n);
            buf_varint(out, rows.records[k].n);
            buf_put(out, rows.records[k].p, rows.records[k].n);
        }
    }
    kv_iter_close(it);
    return rc;
}

static inline void remove_dir(const char *dir)
{
    char path[300];
    static const char *const names[] = {"base.mdb", "base.mdb-lock"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

#endif
