/* agg.c - aggregates over batches: the states of all groups in one array, and loops for the common cases.
 * Why: SELECT g, sum(x) ... GROUP BY g over a million rows is a million additions; a call and a switch for each would cost ten times that.
 * Not here: what one value does to a state, and results (agg_row.c); DISTINCT (agg_distinct.c). */
#include "agg_impl.h"

#include "expr_ops.h"

#include <string.h>

static size_t state_bytes(uint8_t kind)
{
    switch (kind) {
    case AGG_SUM:
    case AGG_TOTAL:
    case AGG_AVG:
        return sizeof(struct sum_state);
    case AGG_MIN:
    case AGG_MAX:
    case AGG_ANY_VALUE:
        return sizeof(struct extreme_state);
    case AGG_GROUP_CONCAT:
    case AGG_JSON_ARRAY:
    case AGG_JSON_OBJECT:
        return sizeof(struct text_state);
    case AGG_STDDEV_POP:
    case AGG_STDDEV_SAMP:
    case AGG_VAR_POP:
    case AGG_VAR_SAMP:
        return sizeof(struct moment_state);
    case AGG_MEDIAN:
    case AGG_PERCENTILE_CONT:
    case AGG_PERCENTILE_DISC:
        return sizeof(struct list_state);
    default:
        return sizeof(struct bits_state);
    }
}

quartet_status agg_new(struct arena *a, const struct agg_spec *spec, agg **out, struct err *err)
{
    QASSERT((spec->func->flags & FUNC_AGGREGATE) != 0);
    agg *g = arena_zalloc(a, 1, sizeof *g);
    if (g == NULL)
        return arena_fail(a, err);
    g->arena = a;
    g->spec = *spec;
    g->kind = spec->func->code;
    g->state_bytes = state_bytes(g->kind);
    *out = g;
    return QUARTET_OK;
}

void agg_reset(agg *g, uint32_t group)
{
    QASSERT(group < g->count);
    void *s = agg_state(g, group);
    memset(s, 0, g->state_bytes);
    if (g->state_bytes == sizeof(struct extreme_state) && (g->kind == AGG_MIN || g->kind == AGG_MAX || g->kind == AGG_ANY_VALUE))
        ((struct extreme_state *)s)->best = VALUE_NULL_INIT;
}

quartet_status agg_reserve(agg *g, uint32_t count, struct err *err)
{
    if (count <= g->count)
        return QUARTET_OK;
    if (count > g->cap) {
        uint32_t cap = g->cap * 2 > count ? g->cap * 2 : count;
        uint8_t *states = arena_zalloc(g->arena, cap, g->state_bytes);
        if (states == NULL)
            return arena_fail(g->arena, err);
        if (g->count > 0)
            memcpy(states, g->states, g->count * g->state_bytes);
        g->states = states;
        g->cap = cap;
    }
    uint32_t from = g->count;
    g->count = count;
    for (uint32_t k = from; k < count; k++)
        agg_reset(g, k);
    return QUARTET_OK;
}

static inline uint32_t group_of(const uint32_t *group, uint32_t row)
{
    return group != NULL ? group[row] : 0;
}

static int64_t count_not_null(const struct batch *in, const struct vec *v)
{
    int64_t n = 0;
    if (!v->has_null && v->type != VEC_MIXED && v->type != VALUE_NULL)
        return in->n;
    for (uint32_t k = 0; k < in->n; k++)
        n += !vec_is_null(v, batch_row(in, k));
    return n;
}

static void update_count(agg *g, const struct batch *in, const struct vec *args, const uint32_t *group)
{
    struct bits_state *s = (struct bits_state *)(void *)g->states;
    bool all = g->kind == AGG_COUNT_STAR || (!args[0].has_null && args[0].type != VEC_MIXED && args[0].type != VALUE_NULL);
    if (group == NULL) {
        s[0].i += all ? in->n : count_not_null(in, &args[0]);
        return;
    }
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k);
        s[group[row]].i += all || !vec_is_null(&args[0], row);
    }
}

/* Halves are summed apart: neither passes 64 bits in a batch, and the loop needs no carry. */
static __int128 sum_ints(const int64_t *v, uint32_t n)
{
    int64_t high = 0;
    uint64_t low = 0;
    for (uint32_t k = 0; k < n; k++) {
        high += v[k] >> 32;
        low += (uint32_t)v[k];
    }
    return (__int128)high * (INT64_C(1) << 32) + (__int128)low;
}

static void update_sum_int(agg *g, const struct batch *in, const struct vec *v, const uint32_t *group)
{
    struct sum_state *s = (struct sum_state *)(void *)g->states;
    if (group == NULL && in->sel == NULL && !v->constant) { /* a NULL's cell is 0 */
        int64_t count = count_not_null(in, v);
        s[0].count += count;
        s[0].seen |= count > 0 ? SEEN_INT : 0;
        (void)agg_sum_exact(&s[0], sum_ints(v->i, in->n), 0); /* overflow is told at the end */
        return;
    }
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k), at = v->constant ? 0 : row;
        if (v->has_null && v->null[at] != 0)
            continue;
        struct sum_state *one = &s[group_of(group, row)];
        one->count++;
        one->seen |= SEEN_INT;
        if (one->scale == 0)
            one->exact += v->i[at]; /* 2^64 rows would be needed to pass 128 bits */
        else
            (void)agg_sum_exact(one, v->i[at], 0);
    }
}

static void update_sum_real(agg *g, const struct batch *in, const struct vec *v, const uint32_t *group)
{
    struct sum_state *s = (struct sum_state *)(void *)g->states;
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k), at = v->constant ? 0 : row;
        if (v->has_null && v->null[at] != 0)
            continue;
        struct sum_state *one = &s[group_of(group, row)];
        one->count++;
        one->seen |= SEEN_REAL;
        sum_real(one, v->r[at]);
    }
}

