/* matrix.c - workloads x faults: four nodes, each a process of its own, a writer and a reader on each, and a fault that comes and goes. While it does, every reader
 * must see what the workload promises, and writers may fail only where the fault excuses it; afterwards nodes become equal in time, everything that was acknowledged
 * is there, nothing that failed is, and what was in doubt is told. Two of the four writers use commit_acks = 1. A cell is one workload under one fault, in a cluster
 * of its own, drawn from the seed: what happens and when, not how threads run.
 * usage: matrix [--seconds S] [--seed N] [--work NAME,...] [--fault NAME,...] [--cells WORK:FAULT,...] [--minutes M] [--wrong] [--trace] [--list]
 *   --wrong: each workload breaks its own promise, and the cell fails where nothing was found: what the checkers are worth. */
#include "netns/matrix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
    double seconds, minutes; /* of load in a cell; after so many no other cell is begun, 0: no limit */
    uint64_t seed;
    const char *works, *faults, *cells;
    bool wrong, trace;
};

struct totals {
    unsigned cells, left_out, failed;
    uint64_t acknowledged, looks;
};

static bool in_list(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; at != NULL && (at = strstr(at, name)) != NULL; at += n)
        if ((at == list || at[-1] == ',') && (at[n] == ',' || at[n] == '\0'))
            return true;
    return false;
}

static bool is_wanted(const struct options *o, const struct workload *w, const struct fault *f)
{
    char both[64];
    snprintf(both, sizeof both, "%s:%s", w->name, f->name);
    if (o->cells != NULL)
        return in_list(o->cells, both);
    if (o->wrong)
        return strcmp(f->name, "none") == 0 && (o->works == NULL || in_list(o->works, w->name));
    return (o->works == NULL || in_list(o->works, w->name)) && (o->faults == NULL ? strcmp(f->name, "none") != 0 : in_list(o->faults, f->name));
}

/* ---- a cell ---- */

static bool make_tables(struct cell *x)
{
    static const char *const journal =
        "CREATE TABLE journal (w INTEGER, n INTEGER, prev INTEGER, kind INTEGER, a INTEGER, b INTEGER, x INTEGER, PRIMARY KEY (w, n)); CREATE TABLE ballast (id INTEGER PRIMARY KEY, v BLOB)";
    double took;
    return proc_exec(&x->p, x->p.cluster.node_url[0], journal) &&
           proc_exec(&x->p, x->p.cluster.node_url[0], x->wrong && x->work->wrong != NULL ? x->work->wrong : x->work->schema) && proc_wait_equal(&x->p, 15, 20, &took);
}

static void wait_until(double when)
{
    while (now_seconds() < when)
        pause_ms(5);
}

static double draw_seconds(struct cell *x, double from, double to)
{
    return from + (to - from) * (double)(proc_random(&x->p) % 1000) / 1000;
}

/* The fault comes once at least, and is gone at the end. */
static unsigned disturb(struct cell *x)
{
    unsigned events = 0;
    for (double until = now_seconds() + x->seconds; events == 0 || now_seconds() < until; events++) {
        wait_until(now_seconds() + draw_seconds(x, 0.3, 0.8));
        x->fault->on(x);
        if (x->trace)
            printf("%.3f %s on, nodes %x\n", now_seconds(), x->fault->name, x->victims);
        wait_until(now_seconds() + draw_seconds(x, 0.5, 1.5));
        x->fault->off(x);
    }
    wait_until(now_seconds() + 0.3);
    return events;
}

