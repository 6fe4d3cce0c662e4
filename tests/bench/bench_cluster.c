/* bench_cluster.c - four real nodes on loopback under load: what a cluster does that one database does not. They run only where they are named.
 *   visible_busy_p50, _p99  until a commit can be read on the three others, while another session commits 1,000 times a second
 *   hot_rate, hot_errors    32 sessions, eight on each node, overwrite 100 rows; errors in percent of the updates, which should be none
 *   converged_1, _4         single INSERTs of eight sessions, until every node has them all: one node alone, and two sessions on each of four
 *   rejoin_away             a node was gone for 60 s (times --seconds) while 1,000 commits a second went on: from its start until it shows the last of them
 *   donor_p99               by how many percent the 99th percentile of a node's commits grows while it alone feeds one that was gone for 20,000 commits (times --seconds)
 *   trips, trips_asleep     SELECT 1 by one session, round trips a second: where client and node look for up to 50 us before they sleep, and where they do not
 *   idle_memory             resident, of the largest of four nodes that do nothing; binary_size: of quartetd
 * SQLite has nothing to compare. What clients see of failures is measured by `quartet drill`. */
#include "bench_cluster.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "quartet.h"

#define PACE_PER_S 1000
#define HOT_ROWS 100
#define HOT_SESSIONS 32
#define CONVERGE_SESSIONS 8
#define AWAY_S 60

bool bench_cluster_start(struct bench_ctx *c, struct bench_cluster *b, int nodes)
{
    bench_path(c, BENCH_QUARTET, b->path, sizeof b->path);
    bool ok = mkdir(b->path, 0700) == 0 && cluster_init(&b->c, b->path, "") && cluster_make(&b->c);
    for (int k = 0; ok && k < nodes; k++)
        ok = cluster_start_node(&b->c, k);
    for (int k = 0; ok && k < nodes; k++)
        ok = cluster_wait_ready(&b->c, k, BENCH_DEADLINE_S * 1000);
    b->nodes = nodes;
    return ok || bench_fail("cluster", b->c.error);
}

void bench_cluster_stop(struct bench_cluster *b, bool ok)
{
    if (!ok)
        cluster_print_logs(&b->c, 5);
    cluster_stop(&b->c);
    bench_remove(b->path);
    free(b);
}

void bench_nap(double s)
{
    struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)};
    if (s > 0)
        nanosleep(&t, NULL); /* a signal that wakes it early is as good */
}

bool bench_cluster_exec(struct bench_cluster *b, int slot, const char *sql)
{
    char text[512];
    return cluster_ask(b->c.node_url[slot], sql, text, sizeof text) || bench_fail(sql, text);
}

bool bench_cluster_until(struct bench_cluster *b, int slot, const char *sql, const char *want, double deadline_s)
{
    char text[512] = "";
    for (double until = bench_now() + deadline_s; bench_now() < until; bench_nap(0.001))
        if (cluster_ask(b->c.node_url[slot], sql, text, sizeof text) && strcmp(text, want) == 0)
            return true;
    return bench_fail(sql, text);
}

bool bench_cluster_table(struct bench_cluster *b, const char *sql, const char *name)
{
    char query[256];
    snprintf(query, sizeof query, "SELECT count(*) FROM information_schema.tables WHERE table_name = '%s'", name);
    bool ok = bench_cluster_exec(b, 0, sql);
    for (int k = 1; ok && k < b->nodes; k++)
        ok = bench_cluster_until(b, k, query, "1", BENCH_DEADLINE_S);
    return ok;
}

/* ---- sessions ---- */

