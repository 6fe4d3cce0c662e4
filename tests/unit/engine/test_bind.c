/* test_bind.c - names, scopes and the errors that say what is wrong and where. */
#include "query_help.h"

static void setup(db *d)
{
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, amount INTEGER)");
    run_sql(d, "CREATE TABLE u(id INTEGER, other TEXT)");
    run_sql(d, "INSERT INTO t VALUES (1, 'one', 10), (2, 'two', 20)");
    run_sql(d, "INSERT INTO u VALUES (1, 'uno'), (3, 'tres')");
}

static void test_bind_errors_name_what_there_is(void)
{
    db *d = help_memory();
    setup(d);
    expect_error(d, "SELECT nme FROM t", QUARTET_ERROR,
                 "no such column: nme; table t has id, name, amount. Did you mean name?", 7);
    expect_error(d, "SELECT x.id FROM t", QUARTET_ERROR, "no such column: x.id", 7);
    expect_error(d, "SELECT 1 FROM tt", QUARTET_ERROR, "no such table: tt", 14);
    expect_error(d, "SELECT id FROM t, u", QUARTET_ERROR, "ambiguous column name: id", 7);
    expect_error(d, "SELECT 1 FROM t WHERE sum(id) > 1", QUARTET_ERROR, "misuse of aggregate sum()",
                 22);
    expect_error(d, "SELECT sum(count(*)) FROM t", QUARTET_ERROR, "inside another aggregate", 11);
    expect_error(d, "SELECT 1 FROM t WHERE row_number() OVER () = 1", QUARTET_ERROR,
                 "misuse of window function", 22);
    expect_error(d, "SELECT nothing(1)", QUARTET_ERROR, "nothing", 7);
    expect_error(d, "SELECT (SELECT 1, 2)", QUARTET_ERROR, "returns 2 columns, 1 expected", -2);
    expect_error(d, "SELECT 1 IN (SELECT 1, 2)", QUARTET_ERROR, "returns 2 columns, 1 expected",
                 -2);
    expect_error(d, "SELECT 1 UNION SELECT 1, 2", QUARTET_ERROR, "1 and 2 result columns", -2);
    expect_error(d, "SELECT id FROM t ORDER BY 2", QUARTET_ERROR, "ORDER BY position 2", 26);
    expect_error(d, "SELECT id FROM t GROUP BY 2", QUARTET_ERROR, "GROUP BY position 2", 26);
    expect_error(d, "SELECT * FROM t JOIN u USING (name)", QUARTET_ERROR,
                 "cannot join using column name", 30);
    expect_error(d, "INSERT INTO t(id, id) VALUES (1, 1)", QUARTET_ERROR, "named twice", 18);
    expect_error(d, "INSERT INTO t VALUES (1)", QUARTET_ERROR,
                 "takes 3 values here, 1 were given in row 1", -2);
    expect_error(d, "UPDATE t SET nope = 1", QUARTET_ERROR,
                 "no such column: nope; table t has id, name, amount", 13);
    expect_error(d, "INSERT INTO t VALUES (1, 'x', 1) ON CONFLICT (name) DO NOTHING", QUARTET_ERROR,
                 "no PRIMARY KEY or UNIQUE", -2);
    expect_error(d, "DELETE FROM quartet_objects", QUARTET_READONLY, "read-only", -2);
    expect_error(d, "WITH a AS (SELECT * FROM a) SELECT * FROM a", QUARTET_ERROR,
                 "no such table: a", 25);
    help_close(d);
}

static void test_bind_scopes_and_aliases(void)
{
    db *d = help_memory();
    setup(d);
    expect_rows(d, "SELECT amount AS a FROM t WHERE a > 10", "20\n");
    expect_rows(d, "SELECT -id AS name FROM t ORDER BY name", "-2\n-1\n");
    expect_rows(d, "SELECT x.* FROM t AS x JOIN u ON x.id = u.id", "1|one|10\n");
    expect_rows(d, "SELECT * FROM t JOIN u USING (id)", "1|one|10|uno\n");
    expect_rows(d, "SELECT id, t.id, u.id FROM t FULL JOIN u USING (id) ORDER BY 1",
                "1|1|1\n2|2|NULL\n3|NULL|3\n");
    expect_rows(d, "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id)", "1\n");
    expect_rows(d, "SELECT (SELECT (SELECT t.id + u.id)) FROM t, u WHERE t.id = 2 ORDER BY 1",
                "3\n5\n");
    expect_rows(d, "SELECT n FROM (SELECT id * 10 AS n FROM t) AS s(n) ORDER BY n", "10\n20\n");
    expect_rows(d, "SELECT max(amount), name FROM t", "20|two\n");
    expect_rows(d, "SELECT x.n FROM t, LATERAL (SELECT t.id + 100 AS n) AS x ORDER BY 1",
                "101\n102\n");
    expect_rows(d,
                "WITH a(n) AS (SELECT id FROM t), b AS (SELECT n + 1 AS m FROM a) SELECT a.n, b.m "
                "FROM a, b WHERE b.m = a.n",
                "2|2\n");
    help_close(d);
}

const char *const unit_suite = "bind";
const struct unit_test unit_tests[] = {
    {"test_bind_errors_name_what_there_is", test_bind_errors_name_what_there_is},
    {"test_bind_scopes_and_aliases", test_bind_scopes_and_aliases},
    {NULL, NULL},
};
