/* ast_query.c - constructors of queries: SELECT, VALUES, set operations, WITH.
 * Why UNION and its kin are one node with many parts: they associate to the left, so a chain needs
 * no nesting, and scripts that write hundreds of them must not run into the depth limit. */
#include "parser/ast_build.h"

static struct ast_query *query_new(struct parse_ctx *cx, enum ast_query_kind kind, uint32_t offset)
{
    struct ast_query *q = ast_alloc(cx, sizeof *q);
    q->kind = (uint8_t)kind;
    q->offset = offset;
    q->height = 1;
    return q;
}

/* Something of this height is now inside of q. */
static void query_holds(struct parse_ctx *cx, struct ast_query *q, uint32_t height)
{
    if (height >= q->height)
        q->height = ast_height(cx, height, q->offset);
}

static void query_holds_expr(struct parse_ctx *cx, struct ast_query *q, const struct ast_expr *e)
{
    if (e != NULL)
        query_holds(cx, q, e->height);
}

/* ---- SELECT ---- */

struct ast_distinct ast_distinct(bool distinct, struct ast_exprs *on)
{
    return (struct ast_distinct){.on = on, .distinct = distinct};
}

struct ast_query *ast_select(struct parse_ctx *cx, struct token t, struct ast_distinct distinct,
                             struct ast_results *results)
{
    struct ast_query *q = query_new(cx, AST_QUERY_SELECT, t.offset);
    struct ast_select *s = ast_alloc(cx, sizeof *s);
    if (cx->rc != QUARTET_OK)
        return q;
    s->distinct = distinct.distinct;
    if (distinct.on != NULL)
        s->distinct_on = *distinct.on;
    s->results = *results;
    q->select = s;
    query_holds(cx, q, ast_exprs_height(distinct.on));
    for (uint32_t i = 0; i < results->count; i++)
        query_holds_expr(cx, q, results->item[i].expr);
    return q;
}

void ast_select_from(struct parse_ctx *cx, struct ast_query *q, struct ast_from_list *from,
                     struct ast_expr *where)
{
    if (cx->rc != QUARTET_OK)
        return;
    if (from != NULL)
        q->select->from = *from;
    q->select->where = where;
    query_holds(cx, q, ast_from_height(from));
    query_holds_expr(cx, q, where);
}

void ast_select_group(struct parse_ctx *cx, struct ast_query *q, struct ast_group_list *group,
                      struct ast_expr *having)
{
    if (cx->rc != QUARTET_OK)
        return;
    if (group != NULL)
        q->select->group_by = *group;
    for (uint32_t i = 0; group != NULL && i < group->count; i++)
        query_holds(cx, q, group->item[i]->height);
    q->select->having = having;
    query_holds_expr(cx, q, having);
}

void ast_select_windows(struct parse_ctx *cx, struct ast_query *q, struct ast_windows *windows,
                        struct ast_expr *qualify)
{
    if (cx->rc != QUARTET_OK)
        return;
    if (windows != NULL) {
        q->select->window = windows->item;
        q->select->window_count = windows->count;
        q->select->window_cap = windows->cap;
    }
    for (uint32_t i = 0; windows != NULL && i < windows->count; i++)
        query_holds(cx, q, ast_window_height(windows->item[i].window));
    q->select->qualify = qualify;
    query_holds_expr(cx, q, qualify);
}

struct ast_query *ast_select_table(struct parse_ctx *cx, struct token t, struct ast_qname *name)
{
    if (cx->rc != QUARTET_OK)
        return ast_alloc(cx, sizeof(struct ast_query));
    struct ast_span at = {.next = t.offset, .prev_end = t.offset + t.n};
    struct ast_result *star = ast_result(cx, ast_star(cx, t, NULL), ast_no_name(), at);
    struct ast_query *q =
        ast_select(cx, t, ast_distinct(false, NULL), ast_results_add(cx, NULL, star, at));
    ast_select_from(cx, q,
                    ast_from_add(cx, NULL, ast_from_table(cx, name, ast_no_hint()), AST_JOIN_FIRST),
                    NULL);
    return q;
}

struct ast_result *ast_result(struct parse_ctx *cx, struct ast_expr *e, struct ast_name alias,
                              struct ast_span end)
{
    struct ast_result *r = ast_alloc(cx, sizeof *r);
    *r = (struct ast_result){.expr = e, .alias = alias, .length = end.prev_end};
    return r;
}

struct ast_results *ast_results_add(struct parse_ctx *cx, struct ast_results *list,
                                    struct ast_result *r, struct ast_span start)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_result *item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return list;
    list->item = item;
    r->offset = start.next;
    r->length -= start.next; /* it held the end */
    item[list->count++] = *r;
    return list;
}

struct ast_group *ast_group(struct parse_ctx *cx, enum ast_group_kind kind, struct ast_expr *e,
                            struct ast_group_list *nested)
{
    struct ast_group *g = ast_alloc(cx, sizeof *g);
    if (cx->rc != QUARTET_OK)
        return g;
    uint32_t h = e != NULL ? e->height : 0;
    for (uint32_t i = 0; nested != NULL && i < nested->count; i++)
        h = ast_max(h, nested->item[i]->height);
    *g = (struct ast_group){.kind = (uint8_t)kind, .expr = e, .nested = nested};
    g->height = ast_height(cx, h, e != NULL ? e->offset : cx->tok.offset);
    return g;
}

struct ast_group_list *ast_groups_add(struct parse_ctx *cx, struct ast_group_list *list,
                                      struct ast_group *g)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_group **item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return list;
    list->item = item;
    item[list->count++] = g;
    return list;
}

/* ---- VALUES ---- */

