/* test_fork.c - a member that signs two histories: everybody who took one, the other or none ends alike, and its slot is frozen. */
#include "cluster_help.h"
#include "dir_help.h"
#include "fault/fault_env.h"
#include "query_help.h"

#define HONEST 3u
#define TWINS 3u /* processes that sign for the last slot */
#define LIAR 3u

struct forked {
    struct cluster *c; /* d[0] to d[2]: honest, on disks in memory; d[3]: NULL */
    struct fault_env disk[HONEST];
    char dirs[TWINS][64];
    db *twin[TWINS];
    struct db_identity id;
    uint8_t public_key[32];
    uint8_t *twins_batch[BATCHES_MAX]; /* what the twins signed, and which of them */
    uint32_t twin_of[BATCHES_MAX], from[BATCHES_MAX];
    struct prng r;
    uint64_t seed;
};

static void tell_keys(struct forked *f, db *d, uint8_t self)
{
    for (uint8_t k = 0; k < HONEST; k++)
        db_set_member_key(d, k, f->c->public_key[k]);
    db_set_member_key(d, LIAR, f->public_key);
    db_set_peers(d, (uint8_t)(15u & ~(1u << self)));
}

static void open_honest(struct forked *f, uint8_t k)
{
    struct err err = ERR_INIT;
    struct db_options o = {.base_in_memory = true, .buffer_bytes = 64u << 10};
    f->disk[k].wall_us = env_wall_ms(env_posix()) * 1000;
    OK(db_open(&f->disk[k].env, "/db", &o, &f->c->d[k], &err));
    OK(db_set_identity(f->c->d[k], &f->c->id[k], &err));
    tell_keys(f, f->c->d[k], k);
}

/* It is killed, or its power goes and with it what was not synced: what it knew of branches comes from its log again, and a branch may be there without its first batch. */
static void restart_honest(struct forked *f, uint8_t k)
{
    struct err ignored = ERR_INIT;
    fault_env_die(&f->disk[k]);
    (void)db_close(f->c->d[k], &ignored); /* it cannot end well */
    fault_env_restart(&f->disk[k], prng_chance(&f->r, 0.5));
    open_honest(f, k);
}

static db *open_twin(struct forked *f, const char *dir, uint64_t run)
{
    struct err err = ERR_INIT;
    struct db_options o = {.buffer_bytes = 0};
    db *d = NULL;
    OK(db_open(env_posix(), dir, &o, &d, &err));
    if (run != 0)
        d->run = run; /* the same one: this is how a liar makes two of its own chain */
    OK(db_set_identity(d, &f->id, &err));
    return d;
}

static void give_to(struct forked *f, db *to, uint32_t batch, enum deliver_result *result)
{
    struct err err = ERR_INIT;
    struct pool *p = &f->c->pool;
    uint64_t need;
    OK(db_deliver(to, slice_of(p->bytes[batch], p->n[batch]), p->slot[batch] == LIAR ? f->public_key : f->c->public_key[p->slot[batch]], result, &need, &err));
}

static void seal_twin(struct forked *f, uint32_t twin)
{
    struct err err = ERR_INIT;
    uint32_t from = f->c->pool.count;
    OK(db_seal(f->twin[twin], pool_add, &f->c->pool, &err));
    for (uint32_t i = from; i < f->c->pool.count; i++)
        f->twin_of[i] = twin;
}

/* The history up to here is one: tables, and some rows of the liar's, which all honest nodes have. */
static struct forked *start(uint64_t seed)
{
    struct forked *f = calloc(1, sizeof *f);
    struct err err = ERR_INIT;
    enum deliver_result got;
    f->seed = seed;
    prng_seed(&f->r, seed);
    f->c = cluster_new(HONEST);
    for (uint32_t k = 0; k < HONEST && seed % 2 == 0; k++) /* batches are looked for within runs */
        small_index(f->c->d[k], seed);
    uint8_t key_seed[32] = {99};
    f->id = (struct db_identity){.slot = LIAR, .member = true, .members_answered = true};
    memset(f->id.cluster.b, 7, sizeof f->id.cluster.b);
    CU_ASSERT_EQUAL_FATAL(crypto_sign_seed_keypair(f->public_key, f->id.secret_key, key_seed), 0);
    for (uint8_t k = 0; k < HONEST; k++) {
        help_close(f->c->d[k]);
        fault_env_init(&f->disk[k], seed + k);
        open_honest(f, k);
    }
    new_dir(f->dirs[0]);
    f->twin[0] = open_twin(f, f->dirs[0], 0);
    run_sql(f->c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER COUNTER DEFAULT 0, w TEXT)");
    run_sql(f->c->d[0], "CREATE INDEX t_v ON t (v)");
    for (int id = 0; id < 6; id++) {
        char sql[96];
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, 'first', %d, 'x')", id, id);
        run_sql(f->c->d[id % (int)HONEST], sql);
        cluster_exchange(f->c, &f->r);
    }
    for (uint32_t i = 0; i < f->c->pool.count; i++)
        give_to(f, f->twin[0], i, &got);
    uint32_t batches = (uint32_t)prng_below(&f->r, 4);
    uint32_t at = f->c->pool.count;
    for (uint32_t i = 0; i < batches; i++) {
        char sql[96];
        snprintf(sql, sizeof sql, "UPDATE t SET v = 'common', n = n + 1 WHERE id = %u", i);
        run_sql(f->twin[0], sql);
        seal_twin(f, 0);
    }
    if (batches == 0) { /* the run has begun all the same, and the twins share its number */
        CU_ASSERT_FATAL(f->twin[0]->run != 0);
    }
    for (uint32_t i = at; i < f->c->pool.count; i++)
        for (uint8_t k = 0; k < HONEST; k++)
            give_to(f, f->c->d[k], i, &got);
    OK(db_sync_remote(f->twin[0], &err));
    uint64_t run = f->twin[0]->run;
    for (uint32_t k = 1; k < TWINS; k++) {
        new_dir(f->dirs[k]);
        walk_dir(f->dirs[0], f->dirs[k]);
        f->twin[k] = open_twin(f, f->dirs[k], run);
    }
    return f;
}

