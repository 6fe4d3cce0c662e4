/* test_view.c - views: what they show, what they refuse, how they merge. */
#include "cluster_help.h"
#include "query_help.h"

static void tables(db *d)
{
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER, y TEXT)");
    run_sql(d, "INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')");
}

static void test_view_shows_its_query(void)
{
    db *d = help_memory();
    tables(d);
    run_sql(d, "CREATE VIEW v AS SELECT id, x * 2 AS d, y FROM t WHERE x > 10");
    run_sql(d, "CREATE VIEW w(k, n) AS SELECT y, count(*) FROM v GROUP BY y");
    expect_rows(d, "SELECT * FROM v", "2|40|b\n3|60|c\n");
    expect_rows(d, "SELECT z.y, V.d FROM v z JOIN main.v ON v.id = z.id WHERE z.d > 40", "c|60\n");
    expect_rows(d, "SELECT * FROM w ORDER BY k", "b|1\nc|1\n");
    expect_rows(d, "SELECT q.b FROM w AS q(a, b) WHERE a = 'c'", "1\n");
    expect_rows(d, "SELECT t.id, v.d FROM t LEFT JOIN v ON v.id = t.id ORDER BY t.id", "1|NULL\n2|40\n3|60\n");
    expect_rows(d, "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM v WHERE v.id = t.id) ORDER BY id", "2\n3\n");
    run_sql(d, "UPDATE t SET x = 100 WHERE id = 1");
    expect_rows(d, "SELECT sum(d) FROM v", "300\n");
    expect_part(d, "EXPLAIN SELECT * FROM v WHERE id = 2", "primary key (id = ?)"); /* merged into the query */
    help_close(d);
}

/* No name of the statement around it is seen within. */
static void test_view_is_closed(void)
{
    db *d = help_memory();
    tables(d);
    run_sql(d, "CREATE VIEW v AS SELECT id FROM t");
    expect_rows(d, "WITH t AS (SELECT 99 AS id) SELECT count(*) FROM v, t", "3\n");
    expect_rows(d, "WITH v AS (SELECT 7 AS id) SELECT id FROM v", "7\n");
    expect_error(d, "CREATE VIEW o AS SELECT id FROM t WHERE id = outer_name", QUARTET_ERROR, "no such column: outer_name", -1);
    expect_error(d, "CREATE VIEW o AS SELECT id + ? FROM t", QUARTET_ERROR, "parameters", -2);
    expect_error(d, "CREATE VIEW o(a, b) AS SELECT id FROM t", QUARTET_ERROR, "it names 2 columns, its query has 1", -1);
    help_close(d);
}

static void test_view_refuses(void)
{
    db *d = help_memory();
    tables(d);
    run_sql(d, "CREATE VIEW v AS SELECT id FROM t");
    expect_error(d, "INSERT INTO v VALUES (1)", QUARTET_ERROR, "v is a view", 12);
    expect_error(d, "UPDATE v SET id = 1", QUARTET_ERROR, "v is a view", -2);
    expect_error(d, "DELETE FROM v", QUARTET_ERROR, "v is a view", -2);
    expect_error(d, "CREATE VIEW v AS SELECT 1", QUARTET_ERROR, "view v already exists", 12);
    expect_error(d, "CREATE TABLE v(a)", QUARTET_ERROR, "view v already exists", -2);
    expect_error(d, "CREATE VIEW t AS SELECT 1", QUARTET_ERROR, "table t already exists", -2);
    expect_error(d, "ALTER TABLE t RENAME TO v", QUARTET_ERROR, "view v already exists", -2);
    expect_error(d, "DROP TABLE v", QUARTET_ERROR, "use DROP VIEW", 11);
    expect_error(d, "DROP VIEW t", QUARTET_ERROR, "use DROP TABLE", 10);
    expect_error(d, "DROP VIEW gone", QUARTET_ERROR, "no such view: gone", 10);
    run_sql(d, "DROP VIEW IF EXISTS gone");
    run_sql(d, "CREATE VIEW IF NOT EXISTS v AS SELECT 2");
    expect_rows(d, "SELECT count(*) FROM v", "3\n");
    run_sql(d, "CREATE OR REPLACE VIEW v AS SELECT 2 AS two");
    expect_rows(d, "SELECT two FROM v", "2\n");
    run_sql(d, "DROP VIEW v");
    expect_error(d, "SELECT * FROM v", QUARTET_ERROR, "no such table: v", 14);
    help_close(d);
}

/* What a view names may go or change: the statement that reads it says so; two that name each other end. */
static void test_view_whose_tables_change(void)
{
    db *d = help_memory();
    tables(d);
    run_sql(d, "CREATE VIEW v AS SELECT * FROM t");
    run_sql(d, "ALTER TABLE t ADD COLUMN z INTEGER DEFAULT 5");
    expect_rows(d, "SELECT z FROM v WHERE id = 1", "5\n");
    run_sql(d, "CREATE VIEW a AS SELECT * FROM v");
    run_sql(d, "DROP VIEW v");
    run_sql(d, "CREATE TABLE v(q)"); /* a names v still */
    run_sql(d, "DROP TABLE v");
    expect_error(d, "SELECT * FROM a", QUARTET_ERROR, "view a: no such table: v", 14);
    expect_error(d, "CREATE VIEW v AS SELECT * FROM a", QUARTET_LIMIT, "in a circle", -1);
    help_close(d);
}

static void test_view_reaches_others(void)
{
    struct prng r;
    prng_seed(&r, 11);
    struct cluster *c = cluster_new(2);
    tables(c->d[0]);
    cluster_exchange(c, &r);
    run_sql(c->d[0], "CREATE VIEW v AS SELECT id FROM t");
    run_sql(c->d[1], "CREATE VIEW v AS SELECT id FROM t"); /* the same: one view */
    run_sql(c->d[0], "CREATE VIEW x AS SELECT 1 AS one");
    run_sql(c->d[1], "CREATE TABLE x(a INTEGER PRIMARY KEY)"); /* another thing of that name, later */
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 2; i++) {
        struct catalog *cat = db_catalog(c->d[i]);
        expect_rows(c->d[i], "SELECT count(*) FROM v", "3\n");
        uint32_t users = 0;
        const struct view_def *v;
        for (uint32_t k = 0; (v = catalog_view_at(cat, k)) != NULL; k++)
            users += !v->is_system;
        CU_ASSERT_EQUAL(users, 2);
        CU_ASSERT((catalog_view(cat, "x") != NULL) != (catalog_table(cat, "x") != NULL)); /* one of them has the name */
        catalog_unref(cat);
    }
    struct catalog *one = db_catalog(c->d[0]), *two = db_catalog(c->d[1]);
    CU_ASSERT_EQUAL(catalog_view(one, "x") != NULL, catalog_view(two, "x") != NULL);
    catalog_unref(one);
    catalog_unref(two);
    run_sql(c->d[1], "DROP VIEW v");
    cluster_exchange(c, &r);
    expect_error(c->d[0], "SELECT * FROM v", QUARTET_ERROR, "no such table: v", -2);
    cluster_free(c);
}

const char *const unit_suite = "view";
const struct unit_test unit_tests[] = {
    {"shows its query", test_view_shows_its_query},
    {"is closed", test_view_is_closed},
    {"refuses", test_view_refuses},
    {"tables change", test_view_whose_tables_change},
    {"reaches others", test_view_reaches_others},
    {NULL, NULL},
};
