/* demo_write.c - the load through one node, and four writers at once, one on each node.
 * A writer's step is one transaction: a line of its journal and +1 on a city's COUNTER, or a new city. So at the end the journal tells
 * exactly what every counter must show, also where a kill left an outcome unknown. */
#include "demo.h"

#include <stdlib.h>
#include <string.h>

#include "csv.h"

#define LOAD_ROWS 100     /* rows of one INSERT */
#define LOAD_COMMIT 2000  /* rows of one transaction */
#define CITY_COLUMNS 7

static bool told_error(quartet_db *db, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, db != NULL ? quartet_errmsg(db) : "out of memory");
    return false;
}

static void load_progress(struct demo *d, int64_t rows, int64_t total, double started, bool last)
{
    static const char *const ends[] = {"", "\r\033[K"};
    double seconds = now_seconds() - started;
    double part = total > 0 ? (double)rows / (double)total : 1;
    if (!d->tty) {
        if (last)
            printf("loaded %lld cities through node 1 in %.1f s (%.0f rows/s)\n", (long long)rows, seconds, (double)rows / seconds);
        return;
    }
    printf("%sloading through node 1 [", ends[1]);
    for (int i = 0; i < 30; i++)
        fputs(i < (int)(part * 30) ? "█" : "·", stdout);
    printf("] %lld rows, %.0f/s%s", (long long)rows, (double)rows / (seconds > 0 ? seconds : 1), last ? "\n" : "");
    fflush(stdout);
}

static quartet_stmt *prepare_rows(quartet_db *db, int rows)
{
    char sql[16384];
    size_t n = (size_t)snprintf(sql, sizeof sql, "INSERT INTO cities (id, name, lat, lng, country, admin1, admin2) VALUES ");
    for (int r = 0; r < rows; r++)
        n += (size_t)snprintf(sql + n, sizeof sql - n, "%s(?,?,?,?,?,?,?)", r > 0 ? "," : "");
    quartet_stmt *stmt = NULL;
    return quartet_prepare(db, sql, -1, &stmt, NULL) == QUARTET_OK ? stmt : NULL;
}

static int64_t count_lines(FILE *f)
{
    int64_t lines = 0;
    int ch, before = '\n';
    while ((ch = getc(f)) != EOF) {
        lines += ch == '\n';
        before = ch;
    }
    rewind(f);
    return lines + (before != '\n') - 1; /* without the header */
}

static bool bind_city(struct demo *d, struct csv *csv, quartet_stmt *stmt, int row)
{
    int64_t id = strtoll(csv->fields[0].text, NULL, 10);
    if (d->cities == 0)
        d->first_city = id;
    d->last_city = id;
    d->cities++;
    for (int c = 0; c < CITY_COLUMNS; c++)
        if (quartet_bind_text(stmt, row * CITY_COLUMNS + c + 1, csv->fields[c].text, (int64_t)csv->fields[c].n) != QUARTET_OK)
            return false;
    return true;
}

/* The rows of the file, in transactions of LOAD_COMMIT. */
static bool load_rows(struct demo *d, quartet_db *db, struct csv *csv, int64_t total)
{
    double started = now_seconds(), drawn = 0;
    quartet_stmt *many = prepare_rows(db, LOAD_ROWS);
    bool ok = many != NULL && quartet_exec(db, "BEGIN", NULL, NULL, NULL) == QUARTET_OK, more = ok;
    while (ok && more && !d->interrupted) {
        if (now_seconds() > d->deadline) {
            fprintf(stderr, "the load takes longer than this demonstration may\n");
            ok = false;
            break;
        }
        int rows = 0;
        while (rows < LOAD_ROWS && (more = csv_next(csv)))
            if (csv->count != CITY_COLUMNS || !bind_city(d, csv, many, rows++))
                return told_error(db, "a line of the cities file has not seven fields");
        quartet_stmt *stmt = rows == LOAD_ROWS ? many : rows > 0 ? prepare_rows(db, rows) : NULL;
        if (rows > 0) {
            ok = stmt != NULL && (stmt == many || quartet_bind_copy(stmt, many) == QUARTET_OK) && quartet_step(stmt) == QUARTET_DONE;
            if (stmt != many)
                (void)quartet_finalize(stmt); /* its error is told below */
            else
                ok = quartet_reset(stmt) == QUARTET_OK && ok;
        }
        if (ok && (d->cities % LOAD_COMMIT == 0 || !more))
            ok = quartet_exec(db, more ? "COMMIT; BEGIN" : "COMMIT", NULL, NULL, NULL) == QUARTET_OK;
        if (now_seconds() - drawn > 0.1) {
            drawn = now_seconds();
            load_progress(d, d->cities, total, started, false);
        }
    }
    (void)quartet_finalize(many); /* its error, if any, is told below */
    if (!ok || csv->error != NULL)
        return told_error(db, csv->error != NULL ? csv->error : "load");
    load_progress(d, d->cities, total, started, true);
    return !d->interrupted;
}

