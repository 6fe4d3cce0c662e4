/* plan_from.c - FROM: how tables are joined, one after the other, in the order that plan_order.c
 * finds for few of them. More are taken greedily, since 64 tables in FROM must plan at once: the next
 * one is one that an equality connects to what is there already, the one that keeps the result
 * smallest; a product of unconnected tables comes last. */
#include "plan_join.h"

#include <string.h>

void source_cids(const struct bsource *src, uint64_t *set)
{
    if (src->kind == SRC_JOIN) {
        source_cids(src->left, set);
        source_cids(src->right, set);
        return;
    }
    for (uint32_t i = 0; i < src->count; i++)
        cid_set_add(set, src->first_cid + i);
    if (src->key_cid != BIND_NONE)
        cid_set_add(set, src->key_cid);
}

static bool not_for_every_row(void *arg, const struct expr *e)
{
    (void)arg;
    return (e->op != EXPR_EXISTS && e->op != EXPR_IN_QUERY && e->op != EXPR_SUBQUERY) || (e->flags & EXPR_CORRELATED) == 0;
}

static bool for_every_row(const struct expr *e)
{
    return !expr_walk(e, not_for_every_row, NULL);
}

quartet_status jplan_add_conj(struct jplan *j, struct expr *e, struct err *err)
{
    struct arena *a = j->p->a;
    if (!bind_grow(a, &j->conjs, j->conj_count, &j->conj_cap, sizeof *j->conjs))
        return arena_fail(a, err);
    struct conj *c = &j->conjs[j->conj_count++];
    *c = (struct conj){.e = e, .refs = cid_set_new(j->p), .late = j->unit_count > 1 && for_every_row(e)};
    if (c->refs == NULL)
        return arena_fail(a, err);
    cid_set_add_expr(j->p, c->refs, e);
    return QUARTET_OK;
}

/* What a lateral query takes from the sources around it. */
quartet_status jplan_lateral_refs(struct jplan *j, struct unit *u, const uint64_t *all,
                                   struct err *err)
{
    struct planner *p = j->p;
    const struct bquery *q = u->src->query;
    if (!u->src->lateral)
        return QUARTET_OK;
    u->lateral = cid_set_new(p);
    uint64_t *one = cid_set_new(p);
    if (u->lateral == NULL || one == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < q->dep_count; i++) {
        memset(one, 0, p->words * sizeof *one);
        cid_set_add_expr(p, one, p->b.slots[q->deps[i]].expr);
        if (!is_empty(p, one) && overlap(p, one, all))
            unite(p, u->lateral, one);
    }
    return QUARTET_OK;
}

static quartet_status collect(struct jplan *j, struct bsource *src, struct err *err)
{
    if (src->kind == SRC_JOIN && src->join == JOIN_INNER) {
        quartet_status rc = collect(j, src->left, err);
        if (rc == QUARTET_OK)
            rc = collect(j, src->right, err);
        for (uint32_t i = 0; i < src->on_count && rc == QUARTET_OK; i++)
            rc = jplan_add_conj(j, src->on[i], err);
        return rc;
    }
    struct arena *a = j->p->a;
    if (!bind_grow(a, &j->units, j->unit_count, &j->unit_cap, sizeof *j->units))
        return arena_fail(a, err);
    struct unit *u = &j->units[j->unit_count++];
    *u = (struct unit){.src = src, .cids = cid_set_new(j->p)};
    if (u->cids == NULL)
        return arena_fail(a, err);
    source_cids(src, u->cids);
    return QUARTET_OK;
}

/* ---- the order of inner joins ---- */

/* Conditions that wait and lie within `all`; those that touch `must` only, where it is given. */
static quartet_status pending(struct jplan *j, const uint64_t *all, struct conj ***out,
                              uint32_t *count, struct err *err)
{
    *out = arena_zalloc(j->p->a, j->conj_count + 1, sizeof(struct conj *));
    *count = 0;
    if (*out == NULL)
        return arena_fail(j->p->a, err);
    for (uint32_t i = 0; i < j->conj_count; i++) {
        struct conj *c = &j->conjs[i];
        if (!c->placed && !c->late && subset(j->p, c->refs, all))
            (*out)[(*count)++] = c;
    }
    return QUARTET_OK;
}

