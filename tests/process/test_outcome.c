/* test_outcome.c - the answer to a commit is lost again and again: nodes are killed and paused under writers that count up, each waiting for its answer. What a writer was told must
 * be so: acknowledged is there once, failed is not there, and of each transaction whose outcome was unknown somebody can tell once all nodes are back. So at the end every counter
 * shows exactly what was told. A client that ran again what had been committed would show more, one that took a lost answer for a failure would be told less than is there. */
#include "proc.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITERS 6
#define DOUBTS_MAX 1000
#define DOWN_MS 150      /* a killed node stays so; a paused one longer than its clients wait */
#define PAUSED_MS 900
#define TELL_WITHIN_MS 5000

struct counter { /* one writer's, which no other writes */
    struct proc *proc;
    pthread_t thread;
    bool started;
    int id;
    atomic_bool *stop;
    char url[8192];
    int64_t told;                /* additions that were acknowledged */
    uint64_t rolled_back, settled, run_again;
    char doubts[DOUBTS_MAX][80]; /* transactions of unknown outcome */
    int64_t doubted[DOUBTS_MAX]; /* and what each adds */
    int doubt_count;
    int violations;
};

static void on_notice(void *arg, const char *text)
{
    struct counter *w = arg;
    w->settled += strstr(text, "did take effect") != NULL;
    w->run_again += strstr(text, "did not take effect") != NULL;
}

static int run_one(quartet_stmt *s)
{
    int rc;
    while ((rc = quartet_step(s)) == QUARTET_ROW)
        continue;
    int reset = quartet_reset(s);
    return rc == QUARTET_DONE ? reset : rc;
}

/* Adds `by` as a statement alone, or as two of a transaction. */
static int add(quartet_db *db, quartet_stmt *alone, quartet_stmt *first, int64_t by, bool transaction)
{
    if (!transaction) {
        int rc = quartet_bind_int64(alone, 1, by);
        return rc == QUARTET_OK ? run_one(alone) : rc;
    }
    int rc = quartet_exec(db, "BEGIN", NULL, NULL, NULL);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(first, 1, by - 1);
    if (rc == QUARTET_OK)
        rc = run_one(first);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(first, 1, 1);
    if (rc == QUARTET_OK)
        rc = run_one(first);
    return rc == QUARTET_OK ? quartet_exec(db, "COMMIT", NULL, NULL, NULL) : rc;
}

static void note(struct counter *w, quartet_db *db, int rc, int64_t by)
{
    if (rc == QUARTET_OK) {
        w->told += by;
    } else if (rc == QUARTET_UNKNOWN_OUTCOME && quartet_unknown_transaction(db)[0] != '\0' && w->doubt_count < DOUBTS_MAX) {
        snprintf(w->doubts[w->doubt_count], sizeof w->doubts[0], "%s", quartet_unknown_transaction(db));
        w->doubted[w->doubt_count++] = by;
        if (strcmp(quartet_sqlstate(db), "08007") != 0)
            w->violations++;
    } else if (rc == QUARTET_NET || rc == QUARTET_SERIALIZATION || rc == QUARTET_UNAVAILABLE) { /* the last: what this session has seen, only a node that is away may have */
        w->rolled_back++;
    } else {
        w->violations++;
        proc_fail(w->proc, "writer %d: error %d: %s", w->id, rc, quartet_errmsg(db));
    }
}

static void *write_on(void *arg)
{
    struct counter *w = arg;
    quartet_db *db = NULL;
    quartet_stmt *alone = NULL, *first = NULL;
    char sql[128];
    uint64_t state = w->proc->seed * 31 + (uint64_t)w->id;
    snprintf(sql, sizeof sql, "UPDATE tally SET n = n + ? WHERE id = %d", w->id);
    bool ok = quartet_open(w->url, &db) == QUARTET_OK && quartet_prepare(db, sql, -1, &alone, NULL) == QUARTET_OK && quartet_prepare(db, sql, -1, &first, NULL) == QUARTET_OK;
    if (!ok)
        proc_fail(w->proc, "writer %d cannot begin: %s", w->id, db != NULL ? quartet_errmsg(db) : "out of memory");
    else
        quartet_on_notice(db, on_notice, w);
    while (ok && !*w->stop && w->violations < 5) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        int64_t by = 2 + (int64_t)(state >> 60);
        note(w, db, add(db, alone, first, by, w->id % 2 == 1), by);
        if (quartet_in_transaction(db))
            (void)quartet_exec(db, "ROLLBACK", NULL, NULL, NULL); /* the next BEGIN would tell */
    }
    (void)quartet_finalize(alone); /* repeats an error that was counted */
    (void)quartet_finalize(first); /* likewise */
    (void)quartet_close(db);       /* all was told */
    return NULL;
}

