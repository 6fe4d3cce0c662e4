/* test_gossip.c - gossip over a fake network: up to four nodes in one thread, from a seed. */
#include "unit/cunit.h"

#include <stdlib.h>

#include "net/gossip.h"
#include "net/wire.h"
#include "unit/net/toy.h"

#define FLIGHT_MAX 20000u

struct flight {
    uint8_t from, to;
    uint64_t at_us;
    uint32_t epoch; /* of the link; older ones are lost with it */
    uint8_t *bytes;
    size_t n;
};

struct world {
    struct toy_cluster cluster;
    struct toy_env env;
    struct toy_store stores[SLOTS_MAX];
    gossip *g[SLOTS_MAX];
    uint32_t nodes;
    bool up[SLOTS_MAX][SLOTS_MAX];
    uint32_t epoch[SLOTS_MAX][SLOTS_MAX];
    struct flight *flights;
    uint32_t flight_count;
    struct prng prng;
    double loss, duplicate;
    uint64_t delay_us;
    uint64_t delivered;
};

static struct world *world_new(uint32_t nodes, uint64_t seed)
{
    struct world *w = mem_zalloc(1, sizeof *w);
    struct err err = ERR_INIT;
    w->nodes = nodes;
    w->delay_us = 2000;
    w->flights = mem_zalloc(FLIGHT_MAX, sizeof *w->flights);
    toy_env_init(&w->env, seed);
    prng_seed(&w->prng, seed);
    toy_cluster_init(&w->cluster, nodes, NULL, seed);
    for (uint8_t i = 0; i < nodes; i++) {
        toy_store_init(&w->stores[i], &w->cluster, i, 100u + i, &w->env);
        CU_ASSERT_EQUAL_FATAL(gossip_new(i, seed + i, &w->stores[i].host, &w->g[i], &err),
                              QUARTET_OK);
    }
    return w;
}

static void world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->nodes; i++) {
        gossip_free(w->g[i]);
        toy_store_deinit(&w->stores[i]);
    }
    for (uint32_t i = 0; i < w->flight_count; i++)
        mem_free(w->flights[i].bytes);
    mem_free(w->flights);
    toy_cluster_deinit(&w->cluster);
    mem_free(w);
}

