/* kv_filter.c - Bloom filters (Bloom 1970), each sixteen times as large as the one before, of four bits within one word for a key.
 * Why: an INSERT asks each buffer whether it has the key. None has, and to find that out in a skip list of some hundred thousand keys costs a dozen cache
 *   misses; three frozen buffers wait for the flusher where the base is large, so this was half of the session's time there (1,000,000 rows into 10,000,000).
 * Why parts: a filter cannot grow, and how many keys a buffer will get nobody knows. The small parts stay in the processor's cache, so that a look costs
 *   one miss, in the largest; in one word, since a second place would be a second miss.
 * Errs for about 1 key of 60 where a part is full, 16 bits a key (test_kv_filter.c holds it to that), and for fewer before.
 * Invariants: a part is shown complete with what was put before; only the newest one is written, by the writer. A reader that knows of a put knows the part it went to. */
#include "kv_filter.h"

#include "base/mem.h"
#include "base/status.h"

#define BITS_FIRST 10u /* words: 8 KiB, 4,096 keys; then 128 KiB, 2 MiB, 32 MiB */
#define BITS_STEP 4u
#define BITS_MAX 22u
#define KEYS_A_WORD 4u

size_t kv_filter_part_bytes(const struct kv_filter_part *part)
{
    return sizeof *part + (sizeof part->words[0] << part->bits);
}

static struct kv_filter_part *part_new(uint32_t bits)
{
    struct kv_filter_part *part = mem_zalloc(1, sizeof *part + (sizeof part->words[0] << bits));
    if (part == NULL)
        return NULL;
    part->bits = bits;
    part->room = (uint64_t)KEYS_A_WORD << bits;
    return part;
}

struct kv_filter_part *kv_filter_part_new(void)
{
    return part_new(BITS_FIRST);
}

void kv_filter_part_put(struct kv_filter_part *part, uint64_t hash)
{
    _Atomic uint64_t *word = &part->words[hash & (((uint64_t)1 << part->bits) - 1)];
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) | kv_filter_mask(hash), memory_order_relaxed);
    part->keys++;
}

void kv_filter_begin(struct kv_filter *f, struct kv_filter_part *part)
{
    QASSERT(!kv_filter_begun(f));
    atomic_store_explicit(&f->newest, part, memory_order_release);
}

size_t kv_filter_put(struct kv_filter *f, uint64_t hash)
{
    struct kv_filter_part *part = atomic_load_explicit(&f->newest, memory_order_relaxed), *larger;
    size_t taken = 0;
    QASSERT(part != NULL);
    if (part->keys >= part->room && part->bits < BITS_MAX) {
        larger = part_new(part->bits + BITS_STEP);
        part->room = larger == NULL ? part->room * 2 : part->room; /* another attempt only after as many more */
        if (larger != NULL) {
            larger->older = part;
            atomic_store_explicit(&f->newest, larger, memory_order_release);
            part = larger;
            taken = kv_filter_part_bytes(part);
        }
    }
    kv_filter_part_put(part, hash);
    return taken;
}

void kv_filter_deinit(struct kv_filter *f)
{
    struct kv_filter_part *part = atomic_load_explicit(&f->newest, memory_order_relaxed);
    while (part != NULL) {
        struct kv_filter_part *older = part->older;
        mem_free(part);
        part = older;
    }
    atomic_store_explicit(&f->newest, NULL, memory_order_relaxed);
}