struct worker {
    struct bench_cluster *b;
    pthread_t thread;
    bool started;
    int slot, number;
    const char *sql;      /* with one or two parameters: a number of its own, another */
    uint64_t random_below; /* of the second; 0: there is none */
    double pace;          /* commits a second; 0: as fast as it goes */
    int64_t limit;        /* 0: none */
    atomic_bool *stop;
    atomic_llong done, errors;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    quartet_db *db = NULL;
    quartet_stmt *s = NULL;
    uint64_t state = (uint64_t)w->number + 1;
    double next = bench_now();
    bool ok = quartet_open(w->b->c.node_url[w->slot], &db) == QUARTET_OK && quartet_prepare(db, w->sql, -1, &s, NULL) == QUARTET_OK;
    if (!ok)
        bench_fail("a session", db != NULL ? quartet_errmsg(db) : "out of memory");
    for (int64_t i = 0; ok && !*w->stop && (w->limit == 0 || i < w->limit); i++) {
        int rc = quartet_bind_int64(s, 1, (int64_t)w->number * 100000000 + i);
        if (rc == QUARTET_OK && w->random_below > 0)
            rc = quartet_bind_int64(s, 2, (int64_t)(bench_random(&state) % w->random_below));
        if (rc == QUARTET_OK)
            rc = quartet_step(s);
        int reset = quartet_reset(s);
        if (rc == QUARTET_DONE && reset == QUARTET_OK)
            atomic_fetch_add(&w->done, 1);
        else
            atomic_fetch_add(&w->errors, 1);
        if (w->pace > 0) {
            next += 1 / w->pace;
            bench_nap(next - bench_now());
        }
    }
    if (!ok)
        atomic_fetch_add(&w->errors, 1);
    (void)quartet_finalize(s); /* its error was counted */
    (void)quartet_close(db);   /* likewise */
    return NULL;
}

static bool begin(struct worker *w, int n)
{
    for (int i = 0; i < n; i++)
        if (!(w[i].started = pthread_create(&w[i].thread, NULL, work, &w[i]) == 0))
            return bench_fail("a session", "its thread could not be started");
    return true;
}

static long long end(struct worker *w, int n, long long *errors)
{
    long long done = 0;
    *errors = 0;
    for (int i = 0; i < n; i++) {
        if (w[i].started)
            pthread_join(w[i].thread, NULL);
        done += w[i].done;
        *errors += w[i].errors;
    }
    return done;
}

/* ---- visible ---- */

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The value of row 1 on a node; -1: an error. */
static int64_t mark_of(quartet_stmt *s)
{
    int64_t v = -1;
    if (quartet_step(s) == QUARTET_ROW)
        v = quartet_column_int64(s, 0);
    return quartet_reset(s) == QUARTET_OK ? v : -1;
}

static bool one_sample(quartet_stmt *write, quartet_stmt **read, int64_t mark, double *ms)
{
    if (quartet_bind_int64(write, 1, mark) != QUARTET_OK || quartet_step(write) != QUARTET_DONE || quartet_reset(write) != QUARTET_OK)
        return bench_fail("visible_busy", "a write failed");
    double from = bench_now();
    for (int k = 1; k < CLUSTER_NODES; k++)
        while (mark_of(read[k]) < mark)
            if (bench_now() - from > BENCH_DEADLINE_S)
                return bench_fail("visible_busy", "a commit did not arrive");
    *ms = (bench_now() - from) * 1e3;
    return true;
}

