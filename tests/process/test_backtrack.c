/* test_backtrack.c - four nodes under write load; on one of them a table is set back to what it was before somebody's mistake. What is written elsewhere
 * meanwhile and afterwards is not lost, all nodes become equal, AS OF tells the same on all of them, and another BACKTRACK undoes it. */
#include "proc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS 300
#define NEW_ID 1000000        /* ids of new rows: this * (slot + 1) + n */
#define LOAD_ROWS 60          /* of each writer before and after */
#define LOAD_DEADLINE_S 60.0
#define SHOWN "SELECT count(*), sum(id), sum(n * id), sum(id * length(v)) FROM b %s %s WHERE id BETWEEN 2 AND 300"

struct writer {
    struct proc *p;
    int slot;
    pthread_t thread;
    bool started;
    atomic_bool *stop;
    _Atomic uint64_t acknowledged;
};

static void *write_rows(void *arg)
{
    struct writer *w = arg;
    quartet_db *db = NULL;
    char sql[128];
    int rc = quartet_open(w->p->cluster.node_url[w->slot], &db);
    while (rc == QUARTET_OK && !atomic_load(w->stop)) {
        uint64_t n = atomic_load(&w->acknowledged);
        snprintf(sql, sizeof sql, "INSERT INTO b VALUES (%llu, 'new', 0)", (unsigned long long)NEW_ID * (unsigned)(w->slot + 1) + n);
        rc = quartet_exec(db, sql, NULL, NULL, NULL);
        if (rc == QUARTET_OK)
            rc = quartet_exec(db, "UPDATE b SET n = n + 1 WHERE id = 1", NULL, NULL, NULL);
        if (rc == QUARTET_OK)
            atomic_fetch_add(&w->acknowledged, 1);
    }
    if (rc != QUARTET_OK)
        proc_fail(w->p, "writer %d: %s", w->slot, db != NULL ? quartet_errmsg(db) : "out of memory");
    (void)quartet_close(db); /* a failure was told */
    return NULL;
}

/* Wait until every writer has done so many rows more than `from` tells. */
static bool wait_rows(struct proc *p, struct writer *w, const uint64_t *from, uint64_t more)
{
    double end = proc_now() + LOAD_DEADLINE_S;
    for (int k = 0; k < CLUSTER_NODES; k++)
        while (atomic_load(&w[k].acknowledged) < from[k] + more) {
            if (proc_now() > end || p->failures > 0) {
                proc_fail(p, "writer %d did not get on", k);
                return false;
            }
            proc_sleep_ms(2);
        }
    return true;
}

static bool shown(struct proc *p, int slot, const char *stamp, char *out, size_t n)
{
    char sql[512];
    snprintf(sql, sizeof sql, SHOWN, stamp != NULL ? "AS OF STAMP" : "", stamp != NULL ? stamp : "");
    if (proc_ask(p, p->cluster.node_url[slot], sql, out, n))
        return true;
    proc_fail(p, "node %d: %s", slot, out);
    return false;
}

static void expect_everywhere(struct proc *p, const char *stamp, const char *want, const char *what)
{
    char got[256];
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (shown(p, k, stamp, got, sizeof got) && strcmp(got, want) != 0)
            proc_fail(p, "node %d, %s: %s, wanted %s", k, what, got, want);
}

/* The rows that writers began after the BACKTRACK had returned are there, and their additions counted. */
static void check_new(struct proc *p, struct writer *w, const uint64_t *from)
{
    char sql[256], got[256], want[64];
    uint64_t after = 0, all = 0;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        uint64_t to = atomic_load(&w[k].acknowledged), base = (uint64_t)NEW_ID * (unsigned)(k + 1);
        uint64_t first = from[k] + 1; /* the one that was under way may have been seen by it */
        after += to - first;
        all += to;
        snprintf(sql, sizeof sql, "SELECT count(*) FROM b WHERE id >= %llu AND id < %llu", (unsigned long long)(base + first),
                 (unsigned long long)(base + to));
        snprintf(want, sizeof want, "%llu", (unsigned long long)(to - first));
        for (int node = 0; node < CLUSTER_NODES; node++)
            if (!proc_ask(p, p->cluster.node_url[node], sql, got, sizeof got) || strcmp(got, want) != 0)
                proc_fail(p, "node %d has %s of %s rows that writer %d wrote after the BACKTRACK", node, got, want, k);
    }
    if (!proc_ask(p, p->cluster.node_url[3], "SELECT n FROM b WHERE id = 1", got, sizeof got))
        proc_fail(p, "%s", got);
    uint64_t n = strtoull(got, NULL, 10);
    if (n < after || n > all)
        proc_fail(p, "the counter shows %s, written were %llu after the BACKTRACK and %llu in all", got, (unsigned long long)after, (unsigned long long)all);
    printf("  %llu rows written after the BACKTRACK, %llu in all, the counter shows %s\n", (unsigned long long)after, (unsigned long long)all, got);
}

