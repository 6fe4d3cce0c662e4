/* ddl_alter.c - ALTER TABLE: columns that come, go and change; the table's name.
 * Why a column that was dropped stays in the catalog, nameless: its values keep their place in records, and rows that others write
 *   meanwhile may still have it. What ALTER makes of a column is a row beside its first definition, which never changes: what rows written before a column came
 *   show depends on it.
 * Not here: what those rows mean (catalog_table.c). */
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "base/mem.h"
#include "derived.h"
#include "ddl_internal.h"
#include "exec.h"
#include "kind.h"
#include "parser/parse.h"
#include "plan_check.h"
#include "types.h"
#include "system_table.h"

/* ---- columns by id ---- */

struct by_id {
    struct ddl *x;
    const struct table_def *t;
    const char *own, *to; /* the column whose definition this is, and what it is called there from now on; NULL: none */
    bool failed;
};

static const char *id_of(void *arg, const char *name)
{
    struct by_id *b = arg;
    if (b->own != NULL && name_cmp(name, b->own) == 0)
        return b->to;
    int32_t at = table_column(b->t, name);
    if (at < 0)
        return NULL;
    const char *id = arena_printf(b->x->a, "#%u", b->t->columns[at].id);
    b->failed |= id == NULL;
    return id;
}

/* A column's own constraints say its own name, and others by id. `own`: what it is called in them now. */
static quartet_status constraints_by_id(struct ddl *x, const struct table_def *t, const char *own, struct ast_column_def *def)
{
    struct by_id b = {.x = x, .t = t, .own = own, .to = def->name.text};
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < def->constraints.count && rc == QUARTET_OK; i++)
        rc = catalog_rename_constraint(def->constraints.item[i], id_of, &b, x->a, x->err);
    struct ast_constraint as = {.kind = AST_CONSTRAINT_CHECK, .check = def->generated};
    if (rc == QUARTET_OK)
        rc = catalog_rename_constraint(&as, id_of, &b, x->a, x->err);
    def->generated = as.check;
    return rc == QUARTET_OK && b.failed ? arena_fail(x->a, x->err) : rc;
}

quartet_status ddl_by_id(struct ddl *x, const struct table_def *t, const char *sql, const char **out)
{
    struct by_id b = {.x = x, .t = t};
    struct ast_stmt *stmt;
    size_t consumed;
    quartet_status rc = parse_sql(x->a, sql, strlen(sql), NULL, &stmt, &consumed, x->err); /* a tree of its own: the statement's may run again */
    if (rc != QUARTET_OK)
        return rc;
    if (stmt->kind == AST_STMT_CREATE_INDEX) {
        rc = catalog_rename_index(stmt->u.create_index, id_of, &b, x->a, x->err);
    } else {
        QASSERT(stmt->kind == AST_STMT_ALTER_TABLE && stmt->u.alter->action_count == 1);
        rc = catalog_rename_constraint(stmt->u.alter->action[0].constraint, id_of, &b, x->a, x->err);
    }
    if (rc == QUARTET_OK && b.failed)
        rc = arena_fail(x->a, x->err);
    *out = rc == QUARTET_OK ? ddl_printed(x, stmt) : NULL;
    return rc == QUARTET_OK && *out == NULL ? QUARTET_NOMEM : rc;
}

static quartet_status check_added(struct ddl *x, const struct ast_column_def *c)
{
    for (uint32_t i = 0; i < c->constraints.count; i++) {
        uint8_t kind = c->constraints.item[i]->kind;
        if (kind == AST_CONSTRAINT_PRIMARY_KEY || kind == AST_CONSTRAINT_UNIQUE || kind == AST_CONSTRAINT_INDEX)
            return err_set_at(x->err, QUARTET_ERROR, c->constraints.item[i]->offset,
                              "a column cannot be added as a key; add it, then CREATE UNIQUE INDEX");
    }
    bool null_default = c->default_value == NULL || c->default_value->kind == AST_EXPR_NULL;
    if (c->not_null == 1 && null_default && c->generated == NULL && c->column_kind != AST_COLUMN_COUNTER && c->column_kind != AST_COLUMN_SET)
        return err_set_at(x->err, QUARTET_ERROR, c->name.offset, "an added column that is NOT NULL needs a DEFAULT that is not NULL");
    return QUARTET_OK;
}

