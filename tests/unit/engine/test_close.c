/* test_close.c - chains whose writer runs no more: closed where all agree; clones, restored backups, lost disks and disks that come back. */
#include "base/plant.h"
#include "cluster_help.h"
#include "dir_help.h"
#include "query_help.h"

#define NODES 3u

static db *open_slot(struct cluster *c, uint32_t slot, const char *dir)
{
    struct err err = ERR_INIT;
    struct db_options o = {.sync = LOG_SYNC_OFF};
    db *d = NULL;
    OK(db_open(env_posix(), dir, &o, &d, &err));
    OK(db_set_identity(d, &c->id[slot], &err));
    db_set_peers(d, (uint8_t)(7u & ~(1u << slot)));
    return d;
}

static db *open_member(struct cluster *c, const char *dir)
{
    return open_slot(c, 0, dir);
}

/* Slot 0 lives on disk in `dir`, the others in memory. */
static struct cluster *start(const char *dir)
{
    struct prng r;
    struct cluster *c = cluster_new(NODES);
    prng_seed(&r, 3);
    help_close(c->d[0]);
    c->d[0] = open_member(c, dir);
    for (uint32_t i = 1; i < NODES; i++)
        db_set_peers(c->d[i], (uint8_t)(7u & ~(1u << i)));
    run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    cluster_exchange(c, &r);
    return c;
}

/* Everybody hears of everything, and says what there is to say, until nothing is left to be said. */
static void settle(struct cluster *c, uint64_t seed)
{
    struct prng r;
    prng_seed(&r, seed);
    for (int round = 0; round < 6; round++) {
        cluster_exchange(c, &r);
        for (uint32_t i = 0; i < c->count; i++)
            db_tick(c->d[i]);
    }
    cluster_exchange(c, &r);
}

static struct chain_id own_chain(db *d)
{
    return chain_id_of(&d->chains, d->own);
}

static void expect_closed(struct cluster *c, struct chain_id id, uint64_t number, struct chain_id successor)
{
    for (uint32_t i = 0; i < c->count; i++) {
        chain_no no;
        uint64_t at = 0;
        struct chain_id next = {0};
        CU_ASSERT_FATAL(chain_find(&c->d[i]->chains, id, &no));
        CU_ASSERT(db_chain_closed(c->d[i], no, &at, &next));
        CU_ASSERT_EQUAL(at, number);
        CU_ASSERT_EQUAL(chain_id_cmp(next, successor), 0);
    }
}

static uint64_t number_of(db *d, struct chain_id id)
{
    chain_no no;
    return chain_find(&d->chains, id, &no) ? vv_number(&d->applied, no) : 0;
}

/* What a power cut would leave of `from`, in `to`. */
static void copy_disk(db *d, const char *from, const char *to)
{
    struct err err = ERR_INIT;
    OK(db_sync_remote(d, &err));
    walk_dir(to, NULL);
    CU_ASSERT_EQUAL_FATAL(mkdir(to, 0700), 0);
    walk_dir(from, to);
}

/* The first batches of the pool, its own too (which cluster_exchange leaves out), until it takes no more. */
static void hear_all(struct cluster *c, db *d, uint32_t count)
{
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < count && !d->fenced; i++) {
        enum deliver_result result;
        uint64_t need;
        OK(db_deliver(d, slice_of(c->pool.bytes[i], c->pool.n[i]), c->public_key[c->pool.slot[i]], &result, &need, &err));
        err_clear(&err);
    }
}

static const char *const tables[] = {"t", NULL};

