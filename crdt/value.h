/* value.h - a typed cell: the values that columns hold, deltas ship and hashes cover; their total order and bit-exact encoding.
 *
 * Values do not own memory: TEXT, BLOB and JSON point to bytes that somebody else keeps alive. */
#ifndef CRDT_VALUE_H
#define CRDT_VALUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"

/* The numbers are those of the public API (quartet.h) and of every stored or shipped value. */
enum value_type {
    VALUE_INTEGER = 1, /* i; BOOLEAN is 0 and 1 */
    VALUE_REAL = 2,    /* r; no NaN is ever stored: value_encode makes it NULL, and it sorts as NULL */
    VALUE_TEXT = 3,    /* s, valid UTF-8 */
    VALUE_BLOB = 4,    /* s */
    VALUE_NULL = 5,
    VALUE_DECIMAL = 6,   /* dec, scale: dec / 10^scale, at most 38 digits */
    VALUE_DATE = 7,      /* i: days since 1970-01-01, proleptic Gregorian */
    VALUE_TIME = 8,      /* i: microseconds since midnight */
    VALUE_TIMESTAMP = 9, /* i: microseconds since 1970-01-01 00:00:00 UTC */
    VALUE_UUID = 10,     /* uuid */
    VALUE_JSON = 11      /* s: JSON text as it was written */
};

/* A 128-bit two's complement number in two halves, so that a value needs no 16-byte alignment. */
struct dec128 {
    uint64_t lo;
    int64_t hi;
};

static inline __int128 dec_get(struct dec128 d)
{
    return (__int128)(((unsigned __int128)(uint64_t)d.hi << 64) | d.lo);
}
static inline struct dec128 dec_make(__int128 v)
{
    return (struct dec128){.lo = (uint64_t)(unsigned __int128)v, .hi = (int64_t)(v >> 64)};
}

struct value {
    uint8_t type;  /* enum value_type */
    uint8_t scale; /* DECIMAL: 0 to 38 */
    union {
        int64_t i;
        double r;
        struct slice s;
        struct dec128 dec;
        uint8_t uuid[16];
    };
};

#define VALUE_SCALE_MAX 38u       /* of a DECIMAL, and its digits */
#define VALUE_DAY_US 86400000000ll /* microseconds in a day */

#define VALUE_NULL_INIT ((struct value){.type = VALUE_NULL})
static inline struct value value_int(int64_t i)
{
    return (struct value){.type = VALUE_INTEGER, .i = i};
}
static inline struct value value_text(const void *p, size_t n)
{
    return (struct value){.type = VALUE_TEXT, .s = {p, n}};
}

/* Total order over all values, the one of ORDER BY and of keys: NULL, then numbers (INTEGER, REAL and DECIMAL compared
 * exactly by value, never through a rounded double), then DATE and TIMESTAMP as instants, TIME, TEXT and JSON by bytes, UUID, BLOB.
 * -0.0 equals 0.0. Returns below, equal to or above 0. */
int value_cmp(const struct value *a, const struct value *b);
/* Same type, scale and bits: what convergence compares. 1 and 1.0 differ. */
bool value_identical(const struct value *a, const struct value *b);

/* Self-delimiting bit-exact encoding: a tag byte (type, and for small integers and short texts more), then the payload.
 * Used in records and hashed for the state hash: one value has exactly one encoding. */
void value_encode(struct buf *out, const struct value *v);
/* values[columns[0]], values[columns[1]], ... one behind the other, as value_encode puts each. */
void value_encode_row(struct buf *out, const struct value *values, const uint32_t *columns, uint32_t n);
bool value_decode(struct bytes_in *in, struct value *v); /* false and in->bad on damage; points into the input */
bool value_skip(struct bytes_in *in);
bool value_copy(struct arena *a, struct value *v); /* bytes into the arena; false: out of memory */

__int128 value_pow10(uint32_t n); /* n up to VALUE_SCALE_MAX */
__int128 value_instant(const struct value *v); /* DATE or TIMESTAMP in microseconds */
/* A DECIMAL's number as the fewest bytes of little-endian two's complement (0 for 0), and back: false where n, the scale,
 * the digits or the length are not what value_dec_bytes gives. */
uint32_t value_dec_bytes(struct dec128 d, uint8_t out[16]);
bool value_dec_load(const uint8_t *p, size_t n, uint32_t scale, struct dec128 *out);

#endif
