/* exec_insert.c - INSERT: defaults, conversion, constraints, and what to do about a row that is
 * there already. Rows of VALUES are evaluated where they are written: a statement of one row, which
 * is what loads consist of, would spend more on batches than on the row. */
#include <string.h>

#include "exec_write.h"

#define REPLACE_TRIES_MAX 64 /* a new row stands against one row per key and unique index */

/* A row of VALUES, or NULL where the input is a query. */
static struct expr *const *values_row(const struct xwrite *w, uint32_t row)
{
    const struct pnode *from = w->x.p->child[0];
    return from->kind == PN_VALUES ? from->u.values->rows[row] : NULL;
}

/* What nearly every row of a load is made of needs no function for each of its values. */
static inline quartet_status one_value(struct xwrite *w, const struct expr *e, struct value *v, struct err *err)
{
    const struct expr_ctx *ctx = &w->x.ctx;
    if (e->op != EXPR_PARAM || e->u.param - 1u >= ctx->param_count) {
        *v = VALUE_NULL_INIT;
        return expr_value(e, &w->x.ctx, NULL, 0, v, err);
    }
    *v = ctx->params[e->u.param - 1];
    return QUARTET_OK;
}

/* write_convert would leave it as it is. */
static inline bool is_as_stored(const struct column_def *c, const struct value *v)
{
    if (v->type != c->type || c->kind == ROW_SET)
        return v->type == VALUE_NULL && c->kind != ROW_SET;
    if (v->type == VALUE_INTEGER)
        return !c->is_boolean;
    return v->type == VALUE_REAL && v->r == v->r;
}

static quartet_status insert_values(struct xwrite *w, const struct batch *in, uint32_t row,
                                    struct err *err)
{
    const struct pwrite *p = w->x.p->u.write;
    struct expr *const *exprs = values_row(w, row);
    for (uint32_t i = 0; i < p->table->column_count; i++) {
        struct value *v = &w->values[i];
        quartet_status rc = QUARTET_OK;
        if (p->from[i] != PLAN_NONE && exprs != NULL)
            rc = one_value(w, exprs[p->from[i]], v, err);
        else if (p->from[i] != PLAN_NONE)
            *v = vec_get(&in->cols[p->from[i]], row);
        else if (p->defaults[i] != NULL)
            rc = expr_value(p->defaults[i], &w->x.ctx, NULL, 0, v, err);
        else
            *v = VALUE_NULL_INIT;
        if (rc == QUARTET_OK && !is_as_stored(&p->table->columns[i], v))
            rc = write_convert(w, i, v, err);
        if (rc != QUARTET_OK)
            return rc;
        if (v->type == VALUE_NULL && p->on_conflict == AST_CONFLICT_REPLACE &&
            p->table->columns[i].not_null && p->defaults[i] != NULL) {
            rc = expr_value(p->defaults[i], &w->x.ctx, NULL, 0, v,
                            err); /* as SQLite's REPLACE: the default stands in */
            if (rc == QUARTET_OK)
                rc = write_convert(w, i, v, err);
            if (rc != QUARTET_OK)
                return rc;
        }
    }
    return QUARTET_OK;
}

static bool target_meets(const struct pupsert *u, const struct table_def *t,
                         const struct conflict *c)
{
    const uint32_t *columns = c->index != NULL ? c->index->columns : t->key_columns;
    uint32_t n = c->index != NULL ? c->index->column_count : t->key_count;
    if (u->target_count == 0)
        return true;
    if (u->target_count != n)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        bool found = false;
        for (uint32_t k = 0; k < n; k++)
            found |= u->target[i] == columns[k];
        if (!found)
            return false;
    }
    return true;
}

