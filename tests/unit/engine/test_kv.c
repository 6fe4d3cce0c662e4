/* test_kv.c - the store against a naive model: random puts, erasures, flushes, snapshots, scans both ways, on both bases. */
#include "unit/cunit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/prng.h"
#include "engine/kv.h"
#include "crdt/row.h"

const char *const unit_suite = "kv";

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

static void model_free(struct model *m)
{
    for (size_t i = 0; i < m->count; i++)
        buf_deinit(&m->facts[i].record);
    free(m->facts);
}

static void key_of(const struct model *m, uint32_t number, struct buf *out)
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

static struct value random_value(struct prng *r, uint32_t column)
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

static void random_record(struct prng *r, tree_id tree, struct buf *out)
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

static const struct fact *model_find(const struct model *m, tree_id tree, uint32_t key, apply_no at)
{
    for (size_t i = m->count; i-- > 0;) {
        const struct fact *f = &m->facts[i];
        if (f->tree == tree && f->key == key && f->at <= at)
            return f->erased ? NULL : f;
    }
    return NULL;
}

static int op_cmp(const void *x, const void *y)
{
    const struct kv_op *a = x, *b = y;
    return a->tree != b->tree ? (a->tree < b->tree ? -1 : 1) : slice_cmp(a->key, b->key);
}

/* The same operations as a large transaction: in order or not, after others that were given up. */
static void apply_bulk(struct model *m, kv *s, struct kv_op *ops, size_t n, apply_no at)
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

static void apply_random(struct model *m, kv *s, apply_no at)
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

static int expected_cmp(const void *x, const void *y)
{
    const struct expected *a = x, *b = y;
    return slice_cmp(slice_of(a->key.data, a->key.len), slice_of(b->key.data, b->key.len));
}

static bool same_value(const struct value *a, const struct value *b)
{
    return value_identical(a, b);
}

