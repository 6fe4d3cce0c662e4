/* kv_buffer_internal.h - what the skip list is made of; only for kv_buffer*.c. */
#ifndef ENGINE_KV_BUFFER_INTERNAL_H
#define ENGINE_KV_BUFFER_INTERNAL_H

#include <stdatomic.h>
#include <string.h>

#include "kv_buffer.h"
#include "kv_digest.h"
#include "kv_filter.h"
#include "kv_hashes.h"

#define HEIGHT_MAX 20u
#define FINGERS 8u
#define TREE_SLOTS 64u

struct slot {
    _Atomic(struct node *) next;
    /* The next node's digest; UINT64_MAX where its tree is another. Stored before `next` and loaded after it, so it is never older: it may be that of a
     * node just about to be linked, which is nearer. Hence a digest beyond what is sought always tells right, others only invite a look. */
    _Atomic uint64_t digest;
};

/* One record of a key. `jump` leads far back (Myers 1983: skips of ever more versions), so that the one that an old snapshot sees is found in a logarithm
 * of steps where a key was written very often. The oldest one jumps to itself. */
struct version {
    const struct version *older, *jump;
    uint64_t version;
    uint32_t record_len; /* ERASED: an erasure */
    uint32_t depth;      /* versions below it */
    uint32_t past_len;
    uint8_t record[]; /* then the past's bytes */
};

struct node {
    uint64_t tree;
    uint64_t word0, word1; /* the key's first 16 bytes as big-endian numbers, padded with zeros */
    _Atomic(const struct version *) newest; /* NULL: all were taken back */
    uint32_t key_len;
    uint32_t height;
    struct slot slots[]; /* then the key's bytes */
};

#define HINT_WAYS 8u        /* slots of a bucket: one line of the cache */
#define HINT_TAG_SHIFT 44u  /* of probe_hash: its uppermost 20 bits are a slot's tag */
#define HINT_SPREAD_BITS 6u /* of the number of a bucket, its lowest, are those of the hash; the others come from the tag */

struct hints { /* buckets of slots */
    struct hints *older; /* readers may be in it still */
    uint32_t bits;       /* 2^bits buckets */
    /* The node's address without its three lowest bits, which are zero, and the tag above: a key that is not here costs no look at a node. 0: none, and none behind it. */
    _Atomic uint64_t *at; /* a line's beginning behind this struct */
};

/* The bucket of a hash: its first slot. A table twice as large tells by one more bit of the tag where a slot goes. */
static inline size_t hint_bucket(const struct hints *h, uint64_t hash)
{
    uint64_t number = (hash >> HINT_TAG_SHIFT << HINT_SPREAD_BITS | (hash & (((uint64_t)1 << HINT_SPREAD_BITS) - 1))) & (((uint64_t)1 << h->bits) - 1);
    return (size_t)number * HINT_WAYS;
}

struct finger {
    struct node *prev[HEIGHT_MAX]; /* each at or before the finger's place; &head where none */
};

struct kv_buffer {
    struct chunk *newest;
    struct node *head; /* before everything, of full height */
    struct finger fingers[FINGERS];
    _Atomic(struct hints *) hints; /* NULL: none yet */
    struct kv_filter filter; /* of all keys that have a node, once there are many */
    struct kv_hashes claims; /* of kv_op.claim; the writer's */
    uint64_t keys;
    uint64_t rng;
    uint64_t last_version;
    uint64_t tree_last[TREE_SLOTS]; /* the last version put into any tree of the slot */
    _Atomic uint32_t height; /* levels in use */
    _Atomic size_t bytes;
    _Atomic uint64_t entries;
    atomic_bool has_past; /* some entry brought one */
};

/* What is looked for: position just before the first node that does not sort below it. */
struct probe {
    uint64_t tree, digest, word0, word1;
    struct slice key;
};

static inline struct probe probe_make(tree_id tree, struct slice key)
{
    struct probe p = {.tree = tree, .word0 = kv_key_word(key, 0), .word1 = kv_key_word(key, 8), .key = key};
    p.digest = kv_digest(key, p.word0, p.word1);
    return p;
}

static inline const uint8_t *node_key(const struct node *n)
{
    return (const uint8_t *)&n->slots[n->height];
}

/* For hints and the filter. The lowest six bits of an integer key change these bits of the hash only: puts in order go to neighbouring lines of the cache. */
static inline uint64_t probe_hash(const struct probe *p)
{
    uint64_t first = p->word0 << 8 | p->word1 >> 56;
    uint64_t tail = p->key.n > 16 ? kv_key_word(slice_of(p->key.p + p->key.n - 8, 8), 0) : p->key.n;
    uint64_t h = ((first >> 6) + p->tree) * 0x9E3779B97F4A7C15u + (p->word1 << 8) * 0xC2B2AE3D27D4EB4Fu;
    h = (h ^ h >> 32 ^ tail) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 32 ^ (first & 63u);
}

/* Order of the node's (tree, key) against the probe's. */
static inline int node_key_cmp(const struct node *n, const struct probe *p)
{
    if (n->tree != p->tree)
        return n->tree < p->tree ? -1 : 1;
    if (n->word0 != p->word0)
        return n->word0 < p->word0 ? -1 : 1;
    if (n->word1 != p->word1)
        return n->word1 < p->word1 ? -1 : 1;
    size_t shorter = n->key_len < p->key.n ? n->key_len : p->key.n;
    if (shorter > 16) {
        int c = memcmp(node_key(n) + 16, p->key.p + 16, shorter - 16);
        if (c != 0)
            return c;
    }
    return n->key_len < p->key.n ? -1 : n->key_len > p->key.n;
}

static inline bool node_before(const struct node *n, const struct probe *p)
{
    return node_key_cmp(n, p) < 0;
}

static inline uint64_t node_digest(const struct node *n)
{
    return kv_digest(slice_of(node_key(n), n->key_len), n->word0, n->word1);
}

static inline struct probe probe_of(const struct node *n)
{
    return (struct probe){.tree = n->tree, .digest = node_digest(n), .word0 = n->word0, .word1 = n->word1, .key = slice_of(node_key(n), n->key_len)};
}

static inline struct node *next_of(const struct node *n, uint32_t level)
{
    return atomic_load_explicit(&n->slots[level].next, memory_order_acquire);
}

/* kv_buffer_hints.c. The probe's node, if the hints know it. */
struct node *kv_buffer_hinted(const kv_buffer *b, const struct probe *p);
/* For the writer: it is put once more, and the hints did not know it; it is new, linked and counted. */
void kv_buffer_hint(kv_buffer *b, const struct probe *p, struct node *n);
void kv_buffer_hint_new(kv_buffer *b, const struct probe *p, struct node *n);
/* false: the probe's key was certainly never put. */
static inline bool kv_buffer_may_have(const kv_buffer *b, const struct probe *p)
{
    return kv_filter_may_have(&b->filter, probe_hash(p));
}

/* kv_buffer.c, for the writer. Can a put of this key do without a search? */
bool kv_buffer_known(const kv_buffer *b, const struct probe *p);
/* As kv_buffer_put_past. found: on each level a node that stands before the key (or the head), near it, changed by the call; NULL: none is known. */
quartet_status kv_buffer_put_at(kv_buffer *b, const struct probe *p, struct finger *found, apply_no version, struct slice record, struct slice past,
                                struct err *err);

/* Node and newest version lie side by side. */
static inline void fetch_node(const struct node *n)
{
    __builtin_prefetch(n);
    __builtin_prefetch((const uint8_t *)n + 64);
    __builtin_prefetch((const uint8_t *)n + 128);
}

#endif
