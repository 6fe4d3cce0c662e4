/* test_past_judge.c - AS OF judges constraints: what a node shows as of a stamp is what one shows that has learnt of the transactions up to that stamp and of no other. */
#include "scene_help.h"

const char *const unit_suite = "past_judge";

#define NODES 3u
#define STEPS 60u

static const char *const tables[] = {"g", "p", "c", "w"};

struct world {
    struct cluster *c;
    hlc_stamp stamps[BATCHES_MAX]; /* of the transaction in each batch */
    struct prng r;
    uint64_t seed;
};

static hlc_stamp stamp_of(db *d)
{
    struct err err = ERR_INIT;
    struct buf text = {0};
    OK(query_try(d, "SELECT quartet_stamp()", NULL, &text, &err));
    buf_u8(&text, 0);
    hlc_stamp s = strtoull((const char *)text.data, NULL, 10);
    buf_deinit(&text);
    return s;
}

/* One transaction; what a constraint refuses was tried. */
static void try_step(struct world *w, uint32_t node, const char *sql)
{
    struct err err = ERR_INIT;
    struct exec_limits off = {.no_foreign_keys = prng_chance(&w->r, 0.3)};
    uint32_t before = w->c->pool.count;
    quartet_status rc = query_try(w->c->d[node], sql, &off, NULL, &err);
    if (rc != QUARTET_OK && rc != QUARTET_CONSTRAINT)
        printf("\nseed %llu: %s: %s\n", (unsigned long long)w->seed, sql, err.text);
    CU_ASSERT(rc == QUARTET_OK || rc == QUARTET_CONSTRAINT);
    cluster_seal(w->c, node);
    CU_ASSERT_FATAL(w->c->pool.count <= before + 1);
    if (w->c->pool.count > before)
        w->stamps[before] = stamp_of(w->c->d[node]);
}

static void random_step(struct world *w, uint32_t node, char *sql, size_t n)
{
    struct prng *r = &w->r;
    int a = (int)prng_below(r, 6) + 1, b = (int)prng_below(r, 6) + 1, k = (int)prng_below(r, 4);
    char code = (char)('a' + prng_below(r, 4));
    switch (prng_below(r, 14)) {
    case 0: (void)snprintf(sql, n, "INSERT INTO g VALUES (%d)", k); break;
    case 1: (void)snprintf(sql, n, "DELETE FROM g WHERE id = %d", k); break;
    case 2:
    case 3:
    case 4: (void)snprintf(sql, n, "INSERT INTO p VALUES (%d, '%c', %d, %d, %d)", a, code, k, b, b + 1 + k); break;
    case 5: (void)snprintf(sql, n, "UPDATE p SET code = '%c' WHERE id = %d", code, a); break;
    case 6: (void)snprintf(sql, n, "UPDATE p SET lo = %d WHERE id = %d", b, a); break;
    case 7: (void)snprintf(sql, n, "UPDATE p SET hi = %d WHERE id = %d", b, a); break;
    case 8: (void)snprintf(sql, n, "DELETE FROM p WHERE id = %d", a); break;
    case 9:
    case 10: (void)snprintf(sql, n, "INSERT INTO c VALUES (%d, %d, '%c', %d)", a, b, code, (int)prng_below(r, 6) + 1); break;
    case 11: (void)snprintf(sql, n, "UPDATE c SET up = %d, pid = NULL WHERE id = %d", b, a); break;
    case 12: (void)snprintf(sql, n, "INSERT INTO w VALUES (%d, %s, %d)", a, k == 0 ? "NULL" : "'x'", k); break;
    default: (void)snprintf(sql, n, "UPDATE w SET s = %s, n = %d WHERE id = %d", k == 0 ? "NULL" : "'y'", k, a); break;
    }
    (void)node;
}

static void learn_some(struct world *w, uint32_t node)
{
    for (uint32_t i = 0; i < w->c->pool.count; i++)
        if (w->c->pool.slot[i] != node && prng_chance(&w->r, 0.5))
            (void)cluster_give(w->c, node, i); /* what has to wait is asked for again */
}

