/* kv_journal.c - see kv_journal.h.
 * The file: pages of a run (kv_run.h), all entries that the layers come to, history among them; then the tail: u8 version, u64 id, u64 past_from,
 *   u32 bytes of the checkpoint, the checkpoint, XXH3 (64 bits) of the tail before it. The mark: u8 KV_FLUSH_TORN, u64 id, u64 bytes of the pages.
 * Invariants: the file is durable before the mark is; it is removed only when the base is whole again. */
#include "kv_journal.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"
#include "kv_base.h"
#include "kv_past.h"

#define TAIL_VERSION 1u
#define TAIL_HEAD_BYTES 21u /* before the checkpoint */
#define TAIL_BYTES_MAX ((size_t)1 << 30)
#define MARK_BYTES 17u
#define ENTRY_VERSION 1u

struct past_at {
    uint64_t stamp;
    struct slice record;
};
struct writing {
    kv_run_writer *w;
    struct kv_blend rows;   /* trees below KV_PAST_TREE */
    struct kv_blend direct; /* entries of history trees that layers hold as such */
    struct past_at *pasts;  /* of the key that passes by, newest first */
    uint32_t past_count, past_cap;
    struct buf key;
};

static void name_of(const struct kv_journal *j, char out[32])
{
    snprintf(out, 32, KV_JOURNAL_PREFIX "%016llx", (unsigned long long)j->id);
}

/* ---- writing ---- */

static quartet_status gather(void *arg, uint64_t stamp, struct slice record, struct err *err)
{
    struct writing *x = arg;
    if (x->past_count == x->past_cap) {
        uint32_t cap = x->past_cap == 0 ? 16 : x->past_cap * 2;
        struct past_at *grown = mem_realloc(x->pasts, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        x->pasts = grown;
        x->past_cap = cap;
    }
    x->pasts[x->past_count++] = (struct past_at){stamp, record};
    return QUARTET_OK;
}

/* Direct entries that stand before this place, and away with one that stands on it. */
static quartet_status put_direct(struct writing *x, tree_id tree, struct slice key, bool all, struct err *err)
{
    const struct kv_walk *at;
    while ((at = x->direct.at) != NULL) {
        int c = all ? -1 : at->tree != tree ? (at->tree < tree ? -1 : 1) : slice_cmp(at->key, key);
        quartet_status rc = c < 0 ? kv_run_put(x->w, at->tree, at->key, ENTRY_VERSION, at->record, err) : QUARTET_OK;
        if (rc == QUARTET_OK && c <= 0)
            rc = kv_blend_next(&x->direct, err);
        if (rc != QUARTET_OK || c >= 0)
            return rc;
    }
    return QUARTET_OK;
}

/* Both kinds of history as one row of ascending keys. */
static quartet_status put_pasts(struct writing *x, struct err *err)
{
    tree_id tree = kv_past_tree(x->rows.at->tree);
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = x->past_count; i-- > 0 && rc == QUARTET_OK;) {
        buf_clear(&x->key);
        kv_past_key(&x->key, x->rows.at->key, KV_PAST_BEFORE, x->pasts[i].stamp, 0);
        rc = buf_check(&x->key, err);
        struct slice key = slice_of(x->key.data, x->key.len);
        if (rc == QUARTET_OK)
            rc = put_direct(x, tree, key, false, err);
        if (rc == QUARTET_OK)
            rc = kv_run_put(x->w, tree, key, ENTRY_VERSION, x->pasts[i].record, err);
    }
    return rc;
}

