/* row.h - a row: births, and one register per column (DESIGN.md section 3); its merge, its record bytes, its hash.
 *
 * A row has one *life* per birth (the version of an INSERT). A DELETE ends the lives that it saw. Every life has its own
 * registers; a write goes to each life that its writer saw ("saw" is decided by the writer's vector, so operations name no
 * births). The row is live while one of its lives is not ended; a column shows the newest write among the unended lives,
 * a COUNTER the sum over them. Nearly every row has one life, all of whose registers carry the birth's version: a SIMPLE row.
 *
 * The key columns are in the key and in no record. "Column" below is the position among the other columns of the table, in the
 * local order in which this node learnt them; it is never shipped (deltas use column ids). */
#ifndef CRDT_ROW_H
#define CRDT_ROW_H

#include "base/arena.h"
#include "chain.h"
#include "value.h"

#define ROW_COLUMNS_MAX 2000u

enum row_kind { /* how a column merges; row_cell.c */
    ROW_LWW = 0,
    ROW_COUNTER = 1, /* INTEGER or DECIMAL of one scale; sums are kept in 128 bits */
    ROW_MAXIMUM = 2, /* by value_cmp; NULL is below every value; of equal ones the older stays */
    ROW_MINIMUM = 3, /* likewise; NULL is above every value */
    ROW_SET = 4,     /* of JSON scalars; reads as a JSON array in the order of row_token_cmp */
    ROW_MULTIVALUE = 5
};

/* What a plain value is as an element of a SET, in the arena or static; none (n 0) where it cannot be one. The same on every node. False: out of memory. */
typedef bool row_element_fn(const struct value *v, struct arena *a, struct slice *token);

struct row_column {
    uint8_t kind;         /* enum row_kind */
    uint8_t scale;        /* COUNTER on DECIMAL; else 0 */
    bool is_decimal;      /* COUNTER: the sum reads as DECIMAL, else as INTEGER (both saturate) */
    bool over_lww;        /* it was a plain column once: the LWW register merges on below, and gives the base value */
    struct value missing; /* what a row written before the column existed shows: the constant DEFAULT of ADD COLUMN, or NULL.
                           * In a COUNTER it is what the life begins with; NULL counts as 0, a COUNTER never reads as NULL. A SET begins empty */
    row_element_fn *element; /* SET over_lww: of the values below; missing is NULL then */
};
struct row_schema {
    const struct row_column *columns;
    uint32_t count;
    bool updates_win; /* the table has this option, or once had it: below, struct row_life */
    bool observes;    /* updates_win, or a column is past COUNTER or over_lww: merging may ask what a writer had seen beyond births */
};

/* One part of a counter: what one chain added in this life. A change stamped no later than `last` is already in it. The
 * first value of an INSERT is a part of the birth's chain (none where it is 0). */
struct row_part {
    chain_no chain;
    hlc_stamp last;
    struct dec128 sum;
};
/* A value with its version; or, where value.type is 0, a mark: MAXIMUM, MINIMUM: the register began anew at this version. SET, MULTIVALUE: all that
 * this chain added up to this stamp was here, so what is not here any more was taken away (needed where nothing that it added at that
 * stamp is left; the birth's own needs none). Marks come first, by chain identity. */
struct row_item {
    struct ver ver;
    struct value value;
};
struct row_cell {
    struct ver ver;         /* LWW: of the newest write. COUNTER, SET: the birth where the INSERT set it. MAXIMUM, MINIMUM: of the value that holds. MULTIVALUE: of the
                             * newest value. over_lww: as LWW. {0,0}: never written, so `missing` shows, in a COUNTER below the parts */
    struct value value;     /* NULL where never written, and in COUNTER and SET */
    union {
        struct row_part *parts; /* COUNTER; sorted by chain identity */
        struct row_item *items; /* SET: elements, TEXT that is a JSON scalar, by element, then version. MULTIVALUE: the other values, by version. MAXIMUM, MINIMUM: at
                                 * most a mark. over_lww: the value that holds, all values; of a SET behind the marks one with VALUE_NULL where the base was taken away, with the base's
                                 * version. Never changed in place */
    };
    uint32_t part_count;
};
/* A DELETE in a table where updates win: what its writer had seen, its own chain included. */
struct row_delete {
    struct ver ver;
    const struct row_part *seen; /* chain, last; sorted by chain identity */
    uint32_t seen_count;
};
struct row_life {
    struct ver birth;
    bool ended;
    struct row_cell *cells; /* schema.count of them; NULL where ended, but not where updates win */
    /* Only where updates win: each chain's last write to this life after the birth, losing ones included; and the DELETEs that had seen every one of
     * them, none of which had seen less than another. The life has ended while there is one; where a DELETE without ROW_OP_WIN ended it for good, cells is NULL. Sorted by
     * chain identity, by version. */
    struct row_part *writes;
    uint32_t write_count;
    struct row_delete *deletes;
    uint32_t delete_count;
};
/* A decoded row. Everything is in the arena it was decoded or changed with. No life at all: the row was never known.
 * Of a chain's ended lives only the newest is kept, if no newer life of that chain is there: an unlisted birth that is older
 * than a listed one of its chain has ended (a chain's births arrive in order). Where updates win all are kept that a late write may bring back. */
