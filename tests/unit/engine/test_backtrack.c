/* test_backtrack.c - AS OF and BACKTRACK as SQL: what they read, what they write, what they refuse. */
#include "cluster_help.h"
#include "engine/conn.h"
#include "query_help.h"

/* The newest stamp, kept in `out`. */
static const char *stamp(db *d, char out[32])
{
    struct err err = ERR_INIT;
    struct buf b = {0};
    OK(query_try(d, "SELECT quartet_stamp()", NULL, &b, &err));
    CU_ASSERT_FATAL(b.len > 1 && b.len < 32);
    memcpy(out, b.data, b.len - 1);
    out[b.len - 1] = '\0';
    buf_deinit(&b);
    return out;
}

/* The statement with its one %s replaced. */
static const char *with(const char *sql, const char *stamp)
{
    static char text[512];
    const char *at = strstr(sql, "%s");
    CU_ASSERT_FATAL(at != NULL && strlen(sql) + strlen(stamp) < sizeof text);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - sql), sql, stamp, at + 2);
    return text;
}

static void test_backtrack_reads_rows_as_they_were(void)
{
    char s1[32], s2[32];
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, n INTEGER COUNTER, q DECIMAL(10, 2) COUNTER)");
    run_sql(d, "CREATE INDEX ta ON t(a)");
    run_sql(d, "CREATE VIEW v AS SELECT id, a FROM t WHERE id < 3");
    run_sql(d, "INSERT INTO t VALUES (1, 'x', 1, 1.50), (2, 'y', 2, 2), (3, 'z', 3, 3)");
    stamp(d, s1);
    run_sql(d, "UPDATE t SET a = 'X', n = n + 5, q = q + 0.25 WHERE id = 1");
    run_sql(d, "DELETE FROM t WHERE id = 2");
    stamp(d, s2);
    run_sql(d, "INSERT INTO t VALUES (2, 'new', 7, 7), (4, 'w', 0, 0)");
    expect_rows(d, with("SELECT * FROM t AS OF STAMP %s", s1), "1|x|1|1.50\n2|y|2|2.00\n3|z|3|3.00\n");
    expect_rows(d, with("SELECT * FROM t AS OF STAMP %s", s2), "1|X|6|1.75\n3|z|3|3.00\n");
    expect_rows(d, with("SELECT * FROM t AS OF STAMP %s ORDER BY id DESC LIMIT 1", s1), "3|z|3|3.00\n");
    expect_rows(d, with("SELECT n FROM t AS OF STAMP %s WHERE a = 'x'", s1), "1\n");
    expect_rows(d, with("SELECT a FROM t AS OF STAMP %s WHERE id IN (4, 2, 1)", s1), "x\ny\n");
    expect_rows(d, with("SELECT * FROM v AS OF STAMP %s", s1), "1|x\n2|y\n");
    expect_rows(d, with("SELECT o.a, t.a FROM t AS OF STAMP %s AS o JOIN t USING (id) WHERE o.a <> t.a", s1), "x|X\ny|new\n");
    expect_rows(d, with("SELECT o.a FROM generate_series(1, 4) g JOIN t AS OF STAMP %s o ON o.id = g.value", s2), "X\nz\n");
    expect_rows(d, with("SELECT (SELECT count(*) FROM t AS OF STAMP %s), count(*) FROM t", s2), "2|4\n");
    expect_rows(d, "SELECT count(*) FROM t AS OF datetime(now(), '+1 second')", "4\n");
    expect_part(d, "EXPLAIN SELECT * FROM t AS OF now() WHERE a = 'x'", "Scan t as of now()");
    expect_rows(d, "SELECT quartet_stamp() <= quartet_stable_stamp(), count(*) FROM t AS OF STAMP quartet_stable_stamp()", "1|4\n");
    help_close(d);
}

static void test_backtrack_refuses(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY)");
    expect_error(d, "SELECT * FROM t AS OF '2001-01-01'", QUARTET_TOO_OLD, "history goes back to ", -2);
    expect_error(d, "BACKTRACK TABLE t TO STAMP 5", QUARTET_TOO_OLD, "history_retention is 72 h", -2);
    expect_error(d, "SELECT * FROM t AS OF NULL", QUARTET_ERROR, "not NULL", -2);
    expect_error(d, "SELECT * FROM t AS OF STAMP -1", QUARTET_ERROR, "below 1", -2);
    expect_error(d, "SELECT * FROM t AS OF 'yesterday'", QUARTET_MISMATCH, "yesterday", -2);
    expect_error(d, "SELECT * FROM t AS OF id", QUARTET_ERROR, "id", -2);
    expect_error(d, "WITH c AS (SELECT 1) SELECT * FROM c AS OF now()", QUARTET_ERROR, "tables and views", -2);
    expect_error(d, "SELECT * FROM quartet_objects AS OF now()", QUARTET_ERROR, "no history", -2);
    expect_error(d, "BACKTRACK TABLE quartet_objects TO now()", QUARTET_ERROR, "read-only", -2);
    expect_error(d, "BACKTRACK TABLE nowhere TO now()", QUARTET_ERROR, "nowhere", -2);
    help_close(d);
}

