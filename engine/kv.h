/* kv.h - the store: an ordered key-value store with snapshots; records by key in trees (DESIGN.md section 6).
 *
 * A tree is one table, one index or one system table; its key is memcomparable bytes, its value a record (crdt/row.h), so that
 * the store can lay out rows by column in blocks below this interface and yield them as batches. Layers inside: kv_buffer (memory,
 * versioned) over at most a few frozen buffers and runs of large transactions (kv_run) over a base (kv_lmdb, or kv_mem for :memory: and the simulator) of blocks (block.h).
 * One writer at a time (the holder of the commit lock); any number of readers without locks. */
#ifndef ENGINE_KV_H
#define ENGINE_KV_H

#include "base/env.h"
#include "batch.h"
#include "kv_own.h"

typedef struct kv kv;
typedef struct kv_snap kv_snap;
typedef struct kv_iter kv_iter;
struct kv_base; /* kv_base.h */

/* What a sweep takes away: pasts stamped below past_from; rows of users' tables that are not live and have no history that is in date, if the base holds nothing
 * applied at rows_below or later. A sweep begins when there are such rows, or pasts stamped below due_from (at most past_from). */
struct kv_sweep {
    uint64_t past_from, due_from;
    apply_no rows_below; /* 0: no row goes */
};
/* What the store asks of its owner. Both are called with the commit lock held or by the thread that flushes. */
struct kv_host {
    void *ctx;
    /* The owner's checkpoint that belongs to the state at `through`: vectors, chains, log position; opaque here. Called when a buffer
     * is frozen; stored with the last slice of its flush, so that base and checkpoint always agree. A full buffer is frozen in kv_settle, or
     * at the start of kv_apply, before anything of that call is in it: `through` is then the apply number before. So keep vectors and log position as one
     * picture, changed after kv_apply has returned; one that is a little too old only costs replay, one too new loses deltas. */
    quartet_status (*checkpoint)(void *ctx, apply_no through, struct buf *out, struct err *err);
    /* Make the log durable up to the commit `through`; called before the first slice of a flush. */
    quartet_status (*sync_log)(void *ctx, apply_no through, struct err *err);
    /* Asked right after the checkpoint: pasts stamped below it (kv_past.h) are not kept any longer. NULL: all are. */
    uint64_t (*past_from)(void *ctx);
    /* What may go from the base now? Called now and then by the thread that flushes, which may hold nothing of the owner's. false, or NULL: nothing. */
    bool (*sweep)(void *ctx, struct kv_sweep *out);
    /* A checkpoint is about to be stored, in `b` from `skip` on: what is known by now of what is gone goes into it. past_from: pasts stamped below it; rows: of rows all
     * that may. Called by the thread that flushes. NULL: nobody cares. */
    quartet_status (*swept)(void *ctx, bool rows, uint64_t past_from, struct buf *b, size_t skip, struct err *err);
    /* The newest stamp that a row's record tells; UINT64_MAX: it cannot be told. Called by the thread that flushes, which may hold nothing of the owner's. NULL: 0. */
    uint64_t (*row_newest)(void *ctx, tree_id tree, struct slice record);
    /* Do rows of this tree that are not live stay for good? Called likewise. NULL: they go as kv_sweep says. */
    bool (*keeps_dead)(void *ctx, tree_id tree);
};
#define KV_BUFFER_BYTES_DEFAULT (64u << 20)
#define KV_BUFFER_BYTES_MIN ((size_t)4096) /* an empty one takes half of it; a smaller limit would freeze buffers without an entry, and would wait for their flush */
#define KV_SNAPSHOT_BYTES_DEFAULT ((uint64_t)4 << 30)
#define KV_SNAPSHOT_ROOM_MIN ((uint64_t)16 << 20) /* of disk: so much snapshots may pin however full it is */
struct kv_options {
    size_t buffer_bytes;  /* freeze the buffer at this size; 0: KV_BUFFER_BYTES_DEFAULT */
    uint64_t snapshot_bytes; /* see kv_limits; 0: KV_SNAPSHOT_BYTES_DEFAULT */
    uint32_t slice_pages; /* of a flush's transaction, about; 0: what is good. Few of them make tests cut between slices */
    bool in_memory;       /* base is kv_mem, nothing is written to disk (dir may be NULL) */
    /* With in_memory: called once with the empty base, to fill it (kv_state.h). NULL: it stays empty. */
    quartet_status (*fill)(void *arg, struct kv_base *base, struct err *err);
    void *fill_arg;
};

/* Open or create the store in `dir` (DIR/base.mdb and so on). *checkpoint gets the last one stored (empty for a new store); the
 * caller's to buf_deinit. QUARTET_CORRUPT, QUARTET_CANTOPEN (another format version), QUARTET_IO name the file. */
