/* plan_unnest_agg.c - (SELECT sum(y) FROM u WHERE u.a = t.a) as a column of t LEFT JOIN (SELECT a, sum(y) FROM u GROUP BY a): all answers at once.
 * Why the result's expression is computed above the join: where no row matches, the aggregates are those of no rows (count: 0, the others NULL), and
 * whatever is made of them follows. */
#include "plan_unnest.h"

#include <string.h>

#include "plan_query.h"

#define COST_GROUP 15.0 /* a row that is put into its group, in rows of a scan */

/* Is the condition an equality between a column of the subquery and something of the query around it? *inner: that column. */
static bool group_key(const struct planner *p, const struct expr *e, const uint64_t *right, struct expr **inner)
{
    *inner = NULL;
    if (e->op != EXPR_EQ || bind_is_volatile(e))
        return false;
    for (int side = 0; side < 2; side++) {
        struct expr *x = e->args[side];
        uint64_t *other = cid_set_new((struct planner *)(uintptr_t)p);
        if (other == NULL || x->op != EXPR_COLUMN || !cid_set_has(right, x->u.column))
            continue;
        cid_set_add_expr((struct planner *)(uintptr_t)p, other, e->args[1 - side]);
        bool folded = (e->flags & EXPR_NOCASE) != 0;
        if (overlap(p, other, right) || folded != ((x->flags & EXPR_NOCASE_VALUE) != 0))
            continue;
        *inner = x;
        return true;
    }
    return false;
}

/* What the aggregate is of no rows: *zero, or else NULL. False: something else. */
static bool of_nothing(const struct bagg *g, bool *zero)
{
    *zero = g->spec.func->code == AGG_COUNT_STAR || g->spec.func->code == AGG_COUNT;
    return *zero || g->spec.func->code == AGG_SUM || g->spec.func->code == AGG_AVG || g->spec.func->code == AGG_MIN || g->spec.func->code == AGG_MAX;
}

/* Can its answers be computed by group? keys: of the groups. */
static bool can_group(struct planner *p, const struct apart *a, const uint64_t *right, struct expr **keys)
{
    const struct bquery *q = a->q;
    bool zero;
    if (!q->aggregated || q->group_count > 0 || q->set_count > 0 || q->having_count > 0 || q->bare_count > 0 || q->distinct || q->out_count != 1 ||
        a->both_count == 0 || apart_names_outer(p, a, q->outs[0]) || bind_has_subquery(q->outs[0]))
        return false;
    for (uint32_t i = 0; i < q->agg_count; i++) {
        const struct bagg *g = &q->aggs[i];
        if (!of_nothing(g, &zero) || g->order_count > 0 || apart_names_outer(p, a, g->filter))
            return false;
        for (uint32_t k = 0; k < g->spec.arg_count; k++)
            if (apart_names_outer(p, a, g->args[k]))
                return false;
    }
    for (uint32_t i = 0; i < a->both_count; i++)
        if (!group_key(p, a->both[i], right, &keys[i]))
            return false;
    return true;
}

struct answer {
    struct planner *p;
    const struct bquery *q;
    const struct expr *node; /* which is replaced */
    struct expr *with;
};

static quartet_status zero_map(void *arg, const struct expr *e, struct expr **out, struct err *err)
{
    const struct answer *w = arg;
    struct value none = value_int(0);
    for (uint32_t i = 0; e->op == EXPR_COLUMN && i < w->q->agg_count; i++) {
        struct expr *args[2];
        bool zero = false;
        if (w->q->aggs[i].cid != e->u.column || !of_nothing(&w->q->aggs[i], &zero) || !zero)
            continue;
        quartet_status rc = expr_copy(w->p->a, e, NULL, NULL, &args[0], err);
        if (rc == QUARTET_OK)
            rc = expr_const(w->p->a, &none, &args[1], err);
        return rc != QUARTET_OK ? rc : expr_nary(w->p->a, EXPR_COALESCE, 0, args, 2, -1, out, err);
    }
    return QUARTET_OK;
}

static quartet_status answer_map(void *arg, const struct expr *e, struct expr **out, struct err *err)
{
    const struct answer *w = arg;
    (void)err;
    if (e->op == EXPR_SUBQUERY && ((const struct bsub *)e->u.subquery)->plan_index == ((const struct bsub *)w->node->u.subquery)->plan_index)
        *out = w->with; /* copies of a subquery share that, and nothing else */
    return QUARTET_OK;
}

