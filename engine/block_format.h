/* block_format.h - the numbers of the block format, shared by its writer (block.c) and its reader (block_read.c). */
#ifndef ENGINE_BLOCK_FORMAT_H
#define ENGINE_BLOCK_FORMAT_H

#include "block.h"

/* Header: u64 checksum of all that follows (XXH3, seeded with the tree id), u32 size, u32 rows, u8 format, u8 flags, u16 columns,
 * u8 version encoding, u8[3] zero, u32 where the keys begin, u32 where the row section begins; then the directory of columns. */
#define BLOCK_HEADER_BYTES 32u
#define BLOCK_COLUMN_BYTES 8u /* u32 where it begins, u8 encoding, u8 type, u8 scale, u8 cell width with COLUMN_HAS_NULL */

enum block_flags {
    BLOCK_WIDE = 1,
    BLOCK_ALL_LIVE = 2,
    BLOCK_CLASS_EACH = 4, /* a class per row, else one for all */
    BLOCK_COUNT_EACH = 8, /* u16 values per row, else live rows have all columns */
    BLOCK_HAS_META = 16
};
enum block_versions {
    VERSIONS_NONE = 0,
    VERSIONS_ONE = 1,       /* u64 stamp, u16 chain for all */
    VERSIONS_ONE_CHAIN = 2, /* u64 stamp per row, u16 chain for all */
    VERSIONS_EACH = 3       /* u64 stamp per row, then u16 chain per row */
};
enum block_column_encoding {
    COLUMN_NONE = 0,  /* no row has a value */
    COLUMN_ONE = 1,   /* one encoded value for every row that is not NULL */
    COLUMN_INT = 2,   /* i64 base, then per row the unsigned difference to it, in cells of 1, 2, 4 or 8 bytes */
    COLUMN_FIXED = 3, /* cells of 8 (REAL) or 16 bytes (DECIMAL: lo, hi; UUID) */
    COLUMN_BYTES = 4, /* rows + 1 offsets, then the bytes */
    COLUMN_MIXED = 5  /* rows + 1 offsets, then encoded values */
};
#define COLUMN_HAS_NULL 0x80u /* a bitmap of (rows + 7) / 8 bytes stands first; bit set: NULL, or no such column in the row */

static inline bool block_type_is_int(uint8_t type)
{
    return type == VALUE_INTEGER || type == VALUE_DATE || type == VALUE_TIME || type == VALUE_TIMESTAMP;
}
static inline bool block_type_is_bytes(uint8_t type)
{
    return type == VALUE_TEXT || type == VALUE_BLOB || type == VALUE_JSON;
}

#endif
