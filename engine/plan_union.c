/* plan_union.c - OR by index: where every side of an OR has a way into the table, the rows of all these ways, each once.
 * Why the other conditions go into every side: they are asked before a row's key is remembered, and may be what makes a way good. */
#include "plan_access.h"

#include <string.h>

#define UNION_PARTS_MAX 64u
#define COST_SEEN       3.0 /* to remember a row's key and look for it, in rows of a scan */

struct side_of_or {
    struct conj **conjs; /* what holds in it: its own conditions, then the others */
    uint32_t count;
    struct way way;
};

static quartet_status side_add(struct planner *p, struct side_of_or *s, struct expr *e, struct err *err)
{
    struct conj *c = arena_zalloc(p->a, 1, sizeof *c);
    if (c == NULL || (c->refs = cid_set_new(p)) == NULL)
        return arena_fail(p->a, err);
    c->e = e;
    cid_set_add_expr(p, c->refs, e);
    s->conjs[s->count++] = c;
    return QUARTET_OK;
}

/* The way of one side of an OR, and what else is asked on it. */
static quartet_status side_make(struct planner *p, const struct bsource *src, struct expr *side, const struct conj *whole,
                                struct conj **conjs, uint32_t conj_count, const uint64_t *need, struct side_of_or *s, struct err *err)
{
    struct expr **own = NULL;
    uint32_t n = 0, cap = 0;
    quartet_status rc = bind_conjuncts(&p->b, side, &own, &n, &cap, err);
    if (rc != QUARTET_OK)
        return rc;
    s->conjs = arena_zalloc(p->a, n + conj_count + 1, sizeof(struct conj *));
    if (s->conjs == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++)
        rc = side_add(p, s, own[i], err);
    for (uint32_t i = 0; i < conj_count && rc == QUARTET_OK; i++)
        if (conjs[i] != whole)
            rc = side_add(p, s, conjs[i]->e, err);
    return rc != QUARTET_OK ? rc : access_best(p, src, s->conjs, s->count, NULL, need, &s->way, err);
}

/* Ways for all sides of the OR; *cost < 0: one of them has none, or together they cost more than `most`. */
static quartet_status sides_make(struct planner *p, const struct bsource *src, const struct conj *whole, struct conj **conjs,
                                 uint32_t conj_count, const uint64_t *need, double most, struct side_of_or **out, double *cost,
                                 struct err *err)
{
    const struct expr *e = whole->e;
    struct side_of_or *sides = arena_zalloc(p->a, e->arg_count, sizeof *sides);
    if (sides == NULL)
        return arena_fail(p->a, err);
    *cost = 0;
    for (uint32_t i = 0; i < e->arg_count && *cost >= 0; i++) {
        quartet_status rc = side_make(p, src, e->args[i], whole, conjs, conj_count, need, &sides[i], err);
        if (rc != QUARTET_OK)
            return rc;
        *cost += sides[i].way.cost + sides[i].way.rows * COST_SEEN;
        if (sides[i].way.columns == NULL || *cost > most)
            *cost = -1;
    }
    *out = sides;
    return QUARTET_OK;
}

static quartet_status union_new(struct planner *p, const struct bsource *src, struct side_of_or *sides, uint32_t n,
                                const uint64_t *need, struct pnode **out, struct err *err)
{
    struct punion *u = arena_zalloc(p->a, 1, sizeof *u);
    struct pnode *node = pnode_new(p, PN_UNION, src->count + 1, err);
    if (u == NULL || node == NULL)
        return arena_fail(p->a, err);
    u->parts = arena_zalloc(p->a, n, sizeof(struct pnode *));
    if (u->parts == NULL)
        return arena_fail(p->a, err);
    node->u.any = u;
    node->rows = 0;
    u->part_count = n;
    for (uint32_t i = 0; i < n; i++) {
        quartet_status rc = access_scan(p, src, sides[i].conjs, sides[i].count, &sides[i].way, need, &u->parts[i], err);
        if (rc != QUARTET_OK)
            return rc;
        struct pnode *part = u->parts[i];
        node->rows += part->rows;
        node->col_count = part->col_count;
        memcpy(node->cids, part->cids, part->col_count * sizeof *node->cids);
        if (!part->u.scan->keys) { /* as one more output, which nobody above sees */
            part->u.scan->keys = true;
            part->cids[part->col_count++] = BIND_NONE;
        }
    }
    *out = node;
    return QUARTET_OK;
}

/* random() is asked once a row, not once for each side that finds it. */
static bool any_volatile(struct conj **conjs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (bind_is_volatile(conjs[i]->e))
            return true;
    return false;
}

quartet_status plan_union(struct planner *p, const struct bsource *src, struct conj **conjs,
                          uint32_t conj_count, const struct way *best, const uint64_t *need,
                          struct pnode **out, struct err *err)
{
    struct side_of_or *sides = NULL, *chosen = NULL;
    uint32_t n = 0;
    bool any = false;
    *out = NULL;
    for (uint32_t i = 0; i < conj_count; i++)
        any |= conjs[i]->e->op == EXPR_OR && conjs[i]->e->arg_count <= UNION_PARTS_MAX;
    if (!any || src->table->is_system || (best->columns != NULL && best->rows <= 1) || any_volatile(conjs, conj_count))
        return QUARTET_OK;
    uint64_t *read = cid_set_new(p);
    if (read == NULL)
        return arena_fail(p->a, err);
    memcpy(read, need, p->words * sizeof *read);
    for (uint32_t i = 0; i < conj_count; i++)
        for (uint32_t w = 0; w < p->words; w++)
            read[w] |= conjs[i]->refs[w];
    double most = plan_table_rows(p, src->table);
    most = most > PLAN_TABLE_ROWS ? most : PLAN_TABLE_ROWS;
    if (best->columns != NULL && best->cost < most)
        most = best->cost;
    for (uint32_t i = 0; i < conj_count; i++) {
        double cost = -1;
        if (conjs[i]->e->op != EXPR_OR || conjs[i]->e->arg_count > UNION_PARTS_MAX)
            continue;
        quartet_status rc = sides_make(p, src, conjs[i], conjs, conj_count, read, most, &sides, &cost, err);
        if (rc != QUARTET_OK)
            return rc;
        if (cost < 0 || cost >= most)
            continue;
        most = cost;
        chosen = sides;
        n = conjs[i]->e->arg_count;
    }
    if (chosen == NULL)
        return QUARTET_OK;
    for (uint32_t i = 0; i < conj_count; i++)
        conjs[i]->placed = true;
    return union_new(p, src, chosen, n, read, out, err);
}
