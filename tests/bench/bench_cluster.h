/* bench_cluster.h - clusters of real nodes for benchmarks: what bench_cluster.c and bench_oltp.c share. */
#ifndef BENCH_BENCH_CLUSTER_H
#define BENCH_BENCH_CLUSTER_H

#include "bench.h"
#include "shell/cluster.h"

#define BENCH_DEADLINE_S 30

struct bench_cluster {
    struct cluster c;
    char path[4200];
    int nodes; /* that were started */
};

/* Each returns false after printing what failed. */
bool bench_cluster_start(struct bench_ctx *c, struct bench_cluster *b, int nodes);
void bench_cluster_stop(struct bench_cluster *b, bool ok); /* and frees b; not ok: the ends of the logs are printed */
bool bench_cluster_exec(struct bench_cluster *b, int slot, const char *sql);
/* Until the node answers this query so. */
bool bench_cluster_until(struct bench_cluster *b, int slot, const char *sql, const char *want, double deadline_s);
/* On node 0, and all others know it. */
bool bench_cluster_table(struct bench_cluster *b, const char *sql, const char *name);
void bench_nap(double s);

#endif
