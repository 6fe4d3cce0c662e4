/* cluster_help.h - for tests: databases in one process that are members of one cluster and exchange batches by hand. */
#ifndef TESTS_UNIT_ENGINE_CLUSTER_HELP_H
#define TESTS_UNIT_ENGINE_CLUSTER_HELP_H

#include "base/prng.h"
#include "db_help.h"
#include "fault/fault_env.h"

#define BATCHES_MAX 4096u

struct pool { /* every batch that anybody sealed */
    uint8_t *bytes[BATCHES_MAX];
    size_t n[BATCHES_MAX];
    uint8_t slot[BATCHES_MAX];
    uint32_t count;
};
struct cluster {
    db *d[4];
    struct db_identity id[4];
    uint8_t public_key[4][32];
    struct pool pool;
    uint32_t count;
    struct fault_env made[4]; /* clocks and random numbers of the nodes, where they are made up */
    bool is_made_up;
    void (*failing)(void *arg, const char *why); /* NULL, or told before a test ends with what a node cannot take */
    void *arg;
};

static inline void cluster_keys(struct cluster *c, uint32_t i)
{
    uint8_t seed[32] = {(uint8_t)(i + 1)};
    c->id[i] = (struct db_identity){.slot = (uint8_t)i, .member = true, .members_answered = true};
    memset(c->id[i].cluster.b, 7, sizeof c->id[i].cluster.b);
    CU_ASSERT_EQUAL_FATAL(crypto_sign_seed_keypair(c->public_key[i], c->id[i].secret_key, seed), 0);
}

static inline struct cluster *cluster_alloc(uint32_t count)
{
    struct cluster *c = calloc(1, sizeof *c);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->count = count;
    return c;
}

static inline void cluster_open(struct cluster *c, uint32_t i, struct env *env)
{
    struct err err = ERR_INIT;
    struct db_options o = {.in_memory = true};
    OK(db_open(env, NULL, &o, &c->d[i], &err));
    cluster_keys(c, i);
    OK(db_set_identity(c->d[i], &c->id[i], &err));
}

static inline struct cluster *cluster_new(uint32_t count)
{
    struct cluster *c = cluster_alloc(count);
    for (uint32_t i = 0; i < count; i++)
        cluster_open(c, i, env_posix());
    return c;
}

/* Clocks and random numbers are drawn from the seed: stamps, births and all that hangs on them replay with it. The clocks differ by up to a second, and stand still but for
 * cluster_time_passes. */
static inline struct cluster *cluster_new_made_up(uint32_t count, uint64_t seed)
{
    struct prng r;
    struct cluster *c = cluster_alloc(count);
    prng_seed(&r, seed ^ 0xc10c4u);
    c->is_made_up = true;
    for (uint32_t i = 0; i < count; i++) {
        fault_env_init(&c->made[i], prng_u64(&r));
        c->made[i].wall_us = 1800000000000000u + prng_below(&r, 1000000);
        cluster_open(c, i, &c->made[i].env);
    }
    return c;
}

static inline void cluster_time_passes(struct cluster *c, uint64_t us)
{
    for (uint32_t i = 0; i < c->count; i++)
        fault_env_advance(&c->made[i], us);
}

/* How much of the index of its log a database keeps one by one, and how long runs are; until it is closed. */
static inline void small_index(db *d, uint64_t seed)
{
    d->options.index_exact = 1 + (uint32_t)(seed % 3);
    d->options.index_run_bytes = 600 + (uint32_t)(seed % 5) * 800;
}

static inline void cluster_free(struct cluster *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        help_close(c->d[i]);
        if (c->is_made_up)
            fault_env_deinit(&c->made[i]);
    }
    for (uint32_t i = 0; i < c->pool.count; i++)
        free(c->pool.bytes[i]);
    free(c);
}

static inline void pool_add(void *arg, struct slice batch, const struct batch_header *h)
{
    struct pool *p = arg;
    CU_ASSERT_FATAL(p->count < BATCHES_MAX);
    p->bytes[p->count] = malloc(batch.n);
    memcpy(p->bytes[p->count], batch.p, batch.n);
    p->n[p->count] = batch.n;
    p->slot[p->count++] = h->chain.slot;
}

