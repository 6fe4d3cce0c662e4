/* test_kinds.c - kinds of column and the table option UPDATES WIN, as SQL sees them: on one node, and concurrent writers on three whose transactions reach others in
 * every order. */
#include "engine/conn.h"
#include "scene_help.h"

#define U "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, qty INTEGER, n INTEGER COUNTER, tags TEXT SET) UPDATES WIN"
#define K "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER COUNTER, hi INTEGER MAXIMUM, lo INTEGER MINIMUM, tags TEXT SET, body TEXT MULTIVALUE)"
#define K_ROW K "; INSERT INTO t VALUES (1, 'old', 10, 5, 5, '[\"a\",\"b\"]', 'first')"
#define ROWS "SELECT * FROM t ORDER BY id"
#define SIBLINGS "SELECT body, siblings(body) FROM t ORDER BY id"

static const struct scene scenes[] = {
    {"two births, the newer deleted by one who saw only it", K,
     {{0, "", "INSERT INTO t VALUES (1, 'A', 1, 9, 1, '[\"a\"]', 'A')"}, {1, "", "INSERT INTO t VALUES (1, 'B', 2, 3, 7, '[\"b\"]', 'B')"}, {2, "1", "DELETE FROM t"}},
     ROWS, "1|A|1|9|1|[\"a\"]|A\n"},
    {"two births together", K,
     {{0, "", "INSERT INTO t VALUES (1, 'A', 1, 9, 1, '[\"a\"]', 'A')"}, {1, "", "INSERT INTO t VALUES (1, 'B', 2, 3, 7, '[\"b\"]', 'B')"}},
     "SELECT *, siblings(body) FROM t", "1|B|3|9|1|[\"a\",\"b\"]|B|[\"B\",\"A\"]\n"},
    {"updates win: the row lives, as both left it", U "; INSERT INTO t VALUES (1, 'x', 5, 1, NULL)",
     {{0, "", "DELETE FROM t"}, {1, "", "UPDATE t SET name = 'y'"}}, ROWS, "1|y|5|1|[]\n"},
    {"updates win: the DELETE comes later", U "; INSERT INTO t VALUES (1, 'x', 5, 1, NULL)",
     {{1, "", "UPDATE t SET name = 'y'"}, {0, "", "DELETE FROM t"}}, ROWS, "1|y|5|1|[]\n"},
    {"updates win: two DELETEs, each had missed one update", U "; INSERT INTO t VALUES (1, 'x', 5, 1, NULL)",
     {{0, "", "UPDATE t SET name = 'y'"}, {1, "", "UPDATE t SET qty = 6"}, {0, "", "DELETE FROM t"}, {1, "", "DELETE FROM t"}}, ROWS, "1|y|6|1|[]\n"},
    {"updates win: a DELETE by a third who saw one update of two", U "; INSERT INTO t VALUES (1, 'x', 5, 1, NULL)",
     {{0, "", "UPDATE t SET name = 'y'"}, {1, "", "UPDATE t SET name = 'z'"}, {2, "1", "DELETE FROM t"}}, ROWS, "1|z|5|1|[]\n"},
    {"updates win: a DELETE that saw all", U "; INSERT INTO t VALUES (1, 'x', 5, 1, NULL)",
     {{0, "", "UPDATE t SET name = 'y', n = n + 4"}, {1, "", "UPDATE t SET tags = set_add(tags, 'q')"}, {2, "01", "DELETE FROM t"}}, ROWS, ""},
    {"updates win: a counter and a set of a row that came back", U "; INSERT INTO t VALUES (1, 'x', 5, 1, '[\"a\"]')",
     {{0, "", "UPDATE t SET n = n + 4"}, {1, "", "UPDATE t SET n = n + 10, tags = set_add(tags, 'q')"}, {2, "1", "DELETE FROM t"}}, ROWS, "1|x|5|15|[\"a\",\"q\"]\n"},
    {"updates win: deleted and inserted anew, an update of the old row", U "; INSERT INTO t VALUES (1, 'x', 5, 1, '[\"a\"]')",
     {{0, "", "DELETE FROM t"}, {0, "", "INSERT INTO t VALUES (1, 'new', 1, 1, NULL)"}, {1, "", "UPDATE t SET name = 'y', n = n + 1"}}, ROWS, "1|y|1|3|[\"a\"]\n"},
    {"updates win: an update of the row that was inserted anew", U "; INSERT INTO t VALUES (1, 'x', 5, 1, '[\"a\"]')",
     {{0, "", "DELETE FROM t"}, {0, "", "INSERT INTO t VALUES (1, 'new', 1, 1, NULL)"}, {1, "01", "UPDATE t SET qty = 7"}, {2, "", "DELETE FROM t"}}, ROWS, "1|new|7|1|[]\n"},
    {"maximum and minimum: the outermost ever written", K_ROW,
     {{0, "", "UPDATE t SET hi = 9, lo = 4"}, {1, "", "UPDATE t SET hi = 7, lo = 1"}, {2, "0", "UPDATE t SET hi = 6, lo = 3"}}, ROWS, "1|old|10|9|1|[\"a\",\"b\"]|first\n"},
    {"set: an addition wins over a removal that had not seen it", K_ROW,
     {{0, "", "UPDATE t SET tags = set_add(tags, 'a')"}, {1, "", "UPDATE t SET tags = set_remove(tags, 'a')"}}, ROWS, "1|old|10|5|5|[\"a\",\"b\"]|first\n"},
    {"set: a removal of what was seen", K_ROW,
     {{0, "", "UPDATE t SET tags = set_add(tags, 'c')"}, {1, "0", "UPDATE t SET tags = set_remove(set_remove(tags, 'c'), 'a')"}, {2, "", "UPDATE t SET tags = set_add(tags, 'd')"}},
     ROWS, "1|old|10|5|5|[\"b\",\"d\"]|first\n"},
    {"set: an array assigned is the difference to what was read", K_ROW,
     {{0, "", "UPDATE t SET tags = '[\"b\",\"c\"]'"}, {1, "", "UPDATE t SET tags = set_add(tags, 'd')"}, {2, "", "UPDATE t SET tags = '[\"a\",\"b\",\"e\"]'"}},
     ROWS, "1|old|10|5|5|[\"b\",\"c\",\"d\",\"e\"]|first\n"},
    {"set: removed by two, added by one", K_ROW,
     {{0, "", "UPDATE t SET tags = set_remove(tags, 'a')"}, {1, "", "UPDATE t SET tags = set_remove(tags, 'a')"}, {2, "0", "UPDATE t SET tags = set_add(tags, 'a')"}},
     ROWS, "1|old|10|5|5|[\"a\",\"b\"]|first\n"},
    {"multivalue: all that nobody replaced", K_ROW, {{0, "", "UPDATE t SET body = 'A'"}, {1, "", "UPDATE t SET body = 'B'"}, {2, "", "UPDATE t SET body = 'C'"}},
     SIBLINGS, "C|[\"C\",\"B\",\"A\"]\n"},
    {"multivalue: who saw two replaces two", K_ROW,
     {{0, "", "UPDATE t SET body = 'A'"}, {1, "", "UPDATE t SET body = 'B'"}, {2, "", "UPDATE t SET body = 'C'"}, {0, "1", "UPDATE t SET body = 'AB'"}}, SIBLINGS,
     "AB|[\"AB\",\"C\"]\n"},
    {"multivalue: an older write by one who saw none stays", K_ROW,
     {{0, "", "UPDATE t SET body = 'A'"}, {1, "0", "UPDATE t SET body = body || 'B'"}, {2, "01", "UPDATE t SET body = body || 'C'"}}, SIBLINGS, "ABC|[\"ABC\"]\n"},
    {"all kinds, a DELETE among updates", K_ROW,
     {{0, "", "UPDATE t SET hi = 9, tags = set_add(tags, 'z'), body = 'A', n = n + 1"}, {1, "", "DELETE FROM t"}, {2, "", "UPDATE t SET lo = 1, body = 'C'"}}, ROWS, ""},
    {"one register, three writers, and one who merged them", K_ROW,
     {{0, "", "UPDATE t SET v = 'A', hi = 8, tags = set_add(tags, 'A')"}, {1, "", "UPDATE t SET v = 'B', hi = 7, tags = set_add(tags, 'B')"},
      {2, "", "UPDATE t SET v = 'C', hi = 6, tags = set_remove(tags, 'a')"}, {0, "12", "UPDATE t SET tags = set_remove(tags, 'B'), body = v"}},
     ROWS, "1|C|10|8|5|[\"A\",\"b\"]|C\n"},
};