/* Compare one row of a scan with what the model says, but for columns with skip set (NULL: none). */
static bool row_right(const struct expected *e, const struct kv_rows *rows, uint32_t k, const uint16_t *columns, uint32_t column_count,
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

static bool fact_live(const struct fact *f)
{
    struct record_view view;
    return f->record.len == 0 || (record_view(slice_of(f->record.data, f->record.len), &view) && (view.flags & RECORD_LIVE) != 0);
}

/* Fill the late columns of some rows, or of all; *chosen gets a 1 for each. */
static void fill_late(struct prng *r, kv_iter *it, uint32_t n, uint8_t *chosen)
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

static void check_scan(struct model *m, kv_snap *snap, tree_id tree, bool dead, bool reverse, bool whole)
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
static void check_values(kv_snap *snap, const struct kv_overlay *over, tree_id tree, struct slice key, const struct buf *record)
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

static void check_gets(struct model *m, kv_snap *snap)
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

static void remove_dir(const char *dir)
{
    char path[300];
    static const char *const names[] = {"base.mdb", "base.mdb-lock"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static quartet_status checkpoint(void *ctx, apply_no through, struct buf *out, struct err *err)
{
    (void)ctx;
    buf_u64(out, through);
    return buf_check(out, err);
}

static void run_model(bool in_memory, bool threads, bool long_keys, uint32_t key_count, uint32_t steps, uint64_t seed)
{
    struct model m = {.key_count = key_count, .long_keys = long_keys};
    prng_seed(&m.rng, seed);
    struct env env = *env_posix();
    env.threads = threads;
    char dir[] = "/tmp/quartet_kv_XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    struct kv_options options = {.buffer_bytes = 40000, .in_memory = in_memory};
    struct kv_host host = {.checkpoint = checkpoint};
    struct buf stored = {0};
    struct err err = ERR_INIT;
    kv *s = NULL;
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, dir, &options, &host, &s, &stored, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(stored.len, 0);
    kv_snap *held[6] = {0};
    apply_no at = 0;
    uint64_t flushes = 0;
    struct kv_stats stats;
    for (uint32_t step = 0; step < steps && CU_get_number_of_failures() == 0; step++) {
        apply_random(&m, s, ++at);
        uint64_t dice = prng_below(&m.rng, 100);
        kv_snap **slot = &held[prng_below(&m.rng, 6)];
        if (dice < 10) {
            kv_release(*slot);
            CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, slot, &err), QUARTET_OK);
        }
        if (dice < 20 && *slot != NULL) {
            check_gets(&m, *slot);
            check_scan(&m, *slot, 1 + prng_below(&m.rng, TREES), dice % 2 == 0, dice % 3 == 0, dice % 5 == 0);
        }
        if (dice == 50) {
            quartet_status rc = kv_flush(s, &err);
            if (rc != QUARTET_OK)
                fprintf(stderr, "flush: %s\n", err.text);
            CU_ASSERT_EQUAL(rc, QUARTET_OK);
        }
        if (dice == 60 && !in_memory) {
            for (size_t i = 0; i < 6; i++) {
                kv_release(held[i]);
                held[i] = NULL;
            }
            CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
            kv_stats(s, &stats);
            flushes += stats.flushes;
            kv_close(s);
            buf_clear(&stored);
            CU_ASSERT_EQUAL_FATAL(kv_open(&env, dir, &options, &host, &s, &stored, &err), QUARTET_OK);
            CU_ASSERT_EQUAL_FATAL(stored.len, 8);
            CU_ASSERT_EQUAL(load_le64(stored.data), at);
            kv_publish(s, at);
        }
        CU_ASSERT_EQUAL(kv_health(s, &err), QUARTET_OK);
    }
    if (CU_get_number_of_failures() != 0)
        fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    kv_stats(s, &stats);
    CU_ASSERT_TRUE(flushes + stats.flushes > 0 || CU_get_number_of_failures() > 0);
    for (size_t i = 0; i < 6; i++)
        kv_release(held[i]);
    kv_close(s);
    buf_deinit(&stored);
    model_free(&m);
    remove_dir(dir);
}

static void test_kv_memory_agrees_with_model(void)
{
    run_model(true, false, false, 2000, 300, unit_seed(1));
}

static void test_kv_lmdb_agrees_with_model(void)
{
    run_model(false, false, false, 2000, 300, unit_seed(2));
}

static void test_kv_flusher_agrees_with_model(void)
{
    run_model(true, true, false, 1000, 250, unit_seed(3));
    run_model(false, true, false, 1000, 250, unit_seed(4));
}

static void test_kv_long_keys_agree_with_model(void)
{
    run_model(true, false, true, 1500, 200, unit_seed(5));
    run_model(false, false, true, 1500, 200, unit_seed(6));
}

/* All rows of a tree as text: key and record lengths and bytes. */
static quartet_status dump(kv_snap *snap, const struct kv_overlay *over, tree_id tree, bool reverse, struct buf *out, struct err *err)
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

static void test_kv_overlay_reads_as_if_it_were_applied(void)
{
    struct err err = ERR_INIT;
    struct model m = {.key_count = 800};
    struct env env = *env_posix();
    struct kv_options options = {.buffer_bytes = 30000, .in_memory = true};
    struct buf none = {0};
    kv *s = NULL;
    env.threads = false;
    prng_seed(&m.rng, unit_seed(11));
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &none, &err), QUARTET_OK);
    apply_no at = 0;
    for (uint32_t round = 0; round < 40; round++) {
        for (uint32_t i = 0; i < 8; i++)
            apply_random(&m, s, ++at);
        kv_snap *before = NULL, *after = NULL;
        CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &before, &err), QUARTET_OK);
        size_t first = m.count;
        apply_random(&m, s, ++at);
        CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &after, &err), QUARTET_OK);
        kv_own *own = kv_own_new();
        for (size_t i = first; i < m.count; i++) {
            const struct fact *f = &m.facts[i];
            struct buf key = {0};
            key_of(&m, f->key, &key);
            struct slice record = slice_of(f->record.data != NULL ? f->record.data : (const uint8_t *)"", f->record.len);
            CU_ASSERT_EQUAL(kv_own_put(own, f->tree, slice_of(key.data, key.len), 5, f->erased ? slice_of(NULL, 0) : record, &err), QUARTET_OK);
            CU_ASSERT_EQUAL(kv_own_put(own, f->tree, slice_of(key.data, key.len), 6, slice_of("later", 5), &err), QUARTET_OK);
            kv_own_rollback(own, 5);
            buf_deinit(&key);
        }
        struct kv_overlay over = {.own = own, .through = 5};
        for (tree_id tree = 1; tree <= TREES; tree++) {
            struct buf a = {0}, b = {0};
            CU_ASSERT_EQUAL(dump(before, &over, tree, round % 2 == 0, &a, &err), QUARTET_OK);
            CU_ASSERT_EQUAL(dump(after, NULL, tree, round % 2 == 0, &b, &err), QUARTET_OK);
            CU_ASSERT_TRUE(a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0));
            buf_deinit(&a);
            buf_deinit(&b);
        }
        for (size_t i = first; i < m.count; i++) {
            struct buf key = {0}, got = {0};
            key_of(&m, m.facts[i].key, &key);
            CU_ASSERT_EQUAL(kv_get(before, &over, m.facts[i].tree, slice_of(key.data, key.len), &got, &err), m.facts[i].erased ? QUARTET_NOTFOUND : QUARTET_OK);
            check_values(before, &over, m.facts[i].tree, slice_of(key.data, key.len), m.facts[i].erased ? NULL : &m.facts[i].record);
            buf_deinit(&key);
            buf_deinit(&got);
        }
        kv_own_free(own);
        kv_release(before);
        kv_release(after);
    }
    kv_close(s);
    buf_deinit(&none);
    model_free(&m);
}

