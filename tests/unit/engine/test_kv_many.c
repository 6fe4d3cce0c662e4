/* test_kv_many.c - many puts at once make what single ones make; values of which only one may be there are told apart from those that several claim. */
#include "unit/cunit.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "crdt/key.h"
#include "engine/kv.h"
#include "engine/kv_digest.h"
#include "engine/kv_hashes.h"

const char *const unit_suite = "kv_many";

#define KEY_MAX 48u
#define OPS_MAX 400u

struct drawn {
    uint8_t bytes[KEY_MAX];
    struct slice key;
    uint32_t value_bytes; /* what of it is the value */
};

static size_t put_int(uint8_t *to, int64_t v)
{
    to[0] = 1;
    store_be64(to + 1, (uint64_t)v ^ 1ull << 63);
    return 9;
}

static int64_t any_int(struct prng *r)
{
    int64_t v = (int64_t)(prng_u64(r) >> prng_below(r, 64));
    return prng_chance(r, 0.5) ? v : -v - 1;
}

/* An index entry: a number or a text, and the key of a row. */
static void draw(struct prng *r, bool few, struct drawn *d)
{
    size_t n;
    if (prng_chance(r, 0.5)) {
        n = put_int(d->bytes, few ? (int64_t)prng_below(r, 40) - 20 : any_int(r));
    } else {
        d->bytes[0] = 4;
        for (n = 1; n < 20 && (few || prng_chance(r, 0.9)); n++)
            d->bytes[n] = (uint8_t)('a' + prng_below(r, few ? 1 + (n > 18) * 9 : 26));
        d->bytes[n++] = 0;
    }
    d->value_bytes = (uint32_t)n;
    n += put_int(d->bytes + n, few ? (int64_t)prng_below(r, 2000) : any_int(r));
    d->key = slice_of(d->bytes, n);
}

static void test_kv_many_digests_sort_as_keys_do(void)
{
    struct prng r;
    struct drawn x, y;
    uint64_t seed = unit_seed(4), equal = 0;
    prng_seed(&r, seed);
    for (uint32_t i = 0; i < 200000; i++) {
        draw(&r, i % 2 == 0, &x);
        draw(&r, i % 2 == 0, &y);
        if (i % 3 == 0)
            memcpy(y.bytes, x.bytes, 9); /* the same beginning */
        if (i % 5 == 0)
            y.key.n = prng_below(&r, y.key.n + 1);
        uint64_t a = kv_digest_of(x.key), b = kv_digest_of(y.key);
        int c = slice_cmp(x.key, y.key);
        equal += a == b && c != 0;
        if ((a > b && c <= 0) || (a < b && c >= 0)) {
            CU_FAIL("a digest that sorts otherwise than its key");
            printf("seed %llu, pair %u\n", (unsigned long long)seed, i);
            return;
        }
    }
    put_int(x.bytes, 57), put_int(x.bytes + 9, 123456);
    put_int(y.bytes, 57), put_int(y.bytes + 9, 123457);
    CU_ASSERT_TRUE(kv_digest_of(slice_of(x.bytes, 18)) < kv_digest_of(slice_of(y.bytes, 18))); /* what it is for */
    CU_ASSERT_TRUE(equal < 120000);
}

static void check_same(const kv_buffer *a, const kv_buffer *b, apply_no through)
{
    struct kv_cursor x, y;
    bool same = true;
    kv_cursor_seek(&x, a, through, 0, slice_of(NULL, 0));
    kv_cursor_seek(&y, b, through, 0, slice_of(NULL, 0));
    while (same && x.node != NULL && y.node != NULL) {
        same = x.tree == y.tree && slice_eq(x.key, y.key) && x.version == y.version && (x.record.p == NULL) == (y.record.p == NULL) && slice_eq(x.record, y.record);
        kv_cursor_next(&x);
        kv_cursor_next(&y);
    }
    CU_ASSERT_TRUE(same && x.node == NULL && y.node == NULL);
    CU_ASSERT_EQUAL(kv_buffer_entries(a), kv_buffer_entries(b));
}

