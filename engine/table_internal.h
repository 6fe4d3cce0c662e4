/* table_internal.h - ranges of keys and what scans share; for table*.c and index.c. */
#ifndef ENGINE_TABLE_INTERNAL_H
#define ENGINE_TABLE_INTERNAL_H

#include "txn_internal.h"

struct scan_keys { /* the columns that a scan's keys begin with */
    const struct table_def *table;
    const struct index_def *index; /* NULL: the primary key */
    const struct key_column *keys;
    uint32_t count;
};
struct key_span { /* owned bytes of a range */
    struct buf lo, hi, fold;
    bool hi_open;
    bool point; /* set before bound_range: the bound is one whole key, and only lo is wanted */
};
quartet_status bound_range(struct scan_keys *s, const struct key_bound *bound, struct key_span *out, struct err *err);
void key_span_deinit(struct key_span *s);
/* Can key_put take this value for this column? */
bool key_value_fits(const struct key_column *k, const struct value *v);

/* table_derived.c: a scan of which derived columns are wanted reads those that they are computed from, and makes its batches of these. */
struct scan_derived;
/* *out stays NULL where no derived column is wanted; else *plain is what to read instead of *want, in memory of *out. */
quartet_status scan_derived_new(const struct table_def *t, const struct scan_want *want, struct scan_want *plain, struct scan_derived **out, struct err *err);
quartet_status scan_derived_next(struct scan_derived *d, struct batch *b, struct err *err); /* turns the batch read into the one wanted; valid until the next call */
void scan_derived_late(struct scan_derived *d, const struct vec *read);  /* late columns have come */
void scan_derived_free(struct scan_derived *d);                          /* NULL is allowed */

static inline struct kv_range span_range(const struct key_span *s)
{
    return (struct kv_range){.lo = slice_of(s->lo.data, s->lo.len), .hi = slice_of(s->hi.data, s->hi.len), .hi_open = s->hi_open};
}

#endif
