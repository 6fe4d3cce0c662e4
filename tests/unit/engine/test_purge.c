/* test_purge.c - what goes for good: rows that are not live and entries of history, on one database, on members that must have reported, and on one that comes back from an old
 * backup; files that give back what is free. */
#include <sched.h>
#include <sys/stat.h>

#include "cluster_help.h"
#include "dir_help.h"
#include "engine/backup.h"
#include "engine/catalog_build.h"
#include "engine/kv_past.h"
#include "quartet.h"

static void flush(db *d)
{
    struct err err = ERR_INIT;
    pthread_mutex_lock(&d->commit_lock);
    db_publish(d);
    OK(kv_flush(d->store, &err));
    pthread_mutex_unlock(&d->commit_lock);
}

static void retention(db *d, uint64_t ms)
{
    pthread_mutex_lock(&d->commit_lock);
    db_history_set(d, ms);
    pthread_mutex_unlock(&d->commit_lock);
}

static void sweep(db *d)
{
    struct err err = ERR_INIT;
    flush(d);
    OK(db_sweep(d, &err));
}

/* Entries of a tree; of a table also those of rows that are not live. */
static uint64_t entries(db *d, tree_id tree)
{
    struct err err = ERR_INIT;
    kv_snap *snap = NULL;
    kv_iter *it = NULL;
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true, .records = true, .dead = true};
    struct kv_rows rows;
    uint64_t n = 0;
    OK(kv_snapshot_latest(d->store, &snap, &err));
    OK(kv_iter_open(snap, NULL, tree, &all, &want, &it, &err));
    do {
        OK(kv_iter_next(it, 0, &rows, &err));
        n += rows.n;
    } while (rows.n > 0);
    kv_iter_close(it);
    kv_release(snap);
    return n;
}

static tree_id table_id(db *d)
{
    struct catalog *c = db_catalog(d);
    const struct table_def *t = catalog_table(c, "t");
    tree_id id = t != NULL ? t->id : 0;
    catalog_unref(c);
    CU_ASSERT_NOT_EQUAL_FATAL(id, 0);
    return id;
}

#define TABLE "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)"

static void insert_rows(db *d, int from, int to)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    for (int i = from; i <= to; i++) {
        char id[16], name[80];
        uint64_t h = hash64(&i, sizeof i, 1); /* hardly to be packed */
        snprintf(id, sizeof id, "%d", i);
        snprintf(name, sizeof name, "x%016llx%016llx%016llx", (unsigned long long)h, (unsigned long long)(h * h), (unsigned long long)(h * 77777777777777));
        OK(help_insert(t, "t", (const char *const[]){id, name, "1"}, &err));
    }
    OK(txn_commit(t, &err));
}

static void delete_rows(db *d, int from, int to)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    for (int i = from; i <= to; i++)
        OK(help_delete(t, "t", i, &err));
    OK(txn_commit(t, &err));
}

static void update_row(db *d, int id, const char *name)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    OK(help_update(t, "t", id, "name", false, name, &err));
    OK(txn_commit(t, &err));
}

/* ---- one database ---- */

static void test_purge_alone_without_history(void)
{
    db *d = help_memory();
    struct db_stats s;
    retention(d, 0);
    help_ddl(d, TABLE);
    insert_rows(d, 1, 3000);
    flush(d);
    delete_rows(d, 1, 2990);
    sweep(d);
    CU_ASSERT_EQUAL(entries(d, table_id(d)), 10);
    db_stats(d, &s);
    CU_ASSERT_EQUAL(s.kv.swept_rows, 2990);
    insert_rows(d, 5, 5); /* as new */
    sweep(d);
    CU_ASSERT_EQUAL(entries(d, table_id(d)), 11);
    delete_rows(d, 2991, 3000);
    delete_rows(d, 5, 5);
    sweep(d);
    CU_ASSERT_EQUAL(entries(d, table_id(d)), 0);
    help_close(d);
}

