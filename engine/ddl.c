/* ddl.c - CREATE and DROP as rows of the system tables.
 * Why rows: they replicate, merge and roll back as all rows do, and a transaction sees its own DDL at once. The canonical text is what is stored, so that equal
 *   definitions written differently are one object.
 * Invariants: what is written here makes a catalog that can be read: txn_catalog_refresh proves it before the statement ends.
 * Not here: ALTER TABLE (ddl_alter.c), what the rows mean (catalog_read.c), filling indexes of other nodes (apply_index.c). */
#include <string.h>

#include <xxhash.h>

#include "base/mem.h"
#include "ddl_as.h"
#include "ddl_internal.h"
#include "derived.h"
#include "parser/parse.h"
#include "plan_check.h"
#include "table_internal.h"


quartet_status ddl_unsupported(struct ddl *x, const char *what)
{
    return err_set(x->err, QUARTET_ERROR, "%s is not supported by this version", what);
}

char *ddl_printed(struct ddl *x, const struct ast_stmt *stmt)
{
    struct buf text = {0};
    ast_print_stmt(stmt, &text);
    char *sql = text.failed ? NULL : arena_strndup(x->a, (const char *)text.data, text.len);
    buf_deinit(&text);
    if (sql == NULL)
        (void)err_nomem(x->err); /* NULL says it */
    return sql;
}

const struct table_def *ddl_system_table(struct ddl *x, tree_id id)
{
    const struct table_def *t = catalog_table_by_id(x->t->catalog, id);
    QASSERT(t != NULL);
    return t;
}

quartet_status ddl_object_key(struct ddl *x, tree_id id, struct slice *key)
{
    struct value v[OBJ_COLUMNS] = {[OBJ_ID] = value_int((int64_t)id)};
    struct buf out = {0};
    quartet_status rc = table_key(ddl_system_table(x, SYS_OBJECTS), v, &out, x->err);
    if (rc == QUARTET_OK) {
        *key = slice_of(arena_dup(x->a, out.data, out.len), out.len);
        if (key->p == NULL)
            rc = arena_fail(x->a, x->err);
    }
    buf_deinit(&out);
    return rc;
}

/* An id that no object has or had: how often this name and definition was dropped is part of it. */
quartet_status ddl_fresh_id(struct ddl *x, const char *kind, const char *name, const char *sql, tree_id *out)
{
    for (uint64_t n = 0;; n++) {
        struct slice key, record;
        bool own, found;
        *out = object_id(kind, name, sql, n);
        quartet_status rc = ddl_object_key(x, *out, &key);
        if (rc == QUARTET_OK)
            rc = txn_row(x->t, SYS_OBJECTS, key, x->t->statement, &record, &own, &found, x->err);
        if (rc != QUARTET_OK || !found)
            return rc;
    }
}

quartet_status ddl_put_object(struct ddl *x, tree_id id, const char *kind, const char *name, tree_id table, const char *sql)
{
    struct value v[OBJ_COLUMNS] = {
        [OBJ_ID] = value_int((int64_t)id), [OBJ_KIND] = value_text(kind, strlen(kind)), [OBJ_NAME] = value_text(name, strlen(name)),
        [OBJ_TABLE_ID] = table == 0 ? VALUE_NULL_INIT : value_int((int64_t)table), [OBJ_SQL] = value_text(sql, strlen(sql))};
    return table_insert(x->t, ddl_system_table(x, SYS_OBJECTS), v, x->a, NULL, NULL, x->err);
}

quartet_status ddl_drop_object(struct ddl *x, tree_id id)
{
    struct slice key;
    quartet_status rc = ddl_object_key(x, id, &key);
    return rc == QUARTET_OK ? table_delete(x->t, ddl_system_table(x, SYS_OBJECTS), key, NULL, x->err) : rc;
}

quartet_status ddl_check_name(struct ddl *x, const struct ast_qname *q)
{
    static const char *const schemas[] = {"main", "public"};
    const char *s = q->schema.text;
    if (s != NULL && x->t->d->temporary)
        return name_cmp(s, "temp") == 0 ? QUARTET_OK : err_set_at(x->err, QUARTET_ERROR, q->schema.offset, "a temporary object is in no other schema than temp: %s", s);
    if (s != NULL && name_cmp(s, schemas[0]) != 0 && name_cmp(s, schemas[1]) != 0)
        return err_set_at(x->err, QUARTET_ERROR, q->schema.offset, "no such database: %s", s);
    return QUARTET_OK;
}

