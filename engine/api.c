/* api.c - the public interface: connections, errors, statements' life. Values in and out are in api_value.c, opening in api_open.c.
 * Every entry point checks what a caller can get wrong (NULL, a finalized order of things, use after fork) and says so, since a library that crashes its
 * service is worse than one that returns an error. */
#include "api_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "parser/parse.h"

/* ---- errors ---- */

int api_fail(quartet_db *q, const struct err *err, const char *sql, size_t n)
{
    q->code = err->code;
    buf_clear(&q->message);
    buf_str(&q->message, err->text);
    if (sql != NULL && err->sql_offset >= 0 && (uint64_t)err->sql_offset <= n) {
        buf_str(&q->message, "\n");
        parse_error_render(sql, n, err->sql_offset, &q->message);
        while (!q->message.failed && q->message.len > 0 && q->message.data[q->message.len - 1] == '\n')
            q->message.len--;
    }
    buf_u8(&q->message, 0);
    return (int)err->code;
}

int api_misuse(quartet_db *q, const char *text)
{
    struct err err = ERR_INIT;
    err_set(&err, QUARTET_MISUSE, "%s", text);
    return api_fail(q, &err, NULL, 0);
}

int api_check_slow(quartet_db *q)
{
    if (q->generation != api_generation())
        return api_misuse(q, "this connection was opened before fork(): open one of your own in the child");
    if (q->local == NULL && q->far == NULL)
        return q->code != QUARTET_OK ? (int)q->code : api_misuse(q, "the connection is not open");
    return QUARTET_OK;
}

void api_notice(void *arg, const char *text)
{
    quartet_db *q = arg;
    if (q->notice != NULL)
        q->notice(q->notice_arg, text);
}

const char *quartet_errmsg(quartet_db *q)
{
    if (q == NULL)
        return "out of memory";
    if (q->message.failed)
        return status_name(q->code);
    return q->message.len > 0 ? (const char *)q->message.data : "no error";
}

int quartet_errcode(quartet_db *q)
{
    return q == NULL ? QUARTET_NOMEM : (int)q->code;
}

const char *quartet_sqlstate(quartet_db *q)
{
    return status_sqlstate(q == NULL ? QUARTET_NOMEM : q->code);
}

const char *quartet_version(void)
{
    return QUARTET_VERSION;
}

/* ---- connections ---- */

int quartet_open(const char *path, quartet_db **out)
{
    return quartet_open_with(path, NULL, out);
}

int quartet_open_with(const char *path, const struct quartet_open_options *options, quartet_db **out)
{
    struct err err = ERR_INIT;
    if (out == NULL)
        return QUARTET_MISUSE;
    quartet_db *q = *out = mem_zalloc(1, sizeof *q);
    if (q == NULL)
        return QUARTET_NOMEM;
    q->copied = -1;
    q->generation = api_generation();
    if (q->generation == 0)
        return api_misuse(q, "fork() cannot be watched: out of memory");
    if (options != NULL && options->size != sizeof *options)
        return api_misuse(q, "quartet_open_with: size is not that of struct quartet_open_options");
    quartet_status rc = QUARTET_OK;
    if (path == NULL || path[0] == '\0')
        return api_misuse(q, "a path is missing: a directory, :memory: or a quartet:// URL");
    if (strncmp(path, "quartet://", strlen("quartet://")) == 0) {
        rc = remote_open(path, options, api_notice, q, api_next_turn(), &q->far, &err);
    } else {
        rc = api_shared_open(path, &q->shared, &err);
        if (rc == QUARTET_OK)
            rc = conn_open(api_shared_db(q->shared), &q->local, &err);
        if (rc == QUARTET_OK)
            conn_on_notice(q->local, api_notice, q);
    }
    return rc == QUARTET_OK ? QUARTET_OK : api_fail(q, &err, NULL, 0);
}

int quartet_close(quartet_db *q)
{
    if (q == NULL)
        return QUARTET_OK;
    struct err err = ERR_INIT;
    quartet_status rc = QUARTET_OK;
    if (q->generation == api_generation()) { /* a child must not touch what its parent uses */
        while (q->first != NULL)
            (void)quartet_finalize(q->first); /* its error was told by the step that failed */
        conn_close(q->local);
        if (q->shared != NULL)
            rc = api_shared_close(q->shared, &err);
        remote_close(q->far);
    }
    buf_deinit(&q->message);
    mem_free(q->spare);
    mem_free(q);
    return (int)rc;
}

