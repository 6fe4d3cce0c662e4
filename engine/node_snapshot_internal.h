/* node_snapshot_internal.h - for node_snapshot*.c only. */
#ifndef ENGINE_NODE_SNAPSHOT_INTERNAL_H
#define ENGINE_NODE_SNAPSHOT_INTERNAL_H

#include <pthread.h>

#include "db_snapshot.h"
#include "node_snapshot.h"

#define SNAPSHOT_HASH_BYTES 32u
#define SNAPSHOT_SIGNATURE_BYTES 64u
#define SNAPSHOT_HEARD_MAX 32u /* states of each member that are remembered, to be held against a snapshot's */

enum snapshot_message { /* first byte */
    SNAPSHOT_ASK = 1,   /* u64 stream, u64 first piece, u8 pieces */
    SNAPSHOT_PIECE = 2, /* u64 stream, u64 piece, u8 last, 32 bytes hash of the piece before (zeros: the first), u32 length, bytes, 64 bytes signature */
    SNAPSHOT_WAIT = 3,  /* it is being made, or somebody else gets one */
    SNAPSHOT_NO = 4,    /* u64 stream, text */
    SNAPSHOT_HASHES = 5 /* nothing about snapshots: node_alarm.c's */
};

struct snapshot_giving { /* under lock */
    db_donation *open;     /* NULL: none */
    bool wanted, making;   /* the worker is to make one, for `to`; it is at it */
    uint8_t to;
    uint64_t stream;       /* its name: what the receiver calls it */
    uint64_t made, asked;  /* pieces; asked up to this one */
    bool ended;
    uint8_t hash[SNAPSHOT_HASH_BYTES];         /* of the last piece made */
    struct buf kept[NODE_SNAPSHOT_WINDOW];     /* the last pieces as they were sent: by number modulo the window */
    size_t budget;                             /* bytes that may go before the next tick */
    uint64_t heard_ms;
};

enum snapshot_phase { TAKING_NONE, TAKING_PIECES, TAKING_CHECK, TAKING_CONFIRM, TAKING_ADOPTED };

struct snapshot_heard { /* what a member said of its state */
    uint64_t vector;    /* hash of chains and numbers */
    uint8_t hash[16];
};

struct snapshot_member { /* by slot; under lock */
    bool connected, may_give;
    uint64_t bad_until_ms;
    uint8_t donors;  /* as node_snapshot_unconfirmed, as it last told */
    struct buf disk; /* its vector on disk, as it last told */
    struct snapshot_heard heard[SNAPSHOT_HEARD_MAX];
    uint32_t heard_count; /* all of them; the last ones are kept */
};

struct snapshot_taking { /* under lock, but what the worker alone uses from TAKING_CHECK on */
    enum snapshot_phase phase;
    uint8_t from;
    uint64_t stream, next; /* its name, random; the piece that is waited for */
    uint8_t hash[SNAPSHOT_HASH_BYTES];
    struct file *f;
    uint64_t bytes;
    uint64_t asked_ms, moved_ms, decide_ms;
    struct db_snapshot_info info;
    uint64_t vector; /* of info: as in snapshot_heard */
    bool confirmed;
};

struct node_snapshot {
    pthread_mutex_t lock;
    struct snapshot_giving give;
    struct snapshot_taking take;
    struct snapshot_member members[SLOTS_MAX];
    bool unconfirmed; /* this node's state is that of `donor`, and no other member has confirmed it yet */
    uint8_t donor, donors; /* donors: bits of it, and of those whose state its own was */
    uint64_t alarm_ms;
    struct node_snapshot_counters counters;
};

uint64_t snapshot_now_ms(const struct node_gossip *g);
/* The hash of a piece, which its signature is over and the next piece names. */
void snapshot_piece_hash(const struct node_gossip *g, uint8_t slot, uint64_t stream, uint64_t piece, bool last, const uint8_t *before, struct slice bytes, uint8_t *out);
size_t snapshot_reply_begin(struct buf *replies, uint8_t kind); /* a message with its length before it */
void snapshot_reply_end(struct buf *replies, size_t begun);

/* node_snapshot_give.c; lock held */
void snapshot_give_ask(struct node_gossip *g, uint8_t slot, struct bytes_in *in, struct buf *replies);
void snapshot_give_tick(struct node_gossip *g, uint8_t slot, struct buf *replies);
void snapshot_give_work(struct node_gossip *g); /* lock held on entry and exit, not in between */
void snapshot_give_end(struct node_snapshot *n);

#endif
