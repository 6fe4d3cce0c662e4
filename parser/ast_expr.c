/* ast_expr.c - constructors of expressions.
 * Why AND and OR are n-ary: conditions of hundreds of terms are common where programs write SQL; as
 * a chain of pairs each would be as deep as it is long. Other operators stay pairs, and
 * max_expression_depth bounds them. Invariant: an expression's height is 1 more than its highest
 * child's; subqueries count. */
#include "parser/ast_build.h"

#include <string.h>
#include <strings.h>

struct ast_expr *ast_expr_new(struct parse_ctx *cx, enum ast_expr_kind kind, uint32_t offset,
                              uint32_t children)
{
    struct ast_expr *e = ast_alloc(cx, sizeof *e);
    e->kind = (uint8_t)kind;
    e->offset = offset;
    e->height = ast_height(cx, children, offset);
    return e;
}

static uint32_t height_of(const struct ast_expr *e)
{
    return e == NULL ? 0 : e->height;
}

uint32_t ast_exprs_height(const struct ast_exprs *list)
{
    uint32_t h = 0;
    for (uint32_t i = 0; list != NULL && i < list->count; i++)
        h = ast_max(h, list->item[i]->height);
    return h;
}

uint32_t ast_orders_height(const struct ast_orders *list)
{
    uint32_t h = 0;
    for (uint32_t i = 0; list != NULL && i < list->count; i++)
        h = ast_max(h, list->item[i].expr->height);
    return h;
}

/* What a constructor returns once something has failed: nothing may be read then. */
static struct ast_expr *nothing(struct parse_ctx *cx)
{
    return ast_alloc(cx, sizeof(struct ast_expr));
}

/* ---- names ---- */

struct ast_expr *ast_star(struct parse_ctx *cx, struct token t, const struct ast_qname *table)
{
    struct ast_expr *e = ast_expr_new(cx, AST_EXPR_STAR, t.offset, 0);
    struct ast_column *c = ast_alloc(cx, sizeof *c);
    if (cx->rc != QUARTET_OK)
        return e;
    if (table != NULL) {
        c->schema = table->schema;
        c->table = table->name;
        e->offset = c->table.offset;
    }
    e->u.column = c;
    return e;
}

struct ast_expr *ast_column_full(struct parse_ctx *cx, struct ast_name schema,
                                 struct ast_name table, struct ast_name name)
{
    uint32_t offset = schema.text != NULL  ? schema.offset
                      : table.text != NULL ? table.offset
                                           : name.offset;
    struct ast_expr *e = ast_expr_new(cx, AST_EXPR_COLUMN, offset, 0);
    struct ast_column *c = ast_alloc(cx, sizeof *c);
    if (cx->rc != QUARTET_OK)
        return e;
    *c = (struct ast_column){.schema = schema, .table = table, .name = name};
    e->u.column = c;
    return e;
}

struct ast_expr *ast_column(struct parse_ctx *cx, struct ast_name schema, struct ast_name table,
                            struct ast_name name)
{
    return ast_column_full(cx, schema, table, name);
}

struct ast_expr *ast_column_id(struct parse_ctx *cx, struct token t)
{
    struct ast_expr *e = ast_column_full(cx, ast_no_name(), ast_no_name(), ast_name(cx, t));
    if (t.p[0] == '"')
        e->flags |= AST_DOUBLE_QUOTED;
    return e;
}

/* ---- rows and subqueries ---- */

struct ast_expr *ast_row(struct parse_ctx *cx, struct token t, struct ast_expr *first,
                         struct ast_exprs *rest)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    struct ast_expr *e =
        ast_expr_new(cx, AST_EXPR_ROW, t.offset, ast_max(first->height, ast_exprs_height(rest)));
    struct ast_exprs *all = ast_exprs_add(cx, NULL, first);
    for (uint32_t i = 0; i < rest->count; i++)
        all = ast_exprs_add(cx, all, rest->item[i]);
    if (cx->rc == QUARTET_OK)
        e->u.list = *all;
    return e;
}

struct ast_expr *ast_subquery(struct parse_ctx *cx, enum ast_expr_kind kind, struct ast_query *q,
                              const struct token *t)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    struct ast_expr *e = ast_expr_new(cx, kind, t != NULL ? t->offset : q->offset, q->height);
    e->u.query = q;
    return e;
}

struct ast_expr *ast_raise(struct parse_ctx *cx, struct token t, int action,
                           const struct token *message)
{
    struct ast_expr *e = ast_expr_new(cx, AST_EXPR_RAISE, t.offset, 0);
    e->u.raise.action = (uint8_t)action;
    e->u.raise.message = message != NULL ? ast_text(cx, *message) : NULL;
    return e;
}

/* ---- operators ---- */