int64_t quartet_changes(quartet_db *q)
{
    if (q == NULL || api_check(q) != QUARTET_OK)
        return 0;
    if (q->copied >= 0)
        return q->copied;
    return q->local != NULL ? conn_changes(q->local) : remote_changes(q->far);
}

int64_t quartet_last_insert_id(quartet_db *q)
{
    if (q == NULL || api_check(q) != QUARTET_OK)
        return 0;
    return q->local != NULL ? conn_last_insert_id(q->local) : remote_last_insert_id(q->far);
}

int quartet_in_transaction(quartet_db *q)
{
    if (q == NULL || q->generation != api_generation())
        return 0;
    return q->local != NULL ? conn_in_transaction(q->local) : q->far != NULL && remote_in_transaction(q->far);
}

void quartet_interrupt(quartet_db *q)
{
    if (q == NULL)
        return;
    __atomic_store_n(&q->interrupted, 1, __ATOMIC_RELAXED);
    if (q->local != NULL)
        conn_interrupt(q->local);
    else if (q->far != NULL)
        remote_interrupt(q->far);
}

int quartet_progress(quartet_db *q, int every, int (*callback)(void *arg), void *arg)
{
    if (q == NULL)
        return QUARTET_MISUSE;
    int rc = api_check(q);
    if (rc == QUARTET_OK && q->local != NULL)
        conn_on_progress(q->local, every > 0 ? (uint32_t)every : 0, callback, arg);
    return rc;
}

void quartet_on_notice(quartet_db *q, void (*notice)(void *arg, const char *text), void *arg)
{
    if (q == NULL)
        return;
    q->notice = notice;
    q->notice_arg = arg;
}

int quartet_on_copy(quartet_db *q, const struct quartet_copy_io *io)
{
    if (q == NULL)
        return QUARTET_MISUSE;
    if (io != NULL && io->size != sizeof *io)
        return api_misuse(q, "quartet_on_copy: size is not that of struct quartet_copy_io");
    q->copy_io = io != NULL ? *io : (struct quartet_copy_io){0};
    return QUARTET_OK;
}

const char *quartet_where(quartet_db *q)
{
    if (q == NULL)
        return "";
    if (q->far != NULL) {
        remote_where(q->far, q->where, sizeof q->where);
    } else if (q->shared != NULL) {
        node *n = api_shared_node(q->shared);
        const char *path = api_shared_path(q->shared);
        if (n != NULL)
            snprintf(q->where, sizeof q->where, "node %u (%s)", (unsigned)node_slot(n), node_address(n));
        else
            snprintf(q->where, sizeof q->where, "%s", path[0] != '\0' ? "local" : "memory");
    } else {
        snprintf(q->where, sizeof q->where, "not connected");
    }
    return q->where;
}

const char *quartet_unknown_transaction(quartet_db *q)
{
    return q != NULL && q->far != NULL ? remote_doubt(q->far) : "";
}

int quartet_outcome(quartet_db *q, const char *transaction, int timeout_ms, int *outcome)
{
    struct err err = ERR_INIT;
    int checked = api_check(q);
    if (checked != QUARTET_OK)
        return checked;
    if (transaction == NULL || outcome == NULL || timeout_ms < 0 || q->far == NULL)
        return api_misuse(q, "quartet_outcome: needs a quartet:// connection, an identifier, a time-out that is not negative, and somewhere to put the outcome");
    *outcome = QUARTET_OUTCOME_UNKNOWN;
    quartet_status rc = remote_outcome(q->far, transaction, (uint32_t)timeout_ms, outcome, &err);
    return rc == QUARTET_OK ? QUARTET_OK : api_fail(q, &err, NULL, 0);
}

/* ---- exec ---- */

