/* test_follow_up.c - ON DELETE for children that a DELETE had not seen: the node whose DELETE it was follows up, whatever the order of arrival, once, also after a crash. */
#include "cluster_help.h"
#include "dir_help.h"
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

/* Every node follows up and tells the others, until nobody has anything to do. The rows that were written. */
static uint64_t settle(struct cluster *c, struct prng *r)
{
    uint64_t all = 0, rows, round = 1;
    for (int i = 0; round > 0; i++) {
        CU_ASSERT_FATAL(i < 20);
        round = 0;
        cluster_exchange(c, r);
        for (uint32_t n = 0; n < c->count; n++) {
            struct err err = ERR_INIT;
            OK(db_follow_up(c->d[n], &rows, &err));
            round += rows;
        }
        all += round;
    }
    return all;
}

/* What `family` hangs on p: c by the given action, with a grandchild g each. */
static struct cluster *family(struct prng *r, uint64_t seed, uint32_t nodes, const char *action)
{
    char sql[200];
    prng_seed(r, seed);
    struct cluster *c = cluster_new(nodes);
    run_sql(c->d[0], "CREATE TABLE p (id INTEGER PRIMARY KEY)");
    (void)snprintf(sql, sizeof sql, "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER DEFAULT 2 REFERENCES p ON DELETE %s, note TEXT)", action);
    run_sql(c->d[0], sql);
    run_sql(c->d[0], "CREATE TABLE g (id INTEGER PRIMARY KEY, cid INTEGER REFERENCES c ON DELETE CASCADE)");
    run_sql(c->d[0], "INSERT INTO p VALUES (1), (2)");
    cluster_exchange(c, r);
    run_sql(c->d[0], "DELETE FROM p WHERE id = 1");
    run_sql(c->d[1], "INSERT INTO c VALUES (10, 1, 'x'), (20, 2, 'y')");
    run_sql(c->d[1], "INSERT INTO g VALUES (100, 10), (200, 20)");
    return c;
}

static void test_follow_up_by_each_action(void)
{
    static const struct {
        const char *action;
        uint64_t rows;
        const char *c, *g;
        const char *left;
    } cases[] = {
        {"CASCADE", 2, "20|2\n", "200\n", "0\n"},
        {"SET NULL", 1, "10|NULL\n20|2\n", "100\n200\n", "0\n"},
        {"SET DEFAULT", 1, "10|2\n20|2\n", "100\n200\n", "0\n"},
        {"RESTRICT", 0, "20|2\n", "200\n", "2\n"},
        {"NO ACTION", 0, "20|2\n", "200\n", "2\n"},
    };
    for (uint32_t nodes = 2; nodes <= 4; nodes++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct prng r;
            struct cluster *c = family(&r, i * 4 + nodes, nodes, cases[i].action);
            CU_ASSERT_EQUAL(settle(c, &r), cases[i].rows);
            expect_all(c, "SELECT id, pid FROM c ORDER BY id", cases[i].c);
            expect_all(c, "SELECT id FROM g ORDER BY id", cases[i].g);
            expect_all(c, "SELECT count(*) FROM quartet_quarantine", cases[i].left);
            CU_ASSERT_EQUAL(settle(c, &r), 0);
            if (cases[i].rows > 0)
                expect_all(c, "SELECT count(*) FROM quartet_follow_ups", "0\n");
            cluster_expect_equal(c, (const char *const[]){"p", "c", "g", "quartet_broken_keys", NULL}, i);
            cluster_free(c);
        }
}

