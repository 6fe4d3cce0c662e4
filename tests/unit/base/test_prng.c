/* test_prng.c - the published sequence, replay, ranges, fairness. */
#include "unit/cunit.h"

#include "base/prng.h"

#include <stdio.h>
#include <string.h>

/* From the state 1, 2, 3, 4 the first numbers can be worked out by hand from the definition: rotl(2 * 5, 7) * 9 = 11520,
 * then s1 is 0, so 0, then s1 = 1 ^ 2 ^ 4 ^ ... = 262149 after two steps, so rotl(262149 * 5, 7) * 9 = 1509978240. */
static void test_prng_follows_the_definition(void)
{
    struct prng r = {.s = {1, 2, 3, 4}};
    CU_ASSERT_EQUAL(prng_u64(&r), 11520);
    CU_ASSERT_EQUAL(prng_u64(&r), 0);
    CU_ASSERT_EQUAL(prng_u64(&r), 1509978240);
}

static void test_prng_splitmix_expands_the_seed(void)
{
    struct prng r;
    prng_seed(&r, 1234567); /* splitmix64's known first outputs for this seed */
    CU_ASSERT_EQUAL(r.s[0], UINT64_C(6457827717110365317));
    CU_ASSERT_EQUAL(r.s[1], UINT64_C(3203168211198807973));
    prng_seed(&r, 0);
    CU_ASSERT((r.s[0] | r.s[1] | r.s[2] | r.s[3]) != 0);
}

static void test_prng_replays_from_its_seed(void)
{
    struct prng a;
    struct prng b;
    struct prng c;
    uint64_t seed = unit_seed(42);
    prng_seed(&a, seed);
    prng_seed(&b, seed);
    prng_seed(&c, seed + 1);
    size_t same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = prng_u64(&a);
        CU_ASSERT_EQUAL(x, prng_u64(&b));
        same += x == prng_u64(&c);
    }
    CU_ASSERT_EQUAL(same, 0);
}

static void test_prng_ranges_are_kept_and_fair(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(7));
    unsigned seen[10] = {0};
    for (int i = 0; i < 100000; i++)
        seen[prng_below(&r, 10)]++;
    for (int i = 0; i < 10; i++)
        CU_ASSERT(seen[i] > 9400 && seen[i] < 10600); /* 6 standard deviations */
    bool low = false;
    bool high = false;
    for (int i = 0; i < 1000; i++) {
        int64_t v = prng_between(&r, -3, 3);
        CU_ASSERT(v >= -3 && v <= 3);
        low = low || v == -3;
        high = high || v == 3;
        (void)prng_between(&r, INT64_MIN, INT64_MAX); /* the whole range must not divide by zero */
        CU_ASSERT_EQUAL(prng_between(&r, INT64_MAX, INT64_MAX), INT64_MAX);
        CU_ASSERT_EQUAL(prng_between(&r, INT64_MIN, INT64_MIN), INT64_MIN);
        CU_ASSERT_EQUAL(prng_below(&r, 1), 0);
    }
    CU_ASSERT_TRUE(low);
    CU_ASSERT_TRUE(high);
}

static void test_prng_unit_and_chance(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(8));
    double sum = 0;
    unsigned hits = 0;
    for (int i = 0; i < 100000; i++) {
        double u = prng_unit(&r);
        CU_ASSERT(u >= 0 && u < 1);
        sum += u;
        hits += prng_chance(&r, 0.25);
        CU_ASSERT_FALSE(prng_chance(&r, 0));
        CU_ASSERT_TRUE(prng_chance(&r, 1));
    }
    CU_ASSERT(sum > 49400 && sum < 50600);
    CU_ASSERT(hits > 24200 && hits < 25800);
}

static void test_prng_fill_writes_exactly_n_bytes(void)
{
    for (size_t n = 0; n <= 33; n++) {
        struct prng a;
        struct prng b;
        uint8_t p[40];
        uint8_t q[40];
        memset(p, 0xEE, sizeof p);
        prng_seed(&a, 5);
        prng_seed(&b, 5);
        prng_fill(&a, p, n);
        prng_fill(&b, q, sizeof q);
        CU_ASSERT_EQUAL(memcmp(p, q, n), 0); /* a shorter fill is a prefix of a longer one */
        for (size_t i = n; i < sizeof p; i++)
            CU_ASSERT_EQUAL(p[i], 0xEE);
    }
}

const char *const unit_suite = "prng";
const struct unit_test unit_tests[] = {
    {"follows_the_definition", test_prng_follows_the_definition},
    {"splitmix_expands_the_seed", test_prng_splitmix_expands_the_seed},
    {"replays_from_its_seed", test_prng_replays_from_its_seed},
    {"ranges_are_kept_and_fair", test_prng_ranges_are_kept_and_fair},
    {"unit_and_chance", test_prng_unit_and_chance},
    {"fill_writes_exactly_n_bytes", test_prng_fill_writes_exactly_n_bytes},
    {NULL, NULL},
};
