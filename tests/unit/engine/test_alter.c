/* test_alter.c - ALTER TABLE: what columns are afterwards, what is refused, how several nodes' changes come together. */
#include "cluster_help.h"
#include "query_help.h"

static void setup(db *d)
{
    run_sql(d, "CREATE TABLE p(id INTEGER PRIMARY KEY)");
    run_sql(d, "INSERT INTO p VALUES (1)");
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, lo INTEGER CHECK (lo > 0), hi INTEGER DEFAULT 9, s TEXT, pid INTEGER REFERENCES p,"
               " CHECK (lo < hi AND s <> 'lo'), UNIQUE (s))");
    run_sql(d, "CREATE INDEX ix ON t(hi)");
    run_sql(d, "INSERT INTO t VALUES (1, 1, 5, 'a', 1)");
}

/* The text of the definition, as SHOW CREATE TABLE gives it. */
static void expect_definition(db *d, const char *table, const char *want)
{
    struct catalog *c = db_catalog(d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(catalog_table(c, table));
    if (strcmp(catalog_table(c, table)->sql, want) != 0)
        printf("\n  want: %s\n  got:  %s\n", want, catalog_table(c, table)->sql);
    CU_ASSERT_STRING_EQUAL(catalog_table(c, table)->sql, want);
    catalog_unref(c);
}

static void test_alter_rename_column(void)
{
    db *d = help_memory();
    setup(d);
    run_sql(d, "ALTER TABLE t RENAME COLUMN lo TO low");
    run_sql(d, "ALTER TABLE t RENAME hi TO \"high one\"");
    expect_definition(d, "t", "CREATE TABLE t (id INTEGER PRIMARY KEY, low INTEGER CHECK (low > 0), \"high one\" INTEGER DEFAULT 9, s TEXT, "
                              "pid INTEGER REFERENCES p, CHECK (low < \"high one\" AND s <> 'lo'), UNIQUE (s))");
    expect_error(d, "INSERT INTO t(id, low, s) VALUES (2, 9, 'b')", QUARTET_CONSTRAINT, "low < \"high one\"", -2);
    expect_error(d, "INSERT INTO t(id, low, s) VALUES (2, 0, 'b')", QUARTET_CONSTRAINT, "low > 0", -2);
    run_sql(d, "INSERT INTO t(id, low, s) VALUES (2, 2, 'b')");
    expect_rows(d, "SELECT * FROM t", "1|1|5|a|1\n2|2|9|b|NULL\n");
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE \"high one\" = 5", "using index ix");
    run_sql(d, "ALTER TABLE t RENAME \"high one\" TO x"); /* a second time: the index goes along */
    run_sql(d, "ALTER TABLE t RENAME low TO hi");          /* a name that was another column's */
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE x = 5", "using index ix");
    expect_rows(d, "SELECT hi, x FROM t WHERE id = 2", "2|9\n");
    expect_error(d, "INSERT INTO t(id, hi, s) VALUES (3, 9, 'c')", QUARTET_CONSTRAINT, "hi < x", -2);
    expect_error(d, "ALTER TABLE t RENAME x TO s", QUARTET_ERROR, "already has a column s", -2);
    expect_error(d, "ALTER TABLE t RENAME gone TO y", QUARTET_ERROR, "no such column: gone", -2);
    run_sql(d, "ALTER TABLE p RENAME TO q"); /* the key's text says p(id) still */
    run_sql(d, "ALTER TABLE q RENAME COLUMN id TO number");
    run_sql(d, "INSERT INTO t(id, hi, s, pid) VALUES (3, 3, 'c', 1)");
    expect_error(d, "INSERT INTO t(id, hi, s, pid) VALUES (4, 3, 'd', 2)", QUARTET_CONSTRAINT, "FOREIGN KEY", -2);
    expect_error(d, "DELETE FROM q", QUARTET_CONSTRAINT, "FOREIGN KEY", -2);
    help_close(d);
}

