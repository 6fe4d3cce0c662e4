/* test_outcome.c - what nodes remember of clients' commits: the same on all that have them, whatever came in which order, and never a guess. */
#include "cluster_help.h"
#include "dir_help.h"
#include "engine/conn.h"
#include "engine/outcome.h"
#include "query_help.h"

#define NODES 3u
#define SESSIONS 5u
#define COMMITS 400u

/* A client's request: `sql` as the connection's statement. */
static void commit_as(conn *c, uint64_t session, uint32_t request, bool gives_rows, const char *sql)
{
    struct err err = ERR_INIT;
    conn_stmt *s = NULL;
    struct batch rows;
    size_t consumed = 0;
    conn_set_request(c, session, request, gives_rows);
    OK(conn_prepare(c, sql, strlen(sql), &s, &consumed, &err));
    do
        OK(conn_step(s, &rows, &err));
    while (rows.n > 0);
    conn_finalize(s);
}

static struct outcome ask(db *d, struct outcome_name name)
{
    struct err err = ERR_INIT;
    struct outcome o;
    OK(db_outcome(d, &name, &o, &err));
    return o;
}

static struct outcome_name name_of(db *d, uint64_t session, uint32_t request)
{
    return (struct outcome_name){.slot = d->identity.slot, .incarnation = db_incarnation(d), .session = session, .request = request};
}

/* Up to which number `d` has applied the chain of `of`. */
static uint64_t applied(db *d, db *of)
{
    chain_no no;
    return chain_find(&d->chains, chain_id_of(&of->chains, of->own), &no) ? vv_number(&d->applied, no) : 0;
}

struct made { /* the model: all that was committed */
    uint32_t node, request;
    uint64_t session, number;
    int64_t affected;
};

static void check_all(struct cluster *c, const struct made *made, uint32_t count)
{
    for (uint32_t at = 0; at < c->count; at++)
        for (uint32_t i = 0; i < count; i++) {
            const struct made *m = &made[i];
            struct outcome o = ask(c->d[at], name_of(c->d[m->node], m->session, m->request));
            uint64_t here = at == m->node ? UINT64_MAX : applied(c->d[at], c->d[m->node]);
            enum outcome_kind want = m->number <= here ? OUTCOME_COMMITTED : OUTCOME_NONE;
            for (uint32_t k = i + 1; k < count && want == OUTCOME_COMMITTED; k++)
                if (made[k].node == m->node && made[k].session == m->session && made[k].number <= here)
                    want = OUTCOME_OVERTAKEN;
            CU_ASSERT_EQUAL_FATAL(o.kind, want);
            CU_ASSERT(!o.ended && !o.forked);
            if (want == OUTCOME_COMMITTED)
                CU_ASSERT_FATAL(o.affected == m->affected && o.stamp != 0 && o.gave_rows == (m->request % 2 == 0));
            CU_ASSERT_NOT_EQUAL(ask(c->d[at], name_of(c->d[m->node], m->session, m->request + 1)).kind, OUTCOME_COMMITTED);
        }
}

