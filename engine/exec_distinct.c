/* exec_distinct.c - DISTINCT and DISTINCT ON: the first row of each key.
 * Past a part of memory_limit no key is added: rows of keys that are not there go to piles on disk (exec_pile.h), each of which is gone through later in the same
 * way. DISTINCT ON stands above a sort, so the rows that piles give are put back into the order in which they came. */
#include "exec_pile.h"

struct xdistinct {
    struct xnode x;
    struct arena data, feed; /* of the keys; of rows that come back from a pile */
    struct keyset keys;
    struct vec *cols, *fed;
    bool full;
    uint32_t depth;
    struct piles piles;
    struct pile from; /* what is gone through; rows NULL: the input */
    struct late_rows late;
    bool late_read;
    uint64_t number;  /* rows of the input so far */
    int64_t *numbers; /* of the batch's rows */
    uint32_t ids[BATCH_ROWS_MAX];
    uint16_t sel[BATCH_ROWS_MAX];
};

static void distinct_forget(struct xdistinct *d)
{
    piles_reset(&d->piles);
    late_reset(&d->late);
    spill_free(d->from.rows);
    d->from = (struct pile){0};
    d->late_read = false;
}

static void pass_begin(struct xdistinct *d, uint32_t depth)
{
    const struct pdistinct *p = d->x.p->u.distinct;
    arena_rewind(&d->data, (struct arena_mark){0});
    keyset_init(&d->keys, p->count, p->flags, &d->data);
    d->full = false;
    d->depth = depth;
}

static quartet_status distinct_open(struct xnode *x, struct err *err)
{
    struct xdistinct *d = (struct xdistinct *)x;
    const struct pdistinct *p = x->p->u.distinct;
    struct arena *keep = &x->run->e->keep;
    distinct_forget(d);
    d->data.limit_bytes = d->feed.limit_bytes = x->run->e->limits.memory_bytes;
    d->number = 0;
    pass_begin(d, 0);
    if (d->cols == NULL) {
        d->cols = keep_alloc(x->run->e, p->count, sizeof *d->cols);
        d->fed = keep_alloc(x->run->e, x->p->col_count + 1u, sizeof *d->fed);
        if (d->cols == NULL || d->fed == NULL)
            return arena_fail(keep, err);
    }
    return child_open(x, 0, err);
}

/* Rows of keys that are not there go to piles, with their number where that is asked for. */
static quartet_status put_away(struct xdistinct *d, const struct batch *in, struct err *err)
{
    const struct pdistinct *p = d->x.p->u.distinct;
    struct exec *e = d->x.run->e;
    uint32_t n = d->x.p->col_count;
    const struct vec *cols = in->cols;
    quartet_status rc = keyset_rows(&d->keys, d->cols, in->sel, in->n, false, false, d->ids, err);
    if (rc == QUARTET_OK && p->ordered && d->from.rows == NULL) {
        if (d->numbers == NULL && (d->numbers = keep_alloc(e, BATCH_ROWS_MAX, sizeof *d->numbers)) == NULL)
            return arena_fail(&e->keep, err);
        for (uint32_t k = 0; k < in->n; k++)
            d->numbers[batch_row(in, k)] = (int64_t)(d->number + k);
        memcpy(d->fed, in->cols, n * sizeof *d->fed);
        d->fed[n] = (struct vec){.type = VALUE_INTEGER, .i = d->numbers};
        cols = d->fed;
    }
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++)
        if (d->ids[k] == KEYSET_NONE)
            rc = piles_put(&d->piles, e, d->depth, d->cols, p->flags, p->count, cols, p->ordered ? n + 1 : n, batch_row(in, k), err);
    return rc;
}

/* The first rows of their keys, into sel. */
static quartet_status first_rows(struct xdistinct *d, const struct batch *in, uint32_t *fresh, struct err *err)
{
    uint32_t known = d->keys.n;
    *fresh = 0;
    quartet_status rc = keyset_rows(&d->keys, d->cols, in->sel, in->n, true, false, d->ids, err);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint16_t row = (uint16_t)batch_row(in, k); /* sel may be ours already: read before written, fresh <= k */
        if (d->ids[k] == known + *fresh)
            d->sel[(*fresh)++] = row;
    }
    d->full = piles_begin(d->x.run->e, d->depth, d->data.used_bytes);
    return rc;
}

