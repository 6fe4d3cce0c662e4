/* exec_write.c - what UPDATE, DELETE and INSERT share, and the first two: rows of a query become
 * writes of the transaction. Why the scans below see none of it: the transaction reads as of the
 * statement's begin, so rows that were just written are not met again. All is done before the first
 * row of RETURNING goes out: a reader that stops early stops nothing. */
#include "exec_write.h"

#include <string.h>

#include "derived.h"
#include "kind.h"

/* NOT NULL, and no number is assigned where it is NULL. */
static bool must_be(const struct table_def *t, const struct column_def *c)
{
    return c->not_null && !(t->rowid_key && c->key_at >= 0);
}

quartet_status write_open(struct xnode *x, struct err *err)
{
    struct xwrite *w = (struct xwrite *)x;
    const struct pwrite *p = x->p->u.write;
    struct exec *e = x->run->e;
    uint32_t n = p->table->column_count;
    w->done = false;
    w->at = 0;
    w->row = 0;
    w->effects_wrote = false;
    w->pending = NULL;
    w->scratch.limit_bytes = w->pending_arena.limit_bytes = e->limits.memory_bytes;
    if (w->values == NULL) {
        uint32_t room = n * 2 + p->extra_count;
        w->values = keep_alloc(e, room, sizeof *w->values);
        w->old = keep_alloc(e, n, sizeof *w->old);
        w->adds = keep_alloc(e, n, sizeof *w->adds);
        w->writes = keep_alloc(e, n, sizeof *w->writes);
        w->row_cols = keep_alloc(e, room, sizeof *w->row_cols);
        w->ret_cols = keep_alloc(e, p->returning_count, sizeof *w->ret_cols);
        w->ret_values = keep_alloc(e, p->returning_count, sizeof *w->ret_values);
        w->row_null = keep_alloc(e, room, 1);
        if (w->values == NULL || w->old == NULL || w->adds == NULL || w->writes == NULL ||
            w->row_cols == NULL || w->ret_cols == NULL || w->ret_values == NULL ||
            w->row_null == NULL)
            return arena_fail(&e->keep, err);
        for (uint32_t i = 0; i < n; i++)
            w->asks_not_null |= must_be(p->table, &p->table->columns[i]);
        for (uint32_t i = 0; i < room; i++) {
            w->row_cols[i] =
                (struct vec){.type = VEC_MIXED, .null = &w->row_null[i], .has_null = true};
            w->row_cols[i].v = &w->values[i];
        }
    }
    rows_init(&w->returned, p->returning_count, &x->run->data);
    if (p->once)
        keyset_init(&w->seen, 1, NULL, &x->run->data);
    quartet_status rc = out_vecs(x, p->returning_count, err);
    return rc != QUARTET_OK ? rc : child_open(x, 0, err);
}

void write_close(struct xnode *x)
{
    struct xwrite *w = (struct xwrite *)x;
    keyset_deinit(&w->seen);
    buf_deinit(&w->key);
    w->key = (struct buf){0};
    arena_free_all(&w->scratch);
    effects_close(w);
}

/* The row's values as a batch of one, for expressions over it. */
struct batch write_row_batch(struct xwrite *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        w->row_null[i] = w->values[i].type == VALUE_NULL;
    return (struct batch){.n = 1, .col_count = n, .cols = w->row_cols};
}

quartet_status write_convert(struct xwrite *w, uint32_t column, struct value *v, struct err *err)
{
    const struct table_def *t = w->x.p->u.write->table;
    const struct column_def *c = &t->columns[column];
    if (c->kind == ROW_SET)
        return kind_set_value(c, v, &w->scratch, err);
    if (v->type == VALUE_NULL || (v->type == c->type && c->type == VALUE_INTEGER && !c->is_boolean))
        return QUARTET_OK;
    if (v->type == VALUE_REAL && c->type == VALUE_REAL && v->r == v->r)
        return QUARTET_OK;
    struct type_decl to = {.type = c->type,
                           .precision = c->precision,
                           .scale = c->scale,
                           .is_boolean = c->is_boolean,
                           .length = c->length};
    quartet_status rc = types_convert(&to, c->name, v, &w->scratch, err);
    if (rc == QUARTET_MISMATCH) {
        char where[128];
        (void)snprintf(where, sizeof where, "table %.60s, row %llu", t->name,
                       (unsigned long long)w->row); /* cut is fine */
        err_prefix(err, where);
    }
    return rc;
}

