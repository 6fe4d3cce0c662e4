/* plan_join.c - FROM: how tables are joined, one after the other, in the order that plan_order.c
 * finds for few of them. More are taken greedily, since 64 tables in FROM must plan at once: the next
 * one is one that an equality connects to what is there already, the one that keeps the result
 * smallest; a product of unconnected tables comes last. Outer joins are not reordered: each is a
 * unit whose two sides are planned on their own. */
#include "plan_join.h"

#include <string.h>

static void source_cids(const struct bsource *src, uint64_t *set)
{
    if (src->kind == SRC_JOIN) {
        source_cids(src->left, set);
        source_cids(src->right, set);
        return;
    }
    for (uint32_t i = 0; i < src->count; i++)
        cid_set_add(set, src->first_cid + i);
    if (src->key_cid != BIND_NONE)
        cid_set_add(set, src->key_cid);
}

static bool not_for_every_row(void *arg, const struct expr *e)
{
    (void)arg;
    return (e->op != EXPR_EXISTS && e->op != EXPR_IN_QUERY && e->op != EXPR_SUBQUERY) || (e->flags & EXPR_CORRELATED) == 0;
}

static bool for_every_row(const struct expr *e)
{
    return !expr_walk(e, not_for_every_row, NULL);
}

static quartet_status add_conj(struct jplan *j, struct expr *e, struct err *err)
{
    struct arena *a = j->p->a;
    if (!bind_grow(a, &j->conjs, j->conj_count, &j->conj_cap, sizeof *j->conjs))
        return arena_fail(a, err);
    struct conj *c = &j->conjs[j->conj_count++];
    *c = (struct conj){.e = e, .refs = cid_set_new(j->p), .late = j->unit_count > 1 && for_every_row(e)};
    if (c->refs == NULL)
        return arena_fail(a, err);
    cid_set_add_expr(j->p, c->refs, e);
    return QUARTET_OK;
}

/* What a lateral query takes from the sources around it. */
static quartet_status lateral_refs(struct jplan *j, struct unit *u, const uint64_t *all,
                                   struct err *err)
{
    struct planner *p = j->p;
    const struct bquery *q = u->src->query;
    if (!u->src->lateral)
        return QUARTET_OK;
    u->lateral = cid_set_new(p);
    uint64_t *one = cid_set_new(p);
    if (u->lateral == NULL || one == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < q->dep_count; i++) {
        memset(one, 0, p->words * sizeof *one);
        cid_set_add_expr(p, one, p->b.slots[q->deps[i]].expr);
        if (!is_empty(p, one) && overlap(p, one, all))
            unite(p, u->lateral, one);
    }
    return QUARTET_OK;
}

static quartet_status collect(struct jplan *j, struct bsource *src, struct err *err)
{
    if (src->kind == SRC_JOIN && src->join == JOIN_INNER) {
        quartet_status rc = collect(j, src->left, err);
        if (rc == QUARTET_OK)
            rc = collect(j, src->right, err);
        for (uint32_t i = 0; i < src->on_count && rc == QUARTET_OK; i++)
            rc = add_conj(j, src->on[i], err);
        return rc;
    }
    struct arena *a = j->p->a;
    if (!bind_grow(a, &j->units, j->unit_count, &j->unit_cap, sizeof *j->units))
        return arena_fail(a, err);
    struct unit *u = &j->units[j->unit_count++];
    *u = (struct unit){.src = src, .cids = cid_set_new(j->p)};
    if (u->cids == NULL)
        return arena_fail(a, err);
    source_cids(src, u->cids);
    return QUARTET_OK;
}

/* ---- leaves ---- */

