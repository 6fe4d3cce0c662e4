/* test_mark.c - hashes as of a stamp: whatever is written, arrives late, is deleted or inserted again after it, they stay what the live hashes were at it; and what cannot be told is not told. */
#include "cluster_help.h"
#include "engine/db_mark.h"
#include "engine/history.h"
#include "engine/node_alarm.h"
#include "query_help.h"

#define TABLES 4u
#define KEYS 6u

static const char *const schema[] = {
    "CREATE TABLE plain (id INTEGER PRIMARY KEY, v TEXT, k INTEGER)",
    "CREATE TABLE kinds (id INTEGER PRIMARY KEY, v TEXT SET, k INTEGER COUNTER, m INTEGER MAXIMUM, t TEXT MULTIVALUE)",
    "CREATE TABLE stay (id INTEGER PRIMARY KEY, v TEXT, k INTEGER COUNTER) UPDATES WIN",
    "CREATE TABLE uniq (id INTEGER PRIMARY KEY, v TEXT UNIQUE, k INTEGER)",
    NULL,
};
static const char *const writes[] = {
    "INSERT INTO plain VALUES ($, 'v$', $)", "UPDATE plain SET v = 'w$' WHERE id = $", "UPDATE plain SET k = k + $ WHERE id < $", "DELETE FROM plain WHERE id = $",
    "INSERT INTO kinds VALUES ($, '[\"a\"]', $, $, 'm')", "UPDATE kinds SET v = set_add(v, 'x$'), k = k + $ WHERE id = $", "UPDATE kinds SET m = $, t = 't$' WHERE id = $",
    "UPDATE kinds SET v = set_remove(v, 'x$') WHERE id = $", "DELETE FROM kinds WHERE id = $",
    "INSERT INTO stay VALUES ($, 'v', $)", "UPDATE stay SET v = 's$', k = k + 1 WHERE id = $", "DELETE FROM stay WHERE id = $",
    "INSERT INTO uniq VALUES ($, 'u$', $)", "UPDATE uniq SET v = 'u$' WHERE id = $", "DELETE FROM uniq WHERE id = $",
};

/* A random statement; what a constraint refuses is refused. */
static void write_some(db *d, struct prng *r)
{
    struct err err = ERR_INIT;
    char sql[256];
    size_t n = 0;
    for (const char *p = writes[prng_below(r, sizeof writes / sizeof *writes)]; *p != '\0' && n + 4 < sizeof sql; p++) {
        if (*p == '$')
            n += (size_t)snprintf(sql + n, sizeof sql - n, "%u", (unsigned)prng_below(r, KEYS));
        else
            sql[n++] = *p;
    }
    sql[n] = '\0';
    (void)query_try(d, sql, NULL, NULL, &err); /* a key that is there already, a value that is taken */
}

struct live {
    uint32_t count;
    uint64_t id[TABLES];
    struct state_hash hash[TABLES];
};

static void keep_hash(void *arg, const struct table_def *t, struct state_hash h)
{
    struct live *l = arg;
    if (t->id < KV_USER_TREES)
        return;
    CU_ASSERT_FATAL(l->count < TABLES);
    l->id[l->count] = t->id;
    l->hash[l->count++] = h;
}

static db_mark *taken(db *d)
{
    struct err err = ERR_INIT;
    db_mark *m = NULL;
    bool done = false;
    OK(db_mark_take(d, &m, &err));
    while (!done)
        OK(db_mark_step(m, 3, &done, &err));
    return m;
}

static uint32_t expect_live(db_mark *m, const struct live *l, uint64_t seed, uint32_t at_node)
{
    uint64_t id;
    struct state_hash h;
    uint32_t found = 0;
    for (uint32_t i = 0; db_mark_table(m, i, &id, &h); i++)
        for (uint32_t k = 0; k < l->count; k++) {
            if (l->id[k] != id)
                continue;
            if (h.lo != l->hash[k].lo || h.hi != l->hash[k].hi)
                printf("\nseed %llu: node %u, table %u: not the hash of then\n", (unsigned long long)seed, at_node, k);
            CU_ASSERT(h.lo == l->hash[k].lo && h.hi == l->hash[k].hi);
            found++;
        }
    return found;
}

static void one_world(uint64_t seed)
{
    struct prng r;
    struct err err = ERR_INIT;
    struct cluster *c = cluster_new(3);
    struct live then[3] = {{0}};
    hlc_stamp stamp = 0;
    prng_seed(&r, seed);
    for (uint32_t i = 0; schema[i] != NULL; i++)
        run_sql(c->d[0], schema[i]);
    cluster_exchange(c, &r);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 25; i++)
            write_some(c->d[prng_below(&r, 3)], &r);
        cluster_exchange(c, &r);
    }
    for (uint32_t i = 0; i < 3; i++) {
        hlc_stamp last = txn_last_stamp(c->d[i]) | 3u; /* of any slot */
        stamp = last > stamp ? last : stamp;
        OK(db_table_hashes(c->d[i], keep_hash, &then[i], &err));
        if (i > 0)
            CU_ASSERT_EQUAL(memcmp(then[i].hash, then[0].hash, sizeof then[0].hash), 0);
    }
    for (uint32_t i = 0; i < 3; i++)
        CU_ASSERT_FATAL(db_mark_begin(c->d[i], stamp));
    CU_ASSERT(!db_mark_begin(c->d[0], stamp)); /* one at a time */
    for (uint32_t i = 0; i < 60; i++) {
        write_some(c->d[prng_below(&r, 3)], &r);
        if (prng_below(&r, 20) == 0)
            cluster_exchange(c, &r);
    }
    for (uint32_t i = 0; i < 3; i++) {
        db_mark *m = taken(c->d[i]);
        CU_ASSERT_EQUAL(db_mark_stamp(m), stamp);
        CU_ASSERT_EQUAL(expect_live(m, &then[i], seed, i), TABLES);
        db_mark_free(m);
    }
    CU_ASSERT(!db_mark_begin(c->d[0], stamp)); /* too late: there is something newer */
    cluster_free(c);
}

