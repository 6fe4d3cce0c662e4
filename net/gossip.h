/* gossip.h - anti-entropy as a pure state machine: messages in, messages out; no sockets, no clock,
 * no threads.
 *
 * Batches are pushed at once to every connected peer, relayed to whom the sender did not reach, and
 * pulled where a vector shows that some are missing. The server drives it from libuv, the simulator
 * from a fake network; both pass the time in (monotonic us). Every queue is bounded: to a slow peer
 * pushes are dropped and its own pulls repair that. Not thread-safe, but for what says so: who sends
 * what waits for a peer may be another thread. See the top of gossip.c. */
#ifndef NET_GOSSIP_H
#define NET_GOSSIP_H

#include "base/env.h"
#include "base/prng.h"
#include "crdt/delta_sign.h"
#include "idvec.h"

#define GOSSIP_VERSION            6u /* of the form of a status, which all levels share: fields are only ever added at its end */
#define GOSSIP_STATUS_FIELDS      14u
#define GOSSIP_REFUSED_BYTES      240u
#define GOSSIP_MESSAGE_BYTES_MAX  (4u << 20)
#define GOSSIP_QUEUE_BYTES_MAX    (4u << 20) /* waiting for one peer; past it pushes are dropped */
#define GOSSIP_PULL_BYTES         (512u << 10) /* asked for, and served, at once */
#define GOSSIP_PULL_CHAINS_MAX    64u          /* in one request */
#define GOSSIP_STASH_BYTES_MAX    (4u << 20)   /* batches that came before their predecessors */
#define GOSSIP_STASH_BATCHES_MAX  64u
#define GOSSIP_STATUS_INTERVAL_US 1000000u
#define GOSSIP_PING_INTERVAL_US   150000u
#define GOSSIP_PING_BYTES_MAX     16u /* no ping is longer */
#define GOSSIP_SKEW_AGE_US        5000000u /* what an older ping told of a clock is forgotten */
#define GOSSIP_PULL_TIMEOUT_US    2000000u /* then somebody else is asked */
#define GOSSIP_PUSHED_AGE_US      500000u /* and three round trips: so long after a push from a peer the chain's next are expected as pushes, too */
#define GOSSIP_HASH_BYTES_MAX     64u
#define GOSSIP_SNAPSHOT_BYTES_MAX (512u << 10) /* of one message about snapshots */

/* What the host says to a batch. */
enum gossip_verdict {
    GOSSIP_ACCEPTED, /* verified and taken; it is relayed. It may not be on disk yet: see
                        gossip_disk_moved */
    GOSSIP_HELD, /* verified and taken, but waits for its dependencies or its time; relayed all the
                    same */
    GOSSIP_DUPLICATE, /* already here */
    GOSSIP_GAP,       /* its predecessor is missing: *need says what to pull */
    GOSSIP_LATER,     /* it cannot be told yet whether this chain's are to be taken: asked for again after a
                         second */
    GOSSIP_BUSY,      /* cannot be taken now, and that is not the sender's fault (disk full): pulled
                         again later */
    GOSSIP_REFUSED    /* forged, altered, of an unknown member: err says why; the link is closed */
};
struct gossip_need {
    struct chain_id chain; /* what was taken, or is here: under this name (of a member that signed two histories each
                              branch has its own); the header's unless the host says otherwise */
    uint64_t from; /* GAP: first missing delta */
};

enum gossip_state {
    GOSSIP_STATE_STARTING,
    GOSSIP_STATE_CATCHING_UP,
    GOSSIP_STATE_READY,
    GOSSIP_STATE_FENCED,
    GOSSIP_STATE_LEAVING,
    GOSSIP_STATE_TOO_OLD /* it lacks deltas that no member's log holds any longer */
};

/* What a node says about itself once a second. */
struct gossip_status {
    uint64_t wall_us;   /* its physical clock */
    hlc_stamp floor;    /* it will stamp nothing at or below this */
    uint64_t incarnation; /* of its chain in this run, from before that begins; not 0 */
    uint64_t answers;   /* of a peer: made after it had this question of ours (gossip_ask); 0: none.
                           Not the host's to fill */
    uint8_t state;      /* enum gossip_state */
    uint8_t hash_bytes; /* 0: no hash at this vector */
    uint8_t hash[GOSSIP_HASH_BYTES_MAX]; /* of the merged state at `applied` */
    struct idvec disk;                   /* synced */
    struct idvec applied;                /* visible */
};
void gossip_status_deinit(struct gossip_status *s);
quartet_status gossip_status_copy(struct gossip_status *to, const struct gossip_status *from,
                                  struct err *err);

