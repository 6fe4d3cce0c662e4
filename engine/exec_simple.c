/* exec_simple.c - operators that pass rows on or make a few: FILTER, PROJECT, LIMIT, VALUES,
 * series, texts. */
#include <stddef.h>
#include <string.h>

#include "exec_internal.h"

/* ---- one row without columns: SELECT without FROM ---- */

struct xone {
    struct xnode x;
    bool done;
};

static quartet_status one_open(struct xnode *x, struct err *err)
{
    (void)err;
    ((struct xone *)x)->done = false;
    return QUARTET_OK;
}

static quartet_status one_next(struct xnode *x, struct err *err)
{
    struct xone *o = (struct xone *)x;
    (void)err;
    x->out = (struct batch){.n = o->done ? 0 : 1};
    o->done = true;
    return QUARTET_OK;
}

const struct xkind xkind_one = {sizeof(struct xone), {one_open, one_next, NULL}, 0};

/* ---- FILTER ---- */

struct xfilter {
    struct xnode x;
    uint16_t sel[BATCH_ROWS_MAX];
};

static quartet_status pass_open(struct xnode *x, struct err *err)
{
    return child_open(x, 0, err);
}

static quartet_status filter_next(struct xnode *x, struct err *err)
{
    struct xfilter *f = (struct xfilter *)x;
    for (;;) {
        uint32_t n;
        quartet_status rc = child_next(x, 0, err);
        if (rc != QUARTET_OK)
            return rc;
        x->out = x->child[0]->out;
        if (x->out.n == 0)
            return QUARTET_OK;
        tmp_reset(x);
        rc = expr_filter(x->p->u.filter, &x->ctx, &x->out, f->sel, &n, err);
        if (rc != QUARTET_OK)
            return rc;
        x->out.sel = f->sel;
        x->out.n = n;
        if (n > 0)
            return QUARTET_OK;
    }
}

const struct xkind xkind_filter = {sizeof(struct xfilter), {pass_open, filter_next, NULL}, offsetof(struct xfilter, sel)};

/* ---- PROJECT ---- */

struct xproject {
    struct xnode x;
};

