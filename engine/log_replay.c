/* log_replay.c - recovery of the log: every valid record in order, and the decision where it ends.
 * Why marks: after a crash the unsynced end may be torn anywhere, even with later records whole and earlier ones lost, since the system writes pages
 *   in any order. But nothing below a mark can be lost by a crash: an invalid record below one is damage, and is told, not skipped.
 * How: past the first invalid record all bytes that are left are searched for valid ones. One with a mark above the gap proves damage. The others
 *   were never acknowledged: they are made invalid, so that a later recovery, standing behind new records, cannot take them for the sequel. */
#include <string.h>
#include <xxhash.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/plant.h"
#include "log_internal.h"

#define WINDOW_BYTES (1u << 20)

uint64_t log_checksum(const struct commit_log *log, uint64_t stream, uint32_t length, const uint8_t *rest, size_t n)
{
    return XXH3_64bits_withSeed(rest, n, log->id ^ stream * 0x9E3779B97F4A7C15u ^ (uint64_t)length << 32);
}

/* A sliding window over the stream. */
struct scan {
    struct commit_log *log;
    uint8_t *data;
    size_t cap, len;
    uint64_t start; /* of data */
    uint64_t limit; /* nothing can stand at or after this */
    bool looks;     /* changes nothing */
};

/* n bytes at `at`, or NULL: past the limit, or an error in *rc. */
static const uint8_t *scan_get(struct scan *s, uint64_t at, size_t n, quartet_status *rc, struct err *err)
{
    if (at > s->limit || s->limit - at < n)
        return NULL;
    if (at >= s->start && at - s->start <= s->len && s->len - (size_t)(at - s->start) >= n)
        return s->data + (at - s->start);
    size_t want = n > WINDOW_BYTES ? n : WINDOW_BYTES;
    if (s->limit - at < want)
        want = (size_t)(s->limit - at);
    if (want > s->cap) {
        uint8_t *grown = mem_realloc(s->data, want, 1);
        if (grown == NULL) {
            *rc = err_nomem(err);
            return NULL;
        }
        s->data = grown;
        s->cap = want;
    }
    s->len = 0;
    *rc = log_stream_read(s->log, at, s->data, want, err);
    if (*rc != QUARTET_OK)
        return NULL;
    s->start = at;
    s->len = want;
    return s->data;
}

/* Is there a valid record at `at`? Its mark in *mark. */
static bool record_at(struct scan *s, uint64_t at, struct log_record *r, log_pos *mark, quartet_status *rc, struct err *err)
{
    const uint8_t *head = scan_get(s, at, RECORD_HEAD_BYTES, rc, err);
    if (head == NULL)
        return false;
    uint32_t length = load_le32(head);
    uint8_t type = head[12];
    *mark = load_le64(head + 13);
    if (length > LOG_RECORD_BYTES_MAX || type < LOG_LOCAL || type > LOG_META || *mark > pos_of(at))
        return false;
    const uint8_t *whole = scan_get(s, at, RECORD_HEAD_BYTES + (size_t)length, rc, err);
    if (whole == NULL || (!plant_is(PLANT_NO_LOG_CHECKSUM) && log_checksum(s->log, at, length, whole + 12, RECORD_HEAD_BYTES - 12 + (size_t)length) != load_le64(whole + 4)))
        return false;
    r->type = (enum log_type)type;
    r->payload = slice_of(whole + RECORD_HEAD_BYTES, length);
    r->at = pos_of(at);
    r->end = pos_of(at + RECORD_HEAD_BYTES + length);
    return true;
}

static quartet_status damage(struct scan *s, uint64_t at, const char *why, struct err *err)
{
    char place[LOG_PATH_BYTES_MAX + 64];
    log_place_text(s->log, at, place, sizeof place);
    return err_set(err, QUARTET_CORRUPT, "%.460s: damaged record%s", place, why);
}