static uint32_t added_id(uint64_t hash)
{
    return CATALOG_COLUMN_ADDED + (uint32_t)(hash & 0x7fffffffu);
}

static bool has_column_id(const struct table_def *t, uint32_t id)
{
    for (uint32_t i = 0; i < t->column_count; i++)
        if (t->columns[i].id == id)
            return true;
    return false;
}

/* The definition in a tree of its own, which says columns by id. */
static quartet_status added_by_id(struct ddl *x, const struct table_def *t, const struct ast_column_def *c, struct ast_column_def **out)
{
    struct buf text = {0};
    struct ast_stmt *stmt = NULL;
    size_t consumed;
    buf_str(&text, "ALTER TABLE x ADD COLUMN ");
    ast_print_column_def(c, &text);
    buf_u8(&text, 0);
    quartet_status rc = buf_check(&text, x->err);
    if (rc == QUARTET_OK)
        rc = parse_sql(x->a, (const char *)text.data, text.len - 1, NULL, &stmt, &consumed, x->err);
    buf_deinit(&text);
    if (rc != QUARTET_OK)
        return rc;
    *out = stmt->u.alter->action[0].column;
    return constraints_by_id(x, t, (*out)->name.text, *out);
}

/* It is to be NOT NULL: refused while there are NULLs. */
static quartet_status check_filled(struct ddl *x, const struct table_def *t, const struct column_def *c, uint32_t offset)
{
    struct buf sql = {0};
    bool found = false;
    buf_str(&sql, "SELECT 1 FROM ");
    ast_print_name(t->name, &sql);
    buf_str(&sql, " WHERE ");
    ast_print_name(c->name, &sql);
    buf_str(&sql, " IS NULL LIMIT 1");
    quartet_status rc = ddl_ask(x, &sql, &found);
    if (rc == QUARTET_OK && found)
        rc = err_set_at(x->err, QUARTET_CONSTRAINT, offset, "column %s of table %s holds NULLs: it cannot become NOT NULL", c->name, t->name);
    return rc;
}

/* One that is made now must be understood; and where it is NOT NULL it must be so in the rows that are there. */
static quartet_status check_generated(struct ddl *x, tree_id table, const char *name)
{
    const struct table_def *t = catalog_table_by_id(x->t->catalog, table);
    int32_t at = table_column(t, name);
    const struct derived_def *d = at >= 0 ? derived_of(t, (uint32_t)at) : NULL;
    if (d == NULL || d->expr == NULL)
        return err_set(x->err, QUARTET_ERROR, "generated column %s cannot be made: %s", name, t->problem != NULL ? t->problem : "it names what is not there");
    return t->columns[at].not_null ? check_filled(x, t, &t->columns[at], 0) : QUARTET_OK;
}