static void test_purge_waits_for_history(void)
{
    db *d = help_memory();
    help_ddl(d, TABLE);
    insert_rows(d, 1, 500);
    update_row(d, 400, "b");
    delete_rows(d, 1, 300);
    sweep(d);
    tree_id id = table_id(d);
    CU_ASSERT_EQUAL(entries(d, id), 500);
    CU_ASSERT_EQUAL(entries(d, kv_past_tree(id)), 301);
    retention(d, 1);
    uint64_t until = env_wall_ms(d->env) + 50; /* until the entries are older than a millisecond */
    while (env_wall_ms(d->env) < until)
        sched_yield();
    sweep(d); /* nothing of this was written again */
    CU_ASSERT_EQUAL(entries(d, kv_past_tree(id)), 0);
    sweep(d);
    CU_ASSERT_EQUAL(entries(d, id), 200);
    help_close(d);
}

/* Who reads goes on with what was there when it began, and so does AS OF, whatever is swept away meanwhile. */
static void readers(const char *dir)
{
    struct err err = ERR_INIT;
    struct db_options o = {.in_memory = dir == NULL};
    struct buf first = {0}, again = {0}, now = {0};
    db *d = NULL;
    txn *t = NULL;
    OK(db_open(env_posix(), dir, &o, &d, &err));
    retention(d, 0);
    help_ddl(d, TABLE);
    insert_rows(d, 1, 400);
    flush(d);
    delete_rows(d, 1, 100);
    OK(txn_begin(d, &t, &err));
    help_dump(t, "t", NULL, &first);
    delete_rows(d, 101, 400);
    insert_rows(d, 500, 500);
    sweep(d);
    CU_ASSERT_EQUAL(entries(d, table_id(d)), 1);
    help_dump(t, "t", NULL, &again);
    CU_ASSERT(first.len > 1000 && slice_eq(slice_of(first.data, first.len), slice_of(again.data, again.len)));
    txn_rollback(t);
    OK(txn_begin(d, &t, &err));
    help_dump(t, "t", NULL, &now);
    CU_ASSERT(now.len < 200);
    txn_rollback(t);
    buf_deinit(&first);
    buf_deinit(&again);
    buf_deinit(&now);
    help_close(d);
}

static void test_purge_takes_nothing_from_readers(void)
{
    char dir[64];
    readers(NULL);
    new_dir(dir);
    readers(dir);
    walk_dir(dir, NULL);
}

/* ---- members ---- */

static void expect_entries(struct cluster *c, uint64_t want, const char *when)
{
    for (uint32_t i = 0; i < c->count; i++) {
        sweep(c->d[i]);
        uint64_t got = entries(c->d[i], table_id(c->d[i]));
        if (got != want)
            printf("\n%s: node %u has %llu rows, live or not, wanted %llu\n", when, i, (unsigned long long)got, (unsigned long long)want);
        CU_ASSERT_EQUAL(got, want);
    }
}

static void one_cluster(uint64_t seed)
{
    static const char *const tables[] = {"t", NULL};
    struct prng r;
    prng_seed(&r, seed);
    struct cluster *c = cluster_new(2 + (uint32_t)prng_below(&r, 3));
    uint32_t last = c->count - 1;
    cluster_peers(c);
    for (uint32_t i = 0; i < c->count; i++)
        retention(c->d[i], 0);
    help_ddl(c->d[0], TABLE);
    insert_rows(c->d[0], 1, 20);
    cluster_exchange(c, &r);
    cluster_all_report(c);
    delete_rows(c->d[0], 1, 10);
    insert_rows(c->d[0], 40, 40);
    delete_rows(c->d[0], 40, 40);
    update_row(c->d[last], 3, "concurrent"); /* to a row that is being deleted */
    insert_rows(c->d[last], 40, 41);         /* one that has seen neither that INSERT nor its DELETE */
    sweep(c->d[0]);
    CU_ASSERT_EQUAL(entries(c->d[0], table_id(c->d[0])), 21); /* nobody else has the DELETE */
    cluster_exchange(c, &r);
    expect_entries(c, 22, "with old reports");
    for (uint32_t i = 0; i < c->count; i++) /* all but one */
        for (uint32_t k = 0; k < c->count; k++)
            if (i != k && i != (k == last ? 0 : last))
                cluster_report(c, i, k);
    expect_entries(c, 22, "without one report");
    cluster_all_report(c);
    for (uint32_t i = 0; i < c->count; i++)
        db_peer_gone(c->d[i], (uint8_t)(i == last ? 0 : last));
    expect_entries(c, 22, "without one link");
    cluster_all_report(c);
    if (prng_chance(&r, 0.5)) { /* what is named must be here */
        update_row(c->d[0], 15, "later");
        cluster_seal(c, 0);
        cluster_report(c, 0, last);
        sweep(c->d[last]);
        CU_ASSERT_EQUAL(entries(c->d[last], table_id(c->d[last])), 22);
        cluster_exchange(c, &r);
        cluster_all_report(c);
    }
    cluster_expect_equal(c, tables, seed);
    expect_entries(c, 12, "when all have it");
    struct db_purge_info info;
    db_purge_info(c->d[last], &info);
    CU_ASSERT(info.deltas > 0 && info.stamp > 0 && info.waits_for == 0);
    update_row(c->d[last], 40, "lives");
    insert_rows(c->d[0], 3, 3);
    cluster_exchange(c, &r);
    cluster_expect_equal(c, tables, seed);
    cluster_free(c);
}

