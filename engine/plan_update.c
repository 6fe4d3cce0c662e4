/* plan_update.c - UPDATE, DELETE and TRUNCATE.
 * Why they are queries first: which rows, and what they become, is a SELECT of the key, the present
 * columns and the new values; joins, indexes and subqueries work as everywhere. */
#include "plan_write.h"

static quartet_status out_column(struct planner *p, struct bquery *q, uint32_t cid, struct err *err)
{
    struct expr *e;
    uint32_t cap = q->out_count; /* exact growth is rare enough */
    quartet_status rc = bind_col_expr(&p->b, cid, &e, err);
    return rc != QUARTET_OK ? rc : bind_add(p->a, &q->outs, &q->out_count, &cap, e, err);
}

/* What stands before the row: its key. A view's has none. */
static quartet_status out_key(struct planner *p, struct target *t, struct err *err)
{
    struct value null = VALUE_NULL_INIT;
    struct expr *e;
    uint32_t cap = t->query->out_count;
    if (t->view == NULL)
        return out_column(p, t->query, t->src->key_cid, err);
    quartet_status rc = expr_const(p->a, &null, &e, err);
    return rc != QUARTET_OK ? rc : bind_add(p->a, &t->query->outs, &t->query->out_count, &cap, e, err);
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
    quartet_status rc = x.failed ? arena_fail(p->a, err) : target_cids(p, t->src, x.count, cids, err);
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
    quartet_status rc = returning_place(p, w, ret, cids, t->src->count + w->extra_count, err);
    if (rc == QUARTET_OK && kind == PN_UPDATE)
        rc = target_checks(p, t, w, err);
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
        rc = sets_bind(p, t, &t->scope, &ast->set, &sets, err);
    if (rc == QUARTET_OK)
        rc = returning_bind(p, t, &ast->returning, &ret, err);
    if (rc == QUARTET_OK)
        rc = out_key(p, t, err);
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
    w->once = ast->from.count > 0 && t->view == NULL;
    rc = plan_effects(p, t->table, AST_TRIGGER_UPDATE, sets.item, sets.count, false,
                      &w->effects[AST_TRIGGER_UPDATE], err);
    if (rc == QUARTET_OK)
        rc = target_instead(t, w, AST_TRIGGER_UPDATE, &ast->table->name, err);
    if (rc == QUARTET_OK && w->on_conflict == AST_CONFLICT_REPLACE && t->view == NULL)
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
        rc = returning_bind(p, t, &ast->returning, &ret, err);
    if (rc == QUARTET_OK)
        rc = out_key(p, t, err);
    if (rc == QUARTET_OK)
        rc = plan_effects(p, t->table, AST_TRIGGER_DELETE, NULL, 0, false,
                          &w->effects[AST_TRIGGER_DELETE], err);
    if (rc == QUARTET_OK)
        rc = target_instead(t, w, AST_TRIGGER_DELETE, &ast->table->name, err);
    w->old_first = 1;
    w->olds = ret != NULL || w->effects[AST_TRIGGER_DELETE] != NULL || (rc == QUARTET_OK && t->table->index_count > 0); /* entries are made of them */
    for (uint32_t i = 0; rc == QUARTET_OK && w->olds && i < t->src->count; i++)
        rc = out_column(p, t->query, t->src->first_cid + i, err);
    if (rc == QUARTET_OK)
        rc = returning_layout(p, t, w, ret, &cids, err);
    if (rc == QUARTET_OK)
        rc = write_tail(p, t, &ast->order_by, ast->limit, ast->limit_offset, err);
    if (rc != QUARTET_OK)
        return rc;
    w->table = t->table;
    w->once = ast->using_from.count > 0 && t->view == NULL;
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
