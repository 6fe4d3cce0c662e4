/* db_internal.h - what an open database is made of; only for db*.c, txn*.c, table*.c, index.c, apply.c, ddl.c and conn*.c.
 *
 * Locks, in the order in which they are taken: seal_lock, commit_lock, publish_lock, keys_lock. commit_lock guards all that apply changes: clock,
 * chains, vectors, hashes, `catalog`. publish_lock guards which snapshot and which catalog new transactions get. */
#ifndef ENGINE_DB_INTERNAL_H
#define ENGINE_DB_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "catalog_build.h"
#include "conn.h"
#include "db.h"
#include "tz.h"
#include "kv_run.h"

#define DB_STASH_BYTES_MAX (64u << 20)   /* batches held until what they depend on is here */
#define DB_CHUNK_BYTES_MAX ((uint64_t)64 << 30) /* of one unfinished transaction from a peer, which wait on disk */
#define DB_LOCAL_HEAD_BYTES 17u          /* before the delta in a LOG_LOCAL record: u64 number, u64 stamp, u8 flags */
#define DB_SEAL_HEAD_BYTES 53u           /* of a LOG_SEAL record, see db_seal.c */
#define HIDDEN_KEY_BYTES_DB 20u          /* of a row without a primary key: u64 stamp, u64 incarnation, u32 ordinal */
#define DB_PATH_BYTES_MAX 4096u
#define DB_SPARE_TXNS 8u                 /* kept with their memory; more sessions than that may be open, but few are inside a commit at a time */
#define DB_KEY_MEMBER_END (1ll << 53)    /* assigned keys of members stay below, so that JSON readers keep them exact */

struct batch_at { /* where a sealed batch, or a run of them, stands in the log: db_batches.c */
    uint64_t first;
    uint32_t count; /* deltas */
    bool run;      /* more than one batch: is_seal is that of all, the rest that of the first */
    bool is_seal; /* LOG_SEAL: put together from LOG_LOCAL records; otherwise LOG_REMOTE, as received */
    log_pos at;
    uint64_t head; /* first 8 bytes of its header's hash; 0: not read yet (db_fork.c) */
    log_pos low;  /* the first of the records that it is read from; in a chain at and low ascend */
};
struct own_since { /* which chain LOG_LOCAL records from this position on belong to */
    log_pos at;
    chain_no chain;
};
struct local_delta { /* in the log, not signed yet */
    uint64_t number;
    hlc_stamp stamp;
    log_pos at, end;
    uint32_t n; /* bytes of the delta */
    bool more;  /* its transaction goes on with the next */
};
struct chunk_run { /* an unfinished transaction: deltas with DELTA_MORE */
    bool open;            /* there is one */
    kv_run_writer *kept;  /* its deltas, by number; a large one's on disk */
    kv_run *whole;        /* instead, once the last one has come */
    uint64_t first, next; /* numbers; next is the one that is waited for */
    log_pos at;           /* replay may not begin later than here */
    struct vv seen;       /* the chain's as of before it */
};
struct chain_waits { /* db_strand.c's: of what waits of a chain the first delta needs this one */
    chain_no chain;
    uint64_t number;            /* 0: nothing is known of it */
    uint8_t lacked[SLOTS_MAX];  /* so many times in turn has that member said that it lacks it, too */
};
struct chain_state {     /* by chain_no */
    struct vv seen;      /* what this chain's writer had applied at its last delta that is applied here: row_writer.seen */
    uint64_t received;   /* batches came up to this number, held ones included; own: written */
    uint8_t received_hash[32]; /* of the last header that came */
    uint64_t head_number; /* batches are in the log (own: signed) up to here */
    hlc_stamp head_stamp;
    uint8_t head[32];    /* hash of the header that ends there */
    hlc_stamp last_stamp; /* of the last delta that was taken, chunks included */
    uint64_t vouched;    /* a delta of another chain that came, and could not be applied yet, depends on this number (db_close.c) */
    size_t back;         /* batches that were gone back at once, to find where the chain forks */
    bool poisoned;       /* a signed batch held a damaged delta: nothing more is taken */
    struct batch_at *batches;
    size_t batch_count, batch_cap, run_count; /* the first run_count are or may become runs; those behind them have places of their own */
    struct local_delta *local; /* unsigned, oldest first, from local_start on */
    size_t local_start, local_count, local_cap;
    struct chain_waits waits;
    struct chunk_run chunks;
    struct held_batch *held, *held_last; /* batches of which not all could be applied, by their numbers: nothing of the second can be before all of the first is. NULL: none */
    uint64_t outcomes_from; /* sessions below have no row in SYS_OUTCOMES any more, as far as this run of ours knows */
};
struct held_batch { /* a peer's batch of which not all could be applied */
    struct held_batch *next; /* of its chain */
    chain_no chain;
    uint64_t first, last;
    uint64_t next_number;  /* the first delta that was not taken yet */
    size_t next_at;        /* where it stands in the payload */
    bool logged;
    log_pos at, end;       /* where logged */
    struct batch_header header;
    size_t n;
    uint8_t bytes[];       /* the whole batch */
};
struct table_state { /* per table id; owned by db.tables */
    tree_id id;
    struct state_hash hash;
    struct state_hash hidden; /* of the quarantined rows among them: hash less hidden is that of what is visible */
    uint64_t hidden_count;    /* how many they are */
    int64_t next_key;      /* highest assigned key + 1 (or + 4); 0: not known. keys_lock */
    uint32_t key_users;    /* transactions that took keys from it */
    uint64_t key_epoch;    /* next_key is of this db.key_epoch; keys_lock */
    atomic_uint_fast64_t written, stats_old_at; /* rows since the database was opened; stats.c */
    struct table_stats *stats;                  /* stats.c's; tables_lock */
};
struct pending_commit { /* applied, not visible yet */
    apply_no no;
    log_pos end;
    bool durable;
};
struct pending_catalog {
    apply_no from;
    struct catalog *catalog;
};

