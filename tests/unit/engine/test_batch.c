/* test_batch.c - vectors: what is set comes back, through every change of type. */
#include "unit/cunit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "engine/batch.h"

const char *const unit_suite = "batch";

static struct value random_value(struct prng *r, uint8_t type)
{
    struct value v = {.type = type};
    switch (type) {
    case VALUE_REAL:
        v.r = prng_unit(r);
        break;
    case VALUE_TEXT:
    case VALUE_BLOB:
    case VALUE_JSON:
        v.s = slice_of("0123456789", prng_below(r, 10));
        break;
    case VALUE_DECIMAL:
        v.scale = (uint8_t)prng_below(r, 2);
        v.dec = dec_make((int64_t)prng_u64(r));
        break;
    case VALUE_UUID:
        prng_fill(r, v.uuid, 16);
        break;
    case VALUE_NULL:
        break;
    default:
        v.i = (int64_t)prng_u64(r);
        break;
    }
    return v;
}

static void test_batch_vec_gives_back_what_was_set(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(1));
    for (uint32_t run = 0; run < 200; run++) {
        struct arena a = {0};
        struct batch b;
        struct value want[64];
        CU_ASSERT_TRUE_FATAL(batch_init(&b, 1, &a));
        uint8_t first = (uint8_t)(1 + prng_below(&r, 11)), second = (uint8_t)(1 + prng_below(&r, 11));
        for (uint32_t k = 0; k < 64; k++) {
            want[k] = random_value(&r, prng_chance(&r, 0.2) ? VALUE_NULL : prng_chance(&r, 0.05) ? second : first);
            CU_ASSERT_TRUE(vec_set(&b.cols[0], k, &want[k], BATCH_ROWS_MAX, &a));
        }
        for (uint32_t k = 0; k < 64; k++) {
            struct value got = vec_get(&b.cols[0], k);
            CU_ASSERT_TRUE(value_identical(&got, &want[k]));
            if (want[k].type == VALUE_NULL)
                CU_ASSERT_TRUE(b.cols[0].type == VEC_MIXED || (b.cols[0].has_null && b.cols[0].null[k] == 1));
        }
        arena_free_all(&a);
    }
}

static void test_batch_constant_vec_has_one_row(void)
{
    struct arena a = {0};
    struct vec v;
    CU_ASSERT_TRUE_FATAL(vec_init(&v, VALUE_INTEGER, 1, &a));
    v.constant = true;
    v.i[0] = 42;
    struct value got = vec_get(&v, 1000);
    CU_ASSERT_EQUAL(got.i, 42);
    arena_free_all(&a);
}

static void test_batch_null_vec_is_null_everywhere(void)
{
    struct arena a = {0};
    struct vec v;
    CU_ASSERT_TRUE_FATAL(vec_init(&v, VALUE_NULL, 10, &a));
    for (uint32_t k = 0; k < 10; k++)
        CU_ASSERT_TRUE(vec_get(&v, k).type == VALUE_NULL && v.null[k] == 1);
    arena_free_all(&a);
}

static void test_batch_out_of_memory_is_told(void)
{
    for (uint64_t n = 1; n < 6; n++) {
        struct arena a = {0};
        struct batch b;
        mem_fail_at(n, true);
        bool good = batch_init(&b, 40, &a);
        uint64_t hits = mem_fail_hits();
        mem_fail_at(0, false);
        CU_ASSERT_EQUAL(good, hits == 0);
        arena_free_all(&a);
    }
}

const struct unit_test unit_tests[] = {
    {"vec_gives_back_what_was_set", test_batch_vec_gives_back_what_was_set},
    {"constant_vec_has_one_row", test_batch_constant_vec_has_one_row},
    {"null_vec_is_null_everywhere", test_batch_null_vec_is_null_everywhere},
    {"out_of_memory_is_told", test_batch_out_of_memory_is_told},
    {NULL, NULL},
};
