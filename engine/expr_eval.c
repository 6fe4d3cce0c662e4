/* expr_eval.c - expressions over a batch: which loop a node takes.
 * How: arguments become vectors; where their types have a loop it is taken, otherwise the rows go one by one through expr_ops.c. A result is indexed as its
 *   input, so sel costs no copying, and what is constant is computed once.
 * Not here: AND, OR, CASE and filters (expr_logic.c), one row at a time (expr_value.c). */
#include "expr_ops.h"

#include "like.h"

#include <string.h>

static quartet_status const_null(struct vec *out, struct arena *a, struct err *err)
{
    struct value null = VALUE_NULL_INIT;
    return vec_constant(out, &null, a, err);
}

static bool is_const_null(const struct vec *v)
{
    return v->constant && vec_is_null(v, 0);
}

/* A node without columns below it: once for all rows. */
static quartet_status eval_once(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    struct value v;
    quartet_status rc = expr_value(e, ctx, in, batch_row(in, 0), &v, err);
    return rc == QUARTET_OK ? vec_constant(out, &v, ctx->arena, err) : rc;
}

/* ---- one argument ---- */

static bool passes_through(const struct expr *e, const struct vec *v)
{
    uint8_t t = v->type;
    switch (e->op) {
    case EXPR_POS:
        return true;
    case EXPR_AFFINITY:
        switch (e->u.affinity_to) {
        case VALUE_INTEGER:
        case VALUE_REAL:
            return t != VALUE_TEXT && t != VEC_MIXED;
        case VALUE_TEXT:
            return t == VALUE_TEXT || t == VALUE_BLOB;
        default:
            return t == e->u.affinity_to;
        }
    case EXPR_CAST:
        return t == e->u.cast.type.type && t != VALUE_DECIMAL && !e->u.cast.type.is_boolean;
    case EXPR_CONVERT:
        return t == e->u.cast.type.type && t == VALUE_INTEGER && !e->u.cast.type.is_boolean;
    default:
        return false;
    }
}

/* IS NULL, NOT NULL, NOT, IS TRUE, IS FALSE: truth values of any vector. */
static quartet_status eval_truth_test(const struct expr *e, const struct batch *in, const struct vec *v, struct arena *a, struct vec *out,
                                      struct err *err)
{
    quartet_status rc = vec_result(out, VALUE_INTEGER, rows_top(in), a, err);
    if (rc != QUARTET_OK)
        return rc;
    bool negated = (e->flags & EXPR_NEGATED) != 0;
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k);
        int t;
        if (e->op == EXPR_IS_NULL || e->op == EXPR_NOT_NULL) {
            out->i[row] = vec_is_null(v, row) == (e->op == EXPR_IS_NULL);
            continue;
        }
        t = vec_truth(v, row);
        if (e->op != EXPR_NOT) {
            out->i[row] = (t == (e->op == EXPR_IS_TRUE)) != negated;
        } else if (t < 0) {
            out->i[row] = 0;
            out->null[row] = 1;
            out->has_null = true;
        } else {
            out->i[row] = !t;
        }
    }
    return QUARTET_OK;
}

static quartet_status eval_unary(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    struct vec v;
    struct vec_out o;
    quartet_status rc = expr_eval(e->args[0], ctx, in, &v, err);
    if (rc != QUARTET_OK)
        return rc;
    if (passes_through(e, &v)) {
        *out = v;
        return QUARTET_OK;
    }
    struct value x, r;
    if (v.constant) {
        x = vec_get(&v, 0);
        rc = expr_at(e, ops_unary(e, &x, ctx->arena, &r, err), err);
        return rc == QUARTET_OK ? vec_constant(out, &r, ctx->arena, err) : rc;
    }
    if (e->op == EXPR_NOT || e->op == EXPR_IS_NULL || e->op == EXPR_NOT_NULL || e->op == EXPR_IS_TRUE || e->op == EXPR_IS_FALSE)
        return eval_truth_test(e, in, &v, ctx->arena, out, err);
    rc = vout_begin(&o, out, in, ctx->arena, err);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        x = vec_get(&v, row);
        if (x.type == VALUE_NULL)
            continue;
        rc = expr_at(e, ops_unary(e, &x, ctx->arena, &r, err), err);
        if (rc == QUARTET_OK)
            rc = vout_put(&o, row, &r, err);
    }
    return rc;
}

/* ---- two arguments ---- */

static quartet_status binary_rows(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, const struct vec *a, const struct vec *b,
                                  struct vec *out, struct err *err)
{
    struct vec_out o;
    quartet_status rc = vout_begin(&o, out, in, ctx->arena, err);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        struct value x = vec_get(a, row), y = vec_get(b, row), r;
        rc = expr_at(e, ops_binary(e, &x, &y, ctx->arena, &r, err), err);
        if (rc == QUARTET_OK)
            rc = vout_put(&o, row, &r, err);
    }
    return rc;
}

