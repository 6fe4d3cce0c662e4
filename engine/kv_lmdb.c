/* kv_lmdb.c - the base on disk: LMDB, always with its own full durability.
 * Why LMDB: snapshots that cost nothing, pages read in place, a file that needs no recovery of its own. What it lacks (checksums, small
 *   entries at a price) blocks make up for.
 * Debian's 0.9.24 has bugs that decide the flags here: no MDB_DUPSORT, MDB_WRITEMAP or MDB_NOSYNC; MDB_NOTLS, since a snapshot is no thread's
 *   own; one map size for ever, since mdb_env_set_mapsize pulls pages away under live readers.
 * Layout: one unnamed database. Key: tree id big-endian, separator. Tree 2^64 - 1 is ours: "checkpoint", "format", and "sum", that of all other entries, which
 *   each commit carries along and lmdb_check.c holds against the file at open. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "base/mem.h"
#include "kv_base.h"
#include "lmdb_check.h"

#define READERS_MAX 1024u
#define LOCK_READER_BYTES 64u /* of a reader in LMDB's lock file, and of what stands before them: its size decides how many there are */
#define LOCK_HEAD_BYTES 128u
#define POOL_MAX 64u
#define PLENTY_BYTES (64u << 20)
#define MAP_BYTES_MIN ((size_t)1 << 30)
#define FORMAT_TEXT "quartet base 5"
#define OWN_TREE UINT64_MAX

#if defined(__SANITIZE_THREAD__)
#define MAP_BYTES ((size_t)1 << 38) /* ThreadSanitizer's own maps leave no more */
#else
#define MAP_BYTES ((size_t)1 << 40)
#endif

struct lmdb_base {
    struct kv_base base;
    MDB_env *env;
    MDB_dbi dbi;
    bool broken; /* a commit failed in a way that leaves the file in doubt */
    struct lmdb_sum sum; /* as of the last commit; the writer's */
    pthread_mutex_t lock; /* guards the pool */
    struct base_read *pool;
    uint32_t pool_count;
    char path[512];
};
struct base_read {
    struct lmdb_base *base;
    MDB_txn *txn;
    struct base_read *next; /* in the pool */
    MDB_cursor *spare;      /* a cursor to use again */
    bool spare_taken;
};
struct base_write {
    struct lmdb_base *base;
    MDB_txn *txn;
    MDB_cursor *cursor;
    struct lmdb_sum sum; /* with what was put and erased so far */
    uint64_t pages; /* at most so many will be written */
};

static quartet_status lmdb_error(const struct lmdb_base *b, int rc, const char *doing, struct err *err)
{
    quartet_status code = QUARTET_IO;
    if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG || rc == MDB_MAP_FULL)
        code = QUARTET_FULL;
    else if (rc == ENOMEM)
        code = QUARTET_NOMEM;
    else if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID)
        code = QUARTET_CORRUPT;
    else if (rc == MDB_VERSION_MISMATCH || rc == EACCES || rc == ENOENT || rc == EPERM || rc == EROFS)
        code = QUARTET_CANTOPEN;
    else if (rc == MDB_PANIC) /* LMDB shows nothing any longer, not even what was there before */
        return err_set(err, code, "%s: %s: a write to its first pages has failed; open the database again", b->path, doing);
    else if (rc == MDB_READERS_FULL)
        return err_set(err, QUARTET_LIMIT, "more than %u snapshots are held", READERS_MAX);
    return err_set(err, code, "%s: %s: %s", b->path, doing, mdb_strerror(rc));
}

struct lmdb_key {
    uint8_t bytes[8 + BASE_SEPARATOR_BYTES_MAX];
    MDB_val val;
};

static void key_make(struct lmdb_key *k, tree_id tree, struct slice separator)
{
    QASSERT(separator.n <= BASE_SEPARATOR_BYTES_MAX);
    store_be64(k->bytes, tree);
    if (separator.n > 0)
        memcpy(k->bytes + 8, separator.p, separator.n);
    k->val = (MDB_val){.mv_size = 8 + separator.n, .mv_data = k->bytes};
}

