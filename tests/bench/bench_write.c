/* bench_write.c - loads in one transaction, and commits of single rows, from one session and from many. */
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COMMIT_ROWS 100000 /* in the table that single rows are written into */

static const char insert_sql[] = "INSERT INTO t (id, k, g, name, v) VALUES (?, ?, ?, ?, ?)";

static bool bind_row(bench_stmt *s, const struct bench_row *r)
{
    return bench_bind_int(s, 1, r->id) && bench_bind_int(s, 2, r->k) && bench_bind_int(s, 3, r->g) &&
           bench_bind_text(s, 4, r->name, r->name_bytes) && bench_bind_real(s, 5, r->v);
}

static bool insert_row(bench_stmt *s, int64_t id)
{
    struct bench_row r;
    bench_make_row(id, &r);
    return bind_row(s, &r) && bench_run(s);
}

static bool make_table(bench_db *b)
{
    return bench_exec(b, "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, g INTEGER, name TEXT, v REAL)");
}

/* ---- loads ---- */

static bool load(struct bench_ctx *c, enum bench_side side, const int32_t *order, double *figure, uint64_t *check)
{
    char path[4200];
    bench_db *b = NULL;
    bench_stmt *s = NULL;
    bench_path(c, side, path, sizeof path);
    bool ok = bench_open(side, path, BENCH_NORMAL, &b) && make_table(b) && bench_prepare(b, insert_sql, &s);
    double started = bench_now();
    ok = ok && bench_exec(b, "BEGIN");
    for (int64_t i = 0; ok && i < c->rows; i++)
        ok = insert_row(s, order != NULL ? order[i] : i + 1);
    ok = ok && bench_exec(b, "COMMIT");
    *figure = (double)c->rows / (bench_now() - started);
    bench_finalize(s);
    ok = ok && bench_query_hash(b, "SELECT count(*), sum(id), sum(k), sum(g), sum(v), min(name), max(name) FROM t", check);
    ok = bench_close(b) && ok;
    bench_remove(path);
    return ok;
}

static bool load_sequential(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return load(c, side, NULL, figure, check);
}

static bool load_random(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return bench_shuffle(c) && load(c, side, c->shuffled, figure, check);
}

/* ---- single-row commits ---- */

struct commits {
    struct bench_ctx *c;
    enum bench_side side;
    enum bench_sync sync;
    bool update;
    int sessions;
    int64_t first_id;           /* of new rows */
    char path[4200];
    pthread_mutex_t turn;       /* SQLite has one writer: waiting here costs less than its busy handler, which sleeps */
    atomic_bool go, stop;
    atomic_int ready, failed;
    atomic_int_fast64_t done;
};
struct session {
    struct commits *all;
    int number;
    pthread_t thread;
};

static bool commit_one(struct session *me, bench_stmt *s, int64_t n, uint64_t *state)
{
    struct commits *all = me->all;
    if (!all->update)
        return insert_row(s, all->first_id + n * all->sessions + me->number);
    struct bench_row r;
    bench_make_row(1 + (int64_t)(bench_random(state) % (uint64_t)all->first_id) % (all->first_id - 1), &r);
    return bench_bind_int(s, 1, r.k + n) && bench_bind_real(s, 2, r.v) && bench_bind_int(s, 3, r.id) && bench_run(s);
}

static void *commit_session(void *arg)
{
    struct session *me = arg;
    struct commits *all = me->all;
    bench_db *b = NULL;
    bench_stmt *s = NULL;
    uint64_t state = 99u + (uint64_t)me->number;
    bool ok = bench_open(all->side, all->path, all->sync, &b) &&
              bench_prepare(b, all->update ? "UPDATE t SET k = ?, v = ? WHERE id = ?" : insert_sql, &s);
    atomic_fetch_add(&all->ready, 1);
    while (!all->go)
        sched_yield();
    bool turns = all->side == BENCH_SQLITE && all->sessions > 1;
    int64_t n = 0;
    while (ok && !all->stop) {
        if (turns)
            pthread_mutex_lock(&all->turn);
        ok = commit_one(me, s, n++, &state);
        if (turns)
            pthread_mutex_unlock(&all->turn);
        if (ok)
            atomic_fetch_add_explicit(&all->done, 1, memory_order_relaxed);
    }
    if (!ok)
        atomic_fetch_add(&all->failed, 1);
    bench_finalize(s);
    if (!bench_close(b))
        atomic_fetch_add(&all->failed, 1);
    return NULL;
}

