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

const char *const unit_suite = "schema_tables";
const struct unit_test unit_tests[] = {
    {"information_schema", test_schema_tables},
    {NULL, NULL},
};
