/* kv_own_loose.c - own writes that wait beside a tree: found by a hash table, put in order by a radix sort when somebody wants them in order.
 * Why: a load in random order looks for each key and puts it, and needs them in order only once, when they go to disk or COMMIT walks over them. One slot of a table is
 *   one miss of the cache; a search in the tree is three and moves half a leaf.
 * Invariants: an item's key is in no other item. Rolled back items stay where they are, without an entry, so slots need never be taken out one by one. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"
#include "kv_own_internal.h"

#define SLOTS_MIN 8192u
#define ITEMS_MIN 2048u
#define RADIX_BITS 8u
#define RADIX (1u << RADIX_BITS)
#define PASSES (64u / RADIX_BITS)

/* Never 0 in the slots, where it stands above a place. */
static uint32_t key_hash(struct slice key)
{
    uint64_t h;
    if (key.n > 16) {
        h = XXH3_64bits(key.p, key.n);
    } else {
        h = (kv_key_word(key, 0) ^ 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u;
        h = (h ^ h >> 32 ^ kv_key_word(key, 8)) * 0xD6E8FEB86659FD93u + key.n;
        h = (h ^ h >> 32) * 0xD6E8FEB86659FD93u;
    }
    return (uint32_t)(h >> 32);
}

static struct loose_item *find(const struct loose *l, const struct probe *p, uint32_t hash)
{
    for (uint32_t at = hash & (l->slot_count - 1);; at = (at + 1) & (l->slot_count - 1)) {
        uint64_t slot = l->slots[at];
        if (slot == 0)
            return NULL;
        if (slot >> 32 != hash)
            continue;
        struct loose_item *x = &l->items[(uint32_t)slot - 1];
        if (x->e != NULL && x->digest == p->digest && slice_eq(own_entry_key(x->e), p->key))
            return x;
    }
}

struct loose_item *loose_find(const struct loose *l, const struct probe *p)
{
    return l->n == 0 ? NULL : find(l, p, key_hash(p->key));
}

void loose_ahead(const struct loose *l, struct slice key)
{
    if (l->n > 0)
        __builtin_prefetch(&l->slots[key_hash(key) & (l->slot_count - 1)]);
}

static void slot_set(struct loose *l, uint32_t hash, uint32_t place)
{
    uint32_t at = hash & (l->slot_count - 1);
    while (l->slots[at] != 0)
        at = (at + 1) & (l->slot_count - 1);
    l->slots[at] = (uint64_t)hash << 32 | (place + 1);
}

/* Room for one more. */
static bool grow(struct loose *l, size_t *grown)
{
    if (l->n == l->cap) {
        if (l->cap >= UINT32_MAX / 4)
            return false;
        uint32_t cap = l->cap == 0 ? ITEMS_MIN : l->cap * 2;
        struct loose_item *items = mem_realloc(l->items, cap, sizeof *items);
        if (items == NULL)
            return false;
        *grown += (cap - l->cap) * sizeof *items;
        l->items = items;
        l->cap = cap;
    }
    if ((uint64_t)l->n * 4 < (uint64_t)l->slot_count * 3)
        return true;
    struct loose wider = {.slot_count = l->slot_count == 0 ? SLOTS_MIN : l->slot_count * 2};
    wider.slots = mem_zalloc(wider.slot_count, sizeof *wider.slots);
    if (wider.slots == NULL)
        return false;
    for (uint32_t i = 0; i < l->slot_count; i++)
        if (l->slots[i] != 0)
            slot_set(&wider, (uint32_t)(l->slots[i] >> 32), (uint32_t)l->slots[i] - 1);
    *grown += (wider.slot_count - l->slot_count) * sizeof *wider.slots;
    mem_free(l->slots);
    l->slots = wider.slots;
    l->slot_count = wider.slot_count;
    return true;
}

bool loose_put(struct loose *l, const struct probe *p, struct entry *e, size_t *grown)
{
    uint32_t hash = key_hash(p->key);
    struct loose_item *x = l->n > 0 ? find(l, p, hash) : NULL;
    e->older = x != NULL ? x->e : NULL;
    if (x != NULL) {
        x->e = e;
        return true;
    }
    if (!grow(l, grown))
        return false;
    l->items[l->n] = (struct loose_item){.digest = p->digest, .e = e};
    slot_set(l, hash, l->n);
    l->n++;
    return true;
}

static int item_cmp(const void *x, const void *y)
{
    const struct loose_item *a = x, *b = y;
    return slice_cmp(own_entry_key(a->e), own_entry_key(b->e));
}

/* By digest; a pass over bits that are alike in all is left out. `spare` has as much room; the result is in the one or the other. */
static struct loose_item *by_digest(struct loose_item *from, struct loose_item *spare, uint32_t n)
{
    uint32_t count[PASSES][RADIX];
    memset(count, 0, sizeof count);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < PASSES; k++)
            count[k][from[i].digest >> (RADIX_BITS * k) & (RADIX - 1)]++;
    for (uint32_t k = 0; k < PASSES; k++) {
        uint32_t at = 0;
        if (n == 0 || count[k][from[0].digest >> (RADIX_BITS * k) & (RADIX - 1)] == n)
            continue;
        for (uint32_t d = 0; d < RADIX; d++) {
            uint32_t here = count[k][d];
            count[k][d] = at;
            at += here;
        }
        for (uint32_t i = 0; i < n; i++)
            spare[count[k][from[i].digest >> (RADIX_BITS * k) & (RADIX - 1)]++] = from[i];
        struct loose_item *swap = from;
        from = spare;
        spare = swap;
    }
    return from;
}

struct loose_item *loose_sorted(const struct loose *l, uint32_t *n, struct loose_item **memory)
{
    struct loose_item *room = mem_zalloc(2 * (size_t)l->n + 1, sizeof *room);
    uint32_t kept = 0;
    *memory = room;
    if (room == NULL)
        return NULL;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->items[i].e != NULL)
            room[kept++] = l->items[i];
    struct loose_item *sorted = by_digest(room, room + l->n, kept);
    for (uint32_t i = 0, end; i < kept; i = end) { /* equal digests: by the keys' bytes */
        for (end = i + 1; end < kept && sorted[end].digest == sorted[i].digest;)
            end++;
        if (end - i > 1)
            qsort(sorted + i, end - i, sizeof *sorted, item_cmp);
    }
    *n = kept;
    return sorted;
}

void loose_clear(struct loose *l)
{
    if (l->n > 0)
        memset(l->slots, 0, l->slot_count * sizeof *l->slots);
    l->n = 0;
}

void loose_deinit(struct loose *l)
{
    mem_free(l->items);
    mem_free(l->slots);
    *l = (struct loose){0};
}
