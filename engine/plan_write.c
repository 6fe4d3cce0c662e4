/* plan_write.c - what the statements that write have in common: the table that is written, its CHECKs and
 * defaults, RETURNING, and SET lists, where adding to a COUNTER or a SET is told from setting it. */
#include "plan_write.h"

#include <string.h>

static const struct table_def *writable(struct planner *p, const struct ast_qname *name,
                                        struct err *err)
{
    const struct table_def *t = bind_find_table(&p->b, name, err);
    if (t == NULL || !t->is_system)
        return t;
    (void)err_set_at(err, QUARTET_READONLY, name->name.offset, "%s is read-only",
                     t->name); /* NULL tells */
    return NULL;
}

static quartet_status no_instead(const struct view_def *v, const struct ast_qname *name, const char *what, struct err *err)
{
    return err_set_at(err, QUARTET_ERROR, name->name.offset, "%s is a view: it cannot be written; write the tables it reads, or give it a trigger INSTEAD OF %s", v->name, what);
}

/* INSERT knows the view's columns only; UPDATE and DELETE read its rows. */
static quartet_status view_target(struct planner *p, const struct ast_qname *name, const char *alias, bool key, struct target *t, struct err *err)
{
    struct scope *aside = arena_zalloc(p->a, 1, sizeof *aside);
    struct ast_from f = {.kind = AST_FROM_TABLE, .offset = name->name.offset, .name = *name, .alias.text = alias};
    struct table_def *rows;
    if (t->view->is_system)
        return err_set_at(err, QUARTET_ERROR, name->name.offset, "%s is a view: it cannot be written so", t->view->name);
    if (t->view->trigger_count == 0)
        return no_instead(t->view, name, "INSERT, UPDATE or DELETE", err);
    if (aside == NULL)
        return arena_fail(p->a, err);
    *aside = t->scope;
    aside->cols = NULL;
    aside->count = aside->cap = 0;
    quartet_status rc = bind_view_rows(&p->b, key ? &t->scope : aside, t->view, &f, &rows, &t->src, err);
    if (rc == QUARTET_OK && !key)
        rc = bind_table_source(&p->b, &t->scope, rows, alias, false, &t->src, err);
    if (rc == QUARTET_OK)
        t->table = rows;
    return rc;
}

quartet_status target_instead(const struct target *t, struct pwrite *w, uint8_t event, const struct ast_qname *name, struct err *err)
{
    static const char *const events[] = {[AST_TRIGGER_INSERT] = "INSERT", [AST_TRIGGER_UPDATE] = "UPDATE", [AST_TRIGGER_DELETE] = "DELETE"};
    w->instead = t->view != NULL;
    return w->instead && w->effects[event] == NULL ? no_instead(t->view, name, events[event], err) : QUARTET_OK;
}

quartet_status target_open(struct planner *p, const struct ast_qname *name,
                                  const char *alias, const struct ast_with *with, bool key,
                                  struct target *t, struct err *err)
{
    memset(t, 0, sizeof *t);
    t->view = bind_find_view(&p->b, name);
    t->table = t->view == NULL ? writable(p, name, err) : NULL;
    if (t->table == NULL && t->view == NULL)
        return err->code;
    t->query = arena_zalloc(p->a, 1, sizeof *t->query);
    if (t->query == NULL)
        return arena_fail(p->a, err);
    t->query->bare_by = BIND_NONE;
    t->scope = (struct scope){.query = t->query, .clause = "this statement"};
    quartet_status rc = bind_with(&p->b, &t->scope, with, err);
    if (rc == QUARTET_OK && t->view != NULL)
        rc = view_target(p, name, alias, key, t, err);
    else if (rc == QUARTET_OK)
        rc = bind_table_source(&p->b, &t->scope, t->table, alias, key, &t->src, err);
    if (rc == QUARTET_OK)
        t->src->keyless = !key;
    return rc;
}

