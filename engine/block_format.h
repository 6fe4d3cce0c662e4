/* block_format.h - the block format in numbers and small pieces, shared by its writers (block.c, block_pack.c) and its readers (block_read.c,
 * block_unpack.c). docs/STORAGE.md, "Blocks", says the same in words. */
#ifndef ENGINE_BLOCK_FORMAT_H
#define ENGINE_BLOCK_FORMAT_H

#include <string.h>

#include "block.h"

/* Header: u64 checksum of all that follows (XXH3, seeded with the tree id), u32 size, u32 rows, u8 format, u8 flags, u16 columns, u8 class code, u8 key
 * encoding, u8 key cell width in bits, u8 zero, u16 length of the keys' prefix, u16 length of their suffixes. Then the directory: the columns about
 * rows, the columns of values. Then the keys, the class codes, the columns' payloads. */
#define BLOCK_HEADER_BYTES 28u
#define BLOCK_COLUMN_BYTES 8u /* u32 where it begins, u8 encoding, u8 type, u8 scale, u8 cell width in bits with COLUMN_HAS_NULL */

enum block_flags {
    BLOCK_ALL_LIVE = 1,
    BLOCK_CLASS_EACH = 2,   /* a class code of 4 bits per row, else one for all */
    BLOCK_HAS_VERSION = 4,  /* columns about rows: stamp, chain */
    BLOCK_COUNT_EACH = 8,   /* ...: values per row, else live rows have all columns */
    BLOCK_HAS_META = 16     /* ...: meta */
};
#define BLOCK_FLAGS_ALL 31u
static inline uint32_t block_about_columns(uint8_t flags)
{
    return ((flags & BLOCK_HAS_VERSION) != 0 ? 2u : 0u) + ((flags & BLOCK_COUNT_EACH) != 0 ? 1u : 0u) + ((flags & BLOCK_HAS_META) != 0 ? 1u : 0u);
}

enum block_key_encoding {
    KEYS_BYTES = 0,   /* offsets, suffixes */
    KEYS_INT = 1,     /* suffixes of equal length up to 8 as big-endian numbers: u64 first, u64 factor, cells (width 0: the row's number) */
    KEYS_TEMPLATE = 2 /* suffixes of equal length: a template, cells of what varies */
};
#define KEY_TEMPLATE_MAX 256u

enum block_column_encoding {
    COLUMN_NONE = 0,     /* no row has a value */
    COLUMN_ONE = 1,      /* one encoded value for every row that is not NULL */
    COLUMN_INT = 2,      /* i64 base, cells: base + cell */
    COLUMN_TIMES = 3,    /* i64 base, u64 factor, cells: base + cell * factor */
    COLUMN_TENTHS = 4,   /* REAL: as INT, then divided by 10^scale */
    COLUMN_HALVES = 5,   /* REAL: as INT, then divided by 2^scale */
    COLUMN_FIXED = 6,    /* cells of 8 (REAL) or 16 bytes (DECIMAL: lo, hi; UUID) */
    COLUMN_BYTES = 7,    /* offsets, bytes */
    COLUMN_TEMPLATE = 8, /* u16 length of all, a template, cells of what varies */
    COLUMN_AFFIX = 9,    /* u16 length of the prefix, u16 of the suffix, both, offsets, what stands between */
    COLUMN_DICT = 10,    /* u16 count, offsets, encoded values; cells: which of them */
    COLUMN_RUNS = 11,    /* u16 count, offsets, encoded values; u32 for each of them: the row after its last */
    COLUMN_MIXED = 12    /* offsets, encoded values */
};
#define COLUMN_ENCODINGS 13u
#define COLUMN_HAS_NULL 0x80u /* a bitmap of (rows + 7) / 8 bytes stands first; bit set: NULL, or no such column in the row */
#define COLUMN_DICT_MAX 256u
#define COLUMN_SCALE_MAX 16u  /* TENTHS, HALVES */
#define TEMPLATE_SEGMENTS_MAX 16u

static inline bool block_type_is_int(uint8_t type)
{
    return type == VALUE_INTEGER || type == VALUE_DATE || type == VALUE_TIME || type == VALUE_TIMESTAMP;
}
static inline bool block_type_is_bytes(uint8_t type)
{
    return type == VALUE_TEXT || type == VALUE_BLOB || type == VALUE_JSON;
}
extern const double block_pow10[COLUMN_SCALE_MAX + 1];
/* Writer and reader divide alike. */
static inline double block_tenths(int64_t m, uint8_t scale)
{
    return (double)m / block_pow10[scale];
}
static inline double block_halves(int64_t m, uint8_t scale)
{
    return (double)m / (double)(1u << scale);
}