static void test_kinds_every_order(void)
{
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        run_scene(&scenes[i], NULL);
}

/* ---- one node ---- */

static db *one_row(void)
{
    db *d = help_memory();
    run_all(d, K_ROW);
    return d;
}

static void test_kinds_maximum_keeps_the_largest(void)
{
    db *d = one_row();
    expect_rows(d, "UPDATE t SET hi = 3, lo = 7 RETURNING hi, lo", "5|5\n");
    expect_rows(d, "UPDATE t SET hi = 8, lo = -1 RETURNING hi, lo", "8|-1\n");
    expect_rows(d, "UPDATE t SET hi = NULL, lo = NULL RETURNING hi, lo", "8|-1\n");
    run_sql(d, "INSERT INTO t (id) VALUES (2)");
    expect_rows(d, "SELECT hi, lo FROM t WHERE id = 2", "NULL|NULL\n");
    expect_rows(d, "UPDATE t SET hi = 0, lo = 0 WHERE id = 2 RETURNING hi, lo", "0|0\n");
    expect_rows(d, "INSERT INTO t (id, hi) VALUES (1, 6) ON CONFLICT DO UPDATE SET hi = excluded.hi, lo = -9 RETURNING hi, lo", "8|-9\n");
    run_sql(d, "CREATE TABLE x (id INTEGER PRIMARY KEY, r REAL MAXIMUM, d DECIMAL(8,2) MINIMUM, s TEXT MAXIMUM, at TIMESTAMP MAXIMUM, b BOOLEAN MAXIMUM)");
    run_sql(d, "INSERT INTO x VALUES (1, 1.5, 2, 'b', '2020-01-01', FALSE)");
    run_sql(d, "UPDATE x SET r = 1, d = 1.25, s = 'a', at = '2021-01-01', b = TRUE");
    run_sql(d, "UPDATE x SET r = -2.5, d = 3, s = 'bb', at = '1999-01-01', b = FALSE");
    expect_rows(d, "SELECT * FROM x", "1|1.5|1.25|bb|2021-01-01 00:00:00|1\n");
    help_close(d);
}

