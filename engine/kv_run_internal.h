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
#define RUN_SECTION_ENTRIES (256u << 10) /* pages of one tree with so many entries share a filter; their hashes wait in memory until then */
#define RUN_FILTER_BITS 17u        /* for each entry: one look in a thousand is in vain, and that costs reading a page */
#define RUN_FILTER_LANES 8u        /* 32-bit words of a filter's block; a key has a bit in each */

/* What is known of a page without looking at it. */
struct run_page {
    tree_id tree;
    uint64_t word;      /* the first key's first 8 bytes as a big-endian number, padded with zeros */
    const uint8_t *key; /* of the first entry */
    uint32_t key_len;
    uint32_t count, bytes;
    apply_no version;   /* of the first entry, not shifted */
    uint8_t *p;         /* NULL: in the file */
    uint64_t at;        /* there */
};
/* Neighbouring pages of one tree, and which keys are in them, perhaps. */
struct run_section {
    uint64_t word;      /* as run_page's, of the first page */
    const uint8_t *key;
    uint32_t key_len;
    uint32_t blocks;    /* of the filter */
    uint32_t *filter;
};
struct run_tree {
    tree_id tree;
    uint32_t first, end; /* its pages */
    struct run_section *sections; /* ascending */
    uint32_t section_count;
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

/* A split block filter (as in Parquet files): one line of the cache is looked at, whatever the filter's size. */
static inline uint32_t *run_filter_block(const struct run_section *s, uint64_t hash)
{
    return s->filter + (size_t)(((hash >> 32) * s->blocks) >> 32) * RUN_FILTER_LANES;
}
static inline uint32_t run_filter_bit(uint64_t hash, uint32_t lane)
{
    static const uint32_t salt[RUN_FILTER_LANES] = {0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du, 0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u};
    return (uint32_t)1 << (((uint32_t)hash * salt[lane]) >> 27);
}

#endif
