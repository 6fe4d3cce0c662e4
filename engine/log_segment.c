/* log_segment.c - the files of the log: made ahead of use, written and read as one stream of bytes, recycled.
 * Why zeros ahead of use: a sync after an overwrite costs two thirds of one after an append that grows the file, and a prepared segment cannot
 *   run out of disk. Why in writes of 4 KiB: pages filled by larger ones cost twenty times as much to overwrite.
 * Why recycled: an old segment is such a prepared file already; its old records are not valid under another number, since checksums are
 *   salted with the position.
 * Invariants: a segment's header is on disk before a record goes in; numbers have no gaps. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/log.h"
#include "base/mem.h"
#include "log_internal.h"

#define MAGIC "QRTLOG01"
#define SPARES_MAX 2u
#define PAGE_BYTES 4096u

/* Header: magic 8, u64 log id, u64 number, u64 position up to which the log was on disk when it was made, zeros, u64 checksum of these 56. */
static void header_make(const struct commit_log *log, uint64_t number, uint8_t *out)
{
    memset(out, 0, SEGMENT_HEADER_BYTES);
    memcpy(out, MAGIC, 8);
    store_le64(out + 8, log->id);
    store_le64(out + 16, number);
    store_le64(out + 24, pos_of(atomic_load(&log->synced)));
    store_le64(out + 56, XXH3_64bits(out, 56));
}

static bool header_good(const uint8_t *h, uint64_t number)
{
    return memcmp(h, MAGIC, 8) == 0 && load_le64(h + 56) == XXH3_64bits(h, 56) && load_le64(h + 16) == number;
}

static quartet_status segment_path(const struct commit_log *log, uint64_t number, char *out, size_t n, struct err *err)
{
    char name[32];
    snprintf(name, sizeof name, "%08llu", (unsigned long long)number);
    return path_join(out, n, log->dir, name, err);
}

static quartet_status spare_path(const struct commit_log *log, uint64_t which, char *out, size_t n, struct err *err)
{
    char name[32];
    snprintf(name, sizeof name, "spare-%llu", (unsigned long long)which);
    return path_join(out, n, log->dir, name, err);
}

void log_place_text(const struct commit_log *log, uint64_t stream, char *out, size_t n)
{
    log_pos pos = pos_of(stream);
    snprintf(out, n, "%.400s/%08llu, offset %llu", log->dir, (unsigned long long)(pos / LOG_SEGMENT_BYTES),
             (unsigned long long)(pos % LOG_SEGMENT_BYTES));
}

static void segment_free(struct commit_log *log, struct segment *s)
{
    if (s == NULL)
        return;
    log->env->ops->close(s->file);
    mem_free(s);
}

/* Takes the segment. */
static quartet_status table_add(struct commit_log *log, struct segment *s, struct err *err)
{
    pthread_mutex_lock(&log->lock);
    bool room = log->segment_count < log->segment_cap;
    if (!room) {
        size_t cap = log->segment_cap == 0 ? 16 : log->segment_cap * 2;
        struct segment **grown = mem_realloc(log->segments, cap, sizeof *grown);
        if (grown != NULL) {
            log->segments = grown;
            log->segment_cap = cap;
            room = true;
        }
    }
    if (room)
        log->segments[log->segment_count++] = s;
    pthread_mutex_unlock(&log->lock);
    if (room)
        return QUARTET_OK;
    segment_free(log, s);
    return err_nomem(err);
}

struct listing {
    struct commit_log *log;
    uint64_t *numbers;
    size_t count, cap;
    uint64_t spares;
};

static quartet_status list_entry(void *arg, const char *name, struct err *err)
{
    struct listing *l = arg;
    if (strncmp(name, "spare-", 6) == 0) { /* in order of their names, so they are counted without gaps */
        l->spares += strtoull(name + 6, NULL, 10) == l->spares ? 1 : 0;
        return QUARTET_OK;
    }
    if (strlen(name) != 8 || strspn(name, "0123456789") != 8)
        return QUARTET_OK;
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        uint64_t *grown = mem_realloc(l->numbers, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        l->numbers = grown;
        l->cap = cap;
    }
    l->numbers[l->count++] = strtoull(name, NULL, 10);
    return QUARTET_OK;
}