static bool sample(struct bench_cluster *b, double seconds, double quantile, double *figure)
{
    quartet_db *db[CLUSTER_NODES] = {NULL};
    quartet_stmt *read[CLUSTER_NODES] = {NULL}, *write = NULL;
    double *ms = calloc(100000, sizeof *ms);
    size_t n = 0;
    bool ok = ms != NULL;
    for (int k = 0; ok && k < CLUSTER_NODES; k++)
        ok = quartet_open(b->c.node_url[k], &db[k]) == QUARTET_OK && quartet_exec(db[k], "SET consistency = 'local'", NULL, NULL, NULL) == QUARTET_OK &&
             (k == 0 ? quartet_prepare(db[k], "UPDATE mark SET v = ? WHERE id = 1", -1, &write, NULL)
                     : quartet_prepare(db[k], "SELECT v FROM mark WHERE id = 1", -1, &read[k], NULL)) == QUARTET_OK;
    if (!ok)
        bench_fail("visible_busy", "cannot begin");
    for (double until = bench_now() + seconds; ok && n < 100000 && bench_now() < until; bench_nap(0.005), n++)
        ok = one_sample(write, read, (int64_t)n + 1, &ms[n]);
    if (ok && n > 0) {
        qsort(ms, n, sizeof *ms, compare);
        *figure = ms[(size_t)((double)(n - 1) * quantile)];
    }
    (void)quartet_finalize(write); /* a failure was told */
    for (int k = 0; k < CLUSTER_NODES; k++) {
        (void)quartet_finalize(read[k]); /* likewise */
        (void)quartet_close(db[k]);      /* likewise */
    }
    free(ms);
    return ok && n > 0;
}

static bool visible_busy(struct bench_ctx *c, double quantile, double *figure)
{
    struct bench_cluster *b = calloc(1, sizeof *b);
    atomic_bool stopping = false;
    struct worker w = {.b = b, .sql = "INSERT INTO load (id) VALUES (?)", .pace = PACE_PER_S, .stop = &stopping};
    long long errors = 0;
    if (b == NULL)
        return bench_fail("visible_busy", "out of memory");
    bool ok = bench_cluster_start(c, b, CLUSTER_NODES) && bench_cluster_table(b, "CREATE TABLE load (id INTEGER PRIMARY KEY)", "load") &&
              bench_cluster_table(b, "CREATE TABLE mark (id INTEGER PRIMARY KEY, v INTEGER)", "mark") && bench_cluster_exec(b, 0, "INSERT INTO mark VALUES (1, 0)");
    for (int k = 1; ok && k < CLUSTER_NODES; k++)
        ok = bench_cluster_until(b, k, "SELECT v FROM mark", "0", BENCH_DEADLINE_S);
    double from = bench_now();
    ok = ok && begin(&w, 1) && sample(b, 10 * c->seconds, quantile, figure);
    stopping = true;
    long long done = end(&w, 1, &errors);
    double rate = (double)done / (bench_now() - from);
    if (ok && rate < PACE_PER_S * 0.9)
        fprintf(stderr, "\rvisible_busy: the other session made %.0f commits/s, not %d: the machine is busy\n", rate, PACE_PER_S);
    bench_cluster_stop(b, ok);
    return ok && errors == 0;
}

static bool visible_busy_p50(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side, (void)check; /* it is alone */
    return visible_busy(c, 0.5, figure);
}

static bool visible_busy_p99(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side, (void)check; /* it is alone */
    return visible_busy(c, 0.99, figure);
}

/* ---- a hot table ---- */

static bool hot(struct bench_ctx *c, double *rate, double *error_percent)
{
    struct bench_cluster *b = calloc(1, sizeof *b);
    atomic_bool stopping = false;
    struct worker *w = calloc(HOT_SESSIONS, sizeof *w);
    char sql[200];
    long long errors = 0;
    if (b == NULL || w == NULL) {
        free(b);
        free(w);
        return bench_fail("hot", "out of memory");
    }
    snprintf(sql, sizeof sql, "INSERT INTO hot SELECT value, 0 FROM generate_series(0, %d)", HOT_ROWS - 1);
    bool ok = bench_cluster_start(c, b, CLUSTER_NODES) && bench_cluster_table(b, "CREATE TABLE hot (id INTEGER PRIMARY KEY, v INTEGER)", "hot") && bench_cluster_exec(b, 0, sql);
    snprintf(sql, sizeof sql, "%d", HOT_ROWS);
    for (int k = 1; ok && k < CLUSTER_NODES; k++)
        ok = bench_cluster_until(b, k, "SELECT count(*) FROM hot", sql, BENCH_DEADLINE_S);
    for (int i = 0; i < HOT_SESSIONS; i++)
        w[i] = (struct worker){.b = b, .slot = i % CLUSTER_NODES, .number = i, .sql = "UPDATE hot SET v = ? WHERE id = ?", .random_below = HOT_ROWS, .stop = &stopping};
    double from = bench_now();
    ok = ok && begin(w, HOT_SESSIONS);
    if (ok)
        bench_nap(10 * c->seconds);
    stopping = true;
    long long done = end(w, HOT_SESSIONS, &errors);
    double took = bench_now() - from;
    static char state[CLUSTER_NODES][CLUSTER_STATE_MAX]; /* one caller */
    ok = ok && (cluster_wait_equal(&b->c, 15, BENCH_DEADLINE_S * 1000, state) || bench_fail("hot", "the nodes do not become equal"));
    *rate = (double)done / took;
    *error_percent = 100.0 * (double)errors / (double)(done + errors > 0 ? done + errors : 1);
    free(w);
    bench_cluster_stop(b, ok);
    return ok;
}

