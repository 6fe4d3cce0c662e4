/* sim.h - a cluster of up to four nodes in one thread and in simulated time, all of it drawn from one seed.
 *
 * The object files are those of production: database, gossip, node_gossip. Only the environment (fault_env: disk, clock, randomness) and the
 * network (sim_net.c) are made up. Two phases: first anything goes (loss, delay, repetition, reordering, partitions, crashes, clock
 * jumps); then faults are off and the cluster must converge within a bounded time. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "base/prng.h"
#include "engine/conn.h"
#include "engine/db.h"
#include "engine/node.h"
#include "fault/fault_env.h"
#include "merge/model.h"
#include "net/gossip.h"

#define SIM_NODES_MAX 4u
#define SIM_TICK_US 50000u
#define SIM_HEAL_US 120000000u /* the healed cluster must agree within this */
#define SIM_WRITES_MAX 4096u   /* of one node */
#define SIM_LOADS_MAX 32u
#define SIM_LOADS_FIRST 9u /* drawn with the other options; later ones for themselves */
#define SIM_DOCS_MAX 3u
#define SIM_FAULT_KINDS_MAX 24u
#define SIM_EVENTS_MAX 4096u

/* What the seed decides; all of it is printed with a failure. */
struct sim_options {
    uint64_t seed;
    uint32_t nodes;
    uint32_t transactions;      /* asked for in all */
    uint64_t run_us;            /* length of the first phase */
    uint32_t keys;              /* rows that everybody writes */
    uint32_t weights[SIM_LOADS_MAX]; /* of each load (sim_load.h); 0: left out */
    double loss, repeat, corrupt; /* per message */
    uint64_t delay_us_min, delay_us_max;
    double faults[SIM_FAULT_KINDS_MAX]; /* by enum sim_fault: chance per simulated second */
    double power_loss;          /* of crashes: unsynced sectors are decided anew; the others are mere kills */
    double slow;                /* of transactions: time passes, and others' arrive, before COMMIT */
    uint32_t large;             /* rows of a large transaction */
    bool concurrent_ddl;        /* two nodes make the same tables without knowing of each other */
    size_t buffer_bytes;        /* small: flushes in the middle of everything */
    bool purge;                 /* now and then all is flushed and what may go is swept away */
    uint64_t retention_ms;      /* history_retention */
    uint64_t notice_us;         /* up to so long after a node fell over its peers believe that the link stands, and it gets no new one */
    bool alone;                 /* who goes on with an old backup is linked to nobody at first */
    bool fold;                  /* members look ten times a second, not every ten seconds, for closed chains that are to be folded; and in the end all must be */
    uint32_t lives;             /* so often, once all agree, every node starts anew, and all go on with what chains that are folded had written */
    bool cheap_signature;       /* batches are signed with a keyed hash (sim_sign.c): a third of the time goes into Ed25519 otherwise */
};

/* Faults that come by themselves, sim_fault.c. */
#define SIM_FAULTS(X)                                                                                           \
    X(LINK, "link cut")        /* one direction of one link, or both; or it is mended */                         \
    X(PARTITION, "partition")  /* each node falls on one side or the other */                                    \
    X(CRASH, "crash")          /* between two writes or in the middle of them; by power loss or kill */          \
    X(CLOCK, "clock jump")     /* up to two seconds, either way */                                               \
    X(HOUR, "hour jump")       /* an hour, either way */                                                         \
    X(FREEZE, "frozen clock")  /* wall time stands still; or goes on */                                          \
    X(PAUSE, "pause")          /* as SIGSTOP: nothing is done and nothing heard */                               \
    X(FULL, "full disk")       /* and some time later there is room again */                                     \
    X(IO, "I/O error")         /* a write or an fsync fails; the node starts again */                            \
    X(FLIP, "bit flip")        /* in a file of a node that is down */                                            \
    X(LIE, "lying fsync")      /* it says yes and does nothing; then the power goes */                           \
    X(LOSE, "lost disk")       /* the node starts with an empty one */                                           \
    X(BACKUP, "backup")        /* a copy of a node's files as they are */                                        \
    X(RESTORE, "old backup")   /* the node goes on with that copy; its disk is put aside, and comes back with the next */ \
    X(MEMORY, "out of memory") /* in the middle of a transaction */                                                     \
    X(FORK, "two histories")   /* the last node signs others under the same numbers, and some hear of those; once (sim_fork.c) */ \
    X(EVICT, "eviction")       /* a member is evicted, its slot given to a new node; the second of these lets it come back (sim_evict.c) */ \
    X(CUT, "logs cut")         /* all other nodes forget of their logs what they all have, whether this one has it or not (sim_snapshot.c) */
enum sim_fault {
#define X(name, text) SIM_FAULT_##name,
    SIM_FAULTS(X)
#undef X
        SIM_FAULT_COUNT
};
_Static_assert(SIM_FAULT_COUNT <= SIM_FAULT_KINDS_MAX, "room for a chance of each");

#define SIM_RUNS_MAX 64u
struct sim_run_had { /* what a run of a node had applied at the most */
    uint64_t run;    /* its incarnation */
    struct idvec v;  /* owned */
};

