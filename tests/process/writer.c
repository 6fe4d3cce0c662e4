/* writer.c - writers whose journal tells what must be there at the end.
 * A step is one of three: a line of the journal and +1 on a COUNTER in one transaction; a new row by a single statement; the same two
 * texts of a few rows overwritten by all writers at once, so that concurrent writes collide. A failure is allowed only where the node
 * that the writer was on was down around that time; any other is a violation. */
#include "proc.h"

#include <stdlib.h>
#include <string.h>

#define GRACE_S 5.0 /* after a node came back, or since it went, its clients may still notice */

struct statements {
    quartet_stmt *begin, *commit, *journal, *count, *note, *collide;
};

bool proc_make_tables(struct proc *p, const char *url)
{
    bool ok = proc_exec(p, url,
                        "CREATE TABLE counters (id INTEGER PRIMARY KEY, n INTEGER COUNTER DEFAULT 0, a TEXT, b TEXT);"
                        "CREATE TABLE journal (writer INTEGER, n INTEGER, counter INTEGER, PRIMARY KEY (writer, n));"
                        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); CREATE INDEX notes_text ON notes (text)");
    quartet_db *db = NULL;
    quartet_stmt *stmt = NULL;
    ok = ok && quartet_open(url, &db) == QUARTET_OK && quartet_exec(db, "BEGIN", NULL, NULL, NULL) == QUARTET_OK &&
         quartet_prepare(db, "INSERT INTO counters (id, a) VALUES (?, 'start')", -1, &stmt, NULL) == QUARTET_OK;
    for (int i = 0; ok && i < PROC_COUNTERS; i++)
        ok = quartet_bind_int64(stmt, 1, i) == QUARTET_OK && quartet_step(stmt) == QUARTET_DONE && quartet_reset(stmt) == QUARTET_OK;
    ok = ok && quartet_exec(db, "COMMIT", NULL, NULL, NULL) == QUARTET_OK;
    if (!ok)
        proc_fail(p, "tables: %s", db != NULL ? quartet_errmsg(db) : "not opened");
    (void)quartet_finalize(stmt); /* a failure was told */
    (void)quartet_close(db);      /* likewise */
    return ok;
}

static int run_one(quartet_stmt *stmt)
{
    int rc;
    while ((rc = quartet_step(stmt)) == QUARTET_ROW)
        continue;
    int reset = quartet_reset(stmt);
    return rc == QUARTET_DONE ? reset : rc;
}

static int count_up(struct proc_writer *w, const struct statements *s, uint64_t n, int64_t counter)
{
    int rc = run_one(s->begin);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(s->journal, 1, w->slot);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(s->journal, 2, (int64_t)n);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(s->journal, 3, counter);
    if (rc == QUARTET_OK)
        rc = run_one(s->journal);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(s->count, 1, counter);
    if (rc == QUARTET_OK)
        rc = run_one(s->count);
    return rc == QUARTET_OK ? run_one(s->commit) : rc;
}

static int write_note(struct proc_writer *w, quartet_stmt *stmt, uint64_t n)
{
    char text[64];
    snprintf(text, sizeof text, "note %d-%llu", w->slot, (unsigned long long)n);
    int rc = quartet_bind_int64(stmt, 1, (int64_t)PROC_NEW_NOTE * (w->slot + 1) + (int64_t)n);
    if (rc == QUARTET_OK)
        rc = quartet_bind_text(stmt, 2, text, -1);
    return rc == QUARTET_OK ? run_one(stmt) : rc;
}

static int collide(struct proc_writer *w, quartet_stmt *stmt, uint64_t n)
{
    char text[64];
    snprintf(text, sizeof text, "%d at %llu", w->slot, (unsigned long long)n);
    int rc = quartet_bind_text(stmt, 1, text, -1);
    if (rc == QUARTET_OK)
        rc = quartet_bind_text(stmt, 2, text, -1);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(stmt, 3, (int64_t)(n % 5));
    return rc == QUARTET_OK ? run_one(stmt) : rc;
}

