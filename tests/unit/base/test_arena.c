/* test_arena.c - alignment, limits, marks, failures. */
#include "unit/cunit.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/prng.h"

#include <stdio.h>
#include <string.h>

static void test_arena_allocations_are_aligned_and_apart(void)
{
    enum { COUNT = 2000 };
    static uint8_t *at[COUNT];
    static size_t size[COUNT];
    struct arena a = {0};
    struct prng r;
    prng_seed(&r, unit_seed(1));
    for (size_t i = 0; i < COUNT; i++) {
        size[i] = prng_chance(&r, 0.01) ? prng_below(&r, 100000) : prng_below(&r, 200);
        at[i] = arena_alloc(&a, size[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(at[i]);
        CU_ASSERT_EQUAL((uintptr_t)at[i] % 16, 0);
        memset(at[i], (int)(i & 0xFF), size[i]);
    }
    size_t wrong = 0;
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < size[i]; k++)
            wrong += at[i][k] != (i & 0xFF);
    CU_ASSERT_EQUAL(wrong, 0);
    arena_free_all(&a);
    CU_ASSERT_EQUAL(a.used_bytes, 0);
}

static void test_arena_limit_is_exact(void)
{
    struct err err = ERR_INIT;
    struct arena a = {.limit_bytes = 1024};
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 1000)); /* 1008 with its alignment */
    CU_ASSERT_PTR_NULL(arena_alloc(&a, 17));
    CU_ASSERT_TRUE(a.over_limit);
    CU_ASSERT_EQUAL(arena_fail(&a, &err), QUARTET_LIMIT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "1024"));
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 16)); /* exactly what is left */
    CU_ASSERT_EQUAL(a.used_bytes, 1024);
    CU_ASSERT_PTR_NULL(arena_alloc(&a, 1));
    arena_free_all(&a);
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 1024));
    CU_ASSERT_PTR_NULL(arena_alloc(&a, 0));
    arena_free_all(&a);
    CU_ASSERT_PTR_NULL(arena_alloc(&a, 1025));
    arena_free_all(&a);
}

static void test_arena_limit_holds_over_many_chunks(void)
{
    struct arena a = {.limit_bytes = 1000000};
    size_t bytes = 0;
    while (arena_alloc(&a, 48) != NULL)
        bytes += 48;
    CU_ASSERT_TRUE(a.over_limit);
    CU_ASSERT(a.used_bytes <= a.limit_bytes);
    CU_ASSERT(bytes > 980000); /* what the ends of chunks waste is little */
    arena_free_all(&a);
}

static void test_arena_products_are_checked(void)
{
    struct err err = ERR_INIT;
    struct arena a = {0};
    CU_ASSERT_PTR_NULL(arena_zalloc(&a, SIZE_MAX / 2, 4));
    CU_ASSERT_EQUAL(arena_fail(&a, &err), QUARTET_NOMEM);
    CU_ASSERT_PTR_NULL(arena_alloc(&a, SIZE_MAX));
    CU_ASSERT_PTR_NULL(arena_alloc(&a, SIZE_MAX - 40));
    uint8_t *p = arena_zalloc(&a, 10, 100);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    for (int i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(p[i], 0);
    arena_free_all(&a);
}

static void test_arena_copies_and_formats(void)
{
    struct arena a = {0};
    CU_ASSERT_STRING_EQUAL(arena_strndup(&a, "quartet", 4), "quar");
    CU_ASSERT_STRING_EQUAL(arena_strndup(&a, NULL, 0), "");
    CU_ASSERT_EQUAL(memcmp(arena_dup(&a, "a\0b", 3), "a\0b", 3), 0);
    CU_ASSERT_STRING_EQUAL(arena_printf(&a, "%s %d", "node", 3), "node 3");
    char *wide = arena_printf(&a, "%9000d", 7);
    CU_ASSERT_PTR_NOT_NULL_FATAL(wide);
    CU_ASSERT_EQUAL(strlen(wide), 9000);
    arena_free_all(&a);
}

static void test_arena_rewind_releases_what_came_after(void)
{
    struct arena a = {0};
    char *kept = arena_strndup(&a, "kept", 4);
    struct arena_mark mark = arena_mark(&a);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 100; i++)
            memset(arena_alloc(&a, 500), round, 500);
        arena_rewind(&a, mark);
        CU_ASSERT_EQUAL(a.used_bytes, mark.used_bytes);
    }
    CU_ASSERT_STRING_EQUAL(kept, "kept");
    arena_free_all(&a);
}

