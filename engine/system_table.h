/* system_table.h - rows of Quartet's own tables as values: put one, look at all. Their names and columns are in catalog_build.h. */
#ifndef ENGINE_SYSTEM_TABLE_H
#define ENGINE_SYSTEM_TABLE_H

#include "txn.h"

#define SYSTEM_COLUMNS_MAX 16u /* of a table of ours */

/* Insert the row (all columns; its key too); where there is one with its key, write these columns of it instead. Within a statement of the transaction. */
quartet_status system_put(txn *t, const struct table_def *table, struct value *row, const uint32_t *columns, uint32_t count, struct err *err);

/* A live row; its bytes hold until the call returns, or as long as `keep` of the walk. An error ends the walk. */
typedef quartet_status system_take(void *arg, const struct value *row, struct slice key, struct slice record, struct err *err);
/* All live rows in key order (range NULL), or those of a range; `over` as for kv_iter_open. keep: gets the rows' bytes; NULL: nobody needs them later. */
quartet_status system_rows(kv_snap *snap, const struct kv_overlay *over, const struct table_def *table, const struct kv_range *range, struct arena *keep,
                           system_take *take, void *arg, struct err *err);
/* The same of the store's newest state. */
quartet_status system_rows_now(db *d, const struct table_def *table, system_take *take, void *arg, struct err *err);

#endif
