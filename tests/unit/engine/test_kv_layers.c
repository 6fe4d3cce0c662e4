/* test_kv_layers.c - the store's layers: when buffers are frozen and flushed, together too, and what lies where shows in no result. */
#include "unit/cunit.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "engine/kv.h"

const char *const unit_suite = "kv_layers";

static struct slice int_key(int64_t v, uint8_t to[9])
{
    to[0] = 1;
    store_be64(to + 1, (uint64_t)v ^ 1ull << 63);
    return slice_of(to, 9);
}

/* Keys of one integer column come as numbers, from blocks and from the buffer, both ways, whatever lies between them. */
static void test_kv_layers_int_keys(void)
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

/* Of keys of several integers each column comes by itself, those that are wanted; from blocks of every encoding, and from the buffer. */
static void several_int_keys(struct prng *r, uint32_t columns, uint8_t unwanted, bool reverse)
{
    enum { ROWS = 2500 };
    static int64_t cells[ROWS][KV_INT_KEYS_MAX];
    struct err err = ERR_INIT;
    struct buf none = {0};
    struct kv_options options = {.buffer_bytes = 1u << 30, .in_memory = true};
    struct env env = *env_posix();
    env.threads = false;
    kv *s = NULL;
    kv_snap *snap = NULL;
    kv_iter *it = NULL;
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &none, &err), QUARTET_OK);
    int64_t cell[KV_INT_KEYS_MAX] = {-7, INT64_MIN / 2, 0, 5};
    const bool far = prng_below(r, 2) == 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        uint8_t key[9 * KV_INT_KEYS_MAX];
        uint32_t up = (uint32_t)prng_below(r, columns); /* this column rises, those behind it are anything */
        cell[up] += 1 + (int64_t)prng_below(r, far ? 1000000000 : 3);
        for (uint32_t c = up + 1; c < columns; c++)
            cell[c] = far ? (int64_t)prng_u64(r) >> 3 : (int64_t)prng_below(r, 50) - 25;
        memcpy(cells[i], cell, sizeof cell);
        for (uint32_t c = 0; c < columns; c++)
            (void)int_key(cell[c], key + 9 * c); /* it lies there */
        struct kv_op op = {.tree = 300, .key = slice_of(key, 9 * columns), .record = slice_of("", 0)};
        CU_ASSERT_EQUAL(kv_apply(s, &op, 1, i + 1, &err), QUARTET_OK);
        kv_publish(s, i + 1);
        if (i == 2000)
            CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
    }
    struct kv_want want = {.int_keys = (uint8_t)columns, .int_keys_unwanted = unwanted, .reverse = reverse};
    struct kv_rows rows = {.n = 1};
    uint32_t at = 0;
    CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &snap, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(kv_iter_open(snap, NULL, 300, &(struct kv_range){.hi_open = true}, &want, &it, &err), QUARTET_OK);
    while (rows.n > 0) {
        CU_ASSERT_EQUAL_FATAL(kv_iter_next(it, 0, &rows, &err), QUARTET_OK);
        for (uint32_t k = 0; k < rows.n && at < ROWS; k++, at++)
            for (uint32_t c = 0; c < columns; c++)
                if ((unwanted >> c & 1) == 0)
                    CU_ASSERT_EQUAL(rows.int_keys[c * BATCH_ROWS_MAX + k], cells[reverse ? ROWS - 1 - at : at][c]);
    }
    CU_ASSERT_EQUAL(at, ROWS);
    kv_iter_close(it);
    kv_release(snap);
    kv_close(s);
    buf_deinit(&none);
}

static void test_kv_layers_several_int_keys(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(78));
    for (uint32_t i = 0; i < 16; i++)
        several_int_keys(&r, 1 + i % KV_INT_KEYS_MAX, i % 3 == 0 ? 2 : 0, i % 2 == 1);
}

/* After a large commit the base gets it though nobody commits again. */
static void test_kv_layers_settle_flushes_a_full_buffer(void)
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
static void test_kv_layers_smallest_buffer(void)
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

/* Three layers are frozen before any of them may be flushed; then one flush merges them: the newest write of a key counts, an erasure too. */
static void test_kv_layers_flushes_several_layers_as_one(void)
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

static void test_kv_layers_changed_since_sees_ranges(void)
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

static void test_kv_layers_unpublished_is_seen_by_the_writer_only(void)
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

const struct unit_test unit_tests[] = {
    {"int_keys", test_kv_layers_int_keys},
    {"several_int_keys", test_kv_layers_several_int_keys},
    {"settle_flushes_a_full_buffer", test_kv_layers_settle_flushes_a_full_buffer},
    {"smallest_buffer", test_kv_layers_smallest_buffer},
    {"flushes_several_layers_as_one", test_kv_layers_flushes_several_layers_as_one},
    {"changed_since_sees_ranges", test_kv_layers_changed_since_sees_ranges},
    {"unpublished_is_seen_by_the_writer_only", test_kv_layers_unpublished_is_seen_by_the_writer_only},
    {NULL, NULL},
};