static quartet_status check_new_name(struct ddl *x, const struct ast_qname *q)
{
    static const char *const reserved[] = {"quartet_", "sqlite_"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        char head[16] = {0};
        strncpy(head, q->name.text, strlen(reserved[i]));
        if (name_cmp(head, reserved[i]) == 0)
            return err_set_at(x->err, QUARTET_ERROR, q->name.offset, "names that begin with %s are reserved: %s", reserved[i], q->name.text);
    }
    return ddl_check_name(x, q);
}

/* In a cluster two nodes may be right each and break UNIQUE together; whoever relies on it should know what becomes of that. */
static quartet_status warn(struct ddl *x, const struct table_def *t, const struct index_def *only)
{
    struct buf text = {0};
    if (x->warning == NULL || !x->t->d->identity.member)
        return QUARTET_OK;
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        if (!ix->unique || (only != NULL && ix != only))
            continue;
        buf_str(&text, text.len > 0 ? "; UNIQUE (" : "UNIQUE (");
        for (uint32_t k = 0; k < ix->column_count; k++)
            buf_printf(&text, "%s%s", k > 0 ? ", " : "", t->columns[ix->columns[k]].name);
        buf_str(&text, ")");
    }
    if (text.len > 0) {
        *x->warning = arena_printf(x->a, "table %s: where two nodes give two rows one value at once, the row that was inserted later is quarantined: %.*s", t->name, (int)text.len,
                                   (const char *)text.data);
        if (*x->warning == NULL)
            text.failed = true;
    }
    quartet_status rc = buf_check(&text, x->err);
    buf_deinit(&text);
    return rc;
}

/* As it is now, DDL of this statement included. */
static struct catalog *names_of(const struct ddl *x)
{
    return x->names != NULL ? x->names : x->t->catalog;
}

/* CREATE TABLE a (LIKE b): b's definition under a new name. */
static quartet_status like_definition(struct ddl *x, const struct ast_create_table *c, struct ast_stmt **out)
{
    const struct table_def *from = catalog_named(names_of(x), c->like.name.text);
    size_t consumed;
    if (from == NULL)
        return err_set_at(x->err, QUARTET_ERROR, c->like.name.offset, "no such table: %s", c->like.name.text);
    quartet_status rc = parse_sql(x->a, from->sql, strlen(from->sql), NULL, out, &consumed, x->err);
    if (rc == QUARTET_OK)
        (*out)->u.create_table->name = c->name;
    return rc;
}

/* Tables and views share their names. *done: it is there, and IF NOT EXISTS was said. */
quartet_status ddl_check_unused(struct ddl *x, const struct ast_qname *q, bool if_not_exists, bool *done)
{
    bool table = catalog_table(x->t->catalog, q->name.text) != NULL, view = !table && catalog_view(x->t->catalog, q->name.text) != NULL;
    quartet_status rc = check_new_name(x, q);
    *done = (table || view) && if_not_exists;
    if (rc != QUARTET_OK || *done || (!table && !view))
        return rc;
    return err_set_at(x->err, QUARTET_ERROR, q->name.offset, "%s %s already exists", table ? "table" : "view", q->name.text);
}

quartet_status ddl_check_temporary(struct ddl *x, tree_id table)
{
    const struct table_def *t = catalog_table_by_id(x->t->catalog, table);
    return t->temporary && t->foreign_key_count > 0 ? err_set(x->err, QUARTET_ERROR, "table %s is temporary: it can have no foreign keys", t->name) : QUARTET_OK;
}