static void read_free(struct base_read *r)
{
    if (r->spare != NULL)
        mdb_cursor_close(r->spare);
    if (r->txn != NULL)
        mdb_txn_abort(r->txn);
    mem_free(r);
}

static void lmdb_close(struct kv_base *base)
{
    struct lmdb_base *b = (struct lmdb_base *)(void *)base;
    for (struct base_read *r = b->pool, *next; r != NULL; r = next) {
        next = r->next;
        read_free(r);
    }
    if (b->env != NULL)
        mdb_env_close(b->env);
    pthread_mutex_destroy(&b->lock);
    mem_free(b);
}

static quartet_status lmdb_read_begin(struct kv_base *base, struct base_read **out, struct err *err)
{
    struct lmdb_base *b = (struct lmdb_base *)(void *)base;
    pthread_mutex_lock(&b->lock);
    struct base_read *r = b->pool;
    if (r != NULL) {
        b->pool = r->next;
        b->pool_count--;
    }
    pthread_mutex_unlock(&b->lock);
    int rc = 0;
    if (r != NULL) {
        rc = mdb_txn_renew(r->txn);
    } else {
        r = mem_zalloc(1, sizeof *r);
        if (r == NULL)
            return err_nomem(err);
        r->base = b;
        rc = mdb_txn_begin(b->env, NULL, MDB_RDONLY, &r->txn);
    }
    if (rc != 0) {
        read_free(r);
        return lmdb_error(b, rc, "a snapshot", err);
    }
    *out = r;
    return QUARTET_OK;
}

static void lmdb_read_end(struct base_read *r)
{
    if (r == NULL)
        return;
    struct lmdb_base *b = r->base;
    mdb_txn_reset(r->txn);
    pthread_mutex_lock(&b->lock);
    bool keep = b->pool_count < POOL_MAX;
    if (keep) {
        r->next = b->pool;
        b->pool = r;
        b->pool_count++;
    }
    pthread_mutex_unlock(&b->lock);
    if (!keep)
        read_free(r);
}

static quartet_status lmdb_cursor_open(struct base_read *r, struct base_cursor *c, struct err *err)
{
    *c = (struct base_cursor){.read = r};
    MDB_cursor *cursor = NULL;
    int rc;
    if (r->spare != NULL && !r->spare_taken) {
        rc = mdb_cursor_renew(r->txn, r->spare);
        cursor = r->spare;
        r->spare_taken = rc == 0;
    } else {
        rc = mdb_cursor_open(r->txn, r->base->dbi, &cursor);
        if (rc == 0 && r->spare == NULL) {
            r->spare = cursor;
            r->spare_taken = true;
        }
    }
    if (rc != 0)
        return lmdb_error(r->base, rc, "a cursor", err);
    c->handle = cursor;
    return QUARTET_OK;
}

static void lmdb_cursor_close(struct base_cursor *c)
{
    if (c->handle == c->read->spare)
        c->read->spare_taken = false;
    else
        mdb_cursor_close(c->handle);
    c->handle = NULL;
    c->read = NULL;
}

/* Take over where LMDB's cursor stands after `rc`. */
static quartet_status cursor_land(struct base_cursor *c, int rc, const MDB_val *key, const MDB_val *val, struct err *err)
{
    c->found = false;
    if (rc == MDB_NOTFOUND)
        return QUARTET_OK;
    if (rc != 0)
        return lmdb_error(c->read->base, rc, "reading", err);
    if (key->mv_size < 8 || load_be64(key->mv_data) != c->tree)
        return QUARTET_OK;
    c->found = true;
    c->separator = slice_of((const uint8_t *)key->mv_data + 8, key->mv_size - 8);
    c->block = val->mv_data;
    c->block_bytes = val->mv_size;
    return QUARTET_OK;
}

static quartet_status cursor_move(struct base_cursor *c, MDB_cursor_op op, struct err *err)
{
    MDB_val key, val;
    int rc = mdb_cursor_get(c->handle, &key, &val, op);
    return cursor_land(c, rc, &key, &val, err);
}

