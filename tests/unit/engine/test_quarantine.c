/* test_quarantine.c - quartet_quarantine: every row that is out of sight is there once, with the reason, and can be edited or deleted there. */
#include "cluster_help.h"
#include "engine/conn.h"
#include "query_help.h"

static void off_sql(db *d, const char *sql)
{
    struct err err = ERR_INIT;
    struct exec_limits off = {.no_foreign_keys = true};
    CU_ASSERT_EQUAL_FATAL(query_try(d, sql, &off, NULL, &err), QUARTET_OK);
}

static void expect_all(struct cluster *c, const char *sql, const char *want)
{
    for (uint32_t i = 0; i < c->count; i++)
        expect_rows(c->d[i], sql, want);
}

static struct cluster *family(struct prng *r, uint64_t seed)
{
    prng_seed(r, seed);
    struct cluster *c = cluster_new(3);
    run_sql(c->d[0], "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT)");
    run_sql(c->d[0], "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER CONSTRAINT of_p REFERENCES p, note TEXT, raw BLOB, price DECIMAL(8,2))");
    run_sql(c->d[0], "CREATE TABLE g (id INTEGER PRIMARY KEY, cid INTEGER REFERENCES c)");
    run_sql(c->d[0], "INSERT INTO p VALUES (1, 'a'), (2, 'b')");
    cluster_exchange(c, r);
    run_sql(c->d[0], "DELETE FROM p WHERE id = 1");
    run_sql(c->d[1], "INSERT INTO c VALUES (10, 1, 'x', x'00ff', 1.50), (11, 1, 'say \"hi\"', NULL, NULL), (20, 2, 'y', NULL, 2)");
    run_sql(c->d[1], "INSERT INTO g VALUES (100, 10), (200, 20)");
    cluster_exchange(c, r);
    return c;
}

static void test_quarantine_tells_rows_and_reasons(void)
{
    struct prng r;
    struct cluster *c = family(&r, 1);
    expect_all(c, "SELECT table_name, key, reason, constraint_name, detail FROM quartet_quarantine ORDER BY 1, 2",
               "c|10|FOREIGN KEY|of_p|pid = 1 references a row of p (id) that is not there\n"
               "c|11|FOREIGN KEY|of_p|pid = 1 references a row of p (id) that is not there\n"
               "g|100|FOREIGN KEY|FOREIGN KEY (cid) REFERENCES c (id)|cid = 10 references a row of c (id) that is in quarantine itself\n");
    expect_all(c, "SELECT \"row\" FROM quartet_quarantine WHERE table_name = 'c' ORDER BY key",
               "{\"id\": 10, \"pid\": 1, \"note\": \"x\", \"raw\": \"00ff\", \"price\": 1.50}\n"
               "{\"id\": 11, \"pid\": 1, \"note\": \"say \\\"hi\\\"\", \"raw\": null, \"price\": null}\n");
    expect_all(c, "SELECT count(*) FROM quartet_quarantine AS q JOIN c ON c.id = q.key", "0\n");
    run_sql(c->d[2], "INSERT INTO p VALUES (1, 'again')");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT count(*) FROM quartet_quarantine", "0\n");
    cluster_free(c);
}

