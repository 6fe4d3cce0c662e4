/* client_stmt.c - statements of the client library: sent in one message, rows taken in batches,
 * prepared again after a failover. */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "client_internal.h"

#define FIRST_ROWS 256u
#define MORE_ROWS  SESSION_BATCH_ROWS_MAX

static void forget_cancel(client *c)
{
    uint64_t count = 0;
    ssize_t n = read(c->cancel_fd, &count,
                     sizeof count); /* what came before this statement was not meant for it */
    (void)n;
}

static client_stmt *stmt_new(client *c, const char *sql, size_t n, struct err *err)
{
    client_stmt *s = mem_zalloc(1, sizeof *s);
    if (s != NULL)
        s->sql = mem_alloc(n + 1);
    if (s == NULL || s->sql == NULL) {
        mem_free(s);
        (void)err_nomem(err); /* the caller returns err->code */
        return NULL;
    }
    memcpy(s->sql, sql, n);
    s->sql[n] = '\0';
    s->sql_bytes = n;
    s->client = c;
    s->number = c->next_statement = c->next_statement == UINT32_MAX ? 1 : c->next_statement + 1;
    return s;
}

static quartet_status copy_columns(client_stmt *s, const struct session_result *r, struct err *err)
{
    arena_free_all(&s->arena);
    mem_free(s->row);
    s->row = mem_zalloc(r->column_count, sizeof *s->row);
    s->columns = arena_zalloc(&s->arena, r->column_count, sizeof *s->columns);
    s->param_names = arena_zalloc(&s->arena, r->param_count, sizeof *s->param_names);
    if (s->row == NULL || s->columns == NULL || s->param_names == NULL)
        return err_nomem(err);
    s->column_count = r->column_count;
    s->param_count = r->param_count;
    for (uint32_t i = 0; i < r->column_count; i++) {
        const struct session_column *c = &r->columns[i];
        char *name = arena_strndup(&s->arena, (const char *)c->name.p, c->name.n);
        char *declared = arena_strndup(&s->arena, (const char *)c->declared.p, c->declared.n);
        if (name == NULL || declared == NULL)
            return err_nomem(err);
        s->columns[i] = (struct session_column){.name = slice_of(name, c->name.n),
                                                .declared = slice_of(declared, c->declared.n),
                                                .type = c->type};
    }
    for (uint32_t i = 0; r->param_names != NULL && i < r->param_count; i++) {
        char *name =
            arena_strndup(&s->arena, (const char *)r->param_names[i].p, r->param_names[i].n);
        if (name == NULL)
            return err_nomem(err);
        s->param_names[i] = slice_of(name, r->param_names[i].n);
    }
    return QUARTET_OK;
}

static quartet_status copy_warnings(client_stmt *s, const struct session_result *r, struct err *err)
{
    arena_free_all(&s->warning_arena);
    s->warning_count = 0;
    s->warnings = arena_zalloc(&s->warning_arena, r->warning_count, sizeof *s->warnings);
    if (s->warnings == NULL)
        return err_nomem(err);
    for (uint32_t i = 0; i < r->warning_count; i++) {
        s->warnings[i] =
            arena_strndup(&s->warning_arena, (const char *)r->warnings[i].p, r->warnings[i].n);
        if (s->warnings[i] == NULL)
            return err_nomem(err);
    }
    s->warning_count = r->warning_count;
    return QUARTET_OK;
}

static quartet_status take_result(client_stmt *s, const struct session_result *r, struct err *err)
{
    quartet_status rc = r->has_columns ? copy_columns(s, r, err) : QUARTET_OK;
    if (rc == QUARTET_OK && r->column_count != s->column_count)
        rc = err_set(err, QUARTET_CORRUPT, "a result with %u columns, %u were announced",
                     r->column_count, s->column_count);
    if (rc == QUARTET_OK)
        rc = copy_warnings(s, r, err);
    buf_clear(&s->rows);
    buf_put(&s->rows, r->rows.p, r->rows.n);
    if (rc == QUARTET_OK)
        rc = buf_check(&s->rows, err);
    if (rc != QUARTET_OK)
        return rc;
    s->at = bytes_in(s->rows.data, s->rows.len);
    s->rows_left = r->row_count;
    s->flags = r->flags;
    s->done = (r->flags & SESSION_DONE) != 0;
    s->open = !s->done;
    s->affected = r->affected;
    s->last_insert_id = r->last_insert_id;
    return QUARTET_OK;
}

