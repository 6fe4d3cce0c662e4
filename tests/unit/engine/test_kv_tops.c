/* test_kv_tops.c - keys above the greatest are not looked for: against a model, with keys that come at the end, go again, and are asked for in states old and new. */
#include "unit/cunit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "engine/kv.h"
#include "engine/kv_tops.h"

const char *const unit_suite = "kv_tops";

#define KEYS 4000u
#define TREES 2u
#define TREE(i) ((i) == 0 ? 300u : 300u + KV_TOPS) /* they want the same place */
#define HELD 5u
#define OPS_MAX 12u

/* What is under each key: the apply number that put it, or less the one that erased it; histories of up to 8 changes, newest last. */
struct model {
    apply_no changed[TREES][KEYS][8];
    bool erased[TREES][KEYS][8];
    uint8_t changes[TREES][KEYS];
    uint32_t top; /* keys up to this were put */
    struct prng r;
};

static struct slice key_of(uint32_t number, uint8_t to[9])
{
    to[0] = 1;
    store_be64(to + 1, (uint64_t)number * (number % 2 == 0 ? 1 : (uint64_t)1 << 20) | (uint64_t)1 << 63); /* not in the order of their numbers */
    return slice_of(to, 9);
}

static bool model_has(const struct model *m, uint32_t tree, uint32_t key, apply_no at)
{
    for (uint32_t i = m->changes[tree][key]; i-- > 0;)
        if (m->changed[tree][key][i] <= at)
            return !m->erased[tree][key][i];
    return false;
}

static uint32_t some_ops(struct model *m, apply_no at, struct kv_op *ops, uint8_t keys[OPS_MAX][9])
{
    uint32_t n = 0, want = 1 + (uint32_t)prng_below(&m->r, OPS_MAX);
    while (n < want) {
        uint32_t tree = (uint32_t)prng_below(&m->r, TREES), key = m->top;
        if (prng_chance(&m->r, 0.5))
            key = m->top < KEYS - 1 ? ++m->top : m->top;
        else if (key > 20)
            key -= (uint32_t)prng_below(&m->r, 20);
        uint32_t i = m->changes[tree][key];
        if (i == 8 || (i > 0 && m->changed[tree][key][i - 1] == at))
            break;
        bool erase = prng_chance(&m->r, 0.3);
        m->changed[tree][key][i] = at;
        m->erased[tree][key][i] = erase;
        m->changes[tree][key]++;
        ops[n] = (struct kv_op){.tree = TREE(tree), .key = key_of(key, keys[n]), .record = erase ? slice_of(NULL, 0) : slice_of("", 0)};
        n++;
    }
    return n;
}

static void apply_some(struct model *m, kv *s, apply_no at)
{
    struct err err = ERR_INIT;
    struct kv_op ops[OPS_MAX];
    uint8_t keys[OPS_MAX][9];
    uint32_t n = some_ops(m, at, ops, keys);
    if (prng_chance(&m->r, 0.7)) {
        CU_ASSERT_EQUAL(kv_apply(s, ops, n, at, &err), QUARTET_OK);
    } else {
        kv_bulk *b = NULL;
        CU_ASSERT_EQUAL_FATAL(kv_bulk_begin(s, &b, &err), QUARTET_OK);
        for (uint32_t i = 0; i < n; i++)
            CU_ASSERT_EQUAL(kv_bulk_put(b, ops[i].tree, ops[i].key, ops[i].record, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(kv_bulk_commit(b, at, &err), QUARTET_OK);
    }
    kv_publish(s, at);
}

/* Keys about the end of what is there. */
static uint32_t wrong_gets(struct model *m, kv_snap *snap)
{
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < 12; i++) {
        uint8_t raw[9];
        struct buf out = {0};
        struct err err = ERR_INIT;
        uint32_t tree = (uint32_t)prng_below(&m->r, TREES), key = m->top < 15 ? 0 : m->top - 15;
        key += (uint32_t)prng_below(&m->r, 30);
        key = key < KEYS ? key : KEYS - 1;
        quartet_status rc = kv_get(snap, NULL, TREE(tree), key_of(key, raw), &out, &err);
        wrong += rc != (model_has(m, tree, key, kv_snap_at(snap)) ? QUARTET_OK : QUARTET_NOTFOUND);
        buf_deinit(&out);
    }
    return wrong;
}

static void run(uint64_t seed, bool threads)
{
    struct model *m = calloc(1, sizeof *m);
    struct env env = *env_posix();
    struct kv_options options = {.in_memory = true, .buffer_bytes = 20000};
    struct buf none = {0};
    struct err err = ERR_INIT;
    kv *s = NULL;
    kv_snap *held[HELD] = {0};
    uint32_t wrong = 0;
    prng_seed(&m->r, seed);
    env.threads = threads;
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &none, &err), QUARTET_OK);
    for (apply_no at = 1; at < 500 && wrong == 0; at++) {
        kv_snap **slot = &held[prng_below(&m->r, HELD)], *latest = NULL;
        apply_some(m, s, at);
        CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &latest, &err), QUARTET_OK);
        wrong += wrong_gets(m, latest);
        for (uint32_t i = 0; i < HELD; i++)
            wrong += held[i] != NULL ? wrong_gets(m, held[i]) : 0;
        if (prng_chance(&m->r, 0.3)) {
            kv_release(*slot);
            *slot = latest;
            latest = NULL;
        }
        kv_release(latest);
        if (prng_chance(&m->r, 0.03))
            CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
    }
    if (wrong != 0)
        fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    CU_ASSERT_EQUAL(wrong, 0);
    for (uint32_t i = 0; i < HELD; i++)
        kv_release(held[i]);
    kv_close(s);
    buf_deinit(&none);
    free(m);
}

