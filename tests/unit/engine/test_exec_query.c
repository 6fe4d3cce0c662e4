/* test_exec_query.c - what only many rows, limits and repeated runs show; single results are held
 * against SQLite in tests/sql. */
#include "query_help.h"

static void many(db *d)
{
    run_sql(d, "CREATE TABLE n(id INTEGER PRIMARY KEY, k INTEGER, s TEXT)");
    run_sql(d,
            "INSERT INTO n SELECT value, value % 7, 'row ' || value FROM generate_series(1, 5000)");
}

static void test_exec_query_many_batches(void)
{
    db *d = help_memory();
    many(d);
    expect_rows(d, "SELECT count(*), sum(id), min(s), max(k) FROM n", "5000|12502500|row 1|6\n");
    expect_rows(d, "SELECT k, count(*), sum(id) FROM n GROUP BY k ORDER BY k LIMIT 2",
                "0|714|1786785\n1|715|1787500\n");
    expect_rows(d, "SELECT count(*) FROM n a JOIN n b ON a.id = b.id + 1", "4999\n");
    expect_rows(d, "SELECT count(*) FROM n a LEFT JOIN n b ON a.id = b.id + 4000", "5000\n");
    expect_rows(d, "SELECT count(*), count(b.id) FROM n a FULL JOIN n b ON a.id = b.id + 4000",
                "9000|5000\n");
    expect_rows(d, "SELECT id FROM n ORDER BY s DESC LIMIT 2 OFFSET 1", "998\n997\n");
    expect_rows(d, "SELECT s FROM n ORDER BY k, id DESC LIMIT 1 OFFSET 4999", "row 6\n");
    expect_rows(
        d, "SELECT count(*) FROM (SELECT DISTINCT k FROM n UNION ALL SELECT DISTINCT s FROM n)",
        "5007\n");
    expect_rows(
        d, "SELECT count(*) FROM (SELECT k FROM n INTERSECT ALL SELECT k FROM n WHERE id <= 70)",
        "70\n");
    expect_rows(
        d, "SELECT id FROM n WHERE id IN (SELECT id * 2 FROM n WHERE k = 3) ORDER BY id LIMIT 2",
        "6\n20\n");
    expect_rows(d,
                "SELECT sum(x) FROM (SELECT sum(id) OVER (PARTITION BY k ORDER BY id) AS x FROM n)",
                "2983337500\n");
    expect_rows(d, "SELECT k, min(id), s FROM n GROUP BY k HAVING k > 4 ORDER BY k",
                "5|5|row 5\n6|6|row 6\n");
    help_close(d);
}

static void test_exec_query_types_change_within_a_column(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE m(id INTEGER PRIMARY KEY, v)");
    run_sql(d, "INSERT INTO m SELECT value, value FROM generate_series(1, 1500)");
    run_sql(
        d,
        "INSERT INTO m VALUES (2001, 1.0), (2002, 'x'), (2003, NULL), (2004, 1.5), (2005, x'00')");
    expect_rows(d, "SELECT count(*), count(DISTINCT v) FROM m", "1505|1503\n");
    expect_rows(d, "SELECT v, count(*) FROM m GROUP BY v HAVING count(*) > 1", "1|2\n");
    expect_rows(d, "SELECT id FROM m ORDER BY v, id LIMIT 4", "2003\n1\n2001\n2004\n");
    expect_rows(d, "SELECT id FROM m ORDER BY v DESC LIMIT 2", "2005\n2002\n");
    expect_rows(d, "SELECT count(*) FROM m a JOIN m b ON a.v = b.v", "1506\n");
    help_close(d);
}

/* A subquery of a subquery reads the recursion's last round: its answer is another one each time.
 */
