/* kv_state.h - a whole state of the base, read block by block and built block by block: what one node hands another (docs/WIRE.md, "Snapshots").
 *
 * Blocks travel as they are stored. Who builds a base of them takes them for hostile: each is checked, and so is their order, before anything reads the result. */
#ifndef ENGINE_KV_STATE_H
#define ENGINE_KV_STATE_H

#include "kv.h"

#define KV_STATE_SEPARATOR_BYTES_MAX 503u

struct kv_state_block {
    tree_id tree;
    struct slice separator, block; /* valid until the next call */
};

/* What the base holds between two flushes, however long it takes to read it; commits and flushes go on. It holds on to the base's pages meanwhile. Used by one thread at a time;
 * released before the store is closed. *checkpoint (appended): the owner's, which belongs to it. QUARTET_BUSY: ask again later. */
typedef struct kv_state kv_state;
quartet_status kv_state_open(kv *s, kv_state **out, struct buf *checkpoint, struct err *err);
quartet_status kv_state_next(kv_state *st, struct kv_state_block *out, bool *end, struct err *err); /* ascending by (tree, separator) */
void kv_state_close(kv_state *st);                                                                  /* NULL is allowed */

/* The other way. `to` is an empty base. Nothing counts before kv_fill_end, which stores the checkpoint; whoever gives up drops the base. */
typedef struct kv_fill kv_fill;
quartet_status kv_fill_begin(struct kv_base *to, kv_fill **out, struct err *err);
/* QUARTET_CORRUPT: not a block of this tree, keys out of order or beyond the separators, trees that are no one's. */
quartet_status kv_fill_put(kv_fill *f, const struct kv_state_block *b, struct err *err);
quartet_status kv_fill_end(kv_fill *f, struct slice checkpoint, struct err *err); /* the owner's; may be empty */
void kv_fill_free(kv_fill *f);                                                    /* NULL is allowed */

#endif
