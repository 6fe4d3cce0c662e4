/* test_plan.c - which way the planner takes, as EXPLAIN shows it. */
#include "engine/bind.h"
#include "query_help.h"

static void setup(db *d)
{
    run_sql(d,
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, c TEXT COLLATE NOCASE)");
    run_sql(d, "CREATE INDEX t_ab ON t(a, b)");
    run_sql(d, "CREATE INDEX t_c ON t(c)");
    run_sql(d, "CREATE TABLE u(id INTEGER PRIMARY KEY, t_id INTEGER)");
}

static void test_plan_access_paths(void)
{
    db *d = help_memory();
    setup(d);
    expect_part(d, "EXPLAIN SELECT * FROM t", "Scan t");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE id = 5", "Search t using primary key (id = ?)");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE 5 < id AND id <= 9",
                "Search t using primary key (id > ? AND id <= ?)");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE id IN (1, 2, 3)",
                "primary key (id IN (3 values))");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE a = 1 AND b > 2",
                "using index t_ab (a = ? AND b > ?)");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE b = 2", "Scan t, where");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE c = 'x'", "using index t_c (c = ?)");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE c = 'x' COLLATE BINARY",
                "Scan t, where"); /* the entries are folded */
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE id = 1 AND a = 1",
                "using primary key (id = ?), where");
    expect_part(d, "EXPLAIN SELECT * FROM (SELECT * FROM t) AS s WHERE id = 5",
                "Search t using primary key");
    help_close(d);
}

static void fill(db *d)
{
    run_sql(d, "CREATE TABLE big(id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, c TEXT)");
    run_sql(d, "CREATE INDEX big_a ON big(a)");
    run_sql(d, "CREATE INDEX big_b ON big(b)");
    run_sql(d, "INSERT INTO big SELECT value, value % 1000, value * 7 % 10007, 'x' || value FROM generate_series(1, 20000)");
}

/* Every side of an OR has a way of its own, and each row comes once. */
static void test_plan_or_by_index(void)
{
    db *d = help_memory();
    fill(d);
    expect_part(d, "EXPLAIN SELECT * FROM big WHERE a = 5 OR b = 7", "Any of 2 searches, each row once");
    expect_part(d, "EXPLAIN SELECT * FROM big WHERE a = 5 OR b = 7", "Search big using index big_b (b = ?)");
    expect_part(d, "EXPLAIN SELECT * FROM big WHERE (a IN (5, 6) OR id = 9 OR b < 3) AND c > 'x'", "Any of 3 searches");
    expect_part(d, "EXPLAIN UPDATE big SET c = '' WHERE a = 5 OR b = 7", "Any of 2 searches");
    expect_part(d, "EXPLAIN SELECT * FROM big WHERE a = 5 OR c = 'x7'", "Scan big, where"); /* a side without a way */
    expect_part(d, "EXPLAIN SELECT * FROM big WHERE a > 5 OR b = 7", "Scan big, where");    /* nearly all rows */
    expect_part(d, "EXPLAIN SELECT * FROM big WHERE (a = 5 OR b = 7) AND random() > 0", "Scan big, where");
    expect_part(d, "EXPLAIN SELECT * FROM big WHERE (a = 5 OR b = 7) AND id = 4", "using primary key (id = ?), where");
    /* 1005 * 7 % 10007 = 7035: row 1005 is found by both sides. */
    expect_rows(d, "SELECT count(*), count(DISTINCT id), min(id) FROM big WHERE a = 5 OR b = 7035", "21|21|5\n");
    run_sql(d, "UPDATE big SET b = b + 1, a = a + 1 WHERE a = 5 OR b = 7035 OR a = 6");
    expect_rows(d, "SELECT count(*) FROM big WHERE a IN (6, 7)", "60\n"); /* 5 and 6 by one, 7 as they were */
    help_close(d);
}