static quartet_status lmdb_seek(struct base_cursor *c, tree_id tree, struct slice key, struct err *err)
{
    /* A key longer than any separator may be cut: separators that begin with all of the cut key are no longer than it. */
    struct slice cut = slice_of(key.p, key.n < BASE_SEPARATOR_BYTES_MAX ? key.n : BASE_SEPARATOR_BYTES_MAX);
    struct lmdb_key k;
    key_make(&k, tree, cut);
    MDB_val at = k.val, val;
    c->tree = tree;
    int rc = mdb_cursor_get(c->handle, &at, &val, MDB_SET_RANGE);
    quartet_status status = cursor_land(c, rc, &at, &val, err);
    if (status != QUARTET_OK || (c->found && slice_eq(c->separator, cut)))
        return status;
    bool first_after = c->found;
    status = cursor_move(c, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV, err);
    if (status != QUARTET_OK || c->found || !first_after)
        return status;
    /* Below the tree's first block. Looked for again: where MDB_PREV found nothing the cursor's place is LMDB's secret. */
    at = k.val;
    rc = mdb_cursor_get(c->handle, &at, &val, MDB_SET_RANGE);
    return cursor_land(c, rc, &at, &val, err);
}

static quartet_status lmdb_seek_last(struct base_cursor *c, tree_id tree, struct err *err)
{
    QASSERT(tree < OWN_TREE);
    struct lmdb_key k;
    key_make(&k, tree + 1, slice_of(NULL, 0));
    MDB_val at = k.val, val;
    c->tree = tree;
    int rc = mdb_cursor_get(c->handle, &at, &val, MDB_SET_RANGE);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return lmdb_error(c->read->base, rc, "reading", err);
    return cursor_move(c, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV, err);
}

static quartet_status lmdb_next(struct base_cursor *c, struct err *err)
{
    return cursor_move(c, MDB_NEXT, err);
}

static quartet_status lmdb_prev(struct base_cursor *c, struct err *err)
{
    return cursor_move(c, MDB_PREV, err);
}

static quartet_status lmdb_next_tree(struct base_read *r, tree_id *tree, bool *found, struct err *err)
{
    struct base_cursor c;
    struct lmdb_key k;
    MDB_val val;
    *found = false;
    quartet_status status = lmdb_cursor_open(r, &c, err);
    if (status != QUARTET_OK)
        return status;
    key_make(&k, *tree, slice_of(NULL, 0));
    MDB_val at = k.val;
    int rc = mdb_cursor_get(c.handle, &at, &val, MDB_SET_RANGE);
    if (rc != 0 && rc != MDB_NOTFOUND)
        status = lmdb_error(r->base, rc, "reading", err);
    else if (rc == 0 && at.mv_size >= 8 && load_be64(at.mv_data) != OWN_TREE) {
        *tree = load_be64(at.mv_data);
        *found = true;
    }
    lmdb_cursor_close(&c);
    return status;
}

static quartet_status lmdb_write_begin(struct kv_base *base, struct base_write **out, struct err *err)
{
    struct lmdb_base *b = (struct lmdb_base *)(void *)base;
    if (b->broken)
        return err_set(err, QUARTET_IO, "%s: an earlier write failed; open the database again", b->path);
    struct base_write *w = mem_zalloc(1, sizeof *w);
    if (w == NULL)
        return err_nomem(err);
    w->base = b;
    w->sum = b->sum;
    int rc = mdb_txn_begin(b->env, NULL, 0, &w->txn);
    if (rc == 0)
        rc = mdb_cursor_open(w->txn, b->dbi, &w->cursor);
    if (rc != 0) {
        if (w->txn != NULL)
            mdb_txn_abort(w->txn);
        mem_free(w);
        return lmdb_error(b, rc, "a write transaction", err);
    }
    *out = w;
    return QUARTET_OK;
}

static const uint8_t SUM_KEY[] = {255, 255, 255, 255, 255, 255, 255, 255, 's', 'u', 'm'}; /* tree and separator */

