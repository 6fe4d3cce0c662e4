/* table_derived.c - scans of which columns are wanted that are computed from others (derived.h).
 * Why beside the scan and not in it: the scan knows records, keys, entries, history and orphans; to none of them is a derived column anything.
 * Not here: what is read, and how (table_read.c). */
#include <string.h>

#include "base/mem.h"
#include "derived.h"
#include "expr.h"
#include "table_internal.h"

struct scan_derived {
    const struct table_def *t;
    uint32_t count;      /* columns wanted */
    uint32_t *wanted;
    uint32_t read_count; /* columns read: no derived ones */
    uint32_t *read;
    bool *late;
    uint32_t compute_count;
    const struct derived_def **compute; /* what is wanted of them and what those read, in order */
    struct vec *cols;    /* by column of the table */
    struct vec *out;     /* by column wanted */
    struct arena keep, batch;
};

static bool allocate(struct scan_derived *d, uint32_t count)
{
    uint32_t n = d->t->column_count;
    d->wanted = arena_zalloc(&d->keep, count + 1u, sizeof *d->wanted);
    d->read = arena_zalloc(&d->keep, n + 1u, sizeof *d->read);
    d->late = arena_zalloc(&d->keep, n + 1u, sizeof *d->late);
    d->compute = arena_zalloc(&d->keep, d->t->derived_count, sizeof(struct derived_def *));
    d->cols = arena_zalloc(&d->keep, n + 1u, sizeof *d->cols);
    d->out = arena_zalloc(&d->keep, count + 1u, sizeof *d->out);
    return d->wanted != NULL && d->read != NULL && d->late != NULL && d->compute != NULL && d->cols != NULL && d->out != NULL;
}

static bool visit_column(void *arg, const struct expr *e)
{
    bool *needed = arg;
    if (e->op == EXPR_COLUMN)
        needed[e->u.column] = true;
    return true;
}

/* What is read, and what is computed, so that every wanted column is there. */
static quartet_status choose(struct scan_derived *d, const struct scan_want *want, struct err *err)
{
    const struct table_def *t = d->t;
    bool *needed = arena_zalloc(&d->keep, t->column_count + 1u, sizeof *needed), *computing = arena_zalloc(&d->keep, t->column_count + 1u, sizeof *computing);
    if (needed == NULL || computing == NULL)
        return arena_fail(&d->keep, err);
    for (uint32_t i = 0; i < want->column_count; i++)
        needed[want->columns[i]] = true;
    for (uint32_t i = t->derived_count; i-- > 0;) { /* each reads only what stands before it */
        const struct derived_def *x = &t->derived[i];
        if (needed[x->column] && x->expr != NULL)
            (void)expr_walk(x->expr, visit_column, computing); /* it visits all */
        for (uint32_t c = 0; c < t->column_count && needed[x->column]; c++)
            needed[c] |= computing[c];
    }
    for (uint32_t i = 0; i < t->derived_count; i++)
        if (needed[t->derived[i].column])
            d->compute[d->compute_count++] = &t->derived[i];
    for (uint32_t i = 0; i < t->column_count; i++)
        if (needed[i] && !t->columns[i].derived)
            d->read[d->read_count++] = i;
    for (uint32_t k = 0; want->late != NULL && k < d->read_count; k++)
        for (uint32_t i = 0; i < want->column_count && !computing[d->read[k]]; i++)
            d->late[k] |= want->columns[i] == d->read[k] && want->late[i];
    return QUARTET_OK;
}

quartet_status scan_derived_new(const struct table_def *t, const struct scan_want *want, struct scan_want *plain, struct scan_derived **out, struct err *err)
{
    bool any = false;
    for (uint32_t i = 0; i < want->column_count; i++)
        any |= t->columns[want->columns[i]].derived;
    if (!any)
        return QUARTET_OK;
    struct scan_derived *d = mem_zalloc(1, sizeof *d);
    if (d == NULL)
        return err_nomem(err);
    d->t = t;
    d->count = want->column_count;
    quartet_status rc = allocate(d, want->column_count) ? QUARTET_OK : arena_fail(&d->keep, err);
    if (rc == QUARTET_OK)
        memcpy(d->wanted, want->columns, want->column_count * sizeof *d->wanted);
    if (rc == QUARTET_OK)
        rc = choose(d, want, err);
    if (rc != QUARTET_OK) {
        scan_derived_free(d);
        return rc;
    }
    plain->columns = d->read;
    plain->column_count = d->read_count;
    plain->late = want->late != NULL ? d->late : NULL;
    *out = d;
    return QUARTET_OK;
}

quartet_status scan_derived_next(struct scan_derived *d, struct batch *b, struct err *err)
{
    arena_rewind(&d->batch, (struct arena_mark){0});
    for (uint32_t i = 0; i < d->read_count; i++)
        d->cols[d->read[i]] = b->cols[i];
    for (uint32_t i = 0; i < d->compute_count; i++) {
        quartet_status rc = derived_vec(d->compute[i], d->cols, d->t->column_count, b->n, &d->cols[d->compute[i]->column], &d->batch, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    for (uint32_t i = 0; i < d->count; i++)
        d->out[i] = d->cols[d->wanted[i]];
    b->cols = d->out;
    b->col_count = d->count;
    return QUARTET_OK;
}

void scan_derived_late(struct scan_derived *d, const struct vec *read)
{
    for (uint32_t k = 0; k < d->read_count; k++)
        for (uint32_t i = 0; i < d->count && d->late[k]; i++)
            if (d->wanted[i] == d->read[k])
                d->out[i] = read[k];
}

void scan_derived_free(struct scan_derived *d)
{
    if (d == NULL)
        return;
    arena_free_all(&d->keep);
    arena_free_all(&d->batch);
    mem_free(d);
}
