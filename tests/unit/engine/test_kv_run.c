/* test_kv_run.c - sorted runs against a plain sorted array: gets, cursors both ways, versions in and out of sight, in memory and in files, damage, full disks. */
#include "unit/cunit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/prng.h"
#include "engine/kv_run.h"

const char *const unit_suite = "kv_run";

#define ENTRIES_MAX 5000u

struct entry {
    tree_id tree;
    uint8_t key[40];
    uint32_t key_len;
    apply_no version;
    uint32_t record; /* UINT32_MAX: an erasure; else its length */
};

static struct slice key_of(const struct entry *e)
{
    return slice_of(e->key, e->key_len);
}

static int entry_cmp(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    if (a->tree != b->tree)
        return a->tree < b->tree ? -1 : 1;
    int c = slice_cmp(key_of(a), key_of(b));
    return c != 0 ? c : a->version > b->version ? -1 : a->version < b->version;
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

/* Distinct entries in order. */
static uint32_t random_entries(struct prng *r, struct entry *e, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        random_key(r, &e[i]);
        e[i].version = 1 + prng_below(r, 60);
        e[i].record = prng_chance(r, 0.2) ? UINT32_MAX : (uint32_t)prng_below(r, prng_chance(r, 0.002) ? 50000 : 120);
    }
    qsort(e, n, sizeof *e, entry_cmp);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || entry_cmp(&e[kept - 1], &e[i]) != 0)
            e[kept++] = e[i];
    return kept;
}

static uint8_t filler[50000];

static struct slice record_of(const struct entry *e)
{
    return e->record == UINT32_MAX ? slice_of(NULL, 0) : slice_of(filler + e->version, e->record);
}

