/* fault_env.c - see fault_env.h. A file is a map of 4 KiB pages; a page written since the last sync keeps its synced picture beside it. */
#include "fault/fault_env.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define PAGE_BYTES 4096u
#define SECTORS (PAGE_BYTES / FAULT_SECTOR_BYTES)

struct page {
    uint8_t now[PAGE_BYTES];
    uint8_t *synced; /* NULL: not written since the last sync; else what stood there then */
};
struct fault_file {
    struct fault_env *f;
    char *path;
    struct page **pages; /* NULL: all zeros */
    size_t page_count;
    uint64_t bytes, synced_bytes;
    bool entry_synced; /* its directory entry is on disk */
    bool locked;
    bool unlinked;
    uint32_t open_count;
};
struct file { /* what base/env.h calls a file */
    struct fault_file *of;
    bool holds_lock;
};

static struct fault_env *env_of(struct env *env)
{
    return env->ctx;
}

static void free_page(struct page *p)
{
    if (p != NULL)
        mem_free(p->synced);
    mem_free(p);
}

static void free_file(struct fault_file *x)
{
    for (size_t i = 0; i < x->page_count; i++)
        free_page(x->pages[i]);
    mem_free(x->pages);
    mem_free(x->path);
    mem_free(x);
}

/* One failing call: true when the counter strikes. */
static bool strikes(struct fault_env *f, uint64_t *at)
{
    if (*at == 0)
        return false;
    if (*at > 1) {
        (*at)--;
        return false;
    }
    if (!f->fail_persists)
        *at = 0;
    return true;
}

static quartet_status gone(const char *path, struct err *err)
{
    return err_set(err, QUARTET_IO, "%s: the machine is down", path);
}

static uint64_t wall_us(struct env *env)
{
    return env_of(env)->wall_us;
}

static uint64_t mono_ns(struct env *env)
{
    return env_of(env)->mono_ns;
}

static quartet_status random_bytes(struct env *env, void *p, size_t n, struct err *err)
{
    (void)err; /* cannot fail */
    pthread_mutex_lock(&env_of(env)->lock);
    prng_fill(&env_of(env)->prng, p, n);
    pthread_mutex_unlock(&env_of(env)->lock);
    return QUARTET_OK;
}

static void log_to(struct env *env, int level, const char *component, const char *line)
{
    struct fault_env *f = env_of(env);
    if (f->on_log != NULL)
        f->on_log(f->on_log_arg, level, component, line);
}

static quartet_status file_open(struct env *env, const char *path, enum file_mode mode, struct file **out, struct err *err)
{
    struct fault_env *f = env_of(env);
    quartet_status rc = QUARTET_OK;
    struct file *handle = mem_zalloc(1, sizeof *handle);
    if (handle == NULL)
        return err_nomem(err);
    pthread_mutex_lock(&f->lock);
    struct fault_file *x = map_get(&f->files, path, strlen(path));
    if (f->dead)
        rc = gone(path, err);
    else if (strikes(f, &f->fail_open_at))
        rc = err_set(err, QUARTET_IO, "%s: open failed on request", path);
    else if (x == NULL && mode == FILE_READ)
        rc = err_set(err, QUARTET_CANTOPEN, "%s: no such file", path);
    else if (x != NULL && mode == FILE_CREATE_NEW)
        rc = err_set(err, QUARTET_CANTOPEN, "%s: exists already", path);
    if (rc == QUARTET_OK && x == NULL) {
        x = mem_zalloc(1, sizeof *x);
        char *copy = mem_strdup(path);
        if (x == NULL || copy == NULL) {
            mem_free(x);
            mem_free(copy);
            rc = err_nomem(err);
        } else {
            *x = (struct fault_file){.f = f, .path = copy};
            rc = map_put(&f->files, path, strlen(path), x, err);
            if (rc != QUARTET_OK)
                free_file(x);
        }
    }
    if (rc == QUARTET_OK) {
        x->open_count++;
        handle->of = x;
    }
    pthread_mutex_unlock(&f->lock);
    if (rc != QUARTET_OK)
        mem_free(handle);
    else
        *out = handle;
    return rc;
}

static void file_close(struct file *h)
{
    if (h == NULL)
        return;
    struct fault_file *x = h->of;
    struct fault_env *f = x->f;
    pthread_mutex_lock(&f->lock);
    if (h->holds_lock)
        x->locked = false;
    if (--x->open_count == 0 && x->unlinked)
        free_file(x);
    pthread_mutex_unlock(&f->lock);
    mem_free(h);
}