static quartet_status create_table(struct ddl *x, const struct ast_stmt *stmt)
{
    struct ast_create_table c = *stmt->u.create_table;
    struct ast_stmt bare = *stmt, *like = NULL;
    tree_id id;
    bool done;
    quartet_status rc = ddl_check_unused(x, &c.name, c.if_not_exists, &done);
    if (rc != QUARTET_OK || done)
        return rc;
    if (c.temporary != x->t->d->temporary)
        return ddl_unsupported(x, "CREATE TEMPORARY TABLE but by a session");
    if (c.as != NULL && stmt->params.count > 0)
        return err_set_at(x->err, QUARTET_ERROR, c.name.name.offset, "CREATE TABLE AS cannot have parameters");
    if (c.as != NULL || c.like.name.text != NULL) {
        rc = c.as != NULL ? ddl_as_definition(names_of(x), &c, x->a, &like, x->err) : like_definition(x, &c, &like);
        if (rc != QUARTET_OK)
            return rc;
        bool temporary = c.temporary;
        c = *like->u.create_table;
        c.temporary = temporary;
    }
    c.if_not_exists = false;
    c.name.schema.text = NULL;
    bare.u.create_table = &c;
    const char *sql = ddl_printed(x, &bare);
    if (sql == NULL)
        return QUARTET_NOMEM;
    rc = ddl_fresh_id(x, "table", c.name.name.text, sql, &id);
    if (rc == QUARTET_OK)
        rc = ddl_put_object(x, id, "table", c.name.name.text, 0, sql);
    if (rc == QUARTET_OK)
        rc = txn_catalog_refresh(x->t, x->err);
    if (rc == QUARTET_OK)
        rc = plan_check_table(x->t->catalog, catalog_table_by_id(x->t->catalog, id), x->a, x->err);
    if (rc == QUARTET_OK)
        rc = ddl_check_temporary(x, id);
    if (rc != QUARTET_OK) {
        x->err->sql_offset = -1; /* it would point into the canonical text */
        return rc;
    }
    rc = ddl_tell_parents(x);
    return rc == QUARTET_OK ? warn(x, catalog_table_by_id(x->t->catalog, id), NULL) : rc;
}

/* OR REPLACE: the view that comes has the triggers and the comment of the one that goes. */
static quartet_status move_to_view(struct ddl *x, const struct view_def *old, tree_id to)
{
    const char *comment = catalog_comment(x->t->catalog, old->id);
    quartet_status rc = comment != NULL ? ddl_put_comment(x, to, CATALOG_COMMENT_OF_OBJECT, comment) : QUARTET_OK;
    for (uint32_t i = 0; i < old->trigger_count && rc == QUARTET_OK; i++) {
        const struct trigger_def *t = &old->triggers[i];
        tree_id id;
        comment = catalog_comment(x->t->catalog, t->id);
        rc = ddl_drop_object(x, t->id);
        if (rc == QUARTET_OK)
            rc = ddl_fresh_id(x, "trigger", t->name, t->sql, &id);
        if (rc == QUARTET_OK)
            rc = ddl_put_object(x, id, "trigger", t->name, to, t->sql);
        if (rc == QUARTET_OK && comment != NULL)
            rc = ddl_put_comment(x, id, CATALOG_COMMENT_OF_OBJECT, comment);
    }
    return rc;
}

static quartet_status create_view(struct ddl *x, const struct ast_stmt *stmt)
{
    struct ast_create_view c = *stmt->u.create_view;
    struct ast_stmt bare = *stmt;
    const struct view_def *old = catalog_view(x->t->catalog, c.name.name.text);
    tree_id id;
    bool done = false;
    quartet_status rc = QUARTET_OK;
    if (c.temporary != x->t->d->temporary)
        return ddl_unsupported(x, "CREATE TEMPORARY VIEW but by a session");
    if (stmt->params.count > 0)
        return err_set_at(x->err, QUARTET_ERROR, c.name.name.offset, "a view cannot have parameters");
    if (old != NULL && old->is_system)
        return err_set_at(x->err, QUARTET_READONLY, c.name.name.offset, "%s is read-only", old->name);
    if (old != NULL && c.or_replace)
        rc = ddl_drop_object(x, old->id);
    else
        rc = ddl_check_unused(x, &c.name, c.if_not_exists, &done);
    if (rc != QUARTET_OK || done)
        return rc;
    c.if_not_exists = c.or_replace = false;
    c.name.schema.text = NULL;
    bare.u.create_view = &c;
    const char *sql = ddl_printed(x, &bare);
    if (sql == NULL)
        return QUARTET_NOMEM;
    rc = ddl_fresh_id(x, "view", c.name.name.text, sql, &id);
    if (rc == QUARTET_OK)
        rc = ddl_put_object(x, id, "view", c.name.name.text, 0, sql);
    if (rc == QUARTET_OK && old != NULL)
        rc = move_to_view(x, old, id);
    if (rc == QUARTET_OK)
        rc = txn_catalog_refresh(x->t, x->err);
    const struct view_def *v = rc == QUARTET_OK ? catalog_view(x->t->catalog, c.name.name.text) : NULL;
    if (rc == QUARTET_OK)
        rc = plan_check_view(names_of(x), v, x->a, x->err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < v->trigger_count; i++)
        rc = plan_check_view_trigger(x->t->catalog, v, &v->triggers[i], x->a, x->err);
    if (rc != QUARTET_OK)
        x->err->sql_offset = -1; /* it would point into the canonical text */
    return rc;
}