/* The entry at the cursor goes into the sum, or out of it. */
static quartet_status count_entry(struct base_write *w, bool in, struct err *err)
{
    MDB_val key, val;
    uint64_t page = 0;
    int rc = mdb_cursor_get(w->cursor, &key, &val, MDB_GET_CURRENT);
    if (rc != 0)
        return lmdb_error(w->base, rc, "writing", err);
    if (key.mv_size == sizeof SUM_KEY && memcmp(key.mv_data, SUM_KEY, sizeof SUM_KEY) == 0)
        return QUARTET_OK;
    if (lmdb_is_apart(key.mv_size, val.mv_size) && !lmdb_apart_good(val.mv_data, val.mv_size, &page))
        return err_set(err, QUARTET_CORRUPT, "%s: damaged page of a block: its header", w->base->path); /* LMDB would free what it says */
    uint64_t hash = lmdb_entry_hash(slice_of(key.mv_data, key.mv_size), slice_of(val.mv_data, val.mv_size), page);
    w->sum.sum += in ? hash : 0 - hash;
    w->sum.entries += in ? 1u : UINT64_MAX;
    return QUARTET_OK;
}

/* Find an entry that is to be replaced or erased, and take it out of the sum. */
static quartet_status find_entry(struct base_write *w, struct lmdb_key *k, bool *found, struct err *err)
{
    MDB_val key = k->val, val;
    int rc = mdb_cursor_get(w->cursor, &key, &val, MDB_SET);
    *found = rc == 0;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return lmdb_error(w->base, rc, "writing", err);
    return *found ? count_entry(w, false, err) : QUARTET_OK;
}

static quartet_status lmdb_put(struct base_write *w, tree_id tree, struct slice separator, struct slice block, struct err *err)
{
    struct lmdb_key k;
    bool found;
    key_make(&k, tree, separator);
    MDB_val val;
    val.mv_size = block.n;
    memcpy(&val.mv_data, &block.p, sizeof val.mv_data); /* LMDB's type has no const; it only reads */
    w->pages += block.n / 4096 + 2;
    quartet_status status = find_entry(w, &k, &found, err);
    if (status != QUARTET_OK)
        return status;
    int rc = mdb_cursor_put(w->cursor, &k.val, &val, 0);
    return rc == 0 ? count_entry(w, true, err) : lmdb_error(w->base, rc, "writing", err);
}

static quartet_status lmdb_del(struct base_write *w, tree_id tree, struct slice separator, struct err *err)
{
    struct lmdb_key k;
    bool found;
    key_make(&k, tree, separator);
    w->pages++;
    quartet_status status = find_entry(w, &k, &found, err);
    if (status != QUARTET_OK || !found)
        return status;
    int rc = mdb_cursor_del(w->cursor, 0);
    return rc == 0 ? QUARTET_OK : lmdb_error(w->base, rc, "erasing", err);
}

static void lmdb_abort(struct base_write *w)
{
    if (w == NULL)
        return;
    mdb_cursor_close(w->cursor);
    mdb_txn_abort(w->txn);
    mem_free(w);
}

/* Take the disk space that a commit may need before it writes. LMDB says "input/output error" when a full disk cuts a write short, just as when a sync
 * fails; so a full disk must be found out before. */
static quartet_status reserve(const struct base_write *w, struct err *err)
{
    MDB_envinfo info;
    int fd;
    int rc = mdb_env_info(w->base->env, &info);
    if (rc == 0)
        rc = mdb_env_get_fd(w->base->env, &fd);
    if (rc != 0)
        return lmdb_error(w->base, rc, "commit", err);
    uint64_t bytes = (info.me_last_pgno + 1 + w->pages + 16) * 4096;
    struct statvfs disk;
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && bytes > limit.rlim_cur)
        return lmdb_error(w->base, EFBIG, "making room", err);
    if (fstatvfs(fd, &disk) != 0 || (uint64_t)disk.f_bavail * disk.f_frsize > 4 * (w->pages + 16) * 4096 + PLENTY_BYTES)
        return QUARTET_OK; /* what is reserved and not needed stays with the file: done only where it is tight */
    while ((rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes)) != 0 && errno == EINTR)
        ;
    if (rc == 0 || (errno != ENOSPC && errno != EDQUOT && errno != EFBIG))
        return QUARTET_OK; /* a file system that cannot reserve is no reason to refuse */
    return lmdb_error(w->base, errno, "making room", err);
}

