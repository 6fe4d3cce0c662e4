/* test_kv_run_scan.c - scans over a large transaction's run that lies in a file: what a batch holds outlasts the page that it was read from. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "crdt/row.h"
#include "engine/kv.h"
#include "unit/cunit.h"

#define ROWS 20000u

static quartet_status checkpoint(void *ctx, apply_no through, struct buf *out, struct err *err)
{
    (void)ctx;
    buf_u64(out, through);
    return buf_check(out, err);
}

static int text_of(uint32_t i, char out[40])
{
    return snprintf(out, 40, "the text of row number %u", i);
}

static void fill(kv *s)
{
    struct err err = ERR_INIT;
    struct buf record = {0};
    kv_bulk *b;
    CU_ASSERT_EQUAL_FATAL(kv_bulk_begin(s, &b, &err), QUARTET_OK);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint8_t key[4];
        char text[40];
        struct value v = value_text(text, (size_t)text_of(i, text));
        for (int k = 0; k < 4; k++)
            key[k] = (uint8_t)(i >> (24 - 8 * k));
        buf_clear(&record);
        record_put_simple(&record, (struct ver){.stamp = 1000}, &v, 1);
        CU_ASSERT_EQUAL(kv_bulk_put(b, 300, slice_of(key, 4), slice_of(record.data, record.len), &err), QUARTET_OK);
    }
    CU_ASSERT_EQUAL(kv_bulk_commit(b, 1, &err), QUARTET_OK);
    kv_publish(s, 1);
    buf_deinit(&record);
}

static void scan(kv *s, bool reverse)
{
    struct err err = ERR_INIT;
    uint16_t column = 0;
    struct kv_want want = {.columns = &column, .column_count = 1, .reverse = reverse};
    struct kv_range all = {.hi_open = true};
    struct kv_rows rows;
    kv_snap *snap;
    kv_iter *it;
    uint32_t seen = 0, wrong = 0;
    CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &snap, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(kv_iter_open(snap, NULL, 300, &all, &want, &it, &err), QUARTET_OK);
    do {
        CU_ASSERT_EQUAL_FATAL(kv_iter_next(it, 0, &rows, &err), QUARTET_OK);
        for (uint32_t k = 0; k < rows.n; k++, seen++) {
            char text[40];
            struct value v = vec_get(&rows.cols[0], k);
            size_t n = (size_t)text_of(reverse ? ROWS - 1 - seen : seen, text);
            wrong += v.type != VALUE_TEXT || v.s.n != n || memcmp(v.s.p, text, n) != 0;
        }
    } while (rows.n > 0);
    CU_ASSERT_EQUAL(seen, ROWS);
    CU_ASSERT_EQUAL(wrong, 0);
    kv_iter_close(it);
    kv_release(snap);
}

static void test_kv_run_scan(void)
{
    struct err err = ERR_INIT;
    struct env env = *env_posix();
    struct kv_options options = {.buffer_bytes = 64 << 10};
    struct kv_host host = {.checkpoint = checkpoint};
    struct buf stored = {0};
    struct kv_stats stats;
    char dir[] = "/tmp/quartet_kv_XXXXXX", command[64];
    kv *s;
    env.threads = false; /* nothing is flushed behind the test's back */
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, dir, &options, &host, &s, &stored, &err), QUARTET_OK);
    fill(s);
    kv_stats(s, &stats);
    CU_ASSERT_EQUAL(stats.flushes, 0); /* it is the run that is read */
    scan(s, false);
    scan(s, true);
    CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
    scan(s, false);
    kv_close(s);
    buf_deinit(&stored);
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    CU_ASSERT_EQUAL(system(command), 0);
}

const char *const unit_suite = "kv_run_scan";
const struct unit_test unit_tests[] = {
    {"scan", test_kv_run_scan},
    {NULL, NULL},
};
