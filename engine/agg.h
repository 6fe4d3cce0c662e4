/* agg.h - aggregate functions: one object per call of one, holding the states of all its groups; updated a batch at a time.
 *
 * Everything lies in the arena given to agg_new, and so is released with it. DISTINCT is done here. ORDER BY inside an aggregate is the caller's: it
 * updates in that order. A FILTER is a narrower sel. */
#ifndef ENGINE_AGG_H
#define ENGINE_AGG_H

#include "batch.h"
#include "func.h"

enum agg_kind {
    AGG_COUNT_STAR, AGG_COUNT, AGG_SUM, AGG_TOTAL, AGG_AVG, AGG_MIN, AGG_MAX, AGG_GROUP_CONCAT, AGG_STDDEV_POP, AGG_STDDEV_SAMP, AGG_VAR_POP, AGG_VAR_SAMP,
    AGG_MEDIAN, AGG_PERCENTILE_CONT, AGG_PERCENTILE_DISC, AGG_BOOL_AND, AGG_BOOL_OR, AGG_BIT_AND, AGG_BIT_OR, AGG_BIT_XOR, AGG_ANY_VALUE,
    AGG_JSON_ARRAY, AGG_JSON_OBJECT,
    AGG_KIND_COUNT
};

typedef struct agg agg;

struct agg_spec {
    const struct func *func; /* FUNC_AGGREGATE */
    uint32_t arg_count;      /* 0: count(*) */
    bool distinct;
    bool nocase;             /* DISTINCT, MIN and MAX under NOCASE */
    int64_t sql_offset;      /* for errors, or -1 */
};

quartet_status agg_new(struct arena *a, const struct agg_spec *spec, agg **out, struct err *err);
/* Make groups 0 .. count-1 exist; new ones are empty. Never shrinks. A new agg has none. */
quartet_status agg_reserve(agg *g, uint32_t count, struct err *err);
/* Take the rows of `in` (its n and sel; its columns are not looked at). args: arg_count vectors, indexed by row. group[row] tells the group of each;
 * NULL: all rows go to group 0. QUARTET_ERROR: SUM overflows. */
quartet_status agg_update(agg *g, const struct batch *in, const struct vec *args, const uint32_t *group, struct err *err);
/* One row, for callers that go row by row. args: arg_count values. */
quartet_status agg_update_row(agg *g, uint32_t group, const struct value *args, struct err *err);
/* The result of one group; the state stays as it is, so that a window function may go on. Bytes lie in `a`, which may be another arena than agg_new's, or in
 * the aggregate's own. */
quartet_status agg_final(agg *g, uint32_t group, struct arena *a, struct value *out, struct err *err);
/* The results of groups first .. first+n-1 as rows 0 .. n-1 of *out (n at most BATCH_ROWS_MAX). */
quartet_status agg_final_vec(agg *g, uint32_t first, uint32_t n, struct arena *a, struct vec *out, struct err *err);
/* Add group `from_group` of another aggregate with the same spec into this one's `group`. Not for DISTINCT: QUARTET_MISUSE. */
quartet_status agg_merge(agg *g, uint32_t group, const agg *from, uint32_t from_group, struct err *err);
/* Start a group anew. */
void agg_reset(agg *g, uint32_t group);

#endif
