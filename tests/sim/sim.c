/* sim.c - one seed from beginning to end: options, nodes, faults, the clock, the two phases. See sim.h. */
#include "sim/sim_load.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/node_alarm.h"
#include "engine/db_snapshot.h"
#include "engine/txn_internal.h"

#define COMPARE_EACH_MS 320u /* much less than in production: runs last some seconds */

#define SIM_LOG_BYTES_MAX (256u << 10)

/* Nine faults of ten seeds are the plain ones; each of the others is in some seeds only, so that it does not hide what the rest would show. */
static void draw_faults(struct sim_options *o, struct prng *r)
{
    static const struct {
        uint8_t kind;
        double seeds, most; /* in how many seeds, and up to how often per second */
    } how[] = {
        {SIM_FAULT_LINK, 0.5, 1},      {SIM_FAULT_PARTITION, 0.6, 0.5}, {SIM_FAULT_CRASH, 0.6, 0.4},   {SIM_FAULT_CLOCK, 0.3, 0.5},
        {SIM_FAULT_HOUR, 0.12, 0.3},   {SIM_FAULT_FREEZE, 0.1, 0.5},    {SIM_FAULT_PAUSE, 0.3, 0.5},   {SIM_FAULT_FULL, 0.1, 0.3},
        {SIM_FAULT_IO, 0.15, 0.3},     {SIM_FAULT_FLIP, 0.1, 0.3},      {SIM_FAULT_LIE, 0.1, 0.3},     {SIM_FAULT_LOSE, 0.2, 0.3},
        {SIM_FAULT_BACKUP, 0.15, 0.5}, {SIM_FAULT_RESTORE, 0.15, 0.3},  {SIM_FAULT_MEMORY, 0.15, 2},
        {SIM_FAULT_FORK, 0.15, 0.3},
    };
    _Static_assert(sizeof how / sizeof *how + 2 == SIM_FAULT_COUNT, "one line for each");
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        bool in = prng_chance(r, how[i].seeds);
        double rate = prng_unit(r) * how[i].most;
        o->faults[how[i].kind] = in ? rate : 0;
    }
    struct prng own; /* so that all else of a seed is what it was before there was this one */
    prng_seed(&own, o->seed ^ 0xc07106u);
    bool in = prng_chance(&own, 0.3) && o->faults[SIM_FAULT_FORK] == 0; /* where two histories part is not found in a log that is gone */
    o->faults[SIM_FAULT_CUT] = in ? 0.2 + prng_unit(&own) : 0;
    in = prng_chance(&own, 0.15) && o->faults[SIM_FAULT_FORK] == 0; /* who signed two histories leaves the run */
    o->faults[SIM_FAULT_EVICT] = in ? 0.1 + prng_unit(&own) * 0.5 : 0;
}

/* Keys that were given before are met only by who has an old disk, hears nobody, and goes on giving keys: in a few seeds that is made likely. Drawn for itself. */
static void draw_restores(struct sim_options *o)
{
    struct prng own;
    prng_seed(&own, o->seed ^ 0xa10e5u);
    o->alone = prng_chance(&own, 0.3);
    if (!prng_chance(&own, 0.04))
        return;
    o->alone = true;
    o->faults[SIM_FAULT_BACKUP] = 0.5;
    o->faults[SIM_FAULT_RESTORE] = 0.12; /* a second one of a node brings back what was put aside: then keys may be given twice */
    for (uint32_t i = 0; i < sim_load_count; i++)
        if (sim_loads[i] == &sim_load_keys)
            o->weights[i] = 40;
}

