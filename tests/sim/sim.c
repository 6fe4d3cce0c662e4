/* sim.c - one seed from beginning to end: options, nodes, faults, the clock, the two phases. See sim.h. */
#include "sim/sim_load.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define SIM_LOG_BYTES_MAX (256u << 10)

void sim_options_draw(struct sim_options *o, uint64_t seed)
{
    struct prng r;
    prng_seed(&r, seed ^ 0x51a7e7u);
    *o = (struct sim_options){.seed = seed};
    o->nodes = 2 + (uint32_t)prng_below(&r, 3);
    o->transactions = 40 + (uint32_t)prng_below(&r, 160);
    o->run_us = 1000000u * (uint64_t)prng_between(&r, 3, 15);
    o->keys = 2 + (uint32_t)prng_below(&r, 12);
    o->loss = prng_chance(&r, 0.5) ? prng_unit(&r) * 0.3 : 0;
    o->repeat = prng_chance(&r, 0.5) ? prng_unit(&r) * 0.3 : 0;
    o->delay_us_min = prng_below(&r, 2000);
    o->delay_us_max = o->delay_us_min + (prng_chance(&r, 0.5) ? prng_below(&r, 400000) : prng_below(&r, 5000));
    o->partition = prng_chance(&r, 0.6) ? prng_unit(&r) * 0.5 : 0;
    o->crash = prng_chance(&r, 0.6) ? prng_unit(&r) * 0.4 : 0;
    o->clock_jump = prng_chance(&r, 0.3) ? prng_unit(&r) * 0.5 : 0;
    o->link_cut = prng_chance(&r, 0.5) ? prng_unit(&r) : 0;
    o->power_loss = prng_unit(&r);
    o->large = prng_chance(&r, 0.3) ? 200 : 20;
    o->concurrent_ddl = prng_chance(&r, 0.3);
    o->buffer_bytes = prng_chance(&r, 0.5) ? 64u << 10 : 0;
    uint64_t total = 0;
    for (uint32_t i = 0; i < sim_load_count; i++) /* now this, now that is what nearly all clients do */
        total += o->weights[i] = prng_chance(&r, 0.2) ? 0 : sim_loads[i]->weight * (1 + (uint32_t)prng_below(&r, 4));
    if (total == 0)
        o->weights[0] = 1;
    o->cheap_signature = prng_chance(&r, 0.9);
}

void sim_options_print(const struct sim_options *o)
{
    printf("seed %llu: %u nodes, %u transactions in %.0f s on %u keys; loss %.2f, repeat %.2f, delay %.1f to %.1f ms; per second: partition %.2f, "
           "crash %.2f (power loss %.2f), clock jump %.2f, link cut %.2f; large %u rows, %s, buffer %zu, %s\n",
           (unsigned long long)o->seed, o->nodes, o->transactions, (double)o->run_us / 1e6, o->keys, o->loss, o->repeat,
           (double)o->delay_us_min / 1e3, (double)o->delay_us_max / 1e3, o->partition, o->crash, o->power_loss, o->clock_jump, o->link_cut, o->large,
           o->concurrent_ddl ? "tables made on two nodes" : "tables made on one node", o->buffer_bytes, o->cheap_signature ? "cheap signatures" : "Ed25519");
    printf("  loads:");
    for (uint32_t i = 0; i < sim_load_count; i++)
        printf(" %s %u%s", sim_loads[i]->name, o->weights[i], i + 1 < sim_load_count ? "," : "\n");
}

void sim_fail(struct sim *s, const char *format, ...)
{
    va_list args;
    if (s->failure[0] != '\0')
        return; /* the first one is the cause */
    int n = snprintf(s->failure, sizeof s->failure, "at %.3f s: ", (double)s->now_us / 1e6);
    va_start(args, format);
    vsnprintf(s->failure + n, sizeof s->failure - (size_t)n, format, args);
    va_end(args);
}

