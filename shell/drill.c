/* drill.c - quartet drill: makes a cluster of four nodes on this machine, lets four clients write to it, breaks nodes in turn, and prints what the clients saw.
 * A fault's line tells the longest time in which a client got no acknowledgement (its own node was hit, or another), how many statements failed or were left
 *   open, and how long the node took to be back and to show what was written meanwhile. At the end all nodes must hold all that was acknowledged, and be equal.
 * It must never leave a process or a directory behind: nodes end with it, and its directory goes at exit. */
#include "drill.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALL_NODES ((1u << CLUSTER_NODES) - 1)
#define SETTLE_MS 500   /* before a fault, and how long a stopped node stays away */
#define PAUSE_MS 3000
#define SLOW_RUN_MS 10  /* of each SLOW_ROUND_MS */
#define SLOW_ROUND_MS 50
#define BACK_MS 30000

enum fault { FAULT_NONE, FAULT_STOP, FAULT_KILL, FAULT_PAUSE, FAULT_SLOW, FAULT_TWO, FAULTS };

static const struct {
    const char *name, *what;
} faults[FAULTS] = {
    {"none", "nothing, for comparison"},
    {"stop", "SIGTERM, started again 0.5 s later"},
    {"kill", "SIGKILL, started again 0.5 s later"},
    {"pause", "SIGSTOP for 3 s"},
    {"slow", "gets a fifth of its time for 3 s"},
    {"two", "two nodes SIGKILL at once, started again 0.5 s later"},
};

struct options {
    long rounds, acks, seed;
    bool json, wanted[FAULTS];
};

struct seen { /* of one fault in one round */
    enum fault fault;
    unsigned nodes;          /* a bit each */
    double gap_own, gap_others, back, caught_up; /* seconds; back: 0 where nothing was started */
    uint64_t unknown, failed, writes;
    double seconds;
};

/* A signal handler can reach nothing but a global. */
static struct drill *volatile the_drill;

static void on_signal(int sig)
{
    (void)sig; /* all of them mean: end */
    if (the_drill != NULL) {
        the_drill->interrupted = true;
        the_drill->stop = true;
    }
}

/* ---- faults ---- */

static void signal_nodes(struct drill *d, unsigned nodes, int sig)
{
    for (int k = 0; k < CLUSTER_NODES; k++)
        if ((nodes >> k & 1u) != 0)
            cluster_kill_node(&d->cluster, k, sig);
}

static bool start_nodes(struct drill *d, unsigned nodes)
{
    bool ok = true;
    for (int k = 0; k < CLUSTER_NODES && ok; k++)
        ok = (nodes >> k & 1u) == 0 || cluster_start_node(&d->cluster, k);
    return ok;
}

static bool stop_node(struct drill *d, unsigned nodes)
{
    bool ok = true;
    for (int k = 0; k < CLUSTER_NODES && ok; k++)
        ok = (nodes >> k & 1u) == 0 || cluster_stop_node(&d->cluster, k, 5000);
    return ok;
}

static void slow_down(struct drill *d, unsigned nodes)
{
    double until = now_seconds() + PAUSE_MS / 1000.0;
    while (now_seconds() < until && !d->interrupted) {
        signal_nodes(d, nodes, SIGSTOP);
        pause_ms(SLOW_ROUND_MS - SLOW_RUN_MS);
        signal_nodes(d, nodes, SIGCONT);
        pause_ms(SLOW_RUN_MS);
    }
}

