/* test_kv_pinned.c - snapshots that are held while much is written: what they cost, when they become too old, and that they read their own state until then. */
#include "unit/cunit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/prng.h"
#include "crdt/row.h"
#include "engine/conn.h"
#include "engine/kv.h"

const char *const unit_suite = "kv_pinned";

#define TREE 300u
#define KEYS 600u

/* A store, and what it must show: versions[k] of each key, 0 being none. */
struct side {
    struct env env;
    kv *s;
    struct buf stored;
    struct prng rng;
    apply_no at;
    uint32_t versions[KEYS];
    char dir[40];
};

static void side_open(struct side *d, bool on_disk, bool threads, const struct kv_options *options, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct kv_options o = *options;
    *d = (struct side){.env = *env_posix(), .dir = "/tmp/quartet_kvp_XXXXXX"};
    d->env.threads = threads;
    o.in_memory = !on_disk;
    prng_seed(&d->rng, seed);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(d->dir));
    CU_ASSERT_EQUAL_FATAL(kv_open(&d->env, d->dir, &o, NULL, &d->s, &d->stored, &err), QUARTET_OK);
}

static void side_close(struct side *d)
{
    char path[100];
    kv_close(d->s);
    buf_deinit(&d->stored);
    snprintf(path, sizeof path, "%s/base.mdb", d->dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/base.mdb-lock", d->dir);
    unlink(path);
    CU_ASSERT_EQUAL(rmdir(d->dir), 0); /* nothing else is left there */
}

static struct slice key_of(uint32_t k, uint8_t *bytes)
{
    store_be64(bytes, k);
    return slice_of(bytes, 8);
}

/* Write `n` keys in one apply, some erased. */
static void write_some(struct side *d, uint32_t n)
{
    struct err err = ERR_INIT;
    struct kv_op ops[64] = {0};
    uint8_t keys[64][8];
    struct buf records[64] = {0};
    d->at++;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = (uint32_t)prng_below(&d->rng, KEYS);
        bool erase = prng_below(&d->rng, 10) == 0;
        struct value v[2] = {value_int((int64_t)d->at), value_text("a text that makes a row of some size of it", 10 + d->at % 30)};
        if (!erase)
            record_put_simple(&records[i], (struct ver){.stamp = d->at, .chain = 0}, v, 2);
        ops[i] = (struct kv_op){.tree = TREE, .key = key_of(k, keys[i]), .record = slice_of(records[i].data, records[i].len)};
        d->versions[k] = erase ? 0 : (uint32_t)d->at;
    }
    CU_ASSERT_EQUAL_FATAL(kv_apply(d->s, ops, n, d->at, &err), QUARTET_OK); /* writers never fail for readers */
    kv_settle(d->s);
    kv_publish(d->s, d->at);
    for (uint32_t i = 0; i < n; i++)
        buf_deinit(&records[i]);
}

static struct kv_stats stats_of(struct side *d)
{
    struct kv_stats stats;
    kv_stats(d->s, &stats);
    return stats;
}

/* Write until so many flushes are done. */
static void write_flushes(struct side *d, uint64_t flushes)
{
    uint64_t until = stats_of(d).flushes + flushes;
    for (uint32_t i = 0; stats_of(d).flushes < until && i < 200000; i++)
        write_some(d, 16);
    CU_ASSERT_TRUE(stats_of(d).flushes >= until);
}

/* Go on with a scan: rows up to `limit` (0: all); *k is the next key expected. */
static bool scan_on(kv_iter *it, const uint32_t *versions, uint32_t *k, uint32_t limit, bool reverse)
{
    struct err err = ERR_INIT;
    for (uint32_t seen = 0; limit == 0 || seen < limit;) {
        struct kv_rows r;
        if (kv_iter_next(it, limit == 0 ? 0 : limit - seen, &r, &err) != QUARTET_OK)
            return false;
        if (r.n == 0)
            break;
        for (uint32_t i = 0; i < r.n; i++, seen++) {
            uint32_t row = (uint32_t)load_be64(r.keys[i].p), step = reverse ? UINT32_MAX : 1;
            for (; *k < KEYS && *k != row; *k += step)
                if (versions[*k] != 0)
                    return false;
            if (*k >= KEYS || vec_get(&r.cols[0], i).i != versions[row])
                return false;
            *k += step;
        }
    }
    return true;
}

