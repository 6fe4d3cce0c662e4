/* kv_hashes.h - a set of hashes that tells for certain what is not in it: of a buffer's claimed values, so that hardly one has to be searched for. */
#ifndef ENGINE_KV_HASHES_H
#define ENGINE_KV_HASHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_hashes { /* {0}; kv_hashes_deinit */
    uint32_t *at; /* open addressing, at most half full; 0: free */
    uint32_t bits, count;
    bool lost;    /* there was no memory for some: everything may be in it */
};
void kv_hashes_deinit(struct kv_hashes *h);
void kv_hashes_put(struct kv_hashes *h, uint64_t hash);
bool kv_hashes_has(const struct kv_hashes *h, uint64_t hash);
size_t kv_hashes_bytes(const struct kv_hashes *h);

#endif
