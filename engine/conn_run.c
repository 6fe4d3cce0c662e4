/* conn_run.c - statements run: step and reset.
 * A lone read streams from a snapshot of its own. A statement that writes runs to its end before its first row is given out, so that
 *   it can be undone as a whole when it fails, and run again when another transaction came between (a lone statement never fails for that: after a
 *   few tries it runs while it holds the commit lock).
 * Not here: prepare and bind (conn_stmt.c), transactions of several statements that are run again (conn_rerun.c). */
#include "conn_internal.h"
#include <string.h>

#include "stats.h"


bool conn_is_cut_off(const conn_stmt *s)
{
    return s->state == CONN_CUT_OFF;
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
    if (s->state == CONN_IDLE && s->run == NULL && s->own_txn == NULL) { /* its last step has done it, as of every statement that gives no rows */
        s->noted = NULL;
        return;
    }
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
    struct exec_limits l = {.interrupted = &c->interrupted, .memory_bytes = c->settings.memory_bytes, .progress = c->progress, .progress_arg = c->progress_arg, .progress_every = c->progress_every,
                            .no_foreign_keys = c->settings.no_foreign_keys, .time_zone = c->settings.time_zone, .changes = c->changes, .last_insert_id = c->last_insert_id};
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
            if (rc == QUARTET_OK)
                rc = conn_temp_begin(c, s->own_txn, err);
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
    struct ast_insert insert = {.table = {.schema.text = c->temporary ? "temp" : "main", .name = c->name.name}, .source = c->as};
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
    const struct catalog *in = c != NULL && c->temporary ? catalog_temp(t->catalog) : t->catalog;
    return c != NULL && c->as != NULL && !c->no_data && (in == NULL || (catalog_table(in, c->name.name.text) == NULL && catalog_view(in, c->name.name.text) == NULL));
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
    quartet_status rc = conn_ddl(s->c, t, s->tree, &a, &warning, err);
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
        rc = conn_temp_begin(c, t, err);
        if (rc == QUARTET_OK)
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
        rc = conn_commit_txn(c, t, &stamp, err);
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
        return conn_make_table(s, err);
    case AST_STMT_PRAGMA:
    case AST_STMT_BACKUP:
    case AST_STMT_VACUUM:
        return conn_make_table(s, err);
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
    return (tree->kind >= AST_STMT_CREATE_TABLE && tree->kind <= AST_STMT_ALTER_TABLE) || tree->kind == AST_STMT_COMMENT;
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
        conn_forget_rows(s);
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
            rc = conn_plan_now(s, err);
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
