/* ast_schema.c - constructors of CREATE INDEX, VIEW, TRIGGER, of DROP and ALTER. */
#include "parser/ast_build.h"

struct ast_stmt *ast_create_index(struct parse_ctx *cx, int unique, int if_not_exists,
                                  struct ast_qname *name, struct ast_qname *table)
{
    struct ast_create_index *i = ast_alloc(cx, sizeof *i);
    struct ast_stmt *s = ast_stmt(cx, AST_STMT_CREATE_INDEX, i);
    if (cx->rc != QUARTET_OK)
        return s;
    i->unique = unique != 0;
    i->if_not_exists = if_not_exists != 0;
    if (name != NULL)
        i->name = *name;
    i->table = *table;
    return s;
}

void ast_create_index_columns(struct parse_ctx *cx, struct ast_stmt *s, struct ast_name method,
                              struct ast_orders *columns, struct ast_expr *where)
{
    if (cx->rc != QUARTET_OK)
        return;
    s->u.create_index->method = method;
    s->u.create_index->columns = *columns;
    s->u.create_index->where = where;
}

struct ast_stmt *ast_create_view(struct parse_ctx *cx, int temporary, int if_not_exists,
                                 int or_replace, struct ast_qname *name, struct ast_names *columns,
                                 struct ast_query *q)
{
    struct ast_create_view *v = ast_alloc(cx, sizeof *v);
    struct ast_stmt *s = ast_stmt(cx, AST_STMT_CREATE_VIEW, v);
    if (cx->rc != QUARTET_OK)
        return s;
    v->temporary = temporary != 0;
    v->if_not_exists = if_not_exists != 0;
    v->or_replace = or_replace != 0;
    v->name = *name;
    if (columns != NULL)
        v->columns = *columns;
    v->query = q;
    return s;
}

/* ---- triggers ---- */

struct ast_stmt *ast_create_trigger(struct parse_ctx *cx, int temporary, int if_not_exists,
                                    struct ast_qname *name, struct ast_qname *table)
{
    struct ast_create_trigger *t = ast_alloc(cx, sizeof *t);
    struct ast_stmt *s = ast_stmt(cx, AST_STMT_CREATE_TRIGGER, t);
    if (cx->rc != QUARTET_OK)
        return s;
    t->temporary = temporary != 0;
    t->if_not_exists = if_not_exists != 0;
    t->name = *name;
    t->table = *table;
    return s;
}

void ast_create_trigger_when(struct parse_ctx *cx, struct ast_stmt *s, int time,
                             struct ast_event event, int for_each_row, struct ast_expr *when)
{
    if (cx->rc != QUARTET_OK)
        return;
    struct ast_create_trigger *t = s->u.create_trigger;
    t->time = (uint8_t)time;
    t->event = event.event;
    if (event.columns != NULL)
        t->update_of = *event.columns;
    t->for_each_row = for_each_row != 0;
    t->when = when;
}

void ast_create_trigger_body(struct parse_ctx *cx, struct ast_stmt *s, struct ast_body *body)
{
    if (cx->rc != QUARTET_OK)
        return;
    s->u.create_trigger->body = body->item;
    s->u.create_trigger->body_count = body->count;
    s->u.create_trigger->body_cap = body->cap;
    if (cx->params.count > 0)
        parse_ctx_fail(cx, QUARTET_ERROR, cx->begin,
                       "a trigger is stored and cannot hold parameters");
}

struct ast_event ast_event(enum ast_trigger_event event, struct ast_names *columns)
{
    return (struct ast_event){.columns = columns, .event = (uint8_t)event};
}

struct ast_body *ast_body_add(struct parse_ctx *cx, struct ast_body *body, struct ast_stmt *s)
{
    if (body == NULL)
        body = ast_alloc(cx, sizeof *body);
    struct ast_stmt **item = ast_grow(cx, body->item, body->count, &body->cap, sizeof *item);
    if (item == NULL)
        return body;
    body->item = item;
    item[body->count++] = s;
    return body;
}

/* ---- DROP ---- */

