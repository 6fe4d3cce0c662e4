/* conn.c - a connection and its statements: prepare, bind, step.
 * A lone read streams from a snapshot of its own. A statement that writes runs to its end before its first row is given out, so that
 *   it can be undone as a whole when it fails, and run again when another transaction came between (a lone statement never fails for that: after a
 *   few tries it runs while it holds the commit lock).
 * Not here: what session statements do (conn_session.c, conn_show.c), how statements are planned and run (plan.c, exec_*.c). */
#include "conn_internal.h"
#include "stats.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "parser/parse.h"
#include "share.h"

/* ---- connections ---- */

quartet_status conn_open(db *d, conn **out, struct err *err)
{
    conn *c = mem_zalloc(1, sizeof *c);
    if (c == NULL)
        return err_nomem(err);
    c->d = d;
    c->settings = (struct conn_settings){.synchronous = d->options.sync, .consistency = CONN_LOCAL, .consistency_timeout_ms = 2000,
                                         .commit_acks_timeout_ms = 2000,
                                         .share_timeout_ms = SHARE_TIMEOUT_MS};
    *out = c;
    return QUARTET_OK;
}

void conn_close(conn *c)
{
    if (c == NULL)
        return;
    while (c->first != NULL)
        conn_finalize(c->first);
    txn_rollback(c->t);
    c->t = NULL;
    txn_rollback(c->rested);
    arena_free_all(&c->spare_text);
    arena_free_all(&c->spare_plan);
    arena_free_all(&c->spare_run);
    mem_free(c->spare_stmt);
    conn_end_txn(c);
    mem_free(c->savepoints);
    conn_rerun_clear(c);
    buf_deinit(&c->rerun.randoms);
    buf_deinit(&c->token);
    mem_free(c);
}

db *conn_db(conn *c)
{
    return c->d;
}

void conn_interrupt(conn *c)
{
    __atomic_store_n(&c->interrupted, 1, __ATOMIC_RELAXED);
}

void conn_on_notice(conn *c, void (*notice)(void *arg, const char *text), void *arg)
{
    c->notice = notice;
    c->notice_arg = arg;
}

void conn_say(conn *c, const char *text)
{
    if (c->notice != NULL)
        c->notice(c->notice_arg, text);
}

bool conn_in_transaction(const conn *c)
{
    return c->t != NULL;
}

int64_t conn_changes(const conn *c)
{
    return c->changes;
}

int64_t conn_last_insert_id(const conn *c)
{
    return c->last_insert_id;
}

hlc_stamp conn_last_commit(const conn *c)
{
    return c->last_commit;
}

struct conn_settings *conn_settings(conn *c)
{
    return &c->settings;
}

quartet_status conn_set_token(conn *c, struct slice encoded_vv, struct err *err)
{
    buf_clear(&c->token);
    buf_put(&c->token, encoded_vv.p, encoded_vv.n);
    return buf_check(&c->token, err);
}

/* Of this node's own chains only what is on disk: what a crash could still take back must not be waited for elsewhere. */
quartet_status conn_token(conn *c, struct buf *out, struct err *err)
{
    struct buf applied = {0}, durable = {0};
    struct chain_table chains = {0};
    struct vv seen = {0}, disk = {0};
    quartet_status rc = db_vectors(c->d, &applied, &durable, err);
    struct bytes_in in = bytes_in(applied.data, applied.len);
    if (rc == QUARTET_OK)
        rc = vv_decode(&in, &seen, &chains, err);
    in = bytes_in(durable.data, durable.len);
    if (rc == QUARTET_OK)
        rc = vv_decode(&in, &disk, &chains, err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < seen.count; i++)
        if (chains.ids[seen.e[i].chain].slot != c->d->identity.slot)
            rc = vv_raise(&disk, seen.e[i], err);
    if (rc == QUARTET_OK)
        vv_encode(out, &disk, &chains);
    vv_deinit(&seen);
    vv_deinit(&disk);
    chain_table_deinit(&chains);
    buf_deinit(&applied);
    buf_deinit(&durable);
    return rc == QUARTET_OK ? buf_check(out, err) : rc;
}

quartet_status conn_catalog(conn *c, struct catalog **out, struct err *err)
{
    (void)err; /* cannot fail today; what takes a reference may have to wait for a node's state later */
    *out = c->t != NULL ? catalog_ref(c->t->catalog) : db_catalog(c->d);
    return QUARTET_OK;
}

