/* bind_select.c - queries: SELECT, VALUES and their combinations, with WITH, GROUP BY, ORDER BY and
 * LIMIT. Why the pass over groups comes last: only when all of SELECT, HAVING and ORDER BY are
 * bound is it known what is aggregated. Then every column outside of an aggregate is a GROUP BY
 * expression, or it is of "any row" of the group, as SQLite has it. */
#include "bind.h"

#include <string.h>

#include "exec_key.h"
#include "parser/parse.h"

#define SORT_NOCASE "NOCASE"

quartet_status bind_with(struct bind *b, struct scope *s, const struct ast_with *with,
                         struct err *err)
{
    if (with == NULL)
        return QUARTET_OK;
    for (uint32_t i = 0; i < with->count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (name_eq(with->item[k].name.text, with->item[i].name.text))
                return err_set_at(err, QUARTET_ERROR, with->item[i].name.offset,
                                  "WITH names %s twice", with->item[i].name.text);
        }
        struct cte_scope *c = arena_zalloc(b->a, 1, sizeof *c);
        struct bcte *cte = arena_zalloc(b->a, 1, sizeof *cte);
        if (c == NULL || cte == NULL)
            return arena_fail(b->a, err);
        *c = (struct cte_scope){.cte = cte,
                                .ast = &with->item[i],
                                .recursive = with->recursive,
                                .home = s,
                                .next = s->ctes};
        s->ctes = c;
    }
    return QUARTET_OK;
}

/* ---- result lists ---- */

static quartet_status add_out(struct bind *b, struct bquery *q, uint32_t *cap, struct expr *e,
                              const char *name, struct err *err)
{
    uint32_t name_cap = *cap, shape_cap = *cap;
    if (!bind_grow(b->a, &q->names, q->out_count, &name_cap, sizeof *q->names) ||
        !bind_grow(b->a, &q->shape, q->out_count, &shape_cap, sizeof *q->shape))
        return arena_fail(b->a, err);
    q->names[q->out_count] = name;
    bind_shape(b, e, name, &q->shape[q->out_count]);
    return bind_add(b->a, &q->outs, &q->out_count, cap, e, err);
}

static void count_use(void *arg, uint32_t cid)
{
    struct bind *b = arg;
    b->cols[cid].uses++;
}

