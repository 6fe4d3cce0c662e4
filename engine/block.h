/* block.h - neighbouring rows of a tree packed by column: what the base stores (docs/STORAGE.md, "Blocks").
 *
 * A block is made once and never changed. Keys have their common prefix cut, a version that all rows share stands once, each column
 * has an encoding of its own, so that a scan copies whole columns into the executor's vectors. */
#ifndef ENGINE_BLOCK_H
#define ENGINE_BLOCK_H

#include "batch.h"
#include "crdt/row.h"
#include "kv_buffer.h"

#define BLOCK_FORMAT 2u
#define BLOCK_BYTES 4080u            /* an LMDB overflow page less its header; only a single large row or long equal prefixes pass it */
#define BLOCK_BYTES_MAX (1u << 31)
#define BLOCK_ROWS_MAX (1u << 24)

/* What a row is beside its record's own flags (enum record_flags). */
enum block_class {
    BLOCK_LIFE = 0x10,  /* with a record's flags, not SIMPLE: one life, not ended; its birth is in `ver`, what follows it in `meta` */
    BLOCK_EMPTY = 0x40, /* an empty record: an index entry */
    BLOCK_RAW = 0x80    /* bytes that are no record: kept as they are */
};

/* A row on its way into a block. Bytes are borrowed until the block is made. */
struct block_row {
    struct slice key;
    uint8_t class;        /* record flags with BLOCK_LIFE, or BLOCK_EMPTY, or BLOCK_RAW */
    uint32_t value_count;
    struct ver ver;       /* SIMPLE, LIFE */
    struct slice meta;    /* not SIMPLE (of a LIFE: less its birth), or all of a RAW record */
    struct value *values;
    size_t bytes;         /* rough size, before it is packed */
};
/* Take a record apart; values in the arena. QUARTET_NOMEM only: what is no record becomes BLOCK_RAW. */
quartet_status block_row_from_record(struct block_row *row, struct slice key, struct slice record, struct arena *a, struct err *err);

/* Append a block of these rows (1 to BLOCK_ROWS_MAX, keys ascending, all different) to `out`. QUARTET_NOMEM, or QUARTET_LIMIT past BLOCK_BYTES_MAX. */
quartet_status block_encode(tree_id tree, const struct block_row *rows, uint32_t n, struct buf *out, struct err *err);

/* An opened block; borrows the bytes. */
struct block {
    const uint8_t *p;
    size_t size;
    uint32_t rows, cols;
    uint32_t about; /* columns about rows, first in the directory */
    uint8_t flags;
    bool all_live;  /* no row must be skipped */
    bool full_rows; /* every live row has all columns */
    uint8_t one_class;
    const uint8_t *classes;  /* NULL: all rows are `one_class` */
    uint8_t key_encoding, key_width;
    uint32_t prefix_len, suffix_len; /* suffix_len BLOCK_VAR_SUFFIX: they differ */
    const uint8_t *prefix, *keys; /* keys: how the suffixes go on is the encoding's matter */
    size_t key_bytes;        /* from `keys` to the end of the block */
};
#define BLOCK_VAR_SUFFIX 0xFFFFu

/* Check the structure, so that later calls stay inside, and with `verify` the checksum. QUARTET_CORRUPT. */
quartet_status block_open(struct block *b, tree_id tree, const uint8_t *p, size_t n, bool verify, struct err *err);
/* The stored checksum, to remember that a block was verified. */
uint64_t block_checksum(const uint8_t *p);

uint8_t block_class(const struct block *b, uint32_t row);
static inline bool block_class_live(uint8_t class)
{
    return (class & (RECORD_LIVE | BLOCK_EMPTY | BLOCK_RAW)) != 0;
}
static inline bool block_class_has_values(uint8_t class)
{
    return class < BLOCK_EMPTY && record_has_values(class);
}
bool block_key(const struct block *b, uint32_t row, struct buf *out); /* appended; false: damaged */
/* Those of rows from .. from+n-1, `reverse`: the last first; ends[i]: where the i-th ends in `out`. */
bool block_keys(const struct block *b, uint32_t from, uint32_t n, bool reverse, struct buf *out, uint32_t *ends);
#define BLOCK_INT_KEYS_MAX 4u
/* Column `column` of keys that are `columns` ascending integers (KEY_INT without NULLs), BLOCK_INT_KEYS_MAX at most, as numbers. false: one is no such key, or damaged. */
bool block_int_keys(const struct block *b, uint32_t from, uint32_t n, uint32_t column, uint32_t columns, int64_t *out);
/* Scans read blocks one after the other, and most lie so in memory: ask for what a scan of these columns will read of the next one, if it is
 * there and made as this one. */
void block_prefetch_next(const struct block *b, const uint16_t *columns, uint32_t n);
/* The first row with a key at or after `key` (b->rows: none); *exact: it is that key. */
bool block_find(const struct block *b, struct slice key, uint32_t *row, bool *exact);
/* The record, bit by bit as it was put, appended. */
quartet_status block_record(const struct block *b, uint32_t row, struct buf *out, struct err *err);
/* Columns of one row, as block_column gives them, but by value. *live false: nothing was put. A row that is no record has none: QUARTET_CORRUPT. */
quartet_status block_values(const struct block *b, uint32_t row, const uint16_t *columns, uint32_t n, const struct value *missing, struct value *out,
                            bool *live, struct arena *a, struct err *err);
/* Rows from .. from+n-1 for another block; keys, values and what is not in the block as it stands in the arena. */
quartet_status block_rows_get(const struct block *b, uint32_t from, uint32_t n, struct block_row *out, struct arena *a, struct err *err);
/* Rows from .. from+n-1 of a column into rows at .. of `out`, whose cells have room for `struct value` each. Rows that lack the column or are
 * not live become *missing (NULL: NULLs) and NULL. Texts point into the block, or into the arena where they are built. */
quartet_status block_column(const struct block *b, uint32_t column, uint32_t from, uint32_t n, struct vec *out, uint32_t at,
                            const struct value *missing, struct arena *a, struct err *err);
/* How a column is stored (block_format.h), for tests and tools. The column must be there. */
uint8_t block_encoding(const struct block *b, uint32_t column);
/* Rough size of a value, as block_row.bytes counts it. */
size_t block_value_bytes(const struct value *v);

/* Put any value into row `row` of such a vector, rows below being filled. */
void block_vec_put(struct vec *out, uint32_t row, const struct value *v);

#endif
