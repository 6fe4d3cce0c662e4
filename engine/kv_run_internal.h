/* kv_run_internal.h - how a run lies in memory and in its file; for kv_run.c (writing) and kv_run_read.c.
 *
 * Page: u64 checksum of all that follows (XXH3, seeded with the tree id; 0 in memory), u32 bytes, u32 entries, u64 tree id; then the entries: varint version, varint key
 * length, varint record length + 1 (0: an erasure), key, record; then for each entry a u32: where it begins. Pages of the file follow one another without gaps. */
#ifndef ENGINE_KV_RUN_INTERNAL_H
#define ENGINE_KV_RUN_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "kv_run.h"

#define RUN_PAGE_BYTES (16u << 10) /* a page is closed once it has more; a large entry has one of its own */
#define RUN_HEAD_BYTES 24u
#define RUN_FILTER_BITS 10u        /* for each entry of a page: one look in a hundred is in vain */

/* What is known of a page without looking at it. */
struct run_page {
    tree_id tree;
    uint64_t word;      /* the first key's first 8 bytes as a big-endian number, padded with zeros */
    const uint8_t *key; /* of the first entry */
    uint32_t key_len;
    uint32_t count, bytes;
    uint32_t filter_words;
    apply_no version;   /* of the first entry, not shifted */
    uint8_t *p;         /* NULL: in the file */
    uint64_t at;        /* there */
    uint64_t *filter;   /* which keys are in it, perhaps */
};
struct run_tree {
    tree_id tree;
    uint32_t first, end; /* its pages */
    struct slice last;   /* key */
    apply_no newest;     /* version, not shifted */
};
struct kv_run {
    struct env *env;
    struct file *file; /* NULL: all in memory */
    apply_no shift;
    struct run_page *pages; /* by tree, then by key */
    uint32_t page_count, page_cap;
    struct run_tree *trees; /* ascending */
    uint32_t tree_count;
    uint64_t entries, bytes, memory_bytes;
    struct arena keys;      /* and filters */
};

uint64_t run_word(struct slice key);
uint64_t run_key_hash(tree_id tree, struct slice key);
/* Bits of a filter of `words` words. */
static inline uint64_t run_filter_slot(uint64_t hash, uint32_t words)
{
    return ((hash >> 32) * words) >> 32;
}
static inline uint64_t run_filter_mask(uint64_t hash)
{
    return (uint64_t)1 << (hash & 63) | (uint64_t)1 << (hash >> 6 & 63) | (uint64_t)1 << (hash >> 12 & 63) | (uint64_t)1 << (hash >> 18 & 63);
}

#endif