quartet_status target_column(const struct table_def *t, const struct ast_name *name,
                                  uint32_t *out, struct err *err)
{
    int32_t at = table_column_or_rowid(t, name->text);
    if (at < 0) {
        struct buf list = {.limit_bytes = 400};
        for (uint32_t i = 0; i < t->visible_count; i++)
            buf_printf(&list, "%s%s", i > 0 ? ", " : "", t->columns[i].name);
        buf_u8(&list, 0);
        quartet_status rc =
            err_set_at(err, QUARTET_ERROR, name->offset, "no such column: %s; table %s has %s",
                       name->text, t->name, list.failed ? "others" : (const char *)list.data);
        buf_deinit(&list);
        return rc;
    }
    *out = (uint32_t)at;
    return QUARTET_OK;
}

quartet_status target_written(const struct table_def *t, const struct ast_name *name, uint32_t *out, struct err *err)
{
    quartet_status rc = target_column(t, name, out, err);
    return rc != QUARTET_OK || !t->columns[*out].derived
               ? rc
               : err_set_at(err, QUARTET_ERROR, name->offset, "column %s of table %s is generated: it is computed, and cannot be written", name->text, t->name);
}

/* The cids of the table's columns, in order: the layout of a row that is written. */
quartet_status target_cids(struct planner *p, const struct bsource *src, uint32_t room,
                               uint32_t **out, struct err *err)
{
    *out = arena_alloc(p->a, (src->count + room + 1) * sizeof **out);
    if (*out == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < src->count; i++)
        (*out)[i] = src->first_cid + i;
    return QUARTET_OK;
}

static quartet_status bind_default(struct planner *p, const struct column_def *c, struct expr **out,
                                   struct err *err)
{
    struct bquery none = {0};
    struct scope s = {.query = &none, .clause = "DEFAULT"};
    *out = NULL;
    if (c->default_expr == NULL)
        return QUARTET_OK;
    quartet_status rc = bind_expr(&p->b, &s, c->default_expr, out, err);
    if (rc != QUARTET_OK)
        err->sql_offset = -1; /* its text is in the table's definition, not in this statement */
    return rc;
}

quartet_status target_checks(struct planner *p, const struct target *t, struct pwrite *w,
                                  struct err *err)
{
    uint32_t *cids;
    quartet_status rc = target_cids(p, t->src, 0, &cids, err);
    w->checks = arena_zalloc(p->a, t->table->check_count + 1, sizeof(struct expr *));
    if (rc != QUARTET_OK || w->checks == NULL)
        return rc != QUARTET_OK ? rc : arena_fail(p->a, err);
    for (uint32_t i = 0; i < t->table->check_count; i++) {
        struct scope s = {
            .query = t->query, .clause = "CHECK", .cols = t->scope.cols, .count = t->table->visible_count};
        struct expr *e;
        rc = bind_expr(&p->b, &s, t->table->checks[i].expr, &e, err);
        if (rc == QUARTET_OK)
            rc = plan_place(p, e, cids, t->src->count, &w->checks[i], err);
        if (rc != QUARTET_OK) {
            err->sql_offset = -1;
            return rc;
        }
    }
    return QUARTET_OK;
}

quartet_status plan_default(struct planner *p, const struct column_def *c, struct expr **out,
                            struct err *err)
{
    struct expr *e;
    quartet_status rc = bind_default(p, c, &e, err);
    *out = NULL;
    p->words = p->b.col_count / 64 + 1;
    return rc == QUARTET_OK && e != NULL ? plan_place(p, e, NULL, 0, out, err) : rc;
}

quartet_status plan_write_checks(struct planner *p, const struct table_def *table, struct pwrite *w,
                                 struct err *err)
{
    struct target *t = arena_zalloc(p->a, 1, sizeof *t);
    if (t == NULL || (t->query = arena_zalloc(p->a, 1, sizeof *t->query)) == NULL)
        return arena_fail(p->a, err);
    t->table = table;
    t->query->bare_by = BIND_NONE;
    t->scope = (struct scope){.query = t->query, .clause = "CHECK"};
    quartet_status rc = bind_table_source(&p->b, &t->scope, table, NULL, false, &t->src, err);
    p->words = p->b.col_count / 64 + 1;
    return rc == QUARTET_OK ? target_checks(p, t, w, err) : rc;
}

/* ---- RETURNING ---- */

