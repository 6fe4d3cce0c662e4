/* ast_print_stmt.c - statements back to SQL: writing, CREATE, DROP, ALTER. */
#include "parser/ast_print.h"

/* ---- writing ---- */

static void print_assigns(struct printer *p, const struct ast_assigns *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct ast_assign *a = &set->item[i];
        buf_str(p->out, i > 0 ? ", " : "");
        if (a->table.text != NULL) {
            print_name(p, &a->table);
            buf_str(p->out, ".");
        }
        bool row = a->columns.count > 1;
        buf_str(p->out, row ? "(" : "");
        print_names(p, &a->columns);
        buf_str(p->out, row ? ") = " : " = ");
        print_expr(p, a->value);
    }
}

static void print_where(struct printer *p, const struct ast_expr *where)
{
    if (where == NULL)
        return;
    buf_str(p->out, " WHERE ");
    print_expr(p, where);
}

static void print_returning(struct printer *p, const struct ast_results *list)
{
    if (list->count == 0)
        return;
    buf_str(p->out, " RETURNING ");
    print_results(p, list);
}

static void print_upsert(struct printer *p, const struct ast_upsert *u)
{
    if (u->duplicate_key) {
        buf_str(p->out, " ON DUPLICATE KEY UPDATE ");
        print_assigns(p, &u->set);
        return;
    }
    buf_str(p->out, " ON CONFLICT ");
    if (u->constraint.text != NULL) {
        buf_str(p->out, "ON CONSTRAINT ");
        print_name(p, &u->constraint);
        buf_str(p->out, " ");
    } else if (u->target.count > 0) {
        buf_str(p->out, "(");
        print_orders(p, &u->target);
        buf_str(p->out, ")");
        print_where(p, u->target_where);
        buf_str(p->out, " ");
    }
    if (!u->do_update) {
        buf_str(p->out, "DO NOTHING");
        return;
    }
    buf_str(p->out, "DO UPDATE SET ");
    print_assigns(p, &u->set);
    print_where(p, u->where);
}

static void print_insert(struct printer *p, const struct ast_insert *n)
{
    print_with(p, n->with);
    buf_str(p->out, "INSERT ");
    print_conflict(p, "OR ", n->conflict);
    buf_str(p->out, n->conflict != AST_CONFLICT_DEFAULT ? " INTO " : "INTO ");
    print_qname(p, &n->table);
    if (n->alias.text != NULL) {
        buf_str(p->out, " AS ");
        print_name(p, &n->alias);
    }
    if (n->columns.count > 0) {
        buf_str(p->out, " (");
        print_names(p, &n->columns);
        buf_str(p->out, ")");
    }
    buf_str(p->out, " ");
    if (n->source != NULL)
        print_query(p, n->source);
    else
        buf_str(p->out, "DEFAULT VALUES");
    for (uint32_t i = 0; i < n->upsert_count; i++)
        print_upsert(p, n->upsert[i]);
    print_returning(p, &n->returning);
}

static void print_order_limit(struct printer *p, const struct ast_orders *orders,
                              const struct ast_expr *limit, const struct ast_expr *offset)
{
    if (orders->count > 0) {
        buf_str(p->out, " ORDER BY ");
        print_orders(p, orders);
    }
    print_limit(p, limit, offset);
}

static void print_update(struct printer *p, const struct ast_update *u)
{
    print_with(p, u->with);
    buf_str(p->out, "UPDATE ");
    print_conflict(p, "OR ", u->conflict);
    buf_str(p->out, u->conflict != AST_CONFLICT_DEFAULT ? " " : "");
    print_from_item(p, u->table);
    buf_str(p->out, " SET ");
    print_assigns(p, &u->set);
    if (u->from.count > 0) {
        buf_str(p->out, " FROM ");
        print_from(p, &u->from);
    }
    print_where(p, u->where);
    print_order_limit(p, &u->order_by, u->limit, u->limit_offset);
    print_returning(p, &u->returning);
}

static void print_delete(struct printer *p, const struct ast_delete *d)
{
    print_with(p, d->with);
    buf_str(p->out, "DELETE FROM ");
    print_from_item(p, d->table);
    if (d->using_from.count > 0) {
        buf_str(p->out, " USING ");
        print_from(p, &d->using_from);
    }
    print_where(p, d->where);
    print_order_limit(p, &d->order_by, d->limit, d->limit_offset);
    print_returning(p, &d->returning);
}

