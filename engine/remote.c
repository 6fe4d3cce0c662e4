/* remote.c - statements on a cluster's node. See remote.h.
 * A statement without parameters that is run once goes out as one message (client_execute); one that is described or has parameters is prepared
 *   once and run as often as wanted. What it is (a read, a write, the end of a transaction) is read off the tree, so that the client knows what it
 *   may send again after a failure. */
#include "remote.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "conn_internal.h"
#include "include/quartet.h"
#include "net/client.h"
#include "net/gossip.h"
#include "params.h"
#include "parser/parse.h"

struct remote {
    client *c;
    void (*notice)(void *arg, const char *text);
    void *notice_arg;
    int64_t changes, last_insert_id;
    quartet_route *route; /* NULL: as the URL says */
    void *route_arg;
};

struct remote_stmt {
    remote *r;
    struct arena arena;    /* text and tree */
    struct ast_stmt *tree;
    const char *sql;
    size_t sql_len;
    struct params params;
    client_stmt *prepared; /* NULL: not yet */
    client_stmt *once;     /* of client_execute */
    bool running;
};

/* What the client library knows of the nodes, as the public interface tells it. */
static int choose(void *arg, const struct client_route_node *nodes, uint32_t count, int *order)
{
    const remote *r = arg;
    struct quartet_route_node told[16];
    uint32_t n = count < sizeof told / sizeof *told ? count : (uint32_t)(sizeof told / sizeof *told);
    for (uint32_t i = 0; i < n; i++)
        told[i] = (struct quartet_route_node){.slot = nodes[i].slot, .address = nodes[i].address, .drained = nodes[i].drained, .standby = nodes[i].standby,
                                              .serves_now = nodes[i].serves_now, .ready = nodes[i].state == GOSSIP_STATE_READY, .answer_us = nodes[i].answer_us,
                                              .behind = nodes[i].behind};
    return r->route(r->route_arg, told, (int)n, order);
}

quartet_status remote_open(const char *url, const struct quartet_open_options *open, void (*notice)(void *arg, const char *text), void *arg, uint32_t turn, remote **out, struct err *err)
{
    remote *r = mem_zalloc(1, sizeof *r);
    if (r == NULL)
        return err_nomem(err);
    struct client_options options = {.application = "libquartet", .notice = notice, .notice_arg = arg, .turn = turn};
    if (open != NULL && open->application != NULL)
        options.application = open->application;
    if (open != NULL && open->route != NULL) {
        r->route = open->route;
        r->route_arg = open->route_arg;
        options.choose = choose;
        options.choose_arg = r;
    }
    r->notice = notice;
    r->notice_arg = arg;
    quartet_status rc = client_open(url, &options, &r->c, err);
    if (rc != QUARTET_OK)
        mem_free(r);
    else
        *out = r;
    return rc;
}

quartet_status remote_ping(remote *r, struct err *err)
{
    return client_ping(r->c, NULL, err);
}

void remote_close(remote *r)
{
    if (r == NULL)
        return;
    client_close(r->c);
    mem_free(r);
}

void remote_interrupt(remote *r)
{
    client_cancel(r->c);
}

bool remote_in_transaction(const remote *r)
{
    return client_in_transaction(r->c);
}

int64_t remote_changes(const remote *r)
{
    return r->changes;
}

int64_t remote_last_insert_id(const remote *r)
{
    return r->last_insert_id;
}

const char *remote_doubt(const remote *r)
{
    return client_doubt(r->c);
}

quartet_status remote_outcome(remote *r, const char *transaction, uint32_t timeout_ms, int *outcome, struct err *err)
{
    enum session_verdict verdict = SESSION_UNKNOWN;
    quartet_status rc = client_outcome(r->c, transaction, timeout_ms, &verdict, err);
    *outcome = verdict == SESSION_COMMITTED ? QUARTET_COMMITTED : verdict == SESSION_NEVER ? QUARTET_NOT_COMMITTED : QUARTET_OUTCOME_UNKNOWN;
    return rc;
}

void remote_where(const remote *r, char *out, size_t n)
{
    if (client_slot(r->c) < 0)
        snprintf(out, n, "no node");
    else
        snprintf(out, n, "node %d (%s)", client_slot(r->c), client_address(r->c));
}

quartet_status remote_prepare(remote *r, const char *sql, size_t n, remote_stmt **out, size_t *consumed, struct err *err)
{
    *out = NULL;
    *consumed = n;
    remote_stmt *s = mem_zalloc(1, sizeof *s);
    if (s == NULL)
        return err_nomem(err);
    s->r = r;
    quartet_status rc = parse_sql(&s->arena, sql, n, NULL, &s->tree, consumed, err);
    if (rc == QUARTET_OK && s->tree != NULL) {
        s->sql = arena_strndup(&s->arena, sql, *consumed);
        s->sql_len = *consumed;
        if (s->sql == NULL || !params_init(&s->params, &s->tree->params, &s->arena))
            rc = arena_fail(&s->arena, err);
    }
    if (rc != QUARTET_OK || s->tree == NULL) {
        arena_free_all(&s->arena);
        mem_free(s);
        return rc;
    }
    *out = s;
    return QUARTET_OK;
}

void remote_finalize(remote_stmt *s)
{
    if (s == NULL)
        return;
    client_stmt_free(s->once);
    client_stmt_free(s->prepared);
    params_deinit(&s->params);
    arena_free_all(&s->arena);
    mem_free(s);
}

const char *remote_sql(const remote_stmt *s, size_t *n)
{
    *n = s->sql_len;
    return s->sql;
}