static inline void cluster_seal(struct cluster *c, uint32_t i)
{
    struct err err = ERR_INIT;
    OK(db_seal(c->d[i], pool_add, &c->pool, &err));
}

static inline enum deliver_result cluster_give(struct cluster *c, uint32_t to, uint32_t batch)
{
    struct err err = ERR_INIT;
    enum deliver_result r;
    uint64_t need;
    quartet_status rc = db_deliver(c->d[to], slice_of(c->pool.bytes[batch], c->pool.n[batch]), c->public_key[c->pool.slot[batch]], &r, &need, &err);
    if (rc != QUARTET_OK && c->failing != NULL)
        c->failing(c->arg, err.text);
    OK(rc);
    if (r == DELIVER_REFUSED)
        printf("\nrefused: %s\n", err.text);
    CU_ASSERT_NOT_EQUAL(r, DELIVER_REFUSED);
    return r;
}

/* Everybody gets everything, in any order, some of it twice, until nothing is missing. */
static inline void cluster_exchange(struct cluster *c, struct prng *r)
{
    uint32_t order[BATCHES_MAX];
    for (uint32_t i = 0; i < c->count; i++)
        cluster_seal(c, i);
    for (uint32_t to = 0; to < c->count; to++)
        for (bool missing = true; missing;) {
            missing = false;
            for (uint32_t i = 0; i < c->pool.count; i++)
                order[i] = i;
            for (uint32_t i = c->pool.count; i > 1; i--) {
                uint32_t k = (uint32_t)prng_below(r, i), swap = order[i - 1];
                order[i - 1] = order[k];
                order[k] = swap;
            }
            for (uint32_t i = 0; i < c->pool.count; i++) {
                if (c->pool.slot[order[i]] == to)
                    continue;
                enum deliver_result got = cluster_give(c, to, order[i]);
                missing |= got == DELIVER_GAP;
            }
        }
}

/* What members tell each other of what they have applied. */
static inline void cluster_report(struct cluster *c, uint32_t from, uint32_t to)
{
    struct err err = ERR_INIT;
    struct buf applied = {0};
    OK(db_vectors(c->d[from], &applied, NULL, &err));
    OK(db_peer_applied(c->d[to], (uint8_t)from, db_incarnation(c->d[from]), slice_of(applied.data, applied.len), &err));
    buf_deinit(&applied);
}

static inline void cluster_peers(struct cluster *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        db_set_peers(c->d[i], (uint8_t)(((1u << c->count) - 1) & ~(1u << i)));
}

static inline void cluster_all_report(struct cluster *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        for (uint32_t k = 0; k < c->count; k++)
            if (i != k)
                cluster_report(c, i, k);
}

static inline void cluster_expect_equal(struct cluster *c, const char *const *tables, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct state_hash first = {0}, h;
    struct buf at0 = {0};
    OK(db_state_hash(c->d[0], &first, &at0, &err));
    for (uint32_t i = 1; i < c->count; i++) {
        struct buf at = {0};
        OK(db_state_hash(c->d[i], &h, &at, &err));
        CU_ASSERT_EQUAL(at.len, at0.len);
        CU_ASSERT(slice_eq(slice_of(at.data, at.len), slice_of(at0.data, at0.len)));
        if (h.lo != first.lo || h.hi != first.hi)
            printf("\nseed %llu: the hash of node %u differs\n", (unsigned long long)seed, i);
        CU_ASSERT(h.lo == first.lo && h.hi == first.hi);
        buf_deinit(&at);
    }
    buf_deinit(&at0);
    for (; *tables != NULL; tables++) {
        struct buf want = {0};
        for (uint32_t i = 0; i < c->count; i++) {
            struct buf got = {0};
            txn *t = NULL;
            OK(txn_begin(c->d[i], &t, &err));
            help_dump(t, *tables, NULL, i == 0 ? &want : &got);
            txn_rollback(t);
            bool same = i == 0 || slice_eq(slice_of(got.data, got.len), slice_of(want.data, want.len));
            if (!same)
                printf("\nseed %llu: %s on node 0: %.*s\n on node %u: %.*s\n", (unsigned long long)seed, *tables, (int)want.len, (const char *)want.data, i,
                       (int)got.len, (const char *)got.data);
            CU_ASSERT(same);
            buf_deinit(&got);
        }
        buf_deinit(&want);
    }
}

#endif
