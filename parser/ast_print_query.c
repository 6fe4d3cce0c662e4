/* ast_print_query.c - queries back to SQL. */
#include "parser/ast_print.h"

/* ---- windows ---- */

static void print_bound(struct printer *p, uint8_t kind, const struct ast_expr *e)
{
    static const char *const texts[] = {"UNBOUNDED PRECEDING", "PRECEDING", "CURRENT ROW",
                                        "FOLLOWING", "UNBOUNDED FOLLOWING"};
    if (e != NULL) { /* in parentheses: an AND inside must not end BETWEEN's first bound */
        bool simple =
            e->kind == AST_EXPR_INTEGER || e->kind == AST_EXPR_PARAM || e->kind == AST_EXPR_REAL;
        buf_str(p->out, simple ? "" : "(");
        print_expr(p, e);
        buf_str(p->out, simple ? " " : ") ");
    }
    buf_str(p->out, texts[kind]);
}

void print_window(struct printer *p, const struct ast_window *w)
{
    static const char *const modes[] = {"ROWS", "RANGE", "GROUPS"};
    static const char *const excludes[] = {"", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP",
                                           " EXCLUDE TIES"};
    const char *glue = "";
    if (w->base.text != NULL) {
        print_name(p, &w->base);
        glue = " ";
    }
    if (w->partition_by.count > 0) {
        buf_printf(p->out, "%sPARTITION BY ", glue);
        print_exprs(p, &w->partition_by);
        glue = " ";
    }
    if (w->order_by.count > 0) {
        buf_printf(p->out, "%sORDER BY ", glue);
        print_orders(p, &w->order_by);
        glue = " ";
    }
    if (w->frame == NULL)
        return;
    buf_printf(p->out, "%s%s BETWEEN ", glue, modes[w->frame->mode]);
    print_bound(p, w->frame->start, w->frame->start_expr);
    buf_str(p->out, " AND ");
    print_bound(p, w->frame->end, w->frame->end_expr);
    buf_str(p->out, excludes[w->frame->exclude]);
}

/* ---- FROM ---- */

static void print_source(struct printer *p, const struct ast_from *f)
{
    buf_str(p->out, f->lateral ? "LATERAL " : "");
    switch ((enum ast_from_kind)f->kind) {
    case AST_FROM_TABLE:
        print_qname(p, &f->name);
        break;
    case AST_FROM_FUNCTION:
        print_qname(p, &f->name);
        buf_str(p->out, "(");
        print_exprs(p, &f->args);
        buf_str(p->out, ")");
        break;
    case AST_FROM_QUERY:
        buf_str(p->out, "(");
        print_query(p, f->query);
        buf_str(p->out, ")");
        break;
    case AST_FROM_JOIN:
        buf_str(p->out, "(");
        print_from(p, f->nested);
        buf_str(p->out, ")");
        break;
    }
}

void print_from_item(struct printer *p, const struct ast_from *f)
{
    print_source(p, f);
    if (f->as_of != AST_AS_OF_NONE) {
        buf_str(p->out, f->as_of == AST_AS_OF_STAMP ? " AS OF STAMP " : " AS OF ");
        print_expr(p, f->as_of_expr);
    }
    if (f->alias.text != NULL) {
        buf_str(p->out, " AS ");
        print_name(p, &f->alias);
    }
    if (f->column_aliases.count > 0) {
        buf_str(p->out, " (");
        print_names(p, &f->column_aliases);
        buf_str(p->out, ")");
    }
    if (f->indexed_by.text != NULL) {
        buf_str(p->out, " INDEXED BY ");
        print_name(p, &f->indexed_by);
    } else if (f->not_indexed) {
        buf_str(p->out, " NOT INDEXED");
    }
}

void print_from(struct printer *p, const struct ast_from_list *list)
{
    static const char *const joins[] = {
        "", ", ", " CROSS JOIN ", " JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN "};
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ast_from *f = list->item[i];
        buf_str(p->out, f->natural ? " NATURAL" : "");
        buf_str(p->out, joins[f->join]);
        print_from_item(p, f);
        if (f->on != NULL) {
            buf_str(p->out, " ON ");
            print_expr(p, f->on);
        } else if (f->using_columns.count > 0) {
            buf_str(p->out, " USING (");
            print_names(p, &f->using_columns);
            buf_str(p->out, ")");
        }
    }
}

/* ---- SELECT ---- */

void print_results(struct printer *p, const struct ast_results *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        buf_str(p->out, i > 0 ? ", " : "");
        print_expr(p, list->item[i].expr);
        if (list->item[i].alias.text == NULL)
            continue;
        buf_str(p->out, " AS ");
        print_name(p, &list->item[i].alias);
    }
}

static void print_groups(struct printer *p, const struct ast_group_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ast_group *g = list->item[i];
        buf_str(p->out, i > 0 ? ", " : "");
        switch ((enum ast_group_kind)g->kind) {
        case AST_GROUP_EXPR:
            print_expr(p, g->expr);
            continue;
        case AST_GROUP_EMPTY:
            buf_str(p->out, "()");
            continue;
        case AST_GROUP_ROLLUP:
            buf_str(p->out, "ROLLUP (");
            break;
        case AST_GROUP_CUBE:
            buf_str(p->out, "CUBE (");
            break;
        case AST_GROUP_SETS:
            buf_str(p->out, "GROUPING SETS (");
            break;
        }
        print_groups(p, g->nested);
        buf_str(p->out, ")");
    }
}