static quartet_status cte_index(struct planner *p, struct bcte *cte, uint32_t *out, struct err *err)
{
    struct plan *pl = p->plan;
    if (cte->plan != NULL) {
        *out = *(uint32_t *)cte->plan;
        return QUARTET_OK;
    }
    uint32_t *index = arena_alloc(p->a, sizeof *index);
    if (index == NULL || !bind_grow(p->a, &pl->ctes, pl->cte_count, &pl->cte_cap, sizeof *pl->ctes))
        return arena_fail(p->a, err);
    *index = pl->cte_count++;
    cte->plan = index; /* before its steps are planned: they name it */
    *out = *index;
    struct pcte pc = {.name = cte->name,
                      .step_count = cte->step_count,
                      .col_count = cte->out_count,
                      .distinct = cte->distinct};
    pc.steps = arena_zalloc(p->a, cte->step_count + 1, sizeof(struct pnode *));
    if (pc.steps == NULL)
        return arena_fail(p->a, err);
    quartet_status rc = plan_query(p, cte->query, &pc.init, err);
    for (uint32_t i = 0; i < cte->step_count && rc == QUARTET_OK; i++)
        rc = plan_query(p, cte->steps[i], &pc.steps[i], err);
    if (rc == QUARTET_OK && cte->limit != NULL)
        rc = plan_place(p, cte->limit, NULL, 0, &pc.limit, err);
    if (rc == QUARTET_OK && cte->limit_offset != NULL)
        rc = plan_place(p, cte->limit_offset, NULL, 0, &pc.offset, err);
    pl->ctes[*index] = pc;
    return rc;
}

static quartet_status own_cids(struct planner *p, const struct bsource *src, struct pnode *n,
                               struct err *err)
{
    n->cids = arena_alloc(p->a, (src->count + 1) * sizeof *n->cids);
    if (n->cids == NULL)
        return arena_fail(p->a, err);
    n->col_count = src->count; /* hidden outputs behind are nobody's business */
    for (uint32_t i = 0; i < src->count; i++)
        n->cids[i] = src->first_cid + i;
    return QUARTET_OK;
}

static const uint8_t function_nodes[] = {
    [BFN_SERIES] = PN_SERIES, [BFN_JSON_EACH] = PN_JSON_EACH, [BFN_JSON_TREE] = PN_JSON_TREE, [BFN_QUARANTINE] = PN_QUARANTINE};

static quartet_status leaf_node(struct planner *p, struct bsource *src, struct pnode **out,
                                struct err *err)
{
    quartet_status rc;
    struct pnode *n;
    if (src->kind == SRC_QUERY || (src->kind == SRC_CTE && src->cte->refs == 1 &&
                                   !src->cte->materialized && !src->cte->recursive)) {
        rc = plan_query(p, src->query, &n, err);
        if (rc != QUARTET_OK)
            return rc;
        struct pnode *view =
            pnode_new(p, n->kind, n->col_count, err); /* its outputs under this source's cids */
        if (view == NULL)
            return err->code;
        uint32_t *cids = view->cids;
        *view = *n;
        view->cids = cids;
        n = view;
    } else if (src->kind == SRC_FUNCTION) {
        n = pnode_new(p, function_nodes[src->function], src->count, err);
        if (n == NULL)
            return err->code;
        n->rows = PLAN_TABLE_ROWS;
        rc = plan_place_list(p, src->args, src->arg_count, NULL, 0, &n->u.args, err);
    } else {
        n = pnode_new(p, src->kind == SRC_CTE_WORK ? PN_CTE_WORK : PN_CTE_SCAN, src->count, err);
        if (n == NULL)
            return err->code;
        rc = cte_index(p, src->cte, &n->u.cte, err);
        n->rows = PLAN_TABLE_ROWS;
    }
    *out = n;
    return rc != QUARTET_OK ? rc : own_cids(p, src, n, err);
}

static quartet_status plan_leaf(struct planner *p, struct bsource *src, struct conj **conjs,
                                uint32_t n, const uint64_t *need, struct pnode **out,
                                struct err *err)
{
    if (src->kind == SRC_TABLE)
        return plan_access(p, src, conjs, n, need, out, err);
    struct expr **list = arena_zalloc(p->a, n + 1, sizeof(struct expr *));
    if (list == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < n; i++) {
        list[i] = conjs[i]->e;
        conjs[i]->placed = true;
    }
    struct pnode *leaf = NULL;
    quartet_status rc = leaf_node(p, src, &leaf, err);
    return rc != QUARTET_OK ? rc : plan_filter(p, leaf, list, n, out, err);
}

