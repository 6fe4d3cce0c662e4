/* exec_effect.c - triggers and foreign keys at work: statements that run for each row that is
 * written, nested in the one that writes it (txn_nested_begin).
 * Why a key that does not hold is looked at again at the statement's end: a row may come before the
 * one that it references, in the same statement.
 * Invariants: a trigger that is at work is not set off again by what it does, as in SQLite. What a
 * nested statement writes is seen by those after it, never by the scan that the rows come from. */
#include "exec_write.h"

#include <string.h>

#include "parser/parse.h"

struct effect_run {
    struct xwrite *w;
    uint8_t event;
    const struct value *params;
    uint32_t param_count;
    const struct firing *firing;
    bool found;   /* it gave a row */
    bool ignored; /* RAISE(IGNORE) */
};

static quartet_status stmt_make(const struct effect_run *r, uint32_t at, struct xeffect_stmt *s,
                                struct err *err)
{
    const struct pwrite *p = r->w->x.p->u.write;
    const struct peffect_stmt *from = &p->effects[r->event]->stmts[at];
    struct catalog *catalog = r->w->x.run->e->p->catalog;
    struct ast_stmt *stmt;
    size_t consumed;
    quartet_status rc;
    if (from->ast != NULL) {
        rc = plan_build_for_row(catalog, txn_db(r->w->x.run->e->t), from->ast, p->table, r->event != AST_TRIGGER_INSERT,
                                r->event != AST_TRIGGER_DELETE, &s->a, &s->p, err);
    } else {
        rc = parse_sql(&s->a, from->sql, strlen(from->sql), NULL, &stmt, &consumed, err);
        if (rc == QUARTET_OK)
            rc = plan_build(catalog, txn_db(r->w->x.run->e->t), stmt, &s->a, &s->p, err);
    }
    if (rc != QUARTET_OK) {
        s->p = NULL;
        arena_free_all(&s->a);
        err->sql_offset = -1; /* not in the text that the caller gave */
    }
    return rc;
}

static quartet_status stmt_rows(struct effect_run *r, struct exec *run, struct err *err)
{
    struct batch rows = {.n = 1};
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && rows.n > 0) {
        rc = exec_next(run, &rows, err);
        r->found |= rc == QUARTET_OK && rows.n > 0;
    }
    if (rc == QUARTET_CONSTRAINT && run->ignore_raised) {
        r->ignored = true;
        err_clear(err);
        return QUARTET_OK;
    }
    if (rc != QUARTET_OK)
        err->sql_offset = -1;
    return rc;
}

static quartet_status stmt_run(struct effect_run *r, uint32_t at, struct err *err)
{
    struct exec *e = r->w->x.run->e, *run = NULL;
    const struct pwrite *p = r->w->x.p->u.write;
    struct xeffect_stmt **all = &r->w->effect_stmts[r->event];
    struct txn_nested saved;
    if (*all == NULL) {
        *all = keep_alloc(e, p->effects[r->event]->stmt_count, sizeof **all);
        if (*all == NULL)
            return arena_fail(&e->keep, err);
    }
    struct xeffect_stmt *s = &(*all)[at];
    r->found = r->ignored = false;
    quartet_status rc = txn_nested_begin(e->t, &saved, err);
    if (rc == QUARTET_OK && s->p == NULL)
        rc = stmt_make(r, at, s, err);
    if (rc == QUARTET_OK)
        rc = exec_open(s->p, e->t, r->params, r->param_count, &e->limits, &run, err);
    if (rc == QUARTET_OK) {
        run->firing = r->firing;
        r->w->effects_wrote |= plan_writes(s->p);
        rc = stmt_rows(r, run, err);
    }
    exec_close(run);
    txn_nested_end(e->t, &saved);
    return rc;
}

/* ---- triggers ---- */

static bool at_work(const struct exec *e, tree_id trigger)
{
    for (const struct firing *f = e->firing; f != NULL; f = f->up) {
        if (f->trigger == trigger)
            return true;
    }
    return false;
}

static quartet_status trigger_run(struct xwrite *w, uint8_t event, const struct peffect_trigger *t,
                                  bool *ignored, struct err *err)
{
    struct exec *e = w->x.run->e;
    struct firing here = {.trigger = t->def->id, .up = e->firing};
    struct effect_run r = {.w = w,
                           .event = event,
                           .params = w->effect_params,
                           .param_count = 2 * w->x.p->u.write->table->column_count,
                           .firing = &here};
    quartet_status rc = QUARTET_OK;
    if (at_work(e, t->def->id))
        return QUARTET_OK;
    if (t->when != PLAN_NONE) {
        rc = stmt_run(&r, t->when, err);
        if (rc == QUARTET_OK && !r.found)
            return QUARTET_OK;
    }
    for (uint32_t i = 0; i < t->count && rc == QUARTET_OK && !r.ignored; i++)
        rc = stmt_run(&r, t->first + i, err);
    *ignored = r.ignored;
    if (rc != QUARTET_OK && rc != QUARTET_CONSTRAINT) {
        err_prefix(err, t->def->name);
        err_prefix(err, "trigger");
    }
    return rc;
}

