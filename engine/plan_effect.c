/* plan_effect.c - what a write of a row sets off: triggers, foreign keys of the table and to it.
 * Why statements: a trigger's body is SQL anyway, and ON DELETE CASCADE is DELETE FROM child WHERE
 * key = ?; so both run through the executor, with indexes, checks and effects of their own.
 * Not here: when they run (exec_effect.c). Nothing of this happens when a peer's transaction is
 * applied: what ships is what came of it. */
#include "plan.h"

#include <string.h>

#include "parser/parse.h"

struct effects {
    struct planner *p;
    const struct table_def *t;
    uint8_t event;
    const struct pset_column *sets;
    uint32_t set_count;
    struct peffects *e;
    struct err *err;
};

static quartet_status add_stmt(struct effects *x, const struct ast_stmt *ast, const char *sql,
                               uint32_t *at)
{
    struct peffects *e = x->e;
    if (!bind_grow(x->p->a, &e->stmts, e->stmt_count, &e->stmt_cap, sizeof *e->stmts))
        return arena_fail(x->p->a, x->err);
    *at = e->stmt_count;
    e->stmts[e->stmt_count++] = (struct peffect_stmt){.ast = ast, .sql = sql};
    return QUARTET_OK;
}

static bool is_set(const struct effects *x, uint32_t column)
{
    bool found = x->event != AST_TRIGGER_UPDATE;
    for (uint32_t i = 0; i < x->set_count && !found; i++)
        found = x->sets[i].column == column;
    return found;
}

/* ---- triggers ---- */

static bool fires(const struct effects *x, const struct ast_create_trigger *a)
{
    bool named = a->update_of.count == 0;
    for (uint32_t i = 0; i < a->update_of.count && !named; i++) {
        int32_t at = table_column(x->t, a->update_of.item[i].text);
        named = at >= 0 && is_set(x, (uint32_t)at);
    }
    return a->event == x->event && named;
}

quartet_status plan_when(struct arena *a, struct ast_expr *when, struct ast_stmt **out,
                         struct err *err)
{
    static const char sql[] = "SELECT 1";
    size_t consumed;
    *out = NULL;
    if (when == NULL)
        return QUARTET_OK;
    quartet_status rc = parse_sql(a, sql, sizeof sql - 1, NULL, out, &consumed, err);
    if (rc == QUARTET_OK)
        (*out)->u.query->select->where = when;
    return rc;
}

static quartet_status add_trigger(struct effects *x, const struct trigger_def *def)
{
    struct peffects *e = x->e;
    const struct ast_create_trigger *a = def->ast;
    bool after = a->time == AST_TRIGGER_AFTER;
    struct peffect_trigger *to;
    if (!bind_grow(x->p->a, after ? &e->after : &e->before,
                   after ? e->after_count : e->before_count,
                   after ? &e->after_cap : &e->before_cap, sizeof *to))
        return arena_fail(x->p->a, x->err);
    to = after ? &e->after[e->after_count++] : &e->before[e->before_count++];
    *to = (struct peffect_trigger){.def = def, .count = a->body_count};
    struct ast_stmt *when;
    quartet_status rc = plan_when(x->p->a, a->when, &when, x->err);
    to->when = PLAN_NONE;
    if (rc == QUARTET_OK && when != NULL)
        rc = add_stmt(x, when, NULL, &to->when);
    to->first = e->stmt_count;
    for (uint32_t i = 0; i < a->body_count && rc == QUARTET_OK; i++) {
        uint32_t at;
        rc = add_stmt(x, a->body[i], NULL, &at);
    }
    return rc;
}

/* ---- foreign keys ---- */

static quartet_status mismatch(struct effects *x, const struct peffect_key *k)
{
    return err_set(x->err, QUARTET_ERROR,
                   "foreign key mismatch: table %s references columns of %s that are no key of it",
                   k->child->name, k->parent->name);
}

