/* bytes.c - the bounded reader of untrusted bytes.
 * Why: every decoder of a peer's or a file's bytes goes through these few lines, so the one comparison that keeps it
 *   inside the buffer is written once. A decoder reads all its fields and looks at `bad` at the end; after the first
 *   bad read all later ones give zeros and move nothing. */
#include "base/bytes.h"

#include <string.h>

static const uint8_t NOTHING[1] = {0}; /* pointer arithmetic on NULL is undefined, even by zero */

int slice_cmp_long(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n != 0 ? memcmp(a.p, b.p, n) : 0;
    if (order != 0)
        return order;
    return a.n < b.n ? -1 : a.n > b.n;
}

bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

struct bytes_in bytes_in(const void *p, size_t n)
{
    QASSERT(p != NULL || n == 0);
    return (struct bytes_in){.at = p != NULL ? p : NOTHING, .left = n};
}

uint16_t bytes_u16(struct bytes_in *in)
{
    const uint8_t *p = bytes_take(in, 2u);
    return p != NULL ? load_le16(p) : 0;
}

uint32_t bytes_u32(struct bytes_in *in)
{
    const uint8_t *p = bytes_take(in, 4u);
    return p != NULL ? load_le32(p) : 0;
}

uint64_t bytes_u64(struct bytes_in *in)
{
    const uint8_t *p = bytes_take(in, 8u);
    return p != NULL ? load_le64(p) : 0;
}

uint64_t bytes_varint_long(struct bytes_in *in)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64u; shift += 7u) {
        const uint8_t *p = bytes_take(in, 1u);
        if (p == NULL)
            return 0;
        if (shift == 63u && *p > 1u)
            break; /* the tenth byte holds the one bit that is left */
        v |= (uint64_t)(*p & 0x7Fu) << shift;
        if (*p < 0x80u)
            return v;
    }
    in->bad = true;
    return 0;
}

struct slice bytes_slice(struct bytes_in *in)
{
    uint64_t n = bytes_varint(in);
    if (n > in->left) /* before it becomes a size_t */
        in->bad = true;
    const uint8_t *p = in->bad ? NULL : bytes_take(in, (size_t)n);
    return p != NULL ? slice_of(p, (size_t)n) : slice_of(NOTHING, 0);
}

uint32_t bytes_count(struct bytes_in *in, size_t elem_size_min)
{
    QASSERT(elem_size_min > 0); /* our mistake, not the peer's */
    uint64_t n = bytes_varint(in);
    if (n > UINT32_MAX || n > in->left / elem_size_min)
        in->bad = true;
    return in->bad ? 0 : (uint32_t)n;
}

/* Length of the well-formed sequence at p, of at most `left` bytes; 0 where it is not one. The bounds of the second byte
 * shut out overlong forms, surrogates and what lies past U+10FFFF (Unicode, table 3-7). */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    uint8_t first = p[0];
    uint8_t low = 0x80u;
    uint8_t high = 0xBFu;
    size_t length;
    if (first < 0x80u)
        return 1u;
    if (first < 0xC2u || first > 0xF4u)
        return 0;
    if (first < 0xE0u) {
        length = 2u;
    } else if (first < 0xF0u) {
        length = 3u;
        if (first == 0xE0u)
            low = 0xA0u;
        else if (first == 0xEDu)
            high = 0x9Fu;
    } else {
        length = 4u;
        if (first == 0xF0u)
            low = 0x90u;
        else if (first == 0xF4u)
            high = 0x8Fu;
    }
    if (length > left || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xC0u) != 0x80u)
            return 0;
    return length;
}

bool utf8_valid(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        if (n - i >= 8u && (load_le64(p + i) & 0x8080808080808080u) == 0) {
            i += 8u; /* most text is ASCII */
            continue;
        }
        if (n >= 8u && n - i < 8u && (load_le64(p + n - 8u) & 0x8080808080808080u) == 0)
            return true; /* so is its rest, which is looked at together with what stands before it */
        size_t length = utf8_length(p + i, n - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}
