/* kv_top.h - the greatest key of a tree in a snapshot: what is above it need not be looked for, which is most of what a load would do. */
#ifndef ENGINE_KV_TOP_H
#define ENGINE_KV_TOP_H

#include "kv.h"

struct kv_top { /* {0}: nothing is known. Of one tree at a time */
    tree_id tree;
    uint32_t misses; /* keys of the tree that were looked for in vain */
    bool known, empty;
    struct buf key;
};
void kv_top_deinit(struct kv_top *top);
void kv_top_forget(struct kv_top *top); /* but keep the memory */
/* Nothing of the tree can be there under this key, dead or alive. */
bool kv_top_above(const struct kv_top *top, tree_id tree, struct slice key);
/* A key of the tree was not there. After a few of them the greatest is looked for. */
quartet_status kv_top_missed(struct kv_top *top, kv_snap *snap, tree_id tree, struct err *err);

#endif