static quartet_status add_column(struct ddl *x, const struct table_def *t, const struct ast_alter_action *action)
{
    const struct ast_column_def *c = action->column;
    struct buf text = {0};
    if (table_column(t, c->name.text) >= 0) {
        if (action->if_not_exists)
            return QUARTET_OK;
        return err_set_at(x->err, QUARTET_ERROR, c->name.offset, "table %s already has a column %s", t->name, c->name.text);
    }
    quartet_status rc = check_added(x, c);
    if (rc != QUARTET_OK)
        return rc;
    struct ast_column_def *named;
    rc = added_by_id(x, t, c, &named);
    if (rc != QUARTET_OK)
        return rc;
    ast_print_column_def(named, &text);
    rc = buf_check(&text, x->err);
    uint64_t h = rc == QUARTET_OK ? XXH3_64bits_withSeed(text.data, text.len, t->id) : 0;
    for (uint64_t n = 1; rc == QUARTET_OK && has_column_id(t, added_id(h)); n++) /* added and dropped before */
        h = XXH3_64bits_withSeed(text.data, text.len, t->id + n);
    const char *sql = rc == QUARTET_OK ? arena_strndup(x->a, (const char *)text.data, text.len) : NULL;
    buf_deinit(&text);
    if (rc == QUARTET_OK && sql == NULL)
        rc = arena_fail(x->a, x->err);
    if (rc != QUARTET_OK)
        return rc;
    struct value v[COL_COLUMNS] = {
        [COL_TABLE_ID] = value_int((int64_t)t->id), [COL_ID] = value_int((int64_t)added_id(h)),
        [COL_NAME] = value_text(c->name.text, strlen(c->name.text)), [COL_SQL] = value_text(sql, strlen(sql))};
    rc = table_insert(x->t, ddl_system_table(x, SYS_COLUMNS), v, x->a, NULL, NULL, x->err);
    if (rc == QUARTET_OK)
        rc = txn_catalog_refresh(x->t, x->err);
    if (rc == QUARTET_OK)
        rc = ddl_fill_implied(x, t);
    if (rc == QUARTET_OK && c->generated != NULL)
        rc = check_generated(x, t->id, c->name.text);
    if (rc != QUARTET_OK)
        x->err->sql_offset = -1;
    return rc;
}

/* Change one column of an object's row. */
static quartet_status set_object(struct ddl *x, tree_id id, uint32_t column, const char *text)
{
    struct slice key;
    struct value old[OBJ_COLUMNS];
    bool found;
    const struct table_def *objects = ddl_system_table(x, SYS_OBJECTS);
    struct table_write w = {.column = column, .value = value_text(text, strlen(text))};
    quartet_status rc = ddl_object_key(x, id, &key);
    if (rc == QUARTET_OK)
        rc = table_get(x->t, objects, key, old, x->a, &found, x->err);
    if (rc == QUARTET_OK && !found)
        rc = err_set(x->err, QUARTET_INTERNAL, "an object has no row in quartet_objects");
    return rc == QUARTET_OK ? table_update(x->t, objects, key, old, &w, 1, x->a, NULL, x->err) : rc;
}

static quartet_status rename_table(struct ddl *x, const struct table_def *t, const struct ast_alter_action *action)
{
    struct ast_qname q = {.name = action->new_name};
    quartet_status rc = QUARTET_OK;
    bool done;
    if (catalog_table(x->t->catalog, q.name.text) != t)
        rc = ddl_check_unused(x, &q, false, &done);
    if (rc == QUARTET_OK)
        rc = set_object(x, t->id, OBJ_NAME, q.name.text);
    return rc == QUARTET_OK ? txn_catalog_refresh(x->t, x->err) : rc;
}

/* ---- columns that are there ---- */

static quartet_status find(struct ddl *x, const struct table_def *t, const struct ast_name *name, const struct column_def **out)
{
    int32_t at = table_column(t, name->text);
    if (at < 0)
        return err_set_at(x->err, QUARTET_ERROR, name->offset, "no such column: %s in table %s", name->text, t->name);
    *out = &t->columns[at];
    return QUARTET_OK;
}

/* The column's definition as the table shows it: in a tree of its own. */
static quartet_status definition(struct ddl *x, const struct table_def *t, const struct column_def *c, struct ast_column_def **out)
{
    struct ast_stmt *stmt;
    size_t consumed;
    quartet_status rc = parse_sql(x->a, t->sql, strlen(t->sql), NULL, &stmt, &consumed, x->err);
    if (rc != QUARTET_OK)
        return rc;
    *out = stmt->u.create_table->columns.item[c - t->columns];
    return QUARTET_OK;
}

/* A row of quartet_columns, there or not. */
static quartet_status put_column_row(struct ddl *x, const struct table_def *t, int64_t id, const char *name, const char *sql)
{
    const struct table_def *columns = ddl_system_table(x, SYS_COLUMNS);
    struct value v[COL_COLUMNS] = {[COL_TABLE_ID] = value_int((int64_t)t->id), [COL_ID] = value_int(id),
                                   [COL_NAME] = value_text(name, strlen(name)), [COL_SQL] = value_text(sql, strlen(sql))};
    return system_put(x->t, columns, v, (const uint32_t[]){COL_NAME, COL_SQL}, 2, x->err);
}

