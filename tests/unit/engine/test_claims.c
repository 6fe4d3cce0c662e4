/* test_claims.c - UNIQUE, CHECK and NOT NULL on the merged state: on members that learn transactions in any order, a row is quarantined while it does not own all its
 *   values or breaks a test, and what is shown is what a naive comparison of all live rows says. */
#include "cluster_help.h"
#include "dir_help.h"
#include "engine/apply.h"
#include "engine/catalog_build.h"
#include "engine/verify.h"
#include "query_help.h"

static void expect_all(struct cluster *c, const char *sql, const char *want)
{
    for (uint32_t i = 0; i < c->count; i++)
        expect_rows(c->d[i], sql, want);
}

/* Two register one address: the one whose row was born first has it, on both; what hangs on the other is out of sight with it. Nothing is written to orders. */
static void test_claims_of_one_address(void)
{
    struct prng r;
    struct db_stats before, after;
    prng_seed(&r, 1);
    struct cluster *c = cluster_new(3);
    run_sql(c->d[0], "CREATE TABLE u (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, name TEXT)");
    run_sql(c->d[0], "CREATE TABLE o (id INTEGER PRIMARY KEY, u INTEGER REFERENCES u)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "INSERT INTO u VALUES (1, 'x@', 'one')");
    run_sql(c->d[1], "INSERT INTO u VALUES (2, 'x@', 'two')");
    run_sql(c->d[1], "INSERT INTO o VALUES (10, 2), (11, 2), (12, 2)");
    expect_rows(c->d[1], "SELECT count(*) FROM o", "3\n");
    cluster_seal(c, 1);
    db_stats(c->d[2], &before);
    cluster_exchange(c, &r);
    db_stats(c->d[2], &after);
    expect_all(c, "SELECT id, name FROM u", "1|one\n");
    expect_all(c, "SELECT id FROM u WHERE mail = 'x@'", "1\n");
    expect_all(c, "SELECT mail FROM u WHERE mail > ''", "x@\n"); /* the index alone would do */
    expect_all(c, "SELECT count(*) FROM u WHERE mail >= 'x'", "1\n");
    expect_all(c, "SELECT id FROM u WHERE id = 2", "");
    expect_all(c, "SELECT count(*) FROM o", "0\n");
    expect_all(c, "SELECT count(*) FROM quartet_quarantined", "1\n"); /* the user; its orders hang on one broken key */
    expect_all(c, "SELECT count(*) FROM quartet_broken_keys", "1\n");
    CU_ASSERT(after.rows_written - before.rows_written <= 6); /* of the transactions themselves */
    expect_error(c->d[2], "INSERT INTO u VALUES (3, 'x@', 'three')", QUARTET_CONSTRAINT, "UNIQUE constraint failed: u.mail", -2);
    expect_error(c->d[2], "INSERT INTO u VALUES (2, 'y@', 'over it')", QUARTET_CONSTRAINT, "that row is quarantined", -2);
    run_sql(c->d[0], "UPDATE u SET mail = 'z@' WHERE id = 1"); /* gives it up */
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id, mail FROM u ORDER BY id", "1|z@\n2|x@\n");
    expect_all(c, "SELECT mail FROM u WHERE mail > '' ORDER BY mail", "x@\nz@\n");
    expect_all(c, "SELECT id FROM o ORDER BY id", "10\n11\n12\n");
    expect_all(c, "SELECT count(*) FROM quartet_quarantined", "0\n");
    cluster_free(c);
}

/* Every quarantine is a row of quartet_conflicts, with one id on all nodes that meet it; told once, however often the row comes back and goes again. */
static void test_claims_are_told_in_conflicts(void)
{
    struct prng r;
    struct err err = ERR_INIT;
    struct buf id = {0};
    char sql[160];
    prng_seed(&r, 11);
    struct cluster *c = cluster_new(3);
    run_sql(c->d[0], "CREATE TABLE u (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, a INTEGER, b INTEGER)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "INSERT INTO u VALUES (1, 'x@', 1, 2)");
    run_sql(c->d[1], "INSERT INTO u VALUES (2, 'x@', 1, 2)");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT table_name, row_key, rule, winning_value, losing_value, losing_node, resolved FROM quartet_conflicts",
               "u|2|UNIQUE, quarantined|1|mail = 'x@' belongs to the row with id = 1|1|0\n");
    OK(query_try(c->d[0], "SELECT id FROM quartet_conflicts", NULL, &id, &err));
    buf_u8(&id, 0);
    expect_all(c, "SELECT id FROM quartet_conflicts", (const char *)id.data);
    run_sql(c->d[2], "UPDATE u SET mail = 'y@' WHERE id = 1");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT count(*) FROM u", "2\n");
    expect_all(c, "SELECT count(*) FROM quartet_conflicts", "1\n"); /* it was one */
    (void)snprintf(sql, sizeof sql, "RESOLVE CONFLICT %lld USING LOSER", strtoll((const char *)id.data, NULL, 10));
    expect_error(c->d[0], sql, QUARTET_ERROR, "quartet_quarantine", -2);
    (void)snprintf(sql, sizeof sql, "RESOLVE CONFLICT %lld USING WINNER", strtoll((const char *)id.data, NULL, 10));
    run_sql(c->d[0], sql);
    cluster_exchange(c, &r);
    expect_all(c, "SELECT resolved FROM quartet_conflicts", "1\n");
    run_sql(c->d[0], "ALTER TABLE u ADD CONSTRAINT ab CHECK (a < b)");
    run_sql(c->d[1], "UPDATE u SET a = 5 WHERE id = 2");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT row_key, column_name, rule, losing_node FROM quartet_conflicts WHERE rule LIKE 'CHECK%'", "2|ab|CHECK, quarantined|1\n");
    buf_deinit(&id);
    cluster_free(c);
}

/* A form that is saved again unchanged rewrites the value with a later stamp, which moves no claim. */
static void test_claims_are_not_moved_by_rewriting(void)
{
    struct prng r;
    prng_seed(&r, 2);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE u (id INTEGER PRIMARY KEY, mail TEXT UNIQUE)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "INSERT INTO u VALUES (1, 'x@')");
    run_sql(c->d[1], "INSERT INTO u VALUES (2, 'x@')");
    run_sql(c->d[0], "UPDATE u SET mail = 'x@' WHERE id = 1");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM u", "1\n");
    run_sql(c->d[0], "UPDATE u SET mail = 'x@' WHERE id = 1");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM u", "1\n");
    /* Deleted and inserted anew it has a later birth: the other one was there before. */
    run_sql(c->d[0], "DELETE FROM u WHERE id = 1");
    expect_rows(c->d[0], "SELECT id FROM u", "2\n");
    expect_error(c->d[0], "INSERT INTO u VALUES (1, 'x@')", QUARTET_CONSTRAINT, "UNIQUE", -2);
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM u", "2\n");
    cluster_free(c);
}

