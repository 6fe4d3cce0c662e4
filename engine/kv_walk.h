/* kv_walk.h - one cursor for a buffer, a run, or a transaction's own writes, and many of them merged in key order. Within libquartet's store and transactions only. */
#ifndef ENGINE_KV_WALK_H
#define ENGINE_KV_WALK_H

#include "kv_own.h"
#include "kv_run.h"

/* As kv_cursor, kv_own_cursor and kv_run_cursor. {0}, then kv_walk_set_*, then a seek; deinit at the end. */
struct kv_walk {
    const kv_buffer *buffer; /* one of the three */
    const kv_run *run;
    kv_own *own;
    struct kv_sight sight;   /* for a run only all of it; else `through` and `every` */
    union {
        struct kv_cursor in_buffer;
        struct kv_own_cursor in_own;
    };
    struct kv_run_cursor in_run;
    bool valid; /* false: the end */
    tree_id tree;
    struct slice key, record; /* last until the next call */
    apply_no version;
};
void kv_walk_set_buffer(struct kv_walk *w, const kv_buffer *b, apply_no through, bool every);
void kv_walk_set_own(struct kv_walk *w, kv_own *own, apply_no through, bool every);
void kv_walk_set_run(struct kv_walk *w, const kv_run *r, const struct kv_sight *sight);
quartet_status kv_walk_seek(struct kv_walk *w, tree_id tree, struct slice key, struct err *err);
quartet_status kv_walk_seek_before(struct kv_walk *w, tree_id tree, struct slice key, struct err *err);
quartet_status kv_walk_seek_last(struct kv_walk *w, struct err *err);
quartet_status kv_walk_next(struct kv_walk *w, struct err *err);
quartet_status kv_walk_prev(struct kv_walk *w, struct err *err);
/* Do the bytes of the entry last as long as its source? Not those of a run's file, which the next page takes the place of. */
bool kv_walk_stays(const struct kv_walk *w);
void kv_walk_rest(struct kv_walk *w);   /* hold nothing of the source, keep the memory */
void kv_walk_deinit(struct kv_walk *w);

/* Forward over several walks at once, in key order. Of equal keys (with `every`: of equal keys and versions) the walk that stands first in the array counts, the others
 * step over it. The walks are the caller's. */
struct kv_blend {
    struct kv_walk *walks;
    uint32_t *heap; /* of those that are not at their end: few[], or owned */
    uint32_t few[8]; /* so a blend stays where it was started */
    uint32_t count;
    uint32_t next; /* of the heap: what comes after its top; 0: nothing */
    bool tie;      /* and has the same key */
    bool every;
    const struct kv_walk *at; /* NULL: the end */
};
quartet_status kv_blend_start(struct kv_blend *b, struct kv_walk *walks, uint32_t count, bool every, tree_id tree, struct slice key, struct err *err);
quartet_status kv_blend_next(struct kv_blend *b, struct err *err);
void kv_blend_end(struct kv_blend *b);

#endif