/* Look for valid records from `from` on; found ones with a mark at or below `gap` are made invalid where gap is not 0. */
static quartet_status search(struct scan *s, uint64_t from, uint64_t gap, uint64_t *first, struct err *err)
{
    static const uint8_t zeros[RECORD_HEAD_BYTES];
    quartet_status rc = QUARTET_OK;
    uint64_t erased = 0;
    *first = UINT64_MAX;
    for (uint64_t at = from; rc == QUARTET_OK;) {
        const uint8_t *head = scan_get(s, at, RECORD_HEAD_BYTES, &rc, err);
        if (head == NULL)
            break;
        if (load_le64(head) == 0) { /* a record begins with four zero bytes at most, unless its checksum begins so too */
            uint64_t skip = 0, run = s->len - (size_t)(at - s->start);
            while (skip + 24 <= run && load_le64(head + skip) == 0)
                skip += 8;
            at += skip > 8 ? skip - 8 : 1;
            continue;
        }
        struct log_record r;
        log_pos mark;
        if (!record_at(s, at, &r, &mark, &rc, err)) {
            at++;
            continue;
        }
        if (gap == 0) {
            *first = at;
            return QUARTET_OK;
        }
        if (mark > pos_of(gap))
            return damage(s, gap, "; later records show that it was on disk", err);
        if (!s->looks)
            rc = log_stream_write(s->log, at, zeros, sizeof zeros, err);
        if (rc == QUARTET_OK && !s->looks)
            rc = log_stream_sync(s->log, at, at + sizeof zeros, err);
        at = stream_of(r.end);
        s->len = 0;
        erased++;
    }
    if (rc == QUARTET_OK && erased > 0 && !s->looks)
        log_line(s->log->env, LOG_INFO, "log", "%llu unacknowledged records behind the end were dropped", (unsigned long long)erased);
    return rc;
}

static quartet_status start_of(struct scan *s, log_pos from, uint64_t *at, struct err *err)
{
    struct commit_log *log = s->log;
    uint64_t oldest = log->segments[0]->number * SEGMENT_STREAM_BYTES;
    if (from != 0) {
        *at = stream_of(from);
        if (*at < oldest || *at > s->limit)
            return err_set(err, QUARTET_CORRUPT, "%s: the log from position %llu on is missing", log->dir, (unsigned long long)from);
        return QUARTET_OK;
    }
    *at = oldest;
    if (log->segments[0]->number == 1)
        return QUARTET_OK;
    uint64_t first; /* the oldest segment begins in the middle of a record */
    quartet_status rc = search(s, oldest, 0, &first, err);
    if (rc == QUARTET_OK && first != UINT64_MAX)
        *at = first;
    return rc;
}

/* What no mark proves to be on disk is written once more before it is synced. It was read from the system's memory; where a sync of an earlier life failed the
 * system holds it for clean, and another sync would say yes and write nothing. */
static quartet_status write_again(struct scan *s, uint64_t from, uint64_t to, struct err *err)
{
    quartet_status rc = log_segments_write_headers(s->log, from, err);
    while (rc == QUARTET_OK && from < to) {
        size_t n = to - from < WINDOW_BYTES ? (size_t)(to - from) : WINDOW_BYTES;
        const uint8_t *p = scan_get(s, from, n, &rc, err);
        QASSERT(p != NULL || rc != QUARTET_OK); /* it was read before */
        if (rc == QUARTET_OK)
            rc = log_stream_write(s->log, from, p, n, err);
        from += n;
    }
    return rc;
}

static quartet_status replay(struct scan *s, log_pos from, quartet_status (*each)(void *arg, const struct log_record *r, struct err *err), void *arg,
                             struct err *err)
{
    struct commit_log *log = s->log;
    uint64_t at = 0, none;
    quartet_status rc = start_of(s, from, &at, err);
    uint64_t proven = at;
    while (rc == QUARTET_OK) {
        struct log_record r;
        log_pos mark;
        if (!record_at(s, at, &r, &mark, &rc, err))
            break;
        rc = each(arg, &r, err);
        at = stream_of(r.end);
        if (stream_of(mark) > proven)
            proven = stream_of(mark);
    }
    if (rc != QUARTET_OK)
        return rc;
    rc = search(s, at + 1, at, &none, err);
    if (rc == QUARTET_OK)
        rc = log_segments_settle(log, at, err);
    if (rc == QUARTET_OK)
        rc = write_again(s, proven, at, err);
    if (rc != QUARTET_OK)
        return rc;
    log->fill_start = log->out_start = at;
    atomic_store(&log->written, at);
    atomic_store(&log->end, at);
    /* What was found, names too, may still be in the system's memory only: a process that was killed, not a machine. */
    rc = log->env->ops->sync_dir(log->env, log->dir, err);
    if (rc == QUARTET_OK)
        rc = log_stream_sync(log, from != 0 ? stream_of(from) : log->segments[0]->number * SEGMENT_STREAM_BYTES, at, err);
    if (rc == QUARTET_OK)
        atomic_store(&log->synced, at);
    return rc;
}

