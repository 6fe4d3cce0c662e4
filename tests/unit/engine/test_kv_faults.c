/* test_kv_faults.c - the store without memory, on a full disk, with damaged blocks: it says so, loses nothing, and goes on where it can. */
#include "unit/cunit.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/mem.h"
#include "kv_help.h"

const char *const unit_suite = "kv_faults";

/* Fill a store, then everything that follows an allocation failure must be an error, and what was applied must stay. */
static void test_kv_faults_survives_failed_allocations(void)
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
static void test_kv_faults_full_disk_is_told_and_mended(void)
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
static void test_kv_faults_tells_damaged_blocks(void)
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
    {"survives_failed_allocations", test_kv_faults_survives_failed_allocations},
    {"full_disk_is_told_and_mended", test_kv_faults_full_disk_is_told_and_mended},
    {"tells_damaged_blocks", test_kv_faults_tells_damaged_blocks},
    {NULL, NULL},
};
