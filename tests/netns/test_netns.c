/* test_netns.c - four nodes on four hosts, and what networks do to them while a writer writes on each: delay, loss, cuts of one way, two and three parts, a chain
 * in which deltas are passed on, a narrow wire, a wrong clock. No write may fail or wait for another node; and afterwards nothing that was acknowledged is missing
 * anywhere, no transaction is half there, counters are exact, vectors and hashes equal. usage: test_netns [--seconds S] [--rounds N] [--seed S], or
 * --latency TURNS: how long commits on one node take that wait for no other, with nodes near and 200 ms away (the round trip), as JSON. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netns/wires.h"
#include "process/proc.h"

struct fault {
    const char *name;
    void (*make)(struct wires *w);
    bool heal;      /* else the nodes become equal while it lasts */
    double equal_s; /* within this time */
    const char *clock; /* of node 2, as libfaketime takes it; NULL: the machine's */
};

static const struct wire well = {0}, broken = {.cut = true};

static void cut_both(struct wires *w, int a, int b)
{
    wires_set(w, a, b, &broken);
    wires_set(w, b, a, &broken);
}

static void far_apart(struct wires *w)
{
    wires_between_nodes(w, &(struct wire){.delay_ms = 150, .jitter_ms = 10});
}

static void lossy(struct wires *w)
{
    wires_between_nodes(w, &(struct wire){.delay_ms = 5, .loss = 0.05});
}

static void clients_far(struct wires *w) /* their wires, not those between nodes */
{
    for (int k = 0; k < WIRES_CLIENTS; k++) {
        wires_set(w, k, WIRES_CLIENTS, &(struct wire){.delay_ms = 20, .loss = 0.02});
        wires_set(w, WIRES_CLIENTS, k, &(struct wire){.delay_ms = 20, .loss = 0.02});
    }
}

static void one_way(struct wires *w) /* 0 does not reach 1, nobody is reached by 2 */
{
    wires_set(w, 0, 1, &broken);
    for (int to = 0; to < WIRES_CLIENTS; to++)
        if (to != 2)
            wires_set(w, 2, to, &broken);
}

static void halves(struct wires *w)
{
    for (int a = 0; a < 2; a++)
        for (int b = 2; b < WIRES_CLIENTS; b++)
            cut_both(w, a, b);
}

static void three_parts(struct wires *w) /* 0 | 1 | 2 and 3 */
{
    cut_both(w, 0, 1);
    halves(w);
}

static void chain(struct wires *w) /* 0 - 1 - 2 - 3 */
{
    cut_both(w, 0, 2);
    cut_both(w, 0, 3);
    cut_both(w, 1, 3);
}

static void narrow(struct wires *w) /* 1 Mbit/s to and from node 3 */
{
    for (int k = 0; k < 3; k++) {
        wires_set(w, k, 3, &(struct wire){.delay_ms = 20, .bytes_per_s = 125000});
        wires_set(w, 3, k, &(struct wire){.delay_ms = 20, .bytes_per_s = 125000});
    }
}

/* Node 2 starts anew with another clock, or with the machine's. */
static const char *const faketime = "/usr/lib/" TEST_ARCHITECTURE "/faketime/libfaketime.so.1";
static const char *clock_of_2;

static bool set_clock(struct proc *p, const char *clock)
{
    clock_of_2 = clock;
    proc_signal(p, 2, SIGKILL);
    return proc_start(p, 2) && (cluster_wait_ready(&p->cluster, 2, 20000) || (proc_fail(p, "with the clock %s: %s", clock != NULL ? clock : "of the machine", p->cluster.error), false));
}

/* Who is ahead knows it once pings were answered, and says why it takes no writes. */
static bool is_ahead(struct proc *p)
{
    char text[512] = "", sql[64];
    static int tries;
    for (double until = now_seconds() + 20; now_seconds() < until; pause_ms(20)) {
        snprintf(sql, sizeof sql, "CREATE TABLE early_%d (id INTEGER)", ++tries);
        if (!cluster_ask(p->cluster.node_url[2], sql, text, sizeof text) && strstr(text, "ahead of the median") != NULL)
            return true;
    }
    proc_fail(p, "node 2, whose clock is ahead, takes writes: %s", text);
    return false;
}

static void nothing(struct wires *w)
{
    (void)w; /* the fault is none of theirs */
}

static const struct fault faults[] = {
    {"150 ms between all nodes", far_apart, false, 30, NULL},
    {"5 % of the packets lost", lossy, false, 60, NULL},
    {"clients far away, 2 % lost", clients_far, true, 30, NULL},
    {"cut one way", one_way, true, 15, NULL},
    {"two halves", halves, true, 15, NULL},
    {"three parts", three_parts, true, 15, NULL},
    {"a chain", chain, false, 30, NULL},
    {"1 Mbit/s to node 3", narrow, true, 30, NULL},
    {"node 2's clock 3 s ahead", nothing, false, 15, "+3s"}, /* it commits nothing */
    {"node 2's clock an hour behind", nothing, false, 15, "-1h"},
};
#define FAULTS (sizeof faults / sizeof faults[0])