/* What the column is from now on. sql empty: it is dropped. */
static quartet_status put_override(struct ddl *x, const struct table_def *t, const struct column_def *c, const char *name, const char *sql)
{
    return put_column_row(x, t, (int64_t)c->id + CATALOG_OVERRIDE, name, sql);
}

static quartet_status put_definition(struct ddl *x, const struct table_def *t, const struct column_def *c, struct ast_column_def *def)
{
    struct buf text = {0};
    tree_id id = t->id;
    struct ast_column_def plain = *def;
    quartet_status rc = constraints_by_id(x, t, c->name, def);
    if (rc != QUARTET_OK)
        return rc;
    if (c->over_lww)
        plain.column_kind = AST_COLUMN_LWW; /* its kind is told by a row of its own */
    ast_print_column_def(&plain, &text);
    buf_u8(&text, 0);
    rc = buf_check(&text, x->err);
    if (rc == QUARTET_OK)
        rc = put_override(x, t, c, def->name.text, (const char *)text.data);
    buf_deinit(&text);
    if (rc == QUARTET_OK)
        rc = txn_catalog_refresh(x->t, x->err);
    if (rc == QUARTET_OK)
        rc = plan_check_table(x->t->catalog, catalog_table_by_id(x->t->catalog, id), x->a, x->err);
    if (rc != QUARTET_OK)
        x->err->sql_offset = -1;
    return rc;
}

quartet_status ddl_ask(struct ddl *x, struct buf *sql, bool *found)
{
    struct ast_stmt *stmt;
    struct txn_nested saved;
    struct batch rows;
    plan *p = NULL;
    exec *run = NULL;
    size_t consumed;
    *found = false;
    buf_u8(sql, 0);
    quartet_status rc = buf_check(sql, x->err);
    if (rc == QUARTET_OK)
        rc = txn_nested_begin(x->t, &saved, x->err);
    if (rc != QUARTET_OK) {
        buf_deinit(sql);
        return rc;
    }
    rc = parse_sql(x->a, (const char *)sql->data, sql->len - 1, NULL, &stmt, &consumed, x->err);
    if (rc == QUARTET_OK)
        rc = plan_build(x->t->catalog, NULL, stmt, x->a, &p, x->err);
    if (rc == QUARTET_OK)
        rc = exec_open(p, x->t, NULL, 0, NULL, &run, x->err);
    if (rc == QUARTET_OK)
        rc = exec_next(run, &rows, x->err);
    *found = rc == QUARTET_OK && rows.n > 0;
    exec_close(run);
    plan_free(p);
    txn_nested_end(x->t, &saved);
    buf_deinit(sql);
    return rc;
}

struct renaming {
    const char *from, *to;
};

static const char *renamed(void *arg, const char *name)
{
    const struct renaming *r = arg;
    return name_cmp(name, r->from) == 0 ? r->to : NULL;
}

static char *rename_text(struct ddl *x, const char *text, struct renaming *r)
{
    struct buf out = {0};
    catalog_rename(text, renamed, r, &out);
    char *copy = out.failed ? NULL : arena_strndup(x->a, (const char *)out.data, out.len);
    buf_deinit(&out);
    if (copy == NULL)
        (void)err_nomem(x->err); /* NULL says it */
    return copy;
}

static quartet_status rename_column(struct ddl *x, const struct table_def *t, const struct ast_alter_action *action)
{
    const struct column_def *c = NULL;
    struct ast_column_def *def;
    quartet_status rc = find(x, t, &action->name, &c);
    if (rc != QUARTET_OK)
        return rc;
    int32_t other = table_column(t, action->new_name.text);
    if (other >= 0 && &t->columns[other] != c)
        return err_set_at(x->err, QUARTET_ERROR, action->new_name.offset, "table %s already has a column %s", t->name, action->new_name.text);
    rc = definition(x, t, c, &def);
    if (rc == QUARTET_OK) {
        def->name = action->new_name;
        rc = put_definition(x, t, c, def);
    }
    return rc;
}

