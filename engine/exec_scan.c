/* exec_scan.c - rows of a table, by a whole scan, a range, one key, or several. */
#include <stddef.h>
#include <string.h>

#include "exec_internal.h"

#define FEW_ROWS 8u
#define SEMI_TRY 4096u /* rows, until it is known what a join above would drop */

struct xscan {
    struct xnode x;
    struct bound_state bound;
    table_scan *scan;
    bool whole; /* it reads the table by its primary key, whatever the plan says */
    bool started, done;
    struct arena_mark values; /* in x.tmp, those of the bound end here */
    struct scan_key key;
    const struct scan_cut *cut; /* or NULL */
    struct scan_semi *semis;
    uint32_t asked;             /* rows at a time; 0: as many as come */
    bool *late;                 /* columns that nothing asks for before rows were dropped; or NULL */
    uint16_t sel[BATCH_ROWS_MAX];
};

static quartet_status scan_open(struct xnode *x, struct err *err)
{
    struct xscan *s = (struct xscan *)x;
    (void)err;
    s->started = s->done = false;
    s->asked = x->p->u.scan->few ? FEW_ROWS : 0;
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

void scan_set_cut(struct xnode *scan, const struct scan_cut *cut)
{
    ((struct xscan *)scan)->cut = cut;
}

void scan_add_semi(struct xnode *scan, struct scan_semi *semi)
{
    struct xscan *s = (struct xscan *)scan;
    semi->next = s->semis;
    s->semis = semi;
}

static bool column_is_early(void *arg, const struct expr *e)
{
    bool *late = arg;
    if (e->op == EXPR_COLUMN)
        late[e->u.column] = false;
    return (e->op != EXPR_SUBQUERY && e->op != EXPR_EXISTS && e->op != EXPR_IN_QUERY) || ((const struct bsub *)e->u.subquery)->set_count == 0;
}

/* Which columns can wait until the rows that are wanted are known? */
static quartet_status find_late(struct xscan *s, struct err *err)
{
    const struct pscan *p = s->x.p->u.scan;
    if ((p->filter == NULL && p->bound_filter == NULL && s->cut == NULL && s->semis == NULL) || p->keys || p->index != NULL)
        return QUARTET_OK;
    s->late = keep_alloc(s->x.run->e, p->column_count, sizeof *s->late);
    if (s->late == NULL)
        return arena_fail(&s->x.run->e->keep, err);
    memset(s->late, true, p->column_count * sizeof *s->late);
    if (s->cut != NULL)
        s->late[s->cut->column] = false;
    for (const struct scan_semi *m = s->semis; m != NULL; m = m->next)
        for (uint32_t i = 0; i < m->at.count; i++)
            s->late[m->at.columns[i]] = false;
    if ((p->filter != NULL && !expr_walk(p->filter, column_is_early, s->late)) ||
        (p->bound_filter != NULL && !expr_walk(p->bound_filter, column_is_early, s->late)))
        s->late = NULL; /* a subquery for each row reads whatever it likes */
    return QUARTET_OK;
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
        bound = s->bound.whole ? NULL : &s->bound.bound;
        if (s->scan != NULL && s->whole != s->bound.whole) {
            table_scan_close(s->scan);
            s->scan = NULL;
        }
        s->whole = s->bound.whole;
    }
    s->values = arena_mark(&s->x.tmp);
    hlc_stamp as_of = 0;
    if (!s->done && p->as_of_expr != NULL) {
        quartet_status rc = exec_as_of(p->as_of, p->as_of_expr, &s->x.ctx, &as_of, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if (s->done)
        return QUARTET_OK;
    if (s->scan != NULL)
        table_scan_at(s->scan, as_of);
    if (s->scan != NULL)
        return table_scan_rebind(s->scan, s->x.run->e->t, bound, err);
    quartet_status rc = find_late(s, err);
    if (rc != QUARTET_OK)
        return rc;
    struct scan_want want = {.columns = p->columns,
                             .column_count = p->column_count,
                             .late = s->late,
                             .keys = p->keys,
                             .reverse = p->reverse,
                             .as_of = as_of};
    return table_scan_open(s->x.run->e->t, p->table, s->whole ? NULL : p->index, bound, &want, &s->scan, err);
}

quartet_status scan_add_key(struct exec *e, struct scan_key *k, struct batch *b, struct err *err)
{
    if (k->cols == NULL) {
        k->no_nulls = keep_alloc(e, BATCH_ROWS_MAX, 1);
        k->cols = keep_alloc(e, b->col_count + 1u, sizeof *k->cols);
        if (k->cols == NULL || k->no_nulls == NULL)
            return arena_fail(&e->keep, err);
    }
    memcpy(k->cols, b->cols, b->col_count * sizeof *k->cols);
    k->cols[b->col_count] = (struct vec){.type = VALUE_BLOB, .null = k->no_nulls};
    k->cols[b->col_count].s = b->keys;
    b->cols = k->cols;
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

/* Rows that have a partner in the join above. */
static quartet_status semi_filter(struct xscan *s, struct scan_semi *m, struct err *err)
{
    struct batch *out = &s->x.out;
    struct vec cols[PLAN_SEMI_KEYS_MAX];
    uint32_t ids[BATCH_ROWS_MAX], n = 0;
    for (uint32_t i = 0; i < m->at.count; i++)
        cols[i] = out->cols[m->at.columns[i]];
    quartet_status rc = keyset_rows(m->keys, cols, out->sel, out->n, false, true, ids, err);
    for (uint32_t k = 0; k < out->n && rc == QUARTET_OK; k++) {
        s->sel[n] = (uint16_t)batch_row(out, k); /* sel may be out->sel: writing never overtakes reading */
        n += ids[k] != KEYSET_NONE;
    }
    m->asked += out->n;
    m->kept += n;
    if (m->asked >= SEMI_TRY && m->kept > m->asked / 2)
        m->on = false;
    out->sel = s->sel;
    out->n = n;
    return rc;
}

/* What is left of a batch: by the conditions, by joins above, and by what the sort above still wants. */
static quartet_status scan_narrow(struct xscan *s, struct err *err)
{
    const struct pscan *p = s->x.p->u.scan;
    struct batch *out = &s->x.out;
    quartet_status rc = QUARTET_OK;
    if (p->bound_filter != NULL && s->bound.inexact)
        rc = scan_filter(s, p->bound_filter, err);
    if (rc == QUARTET_OK && p->filter != NULL && out->n > 0)
        rc = scan_filter(s, p->filter, err);
    for (struct scan_semi *m = s->semis; m != NULL && rc == QUARTET_OK && out->n > 0; m = m->next)
        rc = m->on ? semi_filter(s, m, err) : QUARTET_OK;
    if (rc == QUARTET_OK && s->cut != NULL && s->cut->on && out->n > 0 &&
        cell_key_upto(&out->cols[s->cut->column], out, s->cut->flags, s->cut->prefix, s->sel, &out->n))
        out->sel = s->sel;
    if (rc == QUARTET_OK && s->late != NULL && out->n > 0)
        rc = table_scan_late(s->scan, out, err);
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
            rc = table_scan_next(s->scan, s->asked, &x->out, err);
        s->asked = s->asked * 4 < BATCH_ROWS_MAX ? s->asked * 4 : 0; /* the first ones were not enough */
        if (rc != QUARTET_OK)
            return rc;
        if (x->out.n == 0) {
            s->done = !p->bounded || !bound_next(&s->bound);
            if (!s->done)
                rc = table_scan_rebind(s->scan, x->run->e->t, &s->bound.bound, err);
            continue;
        }
        if (p->keys)
            rc = scan_add_key(x->run->e, &s->key, &x->out, err);
        arena_rewind(&x->tmp, s->values);
        if (rc == QUARTET_OK)
            rc = scan_narrow(s, err);
        if (rc != QUARTET_OK || x->out.n > 0)
            return rc;
    }
    x->out.n = 0;
    return rc;
}

const struct xkind xkind_scan = {sizeof(struct xscan), {scan_open, scan_next, scan_close}, offsetof(struct xscan, sel)};