static void test_backtrack_writes_old_values_and_can_be_undone(void)
{
    char s1[32], s2[32];
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, n INTEGER COUNTER)");
    run_sql(d, "CREATE INDEX ta ON t(a)");
    run_sql(d, "CREATE TABLE h(x TEXT)");
    run_sql(d, "INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3)");
    run_sql(d, "INSERT INTO h VALUES ('one'), ('two')");
    stamp(d, s1);
    run_sql(d, "UPDATE t SET a = 'X', n = n + 5 WHERE id = 1");
    run_sql(d, "DELETE FROM t WHERE id = 2");
    run_sql(d, "INSERT INTO t VALUES (4, 'w', 0)");
    run_sql(d, "DELETE FROM h WHERE x = 'one'");
    run_sql(d, "CREATE TABLE later(id INTEGER PRIMARY KEY)");
    run_sql(d, "INSERT INTO later VALUES (1)");
    stamp(d, s2);
    run_sql(d, with("BACKTRACK TABLE t TO STAMP %s", s1));
    expect_rows(d, "SELECT * FROM t", "1|x|1\n2|y|2\n3|z|3\n");
    expect_rows(d, "SELECT a FROM t WHERE a >= 'a' ORDER BY a", "x\ny\nz\n"); /* by the index */
    expect_rows(d, "SELECT * FROM h", "two\n");
    run_sql(d, with("BACKTRACK DATABASE TO STAMP %s", s1));
    expect_rows(d, "SELECT * FROM h ORDER BY x", "one\ntwo\n");
    expect_rows(d, "SELECT count(*) FROM later", "0\n"); /* the table stays: definitions are left alone */
    run_sql(d, with("BACKTRACK DATABASE TO STAMP %s", s2));
    expect_rows(d, "SELECT * FROM t", "1|X|6\n3|z|3\n4|w|0\n");
    expect_rows(d, "SELECT * FROM h", "two\n");
    expect_rows(d, "SELECT * FROM later", "1\n");
    help_close(d);
}

static void test_backtrack_where_unique_values_changed_hands(void)
{
    char s[32];
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, u INTEGER UNIQUE)");
    run_sql(d, "INSERT INTO t VALUES (1, 10), (2, 20), (3, 30), (4, 40)");
    stamp(d, s);
    run_sql(d, "UPDATE t SET u = u + 1000");
    run_sql(d, "UPDATE t SET u = (id % 4 + 1) * 10"); /* in a circle: 20, 30, 40, 10 */
    run_sql(d, "DELETE FROM t WHERE id = 2");
    run_sql(d, "INSERT INTO t VALUES (9, 30)");
    run_sql(d, with("BACKTRACK TABLE t TO STAMP %s", s));
    expect_rows(d, "SELECT * FROM t", "1|10\n2|20\n3|30\n4|40\n");
    expect_rows(d, "SELECT id FROM t WHERE u = 20", "2\n");
    run_sql(d, "UPDATE t SET u = u + 1000 WHERE id < 3");
    run_sql(d, "UPDATE t SET u = 30 - (u - 1000) WHERE id < 3"); /* two that hold each other's value */
    expect_rows(d, "SELECT u FROM t", "20\n10\n30\n40\n");
    run_sql(d, with("BACKTRACK TABLE t TO STAMP %s", s));
    expect_rows(d, "SELECT u FROM t", "10\n20\n30\n40\n");
    help_close(d);
}

static void test_backtrack_of_columns_that_came_later(void)
{
    char s[32];
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)");
    run_sql(d, "INSERT INTO t VALUES (1, 'x')");
    stamp(d, s);
    run_sql(d, "ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 7");
    run_sql(d, "UPDATE t SET b = 8, a = 'y'");
    expect_rows(d, with("SELECT * FROM t AS OF STAMP %s", s), "1|x|7\n"); /* as it would have shown */
    run_sql(d, with("BACKTRACK TABLE t TO STAMP %s", s));
    expect_rows(d, "SELECT * FROM t", "1|x|7\n");
    help_close(d);
}

