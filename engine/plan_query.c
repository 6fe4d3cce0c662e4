/* plan_query.c - bound queries to operators: SELECT, VALUES, UNION and the like, ORDER BY and LIMIT; FROM is plan_from.c's.
 * Why one pass: what a node puts out is known by cid, so whoever stands above finds its columns
 * whatever order the joins took. */
#include "plan_query.h"

#include <string.h>

#include "exec_key.h"
#include "plan_unnest.h"

/* How many rows LIMIT and OFFSET let through; 0: all, or it is not known. */
static double rows_wanted(const struct bquery *q)
{
    const struct expr *l = q->limit, *o = q->limit_offset;
    if (l == NULL || l->op != EXPR_CONST || l->u.value.type != VALUE_INTEGER || l->u.value.i <= 0)
        return 0;
    if (o == NULL)
        return (double)l->u.value.i;
    if (o->op != EXPR_CONST || o->u.value.type != VALUE_INTEGER || o->u.value.i < 0)
        return 0;
    return (double)l->u.value.i + (double)o->u.value.i;
}

static uint64_t *needed(struct planner *p, const struct bquery *q)
{
    uint64_t *need = cid_set_new(p);
    if (need == NULL)
        return NULL;
    if (q->aggregated) {
        for (uint32_t i = 0; i < q->group_count; i++)
            cid_set_add_expr(p, need, q->group[i]);
        for (uint32_t i = 0; i < q->agg_count; i++) {
            for (uint32_t k = 0; k < q->aggs[i].spec.arg_count; k++)
                cid_set_add_expr(p, need, q->aggs[i].args[k]);
            for (uint32_t k = 0; k < q->aggs[i].order_count; k++)
                cid_set_add_expr(p, need, q->aggs[i].order[k].expr);
            if (q->aggs[i].filter != NULL)
                cid_set_add_expr(p, need, q->aggs[i].filter);
        }
        for (uint32_t i = 0; i < q->bare_count; i++)
            cid_set_add(need, q->bare[i].from);
        return need;
    }
    for (uint32_t i = 0; i < q->out_count + q->hidden_count; i++)
        cid_set_add_expr(p, need, q->outs[i]);
    for (uint32_t i = 0; i < q->window_count; i++) {
        const struct bwindow *w = &q->windows[i];
        for (uint32_t k = 0; k < w->arg_count; k++)
            cid_set_add_expr(p, need, w->args[k]);
        for (uint32_t k = 0; k < w->partition_count; k++)
            cid_set_add_expr(p, need, w->partition[k]);
        for (uint32_t k = 0; k < w->order_count; k++)
            cid_set_add_expr(p, need, w->order[k].expr);
        if (w->filter != NULL)
            cid_set_add_expr(p, need, w->filter);
    }
    if (q->qualify != NULL)
        cid_set_add_expr(p, need, q->qualify);
    return need;
}

static quartet_status plan_project(struct planner *p, const struct bquery *q, struct pnode *in,
                                   struct pnode **out, struct err *err)
{
    uint32_t n = q->out_count + q->hidden_count;
    struct pnode *project = pnode_new(p, PN_PROJECT, n, err);
    if (project == NULL)
        return err->code;
    project->child[0] = in;
    project->rows = in->rows;
    *out = project;
    return plan_place_list(p, q->outs, n, in->cids, in->col_count, &project->u.project, err);
}

uint8_t *plan_key_flags(struct planner *p, const struct bcol *shape, uint32_t count, struct err *err)
{
    uint8_t *flags = arena_zalloc(p->a, count + 1u, 1);
    if (flags == NULL)
        (void)arena_fail(p->a, err); /* the caller returns it */
    for (uint32_t i = 0; flags != NULL && shape != NULL && i < count; i++)
        flags[i] = (shape[i].flags & EXPR_NOCASE_VALUE) != 0 ? CELL_KEY_NOCASE : 0;
    return flags;
}