/* DO UPDATE: the present row, then the one that was to be inserted, side by side. */
static quartet_status upsert_row(struct xwrite *w, const struct pupsert *u, struct conflict *c,
                                 struct err *err)
{
    const struct table_def *t = w->x.p->u.write->table;
    txn *tx = w->x.run->e->t;
    uint32_t n = t->column_count;
    bool found = false;
    memcpy(w->values + n, w->values, n * sizeof *w->values);
    quartet_status rc = table_get(tx, t, c->key, w->values, &w->scratch, &found, err);
    if (rc == QUARTET_OK && !found)
        rc = err_set(err, QUARTET_CONSTRAINT, "a row of %s that is out of sight stands in the way (it is quarantined, or what it references is not there)", t->name);
    if (rc != QUARTET_OK)
        return rc;
    memcpy(w->old, w->values, n * sizeof *w->old);
    struct batch both = write_row_batch(w, n * 2);
    if (u->where != NULL) {
        struct value v;
        rc = expr_value(u->where, &w->x.ctx, &both, 0, &v, err);
        if (rc != QUARTET_OK || types_truth(&v) != 1)
            return rc;
    }
    bool moves = false;
    for (uint32_t i = 0; i < u->set_count; i++) { /* all values first: SET a = b, b = a swaps */
        rc = expr_value(u->sets[i].expr, &w->x.ctx, &both, 0, &w->adds[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    for (uint32_t i = 0; i < u->set_count; i++) {
        rc = write_set(w, &u->sets[i], w->adds[i], &w->writes[i], err);
        if (rc != QUARTET_OK)
            return rc;
        moves |= t->columns[u->sets[i].column].key_at >= 0 &&
                 !value_identical(&w->old[u->sets[i].column], &w->values[u->sets[i].column]);
    }
    bool skip;
    rc = write_check(w, err);
    if (rc == QUARTET_OK)
        rc = effects_before(w, AST_TRIGGER_UPDATE, w->old, w->values, &skip, err);
    if (rc != QUARTET_OK || skip)
        return rc;
    if (moves) {
        rc = table_delete(tx, t, c->key, w->old, err);
        if (rc == QUARTET_OK)
            rc = table_insert(tx, t, w->values, &w->scratch, NULL, NULL, err);
    } else {
        uint32_t count = 0;
        for (uint32_t i = 0; i < u->set_count; i++) {
            if (t->columns[u->sets[i].column].key_at < 0)
                w->writes[count++] = w->writes[i];
        }
        rc = table_update(tx, t, c->key, w->old, w->writes, count, &w->scratch, NULL, err);
    }
    if (rc == QUARTET_OK)
        rc = effects_after(w, AST_TRIGGER_UPDATE, w->old, w->values, err);
    if (rc != QUARTET_OK)
        return rc;
    w->x.run->e->changes++;
    return write_return(w, err);
}

/* *done: the row is dealt with, another way than by inserting it. */
static quartet_status resolve(struct xwrite *w, struct conflict *c, quartet_status rc, bool *done,
                              struct err *err)
{
    const struct pwrite *p = w->x.p->u.write;
    *done = false;
    if (c->key.p == NULL)
        return rc;
    for (uint32_t i = 0; i < p->upsert_count; i++) {
        if (!target_meets(&p->upserts[i], p->table, c))
            continue;
        *done = true;
        return p->upserts[i].do_update ? upsert_row(w, &p->upserts[i], c, err) : QUARTET_OK;
    }
    if (p->on_conflict == AST_CONFLICT_IGNORE) {
        *done = true;
        return QUARTET_OK;
    }
    return p->on_conflict == AST_CONFLICT_REPLACE ? write_evict(w, c, err) : rc;
}

static quartet_status insert_row(struct xwrite *w, const struct batch *in, uint32_t row,
                                 struct err *err)
{
    const struct pwrite *p = w->x.p->u.write;
    const struct table_def *t = p->table;
    struct exec *e = w->x.run->e;
    bool skip;
    quartet_status rc = insert_values(w, in, row, err);
    if (rc == QUARTET_OK)
        rc = write_check(w, err);
    if (rc == QUARTET_CONSTRAINT && p->on_conflict == AST_CONFLICT_IGNORE)
        return QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = effects_before(w, AST_TRIGGER_INSERT, NULL, w->values, &skip, err);
    if (rc != QUARTET_OK || skip)
        return rc;
    if (p->instead)
        return write_return(w, err);
    for (int tries = 0;; tries++) {
        bool done, settled = p->upsert_count == 0 && (p->on_conflict == AST_CONFLICT_IGNORE || p->on_conflict == AST_CONFLICT_REPLACE);
        struct conflict c = {.quiet = settled && tries < REPLACE_TRIES_MAX};
        rc = table_insert(e->t, t, w->values, &w->scratch, &c, NULL, err);
        if (rc != QUARTET_CONSTRAINT || tries >= REPLACE_TRIES_MAX)
            break;
        rc = resolve(w, &c, rc, &done, err);
        if (rc != QUARTET_OK || done)
            return rc;
    }
    if (rc == QUARTET_OK)
        rc = effects_after(w, AST_TRIGGER_INSERT, NULL, w->values, err);
    if (rc != QUARTET_OK)
        return rc;
    e->changes++;
    if (t->rowid_key) {
        e->last_id = w->values[t->key_columns[0]].i;
        e->has_last_id = true;
    }
    return write_return(w, err);
}

static quartet_status insert_all_values(struct xwrite *w, const struct pvalues *p, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    w->done = true;
    for (uint32_t k = 0; k < p->row_count && rc == QUARTET_OK; k++) {
        w->row++;
        arena_reset(&w->scratch);
        tmp_reset(&w->x);
        if (k % BATCH_ROWS_MAX == BATCH_ROWS_MAX - 1)
            rc = exec_check(w->x.run->e, err);
        if (rc == QUARTET_OK)
            rc = insert_row(w, NULL, k, err);
    }
    return rc == QUARTET_OK ? effects_end(w, err) : rc;
}

static quartet_status insert_next(struct xnode *x, struct err *err)
{
    struct xwrite *w = (struct xwrite *)x;
    const struct pnode *from = x->p->child[0];
    quartet_status rc = QUARTET_OK;
    if (!w->done)
        rc = from->kind == PN_VALUES ? insert_all_values(w, from->u.values, err)
                                     : write_all(w, insert_row, err);
    return rc != QUARTET_OK ? rc : write_emit(w, err);
}

const struct xkind xkind_insert = {sizeof(struct xwrite), {write_open, insert_next, write_close}, 0};
