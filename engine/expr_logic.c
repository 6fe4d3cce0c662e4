/* expr_logic.c - AND, OR, CASE, COALESCE and filters: what decides which rows the rest is computed for.
 * Why with selections: CASE WHEN b <> 0 THEN a / b END must not compute, nor fail, for the rows that it keeps out; and an AND whose first part leaves
 *   three rows of a thousand should compute its second part for three. */
#include "expr_ops.h"

#include <string.h>

static quartet_status sel_new(struct arena *a, uint32_t n, uint16_t **out, struct err *err)
{
    *out = arena_alloc(a, (n > 0 ? n : 1) * sizeof **out);
    return *out != NULL ? QUARTET_OK : arena_fail(a, err);
}

static struct batch narrowed(const struct batch *in, const uint16_t *sel, uint32_t n)
{
    struct batch b = *in;
    b.sel = sel;
    b.n = n;
    return b;
}

/* Rows of `in` that are not in hit[0..n), which is a part of them, both ascending. out may be in->sel's memory. */
static uint32_t sel_minus(const struct batch *in, const uint16_t *hit, uint32_t hit_count, uint16_t *out)
{
    uint32_t n = 0, h = 0;
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k);
        if (h < hit_count && hit[h] == row)
            h++;
        else
            out[n++] = (uint16_t)row;
    }
    return n;
}

/* ---- AND, OR as values ---- */

quartet_status eval_logic(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    int decided = e->op == EXPR_OR;
    uint16_t *sel = NULL;
    struct batch rest = *in;
    quartet_status rc = vec_result(out, VALUE_INTEGER, rows_top(in), ctx->arena, err);
    if (rc == QUARTET_OK)
        rc = sel_new(ctx->arena, in->n, &sel, err);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t k = 0; k < in->n; k++)
        out->i[batch_row(in, k)] = !decided;
    for (uint32_t arm = 0; arm < e->arg_count && rest.n > 0; arm++) {
        struct vec v;
        uint32_t n = 0;
        rc = expr_eval(e->args[arm], ctx, &rest, &v, err);
        if (rc != QUARTET_OK)
            return rc;
        for (uint32_t k = 0; k < rest.n; k++) {
            uint32_t row = batch_row(&rest, k);
            int t = vec_truth(&v, row);
            if (t == decided) {
                out->i[row] = decided;
                out->null[row] = 0;
                continue;
            }
            if (t < 0)
                out->null[row] = 1;
            sel[n++] = (uint16_t)row;
        }
        if (n < rest.n)
            rest = narrowed(in, sel, n);
    }
    for (uint32_t k = 0; k < rest.n; k++) { /* decided rows are no longer among these */
        uint32_t row = batch_row(&rest, k);
        if (out->null[row] != 0) {
            out->has_null = true;
            out->i[row] = 0;
        }
    }
    return QUARTET_OK;
}

/* ---- CASE, COALESCE ---- */

static quartet_status take_rows(struct vec_out *o, const struct batch *rows, const struct vec *from, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t k = 0; k < rows->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(rows, k);
        struct value v = vec_get(from, row);
        rc = vout_put(o, row, &v, err);
    }
    return rc;
}

/* The rows of `rest` whose WHEN number `arm` holds. */
static quartet_status case_hits(const struct expr *e, struct expr_ctx *ctx, uint32_t arm, const struct vec *operand, const struct batch *rest,
                                uint16_t *hit, uint32_t *hit_count, struct err *err)
{
    if (e->op == EXPR_CASE)
        return expr_filter(e->args[arm], ctx, rest, hit, hit_count, err);
    struct vec v;
    quartet_status rc = expr_eval(e->args[arm], ctx, rest, &v, err);
    uint32_t n = 0;
    for (uint32_t k = 0; k < rest->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(rest, k);
        struct value x = vec_get(operand, row), y = vec_get(&v, row);
        hit[n] = (uint16_t)row;
        n += ops_compare(EXPR_EQ, &x, &y, (e->flags & EXPR_NOCASE) != 0) == 1;
    }
    *hit_count = n;
    return rc;
}

