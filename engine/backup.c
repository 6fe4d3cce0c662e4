/* backup.c - BACKUP TO a directory while commits go on, and `quartet restore`.
 * Why no log goes with it: the base is flushed and then read at a moment between two flushes, so it holds every transaction up to one point whole,
 *   and its checkpoint says which. Why a restored copy is no member: its slot's keys and numbers belong to the node that may still run.
 * Invariants: a directory is called a backup, or a database, only after all in it is on disk: it is made under another name and renamed.
 * Not here: the copying of the base (kv_copy.c). */
#include "backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "base/mem.h"
#include "db_internal.h"
#include "kv_base.h"

#define BASE_FILE "base.mdb"
#define READ_BYTES (1u << 20)
#define MANIFEST_BYTES_MAX 4096u
#define PATH_BYTES (DB_PATH_BYTES_MAX + 64u)

/* ---- files ---- */

static quartet_status found_one(void *arg, const char *name, struct err *err)
{
    (void)name;
    *(bool *)arg = true;
    return err_set(err, QUARTET_INTERRUPTED, "enough");
}

static quartet_status check_target(struct env *env, const char *dir, struct err *err)
{
    bool any = false;
    if (!env->ops->exists(env, dir))
        return QUARTET_OK;
    quartet_status rc = env->ops->list(env, dir, found_one, &any, err);
    if (any) {
        err_clear(err);
        return err_set(err, QUARTET_CANTOPEN, "%.400s is there and not empty: name a new directory", dir);
    }
    return rc;
}

/* Another name beside `dir`, and the directory of that name. */
static quartet_status make_partial(struct env *env, const char *dir, char *out, size_t n, struct err *err)
{
    uint64_t salt = 0;
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    quartet_status rc = env->ops->random(env, &salt, sizeof salt, err);
    if (rc != QUARTET_OK)
        return rc;
    int got = snprintf(out, n, "%.*s.partial-%016" PRIx64, (int)len, dir, salt);
    if (len == 0 || got < 0 || (size_t)got >= n || (size_t)got >= DB_PATH_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "the directory's name is empty or too long");
    return env->ops->mkdir(env, out, err);
}

static void drop_partial(struct env *env, const char *dir)
{
    static const char *const names[] = {BACKUP_MANIFEST, BASE_FILE, BASE_FILE "-lock"}; /* without the first it is no backup */
    char path[PATH_BYTES];
    struct err ignored = ERR_INIT; /* the first failure was told; what stays has a name that says what it is */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (path_join(path, sizeof path, dir, names[i], &ignored) == QUARTET_OK)
            (void)env->ops->unlink(env, path, &ignored);
    }
    (void)rmdir(dir);
}