/* Entries that hold all that is wanted need no rows; the first rows in an index's order need no sort. */
static void test_plan_covering_and_first_rows(void)
{
    db *d = help_memory();
    fill(d);
    expect_part(d, "EXPLAIN SELECT id, a FROM big WHERE a > 900", "Search big using covering index big_a (a > ?)");
    expect_part(d, "EXPLAIN SELECT c FROM big WHERE a > 900", "Scan big, where"); /* a tenth of the rows by their keys costs more */
    expect_part(d, "EXPLAIN SELECT c FROM big WHERE a = 900", "using index big_a (a = ?)");
    expect_part(d, "EXPLAIN SELECT * FROM big ORDER BY b DESC LIMIT 10", "Scan big in the order of index big_b, backwards");
    expect_part(d, "EXPLAIN SELECT a, id FROM big ORDER BY a, id LIMIT 10", "in the order of covering index big_a");
    expect_part(d, "EXPLAIN SELECT * FROM big ORDER BY b LIMIT 10000", "Sort, first rows only");
    expect_part(d, "EXPLAIN SELECT * FROM big ORDER BY b", "Sort, 1 keys");
    expect_part(d, "EXPLAIN SELECT * FROM big WHERE a = 3 ORDER BY b LIMIT 3", "Search big using index big_a");
    expect_part(d, "EXPLAIN SELECT * FROM big WHERE c = 'x' ORDER BY b LIMIT 10", "Sort, first rows only"); /* one row of all */
    expect_rows(d, "SELECT b FROM big ORDER BY b DESC LIMIT 2 OFFSET 1", "10006\n10005\n");
    help_close(d);
}

/* Correlated subqueries are joins where many rows ask, and stay subqueries where few do; NULLs and empty groups answer as before. */
static void test_plan_decorrelates(void)
{
    db *d = help_memory();
    fill(d);
    run_sql(d, "CREATE TABLE o(k INTEGER, v INTEGER)");
    run_sql(d, "INSERT INTO o VALUES (1, 10), (1, 20), (2, NULL), (3, 30), (NULL, 40), (5000, 1)");
    run_sql(d, "CREATE TABLE q(k INTEGER, v INTEGER)");
    run_sql(d, "INSERT INTO q VALUES (1, 10), (2, 5), (3, 31), (4, 7), (NULL, 40)");
    expect_part(d, "EXPLAIN SELECT * FROM q WHERE EXISTS (SELECT 1 FROM o WHERE o.k = q.k)", "Hash join, semi, 1 equal key");
    expect_part(d, "EXPLAIN SELECT * FROM q WHERE NOT EXISTS (SELECT 1 FROM o WHERE o.k = q.k AND o.v > q.v)", "Hash join, anti, 1 equal key, on");
    expect_part(d, "EXPLAIN SELECT * FROM q WHERE v IN (SELECT v FROM o WHERE o.k = q.k)", "Hash join, semi, 2 equal keys");
    expect_part(d, "EXPLAIN SELECT * FROM q WHERE v > (SELECT sum(v) FROM o WHERE o.k = q.k)", "Hash join, left, 1 equal key");
    expect_part(d, "EXPLAIN SELECT k, (SELECT count(*) FROM o WHERE o.k = q.k) FROM q", "Hash join, left, 1 equal key");
    expect_part(d, "EXPLAIN SELECT * FROM o WHERE EXISTS (SELECT 1 FROM big WHERE big.id = o.k AND o.k = 5000)", "Subquery, for each outer value");
    expect_part(d, "EXPLAIN SELECT * FROM q WHERE EXISTS (SELECT 1 FROM o WHERE o.k > q.k)", "Subquery, for each outer value");
    expect_rows(d, "SELECT k FROM q WHERE EXISTS (SELECT 1 FROM o WHERE o.k = q.k)", "1\n2\n3\n");
    expect_rows(d, "SELECT k FROM q WHERE NOT EXISTS (SELECT 1 FROM o WHERE o.k = q.k) ORDER BY k", "NULL\n4\n");
    expect_rows(d, "SELECT k FROM q WHERE EXISTS (SELECT 1 FROM o WHERE o.k = q.k AND o.v <> q.v)", "1\n3\n");
    expect_rows(d, "SELECT k FROM q WHERE NOT EXISTS (SELECT 1 FROM o WHERE o.k = q.k AND o.v > q.v) ORDER BY k", "NULL\n2\n3\n4\n");
    expect_rows(d, "SELECT k FROM q WHERE v IN (SELECT v FROM o WHERE o.k = q.k)", "1\n");
    expect_rows(d, "SELECT k FROM q WHERE v NOT IN (SELECT v FROM o WHERE o.k = q.k) ORDER BY k", "NULL\n3\n4\n"); /* 2: NULL is not known to differ */
    expect_rows(d, "SELECT k FROM q WHERE v < (SELECT sum(v) FROM o WHERE o.k = q.k)", "1\n");
    expect_rows(d, "SELECT k, (SELECT count(*) FROM o WHERE o.k = q.k), (SELECT count(v) + 1 FROM o WHERE o.k = q.k), (SELECT max(v) FROM o WHERE o.k = q.k) FROM q ORDER BY k",
                "NULL|0|1|NULL\n1|2|3|20\n2|1|1|NULL\n3|1|2|30\n4|0|1|NULL\n");
    expect_rows(d, "SELECT count(*) FROM big WHERE b > (SELECT avg(b) FROM big x WHERE x.a = big.a) AND a < 100", "1000\n");
    expect_rows(d, "SELECT id FROM big WHERE EXISTS (SELECT 1 FROM o WHERE o.k = big.id AND EXISTS (SELECT 1 FROM q WHERE q.k = o.k)) ORDER BY id DESC LIMIT 2", "3\n2\n");
    expect_rows(d, "SELECT id FROM big WHERE id < 6 AND (SELECT count(*) FROM o WHERE o.k = big.id) = (SELECT count(*) FROM q WHERE q.k = big.id)", "2\n3\n5\n");
    help_close(d);
}

