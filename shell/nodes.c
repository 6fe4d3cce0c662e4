/* nodes.c - asking each node of a URL by itself. See nodes.h.
 * A client would move on to another node where its own does not answer; here that would hide just what is wanted. So each node has a URL of its own, a connection is made anew for
 *   each question, and an answer that comes from another slot than before is none. */
#include "nodes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "quartet.h"

bool nodes_parse(struct nodes *n, const char *url, const char **why)
{
    *n = (struct nodes){.count = 0};
    *why = "a quartet:// URL is needed; a cluster's is in its admin.url";
    if (strncmp(url, "quartet://", 10) != 0 || strlen(url) >= NODES_URL_MAX)
        return false;
    const char *at = strchr(url, '@'), *hosts = at != NULL ? at + 1 : url + 10;
    size_t all = strcspn(hosts, "/?");
    const char *rest = hosts + all;
    for (const char *h = hosts; h < rest; n->count++) {
        size_t len = strcspn(h, ",/?");
        *why = n->count == NODES_MAX ? "the URL names more than four nodes" : "an address in the URL is empty or too long";
        if (n->count == NODES_MAX || len == 0 || len >= NODES_TEXT_MAX)
            return false;
        struct node_view *v = &n->node[n->count];
        v->slot = -1;
        snprintf(v->address, sizeof v->address, "%.*s", (int)len, h);
        snprintf(v->url, sizeof v->url, "%.*s%.*s%s", (int)(hosts - url), url, (int)len, h, rest);
        h += len + (h[len] == ',');
    }
    *why = "the URL names no node";
    return n->count > 0;
}

/* ---- one node ---- */

struct asking {
    struct node_view *v;
    int timeout_ms;
    pthread_t thread;
    bool started;
};

static void copy_text(char *to, size_t n, quartet_stmt *stmt, int column)
{
    const char *text = quartet_column_text(stmt, column);
    snprintf(to, n, "%s", text != NULL ? text : "");
}

static int64_t number_or(quartet_stmt *stmt, int column, int64_t otherwise)
{
    return quartet_column_type(stmt, column) == QUARTET_NULL ? otherwise : quartet_column_int64(stmt, column);
}

static void take_line(struct node_view *v, quartet_stmt *stmt)
{
    int64_t slot = quartet_column_int64(stmt, 0);
    if (slot < 0 || slot >= NODES_MAX)
        return;
    struct node_says *s = &v->says[slot];
    *s = (struct node_says){.there = true, .lag_deltas = -1, .lag_ms = -1};
    for (int c = 1; c < quartet_column_count(stmt); c++) {
        const char *name = quartet_column_name(stmt, c);
        if (strcmp(name, "address") == 0)
            copy_text(s->address, sizeof s->address, stmt, c);
        else if (strcmp(name, "state") == 0)
            copy_text(s->state, sizeof s->state, stmt, c);
        else if (strcmp(name, "vector") == 0)
            copy_text(s->vector, sizeof s->vector, stmt, c);
        else if (strcmp(name, "state_hash") == 0)
            copy_text(s->hash, sizeof s->hash, stmt, c);
        else if (strcmp(name, "equal") == 0)
            copy_text(s->equal, sizeof s->equal, stmt, c);
        else if (strcmp(name, "lag_deltas") == 0)
            s->lag_deltas = number_or(stmt, c, -1);
        else if (strcmp(name, "lag_ms") == 0)
            s->lag_ms = number_or(stmt, c, -1);
        else if (strcmp(name, "clock_skew_ms") == 0)
            s->skew_ms = number_or(stmt, c, 0);
    }
    char *self = strstr(s->state, " (this node)");
    if (self != NULL) {
        *self = '\0';
        v->slot = (int)slot;
    }
}

static void take_link(struct node_view *v, quartet_stmt *stmt)
{
    int64_t slot = quartet_column_int64(stmt, 0);
    if (slot < 0 || slot >= NODES_MAX)
        return;
    struct node_link *l = &v->links[slot];
    *l = (struct node_link){.there = true};
    for (int c = 1; c < quartet_column_count(stmt); c++) {
        const char *name = quartet_column_name(stmt, c), *text = quartet_column_text(stmt, c);
        const char *to = text != NULL && strcmp(name, "speaks") == 0 ? strstr(text, " to ") : NULL;
        if (to != NULL)
            l->speaks_to = (int)strtol(to + 4, NULL, 10);
        if (strcmp(name, "note") == 0)
            copy_text(l->note, sizeof l->note, stmt, c);
    }
}

