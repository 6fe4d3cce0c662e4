/* txn.h - transactions, and rows as the executor reads and writes them: snapshot, own writes on top, reads remembered, one delta at COMMIT.
 *
 * A transaction is used by one thread. Its writes stay in a private buffer (record = flags, pending operation as meta, visible values)
 * until txn_commit turns them into a delta; nothing touches the store before. Every statement has a number; statement_rollback and
 * savepoints forget what came after one. */
#ifndef ENGINE_TXN_H
#define ENGINE_TXN_H

#include "batch.h"
#include "catalog.h"
#include "kv.h"

typedef struct db db;
typedef struct txn txn;
typedef struct table_scan table_scan;

quartet_status txn_begin(db *d, txn **out, struct err *err);
/* Validate what was read, stamp, log, apply, sync (as the session's `synchronous` says). Read-only: just ends. The transaction is gone
 * afterwards, whatever is returned. QUARTET_SERIALIZATION: another transaction changed what this one read; nothing was written. */
quartet_status txn_commit(txn *t, struct err *err);
void txn_rollback(txn *t);         /* NULL is allowed */
bool txn_has_writes(const txn *t);
const struct catalog *txn_catalog(txn *t); /* as of this transaction, its own DDL included */
db *txn_db(txn *t);

/* Each statement: begin, work, then either nothing or rollback. Scans read what stood before the statement began (no Halloween problem). */
quartet_status txn_statement_begin(txn *t, struct err *err);
void txn_statement_rollback(txn *t); /* with all that was nested in it */
/* A statement within the one that runs (of a trigger, of a foreign key's action): it sees what was written so far, and is undone with the one around
 * it. *saved goes back to txn_nested_end, which comes in any case, also after a failure. QUARTET_LIMIT: more than TXN_NESTED_MAX deep. */
#define TXN_NESTED_MAX 200u
struct txn_nested {
    uint64_t reads_through;
};
quartet_status txn_nested_begin(txn *t, struct txn_nested *saved, struct err *err);
void txn_nested_end(txn *t, const struct txn_nested *saved);
typedef uint64_t txn_mark;
txn_mark txn_savepoint(txn *t);
void txn_rollback_to(txn *t, txn_mark mark);

/* The stable inputs of statements, one reading per transaction and the same when it is run again. */
int64_t txn_now_us(txn *t);                       /* CURRENT_TIMESTAMP: when the statement's transaction began */
/* The newest stamp that this node has seen; or, `stable`, one at or below which no transaction will come any more, as far as it can tell (docs/SQL.md,
 * "quartet_stable_stamp"). */
hlc_stamp txn_newest_stamp(txn *t, bool stable);
quartet_status txn_random(txn *t, void *p, size_t n, struct err *err);

/* A bound on index or primary key columns: the first `prefix_count` columns equal `prefix`; then, on the next column, an interval. */
struct key_bound {
    const struct value *prefix;
    uint32_t prefix_count;
    const struct value *lo, *hi; /* NULL: none; already of the column's type */
    bool lo_open, hi_open;       /* exclusive */
};
struct scan_want {
    const uint32_t *columns; /* positions in table_def.columns: become batch columns 0, 1, ... */
    uint32_t column_count;
    const bool *late;        /* for each of them: it may wait for table_scan_late; NULL: none does */
    bool keys;               /* fill batch.keys (for UPDATE and DELETE) */
    bool reverse;
    bool orphans;            /* the rows that are out of sight, and no others */
    hlc_stamp as_of;         /* the rows as they were (history.h), of committed transactions only; by primary key. 0: as they are */
    bool unjudged;           /* with as_of: those that broke a constraint, too (past_judge.h) */
};
/* Do the entries of an index hold these columns (positions in table->columns), so that no row need be fetched for them? */
bool table_index_covers(const struct table_def *table, const struct index_def *index, const uint32_t *columns, uint32_t n);
/* Scan the table (index NULL: by primary key) or an index of it, live rows only, in the order of that key. bound NULL: all of it. Memory and the batch's
 * contents belong to the scan: valid until the next call on it. Rows that an index names are fetched by primary key unless the index and key hold all that is wanted. */
quartet_status table_scan_open(txn *t, const struct table_def *table, const struct index_def *index, const struct key_bound *bound,
                               const struct scan_want *want, table_scan **out, struct err *err);