static void test_claims_crosswise_leave_one(void)
{
    struct prng r;
    prng_seed(&r, 3);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT UNIQUE)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "INSERT INTO u VALUES (1, 'a1', 'b1')");
    run_sql(c->d[1], "INSERT INTO u VALUES (2, 'a2', 'b2')");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "UPDATE u SET a = 'x' WHERE id = 1");
    run_sql(c->d[1], "UPDATE u SET a = 'x' WHERE id = 2");
    run_sql(c->d[1], "UPDATE u SET b = 'y' WHERE id = 2");
    run_sql(c->d[0], "UPDATE u SET b = 'y' WHERE id = 1");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT * FROM u", "1|x|y\n");
    run_sql(c->d[1], "UPDATE u SET a = 'w' WHERE id = 1");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT * FROM u", "1|w|y\n"); /* b is still the other's */
    run_sql(c->d[0], "DELETE FROM u WHERE id = 1");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT * FROM u", "2|x|y\n");
    cluster_free(c);
}

/* Claims of quarantined rows count: who clashes with such a one is quarantined, too. NULLs claim nothing. */
static void test_claims_of_hidden_rows_count(void)
{
    struct prng r;
    prng_seed(&r, 4);
    struct cluster *c = cluster_new(3);
    run_sql(c->d[0], "CREATE TABLE u (id INTEGER PRIMARY KEY, a INTEGER UNIQUE, b INTEGER, c INTEGER, UNIQUE (b, c))");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "INSERT INTO u VALUES (1, 7, NULL, 1)");
    run_sql(c->d[1], "INSERT INTO u VALUES (2, 7, 5, 1)");
    run_sql(c->d[2], "INSERT INTO u VALUES (3, NULL, 5, 1), (4, NULL, NULL, 1), (5, NULL, 5, NULL), (6, NULL, 5, NULL)");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM u ORDER BY id", "1\n4\n5\n6\n");
    run_sql(c->d[2], "UPDATE u SET a = NULL WHERE id = 1");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM u ORDER BY id", "1\n2\n4\n5\n6\n");
    cluster_free(c);
}

