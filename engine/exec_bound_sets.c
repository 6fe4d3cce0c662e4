/* exec_bound_sets.c - the lookups that IN lists and queries make: all combinations of their rows, in the order of the key, none twice.
 * Why a limit for those of a query: nobody knows beforehand how many rows it gives, and past some number reading the table once is cheaper than looking up each. */
#include <string.h>

#include "exec_internal.h"

struct lookups {
    struct bound_state *b;
    const struct pscan *s;
    struct expr_ctx *ctx;
    const struct column_def *columns[PLAN_BOUND_COLUMNS_MAX]; /* of the sets, and whether they descend */
    bool desc[PLAN_BOUND_COLUMNS_MAX];
};
struct found { /* the rows of one set that some row can equal */
    struct value *rows;
    uint32_t count;
};

/* A row of a set; *keep false: a NULL is in it, or a value that no value of the column equals. */
static quartet_status fit_row(const struct lookups *l, const struct pbound_set *set, struct value *row, bool *keep, struct err *err)
{
    *keep = true;
    for (uint32_t k = 0; k < set->width && *keep; k++) {
        const struct column_def *c = l->columns[set->at[k]];
        quartet_status rc = row[k].type != VALUE_NULL && c->type != VALUE_NULL && set->query == NULL ? types_affinity(c->type, &row[k], l->ctx->arena, err) : QUARTET_OK;
        if (rc != QUARTET_OK)
            return rc;
        *keep = row[k].type != VALUE_NULL && bound_fit(c, &row[k], l->ctx->arena) == TYPES_FIT_EXACT;
    }
    return QUARTET_OK;
}

