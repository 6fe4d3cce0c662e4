/* plan_join.h - the units of a FROM and the conditions between them; inside plan_join.c and plan_order.c. */
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


/* Costs, in rows of a scan. */
double join_hash_cost(double left_rows, double right_rows);
double join_lookup_cost(double left_rows, double rows_per_lookup);

/* plan_order.c. The share of all pairs of rows that a condition between units leaves. */
double join_share(const struct jplan *j, const struct conj *c);
/* The cheapest order in which the units can be joined one after the other, for ORDER_UNITS_MAX of them at most. order[0 .. unit_count-1] are positions in
 * j->units; false: they need each other, or there are too many. */
#define ORDER_UNITS_MAX 10u
bool plan_order(const struct jplan *j, uint32_t *order);

#endif
