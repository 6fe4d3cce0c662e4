/* kv_journal.h - what a flush of several slices is about to do, in a file, so that a crash between two slices does not matter: the next open lays the file over the
 * base as a frozen layer, which is the state that the flush was to bring about, and flushes it again.
 *
 * Why not replay the log over the half-flushed base: rows would come out right, but what is derived from them (index entries, hashes, history) is derived from the
 * step between two states, and the state before is gone where the flush has been. Within libquartet's store only. */
#ifndef ENGINE_KV_JOURNAL_H
#define ENGINE_KV_JOURNAL_H

#include "base/buf.h"
#include "kv_walk.h"

#define KV_JOURNAL_PREFIX "flush-" /* of the names of such files; 16 hexadecimal digits follow */

struct kv_journal {
    uint64_t id, bytes; /* id 0: none; bytes of its pages */
};
struct kv_journal_of {
    struct kv_walk *walks, *again; /* two for each layer, newest first; of no use afterwards */
    uint32_t count;
    uint64_t past_from;
    struct slice checkpoint; /* that the flush will store */
};

/* Write it and make it durable, name and all. A failure leaves no file. */
quartet_status kv_journal_write(struct env *env, const char *dir, const struct kv_journal_of *of, struct kv_journal *out, struct err *err);
/* The mark is stored in the checkpoint's place from the first slice on until the last; append it, read it. */
void kv_journal_mark(const struct kv_journal *j, struct buf *out);
/* The flush that the mark tells of: one version, 1, of all its entries. *run is the caller's; the checkpoint is appended. QUARTET_CORRUPT: the file is missing or damaged. */
quartet_status kv_journal_open(struct env *env, const char *dir, struct slice mark, struct kv_journal *out, kv_run **run, uint64_t *past_from,
                               struct buf *checkpoint, struct err *err);
void kv_journal_remove(struct env *env, const char *dir, const struct kv_journal *j); /* what cannot be removed goes at the next open */
/* Files that crashes left behind: journals but this one, and runs. */
quartet_status kv_journal_clean(struct env *env, const char *dir, const struct kv_journal *keep, struct err *err);

#endif
