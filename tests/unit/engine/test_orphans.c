/* test_orphans.c - foreign keys on the merged state: on members that learn transactions in any order, a row is out of sight while it references a row that is not
 *   there or is out of sight itself, and what is shown is what a naive fixed point over all rows says. */
#include "cluster_help.h"
#include "dir_help.h"
#include "engine/apply.h"
#include "query_help.h"

static quartet_status try_off(db *d, const char *sql)
{
    struct err err = ERR_INIT;
    struct exec_limits off = {.no_foreign_keys = true};
    return query_try(d, sql, &off, NULL, &err);
}

static void off_sql(db *d, const char *sql)
{
    CU_ASSERT_EQUAL_FATAL(try_off(d, sql), QUARTET_OK);
}

static void expect_all(struct cluster *c, const char *sql, const char *want)
{
    for (uint32_t i = 0; i < c->count; i++)
        expect_rows(c->d[i], sql, want);
}

/* Parent deleted here while a child is inserted there. */
static void test_orphans_of_a_parent_that_goes_elsewhere(void)
{
    struct prng r;
    prng_seed(&r, 1);
    struct cluster *c = cluster_new(3);
    run_sql(c->d[0], "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT)");
    run_sql(c->d[0], "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p, note TEXT)");
    run_sql(c->d[0], "INSERT INTO p VALUES (1, 'a'), (2, 'b')");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "DELETE FROM p WHERE id = 1");
    run_sql(c->d[1], "INSERT INTO c VALUES (10, 1, 'x'), (20, 2, 'y')");
    expect_rows(c->d[1], "SELECT id FROM c ORDER BY id", "10\n20\n");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM c", "20\n");
    expect_all(c, "SELECT count(*) FROM c", "1\n");
    expect_all(c, "SELECT id FROM c WHERE id = 10", "");
    expect_all(c, "SELECT note FROM c WHERE pid = 1", "");
    expect_all(c, "SELECT pid FROM c WHERE pid >= 0", "2\n"); /* the index alone would do */
    expect_all(c, "SELECT c.id, name FROM c LEFT JOIN p ON p.id = pid", "20|b\n");
    expect_all(c, "SELECT row_key IS NULL FROM quartet_broken_keys", "0\n"); /* one entry, whatever hangs on it */
    run_sql(c->d[1], "UPDATE c SET note = 'z'"); /* meets only what is seen */
    expect_error(c->d[2], "INSERT INTO c VALUES (10, 2, 'over it')", QUARTET_CONSTRAINT, "UNIQUE constraint failed", -2);
    run_sql(c->d[2], "INSERT INTO p VALUES (1, 'again')");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id, note FROM c ORDER BY id", "10|x\n20|z\n");
    expect_all(c, "SELECT count(*) FROM quartet_broken_keys", "0\n");
    cluster_free(c);
}

