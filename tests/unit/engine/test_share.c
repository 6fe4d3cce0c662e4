/* test_share.c - COUNTERs with a bound: what each node may take, who asks and who gives, in every order of arrival; restored backups; random histories against a naive
 * model. Nodes are databases in one process that exchange batches by hand, so a statement never waits: it asks, fails, and does better once the answers are here. */
#include "cluster_help.h"
#include "dir_help.h"
#include "engine/conn.h"
#include "engine/share.h"
#include "query_help.h"

#define STOCK "CREATE TABLE stock (item TEXT PRIMARY KEY, n INTEGER COUNTER DEFAULT 0 CHECK (n >= 0))"

static struct cluster *start(uint32_t count, const char *table)
{
    struct prng r;
    struct cluster *c = cluster_new(count);
    prng_seed(&r, 1);
    for (uint32_t i = 0; i < count; i++)
        db_set_peers(c->d[i], (uint8_t)(((1u << count) - 1) & ~(1u << i)));
    run_sql(c->d[0], table);
    cluster_exchange(c, &r);
    return c;
}

/* Everybody hears of everything, and answers, until nothing is left to be said. */
static void settle(struct cluster *c, uint64_t seed)
{
    struct prng r;
    prng_seed(&r, seed);
    for (int round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < c->count; i++)
            db_tick(c->d[i]);
        cluster_exchange(c, &r);
    }
}

static int64_t number(db *d, const char *sql)
{
    struct err err = ERR_INIT;
    struct buf out = {0};
    OK(query_try(d, sql, NULL, &out, &err));
    buf_u8(&out, 0);
    int64_t n = strtoll((const char *)out.data, NULL, 10);
    buf_deinit(&out);
    return n;
}

static quartet_status try_sql(db *d, const char *sql)
{
    struct err err = ERR_INIT;
    return query_try(d, sql, NULL, NULL, &err);
}

static void test_share_which_checks_are_bounds(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE a (n INTEGER COUNTER CHECK (n >= 0), m INTEGER COUNTER, CHECK (m BETWEEN -5 AND 20), d DECIMAL(8, 2) COUNTER DEFAULT 1, CHECK (d > 0.5 AND 99.9 >= d))");
    const struct catalog *c = db_catalog(d);
    const struct table_def *t = catalog_table(c, "a");
    const struct bounded *n = &t->columns[0].bound, *m = &t->columns[1].bound, *x = &t->columns[2].bound;
    CU_ASSERT(t->bounded && n->has[0] && !n->has[1] && dec_get(n->at[0]) == 0);
    CU_ASSERT(m->has[0] && m->has[1] && dec_get(m->at[0]) == -5 && dec_get(m->at[1]) == 20);
    CU_ASSERT(x->has[0] && x->has[1] && dec_get(x->at[0]) == 51 && dec_get(x->at[1]) == 9990);
    catalog_unref(db_catalog(d));
    static const char *const refused[] = {
        "CREATE TABLE b (n INTEGER COUNTER CHECK (n % 2 = 0))",
        "CREATE TABLE b (n INTEGER COUNTER, m INTEGER, CHECK (n <= m))",
        "CREATE TABLE b (n INTEGER COUNTER, m INTEGER COUNTER, CHECK (n >= 0 AND m >= 0))",
        "CREATE TABLE b (n INTEGER COUNTER CHECK (n <> 3))",
        "CREATE TABLE b (n INTEGER COUNTER CHECK (n >= 0 OR n <= -5))",
        "CREATE TABLE b (n INTEGER COUNTER CHECK (n + 1 >= 0))",
        "CREATE TABLE b (n INTEGER COUNTER CHECK (NOT n >= 0))",
        "CREATE TABLE b (n INTEGER COUNTER CHECK (n NOT BETWEEN 0 AND 3))",
        "CREATE TABLE b (n INTEGER COUNTER CHECK (n >= abs(3)))",
        NULL,
    };
    for (uint32_t i = 0; refused[i] != NULL; i++)
        expect_error(d, refused[i], QUARTET_ERROR, "can only be a bound", -2);
    expect_error(d, "CREATE TABLE b (n INTEGER COUNTER CHECK (n >= 0) CHECK (n >= 5))", QUARTET_ERROR, "two lower bounds", -2);
    expect_error(d, "CREATE TABLE b (n INTEGER COUNTER CHECK (n >= 5 AND n <= 4))", QUARTET_ERROR, "within its bounds", -2);
    expect_error(d, "CREATE TABLE b (n INTEGER COUNTER CHECK (n >= 0.5))", QUARTET_ERROR, "the bound of a COUNTER", -2);
    expect_error(d, "CREATE TABLE b (n DECIMAL(37, 2) COUNTER CHECK (n >= 0))", QUARTET_LIMIT, "at most 36 digits", -2);
    catalog_unref((struct catalog *)(uintptr_t)c);
    help_close(d);
}

