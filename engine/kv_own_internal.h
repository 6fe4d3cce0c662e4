/* kv_own_internal.h - how a transaction's own writes lie in memory; for kv_own*.c. */
#ifndef ENGINE_KV_OWN_INTERNAL_H
#define ENGINE_KV_OWN_INTERNAL_H

#include "base/arena.h"
#include "kv_digest.h"
#include "kv_own.h"

#define FANOUT 64u
#define ERASED UINT32_MAX
#define AHEAD 8u /* entries that a walk asks the memory for before it comes to them */

struct entry {
    struct entry *older; /* of the same key */
    uint64_t version;
    uint32_t record_len; /* ERASED: an erasure */
    uint32_t tree_no;
    uint16_t key_len;
    uint8_t bytes[]; /* the key's, then the record's */
};

struct leaf {
    struct leaf *prev, *next; /* of the same tree */
    uint32_t n;
    uint64_t digest[FANOUT];
    struct entry *e[FANOUT];
};

struct separator {
    size_t n;
    uint8_t bytes[];
};

/* Child i holds keys below separator i, and none below separator i - 1. */
struct inner {
    uint32_t n; /* children */
    uint64_t digest[FANOUT - 1];
    struct separator *sep[FANOUT - 1];
    void *child[FANOUT];
};

/* Entries in no order, which wait beside a tree: put in order all at once, they cost a third of what they would one by one. */
struct loose_item {
    uint64_t digest;
    struct entry *e; /* the newest of its key, older ones of the same key hang on it; NULL: rolled back */
};
struct loose {
    struct loose_item *items; /* as they came */
    uint32_t n, cap;
    uint32_t slot_count;      /* a power of two; 0: none */
    uint64_t *slots;          /* by key: 32 bits of its hash, 32 of its item's place + 1; 0: empty */
};
struct tree {
    tree_id id;
    uint32_t no;     /* in kv_own.trees */
    uint32_t height; /* levels of inner nodes */
    void *root;
    struct leaf *first, *last;
    struct leaf *near; /* where the last search ended */
    uint64_t greatest; /* digest of all ever put */
    uint64_t puts;     /* into it, without what waits beside it */
    struct loose loose;
};

struct chunk {
    struct chunk *older;
    size_t used, cap; /* of data */
    uint64_t last_version;
    _Alignas(16) uint8_t data[];
};

struct kv_own {
    uint32_t holders; /* beyond the first */
    struct chunk *newest;
    struct arena nodes;
    struct tree **trees;  /* as they came */
    struct tree **sorted; /* by id */
    uint32_t tree_count, tree_cap;
    struct tree *recent;  /* looked at last */
    uint64_t changes;     /* grows whenever a place in a leaf may have moved */
    uint64_t last_version, entries;
    uint64_t loose;       /* items that wait beside trees */
    bool eager;           /* nothing waits any more */
    size_t bytes, largest;
};

struct probe {
    struct slice key;
    uint64_t digest;
};

/* Where a key is in a leaf, or where it would have to be. */
struct place {
    struct leaf *leaf;
    uint32_t at;
    bool exact;
};

static inline struct slice own_entry_key(const struct entry *e)
{
    return slice_of(e->bytes, e->key_len);
}
static inline struct slice own_entry_record(const struct entry *e)
{
    if (e->record_len == ERASED)
        return (struct slice){.p = NULL, .n = 0};
    return slice_of(e->bytes + e->key_len, e->record_len);
}
static inline struct entry *own_version_at(struct entry *e, apply_no through)
{
    while (e != NULL && e->version > through)
        e = e->older;
    return e;
}

/* kv_own_tree.c */
uint32_t own_tree_place(const struct kv_own *o, tree_id id); /* the first of `sorted` with an id at or above */
struct leaf *own_leaf_new(struct kv_own *o);                 /* NULL: out of memory */
struct place own_find(struct tree *t, const struct probe *p); /* remembers where it was */
struct place own_look(const struct tree *t, const struct probe *p); /* by several threads at once */
/* `e` is the newest of its key: those that hang on it stay so, above what the tree has. False: out of memory, nothing has changed. */
bool own_tree_put(struct kv_own *o, struct tree *t, const struct probe *p, struct entry *e);

/* kv_own_loose.c */
struct loose_item *loose_find(const struct loose *l, const struct probe *p); /* NULL: it does not wait there */
void loose_ahead(const struct loose *l, struct slice key); /* loose_find follows */
/* e->older is set here. False: out of memory, nothing has changed. *grown: bytes it took. */
bool loose_put(struct loose *l, const struct probe *p, struct entry *e, size_t *grown);
/* Its items in order, without those rolled back; NULL: out of memory. The caller's, to release with mem_free. */
struct loose_item *loose_sorted(const struct loose *l, uint32_t *n, struct loose_item **memory);
void loose_clear(struct loose *l); /* the memory stays */
void loose_deinit(struct loose *l);

#endif
