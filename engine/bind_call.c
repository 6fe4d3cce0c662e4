/* bind_call.c - calls: scalar functions, aggregates and window functions.
 * Why aggregates become columns: an aggregate is computed below the SELECT list; what stands in the
 * list is a reference to its result. */
#include "bind.h"

#include <string.h>

#include "exec_key.h"

static quartet_status bind_orders(struct bind *b, struct scope *s, const struct ast_orders *list,
                                  struct border **out, struct err *err)
{
    struct border *order = arena_zalloc(b->a, list->count + 1, sizeof *order);
    if (order == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 0; i < list->count; i++) {
        quartet_status rc = bind_expr(b, s, list->item[i].expr, &order[i].expr, err);
        if (rc != QUARTET_OK)
            return rc;
        (void)bind_sort_flags(&list->item[i], order[i].expr,
                              &order[i].flags); /* always QUARTET_OK */
    }
    *out = order;
    return QUARTET_OK;
}

quartet_status bind_sort_flags(const struct ast_order *o, const struct expr *e, uint8_t *flags)
{
    uint8_t f = 0;
    bool desc = o->dir == AST_SORT_DESC;
    if (desc)
        f |= CELL_KEY_DESC;
    if (o->nulls == AST_NULLS_LAST || (o->nulls == AST_NULLS_DEFAULT && desc))
        f |= CELL_KEY_NULLS_LAST;
    if ((e->flags & EXPR_NOCASE_VALUE) != 0)
        f |= CELL_KEY_NOCASE;
    *flags = f;
    return QUARTET_OK;
}

/* A result column of its own for an aggregate or window call. */
static quartet_status call_column(struct bind *b, uint8_t kind, const struct func *f,
                                  struct expr **args, uint32_t n, uint32_t *cid, struct err *err)
{
    struct bcol c = {
        .name = f != NULL ? f->name : "window", .kind = kind, .type = f != NULL ? f->type : 0};
    bool passes_value =
        f != NULL && (f->code == AGG_MIN || f->code == AGG_MAX || f->code == AGG_ANY_VALUE);
    if ((passes_value || f == NULL) && n > 0) {
        c.type = args[0]->type;
        c.scale = args[0]->scale;
        c.is_boolean = args[0]->is_boolean;
        c.flags = args[0]->flags & EXPR_NOCASE_VALUE;
    }
    return bind_new_col(b, &c, cid, err);
}

static bool same_agg(const struct bagg *x, const struct bagg *y)
{
    if (x->spec.func != y->spec.func || x->spec.distinct != y->spec.distinct ||
        x->spec.arg_count != y->spec.arg_count || x->spec.nocase != y->spec.nocase)
        return false;
    if (x->order_count != 0 || y->order_count != 0 || (x->filter == NULL) != (y->filter == NULL))
        return false;
    if (x->filter != NULL && !expr_equal(x->filter, y->filter))
        return false;
    for (uint32_t i = 0; i < x->spec.arg_count; i++) {
        if (!expr_equal(x->args[i], y->args[i]))
            return false;
    }
    return true;
}

static quartet_status agg_operands(struct bind *b, struct scope *s, const struct ast_function *f,
                                   struct bagg *call, struct err *err)
{
    bool was_agg = s->allow_agg, was_window = s->allow_window;
    s->allow_agg = false;
    s->allow_window = false;
    s->in_agg = true;
    quartet_status rc = bind_expr_list(b, s, &f->args, &call->args, err);
    if (rc == QUARTET_OK && f->filter != NULL)
        rc = bind_expr(b, s, f->filter, &call->filter, err);
    if (rc == QUARTET_OK && f->order_by.count > 0) {
        call->order_count = f->order_by.count;
        rc = bind_orders(b, s, &f->order_by, &call->order, err);
    }
    if (rc == QUARTET_OK && f->within_group &&
        call->order_count == 1) { /* percentile_cont(0.5) WITHIN GROUP (ORDER BY x) is (x, 0.5) */
        struct expr **args = arena_zalloc(b->a, f->args.count + 1, sizeof(struct expr *));
        if (args == NULL)
            return arena_fail(b->a, err);
        args[0] = call->order[0].expr;
        memcpy(args + 1, call->args, f->args.count * sizeof *args);
        call->args = args;
        call->order_count = 0;
    }
    s->allow_agg = was_agg;
    s->allow_window = was_window;
    s->in_agg = false;
    return rc;
}