bool demo_load(struct demo *d, FILE *cities)
{
    quartet_db *db = NULL;
    struct csv csv;
    int64_t total = count_lines(cities);
    csv_init(&csv, cities);
    bool ok = quartet_open(d->cluster.node_url[1], &db) == QUARTET_OK &&
              quartet_exec(db,
                           "CREATE TABLE cities (id INTEGER PRIMARY KEY, name TEXT, lat REAL, lng REAL, country TEXT, admin1 TEXT,"
                           " admin2 TEXT, visits INTEGER COUNTER DEFAULT 0);"
                           "CREATE TABLE journal (writer INTEGER, n INTEGER, city INTEGER, PRIMARY KEY (writer, n))",
                           NULL, NULL, NULL) == QUARTET_OK;
    if (!ok)
        told_error(db, "node 1");
    ok = ok && csv_next(&csv) && load_rows(d, db, &csv, total);
    csv_deinit(&csv);
    if (quartet_close(db) != QUARTET_OK)
        ok = false;
    return ok;
}

/* ---- writers ---- */

static void on_notice(void *arg, const char *text)
{
    struct demo_writer *w = arg;
    if (strstr(text, "now on") != NULL)
        atomic_fetch_add(&w->moves, 1);
}

static int run_one(quartet_stmt *stmt)
{
    int rc;
    while ((rc = quartet_step(stmt)) == QUARTET_ROW)
        continue;
    int reset = quartet_reset(stmt);
    return rc == QUARTET_DONE ? reset : rc;
}

struct statements {
    quartet_stmt *begin, *commit, *journal, *visit, *insert;
};

static int one_visit(struct demo_writer *w, const struct statements *s, uint64_t n, int64_t city)
{
    int rc = run_one(s->begin);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(s->journal, 1, w->slot);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(s->journal, 2, (int64_t)n);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(s->journal, 3, city);
    if (rc == QUARTET_OK)
        rc = run_one(s->journal);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(s->visit, 1, city);
    if (rc == QUARTET_OK)
        rc = run_one(s->visit);
    return rc == QUARTET_OK ? run_one(s->commit) : rc;
}

static int one_insert(struct demo_writer *w, const struct statements *s, uint64_t n)
{
    char name[64];
    snprintf(name, sizeof name, "New town %d-%llu", w->slot, (unsigned long long)n);
    int rc = quartet_bind_int64(s->insert, 1, (int64_t)DEMO_NEW_CITY * (w->slot + 1) + (int64_t)n);
    if (rc == QUARTET_OK)
        rc = quartet_bind_text(s->insert, 2, name, -1);
    return rc == QUARTET_OK ? run_one(s->insert) : rc;
}

static bool prepare_all(quartet_db *db, struct statements *s)
{
    return quartet_prepare(db, "BEGIN", -1, &s->begin, NULL) == QUARTET_OK &&
           quartet_prepare(db, "COMMIT", -1, &s->commit, NULL) == QUARTET_OK &&
           quartet_prepare(db, "INSERT INTO journal (writer, n, city) VALUES (?, ?, ?)", -1, &s->journal, NULL) == QUARTET_OK &&
           quartet_prepare(db, "UPDATE cities SET visits = visits + 1 WHERE id = ?", -1, &s->visit, NULL) == QUARTET_OK &&
           quartet_prepare(db, "INSERT INTO cities (id, name, country) VALUES (?, ?, 'QQ')", -1, &s->insert, NULL) == QUARTET_OK;
}