static void set_link(struct world *w, uint8_t a, uint8_t b, bool up)
{
    struct err err = ERR_INIT;
    if (a == b || w->up[a][b] == up)
        return;
    w->up[a][b] = w->up[b][a] = up;
    w->epoch[a][b]++;
    w->epoch[b][a] = w->epoch[a][b];
    if (up) {
        CU_ASSERT_EQUAL(gossip_connect(w->g[a], b, w->env.now_us, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(gossip_connect(w->g[b], a, w->env.now_us, &err), QUARTET_OK);
    } else {
        gossip_disconnect(w->g[a], b, w->env.now_us);
        gossip_disconnect(w->g[b], a, w->env.now_us);
    }
}

static void connect_all(struct world *w)
{
    for (uint8_t a = 0; a < w->nodes; a++)
        for (uint8_t b = (uint8_t)(a + 1); b < w->nodes; b++)
            set_link(w, a, b, true);
}

static void launch(struct world *w, uint8_t from, uint8_t to, struct slice m)
{
    uint32_t copies = prng_chance(&w->prng, w->loss)        ? 0
                      : prng_chance(&w->prng, w->duplicate) ? 2
                                                            : 1;
    for (uint32_t i = 0; i < copies; i++) {
        CU_ASSERT_FATAL(w->flight_count < FLIGHT_MAX);
        w->flights[w->flight_count++] =
            (struct flight){.from = from,
                            .to = to,
                            .at_us = w->env.now_us + 1 + prng_below(&w->prng, w->delay_us),
                            .epoch = w->epoch[from][to],
                            .bytes = mem_dup(m.p, m.n),
                            .n = m.n};
    }
}

static void collect(struct world *w)
{
    for (uint8_t a = 0; a < w->nodes; a++) {
        for (uint8_t b = 0; b < w->nodes; b++) {
            struct slice m;
            while (a != b && gossip_peek(w->g[a], b, &m)) {
                if (w->up[a][b])
                    launch(w, a, b, m);
                gossip_pop(w->g[a], b);
            }
        }
    }
}

/* A millisecond: what is due arrives in any order of arrival time; every 50 ms a tick. */
static void step(struct world *w)
{
    struct err err = ERR_INIT;
    w->env.now_us += 1000;
    collect(w);
    for (uint32_t i = 0; i < w->flight_count;) {
        struct flight f = w->flights[i];
        if (f.at_us > w->env.now_us) {
            i++;
            continue;
        }
        w->flights[i] = w->flights[--w->flight_count];
        if (w->up[f.from][f.to] && f.epoch == w->epoch[f.from][f.to]) {
            quartet_status rc =
                gossip_input(w->g[f.to], f.from, slice_of(f.bytes, f.n), w->env.now_us, &err);
            if (rc != QUARTET_OK)
                printf("input: %s\n", err.text);
            CU_ASSERT_EQUAL_FATAL(rc, QUARTET_OK);
            w->delivered++;
        }
        mem_free(f.bytes);
        collect(w);
    }
    if (w->env.now_us / 1000u % 50u == 0)
        for (uint32_t i = 0; i < w->nodes; i++)
            CU_ASSERT_EQUAL(gossip_tick(w->g[i], w->env.now_us, &err), QUARTET_OK);
    for (uint32_t i = 0; i < w->nodes; i++)
        CU_ASSERT_EQUAL(gossip_disk_moved(w->g[i], w->env.now_us, &err), QUARTET_OK);
}

static void commit(struct world *w, uint8_t node, size_t n, uint32_t count)
{
    struct err err = ERR_INIT;
    uint8_t *payload = mem_zalloc(1, n);
    prng_fill(&w->prng, payload, n);
    struct slice batch = toy_commit(&w->stores[node], payload, n, count);
    CU_ASSERT_EQUAL(gossip_local_batch(w->g[node], batch, w->env.now_us, &err), QUARTET_OK);
    mem_free(payload);
}

static bool converged(struct world *w)
{
    for (uint32_t i = 1; i < w->nodes; i++)
        if (!toy_equal(&w->stores[0], &w->stores[i]))
            return false;
    return true;
}

static bool run_until_converged(struct world *w, uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) {
        step(w);
        if (converged(w))
            return true;
    }
    return converged(w);
}

static void test_push_reaches_every_peer_in_one_flight_and_once(void)
{
    struct world *w = world_new(4, 1);
    connect_all(w);
    for (int i = 0; i < 200; i++)
        step(w);
    commit(w, 2, 100, 3);
    CU_ASSERT(run_until_converged(w, 4)); /* one flight takes at most 2 ms */
    for (int i = 0; i < 3000; i++)
        step(w);
    uint64_t in = 0, accepted = 0, relayed = 0;
    for (uint32_t i = 0; i < 4; i++) {
        struct gossip_counters c = gossip_counters_get(w->g[i]);
        in += c.batches_in;
        accepted += c.batches_accepted;
        relayed += c.batches_relayed;
    }
    CU_ASSERT_EQUAL(in, 3); /* no needless copy in a full mesh */
    CU_ASSERT_EQUAL(accepted, 3);
    CU_ASSERT_EQUAL(relayed, 0);
    CU_ASSERT_EQUAL(idvec_number(&w->stores[2].peer_disk[0], w->stores[2].own),
                    3); /* acknowledged to the origin */
    world_free(w);
}

static void test_chain_of_links_relays_at_once(void)
{
    struct world *w = world_new(4, 2);
    set_link(w, 0, 1, true);
    set_link(w, 1, 2, true);
    set_link(w, 2, 3, true);
    for (int i = 0; i < 200; i++)
        step(w);
    commit(w, 0, 100, 1);
    CU_ASSERT(run_until_converged(w, 10));
    commit(w, 3, 100, 1);
    CU_ASSERT(run_until_converged(w, 10));
    world_free(w);
}

static void test_a_node_that_was_away_catches_up_by_pulling(void)
{
    struct world *w = world_new(3, 3);
    set_link(w, 0, 1, true);
    for (int i = 0; i < 300; i++) {
        commit(w, 0, 20000, 4);
        commit(w, 1, 200, 1);
        step(w);
    }
    set_link(w, 1, 2, true); /* through a single peer */
    CU_ASSERT(run_until_converged(w, 10000));
    CU_ASSERT_EQUAL(toy_last(toy_chain_of(&w->stores[2], w->stores[0].own)), 1200);
    world_free(w);
}

static void test_slow_peer_gets_no_unbounded_queue(void)
{
    struct world *w = world_new(2, 4);
    struct err err = ERR_INIT;
    connect_all(w);
    for (int i = 0; i < 200; i++)
        step(w);
    for (int i = 0; i < 100; i++)
        commit(w, 0, 200000, 1); /* 20 MB, and nobody takes the messages */
    struct gossip_peer_view v;
    CU_ASSERT_EQUAL(gossip_peer(w->g[0], 1, &v, &err), QUARTET_OK);
    CU_ASSERT(v.queued_bytes <= GOSSIP_QUEUE_BYTES_MAX + 1024);
    gossip_status_deinit(&v.status);
    CU_ASSERT(gossip_counters_get(w->g[0]).pushes_dropped > 0);
    CU_ASSERT(run_until_converged(w, 20000));
    world_free(w);
}

static uint64_t kind_of(struct slice m)
{
    struct bytes_in in = bytes_in(m.p, m.n);
    (void)wire_array(&in);
    return wire_u64(&in);
}

/* A link that carries one message a millisecond, while two are said: status and acknowledgements of whoever sends so much come at once, and what is still on its way is not asked
 * for as well. */
static void test_what_steers_overtakes_data(void)
{
    struct world *w = world_new(2, 41);
    connect_all(w);
    for (int i = 0; i < 200; i++)
        step(w);
    struct err err = ERR_INIT;
    uint64_t acked = 0;
    for (int i = 0; i < 3000; i++) {
        struct slice m;
        w->env.now_us += 1000;
        if (i < 1500)
            commit(w, 0, 100, 1);
        if (i < 1500)
            commit(w, 0, 100, 1);
        if (i == 1000)
            commit(w, 1, 100, 1);
        while (gossip_peek(w->g[1], 0, &m)) {
            CU_ASSERT_EQUAL(gossip_input(w->g[0], 1, m, w->env.now_us, &err), QUARTET_OK);
            gossip_pop(w->g[1], 0);
        }
        for (int k = 0; k < 2; k++) {
            CU_ASSERT_EQUAL(gossip_disk_moved(w->g[k], w->env.now_us, &err), QUARTET_OK);
            if (i % 50 == 0)
                CU_ASSERT_EQUAL(gossip_tick(w->g[k], w->env.now_us, &err), QUARTET_OK);
        }
        for (int sent = 0; sent < 1 && gossip_peek(w->g[0], 1, &m);) {
            sent += kind_of(m) == 3; /* a batch; the rest is small */
            CU_ASSERT_EQUAL(gossip_input(w->g[1], 0, m, w->env.now_us, &err), QUARTET_OK);
            gossip_pop(w->g[0], 1);
        }
        if (acked == 0 && idvec_number(&w->stores[1].peer_disk[0], w->stores[1].own) > 0)
            acked = (uint64_t)i;
    }
    CU_ASSERT(acked >= 1000 && acked <= 1001);
    CU_ASSERT_EQUAL(gossip_counters_get(w->g[1]).pulls_sent, 0);
    CU_ASSERT_EQUAL(gossip_counters_get(w->g[1]).batches_in, 3000);
    CU_ASSERT(converged(w));
    world_free(w);
}

static void test_busy_host_is_asked_again(void)
{
    struct world *w = world_new(2, 5);
    connect_all(w);
    for (int i = 0; i < 200; i++)
        step(w);
    w->stores[1].busy = true; /* its disk is full */
    commit(w, 0, 100, 1);
    for (int i = 0; i < 500; i++)
        step(w);
    CU_ASSERT_EQUAL(w->stores[1].faults, 0);
    CU_ASSERT(!converged(w));
    w->stores[1].busy = false;
    CU_ASSERT(run_until_converged(w, 5000));
    world_free(w);
}

static void test_origin_that_dies_in_the_middle_of_a_push(void)
{
    struct world *w = world_new(4, 6);
    connect_all(w);
    for (int i = 0; i < 200; i++)
        step(w);
    commit(w, 0, 100, 1);
    collect(w);
    for (uint32_t i = 0; i < w->flight_count; i++) /* only node 1 will get it */
        if (w->flights[i].to != 1)
            w->flights[i].epoch--;
    for (int i = 0; i < 4; i++)
        step(w);
    for (uint8_t i = 1; i < 4; i++)
        set_link(w, 0, i, false);
    for (int i = 0; i < 40; i++)
        step(w);
    CU_ASSERT(toy_equal(&w->stores[1], &w->stores[2]));
    CU_ASSERT(toy_equal(&w->stores[1], &w->stores[3]));
    world_free(w);
}

/* Anything goes for a while; then the network is whole and all must be equal. */
static void storm(uint64_t seed)
{
    struct world *w = world_new(2 + (uint32_t)(seed % 3), seed);
    w->loss = (double)prng_below(&w->prng, 4) * 0.1;
    w->duplicate = (double)prng_below(&w->prng, 4) * 0.1;
    w->delay_us = 1000 + prng_below(&w->prng, 100000);
    connect_all(w);
    for (int ms = 0; ms < 4000; ms++) {
        if (prng_chance(&w->prng, 0.05))
            commit(w, (uint8_t)prng_below(&w->prng, w->nodes), prng_below(&w->prng, 3000),
                   1 + (uint32_t)prng_below(&w->prng, 5));
        if (prng_chance(&w->prng, 0.01))
            set_link(w, (uint8_t)prng_below(&w->prng, w->nodes),
                     (uint8_t)prng_below(&w->prng, w->nodes), prng_chance(&w->prng, 0.5));
        step(w);
    }
    w->loss = 0;
    connect_all(w);
    bool done = run_until_converged(w, 20000);
    if (!done)
        printf("seed %llu did not converge\n", (unsigned long long)seed);
    CU_ASSERT_FATAL(done);
    for (uint32_t i = 0; i < w->nodes; i++)
        CU_ASSERT_EQUAL(w->stores[i].faults, 0);
    world_free(w);
}

static void test_convergence_under_loss_duplication_reorder_and_partition(void)
{
    uint64_t seed = unit_seed(1000), runs = getenv("QUARTET_LONG") != NULL ? 400 : 9;
    for (uint64_t i = 0; i < runs; i++)
        storm(seed + i);
}

/* ---- a chain of which two nodes have different ends ---- */

#define COMMON 200u
#define PAYLOAD 4000u /* so that what they have in common is more than one answer holds */

struct parted {
    bool far_back; /* asks for all, as a host does that has looked back often */
    uint64_t found; /* the first batch that departs; 0: not yet */
    uint64_t cut_at; /* the other's log is cut there once somebody looks back in it; 0: it stays */
    bool is_cut;
    uint64_t after; /* batches that came after that, beyond what is known here */
};
static struct parted parted;

/* As the database judges: what is here is known, what follows the same is a fork, and of anything
 * else what comes before is asked for. */
static enum gossip_verdict parted_deliver(void *ctx, struct slice batch, uint8_t from,
                                          struct gossip_need *need, struct err *err)
{
    struct batch_header h;
    struct slice payload;
    struct toy_store *s = ctx;
    (void)from;
    CU_ASSERT_EQUAL_FATAL(batch_parse(batch, &h, &payload, err), QUARTET_OK);
    struct toy_chain *c = toy_chain_of(s, h.chain);
    CU_ASSERT_FATAL(h.first > 0);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct batch_header *ours = &c->batches[i].header;
        if (ours->first == h.first && memcmp(ours->hash, h.hash, sizeof h.hash) == 0)
            return GOSSIP_DUPLICATE;
        if (ours->first == h.first && memcmp(ours->prev, h.prev, sizeof h.prev) == 0) {
            parted.found = h.first;
            return GOSSIP_LATER;
        }
    }
    uint64_t back = parted.far_back || h.first <= 8 ? 1 : h.first - 8;
    parted.after += parted.is_cut && h.first > toy_last(c);
    parted.is_cut = parted.is_cut || (parted.cut_at > 0 && back <= parted.cut_at + 8);
    *need = (struct gossip_need){.chain = h.chain, .from = back};
    return GOSSIP_GAP;
}