struct sim_node {
    struct sim *sim;
    uint8_t slot;
    bool up;
    struct fault_env env;
    int64_t clock_offset_us;
    db *d;
    conn *c;
    struct node_gossip host;
    gossip *g;
    struct member_key key;
    uint64_t starts;
    uint64_t next;                    /* number of the next transaction */
    uint8_t told[SIM_WRITES_MAX];     /* 1: acknowledged; 2: failed or cut off, or on a lost disk alone, so that its outcome is open */
    uint64_t held_us;                 /* down until then */
    bool keep_unsynced;               /* when it starts again: it was killed, not cut off from power */
    bool frozen;
    uint32_t doc, told_doc;           /* of sim.docs: the one it runs with, and the newest that it has heard of, with which it starts anew at doc_us */
    uint64_t doc_us;
    bool gone;                        /* it is evicted, and not started again */
    uint64_t paused_us, full_us, alone_us; /* until then */
    bool sick;                        /* a write or fsync was made to fail: it may say so, and starts again */
    bool damaged;                     /* its files may be: it may refuse to start, and then gets an empty disk */
    bool memory;                      /* an allocation of its transaction is made to fail */
    struct fault_env aside;           /* an older copy of its files, or the newer one while that is in use */
    bool has_aside;
    bool lied;           /* its disk lost what it had said was on it */
    bool restored;       /* it goes on with an older disk: the cluster may have gone on without what that holds */
    struct sim_run_had had[SIM_RUNS_MAX]; /* oldest first; sim_purge.c's */
    uint32_t had_count;
    struct idvec purged;              /* its purge vector, when it was looked at last */
};

struct sim_message {
    uint64_t at_us, order;
    uint8_t from, to;
    uint32_t epoch; /* of the link; older ones are lost with it */
    size_t n;
    uint8_t *bytes; /* owned */
    bool corrupt;   /* a bit of it was changed on the way */
};

struct sim_batch { /* every batch that any node has signed, as it was */
    uint8_t *bytes;
    size_t n;
    bool maybe_lost; /* when a disk was lost nobody else had it: it may be gone with it, or come after all */
};

/* A run's transactions and faults are events, numbered in the order in which they fall due. When each falls due is drawn from one stream of random
 * numbers, what it does from a stream of its own: so any of them can be left out and the others stay what they are. That is how a failing run is made short. */
struct sim {
    struct sim_options o;
    struct prng plan; /* which events fall due, and when */
    struct prng prng; /* of the event at hand */
    struct prng net[SIM_NODES_MAX][SIM_NODES_MAX];
    uint64_t next_event;
    struct sim_node *working; /* in a transaction: it is not closed under its session; NULL: none */
    uint32_t event_txns;   /* transactions of the event at hand */
    const bool *leave_out; /* by event number, SIM_EVENTS_MAX of them; NULL: nothing */
    bool narrate;          /* print each event that takes place */
    uint64_t skipped_us;   /* time that was leapt over at the end, so that stamps from the future come due */
    uint64_t compared, compare_skipped; /* of node_alarm.h, by nodes that were closed since */
    bool future;           /* some clock was an hour ahead */
    size_t schema_batches; /* how many batches there were when the tables were made */
    uint64_t now_us;
    bool healed;
    struct member_doc docs[SIM_DOCS_MAX]; /* the first; without the node that was evicted; with a new one in its slot */
    uint32_t stage;        /* the newest of them; 0: nobody was evicted */
    uint8_t evicted;       /* which slot */
    struct fault_env former; /* the evicted node's disk */
    struct member_key former_key;
    bool has_former, returned;
    struct sim_node nodes[SIM_NODES_MAX];
    bool blocked[SIM_NODES_MAX][SIM_NODES_MAX]; /* from, to */
    bool linked[SIM_NODES_MAX][SIM_NODES_MAX];  /* gossip believes so, on the first one's side */
    uint32_t epoch[SIM_NODES_MAX][SIM_NODES_MAX];
    uint64_t stale_us[SIM_NODES_MAX][SIM_NODES_MAX]; /* until then the first one has not noticed that the second fell over */
    struct sim_message *queue; /* a heap by (at_us, order) */
    size_t queue_count, queue_cap;
    uint64_t order;
    struct sim_batch *batches;
    size_t batch_count, batch_cap;
    uint64_t event_hash, events;
    bool frozen_out;   /* a slot was frozen because its disk forgot what it had signed, and signed again: so it must be, and the run ends */
    uint64_t looks_back_cut, came; /* of gossip_counters and node_gossip, by nodes that were closed since; in the end by all */
    bool came_back;    /* a disk that was put aside is used again */
    bool liar;         /* the last node signed two histories */
    uint64_t forks;    /* and somebody took the second one */
    uint64_t committed, failed_txns, crashes, partitions, messages, lost, replaced, snapshots;
    char failure[2048]; /* empty: none so far */
    bool trace;
    struct buf log;     /* the nodes' log lines, told with a failure */
};