/* The groups of the subquery: a node with the keys' columns and the aggregates. */
static quartet_status groups_node(struct planner *p, const struct apart *a, struct expr **keys, struct pnode **out, struct err *err)
{
    struct bquery grouped = *a->q;
    uint64_t *below = cid_set_new(p);
    uint32_t *cids = arena_zalloc(p->a, a->both_count + 1, sizeof *cids);
    struct expr **group = arena_zalloc(p->a, a->both_count + 1, sizeof(struct expr *));
    struct pnode *in;
    if (below == NULL || cids == NULL || group == NULL)
        return arena_fail(p->a, err);
    grouped.group = group;
    grouped.group_cids = cids;
    for (uint32_t i = 0; i < a->both_count; i++) {
        bool known = false;
        for (uint32_t k = 0; k < grouped.group_count; k++)
            known |= cids[k] == keys[i]->u.column;
        if (known)
            continue;
        group[grouped.group_count] = keys[i];
        cids[grouped.group_count++] = keys[i]->u.column; /* which nothing else names above */
        cid_set_add(below, keys[i]->u.column);
    }
    for (uint32_t i = 0; i < grouped.agg_count; i++) {
        for (uint32_t k = 0; k < grouped.aggs[i].spec.arg_count; k++)
            cid_set_add_expr(p, below, grouped.aggs[i].args[k]);
        if (grouped.aggs[i].filter != NULL)
            cid_set_add_expr(p, below, grouped.aggs[i].filter);
    }
    quartet_status rc = plan_from(p, grouped.from, a->own, a->own_count, below, &in, err);
    return rc != QUARTET_OK ? rc : plan_agg(p, &grouped, in, out, err);
}

/* One subquery of *e; *done: it is a column now. */
static quartet_status unnest_scalar(struct planner *p, const struct expr *node, struct expr **e, const uint64_t *need, struct pnode **io, struct err *err)
{
    struct apart a;
    bool ok;
    struct side l = {.node = *io}, r = {0};
    uint64_t *left = cid_set_new(p), *right = cid_set_new(p), *above = cid_set_new(p);
    struct pnode *joined;
    quartet_status rc = apart_make(p, node->u.subquery, &a, &ok, err);
    if (rc != QUARTET_OK || !ok)
        return rc;
    struct expr **keys = arena_zalloc(p->a, a.both_count + 1, sizeof(struct expr *));
    if (left == NULL || right == NULL || above == NULL || keys == NULL)
        return arena_fail(p->a, err);
    source_cids(a.q->from, right);
    if (!can_group(p, &a, right, keys))
        return QUARTET_OK;
    rc = groups_node(p, &a, keys, &r.node, err);
    if (rc == QUARTET_OK)
        rc = apart_pays(p, a.q, (*io)->rows, unnest_cost(p, r.node->child[0]) + r.node->child[0]->rows * COST_GROUP, &ok, err);
    if (rc != QUARTET_OK || !ok)
        return rc;
    memcpy(above, need, p->words * sizeof *above);
    for (uint32_t i = 0; i < (*io)->col_count; i++) {
        if ((*io)->cids[i] == BIND_NONE)
            continue;
        cid_set_add(left, (*io)->cids[i]);
        cid_set_add(above, (*io)->cids[i]);
    }
    memset(right, 0, p->words * sizeof *right);
    for (uint32_t i = 0; i < r.node->col_count; i++)
        cid_set_add(right, r.node->cids[i]);
    for (uint32_t i = 0; i < a.q->agg_count; i++)
        cid_set_add(above, a.q->aggs[i].cid);
    l.cids = left;
    r.cids = right;
    double rows = (*io)->rows;
    rc = join_nodes(p, PJ_LEFT, &l, &r, a.both, a.both_count, 1, above, &joined, err);
    if (rc != QUARTET_OK || joined->kind != PN_HASH_JOIN)
        return rc;
    joined->rows = rows; /* one group at most for each */
    struct answer w = {.p = p, .q = a.q, .node = node};
    rc = bind_map(p->a, a.q->outs[0], zero_map, &w, &w.with, err);
    if (rc == QUARTET_OK)
        rc = bind_map(p->a, *e, answer_map, &w, e, err);
    *io = joined;
    return rc;
}

struct scalars {
    const struct expr *found[8];
    uint32_t n;
};

static bool collect_scalar(void *arg, const struct expr *e)
{
    struct scalars *s = arg;
    const struct bsub *sub = e->op == EXPR_SUBQUERY ? e->u.subquery : NULL;
    if (sub != NULL && sub->set_count > 0 && s->n < sizeof s->found / sizeof s->found[0])
        s->found[s->n++] = e;
    return true;
}

quartet_status unnest_scalars(struct planner *p, struct expr **e, const uint64_t *need, struct pnode **io, struct err *err)
{
    struct scalars s = {.n = 0};
    (void)expr_walk(*e, collect_scalar, &s); /* it never stops */
    for (uint32_t i = 0; i < s.n; i++) {
        quartet_status rc = unnest_scalar(p, s.found[i], e, need, io, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}
