/* sim_evict.c - a member is evicted, its slot is given to a new node with a key and an empty disk of its own, and the evicted one comes back with what it knew (the fault "eviction", once a run).
 * Membership goes from node to node with a new link, and holds from the next start of a node, as in production (net/server_peer.c, engine/node.c). A link stands only between two who are members by
 *   the newer one of their documents; so an evicted node that still runs is told by the first that knows, and takes no writes from then on.
 * The rule for what the evicted node takes with it is that of a lost disk (sim_fault.c): what no other node had when it was evicted may be gone, and so may all that it still writes.
 * When all others know, its disk is put aside and the new node starts. Later the disk runs once more, as it was: what it signs is given to some by hand, as a relay might; nobody may come to harm by it. */
#include "sim/sim_load.h"

#include <stdio.h>
#include <string.h>

#include "engine/db_internal.h"

#define STAGE_OUT 1u /* of the run, and the number of the document that says so */
#define STAGE_NEW 2u

static bool make_doc(struct sim *s, uint32_t stage)
{
    struct err err = ERR_INIT;
    struct member_doc *doc = &s->docs[stage];
    static const uint8_t gate[32] = {1};
    quartet_status rc = member_doc_copy(doc, &s->docs[stage - 1], &err);
    if (rc == QUARTET_OK)
        rc = stage == STAGE_OUT ? member_evict(doc, s->evicted, doc->epoch + 1, &err)
                                : member_add_node(&s->nodes[(s->evicted + 1u) % s->o.nodes].env.env, doc, gate, "e:1", "", &s->nodes[s->evicted].key, &err);
    doc->epoch++;
    if (rc != QUARTET_OK)
        sim_fail(s, "membership: %s", err.text);
    s->stage = stage;
    return rc == QUARTET_OK;
}

/* Is this node, with the key that it has, a member by that document? The evicted one runs with the first document only, the new one with the last. */
static bool is_member(const struct sim *s, uint32_t doc, uint8_t slot)
{
    return s->stage == 0 || slot != s->evicted || s->nodes[slot].doc == doc;
}

bool sim_may_link(const struct sim *s, uint8_t a, uint8_t b)
{
    return is_member(s, s->nodes[a].doc, b) && is_member(s, s->nodes[b].doc, a);
}

/* A node hears of a newer document when somebody who has it reaches it; the evicted one is shown that it is out. */
static void hear(struct sim *s, uint8_t a, uint8_t b)
{
    struct sim_node *x = &s->nodes[a], *y = &s->nodes[b];
    bool reach = x->up && y->up && sim_net_open(s, a, b);
    bool out = b == s->evicted && y->doc == 0;
    if (!reach || y->told_doc >= x->doc || (!out && !sim_may_link(s, a, b)))
        return;
    y->told_doc = x->doc;
    y->doc_us = s->now_us + (b + 1u) * 200000u;
    sim_note(s, "membership", b, x->doc);
    node_gossip_renewing(&y->host);
    if (out) { /* and does not start again */
        db_set_evicted(y->d);
        y->gone = true;
    }
}

/* Do all others run without it? */
static bool all_know(const struct sim *s)
{
    for (uint8_t k = 0; k < s->o.nodes; k++)
        if (k != s->evicted && (!s->nodes[k].up || s->nodes[k].doc < STAGE_OUT))
            return false;
    return true;
}

static void start_new_node(struct sim *s)
{
    struct sim_node *n = &s->nodes[s->evicted], *teller = &s->nodes[(s->evicted + 1u) % s->o.nodes];
    sim_stop_node(s, s->evicted);
    s->former_key = n->key;
    fault_env_init(&s->former, s->o.seed ^ 0xf04e5u);
    s->has_former = true;
    fault_env_restart(&n->env, true);
    fault_env_swap_files(&n->env, &s->former);
    fault_env_die(&n->env);
    if (n->has_aside) /* directories of the evicted node are not run with the keys of the new one (OPERATIONS.md) */
        fault_env_deinit(&n->aside);
    n->has_aside = n->restored = n->lied = n->damaged = n->sick = false;
    n->env.lying_sync = false;
    n->env.disk_bytes = 0;
    if (!make_doc(s, STAGE_NEW))
        return;
    n->doc = n->told_doc = teller->told_doc = STAGE_NEW; /* it is nobody to those who know of no new node: one of them is told by hand */
    n->held_us = teller->doc_us = s->now_us;
    n->gone = false;
    s->replaced++;
    sim_note(s, "new node", s->evicted, 0);
}

static void keep_former(void *arg, struct slice batch, const struct batch_header *h)
{
    struct sim *s = arg;
    (void)h; /* the bytes say it all */
    sim_batch_add(s, batch);
    if (s->batch_count > 0)
        s->batches[s->batch_count - 1].maybe_lost = true;
}