static void take_figure(struct node_view *v, quartet_stmt *stmt)
{
    struct node_figures *f = &v->figures;
    const struct {
        const char *name;
        int64_t *to;
    } known[] = {{"commits", &f->commits}, {"remote_rows", &f->remote_rows}, {"remote_deltas", &f->remote_deltas}, {"held_batches", &f->held_batches},
                 {"log_bytes", &f->log_bytes}, {"base_bytes", &f->base_bytes}, {"buffer_bytes", &f->buffer_bytes}, {"frozen_bytes", &f->frozen_bytes},
                 {"snapshots", &f->snapshots}, {"left_behind_delta", &f->left_behind_delta}, {"purge_waits_for", &f->purge_waits_for},
                 {"base_dead_bytes", &f->base_dead_bytes}};
    const char *name = quartet_column_text(stmt, 0);
    for (size_t i = 0; name != NULL && i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0)
            *known[i].to = quartet_column_int64(stmt, 1);
}

static void take_version(struct node_view *v, quartet_stmt *stmt)
{
    copy_text(v->version, sizeof v->version, stmt, 0);
}

static int each_row(quartet_db *db, const char *sql, struct node_view *v, void (*take)(struct node_view *v, quartet_stmt *stmt))
{
    quartet_stmt *stmt = NULL;
    int rc = quartet_prepare(db, sql, -1, &stmt, NULL);
    while (rc == QUARTET_OK && (rc = quartet_step(stmt)) == QUARTET_ROW) {
        take(v, stmt);
        rc = QUARTET_OK;
    }
    (void)quartet_finalize(stmt); /* repeats rc */
    return rc == QUARTET_DONE ? QUARTET_OK : rc;
}

static void *ask(void *arg)
{
    struct asking *a = arg;
    struct node_view *v = a->v;
    quartet_db *db = NULL;
    char url[NODES_URL_MAX + 96];
    int before = v->slot;
    double began = now_seconds();
    snprintf(url, sizeof url, "%s%stimeout=%d&connect_timeout=%d&consistency=local", v->url, strchr(v->url, '?') != NULL ? "&" : "?", a->timeout_ms, a->timeout_ms);
    memset(v->says, 0, sizeof v->says);
    memset(v->links, 0, sizeof v->links);
    v->figures = (struct node_figures){0};
    v->error[0] = '\0';
    int rc = quartet_open(url, &db);
    v->answered_ms = (now_seconds() - began) * 1e3;
    if (rc == QUARTET_OK)
        rc = each_row(db, "SELECT version()", v, take_version);
    if (rc == QUARTET_OK)
        rc = each_row(db, "SHOW CLUSTER", v, take_line);
    if (rc == QUARTET_OK)
        rc = each_row(db, "SHOW STATUS", v, take_figure);
    if (rc == QUARTET_OK && each_row(db, "SHOW PEERS", v, take_link) != QUARTET_OK)
        memset(v->links, 0, sizeof v->links); /* a version that does not have it yet */
    v->up = rc == QUARTET_OK && (before < 0 || v->slot == before);
    if (rc != QUARTET_OK)
        snprintf(v->error, sizeof v->error, "%s", db != NULL ? quartet_errmsg(db) : "out of memory");
    else if (!v->up)
        snprintf(v->error, sizeof v->error, "it went away while it was asked");
    if (!v->up && before >= 0)
        v->slot = before;
    (void)quartet_close(db); /* only read */
    return NULL;
}

void nodes_ask(struct nodes *n, int timeout_ms)
{
    struct asking a[NODES_MAX];
    for (int i = 0; i < n->count; i++) {
        a[i] = (struct asking){.v = &n->node[i], .timeout_ms = timeout_ms};
        a[i].started = pthread_create(&a[i].thread, NULL, ask, &a[i]) == 0;
        if (!a[i].started)
            (void)ask(&a[i]); /* one after the other, then */
    }
    for (int i = 0; i < n->count; i++)
        if (a[i].started)
            pthread_join(a[i].thread, NULL);
    for (int i = 0; i < n->count * n->count; i++) { /* one that never answered: the others know it by its address */
        struct node_view *v = &n->node[i / n->count], *other = &n->node[i % n->count];
        for (int k = 0; v->slot < 0 && other->up && k < NODES_MAX; k++)
            if (other->says[k].there && strcmp(other->says[k].address, v->address) == 0)
                v->slot = k;
    }
}

const struct node_view *nodes_in_slot(const struct nodes *n, int slot)
{
    for (int i = 0; i < n->count; i++)
        if (n->node[i].slot == slot)
            return &n->node[i];
    return NULL;
}

bool node_is_well(const struct node_view *v)
{
    if (!v->up || v->slot < 0 || strcmp(v->says[v->slot].state, "ready") != 0)
        return false;
    for (int k = 0; k < NODES_MAX; k++)
        if (v->says[k].there && strncmp(v->says[k].equal, "NO", 2) == 0)
            return false;
    return v->figures.left_behind_delta == 0;
}
