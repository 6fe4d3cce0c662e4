/* plan_semi.c - which scan below the left side of a hash join can drop rows that will meet no partner, before its other columns are read.
 * Why by looking at the finished plan: what the planner placed decides it, and EXPLAIN and the executor must agree. The keys of the right side are all known
 * before the first left row is asked for, so a scan that holds the left keys' columns asks them of each batch. It is a matter of speed alone: the join asks again. */
#include "plan.h"

/* Column *column of n's output as one of its (left) child's; false: it is made here, or fewer rows below would change others above. */
static bool below(const struct pnode *n, uint32_t *column)
{
    const struct expr *e = NULL;
    switch (n->kind) {
    case PN_FILTER:
        return true;
    case PN_PROJECT:
        e = n->u.project[*column];
        break;
    case PN_AGG:
        if (n->u.agg->sets != NULL || *column >= n->u.agg->group_count || n->u.agg->group_flags[*column] != 0)
            return false;
        e = n->u.agg->group[*column]; /* a group's rows go or stay together */
        break;
    case PN_HASH_JOIN:
    case PN_LOOP_JOIN:
    case PN_MERGE_JOIN:
    case PN_INDEX_JOIN:
        *column = n->u.join->out[*column];
        return n->u.join->kind != PJ_FULL && *column < n->child[0]->col_count;
    default:
        return false;
    }
    if (e->op != EXPR_COLUMN)
        return false;
    *column = e->u.column;
    return true;
}

bool plan_semi(const struct pnode *join, struct psemi *out)
{
    const struct pjoin *j = join->u.join;
    if (join->kind != PN_HASH_JOIN || (j->kind != PJ_INNER && j->kind != PJ_SEMI) || j->key_count > PLAN_SEMI_KEYS_MAX)
        return false;
    *out = (struct psemi){.count = j->key_count};
    for (uint32_t i = 0; i < j->key_count; i++) {
        if (j->left_keys[i]->op != EXPR_COLUMN)
            return false;
        out->columns[i] = j->left_keys[i]->u.column;
    }
    const struct pnode *n = join->child[0];
    for (; n != NULL && n->kind != PN_SCAN; n = n->child[0])
        for (uint32_t i = 0; i < out->count; i++)
            if (!below(n, &out->columns[i]))
                return false;
    if (n == NULL)
        return false;
    const struct pscan *s = n->u.scan;
    for (uint32_t i = 0; i < out->count; i++)
        if (out->columns[i] >= s->column_count)
            return false;
    out->scan = n;
    /* Right below, the join drops them as fast, unless there is something to be read later. */
    return join->child[0] != n || (s->index == NULL && !s->keys && s->column_count > out->count);
}
