/* bind_expr.c - expressions of the tree to bound ones: names, literals and operators; subqueries and rows are bind_sub.c's,
 * calls are bind_call.c's. */
#include "bind_sub.h"

#include <string.h>

quartet_status bind_expr_list(struct bind *b, struct scope *s, const struct ast_exprs *list, struct expr ***out,
                              struct err *err)
{
    struct expr **args = arena_zalloc(b->a, list->count + 1, sizeof(struct expr *));
    if (args == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 0; i < list->count; i++) {
        quartet_status rc = bind_expr(b, s, list->item[i], &args[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    *out = args;
    return QUARTET_OK;
}

static quartet_status bind_typed(struct bind *b, const struct ast_expr *e, struct expr **out,
                                 struct err *err)
{
    struct type_decl type;
    struct value v = value_text(e->u.typed.text, strlen(e->u.typed.text));
    if (strncmp(e->u.typed.type, "INTERVAL", 8) == 0)
        return err_set_at(
            err, QUARTET_ERROR, e->offset,
            "INTERVAL literals are not supported; use date(x, '+1 day') and the like");
    quartet_status rc = types_from_name(e->u.typed.type, 0, NULL, &type, err);
    struct expr *text;
    if (rc == QUARTET_OK)
        rc = expr_const(b->a, &v, &text, err);
    return rc != QUARTET_OK ? rc : expr_cast(b->a, text, &type, 0, e->offset, out, err);
}

static quartet_status bind_column(struct bind *b, struct scope *s, const struct ast_expr *e,
                                  struct expr **out, struct err *err)
{
    const struct ast_column *c = e->u.column;
    quartet_status rc = bind_name(b, s, c, e->offset, out, err);
    if (rc != QUARTET_NOTFOUND)
        return rc;
    if (c->table.text == NULL) {
        const struct func *f = (e->flags & AST_DOUBLE_QUOTED) != 0 ? NULL : func_bare(c->name.text);
        if (f != NULL)
            return expr_call(b->a, f, NULL, 0, e->offset, out, err);
        if ((e->flags & AST_DOUBLE_QUOTED) != 0 && s->count == 0) {
            struct value v = value_text(c->name.text, c->name.len);
            return expr_const(b->a, &v, out, err);
        }
    }
    return QUARTET_ERROR;
}

static enum expr_op binary_op(uint8_t op)
{
    switch (op) {
    case AST_OP_ADD:
        return EXPR_ADD;
    case AST_OP_SUB:
        return EXPR_SUB;
    case AST_OP_MUL:
        return EXPR_MUL;
    case AST_OP_DIV:
        return EXPR_DIV;
    case AST_OP_MOD:
        return EXPR_MOD;
    case AST_OP_IDIV:
        return EXPR_IDIV;
    case AST_OP_CONCAT:
        return EXPR_CONCAT;
    case AST_OP_BITAND:
        return EXPR_BITAND;
    case AST_OP_BITOR:
        return EXPR_BITOR;
    case AST_OP_SHL:
        return EXPR_SHL;
    case AST_OP_SHR:
        return EXPR_SHR;
    case AST_OP_JSON_GET:
        return EXPR_JSON_GET;
    case AST_OP_JSON_GET_TEXT:
        return EXPR_JSON_GET_TEXT;
    case AST_OP_XOR:
        return EXPR_XOR;
    default:
        return 0;
    }
}

static quartet_status bind_binary(struct bind *b, struct scope *s, const struct ast_expr *e,
                                  struct expr **out, struct err *err)
{
    struct expr *l, *r;
    enum expr_op op = bind_compare_op(e->op);
    if (op != 0)
        return bind_compare(b, s, e, op, out, err);
    op = binary_op(e->op);
    if (op == 0)
        return err_set_at(err, QUARTET_ERROR, e->offset, "the operator %s is not supported here",
                          ast_op_text((enum ast_op)e->op));
    quartet_status rc = bind_expr(b, s, e->u.binary.left, &l, err);
    if (rc == QUARTET_OK)
        rc = bind_expr(b, s, e->u.binary.right, &r, err);
    return rc != QUARTET_OK ? rc : expr_binary(b->a, op, l, r, e->offset, out, err);
}

static quartet_status bind_unary(struct bind *b, struct scope *s, const struct ast_expr *e,
                                 struct expr **out, struct err *err)
{
    struct expr *x;
    quartet_status rc = bind_expr(b, s, e->u.binary.left, &x, err);
    if (rc != QUARTET_OK)
        return rc;
    switch (e->op) {
    case AST_OP_NEG:
        return expr_unary(b->a, EXPR_NEG, x, e->offset, out, err);
    case AST_OP_POS:
        return expr_unary(b->a, EXPR_POS, x, e->offset, out, err);
    case AST_OP_BITNOT:
        return expr_unary(b->a, EXPR_BITNOT, x, e->offset, out, err);
    case AST_OP_NOT:
        return expr_unary(b->a, EXPR_NOT, x, e->offset, out, err);
    case AST_OP_IS_NULL:
        return expr_unary(b->a, EXPR_IS_NULL, x, e->offset, out, err);
    case AST_OP_NOT_NULL:
        return expr_unary(b->a, EXPR_NOT_NULL, x, e->offset, out, err);
    default:
        break;
    }
    bool is_true = e->op == AST_OP_IS_TRUE || e->op == AST_OP_IS_NOT_TRUE;
    bool negated = e->op == AST_OP_IS_NOT_TRUE || e->op == AST_OP_IS_NOT_FALSE;
    rc = expr_unary(b->a, is_true ? EXPR_IS_TRUE : EXPR_IS_FALSE, x, e->offset, out, err);
    return rc == QUARTET_OK && negated ? expr_unary(b->a, EXPR_NOT, *out, e->offset, out, err) : rc;
}

static quartet_status bind_like(struct bind *b, struct scope *s, const struct ast_expr *e,
                                struct expr **out, struct err *err)
{
    struct expr *args[3];
    uint32_t n = 2;
    enum expr_op op = e->op == AST_OP_GLOB      ? EXPR_GLOB
                      : e->op == AST_OP_REGEXP  ? EXPR_REGEXP
                      : e->op == AST_OP_ILIKE   ? EXPR_ILIKE
                      : e->op == AST_OP_SIMILAR ? EXPR_SIMILAR
                                                : EXPR_LIKE;
    if (e->op == AST_OP_MATCH)
        return err_set_at(
            err, QUARTET_ERROR, e->offset,
            "MATCH needs a full-text index, which Quartet does not have; use LIKE or REGEXP");
    quartet_status rc = bind_expr(b, s, e->u.like->left, &args[0], err);
    if (rc == QUARTET_OK)
        rc = bind_expr(b, s, e->u.like->pattern, &args[1], err);
    if (rc == QUARTET_OK && e->u.like->escape != NULL)
        rc = bind_expr(b, s, e->u.like->escape, &args[n++], err);
    uint8_t flags = (e->flags & AST_NEGATED) != 0 ? EXPR_NEGATED : 0;
    return rc != QUARTET_OK ? rc : expr_nary(b->a, op, flags, args, n, e->offset, out, err);
}

static quartet_status bind_between_of(struct bind *b, struct expr *v, struct expr *lo,
                                      struct expr *hi, uint8_t flags, uint32_t offset,
                                      struct expr **out, struct err *err)
{
    struct expr *args[3] = {v, lo, hi};
    return expr_nary(b->a, EXPR_BETWEEN, flags, args, 3, offset, out, err);
}

static quartet_status bind_between(struct bind *b, struct scope *s, const struct ast_expr *e,
                                   struct expr **out, struct err *err)
{
    const struct ast_between *t = e->u.between;
    uint8_t flags = (e->flags & AST_NEGATED) != 0 ? EXPR_NEGATED : 0;
    struct expr **v = NULL, **lo, **hi;
    uint32_t n, ln, hn;
    quartet_status rc = bind_row_items(b, s, t->value, 1, &v, &n, err);
    if (rc == QUARTET_OK)
        rc = bind_row_items(b, s, t->low, n, &lo, &ln, err);
    if (rc == QUARTET_OK)
        rc = bind_row_items(b, s, t->high, n, &hi, &hn, err);
    if (rc != QUARTET_OK)
        return rc;
    if (n != ln || n != hn)
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "BETWEEN compares rows of different length");
    if (n == 1 && (e->flags & AST_SYMMETRIC) == 0)
        return bind_between_of(b, v[0], lo[0], hi[0], flags, e->offset, out, err);
    if (n == 1) {
        struct expr *either[2], *args[3];
        rc = expr_copy(b->a, v[0], NULL, NULL, &args[0], err);
        if (rc == QUARTET_OK)
            rc = expr_copy(b->a, hi[0], NULL, NULL, &args[1], err);
        if (rc == QUARTET_OK)
            rc = expr_copy(b->a, lo[0], NULL, NULL, &args[2], err);
        if (rc == QUARTET_OK)
            rc = bind_between_of(b, v[0], lo[0], hi[0], 0, e->offset, &either[0], err);
        if (rc == QUARTET_OK)
            rc = bind_between_of(b, args[0], args[1], args[2], 0, e->offset, &either[1], err);
        if (rc == QUARTET_OK)
            rc = expr_nary(b->a, EXPR_OR, 0, either, 2, e->offset, out, err);
    } else {
        struct expr *both[2], **again;
        rc = bind_row_items(b, s, t->value, 1, &again, &n, err);
        if (rc == QUARTET_OK)
            rc = bind_row_compare(b, EXPR_GE, v, lo, n, e->offset, &both[0], err);
        if (rc == QUARTET_OK)
            rc = bind_row_compare(b, EXPR_LE, again, hi, n, e->offset, &both[1], err);
        if (rc == QUARTET_OK)
            rc = expr_nary(b->a, EXPR_AND, 0, both, 2, e->offset, out, err);
    }
    return rc == QUARTET_OK && flags != 0 ? expr_unary(b->a, EXPR_NOT, *out, e->offset, out, err)
                                          : rc;
}

static quartet_status bind_case(struct bind *b, struct scope *s, const struct ast_expr *e,
                                struct expr **out, struct err *err)
{
    const struct ast_case *c = e->u.kase;
    uint32_t n = 0;
    quartet_status rc = QUARTET_OK;
    struct expr **args = arena_zalloc(b->a, (size_t)c->when_count * 2 + 2, sizeof(struct expr *));
    if (args == NULL)
        return arena_fail(b->a, err);
    if (c->operand != NULL)
        rc = bind_expr(b, s, c->operand, &args[n++], err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < c->when_count; i++) {
        rc = bind_expr(b, s, c->when[i].when, &args[n++], err);
        if (rc == QUARTET_OK)
            rc = bind_expr(b, s, c->when[i].then, &args[n++], err);
    }
    if (rc == QUARTET_OK && c->otherwise != NULL)
        rc = bind_expr(b, s, c->otherwise, &args[n++], err);
    return rc != QUARTET_OK ? rc
                            : expr_nary(b->a, c->operand != NULL ? EXPR_CASE_OF : EXPR_CASE, 0,
                                        args, n, e->offset, out, err);
}

static quartet_status bind_cast(struct bind *b, struct scope *s, const struct ast_expr *e,
                                struct expr **out, struct err *err)
{
    struct type_decl type;
    struct expr *x;
    const struct ast_type *t = e->u.cast.type;
    quartet_status rc = types_from_name(t->text, t->arg_count, t->arg, &type, err);
    if (rc != QUARTET_OK) {
        err->sql_offset = t->offset;
        return rc;
    }
    rc = bind_expr(b, s, e->u.cast.value, &x, err);
    return rc != QUARTET_OK ? rc : expr_cast(b->a, x, &type, (e->flags & AST_TRY_CAST) != 0 ? EXPR_TRY : 0, e->offset, out, err);
}

static quartet_status bind_nary(struct bind *b, struct scope *s, const struct ast_expr *e,
                                enum expr_op op, struct expr **out, struct err *err)
{
    struct expr **args = NULL;
    quartet_status rc = bind_expr_list(b, s, &e->u.list, &args, err);
    return rc != QUARTET_OK ? rc
                            : expr_nary(b->a, op, 0, args, e->u.list.count, e->offset, out, err);
}

static quartet_status bind_literal(struct bind *b, const struct ast_expr *e, struct expr **out,
                                   struct err *err)
{
    struct value v = VALUE_NULL_INIT;
    if (e->kind == AST_EXPR_INTEGER || e->kind == AST_EXPR_BOOL)
        v = value_int(e->u.integer);
    else if (e->kind == AST_EXPR_STRING)
        v = value_text(e->u.string.p, e->u.string.n);
    else if (e->kind == AST_EXPR_BLOB)
        v = (struct value){.type = VALUE_BLOB,
                           .s = {(const uint8_t *)e->u.string.p, e->u.string.n}};
    quartet_status rc = expr_const(b->a, &v, out, err);
    if (rc == QUARTET_OK) {
        (*out)->is_boolean = e->kind == AST_EXPR_BOOL;
        (*out)->sql_offset = e->offset;
    }
    return rc;
}

static quartet_status bind_raise(struct bind *b, const struct ast_expr *e, struct expr **out,
                                 struct err *err)
{
    struct expr *args[2];
    const char *text = e->u.raise.message != NULL ? e->u.raise.message : "";
    struct value action = value_int(e->u.raise.action), message = value_text(text, strlen(text));
    if (b->row_of == NULL)
        return err_set_at(err, QUARTET_ERROR, e->offset, "RAISE() stands only in a trigger");
    quartet_status rc = expr_const(b->a, &action, &args[0], err);
    if (rc == QUARTET_OK)
        rc = expr_const(b->a, &message, &args[1], err);
    return rc != QUARTET_OK ? rc : expr_call(b->a, &func_raise, args, 2, e->offset, out, err);
}

quartet_status bind_expr(struct bind *b, struct scope *s, const struct ast_expr *e,
                         struct expr **out, struct err *err)
{
    quartet_status rc;
    switch ((enum ast_expr_kind)e->kind) {
    case AST_EXPR_NULL:
    case AST_EXPR_INTEGER:
    case AST_EXPR_STRING:
    case AST_EXPR_BLOB:
    case AST_EXPR_BOOL:
        return bind_literal(b, e, out, err);
    case AST_EXPR_REAL:
        return expr_const_real(b->a, e->u.real.value, e->u.real.text, out, err);
    case AST_EXPR_TYPED:
        return bind_typed(b, e, out, err);
    case AST_EXPR_PARAM:
        return expr_param(b->a, e->u.param, out, err);
    case AST_EXPR_COLUMN:
        return bind_column(b, s, e, out, err);
    case AST_EXPR_UNARY:
        return bind_unary(b, s, e, out, err);
    case AST_EXPR_BINARY:
        return bind_binary(b, s, e, out, err);
    case AST_EXPR_AND:
        return bind_nary(b, s, e, EXPR_AND, out, err);
    case AST_EXPR_OR:
        return bind_nary(b, s, e, EXPR_OR, out, err);
    case AST_EXPR_LIKE:
        return bind_like(b, s, e, out, err);
    case AST_EXPR_BETWEEN:
        return bind_between(b, s, e, out, err);
    case AST_EXPR_IN_LIST:
        return bind_in_list(b, s, e, out, err);
    case AST_EXPR_IN_QUERY:
    case AST_EXPR_QUANTIFIED:
        return bind_in_query(b, s, e, e->u.in->query, out, err);
    case AST_EXPR_IN_TABLE:
        return bind_in_table(b, s, e, out, err);
    case AST_EXPR_EXISTS:
        return bind_exists(b, s, e, out, err);
    case AST_EXPR_SUBQUERY:
        return bind_scalar(b, s, e, out, err);
    case AST_EXPR_CASE:
        return bind_case(b, s, e, out, err);
    case AST_EXPR_CAST:
        return bind_cast(b, s, e, out, err);
    case AST_EXPR_COLLATE:
        rc = bind_expr(b, s, e->u.collate.value, out, err);
        return rc != QUARTET_OK ? rc
                                : expr_collate(b->a, *out, e->u.collate.name, e->offset, out, err);
    case AST_EXPR_FUNCTION:
        return bind_function(b, s, e, out, err);
    case AST_EXPR_ROW:
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "a row value can only be compared with another one");
    case AST_EXPR_STAR:
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "* stands only in a result list or in count(*)");
    case AST_EXPR_DEFAULT:
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "DEFAULT stands only in VALUES of an INSERT and in SET");
    case AST_EXPR_RAISE:
        return bind_raise(b, e, out, err);
    case AST_EXPR_KIND_COUNT:
        break;
    }
    return err_set_at(err, QUARTET_INTERNAL, e->offset, "an expression of an unknown kind");
}