static quartet_status cut_read(void *ctx, struct chain_id chain, uint64_t from, size_t max_bytes, struct buf *out, struct err *err)
{
    if (chain.slot == 2 && parted.is_cut && from < parted.cut_at)
        return err_set(err, QUARTET_TOO_OLD, "it went");
    return toy_read(ctx, chain, from, max_bytes, out, err);
}

static void look_for_parting(bool far_back, uint64_t cut_at, uint64_t seed)
{
    struct world *w = world_new(3, seed); /* node 2 signed both, and is gone */
    struct toy_store twin[2];
    for (uint32_t k = 0; k < 2; k++) {
        toy_store_init(&twin[k], &w->cluster, 2, 102, &w->env);
        uint8_t payload[PAYLOAD] = {0};
        for (uint32_t i = 0; i < COMMON + 30 + 20 * k; i++) {
            payload[0] = i < COMMON ? 0 : (uint8_t)(1 + k);
            (void)toy_commit(&twin[k], payload, sizeof payload, 1);
        }
        const struct toy_chain *c = &twin[k].chains[0];
        for (uint32_t i = 0; i < c->count; i++)
            toy_append(toy_chain_of(&w->stores[k], c->id),
                       slice_of(c->batches[i].bytes, c->batches[i].n), &c->batches[i].header);
    }
    parted = (struct parted){.far_back = far_back, .cut_at = cut_at};
    struct err err = ERR_INIT;
    for (uint8_t k = 0; k < 2; k++)
        gossip_free(w->g[k]);
    w->stores[0].host.deliver = parted_deliver;
    w->stores[1].host.read_batches = cut_read;
    for (uint8_t k = 0; k < 2; k++)
        CU_ASSERT_EQUAL_FATAL(gossip_new(k, seed + k, &w->stores[k].host, &w->g[k], &err), QUARTET_OK);
    w->loss = 0.1;
    w->duplicate = 0.1;
    set_link(w, 0, 1, true);
    for (int ms = 0; ms < 60000 && parted.found == 0 && parted.after == 0; ms++) {
        step(w);
        if (gossip_counters_get(w->g[0]).looks_back_cut == 0)
            parted.after = 0; /* that was under way before */
    }
    if (parted.found != COMMON + 1 && cut_at == 0)
        printf("seed %llu: not found\n", (unsigned long long)seed);
    CU_ASSERT_EQUAL(parted.found, cut_at == 0 ? COMMON + 1 : 0);
    CU_ASSERT_EQUAL(parted.after > 0, cut_at > 0);
    CU_ASSERT_EQUAL(gossip_counters_get(w->g[0]).looks_back_cut > 0, cut_at > 0);
    CU_ASSERT(cut_at == 0 || gossip_counters_get(w->g[0]).pulls_sent < 200);
    for (uint32_t k = 0; k < 2; k++)
        toy_store_deinit(&twin[k]);
    world_free(w);
}