/* g <- p CASCADE, p <- c: A deletes g, and p with it; B inserts c. */
static void test_follow_up_of_a_cascade(void)
{
    for (uint32_t nodes = 2; nodes <= 4; nodes++)
        for (uint64_t seed = 1; seed <= 6; seed++) {
            struct prng r;
            prng_seed(&r, seed);
            struct cluster *c = cluster_new(nodes);
            run_sql(c->d[0], "CREATE TABLE g (id INTEGER PRIMARY KEY)");
            run_sql(c->d[0], "CREATE TABLE p (id INTEGER PRIMARY KEY, gid INTEGER REFERENCES g ON DELETE CASCADE)");
            run_sql(c->d[0], "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p ON DELETE SET NULL)");
            run_sql(c->d[0], "INSERT INTO g VALUES (1)");
            run_sql(c->d[0], "INSERT INTO p VALUES (10, 1)");
            cluster_exchange(c, &r);
            run_sql(c->d[0], "DELETE FROM g");
            run_sql(c->d[1], "INSERT INTO c VALUES (100, 10)");
            run_sql(c->d[nodes - 1], "INSERT INTO p VALUES (11, 1)"); /* goes by the CASCADE that follows */
            run_sql(c->d[nodes - 1], "INSERT INTO c VALUES (101, 11)");
            cluster_exchange(c, &r);
            expect_all(c, "SELECT count(*) FROM c", "0\n");
            expect_all(c, "SELECT count(*) FROM quartet_quarantine", "3\n");
            CU_ASSERT_EQUAL(settle(c, &r), 3);
            expect_all(c, "SELECT id, pid FROM c ORDER BY id", "100|NULL\n101|NULL\n");
            expect_all(c, "SELECT count(*) FROM p", "0\n");
            expect_all(c, "SELECT count(*) FROM quartet_quarantine", "0\n");
            cluster_expect_equal(c, (const char *const[]){"g", "p", "c", "quartet_broken_keys", NULL}, seed);
            cluster_free(c);
        }
}

/* Two nodes delete the row, each follows up, and nothing comes out twice. */
static void test_follow_up_by_two(void)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct prng r;
        struct cluster *c = family(&r, seed, 3, "SET NULL");
        run_sql(c->d[2], "DELETE FROM p WHERE id = 1");
        CU_ASSERT(settle(c, &r) >= 1);
        expect_all(c, "SELECT id, pid FROM c ORDER BY id", "10|NULL\n20|2\n");
        cluster_expect_equal(c, (const char *const[]){"p", "c", "g", "quartet_broken_keys", NULL}, seed);
        cluster_free(c);
    }
}

/* What a session leaves dangling on purpose is nobody's to follow, and what is given back is not touched. */
static void test_follow_up_leaves_alone(void)
{
    struct prng r;
    struct cluster *c = family(&r, 5, 2, "CASCADE");
    struct err err = ERR_INIT;
    uint64_t rows;
    run_sql(c->d[0], "INSERT INTO p VALUES (1)"); /* before anybody knew */
    CU_ASSERT_EQUAL(settle(c, &r), 0);
    expect_all(c, "SELECT id FROM c ORDER BY id", "10\n20\n");
    off_sql(c->d[0], "DELETE FROM p WHERE id = 1");
    OK(db_follow_up(c->d[0], &rows, &err));
    CU_ASSERT_EQUAL(rows, 0);
    CU_ASSERT_EQUAL(settle(c, &r), 0);
    off_sql(c->d[1], "INSERT INTO c VALUES (30, 1, 'late')"); /* knowing of the DELETE */
    CU_ASSERT_EQUAL(settle(c, &r), 0);
    run_sql(c->d[1], "INSERT INTO p VALUES (1)");
    CU_ASSERT_EQUAL(settle(c, &r), 0);
    expect_all(c, "SELECT id FROM c ORDER BY id", "10\n20\n30\n");
    off_sql(c->d[0], "DELETE FROM p WHERE id = 1");
    off_sql(c->d[1], "INSERT INTO c VALUES (40, 7, 'of none')");
    CU_ASSERT_EQUAL(settle(c, &r), 0);
    expect_all(c, "SELECT id FROM c ORDER BY id", "20\n");
    cluster_free(c);
}