/* The input, or the pile, is at its end: *more: there is another. */
static quartet_status next_pile(struct xdistinct *d, bool *more, struct err *err)
{
    quartet_status rc = piles_end(&d->piles, d->depth, false, err);
    spill_free(d->from.rows);
    d->from = (struct pile){0};
    if (rc == QUARTET_OK)
        rc = late_run_end(&d->late, err);
    *more = d->piles.waiting_count > 0;
    if (rc == QUARTET_OK && *more) {
        rc = piles_take(&d->piles, &d->from, err);
        pass_begin(d, d->from.depth);
    } else if (rc == QUARTET_OK && d->late.rows != NULL && !d->late_read) {
        rc = spill_read(d->late.rows, err);
        d->late_read = *more = true;
    }
    return rc;
}

static quartet_status next_rows(struct xdistinct *d, struct batch *in, struct err *err)
{
    struct xnode *x = &d->x;
    uint32_t n = x->p->col_count;
    if (d->late_read)
        return pile_feed(d->late.rows, d->fed, n, &d->feed, in, err);
    if (d->from.rows != NULL)
        return pile_feed(d->from.rows, d->fed, x->p->u.distinct->ordered ? n + 1 : n, &d->feed, in, err);
    quartet_status rc = child_next(x, 0, err);
    *in = x->child[0]->out;
    return rc;
}

static quartet_status late_rows(struct xdistinct *d, const struct batch *in, uint32_t fresh, struct err *err)
{
    uint32_t n = d->x.p->col_count;
    quartet_status rc = QUARTET_OK;
    for (uint32_t k = 0; k < fresh && rc == QUARTET_OK; k++) {
        struct value number = vec_get(&in->cols[n], d->sel[k]);
        rc = late_put(&d->late, d->x.run->e, &d->piles.row, (uint64_t)number.i, in->cols, n, d->sel[k], err);
    }
    return rc;
}

static quartet_status distinct_next(struct xnode *x, struct err *err)
{
    struct xdistinct *d = (struct xdistinct *)x;
    const struct pdistinct *p = x->p->u.distinct;
    for (;;) {
        struct batch in;
        uint32_t fresh = 0;
        quartet_status rc = next_rows(d, &in, err);
        x->out.n = 0;
        if (rc == QUARTET_OK && in.n == 0) {
            bool more = false;
            rc = d->late_read ? QUARTET_OK : next_pile(d, &more, err);
            if (rc != QUARTET_OK || !more)
                return rc;
            continue;
        }
        if (rc == QUARTET_OK)
            rc = exec_check(x->run->e, err);
        if (rc != QUARTET_OK)
            return rc;
        x->out = in;
        if (d->late_read)
            return QUARTET_OK;
        for (uint32_t i = 0; i < p->count; i++)
            d->cols[i] = in.cols[p->cols[i]];
        rc = d->full ? put_away(d, &in, err) : first_rows(d, &in, &fresh, err);
        if (d->from.rows == NULL)
            d->number += in.n;
        if (rc == QUARTET_OK && p->ordered && d->from.rows != NULL) {
            rc = late_rows(d, &in, fresh, err);
            fresh = 0;
        }
        x->out.sel = d->sel;
        x->out.n = fresh;
        if (rc != QUARTET_OK || fresh > 0)
            return rc;
    }
}

static void distinct_close(struct xnode *x)
{
    struct xdistinct *d = (struct xdistinct *)x;
    distinct_forget(d);
    piles_deinit(&d->piles);
    keyset_deinit(&d->keys);
    if (x->run->e->last || d->data.used_bytes > PILE_KEPT_BYTES)
        arena_free_all(&d->data);
    arena_free_all(&d->feed);
}

const struct xkind xkind_distinct = {sizeof(struct xdistinct), {distinct_open, distinct_next, distinct_close}, 0};