/* What folded chains had written shows where somebody writes on top of it later: runs would end before that. Drawn for itself. */
static void draw_folds(struct sim_options *o)
{
    struct prng own;
    prng_seed(&own, o->seed ^ 0xf01d5u);
    o->fold = prng_chance(&own, 0.3);
    uint32_t lives = 1 + (uint32_t)prng_below(&own, 3);
    o->lives = o->fold && prng_chance(&own, 0.5) ? lives : 0;
}

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
    o->corrupt = prng_chance(&r, 0.2) ? prng_unit(&r) * 0.05 : 0;
    o->delay_us_min = prng_below(&r, 2000);
    o->delay_us_max = o->delay_us_min + (prng_chance(&r, 0.5) ? prng_below(&r, 400000) : prng_below(&r, 5000));
    draw_faults(o, &r);
    o->power_loss = prng_unit(&r);
    o->slow = prng_chance(&r, 0.3) ? prng_unit(&r) * 0.3 : 0;
    o->large = prng_chance(&r, 0.3) ? 200 : 20;
    o->concurrent_ddl = prng_chance(&r, 0.3);
    o->buffer_bytes = prng_chance(&r, 0.5) ? 64u << 10 : 0;
    o->cheap_signature = prng_chance(&r, 0.9);
    uint64_t total = 0;
    for (uint32_t i = 0; i < sim_load_count; i++) { /* now this, now that is what nearly all clients do */
        struct prng own, *from = i < SIM_LOADS_FIRST ? &r : &own; /* what is drawn for later ones changes nothing else */
        prng_seed(&own, seed ^ (0x6c6f6164u + i));
        bool in = prng_chance(from, sim_loads[i]->costly ? 0.3 : 0.8);
        uint32_t scale = 1 + (uint32_t)prng_below(from, 4);
        total += o->weights[i] = in ? sim_loads[i]->weight * scale : 0;
    }
    if (total == 0)
        o->weights[0] = 1;
    draw_restores(o);
    draw_folds(o);
    o->purge = prng_chance(&r, 0.4);
    uint64_t kind = prng_below(&r, 4), ms = 1 + prng_below(&r, 5000);
    o->retention_ms = !o->purge || kind == 3 ? DB_HISTORY_MS_DEFAULT : kind == 2 ? ms : 0;
    o->notice_us = prng_chance(&r, 0.5) ? prng_below(&r, 3000000) : 0;
}

void sim_options_print(const struct sim_options *o)
{
    printf("seed %llu: %u nodes, %u transactions in %.0f s on %u keys; loss %.2f, repeat %.2f, corrupt %.2f, delay %.1f to %.1f ms; large %u rows, "
           "slow %.2f, %s, buffer %zu, %s, history of %.3f s%s, links end after up to %.1f s%s%s, %u more lives\n  faults per second:",
           (unsigned long long)o->seed, o->nodes, o->transactions, (double)o->run_us / 1e6, o->keys, o->loss, o->repeat, o->corrupt,
           (double)o->delay_us_min / 1e3, (double)o->delay_us_max / 1e3, o->large, o->slow,
           o->concurrent_ddl ? "tables made on two nodes" : "tables made on one node", o->buffer_bytes, o->cheap_signature ? "cheap signatures" : "Ed25519", (double)o->retention_ms / 1e3,
           o->purge ? ", purging" : "", (double)o->notice_us / 1e6, o->alone ? ", alone with an old backup" : "", o->fold ? ", folding" : "", o->lives);
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++)
        if (o->faults[i] > 0)
            printf(" %s %.2f,", sim_fault_name(i), o->faults[i]);
    printf(" of crashes by power loss %.2f\n  loads:", o->power_loss);
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

bool sim_event(struct sim *s, const char *what, uint8_t slot)
{
    uint64_t e = s->next_event++;
    s->event_txns = 0;
    uint64_t parts[2] = {s->o.seed, e};
    prng_seed(&s->prng, hash64(parts, sizeof parts, 2));
    if (s->leave_out != NULL && (e >= SIM_EVENTS_MAX || s->leave_out[e]))
        return false;
    if (s->narrate)
        printf("  event %4llu at %7.3f s, node %u: %s\n", (unsigned long long)e, (double)s->now_us / 1e6, (unsigned)slot, what);
    return true;
}

/* ---- nodes ---- */

