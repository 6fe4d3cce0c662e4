/* txn_behind.h - a large transaction's rows are merged by a thread, while its committer goes on putting the next ones into the delta. */
#ifndef ENGINE_TXN_BEHIND_H
#define ENGINE_TXN_BEHIND_H

#include "apply.h"

typedef struct txn_behind txn_behind;

/* The thread, if any, is started when there is work for it. While one that was made is not drained, `a`, its snapshot and what of the database apply changes are its own. */
quartet_status txn_behind_new(struct applying *a, txn_behind **out, struct err *err);
/* One more row of the table that apply_table named last: key as the delta has it, record as the transaction wrote it; both are copied. t lives until txn_behind_free.
 * An error may be that of an earlier row; then all the rest are left alone. */
quartet_status txn_behind_row(txn_behind *b, const struct table_def *t, struct slice key, struct slice record, struct err *err);
quartet_status txn_behind_drain(txn_behind *b, struct err *err); /* all are merged, or one failed; NULL is allowed */
void txn_behind_free(txn_behind *b); /* what was not merged is not any more; NULL is allowed */

#endif
