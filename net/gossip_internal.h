/* gossip_internal.h - what the files of gossip share. Only gossip*.c include it. */
#ifndef NET_GOSSIP_INTERNAL_H
#define NET_GOSSIP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "gossip.h"

enum gossip_kind {
    GM_STATUS = 1,
    GM_ASK = 2,
    GM_BATCH = 3,
    GM_PULL = 4,
    GM_PULLED = 5,
    GM_PULL_END = 6,
    GM_HAVE = 7,
    GM_PING = 8,
    GM_PONG = 9,
    GM_SNAPSHOT = 10
};

/* One message's bytes, shared by the queues of all peers it goes to. */
struct gossip_body {
    _Atomic uint32_t refs;
    size_t n;
    uint8_t bytes[];
};
struct gossip_item {
    struct gossip_item *next;
    struct gossip_body *body;
};
struct gossip_queue {
    struct gossip_item *first, *last;
};
/* What waits for a peer's link. Apart from all else, and under out_lock, since who sends need not be in gossip. */
struct gossip_out {
    struct gossip_queue lanes[GOSSIP_LANES];
    size_t queued_bytes;
    uint32_t level; /* of this link; 0: its status has not come yet, so only what every version knows may be said */
    uint64_t link;  /* gossip_open_output; 0: not yet */
};

struct gossip_want {
    struct chain_id chain;
    uint64_t from;
};

/* The peer's chain departs from ours somewhere below what we have: from where it is looked at, until
 * the place is found. It outlasts answers that are lost, and what our disk vector says meanwhile. */
/* A chain that a peer pushes: what is still missing of it is on its way, and not to be pulled as well. Its status and acknowledgements overtake pushes. */
#define GOSSIP_PUSHES_MAX 8u
struct gossip_pushing {
    struct chain_id chain;
    uint64_t until_us; /* 0: free */
};

#define GOSSIP_BACKS_MAX 8u
struct gossip_back {
    struct chain_id chain;
    uint64_t start, from; /* start: where this look began; from: what comes next. 0: free */
};

/* A member's build, as of that time of its clock. */
struct gossip_heard {
    uint32_t level; /* the highest that it speaks; 0: nothing was heard */
    uint64_t as_of_us;
};
struct gossip_told_levels { /* of a status */
    uint32_t min, max, used;
    struct gossip_heard heard[SLOTS_MAX];
};

struct gossip_peer_state {
    bool connected;
    uint32_t level; /* of this link, as in gossip_out */
    uint32_t level_min, level_max;
    char refused[GOSSIP_REFUSED_BYTES];
    bool have_due; /* it may lack something of our disk that we have not told it */
    struct idvec offers; /* what can be asked of it: told, or sent by it */
    struct idvec sent;   /* what it has or is about to have: offers, and what we pushed */
    struct idvec told;   /* of our disk vector, what we told it */
    struct idvec lost;   /* per chain: deltas below this number are no longer in its log */
    struct gossip_status status;
    uint64_t status_at_us;
    uint64_t rtt_us, ping_due_us, ask_not_before_us;
    uint64_t asked; /* the highest question it asked in this connection */
    int64_t skew_us;      /* of its clock against ours: within skew_error_us of this */
    uint64_t skew_error_us, skew_at_us; /* at 0: not known */
    bool pulling, pull_progress;
    uint32_t pull_id;
    uint64_t pull_deadline_us, pull_not_before_us;
    struct gossip_want wants[GOSSIP_PULL_CHAINS_MAX];
    uint32_t want_count;
    struct gossip_back back[GOSSIP_BACKS_MAX];
    uint32_t next_back; /* whose place is taken where none is free */
    struct gossip_pushing pushing[GOSSIP_PUSHES_MAX];
};

/* A chain that is not to be asked for before its time. */
#define GOSSIP_RESTING_MAX 16u
struct gossip_resting {
    struct chain_id chain;
    uint64_t until_us; /* 0: free */
};

struct gossip_stashed {
    uint8_t *bytes; /* owned */
    size_t n;
    struct chain_id chain;
    uint64_t first;
    uint8_t from;
    uint64_t at_us;
};

