/* kv_sort.h - entries in any order, given back in key order; past a limit in sorted runs on disk meanwhile. Used by one thread. */
#ifndef ENGINE_KV_SORT_H
#define ENGINE_KV_SORT_H

#include "kv_run.h"

typedef struct kv_sort kv_sort;

/* place as for runs, borrowed; place->memory_bytes is what is sorted in memory at once. */
quartet_status kv_sort_new(const struct kv_run_place *place, kv_sort **out, struct err *err);
quartet_status kv_sort_put(kv_sort *s, tree_id tree, struct slice key, struct slice record, struct err *err); /* bytes are copied; record.p NULL: an erasure */
bool kv_sort_empty(const kv_sort *s);
uint64_t kv_sort_bytes(const kv_sort *s);
/* Each key once, in order, with the record that was put last; stops at the first failure. Once only. */
quartet_status kv_sort_drain(kv_sort *s, quartet_status (*each)(void *arg, tree_id tree, struct slice key, struct slice record, struct err *err), void *arg,
                             struct err *err);
void kv_sort_free(kv_sort *s); /* NULL is allowed */

#endif
