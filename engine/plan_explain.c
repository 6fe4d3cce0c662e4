/* plan_explain.c - a plan as lines of text, children indented below their parents. */
#include "plan.h"

#include <string.h>

#define LINES_MAX 4096u

struct lines {
    struct planner *p;
    struct ptext *text;
    uint32_t cap, node_cap;
};

static quartet_status add_line(struct lines *l, uint32_t depth, struct buf *b, const struct pnode *n,
                               struct err *err)
{
    struct arena *a = l->p->a;
    char *line;
    if (b->failed)
        return err_nomem(err);
    if (l->text->count >= LINES_MAX ||
        !bind_grow(a, &l->text->lines, l->text->count, &l->cap, sizeof(char *)) ||
        !bind_grow(a, &l->text->nodes, l->text->count, &l->node_cap, sizeof n))
        return l->text->count >= LINES_MAX ? QUARTET_OK : arena_fail(a, err);
    line = arena_alloc(a, depth * 2 + b->len + 1);
    if (line == NULL)
        return arena_fail(a, err);
    memset(line, ' ', depth * 2);
    memcpy(line + depth * 2, b->data, b->len);
    line[depth * 2 + b->len] = 0;
    l->text->nodes[l->text->count] = n;
    l->text->lines[l->text->count++] = line;
    return QUARTET_OK;
}

static void put_filter(struct buf *b, const char *what, const struct expr *e)
{
    if (e == NULL)
        return;
    buf_printf(b, ", %s ", what);
    expr_print(e, NULL, NULL, b);
}

/* id IN (3 values), b = ?, (x, y) IN (2 rows), a IN (subquery) */
static void put_sets(struct buf *b, const struct pscan *s, const uint32_t *columns, const char **and)
{
    for (uint32_t i = 0; i < s->bound.set_count; i++) {
        const struct pbound_set *set = &s->bound.sets[i];
        bool rows = set->width > 1, single = !rows && set->query == NULL && set->row_count == 1;
        buf_printf(b, "%s%s", *and, rows ? "(" : "");
        for (uint32_t k = 0; k < set->width; k++)
            buf_printf(b, "%s%s", k > 0 ? ", " : "", s->table->columns[columns[s->bound.eq_count + set->at[k]]].name);
        buf_str(b, rows ? ")" : "");
        if (set->query != NULL)
            buf_str(b, " IN (subquery)");
        else if (single)
            buf_str(b, " = ?");
        else
            buf_printf(b, " IN (%u %s)", set->row_count, rows ? "rows" : "values");
        *and = " AND ";
    }
}

static void put_scan(struct buf *b, const struct pscan *s, const char *verb)
{
    const uint32_t *columns = s->index != NULL ? s->index->columns : s->table->key_columns;
    buf_printf(b, "%s %s", verb, s->table->name);
    if (s->alias != NULL && !name_eq(s->alias, s->table->name))
        buf_printf(b, " AS %s", s->alias);
    if (!s->bounded) {
        buf_str(b, s->index != NULL ? (s->covering ? " in the order of covering index " : " in the order of index ") : "");
        buf_str(b, s->index != NULL ? s->index->name : "");
    } else {
        buf_printf(b, " using %s%s (", s->index == NULL ? "primary key" : s->covering ? "covering index " : "index ",
                   s->index != NULL ? s->index->name : "");
        for (uint32_t i = 0; i < s->bound.eq_count; i++)
            buf_printf(b, "%s%s = ?", i > 0 ? " AND " : "", s->table->columns[columns[i]].name);
        const char *and = s->bound.eq_count > 0 ? " AND " : "";
        put_sets(b, s, columns, &and);
        const char *next = s->bound.lo != NULL || s->bound.hi != NULL ? s->table->columns[columns[s->bound.eq_count + s->bound.set_width]].name : "";
        if (s->bound.lo != NULL)
            buf_printf(b, "%s%s %s ?", and, next, s->bound.lo_open ? ">" : ">=");
        if (s->bound.hi != NULL)
            buf_printf(b, "%s%s %s ?", s->bound.lo != NULL ? " AND " : and, next,
                       s->bound.hi_open ? "<" : "<=");
        buf_str(b, ")");
    }
    if (s->as_of_expr != NULL) {
        buf_str(b, s->as_of == AST_AS_OF_STAMP ? " as of stamp " : " as of ");
        expr_print(s->as_of_expr, NULL, NULL, b);
    }
    if (s->reverse)
        buf_str(b, ", backwards");
    put_filter(b, "where", s->filter);
}

