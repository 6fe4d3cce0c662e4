/* test_map.c - order of insertion, removal, growth, collisions, allocation failures, and the hash. */
#include "unit/cunit.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/prng.h"

#include <stdio.h>
#include <string.h>

static int values[4096];

static void put(struct map *m, uint32_t key, void *value)
{
    struct err err = ERR_INIT;
    CU_ASSERT_EQUAL(map_put(m, &key, sizeof key, value, &err), QUARTET_OK);
}

static void test_map_walks_in_order_of_insertion(void)
{
    struct map m;
    map_init(&m, unit_seed(1));
    for (uint32_t i = 0; i < 1000; i++)
        put(&m, i * 7919u, &values[i]);
    put(&m, 0, &values[4000]); /* replaced: keeps its place */
    size_t seen = 0;
    struct map_entry *e;
    for (size_t i = 0; (e = map_at(&m, &i)) != NULL; seen++)
        CU_ASSERT_PTR_EQUAL(e->value, seen == 0 ? &values[4000] : &values[seen]);
    CU_ASSERT_EQUAL(seen, 1000);
    CU_ASSERT_EQUAL(m.count, 1000);
    map_deinit(&m);
}

static void test_map_keys_are_bytes(void)
{
    struct map m;
    struct err err = ERR_INIT;
    map_init(&m, 5);
    CU_ASSERT_PTR_NULL(map_get(&m, "", 0));
    CU_ASSERT_PTR_NULL(map_remove(&m, "", 0));
    CU_ASSERT_EQUAL(map_put(&m, NULL, 0, &values[0], &err), QUARTET_OK);
    CU_ASSERT_EQUAL(map_put(&m, "\0", 1, &values[1], &err), QUARTET_OK);
    CU_ASSERT_EQUAL(map_put(&m, "\0\0", 2, &values[2], &err), QUARTET_OK);
    CU_ASSERT_EQUAL(map_put(&m, "a", 1, NULL, &err), QUARTET_OK);
    CU_ASSERT_PTR_EQUAL(map_get(&m, "", 0), &values[0]);
    CU_ASSERT_PTR_EQUAL(map_get(&m, "\0", 1), &values[1]);
    CU_ASSERT_PTR_EQUAL(map_get(&m, "\0\0", 2), &values[2]);
    CU_ASSERT_TRUE(map_has(&m, "a", 1));
    CU_ASSERT_PTR_NULL(map_get(&m, "a", 1));
    CU_ASSERT_FALSE(map_has(&m, "b", 1));
    map_deinit(&m);
}

/* Against an array that is trivially right: seeded puts and removes, and the order of insertion. */
static void test_map_agrees_with_a_naive_model(void)
{
    enum { KEYS = 300, STEPS = 30000 };
    uint64_t seed = unit_seed(2);
    struct prng r;
    struct map m;
    void *model[KEYS] = {0};
    uint64_t since[KEYS] = {0};
    size_t live = 0;
    prng_seed(&r, seed);
    map_init(&m, prng_u64(&r));
    for (uint64_t step = 1; step <= STEPS; step++) {
        uint32_t key = (uint32_t)prng_below(&r, KEYS);
        if (prng_chance(&r, 0.5)) {
            live += model[key] == NULL;
            if (model[key] == NULL)
                since[key] = step;
            model[key] = &values[prng_below(&r, 4096)];
            put(&m, key, model[key]);
        } else {
            void *was = map_remove(&m, &key, sizeof key);
            CU_ASSERT_PTR_EQUAL(was, model[key]);
            live -= model[key] != NULL;
            model[key] = NULL;
        }
        if (step % 1000 != 0)
            continue;
        CU_ASSERT_EQUAL(m.count, live);
        size_t seen = 0;
        uint64_t last = 0;
        struct map_entry *e;
        for (size_t i = 0; (e = map_at(&m, &i)) != NULL; seen++) {
            memcpy(&key, e->key, sizeof key);
            CU_ASSERT_PTR_EQUAL(e->value, model[key]);
            CU_ASSERT(since[key] > last);
            last = since[key];
        }
        CU_ASSERT_EQUAL(seen, live);
        if (CU_get_number_of_failures() != 0)
            printf("seed %llu\n", (unsigned long long)seed);
    }
    CU_ASSERT(m.entry_cap <= 1024); /* removed places are used again */
    map_deinit(&m);
}