static quartet_status plan_distinct(struct planner *p, struct pnode *in, const uint32_t *cols,
                                    uint32_t count, const struct bcol *shape, struct pnode **out,
                                    struct err *err)
{
    struct pnode *n = pnode_new(p, PN_DISTINCT, in->col_count, err);
    struct pdistinct *d = arena_zalloc(p->a, 1, sizeof *d);
    if (n == NULL || d == NULL)
        return arena_fail(p->a, err);
    d->cols = arena_zalloc(p->a, count + 1, sizeof *d->cols);
    d->flags = plan_key_flags(p, shape, count, err);
    if (d->cols == NULL || d->flags == NULL)
        return arena_fail(p->a, err);
    d->count = count;
    d->ordered = cols != NULL;
    for (uint32_t i = 0; i < count; i++)
        d->cols[i] = cols != NULL ? cols[i] : i;
    n->child[0] = in;
    n->rows = in->rows;
    n->u.distinct = d;
    *out = n;
    return QUARTET_OK;
}

static quartet_status plan_sort(struct planner *p, const struct bquery *q, struct pnode *in,
                                struct expr *limit, struct expr *offset, struct pnode **out,
                                struct err *err)
{
    struct pnode *n = pnode_new(p, PN_SORT, in->col_count, err);
    struct psort *s = arena_zalloc(p->a, 1, sizeof *s);
    if (n == NULL || s == NULL)
        return arena_fail(p->a, err);
    s->cols = arena_zalloc(p->a, q->order_count, sizeof *s->cols);
    s->flags = arena_zalloc(p->a, q->order_count, 1);
    if (s->cols == NULL || s->flags == NULL)
        return arena_fail(p->a, err);
    s->key_count = q->order_count;
    for (uint32_t i = 0; i < q->order_count; i++) {
        s->cols[i] = q->order[i].out;
        s->flags[i] = q->order[i].flags;
    }
    if (!q->with_ties && q->distinct_on_count == 0) {
        s->limit = limit;
        s->offset = offset;
    }
    n->child[0] = in;
    n->rows = in->rows;
    n->u.sort = s;
    *out = n;
    return QUARTET_OK;
}

/* The scan whose rows come out below `in` in its order, *forwards where a merge join needs it so; NULL: none. What an inner merge join has on its right side becomes in cids[0 .. n-1]
 * what equals it on its left. */
static struct pnode *order_giver(const struct pnode *in, uint32_t *cids, uint32_t n, bool *forwards)
{
    struct pnode *at = in->child[0];
    for (; at != NULL && at->kind != PN_SCAN; at = at->child[0]) {
        bool semi = at->kind == PN_HASH_JOIN && (at->u.join->kind == PJ_SEMI || at->u.join->kind == PJ_ANTI);
        if (at->kind != PN_FILTER && !semi && (at->kind != PN_MERGE_JOIN || !plan_keeps_order(at)))
            return NULL;
        *forwards |= at->kind == PN_MERGE_JOIN;
        const struct pjoin *j = at->u.join;
        for (uint32_t k = 0; at->kind == PN_MERGE_JOIN && j->kind == PJ_INNER && k < j->key_count; k++)
            for (uint32_t i = 0; i < n; i++)
                if (cids[i] == at->child[1]->cids[j->right_keys[k]->u.column])
                    cids[i] = at->child[0]->cids[j->left_keys[k]->u.column];
    }
    return at;
}

/* SELECT in an order that the scan below it has anyway, or could have by going along an index. */
static bool already_ordered(struct planner *p, const struct bquery *q, const struct pnode *in)
{
    uint32_t cids[16];
    uint8_t flags[16];
    bool forwards = false;
    if (q->kind != BQ_SELECT || q->aggregated || q->distinct || q->distinct_on_count > 0 ||
        q->with_ties || q->window_count > 0 || q->order_count > 16 || in->kind != PN_PROJECT)
        return false;
    for (uint32_t i = 0; i < q->order_count; i++) {
        const struct expr *e = q->outs[q->order[i].out];
        if (e->op != EXPR_COLUMN)
            return false;
        cids[i] = e->u.column;
        flags[i] = q->order[i].flags;
    }
    struct pnode *scan = order_giver(in, cids, q->order_count, &forwards);
    if (scan == NULL)
        return false;
    bool ordered = plan_scan_ordered(scan, cids, flags, q->order_count);
    if (forwards && scan->u.scan->reverse)
        ordered = scan->u.scan->reverse = false;
    if (!ordered)
        return scan == in->child[0] && plan_scan_by_order(p, scan, cids, flags, q->order_count, rows_wanted(q));
    for (struct pnode *n = in->child[0]; n != scan; n = n->child[0])
        if (n->kind == PN_HASH_JOIN)
            n->u.join->ordered = true;
    return true;
}

