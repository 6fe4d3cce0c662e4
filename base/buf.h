/* buf.h - growing output: bytes appended at the end, with sticky failure.
 *
 * Append as much as you like, then look at `failed` once (buf_check). Numbers of fixed width are little-endian, as
 * everything that Quartet stores or sends outside msgpack, except keys, which are big-endian so that they sort. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <string.h>

#include "bytes.h"

struct buf {
    uint8_t *data; /* owned; NULL while empty */
    size_t len;
    size_t cap;
    size_t limit_bytes; /* 0: none */
    bool failed;        /* out of memory or past the limit; all later appends do nothing */
    bool over_limit;    /* it was the limit */
};

void buf_deinit(struct buf *b);
static inline void buf_clear(struct buf *b) /* len = 0, failed = false; keeps the memory */
{
    b->len = 0;
    b->failed = false;
    b->over_limit = false;
}
void buf_recycle(struct buf *b, size_t keep_bytes); /* buf_clear, but gives back memory of more than that */
uint8_t *buf_grow(struct buf *b, size_t n); /* buf_reserve where there is no room */

/* Appending is inline: encoders live on it. */

static inline uint8_t *buf_reserve(struct buf *b, size_t n) /* room for n more bytes at the end, or NULL; does not change len */
{
    if (!b->failed && b->data != NULL && n <= b->cap - b->len)
        return b->data + b->len;
    return buf_grow(b, n);
}
static inline void buf_put(struct buf *b, const void *p, size_t n)
{
    uint8_t *to = buf_reserve(b, n);
    if (to == NULL || n == 0)
        return;
    memcpy(to, p, n);
    b->len += n;
}
static inline void buf_u8(struct buf *b, uint8_t v)
{
    uint8_t *to = buf_reserve(b, 1);
    if (to == NULL)
        return;
    *to = v;
    b->len++;
}
static inline void buf_u16(struct buf *b, uint16_t v)
{
    uint8_t raw[2];
    store_le16(raw, v);
    buf_put(b, raw, sizeof raw);
}
static inline void buf_u32(struct buf *b, uint32_t v)
{
    uint8_t raw[4];
    store_le32(raw, v);
    buf_put(b, raw, sizeof raw);
}
static inline void buf_u64(struct buf *b, uint64_t v)
{
    uint8_t raw[8];
    store_le64(raw, v);
    buf_put(b, raw, sizeof raw);
}
void buf_varint_long(struct buf *b, uint64_t v);
static inline void buf_varint(struct buf *b, uint64_t v) /* LEB128, at most 10 bytes */
{
    if (v < 0x80u)
        buf_u8(b, (uint8_t)v);
    else
        buf_varint_long(b, v);
}
void buf_str(struct buf *b, const char *s); /* without the NUL */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint8_t *buf_take(struct buf *b, size_t *len); /* ownership moves to the caller (mem_free); b is empty afterwards;
                                               * NULL where b had failed, and where nothing was ever appended */
quartet_status buf_check(const struct buf *b, struct err *err); /* QUARTET_OK, NOMEM or LIMIT */

#endif