/* Tables that reference the primary key of one table, and between them one that references a UNIQUE key of it: all of them are children. */
static void test_orphans_of_keys_taken_in_turns(void)
{
    struct prng r;
    prng_seed(&r, 12);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE p (id INTEGER PRIMARY KEY, code INTEGER UNIQUE)");
    run_sql(c->d[0], "CREATE TABLE a (id INTEGER PRIMARY KEY, x INTEGER REFERENCES p)");
    run_sql(c->d[0], "CREATE TABLE b (id INTEGER PRIMARY KEY, x INTEGER REFERENCES p (code))");
    run_sql(c->d[0], "CREATE TABLE e (id INTEGER PRIMARY KEY, x INTEGER REFERENCES p)");
    run_sql(c->d[0], "INSERT INTO p VALUES (1, 7), (2, 8)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "DELETE FROM p WHERE id = 1");
    run_sql(c->d[1], "INSERT INTO e VALUES (10, 1), (20, 2)");
    run_sql(c->d[1], "INSERT INTO b VALUES (10, 7), (20, 8)");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM e", "20\n");
    expect_all(c, "SELECT id FROM b", "20\n");
    run_sql(c->d[1], "INSERT INTO p VALUES (1, 7)");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM e", "10\n20\n");
    expect_all(c, "SELECT id FROM b", "10\n20\n");
    cluster_free(c);
}

/* a references b and b references a, and a another one that is missing and then mended. */
static void test_orphans_in_a_circle(void)
{
    struct prng r;
    prng_seed(&r, 2);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE m (id INTEGER PRIMARY KEY)");
    run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, up INTEGER REFERENCES t, m INTEGER REFERENCES m)");
    run_sql(c->d[0], "INSERT INTO m VALUES (1)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "INSERT INTO t VALUES (1, 2, 1), (2, 1, NULL), (3, 2, NULL), (4, 4, NULL)");
    run_sql(c->d[1], "DELETE FROM m");
    expect_rows(c->d[0], "SELECT id FROM t", "1\n2\n3\n4\n");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM t", "4\n");
    run_sql(c->d[1], "INSERT INTO m VALUES (1)");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM t", "1\n2\n3\n4\n");
    cluster_free(c);
}

/* A parent that many rows have found there goes, by one way or another, when no child of it is left: those that come from one who does not know yet do not find it there. */
static void test_orphans_of_a_parent_that_was_there_for_many(void)
{
    static const struct {
        const char *goes[3], *elsewhere; /* elsewhere: what the other node does to the parent, not knowing */
        bool comes;
    } ways[] = {
        {{"DELETE FROM p WHERE id = 1"}, NULL, false},
        {{"UPDATE p SET code = 9 WHERE id = 1"}, NULL, false},
        {{"DELETE FROM g"}, NULL, false},
        {{"UPDATE p SET g = NULL WHERE id = 1", "DELETE FROM g", "DELETE FROM p WHERE id = 1"}, NULL, false},
        {{"INSERT INTO p VALUES (3, 30, NULL, 'mine')"}, "UPDATE p SET mail = 'mine' WHERE id = 1", true}, /* older: it keeps the value */
        {{"UPDATE p SET mail = 'mine' WHERE id = 0"}, "UPDATE p SET mail = 'mine' WHERE id = 1", false},   /* out of sight, the other one's being older */
        {{"ALTER TABLE p ADD CONSTRAINT good CHECK (mail <> 'bad')"}, "UPDATE p SET mail = 'bad' WHERE id = 1", false},
        {{"ALTER TABLE p RENAME TO q"}, NULL, true},
        {{"DELETE FROM p WHERE id = 1", "INSERT INTO p VALUES (1, 7, NULL, 'again')"}, NULL, true},
    };
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
        for (int by_code = 0; by_code < 2; by_code++) {
            struct prng r;
            char sql[128];
            prng_seed(&r, 40 + w);
            struct cluster *c = cluster_new(3);
            run_sql(c->d[0], "CREATE TABLE g (id INTEGER PRIMARY KEY)");
            run_sql(c->d[0], "CREATE TABLE p (id INTEGER PRIMARY KEY, code INTEGER UNIQUE, g INTEGER REFERENCES g, mail TEXT UNIQUE)");
            run_sql(c->d[0], by_code ? "CREATE TABLE c (id INTEGER PRIMARY KEY, x INTEGER REFERENCES p (code))" : "CREATE TABLE c (id INTEGER PRIMARY KEY, x INTEGER REFERENCES p)");
            run_sql(c->d[0], "INSERT INTO g VALUES (1)");
            run_sql(c->d[0], "INSERT INTO p VALUES (0, 6, NULL, 'old'), (1, 7, 1, 'one')");
            for (uint32_t k = 0; k < 3; k++) {
                (void)snprintf(sql, sizeof sql, "INSERT INTO c VALUES (%u, %d)", 10 + k, by_code ? 7 : 1);
                run_sql(c->d[0], sql);
            }
            cluster_exchange(c, &r);
            (void)snprintf(sql, sizeof sql, "INSERT INTO c VALUES (20, %d)", by_code ? 7 : 1);
            run_sql(c->d[1], sql); /* found there too */
            cluster_exchange(c, &r);
            run_sql(c->d[0], "DELETE FROM c");
            for (uint32_t k = 0; k < 3 && ways[w].goes[k] != NULL; k++)
                (void)try_off(c->d[0], ways[w].goes[k]);
            if (ways[w].elsewhere != NULL)
                run_sql(c->d[1], ways[w].elsewhere);
            if (ways[w].elsewhere != NULL)
                cluster_exchange(c, &r); /* and nobody has a child of it */
            (void)snprintf(sql, sizeof sql, "INSERT INTO c VALUES (30, %d)", by_code ? 7 : 1);
            (void)try_off(c->d[1], sql);
            cluster_exchange(c, &r);
            bool there = ways[w].comes || (w == 1 && !by_code);
            expect_all(c, "SELECT id FROM c WHERE id = 30", there ? "30\n" : "");
            cluster_expect_equal(c, (const char *const[]){"c", "g", NULL}, w);
            cluster_free(c);
        }
}

static void test_orphans_of_a_unique_value_and_of_several_columns(void)
{
    struct prng r;
    prng_seed(&r, 3);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE p (id INTEGER PRIMARY KEY, mail TEXT COLLATE NOCASE UNIQUE, a INTEGER, b TEXT, UNIQUE (a, b))");
    run_sql(c->d[0], "CREATE TABLE c (id INTEGER PRIMARY KEY, mail TEXT COLLATE NOCASE REFERENCES p (mail))");
    run_sql(c->d[0], "CREATE TABLE e (y TEXT, x INTEGER, id INTEGER PRIMARY KEY, FOREIGN KEY (y, x) REFERENCES p (b, a))");
    run_sql(c->d[0], "INSERT INTO p VALUES (1, 'X@', 1, 'one'), (2, 'y@', 1, 'two')");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "INSERT INTO c VALUES (10, 'x@'), (20, 'Y@'), (30, NULL)");
    run_sql(c->d[0], "INSERT INTO e VALUES ('one', 1, 10), ('two', 1, 20), ('none', NULL, 30)");
    run_sql(c->d[1], "UPDATE p SET mail = 'z@', b = 'uno' WHERE id = 1");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM c ORDER BY id", "20\n30\n");
    expect_all(c, "SELECT id FROM e ORDER BY id", "20\n30\n");
    off_sql(c->d[1], "UPDATE p SET mail = 'x@' WHERE id = 2"); /* another row gives the one, none the other */
    run_sql(c->d[0], "UPDATE p SET b = 'one' WHERE id = 1");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM c ORDER BY id", "10\n30\n");
    expect_all(c, "SELECT id FROM e ORDER BY id", "10\n20\n30\n");
    cluster_free(c);
}