static quartet_status need_above(struct jplan *j, uint64_t *out)
{
    memcpy(out, j->need, j->p->words * sizeof *out);
    for (uint32_t i = 0; i < j->conj_count; i++) {
        if (!j->conjs[i].placed)
            unite(j->p, out, j->conjs[i].refs);
    }
    for (uint32_t i = 0; i < j->unit_count; i++) {
        if (!j->units[i].joined && j->units[i].lateral != NULL)
            unite(j->p, out, j->units[i].lateral);
    }
    return QUARTET_OK;
}

static quartet_status plan_unit(struct jplan *j, struct unit *u, struct err *err)
{
    struct planner *p = j->p;
    struct conj **conjs;
    uint32_t n;
    uint64_t *need = cid_set_new(p);
    if (need == NULL)
        return arena_fail(p->a, err);
    quartet_status rc = need_above(j, need);
    if (rc == QUARTET_OK)
        rc = pending(j, u->cids, &conjs, &n, err);
    if (rc != QUARTET_OK)
        return rc;
    if (j->unit_count == 1)
        memcpy(need, j->need,
               p->words * sizeof *need); /* its conditions add what they look at themselves */
    uint32_t k = 0;
    for (uint32_t i = 0; i < n;
         i++) { /* conditions without columns wait for the first join node, if there is one */
        if (j->unit_count == 1 || !is_empty(p, conjs[i]->refs))
            conjs[k++] = conjs[i];
    }
    rc = u->src->kind == SRC_JOIN ? plan_outer(p, u->src, conjs, k, need, &u->node, err)
                                  : plan_leaf(p, u->src, conjs, k, need, &u->node, err);
    if (rc == QUARTET_OK && j->unit_count > 1)
        u->read_cost = u->node->kind == PN_SCAN && !u->node->u.scan->bounded
                           ? plan_table_rows(p, u->src->table)
                           : u->node->rows;
    return rc;
}

static double joined_rows(const struct jplan *j, double rows, const uint64_t *done,
                          const struct unit *u, bool *connected)
{
    double r = rows * u->node->rows;
    *connected = false;
    for (uint32_t i = 0; i < j->conj_count; i++) {
        const struct conj *c = &j->conjs[i];
        if (c->placed || c->late || !overlap(j->p, c->refs, done) || !overlap(j->p, c->refs, u->cids))
            continue;
        bool ready = true;
        for (uint32_t w = 0; w < j->p->words; w++)
            ready &= (c->refs[w] & ~(done[w] | u->cids[w])) == 0;
        if (!ready)
            continue;
        if (c->e->op == EXPR_EQ) {
            r *= *connected ? 0.3 : join_share(j, c);
            *connected = true;
        } else {
            r *= 0.3;
        }
    }
    return r;
}

static struct unit *next_unit(struct jplan *j, double rows, const uint64_t *done)
{
    struct unit *best = NULL;
    double best_rows = 0;
    bool best_connected = false;
    for (uint32_t i = 0; i < j->unit_count; i++) {
        struct unit *u = &j->units[i];
        bool connected;
        if (u->joined || (u->lateral != NULL && !subset(j->p, u->lateral, done)))
            continue;
        double r = joined_rows(j, rows, done, u, &connected);
        if (best == NULL || (connected && !best_connected) ||
            (connected == best_connected && r < best_rows)) {
            best = u;
            best_rows = r;
            best_connected = connected;
        }
    }
    return best;
}

