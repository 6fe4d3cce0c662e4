/* test_kv_own.c - a transaction's own writes against a naive model: order, versions, cursors both ways and while entries come, rollback. */
#include "unit/cunit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "engine/kv_own.h"

const char *const unit_suite = "kv_own";

#define ENTRIES_MAX 12000u
#define KEY_MAX 40u

struct entry {
    tree_id tree;
    uint8_t key[KEY_MAX];
    uint32_t key_len;
    apply_no version;
    uint32_t record; /* UINT32_MAX: an erasure */
    uint32_t order;
};
struct model {
    struct entry e[ENTRIES_MAX];
    uint32_t count;
    uint64_t next; /* of keys in ascending order */
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

static void integer_key(struct entry *e, uint64_t n)
{
    e->key[0] = 1;
    store_be64(e->key + 1, n ^ 1ull << 63);
    e->key_len = 9;
}

/* Integers in order, near each other and far apart; texts that share their beginning; a few keys again and again. */
static void random_key(struct model *m, struct prng *r, struct entry *e)
{
    static const tree_id trees[] = {0, 1, 300, 301, UINT64_MAX};
    e->tree = trees[prng_chance(r, 0.7) ? 2 : prng_below(r, 5)];
    memset(e->key, 7, sizeof e->key);
    switch (prng_below(r, 5)) {
    case 0:
        integer_key(e, m->next++);
        return;
    case 1:
        integer_key(e, prng_below(r, 3000));
        return;
    case 2:
        integer_key(e, prng_u64(r));
        return;
    case 3: /* equal digests */
        e->key[0] = 3;
        e->key_len = 20 + (uint32_t)prng_below(r, KEY_MAX - 20);
        e->key[18] = (uint8_t)prng_below(r, 40);
        e->key[e->key_len - 1] = (uint8_t)prng_below(r, 3);
        return;
    default:
        e->key_len = (uint32_t)prng_below(r, 4);
        for (uint32_t i = 0; i < e->key_len; i++)
            e->key[i] = (uint8_t)(prng_below(r, 3) * 127);
    }
}

static struct slice record_of(const struct entry *e)
{
    return e->record == UINT32_MAX ? slice_of(NULL, 0) : slice_of(&e->record, e->record % 4 == 0 ? 0 : 4);
}

static void put_random(struct model *m, kv_own *o, struct prng *r, apply_no version)
{
    struct err err = ERR_INIT;
    struct entry *e = &m->e[m->count];
    random_key(m, r, e);
    e->version = version;
    e->order = m->count++;
    e->record = prng_chance(r, 0.2) ? UINT32_MAX : (uint32_t)prng_u64(r) / 2;
    CU_ASSERT_EQUAL(kv_own_put(o, e->tree, key_of(e), version, record_of(e), &err), QUARTET_OK);
}

/* What a walk at `through` must show: the first entry of each key with a version at or below it. */
static struct entry *visible(const struct model *m, apply_no through, uint32_t *n)
{
    struct entry *sorted = malloc((m->count + 1) * sizeof *sorted);
    memcpy(sorted, m->e, m->count * sizeof *sorted);
    qsort(sorted, m->count, sizeof *sorted, entry_cmp);
    *n = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        struct entry *last = *n > 0 ? &sorted[*n - 1] : NULL;
        if (sorted[i].version <= through && (last == NULL || last->tree != sorted[i].tree || !slice_eq(key_of(last), key_of(&sorted[i]))))
            sorted[(*n)++] = sorted[i];
    }
    return sorted;
}

static bool same(const struct kv_own_cursor *c, const struct entry *e)
{
    if (!c->valid || c->tree != e->tree || !slice_eq(c->key, key_of(e)) || c->version != e->version)
        return false;
    if (e->record == UINT32_MAX)
        return c->record.p == NULL;
    return c->record.p != NULL && slice_eq(c->record, record_of(e));
}

static uint32_t first_at(const struct entry *want, uint32_t n, const struct entry *probe)
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        bool below = want[mid].tree != probe->tree ? want[mid].tree < probe->tree : slice_cmp(key_of(&want[mid]), key_of(probe)) < 0;
        if (below)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool same_record(struct slice record, const struct entry *e)
{
    return slice_eq(record, record_of(e)) && (record.p == NULL) == (e->record == UINT32_MAX);
}

