/* exec_window.c - window functions: rows sorted by partition and order, then each function over its
 * frames. Why the sort is done here: what comes out is in that order, as users of other systems
 * know it, and the positions of peers fall out of it. A frame that only grows is aggregated once,
 * row by row; a frame that moves is aggregated anew where its start moves. */
#include <stdlib.h>
#include <string.h>

#include "exec_internal.h"

struct wrow {
    struct slice partition, order; /* keys */
    uint32_t row;
};
struct xwindow {
    struct xnode x;
    bool built;
    struct rows rows;         /* the input */
    struct rows *args;        /* of each call: its arguments, then its filter's truth */
    struct rows offsets;      /* of all calls: frame starts and ends, two columns each */
    struct rows order_values; /* the first ORDER BY expression: RANGE with numbers */
    struct wrow *sorted;
    uint32_t cap;
    struct value **results; /* of each call, by sorted position */
    uint32_t at;
    struct outvec *cols;
    struct buf key;
};
struct frame { /* sorted positions [from, to), of one partition [first, last) */
    uint32_t first, last;
    uint32_t from, to;
};

static quartet_status window_open(struct xnode *x, struct err *err)
{
    struct xwindow *w = (struct xwindow *)x;
    struct exec *e = x->run->e;
    w->built = false;
    w->at = 0;
    w->cap = 0;
    w->sorted = NULL;
    if (w->cols == NULL) {
        w->cols = keep_alloc(e, x->p->col_count, sizeof *w->cols);
        w->args = keep_alloc(e, x->p->u.window->call_count, sizeof *w->args);
        w->results = keep_alloc(e, x->p->u.window->call_count, sizeof(struct value *));
        if (w->cols == NULL || w->args == NULL || w->results == NULL)
            return arena_fail(&e->keep, err);
    }
    quartet_status rc = out_vecs(x, x->p->col_count, err);
    return rc != QUARTET_OK ? rc : child_open(x, 0, err);
}

static void window_close(struct xnode *x)
{
    struct xwindow *w = (struct xwindow *)x;
    buf_deinit(&w->key);
    w->key = (struct buf){0};
}

/* ---- reading ---- */

static quartet_status eval_or_null(struct xwindow *w, const struct expr *e, const struct batch *in,
                                   struct vec *out, struct err *err)
{
    static uint8_t one_null[1] = {1}; /* never written */
    if (e != NULL)
        return expr_eval(e, &w->x.ctx, in, out, err);
    *out = (struct vec){.type = VALUE_NULL, .has_null = true, .constant = true, .null = one_null};
    return QUARTET_OK;
}

static quartet_status key_of(struct xwindow *w, const struct vec *cols, const uint8_t *flags,
                             uint32_t n, uint32_t row, struct slice *out, struct err *err)
{
    buf_clear(&w->key);
    for (uint32_t i = 0; i < n; i++)
        cell_key_put_vec(&w->key, &cols[i], row, flags[i]);
    if (w->key.failed)
        return err_nomem(err);
    uint8_t *copy =
        arena_dup(&w->x.run->data, w->key.len > 0 ? w->key.data : (const uint8_t *)"", w->key.len);
    *out = slice_of(copy, w->key.len);
    return copy == NULL ? arena_fail(&w->x.run->data, err) : QUARTET_OK;
}

static quartet_status take_keys(struct xwindow *w, const struct batch *in, uint32_t first,
                                struct err *err)
{
    const struct pwindow *p = w->x.p->u.window;
    struct arena *data = &w->x.run->data;
    struct vec *part = arena_alloc(&w->x.tmp, (p->partition_count + 1) * sizeof *part),
               *order = arena_alloc(&w->x.tmp, (p->order_count + 1) * sizeof *order);
    quartet_status rc = QUARTET_OK;
    if (part == NULL || order == NULL)
        return arena_fail(&w->x.tmp, err);
    for (uint32_t i = 0; i < p->partition_count && rc == QUARTET_OK; i++)
        rc = expr_eval(p->partition[i], &w->x.ctx, in, &part[i], err);
    for (uint32_t i = 0; i < p->order_count && rc == QUARTET_OK; i++)
        rc = expr_eval(p->order[i], &w->x.ctx, in, &order[i], err);
    if (rc == QUARTET_OK && p->order_count > 0)
        rc = rows_append_vecs(&w->order_values, order, in->sel, in->n, err);
    if (w->cap < first + in->n) {
        uint32_t cap = w->cap == 0 ? 256 : w->cap;
        while (cap < first + in->n)
            cap *= 2;
        struct wrow *to = arena_alloc(data, cap * sizeof *to);
        if (to == NULL)
            return arena_fail(data, err);
        if (first > 0)
            memcpy(to, w->sorted, first * sizeof *to);
        w->sorted = to;
        w->cap = cap;
    }
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        struct wrow *r = &w->sorted[first + k];
        r->row = first + k;
        rc = key_of(w, part, p->partition_flags, p->partition_count, batch_row(in, k),
                    &r->partition, err);
        if (rc == QUARTET_OK)
            rc = key_of(w, order, p->order_flags, p->order_count, batch_row(in, k), &r->order, err);
    }
    return rc;
}

