/* node_clock.c - is this node's clock right? What gossip knows of the peers' clocks becomes the median that the database goes by (db_set_clock).
 * Why the median and not each peer: one clock that is wrong must neither stop the others nor make them hold what is right.
 * Why bounds: a peer's clock is known to lie between two values, as far apart as a ping took. Each is taken where it speaks for us, so that a busy machine or a
 *   slow link never makes a node believe that its own clock is ahead.
 * Called from the thread that runs gossip. */
#include "base/log.h"
#include "node.h"

#define ALARM_US (DB_CLOCK_AHEAD_MS_MAX * 1000)

static int cmp(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Ours is 0. At an even number the mean of the two in the middle. */
static int64_t median(int64_t *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = i; k > 0 && cmp(v[k - 1], v[k]) > 0; k--) {
            int64_t x = v[k];
            v[k] = v[k - 1];
            v[k - 1] = x;
        }
    return n % 2 == 1 ? v[n / 2] : v[n / 2 - 1] / 2 + v[n / 2] / 2;
}

static void look(struct node_gossip *g)
{
    int64_t latest[SLOTS_MAX] = {0};
    uint32_t n = 1;
    for (uint8_t k = 0; k < SLOTS_MAX; k++)
        if (g->clocks[k].known)
            latest[n++] = g->clocks[k].latest_us;
    db_set_clock(g->d, median(latest, n), n);
}

void node_clock_heard(struct node_gossip *g, uint8_t slot, int64_t skew_us, uint64_t error_us)
{
    struct node_peer_clock *c = &g->clocks[slot];
    int64_t error = (int64_t)error_us;
    c->known = true;
    c->latest_us = skew_us + error;
    bool apart = skew_us - error > ALARM_US || skew_us + error < -ALARM_US;
    if (apart && !c->apart)
        log_line(g->env, LOG_WARN, "node", "the clock of node %u is %lld ms %s this node's", (unsigned)slot, (long long)(skew_us > 0 ? skew_us : -skew_us) / 1000,
                 skew_us > 0 ? "ahead of" : "behind");
    c->apart = apart;
    look(g);
}

void node_clock_gone(struct node_gossip *g, uint8_t slot)
{
    g->clocks[slot].known = false;
    look(g);
}