/* ---- commit ---- */

quartet_status conn_before_read(conn *c, struct err *err)
{
    const struct conn_node_hooks *hooks = db_node_hooks(c->d);
    if (hooks->before_read == NULL || c->settings.consistency == CONN_LOCAL)
        return QUARTET_OK;
    return hooks->before_read(hooks->ctx, c->settings.consistency, slice_of(c->token.data, c->token.len), c->settings.consistency_timeout_ms,
                              err);
}

/* The commit stands whatever peers say: a time-out is told as a notice, never as a failure. */
quartet_status conn_committed(conn *c, hlc_stamp stamp, struct err *err)
{
    (void)err; /* see above */
    if (stamp == 0)
        return QUARTET_OK;
    c->last_commit = stamp;
    const struct conn_node_hooks *hooks = db_node_hooks(c->d);
    if (c->settings.commit_acks == 0 || hooks->after_commit == NULL)
        return QUARTET_OK;
    struct err told = ERR_INIT;
    if (hooks->after_commit(hooks->ctx, stamp, c->settings.commit_acks, c->settings.commit_acks_timeout_ms, &told) != QUARTET_OK)
        conn_say(c, told.text);
    return QUARTET_OK;
}

void conn_cut_readers(conn *c)
{
    for (conn_stmt *s = c->first; s != NULL; s = s->next)
        if (s->state == CONN_STREAMING && s->own_txn == NULL) {
            conn_reset(s);
            s->state = CONN_CUT_OFF; /* whoever holds rows of it must learn that they are gone */
        }
}

void conn_end_txn(conn *c)
{
    conn_cut_readers(c);
    for (uint32_t i = 0; i < c->savepoint_count; i++)
        mem_free(c->savepoints[i].name);
    c->savepoint_count = 0;
    c->begun_by_savepoint = false;
}

quartet_status conn_commit(conn *c, struct err *err)
{
    hlc_stamp stamp = 0;
    txn *t = c->t;
    conn_end_txn(c); /* before the transaction goes: their scans read from it */
    c->t = NULL;
    txn_set_sync(t, c->settings.synchronous);
    int64_t now_us = txn_now_us(t);
    quartet_status rc = txn_commit_stamped(t, &stamp, err);
    if (rc == QUARTET_SERIALIZATION)
        rc = conn_rerun(c, now_us, &stamp, err);
    conn_rerun_clear(c);
    return rc == QUARTET_OK ? conn_committed(c, stamp, err) : rc;
}

/* ---- kept rows ---- */

void conn_rows_clear(struct conn_rows *r)
{
    mem_free(r->rows);
    arena_free_all(&r->arena);
    *r = (struct conn_rows){.column_count = r->column_count};
}

