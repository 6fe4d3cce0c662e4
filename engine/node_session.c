/* node_session.c - client sessions: each is a connection (conn.h) of its own, on a thread of its own.
 * The network layer knows statements as opaque pointers; here they are prepared statements of the session's connection. */
#include "node_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct node_session {
    struct node *n;
    conn *c;
    struct arena notices;               /* warnings since the last outcome */
    struct slice warnings[SESSION_WARNINGS_MAX];
    uint32_t warning_count;
    struct buf token, told_token;
    uint64_t number;                    /* of this run of the node */
    struct node_session *previous, *next;
    uint32_t pins;                      /* under the node's lock: somebody is ending it, so it must not be freed */
    pthread_mutex_t gate;
    pthread_cond_t left;
    bool inside, ended;                 /* under gate: a statement runs; nothing runs any more */
    char why[ERR_TEXT_BYTES_MAX];       /* of the ruling given last */
    struct buf ruled;                   /* and its token */
};

struct node_stmt {
    struct node_session *s;
    conn_stmt *stmt;
    struct arena names; /* of the columns: the statement's own go when it runs (SHOW) or is planned anew */
    struct session_column *columns;
    uint32_t column_count;
    struct slice *param_names;
    struct batch batch;   /* rows at hand, valid until the next conn_step */
    uint32_t at;
    bool done;
    struct value *row;
};

static void on_notice(void *arg, const char *text)
{
    struct node_session *s = arg;
    if (s->warning_count == SESSION_WARNINGS_MAX)
        return;
    size_t n = strlen(text);
    if (n > SESSION_WARNING_BYTES_MAX)
        n = SESSION_WARNING_BYTES_MAX;
    void *copy = arena_dup(&s->notices, text, n);
    if (copy != NULL) /* without memory a warning is lost, never a statement */
        s->warnings[s->warning_count++] = slice_of(copy, n);
}

/* SET name = 'value', for settings that came with the login. */
static quartet_status apply_setting(struct node_session *s, const struct session_setting *setting, struct err *err)
{
    struct buf sql = {0};
    buf_str(&sql, "SET ");
    for (size_t i = 0; i < setting->name.n; i++) {
        char ch = (char)setting->name.p[i];
        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_')) {
            buf_deinit(&sql);
            return err_set(err, QUARTET_MISUSE, "a setting's name has letters and _ only");
        }
        buf_u8(&sql, (uint8_t)ch);
    }
    buf_str(&sql, " = '");
    for (size_t i = 0; i < setting->value.n; i++) {
        if (setting->value.p[i] == '\'')
            buf_u8(&sql, '\'');
        buf_u8(&sql, setting->value.p[i]);
    }
    buf_str(&sql, "'");
    quartet_status rc = buf_check(&sql, err);
    conn_stmt *stmt = NULL;
    size_t consumed = 0;
    struct batch none;
    if (rc == QUARTET_OK)
        rc = conn_prepare(s->c, (const char *)sql.data, sql.len, &stmt, &consumed, err);
    if (rc == QUARTET_OK && stmt != NULL)
        rc = conn_step(stmt, &none, err);
    conn_finalize(stmt);
    buf_deinit(&sql);
    return rc;
}

/* What runs in the session passes here, so that another one can say: nothing more. */
static quartet_status enter(struct node_session *s, struct err *err)
{
    pthread_mutex_lock(&s->gate);
    bool ended = s->ended;
    s->inside = !ended;
    pthread_mutex_unlock(&s->gate);
    return ended ? err_set(err, QUARTET_NET, "this session was ended by its client, who has asked elsewhere what became of it") : QUARTET_OK;
}

static void leave(struct node_session *s)
{
    pthread_mutex_lock(&s->gate);
    s->inside = false;
    if (s->ended)
        pthread_cond_broadcast(&s->left);
    pthread_mutex_unlock(&s->gate);
}

