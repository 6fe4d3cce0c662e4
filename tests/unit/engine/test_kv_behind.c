/* test_kv_behind.c - bytes taken behind their owner's back: all of them, in order, once; an error is told and ends it; with and without a thread (its pthread_create is in kv_behind.c). */
#include "unit/cunit.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "engine/kv_behind.h"

const char *const unit_suite = "kv_behind";

struct taken {
    struct prng expected; /* gives the bytes once more */
    uint64_t bytes, calls, fail_at;
    atomic_bool busy;
    bool good;
};

static quartet_status take(void *arg, const uint8_t *p, size_t n, struct err *err)
{
    struct taken *t = arg;
    t->good = t->good && !atomic_exchange(&t->busy, true);
    if (++t->calls == t->fail_at) {
        atomic_store(&t->busy, false);
        return err_set(err, QUARTET_FULL, "full at call %llu", (unsigned long long)t->calls);
    }
    for (size_t i = 0; i < n; i++)
        t->good = t->good && p[i] == (uint8_t)prng_u64(&t->expected);
    t->bytes += n;
    atomic_store(&t->busy, false);
    return QUARTET_OK;
}

/* Put `count` pieces of random lengths; stops at an error. */
static quartet_status fill(kv_behind *b, uint64_t seed, uint32_t count, uint64_t *put, struct err *err)
{
    struct prng bytes, lengths;
    quartet_status rc = QUARTET_OK;
    prng_seed(&bytes, seed);
    prng_seed(&lengths, seed + 1000);
    for (uint32_t i = 0; i < count && rc == QUARTET_OK; i++) {
        uint64_t n = prng_below(&lengths, prng_chance(&lengths, 0.01) ? 5000 : 100);
        for (uint64_t k = 0; k < n; k++)
            buf_u8(kv_behind_fill(b), (uint8_t)prng_u64(&bytes));
        *put += n;
        rc = kv_behind_filled(b, err);
    }
    return rc;
}

static void test_kv_behind_takes_all_in_order(void)
{
    for (uint64_t seed = unit_seed(1), last = seed + 8; seed < last && CU_get_number_of_failures() == 0; seed++) {
        struct taken t = {.good = true};
        struct err err = ERR_INIT;
        kv_behind *b;
        uint64_t put = 0;
        prng_seed(&t.expected, seed);
        CU_ASSERT_EQUAL_FATAL(kv_behind_new(seed % 2 == 0, seed % 3 * 700, take, &t, &b, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(fill(b, seed, 3000, &put, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(kv_behind_drain(b, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(t.bytes, put);
        CU_ASSERT_EQUAL(kv_behind_drain(b, &err), QUARTET_OK); /* nothing is taken twice */
        CU_ASSERT_EQUAL(t.bytes, put);
        CU_ASSERT_TRUE(t.good);
        kv_behind_free(b);
        if (CU_get_number_of_failures() != 0)
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    }
}

static void test_kv_behind_tells_an_error_and_ends(void)
{
    for (uint64_t at = 1; at <= 40; at++) {
        struct taken t = {.good = true, .fail_at = at};
        struct err err = ERR_INIT, again = ERR_INIT;
        kv_behind *b;
        uint64_t put = 0;
        prng_seed(&t.expected, at);
        CU_ASSERT_EQUAL_FATAL(kv_behind_new(at % 2 == 0, 1000, take, &t, &b, &err), QUARTET_OK);
        quartet_status rc = fill(b, at, 400, &put, &err);
        if (rc == QUARTET_OK)
            rc = kv_behind_drain(b, &err);
        bool reached = t.calls >= at;
        CU_ASSERT_EQUAL(rc, reached ? QUARTET_FULL : QUARTET_OK);
        CU_ASSERT_EQUAL(kv_behind_drain(b, &again), rc);
        CU_ASSERT_TRUE(!reached || (t.calls == at && strstr(err.text, "full at call") != NULL && strcmp(err.text, again.text) == 0));
        CU_ASSERT_TRUE(t.good && t.bytes <= put);
        kv_behind_free(b);
    }
}

static void test_kv_behind_survives_failing_memory(void)
{
    bool done = false;
    for (uint64_t n = 1; !done && n < 200; n++) {
        struct taken t = {.good = true};
        struct err err = ERR_INIT;
        kv_behind *b = NULL;
        uint64_t put = 0;
        prng_seed(&t.expected, n);
        mem_fail_at(n, false);
        quartet_status rc = kv_behind_new(n % 2 == 0, 1000, take, &t, &b, &err);
        if (rc == QUARTET_OK)
            rc = fill(b, n, 100, &put, &err);
        if (rc == QUARTET_OK)
            rc = kv_behind_drain(b, &err);
        done = mem_fail_hits() == 0;
        mem_fail_at(0, false);
        kv_behind_free(b); /* without memory for more it may still be taking what it had */
        CU_ASSERT_EQUAL(rc, done ? QUARTET_OK : QUARTET_NOMEM);
        CU_ASSERT_TRUE(t.good && (!done || t.bytes == put));
    }
    CU_ASSERT_TRUE(done);
}

/* What was not taken is dropped, what is being taken is waited for. */
static void test_kv_behind_can_be_dropped_at_any_time(void)
{
    for (uint64_t n = 0; n < 60; n++) {
        struct taken t = {.good = true};
        struct err err = ERR_INIT;
        kv_behind *b;
        uint64_t put = 0;
        prng_seed(&t.expected, n);
        CU_ASSERT_EQUAL_FATAL(kv_behind_new(true, 200, take, &t, &b, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(fill(b, n, (uint32_t)n, &put, &err), QUARTET_OK);
        kv_behind_free(b);
        CU_ASSERT_TRUE(t.good && t.bytes <= put && !atomic_load(&t.busy));
    }
}

const struct unit_test unit_tests[] = {
    {"kv_behind takes all in order", test_kv_behind_takes_all_in_order},
    {"kv_behind tells an error and ends", test_kv_behind_tells_an_error_and_ends},
    {"kv_behind survives failing memory", test_kv_behind_survives_failing_memory},
    {"kv_behind can be dropped at any time", test_kv_behind_can_be_dropped_at_any_time},
    {NULL, NULL},
};
