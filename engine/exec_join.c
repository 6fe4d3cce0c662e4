/* exec_join.c - joins: by hash, by loop, by lookups in an index, and by running the right side anew
 * for each left row (APPLY). Why one shape: all four make pairs of a row of the present left batch
 * and a row that is kept from the right; what follows (condition, outer rows, output columns) is
 * the same. Order: pairs come in the order of the left rows; a left row without partner stands in
 * its place where there is no further condition. */
#include <string.h>

#include "exec_internal.h"

#define CHAIN_END UINT32_MAX

struct xjoin {
    struct xnode x;
    struct batch left; /* the present left batch; n == 0: fetch one */
    bool have_left, left_done, built, tail;
    uint32_t left_at; /* row of it that is being joined */
    uint32_t cursor;  /* of its partners */
    struct rows right;
    struct arena fetched; /* INDEX_JOIN, APPLY: what `right` holds, until the next call */
    struct keyset keys;
    uint32_t *heads, *tails, heads_cap, *chain, chain_cap;
    uint32_t ids[BATCH_ROWS_MAX];
    uint16_t left_rows[BATCH_ROWS_MAX]; /* of the pairs: row in the left batch */
    uint16_t left_pos[BATCH_ROWS_MAX];  /* and its number there */
    uint32_t right_rows[BATCH_ROWS_MAX];
    uint32_t pairs;
    bool left_matched[BATCH_ROWS_MAX];
    uint8_t *right_matched;
    bool *wanted; /* columns of both sides that are looked at */
    struct vec *both;
    struct outvec *gathered;
    uint16_t sel[BATCH_ROWS_MAX];
    /* INDEX_JOIN, APPLY */
    bool inner_open, inner_any;
    struct batch inner;
    uint32_t inner_at;
    table_scan *scan;
    struct scan_key inner_key;
    struct bound_state bound;
    uint16_t inner_sel[BATCH_ROWS_MAX];
    struct xrun run;
    bool run_made;
    struct scan_semi semi;
    bool semi_known;
    struct arena set_values; /* APPLY: what the run in progress reads of the left row */
};

static uint32_t left_cols(const struct xjoin *j)
{
    return j->x.p->child[0]->col_count;
}

static uint32_t right_cols(const struct xjoin *j)
{
    return j->x.p->child[1]->col_count;
}

static void want_visit(void *arg, uint32_t column)
{
    bool *wanted = arg;
    wanted[column] = true;
}

static quartet_status join_make(struct xjoin *j, struct err *err)
{
    struct exec *e = j->x.run->e;
    const struct pjoin *p = j->x.p->u.join;
    uint32_t n = left_cols(j) + right_cols(j);
    if (j->both == NULL) {
        j->both = keep_alloc(e, n, sizeof *j->both);
        j->gathered = keep_alloc(e, n, sizeof *j->gathered);
        j->wanted = keep_alloc(e, n, sizeof *j->wanted);
        if (j->both == NULL || j->gathered == NULL || j->wanted == NULL)
            return arena_fail(&e->keep, err);
        for (uint32_t i = 0; i < j->x.p->col_count; i++)
            j->wanted[p->out[i]] = true;
        if (p->cond != NULL)
            bind_each_column(p->cond, want_visit, j->wanted);
    }
    return out_vecs(&j->x, j->x.p->col_count, err);
}

static quartet_status join_open(struct xnode *x, struct err *err)
{
    struct xjoin *j = (struct xjoin *)x;
    quartet_status rc = join_make(j, err);
    j->have_left = j->left_done = j->built = j->tail = false;
    j->inner_open = false;
    j->semi.on = false;
    j->right_matched = NULL;
    j->heads = j->tails = j->chain = NULL;
    j->heads_cap = j->chain_cap = 0;
    if (rc == QUARTET_OK)
        rc = child_open(x, 0, err);
    if (rc == QUARTET_OK && x->child[1] != NULL)
        rc = child_open(x, 1, err);
    return rc;
}

static void join_close(struct xnode *x)
{
    struct xjoin *j = (struct xjoin *)x;
    if (x->run->e->last) {
        table_scan_close(j->scan);
        j->scan = NULL;
    }
    table_scan_rest(j->scan);
    keyset_deinit(&j->keys);
    j->keys = (struct keyset){0};
    arena_free_all(&j->fetched);
    if (x->p->kind == PN_APPLY)
        arena_free_all(&j->run.data);
    arena_free_all(&j->set_values);
}