static struct slice int_key(int64_t v, uint8_t to[9])
{
    to[0] = 1;
    store_be64(to + 1, (uint64_t)v ^ 1ull << 63);
    return slice_of(to, 9);
}

/* Keys of one integer column come as numbers, from blocks and from the buffer, both ways, whatever lies between them. */
static void test_kv_int_keys(void)
{
    struct err err = ERR_INIT;
    struct prng r;
    prng_seed(&r, unit_seed(77));
    for (int shape = 0; shape < 4; shape++) {
        struct buf none = {0};
        struct kv_options options = {.buffer_bytes = 1u << 30, .in_memory = true};
        struct env env = *env_posix();
        env.threads = false;
        kv *s = NULL;
        CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &none, &err), QUARTET_OK);
        int64_t keys[3000], v = shape == 0 ? -1500 : shape == 1 ? INT64_MIN : shape == 2 ? INT64_MAX / 2 : 7;
        for (uint32_t i = 0; i < 3000; i++) {
            uint8_t key[9];
            keys[i] = v;
            struct kv_op op = {.tree = 300, .key = int_key(v, key), .record = slice_of("", 0)};
            CU_ASSERT_EQUAL(kv_apply(s, &op, 1, i + 1, &err), QUARTET_OK);
            kv_publish(s, i + 1);
            v += shape == 0 ? 1 : shape == 1 ? (int64_t)(prng_u64(&r) >> 13) : shape == 2 ? 1000 : 1 + (int64_t)prng_below(&r, 1000);
            if (i == 2000)
                CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
        }
        for (int reverse = 0; reverse < 2; reverse++) {
            kv_snap *snap = NULL;
            kv_iter *it = NULL;
            uint32_t at = 0;
            struct kv_rows rows = {.n = 1};
            CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &snap, &err), QUARTET_OK);
            CU_ASSERT_EQUAL_FATAL(kv_iter_open(snap, NULL, 300, &(struct kv_range){.hi_open = true},
                                               &(struct kv_want){.int_keys = true, .reverse = reverse != 0}, &it, &err), QUARTET_OK);
            while (rows.n > 0) {
                CU_ASSERT_EQUAL_FATAL(kv_iter_next(it, 0, &rows, &err), QUARTET_OK);
                for (uint32_t k = 0; k < rows.n && at < 3000; k++, at++)
                    CU_ASSERT_EQUAL(rows.int_keys[k], keys[reverse != 0 ? 2999 - at : at]);
            }
            CU_ASSERT_EQUAL(at, 3000);
            kv_iter_close(it);
            kv_release(snap);
        }
        kv_close(s);
        buf_deinit(&none);
    }
}

/* After a large commit the base gets it though nobody commits again. */
static void test_kv_settle_flushes_a_full_buffer(void)
{
    struct err err = ERR_INIT;
    struct env env = *env_posix();
    struct kv_options options = {.in_memory = true, .buffer_bytes = 4096};
    struct buf none = {0};
    struct kv_stats stats = {0};
    kv *s = NULL;
    env.threads = true;
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &none, &err), QUARTET_OK);
    char keys[100][8];
    struct kv_op ops[100];
    for (int i = 0; i < 100; i++) {
        int n = snprintf(keys[i], sizeof keys[i], "k%03d", i);
        ops[i] = (struct kv_op){.tree = 9, .key = slice_of(keys[i], (size_t)n), .record = slice_of("", 0)};
    }
    CU_ASSERT_EQUAL(kv_apply(s, ops, 100, 1, &err), QUARTET_OK);
    kv_settle(s);
    kv_stats(s, &stats);
    CU_ASSERT_EQUAL(stats.flushes, 0); /* not before it is published */
    kv_publish(s, 1);
    uint64_t until = env.ops->mono_ns(&env) + 10000000000u;
    while (stats.flushes == 0 && env.ops->mono_ns(&env) < until) {
        sched_yield();
        kv_stats(s, &stats);
    }
    CU_ASSERT_EQUAL(stats.flushes, 1);
    kv_close(s);
    buf_deinit(&none);
}