/* The schema changes under rows that are there; a row mends a key for its own transaction at once. */
static void test_orphans_as_the_schema_changes(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE p (id INTEGER PRIMARY KEY)");
    run_sql(d, "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p)");
    run_sql(d, "CREATE TABLE g (id INTEGER PRIMARY KEY, cid INTEGER REFERENCES c)");
    off_sql(d, "INSERT INTO c VALUES (10, 1), (20, NULL)");
    off_sql(d, "INSERT INTO g VALUES (100, 10), (200, 20)");
    expect_rows(d, "SELECT id FROM g", "200\n");
    expect_rows(d, "SELECT count(*) FROM quartet_broken_keys", "2\n");
    off_sql(d, "DROP TABLE g");
    expect_rows(d, "SELECT count(*) FROM quartet_broken_keys", "1\n");
    run_sql(d, "CREATE INDEX ci ON c (pid, id)"); /* takes the place of the key's own */
    run_sql(d, "DROP INDEX ci");
    expect_rows(d, "SELECT id FROM c", "20\n");
    run_sql(d, "ALTER TABLE c ADD COLUMN other INTEGER DEFAULT 7 REFERENCES p");
    expect_rows(d, "SELECT id FROM c", "");
    expect_rows(d, "SELECT count(*) FROM quartet_broken_keys", "2\n");
    run_sql(d, "INSERT INTO p VALUES (7)");
    expect_rows(d, "SELECT id FROM c", "20\n");
    run_sql(d, "INSERT INTO p VALUES (1)");
    expect_rows(d, "SELECT id FROM c ORDER BY id", "10\n20\n");
    help_close(d);
}

