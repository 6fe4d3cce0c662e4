/* key.h - keys that sort as values do: memcmp of two encoded keys gives the order of their columns.
 *
 * A column's key kind follows from its declared type, so both sides of a comparison are encoded alike. */
#ifndef CRDT_KEY_H
#define CRDT_KEY_H

#include "value.h"

#define KEY_BYTES_MAX 8192u /* an encoded primary or index key; a longer one is QUARTET_LIMIT */

enum key_kind {
    KEY_INT,     /* INTEGER, DATE, TIME, TIMESTAMP: tag and 8 bytes big-endian, sign flipped */
    KEY_REAL,    /* tag and the ordered bits of the double */
    KEY_DECIMAL, /* tag and 16 bytes; the column's scale is applied before */
    KEY_BYTES,   /* TEXT, BLOB, JSON: escaped (00 becomes 00 FF), ended by 00 00, so that prefixes sort first */
    KEY_UUID,
    KEY_ANY      /* columns without a type: ordered as value_cmp does; a REAL or DECIMAL equal to an int64 is keyed as that INTEGER */
};

struct key_column {
    uint8_t kind;  /* enum key_kind */
    uint8_t type;  /* the declared enum value_type, for decoding; VALUE_NULL for KEY_ANY */
    uint8_t scale; /* KEY_DECIMAL */
    bool desc;     /* all bytes inverted */
};

/* Append one column. NULL sorts first (last where desc). A value that the kind cannot hold is an assertion: convert before. */
void key_put(struct buf *out, const struct key_column *col, const struct value *v);
/* Read one column back, exactly as it was put (KEY_ANY: normalised as above). Unescaped bytes go to the arena
 * (or point into the input where nothing was escaped and not desc). False and in->bad on damage. */
bool key_get(struct bytes_in *in, const struct key_column *col, struct value *v, struct arena *a);
bool key_skip(struct bytes_in *in, const struct key_column *col);
/* The smallest key above every key that begins with these bytes, in place; false where there is none (all FF). */
bool key_prefix_end(struct buf *key);

#endif
