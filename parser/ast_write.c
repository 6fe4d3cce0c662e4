/* ast_write.c - constructors of INSERT, UPDATE, DELETE and of statements as such. */
#include "parser/ast_build.h"

struct ast_stmt *ast_stmt(struct parse_ctx *cx, enum ast_stmt_kind kind, void *body)
{
    struct ast_stmt *s = ast_alloc(cx, sizeof *s);
    s->kind = (uint8_t)kind;
    s->u.any = body;
    return s;
}

/* ---- INSERT ---- */

struct ast_stmt *ast_insert(struct parse_ctx *cx, int conflict, struct ast_qname *table,
                            struct ast_name alias, struct ast_names *columns,
                            struct ast_query *source, struct ast_upserts *upserts)
{
    struct ast_insert *n = ast_alloc(cx, sizeof *n);
    struct ast_stmt *s = ast_stmt(cx, AST_STMT_INSERT, n);
    if (cx->rc != QUARTET_OK)
        return s;
    n->conflict = (uint8_t)conflict;
    n->table = *table;
    n->alias = alias;
    if (columns != NULL)
        n->columns = *columns;
    n->source = source;
    if (upserts != NULL) {
        n->upsert = upserts->item;
        n->upsert_count = upserts->count;
        n->upsert_cap = upserts->cap;
    }
    return s;
}

/* MySQL's INSERT INTO t SET a = 1, b = 2: one row of VALUES. */
struct ast_stmt *ast_insert_set(struct parse_ctx *cx, int conflict, struct ast_qname *table,
                                struct ast_name alias, struct token t, struct ast_assigns *set,
                                struct ast_upserts *upserts)
{
    struct ast_names *columns = NULL;
    struct ast_exprs *row = NULL;
    for (uint32_t i = 0; cx->rc == QUARTET_OK && i < set->count; i++) {
        const struct ast_assign *a = &set->item[i];
        if (a->columns.count != 1) {
            parse_ctx_fail(cx, QUARTET_ERROR, a->columns.item[0].offset,
                           "INSERT .. SET takes one column at a time");
            break;
        }
        columns = ast_names_add(cx, columns, a->columns.item[0]);
        row = ast_exprs_add(cx, row, a->value);
    }
    struct ast_query *source =
        cx->rc == QUARTET_OK ? ast_values(cx, t, ast_rows_add(cx, NULL, row)) : NULL;
    return ast_insert(cx, conflict, table, alias, columns, source, upserts);
}

struct ast_upserts *ast_upserts_add(struct parse_ctx *cx, struct ast_upserts *list,
                                    struct ast_upsert *u)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_upsert **item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return list;
    list->item = item;
    item[list->count++] = u;
    return list;
}

struct ast_upsert *ast_upsert(struct parse_ctx *cx, struct ast_orders *target,
                              struct ast_expr *where)
{
    struct ast_upsert *u = ast_alloc(cx, sizeof *u);
    if (cx->rc != QUARTET_OK)
        return u;
    if (target != NULL)
        u->target = *target;
    u->target_where = where;
    return u;
}

struct ast_upsert *ast_upsert_update(struct parse_ctx *cx, struct ast_upsert *u,
                                     struct ast_assigns *set, struct ast_expr *where)
{
    if (cx->rc != QUARTET_OK)
        return u;
    u->do_update = true;
    u->set = *set;
    u->where = where;
    return u;
}

struct ast_upsert *ast_upsert_constraint(struct parse_ctx *cx, struct ast_name name)
{
    struct ast_upsert *u = ast_upsert(cx, NULL, NULL);
    u->constraint = name;
    return u;
}

struct ast_upsert *ast_upsert_duplicate(struct parse_ctx *cx, struct ast_assigns *set)
{
    struct ast_upsert *u = ast_upsert_update(cx, ast_upsert(cx, NULL, NULL), set, NULL);
    u->duplicate_key = true;
    return u;
}

/* ---- SET ---- */

struct ast_assign *ast_assign(struct parse_ctx *cx, struct ast_name table,
                              struct ast_names *columns, struct ast_expr *value)
{
    struct ast_assign *a = ast_alloc(cx, sizeof *a);
    if (cx->rc != QUARTET_OK)
        return a;
    if (columns->count > 1 && value->kind == AST_EXPR_ROW &&
        value->u.list.count != columns->count) {
        parse_ctx_fail(cx, QUARTET_ERROR, value->offset, "%u columns are set to %u values",
                       columns->count, value->u.list.count);
        return a;
    }
    *a = (struct ast_assign){.columns = *columns, .table = table, .value = value};
    return a;
}

struct ast_assigns *ast_assigns_add(struct parse_ctx *cx, struct ast_assigns *list,
                                    struct ast_assign *a)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_assign *item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return list;
    list->item = item;
    item[list->count++] = *a;
    return list;
}

/* ---- UPDATE, DELETE ---- */

struct ast_stmt *ast_update(struct parse_ctx *cx, int conflict, struct ast_from *table,
                            struct ast_assigns *set)
{
    struct ast_update *n = ast_alloc(cx, sizeof *n);
    struct ast_stmt *s = ast_stmt(cx, AST_STMT_UPDATE, n);
    if (cx->rc != QUARTET_OK)
        return s;
    n->conflict = (uint8_t)conflict;
    n->table = table;
    n->set = *set;
    return s;
}

struct ast_stmt *ast_delete(struct parse_ctx *cx, struct ast_from *table)
{
    struct ast_delete *n = ast_alloc(cx, sizeof *n);
    struct ast_stmt *s = ast_stmt(cx, AST_STMT_DELETE, n);
    if (cx->rc == QUARTET_OK)
        n->table = table;
    return s;
}

void ast_write_where(struct parse_ctx *cx, struct ast_stmt *s, struct ast_from_list *from,
                     struct ast_expr *where, struct ast_orders *orders, struct ast_limit *limit)
{
    if (cx->rc != QUARTET_OK)
        return;
    const struct ast_orders none = {.count = 0};
    const struct ast_from_list no_from = {.count = 0};
    const struct ast_limit bounds = limit != NULL ? *limit : (struct ast_limit){.count = NULL};
    if (s->kind == AST_STMT_UPDATE) {
        struct ast_update *u = s->u.update;
        u->from = from != NULL ? *from : no_from;
        u->where = where;
        u->order_by = orders != NULL ? *orders : none;
        u->limit = bounds.count;
        u->limit_offset = bounds.offset;
    } else {
        struct ast_delete *d = s->u.del;
        d->using_from = from != NULL ? *from : no_from;
        d->where = where;
        d->order_by = orders != NULL ? *orders : none;
        d->limit = bounds.count;
        d->limit_offset = bounds.offset;
    }
}

void ast_write_returning(struct parse_ctx *cx, struct ast_stmt *s, struct ast_results *returning)
{
    if (cx->rc != QUARTET_OK || returning == NULL)
        return;
    if (s->kind == AST_STMT_INSERT)
        s->u.insert->returning = *returning;
    else if (s->kind == AST_STMT_UPDATE)
        s->u.update->returning = *returning;
    else
        s->u.del->returning = *returning;
}

struct ast_stmt *ast_write_with(struct parse_ctx *cx, struct ast_stmt *s, struct ast_with *with)
{
    if (cx->rc != QUARTET_OK)
        return s;
    if (s->kind == AST_STMT_INSERT)
        s->u.insert->with = with;
    else if (s->kind == AST_STMT_UPDATE)
        s->u.update->with = with;
    else
        s->u.del->with = with;
    return s;
}