/* Of exactly n bytes. */
static int prepare(quartet_db *q, const char *sql, size_t n, quartet_stmt **out, const char **tail)
{
    struct err err = ERR_INIT;
    size_t consumed = n;
    int checked = api_check(q);
    if (checked != QUARTET_OK)
        return checked;
    quartet_stmt *s = q->spare != NULL ? memset(q->spare, 0, sizeof *s) : mem_zalloc(1, sizeof *s);
    if (s == NULL) {
        err_nomem(&err);
        return api_fail(q, &err, NULL, 0);
    }
    q->spare = NULL;
    s->db = q;
    quartet_status rc = QUARTET_OK;
    if (api_copy_is(sql, n))
        rc = api_copy_prepare(sql, n, &s->copy, &consumed, &err);
    else if (q->local != NULL)
        rc = conn_prepare(q->local, sql, n, &s->local, &consumed, &err);
    else
        rc = remote_prepare(q->far, sql, n, &s->far, &consumed, &err);
    if (rc == QUARTET_OK && consumed > QUARTET_SQL_BYTES_MAX) {
        rc = err_set(&err, QUARTET_LIMIT, "a statement of %zu bytes, limit %u", consumed, QUARTET_SQL_BYTES_MAX);
        conn_finalize(s->local);
        remote_finalize(s->far);
        api_copy_free(s->copy);
    }
    if (tail != NULL)
        *tail = sql + (consumed < n ? consumed : n);
    if (rc != QUARTET_OK || (s->local == NULL && s->far == NULL && s->copy == NULL)) {
        mem_free(s);
        return rc == QUARTET_OK ? QUARTET_OK : api_fail(q, &err, sql, n);
    }
    s->next = q->first;
    if (q->first != NULL)
        q->first->prev = s;
    q->first = s;
    *out = s;
    return QUARTET_OK;
}

static char *row_text(quartet_stmt *stmt, int column)
{
    /* The callback's signature is SQLite's, char **; it does not write. */
    const char *text = quartet_column_text(stmt, column);
    return text == NULL ? NULL : (char *)(uintptr_t)text;
}

static int call_back(quartet_stmt *stmt, int (*callback)(void *arg, int columns, char **values, char **names), void *arg, int columns, char **cells)
{
    struct err err = ERR_INIT;
    for (int c = 0; c < columns; c++) {
        cells[c] = row_text(stmt, c);
        cells[columns + c] = (char *)(uintptr_t)quartet_column_name(stmt, c);
        if (cells[c] == NULL && quartet_column_type(stmt, c) != QUARTET_NULL) { /* no memory for its text: it must not pass for NULL */
            err_nomem(&err);
            return api_fail(stmt->db, &err, NULL, 0);
        }
    }
    if (callback(arg, columns, cells, cells + columns) == 0)
        return QUARTET_OK;
    err_set(&err, QUARTET_INTERRUPTED, "the callback asked to stop");
    return api_fail(stmt->db, &err, NULL, 0);
}

/* The columns are asked for when there is a row: before, that would be a question of its own to a node. */
static int run_rows(quartet_stmt *stmt, int (*callback)(void *arg, int columns, char **values, char **names), void *arg)
{
    char **cells = NULL;
    int rc, columns = 0;
    while ((rc = quartet_step(stmt)) == QUARTET_ROW && callback != NULL) {
        if (cells == NULL) {
            columns = quartet_column_count(stmt);
            cells = mem_zalloc((size_t)columns * 2 + 1, sizeof *cells);
        }
        struct err err = ERR_INIT;
        rc = cells != NULL ? call_back(stmt, callback, arg, columns, cells) : (err_nomem(&err), api_fail(stmt->db, &err, NULL, 0));
        if (rc != QUARTET_OK)
            break;
    }
    while (rc == QUARTET_ROW) /* nobody wants them */
        rc = quartet_step(stmt);
    mem_free(cells);
    return rc == QUARTET_DONE ? QUARTET_OK : rc;
}

