/* exec_sort.c - ORDER BY, whole or its first rows only.
 * Why keys are bytes: memcmp knows no types; sixteen bytes of each key lie in the record that is
 * moved, and decide nearly always, without a cache miss. No key is the beginning of another, so
 * shorter ones may be padded. First rows only: what sorts behind the best N so far is dropped
 * as it comes; now and then the rest is sorted and cut. What memory_limit does not hold goes to
 * sorted runs on disk (exec_spill.c), where the database has one. */
#include <string.h>

#include "base/mem.h"
#include "db_internal.h"
#include "exec_internal.h"
#include "exec_spill.h"

#define TOP_ROWS_MAX  100000u /* a larger LIMIT sorts everything */
#define CUT_ROWS      1000u   /* and twice the LIMIT: so many are kept before they are cut */
#define INSERTION_RUN 12u

struct sort_rec {
    uint64_t prefix;    /* the key's first eight bytes, big-endian */
    uint64_t second;    /* the next eight */
    const uint8_t *key; /* the rest */
    uint32_t len;
    uint32_t row;
};
#define SLACK_SHARE 4u /* of the limit is left for what arrays waste when they grow */
struct xsort {
    struct xnode x;
    bool built;
    struct arena data[2]; /* of the rows and keys; cutting moves what stays from one to the other */
    uint32_t which;
    struct rows rows;
    struct sort_rec *recs;
    uint32_t n, cap;
    uint64_t limit; /* first rows wanted, OFFSET included; UINT64_MAX: all */
    bool has_cut;
    struct sort_rec cut; /* rows from this key on are not wanted */
    struct scan_cut scan_cut; /* the same for a scan right below */
    uint32_t at;
    struct buf key;
    struct outvec *cols;
    spill *spilled;      /* NULL: all is in memory */
    uint64_t given;      /* rows that came back from disk */
    struct buf row;      /* of a run */
    uint16_t sel[BATCH_ROWS_MAX];
    uint64_t prefixes[BATCH_ROWS_MAX];
};

static int rec_cmp(const struct sort_rec *a, const struct sort_rec *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    if (a->second != b->second)
        return a->second < b->second ? -1 : 1;
    uint32_t n = a->len < b->len ? a->len : b->len;
    int c = n > 0 ? memcmp(a->key, b->key, n) : 0;
    return c != 0 ? c : a->len < b->len ? -1 : a->len > b->len;
}

/* Stable: equal keys keep the order in which they came. */
static void merge_sort(struct sort_rec *recs, struct sort_rec *spare, uint32_t n)
{
    for (uint32_t start = 0; start < n; start += INSERTION_RUN) {
        uint32_t end = start + INSERTION_RUN < n ? start + INSERTION_RUN : n;
        for (uint32_t i = start + 1; i < end; i++) {
            struct sort_rec r = recs[i];
            uint32_t k = i;
            for (; k > start && rec_cmp(&recs[k - 1], &r) > 0; k--)
                recs[k] = recs[k - 1];
            recs[k] = r;
        }
    }
    struct sort_rec *from = recs, *to = spare;
    for (uint32_t width = INSERTION_RUN; width < n; width *= 2) {
        for (uint32_t lo = 0; lo < n; lo += 2 * width) {
            uint32_t mid = lo + width < n ? lo + width : n,
                     hi = lo + 2 * width < n ? lo + 2 * width : n;
            uint32_t a = lo, b = mid, k = lo;
            if (mid == hi || rec_cmp(&from[mid - 1], &from[mid]) <= 0) {
                memcpy(to + lo, from + lo, (hi - lo) * sizeof *to);
                continue;
            }
            while (a < mid && b < hi)
                to[k++] = rec_cmp(&from[a], &from[b]) <= 0 ? from[a++] : from[b++];
            memcpy(to + k, from + a, (mid - a) * sizeof *to);
            memcpy(to + k + (mid - a), from + b, (hi - b) * sizeof *to);
        }
        struct sort_rec *t = from;
        from = to;
        to = t;
        if (width > UINT32_MAX / 4)
            break;
    }
    if (from != recs)
        memcpy(recs, from, n * sizeof *recs);
}

