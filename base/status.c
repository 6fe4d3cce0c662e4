/* status.c - status codes, and messages that live in a context.
 * Why: a number alone tells a person nothing, and a message in a global would be shared by two nodes of one process.
 * Invariants: `text` always ends in a NUL and is never cut inside a UTF-8 sequence, so it can be sent or shown as it is. */
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct status_info {
    quartet_status code;
    const char *name;
    char sqlstate[6];
};

/* Classes of ISO SQL where there is one, PostgreSQL's well-known states otherwise: client libraries act on them. */
static const struct status_info STATUS_TABLE[] = {
    {QUARTET_OK, "QUARTET_OK", "00000"},
    {QUARTET_ERROR, "QUARTET_ERROR", "42000"},
    {QUARTET_INTERNAL, "QUARTET_INTERNAL", "XX000"},
    {QUARTET_NOMEM, "QUARTET_NOMEM", "53200"},
    {QUARTET_LIMIT, "QUARTET_LIMIT", "54000"},
    {QUARTET_CONSTRAINT, "QUARTET_CONSTRAINT", "23000"},
    {QUARTET_SERIALIZATION, "QUARTET_SERIALIZATION", "40001"},
    {QUARTET_IO, "QUARTET_IO", "58030"},
    {QUARTET_FULL, "QUARTET_FULL", "53100"},
    {QUARTET_CORRUPT, "QUARTET_CORRUPT", "XX001"},
    {QUARTET_BUSY, "QUARTET_BUSY", "55006"},
    {QUARTET_MISUSE, "QUARTET_MISUSE", "HY010"},
    {QUARTET_RANGE, "QUARTET_RANGE", "07009"},
    {QUARTET_MISMATCH, "QUARTET_MISMATCH", "22000"},
    {QUARTET_INTERRUPTED, "QUARTET_INTERRUPTED", "57014"},
    {QUARTET_READONLY, "QUARTET_READONLY", "25006"},
    {QUARTET_NOTFOUND, "QUARTET_NOTFOUND", "02000"},
    {QUARTET_CANTOPEN, "QUARTET_CANTOPEN", "08001"},
    {QUARTET_NET, "QUARTET_NET", "08006"},
    {QUARTET_AUTH, "QUARTET_AUTH", "28000"},
    {QUARTET_UNAVAILABLE, "QUARTET_UNAVAILABLE", "57P03"},
    {QUARTET_UNKNOWN_OUTCOME, "QUARTET_UNKNOWN_OUTCOME", "08007"},
    {QUARTET_TOO_OLD, "QUARTET_TOO_OLD", "72000"},
    {QUARTET_ROW, "QUARTET_ROW", "00000"},
    {QUARTET_DONE, "QUARTET_DONE", "02000"},
};

static const struct status_info *status_find(quartet_status code)
{
    for (size_t i = 0; i < sizeof STATUS_TABLE / sizeof STATUS_TABLE[0]; i++)
        if (STATUS_TABLE[i].code == code)
            return &STATUS_TABLE[i];
    return NULL;
}

const char *status_name(quartet_status code)
{
    const struct status_info *info = status_find(code);
    return info != NULL ? info->name : "unknown status";
}

const char *status_sqlstate(quartet_status code)
{
    const struct status_info *info = status_find(code);
    return info != NULL ? info->sqlstate : "XX000";
}

/* How many of the first n bytes remain when a sequence that n cuts through is left out. The text was whole before the
 * cut, so at most the last three bytes need a look. */
static size_t utf8_cut(const char *s, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)s[n - back];
        if (c < 0x80u)
            return n;
        if (c >= 0xC0u) {
            size_t length = c >= 0xF0u ? 4u : c >= 0xE0u ? 3u : 2u;
            return length > back ? n - back : n;
        }
    }
    return n;
}

static void text_end(char *text, size_t wanted)
{
    if (wanted >= ERR_TEXT_BYTES_MAX)
        text[utf8_cut(text, ERR_TEXT_BYTES_MAX - 1u)] = '\0';
}

static quartet_status __attribute__((format(printf, 4, 0)))
err_format(struct err *err, quartet_status code, int64_t sql_offset, const char *format, va_list args)
{
    QASSERT(err != NULL);
    /* Through a copy: an argument may be err->text itself, when a caller rewrites a message. */
    char text[ERR_TEXT_BYTES_MAX];
    int wanted = vsnprintf(text, sizeof text, format, args);
    if (wanted < 0)
        text[0] = '\0';
    else
        text_end(text, (size_t)wanted);
    err->code = code;
    err->sql_offset = sql_offset;
    memcpy(err->text, text, sizeof text);
    return code;
}

quartet_status err_set(struct err *err, quartet_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    quartet_status rc = err_format(err, code, -1, format, args);
    va_end(args);
    return rc;
}

quartet_status err_set_at(struct err *err, quartet_status code, int64_t sql_offset,
                          const char *format, ...)
{
    va_list args;
    va_start(args, format);
    quartet_status rc = err_format(err, code, sql_offset, format, args);
    va_end(args);
    return rc;
}

quartet_status err_nomem(struct err *err)
{
    return err_set(err, QUARTET_NOMEM, "out of memory");
}

void err_prefix(struct err *err, const char *what)
{
    char text[ERR_TEXT_BYTES_MAX];
    int wanted = snprintf(text, sizeof text, "%s: %s", what, err->text);
    if (wanted < 0)
        return; /* the text without the prefix still says what was wrong */
    text_end(text, (size_t)wanted);
    memcpy(err->text, text, sizeof text);
}

void qassert_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "quartet: broken invariant at %s:%d: %s\n", file, line, condition);
    abort();
}
