/* kv_buffer_hints.c - what finds a key of the skip list, or tells that it is not there, without a search.
 * Why hints beside the list: a search in a large list costs a cache miss for each of its last ten steps or so, which was a third of the time of an UPDATE of
 *   a random row. The hints are a hash table that may forget (a slot holds one node, the last that was put), so it needs no chains, and nobody
 *   relies on it: whoever finds nothing there searches. Nodes are never freed while the buffer lives, and each is compared before it is believed.
 * Why a filter beside both (kv_filter.c): only what has no hints can be told of a key that is not here. */
#include "base/mem.h"
#include "kv_buffer_internal.h"

#define HINT_KEYS_MIN 512u /* below it a search is short */
#define HINT_BITS_MAX 20u

struct node *kv_buffer_hinted(const struct kv_buffer *b, const struct probe *p)
{
    struct hints *h = atomic_load_explicit(&b->hints, memory_order_acquire);
    if (h == NULL)
        return NULL;
    uint64_t hash = probe_hash(p), hint = atomic_load_explicit(&h->at[hash & (((uint64_t)1 << h->bits) - 1)], memory_order_acquire);
    if (hint == 0 || (hint ^ hash) >> HINT_ADDRESS_BITS != 0)
        return NULL;
    struct node *n = (struct node *)(uintptr_t)(hint & (((uint64_t)1 << HINT_ADDRESS_BITS) - 1));
    return node_key_cmp(n, p) == 0 ? n : NULL;
}

void kv_buffer_hint(struct kv_buffer *b, const struct probe *p, struct node *n)
{
    struct hints *h = atomic_load_explicit(&b->hints, memory_order_relaxed);
    uint64_t hash = probe_hash(p), address = (uintptr_t)n;
    if (h != NULL && address >> HINT_ADDRESS_BITS == 0)
        atomic_store_explicit(&h->at[hash & (((uint64_t)1 << h->bits) - 1)], hash >> HINT_ADDRESS_BITS << HINT_ADDRESS_BITS | address, memory_order_release);
}

/* One to two slots a key. What one slot held goes to both that may hold it now. Without memory the old ones go on. */
static void grow(struct kv_buffer *b)
{
    struct hints *old = atomic_load_explicit(&b->hints, memory_order_relaxed);
    uint64_t room = old == NULL ? HINT_KEYS_MIN : (uint64_t)1 << old->bits;
    if (b->keys < room || (old != NULL && old->bits == HINT_BITS_MAX))
        return;
    uint32_t bits = old == NULL ? 10 : old->bits + 1;
    size_t bytes = sizeof *old + (sizeof old->at[0] << bits);
    struct hints *h = mem_alloc(bytes);
    if (h == NULL)
        return;
    h->older = old;
    h->bits = bits;
    for (size_t i = 0; i < (size_t)1 << bits; i++)
        atomic_init(&h->at[i], old == NULL ? 0 : atomic_load_explicit(&old->at[i & (((size_t)1 << old->bits) - 1)], memory_order_relaxed));
    atomic_store_explicit(&b->hints, h, memory_order_release);
    atomic_fetch_add_explicit(&b->bytes, bytes, memory_order_relaxed);
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
    grow(b);
    kv_buffer_hint(b, p, n);
    filter_put(b, p);
}