static quartet_status sort_limit(struct xsort *s, struct err *err)
{
    const struct psort *p = s->x.p->u.sort;
    const struct expr *list[2] = {p->limit, p->offset};
    uint64_t sum = 0;
    s->limit = UINT64_MAX;
    if (p->limit == NULL)
        return QUARTET_OK;
    for (int i = 0; i < 2; i++) {
        struct value v;
        if (list[i] == NULL)
            continue;
        quartet_status rc = expr_value(list[i], &s->x.ctx, NULL, 0, &v, err);
        if (rc != QUARTET_OK)
            return rc;
        if (v.type != VALUE_INTEGER || (i == 0 && v.i < 0))
            return QUARTET_OK; /* LIMIT itself says what is wrong with it */
        sum += v.i > 0 ? (uint64_t)v.i : 0;
    }
    if (sum <= TOP_ROWS_MAX)
        s->limit = sum;
    return QUARTET_OK;
}

/* Where the first key is a column of a table that is scanned right below, the scan can drop what sorts behind before it reads the other columns. */
static void find_scan(struct xsort *s)
{
    const struct psort *p = s->x.p->u.sort;
    struct xnode *below = s->x.child[0];
    uint32_t column = p->cols[0];
    for (; below->p->kind == PN_PROJECT; below = below->child[0]) {
        const struct expr *e = below->p->u.project[column];
        if (e->op != EXPR_COLUMN)
            return;
        column = e->u.column;
    }
    if (below->p->kind != PN_SCAN || column >= below->p->u.scan->column_count)
        return;
    s->scan_cut = (struct scan_cut){.column = column, .flags = p->flags[0]};
    scan_set_cut(below, &s->scan_cut);
}

static quartet_status sort_open(struct xnode *x, struct err *err)
{
    struct xsort *s = (struct xsort *)x;
    s->built = false;
    s->n = s->at = 0;
    s->has_cut = false;
    s->which = 0;
    s->given = 0;
    spill_free(s->spilled);
    s->spilled = NULL;
    for (int i = 0; i < 2; i++) {
        s->data[i].limit_bytes = x->run->e->limits.memory_bytes;
        arena_rewind(&s->data[i], (struct arena_mark){0});
    }
    rows_init(&s->rows, x->p->col_count, &s->data[0]);
    if (s->cols == NULL) {
        s->cols = keep_alloc(x->run->e, x->p->col_count, sizeof *s->cols);
        if (s->cols == NULL)
            return arena_fail(&x->run->e->keep, err);
    }
    tmp_reset(x);
    quartet_status rc = sort_limit(s, err);
    s->scan_cut.on = false;
    if (s->limit != UINT64_MAX)
        find_scan(s);
    if (rc == QUARTET_OK)
        rc = out_vecs(x, x->p->col_count, err);
    return rc != QUARTET_OK ? rc : child_open(x, 0, err);
}

static void recs_free(struct xsort *s)
{
    mem_free(s->recs);
    s->recs = NULL;
    s->n = s->cap = 0;
}

static void sort_close(struct xnode *x)
{
    struct xsort *s = (struct xsort *)x;
    buf_deinit(&s->key);
    s->key = (struct buf){0};
    buf_deinit(&s->row);
    s->row = (struct buf){0};
    spill_free(s->spilled);
    s->spilled = NULL;
    arena_free_all(&s->data[0]);
    arena_free_all(&s->data[1]);
    recs_free(s);
}

static bool make_rec(struct xsort *s, const struct batch *in, uint32_t row, struct sort_rec *out)
{
    const struct psort *p = s->x.p->u.sort;
    buf_clear(&s->key);
    for (uint32_t i = 0; i < p->key_count; i++)
        cell_key_put_vec(&s->key, &in->cols[p->cols[i]], row, p->flags[i]);
    if (s->key.failed)
        return false;
    uint8_t head[16] = {0};
    size_t n = s->key.len < sizeof head ? s->key.len : sizeof head;
    memcpy(head, s->key.data, n);
    *out = (struct sort_rec){.prefix = load_be64(head),
                             .second = load_be64(head + 8),
                             .key = s->key.data + n,
                             .len = (uint32_t)(s->key.len - n)};
    return true;
}