static void test_close_after_a_restart(void)
{
    char dir[64];
    new_dir(dir);
    struct cluster *c = start(dir);
    struct chain_id chains[4];
    uint64_t numbers[4];
    for (int life = 0; life < 4; life++) {
        char sql[64];
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, 'life')", life);
        run_sql(c->d[0], sql);
        settle(c, 10u + (uint64_t)life);
        chains[life] = own_chain(c->d[0]);
        numbers[life] = number_of(c->d[0], chains[life]);
        if (life > 0)
            expect_closed(c, chains[life - 1], numbers[life - 1], chains[life]);
        if (life < 3) {
            help_close(c->d[0]);
            c->d[0] = open_member(c, dir);
        }
    }
    for (uint32_t i = 0; i < NODES; i++) {
        expect_rows(c->d[i], "SELECT count(*), count(DISTINCT incarnation) FROM quartet_closings", "9|3\n");
        CU_ASSERT(!c->d[i]->fenced);
    }
    cluster_expect_equal(c, tables, 0);
    cluster_free(c);
    walk_dir(dir, NULL);
}

static void test_close_waits_for_a_member_that_is_away(void)
{
    char dir[64];
    new_dir(dir);
    struct prng r;
    struct cluster *c = start(dir);
    prng_seed(&r, 4);
    struct chain_id old = own_chain(c->d[0]);
    help_close(c->d[0]);
    c->d[0] = open_member(c, dir);
    db *away = c->d[2];
    c->d[2] = NULL;
    c->count = 2;
    settle(c, 5);
    chain_no no;
    uint64_t at;
    struct chain_id next;
    CU_ASSERT_FATAL(chain_find(&c->d[1]->chains, old, &no));
    CU_ASSERT(!db_chain_closed(c->d[1], no, &at, &next));
    expect_rows(c->d[1], "SELECT member FROM quartet_closings ORDER BY member", "0\n1\n");
    c->d[2] = away;
    c->count = NODES;
    settle(c, 6);
    expect_closed(c, old, number_of(c->d[0], old), own_chain(c->d[0]));
    cluster_free(c);
    walk_dir(dir, NULL);
}

/* A copy of the directory is started beside the original, which goes on. The newer one has the slot; the other writes no more once it hears of it. */
static void test_close_a_clone_takes_the_slot(void)
{
    char dir[2][64];
    new_dir(dir[0]);
    new_dir(dir[1]);
    struct cluster *c = start(dir[0]);
    struct err err = ERR_INIT;
    struct chain_id first = own_chain(c->d[0]);
    copy_disk(c->d[0], dir[0], dir[1]);
    db *original = c->d[0];
    c->d[0] = open_member(c, dir[1]);
    run_sql(c->d[0], "INSERT INTO t VALUES (1, 'clone')");
    settle(c, 7);
    uint64_t at = number_of(c->d[1], first);
    expect_closed(c, first, at, own_chain(c->d[0]));
    run_sql(original, "INSERT INTO t VALUES (2, 'original')"); /* it has heard of nothing */
    uint32_t before = c->pool.count;
    OK(db_seal(original, pool_add, &c->pool, &err));
    CU_ASSERT_EQUAL_FATAL(c->pool.count, before + 1);
    for (uint32_t i = 1; i < NODES; i++) {
        enum deliver_result result;
        uint64_t need;
        OK(db_deliver(c->d[i], slice_of(c->pool.bytes[before], c->pool.n[before]), c->public_key[0], &result, &need, &err));
        CU_ASSERT_EQUAL(result, DELIVER_LATER);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "taken over"));
        err_clear(&err);
    }
    c->pool.slot[before] = 0;
    c->pool.count = before; /* nobody relays it */
    free(c->pool.bytes[before]);
    hear_all(c, original, before);
    CU_ASSERT(original->fenced);
    expect_error(original, "INSERT INTO t VALUES (3, 'more')", QUARTET_READONLY, "taken over", -2);
    expect_part(original, "SELECT v FROM t WHERE id = 2", "original"); /* it can be read */
    for (uint32_t i = 0; i < NODES; i++)
        expect_rows(c->d[i], "SELECT id, v FROM t", "1|clone\n");
    help_close(original);
    cluster_free(c);
    walk_dir(dir[0], NULL);
    walk_dir(dir[1], NULL);
}