static void test_kinds_set_takes_and_gives_elements(void)
{
    db *d = one_row();
    expect_rows(d, "SELECT tags, set_has(tags, 'a'), set_has(tags, 'x'), set_size(tags) FROM t", "[\"a\",\"b\"]|1|0|2\n");
    run_sql(d, "UPDATE t SET tags = set_add(set_remove(tags, 'a'), 'z', 'b', NULL, 'm\"\xc3\xa4')");
    expect_rows(d, "SELECT tags, set_size(tags), set_has(tags, 'm\"\xc3\xa4') FROM t", "[\"b\",\"m\\\"\xc3\xa4\",\"z\"]|3|1\n");
    run_sql(d, "UPDATE t SET tags = set_add(set_remove(tags, 'q'), 'q')");
    run_sql(d, "UPDATE t SET tags = set_remove(set_add(tags, 'r'), 'r')");
    expect_rows(d, "SELECT set_has(tags, 'q'), set_has(tags, 'r') FROM t", "1|0\n");
    run_sql(d, "UPDATE t SET tags = '[ \"y\", \"x\", \"y\" ]'");
    expect_rows(d, "SELECT tags, tags ->> 1, json_array_length(tags), typeof(tags) FROM t", "[\"x\",\"y\"]|y|2|json\n");
    run_sql(d, "UPDATE t SET tags = NULL");
    expect_rows(d, "SELECT tags FROM t WHERE tags IS NOT NULL", "[]\n");
    expect_rows(d, "SELECT value FROM t, json_each(set_add(t.tags, 'k', 'j'))", "j\nk\n");
    expect_rows(d, "INSERT INTO t (id) VALUES (1) ON CONFLICT DO UPDATE SET tags = set_add(tags, 'up') RETURNING tags", "[\"up\"]\n");
    expect_error(d, "UPDATE t SET tags = 'a'", QUARTET_MISMATCH, "a set is a JSON array", -2);
    expect_error(d, "UPDATE t SET tags = '[null]'", QUARTET_MISMATCH, "numbers and strings, not null", -2);
    expect_error(d, "UPDATE t SET tags = set_add(tags, x'ff')", QUARTET_MISMATCH, "BLOB", -2);
    expect_error(d, "SELECT set_add('{}', 1)", QUARTET_ERROR, "a set is a JSON array", -2);
    expect_error(d, "SELECT set_has('[1]', x'00')", QUARTET_ERROR, "cannot be BLOB", -2);
    help_close(d);
}