/* What a prepared statement knows about itself. */
static enum client_hint hint_of(const client_stmt *s)
{
    if ((s->flags & SESSION_READ_ONLY) != 0)
        return CLIENT_HINT_READS;
    return (s->flags & SESSION_ENDS) != 0 ? CLIENT_HINT_NONE : CLIENT_HINT_WRITES;
}

static void put_request(client_stmt *s, uint8_t kind, uint32_t id, const struct value *params,
                        uint32_t param_count, uint32_t max_rows)
{
    client *c = s->client;
    struct buf values = {0};
    for (uint32_t i = 0; i < param_count; i++)
        value_encode(&values, &params[i]);
    struct session_request r = {.kind = kind,
                                .id = id,
                                .statement = s->number,
                                .param_count = param_count,
                                .max_rows = max_rows,
                                .params = slice_of(values.data, values.len)};
    if (kind == SESSION_EXECUTE || kind == SESSION_PREPARE)
        r.sql = slice_of(s->sql, s->sql_bytes);
    c->request_tells = c->token_untold && kind != SESSION_CLOSE && kind != SESSION_RESET;
    if (c->request_tells)
        r.token = slice_of(c->token.data, c->token.len);
    buf_clear(&c->request);
    session_put_request(&c->request, &r);
    if (values.failed)
        c->request.failed = true; /* told by client_ask */
    buf_deinit(&values);
}

static quartet_status prepare(client_stmt *s, enum client_hint hint, size_t *consumed, struct err *err)
{
    struct client_answer answer;
    uint32_t id = client_next_id(s->client);
    put_request(s, SESSION_PREPARE, id, NULL, 0, 0);
    quartet_status rc = client_ask(s->client, id, hint, 0, &answer, err);
    if (rc == QUARTET_OK && answer.kind != SESSION_PREPARED)
        rc = err_set(err, QUARTET_CORRUPT, "an unexpected answer to PREPARE");
    if (rc == QUARTET_OK && answer.result.consumed_bytes > s->sql_bytes)
        rc = err_set(err, QUARTET_CORRUPT, "more SQL was consumed than sent");
    if (rc == QUARTET_OK)
        rc = take_result(s, &answer.result, err);
    if (rc != QUARTET_OK)
        return rc;
    s->prepared = true;
    s->open = false;
    s->generation = s->client->generation;
    if (consumed != NULL)
        *consumed = answer.result.consumed_bytes;
    return QUARTET_OK;
}

static quartet_status prepare_new(client *c, const char *sql, size_t n, enum client_hint hint,
                                  client_stmt **out, size_t *consumed, struct err *err)
{
    *out = NULL;
    client_stmt *s = stmt_new(c, sql, n, err);
    if (s == NULL)
        return err->code;
    s->keep = true;
    size_t used = n;
    quartet_status rc = prepare(s, hint, &used, err);
    bool blank = rc == QUARTET_OK && s->done;
    if (rc == QUARTET_OK && consumed != NULL)
        *consumed = used;
    s->sql_bytes = used < n ? used : n; /* what follows need not be sent again */
    s->done = true;                     /* nothing runs */
    if (rc != QUARTET_OK || blank) {
        client_stmt_free(s);
        return rc;
    }
    *out = s;
    return QUARTET_OK;
}

quartet_status client_prepare(client *c, const char *sql, size_t n, client_stmt **out,
                              size_t *consumed, struct err *err)
{
    return prepare_new(c, sql, n, CLIENT_HINT_READS, out, consumed, err);
}

