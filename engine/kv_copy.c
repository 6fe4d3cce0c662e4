/* kv_copy.c - the base written anew: for BACKUP into another directory, for VACUUM in its own place.
 * Why block by block and not LMDB's own copy: it can begin at a moment that we choose (between two flushes, so that base and checkpoint agree), it
 *   looks at each checksum, so that damage is found and not copied, and it works for a base in memory too. The result has no free pages.
 * Invariants: the base is replaced under kv.lock while nothing is being merged into it; both files then hold the same state, so a crash may find either.
 * Not here: flushes (kv_flush.c, kv_merge.c). */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "kv_internal.h"

#define COPY_PAGES 3800u /* of a slice, as in a flush */
#define VACUUM_NAME "base.mdb.vacuum"

void kv_base_unref(struct kv_base *b)
{
    if (b != NULL && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        b->ops->close(b);
}

/* ---- copying ---- */

struct copy {
    const struct kv_base *from;
    struct kv_base *to;
    struct base_cursor at;
    struct base_write *write;
    uint64_t pages;
    bool (*stop)(void *arg);
    void *arg;
};

static quartet_status copy_slice_end(struct copy *c, struct slice checkpoint, struct err *err)
{
    struct base_write *w = c->write;
    c->write = NULL;
    c->pages = 0;
    if (w == NULL)
        return QUARTET_OK;
    return c->to->ops->commit(w, checkpoint, err);
}

static quartet_status copy_block(struct copy *c, struct err *err)
{
    struct block b;
    quartet_status rc = block_open(&b, c->at.tree, c->at.block, c->at.block_bytes, !c->from->trusted, err);
    if (rc == QUARTET_OK && c->write == NULL)
        rc = c->to->ops->write_begin(c->to, &c->write, err);
    if (rc == QUARTET_OK)
        rc = c->to->ops->put(c->write, c->at.tree, c->at.separator, slice_of(c->at.block, c->at.block_bytes), err);
    c->pages += c->at.block_bytes / 4096 + 2;
    if (rc == QUARTET_OK && c->pages >= COPY_PAGES)
        rc = copy_slice_end(c, slice_of(NULL, 0), err);
    if (rc == QUARTET_OK && c->pages == 0 && c->stop != NULL && c->stop(c->arg))
        rc = err_set(err, QUARTET_INTERRUPTED, "interrupted");
    return rc;
}

quartet_status kv_base_copy(const struct kv_base *from, struct base_read *read, struct kv_base *to, struct slice checkpoint, bool (*stop)(void *arg),
                            void *arg, struct err *err)
{
    struct copy c = {.from = from, .to = to, .stop = stop, .arg = arg};
    bool found = true;
    tree_id tree = 0;
    quartet_status rc = from->ops->cursor_open(read, &c.at, err);
    if (rc != QUARTET_OK)
        return rc;
    for (; rc == QUARTET_OK && (rc = from->ops->next_tree(read, &tree, &found, err)) == QUARTET_OK && found; tree++) {
        rc = from->ops->seek(&c.at, tree, slice_of(NULL, 0), err);
        while (rc == QUARTET_OK && c.at.found)
            if ((rc = copy_block(&c, err)) == QUARTET_OK)
                rc = from->ops->next(&c.at, err);
    }
    from->ops->cursor_close(&c.at);
    if (rc == QUARTET_OK && c.write == NULL)
        rc = to->ops->write_begin(to, &c.write, err);
    if (rc == QUARTET_OK)
        return copy_slice_end(&c, checkpoint, err);
    if (c.write != NULL)
        to->ops->abort(c.write);
    return rc;
}

/* ---- a moment between two flushes ---- */

quartet_status kv_freeze_now(kv *s, uint64_t *flush, struct err *err)
{
    QASSERT(s->has_thread);
    *flush = 0;
    pthread_mutex_lock(&s->lock);
    bool room = s->view->count <= KV_FROZEN_MAX;
    pthread_mutex_unlock(&s->lock);
    if (!room)
        return QUARTET_OK;
    quartet_status rc = kv_freeze(s, err);
    pthread_mutex_lock(&s->lock);
    *flush = s->flushes + s->view->count - 1;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

quartet_status kv_wait_flushed(kv *s, uint64_t flush, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&s->lock);
    uint64_t wanted = flush != 0 ? flush : s->flushes + 1;
    while (rc == QUARTET_OK && s->flushes < wanted && s->view->count > 1) {
        if (!s->broken) { /* else nobody flushes any longer, and nobody would say so */
            pthread_cond_broadcast(&s->wake);
            pthread_cond_wait(&s->done, &s->lock);
        }
        if (s->health.code != QUARTET_OK) {
            *err = s->health;
            rc = err->code;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

quartet_status kv_whole_state(struct kv *s, struct kv_base **base, struct base_read **read, struct buf *checkpoint, struct err *err)
{
    while (s->merging) {
        if (s->health.code != QUARTET_OK) {
            *err = s->health;
            return err->code;
        }
        pthread_cond_wait(&s->done, &s->lock);
    }
    quartet_status rc = s->base->ops->checkpoint(s->base, checkpoint, err);
    if (rc == QUARTET_OK && checkpoint->len > 0 && checkpoint->data[0] != KV_FLUSH_WHOLE)
        rc = err_set(err, QUARTET_BUSY, "%s: a crash cut a flush in two and it is not made good yet; try again", s->name);
    if (rc == QUARTET_OK)
        rc = s->base->ops->read_begin(s->base, read, err);
    if (rc != QUARTET_OK)
        return rc;
    *base = s->base;
    atomic_fetch_add_explicit(&s->base->refs, 1, memory_order_relaxed);
    return QUARTET_OK;
}

static quartet_status copy_state(struct kv *s, struct kv_base *base, struct base_read *read, const struct buf *checkpoint, const char *path,
                                 bool (*stop)(void *arg), struct kv_base **out, struct err *err)
{
    struct kv_base *fresh = NULL;
    quartet_status rc = kv_lmdb_open_file(s->env, path, &fresh, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = kv_base_copy(base, read, fresh, slice_of(checkpoint->data, checkpoint->len), stop, s, err);
    if (rc != QUARTET_OK) {
        kv_base_unref(fresh);
        return rc;
    }
    *out = fresh;
    return QUARTET_OK;
}

quartet_status kv_copy_to(kv *s, const char *path, struct err *err)
{
    struct kv_base *base = NULL, *fresh = NULL;
    struct base_read *read = NULL;
    struct buf checkpoint = {0};
    pthread_mutex_lock(&s->lock);
    quartet_status rc = kv_whole_state(s, &base, &read, &checkpoint, err);
    pthread_mutex_unlock(&s->lock);
    if (rc == QUARTET_OK)
        rc = copy_state(s, base, read, &checkpoint, path, kv_asked_to_stop, &fresh, err);
    if (read != NULL)
        base->ops->read_end(read);
    kv_base_unref(base);
    kv_base_unref(fresh);
    buf_deinit(&checkpoint);
    return rc;
}

/* ---- VACUUM ---- */

static void remove_file(struct env *env, const char *path, const char *suffix)
{
    char name[600];
    struct err ignored = ERR_INIT; /* what cannot be removed now is when the store is opened the next time */
    snprintf(name, sizeof name, "%s%s", path, suffix);
    (void)env->ops->unlink(env, name, &ignored);
}

struct clean {
    struct env *env;
    const char *dir;
};

static quartet_status clean_one(void *arg, const char *name, struct err *err)
{
    const struct clean *c = arg;
    char path[600];
    if (strncmp(name, VACUUM_NAME, strlen(VACUUM_NAME)) != 0)
        return QUARTET_OK;
    quartet_status rc = path_join(path, sizeof path, c->dir, name, err);
    if (rc == QUARTET_OK)
        remove_file(c->env, path, "");
    return rc;
}

quartet_status kv_vacuum_clean(struct env *env, const char *dir, struct err *err)
{
    struct clean c = {env, dir};
    return env->ops->list(env, dir, clean_one, &c, err);
}

/* The new file takes the old one's name, and the store goes on with it: from then on it is the base, whether or not its name is on disk already, since both hold the
 * same. But the log is trimmed by what the new one holds: where its name cannot be made durable nothing more may be flushed into it. */
static quartet_status change_base(struct kv *s, struct kv_base *fresh, const char *path, struct err *err)
{
    char dir[sizeof s->name];
    quartet_status rc = s->env->ops->rename(s->env, path, s->name, err);
    if (rc != QUARTET_OK)
        return rc;
    snprintf(dir, sizeof dir, "%.*s", (int)(strlen(s->name) - strlen("/base.mdb")), s->name);
    struct err told = ERR_INIT;
    if (s->env->ops->sync_dir(s->env, dir, &told) != QUARTET_OK)
        err_prefix(&told, "VACUUM: open the database again");
    remove_file(s->env, path, "-lock"); /* the open file stays; at the next start base.mdb-lock is made anew */
    kv_lmdb_renamed(fresh, s->name);
    pthread_mutex_lock(&s->lock);
    QASSERT(!s->merging);
    struct kv_base *old = s->base;
    s->base = fresh;
    s->tidy.vacuumed++;
    s->base_dead = fresh->ops->dead(fresh);
    if (told.code != QUARTET_OK) {
        told.code = QUARTET_IO;
        kv_note_health(s, told.code, &told);
    }
    pthread_mutex_unlock(&s->lock);
    kv_base_unref(old);
    return QUARTET_OK;
}

quartet_status kv_vacuum(kv *s, uint64_t *before, uint64_t *after, struct err *err)
{
    return kv_vacuum_until(s, kv_asked_to_stop, before, after, err);
}

quartet_status kv_vacuum_until(struct kv *s, bool (*stop)(void *arg), uint64_t *before, uint64_t *after, struct err *err)
{
    struct kv_base *base = NULL, *fresh = NULL;
    struct base_read *read = NULL;
    struct buf checkpoint = {0};
    char path[sizeof s->name + 64] = "";
    pthread_mutex_lock(&s->lock);
    quartet_status rc = s->held ? err_set(err, QUARTET_BUSY, "another VACUUM is at it") : QUARTET_OK;
    *before = *after = s->base->ops->bytes(s->base);
    bool nothing = s->base->trusted;
    if (rc == QUARTET_OK && !nothing) {
        s->held = true;
        snprintf(path, sizeof path, "%.*s/%s-%llu", (int)(strlen(s->name) - strlen("/base.mdb")), s->name, VACUUM_NAME,
                 (unsigned long long)++s->vacuums);
        rc = kv_whole_state(s, &base, &read, &checkpoint, err);
    }
    pthread_mutex_unlock(&s->lock);
    if (path[0] == '\0')
        return rc;
    if (rc == QUARTET_OK)
        rc = copy_state(s, base, read, &checkpoint, path, stop, &fresh, err);
    if (read != NULL)
        base->ops->read_end(read);
    kv_base_unref(base);
    if (rc == QUARTET_OK) {
        *after = fresh->ops->bytes(fresh);
        rc = change_base(s, fresh, path, err);
        if (rc != QUARTET_OK)
            kv_base_unref(fresh);
    }
    if (rc != QUARTET_OK) {
        remove_file(s->env, path, "");
        remove_file(s->env, path, "-lock");
    }
    pthread_mutex_lock(&s->lock);
    s->held = false;
    if (rc == QUARTET_OK && s->broken) {
        *err = s->health;
        rc = err->code;
    }
    pthread_cond_broadcast(&s->wake);
    pthread_cond_broadcast(&s->done);
    pthread_mutex_unlock(&s->lock);
    buf_deinit(&checkpoint);
    return rc;
}