/* The host. All functions are called from the thread that calls gossip, and must not call gossip in
 * turn. None may be NULL but the last. */
struct gossip_host {
    void *ctx;
    /* Check, verify, append. `from`: the slot that sent it, which need not be its origin. */
    enum gossip_verdict (*deliver)(void *ctx, struct slice batch, uint8_t from,
                                   struct gossip_need *need, struct err *err);
    /* Append to `out` whole batches of the chain, each with its u32 length before it, beginning
     * with the one that holds delta `from`; stop before max_bytes is passed, but give at least one
     * where there is one on disk. Nothing is appended where there is none. QUARTET_TOO_OLD: the log
     * no longer has it. */
    quartet_status (*read_batches)(void *ctx, struct chain_id chain, uint64_t from,
                                   size_t max_bytes, struct buf *out, struct err *err);
    /* Fill (replace) all of *out, both vectors included; it is initialised. Called once a second
     * and at connect. */
    quartet_status (*status)(void *ctx, struct gossip_status *out, struct err *err);
    /* Fill (replace) *disk only. Called often: at every gossip_disk_moved. */
    quartet_status (*disk)(void *ctx, struct idvec *disk, struct err *err);
    uint64_t (*wall_us)(void *ctx); /* the wall clock, now */
    /* News of peers. `status->disk` grows monotonically within a connection. peer_disk: what it has
     * synced (commit_acks, trimming). */
    void (*peer_link)(void *ctx, uint8_t slot, bool connected);
    void (*peer_status)(void *ctx, uint8_t slot, const struct gossip_status *status);
    void (*peer_disk)(void *ctx, uint8_t slot, const struct idvec *disk);
    /* The peer's wall clock less ours lies within error_us of skew_us. Of late, not of now: called whenever a ping is answered. */
    void (*peer_clock)(void *ctx, uint8_t slot, int64_t skew_us, uint64_t error_us);
    /* A peer sent something invalid; the link is being closed. The text is safe to log. */
    void (*peer_fault)(void *ctx, uint8_t slot, const char *text);
    /* This peer has deltas of the chain from `from` on, which are missing here, and can no longer
     * give them from its log. Others are asked. */
    void (*too_old)(void *ctx, uint8_t slot, struct chain_id chain, uint64_t from);
    /* The host's own conversation about snapshots: a message of it came from this peer (untrusted), or, with bytes.p NULL, the peer is connected and it is
     * time to say something. Append to *replies what is to be sent to it: each message with its u32 length before it, at most GOSSIP_SNAPSHOT_BYTES_MAX. Another
     * status than QUARTET_OK: the peer's fault. May be NULL: then such a message is. */
    quartet_status (*snapshot)(void *ctx, uint8_t slot, struct slice bytes, struct buf *replies,
                               struct err *err);
    /* Levels (base/level.h; gossip_level.c). The build's, and the members who must speak a level of operations before it is used, bits by slot, our own among them
     * (0: none ever is). */
    uint32_t level_min, level_max; /* 0: LEVEL_MIN, LEVEL_MAX */
    uint8_t members;
    uint32_t (*level)(void *ctx); /* of the operations in use; NULL: the first */
    /* Every member speaks it, or another one says that it is in use: remember that, for good, then use it. May be NULL. */
    void (*raise_level)(void *ctx, uint32_t level);
};

typedef struct gossip gossip;

/* `host` is copied; its ctx must outlive the gossip. `seed` feeds choices between peers. */
quartet_status gossip_new(uint8_t slot, uint64_t seed, const struct gossip_host *host, gossip **out,
                          struct err *err);
void gossip_free(gossip *g); /* NULL is allowed */

/* Events. A peer is a slot other than ours. Connecting a connected slot begins anew. */
quartet_status gossip_connect(gossip *g, uint8_t slot, uint64_t now_us, struct err *err);
void gossip_disconnect(gossip *g, uint8_t slot, uint64_t now_us);
/* One message from a peer (decrypted, untrusted). QUARTET_UNAVAILABLE: our versions are too far
 * apart, nobody's fault; close the link. Any other failure but QUARTET_NOMEM is the peer's fault:
 * close the link, back off. After it the slot is disconnected here. */
