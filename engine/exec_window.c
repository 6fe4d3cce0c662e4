/* exec_window.c - window functions: rows sorted by partition and order, then each function over its frames, a batch of rows at a time.
 * Why the sort is done here: what comes out is in that order, as users of other systems know it, and the positions of peers fall out of it.
 * Past memory_limit the rows go to sorted runs on disk (exec_spill.c) and come back partition by partition; one that memory does not hold either lies on pages
 * (exec_pages.c). So what a window needs in memory is a batch, some pages, and the states of its aggregates. */
#include "exec_window.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "db_internal.h"

#define SMALL_LIMIT (64u << 20) /* below it a batch may be large beside memory_limit */
#define PIECE_ROWS  64u

/* ---- what a row holds ---- */

/* The column of e in a row: one of the input's, or one more. */
static uint32_t column_for(struct xwindow *w, struct expr *e)
{
    if (e->op == EXPR_COLUMN)
        return e->u.column;
    w->extra[w->extra_count] = e;
    return w->x.p->child[0]->col_count + w->extra_count++;
}

static quartet_status window_make(struct xwindow *w, struct err *err)
{
    struct exec *e = w->x.run->e;
    const struct pwindow *p = w->x.p->u.window;
    size_t most = 1;
    for (uint32_t i = 0; i < p->call_count; i++)
        most += p->calls[i].arg_count + 3u;
    w->cols = keep_alloc(e, w->x.p->col_count, sizeof *w->cols);
    w->calls = keep_alloc(e, p->call_count, sizeof *w->calls);
    w->extra = keep_alloc(e, most, sizeof(struct expr *));
    if (w->cols == NULL || w->calls == NULL || w->extra == NULL)
        return arena_fail(&e->keep, err);
    w->order_value = PLAN_NONE;
    for (uint32_t i = 0; i < p->call_count; i++) {
        const struct pwindow_call *c = &p->calls[i];
        struct wcall *s = &w->calls[i];
        s->args = keep_alloc(e, c->arg_count, sizeof *s->args);
        if (s->args == NULL)
            return arena_fail(&e->keep, err);
        for (uint32_t k = 0; k < c->arg_count; k++)
            s->args[k] = column_for(w, c->args[k]);
        s->filter = c->filter != NULL ? column_for(w, c->filter) : PLAN_NONE;
        s->start = c->start_expr != NULL ? column_for(w, c->start_expr) : PLAN_NONE;
        s->end = c->end_expr != NULL ? column_for(w, c->end_expr) : PLAN_NONE;
        s->mem.limit_bytes = s->last_mem.limit_bytes = e->limits.memory_bytes;
        if (w->order_value == PLAN_NONE && p->order_count == 1 && c->mode == AST_FRAME_RANGE && (c->start_expr != NULL || c->end_expr != NULL))
            w->order_value = column_for(w, p->order[0]);
    }
    return QUARTET_OK;
}

static uint32_t row_columns(const struct xwindow *w)
{
    return w->x.p->child[0]->col_count + w->extra_count;
}