static void test_kinds_set_converts_its_elements(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE x (id INTEGER PRIMARY KEY, n INTEGER SET DEFAULT '[2, 10, 1]', d DECIMAL(6,2) SET, day DATE SET, u UUID SET)");
    run_sql(d, "INSERT INTO x (id, d, day) VALUES (1, '[1, 0.5, \"7\"]', '[\"2020-02-01\",\"2020-01-01\"]')");
    expect_rows(d, "SELECT * FROM x", "1|[1,2,10]|[0.50,1.00,7.00]|[\"2020-01-01\",\"2020-02-01\"]|[]\n");
    run_sql(d, "UPDATE x SET n = set_remove(set_add(n, '-5', 3.0), 10), d = set_remove(d, 7), day = set_add(day, DATE '2019-05-05'), "
               "u = set_add(u, '00000000-0000-0000-0000-00000000000A')");
    expect_rows(d, "SELECT * FROM x", "1|[-5,1,2,3]|[0.50,1.00]|[\"2019-05-05\",\"2020-01-01\",\"2020-02-01\"]|[\"00000000-0000-0000-0000-00000000000a\"]\n");
    expect_rows(d, "SELECT set_has(d, 0.5), set_has(d, 1), set_has(d, 2), set_has(day, DATE '2020-01-01'), set_remove(d, 1), set_add(d, 0.5) FROM x",
                "1|1|0|1|[0.50]|[0.50,1.00]\n");
    expect_error(d, "UPDATE x SET n = set_add(n, 1.5)", QUARTET_MISMATCH, "column n is INTEGER", -2);
    expect_error(d, "UPDATE x SET d = '[0.125]'", QUARTET_MISMATCH, "column d is DECIMAL(6,2)", -2);
    expect_error(d, "UPDATE x SET day = set_add(day, 'tomorrow')", QUARTET_MISMATCH, "column day is DATE", -2);
    help_close(d);
}

static void conn_run(conn *c, const char *sql)
{
    struct err err = ERR_INIT;
    conn_stmt *s = NULL;
    size_t consumed = 0;
    struct batch rows = {.n = 1};
    OK(conn_prepare(c, sql, strlen(sql), &s, &consumed, &err));
    while (rows.n > 0)
        OK(conn_step(s, &rows, &err));
    conn_finalize(s);
}

static void test_kinds_net_effect_of_a_transaction(void)
{
    struct err err = ERR_INIT;
    db *d = one_row();
    conn *c = NULL;
    OK(conn_open(d, &c, &err));
    static const char *const statements[] = {"BEGIN",
                                             "UPDATE t SET tags = set_add(tags, 'c'), hi = 7, n = n + 1",
                                             "UPDATE t SET tags = set_remove(tags, 'a'), hi = 6, n = n + 1, body = 'x'",
                                             "UPDATE t SET tags = '[\"b\",\"d\"]', lo = 2",
                                             "UPDATE t SET tags = set_add(tags, 'a')",
                                             "SAVEPOINT s",
                                             "UPDATE t SET tags = set_add(tags, 'gone'), hi = 99, body = 'gone'",
                                             "ROLLBACK TO s",
                                             "INSERT INTO t (id, tags) VALUES (2, '[\"q\"]')",
                                             "UPDATE t SET tags = set_add(tags, 'r'), hi = 1, hi = 3 WHERE id = 2",
                                             "COMMIT"};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        conn_run(c, statements[i]);
    expect_rows(d, ROWS, "1|old|12|7|2|[\"a\",\"b\",\"d\"]|x\n2|NULL|0|3|NULL|[\"q\",\"r\"]|NULL\n");
    conn_close(c);
    help_close(d);
}

