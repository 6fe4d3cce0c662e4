/* map.c - hash map that is walked in order of insertion.
 * Why: a walk in hash order would leak into what is encoded or decided, and then two nodes differ. So entries lie in an
 *   array in the order in which they came, and the hash table holds only their places in it.
 * Invariants: slot_count is a power of two of at least twice entry_cap, so a probe always ends at an empty slot. A removed
 *   entry keeps its place, with a NULL key, until the array is full; then the array is compacted or doubled. So removal
 *   during a walk is safe and insertion is not. */
#include "base/map.h"

#include "base/mem.h"

#include <string.h>

#define MAP_CAP_MIN 8u
#define MAP_CAP_MAX (1u << 30) /* places are 32 bits wide */

/* Odd constants without structure: digits of pi. */
#define HASH_K0 0x243F6A8885A308D3u
#define HASH_K1 0x13198A2E03707345u
#define HASH_K2 0xA4093822299F31D1u

/* Both halves of the 128-bit product, folded: every bit of the result depends on all bits of a and b. */
static uint64_t hash_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The seed enters both factors of every product: without knowing it nobody can choose bytes that make a factor zero. */
uint64_t hash64(const void *p, size_t n, uint64_t seed)
{
    const uint8_t *at = p;
    uint64_t key = hash_mix(seed ^ HASH_K0, HASH_K1);
    uint64_t h = seed ^ HASH_K2;
    uint64_t a = 0;
    uint64_t b = 0;
    size_t left = n;
    while (left > 16u) {
        h = hash_mix(load_le64(at) ^ key, load_le64(at + 8) ^ h);
        at += 16;
        left -= 16u;
    }
    if (left >= 8u) { /* the two loads may overlap; the length below tells such inputs apart */
        a = load_le64(at);
        b = load_le64(at + left - 8u);
    } else if (left >= 4u) {
        a = load_le32(at);
        b = load_le32(at + left - 4u);
    } else if (left > 0) {
        a = (uint64_t)at[0] << 16 | (uint64_t)at[left / 2u] << 8 | at[left - 1u];
    }
    h = hash_mix(a ^ key, b ^ h);
    return hash_mix(h ^ HASH_K1, key ^ (uint64_t)n);
}

void map_init(struct map *m, uint64_t seed)
{
    *m = (struct map){.seed = seed};
}

void map_deinit(struct map *m)
{
    for (size_t i = 0; i < m->entry_count; i++)
        mem_free(m->entries[i].key);
    mem_free(m->entries);
    mem_free(m->slots);
    *m = (struct map){.seed = m->seed};
}

/* The slot of the key, or the empty slot where it would go. */
static size_t map_probe(const struct map *m, const void *key, size_t key_len, uint64_t hash)
{
    size_t mask = m->slot_count - 1u;
    size_t slot = (size_t)hash & mask;
    for (; m->slots[slot] != 0; slot = (slot + 1u) & mask) {
        const struct map_entry *e = &m->entries[m->slots[slot] - 1u];
        if (e->key != NULL && e->hash == hash && e->key_len == key_len &&
            (key_len == 0 || memcmp(e->key, key, key_len) == 0))
            break;
    }
    return slot;
}

static struct map_entry *map_find(const struct map *m, const void *key, size_t key_len)
{
    if (m->count == 0)
        return NULL;
    size_t slot = map_probe(m, key, key_len, hash64(key, key_len, m->seed));
    return m->slots[slot] != 0 ? &m->entries[m->slots[slot] - 1u] : NULL;
}

void *map_get(const struct map *m, const void *key, size_t key_len)
{
    const struct map_entry *e = map_find(m, key, key_len);
    return e != NULL ? e->value : NULL;
}

bool map_has(const struct map *m, const void *key, size_t key_len)
{
    return map_find(m, key, key_len) != NULL;
}

/* Close the gaps of removed entries and write all places into the (empty or outdated) slots. */
static void map_compact(struct map *m)
{
    size_t mask = m->slot_count - 1u;
    size_t kept = 0;
    memset(m->slots, 0, m->slot_count * sizeof *m->slots);
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entries[i].key == NULL)
            continue;
        m->entries[kept] = m->entries[i];
        size_t slot = (size_t)m->entries[kept].hash & mask;
        while (m->slots[slot] != 0)
            slot = (slot + 1u) & mask;
        m->slots[slot] = (uint32_t)++kept;
    }
    QASSERT(kept == m->count);
    m->entry_count = kept;
}

/* Room for one more entry. On failure the map is as it was. */
static quartet_status map_make_room(struct map *m, struct err *err)
{
    if (m->entry_count < m->entry_cap)
        return QUARTET_OK;
    if (m->entry_cap > 0 && m->count <= m->entry_cap / 2u) {
        map_compact(m);
        return QUARTET_OK;
    }
    size_t cap = m->entry_cap > 0 ? m->entry_cap * 2u : MAP_CAP_MIN;
    if (cap > MAP_CAP_MAX)
        return err_set(err, QUARTET_LIMIT, "more than %u entries in a map", MAP_CAP_MAX);
    uint32_t *slots = mem_zalloc(cap * 2u, sizeof *slots);
    if (slots == NULL)
        return err_nomem(err);
    struct map_entry *entries = mem_realloc(m->entries, cap, sizeof *entries);
    if (entries == NULL) {
        mem_free(slots);
        return err_nomem(err);
    }
    mem_free(m->slots);
    m->slots = slots;
    m->slot_count = cap * 2u;
    m->entries = entries;
    m->entry_cap = cap;
    map_compact(m);
    return QUARTET_OK;
}

quartet_status map_put(struct map *m, const void *key, size_t key_len, void *value, struct err *err)
{
    struct map_entry *e = map_find(m, key, key_len);
    if (e != NULL) {
        e->value = value;
        return QUARTET_OK;
    }
    uint8_t *copy = mem_dup(key, key_len);
    if (copy == NULL)
        return err_nomem(err);
    quartet_status rc = map_make_room(m, err);
    if (rc != QUARTET_OK) {
        mem_free(copy);
        return rc;
    }
    uint64_t hash = hash64(key, key_len, m->seed);
    size_t slot = map_probe(m, key, key_len, hash);
    QASSERT(m->slots[slot] == 0);
    m->entries[m->entry_count] =
        (struct map_entry){.key = copy, .key_len = key_len, .hash = hash, .value = value};
    m->slots[slot] = (uint32_t)++m->entry_count;
    m->count++;
    return QUARTET_OK;
}

void *map_remove(struct map *m, const void *key, size_t key_len)
{
    struct map_entry *e = map_find(m, key, key_len);
    if (e == NULL)
        return NULL;
    void *value = e->value;
    mem_free(e->key); /* the slot still leads here, so that probes walk on past it */
    e->key = NULL;
    e->value = NULL;
    m->count--;
    return value;
}

struct map_entry *map_at(const struct map *m, size_t *i)
{
    while (*i < m->entry_count) {
        struct map_entry *e = &m->entries[(*i)++];
        if (e->key != NULL)
            return e;
    }
    return NULL;
}
