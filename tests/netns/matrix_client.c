/* matrix_client.c - the clients of a cell: writers, which keep what they were told, and readers, which look. See matrix.h.
 * A writer begins with its own node and moves on where that fails; a reader has one node only. What may fail: see may_fail(). */
#include "netns/matrix.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_S 6.0      /* after a node came back, or since it went, its clients may still notice */
#define LOOK_EVERY_MS 200
#define FOUND_MAX 8      /* that are printed of one cell */

void matrix_found(struct cell *x, const char *format, ...)
{
    char text[sizeof x->first];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pthread_mutex_lock(&x->lock);
    if (x->found++ == 0)
        memcpy(x->first, text, sizeof text);
    if (!x->wrong && x->found <= FOUND_MAX)
        proc_fail(&x->p, "%s x %s: %s", x->work->name, x->fault->name, text);
    pthread_mutex_unlock(&x->lock);
}

uint64_t matrix_draw(struct client *c, uint64_t below)
{
    uint64_t z = c->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

static char *make_sql(char *out, size_t n, const char *format, va_list args) __attribute__((format(printf, 3, 0)));
static char *make_sql(char *out, size_t n, const char *format, va_list args)
{
    if (vsnprintf(out, n, format, args) >= (int)n)
        abort(); /* a statement of the table is too long for this file */
    return out;
}

int matrix_run(struct client *c, const char *format, ...)
{
    char sql[2048];
    va_list args;
    va_start(args, format);
    make_sql(sql, sizeof sql, format, args);
    va_end(args);
    int rc = quartet_exec(c->db, sql, NULL, NULL, NULL);
    if (rc != QUARTET_OK && quartet_in_transaction(c->db))
        (void)quartet_exec(c->db, "ROLLBACK", NULL, NULL, NULL); /* the next BEGIN would tell */
    return rc;
}

static int first_value(void *arg, int columns, char **values, char **names)
{
    (void)names; /* not asked for */
    *(int64_t *)arg = columns > 0 && values[0] != NULL ? strtoll(values[0], NULL, 10) : 0;
    return 0;
}

int matrix_number(struct client *c, int64_t *out, const char *format, ...)
{
    char sql[1024];
    va_list args;
    va_start(args, format);
    make_sql(sql, sizeof sql, format, args);
    va_end(args);
    *out = 0;
    int rc = quartet_exec(c->db, sql, first_value, out, NULL);
    if (rc != QUARTET_OK && quartet_in_transaction(c->db))
        (void)quartet_exec(c->db, "ROLLBACK", NULL, NULL, NULL); /* likewise */
    return rc;
}

const char *matrix_journal(struct client *c, uint64_t n, int kind, int64_t a, int64_t b, int64_t v)
{
    snprintf(c->line, sizeof c->line, "INSERT INTO journal VALUES (%d, %llu, %lld, %d, %lld, %lld, %lld)", c->slot, (unsigned long long)n, (long long)c->last, kind, (long long)a, (long long)b,
             (long long)v);
    return c->line;
}

/* ---- writers ---- */

/* The slot in "node 2 (127.0.0.1:7402)", or -1. */
static int node_of(quartet_db *db)
{
    const char *where = quartet_where(db);
    return strncmp(where, "node ", 5) == 0 ? (int)strtol(where + 5, NULL, 10) : -1;
}

static bool is_disturbed(struct cell *x, int slot, double since)
{
    return slot >= 0 && slot < CLUSTER_NODES && (x->p.down[slot] || x->p.disturbed[slot] + GRACE_S > since);
}

/* Whether this answer may be given now. One node that is disturbed is not an excuse for another, but that a session may have to wait for what only that one has. */
static bool may_fail(struct client *c, int rc, int before, double began)
{
    struct cell *x = c->cell;
    if (rc == QUARTET_SERIALIZATION || (rc < 32 && (x->work->refuses & MATRIX_STATUS(rc)) != 0))
        return true;
    if (rc == QUARTET_NET && strstr(quartet_errmsg(c->db), "rolled back by failover") != NULL)
        return true; /* a node that got no processor for 600 ms is silent, too: "run it again" */
    if (rc >= 32 || (x->fault->fails & MATRIX_STATUS(rc)) == 0)
        return false;
    bool any = false;
    for (int k = 0; k < CLUSTER_NODES; k++)
        any = any || is_disturbed(x, k, began);
    return is_disturbed(x, before, began) || is_disturbed(x, node_of(c->db), began) || (rc == QUARTET_UNAVAILABLE && any);
}

static void keep_unknown(struct client *c, uint64_t n)
{
    c->told[n] = TOLD_UNKNOWN;
    if (c->unknown_count == MATRIX_UNKNOWN_MAX) {
        matrix_found(c->cell, "writer %d has more than %u transactions of unknown outcome", c->slot, MATRIX_UNKNOWN_MAX);
        return;
    }
    struct unknown_commit *u = &c->unknown[c->unknown_count++];
    u->n = n;
    snprintf(u->name, sizeof u->name, "%s", quartet_unknown_transaction(c->db));
}

static void write_one(struct client *c)
{
    struct cell *x = c->cell;
    uint64_t n = c->next++;
    int before = node_of(c->db);
    double began = now_seconds();
    c->kind[n] = 0;
    int rc = x->work->write(c, n);
    if (rc == QUARTET_OK) {
        c->told[n] = TOLD_DONE;
        c->acknowledged++;
        if (c->kind[n] == 0)
            c->last = (int64_t)n;
        return;
    }
    if (x->trace)
        printf("%.3f writer %d, transaction %llu, began %.3f: error %d: %s\n", now_seconds(), c->slot, (unsigned long long)n, began, rc, quartet_errmsg(c->db));
    if (rc == QUARTET_UNKNOWN_OUTCOME)
        keep_unknown(c, n);
    else if (rc == QUARTET_SERIALIZATION || (rc == QUARTET_NET && strstr(quartet_errmsg(c->db), "rolled back by failover") != NULL))
        c->again++;
    else if (rc < 32 && (x->work->refuses & MATRIX_STATUS(rc)) != 0)
        c->refused++;
    else
        c->failed++;
    if (!may_fail(c, rc, before, began))
        matrix_found(x, "writer %d, transaction %llu, on node %d (now %s): error %d after %.0f ms: %s", c->slot, (unsigned long long)n, before, quartet_where(c->db), rc,
                     (now_seconds() - began) * 1e3, quartet_errmsg(c->db));
}

static void on_notice(void *arg, const char *text)
{
    struct client *c = arg;
    if (c->cell->trace)
        printf("%.3f writer %d, transaction %llu: %s\n", now_seconds(), c->slot, (unsigned long long)c->next - 1, text);
}

static void *writer_main(void *arg)
{
    struct client *c = arg;
    /* Two of the four wait for another node's disk. */
    if (quartet_open(c->url, &c->db) != QUARTET_OK ||
        quartet_exec(c->db, c->slot % 2 == 1 ? "SET commit_acks = 1; SET commit_acks_timeout = 300; SET share_timeout = 500" : "SET share_timeout = 500", NULL, NULL, NULL) != QUARTET_OK)
        matrix_found(c->cell, "writer %d cannot begin: %s", c->slot, c->db != NULL ? quartet_errmsg(c->db) : "out of memory");
    else {
        quartet_on_notice(c->db, on_notice, c);
        while (!c->cell->stop && c->next < MATRIX_WRITES_MAX && c->cell->found < 100) {
            write_one(c);
            pause_ms(1 + (long)matrix_draw(c, 3));
        }
    }
    (void)quartet_close(c->db); /* what was acknowledged is checked at the end */
    c->db = NULL;
    return NULL;
}

/* ---- readers ---- */

static int copy_value(void *arg, int columns, char **values, char **names)
{
    (void)names; /* not asked for */
    snprintf(arg, 64, "%s", columns > 0 && values[0] != NULL ? values[0] : "NULL");
    return 0;
}

static const struct look common_looks[] = {
    /* What a writer had acknowledged before, on whatever node, is there. */
    {"SELECT coalesce(min(j.w || ': ' || j.n || ' without ' || j.prev), 'none') FROM journal j LEFT JOIN journal p ON p.w = j.w AND p.n = j.prev WHERE j.prev >= 0 AND p.n IS NULL", "none"}, {NULL, NULL}};

/* False: the node does not answer, and may. */
static bool look_all(struct client *c, const struct look *l)
{
    char got[64] = "no row";
    for (; l != NULL && l->sql != NULL; l++) {
        double began = now_seconds();
        int rc = quartet_exec(c->db, l->sql, copy_value, got, NULL);
        if (rc != QUARTET_OK) {
            if ((rc == QUARTET_NET || rc == QUARTET_UNAVAILABLE) && may_fail(c, rc, c->slot, began))
                return false;
            matrix_found(c->cell, "reader of node %d: %s: error %d: %s", c->slot, l->sql, rc, quartet_errmsg(c->db));
            return false;
        }
        if (strcmp(got, l->want) != 0)
            matrix_found(c->cell, "node %d: %s: %s, expected %s", c->slot, l->sql, got, l->want);
    }
    return true;
}

/* A client moves where its node fails, with what it has seen; the next look is at the own node again, as a new session. */
static bool is_at_home(struct client *c)
{
    double began = now_seconds();
    if (c->db != NULL && node_of(c->db) == c->slot)
        return true;
    (void)quartet_close(c->db); /* only read */
    c->most = 0;
    int rc = quartet_open(c->url, &c->db);
    if (rc != QUARTET_OK && !may_fail(c, rc, c->slot, began))
        matrix_found(c->cell, "the reader of node %d cannot begin: %s", c->slot, c->db != NULL ? quartet_errmsg(c->db) : "out of memory");
    return rc == QUARTET_OK;
}

static void look_once(struct client *c)
{
    int64_t rows = 0;
    if (!is_at_home(c) || !look_all(c, c->cell->work->looks) || !look_all(c, common_looks) || matrix_number(c, &rows, "SELECT count(*) FROM journal") != QUARTET_OK)
        return;
    if (rows < c->most)
        matrix_found(c->cell, "node %d: a reader saw %lld transactions, and then %lld", c->slot, (long long)c->most, (long long)rows);
    c->most = rows;
    c->looks++;
}

static void *reader_main(void *arg)
{
    struct client *c = arg;
    while (!c->cell->stop && c->cell->found < 100) {
        look_once(c);
        pause_ms(LOOK_EVERY_MS / 2 + (long)matrix_draw(c, LOOK_EVERY_MS));
    }
    (void)quartet_close(c->db); /* only read */
    c->db = NULL;
    return NULL;
}

/* ---- all of them ---- */

static bool start(struct cell *x, struct client *c, int slot, bool writer)
{
    *c = (struct client){.cell = x, .slot = slot, .last = -1, .random = x->p.seed * 31 + (uint64_t)slot * 2 + writer};
    if (writer) {
        cluster_url_from(&x->p.cluster, slot, c->url, sizeof c->url);
        c->told = calloc(MATRIX_WRITES_MAX, 1);
        c->kind = calloc(MATRIX_WRITES_MAX, 1);
        c->unknown = calloc(MATRIX_UNKNOWN_MAX, sizeof *c->unknown);
    } else {
        snprintf(c->url, sizeof c->url, "%s", x->p.cluster.node_url[slot]);
    }
    c->started = (!writer || (c->told != NULL && c->kind != NULL && c->unknown != NULL)) && pthread_create(&c->thread, NULL, writer ? writer_main : reader_main, c) == 0;
    if (!c->started)
        matrix_found(x, "a client could not be started");
    return c->started;
}

bool matrix_start_clients(struct cell *x)
{
    bool ok = true;
    x->stop = false;
    for (int k = 0; k < CLUSTER_NODES; k++)
        ok = start(x, &x->writers[k], k, true) && start(x, &x->readers[k], k, false) && ok;
    return ok;
}

void matrix_join_clients(struct cell *x)
{
    x->stop = true;
    for (int k = 0; k < 2 * CLUSTER_NODES; k++) {
        struct client *c = k < CLUSTER_NODES ? &x->writers[k] : &x->readers[k - CLUSTER_NODES];
        if (c->started)
            pthread_join(c->thread, NULL);
        c->started = false;
    }
}

void matrix_free_clients(struct cell *x)
{
    for (int k = 0; k < CLUSTER_NODES; k++) {
        free(x->writers[k].told);
        free(x->writers[k].kind);
        free(x->writers[k].unknown);
    }
}

/* ---- the end ---- */

void matrix_ask_unknown(struct cell *x)
{
    quartet_db *db = NULL;
    if (quartet_open(x->p.cluster.url, &db) != QUARTET_OK)
        matrix_found(x, "no node answers: %s", db != NULL ? quartet_errmsg(db) : "out of memory");
    else
        for (int k = 0; k < CLUSTER_NODES; k++)
            for (uint32_t i = 0; i < x->writers[k].unknown_count; i++) {
                struct unknown_commit *u = &x->writers[k].unknown[i];
                int outcome = QUARTET_OUTCOME_UNKNOWN, rc = quartet_outcome(db, u->name, 3000, &outcome);
                if (rc != QUARTET_OK || outcome == QUARTET_OUTCOME_UNKNOWN)
                    matrix_found(x, "all nodes are back, and none tells what became of transaction %llu of writer %d (%s): %s", (unsigned long long)u->n, k, u->name,
                                 rc == QUARTET_OK ? "unknown" : quartet_errmsg(db));
                else
                    x->writers[k].told[u->n] = outcome == QUARTET_COMMITTED ? TOLD_DONE : TOLD_FAILED;
            }
    (void)quartet_close(db); /* only asked */
}

/* The rows of `journal` against what the writers were told. */
static void check_journal(struct cell *x, int slot)
{
    uint8_t *seen = calloc(CLUSTER_NODES, MATRIX_WRITES_MAX);
    quartet_db *db = NULL;
    quartet_stmt *s = NULL;
    uint64_t strange = 0, missing = 0;
    int rc = seen == NULL ? QUARTET_NOMEM : quartet_open(x->p.cluster.node_url[slot], &db);
    if (rc == QUARTET_OK)
        rc = quartet_prepare(db, "SELECT w, n FROM journal", -1, &s, NULL);
    while (rc == QUARTET_OK && (rc = quartet_step(s)) == QUARTET_ROW) {
        int64_t w = quartet_column_int64(s, 0), n = quartet_column_int64(s, 1);
        bool known = w >= 0 && w < CLUSTER_NODES && n >= 0 && n < (int64_t)x->writers[w].next;
        if (known)
            seen[w * MATRIX_WRITES_MAX + n] = 1;
        strange += !known || x->writers[w].told[n] == TOLD_FAILED;
        rc = QUARTET_OK;
    }
    if (rc != QUARTET_DONE)
        matrix_found(x, "node %d cannot be read: %s", slot, db != NULL ? quartet_errmsg(db) : "out of memory");
    for (int k = 0; rc == QUARTET_DONE && k < CLUSTER_NODES; k++)
        for (uint64_t n = 0; n < x->writers[k].next; n++)
            missing += x->writers[k].told[n] == TOLD_DONE && x->writers[k].kind[n] == 0 && !seen[(uint64_t)k * MATRIX_WRITES_MAX + n];
    if (missing > 0 || strange > 0)
        matrix_found(x, "node %d: %llu acknowledged transactions are missing, %llu are there that failed", slot, (unsigned long long)missing, (unsigned long long)strange);
    (void)quartet_finalize(s); /* a failure was told */
    (void)quartet_close(db);   /* likewise */
    free(seen);
}

void matrix_check_node(struct cell *x, int slot)
{
    struct client c = {.cell = x, .slot = slot};
    check_journal(x, slot);
    if (quartet_open(x->p.cluster.node_url[slot], &c.db) != QUARTET_OK)
        matrix_found(x, "node %d: %s", slot, c.db != NULL ? quartet_errmsg(c.db) : "out of memory");
    else if (!look_all(&c, common_looks) || !look_all(&c, x->work->looks) || !look_all(&c, x->work->ends))
        matrix_found(x, "node %d does not answer", slot);
    (void)quartet_close(c.db); /* only read */
    if (x->work->check != NULL)
        x->work->check(x, slot);
}
