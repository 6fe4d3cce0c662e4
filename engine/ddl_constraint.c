/* ddl_constraint.c - ALTER TABLE ADD CONSTRAINT and DROP CONSTRAINT.
 * Why a row of quartet_objects per constraint: it merges like any DDL. The rows that this node shows are looked at here, as in any database; those that others write
 *   meanwhile are judged where they meet it (apply_claims.c, apply_orphans.c).
 * Not here: what these rows mean (catalog_constraint.c). */
#include <string.h>

#include "base/mem.h"
#include "catalog_internal.h"
#include "ddl_internal.h"
#include "kind.h"
#include "parser/parse.h"
#include "plan_check.h"

static bool has_name(const struct table_def *t, const char *name)
{
    bool has = false;
    for (uint32_t i = 0; i < t->constraint_count && !has; i++)
        has = name_cmp(t->constraints[i].name, name) == 0;
    for (uint32_t i = 0; i < t->check_count && !has; i++)
        has = t->checks[i].name != NULL && name_cmp(t->checks[i].name, name) == 0;
    for (uint32_t i = 0; i < t->foreign_key_count && !has; i++)
        has = t->foreign_keys[i].name != NULL && name_cmp(t->foreign_keys[i].name, name) == 0;
    for (uint32_t i = 0; i < t->index_count && !has; i++)
        has = t->indexes[i].implied && t->indexes[i].unique && name_cmp(t->indexes[i].name, name) == 0;
    return has;
}

static const char *constraint_kind(const struct ast_constraint *c)
{
    switch (c->kind) {
    case AST_CONSTRAINT_CHECK: return "check";
    case AST_CONSTRAINT_UNIQUE: return "unique";
    case AST_CONSTRAINT_MERGE_TOGETHER: return "merge_together";
    default: return "foreign_key";
    }
}

static quartet_status name_it(struct ddl *x, const struct table_def *t, struct ast_constraint *c)
{
    char *name = NULL;
    if (c->name.text != NULL)
        return has_name(t, c->name.text)
                   ? err_set_at(x->err, QUARTET_ERROR, c->name.offset, "table %s already has a constraint %s", t->name, c->name.text)
                   : QUARTET_OK;
    for (uint32_t n = 1; name == NULL || has_name(t, name); n++) {
        name = arena_printf(x->a, "%s_%s_%u", t->name, constraint_kind(c), n);
        if (name == NULL)
            return arena_fail(x->a, x->err);
    }
    c->name.text = name;
    c->name.len = (uint32_t)strlen(name);
    return QUARTET_OK;
}

quartet_status ddl_check_key_column(struct ddl *x, const struct table_def *t, const char *name, uint32_t offset)
{
    int32_t at = table_column(t, name);
    const struct column_def *c = at < 0 ? NULL : &t->columns[at];
    uint8_t kind = c == NULL ? ROW_LWW : c->kind != ROW_LWW ? c->kind : c->kind_claimed;
    return kind == ROW_LWW ? QUARTET_OK : err_set_at(x->err, QUARTET_ERROR, offset, "the %s column %s can be in no key and no index", kind_name(kind), name);
}

static quartet_status check_keys(struct ddl *x, const struct table_def *t, const struct ast_constraint *c)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < c->columns.count && rc == QUARTET_OK; i++)
        if (c->columns.item[i].expr->kind == AST_EXPR_COLUMN)
            rc = ddl_check_key_column(x, t, c->columns.item[i].expr->u.column->name.text, c->columns.item[i].expr->offset);
    for (uint32_t i = 0; i < c->fk_columns.count && rc == QUARTET_OK; i++)
        rc = ddl_check_key_column(x, t, c->fk_columns.item[i].text, c->fk_columns.item[i].offset);
    return rc;
}