#define DB_FREEZES_MAX 16u /* more than buffers can wait for the thread that flushes */
struct db_freeze { /* what a buffer, once flushed, makes the base hold */
    apply_no at;
    struct vv v;
};
struct db_report { /* a member's last one, over the link that stands */
    bool told;
    uint64_t incarnation;
    struct vv v; /* applied there */
};
struct db_purge { /* db_purge.c */
    struct db_freeze freezes[DB_FREEZES_MAX];
    uint32_t freeze_count;
    struct db_report reports[SLOTS_MAX];
    _Atomic apply_no rows_below; /* what every member has */
    atomic_bool ready;           /* recovered */
    pthread_mutex_t lock;
    struct buf vector; /* the purge vector as a checkpoint has it; empty: nothing was purged */
};

struct fork_point { /* db_fork.c: a member's two histories part here */
    chain_no root;  /* the chain that their batches name */
    uint64_t first;
    uint8_t prev[32]; /* hash of the batch that both follow */
    uint8_t signed_by_it[2][BATCH_SIGNED_BYTES];
    bool former;         /* signed with the key of a node that was evicted: the slot's node is another now */
    bool told;           /* a row of ours says so */
    uint64_t told_taken; /* and this */
};
struct db_forks {
    struct fork_point *points; /* owned */
    uint32_t count;
    uint64_t need[SLOTS_MAX]; /* by slot: up to this number something is needed by a delta that waits here */
    struct vv needs;          /* the same by chain, without what is named by its head alone */
    uint64_t need_astray[SLOTS_MAX]; /* and that: by slot, since a branch that is not here has no chain yet */
    uint8_t keys[SLOTS_MAX][32], keys_known; /* members' public keys; bits by slot */
    bool next_is_branch; /* replay: the next batch belongs to next_branch, if it has this hash */
    chain_no next_branch;
    uint64_t next_head;
};

struct db_marking { /* db_mark.c; under commit_lock */
    bool on, spoilt; /* spoilt: it will say nothing */
    hlc_stamp stamp;
    struct buf touched;
};

struct db {
    struct tz_cache *zones;
    bool temporary; /* holds what one session has for itself (txn_temp.c) */
    struct env *env;
    char path[DB_PATH_BYTES_MAX];
    struct db_options options;
    struct file *lock_file;
    kv *store;
    commit_log *log;