static quartet_status file_pread(struct file *h, void *p, size_t n, uint64_t offset, size_t *got, struct err *err)
{
    struct fault_file *x = h->of;
    struct fault_env *f = x->f;
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&f->lock);
    if (f->dead)
        rc = gone(x->path, err);
    else if (strikes(f, &f->fail_read_at))
        rc = err_set(err, QUARTET_IO, "%s: read failed on request", x->path);
    size_t have = offset >= x->bytes ? 0 : x->bytes - offset < n ? (size_t)(x->bytes - offset) : n;
    for (size_t done = 0; rc == QUARTET_OK && done < have;) {
        uint64_t at = offset + done;
        size_t in_page = (size_t)(at % PAGE_BYTES), part = PAGE_BYTES - in_page;
        if (part > have - done)
            part = have - done;
        const struct page *page = at / PAGE_BYTES < x->page_count ? x->pages[at / PAGE_BYTES] : NULL;
        if (page != NULL)
            memcpy((uint8_t *)p + done, page->now + in_page, part);
        else
            memset((uint8_t *)p + done, 0, part);
        done += part;
    }
    *got = rc == QUARTET_OK ? have : 0;
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static quartet_status grow_pages(struct fault_file *x, uint64_t end, struct err *err)
{
    size_t count = (size_t)((end + PAGE_BYTES - 1) / PAGE_BYTES);
    if (count <= x->page_count)
        return QUARTET_OK;
    struct page **grown = mem_realloc(x->pages, count, sizeof *grown);
    if (grown == NULL)
        return err_nomem(err);
    memset(grown + x->page_count, 0, (count - x->page_count) * sizeof *grown);
    x->pages = grown;
    x->page_count = count;
    return QUARTET_OK;
}

/* One page's part of a write. */
static quartet_status write_part(struct fault_file *x, uint64_t at, const uint8_t *p, size_t n, struct err *err)
{
    struct page **slot = &x->pages[at / PAGE_BYTES];
    if (*slot == NULL && all_zero(p, n))
        return QUARTET_OK;
    if (*slot == NULL && (*slot = mem_zalloc(1, sizeof **slot)) == NULL)
        return err_nomem(err);
    if ((*slot)->synced == NULL) {
        (*slot)->synced = mem_dup((*slot)->now, PAGE_BYTES);
        if ((*slot)->synced == NULL)
            return err_nomem(err);
    }
    memcpy((*slot)->now + at % PAGE_BYTES, p, n);
    return QUARTET_OK;
}

static bool power_gone(struct fault_env *f)
{
    if (f->crash_at_write != 0 && f->writes + f->syncs >= f->crash_at_write)
        f->dead = true;
    return f->dead;
}

