/* bench_oltp.c - the transactions of sysbench's oltp_update_non_index, oltp_write_only and oltp_read_write, by 32 sessions on four nodes, eight on each, or (_1) on one: so that what other
 * clusters reach with sysbench can be held beside it (galera.sh does). They run only where they are named.
 * As there: a table of 10,000 rows (a hundredth of --rows: id, k with an index, c of 119 characters, pad of 59), statements prepared, values drawn evenly; an update of c; an update of k, one of c, and a DELETE and
 * INSERT of one id; and those behind ten reads by key and four of ranges of 100 rows. Commits are on disk when they are acknowledged. A transaction that another one got in the way of is run
 * again with new values, as sysbench does, and does not count; how many that were is told on standard error. */
#include "bench_cluster.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quartet.h"

#define OLTP_SESSIONS 32
#define OLTP_POINTS 10
#define OLTP_RANGE 100
#define C_GROUPS 10
#define PAD_GROUPS 5

enum kind { UPDATE_NON_INDEX, WRITE_ONLY, READ_WRITE };

enum { BEGIN, COMMIT, POINT, SIMPLE, SUM, ORDER, DISTINCT, UPDATE_K, UPDATE_C, DELETE, INSERT, STATEMENTS };
static const char *const texts[STATEMENTS] = {
    "BEGIN",
    "COMMIT",
    "SELECT c FROM sbtest1 WHERE id = ?",
    "SELECT c FROM sbtest1 WHERE id BETWEEN ? AND ?",
    "SELECT sum(k) FROM sbtest1 WHERE id BETWEEN ? AND ?",
    "SELECT c FROM sbtest1 WHERE id BETWEEN ? AND ? ORDER BY c",
    "SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN ? AND ? ORDER BY c",
    "UPDATE sbtest1 SET k = k + 1 WHERE id = ?",
    "UPDATE sbtest1 SET c = ? WHERE id = ?",
    "DELETE FROM sbtest1 WHERE id = ?",
    "INSERT INTO sbtest1 (id, k, c, pad) VALUES (?, ?, ?, ?)",
};

struct session {
    struct bench_cluster *b;
    int slot;
    enum kind kind;
    pthread_t thread;
    bool started;
    atomic_bool *stop;
    quartet_db *db;
    quartet_stmt *s[STATEMENTS];
    uint64_t random, rows;
    uint64_t done, again;
    bool failed;
};

/* "12345678901-...": groups of eleven digits. */
static void draw_text(struct session *x, int groups, char *out)
{
    for (int g = 0; g < groups; g++, out += 12) {
        uint64_t r = bench_random(&x->random);
        for (int i = 0; i < 11; i++, r /= 10)
            out[i] = (char)('0' + r % 10);
        out[11] = g + 1 < groups ? '-' : '\0';
    }
}

static int64_t draw_id(struct session *x)
{
    return 1 + (int64_t)(bench_random(&x->random) % x->rows);
}

/* To the end, all rows taken. */
static int run(quartet_stmt *s)
{
    int rc;
    while ((rc = quartet_step(s)) == QUARTET_ROW)
        if (quartet_column_text(s, 0) == NULL)
            continue;
    int reset = quartet_reset(s);
    return rc == QUARTET_DONE ? reset : rc;
}

static int run_id(struct session *x, int statement, int64_t id)
{
    int rc = quartet_bind_int64(x->s[statement], 1, id);
    return rc == QUARTET_OK ? run(x->s[statement]) : rc;
}

static int run_range(struct session *x, int statement)
{
    int64_t id = draw_id(x);
    int rc = quartet_bind_int64(x->s[statement], 2, id + OLTP_RANGE - 1);
    return rc == QUARTET_OK ? run_id(x, statement, id) : rc;
}

static int update_c(struct session *x)
{
    char c[12 * C_GROUPS];
    draw_text(x, C_GROUPS, c);
    int rc = quartet_bind_text(x->s[UPDATE_C], 1, c, -1);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(x->s[UPDATE_C], 2, draw_id(x));
    return rc == QUARTET_OK ? run(x->s[UPDATE_C]) : rc;
}

