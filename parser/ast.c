/* ast.c - what all constructors of the tree stand on: memory, heights, names, lists, types.
 * Invariants: see ast_build.h about cx->sink; no list ever holds an item that was made after a
 * failure. Not here: what a construct means. */
#include "parser/ast_build.h"

#include <string.h>

void *ast_alloc_failed(struct parse_ctx *cx, size_t bytes)
{
    QASSERT(bytes <= sizeof cx->sink);
    if (cx->rc == QUARTET_OK)
        cx->rc = arena_fail(cx->arena, cx->err);
    return memset(cx->sink, 0, bytes);
}

void *ast_grow(struct parse_ctx *cx, void *items, uint32_t count, uint32_t *cap, size_t size)
{
    if (cx->rc != QUARTET_OK)
        return NULL;
    if (count < *cap)
        return items;
    uint32_t more = *cap == 0 ? 4 : *cap * 2; /* a text of 1 GB holds fewer than 2^30 items */
    void *p = arena_alloc(cx->arena, more * size);
    if (p == NULL) {
        cx->rc = arena_fail(cx->arena, cx->err);
        return NULL;
    }
    if (count > 0)
        memcpy(p, items, count * size);
    *cap = more;
    return p;
}

uint16_t ast_height(struct parse_ctx *cx, uint32_t children, uint32_t offset)
{
    if (children + 1 > cx->max_depth) {
        parse_ctx_fail(cx, QUARTET_LIMIT, offset,
                       "nested more than %u deep: the limit is max_expression_depth",
                       cx->max_depth);
        return 1;
    }
    return (uint16_t)(children + 1);
}

/* ---- names and texts ---- */

char *ast_unquote(struct parse_ctx *cx, struct token t, uint32_t *len)
{
    char *out = cx->rc == QUARTET_OK ? arena_alloc(cx->arena, t.n + 1) : NULL;
    *len = 0;
    if (out == NULL) {
        if (cx->rc == QUARTET_OK)
            cx->rc = arena_fail(cx->arena, cx->err);
        cx->sink[0] = '\0';
        return (char *)cx->sink;
    }
    char quote = t.p[0];
    if (quote != '"' && quote != '`' && quote != '[' && quote != '\'') {
        memcpy(out, t.p, t.n);
        *len = t.n;
    } else if (quote == '[') {
        memcpy(out, t.p + 1, t.n - 2);
        *len = t.n - 2;
    } else {
        uint32_t k = 0;
        for (uint32_t i = 1; i + 1 < t.n; i++) {
            out[k++] = t.p[i];
            if (t.p[i] == quote)
                i++; /* the second of a pair */
        }
        *len = k;
    }
    out[*len] = '\0';
    return out;
}

struct ast_name ast_name(struct parse_ctx *cx, struct token t)
{
    struct ast_name name = {.offset = t.offset};
    name.text = ast_unquote(cx, t, &name.len);
    return name;
}

struct ast_name ast_no_name(void)
{
    return (struct ast_name){.text = NULL};
}

const char *ast_text(struct parse_ctx *cx, struct token t)
{
    uint32_t len;
    return ast_unquote(cx, t, &len);
}

struct ast_qname *ast_qname(struct parse_ctx *cx, struct ast_name schema, struct ast_name name)
{
    struct ast_qname *q = ast_alloc(cx, sizeof *q);
    q->schema = schema;
    q->name = name;
    return q;
}

struct ast_span ast_here(const struct parse_ctx *cx)
{
    return (struct ast_span){.next = cx->tok.offset, .prev_end = cx->prev_end};
}

/* ---- lists: NULL is the empty one ---- */

struct ast_names *ast_names_add(struct parse_ctx *cx, struct ast_names *list, struct ast_name name)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_name *item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return list;
    list->item = item;
    item[list->count++] = name;
    return list;
}

struct ast_qnames *ast_qnames_add(struct parse_ctx *cx, struct ast_qnames *list,
                                  struct ast_qname *name)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_qname *item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return list;
    list->item = item;
    item[list->count++] = *name;
    return list;
}

struct ast_exprs *ast_exprs_add(struct parse_ctx *cx, struct ast_exprs *list, struct ast_expr *e)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_expr **item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return list;
    list->item = item;
    item[list->count++] = e;
    return list;
}

