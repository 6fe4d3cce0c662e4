/* agg_impl.h - the states of aggregates. Inside engine/agg*.c only. */
#ifndef ENGINE_AGG_IMPL_H
#define ENGINE_AGG_IMPL_H

#include "agg.h"

enum { SEEN_INT = 1, SEEN_REAL = 2, SEEN_DECIMAL = 4 };

struct sum_state { /* SUM, TOTAL, AVG */
    __int128 exact;     /* integers and decimals, / 10^scale */
    double real, carry; /* sum of the doubles, and what rounding lost of it */
    int64_t count;
    uint8_t scale;
    uint8_t seen;
    bool overflow;
};
struct extreme_state { /* MIN, MAX, ANY_VALUE */
    struct value best; /* NULL: nothing yet */
    uint8_t *room;     /* its bytes are here */
    size_t cap;
};
struct text_state { /* GROUP_CONCAT, JSON */
    uint8_t *p;
    size_t n, cap;
    int64_t count;
};
struct moment_state { /* STDDEV, VARIANCE: Welford's method */
    double mean, m2;
    int64_t count;
};
struct list_state { /* MEDIAN, PERCENTILE */
    struct value *items;
    uint32_t count, cap;
    double fraction;
};
struct bits_state { /* BOOL_AND, BOOL_OR, BIT_...; COUNT */
    int64_t i;
    bool any;
};

struct distinct_slot {
    uint64_t hash;
    uint32_t group;
    uint32_t len; /* UINT32_MAX: an integer, in i */
    union {
        int64_t i;
        const uint8_t *p;
    };
};
struct distinct {
    struct distinct_slot *slots; /* open addressing; used ones have used[] set */
    uint8_t *used;
    uint64_t mask, count;
};

struct agg {
    struct arena *arena;
    struct agg_spec spec;
    uint8_t kind;
    size_t state_bytes;
    uint32_t count, cap;
    uint8_t *states;
    struct distinct distinct;
};

static inline void *agg_state(const agg *g, uint32_t group)
{
    return g->states + (size_t)group * g->state_bytes;
}
static inline void sum_real(struct sum_state *s, double r) /* Neumaier's sum without its branch: exact in what it keeps */
{
    double t = s->real + r, b = t - s->real;
    s->carry += (s->real - (t - b)) + (r - b);
    s->real = t;
}
bool agg_sum_exact(struct sum_state *s, __int128 v, uint8_t scale); /* false: overflow, noted in the state */
/* One value that is not NULL (but for JSON) into a group. */
quartet_status agg_step(agg *g, uint32_t group, const struct value *args, struct err *err);
quartet_status agg_step_extreme(agg *g, struct extreme_state *s, const struct value *v, struct err *err);
/* Was (group, value) not there before? */
quartet_status distinct_add(agg *g, uint32_t group, const struct value *v, bool *fresh, struct err *err);

#endif