static bool names_column(const uint32_t *columns, uint32_t n, uint32_t at)
{
    bool found = false;
    for (uint32_t i = 0; i < n; i++)
        found |= columns[i] == at;
    return found;
}

/* As a column of the index, or in an expression of it. */
static bool index_names(const struct table_def *t, const struct index_def *ix, uint32_t at)
{
    bool found = ix->where != INDEX_WHOLE && derived_reads(t, ix->where, at);
    for (uint32_t i = 0; i < ix->column_count; i++)
        found |= derived_reads(t, ix->columns[i], at);
    return found;
}

/* What stands in the way of dropping a column, or of giving it a kind; NULL: nothing. */
static const char *needs_column(struct ddl *x, const struct table_def *t, uint32_t at)
{
    const char *name = t->columns[at].name;
    const struct table_def *other;
    if (t->columns[at].key_at >= 0)
        return "it is in the primary key";
    for (uint32_t i = 0; i < t->foreign_key_count; i++)
        if (names_column(t->foreign_keys[i].columns, t->foreign_keys[i].column_count, at))
            return arena_printf(x->a, "a FOREIGN KEY to %s holds it", t->foreign_keys[i].parent);
    for (uint32_t i = 0; i < t->index_count; i++)
        if (index_names(t, &t->indexes[i], at))
            return arena_printf(x->a, "index %s holds it", t->indexes[i].name);
    for (uint32_t i = 0; i < t->visible_count; i++)
        if (i != at && derived_reads(t, i, at))
            return arena_printf(x->a, "the generated column %s is computed from it", t->columns[i].name);
    for (uint32_t i = 0; i < t->check_count; i++) {
        struct renaming r = {.from = name, .to = ""};
        char *without = rename_text(x, t->checks[i].text, &r);
        if (without == NULL || strcmp(without, t->checks[i].text) != 0)
            return arena_printf(x->a, "CHECK (%s) names it", t->checks[i].text);
    }
    for (uint32_t k = 0; (other = catalog_table_at(x->t->catalog, k)) != NULL; k++)
        for (uint32_t i = 0; i < other->foreign_key_count; i++) {
            const struct foreign_key_def *f = &other->foreign_keys[i];
            for (uint32_t c = 0; catalog_parent(x->t->catalog, f) == t && f->parent_columns != NULL && c < f->column_count; c++)
                if (table_column_first(t, f->parent_columns[c]) == (int32_t)at)
                    return arena_printf(x->a, "a FOREIGN KEY of table %s references it", other->name);
        }
    return NULL;
}

static quartet_status drop_column(struct ddl *x, const struct table_def *t, const struct ast_alter_action *action)
{
    const struct column_def *c = NULL;
    if (action->if_exists && table_column(t, action->name.text) < 0)
        return QUARTET_OK;
    quartet_status rc = find(x, t, &action->name, &c);
    if (rc != QUARTET_OK)
        return rc;
    const char *why = t->visible_count == 1 && c->key_at < 0 ? "it is the table's last" : needs_column(x, t, (uint32_t)(c - t->columns));
    if (why != NULL)
        return err_set_at(x->err, QUARTET_ERROR, action->name.offset, "column %s of table %s cannot be dropped: %s", c->name, t->name, why);
    rc = put_override(x, t, c, c->name, "");
    return rc == QUARTET_OK ? txn_catalog_refresh(x->t, x->err) : rc;
}

