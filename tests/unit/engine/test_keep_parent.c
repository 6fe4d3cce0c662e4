/* test_keep_parent.c - ON MERGE KEEP PARENT: a child's write keeps its parent from a DELETE that had not seen it, in every order of arrival; and who may say so. */
#include "scene_help.h"

#define G "CREATE TABLE g (id INTEGER PRIMARY KEY) UPDATES WIN; "
#define P "CREATE TABLE t (id INTEGER PRIMARY KEY, gid INTEGER REFERENCES g ON DELETE CASCADE ON MERGE KEEP PARENT, n INTEGER) UPDATES WIN; "
#define C "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES t ON DELETE CASCADE ON MERGE KEEP PARENT, note TEXT); "
#define ROWS "INSERT INTO g VALUES (1), (2); INSERT INTO t VALUES (10, 1, 0), (20, 2, 0); INSERT INTO c VALUES (100, 10, 'old'), (200, 20, 'old')"
#define SHOW "SELECT 'g', id FROM g UNION ALL SELECT 't', id FROM t UNION ALL SELECT 'c', id FROM c ORDER BY 2"

static const struct scene scenes[] = {
    {"a child comes", G P C ROWS, {{0, "", "DELETE FROM t WHERE id = 10"}, {1, "", "INSERT INTO c VALUES (101, 10, 'new')"}}, SHOW,
     "g|1\ng|2\nt|10\nt|20\nc|101\nc|200\n"},
    {"a child came before", G P C ROWS, {{1, "", "INSERT INTO c VALUES (101, 10, 'new')"}, {0, "", "DELETE FROM t WHERE id = 10"}}, SHOW,
     "g|1\ng|2\nt|10\nt|20\nc|101\nc|200\n"},
    {"the grandparent goes, and all with it: a child comes, and all stay", G P C ROWS,
     {{0, "", "DELETE FROM g WHERE id = 1"}, {1, "", "INSERT INTO c VALUES (101, 10, 'new')"}}, SHOW, "g|1\ng|2\nt|10\nt|20\nc|101\nc|200\n"},
    {"a DELETE that saw the child", G P C ROWS, {{1, "", "INSERT INTO c VALUES (101, 10, 'new')"}, {0, "0", "DELETE FROM g WHERE id = 1"}}, SHOW,
     "g|2\nt|20\nc|200\n"},
    {"two DELETEs, each missed one child", G P C ROWS,
     {{0, "", "INSERT INTO c VALUES (101, 10, 'a')"}, {1, "", "INSERT INTO c VALUES (102, 10, 'b')"}, {0, "", "DELETE FROM t WHERE id = 10"}, {1, "", "DELETE FROM t WHERE id = 10"}},
     SHOW, "g|1\ng|2\nt|10\nt|20\nc|200\n"},
    {"a child moves to the row", G P C ROWS, {{0, "", "DELETE FROM t WHERE id = 10"}, {1, "", "UPDATE c SET pid = 10 WHERE id = 200"}}, SHOW,
     "g|1\ng|2\nt|10\nt|20\nc|200\n"},
    {"another column of a child is written", G P "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES t ON DELETE CASCADE ON MERGE KEEP PARENT, note TEXT) UPDATES WIN; " ROWS,
     {{0, "", "DELETE FROM t WHERE id = 10"}, {1, "", "UPDATE c SET note = 'new' WHERE id = 100"}}, SHOW, "g|1\ng|2\nt|10\nt|20\nc|100\nc|200\n"},
    {"a child that goes keeps nothing", G P C ROWS, {{0, "", "DELETE FROM t WHERE id = 10"}, {1, "", "DELETE FROM c WHERE id = 100"}}, SHOW,
     "g|1\ng|2\nt|20\nc|200\n"},
    {"a child that lets go keeps nothing", G P C ROWS, {{0, "", "DELETE FROM t WHERE id = 10"}, {1, "", "UPDATE c SET pid = NULL WHERE id = 100"}}, SHOW,
     "g|1\ng|2\nt|20\nc|200\n"},
    {"without the words the child is an orphan", G "CREATE TABLE t (id INTEGER PRIMARY KEY, gid INTEGER REFERENCES g ON DELETE CASCADE, n INTEGER) UPDATES WIN; "
     "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES t ON DELETE CASCADE, note TEXT); " ROWS,
     {{0, "", "DELETE FROM g WHERE id = 1"}, {1, "", "INSERT INTO c VALUES (101, 10, 'new')"}}, SHOW, "g|2\nt|20\nc|200\n"},
    {"a child that comes is a parent itself", G P C ROWS,
     {{0, "", "DELETE FROM g WHERE id = 1"}, {1, "", "INSERT INTO t VALUES (11, 1, 0)"}, {1, "", "INSERT INTO c VALUES (101, 11, 'new')"}}, SHOW,
     "g|1\ng|2\nt|11\nt|20\nc|101\nc|200\n"},
    {"a parent with two births, of which a third deletes the one it saw", G P C "INSERT INTO g VALUES (1), (2)",
     {{0, "", "INSERT INTO t VALUES (10, 1, 1)"}, {1, "", "INSERT INTO t VALUES (10, 2, 2)"}, {2, "1", "DELETE FROM t"}, {0, "1", "INSERT INTO c VALUES (100, 10, 'both')"}},
     "SELECT id, gid, n FROM t", "10|2|2\n"},
    {"in a circle of one table", "CREATE TABLE t (id INTEGER PRIMARY KEY, up INTEGER REFERENCES t ON MERGE KEEP PARENT, n INTEGER) UPDATES WIN; "
     "INSERT INTO t VALUES (1, NULL, 0), (2, 1, 0), (3, 2, 0); UPDATE t SET up = 3 WHERE id = 1",
     {{0, "", "DELETE FROM t WHERE id <= 3"}, {1, "", "INSERT INTO t VALUES (4, 3, 0)"}}, "SELECT id, up FROM t ORDER BY id", "1|3\n2|1\n3|2\n4|3\n"},
};