static quartet_status take_calls(struct xwindow *w, const struct batch *in, struct err *err)
{
    const struct pwindow *p = w->x.p->u.window;
    struct vec *bounds = arena_alloc(&w->x.tmp, ((size_t)p->call_count * 2 + 1) * sizeof *bounds);
    quartet_status rc = QUARTET_OK;
    if (bounds == NULL)
        return arena_fail(&w->x.tmp, err);
    for (uint32_t i = 0; i < p->call_count && rc == QUARTET_OK; i++) {
        const struct pwindow_call *c = &p->calls[i];
        struct vec *args = arena_alloc(&w->x.tmp, (c->arg_count + 1) * sizeof *args);
        if (args == NULL)
            return arena_fail(&w->x.tmp, err);
        for (uint32_t k = 0; k < c->arg_count && rc == QUARTET_OK; k++)
            rc = expr_eval(c->args[k], &w->x.ctx, in, &args[k], err);
        if (rc == QUARTET_OK)
            rc = eval_or_null(w, c->filter, in, &args[c->arg_count], err);
        if (rc == QUARTET_OK)
            rc = rows_append_vecs(&w->args[i], args, in->sel, in->n, err);
        if (rc == QUARTET_OK)
            rc = eval_or_null(w, c->start_expr, in, &bounds[i * 2], err);
        if (rc == QUARTET_OK)
            rc = eval_or_null(w, c->end_expr, in, &bounds[i * 2 + 1], err);
    }
    return rc != QUARTET_OK ? rc : rows_append_vecs(&w->offsets, bounds, in->sel, in->n, err);
}

static int compare(const void *x, const void *y)
{
    const struct wrow *a = x, *b = y;
    int c = slice_cmp(a->partition, b->partition);
    if (c == 0)
        c = slice_cmp(a->order, b->order);
    return c != 0 ? c : a->row < b->row ? -1 : a->row > b->row;
}

/* ---- frames ---- */

static uint32_t peers_first(const struct xwindow *w, const struct frame *f, uint32_t at)
{
    while (at > f->first && slice_eq(w->sorted[at - 1].order, w->sorted[at].order))
        at--;
    return at;
}

static uint32_t peers_last(const struct xwindow *w, const struct frame *f,
                           uint32_t at) /* one past */
{
    while (at + 1 < f->last && slice_eq(w->sorted[at + 1].order, w->sorted[at].order))
        at++;
    return at + 1;
}

static quartet_status offset_value(struct xwindow *w, uint32_t call, bool is_end, uint32_t at,
                                   struct value *out, struct err *err)
{
    *out = rows_value(&w->offsets, w->sorted[at].row, call * 2 + (is_end ? 1 : 0));
    double r = 0;
    if (!types_to_double(out, &r) || r < 0)
        return err_set(err, QUARTET_ERROR,
                       "the distance of a window frame must be a number, not negative");
    return QUARTET_OK;
}

/* RANGE: the first row whose ordering value is at least (or, for an end, past) the present one plus
 * or minus the distance. */
