/* test_backup_load.c - BACKUP and VACUUM while several sessions commit.
 * Each session moves money between accounts and counts its commits in a row of its own, in one transaction. A backup taken meanwhile must hold: the whole sum (no
 * half transaction), of each session at least the commits that were acknowledged before BACKUP began and no more than were begun when it returned. Held
 * queries go on over a VACUUM. The longest and the 99th commit of a hundred are told, with and without; nothing is asserted about time. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "quartet.h"

#define SESSIONS 4
#define ACCOUNTS 2000
#define BACKUPS 3
#define COMMITS_TIMED_MAX 200000

static char dir[64];
static atomic_int stop;
static int failed;

struct session {
    int number;
    atomic_long begun, acknowledged;
    double *ms;
    atomic_long timed;
    const char *error;
};

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* always there */
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fail(const char *what, quartet_db *db)
{
    fprintf(stderr, "FAILED: %s: %s\n", what, db != NULL ? quartet_errmsg(db) : "");
    failed = 1;
}

static void must(quartet_db *db, const char *sql)
{
    if (quartet_exec(db, sql, NULL, NULL, NULL) != QUARTET_OK)
        fail(sql, db);
}

static int64_t ask(quartet_db *db, const char *sql)
{
    quartet_stmt *s = NULL;
    int64_t v = -1;
    if (quartet_prepare(db, sql, -1, &s, NULL) != QUARTET_OK || quartet_step(s) != QUARTET_ROW)
        fail(sql, db);
    else
        v = quartet_column_int64(s, 0);
    (void)quartet_finalize(s); /* its error was told */
    return v;
}

static quartet_db *open_db(const char *path)
{
    quartet_db *db = NULL;
    if (quartet_open(path, &db) != QUARTET_OK)
        fail(path, db);
    return db;
}

static int one_commit(quartet_db *db, struct session *s, unsigned *seed)
{
    char sql[400];
    int from = rand_r(seed) % ACCOUNTS, to = rand_r(seed) % ACCOUNTS;
    snprintf(sql, sizeof sql,
             "BEGIN; UPDATE account SET money = money - 5 WHERE id = %d; UPDATE account SET money = money + 5 WHERE id = %d; "
             "UPDATE done SET n = n + 1 WHERE session = %d; INSERT INTO event (session, what) VALUES (%d, 'from %d to %d'); COMMIT",
             from, to, s->number, s->number, from, to);
    int rc = quartet_exec(db, sql, NULL, NULL, NULL);
    if (rc != QUARTET_OK && quartet_in_transaction(db))
        (void)quartet_exec(db, "ROLLBACK", NULL, NULL, NULL); /* the first error counts */
    return rc;
}

static void *session_run(void *arg)
{
    struct session *s = arg;
    quartet_db *db = open_db(dir);
    unsigned seed = (unsigned)s->number + 1;
    must(db, "SET synchronous = normal");
    while (!atomic_load(&stop)) {
        double began = now_ms();
        atomic_fetch_add(&s->begun, 1);
        int rc = one_commit(db, s, &seed);
        if (rc == QUARTET_SERIALIZATION) {
            atomic_fetch_sub(&s->begun, 1); /* overtaken: not committed */
            continue;
        }
        if (rc != QUARTET_OK) {
            fail("a commit", db);
            break;
        }
        atomic_fetch_add(&s->acknowledged, 1);
        long k = atomic_load(&s->timed);
        if (k < COMMITS_TIMED_MAX) {
            s->ms[k] = now_ms() - began;
            atomic_store(&s->timed, k + 1);
        }
    }
    (void)quartet_close(db); /* others have it open */
    return NULL;
}

static int cmp_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void tell(struct session *sessions, const long *from, const char *what)
{
    size_t n = 0;
    double *all = malloc(sizeof *all * COMMITS_TIMED_MAX * SESSIONS);
    for (int i = 0; all != NULL && i < SESSIONS; i++)
        for (long k = from[i], z = atomic_load(&sessions[i].timed); k < z; k++)
            all[n++] = sessions[i].ms[k];
    if (all != NULL && n > 0) {
        qsort(all, n, sizeof *all, cmp_double);
        printf("%-16s %7zu commits, p50 %.3f ms, p99 %.3f ms, longest %.1f ms\n", what, n, all[n / 2], all[n * 99 / 100], all[n - 1]);
    }
    free(all);
}

static void mark(struct session *sessions, long *from)
{
    for (int i = 0; i < SESSIONS; i++)
        from[i] = atomic_load(&sessions[i].timed);
}

static void check_copy(const char *path, const long *low, const long *high)
{
    quartet_db *db = open_db(path);
    if (ask(db, "SELECT sum(money) FROM account") != ACCOUNTS * 100L)
        fail("half a transaction: the sum", db);
    for (int i = 0; i < SESSIONS; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT n FROM done WHERE session = %d", i);
        long n = (long)ask(db, sql);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM event WHERE session = %d", i);
        if (n < low[i] || n > high[i] || ask(db, sql) != n) {
            fprintf(stderr, "FAILED: session %d: %ld in the backup, %ld before it, %ld after it\n", i, n, low[i], high[i]);
            failed = 1;
        }
    }
    must(db, "INSERT INTO event (session, what) VALUES (99, 'after the restore')"); /* it can be written */
    if (quartet_close(db) != QUARTET_OK)
        fail("close of the restored one", NULL);
}

