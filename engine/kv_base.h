/* kv_base.h - what lies below the write buffers: an ordered map from (tree, separator) to blocks, with snapshots and one writer.
 *
 * Two implementations: kv_lmdb.c on disk, kv_mem.c in memory. A block holds the keys from its separator up to the next one's. Within
 * libquartet only; callers use kv.h. */
#ifndef ENGINE_KV_BASE_H
#define ENGINE_KV_BASE_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/env.h"
#include "kv_walk.h"

#define BASE_SEPARATOR_BYTES_MAX 503u /* LMDB's 511 less the tree id */

struct kv_base;
struct base_read;  /* a snapshot; used by one thread at a time */
struct base_write; /* the one write transaction */

/* A place among the blocks. Bytes stay valid until the read ends. */
struct base_cursor {
    struct base_read *read;
    void *handle;        /* the implementation's */
    uint64_t place[2];   /* likewise */
    tree_id tree;
    bool found;          /* is on a block of `tree` */
    struct slice separator;
    const uint8_t *block;
    size_t block_bytes;
};

struct kv_base_ops {
    void (*close)(struct kv_base *b);
    quartet_status (*read_begin)(struct kv_base *b, struct base_read **out, struct err *err);
    void (*read_end)(struct base_read *r); /* NULL is allowed; all cursors are closed before */
    quartet_status (*cursor_open)(struct base_read *r, struct base_cursor *c, struct err *err);
    void (*cursor_close)(struct base_cursor *c);
    /* The block with the greatest separator at or below `key`; else the tree's first; else not found. */
    quartet_status (*seek)(struct base_cursor *c, tree_id tree, struct slice key, struct err *err);
    quartet_status (*seek_last)(struct base_cursor *c, tree_id tree, struct err *err);
    quartet_status (*next)(struct base_cursor *c, struct err *err); /* within the tree */
    quartet_status (*prev)(struct base_cursor *c, struct err *err);
    /* The smallest tree at or above *tree that has blocks; *found false: there is none. */
    quartet_status (*next_tree)(struct base_read *r, tree_id *tree, bool *found, struct err *err);

    quartet_status (*write_begin)(struct kv_base *b, struct base_write **out, struct err *err);
    quartet_status (*put)(struct base_write *w, tree_id tree, struct slice separator, struct slice block, struct err *err);
    quartet_status (*del)(struct base_write *w, tree_id tree, struct slice separator, struct err *err); /* absent: QUARTET_OK */
    /* Durable when it returns QUARTET_OK. checkpoint.p NULL: it stays as it is. The transaction is gone in any case. QUARTET_FULL may be tried again;
     * after QUARTET_IO the base must be opened anew. */
    quartet_status (*commit)(struct base_write *w, struct slice checkpoint, struct err *err);
    void (*abort)(struct base_write *w);

    quartet_status (*checkpoint)(struct kv_base *b, struct buf *out, struct err *err); /* the last one stored, appended */
    uint64_t (*bytes)(struct kv_base *b);
    uint64_t (*dead)(struct kv_base *b); /* bytes of the file that are not of the present state: free, or of states that readers hold; 0 in memory */
    uint64_t (*room)(struct kv_base *b); /* free bytes of the disk; UINT64_MAX in memory, and where it cannot be told */
};
struct kv_base {
    const struct kv_base_ops *ops;
    bool trusted; /* memory of our own: checksums need no look */
    atomic_uint refs; /* of the store and of its snapshots: VACUUM gives the store another one, and old snapshots go on with theirs */
};

quartet_status kv_mem_open(struct kv_base **out, struct err *err);
quartet_status kv_lmdb_open(struct env *env, const char *dir, struct kv_base **out, struct err *err); /* DIR/base.mdb */
quartet_status kv_lmdb_open_file(struct env *env, const char *path, struct kv_base **out, struct err *err);
void kv_lmdb_renamed(struct kv_base *b, const char *path); /* for messages; before others use it */
void kv_base_unref(struct kv_base *b);                     /* closes it with the last one; NULL is allowed */

