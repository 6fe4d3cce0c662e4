/* test_full.c - a member's disk fills up while it takes what others wrote, writes and signs: each is refused or waits, nothing breaks, and with room again all goes on without a restart. */
#include "cluster_help.h"
#include "query_help.h"

struct world {
    struct cluster *c;
    struct fault_env f; /* of slot 1 */
};

static void start(struct world *w, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct prng r;
    struct db_options o = {.base_in_memory = true};
    prng_seed(&r, seed);
    *w = (struct world){.c = cluster_new(2)};
    help_close(w->c->d[1]);
    fault_env_init(&w->f, seed);
    w->f.wall_us = env_posix()->ops->wall_us(env_posix());
    OK(db_open(&w->f.env, "/db", &o, &w->c->d[1], &err));
    OK(db_set_identity(w->c->d[1], &w->c->id[1], &err));
    cluster_peers(w->c);
    run_sql(w->c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    cluster_exchange(w->c, &r);
}

static void finish(struct world *w)
{
    static const char *const tables[] = {"t", NULL};
    struct prng r;
    prng_seed(&r, 1);
    cluster_exchange(w->c, &r);
    cluster_expect_equal(w->c, tables, 0);
    cluster_free(w->c);
    fault_env_deinit(&w->f);
}

static void expect_healthy(db *d)
{
    struct err err = ERR_INIT;
    OK(db_health(d, &err));
}

static void test_full_disk_refuses_a_batch_and_takes_it_later(void)
{
    for (uint32_t size = 20000; size < 120000 && CU_get_number_of_failures() == 0; size += 17000) {
        struct world w;
        char sql[100], want[20];
        bool full = false;
        uint32_t rows = (2u << 20) / (2 * size);
        start(&w, size);
        uint32_t from = w.c->pool.count;
        for (uint32_t i = 0; i < rows; i++) {
            snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%u, hex(zeroblob(%u)))", i, size);
            run_sql(w.c->d[0], sql);
            cluster_seal(w.c, 0);
        }
        w.f.disk_bytes = w.f.used_bytes + 1; /* the log has room for a MiB */
        for (int again = 0; again < 2; again++, w.f.disk_bytes = 0)
            for (uint32_t i = from; i < w.c->pool.count; i++) {
                struct err err = ERR_INIT;
                enum deliver_result result;
                uint64_t need;
                quartet_status rc = db_deliver(w.c->d[1], slice_of(w.c->pool.bytes[i], w.c->pool.n[i]), w.c->public_key[0], &result, &need, &err);
                CU_ASSERT(rc == QUARTET_OK || (rc == QUARTET_FULL && again == 0));
                full |= rc == QUARTET_FULL;
                expect_healthy(w.c->d[1]);
            }
        CU_ASSERT(full);
        snprintf(want, sizeof want, "%u\n", rows);
        expect_rows(w.c->d[1], "SELECT count(*) FROM t", want);
        run_sql(w.c->d[1], "INSERT INTO t VALUES (100000, 'goes on')");
        finish(&w);
    }
}

/* What is written down of a signature may not fit where the commit did: then it is signed later, and what was signed before it in the same round is told. */
static void test_full_disk_signs_later(void)
{
    uint32_t late = 0;
    for (uint32_t seed = 1; seed < 12 && CU_get_number_of_failures() == 0; seed++) {
        struct world w;
        struct err err = ERR_INIT;
        struct buf out = {0};
        uint32_t rows = 0;
        start(&w, seed);
        w.f.disk_bytes = w.f.used_bytes + 1; /* the log has room for a MiB */
        for (uint32_t size = 20000 + seed * 100; size > 0; expect_healthy(w.c->d[1])) { /* until hardly a byte is left */
            char sql[100];
            snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%u, hex(zeroblob(%u)))", rows, size);
            quartet_status rc = query_try(w.c->d[1], sql, NULL, &out, &err);
            CU_ASSERT(rc == QUARTET_OK || rc == QUARTET_FULL);
            err_clear(&err);
            rows += rc == QUARTET_OK;
            size = rc == QUARTET_FULL ? size / 2 : size;
            if (rc == QUARTET_OK && rows % seed == 0) {
                rc = db_seal(w.c->d[1], pool_add, &w.c->pool, &err);
                CU_ASSERT(rc == QUARTET_OK || rc == QUARTET_FULL);
                late += rc == QUARTET_FULL;
                err_clear(&err);
            }
        }
        CU_ASSERT(rows > 0);
        w.f.disk_bytes = 0;
        run_sql(w.c->d[1], "INSERT INTO t VALUES (100000, 'goes on')");
        cluster_seal(w.c, 1);
        for (uint32_t i = 0; i < w.c->pool.count; i++)
            if (w.c->pool.slot[i] == 1)
                CU_ASSERT_NOT_EQUAL(cluster_give(w.c, 0, i), DELIVER_GAP); /* each was told, in its order */
        char want[40];
        snprintf(want, sizeof want, "%u\n", rows + 1);
        expect_rows(w.c->d[0], "SELECT count(*) FROM t", want);
        buf_deinit(&out);
        finish(&w);
    }
    CU_ASSERT(late > 0);
}

const char *const unit_suite = "full";
const struct unit_test unit_tests[] = {
    {"a batch", test_full_disk_refuses_a_batch_and_takes_it_later},
    {"signatures", test_full_disk_signs_later},
    {NULL, NULL},
};
