/* exec_set.c - UNION, INTERSECT and EXCEPT, plain and ALL.
 * Why one keyset for all parts: a row gets the same number whichever part it comes from, so the
 * operators are arithmetic on counts. Combinations go from left to right, as in SQLite.
 * Past a part of memory_limit no key is added: rows of keys that are not there go to piles on disk (exec_pile.h), with their part's number, and each pile is
 * combined later in the same way. */
#include "exec_pile.h"

struct xset {
    struct xnode x;
    struct xnode **parts;
    uint32_t part; /* UNION ALL only: the part that is being passed on */
    bool streams, built;
    struct keyset keys;
    struct rows rows; /* one of each key */
    uint64_t *count;  /* how often each key is in the result so far */
    uint64_t *seen;   /* in the part that is being read */
    uint32_t cap;
    uint32_t key_at;
    uint64_t copy_at;
    struct outvec *cols;
    struct arena data, feed; /* of the keys and rows; of what comes back from a pile */
    struct vec *fed;
    struct piles piles;
    bool full;
    uint32_t depth;
    uint32_t ids[BATCH_ROWS_MAX];
    uint16_t sel[BATCH_ROWS_MAX];
};

static void pass_begin(struct xset *s, uint32_t depth)
{
    arena_rewind(&s->data, (struct arena_mark){0});
    keyset_init(&s->keys, s->x.p->col_count, s->x.p->u.set->flags, &s->data);
    rows_init(&s->rows, s->x.p->col_count, &s->data);
    s->key_at = s->cap = 0;
    s->copy_at = 0;
    s->count = s->seen = NULL;
    s->full = false;
    s->depth = depth;
}

