/* test_kv_buffer.c - the write buffer against a naive model: order, versions, cursors both ways. */
#include "unit/cunit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "engine/kv_buffer_internal.h"

const char *const unit_suite = "kv_buffer";

#define ENTRIES_MAX 6000u

struct entry {
    tree_id tree;
    uint8_t key[40];
    uint32_t key_len;
    apply_no version;
    uint32_t record; /* UINT32_MAX: an erasure */
    uint32_t order;
};
struct model {
    struct entry e[ENTRIES_MAX];
    uint32_t count;
};

static struct slice key_of(const struct entry *e)
{
    return slice_of(e->key, e->key_len);
}

/* Tree, key, then newest first, then last put first. */
static int entry_cmp(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    if (a->tree != b->tree)
        return a->tree < b->tree ? -1 : 1;
    int c = slice_cmp(key_of(a), key_of(b));
    if (c != 0)
        return c;
    if (a->version != b->version)
        return a->version > b->version ? -1 : 1;
    return a->order > b->order ? -1 : 1;
}

static void random_key(struct prng *r, struct entry *e)
{
    e->tree = prng_below(r, 4) * 63 + 1;
    e->key_len = (uint32_t)prng_below(r, 5);
    if (prng_chance(r, 0.3))
        e->key_len = 15 + (uint32_t)prng_below(r, 20);
    memset(e->key, 7, sizeof e->key);
    for (uint32_t i = 0; i < e->key_len; i++)
        if (i < 2 || i > 14)
            e->key[i] = (uint8_t)(prng_below(r, 3) * 127);
}

static void put_random(struct model *m, kv_buffer *b, struct prng *r, apply_no version)
{
    struct err err = ERR_INIT;
    struct entry *e = &m->e[m->count];
    random_key(r, e);
    e->version = version;
    e->order = m->count++;
    e->record = prng_chance(r, 0.2) ? UINT32_MAX : (uint32_t)prng_u64(r) / 2;
    struct slice record = e->record == UINT32_MAX ? slice_of(NULL, 0) : slice_of(&e->record, e->record % 4 == 0 ? 0 : 4);
    CU_ASSERT_EQUAL(kv_buffer_put(b, e->tree, key_of(e), version, record, &err), QUARTET_OK);
}

/* What a walk at `through` must show: the first entry of each key with a version at or below it. */
static uint32_t visible(const struct model *m, apply_no through, struct entry *out)
{
    uint32_t n = 0;
    struct entry *sorted = malloc((m->count + 1) * sizeof *sorted);
    memcpy(sorted, m->e, m->count * sizeof *sorted);
    qsort(sorted, m->count, sizeof *sorted, entry_cmp);
    for (uint32_t i = 0; i < m->count; i++) {
        if (sorted[i].version > through)
            continue;
        if (n > 0 && out[n - 1].tree == sorted[i].tree && slice_eq(key_of(&out[n - 1]), key_of(&sorted[i])))
            continue;
        out[n++] = sorted[i];
    }
    free(sorted);
    return n;
}

static bool same(const struct kv_cursor *c, const struct entry *e)
{
    if (c->node == NULL || c->tree != e->tree || !slice_eq(c->key, key_of(e)) || c->version != e->version)
        return false;
    if (e->record == UINT32_MAX)
        return c->record.p == NULL;
    return c->record.p != NULL && slice_eq(c->record, slice_of(&e->record, e->record % 4 == 0 ? 0 : 4));
}