    pthread_mutex_t commit_lock;
    struct hlc clock;
    uint64_t outcomes_put;             /* outcome.c: commits of clients, of all chains, in this run */
    struct applying *spare_applying;   /* apply.c's; NULL: none */
    struct commit_memory *spare_commit; /* txn_commit.c's; likewise */
    struct chain_table chains;
    struct chain_state **state; /* by chain_no */
    uint32_t state_count, state_cap;
    struct vv applied;
    bool own_chain_known; /* recovery: `own` is set */
    bool own_started;     /* `own` stands in the log (LOG_META); a member's chain begins with its first commit */
    chain_no own;
    apply_no applied_no;
    log_pos applied_end;  /* log end after the last applied delta */
    struct catalog *catalog; /* after applied_no */
    struct map tables;    /* tree_id -> struct table_state */
    struct held_batch *taking; /* the one at work on, NULL: none */
    size_t held_bytes; /* of all chains' held batches */
    uint64_t held_count;
    uint8_t own_head[32];    /* of the last header signed for this slot: a new incarnation's first links to it */
    uint64_t incarnation; /* of the own chain where never in a cluster; 0: the first. Restoring a backup gives another one */
    bool from_snapshot;   /* opened with another member's state: what that says of itself is not believed */
    bool recovering, rebuild; /* rebuild: what is derived from rows (hashes, indexes, broken keys) is to be derived again before anybody relies on it */
    atomic_bool broken;   /* log or store failed: no more commits */
    struct db_identity identity;
    bool has_identity;    /* cluster, slot are known (stored); the secret key only after db_set_identity */
    bool can_sign;
    struct vv durable;    /* sealed batches are synced up to here */
    bool conflicts_counted;
    bool conflicts_due;      /* more came than transactions brought themselves, or more are to go: the next one looks */
    uint64_t conflicts_kept; /* rows of SYS_CONFLICTS, once they were counted; replays may count one twice */
    atomic_uint_fast64_t history_ms;   /* history_retention; 0: none is kept */
    atomic_uint_fast64_t history_from; /* stamps below it cannot be read any longer, whatever the retention says now; raised under commit_lock */
    struct db_purge purge;
    bool own_behind;      /* in this run the members knew more of the own slot than this directory did: table_assign.c */
    bool own_apart;       /* another process ran the own slot after every member had answered: assigned keys stay away from the known ones for this run */
    atomic_uint_fast64_t key_epoch; /* raised where a new place for assigned keys is to be found */
    atomic_uint_fast64_t keys_twice; /* births of one assigned key in two runs of a slot (apply_conflicts.c) */
    uint64_t run; /* a member's: the incarnation that its chain has, or will have, in this run; 0: not a member */
    struct own_since *owns; /* by position */
    uint32_t own_count, own_cap;
    log_pos opened_at;    /* where the checkpoint that was found let the replay begin */
    bool peers_known;     /* db_set_peers was called */
    uint8_t peers, peers_told; /* bits by slot: other members, and those of them that told what they have */
    struct vv peer_has[SLOTS_MAX]; /* on their disks */
    struct closing *closings;      /* db_close.c; by no order */
    uint32_t closing_count;
    chain_no fold_sum;     /* of the newest fold; valid where chains.fold_last is not 0 */
    uint64_t fold_after_ns; /* db_folds.c looks again; of the thread that ticks */
    struct shares *shares; /* share.h; owned */
    bool sealed;          /* a snapshot takes its place at the next opening: nothing is taken any longer (db_snapshot.c) */
    bool fenced;          /* the cluster has left this directory behind: no more writes */
    _Atomic uint64_t behind_from; /* db_set_behind; 0: it is not */
    _Atomic uint8_t behind_slot;
    _Atomic uint32_t level, written_level; /* of operations in use (db_level.c); of the newest delta written in this run, 0: none */
    _Atomic int64_t clock_median_ms; /* db_set_clock: less our own clock; 0: it goes by its own */
    bool frozen;          /* because its slot signed two histories */
    bool evicted;         /* because its node is no member any more */
    struct db_forks forks;
    _Atomic log_pos trim_looked; /* end of the log when db_trim_due did something last */
    log_pos forced_at;    /* the log was cut here though somebody lacks what went; 0: never */