/* Another type is taken where every value stays what it is, on nodes too that write meanwhile and do not know of it: records, keys and deltas hold the same bytes. */
static quartet_status check_type(struct ddl *x, const struct table_def *t, const struct column_def *c, const struct ast_alter_action *action)
{
    struct type_decl to;
    const struct ast_type *type = &action->type;
    quartet_status rc = types_from_name(type->text, type->arg_count, type->arg, &to, x->err);
    if (rc != QUARTET_OK) {
        x->err->sql_offset = type->offset;
        return rc;
    }
    bool kept = to.type == c->type && to.scale == c->scale && (!to.is_boolean || c->is_boolean) && (to.precision == c->precision || (c->precision > 0 && to.precision > c->precision));
    if (c->derived || c->kind == ROW_SET || c->kind_claimed != ROW_LWW)
        return err_set_at(x->err, QUARTET_ERROR, action->name.offset, "the type of column %s of table %s cannot change: it is %s", c->name, t->name,
                          c->derived ? "generated; drop it and add another" : c->kind == ROW_SET ? "a SET" : "about to become another kind of column");
    if (!kept)
        return err_set_at(x->err, QUARTET_ERROR, action->name.offset, "column %s of table %s cannot change its type so: rows that others write meanwhile hold values of the old one. What keeps all values can be done "
                          "(more digits of a DECIMAL, another length of a text, an INTEGER of another name); else ADD COLUMN, UPDATE, DROP COLUMN and RENAME COLUMN", c->name, t->name);
    return QUARTET_OK;
}

/* The type, SET and DROP of DEFAULT and NOT NULL. */
static quartet_status change_column(struct ddl *x, const struct table_def *t, const struct ast_alter_action *action)
{
    const struct column_def *c = NULL;
    struct ast_column_def *def;
    quartet_status rc = find(x, t, &action->name, &c);
    if (rc == QUARTET_OK && c->derived && (action->kind == AST_ALTER_SET_DEFAULT || action->kind == AST_ALTER_DROP_DEFAULT))
        rc = err_set_at(x->err, QUARTET_ERROR, action->name.offset, "column %s is generated: it can have no DEFAULT", c->name);
    if (rc == QUARTET_OK)
        rc = definition(x, t, c, &def);
    if (rc != QUARTET_OK)
        return rc;
    if (action->kind == AST_ALTER_SET_TYPE) {
        rc = check_type(x, t, c, action);
        def->type = action->type;
        return rc == QUARTET_OK ? put_definition(x, t, c, def) : rc;
    }
    switch (action->kind) {
    case AST_ALTER_SET_DEFAULT: def->default_value = action->value; break;
    case AST_ALTER_DROP_DEFAULT: def->default_value = NULL; break;
    case AST_ALTER_DROP_NOT_NULL:
        if (c->key_at >= 0)
            return err_set_at(x->err, QUARTET_ERROR, action->name.offset, "column %s is in the primary key, which is never NULL", c->name);
        def->not_null = 0;
        break;
    default:
        rc = check_filled(x, t, c, action->name.offset);
        def->not_null = 1;
    }
    return rc == QUARTET_OK ? put_definition(x, t, c, def) : rc;
}

/* ---- kinds ---- */

quartet_status ddl_put_kind(struct ddl *x, const struct table_def *t, uint32_t column_id, uint32_t upper, const char *name)
{
    const struct table_def *columns = ddl_system_table(x, SYS_COLUMNS);
    struct value v[COL_COLUMNS] = {[COL_TABLE_ID] = value_int((int64_t)t->id), [COL_ID] = value_int(catalog_kind_row(column_id, upper)),
                                   [COL_NAME] = value_text("", 0), [COL_SQL] = value_text(name, strlen(name))};
    return system_put(x->t, columns, v, NULL, 0, x->err); /* once there it stays as it is */
}

/* Rows that this transaction wrote are kept as writes to a plain column. */
static quartet_status check_unwritten(struct ddl *x, const struct table_def *t)
{
    txn *own = x->t;
    bool wrote = own->spill != NULL || own->pouring != NULL;
    if (own->writes != NULL && !wrote) {
        struct kv_own_cursor at;
        quartet_status rc = kv_own_settle(own->writes, x->err);
        if (rc != QUARTET_OK)
            return rc;
        kv_own_seek(&at, own->writes, own->statement, t->id, (struct slice){0});
        wrote = at.valid && at.tree == t->id;
    }
    return wrote ? err_set(x->err, QUARTET_ERROR, "table %s has rows that this transaction wrote: change the kind of a column in a transaction of its own", t->name) : QUARTET_OK;
}

