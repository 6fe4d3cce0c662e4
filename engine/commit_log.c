/* commit_log.c - append and group commit.
 * Why two buffers: while one thread writes what was gathered (`out`), the next batch gathers in `fill`; whoever waits for it then finds one
 *   write and one fdatasync for all. The first to need a sync does it for everybody (the leader), the others sleep until the round that covers them ends: one
 *   call wakes them all, another the leader of the next round, and nobody is woken for nothing.
 * Why a store under the lock for NORMAL: it is a copy of a few hundred bytes into a mapped page, less than letting go of the lock and taking it again.
 * Why a failed write or sync breaks the log for good: after fsync has failed the system may drop the dirty pages and report success the next
 *   time; only reading the log anew tells what is there.
 * Invariants: written <= fill_start <= end; records enter `fill` whole, so a record is in the files, in `out`, or in `fill`.
 * Not here: the files (log_segment.c), recovery (log_replay.c), the log of :memory: databases (log_mem.c). */
#include "commit_log.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/park.h"
#include "log_internal.h"

#define GATHER_SKIP_MAX 64u  /* rounds that do not wait, after waits in vain */

static void *preparer(void *arg)
{
    struct commit_log *log = arg;
    bool told = false; /* once for a disk that is full, not at each append that wakes this */
    pthread_mutex_lock(&log->lock);
    while (!log->stop) {
        uint64_t upto = atomic_load(&log->end) + LOG_AHEAD_BYTES;
        if (log->prepared >= upto || log->broken.code != QUARTET_OK) {
            pthread_cond_wait(&log->prepare_wake, &log->lock);
            continue;
        }
        pthread_mutex_unlock(&log->lock);
        struct err err = ERR_INIT;
        quartet_status rc = log_prepare(log, upto, &err);
        pthread_mutex_lock(&log->lock);
        bool tell = rc != QUARTET_OK && !told;
        told = rc != QUARTET_OK;
        if (rc != QUARTET_OK && !log->stop) { /* append tries by itself, and tells its caller */
            if (tell)
                log_line(log->env, LOG_WARN, "log", "no room could be prepared: %s", err.text);
            pthread_cond_wait(&log->prepare_wake, &log->lock);
        }
    }
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

static quartet_status init_locks(struct commit_log *log, struct err *err)
{
    bool good = park_mutex_init(&log->lock) && pthread_mutex_init(&log->prepare_lock, NULL) == 0 &&
                pthread_cond_init(&log->change, NULL) == 0 && pthread_cond_init(&log->prepare_wake, NULL) == 0;
    return good ? QUARTET_OK : err_nomem(err);
}

quartet_status commit_log_open(struct env *env, const char *dir, bool in_memory, commit_log **out, struct err *err)
{
    struct commit_log *log = mem_zalloc(1, sizeof *log);
    if (log == NULL)
        return err_nomem(err);
    log->env = env;
    log->in_memory = in_memory;
    log->broken = ERR_INIT;
    quartet_status rc = init_locks(log, err);
    if (rc != QUARTET_OK) {
        mem_free(log);
        return rc;
    }
    if (!in_memory) {
        rc = path_join(log->dir, sizeof log->dir, dir, "log", err);
        if (rc == QUARTET_OK)
            rc = env->ops->mkdir(env, log->dir, err);
        if (rc == QUARTET_OK)
            rc = env->ops->sync_dir(env, dir, err);
        if (rc == QUARTET_OK)
            rc = log_segments_open(log, err);
    }
    if (rc != QUARTET_OK) {
        commit_log_close(log);
        return rc;
    }
    *out = log;
    return QUARTET_OK;
}

quartet_status log_fail(struct commit_log *log, struct err *err)
{
    err_prefix(err, "the log is broken, open the database again");
    err->code = QUARTET_IO;
    if (log->broken.code == QUARTET_OK)
        log->broken = *err;
    atomic_fetch_add(&log->round, 1);
    pthread_cond_broadcast(&log->change);
    park_wake(&log->round, PARK_ALL, PARK_ALL);
    return QUARTET_IO;
}

/* Hand everything gathered so far to the system. Lock held on entry and exit, not in between where `store` is false. Nobody else is writing. */
static quartet_status hand_over(struct commit_log *log, bool store, struct err *err)
{
    QASSERT(!log->writing);
    quartet_status rc;
    uint64_t end = log->fill_start + log->fill.len;
    if (store && log->fill.len <= LOG_STORE_BYTES) {
        rc = log_stream_store(log, log->fill_start, log->fill.data, log->fill.len, err);
        if (rc != QUARTET_OK)
            return log_fail(log, err);
        buf_clear(&log->fill);
        log->fill_start = end;
        atomic_store(&log->written, end);
        return QUARTET_OK;
    }
    struct buf swap = log->out;
    log->out = log->fill;
    log->fill = swap;
    buf_clear(&log->fill);
    log->out_start = log->fill_start;
    log->fill_start = end;
    log->writing = true;
    pthread_mutex_unlock(&log->lock);
    rc = log_stream_write(log, log->out_start, log->out.data, log->out.len, err);
    pthread_mutex_lock(&log->lock);
    log->writing = false;
    if (rc != QUARTET_OK)
        return log_fail(log, err);
    buf_clear(&log->out);
    atomic_store(&log->written, end);
    pthread_cond_broadcast(&log->change);
    return QUARTET_OK;
}

static quartet_status broken(const struct commit_log *log, struct err *err)
{
    if (log->broken.code != QUARTET_OK)
        *err = log->broken;
    return log->broken.code;
}

/* Make sure that segments are ready up to `upto`. The appender's thread. */
static quartet_status ensure_prepared(struct commit_log *log, uint64_t upto, struct err *err)
{
    for (;;) {
        uint64_t prepared = atomic_load(&log->prepared);
        if (log->has_thread && prepared < upto + LOG_AHEAD_BYTES / 2) {
            pthread_mutex_lock(&log->lock);
            pthread_cond_signal(&log->prepare_wake);
            pthread_mutex_unlock(&log->lock);
        }
        if (prepared >= upto)
            return QUARTET_OK;
        quartet_status rc = log_prepare(log, upto, err);
        if (rc != QUARTET_OK)
            return rc;
    }
}

static quartet_status start_thread(struct commit_log *log, struct err *err)
{
    if (log->has_thread || !log->env->threads)
        return QUARTET_OK;
    log->has_thread = true;
    if (pthread_create(&log->thread, NULL, preparer, log) == 0)
        return QUARTET_OK;
    log->has_thread = false;
    return err_set(err, QUARTET_NOMEM, "a thread for the log could not be started");
}

/* Put the record behind what was gathered. Lock held. */
static quartet_status gather(struct commit_log *log, enum log_type type, const struct slice *parts, size_t part_count, size_t length, struct err *err)
{
    uint64_t at = atomic_load(&log->end);
    uint8_t *p = buf_reserve(&log->fill, RECORD_HEAD_BYTES + length);
    if (p == NULL) {
        log->fill.failed = false; /* what is in it is whole */
        return err_nomem(err);
    }
    store_le32(p, (uint32_t)length);
    p[12] = (uint8_t)type;
    store_le64(p + 13, pos_of(atomic_load(&log->synced)));
    size_t to = RECORD_HEAD_BYTES;
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].n > 0)
            memcpy(p + to, parts[i].p, parts[i].n);
        to += parts[i].n;
    }
    store_le64(p + 4, log_checksum(log, at, (uint32_t)length, p + 12, to - 12));
    log->fill.len += to;
    atomic_store(&log->end, at + to);
    return QUARTET_OK;
}

