/* bind_sub.c - subqueries in expressions, row values, comparisons and IN. Why rows are expanded
 * here: (a, b) = (c, d) is a = c AND b = d, and everything below only knows single values. */
#include "bind_sub.h"
#include "expr_ops.h"

/* ---- subqueries ---- */

/* The slots that the query of `s` itself must fill in for `q`. */
static quartet_status sub_new(struct bind *b, struct scope *s, struct bquery *q, struct bsub **out,
                              struct err *err)
{
    struct bsub *sub = arena_zalloc(b->a, 1, sizeof *sub);
    if (sub == NULL)
        return arena_fail(b->a, err);
    sub->query = q;
    sub->set_params = arena_zalloc(b->a, q->dep_count + 1, sizeof *sub->set_params);
    sub->set_exprs = arena_zalloc(b->a, q->dep_count + 1, sizeof(struct expr *));
    sub->plan_index = arena_alloc(b->a, sizeof *sub->plan_index);
    if (sub->set_params == NULL || sub->set_exprs == NULL || sub->plan_index == NULL)
        return arena_fail(b->a, err);
    *sub->plan_index = BIND_NONE;
    for (uint32_t i = 0; i < q->dep_count; i++) {
        const struct bslot *slot = &b->slots[q->deps[i]];
        if (slot->owner != s)
            continue;
        quartet_status rc =
            expr_copy(b->a, slot->expr, NULL, NULL, &sub->set_exprs[sub->set_count], err);
        if (rc != QUARTET_OK)
            return rc;
        sub->set_params[sub->set_count++] = slot->param;
    }
    *out = sub;
    return QUARTET_OK;
}

static quartet_status bind_subquery(struct bind *b, struct scope *s, const struct ast_query *q,
                                    struct bsub **out, struct err *err)
{
    struct bquery *query;
    quartet_status rc = bind_query(b, s, s, s->ctes, q, &query, err);
    if (rc != QUARTET_OK)
        return rc;
    return sub_new(b, s, query, out, err);
}

static quartet_status sub_expr(struct bind *b, enum expr_op op, uint8_t flags, struct bsub *sub,
                               struct expr *const *left, uint32_t n, uint32_t offset,
                               struct expr **out, struct err *err)
{
    if (sub->set_count > 0)
        flags |= EXPR_CORRELATED;
    quartet_status rc = expr_subquery(b->a, op, flags, sub, left, n, offset, out, err);
    if (rc != QUARTET_OK)
        return rc;
    if (op == EXPR_SUBQUERY) {
        const struct bcol *c = &sub->query->shape[sub->column];
        (*out)->type = c->type;
        (*out)->affinity = c->affinity;
        (*out)->scale = c->scale;
        (*out)->is_boolean = c->is_boolean;
        (*out)->flags |= c->flags & (EXPR_NOCASE_VALUE | EXPR_OF_COLUMN);
    } else {
        (*out)->type = VALUE_INTEGER;
        (*out)->is_boolean = true;
    }
    return QUARTET_OK;
}

static quartet_status width_error(const struct bsub *sub, uint32_t want, uint32_t offset,
                                  struct err *err)
{
    return err_set_at(err, QUARTET_ERROR, offset, "the subquery returns %u columns, %u expected",
                      sub->query->out_count, want);
}

quartet_status bind_row_subquery(struct bind *b, struct scope *s, const struct ast_expr *e,
                                 uint32_t column, uint32_t want, struct bsub **sub,
                                 struct expr **out, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    if (e->kind != AST_EXPR_SUBQUERY)
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "a row of %u values or a subquery is expected", want);
    if (*sub == NULL)
        rc = bind_subquery(b, s, e->u.query, sub, err);
    if (rc == QUARTET_OK && (*sub)->query->out_count != want)
        rc = width_error(*sub, want, e->offset, err);
    if (rc != QUARTET_OK)
        return rc;
    struct bsub *own = arena_dup(b->a, *sub, sizeof **sub);
    if (own == NULL)
        return arena_fail(b->a, err);
    own->column = column;
    return sub_expr(b, EXPR_SUBQUERY, 0, own, NULL, 0, e->offset, out, err);
}

/* ---- row values ---- */

/* The items of a row, or of a subquery that stands for one; *n is 1 and *items NULL for a plain
 * expression. */
