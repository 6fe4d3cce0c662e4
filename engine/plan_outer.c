/* plan_outer.c - LEFT, RIGHT and FULL JOIN. They are not reordered: each is a unit of the FROM around it whose two sides are
 * planned on their own. One whose filled-up rows a condition drops anyway is planned as a plain join. */
#include "plan_join.h"

#include <string.h>

/* Is it false or NULL whenever the columns in `cids` are NULL? Then an outer join below it need not
 * fill up. */
static bool rejects_nulls(const struct expr *e, const uint64_t *cids)
{
    uint32_t sides;
    if ((e->op >= EXPR_EQ && e->op <= EXPR_GE))
        sides = 2;
    else if (e->op == EXPR_BETWEEN || e->op == EXPR_IN || e->op == EXPR_LIKE ||
             e->op == EXPR_NOT_NULL)
        sides = (e->flags & EXPR_NEGATED) != 0 && e->op == EXPR_IN ? 0 : 1;
    else
        return false;
    for (uint32_t i = 0; i < sides && i < e->arg_count; i++) {
        const struct expr *x = e->args[i];
        while (x->op == EXPR_AFFINITY || x->op == EXPR_NEG || x->op == EXPR_POS)
            x = x->args[0];
        if (x->op == EXPR_COLUMN && cid_set_has(cids, x->u.column))
            return true;
    }
    return false;
}

static quartet_status list_of(struct planner *p, struct conj **conjs, uint32_t n,
                              const uint64_t *within, struct expr ***in, uint32_t *in_count,
                              struct expr ***rest, uint32_t *rest_count, struct err *err)
{
    *in = arena_zalloc(p->a, n + 1, sizeof(struct expr *));
    *rest = arena_zalloc(p->a, n + 1, sizeof(struct expr *));
    *in_count = *rest_count = 0;
    if (*in == NULL || *rest == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < n; i++) {
        if (within != NULL && subset(p, conjs[i]->refs, within))
            (*in)[(*in_count)++] = conjs[i]->e;
        else
            (*rest)[(*rest_count)++] = conjs[i]->e;
        conjs[i]->placed = true;
    }
    return QUARTET_OK;
}

static quartet_status outer_right(struct planner *p, uint8_t kind, struct bsource *right,
                                  const struct side *l, struct side *r, struct expr **on,
                                  uint32_t on_count, const uint64_t *need, const uint64_t *below,
                                  struct pnode **out, struct err *err)
{
    struct expr **own, **rest;
    uint32_t own_count = 0, rest_count = 0;
    struct jplan tmp = {.p = p};
    for (uint32_t i = 0; i < on_count; i++) {
        quartet_status rc = jplan_add_conj(&tmp, on[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    struct conj **list = arena_zalloc(p->a, on_count + 1, sizeof(struct conj *));
    if (list == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < on_count; i++)
        list[i] = &tmp.conjs[i];
    quartet_status rc = QUARTET_OK;
    if (kind == PJ_LEFT) {
        rc = index_join(p, PJ_LEFT, l, right, list, on_count, need, out, err);
        if (rc != QUARTET_OK || *out != NULL)
            return rc;
    }
    struct unit u = {.src = right};
    uint64_t *all = cid_set_new(p);
    if (all == NULL)
        return arena_fail(p->a, err);
    unite(p, all, l->cids);
    struct jplan j = {.p = p};
    rc = jplan_lateral_refs(&j, &u, all, err);
    bool lateral = u.lateral != NULL && !is_empty(p, u.lateral);
    if (rc == QUARTET_OK)
        rc = list_of(p, list, on_count, kind == PJ_LEFT && !lateral ? r->cids : NULL, &own,
                     &own_count, &rest, &rest_count, err);
    if (rc == QUARTET_OK)
        rc = plan_from(p, right, own, own_count, below, &r->node, err);
    if (rc != QUARTET_OK)
        return rc;
    if (lateral)
        return apply_nodes(p, kind, l, r, right->query, rest, rest_count, need, out, err);
    double fewer = l->node->rows < r->node->rows ? l->node->rows : r->node->rows; /* as if their key */
    return join_nodes(p, kind, l, r, rest, rest_count, 1 / fewer, need, out, err);
}

quartet_status plan_outer(struct planner *p, struct bsource *src, struct conj **conjs,
                                 uint32_t n, const uint64_t *need, struct pnode **out,
                                 struct err *err)
{
    struct bsource *ls = src->join == JOIN_RIGHT ? src->right : src->left,
                   *rs = src->join == JOIN_RIGHT ? src->left : src->right;
    uint64_t *lc = cid_set_new(p), *rcids = cid_set_new(p), *below = cid_set_new(p),
             *above = cid_set_new(p);
    struct expr **own, **rest;
    uint32_t own_count, rest_count;
    if (lc == NULL || rcids == NULL || below == NULL || above == NULL)
        return arena_fail(p->a, err);
    source_cids(ls, lc);
    source_cids(rs, rcids);
    for (uint32_t i = 0; src->join != JOIN_FULL && i < n; i++) {
        if (!rejects_nulls(conjs[i]->e, rcids))
            continue;
        struct bsource inner =
            *src; /* what is filled up would be dropped by this condition: a plain join */
        inner.join = JOIN_INNER;
        struct expr **list = arena_zalloc(p->a, n, sizeof(struct expr *));
        struct bsource *copy = arena_dup(p->a, &inner, sizeof inner);
        if (list == NULL || copy == NULL)
            return arena_fail(p->a, err);
        for (uint32_t k = 0; k < n; k++) {
            list[k] = conjs[k]->e;
            conjs[k]->placed = true;
        }
        return plan_from(p, copy, list, n, need, out, err);
    }
    quartet_status rc = list_of(p, conjs, n, src->join == JOIN_FULL ? NULL : lc, &own, &own_count,
                                &rest, &rest_count, err);
    if (rc != QUARTET_OK)
        return rc;
    memcpy(above, need, p->words * sizeof *above);
    for (uint32_t i = 0; i < rest_count; i++)
        cid_set_add_expr(p, above, rest[i]);
    memcpy(below, above, p->words * sizeof *below);
    for (uint32_t i = 0; i < src->on_count; i++)
        cid_set_add_expr(p, below, src->on[i]);
    if (rs->kind == SRC_QUERY && rs->lateral) {
        for (uint32_t i = 0; i < rs->query->dep_count; i++)
            cid_set_add_expr(p, below, p->b.slots[rs->query->deps[i]].expr);
    }
    struct side l = {.cids = lc}, r = {.cids = rcids};
    struct pnode *node;
    rc = plan_from(p, ls, own, own_count, below, &l.node, err);
    if (rc == QUARTET_OK)
        rc = outer_right(p, src->join == JOIN_FULL ? PJ_FULL : PJ_LEFT, rs, &l, &r, src->on,
                         src->on_count, above, below, &node, err);
    return rc != QUARTET_OK ? rc : plan_filter(p, node, rest, rest_count, out, err);
}