quartet_status returning_bind(struct planner *p, struct target *t,
                                     const struct ast_results *list, struct bquery **out,
                                     struct err *err)
{
    *out = NULL;
    if (list->count == 0)
        return QUARTET_OK;
    *out = arena_zalloc(p->a, 1, sizeof **out);
    if (*out == NULL)
        return arena_fail(p->a, err);
    t->scope.clause = "RETURNING";
    bool *were = arena_zalloc(p->a, t->scope.count + 1u, sizeof *were);
    if (were == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = t->table->visible_count; i < t->scope.count; i++) { /* a name that others have too is the written table's */
        were[i] = t->scope.cols[i].hidden;
        t->scope.cols[i].hidden = were[i] || table_column(t->table, t->scope.cols[i].name) >= 0;
    }
    quartet_status rc = bind_results(&p->b, &t->scope, list, *out, err);
    for (uint32_t i = t->table->visible_count; i < t->scope.count; i++)
        t->scope.cols[i].hidden = were[i];
    return rc;
}

quartet_status returning_place(struct planner *p, struct pwrite *w, const struct bquery *ret,
                                     const uint32_t *cids, uint32_t n, struct err *err)
{
    struct plan *pl = p->plan;
    if (ret == NULL)
        return QUARTET_OK;
    w->returning_count = ret->out_count;
    pl->column_count = ret->out_count;
    pl->columns = arena_zalloc(p->a, ret->out_count + 1, sizeof *pl->columns);
    if (pl->columns == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < ret->out_count; i++)
        pl->columns[i] = (struct plan_column){.name = ret->names[i],
                                              .declared = ret->shape[i].declared,
                                              .table = ret->shape[i].table,
                                              .column = ret->shape[i].column};
    return plan_place_list(p, ret->outs, ret->out_count, cids, n, &w->returning, err);
}

/* ---- SET ---- */

struct names_column {
    uint32_t cid;
    bool found;
};

static void names_visit(void *arg, uint32_t cid)
{
    struct names_column *n = arg;
    n->found |= n->cid == cid;
}

static bool names(const struct expr *e, uint32_t cid)
{
    struct names_column n = {.cid = cid};
    bind_each_column(e, names_visit, &n);
    return n.found;
}

/* n = n + x, n = x + n, n = n - x on a COUNTER: add x, and do not read n. */
static quartet_status counter_add(struct planner *p, uint32_t cid, struct expr **e, bool *add,
                                  struct err *err)
{
    struct expr *x = *e;
    *add = false;
    if ((x->op != EXPR_ADD && x->op != EXPR_SUB) || x->arg_count != 2)
        return QUARTET_OK;
    bool left =
        x->args[0]->op == EXPR_COLUMN && x->args[0]->u.column == cid && !names(x->args[1], cid);
    bool right = x->op == EXPR_ADD && x->args[1]->op == EXPR_COLUMN &&
                 x->args[1]->u.column == cid && !names(x->args[0], cid);
    if (!left && !right)
        return QUARTET_OK;
    *add = true;
    *e = left ? x->args[1] : x->args[0];
    return x->op == EXPR_SUB ? expr_unary(p->a, EXPR_NEG, *e, x->sql_offset, e, err) : QUARTET_OK;
}

/* set_add(set_remove(tags, a), b) on the SET column tags: a goes and b comes, and tags is not read. */
static quartet_status set_changes(struct planner *p, uint32_t cid, struct expr **e, bool *add, struct err *err)
{
    uint32_t n = 0;
    const struct expr *x = *e;
    for (; x->op == EXPR_CALL && func_changes_set(x->u.func) && x->arg_count > 1; x = x->args[0])
        n += x->arg_count - 1;
    *add = n > 0 && x->op == EXPR_COLUMN && x->u.column == cid;
    if (!*add)
        return QUARTET_OK;
    struct expr **args = arena_zalloc(p->a, 2 * n, sizeof *args);
    quartet_status rc = args == NULL ? arena_fail(p->a, err) : QUARTET_OK;
    uint32_t at = n; /* the innermost call comes first */
    for (x = *e; rc == QUARTET_OK && x->op == EXPR_CALL; x = x->args[0]) {
        struct value op = value_int(x->u.func->code);
        at -= x->arg_count - 1;
        for (uint32_t i = 1; i < x->arg_count && rc == QUARTET_OK; i++) {
            uint32_t to = 2 * (at + i - 1);
            rc = expr_const(p->a, &op, &args[to], err);
            args[to + 1] = x->args[i];
        }
    }
    return rc == QUARTET_OK ? expr_call(p->a, &func_set_changes, args, 2 * n, (*e)->sql_offset, e, err) : rc;
}