static void test_share_alone_nothing_is_lacking(void)
{
    db *d = help_memory();
    run_sql(d, STOCK);
    run_sql(d, "INSERT INTO stock VALUES ('pen', 10)");
    run_sql(d, "UPDATE stock SET n = n - 4");
    run_sql(d, "UPDATE stock SET n = 6 - 1");
    expect_error(d, "UPDATE stock SET n = n - 6", QUARTET_CONSTRAINT, "CHECK", -2);
    expect_error(d, "INSERT INTO stock VALUES ('cup', -1)", QUARTET_CONSTRAINT, "CHECK", -2);
    run_sql(d, "UPDATE stock SET n = n - 5");
    expect_rows(d, "SELECT n FROM stock", "0\n");
    run_sql(d, "CREATE TABLE low (id INTEGER PRIMARY KEY, n INTEGER COUNTER CHECK (n >= 3))");
    expect_error(d, "INSERT INTO low (id) VALUES (1)", QUARTET_CONSTRAINT, "begin beyond its bound", -2);
    expect_rows(d, "SELECT count(*) FROM quartet_share_moves", "0\n");
    help_close(d);
}

static void test_share_is_asked_for_and_given(void)
{
    struct cluster *c = start(3, STOCK);
    run_sql(c->d[0], "INSERT INTO stock VALUES ('pen', 30)");
    settle(c, 2);
    expect_error(c->d[1], "UPDATE stock SET n = n - 3", QUARTET_UNAVAILABLE, "lets it subtract 0 of the 30 that are left, not 3", -2);
    expect_error(c->d[1], "UPDATE stock SET n = n - 3", QUARTET_UNAVAILABLE, "no answer from node 0, node 2", -2);
    settle(c, 3);
    run_sql(c->d[1], "UPDATE stock SET n = n - 3"); /* a fair part came: 10 */
    run_sql(c->d[1], "UPDATE stock SET n = n - 7");
    expect_error(c->d[1], "UPDATE stock SET n = n - 1", QUARTET_UNAVAILABLE, "subtract 0 of the 20", -2);
    struct arena shown = {0};
    struct conn_table shares;
    struct err err = ERR_INIT;
    OK(share_show(c->d[1], "stock", &shown, &shares, &err));
    CU_ASSERT_EQUAL_FATAL(shares.row_count, 3); /* node 2 has answered, with nothing. table_name, row_key, column_name, bound, node, incarnation, share, state */
    for (uint32_t i = 0; i < 3; i++) {
        const struct value *line = shares.values + (size_t)i * shares.column_count;
        CU_ASSERT_EQUAL(line[6].i, line[4].i == 0 ? 20 : 0);
        CU_ASSERT(slice_eq(line[1].s, slice_of("'pen'", 5)));
        CU_ASSERT(slice_eq(line[7].s, line[4].i == 1 ? slice_of("this node", 9) : slice_of("its node's", 10)));
    }
    CU_ASSERT_EQUAL(share_show(c->d[1], "nothing", &shown, &shares, &err), QUARTET_ERROR);
    arena_free_all(&shown);
    CU_ASSERT_EQUAL(try_sql(c->d[0], "UPDATE stock SET n = n - 21"), QUARTET_UNAVAILABLE); /* it has 20 by now, and does not know of the 10 */
    run_sql(c->d[0], "UPDATE stock SET n = n - 20");
    settle(c, 4);
    for (uint32_t i = 0; i < 3; i++) {
        expect_rows(c->d[i], "SELECT n FROM stock", "0\n");
        expect_error(c->d[i], "UPDATE stock SET n = n - 1", QUARTET_CONSTRAINT, "CHECK", -2);
    }
    run_sql(c->d[2], "UPDATE stock SET n = n + 5"); /* who adds has the room */
    run_sql(c->d[2], "UPDATE stock SET n = n - 5");
    settle(c, 5);
    const char *tables[] = {"stock", NULL};
    cluster_expect_equal(c, tables, 0);
    cluster_free(c);
}

