/* kv_internal.h - what kv.c (layers), kv_flush.c, kv_snap.c (snapshots, point reads) and kv_iter.c (scans) share. */
#ifndef ENGINE_KV_INTERNAL_H
#define ENGINE_KV_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "block.h"
#include "kv.h"
#include "kv_base.h"
#include "kv_journal.h"
#include "kv_tops.h"

#define KV_FROZEN_MAX 3u /* a writer that would freeze one more waits for the flusher */
#define KV_RETIRED_MAX KV_FROZEN_MAX
#define KV_FLUSH_MAX 4u  /* layers that one flush merges */
#define KV_GATHER_MS 20u /* how long the flusher gives a waiting writer to freeze its buffer, so that it goes with the others */
#define KV_SNAP_POOL_MAX 32u
#define KV_VERIFIED_SLOTS (1u << 16)

/* A buffer, or the run of one large transaction, counted by the views that hold it. */
struct kv_layer {
    atomic_uint refs;
    kv_buffer *buffer;     /* NULL: the run */
    kv_run *run;
    apply_no last;         /* frozen: its last version */
    uint64_t past_from;    /* frozen: pasts stamped below it go; no later than what the checkpoint says */
    struct buf checkpoint; /* frozen: KV_FLUSH_WHOLE, then the owner's, as of `last` */
    uint64_t counted;      /* kv_pinned.c's, under the lock */
    struct kv_layer *moved; /* likewise: a flushed buffer's entries as a run on disk, for snapshots that read on; NULL: not moved. Holds a reference */
};
/* Which layers lie over the base; never changed, replaced as a whole. */
struct kv_view {
    atomic_uint refs;
    uint32_t count;
    struct kv_layer *layers[]; /* newest first; [0] is the active one */
};

struct kv_tidying {
    bool running;         /* a pass is under way, to go on at `at` */
    bool all;             /* somebody waits for one that began after he asked; begun: it did */
    bool all_begun;
    struct kv_sweep_at at;
    uint64_t oldest;      /* no past of the base is stamped below; 0: not known */
    bool dead;            /* there may be rows that are to go as soon as rows may */
    struct kv_swept pass; /* of the present pass, and what flushes brought meanwhile */
    uint64_t due_ns;      /* the next look */
    uint64_t vacuum_due_ns;
    uint64_t rows, pasts, passes, vacuumed;
    struct err failed;    /* of the pass that somebody waits for */
};

struct kv {
    struct env *env;
    struct kv_host host;
    struct kv_base *base;  /* replaced under the lock while nothing is being flushed */
    char *dir;             /* of temporary files; NULL: all in memory */
    _Atomic size_t buffer_bytes;
    _Atomic uint64_t snapshot_bytes;
    uint32_t slice_pages;  /* 0: what is good */
    bool torn;             /* kv_torn */
    struct kv_journal journal; /* of the flush that is at work or failed in the middle; the flusher's */
    uint32_t journal_layers;   /* how many, the oldest ones, it is of: they are flushed together until that succeeds */
    char name[256];        /* of the base, for messages */
    _Atomic uint64_t *verified; /* KV_VERIFIED_SLOTS marks of blocks whose checksum was looked at; NULL: trusted */

    apply_no applied;             /* the writer's */
    struct kv_tops tops;          /* changed by the writer */
    uint32_t bulks;               /* the writer's: begun and not ended */
    bool run_waits;               /* likewise: without a thread, a run is to be flushed */
    struct kv_layer *settle;      /* likewise: a run whose checkpoint is one from before it, with a reference; NULL: none */
    struct kv_layer *active;      /* likewise: view->layers[0], which the flusher leaves in place when it replaces the view */
    _Atomic apply_no published;

    pthread_mutex_t lock;         /* guards what follows */
    pthread_cond_t wake;          /* the flusher: work, stop, or published */
    pthread_cond_t done;          /* a flush attempt ended */
    struct kv_view *view;
    apply_no base_floor;          /* the base may hold versions up to this: no older snapshot can be taken */
    struct kv_layer *retired[KV_RETIRED_MAX]; /* flushed, kept to answer kv_changed_since; newest first */
    uint32_t retired_count;
    apply_no forgotten;           /* versions up to this are no longer in any layer */
    struct kv_snap *snaps;        /* live ones */
    struct kv_snap *pool;
    uint32_t pool_count;
    uint64_t snap_count, flushes, attempts;
    uint64_t base_dead;           /* bytes of the base that are not of its present state, after the last flush */
    uint64_t flush_number;        /* of the present or the last one */
    uint64_t count_round, too_old; /* kv_pinned.c's */
    uint8_t flushed[KV_FLUSHED_BYTES]; /* of the checkpoint that the last flush stored */
    size_t flushed_bytes;
    _Atomic uint64_t moves;       /* layers moved to disk so far; changed under the lock */
    struct err health;            /* code QUARTET_OK: well */
    atomic_bool unwell;           /* health is not well: to be read without the lock */
    bool broken;                  /* health is for good */
    bool stop;
    bool flushing;                /* someone is at it */
    uint32_t waiting;             /* writers that wait for room */
    bool merging;                 /* a layer is going into the base: between its slices the base is no whole state */
    bool held;                    /* VACUUM: nothing is flushed meanwhile */
    struct kv_tidying tidy;       /* kv_tidy.c's */
    uint64_t vacuums;
    atomic_bool publish_wanted;   /* the flusher waits for a publication */
    bool has_thread;
    pthread_t thread;
};

