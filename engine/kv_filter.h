/* kv_filter.h - a set of hashes that grows, and tells for nearly all that are not in it that they are not: which keys a buffer has certainly not.
 *
 * One writer, any number of readers without locks: who was told of a put (by whatever orders memory) sees it. See the top of kv_filter.c. */
#ifndef ENGINE_KV_FILTER_H
#define ENGINE_KV_FILTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_filter_part {
    struct kv_filter_part *older; /* a smaller one, complete */
    uint64_t keys, room;                /* the writer's: put so far, and until the next part is made */
    uint32_t bits;                      /* 2^bits words */
    _Atomic uint64_t words[];
};
struct kv_filter { /* {0}; kv_filter_deinit. Not begun: everything may be in it */
    _Atomic(struct kv_filter_part *) newest;
};

/* Begin with an empty part that nobody sees yet: put all that is there, then show it. NULL: out of memory. */
struct kv_filter_part *kv_filter_part_new(void);
void kv_filter_part_put(struct kv_filter_part *part, uint64_t hash);
void kv_filter_begin(struct kv_filter *f, struct kv_filter_part *part);
/* Begun. Has no way to fail: without memory the last part goes on, and errs more often. What it took of memory. */
size_t kv_filter_put(struct kv_filter *f, uint64_t hash);
size_t kv_filter_part_bytes(const struct kv_filter_part *part);
void kv_filter_deinit(struct kv_filter *f);

/* Hashes of neighbouring keys may differ in their lowest six bits only: their words are neighbours then. */
static inline uint64_t kv_filter_mask(uint64_t hash)
{
    return (uint64_t)1 << (hash >> 58) | (uint64_t)1 << (hash >> 52 & 63u) | (uint64_t)1 << (hash >> 46 & 63u) | (uint64_t)1 << (hash >> 40 & 63u);
}

static inline bool kv_filter_begun(const struct kv_filter *f)
{
    return atomic_load_explicit(&f->newest, memory_order_relaxed) != NULL;
}

/* A put of this hash comes soon: its word should be near by then. */
static inline void kv_filter_fetch(const struct kv_filter *f, uint64_t hash)
{
    const struct kv_filter_part *part = atomic_load_explicit(&f->newest, memory_order_acquire);
    if (part != NULL)
        __builtin_prefetch(&part->words[hash & (((uint64_t)1 << part->bits) - 1)], 1);
}

/* false: it was certainly not put. */
static inline bool kv_filter_may_have(const struct kv_filter *f, uint64_t hash)
{
    const struct kv_filter_part *part = atomic_load_explicit(&f->newest, memory_order_acquire);
    uint64_t mask = kv_filter_mask(hash);
    if (part == NULL)
        return true;
    for (; part != NULL; part = part->older)
        if ((~atomic_load_explicit(&part->words[hash & (((uint64_t)1 << part->bits) - 1)], memory_order_relaxed) & mask) == 0)
            return true;
    return false;
}

#endif