quartet_status commit_log_append(commit_log *log, enum log_type type, const struct slice *parts, size_t part_count, log_pos *at, log_pos *end,
                                 struct err *err)
{
    QASSERT(log->replayed);
    size_t length = 0;
    for (size_t i = 0; i < part_count; i++)
        length += parts[i].n;
    if (length > LOG_RECORD_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "a log record of %zu bytes, the limit is %u", length, LOG_RECORD_BYTES_MAX);
    if (log->in_memory) {
        pthread_mutex_lock(&log->lock);
        quartet_status rc = log_mem_append(&log->mem, type, parts, part_count, at, end, err);
        atomic_store(&log->end, log->mem.end);
        pthread_mutex_unlock(&log->lock);
        return rc;
    }
    quartet_status rc = start_thread(log, err);
    if (rc == QUARTET_OK)
        rc = ensure_prepared(log, atomic_load(&log->end) + RECORD_HEAD_BYTES + length, err);
    if (rc != QUARTET_OK)
        return rc;
    pthread_mutex_lock(&log->lock);
    rc = broken(log, err);
    if (rc == QUARTET_OK) {
        *at = pos_of(atomic_load(&log->end));
        rc = gather(log, type, parts, part_count, length, err);
        *end = pos_of(atomic_load(&log->end));
    }
    /* So much that nobody waits for: written here, so that memory stays bounded. */
    while (rc == QUARTET_OK && log->fill.len >= LOG_WRITE_BYTES) {
        rc = broken(log, err);
        if (rc == QUARTET_OK && log->writing)
            pthread_cond_wait(&log->change, &log->lock);
        else if (rc == QUARTET_OK)
            rc = hand_over(log, false, err);
    }
    pthread_mutex_unlock(&log->lock);
    return rc;
}

