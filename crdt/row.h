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

enum row_kind { /* how a column merges; numbers are stored. More kinds come: the switch in row.c names each once */
    ROW_LWW = 0,
    ROW_COUNTER = 1 /* INTEGER or DECIMAL of one scale; sums are kept in 128 bits */
};

struct row_column {
    uint8_t kind;         /* enum row_kind */
    uint8_t scale;        /* COUNTER on DECIMAL; else 0 */
    bool is_decimal;      /* COUNTER: the sum reads as DECIMAL, else as INTEGER (both saturate) */
    struct value missing; /* what a row written before the column existed shows: the constant DEFAULT of ADD COLUMN, or NULL.
                           * In a COUNTER it is what the life begins with; NULL counts as 0, a COUNTER never reads as NULL */
};
struct row_schema {
    const struct row_column *columns;
    uint32_t count;
};

/* One part of a counter: what one chain added in this life. A change stamped no later than `last` is already in it. The
 * first value of an INSERT is a part of the birth's chain (none where it is 0). */
struct row_part {
    chain_no chain;
    hlc_stamp last;
    struct dec128 sum;
};
struct row_cell {
    struct ver ver;         /* LWW: of the newest write. COUNTER: the birth where the INSERT set it. {0,0}: never written, so
                             * `missing` shows, in a COUNTER below the parts */
    struct value value;     /* LWW; NULL where never written */
    struct row_part *parts; /* COUNTER; sorted by chain identity */
    uint32_t part_count;
};
struct row_life {
    struct ver birth;
    bool ended;
    struct row_cell *cells; /* schema.count of them; NULL where ended */
};
/* A decoded row. Everything is in the arena it was decoded or changed with. No life at all: the row was never known.
 * Of a chain's ended lives only the newest is kept, if no newer life of that chain is there: an unlisted birth that is older
 * than a listed one of its chain has ended (a chain's births arrive in order). */
struct row {
    struct row_life *lives; /* sorted by birth (ver_cmp) */
    uint32_t life_count;
};

/* What one transaction does to one row: the form in deltas, already net (one per row and transaction). Order of effect:
 * first `ends`, then writes to the remaining lives, then the birth with its own cells. */
enum row_op_flags {
    ROW_OP_DELETE = 1, /* end every life that the writer saw (those of earlier transactions); writes then reach nothing */
    ROW_OP_INSERT = 2, /* a new life; `writes` then are its cells, one for every column of the table, and go to it alone */
    ROW_OP_ADD_TO = 4  /* writes that add go to the life that is named alone: the writer saw several, and one addition must count once */
};
struct row_write {
    uint32_t column;
    bool add;           /* COUNTER: add `value`; else set. An INSERT sets all columns, a counter to its first value; in any
                         * other operation an `add` that does not fit the column's kind does nothing */
    struct value value;
};
struct row_op {
    uint8_t flags;
    struct row_write *writes;
    uint32_t write_count;
    struct chain_id life_chain; /* ROW_OP_ADD_TO: its birth; else zeros */
    hlc_stamp life_stamp;
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
bool row_live(const struct row *row); /* by its births: it may be quarantined all the same (RECORD_HIDDEN) */
const struct row_life *row_first_life(const struct row *row); /* the earliest that has not ended; NULL: the row is not live */
/* The visible values, schema.count of them; counters summed. Only for a live row. */
void row_show(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, struct value *out);
struct value row_show_column(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column);
/* The cell that an LWW column shows: the newest among the unended lives. */
const struct row_cell *row_shown_cell(const struct row *row, const struct chain_table *chains, uint32_t column);
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
 * births, registers with versions; chains by identity; columns by id; never tombstones, folding or physical layout).
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