quartet_status kv_open(struct env *env, const char *dir, const struct kv_options *options, const struct kv_host *host, kv **out,
                       struct buf *checkpoint, struct err *err);
/* Flushes nothing: what is in the buffer comes back from the log. NULL is allowed. All snapshots must be gone. */
void kv_close(kv *s);
/* What may be changed while it is open, by any thread; 0: the default. */
struct kv_limits {
    size_t buffer_bytes;
    uint64_t snapshot_bytes; /* what snapshots may pin (struct kv_stats), or half the free disk where that is less, at least KV_SNAPSHOT_ROOM_MIN; then the oldest becomes too old */
};
void kv_limits(kv *s, struct kv_limits *out);
void kv_set_limits(kv *s, const struct kv_limits *limits);
/* When it was opened: had a crash cut the last flush in two? It is finished since then (kv_journal.h); nobody else need care. */
bool kv_torn(const kv *s);

/* Apply operations as one: all or nothing, visible to snapshots taken at `at` or later once kv_publish(at) was called. `at` is above
 * every earlier one. Bytes are copied. Where the buffer is full it is frozen and flushed (by the flusher, or at once without
 * threads); a writer that is far ahead of the flusher waits here, it never fails for that. */
quartet_status kv_apply(kv *s, const struct kv_op *ops, size_t n, apply_no at, struct err *err);
/* After kv_apply, once the owner's picture of the state (its checkpoint) holds what was applied: a full buffer is frozen now, so that the flusher need
 * not wait for the next commit, which may never come, and readers do not search a buffer of any size; a bulk gets its checkpoint. Never waits; without a thread it
 * freezes nothing. */
void kv_settle(kv *s);
void kv_settle_run(kv *s); /* the bulk's checkpoint alone, where it was the last that was applied */
/* A large transaction on its way into the store: as kv_apply, but its entries go into a sorted run of their own, in memory or in an unlinked file, which
 * becomes a layer of the store as it is. For the writer, who may go on reading snapshots meanwhile; nothing shows before kv_bulk_commit. What is wrong with a put
 * (QUARTET_LIMIT, FULL, IO, NOMEM) is told by it or by a later call, at the latest by kv_bulk_prepare: a thread of its own takes what was put. */
typedef struct kv_bulk kv_bulk;
/* From how many bytes of operations on a transaction is better off as a bulk, as the base is now (kv_bulk.c tells why). Never less than the smaller of KV_BULK_BYTES_MIN and
 * a quarter of the buffer, never more than that quarter. */
#define KV_BULK_BYTES_MIN ((size_t)1 << 20)
size_t kv_bulk_from(kv *s);
quartet_status kv_bulk_begin(kv *s, kv_bulk **out, struct err *err);
/* record.p NULL: erase. Ascending keys of a tree cost little more than copying their bytes, trees may take turns; other orders are sorted. Of the same key the later put counts. */
quartet_status kv_bulk_put(kv_bulk *b, tree_id tree, struct slice key, struct slice record, struct err *err);
/* All that can fail of kv_bulk_commit(at), which comes next or is given up; nothing is put any longer. Waits for the flusher where layers stand in line. */
quartet_status kv_bulk_prepare(kv_bulk *b, apply_no at, struct err *err);
/* As kv_apply(at) with all that was put; prepared, if it was not. The bulk is gone in any case. */
quartet_status kv_bulk_commit(kv_bulk *b, apply_no at, struct err *err);
void kv_bulk_abort(kv_bulk *b); /* NULL is allowed */
void kv_publish(kv *s, apply_no at); /* later snapshots see everything up to `at` */
apply_no kv_published(const kv *s);
/* Freeze and flush everything that is applied, and wait for it; at close, in tests, before a backup. For the writer. The checkpoint is asked for and
 * stored even if nothing was applied. Without threads everything must be published (QUARTET_MISUSE). */
quartet_status kv_flush(kv *s, struct err *err);
/* The same without holding up the writer: it freezes what is applied (kv_freeze_now; *flush 0: no room, ask again after a kv_wait_flushed(s, 0)), and whoever
 * wants it waits outside of the commit lock until that is in the base (flush 0: until the next layer is). With threads only. */
quartet_status kv_freeze_now(kv *s, uint64_t *flush, struct err *err);
quartet_status kv_wait_flushed(kv *s, uint64_t flush, struct err *err);
/* Write the base, as it is between two flushes, into the new file `path`: a base without free pages. Thread-safe; commits and flushes go on. Checksums are looked at on
 * the way. A failure leaves what was written for the caller to remove. */