static void test_alter_drop_column(void)
{
    db *d = help_memory();
    setup(d);
    expect_error(d, "ALTER TABLE t DROP COLUMN lo", QUARTET_ERROR, "CHECK (lo > 0) names it", 26);
    expect_error(d, "ALTER TABLE t DROP COLUMN s", QUARTET_ERROR, "index t_unique_1 holds it", -2);
    expect_error(d, "ALTER TABLE t DROP COLUMN id", QUARTET_ERROR, "primary key", -2);
    expect_error(d, "ALTER TABLE t DROP COLUMN pid", QUARTET_ERROR, "FOREIGN KEY to p", -2);
    expect_error(d, "ALTER TABLE p DROP COLUMN id", QUARTET_ERROR, "primary key", -2);
    run_sql(d, "ALTER TABLE t DROP COLUMN IF EXISTS gone");
    run_sql(d, "ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 7");
    run_sql(d, "ALTER TABLE t ADD COLUMN m TEXT");
    run_sql(d, "INSERT INTO t VALUES (2, 1, 5, 'b', NULL, 8, 'm')");
    run_sql(d, "ALTER TABLE t DROP COLUMN n");
    expect_rows(d, "SELECT * FROM t", "1|1|5|a|1|NULL\n2|1|5|b|NULL|m\n");
    run_sql(d, "INSERT INTO t VALUES (3, 1, 5, 'c', NULL, 'mm')");
    run_sql(d, "INSERT INTO t VALUES (3, 1, 5, 'c', NULL, 'x') ON CONFLICT (id) DO UPDATE SET m = excluded.m || '!'");
    run_sql(d, "UPDATE t SET m = 'y', hi = 6 WHERE id = 2");
    expect_rows(d, "SELECT id, hi, m FROM t", "1|5|NULL\n2|6|y\n3|5|x!\n");
    run_sql(d, "ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 7"); /* the same again is another column */
    expect_rows(d, "SELECT id, n FROM t", "1|7\n2|7\n3|7\n");
    run_sql(d, "CREATE TABLE one(a)");
    expect_error(d, "ALTER TABLE one DROP COLUMN a", QUARTET_ERROR, "the table's last", -2);
    expect_error(d, "SELECT n FROM t WHERE \"\" = 1", QUARTET_ERROR, "", -2); /* the nameless one is out of reach */
    help_close(d);
}

static void test_alter_default_and_not_null(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER DEFAULT 1)");
    run_sql(d, "ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 2");
    run_sql(d, "INSERT INTO t(id, b) VALUES (1, NULL)");
    run_sql(d, "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 3");
    run_sql(d, "ALTER TABLE t ALTER COLUMN c SET DEFAULT 30, ALTER a DROP DEFAULT"); /* old rows keep showing 3 */
    run_sql(d, "INSERT INTO t(id) VALUES (2)");
    expect_rows(d, "SELECT * FROM t", "1|1|NULL|3\n2|NULL|2|30\n");
    expect_error(d, "ALTER TABLE t ALTER b SET NOT NULL", QUARTET_CONSTRAINT, "holds NULLs", -2);
    run_sql(d, "UPDATE t SET b = 0 WHERE b IS NULL");
    run_sql(d, "ALTER TABLE t ALTER b SET NOT NULL");
    expect_error(d, "UPDATE t SET b = NULL", QUARTET_CONSTRAINT, "NOT NULL constraint failed: t.b", -2);
    run_sql(d, "ALTER TABLE t ALTER b DROP NOT NULL");
    run_sql(d, "UPDATE t SET b = NULL");
    expect_error(d, "ALTER TABLE t ALTER a SET DEFAULT (nope + 1)", QUARTET_ERROR, "DEFAULT of", -2);
    expect_error(d, "ALTER TABLE t ALTER a TYPE TEXT", QUARTET_ERROR, "cannot change its type so", -2);
    help_close(d);
}

/* Each node changes the table while others write rows under the old schema, and change it too. */
static void test_alter_on_separated_nodes(void)
{
    static const char *const tables[] = {"t", NULL};
    struct prng r;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        prng_seed(&r, seed);
        struct cluster *c = cluster_new(3);
        run_sql(c->d[0], "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, c INTEGER)");
        run_sql(c->d[0], "INSERT INTO t VALUES (1, 10, 100, 1000)");
        cluster_exchange(c, &r);
        run_sql(c->d[0], "ALTER TABLE t DROP COLUMN b");
        run_sql(c->d[0], "INSERT INTO t VALUES (2, 20, 2000)");
        run_sql(c->d[1], "INSERT INTO t VALUES (3, 30, 300, 3000)"); /* b, which is dropped elsewhere */
        run_sql(c->d[1], "UPDATE t SET b = 5, c = 1001 WHERE id = 1");
        run_sql(c->d[1], "ALTER TABLE t RENAME COLUMN a TO x");
        run_sql(c->d[1], "CREATE INDEX ib ON t(b)"); /* of nothing, afterwards */
        run_sql(c->d[2], "ALTER TABLE t RENAME COLUMN c TO x"); /* two columns of one name */
        run_sql(c->d[2], "ALTER TABLE t ADD COLUMN e INTEGER DEFAULT 9");
        run_sql(c->d[2], "INSERT INTO t VALUES (4, 40, 400, 4000, 8)");
        cluster_exchange(c, &r);
        cluster_expect_equal(c, tables, seed);
        for (uint32_t i = 0; i < 3; i++) {
            expect_rows(c->d[i], "SELECT * FROM t ORDER BY id", "1|10|1001|9\n2|20|2000|9\n3|30|3000|9\n4|40|4000|8\n");
            expect_rows(c->d[i], "SELECT x FROM t WHERE id = 1", "10\n"); /* the one that stands first has the name */
            expect_rows(c->d[i], "SELECT x_3 FROM t WHERE id = 1", "1001\n");
        }
        cluster_free(c);
    }
}

