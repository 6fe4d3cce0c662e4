/* past_judge.h - which rows of a table break a constraint as of a stamp (DESIGN.md sections 4 and 6): what AS OF leaves out, as readers of the present do not see such rows.
 *
 * Nothing of this is stored: a stamp of the past may have been shown by no node, when a transaction came late. So the tables that matter (this one, and those that it references, and
 * so on) are read as of the stamp, whole, once a statement. Memory grows with the rows that break something, not with the tables. */
#ifndef ENGINE_PAST_JUDGE_H
#define ENGINE_PAST_JUDGE_H

#include "txn_internal.h"

typedef struct past_judge past_judge;
/* The judge of a table's rows in the transaction's snapshot. *out NULL: none of them can break anything. Constraints and indexes that were added later than the stamp do not count; those
 * that were dropped since neither. */
quartet_status past_judge_new(txn *t, const struct table_def *table, hlc_stamp as_of, past_judge **out, struct err *err);
void past_judge_free(past_judge *j); /* NULL is allowed */
/* values by column, as they were. */
quartet_status past_judge_row(past_judge *j, struct slice key, const struct value *values, bool *shown, struct err *err);

#endif
