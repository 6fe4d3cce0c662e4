/* exec_join_hash.c - the hash table of a join, and what becomes of it where memory_limit does not hold the right side.
 * Why both sides go to piles (exec_pile.h): rows that meet have equal keys, so pile is joined with pile, each as if it were all there is (Kitsuregawa et al. 1983).
 * SEMI and ANTI without a condition keep no rows that could be taken apart: keys that are there stay, and only what they leave open goes to piles.
 * Not where the left rows' order is the result's (pjoin.ordered), and not by loop: these have to do with memory. */
#include "exec_join.h"

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
    struct arena *a = &j->data;
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

/* ---- past memory_limit ---- */

static bool key_is_null(const struct vec *keys, uint32_t n, uint32_t row)
{
    for (uint32_t i = 0; i < n; i++)
        if (vec_get(&keys[i], row).type == VALUE_NULL)
            return true;
    return false;
}

/* The batch's rows go to piles; without with_nulls: rows whose key is NULL do not, since they meet nothing and nobody asks for them. */
static quartet_status batch_to_piles(struct xjoin *j, struct piles *to, struct expr *const *exprs, const struct batch *in, uint32_t columns, bool with_nulls,
                                     struct err *err)
{
    const struct pjoin *p = j->x.p->u.join;
    tmp_reset(&j->x);
    struct vec *keys = arena_alloc(&j->x.tmp, (p->key_count + 1) * sizeof *keys);
    if (keys == NULL)
        return arena_fail(&j->x.tmp, err);
    quartet_status rc = eval_keys(j, exprs, in, keys, err);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        if (with_nulls || !key_is_null(keys, p->key_count, row))
            rc = piles_put(to, j->x.run->e, j->depth, keys, p->key_flags, p->key_count, in->cols, columns, row, err);
    }
    return rc;
}

static quartet_status right_to_piles(struct xjoin *j, const struct batch *in, struct err *err)
{
    return batch_to_piles(j, &j->right_piles, j->x.p->u.join->right_keys, in, right_cols(j), j->x.p->u.join->kind == PJ_FULL, err);
}

static quartet_status left_to_piles(struct xjoin *j, const struct batch *in, struct err *err)
{
    uint8_t kind = j->x.p->u.join->kind;
    return batch_to_piles(j, &j->left_piles, j->x.p->u.join->left_keys, in, left_cols(j), kind != PJ_INNER && kind != PJ_SEMI, err);
}

/* The right rows that are in memory go to piles, too. */
static quartet_status empty_memory(struct xjoin *j, struct err *err)
{
    struct arena *keep = &j->x.run->e->keep;
    uint32_t ids[BATCH_ROWS_MAX], first = left_cols(j), columns = right_cols(j);
    quartet_status rc = QUARTET_OK;
    for (uint32_t at = 0, n; at < j->right.n && rc == QUARTET_OK; at += n) {
        n = j->right.n - at < BATCH_ROWS_MAX ? j->right.n - at : BATCH_ROWS_MAX;
        for (uint32_t k = 0; k < n; k++)
            ids[k] = at + k;
        for (uint32_t c = 0; c < columns && rc == QUARTET_OK; c++) {
            rc = rows_gather(&j->right, c, ids, n, &j->gathered[first + c], keep, err);
            j->both[first + c] = j->gathered[first + c].v;
        }
        struct batch rows = {.n = n, .col_count = columns, .cols = j->both + first};
        if (rc == QUARTET_OK)
            rc = right_to_piles(j, &rows, err);
    }
    return rc;
}

/* keys_alone: what is known stays, other keys go to piles. */
static quartet_status only_unknown(struct xjoin *j, const struct batch *in, struct err *err)
{
    const struct pjoin *p = j->x.p->u.join;
    struct vec *keys = arena_alloc(&j->x.tmp, (p->key_count + 1) * sizeof *keys);
    if (keys == NULL)
        return arena_fail(&j->x.tmp, err);
    quartet_status rc = eval_keys(j, p->right_keys, in, keys, err);
    if (rc == QUARTET_OK)
        rc = keyset_rows(&j->keys, keys, in->sel, in->n, false, true, j->ids, err);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        if (j->ids[k] == KEYSET_NONE && !key_is_null(keys, p->key_count, row))
            rc = piles_put(&j->right_piles, j->x.run->e, j->depth, keys, p->key_flags, p->key_count, in->cols, right_cols(j), row, err);
    }
    return rc;
}

