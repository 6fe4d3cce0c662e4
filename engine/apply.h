/* apply.h - the one way in which a transaction gets into the store, local or from a peer. Holder of the commit lock only. */
#ifndef ENGINE_APPLY_H
#define ENGINE_APPLY_H

#include "db_internal.h"

/* A whole transaction: its delta, or all chunks of it in order. */
struct apply_in {
    chain_no chain;
    uint64_t number;            /* of the last chunk */
    hlc_stamp stamp;
    const struct slice *deltas;
    size_t count;
    log_pos end;                /* of the log record that completes it */
    bool trusted;               /* made here, or replayed from our own log: values fit their columns */
};
/* Merge rows, keep indexes, hashes and catalog up to date, all in one kv_apply numbered d->applied_no + 1, then raise d->applied. What it depends on is
 * here (apply_ready). *no gets its number. QUARTET_CORRUPT: the bytes do not fit the schema; nothing was changed. */
quartet_status apply_transaction(db *d, const struct apply_in *in, apply_no *no, struct err *err);

/* db.table_states and indexes once more from the rows: after a flush that a crash cut in two. */
quartet_status apply_rebuild(db *d, struct err *err);

/* apply_index.c: entries of one row, old values (NULL: none) to new ones (NULL: none). */
struct apply_ops {
    struct kv_op *ops;
    size_t count, cap;
    struct arena bytes; /* what the operations point to, where not into the delta */
};
quartet_status ops_put(struct apply_ops *o, tree_id tree, struct slice key, struct slice record, struct err *err); /* slices must live on */
quartet_status ops_put_copy(struct apply_ops *o, tree_id tree, struct slice key, struct slice record, struct err *err);
quartet_status apply_entries(struct apply_ops *o, const struct table_def *t, struct slice key, const struct value *old, const struct value *fresh,
                             struct buf *scratch, struct err *err);
/* Entries for all rows of a table, for one index; or an erasure of all entries of a tree. */
quartet_status apply_index_build(struct apply_ops *o, kv_snap *snap, const struct table_def *t, const struct index_def *ix, struct err *err);
quartet_status apply_tree_erase(struct apply_ops *o, kv_snap *snap, tree_id tree, struct err *err);
/* What a change of the catalog asks for: indexes that came are filled, those that went are emptied. */
quartet_status apply_catalog_change(struct apply_ops *o, kv_snap *snap, const struct catalog *before, const struct catalog *after, bool reclaim,
                                    struct err *err);

#endif
