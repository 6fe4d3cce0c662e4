/* db.h - an open database: store, log, clock, chains and catalog, and the one way in which deltas get into them.
 *
 * Shared by all connections of a process. Lock order: db.commit_lock, then what lies below. Nothing here knows sockets: the node (node.c) and the
 * simulator call the replication part. */
#ifndef ENGINE_DB_H
#define ENGINE_DB_H

#include "base/env.h"
#include "commit_log.h"
#include "crdt/delta_sign.h"
#include "txn.h"

#define DB_LOG_BYTES_MAX_DEFAULT ((uint64_t)4 << 30)
struct db_options {
    bool in_memory;
    bool base_in_memory;         /* the base is kv_mem, the log is durable: the simulator's store; recovery replays the whole log */
    uint32_t slice_pages;        /* kv_options */
    size_t buffer_bytes;         /* 0: the default */
    uint64_t snapshot_bytes;     /* likewise */
    uint32_t index_exact;        /* likewise: newest batches of a chain that the index of the log knows one by one (db_batches.c) */
    uint32_t index_run_bytes;    /* likewise: of the log, that a run of older ones spans at most */
    uint64_t log_bytes_min;      /* of a member's log so much stays, also what everybody has: for an empty node in the place of a lost one; at most log_bytes_max */
    uint64_t log_bytes_max;      /* 0: DB_LOG_BYTES_MAX_DEFAULT; see db_set_retention */
    const char *log_archive;     /* NULL: none; used during db_open only */
    enum log_sync_mode sync;     /* default LOG_SYNC_FULL; a session may set its own */
    const char *snapshot;        /* NULL, or a new database begins with the state in this file (db_snapshot.h); used during db_open only */
};
/* Open or create the database in directory `path`. Locks DIR/lock (QUARTET_BUSY: "in use by process N"). Recovers: base, then the log beyond it. */
quartet_status db_open(struct env *env, const char *path, const struct db_options *options, db **out, struct err *err);
quartet_status db_close(db *d, struct err *err); /* flushes; the handle is gone whatever is returned */
struct env *db_env(db *d);
struct tz_cache *db_zones(db *d); /* tz.h */
const char *db_path(const db *d);   /* its directory; "": none */
bool db_is_in_memory(const db *d);  /* its base; the log may have a disk */
struct catalog *db_catalog(db *d); /* a new reference */
void db_tick(db *d);               /* without threads: background work that is due; at least every 50 ms of the environment's time */

/* ---- membership: who this database is in a cluster. A database never in a cluster is slot 0 and signs nothing. ---- */
struct db_identity {
    struct cluster_id cluster;
    uint8_t slot;
    uint8_t secret_key[64]; /* libsodium's Ed25519 form */
    bool member;            /* false: never in a cluster */
    bool members_answered;  /* every member has told what it knows of this slot: assigned keys may go on after the highest known */
};
quartet_status db_set_identity(db *d, const struct db_identity *id, struct err *err); /* QUARTET_MISUSE where the data belongs to another cluster or slot */

/* ---- replication, called by the node ---- */
/* Sign what is durable and not signed yet, as batches; emit() gets each (bytes valid during the call). */
quartet_status db_seal(db *d, void (*emit)(void *arg, struct slice batch, const struct batch_header *h), void *arg, struct err *err);
enum deliver_result { DELIVER_APPLIED, DELIVER_DUPLICATE, DELIVER_GAP, DELIVER_HELD, DELIVER_LATER, DELIVER_REFUSED };
/* Take a peer's batch, as received: verify against `public_key` (of the slot in its header), log, apply (or hold until what it depends on is here: HELD batches
 * are retried by themselves). GAP: *need is the first number missing of that chain. LATER: it cannot be told yet whether it is
 * to be taken; ask again. REFUSED: err says why (forged, altered, wrong cluster, ...). */