static void backup_once(quartet_db *db, struct session *sessions, int k)
{
    char sql[200], path[100], copy[100];
    long low[SESSIONS], high[SESSIONS];
    char *error = NULL;
    snprintf(path, sizeof path, "%s-backup-%d", dir, k);
    snprintf(copy, sizeof copy, "%s-copy-%d", dir, k);
    snprintf(sql, sizeof sql, "BACKUP TO '%s'", path);
    for (int i = 0; i < SESSIONS; i++)
        low[i] = atomic_load(&sessions[i].acknowledged);
    must(db, sql);
    for (int i = 0; i < SESSIONS; i++)
        high[i] = atomic_load(&sessions[i].begun);
    if (quartet_restore(path, copy, &error) != QUARTET_OK) {
        fail(error != NULL ? error : "restore", NULL);
        quartet_free(error);
        return;
    }
    check_copy(copy, low, high);
}

/* A query that was begun before a VACUUM reads on in what it began with. */
static void vacuum_once(quartet_db *db)
{
    quartet_db *reader = open_db(dir);
    quartet_stmt *s = NULL;
    int64_t sum = 0;
    int rc = quartet_prepare(reader, "SELECT money FROM account", -1, &s, NULL);
    for (int i = 0; rc == QUARTET_OK && i < 10; i++)
        sum += quartet_step(s) == QUARTET_ROW ? quartet_column_int64(s, 0) : 0;
    must(db, "VACUUM");
    while (rc == QUARTET_OK && quartet_step(s) == QUARTET_ROW)
        sum += quartet_column_int64(s, 0);
    if (quartet_finalize(s) != QUARTET_OK || sum != ACCOUNTS * 100L)
        fail("a query over a VACUUM", reader);
    if (ask(reader, "SELECT sum(money) FROM account") != ACCOUNTS * 100L)
        fail("a query after a VACUUM", reader);
    (void)quartet_close(reader); /* others have it open */
}

static void fill(quartet_db *db)
{
    must(db, "CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER); CREATE TABLE done (session INTEGER PRIMARY KEY, n INTEGER);"
             "CREATE TABLE event (id INTEGER PRIMARY KEY, session INTEGER, what TEXT); CREATE INDEX event_session ON event (session);"
             "CREATE TABLE filler (id INTEGER PRIMARY KEY, t TEXT); BEGIN");
    char sql[200];
    for (int i = 0; i < ACCOUNTS; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO account VALUES (%d, 100)", i);
        must(db, sql);
    }
    for (int i = 0; i < SESSIONS; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO done VALUES (%d, 0)", i);
        must(db, sql);
    }
    quartet_stmt *s = NULL;
    if (quartet_prepare(db, "INSERT INTO filler VALUES (?, 'some text that is there to make the base a little larger')", -1, &s, NULL) != QUARTET_OK)
        fail("filler", db);
    for (int i = 0; i < 60000; i++)
        if (quartet_bind_int64(s, 1, i) != QUARTET_OK || quartet_step(s) != QUARTET_DONE || quartet_reset(s) != QUARTET_OK)
            fail("filler", db);
    (void)quartet_finalize(s); /* its error was told */
    must(db, "COMMIT");
}

static void wait_for(struct session *s, long more)
{
    struct timespec nap = {.tv_nsec = 2000000};
    long from = atomic_load(&s->acknowledged);
    for (double end = now_ms() + 20000; atomic_load(&s->acknowledged) < from + more && now_ms() < end && !failed;)
        (void)nanosleep(&nap, NULL); /* a short one is a longer wait's beginning */
}

int main(void)
{
    static struct session sessions[SESSIONS];
    pthread_t threads[SESSIONS];
    long from[SESSIONS] = {0};
    char command[200];
    snprintf(dir, sizeof dir, "/tmp/quartet-backup-load-%ld", (long)getpid());
    quartet_db *db = open_db(dir);
    fill(db);
    for (int i = 0; i < SESSIONS; i++) {
        sessions[i].number = i;
        sessions[i].ms = calloc(COMMITS_TIMED_MAX, sizeof(double));
        if (sessions[i].ms == NULL || pthread_create(&threads[i], NULL, session_run, &sessions[i]) != 0)
            return 1;
    }
    wait_for(&sessions[0], 200);
    tell(sessions, from, "alone");
    mark(sessions, from);
    for (int k = 0; k < BACKUPS && !failed; k++) {
        backup_once(db, sessions, k);
        wait_for(&sessions[k % SESSIONS], 20);
    }
    tell(sessions, from, "BACKUP, restore");
    mark(sessions, from);
    for (int k = 0; k < 2 && !failed; k++) {
        vacuum_once(db);
        wait_for(&sessions[k % SESSIONS], 20);
    }
    tell(sessions, from, "VACUUM");
    atomic_store(&stop, 1);
    for (int i = 0; i < SESSIONS; i++)
        pthread_join(threads[i], NULL);
    if (quartet_close(db) != QUARTET_OK)
        fail("close", NULL);
    db = open_db(dir);
    if (ask(db, "SELECT sum(money) FROM account") != ACCOUNTS * 100L || ask(db, "SELECT count(*) FROM event") != ask(db, "SELECT sum(n) FROM done"))
        fail("after it was opened again", db);
    for (int i = 0; i < SESSIONS; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT n FROM done WHERE session = %d", i);
        if (ask(db, sql) != atomic_load(&sessions[i].acknowledged))
            fail("commits after it was opened again", db);
        free(sessions[i].ms);
    }
    if (quartet_close(db) != QUARTET_OK)
        fail("close", NULL);
    snprintf(command, sizeof command, "rm -rf %s %s-*", dir, dir);
    if (system(command) != 0)
        fail(command, NULL);
    return failed;
}