static bool hot_rate(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    double errors;
    (void)side, (void)check; /* it is alone */
    return hot(c, figure, &errors);
}

static bool hot_errors(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    double rate;
    (void)side, (void)check; /* it is alone */
    return hot(c, &rate, figure);
}

/* ---- the same work on one node and on four ---- */

static bool converged(struct bench_ctx *c, int nodes, double *figure)
{
    struct bench_cluster *b = calloc(1, sizeof *b);
    atomic_bool stopping = false;
    struct worker w[CONVERGE_SESSIONS];
    long long errors = 0;
    int64_t each = (c->rows < 100000 ? c->rows : 100000) / CONVERGE_SESSIONS;
    char want[32];
    if (b == NULL)
        return bench_fail("converged", "out of memory");
    for (int i = 0; i < CONVERGE_SESSIONS; i++)
        w[i] = (struct worker){.b = b, .slot = i % nodes, .number = i, .sql = "INSERT INTO work (id, v) VALUES (?, 7)", .limit = each, .stop = &stopping};
    bool ok = bench_cluster_start(c, b, nodes) && bench_cluster_table(b, "CREATE TABLE work (id INTEGER PRIMARY KEY, v INTEGER)", "work");
    double from = bench_now();
    ok = ok && begin(w, CONVERGE_SESSIONS);
    stopping = !ok;
    long long done = ok ? end(w, CONVERGE_SESSIONS, &errors) : 0;
    snprintf(want, sizeof want, "%lld", (long long)each * CONVERGE_SESSIONS);
    for (int k = 0; ok && k < nodes; k++)
        ok = bench_cluster_until(b, k, "SELECT count(*) FROM work", want, BENCH_DEADLINE_S);
    *figure = (double)done / (bench_now() - from);
    bench_cluster_stop(b, ok && errors == 0);
    return ok && (errors == 0 || bench_fail("converged", "some INSERTs failed"));
}

static bool converged_1(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side, (void)check; /* it is alone */
    return converged(c, 1, figure);
}

static bool converged_4(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side, (void)check; /* it is alone */
    return converged(c, CLUSTER_NODES, figure);
}

/* ---- away ---- */