bool sim_start_node(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    struct err err = ERR_INIT;
    struct gossip_host host;
    struct db_options options = {.base_in_memory = true, .buffer_bytes = s->o.buffer_bytes, .index_exact = 1 + (uint32_t)(s->o.seed % 7), .index_run_bytes = 3000};
    uint64_t parts[3] = {s->o.seed, slot, n->starts};
    quartet_status rc = db_open(&n->env.env, "/db", &options, &n->d, &err);
    if (rc == QUARTET_OK)
        rc = node_gossip_init(&n->host, n->d, &s->docs[n->doc], &n->key, &err);
    if (rc == QUARTET_OK)
        node_alarm_set_period(&n->host, COMPARE_EACH_MS);
    if (rc == QUARTET_OK)
        rc = conn_open(n->d, &n->c, &err);
    if (rc == QUARTET_OK) {
        node_gossip_host(&n->host, &host);
        rc = gossip_new(slot, hash64(parts, sizeof parts, 3), &host, &n->g, &err);
    }
    n->up = rc == QUARTET_OK;
    n->starts++;
    sim_note(s, "start", slot, (uint64_t)rc);
    if (rc != QUARTET_OK && n->damaged) /* found out, as it should be */
        return sim_start_damaged(s, slot);
    if (rc != QUARTET_OK)
        sim_fail(s, "node %u cannot start: %s", (unsigned)slot, err.text);
    n->damaged = false;
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
    if (n->g != NULL)
        s->looks_back_cut += gossip_counters_get(n->g).looks_back_cut;
    s->came += n->host.came;
    gossip_free(n->g);
    n->g = NULL;
    conn_close(n->c);
    n->c = NULL;
    s->compared += node_alarm_figures(&n->host).compared;
    s->compare_skipped += node_alarm_figures(&n->host).skipped;
    node_gossip_deinit(&n->host);
    n->host = (struct node_gossip){0};
    if (n->d != NULL)
        (void)db_close(n->d, &err); /* the disk is gone: it cannot end well */
    n->d = NULL;
    for (uint8_t k = 0; k < s->o.nodes; k++) {
        uint64_t at[4] = {s->o.seed, s->now_us, slot, k};
        s->linked[slot][k] = false;
        if (s->linked[k][slot] && s->o.notice_us > 0 && !s->healed)
            s->stale_us[k][slot] = s->now_us + hash64(at, sizeof at, 5) % s->o.notice_us;
    }
    sim_note(s, "stop", slot, 0);
}

void sim_batch_add(struct sim *s, struct slice batch)
{
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
}

static void keep_batch(void *arg, struct slice batch, const struct batch_header *h)
{
    struct sim_node *n = arg;
    struct sim *s = n->sim;
    struct err err = ERR_INIT;
    (void)h; /* the bytes say it all */
    sim_batch_add(s, batch);
    if (s->stage == 1 && n->slot == s->evicted && s->batch_count > 0)
        s->batches[s->batch_count - 1].maybe_lost = true;
    if (s->failure[0] == '\0' && gossip_local_batch(n->g, batch, s->now_us, &err) != QUARTET_OK)
        sim_fail(s, "node %u: %s", (unsigned)n->slot, err.text);
}

void sim_seal(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    struct err err = ERR_INIT;
    if (n->up && db_seal(n->d, keep_batch, n, &err) != QUARTET_OK && !n->env.dead && !n->sick && n->env.disk_bytes == 0)
        sim_fail(s, "node %u: %s", (unsigned)slot, err.text);
}

/* Sweep, mostly after a flush, whatever else is going on. Nothing is drawn for it, so that other choices stay as they are. */
static void purge(struct sim *s, struct sim_node *n)
{
    uint64_t at[3] = {s->o.seed, s->now_us, n->slot}, drawn = hash64(at, sizeof at, 3);
    struct err err = ERR_INIT;
    if (!s->o.purge || n->d->fenced || db_is_sealed(n->d) || drawn % 6 != 0) /* sealed: it waits for a transaction to end, and for its opening with a snapshot */
        return;
    if (sim_sweep(n, drawn / 6 % 3 != 0, &err) != QUARTET_OK && !n->env.dead && !n->sick && n->env.disk_bytes == 0)
        sim_fail(s, "node %u: sweep: %s", (unsigned)n->slot, err.text);
}

/* Members compare their tables in the midst of everything. What differs there must differ: nobody may cry wolf. Of a slot that signed two histories members may know different ones for a moment. */
static void look_for_alarm(struct sim *s, struct sim_node *n)
{
    while (node_alarm_work(&n->host))
        continue;
    struct node_alarm_figures f = node_alarm_figures(&n->host);
    if (f.differing == 0 || s->liar)
        return;
    struct buf names = {0};
    node_alarm_text(&n->host, n->slot, &names);
    sim_fail(s, "DIVERGED: node %u has other rows than another member that knows the same transactions up to a stamp: %.*s", (unsigned)n->slot, (int)names.len,
             names.data == NULL ? "" : (const char *)names.data);
    buf_deinit(&names);
}