static quartet_status eval_binary(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    struct vec a, b;
    bool done = false;
    quartet_status rc = expr_eval(e->args[0], ctx, in, &a, err);
    if (rc == QUARTET_OK)
        rc = expr_eval(e->args[1], ctx, in, &b, err);
    if (rc != QUARTET_OK)
        return rc;
    if (a.constant && b.constant) {
        struct value x = vec_get(&a, 0), y = vec_get(&b, 0), r;
        rc = expr_at(e, ops_binary(e, &x, &y, ctx->arena, &r, err), err);
        return rc == QUARTET_OK ? vec_constant(out, &r, ctx->arena, err) : rc;
    }
    bool null_safe = e->op == EXPR_IS || e->op == EXPR_IS_NOT || e->op == EXPR_NULLIF;
    if (!null_safe && (is_const_null(&a) || is_const_null(&b)))
        return const_null(out, ctx->arena, err);
    if (e->op >= EXPR_ADD && e->op <= EXPR_IDIV)
        rc = vec_arith(e, in, &a, &b, ctx->arena, out, &done, err);
    else if (e->op >= EXPR_EQ && e->op <= EXPR_GE)
        rc = vec_compare(e, in, &a, &b, ctx->arena, out, &done, err);
    if (rc != QUARTET_OK || done)
        return rc;
    return binary_rows(e, ctx, in, &a, &b, out, err);
}

/* ---- calls, lists, patterns: the arguments of each row as values ---- */

struct rowwise {
    struct vec *vecs;
    struct value *values;
    uint32_t n;
    bool constant; /* all of them */
};

static quartet_status rowwise_begin(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct rowwise *r, struct err *err)
{
    r->n = e->arg_count;
    r->constant = true;
    r->vecs = arena_zalloc(ctx->arena, r->n > 0 ? r->n : 1, sizeof *r->vecs);
    r->values = arena_zalloc(ctx->arena, r->n > 0 ? r->n : 1, sizeof *r->values);
    if (r->vecs == NULL || r->values == NULL)
        return arena_fail(ctx->arena, err);
    for (uint32_t k = 0; k < r->n; k++) {
        quartet_status rc = expr_eval(e->args[k], ctx, in, &r->vecs[k], err);
        if (rc != QUARTET_OK)
            return rc;
        r->constant = r->constant && r->vecs[k].constant;
        if (r->vecs[k].constant)
            r->values[k] = vec_get(&r->vecs[k], 0);
    }
    return QUARTET_OK;
}

static void rowwise_load(struct rowwise *r, uint32_t row)
{
    for (uint32_t k = 0; k < r->n; k++)
        if (!r->vecs[k].constant)
            r->values[k] = vec_get(&r->vecs[k], row);
}

quartet_status expr_call_values(const struct expr *e, struct expr_ctx *ctx, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    const struct func *f = e->u.func;
    if ((f->flags & FUNC_STRICT) != 0)
        for (uint32_t k = 0; k < n; k++)
            if (args[k].type == VALUE_NULL) {
                *out = VALUE_NULL_INIT;
                return QUARTET_OK;
            }
    struct func_call call = {.ctx = ctx, .func = f, .nocase = (e->flags & EXPR_NOCASE) != 0};
    return expr_at(e, f->scalar(&call, args, n, out, err), err);
}

static quartet_status eval_call(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    struct rowwise r;
    struct value v;
    struct vec_out o;
    quartet_status rc = rowwise_begin(e, ctx, in, &r, err);
    if (rc != QUARTET_OK)
        return rc;
    if (r.constant && (e->u.func->flags & (FUNC_DETERMINISTIC | FUNC_STABLE)) != 0) {
        rc = expr_call_values(e, ctx, r.values, r.n, &v, err);
        return rc == QUARTET_OK ? vec_constant(out, &v, ctx->arena, err) : rc;
    }
    rc = vout_begin(&o, out, in, ctx->arena, err);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        rowwise_load(&r, row);
        rc = expr_call_values(e, ctx, r.values, r.n, &v, err);
        if (rc == QUARTET_OK)
            rc = vout_put(&o, row, &v, err);
    }
    return rc;
}