static kv_iter *scan_open(kv_snap *snap, bool reverse)
{
    struct err err = ERR_INIT;
    static const uint16_t column = 0;
    struct kv_want want = {.columns = &column, .column_count = 1, .keys = true, .reverse = reverse};
    struct kv_range all = {.hi_open = true};
    kv_iter *it = NULL;
    return kv_iter_open(snap, NULL, TREE, &all, &want, &it, &err) == QUARTET_OK ? it : NULL;
}

/* Scans both ways and a look at every key. */
static bool shows(kv_snap *snap, const uint32_t *versions)
{
    struct err err = ERR_INIT;
    struct arena a = {0};
    bool good = true;
    for (int reverse = 0; reverse < 2 && good; reverse++) {
        kv_iter *it = scan_open(snap, reverse != 0);
        uint32_t k = reverse ? KEYS - 1 : 0;
        good = it != NULL && scan_on(it, versions, &k, 0, reverse != 0);
        for (; k < KEYS && good; k += reverse ? UINT32_MAX : 1)
            good = versions[k] == 0;
        kv_iter_close(it);
    }
    static const uint16_t column = 0;
    struct kv_want want = {.columns = &column, .column_count = 1};
    for (uint32_t k = 0; k < KEYS && good; k++) {
        uint8_t key[8];
        struct value v;
        quartet_status rc = kv_get_values(snap, NULL, TREE, key_of(k, key), &want, &v, &a, &err);
        good = versions[k] == 0 ? rc == QUARTET_NOTFOUND : rc == QUARTET_OK && v.i == versions[k];
    }
    arena_free_all(&a);
    return good;
}

static quartet_status look(kv_snap *snap, struct err *err)
{
    uint8_t key[8];
    struct buf out = {0};
    quartet_status rc = kv_get(snap, NULL, TREE, key_of(1, key), &out, err);
    buf_deinit(&out);
    return rc == QUARTET_NOTFOUND ? QUARTET_OK : rc;
}

static bool too_old(kv_snap *snap)
{
    struct err err = ERR_INIT;
    return look(snap, &err) == QUARTET_TOO_OLD && strncmp(err.text, "snapshot too old: held 0 s, costs 1 MiB", 39) == 0;
}

