/* catalog_constraint.c - what constraints make of a table beside keys and indexes: those that ALTER TABLE added and dropped, and which columns merge together.
 * Why a dropped one of CREATE TABLE is a row too: a definition as first created never changes, so what goes from it is told beside it, and merges like the rest.
 * Invariants: a constraint over a column that another node dropped meanwhile is not there, on every node alike; columns of one group are all written by whoever writes one.
 * Not here: UNIQUE, CHECK and FOREIGN KEY themselves (catalog_table.c), who writes these rows (ddl_constraint.c). */
#include <string.h>

#include "catalog_internal.h"
#include "parser/parse.h"

/* ---- added and dropped ---- */

static bool same_name(const struct ast_constraint *c, const char *name)
{
    return c->name.text != NULL && name_cmp(c->name.text, name) == 0;
}

static void drop_named(struct ast_constraints *list, const char *name)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++)
        if (!same_name(list->item[i], name))
            list->item[kept++] = list->item[i];
    list->count = kept;
}

/* NULL: an expression, which stands in no key. */
static const char *column_name(const struct ast_expr *e)
{
    while (e->kind == AST_EXPR_COLLATE)
        e = e->u.collate.value;
    return e->kind == AST_EXPR_COLUMN ? e->u.column->name.text : NULL;
}

/* One that is not there any longer, or that merges by itself since another node gave it a kind. */
static bool cannot_hold(const struct build *b, const char *name)
{
    int32_t at = table_column(b->t, name);
    return at < 0 || b->columns[at].over_lww;
}

/* Does it name a column that is not there any longer? */
static bool misses_column(const struct build *b, const struct ast_constraint *c, bool *nomem)
{
    bool misses = b->missed;
    for (uint32_t i = 0; i < c->columns.count && !misses; i++) {
        const char *name = column_name(c->columns.item[i].expr);
        misses = name != NULL && cannot_hold(b, name);
    }
    for (uint32_t i = 0; i < c->fk_columns.count && !misses; i++)
        misses = cannot_hold(b, c->fk_columns.item[i].text);
    if (c->check == NULL || misses)
        return misses;
    struct buf text = {0};
    ast_print_expr(c->check, &text);
    buf_u8(&text, 0);
    for (uint32_t i = 0; i < b->t->visible_count && !misses && !text.failed; i++) /* nodes that write at once keep no CHECK over these */
        misses = b->columns[i].over_lww && b->columns[i].kind != ROW_MAXIMUM && b->columns[i].kind != ROW_MINIMUM &&
                 build_names((const char *)text.data, b->columns[i].name);
    *nomem = text.failed;
    buf_deinit(&text);
    return misses;
}

static quartet_status add_one(struct build *b, const struct table_constraint *from, struct ast_constraint *c)
{
    struct constraint_def *def = &b->constraints[b->t->constraint_count];
    c->name.text = arena_strndup(b->a, from->name, strlen(from->name));
    c->name.len = (uint32_t)strlen(from->name);
    if (c->name.text == NULL)
        return build_nomem(b);
    b->missed = false;
    quartet_status rc = catalog_rename_constraint(c, build_now_called, b, b->a, b->err);
    if (rc != QUARTET_OK)
        return rc;
    bool nomem = false, misses = misses_column(b, c, &nomem);
    if (nomem)
        return build_nomem(b);
    if (misses)
        return QUARTET_OK;
    *def = (struct constraint_def){.name = c->name.text, .id = from->id};
    b->t->constraint_count++;
    b->more[b->more_count++] = c;
    return QUARTET_OK;
}

/* One of CREATE TABLE, by the name it has there, that can be in no key any longer. */
static bool fits_no_key(const struct build *b, const char *name)
{
    bool no = false;
    for (uint32_t i = 0; i < b->base && !no; i++)
        no = name_cmp(b->first_name[i], name) == 0 && (b->dropped[i] || b->columns[b->place[i]].over_lww);
    return no;
}

