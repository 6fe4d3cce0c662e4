/* plan_unnest.c - EXISTS, NOT EXISTS, IN and NOT IN of a correlated subquery as semi- and anti-joins by hash; scalar aggregates are plan_unnest_agg.c's.
 * Why only above the FROM and only where it pays: a few rows are asked sooner by looking up what belongs to each, which the subquery does as it stands.
 * Invariants: a slot of the query around the subquery is set by nobody once the subquery is a join, so none may be left: what names it outside of the
 *   subquery's plain conditions keeps it a subquery. Slots of queries farther out stay parameters. */
#include "plan_unnest.h"

#include <string.h>

#define COST_RUN   100.0 /* to start a subquery once more, in rows of a scan */
#define COST_FETCH 30.0  /* a row by its key */
#define COST_KEEP  15.0  /* a row that is put into a hash table */
#define COST_PROBE 5.0

/* ---- what names the query around ---- */

struct outer_names {
    const struct planner *p;
    const struct bsub *sub;
};

static bool sets_param(const struct bsub *sub, uint32_t param)
{
    for (uint32_t i = 0; i < sub->set_count; i++)
        if (sub->set_params[i] == param)
            return true;
    return false;
}

static bool query_names(const struct outer_names *o, const struct bquery *q)
{
    for (uint32_t i = 0; i < q->dep_count; i++)
        if (sets_param(o->sub, o->p->b.slots[q->deps[i]].param))
            return true;
    return false;
}

static bool names_none(void *arg, const struct expr *e)
{
    const struct outer_names *o = arg;
    if (e->op == EXPR_PARAM)
        return !sets_param(o->sub, e->u.param);
    if (e->op != EXPR_SUBQUERY && e->op != EXPR_EXISTS && e->op != EXPR_IN_QUERY)
        return true;
    return !query_names(o, ((const struct bsub *)e->u.subquery)->query);
}

static bool nested_names_none(void *arg, const struct expr *e)
{
    return e->op == EXPR_PARAM || names_none(arg, e);
}

bool apart_names_outer(const struct planner *p, const struct apart *a, const struct expr *e)
{
    struct outer_names o = {.p = p, .sub = a->sub};
    return e != NULL && !expr_walk(e, names_none, &o);
}

/* Does anything in the FROM name it? */
static bool from_names(const struct outer_names *o, const struct bsource *src)
{
    if (src->kind == SRC_JOIN) {
        for (uint32_t i = 0; i < src->on_count; i++)
            if (!expr_walk(src->on[i], names_none, (void *)(uintptr_t)o))
                return true;
        return from_names(o, src->left) || from_names(o, src->right);
    }
    for (uint32_t i = 0; i < src->arg_count; i++)
        if (src->args[i] != NULL && !expr_walk(src->args[i], names_none, (void *)(uintptr_t)o))
            return true;
    return (src->as_of_expr != NULL && !expr_walk(src->as_of_expr, names_none, (void *)(uintptr_t)o)) ||
           (src->query != NULL && query_names(o, src->query)) || src->kind == SRC_CTE || src->kind == SRC_CTE_WORK;
}

static quartet_status outer_map(void *arg, const struct expr *e, struct expr **out, struct err *err)
{
    const struct outer_names *o = arg;
    for (uint32_t i = 0; e->op == EXPR_PARAM && i < o->sub->set_count; i++)
        if (o->sub->set_params[i] == e->u.param)
            return expr_copy(o->p->a, o->sub->set_exprs[i], NULL, NULL, out, err);
    return QUARTET_OK;
}