/* What is left in small parts can still be spent by one statement, wherever it runs. */
static void test_share_small_parts_come_together(void)
{
    struct cluster *c = start(4, STOCK);
    run_sql(c->d[0], "INSERT INTO stock VALUES ('pen', 8)");
    settle(c, 2);
    for (uint32_t i = 1; i < 4; i++) {
        char sql[64];
        (void)try_sql(c->d[i], "UPDATE stock SET n = n - 1");
        settle(c, 10 + i);
        snprintf(sql, sizeof sql, "UPDATE stock SET n = n - 1");
        run_sql(c->d[i], sql);
        settle(c, 20 + i);
    }
    expect_rows(c->d[2], "SELECT n FROM stock", "5\n");
    CU_ASSERT_EQUAL(try_sql(c->d[2], "UPDATE stock SET n = n - 5"), QUARTET_UNAVAILABLE);
    settle(c, 30);
    run_sql(c->d[2], "UPDATE stock SET n = n - 5");
    settle(c, 31);
    for (uint32_t i = 0; i < 4; i++)
        expect_rows(c->d[i], "SELECT n FROM stock", "0\n");
    cluster_free(c);
}

static void test_share_of_both_bounds_and_decimals(void)
{
    struct cluster *c = start(2, "CREATE TABLE acc (id INTEGER PRIMARY KEY, x DECIMAL(10, 2) COUNTER DEFAULT 0, CHECK (x BETWEEN -1.5 AND 2.25))");
    run_sql(c->d[0], "INSERT INTO acc VALUES (1, 0.25)");
    settle(c, 2);
    expect_error(c->d[1], "UPDATE acc SET x = x + 0.01", QUARTET_UNAVAILABLE, "acc.x <= 2.25: this node's share lets it add 0.00 of the 2.00 that are left", -2);
    expect_error(c->d[1], "UPDATE acc SET x = x - 0.01", QUARTET_UNAVAILABLE, "acc.x >= -1.50: this node's share lets it subtract 0.00 of the 1.75", -2);
    settle(c, 3);
    run_sql(c->d[1], "UPDATE acc SET x = x + 1.00"); /* of each room a half came */
    CU_ASSERT_EQUAL(try_sql(c->d[1], "UPDATE acc SET x = x + 0.01"), QUARTET_UNAVAILABLE);
    run_sql(c->d[1], "UPDATE acc SET x = x - 1.87"); /* what it added, and its share below */
    run_sql(c->d[0], "UPDATE acc SET x = x + 1.00");
    run_sql(c->d[0], "UPDATE acc SET x = x - 1.88");
    settle(c, 4);
    for (uint32_t i = 0; i < 2; i++)
        expect_rows(c->d[i], "SELECT x FROM acc", "-1.50\n");
    cluster_free(c);
}

