/* sim_fault.c - what goes wrong by itself: links, clocks, disks, memory. Each fault is an event (sim.h).
 * The rule for what a disk takes with it: a transaction that no other node had when the disk was lost, damaged or replaced by an older one may be gone, and so its
 * acknowledgement no longer counts; all that any other node had must be there at the end. */
#include "sim/sim_load.h"

#include <string.h>

#include "base/mem.h"

#define HOUR_US 3600000000ll

const char *sim_fault_name(uint32_t kind)
{
    static const char *const names[] = {
#define X(name, text) text,
        SIM_FAULTS(X)
#undef X
    };
    return kind < SIM_FAULT_COUNT ? names[kind] : "?";
}

/* ---- network ---- */

static void cut_some(struct sim *s)
{
    uint8_t a = (uint8_t)prng_below(&s->prng, s->o.nodes), b = (uint8_t)prng_below(&s->prng, s->o.nodes);
    bool both = prng_chance(&s->prng, 0.5);
    s->blocked[a][b] = !s->blocked[a][b];
    if (both)
        s->blocked[b][a] = s->blocked[a][b];
    sim_note(s, "link", (uint64_t)a << 8 | b, s->blocked[a][b]);
}

/* Each node falls on one side or the other; all on one side heals. */
static void partition(struct sim *s)
{
    uint64_t side = prng_below(&s->prng, 1u << s->o.nodes);
    for (uint8_t a = 0; a < s->o.nodes; a++)
        for (uint8_t b = 0; b < s->o.nodes; b++)
            s->blocked[a][b] = a != b && (side >> a & 1) != (side >> b & 1);
    s->partitions++;
    sim_note(s, "partition", side, 0);
}

/* ---- what only one disk has ---- */

static quartet_status mark_known(struct sim_node *n, bool (*known)[SIM_WRITES_MAX], struct err *err)
{
    static const char sql[] = "SELECT node, k FROM journal";
    conn_stmt *stmt = NULL;
    size_t consumed = 0;
    struct batch rows;
    quartet_status rc = conn_prepare(n->c, sql, strlen(sql), &stmt, &consumed, err);
    while (rc == QUARTET_OK && (rc = conn_step(stmt, &rows, err)) == QUARTET_OK && rows.n > 0)
        for (uint32_t r = 0; r < rows.n; r++) {
            struct value slot = vec_get(&rows.cols[0], batch_row(&rows, r)), k = vec_get(&rows.cols[1], batch_row(&rows, r));
            if (slot.i >= 0 && slot.i < SIM_NODES_MAX && k.i >= 0 && k.i < SIM_WRITES_MAX)
                known[slot.i][k.i] = true;
        }
    conn_finalize(stmt);
    return rc;
}

/* Has any of the other nodes that are up this batch on its disk? */
static bool others_have(const struct sim *s, const struct sim_batch *b, const struct idvec *vectors, uint32_t up)
{
    struct batch_header h;
    struct slice payload;
    struct err err = ERR_INIT;
    if (batch_parse(slice_of(b->bytes, b->n), &h, &payload, &err) != QUARTET_OK)
        return false;
    for (uint32_t k = 0; k < s->o.nodes; k++)
        if ((up >> k & 1) && idvec_number(&vectors[k], h.chain) >= h.first + h.count - 1)
            return true;
    return false;
}

/* What it has for good: on its disk, and not waiting there for what may be lost. */
static bool safe_vector(struct sim_node *n, struct idvec *out, struct err *err)
{
    struct idvec applied = {0};
    bool ok = sim_vector(n, true, out, err) && sim_vector(n, false, &applied, err);
    for (uint32_t i = 0; ok && i < out->count; i++) {
        uint64_t number = idvec_number(&applied, out->e[i].chain);
        out->e[i].number = number < out->e[i].number ? number : out->e[i].number;
    }
    idvec_deinit(&applied);
    return ok;
}

static void count_out(struct sim *s, const struct idvec *vectors, uint32_t up, bool (*known)[SIM_WRITES_MAX])
{
    for (uint32_t k = 0; k < s->o.nodes; k++)
        for (uint64_t i = 0; i < s->nodes[k].next; i++)
            if (s->nodes[k].told[i] == 1 && !known[k][i])
                s->nodes[k].told[i] = 2;
    for (size_t i = 0; i < s->batch_count; i++)
        if (!others_have(s, &s->batches[i], vectors, up))
            s->batches[i].maybe_lost = true;
}

/* May this node's disk be lost now? Some other node that is up must have the tables; then what only this disk has no longer counts. Who signs two histories leaves in the
 * end, so nobody relies on what it has. */