/* A right batch into memory, or where there is room no longer onto piles. */
static quartet_status take_hashed(struct xjoin *j, const struct batch *in, struct err *err)
{
    if (j->spilled)
        return keys_alone(j) ? only_unknown(j, in, err) : right_to_piles(j, in, err);
    quartet_status rc = build_batch(j, in, err);
    if (rc != QUARTET_OK || j->x.p->u.join->ordered || !piles_begin(j->x.run->e, j->depth, j->data.used_bytes))
        return rc;
    j->spilled = true;
    if (keys_alone(j))
        return QUARTET_OK;
    rc = empty_memory(j, err);
    arena_rewind(&j->data, (struct arena_mark){0});
    rows_init(&j->right, right_cols(j), &j->data);
    return rc;
}

/* ---- passes ---- */

static void pass_begin(struct xjoin *j)
{
    arena_rewind(&j->data, (struct arena_mark){0});
    j->have_left = j->left_done = j->tail = j->spilled = false;
    j->semi.on = false;
    j->right_matched = NULL;
    j->heads = j->tails = j->chain = NULL;
    j->heads_cap = j->chain_cap = 0;
}

static void pair_free(struct xjoin *j)
{
    spill_free(j->left_from.rows);
    spill_free(j->right_from.rows);
    j->left_from = j->right_from = (struct pile){0};
    j->in_pair = false;
}

void join_begin(struct xjoin *j)
{
    piles_reset(&j->left_piles);
    piles_reset(&j->right_piles);
    pair_free(j);
    j->depth = 0;
    j->built = false;
    j->data.limit_bytes = j->feed.limit_bytes = j->x.run->e->limits.memory_bytes;
    pass_begin(j);
}

void join_end(struct xjoin *j)
{
    piles_deinit(&j->left_piles);
    piles_deinit(&j->right_piles);
    pair_free(j);
    keyset_deinit(&j->keys);
    j->keys = (struct keyset){0};
    if (j->x.run->e->last || j->data.used_bytes > PILE_KEPT_BYTES)
        arena_free_all(&j->data);
    arena_free_all(&j->feed);
}

static quartet_status fed_alloc(struct xjoin *j, struct err *err)
{
    uint32_t n = left_cols(j) > right_cols(j) ? left_cols(j) : right_cols(j);
    if (j->fed == NULL)
        j->fed = keep_alloc(j->x.run->e, n, sizeof *j->fed);
    return j->fed != NULL ? QUARTET_OK : arena_fail(&j->x.run->e->keep, err);
}

static quartet_status right_next(struct xjoin *j, struct batch *out, struct err *err)
{
    if (j->in_pair)
        return pile_feed(j->right_from.rows, j->fed, right_cols(j), &j->feed, out, err);
    quartet_status rc = child_next(&j->x, 1, err);
    *out = j->x.child[1]->out;
    return rc;
}

quartet_status join_left_next(struct xjoin *j, struct err *err)
{
    if (j->in_pair)
        return pile_feed(j->left_from.rows, j->fed, left_cols(j), &j->feed, &j->left, err);
    quartet_status rc = child_next(&j->x, 0, err);
    j->left = j->x.child[0]->out;
    return rc;
}

