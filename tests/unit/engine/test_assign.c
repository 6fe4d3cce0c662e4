/* test_assign.c - keys that a member assigns: no two rows get one, whatever becomes of directories; and if two did all the same, people are told. */
#include "cluster_help.h"
#include "dir_help.h"
#include "query_help.h"

#define NODES 4u
#define LOW (1ll << 43)
#define HIGH (1ll << 52)

/* Slot 0 lives in directories, the others in memory. */
struct world {
    struct cluster *c;
    struct prng r;
    char dir[64];
};

static db *open_dir(struct cluster *c, const char *dir, bool answered)
{
    struct err err = ERR_INIT;
    struct db_options o = {.buffer_bytes = 0};
    struct db_identity id = c->id[0];
    db *d = NULL;
    id.members_answered = answered;
    OK(db_open(env_posix(), dir, &o, &d, &err));
    OK(db_set_identity(d, &id, &err));
    db_set_peers(d, 14);
    return d;
}

static void start(struct world *w, uint64_t seed)
{
    *w = (struct world){.c = cluster_new(NODES)};
    prng_seed(&w->r, seed);
    new_dir(w->dir);
    help_close(w->c->d[0]);
    w->c->d[0] = open_dir(w->c, w->dir, true);
    for (uint8_t k = 1; k < NODES; k++)
        db_set_peers(w->c->d[k], (uint8_t)(15u & ~(1u << k)));
    run_sql(w->c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE)");
    cluster_exchange(w->c, &w->r);
}

static void finish(struct world *w)
{
    cluster_free(w->c);
    walk_dir(w->dir, NULL);
}

static int64_t assign(db *d)
{
    struct err err = ERR_INIT;
    struct buf out = {0};
    OK(query_try(d, "INSERT INTO t (v) VALUES (uuid()) RETURNING id", NULL, &out, &err));
    buf_u8(&out, 0);
    int64_t id = strtoll((const char *)out.data, NULL, 10);
    buf_deinit(&out);
    return id;
}

static uint64_t twice(db *d)
{
    struct db_stats s;
    db_stats(d, &s);
    return s.keys_twice;
}

/* From now on slot 0 runs in a copy of its directory. */
static void replace_with(struct world *w, const char *copy, bool answered)
{
    help_close(w->c->d[0]);
    walk_dir(w->dir, NULL);
    memcpy(w->dir, copy, sizeof w->dir);
    w->c->d[0] = open_dir(w->c, w->dir, answered);
}

static void copy_of(struct world *w, char out[64])
{
    new_dir(out);
    walk_dir(w->dir, out);
}

static void test_assign_goes_on_after_the_highest(void)
{
    struct world w;
    start(&w, 1);
    db *d = w.c->d[0];
    CU_ASSERT_EQUAL(assign(d), 1);
    CU_ASSERT_EQUAL(assign(d), 5);
    run_sql(d, "INSERT INTO t VALUES (40, 'of no class of its own'), (13, 'of its class')");
    CU_ASSERT_EQUAL(assign(d), 9);
    run_sql(d, "DELETE FROM t WHERE id = 13");
    cluster_exchange(w.c, &w.r);
    CU_ASSERT_EQUAL(assign(w.c->d[1]), 2);
    help_close(w.c->d[0]);
    w.c->d[0] = open_dir(w.c, w.dir, true);
    CU_ASSERT_EQUAL(assign(w.c->d[0]), 17); /* not that of the row that is deleted, which others may still name */
    finish(&w);
}

static void test_assign_begins_at_a_random_place_where_not_all_have_answered(void)
{
    struct world w;
    start(&w, 2);
    (void)assign(w.c->d[0]);
    int64_t last[2] = {0};
    for (int run = 0; run < 2; run++) {
        help_close(w.c->d[0]);
        w.c->d[0] = open_dir(w.c, w.dir, false);
        int64_t first = assign(w.c->d[0]);
        CU_ASSERT(first >= LOW && first < HIGH && first % 4 == 1);
        CU_ASSERT_EQUAL(assign(w.c->d[0]), first + 4);
        last[run] = first;
    }
    CU_ASSERT(llabs(last[1] - last[0]) >= 1ll << 32);
    /* Once started there, it stays there, also when all have answered. */
    struct err err = ERR_INIT;
    struct db_identity id = w.c->id[0];
    OK(db_set_identity(w.c->d[0], &id, &err));
    CU_ASSERT_EQUAL(assign(w.c->d[0]), last[1] + 8);
    finish(&w);
}

