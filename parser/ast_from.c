/* ast_from.c - constructors of FROM: sources and how they are joined. */
#include "parser/ast_build.h"

static struct ast_from *from_new(struct parse_ctx *cx, enum ast_from_kind kind, uint32_t offset,
                                 uint32_t children)
{
    struct ast_from *f = ast_alloc(cx, sizeof *f);
    f->kind = (uint8_t)kind;
    f->offset = offset;
    f->height = ast_height(cx, children, offset);
    return f;
}

static void from_name(struct ast_from *f, const struct ast_qname *name)
{
    f->name = *name;
    f->offset = name->schema.text != NULL ? name->schema.offset : name->name.offset;
}

struct ast_from *ast_from_table(struct parse_ctx *cx, struct ast_qname *name, struct ast_hint hint)
{
    struct ast_from *f = from_new(cx, AST_FROM_TABLE, 0, 0);
    if (cx->rc != QUARTET_OK)
        return f;
    from_name(f, name);
    f->indexed_by.text = hint.indexed_by;
    f->not_indexed = hint.not_indexed;
    return f;
}

struct ast_from *ast_from_function(struct parse_ctx *cx, struct ast_qname *name,
                                   struct ast_exprs *args, bool lateral)
{
    if (cx->rc != QUARTET_OK)
        return ast_alloc(cx, sizeof(struct ast_from));
    struct ast_from *f = from_new(cx, AST_FROM_FUNCTION, 0, ast_exprs_height(args));
    from_name(f, name);
    if (args != NULL)
        f->args = *args;
    f->lateral = lateral;
    return f;
}

struct ast_from *ast_from_query(struct parse_ctx *cx, struct ast_query *q, bool lateral)
{
    if (cx->rc != QUARTET_OK)
        return ast_alloc(cx, sizeof(struct ast_from));
    struct ast_from *f = from_new(cx, AST_FROM_QUERY, q->offset, q->height);
    f->query = q;
    f->lateral = lateral;
    return f;
}

struct ast_from *ast_from_nested(struct parse_ctx *cx, struct token t, struct ast_from_list *list)
{
    if (cx->rc != QUARTET_OK)
        return ast_alloc(cx, sizeof(struct ast_from));
    struct ast_from *f = from_new(cx, AST_FROM_JOIN, t.offset, ast_from_height(list));
    f->nested = list;
    return f;
}

void ast_from_alias(struct parse_ctx *cx, struct ast_from *f, struct ast_name alias,
                    struct ast_names *columns)
{
    if (cx->rc != QUARTET_OK)
        return;
    f->alias = alias;
    if (columns != NULL)
        f->column_aliases = *columns;
}

void ast_from_as_of(struct parse_ctx *cx, struct ast_from *f, struct ast_as_of_value as_of)
{
    if (cx->rc != QUARTET_OK)
        return;
    f->as_of = as_of.kind;
    f->as_of_expr = as_of.expr;
    f->height = ast_height(cx, ast_max(f->height - 1u, as_of.expr->height), f->offset);
}

struct ast_from_list *ast_from_add(struct parse_ctx *cx, struct ast_from_list *list,
                                   struct ast_from *f, enum ast_join join)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_from **item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return list;
    list->item = item;
    item[list->count++] = f;
    f->join = (uint8_t)join;
    return list;
}

struct ast_from_list *ast_from_join(struct parse_ctx *cx, struct ast_from_list *list,
                                    struct ast_from *f, int join, struct ast_join_on on)
{
    list = ast_from_add(cx, list, f, (enum ast_join)(join & ~AST_JOIN_NATURAL));
    if (cx->rc != QUARTET_OK)
        return list;
    f->natural = (join & AST_JOIN_NATURAL) != 0;
    if (f->natural && (on.on != NULL || on.columns != NULL)) {
        parse_ctx_fail(cx, QUARTET_ERROR, f->offset, "a NATURAL join has neither ON nor USING");
        return list;
    }
    f->on = on.on;
    if (on.columns != NULL)
        f->using_columns = *on.columns;
    if (on.on != NULL)
        f->height = ast_height(cx, ast_max(f->height - 1u, on.on->height), f->offset);
    return list;
}

struct ast_join_on ast_join_on(struct ast_expr *on, struct ast_names *columns)
{
    return (struct ast_join_on){.on = on, .columns = columns};
}

struct ast_hint ast_no_hint(void)
{
    return (struct ast_hint){.indexed_by = NULL, .not_indexed = false};
}

struct ast_hint ast_hint(struct ast_name indexed_by)
{
    return (struct ast_hint){.indexed_by = indexed_by.text, .not_indexed = indexed_by.text == NULL};
}

struct ast_as_of_value ast_as_of(enum ast_as_of kind, struct ast_expr *e)
{
    return (struct ast_as_of_value){.expr = e, .kind = (uint8_t)kind};
}

uint32_t ast_from_height(const struct ast_from_list *list)
{
    uint32_t h = 0;
    for (uint32_t i = 0; list != NULL && i < list->count; i++)
        h = ast_max(h, list->item[i]->height);
    return h;
}
