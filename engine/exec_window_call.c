/* exec_window_call.c - what window functions answer, some rows of a partition at a time.
 * Why not a call for the whole partition: its answers would need memory for every row of it. A frame that only grows is aggregated once, row by row; a frame that moves
 * is aggregated anew where its start moves. */
#include "exec_window.h"

#define AGG_KEPT_BYTES (64u << 10) /* what an aggregate that begins again may leave behind */
#define ARGS_MAX       8u
#define CHECK_ROWS     256u

static struct value arg_at(struct xwindow *w, uint32_t call, uint32_t at, uint32_t i)
{
    return window_cell(w, at, w->calls[call].args[i]);
}

static bool excluded(struct xwindow *w, const struct pwindow_call *c, uint32_t at, uint32_t k)
{
    switch (c->exclude) {
    case AST_EXCLUDE_CURRENT_ROW:
        return k == at;
    case AST_EXCLUDE_GROUP:
    case AST_EXCLUDE_TIES:
        frame_peers(w, at);
        return k >= w->peers_from && k < w->peers_to && (c->exclude == AST_EXCLUDE_GROUP || k != at);
    default:
        return false;
    }
}

/* Bytes of rows on disk go with their page. */
static quartet_status keep(struct xwindow *w, struct value *v, struct err *err)
{
    return w->pages == NULL || value_copy(&w->x.tmp, v) ? QUARTET_OK : arena_fail(&w->x.tmp, err);
}

/* ---- aggregates ---- */

static quartet_status agg_begin(struct xwindow *w, uint32_t call, struct err *err)
{
    struct wcall *s = &w->calls[call];
    if (s->g != NULL && s->mem.used_bytes <= AGG_KEPT_BYTES) {
        agg_reset(s->g, 0);
        return QUARTET_OK;
    }
    arena_rewind(&s->mem, (struct arena_mark){0});
    quartet_status rc = agg_new(&s->mem, &w->x.p->u.window->calls[call].spec, &s->g, err);
    return rc == QUARTET_OK ? agg_reserve(s->g, 1, err) : rc;
}

static quartet_status agg_row(struct xwindow *w, uint32_t call, uint32_t k, struct err *err)
{
    const struct pwindow_call *c = &w->x.p->u.window->calls[call];
    struct value args[ARGS_MAX];
    if (c->filter != NULL) {
        struct value truth = window_cell(w, k, w->calls[call].filter);
        if (types_truth(&truth) != 1)
            return QUARTET_OK;
    }
    if (c->arg_count > ARGS_MAX)
        return err_set(err, QUARTET_LIMIT, "a window function takes at most %u arguments", ARGS_MAX);
    for (uint32_t i = 0; i < c->arg_count; i++)
        args[i] = arg_at(w, call, k, i);
    return agg_update_row(w->calls[call].g, 0, args, err);
}

static quartet_status agg_frame(struct xwindow *w, uint32_t call, uint32_t at, const struct frame *f, struct err *err)
{
    const struct pwindow_call *c = &w->x.p->u.window->calls[call];
    struct wcall *s = &w->calls[call];
    quartet_status rc = QUARTET_OK;
    if (!s->any || f->from != s->from || f->to < s->to || c->exclude != AST_EXCLUDE_NO_OTHERS) {
        rc = agg_begin(w, call, err);
        s->to = f->from;
    }
    s->from = f->from;
    for (; s->to < f->to && rc == QUARTET_OK; s->to++) {
        if (!excluded(w, c, at, s->to))
            rc = agg_row(w, call, s->to, err);
        if (rc == QUARTET_OK && s->to % CHECK_ROWS == 0)
            rc = exec_check(w->x.run->e, err);
    }
    s->any = true;
    return rc;
}

