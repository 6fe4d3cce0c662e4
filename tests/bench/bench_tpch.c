/* bench_tpch.c - the 22 queries of tpch_queries.c: all of them as one figure, the geometric mean of their times, and each by itself. Both sides' answers are compared. */
#include "tpch.h"

#include <math.h>
#include <stdio.h>

#define SCALE 0.05 /* 300,000 rows in lineitem */

static bench_db *tpch_db(struct bench_ctx *c, enum bench_side side)
{
    char path[4200];
    bench_db *b = NULL;
    if (c->tpch[side] != NULL)
        return c->tpch[side];
    bench_path(c, side, path, sizeof path);
    if (!bench_open(side, path, BENCH_NORMAL, &b) || !tpch_fill(b, c->rows < 1000000 ? SCALE * (double)c->rows / 1e6 : SCALE)) {
        (void)bench_close(b); /* the first error was told */
        return NULL;
    }
    if (side == BENCH_SQLITE && !bench_exec(b, "PRAGMA wal_checkpoint(truncate)"))
        return NULL;
    c->tpch[side] = b;
    return b;
}

/* Once to compare and to warm up, then the best of three. */
static bool one(struct bench_ctx *c, enum bench_side side, int query, double *ms, uint64_t *check)
{
    bench_db *b = tpch_db(c, side);
    bench_stmt *s = NULL;
    uint64_t h = *check;
    bool ok = b != NULL && bench_query_hash(b, tpch_queries[query], &h) && bench_prepare(b, tpch_queries[query], &s);
    *check = h;
    *ms = 1e9;
    for (int i = 0; ok && i < 3; i++) {
        double started = bench_now();
        ok = bench_run(s);
        double took = (bench_now() - started) * 1e3;
        *ms = took < *ms ? took : *ms;
    }
    bench_finalize(s);
    return ok;
}

static bool tpch(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    double sum = 0, ms = 0;
    bool ok = true;
    for (int i = 0; ok && i < TPCH_QUERIES; i++) {
        ok = one(c, side, i, &ms, check);
        sum += log(ms);
    }
    *figure = exp(sum / TPCH_QUERIES);
    return ok;
}

#define EACH(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22)
#define RUN(n)                                                                                                  \
    static bool tpch_##n(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)            \
    {                                                                                                           \
        return one(c, side, n - 1, figure, check);                                                              \
    }
EACH(RUN)

const struct bench bench_tpch_list[] = {
    {"tpch", "ms", true, false, tpch},
    {NULL, NULL, false, false, NULL},
};
#define ENTRY(n) {"tpch_" #n, "ms", true, false, tpch_##n},
const struct bench bench_tpch_each_list[] = {
    EACH(ENTRY)
    {NULL, NULL, false, false, NULL},
};
