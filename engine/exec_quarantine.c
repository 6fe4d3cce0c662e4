/* exec_quarantine.c - quartet_quarantine: its rows, and writes to them, which become writes of the rows' own tables.
 * Why all rows are read before the first is written: what one write sets off may bring others back into sight.
 * Invariants: each row is written as by an UPDATE or DELETE of its table, in this statement; a field that says what the row has is no write.
 * Not here: which rows are in quarantine (quarantine.c), the plans (plan_quarantine.c). */
#include <string.h>

#include "exec_internal.h"
#include "json.h"
#include "quarantine.h"
#include "txn_internal.h"
#include "types.h"

/* ---- the rows ---- */

struct xquarantine {
    struct xnode x;
    quarantine *q;
    bool done;
    struct outvec *cols;
    struct arena batch;
};

static void quarantine_rest(struct xnode *x)
{
    struct xquarantine *s = (struct xquarantine *)x;
    quarantine_close(s->q);
    s->q = NULL;
    arena_free_all(&s->batch);
}

static quartet_status quarantine_begin(struct xnode *x, struct err *err)
{
    struct xquarantine *s = (struct xquarantine *)x;
    quarantine_rest(x);
    s->done = false;
    s->batch.limit_bytes = x->run->e->limits.memory_bytes;
    if (s->cols == NULL)
        s->cols = keep_alloc(x->run->e, QUARANTINED_COLUMNS, sizeof *s->cols);
    return s->cols == NULL ? arena_fail(&x->run->e->keep, err) : out_vecs(x, QUARANTINED_COLUMNS, err);
}

static quartet_status quarantine_batch(struct xnode *x, struct err *err)
{
    struct xquarantine *s = (struct xquarantine *)x;
    quartet_status rc = exec_check(x->run->e, err);
    x->out.n = 0;
    arena_rewind(&s->batch, (struct arena_mark){0});
    if (rc == QUARTET_OK && s->q == NULL && !s->done)
        rc = quarantine_open(x->run->e->t, &s->q, err);
    for (uint32_t c = 0; c < QUARANTINED_COLUMNS && rc == QUARTET_OK; c++)
        rc = outvec_reset(&s->cols[c], VEC_MIXED, BATCH_ROWS_MAX, &x->run->e->keep) ? QUARTET_OK : arena_fail(&x->run->e->keep, err);
    while (rc == QUARTET_OK && !s->done && x->out.n < BATCH_ROWS_MAX) {
        struct value row[QUARANTINED_COLUMNS];
        bool found;
        rc = quarantine_next(s->q, row, &found, err);
        s->done = rc == QUARTET_OK && !found;
        if (rc != QUARTET_OK || !found)
            break;
        for (uint32_t c = 0; c < QUARANTINED_COLUMNS && rc == QUARTET_OK; c++) {
            rc = value_copy(&s->batch, &row[c]) ? QUARTET_OK : arena_fail(&s->batch, err);
            s->cols[c].v.v[x->out.n] = row[c];
            s->cols[c].null[x->out.n] = row[c].type == VALUE_NULL;
            s->cols[c].v.has_null |= row[c].type == VALUE_NULL;
        }
        x->out.n++;
    }
    for (uint32_t c = 0; c < QUARANTINED_COLUMNS && rc == QUARTET_OK; c++)
        x->out.cols[c] = s->cols[c].v;
    return rc;
}

const struct xkind xkind_quarantine = {sizeof(struct xquarantine), {quarantine_begin, quarantine_batch, quarantine_rest}, 0};

/* ---- one row by its key ---- */

struct xkeyed {
    struct xnode x;
    bool done;
    struct value *values;
    uint8_t *null;
    struct arena row;
};

static quartet_status keyed_open(struct xnode *x, struct err *err)
{
    struct xkeyed *k = (struct xkeyed *)x;
    uint32_t n = x->p->col_count;
    k->done = false;
    if (k->values == NULL) {
        k->values = keep_alloc(x->run->e, n, sizeof *k->values);
        k->null = keep_alloc(x->run->e, n, 1);
    }
    return k->values == NULL || k->null == NULL ? arena_fail(&x->run->e->keep, err) : out_vecs(x, n, err);
}