static quartet_status add_star(struct bind *b, struct scope *s, struct bquery *q, uint32_t *cap,
                               const struct ast_expr *e, struct err *err)
{
    const char *table = e->u.column != NULL ? e->u.column->table.text : NULL;
    bool any = false;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct visible *v = &s->cols[i];
        struct expr *copy;
        if (table != NULL ? !name_eq(v->table, table) : v->hidden)
            continue;
        any = true;
        bind_each_column(v->expr, count_use, b);
        quartet_status rc = expr_copy(b->a, v->expr, NULL, NULL, &copy, err);
        if (rc == QUARTET_OK)
            rc = add_out(b, q, cap, copy, v->name, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if (!any && table != NULL)
        return err_set_at(err, QUARTET_ERROR, e->offset, "no such table: %s", table);
    if (!any)
        return err_set_at(err, QUARTET_ERROR, e->offset, "SELECT * needs a FROM");
    return QUARTET_OK;
}

static quartet_status result_name(struct bind *b, const struct ast_result *r, const char **out,
                                  struct err *err)
{
    if (r->alias.text != NULL) {
        *out = r->alias.text;
        return QUARTET_OK;
    }
    if (r->expr->kind == AST_EXPR_COLUMN) {
        *out = r->expr->u.column->name.text;
        return QUARTET_OK;
    }
    struct buf text = {.limit_bytes = 4096};
    ast_print_expr(r->expr, &text);
    *out = text.failed ? arena_strndup(b->a, "(expression)", 12)
                       : arena_strndup(b->a, (const char *)text.data, text.len);
    buf_deinit(&text);
    return *out == NULL ? arena_fail(b->a, err) : QUARTET_OK;
}

quartet_status bind_results(struct bind *b, struct scope *s, const struct ast_results *results,
                            struct bquery *q, struct err *err)
{
    uint32_t cap = 0;
    for (uint32_t i = 0; i < results->count; i++) {
        const struct ast_result *r = &results->item[i];
        struct expr *e;
        const char *name;
        quartet_status rc;
        if (r->expr->kind == AST_EXPR_STAR) {
            rc = add_star(b, s, q, &cap, r->expr, err);
        } else {
            rc = bind_expr(b, s, r->expr, &e, err);
            if (rc == QUARTET_OK)
                rc = result_name(b, r, &name, err);
            if (rc == QUARTET_OK)
                rc = add_out(b, q, &cap, e, name, err);
        }
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

/* ---- GROUP BY ---- */

static quartet_status group_expr(struct bind *b, struct scope *s, struct bquery *q, uint32_t *cap,
                                 const struct ast_expr *e, uint64_t *mask, struct err *err)
{
    struct expr *x;
    quartet_status rc;
    if (e->kind == AST_EXPR_ROW) {
        rc = QUARTET_OK;
        for (uint32_t i = 0; i < e->u.list.count && rc == QUARTET_OK; i++)
            rc = group_expr(b, s, q, cap, e->u.list.item[i], mask, err);
        return rc;
    }
    if (e->kind == AST_EXPR_INTEGER) {
        const struct ast_results *list = s->aliases;
        if (e->u.integer < 1 || e->u.integer > list->count ||
            list->item[e->u.integer - 1].expr->kind == AST_EXPR_STAR)
            return err_set_at(err, QUARTET_ERROR, e->offset,
                              "GROUP BY position %lld is not in the result list",
                              (long long)e->u.integer);
        e = list->item[e->u.integer - 1].expr;
    }
    rc = bind_expr(b, s, e, &x, err);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t i = 0; i < q->group_count; i++) {
        if (expr_equal(q->group[i], x)) {
            *mask |= 1ull << i;
            return QUARTET_OK;
        }
    }
    if (q->group_count >= 64)
        return err_set_at(err, QUARTET_LIMIT, e->offset, "GROUP BY has more than 64 expressions");
    *mask |= 1ull << q->group_count;
    return bind_add(b->a, &q->group, &q->group_count, cap, x, err);
}

struct sets {
    uint64_t *mask;
    uint32_t count, cap;
};

static quartet_status add_set(struct bind *b, struct sets *s, uint64_t mask, struct err *err)
{
    if (s->count >= 4096)
        return err_set(err, QUARTET_LIMIT, "more than 4096 grouping sets");
    if (!bind_grow(b->a, &s->mask, s->count, &s->cap, sizeof *s->mask))
        return arena_fail(b->a, err);
    s->mask[s->count++] = mask;
    return QUARTET_OK;
}

static quartet_status group_sets(struct bind *b, struct scope *s, struct bquery *q, uint32_t *cap,
                                 const struct ast_group *g, struct sets *out, struct err *err)
{
    uint64_t masks[64], all = 0;
    uint32_t n = 0;
    quartet_status rc = QUARTET_OK;
    if (g->kind == AST_GROUP_EMPTY)
        return add_set(b, out, 0, err);
    if (g->kind == AST_GROUP_EXPR) {
        rc = group_expr(b, s, q, cap, g->expr, &all, err);
        return rc != QUARTET_OK ? rc : add_set(b, out, all, err);
    }
    if (g->kind == AST_GROUP_SETS) {
        for (uint32_t i = 0; i < g->nested->count && rc == QUARTET_OK; i++)
            rc = group_sets(b, s, q, cap, g->nested->item[i], out, err);
        return rc;
    }
    for (uint32_t i = 0; i < g->nested->count && i < 64 && rc == QUARTET_OK; i++) {
        struct sets one = {0};
        rc = group_sets(b, s, q, cap, g->nested->item[i], &one, err);
        masks[n++] = rc == QUARTET_OK ? one.mask[0] : 0;
        all |= masks[n - 1];
    }
    if (rc != QUARTET_OK)
        return rc;
    if (g->kind == AST_GROUP_ROLLUP) {
        for (uint32_t k = n + 1; k-- > 0 && rc == QUARTET_OK;) {
            uint64_t mask = 0;
            for (uint32_t i = 0; i < k; i++)
                mask |= masks[i];
            rc = add_set(b, out, mask, err);
        }
        return rc;
    }
    if (n > 12)
        return err_set(err, QUARTET_LIMIT, "CUBE of more than 12 expressions");
    for (uint32_t bits = 1u << n; bits-- > 0 && rc == QUARTET_OK;) {
        uint64_t mask = 0;
        for (uint32_t i = 0; i < n; i++)
            mask |= (bits >> (n - 1 - i) & 1u) != 0 ? masks[i] : 0;
        rc = add_set(b, out, mask, err);
    }
    return rc;
}

/* Several items multiply: GROUP BY a, ROLLUP (b) is {a, b}, {a}. */
static quartet_status bind_group_by(struct bind *b, struct scope *s,
                                    const struct ast_group_list *list, struct bquery *q,
                                    struct err *err)
{
    struct sets all = {0};
    uint32_t cap = 0;
    bool plain = true;
    quartet_status rc = add_set(b, &all, 0, err);
    for (uint32_t i = 0; i < list->count && rc == QUARTET_OK; i++) {
        struct sets item = {0}, product = {0};
        plain &= list->item[i]->kind == AST_GROUP_EXPR;
        rc = group_sets(b, s, q, &cap, list->item[i], &item, err);
        for (uint32_t x = 0; x < all.count && rc == QUARTET_OK; x++) {
            for (uint32_t y = 0; y < item.count && rc == QUARTET_OK; y++)
                rc = add_set(b, &product, all.mask[x] | item.mask[y], err);
        }
        all = product;
    }
    if (!plain) {
        q->sets = all.mask;
        q->set_count = all.count;
    }
    q->aggregated |= list->count > 0;
    return rc;
}

/* ---- the pass over groups ---- */

struct group_pass {
    struct bind *b;
    struct bquery *q;
};

static quartet_status bare_column(struct group_pass *p, uint32_t cid, struct expr **out,
                                  struct err *err)
{
    struct bquery *q = p->q;
    for (uint32_t i = 0; i < q->bare_count; i++) {
        if (q->bare[i].from == cid)
            return bind_col_expr(p->b, q->bare[i].cid, out, err);
    }
    struct bcol like = p->b->cols[cid];
    like.kind = BCOL_AGG;
    uint32_t added;
    quartet_status rc = bind_new_col(p->b, &like, &added, err);
    if (rc != QUARTET_OK)
        return rc;
    if (!bind_grow(p->b->a, &q->bare, q->bare_count, &q->bare_cap, sizeof *q->bare))
        return arena_fail(p->b->a, err);
    q->bare[q->bare_count++] = (struct bbare){.from = cid, .cid = added};
    return bind_col_expr(p->b, added, out, err);
}

static quartet_status group_map(void *arg, const struct expr *e, struct expr **out, struct err *err)
{
    struct group_pass *p = arg;
    if (e->op == EXPR_COLUMN && p->b->cols[e->u.column].kind != BCOL_SOURCE)
        return QUARTET_OK;
    if (e->op == EXPR_CONST)
        return QUARTET_OK;
    for (uint32_t i = 0; i < p->q->group_count; i++) {
        if (expr_equal(p->q->group[i], e)) {
            quartet_status rc = bind_col_expr(p->b, p->q->group_cids[i], out, err);
            if (rc == QUARTET_OK)
                (*out)->flags |= e->flags & (EXPR_NOCASE_VALUE | EXPR_COLLATED | EXPR_OF_COLUMN);
            return rc;
        }
    }
    if (e->op == EXPR_COLUMN)
        return bare_column(p, e->u.column, out, err);
    return QUARTET_OK;
}

static quartet_status pass_list(struct group_pass *p, struct expr **list, uint32_t n,
                                struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++)
        rc = bind_map(p->b->a, list[i], group_map, p, &list[i], err);
    return rc;
}

static quartet_status pass_window(struct group_pass *p, struct bwindow *w, struct err *err)
{
    quartet_status rc = pass_list(p, w->args, w->arg_count, err);
    if (rc == QUARTET_OK)
        rc = pass_list(p, w->partition, w->partition_count, err);
    for (uint32_t i = 0; i < w->order_count && rc == QUARTET_OK; i++)
        rc = pass_list(p, &w->order[i].expr, 1, err);
    if (rc == QUARTET_OK && w->filter != NULL)
        rc = pass_list(p, &w->filter, 1, err);
    if (rc == QUARTET_OK && w->start_expr != NULL)
        rc = pass_list(p, &w->start_expr, 1, err);
    if (rc == QUARTET_OK && w->end_expr != NULL)
        rc = pass_list(p, &w->end_expr, 1, err);
    return rc;
}

quartet_status bind_group_pass(struct bind *b, struct bquery *q, struct err *err)
{
    struct group_pass p = {.b = b, .q = q};
    quartet_status rc = QUARTET_OK;
    q->bare_by = BIND_NONE;
    if (!q->aggregated)
        return QUARTET_OK;
    q->group_cids = arena_zalloc(b->a, q->group_count + 1, sizeof *q->group_cids);
    if (q->group_cids == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 0; i < q->group_count && rc == QUARTET_OK; i++) {
        struct bcol c;
        bind_shape(b, q->group[i], "group", &c);
        c.kind = BCOL_GROUP;
        rc = bind_new_col(b, &c, &q->group_cids[i], err);
    }
    if (rc == QUARTET_OK)
        rc = pass_list(&p, q->outs, q->out_count + q->hidden_count, err);
    if (rc == QUARTET_OK)
        rc = pass_list(&p, q->having, q->having_count, err);
    for (uint32_t i = 0; i < q->window_count && rc == QUARTET_OK; i++)
        rc = pass_window(&p, &q->windows[i], err);
    if (rc == QUARTET_OK && q->qualify != NULL)
        rc = pass_list(&p, &q->qualify, 1, err);
    for (uint32_t i = 0; i < q->agg_count;
         i++) { /* SQLite: bare columns come from the row with the one min() or max() */
        uint8_t code = q->aggs[i].spec.func->code;
        if (code == AGG_MIN || code == AGG_MAX)
            q->bare_by = q->bare_by == BIND_NONE ? i : BIND_NONE - 1;
    }
    if (q->bare_by == BIND_NONE - 1)
        q->bare_by = BIND_NONE;
    return rc;
}

/* ---- ORDER BY ---- */

static quartet_status add_order(struct bind *b, struct bquery *q, uint32_t out, uint8_t flags,
                                struct err *err)
{
    for (uint32_t i = 0; i < q->order_count; i++) {
        if (q->order[i].out == out && ((q->order[i].flags ^ flags) & CELL_KEY_NOCASE) == 0)
            return QUARTET_OK; /* a second mention of the same decides nothing */
    }
    struct bsort *order = arena_alloc(b->a, (q->order_count + 1) * sizeof *order);
    if (order == NULL)
        return arena_fail(b->a, err);
    if (q->order_count > 0)
        memcpy(order, q->order, q->order_count * sizeof *order);
    order[q->order_count++] = (struct bsort){.out = out, .flags = flags};
    q->order = order;
    return QUARTET_OK;
}

/* A position or an output's name: its number, or BIND_NONE. */
static quartet_status order_by_output(struct bquery *q, const struct ast_expr *e, bool plain_names,
                                      uint32_t *out, struct err *err)
{
    *out = BIND_NONE;
    if (e->kind == AST_EXPR_INTEGER) {
        if (e->u.integer < 1 || e->u.integer > q->out_count)
            return err_set_at(err, QUARTET_ERROR, e->offset,
                              "ORDER BY position %lld is not in the result list of %u columns",
                              (long long)e->u.integer, q->out_count);
        *out = (uint32_t)e->u.integer - 1;
        return QUARTET_OK;
    }
    if (e->kind != AST_EXPR_COLUMN || (e->u.column->table.text != NULL && !plain_names))
        return QUARTET_OK;
    if (e->u.column->table.text != NULL)
        return QUARTET_OK;
    for (uint32_t i = 0; i < q->out_count; i++) {
        if (name_eq(q->names[i], e->u.column->name.text)) {
            *out = i;
            return QUARTET_OK;
        }
    }
    return QUARTET_OK;
}

/* Names of outputs that are aliases win over columns; an unaliased output is found as a column
 * anyway. */
static bool is_alias(const struct scope *s, const char *name)
{
    for (uint32_t i = 0; s->aliases != NULL && i < s->aliases->count; i++) {
        if (name_eq(s->aliases->item[i].alias.text, name))
            return true;
    }
    return false;
}

static quartet_status hidden_out(struct bind *b, struct bquery *q, struct expr *e, uint32_t *out,
                                 struct err *err)
{
    uint32_t n = q->out_count + q->hidden_count;
    for (uint32_t i = 0; i < n; i++) {
        if (expr_equal(q->outs[i], e)) {
            *out = i;
            return QUARTET_OK;
        }
    }
    struct expr **outs = arena_alloc(b->a, (n + 1) * sizeof(struct expr *));
    if (outs == NULL)
        return arena_fail(b->a, err);
    memcpy(outs, q->outs, n * sizeof(struct expr *));
    outs[n] = e;
    q->outs = outs;
    q->hidden_count++;
    *out = n;
    return QUARTET_OK;
}

static quartet_status order_term(struct bind *b, struct scope *s, struct bquery *q,
                                 const struct ast_order *o, struct err *err)
{
    const struct ast_expr *e = o->expr;
    const char *collate = NULL;
    uint32_t out = BIND_NONE;
    uint8_t flags;
    if (e->kind == AST_EXPR_COLLATE && (e->u.collate.value->kind == AST_EXPR_INTEGER ||
                                        e->u.collate.value->kind == AST_EXPR_COLUMN)) {
        collate = e->u.collate.name;
        e = e->u.collate.value;
    }
    quartet_status rc = QUARTET_OK;
    if (e->kind == AST_EXPR_INTEGER || q->kind != BQ_SELECT ||
        (e->kind == AST_EXPR_COLUMN && is_alias(s, e->u.column->name.text)))
        rc = order_by_output(q, e, true, &out, err);
    if (rc == QUARTET_OK && out == BIND_NONE && q->kind != BQ_SELECT)
        rc = err_set_at(err, QUARTET_ERROR, e->offset,
                        "ORDER BY after UNION, INTERSECT, EXCEPT or VALUES names a result column "
                        "or its position");
    if (rc != QUARTET_OK)
        return rc;
    struct expr shape = {0};
    struct expr *x = &shape;
    if (out != BIND_NONE) {
        shape.flags = q->shape[out].flags;
    } else {
        rc = bind_expr(b, s, e, &x, err);
        if (rc == QUARTET_OK && x->op == EXPR_CONST)
            return QUARTET_OK; /* the same for all rows */
        if (rc == QUARTET_OK)
            rc = hidden_out(b, q, x, &out, err);
    }
    if (rc == QUARTET_OK)
        rc = bind_sort_flags(o, x, &flags);
    if (rc != QUARTET_OK)
        return rc;
    if (collate != NULL)
        flags = (uint8_t)((flags & ~CELL_KEY_NOCASE) |
                          (name_eq(collate, SORT_NOCASE) ? CELL_KEY_NOCASE : 0));
    return add_order(b, q, out, flags, err);
}

static quartet_status bind_order_by(struct bind *b, struct scope *s, struct bquery *q,
                                    const struct ast_orders *list, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    s->clause = "ORDER BY";
    for (uint32_t i = 0; i < list->count && rc == QUARTET_OK; i++)
        rc = order_term(b, s, q, &list->item[i], err);
    return rc;
}

static quartet_status bind_limit(struct bind *b, struct scope *s, struct bquery *q,
                                 const struct ast_query *ast, struct err *err)
{
    struct scope none = {
        .up = s->up, .container = s->container, .query = q, .ctes = s->ctes, .clause = "LIMIT"};
    quartet_status rc = QUARTET_OK;
    if (ast->limit != NULL)
        rc = bind_expr(b, &none, ast->limit, &q->limit, err);
    if (rc == QUARTET_OK && ast->limit_offset != NULL)
        rc = bind_expr(b, &none, ast->limit_offset, &q->limit_offset, err);
    q->with_ties = ast->with_ties;
    return rc;
}

quartet_status bind_tail(struct bind *b, struct scope *s, struct bquery *q,
                         const struct ast_query *ast, struct err *err)
{
    quartet_status rc = bind_order_by(b, s, q, &ast->order_by, err);
    return rc != QUARTET_OK ? rc : bind_limit(b, s, q, ast, err);
}

/* ---- SELECT ---- */

static quartet_status bind_clause(struct bind *b, struct scope *s, const struct ast_expr *e,
                                  const char *clause, struct expr ***list, uint32_t *count,
                                  uint32_t *cap, struct err *err)
{
    struct expr *x;
    s->clause = clause;
    quartet_status rc = bind_expr(b, s, e, &x, err);
    return rc != QUARTET_OK ? rc : bind_conjuncts(b, x, list, count, cap, err);
}

static quartet_status bind_distinct_on(struct bind *b, struct scope *s, struct bquery *q,
                                       const struct ast_exprs *list, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    q->distinct_on = arena_zalloc(b->a, list->count + 1, sizeof *q->distinct_on);
    if (q->distinct_on == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 0; i < list->count && rc == QUARTET_OK; i++) {
        struct expr *e;
        rc = bind_expr(b, s, list->item[i], &e, err);
        if (rc == QUARTET_OK)
            rc = hidden_out(b, q, e, &q->distinct_on[i], err);
        q->distinct_on_count++;
    }
    return rc;
}

static quartet_status bind_select(struct bind *b, struct scope *s, struct bquery *q,
                                  const struct ast_query *ast, struct err *err)
{
    const struct ast_select *sel = ast->select;
    uint32_t cap = 0;
    quartet_status rc = QUARTET_OK;
    s->select = sel;
    if (sel->from.count > 0)
        rc = bind_from_list(b, s, &sel->from, &q->from, err);
    s->aliases = &sel->results;
    if (rc == QUARTET_OK && sel->where != NULL)
        rc = bind_clause(b, s, sel->where, "WHERE", &q->where, &q->where_count, &q->where_cap, err);
    s->clause = "GROUP BY";
    if (rc == QUARTET_OK && sel->group_by.count > 0)
        rc = bind_group_by(b, s, &sel->group_by, q, err);
    s->clause = "the result list";
    s->allow_agg = true;
    s->allow_window = true;
    s->aliases = NULL; /* the list may not name itself */
    if (rc == QUARTET_OK)
        rc = bind_results(b, s, &sel->results, q, err);
    s->aliases = &sel->results;
    q->distinct = sel->distinct && sel->distinct_on.count == 0;
    if (rc == QUARTET_OK && sel->having != NULL) {
        q->aggregated = true;
        s->allow_window = false;
        rc = bind_clause(b, s, sel->having, "HAVING", &q->having, &q->having_count, &cap, err);
        s->allow_window = true;
    }
    if (rc == QUARTET_OK && sel->distinct_on.count > 0)
        rc = bind_distinct_on(b, s, q, &sel->distinct_on, err);
    if (rc == QUARTET_OK)
        rc = bind_order_by(b, s, q, &ast->order_by, err);
    if (rc == QUARTET_OK && sel->qualify != NULL)
        rc = bind_expr(b, s, sel->qualify, &q->qualify, err);
    s->allow_agg = false;
    s->allow_window = false;
    return rc != QUARTET_OK ? rc : bind_group_pass(b, q, err);
}

/* ---- VALUES and set operations ---- */

/* The type that both have, or none. */
static void merge_shape(struct bcol *into, const struct bcol *c)
{
    if (into->type != c->type || into->scale != c->scale)
        into->type = 0;
    if (into->affinity != c->affinity)
        into->affinity = 0;
    if ((into->flags & (EXPR_OF_COLUMN | EXPR_NOCASE_VALUE)) == 0) /* the collation is that of the first that has one */
        into->flags |= c->flags & (EXPR_OF_COLUMN | EXPR_NOCASE_VALUE);
    into->is_boolean &= c->is_boolean;
    into->declared = NULL;
    into->table = NULL;
    into->column = NULL;
}

static quartet_status bind_values(struct bind *b, struct scope *s, struct bquery *q,
                                  const struct ast_query *ast, struct err *err)
{
    uint32_t width = ast->values.count > 0 ? ast->values.item[0].count : 0;
    q->kind = BQ_VALUES;
    q->out_count = width;
    q->row_count = ast->values.count;
    q->rows = arena_zalloc(b->a, q->row_count + 1, sizeof(struct expr **));
    q->names = arena_zalloc(b->a, width + 1, sizeof(char *));
    q->shape = arena_zalloc(b->a, width + 1, sizeof *q->shape);
    s->clause = "VALUES";
    if (q->rows == NULL || q->names == NULL || q->shape == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 0; i < q->row_count; i++) {
        const struct ast_exprs *row = &ast->values.item[i];
        if (row->count != width)
            return err_set_at(
                err, QUARTET_ERROR, row->count > 0 ? row->item[0]->offset : ast->offset,
                "all VALUES must have the same number of terms: %u and %u", width, row->count);
        q->rows[i] = arena_zalloc(b->a, width + 1, sizeof(struct expr *));
        if (q->rows[i] == NULL)
            return arena_fail(b->a, err);
        for (uint32_t k = 0; k < width; k++) {
            struct bcol c;
            quartet_status rc = bind_expr(b, s, row->item[k], &q->rows[i][k], err);
            if (rc != QUARTET_OK)
                return rc;
            bind_shape(b, q->rows[i][k], "", &c);
            if (i == 0)
                q->shape[k] = c;
            else
                merge_shape(&q->shape[k], &c);
        }
    }
    for (uint32_t k = 0; k < width; k++) {
        q->names[k] = arena_printf(b->a, "column%u", k + 1);
        if (q->names[k] == NULL)
            return arena_fail(b->a, err);
        q->shape[k].name = q->names[k];
    }
    return QUARTET_OK;
}

static quartet_status bind_compound(struct bind *b, struct scope *s, struct bquery *q,
                                    const struct ast_query *ast, struct err *err)
{
    q->kind = BQ_SET;
    q->part_count = ast->part_count;
    q->parts = arena_zalloc(b->a, q->part_count, sizeof(struct bquery *));
    q->ops = arena_zalloc(b->a, q->part_count, 1);
    if (q->parts == NULL || q->ops == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 0; i < q->part_count; i++) {
        quartet_status rc = bind_query(b, s->up, s, s->ctes, ast->part[i].query, &q->parts[i], err);
        if (rc != QUARTET_OK)
            return rc;
        q->ops[i] = ast->part[i].op;
        if (i > 0 && q->parts[i]->out_count != q->parts[0]->out_count)
            return err_set_at(err, QUARTET_ERROR, ast->part[i].query->offset,
                              "the SELECTs to be combined have %u and %u result columns",
                              q->parts[0]->out_count, q->parts[i]->out_count);
    }
    q->out_count = q->parts[0]->out_count;
    q->names = q->parts[0]->names;
    q->shape = arena_dup(b->a, q->parts[0]->shape, (q->out_count + 1) * sizeof *q->shape);
    if (q->shape == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 1; i < q->part_count; i++) {
        for (uint32_t k = 0; k < q->out_count; k++)
            merge_shape(&q->shape[k], &q->parts[i]->shape[k]);
    }
    return QUARTET_OK;
}

quartet_status bind_query(struct bind *b, struct scope *up, struct scope *container,
                          struct cte_scope *ctes, const struct ast_query *ast, struct bquery **out,
                          struct err *err)
{
    struct scope *s =
        arena_zalloc(b->a, 1, sizeof *s); /* slots name their owner after the query is bound */
    struct bquery *q = arena_zalloc(b->a, 1, sizeof *q);
    if (s == NULL || q == NULL)
        return arena_fail(b->a, err);
    s->up = up;
    s->container = container;
    s->query = q;
    s->ctes = ctes;
    q->bare_by = BIND_NONE;
    quartet_status rc = bind_with(b, s, ast->with, err);
    if (rc == QUARTET_OK && ast->kind == AST_QUERY_SELECT)
        rc = bind_select(b, s, q, ast, err);
    else if (rc == QUARTET_OK && ast->kind == AST_QUERY_VALUES)
        rc = bind_values(b, s, q, ast, err);
    else if (rc == QUARTET_OK)
        rc = bind_compound(b, s, q, ast, err);
    if (rc == QUARTET_OK && ast->kind != AST_QUERY_SELECT)
        rc = bind_order_by(b, s, q, &ast->order_by, err);
    if (rc == QUARTET_OK)
        rc = bind_limit(b, s, q, ast, err);
    *out = q;
    return rc;
}