static quartet_status set_open(struct xnode *x, struct err *err)
{
    struct xset *s = (struct xset *)x;
    const struct pset *p = x->p->u.set;
    struct exec *e = x->run->e;
    s->part = 0;
    s->built = false;
    s->streams = true;
    piles_reset(&s->piles);
    s->data.limit_bytes = s->feed.limit_bytes = e->limits.memory_bytes;
    pass_begin(s, 0);
    for (uint32_t i = 1; i < p->part_count; i++)
        s->streams &= p->ops[i] == AST_SET_UNION_ALL;
    if (s->parts == NULL) {
        s->parts = keep_alloc(e, p->part_count, sizeof(struct xnode *));
        s->cols = keep_alloc(e, x->p->col_count, sizeof *s->cols);
        s->fed = keep_alloc(e, x->p->col_count + 1u, sizeof *s->fed);
        if (s->parts == NULL || s->cols == NULL || s->fed == NULL)
            return arena_fail(&e->keep, err);
        for (uint32_t i = 0; i < p->part_count; i++) {
            quartet_status rc = xnode_make(e, x->run, p->parts[i], &s->parts[i], err);
            if (rc != QUARTET_OK)
                return rc;
        }
    }
    for (uint32_t i = 0; i < p->part_count; i++) {
        quartet_status rc = s->parts[i]->ops->open(s->parts[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return out_vecs(x, x->p->col_count, err);
}

static quartet_status counts_reserve(struct xset *s, uint32_t n, struct err *err)
{
    struct arena *a = &s->data;
    if (n <= s->cap)
        return QUARTET_OK;
    uint32_t cap = s->cap == 0 ? 64 : s->cap;
    while (cap < n)
        cap *= 2;
    uint64_t *count = arena_zalloc(a, cap, sizeof *count),
             *seen = arena_zalloc(a, cap, sizeof *seen);
    if (count == NULL || seen == NULL)
        return arena_fail(a, err);
    if (s->cap > 0) {
        memcpy(count, s->count, s->cap * sizeof *count);
        memcpy(seen, s->seen, s->cap * sizeof *seen);
    }
    s->count = count;
    s->seen = seen;
    s->cap = cap;
    return QUARTET_OK;
}

/* Rows of a part: each is counted; those of keys that there is no room for go to piles. */
static quartet_status take_rows(struct xset *s, uint32_t part, const struct batch *in, struct err *err)
{
    uint32_t known = s->keys.n, fresh = 0, columns = s->x.p->col_count;
    int64_t number = part;
    uint8_t no_null = 0;
    quartet_status rc = keyset_rows(&s->keys, in->cols, in->sel, in->n, !s->full, false, s->ids, err);
    if (rc == QUARTET_OK)
        rc = counts_reserve(s, s->keys.n, err);
    if (rc == QUARTET_OK && s->full && in->cols != s->fed)
        memcpy(s->fed, in->cols, columns * sizeof *s->fed);
    if (s->full)
        s->fed[columns] = (struct vec){.type = VALUE_INTEGER, .constant = true, .null = &no_null, .i = &number};
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        if (s->ids[k] == KEYSET_NONE) {
            rc = piles_put(&s->piles, s->x.run->e, s->depth, s->fed, s->x.p->u.set->flags, columns, s->fed, columns + 1, row, err);
            continue;
        }
        s->seen[s->ids[k]]++;
        if (s->ids[k] == known + fresh)
            s->sel[fresh++] = (uint16_t)row;
    }
    if (rc == QUARTET_OK)
        rc = rows_append_vecs(&s->rows, in->cols, s->sel, fresh, err);
    s->full = s->full || piles_begin(s->x.run->e, s->depth, s->data.used_bytes);
    return rc;
}

static quartet_status read_part(struct xset *s, uint32_t part, struct err *err)
{
    struct xnode *from = s->parts[part];
    for (;;) {
        quartet_status rc = from->ops->next(from, err);
        if (rc != QUARTET_OK || from->out.n == 0)
            return rc;
        struct batch in = from->out;
        in.col_count = s->x.p->col_count;
        rc = take_rows(s, part, &in, err);
        if (rc != QUARTET_OK)
            return rc;
    }
}

static uint64_t combine(uint8_t op, uint64_t a, uint64_t b)
{
    switch (op) {
    case AST_SET_FIRST:
    case AST_SET_UNION_ALL:
        return a + b;
    case AST_SET_UNION:
        return a + b > 0;
    case AST_SET_INTERSECT:
        return a > 0 && b > 0;
    case AST_SET_INTERSECT_ALL:
        return a < b ? a : b;
    case AST_SET_EXCEPT:
        return a > 0 && b == 0;
    default:
        return a > b ? a - b : 0;
    }
}

/* A part is at its end. */
static void end_part(struct xset *s, uint32_t part)
{
    for (uint32_t k = 0; k < s->keys.n; k++) {
        s->count[k] = combine(part == 0 ? AST_SET_FIRST : s->x.p->u.set->ops[part], s->count[k], s->seen[k]);
        s->seen[k] = 0;
    }
}

static quartet_status set_build(struct xset *s, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    s->built = true;
    for (uint32_t i = 0; i < s->x.p->u.set->part_count && rc == QUARTET_OK; i++) {
        rc = read_part(s, i, err);
        end_part(s, i);
    }
    return rc == QUARTET_OK ? piles_end(&s->piles, s->depth, false, err) : rc;
}

/* A pile that waits: its rows stand in the order of their parts. */
static quartet_status pile_build(struct xset *s, struct err *err)
{
    struct pile from = {0};
    struct batch in;
    uint32_t part = 0, columns = s->x.p->col_count;
    uint16_t sel[BATCH_ROWS_MAX];
    quartet_status rc = piles_take(&s->piles, &from, err);
    pass_begin(s, from.depth);
    while (rc == QUARTET_OK) {
        rc = exec_check(s->x.run->e, err);
        if (rc == QUARTET_OK)
            rc = pile_feed(from.rows, s->fed, columns + 1, &s->feed, &in, err);
        if (rc != QUARTET_OK || in.n == 0)
            break;
        struct vec numbers = s->fed[columns];
        for (uint32_t at = 0, n; at < in.n && rc == QUARTET_OK; at += n) {
            struct batch some = in;
            int64_t here = vec_get(&numbers, at).i;
            for (; part < here; part++)
                end_part(s, part);
            for (n = 1; at + n < in.n && vec_get(&numbers, at + n).i == here;)
                n++;
            batch_cut(&some, at, n, sel);
            rc = take_rows(s, part, &some, err);
        }
    }
    for (; part < s->x.p->u.set->part_count; part++)
        end_part(s, part);
    spill_free(from.rows);
    return rc == QUARTET_OK ? piles_end(&s->piles, s->depth, false, err) : rc;
}

static quartet_status set_stream(struct xset *s, struct err *err)
{
    struct xnode *x = &s->x;
    x->out.n = 0;
    while (s->part < x->p->u.set->part_count) {
        struct xnode *part = s->parts[s->part];
        quartet_status rc = part->ops->next(part, err);
        if (rc != QUARTET_OK)
            return rc;
        if (part->out.n > 0) {
            x->out = part->out;
            return QUARTET_OK;
        }
        s->part++;
    }
    return QUARTET_OK;
}

static quartet_status set_next(struct xnode *x, struct err *err)
{
    struct xset *s = (struct xset *)x;
    uint32_t ids[BATCH_ROWS_MAX], n = 0;
    if (s->streams)
        return set_stream(s, err);
    quartet_status rc = s->built ? QUARTET_OK : set_build(s, err);
    if (rc != QUARTET_OK)
        return rc;
    while ((s->key_at < s->keys.n || s->piles.waiting_count > 0) && n < BATCH_ROWS_MAX) {
        if (s->key_at == s->keys.n) {
            if (n > 0)
                break; /* the rows are of what ends now */
            rc = pile_build(s, err);
            if (rc != QUARTET_OK)
                return rc;
            continue;
        }
        if (s->copy_at < s->count[s->key_at]) {
            ids[n++] = s->key_at;
            s->copy_at++;
        } else {
            s->key_at++;
            s->copy_at = 0;
        }
    }
    x->out.n = n;
    for (uint32_t c = 0; c < x->p->col_count && n > 0; c++) {
        rc = rows_gather(&s->rows, c, ids, n, &s->cols[c], &x->run->e->keep, err);
        if (rc != QUARTET_OK)
            return rc;
        x->out.cols[c] = s->cols[c].v;
    }
    return QUARTET_OK;
}

static void set_close(struct xnode *x)
{
    struct xset *s = (struct xset *)x;
    piles_deinit(&s->piles);
    keyset_deinit(&s->keys);
    if (x->run->e->last || s->data.used_bytes > PILE_KEPT_BYTES)
        arena_free_all(&s->data);
    arena_free_all(&s->feed);
}

const struct xkind xkind_set = {sizeof(struct xset), {set_open, set_next, set_close}, 0};
