/* bench_read.c - points and queries on one warm table of a million rows, the same statements on both sides. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#define JOIN_ROWS 10000

/* q: id, k (random, indexed), g (100 groups), d (names a row of `d`), name, v (multiples of 1/4: sums are exact in any order). */
static bool fill(struct bench_ctx *c, bench_db *b)
{
    bench_stmt *s = NULL;
    bool ok = bench_exec(b, "CREATE TABLE q (id INTEGER PRIMARY KEY, k INTEGER, g INTEGER, d INTEGER, name TEXT, v REAL)") &&
              bench_exec(b, "CREATE TABLE d (id INTEGER PRIMARY KEY, weight INTEGER, label TEXT)") && bench_exec(b, "BEGIN") &&
              bench_prepare(b, "INSERT INTO q (id, k, g, d, name, v) VALUES (?, ?, ?, ?, ?, ?)", &s);
    for (int64_t i = 1; ok && i <= c->rows; i++) {
        struct bench_row r;
        bench_make_row(i, &r);
        ok = bench_bind_int(s, 1, r.id) && bench_bind_int(s, 2, r.k) && bench_bind_int(s, 3, r.g) && bench_bind_int(s, 4, r.k % JOIN_ROWS) &&
             bench_bind_text(s, 5, r.name, r.name_bytes) && bench_bind_real(s, 6, r.v) && bench_run(s);
    }
    bench_finalize(s);
    s = NULL;
    ok = ok && bench_prepare(b, "INSERT INTO d (id, weight, label) VALUES (?, ?, ?)", &s);
    for (int64_t i = 0; ok && i < JOIN_ROWS; i++) {
        char label[32];
        size_t n = (size_t)snprintf(label, sizeof label, "label %lld", (long long)i);
        ok = bench_bind_int(s, 1, i) && bench_bind_int(s, 2, i * 7 % 1000) && bench_bind_text(s, 3, label, n) && bench_run(s);
    }
    bench_finalize(s);
    return ok && bench_exec(b, "COMMIT") && bench_exec(b, "CREATE INDEX q_k ON q (k)");
}

static bench_db *query_db(struct bench_ctx *c, enum bench_side side)
{
    char path[4200];
    if (c->query[side] != NULL)
        return c->query[side];
    bench_path(c, side, path, sizeof path);
    bench_db *b = NULL;
    if (!bench_open(side, path, BENCH_NORMAL, &b) || !fill(c, b)) {
        (void)bench_close(b); /* the first error was told */
        return NULL;
    }
    if (side == BENCH_SQLITE && !bench_exec(b, "PRAGMA wal_checkpoint(truncate)"))
        return NULL;
    c->query[side] = b;
    return b;
}

/* ---- points ---- */

enum point { POINT_PK, POINT_INDEX };

/* Some reads whose answers are compared, then as many as fit into the time. */
static bool points(struct bench_ctx *c, enum bench_side side, enum point what, bool txn, double *figure, uint64_t *check)
{
    bench_db *b = query_db(c, side);
    bench_stmt *s = NULL;
    uint64_t state = 7;
    bool row = false;
    bool ok = b != NULL && bench_prepare(b, what == POINT_PK ? "SELECT k, name, v FROM q WHERE id = ?" : "SELECT id, v FROM q WHERE k = ? ORDER BY id", &s);
    ok = ok && (!txn || bench_exec(b, "BEGIN"));
    int64_t n = 0, found = 0;
    double started = bench_now(), seconds = 0;
    while (ok && (n < 2000 || seconds < c->seconds)) {
        struct bench_row r;
        bench_make_row(1 + (int64_t)(bench_random(&state) % (uint64_t)c->rows), &r);
        ok = bench_bind_int(s, 1, what == POINT_PK ? r.id : r.k) && bench_step(s, &row);
        while (ok && row) {
            if (n < 1000)
                bench_hash_row(s, check);
            else
                found += bench_int(s, 0) != 0;
            ok = bench_step(s, &row);
        }
        ok = ok && bench_reset(s);
        if (++n == 1000)
            started = bench_now();
        if (n % 256 == 0)
            seconds = bench_now() - started;
    }
    seconds = bench_now() - started;
    *figure = (double)(n - 1000) / seconds;
    bench_finalize(s);
    if (ok && found == 0)
        ok = bench_fail("points", "nothing was found");
    return ok && (!txn || bench_exec(b, "COMMIT"));
}