/* The nodes were started at `since`: wait until they answer, and until they show a row that was written elsewhere after that. */
static bool wait_back(struct drill *d, unsigned nodes, int round, double since, struct seen *s)
{
    char sql[128];
    int other = 0;
    while ((nodes >> other & 1u) != 0)
        other++;
    snprintf(sql, sizeof sql, "INSERT INTO drill (client, n) VALUES (%d, %d)", CLUSTER_NODES + (int)s->fault, round);
    bool ok = drill_exec(d, other, sql);
    for (int k = 0; k < CLUSTER_NODES && ok; k++)
        ok = (nodes >> k & 1u) == 0 || cluster_wait_ready(&d->cluster, k, BACK_MS);
    s->back = now_seconds() - since;
    snprintf(sql, sizeof sql, "SELECT n FROM drill WHERE client = %d AND n = %d", CLUSTER_NODES + (int)s->fault, round);
    for (int k = 0; k < CLUSTER_NODES && ok; k++) {
        while ((nodes >> k & 1u) != 0 && !drill_shows(d, k, sql) && now_seconds() < since + BACK_MS / 1000.0)
            pause_ms(1);
        ok = now_seconds() < since + BACK_MS / 1000.0 || (snprintf(d->cluster.error, sizeof d->cluster.error, "node %d does not catch up", k), false);
    }
    s->caught_up = now_seconds() - since;
    return ok;
}

static bool break_it(struct drill *d, int round, struct seen *s)
{
    bool ok = true;
    switch (s->fault) {
    case FAULT_NONE:
        pause_ms(PAUSE_MS);
        return true;
    case FAULT_PAUSE:
        signal_nodes(d, s->nodes, SIGSTOP);
        pause_ms(PAUSE_MS);
        signal_nodes(d, s->nodes, SIGCONT);
        return wait_back(d, s->nodes, round, now_seconds(), s);
    case FAULT_SLOW:
        slow_down(d, s->nodes);
        return wait_back(d, s->nodes, round, now_seconds(), s);
    case FAULT_STOP:
        ok = stop_node(d, s->nodes);
        break;
    default:
        signal_nodes(d, s->nodes, SIGKILL);
    }
    pause_ms(SETTLE_MS);
    double since = now_seconds();
    return ok && start_nodes(d, s->nodes) && wait_back(d, s->nodes, round, since, s);
}

static uint64_t sum_of(struct drill *d, uint64_t *unknown, uint64_t *failed)
{
    uint64_t acknowledged = 0;
    *unknown = *failed = 0;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        acknowledged += d->clients[k].acknowledged;
        *unknown += d->clients[k].unknown;
        *failed += d->clients[k].failed;
    }
    return acknowledged;
}

/* A client that waits still counts with what it has waited. */
static void read_gaps(struct drill *d, unsigned phase, struct seen *s)
{
    for (int k = 0; k < CLUSTER_NODES; k++) {
        double waits = now_seconds() - d->clients[k].last_ack, gap = d->clients[k].gap[phase];
        double *to = (s->nodes >> k & 1u) != 0 || s->fault == FAULT_NONE ? &s->gap_own : &s->gap_others;
        gap = waits > gap ? waits : gap;
        *to = gap > *to ? gap : *to;
    }
}

static bool one_fault(struct drill *d, enum fault fault, unsigned nodes, int round, struct seen *s)
{
    uint64_t unknown, failed, unknown_after, failed_after;
    *s = (struct seen){.fault = fault, .nodes = nodes};
    pause_ms(SETTLE_MS);
    uint64_t before = sum_of(d, &unknown, &failed);
    double since = now_seconds();
    unsigned phase = ++d->phase;
    bool ok = break_it(d, round, s);
    pause_ms(SETTLE_MS);
    read_gaps(d, phase, s);
    s->seconds = now_seconds() - since;
    s->writes = sum_of(d, &unknown_after, &failed_after) - before;
    s->unknown = unknown_after - unknown;
    s->failed = failed_after - failed;
    return ok;
}

/* ---- telling ---- */

static void print_ms(double seconds, bool there)
{
    if (there)
        printf(" %9.0f", 1000 * seconds);
    else
        printf(" %9s", "-");
}