struct row {
    struct row_life *lives; /* sorted by birth (ver_cmp) */
    uint32_t life_count;
};

/* What one transaction does to one row: the form in deltas, already net (one per row and transaction). Order of effect:
 * first `ends`, then writes to the remaining lives, then the birth with its own cells. One with ROW_OP_WIN, but without INSERT, DELETE and writes, is a write all the
 * same: no DELETE ends the row that had not seen it. Elsewhere it does nothing. */
enum row_op_flags {
    ROW_OP_DELETE = 1, /* end every life that the writer saw (those of earlier transactions); writes then reach nothing */
    ROW_OP_INSERT = 2, /* a new life; `writes` then are its cells, one for every column of the table, and go to it alone */
    ROW_OP_ADD_TO = 4, /* writes that add to a COUNTER go to the life that is named alone: the writer saw several, and one addition must count once */
    ROW_OP_LIVES = 8,  /* where updates win, or once did: the writer knew several lives, and these were not ended: writes go to them alone, additions to the last of them */
    ROW_OP_WIN = 16    /* to its writer updates win in this table: goes with DELETE, with LIVES, or alone */
};
/* What a write does. An INSERT's is ROW_PUT, whatever the kind: its first value, of a SET a JSON array. In any other operation one that the column's kind does not
 * have does nothing. */
enum row_write_op {
    ROW_PUT = 0, /* LWW: the value. over_lww: the base value, which is one element of a SET; an INSERT that gives a SET as a JSON array leaves the base NULL */
    ROW_ADD = 1, /* COUNTER: a change. MAXIMUM, MINIMUM: a value that may be the largest, the smallest. SET: one element comes. MULTIVALUE: a value */
    ROW_CUT = 2  /* SET: one element goes. MAXIMUM, MINIMUM: the register begins anew, with this value */
};
#define ROW_WRITE_OPS 3u
struct row_write {
    uint32_t column;
    uint8_t op; /* enum row_write_op */
    struct value value;
};
struct row_birth {
    struct chain_id chain;
    hlc_stamp stamp;
};
struct row_op {
    uint8_t flags;
    struct row_write *writes; /* those to one SET stand together: its elements, each once */
    uint32_t write_count;
    struct row_birth *lives; /* ROW_OP_ADD_TO: one; ROW_OP_LIVES: at least one, by version; else none */
    uint32_t life_count;
};

/* Who writes: the version of the transaction, and the vector of what its writer had applied when it committed. */
struct row_writer {
    struct ver ver;
    const struct vv *seen;
    const struct chain_table *chains;
};

/* Did the writer see this version? Of its own chain: all that is stamped earlier. */
bool row_writer_saw(const struct row_writer *w, struct ver birth);

/* Merge one operation into a row, in place; memory from the arena, values are not copied. Commutative, associative and
 * idempotent over all causal orders of whole transactions. *changed: whether anything at all differs now. A column named twice
 * in one operation keeps the first. On failure the row is half done: drop it. */
quartet_status row_apply(struct row *row, const struct row_schema *schema, const struct row_op *op, const struct row_writer *writer,
                         struct arena *a, bool *changed, struct err *err);
/* Join two states of one row (snapshots), in place: same laws; an ended life stays ended. Shares only values' bytes with `other`. */
quartet_status row_merge(struct row *into, const struct row *other, const struct row_schema *schema, const struct chain_table *chains,
                         struct arena *a, struct err *err);
/* Of one register of an unended life (DESIGN.md section 2): all that folded chains (chain_fold_of) added to a COUNTER becomes one part, their marks in a SET or MULTIVALUE one mark, in the
 * name of `sum`, the sum of the newest fold. Only where at least two become one. It shows, hashes and merges as before; what those chains wrote and is told again still counts once.
 * *changed is set where anything was. False: out of memory. */
bool row_fold_cell(struct row_cell *cell, const struct row_column *column, const struct chain_table *chains, chain_no sum, struct arena *a, bool *changed);
/* Likewise the births of folded chains that have ended for good: one that has ended, in the name of `sum`. Others stay as they are. */
bool row_fold_births(struct row *row, const struct chain_table *chains, chain_no sum, struct arena *a, bool *changed);
bool row_live(const struct row *row); /* by its births: it may be quarantined all the same (RECORD_HIDDEN) */
const struct row_life *row_first_life(const struct row *row); /* the earliest that has not ended; NULL: the row is not live */
/* The visible values, schema.count of them; counters summed. Only for a live row. Bytes lie in the row or in the arena; false: out of memory. */
bool row_show(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, struct arena *a, struct value *out);
/* A SET that is over_lww shows the plain value where nothing was written above it: *v as the set that it is. False: out of memory. */
bool row_show_as_set(const struct row_column *column, struct value *v, struct arena *a);
bool row_show_column(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column, struct arena *a,
                     struct value *out);