/* What the node's worker and timer do in production. */
static void node_round(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    struct err err = ERR_INIT;
    struct idvec known;
    sim_purge_begin(s, slot, &known);
    if (s->o.fold)
        n->d->fold_after_ns = 0;
    db_tick(n->d);
    purge(s, n);
    sim_purge_check(s, slot, &known);
    quartet_status rc = db_seal(n->d, keep_batch, n, &err);
    if (rc == QUARTET_OK && n->host.unsynced) {
        n->host.unsynced = false;
        rc = db_sync_remote(n->d, &err);
    }
    if (rc == QUARTET_OK && sim_snapshot_round(s, slot))
        return;
    if (rc == QUARTET_OK)
        look_for_alarm(s, n);
    if (rc == QUARTET_OK)
        rc = gossip_disk_moved(n->g, s->now_us, &err);
    if (rc == QUARTET_OK)
        rc = gossip_tick(n->g, s->now_us, &err);
    bool excused = n->env.dead || n->sick || (rc == QUARTET_FULL && n->env.disk_bytes > 0);
    if (rc != QUARTET_OK && !excused)
        sim_fail(s, "node %u: %s", (unsigned)slot, err.text);
    sim_pump(s, slot);
}

static void restart_due(struct sim *s)
{
    for (uint8_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++)
        if (!s->nodes[k].up && !s->nodes[k].gone && (s->healed || s->now_us >= s->nodes[k].held_us)) {
            fault_env_restart(&s->nodes[k].env, s->nodes[k].keep_unsynced);
            sim_start_node(s, k);
        }
}

/* ---- time ---- */

