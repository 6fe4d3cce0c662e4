/* plan_query.h - the steps of a SELECT above its FROM; inside plan_query.c and plan_agg.c. */
#ifndef ENGINE_PLAN_QUERY_H
#define ENGINE_PLAN_QUERY_H

#include "plan.h"

/* Groups and aggregates of q over `in`. */
quartet_status plan_agg(struct planner *p, const struct bquery *q, struct pnode *in,
                        struct pnode **out, struct err *err);
/* The window functions of q over *io. */
quartet_status plan_windows(struct planner *p, const struct bquery *q, struct pnode **io,
                            struct err *err);

#endif
