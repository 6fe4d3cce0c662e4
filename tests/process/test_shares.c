/* test_shares.c - a stock of 1,000 with CHECK (n >= 0), sold one by one by clients of all nodes at once until nothing is left: exactly 1,000 are sold. Meanwhile one node is
 * killed: what it held cannot be sold until it is back, and then can. */
#include "proc.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOCK 1000
#define VICTIM 2
#define KILL_AFTER 250 /* sold */
#define STUCK 3        /* refusals, one after the other, that end a seller's first round */

struct seller {
    struct proc *proc;
    int slot, round;
    pthread_t thread;
    bool started;
    uint64_t sold, unknown, refused, lost; /* refused: no share came; lost: the node was down */
    double longest;
    char why[512];                         /* the last refusal */
    _Atomic uint64_t *total;
};

/* One pen, with a line in `sales`, so that the tables tell what was sold. */
static int sell(quartet_db *db)
{
    int rc = quartet_exec(db, "BEGIN", NULL, NULL, NULL);
    if (rc == QUARTET_OK)
        rc = quartet_exec(db, "UPDATE stock SET n = n - 1 WHERE item = 'pen'", NULL, NULL, NULL);
    if (rc == QUARTET_OK)
        rc = quartet_exec(db, "INSERT INTO sales VALUES (uuid())", NULL, NULL, NULL);
    return rc == QUARTET_OK ? quartet_exec(db, "COMMIT", NULL, NULL, NULL) : rc;
}

static void *run_seller(void *arg)
{
    struct seller *s = arg;
    struct proc *p = s->proc;
    quartet_db *db = NULL;
    uint64_t stuck = 0;
    if (quartet_open(p->cluster.node_url[s->slot], &db) != QUARTET_OK || quartet_exec(db, "SET share_timeout = 700", NULL, NULL, NULL) != QUARTET_OK) {
        proc_fail(p, "node %d: %s", s->slot, db != NULL ? quartet_errmsg(db) : "out of memory");
        (void)quartet_close(db); /* the failure was told */
        return NULL;
    }
    double until = now_seconds() + 60;
    while (stuck < STUCK && now_seconds() < until) {
        double began = now_seconds();
        int rc = sell(db);
        if (rc == QUARTET_OK) {
            s->sold++;
            (*s->total)++;
            stuck = 0;
            s->longest = now_seconds() - began > s->longest ? now_seconds() - began : s->longest;
            continue;
        }
        if (rc == QUARTET_UNAVAILABLE) {
            snprintf(s->why, sizeof s->why, "%s", quartet_errmsg(db));
            s->refused++;
            stuck++;
        } else if (rc == QUARTET_UNKNOWN_OUTCOME) {
            s->unknown++;
        }
        if (rc == QUARTET_CONSTRAINT)
            break; /* nothing is left */
        if (p->down[s->slot]) {
            s->lost++;
            break;
        }
        if (rc != QUARTET_UNAVAILABLE && rc != QUARTET_SERIALIZATION && rc != QUARTET_UNKNOWN_OUTCOME) {
            proc_fail(p, "node %d: %s", s->slot, quartet_errmsg(db));
            break;
        }
        (void)quartet_exec(db, "ROLLBACK", NULL, NULL, NULL); /* COMMIT may have ended it already */
    }
    (void)quartet_close(db); /* it only wrote transactions of its own */
    return NULL;
}

static void start_round(struct proc *p, struct seller *s, _Atomic uint64_t *total)
{
    for (int k = 0; k < CLUSTER_NODES; k++) {
        s[k].proc = p;
        s[k].slot = k;
        s[k].total = total;
        s[k].started = pthread_create(&s[k].thread, NULL, run_seller, &s[k]) == 0;
        if (!s[k].started)
            proc_fail(p, "no thread");
    }
}

static void end_round(struct seller *s)
{
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (s[k].started && pthread_join(s[k].thread, NULL) == 0)
            s[k].started = false;
}

static long long number(struct proc *p, int slot, const char *sql)
{
    char out[512];
    if (!cluster_ask(p->cluster.node_url[slot], sql, out, sizeof out)) {
        proc_fail(p, "node %d: %s: %s", slot, sql, out);
        return -1;
    }
    return strtoll(out, NULL, 10);
}

static void run(struct proc *p)
{
    static struct seller first[CLUSTER_NODES], second[CLUSTER_NODES];
    static _Atomic uint64_t total;
    double took = 0;
    if (!proc_start_all(p) ||
        !proc_exec(p, p->cluster.node_url[0], "CREATE TABLE stock (item TEXT PRIMARY KEY, n INTEGER COUNTER CHECK (n >= 0)); CREATE TABLE sales (id UUID PRIMARY KEY); "
                                              "INSERT INTO stock VALUES ('pen', 1000)") ||
        !proc_wait_equal(p, 15, 10, &took))
        return;
    double began = now_seconds();
    start_round(p, first, &total);
    while (total < KILL_AFTER && now_seconds() - began < 30)
        pause_ms(1);
    proc_signal(p, VICTIM, SIGKILL);
    end_round(first);
    printf("  %llu sold in %.1f s, until the others had no more of their own; one sale took %.0f ms at most\n", (unsigned long long)total, now_seconds() - began,
           1000 * (first[0].longest > first[1].longest ? first[0].longest : first[1].longest));
    long long left = number(p, 0, "SELECT n FROM stock");
    if (total < KILL_AFTER)
        proc_fail(p, "only %llu were sold before the node was killed", (unsigned long long)total);
    if (left <= 0)
        proc_fail(p, "the killed node held nothing: nothing was tested");
    if (strstr(first[0].why, "no answer from node 2") == NULL)
        proc_fail(p, "node 0 does not say who is away: %s", first[0].why);
    if (!proc_start(p, VICTIM) || !cluster_wait_ready(&p->cluster, VICTIM, 20000))
        proc_fail(p, "%s", p->cluster.error);
    proc_wait_equal(p, 15, 20, &took);
    printf("  %lld were the killed node's; it is back\n", left);
    start_round(p, second, &total);
    end_round(second);
    proc_wait_equal(p, 15, 20, &took);
    uint64_t unknown = 0;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        unknown += first[k].unknown + second[k].unknown + first[k].lost + second[k].lost;
        long long n = number(p, k, "SELECT n FROM stock"), sold = number(p, k, "SELECT count(*) FROM sales");
        if (n != 0 || sold != STOCK)
            proc_fail(p, "node %d shows %lld left and %lld sold, not 0 and %d (%s)", k, n, sold, STOCK, second[k].why);
        printf("  node %d sold %llu, refused %llu\n", k, (unsigned long long)(first[k].sold + second[k].sold), (unsigned long long)(first[k].refused + second[k].refused));
    }
    if (total > STOCK || total + unknown < STOCK)
        proc_fail(p, "%llu sales were acknowledged, of %llu the outcome is open, and %d pens are gone", (unsigned long long)total, (unsigned long long)unknown, STOCK);
}

int main(void)
{
    static struct proc p; /* large; one */
    const char *seed = getenv("QUARTET_SEED");
    proc_begin(&p, "shares", seed != NULL ? strtoull(seed, NULL, 10) : 1 + (uint64_t)(unsigned)getpid(), NULL);
    run(&p);
    return proc_end(&p, "shares: 1,000 pens are sold once each, by all nodes, one of which is killed");
}
