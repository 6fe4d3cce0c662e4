/* buf.c - growing output.
 * Why: encoders append hundreds of small fields; one sticky flag that is looked at once replaces a check after each.
 * Invariants: len <= cap; cap <= limit_bytes where there is a limit; after a failure the bytes so far are untouched. */
#include "base/buf.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define BUF_CAP_BYTES_MIN 64u

void buf_deinit(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){.limit_bytes = b->limit_bytes};
}

void buf_recycle(struct buf *b, size_t keep_bytes)
{
    if (b->cap > keep_bytes)
        buf_deinit(b); /* but for its limit */
    buf_clear(b);
}

uint8_t *buf_grow(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    QASSERT(b->len <= b->cap);
    size_t max = b->limit_bytes != 0 ? b->limit_bytes : SIZE_MAX / 2u;
    if (b->len > max || n > max - b->len) {
        b->failed = true;
        b->over_limit = b->limit_bytes != 0;
        return NULL;
    }
    size_t cap = b->cap < max / 2u ? b->cap * 2u : max;
    if (cap < BUF_CAP_BYTES_MIN)
        cap = BUF_CAP_BYTES_MIN;
    if (cap < b->len + n)
        cap = b->len + n;
    if (cap > max)
        cap = max;
    uint8_t *data = mem_realloc(b->data, cap, 1u);
    if (data == NULL) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->cap = cap;
    return data + b->len;
}

void buf_varint_long(struct buf *b, uint64_t v)
{
    uint8_t raw[10];
    size_t n = 0;
    while (v >= 0x80u) {
        raw[n++] = (uint8_t)(v | 0x80u);
        v >>= 7;
    }
    raw[n++] = (uint8_t)v;
    buf_put(b, raw, n);
}

void buf_str(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (wanted < 0) {
        b->failed = true;
        return;
    }
    /* vsnprintf writes a NUL, which is not part of the output: where the limit leaves no room for it, format aside. */
    size_t n = (size_t)wanted;
    bool tight = b->limit_bytes != 0 && !b->failed && b->len + n == b->limit_bytes;
    char *text = tight ? mem_alloc(n + 1u) : (char *)buf_reserve(b, n + 1u);
    if (text == NULL) {
        b->failed = true;
        return;
    }
    va_start(args, format);
    int written = vsnprintf(text, n + 1u, format, args);
    va_end(args);
    QASSERT(written == wanted);
    if (tight) {
        buf_put(b, text, n);
        mem_free(text);
    } else {
        b->len += n;
    }
}

uint8_t *buf_take(struct buf *b, size_t *len)
{
    uint8_t *data = NULL;
    *len = 0;
    if (!b->failed) {
        data = b->data;
        *len = b->len;
        b->data = NULL;
    }
    buf_deinit(b);
    return data;
}

quartet_status buf_check(const struct buf *b, struct err *err)
{
    if (!b->failed)
        return QUARTET_OK;
    if (b->over_limit)
        return err_set(err, QUARTET_LIMIT, "output would be larger than %zu bytes", b->limit_bytes);
    return err_nomem(err);
}