static void test_plan_joins_and_order(void)
{
    db *d = help_memory();
    setup(d);
    expect_part(d, "EXPLAIN SELECT * FROM t, u WHERE u.t_id = t.id",
                "Hash join, inner, 1 equal key");
    expect_part(d, "EXPLAIN SELECT * FROM t, u WHERE u.id = 7 AND u.t_id = t.id",
                "Index join, inner");
    expect_part(d, "EXPLAIN SELECT * FROM u LEFT JOIN t ON t.id = u.t_id WHERE t.a > 1",
                "inner"); /* NULLs would be dropped anyway */
    expect_part(d, "EXPLAIN SELECT * FROM u LEFT JOIN t ON t.id = u.t_id WHERE t.a IS NULL",
                "left");
    expect_part(d, "EXPLAIN SELECT * FROM t, u WHERE t.a < u.id", "Nested loop join");
    expect_part(d, "EXPLAIN SELECT * FROM t ORDER BY a LIMIT 300", "Sort, first rows only");
    expect_part(d, "EXPLAIN SELECT * FROM t ORDER BY id DESC", "backwards");
    /* Entries of an index stand in the order of its columns, then of the primary key. */
    expect_part(d, "EXPLAIN SELECT id, b FROM t WHERE a = 1 AND b = 2 ORDER BY id", "Project");
    expect_part(d, "EXPLAIN SELECT a, b FROM t WHERE a = 1 ORDER BY b DESC, a, id DESC", "Project");
    expect_part(d, "EXPLAIN SELECT a, b FROM t WHERE a = 1 ORDER BY b DESC, id", "Sort, 2 keys");
    expect_part(d, "EXPLAIN SELECT id FROM t WHERE a = 1 ORDER BY id", "Sort, 1 keys");
    expect_part(d, "EXPLAIN SELECT id, c FROM t WHERE c = 'x' ORDER BY c, id", "Project");
    expect_part(d, "EXPLAIN SELECT id, c FROM t WHERE c = 'x' ORDER BY c COLLATE BINARY, id",
                "Sort, 2 keys");
    expect_part(d, "EXPLAIN MERGE SELECT 1", "writes no register");
    help_close(d);
}

