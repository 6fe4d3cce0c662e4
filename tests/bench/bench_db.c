/* bench_db.c - Quartet and SQLite behind the same few calls. The branch costs both sides the same nanosecond. */
#include "bench.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quartet.h"

struct bench_db {
    quartet_db *q;
    sqlite3 *s;
};
struct bench_stmt {
    bench_db *db;
    quartet_stmt *q;
    sqlite3_stmt *s;
};

static bool fail_db(bench_db *b, const char *what)
{
    return bench_fail(what, b->q != NULL ? quartet_errmsg(b->q) : b->s != NULL ? sqlite3_errmsg(b->s) : "out of memory");
}

bool bench_open(enum bench_side side, const char *path, enum bench_sync sync, bench_db **out)
{
    bench_db *b = calloc(1, sizeof *b);
    if (b == NULL)
        return bench_fail("open", "out of memory");
    bool ok;
    if (side == BENCH_QUARTET) {
        ok = quartet_open(path, &b->q) == QUARTET_OK || fail_db(b, path);
        ok = ok && bench_exec(b, sync == BENCH_FULL ? "SET synchronous = 'full'" : "SET synchronous = 'normal'");
    } else {
        ok = sqlite3_open_v2(path, &b->s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK || fail_db(b, path);
        ok = ok && bench_exec(b, sync == BENCH_FULL ? "PRAGMA synchronous = full" : "PRAGMA synchronous = normal");
        ok = ok && bench_exec(b, "PRAGMA journal_mode = wal; PRAGMA cache_size = -65536");
        ok = ok && sqlite3_busy_timeout(b->s, 20000) == SQLITE_OK;
    }
    *out = b;
    if (!ok) {
        (void)bench_close(b); /* the first error was told */
        *out = NULL;
    }
    return ok;
}

bool bench_close(bench_db *b)
{
    if (b == NULL)
        return true;
    bool ok = b->q != NULL ? quartet_close(b->q) == QUARTET_OK : b->s == NULL || sqlite3_close(b->s) == SQLITE_OK;
    free(b);
    return ok ? true : bench_fail("close", "failed");
}

bool bench_exec(bench_db *b, const char *sql)
{
    bool ok = b->q != NULL ? quartet_exec(b->q, sql, NULL, NULL, NULL) == QUARTET_OK : sqlite3_exec(b->s, sql, NULL, NULL, NULL) == SQLITE_OK;
    return ok || fail_db(b, sql);
}

bool bench_prepare(bench_db *b, const char *sql, bench_stmt **out)
{
    bench_stmt *st = calloc(1, sizeof *st);
    *out = NULL;
    if (st == NULL)
        return bench_fail("prepare", "out of memory");
    st->db = b;
    bool ok = b->q != NULL ? quartet_prepare(b->q, sql, -1, &st->q, NULL) == QUARTET_OK
                           : sqlite3_prepare_v2(b->s, sql, -1, &st->s, NULL) == SQLITE_OK;
    if (!ok) {
        free(st);
        return fail_db(b, sql);
    }
    *out = st;
    return true;
}

void bench_finalize(bench_stmt *st)
{
    if (st == NULL)
        return;
    (void)quartet_finalize(st->q); /* repeats an error that was told */
    (void)sqlite3_finalize(st->s); /* likewise */
    free(st);
}

bool bench_bind_int(bench_stmt *st, int index, int64_t v)
{
    return st->q != NULL ? quartet_bind_int64(st->q, index, v) == QUARTET_OK : sqlite3_bind_int64(st->s, index, v) == SQLITE_OK;
}

bool bench_bind_real(bench_stmt *st, int index, double v)
{
    return st->q != NULL ? quartet_bind_double(st->q, index, v) == QUARTET_OK : sqlite3_bind_double(st->s, index, v) == SQLITE_OK;
}

bool bench_bind_text(bench_stmt *st, int index, const char *text, size_t n)
{
    return st->q != NULL ? quartet_bind_text(st->q, index, text, (int64_t)n) == QUARTET_OK
                         : sqlite3_bind_text(st->s, index, text, (int)n, SQLITE_STATIC) == SQLITE_OK;
}

bool bench_step(bench_stmt *st, bool *row)
{
    int rc = st->q != NULL ? quartet_step(st->q) : sqlite3_step(st->s);
    *row = rc == QUARTET_ROW; /* both use 100 and 101 */
    return rc == QUARTET_ROW || rc == QUARTET_DONE || fail_db(st->db, "step");
}

bool bench_reset(bench_stmt *st)
{
    bool ok = st->q != NULL ? quartet_reset(st->q) == QUARTET_OK : sqlite3_reset(st->s) == SQLITE_OK;
    return ok || fail_db(st->db, "reset");
}

bool bench_run(bench_stmt *st)
{
    bool row = true, ok = true;
    while (ok && row)
        ok = bench_step(st, &row);
    return ok && bench_reset(st);
}

int bench_columns(bench_stmt *st)
{
    return st->q != NULL ? quartet_column_count(st->q) : sqlite3_column_count(st->s);
}

int64_t bench_int(bench_stmt *st, int column)
{
    return st->q != NULL ? quartet_column_int64(st->q, column) : sqlite3_column_int64(st->s, column);
}

const char *bench_text(bench_stmt *st, int column)
{
    const char *text = st->q != NULL ? quartet_column_text(st->q, column) : (const char *)sqlite3_column_text(st->s, column);
    return text != NULL ? text : "NULL";
}

static void mix(uint64_t *h, const void *p, size_t n)
{
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++)
        *h = (*h ^ b[i]) * 1099511628211u;
}

