/* exec_agg.c - GROUP BY: rows to group numbers, a batch at a time, then each aggregate over the
 * whole batch. Why one state per grouping set: ROLLUP and CUBE read their input once. Columns
 * outside of GROUP BY come from the group's first row, or from the row with its one min() or max().
 * Past a part of memory_limit no group is added: rows of groups that are not there go to one of
 * eight piles on disk, by their key's hash, and each pile is grouped by itself, later, in the same way.
 * So no aggregate need know of it: all rows of a group meet in one pass.
 */
#include <stdlib.h>
#include <string.h>

#include "exec_pile.h"


struct ordered {      /* an aggregate with ORDER BY: its rows wait until all are there */
    struct rows args; /* the arguments, then the group's number */
    struct sort_row *keys;
    uint32_t cap;
};
struct sort_row {
    struct slice key;
    uint32_t row;
};
struct gset {
    struct keyset keys;
    struct rows groups; /* the key columns of each group */
    agg **aggs;
    struct rows bare;   /* rows that bare columns are taken from */
    uint32_t *bare_row; /* for each group */
    struct value *best; /* for each group: the min or max so far */
    uint32_t cap, n;
    struct ordered *ordered;
};
struct xagg {
    struct xnode x;
    bool built;
    struct arena data, feed; /* of the groups; of rows that come back from a pile */
    bool full;               /* no more groups in this pass */
    uint32_t depth;          /* of the pile that is grouped; 0: the input */
    struct piles piles;
    struct vec *fed;
    struct gset *sets;
    uint32_t set_count;
    uint32_t set_at, row_at;
    struct outvec *cols;
    struct buf key;
    uint32_t ids[BATCH_ROWS_MAX];
    uint32_t by_row[BATCH_ROWS_MAX];
    uint16_t fresh[BATCH_ROWS_MAX];
    uint16_t sel[BATCH_ROWS_MAX];
};

static quartet_status agg_node_open(struct xnode *x, struct err *err)
{
    struct xagg *a = (struct xagg *)x;
    const struct pagg *p = x->p->u.agg;
    a->built = false;
    piles_reset(&a->piles);
    a->data.limit_bytes = a->feed.limit_bytes = x->run->e->limits.memory_bytes;
    if (a->cols == NULL) {
        a->set_count = p->sets != NULL ? p->set_count : 1;
        a->sets = keep_alloc(x->run->e, a->set_count, sizeof *a->sets);
        a->cols = keep_alloc(x->run->e, x->p->col_count, sizeof *a->cols);
        a->fed = keep_alloc(x->run->e, x->p->child[0]->col_count, sizeof *a->fed);
        if (a->cols == NULL || a->sets == NULL || a->fed == NULL)
            return arena_fail(&x->run->e->keep, err);
    }
    quartet_status rc = out_vecs(x, x->p->col_count, err);
    return rc != QUARTET_OK ? rc : child_open(x, 0, err);
}

static void agg_node_close(struct xnode *x)
{
    struct xagg *a = (struct xagg *)x;
    for (uint32_t i = 0; a->sets != NULL && i < a->set_count; i++)
        keyset_deinit(&a->sets[i].keys);
    buf_deinit(&a->key);
    a->key = (struct buf){0};
    piles_deinit(&a->piles);
    if (x->run->e->last || a->data.used_bytes > PILE_KEPT_BYTES)
        arena_free_all(&a->data);
    arena_free_all(&a->feed);
}

static quartet_status set_init(struct xagg *a, struct gset *s, struct err *err)
{
    const struct pagg *p = a->x.p->u.agg;
    struct arena *data = &a->data;
    struct keyset keys = s->keys; /* its scratch buffer is heap and goes on */
    *s = (struct gset){.keys = keys};
    keyset_init(&s->keys, p->group_count, p->group_flags, data);
    rows_init(&s->groups, p->group_count, data);
    rows_init(&s->bare, p->bare_count, data);
    s->aggs = arena_zalloc(data, p->call_count + 1, sizeof(agg *));
    s->ordered = arena_zalloc(data, p->call_count + 1, sizeof *s->ordered);
    if (s->aggs == NULL || s->ordered == NULL)
        return arena_fail(data, err);
    for (uint32_t i = 0; i < p->call_count; i++) {
        quartet_status rc = agg_new(data, &p->calls[i].spec, &s->aggs[i], err);
        if (rc != QUARTET_OK)
            return rc;
        rows_init(&s->ordered[i].args, p->calls[i].spec.arg_count + 1, data);
    }
    return QUARTET_OK;
}

