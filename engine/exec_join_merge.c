/* exec_join_merge.c - a join of two sides that both ascend by their keys: each is read once, and nothing is hashed, sorted or kept.
 * Why a range of equal keys on the right is at hand as it stands in the batch, mostly: keys are unique there more often than not. One that goes beyond its batch lies on
 * pages (exec_pages.c), in memory or on disk, and is walked for each left row of that key.
 * Rows come in the order of the left side. A NULL in a key meets nothing. */
#include "exec_join.h"
#include "exec_pages.h"
#include "expr_ops.h"

struct xmerge {
    struct xjoin j;
    struct batch right;    /* its present batch */
    uint32_t at;           /* the next row of it behind the range */
    bool begun, ended;     /* the right side */
    bool ranged;           /* there is a range: */
    uint32_t from, to;     /* rows of the batch, */
    bool paged;            /* or those on pages */
    struct pages *pages;
    struct value *key;     /* paged: of the range */
    struct arena key_mem;
    struct buf row;
    bool in_range; /* the left row meets it; `cursor` of j says how far it has come */
    uint16_t wanted[BATCH_ROWS_MAX]; /* rows of the right batch, not yet put into j->right */
    uint32_t wanted_count;
};

static uint32_t key_column(struct expr *const *keys, uint32_t k)
{
    return keys[k]->u.column;
}

static bool has_null(struct expr *const *keys, uint32_t n, const struct batch *b, uint32_t row)
{
    for (uint32_t k = 0; k < n; k++)
        if (vec_is_null(&b->cols[key_column(keys, k)], row))
            return true;
    return false;
}

static int compare_cells(const struct vec *x, uint32_t at, const struct vec *y, uint32_t other)
{
    if (x->type == VALUE_INTEGER && y->type == VALUE_INTEGER && !x->constant && !y->constant)
        return x->i[at] < y->i[other] ? -1 : x->i[at] > y->i[other];
    struct value a = vec_get(x, at), b = vec_get(y, other);
    return value_cmp(&a, &b);
}

/* Neither has a NULL in its key. */
static int compare_rows(const struct xmerge *m, struct expr *const *xk, const struct batch *x, uint32_t at, struct expr *const *yk, const struct batch *y, uint32_t other)
{
    int c = 0;
    for (uint32_t k = 0; k < m->j.x.p->u.join->key_count && c == 0; k++)
        c = compare_cells(&x->cols[key_column(xk, k)], at, &y->cols[key_column(yk, k)], other);
    return c;
}

/* A row against the range. */
static int compare_range(const struct xmerge *m, struct expr *const *keys, const struct batch *b, uint32_t row)
{
    const struct pjoin *p = m->j.x.p->u.join;
    int c = 0;
    if (!m->paged)
        return compare_rows(m, keys, b, row, p->right_keys, &m->right, batch_row(&m->right, m->from));
    for (uint32_t k = 0; k < p->key_count && c == 0; k++) {
        struct value v = vec_get(&b->cols[key_column(keys, k)], row);
        c = value_cmp(&v, &m->key[k]);
    }
    return c;
}

/* ---- the right side ---- */

/* Rows that pairs name go to j->right before their batch does. */
static quartet_status put_wanted(struct xmerge *m, struct err *err)
{
    quartet_status rc = m->wanted_count > 0 ? rows_append_vecs(&m->j.right, m->right.cols, m->wanted, m->wanted_count, err) : QUARTET_OK;
    m->wanted_count = 0;
    return rc;
}

static quartet_status next_batch(struct xmerge *m, struct err *err)
{
    quartet_status rc = put_wanted(m, err);
    if (rc == QUARTET_OK)
        rc = exec_check(m->j.x.run->e, err);
    if (rc == QUARTET_OK)
        rc = child_next(&m->j.x, 1, err);
    m->right = m->j.x.child[1]->out;
    m->at = 0;
    m->begun = true;
    m->ended = rc != QUARTET_OK || m->right.n == 0;
    return rc;
}

static quartet_status page_rows(struct xmerge *m, uint32_t from, uint32_t to, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = from; i < to && rc == QUARTET_OK; i++) {
        buf_clear(&m->row);
        for (uint32_t c = 0; c < right_cols(&m->j); c++) {
            struct value v = vec_get(&m->right.cols[c], batch_row(&m->right, i));
            value_encode(&m->row, &v);
        }
        rc = buf_check(&m->row, err);
        if (rc == QUARTET_OK)
            rc = pages_put(m->pages, slice_of(m->row.data, m->row.len), err);
    }
    return rc;
}

/* The range goes on beyond its batch: all of it onto pages. */
static quartet_status page_range(struct xmerge *m, struct err *err)
{
    struct exec *e = m->j.x.run->e;
    const struct pjoin *p = m->j.x.p->u.join;
    quartet_status rc = QUARTET_OK;
    if (m->key == NULL && (m->key = keep_alloc(e, p->key_count, sizeof *m->key)) == NULL)
        return arena_fail(&e->keep, err);
    if (m->pages == NULL)
        rc = pages_new(e, right_cols(&m->j), e->limits.memory_bytes / PILE_FULL_SHARE, &m->pages, err);
    if (rc != QUARTET_OK)
        return rc;
    pages_reset(m->pages);
    arena_rewind(&m->key_mem, (struct arena_mark){0});
    for (uint32_t k = 0; k < p->key_count; k++) {
        m->key[k] = vec_get(&m->right.cols[key_column(p->right_keys, k)], batch_row(&m->right, m->from));
        if (!value_copy(&m->key_mem, &m->key[k]))
            return arena_fail(&m->key_mem, err);
    }
    rc = page_rows(m, m->from, m->to, err);
    m->paged = true;
    while (rc == QUARTET_OK) {
        uint32_t to = 0;
        rc = next_batch(m, err);
        if (rc != QUARTET_OK || m->ended)
            break;
        while (to < m->right.n && compare_range(m, p->right_keys, &m->right, batch_row(&m->right, to)) == 0)
            to++;
        rc = page_rows(m, 0, to, err);
        m->at = to;
        if (to < m->right.n)
            break;
    }
    return rc;
}