static void heal(struct wires *w)
{
    for (int a = 0; a < WIRES_HOSTS; a++)
        for (int b = 0; b < WIRES_HOSTS; b++)
            wires_set(w, a, b, &well);
}

static void run_fault(struct proc *p, struct wires *w, const struct fault *f, double seconds, struct proc_writer *writers)
{
    static atomic_bool stop;
    uint64_t before[CLUSTER_NODES];
    double took = 0, slowest = 0;
    uint64_t written = 0, carried = w->carried, lost = w->lost;
    f->make(w);
    if (f->clock != NULL && !set_clock(p, f->clock))
        return;
    unsigned mute = f->clock != NULL && f->clock[0] == '+' ? 1u << 2 : 0;
    if (mute != 0 && !is_ahead(p))
        return;
    stop = false;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        before[k] = writers[k].acknowledged;
        writers[k].slowest_ms = 0;
        writers[k].stop = &stop;
        if ((mute >> k & 1) == 0 && !proc_continue_writer(&writers[k]))
            return;
    }
    for (double until = now_seconds() + seconds; now_seconds() < until;)
        pause_ms(20);
    stop = true;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        proc_join_writer(&writers[k]);
        if (writers[k].acknowledged == before[k] && (mute >> k & 1) == 0)
            proc_fail(p, "%s: the writer on node %d wrote nothing", f->name, k);
        written += writers[k].acknowledged - before[k];
        slowest = writers[k].slowest_ms > slowest ? writers[k].slowest_ms : slowest;
    }
    if (f->heal)
        heal(w);
    if (!proc_wait_equal(p, 15, f->equal_s, &took))
        proc_fail(p, "%s: no equal nodes", f->name);
    heal(w);
    if (f->clock != NULL && (!set_clock(p, NULL) || !proc_wait_equal(p, 15, f->equal_s, &took)))
        return;
    for (int k = 0; k < CLUSTER_NODES; k++)
        proc_check_node(p, k, writers, CLUSTER_NODES);
    printf("  %-30s %6llu writes, the slowest %.0f ms; equal %.2f s after the last%s; %llu packets, %llu lost\n", f->name, (unsigned long long)written, slowest, took,
           f->heal ? " and the cure" : "", (unsigned long long)(w->carried - carried), (unsigned long long)(w->lost - lost));
    fflush(stdout);
}

/* ---- a node that comes back over a narrow wire ---- */

#define AWAY_ROWS 40
#define AWAY_BYTES 15000

static bool is_down(struct proc *p, int at, int of)
{
    char text[2048], line[32];
    snprintf(line, sizeof line, "%d|%s", of, wires_address(of));
    const char *found = cluster_ask(p->cluster.node_url[at], "SHOW PEERS", text, sizeof text) ? strstr(text, line) : NULL;
    const char *link = found != NULL ? strchr(found + strlen(line), '|') : NULL;
    return link != NULL && strncmp(link, "|down|", 6) == 0;
}

/* Node 3 is cut off, node 0 writes so many rows of so many bytes, and the wires to node 3 are narrow from then on. */
static bool write_while_away(struct proc *p, struct wires *w, int round, const char *value)
{
    char sql[256], text[512];
    for (int k = 0; k < 3; k++)
        cut_both(w, k, 3);
    for (double until = now_seconds() + 10; !is_down(p, 0, 3); pause_ms(20))
        if (now_seconds() > until) {
            proc_fail(p, "node 0 has a link with node 3, whose wires are cut");
            return false;
        }
    for (int i = 0; i < AWAY_ROWS; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO away VALUES (%d, %s)", round * 1000 + i, value);
        if (!cluster_ask(p->cluster.node_url[0], sql, text, sizeof text)) {
            proc_fail(p, "a row that node 3 lacks: %s", text);
            return false;
        }
    }
    narrow(w);
    return true;
}

static long figure(struct proc *p, int slot, const char *name)
{
    char text[8192], what[64];
    if (!cluster_ask(p->cluster.node_url[slot], "SHOW STATUS", text, sizeof text))
        return -1;
    snprintf(what, sizeof what, "\n%s|", name);
    const char *at = strstr(text, what);
    return at != NULL ? strtol(at + strlen(what), NULL, 10) : -1;
}

static long rows_away(struct proc *p, int slot)
{
    char text[512];
    return cluster_ask(p->cluster.node_url[slot], "SELECT count(*) FROM away", text, sizeof text) ? strtol(text, NULL, 10) : -1;
}