static void test_purge_when_all_members_have_it(void)
{
    uint64_t base = unit_seed(900);
    for (uint64_t seed = base; seed < base + 20; seed++)
        one_cluster(seed);
}

/* Who gave a referenced UNIQUE value up is known as long as somebody may write a child that had not seen it. */
static void test_purge_values_given_up(void)
{
    struct prng r;
    struct err err = ERR_INIT;
    txn *t = NULL;
    prng_seed(&r, 3);
    struct cluster *c = cluster_new(2);
    cluster_peers(c);
    for (uint32_t i = 0; i < c->count; i++)
        retention(c->d[i], 0);
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)");
    help_ddl(c->d[0], "CREATE TABLE child (id INTEGER PRIMARY KEY, tn TEXT REFERENCES t (name) ON UPDATE CASCADE)");
    OK(txn_begin(c->d[0], &t, &err));
    OK(help_insert(t, "t", (const char *const[]){"1", "one"}, &err));
    OK(help_insert(t, "t", (const char *const[]){"2", "two"}, &err));
    OK(txn_commit(t, &err));
    cluster_exchange(c, &r);
    update_row(c->d[0], 1, "uno");
    delete_rows(c->d[0], 2, 2);
    sweep(c->d[0]);
    CU_ASSERT_EQUAL(entries(c->d[0], SYS_GIVEN_UP), 2);
    cluster_exchange(c, &r);
    sweep(c->d[0]);
    CU_ASSERT_EQUAL(entries(c->d[0], SYS_GIVEN_UP), 2); /* node 1 has it and has not told */
    CU_ASSERT_EQUAL(entries(c->d[1], SYS_GIVEN_UP), 0);
    cluster_all_report(c);
    sweep(c->d[0]);
    CU_ASSERT_EQUAL(entries(c->d[0], SYS_GIVEN_UP), 0);
    cluster_free(c);
}