    _Atomic(txn *) spare_txns[DB_SPARE_TXNS];

    pthread_mutex_t publish_lock;
    struct pending_commit *pending;
    size_t pending_start, pending_count, pending_cap;
    struct pending_catalog *catalogs; /* not visible yet */
    size_t catalog_count, catalog_cap;
    struct catalog *catalog_visible;

    pthread_mutex_t seal_lock, keys_lock, tables_lock;
    void (*notify)(void *arg);
    void *notify_arg;
    struct conn_node_hooks hooks;
    atomic_uint_fast64_t catalog_versions;
    uint64_t broken_count;                 /* keys in SYS_BROKEN; under commit_lock */
    struct orphan_whole *whole;            /* references that are known to be whole; under commit_lock; NULL: none */
    uint64_t kinds_after_ns;               /* kind_settle.c looks again */
    atomic_bool follow_due;                /* there may be children to follow up on (follow_up.c) */
    uint64_t follow_after_ns;              /* not before; of the thread that ticks */
    atomic_uint_fast64_t broken_none_from; /* apply number from which on there have been none; UINT64_MAX: there are some */
    uint64_t hidden_rows;                  /* quarantined by a constraint of their own table, in all tables; under commit_lock */
    atomic_uint_fast64_t hidden_none_from; /* as broken_none_from */
    struct db_marking marking;
    struct claim_tests *claim_tests;       /* claim.c's; under commit_lock */
    atomic_uint_fast64_t commit_buckets[DB_COMMIT_BUCKETS], commit_us;
    atomic_uint_fast64_t commits, remote_deltas, remote_rows, rows_written, stats_epoch;
};

/* db_mark.c: a row is about to be written with a stamp above the mark's */
void mark_touch(db *d, tree_id table, struct slice key);

/* db.c */
struct chain_state *db_chain(db *d, chain_no chain, struct err *err); /* made as needed; NULL: out of memory. Stays where it is */
struct table_state *db_table(db *d, tree_id id, struct err *err);     /* made as needed; stays where it is */
quartet_status db_usable(db *d, struct err *err);
quartet_status db_clock_check(db *d, struct err *err); /* db_clock.c: QUARTET_READONLY where our clock is ahead */
uint64_t db_members_wall_ms(db *d);                    /* the median of the members' clocks, now */
quartet_status db_writable(db *d, struct err *err); /* also not behind what the members can still give */
/* What takes more memory than this goes through files. */
size_t db_large_bytes(const db *d);
struct kv_run_place db_run_place(const db *d); /* of such files */
const char *db_temp_dir(const db *d); /* for files of one statement, without names; NULL: there is no disk */
/* A batch of this node's slot came that its run did not write. commit_lock held. */
void db_heard_of_own_slot(db *d, bool unknown_chain);
/* Into the log. FULL, NOMEM and LIMIT leave it as it was, and the database goes on; whatever else fails breaks it. */
quartet_status db_log(db *d, enum log_type type, struct slice part, log_pos *at, log_pos *end, struct err *err);
void db_break(db *d); /* log or store failed: no more commits until it is opened again */
void db_notify(db *d);

/* db_level.c: before the log is read; the level for a delta of our own, under commit_lock; before a peer's batch is logged. A level is on disk before it is in use */
quartet_status db_level_load(db *d, struct err *err);
quartet_status db_level_to_write(db *d, uint32_t *level, struct err *err);
uint32_t db_payload_level(struct slice payload); /* of the newest delta in it */

/* backup.c: all that is committed goes into the base; commits wait for the freezing of a buffer only. With threads. */
quartet_status db_flush_all(db *d, struct err *err);

/* db_trim.c */
void db_trim(db *d);     /* let go of the log that neither recovery nor a peer needs. Takes commit_lock */
void db_trim_due(db *d); /* the same where much was written since; after a commit */
void db_trim_index(db *d, log_pos start); /* under commit_lock: forget the batches that need anything below it */