/* A table in which one row is hidden: REPLACE takes it away, IGNORE leaves it, DO UPDATE says that it is out of sight. */
static void test_claims_and_writes_over_them(void)
{
    struct prng r;
    prng_seed(&r, 5);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT UNIQUE, v TEXT)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "INSERT INTO u VALUES (1, 'x', 'one')");
    run_sql(c->d[1], "INSERT INTO u VALUES (2, 'x', 'two')");
    cluster_exchange(c, &r);
    run_sql(c->d[1], "INSERT OR IGNORE INTO u VALUES (2, 'z', 'ignored')");
    expect_error(c->d[1], "INSERT INTO u VALUES (2, 'z', 'up') ON CONFLICT (id) DO UPDATE SET v = 'up'", QUARTET_CONSTRAINT, "out of sight", -2);
    expect_rows(c->d[1], "INSERT INTO u VALUES (9, 'x', 'nine') ON CONFLICT (a) DO NOTHING; ", "");
    run_sql(c->d[1], "REPLACE INTO u VALUES (2, 'z', 'new')");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT * FROM u ORDER BY id", "1|x|one\n2|z|new\n");
    expect_all(c, "SELECT count(*) FROM quartet_quarantined", "0\n");
    cluster_free(c);
}

/* One sets NOT NULL where another writes NULL; it is shown again when the NULL goes, or the constraint. */
static void test_claims_not_null(void)
{
    struct prng r;
    prng_seed(&r, 6);
    struct cluster *c = cluster_new(3);
    run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    run_sql(c->d[0], "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "ALTER TABLE t ALTER COLUMN v SET NOT NULL");
    run_sql(c->d[1], "UPDATE t SET v = NULL WHERE id = 1");
    run_sql(c->d[2], "INSERT INTO t VALUES (4, NULL), (5, 'e')");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM t ORDER BY id", "2\n3\n5\n");
    run_sql(c->d[2], "ALTER TABLE t ALTER COLUMN v DROP NOT NULL");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM t ORDER BY id", "1\n2\n3\n4\n5\n");
    expect_all(c, "SELECT count(*) FROM quartet_quarantined", "0\n");
    cluster_free(c);
}

/* CREATE UNIQUE INDEX while others write: the rows that it finds equal are judged as any others. */
static void test_claims_of_an_index_that_comes_and_goes(void)
{
    struct prng r;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        prng_seed(&r, seed);
        struct cluster *c = cluster_new(3);
        run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
        run_sql(c->d[0], "INSERT INTO t VALUES (1, 'a'), (2, 'b')");
        cluster_exchange(c, &r);
        run_sql(c->d[0], "CREATE UNIQUE INDEX tv ON t (v)");
        run_sql(c->d[1], "INSERT INTO t VALUES (3, 'a'), (4, 'd')");
        run_sql(c->d[2], "UPDATE t SET v = 'd' WHERE id = 2");
        cluster_exchange(c, &r);
        expect_all(c, "SELECT id, v FROM t ORDER BY id", "1|a\n2|d\n");
        expect_all(c, "SELECT v FROM t WHERE v >= 'a' ORDER BY v", "a\nd\n");
        run_sql(c->d[1], "DROP INDEX tv");
        cluster_exchange(c, &r);
        expect_all(c, "SELECT id, v FROM t ORDER BY id", "1|a\n2|d\n3|a\n4|d\n");
        expect_all(c, "SELECT count(*) FROM quartet_quarantined", "0\n");
        cluster_free(c);
    }
}

/* ---- constraints that ALTER TABLE adds and drops ---- */