/* ---- pairs to rows ---- */

static quartet_status gather_side(struct xjoin *j, uint32_t from, uint32_t n, bool is_left,
                                  bool nulls, struct err *err)
{
    struct arena *keep = &j->x.run->e->keep;
    for (uint32_t i = 0; i < n; i++) {
        quartet_status rc = QUARTET_OK;
        uint32_t at = from + i;
        if (!j->wanted[at])
            continue;
        if (nulls) {
            if (!outvec_reset(&j->gathered[at], VALUE_NULL, j->pairs, keep))
                return arena_fail(keep, err);
        } else if (is_left) {
            rc = vec_gather(&j->left.cols[i], j->left_rows, j->pairs, &j->gathered[at], keep, err);
        } else {
            rc = rows_gather(&j->right, i, j->right_rows, j->pairs, &j->gathered[at], keep, err);
        }
        if (rc != QUARTET_OK)
            return rc;
        j->both[at] = j->gathered[at].v;
    }
    return QUARTET_OK;
}

/* The pairs become x->out; ask: under the condition. */
static quartet_status emit(struct xjoin *j, bool ask, bool no_left, bool no_right, struct err *err)
{
    struct xnode *x = &j->x;
    const struct pjoin *p = x->p->u.join;
    struct batch both = {.n = j->pairs, .col_count = left_cols(j) + right_cols(j), .cols = j->both};
    quartet_status rc = gather_side(j, 0, left_cols(j), true, no_left, err);
    if (rc == QUARTET_OK)
        rc = gather_side(j, left_cols(j), right_cols(j), false, no_right, err);
    if (rc != QUARTET_OK)
        return rc;
    if (ask && p->cond != NULL) {
        uint32_t n;
        tmp_reset(x);
        rc = expr_filter(p->cond, &x->ctx, &both, j->sel, &n, err);
        if (rc != QUARTET_OK)
            return rc;
        both.sel = j->sel;
        both.n = n;
    }
    if (ask && p->kind != PJ_INNER) {
        for (uint32_t k = 0; k < both.n; k++) {
            uint32_t pair = batch_row(&both, k);
            j->left_matched[j->left_pos[pair]] = true;
            if (j->right_matched != NULL && j->right_rows[pair] != ROWS_NONE)
                j->right_matched[j->right_rows[pair]] = 1;
        }
    }
    for (uint32_t i = 0; i < x->p->col_count; i++)
        x->out.cols[i] = j->both[p->out[i]];
    x->out.n = both.n;
    x->out.sel = both.sel;
    j->pairs = 0;
    return QUARTET_OK;
}

static void add_pair(struct xjoin *j, uint32_t left_pos, uint32_t right_row)
{
    j->left_rows[j->pairs] = (uint16_t)batch_row(&j->left, left_pos);
    j->left_pos[j->pairs] = (uint16_t)left_pos;
    j->right_rows[j->pairs++] = right_row;
}

static quartet_status left_fetch(struct xjoin *j, struct err *err)
{
    quartet_status rc = child_next(&j->x, 0, err);
    if (rc != QUARTET_OK)
        return rc;
    j->left = j->x.child[0]->out;
    j->left_at = 0;
    j->cursor = 0;
    j->have_left = j->left.n > 0;
    j->left_done = j->left.n == 0;
    if (j->x.p->u.join->kind != PJ_INNER)
        memset(j->left_matched, 0, j->left.n * sizeof j->left_matched[0]);
    return QUARTET_OK;
}

/* The left rows that found no partner, all at once behind their batch. */
static quartet_status emit_lonely_left(struct xjoin *j, struct err *err)
{
    j->pairs = 0;
    for (uint32_t k = 0; k < j->left.n; k++) {
        if (!j->left_matched[k])
            add_pair(j, k, ROWS_NONE);
    }
    j->x.out.n = 0;
    return j->pairs > 0 ? emit(j, false, false, true, err) : QUARTET_OK;
}

static quartet_status emit_lonely_right(struct xjoin *j, struct err *err)
{
    j->pairs = 0;
    while (j->cursor < j->right.n && j->pairs < BATCH_ROWS_MAX) {
        if (j->right_matched[j->cursor] == 0)
            j->right_rows[j->pairs++] = j->cursor;
        j->cursor++;
    }
    j->x.out.n = 0;
    return j->pairs > 0 ? emit(j, false, true, false, err) : QUARTET_OK;
}

