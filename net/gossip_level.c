/* gossip_level.c - which level each link and the cluster speaks (base/level.h): rolling upgrades.
 * Each status tells which levels its sender's build speaks, which level of operations is in use as far as it knows, and what it last heard of every member's build, with the
 *   time of that member's clock when it said so: in a chain of links nobody sees all members, and what is told again must not outlive what is told now.
 * Once every member of the document is known to speak a newer level of operations, that is in use. The host remembers it before anybody writes anything of it, and tells it on
 *   in its status; who hears of it from one peer takes it over. It never goes back: a member that is started with an older build afterwards, or from an old directory with one, is
 *   refused, and says itself why. A lying member can so make others use operations that an older build does not know, which shuts that build out and harms no data.
 * Not here: what the levels mean (who uses them), remembering (engine/db_level.c). */
#include <stdio.h>

#include "base/level.h"
#include "gossip_internal.h"
#include "wire.h"

#define ENTRY_FIELDS 3u

uint32_t gossip_level_max(const struct gossip *g)
{
    return g->host.level_max != 0 ? g->host.level_max : LEVEL_MAX;
}

uint32_t gossip_level_min(const struct gossip *g)
{
    return g->host.level_min != 0 ? g->host.level_min : LEVEL_MIN;
}

uint32_t gossip_level_used(const struct gossip *g)
{
    return g->host.level != NULL ? g->host.level(g->host.ctx) : LEVEL_FIRST;
}

/* [..., min, max, operations in use, [slot, max, as of, ...]] */
void gossip_level_put(struct gossip *g, struct buf *out)
{
    uint32_t known = 0;
    g->heard[g->slot] = (struct gossip_heard){.level = gossip_level_max(g), .as_of_us = g->status.wall_us};
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        known += g->heard[i].level != 0;
    wire_put_u64(out, gossip_level_min(g));
    wire_put_u64(out, gossip_level_max(g));
    wire_put_u64(out, gossip_level_used(g));
    wire_put_array(out, known * ENTRY_FIELDS);
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        if (g->heard[i].level == 0)
            continue;
        wire_put_u64(out, i);
        wire_put_u64(out, g->heard[i].level);
        wire_put_u64(out, g->heard[i].as_of_us);
    }
}

bool gossip_level_get(struct bytes_in *in, struct gossip_told_levels *out)
{
    out->min = wire_u32(in);
    out->max = wire_u32(in);
    out->used = wire_u32(in);
    uint32_t fields = wire_array(in);
    if (in->bad || fields % ENTRY_FIELDS != 0 || fields / ENTRY_FIELDS > SLOTS_MAX || out->min == 0 || out->min > out->max || out->max > LEVEL_LIMIT || out->used == 0 ||
        out->used > out->max)
        return false;
    for (uint32_t i = 0; i < fields / ENTRY_FIELDS; i++) {
        uint32_t slot = wire_u32(in), level = wire_u32(in);
        uint64_t as_of = wire_u64(in);
        if (in->bad || slot >= SLOTS_MAX || level == 0 || level > LEVEL_LIMIT || out->heard[slot].level != 0)
            return false;
        out->heard[slot] = (struct gossip_heard){.level = level, .as_of_us = as_of};
    }
    return true;
}

/* Do we understand each other? */
static quartet_status check(const struct gossip *g, uint8_t slot, const struct gossip_told_levels *t, struct err *err)
{
    uint32_t min = gossip_level_min(g), max = gossip_level_max(g), used = gossip_level_used(g);
    if (t->max < min || max < t->min)
        return err_set(err, QUARTET_UNAVAILABLE, "versions too far apart: slot %u speaks levels %u to %u, this node %u to %u; upgrade %s by way of a version between", (unsigned)slot,
                       t->min, t->max, min, max, t->max < min ? "that node" : "this node");
    if (t->used > max)
        return err_set(err, QUARTET_UNAVAILABLE, "this node's version is too old: the cluster uses operations of level %u (says slot %u), this build knows those up to %u; install the newer "
                                                 "version here", t->used, (unsigned)slot, max);
    if (t->max < used)
        return err_set(err, QUARTET_UNAVAILABLE, "the version of slot %u is too old: the cluster uses operations of level %u, it knows those up to %u; install the newer version there",
                       (unsigned)slot, used, t->max);
    return QUARTET_OK;
}

/* Where the host cannot remember it now the level stays as it was, and comes up again with the next status. */
static void raise(struct gossip *g, uint32_t level)
{
    if (level > gossip_level_used(g) && g->host.raise_level != NULL)
        g->host.raise_level(g->host.ctx, level);
}

/* Does every member speak a newer level of operations? */
void gossip_level_look(struct gossip *g)
{
    uint32_t least = gossip_level_max(g);
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        if (((uint32_t)g->host.members >> i & 1u) != 0 && i != g->slot && g->heard[i].level < least)
            least = g->heard[i].level;
    if (g->host.members != 0)
        raise(g, level_of_operations(least));
}

quartet_status gossip_level_take(struct gossip *g, uint8_t slot, const struct gossip_told_levels *t, uint64_t wall_us, struct err *err)
{
    struct gossip_peer_state *p = &g->peers[slot];
    p->level_min = t->min;
    p->level_max = t->max;
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        if (i != g->slot && i != slot && t->heard[i].level != 0 && t->heard[i].as_of_us > g->heard[i].as_of_us)
            g->heard[i] = t->heard[i];
    g->heard[slot] = (struct gossip_heard){.level = t->max, .as_of_us = wall_us}; /* it knows best, whatever its clock */
    quartet_status rc = check(g, slot, t, err);
    p->level = rc == QUARTET_OK ? (t->max < gossip_level_max(g) ? t->max : gossip_level_max(g)) : 0;
    gossip_queue_level(g, p, p->level);
    if (rc != QUARTET_OK) {
        (void)snprintf(p->refused, sizeof p->refused, "%.*s", (int)sizeof p->refused - 1, err->text); /* all of them are shorter */
        return rc;
    }
    p->refused[0] = '\0';
    raise(g, t->used);
    gossip_level_look(g);
    return QUARTET_OK;
}