/* kv_tidy.c: one step of what is due. true: there is more to do at once. Lock held on entry and exit, not in between. */
bool kv_tidy(struct kv *s);
void kv_tidy_met(struct kv *s, const struct kv_merged *met); /* after a flush; lock held */
uint32_t kv_tidy_wait_ms(const struct kv *s); /* until the next look; 0: none is needed */
/* kv_copy.c: kv_vacuum that `stop` can end. */
quartet_status kv_vacuum_until(struct kv *s, bool (*stop)(void *arg), uint64_t *before, uint64_t *after, struct err *err);
/* A whole state of the base, counted: a snapshot, and the checkpoint (appended) that belongs to it. Lock held on entry and exit. */
quartet_status kv_whole_state(struct kv *s, struct kv_base **base, struct base_read **read, struct buf *checkpoint, struct err *err);

/* May the store take from a snapshot what it pins? Between the two it does, under the lock. */
enum { KV_SNAP_BUSY, KV_SNAP_IDLE, KV_SNAP_TAKEN };

struct kv_snap {
    struct kv *store;
    struct kv_view *view; /* NULL: too old, and let go, with base and read */
    struct kv_base *base; /* counted */
    struct base_read *read;
    atomic_uint use;       /* KV_SNAP_BUSY, ... */
    atomic_bool too_old;
    bool kept;             /* never becomes too old: the writer's */
    uint64_t taken_ns, base_dead, flush_number; /* when (coarse_ns); the store's then */
    uint64_t held_ns, cost; /* when it became too old */
    uint64_t moves;        /* of the store, when its view was looked at */
    apply_no at;
    struct kv_snap *newer, *older; /* in the store's list; newer is the pool's link too */
    bool has_cursor;
    struct base_cursor cursor;     /* of point reads */
    struct block block;            /* opened last, block.p NULL: none */
    struct kv_run_page page;       /* likewise, of a run */
};

struct kv_layer *kv_layer_new(kv_run *run); /* takes the run; NULL: of an empty buffer. NULL: out of memory, the run is still the caller's */
void kv_layer_unref(struct kv_layer *l);
uint64_t kv_layer_bytes(const struct kv_layer *l);
/* The layers, newest first, become the view's; lock held. The old one, for the caller to unref without the lock; NULL: out of memory, nothing has changed. */
struct kv_view *kv_view_replace(struct kv *s, struct kv_layer *const *layers, uint32_t count);
/* For the writer: wait until at most `frozen` layers are before the flusher; false: it cannot be waited for (no thread, or flushes fail). */
/* Note how an attempt to write the base ended. Lock held. After an error that no later attempt can mend the store is broken: it is to be opened again. */
void kv_note_health(struct kv *s, quartet_status rc, const struct err *why);
bool kv_asked_to_stop(void *kv); /* it is being closed: what takes long ends early */
/* Flush frozen layers, oldest first, until none is left or one fails. Lock held on entry and exit. */
quartet_status kv_flush_frozen(struct kv *s, struct err *err);
void *kv_flusher(void *kv); /* the thread */
bool kv_wait_frozen(struct kv *s, uint32_t frozen);
/* For the writer: freeze the active buffer. */
quartet_status kv_freeze(struct kv *s, struct err *err);
void kv_view_unref(struct kv_view *v); /* NULL is allowed */
/* Of these layers, each with a new reference; NULL: out of memory. */
struct kv_view *kv_view_new(struct kv_layer *const *layers, uint32_t count);
/* kv_pinned.c: after a flush, without the lock: are snapshots too old, are pinned buffers to go to disk? */
void kv_check_pinned(struct kv *s);
void kv_count_pinned(struct kv *s, struct kv_stats *out); /* lock held */
quartet_status kv_snap_too_old(const struct kv_snap *snap, struct err *err);
static inline quartet_status kv_snap_check(const struct kv_snap *snap, struct err *err)
{
    return atomic_load_explicit(&snap->too_old, memory_order_acquire) ? kv_snap_too_old(snap, err) : QUARTET_OK;
}
/* kv_snap.c: the block of the base that would hold the key, opened in snap->block; .p NULL: there is none. And the tree's next one. */
quartet_status kv_snap_block(struct kv_snap *snap, tree_id tree, struct slice key, struct err *err);
quartet_status kv_snap_block_next(struct kv_snap *snap, tree_id tree, struct err *err);
/* kv_snap.c: flushed layers are kept for snapshots older than they; take out those that none is left for, for the caller to unref. Lock held. */
uint32_t kv_drop_retired(struct kv *s, struct kv_layer **dropped);
quartet_status kv_vacuum_clean(struct env *env, const char *dir, struct err *err); /* what a killed VACUUM left behind goes */
/* Open a block of the base; its checksum is looked at the first time. */
quartet_status kv_block_open(struct kv *s, tree_id tree, const uint8_t *p, size_t n, struct block *out, struct err *err);

#endif
