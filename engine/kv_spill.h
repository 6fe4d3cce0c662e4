/* kv_spill.h - own writes of a large transaction that went to disk: sorted runs below its map in memory.
 *
 * A set of runs is never changed but replaced, and counted by those that hold it, so that a scan which is under way goes on reading what it began with.
 * All of one transaction, so of one thread, but for the one that writes a run while the transaction goes on. */
#ifndef ENGINE_KV_SPILL_H
#define ENGINE_KV_SPILL_H

#include "kv.h"
#include "kv_run.h"
#include "kv_walk.h"

/* All of `own` becomes the newest run; *set (NULL: none yet) is replaced. Now and then runs are merged. On failure nothing has changed. */
quartet_status kv_spill_add(kv_spill **set, const struct kv_run_place *place, kv_own *own, struct err *err);
/* The same on a thread of its own, of which `env` must allow one. Until kv_spill_end `own` and the set may be read by functions that change nothing in them
 * (kv_own_peek, kv_spill_get), and place and *set must live on. On failure nothing was begun. */
typedef struct kv_spilling kv_spilling;
quartet_status kv_spill_begin(kv_spill *set, const struct kv_run_place *place, kv_own *own, kv_spilling **out, struct err *err);
quartet_status kv_spill_end(kv_spilling *job, kv_spill **set, struct err *err); /* waits for it; takes the job. What it returns: as kv_spill_add */
void kv_spill_rollback(kv_spill *set, apply_no keep); /* as kv_own_rollback; NULL is allowed */
uint32_t kv_spill_runs(const kv_spill *set);          /* NULL: 0 */
/* The newest version at or below `through`; *record lasts until the page holds another. Pages must not outlive the set. */
quartet_status kv_spill_get(const kv_spill *set, struct kv_run_page *page, const struct kv_run_probe *probe, apply_no through, struct slice *record,
                            apply_no *version, bool *found, struct err *err);
void kv_spill_ahead(const kv_spill *set, const struct kv_run_probe *probe); /* as kv_run_ahead */
void kv_spill_walk(const kv_spill *set, uint32_t run, apply_no through, struct kv_walk *w); /* run 0: the newest */
void kv_spill_hold(kv_spill *set);
void kv_spill_drop(kv_spill *set); /* NULL is allowed */

/* Everything of an overlay in key order: {0}, start, look at blend.at, next, ..., end. Stays where it was started. */
struct kv_overlay_walk {
    struct kv_walk *walks; /* &one, or owned */
    struct kv_walk one;    /* where nothing went to disk: COMMIT of a small transaction calls for no memory */
    uint32_t count;
    struct kv_blend blend;
};
quartet_status kv_overlay_start(struct kv_overlay_walk *w, const struct kv_overlay *over, struct err *err);
void kv_overlay_end(struct kv_overlay_walk *w);

#endif
