/* test_kv_concurrent.c - one writer, readers without locks and the flusher at once. Every snapshot must show whole transactions and nothing
 * but what was published when it was taken. Run under ThreadSanitizer. */
#include "unit/cunit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/prng.h"
#include "crdt/row.h"
#include "engine/kv.h"

const char *const unit_suite = "kv_concurrent";

#define ACCOUNTS 200u
#define READERS 3u
#define TOTAL 100000

/* Transfers between accounts: the sum over all of them is the same in every snapshot, and the count of rows too. */
struct bank {
    kv *store;
    atomic_bool stop;
    atomic_uint scans;
    atomic_bool wrong;
};

static void account_key(uint32_t i, uint8_t *out)
{
    store_be64(out, i * 7919u);
}

static quartet_status put_balances(kv *s, const uint32_t *accounts, const int64_t *balances, size_t n, apply_no at)
{
    struct err err = ERR_INIT;
    struct kv_op ops[2] = {0};
    uint8_t keys[2][8];
    struct buf records[2] = {0};
    for (size_t i = 0; i < n; i++) {
        struct value v[2] = {value_int(balances[i]), value_text("some text to fill the block with", at % 30)};
        account_key(accounts[i], keys[i]);
        record_put_simple(&records[i], (struct ver){.stamp = at, .chain = 0}, v, 2);
        ops[i] = (struct kv_op){.tree = 300, .key = slice_of(keys[i], 8), .record = slice_of(records[i].data, records[i].len)};
    }
    quartet_status rc = kv_apply(s, ops, n, at, &err);
    kv_publish(s, at);
    for (size_t i = 0; i < n; i++)
        buf_deinit(&records[i]);
    return rc;
}

static bool check_sum(kv *s)
{
    struct err err = ERR_INIT;
    kv_snap *snap = NULL;
    kv_iter *it = NULL;
    if (kv_snapshot(s, 0, &snap, &err) != QUARTET_OK)
        return false;
    uint16_t column = 0;
    struct kv_want want = {.columns = &column, .column_count = 1, .reverse = kv_snap_at(snap) % 2 == 0};
    struct kv_range all = {.hi_open = true};
    int64_t sum = 0;
    uint32_t rows = 0;
    bool good = kv_iter_open(snap, NULL, 300, &all, &want, &it, &err) == QUARTET_OK;
    while (good) {
        struct kv_rows r;
        good = kv_iter_next(it, 0, &r, &err) == QUARTET_OK;
        if (!good || r.n == 0)
            break;
        for (uint32_t k = 0; k < r.n; k++)
            sum += r.cols[0].i[k];
        rows += r.n;
    }
    kv_iter_close(it);
    int64_t again = 0;
    struct buf record = {0};
    for (uint32_t i = 0; i < ACCOUNTS && good; i++) {
        uint8_t key[8];
        struct record_view view;
        struct value v;
        account_key(i, key);
        buf_clear(&record);
        good = kv_get(snap, NULL, 300, slice_of(key, 8), &record, &err) == QUARTET_OK &&
               record_view(slice_of(record.data, record.len), &view);
        struct bytes_in in = bytes_in(view.values.p, view.values.n);
        good = good && value_decode(&in, &v);
        again += good ? v.i : 0;
    }
    buf_deinit(&record);
    kv_release(snap);
    return good && rows == ACCOUNTS && sum == TOTAL && again == TOTAL;
}

static void *reader(void *arg)
{
    struct bank *b = arg;
    while (!atomic_load(&b->stop)) {
        if (!check_sum(b->store))
            atomic_store(&b->wrong, true);
        atomic_fetch_add(&b->scans, 1);
    }
    return NULL;
}

static void run_bank(bool in_memory, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct prng r;
    struct bank b = {0};
    struct env env = *env_posix();
    struct kv_options options = {.buffer_bytes = 50000, .in_memory = in_memory};
    struct buf checkpoint = {0};
    pthread_t threads[READERS];
    int64_t balance[ACCOUNTS] = {0};
    char dir[] = "/tmp/quartet_kvc_XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    prng_seed(&r, seed);
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, dir, &options, NULL, &b.store, &checkpoint, &err), QUARTET_OK);
    apply_no at = 0;
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        balance[i] = i == 0 ? TOTAL : 0;
        CU_ASSERT_EQUAL_FATAL(put_balances(b.store, &i, &balance[i], 1, ++at), QUARTET_OK);
    }
    for (uint32_t i = 0; i < READERS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, reader, &b), 0);
    uint32_t transfers = getenv("QUARTET_LONG") != NULL ? 200000 : 6000;
    for (uint32_t i = 0; i < transfers && !atomic_load(&b.wrong); i++) {
        uint32_t pair[2] = {(uint32_t)prng_below(&r, ACCOUNTS), (uint32_t)prng_below(&r, ACCOUNTS - 1)};
        pair[1] += pair[1] >= pair[0];
        int64_t amount = prng_between(&r, -50, 50);
        balance[pair[0]] -= amount;
        balance[pair[1]] += amount;
        int64_t now[2] = {balance[pair[0]], balance[pair[1]]};
        CU_ASSERT_EQUAL_FATAL(put_balances(b.store, pair, now, 2, ++at), QUARTET_OK);
        struct kv_range range = {.hi_open = true};
        if (i % 1000 == 0)
            CU_ASSERT_TRUE(kv_changed_since(b.store, 300, &range, at - 1));
        if (i % 1000 == 500)
            CU_ASSERT_EQUAL(kv_flush(b.store, &err), QUARTET_OK);
    }
    while (atomic_load(&b.scans) < READERS && !atomic_load(&b.wrong))
        usleep(1000); /* until every reader had a turn */
    atomic_store(&b.stop, true);
    for (uint32_t i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_FALSE(atomic_load(&b.wrong));
    if (atomic_load(&b.wrong))
        fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    struct kv_stats stats;
    kv_stats(b.store, &stats);
    CU_ASSERT_TRUE(stats.flushes > 3);
    CU_ASSERT_EQUAL(stats.snapshots, 0);
    CU_ASSERT_EQUAL(kv_health(b.store, &err), QUARTET_OK);
    kv_close(b.store);
    buf_deinit(&checkpoint);
    char path[300];
    snprintf(path, sizeof path, "%s/base.mdb", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/base.mdb-lock", dir);
    unlink(path);
    rmdir(dir);
}

static void test_kv_concurrent_memory(void)
{
    run_bank(true, unit_seed(1));
}

static void test_kv_concurrent_lmdb(void)
{
    run_bank(false, unit_seed(2));
}

const struct unit_test unit_tests[] = {
    {"memory", test_kv_concurrent_memory},
    {"lmdb", test_kv_concurrent_lmdb},
    {NULL, NULL},
};