struct ast_stmt *ast_drop(struct parse_ctx *cx, int object, int if_exists, struct ast_qnames *names,
                          struct ast_qname *on_table, int behaviour)
{
    struct ast_drop *d = ast_alloc(cx, sizeof *d);
    struct ast_stmt *s = ast_stmt(cx, AST_STMT_DROP, d);
    if (cx->rc != QUARTET_OK)
        return s;
    d->object = (uint8_t)object;
    d->if_exists = if_exists != 0;
    d->behaviour = (uint8_t)behaviour;
    d->names = *names;
    if (on_table != NULL)
        d->on_table = *on_table;
    return s;
}

/* ---- ALTER ---- */

struct ast_stmt *ast_alter(struct parse_ctx *cx, struct ast_qname *table, int if_exists,
                           struct ast_alter *actions)
{
    if (cx->rc == QUARTET_OK) {
        actions->table = *table;
        actions->if_exists = if_exists != 0;
    }
    return ast_stmt(cx, AST_STMT_ALTER_TABLE, actions);
}

struct ast_alter *ast_alter_add(struct parse_ctx *cx, struct ast_alter *list,
                                struct ast_alter_action *a)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_alter_action *item =
        ast_grow(cx, list->action, list->action_count, &list->action_cap, sizeof *item);
    if (item == NULL)
        return list;
    list->action = item;
    item[list->action_count++] = *a;
    return list;
}

static struct ast_alter_action *action_new(struct parse_ctx *cx, enum ast_alter_kind kind)
{
    struct ast_alter_action *a = ast_alloc(cx, sizeof *a);
    a->kind = (uint8_t)kind;
    return a;
}

struct ast_alter_action *ast_alter_column(struct parse_ctx *cx, struct ast_column_def *column,
                                          int if_not_exists)
{
    struct ast_alter_action *a = action_new(cx, AST_ALTER_ADD_COLUMN);
    if (cx->rc != QUARTET_OK)
        return a;
    a->column = column;
    a->name = column->name;
    a->if_not_exists = if_not_exists != 0;
    return a;
}

struct ast_alter_action *ast_alter_constraint(struct parse_ctx *cx, struct ast_constraint *c)
{
    struct ast_alter_action *a = action_new(cx, AST_ALTER_ADD_CONSTRAINT);
    a->constraint = c;
    return a;
}

struct ast_alter_action *ast_alter_drop(struct parse_ctx *cx, enum ast_alter_kind kind,
                                        struct ast_name name, int if_exists, int behaviour)
{
    struct ast_alter_action *a = action_new(cx, kind);
    a->name = name;
    a->if_exists = if_exists != 0;
    a->behaviour = (uint8_t)behaviour;
    return a;
}

struct ast_alter_action *ast_alter_rename(struct parse_ctx *cx, enum ast_alter_kind kind,
                                          struct ast_name from, struct ast_name to)
{
    struct ast_alter_action *a = action_new(cx, kind);
    a->name = from;
    a->new_name = to;
    return a;
}

struct ast_alter_action *ast_alter_default(struct parse_ctx *cx, struct ast_name name,
                                           struct ast_expr *e)
{
    struct ast_alter_action *a = action_new(cx, AST_ALTER_SET_DEFAULT);
    a->name = name;
    a->value = e;
    return a;
}

struct ast_alter_action *ast_alter_simple(struct parse_ctx *cx, enum ast_alter_kind kind,
                                          struct ast_name name, int detail)
{
    struct ast_alter_action *a = action_new(cx, kind);
    a->name = name;
    if (kind == AST_ALTER_SET_KIND)
        a->column_kind = (uint8_t)detail;
    else
        a->enable = detail != 0;
    return a;
}

struct ast_alter_action *ast_alter_type(struct parse_ctx *cx, struct ast_name name,
                                        struct ast_type *type)
{
    struct ast_alter_action *a = action_new(cx, AST_ALTER_SET_TYPE);
    if (cx->rc != QUARTET_OK)
        return a;
    a->name = name;
    a->type = *type;
    return a;
}