quartet_status table_scan_next(table_scan *s, uint32_t limit, struct batch *out, struct err *err); /* out->n == 0: the end; limit 0: no wish */
/* Fill the late columns of the batch just given, for the rows that are left in it. Once a batch, unless none is left. */
quartet_status table_scan_late(table_scan *s, struct batch *b, struct err *err);
/* Begin again with another bound, same everything, maybe in another transaction: for index joins, and for statements that run again. */
quartet_status table_scan_rebind(table_scan *s, txn *t, const struct key_bound *bound, struct err *err);
void table_scan_at(table_scan *s, hlc_stamp as_of); /* another stamp from the next table_scan_rebind on; not from or to 0 */
/* Hold nothing of the transaction any longer, but keep the memory for table_scan_rebind; NULL is allowed. The catalog of table and index must live on. */
void table_scan_rest(table_scan *s);
void table_scan_close(table_scan *s); /* NULL is allowed */

/* One row by its encoded key: all columns in `values` (column_count; bytes in the arena). *found false: no live row. */
quartet_status table_get(txn *t, const struct table_def *table, struct slice key, struct value *values, struct arena *a, bool *found, struct err *err);
/* The same, in sight or not. */
quartet_status table_get_any(txn *t, const struct table_def *table, struct slice key, struct value *values, struct arena *a, bool *found, struct err *err);
/* All values of a MULTIVALUE column (position in table_def.columns) that nobody replaced, the one that shows first. *count 0: no live row. */
quartet_status table_siblings(txn *t, uint64_t table, uint32_t column, struct slice key, struct arena *a, struct value **out, uint32_t *count, struct err *err);
/* Encode the primary key of a row's values. */
quartet_status table_key(const struct table_def *table, const struct value *values, struct buf *out, struct err *err);

/* INSERT. values: one per column, already converted to the declared types; CHECK and NOT NULL are the caller's. A NULL rowid key is assigned
 * into values. *conflict (may be NULL) gets the key of a row that already holds the primary key or a UNIQUE value, and the call
 * returns QUARTET_CONSTRAINT with a text that names table, columns and value. *key (may be NULL) gets the new row's key in the arena. */
struct conflict {
    struct slice key;              /* in the arena */
    const struct index_def *index; /* NULL: the primary key */
    bool quiet;                    /* the caller's, before: it has a way to go on, and needs no text */
};
quartet_status table_insert(txn *t, const struct table_def *table, struct value *values, struct arena *a, struct conflict *conflict, struct slice *key,
                            struct err *err);
struct table_write {
    uint32_t column;    /* position in table_def.columns; not a key column */
    uint8_t op;         /* enum row_write_op. ROW_PUT: the column's new value, whatever its kind (a MAXIMUM stays where it is larger). ROW_ADD: COUNTER: `value` is added;
                         * SET: `value` is a BLOB of changes (kind.h). ROW_CUT: MAXIMUM, MINIMUM: the register begins anew with `value` */
    struct value value;
};
/* A row of `child` was written, with these values: what its foreign keys with ON MERGE KEEP PARENT reference is written to, too (table_keep.c). */
quartet_status table_keep_parents(txn *t, const struct table_def *child, const struct value *values, struct err *err);
/* UPDATE of one live row. A change of key columns is delete and insert: the caller's. `old` are the row's present values (from the scan). UNIQUE is checked. */
quartet_status table_update(txn *t, const struct table_def *table, struct slice key, const struct value *old, const struct table_write *writes,
                            uint32_t write_count, struct arena *a, struct conflict *conflict, struct err *err);
/* old: its present values, from the scan that found it; NULL: they are looked up. */
quartet_status table_delete(txn *t, const struct table_def *table, struct slice key, const struct value *old, struct err *err);

/* DDL: CREATE/DROP TABLE and INDEX, ALTER TABLE; writes system rows and gives the transaction a new catalog. *warning (may be NULL, arena) is for people. */
/* `names` (NULL: the transaction's own) is what queries of the statement see. */
quartet_status ddl_run_with(txn *t, struct catalog *names, const struct ast_stmt *stmt, struct arena *a, const char **warning, struct err *err);
quartet_status ddl_run(txn *t, const struct ast_stmt *stmt, struct arena *a, const char **warning, struct err *err);

#endif
