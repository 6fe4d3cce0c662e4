/* plan_index.c - indexes on expressions and partial ones: what in a query is an index's expression, and which conditions make sure that a row is in an index.
 * Why only by looking at the conditions one by one: proving more is a search, and what users write in the WHERE of an index they write in the query too.
 * Not here: which index is the best (plan_access.c). */
#include "plan.h"

#include "derived.h"
#include "types.h"

bool plan_is_index_expr(const struct bsource *src, const struct expr *e, uint32_t *column)
{
    const struct table_def *t = src->table;
    for (uint32_t i = 0; i < t->derived_count; i++) {
        const struct derived_def *d = &t->derived[i];
        if (d->column < t->visible_count || d->expr == NULL || !expr_equal_from(d->expr, e, src->first_cid))
            continue;
        *column = d->column;
        return true;
    }
    return false;
}

/* Is the condition never true where `x` (over the table's columns) is NULL? */
static bool refuses_null(const struct expr *q, const struct expr *x, uint32_t first_cid)
{
    bool negated = (q->flags & EXPR_NEGATED) != 0, refuses = false;
    switch (q->op) {
    case EXPR_EQ: case EXPR_NE: case EXPR_LT: case EXPR_LE: case EXPR_GT: case EXPR_GE:
        for (int side = 0; side < 2 && !negated; side++)
            refuses |= expr_equal_from(x, q->args[side], first_cid);
        return refuses;
    case EXPR_IN:
        return !negated && q->arg_count > 1 && expr_equal_from(x, q->args[0], first_cid);
    case EXPR_BETWEEN: case EXPR_LIKE: case EXPR_GLOB:
        return expr_equal_from(x, q->args[0], first_cid);
    default:
        return false;
    }
}

/* x op constant: the sides in that order, op turned round if need be. */
static bool to_constant(const struct expr *e, const struct expr **x, const struct value **v, enum expr_op *op)
{
    static const uint8_t turned[] = {[EXPR_EQ] = EXPR_EQ, [EXPR_NE] = EXPR_NE, [EXPR_LT] = EXPR_GT, [EXPR_LE] = EXPR_GE, [EXPR_GT] = EXPR_LT, [EXPR_GE] = EXPR_LE};
    if (e->op < EXPR_EQ || e->op > EXPR_GE || (e->flags & (EXPR_NEGATED | EXPR_NOCASE)) != 0)
        return false;
    uint32_t side = e->args[1]->op == EXPR_CONST ? 1 : 0;
    if (e->args[side]->op != EXPR_CONST || e->args[side]->u.value.type == VALUE_NULL)
        return false;
    *x = e->args[1 - side];
    *v = &e->args[side]->u.value;
    *op = side == 1 ? e->op : turned[e->op];
    return true;
}

static bool is_number(uint8_t type)
{
    return type == VALUE_INTEGER || type == VALUE_REAL || type == VALUE_DECIMAL;
}

/* Does x == v, x < v ... (how) make x op limit true? Comparing constants of one sort is comparing by value. */
static bool constant_implies(enum expr_op how, const struct value *v, enum expr_op op, const struct value *limit)
{
    if (v->type != limit->type && !(is_number(v->type) && is_number(limit->type)))
        return false;
    int c = value_cmp(v, limit);
    bool eq = how == EXPR_EQ, up = how == EXPR_GT || how == EXPR_GE, down = how == EXPR_LT || how == EXPR_LE;
    switch (op) {
    case EXPR_EQ: return eq && c == 0;
    case EXPR_NE: return (eq && c != 0) || (how == EXPR_NE && c == 0) || (up && (c > 0 || (c == 0 && how == EXPR_GT))) || (down && (c < 0 || (c == 0 && how == EXPR_LT)));
    case EXPR_GT: return (eq && c > 0) || (up && (c > 0 || (c == 0 && how == EXPR_GT)));
    case EXPR_GE: return (eq || up) && c >= 0;
    case EXPR_LT: return (eq && c < 0) || (down && (c < 0 || (c == 0 && how == EXPR_LT)));
    case EXPR_LE: return (eq || down) && c <= 0;
    default: return false;
    }
}

/* `p` is a condition of the index, over the table's columns; `q` one of the query. */
static bool implies(const struct expr *q, const struct expr *p, uint32_t first_cid)
{
    const struct expr *px, *qx;
    const struct value *pv, *qv;
    enum expr_op pop, qop;
    if (expr_equal_from(p, q, first_cid))
        return true;
    if (p->op == EXPR_NOT_NULL && (p->flags & EXPR_NEGATED) == 0)
        return refuses_null(q, p->args[0], first_cid);
    if (p->op == EXPR_OR && (p->flags & EXPR_NEGATED) == 0) {
        bool any = false;
        for (uint32_t i = 0; i < p->arg_count && !any; i++)
            any = implies(q, p->args[i], first_cid);
        return any;
    }
    if (!to_constant(p, &px, &pv, &pop))
        return false;
    if (to_constant(q, &qx, &qv, &qop))
        return expr_equal_from(px, qx, first_cid) && constant_implies(qop, qv, pop, pv);
    if ((q->flags & (EXPR_NEGATED | EXPR_NOCASE)) != 0 || (q->op != EXPR_BETWEEN && q->op != EXPR_IN) || q->arg_count < 2 || !expr_equal_from(px, q->args[0], first_cid))
        return false;
    bool all = true, any = false;
    for (uint32_t i = 1; i < q->arg_count; i++) {
        bool constant = q->args[i]->op == EXPR_CONST && q->args[i]->u.value.type != VALUE_NULL;
        enum expr_op how = q->op == EXPR_IN ? EXPR_EQ : i == 1 ? EXPR_GE : EXPR_LE;
        bool one = constant && constant_implies(how, &q->args[i]->u.value, pop, pv);
        all &= one;
        any |= one;
    }
    return q->op == EXPR_IN ? all : any;
}

bool plan_index_serves(const struct bsource *src, const struct index_def *ix, struct conj **conjs, uint32_t conj_count)
{
    const struct derived_def *d = ix->where == INDEX_WHOLE ? NULL : derived_of(src->table, ix->where);
    if (ix->where == INDEX_WHOLE)
        return true;
    if (d == NULL || d->expr == NULL)
        return false;
    bool is_and = d->expr->op == EXPR_AND && (d->expr->flags & EXPR_NEGATED) == 0, serves = true;
    uint32_t n = is_and ? d->expr->arg_count : 1;
    for (uint32_t i = 0; i < n && serves; i++) {
        const struct expr *part = is_and ? d->expr->args[i] : d->expr;
        serves = false;
        for (uint32_t k = 0; k < conj_count && !serves; k++)
            serves = implies(conjs[k]->e, part, src->first_cid);
    }
    return serves;
}

double plan_index_share(const struct planner *p, const struct bsource *src, const struct index_def *ix)
{
    const struct derived_def *d = ix->where == INDEX_WHOLE ? NULL : derived_of(src->table, ix->where);
    struct bsource own = *src;
    own.first_cid = 0; /* its columns are the table's by position */
    return d == NULL || d->expr == NULL ? 1 : plan_share(p, &own, d->expr);
}