/* ---- schema ---- */

static void print_create_index(struct printer *p, const struct ast_create_index *i)
{
    buf_str(p->out, i->unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ");
    buf_str(p->out, i->if_not_exists ? "IF NOT EXISTS " : "");
    if (i->name.name.text != NULL) {
        print_qname(p, &i->name);
        buf_str(p->out, " ");
    }
    buf_str(p->out, "ON ");
    print_qname(p, &i->table);
    if (i->method.text != NULL) {
        buf_str(p->out, " USING ");
        print_name(p, &i->method);
    }
    buf_str(p->out, " (");
    print_orders(p, &i->columns);
    buf_str(p->out, ")");
    print_where(p, i->where);
}

static void print_create_view(struct printer *p, const struct ast_create_view *v)
{
    buf_str(p->out, v->or_replace ? "CREATE OR REPLACE " : "CREATE ");
    buf_str(p->out, v->temporary ? "TEMPORARY VIEW " : "VIEW ");
    buf_str(p->out, v->if_not_exists ? "IF NOT EXISTS " : "");
    print_qname(p, &v->name);
    if (v->columns.count > 0) {
        buf_str(p->out, " (");
        print_names(p, &v->columns);
        buf_str(p->out, ")");
    }
    buf_str(p->out, " AS ");
    print_query(p, v->query);
}

static void print_create_trigger(struct printer *p, const struct ast_create_trigger *t)
{
    static const char *const times[] = {" ", " BEFORE ", " AFTER ", " INSTEAD OF "};
    static const char *const events[] = {"INSERT", "UPDATE", "DELETE"};
    buf_str(p->out, t->temporary ? "CREATE TEMPORARY TRIGGER " : "CREATE TRIGGER ");
    buf_str(p->out, t->if_not_exists ? "IF NOT EXISTS " : "");
    print_qname(p, &t->name);
    buf_printf(p->out, "%s%s", times[t->time], events[t->event]);
    if (t->update_of.count > 0) {
        buf_str(p->out, " OF ");
        print_names(p, &t->update_of);
    }
    buf_str(p->out, " ON ");
    print_qname(p, &t->table);
    buf_str(p->out, t->for_each_row ? " FOR EACH ROW" : "");
    if (t->when != NULL) {
        buf_str(p->out, " WHEN ");
        print_expr(p, t->when);
    }
    buf_str(p->out, " BEGIN ");
    for (uint32_t i = 0; i < t->body_count; i++) {
        print_stmt(p, t->body[i]);
        buf_str(p->out, "; ");
    }
    buf_str(p->out, "END");
}

static void print_behaviour(struct printer *p, uint8_t behaviour)
{
    buf_str(p->out, behaviour == 1 ? " RESTRICT" : behaviour == 2 ? " CASCADE" : "");
}

static void print_drop(struct printer *p, const struct ast_drop *d)
{
    static const char *const objects[] = {"TABLE",   "INDEX",  "VIEW",
                                          "TRIGGER", "COLUMN", "DATABASE"};
    buf_printf(p->out, "DROP %s %s", objects[d->object], d->if_exists ? "IF EXISTS " : "");
    for (uint32_t i = 0; i < d->names.count; i++) {
        buf_str(p->out, i > 0 ? ", " : "");
        print_qname(p, &d->names.item[i]);
    }
    if (d->on_table.name.text != NULL) {
        buf_str(p->out, " ON ");
        print_qname(p, &d->on_table);
    }
    print_behaviour(p, d->behaviour);
}

/* What follows ALTER COLUMN name. */
static void print_alter_column(struct printer *p, const struct ast_alter_action *a)
{
    static const char *const kinds[] = {"LWW",     "COUNTER", "MAXIMUM",
                                        "MINIMUM", "SET",     "MULTIVALUE"};
    buf_str(p->out, "ALTER COLUMN ");
    print_name(p, &a->name);
    switch ((enum ast_alter_kind)a->kind) {
    case AST_ALTER_SET_DEFAULT:
        buf_str(p->out, " SET DEFAULT ");
        print_default(p, a->value);
        break;
    case AST_ALTER_DROP_DEFAULT:
        buf_str(p->out, " DROP DEFAULT");
        break;
    case AST_ALTER_SET_NOT_NULL:
        buf_str(p->out, " SET NOT NULL");
        break;
    case AST_ALTER_DROP_NOT_NULL:
        buf_str(p->out, " DROP NOT NULL");
        break;
    case AST_ALTER_SET_KIND:
        buf_printf(p->out, " SET %s", kinds[a->column_kind]);
        break;
    case AST_ALTER_SET_TYPE:
        buf_str(p->out, " TYPE ");
        print_type(p, &a->type);
        break;
    default:
        break;
    }
}

static void print_alter_action(struct printer *p, const struct ast_alter_action *a)
{
    switch ((enum ast_alter_kind)a->kind) {
    case AST_ALTER_ADD_COLUMN:
        buf_str(p->out, a->if_not_exists ? "ADD COLUMN IF NOT EXISTS " : "ADD COLUMN ");
        print_column_def(p, a->column);
        break;
    case AST_ALTER_ADD_CONSTRAINT:
        buf_str(p->out, "ADD ");
        print_constraint(p, a->constraint);
        break;
    case AST_ALTER_DROP_COLUMN:
    case AST_ALTER_DROP_CONSTRAINT:
        buf_str(p->out, a->kind == AST_ALTER_DROP_COLUMN ? "DROP COLUMN " : "DROP CONSTRAINT ");
        buf_str(p->out, a->if_exists ? "IF EXISTS " : "");
        print_name(p, &a->name);
        print_behaviour(p, a->behaviour);
        break;
    case AST_ALTER_RENAME_TABLE:
        buf_str(p->out, "RENAME TO ");
        print_name(p, &a->new_name);
        break;
    case AST_ALTER_RENAME_COLUMN:
        buf_str(p->out, "RENAME COLUMN ");
        print_name(p, &a->name);
        buf_str(p->out, " TO ");
        print_name(p, &a->new_name);
        break;
    case AST_ALTER_UPDATES_WIN:
        buf_str(p->out, a->enable ? "UPDATES WIN" : "UPDATES LOSE");
        break;
    default:
        print_alter_column(p, a);
        break;
    }
}

static void print_alter(struct printer *p, const struct ast_alter *a)
{
    buf_str(p->out, a->if_exists ? "ALTER TABLE IF EXISTS " : "ALTER TABLE ");
    print_qname(p, &a->table);
    for (uint32_t i = 0; i < a->action_count; i++) {
        buf_str(p->out, i > 0 ? ", " : " ");
        print_alter_action(p, &a->action[i]);
    }
}

/* ---- all ---- */

void print_stmt(struct printer *p, const struct ast_stmt *s)
{
    static const char *const explains[] = {"", "EXPLAIN ", "EXPLAIN ANALYZE ", "EXPLAIN MERGE "};
    buf_str(p->out, explains[s->explain]);
    switch ((enum ast_stmt_kind)s->kind) {
    case AST_STMT_SELECT:
        print_query(p, s->u.query);
        break;
    case AST_STMT_INSERT:
        print_insert(p, s->u.insert);
        break;
    case AST_STMT_UPDATE:
        print_update(p, s->u.update);
        break;
    case AST_STMT_DELETE:
        print_delete(p, s->u.del);
        break;
    case AST_STMT_CREATE_TABLE:
        print_create_table(p, s->u.create_table);
        break;
    case AST_STMT_CREATE_INDEX:
        print_create_index(p, s->u.create_index);
        break;
    case AST_STMT_CREATE_VIEW:
        print_create_view(p, s->u.create_view);
        break;
    case AST_STMT_CREATE_TRIGGER:
        print_create_trigger(p, s->u.create_trigger);
        break;
    case AST_STMT_DROP:
        print_drop(p, s->u.drop);
        break;
    case AST_STMT_ALTER_TABLE:
        print_alter(p, s->u.alter);
        break;
    default:
        print_command(p, s);
        break;
    }
}

void ast_print_stmt(const struct ast_stmt *stmt, struct buf *out)
{
    struct printer p = {.out = out, .params = &stmt->params};
    print_stmt(&p, stmt);
}