/* ---- the hash table ---- */

static quartet_status grow_u32(struct arena *a, uint32_t **p, uint32_t *cap, uint32_t need,
                               struct err *err)
{
    if (need <= *cap)
        return QUARTET_OK;
    uint32_t want = *cap == 0 ? 64 : *cap;
    while (want < need)
        want *= 2;
    uint32_t *to = arena_alloc(a, want * sizeof *to);
    if (to == NULL)
        return arena_fail(a, err);
    if (*cap > 0)
        memcpy(to, *p, *cap * sizeof *to);
    memset(to + *cap, 0xff, (want - *cap) * sizeof *to);
    *p = to;
    *cap = want;
    return QUARTET_OK;
}

static quartet_status eval_keys(struct xjoin *j, struct expr *const *exprs, const struct batch *in,
                                struct vec *keys, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < j->x.p->u.join->key_count && rc == QUARTET_OK; i++)
        rc = expr_eval(exprs[i], &j->x.ctx, in, &keys[i], err);
    return rc;
}

static quartet_status chain_rows(struct xjoin *j, uint32_t first, uint32_t n, struct err *err)
{
    struct arena *a = &j->x.run->data;
    uint32_t tails_cap = j->heads_cap;
    quartet_status rc = grow_u32(a, &j->heads, &j->heads_cap, j->keys.n, err);
    if (rc == QUARTET_OK)
        rc = grow_u32(a, &j->tails, &tails_cap, j->keys.n, err);
    if (rc == QUARTET_OK)
        rc = grow_u32(a, &j->chain, &j->chain_cap, first + n, err);
    for (uint32_t k = 0; k < n && rc == QUARTET_OK; k++) {
        uint32_t id = j->ids[k], row = first + k;
        j->chain[row] = CHAIN_END;
        if (id == KEYSET_NONE)
            continue;
        if (j->heads[id] == CHAIN_END)
            j->heads[id] = row;
        else
            j->chain[j->tails[id]] = row;
        j->tails[id] = row;
    }
    return rc;
}

static quartet_status build_batch(struct xjoin *j, const struct batch *in, struct err *err)
{
    const struct pjoin *p = j->x.p->u.join;
    struct vec *keys = arena_alloc(&j->x.tmp, (p->key_count + 1) * sizeof *keys);
    uint16_t sel[BATCH_ROWS_MAX];
    struct batch kept = *in;
    if (keys == NULL)
        return arena_fail(&j->x.tmp, err);
    quartet_status rc = eval_keys(j, p->right_keys, in, keys, err);
    if (rc == QUARTET_OK)
        rc = keyset_rows(&j->keys, keys, in->sel, in->n, true, true, j->ids, err);
    if (rc != QUARTET_OK)
        return rc;
    if ((p->kind == PJ_SEMI || p->kind == PJ_ANTI) && p->cond == NULL)
        return QUARTET_OK; /* whether there is a row is all that is asked */
    if (p->kind != PJ_FULL) { /* a NULL key meets nothing */
        uint32_t n = 0;
        for (uint32_t k = 0; k < in->n; k++) {
            if (j->ids[k] == KEYSET_NONE)
                continue;
            sel[n] = (uint16_t)batch_row(in, k);
            j->ids[n++] = j->ids[k];
        }
        kept.sel = sel;
        kept.n = n;
    }
    uint32_t first = j->right.n;
    rc = rows_append(&j->right, &kept, err);
    return rc != QUARTET_OK ? rc : chain_rows(j, first, kept.n, err);
}

/* The keys are all there: a scan below the left side may ask for them. */
static void offer_keys(struct xjoin *j)
{
    if (!j->semi_known && plan_semi(j->x.p, &j->semi.at)) {
        struct xnode *n = j->x.child[0];
        while (n->p != j->semi.at.scan)
            n = n->child[0];
        j->semi.keys = &j->keys;
        scan_add_semi(n, &j->semi);
    }
    j->semi_known = true;
    j->semi.on = j->semi.keys != NULL;
    j->semi.asked = j->semi.kept = 0;
}

