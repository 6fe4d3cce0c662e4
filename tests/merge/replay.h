/* replay.h - signed batches as members exchange them, taken apart and given to the naive model: what must show is then computed from what was sent alone. */
#ifndef TESTS_MERGE_REPLAY_H
#define TESTS_MERGE_REPLAY_H

#include "crdt/delta_sign.h"
#include "merge/model.h"

#define REPLAY_CHAINS_MAX 64u

struct replay { /* all zero, but for the function */
    /* The position in its table's schema of a column by id; -1: none, the write is left out. */
    int32_t (*column_at)(void *arg, uint64_t table, uint32_t column_id);
    void *arg;
    struct model model;
    struct arena arena;
    struct chain_table chains;
    struct vv seen[REPLAY_CHAINS_MAX]; /* by chain number: what its writer had applied, cumulated over its deltas */
    const struct model_txn **txns;     /* all that were taken */
    uint32_t txn_count, txn_cap;
    struct model_op *ops;              /* of an unfinished transaction */
    uint32_t op_count, op_cap;
};

void replay_init(struct replay *r, int32_t (*column_at)(void *, uint64_t, uint32_t), void *arg);
void replay_deinit(struct replay *r);
/* One batch; those of a chain in their order, chains in any. The bytes must outlive the replay. */
quartet_status replay_take(struct replay *r, struct slice batch, struct err *err);

#endif