static quartet_status keyed_next(struct xnode *x, struct err *err)
{
    struct xkeyed *k = (struct xkeyed *)x;
    const struct pkeyed *p = x->p->u.keyed;
    const struct table_def *t = p->table;
    const struct exec *e = x->run->e;
    quartet_status rc = QUARTET_OK;
    bool found;
    x->out.n = 0;
    if (k->done)
        return QUARTET_OK;
    k->done = true;
    arena_rewind(&k->row, (struct arena_mark){0});
    tmp_reset(x);
    k->values[0] = e->params[0];
    for (uint32_t i = 0; i < t->column_count; i++)
        k->values[1 + i] = VALUE_NULL_INIT;
    for (uint32_t i = 1 + t->column_count; i < x->p->col_count && rc == QUARTET_OK; i++) {
        uint32_t at = i - t->column_count - 1;
        k->values[i] = p->values == NULL ? e->params[1 + at] : VALUE_NULL_INIT;
        if (p->values != NULL && p->values[at] != NULL)
            rc = expr_value(p->values[at], &x->ctx, NULL, 0, &k->values[i], err);
    }
    if (rc == QUARTET_OK)
        rc = table_get_any(e->t, t, e->params[0].s, k->values + 1, &k->row, &found, err);
    if (rc != QUARTET_OK || !found)
        return rc;
    for (uint32_t i = 0; i < x->p->col_count; i++) {
        k->null[i] = k->values[i].type == VALUE_NULL;
        x->out.cols[i] = (struct vec){.type = VEC_MIXED, .null = &k->null[i], .has_null = true};
        x->out.cols[i].v = &k->values[i];
    }
    x->out.n = 1;
    return QUARTET_OK;
}

static void keyed_close(struct xnode *x)
{
    arena_free_all(&((struct xkeyed *)x)->row);
}

const struct xkind xkind_keyed = {sizeof(struct xkeyed), {keyed_open, keyed_next, keyed_close}, 0};

/* ---- writes ---- */

struct xquarantine_write {
    struct xnode x;
    bool done;
    struct rows rows; /* table id, key, new row */
    struct arena a;   /* of one row */
    struct arena plan_arena;
    plan *plan;       /* of the last row: the next is often of the same table */
    const struct table_def *table;
    uint32_t *columns;
    uint32_t column_count;
};

static quartet_status qwrite_open(struct xnode *x, struct err *err)
{
    struct xquarantine_write *w = (struct xquarantine_write *)x;
    w->done = false;
    w->a.limit_bytes = x->run->e->limits.memory_bytes;
    rows_init(&w->rows, 3, &x->run->data);
    quartet_status rc = out_vecs(x, 0, err);
    return rc == QUARTET_OK ? child_open(x, 0, err) : rc;
}

static void qwrite_close(struct xnode *x)
{
    struct xquarantine_write *w = (struct xquarantine_write *)x;
    plan_free(w->plan);
    w->plan = NULL;
    w->table = NULL;
    arena_free_all(&w->plan_arena);
    arena_free_all(&w->a);
}

static quartet_status need_plan(struct xquarantine_write *w, const struct table_def *t, const uint32_t *columns, uint32_t n, struct err *err)
{
    if (w->table == t && w->column_count == n && (n == 0 || memcmp(w->columns, columns, n * sizeof *columns) == 0))
        return QUARTET_OK;
    plan_free(w->plan);
    w->plan = NULL;
    w->table = NULL;
    arena_free_all(&w->plan_arena);
    struct keyed_write k = {.table = t, .columns = columns, .count = n};
    quartet_status rc = plan_build_keyed(w->x.run->e->p->catalog, &k, &w->plan_arena, &w->plan, err);
    w->columns = n > 0 && rc == QUARTET_OK ? arena_dup(&w->plan_arena, columns, n * sizeof *columns) : NULL;
    if (rc == QUARTET_OK && n > 0 && w->columns == NULL)
        rc = arena_fail(&w->plan_arena, err);
    w->column_count = n;
    w->table = rc == QUARTET_OK ? t : NULL;
    return rc;
}

static quartet_status run_plan(struct xquarantine_write *w, const struct value *params, uint32_t n, struct err *err)
{
    struct exec *e = w->x.run->e, *run = NULL;
    struct txn_nested saved;
    struct batch rows = {.n = 1};
    quartet_status rc = txn_nested_begin(e->t, &saved, err);
    if (rc == QUARTET_OK)
        rc = exec_open(w->plan, e->t, params, n, &e->limits, &run, err);
    if (rc == QUARTET_OK)
        run->firing = e->firing;
    while (rc == QUARTET_OK && rows.n > 0)
        rc = exec_next(run, &rows, err);
    if (rc == QUARTET_OK)
        e->changes += exec_changes(run);
    else
        err->sql_offset = -1;
    exec_close(run);
    txn_nested_end(e->t, &saved);
    return rc;
}