/* While node 3 takes 600 kB of noise at 1 Mbit/s, what it writes itself is acknowledged by all others at once: acknowledgements and fresh deltas overtake what it catches up on, and
 * do not wait behind what was handed to the system for seconds. Then the same of text: it comes compressed, in less time than the wire takes for its bytes. */
static void narrow_catch_up(struct proc *p, struct wires *w)
{
    double took = 0, slowest = 0;
    char text[512], sql[256];
    long before = 0, after = 0;
    int during = 0;
    if (!proc_exec(p, p->cluster.node_url[0], "CREATE TABLE away (id INTEGER PRIMARY KEY, v BLOB)") || !proc_wait_equal(p, 15, 30, &took))
        return;
    snprintf(sql, sizeof sql, "randomblob(%d)", AWAY_BYTES);
    if (!write_while_away(p, w, 1, sql))
        return;
    double began = now_seconds();
    for (int i = 0; now_seconds() < began + 20 && rows_away(p, 3) < AWAY_ROWS; i++) {
        double asked = now_seconds();
        snprintf(sql, sizeof sql, "SET commit_acks = 'all'; INSERT INTO away VALUES (%d, NULL)", 9000 + i);
        bool ok = cluster_ask(p->cluster.node_url[3], sql, text, sizeof text) || strstr(text, "stands") != NULL;
        double ms = (now_seconds() - asked) * 1e3;
        if (!ok)
            proc_fail(p, "a commit of node 3 while it catches up: %s", text);
        if (rows_away(p, 3) < AWAY_ROWS && asked > began + 1.5) { /* links are made anew before */
            slowest = ms > slowest ? ms : slowest;
            during++;
        }
        pause_ms(100);
    }
    if (!proc_wait_equal(p, 15, 40, &took))
        proc_fail(p, "node 3 did not catch up over its narrow wire");
    double noise_s = now_seconds() - began;
    if (during < 2 || slowest > 1500)
        proc_fail(p, "over a narrow wire, while it caught up for %.1f s, %d commits of node 3 were seen, the slowest of which waited %.0f ms for all others", noise_s, during, slowest);
    heal(w);
    for (int k = 0; k < 3; k++)
        before += figure(p, k, "compressed_bytes_before");
    snprintf(sql, sizeof sql, "CAST(substr(replace(hex(zeroblob(%d)), '00', 'some text; '), 1, %d) AS BLOB)", AWAY_BYTES / 11 + 1, AWAY_BYTES);
    if (!write_while_away(p, w, 2, sql))
        return;
    began = now_seconds();
    if (!proc_wait_equal(p, 15, 40, &took))
        proc_fail(p, "node 3 did not catch up over its narrow wire");
    double text_s = now_seconds() - began;
    for (int k = 0; k < 3; k++)
        after += figure(p, k, "compressed_bytes_before");
    if (after <= before)
        proc_fail(p, "nothing was compressed on a link of 1 Mbit/s");
    heal(w);
    printf("  back over 1 Mbit/s: %d kB of noise in %.1f s, own commits meanwhile acknowledged by all within %.0f ms; as much text in %.1f s, %ld kB of it compressed\n",
           AWAY_ROWS * AWAY_BYTES / 1000, noise_s, slowest, text_s, (after - before) / 1000);
}

