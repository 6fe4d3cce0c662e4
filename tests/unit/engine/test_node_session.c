/* test_node_session.c - a node and its client in one process: what a statement over the network tells is what it tells in the database itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/quartet.h"
#include "shell/free_port.h"
#include "unit/cunit.h"

static struct {
    char top[64], url[4096];
    quartet_db *local, *far;
    quartet_node *node;
} t;

static void begin(void)
{
    char address[64], path[128];
    const char *addresses[] = {address};
    struct quartet_node_config config = {.size = sizeof config};
    snprintf(t.top, sizeof t.top, "/tmp/quartet-test-session-XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(t.top) != NULL);
    snprintf(address, sizeof address, "127.0.0.1:%u", free_port());
    CU_ASSERT_EQUAL_FATAL(quartet_cluster_init(t.top, 1, addresses, NULL, NULL), QUARTET_OK);
    snprintf(path, sizeof path, "%s/0", t.top);
    CU_ASSERT_EQUAL_FATAL(quartet_open(path, &t.local), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(quartet_node_start(t.local, &config, &t.node), QUARTET_OK);
    snprintf(path, sizeof path, "%s/admin.url", t.top);
    FILE *f = fopen(path, "r");
    CU_ASSERT_FATAL(f != NULL && fgets(t.url, sizeof t.url, f) != NULL);
    fclose(f);
    t.url[strcspn(t.url, "\r\n")] = '\0';
    CU_ASSERT_EQUAL_FATAL(quartet_open(t.url, &t.far), QUARTET_OK);
}

static void end(void)
{
    char command[128];
    CU_ASSERT_EQUAL(quartet_close(t.far), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_node_stop(t.node), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_close(t.local), QUARTET_OK);
    snprintf(command, sizeof command, "rm -r %s", t.top);
    CU_ASSERT_EQUAL(system(command), 0);
}

struct said {
    char text[2048];
    size_t n;
};

static int note_row(void *arg, int columns, char **values, char **names)
{
    struct said *s = arg;
    for (int c = 0; c < columns; c++)
        s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, "%s=%s|", names[c], values[c] != NULL ? values[c] : "NULL");
    return s->n < sizeof s->text - 256 ? 0 : 1;
}

static void same_both_ways(const char *sql)
{
    struct said here = {.n = 0}, there = {.n = 0};
    CU_ASSERT_EQUAL(quartet_exec(t.local, sql, note_row, &here, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_exec(t.far, sql, note_row, &there, NULL), QUARTET_OK);
    CU_ASSERT(here.n > 0);
    CU_ASSERT_STRING_EQUAL(here.text, there.text);
}

/* Run at once, without being prepared first: SHOW makes its columns anew when it runs, and they used to be told from memory that had gone. */
static void test_names_of_columns(void)
{
    begin();
    CU_ASSERT_EQUAL(quartet_exec(t.far, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX tb ON t (b); INSERT INTO t VALUES (1, 'x'), (2, NULL)", NULL, NULL, NULL), QUARTET_OK);
    same_both_ways("SHOW TABLES");
    same_both_ways("SHOW COLUMNS FROM t");
    same_both_ways("SHOW INDEX FROM t");
    same_both_ways("SHOW CREATE TABLE t");
    same_both_ways("PRAGMA table_info(t)");
    same_both_ways("SELECT a, b AS \"a longer name than the column had\", a + 1 FROM t");
    same_both_ways("SELECT version()");
    end();
}

/* A statement that was prepared, then the table changes: its columns are those it was prepared with, or it says that it must be prepared again. */
static void test_a_table_that_changes(void)
{
    quartet_stmt *stmt = NULL;
    begin();
    CU_ASSERT_EQUAL(quartet_exec(t.far, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'x')", NULL, NULL, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(quartet_prepare(t.far, "SELECT * FROM t", -1, &stmt, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_column_count(stmt), 2);
    CU_ASSERT_EQUAL(quartet_exec(t.local, "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 7", NULL, NULL, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_step(stmt), QUARTET_ERROR);
    CU_ASSERT_PTR_NOT_NULL(strstr(quartet_errmsg(t.far), "prepare it again"));
    (void)quartet_finalize(stmt); /* repeats the error */
    same_both_ways("SELECT * FROM t");
    end();
}

const char *const unit_suite = "node_session";
const struct unit_test unit_tests[] = {
    {"names of columns", test_names_of_columns},
    {"a table that changes", test_a_table_that_changes},
    {NULL, NULL},
};