/* One adds a CHECK and writes both columns, others that do not know it write one: the same on all nodes, whatever the order in which they learn it. */
static void test_claims_of_a_check_that_is_added(void)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct prng r;
        prng_seed(&r, seed);
        struct cluster *c = cluster_new(3);
        run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, lo INTEGER, hi INTEGER)");
        run_sql(c->d[0], "INSERT INTO t VALUES (1, 1, 10), (2, 1, 10), (3, 1, 10)");
        cluster_exchange(c, &r);
        run_sql(c->d[0], "ALTER TABLE t ADD CONSTRAINT ordered CHECK (lo < hi)");
        run_sql(c->d[0], "UPDATE t SET lo = 3, hi = 5 WHERE id = 1");
        run_sql(c->d[1], "UPDATE t SET lo = 7 WHERE id = 1");
        run_sql(c->d[2], "UPDATE t SET hi = 0 WHERE id = 2");
        run_sql(c->d[2], "INSERT INTO t VALUES (4, 9, 9)");
        cluster_exchange(c, &r);
        cluster_expect_equal(c, (const char *const[]){"t", "quartet_objects", NULL}, seed);
        expect_all(c, "SELECT count(*) FROM t WHERE lo >= hi", "0\n");
        expect_all(c, "SELECT id FROM t WHERE id > 1", "3\n");
        expect_error(c->d[2], "INSERT INTO t VALUES (5, 2, 1)", QUARTET_CONSTRAINT, "ordered", -2);
        run_sql(c->d[1], "ALTER TABLE t DROP CONSTRAINT ordered");
        cluster_exchange(c, &r);
        expect_all(c, "SELECT id FROM t ORDER BY id", "1\n2\n3\n4\n");
        expect_all(c, "SELECT count(*) FROM quartet_quarantined", "0\n");
        cluster_free(c);
    }
}

static void test_claims_of_added_keys(void)
{
    struct prng r;
    prng_seed(&r, 7);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE p (id INTEGER PRIMARY KEY)");
    run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, p INTEGER, n INTEGER COUNTER, CONSTRAINT small CHECK (b < 100), CONSTRAINT one UNIQUE (b))");
    run_sql(c->d[0], "INSERT INTO t VALUES (1, 1, 1, NULL, 0), (2, 1, 2, NULL, 0)");
    expect_error(c->d[0], "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)", QUARTET_CONSTRAINT, "equal values", -2);
    expect_error(c->d[0], "ALTER TABLE t ADD CHECK (a > 1)", QUARTET_CONSTRAINT, "cannot be added", -2);
    expect_error(c->d[0], "ALTER TABLE t ADD CONSTRAINT small UNIQUE (a, b)", QUARTET_ERROR, "already has a constraint", -2);
    expect_error(c->d[0], "ALTER TABLE t ADD UNIQUE (nothing)", QUARTET_ERROR, "names a column", -2);
    expect_error(c->d[0], "ALTER TABLE t ADD CHECK (n >= 0)", QUARTET_ERROR, "a bound cannot be added to the COUNTER n", -2);
    expect_error(c->d[0], "ALTER TABLE t DROP CONSTRAINT nothing", QUARTET_ERROR, "no constraint", -2);
    run_sql(c->d[0], "ALTER TABLE t DROP CONSTRAINT IF EXISTS nothing");
    run_sql(c->d[0], "UPDATE t SET a = 2 WHERE id = 2");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)");
    run_sql(c->d[0], "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (p) REFERENCES p (id)");
    run_sql(c->d[1], "ALTER TABLE t ADD CONSTRAINT u CHECK (a < 50)"); /* another one of that name */
    run_sql(c->d[1], "INSERT INTO t VALUES (3, 2, 3, NULL, 0), (4, 4, 4, 7, 0)");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM t ORDER BY id", "1\n2\n"); /* one value twice; a parent that is missing */
    for (uint32_t i = 0; i < 2; i++) {
        expect_error(c->d[i], "INSERT INTO t VALUES (5, 60, 5, NULL, 0)", QUARTET_CONSTRAINT, "CHECK", -2);
        expect_error(c->d[i], "INSERT INTO t VALUES (5, 1, 5, NULL, 0)", QUARTET_CONSTRAINT, "t.a", -2);
    }
    run_sql(c->d[1], "ALTER TABLE t RENAME COLUMN a TO z");
    run_sql(c->d[1], "ALTER TABLE t DROP CONSTRAINT f");
    run_sql(c->d[1], "ALTER TABLE t DROP CONSTRAINT one"); /* of the definition */
    run_sql(c->d[1], "UPDATE t SET b = 1");
    expect_error(c->d[1], "UPDATE t SET b = 100", QUARTET_CONSTRAINT, "small", -2);
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id, b FROM t ORDER BY id", "1|1\n2|1\n4|1\n");
    expect_error(c->d[0], "INSERT INTO t VALUES (5, 1, 5, NULL, 0)", QUARTET_CONSTRAINT, "t.z", -2);
    run_sql(c->d[0], "DROP TABLE t");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT count(*) FROM quartet_quarantined", "0\n");
    expect_all(c, "SELECT count(*) FROM quartet_objects WHERE kind = 'constraint'", "0\n");
    cluster_free(c);
}