/* All of `partial` is on disk: give it its name. Where that cannot be made durable it goes: whoever is told of an error tries again under the same name. */
static quartet_status settle_partial(struct env *env, const char *partial, const char *dir, struct err *err)
{
    quartet_status rc = env->ops->sync_dir(env, partial, err);
    if (rc == QUARTET_OK)
        rc = env->ops->rename(env, partial, dir, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = env_sync_parent(env, partial, err);
    if (rc != QUARTET_OK)
        drop_partial(env, dir);
    return rc;
}

/* Read a file from its beginning to its end; hash it, and write it to `to` unless that is NULL. */
static quartet_status read_through(struct env *env, const char *path, struct file *to, struct backup_info *out, struct err *err)
{
    struct file *f = NULL;
    size_t got = 0;
    uint8_t *room = mem_alloc(READ_BYTES);
    XXH3_state_t *state = XXH3_createState();
    quartet_status rc = room != NULL && state != NULL ? env->ops->open(env, path, FILE_READ, &f, err) : err_nomem(err);
    if (rc == QUARTET_OK && XXH3_128bits_reset(state) != XXH_OK)
        rc = err_set(err, QUARTET_INTERNAL, "XXH3 cannot be started");
    for (out->bytes = 0; rc == QUARTET_OK; out->bytes += got) {
        rc = env->ops->pread(f, room, READ_BYTES, out->bytes, &got, err);
        if (rc != QUARTET_OK || got == 0)
            break;
        if (XXH3_128bits_update(state, room, got) != XXH_OK)
            rc = err_set(err, QUARTET_INTERNAL, "XXH3 failed");
        else if (to != NULL)
            rc = env->ops->pwrite(to, room, got, out->bytes, err);
    }
    if (rc == QUARTET_OK) {
        XXH128_hash_t h = XXH3_128bits_digest(state);
        out->hash[0] = h.high64;
        out->hash[1] = h.low64;
    }
    env->ops->close(f);
    (void)XXH3_freeState(state); /* always XXH_OK */
    mem_free(room);
    return rc;
}

/* ---- the manifest ---- */

static quartet_status write_manifest(struct env *env, const char *dir, const struct backup_info *info, struct err *err)
{
    char path[PATH_BYTES];
    struct buf text = {0};
    buf_printf(&text, BACKUP_FORMAT "\ntaken %" PRIu64 "\nstamp %" PRIu64 "\nfile " BASE_FILE " %" PRIu64 " %016" PRIx64 "%016" PRIx64 "\n", info->taken_us,
               info->stamp, info->bytes, info->hash[0], info->hash[1]);
    if (!text.failed)
        buf_printf(&text, "end %016" PRIx64 "\n", (uint64_t)XXH3_64bits(text.data, text.len));
    quartet_status rc = buf_check(&text, err);
    if (rc == QUARTET_OK)
        rc = path_join(path, sizeof path, dir, BACKUP_MANIFEST, err);
    if (rc == QUARTET_OK)
        rc = env_write_file(env, path, text.data, text.len, err);
    buf_deinit(&text);
    return rc;
}

static quartet_status parse_manifest(const char *path, const char *text, size_t n, struct backup_info *out, struct err *err)
{
    uint64_t end = 0;
    const char *last = strstr(text, "\nend ");
    if (strncmp(text, "quartet backup ", 15) == 0 && strncmp(text, BACKUP_FORMAT "\n", strlen(BACKUP_FORMAT) + 1) != 0)
        return err_set(err, QUARTET_CANTOPEN, "%s: made by another version (\"%.*s\", this one reads \"%s\")", path, (int)strcspn(text, "\n"), text, BACKUP_FORMAT);
    bool good = last != NULL && last + 22 == text + n && text[n - 1] == '\n' && sscanf(last, "\nend %16" SCNx64, &end) == 1 &&
                XXH3_64bits(text, (size_t)(last + 1 - text)) == end;
    if (!good || sscanf(text, BACKUP_FORMAT "\ntaken %" SCNu64 "\nstamp %" SCNu64 "\nfile " BASE_FILE " %" SCNu64 " %16" SCNx64 "%16" SCNx64 "\n", &out->taken_us,
                        &out->stamp, &out->bytes, &out->hash[0], &out->hash[1]) != 5)
        return err_set(err, QUARTET_CORRUPT, "%s: damaged: its checksum does not fit", path);
    return QUARTET_OK;
}

quartet_status backup_read(struct env *env, const char *dir, struct backup_info *out, struct err *err)
{
    char path[PATH_BYTES], text[MANIFEST_BYTES_MAX + 1];
    uint8_t *data = NULL;
    size_t n = 0;
    quartet_status rc = path_join(path, sizeof path, dir, BACKUP_MANIFEST, err);
    if (rc == QUARTET_OK && !env->ops->exists(env, path))
        return err_set(err, QUARTET_NOTFOUND, "%.400s is no backup: it has no %s", dir, BACKUP_MANIFEST);
    if (rc == QUARTET_OK)
        rc = env_read_file(env, path, MANIFEST_BYTES_MAX, &data, &n, err);
    if (rc != QUARTET_OK)
        return rc;
    memcpy(text, data, n);
    text[n] = '\0';
    mem_free(data);
    return parse_manifest(path, text, n, out, err);
}

static quartet_status same_file(const char *path, const struct backup_info *have, const struct backup_info *want, struct err *err)
{
    if (have->bytes != want->bytes)
        return err_set(err, QUARTET_CORRUPT, "%s has %" PRIu64 " bytes, the manifest says %" PRIu64, path, have->bytes, want->bytes);
    if (have->hash[0] != want->hash[0] || have->hash[1] != want->hash[1])
        return err_set(err, QUARTET_CORRUPT, "%s: damaged: its checksum is not the manifest's", path);
    return QUARTET_OK;
}

quartet_status backup_check(struct env *env, const char *dir, const struct backup_info *info, struct err *err)
{
    char path[PATH_BYTES];
    struct backup_info have = {0};
    quartet_status rc = path_join(path, sizeof path, dir, BASE_FILE, err);
    if (rc == QUARTET_OK)
        rc = read_through(env, path, NULL, &have, err);
    return rc == QUARTET_OK ? same_file(path, &have, info, err) : rc;
}

/* ---- BACKUP and VACUUM ---- */

quartet_status db_flush_all(db *d, struct err *err)
{
    uint64_t flush = 0;
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && flush == 0) {
        pthread_mutex_lock(&d->commit_lock);
        rc = db_usable(d, err);
        if (rc == QUARTET_OK)
            rc = kv_freeze_now(d->store, &flush, err);
        pthread_mutex_unlock(&d->commit_lock);
        if (rc == QUARTET_OK)
            rc = commit_log_sync(d->log, commit_log_end(d->log), LOG_SYNC_FULL, err);
        if (rc == QUARTET_OK) {
            db_publish(d);
            rc = kv_wait_flushed(d->store, flush, err);
        }
    }
    return rc;
}