static quartet_status range_bound(struct xwindow *w, const struct frame *f, uint32_t call,
                                  uint32_t at, bool is_end, bool preceding, uint32_t *out,
                                  struct err *err)
{
    const struct pwindow *p = w->x.p->u.window;
    struct value distance, here;
    bool desc = p->order_count > 0 && (p->order_flags[0] & CELL_KEY_DESC) != 0;
    double d = 0, base = 0, v;
    quartet_status rc = offset_value(w, call, is_end, at, &distance, err);
    if (rc != QUARTET_OK)
        return rc;
    if (p->order_count != 1)
        return err_set(err, QUARTET_ERROR,
                       "RANGE with a distance needs exactly one ORDER BY expression");
    here = rows_value(&w->order_values, w->sorted[at].row, 0);
    if (here.type != VALUE_INTEGER && here.type != VALUE_REAL && here.type != VALUE_DECIMAL) {
        *out = is_end ? peers_last(w, f, at)
                      : peers_first(
                            w, f, at); /* NULLs are peers of each other and near to nothing else */
        return QUARTET_OK;
    }
    (void)types_to_double(&distance, &d); /* offset_value has seen it */
    (void)types_to_double(&here, &base);  /* a number */
    double limit = preceding != desc ? base - d : base + d;
    uint32_t k = f->first;
    for (; k < f->last; k++) {
        struct value x = rows_value(&w->order_values, w->sorted[k].row, 0);
        bool number = x.type == VALUE_INTEGER || x.type == VALUE_REAL || x.type == VALUE_DECIMAL;
        if (!number && k < at)
            continue;
        if (!number)
            break;
        (void)types_to_double(&x, &v); /* a number */
        bool inside = desc ? (is_end ? v < limit : v <= limit) : (is_end ? v > limit : v >= limit);
        if (inside)
            break;
    }
    *out = k;
    return QUARTET_OK;
}

static quartet_status groups_bound(struct xwindow *w, const struct frame *f, uint32_t call,
                                   uint32_t at, bool is_end, bool preceding, uint32_t *out,
                                   struct err *err)
{
    struct value distance;
    int64_t n = 0;
    quartet_status rc = offset_value(w, call, is_end, at, &distance, err);
    if (rc != QUARTET_OK)
        return rc;
    (void)types_to_int64(&distance, &n); /* offset_value has seen it */
    uint32_t first = peers_first(w, f, at), last = peers_last(w, f, at);
    for (; n > 0 && preceding; n--) {
        if (first == f->first) {
            *out = is_end ? f->first : first;
            return QUARTET_OK;
        }
        last = first;
        first = peers_first(w, f, first - 1);
    }
    for (; n > 0 && !preceding; n--) {
        if (last == f->last) {
            *out = f->last;
            return QUARTET_OK;
        }
        first = last;
        last = peers_last(w, f, last);
    }
    *out = is_end ? last : first;
    return QUARTET_OK;
}

static quartet_status rows_bound(struct xwindow *w, const struct frame *f, uint32_t call,
                                 uint32_t at, bool is_end, bool preceding, uint32_t *out,
                                 struct err *err)
{
    struct value distance;
    int64_t n = 0;
    quartet_status rc = offset_value(w, call, is_end, at, &distance, err);
    if (rc != QUARTET_OK)
        return rc;
    (void)types_to_int64(&distance, &n); /* offset_value has seen it */
    if (n > (int64_t)UINT32_MAX)
        n = UINT32_MAX;
    int64_t to = (int64_t)at + (preceding ? -n : n) + (is_end ? 1 : 0);
    to = to < (int64_t)f->first ? (int64_t)f->first : to > (int64_t)f->last ? (int64_t)f->last : to;
    *out = (uint32_t)to;
    return QUARTET_OK;
}

static quartet_status frame_end_point(struct xwindow *w, const struct frame *f, uint32_t call,
                                      uint32_t at, bool is_end, uint32_t *out, struct err *err)
{
    const struct pwindow_call *c = &w->x.p->u.window->calls[call];
    uint8_t bound = is_end ? c->end : c->start;
    bool preceding = bound == AST_BOUND_PRECEDING;
    if (bound == AST_BOUND_UNBOUNDED_PRECEDING)
        *out = f->first;
    else if (bound == AST_BOUND_UNBOUNDED_FOLLOWING)
        *out = f->last;
    else if (bound == AST_BOUND_CURRENT_ROW && c->mode == AST_FRAME_ROWS)
        *out = at + (is_end ? 1 : 0);
    else if (bound == AST_BOUND_CURRENT_ROW)
        *out = is_end ? peers_last(w, f, at) : peers_first(w, f, at);
    else if (c->mode == AST_FRAME_ROWS)
        return rows_bound(w, f, call, at, is_end, preceding, out, err);
    else if (c->mode == AST_FRAME_GROUPS)
        return groups_bound(w, f, call, at, is_end, preceding, out, err);
    else
        return range_bound(w, f, call, at, is_end, preceding, out, err);
    return QUARTET_OK;
}

