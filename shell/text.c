/* text.c - text as terminals, CSV, JSON and SQL want it.
 * Why its own file: every output format and every message needs one of these, and an escape that is forgotten lets data steer
 * the reader's terminal. Widths come from utf8proc, so that a table of names in any script lines up. */
#include "shell.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Decode one code point; a byte that is not UTF-8 counts as one cell of its own. */
static size_t next_point(const char *s, size_t n, utf8proc_int32_t *point)
{
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, point);
    if (used > 0)
        return (size_t)used;
    *point = -1;
    return 1;
}

static bool is_control(utf8proc_int32_t point)
{
    return point >= 0 && (point < 0x20 || (point >= 0x7f && point < 0xa0));
}

size_t text_width(const char *s, size_t n)
{
    size_t width = 0;
    for (size_t at = 0; at < n;) {
        utf8proc_int32_t point;
        at += next_point(s + at, n - at, &point);
        if (point < 0 || is_control(point))
            width += 4; /* printed as \xNN */
        else
            width += (size_t)utf8proc_charwidth(point);
    }
    return width;
}

void text_print_safe(FILE *out, const char *s, size_t n)
{
    for (size_t at = 0; at < n;) {
        utf8proc_int32_t point;
        size_t used = next_point(s + at, n - at, &point);
        if (point < 0 || is_control(point))
            for (size_t k = 0; k < used; k++)
                fprintf(out, "\\x%02x", (unsigned)(unsigned char)s[at + k]);
        else
            fwrite(s + at, 1, used, out);
        at += used;
    }
}

void text_print_padded(FILE *out, const char *s, size_t n, size_t width, bool right)
{
    size_t used = text_width(s, n);
    size_t pad = used < width ? width - used : 0;
    if (right)
        fprintf(out, "%*s", (int)pad, "");
    text_print_safe(out, s, n);
    if (!right)
        fprintf(out, "%*s", (int)pad, "");
}

void text_print_json(FILE *out, const char *s, size_t n)
{
    fputc('"', out);
    for (size_t at = 0; at < n;) {
        utf8proc_int32_t point;
        size_t used = next_point(s + at, n - at, &point);
        unsigned char c = (unsigned char)s[at];
        if (point < 0)
            fputs("\\ufffd", out); /* JSON is UTF-8: a stray byte cannot be written as itself */
        else if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c == '\t')
            fputs("\\t", out);
        else if (c == '\r')
            fputs("\\r", out);
        else if (c < 0x20 || c == 0x7f)
            fprintf(out, "\\u%04x", (unsigned)c);
        else
            fwrite(s + at, 1, used, out);
        at += used;
    }
    fputc('"', out);
}

/* RFC 4180: quote where a comma, a quote or a line end is inside, or where blanks at the ends or emptiness would be lost. */
void text_print_csv(FILE *out, const char *s, size_t n)
{
    bool quote = n == 0 || s[0] == ' ' || s[n - 1] == ' ' || memchr(s, ',', n) != NULL || memchr(s, '"', n) != NULL ||
                 memchr(s, '\n', n) != NULL || memchr(s, '\r', n) != NULL;
    if (!quote) {
        fwrite(s, 1, n, out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"')
            fputc('"', out);
        fputc(s[i], out);
    }
    fputc('"', out);
}

char *text_quote_name(const char *name)
{
    size_t n = strlen(name);
    if (n > (SIZE_MAX - 3) / 2)
        return NULL;
    char *out = malloc(2 * n + 3);
    if (out == NULL)
        return NULL;
    size_t at = 0;
    out[at++] = '"';
    for (size_t i = 0; i < n; i++) {
        if (name[i] == '"')
            out[at++] = '"';
        out[at++] = name[i];
    }
    out[at++] = '"';
    out[at] = '\0';
    return out;
}
