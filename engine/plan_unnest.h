/* plan_unnest.h - correlated subqueries as joins; inside plan_query.c and plan_unnest*.c. */
#ifndef ENGINE_PLAN_UNNEST_H
#define ENGINE_PLAN_UNNEST_H

#include "plan_join.h"

/* WHERE of a query apart: what its FROM is planned with, and conditions with a correlated subquery, which are asked of what comes out of it. */
struct unnest {
    struct expr **plain;
    uint32_t plain_count;
    struct expr **subs;
    uint32_t sub_count;
};
quartet_status unnest_split(struct planner *p, const struct bquery *q, struct unnest *u, struct err *err);
/* The conditions `subs` over *io: joins where that costs less than to run the subquery for each row, else a filter. need: what is read above, which is kept. */
quartet_status unnest_where(struct planner *p, const struct unnest *u, const uint64_t *need, struct pnode **io, struct err *err);

/* ---- shared by plan_unnest.c and plan_unnest_agg.c ---- */

/* A correlated subquery taken apart: its conditions on itself, and those that name the query around it, over the cids of both. */
struct apart {
    const struct bsub *sub;
    struct bquery *q;
    struct expr **own;
    uint32_t own_count;
    struct expr **both;
    uint32_t both_count;
};
/* *ok false: the query around it is named elsewhere, too. */
quartet_status apart_make(struct planner *p, const struct bsub *sub, struct apart *a, bool *ok, struct err *err);
bool apart_names_outer(const struct planner *p, const struct apart *a, const struct expr *e);
/* Is running it once for each of `rows` rows dearer than `whole`, the cost of all of it at once, in rows of a scan? */
quartet_status apart_pays(struct planner *p, struct bquery *q, double rows, double whole, bool *pays, struct err *err);
double unnest_cost(const struct planner *p, const struct pnode *n);
/* The scalar subqueries in *e whose aggregates can be grouped by what they are asked for become columns of outer joins over *io; *e is another expression then. */
quartet_status unnest_scalars(struct planner *p, struct expr **e, const uint64_t *need, struct pnode **io, struct err *err);

#endif