int expr_in_values(const struct expr *e, const struct value *args, uint32_t n)
{
    bool nocase = (e->flags & EXPR_NOCASE) != 0;
    int result = 0;
    if (e->u.set != NULL)
        result = in_set_has(e->u.set, &args[0]);
    else
        for (uint32_t k = 1; k < n && result != 1; k++) {
            int t = ops_compare(EXPR_EQ, &args[0], &args[k], nocase);
            result = t == 0 ? result : t;
        }
    return result < 0 ? -1 : result != ((e->flags & EXPR_NEGATED) != 0);
}

/* A column of integers or texts against a set of the same: no values in between. */
static bool in_typed(const struct expr *e, const struct batch *in, const struct vec *v, struct vec *out)
{
    const struct in_set *s = e->u.set;
    bool ints = v->type == VALUE_INTEGER && in_set_ints_only(s), texts = v->type == VALUE_TEXT && in_set_texts_only(s);
    bool negated = (e->flags & EXPR_NEGATED) != 0, unknown = in_set_null(s);
    if (v->constant || (!ints && !texts))
        return false;
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k);
        bool null = v->has_null && v->null[row] != 0;
        bool found = !null && (ints ? in_set_int(s, v->i[row]) : in_set_text(s, v->s[row]));
        null = null || (unknown && !found);
        out->null[row] = null;
        out->has_null = out->has_null || null;
        out->i[row] = null ? 0 : found != negated;
    }
    return true;
}

static quartet_status eval_in(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    struct vec v;
    quartet_status rc;
    if (e->arg_count == 1) /* IN (): false, even for NULL */
        return vec_constant(out, &(struct value){.type = VALUE_INTEGER, .i = (e->flags & EXPR_NEGATED) != 0}, ctx->arena, err);
    rc = vec_result(out, VALUE_INTEGER, rows_top(in), ctx->arena, err);
    if (rc != QUARTET_OK)
        return rc;
    if (e->u.set != NULL) {
        rc = expr_eval(e->args[0], ctx, in, &v, err);
        if (rc != QUARTET_OK || in_typed(e, in, &v, out))
            return rc;
    }
    struct rowwise r = {.n = 1, .vecs = &v};
    struct value left;
    r.values = &left;
    if (e->u.set == NULL)
        rc = rowwise_begin(e, ctx, in, &r, err);
    else if (v.constant)
        left = vec_get(&v, 0);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        rowwise_load(&r, row);
        int t = expr_in_values(e, r.values, r.n);
        out->null[row] = t < 0;
        out->has_null = out->has_null || t < 0;
        out->i[row] = t < 0 ? 0 : t;
    }
    return rc;
}

static quartet_status eval_like(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    struct rowwise r;
    struct expr once = *e; /* with the pattern compiled, where it is the same for all rows */
    struct like_pattern *made;
    quartet_status rc = rowwise_begin(e, ctx, in, &r, err);
    if (rc == QUARTET_OK)
        rc = vec_result(out, VALUE_INTEGER, rows_top(in), ctx->arena, err);
    if (rc != QUARTET_OK)
        return rc;
    bool fixed = r.vecs[1].constant && (r.n < 3 || r.vecs[2].constant);
    if (fixed && (r.values[1].type == VALUE_NULL || (r.n > 2 && r.values[2].type == VALUE_NULL)))
        return const_null(out, ctx->arena, err);
    if (fixed && once.u.pattern == NULL) {
        rc = expr_at(e, ops_like_compile(e, r.values + 1, ctx->arena, &made, err), err);
        if (rc != QUARTET_OK)
            return rc;
        once.u.pattern = made;
    }
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        struct value v;
        rowwise_load(&r, row);
        rc = expr_at(e, ops_like(&once, &r.values[0], r.values + 1, ctx->arena, &v, err), err);
        bool null = rc != QUARTET_OK || v.type == VALUE_NULL;
        out->null[row] = null;
        out->has_null = out->has_null || null;
        out->i[row] = null ? 0 : v.i;
    }
    return rc;
}

int expr_between_values(const struct expr *e, const struct value *args)
{
    bool nocase = (e->flags & EXPR_NOCASE) != 0;
    int low = ops_compare(EXPR_GE, &args[0], &args[1], nocase), high = ops_compare(EXPR_LE, &args[0], &args[2], nocase);
    int t = low == 0 || high == 0 ? 0 : low < 0 || high < 0 ? -1 : 1;
    return t < 0 ? t : t != ((e->flags & EXPR_NEGATED) != 0);
}

static quartet_status eval_between(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    struct rowwise r;
    struct vec_out o;
    quartet_status rc = rowwise_begin(e, ctx, in, &r, err);
    if (rc == QUARTET_OK)
        rc = vout_begin(&o, out, in, ctx->arena, err);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        rowwise_load(&r, row);
        struct value v = ops_truth(expr_between_values(e, r.values));
        rc = vout_put(&o, row, &v, err);
    }
    return rc;
}