static void test_kv_many_puts_as_one_by_one(void)
{
    struct err err = ERR_INIT;
    struct prng r;
    static struct drawn d[OPS_MAX];
    static struct kv_op ops[OPS_MAX];
    uint64_t seed = unit_seed(1);
    prng_seed(&r, seed);
    for (int few = 0; few < 2; few++) {
        kv_buffer *one = kv_buffer_new(), *many = kv_buffer_new();
        for (apply_no at = 1; at <= 60; at++) {
            size_t n = 1 + prng_below(&r, OPS_MAX), done;
            for (size_t i = 0; i < n; i++) {
                draw(&r, few != 0, &d[i]);
                if (prng_chance(&r, 0.2))
                    d[i].key = slice_of(d[i].bytes, put_int(d[i].bytes, (int64_t)(at * OPS_MAX + i))); /* in order, as rows often come */
                ops[i] = (struct kv_op){.tree = 300 + prng_below(&r, 3), .key = d[i].key, .record = slice_of("record", prng_below(&r, 7))};
                if (prng_chance(&r, 0.1))
                    ops[i].record = slice_of(NULL, 0);
                CU_ASSERT_EQUAL(kv_buffer_put(one, ops[i].tree, ops[i].key, at, ops[i].record, &err), QUARTET_OK);
            }
            CU_ASSERT_EQUAL(kv_buffer_put_many(many, ops, n, at, &done, &err), QUARTET_OK);
            CU_ASSERT_EQUAL(done, n);
        }
        check_same(one, many, UINT64_MAX);
        check_same(one, many, 30);
        kv_buffer_free(one);
        kv_buffer_free(many);
    }
}