/* Which becomes which where the node is gone for a moment. */
static bool disturb(struct proc *p, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        int slot = (int)(proc_random(p) % CLUSTER_NODES);
        bool kill_it = proc_random(p) % 4 != 0;
        pause_ms(20 + (int)(proc_random(p) % 60));
        proc_signal(p, slot, kill_it ? SIGKILL : SIGSTOP);
        pause_ms(kill_it ? (int)(proc_random(p) % DOWN_MS) : PAUSED_MS);
        if (!kill_it)
            proc_signal(p, slot, SIGCONT);
        else if (!proc_start(p, slot))
            return false;
    }
    return true;
}

/* Everybody is back: each doubt must be settled. */
static void settle(struct proc *p, struct counter *w, int *committed, int *not)
{
    quartet_db *db = NULL;
    if (w->doubt_count > 0 && quartet_open(w->url, &db) != QUARTET_OK)
        proc_fail(p, "writer %d cannot ask: %s", w->id, db != NULL ? quartet_errmsg(db) : "out of memory");
    for (int i = 0; i < w->doubt_count; i++) {
        int outcome = QUARTET_OUTCOME_UNKNOWN, rc = quartet_outcome(db, w->doubts[i], TELL_WITHIN_MS, &outcome);
        if (rc != QUARTET_OK || outcome == QUARTET_OUTCOME_UNKNOWN)
            proc_fail(p, "writer %d: nobody can tell about %s (%s)", w->id, w->doubts[i], quartet_errmsg(db));
        *committed += outcome == QUARTET_COMMITTED;
        *not += outcome == QUARTET_NOT_COMMITTED;
        w->told += outcome == QUARTET_COMMITTED ? w->doubted[i] : 0;
    }
    (void)quartet_close(db); /* only asked */
}

static void run(struct proc *p, int rounds)
{
    static struct counter writers[WRITERS]; /* one caller */
    atomic_bool stop = false;
    double took = 0;
    if (!proc_start_all(p) ||
        !proc_exec(p, p->cluster.node_url[0], "CREATE TABLE tally (id INTEGER PRIMARY KEY, n INTEGER COUNTER DEFAULT 0); INSERT INTO tally (id) VALUES (0), (1), (2), (3), (4), (5)") ||
        !proc_wait_equal(p, 15, 10, &took))
        return;
    for (int k = 0; k < WRITERS; k++) {
        writers[k].proc = p;
        writers[k].id = k;
        writers[k].stop = &stop;
        cluster_url_from(&p->cluster, k % CLUSTER_NODES, writers[k].url, sizeof writers[k].url);
        writers[k].started = pthread_create(&writers[k].thread, NULL, write_on, &writers[k]) == 0;
    }
    if (!disturb(p, rounds))
        proc_fail(p, "a node did not start again");
    stop = true;
    int committed = 0, not = 0, doubts = 0;
    uint64_t settled = 0, run_again = 0, rolled_back = 0;
    for (int k = 0; k < WRITERS; k++)
        if (writers[k].started)
            pthread_join(writers[k].thread, NULL);
    for (int k = 0; k < WRITERS; k++) {
        settle(p, &writers[k], &committed, &not);
        doubts += writers[k].doubt_count;
        settled += writers[k].settled;
        run_again += writers[k].run_again;
        rolled_back += writers[k].rolled_back;
    }
    if (!proc_wait_equal(p, 15, 10, &took))
        return;
    for (int node = 0; node < CLUSTER_NODES; node++)
        for (int k = 0; k < WRITERS; k++) {
            char sql[64], text[64];
            snprintf(sql, sizeof sql, "SELECT n FROM tally WHERE id = %d", k);
            if (!cluster_ask(p->cluster.node_url[node], sql, text, sizeof text) || strtoll(text, NULL, 10) != writers[k].told)
                proc_fail(p, "node %d: counter %d shows %s, its writer was told %lld", node, k, text, (long long)writers[k].told);
        }
    printf("  %d rounds: %llu lost answers were found to be commits, %llu not, %llu transactions rolled back; %d unknown: of them %d commits, %d not\n", rounds, (unsigned long long)settled,
           (unsigned long long)run_again, (unsigned long long)rolled_back, doubts, committed, not);
    if (settled + (uint64_t)committed == 0 || run_again + (uint64_t)not == 0)
        proc_fail(p, "no answer was lost of both kinds: this run shows nothing");
}

int main(int argc, char **argv)
{
    static struct proc p; /* large; one */
    int rounds = 24;
    uint64_t seed_value = 1 + (uint64_t)(unsigned)getpid();
    const char *seed = getenv("QUARTET_SEED");
    if (seed != NULL)
        seed_value = strtoull(seed, NULL, 10);
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--rounds") == 0)
            rounds = (int)strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            seed_value = strtoull(argv[i + 1], NULL, 10);
    proc_begin(&p, "outcome", seed_value, NULL);
    run(&p, rounds);
    return proc_end(&p, "outcome: what was told is so, once");
}