static quartet_status eval_when(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    struct vec operand = {.type = VALUE_NULL}, v;
    struct vec_out o;
    uint16_t *hit = NULL, *left = NULL;
    uint32_t at = 0;
    struct batch rest = *in;
    quartet_status rc = vout_begin(&o, out, in, ctx->arena, err);
    if (rc == QUARTET_OK)
        rc = sel_new(ctx->arena, in->n, &hit, err);
    if (rc == QUARTET_OK)
        rc = sel_new(ctx->arena, in->n, &left, err);
    if (rc == QUARTET_OK && e->op == EXPR_CASE_OF)
        rc = expr_eval(e->args[at++], ctx, in, &operand, err);
    for (; rc == QUARTET_OK && at + 1 < e->arg_count && rest.n > 0; at += 2) {
        uint32_t hit_count = 0;
        rc = case_hits(e, ctx, at, &operand, &rest, hit, &hit_count, err);
        if (rc != QUARTET_OK || hit_count == 0)
            continue;
        struct batch hits = hit_count == rest.n ? rest : narrowed(in, hit, hit_count);
        rc = expr_eval(e->args[at + 1], ctx, &hits, &v, err);
        if (rc == QUARTET_OK && hit_count == in->n) { /* all rows alike */
            *out = v;
            return rc;
        }
        if (rc == QUARTET_OK)
            rc = take_rows(&o, &hits, &v, err);
        uint32_t n = sel_minus(&rest, hit, hit_count, left);
        rest = narrowed(in, left, n);
    }
    if (rc != QUARTET_OK || rest.n == 0 || at >= e->arg_count)
        return rc;
    rc = expr_eval(e->args[e->arg_count - 1], ctx, &rest, &v, err);
    if (rc == QUARTET_OK && rest.n == in->n) {
        *out = v;
        return rc;
    }
    return rc == QUARTET_OK ? take_rows(&o, &rest, &v, err) : rc;
}

static quartet_status eval_coalesce(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    struct vec v;
    struct vec_out o;
    uint16_t *left = NULL;
    struct batch rest = *in;
    quartet_status rc = vout_begin(&o, out, in, ctx->arena, err);
    if (rc == QUARTET_OK)
        rc = sel_new(ctx->arena, in->n, &left, err);
    for (uint32_t arm = 0; arm < e->arg_count && rest.n > 0 && rc == QUARTET_OK; arm++) {
        uint32_t n = 0;
        rc = expr_eval(e->args[arm], ctx, &rest, &v, err);
        if (rc != QUARTET_OK)
            return rc;
        if (rest.n == in->n && (arm + 1 == e->arg_count || (v.type != VEC_MIXED && !v.has_null && v.type != VALUE_NULL))) {
            *out = v;
            return rc;
        }
        for (uint32_t k = 0; k < rest.n && rc == QUARTET_OK; k++) {
            uint32_t row = batch_row(&rest, k);
            struct value x = vec_get(&v, row);
            if (x.type == VALUE_NULL)
                left[n++] = (uint16_t)row;
            else
                rc = vout_put(&o, row, &x, err);
        }
        rest = narrowed(in, left, n);
    }
    return rc;
}

quartet_status eval_case(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, struct vec *out, struct err *err)
{
    return e->op == EXPR_COALESCE ? eval_coalesce(e, ctx, in, out, err) : eval_when(e, ctx, in, out, err);
}

/* ---- filters ---- */

static uint32_t sel_all(const struct batch *in, uint16_t *out)
{
    for (uint32_t k = 0; k < in->n; k++)
        out[k] = (uint16_t)batch_row(in, k);
    return in->n;
}