quartet_status gossip_input(gossip *g, uint8_t slot, struct slice message, uint64_t now_us,
                            struct err *err);
/* A batch of our own chain was sealed and is on our disk: push it. Bytes are copied once. */
quartet_status gossip_local_batch(gossip *g, struct slice batch, uint64_t now_us, struct err *err);
/* The disk vector moved: acknowledge to the origins. */
quartet_status gossip_disk_moved(gossip *g, uint64_t now_us, struct err *err);
/* Ask every connected peer for its status now; also those that connect later. `number` grows with
 * every call; a status with `answers` no less was made after the question came, so it names all
 * that was acknowledged there before. */
quartet_status gossip_ask(gossip *g, uint64_t number, uint64_t now_us, struct err *err);
/* Call every 50 ms or so: status, pings, overdue pulls. */
quartet_status gossip_tick(gossip *g, uint64_t now_us, struct err *err);

/* The next gossip_input's message came so long before its now_us: it has waited. What the message says of the time is taken as of then. */
void gossip_set_lag(gossip *g, uint64_t lag_us);

/* Output: three lanes, each in its order; what is in an earlier one overtakes. */
enum gossip_lane {
    GOSSIP_CONTROL, /* status, acknowledgements, questions, keep-alives */
    GOSSIP_FRESH,   /* pushes and relays */
    GOSSIP_BULK,    /* answers to pulls, pieces of snapshots */
    GOSSIP_LANES
};
/* The next message for a peer; false: none. Valid until gossip_pop. Take as many as the link can carry. In one thread with all else. */
bool gossip_peek(const gossip *g, uint8_t slot, struct slice *message);
void gossip_pop(gossip *g, uint8_t slot);

/* The same for a sender with a thread of its own; any thread. What is queued after gossip_connect may go to this link (not 0) once gossip_open_output was called; another
 * connect or disconnect ends that. */
void gossip_open_output(gossip *g, uint8_t slot, uint64_t link);
/* Take the next message of the lanes up to this one; NULL: none, or the output is not this link's. Released with gossip_release. */
struct gossip_body *gossip_take(gossip *g, uint8_t slot, uint64_t link, enum gossip_lane up_to, struct slice *message);
void gossip_release(struct gossip_body *body);
size_t gossip_queued_bytes(gossip *g, uint8_t slot);
uint32_t gossip_link_level(gossip *g, uint8_t slot); /* 0: not known yet, or no link */

/* Keep-alives without a gossip, so that they are answered and sent while it is busy; any thread. */
/* Append the answer, where the message is a ping and well-formed. */
bool gossip_answer_ping(struct slice message, uint64_t wall_us, struct buf *out);
void gossip_put_keepalive(struct buf *out); /* a ping whose answer tells nothing */

/* Figures. */
struct gossip_peer_view {
    bool connected;
    uint64_t rtt_us;       /* smoothed; 0: not known yet */
    int64_t skew_us;       /* its wall clock less ours, as the quickest ping of late tells; 0 before the first */
    uint64_t status_at_us; /* when its last status came; 0: never */
    size_t queued_bytes;
    uint32_t level;                /* that this link speaks; 0: not known yet */
    uint32_t level_min, level_max; /* of its build, as last told; 0: never */
    char refused[GOSSIP_REFUSED_BYTES]; /* why there can be no link with its version; "": there can */
    struct gossip_status status; /* deep copy where asked for by gossip_peer */
};
struct gossip_counters {
    uint64_t batches_in, batches_accepted, batches_duplicate, batches_gap, batches_refused,
        batches_busy;
    uint64_t batches_pushed, batches_relayed, batches_served, pushes_dropped, pulls_sent,
        pulls_served, faults;
    uint64_t looks_back_cut; /* what it was to ask for again, to find where two histories part, is no longer in that log */
    uint64_t messages_in, messages_out, bytes_in, bytes_out;
};
/* *out is initialised by this and released with gossip_status_deinit(&out->status). */
quartet_status gossip_peer(gossip *g, uint8_t slot, struct gossip_peer_view *out,
                           struct err *err);
struct gossip_counters gossip_counters_get(const gossip *g);

#endif