struct ast_orders *ast_orders_add(struct parse_ctx *cx, struct ast_orders *list, struct ast_order o)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_order *item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return list;
    list->item = item;
    item[list->count++] = o;
    return list;
}

struct ast_order ast_order(struct ast_expr *e, int dir, int nulls)
{
    return (struct ast_order){.expr = e, .dir = (uint8_t)dir, .nulls = (uint8_t)nulls};
}

struct ast_options *ast_options_add(struct parse_ctx *cx, struct ast_options *list,
                                    struct ast_option *o)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_option *item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return list;
    list->item = item;
    item[list->count++] = *o;
    return list;
}

/* ---- types ---- */

static char *join_words(struct parse_ctx *cx, const char *a, const char *b)
{
    char *text = cx->rc == QUARTET_OK ? arena_printf(cx->arena, "%s %s", a, b) : NULL;
    if (text == NULL && cx->rc == QUARTET_OK)
        cx->rc = arena_fail(cx->arena, cx->err);
    return text;
}

struct ast_type *ast_type_word(struct parse_ctx *cx, struct ast_type *type, struct ast_name word)
{
    if (cx->rc != QUARTET_OK)
        return ast_alloc(cx, sizeof *type);
    if (type == NULL) {
        type = ast_alloc(cx, sizeof *type);
        type->text = word.text;
        type->offset = word.offset;
        return type;
    }
    type->text = join_words(cx, type->text, word.text);
    return type;
}

static int32_t type_arg(struct parse_ctx *cx, const struct ast_expr *e)
{
    bool minus = e->kind == AST_EXPR_UNARY;
    const struct ast_expr *n = minus ? e->u.binary.left : e;
    if (n->kind != AST_EXPR_INTEGER || n->u.integer > INT32_MAX || n->u.integer < 0) {
        parse_ctx_fail(cx, QUARTET_ERROR, e->offset,
                       "a type's length or precision is a whole number up to %d", INT32_MAX);
        return 0;
    }
    return minus ? -(int32_t)n->u.integer : (int32_t)n->u.integer;
}

struct ast_type_args ast_type_args(struct parse_ctx *cx, int count, const struct ast_expr *a,
                                   const struct ast_expr *b)
{
    struct ast_type_args args = {.count = (uint8_t)count};
    if (cx->rc == QUARTET_OK && count > 0)
        args.arg[0] = type_arg(cx, a);
    if (cx->rc == QUARTET_OK && count > 1)
        args.arg[1] = type_arg(cx, b);
    return args;
}

struct ast_type *ast_type_finish(struct parse_ctx *cx, struct ast_type *type,
                                 struct ast_type_args args, const char *suffix)
{
    if (cx->rc != QUARTET_OK)
        return type;
    type->arg_count = args.count;
    type->arg[0] = args.arg[0];
    type->arg[1] = args.arg[1];
    if (suffix != NULL)
        type->text = join_words(cx, type->text, suffix);
    return type;
}

/* ---- names of what the tree is made of ---- */

const char *ast_expr_kind_name(enum ast_expr_kind kind)
{
    static const char *const names[] = {
#define X(name) #name,
        AST_EXPR_KINDS(X)
#undef X
    };
    QASSERT(kind < AST_EXPR_KIND_COUNT);
    return names[kind];
}

const char *ast_stmt_kind_name(enum ast_stmt_kind kind)
{
    static const char *const names[] = {
#define X(name, member, type) #name,
        AST_STMT_KINDS(X)
#undef X
    };
    QASSERT(kind < AST_STMT_KIND_COUNT);
    switch (kind) {
    case AST_STMT_CREATE_TABLE:
        return "CREATE TABLE";
    case AST_STMT_CREATE_INDEX:
        return "CREATE INDEX";
    case AST_STMT_CREATE_VIEW:
        return "CREATE VIEW";
    case AST_STMT_CREATE_TRIGGER:
        return "CREATE TRIGGER";
    case AST_STMT_CREATE_DATABASE:
        return "CREATE DATABASE";
    case AST_STMT_ALTER_TABLE:
        return "ALTER TABLE";
    default:
        return names[kind];
    }
}

const char *ast_op_text(enum ast_op op)
{
    static const char *const texts[] = {
#define X(name, text) text,
        AST_OPS(X)
#undef X
    };
    QASSERT(op < AST_OP_COUNT);
    return texts[op];
}