static quartet_status run_agg(struct xwindow *w, uint32_t call, uint32_t from, uint32_t to, struct value *out, struct err *err)
{
    const struct pwindow_call *c = &w->x.p->u.window->calls[call];
    struct wcall *s = &w->calls[call];
    struct value last = s->last;
    if (!value_copy(&w->x.tmp, &last)) /* out may name it when last_mem begins anew */
        return arena_fail(&w->x.tmp, err);
    for (uint32_t at = from; at < to; at++) {
        struct frame f;
        quartet_status rc = frame_of(w, &f, call, at, err);
        if (rc == QUARTET_OK && s->any && f.from == s->from && f.to == s->to && c->exclude == AST_EXCLUDE_NO_OTHERS) {
            out[at - from] = last; /* peers */
            continue;
        }
        if (rc == QUARTET_OK)
            rc = agg_frame(w, call, at, &f, err);
        if (rc == QUARTET_OK)
            rc = agg_final(s->g, 0, &w->x.tmp, &last, err);
        if (rc == QUARTET_OK && !value_copy(&w->x.tmp, &last))
            rc = arena_fail(&w->x.tmp, err);
        if (rc != QUARTET_OK)
            return rc;
        out[at - from] = last;
    }
    arena_rewind(&s->last_mem, (struct arena_mark){0});
    s->last = last;
    return value_copy(&s->last_mem, &s->last) ? QUARTET_OK : arena_fail(&s->last_mem, err);
}

/* ---- the functions that only windows have ---- */

static void run_rank(struct xwindow *w, uint32_t call, uint32_t from, uint32_t to, struct value *out)
{
    uint8_t code = w->x.p->u.window->calls[call].code;
    struct wcall *s = &w->calls[call];
    uint32_t first = w->at_hand.first, n = w->at_hand.last - first;
    for (uint32_t at = from; at < to; at++) {
        struct value v = value_int(at - first + 1);
        if (code != WINDOW_ROW_NUMBER)
            frame_peers(w, at);
        if (code != WINDOW_ROW_NUMBER && at == w->peers_from)
            s->rank++;
        if (code == WINDOW_RANK)
            v.i = w->peers_from - first + 1;
        else if (code == WINDOW_DENSE_RANK)
            v.i = s->rank;
        else if (code == WINDOW_PERCENT_RANK)
            v = (struct value){.type = VALUE_REAL, .r = n < 2 ? 0.0 : (double)(w->peers_from - first) / (double)(n - 1)};
        else if (code == WINDOW_CUME_DIST)
            v = (struct value){.type = VALUE_REAL, .r = (double)(w->peers_to - first) / (double)n};
        out[at - from] = v;
    }
}

static quartet_status run_ntile(struct xwindow *w, uint32_t call, uint32_t from, uint32_t to, struct value *out, struct err *err)
{
    const struct frame *f = &w->at_hand;
    uint64_t n = f->last - f->first;
    int64_t buckets = 0;
    struct value asked = arg_at(w, call, f->first, 0);
    if (!types_to_int64(&asked, &buckets) || buckets < 1)
        return err_set(err, QUARTET_ERROR, "the argument of ntile must be a positive integer");
    for (uint32_t at = from; at < to; at++) {
        uint64_t k = at - f->first, b = (uint64_t)buckets, small = n / b, larger = n % b;
        uint64_t tile = k < larger * (small + 1) ? k / (small + 1) : larger + (small > 0 ? (k - larger * (small + 1)) / small : 0);
        out[at - from] = value_int((int64_t)tile + 1);
    }
    return QUARTET_OK;
}

/* The row `n` behind `at` (before it, where n < 0), not counting NULLs where they are ignored; false: beyond the partition. */
static bool lag_row(struct xwindow *w, uint32_t call, uint32_t at, int64_t n, uint32_t *row)
{
    const struct frame *f = &w->at_hand;
    int64_t step = n < 0 ? -1 : 1, left = n < 0 ? -n : n, to = at;
    if (!w->x.p->u.window->calls[call].ignore_nulls) {
        if (left >= (int64_t)UINT32_MAX)
            return false;
        to = (int64_t)at + n;
    }
    while (w->x.p->u.window->calls[call].ignore_nulls && left > 0) {
        to += step;
        if (to < (int64_t)f->first || to >= (int64_t)f->last)
            return false;
        left -= arg_at(w, call, (uint32_t)to, 0).type != VALUE_NULL;
    }
    *row = (uint32_t)to;
    return to >= (int64_t)f->first && to < (int64_t)f->last;
}

