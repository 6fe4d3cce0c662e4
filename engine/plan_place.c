/* plan_place.c - expressions on operators: cids become positions in the input's batches, the subqueries within are planned,
 * and conditions become filters. */
#include "plan.h"

#include <string.h>

#include "exec_key.h"

uint64_t *cid_set_new(struct planner *p)
{
    return arena_zalloc(p->a, p->words, sizeof(uint64_t));
}

static void set_visit(void *arg, uint32_t cid)
{
    uint64_t *set = arg;
    cid_set_add(set, cid);
}

void cid_set_add_expr(struct planner *p, uint64_t *set, const struct expr *e)
{
    (void)p;
    bind_each_column(e, set_visit, set);
}

/* ---- placing expressions ---- */

struct place {
    struct planner *p;
    const uint32_t *cids;
    uint32_t n;
};

/* EXISTS asks for no column, so that an index may be all that is read. */
static struct bquery *bare_query(struct planner *p, struct bquery *q)
{
    if (q->kind != BQ_SELECT || q->aggregated || q->window_count > 0 || q->limit != NULL || q->limit_offset != NULL || q->qualify != NULL)
        return q;
    struct bquery *bare = arena_dup(p->a, q, sizeof *q);
    if (bare == NULL)
        return q;
    bare->out_count = bare->hidden_count = bare->order_count = 0;
    bare->distinct = false;
    return bare;
}

/* Only the first row of it is wanted: a scan below, if nothing stands between that wants all, need not fetch many at once. */
static void want_few(struct pnode *n)
{
    while (n->kind == PN_PROJECT || n->kind == PN_FILTER)
        n = n->child[0];
    if (n->kind == PN_SCAN)
        n->u.scan->few = true;
}

static quartet_status plan_sub(struct planner *p, const struct expr *e, struct err *err)
{
    const struct bsub *bs = e->u.subquery;
    struct bquery *q = bs->query;
    struct pnode *root;
    if (*bs->plan_index == BIND_NONE) {
        if (e->op == EXPR_EXISTS)
            q = bare_query(p, q);
        quartet_status rc = plan_query(p, q, &root, err);
        if (rc != QUARTET_OK)
            return rc;
        if (!bind_grow(p->a, &p->plan->subs, p->plan->sub_count, &p->plan->sub_cap,
                       sizeof *p->plan->subs))
            return arena_fail(p->a, err);
        if (e->op != EXPR_IN_QUERY)
            want_few(root);
        struct psub sub = {.root = root, .dep_count = q->dep_count, .out_count = q->out_count};
        sub.deps = arena_zalloc(p->a, q->dep_count + 1, sizeof *sub.deps);
        sub.flags = arena_zalloc(p->a, q->out_count + 1, 1);
        sub.affinity = arena_zalloc(p->a, q->out_count + 1, 1);
        if (sub.deps == NULL || sub.flags == NULL || sub.affinity == NULL)
            return arena_fail(p->a, err);
        for (uint32_t i = 0; i < q->out_count; i++)
            sub.affinity[i] = q->shape[i].affinity;
        for (uint32_t i = 0; i < q->dep_count; i++)
            sub.deps[i] = p->b.slots[q->deps[i]].param;
        *bs->plan_index = p->plan->sub_count++;
        p->plan->subs[*bs->plan_index] = sub;
    }
    if (e->op == EXPR_IN_QUERY && bs->compare == 0) {
        struct psub *sub = &p->plan->subs[*bs->plan_index];
        sub->in_set = true;
        for (uint32_t i = 0; i < e->arg_count && i < sub->out_count; i++) {
            uint8_t nocase =
                (e->args[i]->flags | (e->args[i]->affinity == 0 ? q->shape[i].flags : 0)) &
                EXPR_NOCASE_VALUE;
            sub->flags[i] = nocase != 0 ? CELL_KEY_NOCASE : 0;
        }
    }
    return QUARTET_OK;
}

quartet_status plan_in_query(struct planner *p, const struct expr *e, const struct psub **out, struct err *err)
{
    quartet_status rc = plan_sub(p, e, err);
    if (rc == QUARTET_OK)
        *out = &p->plan->subs[*((const struct bsub *)e->u.subquery)->plan_index];
    return rc;
}

static quartet_status place_map(void *arg, const struct expr *e, struct expr **out, struct err *err)
{
    struct place *pl = arg;
    if (e->op == EXPR_SUBQUERY || e->op == EXPR_EXISTS || e->op == EXPR_IN_QUERY)
        return plan_sub(pl->p, e, err);
    if (e->op != EXPR_COLUMN)
        return QUARTET_OK;
    for (uint32_t i = 0; i < pl->n; i++) {
        if (pl->cids[i] != e->u.column)
            continue;
        struct expr *copy = arena_dup(pl->p->a, e, sizeof *e);
        if (copy == NULL)
            return arena_fail(pl->p->a, err);
        copy->u.column = i;
        *out = copy;
        return QUARTET_OK;
    }
    return err_set(err, QUARTET_INTERNAL, "the plan lost column %s",
                   pl->p->b.cols[e->u.column].name);
}

quartet_status plan_place(struct planner *p, const struct expr *e, const uint32_t *cids, uint32_t n,
                          struct expr **out, struct err *err)
{
    struct place pl = {.p = p, .cids = cids, .n = n};
    return bind_map(p->a, e, place_map, &pl, out, err);
}

quartet_status plan_place_list(struct planner *p, struct expr *const *list, uint32_t count,
                               const uint32_t *cids, uint32_t n, struct expr ***out,
                               struct err *err)
{
    struct expr **placed = arena_zalloc(p->a, count + 1, sizeof(struct expr *));
    if (placed == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < count; i++) {
        quartet_status rc = plan_place(p, list[i], cids, n, &placed[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    *out = placed;
    return QUARTET_OK;
}

quartet_status plan_and(struct planner *p, struct expr **list, uint32_t n, struct expr **out,
                        struct err *err)
{
    *out = NULL;
    if (n == 0)
        return QUARTET_OK;
    if (n == 1) {
        *out = list[0];
        return QUARTET_OK;
    }
    struct expr **order = arena_alloc(p->a, n * sizeof(struct expr *));
    if (order == NULL)
        return arena_fail(p->a, err);
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) { /* the cheap ones first */
        if (!bind_has_subquery(list[i]))
            order[k++] = list[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        if (bind_has_subquery(list[i]))
            order[k++] = list[i];
    }
    return expr_nary(p->a, EXPR_AND, 0, order, n, -1, out, err);
}

quartet_status plan_filter(struct planner *p, struct pnode *in, struct expr **list, uint32_t n,
                           struct pnode **out, struct err *err)
{
    struct expr **placed = NULL;
    *out = in;
    if (n == 0)
        return QUARTET_OK;
    quartet_status rc = plan_place_list(p, list, n, in->cids, in->col_count, &placed, err);
    if (rc != QUARTET_OK)
        return rc;
    struct pnode *f = pnode_new(p, PN_FILTER, in->col_count, err);
    if (f == NULL)
        return err->code;
    memcpy(f->cids, in->cids, in->col_count * sizeof *f->cids);
    f->child[0] = in;
    f->rows = in->rows;
    for (uint32_t i = 0; i < n; i++)
        f->rows *= 0.3;
    *out = f;
    return plan_and(p, placed, n, &f->u.filter, err);
}