void sim_note(struct sim *s, const char *what, uint64_t a, uint64_t b)
{
    uint64_t parts[4] = {s->now_us, hash64(what, strlen(what), 0), a, b};
    s->event_hash = hash64(parts, sizeof parts, s->event_hash);
    s->events++;
    if (s->trace)
        printf("%10.6f %s %llu %llx\n", (double)s->now_us / 1e6, what, (unsigned long long)a, (unsigned long long)b);
}

static void keep_log(void *arg, int level, const char *component, const char *line)
{
    struct sim_node *n = arg;
    struct sim *s = n->sim;
    if (s->log.len > SIM_LOG_BYTES_MAX)
        buf_clear(&s->log); /* the last lines are what a failure is explained by */
    buf_printf(&s->log, "%10.6f node %u %d %s: %s\n", (double)s->now_us / 1e6, (unsigned)n->slot, level, component, line);
}

/* ---- nodes ---- */

bool sim_start_node(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    struct err err = ERR_INIT;
    struct gossip_host host;
    struct db_options options = {.base_in_memory = true, .buffer_bytes = s->o.buffer_bytes};
    quartet_status rc = db_open(&n->env.env, "/db", &options, &n->d, &err);
    if (rc == QUARTET_OK)
        rc = node_gossip_init(&n->host, n->d, &s->doc, &n->key, &err);
    if (rc == QUARTET_OK)
        rc = conn_open(n->d, &n->c, &err);
    if (rc == QUARTET_OK) {
        node_gossip_host(&n->host, &host);
        rc = gossip_new(slot, prng_u64(&s->prng), &host, &n->g, &err);
    }
    n->up = rc == QUARTET_OK;
    n->starts++;
    sim_note(s, "start", slot, (uint64_t)rc);
    if (rc != QUARTET_OK)
        sim_fail(s, "node %u cannot start: %s", (unsigned)slot, err.text);
    return n->up;
}

void sim_stop_node(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    struct err err = ERR_INIT;
    if (n->g == NULL && n->d == NULL)
        return;
    fault_env_die(&n->env);
    n->up = false;
    gossip_free(n->g);
    n->g = NULL;
    conn_close(n->c);
    n->c = NULL;
    node_gossip_deinit(&n->host);
    n->host = (struct node_gossip){0};
    if (n->d != NULL)
        (void)db_close(n->d, &err); /* the disk is gone: it cannot end well */
    n->d = NULL;
    for (uint8_t k = 0; k < s->o.nodes; k++)
        s->linked[slot][k] = false;
    sim_note(s, "stop", slot, 0);
}

static void keep_batch(void *arg, struct slice batch, const struct batch_header *h)
{
    struct sim_node *n = arg;
    struct sim *s = n->sim;
    struct err err = ERR_INIT;
    (void)h; /* the bytes say it all */
    if (s->batch_count == s->batch_cap) {
        size_t cap = s->batch_cap == 0 ? 64 : s->batch_cap * 2;
        struct sim_batch *grown = mem_realloc(s->batches, cap, sizeof *grown);
        if (grown == NULL) {
            sim_fail(s, "the simulator is out of memory");
            return;
        }
        s->batches = grown;
        s->batch_cap = cap;
    }
    uint8_t *copy = mem_dup(batch.p, batch.n);
    if (copy == NULL) {
        sim_fail(s, "the simulator is out of memory");
        return;
    }
    s->batches[s->batch_count++] = (struct sim_batch){.bytes = copy, .n = batch.n};
    if (gossip_local_batch(n->g, batch, s->now_us, &err) != QUARTET_OK)
        sim_fail(s, "node %u: %s", (unsigned)n->slot, err.text);
}

/* What the node's worker and timer do in production. */
static void node_round(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    struct err err = ERR_INIT;
    db_tick(n->d);
    quartet_status rc = db_seal(n->d, keep_batch, n, &err);
    if (rc == QUARTET_OK && n->host.unsynced) {
        n->host.unsynced = false;
        rc = db_sync_remote(n->d, &err);
    }
    if (rc == QUARTET_OK)
        rc = gossip_disk_moved(n->g, s->now_us, &err);
    if (rc == QUARTET_OK)
        rc = gossip_tick(n->g, s->now_us, &err);
    if (rc != QUARTET_OK && !n->env.dead)
        sim_fail(s, "node %u: %s", (unsigned)slot, err.text);
    sim_pump(s, slot);
}

