/* plan_cost.c - how many rows a condition leaves, by what stats.h knows of the table, or by the customary guesses (Selinger et al. 1979) where nothing is known.
 * Estimates steer the choice of a plan and never its results. */
#include "plan.h"

#include "stats.h"

#define SHARE_LIKE    0.1
#define SHARE_MIN     1e-7

double plan_table_rows(const struct planner *p, const struct table_def *t)
{
    double rows;
    return stats_rows(p->d, t, &rows) ? rows : PLAN_TABLE_ROWS;
}

double plan_column_values(const struct planner *p, const struct table_def *t, uint32_t column)
{
    struct column_stats c;
    return stats_column(p->d, t, column, &c) ? c.distinct : plan_table_rows(p, t) * SHARE_EQUAL + 1;
}

double plan_equal_share(const struct planner *p, const struct table_def *t, uint32_t column)
{
    struct column_stats c;
    return stats_column(p->d, t, column, &c) ? (1 - c.null_share) / c.distinct : SHARE_EQUAL;
}

static bool const_place(const struct column_stats *c, const struct expr *e, double *out)
{
    while (e->op == EXPR_AFFINITY || e->op == EXPR_POS)
        e = e->args[0];
    if (e->op == EXPR_NEG && !c->texts && const_place(c, e->args[0], out)) {
        *out = -*out;
        return true;
    }
    return e->op == EXPR_CONST && stats_place(c, &e->u.value, out);
}

static bool is_const(const struct expr *e)
{
    while (e->op == EXPR_AFFINITY || e->op == EXPR_POS || e->op == EXPR_NEG)
        e = e->args[0];
    return e->op == EXPR_CONST;
}

double plan_between_share(const struct planner *p, const struct table_def *t, uint32_t column, const struct expr *lo, const struct expr *hi)
{
    struct column_stats c;
    double from, to, guess = lo != NULL && hi != NULL ? SHARE_INTERVAL : SHARE_HALF;
    bool consts = (lo == NULL || is_const(lo)) && (hi == NULL || is_const(hi));
    if (!consts || !stats_column(p->d, t, column, &c) || !c.ranged || (c.texts && t->columns[column].nocase))
        return guess;
    if ((lo != NULL && !const_place(&c, lo, &from)) || (hi != NULL && !const_place(&c, hi, &to)))
        return guess;
    from = lo == NULL || from < c.lo ? c.lo : from;
    to = hi == NULL || to > c.hi ? c.hi : to;
    if (from > to)
        return SHARE_MIN;
    double share = c.hi > c.lo ? (to - from) / (c.hi - c.lo) : 1, one = 1 / c.distinct;
    return (share < one ? one : share) * (1 - c.null_share);
}

static bool column_at(const struct bsource *src, const struct expr *e, uint32_t *column)
{
    while (e->op == EXPR_AFFINITY)
        e = e->args[0];
    if (src->kind != SRC_TABLE || e->op != EXPR_COLUMN || e->u.column < src->first_cid || e->u.column >= src->first_cid + src->count)
        return false;
    *column = e->u.column - src->first_cid;
    return true;
}

static double compare_share(const struct planner *p, const struct bsource *src, const struct expr *e)
{
    uint32_t column, side = 0;
    while (side < 2 && !column_at(src, e->args[side], &column))
        side++;
    if (side == 2)
        return e->op == EXPR_EQ ? SHARE_EQUAL : SHARE_HALF;
    if (e->op == EXPR_EQ)
        return plan_equal_share(p, src->table, column);
    if (e->op == EXPR_NE)
        return 1 - plan_equal_share(p, src->table, column);
    bool upper = (e->op == EXPR_LT || e->op == EXPR_LE) == (side == 0);
    const struct expr *other = e->args[1 - side];
    return plan_between_share(p, src->table, column, upper ? NULL : other, upper ? other : NULL);
}

static double list_share(const struct planner *p, const struct bsource *src, const struct expr *e)
{
    double share = e->op == EXPR_AND ? 1 : 0;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        double one = plan_share(p, src, e->args[i]);
        share = e->op == EXPR_AND ? share * one : share + one * (1 - share);
    }
    return share;
}

double plan_share(const struct planner *p, const struct bsource *src, const struct expr *e)
{
    struct column_stats c;
    uint32_t column = 0;
    double share = SHARE_HALF;
    switch (e->op) {
    case EXPR_EQ:
    case EXPR_NE:
    case EXPR_LT:
    case EXPR_LE:
    case EXPR_GT:
    case EXPR_GE:
        share = compare_share(p, src, e);
        break;
    case EXPR_BETWEEN:
        if (column_at(src, e->args[0], &column))
            share = plan_between_share(p, src->table, column, e->args[1], e->args[2]);
        break;
    case EXPR_IN:
        share = column_at(src, e->args[0], &column) ? plan_equal_share(p, src->table, column) : SHARE_EQUAL;
        share *= e->arg_count - 1;
        break;
    case EXPR_IS_NULL:
    case EXPR_NOT_NULL:
        if (column_at(src, e->args[0], &column) && stats_column(p->d, src->table, column, &c))
            share = e->op == EXPR_IS_NULL ? c.null_share : 1 - c.null_share;
        else
            share = e->op == EXPR_IS_NULL ? SHARE_BETWEEN : 1 - SHARE_BETWEEN;
        break;
    case EXPR_LIKE:
        share = SHARE_LIKE;
        break;
    case EXPR_AND:
    case EXPR_OR:
        share = list_share(p, src, e);
        break;
    case EXPR_NOT:
        share = 1 - plan_share(p, src, e->args[0]);
        break;
    default:
        break;
    }
    if (share > 1)
        share = 1;
    if ((e->flags & EXPR_NEGATED) != 0)
        share = 1 - share;
    return share < SHARE_MIN ? SHARE_MIN : share;
}

/* Is e a bound of a column of src? *lo: from below. */
static bool bound_of(const struct bsource *src, const struct expr *e, uint32_t *column, bool *lo, const struct expr **to)
{
    if (e->op != EXPR_LT && e->op != EXPR_LE && e->op != EXPR_GT && e->op != EXPR_GE)
        return false;
    uint32_t side = column_at(src, e->args[0], column) ? 0 : 1;
    if (side == 1 && !column_at(src, e->args[1], column))
        return false;
    *lo = (e->op == EXPR_GT || e->op == EXPR_GE) == (side == 0);
    *to = e->args[1 - side];
    return true;
}

double plan_shares(const struct planner *p, const struct bsource *src, struct expr *const *list, uint32_t n)
{
    double share = 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t column = 0, other = 0;
        bool lo = false, other_lo = false, paired = false, second = false;
        const struct expr *to = NULL, *other_to = NULL;
        for (uint32_t k = 0; k < n && bound_of(src, list[i], &column, &lo, &to); k++) {
            if (k == i || !bound_of(src, list[k], &other, &other_lo, &other_to) || other != column || other_lo == lo)
                continue;
            paired = true; /* from here to there: the two are anything but independent */
            second = k < i;
            break;
        }
        if (!paired)
            share *= plan_share(p, src, list[i]);
        else if (!second)
            share *= plan_between_share(p, src->table, column, lo ? to : other_to, lo ? other_to : to);
    }
    return share < SHARE_MIN ? SHARE_MIN : share;
}
