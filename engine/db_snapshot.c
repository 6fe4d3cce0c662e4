/* db_snapshot.c - a donor's state in a file: looked at as a database of its own, and installed in the place of this node's (docs/WIRE.md, "Snapshots").
 * Why in its place and not merged row by row: a base holds more than rows that merge (history, rows that are not live and their order of purging, versions counted by the owner's numbers), and
 *   where this node holds nothing that the donor lacks, merging would give the donor's state again. That it holds nothing is looked at with the commit lock held, and from then on it takes nothing.
 * Why at an opening and not in a running database: catalog, chains, clock, shares, snapshots that readers hold all belong to the old state; opening is the one place that makes them from a base.
 * Invariants: before the file has its name the directory is as it was; from then on nothing is written to the log that the new state would lack; whoever opens the directory finishes it.
 * Not here: who sends it, whether others confirm it (node_snapshot.c), the checkpoint in it (db_snapshot_head.c). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY
#include <sodium.h>
#include <xxhash.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/plant.h"
#include "db_snapshot_internal.h"
#include "kv_base.h"
#include "kv_state.h"

#define READ_BYTES (256u << 10)
#define PATH_BYTES (DB_PATH_BYTES_MAX + 64u)
#define BASE_FILE "base.mdb"
#define FILLED_FILE "base.mdb.vacuum-snapshot" /* a name that the store's opening cleans up */

void db_snapshot_info_deinit(struct db_snapshot_info *info)
{
    buf_deinit(&info->vector);
}

/* ---- reading the stream ---- */

struct stream {
    struct env *env;
    struct file *f;
    uint64_t at, end; /* of what was read from the file, and of the stream (or the whole file, before the end is known) */
    struct buf room;
    size_t used;      /* of room */
    crypto_generichash_state sum;
};

static quartet_status stream_open(struct stream *s, struct env *env, const char *path, struct err *err)
{
    *s = (struct stream){.env = env};
    (void)crypto_generichash_init(&s->sum, NULL, 0, SNAPSHOT_SUM_BYTES); /* cannot fail with these sizes */
    quartet_status rc = env->ops->open(env, path, FILE_READ, &s->f, err);
    return rc == QUARTET_OK ? env->ops->size(s->f, &s->end, err) : rc;
}

static void stream_close(struct stream *s)
{
    if (s->f != NULL)
        s->env->ops->close(s->f);
    buf_deinit(&s->room);
}

/* The next n bytes, valid until the next call. */
static quartet_status stream_take(struct stream *s, size_t n, bool summed, const uint8_t **out, struct err *err)
{
    size_t have = s->room.len - s->used, got = 0;
    if (have < n) {
        size_t want = n - have > READ_BYTES ? n - have : READ_BYTES;
        if (want > s->end - s->at)
            want = (size_t)(s->end - s->at);
        if (want < n - have)
            return err_set(err, QUARTET_CORRUPT, "a snapshot ends early");
        if (have > 0)
            memmove(s->room.data, s->room.data + s->used, have);
        s->room.len = have;
        s->used = 0;
        uint8_t *to = buf_reserve(&s->room, want);
        if (to == NULL)
            return err_nomem(err);
        quartet_status rc = s->env->ops->pread(s->f, to, want, s->at, &got, err);
        if (rc != QUARTET_OK)
            return rc;
        if (got < want)
            return err_set(err, QUARTET_CORRUPT, "a snapshot ends early");
        s->room.len += want;
        s->at += want;
    }
    *out = s->room.data + s->used;
    s->used += n;
    if (summed)
        (void)crypto_generichash_update(&s->sum, *out, n); /* cannot fail */
    return QUARTET_OK;
}

struct stream_head {
    uint8_t donor;
    struct state_hash claimed;
    struct buf checkpoint; /* neutral; owned */
};