/* ---- faults ---- */

static void cut_some(struct sim *s)
{
    uint8_t a = (uint8_t)prng_below(&s->prng, s->o.nodes), b = (uint8_t)prng_below(&s->prng, s->o.nodes);
    bool both = prng_chance(&s->prng, 0.5);
    s->blocked[a][b] = !s->blocked[a][b];
    if (both)
        s->blocked[b][a] = s->blocked[a][b];
    sim_note(s, "link", (uint64_t)a << 8 | b, s->blocked[a][b]);
}

/* Each node falls on one side or the other; all sides the same heals. */
static void partition(struct sim *s)
{
    uint64_t side = prng_below(&s->prng, 1u << s->o.nodes);
    for (uint8_t a = 0; a < s->o.nodes; a++)
        for (uint8_t b = 0; b < s->o.nodes; b++)
            s->blocked[a][b] = a != b && (side >> a & 1) != (side >> b & 1);
    s->partitions++;
    sim_note(s, "partition", side, 0);
}

static void crash(struct sim *s)
{
    uint8_t slot = (uint8_t)prng_below(&s->prng, s->o.nodes);
    struct sim_node *n = &s->nodes[slot];
    if (!n->up)
        return;
    s->crashes++;
    if (prng_chance(&s->prng, 0.5)) { /* in the middle of the next writes rather than between them */
        n->env.crash_at_write = n->env.writes + n->env.syncs + 1 + prng_below(&s->prng, 6);
        for (int i = 0; i < 3 && !n->env.dead; i++)
            sim_work_step(s, slot);
    }
    sim_stop_node(s, slot);
    n->held_us = s->now_us + prng_below(&s->prng, 3000000);
}

void sim_faults(struct sim *s)
{
    double per_tick = (double)SIM_TICK_US / 1e6;
    if (prng_chance(&s->prng, s->o.link_cut * per_tick))
        cut_some(s);
    if (prng_chance(&s->prng, s->o.partition * per_tick))
        partition(s);
    if (prng_chance(&s->prng, s->o.crash * per_tick))
        crash(s);
    if (prng_chance(&s->prng, s->o.clock_jump * per_tick)) {
        uint8_t slot = (uint8_t)prng_below(&s->prng, s->o.nodes);
        s->nodes[slot].clock_offset_us = prng_between(&s->prng, -2000000, 2000000);
        sim_note(s, "clock", slot, (uint64_t)s->nodes[slot].clock_offset_us);
    }
}

static void restart_due(struct sim *s)
{
    for (uint8_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++)
        if (!s->nodes[k].up && (s->healed || s->now_us >= s->nodes[k].held_us)) {
            fault_env_restart(&s->nodes[k].env, !prng_chance(&s->prng, s->o.power_loss));
            sim_start_node(s, k);
        }
}

/* ---- time ---- */

static void set_clocks(struct sim *s)
{
    for (uint32_t k = 0; k < s->o.nodes; k++) {
        struct fault_env *f = &s->nodes[k].env;
        f->mono_ns = 1000000000u + s->now_us * 1000u;
        f->wall_us = (uint64_t)((int64_t)(1800000000000000u + s->now_us) + s->nodes[k].clock_offset_us);
    }
}

void sim_tick(struct sim *s)
{
    uint64_t end = s->now_us + SIM_TICK_US;
    /* Messages fall due between ticks. */
    while (s->queue_count > 0 && s->queue[0].at_us <= end && s->failure[0] == '\0') {
        if (s->queue[0].at_us > s->now_us)
            s->now_us = s->queue[0].at_us;
        set_clocks(s);
        sim_net_deliver(s);
    }
    s->now_us = end;
    set_clocks(s);
    restart_due(s);
    sim_net_links(s);
    for (uint8_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++)
        if (s->nodes[k].up)
            node_round(s, k);
}