static void check_gets(struct model *m, kv_own *o, struct prng *r, apply_no through, const struct entry *want, uint32_t n)
{
    for (uint32_t i = 0; i < 200; i++) {
        struct entry probe = {0};
        random_key(m, r, &probe);
        if (n > 0 && i % 2 == 0)
            probe = want[prng_below(r, n)];
        uint32_t first = first_at(want, n, &probe);
        bool is = first < n && want[first].tree == probe.tree && slice_eq(key_of(&want[first]), key_of(&probe));
        for (int peek = 0; peek < 2; peek++) {
            struct slice record;
            apply_no version = 0;
            bool found = peek ? kv_own_peek(o, probe.tree, key_of(&probe), through, &record, &version)
                              : kv_own_get(o, probe.tree, key_of(&probe), through, &record, &version);
            CU_ASSERT_EQUAL(found, is);
            if (found && is)
                CU_ASSERT_TRUE(version == want[first].version && same_record(record, &want[first]));
        }
    }
}

struct each_check {
    struct entry *want; /* every version */
    uint32_t n, at;
    bool wrong;
};

static quartet_status each_is(void *arg, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err)
{
    struct each_check *x = arg;
    (void)err;
    const struct entry *e = &x->want[x->at];
    x->wrong = x->wrong || x->at >= x->n || e->tree != tree || !slice_eq(key_of(e), key) || e->version != version || !same_record(record, e);
    x->at += x->at < x->n;
    return QUARTET_OK;
}

static void check_each(const struct model *m, const kv_own *o)
{
    struct err err = ERR_INIT;
    struct each_check x = {.want = malloc((m->count + 1) * sizeof *x.want)};
    memcpy(x.want, m->e, m->count * sizeof *x.want);
    qsort(x.want, m->count, sizeof *x.want, entry_cmp);
    for (uint32_t i = 0; i < m->count; i++) {
        const struct entry *last = x.n > 0 ? &x.want[x.n - 1] : NULL;
        if (last == NULL || last->tree != x.want[i].tree || last->version != x.want[i].version || !slice_eq(key_of(last), key_of(&x.want[i])))
            x.want[x.n++] = x.want[i];
    }
    CU_ASSERT_EQUAL(kv_own_each(o, each_is, &x, &err), QUARTET_OK);
    CU_ASSERT_FALSE(x.wrong);
    CU_ASSERT_EQUAL(x.at, x.n);
    free(x.want);
}

static void check_all(struct model *m, kv_own *o, struct prng *r, apply_no through)
{
    uint32_t n, at = 0;
    struct entry *want = visible(m, through, &n);
    struct kv_own_cursor c;
    struct err err = ERR_INIT;
    check_gets(m, o, r, through, want, n); /* in whatever order they are */
    check_each(m, o);
    CU_ASSERT_EQUAL_FATAL(kv_own_settle(o, &err), QUARTET_OK);
    check_gets(m, o, r, through, want, n);
    check_each(m, o);
    for (kv_own_seek(&c, o, through, 0, slice_of(NULL, 0)); c.valid; kv_own_next(&c), at++)
        CU_ASSERT_TRUE_FATAL(at < n && same(&c, &want[at]));
    CU_ASSERT_EQUAL(at, n);
    for (kv_own_seek_last(&c, o, through); c.valid; kv_own_prev(&c)) {
        at--;
        CU_ASSERT_TRUE_FATAL(at < n && same(&c, &want[at]));
    }
    CU_ASSERT_EQUAL(at, 0);
    for (uint32_t i = 0; i < 200; i++) {
        struct entry probe = {0};
        random_key(m, r, &probe);
        uint32_t first = first_at(want, n, &probe);
        kv_own_seek(&c, o, through, probe.tree, key_of(&probe));
        CU_ASSERT_TRUE(first < n ? same(&c, &want[first]) : !c.valid);
        kv_own_seek_before(&c, o, through, probe.tree, key_of(&probe));
        CU_ASSERT_TRUE(first > 0 ? same(&c, &want[first - 1]) : !c.valid);
    }
    free(want);
}

