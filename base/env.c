/* env.c - what every environment gets for free from the table of functions: whole files, and paths.
 * Why: keys, membership and lock files must be the old or the new one after a crash, never half of each. That takes five
 *   steps in one order; they are written once, here, and the simulator crashes between them. */
#include "base/env.h"

#include "base/mem.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

quartet_status path_join(char *out, size_t n, const char *dir, const char *name, struct err *err)
{
    size_t dir_len = strlen(dir);
    const char *between = dir_len > 0 && dir[dir_len - 1u] == '/' ? "" : "/";
    int wanted = snprintf(out, n, "%s%s%s", dir, between, name);
    if (wanted < 0 || (size_t)wanted >= n)
        return err_set(err, QUARTET_LIMIT, "the path %s/%s is longer than %zu bytes", dir, name, n);
    return QUARTET_OK;
}

quartet_status env_read_file(struct env *env, const char *path, size_t max_bytes, uint8_t **data, size_t *n,
                             struct err *err)
{
    const struct env_ops *ops = env->ops;
    struct file *f = NULL;
    uint8_t *bytes = NULL;
    uint64_t size = 0;
    size_t got = 0;

    quartet_status rc = ops->open(env, path, FILE_READ, &f, err);
    if (rc != QUARTET_OK)
        goto done;
    rc = ops->size(f, &size, err);
    if (rc != QUARTET_OK)
        goto done;
    if (size > max_bytes || size >= SIZE_MAX) {
        rc = err_set(err, QUARTET_LIMIT, "%s has %llu bytes, more than the %zu that it may have", path,
                     (unsigned long long)size, max_bytes);
        goto done;
    }
    bytes = mem_alloc((size_t)size + 1u);
    if (bytes == NULL) {
        rc = err_nomem(err);
        goto done;
    }
    rc = ops->pread(f, bytes, (size_t)size, 0, &got, err);
    if (rc != QUARTET_OK)
        goto done;
    bytes[got] = 0; /* not counted: a reader of text may treat it as a string */
    *data = bytes;
    *n = got;
    bytes = NULL;
done:
    mem_free(bytes);
    ops->close(f);
    return rc;
}

/* The directory that holds `path`; out has room for it. */
static void parent_of(const char *path, char *out)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        memcpy(out, ".", 2u);
        return;
    }
    size_t len = slash == path ? 1u : (size_t)(slash - path);
    memcpy(out, path, len);
    out[len] = '\0';
}

quartet_status env_sync_parent(struct env *env, const char *path, struct err *err)
{
    char directory[PATH_MAX];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1u] == '/') /* "dir/" is an entry of what holds dir */
        len--;
    if (len >= sizeof directory)
        return err_set(err, QUARTET_LIMIT, "the path %s is longer than %d bytes", path, PATH_MAX - 1);
    char trimmed[PATH_MAX];
    memcpy(trimmed, path, len);
    trimmed[len] = '\0';
    parent_of(trimmed, directory);
    quartet_status rc = env->ops->sync_dir(env, directory, err);
    if (rc != QUARTET_CANTOPEN)
        return rc;
    err_clear(err);
    return QUARTET_OK;
}

/* A new file with these bytes, on disk when this returns. */
static quartet_status write_new(struct env *env, const char *path, const void *p, size_t n, struct err *err)
{
    struct file *f = NULL;
    quartet_status rc = env->ops->unlink(env, path, err); /* a crash may have left one */
    if (rc != QUARTET_OK && rc != QUARTET_NOTFOUND)
        return rc;
    rc = env->ops->open(env, path, FILE_CREATE_NEW, &f, err);
    if (rc == QUARTET_OK)
        rc = env->ops->pwrite(f, p, n, 0, err);
    if (rc == QUARTET_OK)
        rc = env->ops->sync(f, err);
    env->ops->close(f);
    return rc;
}

quartet_status env_write_file(struct env *env, const char *path, const void *p, size_t n, struct err *err)
{
    char temporary[PATH_MAX];
    char directory[PATH_MAX];

    int wanted = snprintf(temporary, sizeof temporary, "%s.tmp", path);
    if (wanted < 0 || (size_t)wanted >= sizeof temporary)
        return err_set(err, QUARTET_LIMIT, "the path %s is longer than %d bytes", path, PATH_MAX - 5);
    parent_of(path, directory);

    quartet_status rc = write_new(env, temporary, p, n, err);
    if (rc == QUARTET_OK)
        rc = env->ops->rename(env, temporary, path, err);
    if (rc != QUARTET_OK) {
        struct err ignored = ERR_INIT; /* the first error is the one to report; the next write clears the rest */
        (void)env->ops->unlink(env, temporary, &ignored);
        return rc;
    }
    return env->ops->sync_dir(env, directory, err);
}