/* Not of the arena, which would keep each array that a larger one took the place of. */
static quartet_status recs_reserve(struct xsort *s, uint32_t need, struct err *err)
{
    if (need <= s->cap)
        return QUARTET_OK;
    uint64_t cap = s->cap == 0 ? 64 : s->cap * 2ull;
    while (cap < need)
        cap *= 2;
    if (cap > UINT32_MAX || cap * sizeof *s->recs + s->data[s->which].used_bytes > s->data[s->which].limit_bytes) {
        s->data[s->which].over_limit = true;
        return arena_fail(&s->data[s->which], err);
    }
    struct sort_rec *to = mem_realloc(s->recs, cap, sizeof *to);
    if (to == NULL)
        return err_nomem(err);
    s->recs = to;
    s->cap = (uint32_t)cap;
    return QUARTET_OK;
}

/* The records in order. */
static quartet_status sort_recs(struct xsort *s, struct err *err)
{
    struct sort_rec *spare = mem_alloc((s->n + (size_t)1) * sizeof *spare);
    if (spare == NULL)
        return err_nomem(err);
    merge_sort(s->recs, spare, s->n);
    mem_free(spare);
    return QUARTET_OK;
}

/* Keep the best `limit` rows, move them to the other arena, and remember the last of them. */
static quartet_status cut(struct xsort *s, struct err *err)
{
    struct arena *old = &s->data[s->which], *new = &s->data[1 - s->which];
    struct sort_rec *recs = s->recs;
    uint32_t n = (uint32_t)s->limit;
    struct rows moved;
    rows_init(&moved, s->rows.col_count, new);
    quartet_status sorted = sort_recs(s, err);
    if (sorted != QUARTET_OK)
        return sorted;
    for (uint32_t done = 0; done < n;) {
        uint32_t ids[BATCH_ROWS_MAX], take = n - done < BATCH_ROWS_MAX ? n - done : BATCH_ROWS_MAX;
        for (uint32_t k = 0; k < take; k++) {
            ids[k] = recs[done + k].row;
            recs[done + k].row = done + k;
            recs[done + k].key =
                arena_dup(new, recs[done + k].key, recs[done + k].len > 0 ? recs[done + k].len : 1);
            if (recs[done + k].key == NULL)
                return arena_fail(new, err);
        }
        for (uint32_t c = 0; c < s->rows.col_count; c++) {
            quartet_status rc =
                rows_gather(&s->rows, c, ids, take, &s->cols[c], &s->x.run->e->keep, err);
            if (rc != QUARTET_OK)
                return rc;
            s->x.out.cols[c] = s->cols[c].v;
        }
        quartet_status rc = rows_append_vecs(&moved, s->x.out.cols, NULL, take, err);
        if (rc != QUARTET_OK)
            return rc;
        done += take;
    }
    s->which = 1 - s->which;
    arena_rewind(old, (struct arena_mark){0});
    s->rows = moved;
    s->n = n;
    s->has_cut = true;
    s->cut = recs[n - 1];
    s->scan_cut.prefix = s->cut.prefix;
    s->scan_cut.on = true;
    return QUARTET_OK;
}

