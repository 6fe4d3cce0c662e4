/* test_cutoff.c - a node that is cut off for the whole run, with writes of its own that nobody else knows, and that then finds only one
 * peer: both converge through that one link, and the others follow when they are back. */
#include "proc.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define CUT 3    /* this one is cut off */
#define BRIDGE 1 /* and this is the peer that it finds */

static void let_write(struct proc_writer *w, int count, atomic_bool *stop)
{
    double until = now_seconds() + 4;
    while (now_seconds() < until)
        pause_ms(10);
    *stop = true;
    for (int k = 0; k < count; k++)
        proc_join_writer(&w[k]);
}

static void run(struct proc *p)
{
    static struct proc_writer writers[CLUSTER_NODES]; /* one caller; the last is the cut node's */
    atomic_bool stop = false, stop_cut = false;
    double took = 0;
    if (!proc_start_all(p) || !proc_make_tables(p, p->cluster.node_url[0]) || !proc_wait_equal(p, 15, 10, &took))
        return;
    /* First the cut node writes while all others are dead: what it wrote cannot have left it. (A paused process's sockets take bytes.) */
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (k != CUT)
            proc_signal(p, k, SIGKILL);
    struct proc_writer *own = &writers[CUT];
    if (!proc_start_writer(p, own, CUT, &stop_cut))
        return;
    pause_ms(1000);
    stop_cut = true;
    proc_join_writer(own);
    proc_signal(p, CUT, SIGKILL);
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (k != CUT && (!proc_start(p, k) || !cluster_wait_ready(&p->cluster, k, 20000)))
            proc_fail(p, "%s", p->cluster.error);
    /* Then the others write without it. */
    for (int k = 0; k < CUT; k++)
        if (!proc_start_writer(p, &writers[k], k, &stop))
            return;
    let_write(writers, CUT, &stop);
    printf("  written: %llu on the cut node, %llu, %llu and %llu elsewhere\n", (unsigned long long)own->acknowledged,
           (unsigned long long)writers[0].acknowledged, (unsigned long long)writers[1].acknowledged, (unsigned long long)writers[2].acknowledged);
    if (own->acknowledged == 0 || writers[BRIDGE].acknowledged == 0)
        proc_fail(p, "a writer wrote nothing");
    proc_wait_equal(p, 7, 5, &took);
    for (int k = 0; k < CUT; k++)
        if (k != BRIDGE)
            proc_signal(p, k, SIGKILL);
    if (!proc_start(p, CUT))
        return;
    if (!cluster_wait_ready(&p->cluster, CUT, 20000))
        proc_fail(p, "%s", p->cluster.error);
    if (proc_wait_equal(p, 1u << CUT | 1u << BRIDGE, 10, &took))
        printf("  the cut node and its only peer are equal %.2f s after it answers\n", took);
    for (int k = 0; k < CUT; k++)
        if (k != BRIDGE && (!proc_start(p, k) || !cluster_wait_ready(&p->cluster, k, 20000)))
            proc_fail(p, "%s", p->cluster.error);
    if (proc_wait_equal(p, 15, 10, &took))
        printf("  all four are equal %.2f s after the last is back\n", took);
    for (int k = 0; k < CLUSTER_NODES; k++)
        proc_check_node(p, k, writers, CLUSTER_NODES);
    for (int k = 0; k < CLUSTER_NODES; k++)
        proc_free_writer(&writers[k]);
}

int main(void)
{
    static struct proc p; /* large; one */
    const char *seed = getenv("QUARTET_SEED");
    proc_begin(&p, "cutoff", seed != NULL ? strtoull(seed, NULL, 10) : 1 + (uint64_t)(unsigned)getpid(), NULL);
    run(&p);
    return proc_end(&p, "cutoff: a node without links converges through a single peer");
}
