/* test_txn_behind.c - large transactions whose rows a thread merges (kv_behind.c calls pthread_create), against the same ones merged by their committer: the same state
 * hash after each, whatever the tables are; and a thread that fails leaves no trace. */
#include "db_help.h"

#include <stdatomic.h>

#include "base/prng.h"
#include "engine/conn.h"
#include "fault/fault_env.h"

const char *const unit_suite = "txn_behind";

#define IDS_MAX 4000u

struct side {
    struct fault_env f;
    db *d;
    conn *c;
};

static quartet_status run(conn *c, const char *sql, struct err *err)
{
    conn_stmt *st = NULL;
    size_t consumed = 0;
    struct batch rows;
    quartet_status rc = conn_prepare(c, sql, strlen(sql), &st, &consumed, err);
    while (rc == QUARTET_OK && (rc = conn_step(st, &rows, err)) == QUARTET_OK && rows.n > 0)
        continue;
    conn_finalize(st);
    return rc;
}

static void both(struct side *two, const char *sql)
{
    struct err err[2] = {ERR_INIT, ERR_INIT};
    quartet_status rc[2];
    for (int i = 0; i < 2; i++)
        rc[i] = run(two[i].c, sql, &err[i]);
    if (rc[0] != rc[1] || (rc[0] != QUARTET_OK && rc[0] != QUARTET_CONSTRAINT)) {
        printf("%s: %d %s, %d %s\n", sql, rc[0], err[0].text, rc[1], err[1].text);
        CU_FAIL("the two differ, or the statement is wrong");
    }
}

/* Rows of one table, some hundreds at once. */
static void random_write(struct side *two, struct prng *r)
{
    static const char *const inserts[] = {
        "INSERT OR IGNORE INTO plain SELECT i, i % 7, hex(zeroblob(30 + i % 5)), NULL FROM",
        "INSERT OR IGNORE INTO claims SELECT i, i * 3 % 5000, (SELECT min(id) FROM plain) FROM",
        "INSERT OR IGNORE INTO kinds SELECT i, i, i % 100, '[1]', i FROM",
        "INSERT OR IGNORE INTO wins SELECT i, i, hex(zeroblob(20)) FROM",
        "INSERT INTO hidden SELECT i, hex(zeroblob(25)) FROM",
    };
    static const char *const updates[] = {
        "UPDATE plain SET a = a + 1, b = hex(zeroblob(10)) WHERE",    "UPDATE OR IGNORE claims SET v = v + 5000 WHERE",
        "UPDATE kinds SET n = n + 2, high = max(high, 60) WHERE",     "UPDATE kinds SET tags = set_add(tags, 3), low = low + 1 WHERE",
        "UPDATE wins SET a = a + 1 WHERE",
    };
    static const char *const tables[] = {"plain", "claims", "kinds", "wins"};
    char sql[400];
    unsigned from = (unsigned)prng_below(r, IDS_MAX), n = 100 + (unsigned)prng_below(r, 1000);
    switch (prng_below(r, 4)) {
    case 0:
    case 1:
        snprintf(sql, sizeof sql, "%s (WITH RECURSIVE c(i) AS (SELECT %u UNION ALL SELECT i + 1 FROM c WHERE i < %u) SELECT i FROM c) AS s", inserts[prng_below(r, 5)], from,
                 from + n);
        break;
    case 2:
        snprintf(sql, sizeof sql, "%s id BETWEEN %u AND %u", updates[prng_below(r, 5)], from, from + n);
        break;
    default:
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE id BETWEEN %u AND %u", tables[prng_below(r, 4)], from, from + n / 4);
    }
    both(two, sql);
}

static void same_hashes(struct side *two, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct state_hash hash[2];
    struct buf at = {0};
    for (int i = 0; i < 2; i++) {
        buf_clear(&at);
        OK(db_state_hash(two[i].d, &hash[i], &at, &err));
    }
    buf_deinit(&at);
    if (memcmp(&hash[0], &hash[1], sizeof hash[0]) != 0) {
        printf("seed %llu\n", (unsigned long long)seed);
        CU_FAIL_FATAL("the thread merged something else");
    }
}