/* A member's report is worth nothing any more once another run of it writes, though nobody has said that the link is gone: that run may come from an old copy. */
static void test_purge_report_of_a_run_before(void)
{
    struct err err = ERR_INIT;
    struct prng r;
    static const char *const tables[] = {"t", NULL};
    char dir[64], copy[64];
    prng_seed(&r, 6);
    new_dir(dir);
    new_dir(copy);
    struct cluster *c = cluster_new(3);
    help_close(c->d[2]);
    OK(db_open(env_posix(), dir, NULL, &c->d[2], &err));
    OK(db_set_identity(c->d[2], &c->id[2], &err));
    cluster_peers(c);
    retention(c->d[0], 0);
    help_ddl(c->d[0], TABLE);
    insert_rows(c->d[0], 1, 10);
    cluster_exchange(c, &r);
    insert_rows(c->d[2], 20, 22);
    cluster_exchange(c, &r);
    OK(db_close(c->d[2], &err));
    walk_dir(dir, copy);
    OK(db_open(env_posix(), dir, NULL, &c->d[2], &err));
    OK(db_set_identity(c->d[2], &c->id[2], &err));
    cluster_peers(c);
    delete_rows(c->d[0], 1, 5);
    cluster_exchange(c, &r);
    flush(c->d[0]);
    cluster_all_report(c);
    help_close(c->d[2]);
    OK(db_open(env_posix(), copy, NULL, &c->d[2], &err));
    OK(db_set_identity(c->d[2], &c->id[2], &err));
    cluster_peers(c);
    update_row(c->d[2], 1, "from the past");
    uint32_t first = c->pool.count;
    cluster_seal(c, 2);
    CU_ASSERT_EQUAL(c->pool.count, first + 1);
    CU_ASSERT_EQUAL(cluster_give(c, 0, first), DELIVER_APPLIED); /* by way of node 1 */
    struct db_purge_info info;
    db_purge_info(c->d[0], &info);
    CU_ASSERT_EQUAL(info.waits_for, 1u << 1 | 1u << 2); /* node 1: it has told of nothing since */
    OK(db_sweep(c->d[0], &err));
    CU_ASSERT_EQUAL(entries(c->d[0], table_id(c->d[0])), 13);
    cluster_report(c, 2, 0); /* the run that is: it lacks the DELETE */
    OK(db_sweep(c->d[0], &err));
    CU_ASSERT_EQUAL(entries(c->d[0], table_id(c->d[0])), 13);
    cluster_exchange(c, &r);
    cluster_all_report(c);
    sweep(c->d[0]);
    CU_ASSERT_EQUAL(entries(c->d[0], table_id(c->d[0])), 8);
    cluster_expect_equal(c, tables, 0);
    cluster_free(c);
    walk_dir(dir, NULL);
    walk_dir(copy, NULL);
}

/* All have purged; one comes back from a copy of its disk where the row is live. */
static void test_purge_old_backup_comes_back(void)
{
    struct err err = ERR_INIT;
    struct prng r;
    static const char *const tables[] = {"t", NULL};
    char dir[64], copy[64];
    prng_seed(&r, 5);
    new_dir(dir);
    new_dir(copy);
    struct cluster *c = cluster_new(3);
    help_close(c->d[2]);
    OK(db_open(env_posix(), dir, NULL, &c->d[2], &err));
    OK(db_set_identity(c->d[2], &c->id[2], &err));
    cluster_peers(c);
    help_ddl(c->d[0], TABLE);
    insert_rows(c->d[0], 1, 10);
    cluster_exchange(c, &r);
    insert_rows(c->d[2], 20, 25);
    cluster_exchange(c, &r);
    OK(db_close(c->d[2], &err));
    walk_dir(dir, copy);
    OK(db_open(env_posix(), dir, NULL, &c->d[2], &err));
    OK(db_set_identity(c->d[2], &c->id[2], &err));
    cluster_peers(c);
    delete_rows(c->d[0], 1, 5);
    cluster_exchange(c, &r);
    delete_rows(c->d[2], 20, 22); /* of the tail that the copy lacks */
    cluster_exchange(c, &r);
    update_row(c->d[0], 9, "newest"); /* history goes up to what came last */
    cluster_exchange(c, &r);
    cluster_all_report(c);
    for (uint32_t i = 0; i < 3; i++)
        retention(c->d[i], 0);
    expect_entries(c, 8, "before the backup");
    uint64_t before = db_incarnation(c->d[2]);
    help_close(c->d[2]);
    OK(db_open(env_posix(), copy, NULL, &c->d[2], &err));
    OK(db_set_identity(c->d[2], &c->id[2], &err));
    cluster_peers(c);
    CU_ASSERT_NOT_EQUAL(db_incarnation(c->d[2]), before);
    CU_ASSERT_EQUAL(entries(c->d[2], table_id(c->d[2])), 16);
    cluster_report(c, 2, 0); /* of the new incarnation, which knows less */
    cluster_report(c, 2, 1);
    update_row(c->d[2], 1, "from the past");
    for (int round = 0; round < 3; round++) /* its own lost tail too */
        for (uint32_t i = 0; i < c->pool.count; i++)
            (void)cluster_give(c, 2, i);
    cluster_exchange(c, &r);
    update_row(c->d[0], 9, "newer");
    cluster_exchange(c, &r);
    cluster_all_report(c);
    cluster_expect_equal(c, tables, 0);
    retention(c->d[2], 0);
    expect_entries(c, 8, "after the backup");
    cluster_free(c);
    walk_dir(dir, NULL);
    walk_dir(copy, NULL);
}