/* NORMAL: a write in a running process; no need to wait for a sync that is under way. */
static quartet_status give_to_system(struct commit_log *log, uint64_t upto, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&log->lock);
    while (rc == QUARTET_OK && atomic_load(&log->written) < upto) {
        rc = broken(log, err);
        if (rc == QUARTET_OK && log->writing)
            pthread_cond_wait(&log->change, &log->lock);
        else if (rc == QUARTET_OK)
            rc = hand_over(log, true, err);
    }
    pthread_mutex_unlock(&log->lock);
    return rc;
}

static uint32_t round_bit(uint32_t round)
{
    return 1u << (round % 32);
}

/* A round began at `began` and ended: for how many should the next one wait, and how long? Those who were let go come back soon if they commit one thing
 * after the other, and a round without them would make them wait for a whole one more. Lock held. */
static void expect(struct commit_log *log, uint64_t began)
{
    uint64_t now = log->env->ops->mono_ns(log->env), took = now - began;
    uint32_t seen = log->covered + log->waiters;
    log->sync_ns = log->sync_ns == 0 ? took : log->sync_ns - log->sync_ns / 8 + took / 8;
    log->sessions = seen > log->sessions ? seen : log->sessions;
    log->expected = log->skip > 0 ? 1 : log->sessions;
    log->skip -= log->skip > 0;
    log->gather_until = now + log->sync_ns;
}

/* A round begins. Were those who were waited for there? A wait in vain is paid for by rounds that wait for nobody. Lock held. */
static void muster(struct commit_log *log)
{
    log->covered = log->waiters;
    if (log->expected > 1 && log->covered >= log->expected) {
        log->vain /= 2;
    } else if (log->expected > 1) {
        log->sessions = log->covered;
        log->vain = log->vain < GATHER_SKIP_MAX / 2 ? log->vain * 2 + 1 : GATHER_SKIP_MAX;
        log->skip = log->vain;
    }
    log->waiters = 0;
    log->gathered = false;
}

/* Write and sync for everybody who waits: the leader. Lock held on entry and exit, not in between. Nobody else is syncing. */
static quartet_status lead(struct commit_log *log, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    uint64_t from = atomic_load(&log->synced), began = log->env->ops->mono_ns(log->env);
    uint32_t me = ++log->rounds;
    log->syncing = true;
    log->sync_to = UINT64_MAX; /* what is appended until the records are taken is taken */
    while (rc == QUARTET_OK && log->writing) {
        pthread_cond_wait(&log->change, &log->lock);
        rc = broken(log, err);
    }
    log->sync_to = log->fill_start + log->fill.len;
    uint64_t to = log->sync_to;
    muster(log);
    if (rc == QUARTET_OK && log->fill.len > 0)
        rc = hand_over(log, false, err);
    pthread_mutex_unlock(&log->lock);
    bool synced = rc == QUARTET_OK;
    if (synced)
        rc = log_stream_sync(log, from, to, err);
    pthread_mutex_lock(&log->lock);
    log->syncing = false;
    if (rc != QUARTET_OK)
        return synced ? log_fail(log, err) : rc;
    atomic_store(&log->synced, to);
    atomic_store(&log->round, me);
    expect(log, began);
    bool more = log->waiters > 0, several = log->covered > 1;
    pthread_mutex_unlock(&log->lock);
    /* One of those who came meanwhile sees to the next round; then what is durable is shown, then all whom this round covers return, by one call. */
    if (more)
        park_wake(&log->round, 1, round_bit(me + 1));
    if (log->on_sync != NULL)
        log->on_sync(log->on_sync_arg);
    if (several)
        park_wake(&log->round, PARK_ALL, round_bit(me));
    pthread_mutex_lock(&log->lock);
    return QUARTET_OK;
}

/* Nobody syncs: may the next round begin? Where somebody watches the time others need not. Lock held. */
static bool complete(const struct commit_log *log, bool watches)
{
    return log->waiters >= log->expected || ((watches || !log->gathered) && log->env->ops->mono_ns(log->env) >= log->gather_until);
}