static quartet_status refuse_kind(struct ddl *x, const struct table_def *t, const struct column_def *c, const char *kind, const char *why, const struct ast_name *at)
{
    return err_set_at(x->err, QUARTET_ERROR, at->offset, "column %s of table %s cannot become %s: %s", c->name, t->name, kind, why);
}

/* A DEFAULT is a value of the plain column. What an added column shows in rows that were there before is in none of them, so no removal could name it. */
static const char *needs_no_default(const struct table_def *t, const struct column_def *c)
{
    if (c->default_expr != NULL && c->default_expr->kind != AST_EXPR_NULL)
        return "its DEFAULT is a value, not a set; DROP DEFAULT first, and SET DEFAULT again once it is a SET";
    if (c->record_at >= 0 && t->rows.columns[c->record_at].missing.type != VALUE_NULL)
        return "rows that were there before it was added show its DEFAULT, which is written in none of them; add a SET column and fill it by an UPDATE";
    return NULL;
}

static quartet_status check_kind(struct ddl *x, const struct table_def *t, const struct column_def *c, uint8_t kind, const struct ast_name *at)
{
    static const char *const why_not_plain = "its registers hold what no single value tells; add a plain column and fill it by an UPDATE";
    struct column_def as = *c;
    const char *why = c->derived ? "it is generated" : needs_column(x, t, (uint32_t)(c - t->columns));
    if (kind == ROW_LWW)
        return refuse_kind(x, t, c, kind_name(kind), c->kind != ROW_LWW ? why_not_plain : "the other kind is on its way to all members", at);
    if (c->kind != ROW_LWW || c->kind_claimed != ROW_LWW)
        return refuse_kind(x, t, c, kind_name(kind), arena_printf(x->a, "it is %s, and only a plain column can change; add a column and fill it by an UPDATE",
                                                                  kind_name(c->kind != ROW_LWW ? c->kind : c->kind_claimed)), at);
    if (why == NULL && kind == ROW_SET)
        why = needs_no_default(t, c);
    if (why == NULL && t->together != NULL && c->record_at >= 0 && t->together[c->record_at] != 0)
        why = "it merges together with others";
    if (why != NULL)
        return refuse_kind(x, t, c, kind_name(kind), why, at);
    quartet_status rc = kind_declare(&as, kind, x->err);
    if (rc != QUARTET_OK)
        x->err->sql_offset = at->offset;
    return rc;
}

/* A claim, which takes effect once every member knows of one (kind_settle.c); where nobody else is it does at once. */
static quartet_status change_kind(struct ddl *x, const struct table_def *t, const struct ast_alter_action *action)
{
    const struct column_def *c = NULL;
    uint8_t kind = catalog_kind(action->column_kind);
    quartet_status rc = find(x, t, &action->name, &c);
    if (rc != QUARTET_OK || kind == (c->kind_claimed != ROW_LWW ? c->kind_claimed : c->kind))
        return rc;
    rc = check_kind(x, t, c, kind, &action->name);
    bool alone = !x->t->d->identity.member;
    if (rc == QUARTET_OK && alone)
        rc = check_unwritten(x, t);
    if (rc == QUARTET_OK)
        rc = ddl_put_kind(x, t, c->id, CATALOG_KIND_CLAIM + kind, kind_name(kind));
    if (rc == QUARTET_OK && alone)
        rc = ddl_put_kind(x, t, c->id, CATALOG_KIND_SETTLED, kind_name(kind));
    if (rc == QUARTET_OK && !alone && x->warning != NULL) {
        *x->warning = arena_printf(x->a, "column %s of table %s is written as a plain one until every member has acknowledged that it becomes %s", c->name, t->name, kind_name(kind));
        if (*x->warning == NULL)
            rc = arena_fail(x->a, x->err);
    }
    return rc == QUARTET_OK ? txn_catalog_refresh(x->t, x->err) : rc;
}