/* It does what the statement does, and tells of every operator. */
/* What a hash join will not want the scan below its left side drops, through joins, filters and groups between them; the answers stay. */
static void test_plan_joins_narrow_scans(void)
{
    db *d = help_memory();
    fill(d);
    run_sql(d, "CREATE TABLE few(id INTEGER PRIMARY KEY, x INTEGER, y INTEGER)");
    run_sql(d, "INSERT INTO few SELECT value, value * 3, value % 2 FROM generate_series(1, 400)");
    run_sql(d, "INSERT INTO few VALUES (1001, NULL, 1)");
    const char *join = "SELECT count(*), sum(big.b), min(big.c), max(few.id) FROM big JOIN few ON big.a = few.x";
    char sql[400];
    (void)snprintf(sql, sizeof sql, "EXPLAIN %s", join); /* it fits */
    expect_part(d, sql, "1 equal key, asked while big is scanned");
    expect_rows(d, join, "6660|33303772|x10003|333\n");
    expect_part(d, "EXPLAIN SELECT count(*), min(big.c) FROM big JOIN few ON big.a = few.x AND big.b = few.id * 21", "2 equal keys, asked while big is scanned");
    expect_rows(d, "SELECT count(*), sum(big.b), min(big.c) FROM big JOIN few ON big.a = few.x AND big.b = few.id * 21",
                "333|1167831|x102\n");
    expect_part(d, "EXPLAIN SELECT * FROM (SELECT a, count(*) AS n FROM big WHERE c <> 'x7' GROUP BY a) AS g JOIN few ON few.x = g.a", "asked while big is scanned");
    expect_rows(d, "SELECT count(*), sum(n) FROM (SELECT a, count(*) AS n FROM big WHERE c <> 'x7' GROUP BY a) AS g JOIN few ON few.x = g.a", "333|6660\n");
    /* Rows without a partner are wanted, too; and a key that is computed lies in no column. */
    expect_rows(d, "SELECT count(*), count(few.id) FROM big LEFT JOIN few ON big.a = few.x", "20000|6660\n");
    expect_rows(d, "SELECT count(*) FROM big JOIN few ON big.a + 1 = few.x", "6660\n");
    /* NULLs meet nothing; most rows stay, and it is given up. */
    run_sql(d, "UPDATE big SET a = NULL WHERE id <= 100");
    expect_rows(d, "SELECT count(*), sum(big.b) FROM big JOIN few ON big.a % 2 = few.y AND big.a = few.x", "6627|33291991\n");
    run_sql(d, "CREATE TABLE most(a INTEGER PRIMARY KEY, z TEXT)");
    run_sql(d, "INSERT INTO most SELECT value, 'z' FROM generate_series(1, 950)");
    expect_rows(d, "SELECT count(*), min(c) FROM big JOIN most ON most.a = big.a", "18900|x10001\n");
    help_close(d);
}

/* Keys of several columns are told by their values' own bytes until one comes that has no plain type; groups stay as they are. */
static void test_plan_keys_of_columns(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE k(id INTEGER PRIMARY KEY, a INTEGER, t TEXT, d DATE, any)");
    run_sql(d, "INSERT INTO k SELECT value, nullif(value % 7, 3), nullif(substr('abcdefgh', 1, value % 5), 'ab'), date('2020-01-01', '+' || (value % 3) || ' days'), "
               "value % 2 FROM generate_series(1, 3000)");
    expect_rows(d, "SELECT count(*), sum(n), count(a), count(t) FROM (SELECT a, t, d, count(*) AS n FROM k GROUP BY a, t, d)", "105|3000|90|84\n");
    expect_rows(d, "SELECT count(*) FROM (SELECT DISTINCT a, t FROM k)", "35\n");
    expect_rows(d, "SELECT count(*) FROM k AS x JOIN k AS y ON x.a = y.a AND x.t = y.t AND x.d = y.d AND x.id = y.id", "2057\n");
    /* 1 and 1.0 are one group, a text that looks like a number is another. */
    run_sql(d, "INSERT INTO k SELECT value, value % 7, 'x', NULL, CASE value % 3 WHEN 0 THEN 1.0 WHEN 1 THEN '1' ELSE 0.5 END FROM generate_series(3001, 6000)");
    expect_rows(d, "SELECT count(*), sum(n) FROM (SELECT any, count(*) AS n FROM k GROUP BY any)", "4|6000\n");
    expect_rows(d, "SELECT any, t, count(*) FROM k WHERE id > 2990 AND (t = 'x' OR t = 'abc') GROUP BY t, any ORDER BY t, 3, any",
                "0|abc|1\n1|abc|1\n0.5|x|1000\n1.0|x|1000\n1|x|1000\n");
    expect_rows(d, "SELECT count(*) FROM (SELECT DISTINCT a, any FROM k)", "29\n");
    help_close(d);
}

