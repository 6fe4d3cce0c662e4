/* kv_tops.c - the greatest key of a tree, for as long as the store is open.
 * Why: most tables grow at their end, and a commit of one new row looked for its key twice, when it was inserted and when it was applied: in each buffer, in
 *   LMDB's tree, in a block. kv_top.c knows the same for a large transaction by itself; a small one gains only by what those before it found out.
 * Why digests and not keys: readers compare without a lock. Where two keys have one digest the greater one is looked for as before.
 * Invariants: only the writer changes a digest, and before the key is in any layer; it never goes down. Snapshots of states up to `since` are not told
 *   anything: rows may have been purged since they were taken, and an erased key may be above the greatest that is left.
 *   A place's tree is set once, after digest and since. */
#include "kv_tops.h"

#define MISSES_ENOUGH 8u

void kv_tops_missed(struct kv_tops *t, tree_id tree)
{
    struct kv_tops_place *p = &t->at[tree % KV_TOPS];
    if (tree == 0 || atomic_load_explicit(&p->tree, memory_order_relaxed) != 0)
        return;
    if (atomic_load_explicit(&p->missed, memory_order_relaxed) != tree) {
        atomic_store_explicit(&p->missed, tree, memory_order_relaxed);
        atomic_store_explicit(&p->misses, 0, memory_order_relaxed);
    }
    uint32_t misses = atomic_load_explicit(&p->misses, memory_order_relaxed) + 1;
    atomic_store_explicit(&p->misses, misses, memory_order_relaxed);
    if (misses >= MISSES_ENOUGH)
        atomic_store_explicit(&t->wanted, tree, memory_order_relaxed);
}

void kv_tops_know(struct kv_tops *t, tree_id tree, struct slice key, apply_no at)
{
    struct kv_tops_place *p = &t->at[tree % KV_TOPS];
    kv_tops_give_up(t);
    if (tree == 0 || atomic_load_explicit(&p->tree, memory_order_relaxed) != 0)
        return;
    atomic_store_explicit(&p->digest, key.p != NULL ? kv_digest_of(key) : 0, memory_order_relaxed);
    atomic_store_explicit(&p->since, at, memory_order_relaxed);
    atomic_store_explicit(&p->tree, tree, memory_order_release);
}

void kv_tops_give_up(struct kv_tops *t)
{
    tree_id tree = atomic_exchange_explicit(&t->wanted, 0, memory_order_relaxed);
    atomic_store_explicit(&t->at[tree % KV_TOPS].misses, 0, memory_order_relaxed);
}