/* A row in quarantine is deleted by hand: what hangs on it follows. A column that cannot be NULL keeps its row there. */
static void test_follow_up_of_rows_in_quarantine(void)
{
    struct prng r;
    struct cluster *c = family(&r, 6, 3, "NO ACTION");
    CU_ASSERT_EQUAL(settle(c, &r), 0);
    run_sql(c->d[2], "DELETE FROM quartet_quarantine WHERE table_name = 'c'");
    CU_ASSERT_EQUAL(settle(c, &r), 1);
    expect_all(c, "SELECT count(*) FROM quartet_quarantine", "0\n");
    expect_all(c, "SELECT id FROM g", "200\n");
    run_sql(c->d[0], "CREATE TABLE strict (id INTEGER PRIMARY KEY, pid INTEGER NOT NULL REFERENCES p ON DELETE SET NULL)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "DELETE FROM c");
    run_sql(c->d[0], "DELETE FROM p");
    run_sql(c->d[1], "INSERT INTO strict VALUES (1, 2)");
    CU_ASSERT_EQUAL(settle(c, &r), 0);
    expect_all(c, "SELECT table_name, key FROM quartet_quarantine ORDER BY 1", "strict|1\n");
    cluster_free(c);
}

/* More children than one transaction takes; some of them come when the key is broken already. */
static void test_follow_up_of_many(void)
{
    struct prng r;
    struct cluster *c = family(&r, 7, 2, "CASCADE");
    run_sql(c->d[1], "INSERT INTO c SELECT value, 1, 'many' FROM generate_series(1000, 3499)");
    cluster_seal(c, 1);
    cluster_exchange(c, &r);
    expect_all(c, "SELECT count(*) FROM quartet_quarantine", "2502\n");
    CU_ASSERT_EQUAL(settle(c, &r), 2502);
    expect_all(c, "SELECT count(*) FROM quartet_quarantine", "0\n");
    expect_all(c, "SELECT id FROM c", "20\n");
    expect_all(c, "SELECT count(*) FROM quartet_broken_keys", "0\n");
    cluster_free(c);
}

static void on_disk(struct cluster *c, uint32_t i, const char *dir)
{
    struct err err = ERR_INIT;
    struct db_options o = {.sync = LOG_SYNC_FULL};
    help_close(c->d[i]);
    OK(db_open(env_posix(), dir, &o, &c->d[i], &err));
    OK(db_set_identity(c->d[i], &c->id[i], &err));
}

/* What is owed is part of the state: the next run of the node finds it, in the log or, where the log is older, in the base. */
static void test_follow_up_after_a_crash(void)
{
    for (int flushed = 0; flushed < 2; flushed++) {
        struct prng r;
        struct err err = ERR_INIT;
        char dir[64], crashed[64];
        uint64_t rows;
        prng_seed(&r, 8);
        struct cluster *c = cluster_new(2);
        new_dir(dir);
        new_dir(crashed);
        on_disk(c, 0, dir);
        run_sql(c->d[0], "CREATE TABLE p (id INTEGER PRIMARY KEY)");
        run_sql(c->d[0], "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p ON DELETE CASCADE)");
        run_sql(c->d[0], "INSERT INTO p VALUES (1), (2)");
        cluster_exchange(c, &r);
        run_sql(c->d[0], "DELETE FROM p WHERE id = 1");
        run_sql(c->d[1], "INSERT INTO c VALUES (10, 1), (20, 2)");
        cluster_exchange(c, &r);
        OK(db_sync_remote(c->d[0], &err));
        if (flushed == 1)
            on_disk(c, 0, dir); /* closing flushes */
        walk_dir(dir, crashed);
        on_disk(c, 0, crashed);
        expect_rows(c->d[0], "SELECT count(*) FROM quartet_follow_ups", "1\n");
        expect_rows(c->d[0], "SELECT id FROM c", "20\n");
        OK(db_follow_up(c->d[0], &rows, &err));
        CU_ASSERT_EQUAL(rows, 1);
        CU_ASSERT_EQUAL(settle(c, &r), 0);
        expect_all(c, "SELECT id FROM c", "20\n");
        expect_all(c, "SELECT count(*) FROM quartet_quarantine", "0\n");
        cluster_free(c);
        walk_dir(dir, NULL);
        walk_dir(crashed, NULL);
    }
}

/* A UNIQUE value that others reference: its row is deleted, or gets another value, while a child is written elsewhere. */
static void test_follow_up_of_unique_values(void)
{
    static const struct {
        const char *actions, *change; /* at node 0, which does not know of the child */
        uint64_t rows;
        const char *c, *left;
    } cases[] = {
        {"ON DELETE CASCADE", "DELETE FROM p WHERE id = 1", 1, "20|two\n", "0\n"},
        {"ON DELETE SET NULL", "DELETE FROM p WHERE id = 1", 1, "10|NULL\n20|two\n", "0\n"},
        {"ON DELETE SET DEFAULT ON UPDATE CASCADE", "DELETE FROM p WHERE id = 1", 1, "10|two\n20|two\n", "0\n"},
        {"ON DELETE RESTRICT ON UPDATE CASCADE", "DELETE FROM p WHERE id = 1", 0, "20|two\n", "1\n"},
        {"ON UPDATE CASCADE", "UPDATE p SET name = 'uno' WHERE id = 1", 1, "10|uno\n20|two\n", "0\n"},
        {"ON UPDATE SET NULL", "UPDATE p SET name = 'uno' WHERE id = 1", 1, "10|NULL\n20|two\n", "0\n"},
        {"ON UPDATE SET DEFAULT ON DELETE CASCADE", "UPDATE p SET name = NULL WHERE id = 1", 1, "10|two\n20|two\n", "0\n"},
        {"ON DELETE CASCADE", "UPDATE p SET name = 'uno' WHERE id = 1", 0, "20|two\n", "1\n"},
        {"ON UPDATE CASCADE ON DELETE CASCADE", "UPDATE p SET name = 'uno' WHERE id = 1; DELETE FROM p WHERE id = 1", 1, "20|two\n", "0\n"},
        {"ON UPDATE CASCADE", "UPDATE p SET name = 'uno' WHERE id = 1; UPDATE p SET name = 'one' WHERE id = 1", 0, "10|one\n20|two\n", "0\n"},
        {"ON UPDATE CASCADE", "UPDATE p SET name = 'uno' WHERE id = 1; INSERT INTO p VALUES (3, 'one')", 0, "10|one\n20|two\n", "0\n"},
        {"ON DELETE SET NULL", "UPDATE p SET id = 7 WHERE id = 1", 0, "10|one\n20|two\n", "0\n"},
    };
    for (uint32_t nodes = 2; nodes <= 4; nodes++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct prng r;
            char sql[200];
            prng_seed(&r, i * 4 + nodes);
            struct cluster *c = cluster_new(nodes);
            run_sql(c->d[0], "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT UNIQUE)");
            (void)snprintf(sql, sizeof sql, "CREATE TABLE c (id INTEGER PRIMARY KEY, pn TEXT DEFAULT 'two' REFERENCES p (name) %s)", cases[i].actions);
            run_sql(c->d[0], sql);
            run_sql(c->d[0], "INSERT INTO p VALUES (1, 'one'), (2, 'two')");
            cluster_exchange(c, &r);
            for (const char *at = cases[i].change; *at != '\0'; at += strspn(at, "; ")) {
                (void)snprintf(sql, sizeof sql, "%.*s", (int)strcspn(at, ";"), at);
                run_sql(c->d[0], sql);
                at += strcspn(at, ";");
            }
            run_sql(c->d[nodes - 1], "INSERT INTO c VALUES (10, 'one'), (20, 'two')");
            uint64_t rows = settle(c, &r);
            if (rows != cases[i].rows)
                printf("\n%s, %s: %llu rows\n", cases[i].actions, cases[i].change, (unsigned long long)rows);
            CU_ASSERT_EQUAL(rows, cases[i].rows);
            expect_all(c, "SELECT id, pn FROM c ORDER BY id", cases[i].c);
            expect_all(c, "SELECT count(*) FROM quartet_quarantine", cases[i].left);
            CU_ASSERT_EQUAL(settle(c, &r), 0);
            cluster_expect_equal(c, (const char *const[]){"p", "c", "quartet_broken_keys", NULL}, i);
            cluster_free(c);
        }
}

/* The database's own clockwork does it, on a node that nobody is connected to as well. */
static void test_follow_up_by_itself(void)
{
    struct prng r;
    struct cluster *c = family(&r, 9, 2, "CASCADE");
    cluster_exchange(c, &r);
    expect_rows(c->d[0], "SELECT count(*) FROM quartet_quarantine", "2\n");
    for (int i = 0; i < 3; i++)
        db_tick(c->d[0]);
    expect_rows(c->d[0], "SELECT count(*) FROM quartet_quarantine", "0\n");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM c", "20\n");
    expect_all(c, "SELECT id FROM g", "200\n");
    cluster_free(c);
}

const char *const unit_suite = "follow_up";
const struct unit_test unit_tests[] = {
    {"by each action", test_follow_up_by_each_action},
    {"of a cascade", test_follow_up_of_a_cascade},
    {"by two", test_follow_up_by_two},
    {"leaves alone", test_follow_up_leaves_alone},
    {"of rows in quarantine", test_follow_up_of_rows_in_quarantine},
    {"after a crash", test_follow_up_after_a_crash},
    {"of UNIQUE values", test_follow_up_of_unique_values},
    {"by itself", test_follow_up_by_itself},
    {"of many", test_follow_up_of_many},
    {NULL, NULL},
};