quartet_status bind_row_items(struct bind *b, struct scope *s, const struct ast_expr *e,
                                uint32_t want, struct expr ***items, uint32_t *n, struct err *err)
{
    if (e->kind == AST_EXPR_ROW) {
        *n = e->u.list.count;
        return bind_expr_list(b, s, &e->u.list, items, err);
    }
    if (e->kind != AST_EXPR_SUBQUERY || want == 1) {
        *n = 1;
        *items = arena_zalloc(b->a, 1, sizeof(struct expr *));
        return *items == NULL ? arena_fail(b->a, err) : bind_expr(b, s, e, *items, err);
    }
    struct bsub *sub;
    quartet_status rc = bind_subquery(b, s, e->u.query, &sub, err);
    if (rc != QUARTET_OK)
        return rc;
    *n = sub->query->out_count;
    *items = arena_zalloc(b->a, *n, sizeof(struct expr *));
    if (*items == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 0; i < *n; i++) {
        struct bsub *column = arena_dup(b->a, sub, sizeof *sub);
        if (column == NULL)
            return arena_fail(b->a, err);
        column->column = i;
        rc = sub_expr(b, EXPR_SUBQUERY, 0, column, NULL, 0, e->offset, &(*items)[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

/* a < c OR (a = c AND (b < d OR ...)), from the last column inwards. */
static quartet_status row_order(struct bind *b, enum expr_op op, struct expr **l, struct expr **r,
                                uint32_t n, uint32_t offset, struct expr **out, struct err *err)
{
    enum expr_op strict = op == EXPR_LE ? EXPR_LT : op == EXPR_GE ? EXPR_GT : op;
    quartet_status rc = expr_binary(b->a, op, l[n - 1], r[n - 1], offset, out, err);
    for (uint32_t i = n - 1; rc == QUARTET_OK && i-- > 0;) {
        struct expr *parts[2], *both[2], *lc, *rcopy;
        both[1] = *out;
        rc = expr_copy(b->a, l[i], NULL, NULL, &lc, err);
        if (rc == QUARTET_OK)
            rc = expr_copy(b->a, r[i], NULL, NULL, &rcopy, err);
        if (rc == QUARTET_OK)
            rc = expr_binary(b->a, strict, l[i], r[i], offset, &parts[0], err);
        if (rc == QUARTET_OK)
            rc = expr_binary(b->a, EXPR_EQ, lc, rcopy, offset, &both[0], err);
        if (rc == QUARTET_OK)
            rc = expr_nary(b->a, EXPR_AND, 0, both, 2, offset, &parts[1], err);
        if (rc == QUARTET_OK)
            rc = expr_nary(b->a, EXPR_OR, 0, parts, 2, offset, out, err);
    }
    return rc;
}

quartet_status bind_row_compare(struct bind *b, enum expr_op op, struct expr **l, struct expr **r,
                                  uint32_t n, uint32_t offset, struct expr **out, struct err *err)
{
    if (n == 1)
        return expr_binary(b->a, op, l[0], r[0], offset, out, err);
    if (op == EXPR_LT || op == EXPR_LE || op == EXPR_GT || op == EXPR_GE)
        return row_order(b, op, l, r, n, offset, out, err);
    struct expr **parts = arena_zalloc(b->a, n, sizeof(struct expr *));
    if (parts == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 0; i < n; i++) {
        quartet_status rc = expr_binary(b->a, op, l[i], r[i], offset, &parts[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return expr_nary(b->a, op == EXPR_EQ || op == EXPR_IS ? EXPR_AND : EXPR_OR, 0, parts, n, offset,
                     out, err);
}

static bool is_row(const struct ast_expr *e)
{
    return e->kind == AST_EXPR_ROW;
}

quartet_status bind_compare(struct bind *b, struct scope *s, const struct ast_expr *e,
                                   enum expr_op op, struct expr **out, struct err *err)
{
    const struct ast_expr *le = e->u.binary.left, *re = e->u.binary.right;
    struct expr **l, **r;
    uint32_t ln, rn;
    quartet_status rc = bind_row_items(b, s, le, is_row(re) ? 2 : 1, &l, &ln, err);
    if (rc == QUARTET_OK)
        rc = bind_row_items(b, s, re, is_row(le) ? 2 : 1, &r, &rn, err);
    if (rc != QUARTET_OK)
        return rc;
    if (ln != rn)
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "a row of %u values is compared with one of %u", ln, rn);
    return bind_row_compare(b, op, l, r, ln, e->offset, out, err);
}

/* ---- IN ---- */

quartet_status bind_in_list(struct bind *b, struct scope *s, const struct ast_expr *e,
                                   struct expr **out, struct err *err)
{
    const struct ast_in *in = e->u.in;
    uint8_t flags = (e->flags & AST_NEGATED) != 0 ? EXPR_NEGATED : 0;
    quartet_status rc = QUARTET_OK;
    if (!is_row(in->left)) {
        struct expr **args = arena_zalloc(b->a, in->list.count + 1, sizeof(struct expr *));
        if (args == NULL)
            return arena_fail(b->a, err);
        rc = bind_expr(b, s, in->left, &args[0], err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < in->list.count; i++)
            rc = bind_expr(b, s, in->list.item[i], &args[i + 1], err);
        return rc != QUARTET_OK
                   ? rc
                   : expr_nary(b->a, EXPR_IN, flags, args, in->list.count + 1, e->offset, out, err);
    }
    struct expr **any = arena_zalloc(b->a, in->list.count + 1, sizeof(struct expr *));
    if (any == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < in->list.count; i++) {
        struct expr **l, **r;
        uint32_t ln, rn;
        rc = bind_row_items(b, s, in->left, 2, &l, &ln, err);
        if (rc == QUARTET_OK)
            rc = bind_row_items(b, s, in->list.item[i], 2, &r, &rn, err);
        if (rc == QUARTET_OK && ln != rn)
            rc = err_set_at(err, QUARTET_ERROR, e->offset,
                            "IN compares a row of %u values with one of %u", ln, rn);
        if (rc == QUARTET_OK)
            rc = bind_row_compare(b, EXPR_EQ, l, r, ln, e->offset, &any[i], err);
    }
    if (rc == QUARTET_OK)
        rc = expr_nary(b->a, EXPR_OR, 0, any, in->list.count, e->offset, out, err);
    return rc == QUARTET_OK && flags != 0 ? expr_unary(b->a, EXPR_NOT, *out, e->offset, out, err)
                                          : rc;
}

enum expr_op bind_compare_op(uint8_t op)
{
    switch (op) {
    case AST_OP_EQ:
        return EXPR_EQ;
    case AST_OP_NE:
        return EXPR_NE;
    case AST_OP_LT:
        return EXPR_LT;
    case AST_OP_LE:
        return EXPR_LE;
    case AST_OP_GT:
        return EXPR_GT;
    case AST_OP_GE:
        return EXPR_GE;
    case AST_OP_IS:
        return EXPR_IS;
    case AST_OP_IS_NOT:
        return EXPR_IS_NOT;
    default:
        return 0;
    }
}

quartet_status bind_in_query(struct bind *b, struct scope *s, const struct ast_expr *e,
                                    const struct ast_query *q, struct expr **out, struct err *err)
{
    const struct ast_in *in = e->u.in;
    uint8_t flags = (e->flags & AST_NEGATED) != 0 ? EXPR_NEGATED : 0;
    struct expr **left = NULL;
    struct bsub *sub;
    uint32_t n;
    quartet_status rc = bind_row_items(b, s, in->left, 1, &left, &n, err);
    if (rc == QUARTET_OK)
        rc = bind_subquery(b, s, q, &sub, err);
    if (rc != QUARTET_OK)
        return rc;
    if (sub->query->out_count != n)
        return width_error(sub, n, e->offset, err);
    if (e->kind == AST_EXPR_QUANTIFIED) {
        enum expr_op op = bind_compare_op(in->op);
        if (in->all) { /* x op ALL is NOT (x inverse-op ANY) */
            op = ops_inverse((uint8_t)op);
            flags = EXPR_NEGATED;
        }
        sub->compare = op == EXPR_EQ ? 0 : (uint8_t)op;
        if (sub->compare != 0 && n != 1)
            return err_set_at(err, QUARTET_ERROR, e->offset,
                              "only = and <> compare a row with ANY or ALL");
    }
    return sub_expr(b, EXPR_IN_QUERY, flags, sub, left, n, e->offset, out, err);
}

/* x IN tablename: x IN (SELECT * FROM tablename). */
quartet_status bind_in_table(struct bind *b, struct scope *s, const struct ast_expr *e,
                                    struct expr **out, struct err *err)
{
    struct ast_query *q = arena_zalloc(b->a, 1, sizeof *q);
    struct ast_select *select = arena_zalloc(b->a, 1, sizeof *select);
    struct ast_result *result = arena_zalloc(b->a, 1, sizeof *result);
    struct ast_expr *star = arena_zalloc(b->a, 1, sizeof *star);
    struct ast_column *column = arena_zalloc(b->a, 1, sizeof *column);
    struct ast_from **item = arena_zalloc(b->a, 1, sizeof(struct ast_from *));
    if (q == NULL || select == NULL || result == NULL || star == NULL || column == NULL ||
        item == NULL)
        return arena_fail(b->a, err);
    *star = (struct ast_expr){
        .kind = AST_EXPR_STAR, .height = 1, .offset = e->offset, .u.column = column};
    result->expr = star;
    item[0] = e->u.in->table;
    select->results = (struct ast_results){.item = result, .count = 1};
    select->from = (struct ast_from_list){.item = item, .count = 1};
    *q = (struct ast_query){.kind = AST_QUERY_SELECT, .offset = e->offset, .select = select};
    return bind_in_query(b, s, e, q, out, err);
}

quartet_status bind_exists(struct bind *b, struct scope *s, const struct ast_expr *e, struct expr **out, struct err *err)
{
    struct bsub *sub;
    quartet_status rc = bind_subquery(b, s, e->u.query, &sub, err);
    return rc != QUARTET_OK ? rc
                            : sub_expr(b, EXPR_EXISTS, (e->flags & AST_NEGATED) != 0 ? EXPR_NEGATED : 0, sub,
                                       NULL, 0, e->offset, out, err);
}

quartet_status bind_scalar(struct bind *b, struct scope *s, const struct ast_expr *e, struct expr **out, struct err *err)
{
    struct bsub *sub;
    quartet_status rc = bind_subquery(b, s, e->u.query, &sub, err);
    if (rc == QUARTET_OK && sub->query->out_count != 1)
        return width_error(sub, 1, e->offset, err);
    return rc != QUARTET_OK ? rc
                            : sub_expr(b, EXPR_SUBQUERY, 0, sub, NULL, 0, e->offset, out, err);
}