static void test_kinds_siblings_beside_own_writes(void)
{
    struct cluster *c = cluster_new(2);
    struct prng r;
    prng_seed(&r, 3);
    run_all(c->d[0], K_ROW);
    cluster_exchange(c, &r);
    run_sql(c->d[0], "UPDATE t SET body = 'A'");
    next_millisecond(env_posix());
    run_sql(c->d[1], "UPDATE t SET body = 'B'");
    cluster_exchange(c, &r);
    db *d = c->d[0];
    run_sql(d, "CREATE TABLE o (id INTEGER PRIMARY KEY)");
    run_sql(d, "INSERT INTO o VALUES (1), (2)");
    expect_rows(d, "SELECT o.id, siblings(t.body) FROM o LEFT JOIN t USING (id) ORDER BY 1", "1|[\"B\",\"A\"]\n2|NULL\n");
    run_sql(d, "INSERT INTO t (id, body) SELECT value, 'x' || value FROM generate_series(100, 1099)"); /* so that it is looked up in */
#define LOOKED_UP "SELECT o.id, x.all_of FROM o JOIN (SELECT id, siblings(body) AS all_of FROM t) x ON x.id = o.id"
    struct buf how = {0};
    struct err err = ERR_INIT;
    OK(query_try(d, "EXPLAIN " LOOKED_UP, NULL, &how, &err));
    buf_u8(&how, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr((const char *)how.data, "Look up t"));
    buf_deinit(&how);
    expect_rows(d, LOOKED_UP, "1|[\"B\",\"A\"]\n");
    run_sql(d, "DELETE FROM t WHERE id >= 100");
    expect_rows(d, "SELECT siblings(x.body) FROM t x WHERE json_array_length(siblings(x.body)) > 1", "[\"B\",\"A\"]\n");
    expect_rows(d, "UPDATE t SET v = siblings(body), n = 3 RETURNING v", "[\"B\",\"A\"]\n");
    expect_rows(d, SIBLINGS, "B|[\"B\",\"A\"]\n"); /* nobody wrote the column */
    run_sql(d, "UPDATE t SET body = 'AB'");
    expect_rows(d, SIBLINGS, "AB|[\"AB\"]\n");
    expect_error(d, "SELECT siblings(v) FROM t", QUARTET_ERROR, "takes a MULTIVALUE column", 7);
    expect_rows(d, "SELECT siblings(body) FROM (SELECT body FROM t)", "[\"AB\"]\n");
    expect_error(d, "SELECT siblings(body) FROM (SELECT DISTINCT body FROM t)", QUARTET_ERROR, "takes a MULTIVALUE column", 7);
    expect_error(d, "SELECT siblings(body) FROM t AS OF now()", QUARTET_ERROR, "does not go with AS OF", 7);
    expect_error(d, "INSERT INTO t (id) VALUES (5) RETURNING siblings(body)", QUARTET_ERROR, "cannot stand in INSERT or RETURNING", -2);
    cluster_free(c);
}

static void test_kinds_backtrack_begins_anew(void)
{
    struct err err = ERR_INIT;
    struct cluster *c = cluster_new(3);
    struct prng r;
    struct buf stamp = {0};
    char sql[128];
    const char *tables[] = {"t", NULL};
    prng_seed(&r, 3);
    run_all(c->d[0], K_ROW);
    OK(query_try(c->d[0], "SELECT quartet_stamp()", NULL, &stamp, &err));
    cluster_exchange(c, &r);
    run_sql(c->d[0], "UPDATE t SET v = 'n', n = n + 5, hi = 90, lo = -90, tags = '[\"z\"]', body = 'n'");
    cluster_exchange(c, &r);
    run_sql(c->d[1], "UPDATE t SET hi = 80, tags = set_add(tags, 'late')");  /* above 5, below 90: nothing */
    run_sql(c->d[1], "UPDATE t SET hi = 95");                                /* by one who does not know of the new beginning: of the old register */
    (void)snprintf(sql, sizeof sql, "BACKTRACK TABLE t TO STAMP %.*s", (int)stamp.len - 1, (const char *)stamp.data);
    run_sql(c->d[0], sql);
    expect_rows(c->d[0], ROWS, "1|old|10|5|5|[\"a\",\"b\"]|first\n");
    cluster_exchange(c, &r);
    cluster_expect_equal(c, tables, 3);
    expect_rows(c->d[2], ROWS, "1|old|10|5|5|[\"a\",\"b\",\"late\"]|first\n");
    run_sql(c->d[2], "UPDATE t SET hi = 6");
    cluster_exchange(c, &r);
    expect_rows(c->d[1], "SELECT hi FROM t", "6\n");
    buf_deinit(&stamp);
    cluster_free(c);
}