/* All values of a MULTIVALUE column that nobody replaced, the one that shows first, then by version downwards; in the arena. */
bool row_siblings(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column, struct arena *a,
                  struct value **out, uint32_t *count);
/* The order of a SET's elements: numbers by value, then strings by bytes. */
int row_token_cmp(struct slice a, struct slice b);
/* The elements of a SET as it reads: a JSON array of scalars without blanks, in order, each once (else QUARTET_CORRUPT). Slices of `json`, in an array in the arena. */
quartet_status row_tokens(struct slice json, struct arena *a, struct slice **out, uint32_t *count, struct err *err);
bool row_token_valid(struct slice token); /* has the form of one; whether it is well-formed inside is the engine's to say */
/* COUNTER: a value as a number at the column's scale (what is no number counts as 0), a number as the value it reads as, and
 * the sum of one life's cell, `missing` included. */
__int128 row_counter_number(const struct row_column *column, const struct value *v);
struct value row_counter_value(const struct row_column *column, __int128 sum);
__int128 row_counter_sum(const struct row_column *column, const struct row_cell *cell);

/* Record: the bytes a row has in the store (docs/STORAGE.md, "Records"). Visible values always stand there readable without
 * CRDT work:
 *   u8 flags | SIMPLE: u64 stamp, u16 chain_no; else varint length, meta | live rows: varint count, `count` encoded values
 * meta holds all that the visible values do not tell. Columns past `count` show their `missing` value. HIDDEN instead of LIVE: the row is live by its births
 * and breaks a constraint (DESIGN.md section 4): readers skip it as they skip dead rows, its values stand as a live row's do. row_encode never sets it. */
enum record_flags { RECORD_LIVE = 1, RECORD_SIMPLE = 2, RECORD_HIDDEN = 4 };
static inline bool record_has_values(uint8_t flags)
{
    return (flags & (RECORD_LIVE | RECORD_HIDDEN)) != 0;
}
struct record_view { /* points into the record */
    uint8_t flags;
    struct ver ver;      /* SIMPLE: birth and all registers */
    struct slice meta;   /* not SIMPLE */
    uint32_t value_count;
    struct slice values; /* value_count encoded values in a row: value_decode */
};
bool record_view(struct slice record, struct record_view *out); /* false: damaged */
void record_put(struct buf *out, const struct record_view *view); /* the inverse: flags, version or meta, values */
/* LIVE to HIDDEN or back, in place; a record that is neither, or is so already, stays. Only the flags differ. */
void record_set_hidden(uint8_t *record, size_t n, bool hidden);
quartet_status row_encode(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, struct buf *out, struct err *err);
/* Decode a whole row; values point into the record. An empty record gives a row without lives. Damage is QUARTET_CORRUPT. */
quartet_status row_decode(struct slice record, const struct row_schema *schema, struct arena *a, struct row *out, struct err *err);
/* The fast path of an INSERT over nothing: a SIMPLE record straight from values. */
void record_put_simple(struct buf *out, struct ver ver, const struct value *values, uint32_t count);

/* The state hash: the sum, modulo 2^128, over all live rows of a table of a hash of the row's logical content (table id, key, unended
 * births, registers with the stamps of their versions; columns by id; never tombstones, folding or physical layout).
 * Order-free: add the new row's hash, subtract the old one's. A row that is not live hashes to 0. Where scratch->failed is set
 * memory ran out: the result is then no hash. */
struct state_hash {
    uint64_t lo, hi;
};
void state_hash_add(struct state_hash *sum, struct state_hash x);
void state_hash_sub(struct state_hash *sum, struct state_hash x);
struct state_hash row_hash(const struct row *row, const struct row_schema *schema, const uint32_t *column_ids, uint64_t table_id,
                           struct slice key, const struct chain_table *chains, struct buf *scratch);
/* The hash of a SIMPLE row without counters, straight from its record's bytes: values[ends[i - 1]..ends[i]) is column i. column_ids ascend. */
struct row_plain {
    struct ver ver;
    const uint8_t *values; /* encoded, one behind the other */
    const uint32_t *ends;
    uint32_t count;
};
struct state_hash row_hash_plain(const struct row_plain *row, const uint32_t *column_ids, uint64_t table_id, struct slice key,
                                 const struct chain_table *chains, struct buf *scratch);

#endif
