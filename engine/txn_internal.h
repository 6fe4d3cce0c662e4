/* txn_internal.h - what a transaction is made of; for txn*.c, table*.c, index.c, ddl.c and conn*.c.
 *
 * A pending row in the transaction's buffer is a record that is not SIMPLE: flags, meta, visible values. Its meta: u8 flags (row_op_flags), then,
 * where the row is neither inserted nor deleted, a bitmap of written record columns whose visible value is what was written, then items (table_pending.c). */
#ifndef ENGINE_TXN_INTERNAL_H
#define ENGINE_TXN_INTERNAL_H

#include "db_internal.h"
#include "kv_spill.h"
#include "kv_top.h"

#define TXN_READS_MAX 65536u            /* ranges remembered; past it whole trees are */
#define TXN_POURED_TREES 8u
#define TXN_UNIQUE_LOOKS 4u
#define TXN_READ_BYTES_MAX (8u << 20)
#define TXN_SPARE_BYTES (16u << 10)     /* of each buffer that a transaction leaves to the next */
#define TXN_SPARE_READS 256u
#define HIDDEN_KEY_BYTES HIDDEN_KEY_BYTES_DB /* a provisional one: all FF, then the ordinal */

struct read_range {
    tree_id tree;
    size_t lo, lo_n, hi, hi_n; /* in txn.read_bytes */
    bool hi_open;
};
struct own_catalog {
    apply_no statement;
    struct catalog *catalog;
};
struct taken_keys { /* assigned INTEGER PRIMARY KEYs of one table */
    struct table_state *state;
    int64_t next;         /* the next this transaction would take; 0: look */
    uint64_t epoch;       /* next is of this db.key_epoch */
    apply_no statement;   /* that took the last one */
};

struct txn {
    db *d;
    struct txn *temp;    /* in the session's own database, its statements numbered as here; NULL: it has none */
    kv_snap *snap;
    apply_no snap_at;
    struct catalog *base, *catalog; /* at the beginning; with own DDL */
    kv_own *writes;      /* NULL until the first */
    kv_own *pouring;     /* older than those: on the way to disk, not changed any more; NULL: none */
    kv_spilling *spilling; /* the thread that is at it; NULL: none, and where there is something to pour it failed */
    kv_spill *spill;     /* earlier ones that went to disk; NULL: none */
    struct kv_run_page page; /* of those, at hand */
    apply_no statement;  /* number of the present statement; 0: none yet. Those nested in it have numbers of their own */
    apply_no outermost;  /* number of the statement that all those from it on are nested in */
    apply_no reads_through; /* scans see own writes up to this statement: those before the one that runs */
    uint32_t nested;
    bool no_foreign_keys;   /* of the session: DDL asks */
    bool exclusive;      /* holds the commit lock since it began */
    enum log_sync_mode sync;
    int64_t now_us;      /* 0: not read yet (a lone read) */
    uint32_t ordinal;    /* of hidden keys */
    struct buf *randoms;   /* what txn_random gave, kept by the connection; NULL: not kept */
    size_t random_at;      /* given so far */
    bool reads_unneeded; /* a lone SELECT: nothing will be validated */
    bool reads_whole;    /* too many: whole trees are remembered */
    uint64_t *share_until_ns;      /* a statement that lacks a share of a COUNTER waits for other nodes until then; 0 until it waits first; NULL: it does not wait */
    uint32_t share_timeout_ms;     /* from its first wait on */
    const int *share_interrupted;  /* unless this says so; NULL: nobody can */
    struct delta_request request; /* of the client that commits it; session 0: none */
    hlc_stamp committed; /* set by txn_commit_stamped */
    struct unique_look { /* where UNIQUE was looked for last, at rest: rows that follow one another ask the same few indexes */
        tree_id tree;
        kv_iter *it;
    } looks[TXN_UNIQUE_LOOKS];
    struct poured_tree { /* went to disk, or is on its way there: no key's digest is above this. Nothing of other trees did unless there were too many */
        tree_id tree;
        uint64_t digest;
    } poured[TXN_POURED_TREES];
    uint32_t poured_count; /* TXN_POURED_TREES + 1: too many */
    uint32_t own_count, read_count, taken_count;
    /* From here on memory that the next transaction takes over; what is before it begins with zeros. */
    struct own_catalog *own;
    uint32_t own_cap, read_cap, taken_cap;
    kv_own *spare_writes; /* an empty one, for when the first write comes */
    struct read_range *reads;
    struct taken_keys *taken;
    struct kv_top top;   /* as of the snapshot */
    struct buf read_bytes;
    struct buf key, entry, fold, record, meta, fresh; /* scratch of table_write.c and index.c */
    struct arena scratch; /* within one call of table_*.c */
};

/* The transaction that has the table's rows. */
static inline txn *txn_of(txn *t, const struct table_def *table)
{
    return table->temporary && t->temp != NULL ? t->temp : t;
}
/* txn_temp.c. The session's own database takes part in the transaction from now on. *known (NULL, or a reference of the caller's) is the catalog that the last one had, and
 * becomes this one's: plans outlive transactions. */