static quartet_status read_set(const struct lookups *l, const struct pbound_set *set, const struct batch *in, uint32_t row, struct found *out, struct err *err)
{
    const struct rows *queried = NULL;
    quartet_status rc = set->query != NULL ? l->ctx->host->in_query(l->ctx->host_arg, set->query, &queried, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return rc;
    uint32_t n = queried != NULL ? queried->n : set->row_count;
    *out = (struct found){.rows = arena_zalloc(l->ctx->arena, (size_t)n * set->width + 1, sizeof(struct value))};
    if (out->rows == NULL)
        return arena_fail(l->ctx->arena, err);
    for (uint32_t r = 0; r < n; r++) {
        struct value *to = &out->rows[(size_t)out->count * set->width];
        bool keep;
        for (uint32_t k = 0; k < set->width && rc == QUARTET_OK; k++) {
            if (queried != NULL)
                to[k] = rows_value(queried, r, set->from[k]);
            else
                rc = bound_value(set->values[(size_t)r * set->width + k], l->ctx, in, row, &to[k], err);
            if (queried != NULL && !value_copy(l->ctx->arena, &to[k])) /* the query may run again while they are in use */
                rc = arena_fail(l->ctx->arena, err);
        }
        if (rc == QUARTET_OK)
            rc = fit_row(l, set, to, &keep, err);
        if (rc != QUARTET_OK)
            return rc;
        out->count += keep;
    }
    return QUARTET_OK;
}

static int compare(const struct lookups *l, const struct value *a, const struct value *b)
{
    int c = 0;
    for (uint32_t k = 0; k < l->b->width && c == 0; k++) {
        c = l->columns[k]->nocase ? types_compare(&a[k], &b[k], true) : value_cmp(&a[k], &b[k]);
        c = l->desc[k] ? -c : c;
    }
    return c;
}

/* Sorted by merging, the numbers of the rows from 0 on; spare has room for as many. */
static void sort_numbers(const struct lookups *l, const struct value *rows, uint32_t *numbers, uint32_t *spare, uint32_t n)
{
    uint32_t width = l->b->width, *from = numbers, *to = spare;
    for (uint64_t run = 1; run < n; run *= 2) {
        for (uint64_t lo = 0; lo < n; lo += 2 * run) {
            uint64_t mid = lo + run < n ? lo + run : n, hi = lo + 2 * run < n ? lo + 2 * run : n, a = lo, b = mid;
            for (uint64_t k = lo; k < hi; k++) {
                bool left = b == hi || (a < mid && compare(l, &rows[(size_t)from[a] * width], &rows[(size_t)from[b] * width]) <= 0);
                to[k] = left ? from[a++] : from[b++];
            }
        }
        uint32_t *t = from;
        from = to;
        to = t;
    }
    if (from != numbers)
        memcpy(numbers, from, n * sizeof *numbers);
}

/* The rows in order and each once, into b->lookups. */
static quartet_status put_in_order(struct lookups *l, struct value *rows, uint32_t n, struct err *err)
{
    struct bound_state *b = l->b;
    struct arena *a = l->ctx->arena;
    uint32_t *numbers = arena_alloc(a, (size_t)(n + 1) * sizeof *numbers), *spare = arena_alloc(a, (size_t)(n + 1) * sizeof *spare);
    b->lookups = arena_alloc(a, ((size_t)n * b->width + 1) * sizeof *b->lookups);
    if (numbers == NULL || spare == NULL || b->lookups == NULL)
        return arena_fail(a, err);
    for (uint32_t i = 0; i < n; i++)
        numbers[i] = i;
    sort_numbers(l, rows, numbers, spare, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct value *row = &rows[(size_t)numbers[i] * b->width];
        if (b->lookup_count > 0 && compare(l, &b->lookups[(size_t)(b->lookup_count - 1) * b->width], row) == 0)
            continue;
        memcpy(&b->lookups[(size_t)b->lookup_count++ * b->width], row, b->width * sizeof *row);
    }
    return QUARTET_OK;
}

/* All combinations of the sets' rows: `all` of them. */
static quartet_status combine(struct lookups *l, const struct found *found, uint32_t all, struct err *err)
{
    const struct pbound *p = &l->s->bound;
    struct value *rows = arena_alloc(l->ctx->arena, ((size_t)all * p->set_width + 1) * sizeof *rows);
    if (rows == NULL)
        return arena_fail(l->ctx->arena, err);
    for (uint32_t i = 0; i < all; i++) {
        uint32_t rest = i;
        for (uint32_t k = p->set_count; k-- > 0;) {
            const struct pbound_set *set = &p->sets[k];
            const struct value *from = &found[k].rows[(size_t)(rest % found[k].count) * set->width];
            rest /= found[k].count;
            for (uint32_t c = 0; c < set->width; c++)
                rows[(size_t)i * p->set_width + set->at[c]] = from[c];
        }
    }
    return put_in_order(l, rows, all, err);
}

quartet_status bound_sets(struct bound_state *b, const struct pscan *s, struct expr_ctx *ctx, const struct batch *in, uint32_t row, struct err *err)
{
    const uint32_t *columns = s->index != NULL ? s->index->columns : s->table->key_columns;
    const struct key_column *keys = s->index != NULL ? s->index->keys : s->table->keys;
    const struct pbound *p = &s->bound;
    struct lookups l = {.b = b, .s = s, .ctx = ctx};
    struct found *found = arena_alloc(ctx->arena, p->set_count * sizeof *found);
    double all = 1;
    if (found == NULL)
        return arena_fail(ctx->arena, err);
    b->width = p->set_width;
    b->step_from = p->eq_count;
    b->backwards = s->reverse;
    for (uint32_t k = 0; k < p->set_width; k++) {
        l.columns[k] = &s->table->columns[columns[p->eq_count + k]];
        l.desc[k] = keys[p->eq_count + k].desc;
    }
    for (uint32_t k = 0; k < p->set_count && all > 0; k++) {
        quartet_status rc = read_set(&l, &p->sets[k], in, row, &found[k], err);
        if (rc != QUARTET_OK)
            return rc;
        all *= found[k].count;
    }
    if (all == 0)
        return QUARTET_OK;
    if (p->queried && all > p->lookups_max) {
        b->inexact = true;
        b->whole = p->eq_count == 0;
        return QUARTET_OK;
    }
    if (all > UINT32_MAX / 2)
        return err_set(err, QUARTET_LIMIT, "IN lists whose combinations are more than %u", UINT32_MAX / 2);
    return combine(&l, found, (uint32_t)all, err);
}
