/* commit_log.c - the log of a :memory: database. */
#include "commit_log.h"

#include <pthread.h>

#include "base/mem.h"
#include "log_mem.h"

struct commit_log {
    pthread_mutex_t lock;
    struct log_mem mem;
};

quartet_status commit_log_open(struct env *env, const char *dir, bool in_memory, commit_log **out, struct err *err)
{
    (void)env;
    if (!in_memory)
        return err_set(err, QUARTET_CANTOPEN, "%s: only :memory: databases can be opened", dir);
    struct commit_log *log = mem_zalloc(1, sizeof *log);
    if (log == NULL || pthread_mutex_init(&log->lock, NULL) != 0) {
        mem_free(log);
        return err_nomem(err);
    }
    *out = log;
    return QUARTET_OK;
}

void commit_log_close(commit_log *log)
{
    if (log == NULL)
        return;
    log_mem_deinit(&log->mem);
    pthread_mutex_destroy(&log->lock);
    mem_free(log);
}

quartet_status commit_log_replay(commit_log *log, log_pos from, quartet_status (*each)(void *arg, const struct log_record *r, struct err *err),
                                 void *arg, struct err *err)
{
    (void)log, (void)from, (void)each, (void)arg, (void)err;
    return QUARTET_OK;
}

quartet_status commit_log_append(commit_log *log, enum log_type type, const struct slice *parts, size_t part_count, log_pos *at, log_pos *end,
                                 struct err *err)
{
    pthread_mutex_lock(&log->lock);
    quartet_status rc = log_mem_append(&log->mem, type, parts, part_count, at, end, err);
    pthread_mutex_unlock(&log->lock);
    return rc;
}

quartet_status commit_log_sync(commit_log *log, log_pos end, enum log_sync_mode mode, struct err *err)
{
    (void)log, (void)end, (void)mode, (void)err;
    return QUARTET_OK;
}

static log_pos end_of(const commit_log *log)
{
    return log->mem.end;
}

log_pos commit_log_synced(const commit_log *log)
{
    return end_of(log);
}

log_pos commit_log_end(const commit_log *log)
{
    return end_of(log);
}

quartet_status commit_log_read(commit_log *log, log_pos at, enum log_type *type, struct buf *out, log_pos *end, struct err *err)
{
    pthread_mutex_lock(&log->lock);
    quartet_status rc = log_mem_read(&log->mem, at, type, out, end, err);
    pthread_mutex_unlock(&log->lock);
    return rc;
}

quartet_status commit_log_trim(commit_log *log, log_pos before, struct err *err)
{
    (void)err;
    pthread_mutex_lock(&log->lock);
    log_mem_trim(&log->mem, before);
    pthread_mutex_unlock(&log->lock);
    return QUARTET_OK;
}

uint64_t commit_log_bytes(const commit_log *log)
{
    return (log->mem.chunk_count - log->mem.first) * (uint64_t)LOG_MEM_CHUNK_BYTES;
}
