/* apply.h - the one way in which a transaction gets into the store, local or from a peer. Holder of the commit lock only. */
#ifndef ENGINE_APPLY_H
#define ENGINE_APPLY_H

#include "db_internal.h"

/* A transaction: its delta, or all chunks of it in order, one after the other. */
struct apply_in {
    chain_no chain;
    uint64_t number;            /* of its first delta: for messages */
    hlc_stamp stamp;
    kv_snap *snap;              /* of the newest state, borrowed until apply_end or apply_abort; NULL: one is taken */
    bool trusted;               /* made here, or replayed from our own log: values fit their columns */
};
/* Merge rows, keep indexes, hashes and catalog up to date, all in one kv_apply or kv_bulk numbered d->applied_no + 1, then raise d->applied. What it depends on
 * is here (apply_ready). Nothing else is applied from begin to end. QUARTET_CORRUPT: the bytes do not fit the schema. Nothing shows, and nothing has changed
 * but in memory that goes with apply_abort, before apply_end. */
struct applying;
quartet_status apply_begin(db *d, const struct apply_in *in, struct applying **out, struct err *err);
quartet_status apply_feed(struct applying *a, struct slice delta, struct err *err); /* the bytes are not needed afterwards */
struct delta_reader;
quartet_status apply_feed_open(struct applying *a, struct delta_reader *delta, struct err *err); /* likewise, of one that was opened and not read yet; it stays the caller's */
/* The same without the bytes, for who makes the delta: a table, then its rows, as delta_next_table and delta_next_row would give them. op->writes may be
 * changed; what it and key point to is not needed afterwards. */
struct apply_values { /* of an INSERT, as value_encode writes them: column i ends at ends[i] */
    const uint8_t *bytes;
    const uint32_t *ends;
};
quartet_status apply_table(struct applying *a, uint64_t table_id, const uint32_t *column_ids, uint32_t column_count, struct err *err);
/* values: NULL where they are not at hand. Where they are, op->writes may be NULL: it is made of them if anybody asks. */
quartet_status apply_row(struct applying *a, struct slice key, struct row_op *op, const struct apply_values *values, struct err *err);
void apply_request(struct applying *a, const struct delta_request *request); /* whose transaction it is, where it is a client's; deltas that are fed say so themselves */
quartet_status apply_prepare(struct applying *a, struct err *err); /* all was fed: whatever may fail but for memory is done now. Optional */
/* number: of the last delta; end: of the log record that completes it. *no gets its apply number. `a` is gone in any case. */
quartet_status apply_end(struct applying *a, uint64_t number, log_pos end, apply_no *no, struct err *err);
void apply_abort(struct applying *a); /* NULL is allowed */
/* All of it at once. */
quartet_status apply_transaction(db *d, const struct apply_in *in, const struct slice *deltas, size_t count, log_pos end, apply_no *no, struct err *err);

/* db.table_states and indexes once more from the rows: after a flush that a crash cut in two. */
quartet_status apply_rebuild(db *d, struct err *err);
/* apply_orphans.c. SYS_BROKEN once more from the rows (within apply_rebuild); how many keys it holds, after opening. */
quartet_status apply_orphans_rebuild(db *d, struct err *err);
quartet_status apply_orphans_load(db *d, struct err *err);
/* Calls each() with every key of SYS_BROKEN that should not stand there (listed), and with every one that should. Changes nothing but what apply_orphans_load does. */
quartet_status apply_orphans_check(db *d, const struct catalog *catalog, void (*each)(void *arg, struct slice key, bool listed), void *arg, struct err *err);
/* apply_claims.c. Which rows are quarantined by a constraint of their own table, once more (likewise, before the orphans); how many, after opening. */
quartet_status apply_claims_rebuild(db *d, struct err *err);
void apply_claims_load(db *d);

/* apply_index.c: entries of one row, old values (NULL: none) to new ones (NULL: none). */
struct apply_ops {
    struct kv_op *ops;
    size_t count, cap;
    struct arena bytes; /* what the operations point to, where not into the delta */
    kv *store;          /* past `limit` bytes they go there as a bulk, where kv_bulk_from does not say more; NULL: there is no limit */
    size_t limit;
    kv_bulk *bulk;      /* NULL: none yet */
};
static inline size_t ops_limit(const db *d) /* for `limit`, to begin with */
{
    size_t large = db_large_bytes(d);
    return large < KV_BULK_BYTES_MIN ? large : KV_BULK_BYTES_MIN;
}
quartet_status ops_pour(struct apply_ops *o, struct err *err);                /* all into the bulk */
quartet_status ops_commit(struct apply_ops *o, apply_no at, struct err *err); /* kv_apply, or the bulk's commit */
/* What follows from a transaction that is in the store and not published, as the next apply. Between the two a checkpoint says that it is to be derived again
 * (db.rebuild). On failure db.rebuild stays set. */
quartet_status ops_commit_derived(struct apply_ops *o, db *d, struct err *err);
void ops_deinit(struct apply_ops *o);
quartet_status ops_put(struct apply_ops *o, tree_id tree, struct slice key, struct slice record, struct err *err); /* slices must live on */
quartet_status ops_put_copy(struct apply_ops *o, tree_id tree, struct slice key, struct slice record, struct err *err);
/* The same with what goes into the row's history (kv_op.past; empty: nothing). */
quartet_status ops_put_row(struct apply_ops *o, tree_id tree, struct slice key, struct slice record, struct slice past, struct err *err);
quartet_status apply_entries(struct apply_ops *o, const struct table_def *t, struct slice key, const struct value *old, const struct value *fresh,
                             struct buf *scratch, struct err *err);
/* Entries for all rows of a table, for one index; or an erasure of all entries of a tree. */
quartet_status apply_index_build(struct apply_ops *o, kv_snap *snap, const struct table_def *t, const struct index_def *ix, struct err *err);
quartet_status apply_tree_erase(struct apply_ops *o, kv_snap *snap, tree_id tree, struct err *err);
/* What a change of the catalog asks for: indexes that came are filled, those that went are emptied. */
quartet_status apply_catalog_change(struct apply_ops *o, kv_snap *snap, const struct catalog *before, const struct catalog *after, bool reclaim,
                                    struct err *err);

#endif