/* ---- class codes: 4 bits; below 8: record flags LIVE and SIMPLE, plus CODE_LIFE ---- */
enum { CODE_LIFE = 4, CODE_EMPTY = 8, CODE_RAW = 9, CODE_HIDDEN = 10, CODE_HIDDEN_LIFE = 11, CODE_HIDDEN_SIMPLE = 12 };
static inline uint8_t block_class_of_code(uint8_t code)
{
    switch (code) {
    case CODE_EMPTY: return BLOCK_EMPTY;
    case CODE_RAW: return BLOCK_RAW;
    case CODE_HIDDEN: return RECORD_HIDDEN;
    case CODE_HIDDEN_LIFE: return RECORD_HIDDEN | BLOCK_LIFE;
    case CODE_HIDDEN_SIMPLE: return RECORD_HIDDEN | RECORD_SIMPLE;
    default: return (uint8_t)((code & 3u) | ((code & CODE_LIFE) != 0 ? BLOCK_LIFE : 0));
    }
}
static inline uint8_t block_code_of_class(uint8_t class)
{
    if (class == BLOCK_EMPTY || class == BLOCK_RAW)
        return class == BLOCK_EMPTY ? CODE_EMPTY : CODE_RAW;
    if ((class & RECORD_HIDDEN) != 0)
        return (class & BLOCK_LIFE) != 0 ? CODE_HIDDEN_LIFE : (class & RECORD_SIMPLE) != 0 ? CODE_HIDDEN_SIMPLE : CODE_HIDDEN;
    return (uint8_t)((class & 3u) | ((class & BLOCK_LIFE) != 0 ? CODE_LIFE : 0));
}

/* ---- cells of 1, 2, 4, 8, 16, ... 64 bits ---- */
static inline uint8_t cell_width(uint64_t max)
{
    if (max < 16)
        return max < 2 ? 1 : max < 4 ? 2 : 4;
    return (uint8_t)(((64u - (uint32_t)__builtin_clzll(max)) + 7u) / 8u * 8u);
}
static inline bool cell_width_good(uint8_t width)
{
    return width == 1 || width == 2 || width == 4 || (width % 8 == 0 && width > 0 && width <= 64);
}
static inline size_t cells_bytes(size_t n, uint8_t width)
{
    return (n * width + 7) / 8;
}
/* Always inlined: loops over cells know the width, and then this is one load. */
static inline __attribute__((always_inline)) uint64_t cell_get(const uint8_t *p, uint8_t width, size_t i)
{
    switch (width) {
    case 1:
    case 2:
    case 4:
        return (uint64_t)p[i * width / 8] >> (i * width % 8) & ((1u << width) - 1);
    case 8:
        return p[i];
    case 16:
        return load_le16(p + i * 2);
    case 24:
        return load_le16(p + i * 3) | (uint64_t)p[i * 3 + 2] << 16;
    case 32:
        return load_le32(p + i * 4);
    case 40:
        return load_le32(p + i * 5) | (uint64_t)p[i * 5 + 4] << 32;
    case 48:
        return load_le32(p + i * 6) | (uint64_t)load_le16(p + i * 6 + 4) << 32;
    case 56:
        return load_le32(p + i * 7) | (uint64_t)load_le16(p + i * 7 + 4) << 32 | (uint64_t)p[i * 7 + 6] << 48;
    default:
        return load_le64(p + i * 8);
    }
}

/* ---- offsets: count + 1 places that cut up what follows. u8 width (of the cells; 0: none), u32 slope, i32 low, cells. Place i is i * slope / 256 + low + cell ---- */
#define OFFSETS_HEAD_BYTES 9u
struct offsets {
    const uint8_t *cells;
    uint32_t slope;
    int32_t low;
    uint8_t width;
};
static inline uint64_t offsets_get(const struct offsets *o, uint32_t i)
{
    uint64_t line = ((uint64_t)i * o->slope) >> 8;
    return line + (uint64_t)(int64_t)o->low + (o->width == 0 ? 0 : cell_get(o->cells, o->width, i));
}
/* The i-th piece of `section`, which has `bytes` at most. A place below zero is huge and so refused. */
static inline bool offsets_piece(const struct offsets *o, const uint8_t *section, size_t bytes, uint32_t i, struct slice *out)
{
    uint64_t from = offsets_get(o, i), to = offsets_get(o, i + 1);
    if (from > to || to > bytes)
        return false;
    *out = slice_of(section + from, (size_t)(to - from));
    return true;
}

