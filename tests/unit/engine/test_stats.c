/* test_stats.c - what the planner knows of tables, and what it makes of it. */
#include "query_help.h"

#include "engine/stats.h"

static const struct table_def *table_of(db *d, const char *name, struct catalog **c)
{
    *c = db_catalog(d);
    const struct table_def *t = catalog_table(*c, name);
    CU_ASSERT_FATAL(t != NULL);
    return t;
}

static bool near(double got, double want, double share)
{
    bool ok = got >= want * (1 - share) && got <= want * (1 + share);
    if (!ok)
        printf("\n  want about %g, got %g\n", want, got);
    return ok;
}

static void test_figures(void)
{
    db *d = help_memory();
    struct catalog *c;
    struct column_stats s;
    double rows;
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, few INTEGER, half TEXT, day DATE, word TEXT, blocks INTEGER)");
    const struct table_def *t = table_of(d, "t", &c);
    CU_ASSERT_FALSE(stats_rows(d, t, &rows));
    CU_ASSERT_FALSE(stats_column(d, t, 0, &s));
    run_sql(d, "INSERT INTO t SELECT value, value % 7, CASE WHEN value % 2 = 0 THEN 'x' || (value % 500) END, DATE '2020-01-01' + value % 100, 'w' || value, value / 10 "
               "FROM generate_series(1, 300000)");
    CU_ASSERT_TRUE(stats_rows(d, t, &rows));
    CU_ASSERT_EQUAL(rows, 300000);
    CU_ASSERT_TRUE(stats_column(d, t, 0, &s));
    CU_ASSERT_TRUE(near(s.distinct, 300000, 0.1));
    CU_ASSERT_TRUE(s.ranged && s.lo <= 1024 && s.hi >= 290000);
    CU_ASSERT_TRUE(stats_column(d, t, 1, &s));
    CU_ASSERT_TRUE(near(s.distinct, 7, 0.01));
    CU_ASSERT_TRUE(s.ranged && s.lo == 0 && s.hi == 6);
    CU_ASSERT_TRUE(stats_column(d, t, 2, &s));
    CU_ASSERT_TRUE(near(s.distinct, 250, 0.1));
    CU_ASSERT_TRUE(near(s.null_share, 0.5, 0.01));
    CU_ASSERT_TRUE(s.ranged && s.texts && s.lo < s.hi && s.common_bytes == 1 && s.common[0] == 'x');
    CU_ASSERT_TRUE(stats_column(d, t, 3, &s));
    CU_ASSERT_TRUE(near(s.distinct, 100, 0.05));
    CU_ASSERT_TRUE(s.ranged && s.hi - s.lo == 99.0 * (double)VALUE_DAY_US);
    CU_ASSERT_TRUE(stats_column(d, t, 4, &s));
    CU_ASSERT_TRUE(near(s.distinct, 300000, 0.1));
    CU_ASSERT_TRUE(stats_column(d, t, 5, &s)); /* values that stand together: a part of the rows has a part of them */
    CU_ASSERT_TRUE(near(s.distinct, 30000, 0.15));
    catalog_unref(c);
    help_close(d);
}

/* A range of texts is told by what stands behind the letters that all have in common; with a parameter it is taken to be small. */
static void test_text_ranges(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, word TEXT COLLATE NOCASE, n INTEGER, any)");
    run_sql(d, "INSERT INTO t SELECT value, 'name ' || substr('00000' || value, -6), 'w' || value, value, CASE WHEN value % 2 = 0 THEN value ELSE 'x' END FROM generate_series(1, 20000)");
    run_sql(d, "CREATE INDEX t_name ON t(name)");
    run_sql(d, "CREATE INDEX t_any ON t(any)");
    expect_part(d, "EXPLAIN SELECT n FROM t WHERE name BETWEEN 'name 000100' AND 'name 000200'", "Search t using index t_name");
    expect_part(d, "EXPLAIN SELECT n FROM t WHERE name BETWEEN 'name 000100' AND 'name 018200'", "Scan t, where");
    expect_part(d, "EXPLAIN SELECT n FROM t WHERE name > 'name 001'", "Scan t, where");
    expect_part(d, "EXPLAIN SELECT n FROM t WHERE name > 'name 1'", "Search t using index t_name");
    expect_part(d, "EXPLAIN SELECT n FROM t WHERE name < 'a'", "Search t using index t_name");
    expect_part(d, "EXPLAIN SELECT n FROM t WHERE name BETWEEN ?1 AND ?2", "Search t using index t_name");
    expect_part(d, "EXPLAIN SELECT n FROM t WHERE any > 'x'", "Scan t, where"); /* numbers and texts: nothing is known */
    expect_rows(d, "SELECT count(*) FROM t WHERE name BETWEEN 'name 000100' AND 'name 000200' AND word > 'W'", "101\n");
    help_close(d);
}