static void test_quarantine_rows_are_edited(void)
{
    struct prng r;
    struct cluster *c = family(&r, 2);
    run_sql(c->d[2], "UPDATE quartet_quarantine SET \"row\" = '{\"note\": \"seen\", \"price\": 0.10, \"raw\": \"0A\"}' WHERE table_name = 'c' AND key = '10'");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT \"row\" FROM quartet_quarantine WHERE key = '10'",
               "{\"id\": 10, \"pid\": 1, \"note\": \"seen\", \"raw\": \"0a\", \"price\": 0.10}\n");
    expect_error(c->d[0], "UPDATE quartet_quarantine SET \"row\" = '{\"pid\": 3}' WHERE key = '10'", QUARTET_CONSTRAINT, "FOREIGN KEY constraint failed", -2);
    expect_error(c->d[0], "UPDATE quartet_quarantine SET \"row\" = '{\"nose\": 3}'", QUARTET_ERROR, "no such column: nose", -2);
    expect_error(c->d[0], "UPDATE quartet_quarantine SET \"row\" = '[1]'", QUARTET_ERROR, "JSON object", -2);
    expect_error(c->d[0], "UPDATE quartet_quarantine SET \"row\" = '{\"raw\": \"0\"}' WHERE key = '10'", QUARTET_MISMATCH, "hexadecimal", -2);
    expect_error(c->d[0], "UPDATE quartet_quarantine SET \"row\" = '{\"pid\": \"one\"}' WHERE key = '10'", QUARTET_MISMATCH, "pid", -2);
    expect_error(c->d[0], "UPDATE quartet_quarantine SET reason = 'none'", QUARTET_ERROR, "only the column \"row\"", -2);
    expect_error(c->d[0], "INSERT INTO quartet_quarantine (reason) VALUES ('x')", QUARTET_ERROR, "is a view", -2);
    expect_error(c->d[0], "DELETE FROM quartet_quarantine RETURNING key", QUARTET_ERROR, "RETURNING", -2);
    run_sql(c->d[0], "UPDATE quartet_quarantine SET \"row\" = json_object('pid', 2) WHERE table_name = 'c' AND \"row\" ->> 'note' = 'seen'");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id, pid, note FROM c ORDER BY id", "10|2|seen\n20|2|y\n");
    expect_all(c, "SELECT id FROM g ORDER BY id", "100\n200\n");
    expect_all(c, "SELECT table_name, key FROM quartet_quarantine", "c|11\n");
    run_sql(c->d[1], "UPDATE quartet_quarantine SET \"row\" = '{\"id\": 12, \"pid\": null}'"); /* another key, and no parent */
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id, pid, note FROM c ORDER BY id", "10|2|seen\n12|NULL|say \"hi\"\n20|2|y\n");
    expect_all(c, "SELECT count(*) FROM quartet_quarantine", "0\n");
    cluster_free(c);
}

static void test_quarantine_rows_are_deleted(void)
{
    struct prng r;
    struct cluster *c = family(&r, 3);
    run_sql(c->d[2], "CREATE TABLE audit (what TEXT)");
    run_sql(c->d[2], "CREATE TRIGGER t AFTER DELETE ON c BEGIN INSERT INTO audit VALUES (OLD.note); END");
    run_sql(c->d[2], "DELETE FROM quartet_quarantine WHERE table_name = 'c' ORDER BY key LIMIT 1");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT table_name, key, detail FROM quartet_quarantine ORDER BY 1",
               "c|11|pid = 1 references a row of p (id) that is not there\ng|100|cid = 10 references a row of c (id) that is not there\n");
    run_sql(c->d[1], "DELETE FROM quartet_quarantine");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT count(*) FROM quartet_quarantine", "0\n");
    run_sql(c->d[0], "INSERT INTO p VALUES (1, 'again')");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM c", "20\n");
    expect_all(c, "SELECT what FROM audit ORDER BY 1", "say \"hi\"\nx\n");
    expect_all(c, "SELECT count(*) FROM quartet_broken_keys", "0\n");
    cluster_free(c);
}

static int64_t first_of(conn *c, const char *sql)
{
    struct err err = ERR_INIT;
    conn_stmt *s = NULL;
    size_t consumed = 0;
    struct batch rows = {.n = 1};
    int64_t first = -1;
    quartet_status rc = conn_prepare(c, sql, strlen(sql), &s, &consumed, &err);
    for (bool any = false; rc == QUARTET_OK && rows.n > 0; any = true) {
        rc = conn_step(s, &rows, &err);
        if (rc == QUARTET_OK && rows.n > 0 && !any)
            first = vec_get(&rows.cols[0], batch_row(&rows, 0)).i;
    }
    if (rc != QUARTET_OK)
        printf("\n%s: %s\n", sql, err.text);
    CU_ASSERT_EQUAL(rc, QUARTET_OK);
    conn_finalize(s);
    return first;
}

/* A transaction sees what it did itself, and it can all be taken back. */
static void test_quarantine_within_a_transaction(void)
{
    static const char count[] = "SELECT count(*) FROM quartet_quarantine";
    struct prng r;
    struct cluster *c = family(&r, 4);
    struct err err = ERR_INIT;
    conn *s = NULL;
    OK(conn_open(c->d[0], &s, &err));
    first_of(s, "BEGIN");
    CU_ASSERT_EQUAL(first_of(s, count), 3);
    first_of(s, "SAVEPOINT one");
    first_of(s, "DELETE FROM quartet_quarantine WHERE key = '11'");
    CU_ASSERT_EQUAL(first_of(s, count), 2);
    first_of(s, "ROLLBACK TO one");
    CU_ASSERT_EQUAL(first_of(s, count), 3);
    first_of(s, "UPDATE quartet_quarantine SET \"row\" = '{\"pid\": 2}' WHERE key = '10'");
    CU_ASSERT_EQUAL(first_of(s, "SELECT count(*) FROM c WHERE id = 10"), 1);
    first_of(s, "INSERT INTO p VALUES (1, 'again')");
    CU_ASSERT_EQUAL(first_of(s, "SELECT count(*) FROM c"), 3);
    CU_ASSERT_EQUAL(first_of(s, "SELECT count(*) FROM quartet_quarantine WHERE table_name = 'c'"), 0);
    first_of(s, "ROLLBACK");
    CU_ASSERT_EQUAL(first_of(s, count), 3);
    CU_ASSERT_EQUAL(first_of(s, "SELECT count(*) FROM c"), 1);
    conn_close(s);
    cluster_free(c);
}