static quartet_status filter_and(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint16_t *sel_out, uint32_t *n_out,
                                 struct err *err)
{
    struct batch rest = *in;
    uint32_t n = in->n;
    if (e->arg_count == 0)
        n = sel_all(in, sel_out);
    for (uint32_t k = 0; k < e->arg_count && n > 0; k++) {
        quartet_status rc = QUARTET_OK;
        if (k + 1 < e->arg_count && vec_interval_filter(e->args[k], e->args[k + 1], &rest, sel_out, &n))
            k++; /* x >= a AND x <= b, which is what BETWEEN is */
        else
            rc = expr_filter(e->args[k], ctx, &rest, sel_out, &n, err);
        if (rc != QUARTET_OK)
            return rc;
        rest = narrowed(in, sel_out, n);
    }
    *n_out = n;
    return QUARTET_OK;
}

/* Rows found by one arm are not asked again; found rows are merged by marks, one byte a row. */
static quartet_status filter_or(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint16_t *sel_out, uint32_t *n_out,
                                struct err *err)
{
    uint16_t *hit = NULL, *left = NULL;
    uint32_t top = rows_top(in), n = 0;
    uint8_t *found = arena_zalloc(ctx->arena, top, 1);
    struct batch rest = *in;
    if (found == NULL)
        return arena_fail(ctx->arena, err);
    quartet_status rc = sel_new(ctx->arena, in->n, &hit, err);
    if (rc == QUARTET_OK)
        rc = sel_new(ctx->arena, in->n, &left, err);
    for (uint32_t arm = 0; arm < e->arg_count && rest.n > 0 && rc == QUARTET_OK; arm++) {
        uint32_t hit_count = 0;
        rc = expr_filter(e->args[arm], ctx, &rest, hit, &hit_count, err);
        if (rc != QUARTET_OK || hit_count == 0)
            continue;
        for (uint32_t k = 0; k < hit_count; k++)
            found[hit[k]] = 1;
        uint32_t left_count = sel_minus(&rest, hit, hit_count, left);
        rest = narrowed(in, left, left_count);
    }
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        sel_out[n] = (uint16_t)row;
        n += found[row];
    }
    *n_out = n;
    return rc;
}

static quartet_status filter_compare(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint16_t *sel_out, uint32_t *n_out,
                                     struct err *err)
{
    struct vec a, b;
    quartet_status rc = expr_eval(e->args[0], ctx, in, &a, err);
    if (rc == QUARTET_OK)
        rc = expr_eval(e->args[1], ctx, in, &b, err);
    if (rc != QUARTET_OK || vec_compare_filter(e, in, &a, &b, sel_out, n_out))
        return rc;
    uint32_t n = 0;
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k);
        struct value x = vec_get(&a, row), y = vec_get(&b, row);
        sel_out[n] = (uint16_t)row;
        n += ops_compare(e->op, &x, &y, (e->flags & EXPR_NOCASE) != 0) == 1;
    }
    *n_out = n;
    return rc;
}

quartet_status expr_filter(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint16_t *sel_out, uint32_t *n_out, struct err *err)
{
    struct vec v;
    uint32_t n = 0;
    *n_out = 0;
    if (in->n == 0)
        return QUARTET_OK;
    switch (e->op) {
    case EXPR_AND:
        return filter_and(e, ctx, in, sel_out, n_out, err);
    case EXPR_OR:
        return filter_or(e, ctx, in, sel_out, n_out, err);
    case EXPR_EQ:
    case EXPR_NE:
    case EXPR_LT:
    case EXPR_LE:
    case EXPR_GT:
    case EXPR_GE:
        return filter_compare(e, ctx, in, sel_out, n_out, err);
    default:
        break;
    }
    quartet_status rc = expr_eval(e, ctx, in, &v, err);
    if (rc != QUARTET_OK)
        return rc;
    if (v.constant) {
        *n_out = vec_truth(&v, 0) == 1 ? sel_all(in, sel_out) : 0;
        return rc;
    }
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k);
        sel_out[n] = (uint16_t)row;
        n += vec_truth(&v, row) == 1;
    }
    *n_out = n;
    return rc;
}