/* kv_copy.c: copy all blocks that a snapshot of a base shows, each after a look at its checksum, into an empty base, in slices; the last one stores the checkpoint.
 * stop (may be NULL): asked between slices, true ends it with QUARTET_INTERRUPTED. */
quartet_status kv_base_copy(const struct kv_base *from, struct base_read *read, struct kv_base *to, struct slice checkpoint, bool (*stop)(void *arg),
                            void *arg, struct err *err);

/* The first byte of a stored checkpoint: is the base as it says, or did slices of a later flush go in? Then the rest is kv_journal.h's. */
enum { KV_FLUSH_WHOLE = 0, KV_FLUSH_TORN = 1 };

/* kv_merge.c: merge all entries of frozen layers into the base, in slices; the last one stores the checkpoint. `walks`: one for each layer, newest first: of equal
 * keys the first counts. A key's past (kv_past.h) goes with the slice that its record goes with, or before. May be repeated after a failure. */
struct kv_merged { /* what a flush put into the base that a sweep may take away one day */
    uint64_t oldest_past; /* the least stamp of the pasts that went in; UINT64_MAX: none did */
    uint64_t pasts_gone;  /* such that were met, and are out of date */
    bool dead;            /* rows that are not live went in */
};
struct kv_merge_how {
    struct slice checkpoint;
    quartet_status (*torn)(void *arg, struct buf *mark, struct err *err); /* NULL, or called before the first slice that is not the last: what to store with it */
    bool (*stop)(void *arg); /* NULL, or asked between slices; true ends it early with QUARTET_INTERRUPTED */
    void *arg;
    uint64_t past_from;      /* pasts stamped below it are dropped, those met on the way too */
    uint32_t slice_pages;    /* as many pages, about, as a slice dirties; 0: what is good for a base of its size */
    struct kv_merged *met;   /* filled; may be NULL */
};
/* Of the key that the blend over `count` layers stands on: the pasts that lie beside its records, newest first, of each stamp the one that counts. */
quartet_status kv_merge_pasts(const struct kv_blend *in, uint32_t count, uint64_t from,
                              quartet_status (*each)(void *arg, uint64_t stamp, struct slice record, struct err *err), void *arg, struct err *err);
quartet_status kv_merge_layers(struct kv_base *base, struct kv_walk *walks, uint32_t count, const struct kv_merge_how *how, struct err *err);

/* kv_sweep.c: take away what is of no use any longer, block by block, in one slice; each state on the way is a whole one, so nothing waits for it and nothing need be made
 * good after a crash. Not while a flush is at it. */
struct kv_sweep_at { /* where it goes on; {0}: at the beginning */
    tree_id tree;
    struct buf key;
};
struct kv_swept {
    uint64_t rows, pasts, blocks; /* gone; looked at */
    uint64_t oldest_past;         /* the least stamp of pasts that stay; UINT64_MAX: none does */
    bool dead;                    /* rows that are not live and have no history stay, because rows may not go */
    bool held;                    /* such stay because they have */
    bool done;                    /* it came to the end */
};
struct kv_sweep_how {
    uint64_t past_from; /* pasts stamped below it go */
    bool rows;          /* rows that are not live and have no history go */
    uint32_t blocks;    /* at most so many are looked at */
    uint32_t slice_pages; /* as in kv_merge_how */
    /* Called where something goes, with the stored checkpoint: what is to take its place. */
    quartet_status (*checkpoint)(void *arg, const struct kv_swept *gone, struct buf *stored, struct err *err);
    uint64_t (*row_newest)(void *arg, tree_id tree, struct slice record); /* as in kv_host, and so is the next; may be NULL, too */
    bool (*keeps_dead)(void *arg, tree_id tree);
    void *arg;
};
quartet_status kv_base_sweep(struct kv_base *base, const struct kv_sweep_how *how, struct kv_sweep_at *at, struct kv_swept *out, struct err *err);

#endif
