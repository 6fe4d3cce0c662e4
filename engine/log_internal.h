/* log_internal.h - what commit_log.c (append, group commit), log_segment.c (files) and log_replay.c (recovery) share.
 *
 * Inside, places are *stream offsets*: bytes of records only, as if the segments' headers were not there. A log_pos is one in a segment's
 * file: segment number * LOG_SEGMENT_BYTES + offset. Segment numbers begin at 1, so that position 0 is none. */
#ifndef ENGINE_LOG_INTERNAL_H
#define ENGINE_LOG_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "commit_log.h"
#include "log_mem.h"

#define SEGMENT_HEADER_BYTES 64u
#define SEGMENT_STREAM_BYTES ((uint64_t)LOG_SEGMENT_BYTES - SEGMENT_HEADER_BYTES)
#define LOG_FILL_BYTES (LOG_SEGMENT_BYTES / 16)  /* zeros are written ahead in steps of this, by 4 KiB */
#define LOG_AHEAD_BYTES (LOG_SEGMENT_BYTES / 4) /* and so far ahead of use, where there is a thread to do it */
#define LOG_WRITE_BYTES (1u << 20) /* append hands so much over by itself */
#define LOG_STORE_BYTES (16u << 10) /* up to so much is stored under the lock, when nobody waits for the disk */
#define RECORD_HEAD_BYTES 21u      /* u32 length, u64 checksum of all that follows it, u8 type, u64 mark */
#define LOG_PATH_BYTES_MAX 512u

struct segment {
    uint64_t number;
    struct file *file;
    uint64_t prepared; /* bytes of the file that exist and are on disk; 0: its header is not good */
    uint64_t found;    /* bytes of the file when the log was opened */
    uint32_t pins;     /* readers on it: it is not recycled meanwhile */
};

struct commit_log {
    struct env *env;
    bool in_memory;
    bool replayed;
    char dir[LOG_PATH_BYTES_MAX]; /* DIR/log */
    char archive[LOG_PATH_BYTES_MAX]; /* "": none; guarded by prepare_lock */
    uint64_t id;                  /* salt: records of another log are not valid in this one */

    pthread_mutex_t lock; /* guards what follows, but not the files' contents */
    pthread_cond_t change;
    struct log_mem mem;
    struct segment **segments; /* by number, without gaps */
    size_t segment_count, segment_cap;
    _Atomic uint64_t prepared; /* stream offset up to which segments are ready */
    struct buf fill;          /* records from fill_start to the end, not handed to the system yet */
    struct buf out;           /* records from out_start to fill_start, on their way; empty unless writing */
    uint64_t fill_start, out_start;
    _Atomic uint64_t end;     /* stream offsets */
    _Atomic uint64_t synced;
    _Atomic uint64_t written;
    bool writing, syncing;    /* a thread is at it, without the lock */
    uint64_t sync_to;         /* syncing: what it will make durable */
    _Atomic uint64_t syncs, syncs_ns;/* of segments; what they took */
    uint32_t rounds;          /* syncs begun */
    _Atomic uint32_t round;   /* syncs ended, to sleep on; in the lock */
    uint32_t waiters;         /* who came for a sync and is in no round yet */
    uint32_t covered;         /* who is in the present round, or was in the last */
    uint32_t sessions;        /* the most that were seen at a time, since a wait for them was in vain */
    uint32_t expected;        /* with so many of them the next round begins ... */
    uint64_t gather_until;    /* ... or at this time, by the system's clock */
    bool gathered;            /* one of them sleeps only until then */
    uint32_t skip, vain;      /* rounds that wait for nobody: left, and how many the last wait in vain cost */
    uint64_t sync_ns;         /* what a round takes of late */
    void (*on_sync)(void *arg);
    void *on_sync_arg;
    struct err broken;        /* code QUARTET_OK: well */
    uint64_t spare_count;     /* recycled files that wait: DIR/log/spare-N */

    pthread_mutex_t prepare_lock; /* one at a time makes room; taken before `lock` */
    pthread_cond_t prepare_wake;  /* with `lock` */
    bool has_thread, stop;
    pthread_t thread;
};

static inline uint64_t stream_of(log_pos pos)
{
    uint64_t offset = pos % LOG_SEGMENT_BYTES;
    return (pos / LOG_SEGMENT_BYTES) * SEGMENT_STREAM_BYTES + (offset > SEGMENT_HEADER_BYTES ? offset - SEGMENT_HEADER_BYTES : 0);
}
static inline log_pos pos_of(uint64_t stream)
{
    return (stream / SEGMENT_STREAM_BYTES) * LOG_SEGMENT_BYTES + SEGMENT_HEADER_BYTES + stream % SEGMENT_STREAM_BYTES;
}

/* The checksum of a record: `rest` is everything from its type on. */
uint64_t log_checksum(const struct commit_log *log, uint64_t stream, uint32_t length, const uint8_t *rest, size_t n);

/* log_segment.c */
quartet_status log_segments_open(struct commit_log *log, struct err *err); /* finds what is there */
void log_segments_close(struct commit_log *log);
/* A failed write or sync: nobody who waits or comes is told that anything else was made safe. The result: QUARTET_IO. Lock held. */
quartet_status log_fail(struct commit_log *log, struct err *err);
/* Unless there is room up to `upto`: one step more of it, zeros in the last segment or another segment. Takes the locks. QUARTET_FULL may be
 * tried again. */
quartet_status log_prepare(struct commit_log *log, uint64_t upto, struct err *err);
quartet_status log_stream_write(struct commit_log *log, uint64_t stream, const uint8_t *p, size_t n, struct err *err);
/* The same of a few bytes below `prepared`, with the lock held. */
quartet_status log_stream_store(struct commit_log *log, uint64_t stream, const uint8_t *p, size_t n, struct err *err);
/* Past the end of a file there are zeros. QUARTET_NOTFOUND below the oldest segment. */
quartet_status log_stream_read(struct commit_log *log, uint64_t stream, uint8_t *p, size_t n, struct err *err);
quartet_status log_stream_sync(struct commit_log *log, uint64_t from, uint64_t to, struct err *err); /* the segments that hold this */
quartet_status log_segments_trim(struct commit_log *log, uint64_t before, struct err *err);
/* Recovery found the end: segments wholly past it that are not fit for use go. */
quartet_status log_segments_settle(struct commit_log *log, uint64_t end, struct err *err);
quartet_status log_segments_write_headers(struct commit_log *log, uint64_t from, struct err *err); /* once more, from the segment of `from` on */
/* log_archive.c: move the file into log->archive, or copy it there. *gone: it was moved. */
quartet_status log_segment_archive(struct commit_log *log, const char *path, bool *gone, struct err *err);
/* "DIR/log/00000001, offset 4711" for messages. */
void log_place_text(const struct commit_log *log, uint64_t stream, char *out, size_t n);

#endif
