/* test_mem.c - products, zero bytes, and failures on request. */
#include "unit/cunit.h"

#include "base/mem.h"

#include <pthread.h>
#include <string.h>

static void test_mem_products_are_checked(void)
{
    size_t product = 0;
    CU_ASSERT_TRUE(mem_mul(SIZE_MAX, 1, &product));
    CU_ASSERT_EQUAL(product, SIZE_MAX);
    CU_ASSERT_FALSE(mem_mul(SIZE_MAX, 2, &product));
    CU_ASSERT_FALSE(mem_mul(SIZE_MAX / 2 + 1, 2, &product));
    CU_ASSERT_TRUE(mem_mul(0, SIZE_MAX, &product));
    CU_ASSERT_EQUAL(product, 0);
    CU_ASSERT_PTR_NULL(mem_zalloc(SIZE_MAX / 8, 16));
    CU_ASSERT_PTR_NULL(mem_realloc(NULL, SIZE_MAX / 8, 16));
}

static void test_mem_zero_bytes_give_a_pointer(void)
{
    void *all[4] = {mem_alloc(0), mem_zalloc(0, 8), mem_realloc(NULL, 0, 8), mem_dup(NULL, 0)};
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_PTR_NOT_NULL(all[i]);
        mem_free(all[i]);
    }
    mem_free(NULL);
}

static void test_mem_copies_and_zeroes(void)
{
    char *s = mem_strdup("text");
    uint8_t *z = mem_zalloc(100, 3);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(z);
    CU_ASSERT_STRING_EQUAL(s, "text");
    for (int i = 0; i < 300; i++)
        CU_ASSERT_EQUAL(z[i], 0);
    mem_free(s);
    mem_free(z);
}

static void test_mem_fail_at_strikes_once_or_for_good(void)
{
    for (int persistent = 0; persistent < 2; persistent++) {
        mem_fail_at(3, persistent != 0);
        for (int i = 1; i <= 5; i++) {
            void *p = mem_alloc(8);
            bool struck = persistent != 0 ? i >= 3 : i == 3;
            CU_ASSERT_EQUAL(p == NULL, struck);
            mem_free(p);
        }
        CU_ASSERT_EQUAL(mem_fail_hits(), persistent != 0 ? 3 : 1);
        mem_fail_at(0, false);
        CU_ASSERT_EQUAL(mem_fail_hits(), 0);
    }
}

static void test_mem_failed_realloc_keeps_the_old(void)
{
    char *p = mem_strdup("kept");
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    mem_fail_at(1, false);
    CU_ASSERT_PTR_NULL(mem_realloc(p, 1000, 1));
    CU_ASSERT_STRING_EQUAL(p, "kept");
    mem_fail_at(0, false);
    mem_free(p);
}

static void *allocate(void *arg)
{
    void *p = mem_alloc(8);
    *(bool *)arg = p != NULL;
    mem_free(p);
    return NULL;
}

static void test_mem_failures_belong_to_a_thread(void)
{
    bool succeeded = false;
    pthread_t thread;
    mem_fail_at(1, true);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, allocate, &succeeded), 0);
    CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
    CU_ASSERT_EQUAL(mem_fail_hits(), 0);
    mem_fail_at(0, false);
    CU_ASSERT_TRUE(succeeded);
}

const char *const unit_suite = "mem";
const struct unit_test unit_tests[] = {
    {"products_are_checked", test_mem_products_are_checked},
    {"zero_bytes_give_a_pointer", test_mem_zero_bytes_give_a_pointer},
    {"copies_and_zeroes", test_mem_copies_and_zeroes},
    {"fail_at_strikes_once_or_for_good", test_mem_fail_at_strikes_once_or_for_good},
    {"failed_realloc_keeps_the_old", test_mem_failed_realloc_keeps_the_old},
    {"failures_belong_to_a_thread", test_mem_failures_belong_to_a_thread},
    {NULL, NULL},
};
