/* test_temp.c - temporary tables and views: a session's own, in its transactions, seen by nobody else. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
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

static void fails(conn *c, const char *sql, const char *part)
{
    struct err err = ERR_INIT;
    conn_stmt *s = NULL;
    size_t consumed = 0;
    struct batch rows;
    quartet_status rc = conn_prepare(c, sql, strlen(sql), &s, &consumed, &err);
    if (rc == QUARTET_OK)
        rc = conn_step(s, &rows, &err);
    conn_finalize(s);
    CU_ASSERT_NOT_EQUAL(rc, QUARTET_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, part));
    if (strstr(err.text, part) == NULL)
        printf("\n%s\n  want: %s\n  got:  %s\n", sql, part, err.text);
}

static void test_temp_is_the_sessions_own(void)
{
    struct pair p;
    open_pair(&p);
    RUN(p.a, "CREATE TABLE x (id INTEGER PRIMARY KEY, v INTEGER)");
    RUN(p.a, "INSERT INTO x VALUES (1, 100)");
    RUN(p.a, "CREATE VIEW w AS SELECT v FROM x");
    RUN(p.a, "CREATE TEMPORARY TABLE x (v INTEGER UNIQUE)");
    RUN(p.a, "INSERT INTO x VALUES (7)");
    RUN(p.b, "CREATE TEMP TABLE x (v INTEGER)");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT v FROM x"), 7);
    CU_ASSERT_EQUAL(ask(p.a, "SELECT v FROM temp.x"), 7);
    CU_ASSERT_EQUAL(ask(p.a, "SELECT v FROM main.x"), 100);
    CU_ASSERT_EQUAL(ask(p.a, "SELECT v FROM w"), 100); /* what is for all never names it */
    CU_ASSERT_EQUAL(ask(p.b, "SELECT count(*) FROM x"), 0);
    CU_ASSERT_EQUAL(ask(p.a, "SELECT t.v + m.v FROM x t, main.x m"), 107);
    CU_ASSERT_EQUAL(run(p.a, "INSERT INTO x VALUES (7)", NULL), QUARTET_CONSTRAINT);
    RUN(p.b, "DROP TABLE x");
    CU_ASSERT_EQUAL(ask(p.b, "SELECT v FROM x"), 100);
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM information_schema.tables WHERE table_name = 'x' AND table_schema = 'temp' AND table_type = 'LOCAL TEMPORARY'"), 1);
    CU_ASSERT_EQUAL(ask(p.b, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'temp'"), 0);
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM quartet_objects"), 2);
    fails(p.b, "SELECT v FROM temp.x", "no such table");
    close_pair(&p);
}

static void test_temp_in_transactions(void)
{
    struct pair p;
    open_pair(&p);
    RUN(p.a, "CREATE TABLE m (id INTEGER PRIMARY KEY)");
    RUN(p.a, "BEGIN");
    RUN(p.a, "CREATE TEMP TABLE t (id INTEGER PRIMARY KEY, k INTEGER)");
    RUN(p.a, "INSERT INTO t VALUES (1, 1)");
    RUN(p.a, "INSERT INTO m VALUES (1)");
    CU_ASSERT_EQUAL(run(p.a, "INSERT INTO t VALUES (2, 2), (1, 2)", NULL), QUARTET_CONSTRAINT); /* the statement alone is undone */
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM t"), 1);
    RUN(p.a, "SAVEPOINT s");
    RUN(p.a, "INSERT INTO t SELECT id + 1, 5 FROM m");
    RUN(p.a, "INSERT INTO m SELECT id + 1 FROM t");
    RUN(p.a, "CREATE TEMP TABLE u AS SELECT * FROM t");
    RUN(p.a, "ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 3");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT sum(n) FROM t"), 6);
    RUN(p.a, "ROLLBACK TO s");
    fails(p.a, "SELECT n FROM t", "no such column");
    fails(p.a, "SELECT * FROM u", "no such table");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM t"), 1);
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM m"), 1);
    RUN(p.a, "COMMIT");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT id FROM t"), 1);
    RUN(p.a, "BEGIN");
    RUN(p.a, "DELETE FROM t");
    RUN(p.a, "DROP TABLE t");
    RUN(p.a, "ROLLBACK");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT id FROM t"), 1);
    RUN(p.a, "BEGIN");
    RUN(p.a, "CREATE TEMP TABLE gone (x)");
    RUN(p.a, "ROLLBACK");
    fails(p.a, "SELECT * FROM gone", "no such table");
    close_pair(&p);
}

/* A transaction that was overtaken runs again, and its writes to temporary tables count once. */
static void test_temp_in_an_overtaken_transaction(void)
{
    struct pair p;
    open_pair(&p);
    RUN(p.a, "CREATE TABLE m (id INTEGER PRIMARY KEY, n INTEGER)");
    RUN(p.a, "INSERT INTO m VALUES (1, 0)");
    RUN(p.a, "CREATE TEMP TABLE t (k INTEGER)");
    RUN(p.a, "BEGIN");
    RUN(p.a, "INSERT INTO t VALUES (1)");
    RUN(p.a, "CREATE TEMP TABLE u (k INTEGER)");
    RUN(p.a, "INSERT INTO u SELECT k FROM t");
    RUN(p.a, "UPDATE m SET n = n + (SELECT sum(k) FROM t)");
    RUN(p.b, "UPDATE m SET n = n + 10");
    RUN(p.a, "COMMIT");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT n FROM m"), 11);
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM t"), 1);
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM u"), 1);
    RUN(p.a, "BEGIN");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT n FROM m"), 11); /* a result that will differ */
    RUN(p.a, "INSERT INTO t VALUES (2)");
    RUN(p.a, "UPDATE m SET n = n + 1");
    RUN(p.b, "UPDATE m SET n = n + 10");
    CU_ASSERT_EQUAL(run(p.a, "COMMIT", NULL), QUARTET_SERIALIZATION);
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM t"), 1);
    close_pair(&p);
}

static void test_temp_definitions(void)
{
    struct pair p;
    open_pair(&p);
    RUN(p.a, "CREATE TABLE m (id INTEGER PRIMARY KEY, n INTEGER)");
    RUN(p.a, "CREATE TEMP TABLE t (id INTEGER PRIMARY KEY, k INTEGER, body TEXT MULTIVALUE)");
    RUN(p.a, "INSERT INTO t (k) VALUES (30), (10), (20)");
    RUN(p.a, "CREATE INDEX ti ON t (k)");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT id FROM t WHERE k > 10 ORDER BY k LIMIT 1"), 3);
    RUN(p.a, "UPDATE t SET k = k + 100, body = 'b' WHERE k = 10");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM t WHERE k = 110 AND siblings(body) = '[\"b\"]'"), 1);
    RUN(p.a, "CREATE TEMP VIEW tv AS SELECT t.k, m.n FROM t LEFT JOIN m USING (id)");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM tv"), 3);
    RUN(p.a, "DROP VIEW tv");
    RUN(p.a, "DROP INDEX ti");
    RUN(p.a, "COMMENT ON COLUMN t.k IS 'ten'");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM information_schema.columns WHERE column_comment = 'ten'"), 1);
    RUN(p.a, "CREATE TEMP TABLE l (LIKE m)");
    RUN(p.a, "INSERT INTO l VALUES (1, 2)");
    RUN(p.a, "ANALYZE");
    RUN(p.a, "TRUNCATE t");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM t"), 0);
    fails(p.a, "CREATE TEMP TABLE t (x)", "already exists");
    RUN(p.a, "CREATE TEMP TABLE IF NOT EXISTS t AS SELECT 1");
    CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM t"), 0);
    fails(p.a, "CREATE TEMP TABLE f (x REFERENCES m)", "no foreign keys");
    fails(p.a, "ALTER TABLE t ADD FOREIGN KEY (k) REFERENCES m", "not there");
    fails(p.a, "CREATE VIEW v AS SELECT * FROM t", "no such table: t");
    fails(p.a, "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END", "no triggers");
    fails(p.a, "CREATE TRIGGER g AFTER INSERT ON m BEGIN INSERT INTO t (k) VALUES (1); END", "no such table: t");
    fails(p.a, "SELECT * FROM t AS OF '2020-01-01'", "no history");
    fails(p.a, "BACKTRACK TABLE t TO '2020-01-01'", "no history");
    fails(p.a, "DROP TABLE t, m", "drop them one by one");
    RUN(p.a, "DROP TABLE t, l");
    fails(p.a, "SELECT * FROM t", "no such table");
    close_pair(&p);
}

/* A read that streams goes on while the session's other statements write, and sees none of that. */
static void test_temp_read_while_written(void)
{
    struct pair p;
    struct err err = ERR_INIT;
    struct batch rows;
    conn_stmt *s = NULL;
    size_t consumed;
    int64_t n = 0;
    open_pair(&p);
    RUN(p.a, "CREATE TEMP TABLE t AS SELECT value AS k FROM generate_series(1, 5000)");
    CU_ASSERT_EQUAL_FATAL(conn_prepare(p.a, "SELECT k FROM t", 15, &s, &consumed, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(conn_step(s, &rows, &err), QUARTET_OK);
    n += rows.n;
    RUN(p.a, "DELETE FROM t");
    RUN(p.a, "DROP TABLE t");
    while (conn_step(s, &rows, &err) == QUARTET_OK && rows.n > 0)
        n += rows.n;
    CU_ASSERT_EQUAL(n, 5000);
    CU_ASSERT_NOT_EQUAL(conn_step(s, &rows, &err), QUARTET_OK); /* now it is gone */
    conn_finalize(s);
    close_pair(&p);
}

/* Whatever allocation fails, the statement fails as a whole or is done, and the session goes on. */
static void test_temp_without_memory(void)
{
    static const char *const statements[] = {"CREATE TEMP TABLE t (id INTEGER PRIMARY KEY, k INTEGER)", "INSERT INTO t (k) VALUES (1), (2)", "CREATE INDEX ti ON t (k)", "SELECT k FROM t WHERE k = 2"};
    for (uint64_t n = 1, hits = 1; hits > 0; n += 1 + n / 16) {
        struct pair p;
        open_pair(&p);
        RUN(p.a, "CREATE TABLE m (id INTEGER)");
        hits = 0;
        for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
            mem_fail_at(n, false);
            quartet_status rc = run(p.a, statements[i], NULL);
            hits += mem_fail_hits();
            mem_fail_at(0, false);
            CU_ASSERT(rc == QUARTET_OK || rc == QUARTET_NOMEM);
            if (rc != QUARTET_OK)
                RUN(p.a, statements[i]);
        }
        CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM t"), 2);
        CU_ASSERT_EQUAL(ask(p.a, "SELECT count(*) FROM m"), 0);
        close_pair(&p);
    }
}

const char *const unit_suite = "temp";
const struct unit_test unit_tests[] = {
    {"is_the_sessions_own", test_temp_is_the_sessions_own},
    {"in_transactions", test_temp_in_transactions},
    {"in_an_overtaken_transaction", test_temp_in_an_overtaken_transaction},
    {"definitions", test_temp_definitions},
    {"read_while_written", test_temp_read_while_written},
    {"without_memory", test_temp_without_memory},
    {NULL, NULL},
};