/* A limit below what an empty buffer takes: buffers are frozen when they are full, never empty ones. */
static void test_kv_smallest_buffer(void)
{
    struct err err = ERR_INIT;
    struct env env = *env_posix();
    struct kv_options options = {.in_memory = true, .buffer_bytes = 1};
    struct kv_limits limits;
    struct kv_stats stats = {0};
    struct buf none = {0};
    kv *s = NULL;
    env.threads = true;
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &none, &err), QUARTET_OK);
    kv_limits(s, &limits);
    CU_ASSERT_EQUAL(limits.buffer_bytes, KV_BUFFER_BYTES_MIN);
    for (apply_no at = 1; at <= 8; at++) {
        struct kv_op op = {.tree = 9, .key = slice_of("k", 1), .record = slice_of("", 0)};
        CU_ASSERT_EQUAL(kv_apply(s, &op, 1, at, &err), QUARTET_OK);
        kv_settle(s);
        kv_publish(s, at);
        CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
    }
    kv_stats(s, &stats);
    CU_ASSERT(stats.flushes <= 16); /* the settled one, and that of kv_flush */
    kv_close(s);
    buf_deinit(&none);
}

/* A snapshot that is held while ten buffers are written reads what it began with; what it costs is told. */
static void test_kv_held_snapshot_reads_its_own(void)
{
    struct model m = {.key_count = 1500};
    struct env env = *env_posix();
    struct kv_options options = {.in_memory = true, .buffer_bytes = 30000};
    struct buf stored = {0}, before = {0}, after = {0};
    struct err err = ERR_INIT;
    struct kv_stats stats;
    kv_snap *held;
    kv *s;
    apply_no at = 0;
    env.threads = false;
    prng_seed(&m.rng, unit_seed(17));
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &stored, &err), QUARTET_OK);
    while (at < 20)
        apply_random(&m, s, ++at);
    CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &held, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(dump(held, NULL, 1, false, &before, &err), QUARTET_OK);
    do {
        apply_random(&m, s, ++at);
        kv_stats(s, &stats);
    } while (stats.flushes < 10 && at < 3000);
    CU_ASSERT_TRUE(stats.flushes >= 10);
    CU_ASSERT_EQUAL(stats.snapshots, 1);
    CU_ASSERT_EQUAL(stats.oldest_snapshot_lag, at - 20);
    CU_ASSERT_TRUE(stats.pinned_bytes > 0);
    CU_ASSERT_EQUAL(dump(held, NULL, 1, false, &after, &err), QUARTET_OK);
    CU_ASSERT_TRUE(slice_eq(slice_of(before.data, before.len), slice_of(after.data, after.len)));
    check_gets(&m, held);
    kv_release(held);
    kv_stats(s, &stats);
    CU_ASSERT_EQUAL(stats.pinned_bytes, 0);
    kv_close(s);
    buf_deinit(&stored);
    buf_deinit(&before);
    buf_deinit(&after);
    model_free(&m);
}

