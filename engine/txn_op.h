/* txn_op.h - what a transaction did to one row, as the operation that its delta tells and that is merged. */
#ifndef ENGINE_TXN_OP_H
#define ENGINE_TXN_OP_H

#include "apply.h"

/* What operations are put together in, one after the other; zeros to begin with. */
struct txn_op_memory {
    struct row_write *writes;
    uint32_t *ends; /* as apply_values */
    uint32_t write_cap;
    struct arena arena, row;
};

/* The pending row as a net operation. *op and *values last until the next one, and only as long as the record. *values: of an INSERT, its bytes as they stand in the record;
 * otherwise its bytes are NULL. *empty: nothing is left of it. */
quartet_status txn_op_read(struct txn_op_memory *m, const struct table_def *t, struct slice record, struct row_op *op, struct apply_values *values, bool *empty,
                           struct err *err);
/* Is the pending row an INSERT over nothing, with a value for each column? Then *values are those, ends[] is room for delta_insert, and the row need not be taken apart.
 * *yes false: txn_op_read tells. */
quartet_status txn_op_insert(struct txn_op_memory *m, const struct table_def *t, struct slice record, bool *yes, struct slice *values, struct err *err);
void txn_op_recycle(struct txn_op_memory *m, size_t bytes_max); /* for the next transaction; more than that goes */
void txn_op_deinit(struct txn_op_memory *m);

#endif