/* ---- joining two nodes ---- */

struct side {
    struct pnode *node;
    const uint64_t *cids;
};

static bool hashable(const struct expr *x, const struct expr *y)
{
    bool special_x = x->type >= VALUE_DATE,
         special_y =
             y->type >= VALUE_DATE; /* a TEXT beside a DATE is read as one: no plain equality */
    return (!special_x && !special_y) || x->type == y->type;
}

static quartet_status split_keys(struct planner *p, struct pjoin *join, const struct side *l,
                                 const struct side *r, struct expr **conds, uint32_t n,
                                 struct expr **rest, uint32_t *rest_count, struct err *err)
{
    uint64_t *a = cid_set_new(p), *b = cid_set_new(p);
    join->left_keys = arena_zalloc(p->a, n + 1, sizeof(struct expr *));
    join->right_keys = arena_zalloc(p->a, n + 1, sizeof(struct expr *));
    join->key_flags = arena_zalloc(p->a, n + 1, 1);
    if (a == NULL || b == NULL || join->left_keys == NULL || join->right_keys == NULL ||
        join->key_flags == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < n; i++) {
        struct expr *e = conds[i], *le = NULL, *re = NULL;
        if (e->op == EXPR_EQ && hashable(e->args[0], e->args[1]) && !bind_is_volatile(e)) {
            memset(a, 0, p->words * sizeof *a);
            memset(b, 0, p->words * sizeof *b);
            cid_set_add_expr(p, a, e->args[0]);
            cid_set_add_expr(p, b, e->args[1]);
            if (!is_empty(p, a) && !is_empty(p, b) && subset(p, a, l->cids) &&
                subset(p, b, r->cids)) {
                le = e->args[0];
                re = e->args[1];
            } else if (!is_empty(p, a) && !is_empty(p, b) && subset(p, b, l->cids) &&
                       subset(p, a, r->cids)) {
                le = e->args[1];
                re = e->args[0];
            }
        }
        if (le == NULL) {
            rest[(*rest_count)++] = e;
            continue;
        }
        uint32_t k = join->key_count++;
        quartet_status rc =
            plan_place(p, le, l->node->cids, l->node->col_count, &join->left_keys[k], err);
        if (rc == QUARTET_OK)
            rc = plan_place(p, re, r->node->cids, r->node->col_count, &join->right_keys[k], err);
        if (rc != QUARTET_OK)
            return rc;
        join->key_flags[k] = (e->flags & EXPR_NOCASE) != 0 ? 4 : 0;
    }
    return QUARTET_OK;
}

static quartet_status join_outputs(struct planner *p, struct pnode *n, const struct pnode *l,
                                   const struct pnode *r, const uint64_t *need, uint32_t **both_out,
                                   struct err *err)
{
    uint32_t total = l->col_count + r->col_count;
    struct pjoin *join = n->u.join;
    uint32_t *both = arena_alloc(p->a, (total + 1) * sizeof *both);
    join->out = arena_alloc(p->a, (total + 1) * sizeof *join->out);
    if (both == NULL || join->out == NULL)
        return arena_fail(p->a, err);
    memcpy(both, l->cids, l->col_count * sizeof *both);
    memcpy(both + l->col_count, r->cids, r->col_count * sizeof *both);
    n->col_count = 0;
    for (uint32_t i = 0; i < total; i++) {
        if (both[i] == BIND_NONE || !cid_set_has(need, both[i]))
            continue;
        n->cids[n->col_count] = both[i];
        join->out[n->col_count++] = i;
    }
    *both_out = both;
    return QUARTET_OK;
}