static quartet_status put_all(struct writing *x, const struct kv_journal_of *of, struct err *err)
{
    quartet_status rc = kv_blend_start(&x->rows, of->walks, of->count, false, 0, slice_of("", 0), err);
    if (rc == QUARTET_OK)
        rc = kv_blend_start(&x->direct, of->again, of->count, false, KV_PAST_TREE, slice_of("", 0), err);
    while (rc == QUARTET_OK && x->rows.at != NULL && x->rows.at->tree < KV_PAST_TREE) {
        rc = kv_run_put(x->w, x->rows.at->tree, x->rows.at->key, ENTRY_VERSION, x->rows.at->record, err);
        x->past_count = 0;
        if (rc == QUARTET_OK)
            rc = kv_merge_pasts(&x->rows, of->count, of->past_from, gather, x, err);
        if (rc == QUARTET_OK && x->past_count > 0)
            rc = put_pasts(x, err);
        if (rc == QUARTET_OK)
            rc = kv_blend_next(&x->rows, err);
    }
    return rc == QUARTET_OK ? put_direct(x, 0, (struct slice){0}, true, err) : rc;
}

static quartet_status write_tail(const struct kv_journal_of *of, const struct kv_journal *j, kv_run *run, struct err *err)
{
    struct buf tail = {0};
    if (of->checkpoint.n > TAIL_BYTES_MAX - 64)
        return err_set(err, QUARTET_LIMIT, "a checkpoint of %zu bytes", of->checkpoint.n);
    buf_u8(&tail, TAIL_VERSION);
    buf_u64(&tail, j->id);
    buf_u64(&tail, of->past_from);
    buf_u32(&tail, (uint32_t)of->checkpoint.n);
    buf_put(&tail, of->checkpoint.p, of->checkpoint.n);
    if (!tail.failed)
        buf_u64(&tail, XXH3_64bits(tail.data, tail.len));
    quartet_status rc = buf_check(&tail, err);
    if (rc == QUARTET_OK)
        rc = kv_run_keep(run, slice_of(tail.data, tail.len), err);
    buf_deinit(&tail);
    return rc;
}

quartet_status kv_journal_write(struct env *env, const char *dir, const struct kv_journal_of *of, struct kv_journal *out, struct err *err)
{
    struct kv_journal j = {0};
    struct writing x = {0};
    kv_run *run = NULL;
    char name[32];
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && j.id == 0)
        rc = env->ops->random(env, &j.id, sizeof j.id, err);
    name_of(&j, name);
    if (rc == QUARTET_OK)
        rc = kv_run_writer_new(&(struct kv_run_place){.env = env, .dir = dir, .name = name}, &x.w, err);
    if (rc == QUARTET_OK)
        rc = put_all(&x, of, err);
    if (rc == QUARTET_OK) {
        rc = kv_run_finish(x.w, 0, &run, err);
        x.w = NULL;
    }
    if (rc == QUARTET_OK) {
        j.bytes = kv_run_bytes(run);
        rc = write_tail(of, &j, run, err);
    }
    if (rc == QUARTET_OK)
        rc = env->ops->sync_dir(env, dir, err);
    kv_run_writer_free(x.w);
    kv_run_free(run);
    kv_blend_end(&x.rows);
    kv_blend_end(&x.direct);
    mem_free(x.pasts);
    buf_deinit(&x.key);
    if (rc == QUARTET_OK)
        *out = j;
    else if (j.id != 0)
        kv_journal_remove(env, dir, &j);
    return rc;
}

void kv_journal_mark(const struct kv_journal *j, struct buf *out)
{
    buf_u8(out, KV_FLUSH_TORN);
    buf_u64(out, j->id);
    buf_u64(out, j->bytes);
}

/* ---- reading ---- */

