/* csv.c - CSV records from a stream. See csv.h.
 * Strict where guessing would lose data: an unclosed quote, or text after a closing one, is an error with its line. */
#include "csv.h"

#include <stdlib.h>

void csv_init(struct csv *c, FILE *in)
{
    *c = (struct csv){.in = in, .next_line = 1};
}

void csv_deinit(struct csv *c)
{
    free(c->text);
    free(c->starts);
    free(c->quoted);
    free(c->fields);
}

static int read_byte(struct csv *c)
{
    int ch = getc(c->in);
    if (ch != EOF)
        c->bytes++;
    return ch;
}

static bool put(struct csv *c, char ch)
{
    if (c->len == c->cap) {
        size_t cap = c->cap == 0 ? 4096 : c->cap * 2;
        char *grown = cap <= CSV_RECORD_BYTES_MAX ? realloc(c->text, cap) : NULL;
        if (grown == NULL) {
            c->error = cap > CSV_RECORD_BYTES_MAX ? "a record of more than 64 MiB (an unclosed quote?)" : "out of memory";
            return false;
        }
        c->text = grown;
        c->cap = cap;
    }
    c->text[c->len++] = ch;
    return true;
}

static bool begin_field(struct csv *c)
{
    if (c->count == c->field_cap) {
        size_t cap = c->field_cap == 0 ? 32 : c->field_cap * 2;
        size_t *starts = realloc(c->starts, cap * sizeof *starts);
        if (starts != NULL)
            c->starts = starts;
        bool *quoted = realloc(c->quoted, cap * sizeof *quoted);
        if (quoted != NULL)
            c->quoted = quoted;
        struct csv_field *fields = realloc(c->fields, cap * sizeof *fields);
        if (fields != NULL)
            c->fields = fields;
        if (starts == NULL || quoted == NULL || fields == NULL) {
            c->error = "out of memory";
            return false;
        }
        c->field_cap = cap;
    }
    c->starts[c->count] = c->len;
    c->quoted[c->count] = false;
    c->count++;
    return true;
}

/* Inside quotes, after the opening one. Leaves the byte after the closing one in *ch. */
static bool quoted_field(struct csv *c, int *ch)
{
    c->quoted[c->count - 1] = true;
    for (;;) {
        int b = read_byte(c);
        if (b == EOF) {
            c->error = "a quote that is never closed";
            return false;
        }
        if (b == '\n')
            c->next_line++;
        if (b == '"') {
            b = read_byte(c);
            if (b != '"') {
                *ch = b;
                break;
            }
        }
        if (!put(c, (char)b))
            return false;
    }
    if (*ch != ',' && *ch != '\n' && *ch != '\r' && *ch != EOF) {
        c->error = "text after a closing quote";
        return false;
    }
    return true;
}

/* One record whose first byte is ch. */
static bool read_record(struct csv *c, int ch)
{
    if (!begin_field(c))
        return false;
    bool at_start = true;
    for (;;) {
        if (at_start && ch == '"') {
            if (!quoted_field(c, &ch))
                return false;
        }
        at_start = false;
        if (ch == '\r') {
            int next = read_byte(c);
            if (next != '\n' && next != EOF && !put(c, '\r'))
                return false;
            ch = next;
            if (ch != '\n' && ch != EOF)
                continue;
        }
        if (ch == '\n' || ch == EOF || ch == ',') {
            if (!put(c, '\0'))
                return false;
            if (ch != ',') {
                c->next_line++;
                return true;
            }
            if (!begin_field(c))
                return false;
            at_start = true;
        } else if (!put(c, (char)ch)) {
            return false;
        }
        ch = read_byte(c);
    }
}

bool csv_next(struct csv *c)
{
    c->error = NULL;
    c->len = 0;
    c->count = 0;
    int ch = read_byte(c);
    if (c->bytes == 1 && ch == 0xef) { /* a byte order mark */
        int b2 = read_byte(c), b3 = read_byte(c);
        if (b2 != 0xbb || b3 != 0xbf) {
            c->error = "not UTF-8 text";
            return false;
        }
        ch = read_byte(c);
    }
    while (ch == '\n' || ch == '\r') {
        c->next_line += ch == '\n';
        ch = read_byte(c);
    }
    c->line = c->next_line;
    if (ch == EOF) {
        if (ferror(c->in))
            c->error = "the file cannot be read";
        return false;
    }
    if (!read_record(c, ch))
        return false;
    for (size_t i = 0; i < c->count; i++) {
        size_t end = i + 1 < c->count ? c->starts[i + 1] : c->len;
        c->fields[i] = (struct csv_field){.text = c->text + c->starts[i], .n = end - c->starts[i] - 1, .quoted = c->quoted[i]};
    }
    return true;
}