static void test_keep_parent_every_order(void)
{
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        run_scene(&scenes[i], NULL);
}

/* The DELETE's node has nothing to follow up where the row stays; where it goes, c's own action follows. */
static void test_keep_parent_and_follow_up(void)
{
    for (int keep = 0; keep < 2; keep++) {
        struct err err = ERR_INIT;
        struct prng r;
        uint64_t rows = 9;
        char sql[200];
        prng_seed(&r, 3);
        struct cluster *c = cluster_new(3);
        const char *words = keep != 0 ? " ON MERGE KEEP PARENT" : "";
        run_sql(c->d[0], "CREATE TABLE g (id INTEGER PRIMARY KEY) UPDATES WIN");
        (void)snprintf(sql, sizeof sql, "CREATE TABLE p (id INTEGER PRIMARY KEY, gid INTEGER REFERENCES g ON DELETE CASCADE%s) UPDATES WIN", words);
        run_sql(c->d[0], sql);
        (void)snprintf(sql, sizeof sql, "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p ON DELETE SET NULL%s)", words);
        run_sql(c->d[0], sql);
        run_sql(c->d[0], "INSERT INTO g VALUES (1)");
        run_sql(c->d[0], "INSERT INTO p VALUES (10, 1)");
        cluster_exchange(c, &r);
        run_sql(c->d[0], "DELETE FROM g");
        run_sql(c->d[1], "INSERT INTO c VALUES (100, 10)");
        cluster_exchange(c, &r);
        for (uint32_t i = 0; i < 3; i++) {
            expect_rows(c->d[i], "SELECT id FROM p", keep != 0 ? "10\n" : "");
            expect_rows(c->d[i], "SELECT id, pid FROM c", keep != 0 ? "100|10\n" : "");
        }
        OK(db_follow_up(c->d[0], &rows, &err));
        CU_ASSERT_EQUAL(rows, keep != 0 ? 0 : 1);
        cluster_exchange(c, &r);
        for (uint32_t i = 0; i < 3; i++)
            expect_rows(c->d[i], "SELECT id, pid FROM c", keep != 0 ? "100|10\n" : "100|NULL\n");
        cluster_free(c);
    }
}

static void test_keep_parent_refusals(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE plain (id INTEGER PRIMARY KEY)");
    run_sql(d, "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT UNIQUE) UPDATES WIN");
    expect_error(d, "CREATE TABLE c (id INTEGER PRIMARY KEY, x INTEGER REFERENCES plain ON MERGE KEEP PARENT)", QUARTET_ERROR, "UPDATES WIN", -2);
    expect_error(d, "CREATE TABLE c (id INTEGER PRIMARY KEY, x TEXT REFERENCES p (name) ON MERGE KEEP PARENT)", QUARTET_ERROR, "must reference the primary key", -2);
    expect_error(d, "CREATE TABLE c (id INTEGER PRIMARY KEY, x INTEGER REFERENCES c ON MERGE KEEP PARENT)", QUARTET_ERROR, "UPDATES WIN", -2);
    run_sql(d, "CREATE TABLE c (id INTEGER PRIMARY KEY, x INTEGER)");
    expect_error(d, "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (x) REFERENCES plain ON MERGE KEEP PARENT", QUARTET_ERROR, "UPDATES WIN", -2);
    run_sql(d, "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (x) REFERENCES p ON MERGE KEEP PARENT");
    run_sql(d, "CREATE TABLE early (id INTEGER PRIMARY KEY, x INTEGER REFERENCES late ON MERGE KEEP PARENT)"); /* there is none yet */
    run_sql(d, "CREATE TABLE late (id INTEGER PRIMARY KEY)");
    expect_error(d, "INSERT INTO early VALUES (1, NULL)", QUARTET_ERROR, "UPDATES WIN", -2);
    help_close(d);
}

/* A write of nothing but the reference changes no value, is counted nowhere, and an ordinary session sees the row as it was. */
static void test_keep_parent_changes_nothing_else(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE p (id INTEGER PRIMARY KEY, n INTEGER COUNTER, s TEXT SET, v TEXT) UPDATES WIN");
    run_sql(d, "CREATE TABLE c (id INTEGER PRIMARY KEY, x INTEGER REFERENCES p ON MERGE KEEP PARENT)");
    run_sql(d, "INSERT INTO p VALUES (1, 5, '[\"a\"]', 'v')");
    for (int i = 0; i < 5; i++)
        run_sql(d, "INSERT INTO c (x) VALUES (1), (1)");
    expect_rows(d, "SELECT * FROM p", "1|5|[\"a\"]|v\n");
    expect_rows(d, "SELECT count(*) FROM c", "10\n");
    run_sql(d, "DELETE FROM c");
    run_sql(d, "DELETE FROM p");
    expect_rows(d, "SELECT * FROM p", "");
    help_close(d);
}

const char *const unit_suite = "keep_parent";
const struct unit_test unit_tests[] = {
    {"every order of arrival", test_keep_parent_every_order},
    {"and ON DELETE that follows up", test_keep_parent_and_follow_up},
    {"refusals", test_keep_parent_refusals},
    {"changes nothing else", test_keep_parent_changes_nothing_else},
    {NULL, NULL},
};