/* Several sessions of each node, batches in any order, twice, late: each node says what the deltas that it has applied say. */
static void test_outcome_follows_the_deltas(void)
{
    struct prng r;
    uint64_t seed = unit_seed(1);
    struct cluster *c = cluster_new_made_up(NODES, seed);
    struct err err = ERR_INIT;
    static struct made made[COMMITS];
    conn *conns[NODES];
    uint32_t requests[NODES][SESSIONS];
    prng_seed(&r, seed);
    run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER COUNTER DEFAULT 0)");
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < NODES; i++)
        OK(conn_open(c->d[i], &conns[i], &err));
    for (uint32_t i = 0; i < NODES; i++)
        for (uint32_t k = 0; k < SESSIONS; k++)
            requests[i][k] = UINT32_MAX - (uint32_t)prng_below(&r, 200); /* over the end, too */
    for (uint32_t i = 0; i < COMMITS; i++) {
        char sql[160];
        uint32_t node = (uint32_t)prng_below(&r, NODES), session = (uint32_t)prng_below(&r, SESSIONS), rows = 1 + (uint32_t)prng_below(&r, 3);
        requests[node][session] += 2 + (uint32_t)prng_below(&r, 9);
        if (rows == 1)
            snprintf(sql, sizeof sql, "INSERT INTO t (id) VALUES (%u)", 10 * i);
        else
            snprintf(sql, sizeof sql, "INSERT INTO t (id) VALUES (%u), (%u)", 10 * i, 10 * i + 1);
        made[i] = (struct made){.node = node, .session = session + 1, .request = requests[node][session], .affected = rows > 1 ? 2 : 1};
        commit_as(conns[node], made[i].session, made[i].request, made[i].request % 2 == 0, sql);
        made[i].number = applied(c->d[node], c->d[node]);
        if (prng_chance(&r, 0.05)) { /* some of it gets somewhere */
            cluster_seal(c, node);
            for (uint32_t k = 0; k < 4 && c->pool.count > 0; k++) {
                uint32_t batch = (uint32_t)prng_below(&r, c->pool.count), to = (uint32_t)prng_below(&r, NODES);
                if (c->pool.slot[batch] != to)
                    (void)cluster_give(c, to, batch); /* a gap will do */
            }
        }
        if (i % 80 == 79)
            check_all(c, made, i + 1);
    }
    cluster_exchange(c, &r);
    check_all(c, made, COMMITS);
    static const char *const tables[] = {"t", NULL};
    cluster_expect_equal(c, tables, seed);
    for (uint32_t i = 0; i < NODES; i++)
        conn_close(conns[i]);
    cluster_free(c);
}

/* It is derived from the log, so an end without a flush takes nothing away; a large transaction, which travels in chunks, says it at its end. */
static void test_outcome_survives_a_crash(void)
{
    char dir[64], copy[64];
    struct err err = ERR_INIT;
    struct cluster *c = cluster_new(1);
    struct db_options o = {.sync = LOG_SYNC_FULL};
    conn *k = NULL;
    db *d = NULL;
    new_dir(dir);
    new_dir(copy);
    OK(db_open(env_posix(), dir, &o, &d, &err));
    OK(db_set_identity(d, &c->id[0], &err));
    OK(conn_open(d, &k, &err));
    commit_as(k, 7, 1, false, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    commit_as(k, 7, 2, false, "INSERT INTO t SELECT value, hex(zeroblob(100)) FROM generate_series(1, 5000)");
    commit_as(k, 8, 3, false, "INSERT INTO t VALUES (9999, 'x')");
    commit_as(k, 8, 4, false, "UPDATE t SET v = 'y' WHERE id = -1"); /* writes nothing: nothing is there to be told */
    struct outcome_name large = name_of(d, 7, 2), small = name_of(d, 8, 3), none = name_of(d, 8, 4);
    walk_dir(dir, copy); /* as a crash would leave it */
    conn_close(k);
    OK(db_close(d, &err));
    const char *dirs[] = {dir, copy};
    for (int i = 0; i < 2; i++) {
        OK(db_open(env_posix(), dirs[i], &o, &d, &err));
        OK(db_set_identity(d, &c->id[0], &err));
        struct outcome got = ask(d, large);
        CU_ASSERT(got.kind == OUTCOME_COMMITTED && got.affected == 5000 && !got.ended);
        got = ask(d, small);
        CU_ASSERT(got.kind == OUTCOME_COMMITTED && got.affected == 1);
        CU_ASSERT_EQUAL(ask(d, none).kind, OUTCOME_NONE);
        CU_ASSERT_EQUAL(ask(d, name_of(d, 7, 2)).kind, OUTCOME_NONE); /* another run's session */
        OK(db_close(d, &err));
        walk_dir(dirs[i], NULL);
    }
    cluster_free(c);
}

static uint64_t rows_in(db *d)
{
    kv_snap *snap = NULL;
    struct err err = ERR_INIT;
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {.n = 1};
    kv_iter *it = NULL;
    uint64_t n = 0;
    OK(kv_snapshot(d->store, 0, &snap, &err));
    OK(kv_iter_open(snap, NULL, SYS_OUTCOMES, &all, &want, &it, &err));
    while (rows.n > 0) {
        OK(kv_iter_next(it, 0, &rows, &err));
        n += rows.n;
    }
    kv_iter_close(it);
    kv_release(snap);
    return n;
}

/* At the limit and one past it. What has gone is "forgotten", never "none". */
static void test_outcome_window(void)
{
    struct err err = ERR_INIT;
    struct cluster *c = cluster_new_made_up(1, 5);
    conn *k = NULL;
    OK(conn_open(c->d[0], &k, &err));
    commit_as(k, 1, 1, false, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    uint32_t id = 0;
    char sql[80];
    for (uint64_t session = 2; session <= 2000; session++) {
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%u)", ++id);
        commit_as(k, session, 1, false, sql);
    }
    CU_ASSERT_EQUAL(rows_in(c->d[0]), 2000);
    snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%u)", ++id);
    commit_as(k, 5 + OUTCOME_SESSIONS, 1, false, sql);
    CU_ASSERT_EQUAL(ask(c->d[0], name_of(c->d[0], 5, 1)).kind, OUTCOME_COMMITTED);
    CU_ASSERT_EQUAL(ask(c->d[0], name_of(c->d[0], 5, 2)).kind, OUTCOME_NONE);
    CU_ASSERT_EQUAL(ask(c->d[0], name_of(c->d[0], 4, 2)).kind, OUTCOME_FORGOTTEN); /* its row may have gone */
    CU_ASSERT_EQUAL(ask(c->d[0], name_of(c->d[0], 5 + OUTCOME_SESSIONS, 1)).kind, OUTCOME_COMMITTED);
    snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%u)", ++id);
    commit_as(k, 1501 + OUTCOME_SESSIONS, 1, false, sql);
    CU_ASSERT_EQUAL(ask(c->d[0], name_of(c->d[0], 1500, 2)).kind, OUTCOME_FORGOTTEN);
    CU_ASSERT_EQUAL(ask(c->d[0], name_of(c->d[0], 1501, 1)).kind, OUTCOME_COMMITTED);
    for (int i = 0; i < 3; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%u)", ++id);
        commit_as(k, 1757 + OUTCOME_SESSIONS + (uint64_t)i, 1, false, sql);
    }
    CU_ASSERT(rows_in(c->d[0]) <= 2000 - 1500 + 5); /* a thousand go at once */
    conn_close(k);
    cluster_free(c);
}