static void test_txn_behind_merges_what_the_committer_would(void)
{
    struct side two[2];
    struct prng r;
    struct err err = ERR_INIT;
    uint64_t seed = unit_seed(5);
    prng_seed(&r, seed);
    for (int i = 0; i < 2; i++) {
        fault_env_init(&two[i].f, seed);
        two[i].f.env.threads = i == 1;
        struct db_options o = {.in_memory = true, .sync = LOG_SYNC_OFF};
        OK(db_open(&two[i].f.env, ":memory:", &o, &two[i].d, &err));
        OK(conn_open(two[i].d, &two[i].c, &err));
    }
    both(two, "CREATE TABLE plain (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c REAL)");
    both(two, "CREATE INDEX plain_a ON plain (a, id)");
    both(two, "CREATE TABLE claims (id INTEGER PRIMARY KEY, v INTEGER UNIQUE, parent INTEGER REFERENCES plain)");
    both(two, "CREATE TABLE kinds (id INTEGER PRIMARY KEY, n INTEGER COUNTER, high INTEGER MAXIMUM, tags INTEGER SET, low INTEGER)");
    both(two, "CREATE TABLE wins (id INTEGER PRIMARY KEY, a INTEGER, b TEXT) UPDATES WIN");
    both(two, "CREATE TABLE hidden (id INTEGER, b TEXT)");
    for (int round = 0; round < 5 && CU_get_number_of_failures() == 0; round++) {
        both(two, "BEGIN");
        for (int i = 0; i < 8; i++)
            random_write(two, &r);
        if (round == 2)
            both(two, "CREATE INDEX claims_parent ON claims (parent)");
        both(two, round % 5 == 4 ? "ROLLBACK" : "COMMIT");
        same_hashes(two, seed);
    }
    both(two, "UPDATE plain SET c = id"); /* larger than what is handed over at a time, in one statement */
    same_hashes(two, seed);
    for (int i = 0; i < 2; i++) {
        conn_close(two[i].c);
        OK(db_close(two[i].d, &err));
        fault_env_deinit(&two[i].f);
    }
}

static int64_t rows_of_t(conn *c)
{
    struct err err = ERR_INIT;
    static const char sql[] = "SELECT count(*) FROM t";
    conn_stmt *st = NULL;
    size_t consumed = 0;
    struct batch rows;
    OK(conn_prepare(c, sql, strlen(sql), &st, &consumed, &err));
    OK(conn_step(st, &rows, &err));
    CU_ASSERT_EQUAL_FATAL(rows.n, 1);
    struct value v = vec_get(&rows.cols[0], batch_row(&rows, 0));
    conn_finalize(st);
    return v.i;
}

static atomic_bool full;
static atomic_uint refused;

static quartet_status full_pwrite(struct file *f, const void *p, size_t n, uint64_t offset, struct err *err)
{
    if (atomic_load(&full)) {
        atomic_fetch_add(&refused, 1u);
        return err_set(err, QUARTET_FULL, "no room, says the test");
    }
    return env_posix()->ops->pwrite(f, p, n, offset, err);
}

/* Merging needs files for a transaction that is too large for memory, and they cannot be written: COMMIT says so, nothing of it is there, and the next one is taken. */
static void test_txn_behind_failure_leaves_no_trace(void)
{
    static const char fill[] = "INSERT INTO t SELECT i, hex(zeroblob(100)) FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 8000) "
                               "SELECT i FROM c) AS s";
    char dir[] = "/tmp/quartet_behind_XXXXXX", remove[100];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    struct env env = *env_posix();
    struct env_ops ops = *env.ops;
    struct err err = ERR_INIT;
    struct db_options o = {.buffer_bytes = 64 << 10, .sync = LOG_SYNC_OFF};
    db *d;
    conn *c;
    ops.pwrite = full_pwrite;
    env.ops = &ops;
    OK(db_open(&env, dir, &o, &d, &err));
    OK(conn_open(d, &c, &err));
    OK(run(c, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)", &err));
    OK(run(c, "INSERT INTO t VALUES (0, 'first')", &err));
    OK(run(c, "BEGIN", &err));
    OK(run(c, fill, &err));
    OK(run(c, "SELECT count(*) FROM t", &err)); /* its own writes are on disk before it is full */
    atomic_store(&full, true);
    CU_ASSERT_EQUAL(run(c, "COMMIT", &err), QUARTET_FULL);
    atomic_store(&full, false);
    CU_ASSERT_TRUE(atomic_load(&refused) > 0);
    err_clear(&err);
    CU_ASSERT_EQUAL(rows_of_t(c), 1);
    OK(run(c, fill, &err));
    CU_ASSERT_EQUAL(rows_of_t(c), 8001);
    conn_close(c);
    OK(db_close(d, &err));
    OK(db_open(&env, dir, &o, &d, &err));
    OK(conn_open(d, &c, &err));
    CU_ASSERT_EQUAL(rows_of_t(c), 8001);
    conn_close(c);
    OK(db_close(d, &err));
    snprintf(remove, sizeof remove, "rm -rf %s", dir);
    CU_ASSERT_EQUAL(system(remove), 0);
}

const struct unit_test unit_tests[] = {
    {"merges what the committer would", test_txn_behind_merges_what_the_committer_would},
    {"a failure leaves no trace", test_txn_behind_failure_leaves_no_trace},
    {NULL, NULL},
};
