/* parse_error.c - the picture of an error: line and column, the line, a caret below.
 * Columns count characters, as editors do; tabs are copied into the caret's line so that it stands
 * right at any tab width. */
#include <string.h>

#include "base/bytes.h"
#include "parser/parse.h"

#define WINDOW_CHARS 100u /* of a long line this much is shown, the caret in the middle */

/* The length of the character at p: 1 where it is no UTF-8. */
static size_t char_bytes(const char *p, size_t left)
{
    unsigned char c = (unsigned char)*p;
    size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return len <= left && utf8_valid((const uint8_t *)p, len) ? len : 1;
}

static size_t count_chars(const char *p, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i += char_bytes(p + i, n - i))
        count++;
    return count;
}

static const char *skip_chars(const char *p, const char *end, size_t count)
{
    while (count-- > 0 && p < end)
        p += char_bytes(p, (size_t)(end - p));
    return p;
}

static void put_line(const char *p, const char *end, struct buf *out)
{
    while (p < end) {
        size_t len = char_bytes(p, (size_t)(end - p));
        unsigned char c = (unsigned char)*p;
        if (len == 1 && (c >= 0x7f || (c < 0x20 && c != '\t')))
            buf_u8(out, '?');
        else
            buf_put(out, p, len);
        p += len;
    }
}

void parse_error_render(const char *sql, size_t n, int64_t offset, struct buf *out)
{
    if (offset < 0 || (uint64_t)offset > n)
        return;
    const char *at = sql + offset, *start = at, *end = at, *stop = sql + n;
    while (start > sql && start[-1] != '\n')
        start--;
    while (end < stop && *end != '\n')
        end++;
    if (end > at && end[-1] == '\r')
        end--;
    size_t line = 1;
    for (const char *p = sql; p < start; p++)
        line += *p == '\n';
    if (line == 1 && n >= 3 && memcmp(sql, "\xef\xbb\xbf", 3) == 0 && at >= sql + 3)
        start += 3; /* the byte order mark is not seen */
    size_t before = count_chars(start, (size_t)(at - start));
    buf_printf(out, "line %zu, column %zu\n", line, before + 1);
    size_t skip =
        before > WINDOW_CHARS / 2 && before + count_chars(at, (size_t)(end - at)) > WINDOW_CHARS
            ? before - WINDOW_CHARS / 2
            : 0;
    const char *from = skip_chars(start, end, skip);
    const char *to = skip_chars(from, end, WINDOW_CHARS);
    buf_str(out, skip > 0 ? "..." : "");
    put_line(from, to, out);
    buf_str(out, to < end ? "...\n" : "\n");
    buf_str(out, skip > 0 ? "   " : "");
    for (const char *p = from; p < at; p += char_bytes(p, (size_t)(at - p)))
        buf_u8(out, *p == '\t' ? '\t' : ' ');
    buf_str(out, "^\n");
}
