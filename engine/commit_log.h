/* commit_log.h - the log that makes commits durable: append, group commit, replay, read back for peers (DESIGN.md section 6).
 *
 * Segments DIR/log/NNNNNNNN of LOG_SEGMENT_BYTES, filled with zeros ahead of use in 4 KiB writes and recycled. A record: u32 length,
 * u64 checksum of what follows (XXH3 salted with log id, position and length), u8 type, u64 "was on disk up to here" mark, payload. An invalid
 * record below a mark is damage (QUARTET_CORRUPT, with file and offset); above every mark it is a torn tail and is cut off.
 * Positions (log_pos) grow monotonically over segments: segment number * LOG_SEGMENT_BYTES + offset. */
#ifndef ENGINE_COMMIT_LOG_H
#define ENGINE_COMMIT_LOG_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"

#if !defined(LOG_SEGMENT_BYTES) /* the fault tests compile the log once more with small ones, so that segments come and go */
#define LOG_SEGMENT_BYTES (16u << 20)
#endif
#define LOG_RECORD_BYTES_MAX (17u << 20) /* a record may span segments */

typedef struct commit_log commit_log;
typedef uint64_t log_pos;

enum log_type { /* stored; never renumbered */
    LOG_LOCAL = 1,  /* one local delta: its payload bytes as they will be sent */
    LOG_SEAL = 2,   /* header and signature over local deltas that stand earlier in the log */
    LOG_REMOTE = 3, /* a peer's batch, as received */
    LOG_META = 4    /* the owner's: a new incarnation, the clock's bound, membership */
};

enum log_sync_mode { LOG_SYNC_FULL, LOG_SYNC_NORMAL, LOG_SYNC_OFF };

struct log_record {
    enum log_type type;
    struct slice payload; /* valid during the call */
    log_pos at, end;
};

/* Open or create; in_memory keeps records in memory only (for :memory:, nothing to replay). */
quartet_status commit_log_open(struct env *env, const char *dir, bool in_memory, commit_log **out, struct err *err);
void commit_log_close(commit_log *log); /* does not sync */
/* Call each() for every valid record from `from` on (a record's start, or 0 for the oldest), then be ready to append behind the last. Must
 * be called once, right after open. */
quartet_status commit_log_replay(commit_log *log, log_pos from, quartet_status (*each)(void *arg, const struct log_record *r, struct err *err),
                                 void *arg, struct err *err);
/* Instead of replay, to look only: nothing is changed, nothing can be appended, commit_log_read works. Calls each() for every valid record from the oldest on. *damaged: all that
 * follows that record is damage; err says where and what, and the status is QUARTET_OK. */
quartet_status commit_log_scan(commit_log *log, quartet_status (*each)(void *arg, const struct log_record *r, struct err *err), void *arg, bool *damaged,
                               struct err *err);
/* Append one record made of parts (no copying before). Under the owner's commit lock. *end: what to pass to sync. The bytes are
 * handed to the system at the latest by sync (mode OFF: when 1 MiB has gathered). QUARTET_FULL (no room for another segment), LIMIT and NOMEM leave
 * nothing behind and may be tried again; after QUARTET_IO the log is broken and every later append and sync fails. */
quartet_status commit_log_append(commit_log *log, enum log_type type, const struct slice *parts, size_t part_count, log_pos *at, log_pos *end,
                                 struct err *err);
/* Return when everything up to `end` is durable (FULL: fdatasync; NORMAL: given to the system by write; OFF: at once). Threads that
 * wait meanwhile share one fdatasync, while the next batch fills. Thread-safe. */
quartet_status commit_log_sync(commit_log *log, log_pos end, enum log_sync_mode mode, struct err *err);
/* Called, from any thread and without locks of the log, when more has become durable and before anybody who waits for it returns. Set before threads start. */
void commit_log_on_sync(commit_log *log, void (*on_sync)(void *arg), void *arg);
log_pos commit_log_synced(const commit_log *log); /* on disk up to here */
log_pos commit_log_end(const commit_log *log);
/* Read one record back (its payload appended to `out`); thread-safe. QUARTET_NOTFOUND below the oldest kept. */
quartet_status commit_log_read(commit_log *log, log_pos at, enum log_type *type, struct buf *out, log_pos *end, struct err *err);
/* Segments wholly below `before` may go (are recycled). */
/* Segments that may go are moved into the directory `dir` (made, with its parent there; copied where it is on another file system); "": they are used again. */
quartet_status commit_log_archive(commit_log *log, const char *dir, struct err *err);
quartet_status commit_log_trim(commit_log *log, log_pos before, struct err *err);
log_pos commit_log_start(commit_log *log); /* all records that begin at or after it are kept */
bool commit_log_is_trimmed(const commit_log *log); /* its beginning has gone: without a base it tells not all */
uint64_t commit_log_bytes(commit_log *log); /* held on disk */
void commit_log_syncs(commit_log *log, uint64_t *count, uint64_t *ns); /* of its segments since it was opened, and how long they took */

#endif