static quartet_status file_pwrite(struct file *h, const void *p, size_t n, uint64_t offset, struct err *err)
{
    struct fault_file *x = h->of;
    struct fault_env *f = x->f;
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&f->lock);
    if (power_gone(f))
        rc = gone(x->path, err);
    else if (strikes(f, &f->fail_write_at))
        rc = err_set(err, QUARTET_IO, "%s: write failed on request", x->path);
    else if (f->disk_bytes != 0 && offset + n > x->bytes && f->used_bytes + (offset + n - x->bytes) > f->disk_bytes)
        rc = err_set(err, QUARTET_FULL, "%s: the disk is full", x->path);
    if (rc == QUARTET_OK)
        rc = grow_pages(x, offset + n, err);
    for (size_t done = 0; rc == QUARTET_OK && done < n;) {
        uint64_t at = offset + done;
        size_t part = PAGE_BYTES - (size_t)(at % PAGE_BYTES);
        if (part > n - done)
            part = n - done;
        rc = write_part(x, at, (const uint8_t *)p + done, part, err);
        done += part;
    }
    if (rc == QUARTET_OK) {
        f->writes++;
        if (offset + n > x->bytes) {
            f->used_bytes += offset + n - x->bytes;
            x->bytes = offset + n;
        }
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

/* What is stored into must be on disk already (base/env.h): a mapping of a hole, or past the end, would be a signal. */
static quartet_status file_store(struct file *h, const void *p, size_t n, uint64_t offset, struct err *err)
{
    struct fault_file *x = h->of;
    pthread_mutex_lock(&x->f->lock);
    QASSERT(offset + n <= x->synced_bytes || x->f->lying_sync);
    pthread_mutex_unlock(&x->f->lock);
    return file_pwrite(h, p, n, offset, err);
}

static void make_durable(struct fault_file *x)
{
    for (size_t i = 0; i < x->page_count; i++)
        if (x->pages[i] != NULL) {
            mem_free(x->pages[i]->synced);
            x->pages[i]->synced = NULL;
        }
    x->synced_bytes = x->bytes;
}

static quartet_status file_sync(struct file *h, struct err *err)
{
    struct fault_file *x = h->of;
    struct fault_env *f = x->f;
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&f->lock);
    if (power_gone(f))
        rc = gone(x->path, err);
    else if (strikes(f, &f->fail_sync_at))
        rc = err_set(err, QUARTET_IO, "%s: fdatasync failed on request", x->path);
    if (rc == QUARTET_OK) {
        f->syncs++;
        if (!f->lying_sync)
            make_durable(x);
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static quartet_status file_truncate(struct file *h, uint64_t bytes, struct err *err)
{
    struct fault_file *x = h->of;
    struct fault_env *f = x->f;
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&f->lock);
    if (power_gone(f))
        rc = gone(x->path, err);
    if (rc == QUARTET_OK && bytes < x->bytes) { /* what comes back later is zeros */
        uint8_t zeros[PAGE_BYTES] = {0};
        for (uint64_t at = bytes; rc == QUARTET_OK && at < x->bytes && at / PAGE_BYTES < x->page_count;) {
            size_t part = PAGE_BYTES - (size_t)(at % PAGE_BYTES);
            rc = write_part(x, at, zeros, part, err);
            at += part;
        }
        f->used_bytes -= x->bytes - bytes;
    } else if (rc == QUARTET_OK) {
        f->used_bytes += bytes - x->bytes;
        rc = grow_pages(x, bytes, err);
    }
    if (rc == QUARTET_OK)
        x->bytes = bytes;
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static quartet_status file_size(struct file *h, uint64_t *bytes, struct err *err)
{
    struct fault_file *x = h->of;
    if (x->f->dead)
        return gone(x->path, err);
    *bytes = x->bytes;
    return QUARTET_OK;
}

static quartet_status file_lock(struct file *h, int64_t *holder_pid, struct err *err)
{
    struct fault_file *x = h->of;
    quartet_status rc = QUARTET_OK;
    *holder_pid = 0;
    pthread_mutex_lock(&x->f->lock);
    if (x->f->dead)
        rc = gone(x->path, err);
    else if (x->locked)
        rc = err_set(err, QUARTET_BUSY, "%s: locked", x->path);
    else
        x->locked = h->holds_lock = true;
    pthread_mutex_unlock(&x->f->lock);
    return rc;
}

static void drop_file(struct fault_env *f, const char *path)
{
    struct fault_file *x = map_remove(&f->files, path, strlen(path));
    if (x == NULL)
        return;
    f->used_bytes -= x->bytes;
    if (x->open_count == 0)
        free_file(x);
    else
        x->unlinked = true;
}

static quartet_status env_rename(struct env *env, const char *from, const char *to, struct err *err)
{
    struct fault_env *f = env_of(env);
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&f->lock);
    struct fault_file *x = map_get(&f->files, from, strlen(from));
    char *copy = mem_strdup(to);
    if (power_gone(f))
        rc = gone(from, err);
    else if (x == NULL)
        rc = err_set(err, QUARTET_NOTFOUND, "%s: no such file", from);
    else if (copy == NULL)
        rc = err_nomem(err);
    if (rc == QUARTET_OK) {
        drop_file(f, to);
        rc = map_put(&f->files, to, strlen(to), x, err);
    }
    if (rc == QUARTET_OK) {
        map_remove(&f->files, from, strlen(from));
        mem_free(x->path);
        x->path = copy;
        copy = NULL;
    }
    mem_free(copy);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static quartet_status env_unlink(struct env *env, const char *path, struct err *err)
{
    struct fault_env *f = env_of(env);
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&f->lock);
    if (power_gone(f))
        rc = gone(path, err);
    else if (!map_has(&f->files, path, strlen(path)))
        rc = err_set(err, QUARTET_NOTFOUND, "%s: no such file", path);
    else
        drop_file(f, path);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static quartet_status env_mkdir(struct env *env, const char *path, struct err *err)
{
    struct fault_env *f = env_of(env);
    pthread_mutex_lock(&f->lock);
    quartet_status rc = power_gone(f) ? gone(path, err) : map_put(&f->dirs, path, strlen(path), f, err);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static bool in_dir(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
}

static quartet_status env_sync_dir(struct env *env, const char *path, struct err *err)
{
    struct fault_env *f = env_of(env);
    struct map_entry *e;
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&f->lock);
    if (power_gone(f))
        rc = gone(path, err);
    for (size_t i = 0; rc == QUARTET_OK && (e = map_at(&f->files, &i)) != NULL;) {
        struct fault_file *x = e->value;
        if (in_dir(x->path, path))
            x->entry_synced = true;
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static bool env_exists(struct env *env, const char *path)
{
    struct fault_env *f = env_of(env);
    pthread_mutex_lock(&f->lock);
    bool found = map_has(&f->files, path, strlen(path)) || map_has(&f->dirs, path, strlen(path));
    pthread_mutex_unlock(&f->lock);
    return found;
}

/* The smallest name in `dir` above `after`, or NULL. */
static const char *next_name(struct fault_env *f, const char *dir, const char *after)
{
    const char *best = NULL;
    struct map_entry *e;
    for (size_t i = 0; (e = map_at(&f->files, &i)) != NULL;) {
        struct fault_file *x = e->value;
        const char *name = x->path + strlen(dir) + 1;
        if (in_dir(x->path, dir) && (after == NULL || strcmp(name, after) > 0) && (best == NULL || strcmp(name, best) < 0))
            best = name;
    }
    return best;
}

static quartet_status env_list(struct env *env, const char *path, quartet_status (*each)(void *arg, const char *name, struct err *err),
                               void *arg, struct err *err)
{
    struct fault_env *f = env_of(env);
    if (f->dead)
        return gone(path, err);
    char last[256] = "";
    quartet_status rc = QUARTET_OK;
    for (bool first = true; rc == QUARTET_OK; first = false) {
        pthread_mutex_lock(&f->lock);
        const char *name = next_name(f, path, first ? NULL : last);
        if (name != NULL)
            snprintf(last, sizeof last, "%s", name);
        pthread_mutex_unlock(&f->lock);
        if (name == NULL)
            break;
        rc = each(arg, last, err);
    }
    return rc;
}

static const struct env_ops fault_ops = {.wall_us = wall_us,
                                         .mono_ns = mono_ns,
                                         .coarse_ns = mono_ns,
                                         .random = random_bytes,
                                         .log = log_to,
                                         .open = file_open,
                                         .close = file_close,
                                         .pread = file_pread,
                                         .pwrite = file_pwrite,
                                         .store = file_store,
                                         .sync = file_sync,
                                         .truncate = file_truncate,
                                         .size = file_size,
                                         .lock = file_lock,
                                         .rename = env_rename,
                                         .unlink = env_unlink,
                                         .mkdir = env_mkdir,
                                         .sync_dir = env_sync_dir,
                                         .exists = env_exists,
                                         .list = env_list};

void fault_env_init(struct fault_env *f, uint64_t seed)
{
    *f = (struct fault_env){.env = {.ops = &fault_ops}, .wall_us = 1800000000000000u, .mono_ns = 1000000000u};
    f->env.ctx = f;
    prng_seed(&f->prng, seed);
    map_init(&f->files, seed);
    map_init(&f->dirs, seed);
    int rc = pthread_mutex_init(&f->lock, NULL);
    QASSERT(rc == 0);
}

void fault_env_deinit(struct fault_env *f)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_at(&f->files, &i)) != NULL;)
        free_file(e->value);
    map_deinit(&f->files);
    map_deinit(&f->dirs);
    pthread_mutex_destroy(&f->lock);
}

void fault_env_advance(struct fault_env *f, uint64_t us)
{
    f->wall_us += us;
    f->mono_ns += us * 1000u;
}

void fault_env_die(struct fault_env *f)
{
    f->dead = true;
}

static void crash_page(struct fault_env *f, struct page *p)
{
    if (p == NULL || p->synced == NULL)
        return;
    for (size_t s = 0; s < SECTORS; s++)
        if (prng_chance(&f->prng, 0.5))
            memcpy(p->now + s * FAULT_SECTOR_BYTES, p->synced + s * FAULT_SECTOR_BYTES, FAULT_SECTOR_BYTES);
    mem_free(p->synced);
    p->synced = NULL;
}

void fault_env_restart(struct fault_env *f, bool keep_unsynced)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_at(&f->files, &i)) != NULL;) {
        struct fault_file *x = e->value;
        QASSERT(x->open_count == 0);
        if (keep_unsynced) {
            make_durable(x);
            continue;
        }
        if (!x->entry_synced && x->synced_bytes == 0 && prng_chance(&f->prng, 0.5)) {
            drop_file(f, x->path);
            continue;
        }
        for (size_t k = 0; k < x->page_count; k++)
            crash_page(f, x->pages[k]);
        if (x->bytes != x->synced_bytes && prng_chance(&f->prng, 0.5)) {
            f->used_bytes += x->synced_bytes - x->bytes;
            x->bytes = x->synced_bytes;
        }
        x->synced_bytes = x->bytes;
    }
    f->dead = false;
    f->crash_at_write = f->fail_write_at = f->fail_sync_at = f->fail_read_at = f->fail_open_at = 0;
}