static void print_seen(const struct seen *s, bool json, bool first)
{
    char nodes[2 * CLUSTER_NODES + 1] = "";
    for (int k = 0, n = 0; k < CLUSTER_NODES; k++)
        if ((s->nodes >> k & 1u) != 0)
            n += snprintf(nodes + n, sizeof nodes - (size_t)n, "%s%d", n > 0 ? "," : "", k);
    if (json) {
        printf("%s\n  {\"fault\": \"%s\", \"nodes\": [%s], \"gap_own_ms\": %.1f, \"gap_others_ms\": %.1f, \"failed\": %llu, \"unknown\": %llu, \"back_ms\": %.0f, "
               "\"caught_up_ms\": %.0f, \"writes_per_s\": %.0f}",
               first ? "" : ",", faults[s->fault].name, nodes, 1000 * s->gap_own, 1000 * s->gap_others, (unsigned long long)s->failed,
               (unsigned long long)s->unknown, 1000 * s->back, 1000 * s->caught_up, (double)s->writes / s->seconds);
        return;
    }
    printf("%-6s %-5s", faults[s->fault].name, nodes[0] != '\0' ? nodes : "-");
    print_ms(s->gap_own, true);
    print_ms(s->gap_others, s->fault != FAULT_NONE);
    printf(" %7llu %8llu", (unsigned long long)s->failed, (unsigned long long)s->unknown);
    print_ms(s->back, s->back > 0);
    print_ms(s->caught_up, s->back > 0);
    printf(" %9.0f\n", (double)s->writes / s->seconds);
    fflush(stdout);
}

static bool conclude(struct drill *d, const struct options *o)
{
    static char state[CLUSTER_NODES][CLUSTER_STATE_MAX]; /* one caller, one thread */
    uint64_t unknown, failed, lost = 0, ghosts = 0;
    drill_join_clients(d);
    bool equal = cluster_wait_equal(&d->cluster, ALL_NODES, BACK_MS, state), read = drill_check(d, &lost, &ghosts);
    uint64_t acknowledged = sum_of(d, &unknown, &failed);
    if (o->json)
        printf("],\n \"acknowledged\": %llu, \"failed\": %llu, \"unknown\": %llu, \"lost\": %llu, \"there_although_failed\": %llu, \"equal\": %s}\n",
               (unsigned long long)acknowledged, (unsigned long long)failed, (unsigned long long)unknown, (unsigned long long)lost,
               (unsigned long long)ghosts, equal ? "true" : "false");
    else if (read)
        printf("%llu writes acknowledged, %llu lost; %llu failed, of which %llu are there all the same; %llu with an outcome that nobody told; the nodes are %s\n",
               (unsigned long long)acknowledged, (unsigned long long)lost, (unsigned long long)failed, (unsigned long long)ghosts,
               (unsigned long long)unknown, equal ? "equal" : "NOT equal");
    for (int k = 0; k < CLUSTER_NODES && !equal; k++)
        fprintf(stderr, "node %d: %s\n", k, state[k]);
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (d->clients[k].failed > 0)
            fprintf(stderr, "client %d: %llu writes failed, the last: %s\n", k, (unsigned long long)d->clients[k].failed, d->clients[k].last_error);
    return equal && read && lost == 0 && ghosts == 0;
}

/* ---- all of it ---- */

static unsigned draw_nodes(enum fault fault, uint64_t *random)
{
    if (fault == FAULT_NONE)
        return 0;
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    unsigned first = (unsigned)(*random >> 33) % CLUSTER_NODES, second = (first + 1 + (unsigned)(*random >> 40) % (CLUSTER_NODES - 1)) % CLUSTER_NODES;
    return 1u << first | (fault == FAULT_TWO ? 1u << second : 0);
}

static bool run_faults(struct drill *d, const struct options *o)
{
    uint64_t random = (uint64_t)o->seed;
    bool ok = true, first = true;
    if (o->json)
        printf("{\"faults\": [");
    else
        printf("four nodes in %s, four clients, each writes through its own node and knows the others; commit_acks %ld, seed %ld\n"
               "%-6s %-5s %20s %7s %8s %9s %9s %9s\n%-6s %-5s %9s %9s %7s %8s %9s %9s %9s\n",
               d->cluster.dir, o->acks, o->seed, "", "", "longest gap, ms", "", "", "back", "caught up", "", "fault", "node", "its own", "others",
               "failed", "unknown", "ms", "ms", "writes/s");
    for (int round = 0; round < o->rounds && ok; round++)
        for (int f = 0; f < FAULTS && ok && !d->interrupted; f++) {
            struct seen s;
            if (!o->wanted[f])
                continue;
            ok = one_fault(d, (enum fault)f, draw_nodes((enum fault)f, &random), round, &s);
            print_seen(&s, o->json, first);
            first = false;
        }
    return conclude(d, o) && ok;
}