static void test_kv_tops_agree_with_model(void)
{
    for (uint64_t k = 0; k < 30; k++)
        run(unit_seed(1) + k, k % 3 == 0);
}

/* What readers ask for, the writer tells once; another tree in the same place is not mixed up with it. */
static void test_kv_tops_are_known_after_some_misses(void)
{
    struct kv_tops t = {0};
    struct slice low = slice_of("\1k", 2), high = slice_of("\1l", 2);
    for (int i = 0; i < 100 && atomic_load(&t.wanted) == 0; i++)
        kv_tops_missed(&t, 7);
    CU_ASSERT_EQUAL(atomic_load(&t.wanted), 7);
    CU_ASSERT_FALSE(kv_tops_above(&t, 7, high, 10));
    kv_tops_know(&t, 7, low, 5);
    CU_ASSERT_EQUAL(atomic_load(&t.wanted), 0);
    CU_ASSERT_FALSE(kv_tops_above(&t, 7, high, 5)); /* a snapshot from before */
    CU_ASSERT_TRUE(kv_tops_above(&t, 7, high, 6));
    CU_ASSERT_FALSE(kv_tops_above(&t, 7, low, 6));
    CU_ASSERT_FALSE(kv_tops_above(&t, 7 + KV_TOPS, high, 6));
    kv_tops_know(&t, 7 + KV_TOPS, slice_of(NULL, 0), 6); /* the place is taken */
    CU_ASSERT_FALSE(kv_tops_above(&t, 7 + KV_TOPS, high, 9));
    kv_tops_raise(&t, 7 + KV_TOPS, slice_of("\2", 1));
    CU_ASSERT_TRUE(kv_tops_above(&t, 7, high, 6));
    kv_tops_raise(&t, 7, high);
    CU_ASSERT_FALSE(kv_tops_above(&t, 7, high, 6));
    kv_tops_know(&t, 8, slice_of(NULL, 0), 6); /* empty */
    CU_ASSERT_TRUE(kv_tops_above(&t, 8, low, 7));
}

/* Without memory to find it nobody is told anything, and nothing fails. */
static void test_kv_tops_without_memory(void)
{
    struct err err = ERR_INIT;
    struct env env = *env_posix();
    struct kv_options options = {.in_memory = true};
    struct buf none = {0}, out = {0};
    kv *s = NULL;
    env.threads = false;
    CU_ASSERT_EQUAL_FATAL(kv_open(&env, NULL, &options, NULL, &s, &none, &err), QUARTET_OK);
    for (apply_no at = 1; at < 60; at++) {
        uint8_t key[9], above[9];
        struct kv_op op = {.tree = 300, .key = key_of((uint32_t)at * 2, key), .record = slice_of("", 0)};
        kv_snap *snap = NULL;
        mem_fail_at(1 + at % 3, false);
        quartet_status rc = kv_apply(s, &op, 1, at, &err);
        mem_fail_at(0, false);
        if (rc != QUARTET_OK) {
            CU_ASSERT_EQUAL(rc, QUARTET_NOMEM);
            CU_ASSERT_EQUAL(kv_apply(s, &op, 1, at, &err), QUARTET_OK);
        }
        kv_publish(s, at);
        CU_ASSERT_EQUAL_FATAL(kv_snapshot(s, 0, &snap, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(kv_get(snap, NULL, 300, op.key, &out, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(kv_get(snap, NULL, 300, key_of((uint32_t)at * 2 + 2, above), &out, &err), QUARTET_NOTFOUND);
        kv_release(snap);
    }
    kv_close(s);
    buf_deinit(&none);
    buf_deinit(&out);
}

const struct unit_test unit_tests[] = {
    {"agree_with_model", test_kv_tops_agree_with_model},
    {"are_known_after_some_misses", test_kv_tops_are_known_after_some_misses},
    {"without_memory", test_kv_tops_without_memory},
    {NULL, NULL},
};