/* ---- random histories against a fixed point ---- */

#define IDS 6
struct model_row {
    bool live, orphan;
    int up, side; /* 0: NULL */
};
static const char *const names[3] = {"t0", "t1", "t2"};

/* Row i of table k references row `up` of table k + 1, and row `side` of its own: circles through all three, and within each. */
static void read_rows(db *d, struct model_row rows[3][IDS + 1])
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    for (int k = 0; k < 3; k++)
        for (int i = 1; i <= IDS; i++) { /* below the test for orphans */
            const struct table_def *def = catalog_table(txn_catalog(t), names[k]);
            struct buf key = {0};
            struct slice record;
            struct value v[3];
            struct arena a = {0};
            bool own, found, live = false;
            struct slice kk = help_key(def, i, &key);
            OK(txn_row(t, def->id, kk, 0, &record, &own, &found, &err));
            if (found)
                OK(table_decode(def, kk, record, v, &a, &live, &err));
            rows[k][i] = (struct model_row){.live = live};
            if (live) {
                rows[k][i].up = v[1].type == VALUE_NULL ? 0 : (int)v[1].i;
                rows[k][i].side = v[2].type == VALUE_NULL ? 0 : (int)v[2].i;
            }
            buf_deinit(&key);
            arena_free_all(&a);
        }
    txn_rollback(t);
}

static void fixed_point(struct model_row rows[3][IDS + 1])
{
    for (bool more = true; more;) {
        more = false;
        for (int k = 0; k < 3; k++)
            for (int i = 1; i <= IDS; i++) {
                struct model_row *x = &rows[k][i];
                const struct model_row *up = &rows[(k + 1) % 3][x->up], *side = &rows[k][x->side];
                bool broken = (x->up != 0 && (!up->live || up->orphan)) || (x->side != 0 && (!side->live || side->orphan));
                if (x->live && !x->orphan && broken)
                    x->orphan = more = true;
            }
    }
}

static void expect_fixed_point(db *d, uint64_t seed)
{
    struct model_row rows[3][IDS + 1];
    struct err err = ERR_INIT;
    read_rows(d, rows);
    fixed_point(rows);
    for (int k = 0; k < 3; k++) {
        struct buf want = {0}, got = {0}, by_index = {0};
        char sql[80];
        for (int i = 1; i <= IDS; i++)
            if (rows[k][i].live && !rows[k][i].orphan)
                buf_printf(&want, "%d\n", i);
        (void)snprintf(sql, sizeof sql, "SELECT id FROM %s ORDER BY id", names[k]);
        OK(query_try(d, sql, NULL, &got, &err));
        bool same = slice_eq(slice_of(got.data, got.len), slice_of(want.data, want.len));
        if (!same)
            printf("\nseed %llu: %s shows %.*s wanted %.*s\n", (unsigned long long)seed, names[k], (int)got.len, (const char *)got.data, (int)want.len,
                   (const char *)want.data);
        CU_ASSERT_FATAL(same);
        buf_deinit(&want);
        buf_deinit(&got);
        buf_deinit(&by_index);
    }
}

