/* test_conn.c - connections: transactions that are overtaken and run again, or failed where their results would differ; statement atomicity. */
#include <stdio.h>
#include <string.h>

#include "engine/conn.h"
#include "unit/cunit.h"

struct pair {
    db *d;
    conn *a, *b;
};

static void open_pair(struct pair *p)
{
    struct err err = ERR_INIT;
    struct db_options o = {.in_memory = true};
    CU_ASSERT_EQUAL_FATAL(db_open(env_posix(), ":memory:", &o, &p->d, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(conn_open(p->d, &p->a, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(conn_open(p->d, &p->b, &err), QUARTET_OK);
}

static void close_pair(struct pair *p)
{
    struct err err = ERR_INIT;
    conn_close(p->a);
    conn_close(p->b);
    CU_ASSERT_EQUAL(db_close(p->d, &err), QUARTET_OK);
}

/* Run one statement; *first gets the first value of the first row (0: none). */
static quartet_status run(conn *c, const char *sql, int64_t *first)
{
    struct err err = ERR_INIT;
    conn_stmt *s = NULL;
    size_t consumed = 0;
    struct batch rows;
    quartet_status rc = conn_prepare(c, sql, strlen(sql), &s, &consumed, &err);
    if (first != NULL)
        *first = 0;
    for (bool any = false; rc == QUARTET_OK && (rc = conn_step(s, &rows, &err)) == QUARTET_OK && rows.n > 0; any = true)
        if (!any && first != NULL)
            *first = vec_get(&rows.cols[0], 0).i;
    conn_finalize(s);
    return rc;
}

#define RUN(c, sql) CU_ASSERT_EQUAL(run(c, sql, NULL), QUARTET_OK)

static int64_t ask(conn *c, const char *sql)
{
    int64_t v = 0;
    CU_ASSERT_EQUAL(run(c, sql, &v), QUARTET_OK);
    return v;
}

static void test_overtaken_transaction_runs_again(void)
{
    struct pair p;
    open_pair(&p);
    RUN(p.a, "CREATE TABLE cnt (id INTEGER PRIMARY KEY, n INTEGER COUNTER DEFAULT 0, m INTEGER DEFAULT 0)");
    RUN(p.a, "CREATE TABLE journal (who TEXT, k INTEGER, PRIMARY KEY (who, k))");
    RUN(p.a, "INSERT INTO cnt (id) VALUES (1)");
    for (int k = 0; k < 5; k++) {
        RUN(p.a, "BEGIN");
        CU_ASSERT_EQUAL(ask(p.a, k == 0 ? "INSERT INTO journal VALUES ('a', 1) RETURNING k" : "UPDATE journal SET k = k + 1 WHERE who = 'a' RETURNING k"), k + 1);
        RUN(p.a, "SAVEPOINT s");
        RUN(p.a, "UPDATE cnt SET n = n + 1000");
        RUN(p.a, "ROLLBACK TO s");
        RUN(p.a, "UPDATE cnt SET n = n + 1, m = m + 1 WHERE id = 1");
        CU_ASSERT_EQUAL(run(p.a, "INSERT INTO cnt (id) VALUES (1)", NULL), QUARTET_CONSTRAINT); /* an error is a result, too */
        RUN(p.b, "UPDATE cnt SET n = n + 10, m = m + 10 WHERE id = 1");
        CU_ASSERT_EQUAL(run(p.a, "COMMIT", NULL), QUARTET_OK);
    }
    CU_ASSERT_EQUAL(ask(p.b, "SELECT n FROM cnt"), 55);
    CU_ASSERT_EQUAL(ask(p.b, "SELECT m FROM cnt"), 55); /* no lost update either: m was read again */
    CU_ASSERT_EQUAL(ask(p.b, "SELECT k FROM journal"), 5);
    CU_ASSERT_FALSE(conn_in_transaction(p.a));
    close_pair(&p);
}

static void test_overtaken_transaction_fails_where_results_differ(void)
{
    static const char *const reads[] = {"SELECT m FROM t WHERE id = 1", "SELECT count(*) FROM t", "UPDATE t SET m = m + 1 RETURNING m",
                                        "DELETE FROM t WHERE m = 0", "INSERT INTO t (id) VALUES (2)"};
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        struct pair p;
        open_pair(&p);
        RUN(p.a, "CREATE TABLE t (id INTEGER PRIMARY KEY, m INTEGER DEFAULT 0)");
        RUN(p.a, "CREATE TABLE w (x INTEGER)");
        RUN(p.a, "INSERT INTO t (id) VALUES (1)");
        RUN(p.a, "BEGIN");
        RUN(p.a, reads[i]);
        RUN(p.a, "INSERT INTO w VALUES (1)");
        RUN(p.b, "UPDATE t SET m = 5");
        RUN(p.b, "INSERT INTO t VALUES (2, 5)");
        CU_ASSERT_EQUAL(run(p.a, "COMMIT", NULL), QUARTET_SERIALIZATION);
        CU_ASSERT_FALSE(conn_in_transaction(p.a));
        CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM w"), 0);
        close_pair(&p);
    }
}

static void test_random_and_now_keep_their_values(void)
{
    struct pair p;
    open_pair(&p);
    RUN(p.a, "CREATE TABLE r (id INTEGER PRIMARY KEY, v INTEGER, u TEXT, at TEXT)");
    RUN(p.a, "CREATE TABLE cnt (id INTEGER PRIMARY KEY, n INTEGER DEFAULT 0)");
    RUN(p.a, "INSERT INTO cnt (id) VALUES (1)");
    RUN(p.a, "BEGIN");
    int64_t drawn = ask(p.a, "INSERT INTO r VALUES (1, random(), uuid(), now()) RETURNING v");
    int64_t again = ask(p.a, "SELECT random()");
    RUN(p.a, "UPDATE cnt SET n = n + 1");
    RUN(p.b, "UPDATE cnt SET n = n + 1");
    CU_ASSERT_EQUAL(run(p.a, "COMMIT", NULL), QUARTET_OK);
    CU_ASSERT_EQUAL(ask(p.b, "SELECT v FROM r"), drawn);
    CU_ASSERT_NOT_EQUAL(drawn, again);
    CU_ASSERT_EQUAL(ask(p.b, "SELECT n FROM cnt"), 2);
    close_pair(&p);
}

static void test_read_half_way_counts_as_far_as_it_was_read(void)
{
    struct pair p;
    struct err err = ERR_INIT;
    conn_stmt *s = NULL;
    size_t consumed = 0;
    struct batch rows;
    open_pair(&p);
    RUN(p.a, "CREATE TABLE t (id INTEGER PRIMARY KEY, m INTEGER)");
    RUN(p.a, "CREATE TABLE w (x INTEGER)");
    RUN(p.a, "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5000) SELECT x, x FROM c");
    RUN(p.a, "BEGIN");
    const char *sql = "SELECT m FROM t ORDER BY id";
    CU_ASSERT_EQUAL_FATAL(conn_prepare(p.a, sql, strlen(sql), &s, &consumed, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(conn_step(s, &rows, &err), QUARTET_OK);
    CU_ASSERT(rows.n > 0 && rows.n < 5000);
    RUN(p.a, "INSERT INTO w VALUES (1)");
    RUN(p.b, "UPDATE t SET m = -1 WHERE id = 5000"); /* beyond what was given out */
    CU_ASSERT_EQUAL(run(p.a, "COMMIT", NULL), QUARTET_OK);
    conn_finalize(s);
    CU_ASSERT_EQUAL(ask(p.b, "SELECT count(*) FROM w"), 1);
    close_pair(&p);
}

static void test_failed_statement_is_undone_alone(void)
{
    struct pair p;
    open_pair(&p);
    RUN(p.a, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    RUN(p.a, "BEGIN");
    RUN(p.a, "INSERT INTO t VALUES (1)");
    CU_ASSERT_EQUAL(run(p.a, "INSERT INTO t VALUES (2), (3), (1)", NULL), QUARTET_CONSTRAINT);
    CU_ASSERT(conn_in_transaction(p.a));
    RUN(p.a, "COMMIT");
    CU_ASSERT_EQUAL(ask(p.b, "SELECT count(*) FROM t"), 1);
    close_pair(&p);
}

/* The table and its rows are one statement: both or neither, in a transaction that goes on. */
static void test_create_table_as(void)
{
    struct pair p;
    open_pair(&p);
    RUN(p.a, "CREATE TABLE t (id INTEGER PRIMARY KEY, x VARCHAR(10))");
    RUN(p.a, "INSERT INTO t VALUES (1, '5'), (2, 'z'), (3, NULL)");
    RUN(p.a, "CREATE TABLE u AS SELECT id, x, id + 1 AS n, id FROM t");
    CU_ASSERT_EQUAL(ask(p.b, "SELECT sum(n) FROM u WHERE \"id:1\" = id"), 9);
    RUN(p.a, "CREATE TABLE IF NOT EXISTS u AS SELECT 1");
    CU_ASSERT_EQUAL(ask(p.b, "SELECT count(*) FROM u"), 3);
    RUN(p.a, "CREATE TABLE w AS SELECT * FROM t WITH NO DATA");
    CU_ASSERT_EQUAL(ask(p.b, "SELECT count(*) FROM w"), 0);
    RUN(p.a, "BEGIN");
    RUN(p.a, "INSERT INTO t(id) VALUES (4)");
    CU_ASSERT_EQUAL(run(p.a, "CREATE TABLE v(a INTEGER) AS SELECT x FROM t", NULL), QUARTET_MISMATCH); /* 'z' is no INTEGER */
    CU_ASSERT_EQUAL(run(p.a, "SELECT * FROM v", NULL), QUARTET_ERROR);
    RUN(p.a, "COMMIT");
    CU_ASSERT_EQUAL(ask(p.b, "SELECT count(*) FROM t"), 4);
    close_pair(&p);
}

/* A load asks for the table's greatest key and looks up nothing above it: what is there must still be met, dead rows too, and what another transaction adds. */
static void test_load_meets_what_is_there(void)
{
    struct pair p;
    char sql[128];
    open_pair(&p);
    RUN(p.a, "CREATE TABLE t (id INTEGER PRIMARY KEY, m INTEGER)");
    RUN(p.a, "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 40) SELECT x * 10, 1 FROM c");
    RUN(p.a, "DELETE FROM t WHERE id >= 390");
    RUN(p.a, "BEGIN");
    for (int i = 0; i < 3000; i++) { /* too many to be run again */
        (void)snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, 2)", 10000 + i * 7 % 3000);
        CU_ASSERT_EQUAL(run(p.a, sql, NULL), QUARTET_OK);
    }
    CU_ASSERT_EQUAL(run(p.a, "INSERT INTO t VALUES (380, 2)", NULL), QUARTET_CONSTRAINT);
    CU_ASSERT_EQUAL(run(p.a, "INSERT INTO t VALUES (10, 2)", NULL), QUARTET_CONSTRAINT);
    CU_ASSERT_EQUAL(run(p.a, "INSERT INTO t VALUES (10001, 2)", NULL), QUARTET_CONSTRAINT);
    RUN(p.a, "INSERT INTO t VALUES (390, 2), (385, 2), (401, 2)");
    RUN(p.b, "INSERT INTO t VALUES (500, 3)");
    RUN(p.a, "COMMIT");
    CU_ASSERT_EQUAL(ask(p.b, "SELECT count(*) FROM t"), 3042);
    RUN(p.a, "BEGIN");
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, 2)", 20000 + i);
        CU_ASSERT_EQUAL(run(p.a, sql, NULL), QUARTET_OK);
    }
    RUN(p.b, "INSERT INTO t VALUES (20007, 3)"); /* the key that was not there when it was looked for */
    CU_ASSERT_EQUAL(run(p.a, "COMMIT", NULL), QUARTET_SERIALIZATION);
    CU_ASSERT_EQUAL(ask(p.b, "SELECT count(*) FROM t"), 3043);
    close_pair(&p);
}

const char *const unit_suite = "conn";
const struct unit_test unit_tests[] = {
    {"overtaken transaction runs again", test_overtaken_transaction_runs_again},
    {"overtaken transaction fails where results differ", test_overtaken_transaction_fails_where_results_differ},
    {"random and now keep their values", test_random_and_now_keep_their_values},
    {"read half way", test_read_half_way_counts_as_far_as_it_was_read},
    {"failed statement", test_failed_statement_is_undone_alone},
    {"create table as", test_create_table_as},
    {"load meets what is there", test_load_meets_what_is_there},
    {NULL, NULL},
};