/* share: of all pairs, by the strictest equality. */
static quartet_status join_nodes(struct planner *p, uint8_t kind, const struct side *l,
                                 const struct side *r, struct expr **conds, uint32_t n,
                                 double share, const uint64_t *need, struct pnode **out,
                                 struct err *err)
{
    struct pnode *node = pnode_new(p, PN_LOOP_JOIN, l->node->col_count + r->node->col_count, err);
    struct pjoin *join = arena_zalloc(p->a, 1, sizeof *join);
    struct expr **rest = arena_zalloc(p->a, n + 1, sizeof(struct expr *)), **placed;
    uint32_t rest_count = 0, *both;
    if (node == NULL || join == NULL || rest == NULL)
        return arena_fail(p->a, err);
    join->kind = kind;
    node->u.join = join;
    quartet_status rc = split_keys(p, join, l, r, conds, n, rest, &rest_count, err);
    if (rc == QUARTET_OK)
        rc = join_outputs(p, node, l->node, r->node, need, &both, err);
    if (rc == QUARTET_OK)
        rc = plan_place_list(p, rest, rest_count, both, l->node->col_count + r->node->col_count,
                             &placed, err);
    if (rc == QUARTET_OK)
        rc = plan_and(p, placed, rest_count, &join->cond, err);
    if (join->key_count > 0)
        node->kind = PN_HASH_JOIN;
    node->child[0] = l->node;
    node->child[1] = r->node;
    node->rows = l->node->rows * r->node->rows;
    for (uint32_t i = 0; i < join->key_count; i++)
        node->rows *= i == 0 ? share : 0.3;
    for (uint32_t i = 0; i < rest_count; i++)
        node->rows *= 0.3;
    if (kind != PJ_INNER && node->rows < l->node->rows)
        node->rows = l->node->rows;
    if (node->rows < 1)
        node->rows = 1;
    *out = node;
    return rc;
}

static quartet_status apply_nodes(struct planner *p, uint8_t kind, const struct side *l,
                                  const struct side *r, const struct bquery *q, struct expr **conds,
                                  uint32_t n, const uint64_t *need, struct pnode **out,
                                  struct err *err)
{
    struct pnode *node = pnode_new(p, PN_APPLY, l->node->col_count + r->node->col_count, err);
    struct pjoin *join = arena_zalloc(p->a, 1, sizeof *join);
    struct expr **placed;
    uint64_t *one = cid_set_new(p);
    uint32_t *both;
    if (node == NULL || join == NULL || one == NULL)
        return arena_fail(p->a, err);
    join->kind = kind;
    node->u.join = join;
    join->set_params = arena_zalloc(p->a, q->dep_count + 1, sizeof *join->set_params);
    join->set_exprs = arena_zalloc(p->a, q->dep_count + 1, sizeof(struct expr *));
    if (join->set_params == NULL || join->set_exprs == NULL)
        return arena_fail(p->a, err);
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < q->dep_count && rc == QUARTET_OK; i++) {
        const struct bslot *slot = &p->b.slots[q->deps[i]];
        memset(one, 0, p->words * sizeof *one);
        cid_set_add_expr(p, one, slot->expr);
        if (is_empty(p, one) || !subset(p, one, l->cids))
            continue;
        join->set_params[join->set_count] = slot->param;
        rc = plan_place(p, slot->expr, l->node->cids, l->node->col_count,
                        &join->set_exprs[join->set_count++], err);
    }
    if (rc == QUARTET_OK)
        rc = join_outputs(p, node, l->node, r->node, need, &both, err);
    if (rc == QUARTET_OK)
        rc = plan_place_list(p, conds, n, both, l->node->col_count + r->node->col_count, &placed,
                             err);
    if (rc == QUARTET_OK)
        rc = plan_and(p, placed, n, &join->cond, err);
    node->child[0] = l->node;
    node->child[1] = r->node;
    node->rows = l->node->rows * r->node->rows;
    *out = node;
    return rc;
}

/* Look the inner table's rows up for each outer row, where the outer ones are few; *out NULL: no.
 */
