/* kv_merge.h - what the flush (kv_merge.c) and the sweep (kv_sweep.c) share: a stretch of neighbouring blocks whose rows flow through `pending` into new blocks.
 *
 * Within libquartet's store only. See the top of kv_merge.c. */
#ifndef ENGINE_KV_MERGE_H
#define ENGINE_KV_MERGE_H

#include "base/arena.h"
#include "block.h"
#include "kv_base.h"
#include "kv_past.h"


struct merge {
    struct kv_base *base;
    struct base_read *read;
    struct base_write *write;
    struct base_cursor old; /* the run's last block read, or none */
    struct kv_blend in;     /* the frozen layers */
    tree_id until;          /* only trees up to this one pass */
    bool endless;           /* a slice has no limit: it is part of another's */
    uint64_t past_from;     /* pasts stamped below it go */
    uint32_t walk_count;    /* of in.walks */
    kv_buffer *past;        /* of the keys that passed in this slice, as entries of the history trees; NULL: none */
    uint64_t slice_pages;           /* as many pages as a slice may dirty */
    uint64_t runs, values, entries; /* of this slice: see slice_full */
    struct arena arenas[2]; /* keys and values of pending rows: they take turns, so that memory is used again while it is in the cache */
    uint32_t turn;          /* the one that is filled */
    size_t turn_rows;       /* pending rows, the first ones, that live in the other */
    struct buf block;
    struct buf separator, next_separator;
    struct buf upper; /* separator of the block after `old` */
    bool has_upper;
    struct block_row *rows; /* pending */
    size_t row_count, row_cap;
    size_t row_bytes;  /* their rough sizes */
    struct block_row *old_rows; /* those of the block that is being merged */
    size_t old_cap;
    double density;    /* bytes in a block for each rough byte, as last seen */
    struct buf stale;  /* separators of blocks read and not written again: u32 length, bytes */
    size_t stale_at;
    tree_id tree;
    bool torn; /* the mark was stored with an earlier slice */
    struct buf key;
    /* A sweep's (kv_sweep.c): is this row to go? NULL: only pasts that are out of date are. */
    quartet_status (*drops)(struct merge *m, const struct block_row *row, bool *drop, struct err *err);
    void *drops_arg;
    struct kv_merged *met;
};

/* Is it a row of a user's table that is not live? Its births have all ended, and that is all it says: an index entry has no record, a quarantined row has values. */
static inline bool merge_row_dead(tree_id tree, uint8_t class)
{
    return class == 0 && (tree >= KV_USER_TREES || tree == KV_GIVEN_UP) && !kv_past_is_tree(tree);
}
/* Has the write transaction dirtied as many pages as a slice may? */
bool merge_slice_full(const struct merge *m);
/* Snapshot, cursor and write transaction of a slice. After a failure too merge_slice_end comes next; the write transaction is the caller's to commit or abort before. */
quartet_status merge_slice_begin(struct merge *m, uint32_t slice_pages, struct err *err); /* slice_pages: see struct kv_merge_how */
void merge_slice_end(struct merge *m);
/* One run: m->tree and m->separator are set, `more` says whether the cursor m->old is at a block that belongs to it. Its rows and the layers' entries among them become pending
 * and are written, and so with the blocks behind it as long as goes_on says, or too little is left for a block of its own; what was read and not written again is erased. */
quartet_status merge_blocks(struct merge *m, bool more, quartet_status (*goes_on)(struct merge *m, void *arg, bool *yes, struct err *err), void *arg, struct err *err);
void merge_free(struct merge *m);

#endif