void bench_hash_row(bench_stmt *st, uint64_t *h)
{
    int columns = bench_columns(st);
    for (int c = 0; c < columns; c++) {
        int type = st->q != NULL ? quartet_column_type(st->q, c) : sqlite3_column_type(st->s, c); /* the same numbers */
        if (type == QUARTET_REAL) {
            double v = st->q != NULL ? quartet_column_double(st->q, c) : sqlite3_column_double(st->s, c);
            mix(h, &v, sizeof v);
        } else {
            const char *text = bench_text(st, c);
            mix(h, text, strlen(text) + 1);
        }
    }
    mix(h, "\n", 1);
}

/* Reals print with as many digits as tell them apart, or with 15: what is compared are 12. */
static void mix_text(uint64_t *h, const char *text)
{
    char *end, rounded[40];
    bool digit = (text[0] >= '0' && text[0] <= '9') || text[0] == '-';
    double v = digit && strchr(text, '.') != NULL ? strtod(text, &end) : 0;
    if (v != 0 && *end == 0) {
        snprintf(rounded, sizeof rounded, "%.12g", v); /* fits */
        text = rounded;
    }
    mix(h, text, strlen(text) + 1);
}

/* In any order: not every query asks for one. */
static int hash_texts(void *arg, int columns, char **texts, char **names)
{
    uint64_t *sum = arg, h = 14695981039346656037u;
    (void)names; /* only rows count */
    for (int c = 0; c < columns; c++)
        mix_text(&h, texts[c] != NULL ? texts[c] : "NULL");
    *sum += h;
    return 0;
}

bool bench_exec_hash(bench_db *b, const char *sql, uint64_t *h)
{
    bool ok = b->q != NULL ? quartet_exec(b->q, sql, hash_texts, h, NULL) == QUARTET_OK : sqlite3_exec(b->s, sql, hash_texts, h, NULL) == SQLITE_OK;
    return ok || fail_db(b, "script");
}

bool bench_query_hash(bench_db *b, const char *sql, uint64_t *h)
{
    bench_stmt *st = NULL;
    bool row = true, ok = bench_prepare(b, sql, &st);
    while (ok && row) {
        ok = bench_step(st, &row);
        if (ok && row)
            bench_hash_row(st, h);
    }
    bench_finalize(st);
    return ok;
}
