/* bench_visible.c - four real nodes on loopback: how long after its acknowledgement a commit on one can be read on the three others.
 * Commits come 5 ms apart, so the nodes are idle. The others are asked in turn until each has the row; asking costs a round trip, which is
 * in the figure. SQLite has nothing to compare. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "quartet.h"
#include "shell/cluster.h"

#define VISIBLE_DEADLINE_S 10

struct visible {
    struct cluster cluster;
    quartet_db *db[CLUSTER_NODES];
    quartet_stmt *ask[CLUSTER_NODES], *insert;
};

static bool failed(struct visible *v, int slot, const char *what)
{
    return bench_fail(what, v->db[slot] != NULL ? quartet_errmsg(v->db[slot]) : "out of memory");
}

static bool connect_all(struct visible *v)
{
    for (int k = 0; k < CLUSTER_NODES; k++) {
        if (!cluster_start_node(&v->cluster, k))
            return bench_fail("visible", v->cluster.error);
    }
    for (int k = 0; k < CLUSTER_NODES; k++) {
        if (!cluster_wait_ready(&v->cluster, k, 20000))
            return bench_fail("visible", v->cluster.error);
        /* Reads of what the node has: waiting for others would be measured otherwise. */
        if (quartet_open(v->cluster.node_url[k], &v->db[k]) != QUARTET_OK ||
            quartet_exec(v->db[k], "SET consistency = 'local'", NULL, NULL, NULL) != QUARTET_OK)
            return failed(v, k, "connect");
    }
    if (quartet_exec(v->db[0], "CREATE TABLE m (id INTEGER PRIMARY KEY, v INTEGER)", NULL, NULL, NULL) != QUARTET_OK ||
        quartet_prepare(v->db[0], "INSERT INTO m (id, v) VALUES (?, ?)", -1, &v->insert, NULL) != QUARTET_OK)
        return failed(v, 0, "CREATE TABLE");
    double until = bench_now() + VISIBLE_DEADLINE_S;
    for (int k = 1; k < CLUSTER_NODES; k++) {
        while (quartet_exec(v->db[k], "SELECT count(*) FROM m", NULL, NULL, NULL) != QUARTET_OK)
            if (bench_now() > until)
                return failed(v, k, "the table does not arrive");
        if (quartet_prepare(v->db[k], "SELECT v FROM m WHERE id = ?", -1, &v->ask[k], NULL) != QUARTET_OK)
            return failed(v, k, "SELECT");
    }
    return true;
}

/* 1: the row is there, 0: not yet, -1: an error. */
static int ask(struct visible *v, int slot, int64_t id)
{
    quartet_stmt *s = v->ask[slot];
    int found = 0, rc = quartet_bind_int64(s, 1, id);
    while (rc == QUARTET_OK && (rc = quartet_step(s)) == QUARTET_ROW) {
        found = 1;
        rc = QUARTET_OK;
    }
    if (rc != QUARTET_DONE || quartet_reset(s) != QUARTET_OK)
        return failed(v, slot, "SELECT") ? 0 : -1;
    return found;
}

static bool one_sample(struct visible *v, int64_t id, double *ms)
{
    if (quartet_bind_int64(v->insert, 1, id) != QUARTET_OK || quartet_bind_int64(v->insert, 2, id * 3) != QUARTET_OK ||
        quartet_step(v->insert) != QUARTET_DONE || quartet_reset(v->insert) != QUARTET_OK)
        return failed(v, 0, "INSERT");
    double from = bench_now();
    bool seen[CLUSTER_NODES] = {true};
    for (int left = CLUSTER_NODES - 1; left > 0;)
        for (int k = 1; k < CLUSTER_NODES; k++) {
            int found = seen[k] ? 0 : ask(v, k, id);
            if (found < 0)
                return false;
            seen[k] = seen[k] || found == 1;
            left -= found;
            if (bench_now() - from > VISIBLE_DEADLINE_S)
                return bench_fail("visible", "a commit did not arrive within 10 s");
        }
    *ms = (bench_now() - from) * 1e3;
    return true;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static bool sample_all(struct visible *v, int samples, double quantile, double *figure)
{
    double *ms = calloc((size_t)samples, sizeof *ms);
    bool ok = ms != NULL;
    for (int i = 0; ok && i < samples; i++) {
        ok = one_sample(v, i + 1, &ms[i]);
        struct timespec pause = {.tv_nsec = 5000000};
        nanosleep(&pause, NULL);
    }
    if (ok) {
        qsort(ms, (size_t)samples, sizeof *ms, compare);
        *figure = ms[(size_t)((samples - 1) * quantile)];
    }
    free(ms);
    return ok;
}

static bool visible(struct bench_ctx *c, double quantile, double *figure)
{
    struct visible *v = calloc(1, sizeof *v);
    char path[4200];
    if (v == NULL)
        return bench_fail("visible", "out of memory");
    bench_path(c, BENCH_QUARTET, path, sizeof path);
    bool ok = mkdir(path, 0700) == 0 && cluster_init(&v->cluster, path, "") && cluster_make(&v->cluster);
    if (!ok)
        bench_fail(path, v->cluster.error);
    ok = ok && connect_all(v) && sample_all(v, c->rows < 100000 ? 50 : 1000, quantile, figure);
    if (!ok)
        cluster_print_logs(&v->cluster, 5);
    (void)quartet_finalize(v->insert); /* an error was told */
    for (int k = 0; k < CLUSTER_NODES; k++) {
        (void)quartet_finalize(v->ask[k]); /* likewise */
        (void)quartet_close(v->db[k]);     /* likewise */
    }
    cluster_stop(&v->cluster);
    bench_remove(path);
    free(v);
    return ok;
}

static bool visible_p50(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side;  /* it is alone */
    (void)check; /* likewise */
    return visible(c, 0.5, figure);
}

static bool visible_p99(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side;  /* it is alone */
    (void)check; /* likewise */
    return visible(c, 0.99, figure);
}

const struct bench bench_visible_list[] = {
    {"visible_p50", "ms", true, true, visible_p50},
    {"visible_p99", "ms", true, true, visible_p99},
    {NULL, NULL, false, false, NULL},
};