static void enter(const void *arg, int slot)
{
    if (!wires_enter(arg, slot))
        _exit(126);
    if (slot == 2 && clock_of_2 != NULL &&
        (setenv("LD_PRELOAD", faketime, 1) != 0 || setenv("FAKETIME", clock_of_2, 1) != 0 || setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1", 1) != 0))
        _exit(126);
}

/* ---- --latency: what far nodes cost a commit that waits for none of them ---- */

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Of `count` commits on node 0, 2 ms apart. False: one failed. */
static bool commit_times(struct proc *p, int round, size_t count, double *p50, double *p99)
{
    double *ms = calloc(count, sizeof *ms);
    quartet_db *db = NULL;
    quartet_stmt *s = NULL;
    int rc = ms == NULL ? QUARTET_NOMEM : quartet_open(p->cluster.node_url[0], &db);
    if (rc == QUARTET_OK)
        rc = quartet_prepare(db, "INSERT INTO latency VALUES (?)", -1, &s, NULL);
    for (size_t i = 0; rc == QUARTET_OK && i < count; i++) {
        double from = now_seconds();
        rc = quartet_bind_int64(s, 1, (int64_t)round * 1000000 + (int64_t)i);
        if (rc == QUARTET_OK && quartet_step(s) != QUARTET_DONE)
            rc = quartet_errcode(db);
        ms[i] = (now_seconds() - from) * 1e3;
        if (rc == QUARTET_OK)
            rc = quartet_reset(s);
        pause_ms(2);
    }
    if (rc != QUARTET_OK)
        proc_fail(p, "a commit: %s", db != NULL ? quartet_errmsg(db) : "out of memory");
    else
        qsort(ms, count, sizeof *ms, compare);
    if (rc == QUARTET_OK) {
        *p50 = ms[count / 2];
        *p99 = ms[count * 99 / 100];
    }
    (void)quartet_finalize(s); /* a failure was told */
    (void)quartet_close(db);   /* likewise */
    free(ms);
    return rc == QUARTET_OK;
}

/* Near and far in turns, so that what else the machine does meets both. */
static void measure_latency(struct proc *p, struct wires *w, int turns)
{
    double near99 = 0, far99 = 0, ratio[64];
    if (turns > 64)
        turns = 64;
    if (!proc_exec(p, p->cluster.node_url[0], "CREATE TABLE latency (id INTEGER PRIMARY KEY)"))
        return;
    for (int i = 0; i < turns && p->failures == 0; i++) {
        double p50[2], p99[2];
        heal(w);
        if (!commit_times(p, 2 * i, 500, &p50[0], &p99[0]))
            return;
        wires_between_nodes(w, &(struct wire){.delay_ms = 100}); /* each way */
        if (!commit_times(p, 2 * i + 1, 500, &p50[1], &p99[1]))
            return;
        ratio[i] = p99[1] / p99[0];
        near99 += p99[0] / turns;
        far99 += p99[1] / turns;
        printf("  {\"links_ms\": [0, 200], \"p50_ms\": [%.3f, %.3f], \"p99_ms\": [%.3f, %.3f]}\n", p50[0], p50[1], p99[0], p99[1]);
        fflush(stdout);
    }
    heal(w);
    qsort(ratio, (size_t)turns, sizeof *ratio, compare);
    printf("  {\"name\": \"latency_far\", \"p99_near_ms\": %.3f, \"p99_far_ms\": %.3f, \"ratio_median\": %.3f}\n", near99, far99, ratio[turns / 2]);
}

int main(int argc, char **argv)
{
    static struct proc p;
    static struct wires w;
    static struct proc_writer writers[CLUSTER_NODES];
    double seconds = 1.5;
    long rounds = 1, latency = 0;
    uint64_t seed = 1 + (uint64_t)(unsigned)getpid();
    char why[256];
    for (int i = 1; i + 1 < argc; i += 2) {
        seconds = strcmp(argv[i], "--seconds") == 0 ? strtod(argv[i + 1], NULL) : seconds;
        latency = strcmp(argv[i], "--latency") == 0 ? strtol(argv[i + 1], NULL, 10) : latency;
        rounds = strcmp(argv[i], "--rounds") == 0 ? strtol(argv[i + 1], NULL, 10) : rounds;
        seed = strcmp(argv[i], "--seed") == 0 ? strtoull(argv[i + 1], NULL, 10) : seed;
    }
    if (!wires_open(&w, seed, why, sizeof why)) {
        printf("netns: left out: %s; the simulator cuts, delays and loses messages, too\n", why);
        return 0;
    }
    struct cluster_hosts hosts = {.enter = enter, .arg = &w};
    for (int k = 0; k < CLUSTER_NODES; k++)
        hosts.address[k] = wires_address(k);
    if (!wires_enter(&w, WIRES_CLIENTS)) {
        printf("FAILED: the clients' namespace: %s\n", strerror(errno));
        return 1;
    }
    proc_begin(&p, "netns", seed, &hosts);
    if (proc_start_all(&p) && proc_make_tables(&p, p.cluster.node_url[0])) {
        double took;
        proc_wait_equal(&p, 15, 20, &took);
        if (latency > 0)
            measure_latency(&p, &w, (int)latency);
        static atomic_bool stop = true; /* they are opened, and write nothing yet */
        for (int k = 0; k < CLUSTER_NODES; k++)
            if (proc_start_writer(&p, &writers[k], k, &stop))
                proc_join_writer(&writers[k]);
        bool clocks = access(faketime, R_OK) == 0;
        if (!clocks)
            printf("  no libfaketime here: the wrong clocks are left out\n");
        for (long i = 0; latency == 0 && i < rounds * (long)FAULTS && p.failures == 0; i++) {
            const struct fault *f = &faults[rounds == 1 ? (uint64_t)i : proc_random(&p) % FAULTS];
            if (clocks || f->clock == NULL)
                run_fault(&p, &w, f, seconds, writers);
        }
        if (p.failures == 0)
            narrow_catch_up(&p, &w);
    }
    for (int k = 0; k < CLUSTER_NODES; k++)
        proc_free_writer(&writers[k]);
    int rc = proc_end(&p, "netns: nothing lost, nothing half there, no write failed");
    wires_close(&w);
    return rc;
}