static quartet_status frame_of(struct xwindow *w, struct frame *f, uint32_t call, uint32_t at,
                               struct err *err)
{
    quartet_status rc = frame_end_point(w, f, call, at, false, &f->from, err);
    if (rc == QUARTET_OK)
        rc = frame_end_point(w, f, call, at, true, &f->to, err);
    if (f->to < f->from)
        f->to = f->from;
    return rc;
}

static bool excluded(const struct xwindow *w, const struct pwindow_call *c, uint32_t at, uint32_t k)
{
    bool peer = c->exclude == AST_EXCLUDE_NO_OTHERS
                    ? false
                    : slice_eq(w->sorted[at].order, w->sorted[k].order);
    switch (c->exclude) {
    case AST_EXCLUDE_CURRENT_ROW:
        return k == at;
    case AST_EXCLUDE_GROUP:
        return peer;
    case AST_EXCLUDE_TIES:
        return peer && k != at;
    default:
        return false;
    }
}

/* ---- aggregates ---- */

static quartet_status agg_row(struct xwindow *w, agg *g, uint32_t call, uint32_t k, struct err *err)
{
    const struct pwindow_call *c = &w->x.p->u.window->calls[call];
    struct value args[8];
    uint32_t row = w->sorted[k].row;
    if (c->filter != NULL) {
        struct value truth = rows_value(&w->args[call], row, c->arg_count);
        if (types_truth(&truth) != 1)
            return QUARTET_OK;
    }
    if (c->arg_count > 8)
        return err_set(err, QUARTET_LIMIT, "a window function takes at most 8 arguments");
    for (uint32_t i = 0; i < c->arg_count; i++)
        args[i] = rows_value(&w->args[call], row, i);
    return agg_update_row(g, 0, args, err);
}

static quartet_status run_agg(struct xwindow *w, uint32_t call, struct frame *f, struct err *err)
{
    const struct pwindow_call *c = &w->x.p->u.window->calls[call];
    struct arena *data = &w->x.run->data;
    agg *g;
    uint32_t from = 0, to = 0;
    bool any = false;
    quartet_status rc = agg_new(data, &c->spec, &g, err);
    if (rc == QUARTET_OK)
        rc = agg_reserve(g, 1, err);
    for (uint32_t at = f->first; at < f->last && rc == QUARTET_OK; at++) {
        rc = frame_of(w, f, call, at, err);
        if (rc == QUARTET_OK && any && f->from == from && f->to == to &&
            c->exclude == AST_EXCLUDE_NO_OTHERS) {
            w->results[call][at] = w->results[call][at - 1]; /* peers */
            continue;
        }
        if (!any || f->from != from || f->to < to || c->exclude != AST_EXCLUDE_NO_OTHERS) {
            agg_reset(g, 0);
            to = f->from;
        }
        from = f->from;
        for (; to < f->to && rc == QUARTET_OK; to++) {
            if (!excluded(w, c, at, to))
                rc = agg_row(w, g, call, to, err);
        }
        any = true;
        if (rc == QUARTET_OK)
            rc = agg_final(g, 0, data, &w->results[call][at], err);
        if (rc == QUARTET_OK && !value_copy(data, &w->results[call][at]))
            rc = arena_fail(data, err);
        if (rc == QUARTET_OK && (at & 255u) == 0)
            rc = exec_check(w->x.run->e, err);
    }
    return rc;
}

/* ---- the functions that only windows have ---- */

static struct value arg_at(const struct xwindow *w, uint32_t call, uint32_t at, uint32_t i)
{
    return rows_value(&w->args[call], w->sorted[at].row, i);
}

static void run_rank(struct xwindow *w, uint32_t call, const struct frame *f)
{
    uint8_t code = w->x.p->u.window->calls[call].code;
    uint32_t n = f->last - f->first, dense = 0, first = f->first, last = f->first;
    for (uint32_t at = f->first; at < f->last; at++) {
        if (at == last) {
            first = at;
            last = peers_last(w, f, at);
            dense++;
        }
        struct value v = value_int(at - f->first + 1);
        if (code == WINDOW_RANK)
            v.i = first - f->first + 1;
        else if (code == WINDOW_DENSE_RANK)
            v.i = dense;
        else if (code == WINDOW_PERCENT_RANK)
            v = (struct value){.type = VALUE_REAL,
                               .r = n < 2 ? 0.0 : (double)(first - f->first) / (double)(n - 1)};
        else if (code == WINDOW_CUME_DIST)
            v = (struct value){.type = VALUE_REAL, .r = (double)(last - f->first) / (double)n};
        w->results[call][at] = v;
    }
}

