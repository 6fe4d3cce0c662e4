/* test_backtrack.c - four nodes under write load; on one of them a table, then the whole database, is set back to what it was before somebody's mistake. What
 * is written elsewhere meanwhile and afterwards is not lost, all nodes become equal, AS OF tells the same on all of them, and another BACKTRACK undoes it.
 * Of the database: tables were made and a column was added since, the same happens under load, and a transaction that the BACKTRACK saw goes in all its tables,
 * one that it did not see stays in all of them. */
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
    const char *const *sql; /* what a writer does again and again: statements, '#' stands for the new id; up to a NULL */
    pthread_t thread;
    bool started;
    atomic_bool *stop;
    _Atomic uint64_t acknowledged;
};

/* The statement with `with` in the place of each '#'. */
static void fill_in(char *out, size_t n, const char *sql, const char *with)
{
    size_t used = 0;
    for (; *sql != '\0' && used + strlen(with) + 1 < n; sql++)
        if (*sql == '#')
            used += (size_t)snprintf(out + used, n - used, "%s", with);
        else
            out[used++] = *sql;
    out[used] = '\0';
}

static void *write_rows(void *arg)
{
    struct writer *w = arg;
    quartet_db *db = NULL;
    int rc = quartet_open(w->p->cluster.node_url[w->slot], &db);
    while (rc == QUARTET_OK && !atomic_load(w->stop)) {
        char id[32];
        snprintf(id, sizeof id, "%llu", (unsigned long long)NEW_ID * (unsigned)(w->slot + 1) + atomic_load(&w->acknowledged));
        for (int i = 0; rc == QUARTET_OK && w->sql[i] != NULL; i++) {
            char sql[512];
            fill_in(sql, sizeof sql, w->sql[i], id);
            rc = quartet_exec(db, sql, NULL, NULL, NULL);
        }
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
    double end = now_seconds() + LOAD_DEADLINE_S;
    for (int k = 0; k < CLUSTER_NODES; k++)
        while (atomic_load(&w[k].acknowledged) < from[k] + more) {
            if (now_seconds() > end || p->failures > 0) {
                proc_fail(p, "writer %d did not get on", k);
                return false;
            }
            pause_ms(2);
        }
    return true;
}

static bool shown(struct proc *p, int slot, const char *stamp, char *out, size_t n)
{
    char sql[512];
    snprintf(sql, sizeof sql, SHOWN, stamp != NULL ? "AS OF STAMP" : "", stamp != NULL ? stamp : "");
    if (cluster_ask(p->cluster.node_url[slot], sql, out, n))
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
            if (!cluster_ask(p->cluster.node_url[node], sql, got, sizeof got) || strcmp(got, want) != 0)
                proc_fail(p, "node %d has %s of %s rows that writer %d wrote after the BACKTRACK", node, got, want, k);
    }
    if (!cluster_ask(p->cluster.node_url[3], "SELECT n FROM b WHERE id = 1", got, sizeof got))
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
           cluster_ask(p->cluster.node_url[0], "SELECT quartet_stamp()", s1, 64) &&
           proc_exec(p, p->cluster.node_url[1], "UPDATE b SET v = 'spoilt', n = n + 1000 WHERE id > 1 AND id % 2 = 0") &&
           proc_exec(p, p->cluster.node_url[2], "DELETE FROM b WHERE id > 1 AND id % 3 = 0") && proc_wait_equal(p, 15, 10, &took) &&
           shown(p, 0, NULL, spoilt, 256) && cluster_ask(p->cluster.node_url[0], "SELECT quartet_stamp()", s2, 64);
}

/* Write on all nodes; when that is under way, `meanwhile` and the BACKTRACK on node 0, and on with writing. from: what each had written when the BACKTRACK had
 * returned. False: something failed, and was counted. */
