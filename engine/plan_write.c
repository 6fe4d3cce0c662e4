/* plan_write.c - INSERT, UPDATE, DELETE and TRUNCATE.
 * Why UPDATE and DELETE are queries first: which rows, and what they become, is a SELECT of the
 * key, the present columns and the new values; joins, indexes and subqueries work as everywhere. */
#include "plan.h"

#include <string.h>

struct target { /* the table that is written, as a source */
    const struct table_def *table;
    struct bsource *src;
    struct scope scope;
    struct bquery *query;
};

static const struct table_def *writable(struct planner *p, const struct ast_qname *name,
                                        struct err *err)
{
    if (catalog_view(p->b.catalog, name->name.text) != NULL) {
        (void)err_set_at(err, QUARTET_ERROR, name->name.offset, "%s is a view: it cannot be written; write the tables it reads",
                         name->name.text); /* NULL tells */
        return NULL;
    }
    const struct table_def *t = bind_find_table(&p->b, name, err);
    if (t == NULL || !t->is_system)
        return t;
    (void)err_set_at(err, QUARTET_READONLY, name->name.offset, "%s is read-only",
                     t->name); /* NULL tells */
    return NULL;
}

static quartet_status target_open(struct planner *p, const struct ast_qname *name,
                                  const char *alias, const struct ast_with *with, bool key,
                                  struct target *t, struct err *err)
{
    memset(t, 0, sizeof *t);
    t->table = writable(p, name, err);
    if (t->table == NULL)
        return err->code;
    t->query = arena_zalloc(p->a, 1, sizeof *t->query);
    if (t->query == NULL)
        return arena_fail(p->a, err);
    t->query->bare_by = BIND_NONE;
    t->scope = (struct scope){.query = t->query, .clause = "this statement"};
    quartet_status rc = bind_with(&p->b, &t->scope, with, err);
    if (rc == QUARTET_OK)
        rc = bind_table_source(&p->b, &t->scope, t->table, alias, key, &t->src, err);
    if (rc == QUARTET_OK)
        t->src->keyless = !key;
    return rc;
}