static quartet_status window_open(struct xnode *x, struct err *err)
{
    struct xwindow *w = (struct xwindow *)x;
    quartet_status rc = w->cols == NULL ? window_make(w, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return rc;
    w->built = false;
    w->data.limit_bytes = x->run->e->limits.memory_bytes;
    arena_rewind(&w->data, (struct arena_mark){0});
    rows_init(&w->rows, row_columns(w), &w->data);
    spill_free(w->spilled);
    w->spilled = NULL;
    w->next = slice_of(NULL, 0);
    w->at = 0;
    w->at_hand = (struct frame){0};
    w->failed = QUARTET_OK;
    if (w->pages != NULL)
        pages_free(w->pages);
    w->pages = NULL;
    rc = out_vecs(x, x->p->col_count, err);
    return rc != QUARTET_OK ? rc : child_open(x, 0, err);
}

static void sorted_free(struct xwindow *w)
{
    mem_free(w->sorted);
    w->sorted = NULL;
    w->cap = 0;
}

static void window_close(struct xnode *x)
{
    struct xwindow *w = (struct xwindow *)x;
    buf_deinit(&w->key);
    buf_deinit(&w->part);
    buf_deinit(&w->row);
    w->key = w->part = w->row = (struct buf){0};
    spill_free(w->spilled);
    w->spilled = NULL;
    pages_free(w->pages);
    w->pages = NULL;
    arena_free_all(&w->data);
    sorted_free(w);
    for (uint32_t i = 0; w->calls != NULL && i < x->p->u.window->call_count; i++) {
        arena_free_all(&w->calls[i].mem);
        arena_free_all(&w->calls[i].last_mem);
        w->calls[i].g = NULL;
    }
}

/* ---- reading ---- */

/* Not of the arena, which would keep each array that a larger one took the place of. */
static quartet_status reserve(struct xwindow *w, uint32_t need, struct err *err)
{
    if (need <= w->cap)
        return QUARTET_OK;
    uint64_t cap = w->cap == 0 ? 64 : w->cap;
    while (cap < need)
        cap *= 2;
    if (cap > UINT32_MAX || cap * sizeof *w->sorted + w->data.used_bytes > w->data.limit_bytes) {
        w->data.over_limit = true;
        return arena_fail(&w->data, err);
    }
    struct wrow *to = mem_realloc(w->sorted, cap, sizeof *to);
    if (to == NULL)
        return err_nomem(err);
    w->sorted = to;
    w->cap = (uint32_t)cap;
    return QUARTET_OK;
}

static quartet_status make_key(struct xwindow *w, const struct vec *part, const struct vec *order, uint32_t row, struct wrow *out, struct err *err)
{
    const struct pwindow *p = w->x.p->u.window;
    uint8_t head[8] = {0};
    buf_clear(&w->key);
    for (uint32_t i = 0; i < p->partition_count; i++)
        cell_key_put_vec(&w->key, &part[i], row, p->partition_flags[i]);
    out->part_bytes = (uint32_t)w->key.len;
    for (uint32_t i = 0; i < p->order_count; i++)
        cell_key_put_vec(&w->key, &order[i], row, p->order_flags[i]);
    out->key_bytes = (uint32_t)w->key.len;
    if (w->key.failed)
        return err_nomem(err);
    if (w->key.len > 0)
        memcpy(head, w->key.data, w->key.len < sizeof head ? w->key.len : sizeof head);
    out->prefix = load_be64(head);
    out->key = arena_dup(&w->data, w->key.len > 0 ? w->key.data : (const uint8_t *)"", w->key.len);
    return out->key == NULL ? arena_fail(&w->data, err) : QUARTET_OK;
}

static quartet_status eval_all(struct xwindow *w, struct expr *const *list, uint32_t n, const struct batch *in, struct vec *out, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++)
        rc = expr_eval(list[i], &w->x.ctx, in, &out[i], err);
    return rc;
}

/* The rows of `in` into memory. */
static quartet_status take(struct xwindow *w, const struct batch *in, struct err *err)
{
    const struct pwindow *p = w->x.p->u.window;
    uint32_t in_cols = w->x.p->child[0]->col_count, first = w->rows.n;
    tmp_reset(&w->x);
    struct vec *part = arena_alloc(&w->x.tmp, (p->partition_count + 1u) * sizeof *part), *order = arena_alloc(&w->x.tmp, (p->order_count + 1u) * sizeof *order),
               *all = arena_alloc(&w->x.tmp, (row_columns(w) + 1u) * sizeof *all);
    if (part == NULL || order == NULL || all == NULL)
        return arena_fail(&w->x.tmp, err);
    if (in_cols > 0)
        memcpy(all, in->cols, in_cols * sizeof *all);
    quartet_status rc = eval_all(w, p->partition, p->partition_count, in, part, err);
    if (rc == QUARTET_OK)
        rc = eval_all(w, p->order, p->order_count, in, order, err);
    if (rc == QUARTET_OK)
        rc = eval_all(w, w->extra, w->extra_count, in, all + in_cols, err);
    if (rc == QUARTET_OK)
        rc = reserve(w, first + in->n, err);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        w->sorted[first + k].row = first + k;
        rc = make_key(w, part, order, batch_row(in, k), &w->sorted[first + k], err);
    }
    return rc == QUARTET_OK ? rows_append_vecs(&w->rows, all, in->sel, in->n, err) : rc;
}

