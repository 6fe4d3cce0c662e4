/* plan.c - bound queries to operators; FROM is plan_join.c's, tables are plan_access.c's, writing
 * is plan_write.c's. Why one pass: what a node puts out is known by cid, so whoever stands above
 * finds its columns whatever order the joins took. */
#include "plan.h"
#include "stats.h"

#include <string.h>

#include "exec_key.h"
#include "exec_internal.h"

struct pnode *pnode_new(struct planner *p, uint8_t kind, uint32_t col_count, struct err *err)
{
    struct pnode *n = arena_zalloc(p->a, 1, sizeof *n);
    uint32_t *cids = arena_alloc(p->a, (col_count + 1) * sizeof *cids);
    if (n == NULL || cids == NULL) {
        (void)arena_fail(p->a, err); /* NULL tells */
        return NULL;
    }
    memset(cids, 0xff, (col_count + 1) * sizeof *cids);
    n->kind = kind;
    n->col_count = col_count;
    n->cids = cids;
    n->rows = 1;
    return n;
}

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

/* ---- aggregates ---- */

static quartet_status place_order(struct planner *p, const struct border *order, uint32_t n,
                                  const struct pnode *in, struct expr ***exprs, uint8_t **flags,
                                  struct err *err)
{
    *exprs = arena_zalloc(p->a, n + 1, sizeof(struct expr *));
    *flags = arena_zalloc(p->a, n + 1, 1);
    if (*exprs == NULL || *flags == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < n; i++) {
        (*flags)[i] = order[i].flags;
        quartet_status rc =
            plan_place(p, order[i].expr, in->cids, in->col_count, &(*exprs)[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

static quartet_status key_flags(struct planner *p, struct expr *const *list, uint32_t n,
                                uint8_t **flags, struct err *err)
{
    *flags = arena_zalloc(p->a, n + 1, 1);
    if (*flags == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < n; i++)
        (*flags)[i] = (list[i]->flags & EXPR_NOCASE_VALUE) != 0 ? CELL_KEY_NOCASE : 0;
    return QUARTET_OK;
}

static quartet_status plan_agg_call(struct planner *p, const struct bagg *from,
                                    const struct pnode *in, struct pagg_call *call, struct err *err)
{
    call->spec = from->spec;
    quartet_status rc = plan_place_list(p, from->args, from->spec.arg_count, in->cids,
                                        in->col_count, &call->args, err);
    if (rc == QUARTET_OK && from->filter != NULL)
        rc = plan_place(p, from->filter, in->cids, in->col_count, &call->filter, err);
    call->order_count = from->order_count;
    if (rc == QUARTET_OK && from->order_count > 0)
        rc = place_order(p, from->order, from->order_count, in, &call->order, &call->order_flags,
                         err);
    return rc;
}

static quartet_status plan_agg(struct planner *p, const struct bquery *q, struct pnode *in,
                               struct pnode **out, struct err *err)
{
    struct pagg *pa = arena_zalloc(p->a, 1, sizeof *pa);
    struct pnode *n = pnode_new(p, PN_AGG, q->group_count + q->agg_count + q->bare_count, err);
    if (pa == NULL || n == NULL)
        return arena_fail(p->a, err);
    quartet_status rc =
        plan_place_list(p, q->group, q->group_count, in->cids, in->col_count, &pa->group, err);
    if (rc == QUARTET_OK)
        rc = key_flags(p, q->group, q->group_count, &pa->group_flags, err);
    pa->calls = arena_zalloc(p->a, q->agg_count + 1, sizeof *pa->calls);
    pa->bare = arena_zalloc(p->a, q->bare_count + 1, sizeof *pa->bare);
    if (pa->calls == NULL || pa->bare == NULL)
        return arena_fail(p->a, err);
    pa->group_count = q->group_count;
    pa->call_count = q->agg_count;
    pa->bare_count = q->bare_count;
    pa->bare_by = q->bare_by == BIND_NONE ? PLAN_NONE : q->bare_by;
    pa->sets = q->sets;
    pa->set_count = q->set_count;
    uint32_t at = 0;
    for (uint32_t i = 0; i < q->group_count; i++)
        n->cids[at++] = q->group_cids[i];
    for (uint32_t i = 0; i < q->agg_count && rc == QUARTET_OK; i++) {
        n->cids[at++] = q->aggs[i].cid;
        rc = plan_agg_call(p, &q->aggs[i], in, &pa->calls[i], err);
    }
    for (uint32_t i = 0; i < q->bare_count && rc == QUARTET_OK; i++) {
        n->cids[at++] = q->bare[i].cid;
        uint32_t pos = 0;
        while (pos < in->col_count && in->cids[pos] != q->bare[i].from)
            pos++;
        if (pos == in->col_count)
            return err_set(err, QUARTET_INTERNAL, "the plan lost a column below GROUP BY");
        pa->bare[i] = pos;
    }
    n->child[0] = in;
    n->u.agg = pa;
    n->rows = q->group_count == 0 ? 1 : in->rows * 0.1 + 1;
    *out = n;
    return rc;
}

/* ---- windows ---- */

static bool same_window(const struct bwindow *x, const struct bwindow *y)
{
    if (x->partition_count != y->partition_count || x->order_count != y->order_count)
        return false;
    for (uint32_t i = 0; i < x->partition_count; i++) {
        if (!expr_equal(x->partition[i], y->partition[i]))
            return false;
    }
    for (uint32_t i = 0; i < x->order_count; i++) {
        if (!expr_equal(x->order[i].expr, y->order[i].expr) ||
            x->order[i].flags != y->order[i].flags)
            return false;
    }
    return true;
}

static quartet_status plan_window_call(struct planner *p, const struct bwindow *w,
                                       const struct pnode *in, struct pwindow_call *call,
                                       struct err *err)
{
    *call = (struct pwindow_call){.code = w->code,
                                  .spec = w->spec,
                                  .arg_count = w->arg_count,
                                  .ignore_nulls = w->ignore_nulls,
                                  .mode = w->mode,
                                  .start = w->start,
                                  .end = w->end,
                                  .exclude = w->exclude};
    quartet_status rc =
        plan_place_list(p, w->args, w->arg_count, in->cids, in->col_count, &call->args, err);
    if (rc == QUARTET_OK && w->filter != NULL)
        rc = plan_place(p, w->filter, in->cids, in->col_count, &call->filter, err);
    if (rc == QUARTET_OK && w->start_expr != NULL)
        rc = plan_place(p, w->start_expr, in->cids, in->col_count, &call->start_expr, err);
    if (rc == QUARTET_OK && w->end_expr != NULL)
        rc = plan_place(p, w->end_expr, in->cids, in->col_count, &call->end_expr, err);
    return rc;
}

static quartet_status plan_windows(struct planner *p, const struct bquery *q, struct pnode **io,
                                   struct err *err)
{
    bool *done = arena_zalloc(p->a, q->window_count + 1, sizeof *done);
    if (done == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < q->window_count; i++) {
        struct pnode *in = *io;
        const struct bwindow *w = &q->windows[i];
        uint32_t k = 0;
        if (done[i])
            continue;
        struct pwindow *win = arena_zalloc(p->a, 1, sizeof *win);
        if (win == NULL)
            return arena_fail(p->a, err);
        win->calls = arena_zalloc(p->a, q->window_count, sizeof *win->calls);
        struct pnode *n = pnode_new(p, PN_WINDOW, in->col_count + q->window_count, err);
        if (win->calls == NULL || n == NULL)
            return arena_fail(p->a, err);
        memcpy(n->cids, in->cids, in->col_count * sizeof *n->cids);
        win->partition_count = w->partition_count;
        win->order_count = w->order_count;
        quartet_status rc = plan_place_list(p, w->partition, w->partition_count, in->cids,
                                            in->col_count, &win->partition, err);
        if (rc == QUARTET_OK)
            rc = key_flags(p, w->partition, w->partition_count, &win->partition_flags, err);
        if (rc == QUARTET_OK)
            rc = place_order(p, w->order, w->order_count, in, &win->order, &win->order_flags, err);
        for (uint32_t j = i; j < q->window_count && rc == QUARTET_OK; j++) {
            /* Not even to itself is a window with a subquery the same: no two of these are equal. */
            if (done[j] || (j != i && !same_window(w, &q->windows[j])))
                continue;
            done[j] = true;
            n->cids[in->col_count + k] = q->windows[j].cid;
            rc = plan_window_call(p, &q->windows[j], in, &win->calls[k++], err);
        }
        if (rc != QUARTET_OK)
            return rc;
        win->call_count = k;
        n->col_count = in->col_count + k;
        n->child[0] = in;
        n->rows = in->rows;
        n->u.window = win;
        *io = n;
    }
    return QUARTET_OK;
}

/* ---- SELECT ---- */

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

static quartet_status plan_distinct(struct planner *p, struct pnode *in, const uint32_t *cols,
                                    uint32_t count, const struct bcol *shape, struct pnode **out,
                                    struct err *err)
{
    struct pnode *n = pnode_new(p, PN_DISTINCT, in->col_count, err);
    struct pdistinct *d = arena_zalloc(p->a, 1, sizeof *d);
    if (n == NULL || d == NULL)
        return arena_fail(p->a, err);
    d->cols = arena_zalloc(p->a, count + 1, sizeof *d->cols);
    d->flags = arena_zalloc(p->a, count + 1, 1);
    if (d->cols == NULL || d->flags == NULL)
        return arena_fail(p->a, err);
    d->count = count;
    for (uint32_t i = 0; i < count; i++) {
        d->cols[i] = cols != NULL ? cols[i] : i;
        d->flags[i] =
            shape != NULL && (shape[i].flags & EXPR_NOCASE_VALUE) != 0 ? CELL_KEY_NOCASE : 0;
    }
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

/* SELECT from one table in an order that its scan has anyway. */
static bool already_ordered(const struct bquery *q, const struct pnode *in)
{
    uint32_t cids[16];
    uint8_t flags[16];
    if (q->kind != BQ_SELECT || q->aggregated || q->distinct || q->distinct_on_count > 0 ||
        q->with_ties || q->window_count > 0 || q->order_count > 16 || in->kind != PN_PROJECT ||
        in->child[0]->kind != PN_SCAN)
        return false;
    for (uint32_t i = 0; i < q->order_count; i++) {
        const struct expr *e = q->outs[q->order[i].out];
        if (e->op != EXPR_COLUMN)
            return false;
        cids[i] = e->u.column;
        flags[i] = q->order[i].flags;
    }
    return plan_scan_ordered(in->child[0], cids, flags, q->order_count);
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
    if (rc == QUARTET_OK && q->order_count > 0 && !already_ordered(q, in))
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

static quartet_status plan_select(struct planner *p, struct bquery *q, struct pnode **out,
                                  struct err *err)
{
    struct pnode *n;
    quartet_status rc;
    uint64_t *need = needed(p, q);
    if (need == NULL)
        return arena_fail(p->a, err);
    if (q->from != NULL) {
        rc = plan_from(p, q->from, q->where, q->where_count, need, &n, err);
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
        rc = plan_project(p, q, n, &n, err);
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
    if (s->parts == NULL)
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

/* ---- the whole statement ---- */

static quartet_status plan_top_query(struct planner *p, const struct ast_query *ast,
                                     struct err *err)
{
    struct bquery *q;
    struct plan *pl = p->plan;
    quartet_status rc = bind_query(&p->b, NULL, NULL, NULL, ast, &q, err);
    if (rc != QUARTET_OK)
        return rc;
    p->words = p->b.col_count / 64 + 1;
    rc = plan_query(p, q, &pl->root, err);
    if (rc != QUARTET_OK)
        return rc;
    pl->column_count = q->out_count;
    pl->columns = arena_zalloc(p->a, q->out_count + 1, sizeof *pl->columns);
    if (pl->columns == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < q->out_count; i++)
        pl->columns[i] = (struct plan_column){.name = q->names[i],
                                              .declared = q->shape[i].declared,
                                              .table = q->shape[i].table,
                                              .column = q->shape[i].column};
    return QUARTET_OK;
}

static quartet_status plan_top(struct planner *p, const struct ast_stmt *stmt, struct err *err)
{
    p->plan->writes = stmt->kind != AST_STMT_SELECT;
    switch (stmt->kind) {
    case AST_STMT_SELECT:
        return plan_top_query(p, stmt->u.query, err);
    case AST_STMT_INSERT:
        return plan_insert(p, stmt->u.insert, err);
    case AST_STMT_UPDATE:
        return plan_update(p, stmt->u.update, err);
    case AST_STMT_DELETE:
        return plan_delete(p, stmt->u.del, err);
    case AST_STMT_TRUNCATE:
        return plan_truncate(p, stmt->u.maintenance, err);
    case AST_STMT_BACKTRACK:
        return plan_backtrack(p, stmt->u.backtrack, err);
    case AST_STMT_RESOLVE:
        return plan_resolve(p, stmt->u.resolve, err);
    default:
        return err_set_at(err, QUARTET_ERROR, stmt->offset,
                          "EXPLAIN works on SELECT, INSERT, UPDATE, DELETE, TRUNCATE, BACKTRACK and RESOLVE CONFLICT");
    }
}

static quartet_status explain_top(struct planner *p, const struct ast_stmt *stmt, struct err *err)
{
    struct plan *pl = p->plan;
    bool run = stmt->explain == AST_EXPLAIN_ANALYZE;
    struct pnode *n = pnode_new(p, run ? PN_ANALYZE : PN_TEXT, 1, err);
    if (n == NULL)
        return err->code;
    quartet_status rc = stmt->explain == AST_EXPLAIN_MERGE ? plan_explain_merge(p, &n->u.text, err) : plan_explain(p, &n->u.text, err);
    n->child[0] = run ? pl->root : NULL;
    pl->root = n;
    pl->measured = run;
    pl->writes = pl->writes && run;
    pl->column_count = 1;
    pl->columns = arena_zalloc(p->a, 1, sizeof *pl->columns);
    if (rc == QUARTET_OK && pl->columns == NULL)
        return arena_fail(p->a, err);
    if (rc == QUARTET_OK)
        pl->columns[0].name = "plan";
    return rc;
}

static quartet_status build(struct planner *p, const struct ast_stmt *stmt, plan **out,
                            struct err *err)
{
    struct plan *pl = arena_zalloc(p->a, 1, sizeof *pl);
    if (pl == NULL)
        return arena_fail(p->a, err);
    p->plan = pl;
    pl->a = p->a;
    pl->version = catalog_version(p->b.catalog);
    pl->stats_epoch = p->d != NULL ? stats_epoch(p->d) : 0; /* before any figure is read */
    pl->user_params = p->b.param_count;
    quartet_status rc = plan_top(p, stmt, err);
    if (rc == QUARTET_OK && stmt->explain != AST_EXPLAIN_NONE)
        rc = explain_top(p, stmt, err);
    if (rc != QUARTET_OK)
        return rc;
    pl->param_count = pl->user_params + p->b.slot_count;
    pl->catalog = catalog_ref(p->b.catalog);
    *out = pl;
    return QUARTET_OK;
}

quartet_status plan_build(struct catalog *catalog, db *d, const struct ast_stmt *stmt,
                          struct arena *a, plan **out, struct err *err)
{
    struct planner p = {
        .a = a, .d = d, .figures = stmt->explain != AST_EXPLAIN_NONE, .b = {.a = a, .catalog = catalog, .param_count = stmt->params.count}};
    return build(&p, stmt, out, err);
}

quartet_status plan_build_for_row(struct catalog *catalog, db *d, const struct ast_stmt *stmt,
                                  const struct table_def *row_of, bool has_old, bool has_new,
                                  struct arena *a, plan **out, struct err *err)
{
    struct planner p = {.a = a,
                        .d = d,
                        .b = {.a = a,
                              .catalog = catalog,
                              .param_count = 2 * row_of->column_count,
                              .row_of = row_of,
                              .has_old = has_old,
                              .has_new = has_new}};
    return build(&p, stmt, out, err);
}

void plan_free(plan *p)
{
    if (p == NULL)
        return;
    exec_destroy(p->cached);
    p->cached = NULL;
    catalog_unref(p->catalog);
    p->catalog = NULL;
}

void plan_lend(plan *p, struct arena *spare)
{
    p->spare = spare;
}

uint32_t plan_column_count(const plan *p)
{
    return p->column_count;
}

const struct plan_column *plan_column(const plan *p, uint32_t i)
{
    QASSERT(i < p->column_count);
    return &p->columns[i];
}

bool plan_writes(const plan *p)
{
    return p->writes;
}

uint64_t plan_stats_epoch(const plan *p)
{
    return p->stats_epoch;
}

uint64_t plan_catalog_version(const plan *p)
{
    return p->version;
}
