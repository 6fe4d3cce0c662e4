/* kv_own.h - a transaction's own writes: a versioned ordered map in memory, for one thread.
 *
 * What kv_buffer.h is to the store's readers without locks, this is to one transaction: cheaper to fill, and one can forget what came after a version.
 * Entries are never moved; what a get or a cursor gave stays valid until the entry is rolled back or the map is cleared. */
#ifndef ENGINE_KV_OWN_H
#define ENGINE_KV_OWN_H

#include "kv_buffer.h"

typedef struct kv_own kv_own;

kv_own *kv_own_new(void); /* NULL: out of memory */
void kv_own_hold(kv_own *o); /* one more holder, of the same thread; each frees it */
void kv_own_free(kv_own *o); /* NULL is allowed */
bool kv_own_shared(const kv_own *o); /* there are several holders */
void kv_own_clear(kv_own *o); /* forget everything; no cursor lives on */
void kv_own_recycle(kv_own *o); /* as new, but for a little memory that is kept */
/* Limits, erasures, versions: as kv_buffer_put. The later put of one (tree, key, version) wins. */
quartet_status kv_own_put(kv_own *o, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err);
size_t kv_own_bytes(const kv_own *o);
uint64_t kv_own_entries(const kv_own *o);        /* every put counts */
size_t kv_own_largest(const kv_own *o);          /* the most bytes that the key and record of one entry had, those rolled back included */
/* The trees that it has entries of, n of them numbered from 0; *digest: no key's is above it (kv_digest_of), those rolled back included. False: there is no such number. */
bool kv_own_tree(const kv_own *o, uint32_t number, tree_id *tree, uint64_t *digest);
apply_no kv_own_last_version(const kv_own *o);   /* 0 while empty */
/* Newest version at or below `through`. false: none. *record.p is NULL for an erasure. */
bool kv_own_get(kv_own *o, tree_id tree, struct slice key, apply_no through, struct slice *record, apply_no *version);
/* The same for a map that nobody changes any more, in which another thread walks: it leaves no trace in it. */
bool kv_own_peek(const kv_own *o, tree_id tree, struct slice key, apply_no through, struct slice *record, apply_no *version);
void kv_own_ahead(const kv_own *o, tree_id tree, struct slice key); /* a get follows: have the memory that it looks at first in the cache by then */
/* Forget every entry of a version above `keep`. Cursors whose `through` is at or below it live on. */
void kv_own_rollback(kv_own *o, apply_no keep);

/* Put in order what is not: before any call of a cursor since a put. QUARTET_NOMEM: nothing is lost, but no cursor may be used. */
quartet_status kv_own_settle(kv_own *o, struct err *err);
/* Every entry in order, versions of one key newest first, of those of one version the last put. Leaves no trace in the map, as kv_own_peek. */
quartet_status kv_own_each(const kv_own *o,
                           quartet_status (*each)(void *arg, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err), void *arg,
                           struct err *err);

/* Walk, through all trees. The cursor is on an entry (newest version at or below `through` of one key) or at the end. Entries may be put meanwhile (then
 * kv_own_settle): it goes on from its key. */
struct kv_own_cursor {
    kv_own *own;
    apply_no through;
    bool valid; /* false: the end */
    tree_id tree;
    struct slice key, record; /* record.p NULL: an erasure */
    apply_no version;
    /* the map's: where it stands, and as of which change of the map */
    void *in_tree, *leaf;
    uint32_t at;
    uint64_t seen;
};
void kv_own_seek(struct kv_own_cursor *c, kv_own *o, apply_no through, tree_id tree, struct slice key);        /* first at or after */
void kv_own_seek_before(struct kv_own_cursor *c, kv_own *o, apply_no through, tree_id tree, struct slice key); /* last before */
void kv_own_seek_last(struct kv_own_cursor *c, kv_own *o, apply_no through);
void kv_own_next(struct kv_own_cursor *c);
void kv_own_prev(struct kv_own_cursor *c);
bool kv_own_older(struct kv_own_cursor *c); /* to the next older version of the same key; false: there is none, it stays */

#endif
