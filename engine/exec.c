/* exec.c - runs of a plan: made once, opened for each execution, kept with the plan between
 * executions. Why kept: a point lookup costs less than making the dozen objects that do it. */
#include "exec.h"

#include <stdio.h>
#include <string.h>

#include "base/env.h"
#include "base/mem.h"
#include "db.h"
#include "exec_internal.h"

#define MEMORY_DEFAULT ((size_t)1 << 30)

static const struct xkind *const kinds[PNODE_KIND_COUNT] = {
    [PN_ONE] = &xkind_one,
    [PN_SCAN] = &xkind_scan,
    [PN_VALUES] = &xkind_values,
    [PN_SERIES] = &xkind_series,
    [PN_JSON_EACH] = &xkind_json,
    [PN_JSON_TREE] = &xkind_json,
    [PN_CTE_SCAN] = &xkind_cte_scan,
    [PN_CTE_WORK] = &xkind_cte_work,
    [PN_FILTER] = &xkind_filter,
    [PN_PROJECT] = &xkind_project,
    [PN_HASH_JOIN] = &xkind_hash_join,
    [PN_LOOP_JOIN] = &xkind_loop_join,
    [PN_MERGE_JOIN] = &xkind_merge_join,
    [PN_INDEX_JOIN] = &xkind_index_join,
    [PN_APPLY] = &xkind_apply,
    [PN_AGG] = &xkind_agg,
    [PN_WINDOW] = &xkind_window,
    [PN_SORT] = &xkind_sort,
    [PN_LIMIT] = &xkind_limit,
    [PN_DISTINCT] = &xkind_distinct,
    [PN_SET] = &xkind_set,
    [PN_WITH] = &xkind_with,
    [PN_TEXT] = &xkind_text,
    [PN_ANALYZE] = &xkind_analyze,
    [PN_INSERT] = &xkind_insert,
    [PN_UPDATE] = &xkind_update,
    [PN_DELETE] = &xkind_delete,
    [PN_BACKTRACK] = &xkind_backtrack,
    [PN_RESOLVE] = &xkind_resolve,
    [PN_QUARANTINE] = &xkind_quarantine,
    [PN_QUARANTINE_WRITE] = &xkind_quarantine_write,
    [PN_KEYED] = &xkind_keyed,
    [PN_UNION] = &xkind_union,
};

void *keep_alloc(struct exec *e, size_t count, size_t size)
{
    return arena_zalloc(&e->keep, count > 0 ? count : 1, size);
}

quartet_status out_vecs(struct xnode *x, uint32_t n, struct err *err)
{
    if (x->out.cols == NULL) {
        x->out.cols = keep_alloc(x->run->e, n, sizeof *x->out.cols);
        if (x->out.cols == NULL)
            return arena_fail(&x->run->e->keep, err);
    }
    x->out.col_count = n;
    x->out.n = 0;
    x->out.sel = NULL;
    return QUARTET_OK;
}