static void test_exec_query_subquery_in_a_recursion(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE e(a INTEGER, b INTEGER)");
    run_sql(d, "INSERT INTO e VALUES (1, 2), (2, 3), (3, 4), (7, 8)");
    expect_rows(d,
                "WITH RECURSIVE r(x) AS (SELECT 1 UNION SELECT e.b FROM r, e WHERE e.a = r.x AND "
                "EXISTS (SELECT 1 FROM e f WHERE f.b = e.b "
                "AND f.a IN (SELECT x FROM r))) SELECT x FROM r ORDER BY x",
                "1\n2\n3\n4\n");
    help_close(d);
}

static void test_exec_query_nocase(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, c TEXT COLLATE NOCASE)");
    run_sql(d, "INSERT INTO t VALUES (1, 'x'), (2, 'X'), (3, 'y'), (4, 'W')");
    for (int i = 0; i < 2; i++) { /* without an index and with one */
        expect_rows(d, "SELECT id FROM t WHERE c = 'X' ORDER BY id", "1\n2\n");
        expect_rows(d, "SELECT id FROM t WHERE c = 'X' COLLATE BINARY", "2\n");
        expect_rows(d, "SELECT id FROM t WHERE c IN ('X', 'x', 'w') ORDER BY id", "1\n2\n4\n");
        expect_rows(d, "SELECT id FROM t WHERE c BETWEEN 'wa' AND 'Xa' ORDER BY id", "1\n2\n");
        expect_rows(d, "SELECT id FROM t ORDER BY c, id", "4\n1\n2\n3\n");
        expect_rows(d, "SELECT count(*) FROM t GROUP BY c ORDER BY c", "1\n2\n1\n");
        expect_rows(d, "SELECT count(*) FROM t a JOIN t b ON a.c = b.c", "6\n");
        expect_rows(d, "SELECT count(DISTINCT c) FROM t", "3\n");
        expect_rows(d, "SELECT count(*) FROM (SELECT c FROM t UNION SELECT 'w')", "3\n");
        expect_rows(d, "SELECT count(*) FROM (SELECT c FROM t EXCEPT SELECT 'X')", "2\n");
        expect_rows(d, "WITH RECURSIVE r(c) AS (SELECT c FROM t WHERE id = 1 UNION SELECT t.c FROM r JOIN t ON t.id <= 3) SELECT count(*) FROM r", "2\n");
        expect_rows(d, "SELECT id FROM t WHERE c IN (SELECT 'X')  ORDER BY id", "1\n2\n");
        run_sql(d, "INSERT OR IGNORE INTO t VALUES (50, '\xc3\x84')");
        expect_rows(d, "SELECT id FROM t WHERE c = '\xc3\xa4'", "50\n");
        expect_rows(d, "DELETE FROM t WHERE c IN (SELECT '\xc3\xa4') RETURNING id", "50\n");
        run_sql(d, "CREATE INDEX IF NOT EXISTS t_c ON t(c)");
    }
    help_close(d);
}

static void test_exec_query_grouping_sets(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE g(a INTEGER, b INTEGER, x INTEGER)");
    expect_rows(d, "SELECT a, count(*) FROM g GROUP BY ROLLUP (a)", "NULL|0\n");
    run_sql(d, "INSERT INTO g VALUES (1, 1, 1), (1, 2, 2), (2, 1, 4)");
    expect_rows(d, "SELECT a, b, sum(x) FROM g GROUP BY ROLLUP (a, b) ORDER BY 1, 2, 3",
                "NULL|NULL|7\n1|NULL|3\n1|1|1\n1|2|2\n2|NULL|4\n2|1|4\n");
    expect_rows(d, "SELECT a, b, sum(x) FROM g GROUP BY GROUPING SETS ((a), (b)) ORDER BY 1, 2",
                "NULL|1|5\nNULL|2|2\n1|NULL|3\n2|NULL|4\n");
    expect_rows(d, "SELECT count(*) FROM (SELECT 1 FROM g GROUP BY CUBE (a, b))", "8\n");
    help_close(d);
}

