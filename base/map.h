/* map.h - hash map from bytes to a pointer; walking it gives insertion order, never hash order, so that nothing that
 * decides or encodes depends on a hash. Keys are copied. Keyed by a per-map seed against chosen collisions. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "bytes.h"

struct map_entry {
    uint8_t *key; /* owned by the map; NULL where removed */
    size_t key_len;
    uint64_t hash;
    void *value; /* borrowed unless the owner says otherwise */
};

struct map {
    struct map_entry *entries; /* in order of insertion */
    uint32_t *slots;           /* open addressing: index + 1 into entries, 0 where empty */
    size_t count, entry_count, entry_cap, slot_count;
    uint64_t seed;
};

void map_init(struct map *m, uint64_t seed);
void map_deinit(struct map *m); /* frees keys, not values */
void *map_get(const struct map *m, const void *key, size_t key_len); /* NULL where absent */
bool map_has(const struct map *m, const void *key, size_t key_len);
quartet_status map_put(struct map *m, const void *key, size_t key_len, void *value, struct err *err); /* replaces */
void *map_remove(struct map *m, const void *key, size_t key_len); /* the value, or NULL */
/* Walk: for (size_t i = 0; (e = map_at(m, &i)) != NULL;) ...; removing during a walk is safe, putting is not. */
struct map_entry *map_at(const struct map *m, size_t *i);
uint64_t hash64(const void *p, size_t n, uint64_t seed); /* a fast hash for tables in memory; never stored or sent */

#endif