uint32_t remote_param_count(const remote_stmt *s)
{
    return params_count(&s->params);
}

const char *remote_param_name(const remote_stmt *s, uint32_t number)
{
    return params_name(&s->params, number);
}

quartet_status remote_bind(remote_stmt *s, uint32_t number, const struct value *v, struct err *err)
{
    if (s->running)
        return err_set(err, QUARTET_MISUSE, "the statement is running: reset it before binding");
    return params_bind(&s->params, number, v, err);
}

const struct value *remote_param(const remote_stmt *s, uint32_t number)
{
    return params_get(&s->params, number);
}

void remote_clear_bindings(remote_stmt *s)
{
    params_clear(&s->params);
}

static enum client_hint hint_of(const struct ast_stmt *tree)
{
    if (tree->explain == AST_EXPLAIN_PLAN)
        return CLIENT_HINT_READS;
    switch (tree->kind) {
    case AST_STMT_SELECT:
    case AST_STMT_SHOW:
        return CLIENT_HINT_READS;
    case AST_STMT_SET: /* changes the session only, and sets the same again */
        return CLIENT_HINT_READS;
    case AST_STMT_TRANSACTION:
        if (tree->u.transaction->action == AST_TXN_BEGIN)
            return CLIENT_HINT_READS; /* one that was lost with its session left nothing behind */
        return tree->u.transaction->action == AST_TXN_COMMIT || tree->u.transaction->action == AST_TXN_RELEASE ? CLIENT_HINT_NONE
                                                                                                              : CLIENT_HINT_WRITES;
    case AST_STMT_BACKUP: /* writes files */
        return CLIENT_HINT_ONCE;
    case AST_STMT_PRAGMA:
        return CLIENT_HINT_NONE;
    default:
        return CLIENT_HINT_WRITES;
    }
}

static void tell_outcome(remote_stmt *s, client_stmt *of)
{
    s->r->changes = client_affected(of);
    s->r->last_insert_id = client_last_insert_id(of);
    for (uint32_t i = 0; i < client_warning_count(of); i++)
        if (s->r->notice != NULL)
            s->r->notice(s->r->notice_arg, client_warning(of, i));
}

quartet_status remote_describe(remote_stmt *s, struct err *err)
{
    size_t consumed = 0;
    return s->prepared != NULL || s->once != NULL ? QUARTET_OK : client_describe(s->r->c, s->sql, s->sql_len, &s->prepared, &consumed, err);
}

static const client_stmt *described(const remote_stmt *s)
{
    return s->prepared != NULL ? s->prepared : s->once;
}

uint32_t remote_column_count(const remote_stmt *s)
{
    return described(s) != NULL ? client_column_count(described(s)) : 0;
}

const char *remote_column_name(const remote_stmt *s, uint32_t i)
{
    return i < remote_column_count(s) ? client_column_name(described(s), i) : NULL;
}

const char *remote_column_decltype(const remote_stmt *s, uint32_t i)
{
    const char *text = i < remote_column_count(s) ? client_column_decltype(described(s), i) : NULL;
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* After a failover the new session must be as the old one was: what was set is set again at login. */
static void remember_settings(remote_stmt *s)
{
    static const char *const names[] = {"synchronous",         "consistency",       "consistency_timeout", "commit_acks",
                                        "commit_acks_timeout", "share_timeout", "statement_timeout", "memory_limit"};
    if (s->tree->kind != AST_STMT_SET || s->tree->explain != AST_EXPLAIN_NONE)
        return;
    const struct ast_settings *list = s->tree->u.settings;
    for (uint32_t i = 0; i < list->count; i++) {
        char text[128];
        struct err ignored = ERR_INIT; /* the node has taken it; a value too long to keep is none of these */
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if ((strcasecmp(list->item[i].name.name.text, names[k]) == 0 ||
                 (strcmp(names[k], "consistency") == 0 && strcasecmp(list->item[i].name.name.text, CONN_AURORA_LEVEL) == 0)) &&
                conn_setting_value(list->item[i].value, text, sizeof text, &ignored) == QUARTET_OK)
                (void)client_remember(s->r->c, names[k], text, &ignored);
    }
}

static quartet_status start(remote_stmt *s, struct err *err)
{
    uint32_t params = params_count(&s->params);
    size_t consumed = 0;
    quartet_status rc = QUARTET_OK;
    if (s->prepared == NULL && params == 0 && s->once == NULL) {
        rc = client_execute(s->r->c, s->sql, s->sql_len, NULL, 0, hint_of(s->tree), &s->once, &consumed, err);
    } else {
        client_stmt_free(s->once); /* run a second time: now it pays to prepare it */
        s->once = NULL;
        if (s->prepared == NULL)
            rc = client_prepare(s->r->c, s->sql, s->sql_len, &s->prepared, &consumed, err);
        if (rc == QUARTET_OK)
            rc = client_run(s->prepared, s->params.values, params, err);
    }
    if (rc != QUARTET_OK)
        return rc;
    s->running = true;
    remember_settings(s);
    tell_outcome(s, s->prepared != NULL ? s->prepared : s->once);
    return QUARTET_OK;
}

quartet_status remote_step(remote_stmt *s, const struct value **row, struct err *err)
{
    quartet_status rc = s->running ? QUARTET_OK : start(s, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = client_step(s->prepared != NULL ? s->prepared : s->once, row, err);
    if (rc != QUARTET_ROW)
        s->running = false;
    return rc;
}

void remote_reset(remote_stmt *s)
{
    if (s->prepared != NULL)
        client_reset(s->prepared);
    else if (s->once != NULL)
        client_reset(s->once);
    s->running = false;
}