/* An old copy comes back in the place of what was lost: it takes its own lost tail from the others, and goes on behind it. */
static void test_close_of_a_restored_backup(void)
{
    char dir[2][64];
    new_dir(dir[0]);
    new_dir(dir[1]);
    struct cluster *c = start(dir[0]);
    struct chain_id first = own_chain(c->d[0]);
    copy_disk(c->d[0], dir[0], dir[1]);
    for (int i = 0; i < 5; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, 'tail')", i);
        run_sql(c->d[0], sql);
    }
    settle(c, 8);
    uint64_t number = number_of(c->d[0], first);
    help_close(c->d[0]);
    c->d[0] = open_member(c, dir[1]);
    CU_ASSERT(number_of(c->d[0], first) < number);
    hear_all(c, c->d[0], c->pool.count);
    CU_ASSERT_EQUAL(number_of(c->d[0], first), number);
    settle(c, 9);
    expect_closed(c, first, number, own_chain(c->d[0]));
    expect_rows(c->d[0], "SELECT count(*) FROM t", "5\n");
    cluster_expect_equal(c, tables, 0);
    cluster_free(c);
    walk_dir(dir[0], NULL);
    walk_dir(dir[1], NULL);
}

/* The slot goes on with an empty disk, then the old one returns, with transactions that nobody else has. */
static void test_close_and_the_lost_disk_returns(void)
{
    char dir[2][64];
    new_dir(dir[0]);
    new_dir(dir[1]);
    struct cluster *c = start(dir[0]);
    struct chain_id first = own_chain(c->d[0]);
    uint64_t shared = number_of(c->d[1], first);
    run_sql(c->d[0], "INSERT INTO t VALUES (1, 'never sent')");
    db *old = c->d[0];
    c->d[0] = open_member(c, dir[1]);
    hear_all(c, c->d[0], c->pool.count);
    settle(c, 11);
    expect_closed(c, first, shared, own_chain(c->d[0]));
    help_close(old);
    old = open_member(c, dir[0]); /* it returns as another incarnation, and hears of the close */
    hear_all(c, old, c->pool.count);
    CU_ASSERT(old->fenced);
    help_close(old);
    old = open_member(c, dir[0]); /* and knows it when it is opened the next time */
    CU_ASSERT(old->fenced);
    expect_error(old, "INSERT INTO t VALUES (3, 'more')", QUARTET_READONLY, "quartet dump", -2);
    expect_rows(old, "SELECT v FROM t", "never sent\n");
    help_close(old);
    cluster_expect_equal(c, tables, 0);
    cluster_free(c);
    walk_dir(dir[0], NULL);
    walk_dir(dir[1], NULL);
}

/* ---- a transaction of which only a part got out ---- */

struct torn {
    struct cluster *c;
    struct prng r;
    uint64_t seed;
    char dir[NODES][64];
    uint32_t rows;   /* small ones that must show */
    uint32_t larges; /* large transactions that somebody had as a whole */
    uint32_t void_runs;
};

static void torn_reopen(struct torn *t, uint32_t slot)
{
    help_close(t->c->d[slot]);
    t->c->d[slot] = open_slot(t->c, slot, t->dir[slot]);
}

static void torn_small(struct torn *t, uint32_t slot, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%u, 'small')", 1000000 + t->rows++);
        run_sql(t->c->d[slot], sql);
    }
}