static int compare(const void *x, const void *y)
{
    const struct wrow *a = x, *b = y;
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    int c = slice_cmp(slice_of(a->key, a->key_bytes), slice_of(b->key, b->key_bytes));
    return c != 0 ? c : a->row < b->row ? -1 : a->row > b->row;
}

/* ---- past memory_limit ---- */

static void put_bytes(struct buf *out, const void *p, size_t n)
{
    struct value v = {.type = VALUE_BLOB, .s = {p, n}};
    value_encode(out, &v);
}

/* The rows in memory become a sorted run: the partition's key, then what the pages hold. */
static quartet_status spill_rows(struct xwindow *w, struct err *err)
{
    db *d = txn_db(w->x.run->e->t);
    uint32_t n = w->rows.n, columns = row_columns(w);
    quartet_status rc = w->spilled == NULL ? spill_new(db_env(d), db_temp_dir(d), &w->spilled, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return rc;
    if (n > 1)
        qsort(w->sorted, n, sizeof *w->sorted, compare);
    rc = spill_run_begin(w->spilled, err);
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        const struct wrow *r = &w->sorted[i];
        struct spill_key key = {.first = r->prefix, .rest = r->key, .rest_bytes = r->key_bytes};
        buf_clear(&w->row);
        put_bytes(&w->row, r->key, r->part_bytes);
        put_bytes(&w->row, r->key + r->part_bytes, r->key_bytes - r->part_bytes);
        for (uint32_t c = 0; c < columns; c++) {
            struct value v = rows_value(&w->rows, r->row, c);
            value_encode(&w->row, &v);
        }
        rc = buf_check(&w->row, err);
        if (rc == QUARTET_OK)
            rc = spill_run_put(w->spilled, &key, slice_of(w->row.data, w->row.len), err);
    }
    if (rc == QUARTET_OK)
        rc = spill_run_end(w->spilled, err);
    arena_rewind(&w->data, (struct arena_mark){0});
    rows_init(&w->rows, columns, &w->data);
    sorted_free(w);
    return rc;
}

