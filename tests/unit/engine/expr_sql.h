/* expr_sql.h - SQL text of an expression to a bound one, for tests: names are columns of a fixed row, there are no tables.
 * Not the binder: that has scopes, subqueries and catalogs; this has just enough to write expressions as people do. */
#ifndef TESTS_EXPR_SQL_H
#define TESTS_EXPR_SQL_H

#include <stdlib.h>
#include <string.h>

#include "engine/agg.h"
#include "engine/expr.h"
#include "parser/parse.h"

struct test_column {
    const char *name;
    struct type_decl type;
    bool nocase;
};
struct test_scope {
    struct arena *a;
    const struct test_column *columns; /* ends with a NULL name */
    struct err *err;
};

static struct expr *bind_test(const struct test_scope *s, const struct ast_expr *x);

static struct expr *test_bound(quartet_status rc, struct expr *const *e)
{
    return rc == QUARTET_OK ? *e : NULL;
}

static enum expr_op test_op(uint8_t op)
{
    static const uint8_t map[AST_OP_COUNT] = {
        [AST_OP_NEG] = EXPR_NEG, [AST_OP_POS] = EXPR_POS, [AST_OP_BITNOT] = EXPR_BITNOT, [AST_OP_NOT] = EXPR_NOT, [AST_OP_IS_NULL] = EXPR_IS_NULL,
        [AST_OP_NOT_NULL] = EXPR_NOT_NULL, [AST_OP_IS_TRUE] = EXPR_IS_TRUE, [AST_OP_IS_FALSE] = EXPR_IS_FALSE, [AST_OP_CONCAT] = EXPR_CONCAT,
        [AST_OP_JSON_GET] = EXPR_JSON_GET, [AST_OP_JSON_GET_TEXT] = EXPR_JSON_GET_TEXT, [AST_OP_MUL] = EXPR_MUL, [AST_OP_DIV] = EXPR_DIV,
        [AST_OP_MOD] = EXPR_MOD, [AST_OP_ADD] = EXPR_ADD, [AST_OP_SUB] = EXPR_SUB, [AST_OP_IDIV] = EXPR_IDIV, [AST_OP_SHL] = EXPR_SHL,
        [AST_OP_SHR] = EXPR_SHR, [AST_OP_BITAND] = EXPR_BITAND, [AST_OP_BITOR] = EXPR_BITOR, [AST_OP_LT] = EXPR_LT, [AST_OP_LE] = EXPR_LE,
        [AST_OP_GT] = EXPR_GT, [AST_OP_GE] = EXPR_GE, [AST_OP_EQ] = EXPR_EQ, [AST_OP_NE] = EXPR_NE, [AST_OP_IS] = EXPR_IS, [AST_OP_IS_NOT] = EXPR_IS_NOT,
        [AST_OP_XOR] = EXPR_XOR, [AST_OP_LIKE] = EXPR_LIKE, [AST_OP_GLOB] = EXPR_GLOB, [AST_OP_REGEXP] = EXPR_REGEXP, [AST_OP_ILIKE] = EXPR_ILIKE,
        [AST_OP_SIMILAR] = EXPR_SIMILAR,
    };
    return map[op];
}

static struct expr *bind_column(const struct test_scope *s, const struct ast_expr *x)
{
    struct expr *e = NULL;
    const char *name = x->u.column->name.text;
    for (uint32_t k = 0; s->columns != NULL && s->columns[k].name != NULL; k++)
        if (strcasecmp(s->columns[k].name, name) == 0)
            return test_bound(expr_column(s->a, k, &s->columns[k].type, s->columns[k].nocase, &e, s->err), &e);
    const struct func *f = func_bare(name);
    if (f != NULL)
        return test_bound(expr_call(s->a, f, NULL, 0, x->offset, &e, s->err), &e);
    (void)err_set(s->err, QUARTET_ERROR, "no such column: %s", name);
    return NULL;
}

