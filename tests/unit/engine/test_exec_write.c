/* test_exec_write.c - INSERT, UPDATE and DELETE: constraints, conflicts, counters, and what a
 * statement sees of itself. */
#include "query_help.h"

static void test_exec_write_constraints_name_the_row(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER NOT NULL, b TEXT UNIQUE, c "
               "INTEGER DEFAULT 7 CHECK (c > 0))");
    run_sql(d, "INSERT INTO t(a, b) VALUES (1, 'x')");
    expect_error(d, "INSERT INTO t(a) VALUES (1), (NULL)", QUARTET_CONSTRAINT,
                 "NOT NULL constraint failed: t.a (row 2)", -2);
    expect_error(d, "INSERT INTO t(a, c) VALUES (1, 0)", QUARTET_CONSTRAINT,
                 "CHECK constraint failed: t.", -2);
    expect_error(d, "INSERT INTO t(a, b) VALUES (1, 'y'), (2, 'x')", QUARTET_CONSTRAINT, "x", -2);
    expect_error(d, "INSERT INTO t(a) VALUES ('many')", QUARTET_MISMATCH, "table t, row 1", -2);
    expect_error(d, "UPDATE t SET c = -1", QUARTET_CONSTRAINT, "CHECK", -2);
    expect_rows(d, "SELECT * FROM t", "1|1|x|7\n");     /* a statement that fails leaves nothing */
    run_sql(d, "INSERT INTO t(a, c) VALUES (2, NULL)"); /* a CHECK that is NULL passes */
    static const char *const changing[] = {"x < now()", "x <> random()", "x > date('now')", "x < CURRENT_TIMESTAMP", "x > strftime('%Y')", "1 < abs(random())"};
    for (size_t i = 0; i < sizeof changing / sizeof *changing; i++) {
        char sql[120];
        (void)snprintf(sql, sizeof sql, "CREATE TABLE never(x TEXT CHECK (%s))", changing[i]);
        expect_error(d, sql, QUARTET_ERROR, "cannot stand in a CHECK", -2);
    }
    run_sql(d, "CREATE TABLE day(x TEXT CHECK (date(x) = x AND strftime('%Y', x) > '2000'))");
    expect_error(d, "INSERT INTO day VALUES ('1999-01-01')", QUARTET_CONSTRAINT, "CHECK", -2);
    run_sql(d, "INSERT INTO day VALUES ('2024-02-29')");
    expect_rows(
        d, "INSERT OR IGNORE INTO t(a, b) VALUES (NULL, 'n'), (3, 'x'), (4, 'z') RETURNING a, b",
        "4|z\n");
    help_close(d);
}

static void test_exec_write_conflicts(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER UNIQUE, b TEXT)");
    run_sql(d, "INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two'), (3, 30, 'three')");
    run_sql(d, "INSERT OR REPLACE INTO t VALUES (1, 20, 'both')"); /* stands against two rows */
    expect_rows(d, "SELECT * FROM t", "1|20|both\n3|30|three\n");
    expect_rows(d,
                "INSERT INTO t VALUES (9, 30, 'new') ON CONFLICT (a) DO UPDATE SET b = t.b || "
                "excluded.b, id = 4 RETURNING *",
                "4|30|threenew\n");
    run_sql(d, "INSERT INTO t VALUES (4, 1, 'n') ON DUPLICATE KEY UPDATE b = VALUES(b), a = a + 1");
    expect_rows(d, "SELECT * FROM t", "1|20|both\n4|31|n\n");
    expect_error(d, "INSERT INTO t VALUES (4, 1, 'n') ON CONFLICT (a) DO NOTHING",
                 QUARTET_CONSTRAINT, "", -2);
    run_sql(d, "UPDATE OR IGNORE t SET a = 31 WHERE id = 1");
    run_sql(d, "UPDATE OR REPLACE t SET a = 31 WHERE id = 1");
    expect_rows(d, "SELECT * FROM t", "1|31|both\n");
    help_close(d);
}

static void test_exec_write_sees_the_state_before(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER)");
    run_sql(d, "INSERT INTO t SELECT value, value FROM generate_series(1, 3000)");
    run_sql(d, "INSERT INTO t SELECT id + 3000, n FROM t");
    run_sql(d, "UPDATE t SET id = id + 10000 WHERE id > 5000"); /* moved rows are not met again */
    run_sql(d, "UPDATE t SET n = (SELECT count(*) FROM t WHERE n = 1) WHERE id < 3");
    expect_rows(d, "SELECT count(*), max(id), min(id) FROM t", "6000|16000|1\n");
    expect_rows(d, "SELECT n FROM t WHERE id IN (1, 2, 3)", "2\n2\n3\n");
    help_close(d);
}

static void test_exec_write_from_and_using(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER)");
    run_sql(d, "CREATE TABLE u(t_id INTEGER, x INTEGER)");
    run_sql(d, "INSERT INTO t VALUES (1, 0), (2, 0), (3, 0)");
    run_sql(d, "INSERT INTO u VALUES (1, 5), (1, 6), (3, 7)");
    expect_rows(d, "UPDATE t SET n = u.x FROM u WHERE u.t_id = t.id RETURNING t.id, t.n = x",
                "1|1\n3|1\n");
    expect_rows(d, "DELETE FROM t USING u WHERE u.t_id = t.id AND t.id = 1 RETURNING id", "1\n");
    expect_rows(d, "UPDATE t SET n = 9 ORDER BY id DESC LIMIT 1 RETURNING id", "3\n");
    run_sql(d, "TRUNCATE TABLE t");
    expect_rows(d, "SELECT count(*) FROM t", "0\n");
    expect_rows(d, "SELECT count(*) FROM u", "3\n");
    help_close(d);
}

static void test_exec_write_counter(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER COUNTER)");
    run_sql(d, "INSERT INTO t VALUES (1, 10)");
    run_sql(d, "UPDATE t SET n = n + 5");
    run_sql(d, "UPDATE t SET n = 3 + n");
    run_sql(d, "UPDATE t SET n = n - 8");
    expect_rows(d, "UPDATE t SET n = n + id RETURNING n", "11\n");
    run_sql(d, "UPDATE t SET n = 7");
    expect_rows(d, "SELECT n FROM t", "7\n");
    run_sql(d, "INSERT INTO t VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = n + excluded.n");
    expect_rows(d, "SELECT n FROM t", "8\n");
    run_sql(d, "UPDATE t SET n = n + n");
    expect_rows(d, "SELECT n FROM t", "16\n");
    expect_error(d, "UPDATE t SET n = n + NULL", QUARTET_CONSTRAINT, "COUNTER", -2);
    help_close(d);
}

const char *const unit_suite = "exec_write";
const struct unit_test unit_tests[] = {
    {"test_exec_write_constraints_name_the_row", test_exec_write_constraints_name_the_row},
    {"test_exec_write_conflicts", test_exec_write_conflicts},
    {"test_exec_write_sees_the_state_before", test_exec_write_sees_the_state_before},
    {"test_exec_write_from_and_using", test_exec_write_from_and_using},
    {"test_exec_write_counter", test_exec_write_counter},
    {NULL, NULL},
};