static void learn_until(struct world *w, db *d, hlc_stamp until)
{
    struct cluster *c = w->c;
    c->d[NODES] = d;
    for (bool missing = true; missing;) {
        missing = false;
        for (uint32_t i = 0; i < c->pool.count; i++)
            if (w->stamps[i] <= until)
                missing |= cluster_give(c, NODES, i) == DELIVER_GAP;
    }
    c->d[NODES] = NULL;
}

static void compare(struct world *w, db *truth, db *d, hlc_stamp at, uint32_t who)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        struct err err = ERR_INIT;
        struct buf want = {0}, got = {0};
        char sql[120];
        (void)snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY id", tables[i]);
        OK(query_try(truth, sql, NULL, &want, &err));
        (void)snprintf(sql, sizeof sql, "SELECT * FROM %s AS OF STAMP %llu ORDER BY id", tables[i], (unsigned long long)at);
        OK(query_try(d, sql, NULL, &got, &err));
        bool same = slice_eq(slice_of(want.data, want.len), slice_of(got.data, got.len));
        if (!same)
            printf("\nseed %llu, node %u, %s:\n%.*swho knew no more showed\n%.*s", (unsigned long long)w->seed, who, sql, (int)got.len, (const char *)got.data,
                   (int)want.len, (const char *)want.data);
        CU_ASSERT(same);
        buf_deinit(&want);
        buf_deinit(&got);
    }
}

static void one_world(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    CU_ASSERT_PTR_NOT_NULL_FATAL(w);
    struct err err = ERR_INIT;
    char sql[200];
    w->seed = seed;
    prng_seed(&w->r, seed);
    w->c = cluster_new(NODES);
    try_step(w, 0, "CREATE TABLE g (id INTEGER PRIMARY KEY)");
    try_step(w, 0, "CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT UNIQUE, gid INTEGER REFERENCES g, lo INTEGER, hi INTEGER NOT NULL)");
    try_step(w, 0, "CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p ON DELETE CASCADE, pcode TEXT REFERENCES p (code) ON DELETE SET NULL, up INTEGER REFERENCES c)");
    try_step(w, 0, "CREATE TABLE w (id INTEGER PRIMARY KEY, s TEXT, n INTEGER)");
    uint32_t known = w->c->pool.count;
    cluster_exchange(w->c, &w->r);
    uint32_t check_at = (uint32_t)prng_below(&w->r, STEPS), null_at = (uint32_t)prng_below(&w->r, STEPS), index_at = (uint32_t)prng_below(&w->r, STEPS);
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t node = (uint32_t)prng_below(&w->r, NODES);
        if (prng_chance(&w->r, 0.3))
            learn_some(w, node);
        random_step(w, node, sql, sizeof sql);
        try_step(w, node, i == check_at   ? "ALTER TABLE p ADD CONSTRAINT room CHECK (lo < hi)"
                          : i == null_at  ? "ALTER TABLE w ALTER COLUMN s SET NOT NULL"
                          : i == index_at ? "CREATE UNIQUE INDEX wn ON w (n)"
                                          : sql);
    }
    cluster_exchange(w->c, &w->r);
    for (uint32_t ask = 0; ask < 4; ask++) {
        hlc_stamp at = w->stamps[known + prng_below(&w->r, w->c->pool.count - known)];
        db *truth = help_memory();
        cluster_keys(w->c, NODES);
        OK(db_set_identity(truth, &w->c->id[NODES], &err));
        learn_until(w, truth, at);
        for (uint32_t i = 0; i < NODES; i++)
            compare(w, truth, w->c->d[i], at, i);
        help_close(truth);
    }
    cluster_free(w->c);
    free(w);
}