static quartet_status plan_tail(struct planner *p, const struct bquery *q, struct pnode *in,
                                struct pnode **out, struct err *err)
{
    struct expr *limit = NULL, *offset = NULL;
    quartet_status rc = QUARTET_OK;
    if (q->limit != NULL)
        rc = plan_place(p, q->limit, NULL, 0, &limit, err);
    if (rc == QUARTET_OK && q->limit_offset != NULL)
        rc = plan_place(p, q->limit_offset, NULL, 0, &offset, err);
    if (rc == QUARTET_OK && q->order_count > 0 && !already_ordered(p, q, in))
        rc = plan_sort(p, q, in, limit, offset, &in, err);
    if (rc == QUARTET_OK && q->distinct_on_count > 0)
        rc = plan_distinct(p, in, q->distinct_on, q->distinct_on_count, NULL, &in, err);
    if (rc == QUARTET_OK && (limit != NULL || offset != NULL)) {
        struct pnode *n = pnode_new(p, PN_LIMIT, in->col_count, err);
        struct plimit *l = arena_zalloc(p->a, 1, sizeof *l);
        if (n == NULL || l == NULL)
            return arena_fail(p->a, err);
        l->limit = limit;
        l->offset = offset;
        if (q->with_ties && q->order_count > 0) {
            const struct psort *s = in->u.sort;
            l->tie_cols = s->cols;
            l->tie_flags = s->flags;
            l->tie_count = s->key_count;
        }
        n->child[0] = in;
        n->rows = in->rows;
        if (limit != NULL && limit->op == EXPR_CONST && limit->u.value.type == VALUE_INTEGER &&
            (double)limit->u.value.i < n->rows)
            n->rows = (double)limit->u.value.i;
        n->u.limit = l;
        in = n;
    }
    *out = in;
    return rc;
}

/* The outputs over `in`; what subqueries in them answer may be joined first. */
static quartet_status plan_results(struct planner *p, const struct bquery *q, const uint64_t *need, struct pnode *in, struct pnode **out,
                                   struct err *err)
{
    uint32_t n = q->out_count + q->hidden_count;
    struct bquery shown = *q;
    quartet_status rc = QUARTET_OK;
    shown.outs = arena_alloc(p->a, (n + 1) * sizeof(struct expr *));
    if (shown.outs == NULL)
        return arena_fail(p->a, err);
    memcpy(shown.outs, q->outs, n * sizeof(struct expr *));
    for (uint32_t i = 0; q->from != NULL && !q->aggregated && q->window_count == 0 && i < n && rc == QUARTET_OK; i++)
        rc = unnest_scalars(p, &shown.outs[i], need, &in, err);
    return rc != QUARTET_OK ? rc : plan_project(p, &shown, in, out, err);
}

static quartet_status plan_select(struct planner *p, struct bquery *q, struct pnode **out,
                                  struct err *err)
{
    struct pnode *n;
    quartet_status rc;
    uint64_t *need = needed(p, q);
    if (need == NULL)
        return arena_fail(p->a, err);
    /* Whether an index gives the first rows sooner than a sort depends on how many meet the conditions. */
    p->figures |= q->from != NULL && q->from->kind == SRC_TABLE && q->from->table->index_count > 0 && q->where_count > 0 && q->order_count > 0 &&
                  rows_wanted(q) > 0;
    if (q->from != NULL) {
        struct unnest u;
        rc = unnest_split(p, q, &u, err);
        uint64_t *below = cid_set_new(p);
        if (rc != QUARTET_OK || below == NULL)
            return rc != QUARTET_OK ? rc : arena_fail(p->a, err);
        memcpy(below, need, p->words * sizeof *below);
        for (uint32_t i = 0; i < u.sub_count; i++)
            cid_set_add_expr(p, below, u.subs[i]);
        p->figures |= u.sub_count > 0;
        rc = plan_from(p, q->from, u.plain, u.plain_count, below, &n, err);
        if (rc == QUARTET_OK && u.sub_count > 0)
            rc = unnest_where(p, &u, need, &n, err);
    } else {
        n = pnode_new(p, PN_ONE, 0, err);
        rc = n == NULL ? err->code : plan_filter(p, n, q->where, q->where_count, &n, err);
    }
    if (rc == QUARTET_OK && q->aggregated)
        rc = plan_agg(p, q, n, &n, err);
    if (rc == QUARTET_OK)
        rc = plan_filter(p, n, q->having, q->having_count, &n, err);
    if (rc == QUARTET_OK)
        rc = plan_windows(p, q, &n, err);
    if (rc == QUARTET_OK && q->qualify != NULL)
        rc = plan_filter(p, n, &q->qualify, 1, &n, err);
    if (rc == QUARTET_OK)
        rc = plan_results(p, q, need, n, &n, err);
    if (rc == QUARTET_OK && q->distinct)
        rc = plan_distinct(p, n, NULL, q->out_count, q->shape, &n, err);
    return rc != QUARTET_OK ? rc : plan_tail(p, q, n, out, err);
}