quartet_status txn_temp_begin(txn *t, db *temp, struct catalog **known, struct err *err);
quartet_status txn_temp_changed(txn *t, struct err *err); /* DDL in t->temp: its objects are seen */
quartet_status txn_own_catalog(txn *t, apply_no statement, struct catalog *fresh, struct err *err); /* takes the reference: it holds unless the statement is undone */
/* What the transaction wrote, for a scan. Waits until what is on its way to disk is there. */
quartet_status txn_overlay(txn *t, apply_no through, struct kv_overlay *out, struct err *err);
/* The buffer is there, and has room: a large transaction's goes to disk here. What was got from it (not by scans, which hold it) lasts until this is called. */
quartet_status txn_writable(txn *t, struct err *err);
quartet_status txn_note_range(txn *t, tree_id tree, const struct kv_range *range, struct err *err);
quartet_status txn_note_point(txn *t, tree_id tree, struct slice key, struct err *err);
quartet_status txn_catalog_refresh(txn *t, struct err *err); /* after DDL wrote system rows */
/* A lone SELECT: nothing will be validated or written. `rested` (NULL: none) is one to use again; it is consumed. It ends with txn_rest or txn_rollback. */
quartet_status txn_begin_read(db *d, txn *rested, txn **out, struct err *err);
void txn_rest(txn *t); /* the read has ended; the memory waits for the next one, or for txn_rollback */
/* As txn_begin on the newest state, holding the commit lock until it ends: nothing can come between, so its commit cannot fail for what it read. */
quartet_status txn_begin_exclusive(db *d, txn **out, struct err *err);
/* The same now(), and the same random bytes as far as `randoms` goes (new ones are appended): for a transaction that may be run again. Borrowed. */
void txn_replay_inputs(txn *t, int64_t now_us, struct buf *randoms);
/* A client's request commits it: told with the delta (outcome.c). Session 0: none. */
void txn_set_request(txn *t, const struct delta_request *request);
/* As txn_commit; *stamp (0: read-only) is the commit's. */
quartet_status txn_commit_stamped(txn *t, hlc_stamp *stamp, struct err *err);

/* Pending rows. */
struct pending {
    uint8_t flags;         /* row_op_flags */
    bool live;
    struct slice bitmap;   /* written columns; empty where flags != 0 */
    struct bytes_in items; /* what the visible values do not tell */
    uint32_t value_count;
    struct slice values;
};
bool pending_read(struct slice record, struct pending *out);

/* table_pending.c */
struct pending_item {
    uint32_t column;    /* of the record */
    uint8_t op;         /* enum row_write_op */
    __int128 sum;       /* COUNTER, ROW_ADD: what is added */
    struct slice token; /* SET, ROW_ADD and ROW_CUT: the element. MAXIMUM, MINIMUM, ROW_CUT: the register begins anew, with the visible value */
};
bool pending_next(struct bytes_in *items, const struct row_schema *schema, struct pending_item *out); /* ascending columns; a SET's elements in order. False: the end, or items->bad */
/* The pending operation of an updated row as meta: what `prior` (NULL: nothing) says and these writes, one after the other. `values` is the row by table column, as it was,
 * and becomes what it is. */
quartet_status pending_update(const struct table_def *table, const struct pending *prior, const struct table_write *writes, uint32_t count, struct value *values,
                              struct arena *a, struct buf *meta, struct err *err);

/* The present record of a row for this transaction. *own: it is a pending one, *out points into the buffer; otherwise it is in t->record. False in
 * *found: no such record. Live or not is the caller's to look at. */
quartet_status txn_row(txn *t, tree_id tree, struct slice key, apply_no through, struct slice *out, bool *own, bool *found, struct err *err);

/* The same for who has read the row: only what this transaction has done to it. *own false: nothing, so the row is as it was read. */
quartet_status txn_own_row(txn *t, tree_id tree, struct slice key, apply_no through, struct slice *out, bool *own, struct err *err);

/* index.c */
/* The key of a row's entry in an index; values by table column. */
quartet_status index_key(const struct table_def *t, const struct index_def *ix, const struct value *values, struct slice primary, struct buf *out,
                         struct err *err);
bool index_holds(const struct index_def *ix, const struct value *values); /* has a row with these values an entry? */
bool index_claims(const struct index_def *ix, const struct value *values); /* and does it claim its values there? One with a NULL does not */
/* Bytes of an entry's key that belong to the indexed columns. */
size_t index_prefix(const struct index_def *ix, struct slice entry);
void index_put_column(const struct table_def *t, const struct index_def *ix, uint32_t i, const struct value *v, struct buf *out, struct buf *fold);
/* Is there another row with these values? *other: its primary key, in the arena. */
void txn_key_given(txn *t, const struct table_def *table, const struct value *v); /* by the user */
quartet_status txn_assign_key(txn *t, const struct table_def *table, struct value *v, struct err *err); /* table_assign.c: a NULL INTEGER PRIMARY KEY */
quartet_status index_check_unique(txn *t, const struct table_def *table, const struct index_def *ix, const struct value *values, struct slice own_key,
                                  struct arena *a, struct slice *other, bool *taken, struct err *err);
/* DDL: entries of all rows, of a table that was there before. QUARTET_CONSTRAINT where a unique one would be broken. */
quartet_status index_fill_own(txn *t, const struct table_def *table, const struct index_def *ix, struct err *err);

#endif
