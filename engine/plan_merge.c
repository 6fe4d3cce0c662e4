/* plan_merge.c - hash joins that are merge joins: both sides come in the order of the key already, so nothing has to be kept.
 * Why only there: to sort a side for it costs more than to hash the smaller one. An index that holds all that is read gives its table's rows in its order, dearer than the primary
 * key does; the planner takes it where that pays. */
#include "plan_join.h"

#include "exec_key.h"

#define COST_MERGE 1.2 /* a row of either side, in rows of a scan, as join_hash_cost */
#define COST_ENTRY 4.0 /* a row through an index that holds all of it, instead of by the primary key */

bool plan_keeps_order(const struct pnode *n)
{
    if (n->kind == PN_MERGE_JOIN || n->kind == PN_INDEX_JOIN) /* where there is more to ask, left rows without partner come behind their batch */
        return n->u.join->kind == PJ_INNER || (n->u.join->kind == PJ_LEFT && n->u.join->cond == NULL);
    return n->kind == PN_FILTER;
}

static struct pnode *scan_below(struct pnode *n)
{
    while (plan_keeps_order(n))
        n = n->child[0];
    return n->kind == PN_SCAN ? n : NULL;
}

bool plan_ascends(struct pnode *n, const uint32_t *cids, uint32_t count)
{
    uint8_t flags[PLAN_BOUND_COLUMNS_MAX] = {0};
    struct pnode *scan = scan_below(n);
    if (scan == NULL || count > PLAN_BOUND_COLUMNS_MAX || scan->u.scan->reverse)
        return false;
    bool ascends = plan_scan_ordered(scan, cids, flags, count) && !scan->u.scan->reverse;
    scan->u.scan->reverse = false;
    return ascends;
}

/* As plan_ascends, or it does so from now on, by an index; *more: what that costs. try_only: it stays as it is. */
static bool make_ascend(const struct planner *p, struct pnode *n, const uint32_t *cids, uint32_t count, bool try_only, double *more)
{
    *more = 0;
    if (plan_ascends(n, cids, count))
        return true;
    struct pscan *s = n->kind == PN_SCAN ? n->u.scan : NULL;
    if (s == NULL || s->bounded || s->index != NULL || s->as_of_expr != NULL || s->keys)
        return false;
    for (uint32_t i = 0; i < s->table->index_count; i++) {
        const struct index_def *ix = &s->table->indexes[i];
        if (ix->where != INDEX_WHOLE || !table_index_covers(s->table, ix, s->columns, s->column_count))
            continue;
        s->index = ix;
        bool ascends = plan_ascends(n, cids, count);
        s->covering = ascends && !try_only;
        if (!s->covering)
            s->index = NULL;
        *more = (COST_ENTRY - 1) * plan_table_rows(p, s->table);
        if (ascends)
            return true;
    }
    return false;
}

static bool mergeable(const struct pjoin *j, uint32_t k, const struct pnode *l, const struct pnode *r)
{
    const struct expr *a = j->left_keys[k], *b = j->right_keys[k];
    return a->op == EXPR_COLUMN && b->op == EXPR_COLUMN && j->key_flags[k] == 0 && a->type == b->type && a->type != VALUE_NULL && a->type != VEC_MIXED &&
           l->cids[a->u.column] != BIND_NONE && r->cids[b->u.column] != BIND_NONE;
}

static void swap_keys(struct pjoin *j, uint32_t a, uint32_t b)
{
    struct expr *l = j->left_keys[a], *r = j->right_keys[a];
    j->left_keys[a] = j->left_keys[b];
    j->right_keys[a] = j->right_keys[b];
    j->left_keys[b] = l;
    j->right_keys[b] = r;
}

/* The keys in the order in which the left side ascends by them. */
static bool order_keys(const struct planner *p, struct pjoin *j, struct pnode *l, uint32_t *cids)
{
    double more;
    for (uint32_t k = 0; k < j->key_count; k++) {
        bool found = false;
        for (uint32_t at = k; at < j->key_count && !found; at++) {
            cids[k] = l->cids[j->left_keys[at]->u.column];
            found = make_ascend(p, l, cids, k + 1, true, &more);
            if (found)
                swap_keys(j, k, at);
        }
        if (!found)
            return false;
    }
    return true;
}

void plan_merge_join(const struct planner *p, struct pnode *join)
{
    struct pjoin *j = join->u.join;
    struct pnode *l = join->child[0], *r = join->child[1];
    uint32_t left[PLAN_SEMI_KEYS_MAX], right[PLAN_SEMI_KEYS_MAX];
    double left_more, right_more;
    if (join->kind != PN_HASH_JOIN || j->kind > PJ_LEFT || j->key_count == 0 || j->key_count > PLAN_SEMI_KEYS_MAX)
        return;
    for (uint32_t k = 0; k < j->key_count; k++)
        if (!mergeable(j, k, l, r))
            return;
    if (l->rows * COST_MERGE + r->rows * COST_MERGE >= join_hash_cost(l->rows, r->rows) || !order_keys(p, j, l, left))
        return;
    for (uint32_t k = 0; k < j->key_count; k++)
        right[k] = r->cids[j->right_keys[k]->u.column];
    if (!make_ascend(p, l, left, j->key_count, true, &left_more) || !make_ascend(p, r, right, j->key_count, true, &right_more) ||
        (l->rows + r->rows) * COST_MERGE + left_more + right_more >= join_hash_cost(l->rows, r->rows))
        return;
    (void)make_ascend(p, l, left, j->key_count, false, &left_more); /* it was tried */
    (void)make_ascend(p, r, right, j->key_count, false, &right_more);
    join->kind = PN_MERGE_JOIN;
}