/* Each row once, whatever it references; keys of several columns, of text that folds, and values that no parent can have. */
static void test_quarantine_of_every_kind_of_key(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE p (a INTEGER, b TEXT COLLATE NOCASE, u TEXT UNIQUE, UNIQUE (a, b))");
    run_sql(d, "CREATE TABLE n (id INTEGER PRIMARY KEY)");
    run_sql(d, "CREATE TABLE c (id INTEGER PRIMARY KEY, x TEXT COLLATE NOCASE, y INTEGER, u TEXT REFERENCES p (u), FOREIGN KEY (x, y) REFERENCES p (b, a))");
    run_sql(d, "CREATE TABLE loose (v TEXT REFERENCES n)");
    off_sql(d, "INSERT INTO c VALUES (1, 'Up', 1, NULL), (2, 'uP', 1, 'gone'), (3, NULL, 1, 'gone'), (4, 'up', 2, NULL), (5, NULL, NULL, NULL)");
    off_sql(d, "INSERT INTO loose VALUES ('7'), ('seven'), (NULL)");
    expect_rows(d, "SELECT key, constraint_name, detail FROM quartet_quarantine WHERE table_name = 'c' ORDER BY key",
                "1|FOREIGN KEY (y, x) REFERENCES p (a, b)|y = 1, x = 'Up' references a row of p (a, b) that is not there\n"
                "2|FOREIGN KEY (u) REFERENCES p (u)|u = 'gone' references a row of p (u) that is not there\n"
                "3|FOREIGN KEY (u) REFERENCES p (u)|u = 'gone' references a row of p (u) that is not there\n"
                "4|FOREIGN KEY (y, x) REFERENCES p (a, b)|y = 2, x = 'up' references a row of p (a, b) that is not there\n");
    expect_rows(d, "SELECT key, detail FROM quartet_quarantine WHERE table_name = 'loose' ORDER BY detail",
                "NULL|v = '7' references a row of n (id) that is not there\n"
                "NULL|v = 'seven' references a row of n (id) that cannot be: no value of that type is equal to it\n");
    run_sql(d, "DELETE FROM quartet_quarantine WHERE table_name = 'loose' AND detail LIKE '%cannot be%'");
    run_sql(d, "INSERT INTO p VALUES (1, 'UP', 'gone')");
    run_sql(d, "INSERT INTO n VALUES (7)");
    expect_rows(d, "SELECT table_name, key FROM quartet_quarantine", "c|4\n");
    run_sql(d, "CREATE TABLE between_them (id INTEGER PRIMARY KEY, c INTEGER REFERENCES c)"); /* stands between two tables that are looked at, and is not */
    run_sql(d, "CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER REFERENCES n)");
    off_sql(d, "INSERT INTO a VALUES (1, 8)");
    off_sql(d, "INSERT INTO loose VALUES (9)");
    expect_rows(d, "SELECT table_name, key FROM quartet_quarantine ORDER BY 1", "a|1\nc|4\nloose|NULL\n");
    run_sql(d, "DELETE FROM quartet_quarantine WHERE table_name <> 'c'");
    expect_rows(d, "SELECT v FROM loose ORDER BY 1", "NULL\n7\n");
    help_close(d);
}

