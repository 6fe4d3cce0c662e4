/* bind_walk.c - walking and copying bound expressions, the outer values of their subqueries included. */
#include "bind.h"

static bool is_subquery(const struct expr *e)
{
    return e->op == EXPR_SUBQUERY || e->op == EXPR_EXISTS || e->op == EXPR_IN_QUERY;
}

struct map_state {
    struct arena *a;
    bind_map_fn *map;
    void *arg;
    struct err *err;
    quartet_status rc;
};

static struct expr *map_node(void *arg, const struct expr *e)
{
    struct map_state *m = arg;
    struct expr *out = NULL;
    if (m->rc != QUARTET_OK)
        return NULL;
    m->rc = m->map(m->arg, e, &out, m->err);
    if (m->rc != QUARTET_OK || out != NULL || !is_subquery(e))
        return out;
    const struct bsub *from = e->u.subquery;
    struct bsub *sub = arena_dup(m->a, from, sizeof *from);
    out = arena_dup(m->a, e, sizeof *e);
    struct expr **exprs = arena_zalloc(m->a, from->set_count + 1, sizeof(struct expr *));
    struct expr **args = arena_zalloc(m->a, e->arg_count + 1, sizeof(struct expr *));
    if (sub == NULL || out == NULL || exprs == NULL || args == NULL) {
        m->rc = arena_fail(m->a, m->err);
        return NULL;
    }
    sub->set_exprs = exprs;
    out->u.subquery = sub;
    out->args = args;
    for (uint32_t i = 0; i < from->set_count && m->rc == QUARTET_OK; i++)
        m->rc = bind_map(m->a, from->set_exprs[i], m->map, m->arg, &exprs[i], m->err);
    for (uint32_t i = 0; i < e->arg_count && m->rc == QUARTET_OK; i++)
        m->rc = bind_map(m->a, e->args[i], m->map, m->arg, &args[i], m->err);
    return out;
}

quartet_status bind_map(struct arena *a, const struct expr *e, bind_map_fn *map, void *arg,
                        struct expr **out, struct err *err)
{
    struct map_state m = {.a = a, .map = map, .arg = arg, .err = err, .rc = QUARTET_OK};
    quartet_status rc = expr_copy(a, e, map_node, &m, out, err);
    return m.rc != QUARTET_OK ? m.rc : rc;
}

struct each_state {
    void (*visit)(void *arg, uint32_t cid);
    void *arg;
};

static bool each_node(void *arg, const struct expr *e)
{
    struct each_state *s = arg;
    if (e->op == EXPR_COLUMN) {
        s->visit(s->arg, e->u.column);
    } else if (is_subquery(e)) {
        const struct bsub *sub = e->u.subquery;
        for (uint32_t i = 0; i < sub->set_count; i++)
            bind_each_column(sub->set_exprs[i], s->visit, s->arg);
    }
    return true;
}

void bind_each_column(const struct expr *e, void (*visit)(void *arg, uint32_t cid), void *arg)
{
    struct each_state s = {.visit = visit, .arg = arg};
    (void)expr_walk(e, each_node, &s); /* each_node never stops it */
}

static bool not_subquery(void *arg, const struct expr *e)
{
    (void)arg;
    return !is_subquery(e);
}

bool bind_has_subquery(const struct expr *e)
{
    return !expr_walk(e, not_subquery, NULL);
}

static bool not_volatile(void *arg, const struct expr *e)
{
    (void)arg;
    return !is_subquery(e) &&
           !(e->op == EXPR_CALL && (e->u.func->flags & (FUNC_DETERMINISTIC | FUNC_STABLE)) == 0);
}

bool bind_is_volatile(const struct expr *e)
{
    return !expr_walk(e, not_volatile, NULL);
}