quartet_status apart_make(struct planner *p, const struct bsub *sub, struct apart *a, bool *ok, struct err *err)
{
    struct outer_names o = {.p = p, .sub = sub};
    struct bquery *q = sub->query;
    *a = (struct apart){.sub = sub, .q = q};
    *ok = q->kind == BQ_SELECT && q->from != NULL && q->cte_count == 0 && q->window_count == 0 && q->qualify == NULL && q->limit == NULL &&
          q->limit_offset == NULL && !from_names(&o, q->from);
    for (uint32_t i = 0; i < q->where_count && *ok; i++)
        *ok = expr_walk(q->where[i], nested_names_none, &o);
    if (!*ok)
        return QUARTET_OK;
    a->own = arena_zalloc(p->a, q->where_count + 1, sizeof(struct expr *));
    a->both = arena_zalloc(p->a, (size_t)q->where_count + q->out_count + 1, sizeof(struct expr *));
    if (a->own == NULL || a->both == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < q->where_count; i++) {
        if (expr_walk(q->where[i], names_none, &o)) {
            a->own[a->own_count++] = q->where[i];
            continue;
        }
        quartet_status rc = bind_map(p->a, q->where[i], outer_map, &o, &a->both[a->both_count++], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

/* ---- costs ---- */

double unnest_cost(const struct planner *p, const struct pnode *n)
{
    double cost = 0;
    if (n->kind == PN_SCAN)
        return n->u.scan->bounded ? n->rows * (n->u.scan->index != NULL ? COST_FETCH : 1) : plan_table_rows(p, n->u.scan->table);
    for (uint32_t i = 0; n->kind == PN_UNION && i < n->u.any->part_count; i++)
        cost += unnest_cost(p, n->u.any->parts[i]);
    for (uint32_t i = 0; n->kind == PN_SET && i < n->u.set->part_count; i++)
        cost += unnest_cost(p, n->u.set->parts[i]);
    if (n->child[0] != NULL)
        cost += unnest_cost(p, n->child[0]);
    if (n->kind == PN_INDEX_JOIN)
        return cost + join_lookup_cost(n->child[0]->rows, n->child[1]->rows, join_lookup_kind(n->u.join->inner));
    if (n->kind == PN_APPLY)
        return cost + n->child[0]->rows * (COST_RUN + unnest_cost(p, n->child[1]));
    if (n->child[1] != NULL)
        cost += unnest_cost(p, n->child[1]);
    if (n->kind == PN_HASH_JOIN)
        return cost + join_hash_cost(n->child[0]->rows, n->child[1]->rows);
    return n->kind == PN_LOOP_JOIN ? cost + n->child[0]->rows * n->child[1]->rows : cost + n->rows;
}

quartet_status apart_pays(struct planner *p, struct bquery *q, double rows, double whole, bool *pays, struct err *err)
{
    struct pnode *once;
    struct bquery bare = *q; /* as EXISTS asks it */
    if (!q->aggregated) {
        bare.out_count = bare.hidden_count = bare.order_count = 0;
        bare.distinct = false;
    }
    quartet_status rc = plan_query(p, &bare, &once, err);
    *pays = rc == QUARTET_OK && rows * (COST_RUN + unnest_cost(p, once)) > whole + rows * COST_PROBE;
    return rc;
}

/* ---- semi- and anti-joins ---- */

/* x IN (SELECT y ..) is a row with x = y; of NOT IN every row with x = y, or where that is not known, is in the way. */
static quartet_status add_in(struct planner *p, const struct expr *e, struct apart *a, struct err *err)
{
    for (uint32_t i = 0; i < e->arg_count; i++) {
        struct expr *x, *y, *eq = NULL;
        quartet_status rc = expr_copy(p->a, e->args[i], NULL, NULL, &x, err);
        if (rc == QUARTET_OK)
            rc = expr_copy(p->a, a->q->outs[i], NULL, NULL, &y, err);
        if (rc == QUARTET_OK)
            rc = expr_binary(p->a, EXPR_EQ, x, y, e->sql_offset, &eq, err);
        if (rc == QUARTET_OK && (e->flags & EXPR_NEGATED) != 0)
            rc = expr_unary(p->a, EXPR_IS_FALSE, eq, e->sql_offset, &eq, err);
        if (rc == QUARTET_OK && (e->flags & EXPR_NEGATED) != 0)
            rc = expr_unary(p->a, EXPR_NOT, eq, e->sql_offset, &eq, err);
        if (rc != QUARTET_OK)
            return rc;
        a->both[a->both_count++] = eq;
    }
    return QUARTET_OK;
}

static bool can_join(const struct planner *p, const struct expr *e, const struct apart *a)
{
    if (a->q->aggregated || a->q->distinct_on_count > 0 || (e->op == EXPR_IN_QUERY && a->sub->compare != 0))
        return false;
    for (uint32_t i = 0; e->op == EXPR_IN_QUERY && i < e->arg_count; i++)
        if (apart_names_outer(p, a, a->q->outs[i]) || bind_has_subquery(a->q->outs[i]) || bind_has_subquery(e->args[i]))
            return false;
    return true;
}

/* *done: *io is a join now that asks the condition e. */
static quartet_status semi_join(struct planner *p, const struct expr *e, const uint64_t *need, struct pnode **io, bool *done, struct err *err)
{
    struct apart a;
    bool ok = false;
    struct side l = {.node = *io}, r = {0};
    uint64_t *left = cid_set_new(p), *right = cid_set_new(p), *below = cid_set_new(p);
    struct pnode *node;
    if (left == NULL || right == NULL || below == NULL)
        return arena_fail(p->a, err);
    quartet_status rc = apart_make(p, e->u.subquery, &a, &ok, err);
    if (rc != QUARTET_OK || !ok || !can_join(p, e, &a))
        return rc;
    if (e->op == EXPR_IN_QUERY)
        rc = add_in(p, e, &a, err);
    for (uint32_t i = 0; i < a.both_count && rc == QUARTET_OK; i++)
        cid_set_add_expr(p, below, a.both[i]);
    if (rc == QUARTET_OK)
        rc = plan_from(p, a.q->from, a.own, a.own_count, below, &r.node, err);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t i = 0; i < (*io)->col_count; i++)
        if ((*io)->cids[i] != BIND_NONE)
            cid_set_add(left, (*io)->cids[i]);
    source_cids(a.q->from, right);
    l.cids = left;
    r.cids = right;
    double whole = unnest_cost(p, r.node) + r.node->rows * COST_KEEP;
    rc = apart_pays(p, a.q, (*io)->rows, whole, &ok, err);
    if (rc != QUARTET_OK || !ok)
        return rc;
    rc = join_nodes(p, (e->flags & EXPR_NEGATED) != 0 ? PJ_ANTI : PJ_SEMI, &l, &r, a.both, a.both_count, 1, need, &node, err);
    if (rc != QUARTET_OK || node->kind != PN_HASH_JOIN)
        return rc;
    node->rows = (*io)->rows * SHARE_HALF + 1;
    *io = node;
    *done = true;
    return QUARTET_OK;
}

/* ---- WHERE ---- */

static bool not_correlated(void *arg, const struct expr *e)
{
    (void)arg;
    return (e->op != EXPR_EXISTS && e->op != EXPR_IN_QUERY && e->op != EXPR_SUBQUERY) || ((const struct bsub *)e->u.subquery)->set_count == 0;
}

quartet_status unnest_split(struct planner *p, const struct bquery *q, struct unnest *u, struct err *err)
{
    *u = (struct unnest){.plain = q->where, .plain_count = q->where_count};
    bool any = false;
    for (uint32_t i = 0; i < q->where_count && !any; i++)
        any = !expr_walk(q->where[i], not_correlated, NULL);
    if (!any)
        return QUARTET_OK;
    u->plain = arena_zalloc(p->a, q->where_count + 1, sizeof(struct expr *));
    u->subs = arena_zalloc(p->a, q->where_count + 1, sizeof(struct expr *));
    if (u->plain == NULL || u->subs == NULL)
        return arena_fail(p->a, err);
    u->plain_count = 0;
    for (uint32_t i = 0; i < q->where_count; i++) {
        if (expr_walk(q->where[i], not_correlated, NULL))
            u->plain[u->plain_count++] = q->where[i];
        else
            u->subs[u->sub_count++] = q->where[i];
    }
    return QUARTET_OK;
}

quartet_status unnest_where(struct planner *p, const struct unnest *u, const uint64_t *need, struct pnode **io, struct err *err)
{
    struct expr **rest = arena_zalloc(p->a, u->sub_count + 1, sizeof(struct expr *));
    uint64_t *kept = cid_set_new(p);
    uint32_t n = 0;
    if (rest == NULL || kept == NULL)
        return arena_fail(p->a, err);
    memcpy(kept, need, p->words * sizeof *kept);
    for (uint32_t i = 0; i < u->sub_count; i++)
        cid_set_add_expr(p, kept, u->subs[i]); /* the later ones read below what the earlier ones let through */
    for (uint32_t i = 0; i < u->sub_count; i++) {
        struct expr *e = u->subs[i];
        bool done = false;
        quartet_status rc = e->op == EXPR_EXISTS || e->op == EXPR_IN_QUERY ? semi_join(p, e, kept, io, &done, err) : QUARTET_OK;
        if (rc != QUARTET_OK)
            return rc;
        if (!done)
            rest[n++] = e;
    }
    for (uint32_t i = 0; i < n; i++) {
        quartet_status rc = unnest_scalars(p, &rest[i], kept, io, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return plan_filter(p, *io, rest, n, io, err);
}
