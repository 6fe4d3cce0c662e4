/* expr_value.c - one row at a time, without vectors: constants, LIMIT, keys of point lookups, CHECK and DEFAULT of single rows.
 * Why beside expr_eval: a point lookup computes one value; vectors of one row would cost more than the lookup. */
#include "expr_ops.h"

#define ARGS_ON_STACK 4u

static quartet_status outer_value(const struct expr *e, const struct expr_ctx *ctx, struct value *out)
{
    const struct expr_outer_row *o = ctx->outer;
    for (uint32_t level = 1; level < e->u.outer.level && o != NULL; level++)
        o = o->up;
    QASSERT(o != NULL); /* the binder counted the levels */
    QASSERT(e->u.outer.column < o->in->col_count);
    *out = vec_get(&o->in->cols[e->u.outer.column], o->row);
    return QUARTET_OK;
}

static quartet_status logic_value(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint32_t row, struct value *out, struct err *err)
{
    int decided = e->op == EXPR_OR; /* the value that ends it */
    int result = !decided;
    for (uint32_t k = 0; k < e->arg_count; k++) {
        struct value v;
        quartet_status rc = expr_value(e->args[k], ctx, in, row, &v, err);
        if (rc != QUARTET_OK)
            return rc;
        int t = types_truth(&v);
        if (t == decided) {
            result = decided;
            break;
        }
        if (t < 0)
            result = -1;
    }
    *out = ops_truth(result);
    return QUARTET_OK;
}

static quartet_status case_value(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint32_t row, struct value *out, struct err *err)
{
    bool of = e->op == EXPR_CASE_OF;
    struct value operand = VALUE_NULL_INIT, v;
    quartet_status rc = of ? expr_value(e->args[0], ctx, in, row, &operand, err) : QUARTET_OK;
    uint32_t k = of;
    for (; rc == QUARTET_OK && k + 1 < e->arg_count; k += 2) {
        rc = expr_value(e->args[k], ctx, in, row, &v, err);
        if (rc != QUARTET_OK)
            return rc;
        int t = of ? ops_compare(EXPR_EQ, &operand, &v, (e->flags & EXPR_NOCASE) != 0) : types_truth(&v);
        if (t == 1)
            return expr_value(e->args[k + 1], ctx, in, row, out, err);
    }
    *out = VALUE_NULL_INIT;
    return rc == QUARTET_OK && k < e->arg_count ? expr_value(e->args[k], ctx, in, row, out, err) : rc;
}

static quartet_status coalesce_value(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint32_t row, struct value *out,
                                     struct err *err)
{
    *out = VALUE_NULL_INIT;
    for (uint32_t k = 0; k < e->arg_count && out->type == VALUE_NULL; k++) {
        quartet_status rc = expr_value(e->args[k], ctx, in, row, out, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

/* Nodes that need all of their arguments. */
static quartet_status args_value(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint32_t row, const struct value *args,
                                 struct value *out, struct err *err)
{
    switch (e->op) {
    case EXPR_CALL:
        return expr_call_values(e, ctx, args, e->arg_count, out, err);
    case EXPR_IN:
        *out = ops_truth(expr_in_values(e, args, e->arg_count));
        return QUARTET_OK;
    case EXPR_BETWEEN:
        *out = ops_truth(expr_between_values(e, args));
        return QUARTET_OK;
    case EXPR_LIKE:
    case EXPR_ILIKE:
    case EXPR_GLOB:
    case EXPR_REGEXP:
    case EXPR_SIMILAR:
        return expr_at(e, ops_like(e, &args[0], args + 1, ctx->arena, out, err), err);
    case EXPR_SUBQUERY:
    case EXPR_EXISTS:
    case EXPR_IN_QUERY:
        return expr_ask(e, ctx, args, in, row, out, err);
    default:
        if (e->arg_count == 1)
            return expr_at(e, ops_unary(e, &args[0], ctx->arena, out, err), err);
        return expr_at(e, ops_binary(e, &args[0], &args[1], ctx->arena, out, err), err);
    }
}

quartet_status expr_value(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint32_t row, struct value *out, struct err *err)
{
    switch (e->op) {
    case EXPR_CONST:
        *out = e->u.value;
        return QUARTET_OK;
    case EXPR_COLUMN:
        QASSERT(in != NULL);
        QASSERT(e->u.column < in->col_count);
        *out = vec_get(&in->cols[e->u.column], row);
        return QUARTET_OK;
    case EXPR_PARAM:
        *out = e->u.param >= 1 && e->u.param <= ctx->param_count ? ctx->params[e->u.param - 1] : VALUE_NULL_INIT;
        return QUARTET_OK;
    case EXPR_OUTER:
        return outer_value(e, ctx, out);
    case EXPR_AND:
    case EXPR_OR:
        return logic_value(e, ctx, in, row, out, err);
    case EXPR_CASE:
    case EXPR_CASE_OF:
        return case_value(e, ctx, in, row, out, err);
    case EXPR_COALESCE:
        return coalesce_value(e, ctx, in, row, out, err);
    default:
        break;
    }
    struct value on_stack[ARGS_ON_STACK];
    struct value *args = on_stack;
    uint32_t count = e->op == EXPR_IN && (e->u.set != NULL || e->arg_count == 1) ? 1 : e->arg_count; /* a set stands for the list */
    if (e->op == EXPR_IN && e->arg_count == 1) { /* IN (): false, even for NULL */
        *out = value_int((e->flags & EXPR_NEGATED) != 0);
        return QUARTET_OK;
    }
    if (count > ARGS_ON_STACK) {
        args = arena_alloc(ctx->arena, count * sizeof *args);
        if (args == NULL)
            return arena_fail(ctx->arena, err);
    }
    for (uint32_t k = 0; k < count; k++) {
        quartet_status rc = expr_value(e->args[k], ctx, in, row, &args[k], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return args_value(e, ctx, in, row, args, out, err);
}