/* A transaction of several batches, of which each other member gets a beginning; then its writer's disk is lost. */
static void torn_life(struct torn *t, int life)
{
    struct cluster *c = t->c;
    char sql[300];
    torn_small(t, 0, (uint32_t)prng_below(&t->r, 3)); /* none: the chain begins with the large one */
    uint32_t first = c->pool.count, most = 0;
    if (prng_chance(&t->r, 0.5))
        cluster_seal(c, 0); /* otherwise the last of these and the first chunk share a batch */
    uint32_t small = c->pool.count;
    snprintf(sql, sizeof sql, "INSERT INTO t SELECT %d + i, hex(zeroblob(500)) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700) SELECT i FROM n) AS s",
             life * 10000);
    run_sql(c->d[0], sql);
    cluster_seal(c, 0);
    CU_ASSERT_FATAL(c->pool.count >= small + 3); /* it is a run of chunks */
    for (uint32_t to = 1; to < NODES; to++) {
        uint32_t got = small + (small == first) + (uint32_t)prng_below(&t->r, c->pool.count - small + (small > first));
        for (uint32_t i = first; i < got; i++)
            (void)cluster_give(c, to, i);
        most = got > most ? got : most;
    }
    bool whole = most == c->pool.count;
    t->larges += whole;
    t->void_runs += !whole && most > small;
    while (c->pool.count > most) /* these only the disk had that is lost */
        free(c->pool.bytes[--c->pool.count]);
    help_close(c->d[0]);
    walk_dir(t->dir[0], NULL);
    new_dir(t->dir[0]);
    c->d[0] = open_slot(c, 0, t->dir[0]);
    hear_all(c, c->d[0], c->pool.count);
}

/* Everybody is at the same place, and nobody waits for the rest. */
static void torn_expect(struct torn *t)
{
    struct cluster *c = t->c;
    struct err err = ERR_INIT;
    struct buf durable[NODES] = {0}, want = {0};
    buf_printf(&want, "%u|%u\n", t->rows, t->larges * 700);
    buf_u8(&want, 0);
    for (uint32_t i = 0; i < NODES; i++) {
        db *d = c->d[i];
        OK(db_sync_remote(d, &err));
        OK(db_vectors(d, NULL, &durable[i], &err));
        CU_ASSERT(slice_eq(slice_of(durable[i].data, durable[i].len), slice_of(durable[0].data, durable[0].len)));
        CU_ASSERT_EQUAL(d->held_count, 0);
        CU_ASSERT_EQUAL(db_replay_from(d), d->applied_end);
        CU_ASSERT(!d->fenced);
        for (uint32_t k = 0; k < d->chains.count; k++) {
            uint64_t at;
            struct chain_id next;
            const struct chain_state *s = d->state[k];
            CU_ASSERT(s == NULL || !s->chunks.open);
            struct chain_id id = chain_id_of(&d->chains, (chain_no)k);
            bool runs = id.slot != 0 || id.incarnation == 1 || id.incarnation == c->d[0]->run, is_closed = db_chain_closed(d, (chain_no)k, &at, &next);
            if (!runs && !is_closed)
                printf("\nnode %u: slot 0, %016llx, applied %llu, received %llu, head %llu: not closed\n", i, (unsigned long long)id.incarnation,
                       (unsigned long long)vv_number(&d->applied, (chain_no)k), (unsigned long long)(s != NULL ? s->received : 0), (unsigned long long)(s != NULL ? s->head_number : 0));
            CU_ASSERT(runs || is_closed);
        }
        expect_rows(d, "SELECT count(*) FILTER (WHERE v = 'small'), count(*) FILTER (WHERE v <> 'small') FROM t", (const char *)want.data);
    }
    for (uint32_t i = 0; i < NODES; i++)
        buf_deinit(&durable[i]);
    buf_deinit(&want);
    cluster_expect_equal(c, tables, t->seed);
}