static quartet_status plan_values(struct planner *p, const struct bquery *q, struct pnode **out,
                                  struct err *err)
{
    struct pnode *n = pnode_new(p, PN_VALUES, q->out_count, err);
    struct pvalues *v = arena_zalloc(p->a, 1, sizeof *v);
    if (n == NULL || v == NULL)
        return arena_fail(p->a, err);
    v->row_count = q->row_count;
    v->rows = arena_zalloc(p->a, q->row_count + 1, sizeof(struct expr **));
    if (v->rows == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < q->row_count; i++) {
        quartet_status rc = plan_place_list(p, q->rows[i], q->out_count, NULL, 0, &v->rows[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    n->rows = q->row_count;
    n->u.values = v;
    return plan_tail(p, q, n, out, err);
}

static quartet_status plan_set(struct planner *p, const struct bquery *q, struct pnode **out,
                               struct err *err)
{
    struct pnode *n = pnode_new(p, PN_SET, q->out_count, err);
    struct pset *s = arena_zalloc(p->a, 1, sizeof *s);
    if (n == NULL || s == NULL)
        return arena_fail(p->a, err);
    s->part_count = q->part_count;
    s->ops = q->ops;
    s->parts = arena_zalloc(p->a, q->part_count, sizeof(struct pnode *));
    s->flags = plan_key_flags(p, q->shape, q->out_count, err);
    if (s->parts == NULL || s->flags == NULL)
        return arena_fail(p->a, err);
    n->rows = 0;
    for (uint32_t i = 0; i < q->part_count; i++) {
        quartet_status rc = plan_query(p, q->parts[i], &s->parts[i], err);
        if (rc != QUARTET_OK)
            return rc;
        n->rows += s->parts[i]->rows;
    }
    n->u.set = s;
    return plan_tail(p, q, n, out, err);
}

/* What WITH defines and keeps is forgotten whenever the query around it starts anew. */
static quartet_status plan_with(struct planner *p, const struct bquery *q, struct pnode **io,
                                struct err *err)
{
    uint32_t n = 0;
    uint32_t *ctes = arena_zalloc(p->a, q->cte_count + 1, sizeof *ctes);
    if (ctes == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < q->cte_count; i++) {
        if (q->ctes[i]->plan != NULL)
            ctes[n++] = *(uint32_t *)q->ctes[i]->plan;
    }
    if (n == 0)
        return QUARTET_OK;
    struct pnode *with = pnode_new(p, PN_WITH, (*io)->col_count, err);
    if (with == NULL)
        return err->code;
    memcpy(with->cids, (*io)->cids, (*io)->col_count * sizeof *with->cids);
    with->child[0] = *io;
    with->rows = (*io)->rows;
    with->u.with.ctes = ctes;
    with->u.with.count = n;
    *io = with;
    return QUARTET_OK;
}

quartet_status plan_query(struct planner *p, struct bquery *q, struct pnode **out, struct err *err)
{
    quartet_status rc;
    if (q->kind == BQ_SELECT)
        rc = plan_select(p, q, out, err);
    else if (q->kind == BQ_VALUES)
        rc = plan_values(p, q, out, err);
    else
        rc = plan_set(p, q, out, err);
    return rc != QUARTET_OK || q->cte_count == 0 ? rc : plan_with(p, q, out, err);
}