static void set_clocks(struct sim *s)
{
    for (uint32_t k = 0; k < s->o.nodes; k++) {
        struct fault_env *f = &s->nodes[k].env;
        f->mono_ns = 1000000000u + s->now_us * 1000u;
        if (!s->nodes[k].frozen)
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
    sim_members(s); /* the first that goes over a new link */
    for (uint8_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++)
        if (s->nodes[k].up && s->nodes[k].paused_us <= s->now_us) {
            node_round(s, k);
            sim_replace_left_behind(s, k);
        }
}

static void work(struct sim *s)
{
    uint8_t slot = (uint8_t)prng_below(&s->plan, s->o.nodes);
    const struct sim_load *load = sim_load_draw(s);
    bool frozen = s->liar && slot == s->o.nodes - 1 && s->nodes[slot].up && s->nodes[slot].d->fenced; /* it takes no more */
    if (sim_event(s, load->name, slot) && s->nodes[slot].up && !frozen && s->nodes[slot].paused_us <= s->now_us)
        sim_work_step(s, slot, load);
}

static bool first_phase(struct sim *s)
{
    double per_tick = (double)s->o.transactions * (double)SIM_TICK_US / (double)s->o.run_us;
    bool spread = prng_chance(&s->plan, 0.5);
    if (!sim_work_schema(s))
        return false;
    for (int i = 0; (!s->o.concurrent_ddl || spread) && i < 40 && s->failure[0] == '\0'; i++)
        sim_tick(s); /* the others learn the schema, or not yet */
    s->schema_batches = s->batch_count;
    double due = 0; /* counted in ticks, not by the clock: some transactions let time pass, and what falls due must not depend on them */
    for (uint64_t tick = 0; tick < s->o.run_us / SIM_TICK_US && s->failure[0] == '\0'; tick++) {
        sim_faults(s);
        sim_tick(s);
        sim_faults_pass(s);
        for (due += per_tick; due >= 1 && s->failure[0] == '\0'; due -= 1)
            work(s);
        uint8_t reader = (uint8_t)prng_below(&s->plan, s->o.nodes);
        if (prng_chance(&s->plan, 0.3) && s->nodes[reader].up && s->failure[0] == '\0')
            sim_check_now(s, reader);
    }
    return s->failure[0] == '\0';
}

/* Who has how much of which chain, for a failure's text. */
static void put_vectors(struct sim *s, struct buf *out)
{
    for (uint8_t k = 0; k < s->o.nodes; k++) {
        struct err err = ERR_INIT;
        buf_printf(out, "; node %u%s:", (unsigned)k, s->nodes[k].up ? "" : " is down");
        for (int durable = 0; durable < 2 && s->nodes[k].up; durable++) {
            struct idvec v;
            if (sim_vector(&s->nodes[k], durable == 1, &v, &err))
                for (uint32_t i = 0; i < v.count; i++)
                    buf_printf(out, "%s %u/%04x %llu", i == 0 && durable == 1 ? ", on disk" : "", (unsigned)v.e[i].chain.slot,
                               (unsigned)(v.e[i].chain.incarnation & 0xffff), (unsigned long long)v.e[i].number);
            idvec_deinit(&v);
        }
        bool first = true;
        for (uint32_t i = 0; s->nodes[k].up && i < s->nodes[k].d->state_count; i++)
            for (const struct held_batch *b = s->nodes[k].d->state[i] != NULL ? s->nodes[k].d->state[i]->held : NULL; b != NULL; b = b->next, first = false)
                buf_printf(out, "%s %u/%04x %llu", first ? ", waiting" : "", (unsigned)b->header.chain.slot, (unsigned)(b->header.chain.incarnation & 0xffff),
                       (unsigned long long)b->next_number);
    }
    buf_u8(out, 0);
}

/* A disk that lost a signature, or a copy that was made before it, makes its node sign anew what others have. */
static bool frozen_out(struct sim *s)
{
    for (uint8_t k = 0; k < s->o.nodes && !s->frozen_out; k++) {
        struct sim_node *n = &s->nodes[k];
        s->frozen_out = n->up && (n->lied || n->restored) && db_slot_frozen(n->d, k);
    }
    return s->frozen_out;
}

void sim_converge(struct sim *s)
{
    uint64_t until = s->now_us + SIM_HEAL_US;
    do
        sim_tick(s);
    while (s->failure[0] == '\0' && s->now_us < until && !frozen_out(s) && !sim_converged(s));
    if (s->failure[0] == '\0' && !s->frozen_out && !sim_converged(s)) {
        struct buf text = {0};
        put_vectors(s, &text);
        sim_fail(s, "NOT CONVERGED: %u s after all faults ended the vectors still differ%s", SIM_HEAL_US / 1000000u,
                 text.failed ? "" : (const char *)text.data);
        buf_deinit(&text);
    }
}

/* Has every node heard of all others what they know of its slot, and waits for nothing that nobody has? */
static bool is_settled(struct sim *s, uint32_t *who)
{
    for (uint8_t k = 0; k < s->o.nodes; k++) {
        const db *d = s->nodes[k].d;
        *who = k;
        if (!s->nodes[k].up || (!d->fenced && (!d->identity.members_answered || db_is_catching_up(s->nodes[k].d))))
            return false;
    }
    return true;
}

/* What was lost with disks holds nobody back for good: else no chain would be closed, and nothing folded or purged. */
static void settle(struct sim *s)
{
    uint64_t until = s->now_us + SIM_HEAL_US;
    uint32_t who = 0;
    while (s->failure[0] == '\0' && s->now_us < until && !frozen_out(s) && !is_settled(s, &who))
        sim_tick(s);
    if (s->failure[0] != '\0' || s->frozen_out || is_settled(s, &who))
        return;
    struct buf text = {0};
    put_vectors(s, &text);
    sim_fail(s, "NOT SETTLED: %u s after all nodes agree node %u %s%s", SIM_HEAL_US / 1000000u, who,
             !s->nodes[who].up ? "is down" : !s->nodes[who].d->identity.members_answered ? "has not heard of all others what they know of its slot" : "waits for what nobody has",
             text.failed ? "" : (const char *)text.data);
    buf_deinit(&text);
}

/* The first chain that is closed and not folded on some node; NULL: there is none. */
static const struct sim_node *unfolded(struct sim *s, struct chain_id *which)
{
    for (uint8_t k = 0; k < s->o.nodes; k++) {
        db *d = s->nodes[k].d;
        for (uint32_t i = 0; i < d->chains.count; i++) {
            uint64_t number;
            struct chain_id successor;
            *which = chain_id_of(&d->chains, (chain_no)i);
            if (db_chain_closed(d, (chain_no)i, &number, &successor) && number > 0 && chain_fold_of(&d->chains, (chain_no)i) == 0)
                return &s->nodes[k];
        }
    }
    return NULL;
}

/* All agree and all chains of former runs are closed: then nothing keeps these from being folded, and nothing that they left is in the way of it. */
static void fold_all(struct sim *s)
{
    struct chain_id which;
    uint64_t until = s->now_us + SIM_HEAL_US;
    while (s->failure[0] == '\0' && s->now_us < until && !frozen_out(s) && unfolded(s, &which) != NULL)
        sim_tick(s);
    const struct sim_node *n = s->failure[0] == '\0' && !s->frozen_out ? unfolded(s, &which) : NULL;
    if (n != NULL)
        sim_fail(s, "NOT FOLDED: %u s after all nodes agree chain %u/%04x is closed and not folded on node %u", SIM_HEAL_US / 1000000u, (unsigned)which.slot,
                 (unsigned)(which.incarnation & 0xffff), (unsigned)n->slot);
}

/* Every node runs anew, one after the other; all write on; and agree. */
static void live_on(struct sim *s)
{
    for (uint8_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++) {
        s->nodes[k].keep_unsynced = true;
        sim_stop_node(s, k);
        s->nodes[k].held_us = s->now_us;
        for (int i = 0; i < 10 && s->failure[0] == '\0'; i++)
            sim_tick(s);
    }
    for (uint32_t i = 0; i < 6u * s->o.nodes && s->failure[0] == '\0'; i++)
        if (i % 3 != 0 || (sim_tick(s), s->failure[0] == '\0'))
            work(s);
    sim_converge(s);
    if (s->failure[0] == '\0' && !s->frozen_out)
        settle(s);
    if (s->failure[0] == '\0' && !s->frozen_out)
        fold_all(s);
}

/* The healed cluster agrees, takes a transaction on every node, and agrees again. */
static bool second_phase(struct sim *s)
{
    s->healed = true;
    memset(s->blocked, 0, sizeof s->blocked);
    for (uint32_t i = 0; i < SIM_NODES_MAX * SIM_NODES_MAX; i++)
        if (s->stale_us[i / SIM_NODES_MAX][i % SIM_NODES_MAX] > s->now_us)
            s->stale_us[i / SIM_NODES_MAX][i % SIM_NODES_MAX] = s->now_us; /* noticed now */
    s->o.delay_us_max = s->o.delay_us_min + 1000;
    s->o.slow = 0;
    sim_faults_end(s);
    sim_converge(s);
    for (uint8_t k = 0; k < s->o.nodes && s->failure[0] == '\0' && !s->frozen_out; k++) {
        const struct sim_load *load = sim_load_draw(s);
        if (sim_event(s, load->name, k))
            sim_work_step(s, k, load);
    }
    if (s->failure[0] == '\0' && !s->frozen_out && !s->liar) /* a member that left answers nobody */
        settle(s);
    for (uint32_t life = 0; life <= s->o.lives && s->o.fold && !s->liar && s->failure[0] == '\0' && !s->frozen_out; life++)
        (life == 0 ? fold_all : live_on)(s);
    if (s->failure[0] == '\0' && !s->frozen_out)
        sim_converge(s); /* chains were closed meanwhile */
    return s->failure[0] == '\0' && !s->frozen_out;
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
    quartet_status rc = member_init(&s->nodes[0].env.env, &wanted, &s->docs[0], &keys, &err);
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
    prng_seed(&s->plan, o->seed);
    for (uint8_t k = 0; k < o->nodes; k++) {
        struct sim_node *n = &s->nodes[k];
        n->sim = s;
        n->slot = k;
        fault_env_init(&n->env, prng_u64(&s->plan));
        n->env.on_log = keep_log;
        n->env.on_log_arg = n;
        for (uint8_t to = 0; to < o->nodes; to++)
            prng_seed(&s->net[k][to], prng_u64(&s->plan));
    }
    prng_seed(&s->prng, prng_u64(&s->plan));
    set_clocks(s);
    bool ok = make_members(s);
    for (uint8_t k = 0; ok && k < o->nodes; k++)
        ok = sim_start_node(s, k);
    return ok;
}

bool sim_run(struct sim *s, const struct sim_options *o, const bool *leave_out, bool narrate, bool trace)
{
    bool ok = sim_begin(s, o, trace);
    s->leave_out = leave_out;
    s->narrate = narrate;
    if (ok && first_phase(s) && second_phase(s))
        sim_check_end(s);
    for (uint8_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++) {
        s->looks_back_cut += s->nodes[k].g != NULL ? gossip_counters_get(s->nodes[k].g).looks_back_cut : 0;
        s->came += s->nodes[k].host.came;
    }
    return s->failure[0] == '\0';
}

void sim_free(struct sim *s)
{
    for (uint8_t k = 0; k < s->o.nodes; k++) {
        sim_stop_node(s, k);
        fault_env_deinit(&s->nodes[k].env);
        sim_purge_free(&s->nodes[k]);
        if (s->nodes[k].has_aside)
            fault_env_deinit(&s->nodes[k].aside);
    }
    sim_net_clear(s);
    for (size_t i = 0; i < s->batch_count; i++)
        mem_free(s->batches[i].bytes);
    mem_free(s->batches);
    sim_evict_free(s);
    buf_deinit(&s->log);
}
