/* replay.h - signed batches as members exchange them, taken apart and given to the naive model: what must show is then computed from what was sent alone. */
#ifndef TESTS_MERGE_REPLAY_H
#define TESTS_MERGE_REPLAY_H

#include "crdt/delta_sign.h"
#include "merge/model.h"

#define REPLAY_CHAINS_MAX 64u

struct replay_hooks {
    /* The position in its table's schema of a column by id; -1: none, the write is left out. */
    int32_t (*column_at)(void *arg, uint64_t table, uint32_t column_id);
    /* Is the model to know this table? NULL: every one. */
    bool (*takes_table)(void *arg, uint64_t table);
    /* Each delta, once it is open and before it is taken: what else must hold of it. NULL: nothing. */
    quartet_status (*check)(void *arg, chain_no chain, const struct delta_reader *d, struct err *err);
    void *arg;
};

struct replay {
    struct replay_hooks hooks;
    struct model model;
    struct arena arena;
    struct chain_table chains;
    struct vv seen[REPLAY_CHAINS_MAX]; /* by chain number: what its writer had applied, cumulated over its deltas */
    uint64_t done[REPLAY_CHAINS_MAX];  /* by chain number: deltas that were taken */
    const struct model_txn **txns;     /* all that were taken, in that order */
    uint32_t txn_count, txn_cap;
    struct replay_ops {
        struct model_op *ops;
        uint32_t count, cap;
    } open[REPLAY_CHAINS_MAX]; /* by chain number: of a transaction whose last chunk is still to come */
};

void replay_init(struct replay *r, const struct replay_hooks *hooks);
void replay_deinit(struct replay *r);
/* One batch; those of a chain in their order, chains in any. The bytes must outlive the replay. */
quartet_status replay_take(struct replay *r, struct slice batch, struct err *err);

#endif