quartet_status client_describe(client *c, const char *sql, size_t n, client_stmt **out,
                               size_t *consumed, struct err *err)
{
    return prepare_new(c, sql, n, CLIENT_HINT_ASKS, out, consumed, err);
}

/* How far the first statement goes, where the answer that said so was lost: the node that serves now is asked. */
static size_t length_of(client_stmt *s)
{
    struct err ignored = ERR_INIT; /* then it is taken for all of the text, as it is where one statement is sent at a time */
    client_stmt *same = NULL;
    size_t n = s->sql_bytes;
    if (prepare_new(s->client, s->sql, s->sql_bytes, CLIENT_HINT_ASKS, &same, &n, &ignored) != QUARTET_OK)
        n = s->sql_bytes;
    client_stmt_free(same);
    return n;
}

static void begin_run(client_stmt *s)
{
    forget_cancel(s->client);
    s->rows_left = 0;
    s->done = true;
}

quartet_status client_execute(client *c, const char *sql, size_t n, const struct value *params,
                              uint32_t param_count, enum client_hint hint, client_stmt **out,
                              size_t *consumed, struct err *err)
{
    *out = NULL;
    client_stmt *s = stmt_new(c, sql, n, err);
    if (s == NULL)
        return err->code;
    begin_run(s);
    struct client_answer answer;
    uint32_t id = client_next_id(c);
    put_request(s, SESSION_EXECUTE, id, params, param_count, FIRST_ROWS);
    quartet_status rc = client_ask(c, id, hint, 0, &answer, err);
    if (rc == QUARTET_OK && (answer.kind != SESSION_RESULT || answer.result.consumed_bytes > n))
        rc = err_set(err, QUARTET_CORRUPT, "an unexpected answer to EXECUTE");
    if (rc == QUARTET_OK) {
        rc = take_result(s, &answer.result, err);
        s->generation = c->generation;
        if (consumed != NULL)
            *consumed = answer.settled ? length_of(s) : answer.result.consumed_bytes;
    }
    if (rc != QUARTET_OK) {
        client_stmt_free(s);
        return rc;
    }
    *out = s;
    return QUARTET_OK;
}

quartet_status client_run(client_stmt *s, const struct value *params, uint32_t param_count,
                          struct err *err)
{
    client *c = s->client;
    QASSERT(s->keep);
    begin_run(s);
    quartet_status rc = QUARTET_NOTFOUND;
    /* A failover between preparing and running asks for another round; more than a few of them is
     * an error of the network. */
    for (int attempt = 0; rc == QUARTET_NOTFOUND && attempt < 3; attempt++) {
        err_clear(err);
        rc = client_connect(c, err);
        if (rc == QUARTET_OK && !c->transaction_lost &&
            (!s->prepared || s->generation != c->generation))
            rc = prepare(s, CLIENT_HINT_READS, NULL, err);
        if (rc != QUARTET_OK)
            return rc;
        s->done = true;
        struct client_answer answer;
        uint32_t id = client_next_id(c);
        put_request(s, SESSION_RUN, id, params, param_count, FIRST_ROWS);
        rc = client_ask(c, id, hint_of(s), s->generation, &answer, err);
        if (rc == QUARTET_OK && answer.kind != SESSION_RESULT)
            rc = err_set(err, QUARTET_CORRUPT, "an unexpected answer to RUN");
        if (rc == QUARTET_OK && answer.settled)
            answer.result.column_count = s->column_count; /* it gives no rows */
        if (rc == QUARTET_OK)
            rc = take_result(s, &answer.result, err);
    }
    if (rc == QUARTET_NOTFOUND)
        rc = err_set(err, QUARTET_NET, "the nodes come and go: the statement was not run");
    return rc;
}