/* Three layers are frozen before any of them may be flushed; then one flush merges them: the newest write of a key counts, an erasure too. */
static void test_kv_flushes_several_layers_as_one(void)
{
    struct err err = ERR_INIT;
    struct env env = *env_posix();
    struct kv_options options = {.in_memory = true, .buffer_bytes = 4096};
    struct buf none = {0}, got = {0};
    struct kv_stats stats = {0};
    struct kv_snap *snap = NULL;
    kv *s = NULL;
    env.threads = true;
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &none, &err), QUARTET_OK);
    char keys[120][8];
    struct kv_op ops[120];
    for (apply_no at = 1; at <= 3; at++) {
        size_t n = 0;
        for (int i = 0; i < 120; i++) { /* layer 1 all keys, 2 every second, 3 every third, where every sixth is erased */
            int length = snprintf(keys[i], sizeof keys[i], "k%03d", i);
            struct slice record = at == 3 && i % 6 == 0 ? slice_of(NULL, 0) : slice_of(at == 1 ? "\x3fone" : at == 2 ? "\x3ftwo" : "\x3fsix", 4);
            if (i % (int)at == 0)
                ops[n++] = (struct kv_op){.tree = 9, .key = slice_of(keys[i], (size_t)length), .record = record};
        }
        CU_ASSERT_EQUAL(kv_apply(s, ops, n, at, &err), QUARTET_OK);
        kv_settle(s);
    }
    kv_stats(s, &stats);
    CU_ASSERT_EQUAL(stats.flushes, 0);
    kv_publish(s, 3);
    CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
    kv_stats(s, &stats);
    CU_ASSERT_TRUE(stats.flushes >= 3 && stats.frozen_bytes == 0);
    CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &snap, &err), QUARTET_OK);
    for (int i = 0; i < 120; i++) {
        buf_clear(&got);
        quartet_status rc = kv_get(snap, NULL, 9, slice_of(keys[i], strlen(keys[i])), &got, &err);
        const char *want = i % 3 == 0 ? "\x3fsix" : i % 2 == 0 ? "\x3ftwo" : "\x3fone";
        CU_ASSERT_EQUAL(rc, i % 6 == 0 ? QUARTET_NOTFOUND : QUARTET_OK);
        CU_ASSERT_TRUE(rc != QUARTET_OK || (got.len == 4 && memcmp(got.data, want, 4) == 0));
    }
    kv_release(snap);
    kv_close(s);
    buf_deinit(&got);
    buf_deinit(&none);
}

static void test_kv_changed_since_sees_ranges(void)
{
    struct err err = ERR_INIT;
    struct env env = *env_posix();
    struct kv_options options = {.in_memory = true};
    struct buf none = {0};
    kv *s = NULL;
    kv_snap *snap = NULL;
    env.threads = false;
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &none, &err), QUARTET_OK);
    struct kv_op op = {.tree = 9, .key = slice_of("m", 1), .record = slice_of("", 0)};
    CU_ASSERT_EQUAL(kv_apply(s, &op, 1, 1, &err), QUARTET_OK);
    kv_publish(s, 1);
    CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &snap, &err), QUARTET_OK);
    op.key = slice_of("p", 1);
    CU_ASSERT_EQUAL(kv_apply(s, &op, 1, 2, &err), QUARTET_OK);
    kv_publish(s, 2);
    struct kv_range low = {.lo = slice_of("a", 1), .hi = slice_of("p", 1)}, high = {.lo = slice_of("p", 1), .hi_open = true};
    for (int pass = 0; pass < 2; pass++) { /* a flush meanwhile makes no difference while the snapshot is held */
        CU_ASSERT_FALSE(kv_changed_since(s, 9, &low, 1));
        CU_ASSERT_TRUE(kv_changed_since(s, 9, &high, 1));
        CU_ASSERT_FALSE(kv_changed_since(s, 9, &high, 2));
        CU_ASSERT_FALSE(kv_changed_since(s, 8, &high, 1));
        CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
    }
    kv_release(snap);
    CU_ASSERT_TRUE(kv_changed_since(s, 9, &low, 1)); /* forgotten: cannot tell */
    CU_ASSERT_FALSE(kv_changed_since(s, 9, &low, 2));
    CU_ASSERT_EQUAL(kv_snapshot(s, 1, &snap, &err), QUARTET_TOO_OLD);
    kv_close(s);
    buf_deinit(&none);
}