static quartet_status join_unit(struct jplan *j, struct side *l, uint64_t *done, struct unit *u,
                                struct err *err)
{
    struct planner *p = j->p;
    uint64_t *both = cid_set_new(p), *need = cid_set_new(p);
    struct conj **conjs;
    uint32_t n;
    if (both == NULL || need == NULL)
        return arena_fail(p->a, err);
    memcpy(both, done, p->words * sizeof *both);
    unite(p, both, u->cids);
    quartet_status rc = pending(j, both, &conjs, &n, err);
    if (rc != QUARTET_OK)
        return rc;
    u->joined = true;
    for (uint32_t i = 0; i < n; i++)
        conjs[i]->placed = true; /* for need_above only: what this join does itself */
    rc = need_above(j, need);
    struct side r = {.node = u->node, .cids = u->cids};
    struct pnode *out = NULL;
    bool lateral = u->lateral != NULL && !is_empty(p, u->lateral);
    if (rc == QUARTET_OK && !lateral && u->src->kind == SRC_TABLE) {
        /* Its own conditions were placed on its scan; an index join asks them of each row that it
         * finds. */
        uint32_t total = n;
        struct conj **all = arena_zalloc(p->a, j->conj_count + 1, sizeof(struct conj *));
        if (all == NULL)
            return arena_fail(p->a, err);
        memcpy(all, conjs, n * sizeof(struct conj *));
        for (uint32_t i = 0; i < j->conj_count; i++) {
            if (!j->conjs[i].late && subset(p, j->conjs[i].refs, u->cids) && !is_empty(p, j->conjs[i].refs))
                all[total++] = &j->conjs[i];
        }
        for (uint32_t i = 0; i < total; i++)
            all[i]->placed = false;
        rc = index_join(p, PJ_INNER, l, u->src, all, total, need, &out, err);
        for (uint32_t i = 0; i < total; i++)
            all[i]->placed = true;
    }
    struct expr **list = arena_zalloc(p->a, n + 1, sizeof(struct expr *));
    if (list == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < n; i++)
        list[i] = conjs[i]->e;
    if (rc == QUARTET_OK && out == NULL && lateral) {
        rc = apply_nodes(p, PJ_INNER, l, &r, u->src->query, list, n, need, &out, err);
    } else if (rc == QUARTET_OK && out == NULL) {
        bool swap = r.node->rows > l->node->rows;
        double share = 1;
        for (uint32_t i = 0; i < n; i++) {
            double one = conjs[i]->e->op == EXPR_EQ ? join_share(j, conjs[i]) : 1;
            share = one < share ? one : share;
        }
        struct side left = {.node = l->node, .cids = done};
        rc =
            join_nodes(p, PJ_INNER, swap ? &r : &left, swap ? &left : &r, list, n, share, need, &out,
                        err);
    }
    l->node = out;
    unite(p, done, u->cids);
    return rc;
}

static quartet_status filter_late(struct jplan *j, struct pnode **io, struct err *err)
{
    struct expr **list = arena_zalloc(j->p->a, j->conj_count + 1, sizeof(struct expr *));
    uint32_t n = 0;
    if (list == NULL)
        return arena_fail(j->p->a, err);
    for (uint32_t i = 0; i < j->conj_count; i++)
        if (j->conjs[i].late)
            list[n++] = j->conjs[i].e;
    return plan_filter(j->p, *io, list, n, io, err);
}

static struct unit *smallest_unit(struct jplan *j)
{
    struct unit *first = NULL;
    for (uint32_t i = 0; i < j->unit_count; i++) {
        struct unit *u = &j->units[i];
        bool free_standing = u->lateral == NULL || is_empty(j->p, u->lateral);
        if (free_standing && (first == NULL || u->node->rows < first->node->rows))
            first = u;
    }
    return first;
}

quartet_status plan_from(struct planner *p, struct bsource *src, struct expr **where,
                         uint32_t where_count, const uint64_t *need, struct pnode **out,
                         struct err *err)
{
    struct jplan j = {.p = p, .need = need};
    uint64_t *done = cid_set_new(p), *all = cid_set_new(p);
    if (done == NULL || all == NULL)
        return arena_fail(p->a, err);
    source_cids(src, all);
    quartet_status rc = collect(&j, src, err);
    p->figures |= j.unit_count > 1 || src->kind == SRC_JOIN; /* an outer join is one unit */
    for (uint32_t i = 0; i < where_count && rc == QUARTET_OK; i++)
        rc = jplan_add_conj(&j, where[i], err);
    for (uint32_t i = 0; i < j.unit_count && rc == QUARTET_OK; i++)
        rc = jplan_lateral_refs(&j, &j.units[i], all, err);
    for (uint32_t i = 0; i < j.unit_count && rc == QUARTET_OK; i++)
        rc = plan_unit(&j, &j.units[i], err);
    if (rc != QUARTET_OK)
        return rc;
    uint32_t order[ORDER_UNITS_MAX];
    bool ordered = plan_order(&j, order);
    struct unit *first = ordered ? &j.units[order[0]] : smallest_unit(&j);
    if (first == NULL)
        return err_set(err, QUARTET_ERROR, "the lateral subqueries of this FROM need each other");
    struct side l = {.node = first->node, .cids = done};
    first->joined = true;
    unite(p, done, first->cids);
    for (uint32_t k = 1; k < j.unit_count && rc == QUARTET_OK; k++) {
        struct unit *u = ordered ? &j.units[order[k]] : next_unit(&j, l.node->rows, done);
        if (u == NULL)
            return err_set(err, QUARTET_ERROR,
                           "the lateral subqueries of this FROM need each other");
        rc = join_unit(&j, &l, done, u, err);
    }
    *out = l.node;
    return rc == QUARTET_OK ? filter_late(&j, out, err) : rc;
}
