/* test_kill.c - four nodes, a writer on each, and every few seconds one random node is killed (SIGKILL) or paused (SIGSTOP) and brought
 * back. No acknowledged commit may be lost, no write on another node may fail, vectors and hashes are equal within 5 s after the end,
 * and the counters show exactly the sum of what was counted up. */
#include "proc.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EQUAL_WITHIN_S 5.0

struct options {
    double seconds; /* of writing */
    double every;   /* from one event to the next */
    uint64_t seed;
};

/* What a person who reads the log of a failed run wants to know. */
static void report(const struct proc_writer *w)
{
    printf("  writer %d: %llu acknowledged, %llu unknown, %llu lost with their node, %llu to run again, moved %llu times, slowest %.0f ms\n", w->slot,
           (unsigned long long)w->acknowledged, (unsigned long long)w->unknown, (unsigned long long)w->lost, (unsigned long long)w->again,
           (unsigned long long)w->moves, w->slowest_ms);
}

static void wait_until(double when)
{
    while (now_seconds() < when)
        pause_ms(10);
}

/* One node down for 0.4 of the interval, then up for the rest. */
static void disturb(struct proc *p, double seconds, double every)
{
    double from = now_seconds();
    for (double at = every * 0.4; at + every <= seconds + every * 0.5; at += every) {
        int slot = (int)(proc_random(p) % CLUSTER_NODES);
        int sig = proc_random(p) % 2 == 0 ? SIGKILL : SIGSTOP;
        wait_until(from + at);
        proc_signal(p, slot, sig);
        printf("  %5.1f s: node %d %s\n", now_seconds() - from, slot, sig == SIGKILL ? "killed" : "paused");
        fflush(stdout);
        wait_until(from + at + every * 0.4);
        if (sig == SIGSTOP)
            proc_signal(p, slot, SIGCONT);
        else if (!proc_start(p, slot))
            break;
    }
    wait_until(from + seconds);
}

static void run(struct proc *p, const struct options *o)
{
    static struct proc_writer writers[CLUSTER_NODES]; /* one caller */
    atomic_bool stop = false;
    double took = 0;
    if (!proc_start_all(p) || !proc_make_tables(p, p->cluster.node_url[0]) || !proc_wait_equal(p, 15, 10, &took))
        return;
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (!proc_start_writer(p, &writers[k], k, &stop))
            return;
    disturb(p, o->seconds, o->every);
    stop = true;
    uint64_t acknowledged = 0;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        proc_join_writer(&writers[k]);
        report(&writers[k]);
        acknowledged += writers[k].acknowledged;
        if (writers[k].acknowledged == 0)
            proc_fail(p, "writer %d wrote nothing", k);
    }
    if (proc_wait_equal(p, 15, EQUAL_WITHIN_S, &took))
        printf("  %llu acknowledged writes; vectors and hashes equal %.2f s after the end\n", (unsigned long long)acknowledged, took);
    for (int k = 0; k < CLUSTER_NODES; k++) {
        proc_check_node(p, k, writers, CLUSTER_NODES);
        char text[512];
        if (!cluster_ask(p->cluster.node_url[k], "SELECT count(*) FROM counters", text, sizeof text) || strtol(text, NULL, 10) != PROC_COUNTERS)
            proc_fail(p, "node %d has not all counters: %s", k, text);
    }
    for (int k = 0; k < CLUSTER_NODES; k++)
        proc_free_writer(&writers[k]);
}

int main(int argc, char **argv)
{
    static struct proc p; /* large; one */
    struct options o = {.seconds = 12, .every = 3, .seed = 1 + (uint64_t)(unsigned)getpid()};
    const char *seed = getenv("QUARTET_SEED");
    if (seed != NULL)
        o.seed = strtoull(seed, NULL, 10);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0)
            o.seconds = strtod(argv[i + 1], NULL);
        else if (strcmp(argv[i], "--every") == 0)
            o.every = strtod(argv[i + 1], NULL);
        else if (strcmp(argv[i], "--seed") == 0)
            o.seed = strtoull(argv[i + 1], NULL, 10);
    }
    proc_begin(&p, "kill", o.seed, NULL);
    run(&p, &o);
    return proc_end(&p, "kill: nothing acknowledged was lost, nothing else failed, all nodes equal");
}
