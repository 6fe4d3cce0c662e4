/* history.h - what rows were: the entries that apply writes beside a changed row, and a row as of a stamp (DESIGN.md section 6, docs/STORAGE.md "History").
 *
 * A change whose stamp is above all that the row had seen *advances* it, and leaves an entry (its stamp, what the row was before). Any other
 * operation is *late*: it is kept as such, losing or not, and where it changes the row, the newest entry is made whole, so that what entries tell
 * never depends on what came later. As of stamp S a row is: the present row, taken back over all entries stamped above S, newest first; with all
 * late operations stamped up to S merged in. */
#ifndef ENGINE_HISTORY_H
#define ENGINE_HISTORY_H

#include "catalog.h"
#include "kv_past.h"

/* ---- writing: apply.c ---- */

/* The registers that an operation may change, as they are before it. */
struct history_saved {
    bool whole; /* more than registers of one life may change: the entry will be the whole record */
    uint32_t count;
    uint32_t *columns;
    struct row_cell *cells;
};
quartet_status history_save(const struct row *row, const struct row_schema *schema, const struct row_op *op, struct arena *a, struct history_saved *out,
                            struct err *err);
/* Append the entry that tells `now` back to what it was: differences, or the whole old record. */
quartet_status history_entry(const struct history_saved *saved, const struct row_schema *schema, const struct row *now, struct slice old_record,
                             struct buf *out, struct buf *scratch, struct err *err);
quartet_status history_entry_whole(struct slice old_record, struct buf *out, struct buf *scratch, struct err *err);
bool history_entry_is_whole(struct slice entry);
/* Take the row back over one entry, in place. Bytes of the entry are copied. QUARTET_CORRUPT: it does not fit the row. */
quartet_status history_undo(struct row *row, const struct row_schema *schema, struct slice entry, struct arena *a, struct err *err);
hlc_stamp history_newest(const struct row *row, const struct row_schema *schema); /* the newest stamp that the row itself tells */
/* A late operation on `row`: what it does, and what its writer had seen of the chains that the row knows. */
quartet_status history_late(const struct row *row, const struct row_schema *schema, const struct row_op *op, const struct row_writer *w, struct buf *out,
                            struct buf *scratch, struct err *err);

/* ---- reading ---- */

struct history_reader {
    const struct table_def *table;
    const struct chain_table *chains; /* borrowed */
    hlc_stamp as_of;
    kv_past *past;
};
/* What the row was. `record`: the present one in the reader's snapshot. Memory from the arena; `record` must live on. A row that was not there has no life. */
quartet_status history_row(struct history_reader *r, struct slice key, struct slice record, struct arena *a, struct row *out, struct err *err);
/* Is the record, as it stands, what the row was as of the stamp? Cheap; false: perhaps. */
bool history_is_present(struct slice record, hlc_stamp as_of);

#endif