quartet_status fault_env_copy_files(struct fault_env *to, const struct fault_env *from, struct err *err)
{
    struct map_entry *e;
    quartet_status rc = QUARTET_OK;
    for (size_t i = 0; rc == QUARTET_OK && (e = map_at(&from->dirs, &i)) != NULL;)
        rc = map_put(&to->dirs, e->key, e->key_len, to, err);
    for (size_t i = 0; rc == QUARTET_OK && (e = map_at(&from->files, &i)) != NULL;) {
        const struct fault_file *x = e->value;
        struct file *h = NULL;
        rc = file_open(&to->env, x->path, FILE_WRITE, &h, err);
        for (size_t k = 0; rc == QUARTET_OK && k < x->page_count; k++)
            if (x->pages[k] != NULL)
                rc = file_pwrite(h, x->pages[k]->now, PAGE_BYTES, (uint64_t)k * PAGE_BYTES, err);
        if (rc == QUARTET_OK)
            rc = file_truncate(h, x->bytes, err);
        if (rc == QUARTET_OK) {
            make_durable(h->of);
            h->of->entry_synced = true;
        }
        file_close(h);
    }
    return rc;
}

bool fault_env_flip(struct fault_env *f, const char *path, uint64_t offset, uint8_t mask)
{
    struct fault_file *x = map_get(&f->files, path, strlen(path));
    struct err err = ERR_INIT;
    if (x == NULL || offset >= x->bytes || grow_pages(x, offset + 1, &err) != QUARTET_OK)
        return false;
    struct page **slot = &x->pages[offset / PAGE_BYTES];
    if (*slot == NULL && (*slot = mem_zalloc(1, sizeof **slot)) == NULL)
        return false;
    (*slot)->now[offset % PAGE_BYTES] ^= mask;
    return true;
}