static bool first_phase(struct sim *s)
{
    double per_tick = (double)s->o.transactions * (double)SIM_TICK_US / (double)s->o.run_us;
    if (!sim_work_schema(s))
        return false;
    if (!s->o.concurrent_ddl || prng_chance(&s->prng, 0.5)) /* the others learn the schema, or not yet */
        for (int i = 0; i < 40 && s->failure[0] == '\0'; i++)
            sim_tick(s);
    uint64_t end = s->now_us + s->o.run_us;
    double due = 0;
    while (s->now_us < end && s->failure[0] == '\0') {
        sim_faults(s);
        sim_tick(s);
        for (due += per_tick; due >= 1 && s->failure[0] == '\0'; due -= 1) {
            uint8_t slot = (uint8_t)prng_below(&s->prng, s->o.nodes);
            if (s->nodes[slot].up)
                sim_work_step(s, slot);
        }
        uint8_t reader = (uint8_t)prng_below(&s->prng, s->o.nodes);
        if (s->nodes[reader].up && prng_chance(&s->prng, 0.3))
            sim_check_now(s, reader);
    }
    return s->failure[0] == '\0';
}

static bool second_phase(struct sim *s)
{
    s->healed = true;
    memset(s->blocked, 0, sizeof s->blocked);
    s->o.delay_us_max = s->o.delay_us_min + 1000;
    for (uint32_t k = 0; k < s->o.nodes; k++)
        s->nodes[k].clock_offset_us = 0;
    uint64_t until = s->now_us + SIM_HEAL_US;
    do
        sim_tick(s);
    while (s->failure[0] == '\0' && s->now_us < until && !(sim_converged(s)));
    if (s->failure[0] == '\0' && !sim_converged(s))
        sim_fail(s, "NOT CONVERGED: %u s after all faults ended the vectors still differ", SIM_HEAL_US / 1000000u);
    return s->failure[0] == '\0';
}

static bool make_members(struct sim *s)
{
    static const char *const clients[] = {"sim"};
    static const char *const addresses[SIM_NODES_MAX] = {"a:1", "b:1", "c:1", "d:1"};
    struct member_plan wanted = {.node_count = s->o.nodes, .client_count = 1, .client_names = clients};
    struct member_keys keys = {0};
    struct err err = ERR_INIT;
    for (uint32_t k = 0; k < s->o.nodes; k++) {
        wanted.address[k] = addresses[k];
        wanted.http[k] = "";
    }
    quartet_status rc = member_init(&s->nodes[0].env.env, &wanted, &s->doc, &keys, &err);
    if (rc != QUARTET_OK)
        sim_fail(s, "no members: %s", err.text);
    for (uint32_t k = 0; rc == QUARTET_OK && k < s->o.nodes; k++)
        s->nodes[k].key = keys.nodes[k];
    member_keys_deinit(&keys);
    return rc == QUARTET_OK;
}

bool sim_begin(struct sim *s, const struct sim_options *o, bool trace)
{
    *s = (struct sim){.o = *o, .trace = trace};
    sim_sign_cheaply(o->cheap_signature);
    prng_seed(&s->prng, o->seed);
    for (uint8_t k = 0; k < o->nodes; k++) {
        struct sim_node *n = &s->nodes[k];
        n->sim = s;
        n->slot = k;
        fault_env_init(&n->env, prng_u64(&s->prng));
        n->env.on_log = keep_log;
        n->env.on_log_arg = n;
    }
    set_clocks(s);
    bool ok = make_members(s);
    for (uint8_t k = 0; ok && k < o->nodes; k++)
        ok = sim_start_node(s, k);
    return ok;
}

bool sim_run(struct sim *s, const struct sim_options *o, bool trace)
{
    if (sim_begin(s, o, trace) && first_phase(s) && second_phase(s))
        sim_check_end(s);
    return s->failure[0] == '\0';
}

void sim_free(struct sim *s)
{
    for (uint8_t k = 0; k < s->o.nodes; k++) {
        sim_stop_node(s, k);
        fault_env_deinit(&s->nodes[k].env);
    }
    sim_net_clear(s);
    for (size_t i = 0; i < s->batch_count; i++)
        mem_free(s->batches[i].bytes);
    mem_free(s->batches);
    member_doc_deinit(&s->doc);
    buf_deinit(&s->log);
}
