/* plan_backtrack.c - BACKTRACK and RESOLVE CONFLICT: writes whose rows the executor finds in the past
 * and in the record of conflicts; a plan holds only the one value that they name. */
#include "plan.h"

quartet_status plan_resolve(struct planner *p, const struct ast_resolve *ast, struct err *err)
{
    struct scope none = {.clause = "RESOLVE CONFLICT"};
    struct pnode *node = pnode_new(p, PN_RESOLVE, 0, err);
    struct presolve *r = arena_zalloc(p->a, 1, sizeof *r);
    struct expr *id;
    if (node == NULL || r == NULL)
        return arena_fail(p->a, err);
    r->using_loser = ast->using_loser;
    quartet_status rc = bind_expr(&p->b, &none, ast->id, &id, err);
    p->words = p->b.col_count / 64 + 1;
    if (rc == QUARTET_OK)
        rc = plan_place(p, id, NULL, 0, &r->id, err);
    node->u.resolve = r;
    p->plan->root = node;
    return rc;
}

quartet_status plan_backtrack(struct planner *p, const struct ast_backtrack *ast, struct err *err)
{
    struct scope none = {.clause = "BACKTRACK"};
    struct pnode *node = pnode_new(p, PN_BACKTRACK, 0, err);
    struct pbacktrack *b = arena_zalloc(p->a, 1, sizeof *b);
    struct expr *to;
    if (node == NULL || b == NULL)
        return arena_fail(p->a, err);
    b->to = ast->to;
    if (ast->table.name.text != NULL) {
        b->table = bind_find_table(&p->b, &ast->table, err);
        if (b->table == NULL)
            return QUARTET_ERROR;
        if (b->table->is_system)
            return err_set(err, QUARTET_ERROR, "%s is read-only", b->table->name);
        if (b->table->temporary)
            return err_set_at(err, QUARTET_ERROR, ast->table.name.offset, "%s is temporary: it has no history", b->table->name);
    }
    quartet_status rc = bind_expr(&p->b, &none, ast->value, &to, err);
    p->words = p->b.col_count / 64 + 1;
    if (rc == QUARTET_OK)
        rc = plan_place(p, to, NULL, 0, &b->expr, err);
    node->u.backtrack = b;
    p->plan->root = node;
    return rc;
}