static bool backtrack_under_load(struct proc *p, struct writer *writers, const char *const *sql, const char *backtrack, void (*meanwhile)(struct proc *p),
                                 uint64_t *from)
{
    atomic_bool stop = false;
    uint64_t zero[CLUSTER_NODES] = {0};
    double took = 0;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        writers[k] = (struct writer){.p = p, .slot = k, .sql = sql, .stop = &stop};
        writers[k].started = pthread_create(&writers[k].thread, NULL, write_rows, &writers[k]) == 0;
    }
    if (wait_rows(p, writers, zero, LOAD_ROWS)) {
        if (meanwhile != NULL)
            meanwhile(p);
        double begun = now_seconds();
        (void)proc_exec(p, p->cluster.node_url[0], backtrack); /* a failure is counted */
        printf("  %.18s under load took %.0f ms\n", backtrack, (now_seconds() - begun) * 1000);
        for (int k = 0; k < CLUSTER_NODES; k++)
            from[k] = atomic_load(&writers[k].acknowledged);
        (void)wait_rows(p, writers, from, LOAD_ROWS); /* likewise */
    }
    stop = true;
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (writers[k].started)
            (void)pthread_join(writers[k].thread, NULL); /* it cannot fail for a thread that was started and not joined */
    return p->failures == 0 && proc_wait_equal(p, 15, 10, &took);
}