quartet_status kv_copy_to(kv *s, const char *path, struct err *err);
/* Write the base into a new file and go on with that one; sizes of the file before and after. Flushes wait meanwhile, commits do not until the buffers are full;
 * snapshots that are held go on with the old file. Crash-safe: the new file takes the old one's name in one step. In memory it does nothing. QUARTET_BUSY: another one is at it. */
quartet_status kv_vacuum(kv *s, uint64_t *before, uint64_t *after, struct err *err);
/* Background work that is due, in small steps: a sweep (struct kv_sweep); for who has no thread that flushes, which does it by itself. */
void kv_tidy_tick(kv *s);
/* Sweep all of the base now. For anybody but the writer; waits for the thread that flushes. */
quartet_status kv_sweep_all(kv *s, struct err *err);
/* At the end, when all is flushed: VACUUM where that gives back a third of the file at least and takes little time (KV_TIDY_*). */
void kv_tidy_close(kv *s);
#define KV_TIDY_DEAD_PART 3u                   /* this part of the file and */
#define KV_TIDY_DEAD_BYTES ((uint64_t)4 << 20) /* so many bytes are of no use: it is worth to write the base anew */
#define KV_TIDY_CLOSE_BYTES ((uint64_t)256 << 20) /* at close no more than this is written for it */
#define KV_TIDY_QUIET_MS 5000u                 /* and while it is open only after so long without a flush */
/* The status of the last flush if it failed; QUARTET_OK otherwise. Writers ask before they start. Where the disk is full it is tried again (by the
 * flusher, without threads by this call); after QUARTET_IO and QUARTET_CORRUPT the database must be opened anew. */
quartet_status kv_health(kv *s, struct err *err);

/* A view of everything up to `at` (0: all that is published). QUARTET_TOO_OLD: the base has moved past `at`. Cheap; hold it briefly. Thread-safe to take and release; used by one thread.
 * Where all snapshots together pin more than snapshot_bytes after a flush, the oldest one, if it was taken before that began, becomes too old: reading it is QUARTET_TOO_OLD from then on, "snapshot too old: held N s, costs N MiB". */
quartet_status kv_snapshot(kv *s, apply_no at, kv_snap **out, struct err *err);
/* Everything applied so far, published or not: for the holder of the commit lock only. It never becomes too old. */
quartet_status kv_snapshot_latest(kv *s, kv_snap **out, struct err *err);
void kv_release(kv_snap *snap); /* NULL is allowed */
apply_no kv_snap_at(const kv_snap *snap);
void kv_snap_rest(kv_snap *snap); /* before runs of an overlay that was read with it go */
/* Held, but not read for a while: no iterator is on it, and nothing that it gave is looked at any longer, so that the store may let go what it pins. Busy
 * again before it is read. It is busy when taken; each may be called twice. */
void kv_snap_idle(kv_snap *snap);
void kv_snap_busy(kv_snap *snap);

/* A transaction's own writes, laid over a snapshot: entries of `own` with a version at or below `through` hide the store's. */
typedef struct kv_spill kv_spill;
struct kv_overlay {
    kv_own *own; /* NULL: none */
    apply_no through;
    kv_spill *spill; /* those that went to disk; NULL: none */
};
/* Who keeps a copy of it beyond a call holds what it names; a transaction may put other things in their place meanwhile. */
void kv_overlay_hold(const struct kv_overlay *over);
void kv_overlay_drop(struct kv_overlay *over);

/* The record of a key, appended to `out`. QUARTET_NOTFOUND where there is none (out untouched). */
quartet_status kv_get(kv_snap *snap, const struct kv_overlay *over, tree_id tree, struct slice key, struct buf *out, struct err *err);

/* Do keys of the tree begin with `prefix`? 0 or 1: so many do, at most; 2: perhaps more. `end`: what the first key behind them is not below; p NULL: nothing comes
 * behind them. base_only: what is in memory is not looked at. Cheaper than a scan. Holder of the commit lock only. */
quartet_status kv_begin_with(kv_snap *snap, tree_id tree, struct slice prefix, struct slice end, bool base_only, uint32_t *n, struct err *err);
/* May something over the base have been put with the claim `value` (kv_op.claim)? Every claim of the tree must be put as such. false: certainly not. Holder of the commit
 * lock only. */
