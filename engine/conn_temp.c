/* conn_temp.c - temporary tables and views: which statements are about them, and the database in memory in which a session keeps them.
 * Why it is opened by the first of them: nearly no session has any.
 * Invariants: what goes there is told by TEMPORARY, by the schema temp, or by a name that the session has given; nothing of it is logged, shipped or seen by others.
 * Not here: how its rows are found (txn_temp.c), what names mean in queries (bind_from.c). */
#include "conn_internal.h"

#include <strings.h>

quartet_status conn_temp_begin(conn *c, txn *t, struct err *err)
{
    return c->temp != NULL ? txn_temp_begin(t, c->temp, &c->temp_known, err) : QUARTET_OK;
}

static quartet_status make(conn *c, txn *t, struct err *err)
{
    struct db_options o = {.in_memory = true};
    quartet_status rc = QUARTET_OK;
    if (c->temp == NULL) {
        rc = db_open(db_env(c->d), NULL, &o, &c->temp, err);
        if (rc == QUARTET_OK)
            c->temp->temporary = true;
    }
    return rc == QUARTET_OK && t->temp == NULL ? conn_temp_begin(c, t, err) : rc;
}

void conn_temp_close(conn *c)
{
    struct err err = ERR_INIT;
    catalog_unref(c->temp_known);
    if (c->temp != NULL)
        (void)db_close(c->temp, &err); /* in memory: there is nothing to lose but what goes anyway */
    c->temp = NULL;
    c->temp_known = NULL;
}

/* The shared database first: only it can be overtaken. What the other one can lack then is memory. */
quartet_status conn_txn_commit(txn *t, hlc_stamp *stamp, struct err *err)
{
    txn *temp = t->temp;
    t->temp = NULL;
    quartet_status rc = txn_commit_stamped(t, stamp, err);
    if (rc != QUARTET_OK) {
        txn_rollback(temp);
        return rc;
    }
    rc = temp != NULL ? txn_commit(temp, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        err_prefix(err, "the transaction is committed, but for its changes to temporary tables");
    return rc;
}

static bool is_temp(const txn *t, const struct ast_qname *q)
{
    const struct catalog *temp = catalog_temp(t->catalog);
    if (q->schema.text != NULL)
        return strcasecmp(q->schema.text, "temp") == 0;
    if (temp == NULL)
        return false;
    const struct table_def *table = catalog_table(temp, q->name.text);
    const struct view_def *view = catalog_view(temp, q->name.text);
    return (table != NULL && !table->is_system) || (view != NULL && !view->is_system);
}

static bool is_temp_index(const txn *t, const struct ast_qname *q)
{
    const struct catalog *temp = catalog_temp(t->catalog);
    const struct table_def *table;
    if (q->schema.text != NULL)
        return strcasecmp(q->schema.text, "temp") == 0;
    return temp != NULL && catalog_index(temp, q->name.text, &table) != NULL;
}

/* All of one DROP are of one kind: it is one statement in one of the two. */
static quartet_status drop_goes(const txn *t, const struct ast_drop *d, bool *temp, struct err *err)
{
    bool (*test)(const txn *, const struct ast_qname *) = d->object == AST_OBJECT_INDEX ? is_temp_index : is_temp;
    *temp = d->object != AST_OBJECT_TRIGGER && test(t, &d->names.item[0]);
    for (uint32_t i = 1; i < d->names.count && d->object != AST_OBJECT_TRIGGER; i++)
        if (test(t, &d->names.item[i]) != *temp)
            return err_set_at(err, QUARTET_ERROR, d->names.item[i].name.offset, "%s and %s: one is temporary, the other is not; drop them one by one", d->names.item[0].name.text,
                              d->names.item[i].name.text);
    return QUARTET_OK;
}

static quartet_status goes_to_temp(const txn *t, const struct ast_stmt *stmt, bool *temp, struct err *err)
{
    const struct ast_qname *q;
    *temp = false;
    switch (stmt->kind) {
    case AST_STMT_CREATE_TABLE:
        *temp = stmt->u.create_table->temporary;
        break;
    case AST_STMT_CREATE_VIEW:
        *temp = stmt->u.create_view->temporary;
        break;
    case AST_STMT_CREATE_INDEX:
        *temp = is_temp(t, &stmt->u.create_index->table);
        break;
    case AST_STMT_CREATE_TRIGGER:
        q = &stmt->u.create_trigger->table;
        return is_temp(t, q) ? err_set_at(err, QUARTET_ERROR, q->name.offset, "%s is temporary: it can have no triggers", q->name.text) : QUARTET_OK;
    case AST_STMT_ALTER_TABLE:
        *temp = is_temp(t, &stmt->u.alter->table);
        break;
    case AST_STMT_DROP:
        return drop_goes(t, stmt->u.drop, temp, err);
    case AST_STMT_COMMENT:
        q = &stmt->u.comment->name;
        *temp = stmt->u.comment->object == AST_OBJECT_INDEX ? is_temp_index(t, q) : is_temp(t, q);
        break;
    default:
        break;
    }
    return QUARTET_OK;
}

quartet_status conn_ddl(conn *c, txn *t, const struct ast_stmt *stmt, struct arena *a, const char **warning, struct err *err)
{
    bool temp;
    quartet_status rc = goes_to_temp(t, stmt, &temp, err);
    if (rc != QUARTET_OK || !temp)
        return rc == QUARTET_OK ? ddl_run(t, stmt, a, warning, err) : rc;
    rc = make(c, t, err);
    if (rc == QUARTET_OK)
        rc = ddl_run_with(t->temp, t->catalog, stmt, a, warning, err);
    return rc == QUARTET_OK ? txn_temp_changed(t, err) : rc;
}