static void run_table(struct proc *p)
{
    static struct writer writers[CLUSTER_NODES]; /* one caller */
    static const char *const load[] = {"INSERT INTO b VALUES (#, 'new', 0)", "UPDATE b SET n = n + 1 WHERE id = 1", NULL};
    char before[256], spoilt[256], s1[64], s2[64], sql[128];
    uint64_t from[CLUSTER_NODES];
    double took = 0;
    if (!prepare(p, before, s1, spoilt, s2))
        return;
    snprintf(sql, sizeof sql, "BACKTRACK TABLE b TO STAMP %s", s1);
    if (!backtrack_under_load(p, writers, load, sql, NULL, from))
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

/* ---- the whole database ---- */

/* What the tables show, each in one line; '#': AS OF, or nothing. New rows of the writers have ids from NEW_ID on, all others lie below. */
static const char *const table_text[] = {
    "SELECT count(*), group_concat(id || ' ' || owner || ' ' || code, ';') FROM (SELECT * FROM acc# WHERE id < 1000000 ORDER BY id)",
    "SELECT count(*), group_concat(id || ' ' || tags, ';') FROM (SELECT * FROM cnt# WHERE id < 1000000 ORDER BY id)",
    "SELECT count(*), group_concat(a || ' ' || b, ';') FROM (SELECT * FROM note# WHERE a < 1000000 ORDER BY a, b)",
};
#define TABLES (sizeof table_text / sizeof *table_text)
#define CONTENT_BYTES 8192 /* of one table */
struct content {
    char text[TABLES][CONTENT_BYTES];
};

static void content_of(struct proc *p, int slot, const char *stamp, struct content *out)
{
    char sql[512], as_of[96] = "";
    if (stamp != NULL)
        snprintf(as_of, sizeof as_of, " AS OF STAMP %s", stamp);
    for (size_t i = 0; i < TABLES; i++) {
        fill_in(sql, sizeof sql, table_text[i], as_of);
        if (!cluster_ask(p->cluster.node_url[slot], sql, out->text[i], CONTENT_BYTES))
            proc_fail(p, "node %d: %s", slot, out->text[i]);
    }
}

static void expect_content(struct proc *p, const char *stamp, const struct content *want, const char *what)
{
    static struct content got; /* large; one caller */
    for (int k = 0; k < CLUSTER_NODES; k++) {
        content_of(p, k, stamp, &got);
        for (size_t i = 0; i < TABLES; i++)
            if (strcmp(got.text[i], want->text[i]) != 0)
                proc_fail(p, "node %d, table %zu, %s: %.300s, wanted %.300s", k, i, what, got.text[i], want->text[i]);
    }
}

/* On every node the query gives one line. */
static void expect_answer(struct proc *p, const char *sql, const char *want)
{
    char got[256];
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (!cluster_ask(p->cluster.node_url[k], sql, got, sizeof got) || strcmp(got, want) != 0)
            proc_fail(p, "node %d, %s: %s, wanted %s", k, sql, got, want);
}

static bool on_node(struct proc *p, int slot, const char *sql)
{
    return proc_exec(p, p->cluster.node_url[slot], sql);
}

/* Three tables; the moment s1; then, on several nodes, a mistake, a table and a column; the moment s2. UNIQUE values change hands meanwhile. */
static bool prepare_database(struct proc *p, struct content *before, char *s1, struct content *spoilt, char *s2)
{
    double took;
    if (!on_node(p, 0, "CREATE TABLE acc (id INTEGER PRIMARY KEY, owner TEXT, code INTEGER UNIQUE)") ||
        !on_node(p, 0, "CREATE TABLE cnt (id INTEGER PRIMARY KEY, n INTEGER COUNTER, tags TEXT SET)") ||
        !on_node(p, 0, "CREATE TABLE note (a INTEGER, b TEXT)") ||
        !on_node(p, 0, "INSERT INTO acc SELECT value, 'owner ' || value, value FROM generate_series(1, 100)") ||
        !on_node(p, 0, "INSERT INTO cnt SELECT value, 0, '[\"one\", \"two\"]' FROM generate_series(1, 20)") ||
        !on_node(p, 0, "INSERT INTO note SELECT value, 'note ' || value FROM generate_series(1, 50)") || !proc_wait_equal(p, 15, 10, &took))
        return false;
    content_of(p, 0, NULL, before);
    return cluster_ask(p->cluster.node_url[0], "SELECT quartet_stamp()", s1, 64) && on_node(p, 1, "ALTER TABLE acc ADD COLUMN grade INTEGER DEFAULT 7") &&
           on_node(p, 1, "CREATE TABLE later (id INTEGER PRIMARY KEY, v TEXT)") && on_node(p, 1, "INSERT INTO later VALUES (1, 'made since'), (2, 'too')") &&
           on_node(p, 1, "UPDATE acc SET owner = 'nobody', grade = 1 WHERE id % 2 = 0") && on_node(p, 2, "DELETE FROM acc WHERE id % 10 = 3") &&
           proc_wait_equal(p, 15, 10, &took) && on_node(p, 3, "INSERT INTO acc (id, owner, code) VALUES (500, 'thief', 3)") &&
           on_node(p, 2, "UPDATE cnt SET n = n + 100, tags = set_remove(tags, 'one') WHERE id > 1") &&
           on_node(p, 3, "UPDATE cnt SET tags = set_add(tags, 'three') WHERE id > 10") && on_node(p, 3, "DELETE FROM note WHERE a % 5 = 0") &&
           on_node(p, 0, "INSERT INTO note VALUES (999, 'came since')") && proc_wait_equal(p, 15, 10, &took) &&
           (content_of(p, 0, NULL, spoilt), cluster_ask(p->cluster.node_url[0], "SELECT quartet_stamp()", s2, 64));
}

/* Definitions that other nodes change just before the BACKTRACK, which may or may not have seen them. */
static void define_under_load(struct proc *p)
{
    (void)on_node(p, 2, "CREATE TABLE fresh (id INTEGER PRIMARY KEY, v TEXT)"); /* failures are counted */
    (void)on_node(p, 2, "INSERT INTO fresh VALUES (1, 'on node 2')");
    (void)on_node(p, 1, "ALTER TABLE later ADD COLUMN w INTEGER DEFAULT 9");
}

/* A transaction of a writer put one row into each of three tables and added 1 to a counter. Of each, all is there or nothing, on every node; and those
 * that began when the BACKTRACK had returned are there. */
static void check_whole(struct proc *p, struct writer *w, const uint64_t *from)
{
    char sql[512], rows[32], want[256];
    if (!cluster_ask(p->cluster.node_url[0], "SELECT count(*) FROM acc WHERE id >= 1000000", rows, sizeof rows))
        proc_fail(p, "%s", rows);
    snprintf(want, sizeof want, "%s|%s|%s|%s", rows, rows, rows, rows);
    expect_answer(p, "SELECT (SELECT count(*) FROM acc JOIN later USING (id) WHERE id >= 1000000), (SELECT count(*) FROM acc JOIN note ON note.a = acc.id WHERE id >= 1000000), "
                     "(SELECT count(*) FROM note WHERE a >= 1000000), (SELECT n FROM cnt WHERE id = 1)", want);
    uint64_t after = 0, all = 0;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        uint64_t to = atomic_load(&w[k].acknowledged), base = (uint64_t)NEW_ID * (unsigned)(k + 1);
        uint64_t first = from[k] + 1; /* the one that was under way may have been seen by it */
        after += to - first;
        all += to;
        snprintf(sql, sizeof sql, "SELECT count(*) FROM acc WHERE id >= %llu AND id < %llu AND grade = 7", (unsigned long long)(base + first), (unsigned long long)(base + to));
        snprintf(want, sizeof want, "%llu", (unsigned long long)(to - first));
        expect_answer(p, sql, want);
    }
    uint64_t stayed = strtoull(rows, NULL, 10);
    if (stayed < after || stayed >= all)
        proc_fail(p, "%llu transactions stayed; %llu were begun after the BACKTRACK, %llu in all", (unsigned long long)stayed, (unsigned long long)after, (unsigned long long)all);
    printf("  %llu transactions after the BACKTRACK, %llu in all, %llu stayed, each whole\n", (unsigned long long)after, (unsigned long long)all, (unsigned long long)stayed);
}

