/* copy_stream.c - COPY's bytes: from a file or the user's function, into a file or the user's function.
 * Why a file is written under another name and renamed: a COPY TO that fails or is killed leaves the old file as it was. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "copy.h"

#define STREAM_BYTES (256u << 10)

quartet_status copy_in_open(struct copy_in *in, struct env *env, const char *path, struct err *err)
{
    in->env = env;
    if (path == NULL)
        return QUARTET_OK;
    quartet_status rc = env->ops->open(env, path, FILE_READ, &in->file, err);
    return rc == QUARTET_OK ? env->ops->size(in->file, &in->total, err) : rc;
}

quartet_status copy_in_more(struct copy_in *in, struct err *err)
{
    if (in->ended)
        return QUARTET_OK;
    if (in->at > 0) {
        memmove(in->data, in->data + in->at, in->len - in->at);
        in->len -= in->at;
        in->at = 0;
    }
    if (in->cap - in->len < STREAM_BYTES) {
        size_t cap = in->cap == 0 ? 4 * STREAM_BYTES : in->cap * 2;
        if (in->len > COPY_RECORD_BYTES_MAX)
            return err_set(err, QUARTET_LIMIT, "a record of more than %u MiB (a quote that is never closed?)", COPY_RECORD_BYTES_MAX >> 20);
        char *grown = mem_realloc(in->data, cap, 1);
        if (grown == NULL)
            return err_nomem(err);
        in->data = grown;
        in->cap = cap;
    }
    size_t got = 0;
    if (in->file != NULL) {
        quartet_status rc = in->env->ops->pread(in->file, in->data + in->len, STREAM_BYTES, in->bytes, &got, err);
        if (rc != QUARTET_OK)
            return rc;
    } else {
        int64_t n = in->read(in->arg, in->data + in->len, STREAM_BYTES);
        if (n < 0 || n > (int64_t)STREAM_BYTES)
            return err_set(err, QUARTET_IO, "the input cannot be read");
        got = (size_t)n;
    }
    in->ended = got == 0;
    in->len += got;
    in->bytes += got;
    return QUARTET_OK;
}

void copy_in_close(struct copy_in *in)
{
    if (in->file != NULL)
        in->env->ops->close(in->file);
    mem_free(in->data);
    *in = (struct copy_in){0};
}

quartet_status copy_out_open(struct copy_out *out, struct env *env, const char *path, struct err *err)
{
    uint64_t salt = 0;
    out->env = env;
    if (path == NULL)
        return QUARTET_OK;
    quartet_status rc = env->ops->random(env, &salt, sizeof salt, err);
    if (rc != QUARTET_OK)
        return rc;
    size_t n = strlen(path) + 32;
    out->path = mem_strdup(path);
    out->temporary = mem_alloc(n);
    if (out->path == NULL || out->temporary == NULL)
        return err_nomem(err);
    snprintf(out->temporary, n, "%s.copy-%016llx", path, (unsigned long long)salt);
    rc = env->ops->open(env, out->temporary, FILE_CREATE_NEW, &out->file, err);
    if (rc != QUARTET_OK) {
        mem_free(out->temporary); /* nothing to remove */
        out->temporary = NULL;
    }
    return rc;
}

quartet_status copy_out_flush(struct copy_out *out, size_t above, struct err *err)
{
    quartet_status rc = buf_check(&out->pending, err);
    size_t n = out->pending.len;
    if (rc != QUARTET_OK || n <= above)
        return rc;
    if (out->file != NULL)
        rc = out->env->ops->pwrite(out->file, out->pending.data, n, out->bytes, err);
    else if (out->write(out->arg, out->pending.data, (int64_t)n) != 0)
        rc = err_set(err, QUARTET_IO, "the output cannot be written");
    out->bytes += n;
    buf_clear(&out->pending);
    return rc;
}

quartet_status copy_out_end(struct copy_out *out, struct err *err)
{
    quartet_status rc = copy_out_flush(out, 0, err);
    if (rc == QUARTET_OK && out->file != NULL) {
        rc = out->env->ops->sync(out->file, err);
        out->env->ops->close(out->file);
        out->file = NULL;
        if (rc == QUARTET_OK)
            rc = out->env->ops->rename(out->env, out->temporary, out->path, err);
        if (rc == QUARTET_OK) {
            mem_free(out->temporary);
            out->temporary = NULL;
            rc = env_sync_parent(out->env, out->path, err);
        }
    }
    return rc;
}

void copy_out_close(struct copy_out *out)
{
    struct err ignored = ERR_INIT; /* it was told why the file is not wanted */
    if (out->file != NULL)
        out->env->ops->close(out->file);
    if (out->temporary != NULL)
        (void)out->env->ops->unlink(out->env, out->temporary, &ignored);
    mem_free(out->path);
    mem_free(out->temporary);
    buf_deinit(&out->pending);
    *out = (struct copy_out){0};
}