/* A inserts 10, B inserts 2; A, having seen both, spends 8; C, having seen only A's INSERT, deletes it. */
static void one_order(uint32_t nodes, const uint32_t order[4], bool a_later)
{
    struct cluster *c = start(nodes, STOCK);
    uint32_t third = nodes == 2 ? 1 : 2;
    uint32_t at[4]; /* batches: A's INSERT, B's INSERT, A's UPDATE, C's DELETE */
    uint32_t first = c->pool.count;
    db *deleter = c->d[third];
    if (a_later)
        run_sql(c->d[1], "INSERT INTO stock VALUES ('pen', 2)");
    run_sql(c->d[0], "INSERT INTO stock VALUES ('pen', 10)");
    cluster_seal(c, 0);
    at[0] = c->pool.count - 1;
    if (nodes > 2) { /* C has seen A's INSERT alone */
        (void)cluster_give(c, third, at[0]);
        run_sql(deleter, "DELETE FROM stock WHERE item = 'pen'");
        cluster_seal(c, third);
    }
    at[3] = c->pool.count - 1;
    if (!a_later)
        run_sql(c->d[1], "INSERT INTO stock VALUES ('pen', 2)");
    cluster_seal(c, 1);
    at[1] = c->pool.count - 1;
    (void)cluster_give(c, 0, at[1]);
    run_sql(c->d[0], "UPDATE stock SET n = n - 8 WHERE item = 'pen'");
    expect_error(c->d[0], "UPDATE stock SET n = n - 4 WHERE item = 'pen'", nodes > 0 ? QUARTET_CONSTRAINT : QUARTET_OK, "inserted on several nodes at once", -2);
    cluster_seal(c, 0);
    at[2] = c->pool.count - 1;
    for (uint32_t round = 0; round < 4; round++) /* what comes too early is held, or is given again */
        for (uint32_t k = 0; k < 4; k++)
            for (uint32_t to = 0; to < nodes; to++) {
                if (c->pool.slot[at[order[k]]] == to || (nodes == 2 && order[k] == 3))
                    continue;
                (void)cluster_give(c, to, at[order[k]]);
                CU_ASSERT_EQUAL(number(c->d[to], "SELECT count(*) FROM stock WHERE n < 0"), 0);
            }
    (void)first;
    for (uint32_t i = 0; i < nodes; i++)
        expect_rows(c->d[i], "SELECT n FROM stock", nodes == 2 ? "4\n" : "2\n");
    const char *tables[] = {"stock", NULL};
    cluster_expect_equal(c, tables, 0);
    cluster_free(c);
}

static void test_share_two_births(void)
{
    uint32_t order[4];
    for (uint32_t nodes = 2; nodes <= 4; nodes++)
        for (uint32_t p = 0; p < 256; p++) {
            bool used[4] = {false}, all = true;
            for (uint32_t i = 0; i < 4; i++) {
                order[i] = p >> 2 * i & 3;
                all = all && !used[order[i]];
                used[order[i]] = true;
            }
            if (all) {
                one_order(nodes, order, false);
                one_order(nodes, order, true);
            }
        }
}

static quartet_status session_sql(conn *c, const char *sql)
{
    conn_stmt *s = NULL;
    size_t consumed;
    struct batch rows;
    struct err err = ERR_INIT;
    quartet_status rc = conn_prepare(c, sql, strlen(sql), &s, &consumed, &err);
    while (rc == QUARTET_OK && (rc = conn_step(s, &rows, &err)) == QUARTET_OK && rows.n > 0)
        ;
    conn_finalize(s);
    return rc;
}

/* A transaction is open, and has found enough; before it commits the share is given away. */
static void test_share_given_away_before_commit(void)
{
    struct cluster *c = start(2, STOCK);
    struct prng r;
    struct err err = ERR_INIT;
    conn *open = NULL;
    prng_seed(&r, 7);
    run_sql(c->d[0], "INSERT INTO stock VALUES ('pen', 10)");
    settle(c, 2);
    CU_ASSERT_EQUAL(try_sql(c->d[1], "UPDATE stock SET n = n - 6"), QUARTET_UNAVAILABLE);
    db_tick(c->d[1]);
    OK(conn_open(c->d[0], &open, &err));
    CU_ASSERT_EQUAL(session_sql(open, "BEGIN"), QUARTET_OK);
    CU_ASSERT_EQUAL(session_sql(open, "UPDATE stock SET n = n - 5"), QUARTET_OK);
    cluster_exchange(c, &r); /* the request comes */
    db_tick(c->d[0]);        /* and is answered */
    CU_ASSERT_EQUAL(session_sql(open, "COMMIT"), QUARTET_SERIALIZATION);
    conn_close(open);
    settle(c, 3);
    expect_rows(c->d[0], "SELECT n FROM stock", "10\n"); /* nothing was taken; what COMMIT lacked it has asked for */
    (void)try_sql(c->d[1], "UPDATE stock SET n = n - 10");
    settle(c, 4);
    run_sql(c->d[1], "UPDATE stock SET n = n - 10");
    settle(c, 5);
    for (int i = 0; i < 2; i++)
        expect_rows(c->d[i], "SELECT n FROM stock", "0\n");
    cluster_free(c);
}

