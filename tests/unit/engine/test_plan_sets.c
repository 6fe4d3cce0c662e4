/* test_plan_sets.c - IN as a bound of a key: lists, rows, queries, together with equalities and intervals; order, duplicates, NULLs, types, and too many rows. */
#include "query_help.h"

const char *const unit_suite = "plan_sets";

static db *tables(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b TEXT COLLATE NOCASE, c DECIMAL(8,2))");
    run_sql(d, "INSERT INTO t SELECT value, value % 50, CASE WHEN value % 2 = 0 THEN 'K' ELSE 'k' END || (value % 30), value / 4.0 FROM generate_series(1, 3000)");
    run_sql(d, "CREATE INDEX t_ab ON t(a DESC, b)");
    run_sql(d, "CREATE TABLE u(x INTEGER, y INTEGER, z TEXT, PRIMARY KEY (x, y))");
    run_sql(d, "INSERT INTO u SELECT value % 100, value, 'z' || (value % 7) FROM generate_series(1, 5000)");
    run_sql(d, "CREATE TABLE few(k INTEGER, s TEXT)");
    run_sql(d, "INSERT INTO few VALUES (7, '7'), (3, '3'), (NULL, NULL), (7, 'x'), (99, '3.0')");
    return d;
}

static void test_plan_sets_lists(void)
{
    db *d = tables();
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE id IN (5, 1, 9)", "using primary key (id IN (3 values))");
    expect_rows(d, "SELECT id FROM t WHERE id IN (5, 1, NULL, 9, 5, 1.0, '9', 2.5, 'x', 99999)", "1\n5\n9\n");
    expect_part(d, "EXPLAIN SELECT id FROM t WHERE id IN (5, 1, 9) ORDER BY id DESC", "(id IN (3 values)), backwards");
    expect_rows(d, "SELECT id FROM t WHERE id IN (5, 1, 9) ORDER BY id DESC LIMIT 2", "9\n5\n");
    expect_part(d, "EXPLAIN SELECT * FROM u WHERE x IN (1, 5) AND y = 205", "(x IN (2 values) AND y = ?)");
    expect_rows(d, "SELECT x, y FROM u WHERE x IN (5, 1) AND y = 205", "5|205\n");
    expect_part(d, "EXPLAIN SELECT * FROM u WHERE x IN (5, 1, 3) AND y IN (101, 103, 205)", "(x IN (3 values) AND y IN (3 values))");
    expect_rows(d, "SELECT x, y FROM u WHERE x IN (5, 1, 3, 1) AND y IN (103, 205, 101)", "1|101\n3|103\n5|205\n");
    expect_part(d, "EXPLAIN SELECT * FROM u WHERE x IN (1, 5) AND y > 205 AND y <= 401", "(x IN (2 values) AND y > ? AND y <= ?)");
    expect_rows(d, "SELECT x, y FROM u WHERE x IN (5, 1) AND y > 205 AND y <= 401 ORDER BY x DESC, y DESC", "5|305\n1|401\n1|301\n");
    expect_rows(d, "SELECT count(*) FROM u WHERE x IN (5, 1) AND y > 4000.5", "20\n");
    /* The key descends, and compares without case. */
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE a IN (7, 3) AND b = 'K13'", "using index t_ab (a IN (2 values) AND b = ?)");
    expect_rows(d, "SELECT id, a, b FROM t WHERE a IN (3, 7) AND b IN ('k13', 'K7', 'K13') AND id < 400 ORDER BY a DESC, b, id", "7|7|k7\n157|7|k7\n307|7|k7\n103|3|k13\n253|3|k13\n");
    help_close(d);
}

static void test_plan_sets_rows(void)
{
    db *d = tables();
    expect_part(d, "EXPLAIN SELECT * FROM u WHERE (x, y) IN ((1, 101), (2, 202))", "using primary key ((x, y) IN (2 rows))");
    expect_rows(d, "SELECT x, y FROM u WHERE (x, y) IN ((2, 202), (1, 101), (2, '202'), (3, NULL), (4, 4.5), (1, 101.0))", "1|101\n2|202\n");
    expect_rows(d, "SELECT x, y FROM u WHERE (y, x) IN ((202, 2), (101, 1), (101, 2)) ORDER BY x DESC, y DESC", "2|202\n1|101\n");
    expect_part(d, "EXPLAIN SELECT * FROM u WHERE (x, z) IN ((1, 'z3'), (2, 'z6')) AND y < 300", "(x IN (2 values) AND y < ?), where");
    expect_rows(d, "SELECT x, y, z FROM u WHERE (x, z) IN ((1, 'z3'), (2, 'z6')) AND y < 300", "1|101|z3\n2|202|z6\n");
    expect_rows(d, "SELECT count(*) FROM u WHERE (x, y) IN ((1, 101), (2, 202)) OR x = 3", "52\n");
    help_close(d);
}