/* A: user 1 'x@' and an order for it; B: user 2 'x@' and an order for it. One is seen with its order; nothing is written per order, and all come back. */
static void test_quarantine_of_two_users_and_their_orders(void)
{
    for (uint32_t nodes = 2; nodes <= 4; nodes++)
        for (uint64_t seed = 1; seed <= 8; seed++) {
            struct prng r;
            prng_seed(&r, seed);
            struct cluster *c = cluster_new(nodes);
            run_sql(c->d[0], "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE)");
            run_sql(c->d[0], "CREATE TABLE orders (id INTEGER PRIMARY KEY, user INTEGER NOT NULL REFERENCES users)");
            cluster_exchange(c, &r);
            run_sql(c->d[0], "INSERT INTO users VALUES (1, 'x@')");
            run_sql(c->d[0], "INSERT INTO orders VALUES (10, 1)");
            run_sql(c->d[1], "INSERT INTO users VALUES (2, 'x@')");
            run_sql(c->d[1], "INSERT INTO orders VALUES (20, 2), (21, 2)");
            cluster_exchange(c, &r);
            expect_all(c, "SELECT id FROM users", "1\n");
            expect_all(c, "SELECT id FROM orders", "10\n");
            expect_all(c, "SELECT table_name, key, reason, detail FROM quartet_quarantine ORDER BY 1, 2",
                       "orders|20|FOREIGN KEY|user = 2 references a row of users (id) that is in quarantine itself\n"
                       "orders|21|FOREIGN KEY|user = 2 references a row of users (id) that is in quarantine itself\n"
                       "users|2|UNIQUE|email = 'x@' belongs to the row with id = 1\n");
            expect_all(c, "SELECT count(*) FROM quartet_broken_keys", "1\n"); /* for any number of orders */
            cluster_expect_equal(c, (const char *const[]){"users", "orders", "quartet_broken_keys", NULL}, seed);
            if (seed % 2 == 0)
                run_sql(c->d[nodes - 1], "UPDATE users SET email = 'y@' WHERE id = 1");
            else
                run_sql(c->d[nodes - 1], "UPDATE quartet_quarantine SET \"row\" = '{\"email\": \"y@\"}' WHERE reason = 'UNIQUE'");
            cluster_exchange(c, &r);
            expect_all(c, "SELECT id FROM users ORDER BY id", "1\n2\n");
            expect_all(c, "SELECT id FROM orders ORDER BY id", "10\n20\n21\n");
            expect_all(c, "SELECT count(*) FROM quartet_quarantine", "0\n");
            expect_all(c, "SELECT count(*) FROM quartet_broken_keys", "0\n");
            cluster_free(c);
        }
}

static void test_quarantine_of_every_constraint(void)
{
    struct prng r;
    prng_seed(&r, 5);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, lo INTEGER, hi INTEGER, must INTEGER)");
    run_sql(c->d[0], "INSERT INTO t VALUES (1, 1, 5, 1), (2, 1, 5, 2), (3, 1, 5, 3)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "ALTER TABLE t ADD COLUMN cap INTEGER DEFAULT 50 CONSTRAINT small CHECK (must < cap)");
    run_sql(c->d[1], "UPDATE t SET must = 100 WHERE id = 2");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT table_name, key, reason, constraint_name, detail FROM quartet_quarantine",
               "t|2|CHECK|small|the condition is false for this row, or cannot be evaluated\n");
    expect_error(c->d[1], "UPDATE quartet_quarantine SET \"row\" = '{\"lo\": 2}'", QUARTET_CONSTRAINT, "CHECK constraint failed", -2);
    run_sql(c->d[1], "UPDATE quartet_quarantine SET \"row\" = '{\"must\": 49}'");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id, must FROM t", "1|1\n2|49\n3|3\n");
    run_sql(c->d[0], "CREATE UNIQUE INDEX one ON t (hi, must)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "UPDATE t SET must = 7 WHERE id = 1");
    run_sql(c->d[1], "UPDATE t SET must = 7 WHERE id = 3");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT key, reason, constraint_name, detail FROM quartet_quarantine", "3|UNIQUE|one|hi = 5, must = 7 belongs to the row with id = 1\n");
    run_sql(c->d[0], "DELETE FROM quartet_quarantine WHERE reason = 'UNIQUE'");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM t ORDER BY id", "1\n2\n");
    expect_all(c, "SELECT count(*) FROM quartet_quarantine", "0\n");
    cluster_free(c);
}

const char *const unit_suite = "quarantine";
const struct unit_test unit_tests[] = {
    {"tells rows and reasons", test_quarantine_tells_rows_and_reasons},
    {"rows are edited", test_quarantine_rows_are_edited},
    {"rows are deleted", test_quarantine_rows_are_deleted},
    {"within a transaction", test_quarantine_within_a_transaction},
    {"of two users and their orders", test_quarantine_of_two_users_and_their_orders},
    {"of every constraint", test_quarantine_of_every_constraint},
    {"of every kind of key", test_quarantine_of_every_kind_of_key},
    {NULL, NULL},
};