/* What a trigger is on: a table, or a view, and that may be NULL where it is not there. */
static quartet_status check_trigger(struct ddl *x, const struct ast_create_trigger *c, const struct table_def **table, const struct view_def **view)
{
    const struct table_def *t = *table = catalog_table(x->t->catalog, c->table.name.text);
    const struct view_def *v = *view = t == NULL ? catalog_view(x->t->catalog, c->table.name.text) : NULL;
    quartet_status rc = ddl_check_name(x, &c->table);
    if (rc != QUARTET_OK)
        return rc;
    if (t == NULL && v == NULL)
        return err_set_at(x->err, QUARTET_ERROR, c->table.name.offset, "no such table: %s", c->table.name.text);
    if (t != NULL ? t->is_system : v->is_system)
        return err_set_at(x->err, QUARTET_ERROR, c->table.name.offset, "%s %s can have no triggers", t != NULL ? "table" : "view", c->table.name.text);
    if (t != NULL && c->time == AST_TRIGGER_INSTEAD_OF)
        return err_set_at(x->err, QUARTET_ERROR, c->name.name.offset, "INSTEAD OF triggers are for views; %s is a table", t->name);
    if (v != NULL && c->time != AST_TRIGGER_INSTEAD_OF)
        return err_set_at(x->err, QUARTET_ERROR, c->name.name.offset, "%s is a view: its triggers are INSTEAD OF", v->name);
    if (c->temporary)
        return ddl_unsupported(x, "CREATE TEMPORARY TRIGGER");
    for (uint32_t i = 0; t != NULL && i < c->update_of.count; i++)
        if (table_column(t, c->update_of.item[i].text) < 0)
            return err_set_at(x->err, QUARTET_ERROR, c->update_of.item[i].offset, "no such column: %s", c->update_of.item[i].text);
    return check_new_name(x, &c->name);
}

/* Can its statements be planned? */
static quartet_status try_trigger(struct ddl *x, tree_id id, const char *name)
{
    const struct trigger_def *def = catalog_trigger(x->t->catalog, name);
    const struct table_def *t = catalog_table(x->t->catalog, def == NULL ? "" : def->ast->table.name.text);
    if (def == NULL || def->id != id)
        return err_set(x->err, QUARTET_INTERNAL, "the trigger that was made is not there");
    return t != NULL ? plan_check_trigger(x->t->catalog, t, def, x->a, x->err)
                     : plan_check_view_trigger(x->t->catalog, catalog_view(x->t->catalog, def->ast->table.name.text), def, x->a, x->err);
}

static quartet_status create_trigger(struct ddl *x, const struct ast_stmt *stmt)
{
    struct ast_create_trigger c = *stmt->u.create_trigger;
    struct ast_stmt bare = *stmt;
    const struct table_def *t;
    const struct view_def *v;
    tree_id id;
    quartet_status rc = check_trigger(x, &c, &t, &v);
    if (rc != QUARTET_OK)
        return rc;
    if (catalog_trigger(x->t->catalog, c.name.name.text) != NULL)
        return c.if_not_exists ? QUARTET_OK
                               : err_set_at(x->err, QUARTET_ERROR, c.name.name.offset, "trigger %s already exists", c.name.name.text);
    c.if_not_exists = false;
    c.name.schema.text = c.table.schema.text = NULL;
    bare.u.create_trigger = &c;
    const char *sql = ddl_printed(x, &bare);
    if (sql == NULL)
        return QUARTET_NOMEM;
    tree_id on = t != NULL ? t->id : v->id;
    rc = ddl_fresh_id(x, "trigger", c.name.name.text, sql, &id);
    if (rc == QUARTET_OK)
        rc = ddl_put_object(x, id, "trigger", c.name.name.text, on, sql);
    if (rc == QUARTET_OK)
        rc = txn_catalog_refresh(x->t, x->err);
    if (rc == QUARTET_OK)
        rc = try_trigger(x, id, c.name.name.text);
    if (rc != QUARTET_OK)
        x->err->sql_offset = -1; /* it would point into the canonical text */
    return rc;
}