static void keep_keys(struct build *b, struct ast_constraints *list, bool own_fits)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ast_constraint *c = list->item[i];
        bool is_key = c->kind == AST_CONSTRAINT_UNIQUE || c->kind == AST_CONSTRAINT_INDEX || c->kind == AST_CONSTRAINT_FOREIGN_KEY, fits = own_fits || !is_key;
        for (uint32_t k = 0; k < c->columns.count && is_key && fits; k++) {
            const char *name = column_name(c->columns.item[k].expr);
            fits = name == NULL || !fits_no_key(b, name);
        }
        for (uint32_t k = 0; k < c->fk_columns.count && fits; k++)
            fits = !fits_no_key(b, c->fk_columns.item[k].text);
        if (fits)
            list->item[kept++] = list->item[i];
    }
    list->count = kept;
}

/* A key of the definition over a column that was dropped, or got a kind that merges by itself: who did that had dropped the key first, but a DROP TABLE ends that, and need not
 * end the rest, where it had not seen it or another birth of the table outlives it. */
static void leave_out_keys(struct build *b)
{
    for (uint32_t i = 0; i < b->total; i++)
        if (!b->dropped[i])
            keep_keys(b, &b->ast->columns.item[i]->constraints, !b->columns[b->place[i]].over_lww);
    keep_keys(b, &b->ast->constraints, true);
}

quartet_status build_constraints(struct build *b)
{
    uint32_t n = b->src->constraint_count;
    leave_out_keys(b);
    quartet_status rc = QUARTET_OK;
    b->more = arena_zalloc(b->a, n + 1u, sizeof(struct ast_constraint *));
    b->constraints = arena_zalloc(b->a, n + 1u, sizeof *b->constraints);
    if (b->more == NULL || b->constraints == NULL)
        return build_nomem(b);
    b->t->constraints = b->constraints;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        struct ast_stmt *stmt = NULL;
        rc = build_parse(b, b->src->constraints[i].sql, &stmt);
        if (rc != QUARTET_OK)
            break;
        const struct ast_alter *alter = stmt->kind == AST_STMT_ALTER_TABLE ? stmt->u.alter : NULL;
        if (alter == NULL || alter->action_count != 1)
            return err_set(b->err, QUARTET_CORRUPT, "table %s: the definition of constraint %s is no ALTER TABLE", b->src->name, b->src->constraints[i].name);
        const struct ast_alter_action *action = &alter->action[0];
        if (action->kind == AST_ALTER_ADD_CONSTRAINT) {
            rc = add_one(b, &b->src->constraints[i], action->constraint);
        } else if (action->kind == AST_ALTER_DROP_CONSTRAINT) { /* of the definition: one that was added goes with its own row */
            b->constraints[b->t->constraint_count++] = (struct constraint_def){.name = "", .id = b->src->constraints[i].id};
            drop_named(&b->ast->constraints, action->name.text);
            for (uint32_t k = 0; k < b->ast->columns.count; k++)
                drop_named(&b->ast->columns.item[k]->constraints, action->name.text);
        }
    }
    return rc;
}

/* The definition's text shows them as if they had been there from the beginning. */
quartet_status build_constraints_text(struct build *b)
{
    struct ast_constraints *list = &b->ast->constraints;
    struct ast_constraint **all = arena_zalloc(b->a, list->count + b->more_count + 1u, sizeof(struct ast_constraint *));
    if (all == NULL)
        return build_nomem(b);
    for (uint32_t i = 0; i < list->count; i++)
        all[i] = list->item[i];
    for (uint32_t i = 0; i < b->more_count; i++)
        all[list->count + i] = b->more[i];
    list->item = all;
    list->count += b->more_count;
    return QUARTET_OK;
}

/* ---- columns that merge together ---- */

static uint32_t root(const struct build *b, uint32_t i)
{
    while (b->group[i] != i)
        i = b->group[i];
    return i;
}

static bool may_join(const struct build *b, uint32_t column)
{
    return b->columns[column].record_at >= 0 && b->columns[column].kind == ROW_LWW;
}

/* Groups that share a column are one: who writes it writes both. */
static void unite(struct build *b, const uint32_t *columns, uint32_t n)
{
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) {
        if (!may_join(b, columns[i]))
            continue;
        if (first == UINT32_MAX)
            first = columns[i];
        uint32_t x = root(b, first), y = root(b, columns[i]);
        b->group[x > y ? x : y] = x > y ? y : x;
    }
}

