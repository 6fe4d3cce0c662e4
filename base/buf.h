/* buf.h - growing output: bytes appended at the end, with sticky failure.
 *
 * Append as much as you like, then look at `failed` once (buf_check). Numbers of fixed width are little-endian, as
 * everything that Quartet stores or sends outside msgpack, except keys, which are big-endian so that they sort. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "status.h"

struct buf {
    uint8_t *data; /* owned; NULL while empty */
    size_t len;
    size_t cap;
    size_t limit_bytes; /* 0: none */
    bool failed;        /* out of memory or past the limit; all later appends do nothing */
    bool over_limit;    /* it was the limit */
};

void buf_deinit(struct buf *b);
void buf_clear(struct buf *b); /* len = 0, failed = false; keeps the memory */
uint8_t *buf_reserve(struct buf *b, size_t n); /* room for n more bytes at the end, or NULL; does not change len */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_varint(struct buf *b, uint64_t v); /* LEB128, at most 10 bytes */
void buf_str(struct buf *b, const char *s); /* without the NUL */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint8_t *buf_take(struct buf *b, size_t *len); /* ownership moves to the caller (mem_free); b is empty afterwards;
                                               * NULL where b had failed, and where nothing was ever appended */
quartet_status buf_check(const struct buf *b, struct err *err); /* QUARTET_OK, NOMEM or LIMIT */

#endif