/* It comes back with the keys and the membership that it had; what it signs reaches some of the others. */
static void former_returns(struct sim *s)
{
    struct db_options options = {.base_in_memory = true, .buffer_bytes = s->o.buffer_bytes, .index_exact = 1 + (uint32_t)(s->o.seed % 7), .index_run_bytes = 3000};
    struct sim_node old = {.sim = s, .slot = s->evicted};
    struct err err = ERR_INIT;
    int64_t rows = 0;
    size_t from = s->batch_count;
    s->returned = true;
    s->former.wall_us = s->nodes[s->evicted].env.wall_us;
    s->former.mono_ns = s->nodes[s->evicted].env.mono_ns;
    if (db_open(&s->former.env, "/db", &options, &old.d, &err) != QUARTET_OK)
        return; /* it was damaged before */
    quartet_status rc = node_gossip_init(&old.host, old.d, &s->docs[0], &s->former_key, &err);
    bool inited = rc == QUARTET_OK;
    if (inited)
        rc = conn_open(old.d, &old.c, &err);
    for (uint32_t i = 0; i < 3 && rc == QUARTET_OK && sim_sql(&old, "SELECT count(*) FROM journal", &rows, &err) == QUARTET_OK; i++)
        rc = sim_sqlf(&old, NULL, &err, "INSERT INTO journal VALUES (%u, %u, 0, 0)", (unsigned)s->evicted, SIM_WRITES_MAX + 100u + i);
    if (rc == QUARTET_OK)
        rc = db_seal(old.d, keep_former, s, &err);
    sim_note(s, "former returns", s->evicted, s->batch_count - from);
    conn_close(old.c);
    if (inited)
        node_gossip_deinit(&old.host);
    struct err ignored = ERR_INIT;
    (void)db_close(old.d, &ignored); /* nobody needs it any more */
    for (uint8_t k = 0; k < s->o.nodes; k++) {
        struct gossip_host host;
        bool hears = prng_chance(&s->prng, 0.5);
        if (!hears || !s->nodes[k].up || s->nodes[k].env.dead)
            continue;
        node_gossip_host(&s->nodes[k].host, &host);
        for (size_t i = from; i < s->batch_count; i++) {
            struct gossip_need need = {0};
            struct err why = ERR_INIT; /* a gap, a full disk: it is not taken either */
            enum gossip_verdict v = host.deliver(host.ctx, slice_of(s->batches[i].bytes, s->batches[i].n), s->evicted, &need, &why);
            if (v == GOSSIP_ACCEPTED || v == GOSSIP_HELD)
                sim_fail(s, "EVICTED: node %u, which knows that node %u is out, takes what that one signs now", (unsigned)k, (unsigned)s->evicted);
        }
    }
}

void sim_evict(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    uint8_t teller = (uint8_t)((slot + 1u + prng_below(&s->prng, s->o.nodes - 1u)) % s->o.nodes);
    bool stops = prng_chance(&s->prng, 0.5);
    if (s->stage == STAGE_NEW && !s->returned && s->has_former && prng_chance(&s->prng, 0.5)) {
        former_returns(s);
        return;
    }
    if (s->o.nodes < 2 || s->stage > 0 || !s->nodes[teller].up || !sim_give_up_disk(s, slot))
        return;
    s->evicted = slot;
    if (!make_doc(s, STAGE_OUT))
        return;
    sim_note(s, "evicted", slot, teller);
    s->nodes[teller].told_doc = STAGE_OUT;
    s->nodes[teller].doc_us = s->now_us;
    n->gone = stops;
    if (!stops)
        return;
    n->keep_unsynced = true;
    sim_stop_node(s, slot);
}

bool sim_members_settled(const struct sim *s)
{
    bool all = s->stage != STAGE_OUT;
    for (uint8_t k = 0; k < s->o.nodes; k++)
        all = all && s->nodes[k].doc == s->stage;
    return all;
}

/* Once a tick: documents go round, nodes start anew with them, and the slot is given away when all know that it is free. */
void sim_members(struct sim *s)
{
    if (s->stage == 0)
        return;
    for (uint8_t a = 0; a < s->o.nodes; a++)
        for (uint8_t b = 0; b < s->o.nodes; b++)
            if (a != b)
                hear(s, a, b);
    for (uint8_t k = 0; k < s->o.nodes; k++) {
        struct sim_node *n = &s->nodes[k];
        if (n->told_doc <= n->doc || n->doc_us > s->now_us || (k == s->evicted && n->doc == 0) || s->working == n)
            continue;
        n->doc = n->told_doc;
        if (!n->up)
            continue;
        n->keep_unsynced = true;
        sim_stop_node(s, k);
        n->held_us = s->now_us;
    }
    if (s->stage == STAGE_OUT && all_know(s) && s->working != &s->nodes[s->evicted])
        start_new_node(s);
}

void sim_evict_free(struct sim *s)
{
    if (s->has_former)
        fault_env_deinit(&s->former);
    s->has_former = false;
    for (uint32_t i = 0; i < SIM_DOCS_MAX; i++)
        member_doc_deinit(&s->docs[i]);
}