static void update_sum_decimal(agg *g, const struct batch *in, const struct vec *v, const uint32_t *group)
{
    struct sum_state *s = (struct sum_state *)(void *)g->states;
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k), at = v->constant ? 0 : row;
        if (v->has_null && v->null[at] != 0)
            continue;
        struct sum_state *one = &s[group_of(group, row)];
        if (one->count == 0)
            one->scale = v->scale;
        one->count++;
        one->seen |= SEEN_DECIMAL;
        (void)agg_sum_exact(one, dec_get(v->dec[at]), v->scale); /* overflow is told at the end */
    }
}

static void update_extreme_int(agg *g, const struct batch *in, const struct vec *v, const uint32_t *group, bool max)
{
    struct extreme_state *s = (struct extreme_state *)(void *)g->states;
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k), at = v->constant ? 0 : row;
        if (v->has_null && v->null[at] != 0)
            continue;
        struct extreme_state *one = &s[group_of(group, row)];
        int64_t i = v->i[at];
        if (one->best.type == v->type) {
            if (max ? i > one->best.i : i < one->best.i)
                one->best.i = i;
            continue;
        }
        struct value value = {.type = v->type, .i = i};
        struct err ignored = ERR_INIT;
        (void)agg_step_extreme(g, one, &value, &ignored); /* numbers and dates need no memory */
    }
}

static void update_extreme_real(agg *g, const struct batch *in, const struct vec *v, const uint32_t *group, bool max)
{
    struct extreme_state *s = (struct extreme_state *)(void *)g->states;
    for (uint32_t k = 0; k < in->n; k++) {
        uint32_t row = batch_row(in, k), at = v->constant ? 0 : row;
        if (v->has_null && v->null[at] != 0)
            continue;
        struct extreme_state *one = &s[group_of(group, row)];
        double r = v->r[at];
        if (one->best.type == VALUE_REAL) {
            if (max ? r > one->best.r : r < one->best.r)
                one->best.r = r;
            continue;
        }
        struct value value = {.type = VALUE_REAL, .r = r};
        struct err ignored = ERR_INIT;
        (void)agg_step_extreme(g, one, &value, &ignored); /* numbers need no memory */
    }
}

/* True where a loop took the batch. */
static bool update_fast(agg *g, const struct batch *in, const struct vec *args, const uint32_t *group)
{
    bool sum = g->kind == AGG_SUM || g->kind == AGG_TOTAL || g->kind == AGG_AVG, extreme = g->kind == AGG_MIN || g->kind == AGG_MAX;
    if (g->kind == AGG_COUNT_STAR || g->kind == AGG_COUNT) {
        update_count(g, in, args, group);
        return true;
    }
    uint8_t type = args[0].type;
    if (type == VALUE_NULL)
        return g->kind != AGG_JSON_ARRAY && g->kind != AGG_JSON_OBJECT;
    if (sum && type == VALUE_INTEGER)
        update_sum_int(g, in, &args[0], group);
    else if (sum && type == VALUE_REAL)
        update_sum_real(g, in, &args[0], group);
    else if (sum && type == VALUE_DECIMAL)
        update_sum_decimal(g, in, &args[0], group);
    else if (extreme && (type == VALUE_INTEGER || type == VALUE_DATE || type == VALUE_TIME || type == VALUE_TIMESTAMP))
        update_extreme_int(g, in, &args[0], group, g->kind == AGG_MAX);
    else if (extreme && type == VALUE_REAL)
        update_extreme_real(g, in, &args[0], group, g->kind == AGG_MAX);
    else
        return false;
    return true;
}

quartet_status agg_update_row(agg *g, uint32_t group, const struct value *args, struct err *err)
{
    QASSERT(group < g->count);
    bool json = g->kind == AGG_JSON_ARRAY || g->kind == AGG_JSON_OBJECT;
    if (g->kind != AGG_COUNT_STAR && args[0].type == VALUE_NULL && !json)
        return QUARTET_OK;
    bool fresh = true;
    if (g->spec.distinct && g->spec.arg_count > 0) {
        quartet_status rc = distinct_add(g, group, &args[0], &fresh, err);
        if (rc != QUARTET_OK || !fresh)
            return rc;
    }
    return agg_step(g, group, args, err);
}

#define AGG_ARGS_MAX 2

quartet_status agg_update(agg *g, const struct batch *in, const struct vec *args, const uint32_t *group, struct err *err)
{
    if (in->n == 0)
        return QUARTET_OK;
    QASSERT(g->count > 0);
    QASSERT(g->spec.arg_count <= AGG_ARGS_MAX);
    if (!g->spec.distinct && update_fast(g, in, args, group))
        return QUARTET_OK;
    quartet_status rc = QUARTET_OK;
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        struct value values[AGG_ARGS_MAX] = {VALUE_NULL_INIT, VALUE_NULL_INIT};
        for (uint32_t j = 0; j < g->spec.arg_count; j++)
            values[j] = vec_get(&args[j], row);
        rc = agg_update_row(g, group_of(group, row), values, err);
    }
    return rc;
}

quartet_status agg_final_vec(agg *g, uint32_t first, uint32_t n, struct arena *a, struct vec *out, struct err *err)
{
    QASSERT(n <= BATCH_ROWS_MAX);
    struct batch rows = {.n = n};
    struct vec_out o;
    quartet_status rc = vout_begin(&o, out, &rows, a, err);
    for (uint32_t k = 0; k < n && rc == QUARTET_OK; k++) {
        struct value v;
        rc = agg_final(g, first + k, a, &v, err);
        if (rc == QUARTET_OK)
            rc = vout_put(&o, k, &v, err);
    }
    return rc;
}
