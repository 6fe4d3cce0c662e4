/* exec_window_frame.c - which rows of its partition a row's frame holds. Rows are sorted, so what a RANGE reaches is found by halving, and the peers of a row once for all of
 * them. */
#include "exec_window.h"

static uint32_t peers_first(struct xwindow *w, uint32_t at)
{
    while (at > w->at_hand.first && window_peers(w, at - 1, at))
        at--;
    return at;
}

static uint32_t peers_last(struct xwindow *w, uint32_t at) /* one past */
{
    while (at + 1 < w->at_hand.last && window_peers(w, at + 1, at))
        at++;
    return at + 1;
}

void frame_peers(struct xwindow *w, uint32_t at)
{
    if (at >= w->peers_from && at < w->peers_to)
        return;
    bool follows = at == w->peers_to && at > w->at_hand.first;
    bool all = w->x.p->u.window->order_count == 0;
    w->peers_from = all ? w->at_hand.first : follows ? at : peers_first(w, at);
    w->peers_to = all ? w->at_hand.last : peers_last(w, at);
}

static quartet_status offset_value(struct xwindow *w, uint32_t call, bool is_end, uint32_t at, struct value *out, struct err *err)
{
    const struct wcall *c = &w->calls[call];
    *out = window_cell(w, at, is_end ? c->end : c->start);
    double r = 0;
    if (!types_to_double(out, &r) || r < 0)
        return err_set(err, QUARTET_ERROR, "the distance of a window frame must be a number, not negative");
    return QUARTET_OK;
}

static bool is_number(const struct value *v)
{
    return v->type == VALUE_INTEGER || v->type == VALUE_REAL || v->type == VALUE_DECIMAL;
}

/* RANGE: the first row whose ordering value is at least (or, for an end, past) the present one plus or minus the distance. Numbers stand together; on the side of `at`, which is
 * one, that comes later, all else is past them. */
static quartet_status range_bound(struct xwindow *w, uint32_t call, uint32_t at, bool is_end, bool preceding, uint32_t *out, struct err *err)
{
    const struct pwindow *p = w->x.p->u.window;
    const struct frame *f = &w->at_hand;
    struct value distance, here;
    double d = 0, base = 0;
    quartet_status rc = offset_value(w, call, is_end, at, &distance, err);
    if (rc != QUARTET_OK)
        return rc;
    if (p->order_count != 1)
        return err_set(err, QUARTET_ERROR, "RANGE with a distance needs exactly one ORDER BY expression");
    bool desc = (p->order_flags[0] & CELL_KEY_DESC) != 0;
    here = window_cell(w, at, w->order_value);
    if (!is_number(&here)) { /* NULLs are peers of each other and near to nothing else */
        frame_peers(w, at);
        *out = is_end ? w->peers_to : w->peers_from;
        return QUARTET_OK;
    }
    (void)types_to_double(&distance, &d); /* offset_value has seen it */
    (void)types_to_double(&here, &base);  /* a number */
    double limit = preceding != desc ? base - d : base + d;
    uint32_t lo = f->first, hi = f->last;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct value x = window_cell(w, mid, w->order_value);
        double v = 0;
        bool past = mid > at;
        if (is_number(&x)) {
            (void)types_to_double(&x, &v); /* a number */
            past = desc ? (is_end ? v < limit : v <= limit) : (is_end ? v > limit : v >= limit);
        }
        if (past)
            hi = mid;
        else
            lo = mid + 1;
    }
    *out = lo;
    return QUARTET_OK;
}

static quartet_status groups_bound(struct xwindow *w, uint32_t call, uint32_t at, bool is_end, bool preceding, uint32_t *out, struct err *err)
{
    const struct frame *f = &w->at_hand;
    struct value distance;
    int64_t n = 0;
    quartet_status rc = offset_value(w, call, is_end, at, &distance, err);
    if (rc != QUARTET_OK)
        return rc;
    (void)types_to_int64(&distance, &n); /* offset_value has seen it */
    frame_peers(w, at);
    uint32_t first = w->peers_from, last = w->peers_to;
    for (; n > 0 && preceding; n--) {
        if (first == f->first) {
            *out = is_end ? f->first : first;
            return QUARTET_OK;
        }
        last = first;
        first = peers_first(w, first - 1);
    }
    for (; n > 0 && !preceding; n--) {
        if (last == f->last) {
            *out = f->last;
            return QUARTET_OK;
        }
        first = last;
        last = peers_last(w, last);
    }
    *out = is_end ? last : first;
    return QUARTET_OK;
}

static quartet_status rows_bound(struct xwindow *w, uint32_t call, uint32_t at, bool is_end, bool preceding, uint32_t *out, struct err *err)
{
    const struct frame *f = &w->at_hand;
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

static quartet_status end_point(struct xwindow *w, uint32_t call, uint32_t at, bool is_end, uint32_t *out, struct err *err)
{
    const struct pwindow_call *c = &w->x.p->u.window->calls[call];
    uint8_t bound = is_end ? c->end : c->start;
    bool preceding = bound == AST_BOUND_PRECEDING;
    if (bound == AST_BOUND_UNBOUNDED_PRECEDING) {
        *out = w->at_hand.first;
    } else if (bound == AST_BOUND_UNBOUNDED_FOLLOWING) {
        *out = w->at_hand.last;
    } else if (bound == AST_BOUND_CURRENT_ROW && c->mode == AST_FRAME_ROWS) {
        *out = at + (is_end ? 1 : 0);
    } else if (bound == AST_BOUND_CURRENT_ROW) {
        frame_peers(w, at);
        *out = is_end ? w->peers_to : w->peers_from;
    } else if (c->mode == AST_FRAME_ROWS) {
        return rows_bound(w, call, at, is_end, preceding, out, err);
    } else if (c->mode == AST_FRAME_GROUPS) {
        return groups_bound(w, call, at, is_end, preceding, out, err);
    } else {
        return range_bound(w, call, at, is_end, preceding, out, err);
    }
    return QUARTET_OK;
}

quartet_status frame_of(struct xwindow *w, struct frame *f, uint32_t call, uint32_t at, struct err *err)
{
    *f = w->at_hand;
    quartet_status rc = end_point(w, call, at, false, &f->from, err);
    if (rc == QUARTET_OK)
        rc = end_point(w, call, at, true, &f->to, err);
    if (f->to < f->from)
        f->to = f->from;
    return rc;
}