static void finish(struct forked *f)
{
    for (uint32_t k = 0; k < TWINS; k++) {
        help_close(f->twin[k]);
        walk_dir(f->dirs[k], NULL);
    }
    cluster_free(f->c);
    for (uint32_t k = 0; k < HONEST; k++)
        fault_env_deinit(&f->disk[k]);
    free(f);
}

static void any_write(struct forked *f, db *d, const char *who)
{
    char sql[160];
    unsigned id = (unsigned)prng_below(&f->r, 8);
    switch (prng_below(&f->r, 5)) {
    case 0:
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%u, '%s', 5, 'i') ON CONFLICT (id) DO UPDATE SET n = n + 3, w = '%s'", id, who, who);
        break;
    case 1:
        snprintf(sql, sizeof sql, "DELETE FROM t WHERE id = %u", id);
        break;
    case 2:
        snprintf(sql, sizeof sql, "UPDATE t SET v = '%s' WHERE id = %u", who, id);
        break;
    case 3:
        snprintf(sql, sizeof sql, "REPLACE INTO t VALUES (%u, '%s', 2, 'r')", id, who);
        break;
    default:
        snprintf(sql, sizeof sql, "UPDATE t SET n = n + 10, w = '%s' WHERE id < 4", who);
        break;
    }
    run_sql(d, sql);
}

/* Everything that was signed goes to every honest node, in any order, again and again; and each says what it has to say. */
static void settle_some(struct forked *f, bool restarts)
{
    struct pool *p = &f->c->pool;
    for (uint32_t k = 0; k < HONEST; k++) {
        uint32_t offset = (uint32_t)prng_below(&f->r, p->count), stride = 1;
        for (uint32_t tries = 0; tries < 8; tries++) { /* any stride that has no divisor in common with the count */
            uint32_t a = 1 + (uint32_t)prng_below(&f->r, p->count), b = p->count, x = a;
            while (b != 0) {
                uint32_t rest = a % b;
                a = b;
                b = rest;
            }
            if (a == 1)
                stride = x;
        }
        uint32_t stop_at = restarts && prng_chance(&f->r, 0.1) ? (uint32_t)prng_below(&f->r, p->count) : UINT32_MAX;
        for (uint32_t i = 0; i < p->count; i++) {
            uint32_t at = (uint32_t)(((uint64_t)i * stride + offset) % p->count);
            enum deliver_result got;
            if (p->slot[at] != k)
                give_to(f, f->c->d[k], at, &got);
            if (i == stop_at)
                restart_honest(f, (uint8_t)k); /* before anything is made durable */
        }
    }
    for (uint32_t k = 0; k < HONEST; k++) {
        db_tick(f->c->d[k]);
        cluster_seal(f->c, k);
        if (restarts && prng_chance(&f->r, 0.1))
            restart_honest(f, (uint8_t)k);
    }
}

static const char *const tables[] = {"t", NULL};

static bool settled(struct forked *f)
{
    struct buf at[HONEST] = {{0}};
    struct err err = ERR_INIT;
    struct state_hash h;
    bool same = true;
    for (uint32_t k = 0; k < HONEST; k++)
        OK(db_state_hash(f->c->d[k], &h, &at[k], &err));
    for (uint32_t k = 1; k < HONEST; k++)
        same = same && slice_eq(slice_of(at[k].data, at[k].len), slice_of(at[0].data, at[0].len));
    for (uint32_t k = 0; k < HONEST; k++)
        buf_deinit(&at[k]);
    return same;
}

static void settle(struct forked *f, bool restarts)
{
    int rounds = 0;
    for (; rounds < 30 && (rounds < 6 || !settled(f)); rounds++)
        settle_some(f, restarts && rounds < 8);
    if (!settled(f))
        printf("\nseed %llu: the vectors differ after %d rounds\n", (unsigned long long)f->seed, rounds);
    CU_ASSERT(settled(f));
    cluster_expect_equal(f->c, tables, f->seed);
}