/* The last two columns, each dropped by another node: one stays. */
static void test_alter_drops_that_would_leave_nothing(void)
{
    struct prng r;
    prng_seed(&r, 3);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE t(a INTEGER, b INTEGER)");
    run_sql(c->d[0], "INSERT INTO t VALUES (1, 2)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "ALTER TABLE t DROP COLUMN a");
    run_sql(c->d[1], "ALTER TABLE t DROP COLUMN b");
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 2; i++)
        expect_rows(c->d[i], "SELECT * FROM t", "1\n");
    cluster_free(c);
}

static void test_alter_column_type(void)
{
    struct prng r;
    prng_seed(&r, 3);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, a DECIMAL(6,2), s VARCHAR(10), n INT, b BOOLEAN, x, k INTEGER COUNTER)");
    run_sql(c->d[0], "CREATE INDEX t_a ON t (a)");
    run_sql(c->d[0], "INSERT INTO t VALUES (1, 1.50, 'abc', 7, TRUE, 'any', 3)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "ALTER TABLE t ALTER COLUMN a TYPE DECIMAL(12,2), ALTER s SET DATA TYPE TEXT, ALTER n TYPE BIGINT, ALTER b TYPE INTEGER");
    run_sql(c->d[1], "INSERT INTO t VALUES (2, 9999.99, 'q', 8, FALSE, 1, 4)"); /* it does not know of that */
    run_sql(c->d[0], "INSERT INTO t VALUES (3, 9999999999.99, 'longer', 9, 5, 2, 5)");
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 2; i++) {
        expect_rows(c->d[i], "SELECT id, a, s, n, b FROM t ORDER BY a", "1|1.50|abc|7|1\n2|9999.99|q|8|0\n3|9999999999.99|longer|9|5\n");
        expect_rows(c->d[i], "SELECT id FROM t WHERE a = 9999999999.99", "3\n");
        expect_definition(c->d[i], "t", "CREATE TABLE t (id INTEGER PRIMARY KEY, a DECIMAL(12, 2), s TEXT, n BIGINT, b INTEGER, x, k INTEGER COUNTER)");
    }
    cluster_expect_equal(c, (const char *const[]){"t", NULL}, 3);
    static const char *const refused[] = {"a TYPE DECIMAL(10,2)", "a TYPE DECIMAL(14,3)", "a TYPE DECIMAL", "a TYPE TEXT", "n TYPE BOOLEAN", "x TYPE TEXT", "s TYPE BLOB", "n TYPE REAL"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char sql[100];
        (void)snprintf(sql, sizeof sql, "ALTER TABLE t ALTER COLUMN %s", refused[i]);
        expect_error(c->d[0], sql, QUARTET_ERROR, "cannot change its type so", -2);
    }
    run_sql(c->d[0], "ALTER TABLE t ALTER COLUMN k TYPE BIGINT"); /* a COUNTER stays one */
    run_sql(c->d[0], "UPDATE t SET k = k + 1");
    expect_rows(c->d[0], "SELECT sum(k) FROM t", "15\n");
    cluster_free(c);
}

const char *const unit_suite = "alter";
const struct unit_test unit_tests[] = {
    {"column type", test_alter_column_type},
    {"rename column", test_alter_rename_column},
    {"drop column", test_alter_drop_column},
    {"default and not null", test_alter_default_and_not_null},
    {"on separated nodes", test_alter_on_separated_nodes},
    {"drops that would leave nothing", test_alter_drops_that_would_leave_nothing},
    {NULL, NULL},
};