static quartet_status triggers_run(struct xwrite *w, uint8_t event,
                                   const struct peffect_trigger *list, uint32_t n,
                                   const struct value *old, const struct value *fresh, bool *ignored,
                                   struct err *err)
{
    uint32_t columns = w->x.p->u.write->table->column_count;
    quartet_status rc = QUARTET_OK;
    *ignored = false;
    if (n == 0)
        return QUARTET_OK;
    if (w->effect_params == NULL) {
        w->effect_params = keep_alloc(w->x.run->e, 2 * columns, sizeof *w->effect_params);
        if (w->effect_params == NULL)
            return arena_fail(&w->x.run->e->keep, err);
    }
    for (uint32_t i = 0; i < columns; i++) {
        w->effect_params[i] = old != NULL ? old[i] : VALUE_NULL_INIT;
        w->effect_params[columns + i] = fresh != NULL ? fresh[i] : VALUE_NULL_INIT;
    }
    for (uint32_t i = 0; i < n && rc == QUARTET_OK && !*ignored; i++)
        rc = trigger_run(w, event, &list[i], ignored, err);
    return rc;
}

quartet_status effects_before(struct xwrite *w, uint8_t event, const struct value *old,
                              const struct value *fresh, bool *skip, struct err *err)
{
    const struct peffects *p = w->x.p->u.write->effects[event];
    *skip = false;
    return p == NULL ? QUARTET_OK
                     : triggers_run(w, event, p->before, p->before_count, old, fresh, skip, err);
}

/* ---- foreign keys ---- */

static quartet_status key_error(const struct peffect_key *k, bool of_parent,
                                const struct value *values, struct err *err)
{
    struct buf text = {0};
    for (uint32_t i = 0; i < k->fk->column_count; i++) {
        buf_printf(&text, "%s%s = ", i > 0 ? ", " : "", k->child->columns[k->fk->columns[i]].name);
        value_to_literal(&values[i], &text);
    }
    int n = (int)(text.len > 300 ? 300 : text.len);
    quartet_status rc =
        text.failed ? err_nomem(err)
        : of_parent ? err_set(err, QUARTET_CONSTRAINT,
                              "FOREIGN KEY constraint failed: rows of %s (%.*s) reference this row of %s",
                              k->child->name, n, (const char *)text.data, k->parent->name)
                    : err_set(err, QUARTET_CONSTRAINT,
                              "FOREIGN KEY constraint failed: %s (%.*s) references %s, which has no such row",
                              k->child->name, n, (const char *)text.data, k->fk->parent);
    buf_deinit(&text);
    return rc;
}

static quartet_status pend(struct xwrite *w, uint8_t event, const struct peffect_key *k,
                           bool of_parent, const struct value *values, struct err *err)
{
    struct xpending *p = arena_zalloc(&w->pending_arena, 1, sizeof *p);
    uint32_t n = k->fk->column_count;
    struct value *copy = arena_dup(&w->pending_arena, values, n * sizeof *values);
    bool ok = p != NULL && copy != NULL;
    for (uint32_t i = 0; i < n && ok; i++)
        ok = value_copy(&w->pending_arena, &copy[i]);
    if (!ok)
        return arena_fail(&w->pending_arena, err);
    *p = (struct xpending){
        .key = k, .event = event, .of_parent = of_parent, .values = copy, .next = w->pending};
    w->pending = p;
    return QUARTET_OK;
}

/* The key's values in a row. *null: one is NULL, so it references nothing. */
static struct value *key_values(struct xwrite *w, const struct peffect_key *k,
                                const struct value *row, uint32_t room, bool *null, struct err *err)
{
    struct value *v = arena_alloc(&w->scratch, (k->fk->column_count + room) * sizeof *v);
    *null = false;
    if (v == NULL) {
        (void)arena_fail(&w->scratch, err); /* NULL tells */
        return NULL;
    }
    for (uint32_t i = 0; i < k->fk->column_count; i++) {
        v[i] = row[k->columns[i]];
        *null |= v[i].type == VALUE_NULL;
    }
    return v;
}

static bool key_same(const struct peffect_key *k, const struct value *old,
                     const struct value *fresh)
{
    for (uint32_t i = 0; i < k->fk->column_count; i++) {
        if (!value_identical(&old[k->columns[i]], &fresh[k->columns[i]]))
            return false;
    }
    return true;
}

