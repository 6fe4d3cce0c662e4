/* plan_check.c - the expressions of a table's definition, tried before the definition is kept.
 * Why: a CHECK that names no column would fail at the first INSERT, far from whoever wrote it. */
#include "plan_check.h"

#include "plan.h"

#include <string.h>
#include <strings.h>

static quartet_status prefixed(quartet_status rc, const char *what, const char *name,
                               struct err *err)
{
    if (rc != QUARTET_OK) {
        err->sql_offset = -1;
        err_prefix(err, name);
        err_prefix(err, what);
    }
    return rc;
}

static bool is_word(const struct expr *e, const char *word)
{
    return e->op == EXPR_CONST && e->u.value.type == VALUE_TEXT && e->u.value.s.n == strlen(word) &&
           strncasecmp((const char *)e->u.value.s.p, word, strlen(word)) == 0;
}

/* What a function of time takes from its statement. */
static bool asks_session(const struct expr *e)
{
    return is_word(e, "now") || is_word(e, "localtime") || is_word(e, "utc");
}

/* The same for the same row on every node, at any time: a CHECK is asked again wherever the row
 * comes to. Functions of time are, as long as they do not ask for the present. */
static bool always_same(void *arg, const struct expr *e)
{
    const char **name = arg;
    if (e->op != EXPR_CALL || (e->u.func->flags & FUNC_DETERMINISTIC) != 0)
        return true;
    bool same = (e->u.func->flags & (FUNC_STABLE | FUNC_ZONED)) == FUNC_STABLE && e->arg_count > 0 &&
                !(e->arg_count == 1 && strcmp(e->u.func->name, "strftime") == 0);
    for (uint32_t i = 0; i < e->arg_count && same; i++)
        same = !asks_session(e->args[i]);
    *name = e->u.func->name;
    return same;
}

bool plan_always_same(const struct expr *e, const char **function)
{
    return expr_walk(e, always_same, function);
}

quartet_status plan_check_table(struct catalog *catalog, const struct table_def *t, struct arena *a,
                                struct err *err)
{
    const char *function;
    struct bind b = {.a = a, .catalog = catalog};
    struct bquery *q = arena_zalloc(a, 1, sizeof *q); /* slots and subqueries may point to both */
    struct scope *s = arena_zalloc(a, 1, sizeof *s);
    struct bsource *src;
    if (q == NULL || s == NULL)
        return arena_fail(a, err);
    *s = (struct scope){.query = q, .clause = "CHECK"};
    quartet_status rc = bind_table_source(&b, s, t, NULL, false, &src, err);
    for (uint32_t i = 0; i < t->check_count && rc == QUARTET_OK; i++) {
        struct expr *e;
        rc = bind_expr(&b, s, t->checks[i].expr, &e, err);
        if (rc == QUARTET_OK && bind_has_subquery(e))
            rc = err_set(err, QUARTET_ERROR, "a subquery cannot stand in a CHECK");
        if (rc == QUARTET_OK && !plan_always_same(e, &function))
            rc = err_set(err, QUARTET_ERROR,
                         "%s() cannot stand in a CHECK: it is asked on every node, at any time, and must give the same there",
                         function);
        rc = prefixed(rc, "CHECK", t->checks[i].name != NULL ? t->checks[i].name : t->name, err);
    }
    for (uint32_t i = 0; i < t->foreign_key_count && rc == QUARTET_OK; i++) {
        const char *problem = catalog_keep_problem(catalog, t, &t->foreign_keys[i]);
        if (problem != NULL)
            rc = err_set(err, QUARTET_ERROR, "ON MERGE KEEP PARENT of table %s: %s", t->name, problem);
    }
    struct scope none = {.query = q, .clause = "DEFAULT"};
    for (uint32_t i = 0; i < t->column_count && rc == QUARTET_OK; i++) {
        struct expr *e;
        if (t->columns[i].default_expr == NULL)
            continue;
        rc = bind_expr(&b, &none, t->columns[i].default_expr, &e, err);
        if (rc == QUARTET_OK && bind_has_subquery(e))
            rc = err_set(err, QUARTET_ERROR, "a subquery cannot stand in a DEFAULT");
        rc = prefixed(rc, "DEFAULT of", t->columns[i].name, err);
    }
    return rc;
}

quartet_status plan_check_view(struct catalog *catalog, const struct view_def *v, struct arena *a,
                               struct err *err)
{
    struct bind b = {.a = a, .catalog = catalog, .permanent = !v->temporary};
    struct bquery *q;
    quartet_status rc = bind_query(&b, NULL, NULL, NULL, v->ast->query, &q, err);
    if (rc == QUARTET_OK && v->ast->columns.count > 0 && v->ast->columns.count != q->out_count)
        rc = err_set(err, QUARTET_ERROR, "it names %u columns, its query has %u",
                     v->ast->columns.count, q->out_count);
    if (rc != QUARTET_OK) {
        err->sql_offset = -1;
        bind_in_view(v, err);
    }
    return rc;
}

quartet_status plan_check_trigger(struct catalog *catalog, const struct table_def *t, const struct trigger_def *def,
                                  struct arena *a, struct err *err)
{
    struct ast_stmt *when = NULL;
    quartet_status rc = plan_when(a, def->ast->when, &when, err);
    for (uint32_t i = 0; i <= def->ast->body_count && rc == QUARTET_OK; i++) {
        const struct ast_stmt *stmt = i < def->ast->body_count ? def->ast->body[i] : when;
        plan *p = NULL;
        if (stmt == NULL)
            continue;
        rc = plan_build_for_row(catalog, NULL, stmt, t, def->ast->event != AST_TRIGGER_INSERT,
                                def->ast->event != AST_TRIGGER_DELETE, a, &p, err);
        plan_free(rc == QUARTET_OK ? p : NULL);
    }
    return prefixed(rc, "trigger", def->name, err);
}

quartet_status plan_check_view_trigger(struct catalog *catalog, const struct view_def *v, const struct trigger_def *def,
                                       struct arena *a, struct err *err)
{
    struct bind b = {.a = a, .catalog = catalog, .permanent = true};
    struct bquery none = {0};
    struct scope s = {.query = &none};
    struct ast_from f = {.kind = AST_FROM_TABLE, .name.name.text = v->name};
    struct table_def *rows;
    struct bsource *src;
    quartet_status rc = bind_view_rows(&b, &s, v, &f, &rows, &src, err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < def->ast->update_of.count; i++)
        if (table_column(rows, def->ast->update_of.item[i].text) < 0)
            rc = err_set(err, QUARTET_ERROR, "no such column: %s in view %s", def->ast->update_of.item[i].text, v->name);
    return rc == QUARTET_OK ? plan_check_trigger(catalog, rows, def, a, err) : prefixed(rc, "trigger", def->name, err);
}