static void test_past_judge_as_who_knew_no_more(void)
{
    uint64_t seed = unit_seed(0);
    for (uint64_t s = seed != 0 ? seed : 1; s <= (seed != 0 ? seed : 25); s++)
        one_world(s);
}

static void expect_all(struct cluster *c, const char *sql, const char *want)
{
    for (uint32_t i = 0; i < c->count; i++)
        expect_rows(c->d[i], sql, want);
}

/* A late transaction: no node ever showed both rows, and as of then one of them was out of sight, with its orders. In a join that looks up the past row by row, too. */
static void test_past_judge_of_what_nobody_saw(void)
{
    struct prng r;
    char sql[300];
    prng_seed(&r, 4);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE u (id INTEGER PRIMARY KEY, mail TEXT UNIQUE)");
    run_sql(c->d[0], "CREATE TABLE o (id INTEGER PRIMARY KEY, u INTEGER REFERENCES u)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "INSERT INTO u VALUES (1, 'x@')");
    run_sql(c->d[0], "INSERT INTO o VALUES (10, 1)");
    run_sql(c->d[1], "INSERT INTO u VALUES (2, 'x@')");
    run_sql(c->d[1], "INSERT INTO o VALUES (20, 2)");
    hlc_stamp at = stamp_of(c->d[0]), other = stamp_of(c->d[1]);
    at = at > other ? at : other;
    next_millisecond(env_posix());
    run_sql(c->d[0], "DELETE FROM o WHERE id = 10");
    run_sql(c->d[0], "UPDATE u SET mail = 'z@' WHERE id = 1");
    cluster_exchange(c, &r);
    expect_all(c, "SELECT id FROM u ORDER BY id", "1\n2\n");
    (void)snprintf(sql, sizeof sql, "SELECT id, mail FROM u AS OF STAMP %llu", (unsigned long long)at);
    expect_all(c, sql, "1|x@\n");
    (void)snprintf(sql, sizeof sql, "SELECT id FROM o AS OF STAMP %llu", (unsigned long long)at);
    expect_all(c, sql, "10\n");
    (void)snprintf(sql, sizeof sql, "SELECT u.id, w.mail FROM u LEFT JOIN u AS OF STAMP %llu w ON w.id = u.id ORDER BY 1", (unsigned long long)at);
    expect_all(c, sql, "1|x@\n2|NULL\n");
    cluster_free(c);
}

/* A row that was out of sight then, and is not now, is not deleted for it: BACKTRACK says what stands in the way. */
static void test_past_judge_is_not_asked_by_backtrack(void)
{
    struct prng r;
    char sql[200];
    prng_seed(&r, 5);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE u (id INTEGER PRIMARY KEY, mail TEXT UNIQUE)");
    cluster_exchange(c, &r);
    run_sql(c->d[0], "INSERT INTO u VALUES (1, 'x@')");
    run_sql(c->d[1], "INSERT INTO u VALUES (2, 'x@')");
    cluster_exchange(c, &r);
    hlc_stamp at = stamp_of(c->d[0]);
    next_millisecond(env_posix());
    run_sql(c->d[0], "UPDATE u SET mail = 'z@' WHERE id = 1");
    (void)snprintf(sql, sizeof sql, "SELECT id FROM u AS OF STAMP %llu", (unsigned long long)at);
    expect_rows(c->d[0], sql, "1\n");
    (void)snprintf(sql, sizeof sql, "BACKTRACK TABLE u TO STAMP %llu", (unsigned long long)at);
    expect_error(c->d[0], sql, QUARTET_CONSTRAINT, "UNIQUE", -2);
    expect_rows(c->d[0], "SELECT * FROM u ORDER BY id", "1|z@\n2|x@\n");
    cluster_free(c);
}

const struct unit_test unit_tests[] = {
    {"as who knew no more", test_past_judge_as_who_knew_no_more},
    {"of what nobody saw", test_past_judge_of_what_nobody_saw},
    {"is not asked by backtrack", test_past_judge_is_not_asked_by_backtrack},
    {NULL, NULL},
};
