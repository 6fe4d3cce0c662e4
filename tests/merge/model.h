/* model.h - an independent, naive model of merging: it keeps the set of transactions and computes every row anew from it.
 *
 * It is written from the text of DESIGN.md, section 3, and shares no code with crdt/row.c but the values: what it says is what
 * rows must show, whatever the order of arrival. "Saw" is decided by delta numbers here, by stamps there. Slow on purpose. */
#ifndef TESTS_MERGE_MODEL_H
#define TESTS_MERGE_MODEL_H

#include "base/map.h"
#include "crdt/row.h"

struct model_seen { /* deltas 1 to number of this chain */
    struct chain_id chain;
    uint64_t number;
};

struct model_op { /* net: at most one per row in a transaction */
    uint64_t table;
    struct slice key;
    uint8_t flags;                  /* enum row_op_flags */
    const struct row_write *writes; /* `column` is what the schema given to model_show counts by */
    uint32_t write_count;
    const struct row_birth *lives;  /* ROW_OP_ADD_TO, ROW_OP_LIVES */
    uint32_t life_count;
};

struct model_txn { /* all borrowed: must outlive the model */
    struct chain_id chain;
    uint64_t number; /* of a chunked transaction: the last */
    hlc_stamp stamp;
    const struct model_seen *seen; /* when it committed; its own chain may be left out */
    uint32_t seen_count;
    const struct model_op *ops;
    uint32_t op_count;
};

struct model_key {
    uint64_t table;
    struct slice key; /* the op's bytes */
    struct model_ref *refs;
    uint32_t count, cap;
};

struct model {
    struct map index; /* (table, key) to struct model_key */
    struct model_key **keys;
    size_t key_count, key_cap;
};

void model_init(struct model *m);
void model_deinit(struct model *m);
quartet_status model_add(struct model *m, const struct model_txn *txn, struct err *err); /* each once, any order */

/* What the row shows to one who knows the transactions up to `known` (NULL: all). True: live, and `out` has schema->count
 * values, those of a SET in the arena. `births`: how many unended births it has; may be NULL. */
bool model_show(const struct model *m, uint64_t table, struct slice key, const struct model_seen *known, uint32_t known_count,
                const struct row_schema *schema, struct arena *a, struct value *out, uint32_t *births);
/* All values of a MULTIVALUE column that nobody replaced, the newest first. Only for a live row. Returns how many; at most `max` are written. */
uint32_t model_siblings(const struct model *m, uint64_t table, struct slice key, const struct model_seen *known, uint32_t known_count,
                        const struct row_schema *schema, uint32_t column, struct value *out, uint32_t max);
/* Is this INSERT's birth unended to one who knows so much? */
bool model_unended(const struct model *m, uint64_t table, struct slice key, const struct model_seen *known, uint32_t known_count, bool updates_win,
                   const struct model_txn *birth);
/* Is every INSERT of this row among these deltas? */
bool model_births_known(const struct model_key *k, const struct model_seen *known, uint32_t known_count);
/* All rows that were ever written, in order of first mention: m->keys[0 to key_count - 1]. */

#endif