static bool prepare(struct proc *p, char *before, char *s1, char *spoilt, char *s2)
{
    double took;
    char sql[256];
    snprintf(sql, sizeof sql, "INSERT INTO b SELECT value, 'good ' || value, CASE WHEN value = 1 THEN 0 ELSE value END FROM generate_series(1, %d)", ROWS);
    return proc_start_all(p) && proc_exec(p, p->cluster.node_url[0], "CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT, n INTEGER COUNTER)") &&
           proc_exec(p, p->cluster.node_url[0], sql) && proc_wait_equal(p, 15, 10, &took) && shown(p, 0, NULL, before, 256) &&
           proc_ask(p, p->cluster.node_url[0], "SELECT quartet_stamp()", s1, 64) &&
           proc_exec(p, p->cluster.node_url[1], "UPDATE b SET v = 'spoilt', n = n + 1000 WHERE id > 1 AND id % 2 = 0") &&
           proc_exec(p, p->cluster.node_url[2], "DELETE FROM b WHERE id > 1 AND id % 3 = 0") && proc_wait_equal(p, 15, 10, &took) &&
           shown(p, 0, NULL, spoilt, 256) && proc_ask(p, p->cluster.node_url[0], "SELECT quartet_stamp()", s2, 64);
}

static void run(struct proc *p)
{
    static struct writer writers[CLUSTER_NODES]; /* one caller */
    char before[256], spoilt[256], s1[64], s2[64], sql[128];
    atomic_bool stop = false;
    uint64_t zero[CLUSTER_NODES] = {0}, from[CLUSTER_NODES];
    double took = 0;
    if (!prepare(p, before, s1, spoilt, s2))
        return;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        writers[k] = (struct writer){.p = p, .slot = k, .stop = &stop};
        writers[k].started = pthread_create(&writers[k].thread, NULL, write_rows, &writers[k]) == 0;
    }
    if (wait_rows(p, writers, zero, LOAD_ROWS)) {
        snprintf(sql, sizeof sql, "BACKTRACK TABLE b TO STAMP %s", s1);
        double begun = proc_now();
        (void)proc_exec(p, p->cluster.node_url[0], sql); /* a failure is counted */
        printf("  BACKTRACK under load took %.0f ms\n", (proc_now() - begun) * 1000);
        for (int k = 0; k < CLUSTER_NODES; k++)
            from[k] = atomic_load(&writers[k].acknowledged);
        (void)wait_rows(p, writers, from, LOAD_ROWS); /* likewise */
    }
    stop = true;
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (writers[k].started)
            (void)pthread_join(writers[k].thread, NULL); /* it cannot fail for a thread that was started and not joined */
    if (p->failures > 0 || !proc_wait_equal(p, 15, 10, &took))
        return;
    expect_everywhere(p, NULL, before, "after the BACKTRACK");
    expect_everywhere(p, s1, before, "as of before the mistake");
    expect_everywhere(p, s2, spoilt, "as of after the mistake");
    check_new(p, writers, from);
    snprintf(sql, sizeof sql, "BACKTRACK TABLE b TO STAMP %s", s2);
    if (!proc_exec(p, p->cluster.node_url[2], sql) || !proc_wait_equal(p, 15, 10, &took))
        return;
    expect_everywhere(p, NULL, spoilt, "after the BACKTRACK was undone");
    expect_everywhere(p, s1, before, "as of before the mistake, in the end");
}

int main(void)
{
    static struct proc p; /* large; one */
    proc_begin(&p, "backtrack", 1 + (uint64_t)(unsigned)getpid());
    run(&p);
    return proc_end(&p, "backtrack: nothing that it had not seen was lost, all nodes equal, and it was undone");
}
