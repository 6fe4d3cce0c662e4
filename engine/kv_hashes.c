/* kv_hashes.c - a set of 32-bit hashes by open addressing. Why no Bloom filter: what it saves in memory it costs in wrong answers, and it cannot grow. */
#include "kv_hashes.h"

#include "base/mem.h"

#define BITS_MIN 6u
#define BITS_MAX 28u

static uint32_t mark_of(uint64_t hash)
{
    uint32_t mark = (uint32_t)(hash >> 32);
    return mark != 0 ? mark : 1;
}

void kv_hashes_deinit(struct kv_hashes *h)
{
    mem_free(h->at);
    *h = (struct kv_hashes){0};
}

/* Where the mark is, or would go. */
static uint32_t *place(const struct kv_hashes *h, uint32_t mark)
{
    uint32_t mask = ((uint32_t)1 << h->bits) - 1, i = mark & mask;
    while (h->at[i] != 0 && h->at[i] != mark)
        i = (i + 1) & mask;
    return &h->at[i];
}

static bool grow(struct kv_hashes *h)
{
    struct kv_hashes larger = {.bits = h->at == NULL ? BITS_MIN : h->bits + 1, .count = h->count};
    if (larger.bits <= BITS_MAX)
        larger.at = mem_zalloc((size_t)1 << larger.bits, sizeof *larger.at);
    if (larger.at == NULL)
        return false;
    for (size_t i = 0; h->at != NULL && i < (size_t)1 << h->bits; i++)
        if (h->at[i] != 0)
            *place(&larger, h->at[i]) = h->at[i];
    kv_hashes_deinit(h);
    *h = larger;
    return true;
}

void kv_hashes_put(struct kv_hashes *h, uint64_t hash)
{
    if (h->lost)
        return;
    if (h->at == NULL || h->count >= (uint32_t)1 << (h->bits - 1))
        h->lost = !grow(h);
    if (h->lost)
        return;
    uint32_t *at = place(h, mark_of(hash));
    h->count += *at == 0;
    *at = mark_of(hash);
}

bool kv_hashes_has(const struct kv_hashes *h, uint64_t hash)
{
    return h->lost || (h->at != NULL && *place(h, mark_of(hash)) != 0);
}

size_t kv_hashes_bytes(const struct kv_hashes *h)
{
    return h->at == NULL ? 0 : sizeof *h->at << h->bits;
}
