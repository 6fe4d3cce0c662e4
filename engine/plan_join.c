/* plan_join.c - joining two sides, by hash, row by row, by an index of the inner table, or anew for each row of the left one;
 * which two, and in what order, is plan_from.c's. */
#include "plan_join.h"

#include <string.h>

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

quartet_status join_nodes(struct planner *p, uint8_t kind, const struct side *l,
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
    if ((kind == PJ_LEFT || kind == PJ_FULL) && node->rows < l->node->rows)
        node->rows = l->node->rows;
    if (node->rows < 1)
        node->rows = 1;
    if (rc == QUARTET_OK)
        plan_merge_join(p, node);
    *out = node;
    return rc;
}

quartet_status apply_nodes(struct planner *p, uint8_t kind, const struct side *l,
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

enum lookup join_lookup_kind(const struct pscan *s)
{
    if (s->index != NULL)
        return s->covering ? LOOKUP_RANGE : LOOKUP_FETCH;
    return s->bound.eq_count == s->table->key_count ? LOOKUP_POINT : LOOKUP_RANGE;
}

quartet_status index_join(struct planner *p, uint8_t kind, const struct side *l,
                                 struct bsource *src, struct conj **conjs, uint32_t n,
                                 const uint64_t *need, struct pnode **out, struct err *err)
{
    struct pnode *scan;
    double per_row = 1;
    *out = NULL;
    double table_rows = src->kind == SRC_TABLE ? plan_table_rows(p, src->table) : 0;
    if (src->kind != SRC_TABLE || join_lookup_cost(l->node->rows, 0, LOOKUP_POINT) > table_rows + join_hash_cost(l->node->rows, table_rows))
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
    if (rc != QUARTET_OK || scan == NULL || join_lookup_cost(l->node->rows, per_row, join_lookup_kind(scan->u.scan)) > table_rows + join_hash_cost(l->node->rows, table_rows))
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
