/* kv_buffer_hints.c - what finds a key of the skip list, or tells that it is not there, without a search.
 * Why hints beside the list: a search in a large list costs a cache miss for each of its last ten steps or so, which was a third of the time of an UPDATE of
 *   a random row. The hints are a hash table that may forget (a bucket holds eight nodes), so it needs no chains, and nobody relies on it: whoever finds nothing
 *   there searches. With one node a slot a third of the keys were forgotten, and their searches were a tenth of an UPDATE's time; of buckets of eight it is one in ten at most (test_kv_buffer.c). Nodes
 *   are never freed while the buffer lives, and each is compared before it is believed.
 * Why a filter beside both (kv_filter.c): only what has no hints can be told of a key that is not here. */
#include "base/mem.h"
#include "kv_buffer_internal.h"

#define HINT_KEYS_MIN 512u /* below it a search is short */
#define HINT_BITS_FIRST 7u /* of buckets */
#define HINT_KEYS_A_BUCKET 5u /* on average, before there are twice as many: with eight one key of seven would find no room */
#define HINT_BITS_MAX 17u
#define ADDRESS_LOW_BITS 3u
#define LINE_BYTES 64u

struct node *kv_buffer_hinted(const struct kv_buffer *b, const struct probe *p)
{
    const struct hints *h = atomic_load_explicit(&b->hints, memory_order_acquire);
    if (h == NULL)
        return NULL;
    uint64_t hash = probe_hash(p);
    const _Atomic uint64_t *bucket = &h->at[hint_bucket(h, hash)];
    for (uint32_t i = 0; i < HINT_WAYS; i++) {
        uint64_t hint = atomic_load_explicit(&bucket[i], memory_order_acquire);
        if (hint == 0)
            return NULL;
        if ((hint ^ hash) >> HINT_TAG_SHIFT != 0)
            continue;
        struct node *n = (struct node *)(uintptr_t)((hint & (((uint64_t)1 << HINT_TAG_SHIFT) - 1)) << ADDRESS_LOW_BITS);
        if (node_key_cmp(n, p) == 0)
            return n;
    }
    return NULL;
}

/* The bucket's first free slot, or, where all are taken, one that the hash chooses. */
static _Atomic uint64_t *slot_for(struct hints *h, uint64_t hash)
{
    _Atomic uint64_t *bucket = &h->at[hint_bucket(h, hash)];
    for (uint32_t i = 0; i < HINT_WAYS; i++)
        if (atomic_load_explicit(&bucket[i], memory_order_relaxed) == 0)
            return &bucket[i];
    return &bucket[hash >> 32 & (HINT_WAYS - 1)];
}

static void hint(struct hints *h, const struct probe *p, struct node *n)
{
    uint64_t hash = probe_hash(p), address = (uintptr_t)n >> ADDRESS_LOW_BITS;
    if (address >> HINT_TAG_SHIFT == 0) /* a node that lies above has no hint */
        atomic_store_explicit(slot_for(h, hash), hash >> HINT_TAG_SHIFT << HINT_TAG_SHIFT | address, memory_order_release);
}

void kv_buffer_hint(struct kv_buffer *b, const struct probe *p, struct node *n)
{
    struct hints *h = atomic_load_explicit(&b->hints, memory_order_relaxed);
    if (h != NULL)
        hint(h, p, n);
}

/* What a bucket held goes to the two that take its place, each slot to one of them. Nobody sees `h` yet. */
static void split(const struct hints *old, struct hints *h)
{
    for (size_t i = 0; i < (size_t)HINT_WAYS << old->bits; i++) {
        uint64_t hint = atomic_load_explicit(&old->at[i], memory_order_relaxed), spread = i / HINT_WAYS;
        if (hint != 0)
            atomic_store_explicit(slot_for(h, hint >> HINT_TAG_SHIFT << HINT_TAG_SHIFT | (spread & (((uint64_t)1 << HINT_SPREAD_BITS) - 1))), hint, memory_order_relaxed);
    }
}

/* true: they began, with all nodes that there are. Without memory the old ones go on. */
static bool grow(struct kv_buffer *b)
{
    struct hints *old = atomic_load_explicit(&b->hints, memory_order_relaxed);
    uint64_t room = old == NULL ? HINT_KEYS_MIN : (uint64_t)HINT_KEYS_A_BUCKET << old->bits;
    if (b->keys < room || (old != NULL && old->bits == HINT_BITS_MAX))
        return false;
    uint32_t bits = old == NULL ? HINT_BITS_FIRST : old->bits + 1;
    size_t bytes = sizeof *old + LINE_BYTES + (sizeof old->at[0] * HINT_WAYS << bits);
    struct hints *h = mem_zalloc(1, bytes);
    if (h == NULL)
        return false;
    h->older = old;
    h->bits = bits;
    h->at = (_Atomic uint64_t *)(((uintptr_t)(h + 1) + LINE_BYTES - 1) & ~(uintptr_t)(LINE_BYTES - 1));
    if (old != NULL)
        split(old, h);
    else
        for (struct node *n = next_of(b->head, 0); n != NULL; n = next_of(n, 0)) {
            struct probe of = probe_of(n);
            hint(h, &of, n);
        }
    atomic_store_explicit(&b->hints, h, memory_order_release);
    atomic_fetch_add_explicit(&b->bytes, bytes, memory_order_relaxed);
    return old == NULL;
}

/* The key is new in the list. */
static void filter_put(struct kv_buffer *b, const struct probe *p)
{
    size_t taken = 0;
    if (kv_filter_begun(&b->filter)) {
        taken = kv_filter_put(&b->filter, probe_hash(p));
    } else if (b->keys == HINT_KEYS_MIN) { /* without memory there is none: every look is a search */
        struct kv_filter_part *part = kv_filter_part_new();
        for (const struct node *n = next_of(b->head, 0); part != NULL && n != NULL; n = next_of(n, 0)) {
            struct probe of = probe_of(n);
            kv_filter_part_put(part, probe_hash(&of));
        }
        if (part != NULL) {
            taken = kv_filter_part_bytes(part);
            kv_filter_begin(&b->filter, part);
        }
    }
    if (taken > 0)
        atomic_fetch_add_explicit(&b->bytes, taken, memory_order_relaxed);
}

void kv_buffer_hint_new(struct kv_buffer *b, const struct probe *p, struct node *n)
{
    if (!grow(b)) /* else it is among those that were there */
        kv_buffer_hint(b, p, n);
    filter_put(b, p);
}
