/* test_foreign_key.c - FOREIGN KEY as one node holds it: checks of both tables, every action. */
#include "query_help.h"

static void setup(db *d, const char *action)
{
    char sql[256];
    run_sql(d, "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE)");
    (void)snprintf(sql, sizeof sql, "CREATE TABLE c(id INTEGER PRIMARY KEY, pid INTEGER DEFAULT 3 REFERENCES p %s)", action);
    run_sql(d, sql);
    run_sql(d, "INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    run_sql(d, "INSERT INTO c VALUES (10, 1), (11, 1), (12, 2), (13, NULL)");
}

static void test_foreign_key_of_the_child(void)
{
    db *d = help_memory();
    setup(d, "");
    expect_error(d, "INSERT INTO c VALUES (14, 9)", QUARTET_CONSTRAINT, "c (pid = 9) references p, which has no such row", -1);
    expect_error(d, "UPDATE c SET pid = 9 WHERE id = 10", QUARTET_CONSTRAINT, "references p", -1);
    expect_error(d, "INSERT OR IGNORE INTO c VALUES (14, 9)", QUARTET_CONSTRAINT, "references p", -1); /* as in SQLite */
    run_sql(d, "UPDATE c SET pid = 2 WHERE id = 10");
    run_sql(d, "UPDATE c SET pid = NULL WHERE id = 11");
    run_sql(d, "INSERT INTO c(id) VALUES (15)");
    expect_rows(d, "SELECT id, pid FROM c ORDER BY id", "10|2\n11|NULL\n12|2\n13|NULL\n15|3\n");
    help_close(d);
}

static void test_foreign_key_no_action(void)
{
    db *d = help_memory();
    setup(d, "");
    expect_error(d, "DELETE FROM p WHERE id = 1", QUARTET_CONSTRAINT, "rows of c (pid = 1) reference this row of p", -1);
    expect_error(d, "UPDATE p SET id = 5 WHERE id = 2", QUARTET_CONSTRAINT, "rows of c", -1);
    run_sql(d, "DELETE FROM p WHERE id = 3");
    run_sql(d, "UPDATE p SET name = 'x' WHERE id = 1"); /* not the key */
    expect_rows(d, "SELECT count(*) FROM p", "2\n");
    run_sql(d, "REPLACE INTO p VALUES (1, 'again')"); /* the key is there again at the end */
    expect_error(d, "DROP TABLE p", QUARTET_CONSTRAINT, "referenced by a FOREIGN KEY of table c", -2);
    run_sql(d, "DROP TABLE p, c");
    help_close(d);
}

static void test_foreign_key_restrict(void)
{
    db *d = help_memory();
    setup(d, "ON DELETE RESTRICT ON UPDATE RESTRICT");
    expect_error(d, "DELETE FROM p", QUARTET_CONSTRAINT, "reference this row of p", -1);
    expect_error(d, "REPLACE INTO p VALUES (1, 'again')", QUARTET_CONSTRAINT, "reference this row", -1);
    expect_error(d, "UPDATE p SET id = id + 10", QUARTET_CONSTRAINT, "reference this row of p", -1);
    expect_rows(d, "SELECT count(*) FROM p", "3\n");
    help_close(d);
}

static void test_foreign_key_cascade(void)
{
    db *d = help_memory();
    setup(d, "ON DELETE CASCADE ON UPDATE CASCADE");
    run_sql(d, "UPDATE p SET id = id + 100");
    expect_rows(d, "SELECT id, pid FROM c ORDER BY id", "10|101\n11|101\n12|102\n13|NULL\n");
    run_sql(d, "DELETE FROM p WHERE id = 101");
    expect_rows(d, "SELECT id, pid FROM c ORDER BY id", "12|102\n13|NULL\n");
    run_sql(d, "REPLACE INTO p VALUES (102, 'new')"); /* the old row goes, and takes its children along */
    expect_rows(d, "SELECT id FROM c", "13\n");
    help_close(d);
}

static void test_foreign_key_set(void)
{
    db *d = help_memory();
    setup(d, "ON DELETE SET NULL ON UPDATE SET DEFAULT");
    run_sql(d, "DELETE FROM p WHERE id = 1");
    expect_rows(d, "SELECT id, pid FROM c ORDER BY id", "10|NULL\n11|NULL\n12|2\n13|NULL\n");
    run_sql(d, "UPDATE p SET id = 20 WHERE id = 2");
    expect_rows(d, "SELECT id, pid FROM c WHERE id = 12", "12|3\n");
    expect_error(d, "UPDATE p SET id = 30 WHERE id = 3", QUARTET_CONSTRAINT, "rows of c (pid = 3) reference this row", -1); /* the default is what goes */
    help_close(d);
}

/* Rows of one statement may come in any order; a chain of cascades within one table goes all the way. */
static void test_foreign_key_to_the_same_table(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE r(id INTEGER PRIMARY KEY, up INTEGER REFERENCES r ON DELETE CASCADE)");
    run_sql(d, "INSERT INTO r VALUES (2, 1), (1, NULL), (3, 2), (7, 7)");
    expect_error(d, "INSERT INTO r VALUES (4, 5)", QUARTET_CONSTRAINT, "references r", -1);
    run_sql(d, "INSERT INTO r SELECT value, value - 1 FROM generate_series(8, 60)");
    run_sql(d, "DELETE FROM r WHERE id = 7");
    expect_rows(d, "SELECT count(*) FROM r", "3\n");
    run_sql(d, "DELETE FROM r WHERE id < 3"); /* 2 goes by cascade before the scan comes to it */
    expect_rows(d, "SELECT count(*) FROM r", "0\n");
    run_sql(d, "INSERT INTO r SELECT value, CASE value WHEN 1 THEN NULL ELSE value - 1 END FROM generate_series(1, 400)");
    expect_error(d, "DELETE FROM r WHERE id = 1", QUARTET_LIMIT, "more than 200 deep", -2);
    expect_rows(d, "SELECT count(*) FROM r", "400\n");
    help_close(d);
}

static void test_foreign_key_of_several_columns(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE p(a INTEGER, b TEXT, PRIMARY KEY (a, b))");
    run_sql(d, "CREATE TABLE c(x INTEGER, y TEXT, FOREIGN KEY (x, y) REFERENCES p(a, b) ON UPDATE CASCADE)");
    run_sql(d, "INSERT INTO p VALUES (1, 'a'), (1, 'b')");
    run_sql(d, "INSERT INTO c VALUES (1, 'a'), (1, NULL), (NULL, 'q')");
    expect_error(d, "INSERT INTO c VALUES (1, 'c')", QUARTET_CONSTRAINT, "c (x = 1, y = 'c') references p", -1);
    run_sql(d, "UPDATE p SET b = 'z' WHERE b = 'a'");
    expect_rows(d, "SELECT y FROM c ORDER BY y", "NULL\nq\nz\n");
    run_sql(d, "CREATE TABLE e(x INTEGER, FOREIGN KEY (x) REFERENCES p(a))");
    expect_error(d, "INSERT INTO e VALUES (1)", QUARTET_ERROR, "foreign key mismatch", -2);
    run_sql(d, "CREATE TABLE f(x INTEGER REFERENCES nowhere)");
    expect_error(d, "INSERT INTO f VALUES (1)", QUARTET_CONSTRAINT, "references nowhere, which has no such row", -1);
    run_sql(d, "INSERT INTO f VALUES (NULL)");
    help_close(d);
}

static void test_foreign_key_switched_off(void)
{
    db *d = help_memory();
    struct exec_limits off = {.no_foreign_keys = true};
    struct err err = ERR_INIT;
    setup(d, "ON DELETE CASCADE");
    OK(query_try(d, "INSERT INTO c VALUES (20, 99)", &off, NULL, &err));
    OK(query_try(d, "DELETE FROM p WHERE id = 1", &off, NULL, &err));
    expect_rows(d, "SELECT id FROM c ORDER BY id", "12\n13\n"); /* what is left dangling is an orphan: out of sight until its parent is there */
    run_sql(d, "INSERT INTO p VALUES (1, 'again')");
    expect_rows(d, "SELECT id FROM c ORDER BY id", "10\n11\n12\n13\n");
    run_sql(d, "INSERT INTO p VALUES (99, 'late')");
    expect_rows(d, "SELECT count(*) FROM c", "5\n");
    help_close(d);
}

const char *const unit_suite = "foreign_key";
const struct unit_test unit_tests[] = {
    {"of the child", test_foreign_key_of_the_child},
    {"no action", test_foreign_key_no_action},
    {"restrict", test_foreign_key_restrict},
    {"cascade", test_foreign_key_cascade},
    {"set", test_foreign_key_set},
    {"to the same table", test_foreign_key_to_the_same_table},
    {"of several columns", test_foreign_key_of_several_columns},
    {"switched off", test_foreign_key_switched_off},
    {NULL, NULL},
};
