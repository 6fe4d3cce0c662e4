/* conn_stmt.c - the statements of a connection: prepare and bind; rows that are kept until they are asked for.
 * Not here: running them (conn_run.c), what session statements do (conn_session.c, conn_show.c), how statements are planned (plan.c). */
#include "conn_internal.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "parser/parse.h"

/* ---- kept rows ---- */

void conn_rows_clear(struct conn_rows *r)
{
    if (r->rows == NULL && r->arena.chunks == NULL) /* as after most statements that write */
        return;
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

void conn_forget_rows(conn_stmt *s)
{
    conn_rows_clear(&s->rows);
    if (s->columns != NULL)
        s->column_count = 0;
    s->columns = NULL;
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

quartet_status conn_plan_now(conn_stmt *s, struct err *err)
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

quartet_status conn_make_table(conn_stmt *s, struct err *err)
{
    struct conn_table table = {0};
    struct arena a = {0};
    conn_forget_rows(s);
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
        return conn_plan_now(s, err);
    if (is_maintenance(s))
        return make_columns(s, err);
    return is_table(s) ? conn_make_table(s, err) : QUARTET_OK;
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

struct value *conn_param_place(conn_stmt *s, uint32_t number)
{
    return s->state == CONN_IDLE ? params_place(&s->params, number) : NULL;
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
