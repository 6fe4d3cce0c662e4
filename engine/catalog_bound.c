/* catalog_bound.c - a CHECK over a COUNTER, read as a bound.
 * Why only bounds: each node changes a COUNTER without knowing of the others' changes. What such changes can keep together is a distance from a constant, of which
 *   each node holds a share (share.c); n % 2 = 0 or n < m they cannot.
 * Not here: the CHECK as an expression, which statements evaluate too (catalog_table.c). */
#include <string.h>

#include "catalog_internal.h"
#include "types.h"

#define BOUND_DIGITS_MAX 36u /* so that the difference of any two sums fits 128 bits with room to spare */

static quartet_status refused(struct build *b, const struct column_def *c, const struct ast_expr *e)
{
    return err_set_at(b->err, QUARTET_ERROR, e->offset,
                      "a CHECK over the COUNTER column %s can only be a bound, %s >= a constant or %s <= a constant, or both with AND: nodes that write at the same time "
                      "can keep nothing else",
                      c->name, c->name, c->name);
}

static bool is_column(const struct column_def *c, const struct ast_expr *e)
{
    return e->kind == AST_EXPR_COLUMN && name_cmp(e->u.column->name.text, c->name) == 0;
}

/* A number as written, at the column's scale. */
static quartet_status constant(struct build *b, const struct column_def *c, const struct ast_expr *e, __int128 *out)
{
    const struct ast_expr *at = e;
    bool negated = false;
    for (; at->kind == AST_EXPR_UNARY && (at->op == AST_OP_NEG || at->op == AST_OP_POS); at = at->u.binary.left)
        negated ^= at->op == AST_OP_NEG;
    struct value v;
    if (at->kind == AST_EXPR_INTEGER)
        v = value_int(at->u.integer);
    else if (at->kind == AST_EXPR_REAL)
        v = value_text(at->u.real.text, strlen(at->u.real.text)); /* exactly as written */
    else
        return refused(b, c, e);
    struct type_decl decl = {.type = c->type, .precision = c->precision, .scale = c->scale};
    struct row_column as = {.kind = ROW_COUNTER, .scale = c->type == VALUE_DECIMAL ? c->scale : 0, .is_decimal = c->type == VALUE_DECIMAL};
    quartet_status rc = types_convert(&decl, c->name, &v, b->a, b->err);
    if (rc != QUARTET_OK) {
        err_prefix(b->err, "the bound of a COUNTER must be a value that the column can have");
        return rc == QUARTET_MISMATCH ? b->err->code = QUARTET_ERROR : rc;
    }
    __int128 n = row_counter_number(&as, &v);
    *out = negated ? -n : n;
    return QUARTET_OK;
}

static quartet_status bound_side(struct build *b, struct column_def *c, const struct ast_expr *at, enum bounded_side side, __int128 k)
{
    if (c->bound.has[side])
        return err_set_at(b->err, QUARTET_ERROR, at->offset, "the COUNTER column %s has two %s bounds: one CHECK on each side is enough", c->name,
                          side == BOUNDED_MIN ? "lower" : "upper");
    c->bound.has[side] = true;
    c->bound.at[side] = dec_make(k);
    return QUARTET_OK;
}

/* n op k, or k op n. */
static quartet_status comparison(struct build *b, struct column_def *c, const struct ast_expr *e)
{
    bool left = is_column(c, e->u.binary.left);
    if (!left && !is_column(c, e->u.binary.right))
        return refused(b, c, e);
    bool above = e->op == AST_OP_GE || e->op == AST_OP_GT; /* the left side is the greater one */
    bool strict = e->op == AST_OP_LT || e->op == AST_OP_GT;
    enum bounded_side side = above == left ? BOUNDED_MIN : BOUNDED_MAX;
    __int128 k = 0;
    quartet_status rc = constant(b, c, left ? e->u.binary.right : e->u.binary.left, &k);
    if (strict)
        k += side == BOUNDED_MIN ? 1 : -1; /* of the last place */
    return rc == QUARTET_OK ? bound_side(b, c, e, side, k) : rc;
}

static quartet_status one(struct build *b, struct column_def *c, const struct ast_expr *e)
{
    __int128 k = 0;
    if (e->kind == AST_EXPR_BINARY && e->op >= AST_OP_LT && e->op <= AST_OP_GE)
        return comparison(b, c, e);
    if (e->kind != AST_EXPR_BETWEEN || (e->flags & (AST_NEGATED | AST_SYMMETRIC)) != 0 || !is_column(c, e->u.between->value))
        return refused(b, c, e);
    quartet_status rc = constant(b, c, e->u.between->low, &k);
    if (rc == QUARTET_OK)
        rc = bound_side(b, c, e, BOUNDED_MIN, k);
    if (rc == QUARTET_OK)
        rc = constant(b, c, e->u.between->high, &k);
    return rc == QUARTET_OK ? bound_side(b, c, e, BOUNDED_MAX, k) : rc;
}

quartet_status build_bound(struct build *b, struct column_def *c, const struct ast_expr *check)
{
    quartet_status rc = QUARTET_OK;
    if (c->type == VALUE_DECIMAL && c->precision > BOUND_DIGITS_MAX)
        return err_set_at(b->err, QUARTET_LIMIT, check->offset, "column %s: a COUNTER with a bound has at most %u digits", c->name, BOUND_DIGITS_MAX);
    if (check->kind != AST_EXPR_AND) {
        rc = one(b, c, check);
    } else {
        for (uint32_t i = 0; i < check->u.list.count && rc == QUARTET_OK; i++)
            rc = one(b, c, check->u.list.item[i]);
    }
    if (rc == QUARTET_OK && c->bound.has[BOUNDED_MIN] && c->bound.has[BOUNDED_MAX] && dec_get(c->bound.at[BOUNDED_MIN]) > dec_get(c->bound.at[BOUNDED_MAX]))
        rc = err_set_at(b->err, QUARTET_ERROR, check->offset, "no value of the COUNTER column %s is within its bounds", c->name);
    b->t->bounded |= rc == QUARTET_OK;
    return rc;
}