static quartet_status child_written(struct xwrite *w, uint8_t event, const struct peffect_key *k,
                                    const struct value *old, const struct value *fresh,
                                    struct err *err)
{
    bool null;
    if (old != NULL && key_same(k, old, fresh))
        return QUARTET_OK;
    struct value *v = key_values(w, k, fresh, 0, &null, err);
    if (v == NULL || null)
        return v == NULL ? QUARTET_NOMEM : QUARTET_OK;
    if (k->parent == NULL)
        return key_error(k, false, v, err);
    struct effect_run r = {.w = w,
                           .event = event,
                           .params = v,
                           .param_count = k->fk->column_count,
                           .firing = w->x.run->e->firing};
    quartet_status rc = stmt_run(&r, k->parent_there, err);
    return rc == QUARTET_OK && !r.found ? pend(w, event, k, false, v, err) : rc;
}

static quartet_status parent_changed(struct xwrite *w, uint8_t event, const struct peffect_key *k,
                                     const struct value *old, const struct value *fresh,
                                     struct err *err)
{
    bool null;
    uint32_t n = k->fk->column_count;
    if (fresh != NULL && key_same(k, old, fresh))
        return QUARTET_OK;
    struct value *v = key_values(w, k, old, n, &null, err);
    if (v == NULL || null)
        return v == NULL ? QUARTET_NOMEM : QUARTET_OK;
    for (uint32_t i = 0; i < n; i++)
        v[n + i] = fresh != NULL ? fresh[k->columns[i]] : VALUE_NULL_INIT;
    struct effect_run r = {
        .w = w, .event = event, .params = v, .param_count = 2 * n, .firing = w->x.run->e->firing};
    quartet_status rc = k->action != PLAN_NONE ? stmt_run(&r, k->action, err) : QUARTET_OK;
    if (rc != QUARTET_OK || (k->action != PLAN_NONE && k->rule != AST_FK_SET_DEFAULT))
        return rc;
    rc = stmt_run(&r, k->child_there, err); /* the default may be the key that goes */
    if (rc != QUARTET_OK || !r.found)
        return rc;
    return k->rule == AST_FK_RESTRICT ? key_error(k, true, v, err)
                                      : pend(w, event, k, true, v, err);
}

quartet_status effects_after(struct xwrite *w, uint8_t event, const struct value *old,
                             const struct value *fresh, struct err *err)
{
    const struct peffects *p = w->x.p->u.write->effects[event];
    bool keys = !w->x.run->e->limits.no_foreign_keys, ignored;
    quartet_status rc = QUARTET_OK;
    if (p == NULL)
        return QUARTET_OK;
    for (uint32_t i = 0; keys && i < p->in_count && rc == QUARTET_OK; i++)
        rc = parent_changed(w, event, &p->in[i], old, fresh, err);
    for (uint32_t i = 0; keys && i < p->out_count && rc == QUARTET_OK; i++)
        rc = child_written(w, event, &p->out[i], old, fresh, err);
    if (keys && p->keeps && rc == QUARTET_OK)
        rc = table_keep_parents(w->x.run->e->t, w->x.p->u.write->table, fresh, err);
    return rc == QUARTET_OK
               ? triggers_run(w, event, p->after, p->after_count, old, fresh, &ignored, err)
               : rc;
}

quartet_status effects_end(struct xwrite *w, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (const struct xpending *p = w->pending; p != NULL && rc == QUARTET_OK; p = p->next) {
        struct effect_run r = {.w = w,
                               .event = p->event,
                               .params = p->values,
                               .param_count = p->key->fk->column_count,
                               .firing = w->x.run->e->firing};
        if (p->of_parent) {
            rc = stmt_run(&r, p->key->child_there, err);
            if (rc != QUARTET_OK || !r.found)
                continue;
        }
        rc = stmt_run(&r, p->key->parent_there, err);
        if (rc == QUARTET_OK && !r.found)
            rc = key_error(p->key, p->of_parent, p->values, err);
    }
    w->pending = NULL;
    arena_reset(&w->pending_arena);
    return rc;
}

void effects_close(struct xwrite *w)
{
    const struct pwrite *p = w->x.p->u.write;
    w->pending = NULL;
    arena_free_all(&w->pending_arena);
    for (uint32_t event = 0; event < 3 && w->x.run->e->last; event++) {
        for (uint32_t i = 0; w->effect_stmts[event] != NULL && i < p->effects[event]->stmt_count;
             i++) {
            plan_free(w->effect_stmts[event][i].p);
            arena_free_all(&w->effect_stmts[event][i].a);
        }
        w->effect_stmts[event] = NULL;
    }
}