/* items and, where given, one expression before and one after them, as the arguments of an n-ary node */
static struct expr *bind_list(const struct test_scope *s, enum expr_op op, uint8_t flags, const struct ast_expr *first, const struct ast_exprs *items,
                              const struct ast_expr *x)
{
    struct expr **args = arena_zalloc(s->a, items->count + 1, sizeof(struct expr *)), *e = NULL;
    uint32_t n = 0;
    if (args == NULL && arena_fail(s->a, s->err) != QUARTET_OK)
        return NULL;
    if (first != NULL && (args[n++] = bind_test(s, first)) == NULL)
        return NULL;
    for (uint32_t k = 0; k < items->count; k++)
        if ((args[n++] = bind_test(s, items->item[k])) == NULL)
            return NULL;
    return test_bound(expr_nary(s->a, op, flags, args, n, x->offset, &e, s->err), &e);
}

static struct expr *bind_case(const struct test_scope *s, const struct ast_expr *x)
{
    const struct ast_case *c = x->u.kase;
    struct expr **args = arena_zalloc(s->a, c->when_count * 2 + 2, sizeof(struct expr *)), *e = NULL;
    uint32_t n = 0;
    if (args == NULL && arena_fail(s->a, s->err) != QUARTET_OK)
        return NULL;
    if (c->operand != NULL && (args[n++] = bind_test(s, c->operand)) == NULL)
        return NULL;
    for (uint32_t k = 0; k < c->when_count; k++)
        if ((args[n++] = bind_test(s, c->when[k].when)) == NULL || (args[n++] = bind_test(s, c->when[k].then)) == NULL)
            return NULL;
    if (c->otherwise != NULL && (args[n++] = bind_test(s, c->otherwise)) == NULL)
        return NULL;
    return test_bound(expr_nary(s->a, c->operand != NULL ? EXPR_CASE_OF : EXPR_CASE, 0, args, n, x->offset, &e, s->err), &e);
}

static struct expr *bind_call(const struct test_scope *s, const struct ast_expr *x)
{
    const struct ast_function *call = x->u.function;
    const struct func *f;
    struct expr **args = arena_zalloc(s->a, call->args.count + 1, sizeof(struct expr *)), *e = NULL;
    if (args == NULL && arena_fail(s->a, s->err) != QUARTET_OK)
        return NULL;
    if (func_find(call->name.text, call->args.count, &f, s->err) != QUARTET_OK)
        return NULL;
    for (uint32_t k = 0; k < call->args.count; k++)
        if ((args[k] = bind_test(s, call->args.item[k])) == NULL)
            return NULL;
    return test_bound(expr_call(s->a, f, args, call->args.count, x->offset, &e, s->err), &e);
}

static struct expr *bind_operator(const struct test_scope *s, const struct ast_expr *x)
{
    struct expr *e = NULL, *l = bind_test(s, x->u.binary.left), *r = NULL;
    if (l == NULL)
        return NULL;
    if (x->u.binary.right == NULL) {
        uint8_t op = x->op == AST_OP_IS_NOT_TRUE ? AST_OP_IS_TRUE : x->op == AST_OP_IS_NOT_FALSE ? AST_OP_IS_FALSE : x->op;
        if (expr_unary(s->a, test_op(op), l, x->offset, &e, s->err) != QUARTET_OK)
            return NULL;
        if (op == x->op)
            return e;
        l = e;
        return test_bound(expr_unary(s->a, EXPR_NOT, l, x->offset, &e, s->err), &e);
    }
    r = bind_test(s, x->u.binary.right);
    return r == NULL ? NULL : test_bound(expr_binary(s->a, test_op(x->op), l, r, x->offset, &e, s->err), &e);
}

static struct expr *bind_cast(const struct test_scope *s, const struct ast_expr *x)
{
    struct type_decl to;
    struct expr *e = NULL, *v = bind_test(s, x->u.cast.value);
    const struct ast_type *t = x->u.cast.type;
    if (v == NULL || types_from_name(t->text, t->arg_count, t->arg, &to, s->err) != QUARTET_OK)
        return NULL;
    return test_bound(expr_cast(s->a, v, &to, (x->flags & AST_TRY_CAST) != 0 ? EXPR_TRY : 0, x->offset, &e, s->err), &e);
}