static void enlist(struct node_session *s)
{
    struct node *n = s->n;
    pthread_mutex_lock(&n->lock);
    s->number = ++n->session_count;
    s->next = n->sessions;
    if (s->next != NULL)
        s->next->previous = s;
    n->sessions = s;
    pthread_mutex_unlock(&n->lock);
}

/* Nobody finds it any more, and who had has let go. */
static void delist(struct node_session *s)
{
    struct node *n = s->n;
    pthread_mutex_lock(&n->lock);
    if (s->previous != NULL)
        s->previous->next = s->next;
    else if (n->sessions == s)
        n->sessions = s->next;
    if (s->next != NULL)
        s->next->previous = s->previous;
    while (s->pins > 0)
        pthread_cond_wait(&n->applied, &n->lock);
    pthread_mutex_unlock(&n->lock);
}

bool node_session_end(struct node *n, uint64_t number, uint32_t timeout_ms)
{
    struct timespec until;
    int rc = 0;
    pthread_mutex_lock(&n->lock);
    struct node_session *s = n->sessions;
    while (s != NULL && s->number != number)
        s = s->next;
    if (s != NULL)
        s->pins++;
    pthread_mutex_unlock(&n->lock);
    if (s == NULL)
        return true;
    node_deadline(n, &until, timeout_ms);
    pthread_mutex_lock(&s->gate);
    s->ended = true;
    if (s->inside)
        conn_interrupt(s->c);
    while (rc == 0 && s->inside)
        rc = pthread_cond_timedwait(&s->left, &s->gate, &until);
    bool left = !s->inside;
    pthread_mutex_unlock(&s->gate);
    pthread_mutex_lock(&n->lock);
    s->pins--;
    pthread_cond_broadcast(&n->applied);
    pthread_mutex_unlock(&n->lock);
    return left;
}

static quartet_status init_gate(struct node_session *s, struct err *err)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return err_nomem(err);
    bool ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&s->left, &attr) == 0;
    pthread_condattr_destroy(&attr);
    if (ok && pthread_mutex_init(&s->gate, NULL) != 0) {
        pthread_cond_destroy(&s->left);
        ok = false;
    }
    return ok ? QUARTET_OK : err_nomem(err);
}

static void session_close(void *session)
{
    struct node_session *s = session;
    delist(s);
    pthread_cond_destroy(&s->left);
    pthread_mutex_destroy(&s->gate);
    buf_deinit(&s->ruled);
    conn_close(s->c);
    arena_free_all(&s->notices);
    buf_deinit(&s->token);
    buf_deinit(&s->told_token);
    mem_free(s);
}

static quartet_status wait_token(void *session, struct slice token, struct err *err)
{
    struct node_session *s = session;
    quartet_status rc = conn_set_token(s->c, token, err);
    const struct conn_settings *settings = conn_settings(s->c);
    if (rc == QUARTET_OK && settings->consistency != CONN_LOCAL)
        rc = node_wait_covered(s->n, token, settings->consistency_timeout_ms, err);
    return rc;
}

static void session_outcome(void *session, struct session_outcome *out)
{
    struct node_session *s = session;
    struct err err = ERR_INIT;
    *out = (struct session_outcome){.affected = conn_changes(s->c), .last_insert_id = conn_last_insert_id(s->c),
                                    .in_transaction = conn_in_transaction(s->c), .warning_count = s->warning_count};
    memcpy(out->warnings, s->warnings, s->warning_count * sizeof *s->warnings);
    s->warning_count = 0;
    buf_clear(&s->token);
    if (conn_token(s->c, &s->token, &err) != QUARTET_OK || s->token.failed)
        return; /* the client keeps its older token, which is still true */
    if (!slice_eq(slice_of(s->token.data, s->token.len), slice_of(s->told_token.data, s->told_token.len))) {
        struct buf swap = s->told_token;
        s->told_token = s->token;
        s->token = swap;
        out->token = slice_of(s->told_token.data, s->told_token.len);
    }
}