static void test_kv_own_agrees_with_model(void)
{
    struct prng r;
    struct model *m = calloc(1, sizeof *m);
    prng_seed(&r, unit_seed(1));
    for (uint32_t run = 0; run < 10; run++) {
        kv_own *o = kv_own_new();
        m->count = 0;
        m->next = run % 2 == 0 ? 0 : prng_u64(&r);
        apply_no version = 0;
        for (uint32_t i = 0; i < 1000 * (run + 1); i++) {
            version += prng_chance(&r, 0.2) ? prng_below(&r, 3) : 0;
            put_random(m, o, &r, version);
        }
        CU_ASSERT_EQUAL(kv_own_entries(o), m->count);
        CU_ASSERT_EQUAL(kv_own_last_version(o), version);
        for (uint32_t k = 0; k < 4; k++)
            check_all(m, o, &r, k == 0 ? UINT64_MAX : prng_below(&r, version + 2));
        if (run % 2 == 0)
            kv_own_clear(o);
        else
            kv_own_recycle(o);
        m->count = 0;
        check_all(m, o, &r, UINT64_MAX);
        put_random(m, o, &r, 1);
        check_all(m, o, &r, UINT64_MAX);
        kv_own_free(o);
    }
    free(m);
}

static void test_kv_own_rollback_forgets_exactly_what_came_later(void)
{
    struct prng r;
    struct model *m = calloc(1, sizeof *m);
    prng_seed(&r, unit_seed(2));
    kv_own *o = kv_own_new();
    apply_no version = 1;
    for (uint32_t round = 0; round < 80; round++) {
        if (round % 10 == 0) { /* a map over which much was walked puts everything in order at once */
            kv_own_clear(o);
            m->count = 0;
        }
        uint32_t puts = (uint32_t)prng_below(&r, round % 10 == 9 ? 4000 : 60);
        for (uint32_t i = 0; i < puts && m->count < ENTRIES_MAX; i++) {
            version += prng_chance(&r, 0.1);
            put_random(m, o, &r, version);
        }
        if (prng_chance(&r, 0.6)) {
            apply_no keep = prng_chance(&r, 0.1) ? 0 : version - prng_below(&r, version < 20 ? version : 20);
            kv_own_rollback(o, keep);
            uint32_t kept = 0;
            while (kept < m->count && m->e[kept].version <= keep)
                kept++;
            m->count = kept;
            version = keep + 1;
        }
        CU_ASSERT_EQUAL(kv_own_entries(o), m->count);
        check_all(m, o, &r, UINT64_MAX);
        if (version > 2)
            check_all(m, o, &r, version - 2);
    }
    kv_own_rollback(o, 0);
    CU_ASSERT_EQUAL(kv_own_entries(o), 0);
    check_all(&(struct model){.count = 0}, o, &r, UINT64_MAX);
    kv_own_free(o);
    free(m);
}

/* A statement reads what stood before it and writes meanwhile; what it wrote may be rolled back while another scan stands. */
static void test_kv_own_cursor_goes_on_while_entries_come_and_go(void)
{
    struct prng r;
    struct model *m = calloc(1, sizeof *m);
    struct err err = ERR_INIT;
    prng_seed(&r, unit_seed(3));
    for (uint32_t run = 0; run < 20; run++) {
        kv_own *o = kv_own_new();
        m->count = 0;
        for (uint32_t i = 0; i < (run % 4 == 0 ? 5000 : 1500); i++)
            put_random(m, o, &r, 1);
        CU_ASSERT_EQUAL_FATAL(kv_own_settle(o, &err), QUARTET_OK);
        uint32_t n, at = 0;
        struct entry *want = visible(m, 1, &n);
        struct kv_own_cursor c, back;
        kv_own_seek(&c, o, 1, 0, slice_of(NULL, 0));
        kv_own_seek_last(&back, o, 1);
        for (; c.valid; kv_own_next(&c), kv_own_prev(&back), at++) {
            CU_ASSERT_TRUE_FATAL(at < n && same(&c, &want[at]) && same(&back, &want[n - 1 - at]));
            for (uint32_t k = (uint32_t)prng_below(&r, 4); k > 0 && m->count < ENTRIES_MAX; k--)
                put_random(m, o, &r, 2);
            if (prng_chance(&r, 0.01))
                kv_own_rollback(o, 1);
            CU_ASSERT_EQUAL_FATAL(kv_own_settle(o, &err), QUARTET_OK);
        }
        CU_ASSERT_EQUAL(at, n);
        CU_ASSERT_FALSE(back.valid);
        free(want);
        kv_own_free(o);
    }
    free(m);
}