static quartet_status constraint(struct xwrite *w, struct err *err, const char *what,
                                 const char *name)
{
    return err_set(err, QUARTET_CONSTRAINT, "%s constraint failed: %s.%s (row %llu)", what,
                   w->x.p->u.write->table->name, name, (unsigned long long)w->row);
}

quartet_status write_check(struct xwrite *w, struct err *err)
{
    const struct pwrite *p = w->x.p->u.write;
    const struct table_def *t = p->table;
    if (t->derived_count > 0) {
        quartet_status rc = derived_fill_new(t, w->values, &w->scratch, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    for (uint32_t i = 0; i < t->column_count && w->asks_not_null; i++) {
        const struct column_def *c = &t->columns[i];
        if (must_be(t, c) && w->values[i].type == VALUE_NULL)
            return constraint(w, err, "NOT NULL", c->name);
    }
    if (t->check_count == 0)
        return QUARTET_OK;
    struct batch row = write_row_batch(w, t->column_count);
    for (uint32_t i = 0; i < t->check_count; i++) {
        struct value v;
        quartet_status rc = expr_value(p->checks[i], &w->x.ctx, &row, 0, &v, err);
        if (rc != QUARTET_OK)
            return rc;
        if (types_truth(&v) == 0) /* NULL passes */
            return constraint(w, err, "CHECK",
                              t->checks[i].name != NULL   ? t->checks[i].name
                              : t->checks[i].text != NULL ? t->checks[i].text
                                                          : "check");
    }
    return QUARTET_OK;
}

quartet_status write_return(struct xwrite *w, struct err *err)
{
    const struct pwrite *p = w->x.p->u.write;
    if (p->returning_count == 0)
        return QUARTET_OK;
    struct batch row = write_row_batch(w, p->table->column_count + p->extra_count);
    for (uint32_t i = 0; i < p->returning_count; i++) {
        quartet_status rc = expr_value(p->returning[i], &w->x.ctx, &row, 0, &w->ret_values[i], err);
        if (rc != QUARTET_OK)
            return rc;
        w->ret_cols[i] = (struct vec){.type = VEC_MIXED, .null = &w->ret_null, .has_null = true};
        w->ret_cols[i].v = &w->ret_values[i];
    }
    return rows_append_vecs(&w->returned, w->ret_cols, NULL, 1, err);
}

/* What a COUNTER changes by when it is set: the new value less what was read. */
static quartet_status counter_difference(struct xwrite *w, const struct column_def *c,
                                         const struct value *old, const struct value *to,
                                         struct value *out, struct err *err)
{
    *out = *to;
    if (to->type == VALUE_NULL)
        return constraint(w, err, "COUNTER", c->name);
    if (old->type == VALUE_NULL)
        return QUARTET_OK;
    if (to->type == VALUE_INTEGER && old->type == VALUE_INTEGER) {
        if (__builtin_sub_overflow(to->i, old->i, &out->i))
            return err_set(err, QUARTET_ERROR, "integer overflow in COUNTER %s", c->name);
        return QUARTET_OK;
    }
    if (to->type != VALUE_DECIMAL || old->type != VALUE_DECIMAL || to->scale != old->scale)
        return err_set(err, QUARTET_INTERNAL, "COUNTER %s holds a value of another type", c->name);
    out->dec = dec_make(dec_get(to->dec) - dec_get(old->dec));
    return QUARTET_OK;
}

static quartet_status counter_sum(const struct column_def *c, const struct value *old,
                                  const struct value *add, struct value *out, struct err *err)
{
    *out = *add;
    if (old->type == VALUE_NULL || add->type == VALUE_NULL)
        return QUARTET_OK;
    if (add->type == VALUE_INTEGER && old->type == VALUE_INTEGER) {
        if (__builtin_add_overflow(old->i, add->i, &out->i))
            return err_set(err, QUARTET_ERROR, "integer overflow in COUNTER %s", c->name);
        return QUARTET_OK;
    }
    if (add->type == VALUE_DECIMAL && old->type == VALUE_DECIMAL && add->scale == old->scale)
        out->dec = dec_make(dec_get(old->dec) + dec_get(add->dec));
    return QUARTET_OK;
}

/* set_add and set_remove of a SET: what comes and goes, whatever else is in it. */
static quartet_status set_changes(struct xwrite *w, const struct column_def *c, uint32_t column, struct value v, struct table_write *out, struct err *err)
{
    struct kind_change *changes;
    uint32_t count;
    quartet_status rc = kind_changes_convert(c, &v, &w->scratch, err);
    if (rc == QUARTET_OK)
        rc = kind_changes(v.s, &w->scratch, &changes, &count, err);
    if (rc != QUARTET_OK)
        return rc;
    *out = (struct table_write){.column = column, .op = ROW_ADD, .value = v};
    return kind_changed(&w->old[column], changes, count, &w->scratch, &w->values[column], err);
}

quartet_status write_set(struct xwrite *w, const struct pset_column *set, struct value v,
                         struct table_write *out, struct err *err)
{
    const struct column_def *c = &w->x.p->u.write->table->columns[set->column];
    struct value *now = &w->values[set->column];
    const struct value *old = &w->old[set->column];
    if (set->add && c->kind == ROW_SET)
        return set_changes(w, c, set->column, v, out, err);
    quartet_status rc = write_convert(w, set->column, &v, err);
    if (rc != QUARTET_OK)
        return rc;
    *out = (struct table_write){.column = set->column, .op = ROW_PUT, .value = v};
    *now = c->kind == ROW_MAXIMUM || c->kind == ROW_MINIMUM ? *kind_extreme(c->kind, old, &v) : v;
    if (c->kind != ROW_COUNTER)
        return QUARTET_OK;
    out->op = ROW_ADD;
    if (!set->add)
        return counter_difference(w, c, old, &v, &out->value, err);
    if (v.type == VALUE_NULL)
        return constraint(w, err, "COUNTER", c->name);
    return counter_sum(c, old, &v, now, err);
}

/* ---- UPDATE ---- */

/* A row that has met its partner once is not written again. */
static quartet_status first_time(struct xwrite *w, const struct vec *key, uint32_t row, bool *first,
                                 struct err *err)
{
    uint16_t sel[1] = {(uint16_t)row};
    uint32_t id, known = w->seen.n;
    quartet_status rc = keyset_rows(&w->seen, key, sel, 1, true, false, &id, err);
    *first = id == known;
    return rc;
}

static bool key_differs(const struct xwrite *w, const struct table_def *t)
{
    for (uint32_t i = 0; i < t->key_count; i++) {
        if (!value_identical(&w->old[t->key_columns[i]], &w->values[t->key_columns[i]]))
            return true;
    }
    return false;
}

/* REPLACE: what stands in the way goes. */
quartet_status write_evict(struct xwrite *w, const struct conflict *c, struct err *err)
{
    const struct pwrite *p = w->x.p->u.write;
    txn *t = w->x.run->e->t;
    struct value *old = NULL;
    bool found = false;
    quartet_status rc = QUARTET_OK;
    if (p->effects[AST_TRIGGER_DELETE] != NULL) {
        old = arena_zalloc(&w->scratch, p->table->column_count, sizeof *old);
        rc = old == NULL ? arena_fail(&w->scratch, err)
                         : table_get(t, p->table, c->key, old, &w->scratch, &found, err);
    }
    if (rc == QUARTET_OK)
        rc = table_delete(t, p->table, c->key, found ? old : NULL, err);
    return rc == QUARTET_OK && found ? effects_after(w, AST_TRIGGER_DELETE, old, NULL, err) : rc;
}

/* The row as it is now, where a nested statement may have written it since the query read it. */
static quartet_status reread(struct xwrite *w, struct slice key, bool *found, struct err *err)
{
    const struct pwrite *p = w->x.p->u.write;
    txn *t = w->x.run->e->t;
    *found = true;
    if (!w->effects_wrote)
        return QUARTET_OK;
    return p->any ? table_get_any(t, p->table, key, w->old, &w->scratch, found, err)
                  : table_get(t, p->table, key, w->old, &w->scratch, found, err);
}

static quartet_status store_row(struct xwrite *w, struct slice key, bool moves,
                                uint32_t write_count, struct conflict *c, struct err *err)
{
    const struct table_def *t = w->x.p->u.write->table;
    txn *tx = w->x.run->e->t;
    return moves ? table_insert(tx, t, w->values, &w->scratch, c, NULL, err)
                 : table_update(tx, t, key, w->old, w->writes, write_count, &w->scratch, c, err);
}

static quartet_status update_row(struct xwrite *w, const struct batch *in, uint32_t row,
                                 struct err *err)
{
    const struct pwrite *p = w->x.p->u.write;
    const struct table_def *t = p->table;
    quartet_status rc;
    struct value key = vec_get(&in->cols[0], row);
    bool found, skip;
    for (uint32_t i = 0; i < t->column_count; i++)
        w->old[i] = vec_get(&in->cols[p->old_first + i], row);
    rc = reread(w, key.s, &found, err);
    if (rc != QUARTET_OK || !found)
        return rc;
    memcpy(w->values, w->old, t->column_count * sizeof *w->values);
    for (uint32_t i = 0; i < p->extra_count; i++)
        w->values[t->column_count + i] = vec_get(&in->cols[p->extra_first + i], row);
    for (uint32_t i = 0; i < p->set_count; i++) {
        rc =
            write_set(w, &p->sets[i], vec_get(&in->cols[p->sets[i].from], row), &w->writes[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    rc = write_check(w, err);
    if (rc == QUARTET_CONSTRAINT && p->on_conflict == AST_CONFLICT_IGNORE)
        return QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = effects_before(w, AST_TRIGGER_UPDATE, w->old, w->values, &skip, err);
    if (rc != QUARTET_OK || skip)
        return rc;
    rc = reread(w, key.s, &found, err);
    if (rc != QUARTET_OK || !found)
        return rc;
    bool moves = p->key_changes && key_differs(w, t);
    uint32_t write_count = 0;
    for (uint32_t i = 0; i < p->set_count && !moves; i++) /* a key column set to what it was is no write */
        if (t->columns[w->writes[i].column].key_at < 0)
            w->writes[write_count++] = w->writes[i];
    if (moves)
        rc = table_delete(w->x.run->e->t, t, key.s, w->old, err);
    for (int tries = 0; rc == QUARTET_OK; tries++) {
        struct conflict c = {0};
        rc = store_row(w, key.s, moves, write_count, &c, err);
        if (rc == QUARTET_CONSTRAINT && p->on_conflict == AST_CONFLICT_REPLACE && tries < 64 &&
            c.key.p != NULL) {
            rc = write_evict(w, &c, err);
            continue;
        }
        if (rc == QUARTET_CONSTRAINT && p->on_conflict == AST_CONFLICT_IGNORE) {
            for (uint32_t i = 0; i < t->column_count; i++)
                w->values[i] = w->old[i];
            return moves ? table_insert(w->x.run->e->t, t, w->values, &w->scratch, NULL, NULL, err)
                         : QUARTET_OK;
        }
        break;
    }
    if (rc == QUARTET_OK)
        rc = effects_after(w, AST_TRIGGER_UPDATE, w->old, w->values, err);
    if (rc != QUARTET_OK)
        return rc;
    w->x.run->e->changes++;
    return write_return(w, err);
}

static quartet_status delete_row(struct xwrite *w, const struct batch *in, uint32_t row,
                                 struct err *err)
{
    const struct pwrite *p = w->x.p->u.write;
    struct value key = vec_get(&in->cols[0], row);
    bool found, skip;
    if (p->olds) {
        for (uint32_t i = 0; i < p->table->column_count; i++)
            w->old[i] = w->values[i] = vec_get(&in->cols[p->old_first + i], row);
        for (uint32_t i = 0; i < p->extra_count; i++)
            w->values[p->table->column_count + i] = vec_get(&in->cols[p->extra_first + i], row);
    }
    quartet_status rc = reread(w, key.s, &found, err);
    if (rc != QUARTET_OK || !found)
        return rc;
    rc = effects_before(w, AST_TRIGGER_DELETE, w->old, NULL, &skip, err);
    if (rc != QUARTET_OK || skip)
        return rc;
    rc = reread(w, key.s, &found, err);
    if (rc != QUARTET_OK || !found)
        return rc;
    rc = table_delete(w->x.run->e->t, p->table, key.s, p->olds ? w->old : NULL, err);
    if (rc == QUARTET_OK)
        rc = effects_after(w, AST_TRIGGER_DELETE, w->old, NULL, err);
    if (rc != QUARTET_OK)
        return rc;
    w->x.run->e->changes++;
    return write_return(w, err);
}

/* Of a view: its triggers are all that happens. */
static quartet_status instead_row(struct xwrite *w, uint8_t event, const struct batch *in, uint32_t row, struct err *err)
{
    const struct pwrite *p = w->x.p->u.write;
    uint32_t n = p->table->column_count;
    bool skip;
    for (uint32_t i = 0; i < n; i++)
        w->old[i] = w->values[i] = vec_get(&in->cols[p->old_first + i], row);
    for (uint32_t i = 0; i < p->extra_count; i++)
        w->values[n + i] = vec_get(&in->cols[p->extra_first + i], row);
    for (uint32_t i = 0; i < p->set_count; i++)
        w->values[p->sets[i].column] = vec_get(&in->cols[p->sets[i].from], row);
    quartet_status rc = effects_before(w, event, w->old, event == AST_TRIGGER_DELETE ? NULL : w->values, &skip, err);
    return rc != QUARTET_OK || skip ? rc : write_return(w, err);
}

static quartet_status instead_of_update(struct xwrite *w, const struct batch *in, uint32_t row, struct err *err)
{
    return instead_row(w, AST_TRIGGER_UPDATE, in, row, err);
}

static quartet_status instead_of_delete(struct xwrite *w, const struct batch *in, uint32_t row, struct err *err)
{
    return instead_row(w, AST_TRIGGER_DELETE, in, row, err);
}

quartet_status write_all(struct xwrite *w, write_row_fn *each, struct err *err)
{
    const struct pwrite *p = w->x.p->u.write;
    w->done = true;
    for (;;) {
        quartet_status rc = child_next(&w->x, 0, err);
        const struct batch *in = &w->x.child[0]->out;
        if (rc != QUARTET_OK || in->n == 0)
            return rc != QUARTET_OK ? rc : effects_end(w, err);
        for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
            bool first = true;
            w->row++;
            arena_reset(&w->scratch);
            tmp_reset(&w->x);
            if (p->once)
                rc = first_time(w, &in->cols[0], batch_row(in, k), &first, err);
            if (rc == QUARTET_OK && first)
                rc = each(w, in, batch_row(in, k), err);
        }
        if (rc != QUARTET_OK)
            return rc;
    }
}

/* The rows of RETURNING, after all the work. */
quartet_status write_emit(struct xwrite *w, struct err *err)
{
    struct xnode *x = &w->x;
    (void)err;
    x->out.n = 0;
    if (w->at >= w->returned.chunk_count || x->p->u.write->returning_count == 0)
        return QUARTET_OK;
    const struct rows_chunk *c = &w->returned.chunks[w->at++];
    memcpy(x->out.cols, c->cols, w->returned.col_count * sizeof *x->out.cols);
    x->out.n = c->n;
    return QUARTET_OK;
}

static quartet_status update_next(struct xnode *x, struct err *err)
{
    struct xwrite *w = (struct xwrite *)x;
    quartet_status rc = w->done ? QUARTET_OK : write_all(w, x->p->u.write->instead ? instead_of_update : update_row, err);
    return rc != QUARTET_OK ? rc : write_emit(w, err);
}

static quartet_status delete_next(struct xnode *x, struct err *err)
{
    struct xwrite *w = (struct xwrite *)x;
    quartet_status rc = w->done ? QUARTET_OK : write_all(w, x->p->u.write->instead ? instead_of_delete : delete_row, err);
    return rc != QUARTET_OK ? rc : write_emit(w, err);
}

const struct xkind xkind_update = {sizeof(struct xwrite), {write_open, update_next, write_close}, 0};
const struct xkind xkind_delete = {sizeof(struct xwrite), {write_open, delete_next, write_close}, 0};