static bool prepare_all(quartet_db *db, struct statements *s)
{
    return quartet_prepare(db, "BEGIN", -1, &s->begin, NULL) == QUARTET_OK && quartet_prepare(db, "COMMIT", -1, &s->commit, NULL) == QUARTET_OK &&
           quartet_prepare(db, "INSERT INTO journal (writer, n, counter) VALUES (?, ?, ?)", -1, &s->journal, NULL) == QUARTET_OK &&
           quartet_prepare(db, "UPDATE counters SET n = n + 1 WHERE id = ?", -1, &s->count, NULL) == QUARTET_OK &&
           quartet_prepare(db, "INSERT INTO notes (id, text) VALUES (?, ?)", -1, &s->note, NULL) == QUARTET_OK &&
           quartet_prepare(db, "UPDATE counters SET a = ?, b = ? WHERE id = ?", -1, &s->collide, NULL) == QUARTET_OK;
}

static void finalize_all(struct statements *s)
{
    quartet_stmt *all[] = {s->begin, s->commit, s->journal, s->count, s->note, s->collide};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        (void)quartet_finalize(all[i]); /* repeats an error that was counted */
}

static void on_notice(void *arg, const char *text)
{
    struct proc_writer *w = arg;
    if (strstr(text, "now on") != NULL)
        w->moves++;
}

/* The slot in "node 2 (127.0.0.1:7402)", or -1. */
static int node_of(quartet_db *db)
{
    const char *where = quartet_where(db);
    return strncmp(where, "node ", 5) == 0 ? (int)strtol(where + 5, NULL, 10) : -1;
}

static bool was_down(struct proc *p, int slot, double began)
{
    return slot >= 0 && slot < CLUSTER_NODES && (p->down[slot] || p->disturbed[slot] + GRACE_S > began);
}

static void note_failure(struct proc_writer *w, quartet_db *db, int rc, int before, double began, uint64_t n)
{
    if (rc == QUARTET_SERIALIZATION) {
        w->again++;
    } else if (rc == QUARTET_UNKNOWN_OUTCOME) {
        w->told[n] = 2;
        w->unknown++;
    } else if (rc == QUARTET_NET) {
        w->lost++;
    }
    bool link = rc == QUARTET_UNKNOWN_OUTCOME || rc == QUARTET_NET, waits = false;
    for (int k = 0; k < CLUSTER_NODES && rc == QUARTET_UNAVAILABLE; k++) /* what this session did last only a node that is down may have: where it is now says so */
        waits = waits || was_down(w->proc, k, began);
    if (waits || rc == QUARTET_SERIALIZATION || (link && (was_down(w->proc, before, began) || was_down(w->proc, node_of(db), began))))
        return;
    w->violations++;
    proc_fail(w->proc, "writer %d, write %llu, on node %d, which was not down: error %d: %s", w->slot, (unsigned long long)n, before, rc,
              quartet_errmsg(db));
}

static void write_until_stopped(struct proc_writer *w, quartet_db *db, struct statements *s)
{
    uint64_t state = w->proc->seed + 7919u * (uint64_t)(w->slot + 1);
    while (!*w->stop && w->next < PROC_WRITES_MAX && w->violations < 5) {
        uint64_t n = w->next++;
        state = state * 6364136223846793005u + 1442695040888963407u;
        int before = node_of(db);
        double began = now_seconds();
        int rc = n % 8 == 6   ? write_note(w, s->note, n)
                 : n % 8 == 7 ? collide(w, s->collide, n)
                              : count_up(w, s, n, (int64_t)((state >> 33) % PROC_COUNTERS));
        double ms = (now_seconds() - began) * 1e3;
        w->slowest_ms = ms > w->slowest_ms ? ms : w->slowest_ms;
        if (rc == QUARTET_OK) {
            w->told[n] = 1;
            w->acknowledged++;
            continue;
        }
        note_failure(w, db, rc, before, began, n);
        if (quartet_in_transaction(db))
            (void)quartet_exec(db, "ROLLBACK", NULL, NULL, NULL); /* the next BEGIN would tell */
    }
}

static void *writer_main(void *arg)
{
    struct proc_writer *w = arg;
    quartet_db *db = NULL;
    struct statements s = {0};
    if (quartet_open(w->url, &db) == QUARTET_OK && prepare_all(db, &s)) {
        quartet_on_notice(db, on_notice, w);
        write_until_stopped(w, db, &s);
    } else {
        w->violations++;
        proc_fail(w->proc, "writer %d cannot begin: %s", w->slot, db != NULL ? quartet_errmsg(db) : "out of memory");
    }
    finalize_all(&s);
    (void)quartet_close(db); /* what was acknowledged is checked at the end */
    return NULL;
}