static quartet_status segment_open(struct commit_log *log, uint64_t number, enum file_mode mode, struct segment **out, struct err *err)
{
    char path[LOG_PATH_BYTES_MAX + 32];
    quartet_status rc = segment_path(log, number, path, sizeof path, err);
    struct segment *s = rc == QUARTET_OK ? mem_zalloc(1, sizeof *s) : NULL;
    if (rc == QUARTET_OK && s == NULL)
        rc = err_nomem(err);
    if (rc == QUARTET_OK)
        rc = log->env->ops->open(log->env, path, mode, &s->file, err);
    if (rc != QUARTET_OK) {
        mem_free(s);
        return rc;
    }
    s->number = number;
    *out = s;
    return QUARTET_OK;
}

/* Open a segment that was found. One without a good header is of no use unless it holds records, which recovery finds out. */
static quartet_status segment_load(struct commit_log *log, uint64_t number, struct err *err)
{
    struct segment *s = NULL;
    quartet_status rc = segment_open(log, number, FILE_WRITE, &s, err);
    if (rc != QUARTET_OK)
        return rc;
    uint8_t header[SEGMENT_HEADER_BYTES];
    size_t got = 0;
    uint64_t size = 0;
    rc = log->env->ops->size(s->file, &size, err);
    if (rc == QUARTET_OK)
        rc = log->env->ops->pread(s->file, header, sizeof header, 0, &got, err);
    if (rc != QUARTET_OK) {
        segment_free(log, s);
        return rc;
    }
    if (got == sizeof header && header_good(header, number) && (log->id == 0 || log->id == load_le64(header + 8))) {
        log->id = load_le64(header + 8);
        s->prepared = size < LOG_SEGMENT_BYTES ? (size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES : LOG_SEGMENT_BYTES;
    }
    s->found = size < LOG_SEGMENT_BYTES ? size : LOG_SEGMENT_BYTES;
    return table_add(log, s, err);
}

static quartet_status header_damaged(const struct commit_log *log, const struct segment *s, struct err *err)
{
    return err_set(err, QUARTET_CORRUPT, "%.400s/%08llu, offset 0: damaged header", log->dir, (unsigned long long)s->number);
}

/* A crash while the very first segment was made leaves a file without a header and without zeros: nothing was ever in it. */
static quartet_status drop_unfinished(struct commit_log *log, struct err *err)
{
    struct segment *s = log->segments[0];
    uint64_t size = 0;
    quartet_status rc = log->env->ops->size(s->file, &size, err);
    if (rc == QUARTET_OK && s->prepared == 0 && s->number == 1 && size <= PAGE_BYTES) {
        segment_free(log, s);
        log->segment_count = 0;
        log->id = 0;
    }
    return rc;
}

quartet_status log_segments_open(struct commit_log *log, struct err *err)
{
    struct listing l = {.log = log};
    quartet_status rc = log->env->ops->list(log->env, log->dir, list_entry, &l, err);
    for (size_t i = 0; i < l.count && rc == QUARTET_OK; i++) {
        if (l.numbers[i] == 0 || (i > 0 && l.numbers[i] != l.numbers[i - 1] + 1))
            rc = err_set(err, QUARTET_CORRUPT, "%s: the segment before %08llu is missing", log->dir, (unsigned long long)l.numbers[i]);
        else
            rc = segment_load(log, l.numbers[i], err);
    }
    mem_free(l.numbers);
    log->spare_count = l.spares;
    if (rc == QUARTET_OK && log->segment_count == 1)
        rc = drop_unfinished(log, err);
    if (rc == QUARTET_OK && log->segment_count > 0 && log->segments[0]->prepared == 0)
        rc = header_damaged(log, log->segments[0], err);
    return rc;
}

void log_segments_close(struct commit_log *log)
{
    for (size_t i = 0; i < log->segment_count; i++)
        segment_free(log, log->segments[i]);
    mem_free(log->segments);
    log->segments = NULL;
    log->segment_count = 0;
}

static void set_prepared(struct commit_log *log)
{
    const struct segment *last = log->segments[log->segment_count - 1];
    uint64_t upto = last->number * SEGMENT_STREAM_BYTES + (last->prepared > SEGMENT_HEADER_BYTES ? last->prepared - SEGMENT_HEADER_BYTES : 0);
    atomic_store(&log->prepared, upto);
}

/* Write zeros from s->prepared on, a step's worth. */
static quartet_status fill_zeros(struct commit_log *log, struct segment *s, struct err *err)
{
    static const uint8_t zeros[PAGE_BYTES];
    uint64_t upto = s->prepared + LOG_FILL_BYTES < LOG_SEGMENT_BYTES ? s->prepared + LOG_FILL_BYTES : LOG_SEGMENT_BYTES;
    quartet_status rc = QUARTET_OK;
    for (uint64_t at = s->prepared; at < upto && rc == QUARTET_OK; at += PAGE_BYTES)
        rc = log->env->ops->pwrite(s->file, zeros, PAGE_BYTES, at, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = log->env->ops->sync(s->file, err);
    if (rc != QUARTET_OK) { /* records in this file went with it, maybe: the system tells of a failure once, and holds what was lost for clean */
        pthread_mutex_lock(&log->lock);
        rc = log_fail(log, err);
        pthread_mutex_unlock(&log->lock);
        return rc;
    }
    pthread_mutex_lock(&log->lock);
    s->prepared = upto;
    set_prepared(log);
    pthread_mutex_unlock(&log->lock);
    return QUARTET_OK;
}

/* Take a recycled file under the new number, if there is one. */
static quartet_status take_spare(struct commit_log *log, uint64_t number, bool *taken, struct err *err)
{
    char from[LOG_PATH_BYTES_MAX + 32], to[LOG_PATH_BYTES_MAX + 32];
    *taken = false;
    pthread_mutex_lock(&log->lock);
    uint64_t which = log->spare_count;
    log->spare_count = which > 0 ? which - 1 : 0;
    pthread_mutex_unlock(&log->lock);
    if (which == 0)
        return QUARTET_OK;
    quartet_status rc = spare_path(log, which - 1, from, sizeof from, err);
    if (rc == QUARTET_OK)
        rc = segment_path(log, number, to, sizeof to, err);
    if (rc == QUARTET_OK)
        rc = log->env->ops->rename(log->env, from, to, err);
    *taken = rc == QUARTET_OK;
    return rc == QUARTET_NOTFOUND || rc == QUARTET_CANTOPEN ? QUARTET_OK : rc;
}

static quartet_status segment_add(struct commit_log *log, uint64_t number, struct err *err)
{
    struct segment *s = NULL;
    bool recycled;
    quartet_status rc = take_spare(log, number, &recycled, err);
    if (rc == QUARTET_OK)
        rc = segment_open(log, number, FILE_WRITE, &s, err);
    if (rc != QUARTET_OK)
        return rc;
    uint64_t size = 0;
    uint8_t page[PAGE_BYTES] = {0};
    header_make(log, number, page);
    rc = log->env->ops->size(s->file, &size, err);
    if (rc == QUARTET_OK)
        rc = log->env->ops->pwrite(s->file, page, recycled ? SEGMENT_HEADER_BYTES : PAGE_BYTES, 0, err);
    if (rc == QUARTET_OK)
        rc = log->env->ops->sync(s->file, err);
    if (rc == QUARTET_OK)
        rc = log->env->ops->sync_dir(log->env, log->dir, err);
    if (rc != QUARTET_OK) {
        segment_free(log, s);
        return rc;
    }
    s->prepared = recycled && size >= LOG_SEGMENT_BYTES ? LOG_SEGMENT_BYTES : PAGE_BYTES;
    rc = table_add(log, s, err);
    if (rc != QUARTET_OK)
        return rc;
    pthread_mutex_lock(&log->lock);
    set_prepared(log);
    pthread_mutex_unlock(&log->lock);
    return s->prepared < LOG_SEGMENT_BYTES ? fill_zeros(log, s, err) : QUARTET_OK;
}

quartet_status log_prepare(struct commit_log *log, uint64_t upto, struct err *err)
{
    pthread_mutex_lock(&log->prepare_lock);
    pthread_mutex_lock(&log->lock);
    bool ready = log->prepared >= upto; /* another thread was faster */
    struct segment *last = log->segment_count > 0 ? log->segments[log->segment_count - 1] : NULL;
    pthread_mutex_unlock(&log->lock);
    quartet_status rc;
    if (ready)
        rc = QUARTET_OK;
    else if (last == NULL)
        rc = segment_add(log, 1, err);
    else if (last->prepared < LOG_SEGMENT_BYTES)
        rc = fill_zeros(log, last, err);
    else
        rc = segment_add(log, last->number + 1, err);
    pthread_mutex_unlock(&log->prepare_lock);
    return rc;
}

static struct segment *pin(struct commit_log *log, uint64_t number)
{
    struct segment *s = NULL;
    pthread_mutex_lock(&log->lock);
    if (log->segment_count > 0 && number >= log->segments[0]->number && number - log->segments[0]->number < log->segment_count) {
        s = log->segments[number - log->segments[0]->number];
        s->pins++;
    }
    pthread_mutex_unlock(&log->lock);
    return s;
}

static void unpin(struct commit_log *log, struct segment *s)
{
    pthread_mutex_lock(&log->lock);
    s->pins--;
    pthread_mutex_unlock(&log->lock);
}

quartet_status log_stream_write(struct commit_log *log, uint64_t stream, const uint8_t *p, size_t n, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (n > 0 && rc == QUARTET_OK) {
        uint64_t offset = stream % SEGMENT_STREAM_BYTES;
        size_t part = SEGMENT_STREAM_BYTES - offset < n ? (size_t)(SEGMENT_STREAM_BYTES - offset) : n;
        struct segment *s = pin(log, stream / SEGMENT_STREAM_BYTES);
        QASSERT(s != NULL);
        rc = log->env->ops->pwrite(s->file, p, part, SEGMENT_HEADER_BYTES + offset, err);
        unpin(log, s);
        stream += part;
        p += part;
        n -= part;
    }
    return rc;
}

quartet_status log_stream_store(struct commit_log *log, uint64_t stream, const uint8_t *p, size_t n, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (n > 0 && rc == QUARTET_OK) {
        uint64_t offset = stream % SEGMENT_STREAM_BYTES, first = log->segments[0]->number;
        size_t part = SEGMENT_STREAM_BYTES - offset < n ? (size_t)(SEGMENT_STREAM_BYTES - offset) : n;
        QASSERT(stream / SEGMENT_STREAM_BYTES - first < log->segment_count);
        struct segment *s = log->segments[stream / SEGMENT_STREAM_BYTES - first];
        rc = log->env->ops->store(s->file, p, part, SEGMENT_HEADER_BYTES + offset, err);
        stream += part;
        p += part;
        n -= part;
    }
    return rc;
}

quartet_status log_stream_read(struct commit_log *log, uint64_t stream, uint8_t *p, size_t n, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (n > 0 && rc == QUARTET_OK) {
        uint64_t offset = stream % SEGMENT_STREAM_BYTES;
        size_t part = SEGMENT_STREAM_BYTES - offset < n ? (size_t)(SEGMENT_STREAM_BYTES - offset) : n;
        struct segment *s = pin(log, stream / SEGMENT_STREAM_BYTES);
        if (s == NULL)
            return err_set(err, QUARTET_NOTFOUND, "log segment %llu is not kept", (unsigned long long)(stream / SEGMENT_STREAM_BYTES));
        size_t got = 0;
        rc = log->env->ops->pread(s->file, p, part, SEGMENT_HEADER_BYTES + offset, &got, err);
        unpin(log, s);
        if (rc == QUARTET_OK && got < part)
            memset(p + got, 0, part - got);
        stream += part;
        p += part;
        n -= part;
    }
    return rc;
}

quartet_status log_stream_sync(struct commit_log *log, uint64_t from, uint64_t to, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    uint64_t last = (to > from ? to - 1 : from) / SEGMENT_STREAM_BYTES;
    for (uint64_t number = from / SEGMENT_STREAM_BYTES; number <= last && rc == QUARTET_OK; number++) {
        struct segment *s = pin(log, number);
        if (s == NULL)
            continue;
        uint64_t began = log->env->ops->mono_ns(log->env);
        rc = log->env->ops->sync(s->file, err);
        atomic_fetch_add_explicit(&log->syncs_ns, log->env->ops->mono_ns(log->env) - began, memory_order_relaxed);
        atomic_fetch_add_explicit(&log->syncs, 1, memory_order_relaxed);
        unpin(log, s);
    }
    return rc;
}

/* Archive a segment's file, or turn it into a spare, or remove it where there are enough. *gone: it does not stand under its number any longer. */
static quartet_status recycle(struct commit_log *log, uint64_t number, bool whole, bool *gone, struct err *err)
{
    char from[LOG_PATH_BYTES_MAX + 32], to[LOG_PATH_BYTES_MAX + 32];
    *gone = false;
    pthread_mutex_lock(&log->lock);
    uint64_t which = log->spare_count;
    pthread_mutex_unlock(&log->lock);
    quartet_status rc = segment_path(log, number, from, sizeof from, err);
    if (rc == QUARTET_OK && whole && log->archive[0] != '\0')
        rc = log_segment_archive(log, from, gone, err);
    if (rc != QUARTET_OK || *gone)
        return rc;
    if (!whole || which >= SPARES_MAX) {
        rc = log->env->ops->unlink(log->env, from, err);
        *gone = rc == QUARTET_OK;
        return rc;
    }
    rc = spare_path(log, which, to, sizeof to, err);
    if (rc == QUARTET_OK)
        rc = log->env->ops->rename(log->env, from, to, err);
    if (rc != QUARTET_OK)
        return rc;
    *gone = true;
    pthread_mutex_lock(&log->lock);
    log->spare_count = which + 1;
    pthread_mutex_unlock(&log->lock);
    return QUARTET_OK;
}

/* Out of the table, once nobody reads it. prepare_lock held, so its file is not used again meanwhile. */
static void forget_first(struct commit_log *log)
{
    pthread_mutex_lock(&log->lock);
    struct segment *s = log->segments[0];
    log->segment_count--;
    memmove(log->segments, log->segments + 1, log->segment_count * sizeof log->segments[0]);
    while (s->pins > 0) {
        pthread_mutex_unlock(&log->lock);
        sched_yield();
        pthread_mutex_lock(&log->lock);
    }
    pthread_mutex_unlock(&log->lock);
    segment_free(log, s);
}

quartet_status log_segments_trim(struct commit_log *log, uint64_t before, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&log->prepare_lock);
    while (rc == QUARTET_OK) {
        pthread_mutex_lock(&log->lock);
        struct segment *first = log->segment_count > 1 ? log->segments[0] : NULL;
        bool gone, go = first != NULL && (first->number + 1) * SEGMENT_STREAM_BYTES <= before && first->pins == 0 &&
                        (first->number + 1) * SEGMENT_STREAM_BYTES <= atomic_load(&log->synced);
        pthread_mutex_unlock(&log->lock);
        if (!go)
            break;
        rc = recycle(log, first->number, first->prepared == LOG_SEGMENT_BYTES, &gone, err);
        if (gone)
            forget_first(log);
        if (rc == QUARTET_OK) /* one after the other, else a crash could leave a gap */
            rc = log->env->ops->sync_dir(log->env, log->dir, err);
    }
    pthread_mutex_unlock(&log->prepare_lock);
    return rc;
}

quartet_status log_segments_write_headers(struct commit_log *log, uint64_t from, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (size_t i = 0; i < log->segment_count && rc == QUARTET_OK; i++) {
        const struct segment *s = log->segments[i];
        uint8_t header[SEGMENT_HEADER_BYTES];
        size_t got = 0;
        if (s->number < from / SEGMENT_STREAM_BYTES)
            continue;
        rc = log->env->ops->pread(s->file, header, sizeof header, 0, &got, err);
        if (rc == QUARTET_OK && got == sizeof header)
            rc = log->env->ops->pwrite(s->file, header, sizeof header, 0, err);
        if (rc == QUARTET_OK)
            rc = log->env->ops->sync(s->file, err);
    }
    return rc;
}

quartet_status log_segments_settle(struct commit_log *log, uint64_t end, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct segment *s = log->segments[i];
        if (s->prepared == 0 && s->number * SEGMENT_STREAM_BYTES < end)
            return header_damaged(log, s, err);
    }
    while (log->segment_count > 1 && rc == QUARTET_OK) {
        struct segment *last = log->segments[log->segment_count - 1];
        if (last->prepared != 0)
            break;
        bool gone;
        rc = recycle(log, last->number, false, &gone, err);
        segment_free(log, last);
        log->segment_count--;
    }
    if (rc == QUARTET_OK)
        set_prepared(log);
    return rc;
}