static quartet_status run_ntile(struct xwindow *w, uint32_t call, const struct frame *f,
                                struct err *err)
{
    uint64_t n = f->last - f->first;
    for (uint32_t at = f->first; at < f->last; at++) {
        struct value v = arg_at(w, call, f->first, 0);
        int64_t buckets = 0;
        if (!types_to_int64(&v, &buckets) || buckets < 1)
            return err_set(err, QUARTET_ERROR, "the argument of ntile must be a positive integer");
        uint64_t k = at - f->first, b = (uint64_t)buckets, small = n / b, larger = n % b;
        uint64_t tile = k < larger * (small + 1)
                            ? k / (small + 1)
                            : larger + (small > 0 ? (k - larger * (small + 1)) / small : 0);
        w->results[call][at] = value_int((int64_t)tile + 1);
    }
    return QUARTET_OK;
}

static void run_lag(struct xwindow *w, uint32_t call, const struct frame *f)
{
    const struct pwindow_call *c = &w->x.p->u.window->calls[call];
    for (uint32_t at = f->first; at < f->last; at++) {
        int64_t n = 1;
        struct value v = VALUE_NULL_INIT;
        bool has = true;
        if (c->arg_count > 1) {
            struct value offset = arg_at(w, call, at, 1);
            has = types_to_int64(&offset, &n);
        }
        if (n == INT64_MIN)
            n++; /* just as far beyond any partition, and it can be negated */
        if (c->code == WINDOW_LAG)
            n = -n;
        int64_t step = n < 0 ? -1 : 1, left = n < 0 ? -n : n, to = at;
        if (c->ignore_nulls) {
            while (has && left > 0) {
                to += step;
                if (to < (int64_t)f->first || to >= (int64_t)f->last)
                    break;
                v = arg_at(w, call, (uint32_t)to, 0);
                left -= v.type != VALUE_NULL;
            }
        } else if (left < (int64_t)UINT32_MAX) {
            to = (int64_t)at + n;
        } else {
            to = -1;
        }
        if (has && to >= (int64_t)f->first && to < (int64_t)f->last)
            v = arg_at(w, call, (uint32_t)to, 0);
        else
            v = has && c->arg_count > 2 ? arg_at(w, call, at, 2) : VALUE_NULL_INIT;
        w->results[call][at] = v;
    }
}

static quartet_status run_nth(struct xwindow *w, uint32_t call, struct frame *f, struct err *err)
{
    const struct pwindow_call *c = &w->x.p->u.window->calls[call];
    for (uint32_t at = f->first; at < f->last; at++) {
        int64_t n = 1;
        struct value v = VALUE_NULL_INIT;
        quartet_status rc = frame_of(w, f, call, at, err);
        if (rc != QUARTET_OK)
            return rc;
        if (c->code == WINDOW_NTH_VALUE) {
            struct value nth = arg_at(w, call, at, 1);
            if (!types_to_int64(&nth, &n) || n < 1)
                return err_set(err, QUARTET_ERROR,
                               "the second argument of nth_value must be a positive integer");
        }
        bool backwards = c->code == WINDOW_LAST_VALUE;
        for (uint32_t i = f->from; i < f->to; i++) {
            uint32_t k = backwards ? f->to - 1 - (i - f->from) : i;
            if (excluded(w, c, at, k))
                continue;
            struct value x = arg_at(w, call, k, 0);
            if (c->ignore_nulls && x.type == VALUE_NULL)
                continue;
            if (--n == 0) {
                v = x;
                break;
            }
        }
        w->results[call][at] = v;
    }
    return QUARTET_OK;
}

