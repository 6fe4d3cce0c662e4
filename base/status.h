/* status.h - status codes with a message in a context, and QASSERT.
 *
 * A function that can fail returns quartet_status and takes `struct err *err` last. On failure it sets err->code to what
 * it returns and a text for people; callers add what they know with err_prefix. err may not be NULL. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quartet_status.h" /* the one header of include/ that base may see: the list of codes */

#define ERR_TEXT_BYTES_MAX 512u

struct err {
    quartet_status code;
    int64_t sql_offset; /* byte offset into the SQL text where it went wrong, or -1; set by lexer, parser and binder */
    char text[ERR_TEXT_BYTES_MAX];
};

#define ERR_INIT ((struct err){.code = QUARTET_OK, .sql_offset = -1})

/* Also instead of ERR_INIT, which writes all of the text: for what is called a million times a second. */
static inline void err_clear(struct err *err)
{
    err->code = QUARTET_OK;
    err->sql_offset = -1;
    err->text[0] = '\0';
}

/* Set code and text (cut at ERR_TEXT_BYTES_MAX - 1, never inside a UTF-8 sequence) and return `code`. */
quartet_status err_set(struct err *err, quartet_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
quartet_status err_set_at(struct err *err, quartet_status code, int64_t sql_offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
quartet_status err_nomem(struct err *err); /* QUARTET_NOMEM, "out of memory" */

/* Put "what: " before the text. */
void err_prefix(struct err *err, const char *what);

const char *status_name(quartet_status code);     /* "QUARTET_IO"; never NULL */
const char *status_sqlstate(quartet_status code); /* five characters, "40001"; never NULL */

/* On in every build: an invariant of ours that must not break. One condition each, no side effects; input never reaches one.
 * Prints file, line and condition to stderr and aborts. */
#define QASSERT(x) ((x) ? (void)0 : qassert_failed(#x, __FILE__, __LINE__))
_Noreturn void qassert_failed(const char *condition, const char *file, int line);

#endif