static struct expr *bind_literal(const struct test_scope *s, const struct ast_expr *x)
{
    struct expr *e = NULL;
    struct value v = VALUE_NULL_INIT;
    struct type_decl to;
    switch (x->kind) {
    case AST_EXPR_INTEGER:
    case AST_EXPR_BOOL:
        v = value_int(x->u.integer);
        break;
    case AST_EXPR_REAL:
        return test_bound(expr_const_real(s->a, x->u.real.value, x->u.real.text, &e, s->err), &e);
    case AST_EXPR_STRING:
        v = value_text(x->u.string.p, x->u.string.n);
        break;
    case AST_EXPR_BLOB:
        v = value_text(x->u.string.p, x->u.string.n);
        v.type = VALUE_BLOB;
        break;
    case AST_EXPR_TYPED:
        v = value_text(x->u.typed.text, strlen(x->u.typed.text));
        if (strcmp(x->u.typed.type, "INTERVAL") != 0 && (types_from_name(x->u.typed.type, 0, NULL, &to, s->err) != QUARTET_OK ||
                                                           types_convert(&to, NULL, &v, s->a, s->err) != QUARTET_OK))
            return NULL;
        break;
    default:
        break;
    }
    return test_bound(expr_const(s->a, &v, &e, s->err), &e);
}

static struct expr *bind_test(const struct test_scope *s, const struct ast_expr *x)
{
    struct expr *e = NULL, *v = NULL;
    uint8_t flags = (x->flags & AST_NEGATED) != 0 ? EXPR_NEGATED : 0;
    struct ast_expr *more[2];
    struct ast_exprs list = {.item = more};
    switch (x->kind) {
    case AST_EXPR_PARAM:
        return test_bound(expr_param(s->a, x->u.param, &e, s->err), &e);
    case AST_EXPR_COLUMN:
        return bind_column(s, x);
    case AST_EXPR_UNARY:
    case AST_EXPR_BINARY:
        return bind_operator(s, x);
    case AST_EXPR_AND:
    case AST_EXPR_OR:
        return bind_list(s, x->kind == AST_EXPR_AND ? EXPR_AND : EXPR_OR, 0, NULL, &x->u.list, x);
    case AST_EXPR_LIKE:
        more[0] = x->u.like->pattern;
        more[1] = x->u.like->escape;
        list.count = more[1] != NULL ? 2 : 1;
        return bind_list(s, test_op(x->op), flags, x->u.like->left, &list, x);
    case AST_EXPR_BETWEEN:
        more[0] = x->u.between->low;
        more[1] = x->u.between->high;
        list.count = 2;
        return bind_list(s, EXPR_BETWEEN, flags, x->u.between->value, &list, x);
    case AST_EXPR_IN_LIST:
        return bind_list(s, EXPR_IN, flags, x->u.in->left, &x->u.in->list, x);
    case AST_EXPR_CASE:
        return bind_case(s, x);
    case AST_EXPR_CAST:
        return bind_cast(s, x);
    case AST_EXPR_FUNCTION:
        return bind_call(s, x);
    case AST_EXPR_COLLATE:
        v = bind_test(s, x->u.collate.value);
        return v == NULL ? NULL : test_bound(expr_collate(s->a, v, x->u.collate.name, x->offset, &e, s->err), &e);
    default:
        return bind_literal(s, x);
    }
}

/* NULL on any error, which is then in *err. */
static struct expr *expr_from_sql(struct arena *a, const struct test_column *columns, const char *sql, struct err *err)
{
    struct ast_expr *x;
    struct test_scope s = {a, columns, err};
    return parse_expression(a, sql, strlen(sql), NULL, &x, err) == QUARTET_OK ? bind_test(&s, x) : NULL;
}

#endif