/* IN of a subquery that names nothing around it: a batch at a time, with SQL's three answers. */
static void test_plan_in_subquery(void)
{
    db *d = help_memory();
    fill(d);
    run_sql(d, "CREATE TABLE few(id INTEGER PRIMARY KEY, x INTEGER, y TEXT)");
    run_sql(d, "INSERT INTO few SELECT value, value * 3, value FROM generate_series(1, 40)");
    expect_rows(d, "SELECT count(*) FROM big WHERE a IN (SELECT x FROM few)", "800\n");
    expect_rows(d, "SELECT count(*) FROM big WHERE a NOT IN (SELECT x FROM few)", "19200\n");
    expect_rows(d, "SELECT count(*) FROM big WHERE a IN (SELECT y FROM few)", "800\n"); /* by number: ids 1 to 40 */
    expect_rows(d, "SELECT count(*) FROM big WHERE (a, b % 3) IN (SELECT x, id % 3 FROM few)", "266\n");
    expect_rows(d, "SELECT count(*) FROM big WHERE a IN (SELECT x FROM few WHERE id < 0)", "0\n");
    run_sql(d, "INSERT INTO few VALUES (100, NULL, NULL)");
    expect_rows(d, "SELECT count(*) FROM big WHERE a NOT IN (SELECT x FROM few)", "0\n");
    expect_rows(d, "SELECT count(*) FROM big WHERE (a IN (SELECT x FROM few)) IS NULL", "19200\n");
    expect_rows(d, "SELECT count(*) FROM big WHERE (nullif(a, 3) IN (SELECT x FROM few)) IS NULL", "19220\n");
    expect_rows(d, "SELECT count(*) FROM big WHERE (nullif(a, 3) NOT IN (SELECT x FROM few WHERE id < 0))", "20000\n");
    help_close(d);
}

static void test_plan_explain_analyze(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE n(id INTEGER PRIMARY KEY, x INTEGER)");
    run_sql(d, "INSERT INTO n SELECT value, value % 10 FROM generate_series(1, 5000)");
    expect_part(d, "EXPLAIN ANALYZE SELECT count(*) FROM n WHERE id > 100", "(actual 4900 rows, ");
    expect_part(d, "EXPLAIN ANALYZE SELECT count(*) FROM n a WHERE a.id < 50 AND EXISTS (SELECT 1 FROM n b WHERE b.id = a.x)", "rows in 10 runs, ");
    expect_part(d, "EXPLAIN ANALYZE SELECT count(*) FROM n WHERE x > 100 AND x < (SELECT max(id) FROM n)", "(never run)");
    expect_part(d, "EXPLAIN ANALYZE DELETE FROM n WHERE id <= 10 RETURNING id", "Total ");
    expect_rows(d, "SELECT count(*) FROM n", "4990\n");
    expect_part(d, "EXPLAIN DELETE FROM n", "Delete from n"); /* which writes nothing */
    expect_rows(d, "SELECT count(*) FROM n", "4990\n");
    help_close(d);
}

