/* test_kv_filter.c - the filter of a buffer's keys: it never denies what was put, and seldom grants what was not, at any size and when memory fails. */
#include "unit/cunit.h"

#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "engine/kv_filter.h"

const char *const unit_suite = "kv_filter";

/* Hashes as the buffer's: those of 64 neighbours differ in the lowest six bits only. */
static uint64_t hash_of(uint64_t i)
{
    uint64_t h = (i >> 6) * 0x9E3779B97F4A7C15u;
    h = (h ^ h >> 32) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 32 ^ (i & 63u);
}

static void begin(struct kv_filter *f)
{
    struct kv_filter_part *part = kv_filter_part_new();
    CU_ASSERT_PTR_NOT_NULL_FATAL(part);
    kv_filter_part_put(part, hash_of(0));
    kv_filter_begin(f, part);
}

static uint64_t denied(const struct kv_filter *f, uint64_t from, uint64_t to)
{
    uint64_t n = 0;
    for (uint64_t i = from; i < to; i++)
        n += !kv_filter_may_have(f, hash_of(i));
    return n;
}

/* Where parts are full (4,096 and 65,536 keys more), just past that, and in between. */
static void test_kv_filter_knows_what_was_put(void)
{
    static const uint64_t sizes[] = {1, 500, 4095, 4096, 4097, 5000, 40000, 69632, 69633, 300000};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        struct kv_filter f = {0};
        CU_ASSERT_TRUE(kv_filter_may_have(&f, hash_of(1))); /* not begun */
        begin(&f);
        for (uint64_t i = 1; i < sizes[k]; i++)
            (void)kv_filter_put(&f, hash_of(i));
        CU_ASSERT_EQUAL(denied(&f, 0, sizes[k]), 0);
        uint64_t others = 20000, first = 1u << 24;
        CU_ASSERT_TRUE(others - denied(&f, first, first + others) <= others / 40); /* two parts that are full err at most */
        kv_filter_deinit(&f);
    }
}

static void test_kv_filter_of_keys_in_no_order(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(1));
    struct kv_filter f = {0};
    begin(&f);
    uint64_t keys[3000], wrong = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        keys[i] = prng_u64(&r);
        (void)kv_filter_put(&f, hash_of(keys[i]));
    }
    for (uint32_t i = 0; i < 3000; i++) {
        CU_ASSERT_TRUE(kv_filter_may_have(&f, hash_of(keys[i])));
        wrong += kv_filter_may_have(&f, hash_of(prng_u64(&r)));
    }
    CU_ASSERT_TRUE(wrong <= 3000 / 60);
    kv_filter_deinit(&f);
}

static void test_kv_filter_goes_on_without_memory(void)
{
    struct kv_filter f = {0};
    size_t taken = 0;
    begin(&f);
    mem_fail_at(1, true);
    for (uint64_t i = 1; i < 10000; i++)
        taken += kv_filter_put(&f, hash_of(i));
    CU_ASSERT_TRUE(mem_fail_hits() >= 1);
    mem_fail_at(0, false);
    CU_ASSERT_EQUAL(taken, 0);
    for (uint64_t i = 10000; i < 20000; i++)
        taken += kv_filter_put(&f, hash_of(i));
    CU_ASSERT_TRUE(taken > 0);
    CU_ASSERT_EQUAL(denied(&f, 0, 20000), 0);
    kv_filter_deinit(&f);
    mem_fail_at(1, false);
    CU_ASSERT_PTR_NULL(kv_filter_part_new());
    mem_fail_at(0, false);
}

const struct unit_test unit_tests[] = {
    {"knows_what_was_put", test_kv_filter_knows_what_was_put},
    {"of_keys_in_no_order", test_kv_filter_of_keys_in_no_order},
    {"goes_on_without_memory", test_kv_filter_goes_on_without_memory},
    {NULL, NULL},
};