static const char *join_name(uint8_t kind)
{
    static const char *const names[] = {"inner", "left", "full", "semi", "anti"};
    return names[kind];
}

static void put_join(struct buf *b, const struct pnode *n)
{
    const struct pjoin *j = n->u.join;
    const char *how = n->kind == PN_HASH_JOIN    ? "Hash"
                      : n->kind == PN_MERGE_JOIN ? "Merge"
                      : n->kind == PN_INDEX_JOIN ? "Index"
                      : n->kind == PN_APPLY      ? "Lateral"
                                                 : "Nested loop";
    buf_printf(b, "%s join, %s", how, join_name(j->kind));
    if (j->key_count > 0)
        buf_printf(b, ", %u equal key%s", j->key_count, j->key_count == 1 ? "" : "s");
    struct psemi semi;
    if (plan_semi(n, &semi))
        buf_printf(b, ", asked while %s is scanned", semi.scan->u.scan->alias != NULL ? semi.scan->u.scan->alias : semi.scan->u.scan->table->name);
    put_filter(b, "on", j->cond);
}

static void put_node(struct buf *b, const struct planner *p, const struct pnode *n)
{
    switch ((enum pnode_kind)n->kind) {
    case PN_ONE:
        buf_str(b, "One row");
        break;
    case PN_SCAN:
        put_scan(b, n->u.scan, n->u.scan->bounded ? "Search" : "Scan");
        break;
    case PN_VALUES:
        buf_printf(b, "Values, %u rows", n->u.values->row_count);
        break;
    case PN_SERIES:
        buf_str(b, "generate_series");
        break;
    case PN_JSON_EACH:
        buf_str(b, "json_each");
        break;
    case PN_JSON_TREE:
        buf_str(b, "json_tree");
        break;
    case PN_CTE_SCAN:
        buf_printf(b, "Scan of WITH %s", p->plan->ctes[n->u.cte].name);
        break;
    case PN_CTE_WORK:
        buf_printf(b, "Last round of %s", p->plan->ctes[n->u.cte].name);
        break;
    case PN_FILTER:
        buf_str(b, "Filter ");
        expr_print(n->u.filter, NULL, NULL, b);
        break;
    case PN_PROJECT:
        buf_printf(b, "Project %u column%s", n->col_count, n->col_count == 1 ? "" : "s");
        break;
    case PN_HASH_JOIN:
    case PN_LOOP_JOIN:
    case PN_MERGE_JOIN:
    case PN_INDEX_JOIN:
    case PN_APPLY:
        put_join(b, n);
        break;
    case PN_AGG:
        buf_printf(b, "Aggregate, %u group expressions, %u functions", n->u.agg->group_count,
                   n->u.agg->call_count);
        break;
    case PN_WINDOW:
        buf_printf(b, "Window, %u functions", n->u.window->call_count);
        break;
    case PN_SORT:
        buf_printf(b, "%s, %u keys", n->u.sort->limit != NULL ? "Sort, first rows only" : "Sort",
                   n->u.sort->key_count);
        break;
    case PN_LIMIT:
        buf_str(b, "Limit");
        break;
    case PN_DISTINCT:
        buf_str(b, "Distinct");
        break;
    case PN_SET:
        buf_printf(b, "Combine %u queries", n->u.set->part_count);
        break;
    case PN_WITH:
        buf_str(b, "With");
        break;
    case PN_TEXT:
        buf_str(b, "Text");
        break;
    case PN_ANALYZE:
        break;
    case PN_INSERT:
        buf_printf(b, "Insert into %s%s", n->u.write->table->name, n->u.write->instead ? " by its triggers" : "");
        break;
    case PN_UPDATE:
        buf_printf(b, "Update %s%s", n->u.write->table->name, n->u.write->instead ? " by its triggers" : "");
        break;
    case PN_BACKTRACK:
        buf_printf(b, "Backtrack %s to %s", n->u.backtrack->table != NULL ? n->u.backtrack->table->name : "the database",
                   n->u.backtrack->to == AST_AS_OF_STAMP ? "stamp " : "");
        expr_print(n->u.backtrack->expr, NULL, NULL, b);
        break;
    case PN_QUARANTINE:
        buf_str(b, "Rows in quarantine");
        break;
    case PN_QUARANTINE_WRITE:
        buf_str(b, n->u.quarantine_write->deletes ? "Delete rows in quarantine" : "Update rows in quarantine");
        break;
    case PN_UNION:
        buf_printf(b, "Any of %u searches, each row once", n->u.any->part_count);
        break;
    case PN_KEYED:
        buf_printf(b, "Row of %s by its key", n->u.keyed->table->name);
        break;
    case PN_RESOLVE:
        buf_printf(b, "Resolve conflict ");
        expr_print(n->u.resolve->id, NULL, NULL, b);
        buf_str(b, n->u.resolve->using_loser ? " using the loser" : " using the winner");
        break;
    case PN_DELETE:
        buf_printf(b, "Delete from %s%s", n->u.write->table->name, n->u.write->instead ? " by its triggers" : "");
        break;
    case PNODE_KIND_COUNT:
        break;
    }
}