static int delete_insert(struct session *x)
{
    char c[12 * C_GROUPS], pad[12 * PAD_GROUPS];
    int64_t id = draw_id(x);
    quartet_stmt *s = x->s[INSERT];
    draw_text(x, C_GROUPS, c);
    draw_text(x, PAD_GROUPS, pad);
    int rc = run_id(x, DELETE, id);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(s, 2, draw_id(x));
    if (rc == QUARTET_OK)
        rc = quartet_bind_text(s, 3, c, -1);
    if (rc == QUARTET_OK)
        rc = quartet_bind_text(s, 4, pad, -1);
    return rc == QUARTET_OK ? run_id(x, INSERT, id) : rc;
}

static int transaction(struct session *x)
{
    if (x->kind == UPDATE_NON_INDEX)
        return update_c(x);
    int rc = run(x->s[BEGIN]);
    for (int i = 0; rc == QUARTET_OK && x->kind == READ_WRITE && i < OLTP_POINTS; i++)
        rc = run_id(x, POINT, draw_id(x));
    for (int s = SIMPLE; rc == QUARTET_OK && x->kind == READ_WRITE && s <= DISTINCT; s++)
        rc = run_range(x, s);
    if (rc == QUARTET_OK)
        rc = run_id(x, UPDATE_K, draw_id(x));
    if (rc == QUARTET_OK)
        rc = update_c(x);
    if (rc == QUARTET_OK)
        rc = delete_insert(x);
    return rc == QUARTET_OK ? run(x->s[COMMIT]) : rc;
}

static void *work(void *arg)
{
    struct session *x = arg;
    char url[8192];
    cluster_url_from(&x->b->c, x->slot, url, sizeof url);
    bool ok = quartet_open(url, &x->db) == QUARTET_OK;
    for (int i = 0; ok && i < STATEMENTS; i++)
        ok = quartet_prepare(x->db, texts[i], -1, &x->s[i], NULL) == QUARTET_OK;
    while (ok && !*x->stop) {
        int rc = transaction(x);
        if (rc == QUARTET_OK)
            x->done++;
        else if (rc == QUARTET_SERIALIZATION || rc == QUARTET_CONSTRAINT) /* another session inserted the id that this one has deleted */
            x->again++;
        else
            ok = false;
        if (rc != QUARTET_OK && ok && quartet_in_transaction(x->db))
            ok = quartet_exec(x->db, "ROLLBACK", NULL, NULL, NULL) == QUARTET_OK;
    }
    x->failed = !ok;
    if (!ok)
        bench_fail("oltp", x->db != NULL ? quartet_errmsg(x->db) : "out of memory");
    for (int i = 0; i < STATEMENTS; i++)
        (void)quartet_finalize(x->s[i]); /* repeats an error that was counted */
    (void)quartet_close(x->db);          /* likewise */
    return NULL;
}

static bool fill(struct bench_cluster *b, int rows)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "INSERT INTO sbtest1 SELECT value, 1 + abs(random()) %% %d, substr(hex(randomblob(60)), 1, 119), substr(hex(randomblob(30)), 1, 59) FROM generate_series(1, %d)", rows, rows);
    bool ok = bench_cluster_table(b, "CREATE TABLE sbtest1 (id INTEGER PRIMARY KEY, k INTEGER DEFAULT 0 NOT NULL, c VARCHAR(120) DEFAULT '' NOT NULL, pad VARCHAR(60) DEFAULT '' NOT NULL)",
                                  "sbtest1") &&
              bench_cluster_exec(b, 0, "CREATE INDEX k_1 ON sbtest1 (k)") && bench_cluster_exec(b, 0, sql);
    snprintf(sql, sizeof sql, "%d", rows);
    for (int k = 1; ok && k < b->nodes; k++)
        ok = bench_cluster_until(b, k, "SELECT count(*) FROM sbtest1", sql, BENCH_DEADLINE_S);
    return ok;
}