static void look_for_ended(struct cell *x)
{
    for (int k = 0; k < CLUSTER_NODES; k++) {
        int status = 0;
        if (x->p.cluster.pid[k] > 0 && waitpid(x->p.cluster.pid[k], &status, WNOHANG) == x->p.cluster.pid[k]) {
            matrix_found(x, "node %d ended by itself (%s %d)", k, WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            x->p.cluster.pid[k] = 0;
        }
        int alarms = proc_log_lines(&x->p, k, "DIVERGED");
        if (alarms > 0)
            matrix_found(x, "node %d says DIVERGED %d times", k, alarms);
    }
}

/* All nodes list the same tables, columns, indexes. */
static void compare_schemas(struct cell *x)
{
    static char first[65536], other[65536]; /* one caller */
    for (int k = 0; k < CLUSTER_NODES; k++) {
        char *to = k == 0 ? first : other;
        if (!cluster_ask(x->p.cluster.node_url[k], "SHOW SCHEMA", to, sizeof first) || (k > 0 && strcmp(first, other) != 0))
            matrix_found(x, "node %d: SHOW SCHEMA differs from node 0's: %.300s", k, to);
    }
}

static void report(struct cell *x, unsigned events, double took, struct totals *t)
{
    uint64_t acknowledged = 0, unknown = 0, again = 0, refused = 0, failed = 0, looks = 0;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        struct client *w = &x->writers[k];
        acknowledged += w->acknowledged;
        unknown += w->unknown_count;
        again += w->again;
        refused += w->refused;
        failed += w->failed;
        looks += x->readers[k].looks;
        if (x->trace)
            printf("writer %d: %llu acknowledged, reader %d: %llu looks\n", k, (unsigned long long)w->acknowledged, k, (unsigned long long)x->readers[k].looks);
        if (x->p.failures == 0 && !x->wrong && (w->acknowledged == 0 || x->readers[k].looks == 0))
            matrix_found(x, "node %d: %llu transactions, %llu looks: nothing was tested", k, (unsigned long long)w->acknowledged, (unsigned long long)x->readers[k].looks);
    }
    t->acknowledged += acknowledged;
    t->looks += looks;
    bool ok = x->wrong ? x->found > 0 : x->p.failures == 0 && x->found == 0;
    t->failed += !ok;
    printf("%-6s %-8s x %-6s %2u times: %6llu acknowledged, %llu in doubt, %llu to run again, %llu refused, %llu failed, %llu looks; equal after %.2f s\n", ok ? "ok" : "FAILED", x->work->name,
           x->fault->name, events, (unsigned long long)acknowledged, (unsigned long long)unknown, (unsigned long long)again, (unsigned long long)refused, (unsigned long long)failed,
           (unsigned long long)looks, took);
    if (x->wrong)
        printf("       %s: %.200s\n", ok ? "found" : "NOTHING FOUND", x->first);
    fflush(stdout);
}

static void run_cell(struct cell *x, struct totals *t)
{
    double took = 0;
    unsigned events = 0;
    if (proc_start_all(&x->p) && make_tables(x) && matrix_start_clients(x)) {
        events = disturb(x);
        matrix_join_clients(x);
        if (proc_wait_equal(&x->p, 15, x->fault->equal_s, &took)) {
            matrix_ask_unknown(x);
            for (int k = 0; k < CLUSTER_NODES; k++)
                matrix_check_node(x, k);
            compare_schemas(x);
        }
        look_for_ended(x);
    }
    matrix_join_clients(x);
    report(x, events, took, t);
    matrix_free_clients(x);
}

static void do_cell(struct wires *wires, const struct options *o, const struct workload *w, const struct fault *f, uint64_t number, struct totals *t)
{
    static struct cell x; /* large; one */
    memset(&x, 0, sizeof x);
    x.wires = wires;
    x.work = w;
    x.fault = f;
    x.seconds = o->seconds;
    x.wrong = o->wrong;
    x.trace = o->trace;
    x.disk = x.clock = -1;
    pthread_mutex_init(&x.lock, NULL);
    struct cluster_hosts hosts = {.enter = matrix_enter, .arg = &x};
    for (int k = 0; k < CLUSTER_NODES; k++)
        hosts.address[k] = wires != NULL ? wires_address(k) : "127.0.0.1";
    if (f->wires && wires == NULL) {
        snprintf(x.why, sizeof x.why, "no network namespaces here");
    } else {
        x.p.quiet = true;
        proc_begin(&x.p, "matrix", o->seed * 1000 + number, &hosts);
        if (f->begin == NULL || f->begin(&x))
            run_cell(&x, t);
        cluster_stop(&x.p.cluster);
        if (f->end != NULL)
            f->end(&x);
        if (proc_end(&x.p, NULL) != 0 || (x.found > 0) != x.wrong)
            printf("again: --seed %llu --seconds %g --cells %s:%s\n", (unsigned long long)o->seed, o->seconds, w->name, f->name);
    }
    t->cells++;
    if (x.why[0] != '\0') {
        printf("left out: %s x %s: %s\n", w->name, f->name, x.why);
        t->left_out++;
    }
    pthread_mutex_destroy(&x.lock);
}