static void test_arena_recycle_keeps_little(void)
{
    struct arena a = {.limit_bytes = 100000};
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 100));
    const struct arena_chunk *first = a.chunks;
    arena_recycle(&a, 8192);
    CU_ASSERT_PTR_EQUAL(a.chunks, first);
    CU_ASSERT_EQUAL(a.used_bytes, 0);
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 60000));
    CU_ASSERT_PTR_NULL(arena_alloc(&a, 60000));
    CU_ASSERT_TRUE(a.over_limit);
    arena_recycle(&a, 8192);
    CU_ASSERT_PTR_NULL(a.chunks);
    CU_ASSERT_FALSE(a.over_limit);
    CU_ASSERT_EQUAL(a.used_bytes, 0);
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 60000));
    arena_free_all(&a);
}

static void test_arena_rewind_to_empty_and_nested_marks(void)
{
    struct arena a = {0};
    struct arena_mark empty = arena_mark(&a);
    for (int round = 0; round < 3; round++) {
        memset(arena_alloc(&a, 5000), 1, 5000);
        struct arena_mark inner = arena_mark(&a);
        memset(arena_alloc(&a, 50000), 2, 50000);
        struct arena_mark innermost = arena_mark(&a);
        memset(arena_alloc(&a, 500000), 3, 500000);
        arena_rewind(&a, innermost);
        memset(arena_alloc(&a, 10), 4, 10);
        arena_rewind(&a, inner);
        memset(arena_alloc(&a, 500000), 5, 500000);
        arena_rewind(&a, empty);
        CU_ASSERT_EQUAL(a.used_bytes, 0);
    }
    arena_free_all(&a);
}

/* A loop of mark, allocate, rewind must not go to the system each time round, wherever the mark lies. */
static void test_arena_rewind_loop_allocates_nothing(void)
{
    for (size_t lead = 0; lead < 5000; lead += 16) {
        struct arena a = {0};
        if (lead > 0)
            CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, lead));
        struct arena_mark mark = arena_mark(&a);
        CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 300));
        arena_rewind(&a, mark);
        mem_fail_at(1, true);
        for (int round = 0; round < 3; round++) {
            CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 300));
            arena_rewind(&a, mark);
        }
        CU_ASSERT_EQUAL(mem_fail_hits(), 0);
        mem_fail_at(0, false);
        arena_free_all(&a);
    }
}

static void test_arena_failed_allocation_leaves_it_usable(void)
{
    struct err err = ERR_INIT;
    struct arena a = {0};
    for (uint64_t n = 1; n <= 3; n++) {
        mem_fail_at(n, false);
        size_t got = 0;
        while (arena_alloc(&a, 1000) != NULL)
            got++;
        CU_ASSERT_EQUAL(mem_fail_hits(), 1);
        mem_fail_at(0, false);
        CU_ASSERT_FALSE(a.over_limit);
        CU_ASSERT_EQUAL(arena_fail(&a, &err), QUARTET_NOMEM);
        CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 1000));
        arena_free_all(&a);
    }
}

const char *const unit_suite = "arena";
const struct unit_test unit_tests[] = {
    {"allocations_are_aligned_and_apart", test_arena_allocations_are_aligned_and_apart},
    {"limit_is_exact", test_arena_limit_is_exact},
    {"limit_holds_over_many_chunks", test_arena_limit_holds_over_many_chunks},
    {"products_are_checked", test_arena_products_are_checked},
    {"copies_and_formats", test_arena_copies_and_formats},
    {"rewind_releases_what_came_after", test_arena_rewind_releases_what_came_after},
    {"rewind_to_empty_and_nested_marks", test_arena_rewind_to_empty_and_nested_marks},
    {"rewind_loop_allocates_nothing", test_arena_rewind_loop_allocates_nothing},
    {"failed_allocation_leaves_it_usable", test_arena_failed_allocation_leaves_it_usable},
    {"recycle_keeps_little", test_arena_recycle_keeps_little},
    {NULL, NULL},
};