static void test_mark_hashes_are_those_of_the_stamp(void)
{
    uint64_t seed = unit_seed(1), n = getenv("QUARTET_SEED") != NULL ? 1 : 40;
    for (uint64_t i = 0; i < n; i++)
        one_world(seed + i);
}

static void test_mark_says_nothing_where_it_cannot(void)
{
    struct err err = ERR_INIT;
    struct cluster *c = cluster_new(2);
    db *d = c->d[0];
    db_mark *m = NULL;
    uint64_t id;
    struct state_hash h;
    run_sql(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    CU_ASSERT_EQUAL(db_mark_take(d, &m, &err), QUARTET_NOTFOUND); /* nothing had begun */
    CU_ASSERT_FATAL(db_mark_begin(d, txn_last_stamp(d) | 3u));
    run_sql(d, "CREATE TABLE u (id INTEGER PRIMARY KEY)"); /* the schema changed */
    err_clear(&err);
    CU_ASSERT_EQUAL(db_mark_take(d, &m, &err), QUARTET_NOTFOUND);
    CU_ASSERT_FATAL(db_mark_begin(d, txn_last_stamp(d) | 3u));
    run_sql(d, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 220000) INSERT INTO t SELECT i, 'v' FROM n"); /* too many rows to keep in mind */
    err_clear(&err);
    CU_ASSERT_EQUAL(db_mark_take(d, &m, &err), QUARTET_NOTFOUND);
    CU_ASSERT_FATAL(db_mark_begin(d, txn_last_stamp(d) | 3u));
    db_mark_drop(d);
    err_clear(&err);
    CU_ASSERT_EQUAL(db_mark_take(d, &m, &err), QUARTET_NOTFOUND);
    pthread_mutex_lock(&d->commit_lock);
    db_history_set(d, 0);
    pthread_mutex_unlock(&d->commit_lock);
    CU_ASSERT_FATAL(db_mark_begin(d, txn_last_stamp(d) | 3u));
    run_sql(d, "UPDATE t SET v = 'w' WHERE id = 1"); /* what was is not known any longer */
    m = taken(d);
    const struct table_def *t = catalog_table(d->catalog, "t"), *u = catalog_table(d->catalog, "u");
    bool told_t = false, told_u = false;
    for (uint32_t i = 0; db_mark_table(m, i, &id, &h); i++) {
        told_t = told_t || id == t->id;
        told_u = told_u || id == u->id;
    }
    CU_ASSERT(!told_t);
    CU_ASSERT(told_u);
    db_mark_free(m);
    cluster_free(c);
}

/* Hashes that a member sends: of any length, and with any byte changed, they are taken or refused, never believed blindly. */
static void test_mark_messages_are_checked(void)
{
    struct node_gossip g = {.env = env_posix()};
    struct err err = ERR_INIT;
    struct buf b = {0};
    struct idvec v = {0};
    struct idvec_entry e = {.chain = {.slot = 1, .incarnation = 77}, .number = 5, .stamp = 1234567, .head = 9};
    g.d = help_memory();
    OK(node_alarm_new(&g, &err));
    OK(idvec_raise(&v, e, &err));
    buf_u64(&b, hlc_make(4000, 0, 0));
    idvec_encode(&b, &v);
    buf_varint(&b, 2);
    for (uint64_t i = 0; i < 6; i++)
        buf_u64(&b, 300 + i * 50);
    for (size_t n = 0; n <= b.len; n++) {
        struct bytes_in in = bytes_in(b.data, n);
        err_clear(&err);
        CU_ASSERT_EQUAL(node_alarm_message(&g, 1, &in, &err), n == b.len ? QUARTET_OK : QUARTET_CORRUPT);
    }
    for (size_t at = 0; at < b.len; at++)
        for (uint32_t bit = 0; bit < 8; bit++) {
            b.data[at] ^= (uint8_t)(1u << bit);
            struct bytes_in in = bytes_in(b.data, b.len);
            err_clear(&err);
            quartet_status rc = node_alarm_message(&g, 1, &in, &err);
            CU_ASSERT(rc == QUARTET_OK || rc == QUARTET_CORRUPT);
            b.data[at] ^= (uint8_t)(1u << bit);
        }
    buf_u8(&b, 0); /* a byte too many */
    struct bytes_in in = bytes_in(b.data, b.len);
    CU_ASSERT_EQUAL(node_alarm_message(&g, 1, &in, &err), QUARTET_CORRUPT);
    node_alarm_free(&g);
    idvec_deinit(&v);
    buf_deinit(&b);
    help_close(g.d);
}

const char *const unit_suite = "mark";
const struct unit_test unit_tests[] = {
    {"hashes", test_mark_hashes_are_those_of_the_stamp},
    {"nothing", test_mark_says_nothing_where_it_cannot},
    {"messages", test_mark_messages_are_checked},
    {NULL, NULL},
};