int quartet_exec(quartet_db *q, const char *sql, int (*callback)(void *arg, int columns, char **values, char **names), void *arg,
                 char **errmsg)
{
    int rc = QUARTET_OK;
    if (errmsg != NULL)
        *errmsg = NULL;
    if (q == NULL || sql == NULL)
        return QUARTET_MISUSE;
    const char *end = sql + strlen(sql); /* once: a script of n statements would be gone through n times */
    for (const char *tail = sql; rc == QUARTET_OK && tail < end;) {
        quartet_stmt *stmt = NULL;
        const char *next = tail;
        rc = prepare(q, tail, (size_t)(end - tail), &stmt, &next);
        if (rc == QUARTET_OK && stmt == NULL)
            break;
        if (rc == QUARTET_OK)
            rc = run_rows(stmt, callback, arg);
        (void)quartet_finalize(stmt); /* repeats rc */
        tail = next;
    }
    if (rc != QUARTET_OK && errmsg != NULL)
        *errmsg = mem_strdup(quartet_errmsg(q));
    return rc;
}

void quartet_free(void *p)
{
    mem_free(p);
}

/* ---- statements ---- */

int quartet_prepare(quartet_db *q, const char *sql, int64_t nbytes, quartet_stmt **out, const char **tail)
{
    if (out != NULL)
        *out = NULL;
    if (tail != NULL)
        *tail = sql;
    if (q == NULL || sql == NULL || out == NULL)
        return QUARTET_MISUSE;
    return prepare(q, sql, nbytes < 0 ? strlen(sql) : strnlen(sql, (size_t)nbytes), out, tail);
}

int quartet_complete(const char *sql)
{
    return sql != NULL && parse_is_complete(sql, strlen(sql));
}

static int step_failed(quartet_stmt *s, struct err *err)
{
    size_t n = 0;
    const char *sql = s->copy != NULL    ? api_copy_sql(s->copy, &n)
                      : s->local != NULL ? conn_sql(s->local, &n)
                                         : remote_sql(s->far, &n);
    s->has_row = false;
    s->rows.n = s->at = 0;
    s->last = err->code;
    return api_fail(s->db, err, sql, n);
}

int quartet_step(quartet_stmt *s)
{
    struct err err;
    quartet_status rc;
    err_clear(&err);
    if (s == NULL)
        return QUARTET_MISUSE;
    int checked = api_check(s->db);
    if (checked != QUARTET_OK)
        return checked;
    s->last = QUARTET_OK;
    for (uint32_t i = 0; i < s->text_count; i++)
        buf_clear(&s->texts[i]);
    if (s->copy != NULL) {
        rc = api_copy_run(s->db, s->copy, &err);
        return rc == QUARTET_OK ? QUARTET_DONE : step_failed(s, &err);
    }
    s->db->copied = -1;
    if (s->far != NULL) {
        rc = remote_step(s->far, &s->row, &err);
        s->has_row = rc == QUARTET_ROW;
        return rc == QUARTET_ROW || rc == QUARTET_DONE ? (int)rc : step_failed(s, &err);
    }
    if (s->at == s->rows.n || conn_is_cut_off(s->local)) {
        s->at = s->rows.n = 0;
        s->has_row = false;
        rc = conn_step(s->local, &s->rows, &err);
        if (rc != QUARTET_OK)
            return step_failed(s, &err);
    }
    s->has_row = s->at < s->rows.n;
    s->at += s->has_row;
    return s->has_row ? QUARTET_ROW : QUARTET_DONE;
}

int quartet_reset(quartet_stmt *s)
{
    if (s == NULL)
        return QUARTET_OK;
    int checked = api_check(s->db);
    if (checked != QUARTET_OK)
        return checked;
    if (s->local != NULL)
        conn_reset(s->local);
    else if (s->far != NULL)
        remote_reset(s->far);
    s->rows.n = s->at = 0;
    s->has_row = false;
    quartet_status last = s->last;
    s->last = QUARTET_OK;
    return (int)last;
}

int quartet_finalize(quartet_stmt *s)
{
    if (s == NULL)
        return QUARTET_OK;
    quartet_db *q = s->db;
    quartet_status last = s->last;
    if (q->generation != api_generation())
        return api_misuse(q, "this statement was prepared before fork()");
    conn_finalize(s->local);
    remote_finalize(s->far);
    api_copy_free(s->copy);
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        q->first = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    for (uint32_t i = 0; i < s->text_count; i++)
        buf_deinit(&s->texts[i]);
    mem_free(s->texts);
    if (q->spare == NULL)
        q->spare = s;
    else
        mem_free(s);
    return (int)last;
}