/* A nested loop in the order of the text would never end. */
static void test_plan_64_tables(void)
{
    db *d = help_memory();
    struct buf sql = {0};
    char text[96];
    for (int i = 0; i < 64; i++) {
        (void)snprintf(text, sizeof text, "CREATE TABLE t%d(a INTEGER, b INTEGER)", i);
        run_sql(d, text);
        (void)snprintf(text, sizeof text,
                       "INSERT INTO t%d SELECT value, value + 1 FROM generate_series(1, 10)", i);
        run_sql(d, text);
    }
    buf_str(&sql, "SELECT t0.a, t63.b FROM t0");
    for (int i = 1; i < 64; i++)
        buf_printf(&sql, ", t%d", (i * 37) % 64 == 0 ? 63 : (i * 37) % 64);
    buf_str(&sql, " WHERE t0.a = 3");
    for (int i = 1; i < 64; i++)
        buf_printf(&sql, " AND t%d.a = t%d.a", i, i - 1);
    buf_u8(&sql, 0);
    expect_rows(d, (const char *)sql.data, "3|4\n");
    buf_deinit(&sql);
    help_close(d);
}

/* A key of more columns than a bound holds, and a FROM at its limit and past it. */
static void test_plan_limits(void)
{
    db *d = help_memory();
    struct buf sql = {0}, where = {0};
    buf_str(&sql, "CREATE TABLE w(");
    for (int i = 0; i < 70; i++) {
        buf_printf(&sql, "c%d INTEGER, ", i);
        buf_printf(&where, "%sc%d = %d", i > 0 ? " AND " : "", i, i);
    }
    buf_str(&sql, "PRIMARY KEY (c0");
    for (int i = 1; i < 70; i++)
        buf_printf(&sql, ", c%d", i);
    buf_str(&sql, "))");
    buf_u8(&sql, 0);
    buf_u8(&where, 0);
    run_sql(d, (const char *)sql.data);
    buf_clear(&sql);
    buf_str(&sql, "INSERT INTO w VALUES (0");
    for (int i = 1; i < 70; i++)
        buf_printf(&sql, ", %d", i);
    buf_str(&sql, ")");
    buf_u8(&sql, 0);
    run_sql(d, (const char *)sql.data);
    buf_clear(&sql);
    buf_printf(&sql, "SELECT c69 FROM w WHERE %s", (const char *)where.data);
    buf_u8(&sql, 0);
    expect_rows(d, (const char *)sql.data, "69\n");
    for (uint32_t n = BIND_SOURCES_MAX; n <= BIND_SOURCES_MAX + 1; n++) {
        buf_clear(&sql);
        buf_str(&sql, "SELECT count(*) FROM w AS a0");
        for (uint32_t i = 1; i < n; i++)
            buf_printf(&sql, ", (SELECT 1) AS a%u", i);
        buf_u8(&sql, 0);
        if (n > BIND_SOURCES_MAX)
            expect_error(d, (const char *)sql.data, QUARTET_LIMIT, "more than 1000 tables", -2);
        else
            expect_rows(d, (const char *)sql.data, "1\n");
    }
    buf_deinit(&sql);
    buf_deinit(&where);
    help_close(d);
}

const char *const unit_suite = "plan";
const struct unit_test unit_tests[] = {
    {"test_plan_explain_analyze", test_plan_explain_analyze},
    {"test_plan_access_paths", test_plan_access_paths},
    {"test_plan_or_by_index", test_plan_or_by_index},
    {"test_plan_covering_and_first_rows", test_plan_covering_and_first_rows},
    {"test_plan_decorrelates", test_plan_decorrelates},
    {"test_plan_joins_and_order", test_plan_joins_and_order},
    {"test_plan_joins_narrow_scans", test_plan_joins_narrow_scans},
    {"test_plan_keys_of_columns", test_plan_keys_of_columns},
    {"test_plan_in_subquery", test_plan_in_subquery},
    {"test_plan_64_tables", test_plan_64_tables},
    {"test_plan_limits", test_plan_limits},
    {NULL, NULL},
};