/* Rows are whole, and as many as there were: each transaction leaves their number as it is. */
static bool check(struct bench_cluster *b, int rows)
{
    char want[32];
    static char state[CLUSTER_NODES][CLUSTER_STATE_MAX]; /* one caller */
    snprintf(want, sizeof want, "%d|%d", rows, rows);
    if (b->nodes > 1 && !cluster_wait_equal(&b->c, (1u << b->nodes) - 1, BENCH_DEADLINE_S * 1000, state))
        return bench_fail("oltp", "the nodes do not become equal");
    for (int k = 0; k < b->nodes; k++)
        if (!bench_cluster_until(b, k, "SELECT count(*), count(c) FROM sbtest1", want, 1))
            return false;
    return true;
}

static bool oltp(struct bench_ctx *c, enum kind kind, int nodes, double *figure)
{
    struct bench_cluster *b = calloc(1, sizeof *b);
    struct session *x = calloc(OLTP_SESSIONS, sizeof *x);
    atomic_bool stopping = false;
    uint64_t done = 0, again = 0;
    bool ok = true;
    int rows = c->rows < 10000 ? 100 : (int)(c->rows / 100);
    if (b == NULL || x == NULL) {
        free(b);
        free(x);
        return bench_fail("oltp", "out of memory");
    }
    ok = bench_cluster_start(c, b, nodes) && fill(b, rows);
    double from = bench_now();
    for (int i = 0; i < OLTP_SESSIONS && ok; i++) {
        x[i] = (struct session){.b = b, .slot = i % nodes, .kind = kind, .stop = &stopping, .random = (uint64_t)i + 1, .rows = (uint64_t)rows};
        ok = x[i].started = pthread_create(&x[i].thread, NULL, work, &x[i]) == 0;
    }
    if (ok)
        bench_nap(10 * c->seconds);
    stopping = true;
    for (int i = 0; i < OLTP_SESSIONS; i++) {
        if (x[i].started)
            pthread_join(x[i].thread, NULL);
        done += x[i].done;
        again += x[i].again;
        ok = ok && !x[i].failed;
    }
    *figure = (double)done / (bench_now() - from);
    if (done + again > 0)
        fprintf(stderr, "\r\033[K%d sessions on %d nodes: %llu transactions, %.2f %% of all were to be run again\n", OLTP_SESSIONS, nodes, (unsigned long long)done,
                100 * (double)again / (double)(done + again));
    ok = ok && check(b, rows);
    free(x);
    bench_cluster_stop(b, ok);
    return ok;
}

#define OLTP(name, kind, nodes)                                                                             \
    static bool name(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *hash)             \
    {                                                                                                       \
        (void)side, (void)hash; /* it is alone */                                                           \
        return oltp(c, kind, nodes, figure);                                                                \
    }
OLTP(update_non_index_4, UPDATE_NON_INDEX, CLUSTER_NODES)
OLTP(write_only_4, WRITE_ONLY, CLUSTER_NODES)
OLTP(read_write_4, READ_WRITE, CLUSTER_NODES)
OLTP(update_non_index_1, UPDATE_NON_INDEX, 1)
OLTP(write_only_1, WRITE_ONLY, 1)
OLTP(read_write_1, READ_WRITE, 1)

const struct bench bench_oltp_list[] = {
    {"oltp_update_non_index", "transactions/s", false, true, update_non_index_4},
    {"oltp_write_only", "transactions/s", false, true, write_only_4},
    {"oltp_read_write", "transactions/s", false, true, read_write_4},
    {"oltp_update_non_index_1", "transactions/s", false, true, update_non_index_1},
    {"oltp_write_only_1", "transactions/s", false, true, write_only_1},
    {"oltp_read_write_1", "transactions/s", false, true, read_write_1},
    {NULL, NULL, false, false, NULL},
};