static bool drill(struct drill *d, const struct options *o)
{
    bool ok = cluster_make(&d->cluster);
    for (int k = 0; k < CLUSTER_NODES && ok; k++)
        ok = cluster_start_node(&d->cluster, k);
    for (int k = 0; k < CLUSTER_NODES && ok; k++)
        ok = cluster_wait_ready(&d->cluster, k, BACK_MS);
    ok = ok && drill_exec(d, 0, "CREATE TABLE drill (client INTEGER, n INTEGER, PRIMARY KEY (client, n))");
    for (int k = 0; k < CLUSTER_NODES && ok; k++)
        for (double until = now_seconds() + BACK_MS / 1000.0; ok && !drill_shows(d, k, "SELECT 1 FROM information_schema.tables WHERE table_name = 'drill'"); pause_ms(5))
            ok = now_seconds() < until || (snprintf(d->cluster.error, sizeof d->cluster.error, "node %d does not hear of the table", k), false);
    ok = ok && drill_start_clients(d) && run_faults(d, o);
    drill_join_clients(d);
    if (!ok && d->cluster.error[0] != '\0')
        fprintf(stderr, "quartet drill: %s\n", d->cluster.error);
    return ok;
}

static bool parse(int count, char **args, struct options *o)
{
    bool any = false;
    for (int i = 0; i < count; i++) {
        char *end = NULL;
        long *number = strcmp(args[i], "--rounds") == 0        ? &o->rounds
                       : strcmp(args[i], "--commit-acks") == 0 ? &o->acks
                       : strcmp(args[i], "--seed") == 0        ? &o->seed
                                                               : NULL;
        if (number != NULL) {
            if (++i == count || (*number = strtol(args[i], &end, 10), *end != '\0' || end == args[i]))
                return false;
            continue;
        }
        int f = 0;
        while (f < FAULTS && strcmp(args[i], faults[f].name) != 0)
            f++;
        if (f < FAULTS)
            any = o->wanted[f] = true;
        else if (strcmp(args[i], "--json") == 0)
            o->json = true;
        else
            return false;
    }
    long kinds = 0;
    for (int f = 0; f < FAULTS; f++)
        kinds += o->wanted[f] |= !any;
    return o->rounds >= 1 && o->rounds < (long)DRILL_PHASES_MAX / kinds && o->acks >= 0 && o->acks < CLUSTER_NODES && o->seed >= 0;
}

int drill_run(int count, char **args)
{
    static struct drill d; /* large; one */
    struct options o = {.rounds = 1, .seed = 1};
    if (!parse(count, args, &o)) {
        fprintf(stderr, "usage: quartet drill [--rounds N] [--commit-acks 0..3] [--seed N] [--json] [FAULT...]\nfaults:\n");
        for (int f = 0; f < FAULTS; f++)
            fprintf(stderr, "  %-6s %s\n", faults[f].name, faults[f].what);
        return 64;
    }
    char dir[256];
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/quartet-drill-XXXXXX", tmp != NULL && strlen(tmp) < 200 ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL) {
        fprintf(stderr, "quartet drill: %s: %s\n", dir, strerror(errno));
        return 1;
    }
    d.commit_acks = (int)o.acks;
    the_drill = &d;
    struct sigaction act = {.sa_handler = on_signal};
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    bool ok = cluster_init(&d.cluster, dir, "quartet");
    if (!ok)
        fprintf(stderr, "quartet drill: %s\n", d.cluster.error);
    ok = ok && drill(&d, &o);
    cluster_stop(&d.cluster);
    if (!ok && !d.interrupted)
        cluster_print_logs(&d.cluster, 8);
    if (!cluster_remove(&d.cluster))
        fprintf(stderr, "quartet drill: %s\n", d.cluster.error);
    for (int k = 0; k < CLUSTER_NODES; k++)
        free(d.clients[k].told);
    return ok && !d.interrupted ? 0 : 1;
}
