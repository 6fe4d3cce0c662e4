/* plan_quarantine.c - UPDATE and DELETE of quartet_quarantine.
 * Why two plans: which rows, and what they are set to, is a query of the view's columns; each row is then written by a plan of its own table, as any UPDATE or DELETE
 *   would be, with triggers, foreign keys and checks.
 * Not here: running them (exec_quarantine.c), what is in quarantine (quarantine.c). */
#include <string.h>
#include <strings.h>

#include "catalog_build.h"
#include "parser/parse.h"
#include "plan.h"

bool plan_is_quarantine(const struct planner *p, const struct ast_qname *name)
{
    const struct view_def *v = name->schema.text == NULL ? bind_find_view(&p->b, name) : NULL;
    return v != NULL && v->id == SYS_VIEW_QUARANTINE;
}

struct rows_of { /* which rows are written */
    struct ast_with *with;
    const struct ast_from *table;
    struct ast_expr *where, *set;
    const struct ast_orders *order_by;
    struct ast_expr *limit, *limit_offset;
};

static quartet_status plan_rows(struct planner *p, const struct rows_of *r, struct err *err)
{
    static const char sql[] = "SELECT table_id, row_id, NULL FROM quartet_quarantined() AS quartet_quarantine";
    struct ast_stmt *stmt;
    struct bquery *query;
    size_t consumed;
    struct pnode *node = pnode_new(p, PN_QUARANTINE_WRITE, 0, err);
    struct pquarantine_write *w = arena_zalloc(p->a, 1, sizeof *w);
    if (node == NULL || w == NULL)
        return arena_fail(p->a, err);
    quartet_status rc = parse_sql(p->a, sql, sizeof sql - 1, NULL, &stmt, &consumed, err);
    if (rc != QUARTET_OK)
        return rc;
    struct ast_query *q = stmt->u.query;
    if (r->set != NULL)
        q->select->results.item[2].expr = r->set;
    if (r->table->alias.text != NULL)
        q->select->from.item[0]->alias = r->table->alias;
    q->select->where = r->where;
    q->with = r->with;
    q->order_by = *r->order_by;
    q->limit = r->limit;
    q->limit_offset = r->limit_offset;
    rc = bind_query(&p->b, NULL, NULL, NULL, q, &query, err);
    p->words = p->b.col_count / 64 + 1;
    if (rc == QUARTET_OK)
        rc = plan_query(p, query, &node->child[0], err);
    if (rc != QUARTET_OK)
        return rc;
    w->deletes = r->set == NULL;
    node->rows = node->child[0]->rows;
    node->u.quarantine_write = w;
    p->plan->root = node;
    return QUARTET_OK;
}

quartet_status plan_quarantine_delete(struct planner *p, const struct ast_delete *ast, struct err *err)
{
    struct rows_of r = {.with = ast->with, .table = ast->table, .where = ast->where, .order_by = &ast->order_by, .limit = ast->limit,
                        .limit_offset = ast->limit_offset};
    if (ast->using_from.count > 0 || ast->returning.count > 0)
        return err_set_at(err, QUARTET_ERROR, ast->table->offset, "DELETE FROM quartet_quarantine has no USING and no RETURNING: use WHERE with a subquery");
    return plan_rows(p, &r, err);
}

quartet_status plan_quarantine_update(struct planner *p, const struct ast_update *ast, struct err *err)
{
    struct rows_of r = {.with = ast->with, .table = ast->table, .where = ast->where, .order_by = &ast->order_by, .limit = ast->limit,
                        .limit_offset = ast->limit_offset};
    if (ast->from.count > 0 || ast->returning.count > 0 || ast->conflict != AST_CONFLICT_DEFAULT)
        return err_set_at(err, QUARTET_ERROR, ast->table->offset,
                          "UPDATE quartet_quarantine has no OR, FROM or RETURNING: use a subquery in SET or WHERE");
    const struct ast_assign *a = &ast->set.item[0];
    if (ast->set.count != 1 || a->columns.count != 1 || strcasecmp(a->columns.item[0].text, "row") != 0 || a->value->kind == AST_EXPR_DEFAULT)
        return err_set_at(err, QUARTET_ERROR, a->columns.item[0].offset,
                          "of quartet_quarantine only the column \"row\" can be set, to a JSON object that names the columns to change: SET \"row\" = '{\"name\": 1}'");
    r.set = a->value;
    return plan_rows(p, &r, err);
}

/* ---- one row by its key ---- */

static quartet_status keyed_sets(struct planner *p, const struct keyed_write *k, struct pkeyed *from, struct pwrite *w, struct err *err)
{
    const struct table_def *t = k->table;
    quartet_status rc = QUARTET_OK;
    w->sets = arena_zalloc(p->a, k->count + 1u, sizeof *w->sets);
    from->values = k->defaults ? arena_zalloc(p->a, k->count + 1u, sizeof(struct expr *)) : NULL;
    if (w->sets == NULL || (k->defaults && from->values == NULL))
        return arena_fail(p->a, err);
    w->set_count = k->count;
    for (uint32_t i = 0; i < k->count && rc == QUARTET_OK; i++) {
        w->sets[i] = (struct pset_column){.column = k->columns[i], .from = 1 + t->column_count + i};
        w->key_changes |= t->columns[k->columns[i]].key_at >= 0;
        if (k->defaults)
            rc = plan_default(p, &t->columns[k->columns[i]], &from->values[i], err);
    }
    if (rc == QUARTET_OK)
        rc = plan_write_checks(p, t, w, err);
    return rc == QUARTET_OK ? plan_effects(p, t, AST_TRIGGER_UPDATE, w->sets, k->count, false, &w->effects[AST_TRIGGER_UPDATE], err) : rc;
}

quartet_status plan_build_keyed(struct catalog *catalog, const struct keyed_write *k, struct arena *a, plan **out, struct err *err)
{
    struct planner p = {.a = a, .b = {.a = a, .catalog = catalog, .param_count = k->count + 1}};
    struct plan *pl = p.plan = arena_zalloc(a, 1, sizeof *pl);
    struct pwrite *w = arena_zalloc(a, 1, sizeof *w);
    struct pkeyed *from = arena_zalloc(a, 1, sizeof *from);
    if (pl == NULL || w == NULL || from == NULL)
        return arena_fail(a, err);
    *pl = (struct plan){.a = a, .version = catalog_version(catalog), .user_params = k->count + 1, .writes = true};
    *w = (struct pwrite){.table = k->table, .old_first = 1, .any = true, .olds = true};
    from->table = k->table;
    struct pnode *row = pnode_new(&p, PN_KEYED, 1 + k->table->column_count + k->count, err);
    struct pnode *node = row != NULL ? pnode_new(&p, k->columns != NULL ? PN_UPDATE : PN_DELETE, 0, err) : NULL;
    if (node == NULL)
        return err->code;
    quartet_status rc = k->columns != NULL ? keyed_sets(&p, k, from, w, err)
                                           : plan_effects(&p, k->table, AST_TRIGGER_DELETE, NULL, 0, false, &w->effects[AST_TRIGGER_DELETE], err);
    if (rc != QUARTET_OK)
        return rc;
    row->u.keyed = from;
    row->rows = node->rows = 1;
    node->child[0] = row;
    node->u.write = w;
    pl->root = node;
    pl->param_count = pl->user_params + p.b.slot_count;
    pl->catalog = catalog_ref(catalog);
    *out = pl;
    return QUARTET_OK;
}