static quartet_status run_call(struct xwindow *w, uint32_t call, struct frame *f, struct err *err)
{
    switch (w->x.p->u.window->calls[call].code) {
    case WINDOW_AGG:
        return run_agg(w, call, f, err);
    case WINDOW_NTILE:
        return run_ntile(w, call, f, err);
    case WINDOW_LAG:
    case WINDOW_LEAD:
        run_lag(w, call, f);
        return QUARTET_OK;
    case WINDOW_FIRST_VALUE:
    case WINDOW_LAST_VALUE:
    case WINDOW_NTH_VALUE:
        return run_nth(w, call, f, err);
    default:
        run_rank(w, call, f);
        return QUARTET_OK;
    }
}

static quartet_status window_run(struct xwindow *w, struct err *err)
{
    const struct pwindow *p = w->x.p->u.window;
    struct arena *data = &w->x.run->data;
    uint32_t n = w->rows.n;
    for (uint32_t i = 0; i < p->call_count; i++) {
        w->results[i] = arena_alloc(data, (n + 1) * sizeof(struct value));
        if (w->results[i] == NULL)
            return arena_fail(data, err);
    }
    if (n > 1)
        qsort(w->sorted, n, sizeof *w->sorted, compare);
    for (uint32_t first = 0; first < n;) {
        struct frame f = {.first = first, .last = first + 1};
        while (f.last < n && slice_eq(w->sorted[f.last].partition, w->sorted[first].partition))
            f.last++;
        for (uint32_t i = 0; i < p->call_count; i++) {
            quartet_status rc = run_call(w, i, &f, err);
            if (rc != QUARTET_OK)
                return rc;
        }
        first = f.last;
    }
    return QUARTET_OK;
}

static quartet_status window_build(struct xwindow *w, struct err *err)
{
    const struct pwindow *p = w->x.p->u.window;
    struct arena *data = &w->x.run->data;
    w->built = true;
    rows_init(&w->rows, w->x.p->child[0]->col_count, data);
    rows_init(&w->offsets, p->call_count * 2, data);
    rows_init(&w->order_values, p->order_count, data);
    for (uint32_t i = 0; i < p->call_count; i++)
        rows_init(&w->args[i], p->calls[i].arg_count + 1, data);
    for (;;) {
        quartet_status rc = child_next(&w->x, 0, err);
        const struct batch *in = &w->x.child[0]->out;
        if (rc != QUARTET_OK)
            return rc;
        if (in->n == 0)
            return window_run(w, err);
        tmp_reset(&w->x);
        uint32_t first = w->rows.n;
        rc = rows_append(&w->rows, in, err);
        if (rc == QUARTET_OK)
            rc = take_keys(w, in, first, err);
        if (rc == QUARTET_OK)
            rc = take_calls(w, in, err);
        if (rc != QUARTET_OK)
            return rc;
    }
}

static quartet_status window_next(struct xnode *x, struct err *err)
{
    struct xwindow *w = (struct xwindow *)x;
    uint32_t ids[BATCH_ROWS_MAX], in_cols = x->p->child[0]->col_count;
    struct arena *keep = &x->run->e->keep;
    quartet_status rc = w->built ? QUARTET_OK : window_build(w, err);
    if (rc != QUARTET_OK)
        return rc;
    uint32_t n = w->rows.n - w->at < BATCH_ROWS_MAX ? w->rows.n - w->at : BATCH_ROWS_MAX;
    for (uint32_t k = 0; k < n; k++)
        ids[k] = w->sorted[w->at + k].row;
    for (uint32_t c = 0; c < in_cols && n > 0; c++) {
        rc = rows_gather(&w->rows, c, ids, n, &w->cols[c], keep, err);
        if (rc != QUARTET_OK)
            return rc;
        x->out.cols[c] = w->cols[c].v;
    }
    for (uint32_t c = in_cols; c < x->p->col_count && n > 0; c++) {
        struct outvec *o = &w->cols[c];
        if (!outvec_reset(o, VEC_MIXED, n, keep))
            return arena_fail(keep, err);
        memcpy(o->v.v, w->results[c - in_cols] + w->at, n * sizeof(struct value));
        for (uint32_t k = 0; k < n; k++) {
            o->null[k] = o->v.v[k].type == VALUE_NULL;
            o->v.has_null |= o->null[k] != 0;
        }
        x->out.cols[c] = o->v;
    }
    w->at += n;
    x->out.n = n;
    return QUARTET_OK;
}

const struct xkind xkind_window = {sizeof(struct xwindow),
                                   {window_open, window_next, window_close}, 0};