static quartet_status session_open(void *ctx, const char *user, const struct session_login *login, void **session,
                                   struct session_outcome *outcome, struct err *err)
{
    (void)user; /* every key that the membership document lists may do everything; users and grants come later */
    struct node_session *s = mem_zalloc(1, sizeof *s);
    if (s == NULL)
        return err_nomem(err);
    s->n = ctx;
    quartet_status rc = init_gate(s, err);
    if (rc != QUARTET_OK) {
        mem_free(s);
        return rc;
    }
    rc = conn_open(s->n->d, &s->c, err);
    if (rc == QUARTET_OK) {
        conn_on_notice(s->c, on_notice, s);
        conn_backups_below(s->c, s->n->backup_dir);
        conn_settings(s->c)->consistency = CONN_SESSION;
    }
    for (uint32_t i = 0; rc == QUARTET_OK && i < login->setting_count; i++)
        rc = apply_setting(s, &login->settings[i], err);
    if (rc == QUARTET_OK && login->token.n > 0)
        rc = wait_token(s, login->token, err);
    if (rc != QUARTET_OK) {
        session_close(s);
        return rc;
    }
    session_outcome(s, outcome);
    enlist(s);
    outcome->incarnation = s->n->run;
    outcome->session = s->number;
    *session = s;
    return QUARTET_OK;
}

static quartet_status ask(void *session, const struct session_name *name, struct session_ruling *out, struct err *err)
{
    struct node_session *s = session;
    quartet_status rc = node_ask(s->n, s->number, name, out, s->why, sizeof s->why, err);
    if (rc != QUARTET_OK)
        return rc;
    out->text = slice_of(s->why, strlen(s->why));
    if (out->verdict != SESSION_COMMITTED)
        return QUARTET_OK;
    buf_clear(&s->ruled);
    rc = conn_token(s->c, &s->ruled, err); /* it covers the commit, which is applied here */
    out->token = slice_of(s->ruled.data, s->ruled.len);
    return rc;
}

static void cancel(void *session)
{
    struct node_session *s = session;
    conn_interrupt(s->c);
}

static void stmt_free(struct node_stmt *st)
{
    conn_finalize(st->stmt);
    arena_free_all(&st->names);
    mem_free(st->columns);
    mem_free(st->param_names);
    mem_free(st->row);
    mem_free(st);
}

static struct slice keep_name(struct node_stmt *st, const char *text, bool *ok)
{
    size_t n = text != NULL ? strnlen(text, SESSION_NAME_BYTES_MAX) : 0;
    const char *copy = n > 0 ? arena_strndup(&st->names, text, n) : "";
    *ok = *ok && copy != NULL;
    return slice_of(copy, n);
}

static quartet_status describe(struct node_stmt *st, uint32_t count, struct err *err)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < count; i++) {
        const struct plan_column *c = conn_column(st->stmt, i);
        st->columns[i] = (struct session_column){.name = keep_name(st, c != NULL ? c->name : NULL, &ok), .declared = keep_name(st, c != NULL ? c->declared : NULL, &ok)};
    }
    return ok ? QUARTET_OK : arena_fail(&st->names, err);
}