/* Counters of concurrent INSERTs add up: a sum beyond a bound is out of sight, and comes back when it is within. */
static void test_share_two_births_beyond_a_bound(void)
{
    struct cluster *c = start(3, "CREATE TABLE seats (id INTEGER PRIMARY KEY, n INTEGER COUNTER CHECK (n <= 10))");
    run_sql(c->d[0], "INSERT INTO seats VALUES (1, 7)");
    cluster_seal(c, 0);
    (void)cluster_give(c, 2, c->pool.count - 1);
    db *late = c->d[2]; /* it has seen the first INSERT, and hears nothing for a while */
    c->d[2] = NULL;
    c->count = 2;
    run_sql(c->d[1], "INSERT INTO seats VALUES (1, 6)");
    settle(c, 2);
    for (int i = 0; i < 2; i++) {
        expect_rows(c->d[i], "SELECT n FROM seats", "");
        expect_rows(c->d[i], "SELECT count(*) FROM quartet_quarantined", "1\n");
    }
    c->d[2] = late;
    c->count = 3;
    run_sql(late, "DELETE FROM seats");
    settle(c, 3);
    for (int i = 0; i < 3; i++)
        expect_rows(c->d[i], "SELECT n FROM seats", "6\n");
    const char *tables[] = {"seats", NULL};
    cluster_expect_equal(c, tables, 0);
    cluster_free(c);
}

/* A row that is deleted and inserted anew begins with new room; what is said of the old one is swept away. */
static void test_share_of_a_new_birth(void)
{
    struct cluster *c = start(2, STOCK);
    struct err err = ERR_INIT;
    run_sql(c->d[0], "INSERT INTO stock VALUES ('pen', 10)");
    settle(c, 2);
    (void)try_sql(c->d[1], "UPDATE stock SET n = n - 1");
    settle(c, 3);
    run_sql(c->d[1], "UPDATE stock SET n = n - 1");
    settle(c, 4);
    run_sql(c->d[0], "DELETE FROM stock");
    run_sql(c->d[0], "INSERT INTO stock VALUES ('pen', 3)");
    settle(c, 5);
    expect_error(c->d[1], "UPDATE stock SET n = n - 1", QUARTET_UNAVAILABLE, "subtract 0 of the 3", -2);
    run_sql(c->d[0], "UPDATE stock SET n = n - 2");
    settle(c, 6); /* one is left, and was asked for */
    CU_ASSERT(number(c->d[0], "SELECT count(*) FROM quartet_share_moves") >= 3);
    for (int i = 0; i < 2; i++) {
        OK(share_sweep(c->d[i], &err));
    }
    settle(c, 7);
    expect_rows(c->d[0], "SELECT count(DISTINCT birth_stamp) FROM quartet_share_moves", "1\n");
    run_sql(c->d[1], "UPDATE stock SET n = n - 1");
    settle(c, 8);
    for (int i = 0; i < 2; i++)
        expect_rows(c->d[i], "SELECT n FROM stock", "0\n");
    const char *tables[] = {"stock", NULL};
    cluster_expect_equal(c, tables, 0);
    cluster_free(c);
}

static db *open_member(struct cluster *c, const char *dir)
{
    struct err err = ERR_INIT;
    struct db_options o = {.buffer_bytes = 0};
    db *d = NULL;
    OK(db_open(env_posix(), dir, &o, &d, &err));
    OK(db_set_identity(d, &c->id[0], &err));
    db_set_peers(d, 6);
    return d;
}

static void hear_all(struct cluster *c, db *d)
{
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < c->pool.count; i++) {
        enum deliver_result result;
        uint64_t need;
        OK(db_deliver(d, slice_of(c->pool.bytes[i], c->pool.n[i]), c->public_key[c->pool.slot[i]], &result, &need, &err));
        err_clear(&err);
    }
}