quartet_status db_deliver(db *d, struct slice batch, const uint8_t *public_key, enum deliver_result *result, uint64_t *need, struct err *err);
/* The same of a batch that a former member signed, whose slot is empty or another's now: it is taken as far as a delta of somebody else that waits here depends on it. */
quartet_status db_deliver_former(db *d, struct slice batch, const uint8_t *public_key, enum deliver_result *result, uint64_t *need, struct err *err);
/* Sealed batches of a chain from number `from` on, appended to out with a u32 length before each, as many as fit in max_bytes (at least one). NOTFOUND: none. */
quartet_status db_read_batches(db *d, struct chain_id chain, uint64_t from, size_t max_bytes, struct buf *out, uint32_t *count, struct err *err);
/* Encoded vectors (vv_encode): applied, and on disk. */
quartet_status db_vectors(db *d, struct buf *applied, struct buf *durable, struct err *err);
/* What a session has seen here and may wait for elsewhere: all that is applied, but of this node's own chains only what is on disk, signed yet or not; a crash could take back the rest. */
quartet_status db_session_vector(db *d, struct buf *out, struct err *err);
quartet_status db_sync_remote(db *d, struct err *err); /* make what was delivered durable; called at most every few ms */
/* Have all of these (an encoded vector) been applied? For session tokens. */
bool db_covers(db *d, struct slice encoded_vv);
/* Under which name this batch's chain stands in vectors: its header's, or a branch's where its slot signed two histories. */
struct chain_id db_batch_name(db *d, const struct batch_header *h);
/* Did this slot sign two histories? Then nothing more is taken from it. */
bool db_slot_frozen(db *d, uint8_t slot);
void db_set_member_key(db *d, uint8_t slot, const uint8_t *public_key); /* 32 bytes; without it no proof against the slot is believed */

/* Is there anything of this chain from `from` on that has not come yet? */
bool db_lacks(db *d, struct chain_id chain, uint64_t from);
/* Delta `from` of the chain is missing here, and no member's log holds it any longer: writes are refused with QUARTET_READONLY until it comes after all. from 0: it is not so. */
void db_set_behind(db *d, struct chain_id chain, uint64_t from);
bool db_is_behind(db *d);
uint64_t db_behind_from(db *d); /* that number; 0: none */
/* Where the median of the members' clocks, our own included, lies as seen from ours, and how many of them are known. With three or more a node that is more than
 * DB_CLOCK_AHEAD_MS_MAX ahead of it commits nothing (QUARTET_READONLY), and what others stamped is held by the median, not by our own clock (db_clock.c). */
#define DB_CLOCKS_MIN 3u
#define DB_CLOCK_AHEAD_MS_MAX 250
void db_set_clock(db *d, int64_t median_us, uint32_t clocks);
int64_t db_clock_ahead_ms(db *d); /* below 0: it is behind; 0 where fewer than three clocks are known */
uint32_t db_level(db *d); /* of operations, in use (base/level.h) */
quartet_status db_raise_level(db *d, uint32_t level, struct err *err); /* it is in use from now on, for good; up to LEVEL_MAX. A lower one: nothing happens */
bool db_is_fenced(db *d); /* the cluster goes on without this directory (db_close.c) */
void db_set_evicted(db *d); /* its node is no member any more: it is fenced from now on */

/* ---- how much of the log is kept: what recovery needs, and what a member lacks ---- */
/* Which other slots are members, a bit each. Until it is told, and until each of them has told with db_peer_has what is on its disk, a member's log is kept. */
void db_set_peers(db *d, uint8_t others);
quartet_status db_peer_has(db *d, uint8_t slot, struct slice encoded_vv, struct err *err); /* replaces what it told before */
/* Does something that came wait for what may still come? What every member says that it lacks, too, may not. */
bool db_is_catching_up(db *d);
/* How much of the log lies behind the first batch that this member lacked on its disk when it last told: at most that has to go to it. False: it has not told in this run. */
bool db_peer_lag_bytes(db *d, uint8_t slot, uint64_t *bytes);
/* What a member has applied, as it told over the link that stands, and which incarnation it is: rows that are not live go only when all members have what ended them
 * (db_purge.c). It replaces what it told before. db_peer_gone: the link is no more. */