/* db_close.c; under commit_lock but for the tick */
quartet_status db_closings_load(db *d, struct err *err); /* quartet_closings changed, or it was opened */
bool db_chain_ends(const db *d, chain_no chain, uint64_t *number); /* this node takes nothing of the chain beyond *number */
/* All members agreed: nothing of the chain lies beyond *number, and *successor, a chain of the same slot, goes on for it. */
bool db_chain_closed(const db *d, chain_no chain, uint64_t *number, struct chain_id *successor);
void db_close_look(db *d); /* was this directory left behind? Asked again when it is told who the members are */
void db_close_tick(db *d);
/* db_folds.c; under commit_lock but for the tick */
quartet_status db_folds_load(db *d, struct err *err); /* quartet_folds changed, or it was opened */
void db_fold_tick(db *d);
/* db_void.c; under commit_lock. Can all that came of the chain and is not applied never take effect? */
bool chain_rest_is_void(db *d, chain_no chain);
void chain_drop_void(db *d, chain_no chain, uint64_t number); /* it was closed there: what came beyond is as if it never had */
void db_follow_up_tick(db *d); /* follow_up.c */
void db_settle_kinds_tick(db *d); /* kind_settle.c */

/* txn.c */
void txn_free_spares(db *d);
/* apply.c, txn_commit.c: memory that one commit leaves to the next */
void apply_free_spare(db *d);
void txn_commit_free_spare(db *d);

/* db_publish.c */
quartet_status db_pending_add(db *d, apply_no no, log_pos end, bool durable, struct err *err);
void db_pending_done(db *d, apply_no no); /* the caller of db_pending_add synced it */
void db_publish(db *d);                   /* let new transactions see what may be seen */
quartet_status db_catalog_reserve(db *d, struct err *err);
void db_catalog_set(db *d, struct catalog *fresh, apply_no from); /* takes fresh; room is reserved */
void db_publish_end(db *d);

/* db_checkpoint.c */
quartet_status db_checkpoint(void *ctx, apply_no through, struct buf *out, struct err *err);
/* Make the checkpoint that begins at `skip` of `blob` one of a new database that never was in a cluster and has a chain of its own. */
quartet_status db_checkpoint_renew(struct env *env, struct buf *blob, size_t skip, struct err *err);
quartet_status db_checkpoint_read(db *d, struct slice blob, log_pos *from, struct err *err);
log_pos db_replay_from(const db *d); /* where a replay would have to begin that goes on from the present state */
log_pos db_base_at(db *d);           /* the same of the state that the base on disk holds */

enum checkpoint_flags {
    CHECKPOINT_IDENTITY = 1,
    CHECKPOINT_REBUILD = 2,
    CHECKPOINT_RESTORED = 4,
    CHECKPOINT_TRAILER = 8, /* db_purge.c's part stands behind all others */
    CHECKPOINT_FORKS = 16,
    CHECKPOINT_FOLDS = 32
};
#define CHECKPOINT_VERSION 8u
#define CHECKPOINT_AT 43u /* where the log position stands */
#define CHECKPOINT_HEAD_BYTES 51u /* up to the chains */

/* db_purge.c: what may go from the base for good */
quartet_status db_purge_init(db *d, struct err *err);
void db_purge_deinit(db *d);
bool db_chain_stable(const db *d, chain_no chain, uint64_t number); /* under commit_lock: every member has it up to there, and all that they have is applied here */
bool db_seen_by_all(const db *d, struct ver v); /* under commit_lock: every member had applied it, and all that they had is applied here */
void db_purge_froze(db *d, apply_no at); /* under commit_lock: what is applied up to here will be in the base */
bool db_purge_sweep(void *ctx, struct kv_sweep *out); /* kv_host.sweep and kv_host.swept; ctx is the database */
quartet_status db_purge_swept(void *ctx, bool rows, uint64_t past_from, struct buf *b, size_t skip, struct err *err);
uint64_t db_purge_row_newest(void *ctx, tree_id tree, struct slice record); /* kv_host.row_newest and keeps_dead */
bool db_purge_keeps_dead(void *ctx, tree_id tree);
/* Take the trailer off a checkpoint: *from is the stamp that it lets history go back to. db_purge_renew: in place, and forget the vector. */
quartet_status db_purge_read(db *d, struct slice *blob, uint64_t *from, struct err *err);
quartet_status db_purge_renew(struct buf *b, size_t skip, uint64_t *from, struct err *err);
quartet_status db_purge_again(struct buf *b, size_t skip, uint64_t from, struct err *err); /* a trailer that tells of nothing purged */