/* The right side of the inputs, or of the pair. */
static quartet_status read_right(struct xjoin *j, struct err *err)
{
    bool hashed = j->x.p->kind == PN_HASH_JOIN;
    rows_init(&j->right, right_cols(j), &j->data);
    if (hashed)
        keyset_init(&j->keys, j->x.p->u.join->key_count, j->x.p->u.join->key_flags, &j->data);
    for (;;) {
        struct batch in;
        quartet_status rc = right_next(j, &in, err);
        if (rc == QUARTET_OK && j->in_pair)
            rc = exec_check(j->x.run->e, err);
        if (rc != QUARTET_OK)
            return rc;
        if (in.n == 0)
            break;
        tmp_reset(&j->x);
        rc = hashed ? take_hashed(j, &in, err) : rows_append(&j->right, &in, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if (j->spilled)
        return piles_end(&j->right_piles, j->depth, true, err);
    if (hashed && !j->in_pair)
        offer_keys(j);
    if (j->x.p->u.join->kind == PJ_FULL) {
        j->right_matched = arena_zalloc(&j->data, j->right.n + 1, 1);
        if (j->right_matched == NULL)
            return arena_fail(&j->data, err);
    }
    return QUARTET_OK;
}

/* All of the left side goes to piles: nothing is in memory that it could meet. */
static quartet_status part_left(struct xjoin *j, struct err *err)
{
    for (;;) {
        quartet_status rc = join_left_next(j, err);
        if (rc == QUARTET_OK)
            rc = exec_check(j->x.run->e, err);
        if (rc != QUARTET_OK || j->left.n == 0)
            return rc;
        rc = left_to_piles(j, &j->left, err);
        if (rc != QUARTET_OK)
            return rc;
    }
}

/* The next pair of piles that has something to say. */
static quartet_status take_pair(struct xjoin *j, bool *more, struct err *err)
{
    uint8_t kind = j->x.p->u.join->kind;
    quartet_status rc = QUARTET_OK;
    do {
        pair_free(j);
        *more = j->right_piles.waiting_count > 0;
        if (!*more)
            return rc;
        QASSERT(j->left_piles.waiting_count == j->right_piles.waiting_count);
        rc = piles_take(&j->right_piles, &j->right_from, err);
        if (rc == QUARTET_OK)
            rc = piles_take(&j->left_piles, &j->left_from, err);
        if (rc != QUARTET_OK)
            return rc;
    } while ((j->left_from.rows == NULL && kind != PJ_FULL) || (j->right_from.rows == NULL && (kind == PJ_INNER || kind == PJ_SEMI)));
    j->in_pair = true;
    j->depth = j->right_from.depth;
    pass_begin(j);
    return QUARTET_OK;
}

/* Until a right side is in memory; *more false: no pair is left. */
static quartet_status build_pass(struct xjoin *j, bool *more, struct err *err)
{
    *more = true;
    for (;;) {
        quartet_status rc = read_right(j, err);
        if (rc != QUARTET_OK || !j->spilled || keys_alone(j))
            return rc;
        rc = part_left(j, err);
        if (rc == QUARTET_OK)
            rc = piles_end(&j->left_piles, j->depth, true, err);
        if (rc == QUARTET_OK)
            rc = take_pair(j, more, err);
        if (rc != QUARTET_OK || !*more)
            return rc;
    }
}

quartet_status join_build(struct xjoin *j, struct err *err)
{
    bool more;
    j->built = true;
    quartet_status rc = fed_alloc(j, err);
    if (rc == QUARTET_OK)
        rc = build_pass(j, &more, err);
    if (rc == QUARTET_OK && !more) /* no pair had anything to say */
        j->left_done = j->tail = true;
    return rc;
}

quartet_status join_next_pair(struct xjoin *j, bool *more, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    if (j->spilled) /* keys_alone: its left side is read now */
        rc = piles_end(&j->left_piles, j->depth, true, err);
    j->spilled = false;
    if (rc == QUARTET_OK)
        rc = take_pair(j, more, err);
    return rc == QUARTET_OK && *more ? build_pass(j, more, err) : rc;
}

/* ---- the left side ---- */

quartet_status join_leave_open(struct xjoin *j, struct err *err)
{
    struct batch open = j->left;
    uint16_t sel[BATCH_ROWS_MAX];
    uint32_t n = 0;
    for (uint32_t k = 0; k < j->left.n; k++) {
        uint16_t row = (uint16_t)batch_row(&j->left, k);
        if (j->ids[k] == KEYSET_NONE)
            sel[n++] = row;
    }
    open.sel = sel;
    open.n = n;
    return n > 0 ? left_to_piles(j, &open, err) : QUARTET_OK;
}

quartet_status join_probe(struct xjoin *j, struct err *err)
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