uint64_t fault_env_file_bytes(const struct fault_env *f, const char *path)
{
    const struct fault_file *x = map_get(&f->files, path, strlen(path));
    return x != NULL ? x->bytes : 0;
}

bool fault_env_flip_any(struct fault_env *f, struct prng *r)
{
    for (int tries = 0; tries < 200; tries++) {
        struct map_entry *e = NULL;
        size_t at = 0, count = 0;
        for (size_t i = 0; (e = map_at(&f->files, &i)) != NULL;)
            count++;
        uint64_t pick = count > 0 ? prng_below(r, count) : 0;
        while ((e = map_at(&f->files, &at)) != NULL && pick > 0)
            pick--;
        const struct fault_file *x = e != NULL ? e->value : NULL;
        if (x == NULL || x->page_count == 0 || x->bytes == 0)
            continue;
        uint64_t p = prng_below(r, x->page_count), offset = prng_below(r, PAGE_BYTES);
        if (x->pages[p] != NULL && p * PAGE_BYTES + offset < x->bytes && x->pages[p]->now[offset] != 0)
            return fault_env_flip(f, x->path, p * PAGE_BYTES + offset, (uint8_t)(1u << prng_below(r, 8)));
    }
    return false;
}

void fault_env_erase(struct fault_env *f)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_at(&f->files, &i)) != NULL;) {
        struct fault_file *x = e->value;
        QASSERT(x->open_count == 0);
        drop_file(f, x->path);
    }
    for (size_t i = 0; (e = map_at(&f->dirs, &i)) != NULL;)
        (void)map_remove(&f->dirs, e->key, e->key_len); /* the value is only f */
}

void fault_env_swap_files(struct fault_env *a, struct fault_env *b)
{
    struct map files = a->files, dirs = a->dirs;
    uint64_t used = a->used_bytes;
    a->files = b->files;
    a->dirs = b->dirs;
    a->used_bytes = b->used_bytes;
    b->files = files;
    b->dirs = dirs;
    b->used_bytes = used;
    struct map_entry *e;
    for (size_t i = 0; (e = map_at(&a->files, &i)) != NULL;)
        ((struct fault_file *)e->value)->f = a;
    for (size_t i = 0; (e = map_at(&b->files, &i)) != NULL;)
        ((struct fault_file *)e->value)->f = b;
}