struct ast_rows *ast_rows_add(struct parse_ctx *cx, struct ast_rows *rows, struct ast_exprs *row)
{
    if (rows == NULL)
        rows = ast_alloc(cx, sizeof *rows);
    if (cx->rc == QUARTET_OK && rows->count > 0 && rows->item[0].count != row->count) {
        parse_ctx_fail(
            cx, QUARTET_ERROR, row->item[0]->offset,
            "all VALUES must have the same number of terms: %u here, %u in the first row",
            row->count, rows->item[0].count);
        return rows;
    }
    struct ast_exprs *item = ast_grow(cx, rows->item, rows->count, &rows->cap, sizeof *item);
    if (item == NULL)
        return rows;
    rows->item = item;
    item[rows->count++] = *row;
    return rows;
}

struct ast_query *ast_values(struct parse_ctx *cx, struct token t, struct ast_rows *rows)
{
    struct ast_query *q = query_new(cx, AST_QUERY_VALUES, t.offset);
    if (cx->rc != QUARTET_OK)
        return q;
    q->values = *rows;
    for (uint32_t i = 0; i < rows->count; i++)
        query_holds(cx, q, ast_exprs_height(&rows->item[i]));
    return q;
}

/* ---- what stands round them ---- */

struct ast_limit *ast_limit(struct parse_ctx *cx, struct ast_expr *count, struct ast_expr *offset,
                            bool with_ties)
{
    struct ast_limit *l = ast_alloc(cx, sizeof *l);
    *l = (struct ast_limit){.count = count, .offset = offset, .with_ties = with_ties};
    return l;
}

struct ast_query *ast_query_tail(struct parse_ctx *cx, struct ast_query *q,
                                 struct ast_orders *orders, struct ast_limit *limit, int lock)
{
    if (cx->rc != QUARTET_OK)
        return q;
    if (orders != NULL)
        q->order_by = *orders;
    query_holds(cx, q, ast_orders_height(orders));
    if (limit != NULL) {
        q->limit = limit->count;
        q->limit_offset = limit->offset;
        q->with_ties = limit->with_ties;
        query_holds_expr(cx, q, q->limit);
        query_holds_expr(cx, q, q->limit_offset);
    }
    q->for_update = lock != 0;
    return q;
}

static bool has_tail(const struct ast_query *q)
{
    return q->with != NULL || q->order_by.count > 0 || q->limit != NULL ||
           q->limit_offset != NULL || q->for_update;
}

struct ast_query *ast_query_wrap(struct parse_ctx *cx, struct ast_query *q)
{
    if (cx->rc != QUARTET_OK || !has_tail(q))
        return q;
    struct token t = {.p = "*", .n = 1, .offset = q->offset};
    struct ast_span at = {.next = q->offset, .prev_end = q->offset};
    struct ast_result *star = ast_result(cx, ast_star(cx, t, NULL), ast_no_name(), at);
    struct ast_query *outer =
        ast_select(cx, t, ast_distinct(false, NULL), ast_results_add(cx, NULL, star, at));
    ast_select_from(cx, outer, ast_from_add(cx, NULL, ast_from_query(cx, q, false), AST_JOIN_FIRST),
                    NULL);
    return outer;
}

struct ast_set_token ast_set_token(struct token t, enum ast_set_op op)
{
    return (struct ast_set_token){.offset = t.offset, .op = (uint8_t)op};
}

static void part_add(struct parse_ctx *cx, struct ast_query *q, uint8_t op, struct ast_query *part)
{
    struct ast_set_part *item = ast_grow(cx, q->part, q->part_count, &q->part_cap, sizeof *item);
    if (item == NULL)
        return;
    q->part = item;
    item[q->part_count++] = (struct ast_set_part){.op = op, .query = part};
    query_holds(cx, q, part->height);
}

struct ast_query *ast_query_combine(struct parse_ctx *cx, struct ast_query *l,
                                    struct ast_set_token op, struct ast_query *r)
{
    if (cx->rc != QUARTET_OK)
        return l;
    struct ast_query *q = l;
    if (l->kind != AST_QUERY_COMPOUND || has_tail(l)) {
        q = query_new(cx, AST_QUERY_COMPOUND, l->offset);
        if (cx->rc != QUARTET_OK)
            return q;
        part_add(cx, q, AST_SET_FIRST, l);
    }
    part_add(cx, q, op.op, r);
    return q;
}

/* ---- WITH ---- */

struct ast_cte *ast_cte(struct parse_ctx *cx, struct ast_name name, struct ast_names *columns,
                        int materialized, struct ast_query *query)
{
    struct ast_cte *c = ast_alloc(cx, sizeof *c);
    if (cx->rc != QUARTET_OK)
        return c;
    *c = (struct ast_cte){.name = name, .materialized = (uint8_t)materialized, .query = query};
    if (columns != NULL)
        c->columns = *columns;
    return c;
}

struct ast_with *ast_with_add(struct parse_ctx *cx, struct ast_with *with, struct ast_cte *cte)
{
    if (with == NULL)
        with = ast_alloc(cx, sizeof *with);
    struct ast_cte *item = ast_grow(cx, with->item, with->count, &with->cap, sizeof *item);
    if (item == NULL)
        return with;
    with->item = item;
    item[with->count++] = *cte;
    return with;
}

struct ast_with *ast_with_recursive(struct parse_ctx *cx, struct ast_with *with)
{
    if (cx->rc == QUARTET_OK)
        with->recursive = true;
    return with;
}

struct ast_query *ast_query_with(struct parse_ctx *cx, struct ast_query *q, struct ast_with *with)
{
    if (cx->rc != QUARTET_OK)
        return q;
    q->with = with;
    for (uint32_t i = 0; i < with->count; i++)
        query_holds(cx, q, with->item[i].query->height);
    return q;
}