/* The columns that the object names and the row has other values in; params[1 ...] are what they are set to. */
static quartet_status fields(struct xquarantine_write *w, const struct table_def *t, struct slice doc, const struct value *old, uint32_t *columns,
                             struct value *params, uint32_t *n, struct err *err)
{
    struct slice name, node, key;
    quartet_status rc = QUARTET_OK;
    *n = 0;
    for (size_t at = 0; rc == QUARTET_OK && json_next(doc, &at, &name, &node);) {
        struct value v;
        if (!json_unquote(name, &w->a, &key))
            return arena_fail(&w->a, err);
        const char *text = arena_strndup(&w->a, (const char *)key.p, key.n);
        if (text == NULL)
            return arena_fail(&w->a, err);
        int32_t column = table_column(t, text);
        if (column < 0)
            return err_set(err, QUARTET_ERROR, "no such column: %s; \"row\" is set to an object whose names are columns of table %s", text, t->name);
        const struct column_def *c = &t->columns[column];
        struct type_decl to = {.type = c->type, .precision = c->precision, .scale = c->scale, .is_boolean = c->is_boolean, .length = c->length};
        rc = quarantine_json_value(c, node, &w->a, &v, err);
        if (rc == QUARTET_OK)
            rc = types_convert(&to, c->name, &v, &w->a, err);
        uint32_t i = 0;
        while (i < *n && columns[i] != (uint32_t)column)
            i++;
        if (rc != QUARTET_OK || (i == *n && value_identical(&v, &old[column])))
            continue;
        if (c->derived)
            return err_set(err, QUARTET_ERROR, "column %s of table %s is generated: it is computed, and cannot be written", c->name, t->name);
        columns[i] = (uint32_t)column; /* named twice: the last one counts */
        params[1 + i] = v;
        *n += i == *n;
    }
    return rc;
}

static quartet_status update_one(struct xquarantine_write *w, const struct table_def *t, struct value key, struct value doc, struct err *err)
{
    uint32_t n = 0, *columns = arena_zalloc(&w->a, t->column_count + 1u, sizeof *columns);
    struct value *old = arena_zalloc(&w->a, t->column_count + 1u, sizeof *old), *params = arena_zalloc(&w->a, t->column_count + 1u, sizeof *params);
    bool found;
    if (columns == NULL || old == NULL || params == NULL)
        return arena_fail(&w->a, err);
    if ((doc.type != VALUE_JSON && doc.type != VALUE_TEXT) || !json_valid(doc.s) || json_type_of(json_trim(doc.s)) != JSON_OBJECT)
        return err_set(err, QUARTET_ERROR, "\"row\" is set to a JSON object that names the columns to change, as '{\"name\": 1}'");
    quartet_status rc = table_get_any(w->x.run->e->t, t, key.s, old, &w->a, &found, err);
    if (rc == QUARTET_OK && found)
        rc = fields(w, t, json_trim(doc.s), old, columns, params, &n, err);
    if (rc != QUARTET_OK || n == 0)
        return rc;
    params[0] = key;
    rc = need_plan(w, t, columns, n, err);
    return rc == QUARTET_OK ? run_plan(w, params, n + 1, err) : rc;
}

static quartet_status write_one(struct xquarantine_write *w, uint32_t row, struct err *err)
{
    struct exec *e = w->x.run->e;
    const struct table_def *t = catalog_table_by_id(txn_catalog(e->t), (tree_id)rows_value(&w->rows, row, 0).i);
    struct value key = rows_value(&w->rows, row, 1);
    if (t == NULL)
        return err_set(err, QUARTET_INTERNAL, "a row in quarantine of a table that is not there");
    arena_rewind(&w->a, (struct arena_mark){0});
    if (!w->x.p->u.quarantine_write->deletes)
        return update_one(w, t, key, rows_value(&w->rows, row, 2), err);
    quartet_status rc = need_plan(w, t, NULL, 0, err);
    return rc == QUARTET_OK ? run_plan(w, &key, 1, err) : rc;
}

static quartet_status qwrite_next(struct xnode *x, struct err *err)
{
    struct xquarantine_write *w = (struct xquarantine_write *)x;
    quartet_status rc = QUARTET_OK;
    x->out.n = 0;
    if (w->done)
        return QUARTET_OK;
    w->done = true;
    for (struct batch *in = &x->child[0]->out;;) {
        rc = child_next(x, 0, err);
        if (rc != QUARTET_OK || in->n == 0)
            break;
        rc = rows_append(&w->rows, in, err);
        if (rc != QUARTET_OK)
            break;
    }
    for (uint32_t i = 0; i < w->rows.n && rc == QUARTET_OK; i++) {
        rc = exec_check(x->run->e, err);
        if (rc == QUARTET_OK)
            rc = write_one(w, i, err);
    }
    return rc;
}

const struct xkind xkind_quarantine_write = {sizeof(struct xquarantine_write), {qwrite_open, qwrite_next, qwrite_close}, 0};