quartet_status db_peer_applied(db *d, uint8_t slot, uint64_t incarnation, struct slice encoded_vv, struct err *err);
void db_peer_gone(db *d, uint8_t slot);
uint64_t db_incarnation(db *d); /* of this run; 0: not a member */
struct db_purge_info {
    uint64_t deltas;   /* of all chains together, that the purge vector names; 0: no row was ever purged */
    hlc_stamp stamp;   /* the newest stamp in it */
    uint8_t waits_for; /* bits by slot: members whose report does not cover what is applied here, or names what is not */
};
void db_purge_info(db *d, struct db_purge_info *out);
quartet_status db_purge_vector(db *d, struct buf *out, struct err *err); /* encoded (vv_encode), appended */
quartet_status db_sweep(db *d, struct err *err); /* take away now what may go */
/* Follow up, with ON DELETE actions, on children that a DELETE of this node had not seen, by an ordinary transaction (follow_up.c). *rows: written; 0: nothing was to be
 * done. db_tick does it too. QUARTET_SERIALIZATION: something came between; ask again. */
quartet_status db_follow_up(db *d, uint64_t *rows, struct err *err);
/* Put kinds of columns into effect that ALTER TABLE chose and every member has acknowledged, by an ordinary transaction (kind_settle.c). *count: so many; db_tick does it too. */
quartet_status db_settle_kinds(db *d, uint32_t *count, struct err *err);
/* Past bytes_max (0: the default) what a member lacks goes too. Segments go into the directory `archive` (made as needed) instead of being used again; NULL or "": none. */
void db_set_log_floor(db *d, uint64_t bytes); /* log_bytes_min */
quartet_status db_set_retention(db *d, uint64_t bytes_max, const char *archive, struct err *err);
/* The state hash over all tables, with the vector it belongs to (encoded, appended). */
quartet_status db_state_hash(db *d, struct state_hash *out, struct buf *at, struct err *err);
void db_table_name(db *d, uint64_t id, struct buf *out); /* appended; "table 17" where there is none of this id */
quartet_status db_table_hashes(db *d, void (*each)(void *arg, const struct table_def *t, struct state_hash h), void *arg, struct err *err);
/* Called (from any thread, outside locks) whenever something became durable that db_seal would sign, and when a delta was applied. */
void db_on_commit(db *d, void (*notify)(void *arg), void *arg);

/* Of commits with synchronous = 'full': how many took at most DB_COMMIT_BOUNDS_US[i] microseconds; the last counts the rest. */
#define DB_COMMIT_BUCKETS 14u
extern const uint32_t DB_COMMIT_BOUNDS_US[DB_COMMIT_BUCKETS - 1];
struct db_stats {
    uint64_t commit_buckets[DB_COMMIT_BUCKETS], commit_us; /* and all of it */
    uint64_t syncs, sync_ns;  /* of the log */
    uint64_t conflicts;       /* rows of quartet_conflicts; 0 until they were counted */
    uint64_t commits, remote_deltas, remote_rows, rows_written, log_bytes, held_batches, apply_no;
    struct kv_stats kv;
    hlc_stamp last_stamp;
    uint32_t written_level; /* of operations, of the newest delta of our own in this run; 0: none was written */
    uint64_t keys_twice; /* assigned keys that two runs of a slot gave, found since it was opened */
};
void db_stats(db *d, struct db_stats *out);
/* Can it take writes? The lasting failure of log or store (disk full, I/O), or QUARTET_OK. */
quartet_status db_health(db *d, struct err *err);

/* ---- history (history.h) ---- */
#define DB_HISTORY_MS_DEFAULT (72ull * 3600 * 1000)
uint64_t db_history_ms(db *d); /* history_retention; 0: no history is kept */
/* Can this stamp still be read? QUARTET_TOO_OLD says how far back is possible. */
quartet_status db_history_check(db *d, hlc_stamp as_of, struct err *err);
/* What "as of this time" means as a stamp: everything up to the end of its millisecond. */
hlc_stamp db_stamp_of_time(int64_t us);

struct conn_node_hooks;
const struct conn_node_hooks *db_node_hooks(db *d); /* conn.h's; its functions are NULL where no node serves this database */

/* Per-session choices that txn_commit needs. */
void txn_set_sync(txn *t, enum log_sync_mode mode);
hlc_stamp txn_last_stamp(db *d);

#endif