/* ---- all of it ---- */

static void list_all(void)
{
    for (const struct workload *w = matrix_workloads; w->name != NULL; w++)
        printf("%-9s %s\n", w->name, w->what);
    for (const struct fault *f = matrix_faults; f->name != NULL; f++)
        printf("%-9s %s\n", f->name, f->what);
}

static void run_all(struct wires *wires, const struct options *o, struct totals *t)
{
    double from = now_seconds();
    uint64_t number = 0;
    unsigned late = 0;
    for (const struct fault *f = matrix_faults; f->name != NULL; f++)
        for (const struct workload *w = matrix_workloads; w->name != NULL; w++, number++) {
            if (!is_wanted(o, w, f))
                continue;
            if (o->minutes > 0 && now_seconds() - from > 60 * o->minutes)
                late++;
            else
                do_cell(wires, o, w, f, number, t);
        }
    if (late > 0)
        printf("%u cells were not begun after %.0f minutes\n", late, o->minutes);
    printf("matrix: %u cells, %u failed, %u left out; %llu transactions acknowledged, %llu looks, %.0f s, seed %llu%s\n", t->cells, t->failed, t->left_out, (unsigned long long)t->acknowledged,
           (unsigned long long)t->looks, now_seconds() - from, (unsigned long long)o->seed, o->wrong ? "; each broke its promise, and that was to be found" : "");
}

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--wrong") == 0 || strcmp(argv[i], "--trace") == 0) {
            *(argv[i][2] == 'w' ? &o->wrong : &o->trace) = true;
            continue;
        }
        if (value == NULL)
            return false;
        if (strcmp(argv[i], "--seconds") == 0)
            o->seconds = strtod(value, NULL);
        else if (strcmp(argv[i], "--minutes") == 0)
            o->minutes = strtod(value, NULL);
        else if (strcmp(argv[i], "--seed") == 0)
            o->seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--work") == 0)
            o->works = value;
        else if (strcmp(argv[i], "--fault") == 0)
            o->faults = value;
        else if (strcmp(argv[i], "--cells") == 0)
            o->cells = value;
        else
            return false;
        i++;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct wires w; /* large; one */
    const char *seed = getenv("QUARTET_SEED");
    struct options o = {.seconds = 6, .seed = seed != NULL ? strtoull(seed, NULL, 10) : 1 + (uint64_t)(unsigned)getpid()};
    struct totals t = {0};
    char why[256];
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list_all();
        return 0;
    }
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: matrix [--seconds S] [--seed N] [--work NAME,...] [--fault NAME,...] [--cells WORK:FAULT,...] [--minutes M] [--wrong] [--trace] [--list]\n");
        return 64;
    }
    bool wires = wires_open(&w, o.seed, why, sizeof why);
    if (!wires)
        printf("matrix: no network namespaces: %s; nodes are on loopback, and faults of the network are left out\n", why);
    else if (!wires_enter(&w, WIRES_CLIENTS)) {
        printf("FAILED: the clients' namespace: %s\n", strerror(errno));
        return 1;
    }
    run_all(wires ? &w : NULL, &o, &t);
    if (wires)
        wires_close(&w);
    if (t.cells == 0)
        printf("FAILED: no cell has such a name; --list tells them\n");
    return t.failed == 0 && t.cells > 0 ? 0 : 1;
}
