/* test_schema_tables.c - information_schema. */
#include "query_help.h"

static void test_schema_tables(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE p(id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL UNIQUE)");
    run_sql(d, "CREATE TABLE c(a INTEGER, b DECIMAL(8, 2) DEFAULT 1.5, pid INTEGER, CONSTRAINT positive CHECK (a > 0), PRIMARY KEY (a, pid),"
               " FOREIGN KEY (pid) REFERENCES p ON DELETE CASCADE)");
    run_sql(d, "CREATE INDEX cb ON c(b DESC)");
    run_sql(d, "CREATE VIEW v(x, y) AS SELECT name, id + 1 FROM p");
    run_sql(d, "CREATE VIEW w AS SELECT table_name, count(*) AS n FROM information_schema.columns GROUP BY 1"); /* of itself, too */
    run_sql(d, "CREATE TRIGGER g AFTER INSERT ON c BEGIN SELECT 1; END");
    expect_rows(d, "SELECT table_name, table_type FROM information_schema.tables ORDER BY 1", "c|BASE TABLE\np|BASE TABLE\nv|VIEW\nw|VIEW\n");
    expect_rows(d, "SELECT column_name, ordinal_position, column_default, is_nullable, data_type, numeric_precision, column_key FROM information_schema.columns"
                   " WHERE table_name = 'C' ORDER BY 2", "a|1|NULL|NO|INTEGER|NULL|PRI\nb|2|1.5|YES|DECIMAL|8|MUL\npid|3|NULL|NO|INTEGER|NULL|PRI\n");
    expect_rows(d, "SELECT i.column_name, i.data_type, i.column_type FROM INFORMATION_SCHEMA.COLUMNS AS i WHERE i.table_name = 'v'", "x|TEXT|VARCHAR(40)\ny|INTEGER|\n");
    expect_rows(d, "SELECT * FROM w ORDER BY 1", "c|3\np|2\nv|2\nw|2\n");
    expect_rows(d, "SELECT constraint_name, constraint_type FROM information_schema.table_constraints WHERE table_name = 'c' ORDER BY 2",
                "positive|CHECK\nc_foreign_1|FOREIGN KEY\nPRIMARY|PRIMARY KEY\n");
    expect_rows(d, "SELECT column_name, referenced_table_name, referenced_column_name FROM information_schema.key_column_usage WHERE table_name = 'c'",
                "a|NULL|NULL\npid|NULL|NULL\npid|p|id\n");
    expect_rows(d, "SELECT delete_rule, update_rule FROM information_schema.referential_constraints", "CASCADE|NO ACTION\n");
    expect_rows(d, "SELECT index_name, column_name, non_unique, collation FROM information_schema.statistics WHERE table_name = 'c'",
                "PRIMARY|a|0|A\nPRIMARY|pid|0|A\ncb|b|1|D\nc_foreign_1|pid|1|A\n");
    expect_rows(d, "SELECT trigger_name, action_timing FROM information_schema.triggers", "g|AFTER\n");
    expect_rows(d, "SELECT table_name FROM information_schema.views WHERE view_definition LIKE '%id + 1%'", "v\n");
    expect_error(d, "SELECT * FROM information_schema.nothing", QUARTET_ERROR, "there are schemata, tables", 33);
    run_sql(d, "ALTER TABLE p RENAME TO q");
    expect_rows(d, "SELECT count(*) FROM information_schema.columns WHERE table_name = 'q'", "2\n");
    help_close(d);
}

static void test_schema_tables_comments(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT COMMENT 'declared') COMMENT 'a table'");
    run_sql(d, "CREATE INDEX i ON p(name)");
    run_sql(d, "CREATE VIEW v AS SELECT name FROM p");
    run_sql(d, "CREATE TRIGGER g AFTER INSERT ON p BEGIN SELECT 1; END");
    expect_rows(d, "SELECT table_name, table_comment FROM information_schema.tables", "p|a table\nv|NULL\n");
    expect_rows(d, "SELECT column_name, column_comment FROM information_schema.columns WHERE table_name = 'p'", "id|NULL\nname|declared\n");
    run_sql(d, "COMMENT ON TABLE main.p IS 'it''s one'");
    run_sql(d, "COMMENT ON COLUMN p.id IS 'which'");
    run_sql(d, "COMMENT ON COLUMN p.name IS NULL");
    run_sql(d, "COMMENT ON INDEX i IS 'by name'");
    run_sql(d, "COMMENT ON VIEW v IS 'names'");
    run_sql(d, "COMMENT ON TRIGGER g IS 'nothing'");
    expect_rows(d, "SELECT table_name, table_comment FROM information_schema.tables", "p|it's one\nv|names\n");
    expect_rows(d, "SELECT column_name, column_comment FROM information_schema.columns WHERE table_name = 'p'", "id|which\nname|NULL\n");
    expect_rows(d, "SELECT index_comment FROM information_schema.statistics WHERE index_name = 'i'", "by name\n");
    expect_rows(d, "SELECT trigger_comment FROM information_schema.triggers", "nothing\n");
    run_sql(d, "CREATE OR REPLACE VIEW v AS SELECT name, id FROM p"); /* it keeps its comment */
    run_sql(d, "ALTER TABLE p RENAME TO q");
    run_sql(d, "ALTER TABLE q RENAME COLUMN id TO key");
    expect_rows(d, "SELECT table_name, table_comment FROM information_schema.tables", "q|it's one\nv|names\n");
    expect_rows(d, "SELECT column_comment FROM information_schema.columns WHERE column_name = 'key'", "which\n");
    run_sql(d, "COMMENT ON TABLE q IS ''");
    expect_rows(d, "SELECT table_comment FROM information_schema.tables WHERE table_name = 'q'", "NULL\n");
    run_sql(d, "DROP VIEW v");
    run_sql(d, "CREATE VIEW v AS SELECT name, key FROM q"); /* another one */
    expect_rows(d, "SELECT table_comment FROM information_schema.tables WHERE table_name = 'v'", "NULL\n");
    expect_error(d, "COMMENT ON TABLE v IS 'x'", QUARTET_ERROR, "use COMMENT ON VIEW", 17);
    expect_error(d, "COMMENT ON VIEW q IS 'x'", QUARTET_ERROR, "use COMMENT ON TABLE", 16);
    expect_error(d, "COMMENT ON COLUMN q.no IS 'x'", QUARTET_ERROR, "no such column: no", 20);
    expect_error(d, "COMMENT ON COLUMN v.name IS 'x'", QUARTET_ERROR, "only columns of tables", 18);
    expect_error(d, "COMMENT ON INDEX no IS 'x'", QUARTET_ERROR, "no such index: no", 17);
    expect_error(d, "COMMENT ON TABLE quartet_objects IS 'x'", QUARTET_READONLY, "read-only", 17);
    help_close(d);
}

const char *const unit_suite = "schema_tables";
const struct unit_test unit_tests[] = {
    {"information_schema", test_schema_tables},
    {"comments", test_schema_tables_comments},
    {NULL, NULL},
};
