/* node_alarm.h - the divergence alarm: members tell each other their tables' hashes as of a stamp, every few seconds, under load too. Who holds the same transactions
 * up to it must have the same hashes. Nothing is repaired: which side is right cannot be told from here. Rounds and messages: the top of node_alarm.c, docs/WIRE.md "Hashes". */
#ifndef ENGINE_NODE_ALARM_H
#define ENGINE_NODE_ALARM_H

#include "node.h"

/* A round begins an eighth of it before its stamp's time, and is taken three eighths after it: what was on its way has mostly come. */
#define NODE_ALARM_PERIOD_MS 4000u
#define NODE_ALARM_TABLES_MAX 1024u /* told in one round; with more tables each round tells of others */
#define NODE_ALARM_NAMED_MAX 64u   /* tables that are known to differ from a member's; more are counted */

struct node_alarm;
quartet_status node_alarm_new(struct node_gossip *g, struct err *err); /* g->alarm */
void node_alarm_free(struct node_gossip *g);

void node_alarm_set_period(struct node_gossip *g, uint32_t ms); /* for tests; the same on all nodes; before it works */

/* On gossip's thread. `slot` says what it has (the bytes after the kind); and it is time to tell `slot` something. */
quartet_status node_alarm_message(struct node_gossip *g, uint8_t slot, struct bytes_in *in, struct err *err);
void node_alarm_tell(struct node_gossip *g, uint8_t slot, struct buf *replies);
/* On the worker's thread, every 50 ms or so. True: there is more to do at once. */
bool node_alarm_work(struct node_gossip *g);

struct node_alarm_figures { /* zeros where there is no alarm (the node is not started) */
    uint64_t rounds, skipped;       /* hashes told; rounds in which that was not possible */
    uint64_t compared, differing;   /* comparisons with a member; those in which a table differed */
    uint64_t compared_ms[SLOTS_MAX]; /* when a comparison with that slot was last possible, by the monotonic clock; 0: never */
    uint32_t tables;                /* that differ now from some member's */
};
struct node_alarm_figures node_alarm_figures(struct node_gossip *g);
/* "t, u": tables that differ from what this slot has; of this node's own slot: from what any has. Empty: none. Appended. */
void node_alarm_text(struct node_gossip *g, uint8_t slot, struct buf *out);

#endif
