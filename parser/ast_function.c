/* ast_function.c - constructors of function calls and windows.
 * Why the standard's spellings become plain calls here (SUBSTRING(a FROM b), TRIM(LEADING ..),
 * EXTRACT(YEAR FROM d)): the binder and all behind it then know one form. */
#include "parser/ast_build.h"

#include <string.h>
#include <strings.h>

struct ast_expr *ast_function(struct parse_ctx *cx, struct token name, struct ast_exprs *args,
                              int form)
{
    if (cx->rc != QUARTET_OK)
        return ast_alloc(cx, sizeof(struct ast_expr));
    struct ast_expr *e = ast_expr_new(cx, AST_EXPR_FUNCTION, name.offset, ast_exprs_height(args));
    struct ast_function *f = ast_alloc(cx, sizeof *f);
    struct ast_name n = ast_name(cx, name);
    if (cx->rc != QUARTET_OK)
        return e;
    f->name = n;
    if (args != NULL)
        f->args = *args;
    f->star = form == AST_FUNCTION_STAR;
    f->distinct = form == AST_FUNCTION_DISTINCT;
    e->u.function = f;
    return e;
}

/* t AT TIME ZONE zone is timezone(zone, t); AT LOCAL means the session's. */
struct ast_expr *ast_at_zone(struct parse_ctx *cx, struct token t, struct ast_expr *value, struct ast_expr *zone)
{
    static const char name[] = "timezone", local[] = "'local'";
    struct token called = {.p = name, .n = sizeof name - 1, .offset = t.offset}, word = {.p = local, .n = sizeof local - 1, .offset = t.offset};
    if (zone == NULL)
        zone = ast_string(cx, word);
    return ast_function(cx, called, ast_exprs_add(cx, ast_exprs_add(cx, NULL, zone), value), AST_FUNCTION_PLAIN);
}

struct ast_name ast_zone_name(struct parse_ctx *cx, struct token t)
{
    static const char name[] = "time_zone";
    return ast_name(cx, (struct token){.p = name, .n = sizeof name - 1, .offset = t.offset});
}

struct ast_expr *ast_function_order(struct parse_ctx *cx, struct ast_expr *f,
                                    struct ast_orders *orders)
{
    if (cx->rc != QUARTET_OK)
        return f;
    f->height = ast_height(cx, ast_max(f->height - 1u, ast_orders_height(orders)), f->offset);
    f->u.function->order_by = *orders;
    return f;
}

static bool is_word(struct token t, const char *word)
{
    return strlen(word) == t.n && strncasecmp(t.p, word, t.n) == 0;
}

struct ast_expr *ast_function_from(struct parse_ctx *cx, struct token name, struct ast_expr *a,
                                   struct ast_expr *from, struct ast_expr *length)
{
    if (cx->rc != QUARTET_OK)
        return ast_alloc(cx, sizeof(struct ast_expr));
    struct ast_exprs *args;
    if (is_word(name, "extract") && length == NULL) {
        if (a->kind != AST_EXPR_COLUMN && a->kind != AST_EXPR_STRING) {
            parse_ctx_fail(cx, QUARTET_ERROR, a->offset,
                           "EXTRACT takes a field here, as YEAR or HOUR");
            return ast_alloc(cx, sizeof(struct ast_expr));
        }
        args = ast_exprs_add(cx, ast_exprs_add(cx, NULL, ast_setting_value(cx, a)), from);
    } else if (is_word(name, "trim") && length == NULL) {
        args = ast_exprs_add(cx, ast_exprs_add(cx, NULL, from), a);
    } else if (is_word(name, "substring") || is_word(name, "substr")) {
        args = ast_exprs_add(cx, ast_exprs_add(cx, NULL, a), from);
        if (length != NULL)
            args = ast_exprs_add(cx, args, length);
    } else {
        parse_ctx_fail(cx, QUARTET_ERROR, name.offset,
                       "FROM cannot stand among the arguments of %.*s()", (int)name.n, name.p);
        return ast_alloc(cx, sizeof(struct ast_expr));
    }
    return ast_function(cx, name, args, AST_FUNCTION_PLAIN);
}