/* A constraint over a column that another node drops meanwhile goes with the column. */
static void test_claims_over_a_dropped_column(void)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct prng r;
        prng_seed(&r, seed);
        struct cluster *c = cluster_new(2);
        run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER)");
        run_sql(c->d[0], "INSERT INTO t VALUES (1, 1, 1), (2, 1, 2)");
        cluster_exchange(c, &r);
        run_sql(c->d[0], "ALTER TABLE t ADD CONSTRAINT k CHECK (a <= b)");
        run_sql(c->d[0], "ALTER TABLE t ADD CONSTRAINT u UNIQUE (b)");
        run_sql(c->d[1], "ALTER TABLE t DROP COLUMN b");
        run_sql(c->d[1], "INSERT INTO t VALUES (3, 3)");
        cluster_exchange(c, &r);
        expect_all(c, "SELECT * FROM t ORDER BY id", "1|1\n2|1\n3|3\n");
        run_sql(c->d[0], "INSERT INTO t VALUES (4, 4)");
        cluster_exchange(c, &r);
        cluster_expect_equal(c, (const char *const[]){"t", NULL}, seed);
        cluster_free(c);
    }
}

/* Columns that a CHECK, a UNIQUE or MERGE TOGETHER names win or lose as one. */
static void test_claims_of_columns_that_merge_together(void)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct prng r;
        prng_seed(&r, seed);
        struct cluster *c = cluster_new(2);
        run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, lo INTEGER, hi INTEGER, n TEXT, amount INTEGER, currency TEXT, MERGE TOGETHER (amount, currency), CHECK (lo < hi))");
        run_sql(c->d[0], "INSERT INTO t VALUES (1, 1, 10, 'n', 5, 'EUR')");
        cluster_exchange(c, &r);
        uint32_t first = seed % 2;
        run_sql(c->d[first], "UPDATE t SET lo = 5, n = 'm'");
        run_sql(c->d[1 - first], "UPDATE t SET hi = 3");
        run_sql(c->d[first], "UPDATE t SET currency = 'USD'");
        run_sql(c->d[1 - first], "UPDATE t SET amount = 7");
        cluster_exchange(c, &r);
        cluster_expect_equal(c, (const char *const[]){"t", NULL}, seed);
        expect_all(c, "SELECT count(*), n FROM t WHERE (lo, hi) IN ((5, 10), (1, 3)) AND (amount, currency) IN ((5, 'USD'), (7, 'EUR'))", "1|m\n");
        struct catalog *at = db_catalog(c->d[1]);
        CU_ASSERT_PTR_NOT_NULL(strstr(catalog_table(at, "t")->sql, "MERGE TOGETHER (amount, currency)"));
        catalog_unref(at);
        cluster_free(c);
    }
    db *d = help_memory();
    expect_error(d, "CREATE TABLE x (id INTEGER PRIMARY KEY, n INTEGER COUNTER, v TEXT, MERGE TOGETHER (n, v))", QUARTET_ERROR, "merges by itself", -2);
    expect_error(d, "CREATE TABLE x (id INTEGER PRIMARY KEY, n INTEGER, v TEXT, MERGE TOGETHER (id, v))", QUARTET_ERROR, "primary key", -2);
    expect_error(d, "CREATE TABLE x (id INTEGER PRIMARY KEY, n INTEGER, v TEXT, MERGE TOGETHER (n, w))", QUARTET_ERROR, "no such column", -2);
    help_close(d);
}

/* ---- random histories against a comparison of everything with everything ---- */

#define IDS 7
struct model_row {
    bool live, hidden;
    struct ver birth;
    int v[6]; /* id, a, b, c, lo, hi; -1: NULL */
};
static const char table_sql[] = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER UNIQUE, b INTEGER, c INTEGER, lo INTEGER, hi INTEGER, UNIQUE (b, c), CHECK (lo < hi))";

