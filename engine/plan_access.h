/* plan_access.h - ways into one table, and what they cost; inside plan_access.c and plan_union.c. */
#ifndef ENGINE_PLAN_ACCESS_H
#define ENGINE_PLAN_ACCESS_H

#include "plan.h"
#include "txn.h"

struct match;
/* A key's way in: how many of its columns are fixed, and what about the next one. */
struct way {
    const struct index_def *index; /* NULL: the primary key */
    const uint32_t *columns;       /* of that key; NULL: there is no way in, the table is read whole */
    uint32_t eq;
    const struct match *next;    /* IN or an interval; or NULL */
    const struct match *matches; /* of each column of the table */
    double rows, cost;           /* cost: in rows of a scan */
};

/* The cheapest way under conditions on src and `outer` (NULL: on src alone), with `need` to be read. */
quartet_status access_best(struct planner *p, const struct bsource *src, struct conj **conjs,
                           uint32_t conj_count, const uint64_t *outer, const uint64_t *need, struct way *best, struct err *err);
/* A scan of src that goes this way; all conditions are placed. */
quartet_status access_scan(struct planner *p, const struct bsource *src, struct conj **conjs, uint32_t conj_count,
                           const struct way *way, const uint64_t *need, struct pnode **out, struct err *err);

/* plan_union.c: a way for each side of an OR where that is cheaper than `best`; *out NULL: it is not. */
quartet_status plan_union(struct planner *p, const struct bsource *src, struct conj **conjs,
                          uint32_t conj_count, const struct way *best, const uint64_t *need,
                          struct pnode **out, struct err *err);

#endif