/* The owner of a share sells some of it, and comes back from a backup that was made before. */
static void test_share_of_a_restored_backup(void)
{
    char dir[2][64];
    struct err err = ERR_INIT;
    new_dir(dir[0]);
    new_dir(dir[1]);
    struct cluster *c = cluster_new(3);
    help_close(c->d[0]);
    c->d[0] = open_member(c, dir[0]);
    db_set_peers(c->d[1], 5);
    db_set_peers(c->d[2], 3);
    run_sql(c->d[0], STOCK);
    run_sql(c->d[0], "INSERT INTO stock VALUES ('pen', 10)");
    settle(c, 2);
    OK(db_sync_remote(c->d[0], &err));
    walk_dir(dir[1], NULL);
    CU_ASSERT_EQUAL_FATAL(mkdir(dir[1], 0700), 0);
    walk_dir(dir[0], dir[1]);
    run_sql(c->d[0], "UPDATE stock SET n = n - 8");
    cluster_seal(c, 0);
    help_close(c->d[0]);
    c->d[0] = open_member(c, dir[1]); /* it shows 10, and may not sell one of them */
    expect_rows(c->d[0], "SELECT n FROM stock", "10\n");
    expect_error(c->d[0], "UPDATE stock SET n = n - 1", QUARTET_UNAVAILABLE, "subtract 0 of the 10", -2);
    db_tick(c->d[0]);
    expect_error(c->d[0], "UPDATE stock SET n = n - 1", QUARTET_UNAVAILABLE, "subtract 0 of the 10", -2);
    hear_all(c, c->d[0]); /* its lost tail */
    expect_error(c->d[0], "UPDATE stock SET n = n - 1", QUARTET_UNAVAILABLE, "subtract 0 of the 2", -2);
    settle(c, 3); /* the old chain is closed */
    settle(c, 4);
    run_sql(c->d[0], "UPDATE stock SET n = n - 2");
    expect_error(c->d[0], "UPDATE stock SET n = n - 1", QUARTET_CONSTRAINT, "CHECK", -2);
    settle(c, 5);
    for (int i = 0; i < 3; i++)
        expect_rows(c->d[i], "SELECT n FROM stock", "0\n");
    const char *tables[] = {"stock", NULL};
    cluster_expect_equal(c, tables, 0);
    cluster_free(c);
    walk_dir(dir[0], NULL);
    walk_dir(dir[1], NULL);
}

/* ---- random histories ---- */

#define KEYS 3u
#define OPS_MAX 1024u

/* The naive model: the set of transactions, each with what it did to one row of `acc`, whose INSERTs come from node 0 alone, so that a row has one birth at a time. */
struct op {
    uint32_t node;
    uint64_t number;             /* in its node's chain */
    uint32_t key;
    enum { INSERTS, DELETES, ADDS } kind;
    uint32_t birth;              /* which INSERT of the key it was, ended or changed; from 1 on */
    int64_t by;
};
struct model {
    struct op op[OPS_MAX];
    uint32_t count;
    uint32_t births[KEYS];
};

static bool knows(const struct cluster *c, uint32_t node, const struct op *o)
{
    chain_no no;
    db *d = c->d[node];
    struct chain_id id = chain_id_of(&c->d[o->node]->chains, c->d[o->node]->own);
    return chain_find(&d->chains, id, &no) && vv_number(&d->applied, no) >= o->number;
}

/* The row as a node must show it: false: it has none. */
static bool model_row(const struct cluster *c, const struct model *m, uint32_t node, uint32_t key, uint32_t *birth, int64_t *n)
{
    bool live = false;
    *n = 0;
    *birth = 0;
    for (uint32_t i = 0; i < m->count; i++)
        if (m->op[i].kind == INSERTS && m->op[i].key == key && knows(c, node, &m->op[i]) && m->op[i].birth > *birth)
            *birth = m->op[i].birth;
    live = *birth > 0;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct op *o = &m->op[i];
        if (o->key != key || o->birth != *birth || !knows(c, node, o))
            continue;
        live = live && o->kind != DELETES;
        *n += o->by;
    }
    return live;
}