/* ---- subqueries ---- */

quartet_status expr_ask(const struct expr *e, struct expr_ctx *ctx, const struct value *left, const struct batch *in, uint32_t row,
                        struct value *out, struct err *err)
{
    if (ctx->host == NULL || ctx->host->subquery == NULL)
        return expr_at(e, err_set(err, QUARTET_ERROR, "a subquery cannot stand here"), err);
    quartet_status rc = ctx->host->subquery(ctx->host_arg, e, ctx, left, in, row, out, err);
    if (rc == QUARTET_OK && (e->flags & EXPR_NEGATED) != 0 && out->type == VALUE_INTEGER && e->op != EXPR_SUBQUERY)
        out->i = !out->i;
    return rc;
}

/* IN for the whole batch, where the host can; *done false: not so. */
static quartet_status in_rows(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, bool *done, struct err *err)
{
    *done = false;
    if (e->op != EXPR_IN_QUERY || (e->flags & EXPR_CORRELATED) != 0 || ctx->host == NULL || ctx->host->in_rows == NULL)
        return QUARTET_OK;
    struct vec *left = arena_alloc(ctx->arena, (e->arg_count + 1) * sizeof *left);
    if (left == NULL)
        return arena_fail(ctx->arena, err);
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < e->arg_count && rc == QUARTET_OK; i++)
        rc = expr_eval(e->args[i], ctx, in, &left[i], err);
    if (rc == QUARTET_OK)
        rc = ctx->host->in_rows(ctx->host_arg, e, ctx, left, in, out, done, err);
    for (uint32_t k = 0; rc == QUARTET_OK && *done && (e->flags & EXPR_NEGATED) != 0 && k < in->n; k++)
        out->i[batch_row(in, k)] ^= 1; /* of a NULL nobody looks at it */
    return rc;
}

static quartet_status eval_subquery(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    struct rowwise r;
    struct vec_out o;
    struct value v;
    bool done;
    quartet_status rc = in_rows(e, ctx, in, out, &done, err);
    if (rc == QUARTET_OK && !done)
        rc = rowwise_begin(e, ctx, in, &r, err);
    if (rc != QUARTET_OK || done)
        return rc;
    if (r.constant && (e->flags & EXPR_CORRELATED) == 0) {
        rc = expr_ask(e, ctx, r.values, in, batch_row(in, 0), &v, err);
        return rc == QUARTET_OK ? vec_constant(out, &v, ctx->arena, err) : rc;
    }
    rc = vout_begin(&o, out, in, ctx->arena, err);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        rowwise_load(&r, row);
        if (ctx->interrupted != NULL && *ctx->interrupted != 0)
            return err_set(err, QUARTET_INTERRUPTED, "interrupted");
        rc = expr_ask(e, ctx, r.values, in, row, &v, err);
        if (rc == QUARTET_OK)
            rc = vout_put(&o, row, &v, err);
    }
    return rc;
}

quartet_status expr_eval(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    if (ctx->interrupted != NULL && *ctx->interrupted != 0)
        return err_set(err, QUARTET_INTERRUPTED, "interrupted");
    if (in->n == 0)
        return const_null(out, ctx->arena, err);
    switch (e->op) {
    case EXPR_COLUMN:
        QASSERT(e->u.column < in->col_count);
        *out = in->cols[e->u.column];
        return QUARTET_OK;
    case EXPR_CONST:
        return vec_constant(out, &e->u.value, ctx->arena, err);
    case EXPR_OUTER:
    case EXPR_PARAM:
        return eval_once(e, ctx, in, out, err);
    case EXPR_AND:
    case EXPR_OR:
        return eval_logic(e, ctx, in, out, err);
    case EXPR_CASE:
    case EXPR_CASE_OF:
    case EXPR_COALESCE:
        return eval_case(e, ctx, in, out, err);
    case EXPR_CALL:
        return eval_call(e, ctx, in, out, err);
    case EXPR_IN:
        return eval_in(e, ctx, in, out, err);
    case EXPR_BETWEEN:
        return eval_between(e, ctx, in, out, err);
    case EXPR_LIKE:
    case EXPR_ILIKE:
    case EXPR_GLOB:
    case EXPR_REGEXP:
    case EXPR_SIMILAR:
        return eval_like(e, ctx, in, out, err);
    case EXPR_SUBQUERY:
    case EXPR_EXISTS:
    case EXPR_IN_QUERY:
        return eval_subquery(e, ctx, in, out, err);
    default:
        return e->arg_count == 1 ? eval_unary(e, ctx, in, out, err) : eval_binary(e, ctx, in, out, err);
    }
}
