/* exec_analyze.c - EXPLAIN ANALYZE: the statement runs to its end, and the plan's lines say what each operator did.
 * Why another set of functions per operator, put in front of its own: a run that is not measured pays nothing.
 * Times hold the children's, as in other databases; reading the clock twice a batch costs little beside a batch. */
#include <string.h>

#include "base/env.h"
#include "db.h"
#include "exec_internal.h"

struct measure {
    struct xops counted; /* what stands in the operator's place */
    const struct xops *ops;
    uint64_t rows, runs, ns;
};

static uint64_t clock_of(const struct xnode *x)
{
    struct env *env = db_env(txn_db(x->run->e->t));
    return env->ops->mono_ns(env);
}

static quartet_status counted_open(struct xnode *x, struct err *err)
{
    uint64_t from = clock_of(x);
    quartet_status rc = x->measure->ops->open(x, err);
    x->measure->ns += clock_of(x) - from;
    x->measure->runs++;
    return rc;
}

static quartet_status counted_next(struct xnode *x, struct err *err)
{
    uint64_t from = clock_of(x);
    quartet_status rc = x->measure->ops->next(x, err);
    x->measure->ns += clock_of(x) - from;
    x->measure->rows += rc == QUARTET_OK ? x->out.n : 0;
    return rc;
}

quartet_status measure_node(struct xnode *x, struct err *err)
{
    struct measure *m = keep_alloc(x->run->e, 1, sizeof *m);
    if (m == NULL)
        return arena_fail(&x->run->e->keep, err);
    *m = (struct measure){.counted = {counted_open, counted_next, x->ops->close}, .ops = x->ops};
    x->measure = m;
    x->ops = &m->counted;
    return QUARTET_OK;
}

/* ---- the lines ---- */

struct xanalyze {
    struct xnode x;
    bool done;
    struct rows lines;
    struct outvec col;
    uint32_t at;
};

static quartet_status analyze_open(struct xnode *x, struct err *err)
{
    struct xanalyze *a = (struct xanalyze *)x;
    a->done = false;
    a->at = 0;
    rows_init(&a->lines, 1, &x->run->data);
    for (uint32_t i = 0; i < x->run->e->all_count; i++) {
        struct measure *m = x->run->e->all[i]->measure;
        if (m != NULL)
            m->rows = m->runs = m->ns = 0;
    }
    quartet_status rc = out_vecs(x, 1, err);
    return rc == QUARTET_OK ? child_open(x, 0, err) : rc;
}

static quartet_status put_line(struct xanalyze *a, struct buf *text, struct err *err)
{
    struct value v = value_text(text->data, text->len);
    uint8_t not_null = 0;
    struct vec col = {.type = VEC_MIXED, .null = &not_null, .v = &v};
    quartet_status rc = buf_check(text, err);
    return rc == QUARTET_OK ? rows_append_vecs(&a->lines, &col, NULL, 1, err) : rc;
}

/* An operator that stands in several runs (a subquery's, once per level) counts as one. */
static void put_figures(const struct exec *e, const struct pnode *n, struct buf *text)
{
    uint64_t rows = 0, runs = 0, ns = 0;
    for (uint32_t i = 0; i < e->all_count; i++) {
        const struct measure *m = e->all[i]->p == n ? e->all[i]->measure : NULL;
        if (m != NULL) {
            rows += m->rows;
            runs += m->runs;
            ns += m->ns;
        }
    }
    if (runs == 0)
        buf_str(text, " (never run)");
    else if (runs == 1)
        buf_printf(text, " (actual %llu rows, %.3f ms)", (unsigned long long)rows, (double)ns / 1e6);
    else
        buf_printf(text, " (actual %llu rows in %llu runs, %.3f ms)", (unsigned long long)rows, (unsigned long long)runs, (double)ns / 1e6);
}

static quartet_status analyze_run(struct xanalyze *a, struct err *err)
{
    struct xnode *x = &a->x;
    const struct ptext *p = x->p->u.text;
    uint64_t from = clock_of(x);
    quartet_status rc = QUARTET_OK;
    a->done = true;
    do {
        rc = child_next(x, 0, err);
        if (rc == QUARTET_OK)
            rc = exec_check(x->run->e, err);
    } while (rc == QUARTET_OK && x->child[0]->out.n > 0);
    double ms = (double)(clock_of(x) - from) / 1e6;
    struct buf text = {0};
    for (uint32_t i = 0; i < p->count && rc == QUARTET_OK; i++) {
        buf_clear(&text);
        buf_str(&text, p->lines[i]);
        if (p->nodes[i] != NULL)
            put_figures(x->run->e, p->nodes[i], &text);
        rc = put_line(a, &text, err);
    }
    buf_clear(&text);
    buf_printf(&text, "Total %.3f ms", ms);
    if (rc == QUARTET_OK)
        rc = put_line(a, &text, err);
    buf_deinit(&text);
    return rc;
}

static quartet_status analyze_next(struct xnode *x, struct err *err)
{
    struct xanalyze *a = (struct xanalyze *)x;
    quartet_status rc = a->done ? QUARTET_OK : analyze_run(a, err);
    x->out.n = 0;
    if (rc != QUARTET_OK || a->at >= a->lines.chunk_count)
        return rc;
    const struct rows_chunk *c = &a->lines.chunks[a->at++];
    x->out.cols[0] = c->cols[0];
    x->out.n = c->n;
    return QUARTET_OK;
}

const struct xkind xkind_analyze = {sizeof(struct xanalyze), {analyze_open, analyze_next, NULL}, 0};