static quartet_status add_set(struct planner *p, const struct target *t, struct set_list *list,
                              uint32_t column, struct expr *e, struct err *err)
{
    const struct column_def *c = &t->table->columns[column];
    bool add = false;
    quartet_status rc = QUARTET_OK;
    if (c->kind == ROW_COUNTER)
        rc = counter_add(p, t->src->first_cid + column, &e, &add, err);
    else if (c->kind == ROW_SET)
        rc = set_changes(p, t->src->first_cid + column, &e, &add, err);
    if (rc != QUARTET_OK)
        return rc;
    uint32_t at = 0, cap = list->cap;
    while (at < list->count && list->item[at].column != column)
        at++; /* SET x = 3, x = 4: the last one counts */
    if (at == list->count) {
        if (!bind_grow(p->a, &list->item, list->count, &cap, sizeof *list->item) ||
            !bind_grow(p->a, &list->exprs, list->count, &list->cap, sizeof(struct expr *)))
            return arena_fail(p->a, err);
        list->count++;
    }
    list->item[at] = (struct pset_column){.column = column, .add = add};
    list->exprs[at] = e;
    return QUARTET_OK;
}

quartet_status sets_value(struct planner *p, struct target *t, struct scope *s,
                                uint32_t column, const struct ast_expr *value, struct expr **out,
                                struct err *err)
{
    if (value->kind != AST_EXPR_DEFAULT)
        return bind_expr(&p->b, s, value, out, err);
    struct value null = VALUE_NULL_INIT;
    quartet_status rc = bind_default(p, &t->table->columns[column], out, err);
    return rc == QUARTET_OK && *out == NULL ? expr_const(p->a, &null, out, err) : rc;
}

/* (a, b) = (SELECT ..): each column is one output of the same subquery. */
static quartet_status set_row(struct planner *p, struct target *t, struct scope *s,
                              const struct ast_assign *a, struct set_list *list, struct err *err)
{
    uint32_t n = a->columns.count;
    if (a->value->kind == AST_EXPR_ROW && a->value->u.list.count != n)
        return err_set_at(err, QUARTET_ERROR, a->value->offset, "%u columns are set to %u values",
                          n, a->value->u.list.count);
    struct bsub *first = NULL;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t column = BIND_NONE;
        struct expr *e;
        quartet_status rc = target_written(t->table, &a->columns.item[i], &column, err);
        if (rc == QUARTET_OK && a->value->kind == AST_EXPR_ROW) {
            rc = sets_value(p, t, s, column, a->value->u.list.item[i], &e, err);
        } else if (rc == QUARTET_OK) {
            rc = bind_row_subquery(&p->b, s, a->value, i, n, &first, &e, err);
        }
        if (rc == QUARTET_OK)
            rc = add_set(p, t, list, column, e, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

quartet_status sets_bind(struct planner *p, struct target *t, struct scope *s,
                                const struct ast_assigns *sets, struct set_list *list,
                                struct err *err)
{
    quartet_status rc = QUARTET_OK;
    s->clause = "SET";
    for (uint32_t i = 0; i < sets->count && rc == QUARTET_OK; i++) {
        const struct ast_assign *a = &sets->item[i];
        uint32_t column = BIND_NONE;
        struct expr *e;
        if (a->columns.count != 1) {
            rc = set_row(p, t, s, a, list, err);
            continue;
        }
        rc = target_written(t->table, &a->columns.item[0], &column, err);
        if (rc == QUARTET_OK)
            rc = sets_value(p, t, s, column, a->value, &e, err);
        if (rc == QUARTET_OK)
            rc = add_set(p, t, list, column, e, err);
    }
    return rc;
}
