/* log_archive.c - where segments of the log go that are not needed any longer, but shall be kept.
 * Why a rename first: it costs nothing and is whole or not done; only another file system makes a copy necessary, which gets its name when it is on disk.
 * Invariants: a segment leaves the log only when the archive has it. What stands in the archive under the number is never written over by something else: a log's numbers
 *   are not used twice, and a copy that a crash left is the same one.
 * Not here: which segments may go (db_trim.c). */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "log_internal.h"

#define COPY_BYTES (1u << 20)

static quartet_status copy_bytes(struct env *env, struct file *from, struct file *to, struct err *err)
{
    uint8_t *p = mem_alloc(COPY_BYTES);
    quartet_status rc = p == NULL ? err_nomem(err) : QUARTET_OK;
    size_t got = COPY_BYTES;
    for (uint64_t at = 0; rc == QUARTET_OK && got == COPY_BYTES; at += COPY_BYTES) {
        rc = env->ops->pread(from, p, COPY_BYTES, at, &got, err);
        if (rc == QUARTET_OK && got > 0)
            rc = env->ops->pwrite(to, p, got, at, err);
    }
    mem_free(p);
    return rc == QUARTET_OK ? env->ops->sync(to, err) : rc;
}

static quartet_status copy_file(struct env *env, const char *from, const char *to, struct err *err)
{
    char part[2 * LOG_PATH_BYTES_MAX];
    struct file *in = NULL, *out = NULL;
    memcpy(part, to, strlen(to));
    memcpy(part + strlen(to), ".part", 6);
    quartet_status rc = env->ops->unlink(env, part, err); /* a crash may have left one */
    if (rc == QUARTET_NOTFOUND) {
        err_clear(err);
        rc = QUARTET_OK;
    }
    if (rc == QUARTET_OK)
        rc = env->ops->open(env, from, FILE_READ, &in, err);
    if (rc == QUARTET_OK)
        rc = env->ops->open(env, part, FILE_CREATE_NEW, &out, err);
    if (rc == QUARTET_OK)
        rc = copy_bytes(env, in, out, err);
    env->ops->close(in);
    env->ops->close(out);
    return rc == QUARTET_OK ? env->ops->rename(env, part, to, err) : rc;
}

quartet_status log_segment_archive(struct commit_log *log, const char *path, bool *gone, struct err *err)
{
    char to[LOG_PATH_BYTES_MAX + 64];
    char name[64];
    struct err why = ERR_INIT;
    snprintf(name, sizeof name, "%016llx-%s", (unsigned long long)log->id, strrchr(path, '/') + 1); /* several logs may share an archive */
    quartet_status rc = path_join(to, sizeof to, log->archive, name, err);
    if (rc != QUARTET_OK)
        return rc;
    *gone = log->env->ops->rename(log->env, path, to, &why) == QUARTET_OK;
    if (!*gone)
        rc = copy_file(log->env, path, to, err);
    if (rc == QUARTET_OK)
        rc = log->env->ops->sync_dir(log->env, log->archive, err);
    if (rc != QUARTET_OK)
        err_prefix(err, "log archive");
    return rc;
}