static void list_append(struct parse_ctx *cx, struct ast_expr *into, struct ast_expr *e)
{
    struct ast_exprs *from = e->kind == into->kind ? &e->u.list : NULL;
    if (from == NULL) {
        (void)ast_exprs_add(cx, &into->u.list, e); /* the same list; a failure stands in cx->rc */
        return;
    }
    for (uint32_t i = 0; i < from->count; i++)
        (void)ast_exprs_add(cx, &into->u.list, from->item[i]); /* as above */
}

struct ast_expr *ast_and_or(struct parse_ctx *cx, enum ast_expr_kind kind, struct token t,
                            struct ast_expr *l, struct ast_expr *r)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    uint32_t right = r->kind == kind ? r->height - 1u : r->height;
    struct ast_expr *e = l;
    if (l->kind == kind) {
        e->height = ast_height(cx, ast_max(l->height - 1u, right), t.offset);
    } else {
        e = ast_expr_new(cx, kind, t.offset, ast_max(l->height, right));
        if (cx->rc != QUARTET_OK)
            return e;
        list_append(cx, e, l);
    }
    if (cx->rc == QUARTET_OK)
        list_append(cx, e, r);
    return e;
}

struct ast_expr *ast_unary(struct parse_ctx *cx, enum ast_op op, struct token t,
                           struct ast_expr *operand)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    if (op == AST_OP_NEG) {
        struct ast_expr *literal = ast_negative(cx, operand);
        if (literal != NULL)
            return literal;
    }
    struct ast_expr *e = ast_expr_new(cx, AST_EXPR_UNARY, t.offset, operand->height);
    e->op = (uint8_t)op;
    e->u.binary.left = operand;
    return e;
}

struct ast_expr *ast_binary(struct parse_ctx *cx, enum ast_op op, struct token t,
                            struct ast_expr *l, struct ast_expr *r)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    struct ast_expr *e = ast_expr_new(cx, AST_EXPR_BINARY, t.offset, ast_max(l->height, r->height));
    e->op = (uint8_t)op;
    e->u.binary.left = l;
    e->u.binary.right = r;
    return e;
}

/* a IS [NOT] b: IS NULL and IS TRUE have operators of their own. */
struct ast_expr *ast_is(struct parse_ctx *cx, bool negated, struct token t, struct ast_expr *l,
                        struct ast_expr *r)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    if (r->kind == AST_EXPR_NULL)
        return ast_unary(cx, negated ? AST_OP_NOT_NULL : AST_OP_IS_NULL, t, l);
    if (r->kind == AST_EXPR_BOOL && r->u.integer != 0)
        return ast_unary(cx, negated ? AST_OP_IS_NOT_TRUE : AST_OP_IS_TRUE, t, l);
    if (r->kind == AST_EXPR_BOOL)
        return ast_unary(cx, negated ? AST_OP_IS_NOT_FALSE : AST_OP_IS_FALSE, t, l);
    return ast_binary(cx, negated ? AST_OP_IS_NOT : AST_OP_IS, t, l, r);
}

struct ast_expr *ast_collate(struct parse_ctx *cx, struct token t, struct ast_expr *value,
                             struct ast_name name)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    struct ast_expr *e = ast_expr_new(cx, AST_EXPR_COLLATE, t.offset, value->height);
    e->u.collate.value = value;
    e->u.collate.name = name.text;
    return e;
}

struct ast_expr *ast_cast(struct parse_ctx *cx, struct token t, struct ast_expr *value,
                          struct ast_type *type, bool attempt)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    struct ast_expr *e = ast_expr_new(cx, AST_EXPR_CAST, t.offset, value->height);
    e->u.cast.value = value;
    e->u.cast.type = type;
    e->flags = attempt ? AST_TRY_CAST : 0;
    return e;
}

/* ---- predicates ---- */

struct ast_op_token ast_op_token(struct token t, unsigned op_or_flags)
{
    return (struct ast_op_token){
        .offset = t.offset, .op = (uint8_t)op_or_flags, .flags = (uint8_t)op_or_flags};
}

struct ast_op_token ast_like_op(struct token t, bool negated)
{
    static const struct {
        const char *word;
        enum ast_op op;
    } ops[] = {{"LIKE", AST_OP_LIKE},      {"GLOB", AST_OP_GLOB},   {"REGEXP", AST_OP_REGEXP},
               {"RLIKE", AST_OP_REGEXP},   {"MATCH", AST_OP_MATCH}, {"ILIKE", AST_OP_ILIKE},
               {"SIMILAR", AST_OP_SIMILAR}};
    struct ast_op_token op = {
        .offset = t.offset, .op = AST_OP_LIKE, .flags = negated ? AST_NEGATED : 0};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (strlen(ops[i].word) == t.n && strncasecmp(t.p, ops[i].word, t.n) == 0)
            op.op = (uint8_t)ops[i].op;
    return op;
}

