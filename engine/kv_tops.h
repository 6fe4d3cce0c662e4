/* kv_tops.h - the greatest keys of the store's trees, kept while it is written to: who asks for a key above them need not look for it. See the top of kv_tops.c. */
#ifndef ENGINE_KV_TOPS_H
#define ENGINE_KV_TOPS_H

#include <stdatomic.h>

#include "kv_buffer.h"
#include "kv_digest.h"

#define KV_TOPS 256u /* trees: each has one place, which the first that wants it keeps */

struct kv_tops_place {
    _Atomic tree_id tree;      /* 0: none yet. Set last */
    _Atomic uint64_t digest;   /* kv_digest of no key of the tree is greater, in any state after `since` */
    _Atomic apply_no since;
    _Atomic tree_id missed;    /* readers': a tree in which keys were looked for in vain, and how often. Both may lose a count */
    _Atomic uint32_t misses;
};
struct kv_tops { /* {0} */
    struct kv_tops_place at[KV_TOPS];
    _Atomic tree_id wanted; /* the writer is to look for this tree's greatest key; 0: none */
};

static inline const struct kv_tops_place *kv_tops_of(const struct kv_tops *t, tree_id tree)
{
    const struct kv_tops_place *p = &t->at[tree % KV_TOPS];
    return atomic_load_explicit(&p->tree, memory_order_acquire) == tree ? p : NULL;
}

/* true: in the state `at`, which the caller has a snapshot of, nothing is under this key. */
static inline bool kv_tops_above(const struct kv_tops *t, tree_id tree, struct slice key, apply_no at)
{
    const struct kv_tops_place *p = kv_tops_of(t, tree);
    return p != NULL && at > atomic_load_explicit(&p->since, memory_order_relaxed) && kv_digest_of(key) > atomic_load_explicit(&p->digest, memory_order_relaxed);
}

/* The writer's: a key is about to be put. */
static inline void kv_tops_raise(struct kv_tops *t, tree_id tree, struct slice key)
{
    struct kv_tops_place *p = &t->at[tree % KV_TOPS];
    if (atomic_load_explicit(&p->tree, memory_order_relaxed) != tree)
        return;
    uint64_t digest = kv_digest_of(key);
    if (digest > atomic_load_explicit(&p->digest, memory_order_relaxed))
        atomic_store_explicit(&p->digest, digest, memory_order_relaxed);
}

/* A key was not there, and not known to be above. After some of them the writer is asked to look for the greatest. */
void kv_tops_missed(struct kv_tops *t, tree_id tree);
/* The writer's answer: the greatest key of the tree (p NULL: it is empty) in the state `at`, the newest. */
void kv_tops_know(struct kv_tops *t, tree_id tree, struct slice key, apply_no at);
/* Or he could not tell. */
void kv_tops_give_up(struct kv_tops *t);

#endif
