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

/* Node 0 of so many; the others are not there. */
static void begin_with(int nodes)
{
    char address[64], other[64], path[128];
    const char *addresses[] = {address, other};
    struct quartet_node_config config = {.size = sizeof config};
    snprintf(t.top, sizeof t.top, "/tmp/quartet-test-session-XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(t.top) != NULL);
    snprintf(address, sizeof address, "127.0.0.1:%u", free_port());
    snprintf(other, sizeof other, "127.0.0.1:%u", free_port());
    CU_ASSERT_EQUAL_FATAL(quartet_cluster_init(t.top, nodes, addresses, NULL, NULL), QUARTET_OK);
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

static void begin(void)
{
    begin_with(1);
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

static void says(const char *sql, const char *part)
{
    struct said there = {.n = 0};
    CU_ASSERT_EQUAL(quartet_exec(t.far, sql, note_row, &there, NULL), QUARTET_OK);
    if (strstr(there.text, part) == NULL)
        printf("\n%s: %s\n", sql, there.text);
    CU_ASSERT_PTR_NOT_NULL(strstr(there.text, part));
}

static void fails(quartet_db *db, const char *sql, int code, const char *part)
{
    CU_ASSERT_EQUAL(quartet_exec(db, sql, NULL, NULL, NULL), code);
    if (strstr(quartet_errmsg(db), part) == NULL)
        printf("\n%s: %s\n", sql, quartet_errmsg(db));
    CU_ASSERT_PTR_NOT_NULL(strstr(quartet_errmsg(db), part));
}

struct expected {
    const char *part;
    int seen;
};
static void on_notice(void *arg, const char *text)
{
    struct expected *e = arg;
    e->seen += strstr(text, e->part) != NULL;
}

/* Each level: what SHOW CONSISTENCY says of it, that it holds, and what is said where it cannot be had. The other member is not there. */
static void test_levels(void)
{
    static const char *const aliases[][2] = {{"SET aurora_mm_session_consistency_level = 'REGIONAL_RAW'", "consistency=cluster|"},
                                             {"SET aurora_mm_session_consistency_level = 'instance_raw'", "consistency=local|"},
                                             {"SET consistency = 'session'", "consistency=session|"}};
    begin_with(2);
    CU_ASSERT_EQUAL(quartet_exec(t.far, "CREATE TABLE t (a INTEGER PRIMARY KEY); SET consistency_timeout = 50; SET commit_acks_timeout = 60", NULL, NULL, NULL), QUARTET_OK);
    says("SHOW CONSISTENCY", "consistency=session|what this session may observe=all that this session has read or written before, on whichever node it is|");
    says("SHOW CONSISTENCY", "after a move, up to 50 ms, and fails naming what is missing");
    says("SELECT count(*) FROM t", "=0|"); /* nothing is missing here, whoever is away */
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        CU_ASSERT_EQUAL(quartet_exec(t.far, aliases[i][0], NULL, NULL, NULL), QUARTET_OK);
        says("SHOW CONSISTENCY", aliases[i][1]);
    }
    says("SHOW aurora_mm_session_consistency_level", "=session|");
    fails(t.far, "SET consistency = 'strong'", QUARTET_ERROR, "not 'strong'");
    fails(t.far, "SET aurora_mm_session_consistency_level = 'GLOBAL'", QUARTET_ERROR, "not 'GLOBAL'");

    CU_ASSERT_EQUAL(quartet_exec(t.far, "SET consistency = 'cluster'", NULL, NULL, NULL), QUARTET_OK);
    says("SHOW CONSISTENCY", "for every member, up to 50 ms, and fails naming the one that does not answer");
    fails(t.far, "SELECT count(*) FROM t", QUARTET_UNAVAILABLE, "consistency 'cluster' needs every member, and node 1 does not answer (waited 50 ms)");
    fails(t.far, "BEGIN", QUARTET_UNAVAILABLE, "node 1 does not answer");
    CU_ASSERT_EQUAL(quartet_exec(t.far, "SET consistency = 'local'", NULL, NULL, NULL), QUARTET_OK);
    says("SHOW CONSISTENCY", "what this node has, at once");
    says("SELECT count(*) FROM t", "=0|");

    fails(t.far, "SET commit_acks = 4", QUARTET_ERROR, "not '4'");
    struct expected late = {"the transaction is committed here and will replicate; 0 of 1 peers have it on disk after 60 ms", 0}, few = {"commit_acks = 3 was asked of 1 peers", 0};
    quartet_on_notice(t.far, on_notice, &late);
    CU_ASSERT_EQUAL(quartet_exec(t.far, "SET commit_acks = 'all'; INSERT INTO t VALUES (1)", NULL, NULL, NULL), QUARTET_OK); /* never called failed */
    CU_ASSERT_EQUAL(late.seen, 1);
    says("SHOW CONSISTENCY", "all; after 60 ms it stands all the same");
    quartet_on_notice(t.far, on_notice, &few);
    CU_ASSERT_EQUAL(quartet_exec(t.far, "SET commit_acks = 3; INSERT INTO t VALUES (2)", NULL, NULL, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL(few.seen, 1);
    quartet_on_notice(t.far, NULL, NULL);
    says("SELECT count(*) FROM t", "=2|");
    CU_ASSERT_EQUAL(quartet_exec(t.far, "SET commit_acks = 0; SET synchronous = 'off'", NULL, NULL, NULL), QUARTET_OK);
    says("SHOW CONSISTENCY", "a crash may take the last commits back");
    quartet_db *alone = NULL, *far = t.far;
    CU_ASSERT_EQUAL(quartet_open(":memory:", &alone), QUARTET_OK);
    t.far = alone;
    says("SHOW CONSISTENCY", "this database is in no cluster");
    CU_ASSERT_EQUAL(quartet_close(alone), QUARTET_OK);
    t.far = far;
    end();
}

const char *const unit_suite = "node_session";
const struct unit_test unit_tests[] = {
    {"names of columns", test_names_of_columns},
    {"a table that changes", test_a_table_that_changes},
    {"levels", test_levels},
    {NULL, NULL},
};