static void check_all(const struct model *m, const kv_buffer *b, struct prng *r, apply_no through)
{
    struct entry *want = malloc((m->count + 1) * sizeof *want);
    uint32_t n = visible(m, through, want), at = 0;
    struct kv_cursor c;
    for (kv_cursor_seek(&c, b, through, 0, slice_of(NULL, 0)); c.node != NULL; kv_cursor_next(&c), at++)
        CU_ASSERT_TRUE_FATAL(at < n && same(&c, &want[at]));
    CU_ASSERT_EQUAL(at, n);
    for (kv_cursor_seek_last(&c, b, through); c.node != NULL; kv_cursor_prev(&c)) {
        at--;
        CU_ASSERT_TRUE_FATAL(at < n && same(&c, &want[at]));
    }
    CU_ASSERT_EQUAL(at, 0);
    for (uint32_t i = 0; i < 100; i++) {
        struct entry probe = {0};
        random_key(r, &probe);
        uint32_t first = 0;
        while (first < n && (want[first].tree < probe.tree || (want[first].tree == probe.tree && slice_cmp(key_of(&want[first]), key_of(&probe)) < 0)))
            first++;
        kv_cursor_seek(&c, b, through, probe.tree, key_of(&probe));
        CU_ASSERT_TRUE(first < n ? same(&c, &want[first]) : c.node == NULL);
        kv_cursor_seek_before(&c, b, through, probe.tree, key_of(&probe));
        CU_ASSERT_TRUE(first > 0 ? same(&c, &want[first - 1]) : c.node == NULL);
        struct slice record;
        apply_no version;
        bool found = kv_buffer_get(b, probe.tree, key_of(&probe), through, &record, &version);
        bool is = first < n && want[first].tree == probe.tree && slice_eq(key_of(&want[first]), key_of(&probe));
        CU_ASSERT_EQUAL(found, is);
        if (found && is)
            CU_ASSERT_EQUAL(version, want[first].version);
    }
    free(want);
}

static void test_kv_buffer_agrees_with_model(void)
{
    struct prng r;
    struct model *m = calloc(1, sizeof *m);
    prng_seed(&r, unit_seed(1));
    for (uint32_t run = 0; run < 12; run++) {
        kv_buffer *b = kv_buffer_new();
        m->count = 0;
        apply_no version = 0;
        for (uint32_t i = 0; i < 200 + run * 100; i++) {
            version += prng_chance(&r, 0.2) ? prng_below(&r, 3) : 0;
            put_random(m, b, &r, version);
        }
        CU_ASSERT_EQUAL(kv_buffer_entries(b), m->count);
        CU_ASSERT_EQUAL(kv_buffer_last_version(b), version);
        for (uint32_t k = 0; k < 4; k++)
            check_all(m, b, &r, k == 0 ? UINT64_MAX : prng_below(&r, version + 2));
        kv_buffer_free(b);
    }
    free(m);
}