static quartet_status lmdb_commit(struct base_write *w, struct slice checkpoint, struct err *err)
{
    struct lmdb_base *b = w->base;
    quartet_status status = QUARTET_OK;
    if (checkpoint.p != NULL)
        status = lmdb_put(w, OWN_TREE, slice_of("checkpoint", 10), checkpoint, err);
    uint8_t sum[LMDB_SUM_BYTES];
    lmdb_sum_encode(&w->sum, sum);
    if (status == QUARTET_OK)
        status = lmdb_put(w, OWN_TREE, slice_of("sum", 3), slice_of(sum, sizeof sum), err);
    if (status == QUARTET_OK)
        status = reserve(w, err);
    if (status != QUARTET_OK) {
        lmdb_abort(w);
        return status;
    }
    struct lmdb_sum now = w->sum;
    mdb_cursor_close(w->cursor);
    int rc = mdb_txn_commit(w->txn); /* frees it in any case */
    mem_free(w);
    if (rc == 0) {
        b->sum = now;
        return QUARTET_OK;
    }
    status = lmdb_error(b, rc, "commit", err);
    /* Where there was no room nothing was synced and nothing refers to the new pages; after a failed sync nobody knows. */
    b->broken = status != QUARTET_FULL && status != QUARTET_NOMEM;
    return status;
}

static quartet_status own_get(struct lmdb_base *b, const char *name, struct buf *out, bool *found, struct err *err)
{
    MDB_txn *txn = NULL;
    struct lmdb_key k;
    MDB_val val;
    key_make(&k, OWN_TREE, slice_of(name, strlen(name)));
    int rc = mdb_txn_begin(b->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0)
        rc = mdb_get(txn, b->dbi, &k.val, &val);
    *found = rc == 0;
    if (rc == 0)
        buf_put(out, val.mv_data, val.mv_size);
    if (txn != NULL)
        mdb_txn_abort(txn);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return lmdb_error(b, rc, "reading", err);
    return buf_check(out, err);
}

static quartet_status lmdb_checkpoint(struct kv_base *base, struct buf *out, struct err *err)
{
    bool found;
    return own_get((struct lmdb_base *)(void *)base, "checkpoint", out, &found, err);
}

static uint64_t lmdb_bytes(struct kv_base *base)
{
    struct lmdb_base *b = (struct lmdb_base *)(void *)base;
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(b->env, &info) != 0 || mdb_env_stat(b->env, &stat) != 0)
        return 0;
    return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

static uint64_t lmdb_dead(struct kv_base *base)
{
    struct lmdb_base *b = (struct lmdb_base *)(void *)base;
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(b->env, &info) != 0 || mdb_env_stat(b->env, &stat) != 0)
        return 0;
    uint64_t pages = info.me_last_pgno + 1, live = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    return pages > live ? (pages - live) * stat.ms_psize : 0;
}

static uint64_t lmdb_room(struct kv_base *base)
{
    struct lmdb_base *b = (struct lmdb_base *)(void *)base;
    struct statvfs disk;
    int fd;
    if (mdb_env_get_fd(b->env, &fd) != 0 || fstatvfs(fd, &disk) != 0)
        return UINT64_MAX;
    return (uint64_t)disk.f_bavail * disk.f_frsize;
}

static const struct kv_base_ops lmdb_ops = {
    .close = lmdb_close,
    .read_begin = lmdb_read_begin,
    .read_end = lmdb_read_end,
    .cursor_open = lmdb_cursor_open,
    .cursor_close = lmdb_cursor_close,
    .seek = lmdb_seek,
    .seek_last = lmdb_seek_last,
    .next = lmdb_next,
    .prev = lmdb_prev,
    .next_tree = lmdb_next_tree,
    .write_begin = lmdb_write_begin,
    .put = lmdb_put,
    .del = lmdb_del,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .checkpoint = lmdb_checkpoint,
    .bytes = lmdb_bytes,
    .dead = lmdb_dead,
    .room = lmdb_room,
};

