/* node_behind.c - a node that lacks what no member's log holds any longer: it was away until the logs were cut, or was started from an old copy of its directory.
 * It takes a member's state in the place of its own then (node_snapshot.c). Until that is done:
 * What it does: nothing of the chains that have the gap is taken, nor what was written on top of it, so nothing that has ended elsewhere comes alive by way of it; it takes no
 *   writes of clients, tells the members (GOSSIP_STATE_TOO_OLD), its log and every refused write why, and can be read and dumped. What it wrote before is taken by the others:
 *   an operation on a birth that is gone there counts as one on a birth that has ended, here as there.
 * Why only once every other member has said so, or has told that it lacks the deltas too: one that is away may have them, and then the node catches up when that one comes.
 * Why not by purge vectors: deltas come in the order of their causes, so who pulls what it lacks learns a row's end before anything that came of it; and a snapshot replaces all rows.
 * Not here: what of the log goes (db_trim.c), who is asked (net/gossip_pull.c). */
#include "node.h"

#include <string.h>

#include "base/log.h"

static struct node_lost *find(struct node_gossip *g, struct chain_id chain)
{
    for (uint32_t i = 0; i < g->lost_count; i++)
        if (chain_id_cmp(g->lost[i].chain, chain) == 0)
            return &g->lost[i];
    return NULL;
}

static uint8_t others(const struct node_gossip *g)
{
    uint8_t bits = 0;
    for (uint32_t i = 0; i < g->doc.node_count; i++)
        if (g->doc.nodes[i].slot != g->identity.slot)
            bits |= (uint8_t)(1u << g->doc.nodes[i].slot);
    return bits;
}

/* What came after all is no longer missing; and what went with the disks of all who had it is no longer waited for, neither here nor of who may give a snapshot. */
static void drop_settled(struct node_gossip *g)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->lost_count; i++) {
        const struct node_lost *x = &g->lost[i];
        if (db_lacks(g->d, x->chain, x->from) && (x->gone & ~x->lacks & others(g)) != 0)
            g->lost[kept++] = *x;
    }
    g->lost_count = kept;
}

static void look(struct node_gossip *g)
{
    drop_settled(g);
    for (uint32_t i = 0; i < g->lost_count; i++) {
        const struct node_lost *x = &g->lost[i];
        if (((x->gone | x->lacks) & others(g)) == others(g)) {
            db_set_behind(g->d, x->chain, x->from);
            return;
        }
    }
    db_set_behind(g->d, (struct chain_id){0}, 0);
}

void node_behind_gone(struct node_gossip *g, uint8_t slot, struct chain_id chain, uint64_t from)
{
    drop_settled(g);
    struct node_lost *x = find(g, chain);
    if (x == NULL && g->lost_count == NODE_LOST_MAX)
        return; /* one gap is enough to be left behind; the others show once it is closed */
    if (x == NULL) {
        x = &g->lost[g->lost_count++];
        *x = (struct node_lost){.chain = chain, .from = from};
    }
    if (from < x->from) /* the answer to a question that was asked before some of it came */
        return;
    if (x->from != from)
        *x = (struct node_lost){.chain = chain, .from = from};
    x->gone |= (uint8_t)(1u << slot);
    x->lacks &= (uint8_t)~(1u << slot);
    log_line(g->env, LOG_WARN, "gossip", "node %u no longer has delta %llu of slot %u in its log: another member is asked for it", (unsigned)slot, (unsigned long long)from,
             (unsigned)chain.slot);
    look(g);
}

void node_behind_came(struct node_gossip *g)
{
    uint32_t before = g->lost_count;
    bool behind = db_is_behind(g->d);
    drop_settled(g);
    if (g->lost_count < before)
        look(g);
    g->came += behind && !db_is_behind(g->d);
}

void node_behind_status(struct node_gossip *g, uint8_t slot, const struct gossip_status *s)
{
    for (uint32_t i = 0; i < g->lost_count; i++) {
        struct node_lost *x = &g->lost[i];
        uint8_t bit = (uint8_t)(1u << slot);
        bool lacks = idvec_number(&s->disk, x->chain) < x->from;
        x->lacks = lacks ? x->lacks | bit : x->lacks & (uint8_t)~bit; /* also one that had it, and has another disk now */
    }
    if (g->lost_count > 0)
        look(g);
}
