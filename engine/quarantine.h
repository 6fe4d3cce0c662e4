/* quarantine.h - rows that are out of sight, one after the other, each with the reason: what quartet_quarantine shows (docs/MERGE.md).
 *
 * A row is given out once, with the first reason that is found: what it breaks itself comes before the rows that it references. */
#ifndef ENGINE_QUARANTINE_H
#define ENGINE_QUARANTINE_H

#include "txn.h"

enum quarantined_column { /* of the table function quartet_quarantined() (bind_function.c); the view shows all but the last two */
    QUARANTINED_TABLE_NAME,
    QUARANTINED_KEY,
    QUARANTINED_REASON,
    QUARANTINED_CONSTRAINT,
    QUARANTINED_DETAIL,
    QUARANTINED_ROW,
    QUARANTINED_TABLE_ID,
    QUARANTINED_ROW_ID, /* the row's whole key */
    QUARANTINED_COLUMNS
};

typedef struct quarantine quarantine;
quartet_status quarantine_open(txn *t, quarantine **out, struct err *err);
/* The next row, by enum quarantined_column; bytes are valid until the next call. *found false: the end. */
quartet_status quarantine_next(quarantine *q, struct value *row, bool *found, struct err *err);
void quarantine_close(quarantine *q); /* NULL is allowed */

/* A row's columns as a JSON object: BLOBs as strings of hexadecimal digits. */
quartet_status quarantine_json(const struct table_def *t, const struct value *values, struct buf *out, struct err *err);
/* What a member of such an object says, as a value for the column. QUARTET_MISMATCH: it is none. */
quartet_status quarantine_json_value(const struct column_def *c, struct slice node, struct arena *a, struct value *out, struct err *err);

#endif