/* db_history.c: how far back history goes. A time of this node's clock, as a stamp: history stamped below it is not kept. */
hlc_stamp db_history_floor(db *d);
void db_history_raise(db *d);  /* the floor is where it is, even if the retention is raised later; under commit_lock */
uint64_t db_history_cut(void *ctx); /* kv_host.past_from; ctx is the database */
void db_history_set(db *d, uint64_t retention_ms); /* under commit_lock */
quartet_status db_history_load(db *d, struct err *err); /* after recovery: the setting */

/* db_recover.c */
quartet_status db_recover(db *d, struct slice checkpoint, struct err *err);
size_t db_seal_ready(const struct chain_state *s, log_pos synced); /* deltas at the head of a chain's queue that may be signed: durable, whole transactions */
quartet_status db_head_durable(db *d, chain_no chain, struct err *err); /* what is signed of it is synced */
quartet_status db_own_start(db *d, struct err *err); /* under commit_lock: write the incarnation before its first delta */
quartet_status db_own_since(db *d, log_pos at, chain_no chain, struct err *err);

/* db_batches.c, db_chain.c, db_take.c; under commit_lock but for db_locate_batch */
quartet_status chain_add_batch(const db *d, struct chain_state *s, struct batch_at at, struct err *err);
void chain_forget_batches(struct chain_state *s, size_t n);          /* the oldest n entries */
struct batch_at *chain_entry(struct chain_state *s, uint64_t number); /* what holds delta `number`: a batch or a run of them; NULL: nothing. s may be NULL */
quartet_status db_locate_batch(db *d, struct batch_at *b, uint64_t number, struct err *err); /* a copy of an entry becomes the batch that holds `number`; may read the log */
quartet_status chain_add_local(struct chain_state *s, struct local_delta x, struct err *err);
void chain_drop_local(struct chain_state *s, uint64_t through);
void chain_drop_again(struct chain_state *s, uint64_t from); /* numbers from there on were given again */
void chain_drop_unfinished(struct chain_state *s); /* a run of chunks that will never end */
void chunk_run_free(struct chunk_run *c);
uint64_t chain_next(const db *d, chain_no chain);  /* the number that may be taken next */
void chain_state_free(struct chain_state *s);
enum take_result { TAKE_DONE, TAKE_WAITS, TAKE_BAD };
/* One delta that may be next in its chain. DONE: applied, or kept as a chunk of an unfinished transaction. WAITS: for what it depends on, or for its time. BAD: err says
 * why. Another status than QUARTET_OK: not the delta's fault. */
quartet_status take_delta(db *d, chain_no chain, struct slice bytes, log_pos at, log_pos end, bool trusted, enum take_result *result, struct err *err);
/* Take what can be taken of a batch; logs it with its first delta. *rest: some must wait. *bad: the rest of it is damaged, err says why. */
quartet_status take_batch(db *d, struct held_batch *b, bool *rest, bool *bad, struct err *err);
quartet_status take_held(db *d, struct err *err);
void held_add(db *d, struct held_batch *b); /* takes b */
/* db_strand.c; commit_lock held. A member tells what is on its disk; does what waits of this chain wait for something that no member has? */
void held_note_peer(db *d, uint8_t slot, const struct vv *disk);
bool chain_is_stranded(const db *d, chain_no chain);
void held_drop(db *d, struct chain_state *s, struct held_batch **at); /* the one that *at points to, in s's list */
struct held_batch *held_new(chain_no chain, const struct batch_header *h, struct slice bytes, struct err *err);
void held_free_all(db *d);

#endif