struct ast_expr *ast_function_trim(struct parse_ctx *cx, struct token name, int side,
                                   struct ast_expr *chars, struct ast_expr *from)
{
    if (cx->rc == QUARTET_OK && !is_word(name, "trim"))
        parse_ctx_fail(cx, QUARTET_ERROR, name.offset,
                       "BOTH, LEADING and TRAILING belong to TRIM()");
    if (cx->rc != QUARTET_OK)
        return ast_alloc(cx, sizeof(struct ast_expr));
    static const char *const names[] = {"trim", "ltrim", "rtrim"};
    struct ast_exprs *args = ast_exprs_add(cx, NULL, from);
    if (chars != NULL)
        args = ast_exprs_add(cx, args, chars);
    struct token called = {
        .p = names[side], .n = (uint32_t)strlen(names[side]), .offset = name.offset};
    return ast_function(cx, called, args, AST_FUNCTION_PLAIN);
}

struct ast_expr *ast_function_tail(struct parse_ctx *cx, struct ast_expr *e,
                                   struct ast_orders *within, struct ast_expr *filter, int nulls,
                                   struct ast_window *over)
{
    if (cx->rc != QUARTET_OK || (within == NULL && filter == NULL && nulls == 0 && over == NULL))
        return e;
    uint32_t h =
        ast_max(e->height - 1u, ast_max(ast_orders_height(within), ast_window_height(over)));
    e->height = ast_height(cx, ast_max(h, filter != NULL ? filter->height : 0), e->offset);
    struct ast_function *f = e->u.function;
    if (within != NULL) {
        if (f->order_by.count > 0)
            parse_ctx_fail(cx, QUARTET_ERROR, e->offset,
                           "ORDER BY inside the parentheses and WITHIN GROUP exclude each other");
        f->order_by = *within;
        f->within_group = true;
    }
    f->filter = filter;
    f->nulls = (uint8_t)nulls;
    f->over = over;
    return e;
}

/* ---- windows ---- */

struct ast_bound_value ast_bound(enum ast_bound kind, struct ast_expr *e)
{
    return (struct ast_bound_value){.expr = e, .kind = (uint8_t)kind};
}

struct ast_frame_token ast_frame_token(struct token t, enum ast_frame_mode mode)
{
    return (struct ast_frame_token){.offset = t.offset, .mode = (uint8_t)mode};
}

struct ast_frame *ast_frame(struct parse_ctx *cx, struct ast_frame_token mode,
                            struct ast_bound_value start, struct ast_bound_value end, int exclude)
{
    struct ast_frame *f = ast_alloc(cx, sizeof *f);
    if (cx->rc != QUARTET_OK)
        return f;
    /* A frame must not end before it starts; two bounds of one kind are compared when they are
     * known. */
    if (start.kind == AST_BOUND_UNBOUNDED_FOLLOWING || end.kind == AST_BOUND_UNBOUNDED_PRECEDING ||
        start.kind > end.kind) {
        parse_ctx_fail(cx, QUARTET_ERROR, mode.offset,
                       "this window frame would end before it starts");
        return f;
    }
    *f = (struct ast_frame){.mode = mode.mode,
                            .start = start.kind,
                            .end = end.kind,
                            .exclude = (uint8_t)exclude,
                            .start_expr = start.expr,
                            .end_expr = end.expr};
    return f;
}

struct ast_window *ast_window(struct parse_ctx *cx, struct ast_name base,
                              struct ast_exprs *partition, struct ast_orders *orders,
                              struct ast_frame *frame)
{
    struct ast_window *w = ast_alloc(cx, sizeof *w);
    if (cx->rc != QUARTET_OK)
        return w;
    w->base = base;
    if (partition != NULL)
        w->partition_by = *partition;
    if (orders != NULL)
        w->order_by = *orders;
    w->frame = frame;
    return w;
}

struct ast_window *ast_window_reference(struct parse_ctx *cx, struct ast_name name)
{
    struct ast_window *w = ast_alloc(cx, sizeof *w);
    w->base = name;
    w->is_reference = true;
    return w;
}

uint32_t ast_window_height(const struct ast_window *w)
{
    if (w == NULL)
        return 0;
    uint32_t h = ast_max(ast_exprs_height(&w->partition_by), ast_orders_height(&w->order_by));
    if (w->frame != NULL && w->frame->start_expr != NULL)
        h = ast_max(h, w->frame->start_expr->height);
    if (w->frame != NULL && w->frame->end_expr != NULL)
        h = ast_max(h, w->frame->end_expr->height);
    return h;
}

struct ast_windows *ast_windows_add(struct parse_ctx *cx, struct ast_windows *list,
                                    struct ast_name name, struct ast_window *w)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_named_window *item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return list;
    list->item = item;
    item[list->count++] = (struct ast_named_window){.name = name, .window = w};
    return list;
}
