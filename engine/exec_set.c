/* exec_set.c - DISTINCT, UNION, INTERSECT and EXCEPT, plain and ALL.
 * Why one keyset for all parts: a row gets the same number whichever part it comes from, so the
 * operators are arithmetic on counts. Combinations go from left to right, as in SQLite. */
#include <string.h>

#include "exec_internal.h"

/* ---- DISTINCT ---- */

struct xdistinct {
    struct xnode x;
    struct keyset keys;
    struct vec *cols;
    uint32_t ids[BATCH_ROWS_MAX];
    uint16_t sel[BATCH_ROWS_MAX];
};

static quartet_status distinct_open(struct xnode *x, struct err *err)
{
    struct xdistinct *d = (struct xdistinct *)x;
    const struct pdistinct *p = x->p->u.distinct;
    keyset_init(&d->keys, p->count, p->flags, &x->run->data);
    if (d->cols == NULL) {
        d->cols = keep_alloc(x->run->e, p->count, sizeof *d->cols);
        if (d->cols == NULL)
            return arena_fail(&x->run->e->keep, err);
    }
    return child_open(x, 0, err);
}

static quartet_status distinct_next(struct xnode *x, struct err *err)
{
    struct xdistinct *d = (struct xdistinct *)x;
    const struct pdistinct *p = x->p->u.distinct;
    for (;;) {
        quartet_status rc = child_next(x, 0, err);
        if (rc != QUARTET_OK)
            return rc;
        x->out = x->child[0]->out;
        if (x->out.n == 0)
            return QUARTET_OK;
        uint32_t known = d->keys.n, fresh = 0;
        for (uint32_t i = 0; i < p->count; i++)
            d->cols[i] = x->out.cols[p->cols[i]];
        rc = keyset_rows(&d->keys, d->cols, x->out.sel, x->out.n, true, false, d->ids, err);
        if (rc != QUARTET_OK)
            return rc;
        for (uint32_t k = 0; k < x->out.n; k++) {
            uint16_t row = (uint16_t)batch_row(
                &x->out, k); /* sel may be ours already: read before written, fresh <= k */
            if (d->ids[k] == known + fresh) {
                d->sel[fresh++] = row;
            }
        }
        x->out.sel = d->sel;
        x->out.n = fresh;
        if (fresh > 0)
            return QUARTET_OK;
    }
}

static void distinct_close(struct xnode *x)
{
    keyset_deinit(&((struct xdistinct *)x)->keys);
}

const struct xkind xkind_distinct = {sizeof(struct xdistinct),
                                     {distinct_open, distinct_next, distinct_close}, 0};

/* ---- set operations ---- */

struct xset {
    struct xnode x;
    struct xnode **parts;
    uint32_t part; /* UNION ALL only: the part that is being passed on */
    bool streams, built;
    struct keyset keys;
    struct rows rows; /* one of each key */
    uint64_t *count;  /* how often each key is in the result so far */
    uint64_t *seen;   /* in the part that is being read */
    uint32_t cap;
    uint32_t key_at;
    uint64_t copy_at;
    struct outvec *cols;
    uint32_t ids[BATCH_ROWS_MAX];
    uint16_t sel[BATCH_ROWS_MAX];
};