static void random_statement(db *d, struct prng *r)
{
    const char *t = names[prng_below(r, 3)];
    int id = 1 + (int)prng_below(r, IDS), up = (int)prng_below(r, IDS + 1), side = prng_below(r, 2) == 0 ? 0 : (int)prng_below(r, IDS + 1);
    char sql[128];
    switch (prng_below(r, 4)) {
    case 0: (void)snprintf(sql, sizeof sql, "DELETE FROM %s WHERE id = %d", t, id); break;
    case 1: (void)snprintf(sql, sizeof sql, "UPDATE %s SET up = nullif(%d, 0) WHERE id = %d", t, up, id); break;
    default: (void)snprintf(sql, sizeof sql, "INSERT INTO %s VALUES (%d, nullif(%d, 0), nullif(%d, 0))", t, id, up, side);
    }
    quartet_status rc = try_off(d, sql);
    CU_ASSERT(rc == QUARTET_OK || rc == QUARTET_CONSTRAINT); /* a row is there already */
}

static void one_history(uint64_t seed)
{
    struct prng r;
    struct err err = ERR_INIT;
    prng_seed(&r, seed);
    struct cluster *c = cluster_new(2 + (uint32_t)prng_below(&r, 3));
    for (int k = 0; k < 3; k++) {
        char sql[160];
        (void)snprintf(sql, sizeof sql, "CREATE TABLE %s (id INTEGER PRIMARY KEY, up INTEGER REFERENCES %s, side INTEGER REFERENCES %s)", names[k],
                       names[(k + 1) % 3], names[k]);
        run_sql(c->d[0], sql);
    }
    cluster_exchange(c, &r);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 12; i++) {
            db *d = c->d[prng_below(&r, c->count)];
            random_statement(d, &r);
            expect_fixed_point(d, seed);
        }
        cluster_exchange(c, &r);
        cluster_expect_equal(c, (const char *const[]){"t0", "t1", "t2", "quartet_broken_keys", NULL}, seed);
        expect_fixed_point(c->d[0], seed);
    }
    struct buf before = {0}, after = {0};
    const char *sql = "SELECT table_id, hex(row_key) FROM quartet_broken_keys ORDER BY 1, 2";
    OK(query_try(c->d[1], sql, NULL, &before, &err));
    pthread_mutex_lock(&c->d[1]->commit_lock);
    OK(apply_rebuild(c->d[1], &err));
    pthread_mutex_unlock(&c->d[1]->commit_lock);
    OK(query_try(c->d[1], sql, NULL, &after, &err));
    CU_ASSERT(slice_eq(slice_of(before.data, before.len), slice_of(after.data, after.len)));
    buf_deinit(&before);
    buf_deinit(&after);
    cluster_free(c);
}

static void test_orphans_are_a_fixed_point(void)
{
    const char *only = getenv("QUARTET_SEED");
    uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1, last = only != NULL ? first : 60;
    for (uint64_t seed = first; seed <= last; seed++)
        one_history(seed);
}

/* A row that nobody sees holds its key: who writes over it is told, or replaces it. */
static void test_orphans_hold_their_keys(void)
{
    struct prng r;
    struct cluster *c = cluster_new(2);
    prng_seed(&r, 9);
    run_sql(c->d[0], "CREATE TABLE p (id INTEGER PRIMARY KEY)");
    run_sql(c->d[0], "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id), v TEXT)");
    run_sql(c->d[0], "INSERT INTO p VALUES (1)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "DELETE FROM p");
    run_sql(c->d[1], "INSERT INTO c VALUES (1, 1, 'a'), (2, 1, 'b')");
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 2; i++)
        expect_rows(c->d[i], "SELECT count(*) FROM c", "0\n");
    expect_error(c->d[0], "INSERT INTO c VALUES (1, NULL, 'x')", QUARTET_CONSTRAINT, "c.id", -2);
    expect_error(c->d[0], "INSERT INTO c VALUES (1, NULL, 'x') ON CONFLICT (id) DO UPDATE SET v = 'x'", QUARTET_CONSTRAINT, "out of sight", -2);
    run_sql(c->d[0], "INSERT OR IGNORE INTO c VALUES (1, NULL, 'x')");
    run_sql(c->d[0], "REPLACE INTO c VALUES (1, NULL, 'x')");
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 2; i++)
        expect_rows(c->d[i], "SELECT * FROM c", "1|NULL|x\n");
    run_sql(c->d[1], "INSERT INTO p VALUES (1)");
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 2; i++)
        expect_rows(c->d[i], "SELECT * FROM c", "1|NULL|x\n2|1|b\n");
    cluster_free(c);
}