static void check_node(struct cluster *c, const struct model *m, uint32_t node, uint64_t seed)
{
    if (number(c->d[node], "SELECT count(*) FROM stock WHERE n < 0") + number(c->d[node], "SELECT count(*) FROM acc WHERE n < -3 OR n > 20") != 0) {
        printf("\nseed %llu: beyond a bound on node %u\n", (unsigned long long)seed, node);
        CU_FAIL("beyond a bound");
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        char sql[96];
        uint32_t birth;
        int64_t want;
        snprintf(sql, sizeof sql, "SELECT coalesce(max(n), 1000) FROM acc WHERE id = %u", key);
        bool live = model_row(c, m, node, key, &birth, &want);
        int64_t got = number(c->d[node], sql);
        if (got != (live ? want : 1000))
            printf("\nseed %llu: node %u shows %lld of key %u, the model %lld\n", (unsigned long long)seed, node, (long long)got, key, (long long)(live ? want : 1000));
        CU_ASSERT_EQUAL(got, live ? want : 1000);
    }
}

static void note(struct cluster *c, struct model *m, struct op o)
{
    CU_ASSERT_FATAL(m->count < OPS_MAX);
    o.number = vv_number(&c->d[o.node]->applied, c->d[o.node]->own);
    m->op[m->count++] = o;
}

static bool expected(quartet_status rc)
{
    return rc == QUARTET_OK || rc == QUARTET_UNAVAILABLE || rc == QUARTET_CONSTRAINT;
}

static void random_write(struct cluster *c, struct model *m, struct prng *r)
{
    char sql[128];
    uint32_t node = (uint32_t)prng_below(r, c->count), key = (uint32_t)prng_below(r, KEYS), birth;
    int64_t now, by = prng_between(r, -6, 6);
    if (prng_chance(r, 0.5)) { /* stock: INSERTs by everybody, concurrent ones too */
        uint64_t what = prng_below(r, 12);
        snprintf(sql, sizeof sql,
                 what == 0   ? "DELETE FROM stock WHERE item = '%u'"
                 : what == 1 ? "INSERT INTO stock VALUES ('%u', %lld) ON CONFLICT (item) DO UPDATE SET n = n + 1"
                 : what == 2 ? "UPDATE stock SET n = 2 WHERE item = '%u'"
                             : "UPDATE stock SET n = n + %2$lld WHERE item = '%1$u'",
                 key, what == 1 ? (long long)prng_between(r, 0, 9) : (long long)by);
        CU_ASSERT(expected(try_sql(c->d[node], sql)));
        return;
    }
    bool live = model_row(c, m, node, key, &birth, &now);
    if (node == 0 && !live && prng_chance(r, 0.7)) {
        int64_t first = prng_between(r, -3, 20);
        snprintf(sql, sizeof sql, "INSERT INTO acc VALUES (%u, %lld)", key, (long long)first);
        CU_ASSERT_EQUAL(try_sql(c->d[node], sql), QUARTET_OK);
        note(c, m, (struct op){.node = node, .key = key, .kind = INSERTS, .birth = ++m->births[key], .by = first});
    } else if (live && prng_chance(r, 0.06)) {
        snprintf(sql, sizeof sql, "DELETE FROM acc WHERE id = %u", key);
        CU_ASSERT_EQUAL(try_sql(c->d[node], sql), QUARTET_OK);
        note(c, m, (struct op){.node = node, .key = key, .kind = DELETES, .birth = birth});
    } else if (live) {
        snprintf(sql, sizeof sql, "UPDATE acc SET n = n + %lld WHERE id = %u", (long long)by, key);
        quartet_status rc = try_sql(c->d[node], sql);
        CU_ASSERT(expected(rc));
        CU_ASSERT(rc != QUARTET_CONSTRAINT || now + by < -3 || now + by > 20);
        CU_ASSERT(rc != QUARTET_OK || (now + by >= -3 && now + by <= 20));
        if (rc == QUARTET_OK)
            note(c, m, (struct op){.node = node, .key = key, .kind = ADDS, .birth = birth, .by = by});
    }
}