/* Below everything that hides rows. */
static void read_rows(db *d, struct model_row rows[IDS + 1], bool unique_lo, bool c_not_null, bool sum)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    const struct table_def *def = catalog_table(txn_catalog(t), "t");
    for (int i = 1; i <= IDS; i++) {
        struct buf key = {0};
        struct slice record;
        struct value v[6];
        struct arena a = {0};
        bool own, found, live = false;
        struct slice k = help_key(def, i, &key);
        OK(txn_row(t, def->id, k, 0, &record, &own, &found, &err));
        if (found)
            OK(table_decode_hidden(def, k, record, v, &a, &live, &err));
        rows[i] = (struct model_row){.live = live};
        if (live) {
            struct row row;
            OK(row_decode(record, &def->rows, &a, &row, &err));
            rows[i].birth = row_first_life(&row)->birth;
            for (int n = 0; n < 6; n++)
                rows[i].v[n] = v[n].type == VALUE_NULL ? -1 : (int)v[n].i;
        }
        buf_deinit(&key);
        arena_free_all(&a);
    }
    txn_rollback(t);
    for (int i = 1; i <= IDS; i++) {
        struct model_row *x = &rows[i];
        x->hidden = x->live && ((x->v[4] >= 0 && x->v[5] >= 0 && x->v[4] >= x->v[5]) || (c_not_null && x->v[3] < 0) ||
                                (sum && x->v[2] >= 0 && x->v[3] >= 0 && x->v[2] + x->v[3] >= 6));
        for (int k = 1; x->live && k <= IDS; k++) {
            const struct model_row *y = &rows[k];
            bool same = (x->v[1] >= 0 && x->v[1] == y->v[1]) || (x->v[2] >= 0 && x->v[3] >= 0 && x->v[2] == y->v[2] && x->v[3] == y->v[3]) ||
                        (unique_lo && x->v[4] >= 0 && x->v[4] == y->v[4]);
            if (k == i || !y->live || !same)
                continue;
            int order = ver_cmp(&d->chains, y->birth, x->birth);
            x->hidden |= order < 0 || (order == 0 && k < i);
        }
    }
}

static void one_query(db *d, const struct model_row rows[IDS + 1], const char *sql, int what, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct buf want = {0}, got = {0};
    int count = 0;
    for (int value = 0; value <= (what == 1 ? 9 : 0); value++) /* by the value of a, which is unique */
        for (int i = 1; i <= IDS; i++) {
            bool in = rows[i].live && (what == 2 ? rows[i].hidden : !rows[i].hidden) && (what != 1 || rows[i].v[1] == value);
            count += in;
            if (in && what < 2)
                buf_printf(&want, "%d\n", what == 1 ? value : i);
        }
    if (what >= 2)
        buf_printf(&want, "%d\n", count);
    OK(query_try(d, sql, NULL, &got, &err));
    bool same = slice_eq(slice_of(got.data, got.len), slice_of(want.data, want.len));
    if (!same)
        printf("\nseed %llu: %s gives %.*s wanted %.*s\n", (unsigned long long)seed, sql, (int)got.len, (const char *)got.data, (int)want.len, (const char *)want.data);
    CU_ASSERT_FATAL(same);
    buf_deinit(&want);
    buf_deinit(&got);
}

static bool has_index(db *d, const char *name)
{
    const struct table_def *of;
    struct catalog *c = db_catalog(d);
    bool has = catalog_index(c, name, &of) != NULL;
    catalog_unref(c);
    return has;
}

static bool c_not_null(db *d)
{
    struct catalog *c = db_catalog(d);
    bool is = catalog_table(c, "t")->columns[3].not_null;
    catalog_unref(c);
    return is;
}

static bool has_sum(db *d)
{
    struct catalog *c = db_catalog(d);
    const struct table_def *t = catalog_table(c, "t");
    bool has = false;
    for (uint32_t i = 0; i < t->check_count; i++)
        has |= strstr(t->checks[i].text, "+") != NULL;
    catalog_unref(c);
    return has;
}

static void expect_model(db *d, uint64_t seed)
{
    struct model_row rows[IDS + 1];
    read_rows(d, rows, has_index(d, "tlo"), c_not_null(d), has_sum(d));
    one_query(d, rows, "SELECT id FROM t ORDER BY id", 0, seed);
    one_query(d, rows, "SELECT a FROM t WHERE a >= 0 ORDER BY a", 1, seed);
    one_query(d, rows, "SELECT count(*) FROM quartet_quarantined", 2, seed);
    one_query(d, rows, "SELECT count(*) FROM t", 3, seed);
    uint64_t hidden = 0;
    for (int i = 1; i <= IDS; i++)
        hidden += rows[i].live && rows[i].hidden;
    CU_ASSERT_EQUAL_FATAL(d->hidden_rows, hidden);
}