/* In effect at once, for who knows of it: every operation says by which rule its writer went (crdt/row.c). */
static quartet_status switch_updates(struct ddl *x, const struct table_def *t, bool win, const struct ast_name *at)
{
    const struct fk_link *const *in;
    uint32_t n = catalog_links_in(x->t->catalog, t->id, &in);
    if (win == t->updates_win)
        return QUARTET_OK;
    for (uint32_t i = 0; i < n && !win; i++)
        if (in[i]->fk->keep_parent)
            return err_set_at(x->err, QUARTET_ERROR, at->offset, "updates must win in table %s: a FOREIGN KEY of table %s says ON MERGE KEEP PARENT", t->name, in[i]->child->name);
    quartet_status rc = put_column_row(x, t, catalog_kind_row(0, CATALOG_OPTION_UPDATES), "", win ? "UPDATES WIN" : "UPDATES LOSE");
    return rc == QUARTET_OK ? txn_catalog_refresh(x->t, x->err) : rc;
}

quartet_status ddl_tell_parents(struct ddl *x)
{
    const struct table_def *t;
    bool any = false;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_table_at(x->t->catalog, i)) != NULL; i++)
        for (uint32_t k = 0; k < t->foreign_key_count && rc == QUARTET_OK; k++) {
            const struct foreign_key_def *f = &t->foreign_keys[k];
            const struct table_def *parent = catalog_parent(x->t->catalog, f);
            char id[20];
            if (parent == NULL || parent->id == f->parent_id)
                continue;
            (void)snprintf(id, sizeof id, "%llx", (unsigned long long)parent->id); /* 16 digits at most */
            rc = put_column_row(x, t, catalog_kind_row(f->told_as, CATALOG_PARENT), "", id);
            any = true;
        }
    return rc == QUARTET_OK && any ? txn_catalog_refresh(x->t, x->err) : rc;
}

quartet_status ddl_alter(struct ddl *x, const struct ast_alter *alter)
{
    quartet_status rc = ddl_check_name(x, &alter->table);
    const struct table_def *t = rc == QUARTET_OK ? catalog_table(x->t->catalog, alter->table.name.text) : NULL;
    if (rc != QUARTET_OK)
        return rc;
    if (t == NULL)
        return alter->if_exists ? QUARTET_OK
                                : err_set_at(x->err, QUARTET_ERROR, alter->table.name.offset, "no such table: %s", alter->table.name.text);
    if (t->is_system)
        return err_set_at(x->err, QUARTET_ERROR, alter->table.name.offset, "table %s is read-only", t->name);
    tree_id id = t->id;
    for (uint32_t i = 0; i < alter->action_count && rc == QUARTET_OK; i++) {
        const struct ast_alter_action *action = &alter->action[i];
        t = catalog_table_by_id(x->t->catalog, id); /* as the actions before left it */
        switch (action->kind) {
        case AST_ALTER_ADD_COLUMN: rc = add_column(x, t, action); break;
        case AST_ALTER_DROP_COLUMN: rc = drop_column(x, t, action); break;
        case AST_ALTER_RENAME_COLUMN: rc = rename_column(x, t, action); break;
        case AST_ALTER_RENAME_TABLE: rc = rename_table(x, t, action); break;
        case AST_ALTER_SET_TYPE: case AST_ALTER_SET_DEFAULT: case AST_ALTER_DROP_DEFAULT: case AST_ALTER_SET_NOT_NULL: case AST_ALTER_DROP_NOT_NULL:
            rc = change_column(x, t, action);
            break;
        case AST_ALTER_SET_KIND: rc = change_kind(x, t, action); break;
        case AST_ALTER_UPDATES_WIN:
            rc = switch_updates(x, t, action->enable, &alter->table.name);
            break;
        case AST_ALTER_ADD_CONSTRAINT: rc = ddl_add_constraint(x, t, &alter->action[i]); break;
        case AST_ALTER_DROP_CONSTRAINT: rc = ddl_drop_constraint(x, t, &alter->action[i]); break;
        default: rc = ddl_unsupported(x, "this ALTER TABLE (a change of type)");
        }
    }
    if (rc == QUARTET_OK)
        rc = ddl_check_temporary(x, id);
    return rc == QUARTET_OK ? ddl_tell_parents(x) : rc;
}