static void run_database(struct proc *p)
{
    static struct writer writers[CLUSTER_NODES]; /* one caller */
    static struct content before, spoilt, loaded; /* likewise */
    static const char *const load[] = {"BEGIN", "INSERT INTO acc (id, owner, code) VALUES (#, 'new', #)", "INSERT INTO later (id, v) VALUES (#, 'new')",
                                       "UPDATE cnt SET n = n + 1 WHERE id = 1", "INSERT INTO note VALUES (#, 'new')", "COMMIT", NULL};
    char s1[64], s2[64], s3[64], sql[192], counter[64];
    uint64_t from[CLUSTER_NODES];
    double took = 0;
    if (!prepare_database(p, &before, s1, &spoilt, s2))
        return;
    snprintf(sql, sizeof sql, "BACKTRACK DATABASE TO STAMP %s", s1);
    if (!backtrack_under_load(p, writers, load, sql, define_under_load, from))
        return;
    expect_content(p, NULL, &before, "after the BACKTRACK");
    expect_content(p, s1, &before, "as of before the mistake");
    expect_content(p, s2, &spoilt, "as of after the mistake");
    expect_answer(p, "SELECT count(*), sum(grade) FROM acc WHERE id < 1000000", "100|700");
    expect_answer(p, "SELECT count(*), sum(n) FROM cnt WHERE id > 1", "19|0");
    expect_answer(p, "SELECT count(*) FROM later WHERE id < 1000000", "0"); /* the table stays: definitions are left alone */
    expect_answer(p, "SELECT count(*) FROM later WHERE w <> 9", "0");
    expect_answer(p, "SELECT id FROM acc WHERE code = 3", "3"); /* by the index: whose it was */
    check_whole(p, writers, from);
    /* Undone, and the undoing undone. */
    if (!cluster_ask(p->cluster.node_url[3], "SELECT quartet_stamp()", s3, sizeof s3) || !cluster_ask(p->cluster.node_url[3], "SELECT n FROM cnt WHERE id = 1", counter, sizeof counter))
        return proc_fail(p, "node 3: %s %s", s3, counter);
    content_of(p, 3, NULL, &loaded);
    snprintf(sql, sizeof sql, "BACKTRACK DATABASE TO STAMP %s", s2);
    if (!on_node(p, 2, sql) || !proc_wait_equal(p, 15, 10, &took))
        return;
    expect_content(p, NULL, &spoilt, "after the BACKTRACK was undone");
    expect_answer(p, "SELECT count(*), sum(n) FROM cnt", "20|1900");
    expect_answer(p, "SELECT count(*), sum(id), min(v), sum(w) FROM later", "2|3|made since|18");
    expect_answer(p, "SELECT sum(grade), sum(owner = 'nobody') FROM acc", "337|50");
    expect_answer(p, "SELECT id FROM acc WHERE code = 3", "500");
    expect_answer(p, "SELECT count(*) FROM fresh", "0");
    snprintf(sql, sizeof sql, "BACKTRACK DATABASE TO STAMP %s", s3);
    if (!on_node(p, 1, sql) || !proc_wait_equal(p, 15, 10, &took))
        return;
    expect_content(p, NULL, &loaded, "after the undoing was undone");
    expect_answer(p, "SELECT n FROM cnt WHERE id = 1", counter);
    check_whole(p, writers, from);
}

int main(void)
{
    static struct proc p; /* large; one */
    proc_begin(&p, "backtrack", 1 + (uint64_t)(unsigned)getpid(), NULL);
    run_table(&p);
    if (p.failures == 0)
        run_database(&p);
    return proc_end(&p, "backtrack: nothing that it had not seen was lost, all nodes equal, and it was undone");
}