/* ---- files ---- */

static uint64_t base_bytes(const char *dir)
{
    char path[512];
    struct stat st;
    path_of(path, sizeof path, dir, "base.mdb");
    CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static void test_purge_file_becomes_small(void)
{
    struct err err = ERR_INIT;
    char dir[64], backup[64], restored[64];
    uint64_t before, after, bytes;
    db *d = NULL;
    new_dir(dir);
    OK(db_open(env_posix(), dir, NULL, &d, &err));
    retention(d, 0);
    help_ddl(d, TABLE);
    for (int k = 0; k < 10; k++) {
        insert_rows(d, k * 4000 + 1, k * 4000 + 4000);
        flush(d);
    }
    for (int k = 0; k < 10; k++)
        delete_rows(d, k * 4000 + 1, k * 4000 + 4000);
    insert_rows(d, 1, 10);
    OK(db_vacuum(d, &before, &after, &err));
    CU_ASSERT(after < 40000);
    CU_ASSERT_EQUAL(entries(d, table_id(d)), 10);
    new_dir(backup);
    (void)rmdir(backup);
    new_dir(restored);
    (void)rmdir(restored);
    OK(db_backup(d, backup, &bytes, &err));
    OK(db_close(d, &err));
    CU_ASSERT(base_bytes(dir) < 40000);
    CU_ASSERT_EQUAL(quartet_verify(dir, NULL, NULL, NULL, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_verify(backup, NULL, NULL, NULL, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_restore(backup, restored, NULL), QUARTET_OK);
    OK(db_open(env_posix(), restored, NULL, &d, &err));
    CU_ASSERT_EQUAL(entries(d, table_id(d)), 10);
    delete_rows(d, 1, 1);
    retention(d, 0);
    sweep(d);
    OK(db_close(d, &err));
    CU_ASSERT_EQUAL(quartet_verify(restored, NULL, NULL, NULL, NULL), QUARTET_OK);
    walk_dir(dir, NULL);
    walk_dir(backup, NULL);
    walk_dir(restored, NULL);
}

/* Closing gives back what many updates left free. */
static void test_purge_close_gives_back(void)
{
    struct err err = ERR_INIT;
    char dir[64];
    db *d = NULL;
    new_dir(dir);
    OK(db_open(env_posix(), dir, NULL, &d, &err));
    help_ddl(d, TABLE);
    insert_rows(d, 1, 60000);
    for (int k = 0; k < 6; k++) {
        flush(d);
        retention(d, k == 5 ? 0 : 3600000);
        delete_rows(d, k * 9000 + 1, k * 9000 + 9000);
        insert_rows(d, 100000 + k * 60000, 100000 + k * 60000 + 59999);
        flush(d);
        delete_rows(d, 100000 + k * 60000, 100000 + k * 60000 + 59999);
    }
    retention(d, 0);
    sweep(d);
    struct db_stats s;
    db_stats(d, &s);
    uint64_t live = s.kv.base_bytes - s.kv.base_dead_bytes;
    CU_ASSERT(s.kv.base_dead_bytes > KV_TIDY_DEAD_BYTES);
    OK(db_close(d, &err));
    CU_ASSERT(base_bytes(dir) < live + live / 4 + 65536);
    CU_ASSERT_EQUAL(quartet_verify(dir, NULL, NULL, NULL, NULL), QUARTET_OK);
    walk_dir(dir, NULL);
}

const char *const unit_suite = "purge";
const struct unit_test unit_tests[] = {
    {"alone without history", test_purge_alone_without_history},
    {"waits for history", test_purge_waits_for_history},
    {"takes nothing from readers", test_purge_takes_nothing_from_readers},
    {"when all members have it", test_purge_when_all_members_have_it},
    {"values given up", test_purge_values_given_up},
    {"report of a run before", test_purge_report_of_a_run_before},
    {"old backup comes back", test_purge_old_backup_comes_back},
    {"file becomes small", test_purge_file_becomes_small},
    {"close gives back", test_purge_close_gives_back},
    {NULL, NULL},
};