/* A member signs two (or three) batches of one number, one to each of honest nodes that then write on top. */
static void branches(uint64_t seed)
{
    struct forked *f = start(seed);
    enum deliver_result got;
    uint32_t to[HONEST], length[TWINS];
    for (uint32_t k = 0; k < TWINS; k++) {
        char who[16];
        snprintf(who, sizeof who, "twin%u", k);
        length[k] = 1 + (uint32_t)prng_below(&f->r, 3);
        for (uint32_t i = 0; i < length[k]; i++) {
            any_write(f, f->twin[k], who);
            if (prng_chance(&f->r, 0.7) || i + 1 == length[k])
                seal_twin(f, k);
        }
    }
    for (uint32_t k = 0; k < HONEST; k++) {
        to[k] = (uint32_t)prng_below(&f->r, TWINS + 1); /* the last: it hears of no branch */
        for (uint32_t i = 0; i < f->c->pool.count; i++)
            if (f->c->pool.slot[i] == LIAR && f->twin_of[i] == to[k] && prng_chance(&f->r, 0.9))
                give_to(f, f->c->d[k], i, &got);
        char who[16];
        snprintf(who, sizeof who, "honest%u", k);
        for (uint64_t n = prng_below(&f->r, 4); n > 0; n--) {
            any_write(f, f->c->d[k], who);
            if (prng_chance(&f->r, 0.7))
                cluster_seal(f->c, k);
        }
        cluster_seal(f->c, k);
    }
    settle(f, true);
    /* It goes on, under its old chain and a new one: nobody takes it. */
    uint32_t before = f->c->pool.count;
    char sql[64] = "INSERT INTO t VALUES (99, 'frozen', 0, '')";
    run_sql(f->twin[0], sql);
    seal_twin(f, 0);
    help_close(f->twin[1]);
    f->twin[1] = open_twin(f, f->dirs[1], 0);
    run_sql(f->twin[1], sql);
    seal_twin(f, 1);
    CU_ASSERT(f->c->pool.count >= before + 2);
    for (uint32_t k = 0; k < HONEST; k++)
        CU_ASSERT(db_slot_frozen(f->c->d[k], LIAR));
    settle(f, true);
    for (uint32_t k = 0; k < HONEST; k++) {
        expect_rows(f->c->d[k], "SELECT count(*) FROM t WHERE id = 99", "0\n");
        CU_ASSERT(!f->c->d[k]->fenced);
    }
    finish(f);
}

static void test_fork_converges(void)
{
    const char *replay = getenv("QUARTET_SEED");
    for (uint64_t seed = 1; seed <= 40; seed++)
        branches(replay != NULL ? strtoull(replay, NULL, 10) : seed);
}

/* Node 0 needs a branch, of which the first batch waits for a write of node 2's; then it falls over. The branch is known by its name now, and that batch is not there. No other takes its place. */
static void fall_over_while_branching(uint64_t seed)
{
    struct forked *f = start(seed);
    struct pool *p = &f->c->pool;
    struct err err = ERR_INIT;
    enum deliver_result got;
    run_sql(f->c->d[2], "INSERT INTO t VALUES (50, 'before', 0, '')");
    cluster_seal(f->c, 2);
    give_to(f, f->twin[1], p->count - 1, &got);
    give_to(f, f->c->d[1], p->count - 1, &got);
    uint32_t from = p->count;
    for (uint32_t k = 0; k < TWINS; k++) {
        char sql[96];
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (60, 'twin%u', 0, '')", k);
        run_sql(f->twin[k], sql);
        seal_twin(f, k);
        give_to(f, f->c->d[k], p->count - 1, &got);
    }
    for (uint32_t k = 1; k < HONEST; k++) {
        run_sql(f->c->d[k], "UPDATE t SET n = n + 1 WHERE id = 60");
        cluster_seal(f->c, k);
    }
    give_to(f, f->c->d[0], from + TWINS, &got); /* node 1's, which needs the branch */
    CU_ASSERT_EQUAL(got, DELIVER_HELD);
    give_to(f, f->c->d[0], from + 1, &got); /* it is known that there are two, and */
    give_to(f, f->c->d[0], from + 1, &got);
    CU_ASSERT_EQUAL(got, DELIVER_DUPLICATE);
    CU_ASSERT_EQUAL(f->c->d[0]->chains.fork_count, 2);
    OK(db_sync_remote(f->c->d[0], &err));
    restart_honest(f, 0);
    CU_ASSERT_EQUAL(f->c->d[0]->chains.fork_count, 2);
    settle(f, false);
    for (uint32_t k = 0; k < HONEST; k++)
        CU_ASSERT(db_slot_frozen(f->c->d[k], LIAR));
    finish(f);
}

static void test_fork_named_without_its_first_batch(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++)
        fall_over_while_branching(seed);
}

const char *const unit_suite = "fork";
const struct unit_test unit_tests[] = {
    {"converges", test_fork_converges},
    {"a branch is named and its first batch is not there", test_fork_named_without_its_first_batch},
    {NULL, NULL},
};
