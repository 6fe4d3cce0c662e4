/* plan_leaf.c - what stands in FROM beside plain tables: queries, common table expressions, functions. */
#include "plan_join.h"

#include <string.h>

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
    pc.flags = plan_key_flags(p, cte->query->shape, cte->out_count, err);
    if (pc.steps == NULL || pc.flags == NULL)
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

quartet_status plan_leaf(struct planner *p, struct bsource *src, struct conj **conjs,
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