/* The columns of the parent that a key names, in the key's own order. */
static quartet_status parent_columns(struct effects *x, const struct peffect_key *k, uint32_t **out)
{
    const struct foreign_key_def *fk = k->fk;
    const struct fk_link *l = catalog_link_of(x->p->b.catalog, k->child, fk);
    uint32_t *at = arena_alloc(x->p->a, (fk->column_count + 1) * sizeof *at);
    *out = at;
    if (at == NULL)
        return arena_fail(x->p->a, x->err);
    if (l == NULL)
        return mismatch(x, k);
    for (uint32_t i = 0; i < fk->column_count; i++)
        for (uint32_t c = 0; c < l->count; c++)
            if (l->columns[c] == fk->columns[i])
                at[i] = l->parent_columns[c];
    return QUARTET_OK;
}

/* "head table tail [SET ...] WHERE a = ?1 AND b = ?2": tells by its columns which table it is about. */
static quartet_status key_stmt(struct effects *x, const char *head, const struct table_def *t,
                               const uint32_t *columns, uint32_t n, const char *set, uint32_t *at)
{
    struct buf text = {0};
    buf_str(&text, head);
    ast_print_name(t->name, &text);
    for (uint32_t i = 0; set != NULL && i < n; i++) {
        buf_str(&text, i == 0 ? " SET " : ", ");
        ast_print_name(t->columns[columns[i]].name, &text);
        if (*set == '?')
            buf_printf(&text, " = ?%u", n + i + 1);
        else
            buf_printf(&text, " = %s", set);
    }
    for (uint32_t i = 0; i < n; i++) {
        buf_str(&text, i == 0 ? " WHERE " : " AND ");
        ast_print_name(t->columns[columns[i]].name, &text);
        buf_printf(&text, " = ?%u", i + 1);
    }
    quartet_status rc = buf_check(&text, x->err);
    const char *sql =
        rc == QUARTET_OK ? arena_strndup(x->p->a, (const char *)text.data, text.len) : NULL;
    buf_deinit(&text);
    if (rc == QUARTET_OK && sql == NULL)
        rc = arena_fail(x->p->a, x->err);
    return rc == QUARTET_OK ? add_stmt(x, NULL, sql, at) : rc;
}

/* A key of this table: the row that it names must be there. */
static quartet_status add_out(struct effects *x, const struct foreign_key_def *fk)
{
    struct peffects *e = x->e;
    bool written = false;
    uint32_t *parent = NULL;
    for (uint32_t i = 0; i < fk->column_count; i++)
        written |= is_set(x, fk->columns[i]);
    const char *problem = catalog_keep_problem(x->p->b.catalog, x->t, fk);
    if (problem != NULL) /* the parent came after it */
        return err_set(x->err, QUARTET_ERROR, "ON MERGE KEEP PARENT of table %s: %s", x->t->name, problem);
    e->keeps |= fk->keep_parent;
    if (!written)
        return QUARTET_OK;
    if (!bind_grow(x->p->a, &e->out, e->out_count, &e->out_cap, sizeof *e->out))
        return arena_fail(x->p->a, x->err);
    struct peffect_key *k = &e->out[e->out_count++];
    *k = (struct peffect_key){.child = x->t,
                              .parent = catalog_parent(x->p->b.catalog, fk),
                              .fk = fk,
                              .columns = fk->columns,
                              .child_there = PLAN_NONE,
                              .action = PLAN_NONE};
    if (k->parent == NULL)
        return QUARTET_OK;
    quartet_status rc = parent_columns(x, k, &parent);
    return rc == QUARTET_OK ? key_stmt(x, "SELECT 1 FROM ", k->parent, parent, fk->column_count,
                                       NULL, &k->parent_there)
                            : rc;
}