static uint32_t torn_run(uint64_t seed)
{
    struct torn t = {.c = cluster_new(NODES), .seed = seed};
    prng_seed(&t.r, seed);
    for (uint32_t i = 0; i < NODES; i++) {
        new_dir(t.dir[i]);
        help_close(t.c->d[i]);
        t.c->d[i] = open_slot(t.c, i, t.dir[i]);
    }
    run_sql(t.c->d[1], "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    settle(t.c, seed);
    for (int life = 1; life <= 2; life++) {
        torn_life(&t, life);
        if (prng_chance(&t.r, 0.3))
            torn_reopen(&t, 1 + (uint32_t)prng_below(&t.r, NODES - 1));
        torn_small(&t, 1, 1);
        settle(t.c, seed + 100);
        torn_expect(&t);
        if (prng_chance(&t.r, 0.5)) { /* what was dropped is not there when it is opened again */
            uint32_t slot = (uint32_t)prng_below(&t.r, NODES);
            torn_reopen(&t, slot);
            settle(t.c, seed + 200);
            torn_expect(&t);
        }
    }
    torn_small(&t, 0, 1);
    settle(t.c, seed + 300);
    torn_expect(&t);
    uint32_t before = CU_get_number_of_failures();
    if (before > 0)
        printf("\nseed %llu: %u large transactions are whole, %u are void\n", (unsigned long long)seed, t.larges, t.void_runs);
    cluster_free(t.c);
    for (uint32_t i = 0; i < NODES; i++)
        walk_dir(t.dir[i], NULL);
    return t.void_runs;
}

static void test_close_of_a_torn_transaction(void)
{
    uint64_t seed = unit_seed(1);
    uint32_t void_runs = 0;
#ifdef QUARTET_PLANTED_BUGS /* to see it fail */
    const char *name = getenv("PLANT");
    for (uint32_t p = 1; name != NULL && p < PLANT_COUNT; p++)
        if (strcmp(plant_name(p), name) == 0)
            plant_set((enum plant)p);
#endif
    for (uint64_t i = 0; i < 8 && CU_get_number_of_failures() == 0; i++)
        void_runs += torn_run(seed + i);
    CU_ASSERT(void_runs > 0 || CU_get_number_of_failures() > 0);
}

/* ---- a node that is evicted, and a new one in its slot ---- */

struct out { /* of slot 0 */
    struct cluster *c;
    struct prng r;
    uint64_t seed;
    uint8_t old_key[32];
    uint32_t gone_at; /* batches of slot 0 below this one are the evicted node's */
    bool evicted;
};

static enum deliver_result out_give(struct out *o, uint32_t to, uint32_t batch)
{
    struct cluster *c = o->c;
    struct err err = ERR_INIT;
    enum deliver_result r;
    uint64_t need;
    bool former = o->evicted && c->pool.slot[batch] == 0 && batch < o->gone_at;
    struct slice bytes = slice_of(c->pool.bytes[batch], c->pool.n[batch]);
    if (former)
        OK(db_deliver_former(c->d[to], bytes, o->old_key, &r, &need, &err));
    else
        OK(db_deliver(c->d[to], bytes, c->public_key[c->pool.slot[batch]], &r, &need, &err));
    if (r == DELIVER_REFUSED)
        printf("\nseed %llu: refused: %s\n", (unsigned long long)o->seed, err.text);
    CU_ASSERT_NOT_EQUAL(r, DELIVER_REFUSED);
    return r;
}

/* Members from `first` on give each other everything, what nobody may take any more, too, until nothing is taken. */
static void out_exchange(struct out *o, uint32_t first)
{
    struct cluster *c = o->c;
    for (uint32_t i = first; i < NODES; i++)
        cluster_seal(c, i);
    for (bool progress = true; progress;) {
        progress = false;
        uint32_t turn = (uint32_t)prng_below(&o->r, c->pool.count + 1u);
        for (uint32_t to = first; to < NODES; to++)
            for (uint32_t i = 0; i < c->pool.count; i++) {
                uint32_t b = (i + turn) % c->pool.count;
                if (c->pool.slot[b] == to && (to != 0 || b >= o->gone_at))
                    continue;
                enum deliver_result r = out_give(o, to, b);
                progress |= r == DELIVER_APPLIED || r == DELIVER_HELD;
            }
    }
}

static void out_settle(struct out *o, uint32_t first)
{
    struct err err = ERR_INIT;
    for (int round = 0; round < 8; round++) {
        out_exchange(o, first);
        for (uint32_t i = first; i < NODES; i++)
            db_tick(o->c->d[i]);
    }
    out_exchange(o, first);
    for (uint32_t i = first; i < NODES; i++)
        OK(db_sync_remote(o->c->d[i], &err));
}

/* All chains of slot 0 but the running one are closed alike; *successors of them: how many name somebody who goes on. */
static void out_expect(struct out *o, uint32_t first, uint32_t *chains, uint32_t *successors)
{
    struct cluster *c = o->c;
    struct err err = ERR_INIT;
    struct buf want = {0}, got = {0};
    *chains = *successors = 0;
    for (uint32_t i = first; i < NODES; i++) {
        db *d = c->d[i];
        CU_ASSERT_EQUAL(d->held_count, 0);
        CU_ASSERT(!d->fenced);
        buf_clear(&got);
        OK(db_vectors(d, NULL, i == first ? &want : &got, &err));
        CU_ASSERT(i == first || slice_eq(slice_of(want.data, want.len), slice_of(got.data, got.len)));
        for (uint32_t k = 0; k < d->chains.count; k++) {
            struct chain_id id = chain_id_of(&d->chains, (chain_no)k), next;
            uint64_t at, there;
            chain_no other;
            if (id.slot != 0 || id.incarnation == 1 || d->state[k] == NULL || (first == 0 && id.incarnation == c->d[0]->run))
                continue;
            CU_ASSERT(db_chain_closed(d, (chain_no)k, &at, &next));
            CU_ASSERT_EQUAL(at, vv_number(&d->applied, (chain_no)k));
            CU_ASSERT(chain_find(&c->d[first]->chains, id, &other) && db_chain_closed(c->d[first], other, &there, &next) && there == at);
            *chains += i == first;
            *successors += i == first && next.incarnation != 0;
        }
    }
    buf_deinit(&want);
    buf_deinit(&got);
}

static void out_write(struct out *o, uint32_t slot, uint32_t *id)
{
    char sql[300];
    if (slot == 0 && prng_chance(&o->r, 0.3))
        snprintf(sql, sizeof sql, "INSERT INTO t SELECT %u + i, hex(zeroblob(500)) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) SELECT i FROM n) AS s", *id);
    else
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%u, 'of %u')", *id, slot);
    run_sql(o->c->d[slot], sql);
    *id += 1000;
}