/* Where each column can be in a group, and at least two are named. */
static quartet_status check_together(struct ddl *x, const struct table_def *t, const struct ast_constraint *c)
{
    uint32_t first = UINT32_MAX, others = 0;
    for (uint32_t i = 0; i < c->columns.count; i++) {
        const struct ast_expr *e = c->columns.item[i].expr;
        int32_t at = e->kind == AST_EXPR_COLUMN ? table_column(t, e->u.column->name.text) : -1;
        if (e->kind != AST_EXPR_COLUMN)
            return err_set_at(x->err, QUARTET_ERROR, e->offset, "only plain columns can stand here");
        if (at < 0)
            return err_set_at(x->err, QUARTET_ERROR, e->offset, "no such column: %s in table %s", e->u.column->name.text, t->name);
        const struct column_def *col = &t->columns[at];
        if (col->kind != ROW_LWW || col->kind_claimed != ROW_LWW)
            return err_set_at(x->err, QUARTET_ERROR, e->offset, "the %s column %s merges by itself: it can be in no MERGE TOGETHER",
                              kind_name(col->kind != ROW_LWW ? col->kind : col->kind_claimed), col->name);
        if (col->key_at >= 0)
            return err_set_at(x->err, QUARTET_ERROR, e->offset, "column %s is in the primary key, which never changes: it needs no MERGE TOGETHER", col->name);
        first = first == UINT32_MAX ? (uint32_t)at : first;
        others += (uint32_t)at != first;
    }
    return others > 0 ? QUARTET_OK : err_set_at(x->err, QUARTET_ERROR, c->offset, "MERGE TOGETHER needs two columns at least");
}

/* Its text, with one action. */
static const char *text_of(struct ddl *x, const struct table_def *t, struct ast_alter_action *action)
{
    struct ast_alter alter = {.table = {.name = {.text = t->name, .len = (uint32_t)strlen(t->name)}}, .action = action, .action_count = 1};
    struct ast_stmt stmt = {.kind = AST_STMT_ALTER_TABLE, .u.alter = &alter};
    return ddl_printed(x, &stmt);
}

/* A bound stands with its column: shares of its room are counted from the rows' births on. */
static quartet_status check_plain(struct ddl *x, const struct table_def *t, const struct ast_constraint *c)
{
    struct buf text = {0};
    ast_print_expr(c->check, &text);
    buf_u8(&text, 0);
    quartet_status rc = buf_check(&text, x->err);
    for (uint32_t i = 0; i < t->visible_count && rc == QUARTET_OK; i++)
        if ((t->columns[i].kind != ROW_LWW || t->columns[i].kind_claimed != ROW_LWW) && build_names((const char *)text.data, t->columns[i].name))
            rc = err_set_at(x->err, QUARTET_ERROR, c->offset,
                            t->columns[i].kind == ROW_COUNTER
                                ? "a bound cannot be added to the COUNTER %s: the room to it is shared out from the births of the rows on; ADD COLUMN with the CHECK, and fill it by an UPDATE"
                                : "a CHECK over column %s, which merges by itself, cannot be added: it is declared with the column",
                            t->columns[i].name);
    buf_deinit(&text);
    return rc;
}

/* Does a row that is shown break it? */
static quartet_status look_at_check(struct ddl *x, const struct table_def *t, const struct ast_constraint *c)
{
    struct buf sql = {0};
    bool found = false;
    buf_str(&sql, "SELECT 1 FROM ");
    ast_print_name(t->name, &sql);
    buf_str(&sql, " WHERE NOT (");
    ast_print_expr(c->check, &sql);
    buf_str(&sql, ") LIMIT 1");
    quartet_status rc = ddl_ask(x, &sql, &found);
    if (rc == QUARTET_OK && found)
        rc = err_set_at(x->err, QUARTET_CONSTRAINT, c->offset, "constraint %s cannot be added: rows of table %s break it", c->name.text, t->name);
    return rc;
}

static quartet_status look_at_key(struct ddl *x, const struct table_def *t, const struct ast_constraint *c)
{
    const struct fk_link *out;
    uint32_t n = catalog_links_out(x->t->catalog, t->id, &out);
    struct buf sql = {0};
    bool found = false;
    for (uint32_t i = 0; i < n; i++) {
        const struct fk_link *l = &out[i];
        if (l->fk->name == NULL || name_cmp(l->fk->name, c->name.text) != 0)
            continue;
        buf_str(&sql, "SELECT 1 FROM ");
        ast_print_name(t->name, &sql);
        buf_str(&sql, " quartet_child WHERE NOT EXISTS (SELECT 1 FROM ");
        ast_print_name(l->parent->name, &sql);
        buf_str(&sql, " quartet_parent WHERE 1");
        for (uint32_t k = 0; k < l->count; k++) {
            buf_str(&sql, " AND quartet_parent.");
            ast_print_name(l->parent->columns[l->parent_columns[k]].name, &sql);
            buf_str(&sql, " = quartet_child.");
            ast_print_name(t->columns[l->columns[k]].name, &sql);
        }
        buf_str(&sql, ")");
        for (uint32_t k = 0; k < l->count; k++) {
            buf_str(&sql, " AND quartet_child.");
            ast_print_name(t->columns[l->columns[k]].name, &sql);
            buf_str(&sql, " IS NOT NULL");
        }
        buf_str(&sql, " LIMIT 1");
    }
    quartet_status rc = QUARTET_OK;
    if (sql.len == 0 && !sql.failed)
        rc = err_set_at(x->err, QUARTET_ERROR, c->offset, "constraint %s references a table, or a key of one, that is not there", c->name.text);
    else
        rc = ddl_ask(x, &sql, &found);
    if (rc == QUARTET_OK && found)
        rc = err_set_at(x->err, QUARTET_CONSTRAINT, c->offset, "constraint %s cannot be added: rows of table %s reference what is not there", c->name.text, t->name);
    return rc;
}

