/* plan_join.h - the units of a FROM and the conditions between them; inside plan_from.c, plan_leaf.c, plan_join.c, plan_outer.c and
 * plan_order.c. */
#ifndef ENGINE_PLAN_JOIN_H
#define ENGINE_PLAN_JOIN_H

#include "plan.h"

struct unit {
    struct bsource *src;
    struct pnode *node;
    uint64_t *cids;
    uint64_t *lateral; /* what its query reads of its neighbours, or NULL */
    bool joined;
    double read_cost; /* of reading it whole, conditions included */
};
struct jplan {
    struct planner *p;
    struct unit *units;
    uint32_t unit_count, unit_cap;
    struct conj *conjs;
    uint32_t conj_count, conj_cap;
    const uint64_t *need;
};

/* Sets of cids. */
static inline bool subset(const struct planner *p, const uint64_t *a, const uint64_t *b)
{
    for (uint32_t i = 0; i < p->words; i++) {
        if ((a[i] & ~b[i]) != 0)
            return false;
    }
    return true;
}

static inline bool overlap(const struct planner *p, const uint64_t *a, const uint64_t *b)
{
    for (uint32_t i = 0; i < p->words; i++) {
        if ((a[i] & b[i]) != 0)
            return true;
    }
    return false;
}

static inline bool is_empty(const struct planner *p, const uint64_t *a)
{
    for (uint32_t i = 0; i < p->words; i++) {
        if (a[i] != 0)
            return false;
    }
    return true;
}

static inline void unite(const struct planner *p, uint64_t *into, const uint64_t *a)
{
    for (uint32_t i = 0; i < p->words; i++)
        into[i] |= a[i];
}

/* plan_from.c. The cids of all columns of src. */
void source_cids(const struct bsource *src, uint64_t *set);
quartet_status jplan_add_conj(struct jplan *j, struct expr *e, struct err *err);
/* Into u->lateral what a lateral query takes from the sources `all` around it. */
quartet_status jplan_lateral_refs(struct jplan *j, struct unit *u, const uint64_t *all,
                                  struct err *err);

/* plan_leaf.c: one source that is no join, under conditions on it alone; they are all placed, or for a table those that its scan takes. */
quartet_status plan_leaf(struct planner *p, struct bsource *src, struct conj **conjs,
                         uint32_t n, const uint64_t *need, struct pnode **out,
                         struct err *err);

/* plan_outer.c: an outer join under conditions, which are all placed. */
quartet_status plan_outer(struct planner *p, struct bsource *src, struct conj **conjs,
                          uint32_t n, const uint64_t *need, struct pnode **out,
                          struct err *err);

/* plan_join.c: two nodes to one under the conditions conds[0..n), whose outputs are those of `need`. kind: enum pjoin_kind. */
struct side {
    struct pnode *node;
    const uint64_t *cids;
};
/* By hash where an equality allows it. share: of all pairs, by the strictest equality. */
quartet_status join_nodes(struct planner *p, uint8_t kind, const struct side *l,
                          const struct side *r, struct expr **conds, uint32_t n,
                          double share, const uint64_t *need, struct pnode **out,
                          struct err *err);
/* The right side, which is the query q, anew for each row of the left one. */
quartet_status apply_nodes(struct planner *p, uint8_t kind, const struct side *l,
                           const struct side *r, const struct bquery *q, struct expr **conds,
                           uint32_t n, const uint64_t *need, struct pnode **out,
                           struct err *err);
/* Look the inner table's rows up for each outer row, where the outer ones are few; *out NULL: no. */
quartet_status index_join(struct planner *p, uint8_t kind, const struct side *l,
                          struct bsource *src, struct conj **conjs, uint32_t n,
                          const uint64_t *need, struct pnode **out, struct err *err);

/* plan_merge.c: a hash join becomes a merge join where both sides come in the order of its key and that is cheaper. */
void plan_merge_join(const struct planner *p, struct pnode *join);

/* Costs, in rows of a scan. */
double join_hash_cost(double left_rows, double right_rows);
enum lookup { LOOKUP_POINT, LOOKUP_RANGE, LOOKUP_FETCH }; /* one row by its whole key; rows that stand together; rows that an index names */
enum lookup join_lookup_kind(const struct pscan *inner);
double join_lookup_cost(double left_rows, double rows_per_lookup, enum lookup how);

/* plan_order.c. The share of all pairs of rows that a condition between units leaves. */
double join_share(const struct jplan *j, const struct conj *c);
/* The cheapest order in which the units can be joined one after the other, for ORDER_UNITS_MAX of them at most. order[0 .. unit_count-1] are positions in
 * j->units; false: they need each other, or there are too many. */
#define ORDER_UNITS_MAX 10u
bool plan_order(const struct jplan *j, uint32_t *order);

#endif