static quartet_status build(struct xjoin *j, bool hashed, struct err *err)
{
    struct xnode *right = j->x.child[1];
    j->built = true;
    rows_init(&j->right, right_cols(j), &j->x.run->data);
    if (hashed)
        keyset_init(&j->keys, j->x.p->u.join->key_count, j->x.p->u.join->key_flags,
                    &j->x.run->data);
    for (;;) {
        quartet_status rc = right->ops->next(right, err);
        if (rc != QUARTET_OK)
            return rc;
        if (right->out.n == 0)
            break;
        tmp_reset(&j->x);
        rc = hashed ? build_batch(j, &right->out, err) : rows_append(&j->right, &right->out, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if (hashed)
        offer_keys(j);
    if (j->x.p->u.join->kind == PJ_FULL) {
        j->right_matched = arena_zalloc(&j->x.run->data, j->right.n + 1, 1);
        if (j->right_matched == NULL)
            return arena_fail(&j->x.run->data, err);
    }
    return QUARTET_OK;
}

static quartet_status probe(struct xjoin *j, struct err *err)
{
    const struct pjoin *p = j->x.p->u.join;
    tmp_reset(&j->x);
    struct vec *keys = arena_alloc(&j->x.tmp, (p->key_count + 1) * sizeof *keys);
    if (keys == NULL)
        return arena_fail(&j->x.tmp, err);
    quartet_status rc = eval_keys(j, p->left_keys, &j->left, keys, err);
    if (rc == QUARTET_OK)
        rc = keyset_rows(&j->keys, keys, j->left.sel, j->left.n, false, true, j->ids, err);
    j->cursor = CHAIN_END;
    if (rc == QUARTET_OK && j->left.n > 0 && j->heads != NULL)
        j->cursor = j->ids[0] == KEYSET_NONE ? CHAIN_END : j->heads[j->ids[0]];
    return rc;
}

/* Pairs until there is a batch of them or the left batch ends. */
static void hash_pairs(struct xjoin *j, bool keep_lonely)
{
    while (j->left_at < j->left.n && j->pairs < BATCH_ROWS_MAX) {
        if (keep_lonely && j->ids[j->left_at] == KEYSET_NONE)
            add_pair(j, j->left_at, ROWS_NONE);
        while (j->cursor != CHAIN_END && j->pairs < BATCH_ROWS_MAX) {
            add_pair(j, j->left_at, j->cursor);
            j->cursor = j->chain[j->cursor];
        }
        if (j->cursor != CHAIN_END)
            return;
        if (++j->left_at < j->left.n)
            j->cursor =
                j->ids[j->left_at] == KEYSET_NONE ? CHAIN_END : j->heads[j->ids[j->left_at]];
    }
}

static void loop_pairs(struct xjoin *j, bool keep_lonely)
{
    while (j->left_at < j->left.n && j->pairs < BATCH_ROWS_MAX) {
        if (keep_lonely && j->right.n == 0)
            add_pair(j, j->left_at, ROWS_NONE);
        while (j->cursor < j->right.n && j->pairs < BATCH_ROWS_MAX)
            add_pair(j, j->left_at, j->cursor++);
        if (j->cursor < j->right.n)
            return;
        j->left_at++;
        j->cursor = 0;
    }
}

/* Which rows of the left batch have a partner, into left_matched. */
static quartet_status match_left(struct xjoin *j, struct err *err)
{
    if (j->x.p->u.join->cond == NULL) {
        for (uint32_t k = 0; k < j->left.n; k++)
            j->left_matched[k] = j->ids[k] != KEYSET_NONE;
        return QUARTET_OK;
    }
    while (j->left_at < j->left.n) {
        quartet_status rc = exec_check(j->x.run->e, err);
        hash_pairs(j, false);
        if (rc == QUARTET_OK && j->pairs > 0)
            rc = emit(j, true, false, false, err); /* whose rows are not ours */
        if (rc != QUARTET_OK)
            return rc;
        if (j->left_at < j->left.n && j->left_matched[j->left_at])
            j->cursor = CHAIN_END; /* one partner is enough */
    }
    return QUARTET_OK;
}

/* SEMI and ANTI: the left rows that have a partner, or have none, as they came. */
static quartet_status semi_next(struct xnode *x, struct err *err)
{
    struct xjoin *j = (struct xjoin *)x;
    const struct pjoin *p = x->p->u.join;
    quartet_status rc = j->built ? QUARTET_OK : build(j, true, err);
    x->out.n = 0;
    while (rc == QUARTET_OK && x->out.n == 0 && !j->left_done) {
        rc = left_fetch(j, err);
        if (rc != QUARTET_OK || j->left_done)
            return rc;
        rc = probe(j, err);
        if (rc == QUARTET_OK)
            rc = match_left(j, err);
        uint32_t n = 0;
        for (uint32_t k = 0; k < j->left.n && rc == QUARTET_OK; k++)
            if (j->left_matched[k] == (p->kind == PJ_SEMI))
                j->sel[n++] = (uint16_t)batch_row(&j->left, k);
        for (uint32_t i = 0; i < x->p->col_count; i++)
            x->out.cols[i] = j->left.cols[p->out[i]];
        x->out.sel = j->sel;
        x->out.n = n;
    }
    return rc;
}

/* HASH_JOIN and LOOP_JOIN. */
static quartet_status built_next(struct xnode *x, struct err *err)
{
    struct xjoin *j = (struct xjoin *)x;
    const struct pjoin *p = x->p->u.join;
    bool hashed = x->p->kind == PN_HASH_JOIN;
    bool inline_lonely = p->kind != PJ_INNER && p->cond == NULL;
    if (p->kind == PJ_SEMI || p->kind == PJ_ANTI)
        return semi_next(x, err);
    quartet_status rc = j->built ? QUARTET_OK : build(j, hashed, err);
    x->out.n = 0;
    while (rc == QUARTET_OK && !j->tail) {
        if (!j->have_left) {
            if (j->right.n == 0 && p->kind == PJ_INNER)
                return QUARTET_OK;
            rc = left_fetch(j, err);
            if (rc == QUARTET_OK && hashed && j->have_left)
                rc = probe(j, err);
            if (rc != QUARTET_OK)
                return rc;
            if (j->left_done) {
                j->tail = true;
                j->cursor = 0;
                break;
            }
        }
        rc = exec_check(x->run->e, err);
        if (hashed)
            hash_pairs(j, inline_lonely);
        else
            loop_pairs(j, inline_lonely);
        if (rc == QUARTET_OK && j->pairs > 0) {
            rc = emit(j, true, false, false, err);
        } else if (rc == QUARTET_OK) {
            j->have_left = false;
            if (p->kind != PJ_INNER && !inline_lonely)
                rc = emit_lonely_left(j, err);
        }
        if (rc != QUARTET_OK || x->out.n > 0)
            return rc;
    }
    if (rc == QUARTET_OK && p->kind == PJ_FULL)
        rc = emit_lonely_right(j, err);
    return rc;
}

const struct xkind xkind_hash_join = {sizeof(struct xjoin), {join_open, built_next, join_close}, 0};
const struct xkind xkind_loop_join = {sizeof(struct xjoin), {join_open, built_next, join_close}, 0};

/* ---- the right side anew for each left row ---- */

static quartet_status lookup_start(struct xjoin *j, struct err *err)
{
    const struct pscan *s = j->x.p->u.join->inner;
    quartet_status rc =
        bound_eval(&j->bound, s, &j->x.ctx, &j->left, batch_row(&j->left, j->left_at), err);
    if (rc != QUARTET_OK || j->bound.empty)
        return rc;
    hlc_stamp as_of = 0;
    if (s->as_of_expr != NULL)
        rc = exec_as_of(s->as_of, s->as_of_expr, &j->x.ctx, &as_of, err);
    if (rc != QUARTET_OK)
        return rc;
    if (j->scan != NULL)
        table_scan_at(j->scan, as_of);
    if (j->scan != NULL)
        return table_scan_rebind(j->scan, j->x.run->e->t, &j->bound.bound, err);
    struct scan_want want = {
        .columns = s->columns, .column_count = s->column_count, .keys = s->keys, .as_of = as_of};
    return table_scan_open(j->x.run->e->t, s->table, s->index, &j->bound.bound, &want, &j->scan,
                           err);
}

static quartet_status lookup_next(struct xjoin *j, struct err *err)
{
    const struct pscan *s = j->x.p->u.join->inner;
    for (;;) {
        quartet_status rc = table_scan_next(j->scan, 0, &j->inner, err);
        if (rc == QUARTET_OK && s->keys && j->inner.n > 0)
            rc = scan_add_key(j->x.run->e, &j->inner_key, &j->inner, err);
        if (rc != QUARTET_OK || j->inner.n == 0 || s->filter == NULL)
            return rc;
        uint32_t n;
        rc = expr_filter(s->filter, &j->x.ctx, &j->inner, j->inner_sel, &n, err);
        if (rc != QUARTET_OK)
            return rc;
        j->inner.sel = j->inner_sel;
        j->inner.n = n;
        if (n > 0)
            return QUARTET_OK;
    }
}

static quartet_status apply_start(struct xjoin *j, struct err *err)
{
    struct exec *e = j->x.run->e;
    const struct pjoin *p = j->x.p->u.join;
    if (!j->run_made) {
        quartet_status rc = xrun_make(e, &j->run, j->x.p->child[1], err);
        if (rc != QUARTET_OK)
            return rc;
        j->run_made = true;
    }
    arena_rewind(&j->set_values, (struct arena_mark){0});
    for (uint32_t i = 0; i < p->set_count; i++) {
        struct value *v = &e->params[p->set_params[i] - 1];
        quartet_status rc = expr_value(p->set_exprs[i], &j->x.ctx, &j->left,
                                       batch_row(&j->left, j->left_at), v, err);
        if (rc == QUARTET_OK && !value_copy(&j->set_values, v))
            rc = arena_fail(&j->set_values, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return xrun_open(&j->run, err);
}

static quartet_status inner_fetch(struct xjoin *j, struct err *err)
{
    bool lookup = j->x.p->kind == PN_INDEX_JOIN;
    quartet_status rc = QUARTET_OK;
    if (!j->inner_open) {
        rc = lookup ? lookup_start(j, err) : apply_start(j, err);
        j->inner_open = true;
        j->inner_any = false;
        j->inner.n = 0;
        if (rc != QUARTET_OK || (lookup && j->bound.empty))
            return rc;
    }
    j->inner_at = 0;
    if (lookup)
        return lookup_next(j, err);
    rc = j->run.root->ops->next(j->run.root, err);
    j->inner = j->run.root->out;
    return rc;
}

/* Pairs from the inner side's batches; their rows are kept until they are out. */
static quartet_status fetch_pairs(struct xjoin *j, bool keep_lonely, struct err *err)
{
    uint16_t sel[BATCH_ROWS_MAX];
    while (j->left_at < j->left.n && j->pairs < BATCH_ROWS_MAX) {
        if (!j->inner_open || j->inner_at >= j->inner.n) {
            quartet_status rc = inner_fetch(j, err);
            if (rc != QUARTET_OK)
                return rc;
        }
        uint32_t room = BATCH_ROWS_MAX - j->pairs, n = j->inner.n - j->inner_at;
        n = n < room ? n : room;
        if (j->inner.n == 0) {
            if (keep_lonely && !j->inner_any)
                add_pair(j, j->left_at, ROWS_NONE);
            j->inner_open = false;
            j->left_at++;
            continue;
        }
        for (uint32_t i = 0; i < n; i++) {
            sel[i] = (uint16_t)batch_row(&j->inner, j->inner_at + i);
            add_pair(j, j->left_at, j->right.n + i);
        }
        quartet_status rc = rows_append_vecs(&j->right, j->inner.cols, sel, n, err);
        if (rc != QUARTET_OK)
            return rc;
        j->inner_at += n;
        j->inner_any = true;
    }
    return QUARTET_OK;
}

static quartet_status fetched_next(struct xnode *x, struct err *err)
{
    struct xjoin *j = (struct xjoin *)x;
    const struct pjoin *p = x->p->u.join;
    bool inline_lonely = p->kind != PJ_INNER && p->cond == NULL;
    quartet_status rc = QUARTET_OK;
    x->out.n = 0;
    while (rc == QUARTET_OK && !j->left_done) {
        if (!j->have_left) {
            rc = left_fetch(j, err);
            if (rc != QUARTET_OK || j->left_done)
                return rc;
        }
        rc = exec_check(x->run->e, err);
        arena_rewind(&j->fetched, (struct arena_mark){0});
        rows_init(&j->right, right_cols(j), &j->fetched);
        tmp_reset(x);
        if (rc == QUARTET_OK)
            rc = fetch_pairs(j, inline_lonely, err);
        if (rc == QUARTET_OK && j->pairs > 0) {
            rc = emit(j, true, false, false, err);
        } else if (rc == QUARTET_OK) {
            j->have_left = false;
            if (p->kind != PJ_INNER && !inline_lonely)
                rc = emit_lonely_left(j, err);
        }
        if (rc != QUARTET_OK || x->out.n > 0)
            return rc;
    }
    return rc;
}

const struct xkind xkind_index_join = {sizeof(struct xjoin), {join_open, fetched_next, join_close}, 0};
const struct xkind xkind_apply = {sizeof(struct xjoin), {join_open, fetched_next, join_close}, 0};