quartet_status xnode_make(struct exec *e, struct xrun *run, const struct pnode *p,
                          struct xnode **out, struct err *err)
{
    const struct xkind *kind = kinds[p->kind];
    struct xnode *x = arena_alloc(&e->keep, kind->size);
    if (x != NULL)
        memset(x, 0, kind->clear > 0 ? kind->clear : kind->size);
    if (x == NULL ||
        !bind_grow(&e->keep, &e->all, e->all_count, &e->all_cap, sizeof(struct xnode *)))
        return arena_fail(&e->keep, err);
    e->all[e->all_count++] = x;
    x->ops = &kind->ops;
    x->p = p;
    x->run = run;
    x->tmp.limit_bytes = e->limits.memory_bytes;
    x->ctx = (struct expr_ctx){.arena = &x->tmp,
                               .params = e->params,
                               .param_count = e->param_count,
                               .host = &exec_host,
                               .host_arg = e,
                               .interrupted = NULL};
    for (int i = 0; i < 2; i++) {
        if (p->child[i] == NULL || (i == 1 && (p->kind == PN_INDEX_JOIN || p->kind == PN_APPLY)))
            continue;
        quartet_status rc = xnode_make(e, run, p->child[i], &x->child[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    *out = x;
    return e->p->measured && p->kind != PN_ANALYZE ? measure_node(x, err) : QUARTET_OK;
}

quartet_status xrun_make(struct exec *e, struct xrun *run, const struct pnode *p, struct err *err)
{
    run->e = e;
    run->data.limit_bytes = e->limits.memory_bytes;
    return xnode_make(e, run, p, &run->root, err);
}

quartet_status xrun_open(struct xrun *run, struct err *err)
{
    arena_reset(&run->data);
    return run->root->ops->open(run->root, err);
}

quartet_status exec_check(struct exec *e, struct err *err)
{
    if (e->limits.interrupted != NULL && *e->limits.interrupted != 0)
        return err_set(err, QUARTET_INTERRUPTED, "interrupted");
    if (e->limits.progress != NULL && ++e->progress_ticks % e->limits.progress_every == 0 && e->limits.progress(e->limits.progress_arg) != 0)
        return err_set(err, QUARTET_INTERRUPTED, "interrupted by the progress callback");
    if (e->limits.deadline_ns != 0 && (++e->ticks & 15u) == 0 && e->t != NULL) {
        struct env *env = db_env(txn_db(e->t));
        if (env->ops->mono_ns(env) > e->limits.deadline_ns)
            return err_set(err, QUARTET_INTERRUPTED,
                           "the statement took longer than statement_timeout");
    }
    return QUARTET_OK;
}

static quartet_status exec_new(struct plan *p, const struct exec_limits *limits, struct exec **out,
                               struct err *err)
{
    struct arena keep = {0};
    if (p->spare != NULL) { /* memory of an earlier statement */
        keep = *p->spare;
        *p->spare = (struct arena){0};
    }
    struct exec *e = arena_zalloc(&keep, 1, sizeof *e);
    if (e == NULL) {
        arena_free_all(&keep);
        return err_nomem(err);
    }
    e->p = p;
    e->keep = keep; /* which holds the execution itself, too */
    e->limits = *limits;
    e->param_count = p->param_count;
    e->params = keep_alloc(e, p->param_count, sizeof *e->params);
    e->subs = keep_alloc(e, p->sub_count, sizeof *e->subs);
    e->ctes = keep_alloc(e, p->cte_count, sizeof *e->ctes);
    e->ctx = (struct expr_ctx){.arena = &e->tmp,
                               .params = e->params,
                               .param_count = e->param_count,
                               .host = &exec_host,
                               .host_arg = e};
    quartet_status rc = QUARTET_OK;
    if (e->params == NULL || e->subs == NULL || e->ctes == NULL)
        rc = arena_fail(&e->keep, err);
    if (rc == QUARTET_OK)
        rc = xrun_make(e, &e->main, p->root, err);
    if (rc != QUARTET_OK) {
        exec_destroy(e);
        return rc;
    }
    *out = e;
    return QUARTET_OK;
}

static void close_nodes(struct exec *e)
{
    for (uint32_t i = 0; i < e->all_count; i++) {
        if (e->all[i]->ops->close != NULL)
            e->all[i]->ops->close(e->all[i]);
    }
}

void exec_destroy(struct exec *e)
{
    if (e == NULL)
        return;
    e->last = true;
    close_nodes(e);
    for (uint32_t i = 0; i < e->all_count; i++)
        arena_free_all(&e->all[i]->tmp);
    for (uint32_t i = 0; e->subs != NULL && i < e->p->sub_count; i++)
        xsub_close(&e->subs[i]);
    for (uint32_t i = 0; e->ctes != NULL && i < e->p->cte_count; i++)
        xcte_close(&e->ctes[i], e->p->ctes[i].step_count);
    arena_free_all(&e->main.data);
    arena_free_all(&e->tmp);
    struct arena keep = e->keep, *spare = e->p->spare;
    if (spare != NULL)
        arena_give(&keep, spare);
    arena_free_all(&keep);
}

static void limits_set(struct exec *e, const struct exec_limits *limits, size_t memory_bytes)
{
    e->limits = *limits;
    e->limits.memory_bytes = memory_bytes;
    e->limits.time_zone = NULL;
    if (limits->time_zone == NULL || limits->time_zone[0] == '\0')
        return;
    (void)snprintf(e->zone, sizeof e->zone, "%s", limits->time_zone); /* fits: both have room for the longest name */
    e->limits.time_zone = e->zone;
}

quartet_status exec_open(plan *p, txn *t, const struct value *params, uint32_t param_count,
                         const struct exec_limits *limits, exec **out, struct err *err)
{
    static const struct exec_limits none = {0};
    const struct exec_limits *use = limits != NULL ? limits : &none;
    size_t memory_bytes = use->memory_bytes != 0 ? use->memory_bytes : MEMORY_DEFAULT;
    struct exec *e = p->cached;
    if (e != NULL && !e->busy && e->limits.memory_bytes == memory_bytes) {
        p->cached = NULL;
    } else {
        struct exec_limits fresh = *use;
        fresh.memory_bytes = memory_bytes;
        quartet_status rc = exec_new(p, &fresh, &e, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    limits_set(e, use, memory_bytes);
    e->busy = true;
    e->opened = false;
    e->t = t;
    e->changes = 0;
    e->has_last_id = false;
    e->ignore_raised = false;
    e->firing = NULL;
    uint32_t given = param_count < p->user_params ? param_count : p->user_params;
    given = given < p->param_count ? given : p->param_count;
    if (given > 0)
        memcpy(e->params, params, given * sizeof *params);
    for (uint32_t i = given; i < p->param_count; i++)
        e->params[i] = VALUE_NULL_INIT;
    xsub_forget(e);
    *out = e;
    return QUARTET_OK;
}

quartet_status exec_next(exec *e, struct batch *out, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    if (!e->opened) {
        e->opened = true;
        rc = xrun_open(&e->main, err);
    }
    if (rc == QUARTET_OK)
        rc = exec_check(e, err);
    if (rc == QUARTET_OK)
        rc = e->main.root->ops->next(e->main.root, err);
    if (rc != QUARTET_OK)
        return rc;
    struct xnode *root = e->main.root;
    *out = root->out;
    if (out->n == 0 || out->sel == NULL)
        return QUARTET_OK;
    arena_rewind(&e->tmp, (struct arena_mark){0}); /* the caller sees rows without gaps */
    struct vec *cols = arena_zalloc(&e->tmp, out->col_count + 1, sizeof *cols);
    struct outvec *packed = arena_zalloc(&e->tmp, out->col_count + 1, sizeof *packed);
    if (cols == NULL || packed == NULL)
        return arena_fail(&e->tmp, err);
    for (uint32_t i = 0; i < out->col_count; i++) {
        rc = vec_gather(&root->out.cols[i], out->sel, out->n, &packed[i], &e->tmp, err);
        if (rc != QUARTET_OK)
            return rc;
        cols[i] = packed[i].v;
    }
    out->cols = cols;
    out->sel = NULL;
    return QUARTET_OK;
}

uint64_t exec_changes(const exec *e)
{
    return e->changes;
}

bool exec_last_insert_id(const exec *e, int64_t *id)
{
    *id = e->last_id;
    return e->has_last_id;
}

void exec_close(exec *e)
{
    if (e == NULL)
        return;
    close_nodes(e);
    e->busy = false;
    e->t = NULL;
    if (e->p->cached == NULL)
        e->p->cached = e;
    else
        exec_destroy(e);
}