quartet_status ddl_add_constraint(struct ddl *x, const struct table_def *t, struct ast_alter_action *action)
{
    struct ast_constraint *c = action->constraint;
    tree_id table = t->id, id = 0;
    if (c->kind != AST_CONSTRAINT_CHECK && c->kind != AST_CONSTRAINT_UNIQUE && c->kind != AST_CONSTRAINT_FOREIGN_KEY && c->kind != AST_CONSTRAINT_MERGE_TOGETHER)
        return ddl_unsupported(x, "ALTER TABLE ADD of anything but a CHECK, a UNIQUE, a FOREIGN KEY or a MERGE TOGETHER");
    quartet_status rc = name_it(x, t, c);
    const char *sql = rc == QUARTET_OK ? text_of(x, t, action) : NULL;
    if (rc == QUARTET_OK && sql == NULL)
        rc = QUARTET_NOMEM;
    if (rc == QUARTET_OK)
        rc = ddl_by_id(x, t, sql, &sql);
    if (rc == QUARTET_OK)
        rc = c->kind == AST_CONSTRAINT_MERGE_TOGETHER ? check_together(x, t, c) : check_keys(x, t, c);
    if (rc == QUARTET_OK && c->kind == AST_CONSTRAINT_CHECK)
        rc = check_plain(x, t, c);
    if (rc == QUARTET_OK && c->kind == AST_CONSTRAINT_CHECK)
        rc = look_at_check(x, t, c);
    if (rc == QUARTET_OK)
        rc = ddl_fresh_id(x, "constraint", c->name.text, sql, &id);
    if (rc == QUARTET_OK)
        rc = ddl_put_object(x, id, "constraint", c->name.text, table, sql);
    if (rc == QUARTET_OK)
        rc = txn_catalog_refresh(x->t, x->err);
    const struct table_def *now = rc == QUARTET_OK ? catalog_table_by_id(x->t->catalog, table) : NULL;
    bool there = false;
    for (uint32_t i = 0; now != NULL && i < now->constraint_count; i++)
        there |= now->constraints[i].id == id;
    if (rc == QUARTET_OK && !there)
        rc = err_set_at(x->err, QUARTET_ERROR, c->offset, "constraint %s names a column that table %s does not have", c->name.text, t->name);
    if (rc == QUARTET_OK)
        rc = plan_check_table(x->t->catalog, now, x->a, x->err);
    if (rc == QUARTET_OK && c->kind == AST_CONSTRAINT_FOREIGN_KEY)
        rc = look_at_key(x, now, c);
    if (rc == QUARTET_OK)
        rc = ddl_fill_implied(x, t); /* which finds rows with equal values */
    if (rc != QUARTET_OK)
        x->err->sql_offset = -1;
    return rc;
}

quartet_status ddl_drop_constraint(struct ddl *x, const struct table_def *t, struct ast_alter_action *action)
{
    const char *name = action->name.text;
    quartet_status rc = QUARTET_OK;
    tree_id id = 0;
    for (uint32_t i = 0; i < t->constraint_count; i++)
        id = name_cmp(t->constraints[i].name, name) == 0 ? t->constraints[i].id : id;
    if (id == 0 && !has_name(t, name))
        return action->if_exists ? QUARTET_OK
                                 : err_set_at(x->err, QUARTET_ERROR, action->name.offset, "table %s has no constraint %s", t->name, name);
    if (id != 0) {
        rc = ddl_drop_object(x, id);
    } else {
        const char *sql = text_of(x, t, action);
        rc = sql == NULL ? QUARTET_NOMEM : ddl_fresh_id(x, "constraint", name, sql, &id);
        if (rc == QUARTET_OK)
            rc = ddl_put_object(x, id, "constraint", name, t->id, sql);
    }
    if (rc == QUARTET_OK)
        rc = txn_catalog_refresh(x->t, x->err);
    return rc == QUARTET_OK ? ddl_fill_implied(x, t) : rc; /* a FOREIGN KEY may have used its index */
}