/* What is already on disk is asked for once more, to where the two part, though every status of the
 * host says that it is there, and though answers are lost. */
static void test_where_two_histories_part_is_found(void)
{
    uint64_t seed = unit_seed(70);
    for (uint64_t i = 0; i < 3; i++) {
        look_for_parting(false, 0, seed + i);
        look_for_parting(true, 0, seed + i);
    }
}

/* Its log is cut while somebody looks back in it for where the two part: that place is not found any more, and what follows is asked for all the same, not what is gone again and again. */
static void test_a_log_that_is_cut_while_somebody_looks_back_in_it(void)
{
    uint64_t seed = unit_seed(90);
    for (uint64_t i = 0; i < 3; i++) {
        look_for_parting(false, COMMON + 11, seed + i);
        look_for_parting(true, COMMON + 11, seed + i);
    }
}

/* A question is answered by a status made after it, also by a peer that connects later. */
static void test_questions_are_answered(void)
{
    struct world *w = world_new(3, 12);
    struct err err = ERR_INIT;
    set_link(w, 0, 1, true);
    for (int i = 0; i < 200; i++)
        step(w);
    CU_ASSERT_EQUAL(gossip_ask(w->g[0], 5, w->env.now_us, &err), QUARTET_OK);
    for (int i = 0; i < 5; i++)
        step(w);
    set_link(w, 0, 2, true);
    for (int i = 0; i < 5; i++)
        step(w);
    for (uint8_t slot = 1; slot < 3; slot++) {
        struct gossip_peer_view v;
        CU_ASSERT_EQUAL(gossip_peer(w->g[0], slot, &v, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(v.status.answers, 5);
        gossip_status_deinit(&v.status);
    }
    world_free(w);
}

/* A hostile but keyed peer: damaged batches are refused and cost it its link; nothing is taken
 * over. */
static void test_damaged_batches_are_refused(void)
{
    struct world *w = world_new(2, 7);
    uint64_t seed = unit_seed(7);
    prng_seed(&w->prng, seed);
    struct err err = ERR_INIT;
    struct slice good = toy_commit(&w->stores[0], "payload", 7, 1);
    for (uint32_t i = 0; i < 2000; i++) {
        uint8_t copy[512];
        size_t n = good.n;
        memcpy(copy, good.p, n);
        if (i % 2 == 0)
            copy[prng_below(&w->prng, n)] ^= (uint8_t)(1u << prng_below(&w->prng, 8));
        else
            n = prng_below(&w->prng, n);
        struct buf m = {0};
        wire_put_array(&m, 3);
        wire_put_u64(&m, 3);
        wire_put_u64(&m, 1);
        wire_put_bin(&m, slice_of(copy, n));
        CU_ASSERT_EQUAL(gossip_connect(w->g[1], 0, w->env.now_us, &err), QUARTET_OK);
        quartet_status rc = gossip_input(w->g[1], 0, slice_of(m.data, m.len), w->env.now_us, &err);
        CU_ASSERT(rc != QUARTET_OK);
        CU_ASSERT_EQUAL(gossip_input(w->g[1], 0, slice_of(m.data, m.len), w->env.now_us, &err),
                        QUARTET_NET); /* the link is closed */
        buf_deinit(&m);
    }
    CU_ASSERT_EQUAL(w->stores[1].faults, 2000);
    CU_ASSERT_EQUAL(toy_last(toy_chain_of(&w->stores[1], w->stores[0].own)), 0);
    world_free(w);
}

static void test_random_messages_do_no_harm(void)
{
    struct world *w = world_new(2, unit_seed(8));
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < 20000; i++) {
        uint8_t m[256];
        size_t n = prng_below(&w->prng, sizeof m);
        prng_fill(&w->prng, m, n);
        if (n > 2 && i % 2 == 0) {
            static const uint8_t fields[] = {0, 10, 2, 3, 4, 3, 4, 2, 2, 3};
            m[1] = (uint8_t)(1 + prng_below(&w->prng, 9)); /* a plausible beginning gets deeper */
            m[0] = (uint8_t)(0x90 | fields[m[1]]);
        }
        CU_ASSERT_EQUAL(gossip_connect(w->g[1], 0, w->env.now_us, &err), QUARTET_OK);
        (void)gossip_input(w->g[1], 0, slice_of(m, n), w->env.now_us, &err);
    }
    CU_ASSERT(w->stores[1].faults > 15000);
    world_free(w);
}

static void expect_skew(const struct world *w, uint8_t node, uint8_t peer, int64_t skew_us)
{
    const struct toy_store *s = &w->stores[node];
    int64_t error = (int64_t)s->skew_error_us[peer], off = s->skew_us[peer] - skew_us;
    CU_ASSERT(error > 0 && error <= (int64_t)w->delay_us + 1000); /* steps of a millisecond on top */
    CU_ASSERT(off <= error + 1000 && off >= -error - 1000);
}

static void test_clocks_of_peers_are_known_within_a_ping(void)
{
    struct world *w = world_new(3, 9);
    w->stores[1].wall_offset_us = 3000000;
    w->delay_us = 40000;
    connect_all(w);
    for (int i = 0; i < 3000; i++)
        step(w);
    expect_skew(w, 0, 1, 3000000);
    expect_skew(w, 1, 2, -3000000);
    expect_skew(w, 0, 2, 0);
    uint64_t error = w->stores[0].skew_error_us[1];
    w->delay_us = 400000; /* a busy hour tells less, and what is known already stays for a while */
    for (int i = 0; i < 1000; i++)
        step(w);
    CU_ASSERT(w->stores[0].skew_error_us[1] <= error);
    w->delay_us = 2000;
    w->stores[1].wall_offset_us = -3600000000; /* it is set: an hour back */
    for (int i = 0; i < 3000; i++)
        step(w);
    expect_skew(w, 0, 1, -3600000000);
    expect_skew(w, 1, 0, 3600000000);
    expect_skew(w, 2, 0, 0);
    world_free(w);
}

const char *const unit_suite = "gossip";
const struct unit_test unit_tests[] = {
    {"push reaches every peer in one flight, and once",
     test_push_reaches_every_peer_in_one_flight_and_once},
    {"a chain of links relays at once", test_chain_of_links_relays_at_once},
    {"a node that was away catches up by pulling", test_a_node_that_was_away_catches_up_by_pulling},
    {"a slow peer gets no unbounded queue", test_slow_peer_gets_no_unbounded_queue},
    {"what steers overtakes data", test_what_steers_overtakes_data},
    {"a busy host is asked again", test_busy_host_is_asked_again},
    {"an origin that dies in the middle of a push", test_origin_that_dies_in_the_middle_of_a_push},
    {"convergence under loss, duplication, reorder and partition",
     test_convergence_under_loss_duplication_reorder_and_partition},
    {"where two histories part is found", test_where_two_histories_part_is_found},
    {"log cut while looking back", test_a_log_that_is_cut_while_somebody_looks_back_in_it},
    {"questions are answered", test_questions_are_answered},
    {"damaged batches are refused", test_damaged_batches_are_refused},
    {"clocks of peers are known within a ping", test_clocks_of_peers_are_known_within_a_ping},
    {"random messages do no harm", test_random_messages_do_no_harm},
    {NULL, NULL},
};
