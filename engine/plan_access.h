/* plan_access.h - ways into one table, and what they cost; inside plan_access.c and plan_union.c. */
#ifndef ENGINE_PLAN_ACCESS_H
#define ENGINE_PLAN_ACCESS_H

#include "plan.h"
#include "txn.h"

#define WAY_SETS_MAX   8u
#define TUPLE_WIDTH_MAX 8u

struct match { /* conditions that one column of a key can use */
    struct conj *eq, *in, *lo, *hi;
    struct expr *eq_expr, *lo_expr, *hi_expr;
    bool lo_open, hi_open;
};
/* A condition that gives values of several columns together, or of one by a query: (a, b) IN ((1, 2), (3, 4)), a IN (SELECT ...). */
struct tuple {
    struct conj *conj;
    uint32_t width, columns[TUPLE_WIDTH_MAX]; /* of the table */
    struct expr **values;                     /* row by row; NULL: */
    struct expr *query;
    double rows;
};
/* Columns of a key behind those that are fixed: by an equality or an IN list of the column, or by a tuple. */
struct way_set {
    const struct match *match;
    bool eq;
    const struct tuple *tuple;
    uint32_t used; /* columns */
};
/* A key's way in: how many of its columns are fixed, and what about the next ones. */
struct way {
    const struct index_def *index; /* NULL: the primary key */
    const uint32_t *columns;       /* of that key; NULL: there is no way in, the table is read whole */
    uint32_t eq;
    struct way_set sets[WAY_SETS_MAX];
    uint32_t set_count, set_width;
    bool queried;
    const struct match *next;    /* an interval behind them; or NULL */
    const struct match *matches; /* of each column of the table */
    double rows, cost;           /* cost: in rows of a scan */
};

static inline bool way_is_bound(const struct way *w)
{
    return w->eq > 0 || w->set_count > 0 || w->next != NULL;
}

/* plan_sets.c */
struct tuples {
    struct tuple *list;
    uint32_t count, cap;
};
/* Is e a column of src, or an expression of an index? Is e computed from the outer row alone (a set; NULL: from nothing)? scratch: a set. */
bool access_column(const struct bsource *src, const struct expr *e, uint32_t *column);
bool access_is_outer(struct planner *p, const struct expr *e, const uint64_t *outer, uint64_t *scratch);
/* A condition into `to`, where it is such a tuple. */
quartet_status tuples_add(struct planner *p, const struct bsource *src, struct conj *c, const uint64_t *outer, uint64_t *scratch, struct tuples *to, struct err *err);
bool tuples_begin(const struct tuples *t, uint32_t column); /* has one of them this column? */
/* The sets behind the first w->eq columns of a key. *lookups: how many there are; *shares: of the rows, each of them finds. */
void way_add_sets(const struct planner *p, const struct bsource *src, const uint32_t *columns, uint32_t count, const struct match *matches, const struct tuples *tuples,
                  double (*share)(const struct planner *p, const struct bsource *src, uint32_t column), struct way *w, double *lookups, double *shares);
/* They become s->bound's. Conditions that a query answers go to `again`, to be asked where the bound is given up. */
quartet_status way_place_sets(struct planner *p, const struct way *w, const uint32_t *cids, uint32_t n, struct pscan *s, struct expr **again, uint32_t *again_count,
                              struct err *err);
#define WAY_AGAIN_MAX (WAY_SETS_MAX + 2u)

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