static quartet_status read_tail(struct env *env, const char *path, const struct kv_journal *j, uint64_t *past_from, struct buf *checkpoint, struct err *err)
{
    struct file *f = NULL;
    uint64_t size = 0;
    size_t got = 0, n = 0;
    uint8_t *p = NULL;
    quartet_status rc = env->ops->open(env, path, FILE_READ, &f, err);
    if (rc == QUARTET_OK)
        rc = env->ops->size(f, &size, err);
    if (rc == QUARTET_OK && (size < j->bytes || size - j->bytes < TAIL_HEAD_BYTES + 8 || size - j->bytes > TAIL_BYTES_MAX))
        rc = err_set(err, QUARTET_CORRUPT, "%.400s: it has another size", path);
    if (rc == QUARTET_OK) {
        n = (size_t)(size - j->bytes);
        p = mem_alloc(n);
        rc = p != NULL ? env->ops->pread(f, p, n, j->bytes, &got, err) : err_nomem(err);
    }
    env->ops->close(f);
    if (rc == QUARTET_OK && (got != n || load_le64(p + n - 8) != XXH3_64bits(p, n - 8) || load_le64(p + 1) != j->id || load_le32(p + 17) != n - TAIL_HEAD_BYTES - 8))
        rc = err_set(err, QUARTET_CORRUPT, "%.400s: damaged at byte %llu", path, (unsigned long long)j->bytes);
    else if (rc == QUARTET_OK && p[0] != TAIL_VERSION)
        rc = err_set(err, QUARTET_CANTOPEN, "%.400s: made by another version", path);
    if (rc == QUARTET_OK) {
        *past_from = load_le64(p + 9);
        buf_put(checkpoint, p + TAIL_HEAD_BYTES, n - TAIL_HEAD_BYTES - 8);
        rc = buf_check(checkpoint, err);
    }
    mem_free(p);
    return rc;
}

quartet_status kv_journal_open(struct env *env, const char *dir, struct slice mark, struct kv_journal *out, kv_run **run, uint64_t *past_from,
                               struct buf *checkpoint, struct err *err)
{
    char name[32], path[4096];
    if (mark.n != MARK_BYTES || mark.p[0] != KV_FLUSH_TORN || load_le64(mark.p + 1) == 0)
        return err_set(err, QUARTET_CORRUPT, "the checkpoint is damaged");
    *out = (struct kv_journal){.id = load_le64(mark.p + 1), .bytes = load_le64(mark.p + 9)};
    name_of(out, name);
    quartet_status rc = path_join(path, sizeof path, dir, name, err);
    if (rc == QUARTET_OK)
        rc = read_tail(env, path, out, past_from, checkpoint, err);
    if (rc == QUARTET_NOTFOUND)
        return err_set(err, QUARTET_CORRUPT, "a crash cut a flush in two, and %.400s, which would finish it, is missing", path);
    return rc == QUARTET_OK ? kv_run_open(&(struct kv_run_place){.env = env, .dir = dir, .name = name}, out->bytes, run, err) : rc;
}

void kv_journal_remove(struct env *env, const char *dir, const struct kv_journal *j)
{
    char name[32], path[4096];
    struct err ignored = ERR_INIT; /* the next open removes it */
    name_of(j, name);
    if (path_join(path, sizeof path, dir, name, &ignored) == QUARTET_OK)
        (void)env->ops->unlink(env, path, &ignored);
}

struct cleaning {
    struct env *env;
    const char *dir;
    char keep[32];
};

static quartet_status clean_one(void *arg, const char *name, struct err *err)
{
    const struct cleaning *c = arg;
    char path[4096];
    bool run = strncmp(name, KV_RUN_FILE_PREFIX, strlen(KV_RUN_FILE_PREFIX)) == 0, journal = strncmp(name, KV_JOURNAL_PREFIX, strlen(KV_JOURNAL_PREFIX)) == 0;
    if ((!run && !journal) || strcmp(name, c->keep) == 0)
        return QUARTET_OK;
    quartet_status rc = path_join(path, sizeof path, c->dir, name, err);
    return rc == QUARTET_OK ? c->env->ops->unlink(c->env, path, err) : rc;
}

quartet_status kv_journal_clean(struct env *env, const char *dir, const struct kv_journal *keep, struct err *err)
{
    struct cleaning c = {.env = env, .dir = dir};
    if (keep->id != 0)
        name_of(keep, c.keep);
    return env->ops->list(env, dir, clean_one, &c, err);
}