static quartet_status drop_trigger(struct ddl *x, const struct ast_qname *q, bool if_exists)
{
    const struct trigger_def *trigger = catalog_trigger(x->t->catalog, q->name.text);
    if (trigger == NULL)
        return if_exists ? QUARTET_OK : err_set_at(x->err, QUARTET_ERROR, q->name.offset, "no such trigger: %s", q->name.text);
    quartet_status rc = ddl_drop_object(x, trigger->id);
    return rc == QUARTET_OK ? txn_catalog_refresh(x->t, x->err) : rc;
}

static quartet_status index_name(struct ddl *x, struct ast_create_index *c)
{
    if (c->name.name.text != NULL)
        return QUARTET_OK;
    struct buf text = {0};
    buf_printf(&text, "%s", c->table.name.text);
    for (uint32_t i = 0; i < c->columns.count; i++)
        if (c->columns.item[i].expr->kind == AST_EXPR_COLUMN)
            buf_printf(&text, "_%s", c->columns.item[i].expr->u.column->name.text);
    buf_str(&text, "_index");
    c->name.name.text = text.failed ? NULL : arena_strndup(x->a, (const char *)text.data, text.len);
    c->name.name.len = (uint32_t)text.len;
    buf_deinit(&text);
    return c->name.name.text == NULL ? err_nomem(x->err) : QUARTET_OK;
}

/* What its expressions are computed from: plain columns that stay so. */
static quartet_status check_index(struct ddl *x, const struct table_def *t, const struct index_def *ix)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i <= ix->column_count && rc == QUARTET_OK; i++)
        for (uint32_t at = 0; at < t->visible_count && rc == QUARTET_OK; at++) {
            uint32_t column = i < ix->column_count ? ix->columns[i] : ix->where;
            if (column != INDEX_WHOLE && column != at && derived_reads(t, column, at))
                rc = ddl_check_key_column(x, t, t->columns[at].name, 0);
        }
    return rc;
}

static quartet_status create_index(struct ddl *x, const struct ast_stmt *stmt)
{
    struct ast_create_index c = *stmt->u.create_index;
    struct ast_stmt bare = *stmt;
    const struct table_def *other, *t = catalog_table(x->t->catalog, c.table.name.text);
    tree_id id;
    quartet_status rc = ddl_check_name(x, &c.table);
    if (rc == QUARTET_OK && t == NULL)
        rc = err_set_at(x->err, QUARTET_ERROR, c.table.name.offset, "no such table: %s", c.table.name.text);
    if (rc == QUARTET_OK && t->is_system)
        rc = err_set_at(x->err, QUARTET_ERROR, c.table.name.offset, "table %s is read-only", t->name);
    if (rc == QUARTET_OK)
        rc = index_name(x, &c);
    if (rc == QUARTET_OK)
        rc = check_new_name(x, &c.name);
    if (rc != QUARTET_OK)
        return rc;
    if (catalog_index(x->t->catalog, c.name.name.text, &other) != NULL) {
        if (c.if_not_exists)
            return QUARTET_OK;
        return err_set_at(x->err, QUARTET_ERROR, c.name.name.offset, "index %s already exists", c.name.name.text);
    }
    c.if_not_exists = false;
    c.name.schema.text = c.table.schema.text = NULL;
    bare.u.create_index = &c;
    const char *sql = ddl_printed(x, &bare);
    if (sql == NULL)
        return QUARTET_NOMEM;
    tree_id table_id = t->id;
    for (uint32_t i = 0; i < c.columns.count && rc == QUARTET_OK; i++)
        if (c.columns.item[i].expr->kind == AST_EXPR_COLUMN)
            rc = ddl_check_key_column(x, t, c.columns.item[i].expr->u.column->name.text, c.columns.item[i].expr->offset);
    if (rc == QUARTET_OK)
        rc = ddl_by_id(x, t, sql, &sql);
    if (rc == QUARTET_OK)
        rc = ddl_fresh_id(x, "index", c.name.name.text, sql, &id);
    if (rc == QUARTET_OK)
        rc = ddl_put_object(x, id, "index", c.name.name.text, table_id, sql);
    if (rc == QUARTET_OK)
        rc = txn_catalog_refresh(x->t, x->err);
    if (rc != QUARTET_OK) {
        x->err->sql_offset = -1;
        return rc;
    }
    t = catalog_table_by_id(x->t->catalog, table_id);
    bool made = false;
    for (uint32_t i = 0; i < t->index_count && rc == QUARTET_OK; i++)
        if (t->indexes[i].id == id) {
            made = true;
            rc = check_index(x, t, &t->indexes[i]);
            if (rc == QUARTET_OK)
    
            rc = index_fill_own(x->t, t, &t->indexes[i], x->err);
            if (rc == QUARTET_OK)
                rc = warn(x, t, &t->indexes[i]);
        }
    if (rc == QUARTET_OK && !made)
        rc = err_set(x->err, QUARTET_ERROR, "index %s cannot be made: %s", c.name.name.text, t->problem != NULL ? t->problem : "a column of it went meanwhile");
    return rc;
}

