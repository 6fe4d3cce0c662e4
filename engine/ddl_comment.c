/* ddl_comment.c - COMMENT ON: a register of the object that it is about, in a row of quartet_columns (catalog_build.h).
 * Why a register: two nodes may describe one object at once, and the later description wins, as in any column.
 * Not here: where comments are shown (conn_show.c, bind_schema.c), dropped objects' rows, which nobody reads any more. */
#include <string.h>

#include "ddl_internal.h"
#include "system_table.h"

quartet_status ddl_put_comment(struct ddl *x, tree_id object, uint32_t column, const char *text)
{
    const struct table_def *columns = ddl_system_table(x, SYS_COLUMNS);
    struct value v[COL_COLUMNS] = {[COL_TABLE_ID] = value_int((int64_t)object), [COL_ID] = value_int(catalog_kind_row(column, CATALOG_COMMENT)),
                                   [COL_NAME] = value_text("", 0), [COL_SQL] = value_text(text, strlen(text))};
    return system_put(x->t, columns, v, (const uint32_t[]){COL_SQL}, 1, x->err);
}

static quartet_status missing(struct ddl *x, const char *kind, const struct ast_name *name)
{
    return err_set_at(x->err, QUARTET_ERROR, name->offset, "no such %s: %s", kind, name->text);
}

static quartet_status read_only(struct ddl *x, const struct ast_name *name)
{
    return err_set_at(x->err, QUARTET_READONLY, name->offset, "%s is read-only", name->text);
}

static quartet_status of_table(struct ddl *x, const struct ast_comment *c, tree_id *id, uint32_t *column)
{
    const struct ast_name *name = &c->name.name;
    const struct table_def *t = catalog_table(x->t->catalog, name->text);
    if (t == NULL && catalog_view(x->t->catalog, name->text) != NULL)
        return c->object == AST_OBJECT_TABLE ? err_set_at(x->err, QUARTET_ERROR, name->offset, "%s is a view: use COMMENT ON VIEW", name->text)
                                             : err_set_at(x->err, QUARTET_ERROR, name->offset, "%s is a view: only columns of tables have comments", name->text);
    if (t == NULL)
        return missing(x, "table", name);
    if (t->is_system)
        return read_only(x, name);
    *id = t->id;
    if (c->object == AST_OBJECT_TABLE)
        return QUARTET_OK;
    int32_t at = table_column(t, c->column.text);
    if (at < 0)
        return err_set_at(x->err, QUARTET_ERROR, c->column.offset, "no such column: %s in table %s", c->column.text, t->name);
    *column = t->columns[at].id;
    return QUARTET_OK;
}

static quartet_status of_view(struct ddl *x, const struct ast_name *name, tree_id *id)
{
    const struct view_def *v = catalog_view(x->t->catalog, name->text);
    if (v == NULL && catalog_table(x->t->catalog, name->text) != NULL)
        return err_set_at(x->err, QUARTET_ERROR, name->offset, "%s is a table: use COMMENT ON TABLE", name->text);
    if (v == NULL)
        return missing(x, "view", name);
    *id = v->id;
    return v->is_system ? read_only(x, name) : QUARTET_OK;
}

quartet_status ddl_comment(struct ddl *x, const struct ast_comment *c)
{
    const struct ast_name *name = &c->name.name;
    const struct table_def *t = NULL;
    const struct index_def *ix;
    const struct trigger_def *trigger;
    uint32_t column = CATALOG_COMMENT_OF_OBJECT;
    tree_id id = 0;
    quartet_status rc = ddl_check_name(x, &c->name);
    if (rc != QUARTET_OK)
        return rc;
    switch (c->object) {
    case AST_OBJECT_TABLE: case AST_OBJECT_COLUMN: rc = of_table(x, c, &id, &column); break;
    case AST_OBJECT_VIEW: rc = of_view(x, name, &id); break;
    case AST_OBJECT_INDEX:
        ix = catalog_index(x->t->catalog, name->text, &t);
        id = ix != NULL ? ix->id : 0;
        rc = ix == NULL ? missing(x, "index", name) : t->is_system ? read_only(x, name) : QUARTET_OK;
        break;
    case AST_OBJECT_TRIGGER:
        trigger = catalog_trigger(x->t->catalog, name->text);
        id = trigger != NULL ? trigger->id : 0;
        rc = trigger == NULL ? missing(x, "trigger", name) : QUARTET_OK;
        break;
    default: return ddl_unsupported(x, "COMMENT ON DATABASE");
    }
    if (rc == QUARTET_OK)
        rc = ddl_put_comment(x, id, column, c->text != NULL ? c->text : "");
    return rc == QUARTET_OK ? txn_catalog_refresh(x->t, x->err) : rc;
}