bool proc_continue_writer(struct proc_writer *w)
{
    w->started = w->told != NULL && pthread_create(&w->thread, NULL, writer_main, w) == 0;
    if (!w->started)
        proc_fail(w->proc, "writer %d could not be started", w->slot);
    return w->started;
}

bool proc_start_writer(struct proc *p, struct proc_writer *w, int slot, atomic_bool *stop)
{
    *w = (struct proc_writer){.proc = p, .slot = slot, .stop = stop, .told = calloc(PROC_WRITES_MAX, 1)};
    cluster_url_from(&p->cluster, slot, w->url, sizeof w->url);
    return proc_continue_writer(w);
}

void proc_join_writer(struct proc_writer *w)
{
    if (w->started)
        pthread_join(w->thread, NULL);
    w->started = false;
}

void proc_free_writer(struct proc_writer *w)
{
    free(w->told);
    w->told = NULL;
}

/* ---- the check ---- */

struct tally {
    struct proc_writer *writers;
    int count;
    uint8_t *seen;    /* writer * PROC_WRITES_MAX + n */
    uint64_t strange; /* rows that nobody wrote, or whose writer was told that they were not */
};

static void mark(struct tally *t, int64_t slot, int64_t n)
{
    for (int k = 0; k < t->count; k++)
        if (t->writers[k].slot == slot && n >= 0 && n < (int64_t)PROC_WRITES_MAX && t->writers[k].told[n] != 0) {
            t->seen[(size_t)k * PROC_WRITES_MAX + (size_t)n] = 1;
            return;
        }
    t->strange++;
}

static bool read_marks(struct tally *t, quartet_db *db, const char *sql, bool notes)
{
    quartet_stmt *stmt = NULL;
    int rc = quartet_prepare(db, sql, -1, &stmt, NULL);
    while (rc == QUARTET_OK && (rc = quartet_step(stmt)) == QUARTET_ROW) {
        int64_t a = quartet_column_int64(stmt, 0);
        mark(t, notes ? a / PROC_NEW_NOTE - 1 : a, notes ? a % PROC_NEW_NOTE : quartet_column_int64(stmt, 1));
        rc = QUARTET_OK;
    }
    (void)quartet_finalize(stmt); /* repeats rc */
    return rc == QUARTET_DONE;
}

void proc_check_node(struct proc *p, int slot, struct proc_writer *writers, int count)
{
    struct tally t = {.writers = writers, .count = count, .seen = calloc((size_t)count, PROC_WRITES_MAX)};
    quartet_db *db = NULL;
    char text[256];
    bool ok = t.seen != NULL && quartet_open(p->cluster.node_url[slot], &db) == QUARTET_OK &&
              read_marks(&t, db, "SELECT writer, n FROM journal", false) && read_marks(&t, db, "SELECT id FROM notes", true);
    if (!ok)
        proc_fail(p, "node %d cannot be read: %s", slot, db != NULL ? quartet_errmsg(db) : "out of memory");
    (void)quartet_close(db); /* only read */
    uint64_t missing = 0;
    for (int k = 0; ok && k < count; k++)
        for (uint64_t n = 0; n < writers[k].next; n++) /* n % 8 == 7 leaves no row of its own */
            missing += n % 8 != 7 && writers[k].told[n] == 1 && !t.seen[(size_t)k * PROC_WRITES_MAX + n];
    if (ok && (missing > 0 || t.strange > 0))
        proc_fail(p, "node %d: %llu acknowledged writes are missing, %llu rows are there that nobody was told of", slot, (unsigned long long)missing,
                  (unsigned long long)t.strange);
    free(t.seen);
    if (ok && (!cluster_ask(p->cluster.node_url[slot], "SELECT (SELECT sum(n) FROM counters) - (SELECT count(*) FROM journal)", text, sizeof text) ||
               strcmp(text, "0") != 0))
        proc_fail(p, "node %d: counters less journal: %s (expected 0)", slot, text);
    if (ok && (!cluster_ask(p->cluster.node_url[slot], "SELECT count(*) FROM counters WHERE a <> 'start' AND a <> b", text, sizeof text) ||
               strcmp(text, "0") != 0))
        proc_fail(p, "node %d: half of a transaction is visible in %s rows", slot, text);
}
