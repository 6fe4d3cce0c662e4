/* plan_agg.c - GROUP BY with its aggregates, and window functions: one node for all windows that share PARTITION BY and
 * ORDER BY. */
#include "plan_query.h"

#include <string.h>

#include "exec_key.h"

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

quartet_status plan_agg(struct planner *p, const struct bquery *q, struct pnode *in,
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

quartet_status plan_windows(struct planner *p, const struct bquery *q, struct pnode **io,
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
