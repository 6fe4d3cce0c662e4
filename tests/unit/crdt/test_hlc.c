/* test_hlc.c - the hybrid logical clock. */
#include "unit/cunit.h"

#include "base/prng.h"
#include "crdt/hlc.h"

const char *const unit_suite = "hlc";

static void test_hlc_stamps_increase_whatever_the_clock_does(void)
{
    struct prng r;
    struct hlc c;
    struct err err = ERR_INIT;
    hlc_stamp last = 0, s;
    uint64_t now = 1000000000000;
    prng_seed(&r, unit_seed(21));
    hlc_init(&c, 3, 0);
    for (int i = 0; i < 100000; i++) {
        now = prng_chance(&r, 0.1) ? now - prng_below(&r, 5000) : now + prng_below(&r, 3);
        hlc_stamp seen = 0;
        if (prng_chance(&r, 0.3)) {
            seen = hlc_make(now + prng_below(&r, HLC_DRIFT_MS_MAX + 1), (uint16_t)prng_u64(&r), (uint8_t)prng_below(&r, 4));
            CU_ASSERT_FATAL(hlc_observe(&c, now, seen, &err) == QUARTET_OK);
        }
        CU_ASSERT_FATAL(hlc_next(&c, now, &s, &err) == QUARTET_OK);
        CU_ASSERT_FATAL(s > last && s > seen && hlc_ms(s) >= now && hlc_slot(s) == 3);
        last = s;
    }
}

static void test_hlc_counter_carries_into_the_milliseconds(void)
{
    struct hlc c;
    struct err err = ERR_INIT;
    hlc_stamp s = 0;
    hlc_init(&c, 1, hlc_make(500, 65534, 3));
    CU_ASSERT(hlc_next(&c, 500, &s, &err) == QUARTET_OK);
    CU_ASSERT_EQUAL(s, hlc_make(500, 65535, 1));
    CU_ASSERT(hlc_next(&c, 500, &s, &err) == QUARTET_OK);
    CU_ASSERT_EQUAL(s, hlc_make(501, 0, 1));
}

static void test_hlc_observe_refuses_stamp_far_ahead(void)
{
    struct hlc c;
    struct err err = ERR_INIT;
    hlc_stamp s = 0;
    hlc_init(&c, 0, 0);
    CU_ASSERT(hlc_observe(&c, 1000, hlc_make(1000 + HLC_DRIFT_MS_MAX, 0, 2), &err) == QUARTET_OK);
    CU_ASSERT(hlc_observe(&c, 1000, hlc_make(1001 + HLC_DRIFT_MS_MAX, 0, 2), &err) == QUARTET_LIMIT);
    CU_ASSERT(hlc_next(&c, 1000, &s, &err) == QUARTET_OK);
    CU_ASSERT_EQUAL(s, hlc_make(1000 + HLC_DRIFT_MS_MAX, 1, 0));
}

static void test_hlc_ends_with_an_error(void)
{
    struct hlc c;
    struct err err = ERR_INIT;
    hlc_stamp s = 0;
    hlc_init(&c, 2, UINT64_MAX - 7);
    CU_ASSERT(hlc_next(&c, 5, &s, &err) == QUARTET_OK);
    CU_ASSERT(hlc_next(&c, 5, &s, &err) == QUARTET_LIMIT);
    hlc_init(&c, 2, 0);
    CU_ASSERT(hlc_next(&c, 1ull << 46, &s, &err) == QUARTET_LIMIT);
    CU_ASSERT(hlc_next(&c, (1ull << 46) - 1, &s, &err) == QUARTET_OK);
}

const struct unit_test unit_tests[] = {
    {"test_hlc_stamps_increase_whatever_the_clock_does", test_hlc_stamps_increase_whatever_the_clock_does},
    {"test_hlc_counter_carries_into_the_milliseconds", test_hlc_counter_carries_into_the_milliseconds},
    {"test_hlc_observe_refuses_stamp_far_ahead", test_hlc_observe_refuses_stamp_far_ahead},
    {"test_hlc_ends_with_an_error", test_hlc_ends_with_an_error},
    {NULL, NULL},
};