static quartet_status fetch(client_stmt *s, struct err *err)
{
    client *c = s->client;
    struct client_answer answer;
    uint32_t id = client_next_id(c), generation = s->generation;
    put_request(s, SESSION_FETCH, id, NULL, 0, MORE_ROWS);
    /* Not to be asked again: rows were given to the caller, and another node's cursor would begin
     * anew. */
    quartet_status rc = c->link.fd < 0 || c->generation != generation
                            ? err_set(err, QUARTET_NOTFOUND, "the session is gone")
                            : client_ask(c, id, CLIENT_HINT_READS, generation, &answer, err);
    if (rc == QUARTET_NOTFOUND)
        rc = err_set(err, QUARTET_NET,
                     "the node failed while rows were being read: run the statement again");
    if (rc == QUARTET_OK && answer.kind != SESSION_RESULT)
        rc = err_set(err, QUARTET_CORRUPT, "an unexpected answer to FETCH");
    if (rc == QUARTET_OK)
        rc = take_result(s, &answer.result, err);
    return rc;
}

quartet_status client_step(client_stmt *s, const struct value **row, struct err *err)
{
    while (s->rows_left == 0) {
        if (s->done)
            return QUARTET_DONE;
        quartet_status rc = fetch(s, err);
        if (rc != QUARTET_OK) {
            s->done = true;
            s->open = false;
            return rc;
        }
    }
    for (uint32_t i = 0; i < s->column_count; i++)
        if (!value_decode(&s->at, &s->row[i]))
            return err_set(err, QUARTET_CORRUPT, "a malformed row");
    s->rows_left--;
    *row = s->row;
    return QUARTET_ROW;
}

/* CLOSE and RESET have no answer; where the session is gone there is nothing to close. */
static void send_quietly(client_stmt *s, uint8_t kind)
{
    client *c = s->client;
    if (c->link.fd < 0 || c->generation != s->generation)
        return;
    struct err why = ERR_INIT;
    put_request(s, kind, client_next_id(c), NULL, 0, 0);
    if (!c->request.failed &&
        client_link_send(&c->link, c->env, slice_of(c->request.data, c->request.len), &why) !=
            QUARTET_OK)
        client_lost(c, why.text);
}

void client_reset(client_stmt *s)
{
    if (s->open)
        send_quietly(s, SESSION_RESET);
    s->open = false;
    s->done = true;
    s->rows_left = 0;
}

void client_stmt_free(client_stmt *s)
{
    if (s == NULL)
        return;
    if (s->open || s->prepared)
        send_quietly(s, SESSION_CLOSE);
    arena_free_all(&s->arena);
    arena_free_all(&s->warning_arena);
    buf_deinit(&s->rows);
    mem_free(s->row);
    mem_free(s->sql);
    mem_free(s);
}

uint32_t client_param_count(const client_stmt *s)
{
    return s->param_count;
}

uint32_t client_param_index(const client_stmt *s, const char *name)
{
    for (uint32_t i = 0; i < s->param_count; i++)
        if (s->param_names[i].n > 0 && slice_eq(s->param_names[i], slice_of(name, strlen(name))))
            return i + 1;
    return 0;
}

uint32_t client_column_count(const client_stmt *s)
{
    return s->column_count;
}

const char *client_column_name(const client_stmt *s, uint32_t i)
{
    QASSERT(i < s->column_count);
    return (const char *)s->columns[i].name.p;
}

const char *client_column_decltype(const client_stmt *s, uint32_t i)
{
    QASSERT(i < s->column_count);
    return (const char *)s->columns[i].declared.p;
}

uint8_t client_column_type(const client_stmt *s, uint32_t i)
{
    QASSERT(i < s->column_count);
    return s->columns[i].type;
}

int64_t client_affected(const client_stmt *s)
{
    return s->affected;
}

int64_t client_last_insert_id(const client_stmt *s)
{
    return s->last_insert_id;
}

uint32_t client_warning_count(const client_stmt *s)
{
    return s->warning_count;
}

const char *client_warning(const client_stmt *s, uint32_t i)
{
    QASSERT(i < s->warning_count);
    return s->warnings[i];
}

bool client_read_only(const client_stmt *s)
{
    return (s->flags & SESSION_READ_ONLY) != 0;
}