static void random_statement(db *d, struct prng *r)
{
    struct err err = ERR_INIT;
    char sql[160], v[5][8];
    int id = 1 + (int)prng_below(r, IDS);
    for (int i = 0; i < 5; i++)
        (void)snprintf(v[i], sizeof v[i], prng_chance(r, 0.15) ? "NULL" : "%d", (int)prng_below(r, 5) + (i == 4 ? 2 : 0));
    switch (prng_below(r, 12)) {
    case 0: case 1: (void)snprintf(sql, sizeof sql, "DELETE FROM t WHERE id = %d", id); break;
    case 2: (void)snprintf(sql, sizeof sql, "UPDATE t SET a = %s WHERE id = %d", v[0], id); break;
    case 3: (void)snprintf(sql, sizeof sql, "UPDATE t SET b = %s, c = %s WHERE id = %d", v[1], v[2], id); break;
    case 4: (void)snprintf(sql, sizeof sql, "UPDATE t SET lo = %s WHERE id = %d", v[3], id); break;
    case 5: (void)snprintf(sql, sizeof sql, "UPDATE t SET hi = %s WHERE id = %d", v[4], id); break;
    case 6: (void)snprintf(sql, sizeof sql, "REPLACE INTO t VALUES (%d, %s, %s, %s, %s, %s)", id, v[0], v[1], v[2], v[3], v[4]); break;
    case 7:
        switch (prng_below(r, 10)) {
        case 8: (void)snprintf(sql, sizeof sql, "ALTER TABLE t ADD CONSTRAINT total CHECK (b + c < 6)"); break;
        case 9: (void)snprintf(sql, sizeof sql, "ALTER TABLE t DROP CONSTRAINT IF EXISTS total"); break;
        case 0: (void)snprintf(sql, sizeof sql, "CREATE UNIQUE INDEX IF NOT EXISTS tlo ON t (lo)"); break;
        case 1: (void)snprintf(sql, sizeof sql, "DROP INDEX IF EXISTS tlo"); break;
        case 2: (void)snprintf(sql, sizeof sql, "ALTER TABLE t ALTER COLUMN c SET NOT NULL"); break;
        case 3: (void)snprintf(sql, sizeof sql, "ALTER TABLE t ALTER COLUMN c DROP NOT NULL"); break;
        default: (void)snprintf(sql, sizeof sql, "UPDATE t SET a = a"); /* saved unchanged */
        }
        break;
    default: (void)snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, %s, %s, %s, %s, %s)", id, v[0], v[1], v[2], v[3], v[4]);
    }
    quartet_status rc = query_try(d, sql, NULL, NULL, &err);
    bool twice = rc == QUARTET_ERROR && strstr(err.text, "already has a constraint") != NULL;
    if (rc != QUARTET_OK && rc != QUARTET_CONSTRAINT && !twice)
        printf("\n%s: %s\n", sql, err.text);
    CU_ASSERT_FATAL(rc == QUARTET_OK || rc == QUARTET_CONSTRAINT || twice);
}

static void compare_visible(struct cluster *c, uint64_t seed)
{
    cluster_expect_equal(c, (const char *const[]){"t", NULL}, seed);
    for (uint32_t i = 1; i < c->count; i++) {
        uint64_t lo[2] = {0}, hi[2] = {0};
        for (uint32_t k = 0; k < 2; k++) { /* and what the checkpoint is told of what is hidden */
            struct err err = ERR_INIT;
            struct catalog *at = db_catalog(c->d[k * i]);
            const struct table_state *s = db_table(c->d[k * i], catalog_table(at, "t")->id, &err);
            lo[k] = s->hidden.lo;
            hi[k] = s->hidden.hi;
            catalog_unref(at);
        }
        CU_ASSERT(lo[0] == lo[1] && hi[0] == hi[1]);
    }
}

static void give_some(struct cluster *c, struct prng *r)
{
    for (uint32_t i = 0; i < c->count; i++)
        cluster_seal(c, i);
    for (int n = 0; n < 10 && c->pool.count > 0; n++) {
        uint32_t to = (uint32_t)prng_below(r, c->count), batch = (uint32_t)prng_below(r, c->pool.count);
        if (c->pool.slot[batch] != to)
            (void)cluster_give(c, to, batch);
    }
}

static void rebuild(db *d)
{
    struct err err = ERR_INIT;
    pthread_mutex_lock(&d->commit_lock);
    OK(apply_rebuild(d, &err));
    pthread_mutex_unlock(&d->commit_lock);
}

static void one_history(uint64_t seed)
{
    struct prng r;
    prng_seed(&r, seed);
    struct cluster *c = cluster_new(2 + (uint32_t)prng_below(&r, 3));
    run_sql(c->d[0], table_sql);
    cluster_exchange(c, &r);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 14; i++) {
            db *d = c->d[prng_below(&r, c->count)];
            random_statement(d, &r);
            expect_model(d, seed);
            if (prng_chance(&r, 0.2))
                give_some(c, &r);
        }
        for (uint32_t i = 0; i < c->count; i++)
            expect_model(c->d[i], seed);
        cluster_exchange(c, &r);
        compare_visible(c, seed);
        expect_model(c->d[0], seed);
    }
    rebuild(c->d[1]);
    expect_model(c->d[1], seed);
    compare_visible(c, seed);
    cluster_free(c);
}