static db *open_small(const char *dir)
{
    struct err err = ERR_INIT;
    struct db_options o = {.sync = LOG_SYNC_FULL, .buffer_bytes = 512u << 10};
    db *d = NULL;
    OK(db_open(env_posix(), dir, &o, &d, &err));
    return d;
}

static void flushed_runs(db *d) /* of large transactions; what came after them need not be */
{
    struct db_stats st;
    uint64_t until = d->env->ops->mono_ns(d->env) + 30000000000ull;
    do {
        db_stats(d, &st);
        CU_ASSERT_FATAL(d->env->ops->mono_ns(d->env) < until);
    } while (st.kv.frozen_runs > 0);
}

/* A transaction that goes into the base by itself: what it breaks comes with a later flush, which a crash may prevent. */
static void test_orphans_of_a_large_transaction(void)
{
    for (int many = 0; many < 2; many++) { /* keys that break: one, or more than are kept in memory */
        char dir[64], crashed[64], sql[200];
        struct err err = ERR_INIT;
        struct buf at = {0}, at2 = {0};
        struct state_hash h, h2;
        new_dir(dir);
        new_dir(crashed);
        db *d = open_small(dir);
        run_sql(d, "CREATE TABLE p (id INTEGER PRIMARY KEY)");
        run_sql(d, "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p, note TEXT)");
        run_sql(d, "INSERT INTO p VALUES (1)");
        (void)snprintf(sql, sizeof sql, "INSERT INTO c SELECT value, CASE WHEN %s THEN 1000 + value ELSE 1 END, hex(value * 1000003) FROM generate_series(1, 20000)",
                       many == 0 ? "value = 5" : "value > 5");
        off_sql(d, sql);
        flushed_runs(d);
        walk_dir(dir, crashed);
        db *again = open_small(crashed);
        expect_rows(again, "SELECT count(*) FROM c", many == 0 ? "19999\n" : "5\n");
        expect_rows(again, "SELECT count(*) FROM quartet_broken_keys", many == 0 ? "1\n" : "19995\n");
        OK(db_state_hash(d, &h, &at, &err));
        OK(db_state_hash(again, &h2, &at2, &err));
        CU_ASSERT(h.lo == h2.lo && h.hi == h2.hi);
        buf_deinit(&at);
        buf_deinit(&at2);
        help_close(d);
        help_close(again);
        walk_dir(dir, NULL);
        walk_dir(crashed, NULL);
    }
}

const char *const unit_suite = "orphans";
const struct unit_test unit_tests[] = {
    {"of keys taken in turns", test_orphans_of_keys_taken_in_turns},
    {"of a parent that goes elsewhere", test_orphans_of_a_parent_that_goes_elsewhere},
    {"of a parent that was there for many", test_orphans_of_a_parent_that_was_there_for_many},
    {"in a circle", test_orphans_in_a_circle},
    {"of a unique value, of several columns", test_orphans_of_a_unique_value_and_of_several_columns},
    {"as the schema changes", test_orphans_as_the_schema_changes},
    {"hold their keys", test_orphans_hold_their_keys},
    {"of a large transaction", test_orphans_of_a_large_transaction},
    {"are a fixed point", test_orphans_are_a_fixed_point},
    {NULL, NULL},
};