/* The oldest goes first; a busy one keeps what it pins until it is idle, an idle one nothing; the writer's never becomes too old. */
static void too_old_run(bool on_disk)
{
    struct side d;
    struct err err = ERR_INIT;
    kv_snap *busy, *idle, *latest, *young;
    side_open(&d, on_disk, false, &(struct kv_options){.buffer_bytes = 30000}, unit_seed(1));
    for (int i = 0; i < 20; i++)
        write_some(&d, 16);
    CU_ASSERT_EQUAL_FATAL(kv_snapshot_latest(d.s, &latest, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(kv_snapshot(d.s, 0, &busy, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(kv_snapshot(d.s, 0, &idle, &err), QUARTET_OK);
    kv_iter *it = scan_open(busy, false);
    struct kv_rows r;
    CU_ASSERT_PTR_NOT_NULL_FATAL(it);
    CU_ASSERT_EQUAL(kv_iter_next(it, 3, &r, &err), QUARTET_OK);
    kv_snap_idle(idle);
    write_flushes(&d, 2);
    struct kv_stats stats = stats_of(&d);
    CU_ASSERT_TRUE(stats.pinned_bytes > 0 && stats.oldest_snapshot_bytes > 0 && stats.oldest_snapshot_ns > 0);
    CU_ASSERT_EQUAL(stats.too_old, 0);
    CU_ASSERT_EQUAL(look(busy, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(kv_snapshot(d.s, 0, &young, &err), QUARTET_OK);

    kv_set_limits(d.s, &(struct kv_limits){.buffer_bytes = 30000, .snapshot_bytes = 1000});
    CU_ASSERT_EQUAL(kv_flush(d.s, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(stats_of(&d).too_old, 3);
    CU_ASSERT_TRUE(too_old(busy));
    CU_ASSERT_EQUAL(kv_iter_next(it, 0, &r, &err), QUARTET_TOO_OLD);
    kv_iter_close(it);
    kv_snap_busy(idle);
    CU_ASSERT_TRUE(too_old(idle));
    CU_ASSERT_PTR_NULL(scan_open(idle, false));
    CU_ASSERT_TRUE(too_old(young));
    CU_ASSERT_EQUAL(look(latest, &err), QUARTET_OK);
    kv_release(latest);
    kv_release(young);
    CU_ASSERT_TRUE(stats_of(&d).pinned_bytes > 0); /* it was busy */
    kv_snap_idle(busy);
    CU_ASSERT_EQUAL(stats_of(&d).pinned_bytes, 0);
    CU_ASSERT_EQUAL(stats_of(&d).snapshots, 2);
    kv_release(idle);
    kv_release(busy);
    kv_set_limits(d.s, &(struct kv_limits){0});
    CU_ASSERT_EQUAL_FATAL(kv_snapshot(d.s, 0, &young, &err), QUARTET_OK);
    CU_ASSERT_TRUE(shows(young, d.versions));
    kv_release(young);
    side_close(&d);
}

static void test_kv_pinned_too_old(void)
{
    too_old_run(false);
    too_old_run(true);
}

/* Pages of the base that a snapshot alone keeps from being used again. */
static void test_kv_pinned_base_bytes(void)
{
    struct side d;
    struct err err = ERR_INIT;
    kv_snap *held;
    side_open(&d, true, false, &(struct kv_options){.buffer_bytes = 30000}, unit_seed(2));
    write_flushes(&d, 3);
    CU_ASSERT_EQUAL_FATAL(kv_snapshot(d.s, 0, &held, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(stats_of(&d).pinned_base_bytes, 0);
    uint64_t before = stats_of(&d).base_bytes;
    write_flushes(&d, 20);
    struct kv_stats stats = stats_of(&d);
    CU_ASSERT_TRUE(stats.pinned_base_bytes > 100000);
    CU_ASSERT_TRUE(stats.pinned_base_bytes <= stats.base_bytes);
    CU_ASSERT_TRUE(stats.base_bytes > before);
    kv_set_limits(d.s, &(struct kv_limits){.buffer_bytes = 30000, .snapshot_bytes = 100000});
    CU_ASSERT_EQUAL(kv_flush(d.s, &err), QUARTET_OK);
    CU_ASSERT_TRUE(look(held, &err) == QUARTET_TOO_OLD);
    kv_release(held);
    CU_ASSERT_EQUAL(stats_of(&d).pinned_base_bytes, 0);
    side_close(&d);
}

/* ---- buffers that go to disk ---- */

#define HELD 20u
#define MOVE_BUFFER 30000u

struct held {
    kv_snap *snap;
    uint32_t versions[KEYS];
};

static bool spins(struct side *d, uint64_t until)
{
    return d->env.ops->mono_ns(&d->env) < until;
}

/* Snapshots of many moments, idle and one with scans open across it all, while many buffers are written. */
static void move_run(bool threads, uint64_t seed)
{
    struct side d;
    struct err err = ERR_INIT;
    struct held held[HELD], open;
    side_open(&d, true, threads, &(struct kv_options){.buffer_bytes = MOVE_BUFFER}, seed);
    for (int i = 0; i < 20; i++)
        write_some(&d, 16);
    CU_ASSERT_EQUAL_FATAL(kv_snapshot(d.s, 0, &open.snap, &err), QUARTET_OK);
    memcpy(open.versions, d.versions, sizeof open.versions);
    kv_iter *scans[2] = {scan_open(open.snap, false), scan_open(open.snap, true)};
    uint32_t next[2] = {0, KEYS - 1};
    CU_ASSERT_TRUE(scan_on(scans[0], open.versions, &next[0], 5, false));
    CU_ASSERT_TRUE(scan_on(scans[1], open.versions, &next[1], 5, true));
    for (uint32_t i = 0; i < HELD; i++) {
        write_some(&d, 16);
        CU_ASSERT_EQUAL_FATAL(kv_snapshot(d.s, 0, &held[i].snap, &err), QUARTET_OK);
        memcpy(held[i].versions, d.versions, sizeof held[i].versions);
        if (i % 3 != 0) /* one that has read something, and one that has not */
            CU_ASSERT_EQUAL(look(held[i].snap, &err), QUARTET_OK);
        kv_snap_idle(held[i].snap);
        write_flushes(&d, 1);
    }
    struct kv_stats stats = stats_of(&d);
    uint64_t most = 4 * MOVE_BUFFER + (threads ? 5 : 2) * 40000u, until = d.env.ops->mono_ns(&d.env) + UINT64_C(30000000000);
    while (threads && stats.pinned_memory_bytes > most && spins(&d, until)) {
        write_flushes(&d, 1);
        stats = stats_of(&d);
    }
    CU_ASSERT_TRUE(stats.pinned_memory_bytes <= most); /* the open scans' own on top of four */
    CU_ASSERT_TRUE(stats.pinned_bytes > stats.pinned_memory_bytes);
    CU_ASSERT_EQUAL(stats.too_old, 0);
    CU_ASSERT_TRUE(scan_on(scans[0], open.versions, &next[0], 0, false));
    CU_ASSERT_TRUE(scan_on(scans[1], open.versions, &next[1], 0, true));
    kv_iter_close(scans[0]);
    kv_iter_close(scans[1]);
    CU_ASSERT_TRUE(shows(open.snap, open.versions));
    kv_snap_idle(open.snap); /* it takes what was moved meanwhile */
    kv_snap_busy(open.snap);
    CU_ASSERT_TRUE(shows(open.snap, open.versions));
    for (uint32_t i = 0; i < HELD; i++) {
        kv_snap_busy(held[i].snap);
        CU_ASSERT_TRUE(shows(held[i].snap, held[i].versions));
        struct kv_range all = {.hi_open = true};
        CU_ASSERT_TRUE(kv_changed_since(d.s, TREE, &all, kv_snap_at(held[i].snap)));
        if (i % 2 == 0)
            kv_snap_idle(held[i].snap);
        kv_release(held[i].snap);
    }
    kv_release(open.snap);
    stats = stats_of(&d);
    CU_ASSERT_EQUAL(stats.pinned_bytes, 0);
    CU_ASSERT_EQUAL(stats.pinned_memory_bytes, 0);
    side_close(&d);
}

static void test_kv_pinned_buffers_move(void)
{
    for (uint64_t k = 0; k < 3; k++) {
        move_run(false, unit_seed(10 + k));
        move_run(true, unit_seed(20 + k));
    }
}

struct crowd {
    struct side d;
    pthread_mutex_t lock; /* of d.versions */
    atomic_bool stop, wrong;
    atomic_uint rounds;
};

/* Take a snapshot, be idle while others write, look, again a few times. */
static void *crowd_reader(void *arg)
{
    struct crowd *c = arg;
    struct held h;
    struct err err = ERR_INIT;
    while (!atomic_load(&c->stop) && !atomic_load(&c->wrong)) {
        pthread_mutex_lock(&c->lock);
        bool good = kv_snapshot(c->d.s, 0, &h.snap, &err) == QUARTET_OK;
        memcpy(h.versions, c->d.versions, sizeof h.versions);
        pthread_mutex_unlock(&c->lock);
        for (int i = 0; i < 3 && good; i++) {
            kv_snap_idle(h.snap);
            uint64_t until = stats_of(&c->d).flushes + 2;
            while (!atomic_load(&c->stop) && stats_of(&c->d).flushes < until)
                usleep(100);
            kv_snap_busy(h.snap);
            good = shows(h.snap, h.versions);
        }
        if (!good)
            atomic_store(&c->wrong, true);
        else
            kv_release(h.snap);
        atomic_fetch_add(&c->rounds, 1);
    }
    return NULL;
}

static void test_kv_pinned_crowd(void)
{
    struct crowd c = {0};
    pthread_t threads[6];
    pthread_mutex_init(&c.lock, NULL);
    side_open(&c.d, true, true, &(struct kv_options){.buffer_bytes = 8000}, unit_seed(40));
    for (uint32_t i = 0; i < 6; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, crowd_reader, &c), 0);
    uint64_t until = c.d.env.ops->mono_ns(&c.d.env) + UINT64_C(60000000000);
    bool moved = false;
    while ((atomic_load(&c.rounds) < 24 || !moved) && !atomic_load(&c.wrong) && spins(&c.d, until)) {
        pthread_mutex_lock(&c.lock);
        write_some(&c.d, 16);
        pthread_mutex_unlock(&c.lock);
        struct kv_stats stats = stats_of(&c.d);
        moved = moved || stats.pinned_memory_bytes < stats.pinned_bytes;
    }
    atomic_store(&c.stop, true);
    for (uint32_t i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_FALSE(atomic_load(&c.wrong));
    CU_ASSERT_TRUE(moved);
    CU_ASSERT_EQUAL(stats_of(&c.d).pinned_bytes, 0);
    side_close(&c.d);
    pthread_mutex_destroy(&c.lock);
}

/* ---- through connections ---- */

static quartet_status run(conn *c, const char *sql, int64_t *first, struct err *err)
{
    conn_stmt *s = NULL;
    size_t consumed = 0;
    struct batch rows;
    *err = ERR_INIT;
    quartet_status rc = conn_prepare(c, sql, strlen(sql), &s, &consumed, err);
    for (bool any = false; rc == QUARTET_OK && (rc = conn_step(s, &rows, err)) == QUARTET_OK && rows.n > 0; any = true)
        if (!any)
            *first = vec_get(&rows.cols[0], 0).i;
    conn_finalize(s);
    return rc;
}

static void test_kv_pinned_connection_goes_on(void)
{
    struct err err = ERR_INIT;
    struct db_options o = {.in_memory = true, .buffer_bytes = 20000, .snapshot_bytes = 1000};
    struct db_stats stats;
    struct env *env = env_posix();
    db *d;
    conn *a, *b;
    int64_t n = 0;
    CU_ASSERT_EQUAL_FATAL(db_open(env, ":memory:", &o, &d, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(conn_open(d, &a, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(conn_open(d, &b, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(run(b, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT)", &n, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(run(b, "INSERT INTO t VALUES (1, 1)", &n, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(run(a, "BEGIN", &n, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(run(a, "SELECT count(*) FROM t", &n, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(n, 1);
    uint64_t until = env->ops->mono_ns(env) + UINT64_C(30000000000);
    int64_t written = 1;
    for (db_stats(d, &stats); stats.kv.too_old == 0 && env->ops->mono_ns(env) < until; db_stats(d, &stats)) {
        char sql[100];
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%lld, 5)", (long long)++written);
        CU_ASSERT_EQUAL_FATAL(run(b, sql, &n, &err), QUARTET_OK);
    }
    CU_ASSERT_EQUAL(run(a, "SELECT count(*) FROM t", &n, &err), QUARTET_TOO_OLD);
    CU_ASSERT_TRUE(strncmp(err.text, "snapshot too old: held ", 23) == 0);
    CU_ASSERT_TRUE(conn_in_transaction(a));
    CU_ASSERT_EQUAL(run(a, "SELECT 5", &n, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(run(a, "ROLLBACK", &n, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(run(a, "SELECT count(*) FROM t", &n, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(n, written);
    CU_ASSERT_EQUAL(run(a, "SET snapshot_bytes = 70000", &n, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(run(a, "SET buffer_bytes = 12", &n, &err), QUARTET_ERROR);
    CU_ASSERT_EQUAL(run(b, "SHOW buffer_bytes", &n, &err), QUARTET_OK);
    conn_close(a);
    conn_close(b);
    CU_ASSERT_EQUAL(db_close(d, &err), QUARTET_OK);
}

const struct unit_test unit_tests[] = {
    {"too_old", test_kv_pinned_too_old},
    {"base_bytes", test_kv_pinned_base_bytes},
    {"buffers_move", test_kv_pinned_buffers_move},
    {"crowd", test_kv_pinned_crowd},
    {"connection_goes_on", test_kv_pinned_connection_goes_on},
    {NULL, NULL},
};