/* Write them, the trees taking turns at random. */
static kv_run *write_run(const struct kv_run_place *place, struct prng *r, const struct entry *e, uint32_t n, apply_no shift)
{
    struct err err = ERR_INIT;
    kv_run_writer *w;
    kv_run *run = NULL;
    CU_ASSERT_EQUAL_FATAL(kv_run_writer_new(place, &w, &err), QUARTET_OK);
    uint32_t at[4], end[4], left = n;
    for (uint32_t t = 0, i = 0; t < 4; t++) {
        at[t] = i;
        while (i < n && e[i].tree == t * 63 + 1)
            i++;
        end[t] = i;
    }
    while (left > 0) {
        uint64_t t = prng_below(r, 4);
        for (uint64_t k = prng_below(r, 50); k > 0 && at[t] < end[t]; k--, at[t]++, left--)
            CU_ASSERT_EQUAL_FATAL(kv_run_put(w, e[at[t]].tree, key_of(&e[at[t]]), e[at[t]].version, record_of(&e[at[t]]), &err), QUARTET_OK);
    }
    CU_ASSERT_EQUAL_FATAL(kv_run_finish(w, shift, &run, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_run_entries(run), n);
    return run;
}

static bool sees(const struct kv_sight *s, apply_no v)
{
    for (uint32_t i = 0; i < s->gone_count; i++)
        if (v > s->gone[i].after && v <= s->gone[i].last)
            return false;
    return v <= s->through;
}

static bool same(const struct kv_run_cursor *c, const struct entry *e, apply_no shift)
{
    return c->valid && c->tree == e->tree && slice_eq(c->key, key_of(e)) && c->version == e->version + shift && slice_eq(c->record, record_of(e)) &&
           (c->record.p == NULL) == (e->record == UINT32_MAX);
}

static void check_run(const kv_run *run, struct prng *r, const struct entry *e, uint32_t n, apply_no shift, const struct kv_sight *sight)
{
    struct entry *want = malloc((n + 1) * sizeof *want);
    struct err err = ERR_INIT;
    uint32_t m = 0, at = 0;
    for (uint32_t i = 0; i < n; i++)
        if (sees(sight, e[i].version + shift) && (m == 0 || want[m - 1].tree != e[i].tree || !slice_eq(key_of(&want[m - 1]), key_of(&e[i]))))
            want[m++] = e[i];
    struct kv_run_cursor c = {0};
    struct kv_run_page page = {0};
    CU_ASSERT_EQUAL(kv_run_seek(&c, run, sight, 0, slice_of(NULL, 0), &err), QUARTET_OK);
    for (; c.valid; at++) {
        CU_ASSERT_TRUE_FATAL(at < m && same(&c, &want[at], shift));
        CU_ASSERT_EQUAL(kv_run_next(&c, &err), QUARTET_OK);
    }
    CU_ASSERT_EQUAL(at, m);
    CU_ASSERT_EQUAL(kv_run_seek_last(&c, run, sight, &err), QUARTET_OK);
    while (c.valid) {
        at--;
        CU_ASSERT_TRUE_FATAL(at < m && same(&c, &want[at], shift));
        CU_ASSERT_EQUAL(kv_run_prev(&c, &err), QUARTET_OK);
    }
    CU_ASSERT_EQUAL(at, 0);
    for (uint32_t i = 0; i < 200; i++) {
        struct entry probe = {0};
        random_key(r, &probe);
        if (n > 0 && i % 2 == 0)
            probe = e[prng_below(r, n)];
        uint32_t first = 0;
        while (first < m && (want[first].tree < probe.tree || (want[first].tree == probe.tree && slice_cmp(key_of(&want[first]), key_of(&probe)) < 0)))
            first++;
        CU_ASSERT_EQUAL(kv_run_seek(&c, run, sight, probe.tree, key_of(&probe), &err), QUARTET_OK);
        CU_ASSERT_TRUE(first < m ? same(&c, &want[first], shift) : !c.valid);
        if (c.valid && i % 3 == 0) { /* turn round */
            CU_ASSERT_EQUAL(kv_run_prev(&c, &err), QUARTET_OK);
            CU_ASSERT_TRUE(first > 0 ? same(&c, &want[first - 1], shift) : !c.valid);
        }
        CU_ASSERT_EQUAL(kv_run_seek_before(&c, run, sight, probe.tree, key_of(&probe), &err), QUARTET_OK);
        CU_ASSERT_TRUE(first > 0 ? same(&c, &want[first - 1], shift) : !c.valid);
        struct slice record;
        apply_no version;
        bool found;
        struct kv_run_probe look = kv_run_probe_of(probe.tree, key_of(&probe));
        CU_ASSERT_EQUAL(kv_run_get(run, &page, &look, sight, &record, &version, &found, &err), QUARTET_OK);
        bool is = first < m && want[first].tree == probe.tree && slice_eq(key_of(&want[first]), key_of(&probe));
        CU_ASSERT_EQUAL(found, is);
        if (found && is)
            CU_ASSERT_TRUE(version == want[first].version + shift && slice_eq(record, record_of(&want[first])));
    }
    kv_run_cursor_deinit(&c);
    kv_run_page_deinit(&page);
    free(want);
}

static uint32_t files_in(const char *dir)
{
    uint32_t n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *x; d != NULL && (x = readdir(d)) != NULL;)
        n += x->d_name[0] != '.';
    if (d != NULL)
        closedir(d);
    return n;
}