static void test_kv_buffer_take_back_unlinks_one(void)
{
    struct err err = ERR_INIT;
    kv_buffer *b = kv_buffer_new();
    struct slice key = slice_of("key", 3), record;
    apply_no version;
    CU_ASSERT_EQUAL(kv_buffer_put(b, 5, key, 1, slice_of("old", 3), &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_buffer_put(b, 5, key, 2, slice_of("new", 3), &err), QUARTET_OK);
    kv_buffer_take_back(b, 5, key, 2);
    kv_buffer_take_back(b, 5, key, 2); /* absent: nothing */
    CU_ASSERT_TRUE(kv_buffer_get(b, 5, key, 9, &record, &version));
    CU_ASSERT_EQUAL(version, 1);
    CU_ASSERT_TRUE(slice_eq(record, slice_of("old", 3)));
    CU_ASSERT_EQUAL(kv_buffer_put(b, 5, key, 2, slice_of("newer", 5), &err), QUARTET_OK);
    CU_ASSERT_TRUE(kv_buffer_get(b, 5, key, 9, &record, &version));
    CU_ASSERT_TRUE(slice_eq(record, slice_of("newer", 5)));
    kv_buffer_free(b);
}

/* More keys than the hints begin with, some written very often: every version is found by its number, taken back or not. */
#define MANY_KEYS 5000u
#define MANY_PUTS 40000u

static struct slice many_key(uint32_t i, uint8_t raw[28])
{
    memset(raw, 'x', 28);
    store_be64(raw + (i % 2 == 0 ? 0 : 18), i * 0x9E3779B97F4A7C15u);
    return slice_of(raw, i % 2 == 0 ? 9 : 28);
}

static void test_kv_buffer_finds_each_version_of_many_keys(void)
{
    struct err err = ERR_INIT;
    struct prng r;
    prng_seed(&r, unit_seed(2));
    kv_buffer *b = kv_buffer_new();
    uint32_t *of = malloc(MANY_PUTS * sizeof *of); /* put v, numbered from 1, went to key of[v - 1]; UINT32_MAX: was taken back */
    for (uint32_t v = 1; v <= MANY_PUTS; v++) {
        uint8_t raw[28];
        uint32_t key = (uint32_t)prng_below(&r, prng_chance(&r, 0.3) ? 3 : MANY_KEYS);
        of[v - 1] = key;
        CU_ASSERT_EQUAL(kv_buffer_put(b, 300 + key % 3, many_key(key, raw), v, slice_of(&v, sizeof v), &err), QUARTET_OK);
        if (prng_chance(&r, 0.05)) {
            kv_buffer_take_back(b, 300 + key % 3, many_key(key, raw), v);
            of[v - 1] = UINT32_MAX;
        }
    }
    for (uint32_t i = 0; i < 3000; i++) {
        uint8_t raw[28];
        uint32_t through = (uint32_t)prng_below(&r, MANY_PUTS + 1), want = through;
        uint32_t key = (uint32_t)prng_below(&r, i % 2 == 0 ? 3 : MANY_KEYS), got = 0;
        while (want > 0 && of[want - 1] != key)
            want--;
        struct slice record = {0};
        apply_no version = 0;
        bool found = kv_buffer_get(b, 300 + key % 3, many_key(key, raw), through, &record, &version);
        CU_ASSERT_EQUAL(found, want > 0);
        CU_ASSERT_EQUAL(version, want);
        if (found && record.n == sizeof got)
            memcpy(&got, record.p, sizeof got);
        CU_ASSERT_EQUAL(got, want);
    }
    uint32_t entries = 0, left = 0;
    struct kv_cursor c;
    for (kv_cursor_seek(&c, b, UINT64_MAX, 0, slice_of(NULL, 0)); c.node != NULL; kv_cursor_next(&c))
        do
            entries++;
        while (kv_cursor_older(&c));
    for (uint32_t v = 0; v < MANY_PUTS; v++)
        left += of[v] != UINT32_MAX;
    CU_ASSERT_EQUAL(entries, left);
    CU_ASSERT_EQUAL(kv_buffer_entries(b), left);
    free(of);
    kv_buffer_free(b);
}

static void test_kv_buffer_passes_over_keys_taken_back(void)
{
    struct err err = ERR_INIT;
    kv_buffer *b = kv_buffer_new();
    struct kv_cursor c;
    const char *names[] = {"a", "b", "c"};
    for (uint32_t i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(kv_buffer_put(b, 5, slice_of(names[i], 1), 1, slice_of("r", 1), &err), QUARTET_OK);
    kv_buffer_take_back(b, 5, slice_of("b", 1), 1);
    CU_ASSERT_EQUAL(kv_buffer_entries(b), 2);
    kv_cursor_seek(&c, b, 9, 5, slice_of("b", 1));
    CU_ASSERT_TRUE(c.node != NULL && c.key.p[0] == 'c');
    kv_cursor_prev(&c);
    CU_ASSERT_TRUE(c.node != NULL && c.key.p[0] == 'a');
    kv_buffer_take_back(b, 5, slice_of("c", 1), 1);
    kv_cursor_seek_last(&c, b, 9);
    CU_ASSERT_TRUE(c.node != NULL && c.key.p[0] == 'a');
    kv_cursor_next(&c);
    CU_ASSERT_TRUE(c.node == NULL);
    kv_buffer_free(b);
}

/* Keys that were not put are not found, in buffers of any size; those that were put in any order are. */
static void test_kv_buffer_tells_what_it_has_not(void)
{
    struct err err = ERR_INIT;
    struct prng r;
    prng_seed(&r, unit_seed(3));
    kv_buffer *b = kv_buffer_new();
    uint32_t wrong = 0;
    for (uint32_t v = 0; v < 70000; v++) { /* the even ones are there, up to v */
        uint8_t raw[28];
        struct slice record;
        apply_no version;
        if (v % 2 == 0)
            CU_ASSERT_EQUAL(kv_buffer_put(b, 9, many_key(v * 2, raw), v + 1, slice_of(&v, sizeof v), &err), QUARTET_OK);
        uint32_t key = (uint32_t)prng_below(&r, 70000);
        wrong += kv_buffer_get(b, 9, many_key(key * 2, raw), UINT64_MAX, &record, &version) != (key % 2 == 0 && key <= v);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    kv_buffer_free(b);
}

/* Hints may forget, but few: at any size nine keys of ten are found without a search. */
static void test_kv_buffer_hints_forget_few(void)
{
    for (uint32_t shape = 0; shape < 2; shape++) { /* keys of numbers in order, and those in none */
        struct err err = ERR_INIT;
        kv_buffer *b = kv_buffer_new();
        uint32_t known = 0;
        for (uint32_t v = 1; v <= 40000; v++) {
            uint8_t raw[28] = {1};
            store_be64(raw + 1, v | (uint64_t)1 << 63);
            struct slice key = shape == 0 ? slice_of(raw, 9) : many_key(v, raw);
            CU_ASSERT_EQUAL(kv_buffer_put(b, 9, key, v, slice_of("", 0), &err), QUARTET_OK);
            if (v != 1100 && v != 4000 && v != 8191 && v != 20000 && v != 32767 && v != 40000)
                continue;
            known = 0;
            for (uint32_t i = 1; i <= v; i++) {
                memset(raw, 0, sizeof raw);
                raw[0] = 1;
                store_be64(raw + 1, i | (uint64_t)1 << 63);
                key = shape == 0 ? slice_of(raw, 9) : many_key(i, raw);
                struct probe p = probe_make(9, key);
                known += kv_buffer_hinted(b, &p) != NULL;
            }
            CU_ASSERT_TRUE(known >= v / 10 * 9);
            if (known < v / 10 * 9)
                fprintf(stderr, "shape %u: of %u keys %u are known\n", shape, v, known);
        }
        kv_buffer_free(b);
    }
}

/* A reader sees all that was put before its version was published, while the list and the hints grow. */
struct reading {
    const kv_buffer *b;
    _Atomic uint32_t published;
    _Atomic uint32_t wrong;
};

static uint32_t reading_key(uint32_t v) /* of put v: every second one is of a key that was there */
{
    return v % 2 == 1 ? v / 2 : v * 7u % (v / 2 + 1u);
}

static void *read_along(void *arg)
{
    struct reading *s = arg;
    struct prng r;
    prng_seed(&r, 77);
    for (uint32_t through; (through = atomic_load(&s->published)) < MANY_PUTS;) {
        if (through == 0)
            continue;
        uint8_t raw[28];
        uint32_t v = 1 + (uint32_t)prng_below(&r, through);
        struct slice record;
        apply_no version;
        uint32_t got;
        if (!kv_buffer_get(s->b, 9, many_key(reading_key(v), raw), v, &record, &version) || version != v || record.n != sizeof got ||
            (memcpy(&got, record.p, sizeof got), got != v))
            atomic_fetch_add(&s->wrong, 1);
    }
    return NULL;
}

static void test_kv_buffer_is_read_while_it_grows(void)
{
    struct err err = ERR_INIT;
    kv_buffer *b = kv_buffer_new();
    struct reading s = {.b = b};
    pthread_t reader;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&reader, NULL, read_along, &s), 0);
    for (uint32_t v = 1; v <= MANY_PUTS; v++) {
        uint8_t raw[28];
        CU_ASSERT_EQUAL(kv_buffer_put(b, 9, many_key(reading_key(v), raw), v, slice_of(&v, sizeof v), &err), QUARTET_OK);
        atomic_store(&s.published, v);
    }
    pthread_join(reader, NULL);
    CU_ASSERT_EQUAL(atomic_load(&s.wrong), 0);
    kv_buffer_free(b);
}

static void test_kv_buffer_tells_which_trees_changed(void)
{
    struct err err = ERR_INIT;
    kv_buffer *b = kv_buffer_new();
    CU_ASSERT_EQUAL(kv_buffer_put(b, 5, slice_of("k", 1), 7, slice_of("", 0), &err), QUARTET_OK);
    CU_ASSERT_TRUE(kv_buffer_tree_changed(b, 5, 6));
    CU_ASSERT_FALSE(kv_buffer_tree_changed(b, 5, 7));
    CU_ASSERT_FALSE(kv_buffer_tree_changed(b, 6, 0));
    kv_buffer_free(b);
}

static void test_kv_buffer_limits(void)
{
    struct err err = ERR_INIT;
    kv_buffer *b = kv_buffer_new();
    uint8_t *key = calloc(1, KV_KEY_BYTES_MAX);
    CU_ASSERT_EQUAL(kv_buffer_put(b, 1, slice_of(key, KV_KEY_BYTES_MAX - 1), 1, slice_of("r", 1), &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_buffer_put(b, 1, slice_of(key, KV_KEY_BYTES_MAX), 1, slice_of("r", 1), &err), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(kv_buffer_entries(b), 1);
    free(key);
    kv_buffer_free(b);
}

#define FAILING_KEYS 5000u

static void test_kv_buffer_survives_failed_allocations(void)
{
    for (uint64_t n = 1; n < 40; n++) {
        struct err err = ERR_INIT;
        mem_fail_at(n, false);
        kv_buffer *b = kv_buffer_new();
        uint32_t good = 0, found = 0;
        bool was_put[FAILING_KEYS];
        for (uint32_t i = 0; i < FAILING_KEYS && b != NULL; i++) {
            uint8_t key[4];
            store_le32(key, i);
            quartet_status rc = kv_buffer_put(b, 1, slice_of(key, 4), 1, slice_of("record", 6), &err);
            CU_ASSERT_TRUE(rc == QUARTET_OK || rc == QUARTET_NOMEM);
            was_put[i] = rc == QUARTET_OK;
            good += was_put[i];
        }
        mem_fail_at(0, false);
        for (uint32_t i = 0; i < FAILING_KEYS && b != NULL; i++) { /* hints or filter may be missing: nothing else is */
            uint8_t key[4];
            struct slice record;
            apply_no version;
            store_le32(key, i);
            found += kv_buffer_get(b, 1, slice_of(key, 4), 1, &record, &version) == was_put[i];
        }
        if (b != NULL) {
            CU_ASSERT_EQUAL(kv_buffer_entries(b), good);
            CU_ASSERT_EQUAL(found, FAILING_KEYS);
        }
        kv_buffer_free(b);
    }
}

const struct unit_test unit_tests[] = {
    {"agrees_with_model", test_kv_buffer_agrees_with_model},
    {"take_back_unlinks_one", test_kv_buffer_take_back_unlinks_one},
    {"finds_each_version_of_many_keys", test_kv_buffer_finds_each_version_of_many_keys},
    {"passes_over_keys_taken_back", test_kv_buffer_passes_over_keys_taken_back},
    {"tells_what_it_has_not", test_kv_buffer_tells_what_it_has_not},
    {"hints_forget_few", test_kv_buffer_hints_forget_few},
    {"is_read_while_it_grows", test_kv_buffer_is_read_while_it_grows},
    {"tells_which_trees_changed", test_kv_buffer_tells_which_trees_changed},
    {"limits", test_kv_buffer_limits},
    {"survives_failed_allocations", test_kv_buffer_survives_failed_allocations},
    {NULL, NULL},
};
