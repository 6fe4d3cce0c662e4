/* exec_scan.c - rows of a table, by a whole scan, a range, one key, or several. */
#include <stddef.h>
#include <string.h>

#include "exec_internal.h"

struct xscan {
    struct xnode x;
    struct bound_state bound;
    table_scan *scan;
    bool started, done;
    struct vec *cols;
    uint8_t *no_nulls; /* keys are never NULL */
    uint16_t sel[BATCH_ROWS_MAX];
};

static quartet_status scan_open(struct xnode *x, struct err *err)
{
    struct xscan *s = (struct xscan *)x;
    (void)err;
    s->started = s->done = false;
    return QUARTET_OK;
}

static void scan_close(struct xnode *x)
{
    struct xscan *s = (struct xscan *)x;
    if (!x->run->e->last) {
        table_scan_rest(s->scan);
        return;
    }
    table_scan_close(s->scan);
    s->scan = NULL;
}

static quartet_status scan_start(struct xscan *s, struct err *err)
{
    const struct pscan *p = s->x.p->u.scan;
    const struct key_bound *bound = NULL;
    s->started = true;
    tmp_reset(&s->x); /* the bound's values live there until the end */
    if (p->bounded) {
        quartet_status rc = bound_eval(&s->bound, p, &s->x.ctx, NULL, 0, err);
        if (rc != QUARTET_OK)
            return rc;
        s->done = s->bound.empty;
        bound = &s->bound.bound;
    }
    if (s->done)
        return QUARTET_OK;
    if (s->scan != NULL)
        return table_scan_rebind(s->scan, s->x.run->e->t, bound, err);
    struct scan_want want = {.columns = p->columns,
                             .column_count = p->column_count,
                             .keys = p->keys,
                             .reverse = p->reverse};
    return table_scan_open(s->x.run->e->t, p->table, p->index, bound, &want, &s->scan, err);
}

static quartet_status add_key_column(struct xscan *s, struct batch *b, struct err *err)
{
    if (s->cols == NULL) {
        s->no_nulls = keep_alloc(s->x.run->e, BATCH_ROWS_MAX, 1);
        s->cols = keep_alloc(s->x.run->e, s->x.p->col_count, sizeof *s->cols);
        if (s->cols == NULL || s->no_nulls == NULL)
            return arena_fail(&s->x.run->e->keep, err);
    }
    memcpy(s->cols, b->cols, b->col_count * sizeof *s->cols);
    s->cols[b->col_count] = (struct vec){.type = VALUE_BLOB, .null = s->no_nulls};
    s->cols[b->col_count].s = b->keys;
    b->cols = s->cols;
    b->col_count++;
    return QUARTET_OK;
}

static quartet_status scan_filter(struct xscan *s, const struct expr *filter, struct err *err)
{
    uint32_t n;
    quartet_status rc = expr_filter(filter, &s->x.ctx, &s->x.out, s->sel, &n, err);
    s->x.out.sel = s->sel;
    s->x.out.n = n;
    return rc;
}

static quartet_status scan_next(struct xnode *x, struct err *err)
{
    struct xscan *s = (struct xscan *)x;
    const struct pscan *p = x->p->u.scan;
    quartet_status rc = QUARTET_OK;
    if (!s->started)
        rc = scan_start(s, err);
    while (rc == QUARTET_OK && !s->done) {
        rc = exec_check(x->run->e, err);
        if (rc == QUARTET_OK)
            rc = table_scan_next(s->scan, 0, &x->out, err);
        if (rc != QUARTET_OK)
            return rc;
        if (x->out.n == 0) {
            s->done = !p->bounded || !bound_next(&s->bound);
            if (!s->done)
                rc = table_scan_rebind(s->scan, x->run->e->t, &s->bound.bound, err);
            continue;
        }
        if (p->keys)
            rc = add_key_column(s, &x->out, err);
        if (!p->bounded)
            tmp_reset(x);
        if (rc == QUARTET_OK && p->bound_filter != NULL && s->bound.inexact)
            rc = scan_filter(s, p->bound_filter, err);
        if (rc == QUARTET_OK && p->filter != NULL && x->out.n > 0)
            rc = scan_filter(s, p->filter, err);
        if (rc != QUARTET_OK || x->out.n > 0)
            return rc;
    }
    x->out.n = 0;
    return rc;
}

const struct xkind xkind_scan = {sizeof(struct xscan), {scan_open, scan_next, scan_close}, offsetof(struct xscan, sel)};
