/* csv.h - a reader of CSV (RFC 4180, plus bare line feeds and a byte order mark): one record at a time, from a stream. */
#ifndef SHELL_CSV_H
#define SHELL_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CSV_RECORD_BYTES_MAX (64u << 20)

struct csv_field {
    const char *text; /* ended by a NUL; valid until the next record */
    size_t n;
    bool quoted;
};
struct csv {
    FILE *in;
    char *text;      /* the record's bytes */
    size_t len, cap;
    size_t *starts;  /* offset of each field */
    bool *quoted;
    struct csv_field *fields;
    size_t count, field_cap;
    long line;       /* where the record began; counts from 1 */
    long next_line;
    uint64_t bytes;  /* read so far */
    const char *error;
};

void csv_init(struct csv *c, FILE *in);
void csv_deinit(struct csv *c);
/* The next record in fields[0 .. count-1]. false: the end, or an error (c->error says which). Empty lines are passed over. */
bool csv_next(struct csv *c);

#endif