static quartet_status find_column(const struct table_def *t, const struct ast_name *name,
                                  uint32_t *out, struct err *err)
{
    int32_t at = table_column(t, name->text);
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

/* The cids of the table's columns, in order: the layout of a row that is written. */
static quartet_status row_cids(struct planner *p, const struct bsource *src, uint32_t room,
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

static quartet_status plan_checks(struct planner *p, const struct target *t, struct pwrite *w,
                                  struct err *err)
{
    uint32_t *cids;
    quartet_status rc = row_cids(p, t->src, 0, &cids, err);
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
    return rc == QUARTET_OK ? plan_checks(p, t, w, err) : rc;
}

/* ---- RETURNING ---- */

static quartet_status bind_returning(struct planner *p, struct target *t,
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
    return bind_results(&p->b, &t->scope, list, *out, err);
}

static quartet_status plan_returning(struct planner *p, struct pwrite *w, const struct bquery *ret,
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

struct set_list {
    struct pset_column *item;
    struct expr **exprs;
    uint32_t count, cap;
};

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

static quartet_status set_value(struct planner *p, struct target *t, struct scope *s,
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
        quartet_status rc = find_column(t->table, &a->columns.item[i], &column, err);
        if (rc == QUARTET_OK && a->value->kind == AST_EXPR_ROW) {
            rc = set_value(p, t, s, column, a->value->u.list.item[i], &e, err);
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

static quartet_status bind_sets(struct planner *p, struct target *t, struct scope *s,
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
        rc = find_column(t->table, &a->columns.item[0], &column, err);
        if (rc == QUARTET_OK)
            rc = set_value(p, t, s, column, a->value, &e, err);
        if (rc == QUARTET_OK)
            rc = add_set(p, t, list, column, e, err);
    }
    return rc;
}

/* ---- INSERT ---- */

static quartet_status insert_columns(struct planner *p, const struct table_def *t,
                                     const struct ast_insert *ast, uint32_t **columns,
                                     uint32_t *count, struct err *err)
{
    *count = ast->columns.count > 0 ? ast->columns.count : t->visible_count;
    *columns = arena_alloc(p->a, (*count + 1) * sizeof **columns);
    if (*columns == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < *count; i++) {
        (*columns)[i] = i;
        if (ast->columns.count == 0)
            continue;
        quartet_status rc = find_column(t, &ast->columns.item[i], &(*columns)[i], err);
        if (rc != QUARTET_OK)
            return rc;
        for (uint32_t k = 0; k < i; k++) {
            if ((*columns)[k] == (*columns)[i])
                return err_set_at(err, QUARTET_ERROR, ast->columns.item[i].offset,
                                  "column %s is named twice", ast->columns.item[i].text);
        }
    }
    return QUARTET_OK;
}

/* 0.1 that goes to a DECIMAL column is that decimal, not the double next to it: only the literal
 * still knows. */
static quartet_status exact_decimal(struct planner *p, const struct column_def *c, struct expr **e,
                                    struct err *err)
{
    struct type_decl to = {.type = c->type, .precision = c->precision, .scale = c->scale};
    if (c->type != VALUE_DECIMAL || (*e)->op != EXPR_CONST || (*e)->u.value.type != VALUE_REAL)
        return QUARTET_OK;
    return expr_convert(p->a, *e, &to, c->name, e, err);
}

static quartet_status insert_values(struct planner *p, struct target *t,
                                    const struct ast_query *source, const uint32_t *columns,
                                    uint32_t n, struct bquery **out, struct err *err)
{
    struct bquery *q = arena_zalloc(p->a, 1, sizeof *q);
    struct scope s = {
        .container = &t->scope, .ctes = t->scope.ctes, .query = q, .clause = "VALUES"};
    if (q == NULL)
        return arena_fail(p->a, err);
    struct scope *kept = arena_dup(p->a, &s, sizeof s); /* slots name their owner */
    q->kind = BQ_VALUES;
    q->bare_by = BIND_NONE;
    q->out_count = n;
    q->row_count = source->values.count;
    q->rows = arena_zalloc(p->a, q->row_count + 1, sizeof(struct expr **));
    q->shape = arena_zalloc(p->a, n + 1, sizeof *q->shape);
    if (q->rows == NULL || q->shape == NULL || kept == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < q->row_count; i++) {
        const struct ast_exprs *row = &source->values.item[i];
        if (row->count != n)
            return err_set_at(err, QUARTET_ERROR,
                              row->count > 0 ? row->item[0]->offset : source->offset,
                              "table %s takes %u values here, %u were given in row %u",
                              t->table->name, n, row->count, i + 1);
        q->rows[i] = arena_zalloc(p->a, n + 1, sizeof(struct expr *));
        if (q->rows[i] == NULL)
            return arena_fail(p->a, err);
        for (uint32_t k = 0; k < n; k++) {
            quartet_status rc =
                set_value(p, t, kept, columns[k], row->item[k], &q->rows[i][k], err);
            if (rc == QUARTET_OK)
                rc = exact_decimal(p, &t->table->columns[columns[k]], &q->rows[i][k], err);
            if (rc != QUARTET_OK)
                return rc;
        }
    }
    *out = q;
    return QUARTET_OK;
}

static bool plain_values(const struct ast_query *q)
{
    return q->kind == AST_QUERY_VALUES && q->with == NULL && q->order_by.count == 0 &&
           q->limit == NULL && q->limit_offset == NULL;
}

static bool same_columns(const uint32_t *a, uint32_t n, const uint32_t *b, uint32_t m)
{
    for (uint32_t i = 0; i < n; i++) {
        bool found = false;
        for (uint32_t k = 0; k < m; k++)
            found |= a[i] == b[k];
        if (!found)
            return false;
    }
    return n == m;
}

static quartet_status upsert_target(struct planner *p, const struct table_def *t,
                                    const struct ast_upsert *u, struct pupsert *out,
                                    struct err *err)
{
    if (u->constraint.text != NULL) {
        for (uint32_t i = 0; i < t->index_count; i++) {
            if (!t->indexes[i].unique || !name_eq(t->indexes[i].name, u->constraint.text))
                continue;
            out->target = arena_dup(p->a, t->indexes[i].columns,
                                    t->indexes[i].column_count * sizeof *out->target);
            out->target_count = t->indexes[i].column_count;
            return out->target == NULL ? arena_fail(p->a, err) : QUARTET_OK;
        }
        return err_set_at(err, QUARTET_ERROR, u->constraint.offset,
                          "table %s has no unique constraint named %s", t->name,
                          u->constraint.text);
    }
    out->target_count = u->target.count;
    out->target = arena_zalloc(p->a, u->target.count + 1, sizeof *out->target);
    if (out->target == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < u->target.count; i++) {
        const struct ast_expr *e = u->target.item[i].expr;
        if (e->kind != AST_EXPR_COLUMN)
            return err_set_at(err, QUARTET_ERROR, e->offset,
                              "an ON CONFLICT target is a list of columns");
        quartet_status rc = find_column(t, &e->u.column->name, &out->target[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    bool known = out->target_count == 0 ||
                 (!t->hidden_key &&
                  same_columns(out->target, out->target_count, t->key_columns, t->key_count));
    for (uint32_t i = 0; i < t->index_count && !known; i++)
        known =
            t->indexes[i].unique && same_columns(out->target, out->target_count,
                                                 t->indexes[i].columns, t->indexes[i].column_count);
    if (!known)
        return err_set_at(
            err, QUARTET_ERROR, u->target.item[0].expr->offset,
            "ON CONFLICT names columns of table %s that have no PRIMARY KEY or UNIQUE constraint",
            t->name);
    return QUARTET_OK;
}

struct upsert_bound {
    struct set_list sets;
    struct expr *where;
};

static quartet_status bind_upserts(struct planner *p, struct target *t,
                                   const struct ast_insert *ast, struct pwrite *w,
                                   struct upsert_bound **bound, struct bsource **excluded,
                                   struct err *err)
{
    struct scope s = t->scope;
    quartet_status rc;
    *bound = arena_zalloc(p->a, ast->upsert_count + 1, sizeof **bound);
    w->upserts = arena_zalloc(p->a, ast->upsert_count + 1, sizeof *w->upserts);
    struct visible *cols = arena_zalloc(p->a, (size_t)t->src->count * 2 + 1, sizeof *cols);
    struct scope *kept = arena_zalloc(p->a, 1, sizeof *kept);
    if (*bound == NULL || w->upserts == NULL || cols == NULL || kept == NULL)
        return arena_fail(p->a, err);
    uint32_t shown = t->table->visible_count;
    memcpy(cols, s.cols, shown * sizeof *cols);
    s.cols = cols;
    s.count = shown;
    s.cap = t->src->count * 2;
    *kept = s;
    rc = bind_table_source(&p->b, kept, t->table, "excluded", false, excluded, err);
    for (uint32_t i = shown; i < kept->count; i++)
        kept->cols[i].hidden = true;
    w->upsert_count = ast->upsert_count;
    for (uint32_t i = 0; i < ast->upsert_count && rc == QUARTET_OK; i++) {
        const struct ast_upsert *u = ast->upsert[i];
        w->upserts[i].do_update = u->do_update;
        rc = upsert_target(p, t->table, u, &w->upserts[i], err);
        if (rc == QUARTET_OK)
            rc = bind_sets(p, t, kept, &u->set, &(*bound)[i].sets, err);
        kept->clause = "WHERE";
        if (rc == QUARTET_OK && u->where != NULL)
            rc = bind_expr(&p->b, kept, u->where, &(*bound)[i].where, err);
    }
    return rc;
}

static quartet_status place_upserts(struct planner *p, const struct target *t, struct pwrite *w,
                                    const struct upsert_bound *bound,
                                    const struct bsource *excluded, struct err *err)
{
    uint32_t n = t->src->count, *cids;
    quartet_status rc = row_cids(p, t->src, n, &cids, err);
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++)
        cids[n + i] = excluded->first_cid + i;
    for (uint32_t i = 0; i < w->upsert_count && rc == QUARTET_OK; i++) {
        struct pupsert *u = &w->upserts[i];
        u->sets = bound[i].sets.item;
        u->set_count = bound[i].sets.count;
        for (uint32_t k = 0; k < u->set_count && rc == QUARTET_OK; k++)
            rc = plan_place(p, bound[i].sets.exprs[k], cids, n * 2, &u->sets[k].expr, err);
        if (rc == QUARTET_OK && bound[i].where != NULL)
            rc = plan_place(p, bound[i].where, cids, n * 2, &u->where, err);
    }
    return rc;
}

static quartet_status insert_node(struct planner *p, struct target *t, struct pwrite *w,
                                  struct pnode *source, const uint32_t *columns, uint32_t count,
                                  struct err *err)
{
    uint32_t n = t->table->column_count;
    struct pnode *node = pnode_new(p, PN_INSERT, p->plan->column_count, err);
    w->from = arena_alloc(p->a, (n + 1) * sizeof *w->from);
    if (node == NULL || w->from == NULL)
        return arena_fail(p->a, err);
    memset(w->from, 0xff, (n + 1) * sizeof *w->from);
    for (uint32_t i = 0; i < count; i++)
        w->from[columns[i]] = i;
    node->child[0] = source;
    node->u.write = w;
    node->rows = source->rows;
    p->plan->root = node;
    return QUARTET_OK;
}

static quartet_status insert_source(struct planner *p, struct target *t,
                                    const struct ast_insert *ast, uint32_t **columns,
                                    uint32_t *count, struct bquery **out, struct err *err)
{
    *out = NULL;
    quartet_status rc = insert_columns(p, t->table, ast, columns, count, err);
    if (rc != QUARTET_OK)
        return rc;
    if (ast->source == NULL) {
        *count = 0;
        return QUARTET_OK;
    }
    if (plain_values(ast->source))
        return insert_values(p, t, ast->source, *columns, *count, out, err);
    rc = bind_query(&p->b, NULL, &t->scope, t->scope.ctes, ast->source, out, err);
    if (rc == QUARTET_OK && (*out)->out_count != *count)
        rc = err_set_at(err, QUARTET_ERROR, ast->source->offset,
                        "table %s takes %u values here, the query gives %u", t->table->name, *count,
                        (*out)->out_count);
    return rc;
}

/* An INSERT may turn out to be an UPDATE, or to replace a row. */
static quartet_status insert_effects(struct planner *p, struct pwrite *w,
                                     const struct upsert_bound *bound, struct err *err)
{
    struct set_list all = {0};
    quartet_status rc = plan_effects(p, w->table, AST_TRIGGER_INSERT, NULL, 0, false,
                                     &w->effects[AST_TRIGGER_INSERT], err);
    for (uint32_t i = 0; i < w->upsert_count; i++) {
        for (uint32_t k = 0; k < bound[i].sets.count; k++) {
            if (!bind_grow(p->a, &all.item, all.count, &all.cap, sizeof *all.item))
                return arena_fail(p->a, err);
            all.item[all.count++] = bound[i].sets.item[k];
        }
    }
    if (rc == QUARTET_OK && all.count > 0)
        rc = plan_effects(p, w->table, AST_TRIGGER_UPDATE, all.item, all.count, false,
                          &w->effects[AST_TRIGGER_UPDATE], err);
    if (rc == QUARTET_OK && w->on_conflict == AST_CONFLICT_REPLACE)
        rc = plan_effects(p, w->table, AST_TRIGGER_DELETE, NULL, 0, true,
                          &w->effects[AST_TRIGGER_DELETE], err);
    return rc;
}

quartet_status plan_insert(struct planner *p, const struct ast_insert *ast, struct err *err)
{
    struct target *t = arena_zalloc(p->a, 1, sizeof *t);
    struct pwrite *w = arena_zalloc(p->a, 1, sizeof *w);
    struct bquery *q, *ret = NULL;
    struct upsert_bound *bound = NULL;
    struct bsource *excluded = NULL;
    struct pnode *source = NULL;
    uint32_t *columns, count, *cids;
    if (t == NULL || w == NULL)
        return arena_fail(p->a, err);
    quartet_status rc = target_open(p, &ast->table, ast->alias.text, ast->with, false, t, err);
    if (rc != QUARTET_OK)
        return rc;
    w->table = t->table;
    w->on_conflict = ast->conflict;
    rc = insert_source(p, t, ast, &columns, &count, &q, err);
    if (rc == QUARTET_OK)
        rc = bind_upserts(p, t, ast, w, &bound, &excluded, err);
    if (rc == QUARTET_OK)
        rc = insert_effects(p, w, bound, err);
    if (rc == QUARTET_OK)
        rc = bind_returning(p, t, &ast->returning, &ret, err);
    w->defaults = arena_zalloc(p->a, t->table->column_count + 1, sizeof(struct expr *));
    if (rc == QUARTET_OK && w->defaults == NULL)
        return arena_fail(p->a, err);
    p->words = p->b.col_count / 64 + 1;
    for (uint32_t i = 0; i < t->table->column_count && rc == QUARTET_OK; i++) {
        rc = plan_default(p, &t->table->columns[i], &w->defaults[i], err);
    }
    if (rc == QUARTET_OK)
        rc = plan_checks(p, t, w, err);
    if (rc == QUARTET_OK)
        rc = place_upserts(p, t, w, bound, excluded, err);
    if (rc == QUARTET_OK)
        rc = row_cids(p, t->src, 0, &cids, err);
    if (rc == QUARTET_OK)
        rc = plan_returning(p, w, ret, cids, t->src->count, err);
    if (rc == QUARTET_OK && q != NULL)
        rc = plan_query(p, q, &source, err);
    else if (rc == QUARTET_OK)
        rc = (source = pnode_new(p, PN_ONE, 0, err)) == NULL ? err->code : QUARTET_OK;
    return rc != QUARTET_OK ? rc : insert_node(p, t, w, source, columns, count, err);
}

/* ---- UPDATE and DELETE ---- */

static quartet_status out_column(struct planner *p, struct bquery *q, uint32_t cid, struct err *err)
{
    struct expr *e;
    uint32_t cap = q->out_count; /* exact growth is rare enough */
    quartet_status rc = bind_col_expr(&p->b, cid, &e, err);
    return rc != QUARTET_OK ? rc : bind_add(p->a, &q->outs, &q->out_count, &cap, e, err);
}

static quartet_status write_from(struct planner *p, struct target *t,
                                 const struct ast_from_list *from, const struct ast_expr *where,
                                 struct err *err)
{
    struct bquery *q = t->query;
    quartet_status rc = QUARTET_OK;
    q->from = t->src;
    if (from->count > 0) {
        struct bsource *more;
        rc = bind_from_list(&p->b, &t->scope, from, &more, err);
        if (rc == QUARTET_OK)
            rc = bind_join(&p->b, t->src, more, JOIN_INNER, &q->from, err);
    }
    if (rc == QUARTET_OK && where != NULL) {
        struct expr *e;
        t->scope.clause = "WHERE";
        rc = bind_expr(&p->b, &t->scope, where, &e, err);
        if (rc == QUARTET_OK)
            rc = bind_conjuncts(&p->b, e, &q->where, &q->where_count, &q->where_cap, err);
    }
    return rc;
}

struct extra {
    struct planner *p;
    const struct bsource *src;
    uint32_t *cids;
    uint32_t count, cap;
    bool failed;
};

static void extra_visit(void *arg, uint32_t cid)
{
    struct extra *x = arg;
    if (cid >= x->src->first_cid && cid < x->src->first_cid + x->src->count)
        return;
    for (uint32_t i = 0; i < x->count; i++) {
        if (x->cids[i] == cid)
            return;
    }
    if (!bind_grow(x->p->a, &x->cids, x->count, &x->cap, sizeof *x->cids))
        x->failed = true;
    else
        x->cids[x->count++] = cid;
}

/* RETURNING may name the other tables of the statement: their columns travel along. */
static quartet_status returning_layout(struct planner *p, struct target *t, struct pwrite *w,
                                       const struct bquery *ret, uint32_t **cids, struct err *err)
{
    struct extra x = {.p = p, .src = t->src};
    for (uint32_t i = 0; ret != NULL && i < ret->out_count; i++)
        bind_each_column(ret->outs[i], extra_visit, &x);
    quartet_status rc = x.failed ? arena_fail(p->a, err) : row_cids(p, t->src, x.count, cids, err);
    w->extra_first = t->query->out_count;
    w->extra_count = x.count;
    for (uint32_t i = 0; i < x.count && rc == QUARTET_OK; i++) {
        (*cids)[t->src->count + i] = x.cids[i];
        rc = out_column(p, t->query, x.cids[i], err);
    }
    return rc;
}

static quartet_status write_node(struct planner *p, struct target *t, struct pwrite *w,
                                 uint8_t kind, const struct bquery *ret, const uint32_t *cids,
                                 struct err *err)
{
    struct pnode *source, *node;
    struct bquery *q = t->query;
    q->shape = arena_zalloc(p->a, q->out_count + 1, sizeof *q->shape);
    if (q->shape == NULL)
        return arena_fail(p->a, err);
    p->words = p->b.col_count / 64 + 1;
    quartet_status rc = plan_returning(p, w, ret, cids, t->src->count + w->extra_count, err);
    if (rc == QUARTET_OK && kind == PN_UPDATE)
        rc = plan_checks(p, t, w, err);
    if (rc == QUARTET_OK)
        rc = plan_query(p, q, &source, err);
    if (rc != QUARTET_OK)
        return rc;
    node = pnode_new(p, kind, p->plan->column_count, err);
    if (node == NULL)
        return err->code;
    node->child[0] = source;
    node->u.write = w;
    node->rows = source->rows;
    p->plan->root = node;
    return QUARTET_OK;
}

static quartet_status write_tail(struct planner *p, struct target *t,
                                 const struct ast_orders *order, struct ast_expr *limit,
                                 struct ast_expr *offset, struct err *err)
{
    struct ast_query tail = {.order_by = *order, .limit = limit, .limit_offset = offset};
    return bind_tail(&p->b, &t->scope, t->query, &tail, err);
}

quartet_status plan_update(struct planner *p, const struct ast_update *ast, struct err *err)
{
    if (plan_is_quarantine(p, &ast->table->name))
        return plan_quarantine_update(p, ast, err);
    struct target *t = arena_zalloc(p->a, 1, sizeof *t);
    struct pwrite *w = arena_zalloc(p->a, 1, sizeof *w);
    struct set_list sets = {0};
    struct bquery *ret;
    uint32_t *cids;
    if (t == NULL || w == NULL)
        return arena_fail(p->a, err);
    quartet_status rc =
        target_open(p, &ast->table->name, ast->table->alias.text, ast->with, true, t, err);
    if (rc == QUARTET_OK)
        rc = write_from(p, t, &ast->from, ast->where, err);
    if (rc == QUARTET_OK)
        rc = bind_sets(p, t, &t->scope, &ast->set, &sets, err);
    if (rc == QUARTET_OK)
        rc = bind_returning(p, t, &ast->returning, &ret, err);
    if (rc == QUARTET_OK)
        rc = out_column(p, t->query, t->src->key_cid, err);
    w->old_first = 1;
    for (uint32_t i = 0; i < (rc == QUARTET_OK ? t->src->count : 0) && rc == QUARTET_OK; i++)
        rc = out_column(p, t->query, t->src->first_cid + i, err);
    for (uint32_t i = 0; i < sets.count && rc == QUARTET_OK; i++) {
        uint32_t cap = t->query->out_count;
        sets.item[i].from = t->query->out_count;
        w->key_changes |= t->table->columns[sets.item[i].column].key_at >= 0;
        rc = bind_add(p->a, &t->query->outs, &t->query->out_count, &cap, sets.exprs[i], err);
    }
    if (rc == QUARTET_OK)
        rc = returning_layout(p, t, w, ret, &cids, err);
    if (rc == QUARTET_OK)
        rc = write_tail(p, t, &ast->order_by, ast->limit, ast->limit_offset, err);
    if (rc != QUARTET_OK)
        return rc;
    w->table = t->table;
    w->on_conflict = ast->conflict;
    w->sets = sets.item;
    w->set_count = sets.count;
    w->once = ast->from.count > 0;
    rc = plan_effects(p, t->table, AST_TRIGGER_UPDATE, sets.item, sets.count, false,
                      &w->effects[AST_TRIGGER_UPDATE], err);
    if (rc == QUARTET_OK && w->on_conflict == AST_CONFLICT_REPLACE)
        rc = plan_effects(p, t->table, AST_TRIGGER_DELETE, NULL, 0, true,
                          &w->effects[AST_TRIGGER_DELETE], err);
    return rc == QUARTET_OK ? write_node(p, t, w, PN_UPDATE, ret, cids, err) : rc;
}

quartet_status plan_delete(struct planner *p, const struct ast_delete *ast, struct err *err)
{
    if (plan_is_quarantine(p, &ast->table->name))
        return plan_quarantine_delete(p, ast, err);
    struct target *t = arena_zalloc(p->a, 1, sizeof *t);
    struct pwrite *w = arena_zalloc(p->a, 1, sizeof *w);
    struct bquery *ret = NULL;
    uint32_t *cids;
    if (t == NULL || w == NULL)
        return arena_fail(p->a, err);
    quartet_status rc =
        target_open(p, &ast->table->name, ast->table->alias.text, ast->with, true, t, err);
    if (rc == QUARTET_OK)
        rc = write_from(p, t, &ast->using_from, ast->where, err);
    if (rc == QUARTET_OK)
        rc = bind_returning(p, t, &ast->returning, &ret, err);
    if (rc == QUARTET_OK)
        rc = out_column(p, t->query, t->src->key_cid, err);
    if (rc == QUARTET_OK)
        rc = plan_effects(p, t->table, AST_TRIGGER_DELETE, NULL, 0, false,
                          &w->effects[AST_TRIGGER_DELETE], err);
    w->old_first = 1;
    bool olds = ret != NULL || w->effects[AST_TRIGGER_DELETE] != NULL;
    for (uint32_t i = 0; rc == QUARTET_OK && olds && i < t->src->count; i++)
        rc = out_column(p, t->query, t->src->first_cid + i, err);
    if (rc == QUARTET_OK)
        rc = returning_layout(p, t, w, ret, &cids, err);
    if (rc == QUARTET_OK)
        rc = write_tail(p, t, &ast->order_by, ast->limit, ast->limit_offset, err);
    if (rc != QUARTET_OK)
        return rc;
    w->table = t->table;
    w->once = ast->using_from.count > 0;
    return write_node(p, t, w, PN_DELETE, ret, cids, err);
}

quartet_status plan_truncate(struct planner *p, const struct ast_maintenance *ast, struct err *err)
{
    struct ast_from table = {.kind = AST_FROM_TABLE, .name = ast->name};
    struct ast_delete all = {.table = &table};
    if (ast->name.name.text == NULL)
        return err_set(err, QUARTET_ERROR, "TRUNCATE needs a table");
    return plan_delete(p, &all, err);
}

quartet_status plan_resolve(struct planner *p, const struct ast_resolve *ast, struct err *err)
{
    struct scope none = {.clause = "RESOLVE CONFLICT"};
    struct pnode *node = pnode_new(p, PN_RESOLVE, 0, err);
    struct presolve *r = arena_zalloc(p->a, 1, sizeof *r);
    struct expr *id;
    if (node == NULL || r == NULL)
        return arena_fail(p->a, err);
    r->using_loser = ast->using_loser;
    quartet_status rc = bind_expr(&p->b, &none, ast->id, &id, err);
    p->words = p->b.col_count / 64 + 1;
    if (rc == QUARTET_OK)
        rc = plan_place(p, id, NULL, 0, &r->id, err);
    node->u.resolve = r;
    p->plan->root = node;
    return rc;
}

quartet_status plan_backtrack(struct planner *p, const struct ast_backtrack *ast, struct err *err)
{
    struct scope none = {.clause = "BACKTRACK"};
    struct pnode *node = pnode_new(p, PN_BACKTRACK, 0, err);
    struct pbacktrack *b = arena_zalloc(p->a, 1, sizeof *b);
    struct expr *to;
    if (node == NULL || b == NULL)
        return arena_fail(p->a, err);
    b->to = ast->to;
    if (ast->table.name.text != NULL) {
        b->table = bind_find_table(&p->b, &ast->table, err);
        if (b->table == NULL)
            return QUARTET_ERROR;
        if (b->table->is_system)
            return err_set(err, QUARTET_ERROR, "%s is read-only", b->table->name);
    }
    quartet_status rc = bind_expr(&p->b, &none, ast->value, &to, err);
    p->words = p->b.col_count / 64 + 1;
    if (rc == QUARTET_OK)
        rc = plan_place(p, to, NULL, 0, &b->expr, err);
    node->u.backtrack = b;
    p->plan->root = node;
    return rc;
}
