/* catalog_rename.c - identifiers in a stored definition replaced, where a column was renamed.
 * Why on the text: it is canonical, as ast_print wrote it, so its tokens are few and known; a walk over every kind of expression would be longer. */
#include <string.h>

#include "catalog_build.h"
#include "parser/parse.h"

static bool starts_word(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool in_word(char c)
{
    return starts_word(c) || c == '$' || (c >= '0' && c <= '9');
}

/* Past what is quoted, both quotes included; a doubled quote is one of the text. */
static const char *quoted_end(const char *p)
{
    char q = *p++;
    while (*p != '\0' && (*p != q || p[1] == q))
        p += *p == q ? 2 : 1;
    return *p == '\0' ? p : p + 1;
}

static void put_identifier(const char *from, const char *end, const char *(*name)(void *, const char *), void *arg, struct buf *out)
{
    struct buf word = {0};
    bool quoted = *from == '"';
    for (const char *p = quoted ? from + 1 : from; p < (quoted ? end - 1 : end); p++) {
        buf_u8(&word, (uint8_t)*p);
        p += quoted && *p == '"'; /* doubled */
    }
    buf_u8(&word, 0);
    if (word.failed) {
        out->failed = true;
    } else {
        const char *to = name(arg, (const char *)word.data);
        if (to != NULL && (quoted || *end != '('))
            ast_print_name(to, out);
        else
            buf_put(out, from, (size_t)(end - from));
    }
    buf_deinit(&word);
}

void catalog_rename(const char *text, const char *(*name)(void *arg, const char *name), void *arg, struct buf *out)
{
    for (const char *p = text; *p != '\0';) {
        const char *end = p + 1;
        if (*p == '"') {
            end = quoted_end(p);
            put_identifier(p, end, name, arg, out);
        } else if (*p == '\'') {
            end = quoted_end(p);
            buf_put(out, p, (size_t)(end - p));
        } else if (starts_word(*p)) {
            while (in_word(*end))
                end++;
            put_identifier(p, end, name, arg, out);
        } else if (in_word(*p)) { /* a number, with all its letters */
            while (in_word(*end) || *end == '.')
                end++;
            buf_put(out, p, (size_t)(end - p));
        } else {
            buf_u8(out, (uint8_t)*p);
        }
        p = end;
    }
}