static quartet_status bind_aggregate(struct bind *b, struct scope *s, const struct ast_expr *e,
                                     const struct func *func, struct expr **out, struct err *err)
{
    const struct ast_function *f = e->u.function;
    struct bquery *q = s->query;
    uint32_t arg_count = f->args.count + (f->within_group ? 1 : 0);
    struct bagg call = {.spec = {.func = func,
                                 .arg_count = arg_count,
                                 .distinct = f->distinct,
                                 .sql_offset = e->offset}};
    if (!s->allow_agg)
        return err_set_at(
            err, QUARTET_ERROR, e->offset, "misuse of aggregate %s(): it cannot stand %s%s",
            func->name, s->in_agg ? "inside another aggregate" : "in ", s->in_agg ? "" : s->clause);
    quartet_status rc = agg_operands(b, s, f, &call, err);
    if (rc != QUARTET_OK)
        return rc;
    if (f->distinct && arg_count != 1 && !(arg_count == 2 && func->code == AGG_GROUP_CONCAT))
        return err_set_at(err, QUARTET_ERROR, e->offset, "DISTINCT aggregates take one argument");
    call.spec.nocase = arg_count > 0 && (call.args[0]->flags & EXPR_NOCASE_VALUE) != 0;
    q->aggregated = true;
    for (uint32_t i = 0; i < q->agg_count; i++) {
        if (same_agg(&q->aggs[i], &call))
            return bind_col_expr(b, q->aggs[i].cid, out, err);
    }
    rc = call_column(b, BCOL_AGG, func, call.args, arg_count, &call.cid, err);
    if (rc != QUARTET_OK)
        return rc;
    if (!bind_grow(b->a, &q->aggs, q->agg_count, &q->agg_cap, sizeof *q->aggs))
        return arena_fail(b->a, err);
    q->aggs[q->agg_count++] = call;
    return bind_col_expr(b, call.cid, out, err);
}

/* ---- windows ---- */

static const struct {
    const char *name;
    uint8_t code, min_args, max_args;
} window_functions[] = {
    {"row_number", WINDOW_ROW_NUMBER, 0, 0},
    {"rank", WINDOW_RANK, 0, 0},
    {"dense_rank", WINDOW_DENSE_RANK, 0, 0},
    {"percent_rank", WINDOW_PERCENT_RANK, 0, 0},
    {"cume_dist", WINDOW_CUME_DIST, 0, 0},
    {"ntile", WINDOW_NTILE, 1, 1},
    {"lag", WINDOW_LAG, 1, 3},
    {"lead", WINDOW_LEAD, 1, 3},
    {"first_value", WINDOW_FIRST_VALUE, 1, 1},
    {"last_value", WINDOW_LAST_VALUE, 1, 1},
    {"nth_value", WINDOW_NTH_VALUE, 2, 2},
};

static quartet_status find_window(const struct scope *s, const struct ast_name *name,
                                  const struct ast_window **out, struct err *err)
{
    for (uint32_t i = 0; s->select != NULL && i < s->select->window_count; i++) {
        if (name_eq(s->select->window[i].name.text, name->text)) {
            *out = s->select->window[i].window;
            return QUARTET_OK;
        }
    }
    return err_set_at(err, QUARTET_ERROR, name->offset, "no such window: %s", name->text);
}

static quartet_status window_frame(struct bind *b, struct scope *s, const struct ast_frame *f,
                                   struct bwindow *w, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    if (f == NULL) {
        w->mode = AST_FRAME_RANGE;
        w->start = AST_BOUND_UNBOUNDED_PRECEDING;
        w->end = AST_BOUND_CURRENT_ROW;
        return QUARTET_OK;
    }
    w->mode = f->mode;
    w->start = f->start;
    w->end = f->end;
    w->exclude = f->exclude;
    if (f->start_expr != NULL)
        rc = bind_expr(b, s, f->start_expr, &w->start_expr, err);
    if (rc == QUARTET_OK && f->end_expr != NULL)
        rc = bind_expr(b, s, f->end_expr, &w->end_expr, err);
    return rc;
}