static void test_kv_run_agrees_with_a_sorted_array(void)
{
    struct entry *e = malloc(ENTRIES_MAX * sizeof *e);
    char dir[] = "/tmp/quartet_run_XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    for (uint64_t seed = unit_seed(1), last = seed + 12; seed < last && CU_get_number_of_failures() == 0; seed++) {
        struct prng r;
        prng_seed(&r, seed);
        prng_fill(&r, filler, sizeof filler);
        uint32_t n = random_entries(&r, e, seed % 4 == 0 ? (uint32_t)prng_below(&r, 5) : ENTRIES_MAX);
        struct kv_run_place place = {.env = env_posix(), .dir = seed % 2 == 0 ? dir : NULL, .memory_bytes = seed % 3 * 60000, .stay = seed % 4 == 2};
        apply_no shift = seed % 5 == 0 ? 1000 : 0;
        kv_run *run = write_run(&place, &r, e, n, shift);
        struct kv_span gone[2] = {{.after = shift + 10, .last = shift + 20}, {.after = shift + 40, .last = shift + 41}};
        check_run(run, &r, e, n, shift, &(struct kv_sight){.through = UINT64_MAX});
        check_run(run, &r, e, n, shift, &(struct kv_sight){.through = shift + prng_below(&r, 60)});
        check_run(run, &r, e, n, shift, &(struct kv_sight){.through = shift + 50, .gone = gone, .gone_count = 2});
        CU_ASSERT_EQUAL(files_in(dir), 0);
        kv_run_free(run);
        if (CU_get_number_of_failures() != 0)
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    }
    rmdir(dir);
    free(e);
}