/* The case of the issue: what was assigned after the backup is known to two peers, and the restored slot reaches the third. */
static void test_assign_restored_from_a_backup_gives_no_key_again(void)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct world w;
        char backup[64];
        int64_t given[64];
        uint32_t count = 0;
        start(&w, seed);
        for (; count < 10; count++)
            given[count] = assign(w.c->d[0]);
        cluster_exchange(w.c, &w.r);
        copy_of(&w, backup);
        for (; count < 40; count++)
            given[count] = assign(w.c->d[0]);
        cluster_seal(w.c, 0);
        uint32_t known = w.c->pool.count;
        for (uint32_t i = 0; i < known; i++)
            for (uint32_t k = 1; k < 3; k++)
                if (w.c->pool.slot[i] != k)
                    (void)cluster_give(w.c, k, i);
        replace_with(&w, backup, false); /* node 3 alone has answered, and knows nothing of it */
        for (int i = 0; i < 20; i++) {
            int64_t key = assign(w.c->d[0]);
            for (uint32_t g = 0; g < count; g++)
                CU_ASSERT_NOT_EQUAL(key, given[g]);
            given[count++] = key;
        }
        cluster_exchange(w.c, &w.r); /* at last all hear of all */
        for (uint32_t i = 0; i < known; i++)
            if (w.c->pool.slot[i] == 0)
                (void)cluster_give(w.c, 0, i);
        static const char *const tables[] = {"t", NULL};
        cluster_expect_equal(w.c, tables, seed);
        expect_rows(w.c->d[0], "SELECT count(*) FROM t", "60\n");
        for (uint32_t k = 0; k < NODES; k++)
            CU_ASSERT_EQUAL(twice(w.c->d[k]), 0);
        finish(&w);
    }
}

/* All have answered, and then another process turns out to run the slot: this one leaves. What both had given by then cannot be helped, and is told. */
static void test_assign_leaves_when_another_run_is_heard_of(void)
{
    struct world w;
    char copy[64];
    struct err err = ERR_INIT;
    start(&w, 3);
    CU_ASSERT_EQUAL(assign(w.c->d[0]), 1);
    cluster_exchange(w.c, &w.r);
    copy_of(&w, copy);
    CU_ASSERT_EQUAL(assign(w.c->d[0]), 5);
    db *other = open_dir(w.c, copy, true);
    CU_ASSERT_EQUAL(assign(other), 5);
    OK(db_seal(other, pool_add, &w.c->pool, &err));
    help_close(other);
    CU_ASSERT_EQUAL(twice(w.c->d[0]), 0);
    (void)cluster_give(w.c, 0, w.c->pool.count - 1);
    CU_ASSERT_EQUAL(twice(w.c->d[0]), 1);
    int64_t next = assign(w.c->d[0]);
    CU_ASSERT(next >= LOW && next < HIGH);
    CU_ASSERT_EQUAL(assign(w.c->d[0]), next + 4);
    cluster_exchange(w.c, &w.r);
    for (uint32_t k = 0; k < NODES; k++) {
        CU_ASSERT_EQUAL(twice(w.c->d[k]), 1);
        expect_rows(w.c->d[k], "SELECT count(*) FROM t", "4\n");
    }
    walk_dir(copy, NULL);
    finish(&w);
}

/* Where the directory proved to be an old copy it does not go on after the highest before its chains of before are closed. */
static void test_assign_waits_for_the_end_of_its_earlier_chains(void)
{
    struct world w;
    char backup[64];
    start(&w, 4);
    (void)assign(w.c->d[0]);
    cluster_exchange(w.c, &w.r);
    copy_of(&w, backup);
    for (int i = 0; i < 3; i++)
        (void)assign(w.c->d[0]); /* 5, 9, 13 */
    cluster_exchange(w.c, &w.r);
    replace_with(&w, backup, false);
    for (uint32_t i = 0; i < w.c->pool.count; i++) /* its lost tail comes back, and then all have answered */
        (void)cluster_give(w.c, 0, i);
    struct err err = ERR_INIT;
    OK(db_set_identity(w.c->d[0], &w.c->id[0], &err));
    run_sql(w.c->d[0], "CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT UNIQUE)");
    struct buf out = {0};
    OK(query_try(w.c->d[0], "INSERT INTO u (v) VALUES ('x') RETURNING id", NULL, &out, &err));
    buf_u8(&out, 0);
    CU_ASSERT(strtoll((const char *)out.data, NULL, 10) >= LOW);
    buf_deinit(&out);
    for (int i = 0; i < 6; i++) {
        for (uint32_t k = 0; k < NODES; k++)
            db_tick(w.c->d[k]);
        cluster_exchange(w.c, &w.r);
    }
    CU_ASSERT_EQUAL(assign(w.c->d[0]), 17);
    finish(&w);
}

const char *const unit_suite = "assign";
const struct unit_test unit_tests[] = {
    {"goes on after the highest", test_assign_goes_on_after_the_highest},
    {"begins at a random place where not all have answered", test_assign_begins_at_a_random_place_where_not_all_have_answered},
    {"restored from a backup, gives no key again", test_assign_restored_from_a_backup_gives_no_key_again},
    {"leaves when another run is heard of", test_assign_leaves_when_another_run_is_heard_of},
    {"waits for the end of its earlier chains", test_assign_waits_for_the_end_of_its_earlier_chains},
    {NULL, NULL},
};