bool sim_give_up_disk(struct sim *s, uint8_t slot)
{
    struct idvec vectors[SIM_NODES_MAX] = {{0}};
    struct err err = ERR_INIT;
    uint32_t up = 0;
    bool tables = false;
    bool (*known)[SIM_WRITES_MAX] = mem_zalloc(SIM_NODES_MAX, sizeof *known);
    for (uint8_t k = 0; known != NULL && k < s->o.nodes; k++) {
        struct sim_node *n = &s->nodes[k];
        bool leaves = s->o.faults[SIM_FAULT_FORK] > 0 && s->o.nodes >= 3 && k == s->o.nodes - 1;
        leaves = leaves || (s->stage == 1 && k == s->evicted);
        if (k == slot || leaves || !n->up || n->sick || n->damaged || n->env.lying_sync || n->env.disk_bytes > 0 || db_sync_remote(n->d, &err) != QUARTET_OK ||
            !safe_vector(n, &vectors[k], &err))
            continue;
        up |= 1u << k;
        if (mark_known(n, known, &err) != QUARTET_OK)
            continue; /* it has no tables yet */
        bool all = true;
        for (size_t i = 0; i < s->schema_batches && all; i++)
            all = others_have(s, &s->batches[i], vectors, 1u << k);
        tables = tables || all;
    }
    if (tables)
        count_out(s, vectors, up, known);
    for (uint8_t k = 0; k < s->o.nodes; k++)
        idvec_deinit(&vectors[k]);
    mem_free(known);
    return tables;
}

bool sim_start_damaged(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    sim_stop_node(s, slot);
    fault_env_erase(&n->env);
    n->damaged = false;
    s->replaced++;
    sim_note(s, "new disk", slot, 0);
    return sim_start_node(s, slot);
}

/* ---- nodes ---- */

static void stop_for_a_while(struct sim *s, uint8_t slot, bool keep_unsynced)
{
    struct sim_node *n = &s->nodes[slot];
    n->keep_unsynced = keep_unsynced;
    if (n->env.lying_sync && !keep_unsynced) {
        n->damaged = n->lied = sim_give_up_disk(s, slot);
        n->keep_unsynced = !n->damaged; /* where it would lose what nobody else is known to have, it is merely killed */
    }
    sim_stop_node(s, slot);
    n->env.lying_sync = false;
    n->env.disk_bytes = 0;
    n->sick = false;
    n->held_us = s->now_us + prng_below(&s->prng, 3000000);
}

static void crash(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    bool power = prng_chance(&s->prng, s->o.power_loss);
    s->crashes++;
    if (prng_chance(&s->prng, 0.5)) { /* in the middle of the next writes rather than between them */
        n->env.crash_at_write = n->env.writes + n->env.syncs + 1 + prng_below(&s->prng, 6);
        for (int i = 0; i < 3 && !n->env.dead; i++)
            sim_work_step(s, slot, sim_loads[prng_below(&s->prng, sim_load_count)]);
    }
    stop_for_a_while(s, slot, !power);
}

static void lie(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    if (!n->env.lying_sync)
        n->env.lying_sync = true; /* the second of these takes the power away */
    else if (sim_give_up_disk(s, slot))
        stop_for_a_while(s, slot, false);
}

static void lose_disk(struct sim *s, uint8_t slot)
{
    stop_for_a_while(s, slot, true);
    fault_env_erase(&s->nodes[slot].env);
    s->nodes[slot].restored = false;
    s->replaced++;
}

void sim_tear(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    size_t from = s->batch_count;
    if (!n->up || n->sick || n->env.dead)
        return;
    sim_seal(s, slot);
    for (uint8_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++) {
        struct gossip_host host;
        size_t until = from + (size_t)prng_below(&s->prng, s->batch_count - from + 1);
        if (k == slot || !s->nodes[k].up || s->nodes[k].env.dead)
            continue;
        node_gossip_host(&s->nodes[k].host, &host);
        for (size_t i = from; i < until; i++) {
            struct gossip_need need = {0};
            struct err why = ERR_INIT; /* a gap, a full disk: it has heard nothing */
            (void)host.deliver(host.ctx, slice_of(s->batches[i].bytes, s->batches[i].n), slot, &need, &why);
        }
    }
    sim_note(s, "torn", slot, s->batch_count - from);
    if (sim_give_up_disk(s, slot))
        lose_disk(s, slot);
}

static void lose(struct sim *s, uint8_t slot)
{
    if (sim_give_up_disk(s, slot))
        lose_disk(s, slot);
}

static void flip(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    if (!sim_give_up_disk(s, slot))
        return;
    stop_for_a_while(s, slot, true);
    for (uint64_t i = 0, count = 1 + prng_below(&s->prng, 3); i < count; i++)
        n->damaged = fault_env_flip_any(&n->env, &s->prng) || n->damaged;
}

static void back_up(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    struct err err = ERR_INIT;
    if (n->has_aside)
        fault_env_deinit(&n->aside);
    fault_env_init(&n->aside, prng_u64(&s->prng));
    n->has_aside = true;
    if (fault_env_copy_files(&n->aside, &n->env, &err) != QUARTET_OK)
        sim_fail(s, "a backup of node %u: %s", (unsigned)slot, err.text);
}

static void restore(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    if (!n->has_aside || !sim_give_up_disk(s, slot))
        return;
    stop_for_a_while(s, slot, true);
    fault_env_restart(&n->env, true);
    fault_env_swap_files(&n->env, &n->aside);
    fault_env_die(&n->env);
    if (s->o.alone)
        n->alone_us = n->held_us + prng_below(&s->prng, 4000000);
    s->came_back = s->came_back || n->restored; /* what was put aside by the first */
    n->restored = true;
    s->replaced++;
}