static void test_kv_many_tells_how_far_it_came(void)
{
    struct err err = ERR_INIT;
    static uint8_t large[KV_KEY_BYTES_MAX];
    struct kv_op ops[] = {{.tree = 1, .key = slice_of("a", 1), .record = slice_of("", 0)}, {.tree = 1, .key = slice_of(large, sizeof large), .record = slice_of("", 0)}};
    size_t done = 9;
    kv_buffer *b = kv_buffer_new();
    CU_ASSERT_EQUAL(kv_buffer_put_many(b, ops, 2, 1, &done, &err), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(done, 1);
    kv_buffer_free(b);
}

static void test_kv_many_hashes(void)
{
    struct kv_hashes h = {0};
    struct prng r;
    uint32_t wrong = 0;
    CU_ASSERT_FALSE(kv_hashes_has(&h, 0));
    prng_seed(&r, 9);
    for (uint32_t i = 0; i < 5000; i++)
        kv_hashes_put(&h, prng_u64(&r));
    prng_seed(&r, 9);
    for (uint32_t i = 0; i < 5000; i++)
        CU_ASSERT_TRUE(kv_hashes_has(&h, prng_u64(&r)));
    for (uint32_t i = 0; i < 5000; i++)
        wrong += kv_hashes_has(&h, prng_u64(&r));
    CU_ASSERT_TRUE(wrong < 3);
    kv_hashes_put(&h, 0);
    CU_ASSERT_TRUE(kv_hashes_has(&h, 0));
    mem_fail_at(1, false); /* a larger table cannot be had: nothing is certain any longer */
    for (uint32_t i = 0; i < 10000; i++)
        kv_hashes_put(&h, prng_u64(&r));
    mem_fail_at(0, false);
    CU_ASSERT_TRUE(kv_hashes_has(&h, 12345));
    kv_hashes_deinit(&h);
}

/* How many live keys begin with the value, by a scan. */
static uint32_t scanned(kv_snap *snap, struct slice value, struct slice end)
{
    struct err err = ERR_INIT;
    struct kv_want want = {.keys = true};
    struct kv_range range = {.lo = value, .hi = end, .hi_open = end.p == NULL};
    struct kv_rows rows = {0};
    kv_iter *it = NULL;
    CU_ASSERT_EQUAL_FATAL(kv_iter_open(snap, NULL, 300, &range, &want, &it, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_iter_next(it, 0, &rows, &err), QUARTET_OK);
    uint32_t n = rows.n;
    kv_iter_close(it);
    return n;
}

static uint32_t check_value(kv_snap *snap, struct slice value)
{
    struct err err = ERR_INIT;
    struct buf hi = {0};
    uint32_t n = 9, base = 9;
    buf_put(&hi, value.p, value.n);
    struct slice end = key_prefix_end(&hi) ? slice_of(hi.data, hi.len) : slice_of(NULL, 0);
    uint32_t is = scanned(snap, value, end);
    CU_ASSERT_EQUAL(kv_begin_with(snap, 300, value, end, false, &n, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_begin_with(snap, 300, value, end, true, &base, &err), QUARTET_OK);
    CU_ASSERT_TRUE(n >= (is < 2 ? is : 2) && (n > 1 || base <= n));
    if (is > 0 && base == 0)
        CU_ASSERT_TRUE(kv_claimed(snap, 300, value));
    buf_deinit(&hi);
    return n > 1 && is < 2; /* not wrong, but of no help */
}

/* Values in the base, in frozen and in active buffers, several times and once, erased ones too: what is told is never too little, and seldom too much. */
static void test_kv_many_begin_with_is_never_too_few(void)
{
    struct err err = ERR_INIT;
    struct env env = *env_posix();
    struct kv_options options = {.buffer_bytes = 40000, .in_memory = true};
    struct buf none = {0};
    static struct drawn d[OPS_MAX];
    static struct kv_op ops[OPS_MAX];
    struct prng r;
    uint64_t seed = unit_seed(3);
    kv *s = NULL;
    env.threads = false;
    prng_seed(&r, seed);
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &none, &err), QUARTET_OK);
    uint32_t asked = 0, idle = 0;
    for (apply_no at = 1; at <= 80; at++) {
        kv_snap *snap = NULL;
        size_t n = 1 + prng_below(&r, 60);
        for (size_t i = 0; i < n; i++) {
            draw(&r, prng_chance(&r, 0.3), &d[i]);
            ops[i] = (struct kv_op){.tree = 300, .key = d[i].key, .record = slice_of("", 0), .claim = d[i].value_bytes};
            if (prng_chance(&r, 0.1))
                ops[i].record = slice_of(NULL, 0);
        }
        CU_ASSERT_EQUAL(kv_apply(s, ops, n, at, &err), QUARTET_OK);
        kv_publish(s, at);
        if (prng_chance(&r, 0.1))
            CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
        CU_ASSERT_EQUAL_FATAL(kv_snapshot_latest(s, &snap, &err), QUARTET_OK);
        for (size_t i = 0; i < n; i++, asked++)
            idle += check_value(snap, slice_of(d[i].bytes, d[i].value_bytes));
        for (uint32_t i = 0; i < 20; i++) { /* mostly not there; behind everything */
            draw(&r, false, &d[0]);
            (void)check_value(snap, slice_of(d[0].bytes, d[0].value_bytes)); /* asserts by itself */
        }
        (void)check_value(snap, slice_of("\xff\xff", 2)); /* likewise */
        kv_release(snap);
    }
    CU_ASSERT_TRUE(idle * 10 < asked);
    if (CU_get_number_of_failures() > 0)
        printf("seed %llu\n", (unsigned long long)seed);
    kv_close(s);
    buf_deinit(&none);
}

const struct unit_test unit_tests[] = {
    {"digests_sort_as_keys_do", test_kv_many_digests_sort_as_keys_do},
    {"puts_as_one_by_one", test_kv_many_puts_as_one_by_one},
    {"tells_how_far_it_came", test_kv_many_tells_how_far_it_came},
    {"hashes", test_kv_many_hashes},
    {"begin_with_is_never_too_few", test_kv_many_begin_with_is_never_too_few},
    {NULL, NULL},
};