static void test_kv_unpublished_is_seen_by_the_writer_only(void)
{
    struct err err = ERR_INIT;
    struct env env = *env_posix();
    struct kv_options options = {.in_memory = true};
    struct buf out = {0};
    kv *s = NULL;
    kv_snap *all = NULL, *published = NULL;
    env.threads = false;
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &out, &err), QUARTET_OK);
    struct kv_op op = {.tree = 9, .key = slice_of("k", 1), .record = slice_of("", 0)};
    CU_ASSERT_EQUAL(kv_apply(s, &op, 1, 1, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &published, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(kv_snapshot_latest(s, &all, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_get(published, NULL, 9, op.key, &out, &err), QUARTET_NOTFOUND);
    CU_ASSERT_EQUAL(kv_get(all, NULL, 9, op.key, &out, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_MISUSE);
    kv_publish(s, 1);
    CU_ASSERT_EQUAL(kv_get(published, NULL, 9, op.key, &out, &err), QUARTET_NOTFOUND);
    CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
    kv_release(published);
    kv_release(all);
    kv_close(s);
    buf_deinit(&out);
}

/* Fill a store, then everything that follows an allocation failure must be an error, and what was applied must stay. */
static void test_kv_survives_failed_allocations(void)
{
    struct prng pick;
    prng_seed(&pick, unit_seed(12));
    env_posix_set_log(LOG_ERROR + 1, false); /* failed flushes are meant */
    for (uint64_t n = 1; n < 400; n += n < 100 ? 1 : 1 + prng_below(&pick, 40)) {
        struct err err = ERR_INIT;
        struct model m = {.key_count = 300};
        struct env env = *env_posix();
        struct kv_options options = {.buffer_bytes = 20000, .in_memory = true};
        struct buf none = {0}, a = {0}, b = {0};
        kv *s = NULL;
        kv_snap *snap = NULL;
        env.threads = false;
        prng_seed(&m.rng, n);
        CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &none, &err), QUARTET_OK);
        apply_no at = 0;
        for (uint32_t i = 0; i < 20; i++)
            apply_random(&m, s, ++at);
        CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &snap, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(dump(snap, NULL, 1, false, &a, &err), QUARTET_OK);
        kv_release(snap);
        snap = NULL;
        mem_fail_at(n, false);
        struct kv_op ops[2] = {{.tree = 1, .key = slice_of("zzz1", 4), .record = slice_of("", 0)},
                               {.tree = 1, .key = slice_of("zzz2", 4), .record = slice_of("", 0)}};
        quartet_status applied = kv_apply(s, ops, 2, at + 1, &err);
        if (applied == QUARTET_OK)
            kv_publish(s, at + 1);
        quartet_status flushed = kv_flush(s, &err);
        quartet_status rc = kv_snapshot(s, 0, &snap, &err);
        if (rc == QUARTET_OK)
            rc = dump(snap, NULL, 1, false, &b, &err);
        mem_fail_at(0, false);
        CU_ASSERT_TRUE(applied == QUARTET_OK || applied == QUARTET_NOMEM);
        CU_ASSERT_TRUE(flushed == QUARTET_OK || flushed == QUARTET_NOMEM);
        CU_ASSERT_TRUE(rc == QUARTET_OK || rc == QUARTET_NOMEM);
        kv_release(snap);
        buf_clear(&b);
        CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(kv_health(s, &err), QUARTET_OK);
        CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &snap, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(dump(snap, NULL, 1, false, &b, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(b.len, a.len + (applied == QUARTET_OK ? 12 : 0)); /* two keys of four bytes with their lengths */
        CU_ASSERT_TRUE(a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
        kv_release(snap);
        kv_close(s);
        buf_deinit(&none);
        buf_deinit(&a);
        buf_deinit(&b);
        model_free(&m);
    }
}

/* A file that may not grow is a full disk: flushes fail and say so, reads and writes go on, and all is well when there is room again. */
static void test_kv_full_disk_is_told_and_mended(void)
{
    struct err err = ERR_INIT;
    struct model m = {.key_count = 3000};
    struct env env = *env_posix();
    struct kv_options options = {.buffer_bytes = 30000};
    struct buf stored = {0};
    kv *s = NULL;
    kv_snap *snap = NULL;
    char dir[] = "/tmp/quartet_kv_XXXXXX";
    struct rlimit before, small;
    env.threads = false;
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    prng_seed(&m.rng, unit_seed(14));
    env_posix_set_log(LOG_ERROR + 1, false);
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, dir, &options, NULL, &s, &stored, &err), QUARTET_OK);
    apply_no at = 0;
    for (int i = 0; i < 100; i++)
        apply_random(&m, s, ++at);
    CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 64 * 4096;
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &small), 0);
    while (kv_health(s, &err) == QUARTET_OK && at < 3000)
        apply_random(&m, s, ++at);
    quartet_status full = kv_health(s, &err);
    for (int i = 0; i < 20; i++)
        apply_random(&m, s, ++at);
    CU_ASSERT_EQUAL(kv_snapshot(s, 0, &snap, &err), QUARTET_OK);
    check_scan(&m, snap, 1, false, false, true);
    kv_release(snap);
    quartet_status again = kv_flush(s, &err);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    if (full != QUARTET_FULL || again != QUARTET_FULL)
        fprintf(stderr, "%d, %d: %s\n", full, again, err.text);
    CU_ASSERT_EQUAL(full, QUARTET_FULL);
    CU_ASSERT_EQUAL(again, QUARTET_FULL);
    CU_ASSERT_EQUAL(kv_health(s, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_snapshot(s, 0, &snap, &err), QUARTET_OK);
    check_scan(&m, snap, 1, true, true, true);
    kv_release(snap);
    kv_close(s);
    buf_deinit(&stored);
    model_free(&m);
    remove_dir(dir);
}

/* Flip one bit in every block of the file, one after the other: each scan must tell, and name the file. */
static void test_kv_tells_damaged_blocks(void)
{
    struct err err = ERR_INIT;
    struct model m = {.key_count = 2000, .no_bulk = true}; /* one flush, so that every block of the file is one of now */
    struct env env = *env_posix();
    struct kv_options options = {0};
    struct buf stored = {0};
    kv *s = NULL;
    char dir[] = "/tmp/quartet_kv_XXXXXX", path[64];
    env.threads = false;
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/base.mdb", dir);
    prng_seed(&m.rng, unit_seed(13));
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, dir, &options, NULL, &s, &stored, &err), QUARTET_OK);
    for (apply_no at = 1; at <= 200; at++)
        apply_random(&m, s, at);
    CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
    kv_close(s);
    FILE *f = fopen(path, "r+b");
    uint8_t page[4096];
    uint32_t told = 0, blocks = 0;
    for (long number = 2; fseek(f, number * 4096, SEEK_SET) == 0 && fread(page, 1, 4096, f) == 4096; number++) {
        if ((load_le16(page + 10) & 4u) == 0 || load_le32(page + 16 + 8) > 4080 || load_le32(page + 16 + 8) < 64)
            continue; /* LMDB's overflow pages hold the blocks */
        blocks++;
        long at = number * 4096 + 16 + (long)prng_below(&m.rng, load_le32(page + 16 + 8));
        fseek(f, at, SEEK_SET);
        int byte = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(byte ^ 8, f);
        fflush(f);
        quartet_status rc = kv_open(&env, dir, &options, NULL, &s, &stored, &err);
        CU_ASSERT_EQUAL_FATAL(rc, QUARTET_OK);
        kv_snap *snap = NULL;
        CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &snap, &err), QUARTET_OK);
        for (tree_id tree = 1; tree <= TREES && rc == QUARTET_OK; tree++) {
            struct buf out = {0};
            rc = dump(snap, NULL, tree, false, &out, &err);
            buf_deinit(&out);
        }
        if (rc == QUARTET_CORRUPT && strstr(err.text, "base.mdb") != NULL)
            told++;
        kv_release(snap);
        kv_close(s);
        fseek(f, at, SEEK_SET);
        fputc(byte, f);
        fflush(f);
    }
    fclose(f);
    CU_ASSERT_TRUE(blocks > 5);
    CU_ASSERT_EQUAL(told, blocks);
    buf_deinit(&stored);
    model_free(&m);
    remove_dir(dir);
}