static void test_kinds_added_columns(void)
{
    db *d = one_row();
    run_sql(d, "ALTER TABLE t ADD COLUMN more TEXT SET NOT NULL");
    run_sql(d, "ALTER TABLE t ADD COLUMN top INTEGER MAXIMUM DEFAULT 7");
    run_sql(d, "ALTER TABLE t ADD COLUMN note TEXT MULTIVALUE DEFAULT 'd'");
    expect_rows(d, "SELECT more, top, note, siblings(note), set_size(more) FROM t", "[]|7|d|[\"d\"]|0\n");
    run_sql(d, "UPDATE t SET more = set_add(more, 'm'), top = 5, note = 'n'");
    expect_rows(d, "SELECT more, top, note, siblings(note) FROM t", "[\"m\"]|7|n|[\"n\"]\n");
    run_sql(d, "UPDATE t SET top = 8");
    expect_rows(d, "SELECT top FROM t", "8\n");
    expect_error(d, "ALTER TABLE t ADD COLUMN x TEXT SET DEFAULT '[\"a\"]'", QUARTET_ERROR, "must be empty", -2);
    help_close(d);
}

static void test_kinds_refusals_say_why(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE p (id INTEGER PRIMARY KEY)");
    static const struct {
        const char *column, *why;
    } refused[] = {
        {"x REAL COUNTER", "depend on the order of additions"},
        {"x TEXT COUNTER", "must be INTEGER or DECIMAL"},
        {"x JSON MAXIMUM", "which has no order"},
        {"x MINIMUM", "needs a type"},
        {"x TEXT COLLATE NOCASE MAXIMUM", "compares bytes"},
        {"x REAL SET", "a SET is of INTEGER"},
        {"x BLOB SET", "a SET is of INTEGER"},
        {"x DECIMAL SET", "a SET is of INTEGER"},
        {"x BOOLEAN SET", "a SET is of INTEGER"},
        {"x TEXT COLLATE NOCASE SET", "without NOCASE"},
        {"x TEXT SET UNIQUE", "the SET column x can be in no key and no index"},
        {"x TEXT MULTIVALUE UNIQUE", "the MULTIVALUE column x can be in no key"},
        {"x INTEGER MAXIMUM, UNIQUE (id, x)", "the MAXIMUM column x can be in no key"},
        {"x INTEGER SET REFERENCES p", "the SET column x can be in no foreign key"},
        {"x TEXT SET CHECK (x <> '[]')", "a CHECK over the SET column x"},
        {"x TEXT MULTIVALUE CHECK (x <> '')", "a CHECK over the MULTIVALUE column x"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char sql[200];
        (void)snprintf(sql, sizeof sql, "CREATE TABLE x (id INTEGER PRIMARY KEY, %s)", refused[i].column);
        expect_error(d, sql, QUARTET_ERROR, refused[i].why, -2);
    }
    expect_error(d, "CREATE TABLE x (id TEXT SET PRIMARY KEY)", QUARTET_ERROR, "the SET column id can", -2);
    run_sql(d, "CREATE TABLE x (id INTEGER PRIMARY KEY, s TEXT SET)");
    expect_error(d, "CREATE INDEX xs ON x (s)", QUARTET_ERROR, "the SET column s can be in no key and no index", -2);
    expect_rows(d, "SELECT column_name, data_type, merges_by FROM information_schema.columns WHERE table_name = 'x'", "id|INTEGER|key\ns|JSON|set of elements\n");
    help_close(d);
}

static void test_kinds_explain_merge(void)
{
    db *d = one_row();
    run_sql(d, "CREATE TABLE w (id INTEGER PRIMARY KEY, a TEXT UNIQUE, p INTEGER REFERENCES t, CHECK (a <> '')) UPDATES WIN");
    expect_rows(d, "EXPLAIN MERGE UPDATE t SET v = 'x', n = n + 1 WHERE id = 1",
                "UPDATE of t: the rows that this node sees; rows inserted concurrently are not touched\n"
                "  t.v (plain): writes the value; the last writer wins, by stamp; of concurrent values one is overridden and told in quartet_conflicts\n"
                "  t.n (COUNTER): adds, and does not read it; all changes add up; a concurrent change counts as well\n"
                "  a concurrent DELETE of the row: no row, what this writes is lost and told in quartet_conflicts\n");
    expect_part(d, "EXPLAIN MERGE UPDATE t SET n = 7", "t.n (COUNTER): adds the difference to what was read");
    expect_part(d, "EXPLAIN MERGE UPDATE t SET hi = 7, lo = 3", "t.lo (MINIMUM): writes a value that may be the outermost; the smallest value ever written holds");
    expect_part(d, "EXPLAIN MERGE UPDATE t SET tags = set_add(tags, 'x')", "t.tags (SET): adds and removes the elements named; merges by element");
    expect_part(d, "EXPLAIN MERGE UPDATE t SET tags = '[]'", "t.tags (SET): adds and removes what makes the array of what was read");
    expect_part(d, "EXPLAIN MERGE UPDATE t SET body = 'b'", "t.body (MULTIVALUE): writes the value; replaces the values that this node has seen");
    expect_part(d, "EXPLAIN MERGE UPDATE t SET id = 7", "the primary key: where it changes, a DELETE of the old row and an INSERT");
    expect_part(d, "EXPLAIN MERGE UPDATE w SET a = 'x', p = 1", "a concurrent DELETE of the row: the row stays, as this leaves it (UPDATES WIN)");
    expect_part(d, "EXPLAIN MERGE UPDATE w SET a = 'x', p = 1", "UNIQUE w_unique_1: of concurrent rows with one value the one born first keeps it");
    expect_part(d, "EXPLAIN MERGE UPDATE w SET a = 'x', p = 1", "REFERENCES t: where that row is deleted concurrently");
    expect_part(d, "EXPLAIN MERGE INSERT INTO w VALUES (1, 'x', 1)", "CHECK (");
    expect_part(d, "EXPLAIN MERGE INSERT INTO t (id) VALUES (1)", "a concurrent INSERT of the same key: one row");
    expect_part(d, "EXPLAIN MERGE INSERT INTO t (v) VALUES ('a')", "the key is assigned by this node");
    expect_part(d, "EXPLAIN MERGE INSERT INTO t (id) VALUES (1) ON CONFLICT DO UPDATE SET n = n + 1", "ON CONFLICT writes instead:");
    expect_part(d, "EXPLAIN MERGE REPLACE INTO t (id) VALUES (1)", "rows that stand in the way are deleted");
    expect_part(d, "EXPLAIN MERGE DELETE FROM t", "a concurrent UPDATE of the row: no row, what it wrote is lost");
    expect_part(d, "EXPLAIN MERGE DELETE FROM w", "a concurrent UPDATE of the row: the row stays");
    expect_part(d, "EXPLAIN MERGE DELETE FROM t", "triggers and actions of foreign keys write too");
    expect_rows(d, ROWS, "1|old|10|5|5|[\"a\",\"b\"]|first\n"); /* nothing ran */
    help_close(d);
}

const char *const unit_suite = "kinds";
const struct unit_test unit_tests[] = {
    {"every order of arrival", test_kinds_every_order},
    {"MAXIMUM keeps the largest", test_kinds_maximum_keeps_the_largest},
    {"SET takes and gives elements", test_kinds_set_takes_and_gives_elements},
    {"SET converts its elements", test_kinds_set_converts_its_elements},
    {"net effect of a transaction", test_kinds_net_effect_of_a_transaction},
    {"siblings beside own writes", test_kinds_siblings_beside_own_writes},
    {"BACKTRACK begins anew", test_kinds_backtrack_begins_anew},
    {"added columns", test_kinds_added_columns},
    {"refusals say why", test_kinds_refusals_say_why},
    {"EXPLAIN MERGE", test_kinds_explain_merge},
    {NULL, NULL},
};