static quartet_status fill_backup(db *d, const char *partial, struct backup_info *info, struct err *err)
{
    char path[PATH_BYTES], lock[PATH_BYTES];
    struct err ignored = ERR_INIT; /* LMDB's lock file is of no use to anybody */
    info->taken_us = d->env->ops->wall_us(d->env);
    info->stamp = txn_last_stamp(d);
    quartet_status rc = path_join(path, sizeof path, partial, BASE_FILE, err);
    if (rc == QUARTET_OK)
        rc = path_join(lock, sizeof lock, partial, BASE_FILE "-lock", err);
    if (rc == QUARTET_OK)
        rc = db_flush_all(d, err);
    if (rc == QUARTET_OK)
        rc = kv_copy_to(d->store, path, err);
    if (rc != QUARTET_OK)
        return rc;
    (void)d->env->ops->unlink(d->env, lock, &ignored);
    rc = read_through(d->env, path, NULL, info, err);
    return rc == QUARTET_OK ? write_manifest(d->env, partial, info, err) : rc;
}

quartet_status db_backup(db *d, const char *dir, uint64_t *bytes, struct err *err)
{
    char partial[PATH_BYTES];
    struct backup_info info = {0};
    *bytes = 0;
    if (!d->env->threads || d->options.base_in_memory)
        return err_set(err, QUARTET_MISUSE, "this environment has no disk to write a backup to");
    quartet_status rc = check_target(d->env, dir, err);
    if (rc == QUARTET_OK)
        rc = make_partial(d->env, dir, partial, sizeof partial, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = fill_backup(d, partial, &info, err);
    if (rc == QUARTET_OK)
        rc = settle_partial(d->env, partial, dir, err);
    if (rc != QUARTET_OK)
        drop_partial(d->env, partial);
    *bytes = info.bytes;
    return rc;
}

quartet_status db_vacuum(db *d, uint64_t *before, uint64_t *after, struct err *err)
{
    quartet_status rc = db_usable(d, err);
    *before = *after = 0;
    if (rc == QUARTET_OK && d->env->threads) /* what may go should not be copied */
        rc = db_flush_all(d, err);
    if (rc == QUARTET_OK)
        rc = db_sweep(d, err);
    return rc == QUARTET_OK ? kv_vacuum(d->store, before, after, err) : rc;
}

/* ---- restore ---- */

/* The copy's checkpoint says whose it is and where the log goes on: neither holds for the new database. */
static quartet_status renew_checkpoint(struct env *env, const char *path, struct err *err)
{
    struct kv_base *base = NULL;
    struct base_write *w = NULL;
    struct buf blob = {0};
    quartet_status rc = kv_lmdb_open_file(env, path, &base, err);
    if (rc == QUARTET_OK)
        rc = base->ops->checkpoint(base, &blob, err);
    if (rc == QUARTET_OK && (blob.len < 1 || blob.data[0] != KV_FLUSH_WHOLE))
        rc = err_set(err, QUARTET_CORRUPT, "%s: its checkpoint is not that of a backup", path);
    if (rc == QUARTET_OK)
        rc = db_checkpoint_renew(env, &blob, 1, err);
    if (rc == QUARTET_OK)
        rc = base->ops->write_begin(base, &w, err);
    if (rc == QUARTET_OK)
        rc = base->ops->commit(w, slice_of(blob.data, blob.len), err);
    kv_base_unref(base);
    buf_deinit(&blob);
    return rc;
}

static quartet_status fill_restored(struct env *env, const char *from, const char *partial, const struct backup_info *info, struct err *err)
{
    char source[PATH_BYTES], path[PATH_BYTES];
    struct backup_info have = {0};
    struct file *f = NULL;
    quartet_status rc = path_join(source, sizeof source, from, BASE_FILE, err);
    if (rc == QUARTET_OK)
        rc = path_join(path, sizeof path, partial, BASE_FILE, err);
    if (rc == QUARTET_OK)
        rc = env->ops->open(env, path, FILE_CREATE_NEW, &f, err);
    if (rc == QUARTET_OK)
        rc = read_through(env, source, f, &have, err);
    if (rc == QUARTET_OK)
        rc = same_file(source, &have, info, err);
    if (rc == QUARTET_OK)
        rc = env->ops->sync(f, err);
    env->ops->close(f);
    return rc == QUARTET_OK ? renew_checkpoint(env, path, err) : rc;
}

quartet_status backup_restore(struct env *env, const char *from, const char *dir, struct err *err)
{
    char partial[PATH_BYTES];
    struct backup_info info = {0};
    quartet_status rc = backup_read(env, from, &info, err);
    if (rc == QUARTET_OK)
        rc = backup_check(env, from, &info, err);
    if (rc == QUARTET_OK)
        rc = check_target(env, dir, err);
    if (rc == QUARTET_OK)
        rc = make_partial(env, dir, partial, sizeof partial, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = fill_restored(env, from, partial, &info, err);
    if (rc == QUARTET_OK)
        rc = settle_partial(env, partial, dir, err);
    if (rc != QUARTET_OK)
        drop_partial(env, partial);
    return rc;
}