static quartet_status sort_take(struct xsort *s, const struct batch *in, struct err *err)
{
    const struct psort *p = s->x.p->u.sort;
    uint32_t kept = 0;
    quartet_status rc = recs_reserve(s, s->n + in->n, err);
    bool quick = s->has_cut &&
                 cell_key_prefixes(&in->cols[p->cols[0]], in->sel, in->n, p->flags[0], s->prefixes);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        struct sort_rec *r = &s->recs[s->n];
        uint32_t row = batch_row(in, k);
        if (quick && s->prefixes[row] > s->cut.prefix)
            continue; /* nearly all rows end here: no key is made */
        if (!make_rec(s, in, row, r))
            return err_nomem(err);
        if (s->has_cut && rec_cmp(r, &s->cut) >= 0)
            continue;
        if (r->len > 0) {
            r->key = arena_dup(&s->data[s->which], r->key, r->len);
            if (r->key == NULL)
                return arena_fail(&s->data[s->which], err);
        }
        r->row = s->rows.n + kept;
        s->sel[kept++] = (uint16_t)row;
        s->n++;
    }
    if (rc == QUARTET_OK && kept > 0)
        rc = rows_append_vecs(&s->rows, in->cols, s->sel, kept, err);
    if (rc == QUARTET_OK && s->limit != UINT64_MAX && s->limit > 0 && s->n > s->limit * 2 + CUT_ROWS)
        rc = cut(s, err);
    return rc;
}

/* ---- past memory_limit ---- */

/* The rows and keys in memory become a sorted run. */
static quartet_status spill_rows(struct xsort *s, struct err *err)
{
    struct arena *a = &s->data[s->which];
    db *d = txn_db(s->x.run->e->t);
    quartet_status rc = s->spilled == NULL ? spill_new(db_env(d), db_temp_dir(d), &s->spilled, err) : QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = sort_recs(s, err);
    if (rc == QUARTET_OK)
        rc = spill_run_begin(s->spilled, err);
    for (uint32_t i = 0; i < s->n && i < s->limit && rc == QUARTET_OK; i++) {
        const struct sort_rec *r = &s->recs[i];
        struct spill_key key = {.first = r->prefix, .second = r->second, .rest = r->key, .rest_bytes = r->len};
        buf_clear(&s->row);
        for (uint32_t c = 0; c < s->rows.col_count; c++) {
            struct value v = rows_value(&s->rows, r->row, c);
            value_encode(&s->row, &v);
        }
        rc = buf_check(&s->row, err);
        if (rc == QUARTET_OK)
            rc = spill_run_put(s->spilled, &key, slice_of(s->row.data, s->row.len), err);
    }
    if (rc == QUARTET_OK)
        rc = spill_run_end(s->spilled, err);
    arena_rewind(a, (struct arena_mark){0});
    rows_init(&s->rows, s->x.p->col_count, a);
    recs_free(s);
    s->has_cut = false; /* its key was there, too; what the scan drops by it stays right */
    return rc;
}

/* What keeping these rows takes, their keys among them. */
static size_t batch_bytes(const struct xsort *s, const struct batch *in)
{
    size_t bytes = in->n * (sizeof(struct sort_rec) + 32u * (size_t)s->x.p->u.sort->key_count);
    for (uint32_t c = 0; c < in->col_count; c++) {
        size_t width = vec_cell_bytes(in->cols[c].type) + 1;
        bytes += in->n * width;
        bool texts = in->cols[c].type == VALUE_TEXT || in->cols[c].type == VALUE_BLOB || in->cols[c].type == VALUE_JSON;
        for (uint32_t k = 0; (texts || in->cols[c].type == VEC_MIXED) && k < in->n; k++) {
            struct value v = vec_get(&in->cols[c], batch_row(in, k));
            if (v.type == VALUE_TEXT || v.type == VALUE_BLOB || v.type == VALUE_JSON)
                bytes += 3 * v.s.n + 16; /* once in the row, in the key at most twice */
        }
    }
    return bytes;
}

/* Room for `more` bytes of rows: by sending those that are there to disk, if that is what it takes. */
static quartet_status make_room(struct xsort *s, uint32_t n, size_t more, struct err *err)
{
    const struct arena *a = &s->data[s->which];
    size_t limit = s->x.run->e->limits.memory_bytes;
    size_t recs = (size_t)(s->n + n > s->cap ? 2 * (s->n + n) : s->cap) * sizeof(struct sort_rec); /* grown, or as they are */
    size_t spare = (size_t)(s->n + n) * sizeof(struct sort_rec);                              /* to be sorted */
    bool room = a->used_bytes + recs + spare + more <= limit - limit / SLACK_SHARE;
    return room || s->n == 0 || db_temp_dir(txn_db(s->x.run->e->t)) == NULL ? QUARTET_OK : spill_rows(s, err);
}