/* All sessions begin together and stop together; the figure counts what was acknowledged in between. */
static bool run_sessions(struct commits *all, double *figure)
{
    struct session sessions[32];
    int started = 0;
    for (; started < all->sessions; started++) {
        sessions[started] = (struct session){.all = all, .number = started};
        if (pthread_create(&sessions[started].thread, NULL, commit_session, &sessions[started]) != 0) {
            all->failed++;
            break;
        }
    }
    while (all->ready < started)
        sched_yield();
    double from = bench_now();
    all->go = true;
    while (bench_now() - from < all->c->seconds && all->failed == 0) {
        struct timespec t = {.tv_nsec = 1000000};
        nanosleep(&t, NULL);
    }
    int64_t done = all->done;
    double seconds = bench_now() - from;
    all->stop = true;
    for (int k = 0; k < started; k++)
        pthread_join(sessions[k].thread, NULL);
    *figure = (double)done / seconds;
    return all->failed == 0;
}

static bool commits(struct bench_ctx *c, enum bench_side side, enum bench_sync sync, bool update, int sessions, double *figure)
{
    int64_t rows = c->rows < COMMIT_ROWS ? c->rows : COMMIT_ROWS;
    struct commits all = {.c = c, .side = side, .sync = sync, .update = update, .sessions = sessions, .first_id = rows + 1,
                          .turn = PTHREAD_MUTEX_INITIALIZER};
    bench_db *b = NULL;
    bench_stmt *s = NULL;
    bench_path(c, side, all.path, sizeof all.path);
    bool ok = bench_open(side, all.path, BENCH_NORMAL, &b) && make_table(b) && bench_prepare(b, insert_sql, &s) && bench_exec(b, "BEGIN");
    for (int64_t i = 1; ok && i <= rows; i++)
        ok = insert_row(s, i);
    ok = ok && bench_exec(b, "COMMIT");
    bench_finalize(s);
    s = NULL;
    ok = ok && run_sessions(&all, figure);
    /* What was acknowledged must be there. */
    bool row = false;
    ok = ok && bench_prepare(b, "SELECT count(*) FROM t", &s) && bench_step(s, &row) && row;
    if (ok && bench_int(s, 0) != rows + (update ? 0 : all.done))
        ok = bench_fail("commits", "the table does not hold what was acknowledged");
    bench_finalize(s);
    ok = bench_close(b) && ok;
    bench_remove(all.path);
    return ok;
}

static bool insert_normal(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)check; /* the count is compared inside */
    return commits(c, side, BENCH_NORMAL, false, 1, figure);
}

static bool update_normal(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)check; /* likewise */
    return commits(c, side, BENCH_NORMAL, true, 1, figure);
}

static bool insert_full(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)check; /* likewise */
    return commits(c, side, BENCH_FULL, false, 1, figure);
}

static bool update_full(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)check; /* likewise */
    return commits(c, side, BENCH_FULL, true, 1, figure);
}

static bool insert_full_8(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)check; /* likewise */
    return commits(c, side, BENCH_FULL, false, 8, figure);
}

static bool insert_full_32(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)check; /* likewise */
    return commits(c, side, BENCH_FULL, false, 32, figure);
}

const struct bench bench_write_list[] = {
    {"load_sequential", "rows/s", false, false, load_sequential},
    {"load_random", "rows/s", false, false, load_random},
    {"insert_normal", "commits/s", false, false, insert_normal},
    {"update_normal", "commits/s", false, false, update_normal},
    {"insert_full", "commits/s", false, false, insert_full},
    {"update_full", "commits/s", false, false, update_full},
    {"insert_full_8", "commits/s", false, false, insert_full_8},
    {"insert_full_32", "commits/s", false, false, insert_full_32},
    {NULL, NULL, false, false, NULL},
};