static bool point_pk(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return points(c, side, POINT_PK, false, figure, check);
}

static bool point_pk_txn(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return points(c, side, POINT_PK, true, figure, check);
}

static bool point_index(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return points(c, side, POINT_INDEX, false, figure, check);
}

/* A new text each time: parsed, planned and run. */
static bool text_point(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    bench_db *b = query_db(c, side);
    uint64_t state = 11;
    bool ok = b != NULL;
    int64_t n = 0;
    double started = bench_now(), seconds = 0;
    while (ok && (n < 200 || seconds < c->seconds)) {
        char sql[96];
        snprintf(sql, sizeof sql, "SELECT k, name, v FROM q WHERE id = %lld", 1 + (long long)(bench_random(&state) % (uint64_t)c->rows));
        uint64_t h = *check;
        ok = bench_query_hash(b, sql, &h);
        if (n++ < 100)
            *check = h;
        if (n % 64 == 0)
            seconds = bench_now() - started;
    }
    *figure = (double)n / (bench_now() - started);
    return ok;
}

static bool prepare(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)check; /* nothing is read */
    bench_db *b = query_db(c, side);
    bool ok = b != NULL;
    int64_t n = 0;
    double started = bench_now(), seconds = 0;
    while (ok && (n < 200 || seconds < c->seconds)) {
        bench_stmt *s = NULL;
        ok = bench_prepare(b, "SELECT k, name, v FROM q WHERE id = ?", &s);
        bench_finalize(s);
        if (++n % 64 == 0)
            seconds = bench_now() - started;
    }
    *figure = (bench_now() - started) * 1e6 / (double)n;
    return ok;
}

/* ---- queries ---- */

/* Once to compare and to warm up, then the best of three: a query of milliseconds is easily disturbed. */
static bool query(struct bench_ctx *c, enum bench_side side, const char *sql, double *figure, uint64_t *check)
{
    bench_db *b = query_db(c, side);
    bench_stmt *s = NULL;
    bool ok = b != NULL && bench_query_hash(b, sql, check) && bench_prepare(b, sql, &s);
    *figure = 1e9;
    for (int i = 0; ok && i < 3; i++) {
        double started = bench_now();
        ok = bench_run(s);
        double ms = (bench_now() - started) * 1e3;
        *figure = ms < *figure ? ms : *figure;
    }
    bench_finalize(s);
    return ok;
}

static bool scan_sum(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return query(c, side, "SELECT sum(k) FROM q", figure, check);
}

static bool filter_sum(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return query(c, side, "SELECT sum(k), count(*) FROM q WHERE g BETWEEN 10 AND 29 AND v < 5000", figure, check);
}

static bool group_by(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return query(c, side, "SELECT g, count(*), sum(k), max(v) FROM q GROUP BY g ORDER BY g", figure, check);
}

static bool join(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return query(c, side, "SELECT count(*), sum(q.k), sum(d.weight) FROM q JOIN d ON d.id = q.d", figure, check);
}

static bool order_by(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return query(c, side, "SELECT id, k FROM q ORDER BY v, id", figure, check);
}

static bool top_10(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return query(c, side, "SELECT id, name FROM q ORDER BY v DESC, id LIMIT 10", figure, check);
}

const struct bench bench_read_list[] = {
    {"point_pk", "reads/s", false, false, point_pk},
    {"point_pk_txn", "reads/s", false, false, point_pk_txn},
    {"point_index", "reads/s", false, false, point_index},
    {"text_point", "reads/s", false, false, text_point},
    {"prepare", "us", true, false, prepare},
    {"scan_sum", "ms", true, false, scan_sum},
    {"filter_sum", "ms", true, false, filter_sum},
    {"group_by", "ms", true, false, group_by},
    {"join", "ms", true, false, join},
    {"order_by", "ms", true, false, order_by},
    {"top_10", "ms", true, false, top_10},
    {NULL, NULL, false, false, NULL},
};