static quartet_status window_spec(struct bind *b, struct scope *s, const struct ast_window *def,
                                  uint32_t depth, struct bwindow *w, struct err *err)
{
    const struct ast_window *base = NULL;
    quartet_status rc = QUARTET_OK;
    if (def->base.text != NULL) {
        if (depth > 16)
            return err_set_at(err, QUARTET_ERROR, def->base.offset,
                              "window %s is defined by itself", def->base.text);
        rc = find_window(s, &def->base, &base, err);
        if (rc == QUARTET_OK)
            rc = window_spec(b, s, base, depth + 1, w, err);
        if (rc != QUARTET_OK || def->is_reference)
            return rc;
    }
    if (def->partition_by.count > 0) {
        w->partition_count = def->partition_by.count;
        rc = bind_expr_list(b, s, &def->partition_by, &w->partition, err);
    }
    if (rc == QUARTET_OK && def->order_by.count > 0) {
        w->order_count = def->order_by.count;
        rc = bind_orders(b, s, &def->order_by, &w->order, err);
    }
    if (rc == QUARTET_OK && (base == NULL || def->frame != NULL))
        rc = window_frame(b, s, def->frame, w, err);
    return rc;
}

static quartet_status window_kind(const struct ast_expr *e, struct bwindow *w, struct err *err)
{
    const struct ast_function *f = e->u.function;
    for (size_t i = 0; i < sizeof window_functions / sizeof window_functions[0]; i++) {
        if (!name_eq(window_functions[i].name, f->name.text))
            continue;
        if (f->args.count < window_functions[i].min_args ||
            f->args.count > window_functions[i].max_args)
            return err_set_at(err, QUARTET_ERROR, e->offset, "wrong number of arguments to %s()",
                              f->name.text);
        w->code = window_functions[i].code;
        return QUARTET_OK;
    }
    quartet_status rc = func_find(f->name.text, f->args.count, &w->spec.func, err);
    if (rc != QUARTET_OK) {
        err->sql_offset = e->offset;
        return rc;
    }
    if ((w->spec.func->flags & FUNC_AGGREGATE) == 0)
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "%s() may not be used as a window function", f->name.text);
    if (f->distinct)
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "DISTINCT is not supported in window functions");
    w->code = WINDOW_AGG;
    w->spec.arg_count = f->args.count;
    w->spec.sql_offset = e->offset;
    return QUARTET_OK;
}

static quartet_status bind_window(struct bind *b, struct scope *s, const struct ast_expr *e,
                                  struct expr **out, struct err *err)
{
    const struct ast_function *f = e->u.function;
    struct bquery *q = s->query;
    struct bwindow w = {.arg_count = f->args.count,
                        .ignore_nulls = f->nulls == AST_FUNCTION_IGNORE_NULLS};
    if (!s->allow_window)
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "misuse of window function %s(): it cannot stand in %s", f->name.text,
                          s->clause);
    quartet_status rc = window_kind(e, &w, err);
    if (rc != QUARTET_OK)
        return rc;
    s->allow_window = false;
    rc = bind_expr_list(b, s, &f->args, &w.args, err);
    if (rc == QUARTET_OK && f->filter != NULL)
        rc = bind_expr(b, s, f->filter, &w.filter, err);
    if (rc == QUARTET_OK)
        rc = window_spec(b, s, f->over, 0, &w, err);
    s->allow_window = true;
    if (rc != QUARTET_OK)
        return rc;
    w.spec.nocase = w.arg_count > 0 && (w.args[0]->flags & EXPR_NOCASE_VALUE) != 0;
    bool passes = w.code == WINDOW_LAG || w.code == WINDOW_LEAD || w.code >= WINDOW_FIRST_VALUE;
    rc = call_column(b, BCOL_WINDOW, w.spec.func, w.args,
                     passes || w.code == WINDOW_AGG ? w.arg_count : 0, &w.cid, err);
    if (rc != QUARTET_OK)
        return rc;
    if (!bind_grow(b->a, &q->windows, q->window_count, &q->window_cap, sizeof *q->windows))
        return arena_fail(b->a, err);
    q->windows[q->window_count++] = w;
    return bind_col_expr(b, w.cid, out, err);
}