static quartet_status run_lag(struct xwindow *w, uint32_t call, uint32_t from, uint32_t to, struct value *out, struct err *err)
{
    const struct pwindow_call *c = &w->x.p->u.window->calls[call];
    for (uint32_t at = from; at < to; at++) {
        int64_t n = 1;
        uint32_t row = at;
        struct value v = VALUE_NULL_INIT;
        bool has = true;
        if (c->arg_count > 1) {
            struct value offset = arg_at(w, call, at, 1);
            has = types_to_int64(&offset, &n);
        }
        if (n == INT64_MIN)
            n++; /* just as far beyond any partition, and it can be negated */
        if (has && lag_row(w, call, at, c->code == WINDOW_LAG ? -n : n, &row))
            v = arg_at(w, call, row, 0);
        else if (has && c->arg_count > 2)
            v = arg_at(w, call, at, 2);
        quartet_status rc = keep(w, &v, err);
        if (rc != QUARTET_OK)
            return rc;
        out[at - from] = v;
    }
    return QUARTET_OK;
}

/* The n-th row of the frame, from its end where backwards. */
static struct value nth_of(struct xwindow *w, uint32_t call, uint32_t at, const struct frame *f, int64_t n)
{
    const struct pwindow_call *c = &w->x.p->u.window->calls[call];
    bool backwards = c->code == WINDOW_LAST_VALUE, plain = !c->ignore_nulls && c->exclude == AST_EXCLUDE_NO_OTHERS;
    uint32_t skip = plain && n - 1 < (int64_t)(f->to - f->from) ? (uint32_t)(n - 1) : plain ? f->to - f->from : 0;
    n -= skip;
    for (uint32_t i = f->from + skip; i < f->to; i++) {
        uint32_t k = backwards ? f->to - 1 - (i - f->from) : i;
        if (excluded(w, c, at, k))
            continue;
        struct value x = arg_at(w, call, k, 0);
        if (c->ignore_nulls && x.type == VALUE_NULL)
            continue;
        if (--n == 0)
            return x;
    }
    return VALUE_NULL_INIT;
}

static quartet_status run_nth(struct xwindow *w, uint32_t call, uint32_t from, uint32_t to, struct value *out, struct err *err)
{
    for (uint32_t at = from; at < to; at++) {
        int64_t n = 1;
        struct frame f;
        quartet_status rc = frame_of(w, &f, call, at, err);
        if (rc != QUARTET_OK)
            return rc;
        if (w->x.p->u.window->calls[call].code == WINDOW_NTH_VALUE) {
            struct value nth = arg_at(w, call, at, 1);
            if (!types_to_int64(&nth, &n) || n < 1)
                return err_set(err, QUARTET_ERROR, "the second argument of nth_value must be a positive integer");
        }
        out[at - from] = nth_of(w, call, at, &f, n);
        rc = keep(w, &out[at - from], err);
        if (rc == QUARTET_OK && at % CHECK_ROWS == 0)
            rc = exec_check(w->x.run->e, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

void window_call_begin(struct xwindow *w, uint32_t call)
{
    struct wcall *s = &w->calls[call];
    s->any = false;
    s->rank = 0;
    s->last = VALUE_NULL_INIT;
}

quartet_status window_call(struct xwindow *w, uint32_t call, uint32_t from, uint32_t to, struct value *out, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    switch (w->x.p->u.window->calls[call].code) {
    case WINDOW_AGG:
        rc = run_agg(w, call, from, to, out, err);
        break;
    case WINDOW_NTILE:
        rc = run_ntile(w, call, from, to, out, err);
        break;
    case WINDOW_LAG:
    case WINDOW_LEAD:
        rc = run_lag(w, call, from, to, out, err);
        break;
    case WINDOW_FIRST_VALUE:
    case WINDOW_LAST_VALUE:
    case WINDOW_NTH_VALUE:
        rc = run_nth(w, call, from, to, out, err);
        break;
    default:
        run_rank(w, call, from, to, out);
        break;
    }
    return w->failed != QUARTET_OK ? window_check(w, err) : rc;
}
