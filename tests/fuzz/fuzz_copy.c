/* fuzz_copy.c - hostile files through COPY FROM: the first byte chooses format and options, the rest is the input, given in small pieces. It ends with rows or
 * with an error that has a text and leaves nothing behind. What went in comes out again and in again, equal in number. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "quartet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p;
    size_t left;
    uint8_t *out;
    size_t n;
};

static int64_t give(void *arg, void *p, int64_t n)
{
    struct input *in = arg;
    size_t take = in->left < 7 ? in->left : 7;
    QASSERT(n >= 7);
    if (take > 0) {
        memcpy(p, in->p, take);
        in->p += take;
    }
    in->left -= take;
    return (int64_t)take;
}

static int keep(void *arg, const void *p, int64_t n)
{
    struct input *in = arg;
    uint8_t *grown = realloc(in->out, in->n + (size_t)n);
    QASSERT(grown != NULL);
    memcpy(grown + in->n, p, (size_t)n);
    in->out = grown;
    in->n += (size_t)n;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const from[] = {"COPY t FROM STDIN", "COPY t FROM STDIN (HEADER)", "COPY t FROM STDIN (FORMAT json)",
                                       "COPY t FROM STDIN (DELIMITER ';', NULL 'x')"};
    quartet_db *db = NULL;
    if (size < 1)
        return 0;
    struct input in = {.p = data + 1, .left = size - 1};
    struct quartet_copy_io io = {.size = sizeof io, .arg = &in, .read = give, .write = keep};
    QASSERT(quartet_open(":memory:", &db) == QUARTET_OK);
    QASSERT(quartet_on_copy(db, &io) == QUARTET_OK);
    QASSERT(quartet_exec(db, "CREATE TABLE t (a INTEGER, b TEXT, c, d BLOB, j JSON, r REAL)", NULL, NULL, NULL) == QUARTET_OK);
    int rc = quartet_exec(db, from[data[0] % 4], NULL, NULL, NULL);
    QASSERT(rc != QUARTET_INTERNAL && rc != QUARTET_CORRUPT && rc != QUARTET_MISUSE);
    int64_t rows = rc == QUARTET_OK ? quartet_changes(db) : 0;
    QASSERT(rc == QUARTET_OK || quartet_errmsg(db)[0] != '\0');
    QASSERT(quartet_exec(db, "COPY t TO STDOUT (FORMAT json)", NULL, NULL, NULL) == QUARTET_OK);
    QASSERT(quartet_changes(db) == rows);
    in.p = in.out;
    in.left = in.n;
    QASSERT(quartet_exec(db, "COPY t FROM STDIN (FORMAT json)", NULL, NULL, NULL) == QUARTET_OK && quartet_changes(db) == rows);
    QASSERT(quartet_close(db) == QUARTET_OK);
    free(in.out);
    return 0;
}