/* All that is there can be taken anywhere, once everybody hears of everybody. */
static void check_liveness(struct cluster *c, struct prng *r, uint64_t seed)
{
    for (uint32_t key = 0; key < KEYS; key++) {
        char sql[96];
        uint32_t node = (uint32_t)prng_below(r, c->count);
        snprintf(sql, sizeof sql, "SELECT coalesce(max(n), -3) FROM acc WHERE id = %u", key);
        int64_t n = number(c->d[node], sql);
        snprintf(sql, sizeof sql, "UPDATE acc SET n = n - %lld WHERE id = %u", (long long)(n + 3), key);
        quartet_status rc = try_sql(c->d[node], sql);
        for (int tries = 0; rc == QUARTET_UNAVAILABLE && tries < 2; tries++) {
            settle(c, seed + (uint64_t)tries);
            rc = try_sql(c->d[node], sql);
        }
        if (rc != QUARTET_OK)
            printf("\nseed %llu: node %u cannot take all that is left of key %u\n", (unsigned long long)seed, node, key);
        CU_ASSERT_EQUAL(rc, QUARTET_OK);
    }
}

static void random_history(uint64_t seed)
{
    struct prng r;
    struct model *m = calloc(1, sizeof *m);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    prng_seed(&r, seed);
    struct cluster *c = start(2 + (uint32_t)prng_below(&r, 3), STOCK);
    run_sql(c->d[0], "CREATE TABLE acc (id INTEGER PRIMARY KEY, n INTEGER COUNTER DEFAULT 0, CHECK (n >= -3 AND n <= 20))");
    settle(c, seed);
    for (int step = 0; step < 220; step++) {
        uint32_t node = (uint32_t)prng_below(&r, c->count);
        uint64_t what = prng_below(&r, 10);
        if (what < 5) {
            random_write(c, m, &r);
        } else if (what == 5) {
            db_tick(c->d[node]);
        } else if (what == 6) {
            cluster_seal(c, node);
        } else if (c->pool.count > 0) { /* late ones too, any number of times, in any order */
            uint64_t back = prng_below(&r, prng_chance(&r, 0.3) ? c->pool.count : c->pool.count < 8 ? c->pool.count : 8);
            uint32_t batch = c->pool.count - 1 - (uint32_t)back;
            if (c->pool.slot[batch] != node)
                (void)cluster_give(c, node, batch);
        }
        check_node(c, m, node, seed);
    }
    settle(c, seed);
    settle(c, seed + 1);
    for (uint32_t i = 0; i < c->count; i++)
        check_node(c, m, i, seed);
    const char *tables[] = {"stock", "acc", NULL};
    cluster_expect_equal(c, tables, seed);
    check_liveness(c, &r, seed);
    settle(c, seed + 2);
    cluster_expect_equal(c, tables, seed);
    cluster_free(c);
    free(m);
}

static void test_share_random_histories(void)
{
    const char *one = getenv("QUARTET_SEED"), *many = getenv("QUARTET_RUNS");
    uint64_t from = one != NULL ? strtoull(one, NULL, 10) : 1, runs = one != NULL ? 1 : many != NULL ? strtoull(many, NULL, 10) : 25;
    for (uint64_t seed = from; seed < from + runs; seed++)
        random_history(seed);
}

const char *const unit_suite = "share";
const struct unit_test unit_tests[] = {
    {"bounds", test_share_which_checks_are_bounds},
    {"alone", test_share_alone_nothing_is_lacking},
    {"asked for and given", test_share_is_asked_for_and_given},
    {"small parts", test_share_small_parts_come_together},
    {"both bounds", test_share_of_both_bounds_and_decimals},
    {"two births", test_share_two_births},
    {"given away before COMMIT", test_share_given_away_before_commit},
    {"two births beyond a bound", test_share_two_births_beyond_a_bound},
    {"a new birth", test_share_of_a_new_birth},
    {"restored backup", test_share_of_a_restored_backup},
    {"random histories", test_share_random_histories},
    {NULL, NULL},
};