struct gossip {
    uint8_t slot;
    struct prng prng;
    struct gossip_host host;
    struct gossip_peer_state peers[SLOTS_MAX];
    pthread_mutex_t out_lock;
    struct gossip_out out[SLOTS_MAX];
    uint64_t lag_us, ticked_us;
    struct idvec disk;           /* the host's, as last asked */
    struct idvec known;          /* disk, and what the host accepted since */
    struct gossip_status status; /* ours, reused */
    struct buf scratch, served, replies;
    struct gossip_stashed stash[GOSSIP_STASH_BATCHES_MAX];
    uint32_t stash_count;
    size_t stash_bytes;
    struct gossip_resting resting[GOSSIP_RESTING_MAX];
    struct idvec disk_was; /* before the host was asked again */
    uint32_t next_pull_id;
    uint64_t status_due_us;
    uint64_t question; /* our latest; 0: none */
    struct gossip_heard heard[SLOTS_MAX]; /* our own among them */
    struct gossip_counters counters;
};

/* gossip_queue.c */
struct gossip_body *gossip_body_new(const struct buf *message); /* NULL: out of memory; refs 1 */
void gossip_body_unref(struct gossip_body *b);
bool gossip_queue_put(struct gossip *g, struct gossip_peer_state *p, enum gossip_lane lane,
                      struct gossip_body *body); /* takes its own reference */
void gossip_queue_reset(struct gossip *g, const struct gossip_peer_state *p); /* empty, closed, of no level */
size_t gossip_queued(struct gossip *g, const struct gossip_peer_state *p);    /* bytes */
void gossip_queue_level(struct gossip *g, const struct gossip_peer_state *p, uint32_t level);
/* Send what is in g->scratch to one peer. */
quartet_status gossip_send_ask(struct gossip *g, struct gossip_peer_state *p, struct err *err);
quartet_status gossip_send_scratch(struct gossip *g, struct gossip_peer_state *p, enum gossip_lane lane,
                                   struct err *err);

/* gossip_level.c */
uint32_t gossip_level_min(const struct gossip *g);
uint32_t gossip_level_max(const struct gossip *g);
uint32_t gossip_level_used(const struct gossip *g);
void gossip_level_put(struct gossip *g, struct buf *out);
bool gossip_level_get(struct bytes_in *in, struct gossip_told_levels *out); /* false: malformed */
/* QUARTET_UNAVAILABLE: our versions are too far apart. */
quartet_status gossip_level_take(struct gossip *g, uint8_t slot, const struct gossip_told_levels *t, uint64_t wall_us, struct err *err);
void gossip_level_look(struct gossip *g); /* does every member speak a newer level of operations? */

/* gossip_batch.c: what comes in and what is passed on */
struct gossip_incoming {
    uint8_t from;  /* the peer that sent it */
    bool pulled;   /* an answer to a pull, not a push */
    uint32_t mask; /* slots that the sender sent it to */
    struct slice bytes;
    uint64_t now_us;
};
quartet_status gossip_take_batch(struct gossip *g, const struct gossip_incoming *in,
                                 struct err *err);
/* To all connected peers that are not in mask and have what comes before. */
quartet_status gossip_push(struct gossip *g, const struct batch_header *header, struct slice bytes,
                           uint32_t mask, bool relay, struct err *err);
void gossip_stash_clear(struct gossip *g);
void gossip_stash_age(struct gossip *g, uint64_t now_us);

/* A chain may come to be shorter, when it is found out that from some delta on it is several: what
 * was believed of it by `was` is then what `is` says. */
void gossip_lower(struct idvec *v, const struct idvec *was, const struct idvec *is);
/* gossip_pull.c: who lacks what */
struct gossip_back *gossip_back_find(struct gossip_peer_state *p, struct chain_id chain);
void gossip_go_back(struct gossip_peer_state *p, struct chain_id chain, uint64_t from);
void gossip_rest(struct gossip *g, struct chain_id chain, uint64_t now_us);
/* The peer pushed a batch of this chain, which followed what was here (or did not: then what is between is not on its way). */
void gossip_note_push(struct gossip_peer_state *p, struct chain_id chain, bool followed, uint64_t now_us);
quartet_status gossip_plan_pulls(struct gossip *g, uint64_t now_us, struct err *err);
quartet_status gossip_serve_pull(struct gossip *g, struct gossip_peer_state *p, struct bytes_in *in,
                                 struct err *err);
quartet_status gossip_pull_ended(struct gossip *g, uint8_t slot, struct bytes_in *in,
                                 uint64_t now_us, struct err *err);
quartet_status gossip_send_have(struct gossip *g, struct gossip_peer_state *p, struct err *err);

#endif