static quartet_status begin_new(struct commit_log *log, log_pos from, struct err *err)
{
    uint64_t start = SEGMENT_STREAM_BYTES; /* of segment 1 */
    /* An owner that opened and closed without a write remembers the start: no segment was ever made, and none is missing. */
    if (from != 0 && stream_of(from) != start)
        return err_set(err, QUARTET_CORRUPT, "%s: the log from position %llu on is missing", log->dir, (unsigned long long)from);
    while (log->id == 0) {
        quartet_status rc = log->env->ops->random(log->env, &log->id, sizeof log->id, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    log->fill_start = log->out_start = start;
    atomic_store(&log->written, start);
    atomic_store(&log->prepared, start);
    atomic_store(&log->end, start);
    atomic_store(&log->synced, start);
    return QUARTET_OK;
}

quartet_status commit_log_replay(commit_log *log, log_pos from, quartet_status (*each)(void *arg, const struct log_record *r, struct err *err),
                                 void *arg, struct err *err)
{
    QASSERT(!log->replayed);
    quartet_status rc = QUARTET_OK;
    if (!log->in_memory && log->segment_count == 0) {
        rc = begin_new(log, from, err);
    } else if (!log->in_memory) {
        const struct segment *last = log->segments[log->segment_count - 1];
        uint64_t bytes = last->found > SEGMENT_HEADER_BYTES ? last->found - SEGMENT_HEADER_BYTES : 0;
        struct scan s = {.log = log, .limit = last->number * SEGMENT_STREAM_BYTES + bytes};
        rc = replay(&s, from, each, arg, err);
        mem_free(s.data);
    }
    log->replayed = rc == QUARTET_OK;
    return rc;
}

quartet_status commit_log_scan(commit_log *log, quartet_status (*each)(void *arg, const struct log_record *r, struct err *err), void *arg, bool *damaged,
                               struct err *err)
{
    QASSERT(!log->replayed && !log->in_memory);
    *damaged = false;
    if (log->segment_count == 0)
        return QUARTET_OK;
    const struct segment *last = log->segments[log->segment_count - 1];
    uint64_t bytes = last->found > SEGMENT_HEADER_BYTES ? last->found - SEGMENT_HEADER_BYTES : 0, at = 0, none;
    struct scan s = {.log = log, .limit = last->number * SEGMENT_STREAM_BYTES + bytes, .looks = true};
    log->written = UINT64_MAX; /* so that commit_log_read looks into the files, */
    atomic_store(&log->end, s.limit); /* all of them */
    quartet_status rc = start_of(&s, 0, &at, err);
    while (rc == QUARTET_OK) {
        struct log_record r;
        log_pos mark;
        if (!record_at(&s, at, &r, &mark, &rc, err))
            break;
        rc = each(arg, &r, err);
        at = stream_of(r.end);
    }
    if (rc == QUARTET_OK)
        rc = search(&s, at + 1, at, &none, err);
    for (size_t i = 0; rc == QUARTET_OK && i < log->segment_count; i++)
        if (log->segments[i]->prepared == 0 && log->segments[i]->number * SEGMENT_STREAM_BYTES < at)
            rc = err_set(err, QUARTET_CORRUPT, "%.400s/%08llu, offset 0: damaged header", log->dir, (unsigned long long)log->segments[i]->number);
    mem_free(s.data);
    if (rc != QUARTET_CORRUPT)
        return rc;
    *damaged = true;
    return QUARTET_OK;
}
