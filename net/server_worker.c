/* server_worker.c - client sessions, the worker's side: one thread per session that calls the host
 * and may block in it.
 *
 * It takes requests in order, keeps the client's statements by the numbers that the client gives,
 * and posts answers to the loop. Where the client does not read, the worker waits: answers never
 * pile up. */
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "server_internal.h"

#define ROWS_DEFAULT 256u

struct session_rows {
    struct buf values;
    uint32_t rows, rows_max, columns;
};

struct open_statement {
    uint32_t number;
    void *host;
    struct session_statement_info info;
    bool columns_told, keep; /* keep: prepared, not to be closed at its end */
};

struct worker {
    struct session *session;
    const struct session_host *host;
    void *host_session;
    struct map statements; /* by number, 4 bytes */
};

bool session_rows_put(struct session_rows *rows, const struct value *values, uint32_t count)
{
    QASSERT(count == rows->columns);
    size_t before = rows->values.len;
    for (uint32_t i = 0; i < count; i++)
        value_encode(&rows->values, &values[i]);
    if (rows->values.failed) {
        rows->values.len = before;
        return false;
    }
    rows->rows++;
    return rows->rows < rows->rows_max && rows->values.len < SESSION_BATCH_BYTES;
}

void server_worker_post(struct session *s, struct buf *answer)
{
    struct session_message *m = mem_zalloc(1, sizeof *m);
    bool lost = m == NULL || answer->failed;
    if (m != NULL)
        m->bytes = buf_take(answer, &m->n);
    (void)pthread_mutex_lock(&s->mutex);
    while (s->answer_bytes > SERVER_SESSION_BYTES_MAX && !s->closing)
        (void)pthread_cond_wait(&s->wake, &s->mutex);
    if (lost) {
        s->lost = s->closing =
            true; /* an answer that cannot be given would leave the client waiting for ever */
    } else {
        if (s->answers_last != NULL)
            s->answers_last->next = m;
        else
            s->answers = m;
        s->answers_last = m;
        s->answer_bytes += m->n;
        m = NULL;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    if (m != NULL)
        mem_free(m->bytes);
    mem_free(m);
    buf_deinit(answer);
}

/* Let the loop look at this session. `last`: the worker does not touch it any more, so the loop may
 * join and free. */
static void wake_loop(struct session *s, bool last)
{
    server *sv = s->server;
    (void)pthread_mutex_lock(&sv->mutex);
    s->finished = last;
    if (!s->ready) {
        s->ready = true;
        s->ready_next = sv->ready_sessions;
        sv->ready_sessions = s;
    }
    (void)uv_async_send(&sv->async); /* within the mutex: once the loop has joined the last worker,
                                        the handle may go */
    (void)pthread_mutex_unlock(&sv->mutex);
}

static void post(struct worker *w, struct buf *answer)
{
    server_worker_post(w->session, answer);
    wake_loop(w->session, false);
}

static void post_error(struct worker *w, uint32_t id, const struct err *err)
{
    struct buf out = {0};
    struct session_error e = {.code = err->code,
                              .sql_offset = err->sql_offset,
                              .text = slice_of(err->text, strlen(err->text))};
    if (!utf8_valid(e.text.p, e.text.n))
        e.text = slice_of("(an error text that is not UTF-8)", 33);
    if (w->host_session != NULL) {
        struct session_outcome o = {0};
        w->host->outcome(w->host_session, &o);
        e.flags = o.in_transaction ? SESSION_IN_TRANSACTION : 0;
    }
    session_put_error(&out, id, &e);
    post(w, &out);
}

static void drop(struct worker *w, struct open_statement *st)
{
    uint8_t key[4];
    store_le32(key, st->number);
    (void)map_remove(&w->statements, key, sizeof key); /* it is `st` */
    if (st->host != NULL)
        w->host->finalize(w->host_session, st->host);
    mem_free(st);
}

static struct open_statement *find(struct worker *w, uint32_t number)
{
    uint8_t key[4];
    store_le32(key, number);
    return map_get(&w->statements, key, sizeof key);
}

static quartet_status prepare(struct worker *w, const struct session_request *r,
                              struct open_statement **out, struct err *err)
{
    if (w->statements.count >= SESSION_STATEMENTS_MAX)
        return err_set(err, QUARTET_LIMIT, "%u statements are open in this session",
                       SESSION_STATEMENTS_MAX);
    if (find(w, r->statement) != NULL)
        return err_set(err, QUARTET_MISUSE, "statement number %u is in use", r->statement);
    struct open_statement *st = mem_zalloc(1, sizeof *st);
    if (st == NULL)
        return err_nomem(err);
    st->number = r->statement;
    quartet_status rc = w->host->prepare(w->host_session, r->sql, &st->host, &st->info, err);
    uint8_t key[4];
    store_le32(key, st->number);
    if (rc == QUARTET_OK)
        rc = map_put(&w->statements, key, sizeof key, st, err);
    if (rc != QUARTET_OK) {
        if (st->host != NULL)
            w->host->finalize(w->host_session, st->host);
        mem_free(st);
        return rc;
    }
    *out = st;
    return QUARTET_OK;
}

static void fill(struct worker *w, struct open_statement *st, struct session_result *result,
                 struct session_outcome *o)
{
    memset(o, 0, sizeof *o);
    w->host->outcome(w->host_session, o);
    result->flags |= st->info.flags & (SESSION_READ_ONLY | SESSION_ENDS);
    result->flags |= o->in_transaction ? SESSION_IN_TRANSACTION : 0;
    result->param_count = st->info.param_count;
    result->consumed_bytes = st->info.consumed_bytes;
    result->column_count = st->info.column_count;
    result->has_columns = !st->columns_told;
    /* Columns are only read where has_columns is set; the type has no const because a decoder fills
     * it. */
    memcpy(&result->columns, &st->info.columns, sizeof result->columns);
    result->param_names = st->info.param_names;
    st->columns_told = true;
    result->affected = o->affected;
    result->last_insert_id = o->last_insert_id;
    result->warning_count =
        o->warning_count < SESSION_WARNINGS_MAX ? o->warning_count : SESSION_WARNINGS_MAX;
    memcpy(result->warnings, o->warnings, result->warning_count * sizeof o->warnings[0]);
    result->token = o->token;
}

/* Give one batch of rows; at the end of the rows the statement goes unless it was prepared. */
static void give_rows(struct worker *w, const struct session_request *r, struct open_statement *st)
{
    struct session_rows rows = {.values.limit_bytes = SESSION_REQUEST_BYTES_MAX - (1u << 20),
                                .columns = st->info.column_count};
    rows.rows_max = r->max_rows == 0                       ? ROWS_DEFAULT
                    : r->max_rows < SESSION_BATCH_ROWS_MAX ? r->max_rows
                                                           : SESSION_BATCH_ROWS_MAX;
    struct session_outcome *o =
        mem_alloc(sizeof *o); /* a kilobyte of slices each: not on every stack frame */
    struct session_result *result = mem_zalloc(1, sizeof *result);
    struct err err = ERR_INIT;
    bool done = st->host == NULL;
    quartet_status rc = o == NULL || result == NULL ? err_nomem(&err) : QUARTET_OK;
    if (rc == QUARTET_OK && !done)
        rc = w->host->fetch(w->host_session, st->host, &rows, &done, &err);
    if (rc == QUARTET_OK)
        rc = buf_check(&rows.values, &err);
    if (rc != QUARTET_OK) {
        post_error(w, r->id, &err);
    } else {
        struct buf out = {0};
        result->flags = done ? SESSION_DONE : 0;
        fill(w, st, result, o);
        result->row_count = rows.rows;
        result->rows = slice_of(rows.values.data, rows.values.len);
        session_put_result(&out, SESSION_RESULT, r->id, result);
        post(w, &out);
    }
    buf_deinit(&rows.values);
    mem_free(o);
    mem_free(result);
    if ((rc != QUARTET_OK || done) && !st->keep)
        drop(w, st);
    else if (rc != QUARTET_OK && st->host != NULL)
        w->host->reset(w->host_session, st->host);
}

static quartet_status start(struct worker *w, const struct session_request *r,
                            struct open_statement *st, struct err *err)
{
    if (r->param_count != st->info.param_count)
        return err_set(err, QUARTET_RANGE, "%u parameters given, %u needed", r->param_count,
                       st->info.param_count);
    if (st->host == NULL)
        return QUARTET_OK; /* blanks and comments */
    struct value *values = mem_zalloc(r->param_count, sizeof *values);
    if (values == NULL)
        return err_nomem(err);
    struct bytes_in in = bytes_in(r->params.p, r->params.n);
    for (uint32_t i = 0; i < r->param_count; i++)
        (void)value_decode(
            &in, &values[i]); /* walked when the message was opened; looked at once below */
    quartet_status rc = in.bad ? err_set(err, QUARTET_CORRUPT, "malformed parameters")
                               : w->host->start(w->host_session, st->host, values, r->param_count,
                                                r->id, err);
    mem_free(values);
    return rc;
}

static void execute(struct worker *w, const struct session_request *r)
{
    struct open_statement *st = NULL;
    struct err err = ERR_INIT;
    quartet_status rc = prepare(w, r, &st, &err);
    if (rc == QUARTET_OK)
        rc = start(w, r, st, &err);
    if (rc == QUARTET_OK) {
        give_rows(w, r, st);
        return;
    }
    post_error(w, r->id, &err);
    if (st != NULL)
        drop(w, st);
}

static void prepare_only(struct worker *w, const struct session_request *r)
{
    struct open_statement *st = NULL;
    struct err err = ERR_INIT;
    struct session_outcome *o = mem_alloc(sizeof *o);
    struct session_result *result = mem_zalloc(1, sizeof *result);
    quartet_status rc = o == NULL || result == NULL ? err_nomem(&err) : prepare(w, r, &st, &err);
    if (rc != QUARTET_OK) {
        post_error(w, r->id, &err);
    } else {
        struct buf out = {0};
        st->keep = true;
        result->flags = st->host == NULL ? SESSION_DONE : 0;
        fill(w, st, result, o);
        session_put_result(&out, SESSION_PREPARED, r->id, result);
        post(w, &out);
    }
    mem_free(o);
    mem_free(result);
}

/* RUN and FETCH, of a statement that must be there. */
static void go_on(struct worker *w, const struct session_request *r)
{
    struct open_statement *st = find(w, r->statement);
    struct err err = ERR_INIT;
    quartet_status rc = st != NULL
                            ? QUARTET_OK
                            : err_set(&err, QUARTET_MISUSE, "no statement number %u", r->statement);
    if (rc == QUARTET_OK && r->kind == SESSION_RUN)
        rc = start(w, r, st, &err);
    if (rc == QUARTET_OK)
        give_rows(w, r, st);
    else
        post_error(w, r->id, &err);
}

static void serve(struct worker *w, const struct session_request *r)
{
    struct err err = ERR_INIT;
    struct open_statement *st = NULL;
    if (r->token.n > 0 && w->host->wait_token(w->host_session, r->token, &err) != QUARTET_OK) {
        post_error(w, r->id, &err);
        return;
    }
    switch (r->kind) {
    case SESSION_EXECUTE:
        execute(w, r);
        break;
    case SESSION_PREPARE:
        prepare_only(w, r);
        break;
    case SESSION_RUN:
    case SESSION_FETCH:
        go_on(w, r);
        break;
    case SESSION_CLOSE:
        st = find(w, r->statement);
        if (st != NULL)
            drop(w, st);
        break;
    case SESSION_RESET:
        st = find(w, r->statement);
        if (st != NULL && st->host != NULL)
            w->host->reset(w->host_session, st->host);
        if (st != NULL && !st->keep)
            drop(w, st);
        break;
    default:
        break; /* serve_message lets nothing else through */
    }
}

static bool log_in(struct worker *w, uint32_t id, struct bytes_in *in)
{
    struct session *s = w->session;
    server *sv = s->server;
    struct session_login *login = mem_zalloc(1, sizeof *login);
    struct session_outcome *o = mem_zalloc(1, sizeof *o);
    struct err err = ERR_INIT;
    quartet_status rc =
        login == NULL || o == NULL ? err_nomem(&err) : session_get_login(in, login, &err);
    if (rc == QUARTET_OK && login->version != SESSION_VERSION)
        rc = err_set(&err, QUARTET_MISUSE, "session protocol version %u, this node speaks %u",
                     login->version, SESSION_VERSION);
    void *opened = NULL;
    if (rc == QUARTET_OK)
        rc = w->host->open(w->host->ctx, s->user, login, &opened, o, &err);
    if (rc == QUARTET_OK) {
        w->host_session = opened;
        (void)pthread_mutex_lock(&s->mutex);
        s->host_session = opened;
        (void)pthread_mutex_unlock(&s->mutex);
        struct buf out = {0};
        struct session_welcome welcome = {.slot = sv->slot,
                                          .state = sv->host.state(sv->host.ctx),
                                          .server_version =
                                              slice_of(sv->version, strlen(sv->version)),
                                          .token = o->token,
                                          .incarnation = o->incarnation,
                                          .session = o->session};
        session_put_welcome(&out, id, &welcome);
        post(w, &out);
    } else {
        post_error(w, id, &err);
    }
    mem_free(login);
    mem_free(o);
    return rc == QUARTET_OK;
}

static quartet_status rule(struct worker *w, uint32_t id, struct bytes_in *in, struct err *err)
{
    struct session_name name;
    struct session_ruling ruling = {0};
    quartet_status rc = session_get_ask(in, &name, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = w->host->ask(w->host_session, &name, &ruling, err);
    if (rc != QUARTET_OK) {
        post_error(w, id, err);
        return QUARTET_OK;
    }
    struct buf out = {0};
    session_put_ruling(&out, id, &ruling);
    post(w, &out);
    return QUARTET_OK;
}

/* false: the session ends. */
static bool serve_message(struct worker *w, const struct session_message *m)
{
    struct bytes_in in;
    uint8_t kind = 0;
    uint32_t id = 0;
    struct err err = ERR_INIT;
    quartet_status rc = session_open_message(slice_of(m->bytes, m->n), &in, &kind, &id, &err);
    if (rc == QUARTET_OK && kind == SESSION_LOGIN && w->host_session == NULL)
        return log_in(w, id, &in);
    struct session_request r;
    bool request = (kind >= SESSION_EXECUTE && kind <= SESSION_CLOSE) || kind == SESSION_RESET;
    if (rc == QUARTET_OK && kind == SESSION_ASK && w->host_session != NULL) {
        rc = rule(w, id, &in, &err);
        if (rc != QUARTET_OK)
            post_error(w, id, &err);
        return rc == QUARTET_OK;
    }
    if (rc == QUARTET_OK && (!request || w->host_session == NULL))
        rc = err_set(&err, QUARTET_MISUSE, "a message of kind %u is out of place here", kind);
    if (rc == QUARTET_OK)
        rc = session_get_request(&in, kind, id, &r, &err);
    if (rc != QUARTET_OK) {
        post_error(w, id, &err);
        return false;
    }
    serve(w, &r);
    return true;
}

static bool has_request(struct session *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    bool has = s->requests != NULL || s->closing;
    (void)pthread_mutex_unlock(&s->mutex);
    return has;
}

/* Wait for a request; the caller locks and looks again. */
static void poll_requests(struct session *s, struct spin *spin, uint64_t from)
{
    struct env *env = s->server->env;
    uint64_t now = from, until = spin_begin(spin, from);
    bool came = false;
    while (until != 0 && !(came = has_request(s)) && (now = env->ops->mono_ns(env)) < until)
        spin_pause();
    if (until != 0)
        spin_end(spin, came, now);
}

static struct session_message *next_request(struct session *s, struct spin *spin)
{
    struct env *env = s->server->env;
    uint64_t from = env->ops->mono_ns(env);
    poll_requests(s, spin, from);
    (void)pthread_mutex_lock(&s->mutex);
    bool slept = s->requests == NULL && !s->closing;
    while (s->requests == NULL && !s->closing)
        (void)pthread_cond_wait(&s->wake, &s->mutex);
    struct session_message *m = NULL;
    if (!s->closing) {
        m = s->requests;
        s->requests = m->next;
        if (s->requests == NULL)
            s->requests_last = NULL;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    if (slept)
        spin_slept(spin, env->ops->mono_ns(env) - from);
    return m;
}

void *server_worker_main(void *arg)
{
    struct session *s = arg;
    struct worker w = {.session = s, .host = &s->server->host.session};
    struct spin spin;
    spin_init(&spin, s->server->config.poll_us);
    map_init(&w.statements, s->server->config.seed);
    bool go = true;
    while (go) {
        struct session_message *m = next_request(s, &spin);
        if (m == NULL)
            break;
        go = serve_message(&w, m);
        mem_free(m->bytes);
        mem_free(m);
        (void)pthread_mutex_lock(&s->mutex);
        s->request_count--;
        (void)pthread_mutex_unlock(&s->mutex);
    }
    struct map_entry *e = NULL;
    for (size_t i = 0; (e = map_at(&w.statements, &i)) != NULL;) {
        struct open_statement *st = e->value;
        if (st->host != NULL)
            w.host->finalize(w.host_session, st->host);
        mem_free(st);
    }
    map_deinit(&w.statements);
    (void)pthread_mutex_lock(&s->mutex);
    s->host_session = NULL; /* from here on nobody cancels */
    (void)pthread_mutex_unlock(&s->mutex);
    if (w.host_session != NULL)
        w.host->close(w.host_session);
    wake_loop(s, true);
    return NULL;
}