/* One transaction: a row in each of two tables, an addition, a column of an old row. */
static void write_everywhere(db *d, int id)
{
    static const char *const text[] = {"BEGIN", "INSERT INTO t (id, a) VALUES (%d, 'new')", "INSERT INTO later VALUES (%d)", "UPDATE t SET n = n + 1, a = 'set by %d' WHERE id = 1", "COMMIT"};
    struct err err = ERR_INIT;
    conn *c = NULL;
    OK(conn_open(d, &c, &err));
    for (int i = 0; i < 5; i++) {
        char sql[128], number[16];
        const char *at = strstr(text[i], "%d");
        size_t consumed, head = at != NULL ? (size_t)(at - text[i]) : strlen(text[i]);
        snprintf(number, sizeof number, "%d", id);
        snprintf(sql, sizeof sql, "%.*s%s%s", (int)head, text[i], at != NULL ? number : "", at != NULL ? at + 2 : "");
        conn_stmt *s = NULL;
        struct batch rows;
        OK(conn_prepare(c, sql, strlen(sql), &s, &consumed, &err));
        OK(conn_step(s, &rows, &err));
        conn_finalize(s);
    }
    conn_close(c);
}

/* Two members. What B wrote and A had not seen when A set the database back stays, each transaction whole, in tables too that A did not know; what A had seen goes. */
static void test_backtrack_keeps_what_it_had_not_seen(void)
{
    char s1[32], s2[32], want[128];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct prng r;
        prng_seed(&r, seed);
        struct cluster *c = cluster_new(2);
        db *a = c->d[0], *b = c->d[1];
        run_sql(a, "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, n INTEGER COUNTER)");
        run_sql(a, "INSERT INTO t VALUES (1, 'good', 10), (2, 'two', 20)");
        cluster_exchange(c, &r);
        stamp(a, s1);
        run_sql(b, "CREATE TABLE later(id INTEGER PRIMARY KEY)");
        run_sql(b, "ALTER TABLE t ADD COLUMN g INTEGER DEFAULT 5");
        int seen = (int)prng_below(&r, 4), unseen = (int)prng_below(&r, 4), id = 100;
        for (int i = 0; i < seen; i++)
            write_everywhere(b, id++);
        run_sql(b, "DELETE FROM t WHERE id = 2");
        cluster_exchange(c, &r);
        stamp(b, s2);
        for (int i = 0; i < unseen; i++)
            write_everywhere(b, id++);
        run_sql(b, "CREATE TABLE unknown(id INTEGER PRIMARY KEY, g INTEGER)");
        run_sql(b, "INSERT INTO unknown VALUES (1, 1)");
        run_sql(b, "UPDATE t SET g = 6 WHERE id = 1");
        run_sql(a, with("BACKTRACK DATABASE TO STAMP %s", s1));
        expect_rows(a, "SELECT count(*) FROM later", "0\n");
        expect_rows(a, "SELECT * FROM t", "1|good|10|5\n2|two|20|5\n");
        cluster_exchange(c, &r);
        for (int k = 0; k < 2; k++) {
            snprintf(want, sizeof want, "%d|%d|%d|%d\n", unseen, unseen, 10 + unseen, unseen);
            expect_rows(c->d[k], "SELECT (SELECT count(*) FROM t WHERE a = 'new'), (SELECT count(*) FROM later), n, (SELECT count(*) FROM t JOIN later USING (id)) FROM t WHERE id = 1", want);
            expect_rows(c->d[k], "SELECT * FROM unknown", "1|1\n");
            expect_rows(c->d[k], "SELECT a, n FROM t WHERE id = 2", "two|20\n");
            expect_rows(c->d[k], "SELECT g FROM t WHERE id = 1", "6\n"); /* A did not write what did not differ */
        }
        cluster_expect_equal(c, (const char *const[]){"t", "later", "unknown", NULL}, seed);
        run_sql(b, with("BACKTRACK DATABASE TO STAMP %s", s2)); /* undone: what was mistaken is there again, and what came after goes */
        cluster_exchange(c, &r);
        for (int k = 0; k < 2; k++) {
            snprintf(want, sizeof want, "%d|%d|%d|0\n", seen, seen, 10 + seen);
            expect_rows(c->d[k], "SELECT (SELECT count(*) FROM t WHERE a = 'new'), (SELECT count(*) FROM later), n, (SELECT count(*) FROM unknown) FROM t WHERE id = 1", want);
            expect_rows(c->d[k], "SELECT count(*) FROM t WHERE id = 2", "0\n");
        }
        cluster_expect_equal(c, (const char *const[]){"t", "later", "unknown", NULL}, seed);
        cluster_free(c);
    }
}

const char *const unit_suite = "backtrack";
const struct unit_test unit_tests[] = {
    {"reads", test_backtrack_reads_rows_as_they_were},
    {"refuses", test_backtrack_refuses},
    {"writes", test_backtrack_writes_old_values_and_can_be_undone},
    {"unique", test_backtrack_where_unique_values_changed_hands},
    {"columns", test_backtrack_of_columns_that_came_later},
    {"unseen", test_backtrack_keeps_what_it_had_not_seen},
    {NULL, NULL},
};