quartet_status build_together_clause(struct build *b, struct ast_constraint *c)
{
    uint32_t *at = arena_zalloc(b->a, c->columns.count + 1u, sizeof *at), n = 0, named = c->columns.count;
    if (at == NULL)
        return build_nomem(b);
    for (uint32_t i = 0; i < named; i++) {
        const struct ast_expr *e = c->columns.item[i].expr;
        if (e->kind != AST_EXPR_COLUMN)
            return err_set_at(b->err, QUARTET_ERROR, e->offset, "only plain columns can stand here");
        int32_t k = build_column_called(b, e->u.column->name.text, true);
        if ((k < 0 && b->src->override_count > 0) || (k >= 0 && b->columns[k].over_lww))
            continue; /* dropped, or alone in the group when it got another kind */
        if (k < 0)
            return err_set_at(b->err, QUARTET_ERROR, e->offset, "no such column: %s", e->u.column->name.text);
        if (b->columns[k].kind != ROW_LWW)
            return err_set_at(b->err, QUARTET_ERROR, e->offset, "column %s merges by itself: it can be in no MERGE TOGETHER", b->columns[k].name);
        if (b->columns[k].key_at >= 0)
            return err_set_at(b->err, QUARTET_ERROR, e->offset, "column %s is in the primary key, which never changes: it needs no MERGE TOGETHER", b->columns[k].name);
        e->u.column->name.text = b->columns[k].name;
        c->columns.item[n] = c->columns.item[i]; /* what is left of it is shown */
        at[n++] = (uint32_t)k;
    }
    c->columns.count = n;
    unite(b, at, n);
    return QUARTET_OK;
}

static quartet_status unite_checks(struct build *b)
{
    struct table_def *t = b->t;
    uint32_t *at = arena_zalloc(b->a, t->column_count + 1u, sizeof *at);
    bool *in = arena_zalloc(b->a, t->column_count + 1u, sizeof *in);
    if (at == NULL || in == NULL)
        return build_nomem(b);
    for (uint32_t i = 0; i < t->check_count; i++) {
        uint32_t n = 0;
        memset(in, 0, t->column_count * sizeof *in);
        for (uint32_t k = 0; k < t->visible_count; k++)
            for (uint32_t r = 0; r < t->column_count && build_names(b->checks[i].text, b->columns[k].name); r++)
                in[r] |= derived_reads(t, k, r);
        for (uint32_t r = 0; r < t->column_count; r++)
            if (in[r])
                at[n++] = r;
        unite(b, at, n);
    }
    return QUARTET_OK;
}

/* Its columns, and what its expressions and its WHERE are computed from. */
static void unite_index(struct build *b, const struct index_def *ix, uint32_t *at)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->t->column_count; i++) {
        bool reads = ix->where != INDEX_WHOLE && derived_reads(b->t, ix->where, i);
        for (uint32_t k = 0; k < ix->column_count; k++)
            reads |= derived_reads(b->t, ix->columns[k], i);
        if (reads)
            at[n++] = i;
    }
    unite(b, at, n);
}

quartet_status build_together(struct build *b)
{
    struct table_def *t = b->t;
    uint16_t *together = arena_zalloc(b->a, t->rows.count + 1u, sizeof *together);
    uint32_t *at = arena_zalloc(b->a, t->column_count + 1u, sizeof *at);
    uint32_t *size = arena_zalloc(b->a, t->column_count + 1u, sizeof *size);
    if (together == NULL || size == NULL || at == NULL)
        return build_nomem(b);
    for (uint32_t i = 0; i < t->index_count; i++)
        if (b->indexes[i].unique)
            unite_index(b, &b->indexes[i], at);
    for (uint32_t i = 0; i < t->foreign_key_count; i++)
        unite(b, b->fks[i].columns, b->fks[i].column_count);
    quartet_status rc = unite_checks(b);
    for (uint32_t i = 0; i < t->column_count; i++)
        size[root(b, i)] += may_join(b, i);
    for (uint32_t i = 0; i < t->column_count; i++)
        if (may_join(b, i) && size[root(b, i)] > 1) {
            together[b->columns[i].record_at] = (uint16_t)(root(b, i) + 1);
            t->together = together;
        }
    return rc;
}

quartet_status build_together_begin(struct build *b)
{
    b->group = arena_zalloc(b->a, b->t->column_count + 1u, sizeof *b->group);
    if (b->group == NULL)
        return build_nomem(b);
    for (uint32_t i = 0; i < b->t->column_count; i++)
        b->group[i] = i;
    return QUARTET_OK;
}