void sim_options_draw(struct sim_options *o, uint64_t seed);
void sim_options_print(const struct sim_options *o);
/* The nodes, started and without tables; time moves by sim_tick only. false: s->failure says why. sim_free in any case. */
bool sim_begin(struct sim *s, const struct sim_options *o, bool trace);
void sim_tick(struct sim *s); /* SIM_TICK_US: messages, restarts, links, each node's worker */
/* Run one seed. true: nothing broke. s->failure says what did. */
bool sim_run(struct sim *s, const struct sim_options *o, const bool *leave_out, bool narrate, bool trace);
/* Of a run that fails: the fewest events and the plainest network with which it still does. leave_out has room for SIM_EVENTS_MAX. */
void sim_shrink(struct sim_options *o, uint64_t events, bool *leave_out, uint64_t *runs);
void sim_free(struct sim *s);

/* for the files of the simulator */
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_note(struct sim *s, const char *what, uint64_t a, uint64_t b); /* into the event hash; printed where traced */
void sim_batch_add(struct sim *s, struct slice batch); /* to all that were signed; copied */
bool sim_start_node(struct sim *s, uint8_t slot);
void sim_stop_node(struct sim *s, uint8_t slot); /* as a crash does */
void sim_pump(struct sim *s, uint8_t slot);      /* send what gossip wants to send */
bool sim_net_open(const struct sim *s, uint8_t from, uint8_t to); /* no cut, partition or loneliness between them, this way */
void sim_net_links(struct sim *s);               /* (re)connect or cut, as blocked and up say */
void sim_net_deliver(struct sim *s);             /* all that is due */
void sim_net_clear(struct sim *s);
void sim_faults(struct sim *s);                  /* once a tick: those that fall due */
void sim_faults_end(struct sim *s);              /* no more of them, and what they left is put right */
void sim_faults_pass(struct sim *s);             /* disks have room again, nodes that failed stop */
bool sim_give_up_disk(struct sim *s, uint8_t slot); /* may what only this node has be lost now? Then it no longer counts */
void sim_evict(struct sim *s, uint8_t slot);     /* sim_evict.c */
void sim_members(struct sim *s);                 /* once a tick */
bool sim_members_settled(const struct sim *s);   /* all nodes run with the newest document */
bool sim_may_link(const struct sim *s, uint8_t a, uint8_t b);
void sim_evict_free(struct sim *s);
void sim_fork(struct sim *s);                    /* sim_fork.c */
void sim_seal(struct sim *s, uint8_t slot);      /* what it has written and may be told is signed and goes to gossip */
void sim_tear(struct sim *s, uint8_t slot);      /* some of the others hear of a part of what it wrote last; then its disk is lost */
void sim_cut_logs(struct sim *s, uint8_t victim); /* sim_snapshot.c */
bool sim_snapshot_round(struct sim *s, uint8_t slot); /* true: it took up a snapshot and is down */
void sim_fork_end(struct sim *s);                /* who forked leaves: s->o.nodes is one less */
/* A directory that the cluster went on without is emptied, as its operator would do. */
void sim_replace_left_behind(struct sim *s, uint8_t slot);
bool sim_start_damaged(struct sim *s, uint8_t slot); /* it could not start: an empty disk, and again */
/* The next event: true, its random numbers are ready and it may take place; false: it is left out. */
bool sim_event(struct sim *s, const char *what, uint8_t slot);
const char *sim_fault_name(uint32_t kind);
bool sim_vector(struct sim_node *n, bool durable, struct idvec *out, struct err *err); /* *out is initialised by it */
bool sim_work_schema(struct sim *s);
struct sim_load;
void sim_work_step(struct sim *s, uint8_t slot, const struct sim_load *load); /* one transaction on one node */
/* One statement; *number gets the first value of the first row as an integer (may be NULL). */
quartet_status sim_sql(struct sim_node *n, const char *sql, int64_t *number, struct err *err);
void sim_check_now(struct sim *s, uint8_t slot); /* what must hold in every snapshot of every node */
bool sim_same_vectors(struct sim *s, uint8_t a, uint8_t b); /* have both nodes applied the same? */
bool sim_converged(struct sim *s);
void sim_sign_cheaply(bool cheap);               /* for the process, until it is said otherwise */
void sim_check_model(struct sim *s);             /* the naive model of all batches against the nodes */
/* sim_purge.c. note: a node may have told what it has applied. begin and check: around what a node does by itself; *known is begin's, and check releases it. */
void sim_purge_note(struct sim *s, uint8_t slot);
void sim_purge_begin(struct sim *s, uint8_t slot, struct idvec *known);
void sim_purge_check(struct sim *s, uint8_t slot, struct idvec *known);
void sim_purge_free(struct sim_node *n);
void sim_purge_quiet(struct sim *s); /* all agree: rows that are not live go, and what history_retention lets go */
void sim_purge_check_named(struct sim *s, const struct model *model);
quartet_status sim_sweep(struct sim_node *n, bool flush_first, struct err *err);
void sim_converge(struct sim *s); /* until all nodes agree; sim_fail where they do not in time */
void sim_check_end(struct sim *s);               /* all nodes alike, nothing acknowledged lost, and the naive model's answer */

#endif