static void test_map_remove_during_a_walk(void)
{
    struct map m;
    map_init(&m, 9);
    for (uint32_t i = 0; i < 100; i++)
        put(&m, i, &values[i]);
    size_t seen = 0;
    struct map_entry *e;
    for (size_t i = 0; (e = map_at(&m, &i)) != NULL; seen++) {
        uint32_t key;
        memcpy(&key, e->key, sizeof key);
        CU_ASSERT_PTR_EQUAL(map_remove(&m, &key, sizeof key), &values[key]);
    }
    CU_ASSERT_EQUAL(seen, 100);
    CU_ASSERT_EQUAL(m.count, 0);
    map_deinit(&m);
}

static void test_map_put_survives_every_failed_allocation(void)
{
    uint64_t n = 0;
    for (bool failed = true; failed;) {
        struct map m;
        struct err err = ERR_INIT;
        map_init(&m, 3);
        mem_fail_at(++n, false);
        failed = false;
        for (uint32_t i = 0; i < 40 && !failed; i++) {
            quartet_status rc = map_put(&m, &i, sizeof i, &values[i], &err);
            failed = rc != QUARTET_OK;
            CU_ASSERT_EQUAL(rc, failed ? QUARTET_NOMEM : QUARTET_OK);
            CU_ASSERT_EQUAL(m.count, failed ? i : i + 1);
        }
        CU_ASSERT_EQUAL(mem_fail_hits(), failed ? 1 : 0);
        mem_fail_at(0, false);
        for (uint32_t i = 0; i < 40; i++) {
            CU_ASSERT_EQUAL(map_has(&m, &i, sizeof i), i < m.count);
        }
        if (failed)
            put(&m, 1000000, &values[0]); /* still usable */
        map_deinit(&m);
    }
    CU_ASSERT(n > 40);
}

/* Every bit of the input and of the seed changes about half of the bits of the result, at each length. */
static void test_map_hash64_spreads_every_bit(void)
{
    struct prng r;
    uint64_t seed = unit_seed(4);
    prng_seed(&r, seed);
    for (size_t n = 1; n <= 40; n++) {
        for (size_t bit = 0; bit < n * 8; bit++) {
            unsigned flips = 0;
            enum { ROUNDS = 24 };
            for (unsigned round = 0; round < ROUNDS; round++) {
                uint8_t p[40];
                uint64_t key = prng_u64(&r);
                prng_fill(&r, p, n);
                uint64_t before = hash64(p, n, key);
                p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
                flips += (unsigned)__builtin_popcountll(before ^ hash64(p, n, key));
            }
            /* 24 rounds of 64 fair bits: mean 768, standard deviation 20; 7 of them either way. */
            CU_ASSERT(flips > 628 && flips < 908);
        }
    }
}

static void test_map_hash64_tells_short_inputs_apart(void)
{
    struct map seen;
    struct err err = ERR_INIT;
    uint8_t zeros[64] = {0};
    map_init(&seen, 0);
    size_t expected = 0;
    for (size_t n = 0; n <= 64; n++, expected++) {
        uint64_t h = hash64(zeros, n, 7);
        CU_ASSERT_EQUAL(map_put(&seen, &h, sizeof h, NULL, &err), QUARTET_OK);
    }
    for (unsigned i = 0; i < 20000; i++, expected++) {
        char text[16];
        int n = snprintf(text, sizeof text, "k%u", i);
        uint64_t h = hash64(text, (size_t)n, 7);
        CU_ASSERT_EQUAL(map_put(&seen, &h, sizeof h, NULL, &err), QUARTET_OK);
    }
    CU_ASSERT_EQUAL(seen.count, expected); /* 20,065 of 2^64: one collision would be a flaw */
    CU_ASSERT_NOT_EQUAL(hash64("abc", 3, 1), hash64("abc", 3, 2));
    map_deinit(&seen);
}

const char *const unit_suite = "map";
const struct unit_test unit_tests[] = {
    {"walks_in_order_of_insertion", test_map_walks_in_order_of_insertion},
    {"keys_are_bytes", test_map_keys_are_bytes},
    {"agrees_with_a_naive_model", test_map_agrees_with_a_naive_model},
    {"remove_during_a_walk", test_map_remove_during_a_walk},
    {"put_survives_every_failed_allocation", test_map_put_survives_every_failed_allocation},
    {"hash64_spreads_every_bit", test_map_hash64_spreads_every_bit},
    {"hash64_tells_short_inputs_apart", test_map_hash64_tells_short_inputs_apart},
    {NULL, NULL},
};
