/* fuzz_sql.c - hostile SQL through the library's own interface: a script of statements on a database in memory.
 *
 * Whatever the text, each statement ends with rows or with an error that has a text, never with "internal", and the connection still
 * answers. Parameters are bound to what the script's first byte chooses. Time and memory of a statement are limited, so that a slow
 * answer is no finding. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "quartet.h"

#define STATEMENTS_MAX 64
#define ROWS_MAX       200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(quartet_db *db, int rc)
{
    QASSERT(rc != QUARTET_INTERNAL && rc != QUARTET_CORRUPT && rc != QUARTET_NOTFOUND);
    if (rc != QUARTET_OK && rc != QUARTET_ROW && rc != QUARTET_DONE)
        QASSERT(quartet_errmsg(db)[0] != '\0');
}

static void bind_all(quartet_db *db, quartet_stmt *s, uint8_t kind)
{
    int n = quartet_bind_count(s);
    for (int i = 1; i <= n; i++) {
        switch ((kind + i) % 5) {
        case 0:
            check(db, quartet_bind_int64(s, i, INT64_MIN));
            break;
        case 1:
            check(db, quartet_bind_double(s, i, -0.5));
            break;
        case 2:
            check(db, quartet_bind_text(s, i, "1x", 2));
            break;
        case 3:
            check(db, quartet_bind_blob(s, i, "\xff", 1));
            break;
        default:
            break; /* NULL */
        }
    }
}

static void run(quartet_db *db, quartet_stmt *s, uint8_t kind)
{
    int rc = QUARTET_ROW;
    bind_all(db, s, kind);
    for (int rows = 0; rows < ROWS_MAX && rc == QUARTET_ROW; rows++) {
        rc = quartet_step(s);
        check(db, rc);
        for (int c = 0; rc == QUARTET_ROW && c < quartet_column_count(s); c++) {
            const char *text = quartet_column_text(s, c);
            QASSERT((text == NULL) == (quartet_column_type(s, c) == QUARTET_NULL) || quartet_column_type(s, c) == QUARTET_BLOB);
        }
    }
    (void)quartet_finalize(s); /* tells the step's error again */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    quartet_db *db = NULL;
    if (size < 2)
        return 0;
    char *sql = malloc(size);
    if (sql == NULL)
        return 0;
    memcpy(sql, data + 1, size - 1);
    sql[size - 1] = '\0';
    QASSERT(quartet_open(":memory:", &db) == QUARTET_OK);
    QASSERT(quartet_exec(db, "SET statement_timeout = 100; SET memory_limit = 8", NULL, NULL, NULL) == QUARTET_OK);
    const char *at = sql;
    for (int i = 0; i < STATEMENTS_MAX && *at != '\0'; i++) {
        quartet_stmt *s = NULL;
        const char *tail = at;
        int rc = quartet_prepare(db, at, -1, &s, &tail);
        check(db, rc);
        if (s != NULL)
            run(db, s, data[0]);
        if (tail == at) /* what cannot be split is not read any further */
            break;
        at = tail;
    }
    check(db, quartet_exec(db, "SELECT 1", NULL, NULL, NULL));
    QASSERT(quartet_close(db) == QUARTET_OK);
    free(sql);
    return 0;
}