static quartet_status index_join(struct planner *p, uint8_t kind, const struct side *l,
                                 struct bsource *src, struct conj **conjs, uint32_t n,
                                 const uint64_t *need, struct pnode **out, struct err *err)
{
    struct pnode *scan;
    double per_row = 1;
    *out = NULL;
    double table_rows = src->kind == SRC_TABLE ? plan_table_rows(p, src->table) : 0;
    if (src->kind != SRC_TABLE || join_lookup_cost(l->node->rows, 0) > table_rows + join_hash_cost(l->node->rows, table_rows))
        return QUARTET_OK;
    uint64_t *inner_need = cid_set_new(p);
    struct expr **rest = arena_zalloc(p->a, n + 1, sizeof(struct expr *)), **placed;
    if (inner_need == NULL || rest == NULL)
        return arena_fail(p->a, err);
    memcpy(inner_need, need, p->words * sizeof *inner_need);
    for (uint32_t i = 0; i < n; i++)
        unite(p, inner_need, conjs[i]->refs);
    bool *was = arena_zalloc(p->a, n + 1, sizeof *was);
    if (was == NULL)
        return arena_fail(p->a, err);
    quartet_status rc =
        plan_lookup(p, src, conjs, n, l->cids, l->node, inner_need, &scan, &per_row, err);
    if (rc != QUARTET_OK || scan == NULL || join_lookup_cost(l->node->rows, per_row) > table_rows + join_hash_cost(l->node->rows, table_rows))
        return rc;
    uint32_t rest_count = 0, *both;
    for (uint32_t i = 0; i < n; i++) {
        if (!conjs[i]->placed)
            rest[rest_count++] = conjs[i]->e;
        conjs[i]->placed = true;
    }
    struct pnode *node = pnode_new(p, PN_INDEX_JOIN, l->node->col_count + scan->col_count, err);
    struct pjoin *join = arena_zalloc(p->a, 1, sizeof *join);
    if (node == NULL || join == NULL)
        return arena_fail(p->a, err);
    join->kind = kind;
    join->inner = scan->u.scan;
    node->u.join = join;
    rc = join_outputs(p, node, l->node, scan, need, &both, err);
    if (rc == QUARTET_OK)
        rc = plan_place_list(p, rest, rest_count, both, l->node->col_count + scan->col_count,
                             &placed, err);
    if (rc == QUARTET_OK)
        rc = plan_and(p, placed, rest_count, &join->cond, err);
    node->child[0] = l->node;
    node->child[1] = scan;
    node->rows = l->node->rows * per_row;
    *out = node;
    return rc;
}

/* ---- outer joins ---- */

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
        quartet_status rc = add_conj(&tmp, on[i], err);
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
    rc = lateral_refs(&j, &u, all, err);
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

