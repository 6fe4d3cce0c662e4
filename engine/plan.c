/* plan.c - a whole statement to its plan, and EXPLAIN of it; queries are plan_query.c's, tables are plan_access.c's, writing
 * is plan_write.c's. */
#include "plan.h"
#include "stats.h"

#include <string.h>

#include "exec_internal.h"

struct pnode *pnode_new(struct planner *p, uint8_t kind, uint32_t col_count, struct err *err)
{
    struct pnode *n = arena_zalloc(p->a, 1, sizeof *n);
    uint32_t *cids = arena_alloc(p->a, (col_count + 1) * sizeof *cids);
    if (n == NULL || cids == NULL) {
        (void)arena_fail(p->a, err); /* NULL tells */
        return NULL;
    }
    memset(cids, 0xff, (col_count + 1) * sizeof *cids);
    n->kind = kind;
    n->col_count = col_count;
    n->cids = cids;
    n->rows = 1;
    return n;
}

static quartet_status plan_top_query(struct planner *p, const struct ast_query *ast,
                                     struct err *err)
{
    struct bquery *q;
    struct plan *pl = p->plan;
    quartet_status rc = bind_query(&p->b, NULL, NULL, NULL, ast, &q, err);
    if (rc != QUARTET_OK)
        return rc;
    p->words = p->b.col_count / 64 + 1;
    rc = plan_query(p, q, &pl->root, err);
    if (rc != QUARTET_OK)
        return rc;
    pl->column_count = q->out_count;
    pl->columns = arena_zalloc(p->a, q->out_count + 1, sizeof *pl->columns);
    if (pl->columns == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < q->out_count; i++)
        pl->columns[i] = (struct plan_column){.name = q->names[i],
                                              .declared = q->shape[i].declared,
                                              .table = q->shape[i].table,
                                              .column = q->shape[i].column};
    return QUARTET_OK;
}

static quartet_status plan_top(struct planner *p, const struct ast_stmt *stmt, struct err *err)
{
    p->plan->writes = stmt->kind != AST_STMT_SELECT;
    switch (stmt->kind) {
    case AST_STMT_SELECT:
        return plan_top_query(p, stmt->u.query, err);
    case AST_STMT_INSERT:
        return plan_insert(p, stmt->u.insert, err);
    case AST_STMT_UPDATE:
        return plan_update(p, stmt->u.update, err);
    case AST_STMT_DELETE:
        return plan_delete(p, stmt->u.del, err);
    case AST_STMT_TRUNCATE:
        return plan_truncate(p, stmt->u.maintenance, err);
    case AST_STMT_BACKTRACK:
        return plan_backtrack(p, stmt->u.backtrack, err);
    case AST_STMT_RESOLVE:
        return plan_resolve(p, stmt->u.resolve, err);
    default:
        return err_set_at(err, QUARTET_ERROR, stmt->offset,
                          "EXPLAIN works on SELECT, INSERT, UPDATE, DELETE, TRUNCATE, BACKTRACK and RESOLVE CONFLICT");
    }
}

static quartet_status explain_top(struct planner *p, const struct ast_stmt *stmt, struct err *err)
{
    struct plan *pl = p->plan;
    bool run = stmt->explain == AST_EXPLAIN_ANALYZE;
    struct pnode *n = pnode_new(p, run ? PN_ANALYZE : PN_TEXT, 1, err);
    if (n == NULL)
        return err->code;
    quartet_status rc = stmt->explain == AST_EXPLAIN_MERGE ? plan_explain_merge(p, &n->u.text, err) : plan_explain(p, &n->u.text, err);
    n->child[0] = run ? pl->root : NULL;
    pl->root = n;
    pl->measured = run;
    pl->writes = pl->writes && run;
    pl->column_count = 1;
    pl->columns = arena_zalloc(p->a, 1, sizeof *pl->columns);
    if (rc == QUARTET_OK && pl->columns == NULL)
        return arena_fail(p->a, err);
    if (rc == QUARTET_OK)
        pl->columns[0].name = "plan";
    return rc;
}

static quartet_status build(struct planner *p, const struct ast_stmt *stmt, plan **out,
                            struct err *err)
{
    struct plan *pl = arena_zalloc(p->a, 1, sizeof *pl);
    if (pl == NULL)
        return arena_fail(p->a, err);
    p->plan = pl;
    pl->a = p->a;
    pl->version = catalog_version(p->b.catalog);
    pl->stats_epoch = p->d != NULL ? stats_epoch(p->d) : 0; /* before any figure is read */
    pl->user_params = p->b.param_count;
    quartet_status rc = plan_top(p, stmt, err);
    if (rc == QUARTET_OK && stmt->explain != AST_EXPLAIN_NONE)
        rc = explain_top(p, stmt, err);
    if (rc != QUARTET_OK)
        return rc;
    pl->param_count = pl->user_params + p->b.slot_count;
    pl->catalog = catalog_ref(p->b.catalog);
    *out = pl;
    return QUARTET_OK;
}

quartet_status plan_build(struct catalog *catalog, db *d, const struct ast_stmt *stmt,
                          struct arena *a, plan **out, struct err *err)
{
    struct planner p = {
        .a = a, .d = d, .figures = stmt->explain != AST_EXPLAIN_NONE, .b = {.a = a, .catalog = catalog, .param_count = stmt->params.count}};
    return build(&p, stmt, out, err);
}

quartet_status plan_build_for_row(struct catalog *catalog, db *d, const struct ast_stmt *stmt,
                                  const struct table_def *row_of, bool has_old, bool has_new,
                                  struct arena *a, plan **out, struct err *err)
{
    struct planner p = {.a = a,
                        .d = d,
                        .b = {.a = a,
                              .catalog = catalog,
                              .param_count = 2 * row_of->column_count,
                              .row_of = row_of,
                              .permanent = true,
                              .has_old = has_old,
                              .has_new = has_new}};
    return build(&p, stmt, out, err);
}

void plan_free(plan *p)
{
    if (p == NULL)
        return;
    exec_destroy(p->cached);
    p->cached = NULL;
    catalog_unref(p->catalog);
    p->catalog = NULL;
}

void plan_lend(plan *p, struct arena *spare)
{
    p->spare = spare;
}

uint32_t plan_column_count(const plan *p)
{
    return p->column_count;
}

const struct plan_column *plan_column(const plan *p, uint32_t i)
{
    QASSERT(i < p->column_count);
    return &p->columns[i];
}

bool plan_writes(const plan *p)
{
    return p->writes;
}

uint64_t plan_stats_epoch(const plan *p)
{
    return p->stats_epoch;
}

uint64_t plan_catalog_version(const plan *p)
{
    return p->version;
}