/* Orders that make trees of several levels: ascending, descending, and each key between its neighbours. */
static void test_kv_own_holds_many_keys_in_any_order(void)
{
    struct err err = ERR_INIT;
    enum { N = 30000 };
    for (uint32_t order = 0; order < 4; order++) {
        kv_own *o = kv_own_new();
        for (uint32_t i = 0; i < N; i++) {
            uint32_t k = order == 0 ? i : order == 1 ? N - 1 - i : order == 2 ? i * 7919u % N : (i % 2 == 0 ? i / 2 : N - 1 - i / 2);
            struct entry e;
            integer_key(&e, k);
            CU_ASSERT_EQUAL_FATAL(kv_own_put(o, 300, key_of(&e), i, slice_of(&k, sizeof k), &err), QUARTET_OK);
        }
        CU_ASSERT_TRUE(kv_own_bytes(o) < N * 100u);
        uint32_t at = 0;
        struct kv_own_cursor c;
        CU_ASSERT_EQUAL_FATAL(kv_own_settle(o, &err), QUARTET_OK);
        for (kv_own_seek(&c, o, UINT64_MAX, 300, slice_of(NULL, 0)); c.valid; kv_own_next(&c), at++)
            CU_ASSERT_TRUE_FATAL(c.record.n == 4 && memcmp(c.record.p, &at, 4) == 0);
        CU_ASSERT_EQUAL(at, N);
        kv_own_free(o);
    }
}

static void test_kv_own_limits(void)
{
    struct err err = ERR_INIT;
    kv_own *o = kv_own_new();
    uint8_t *key = calloc(1, KV_KEY_BYTES_MAX);
    CU_ASSERT_EQUAL(kv_own_put(o, 1, slice_of(key, KV_KEY_BYTES_MAX - 1), 1, slice_of("r", 1), &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_own_put(o, 1, slice_of(key, KV_KEY_BYTES_MAX), 1, slice_of("r", 1), &err), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(kv_own_entries(o), 1);
    CU_ASSERT_EQUAL(kv_own_largest(o), KV_KEY_BYTES_MAX);
    free(key);
    kv_own_free(o);
}

static void test_kv_own_survives_failed_allocations(void)
{
    for (uint64_t n = 1; n < 150; n++) {
        struct err err = ERR_INIT;
        mem_fail_at(n, n % 2 == 0);
        kv_own *o = kv_own_new();
        uint32_t good = 0;
        for (uint32_t i = 0; i < 9000 && o != NULL; i++) {
            uint8_t key[4];
            store_le32(key, i * 7919u % 9000u);
            quartet_status rc = kv_own_put(o, 1 + i % 3, slice_of(key, 4), 1, slice_of("record", 6), &err);
            CU_ASSERT_TRUE(rc == QUARTET_OK || rc == QUARTET_NOMEM);
            good += rc == QUARTET_OK;
            if (rc == QUARTET_NOMEM && i % 3 == 0)
                mem_fail_at(0, false);
        }
        mem_fail_at(0, false);
        uint32_t seen = 0;
        struct kv_own_cursor c;
        if (o != NULL) {
            quartet_status rc = QUARTET_NOMEM;
            CU_ASSERT_EQUAL(kv_own_entries(o), good);
            for (uint64_t k = 1; rc != QUARTET_OK && k < 500; k++) { /* half of it in order, half not, again and again */
                mem_fail_at(k, false);
                rc = kv_own_settle(o, &err);
                mem_fail_at(0, false);
                CU_ASSERT_TRUE(rc == QUARTET_OK || rc == QUARTET_NOMEM);
                struct slice record;
                apply_no version;
                uint32_t found = 0;
                for (uint32_t i = 0; i < 9000; i++) {
                    uint8_t key[4];
                    store_le32(key, i * 7919u % 9000u);
                    found += kv_own_get(o, 1 + i % 3, slice_of(key, 4), 1, &record, &version);
                }
                CU_ASSERT_EQUAL(found, good);
            }
            CU_ASSERT_EQUAL_FATAL(rc, QUARTET_OK);
            for (kv_own_seek(&c, o, 1, 0, slice_of(NULL, 0)); c.valid; kv_own_next(&c))
                seen++;
            CU_ASSERT_EQUAL(seen, good);
        }
        kv_own_free(o);
    }
}

const struct unit_test unit_tests[] = {
    {"agrees_with_model", test_kv_own_agrees_with_model},
    {"rollback_forgets_exactly_what_came_later", test_kv_own_rollback_forgets_exactly_what_came_later},
    {"cursor_goes_on_while_entries_come_and_go", test_kv_own_cursor_goes_on_while_entries_come_and_go},
    {"holds_many_keys_in_any_order", test_kv_own_holds_many_keys_in_any_order},
    {"limits", test_kv_own_limits},
    {"survives_failed_allocations", test_kv_own_survives_failed_allocations},
    {NULL, NULL},
};