/* Processor time that a process has used, in seconds; unlike the clock it tells of a busy machine, too. */
static double cpu_seconds(pid_t pid)
{
    char path[64], line[1024] = "";
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return 0;
    const char *rest = fgets(line, sizeof line, f) != NULL ? strrchr(line, ')') : NULL;
    if (rest == NULL || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        user = kernel = 0;
    fclose(f);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static bool rejoin_away(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side, (void)check; /* it is alone */
    struct bench_cluster *b = calloc(1, sizeof *b);
    atomic_bool stopping = false;
    struct worker w[4];
    long long errors = 0;
    if (b == NULL)
        return bench_fail("rejoin_away", "out of memory");
    for (int i = 0; i < 4; i++)
        w[i] = (struct worker){.b = b, .slot = i % 3, .number = i, .sql = "INSERT INTO load (id) VALUES (?)", .pace = PACE_PER_S / 4.0, .stop = &stopping};
    bool ok = bench_cluster_start(c, b, CLUSTER_NODES) && bench_cluster_table(b, "CREATE TABLE load (id INTEGER PRIMARY KEY)", "load") && bench_cluster_table(b, "CREATE TABLE last (id INTEGER PRIMARY KEY)", "last");
    if (ok)
        cluster_kill_node(&b->c, 3, SIGKILL);
    double from = bench_now();
    ok = ok && begin(w, 4);
    if (ok)
        bench_nap(AWAY_S * c->seconds);
    double away = bench_now() - from;
    ok = ok && bench_cluster_exec(b, 0, "INSERT INTO last VALUES (1)");
    for (int k = 1; ok && k < 3; k++)
        ok = bench_cluster_until(b, k, "SELECT count(*) FROM last", "1", BENCH_DEADLINE_S);
    double since = bench_now();
    ok = ok && cluster_start_node(&b->c, 3) && cluster_wait_ready(&b->c, 3, BENCH_DEADLINE_S * 1000) && bench_cluster_until(b, 3, "SELECT count(*) FROM last", "1", BENCH_DEADLINE_S);
    *figure = (bench_now() - since) * 1e3;
    stopping = true;
    if (ok)
        fprintf(stderr, "\rrejoin_away: %.2f s of processor time\n", cpu_seconds(b->c.pid[3]));
    long long done = end(w, 4, &errors);
    if (ok && (double)done / (bench_now() - from) < PACE_PER_S * 0.9)
        fprintf(stderr, "\rrejoin_away: %.0f commits/s in %.0f s, not %d: the machine is busy\n", (double)done / (bench_now() - from), away, PACE_PER_S);
    bench_cluster_stop(b, ok);
    return ok && errors == 0;
}

/* ---- a donor ---- */

#define DONOR_ROUNDS 3
#define DONOR_COMMITS 20000
#define DONOR_SAMPLES 20000

struct returning { /* node 3 comes back, and has it all */
    struct bench_cluster *b;
    char want[32];
    bool ok;
    atomic_bool done;
};

static void *come_back(void *arg)
{
    struct returning *r = arg;
    r->ok = cluster_start_node(&r->b->c, 3) && cluster_wait_ready(&r->b->c, 3, BENCH_DEADLINE_S * 1000) && bench_cluster_until(r->b, 3, "SELECT count(*) FROM load WHERE id >= 0", r->want, BENCH_DEADLINE_S);
    r->done = true;
    return NULL;
}

struct latencies {
    double *ms; /* DONOR_SAMPLES */
    int n;
};

/* A commit at a time, 1,000 a second at most, until it is enough. */
static bool sample_commits(quartet_stmt *s, int64_t *id, struct latencies *l, double seconds, const atomic_bool *done)
{
    double from = bench_now();
    for (double next = from; l->n < DONOR_SAMPLES && (done != NULL ? !*done : bench_now() - from < seconds); bench_nap(next - bench_now())) {
        double begun = bench_now();
        if (quartet_bind_int64(s, 1, --*id) != QUARTET_OK || quartet_step(s) != QUARTET_DONE || quartet_reset(s) != QUARTET_OK)
            return bench_fail("donor_p99", "a commit failed");
        l->ms[l->n++] = (bench_now() - begun) * 1e3;
        next += 1.0 / PACE_PER_S;
    }
    return true;
}

static bool donor_round(struct bench_cluster *b, int round, int64_t each, quartet_stmt *s, int64_t *id, struct latencies *alone, struct latencies *feeding)
{
    atomic_bool stopping = false;
    struct worker w[CONVERGE_SESSIONS];
    long long errors = 0;
    cluster_kill_node(&b->c, 3, SIGKILL);
    for (int i = 0; i < CONVERGE_SESSIONS; i++)
        w[i] = (struct worker){.b = b, .number = round * CONVERGE_SESSIONS + i, .sql = "INSERT INTO load (id) VALUES (?)", .limit = each, .stop = &stopping};
    bool ok = begin(w, CONVERGE_SESSIONS);
    stopping = !ok;
    (void)end(w, CONVERGE_SESSIONS, &errors);
    struct returning r = {.b = b};
    pthread_t thread;
    snprintf(r.want, sizeof r.want, "%lld", (long long)each * CONVERGE_SESSIONS * (round + 1));
    ok = ok && errors == 0 && sample_commits(s, id, alone, 2, NULL);
    if (!ok || pthread_create(&thread, NULL, come_back, &r) != 0)
        return bench_fail("donor_p99", "cannot begin");
    ok = sample_commits(s, id, feeding, 0, &r.done);
    pthread_join(thread, NULL);
    return ok && r.ok;
}

static double p99_of(struct latencies *l)
{
    qsort(l->ms, (size_t)l->n, sizeof *l->ms, compare);
    return l->n > 0 ? l->ms[(size_t)((l->n - 1) * 0.99)] : 0;
}

static bool donor_p99(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side, (void)check; /* it is alone */
    struct bench_cluster *b = calloc(1, sizeof *b);
    struct latencies alone = {.ms = calloc(DONOR_SAMPLES, sizeof(double))}, feeding = {.ms = calloc(DONOR_SAMPLES, sizeof(double))};
    quartet_db *db = NULL;
    quartet_stmt *s = NULL;
    int64_t id = 0, each = (int64_t)(DONOR_COMMITS * c->seconds) / CONVERGE_SESSIONS;
    if (b == NULL || alone.ms == NULL || feeding.ms == NULL) {
        free(b), free(alone.ms), free(feeding.ms);
        return bench_fail("donor_p99", "out of memory");
    }
    bool ok = bench_cluster_start(c, b, CLUSTER_NODES) && bench_cluster_table(b, "CREATE TABLE load (id INTEGER PRIMARY KEY)", "load");
    for (int k = 1; ok && k < 3; k++) /* it is alone with its donor */
        cluster_kill_node(&b->c, k, SIGKILL);
    if (ok && (quartet_open(b->c.node_url[0], &db) != QUARTET_OK || quartet_prepare(db, "INSERT INTO load (id) VALUES (?)", -1, &s, NULL) != QUARTET_OK))
        ok = bench_fail("donor_p99", db != NULL ? quartet_errmsg(db) : "out of memory");
    for (int round = 0; ok && round < DONOR_ROUNDS; round++)
        ok = donor_round(b, round, each, s, &id, &alone, &feeding);
    double was = p99_of(&alone), is = p99_of(&feeding);
    *figure = was > 0 ? 100 * (is / was - 1) : 0;
    if (ok)
        fprintf(stderr, "\rdonor_p99: %.2f ms alone (%d commits), %.2f ms feeding (%d)\n", was, alone.n, is, feeding.n);
    (void)quartet_finalize(s); /* a failure was told */
    (void)quartet_close(db);   /* likewise */
    free(alone.ms);
    free(feeding.ms);
    bench_cluster_stop(b, ok);
    return ok;
}

/* ---- round trips ---- */

static bool one_trip(quartet_stmt *s)
{
    return mark_of(s) == 1 || bench_fail("trips", "SELECT 1 failed");
}

static bool trips(struct bench_ctx *c, const char *poll_us, double *figure)
{
    struct bench_cluster *b = calloc(1, sizeof *b);
    quartet_db *db = NULL;
    quartet_stmt *s = NULL;
    char url[8300];
    long long n = 0;
    if (b == NULL)
        return bench_fail("trips", "out of memory");
    bench_path(c, BENCH_QUARTET, b->path, sizeof b->path);
    bool ok = (mkdir(b->path, 0700) == 0 && cluster_init(&b->c, b->path, "") && cluster_make(&b->c)) || bench_fail("trips", b->c.error);
    b->c.more[0] = "--poll-us";
    b->c.more[1] = poll_us;
    ok = ok && ((cluster_start_node(&b->c, 0) && cluster_wait_ready(&b->c, 0, BENCH_DEADLINE_S * 1000)) || bench_fail("trips", b->c.error));
    snprintf(url, sizeof url, "%s&poll_us=%s", b->c.node_url[0], poll_us);
    if (ok && (quartet_open(url, &db) != QUARTET_OK || quartet_exec(db, "SET consistency = 'local'", NULL, NULL, NULL) != QUARTET_OK || quartet_prepare(db, "SELECT 1", -1, &s, NULL) != QUARTET_OK))
        ok = bench_fail("trips", db != NULL ? quartet_errmsg(db) : "out of memory");
    for (int i = 0; ok && i < 200; i++)
        ok = one_trip(s);
    double from = bench_now();
    for (; ok && bench_now() - from < 2 * c->seconds; n++)
        ok = one_trip(s);
    *figure = (double)n / (bench_now() - from);
    (void)quartet_finalize(s); /* a failure was told */
    (void)quartet_close(db);   /* likewise */
    bench_cluster_stop(b, ok);
    return ok;
}

static bool trips_polled(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side, (void)check; /* it is alone */
    return trips(c, "50", figure);
}

static bool trips_asleep(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side, (void)check; /* it is alone */
    return trips(c, "0", figure);
}

/* ---- sizes ---- */

static double resident_mib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (f != NULL)
        fclose(f);
    return (double)kib / 1024.0;
}

static bool idle_memory(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side, (void)check; /* it is alone */
    struct bench_cluster *b = calloc(1, sizeof *b);
    if (b == NULL)
        return bench_fail("idle_memory", "out of memory");
    bool ok = bench_cluster_start(c, b, CLUSTER_NODES) && bench_cluster_table(b, "CREATE TABLE t (id INTEGER PRIMARY KEY)", "t");
    if (ok)
        bench_nap(3);
    *figure = 0;
    for (int k = 0; ok && k < CLUSTER_NODES; k++) {
        double mib = resident_mib(b->c.pid[k]);
        *figure = mib > *figure ? mib : *figure;
        ok = mib > 0 || bench_fail("idle_memory", "a node's memory cannot be read");
    }
    bench_cluster_stop(b, ok);
    return ok;
}

static bool binary_size(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)c, (void)side, (void)check; /* it is alone, and needs no directory */
    struct cluster *found = calloc(1, sizeof *found);
    struct stat st;
    bool ok = found != NULL && cluster_init(found, "/tmp", "") && stat(found->quartetd, &st) == 0;
    if (ok)
        *figure = (double)st.st_size / (1024.0 * 1024.0);
    free(found);
    return ok || bench_fail("binary_size", "quartetd is not there");
}

const struct bench bench_cluster_list[] = {
    {"visible_busy_p50", "ms", true, true, visible_busy_p50},
    {"visible_busy_p99", "ms", true, true, visible_busy_p99},
    {"hot_rate", "commits/s", false, true, hot_rate},
    {"hot_errors", "percent of the updates", true, true, hot_errors},
    {"converged_1", "writes/s", false, true, converged_1},
    {"converged_4", "writes/s", false, true, converged_4},
    {"rejoin_away", "ms", true, true, rejoin_away},
    {"donor_p99", "percent", true, true, donor_p99},
    {"trips", "round trips/s", false, true, trips_polled},
    {"trips_asleep", "round trips/s", false, true, trips_asleep},
    {"idle_memory", "MiB", true, true, idle_memory},
    {"binary_size", "MiB", true, true, binary_size},
    {NULL, NULL, false, false, NULL},
};