/* Figures are made anew when the table has doubled, and plans with them; not before. */
static void test_figures_grow_old(void)
{
    db *d = help_memory();
    struct catalog *c;
    double rows;
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY)");
    run_sql(d, "INSERT INTO t SELECT value FROM generate_series(1, 4000)");
    const struct table_def *t = table_of(d, "t", &c);
    CU_ASSERT_TRUE(stats_rows(d, t, &rows));
    uint64_t epoch = stats_epoch(d);
    run_sql(d, "INSERT INTO t SELECT value FROM generate_series(4001, 7000)");
    CU_ASSERT_TRUE(stats_rows(d, t, &rows));
    CU_ASSERT_EQUAL(rows, 4000);
    CU_ASSERT_EQUAL(stats_epoch(d), epoch);
    run_sql(d, "INSERT INTO t SELECT value FROM generate_series(7001, 9000)");
    CU_ASSERT_NOT_EQUAL(stats_epoch(d), epoch);
    CU_ASSERT_TRUE(stats_rows(d, t, &rows));
    CU_ASSERT_EQUAL(rows, 9000);
    run_sql(d, "DELETE FROM t");
    CU_ASSERT_FALSE(stats_rows(d, t, &rows));
    catalog_unref(c);
    help_close(d);
}

static void test_index_or_scan(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, few INTEGER, many INTEGER)");
    run_sql(d, "CREATE INDEX t_few ON t(few)");
    run_sql(d, "CREATE INDEX t_many ON t(many)");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE few = 1", "t_few"); /* nothing is known: an index is the safer way */
    run_sql(d, "INSERT INTO t SELECT value, value % 3, value % 10000 FROM generate_series(1, 40000)");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE few = 1", "Scan t");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE many = 1", "t_many");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE few = 1 AND many = 1", "t_many");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE many BETWEEN 10 AND 20", "t_many");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE many BETWEEN 10 AND 9000", "Scan t");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE many > 9990", "t_many");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE many > 20000", "t_many");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE few < 1 OR few IS NULL", "(about 20000 rows)");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE id = 7", "(about 1 rows)");
    help_close(d);
}

/* Small tables first, so that the large ones are met by few rows; and the answer is the same as in any order. */
static void test_join_order(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE region(id INTEGER PRIMARY KEY, name TEXT)");
    run_sql(d, "CREATE TABLE cust(id INTEGER PRIMARY KEY, region INTEGER)");
    run_sql(d, "CREATE TABLE ord(id INTEGER PRIMARY KEY, cust INTEGER, day INTEGER)");
    run_sql(d, "CREATE TABLE line(ord INTEGER, n INTEGER, qty INTEGER, PRIMARY KEY (ord, n))");
    run_sql(d, "INSERT INTO region SELECT value, 'r' || value FROM generate_series(1, 5)");
    run_sql(d, "INSERT INTO cust SELECT value, value % 5 + 1 FROM generate_series(1, 500)");
    run_sql(d, "INSERT INTO ord SELECT value, value % 500 + 1, value % 1000 FROM generate_series(1, 5000)");
    run_sql(d, "INSERT INTO line SELECT (value - 1) / 4 + 1, value % 4, value % 10 FROM generate_series(1, 20000)");
    static const char query[] = "SELECT count(*), sum(l.qty) FROM line l, ord o, cust c, region r WHERE l.ord = o.id AND o.cust = c.id AND c.region = r.id "
                                "AND r.name = 'r3' AND o.day = 1";
    char explain[400];
    (void)snprintf(explain, sizeof explain, "EXPLAIN %s", query);
    expect_part(d, explain, "Look up line AS l");
    expect_rows(d, query, "20|50\n");
    expect_rows(d, "SELECT count(*) FROM line l JOIN ord o ON l.ord = o.id WHERE o.id = 77", "4\n");
    expect_part(d, "EXPLAIN SELECT * FROM line l JOIN ord o ON l.ord = o.id", "Merge join"); /* all of both, which stand in this order */
    expect_part(d, "EXPLAIN SELECT * FROM ord o JOIN cust c ON o.cust = c.id", "Hash join");
    help_close(d);
}

static void test_analyze(void)
{
    db *d = help_memory();
    struct catalog *c;
    struct err err = ERR_INIT;
    double rows;
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER)");
    run_sql(d, "CREATE INDEX t_x ON t(x)");
    run_sql(d, "INSERT INTO t SELECT value, value FROM generate_series(1, 100)");
    const struct table_def *t = table_of(d, "t", &c);
    CU_ASSERT_TRUE(stats_rows(d, t, &rows));
    run_sql(d, "INSERT INTO t SELECT value, value FROM generate_series(101, 150)");
    CU_ASSERT_TRUE(stats_rows(d, t, &rows));
    CU_ASSERT_EQUAL(rows, 100);
    uint64_t epoch = stats_epoch(d);
    OK(stats_analyze(d, t, &err));
    CU_ASSERT_TRUE(stats_rows(d, t, &rows));
    CU_ASSERT_EQUAL(rows, 150);
    CU_ASSERT_NOT_EQUAL(stats_epoch(d), epoch);
    catalog_unref(c);
    help_close(d);
}

const char *const unit_suite = "stats";
const struct unit_test unit_tests[] = {
    {"test_stats_figures", test_figures},
    {"test_stats_text_ranges", test_text_ranges},
    {"test_stats_figures_grow_old", test_figures_grow_old},
    {"test_stats_index_or_scan", test_index_or_scan},
    {"test_stats_join_order", test_join_order},
    {"test_stats_analyze", test_analyze},
    {NULL, NULL},
};
