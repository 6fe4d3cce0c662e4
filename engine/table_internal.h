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

static inline struct kv_range span_range(const struct key_span *s)
{
    return (struct kv_range){.lo = slice_of(s->lo.data, s->lo.len), .hi = slice_of(s->hi.data, s->hi.len), .hi_open = s->hi_open};
}

#endif