static quartet_status sync_full(struct commit_log *log, uint64_t upto, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    uint32_t guard = 0; /* the round whose time this thread watches; 0: none */
    pthread_mutex_lock(&log->lock);
    if (log->syncing && log->sync_to != UINT64_MAX && upto <= log->sync_to)
        log->covered++; /* its record was taken before it came here */
    else if (atomic_load(&log->synced) < upto)
        log->waiters++;
    while (rc == QUARTET_OK && atomic_load(&log->synced) < upto) {
        rc = broken(log, err);
        if (rc == QUARTET_OK && !log->syncing && complete(log, guard == log->rounds + 1)) {
            rc = lead(log, err);
        } else if (rc == QUARTET_OK) {
            uint32_t seen = atomic_load(&log->round), mine = log->syncing && upto <= log->sync_to ? log->rounds : log->rounds + 1;
            uint64_t until = 0;
            if (!log->syncing && (!log->gathered || guard == mine)) {
                log->gathered = true;
                guard = mine;
                until = log->gather_until;
            }
            pthread_mutex_unlock(&log->lock);
            if (until != 0)
                park_wait_until(&log->round, seen, round_bit(mine), until);
            else
                park_wait(&log->round, seen, round_bit(mine));
            if (atomic_load(&log->synced) >= upto)
                return QUARTET_OK;
            pthread_mutex_lock(&log->lock);
        }
    }
    pthread_mutex_unlock(&log->lock);
    return rc;
}

quartet_status commit_log_sync(commit_log *log, log_pos end, enum log_sync_mode mode, struct err *err)
{
    if (log->in_memory || mode == LOG_SYNC_OFF)
        return QUARTET_OK;
    uint64_t upto = stream_of(end);
    if (atomic_load(mode == LOG_SYNC_FULL ? &log->synced : &log->written) >= upto)
        return QUARTET_OK;
    return mode == LOG_SYNC_FULL ? sync_full(log, upto, err) : give_to_system(log, upto, err);
}

void commit_log_on_sync(commit_log *log, void (*on_sync)(void *arg), void *arg)
{
    log->on_sync = on_sync;
    log->on_sync_arg = arg;
}

static log_pos public_pos(const commit_log *log, uint64_t stream)
{
    return log->in_memory ? stream : pos_of(stream);
}

log_pos commit_log_synced(const commit_log *log)
{
    return public_pos(log, log->in_memory ? atomic_load(&log->end) : atomic_load(&log->synced));
}

log_pos commit_log_end(const commit_log *log)
{
    return public_pos(log, atomic_load(&log->end));
}

/* From a record in memory: `bytes` from its head on, as far as they go. */
static quartet_status read_gathered(const struct commit_log *log, uint64_t at, enum log_type *type, struct buf *out, log_pos *end, struct err *err)
{
    const struct buf *b = at >= log->fill_start ? &log->fill : &log->out;
    uint64_t start = at >= log->fill_start ? log->fill_start : log->out_start;
    if (at < start || at - start + RECORD_HEAD_BYTES > b->len)
        return err_set(err, QUARTET_NOTFOUND, "log position %llu is not the start of a record", (unsigned long long)pos_of(at));
    const uint8_t *p = b->data + (at - start);
    size_t n = load_le32(p);
    if (at - start + RECORD_HEAD_BYTES + n > b->len)
        return err_set(err, QUARTET_NOTFOUND, "log position %llu is not the start of a record", (unsigned long long)pos_of(at));
    buf_put(out, p + RECORD_HEAD_BYTES, n);
    *type = (enum log_type)p[12];
    *end = pos_of(at + RECORD_HEAD_BYTES + n);
    return buf_check(out, err);
}

static quartet_status read_stored(struct commit_log *log, uint64_t at, enum log_type *type, struct buf *out, log_pos *end, struct err *err)
{
    uint8_t head[RECORD_HEAD_BYTES];
    char place[LOG_PATH_BYTES_MAX + 64];
    quartet_status rc = log_stream_read(log, at, head, sizeof head, err);
    if (rc != QUARTET_OK)
        return rc;
    size_t n = load_le32(head), start = out->len;
    bool good = n <= LOG_RECORD_BYTES_MAX && at + RECORD_HEAD_BYTES + n <= atomic_load(&log->end);
    if (good) { /* the checksum runs over type, mark and payload in one piece */
        uint8_t *p = buf_reserve(out, n + 9);
        if (p == NULL)
            return buf_check(out, err);
        memcpy(p, head + 12, 9);
        rc = log_stream_read(log, at + RECORD_HEAD_BYTES, p + 9, n, err);
        if (rc != QUARTET_OK)
            return rc;
        good = log_checksum(log, at, (uint32_t)n, p, n + 9) == load_le64(head + 4);
        memmove(p, p + 9, n);
    }
    if (!good) {
        log_place_text(log, at, place, sizeof place);
        return err_set(err, QUARTET_CORRUPT, "%.480s: damaged record", place);
    }
    out->len = start + n;
    *type = (enum log_type)head[12];
    *end = pos_of(at + RECORD_HEAD_BYTES + n);
    return QUARTET_OK;
}