static quartet_status project_next(struct xnode *x, struct err *err)
{
    quartet_status rc = child_next(x, 0, err);
    if (rc == QUARTET_OK)
        rc = out_vecs(x, x->p->col_count, err);
    if (rc != QUARTET_OK)
        return rc;
    const struct batch *in = &x->child[0]->out;
    x->out.n = in->n;
    x->out.sel = in->sel;
    if (in->n == 0)
        return QUARTET_OK;
    tmp_reset(x);
    for (uint32_t i = 0; i < x->p->col_count; i++) {
        const struct expr *e = x->p->u.project[i];
        if (e->op == EXPR_COLUMN) {
            x->out.cols[i] = in->cols[e->u.column];
            continue;
        }
        rc = expr_eval(e, &x->ctx, in, &x->out.cols[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

const struct xkind xkind_project = {sizeof(struct xproject), {pass_open, project_next, NULL}, 0};

/* ---- LIMIT ---- */

struct xlimit {
    struct xnode x;
    uint64_t skip, left;
    bool tied;
    struct buf last, next; /* keys of the last row within the limit */
    uint16_t sel[BATCH_ROWS_MAX];
};

static quartet_status limit_value(struct xnode *x, const struct expr *e, uint64_t missing,
                                  uint64_t *out, struct err *err)
{
    struct value v;
    *out = missing;
    if (e == NULL)
        return QUARTET_OK;
    quartet_status rc = expr_value(e, &x->ctx, NULL, 0, &v, err);
    if (rc == QUARTET_OK && v.type != VALUE_NULL)
        rc = types_affinity(VALUE_INTEGER, &v, x->ctx.arena, err);
    if (rc != QUARTET_OK || v.type == VALUE_NULL)
        return rc;
    if (v.type != VALUE_INTEGER)
        return err_set_at(err, QUARTET_MISMATCH, e->sql_offset,
                          "LIMIT and OFFSET must be integers");
    if (v.i >= 0)
        *out = (uint64_t)v.i;
    return QUARTET_OK;
}

static quartet_status limit_open(struct xnode *x, struct err *err)
{
    struct xlimit *l = (struct xlimit *)x;
    const struct plimit *p = x->p->u.limit;
    quartet_status rc = child_open(x, 0, err);
    tmp_reset(x);
    l->tied = false;
    if (rc == QUARTET_OK)
        rc = limit_value(x, p->offset, 0, &l->skip, err);
    if (rc == QUARTET_OK)
        rc = limit_value(x, p->limit, UINT64_MAX, &l->left, err);
    return rc;
}

static void tie_key(const struct plimit *p, const struct batch *b, uint32_t row, struct buf *out)
{
    buf_clear(out);
    for (uint32_t i = 0; i < p->tie_count; i++)
        cell_key_put_vec(out, &b->cols[p->tie_cols[i]], row, p->tie_flags[i]);
}

/* Rows behind the limit that tie with the last one within. */
static uint32_t tied_rows(struct xlimit *l, const struct batch *b, uint32_t from)
{
    const struct plimit *p = l->x.p->u.limit;
    uint32_t n = 0;
    while (from + n < b->n) {
        tie_key(p, b, batch_row(b, from + n), &l->next);
        if (l->next.len != l->last.len || memcmp(l->next.data, l->last.data, l->last.len) != 0)
            break;
        n++;
    }
    return n;
}

void batch_cut(struct batch *b, uint32_t from, uint32_t n, uint16_t *sel)
{
    if (from == 0) {
        b->n = n;
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        sel[i] = (uint16_t)batch_row(b, from + i);
    b->sel = sel;
    b->n = n;
}

static quartet_status limit_next(struct xnode *x, struct err *err)
{
    struct xlimit *l = (struct xlimit *)x;
    const struct plimit *p = x->p->u.limit;
    x->out.n = 0;
    while (l->left > 0 || l->tied) {
        quartet_status rc = child_next(x, 0, err);
        if (rc != QUARTET_OK)
            return rc;
        struct batch b = x->child[0]->out;
        uint32_t from = l->skip < b.n ? (uint32_t)l->skip : b.n;
        uint32_t n = b.n - from;
        if (b.n == 0)
            break;
        l->skip -= from;
        if (n > l->left)
            n = (uint32_t)l->left;
        l->left -= n;
        if (p->tie_count > 0 && l->left == 0) {
            if (n > 0)
                tie_key(p, &b, batch_row(&b, from + n - 1), &l->last);
            uint32_t more = tied_rows(l, &b, from + n);
            l->tied = from + n + more == b.n;
            n += more;
        }
        if (n == 0 && !l->tied && l->left == 0)
            break;
        if (n == 0)
            continue;
        batch_cut(&b, from, n, l->sel);
        x->out = b;
        return QUARTET_OK;
    }
    l->left = 0;
    l->tied = false;
    return QUARTET_OK;
}

static void limit_close(struct xnode *x)
{
    struct xlimit *l = (struct xlimit *)x;
    buf_deinit(&l->last);
    buf_deinit(&l->next);
}

const struct xkind xkind_limit = {sizeof(struct xlimit), {limit_open, limit_next, limit_close}, 0};

/* ---- VALUES ---- */

struct xvalues {
    struct xnode x;
    uint32_t at;
    struct outvec *cols;
};

static quartet_status values_open(struct xnode *x, struct err *err)
{
    struct xvalues *v = (struct xvalues *)x;
    v->at = 0;
    if (v->cols == NULL) {
        v->cols = keep_alloc(x->run->e, x->p->col_count, sizeof *v->cols);
        if (v->cols == NULL)
            return arena_fail(&x->run->e->keep, err);
    }
    return out_vecs(x, x->p->col_count, err);
}

static quartet_status values_next(struct xnode *x, struct err *err)
{
    struct xvalues *v = (struct xvalues *)x;
    const struct pvalues *p = x->p->u.values;
    uint32_t n = p->row_count - v->at < BATCH_ROWS_MAX ? p->row_count - v->at : BATCH_ROWS_MAX;
    x->out.n = n;
    x->out.sel = NULL;
    if (n == 0)
        return QUARTET_OK;
    quartet_status rc = exec_check(x->run->e, err);
    tmp_reset(x);
    for (uint32_t c = 0; c < x->p->col_count && rc == QUARTET_OK; c++) {
        if (!outvec_reset(&v->cols[c], VEC_MIXED, n, &x->run->e->keep))
            return arena_fail(&x->run->e->keep, err);
        for (uint32_t k = 0; k < n && rc == QUARTET_OK; k++) {
            rc = expr_value(p->rows[v->at + k][c], &x->ctx, NULL, 0, &v->cols[c].v.v[k], err);
            if (v->cols[c].v.v[k].type == VALUE_NULL) {
                v->cols[c].null[k] = 1;
                v->cols[c].v.has_null = true;
            }
        }
        x->out.cols[c] = v->cols[c].v;
    }
    v->at += n;
    return rc;
}

const struct xkind xkind_values = {sizeof(struct xvalues), {values_open, values_next, NULL}, 0};

/* ---- generate_series ---- */

struct xseries {
    struct xnode x;
    int64_t next, stop, step;
    bool done;
    struct outvec col;
};

static quartet_status series_open(struct xnode *x, struct err *err)
{
    struct xseries *s = (struct xseries *)x;
    int64_t v[3] = {0, 0, 1};
    s->done = false;
    tmp_reset(x);
    for (uint32_t i = 0; i < 3; i++) {
        struct value value = value_int(1);
        quartet_status rc = x->p->u.args[i] == NULL
                                ? QUARTET_OK
                                : expr_value(x->p->u.args[i], &x->ctx, NULL, 0, &value, err);
        if (rc != QUARTET_OK)
            return rc;
        if (!types_to_int64(&value, &v[i]))
            s->done = true;
    }
    s->next = v[0];
    s->stop = v[1];
    s->step = v[2] == 0 ? 1 : v[2];
    return out_vecs(x, 1, err);
}

static quartet_status series_next(struct xnode *x, struct err *err)
{
    struct xseries *s = (struct xseries *)x;
    uint32_t n = 0;
    quartet_status rc = exec_check(x->run->e, err);
    if (rc != QUARTET_OK)
        return rc;
    if (!outvec_reset(&s->col, VALUE_INTEGER, BATCH_ROWS_MAX, &x->run->e->keep))
        return arena_fail(&x->run->e->keep, err);
    while (!s->done && n < BATCH_ROWS_MAX) {
        if (s->step > 0 ? s->next > s->stop : s->next < s->stop) {
            s->done = true;
            break;
        }
        s->col.v.i[n++] = s->next;
        s->done = __builtin_add_overflow(s->next, s->step, &s->next);
    }
    x->out.cols[0] = s->col.v;
    x->out.n = n;
    return QUARTET_OK;
}

const struct xkind xkind_series = {sizeof(struct xseries), {series_open, series_next, NULL}, 0};

/* ---- texts: EXPLAIN ---- */

struct xtext {
    struct xnode x;
    uint32_t at;
    struct outvec col;
};

static quartet_status text_open(struct xnode *x, struct err *err)
{
    ((struct xtext *)x)->at = 0;
    return out_vecs(x, 1, err);
}

static quartet_status text_next(struct xnode *x, struct err *err)
{
    struct xtext *t = (struct xtext *)x;
    const struct ptext *p = x->p->u.text;
    uint32_t n = p->count - t->at < BATCH_ROWS_MAX ? p->count - t->at : BATCH_ROWS_MAX;
    if (!outvec_reset(&t->col, VALUE_TEXT, n, &x->run->e->keep))
        return arena_fail(&x->run->e->keep, err);
    for (uint32_t i = 0; i < n; i++)
        t->col.v.s[i] = slice_of(p->lines[t->at + i], strlen(p->lines[t->at + i]));
    t->at += n;
    x->out.cols[0] = t->col.v;
    x->out.n = n;
    return QUARTET_OK;
}

const struct xkind xkind_text = {sizeof(struct xtext), {text_open, text_next, NULL}, 0};
