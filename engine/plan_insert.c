/* plan_insert.c - INSERT and REPLACE: the rows come from a query or from VALUES, whose literals know what type they go to;
 * ON CONFLICT DO UPDATE is planned beside it, over the present row and the one that was to come. */
#include "parser/parse.h"
#include "plan_write.h"

#include <string.h>

static quartet_status insert_columns(struct planner *p, const struct table_def *t,
                                     const struct ast_insert *ast, uint32_t **columns,
                                     uint32_t *count, struct err *err)
{
    *count = ast->columns.count;
    *columns = arena_alloc(p->a, (*count + t->visible_count + 1) * sizeof **columns);
    if (*columns == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < t->visible_count && ast->columns.count == 0; i++)
        if (!t->columns[i].derived)
            (*columns)[(*count)++] = i;
    for (uint32_t i = 0; i < ast->columns.count; i++) {
        quartet_status rc = target_written(t, &ast->columns.item[i], &(*columns)[i], err);
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
                sets_value(p, t, kept, columns[k], row->item[k], &q->rows[i][k], err);
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

/* A partial one is meant by who says its WHERE, too. */
static bool upsert_index(const struct ast_upsert *u, const struct table_def *t, const struct index_def *ix)
{
    struct buf text = {0};
    if (!ix->unique || ix->where == INDEX_WHOLE || u->target_where == NULL)
        return ix->unique && ix->where == INDEX_WHOLE;
    ast_print_expr(u->target_where, &text);
    buf_u8(&text, 0);
    bool same = !text.failed && strcmp((const char *)text.data, t->columns[ix->where].name) == 0;
    buf_deinit(&text);
    return same;
}

static quartet_status upsert_target(struct planner *p, const struct table_def *t,
                                    const struct ast_upsert *u, struct pupsert *out,
                                    struct err *err)
{
    if (u->constraint.text != NULL) {
        for (uint32_t i = 0; i < t->index_count; i++) {
            if (!t->indexes[i].unique || t->indexes[i].where != INDEX_WHOLE || !name_eq(t->indexes[i].name, u->constraint.text))
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
        quartet_status rc = target_column(t, &e->u.column->name, &out->target[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    bool known = out->target_count == 0 ||
                 (!t->hidden_key &&
                  same_columns(out->target, out->target_count, t->key_columns, t->key_count));
    for (uint32_t i = 0; i < t->index_count && !known; i++)
        known =
            upsert_index(u, t, &t->indexes[i]) && same_columns(out->target, out->target_count,
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
            rc = sets_bind(p, t, kept, &u->set, &(*bound)[i].sets, err);
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
    quartet_status rc = target_cids(p, t->src, n, &cids, err);
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
    if (t->view != NULL && ast->upsert_count > 0)
        return err_set_at(err, QUARTET_ERROR, ast->table.name.offset, "%s is a view: ON CONFLICT has no meaning for it", t->view->name);
    rc = insert_source(p, t, ast, &columns, &count, &q, err);
    if (rc == QUARTET_OK)
        rc = bind_upserts(p, t, ast, w, &bound, &excluded, err);
    if (rc == QUARTET_OK)
        rc = insert_effects(p, w, bound, err);
    if (rc == QUARTET_OK)
        rc = target_instead(t, w, AST_TRIGGER_INSERT, &ast->table, err);
    if (rc == QUARTET_OK)
        rc = returning_bind(p, t, &ast->returning, &ret, err);
    w->defaults = arena_zalloc(p->a, t->table->column_count + 1, sizeof(struct expr *));
    if (rc == QUARTET_OK && w->defaults == NULL)
        return arena_fail(p->a, err);
    p->words = p->b.col_count / 64 + 1;
    for (uint32_t i = 0; i < t->table->column_count && rc == QUARTET_OK; i++) {
        rc = plan_default(p, &t->table->columns[i], &w->defaults[i], err);
    }
    if (rc == QUARTET_OK)
        rc = target_checks(p, t, w, err);
    if (rc == QUARTET_OK)
        rc = place_upserts(p, t, w, bound, excluded, err);
    if (rc == QUARTET_OK)
        rc = target_cids(p, t->src, 0, &cids, err);
    if (rc == QUARTET_OK)
        rc = returning_place(p, w, ret, cids, t->src->count, err);
    if (rc == QUARTET_OK && q != NULL)
        rc = plan_query(p, q, &source, err);
    else if (rc == QUARTET_OK)
        rc = (source = pnode_new(p, PN_ONE, 0, err)) == NULL ? err->code : QUARTET_OK;
    return rc != QUARTET_OK ? rc : insert_node(p, t, w, source, columns, count, err);
}