/* A batch, in as many pieces as the limit asks for. */
static quartet_status take_all(struct xsort *s, const struct batch *in, struct err *err)
{
    size_t limit = s->x.run->e->limits.memory_bytes;
    uint16_t sel[BATCH_ROWS_MAX];
    if (s->data[s->which].used_bytes < limit / 4 && limit >= (64u << 20))
        return sort_take(s, in, err); /* a batch is small beside that; the sum is asked for later */
    for (uint32_t at = 0, n; at < in->n; at += n) {
        struct batch piece = *in;
        n = in->n - at;
        batch_cut(&piece, at, n, sel);
        size_t bytes = batch_bytes(s, &piece);
        while (bytes > limit / 8 && n > 1) {
            n /= 2;
            piece = *in;
            batch_cut(&piece, at, n, sel);
            bytes = batch_bytes(s, &piece);
        }
        quartet_status rc = make_room(s, n, bytes, err);
        if (rc == QUARTET_OK)
            rc = sort_take(s, &piece, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

/* The next rows from disk, as many as a part of the limit holds. */
static quartet_status spilled_next(struct xsort *s, struct err *err)
{
    struct arena *a = &s->data[s->which];
    struct batch *out = &s->x.out;
    quartet_status rc = QUARTET_OK;
    arena_rewind(a, (struct arena_mark){0});
    out->n = 0;
    out->sel = NULL;
    while (rc == QUARTET_OK && out->n < BATCH_ROWS_MAX && s->given < s->limit && (out->n == 0 || a->used_bytes < s->x.run->e->limits.memory_bytes / 4)) {
        struct slice row;
        rc = spill_next(s->spilled, &row, err);
        if (rc != QUARTET_OK || row.p == NULL)
            break;
        rc = spill_row_put(row, out, BATCH_ROWS_MAX, a, err);
        s->given++;
    }
    return rc;
}

static quartet_status sort_build(struct xsort *s, struct err *err)
{
    s->built = true;
    while (s->limit > 0) {
        quartet_status rc = child_next(&s->x, 0, err);
        if (rc == QUARTET_OK && s->x.child[0]->out.n == 0)
            break;
        if (rc == QUARTET_OK)
            rc = take_all(s, &s->x.child[0]->out, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if (s->spilled != NULL) {
        quartet_status rc = s->n > 0 ? spill_rows(s, err) : QUARTET_OK;
        return rc == QUARTET_OK ? spill_read(s->spilled, err) : rc;
    }
    quartet_status rc = sort_recs(s, err);
    if (s->n > s->limit)
        s->n = (uint32_t)s->limit;
    return rc;
}

static quartet_status sort_next(struct xnode *x, struct err *err)
{
    struct xsort *s = (struct xsort *)x;
    uint32_t ids[BATCH_ROWS_MAX];
    quartet_status rc = s->built ? QUARTET_OK : sort_build(s, err);
    if (rc == QUARTET_OK && s->spilled != NULL)
        rc = spilled_next(s, err);
    if (rc != QUARTET_OK || s->spilled != NULL)
        return rc;
    uint32_t n = s->n - s->at < BATCH_ROWS_MAX ? s->n - s->at : BATCH_ROWS_MAX;
    for (uint32_t k = 0; k < n; k++)
        ids[k] = s->recs[s->at + k].row;
    for (uint32_t c = 0; c < x->p->col_count && n > 0; c++) {
        rc = rows_gather(&s->rows, c, ids, n, &s->cols[c], &x->run->e->keep, err);
        if (rc != QUARTET_OK)
            return rc;
        x->out.cols[c] = s->cols[c].v;
    }
    s->at += n;
    x->out.n = n;
    return QUARTET_OK;
}

const struct xkind xkind_sort = {sizeof(struct xsort), {sort_open, sort_next, sort_close}, 0};
