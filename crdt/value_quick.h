/* value_quick.h - the encodings of the commonest values, compiled into their callers: integers, short texts, reals. Each falls back to value.h's function, whose bytes
 * and answers are the same: a load spends a tenth of its time here. */
#ifndef CRDT_VALUE_QUICK_H
#define CRDT_VALUE_QUICK_H

#include <string.h>

#include "value.h"

/* Tags. Integers use the fewest bytes of two's complement, little-endian, so that each has one encoding. */
enum {
    TAG_REAL = 0x02,
    TAG_TEXT = 0x03, /* 64 bytes or longer; shorter ones have the length in the tag */
    TAG_BLOB = 0x04,
    TAG_NULL = 0x05,
    TAG_DECIMAL = 0x06,
    TAG_UUID = 0x0a,
    TAG_JSON = 0x0b,
    TAG_INT = 0x10,        /* + bytes, 1 to 8 */
    TAG_DATE = 0x20,       /* + bytes, 0 to 8 */
    TAG_TIME = 0x30,       /* + bytes, 0 to 8 */
    TAG_TIMESTAMP = 0x40,  /* + bytes, 0 to 8 */
    TAG_INT_SMALL = 0x60,  /* + the number, 0 to 31 */
    TAG_TEXT_SHORT = 0x80  /* + length, 0 to 63 */
};
#define INT_SMALL_MAX 31
#define TEXT_SHORT_MAX 63u

/* Bytes of two's complement that hold v; 0 for 0. */
static inline uint32_t value_int_bytes(int64_t v)
{
    uint64_t magnitude = (uint64_t)(v ^ (v >> 63)) | 1u; /* it and its sign: a bit more */
    return v == 0 ? 0 : (72u - (uint32_t)__builtin_clzll(magnitude)) / 8u;
}

/* There is room for 9 bytes at p. Returns the end. */
static inline uint8_t *value_put_int(uint8_t *p, uint8_t tag, int64_t v)
{
    uint32_t n = value_int_bytes(v);
    *p++ = (uint8_t)(tag + n);
    store_le64(p, (uint64_t)v); /* what is past n is overwritten or never counted */
    return p + n;
}

/* As value_encode. */
static inline void value_encode_quick(struct buf *out, const struct value *v)
{
    bool text = v->type == VALUE_TEXT && v->s.n <= TEXT_SHORT_MAX;
    uint8_t *p;
    if ((!text && v->type != VALUE_INTEGER) || (p = buf_reserve(out, 1 + TEXT_SHORT_MAX)) == NULL) {
        value_encode(out, v);
    } else if (text) {
        *p = (uint8_t)(TAG_TEXT_SHORT + v->s.n);
        bytes_copy(p + 1, v->s.p, v->s.n);
        out->len += 1 + v->s.n;
    } else if (v->i >= 0 && v->i <= INT_SMALL_MAX) {
        *p = (uint8_t)(TAG_INT_SMALL + v->i);
        out->len++;
    } else {
        out->len += (size_t)(value_put_int(p, TAG_INT, v->i) - p);
    }
}

/* As value_decode. */
static inline bool value_decode_quick(struct bytes_in *in, struct value *v)
{
    if (in->bad || in->left == 0)
        return value_decode(in, v);
    uint8_t tag = *in->at;
    uint32_t n = 1;
    v->scale = 0;
    if (tag >= TAG_TEXT_SHORT && tag <= TAG_TEXT_SHORT + TEXT_SHORT_MAX && in->left > (size_t)(tag - TAG_TEXT_SHORT)) {
        n = 1u + tag - TAG_TEXT_SHORT;
        v->type = VALUE_TEXT;
        v->s = (struct slice){.p = in->at + 1, .n = n - 1};
    } else if (tag >= TAG_INT_SMALL && tag <= TAG_INT_SMALL + INT_SMALL_MAX) {
        v->type = VALUE_INTEGER;
        v->i = tag - TAG_INT_SMALL;
    } else if (tag > TAG_INT && tag <= TAG_INT + 8 && in->left >= 9) {
        uint32_t shift = 64u - 8u * (uint32_t)(tag - TAG_INT);
        n = 1u + tag - TAG_INT;
        v->type = VALUE_INTEGER;
        v->i = (int64_t)(load_le64(in->at + 1) << shift) >> shift;
        if (value_int_bytes(v->i) + 1 != n || (v->i >= 0 && v->i <= INT_SMALL_MAX))
            return value_decode(in, v); /* which says that this is damage */
    } else if (tag == TAG_REAL && in->left >= 9) {
        uint64_t bits = load_le64(in->at + 1);
        n = 9;
        memcpy(&v->r, &bits, sizeof bits);
        v->type = VALUE_REAL;
        if (v->r != v->r)
            return value_decode(in, v); /* likewise */
    } else {
        return value_decode(in, v);
    }
    in->at += n;
    in->left -= n;
    return true;
}

#endif
