/* sim_fork.c - a member that signs two histories: a copy of its files goes on as the same run, and some of the others hear of the copy's transactions under the numbers
 * that the original gives to its own. It is always the last node, which leaves the run for good once faults are off: what it says for itself counts no longer. */
#include "sim/sim_load.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/db_internal.h"

struct told {
    struct sim *s;
    size_t from; /* where its batches begin */
};

static void keep(void *arg, struct slice batch, const struct batch_header *h)
{
    struct told *t = arg;
    struct sim *s = t->s;
    (void)h; /* the bytes say it all */
    struct sim_batch *grown = s->batch_count < s->batch_cap ? s->batches : mem_realloc(s->batches, s->batch_cap * 2 + 16, sizeof *grown);
    uint8_t *copy = mem_dup(batch.p, batch.n);
    if (grown == NULL || copy == NULL) {
        mem_free(copy);
        sim_fail(s, "the simulator is out of memory");
        return;
    }
    if (s->batch_count == s->batch_cap)
        s->batch_cap = s->batch_cap * 2 + 16;
    s->batches = grown;
    s->batches[s->batch_count++] = (struct sim_batch){.bytes = copy, .n = batch.n, .maybe_lost = true};
}

/* On rows that others write, too: then it matters what the copy had seen. Nothing that the event draws otherwise depends on it. */
static quartet_status write_rows(struct sim *s, struct sim_node *copy, struct err *err)
{
    struct prng own = s->prng;
    quartet_status rc = QUARTET_OK;
    for (uint64_t i = 0; i < 3 && rc == QUARTET_OK; i++) {
        struct sim_txn t = {.id = prng_below(&s->prng, s->o.keys), .unique = ((uint64_t)1 << 40) + i * 16};
        rc = sim_sql(copy, "BEGIN", NULL, err);
        if (rc == QUARTET_OK)
            rc = sim_load_rows.run(s, copy, &t, err);
        if (rc == QUARTET_OK)
            rc = sim_sql(copy, "COMMIT", NULL, err);
    }
    s->prng = own;
    return rc;
}

/* The copy's own transactions, signed. */
static quartet_status other_history(struct sim *s, struct sim_node *n, struct fault_env *env, struct err *err)
{
    struct db_options options = {.base_in_memory = true, .buffer_bytes = s->o.buffer_bytes, .index_exact = 1 + (uint32_t)(s->o.seed % 7), .index_run_bytes = 3000};
    struct sim_node copy = {.sim = s, .slot = n->slot};
    struct told told = {.s = s, .from = s->batch_count};
    quartet_status rc = db_open(&env->env, "/db", &options, &copy.d, err);
    if (rc != QUARTET_OK)
        return rc;
    copy.d->run = n->d->run;
    rc = node_gossip_init(&copy.host, copy.d, &s->docs[0], &n->key, err);
    if (rc == QUARTET_OK)
        rc = conn_open(copy.d, &copy.c, err);
    if (rc == QUARTET_OK && (s->o.seed & 1) == 0)
        rc = write_rows(s, &copy, err);
    uint64_t count = 1 + prng_below(&s->prng, 3);
    for (uint64_t i = 0; i < count && rc == QUARTET_OK; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "INSERT INTO journal VALUES (%u, %u, 0, 0)", (unsigned)n->slot, SIM_WRITES_MAX + (unsigned)i);
        rc = sim_sql(&copy, sql, NULL, err);
        if (rc == QUARTET_OK && prng_chance(&s->prng, 0.5))
            rc = db_seal(copy.d, keep, &told, err);
    }
    if (rc == QUARTET_OK)
        rc = db_seal(copy.d, keep, &told, err);
    conn_close(copy.c);
    node_gossip_deinit(&copy.host);
    struct err ignored = ERR_INIT;
    (void)db_close(copy.d, &ignored); /* nobody needs it any more */
    return rc;
}

/* Some hear of it at once, in whatever state their knowledge of the chain is. */
static void tell(struct sim *s, uint8_t liar, size_t from)
{
    bool any = false;
    for (uint8_t k = 0; k < s->o.nodes; k++) {
        struct gossip_host host;
        bool hears = prng_chance(&s->prng, 0.5);
        if (k == liar || !s->nodes[k].up || !hears)
            continue;
        node_gossip_host(&s->nodes[k].host, &host);
        for (size_t i = from; i < s->batch_count; i++) {
            struct gossip_need need = {0};
            struct err why = ERR_INIT; /* a gap, a full disk: it has heard nothing */
            enum gossip_verdict v = host.deliver(host.ctx, slice_of(s->batches[i].bytes, s->batches[i].n), liar, &need, &why);
            any = any || v == GOSSIP_ACCEPTED || v == GOSSIP_HELD;
        }
    }
    s->forks += any;
    sim_note(s, "fork", liar, any);
}

void sim_fork(struct sim *s)
{
    uint8_t liar = (uint8_t)(s->o.nodes - 1);
    struct sim_node *n = &s->nodes[liar];
    struct fault_env env;
    struct err err = ERR_INIT;
    int64_t rows = 0;
    if (s->o.nodes < 3 || s->liar || !n->up || n->sick || n->damaged || n->env.disk_bytes > 0 || n->env.lying_sync || n->env.dead || !n->d->own_started || n->d->fenced ||
        n->d->state[n->d->own]->local_count > 0 || sim_sql(n, "SELECT count(*) FROM journal", &rows, &err) != QUARTET_OK)
        return;
    s->liar = true;
    fault_env_init(&env, prng_u64(&s->prng));
    env.wall_us = n->env.wall_us;
    env.mono_ns = n->env.mono_ns;
    size_t from = s->batch_count;
    quartet_status rc = fault_env_copy_files(&env, &n->env, &err);
    if (rc == QUARTET_OK)
        rc = other_history(s, n, &env, &err);
    if (rc != QUARTET_OK)
        sim_fail(s, "a copy of node %u: %s", (unsigned)liar, err.text);
    fault_env_deinit(&env);
    tell(s, liar, from);
}

void sim_fork_end(struct sim *s)
{
    if (!s->liar)
        return;
    uint8_t liar = (uint8_t)(s->o.nodes - 1);
    struct sim_node *n = &s->nodes[liar];
    for (size_t i = 0; i < s->batch_count; i++) {
        struct batch_header h;
        struct slice payload;
        struct err err = ERR_INIT;
        if (batch_parse(slice_of(s->batches[i].bytes, s->batches[i].n), &h, &payload, &err) == QUARTET_OK && h.chain.slot == liar)
            s->batches[i].maybe_lost = true; /* what an honest node took all will have */
    }
    sim_stop_node(s, liar);
    sim_net_links(s); /* the others see it go */
    fault_env_deinit(&n->env);
    sim_purge_free(n);
    if (n->has_aside)
        fault_env_deinit(&n->aside);
    n->has_aside = false;
    s->o.nodes--;
}