static void test_plan_sets_queries(void)
{
    db *d = tables();
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE id IN (SELECT y FROM u WHERE x = 5)", "using primary key (id IN (subquery))");
    expect_rows(d, "SELECT id FROM t WHERE id IN (SELECT k FROM few) ORDER BY id DESC", "99\n7\n3\n");
    expect_rows(d, "SELECT id FROM t WHERE id IN (SELECT s FROM few)", "3\n7\n"); /* texts that are numbers count as such; 'x' equals nothing, and '3.0' is 3 */
    expect_rows(d, "SELECT count(*) FROM t WHERE id IN (SELECT k + 0.5 FROM few)", "0\n");
    expect_rows(d, "SELECT count(*) FROM t WHERE id IN (SELECT k FROM few WHERE k > 1000)", "0\n");
    expect_part(d, "EXPLAIN SELECT * FROM u WHERE (y, x) IN (SELECT k, k FROM few)", "((x, y) IN (subquery))");
    expect_rows(d, "SELECT x, y FROM u WHERE (y, x) IN (SELECT k, k FROM few)", "3|3\n7|7\n99|99\n");
    expect_rows(d, "SELECT x, y FROM u WHERE x IN (SELECT k FROM few) AND y BETWEEN 100 AND 200 ORDER BY x, y", "3|103\n7|107\n99|199\n");
    expect_rows(d, "SELECT x, y FROM u WHERE x IN (SELECT k FROM few) AND y IN (103, 107, 5) AND z <> 'z5'", "7|107\n"); /* 103 % 7 is 5 */
    expect_rows(d, "SELECT count(*) FROM t WHERE id NOT IN (SELECT k FROM few)", "0\n");
    expect_rows(d, "SELECT count(*) FROM t WHERE b IN (SELECT 'k' || k FROM few WHERE k < 10)", "200\n");
    expect_rows(d, "SELECT k, (SELECT count(*) FROM t WHERE id IN (SELECT y FROM u WHERE x = few.k AND y < 1000)) FROM few WHERE k < 50 AND s <> 'x' ORDER BY k", "3|10\n7|10\n");
    help_close(d);
}

/* More rows than looking up pays for, told only when they are there: the same answers. */
static void test_plan_sets_too_many(void)
{
    db *d = tables();
    static const char *const conditions[] = {"id IN (SELECT y FROM u WHERE x < 50)", "id IN (SELECT y FROM u WHERE x < ?)", "a IN (SELECT y FROM u WHERE x % 10 = 3)",
                                             "(a, b) IN (SELECT y, 'K' || (y % 30) FROM u)", "a IN (SELECT y FROM u) AND b > 'k2'"};
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        struct buf out[2] = {{0}, {0}};
        struct err err = ERR_INIT;
        char sql[400];
        for (int way = 0; way < 2; way++) {
            char condition[300], *at;
            (void)snprintf(condition, sizeof condition, "%s", conditions[i]);
            if ((at = strchr(condition, '?')) != NULL)
                memcpy(at, "9", 1);
            (void)snprintf(sql, sizeof sql, way == 0 ? "SELECT id, a FROM t WHERE %s ORDER BY id" : "SELECT id, a FROM t WHERE (%s) IS TRUE ORDER BY id", condition);
            OK(query_try(d, sql, NULL, &out[way], &err));
        }
        CU_ASSERT(out[0].len == out[1].len && memcmp(out[0].data, out[1].data, out[0].len) == 0);
        CU_ASSERT(out[0].len > 0);
        buf_deinit(&out[0]);
        buf_deinit(&out[1]);
    }
    help_close(d);
}

static void test_plan_sets_writes(void)
{
    db *d = tables();
    expect_part(d, "EXPLAIN UPDATE t SET c = 0 WHERE id IN (SELECT k FROM few)", "(id IN (subquery))");
    run_sql(d, "UPDATE t SET c = 0 WHERE id IN (SELECT k FROM few)");
    expect_rows(d, "SELECT count(*) FROM t WHERE c = 0", "3\n");
    run_sql(d, "DELETE FROM u WHERE (x, y) IN ((1, 101), (2, 202), (1, 102))");
    expect_rows(d, "SELECT count(*) FROM u", "4998\n");
    run_sql(d, "DELETE FROM t WHERE id IN (SELECT id FROM t WHERE a = 3)"); /* what it reads is what stood before it began */
    expect_rows(d, "SELECT count(*) FROM t", "2940\n");
    help_close(d);
}

const struct unit_test unit_tests[] = {
    {"test_plan_sets_lists", test_plan_sets_lists},
    {"test_plan_sets_rows", test_plan_sets_rows},
    {"test_plan_sets_queries", test_plan_sets_queries},
    {"test_plan_sets_too_many", test_plan_sets_too_many},
    {"test_plan_sets_writes", test_plan_sets_writes},
    {NULL, NULL},
};