struct ast_expr *ast_like(struct parse_ctx *cx, struct ast_op_token op, struct ast_expr *l,
                          struct ast_expr *pattern, struct ast_expr *escape)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    struct ast_expr *e =
        ast_expr_new(cx, AST_EXPR_LIKE, op.offset,
                     ast_max(ast_max(l->height, pattern->height), height_of(escape)));
    struct ast_like *like = ast_alloc(cx, sizeof *like);
    if (cx->rc != QUARTET_OK)
        return e;
    *like = (struct ast_like){.left = l, .pattern = pattern, .escape = escape};
    e->op = op.op;
    e->flags = op.flags;
    e->u.like = like;
    return e;
}

struct ast_expr *ast_between(struct parse_ctx *cx, struct ast_op_token op, struct ast_expr *v,
                             struct ast_expr *lo, struct ast_expr *hi)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    struct ast_expr *e = ast_expr_new(cx, AST_EXPR_BETWEEN, op.offset,
                                      ast_max(v->height, ast_max(lo->height, hi->height)));
    struct ast_between *b = ast_alloc(cx, sizeof *b);
    if (cx->rc != QUARTET_OK)
        return e;
    *b = (struct ast_between){.value = v, .low = lo, .high = hi};
    e->flags = op.flags;
    e->u.between = b;
    return e;
}

/* The common part of the IN family. */
static struct ast_expr *in_new(struct parse_ctx *cx, enum ast_expr_kind kind,
                               struct ast_op_token op, struct ast_expr *l, uint32_t height)
{
    struct ast_expr *e = ast_expr_new(cx, kind, op.offset, ast_max(l->height, height));
    struct ast_in *in = ast_alloc(cx, sizeof *in);
    if (cx->rc != QUARTET_OK)
        return e;
    in->left = l;
    e->flags = op.flags;
    e->u.in = in;
    return e;
}

struct ast_expr *ast_in_list(struct parse_ctx *cx, struct ast_op_token op, struct ast_expr *l,
                             struct ast_exprs *list)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    struct ast_expr *e = in_new(cx, AST_EXPR_IN_LIST, op, l, ast_exprs_height(list));
    if (cx->rc == QUARTET_OK && list != NULL)
        e->u.in->list = *list;
    return e;
}

struct ast_expr *ast_in_query(struct parse_ctx *cx, struct ast_op_token op, struct ast_expr *l,
                              struct ast_query *q)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    struct ast_expr *e = in_new(cx, AST_EXPR_IN_QUERY, op, l, q->height);
    if (cx->rc == QUARTET_OK)
        e->u.in->query = q;
    return e;
}

struct ast_expr *ast_in_table(struct parse_ctx *cx, struct ast_op_token op, struct ast_expr *l,
                              struct ast_from *table)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    struct ast_expr *e = in_new(cx, AST_EXPR_IN_TABLE, op, l, table->height);
    if (cx->rc == QUARTET_OK)
        e->u.in->table = table;
    return e;
}

struct ast_expr *ast_quantified(struct parse_ctx *cx, struct ast_op_token op, struct ast_expr *l,
                                bool all, struct ast_query *q)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    op.flags = 0;
    struct ast_expr *e = in_new(cx, AST_EXPR_QUANTIFIED, op, l, q->height);
    if (cx->rc != QUARTET_OK)
        return e;
    e->u.in->op = op.op;
    e->u.in->all = all;
    e->u.in->query = q;
    return e;
}

/* ---- CASE ---- */

struct ast_case *ast_whens_add(struct parse_ctx *cx, struct ast_case *k, struct ast_expr *when,
                               struct ast_expr *then)
{
    if (k == NULL)
        k = ast_alloc(cx, sizeof *k);
    struct ast_when *item = ast_grow(cx, k->when, k->when_count, &k->when_cap, sizeof *item);
    if (item == NULL)
        return k;
    k->when = item;
    item[k->when_count++] = (struct ast_when){.when = when, .then = then};
    return k;
}

struct ast_expr *ast_case(struct parse_ctx *cx, struct token t, struct ast_expr *operand,
                          struct ast_case *whens, struct ast_expr *otherwise)
{
    if (cx->rc != QUARTET_OK)
        return nothing(cx);
    uint32_t h = ast_max(height_of(operand), height_of(otherwise));
    for (uint32_t i = 0; i < whens->when_count; i++)
        h = ast_max(h, ast_max(whens->when[i].when->height, whens->when[i].then->height));
    struct ast_expr *e = ast_expr_new(cx, AST_EXPR_CASE, t.offset, h);
    whens->operand = operand;
    whens->otherwise = otherwise;
    e->u.kase = whens;
    return e;
}