static quartet_status read_head(struct stream *s, struct stream_head *out, struct err *err)
{
    const uint8_t *p = NULL;
    quartet_status rc = stream_take(s, SNAPSHOT_HEAD_BYTES, true, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    out->donor = p[SNAPSHOT_MAGIC_BYTES];
    out->claimed.lo = load_le64(p + 9);
    out->claimed.hi = load_le64(p + 17);
    uint32_t n = load_le32(p + 25);
    if (memcmp(p, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_BYTES) != 0 || out->donor >= SLOTS_MAX || n > SNAPSHOT_CHECKPOINT_BYTES_MAX)
        return err_set(err, QUARTET_CORRUPT, "no snapshot, or another version's");
    rc = stream_take(s, n, true, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    buf_put(&out->checkpoint, p, n);
    return buf_check(&out->checkpoint, err);
}

static quartet_status read_block(struct stream *s, kv_fill *f, struct err *err)
{
    const uint8_t *p = NULL;
    quartet_status rc = stream_take(s, SNAPSHOT_BLOCK_HEAD_BYTES - 1, true, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    struct kv_state_block b = {.tree = load_le64(p), .separator.n = load_le16(p + 8), .block.n = load_le32(p + 10)};
    rc = stream_take(s, b.separator.n + b.block.n, true, &p, err); /* no more than the file holds */
    if (rc != QUARTET_OK)
        return rc;
    b.separator.p = p;
    b.block.p = p + b.separator.n;
    return kv_fill_put(f, &b, err);
}

static quartet_status read_blocks(struct stream *s, kv_fill *f, struct err *err)
{
    uint8_t sum[SNAPSHOT_SUM_BYTES];
    for (uint64_t blocks = 0;; blocks++) {
        const uint8_t *p = NULL;
        quartet_status rc = stream_take(s, 1, true, &p, err);
        if (rc != QUARTET_OK)
            return rc;
        if (*p == SNAPSHOT_BLOCK) {
            rc = read_block(s, f, err);
            if (rc != QUARTET_OK)
                return rc;
            continue;
        }
        bool end = *p == SNAPSHOT_END;
        rc = end ? stream_take(s, SNAPSHOT_END_BYTES - 1, true, &p, err) : QUARTET_OK;
        if (rc == QUARTET_OK && (!end || load_le64(p) != blocks))
            rc = err_set(err, QUARTET_CORRUPT, "a snapshot whose parts do not follow each other");
        (void)crypto_generichash_final(&s->sum, sum, sizeof sum); /* cannot fail */
        if (rc == QUARTET_OK)
            rc = stream_take(s, sizeof sum, false, &p, err);
        if (rc == QUARTET_OK && memcmp(p, sum, sizeof sum) != 0)
            rc = err_set(err, QUARTET_CORRUPT, "a snapshot whose checksum does not fit");
        return rc;
    }
}

/* Of a file that was made ready its last part: the checkpoint to open with. *found false: it has none. The stream ends where it begins. */
static quartet_status read_tail(struct stream *s, struct buf *out, bool *found, struct err *err)
{
    uint8_t tail[SNAPSHOT_TAIL_BYTES];
    size_t got = 0;
    *found = false;
    if (s->end < sizeof tail)
        return QUARTET_OK;
    quartet_status rc = s->env->ops->pread(s->f, tail, sizeof tail, s->end - sizeof tail, &got, err);
    if (rc != QUARTET_OK || got < sizeof tail || memcmp(tail + 12, SNAPSHOT_TAIL_MAGIC, 8) != 0)
        return rc;
    uint32_t n = load_le32(tail);
    if (n > SNAPSHOT_CHECKPOINT_BYTES_MAX || n > s->end - sizeof tail)
        return err_set(err, QUARTET_CORRUPT, "a snapshot's last part is damaged");
    uint8_t *to = buf_reserve(out, n + 4u);
    if (to == NULL)
        return err_nomem(err);
    rc = s->env->ops->pread(s->f, to, n + 4u, s->end - sizeof tail - n, &got, err);
    if (rc != QUARTET_OK)
        return rc;
    if (got < n + 4u || XXH3_64bits(to, n + 4u) != load_le64(tail + 4))
        return err_set(err, QUARTET_CORRUPT, "a snapshot's last part is damaged");
    out->len += n;
    s->end -= sizeof tail + n;
    *found = true;
    return QUARTET_OK;
}

quartet_status snapshot_load(struct env *env, const char *file, struct kv_base *to, struct err *err)
{
    struct stream s;
    struct stream_head head = {0};
    struct buf checkpoint = {0};
    kv_fill *f = NULL;
    bool ready = false;
    quartet_status rc = stream_open(&s, env, file, err);
    if (rc == QUARTET_OK)
        rc = read_tail(&s, &checkpoint, &ready, err);
    if (rc == QUARTET_OK)
        rc = read_head(&s, &head, err);
    if (rc == QUARTET_OK && !ready)
        rc = checkpoint_alone(env, slice_of(head.checkpoint.data, head.checkpoint.len), &checkpoint, err);
    if (rc == QUARTET_OK)
        rc = kv_fill_begin(to, &f, err);
    if (rc == QUARTET_OK)
        rc = read_blocks(&s, f, err);
    if (rc == QUARTET_OK && s.at - (s.room.len - s.used) != s.end)
        rc = err_set(err, QUARTET_CORRUPT, "something stands behind a snapshot's end");
    if (rc == QUARTET_OK)
        rc = kv_fill_end(f, slice_of(checkpoint.data, checkpoint.len), err);
    if (rc != QUARTET_OK)
        err_prefix(err, file);
    kv_fill_free(f);
    buf_deinit(&head.checkpoint);
    buf_deinit(&checkpoint);
    stream_close(&s);
    return rc;
}

/* ---- opening ---- */

static void unlink_in(struct env *env, const char *dir, const char *name)
{
    char path[PATH_BYTES];
    struct err ignored = ERR_INIT; /* what stays is overwritten, or cleaned up by the next opening */
    if (path_join(path, sizeof path, dir, name, &ignored) == QUARTET_OK)
        (void)env->ops->unlink(env, path, &ignored);
}

quartet_status snapshot_install(db *d, const char *file, bool own, struct err *err)
{
    char path[PATH_BYTES], base_path[PATH_BYTES];
    struct kv_base *base = NULL;
    quartet_status rc = path_join(path, sizeof path, d->path, FILLED_FILE, err);
    if (rc == QUARTET_OK)
        rc = path_join(base_path, sizeof base_path, d->path, BASE_FILE, err);
    if (rc != QUARTET_OK)
        return rc;
    unlink_in(d->env, d->path, FILLED_FILE);
    rc = kv_lmdb_open_file(d->env, path, &base, err);
    if (rc == QUARTET_OK)
        rc = snapshot_load(d->env, file, base, err);
    kv_base_unref(base);
    unlink_in(d->env, d->path, FILLED_FILE "-lock");
    if (rc == QUARTET_OK) {
        unlink_in(d->env, d->path, BASE_FILE "-lock"); /* it belongs to the file that goes */
        rc = d->env->ops->rename(d->env, path, base_path, err);
    }
    if (rc == QUARTET_OK)
        rc = d->env->ops->sync_dir(d->env, d->path, err);
    if (rc != QUARTET_OK) {
        unlink_in(d->env, d->path, FILLED_FILE);
        return rc;
    }
    if (!own)
        return QUARTET_OK;
    log_line(d->env, LOG_INFO, "db", "%s: a member's snapshot is installed", d->path);
    rc = d->env->ops->unlink(d->env, file, err); /* before anything new is written: it would be lost if this were done again */
    return rc == QUARTET_OK ? d->env->ops->sync_dir(d->env, d->path, err) : rc;
}

/* ---- looking at it ---- */

static quartet_status unlink_one(void *arg, const char *name, struct err *err)
{
    struct scratch {
        struct env *env;
        const char *dir;
    } const *s = arg;
    (void)err; /* all are tried */
    unlink_in(s->env, s->dir, name);
    return QUARTET_OK;
}

/* A database's directory that was made for a while; what cannot be removed stays, and is tried again before the next one. */
static void remove_scratch(struct env *env, const char *dir)
{
    char path[PATH_BYTES];
    struct err ignored = ERR_INIT;
    struct {
        struct env *env;
        const char *dir;
    } in = {env, path};
    if (path_join(path, sizeof path, dir, "log", &ignored) == QUARTET_OK && env->ops->exists(env, path)) {
        (void)env->ops->list(env, path, unlink_one, &in, &ignored);
        (void)rmdir(path);
    }
    in.dir = dir;
    if (env->ops->exists(env, dir)) {
        (void)env->ops->list(env, dir, unlink_one, &in, &ignored);
        (void)rmdir(dir);
    }
}

static quartet_status read_claims(struct env *env, const char *file, struct db_snapshot_info *out, struct err *err)
{
    struct stream s;
    struct stream_head head = {0};
    quartet_status rc = stream_open(&s, env, file, err);
    if (rc == QUARTET_OK)
        rc = read_head(&s, &head, err);
    out->donor = head.donor;
    out->claimed = head.claimed;
    buf_deinit(&head.checkpoint);
    stream_close(&s);
    return rc;
}

quartet_status db_snapshot_check(struct env *env, const char *file, const char *scratch, struct db_snapshot_info *out, struct err *err)
{
    struct db_options o = {.in_memory = scratch == NULL, .snapshot = file};
    struct err ignored = ERR_INIT;
    db *d = NULL;
    *out = (struct db_snapshot_info){0};
    if (scratch != NULL)
        remove_scratch(env, scratch);
    quartet_status rc = read_claims(env, file, out, err);
    if (rc == QUARTET_OK)
        rc = db_open(env, scratch, &o, &d, err);
    if (rc == QUARTET_OK)
        rc = db_state_hash(d, &out->hash, &out->vector, err);
    if (d != NULL)
        (void)db_close(d, &ignored); /* nothing in it is kept */
    if (scratch != NULL)
        remove_scratch(env, scratch);
    if (rc == QUARTET_OK && (out->hash.lo != out->claimed.lo || out->hash.hi != out->claimed.hi))
        rc = err_set(err, QUARTET_CORRUPT, "the snapshot's rows do not make the state hash that node %u tells of them", (unsigned)out->donor);
    if (rc != QUARTET_OK)
        db_snapshot_info_deinit(out);
    return rc;
}

/* ---- taking it up ---- */

struct entry {
    uint64_t number;
    struct chain_id chain;
};

static bool next_entry(struct bytes_in *in, struct entry *e)
{
    e->chain.slot = bytes_u8(in);
    e->chain.incarnation = bytes_u64(in);
    e->number = bytes_varint(in);
    (void)bytes_take(in, 16); /* stamp and head: of an unsigned delta heads differ from node to node */
    return !in->bad;
}

static uint64_t number_in(struct slice vector, struct chain_id chain)
{
    struct bytes_in in = bytes_in(vector.p, vector.n);
    uint32_t n = bytes_count(&in, 26);
    struct entry e;
    for (uint32_t i = 0; i < n && next_entry(&in, &e); i++)
        if (chain_id_cmp(e.chain, chain) == 0)
            return e.number;
    return 0;
}

/* Is each entry of `part` in `whole`, or, where it is not of slot `own`, in `kept`? */
static bool covers(struct slice part, struct slice whole, struct slice kept, uint8_t own)
{
    struct bytes_in in = bytes_in(part.p, part.n);
    uint32_t n = bytes_count(&in, 26);
    struct entry e;
    for (uint32_t i = 0; i < n; i++) {
        if (!next_entry(&in, &e))
            return false;
        if (number_in(whole, e.chain) < e.number && (e.chain.slot == own || number_in(kept, e.chain) < e.number))
            return false;
    }
    return !in.bad;
}

bool db_vector_covers(struct slice whole, struct slice part)
{
    return covers(part, whole, whole, SLOTS_MAX);
}

bool db_is_sealed(db *d)
{
    pthread_mutex_lock(&d->commit_lock);
    bool sealed = d->sealed;
    pthread_mutex_unlock(&d->commit_lock);
    return sealed;
}

/* If nothing that this node holds is lost with it: from now on it takes nothing more. What it has of others beyond the snapshot comes again. */
static quartet_status seal(db *d, struct slice vector, struct slice kept, log_pos *pos, struct err *err)
{
    struct buf applied = {0}, durable = {0};
    pthread_mutex_lock(&d->commit_lock);
    vv_encode(&applied, &d->applied, &d->chains);
    vv_encode(&durable, &d->durable, &d->chains);
    quartet_status rc = applied.failed || durable.failed ? err_nomem(err) : QUARTET_OK;
    if (rc == QUARTET_OK && (!d->has_identity || d->options.in_memory))
        rc = err_set(err, QUARTET_MISUSE, "this database is no member with a disk of its own");
    if (rc == QUARTET_OK)
        rc = db_usable(d, err);
    bool safe = rc == QUARTET_OK && covers(slice_of(applied.data, applied.len), vector, kept, d->identity.slot) &&
                covers(slice_of(durable.data, durable.len), vector, kept, d->identity.slot);
    if (rc == QUARTET_OK && !safe && !plant_is(PLANT_SNAPSHOT_NOT_UPLOADED))
        rc = err_set(err, QUARTET_NOTFOUND, "the snapshot lacks transactions that are here: the members must have them first");
    *pos = commit_log_end(d->log);
    d->sealed = rc == QUARTET_OK;
    pthread_mutex_unlock(&d->commit_lock);
    buf_deinit(&applied);
    buf_deinit(&durable);
    return rc;
}

static quartet_status put_tail(db *d, const char *file, log_pos pos, struct err *err)
{
    struct stream s;
    struct stream_head head = {0};
    struct buf tail = {0};
    struct file *f = NULL;
    quartet_status rc = stream_open(&s, d->env, file, err);
    if (rc == QUARTET_OK)
        rc = read_head(&s, &head, err);
    if (rc == QUARTET_OK)
        rc = checkpoint_of_member(d, slice_of(head.checkpoint.data, head.checkpoint.len), pos, &tail, err);
    if (rc == QUARTET_OK) {
        buf_u32(&tail, (uint32_t)tail.len);
        uint64_t sum = tail.failed ? 0 : XXH3_64bits(tail.data, tail.len);
        buf_u64(&tail, sum);
        buf_put(&tail, SNAPSHOT_TAIL_MAGIC, 8);
        rc = buf_check(&tail, err);
    }
    if (rc == QUARTET_OK)
        rc = d->env->ops->open(d->env, file, FILE_WRITE, &f, err);
    if (rc == QUARTET_OK)
        rc = d->env->ops->pwrite(f, tail.data, tail.len, s.end, err);
    if (rc == QUARTET_OK)
        rc = d->env->ops->sync(f, err);
    if (f != NULL)
        d->env->ops->close(f);
    buf_deinit(&head.checkpoint);
    buf_deinit(&tail);
    stream_close(&s);
    return rc;
}

quartet_status db_snapshot_adopt(db *d, const char *file, struct slice vector, struct slice kept, struct err *err)
{
    char path[PATH_BYTES];
    log_pos pos = 0;
    quartet_status rc = path_join(path, sizeof path, d->path, SNAPSHOT_NEXT, err);
    if (rc == QUARTET_OK)
        rc = seal(d, vector, kept, &pos, err);
    if (rc != QUARTET_OK)
        return rc;
    /* Nothing is appended to the log any longer: what the new state begins with ends here. */
    rc = commit_log_sync(d->log, commit_log_end(d->log), LOG_SYNC_FULL, err);
    if (rc != QUARTET_OK)
        db_break(d);
    if (rc == QUARTET_OK)
        rc = put_tail(d, file, pos, err);
    if (rc == QUARTET_OK) {
        rc = d->env->ops->rename(d->env, file, path, err);
        if (rc == QUARTET_OK)
            rc = d->env->ops->sync_dir(d->env, d->path, err);
        if (rc != QUARTET_OK)
            db_break(d); /* which of the two it is, the next opening tells: so nothing more may be taken here */
        return rc;
    }
    pthread_mutex_lock(&d->commit_lock);
    d->sealed = false; /* nothing has happened */
    pthread_mutex_unlock(&d->commit_lock);
    return rc;
}