static void test_exec_query_stops_when_told(void)
{
    db *d = help_memory();
    many(d);
    volatile int interrupted = 1;
    struct err err = ERR_INIT;
    struct exec_limits stop = {.interrupted = &interrupted}, small = {.memory_bytes = 64 * 1024},
                       late = {.deadline_ns = 1};
    CU_ASSERT_EQUAL(query_try(d, "SELECT count(*) FROM n a, n b", &stop, NULL, &err),
                    QUARTET_INTERRUPTED);
    CU_ASSERT_EQUAL(query_try(d, "SELECT count(*) FROM n a, n b", &late, NULL, &err),
                    QUARTET_INTERRUPTED);
    CU_ASSERT_EQUAL(query_try(d, "SELECT * FROM n ORDER BY s", &small, NULL, &err), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(
        query_try(
            d,
            "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT max(x) FROM r",
            &small, NULL, &err),
        QUARTET_LIMIT);
    interrupted = 0;
    expect_rows(
        d,
        "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x FROM r LIMIT 2",
        "1\n2\n");
    help_close(d);
}

/* One plan, run again and again with other parameters: its objects are used again. */
static void test_exec_query_runs_again(void)
{
    db *d = help_memory();
    struct arena a = {0};
    struct ast_stmt *stmt = NULL;
    struct err err = ERR_INIT;
    plan *p = NULL;
    size_t consumed;
    const char *sql =
        "SELECT id, (SELECT count(*) FROM n m WHERE m.k = n.k AND m.id <= ?2) FROM n WHERE id = ?1";
    many(d);
    OK(parse_sql(&a, sql, strlen(sql), NULL, &stmt, &consumed, &err));
    struct catalog *c = db_catalog(d);
    OK(plan_build(c, d, stmt, &a, &p, &err));
    catalog_unref(c);
    for (int64_t i = 1; i <= 50; i++) {
        struct value params[2] = {value_int(i), value_int(i + 7)};
        struct batch b;
        txn *t = NULL;
        exec *e = NULL;
        OK(txn_begin(d, &t, &err));
        OK(txn_statement_begin(t, &err));
        OK(exec_open(p, t, params, 2, NULL, &e, &err));
        OK(exec_next(e, &b, &err));
        CU_ASSERT_EQUAL_FATAL(b.n, 1);
        CU_ASSERT_EQUAL(vec_get(&b.cols[0], 0).i, i);
        CU_ASSERT_EQUAL(vec_get(&b.cols[1], 0).i, i % 7 == 0 ? i / 7 + 1 : i / 7 + 2);
        if (i % 3 == 0) { /* closed before its end as well */
            OK(exec_next(e, &b, &err));
            CU_ASSERT_EQUAL(b.n, 0);
        }
        exec_close(e);
        txn_rollback(t);
    }
    plan_free(p);
    arena_free_all(&a);
    help_close(d);
}

static void expect_equal(db *d, const char *sql, const char *same)
{
    struct err err = ERR_INIT;
    struct buf want = {0};
    OK(query_try(d, same, NULL, &want, &err));
    buf_u8(&want, 0);
    expect_rows(d, sql, (const char *)want.data);
    buf_deinit(&want);
}

/* Rows that a condition or a sort of the first ones drops before their other columns are read, from blocks with entries of the buffer between them.
 * The sort on expressions keeps every row until the end. */
static void test_exec_query_drops_rows_early(void)
{
    db *d = help_memory();
    struct err err = ERR_INIT;
    run_sql(d, "CREATE TABLE p(id INTEGER PRIMARY KEY, v REAL, n INTEGER, s TEXT, u)");
    run_sql(d, "INSERT INTO p SELECT value, (value * 7919 % 9973) / 4.0, value * 31 % 101, 'text ' || value % 17, CASE value % 5 WHEN 0 THEN 'x' "
               "WHEN 1 THEN NULL ELSE value END FROM generate_series(1, 20000)");
    OK(kv_flush(d->store, &err));
    for (int round = 0; round < 2; round++) { /* the second time with entries over the blocks */
        expect_equal(d, "SELECT id, s, u FROM p ORDER BY v DESC, id LIMIT 10", "SELECT id, s, u FROM p ORDER BY 0 + v DESC, 0 + id LIMIT 10");
        expect_equal(d, "SELECT id, s, u FROM p ORDER BY v, id LIMIT 5 OFFSET 30", "SELECT id, s, u FROM p ORDER BY 0 + v, 0 + id LIMIT 5 OFFSET 30");
        expect_equal(d, "SELECT id, s, u FROM p WHERE n BETWEEN 3 AND 90 ORDER BY v DESC, id LIMIT 7",
                     "SELECT id, s, u FROM p WHERE 0 + n BETWEEN 3 AND 90 ORDER BY 0 + v DESC, 0 + id LIMIT 7");
        expect_equal(d, "SELECT id, s, u FROM p ORDER BY u DESC, id LIMIT 9", "SELECT id, s, u FROM p ORDER BY u || '' IS NULL, u DESC, 0 + id LIMIT 9");
        expect_equal(d, "SELECT sum(id), count(u), min(s) FROM p WHERE n > 98 AND n <= 99",
                     "SELECT sum(id), count(u), min(s) FROM p WHERE n = 99");
        expect_equal(d, "SELECT id, s, u FROM p WHERE v = 1000.5 OR s = 'text 3' AND n = 5", "SELECT id, s, u FROM p WHERE 0 + v = 1000.5 OR s || '' = 'text 3' AND 0 + n = 5");
        if (round > 0)
            break;
        run_sql(d, "UPDATE p SET v = -v, u = 'changed' WHERE id % 1500 = 3");
        run_sql(d, "DELETE FROM p WHERE id % 977 = 4");
        run_sql(d, "INSERT INTO p VALUES (30000, 99999, 99, 'last', NULL), (-5, NULL, 99, 'first', 1.5)");
    }
    expect_rows(d, "SELECT count(*) FROM p WHERE n > 5 AND n < 5", "0\n");
    expect_rows(d, "SELECT count(*) FROM p WHERE n > 9223372036854775807 AND n <= 9223372036854775807", "0\n");
    expect_rows(d, "SELECT id FROM p ORDER BY v DESC LIMIT 1", "30000\n");
    help_close(d);
}

static int count_calls(void *arg)
{
    uint32_t *calls = arg;
    return ++*calls == 7;
}

/* It is asked again and again, and ends the statement where it says so. */
static void test_exec_progress(void)
{
    db *d = help_memory();
    struct err err = ERR_INIT;
    uint32_t calls = 0;
    struct exec_limits l = {.progress = count_calls, .progress_arg = &calls, .progress_every = 2};
    CU_ASSERT_EQUAL(query_try(d, "SELECT count(*) FROM generate_series(1, 100000000)", &l, NULL, &err), QUARTET_INTERRUPTED);
    CU_ASSERT_EQUAL(calls, 7);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "progress"));
    err_clear(&err);
    OK(query_try(d, "SELECT count(*) FROM generate_series(1, 100000)", &l, NULL, &err));
    CU_ASSERT(calls > 7);
    help_close(d);
}

const char *const unit_suite = "exec_query";
const struct unit_test unit_tests[] = {
    {"progress", test_exec_progress},
    {"test_exec_query_many_batches", test_exec_query_many_batches},
    {"test_exec_query_types_change_within_a_column", test_exec_query_types_change_within_a_column},
    {"test_exec_query_subquery_in_a_recursion", test_exec_query_subquery_in_a_recursion},
    {"test_exec_query_nocase", test_exec_query_nocase},
    {"test_exec_query_grouping_sets", test_exec_query_grouping_sets},
    {"test_exec_query_stops_when_told", test_exec_query_stops_when_told},
    {"test_exec_query_runs_again", test_exec_query_runs_again},
    {"test_exec_query_drops_rows_early", test_exec_query_drops_rows_early},
    {NULL, NULL},
};