static quartet_status prepare(void *session, struct slice sql, void **statement, struct session_statement_info *info, struct err *err)
{
    struct node_session *s = session;
    struct node_stmt *st = mem_zalloc(1, sizeof *st);
    size_t consumed = 0;
    if (st == NULL)
        return err_nomem(err);
    st->s = s;
    quartet_status rc = conn_prepare(s->c, (const char *)sql.p, sql.n, &st->stmt, &consumed, err);
    *info = (struct session_statement_info){.consumed_bytes = (uint32_t)consumed};
    if (rc != QUARTET_OK || st->stmt == NULL) {
        mem_free(st);
        *statement = NULL;
        return rc;
    }
    uint32_t columns = st->column_count = conn_column_count(st->stmt);
    if (columns > 0) {
        st->columns = mem_zalloc(columns, sizeof *st->columns);
        st->row = mem_zalloc(columns, sizeof *st->row);
        if (st->columns == NULL || st->row == NULL) {
            stmt_free(st);
            return err_nomem(err);
        }
        rc = describe(st, columns, err);
        if (rc != QUARTET_OK) {
            stmt_free(st);
            return rc;
        }
    }
    info->param_count = conn_param_count(st->stmt);
    st->param_names = mem_zalloc(info->param_count, sizeof *st->param_names);
    if (st->param_names == NULL) {
        stmt_free(st);
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < info->param_count; i++) {
        const char *name = conn_param_name(st->stmt, i + 1);
        st->param_names[i] = slice_of(name != NULL ? name : "", name != NULL ? strnlen(name, SESSION_NAME_BYTES_MAX) : 0);
    }
    info->param_names = st->param_names;
    info->column_count = columns;
    info->columns = st->columns;
    info->flags = (conn_stmt_reads(st->stmt) ? (uint32_t)SESSION_READ_ONLY : 0u) | (conn_stmt_ends(st->stmt) ? (uint32_t)SESSION_ENDS : 0u);
    *statement = st;
    return QUARTET_OK;
}

static quartet_status start(void *session, void *statement, const struct value *params, uint32_t param_count, uint32_t request, struct err *err)
{
    struct node_session *s = session;
    struct node_stmt *st = statement;
    arena_free_all(&s->notices);
    s->warning_count = 0;
    conn_reset(st->stmt);
    conn_clear_bindings(st->stmt);
    conn_set_request(s->c, s->number, request, st->column_count > 0);
    st->batch.n = 0;
    st->at = 0;
    st->done = false;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; rc == QUARTET_OK && i < param_count; i++)
        rc = conn_bind(st->stmt, i + 1, &params[i], err);
    return rc;
}

static quartet_status give(struct node_stmt *st, struct session_rows *rows, bool *done, struct err *err)
{
    while (!st->done) {
        if (st->at == st->batch.n || conn_is_cut_off(st->stmt)) {
            quartet_status rc = conn_step(st->stmt, &st->batch, err);
            if (rc != QUARTET_OK) {
                st->batch.n = st->at = 0;
                return rc;
            }
            st->at = 0;
            st->done = st->batch.n == 0;
            if (st->batch.n > 0 && st->batch.col_count != st->column_count) { /* planned anew: SELECT * of a table that was changed */
                st->batch.n = 0;
                conn_reset(st->stmt);
                return err_set(err, QUARTET_ERROR, "the table was changed since the statement was prepared: prepare it again");
            }
            continue;
        }
        for (bool more = true; more && st->at < st->batch.n;) {
            uint32_t row = batch_row(&st->batch, st->at++);
            for (uint32_t c = 0; c < st->column_count; c++)
                st->row[c] = vec_get(&st->batch.cols[c], row);
            more = session_rows_put(rows, st->row, st->column_count);
            if (!more) {
                *done = false;
                return QUARTET_OK;
            }
        }
    }
    *done = true;
    return QUARTET_OK;
}

static quartet_status fetch(void *session, void *statement, struct session_rows *rows, bool *done, struct err *err)
{
    struct node_session *s = session;
    quartet_status rc = enter(s, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = give(statement, rows, done, err);
    leave(s);
    return rc;
}

static void reset(void *session, void *statement)
{
    (void)session; /* the statement knows its own */
    struct node_stmt *st = statement;
    conn_reset(st->stmt);
    st->batch.n = st->at = 0;
    st->done = true;
}

static void finalize(void *session, void *statement)
{
    (void)session; /* the statement knows its own */
    stmt_free(statement);
}

void node_session_host(struct node *n, struct session_host *out)
{
    *out = (struct session_host){.ctx = n,
                                 .open = session_open,
                                 .close = session_close,
                                 .cancel = cancel,
                                 .wait_token = wait_token,
                                 .ask = ask,
                                 .prepare = prepare,
                                 .start = start,
                                 .fetch = fetch,
                                 .reset = reset,
                                 .finalize = finalize,
                                 .outcome = session_outcome};
}
