/* bytes.h - a reader of untrusted bytes that cannot run past the end. Errors are sticky: read all fields, then check once. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <string.h>

#include "status.h"

struct bytes_in {
    const uint8_t *at;
    size_t left;
    bool bad;
};

/* Bytes that somebody else owns. */
struct slice {
    const uint8_t *p;
    size_t n;
};

static inline struct slice slice_of(const void *p, size_t n)
{
    return (struct slice){.p = p, .n = n};
}
bool slice_eq(struct slice a, struct slice b);

struct bytes_in bytes_in(const void *p, size_t n);
static inline const uint8_t *bytes_take(struct bytes_in *in, size_t n) /* NULL and bad past the end */
{
    if (in->bad || n > in->left) { /* compare with what is left: at + n can wrap */
        in->bad = true;
        return NULL;
    }
    const uint8_t *start = in->at;
    in->at += n;
    in->left -= n;
    return start;
}
static inline uint8_t bytes_u8(struct bytes_in *in)
{
    const uint8_t *p = bytes_take(in, 1u);
    return p != NULL ? *p : 0;
}
uint16_t bytes_u16(struct bytes_in *in);
uint32_t bytes_u32(struct bytes_in *in);
uint64_t bytes_u64(struct bytes_in *in);
uint64_t bytes_varint_long(struct bytes_in *in);
static inline uint64_t bytes_varint(struct bytes_in *in) /* bad: past 10 bytes or past 64 bits */
{
    if (!in->bad && in->left > 0 && *in->at < 0x80u) {
        in->left--;
        return *in->at++;
    }
    return bytes_varint_long(in);
}
struct slice bytes_slice(struct bytes_in *in);           /* a varint length, then that many bytes */
uint32_t bytes_count(struct bytes_in *in, size_t elem_size_min); /* a varint count that the bytes left can hold */
bool utf8_valid(const uint8_t *p, size_t n);

/* Fixed-width little-endian and big-endian access to memory of any alignment. Inline: decoders and hashes live on them;
 * compilers turn each into one load or store. */
static inline uint64_t load_le64(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static inline uint32_t load_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint16_t load_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline void store_le64(uint8_t *p, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8u * i));
}

static inline void store_le32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8u * i));
}

static inline void store_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t load_be64(const uint8_t *p)
{
    return __builtin_bswap64(load_le64(p));
}

/* As memcpy, for what is mostly short: keys, numbers, names. */
static inline void bytes_copy(uint8_t *to, const void *from, size_t n)
{
    const uint8_t *p = from;
    if (n > 32) {
        memcpy(to, p, n);
    } else if (n >= 16) { /* twice sixteen bytes that may overlap; likewise below */
        uint8_t head[16], tail[16];
        memcpy(head, p, 16);
        memcpy(tail, p + n - 16, 16);
        memcpy(to, head, 16);
        memcpy(to + n - 16, tail, 16);
    } else if (n >= 8) {
        uint64_t head, tail;
        memcpy(&head, p, 8);
        memcpy(&tail, p + n - 8, 8);
        memcpy(to, &head, 8);
        memcpy(to + n - 8, &tail, 8);
    } else if (n >= 4) {
        uint32_t head, tail;
        memcpy(&head, p, 4);
        memcpy(&tail, p + n - 4, 4);
        memcpy(to, &head, 4);
        memcpy(to + n - 4, &tail, 4);
    } else if (n > 0) {
        uint8_t head = p[0], middle = p[n / 2], tail = p[n - 1];
        to[0] = head;
        to[n / 2] = middle;
        to[n - 1] = tail;
    }
}

int slice_cmp_long(struct slice a, struct slice b);
/* As memcmp; of two that begin alike the shorter is less. Most keys differ in their first eight bytes, and searches do little but this. */
static inline int slice_cmp(struct slice a, struct slice b)
{
    if (a.n >= 8u && b.n >= 8u) {
        uint64_t x = load_be64(a.p), y = load_be64(b.p);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return slice_cmp_long(a, b);
}

static inline void store_be64(uint8_t *p, uint64_t v)
{
    store_le64(p, __builtin_bswap64(v));
}

#endif
