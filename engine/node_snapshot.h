/* node_snapshot.h - how members hand each other snapshots: asks, pieces, who may give, who confirms. State machine and format: the top of node_snapshot.c, docs/WIRE.md ("Snapshots"). */
#ifndef ENGINE_NODE_SNAPSHOT_H
#define ENGINE_NODE_SNAPSHOT_H

#include "node.h"

#define NODE_SNAPSHOT_PIECE_BYTES (256u << 10)
#define NODE_SNAPSHOT_BYTES_MAX ((uint64_t)1 << 40) /* of one stream */
#define NODE_SNAPSHOT_WINDOW 8u              /* pieces that may be asked for and not be here yet */
#define NODE_SNAPSHOT_TICK_BYTES (2u << 20)  /* given per call of gossip's tick (50 ms): so commits of the donor go on, 40 MiB/s */
#define NODE_SNAPSHOT_KEPT_MS 30000u         /* a donor keeps for who does not ask: a cut link comes back */
#define NODE_SNAPSHOT_ASK_MS 300u            /* without an answer it is asked again */
#define NODE_SNAPSHOT_PATIENCE_MS 20000u     /* without a piece another donor is taken */
#define NODE_SNAPSHOT_CONFIRM_MS 10000u      /* so long another member may tell its hash at the same vector */
#define NODE_SNAPSHOT_BAD_MS 60000u          /* a donor whose snapshot was refused is not asked again so soon */
#define NODE_SNAPSHOT_FROM "snapshot.from"   /* in the database's directory: whose state this is, until another member has confirmed it */

#define NODE_SNAPSHOT_UNCONFIRMED_BYTES 17u  /* of a hash in STATUS whose last byte is node_snapshot_unconfirmed's */

struct node_snapshot;
quartet_status node_snapshot_new(struct node_gossip *g, struct err *err); /* g->snapshot */
void node_snapshot_free(struct node_gossip *g);

/* On gossip's thread. */
quartet_status node_snapshot_message(void *g, uint8_t slot, struct slice bytes, struct buf *replies, struct err *err); /* gossip_host.snapshot */
void node_snapshot_status(struct node_gossip *g, uint8_t slot, const struct gossip_status *s);
void node_snapshot_link(struct node_gossip *g, uint8_t slot, bool connected);

/* On the worker's thread, every 50 ms or so: what takes long. Not more than one at a time. */
void node_snapshot_work(struct node_gossip *g);
/* The database is sealed and is to be closed and opened. Any thread. */
bool node_snapshot_is_adopted(struct node_gossip *g);
/* Whose state this node's is, a bit for each slot, as long as nobody else has confirmed it; 0: nobody's, or it is confirmed. Any thread. Who runs on such a state vouches for nobody's. */
uint8_t node_snapshot_unconfirmed(struct node_gossip *g);
/* node_alarm.c: what this node and a member hold as of one stamp was compared. whole: all tables; differ: some are not the same. */
void node_snapshot_compared(struct node_gossip *g, uint8_t slot, bool whole, bool differ);
/* What is going on, for people; empty: nothing. Appended. */
void node_snapshot_text(struct node_gossip *g, struct buf *out);
/* Figures for tests. */
struct node_snapshot_counters {
    uint64_t given, taken, refused, confirmed, contradicted; /* streams given to their end; taken up; with rows that are not what the donor tells; by another member; of these not */
    uint64_t as_of; /* of the last two: as of a stamp, not at equal vectors */
};
struct node_snapshot_counters node_snapshot_counters(struct node_gossip *g);

#endif