/* A table that others reference stays, unless they go in the same statement. */
static quartet_status check_unreferenced(struct ddl *x, const struct table_def *t, const struct ast_qname *q, const struct ast_qnames *going)
{
    const struct table_def *child;
    for (uint32_t i = 0; !x->t->no_foreign_keys && (child = catalog_table_at(x->t->catalog, i)) != NULL; i++) {
        bool goes = child == t;
        for (uint32_t k = 0; k < going->count && !goes; k++)
            goes = name_cmp(going->item[k].name.text, child->name) == 0;
        for (uint32_t k = 0; k < child->foreign_key_count && !goes; k++)
            if (catalog_parent(x->t->catalog, &child->foreign_keys[k]) == t)
                return err_set_at(x->err, QUARTET_CONSTRAINT, q->name.offset,
                                  "table %s is referenced by a FOREIGN KEY of table %s: drop that one first, or both in one DROP TABLE", t->name,
                                  child->name);
    }
    return QUARTET_OK;
}

static quartet_status drop_table(struct ddl *x, const struct ast_qname *q, bool if_exists, const struct ast_qnames *going)
{
    const struct table_def *t = catalog_table(x->t->catalog, q->name.text);
    if (t == NULL && catalog_view(x->t->catalog, q->name.text) != NULL)
        return err_set_at(x->err, QUARTET_ERROR, q->name.offset, "%s is a view: use DROP VIEW", q->name.text);
    if (t == NULL)
        return if_exists ? QUARTET_OK : err_set_at(x->err, QUARTET_ERROR, q->name.offset, "no such table: %s", q->name.text);
    if (t->is_system)
        return err_set_at(x->err, QUARTET_ERROR, q->name.offset, "table %s cannot be dropped", t->name);
    quartet_status rc = check_unreferenced(x, t, q, going);
    if (rc == QUARTET_OK)
        rc = ddl_drop_object(x, t->id);
    for (uint32_t i = 0; i < t->index_count && rc == QUARTET_OK; i++)
        if (!t->indexes[i].implied)
            rc = ddl_drop_object(x, t->indexes[i].id);
    for (uint32_t i = 0; i < t->trigger_count && rc == QUARTET_OK; i++)
        rc = ddl_drop_object(x, t->triggers[i].id);
    for (uint32_t i = 0; i < t->constraint_count && rc == QUARTET_OK; i++)
        rc = ddl_drop_object(x, t->constraints[i].id);
    return rc == QUARTET_OK ? txn_catalog_refresh(x->t, x->err) : rc;
}

quartet_status ddl_fill_implied(struct ddl *x, const struct table_def *was)
{
    const struct table_def *t = catalog_table_by_id(x->t->catalog, was->id);
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; t != NULL && i < t->index_count && rc == QUARTET_OK; i++) {
        bool fresh = t->indexes[i].implied;
        for (uint32_t k = 0; k < was->index_count && fresh; k++)
            fresh = was->indexes[k].id != t->indexes[i].id;
        if (fresh)
            rc = index_fill_own(x->t, t, &t->indexes[i], x->err);
    }
    return rc;
}

