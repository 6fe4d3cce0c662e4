/* copy_csv.c - records of CSV (RFC 4180, plus bare line feeds and a byte order mark) and lines.
 * Why strict: where guessing would lose data (an open quote, a quote inside an unquoted field, text after a closing one) it is an error.
 * How: first the record's end is found (a line end with an even number of quotes before it), then its fields, in place: a field without quotes is
 *   a slice of the input. */
#include <string.h>

#include "base/mem.h"
#include "copy.h"

/* The first record's byte order mark is no part of it. */
static void skip_mark(struct copy_in *in)
{
    if (in->len - in->at >= 3 && memcmp(in->data + in->at, "\xef\xbb\xbf", 3) == 0)
        in->at += 3;
}

/* The end of the record that begins at in->at: *n bytes up to its line feed (or the input's end), *lines feeds within. */
static quartet_status find_record(struct copy_in *in, bool quotes, size_t *n, uint64_t *lines, bool *fed, struct err *err)
{
    size_t done = 0;
    bool open = false;
    *lines = 0;
    for (;;) {
        size_t left = in->len - in->at - done;
        const char *p = left > 0 ? in->data + in->at + done : ""; /* before the first read there is no data to point into */
        const char *feed = left > 0 ? memchr(p, '\n', left) : NULL;
        size_t upto = feed != NULL ? (size_t)(feed - p) : left;
        for (const char *q = p; quotes && (q = memchr(q, '"', upto - (size_t)(q - p))) != NULL; q++)
            open = !open;
        done += upto;
        if (feed != NULL && !open) {
            *n = done;
            *fed = true;
            return QUARTET_OK;
        }
        if (feed != NULL) {
            done++;
            ++*lines;
            continue;
        }
        if (in->ended) {
            *n = done;
            *fed = false;
            return open ? err_set(err, QUARTET_ERROR, "a quote that is never closed") : QUARTET_OK;
        }
        quartet_status rc = copy_in_more(in, err);
        if (rc != QUARTET_OK)
            return rc;
    }
}

static quartet_status add_field(struct copy_csv *c, struct copy_field f, struct err *err)
{
    if (c->count == COPY_FIELDS_MAX)
        return err_set(err, QUARTET_LIMIT, "more than %u fields", COPY_FIELDS_MAX);
    if (c->count == c->cap) {
        uint32_t cap = c->cap == 0 ? 32 : c->cap * 2;
        struct copy_field *grown = mem_realloc(c->fields, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        c->fields = grown;
        c->cap = cap;
    }
    c->fields[c->count++] = f;
    return QUARTET_OK;
}

/* A field that begins with a quote at p; *next is where it is over. Doubled quotes become one, in place. */
static quartet_status quoted_field(struct copy_csv *c, char *p, char *end, char **next, struct err *err)
{
    char *from = p + 1, *to = p + 1;
    for (;;) {
        char *q = memchr(from, '"', (size_t)(end - from));
        if (q == NULL)
            return err_set(err, QUARTET_ERROR, "field %u: a quote that is never closed", c->count + 1);
        size_t n = (size_t)(q - from);
        if (to != from)
            memmove(to, from, n);
        to += n;
        from = q + 1;
        if (from == end || *from != '"')
            break;
        *to++ = '"';
        from++;
    }
    if (from != end && *from != c->delimiter)
        return err_set(err, QUARTET_ERROR, "field %u: text after the closing quote (a quote inside is written twice)", c->count + 1);
    *next = from;
    return add_field(c, (struct copy_field){.text = slice_of(p + 1, (size_t)(to - p - 1)), .quoted = true}, err);
}

static quartet_status split(struct copy_csv *c, char *p, char *end, struct err *err)
{
    c->count = 0;
    for (;;) {
        quartet_status rc;
        if (p < end && *p == '"') {
            rc = quoted_field(c, p, end, &p, err);
        } else {
            char *q = memchr(p, c->delimiter, (size_t)(end - p));
            if (q == NULL)
                q = end;
            if (memchr(p, '"', (size_t)(q - p)) != NULL)
                return err_set(err, QUARTET_ERROR, "field %u: a quote inside a field that does not begin with one (put the field in quotes and write it twice)",
                               c->count + 1);
            rc = add_field(c, (struct copy_field){.text = slice_of(p, (size_t)(q - p))}, err);
            p = q;
        }
        if (rc != QUARTET_OK || p == end)
            return rc;
        p++; /* the delimiter; a field follows, an empty one at the end */
    }
}

static quartet_status check_utf8(const struct copy_csv *c, const char *p, size_t n, struct err *err)
{
    if (utf8_valid((const uint8_t *)p, n))
        return QUARTET_OK;
    for (uint32_t i = 0; i < c->count; i++)
        if (!utf8_valid(c->fields[i].text.p, c->fields[i].text.n))
            return err_set(err, QUARTET_ERROR, "field %u: not valid UTF-8", i + 1);
    return err_set(err, QUARTET_ERROR, "not valid UTF-8");
}

quartet_status copy_csv_next(struct copy_csv *c, struct copy_in *in, uint32_t columns, bool *end, struct err *err)
{
    *end = false;
    for (;;) {
        size_t n;
        uint64_t lines;
        bool fed;
        if (c->next_line == 0) {
            while (!in->ended && in->len - in->at < 3) {
                quartet_status rc = copy_in_more(in, err);
                if (rc != QUARTET_OK)
                    return rc;
            }
            skip_mark(in);
            c->next_line = 1;
        }
        c->line = c->next_line;
        quartet_status rc = find_record(in, true, &n, &lines, &fed, err);
        if (rc != QUARTET_OK)
            return rc;
        if (n == 0 && !fed) {
            *end = true;
            return QUARTET_OK;
        }
        char *p = in->data + in->at;
        in->at += n + fed;
        c->next_line += lines + fed;
        if (n > 0 && p[n - 1] == '\r')
            n--;
        if (n == 0 && columns != 1)
            continue;
        if (memchr(p, '\0', n) != NULL && columns == 0)
            return err_set(err, QUARTET_ERROR, "a NUL byte in the header");
        bool valid = utf8_valid((const uint8_t *)p, n);
        rc = split(c, p, p + n, err);
        return rc == QUARTET_OK && !valid ? check_utf8(c, p, n, err) : rc;
    }
}

void copy_csv_deinit(struct copy_csv *c)
{
    mem_free(c->fields);
    *c = (struct copy_csv){0};
}

quartet_status copy_line_next(struct copy_in *in, uint64_t *line, struct slice *out, bool *end, struct err *err)
{
    *end = false;
    for (;;) {
        size_t n;
        uint64_t lines;
        bool fed;
        quartet_status rc = find_record(in, false, &n, &lines, &fed, err);
        if (rc != QUARTET_OK)
            return rc;
        if (n == 0 && !fed) {
            *end = true;
            return QUARTET_OK;
        }
        ++*line;
        if (*line == 1) {
            size_t before = in->at;
            skip_mark(in);
            n -= in->at - before;
        }
        *out = slice_of(in->data + in->at, n);
        in->at += n + fed;
        for (size_t i = 0; i < n; i++)
            if (strchr(" \t\r", out->p[i]) == NULL || out->p[i] == '\0')
                return QUARTET_OK;
    }
}
