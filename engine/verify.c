/* verify.c - the course of `quartet verify`, and its findings. */
#include "verify.h"

#include <stdio.h>
#include <string.h>

#include "backup.h"
#include "base/mem.h"

void verify_add(struct verify *v, const char *file, int64_t offset, tree_id tree, struct slice key, const char *format, ...)
{
    va_list args;
    v->found++;
    if (v->count == VERIFY_FINDINGS_MAX)
        return;
    if (v->count == v->cap) {
        size_t cap = v->cap == 0 ? 16 : v->cap * 2;
        struct verify_finding *grown = mem_realloc(v->findings, cap, sizeof *grown);
        if (grown == NULL)
            return; /* it is counted */
        v->findings = grown;
        v->cap = cap;
    }
    struct verify_finding *f = &v->findings[v->count++];
    *f = (struct verify_finding){.offset = offset, .tree = tree};
    snprintf(f->file, sizeof f->file, "%s", file);
    f->raw_key_bytes = key.n < sizeof f->raw_key ? key.n : sizeof f->raw_key;
    if (f->raw_key_bytes > 0)
        memcpy(f->raw_key, key.p, f->raw_key_bytes);
    for (size_t i = 0; i < f->raw_key_bytes; i++)
        snprintf(f->key + 2 * i, 3, "%02x", f->raw_key[i]);
    if (tree != 0)
        snprintf(f->table, sizeof f->table, "tree %llu", (unsigned long long)tree);
    va_start(args, format);
    vsnprintf(f->what, sizeof f->what, format, args);
    va_end(args);
}

void verify_deinit(struct verify *v)
{
    mem_free(v->findings);
    v->findings = NULL;
}

static quartet_status check_manifest(struct verify *v, struct err *err)
{
    struct backup_info info;
    quartet_status rc = backup_read(v->env, v->dir, &info, err);
    if (rc == QUARTET_NOTFOUND) {
        err_clear(err);
        return QUARTET_OK;
    }
    v->backup = true;
    if (rc == QUARTET_OK)
        rc = backup_check(v->env, v->dir, &info, err);
    if (rc == QUARTET_CORRUPT || rc == QUARTET_CANTOPEN || rc == QUARTET_NOTFOUND || rc == QUARTET_LIMIT) {
        verify_add(v, BACKUP_MANIFEST, -1, 0, (struct slice){0}, "%.250s", err->text);
        err_clear(err);
        rc = QUARTET_OK;
    }
    return rc;
}

/* Nobody else may have it, and nobody may get it meanwhile. */
static quartet_status take_lock(struct verify *v, struct file **out, struct err *err)
{
    char path[4200];
    int64_t holder = 0;
    quartet_status rc = path_join(path, sizeof path, v->dir, "lock", err);
    if (rc != QUARTET_OK || !v->env->ops->exists(v->env, path))
        return rc; /* it was never opened: a backup, or a restored one */
    rc = v->env->ops->open(v->env, path, FILE_WRITE, out, err);
    if (rc == QUARTET_OK)
        rc = v->env->ops->lock(*out, &holder, err);
    if (rc == QUARTET_BUSY)
        return err_set(err, rc, "%.300s is in use by process %lld; stop it first, or verify a backup of it", v->dir, (long long)holder);
    return rc;
}

quartet_status verify_run(struct verify *v, struct err *err)
{
    char path[4200];
    struct file *lock = NULL;
    quartet_status rc = path_join(path, sizeof path, v->dir, "base.mdb", err);
    if (rc == QUARTET_OK && !v->env->ops->exists(v->env, path)) {
        char manifest[4200];
        rc = path_join(manifest, sizeof manifest, v->dir, BACKUP_MANIFEST, err);
        if (rc == QUARTET_OK && !v->env->ops->exists(v->env, manifest))
            return err_set(err, QUARTET_NOTFOUND, "%.300s holds neither a database nor a backup: it has no base.mdb", v->dir);
    }
    if (rc == QUARTET_OK)
        rc = take_lock(v, &lock, err);
    if (rc == QUARTET_OK)
        rc = check_manifest(v, err);
    if (rc == QUARTET_OK && v->env->ops->exists(v->env, path))
        rc = verify_base(v, err);
    if (rc == QUARTET_OK)
        rc = verify_log(v, err);
    if (rc == QUARTET_OK && !v->damaged_pages && v->env->ops->exists(v->env, path))
        rc = verify_rows(v, err);
    v->env->ops->close(lock);
    return rc;
}