static quartet_status drop_index(struct ddl *x, const struct ast_qname *q, bool if_exists)
{
    const struct table_def *t;
    const struct index_def *ix = catalog_index(x->t->catalog, q->name.text, &t);
    if (ix == NULL)
        return if_exists ? QUARTET_OK : err_set_at(x->err, QUARTET_ERROR, q->name.offset, "no such index: %s", q->name.text);
    if (ix->implied)
        return err_set_at(x->err, QUARTET_ERROR, q->name.offset, "index %s belongs to the definition of table %s", ix->name, t->name);
    quartet_status rc = ddl_drop_object(x, ix->id);
    if (rc == QUARTET_OK)
        rc = txn_catalog_refresh(x->t, x->err);
    return rc == QUARTET_OK ? ddl_fill_implied(x, t) : rc; /* a FOREIGN KEY may have used it */
}

static quartet_status drop_view(struct ddl *x, const struct ast_qname *q, bool if_exists)
{
    const struct view_def *v = catalog_view(x->t->catalog, q->name.text);
    if (v == NULL && catalog_table(x->t->catalog, q->name.text) != NULL)
        return err_set_at(x->err, QUARTET_ERROR, q->name.offset, "%s is a table: use DROP TABLE", q->name.text);
    if (v == NULL)
        return if_exists ? QUARTET_OK : err_set_at(x->err, QUARTET_ERROR, q->name.offset, "no such view: %s", q->name.text);
    if (v->is_system)
        return err_set_at(x->err, QUARTET_READONLY, q->name.offset, "%s is read-only", v->name);
    quartet_status rc = ddl_drop_object(x, v->id);
    for (uint32_t i = 0; i < v->trigger_count && rc == QUARTET_OK; i++)
        rc = ddl_drop_object(x, v->triggers[i].id);
    return rc == QUARTET_OK ? txn_catalog_refresh(x->t, x->err) : rc;
}

static quartet_status drop(struct ddl *x, const struct ast_drop *d)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < d->names.count && rc == QUARTET_OK; i++) {
        rc = ddl_check_name(x, &d->names.item[i]);
        if (rc != QUARTET_OK)
            return rc;
        switch (d->object) {
        case AST_OBJECT_TABLE: rc = drop_table(x, &d->names.item[i], d->if_exists, &d->names); break;
        case AST_OBJECT_INDEX: rc = drop_index(x, &d->names.item[i], d->if_exists); break;
        case AST_OBJECT_TRIGGER: rc = drop_trigger(x, &d->names.item[i], d->if_exists); break;
        case AST_OBJECT_VIEW: rc = drop_view(x, &d->names.item[i], d->if_exists); break;
        default:
            if (!d->if_exists)
                rc = err_set_at(x->err, QUARTET_ERROR, d->names.item[i].name.offset, "no such object: %s", d->names.item[i].name.text);
        }
    }
    return rc;
}

quartet_status ddl_run_with(txn *t, struct catalog *names, const struct ast_stmt *stmt, struct arena *a, const char **warning, struct err *err)
{
    struct ddl x = {.t = t, .names = names, .a = a, .warning = warning, .err = err};
    if (warning != NULL)
        *warning = NULL;
    switch (stmt->kind) {
    case AST_STMT_CREATE_TABLE: return create_table(&x, stmt);
    case AST_STMT_CREATE_INDEX: return create_index(&x, stmt);
    case AST_STMT_CREATE_VIEW: return create_view(&x, stmt);
    case AST_STMT_CREATE_TRIGGER: return create_trigger(&x, stmt);
    case AST_STMT_DROP: return drop(&x, stmt->u.drop);
    case AST_STMT_ALTER_TABLE: return ddl_alter(&x, stmt->u.alter);
    case AST_STMT_COMMENT: return ddl_comment(&x, stmt->u.comment);
    default: return ddl_unsupported(&x, ast_stmt_kind_name((enum ast_stmt_kind)stmt->kind));
    }
}

quartet_status ddl_run(txn *t, const struct ast_stmt *stmt, struct arena *a, const char **warning, struct err *err)
{
    return ddl_run_with(t, NULL, stmt, a, warning, err);
}