static void test_kv_run_takes_order_only(void)
{
    struct kv_run_place place = {.env = env_posix()};
    struct err err = ERR_INIT;
    kv_run_writer *w;
    kv_run *run;
    CU_ASSERT_EQUAL_FATAL(kv_run_writer_new(&place, &w, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_run_put(w, 1, slice_of("b", 1), 5, slice_of("", 0), &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_run_put(w, 1, slice_of("a", 1), 5, slice_of("", 0), &err), QUARTET_MISUSE);
    CU_ASSERT_EQUAL(kv_run_put(w, 1, slice_of("b", 1), 5, slice_of("", 0), &err), QUARTET_MISUSE);
    CU_ASSERT_EQUAL(kv_run_put(w, 1, slice_of("b", 1), 4, slice_of("", 0), &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_run_put(w, 0, slice_of("a", 1), 5, slice_of("", 0), &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_run_finish(w, 0, &run, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_run_entries(run), 3);
    CU_ASSERT_TRUE(kv_run_tree_changed(run, 1, 4));
    CU_ASSERT_FALSE(kv_run_tree_changed(run, 1, 5));
    CU_ASSERT_FALSE(kv_run_tree_changed(run, 2, 0));
    kv_run_free(run);
}

/* Files through a table of functions that damages and fails. */
struct bad_env {
    struct env env;
    struct env_ops ops;
    uint64_t writes, fail_at; /* the write that fails; 0: none */
    uint64_t reads;
    bool flip;
};

static quartet_status bad_write(struct file *f, const void *p, size_t n, uint64_t offset, struct err *err);
static quartet_status bad_read(struct file *f, void *p, size_t n, uint64_t offset, size_t *got, struct err *err);
static struct bad_env bad;

static quartet_status bad_write(struct file *f, const void *p, size_t n, uint64_t offset, struct err *err)
{
    if (++bad.writes == bad.fail_at)
        return err_set(err, QUARTET_FULL, "full");
    return env_posix()->ops->pwrite(f, p, n, offset, err);
}

static quartet_status bad_read(struct file *f, void *p, size_t n, uint64_t offset, size_t *got, struct err *err)
{
    quartet_status rc = env_posix()->ops->pread(f, p, n, offset, got, err);
    bad.reads++;
    if (rc == QUARTET_OK && bad.flip && *got > 100)
        ((uint8_t *)p)[99] ^= 1;
    return rc;
}

static void full_disks_and_damage(const char *dir, bool stay)
{
    struct err err = ERR_INIT;
    bad.env = *env_posix();
    bad.ops = *env_posix()->ops;
    bad.ops.pwrite = bad_write;
    bad.ops.pread = bad_read;
    bad.env.ops = &bad.ops;
    struct kv_run_place place = {.env = &bad.env, .dir = dir, .stay = stay};
    bool done = false;
    for (bad.fail_at = 1; !done && bad.fail_at < 20; bad.fail_at++) {
        kv_run_writer *w;
        kv_run *run = NULL;
        bad.writes = 0;
        bad.flip = false;
        CU_ASSERT_EQUAL_FATAL(kv_run_writer_new(&place, &w, &err), QUARTET_OK);
        quartet_status rc = QUARTET_OK;
        for (uint32_t i = 0; i < 20000 && rc == QUARTET_OK; i++) {
            uint8_t key[8];
            store_be64(key, i);
            rc = kv_run_put(w, 1, slice_of(key, 8), 1, slice_of(filler, 50), &err);
        }
        if (rc != QUARTET_OK) {
            CU_ASSERT_EQUAL(rc, QUARTET_FULL);
            CU_ASSERT_EQUAL(kv_run_put(w, 9, slice_of("z", 1), 1, slice_of("", 0), &err), QUARTET_MISUSE);
            kv_run_writer_free(w);
            continue;
        }
        rc = kv_run_finish(w, 0, &run, &err);
        if (rc != QUARTET_OK) {
            CU_ASSERT_EQUAL(rc, QUARTET_FULL);
            continue;
        }
        done = true;
        bad.flip = true;
        struct kv_run_cursor c = {0};
        struct kv_sight all = {.through = UINT64_MAX};
        quartet_status damaged = kv_run_seek(&c, run, &all, 1, slice_of("", 0), &err);
        while (stay && damaged == QUARTET_OK && c.valid) /* the first page is in memory */
            damaged = kv_run_next(&c, &err);
        CU_ASSERT_EQUAL(damaged, QUARTET_CORRUPT);
        bad.flip = false;
        uint32_t n = 0;
        CU_ASSERT_EQUAL(kv_run_seek(&c, run, &all, 1, slice_of("", 0), &err), QUARTET_OK);
        for (; c.valid && kv_run_next(&c, &err) == QUARTET_OK; n++)
            continue;
        CU_ASSERT_EQUAL(n, 20000);
        CU_ASSERT_TRUE(kv_run_memory_bytes(run) < kv_run_bytes(run) / 4);
        kv_run_cursor_deinit(&c);
        kv_run_free(run);
    }
    CU_ASSERT_TRUE(done);
    CU_ASSERT_EQUAL(files_in(dir), 0);
}

static void test_kv_run_full_disks_and_damage_are_told(void)
{
    char dir[] = "/tmp/quartet_run_XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    full_disks_and_damage(dir, false);
    full_disks_and_damage(dir, true);
    rmdir(dir);
}

static bool run_has(const kv_run *run, struct kv_run_page *page, tree_id tree, uint64_t number)
{
    uint8_t key[8];
    struct slice record;
    apply_no version;
    bool found = false;
    struct err err = ERR_INIT;
    store_be64(key, number);
    struct kv_run_probe probe = kv_run_probe_of(tree, slice_of(key, 8));
    CU_ASSERT_EQUAL(kv_run_get(run, page, &probe, &(struct kv_sight){.through = UINT64_MAX}, &record, &version, &found, &err), QUARTET_OK);
    return found;
}

/* Trees 5 and 7 have every second number up to 600,000, tree 6 the first 12,000 of them. */
static void check_filters(const kv_run *run)
{
    struct kv_run_page page = {0};
    uint64_t missed = 0, invented = 0;
    for (uint64_t i = 0; i < 300000; i++) {
        missed += !run_has(run, &page, 5, i * 2) + !run_has(run, &page, 7, i * 2);
        missed += run_has(run, &page, 6, i * 2) != (i < 12000);
    }
    bad.reads = 0;
    for (uint64_t i = 0; i < 40000; i++)
        invented += run_has(run, &page, 5, (i * 7919 % 40000) * 2 + 1) + run_has(run, &page, 9, i * 2);
    CU_ASSERT_EQUAL(missed, 0);
    CU_ASSERT_EQUAL(invented, 0);
    CU_ASSERT_TRUE(bad.reads < 200);
    kv_run_page_deinit(&page);
}

/* Several sections of several trees, as they were written and as they are once the file was opened again: what is there is found, and what is not there is hardly
 * ever looked for in a page. */
static void test_kv_run_filters_spare_pages(void)
{
    char dir[] = "/tmp/quartet_run_XXXXXX", path[64];
    struct err err = ERR_INIT;
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    bad = (struct bad_env){.env = *env_posix(), .ops = *env_posix()->ops};
    bad.ops.pwrite = bad_write;
    bad.ops.pread = bad_read;
    bad.env.ops = &bad.ops;
    struct kv_run_place place = {.env = &bad.env, .dir = dir, .name = "named"};
    kv_run_writer *w;
    kv_run *run = NULL;
    CU_ASSERT_EQUAL_FATAL(kv_run_writer_new(&place, &w, &err), QUARTET_OK);
    for (uint64_t i = 0; i < 300000; i++) {
        uint8_t key[8];
        store_be64(key, i * 2);
        for (tree_id tree = 5; tree <= 7; tree++)
            if (tree != 6 || i < 12000)
                CU_ASSERT_EQUAL_FATAL(kv_run_put(w, tree, slice_of(key, 8), 1, slice_of(filler, 2), &err), QUARTET_OK);
    }
    CU_ASSERT_EQUAL_FATAL(kv_run_finish(w, 0, &run, &err), QUARTET_OK);
    check_filters(run);
    CU_ASSERT_EQUAL_FATAL(kv_run_keep(run, slice_of("tail", 4), &err), QUARTET_OK);
    uint64_t bytes = kv_run_bytes(run), entries = kv_run_entries(run);
    kv_run_free(run);
    CU_ASSERT_EQUAL_FATAL(kv_run_open(&place, bytes, &run, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(kv_run_bytes(run), bytes);
    CU_ASSERT_EQUAL(kv_run_entries(run), entries);
    check_filters(run);
    kv_run_free(run);
    snprintf(path, sizeof path, "%s/named", dir);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void survives_failing_memory(const struct kv_run_place *place)
{
    bool done = false;
    for (uint64_t n = 1; !done && n < 200; n++) {
        struct err err = ERR_INIT;
        kv_run_writer *w;
        kv_run *run = NULL;
        mem_fail_at(n, false);
        quartet_status rc = kv_run_writer_new(place, &w, &err);
        for (uint32_t i = 0; i < 600 && rc == QUARTET_OK; i++) {
            uint8_t key[8];
            store_be64(key, i / 2);
            rc = kv_run_put(w, i % 2, slice_of(key, 8), 1, slice_of(filler, 200), &err);
            if (rc != QUARTET_OK)
                kv_run_writer_free(w);
        }
        if (rc == QUARTET_OK)
            rc = kv_run_finish(w, 0, &run, &err);
        done = mem_fail_hits() == 0;
        mem_fail_at(0, false);
        CU_ASSERT_EQUAL(rc, done ? QUARTET_OK : QUARTET_NOMEM);
        if (rc == QUARTET_OK)
            kv_run_free(run);
    }
    CU_ASSERT_TRUE(done);
}

static void test_kv_run_survives_failing_memory(void)
{
    char dir[] = "/tmp/quartet_run_XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    survives_failing_memory(&(struct kv_run_place){.env = env_posix()});
    survives_failing_memory(&(struct kv_run_place){.env = env_posix(), .dir = dir, .memory_bytes = 20000, .stay = true});
    CU_ASSERT_EQUAL(files_in(dir), 0);
    rmdir(dir);
}

const struct unit_test unit_tests[] = {
    {"kv_run agrees with a sorted array", test_kv_run_agrees_with_a_sorted_array},
    {"kv_run takes entries in order only", test_kv_run_takes_order_only},
    {"kv_run: full disks and damage are told", test_kv_run_full_disks_and_damage_are_told},
    {"kv_run filters spare pages", test_kv_run_filters_spare_pages},
    {"kv_run survives failing memory", test_kv_run_survives_failing_memory},
    {NULL, NULL},
};