/* MySQL's VALUES(col) in ON DUPLICATE KEY UPDATE is excluded.col. */
static quartet_status bind_values_of(struct bind *b, struct scope *s, const struct ast_expr *e,
                                     struct expr **out, struct err *err)
{
    struct ast_column c = *e->u.column;
    c.table.text = "excluded";
    quartet_status rc = bind_name(b, s, &c, e->offset, out, err);
    return rc == QUARTET_NOTFOUND ? QUARTET_ERROR : rc;
}

/* siblings(body): what the row's register holds beside what shows, so the row's key goes along. */
static quartet_status bind_siblings(struct bind *b, struct scope *s, const struct func *func, const struct ast_expr *e,
                                    struct expr **args, struct expr **out, struct err *err)
{
    struct bsource *src = args[0]->op == EXPR_COLUMN ? b->cols[args[0]->u.column].source : NULL;
    uint32_t column = src != NULL ? args[0]->u.column - src->first_cid : 0;
    struct expr *all[4] = {args[0]};
    if (src == NULL || src->table->columns[column].kind != ROW_MULTIVALUE)
        return err_set_at(err, QUARTET_ERROR, e->offset, "siblings() takes a MULTIVALUE column of a table that this query reads");
    if (src->as_of != AST_AS_OF_NONE)
        return err_set_at(err, QUARTET_ERROR, e->offset, "siblings() tells what there is now: it does not go with AS OF");
    if (src->keyless || strcmp(s->clause, "RETURNING") == 0)
        return err_set_at(err, QUARTET_ERROR, e->offset, "siblings() cannot stand in INSERT or RETURNING: what is written has none");
    quartet_status rc = QUARTET_OK;
    if (src->key_cid == BIND_NONE) {
        struct bcol key = {.name = "(key)", .type = VALUE_BLOB};
        rc = bind_new_col(b, &key, &src->key_cid, err);
    }
    struct value table = value_int((int64_t)src->table->id), at = value_int(column);
    if (rc == QUARTET_OK)
        rc = bind_col_expr(b, src->key_cid, &all[1], err);
    if (rc == QUARTET_OK)
        rc = expr_const(b->a, &table, &all[2], err);
    if (rc == QUARTET_OK)
        rc = expr_const(b->a, &at, &all[3], err);
    return rc != QUARTET_OK ? rc : expr_call(b->a, func, all, 4, e->offset, out, err);
}

quartet_status bind_function(struct bind *b, struct scope *s, const struct ast_expr *e,
                             struct expr **out, struct err *err)
{
    const struct ast_function *f = e->u.function;
    const struct func *func;
    struct expr **args = NULL;
    if (name_eq(f->name.text, "values") && f->args.count == 1 &&
        f->args.item[0]->kind == AST_EXPR_COLUMN)
        return bind_values_of(b, s, f->args.item[0], out, err);
    if (f->over != NULL)
        return bind_window(b, s, e, out, err);
    uint32_t n = f->args.count + (f->within_group ? 1 : 0);
    quartet_status rc = func_find(f->name.text, n, &func, err);
    if (rc != QUARTET_OK) {
        for (size_t i = 0; i < sizeof window_functions / sizeof window_functions[0]; i++) {
            if (name_eq(window_functions[i].name, f->name.text))
                return err_set_at(err, QUARTET_ERROR, e->offset,
                                  "%s() is a window function: it needs OVER (...)", f->name.text);
        }
        err->sql_offset = e->offset;
        return rc;
    }
    if ((func->flags & FUNC_AGGREGATE) != 0)
        return bind_aggregate(b, s, e, func, out, err);
    if (f->star || f->distinct || f->filter != NULL)
        return err_set_at(err, QUARTET_ERROR, e->offset,
                          "%s() is no aggregate: *, DISTINCT and FILTER do not apply", func->name);
    rc = bind_expr_list(b, s, &f->args, &args, err);
    if (rc == QUARTET_OK && func == func_siblings())
        return bind_siblings(b, s, func, e, args, out, err);
    return rc != QUARTET_OK ? rc : expr_call(b->a, func, args, f->args.count, e->offset, out, err);
}