quartet_status commit_log_read(commit_log *log, log_pos at, enum log_type *type, struct buf *out, log_pos *end, struct err *err)
{
    quartet_status rc;
    uint64_t stream = stream_of(at);
    pthread_mutex_lock(&log->lock);
    bool in_memory = log->in_memory || stream >= atomic_load(&log->written);
    if (log->in_memory)
        rc = log_mem_read(&log->mem, at, type, out, end, err);
    else if (in_memory)
        rc = read_gathered(log, stream, type, out, end, err);
    pthread_mutex_unlock(&log->lock);
    return in_memory ? rc : read_stored(log, stream, type, out, end, err);
}

quartet_status commit_log_archive(commit_log *log, const char *dir, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    if (strlen(dir) >= sizeof log->archive)
        return err_set(err, QUARTET_LIMIT, "log archive: the path has %zu bytes, limit %zu", strlen(dir), sizeof log->archive - 1);
    if (dir[0] != '\0')
        rc = log->env->ops->mkdir(log->env, dir, err);
    if (dir[0] != '\0' && rc == QUARTET_OK)
        rc = env_sync_parent(log->env, dir, err);
    if (rc != QUARTET_OK) {
        err_prefix(err, "log archive");
        return rc;
    }
    pthread_mutex_lock(&log->prepare_lock);
    memcpy(log->archive, dir, strlen(dir) + 1);
    pthread_mutex_unlock(&log->prepare_lock);
    return QUARTET_OK;
}

quartet_status commit_log_trim(commit_log *log, log_pos before, struct err *err)
{
    if (!log->in_memory)
        return log_segments_trim(log, stream_of(before), err);
    pthread_mutex_lock(&log->lock);
    log_mem_trim(&log->mem, before);
    pthread_mutex_unlock(&log->lock);
    return QUARTET_OK;
}

log_pos commit_log_start(commit_log *log)
{
    log_pos at = 0;
    pthread_mutex_lock(&log->lock);
    if (log->in_memory)
        at = (log_pos)log->mem.first * LOG_MEM_CHUNK_BYTES;
    else if (log->segment_count > 0)
        at = (log_pos)log->segments[0]->number * LOG_SEGMENT_BYTES;
    pthread_mutex_unlock(&log->lock);
    return at;
}

bool commit_log_is_trimmed(const commit_log *log)
{
    return log->segment_count > 0 && log->segments[0]->number > 1;
}

void commit_log_syncs(commit_log *log, uint64_t *count, uint64_t *ns)
{
    *count = atomic_load_explicit(&log->syncs, memory_order_relaxed);
    *ns = atomic_load_explicit(&log->syncs_ns, memory_order_relaxed);
}

uint64_t commit_log_bytes(commit_log *log)
{
    uint64_t n = 0;
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->segment_count; i++)
        n += log->segments[i]->prepared;
    if (log->in_memory)
        n = (log->mem.chunk_count - log->mem.first) * (uint64_t)LOG_MEM_CHUNK_BYTES;
    pthread_mutex_unlock(&log->lock);
    return n;
}

void commit_log_close(commit_log *log)
{
    if (log == NULL)
        return;
    if (log->has_thread) {
        pthread_mutex_lock(&log->lock);
        log->stop = true;
        pthread_cond_signal(&log->prepare_wake);
        pthread_mutex_unlock(&log->lock);
        pthread_join(log->thread, NULL);
    }
    if (log->replayed && log->fill.len > 0 && log->broken.code == QUARTET_OK) {
        struct err err = ERR_INIT; /* commits of mode OFF: handed over if it goes well, nobody was promised anything */
        (void)log_stream_write(log, log->fill_start, log->fill.data, log->fill.len, &err);
    }
    log_segments_close(log);
    log_mem_deinit(&log->mem);
    buf_deinit(&log->fill);
    buf_deinit(&log->out);
    pthread_cond_destroy(&log->change);
    pthread_cond_destroy(&log->prepare_wake);
    pthread_mutex_destroy(&log->lock);
    pthread_mutex_destroy(&log->prepare_lock);
    mem_free(log);
}