quartet_status conn_rows_add(struct conn_rows *r, const struct value *values, struct err *err)
{
    if (r->count == r->cap) {
        uint64_t cap = r->cap == 0 ? 16 : r->cap * 2;
        struct value **grown = mem_realloc(r->rows, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        r->rows = grown;
        r->cap = cap;
    }
    struct value *row = arena_zalloc(&r->arena, r->column_count + 1u, sizeof *row);
    if (row == NULL)
        return arena_fail(&r->arena, err);
    for (uint32_t c = 0; c < r->column_count; c++) {
        row[c] = values[c];
        if (!value_copy(&r->arena, &row[c]))
            return arena_fail(&r->arena, err);
    }
    r->rows[r->count++] = row;
    return QUARTET_OK;
}

/* The rows of a statement go, and with those of SHOW and PRAGMA their columns, which live beside them. */
static void forget_rows(conn_stmt *s)
{
    conn_rows_clear(&s->rows);
    if (s->columns != NULL)
        s->column_count = 0;
    s->columns = NULL;
}

/* The next kept rows as a batch. */
static quartet_status give_kept(conn_stmt *s, struct batch *out, struct err *err)
{
    struct conn_rows *r = &s->rows;
    uint64_t left = r->count - r->at;
    uint32_t n = left < BATCH_ROWS_MAX ? (uint32_t)left : BATCH_ROWS_MAX;
    arena_free_all(&s->batch_arena);
    *out = (struct batch){.n = 0};
    if (n == 0) {
        conn_reset(s);
        return QUARTET_OK;
    }
    if (!batch_init(out, r->column_count, &s->batch_arena))
        return arena_fail(&s->batch_arena, err);
    for (uint32_t c = 0; c < r->column_count; c++) {
        if (!vec_init(&out->cols[c], VEC_MIXED, n, &s->batch_arena))
            return arena_fail(&s->batch_arena, err);
        for (uint32_t k = 0; k < n; k++)
            out->cols[c].v[k] = r->rows[r->at + k][c];
    }
    out->n = n;
    r->at += n;
    return QUARTET_OK;
}

/* ---- statements: prepare and bind ---- */

bool conn_planned(const struct ast_stmt *tree)
{
    switch (tree->kind) {
    case AST_STMT_SELECT:
    case AST_STMT_INSERT:
    case AST_STMT_UPDATE:
    case AST_STMT_DELETE:
    case AST_STMT_TRUNCATE:
    case AST_STMT_BACKTRACK:
    case AST_STMT_RESOLVE:
        return true;
    default:
        return tree->explain != AST_EXPLAIN_NONE; /* plan_build says what cannot be explained */
    }
}

static quartet_status plan_now(conn_stmt *s, struct err *err)
{
    struct catalog *catalog;
    plan_free(s->p);
    s->p = NULL;
    s->column_count = 0; /* nothing is known of them without a plan */
    arena_rewind(&s->plan_arena, (struct arena_mark){0});
    quartet_status rc = conn_catalog(s->c, &catalog, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = plan_build(catalog, s->c->d, s->tree, &s->plan_arena, &s->p, err);
    catalog_unref(catalog);
    if (rc != QUARTET_OK)
        return rc;
    plan_lend(s->p, &s->c->spare_run);
    s->column_count = plan_column_count(s->p);
    return QUARTET_OK;
}

static quartet_status keep_table(conn_stmt *s, const struct conn_table *t, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    s->rows.column_count = s->column_count = t->column_count;
    s->columns = arena_zalloc(&s->rows.arena, t->column_count + 1u, sizeof *s->columns);
    if (s->columns == NULL)
        return arena_fail(&s->rows.arena, err);
    for (uint32_t c = 0; c < t->column_count; c++)
        if ((s->columns[c].name = arena_strndup(&s->rows.arena, t->columns[c], strlen(t->columns[c]))) == NULL)
            return arena_fail(&s->rows.arena, err);
    for (uint32_t r = 0; rc == QUARTET_OK && r < t->row_count; r++)
        rc = conn_rows_add(&s->rows, t->values + (size_t)r * t->column_count, err);
    return rc;
}

static bool is_maintenance(const conn_stmt *s)
{
    return s->tree->kind == AST_STMT_BACKUP || s->tree->kind == AST_STMT_VACUUM;
}

/* SHOW and PRAGMA: made when prepared too, since only then their columns are known. */
static quartet_status make_table(conn_stmt *s, struct err *err)
{
    struct conn_table table = {0};
    struct arena a = {0};
    forget_rows(s);
    quartet_status rc = is_maintenance(s)                ? conn_maintenance(s->c, s->tree, &a, &table, err)
                        : s->tree->kind == AST_STMT_SHOW ? conn_show(s->c, s->tree->u.show, &a, &table, err)
                                                         : conn_pragma(s->c, s->tree->u.setting, &a, &table, err);
    if (rc == QUARTET_OK)
        rc = keep_table(s, &table, err);
    arena_free_all(&a);
    return rc;
}

/* Their columns are known before they run. */
static quartet_status make_columns(conn_stmt *s, struct err *err)
{
    struct conn_table table;
    conn_maintenance_columns(s->tree, &table);
    return keep_table(s, &table, err);
}

static bool is_table(const conn_stmt *s)
{
    if (s->tree->kind != AST_STMT_PRAGMA)
        return s->tree->kind == AST_STMT_SHOW;
    const struct ast_setting *p = s->tree->u.setting;
    return p->value == NULL || strcasecmp(p->name.name.text, "table_info") == 0; /* the others with a value are orders */
}

static quartet_status prepare_stmt(conn_stmt *s, const char *sql, size_t n, size_t *consumed, struct err *err)
{
    quartet_status rc = parse_sql(&s->arena, sql, n, NULL, &s->tree, consumed, err);
    if (rc != QUARTET_OK || s->tree == NULL)
        return rc;
    s->sql = arena_strndup(&s->arena, sql, *consumed);
    s->sql_len = *consumed;
    if (s->sql == NULL || !params_init(&s->params, &s->tree->params, &s->arena))
        return arena_fail(&s->arena, err);
    if (conn_planned(s->tree))
        return plan_now(s, err);
    if (is_maintenance(s))
        return make_columns(s, err);
    return is_table(s) ? make_table(s, err) : QUARTET_OK;
}

quartet_status conn_prepare(conn *c, const char *sql, size_t n, conn_stmt **out, size_t *consumed, struct err *err)
{
    *out = NULL;
    *consumed = n;
    conn_stmt *s = c->spare_stmt != NULL ? memset(c->spare_stmt, 0, sizeof *s) : mem_zalloc(1, sizeof *s);
    if (s == NULL)
        return err_nomem(err);
    c->spare_stmt = NULL;
    s->c = c;
    s->next = c->first;
    if (c->first != NULL)
        c->first->prev = s;
    c->first = s;
    s->arena = c->spare_text;
    s->plan_arena = c->spare_plan;
    c->spare_text = c->spare_plan = (struct arena){0};
    quartet_status rc = prepare_stmt(s, sql, n, consumed, err);
    if (rc != QUARTET_OK || s->tree == NULL)
        conn_finalize(s);
    else
        *out = s;
    return rc;
}

void conn_finalize(conn_stmt *s)
{
    if (s == NULL)
        return;
    conn_reset(s);
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        s->c->first = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    plan_free(s->p);
    params_deinit(&s->params);
    conn_rows_clear(&s->rows);
    arena_free_all(&s->batch_arena);
    arena_give(&s->plan_arena, &s->c->spare_plan);
    arena_give(&s->arena, &s->c->spare_text);
    if (s->c->spare_stmt == NULL)
        s->c->spare_stmt = s;
    else
        mem_free(s);
}

const char *conn_sql(const conn_stmt *s, size_t *n)
{
    *n = s->sql_len;
    return s->sql;
}

uint32_t conn_param_count(const conn_stmt *s)
{
    return params_count(&s->params);
}

const char *conn_param_name(const conn_stmt *s, uint32_t number)
{
    return params_name(&s->params, number);
}

quartet_status conn_bind(conn_stmt *s, uint32_t number, const struct value *v, struct err *err)
{
    if (s->state != CONN_IDLE && s->state != CONN_CUT_OFF)
        return err_set(err, QUARTET_MISUSE, "the statement is running: reset it before binding");
    return params_bind(&s->params, number, v, err);
}

const struct value *conn_param(const conn_stmt *s, uint32_t number)
{
    return params_get(&s->params, number);
}

void conn_clear_bindings(conn_stmt *s)
{
    params_clear(&s->params);
}

uint32_t conn_column_count(const conn_stmt *s)
{
    return s->column_count;
}

const struct plan_column *conn_column(const conn_stmt *s, uint32_t i)
{
    if (i >= s->column_count)
        return NULL;
    return s->p != NULL ? plan_column(s->p, i) : s->columns != NULL ? &s->columns[i] : NULL;
}

bool conn_stmt_running(const conn_stmt *s)
{
    return s->state != CONN_IDLE && s->state != CONN_CUT_OFF;
}

bool conn_stmt_reads(const conn_stmt *s)
{
    return s->p != NULL ? !plan_writes(s->p) : s->tree->kind == AST_STMT_SHOW;
}

bool conn_stmt_ends(const conn_stmt *s)
{
    if (s->tree->kind != AST_STMT_TRANSACTION)
        return false;
    uint8_t action = s->tree->u.transaction->action;
    return action == AST_TXN_COMMIT || action == AST_TXN_ROLLBACK || action == AST_TXN_RELEASE;
}

/* ---- statements: step ---- */

bool conn_is_cut_off(const conn_stmt *s)
{
    return s->state == CONN_CUT_OFF;
}

/* Between two statements nobody reads through the transaction's snapshot, unless a query streams from it. */
static void snapshot_busy(conn *c)
{
    if (c->steps++ == 0 && c->t != NULL)
        kv_snap_busy(c->t->snap);
}

static void snapshot_idle(conn *c)
{
    if (--c->steps > 0 || c->t == NULL || c->t->exclusive)
        return;
    for (const conn_stmt *s = c->first; s != NULL; s = s->next)
        if (s->state == CONN_STREAMING && s->own_txn == NULL)
            return;
    kv_snap_idle(c->t->snap);
}

void conn_reset(conn_stmt *s)
{
    snapshot_busy(s->c);
    exec_close(s->run);
    s->run = NULL;
    if (s->own_txn != NULL && s->c->rested == NULL) {
        txn_rest(s->own_txn);
        s->c->rested = s->own_txn;
    } else {
        txn_rollback(s->own_txn);
    }
    s->own_txn = NULL;
    if (s->state == CONN_KEPT_ROWS && s->columns == NULL) /* a table's columns can be asked for until it is made anew */
        conn_rows_clear(&s->rows);
    s->noted = NULL;
    s->state = CONN_IDLE;
    snapshot_idle(s->c);
}

static struct exec_limits limits_of(conn *c)
{
    struct exec_limits l = {.interrupted = &c->interrupted, .memory_bytes = c->settings.memory_bytes,
                            .no_foreign_keys = c->settings.no_foreign_keys};
    if (c->settings.statement_timeout_ms > 0) {
        struct env *env = db_env(c->d);
        l.deadline_ns = env->ops->mono_ns(env) + (uint64_t)c->settings.statement_timeout_ms * 1000000u;
    }
    return l;
}

/* A plan belongs to one catalog, and to tables of a certain size: make it anew where the transaction's are others. A transaction that is run again keeps its plans,
 * since another plan may give the same rows in another order. */
static quartet_status plan_for(conn_stmt *s, txn *t, struct err *err)
{
    if (plan_catalog_version(s->p) == catalog_version(txn_catalog(t)) && (s->c->rerun.running || plan_stats_epoch(s->p) == stats_epoch(s->c->d)))
        return QUARTET_OK;
    plan_free(s->p);
    s->p = NULL;
    s->column_count = 0; /* nothing is known of them without a plan */
    arena_free_all(&s->plan_arena);
    quartet_status rc = plan_build(t->catalog, s->c->d, s->tree, &s->plan_arena, &s->p, err);
    if (rc != QUARTET_OK)
        return rc;
    plan_lend(s->p, &s->c->spare_run);
    s->column_count = plan_column_count(s->p);
    return QUARTET_OK;
}

static quartet_status start_read(conn_stmt *s, struct err *err)
{
    conn *c = s->c;
    struct exec_limits limits = limits_of(c);
    quartet_status rc = QUARTET_OK;
    txn *t = c->t;
    if (t == NULL) {
        rc = conn_before_read(c, err);
        if (rc == QUARTET_OK) {
            txn *rested = c->rested;
            c->rested = NULL;
            rc = txn_begin_read(c->d, rested, &s->own_txn, err);
        }
        t = s->own_txn;
    }
    if (rc == QUARTET_OK && c->t != NULL)
        s->noted = conn_rerun_note(s);
    if (rc == QUARTET_OK)
        rc = plan_for(s, t, err);
    if (rc == QUARTET_OK)
        rc = txn_statement_begin(t, err);
    if (rc == QUARTET_OK)
        rc = exec_open(s->p, t, s->params.values, params_count(&s->params), &limits, &s->run, err);
    if (rc == QUARTET_OK)
        s->state = CONN_STREAMING;
    return rc;
}

/* Run a statement that writes, to its end, inside t; its rows are kept. */
static quartet_status run_write(conn_stmt *s, txn *t, struct err *err)
{
    struct exec_limits limits = limits_of(s->c);
    struct batch rows;
    conn_rows_clear(&s->rows);
    quartet_status rc = plan_for(s, t, err);
    if (rc != QUARTET_OK)
        return rc;
    s->rows.column_count = s->column_count;
    struct value *row = NULL;
    if (s->column_count > 0 && (row = arena_zalloc(&s->rows.arena, s->column_count, sizeof *row)) == NULL)
        return arena_fail(&s->rows.arena, err);
    rc = exec_open(s->p, t, s->params.values, params_count(&s->params), &limits, &s->run, err);
    while (rc == QUARTET_OK && (rc = exec_next(s->run, &rows, err)) == QUARTET_OK && rows.n > 0)
        for (uint32_t k = 0; rc == QUARTET_OK && k < rows.n; k++) {
            for (uint32_t c = 0; c < s->column_count; c++)
                row[c] = vec_get(&rows.cols[c], batch_row(&rows, k));
            rc = conn_rows_add(&s->rows, row, err);
        }
    if (rc == QUARTET_OK) {
        int64_t id = 0;
        s->c->changes = (int64_t)exec_changes(s->run);
        if (exec_last_insert_id(s->run, &id))
            s->c->last_insert_id = id;
    }
    exec_close(s->run);
    s->run = NULL;
    return rc;
}

/* CREATE TABLE AS: the table is there; its rows. */
static quartet_status run_fill(conn_stmt *s, txn *t, struct arena *a, struct err *err)
{
    const struct ast_create_table *c = s->tree->u.create_table;
    struct ast_insert insert = {.table = {.name = c->name.name}, .source = c->as};
    struct ast_stmt stmt = {.kind = AST_STMT_INSERT, .u.insert = &insert};
    struct exec_limits limits = limits_of(s->c);
    struct batch none;
    plan *p = NULL;
    quartet_status rc = plan_build(t->catalog, NULL, &stmt, a, &p, err);
    if (rc == QUARTET_OK)
        rc = exec_open(p, t, NULL, 0, &limits, &s->run, err);
    if (rc == QUARTET_OK)
        rc = exec_next(s->run, &none, err); /* all of the work comes before the first rows, and there are none */
    if (rc == QUARTET_OK)
        s->c->changes = (int64_t)exec_changes(s->run);
    exec_close(s->run);
    s->run = NULL;
    plan_free(p);
    return rc;
}

static bool fills(const conn_stmt *s, const txn *t)
{
    const struct ast_create_table *c = s->tree->kind == AST_STMT_CREATE_TABLE ? s->tree->u.create_table : NULL;
    return c != NULL && c->as != NULL && !c->no_data && catalog_table(t->catalog, c->name.name.text) == NULL &&
           catalog_view(t->catalog, c->name.name.text) == NULL;
}

void conn_share_wait(conn *c)
{
    c->share_until_ns = 0; /* the clock is asked by who waits: that costs some percent of a short statement */
}

/* DDL or a planned statement. */
static quartet_status run_body(conn_stmt *s, txn *t, struct err *err)
{
    t->share_until_ns = &s->c->share_until_ns;
    t->share_timeout_ms = s->c->settings.share_timeout_ms;
    t->share_interrupted = &s->c->interrupted;
    if (s->p != NULL)
        return run_write(s, t, err);
    const char *warning = NULL;
    struct arena a = {0};
    t->no_foreign_keys = s->c->settings.no_foreign_keys;
    bool fill = fills(s, t);
    quartet_status rc = ddl_run(t, s->tree, &a, &warning, err);
    if (rc == QUARTET_OK && warning != NULL)
        conn_say(s->c, warning);
    if (rc == QUARTET_OK)
        s->c->changes = 0;
    if (rc == QUARTET_OK && fill)
        rc = run_fill(s, t, &a, err);
    arena_free_all(&a);
    return rc;
}

/* A lone statement that writes: again on a new snapshot where another transaction came between, or its own has become too old (one that holds the commit lock does not). */
static quartet_status run_alone(conn_stmt *s, struct err *err)
{
    conn *c = s->c;
    quartet_status rc = conn_before_read(c, err);
    if (rc != QUARTET_OK)
        return rc;
    conn_share_wait(c);
    for (int attempt = 0;; attempt++) {
        txn *t = NULL;
        hlc_stamp stamp = 0;
        rc = attempt < CONN_RETRIES ? txn_begin(c->d, &t, err) : txn_begin_exclusive(c->d, &t, err);
        if (rc != QUARTET_OK)
            return rc;
        txn_set_sync(t, c->settings.synchronous);
        rc = txn_statement_begin(t, err);
        if (rc == QUARTET_OK)
            rc = run_body(s, t, err);
        if (rc != QUARTET_OK) {
            txn_rollback(t);
            if (rc != QUARTET_TOO_OLD || attempt >= CONN_RETRIES)
                return rc;
            err_clear(err);
            continue;
        }
        rc = txn_commit_stamped(t, &stamp, err);
        if (rc != QUARTET_SERIALIZATION && (rc != QUARTET_TOO_OLD || attempt >= CONN_RETRIES))
            return rc == QUARTET_OK ? conn_committed(c, stamp, err) : rc;
        err_clear(err);
    }
}

static quartet_status run_in_txn(conn_stmt *s, struct err *err)
{
    txn *t = s->c->t;
    quartet_status rc = txn_statement_begin(t, err);
    if (rc != QUARTET_OK)
        return rc;
    s->noted = conn_rerun_note(s);
    if (!s->c->rerun.running)
        conn_share_wait(s->c);
    rc = run_body(s, t, err);
    conn_rerun_ended(s, rc);
    s->noted = NULL;
    if (rc != QUARTET_OK)
        txn_statement_rollback(t); /* the statement alone is undone; the transaction goes on */
    return rc;
}

static quartet_status unavailable(const conn_stmt *s, struct err *err)
{
    if (s->tree->kind == AST_STMT_COPY)
        return err_set_at(err, QUARTET_ERROR, 0, "COPY runs in the client's library: a node reads and writes no files for a client");
    return err_set_at(err, QUARTET_ERROR, 0, "%s is not part of this version of Quartet", ast_stmt_kind_name(s->tree->kind));
}

/* Savepoints are part of what a transaction did; BEGIN and its end are not. */
static quartet_status run_transaction(conn_stmt *s, struct err *err)
{
    uint8_t action = s->tree->u.transaction->action;
    quartet_status rc = conn_transaction(s->c, s->tree->u.transaction, err);
    if (rc != QUARTET_OK || s->c->t == NULL || action == AST_TXN_BEGIN)
        return rc;
    s->noted = conn_rerun_note(s);
    conn_rerun_ended(s, rc);
    s->noted = NULL;
    return rc;
}

/* Statements about the session. Indexes are always current, REINDEX has nothing to do. */
static quartet_status run_session(conn_stmt *s, struct err *err)
{
    switch (s->tree->kind) {
    case AST_STMT_TRANSACTION:
        return run_transaction(s, err);
    case AST_STMT_SET:
        return conn_set(s->c, s->tree->u.settings, err);
    case AST_STMT_SHOW:
        return make_table(s, err);
    case AST_STMT_PRAGMA:
    case AST_STMT_BACKUP:
    case AST_STMT_VACUUM:
        return make_table(s, err);
    case AST_STMT_REINDEX:
        return QUARTET_OK;
    case AST_STMT_ANALYZE:
        return conn_analyze(s->c, s->tree->u.maintenance, err);
    default:
        return unavailable(s, err);
    }
}

static bool is_ddl(const struct ast_stmt *tree)
{
    return tree->kind >= AST_STMT_CREATE_TABLE && tree->kind <= AST_STMT_ALTER_TABLE;
}

static quartet_status start_stmt(conn_stmt *s, struct err *err)
{
    conn *c = s->c;
    quartet_status rc;
    __atomic_store_n(&c->interrupted, 0, __ATOMIC_RELAXED);
    if (s->p != NULL && !plan_writes(s->p))
        return start_read(s, err);
    if (s->p != NULL || conn_planned(s->tree) || is_ddl(s->tree))
        rc = c->t != NULL ? run_in_txn(s, err) : run_alone(s, err);
    else
        rc = run_session(s, err);
    if (rc != QUARTET_OK)
        forget_rows(s);
    else
        s->state = CONN_KEPT_ROWS;
    return rc;
}

/* The executor may carry columns behind the result's own (what it sorts by); nobody was told of those. */
static void keep_told_columns(const conn_stmt *s, struct batch *out)
{
    QASSERT(out->col_count >= s->column_count);
    out->col_count = s->column_count;
}

static quartet_status step(conn_stmt *s, struct batch *out, struct err *err)
{
    *out = (struct batch){.n = 0};
    quartet_status rc = QUARTET_OK;
    if (s->state == CONN_CUT_OFF) {
        s->state = CONN_IDLE;
        return err_set(err, QUARTET_ERROR, "the transaction in which this query was read has ended; run it again");
    }
    if (s->state == CONN_IDLE) {
        if (s->p == NULL && conn_planned(s->tree)) /* planning it anew has failed before */
            rc = plan_now(s, err);
        if (rc == QUARTET_OK)
            rc = start_stmt(s, err);
    }
    if (rc == QUARTET_OK && s->state == CONN_KEPT_ROWS)
        return give_kept(s, out, err);
    if (rc == QUARTET_OK)
        rc = exec_next(s->run, out, err);
    if (rc != QUARTET_OK)
        conn_rerun_ended(s, rc);
    else
        conn_rerun_rows(s, out);
    if (rc != QUARTET_OK || out->n == 0)
        conn_reset(s);
    else
        keep_told_columns(s, out);
    return rc;
}

quartet_status conn_step(conn_stmt *s, struct batch *out, struct err *err)
{
    conn *c = s->c;
    snapshot_busy(c);
    quartet_status rc = step(s, out, err);
    snapshot_idle(c);
    return rc;
}