const struct unit_test unit_tests[] = {
    {"memory_agrees_with_model", test_kv_memory_agrees_with_model},
    {"lmdb_agrees_with_model", test_kv_lmdb_agrees_with_model},
    {"flusher_agrees_with_model", test_kv_flusher_agrees_with_model},
    {"long_keys_agree_with_model", test_kv_long_keys_agree_with_model},
    {"overlay_reads_as_if_it_were_applied", test_kv_overlay_reads_as_if_it_were_applied},
    {"int_keys", test_kv_int_keys},
    {"settle_flushes_a_full_buffer", test_kv_settle_flushes_a_full_buffer},
    {"smallest_buffer", test_kv_smallest_buffer},
    {"held_snapshot_reads_its_own", test_kv_held_snapshot_reads_its_own},
    {"flushes_several_layers_as_one", test_kv_flushes_several_layers_as_one},
    {"changed_since_sees_ranges", test_kv_changed_since_sees_ranges},
    {"unpublished_is_seen_by_the_writer_only", test_kv_unpublished_is_seen_by_the_writer_only},
    {"survives_failed_allocations", test_kv_survives_failed_allocations},
    {"full_disk_is_told_and_mended", test_kv_full_disk_is_told_and_mended},
    {"tells_damaged_blocks", test_kv_tells_damaged_blocks},
    {NULL, NULL},
};
