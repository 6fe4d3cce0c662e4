/* key.h - keys that sort as values do: memcmp of two encoded keys gives the order of their columns.
 *
 * A column's key kind follows from its declared type, so both sides of a comparison are encoded alike. */
#ifndef CRDT_KEY_H
#define CRDT_KEY_H

#include "value.h"

#define KEY_BYTES_MAX 8192u /* an encoded primary or index key; a longer one is QUARTET_LIMIT */

enum key_kind {
    KEY_INT,     /* INTEGER, DATE, TIME, TIMESTAMP: tag and 8 bytes big-endian, sign flipped */
    KEY_REAL,    /* tag and the ordered bits of the double; -0.0 is keyed as 0.0, which it equals */
    KEY_DECIMAL, /* tag and 16 bytes; the column's scale is applied before */
    KEY_BYTES,   /* TEXT, BLOB, JSON: escaped (00 becomes 00 FF), ended by 00 00, so that prefixes sort first */
    KEY_UUID,
    KEY_ANY      /* columns without a type: ordered as value_cmp does. A number is keyed as the INTEGER that equals it, else as
                  * the REAL that does, else as the DECIMAL of least scale: equal numbers are one key. DATE sorts before the
                  * equal TIMESTAMP, TEXT before the equal JSON: they stay different keys */
};

struct key_column {
    uint8_t kind;  /* enum key_kind */
    uint8_t type;  /* the declared enum value_type, for decoding; VALUE_NULL for KEY_ANY */
    uint8_t scale; /* KEY_DECIMAL */
    bool desc;     /* all bytes inverted */
};

/* Append one column. NULL sorts first (last where desc). A value that the kind cannot hold is an assertion: convert before. */
void key_put(struct buf *out, const struct key_column *col, const struct value *v);
/* Bytes in the form of KEY_BYTES: 00 becomes 00 FF, and 00 00 ends: below any byte that could follow, so a prefix sorts first. */
void key_put_escaped(struct buf *out, struct slice s);
/* Read one column back, exactly as it was put (normalised as above). Unescaped bytes go to the arena
 * (or point into the input where nothing was escaped and not desc). False and in->bad on damage. */
bool key_get(struct bytes_in *in, const struct key_column *col, struct value *v, struct arena *a);
bool key_skip(struct bytes_in *in, const struct key_column *col);
/* Is this exactly a key of these columns: bytes that key_put makes, no more, TEXT and JSON valid UTF-8? For keys from a peer.
 * False also where memory ran out. The arena is given back. */
bool key_check(struct slice key, const struct key_column *cols, uint32_t count, struct arena *a);
/* The smallest key above every key that begins with these bytes, in place; false where there is none (all FF). */
bool key_prefix_end(struct buf *key);

#endif