/* Reserve the map: all of it, or as much as the system grants. */
static int open_env(struct env *env, struct lmdb_base *b)
{
    int rc = 0;
    for (size_t bytes = MAP_BYTES; bytes >= MAP_BYTES_MIN; bytes /= 2) {
        rc = mdb_env_create(&b->env);
        if (rc == 0)
            rc = mdb_env_set_mapsize(b->env, bytes);
        if (rc == 0)
            rc = mdb_env_set_maxreaders(b->env, READERS_MAX);
        if (rc == 0)
            rc = mdb_env_open(b->env, b->path, MDB_NOSUBDIR | MDB_NOTLS, 0600);
        if (rc == 0) {
            if (bytes < MAP_BYTES)
                log_line(env, LOG_WARN, "store", "%s: the system grants a map of %zu GiB only, the base cannot outgrow it", b->path, bytes >> 30);
            return 0;
        }
        if (b->env != NULL)
            mdb_env_close(b->env);
        b->env = NULL;
        if (rc != ENOMEM && rc != EINVAL && rc != EFBIG)
            break;
    }
    return rc;
}

static quartet_status check_format(struct lmdb_base *b, struct err *err)
{
    struct buf text = {0};
    bool found;
    quartet_status rc = own_get(b, "format", &text, &found, err);
    if (rc == QUARTET_OK && found && !slice_eq(slice_of(text.data, text.len), slice_of(FORMAT_TEXT, strlen(FORMAT_TEXT))))
        rc = err_set(err, QUARTET_CANTOPEN, "%s: made by another version (format \"%.*s\", this one reads \"%s\")", b->path,
                     (int)(text.len < 40 ? text.len : 40), (const char *)text.data, FORMAT_TEXT);
    buf_deinit(&text);
    if (rc != QUARTET_OK || found)
        return rc;
    struct base_write *w;
    rc = lmdb_write_begin(&b->base, &w, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = lmdb_put(w, OWN_TREE, slice_of("format", 6), slice_of(FORMAT_TEXT, strlen(FORMAT_TEXT)), err);
    if (rc == QUARTET_OK)
        return lmdb_commit(w, slice_of(NULL, 0), err);
    lmdb_abort(w);
    return rc;
}

static quartet_status open_dbi(struct lmdb_base *b, struct err *err)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(b->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        rc = mdb_dbi_open(txn, NULL, 0, &b->dbi);
        mdb_txn_abort(txn);
    }
    return rc == 0 ? QUARTET_OK : lmdb_error(b, rc, "open", err);
}

/* LMDB writes its table of readers through a map of a file with holes: on a full disk the system ends the process for that (SIGBUS). So the file gets its
 * blocks before. Nobody else has it open: this process holds the directory's lock. */
static quartet_status fill_lock_file(struct env *env, const struct lmdb_base *b, struct err *err)
{
    static const uint8_t zeros[READERS_MAX * LOCK_READER_BYTES + LOCK_HEAD_BYTES];
    char path[sizeof b->path + 8];
    struct file *f = NULL;
    snprintf(path, sizeof path, "%s-lock", b->path);
    quartet_status rc = env->ops->open(env, path, FILE_WRITE, &f, err);
    if (rc == QUARTET_OK)
        rc = env->ops->pwrite(f, zeros, sizeof zeros, 0, err);
    env->ops->close(f);
    return rc;
}

