/* bind_expr.c - expressions of the tree to bound ones: names, subqueries, row values; calls are
 * bind_call.c's. Why rows are expanded here: (a, b) = (c, d) is a = c AND b = d, and everything
 * below only knows single values. */
#include "bind.h"

#include <string.h>

quartet_status bind_expr_list(struct bind *b, struct scope *s, const struct ast_exprs *list, struct expr ***out,
                              struct err *err)
{
    struct expr **args = arena_zalloc(b->a, list->count + 1, sizeof(struct expr *));
    if (args == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 0; i < list->count; i++) {
        quartet_status rc = bind_expr(b, s, list->item[i], &args[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    *out = args;
    return QUARTET_OK;
}

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
static quartet_status row_items(struct bind *b, struct scope *s, const struct ast_expr *e,
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

static quartet_status copy_of(struct bind *b, const struct expr *e, struct expr **out,
                              struct err *err)
{
    return expr_copy(b->a, e, NULL, NULL, out, err);
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
        rc = copy_of(b, l[i], &lc, err);
        if (rc == QUARTET_OK)
            rc = copy_of(b, r[i], &rcopy, err);
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

static quartet_status row_compare(struct bind *b, enum expr_op op, struct expr **l, struct expr **r,
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

static quartet_status bind_compare(struct bind *b, struct scope *s, const struct ast_expr *e,
                                   enum expr_op op, struct expr **out, struct err *err)
{
    const struct ast_expr *le = e->u.binary.left, *re = e->u.binary.right;
    struct expr **l, **r;
    uint32_t ln, rn;
    quartet_status rc = row_items(b, s, le, is_row(re) ? 2 : 1, &l, &ln, err);
    if (rc == QUARTET_OK)
        rc = row_items(b, s, re, is_row(le) ? 2 : 1, &r, &rn, err);
    if (rc != QUARTET_OK)
        return rc;
    if (ln != rn)
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "a row of %u values is compared with one of %u", ln, rn);
    return row_compare(b, op, l, r, ln, e->offset, out, err);
}

/* ---- IN ---- */

static quartet_status bind_in_list(struct bind *b, struct scope *s, const struct ast_expr *e,
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
        rc = row_items(b, s, in->left, 2, &l, &ln, err);
        if (rc == QUARTET_OK)
            rc = row_items(b, s, in->list.item[i], 2, &r, &rn, err);
        if (rc == QUARTET_OK && ln != rn)
            rc = err_set_at(err, QUARTET_ERROR, e->offset,
                            "IN compares a row of %u values with one of %u", ln, rn);
        if (rc == QUARTET_OK)
            rc = row_compare(b, EXPR_EQ, l, r, ln, e->offset, &any[i], err);
    }
    if (rc == QUARTET_OK)
        rc = expr_nary(b->a, EXPR_OR, 0, any, in->list.count, e->offset, out, err);
    return rc == QUARTET_OK && flags != 0 ? expr_unary(b->a, EXPR_NOT, *out, e->offset, out, err)
                                          : rc;
}

static enum expr_op compare_op(uint8_t op)
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

static enum expr_op compare_negated(enum expr_op op)
{
    switch (op) {
    case EXPR_EQ:
        return EXPR_NE;
    case EXPR_NE:
        return EXPR_EQ;
    case EXPR_LT:
        return EXPR_GE;
    case EXPR_LE:
        return EXPR_GT;
    case EXPR_GT:
        return EXPR_LE;
    default:
        return EXPR_LT;
    }
}

static quartet_status bind_in_query(struct bind *b, struct scope *s, const struct ast_expr *e,
                                    const struct ast_query *q, struct expr **out, struct err *err)
{
    const struct ast_in *in = e->u.in;
    uint8_t flags = (e->flags & AST_NEGATED) != 0 ? EXPR_NEGATED : 0;
    struct expr **left = NULL;
    struct bsub *sub;
    uint32_t n;
    quartet_status rc = row_items(b, s, in->left, 1, &left, &n, err);
    if (rc == QUARTET_OK)
        rc = bind_subquery(b, s, q, &sub, err);
    if (rc != QUARTET_OK)
        return rc;
    if (sub->query->out_count != n)
        return width_error(sub, n, e->offset, err);
    if (e->kind == AST_EXPR_QUANTIFIED) {
        enum expr_op op = compare_op(in->op);
        if (in->all) { /* x op ALL is NOT (x inverse-op ANY) */
            op = compare_negated(op);
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
static quartet_status bind_in_table(struct bind *b, struct scope *s, const struct ast_expr *e,
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

/* ---- leaves and operators ---- */

static quartet_status bind_typed(struct bind *b, const struct ast_expr *e, struct expr **out,
                                 struct err *err)
{
    struct type_decl type;
    struct value v = value_text(e->u.typed.text, strlen(e->u.typed.text));
    if (strncmp(e->u.typed.type, "INTERVAL", 8) == 0)
        return err_set_at(
            err, QUARTET_ERROR, e->offset,
            "INTERVAL literals are not supported; use date(x, '+1 day') and the like");
    quartet_status rc = types_from_name(e->u.typed.type, 0, NULL, &type, err);
    struct expr *text;
    if (rc == QUARTET_OK)
        rc = expr_const(b->a, &v, &text, err);
    return rc != QUARTET_OK ? rc : expr_cast(b->a, text, &type, e->offset, out, err);
}

static quartet_status bind_column(struct bind *b, struct scope *s, const struct ast_expr *e,
                                  struct expr **out, struct err *err)
{
    const struct ast_column *c = e->u.column;
    quartet_status rc = bind_name(b, s, c, e->offset, out, err);
    if (rc != QUARTET_NOTFOUND)
        return rc;
    if (c->table.text == NULL) {
        const struct func *f = (e->flags & AST_DOUBLE_QUOTED) != 0 ? NULL : func_bare(c->name.text);
        if (f != NULL)
            return expr_call(b->a, f, NULL, 0, e->offset, out, err);
        if ((e->flags & AST_DOUBLE_QUOTED) != 0 && s->count == 0) {
            struct value v = value_text(c->name.text, c->name.len);
            return expr_const(b->a, &v, out, err);
        }
    }
    return QUARTET_ERROR;
}

static enum expr_op binary_op(uint8_t op)
{
    switch (op) {
    case AST_OP_ADD:
        return EXPR_ADD;
    case AST_OP_SUB:
        return EXPR_SUB;
    case AST_OP_MUL:
        return EXPR_MUL;
    case AST_OP_DIV:
        return EXPR_DIV;
    case AST_OP_MOD:
        return EXPR_MOD;
    case AST_OP_IDIV:
        return EXPR_IDIV;
    case AST_OP_CONCAT:
        return EXPR_CONCAT;
    case AST_OP_BITAND:
        return EXPR_BITAND;
    case AST_OP_BITOR:
        return EXPR_BITOR;
    case AST_OP_SHL:
        return EXPR_SHL;
    case AST_OP_SHR:
        return EXPR_SHR;
    case AST_OP_JSON_GET:
        return EXPR_JSON_GET;
    case AST_OP_JSON_GET_TEXT:
        return EXPR_JSON_GET_TEXT;
    case AST_OP_XOR:
        return EXPR_XOR;
    default:
        return 0;
    }
}

static quartet_status bind_binary(struct bind *b, struct scope *s, const struct ast_expr *e,
                                  struct expr **out, struct err *err)
{
    struct expr *l, *r;
    enum expr_op op = compare_op(e->op);
    if (op != 0)
        return bind_compare(b, s, e, op, out, err);
    op = binary_op(e->op);
    if (op == 0)
        return err_set_at(err, QUARTET_ERROR, e->offset, "the operator %s is not supported here",
                          ast_op_text((enum ast_op)e->op));
    quartet_status rc = bind_expr(b, s, e->u.binary.left, &l, err);
    if (rc == QUARTET_OK)
        rc = bind_expr(b, s, e->u.binary.right, &r, err);
    return rc != QUARTET_OK ? rc : expr_binary(b->a, op, l, r, e->offset, out, err);
}

static quartet_status bind_unary(struct bind *b, struct scope *s, const struct ast_expr *e,
                                 struct expr **out, struct err *err)
{
    struct expr *x;
    quartet_status rc = bind_expr(b, s, e->u.binary.left, &x, err);
    if (rc != QUARTET_OK)
        return rc;
    switch (e->op) {
    case AST_OP_NEG:
        return expr_unary(b->a, EXPR_NEG, x, e->offset, out, err);
    case AST_OP_POS:
        return expr_unary(b->a, EXPR_POS, x, e->offset, out, err);
    case AST_OP_BITNOT:
        return expr_unary(b->a, EXPR_BITNOT, x, e->offset, out, err);
    case AST_OP_NOT:
        return expr_unary(b->a, EXPR_NOT, x, e->offset, out, err);
    case AST_OP_IS_NULL:
        return expr_unary(b->a, EXPR_IS_NULL, x, e->offset, out, err);
    case AST_OP_NOT_NULL:
        return expr_unary(b->a, EXPR_NOT_NULL, x, e->offset, out, err);
    default:
        break;
    }
    bool is_true = e->op == AST_OP_IS_TRUE || e->op == AST_OP_IS_NOT_TRUE;
    bool negated = e->op == AST_OP_IS_NOT_TRUE || e->op == AST_OP_IS_NOT_FALSE;
    rc = expr_unary(b->a, is_true ? EXPR_IS_TRUE : EXPR_IS_FALSE, x, e->offset, out, err);
    return rc == QUARTET_OK && negated ? expr_unary(b->a, EXPR_NOT, *out, e->offset, out, err) : rc;
}

static quartet_status bind_like(struct bind *b, struct scope *s, const struct ast_expr *e,
                                struct expr **out, struct err *err)
{
    struct expr *args[3];
    uint32_t n = 2;
    enum expr_op op = e->op == AST_OP_GLOB      ? EXPR_GLOB
                      : e->op == AST_OP_REGEXP  ? EXPR_REGEXP
                      : e->op == AST_OP_ILIKE   ? EXPR_ILIKE
                      : e->op == AST_OP_SIMILAR ? EXPR_SIMILAR
                                                : EXPR_LIKE;
    if (e->op == AST_OP_MATCH)
        return err_set_at(
            err, QUARTET_ERROR, e->offset,
            "MATCH needs a full-text index, which Quartet does not have; use LIKE or REGEXP");
    quartet_status rc = bind_expr(b, s, e->u.like->left, &args[0], err);
    if (rc == QUARTET_OK)
        rc = bind_expr(b, s, e->u.like->pattern, &args[1], err);
    if (rc == QUARTET_OK && e->u.like->escape != NULL)
        rc = bind_expr(b, s, e->u.like->escape, &args[n++], err);
    uint8_t flags = (e->flags & AST_NEGATED) != 0 ? EXPR_NEGATED : 0;
    return rc != QUARTET_OK ? rc : expr_nary(b->a, op, flags, args, n, e->offset, out, err);
}

static quartet_status bind_between_of(struct bind *b, struct expr *v, struct expr *lo,
                                      struct expr *hi, uint8_t flags, uint32_t offset,
                                      struct expr **out, struct err *err)
{
    struct expr *args[3] = {v, lo, hi};
    return expr_nary(b->a, EXPR_BETWEEN, flags, args, 3, offset, out, err);
}

static quartet_status bind_between(struct bind *b, struct scope *s, const struct ast_expr *e,
                                   struct expr **out, struct err *err)
{
    const struct ast_between *t = e->u.between;
    uint8_t flags = (e->flags & AST_NEGATED) != 0 ? EXPR_NEGATED : 0;
    struct expr **v = NULL, **lo, **hi;
    uint32_t n, ln, hn;
    quartet_status rc = row_items(b, s, t->value, 1, &v, &n, err);
    if (rc == QUARTET_OK)
        rc = row_items(b, s, t->low, n, &lo, &ln, err);
    if (rc == QUARTET_OK)
        rc = row_items(b, s, t->high, n, &hi, &hn, err);
    if (rc != QUARTET_OK)
        return rc;
    if (n != ln || n != hn)
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "BETWEEN compares rows of different length");
    if (n == 1 && (e->flags & AST_SYMMETRIC) == 0)
        return bind_between_of(b, v[0], lo[0], hi[0], flags, e->offset, out, err);
    if (n == 1) {
        struct expr *either[2], *args[3];
        rc = copy_of(b, v[0], &args[0], err);
        if (rc == QUARTET_OK)
            rc = copy_of(b, hi[0], &args[1], err);
        if (rc == QUARTET_OK)
            rc = copy_of(b, lo[0], &args[2], err);
        if (rc == QUARTET_OK)
            rc = bind_between_of(b, v[0], lo[0], hi[0], 0, e->offset, &either[0], err);
        if (rc == QUARTET_OK)
            rc = bind_between_of(b, args[0], args[1], args[2], 0, e->offset, &either[1], err);
        if (rc == QUARTET_OK)
            rc = expr_nary(b->a, EXPR_OR, 0, either, 2, e->offset, out, err);
    } else {
        struct expr *both[2], **again;
        rc = row_items(b, s, t->value, 1, &again, &n, err);
        if (rc == QUARTET_OK)
            rc = row_compare(b, EXPR_GE, v, lo, n, e->offset, &both[0], err);
        if (rc == QUARTET_OK)
            rc = row_compare(b, EXPR_LE, again, hi, n, e->offset, &both[1], err);
        if (rc == QUARTET_OK)
            rc = expr_nary(b->a, EXPR_AND, 0, both, 2, e->offset, out, err);
    }
    return rc == QUARTET_OK && flags != 0 ? expr_unary(b->a, EXPR_NOT, *out, e->offset, out, err)
                                          : rc;
}

static quartet_status bind_case(struct bind *b, struct scope *s, const struct ast_expr *e,
                                struct expr **out, struct err *err)
{
    const struct ast_case *c = e->u.kase;
    uint32_t n = 0;
    quartet_status rc = QUARTET_OK;
    struct expr **args = arena_zalloc(b->a, (size_t)c->when_count * 2 + 2, sizeof(struct expr *));
    if (args == NULL)
        return arena_fail(b->a, err);
    if (c->operand != NULL)
        rc = bind_expr(b, s, c->operand, &args[n++], err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < c->when_count; i++) {
        rc = bind_expr(b, s, c->when[i].when, &args[n++], err);
        if (rc == QUARTET_OK)
            rc = bind_expr(b, s, c->when[i].then, &args[n++], err);
    }
    if (rc == QUARTET_OK && c->otherwise != NULL)
        rc = bind_expr(b, s, c->otherwise, &args[n++], err);
    return rc != QUARTET_OK ? rc
                            : expr_nary(b->a, c->operand != NULL ? EXPR_CASE_OF : EXPR_CASE, 0,
                                        args, n, e->offset, out, err);
}

static quartet_status bind_cast(struct bind *b, struct scope *s, const struct ast_expr *e,
                                struct expr **out, struct err *err)
{
    struct type_decl type;
    struct expr *x;
    const struct ast_type *t = e->u.cast.type;
    if ((e->flags & AST_TRY_CAST) != 0)
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "TRY_CAST is not supported; CAST of numbers and texts never fails");
    quartet_status rc = types_from_name(t->text, t->arg_count, t->arg, &type, err);
    if (rc != QUARTET_OK) {
        err->sql_offset = t->offset;
        return rc;
    }
    rc = bind_expr(b, s, e->u.cast.value, &x, err);
    return rc != QUARTET_OK ? rc : expr_cast(b->a, x, &type, e->offset, out, err);
}

static quartet_status bind_nary(struct bind *b, struct scope *s, const struct ast_expr *e,
                                enum expr_op op, struct expr **out, struct err *err)
{
    struct expr **args = NULL;
    quartet_status rc = bind_expr_list(b, s, &e->u.list, &args, err);
    return rc != QUARTET_OK ? rc
                            : expr_nary(b->a, op, 0, args, e->u.list.count, e->offset, out, err);
}

static quartet_status bind_literal(struct bind *b, const struct ast_expr *e, struct expr **out,
                                   struct err *err)
{
    struct value v = VALUE_NULL_INIT;
    if (e->kind == AST_EXPR_INTEGER || e->kind == AST_EXPR_BOOL)
        v = value_int(e->u.integer);
    else if (e->kind == AST_EXPR_STRING)
        v = value_text(e->u.string.p, e->u.string.n);
    else if (e->kind == AST_EXPR_BLOB)
        v = (struct value){.type = VALUE_BLOB,
                           .s = {(const uint8_t *)e->u.string.p, e->u.string.n}};
    quartet_status rc = expr_const(b->a, &v, out, err);
    if (rc == QUARTET_OK) {
        (*out)->is_boolean = e->kind == AST_EXPR_BOOL;
        (*out)->sql_offset = e->offset;
    }
    return rc;
}

static quartet_status bind_raise(struct bind *b, const struct ast_expr *e, struct expr **out,
                                 struct err *err)
{
    struct expr *args[2];
    const char *text = e->u.raise.message != NULL ? e->u.raise.message : "";
    struct value action = value_int(e->u.raise.action), message = value_text(text, strlen(text));
    if (b->row_of == NULL)
        return err_set_at(err, QUARTET_ERROR, e->offset, "RAISE() stands only in a trigger");
    quartet_status rc = expr_const(b->a, &action, &args[0], err);
    if (rc == QUARTET_OK)
        rc = expr_const(b->a, &message, &args[1], err);
    return rc != QUARTET_OK ? rc : expr_call(b->a, &func_raise, args, 2, e->offset, out, err);
}

quartet_status bind_expr(struct bind *b, struct scope *s, const struct ast_expr *e,
                         struct expr **out, struct err *err)
{
    struct bsub *sub;
    quartet_status rc;
    switch ((enum ast_expr_kind)e->kind) {
    case AST_EXPR_NULL:
    case AST_EXPR_INTEGER:
    case AST_EXPR_STRING:
    case AST_EXPR_BLOB:
    case AST_EXPR_BOOL:
        return bind_literal(b, e, out, err);
    case AST_EXPR_REAL:
        return expr_const_real(b->a, e->u.real.value, e->u.real.text, out, err);
    case AST_EXPR_TYPED:
        return bind_typed(b, e, out, err);
    case AST_EXPR_PARAM:
        return expr_param(b->a, e->u.param, out, err);
    case AST_EXPR_COLUMN:
        return bind_column(b, s, e, out, err);
    case AST_EXPR_UNARY:
        return bind_unary(b, s, e, out, err);
    case AST_EXPR_BINARY:
        return bind_binary(b, s, e, out, err);
    case AST_EXPR_AND:
        return bind_nary(b, s, e, EXPR_AND, out, err);
    case AST_EXPR_OR:
        return bind_nary(b, s, e, EXPR_OR, out, err);
    case AST_EXPR_LIKE:
        return bind_like(b, s, e, out, err);
    case AST_EXPR_BETWEEN:
        return bind_between(b, s, e, out, err);
    case AST_EXPR_IN_LIST:
        return bind_in_list(b, s, e, out, err);
    case AST_EXPR_IN_QUERY:
    case AST_EXPR_QUANTIFIED:
        return bind_in_query(b, s, e, e->u.in->query, out, err);
    case AST_EXPR_IN_TABLE:
        return bind_in_table(b, s, e, out, err);
    case AST_EXPR_EXISTS:
        rc = bind_subquery(b, s, e->u.query, &sub, err);
        return rc != QUARTET_OK
                   ? rc
                   : sub_expr(b, EXPR_EXISTS, (e->flags & AST_NEGATED) != 0 ? EXPR_NEGATED : 0, sub,
                              NULL, 0, e->offset, out, err);
    case AST_EXPR_SUBQUERY:
        rc = bind_subquery(b, s, e->u.query, &sub, err);
        if (rc == QUARTET_OK && sub->query->out_count != 1)
            return width_error(sub, 1, e->offset, err);
        return rc != QUARTET_OK ? rc
                                : sub_expr(b, EXPR_SUBQUERY, 0, sub, NULL, 0, e->offset, out, err);
    case AST_EXPR_CASE:
        return bind_case(b, s, e, out, err);
    case AST_EXPR_CAST:
        return bind_cast(b, s, e, out, err);
    case AST_EXPR_COLLATE:
        rc = bind_expr(b, s, e->u.collate.value, out, err);
        return rc != QUARTET_OK ? rc
                                : expr_collate(b->a, *out, e->u.collate.name, e->offset, out, err);
    case AST_EXPR_FUNCTION:
        return bind_function(b, s, e, out, err);
    case AST_EXPR_ROW:
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "a row value can only be compared with another one");
    case AST_EXPR_STAR:
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "* stands only in a result list or in count(*)");
    case AST_EXPR_DEFAULT:
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "DEFAULT stands only in VALUES of an INSERT and in SET");
    case AST_EXPR_RAISE:
        return bind_raise(b, e, out, err);
    case AST_EXPR_KIND_COUNT:
        break;
    }
    return err_set_at(err, QUARTET_INTERNAL, e->offset, "an expression of an unknown kind");
}

/* ---- walking and copying with subqueries' outer values ---- */

static bool is_subquery(const struct expr *e)
{
    return e->op == EXPR_SUBQUERY || e->op == EXPR_EXISTS || e->op == EXPR_IN_QUERY;
}

struct map_state {
    struct arena *a;
    bind_map_fn *map;
    void *arg;
    struct err *err;
    quartet_status rc;
};

static struct expr *map_node(void *arg, const struct expr *e)
{
    struct map_state *m = arg;
    struct expr *out = NULL;
    if (m->rc != QUARTET_OK)
        return NULL;
    m->rc = m->map(m->arg, e, &out, m->err);
    if (m->rc != QUARTET_OK || out != NULL || !is_subquery(e))
        return out;
    const struct bsub *from = e->u.subquery;
    struct bsub *sub = arena_dup(m->a, from, sizeof *from);
    out = arena_dup(m->a, e, sizeof *e);
    struct expr **exprs = arena_zalloc(m->a, from->set_count + 1, sizeof(struct expr *));
    struct expr **args = arena_zalloc(m->a, e->arg_count + 1, sizeof(struct expr *));
    if (sub == NULL || out == NULL || exprs == NULL || args == NULL) {
        m->rc = arena_fail(m->a, m->err);
        return NULL;
    }
    sub->set_exprs = exprs;
    out->u.subquery = sub;
    out->args = args;
    for (uint32_t i = 0; i < from->set_count && m->rc == QUARTET_OK; i++)
        m->rc = bind_map(m->a, from->set_exprs[i], m->map, m->arg, &exprs[i], m->err);
    for (uint32_t i = 0; i < e->arg_count && m->rc == QUARTET_OK; i++)
        m->rc = bind_map(m->a, e->args[i], m->map, m->arg, &args[i], m->err);
    return out;
}

quartet_status bind_map(struct arena *a, const struct expr *e, bind_map_fn *map, void *arg,
                        struct expr **out, struct err *err)
{
    struct map_state m = {.a = a, .map = map, .arg = arg, .err = err, .rc = QUARTET_OK};
    quartet_status rc = expr_copy(a, e, map_node, &m, out, err);
    return m.rc != QUARTET_OK ? m.rc : rc;
}

struct each_state {
    void (*visit)(void *arg, uint32_t cid);
    void *arg;
};

static bool each_node(void *arg, const struct expr *e)
{
    struct each_state *s = arg;
    if (e->op == EXPR_COLUMN) {
        s->visit(s->arg, e->u.column);
    } else if (is_subquery(e)) {
        const struct bsub *sub = e->u.subquery;
        for (uint32_t i = 0; i < sub->set_count; i++)
            bind_each_column(sub->set_exprs[i], s->visit, s->arg);
    }
    return true;
}

void bind_each_column(const struct expr *e, void (*visit)(void *arg, uint32_t cid), void *arg)
{
    struct each_state s = {.visit = visit, .arg = arg};
    (void)expr_walk(e, each_node, &s); /* each_node never stops it */
}

static bool not_subquery(void *arg, const struct expr *e)
{
    (void)arg;
    return !is_subquery(e);
}

bool bind_has_subquery(const struct expr *e)
{
    return !expr_walk(e, not_subquery, NULL);
}

static bool not_volatile(void *arg, const struct expr *e)
{
    (void)arg;
    return !is_subquery(e) &&
           !(e->op == EXPR_CALL && (e->u.func->flags & (FUNC_DETERMINISTIC | FUNC_STABLE)) == 0);
}

bool bind_is_volatile(const struct expr *e)
{
    return !expr_walk(e, not_volatile, NULL);
}