void sim_replace_left_behind(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    if (!n->restored || !n->up || !db_is_fenced(n->d) || db_slot_frozen(n->d, slot) || !sim_give_up_disk(s, slot))
        return;
    sim_note(s, "left behind", slot, 0);
    lose_disk(s, slot);
}

static void break_disk(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    uint64_t at = 1 + prng_below(&s->prng, 6);
    if (n->sick)
        return; /* one at a time: the first that strikes ends it */
    n->sick = true;
    if (prng_chance(&s->prng, 0.7))
        n->env.fail_sync_at = at;
    else
        n->env.fail_write_at = at;
}

static void change_clock(struct sim *s, uint8_t slot, uint32_t kind)
{
    struct sim_node *n = &s->nodes[slot];
    if (kind == SIM_FAULT_FREEZE) {
        n->frozen = !n->frozen;
    } else if (kind == SIM_FAULT_CLOCK) {
        n->clock_offset_us = prng_between(&s->prng, -2000000, 2000000);
    } else {
        n->clock_offset_us = prng_chance(&s->prng, 0.5) ? HOUR_US : -HOUR_US;
        s->future = s->future || n->clock_offset_us > 0;
    }
    sim_note(s, "clock", slot, (uint64_t)n->clock_offset_us);
}

static void strike(struct sim *s, uint32_t kind, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    switch (kind) {
    case SIM_FAULT_LINK:
        cut_some(s);
        return;
    case SIM_FAULT_PARTITION:
        partition(s);
        return;
    case SIM_FAULT_FORK:
        sim_fork(s);
        return;
    case SIM_FAULT_EVICT:
        sim_evict(s, slot);
        return;
    case SIM_FAULT_CUT:
        sim_note(s, sim_fault_name(kind), slot, 0);
        sim_cut_logs(s, slot);
        return;
    case SIM_FAULT_CLOCK:
    case SIM_FAULT_HOUR:
    case SIM_FAULT_FREEZE:
        change_clock(s, slot, kind);
        return;
    default:
        break;
    }
    if (!n->up)
        return;
    sim_note(s, sim_fault_name(kind), slot, 0);
    switch (kind) {
    case SIM_FAULT_CRASH:
        crash(s, slot);
        break;
    case SIM_FAULT_PAUSE:
        n->paused_us = s->now_us + 1000 + prng_below(&s->prng, prng_chance(&s->prng, 0.2) ? 10000000 : 500000);
        break;
    case SIM_FAULT_FULL:
        n->env.disk_bytes = n->env.used_bytes + prng_below(&s->prng, 20000) + 1;
        n->full_us = s->now_us + 100000 + prng_below(&s->prng, 2000000);
        break;
    case SIM_FAULT_IO:
        break_disk(s, slot);
        break;
    case SIM_FAULT_FLIP:
        flip(s, slot);
        break;
    case SIM_FAULT_LIE:
        lie(s, slot);
        break;
    case SIM_FAULT_LOSE:
        lose(s, slot);
        break;
    case SIM_FAULT_BACKUP:
        back_up(s, slot);
        break;
    case SIM_FAULT_RESTORE:
        restore(s, slot);
        break;
    default:
        n->memory = true;
        break;
    }
}

void sim_faults(struct sim *s)
{
    double per_tick = (double)SIM_TICK_US / 1e6;
    for (uint32_t kind = 0; kind < SIM_FAULT_COUNT; kind++) {
        bool due = prng_chance(&s->plan, s->o.faults[kind] * per_tick);
        uint8_t slot = (uint8_t)prng_below(&s->plan, s->o.nodes);
        if (due && s->failure[0] == '\0' && sim_event(s, sim_fault_name(kind), slot))
            strike(s, kind, slot);
    }
}

void sim_faults_pass(struct sim *s)
{
    for (uint8_t k = 0; k < s->o.nodes; k++) {
        struct sim_node *n = &s->nodes[k];
        if (n->env.disk_bytes > 0 && n->full_us <= s->now_us)
            n->env.disk_bytes = 0;
        /* The call has failed: the node says so in its log, and is started again, as systemd would. */
        if (n->up && n->sick && n->env.fail_sync_at == 0 && n->env.fail_write_at == 0)
            stop_for_a_while(s, k, false);
    }
}

void sim_faults_end(struct sim *s)
{
    for (uint8_t k = 0; k < s->o.nodes; k++) {
        struct sim_node *n = &s->nodes[k];
        n->clock_offset_us = 0;
        n->frozen = n->memory = false;
        n->paused_us = n->full_us = 0;
        n->env.disk_bytes = 0;
        if (n->sick && n->up)
            stop_for_a_while(s, k, false);
        n->env.lying_sync = false; /* what it lied about counts as written: the power did not go */
    }
    sim_fork_end(s);
    if (s->future) { /* stamps from the future come due: all clocks go on by an hour */
        s->skipped_us = (uint64_t)HOUR_US + 10000000u;
        s->now_us += s->skipped_us;
    }
}