/* What a run committed that has been silent for a day is forgotten where others commit. */
static void test_outcome_grows_old(void)
{
    struct err err = ERR_INIT;
    struct prng r;
    struct cluster *c = cluster_new_made_up(2, 6);
    conn *k[2];
    prng_seed(&r, 6);
    for (int i = 0; i < 2; i++)
        OK(conn_open(c->d[i], &k[i], &err));
    commit_as(k[0], 1, 1, false, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    cluster_exchange(c, &r);
    commit_as(k[1], 1, 1, false, "INSERT INTO t VALUES (1)");
    struct outcome_name first = name_of(c->d[0], 1, 1), other = name_of(c->d[0], 1, 2);
    CU_ASSERT_EQUAL(ask(c->d[1], first).kind, OUTCOME_COMMITTED);
    CU_ASSERT_EQUAL(ask(c->d[1], other).kind, OUTCOME_NONE);
    cluster_time_passes(c, (OUTCOME_KEPT_MS + 5000) * 1000);
    for (uint32_t i = 0; i < 4100; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%u)", i + 2);
        commit_as(k[1], 2, i + 1, false, sql);
    }
    CU_ASSERT_EQUAL(ask(c->d[1], first).kind, OUTCOME_FORGOTTEN);
    CU_ASSERT_EQUAL(ask(c->d[1], other).kind, OUTCOME_FORGOTTEN);
    CU_ASSERT_EQUAL(ask(c->d[1], name_of(c->d[1], 2, 4100)).kind, OUTCOME_COMMITTED);
    CU_ASSERT_EQUAL(rows_in(c->d[1]), 2);
    CU_ASSERT_EQUAL(ask(c->d[0], first).kind, OUTCOME_COMMITTED); /* nothing newer is known there */
    for (int i = 0; i < 2; i++)
        conn_close(k[i]);
    cluster_free(c);
}

const char *const unit_suite = "outcome";
const struct unit_test unit_tests[] = {
    {"follows the deltas", test_outcome_follows_the_deltas},
    {"survives a crash", test_outcome_survives_a_crash},
    {"window", test_outcome_window},
    {"grows old", test_outcome_grows_old},
    {NULL, NULL},
};