static quartet_status groups_reserve(struct xagg *a, struct gset *s, uint32_t n, struct err *err)
{
    const struct pagg *p = a->x.p->u.agg;
    struct arena *data = &a->data;
    for (uint32_t i = 0; i < p->call_count; i++) {
        quartet_status rc = agg_reserve(s->aggs[i], n, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if (n <= s->cap || p->bare_count == 0)
        return QUARTET_OK;
    uint32_t cap = s->cap == 0 ? 64 : s->cap;
    while (cap < n)
        cap *= 2;
    uint32_t *rows = arena_alloc(data, cap * sizeof *rows);
    struct value *best = arena_alloc(data, cap * sizeof *best);
    if (rows == NULL || best == NULL)
        return arena_fail(data, err);
    memset(rows, 0xff, cap * sizeof *rows);
    if (s->cap > 0) {
        memcpy(rows, s->bare_row, s->cap * sizeof *rows);
        memcpy(best, s->best, s->cap * sizeof *best);
    }
    for (uint32_t i = s->cap; i < cap; i++)
        best[i] = VALUE_NULL_INIT;
    s->bare_row = rows;
    s->best = best;
    s->cap = cap;
    return QUARTET_OK;
}

static quartet_status take_bare(struct xagg *a, struct gset *s, const struct batch *in,
                                uint32_t group, uint32_t row, struct err *err)
{
    const struct pagg *p = a->x.p->u.agg;
    uint16_t sel[1] = {(uint16_t)row};
    struct vec *cols = arena_alloc(&a->x.tmp, (p->bare_count + 1) * sizeof *cols);
    if (cols == NULL)
        return arena_fail(&a->x.tmp, err);
    for (uint32_t i = 0; i < p->bare_count; i++)
        cols[i] = in->cols[p->bare[i]];
    s->bare_row[group] = s->bare.n;
    return rows_append_vecs(&s->bare, cols, sel, 1, err);
}

/* Keep the bare columns of each group's first row, or of its best one. */
static quartet_status update_bare(struct xagg *a, struct gset *s, const struct batch *in,
                                  const uint32_t *group, struct vec *const *args, struct err *err)
{
    const struct pagg *p = a->x.p->u.agg;
    bool is_max = p->bare_by != PLAN_NONE && p->calls[p->bare_by].spec.func->code == AGG_MAX;
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k), g = group != NULL ? group[row] : 0;
        quartet_status rc = QUARTET_OK;
        if (p->bare_by != PLAN_NONE) {
            struct value v = vec_get(&args[p->bare_by][0], row);
            struct value *best = &s->best[g];
            int c = v.type == VALUE_NULL || best->type == VALUE_NULL
                        ? 0
                        : types_compare(&v, best, p->calls[p->bare_by].spec.nocase);
            bool better =
                v.type != VALUE_NULL && (best->type == VALUE_NULL || (is_max ? c > 0 : c < 0));
            if (better) {
                *best = v;
                if (!value_copy(&a->data, best))
                    return arena_fail(&a->data, err);
            }
            if (better || s->bare_row[g] == ROWS_NONE)
                rc = take_bare(a, s, in, g, row, err);
        } else if (s->bare_row[g] == ROWS_NONE) {
            rc = take_bare(a, s, in, g, row, err);
        }
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

static quartet_status keep_ordered(struct xagg *a, struct gset *s, uint32_t call,
                                   const struct batch *in, const uint32_t *group,
                                   const struct vec *args, struct err *err)
{
    const struct pagg_call *c = &a->x.p->u.agg->calls[call];
    struct ordered *o = &s->ordered[call];
    struct arena *data = &a->data, *tmp = &a->x.tmp;
    uint32_t n = c->spec.arg_count;
    struct vec *cols = arena_alloc(tmp, (n + 1) * sizeof *cols),
               *keys = arena_alloc(tmp, (c->order_count + 1) * sizeof *keys);
    uint32_t first = o->args.n;
    if (cols == NULL || keys == NULL || !vec_init(&cols[n], VALUE_INTEGER, BATCH_ROWS_MAX, tmp))
        return arena_fail(tmp, err);
    memcpy(cols, args, n * sizeof *cols);
    for (uint32_t k = 0; k < in->n; k++)
        cols[n].i[batch_row(in, k)] = group != NULL ? group[batch_row(in, k)] : 0;
    for (uint32_t i = 0; i < c->order_count; i++) {
        quartet_status rc = expr_eval(c->order[i], &a->x.ctx, in, &keys[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    quartet_status rc = rows_append_vecs(&o->args, cols, in->sel, in->n, err);
    if (rc != QUARTET_OK)
        return rc;
    if (o->cap < o->args.n) {
        uint32_t cap = o->cap == 0 ? 256 : o->cap;
        while (cap < o->args.n)
            cap *= 2;
        struct sort_row *to = arena_alloc(data, cap * sizeof *to);
        if (to == NULL)
            return arena_fail(data, err);
        if (first > 0)
            memcpy(to, o->keys, first * sizeof *to);
        o->keys = to;
        o->cap = cap;
    }
    for (uint32_t k = 0; k < in->n; k++) {
        buf_clear(&a->key);
        for (uint32_t i = 0; i < c->order_count; i++)
            cell_key_put_vec(&a->key, &keys[i], batch_row(in, k), c->order_flags[i]);
        uint8_t *copy = a->key.failed ? NULL : arena_dup(data, a->key.data, a->key.len);
        if (copy == NULL)
            return arena_fail(data, err);
        o->keys[first + k] = (struct sort_row){.key = slice_of(copy, a->key.len), .row = first + k};
    }
    return QUARTET_OK;
}

static quartet_status update_calls(struct xagg *a, struct gset *s, const struct batch *in,
                                   const uint32_t *group, struct vec *const *args, struct err *err)
{
    const struct pagg *p = a->x.p->u.agg;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < p->call_count && rc == QUARTET_OK; i++) {
        const struct pagg_call *c = &p->calls[i];
        struct batch some = *in;
        if (c->filter != NULL) {
            rc = expr_filter(c->filter, &a->x.ctx, in, a->sel, &some.n, err);
            some.sel = a->sel;
        }
        if (rc != QUARTET_OK || some.n == 0)
            continue;
        rc = c->order_count > 0 ? keep_ordered(a, s, i, &some, group, args[i], err)
                                : agg_update(s->aggs[i], &some, args[i], group, err);
    }
    if (rc == QUARTET_OK && p->bare_count > 0)
        rc = update_bare(a, s, in, group, args, err);
    return rc;
}

/* Rows of groups that are there stay in the batch, the others go to a pile. */
static quartet_status known_groups(struct xagg *a, struct gset *s, struct batch *in, const struct vec *keys, struct err *err)
{
    uint32_t n = 0;
    quartet_status rc = keyset_rows(&s->keys, keys, in->sel, in->n, false, false, a->ids, err);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        if (a->ids[k] == KEYSET_NONE) {
            rc = piles_put(&a->piles, a->x.run->e, a->depth, keys, a->x.p->u.agg->group_flags, a->x.p->u.agg->group_count, in->cols, in->col_count, row, err);
            continue;
        }
        a->by_row[row] = a->ids[k];
        a->fresh[n++] = (uint16_t)row;
    }
    in->sel = a->fresh;
    in->n = n;
    return rc;
}

/* Number the rows' groups under one grouping set; columns outside of it are NULL. */
static quartet_status set_groups(struct xagg *a, struct gset *s, uint64_t mask,
                                 const struct batch *in, const struct vec *keys, struct err *err)
{
    const struct pagg *p = a->x.p->u.agg;
    uint8_t one_null = 1;
    struct vec *used = arena_alloc(&a->x.tmp, (p->group_count + 1) * sizeof *used);
    if (used == NULL)
        return arena_fail(&a->x.tmp, err);
    for (uint32_t i = 0; i < p->group_count; i++) {
        used[i] = keys[i];
        if ((mask >> i & 1u) == 0) {
            used[i] = (struct vec){.type = VALUE_NULL, .has_null = true, .constant = true};
            used[i].null = &one_null;
        }
    }
    uint32_t known = s->keys.n, fresh = 0;
    quartet_status rc = keyset_rows(&s->keys, used, in->sel, in->n, true, false, a->ids, err);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k);
        a->by_row[row] = a->ids[k];
        if (a->ids[k] == known + fresh)
            a->fresh[fresh++] = (uint16_t)row;
    }
    s->n = s->keys.n;
    rc = groups_reserve(a, s, s->n, err);
    return rc != QUARTET_OK || fresh == 0
               ? rc
               : rows_append_vecs(&s->groups, used, a->fresh, fresh, err);
}

static quartet_status group_batch(struct xagg *a, const struct batch *all, struct err *err)
{
    const struct pagg *p = a->x.p->u.agg;
    struct batch some = *all, *in = &some;
    quartet_status rc = QUARTET_OK;
    tmp_reset(&a->x);
    struct vec *keys = arena_alloc(&a->x.tmp, (p->group_count + 1) * sizeof *keys);
    struct vec **args = arena_alloc(&a->x.tmp, (p->call_count + 1) * sizeof(struct vec *));
    if (keys == NULL || args == NULL)
        return arena_fail(&a->x.tmp, err);
    for (uint32_t i = 0; i < p->group_count && rc == QUARTET_OK; i++)
        rc = expr_eval(p->group[i], &a->x.ctx, in, &keys[i], err);
    for (uint32_t i = 0; i < p->call_count && rc == QUARTET_OK; i++) {
        args[i] = arena_alloc(&a->x.tmp, (p->calls[i].spec.arg_count + 1) * sizeof(struct vec));
        if (args[i] == NULL)
            return arena_fail(&a->x.tmp, err);
        for (uint32_t k = 0; k < p->calls[i].spec.arg_count && rc == QUARTET_OK; k++)
            rc = expr_eval(p->calls[i].args[k], &a->x.ctx, in, &args[i][k], err);
    }
    for (uint32_t i = 0; i < a->set_count && rc == QUARTET_OK; i++) {
        if (a->full)
            rc = known_groups(a, &a->sets[i], in, keys, err);
        else if (p->group_count > 0)
            rc = set_groups(a, &a->sets[i], p->sets != NULL ? p->sets[i] : UINT64_MAX, in, keys,
                            err);
        if (rc == QUARTET_OK)
            rc = update_calls(a, &a->sets[i], in, p->group_count > 0 ? a->by_row : NULL, args, err);
    }
    if (!a->full && p->group_count > 0 && p->sets == NULL)
        a->full = piles_begin(a->x.run->e, a->depth, a->data.used_bytes);
    return rc;
}

static int compare_rows(const void *x, const void *y)
{
    const struct sort_row *a = x, *b = y;
    int c = slice_cmp(a->key, b->key);
    return c != 0 ? c : a->row < b->row ? -1 : 1;
}

static quartet_status finish_ordered(struct xagg *a, struct gset *s, struct err *err)
{
    const struct pagg *p = a->x.p->u.agg;
    for (uint32_t i = 0; i < p->call_count; i++) {
        struct ordered *o = &s->ordered[i];
        uint32_t n = p->calls[i].spec.arg_count;
        struct value args[8];
        if (o->args.n == 0)
            continue;
        if (n > 8)
            return err_set(err, QUARTET_LIMIT,
                           "an aggregate with ORDER BY takes at most 8 arguments");
        qsort(o->keys, o->args.n, sizeof *o->keys, compare_rows);
        for (uint32_t k = 0; k < o->args.n; k++) {
            for (uint32_t c = 0; c < n; c++)
                args[c] = rows_value(&o->args, o->keys[k].row, c);
            struct value group = rows_value(&o->args, o->keys[k].row, n);
            quartet_status rc = agg_update_row(s->aggs[i], (uint32_t)group.i, args, err);
            if (rc != QUARTET_OK)
                return rc;
        }
    }
    return QUARTET_OK;
}

/* A group over nothing is there where nothing is grouped by. */
static quartet_status finish_set(struct xagg *a, struct gset *s, uint64_t mask, struct err *err)
{
    const struct pagg *p = a->x.p->u.agg;
    uint8_t one_null = 1;
    bool whole = p->sets != NULL && mask == 0;
    quartet_status rc = QUARTET_OK;
    if (p->group_count == 0) {
        s->n = 1;
    } else if (whole && s->n == 0) {
        rc = groups_reserve(a, s, 1, err);
        s->n = 1;
        if (rc == QUARTET_OK) {
            struct vec *nulls = arena_alloc(&a->x.tmp, (p->group_count + 1) * sizeof *nulls);
            if (nulls == NULL)
                return arena_fail(&a->x.tmp, err);
            for (uint32_t i = 0; i < p->group_count; i++) {
                nulls[i] = (struct vec){.type = VALUE_NULL, .has_null = true, .constant = true};
                nulls[i].null = &one_null;
            }
            rc = rows_append_vecs(&s->groups, nulls, NULL, 1, err);
        }
    }
    return rc != QUARTET_OK ? rc : finish_ordered(a, s, err);
}

static quartet_status pass_begin(struct xagg *a, uint32_t depth, struct err *err)
{
    const struct pagg *p = a->x.p->u.agg;
    quartet_status rc = QUARTET_OK;
    arena_rewind(&a->data, (struct arena_mark){0});
    a->full = false;
    a->depth = depth;
    a->set_at = a->row_at = 0;
    for (uint32_t i = 0; i < a->set_count && rc == QUARTET_OK; i++) {
        rc = set_init(a, &a->sets[i], err);
        if (rc == QUARTET_OK && p->group_count == 0)
            rc = groups_reserve(a, &a->sets[i], 1, err);
    }
    return rc;
}

/* The piles that this pass made wait for theirs. */
static quartet_status pass_end(struct xagg *a, struct err *err)
{
    const struct pagg *p = a->x.p->u.agg;
    quartet_status rc = piles_end(&a->piles, a->depth, false, err);
    for (uint32_t i = 0; i < a->set_count && rc == QUARTET_OK; i++)
        rc = finish_set(a, &a->sets[i], p->sets != NULL ? p->sets[i] : 0, err);
    return rc;
}

static quartet_status agg_build(struct xagg *a, struct err *err)
{
    a->built = true;
    quartet_status rc = pass_begin(a, 0, err);
    while (rc == QUARTET_OK) {
        rc = child_next(&a->x, 0, err);
        if (rc == QUARTET_OK && a->x.child[0]->out.n == 0)
            break;
        if (rc == QUARTET_OK)
            rc = group_batch(a, &a->x.child[0]->out, err);
    }
    return rc == QUARTET_OK ? pass_end(a, err) : rc;
}

/* Group a pile that waits. */
static quartet_status pile_build(struct xagg *a, struct err *err)
{
    struct pile from = {0};
    struct batch in;
    quartet_status rc = piles_take(&a->piles, &from, err);
    if (rc == QUARTET_OK)
        rc = pass_begin(a, from.depth, err);
    while (rc == QUARTET_OK) {
        rc = exec_check(a->x.run->e, err);
        if (rc == QUARTET_OK)
            rc = pile_feed(from.rows, a->fed, a->x.p->child[0]->col_count, &a->feed, &in, err);
        if (rc != QUARTET_OK || in.n == 0)
            break;
        rc = group_batch(a, &in, err);
    }
    spill_free(from.rows);
    return rc == QUARTET_OK ? pass_end(a, err) : rc;
}

static quartet_status agg_emit(struct xagg *a, struct gset *s, uint32_t n, struct err *err)
{
    const struct pagg *p = a->x.p->u.agg;
    struct arena *keep = &a->x.run->e->keep;
    uint32_t ids[BATCH_ROWS_MAX], at = 0;
    quartet_status rc = QUARTET_OK;
    for (uint32_t k = 0; k < n; k++)
        ids[k] = a->row_at + k;
    for (uint32_t i = 0; i < p->group_count && rc == QUARTET_OK; i++, at++) {
        rc = rows_gather(&s->groups, i, ids, n, &a->cols[at], keep, err);
        a->x.out.cols[at] = a->cols[at].v;
    }
    tmp_reset(&a->x);
    for (uint32_t i = 0; i < p->call_count && rc == QUARTET_OK; i++, at++)
        rc = agg_final_vec(s->aggs[i], a->row_at, n, &a->x.tmp, &a->x.out.cols[at], err);
    for (uint32_t k = 0; k < n && p->bare_count > 0; k++)
        ids[k] = s->bare_row[a->row_at + k];
    for (uint32_t i = 0; i < p->bare_count && rc == QUARTET_OK; i++, at++) {
        rc = rows_gather(&s->bare, i, ids, n, &a->cols[at], keep, err);
        a->x.out.cols[at] = a->cols[at].v;
    }
    a->x.out.n = n;
    a->row_at += n;
    return rc;
}

static quartet_status agg_node_next(struct xnode *x, struct err *err)
{
    struct xagg *a = (struct xagg *)x;
    quartet_status rc = a->built ? QUARTET_OK : agg_build(a, err);
    x->out.n = 0;
    while (rc == QUARTET_OK && (a->set_at < a->set_count || a->piles.waiting_count > 0)) {
        if (a->set_at == a->set_count) {
            rc = pile_build(a, err);
            continue;
        }
        struct gset *s = &a->sets[a->set_at];
        uint32_t n = s->n - a->row_at < BATCH_ROWS_MAX ? s->n - a->row_at : BATCH_ROWS_MAX;
        if (n > 0)
            return agg_emit(a, s, n, err);
        a->set_at++;
        a->row_at = 0;
    }
    return rc;
}

const struct xkind xkind_agg = {sizeof(struct xagg),
                                {agg_node_open, agg_node_next, agg_node_close}, 0};