/* The next range whose key is not below that of the left row. */
static quartet_status next_range(struct xmerge *m, uint32_t left_row, struct err *err)
{
    const struct pjoin *p = m->j.x.p->u.join;
    m->ranged = m->paged = false;
    while (!m->ended) {
        if (!m->begun || m->at == m->right.n) {
            quartet_status rc = next_batch(m, err);
            if (rc != QUARTET_OK)
                return rc;
            continue;
        }
        uint32_t row = batch_row(&m->right, m->at);
        if (!has_null(p->right_keys, p->key_count, &m->right, row) && compare_rows(m, p->right_keys, &m->right, row, p->left_keys, &m->j.left, left_row) >= 0)
            break;
        m->at++;
    }
    if (m->ended)
        return QUARTET_OK;
    m->ranged = true;
    m->from = m->at;
    m->to = m->at + 1;
    while (m->to < m->right.n && compare_rows(m, p->right_keys, &m->right, batch_row(&m->right, m->from), p->right_keys, &m->right, batch_row(&m->right, m->to)) == 0)
        m->to++;
    m->at = m->to;
    return m->to == m->right.n ? page_range(m, err) : QUARTET_OK;
}

/* ---- pairs ---- */

/* Pairs of the left row with rows of the range, from j->cursor on, as many as there is room for. */
static quartet_status pair_range(struct xmerge *m, uint32_t count, struct err *err)
{
    struct xjoin *j = &m->j;
    uint32_t left = count - j->cursor, room = BATCH_ROWS_MAX - j->pairs, n = left < room ? left : room;
    if (!m->paged) {
        for (uint32_t i = 0; i < n; i++) {
            add_pair(j, j->left_at, j->right.n + m->wanted_count);
            m->wanted[m->wanted_count++] = (uint16_t)batch_row(&m->right, m->from + j->cursor++);
        }
        return QUARTET_OK;
    }
    struct batch some = {.col_count = right_cols(j), .cols = arena_zalloc(&j->x.tmp, right_cols(j) + 1u, sizeof(struct vec))};
    quartet_status rc = some.cols == NULL ? arena_fail(&j->x.tmp, err) : put_wanted(m, err);
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        const struct value *values;
        struct slice row;
        rc = pages_row(m->pages, j->cursor++, &values, &row, err);
        if (rc == QUARTET_OK)
            rc = spill_row_put(row, &some, n, &j->x.tmp, err);
        if (rc == QUARTET_OK)
            add_pair(j, j->left_at, j->right.n + i);
    }
    return rc == QUARTET_OK ? rows_append_vecs(&j->right, some.cols, NULL, n, err) : rc;
}

/* Where the left row stands: in the range, or without partner. */
static quartet_status place_left(struct xmerge *m, struct err *err)
{
    struct xjoin *j = &m->j;
    const struct pjoin *p = j->x.p->u.join;
    uint32_t row = batch_row(&j->left, j->left_at);
    quartet_status rc = QUARTET_OK;
    m->in_range = false;
    if (has_null(p->left_keys, p->key_count, &j->left, row))
        return QUARTET_OK;
    int c = m->ranged ? compare_range(m, p->left_keys, &j->left, row) : 1;
    if (c > 0) {
        rc = next_range(m, row, err);
        c = rc == QUARTET_OK && m->ranged ? compare_range(m, p->left_keys, &j->left, row) : 1;
    }
    m->in_range = c == 0;
    j->cursor = 0;
    return rc;
}

quartet_status merge_pairs(struct xjoin *j, bool keep_lonely, struct err *err)
{
    struct xmerge *m = (struct xmerge *)j;
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && j->left_at < j->left.n && j->pairs < BATCH_ROWS_MAX) {
        if (!j->inner_open)
            rc = place_left(m, err);
        j->inner_open = true;
        uint32_t count = !m->in_range ? 0 : m->paged ? pages_count(m->pages) : m->to - m->from;
        if (rc == QUARTET_OK && m->in_range)
            rc = pair_range(m, count, err);
        if (rc != QUARTET_OK || (m->in_range && j->cursor < count))
            break;
        if (!m->in_range && keep_lonely)
            add_pair(j, j->left_at, ROWS_NONE);
        j->inner_open = false;
        j->left_at++;
        if (m->ended && !m->ranged && j->x.p->u.join->kind == PJ_INNER)
            j->left_done = true; /* nothing is left to meet */
    }
    return rc == QUARTET_OK ? put_wanted(m, err) : rc;
}

static quartet_status merge_open(struct xnode *x, struct err *err)
{
    struct xmerge *m = (struct xmerge *)x;
    m->begun = m->ended = m->ranged = m->paged = m->in_range = false;
    m->at = m->wanted_count = 0;
    m->key_mem.limit_bytes = m->j.fetched.limit_bytes = x->run->e->limits.memory_bytes;
    return join_open(x, err);
}

static void merge_close(struct xnode *x)
{
    struct xmerge *m = (struct xmerge *)x;
    pages_free(m->pages);
    m->pages = NULL;
    arena_free_all(&m->key_mem);
    buf_deinit(&m->row);
    m->row = (struct buf){0};
    join_close(x);
}

const struct xkind xkind_merge_join = {sizeof(struct xmerge), {merge_open, join_fetched_next, merge_close}, 0};