/* A batch, in pieces where the limit is small; what does not fit goes to disk. */
static quartet_status take_all(struct xwindow *w, const struct batch *in, struct err *err)
{
    size_t limit = w->x.run->e->limits.memory_bytes;
    for (uint32_t at = 0, n; at < in->n; at += n) {
        struct batch piece = *in;
        n = in->n - at;
        if (limit < SMALL_LIMIT && n > PIECE_ROWS)
            n = PIECE_ROWS;
        batch_cut(&piece, at, n, w->sel);
        quartet_status rc = take(w, &piece, err);
        if (rc == QUARTET_OK && w->data.used_bytes + w->cap * sizeof *w->sorted > limit / PILE_FULL_SHARE && db_temp_dir(txn_db(w->x.run->e->t)) != NULL)
            rc = spill_rows(w, err);
        if (rc == QUARTET_OK && (at & 1023u) == 0)
            rc = exec_check(w->x.run->e, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

/* A row of the spill: its partition, and the rest. */
static bool split(struct slice row, struct slice *part, struct slice *rest)
{
    struct bytes_in in = bytes_in(row.p, row.n);
    struct value v;
    if (!value_decode(&in, &v) || v.type != VALUE_BLOB)
        return false;
    *part = v.s;
    *rest = slice_of(row.p + (row.n - in.left), in.left);
    return true;
}

/* The rows of the next partition onto pages; none: there is no more. */
static quartet_status load_partition(struct xwindow *w, struct err *err)
{
    struct slice row = w->next, part, rest;
    quartet_status rc = QUARTET_OK;
    pages_reset(w->pages);
    buf_clear(&w->part);
    for (uint32_t n = 0; rc == QUARTET_OK && row.p != NULL; n++) {
        if (!split(row, &part, &rest))
            return err_set(err, QUARTET_IO, "a file of sorted rows is damaged");
        if (n == 0)
            buf_put(&w->part, part.p, part.n);
        rc = buf_check(&w->part, err);
        if (rc != QUARTET_OK || !slice_eq(part, slice_of(w->part.data, w->part.len)))
            break;
        rc = pages_put(w->pages, rest, err);
        if (rc == QUARTET_OK)
            rc = spill_next(w->spilled, &row, err);
        if (rc == QUARTET_OK && n % BATCH_ROWS_MAX == 0)
            rc = exec_check(w->x.run->e, err);
    }
    w->next = row;
    w->at = 0;
    w->at_hand = (struct frame){.last = pages_count(w->pages)};
    return rc;
}

static quartet_status read_back(struct xwindow *w, struct err *err)
{
    size_t limit = w->x.run->e->limits.memory_bytes;
    quartet_status rc = w->rows.n > 0 ? spill_rows(w, err) : QUARTET_OK;
    arena_free_all(&w->data);
    if (rc == QUARTET_OK)
        rc = spill_read(w->spilled, err);
    if (rc == QUARTET_OK)
        rc = pages_new(w->x.run->e, 1u + row_columns(w), limit / PILE_FULL_SHARE, &w->pages, err);
    return rc == QUARTET_OK ? spill_next(w->spilled, &w->next, err) : rc;
}

static quartet_status window_build(struct xwindow *w, struct err *err)
{
    w->built = true;
    for (;;) {
        quartet_status rc = child_next(&w->x, 0, err);
        const struct batch *in = &w->x.child[0]->out;
        if (rc == QUARTET_OK && in->n == 0)
            break;
        if (rc == QUARTET_OK)
            rc = take_all(w, in, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if (w->spilled != NULL)
        return read_back(w, err);
    if (w->rows.n > 1)
        qsort(w->sorted, w->rows.n, sizeof *w->sorted, compare);
    return QUARTET_OK;
}

/* ---- rows by position ---- */

static const struct value *page_row(struct xwindow *w, uint32_t at)
{
    const struct value *values;
    struct slice row;
    if (w->failed == QUARTET_OK)
        w->failed = pages_row(w->pages, at, &values, &row, &w->why);
    return w->failed == QUARTET_OK ? values : NULL;
}

struct value window_cell(struct xwindow *w, uint32_t at, uint32_t column)
{
    if (w->pages == NULL)
        return rows_value(&w->rows, w->sorted[at].row, column);
    const struct value *row = page_row(w, at);
    return row != NULL ? row[1u + column] : VALUE_NULL_INIT;
}

bool window_peers(struct xwindow *w, uint32_t a, uint32_t b)
{
    if (w->pages == NULL) {
        const struct wrow *x = &w->sorted[a], *y = &w->sorted[b];
        return slice_eq(slice_of(x->key + x->part_bytes, x->key_bytes - x->part_bytes), slice_of(y->key + y->part_bytes, y->key_bytes - y->part_bytes));
    }
    const struct value *x = page_row(w, a), *y = page_row(w, b);
    return x != NULL && y != NULL && slice_eq(x->s, y->s);
}

quartet_status window_check(const struct xwindow *w, struct err *err)
{
    if (w->failed != QUARTET_OK)
        *err = w->why;
    return w->failed;
}

/* ---- giving ---- */

/* The partition that begins at w->at becomes the one at hand; none: at_hand is empty. */
static quartet_status next_partition(struct xwindow *w, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    if (w->spilled != NULL) {
        rc = load_partition(w, err);
    } else {
        struct frame f = {.first = w->at, .last = w->at};
        while (f.last < w->rows.n) {
            const struct wrow *a = &w->sorted[f.first], *b = &w->sorted[f.last];
            if (a->prefix != b->prefix && a->part_bytes >= sizeof a->prefix)
                break;
            if (!slice_eq(slice_of(a->key, a->part_bytes), slice_of(b->key, b->part_bytes)))
                break;
            f.last++;
        }
        w->at_hand = f;
    }
    w->peers_from = w->peers_to = w->at_hand.first;
    for (uint32_t i = 0; i < w->x.p->u.window->call_count; i++)
        window_call_begin(w, i);
    return rc;
}

/* The next n rows' own columns, behind those that are there: in memory they are noted, from pages they are copied, since the partition goes. */
static quartet_status put_rows(struct xwindow *w, uint32_t n, uint32_t done, uint32_t *ids, struct err *err)
{
    struct batch *out = &w->x.out;
    struct batch own = {.n = done, .col_count = w->x.p->child[0]->col_count, .cols = out->cols};
    for (uint32_t k = 0; k < n && w->spilled == NULL; k++)
        ids[done + k] = w->sorted[w->at + k].row;
    for (uint32_t k = 0; k < n && w->spilled != NULL; k++) {
        const struct value *values;
        struct slice row, key, rest;
        quartet_status rc = pages_row(w->pages, w->at + k, &values, &row, err);
        if (rc == QUARTET_OK && !split(row, &key, &rest))
            rc = err_set(err, QUARTET_IO, "a file of rows is damaged");
        if (rc == QUARTET_OK)
            rc = spill_row_put(rest, &own, BATCH_ROWS_MAX, &w->x.tmp, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

static quartet_status put_results(struct xwindow *w, uint32_t n, uint32_t done, struct err *err)
{
    uint32_t in_cols = w->x.p->child[0]->col_count;
    for (uint32_t i = 0; i < w->x.p->u.window->call_count; i++) {
        struct vec *v = &w->cols[in_cols + i].v;
        quartet_status rc = window_call(w, i, w->at, w->at + n, v->v + done, err);
        if (rc != QUARTET_OK)
            return rc;
        for (uint32_t k = done; k < done + n; k++) {
            v->null[k] = v->v[k].type == VALUE_NULL;
            v->has_null |= v->null[k] != 0;
        }
    }
    return QUARTET_OK;
}

/* Rows until there is a batch of them. */
static quartet_status give(struct xwindow *w, uint32_t *done, uint32_t *ids, struct err *err)
{
    size_t most = w->x.run->e->limits.memory_bytes / 8;
    while (*done < BATCH_ROWS_MAX && (*done == 0 || w->spilled == NULL || w->x.tmp.used_bytes < most)) {
        quartet_status rc = w->at == w->at_hand.last ? next_partition(w, err) : QUARTET_OK;
        if (rc != QUARTET_OK || w->at == w->at_hand.last)
            return rc;
        uint32_t left = w->at_hand.last - w->at, room = BATCH_ROWS_MAX - *done, n = left < room ? left : room;
        if (w->spilled != NULL && n > PIECE_ROWS)
            n = PIECE_ROWS;
        rc = put_rows(w, n, *done, ids, err);
        if (rc == QUARTET_OK)
            rc = put_results(w, n, *done, err);
        if (rc != QUARTET_OK)
            return rc;
        w->at += n;
        *done += n;
    }
    return QUARTET_OK;
}

static quartet_status window_next(struct xnode *x, struct err *err)
{
    struct xwindow *w = (struct xwindow *)x;
    uint32_t ids[BATCH_ROWS_MAX], n = 0, in_cols = x->p->child[0]->col_count;
    struct arena *keep = &x->run->e->keep;
    quartet_status rc = w->built ? QUARTET_OK : window_build(w, err);
    tmp_reset(x);
    for (uint32_t c = in_cols; c < x->p->col_count && rc == QUARTET_OK; c++) {
        if (!outvec_reset(&w->cols[c], VEC_MIXED, BATCH_ROWS_MAX, keep))
            rc = arena_fail(keep, err);
    }
    if (rc == QUARTET_OK)
        rc = give(w, &n, ids, err);
    for (uint32_t c = 0; c < in_cols && n > 0 && rc == QUARTET_OK && w->spilled == NULL; c++) {
        rc = rows_gather(&w->rows, c, ids, n, &w->cols[c], keep, err);
        x->out.cols[c] = w->cols[c].v;
    }
    for (uint32_t c = in_cols; c < x->p->col_count; c++)
        x->out.cols[c] = w->cols[c].v;
    x->out.n = n;
    return rc;
}

const struct xkind xkind_window = {sizeof(struct xwindow), {window_open, window_next, window_close}, offsetof(struct xwindow, sel)};
