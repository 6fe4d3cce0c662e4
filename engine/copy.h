/* copy.h - the parts of COPY: bytes in and out, records of CSV and JSON lines, and their fields as values (docs/SQL.md, "COPY").
 *
 * api_copy.c drives them. COPY runs where the program is that uses the library: its files are those of that process, also over a quartet:// URL, so a
 * node never touches a file for a client. */
#ifndef ENGINE_COPY_H
#define ENGINE_COPY_H

#include "base/env.h"
#include "types.h"

#define COPY_RECORD_BYTES_MAX (64u << 20) /* of one CSV record or one line */
#define COPY_FIELDS_MAX 32766u
#define COPY_NULL_BYTES_MAX 63u

enum copy_format { COPY_CSV, COPY_JSON };
struct copy_options {
    enum copy_format format;
    bool header;
    char delimiter;
    char null_text[COPY_NULL_BYTES_MAX + 1];
    int64_t batch; /* rows for each commit; 0: one transaction for all */
};

/* ---- bytes: a file, or functions of the user's (standard input and output) ---- */
struct copy_in {
    struct env *env;
    struct file *file; /* NULL: `read` */
    int64_t (*read)(void *arg, void *p, int64_t n);
    void *arg;
    char *data;        /* what was read and not taken yet stands at at .. len */
    size_t at, len, cap;
    bool ended;
    uint64_t bytes, total; /* read so far; of the file, 0: not known */
};
struct copy_out {
    struct env *env;
    struct file *file;
    char *path, *temporary; /* written under another name, renamed at the end */
    int (*write)(void *arg, const void *p, int64_t n);
    void *arg;
    struct buf pending;
    uint64_t bytes;
};
quartet_status copy_in_open(struct copy_in *in, struct env *env, const char *path, struct err *err); /* path NULL: read and arg are set */
/* More bytes behind data + len; what lies before `at` may go. At the end `ended` is set. QUARTET_LIMIT past COPY_RECORD_BYTES_MAX. */
quartet_status copy_in_more(struct copy_in *in, struct err *err);
void copy_in_close(struct copy_in *in);
quartet_status copy_out_open(struct copy_out *out, struct env *env, const char *path, struct err *err);
quartet_status copy_out_flush(struct copy_out *out, size_t above, struct err *err); /* hand over `pending` if it is larger */
quartet_status copy_out_end(struct copy_out *out, struct err *err); /* all is on disk, under its name */
void copy_out_close(struct copy_out *out); /* what was not ended leaves nothing behind */

/* ---- records ---- */
struct copy_field {
    struct slice text;
    bool quoted;
};
struct copy_csv {
    char delimiter;
    uint64_t line, next_line; /* of the present record; from 1 */
    struct copy_field *fields;
    uint32_t count, cap;
};
/* The next record; its fields are valid until the next call. *end: there is none. With `columns` 1 an empty line is a record, else it is passed over.
 * QUARTET_ERROR says what is wrong, without the line. */
quartet_status copy_csv_next(struct copy_csv *c, struct copy_in *in, uint32_t columns, bool *end, struct err *err);
void copy_csv_deinit(struct copy_csv *c);
/* The next line that is not blank, without its end; `line` is counted on. */
quartet_status copy_line_next(struct copy_in *in, uint64_t *line, struct slice *out, bool *end, struct err *err);

/* ---- fields and values ---- */
struct copy_column {
    const char *name;
    struct type_decl type;
    bool untyped; /* takes anything: fields carry their type */
};
/* The value of a CSV field (NULL where it is the unquoted null text), of a JSON node; made as the column wants it. May point into the field. */
quartet_status copy_value_of_csv(const struct copy_column *c, const struct copy_field *f, const char *null_text, struct value *out, struct arena *a,
                                 struct err *err);
quartet_status copy_value_of_json(const struct copy_column *c, struct slice node, struct value *out, struct arena *a, struct err *err);
/* Append a value. `untyped`: so that its type can be told. */
void copy_put_csv(struct buf *out, const struct value *v, bool untyped, char delimiter, const char *null_text);
void copy_put_json(struct buf *out, const struct value *v, bool untyped);

#endif
