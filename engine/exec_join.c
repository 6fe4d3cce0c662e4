/* exec_join.c - joins: by hash, by loop, by lookups in an index, by merging (exec_join_merge.c), and by running the right side anew
 * for each left row (APPLY). Why one shape: all of them make pairs of a row of the present left batch
 * and a row that is kept from the right; what follows (condition, outer rows, output columns) is
 * the same. Order: pairs come in the order of the left rows; a left row without partner stands in
 * its place where there is no further condition. */
#include "exec_join.h"

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

quartet_status join_open(struct xnode *x, struct err *err)
{
    struct xjoin *j = (struct xjoin *)x;
    quartet_status rc = join_make(j, err);
    j->inner_open = false;
    join_begin(j);
    if (rc == QUARTET_OK)
        rc = child_open(x, 0, err);
    if (rc == QUARTET_OK && x->child[1] != NULL)
        rc = child_open(x, 1, err);
    return rc;
}

void join_close(struct xnode *x)
{
    struct xjoin *j = (struct xjoin *)x;
    if (x->run->e->last) {
        table_scan_close(j->scan);
        j->scan = NULL;
    }
    table_scan_rest(j->scan);
    join_end(j);
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

static quartet_status left_fetch(struct xjoin *j, struct err *err)
{
    quartet_status rc = join_left_next(j, err);
    if (rc != QUARTET_OK)
        return rc;
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

/* ---- pairs ---- */

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
    quartet_status rc = QUARTET_OK;
    x->out.n = 0;
    while (rc == QUARTET_OK && x->out.n == 0 && !j->left_done) {
        rc = left_fetch(j, err);
        if (rc != QUARTET_OK || j->left_done)
            return rc;
        rc = join_probe(j, err);
        if (rc == QUARTET_OK)
            rc = match_left(j, err);
        if (rc == QUARTET_OK && j->spilled)
            rc = join_leave_open(j, err);
        uint32_t n = 0;
        for (uint32_t k = 0; k < j->left.n && rc == QUARTET_OK; k++)
            if (j->left_matched[k] == (p->kind == PJ_SEMI) && (j->left_matched[k] || !j->spilled))
                j->sel[n++] = (uint16_t)batch_row(&j->left, k);
        for (uint32_t i = 0; i < x->p->col_count; i++)
            x->out.cols[i] = j->left.cols[p->out[i]];
        x->out.sel = j->sel;
        x->out.n = n;
    }
    return rc;
}

/* What the inputs give, or a pair of piles. */
static quartet_status pass_next(struct xnode *x, struct err *err)
{
    struct xjoin *j = (struct xjoin *)x;
    const struct pjoin *p = x->p->u.join;
    bool hashed = x->p->kind == PN_HASH_JOIN;
    bool inline_lonely = p->kind != PJ_INNER && p->cond == NULL;
    if (p->kind == PJ_SEMI || p->kind == PJ_ANTI)
        return semi_next(x, err);
    quartet_status rc = QUARTET_OK;
    x->out.n = 0;
    while (rc == QUARTET_OK && !j->tail) {
        if (!j->have_left) {
            if (j->right.n == 0 && p->kind == PJ_INNER)
                return QUARTET_OK;
            rc = left_fetch(j, err);
            if (rc == QUARTET_OK && hashed && j->have_left)
                rc = join_probe(j, err);
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

/* HASH_JOIN and LOOP_JOIN. */
static quartet_status built_next(struct xnode *x, struct err *err)
{
    struct xjoin *j = (struct xjoin *)x;
    bool more = true;
    quartet_status rc = j->built ? QUARTET_OK : join_build(j, err);
    x->out.n = 0;
    while (rc == QUARTET_OK && more) {
        rc = pass_next(x, err);
        if (rc != QUARTET_OK || x->out.n > 0)
            return rc;
        more = false;
        if (j->right_piles.waiting_count > 0)
            rc = join_next_pair(j, &more, err);
    }
    x->out.n = 0;
    return rc;
}

const struct xkind xkind_hash_join = {sizeof(struct xjoin), {join_open, built_next, join_close}, XJOIN_CLEAR};
const struct xkind xkind_loop_join = {sizeof(struct xjoin), {join_open, built_next, join_close}, XJOIN_CLEAR};

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

quartet_status join_fetched_next(struct xnode *x, struct err *err)
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
            rc = x->p->kind == PN_MERGE_JOIN ? merge_pairs(j, inline_lonely, err) : fetch_pairs(j, inline_lonely, err);
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

const struct xkind xkind_index_join = {sizeof(struct xjoin), {join_open, join_fetched_next, join_close}, XJOIN_CLEAR};
const struct xkind xkind_apply = {sizeof(struct xjoin), {join_open, join_fetched_next, join_close}, XJOIN_CLEAR};
