/* test_session_vector.c - the vector in a session's token: what the session has seen here, and a crash cannot take back, is what another node is asked to have first. */
#include "cluster_help.h"
#include "dir_help.h"
#include "query_help.h"

static db *open_in(struct cluster *c, uint32_t slot, const char *dir, enum log_sync_mode sync)
{
    struct err err = ERR_INIT;
    struct db_options o = {.sync = sync};
    db *d = NULL;
    OK(db_open(env_posix(), dir, &o, &d, &err));
    cluster_keys(c, slot);
    OK(db_set_identity(d, &c->id[slot], &err));
    return d;
}

static void start(struct cluster *c, char dir[2][64], enum log_sync_mode sync)
{
    for (uint32_t i = 0; i < 2; i++) {
        new_dir(dir[i]);
        c->d[i] = open_in(c, i, dir[i], sync);
    }
}

static void end(struct cluster *c, char dir[2][64])
{
    cluster_free(c);
    for (uint32_t i = 0; i < 2; i++)
        walk_dir(dir[i], NULL);
}

/* Does node 1 have what a session on node 0 has seen? */
static bool covered(struct cluster *c)
{
    struct err err = ERR_INIT;
    struct buf v = {0};
    OK(db_session_vector(c->d[0], &v, &err));
    bool covers = db_covers(c->d[1], slice_of(v.data, v.len));
    buf_deinit(&v);
    return covers;
}

/* A commit is signed a little later than it is acknowledged: a session that has the acknowledgement and then moves must find it, or be told that it is missing. */
static void test_a_commit_that_is_not_signed_yet(void)
{
    char dir[2][64] = {"/tmp/quartet-seen-XXXXXX", "/tmp/quartet-seen-XXXXXX"};
    struct cluster *c = cluster_alloc(2);
    start(c, dir, LOG_SYNC_FULL);
    CU_ASSERT(covered(c)); /* nothing was written */
    for (int i = 0; i < 3; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "CREATE TABLE t%d (id INTEGER PRIMARY KEY)", i);
        run_sql(c->d[0], sql);
        CU_ASSERT(!covered(c)); /* acknowledged, not signed */
        cluster_seal(c, 0);
        CU_ASSERT(!covered(c)); /* signed, not there */
        for (uint32_t k = 0; k < c->pool.count; k++)
            (void)cluster_give(c, 1, k);
        CU_ASSERT(covered(c));
    }
    end(c, dir);
}

/* What a crash could take back is not waited for: it might never come. */
static void test_a_commit_that_is_not_on_disk(void)
{
    char dir[2][64] = {"/tmp/quartet-seen-XXXXXX", "/tmp/quartet-seen-XXXXXX"};
    struct cluster *c = cluster_alloc(2);
    struct err err = ERR_INIT;
    start(c, dir, LOG_SYNC_OFF);
    run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    CU_ASSERT(covered(c));
    OK(db_sync_remote(c->d[0], &err)); /* what syncs the log for whatever reason */
    CU_ASSERT(!covered(c));
    end(c, dir);
}

/* A peer's transaction counts once it is seen: applied, on disk or not, for others have it; one that is held back does not. */
static void test_what_peers_wrote(void)
{
    char dir[2][64] = {"/tmp/quartet-seen-XXXXXX", "/tmp/quartet-seen-XXXXXX"};
    struct cluster *c = cluster_alloc(2);
    struct err err = ERR_INIT;
    start(c, dir, LOG_SYNC_FULL);
    struct buf before = {0}, after = {0};
    OK(db_session_vector(c->d[0], &before, &err));
    run_sql(c->d[1], "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    cluster_seal(c, 1);
    (void)cluster_give(c, 0, 0);
    OK(db_session_vector(c->d[0], &after, &err));
    CU_ASSERT(!slice_eq(slice_of(before.data, before.len), slice_of(after.data, after.len)));
    CU_ASSERT(covered(c));
    buf_deinit(&before);
    buf_deinit(&after);
    end(c, dir);
}

const char *const unit_suite = "session vector";
const struct unit_test unit_tests[] = {
    {"a commit that is not signed yet", test_a_commit_that_is_not_signed_yet},
    {"a commit that is not on disk", test_a_commit_that_is_not_on_disk},
    {"what peers wrote", test_what_peers_wrote},
    {NULL, NULL},
};