static quartet_status plan_outer(struct planner *p, struct bsource *src, struct conj **conjs,
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

/* ---- the order of inner joins ---- */

/* Conditions that wait and lie within `all`; those that touch `must` only, where it is given. */
static quartet_status pending(struct jplan *j, const uint64_t *all, struct conj ***out,
                              uint32_t *count, struct err *err)
{
    *out = arena_zalloc(j->p->a, j->conj_count + 1, sizeof(struct conj *));
    *count = 0;
    if (*out == NULL)
        return arena_fail(j->p->a, err);
    for (uint32_t i = 0; i < j->conj_count; i++) {
        struct conj *c = &j->conjs[i];
        if (!c->placed && !c->late && subset(j->p, c->refs, all))
            (*out)[(*count)++] = c;
    }
    return QUARTET_OK;
}

static quartet_status need_above(struct jplan *j, uint64_t *out)
{
    memcpy(out, j->need, j->p->words * sizeof *out);
    for (uint32_t i = 0; i < j->conj_count; i++) {
        if (!j->conjs[i].placed)
            unite(j->p, out, j->conjs[i].refs);
    }
    for (uint32_t i = 0; i < j->unit_count; i++) {
        if (!j->units[i].joined && j->units[i].lateral != NULL)
            unite(j->p, out, j->units[i].lateral);
    }
    return QUARTET_OK;
}

static quartet_status plan_unit(struct jplan *j, struct unit *u, struct err *err)
{
    struct planner *p = j->p;
    struct conj **conjs;
    uint32_t n;
    uint64_t *need = cid_set_new(p);
    if (need == NULL)
        return arena_fail(p->a, err);
    quartet_status rc = need_above(j, need);
    if (rc == QUARTET_OK)
        rc = pending(j, u->cids, &conjs, &n, err);
    if (rc != QUARTET_OK)
        return rc;
    if (j->unit_count == 1)
        memcpy(need, j->need,
               p->words * sizeof *need); /* its conditions add what they look at themselves */
    uint32_t k = 0;
    for (uint32_t i = 0; i < n;
         i++) { /* conditions without columns wait for the first join node, if there is one */
        if (j->unit_count == 1 || !is_empty(p, conjs[i]->refs))
            conjs[k++] = conjs[i];
    }
    rc = u->src->kind == SRC_JOIN ? plan_outer(p, u->src, conjs, k, need, &u->node, err)
                                  : plan_leaf(p, u->src, conjs, k, need, &u->node, err);
    if (rc == QUARTET_OK && j->unit_count > 1)
        u->read_cost = u->src->kind == SRC_TABLE && !u->node->u.scan->bounded
                           ? plan_table_rows(p, u->src->table)
                           : u->node->rows;
    return rc;
}

static double joined_rows(const struct jplan *j, double rows, const uint64_t *done,
                          const struct unit *u, bool *connected)
{
    double r = rows * u->node->rows;
    *connected = false;
    for (uint32_t i = 0; i < j->conj_count; i++) {
        const struct conj *c = &j->conjs[i];
        if (c->placed || c->late || !overlap(j->p, c->refs, done) || !overlap(j->p, c->refs, u->cids))
            continue;
        bool ready = true;
        for (uint32_t w = 0; w < j->p->words; w++)
            ready &= (c->refs[w] & ~(done[w] | u->cids[w])) == 0;
        if (!ready)
            continue;
        if (c->e->op == EXPR_EQ) {
            r *= *connected ? 0.3 : join_share(j, c);
            *connected = true;
        } else {
            r *= 0.3;
        }
    }
    return r;
}

static struct unit *next_unit(struct jplan *j, double rows, const uint64_t *done)
{
    struct unit *best = NULL;
    double best_rows = 0;
    bool best_connected = false;
    for (uint32_t i = 0; i < j->unit_count; i++) {
        struct unit *u = &j->units[i];
        bool connected;
        if (u->joined || (u->lateral != NULL && !subset(j->p, u->lateral, done)))
            continue;
        double r = joined_rows(j, rows, done, u, &connected);
        if (best == NULL || (connected && !best_connected) ||
            (connected == best_connected && r < best_rows)) {
            best = u;
            best_rows = r;
            best_connected = connected;
        }
    }
    return best;
}

static quartet_status join_unit(struct jplan *j, struct side *l, uint64_t *done, struct unit *u,
                                struct err *err)
{
    struct planner *p = j->p;
    uint64_t *both = cid_set_new(p), *need = cid_set_new(p);
    struct conj **conjs;
    uint32_t n;
    if (both == NULL || need == NULL)
        return arena_fail(p->a, err);
    memcpy(both, done, p->words * sizeof *both);
    unite(p, both, u->cids);
    quartet_status rc = pending(j, both, &conjs, &n, err);
    if (rc != QUARTET_OK)
        return rc;
    u->joined = true;
    for (uint32_t i = 0; i < n; i++)
        conjs[i]->placed = true; /* for need_above only: what this join does itself */
    rc = need_above(j, need);
    struct side r = {.node = u->node, .cids = u->cids};
    struct pnode *out = NULL;
    bool lateral = u->lateral != NULL && !is_empty(p, u->lateral);
    if (rc == QUARTET_OK && !lateral && u->src->kind == SRC_TABLE) {
        /* Its own conditions were placed on its scan; an index join asks them of each row that it
         * finds. */
        uint32_t total = n;
        struct conj **all = arena_zalloc(p->a, j->conj_count + 1, sizeof(struct conj *));
        if (all == NULL)
            return arena_fail(p->a, err);
        memcpy(all, conjs, n * sizeof(struct conj *));
        for (uint32_t i = 0; i < j->conj_count; i++) {
            if (!j->conjs[i].late && subset(p, j->conjs[i].refs, u->cids) && !is_empty(p, j->conjs[i].refs))
                all[total++] = &j->conjs[i];
        }
        for (uint32_t i = 0; i < total; i++)
            all[i]->placed = false;
        rc = index_join(p, PJ_INNER, l, u->src, all, total, need, &out, err);
        for (uint32_t i = 0; i < total; i++)
            all[i]->placed = true;
    }
    struct expr **list = arena_zalloc(p->a, n + 1, sizeof(struct expr *));
    if (list == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < n; i++)
        list[i] = conjs[i]->e;
    if (rc == QUARTET_OK && out == NULL && lateral) {
        rc = apply_nodes(p, PJ_INNER, l, &r, u->src->query, list, n, need, &out, err);
    } else if (rc == QUARTET_OK && out == NULL) {
        bool swap = r.node->rows > l->node->rows;
        double share = 1;
        for (uint32_t i = 0; i < n; i++) {
            double one = conjs[i]->e->op == EXPR_EQ ? join_share(j, conjs[i]) : 1;
            share = one < share ? one : share;
        }
        struct side left = {.node = l->node, .cids = done};
        rc =
            join_nodes(p, PJ_INNER, swap ? &r : &left, swap ? &left : &r, list, n, share, need, &out,
                        err);
    }
    l->node = out;
    unite(p, done, u->cids);
    return rc;
}

static quartet_status filter_late(struct jplan *j, struct pnode **io, struct err *err)
{
    struct expr **list = arena_zalloc(j->p->a, j->conj_count + 1, sizeof(struct expr *));
    uint32_t n = 0;
    if (list == NULL)
        return arena_fail(j->p->a, err);
    for (uint32_t i = 0; i < j->conj_count; i++)
        if (j->conjs[i].late)
            list[n++] = j->conjs[i].e;
    return plan_filter(j->p, *io, list, n, io, err);
}

static struct unit *smallest_unit(struct jplan *j)
{
    struct unit *first = NULL;
    for (uint32_t i = 0; i < j->unit_count; i++) {
        struct unit *u = &j->units[i];
        bool free_standing = u->lateral == NULL || is_empty(j->p, u->lateral);
        if (free_standing && (first == NULL || u->node->rows < first->node->rows))
            first = u;
    }
    return first;
}

quartet_status plan_from(struct planner *p, struct bsource *src, struct expr **where,
                         uint32_t where_count, const uint64_t *need, struct pnode **out,
                         struct err *err)
{
    struct jplan j = {.p = p, .need = need};
    uint64_t *done = cid_set_new(p), *all = cid_set_new(p);
    if (done == NULL || all == NULL)
        return arena_fail(p->a, err);
    source_cids(src, all);
    quartet_status rc = collect(&j, src, err);
    p->figures |= j.unit_count > 1;
    for (uint32_t i = 0; i < where_count && rc == QUARTET_OK; i++)
        rc = add_conj(&j, where[i], err);
    for (uint32_t i = 0; i < j.unit_count && rc == QUARTET_OK; i++)
        rc = lateral_refs(&j, &j.units[i], all, err);
    for (uint32_t i = 0; i < j.unit_count && rc == QUARTET_OK; i++)
        rc = plan_unit(&j, &j.units[i], err);
    if (rc != QUARTET_OK)
        return rc;
    uint32_t order[ORDER_UNITS_MAX];
    bool ordered = plan_order(&j, order);
    struct unit *first = ordered ? &j.units[order[0]] : smallest_unit(&j);
    if (first == NULL)
        return err_set(err, QUARTET_ERROR, "the lateral subqueries of this FROM need each other");
    struct side l = {.node = first->node, .cids = done};
    first->joined = true;
    unite(p, done, first->cids);
    for (uint32_t k = 1; k < j.unit_count && rc == QUARTET_OK; k++) {
        struct unit *u = ordered ? &j.units[order[k]] : next_unit(&j, l.node->rows, done);
        if (u == NULL)
            return err_set(err, QUARTET_ERROR,
                           "the lateral subqueries of this FROM need each other");
        rc = join_unit(&j, &l, done, u, err);
    }
    *out = l.node;
    return rc == QUARTET_OK ? filter_late(&j, out, err) : rc;
}