/* Open the file b->path; a `fresh` one is made and given its format. */
static quartet_status open_file(struct env *env, struct lmdb_base *b, bool fresh, struct err *err)
{
    bool has_sum = true;
    quartet_status rc = fresh ? QUARTET_OK : lmdb_check(env, b->path, slice_of(SUM_KEY, sizeof SUM_KEY), &b->sum, &has_sum, err);
    if (rc == QUARTET_OK)
        rc = fill_lock_file(env, b, err);
    if (rc != QUARTET_OK)
        return rc;
    int code = open_env(env, b);
    rc = code == 0 ? open_dbi(b, err) : lmdb_error(b, code, "open", err);
    if (rc == QUARTET_OK)
        rc = check_format(b, err);
    if (rc == QUARTET_OK && !has_sum)
        rc = err_set(err, QUARTET_CORRUPT, "%s: damaged: the sum of its entries is missing", b->path);
    return rc;
}

/* A new base is made under another name: a crash within LMDB's first write, which nobody syncs, leaves a file that LMDB takes for damaged for ever. */
static quartet_status make_file(struct env *env, struct lmdb_base *b, const char *dir, struct err *err)
{
    static const char *const left_over[] = {"base.mdb.new", "base.mdb.new-lock"};
    char path[sizeof b->path], other[sizeof b->path];
    memcpy(path, b->path, sizeof path);
    if (env->ops->exists(env, path))
        return QUARTET_OK;
    quartet_status rc = QUARTET_OK;
    for (int k = 0; rc == QUARTET_OK && k < 2; k++) {
        rc = path_join(other, sizeof other, dir, left_over[k], err);
        if (rc == QUARTET_OK && env->ops->exists(env, other))
            rc = env->ops->unlink(env, other, err);
    }
    if (rc == QUARTET_OK)
        rc = path_join(b->path, sizeof b->path, dir, left_over[0], err);
    if (rc == QUARTET_OK)
        rc = open_file(env, b, true, err);
    if (b->env != NULL)
        mdb_env_close(b->env);
    b->env = NULL;
    if (rc == QUARTET_OK)
        rc = env->ops->unlink(env, other, err);
    if (rc == QUARTET_OK)
        rc = env->ops->rename(env, b->path, path, err);
    if (rc == QUARTET_OK)
        rc = env->ops->sync_dir(env, dir, err);
    memcpy(b->path, path, sizeof path);
    return rc;
}

void kv_lmdb_renamed(struct kv_base *base, const char *path)
{
    struct lmdb_base *b = (struct lmdb_base *)(void *)base;
    snprintf(b->path, sizeof b->path, "%s", path);
}

/* dir: the base's own directory, where a missing one is made in steps that a crash may cut; NULL: another file, wanted by nobody before it is whole. */
static quartet_status open_at(struct env *env, const char *dir, const char *path, struct kv_base **out, struct err *err)
{
    struct lmdb_base *b = mem_zalloc(1, sizeof *b);
    if (b == NULL)
        return err_nomem(err);
    if (pthread_mutex_init(&b->lock, NULL) != 0) {
        mem_free(b);
        return err_nomem(err);
    }
    b->base.ops = &lmdb_ops;
    atomic_init(&b->base.refs, 1);
    int n = snprintf(b->path, sizeof b->path, "%s", path);
    quartet_status rc = n < 0 || (size_t)n >= sizeof b->path ? err_set(err, QUARTET_LIMIT, "the path of the base is too long") : QUARTET_OK;
    if (rc == QUARTET_OK && dir != NULL)
        rc = make_file(env, b, dir, err);
    if (rc == QUARTET_OK)
        rc = open_file(env, b, dir == NULL && !env->ops->exists(env, path), err);
    if (rc != QUARTET_OK) {
        lmdb_close(&b->base);
        return rc;
    }
    *out = &b->base;
    return QUARTET_OK;
}

quartet_status kv_lmdb_open(struct env *env, const char *dir, struct kv_base **out, struct err *err)
{
    char path[sizeof ((struct lmdb_base *)0)->path];
    quartet_status rc = path_join(path, sizeof path, dir, "base.mdb", err);
    return rc == QUARTET_OK ? open_at(env, dir, path, out, err) : rc;
}

quartet_status kv_lmdb_open_file(struct env *env, const char *path, struct kv_base **out, struct err *err)
{
    return open_at(env, NULL, path, out, err);
}