static inline uint32_t block_take_u16(struct bytes_in *in)
{
    const uint8_t *p = bytes_take(in, 2);
    return p != NULL ? load_le16(p) : 0;
}
bool offsets_open(struct offsets *o, struct bytes_in *in, size_t count);

/* ---- templates: strings of one length that differ in few places. u8 count of segments, u16 place and u16 length of each (ascending, apart); the
 * template, whose segments are not read; then a cell for each row, its segments one after the other ---- */
struct template {
    const uint8_t *segments, *text;
    uint32_t length, varying;
    uint8_t count;
};
bool template_open(struct template *t, struct bytes_in *in, uint32_t length);
static inline void template_fill(const struct template *t, const uint8_t *cell, uint8_t *out)
{
    memcpy(out, t->text, t->length);
    for (uint32_t s = 0; s < t->count; s++) {
        uint32_t at = load_le16(t->segments + (size_t)s * 4), n = load_le16(t->segments + (size_t)s * 4 + 2);
        memcpy(out + at, cell, n);
        cell += n;
    }
}

/* ---- the writers' pieces (block_pack.c) ---- */
struct pack {
    struct buf *out;
    size_t start;         /* of the block in out */
    uint32_t n;
    struct value *cells;  /* of the column: n; where nulls[r] any value of the column's type stands, or NULL if there is none */
    uint8_t *nulls;       /* n */
    int64_t *ints;        /* n, scratch */
    uint8_t *index;       /* n, scratch */
};
/* Write the column that stands in p->cells: its payload at the end, its entry at `directory` (an offset in the block). */
void pack_column(struct pack *p, size_t directory);
void pack_offsets(struct buf *out, const uint32_t *places, uint32_t count); /* count + 1 places */
void pack_cells(struct buf *out, const uint64_t *cells, uint32_t n, uint8_t width);
/* Segments where strings of one length differ from the first: at most TEMPLATE_SEGMENTS_MAX, bytes of all in *varying. */
struct pack_template {
    uint16_t at[TEMPLATE_SEGMENTS_MAX], length[TEMPLATE_SEGMENTS_MAX];
    uint32_t count, varying, bytes; /* bytes: of a string */
};
#define PACK_TEMPLATE_MAX 1024u
/* `diff` has a byte for each place: not zero where strings differ. false: too many segments. */
bool pack_template_find(struct pack_template *t, const uint8_t *diff, uint32_t bytes);
void pack_template_head(struct buf *out, const struct pack_template *t, const uint8_t *first);
void pack_template_cell(struct buf *out, const struct pack_template *t, const uint8_t *text);

/* ---- the readers' pieces (block_unpack.c) ---- */
struct column { /* of the directory, its payload's parts found and bounds checked */
    uint8_t encoding, type, scale, width;
    const uint8_t *nulls;    /* NULL: none */
    const uint8_t *cells;    /* ONE: the encoded value; BYTES, MIXED, AFFIX: the bytes */
    size_t cell_bytes;       /* what is left from cells on */
    struct offsets offsets;  /* BYTES, AFFIX, MIXED; DICT and RUNS: of the values */
    int64_t base;
    uint64_t factor;
    uint32_t count;          /* DICT, RUNS */
    const uint8_t *values;   /* DICT, RUNS: the encoded values */
    size_t value_bytes;
    const uint8_t *prefix;   /* AFFIX, the suffix behind it */
    uint32_t prefix_bytes, suffix_bytes;
    struct template template;
};
/* `entry`: in the directory, columns about rows first. */
bool column_open(const struct block *b, uint32_t entry, struct column *c);
/* Texts that are built: how long row `row`'s is (false: damaged), and its bytes. */
static inline bool column_is_built(const struct column *c)
{
    return c->encoding == COLUMN_TEMPLATE || c->encoding == COLUMN_AFFIX;
}
bool column_text_bytes(const struct column *c, uint32_t row, size_t *n);
void column_text_build(const struct column *c, uint32_t row, uint8_t *to);
/* One row's value. What does not stand in the block as it is, is built in `a`. QUARTET_CORRUPT, QUARTET_NOMEM, without a message. */
quartet_status column_value(const struct column *c, uint32_t row, struct arena *a, struct value *out);
/* Rows from .. from+n-1 into rows at .. of a vector whose type the column's values fit. */
quartet_status column_fill(const struct column *c, uint32_t from, uint32_t n, struct vec *out, uint32_t at, struct arena *a);
static inline bool column_null(const struct column *c, uint32_t row)
{
    return c->nulls != NULL && (c->nulls[row / 8] >> (row % 8) & 1) != 0;
}
#endif