static void finalize_all(struct statements *s)
{
    (void)quartet_finalize(s->begin); /* each repeats an error that was counted */
    (void)quartet_finalize(s->commit); /* likewise */
    (void)quartet_finalize(s->journal); /* likewise */
    (void)quartet_finalize(s->visit); /* likewise */
    (void)quartet_finalize(s->insert); /* likewise */
}

static void *write_until_stopped(void *arg)
{
    struct demo_writer *w = arg;
    struct demo *d = w->demo;
    quartet_db *db = NULL;
    struct statements s = {0};
    uint64_t state = 77u + (uint64_t)w->slot;
    if (quartet_open(w->url, &db) != QUARTET_OK || !prepare_all(db, &s)) {
        snprintf(w->last_error, sizeof w->last_error, "%s", db != NULL ? quartet_errmsg(db) : "out of memory");
        atomic_fetch_add(&w->refused, 1);
        finalize_all(&s);
        (void)quartet_close(db); /* it never opened */
        return NULL;
    }
    quartet_on_notice(db, on_notice, w);
    /* What was committed last is then on another node, too, whichever is killed: the session goes on elsewhere without waiting for it. */
    if (quartet_exec(db, "SET commit_acks = 1", NULL, NULL, NULL) != QUARTET_OK)
        atomic_fetch_add(&w->refused, 1);
    while (!d->stop && w->next < DEMO_WRITES_MAX) {
        uint64_t n = w->next++;
        state = state * 6364136223846793005u + 1442695040888963407u;
        int64_t city = d->first_city + (int64_t)((state >> 33) % (uint64_t)(d->last_city - d->first_city + 1));
        int rc = n % 5 == 4 ? one_insert(w, &s, n) : one_visit(w, &s, n, city);
        if (rc == QUARTET_OK) {
            w->told[n] = 1;
            atomic_fetch_add(&w->acknowledged, 1);
            continue;
        }
        /* Inside a transaction a lost link means it never committed, unless it was the COMMIT whose answer was lost. */
        if (rc == QUARTET_UNKNOWN_OUTCOME) {
            w->told[n] = 2;
            atomic_fetch_add(&w->unknown, 1);
        } else if (rc != QUARTET_NET && rc != QUARTET_SERIALIZATION && rc != QUARTET_UNAVAILABLE) { /* the last: not run, the node has yet to get what this session has seen */
            snprintf(w->last_error, sizeof w->last_error, "%s", quartet_errmsg(db));
            atomic_fetch_add(&w->refused, 1);
        }
        if (quartet_in_transaction(db))
            (void)quartet_exec(db, "ROLLBACK", NULL, NULL, NULL); /* the next BEGIN would tell */
    }
    finalize_all(&s);
    if (quartet_close(db) != QUARTET_OK)
        atomic_fetch_add(&w->refused, 1);
    return NULL;
}

bool demo_start_writers(struct demo *d)
{
    for (int k = 0; k < CLUSTER_NODES; k++) {
        struct demo_writer *w = &d->writers[k];
        w->demo = d;
        w->slot = k;
        w->told = calloc(DEMO_WRITES_MAX, 1);
        cluster_url_from(&d->cluster, k, w->url, sizeof w->url);
        if (w->told == NULL || pthread_create(&w->thread, NULL, write_until_stopped, w) != 0) {
            fprintf(stderr, "writer %d could not be started\n", k);
            return false;
        }
        w->started = true;
    }
    return true;
}

void demo_join_writers(struct demo *d)
{
    d->stop = true;
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (d->writers[k].started) {
            pthread_join(d->writers[k].thread, NULL);
            d->writers[k].started = false;
        }
}
