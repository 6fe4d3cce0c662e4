/* test_kv.c - the store against a naive model: random puts, erasures, flushes, snapshots, scans both ways, on both bases. */
#include "unit/cunit.h"

#include "kv_help.h"

const char *const unit_suite = "kv";

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

const struct unit_test unit_tests[] = {
    {"memory_agrees_with_model", test_kv_memory_agrees_with_model},
    {"lmdb_agrees_with_model", test_kv_lmdb_agrees_with_model},
    {"flusher_agrees_with_model", test_kv_flusher_agrees_with_model},
    {"long_keys_agree_with_model", test_kv_long_keys_agree_with_model},
    {"overlay_reads_as_if_it_were_applied", test_kv_overlay_reads_as_if_it_were_applied},
    {"held_snapshot_reads_its_own", test_kv_held_snapshot_reads_its_own},
    {NULL, NULL},
};