static void test_claims_against_a_naive_model(void)
{
    const char *only = getenv("QUARTET_SEED");
    uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1, last = only != NULL ? first : 80;
    for (uint64_t seed = first; seed <= last; seed++)
        one_history(seed);
}

/* ---- on disk ---- */

/* Without a thread that flushes: a copy of the files is then one of a moment. */
static void reopen(struct cluster *c, struct env *env, const char *dir, size_t buffer_bytes)
{
    struct err err = ERR_INIT;
    struct db_options o = {.buffer_bytes = buffer_bytes};
    OK(db_open(env, dir, &o, &c->d[0], &err));
    OK(db_set_identity(c->d[0], &c->id[0], &err));
}

static void expect_sound(const char *dir, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct verify v = {.env = env_posix(), .dir = dir};
    OK(verify_run(&v, &err));
    if (v.found > 0)
        printf("\nseed %llu: %s: %s\n", (unsigned long long)seed, v.findings[0].table, v.findings[0].what);
    CU_ASSERT_EQUAL(v.found, 0);
    verify_deinit(&v);
}

/* Closed or killed at any moment, flushed ever so often: what is hidden is what the rows say, and goes on to be. */
static void one_disk_history(uint64_t seed)
{
    struct prng r;
    struct err err = ERR_INIT;
    struct env env = *env_posix();
    char dir[2][64];
    int at = 0;
    env.threads = false;
    prng_seed(&r, seed);
    struct cluster *c = cluster_new(2);
    help_close(c->d[0]);
    new_dir(dir[0]);
    new_dir(dir[1]);
    reopen(c, &env, dir[0], 2048);
    run_sql(c->d[1], table_sql);
    cluster_exchange(c, &r);
    for (int life = 0; life < 5; life++) {
        for (int i = 0; i < 12; i++) {
            random_statement(c->d[prng_below(&r, 2)], &r);
            if (prng_chance(&r, 0.3))
                give_some(c, &r);
            expect_model(c->d[0], seed);
        }
        cluster_seal(c, 0);
        OK(db_sync_remote(c->d[0], &err));
        if (prng_chance(&r, 0.5)) { /* killed: what the files hold now is what the next life finds */
            walk_dir(dir[1 - at], NULL);
            CU_ASSERT_EQUAL_FATAL(mkdir(dir[1 - at], 0700), 0);
            walk_dir(dir[at], dir[1 - at]);
            help_close(c->d[0]);
            at = 1 - at;
        } else {
            help_close(c->d[0]);
            expect_sound(dir[at], seed);
        }
        reopen(c, &env, dir[at], prng_chance(&r, 0.5) ? 2048 : 0);
        expect_model(c->d[0], seed);
    }
    cluster_exchange(c, &r);
    compare_visible(c, seed);
    cluster_free(c);
    walk_dir(dir[0], NULL);
    walk_dir(dir[1], NULL);
}

static void test_claims_outlast_restarts(void)
{
    for (uint64_t seed = unit_seed(100), end = seed + 10; seed < end; seed++)
        one_disk_history(seed);
}

const char *const unit_suite = "claims";
const struct unit_test unit_tests[] = {
    {"of one address", test_claims_of_one_address},
    {"are told in quartet_conflicts", test_claims_are_told_in_conflicts},
    {"are not moved by rewriting", test_claims_are_not_moved_by_rewriting},
    {"crosswise leave one", test_claims_crosswise_leave_one},
    {"of hidden rows count", test_claims_of_hidden_rows_count},
    {"and writes over them", test_claims_and_writes_over_them},
    {"not null", test_claims_not_null},
    {"of an index that comes and goes", test_claims_of_an_index_that_comes_and_goes},
    {"of a check that is added", test_claims_of_a_check_that_is_added},
    {"of added keys", test_claims_of_added_keys},
    {"over a dropped column", test_claims_over_a_dropped_column},
    {"of columns that merge together", test_claims_of_columns_that_merge_together},
    {"against a naive model", test_claims_against_a_naive_model},
    {"outlast restarts", test_claims_outlast_restarts},
    {NULL, NULL},
};