/* A key of another table (or of this one) to this table. */
static quartet_status add_in(struct effects *x, const struct table_def *child,
                             const struct foreign_key_def *fk)
{
    struct peffects *e = x->e;
    uint32_t *parent = NULL, n = fk->column_count;
    bool written = false;
    struct peffect_key k = {.child = child,
                            .parent = x->t,
                            .fk = fk,
                            .rule = x->event == AST_TRIGGER_DELETE ? fk->on_delete : fk->on_update,
                            .action = PLAN_NONE};
    quartet_status rc = parent_columns(x, &k, &parent);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t i = 0; i < n; i++)
        written |= is_set(x, parent[i]);
    if (!written)
        return QUARTET_OK;
    k.columns = parent;
    rc = key_stmt(x, "SELECT 1 FROM ", child, fk->columns, n, NULL, &k.child_there);
    if (rc == QUARTET_OK)
        rc = key_stmt(x, "SELECT 1 FROM ", x->t, parent, n, NULL, &k.parent_there);
    if (rc == QUARTET_OK && k.rule == AST_FK_CASCADE)
        rc = x->event == AST_TRIGGER_DELETE
                 ? key_stmt(x, "DELETE FROM ", child, fk->columns, n, NULL, &k.action)
                 : key_stmt(x, "UPDATE ", child, fk->columns, n, "?", &k.action);
    if (rc == QUARTET_OK && k.rule == AST_FK_SET_NULL)
        rc = key_stmt(x, "UPDATE ", child, fk->columns, n, "NULL", &k.action);
    if (rc == QUARTET_OK && k.rule == AST_FK_SET_DEFAULT)
        rc = key_stmt(x, "UPDATE ", child, fk->columns, n, "DEFAULT", &k.action);
    if (rc == QUARTET_OK &&
        !bind_grow(x->p->a, &e->in, e->in_count, &e->in_cap, sizeof *e->in))
        rc = arena_fail(x->p->a, x->err);
    if (rc == QUARTET_OK)
        e->in[e->in_count++] = k;
    return rc;
}

static quartet_status add_all_in(struct effects *x)
{
    quartet_status rc = QUARTET_OK;
    const struct table_def *child;
    for (uint32_t i = 0; rc == QUARTET_OK && catalog_has_foreign_keys(x->p->b.catalog) &&
                         (child = catalog_table_at(x->p->b.catalog, i)) != NULL;
         i++) {
        for (uint32_t k = 0; k < child->foreign_key_count && rc == QUARTET_OK; k++) {
            if (catalog_parent(x->p->b.catalog, &child->foreign_keys[k]) == x->t)
                rc = add_in(x, child, &child->foreign_keys[k]);
        }
    }
    return rc;
}

quartet_status plan_effects(struct planner *p, const struct table_def *t, uint8_t event,
                            const struct pset_column *sets, uint32_t set_count, bool replace,
                            struct peffects **out, struct err *err)
{
    struct effects x = {
        .p = p, .t = t, .event = event, .sets = sets, .set_count = set_count, .err = err};
    quartet_status rc = QUARTET_OK;
    *out = NULL;
    if (t->trigger_count == 0 && !catalog_has_foreign_keys(p->b.catalog))
        return QUARTET_OK;
    x.e = arena_zalloc(p->a, 1, sizeof *x.e);
    if (x.e == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < t->trigger_count && rc == QUARTET_OK && !replace; i++) {
        if (fires(&x, t->triggers[i].ast))
            rc = add_trigger(&x, &t->triggers[i]);
    }
    for (uint32_t i = 0;
         i < t->foreign_key_count && rc == QUARTET_OK && event != AST_TRIGGER_DELETE; i++)
        rc = add_out(&x, &t->foreign_keys[i]);
    if (rc == QUARTET_OK && event != AST_TRIGGER_INSERT)
        rc = add_all_in(&x);
    if (rc == QUARTET_OK && (x.e->stmt_count > 0 || x.e->out_count > 0 || x.e->keeps))
        *out = x.e;
    return rc;
}