static quartet_status explain_node(struct lines *l, const struct pnode *n, uint32_t depth,
                                   struct err *err)
{
    struct buf b = {0};
    quartet_status rc = QUARTET_OK;
    if (n == NULL)
        return QUARTET_OK;
    put_node(&b, l->p, n);
    buf_printf(&b, " (about %.0f rows)", n->rows);
    rc = add_line(l, depth, &b, n, err);
    if (rc == QUARTET_OK && n->kind == PN_INDEX_JOIN) {
        rc = explain_node(l, n->child[0], depth + 1, err);
        buf_clear(&b);
        put_scan(&b, n->u.join->inner, "Look up");
        if (rc == QUARTET_OK)
            rc = add_line(l, depth + 1, &b, NULL, err);
        buf_deinit(&b);
        return rc;
    }
    buf_deinit(&b);
    for (uint32_t i = 0; rc == QUARTET_OK && n->kind == PN_SET && i < n->u.set->part_count; i++)
        rc = explain_node(l, n->u.set->parts[i], depth + 1, err);
    for (uint32_t i = 0; rc == QUARTET_OK && n->kind == PN_UNION && i < n->u.any->part_count; i++)
        rc = explain_node(l, n->u.any->parts[i], depth + 1, err);
    for (int i = 0; i < 2 && rc == QUARTET_OK; i++)
        rc = explain_node(l, n->child[i], depth + 1, err);
    return rc;
}

static quartet_status titled(struct lines *l, const char *title, const char *name,
                             const struct pnode *n, struct err *err)
{
    struct buf b = {0};
    buf_printf(&b, "%s%s", title, name);
    quartet_status rc = add_line(l, 0, &b, NULL, err);
    buf_deinit(&b);
    return rc != QUARTET_OK ? rc : explain_node(l, n, 1, err);
}

quartet_status plan_explain(struct planner *p, struct ptext **out, struct err *err)
{
    struct lines l = {.p = p, .text = arena_zalloc(p->a, 1, sizeof *l.text)};
    if (l.text == NULL)
        return arena_fail(p->a, err);
    *out = l.text;
    quartet_status rc = explain_node(&l, p->plan->root, 0, err);
    for (uint32_t i = 0; i < p->plan->cte_count && rc == QUARTET_OK; i++) {
        rc = titled(&l, "WITH ", p->plan->ctes[i].name, p->plan->ctes[i].init, err);
        for (uint32_t k = 0; k < p->plan->ctes[i].step_count && rc == QUARTET_OK; k++)
            rc =
                titled(&l, "each round of ", p->plan->ctes[i].name, p->plan->ctes[i].steps[k], err);
    }
    for (uint32_t i = 0; i < p->plan->sub_count && rc == QUARTET_OK; i++)
        rc = titled(&l,
                    p->plan->subs[i].dep_count > 0 ? "Subquery, for each outer value"
                                                   : "Subquery, once",
                    "", p->plan->subs[i].root, err);
    return rc;
}
