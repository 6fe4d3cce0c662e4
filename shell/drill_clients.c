/* drill_clients.c - the clients of quartet drill: they write all the time, keep what they were told and how long they waited for it. */
#include "drill.h"

#include <stdio.h>
#include <stdlib.h>

enum { TOLD_YES = 1, TOLD_UNKNOWN = 2, TOLD_NO = 3 };

static void acknowledged(struct drill_client *c, uint64_t n)
{
    double now = now_seconds(), last = c->last_ack;
    unsigned phase = c->drill->phase;
    c->told[n] = TOLD_YES;
    if (last > 0 && now - last > c->gap[phase])
        c->gap[phase] = now - last;
    c->last_ack = now;
    atomic_fetch_add(&c->acknowledged, 1);
}

static int insert(quartet_stmt *stmt, int slot, uint64_t n)
{
    int rc = quartet_bind_int64(stmt, 1, slot);
    if (rc == QUARTET_OK)
        rc = quartet_bind_int64(stmt, 2, (int64_t)n);
    if (rc == QUARTET_OK)
        rc = quartet_step(stmt);
    int reset = quartet_reset(stmt);
    return rc == QUARTET_DONE ? reset : rc;
}

static bool open_client(struct drill_client *c, quartet_db **db, quartet_stmt **stmt)
{
    char acks[64];
    snprintf(acks, sizeof acks, "SET commit_acks = %d", c->drill->commit_acks);
    bool ok = quartet_open(c->url, db) == QUARTET_OK && quartet_exec(*db, acks, NULL, NULL, NULL) == QUARTET_OK &&
              quartet_prepare(*db, "INSERT INTO drill (client, n) VALUES (?, ?)", -1, stmt, NULL) == QUARTET_OK;
    if (!ok)
        snprintf(c->last_error, sizeof c->last_error, "%s", *db != NULL ? quartet_errmsg(*db) : "out of memory");
    return ok;
}

static void *write_until_stopped(void *arg)
{
    struct drill_client *c = arg;
    quartet_db *db = NULL;
    quartet_stmt *stmt = NULL;
    bool ok = open_client(c, &db, &stmt);
    while (ok && !c->drill->stop && c->next < DRILL_WRITES_MAX) {
        uint64_t n = c->next++;
        int rc = insert(stmt, c->slot, n);
        if (rc == QUARTET_OK) {
            acknowledged(c, n);
            continue;
        }
        snprintf(c->last_error, sizeof c->last_error, "%s", quartet_errmsg(db));
        c->told[n] = rc == QUARTET_UNKNOWN_OUTCOME ? TOLD_UNKNOWN : TOLD_NO;
        atomic_fetch_add(rc == QUARTET_UNKNOWN_OUTCOME ? &c->unknown : &c->failed, 1);
    }
    if (!ok)
        atomic_fetch_add(&c->failed, 1);
    (void)quartet_finalize(stmt); /* repeats an error that was counted */
    (void)quartet_close(db);      /* every statement was a transaction of its own */
    return NULL;
}

bool drill_start_clients(struct drill *d)
{
    for (int k = 0; k < CLUSTER_NODES; k++) {
        struct drill_client *c = &d->clients[k];
        c->drill = d;
        c->slot = k;
        c->told = calloc(DRILL_WRITES_MAX, 1); /* pages that nobody touches cost nothing */
        cluster_url_from(&d->cluster, k, c->url, sizeof c->url);
        if (c->told == NULL || pthread_create(&c->thread, NULL, write_until_stopped, c) != 0) {
            snprintf(d->cluster.error, sizeof d->cluster.error, "client %d could not be started", k);
            return false;
        }
        c->started = true;
    }
    return true;
}

void drill_join_clients(struct drill *d)
{
    d->stop = true;
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (d->clients[k].started) {
            pthread_join(d->clients[k].thread, NULL);
            d->clients[k].started = false;
        }
}

/* ---- one node ---- */

static bool failed(struct drill *d, int slot, quartet_db *db)
{
    snprintf(d->cluster.error, sizeof d->cluster.error, "node %d: %s", slot, db != NULL ? quartet_errmsg(db) : "out of memory");
    return false;
}

bool drill_exec(struct drill *d, int slot, const char *sql)
{
    char answer[512];
    if (cluster_ask(d->cluster.node_url[slot], sql, answer, sizeof answer))
        return true;
    snprintf(d->cluster.error, sizeof d->cluster.error, "node %d: %s", slot, answer);
    return false;
}

bool drill_shows(struct drill *d, int slot, const char *sql)
{
    char answer[512];
    return cluster_ask(d->cluster.node_url[slot], sql, answer, sizeof answer) && answer[0] != '\0';
}

/* *missing: acknowledged, not there; *ghosts: there, although its client was told that it failed. */
static bool check_node(struct drill *d, int slot, uint64_t *missing, uint64_t *ghosts)
{
    quartet_db *db = NULL;
    quartet_stmt *stmt = NULL;
    uint64_t found = 0, acknowledged = 0;
    int rc = quartet_open(d->cluster.node_url[slot], &db);
    if (rc == QUARTET_OK)
        rc = quartet_prepare(db, "SELECT client, n FROM drill WHERE client < 4", -1, &stmt, NULL);
    while (rc == QUARTET_OK && (rc = quartet_step(stmt)) == QUARTET_ROW) {
        int64_t client = quartet_column_int64(stmt, 0), n = quartet_column_int64(stmt, 1);
        uint8_t told = client >= 0 && client < CLUSTER_NODES && n >= 0 && n < (int64_t)DRILL_WRITES_MAX ? d->clients[client].told[n] : 0;
        found += told == TOLD_YES;
        *ghosts += told == TOLD_NO;
        rc = QUARTET_OK;
    }
    bool ok = rc == QUARTET_DONE || failed(d, slot, db);
    (void)quartet_finalize(stmt); /* only read */
    (void)quartet_close(db);      /* only read */
    for (int k = 0; k < CLUSTER_NODES; k++)
        acknowledged += d->clients[k].acknowledged;
    *missing = acknowledged - found;
    return ok;
}

bool drill_check(struct drill *d, uint64_t *lost, uint64_t *ghosts)
{
    *lost = *ghosts = 0;
    for (int slot = 0; slot < CLUSTER_NODES; slot++) {
        uint64_t missing = 0, more = 0;
        if (!check_node(d, slot, &missing, &more))
            return false;
        *lost = missing > *lost ? missing : *lost;
        *ghosts = more > *ghosts ? more : *ghosts;
    }
    return true;
}