static void print_clause(struct printer *p, const char *word, const struct ast_expr *e)
{
    if (e == NULL)
        return;
    buf_str(p->out, word);
    print_expr(p, e);
}

static void print_select(struct printer *p, const struct ast_select *s)
{
    buf_str(p->out, s->distinct ? "SELECT DISTINCT " : "SELECT ");
    if (s->distinct_on.count > 0) {
        buf_str(p->out, "ON (");
        print_exprs(p, &s->distinct_on);
        buf_str(p->out, ") ");
    }
    print_results(p, &s->results);
    if (s->from.count > 0) {
        buf_str(p->out, " FROM ");
        print_from(p, &s->from);
    }
    print_clause(p, " WHERE ", s->where);
    if (s->group_by.count > 0) {
        buf_str(p->out, " GROUP BY ");
        print_groups(p, &s->group_by);
    }
    print_clause(p, " HAVING ", s->having);
    for (uint32_t i = 0; i < s->window_count; i++) {
        buf_str(p->out, i > 0 ? ", " : " WINDOW ");
        print_name(p, &s->window[i].name);
        buf_str(p->out, " AS (");
        print_window(p, s->window[i].window);
        buf_str(p->out, ")");
    }
    print_clause(p, " QUALIFY ", s->qualify);
}

static void print_values(struct printer *p, const struct ast_rows *rows)
{
    buf_str(p->out, "VALUES ");
    for (uint32_t i = 0; i < rows->count; i++) {
        buf_str(p->out, i > 0 ? ", (" : "(");
        print_exprs(p, &rows->item[i]);
        buf_str(p->out, ")");
    }
}

static bool is_bare_part(const struct ast_query *q)
{
    return q->kind != AST_QUERY_COMPOUND && q->with == NULL && q->order_by.count == 0 &&
           q->limit == NULL && q->limit_offset == NULL && !q->for_update;
}

static void print_compound(struct printer *p, const struct ast_query *q)
{
    static const char *const ops[] = {
        "", " UNION ", " UNION ALL ", " INTERSECT ", " INTERSECT ALL ", " EXCEPT ", " EXCEPT ALL "};
    for (uint32_t i = 0; i < q->part_count; i++) {
        bool bare = is_bare_part(q->part[i].query);
        buf_str(p->out, ops[q->part[i].op]);
        buf_str(p->out, bare ? "" : "(");
        print_query(p, q->part[i].query);
        buf_str(p->out, bare ? "" : ")");
    }
}

void print_with(struct printer *p, const struct ast_with *with)
{
    static const char *const materialized[] = {"", "MATERIALIZED ", "NOT MATERIALIZED "};
    if (with == NULL)
        return;
    buf_str(p->out, with->recursive ? "WITH RECURSIVE " : "WITH ");
    for (uint32_t i = 0; i < with->count; i++) {
        const struct ast_cte *c = &with->item[i];
        buf_str(p->out, i > 0 ? ", " : "");
        print_name(p, &c->name);
        if (c->columns.count > 0) {
            buf_str(p->out, " (");
            print_names(p, &c->columns);
            buf_str(p->out, ")");
        }
        buf_printf(p->out, " AS %s(", materialized[c->materialized]);
        print_query(p, c->query);
        buf_str(p->out, ")");
    }
    buf_str(p->out, " ");
}

void print_limit(struct printer *p, const struct ast_expr *limit, const struct ast_expr *offset)
{
    if (limit == NULL && offset == NULL)
        return;
    buf_str(p->out, " LIMIT ");
    if (limit != NULL)
        print_expr(p, limit);
    else
        buf_str(p->out, "ALL");
    print_clause(p, " OFFSET ", offset);
}

void print_query(struct printer *p, const struct ast_query *q)
{
    print_with(p, q->with);
    if (q->kind == AST_QUERY_SELECT)
        print_select(p, q->select);
    else if (q->kind == AST_QUERY_VALUES)
        print_values(p, &q->values);
    else
        print_compound(p, q);
    if (q->order_by.count > 0) {
        buf_str(p->out, " ORDER BY ");
        print_orders(p, &q->order_by);
    }
    if (q->with_ties) {
        if (q->limit_offset != NULL) {
            print_clause(p, " OFFSET (", q->limit_offset);
            buf_str(p->out, ") ROWS");
        }
        print_clause(p, " FETCH FIRST (", q->limit);
        buf_str(p->out, ") ROWS WITH TIES");
    } else {
        print_limit(p, q->limit, q->limit_offset);
    }
    buf_str(p->out, q->for_update ? " FOR UPDATE" : "");
}

void ast_print_query(const struct ast_query *query, struct buf *out)
{
    struct printer p = {.out = out, .params = NULL};
    print_query(&p, query);
}