static quartet_status set_open(struct xnode *x, struct err *err)
{
    struct xset *s = (struct xset *)x;
    const struct pset *p = x->p->u.set;
    struct exec *e = x->run->e;
    s->part = s->key_at = s->cap = 0;
    s->copy_at = 0;
    s->built = false;
    s->streams = true;
    s->count = s->seen = NULL;
    for (uint32_t i = 1; i < p->part_count; i++)
        s->streams &= p->ops[i] == AST_SET_UNION_ALL;
    if (s->parts == NULL) {
        s->parts = keep_alloc(e, p->part_count, sizeof(struct xnode *));
        s->cols = keep_alloc(e, x->p->col_count, sizeof *s->cols);
        if (s->parts == NULL || s->cols == NULL)
            return arena_fail(&e->keep, err);
        for (uint32_t i = 0; i < p->part_count; i++) {
            quartet_status rc = xnode_make(e, x->run, p->parts[i], &s->parts[i], err);
            if (rc != QUARTET_OK)
                return rc;
        }
    }
    keyset_init(&s->keys, x->p->col_count, NULL, &x->run->data);
    rows_init(&s->rows, x->p->col_count, &x->run->data);
    for (uint32_t i = 0; i < p->part_count; i++) {
        quartet_status rc = s->parts[i]->ops->open(s->parts[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return out_vecs(x, x->p->col_count, err);
}

static quartet_status counts_reserve(struct xset *s, uint32_t n, struct err *err)
{
    struct arena *a = &s->x.run->data;
    if (n <= s->cap)
        return QUARTET_OK;
    uint32_t cap = s->cap == 0 ? 64 : s->cap;
    while (cap < n)
        cap *= 2;
    uint64_t *count = arena_zalloc(a, cap, sizeof *count),
             *seen = arena_zalloc(a, cap, sizeof *seen);
    if (count == NULL || seen == NULL)
        return arena_fail(a, err);
    if (s->cap > 0) {
        memcpy(count, s->count, s->cap * sizeof *count);
        memcpy(seen, s->seen, s->cap * sizeof *seen);
    }
    s->count = count;
    s->seen = seen;
    s->cap = cap;
    return QUARTET_OK;
}

static quartet_status read_part(struct xset *s, struct xnode *part, struct err *err)
{
    if (s->cap > 0)
        memset(s->seen, 0, s->cap * sizeof *s->seen);
    for (;;) {
        quartet_status rc = part->ops->next(part, err);
        const struct batch *in = &part->out;
        if (rc != QUARTET_OK || in->n == 0)
            return rc;
        uint32_t known = s->keys.n, fresh = 0;
        rc = keyset_rows(&s->keys, in->cols, in->sel, in->n, true, false, s->ids, err);
        if (rc == QUARTET_OK)
            rc = counts_reserve(s, s->keys.n, err);
        if (rc != QUARTET_OK)
            return rc;
        for (uint32_t k = 0; k < in->n; k++) {
            s->seen[s->ids[k]]++;
            if (s->ids[k] == known + fresh)
                s->sel[fresh++] = (uint16_t)batch_row(in, k);
        }
        rc = rows_append_vecs(&s->rows, in->cols, s->sel, fresh, err);
        if (rc != QUARTET_OK)
            return rc;
    }
}

static uint64_t combine(uint8_t op, uint64_t a, uint64_t b)
{
    switch (op) {
    case AST_SET_FIRST:
    case AST_SET_UNION_ALL:
        return a + b;
    case AST_SET_UNION:
        return a + b > 0;
    case AST_SET_INTERSECT:
        return a > 0 && b > 0;
    case AST_SET_INTERSECT_ALL:
        return a < b ? a : b;
    case AST_SET_EXCEPT:
        return a > 0 && b == 0;
    default:
        return a > b ? a - b : 0;
    }
}

static quartet_status set_build(struct xset *s, struct err *err)
{
    const struct pset *p = s->x.p->u.set;
    s->built = true;
    for (uint32_t i = 0; i < p->part_count; i++) {
        quartet_status rc = read_part(s, s->parts[i], err);
        if (rc != QUARTET_OK)
            return rc;
        for (uint32_t k = 0; k < s->keys.n; k++)
            s->count[k] = combine(i == 0 ? AST_SET_FIRST : p->ops[i], s->count[k], s->seen[k]);
    }
    return QUARTET_OK;
}

static quartet_status set_stream(struct xset *s, struct err *err)
{
    struct xnode *x = &s->x;
    x->out.n = 0;
    while (s->part < x->p->u.set->part_count) {
        struct xnode *part = s->parts[s->part];
        quartet_status rc = part->ops->next(part, err);
        if (rc != QUARTET_OK)
            return rc;
        if (part->out.n > 0) {
            x->out = part->out;
            return QUARTET_OK;
        }
        s->part++;
    }
    return QUARTET_OK;
}

static quartet_status set_next(struct xnode *x, struct err *err)
{
    struct xset *s = (struct xset *)x;
    uint32_t ids[BATCH_ROWS_MAX], n = 0;
    if (s->streams)
        return set_stream(s, err);
    quartet_status rc = s->built ? QUARTET_OK : set_build(s, err);
    if (rc != QUARTET_OK)
        return rc;
    while (s->key_at < s->keys.n && n < BATCH_ROWS_MAX) {
        if (s->copy_at < s->count[s->key_at]) {
            ids[n++] = s->key_at;
            s->copy_at++;
        } else {
            s->key_at++;
            s->copy_at = 0;
        }
    }
    x->out.n = n;
    for (uint32_t c = 0; c < x->p->col_count && n > 0; c++) {
        rc = rows_gather(&s->rows, c, ids, n, &s->cols[c], &x->run->e->keep, err);
        if (rc != QUARTET_OK)
            return rc;
        x->out.cols[c] = s->cols[c].v;
    }
    return QUARTET_OK;
}

static void set_close(struct xnode *x)
{
    keyset_deinit(&((struct xset *)x)->keys);
}

const struct xkind xkind_set = {sizeof(struct xset), {set_open, set_next, set_close}, 0};