static void out_run(uint64_t seed)
{
    struct out o = {.c = cluster_new(NODES), .seed = seed};
    struct cluster *c = o.c;
    uint32_t id = 1000, chains, successors;
    prng_seed(&o.r, seed);
    cluster_peers(c);
    run_sql(c->d[1], "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    out_exchange(&o, 0);
    out_write(&o, 0, &id);
    out_exchange(&o, 0); /* each has something of it */
    uint32_t seen[NODES] = {0, c->pool.count, c->pool.count};
    for (int i = 0; i < 12; i++) { /* of what it writes now each of the others gets a beginning, and writes on top of that */
        uint32_t slot = (uint32_t)prng_below(&o.r, NODES);
        if (slot == 0) {
            out_write(&o, 0, &id);
            cluster_seal(c, 0);
        }
        for (uint32_t to = 1; to < NODES; to++)
            for (; seen[to] < c->pool.count && prng_chance(&o.r, 0.5); seen[to]++)
                if (c->pool.slot[seen[to]] == 0)
                    (void)out_give(&o, to, seen[to]);
        if (slot != 0)
            out_write(&o, slot, &id);
    }
    o.gone_at = c->pool.count;
    o.evicted = true;
    memcpy(o.old_key, c->public_key[0], sizeof o.old_key);
    uint64_t number[NODES];
    struct chain_id old = own_chain(c->d[0]);
    help_close(c->d[0]);
    c->d[0] = NULL;
    for (uint32_t i = 1; i < NODES; i++) {
        number[i] = number_of(c->d[i], old);
        db_set_peers(c->d[i], i == 1 ? 4 : 2);
    }
    out_settle(&o, 1);
    out_expect(&o, 1, &chains, &successors);
    CU_ASSERT_EQUAL(chains, 1);
    CU_ASSERT_EQUAL(successors, 0);
    CU_ASSERT_EQUAL(number_of(c->d[1], old), number[1] > number[2] ? number[1] : number[2]); /* all that either had, and no more */
    /* The slot's new node, with another key. */
    uint8_t again[32] = {99};
    c->d[0] = help_memory();
    CU_ASSERT_EQUAL_FATAL(crypto_sign_seed_keypair(c->public_key[0], c->id[0].secret_key, again), 0);
    struct err err = ERR_INIT;
    OK(db_set_identity(c->d[0], &c->id[0], &err));
    cluster_peers(c);
    out_settle(&o, 0);
    out_write(&o, 0, &id);
    out_settle(&o, 0);
    out_expect(&o, 0, &chains, &successors);
    CU_ASSERT_EQUAL(chains, 1);
    CU_ASSERT_EQUAL(successors, 1);
    cluster_expect_equal(c, tables, seed);
    if (CU_get_number_of_failures() > 0)
        printf("\nseed %llu\n", (unsigned long long)seed);
    cluster_free(c);
}

static void test_close_of_an_evicted_node(void)
{
    uint64_t seed = unit_seed(1);
    for (uint64_t i = 0; i < 20 && CU_get_number_of_failures() == 0; i++)
        out_run(seed + i);
}

/* A member waits for something that the evicted node wrote: that is taken, and nothing of another run of that node, which came back. */
static void test_close_evicted_node_returns_while_something_is_waited_for(void)
{
    struct out o = {.c = cluster_new(NODES), .evicted = true, .gone_at = BATCHES_MAX};
    struct cluster *c = o.c;
    struct err err = ERR_INIT;
    prng_seed(&o.r, 1);
    cluster_peers(c);
    memcpy(o.old_key, c->public_key[0], sizeof o.old_key);
    run_sql(c->d[1], "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    cluster_exchange(c, &o.r);
    uint32_t made = c->pool.count;
    for (uint32_t i = 0; i < 3; i++) {
        run_sql(c->d[0], i == 0 ? "INSERT INTO t VALUES (1, 'old')" : "UPDATE t SET v = v || '!'");
        cluster_seal(c, 0);
    }
    uint32_t on_top = c->pool.count;
    for (uint32_t i = made; i < on_top; i++)
        CU_ASSERT_EQUAL(cluster_give(c, 1, i), DELIVER_APPLIED);
    run_sql(c->d[1], "UPDATE t SET v = v || ' and more'");
    cluster_seal(c, 1);
    help_close(c->d[0]);
    c->d[0] = help_memory(); /* with the key that it had */
    OK(db_set_identity(c->d[0], &c->id[0], &err));
    for (uint32_t i = 0; i < made; i++)
        (void)cluster_give(c, 0, i);
    uint32_t late = c->pool.count;
    run_sql(c->d[0], "INSERT INTO t VALUES (2, 'late')");
    cluster_seal(c, 0);
    CU_ASSERT_EQUAL(out_give(&o, 2, late), DELIVER_LATER);
    CU_ASSERT_EQUAL(out_give(&o, 2, on_top), DELIVER_HELD);
    CU_ASSERT_EQUAL(out_give(&o, 2, late), DELIVER_LATER);
    for (uint32_t i = made; i < on_top; i++)
        CU_ASSERT_EQUAL(out_give(&o, 2, i), DELIVER_APPLIED);
    CU_ASSERT_EQUAL(out_give(&o, 2, late), DELIVER_LATER);
    expect_rows(c->d[2], "SELECT * FROM t", "1|old!! and more\n");
    cluster_free(c);
}

const char *const unit_suite = "close";
const struct unit_test unit_tests[] = {
    {"restart", test_close_after_a_restart},
    {"away", test_close_waits_for_a_member_that_is_away},
    {"clone", test_close_a_clone_takes_the_slot},
    {"backup", test_close_of_a_restored_backup},
    {"lost disk", test_close_and_the_lost_disk_returns},
    {"torn transaction", test_close_of_a_torn_transaction},
    {"evicted", test_close_of_an_evicted_node},
    {"evicted, and back", test_close_evicted_node_returns_while_something_is_waited_for},
    {NULL, NULL},
};