bool kv_claimed(const kv_snap *snap, tree_id tree, struct slice value);
#define KV_INT_KEYS_MAX 4u
struct kv_want {
    const uint16_t *columns; /* record columns to yield, in this order; each becomes a vec */
    uint32_t column_count;
    const struct value *missing; /* for each of them: what a record too short for it shows; NULL: NULLs */
    const bool *late; /* for each of them: it waits for kv_iter_late; NULL: none does */
    uint8_t int_keys; /* not 0: every key is so many ascending INTEGER columns of their kind (KEY_INT), KV_INT_KEYS_MAX at most: fill kv_rows.int_keys */
    uint8_t int_keys_unwanted; /* as bits: columns of the key that need not be filled */
    bool keys;    /* fill kv_rows.keys */
    bool records; /* fill kv_rows.records: whole records */
    bool dead;    /* also rows that are not live (their columns are NULL); needs `records` */
    bool reverse; /* from the end of the range */
};
struct kv_range {
    struct slice lo;      /* inclusive; empty: from the start of the tree */
    struct slice hi;      /* exclusive; with hi_open: to the end of the tree */
    bool hi_open;
};
/* One row's columns (want->columns, column_count and missing; nothing else of it is looked at), straight from where they lie. QUARTET_NOTFOUND: there is no
 * live row. What the values point to lasts as long as the snapshot and the overlay do, or lies in the arena. */
quartet_status kv_get_values(kv_snap *snap, const struct kv_overlay *over, tree_id tree, struct slice key, const struct kv_want *want,
                             struct value *out, struct arena *a, struct err *err);
/* Everything that a batch points to stays valid until the next call on the iterator. The range's bytes are copied. */
struct kv_rows {
    uint32_t n; /* 0: the end */
    struct vec *cols;
    struct slice *keys;
    struct slice *records;
    int64_t *int_keys; /* of the key's column c from c * BATCH_ROWS_MAX on */
};
quartet_status kv_iter_open(kv_snap *snap, const struct kv_overlay *over, tree_id tree, const struct kv_range *range, const struct kv_want *want,
                            kv_iter **out, struct err *err);
/* Rows in key order (or reverse), up to BATCH_ROWS_MAX, or `limit` where that is not 0 and less. */
quartet_status kv_iter_next(kv_iter *it, uint32_t limit, struct kv_rows *out, struct err *err);
/* Fill the late columns of the last batch for its rows sel[0 .. n-1] (NULL: all), in kv_rows.cols; other rows hold anything. Once a batch. */
quartet_status kv_iter_late(kv_iter *it, const uint16_t *sel, uint32_t n, struct err *err);
/* Begin again with another range, maybe of another snapshot; tree, wants and memory stay. After an error it can only be restarted or closed. */
quartet_status kv_iter_restart(kv_iter *it, kv_snap *snap, const struct kv_overlay *over, const struct kv_range *range, struct err *err);
void kv_iter_rest(kv_iter *it);  /* hold nothing of the snapshot any longer; kv_iter_restart or kv_iter_close come next */
void kv_iter_close(kv_iter *it); /* NULL is allowed */

/* Has any entry of the range been applied after `since`? Looks at buffers only, also at flushed ones that a live snapshot may ask about; answers
 * true where it cannot tell. Holder of the commit lock only; hold the snapshot that gave `since` until the answer is there. */
bool kv_changed_since(kv *s, tree_id tree, const struct kv_range *range, apply_no since);

struct kv_stats {
    uint64_t buffer_bytes, frozen_bytes, base_bytes, flushes, snapshots;
    uint64_t frozen_runs;         /* large transactions among what is frozen */
    uint64_t oldest_snapshot_lag; /* apply numbers published since the oldest snapshot; 0: there is none */
    uint64_t pinned_bytes;        /* of flushed buffers and runs that are kept for snapshots only, to be read or to tell what changed */
    uint64_t pinned_memory_bytes; /* those of them that are in memory: past 4 x buffer_bytes buffers go to a file without a name */
    uint64_t pinned_base_bytes;   /* about: what the base's file would be smaller, or could use again, without them */
    uint64_t oldest_snapshot_ns;  /* how long the oldest one has been held */
    uint64_t oldest_snapshot_bytes; /* what it pins of both, shared with others or not */
    uint64_t too_old;             /* snapshots that became so */
    uint64_t base_dead_bytes;     /* of base_bytes, what holds nothing of the present state */
    uint64_t swept_rows, swept_pasts; /* taken away since it was opened: rows that were not live, entries of history (also by flushes) */
    uint64_t sweeps, vacuums;     /* passes over the whole base; files written anew, also by the store itself */
};
void kv_stats(kv *s, struct kv_stats *out);
/* The first bytes, at most KV_FLUSHED_BYTES, of the owner's checkpoint that the last finished flush stored; the count. 0: nothing was flushed since it was opened. */
#define KV_FLUSHED_BYTES 64u
size_t kv_flushed(kv *s, uint8_t *out);

#endif
