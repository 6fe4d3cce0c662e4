/* db.c - opening and closing a database, and what all parts of it share.
 * Why one object behind all connections: log, clock and vectors can have one owner only. Connections of one process share it (api.c), other processes
 *   are kept out by a lock on DIR/lock.
 * Not here: recovery (db_recover.c), replication (db_replicate.c), visibility (db_publish.c). */
#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "backup.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/park.h"
#include "base/plant.h"
#include "claim.h"
#include "db_fork.h"
#include "db_snapshot_internal.h"
#include "orphan_whole.h"
#include "share.h"
#include "stats.h"

#include <sodium.h>

struct chain_state *db_chain(db *d, chain_no chain, struct err *err)
{
    if (chain >= d->state_cap) {
        uint32_t cap = d->state_cap == 0 ? 8 : d->state_cap * 2;
        if (cap <= chain)
            cap = chain + 1u;
        struct chain_state **grown = mem_realloc(d->state, cap, sizeof *grown);
        if (grown == NULL) {
            (void)err_nomem(err); /* NULL says it */
            return NULL;
        }
        memset(grown + d->state_cap, 0, (cap - d->state_cap) * sizeof *grown);
        d->state = grown;
        d->state_cap = cap;
    }
    if (d->state[chain] == NULL)
        d->state[chain] = mem_zalloc(1, sizeof *d->state[chain]);
    if (d->state[chain] == NULL)
        (void)err_nomem(err); /* NULL says it */
    if (chain >= d->state_count)
        d->state_count = chain + 1u;
    return d->state[chain];
}

struct table_state *db_table(db *d, tree_id id, struct err *err)
{
    pthread_mutex_lock(&d->tables_lock);
    struct table_state *s = map_get(&d->tables, &id, sizeof id);
    if (s == NULL) {
        s = mem_zalloc(1, sizeof *s);
        if (s == NULL) {
            (void)err_nomem(err); /* NULL says it */
        } else {
            s->id = id;
            atomic_init(&s->stats_old_at, UINT64_MAX); /* no plan asked yet */
            if (map_put(&d->tables, &id, sizeof id, s, err) != QUARTET_OK) {
                mem_free(s);
                s = NULL;
            }
        }
    }
    pthread_mutex_unlock(&d->tables_lock);
    return s;
}

void db_break(db *d)
{
    if (!atomic_exchange(&d->broken, true))
        log_line(d->env, LOG_ERROR, "db", "the database takes no more commits until it is opened again");
}

quartet_status db_log(db *d, enum log_type type, struct slice part, log_pos *at, log_pos *end, struct err *err)
{
    quartet_status rc = commit_log_append(d->log, type, &part, 1, at, end, err);
    if (rc != QUARTET_OK && rc != QUARTET_FULL && rc != QUARTET_NOMEM && rc != QUARTET_LIMIT) /* it makes room before it writes */
        db_break(d);
    return rc;
}

quartet_status db_usable(db *d, struct err *err)
{
    if (atomic_load(&d->broken))
        return err_set(err, QUARTET_IO, "an earlier write to the log or the store failed: open the database again");
    if (d->frozen)
        return err_set(err, QUARTET_READONLY, "this node's slot is frozen: its key has signed two histories, and the members take nothing more from it. It can be read and dumped; "
                                              "see OPERATIONS.md, \"A frozen slot\"");
    if (d->sealed)
        return err_set(err, QUARTET_BUSY, "a snapshot of another member takes the place of this node's state: it is opened again in a moment");
    if (d->evicted)
        return err_set(err, QUARTET_READONLY, "this node was evicted from the cluster: the members take nothing from it any more. It can be read and dumped; what only it holds can be written to a file by "
                                              "`quartet dump`; see OPERATIONS.md, \"Taking a node out\"");
    if (d->fenced)
        return err_set(err, QUARTET_READONLY, "the cluster goes on without this directory, whose slot was taken over or restored elsewhere: it can be read and dumped. "
                                              "Stop this node; what only it holds can be written to a file by `quartet dump`, and an empty directory joins again");
    return kv_health(d->store, err);
}

quartet_status db_writable(db *d, struct err *err)
{
    quartet_status rc = db_usable(d, err);
    uint64_t from = atomic_load(&d->behind_from);
    if (rc == QUARTET_OK)
        rc = db_clock_check(d, err);
    if (rc != QUARTET_OK || from == 0)
        return rc;
    return err_set(err, QUARTET_READONLY, "too old: this node lacks delta %llu of slot %u, which no member's log holds any longer (it was away too long, or has an old copy of its directory). "
                                          "It can be read and dumped until it has taken a member's snapshot; OPERATIONS.md, \"A node that was left behind\"",
                   (unsigned long long)from, (unsigned)atomic_load(&d->behind_slot));
}

quartet_status db_health(db *d, struct err *err)
{
    return db_writable(d, err);
}

void db_notify(db *d)
{
    if (d->notify != NULL)
        d->notify(d->notify_arg);
}

void db_on_commit(db *d, void (*notify)(void *arg), void *arg)
{
    d->notify = notify;
    d->notify_arg = arg;
}

const struct conn_node_hooks *db_node_hooks(db *d)
{
    return &d->hooks; /* all NULL where no node serves the database */
}

void db_set_node_hooks(db *d, const struct conn_node_hooks *hooks)
{
    d->hooks = hooks != NULL ? *hooks : (struct conn_node_hooks){0};
}

struct env *db_env(db *d)
{
    return d->env;
}

const char *db_path(const db *d)
{
    return d->path;
}

struct tz_cache *db_zones(db *d)
{
    return d->zones;
}

bool db_is_in_memory(const db *d)
{
    return d->options.in_memory || d->options.base_in_memory;
}

static quartet_status sync_log(void *ctx, apply_no through, struct err *err)
{
    db *d = ctx;
    (void)through; /* all of the log is at least that */
    return commit_log_sync(d->log, commit_log_end(d->log), LOG_SYNC_FULL, err);
}

static quartet_status take_lock(db *d, struct err *err)
{
    char name[DB_PATH_BYTES_MAX];
    int64_t holder = 0;
    const struct env_ops *ops = d->env->ops;
    quartet_status rc = ops->mkdir(d->env, d->path, err);
    if (rc == QUARTET_OK)
        rc = path_join(name, sizeof name, d->path, "lock", err);
    if (rc == QUARTET_OK)
        rc = ops->open(d->env, name, FILE_WRITE, &d->lock_file, err);
    if (rc != QUARTET_OK) {
        err_prefix(err, d->path);
        return rc == QUARTET_FULL || rc == QUARTET_NOMEM ? rc : QUARTET_CANTOPEN;
    }
    rc = ops->lock(d->lock_file, &holder, err);
    if (rc == QUARTET_BUSY && holder > 0)
        return err_set(err, rc, "%.300s is in use by process %lld; connect to that one by its quartet:// URL", d->path, (long long)holder);
    if (rc == QUARTET_BUSY)
        return err_set(err, rc, "%.300s is in use by another process; connect to that one by its quartet:// URL", d->path);
    return rc;
}

/* A directory that a power cut may take away would take all acknowledged commits along. The log's folder is made after this, so who finds it need not do it again. */
static quartet_status keep_directory(db *d, struct err *err)
{
    char log[DB_PATH_BYTES_MAX];
    quartet_status rc = path_join(log, sizeof log, d->path, "log", err);
    return rc != QUARTET_OK || d->env->ops->exists(d->env, log) ? rc : env_sync_parent(d->env, d->path, err);
}

size_t db_large_bytes(const db *d)
{
    struct kv_limits limits;
    kv_limits(d->store, &limits);
    return limits.buffer_bytes / 4;
}

/* A backup stays as it is. */
static quartet_status refuse_backup(db *d, struct err *err)
{
    char name[DB_PATH_BYTES_MAX];
    quartet_status rc = path_join(name, sizeof name, d->path, BACKUP_MANIFEST, err);
    if (rc == QUARTET_OK && d->env->ops->exists(d->env, name))
        rc = err_set(err, QUARTET_CANTOPEN, "%.300s is a backup: make a database of it with: quartet restore BACKUP DIRECTORY", d->path);
    return rc;
}

static void publish_synced(void *arg)
{
    db_publish(arg);
}

struct kv_run_place db_run_place(const db *d)
{
    bool memory = d->options.in_memory || d->options.base_in_memory;
    return (struct kv_run_place){.env = d->env, .dir = memory ? NULL : d->path, .memory_bytes = db_large_bytes(d)};
}

const char *db_temp_dir(const db *d)
{
    return d->options.in_memory ? NULL : d->path;
}

struct filling {
    struct env *env;
    const char *file;
};

static quartet_status fill_base(void *arg, struct kv_base *base, struct err *err)
{
    const struct filling *f = arg;
    return snapshot_load(f->env, f->file, base, err);
}

/* A member's snapshot that waits to be installed (db_snapshot_adopt), or that a new database is to begin with. "": there is none. */
static quartet_status find_snapshot(db *d, char *path, size_t n, bool *own, struct err *err)
{
    *own = false;
    path[0] = '\0';
    if (d->options.snapshot != NULL)
        return snprintf(path, n, "%s", d->options.snapshot) < (int)n ? QUARTET_OK : err_set(err, QUARTET_LIMIT, "the path of a snapshot is too long");
    if (d->options.in_memory)
        return QUARTET_OK;
    quartet_status rc = path_join(path, n, d->path, SNAPSHOT_NEXT, err);
    *own = rc == QUARTET_OK && d->env->ops->exists(d->env, path);
    if (!*own)
        path[0] = '\0';
    return rc;
}

static quartet_status open_files(db *d, struct err *err)
{
    struct buf checkpoint = {0};
    bool in_memory = d->options.in_memory, own = false;
    char snapshot[DB_PATH_BYTES_MAX] = "";
    struct filling filling = {d->env, snapshot};
    struct kv_host host = {.ctx = d, .checkpoint = db_checkpoint, .sync_log = sync_log, .past_from = db_history_cut,
                           .sweep = db_purge_sweep, .swept = db_purge_swept, .row_newest = db_purge_row_newest, .keeps_dead = db_purge_keeps_dead};
    struct kv_options kvo = {.buffer_bytes = d->options.buffer_bytes, .snapshot_bytes = d->options.snapshot_bytes, .slice_pages = d->options.slice_pages,
                              .in_memory = in_memory || d->options.base_in_memory};
    quartet_status rc = in_memory ? QUARTET_OK : refuse_backup(d, err);
    if (rc == QUARTET_OK && !in_memory)
        rc = take_lock(d, err);
    if (rc == QUARTET_OK && !in_memory)
        rc = keep_directory(d, err);
    if (rc == QUARTET_OK)
        rc = db_level_load(d, err);
    if (rc == QUARTET_OK)
        rc = find_snapshot(d, snapshot, sizeof snapshot, &own, err);
    d->options.snapshot = NULL;
    d->from_snapshot = snapshot[0] != '\0';
    if (rc == QUARTET_OK && d->from_snapshot && kvo.in_memory) {
        kvo.fill = fill_base;
        kvo.fill_arg = &filling;
    } else if (rc == QUARTET_OK && d->from_snapshot) {
        rc = snapshot_install(d, snapshot, own, err);
    }
    if (rc == QUARTET_OK)
        rc = kv_open(d->env, d->path, &kvo, &host, &d->store, &checkpoint, err);
    if (rc == QUARTET_OK)
        rc = commit_log_open(d->env, d->path, in_memory, &d->log, err);
    if (rc == QUARTET_OK)
        rc = db_set_retention(d, d->options.log_bytes_max, d->options.log_archive, err);
    d->options.log_archive = NULL;
    if (rc == QUARTET_OK)
        commit_log_on_sync(d->log, publish_synced, d);
    if (rc == QUARTET_OK)
        rc = db_recover(d, slice_of(checkpoint.data, checkpoint.len), err);
    buf_deinit(&checkpoint);
    return rc;
}

static void db_free(db *d)
{
    tz_cache_free(d->zones);
    held_free_all(d); /* they hang on the chains */
    for (uint32_t i = 0; i < d->state_count; i++)
        chain_state_free(d->state[i]);
    mem_free(d->state);
    struct map_entry *e;
    for (size_t i = 0; (e = map_at(&d->tables, &i)) != NULL;) {
        stats_free(e->value);
        mem_free(e->value);
    }
    map_deinit(&d->tables);
    db_publish_end(d);
    txn_free_spares(d);
    apply_free_spare(d);
    orphan_whole_free(d->whole);
    txn_commit_free_spare(d);
    claim_tests_drop(d);
    buf_deinit(&d->marking.touched);
    catalog_unref(d->catalog);
    chain_table_deinit(&d->chains);
    vv_deinit(&d->applied);
    vv_deinit(&d->durable);
    mem_free(d->closings);
    shares_free(d->shares);
    forks_deinit(d);
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        vv_deinit(&d->peer_has[i]);
    mem_free(d->owns);
    kv_close(d->store); /* with the thread that may sweep */
    db_purge_deinit(d);
    commit_log_close(d->log);
    d->env->ops->close(d->lock_file);
    pthread_mutex_destroy(&d->commit_lock);
    pthread_mutex_destroy(&d->publish_lock);
    pthread_mutex_destroy(&d->seal_lock);
    pthread_mutex_destroy(&d->keys_lock);
    pthread_mutex_destroy(&d->tables_lock);
    sodium_memzero(&d->identity, sizeof d->identity);
    mem_free(d);
}

quartet_status db_open(struct env *env, const char *path, const struct db_options *options, db **out, struct err *err)
{
    if (sodium_init() < 0)
        return err_set(err, QUARTET_INTERNAL, "libsodium cannot start");
    db *d = mem_zalloc(1, sizeof *d);
    if (d == NULL)
        return err_nomem(err);
    d->env = env;
    if (tz_cache_new(env, &d->zones, err) != QUARTET_OK) {
        mem_free(d);
        return err_nomem(err);
    }
    if (options != NULL)
        d->options = *options;
    map_init(&d->tables, env->ops->mono_ns(env));
    atomic_init(&d->catalog_versions, 1);
    atomic_init(&d->history_ms, DB_HISTORY_MS_DEFAULT);
    atomic_init(&d->history_from, 0);
    if (!park_mutex_init(&d->commit_lock) || !park_mutex_init(&d->publish_lock) ||
        pthread_mutex_init(&d->seal_lock, NULL) != 0 || pthread_mutex_init(&d->keys_lock, NULL) != 0 ||
        pthread_mutex_init(&d->tables_lock, NULL) != 0 || db_purge_init(d, err) != QUARTET_OK || shares_new(&d->shares, err) != QUARTET_OK) {
        map_deinit(&d->tables);
        tz_cache_free(d->zones);
        mem_free(d);
        return err_nomem(err);
    }
    quartet_status rc = QUARTET_OK;
    int n = snprintf(d->path, sizeof d->path, "%s", path != NULL ? path : "");
    if (n < 0 || (size_t)n >= sizeof d->path)
        rc = err_set(err, QUARTET_LIMIT, "the path has %d bytes, limit %u", n, DB_PATH_BYTES_MAX - 1);
    if (rc == QUARTET_OK)
        rc = open_files(d, err);
    if (rc != QUARTET_OK) {
        db_free(d);
        return rc;
    }
    *out = d;
    return QUARTET_OK;
}

quartet_status db_close(db *d, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    if (d == NULL)
        return rc;
    if (!atomic_load(&d->broken)) {
        rc = commit_log_sync(d->log, commit_log_end(d->log), LOG_SYNC_FULL, err);
        if (rc == QUARTET_OK && !d->options.in_memory && !d->options.base_in_memory) {
            pthread_mutex_lock(&d->commit_lock);
            db_publish(d);
            rc = kv_flush(d->store, err);
            pthread_mutex_unlock(&d->commit_lock);
            if (rc == QUARTET_OK) {
                db_trim(d);
                kv_tidy_close(d->store);
            }
        }
    }
    db_free(d);
    return rc;
}

void db_tick(db *d)
{
    struct err err = ERR_INIT;
    pthread_mutex_lock(&d->commit_lock);
    quartet_status rc = db_usable(d, &err); /* without threads this also tries a flush again that failed */
    log_pos before = commit_log_end(d->log);
    if (rc == QUARTET_OK && d->held_count > 0)
        rc = take_held(d, &err);
    bool released = commit_log_end(d->log) > before && !plant_is(PLANT_HELD_NOT_SYNCED);
    if (rc != QUARTET_OK && !d->fenced) /* that was told once */
        log_line(d->env, LOG_WARN, "db", "%s", err.text);
    pthread_mutex_unlock(&d->commit_lock);
    /* Nobody has just delivered these, so nobody would ask for them to be made durable, and peers are told of what is durable only. */
    if (rc == QUARTET_OK && released && db_sync_remote(d, &err) != QUARTET_OK)
        log_line(d->env, LOG_WARN, "db", "%s", err.text);
    db_close_tick(d);
    db_fold_tick(d);
    fork_tick(d);
    share_tick(d);
    db_follow_up_tick(d);
    db_settle_kinds_tick(d);
    db_trim(d);
    kv_tidy_tick(d->store);
}

void db_stats(db *d, struct db_stats *out)
{
    *out = (struct db_stats){.commits = atomic_load(&d->commits), .remote_deltas = atomic_load(&d->remote_deltas),
                             .remote_rows = atomic_load(&d->remote_rows), .rows_written = atomic_load(&d->rows_written)};
    kv_stats(d->store, &out->kv);
    out->written_level = atomic_load(&d->written_level);
    out->log_bytes = commit_log_bytes(d->log);
    out->commit_us = atomic_load(&d->commit_us);
    for (uint32_t i = 0; i < DB_COMMIT_BUCKETS; i++)
        out->commit_buckets[i] = atomic_load(&d->commit_buckets[i]);
    commit_log_syncs(d->log, &out->syncs, &out->sync_ns);
    pthread_mutex_lock(&d->commit_lock);
    out->conflicts = d->conflicts_counted ? d->conflicts_kept : 0;
    out->held_batches = d->held_count;
    out->keys_twice = atomic_load(&d->keys_twice);
    out->apply_no = d->applied_no;
    out->last_stamp = d->clock.last;
    pthread_mutex_unlock(&d->commit_lock);
}

hlc_stamp txn_last_stamp(db *d)
{
    pthread_mutex_lock(&d->commit_lock);
    hlc_stamp s = d->clock.last;
    pthread_mutex_unlock(&d->commit_lock);
    return s;
}

quartet_status db_state_hash(db *d, struct state_hash *out, struct buf *at, struct err *err)
{
    struct map_entry *e;
    *out = (struct state_hash){0};
    pthread_mutex_lock(&d->commit_lock);
    pthread_mutex_lock(&d->tables_lock);
    for (size_t i = 0; (e = map_at(&d->tables, &i)) != NULL;)
        state_hash_add(out, ((struct table_state *)e->value)->hash);
    pthread_mutex_unlock(&d->tables_lock);
    if (at != NULL)
        vv_encode(at, &d->applied, &d->chains);
    pthread_mutex_unlock(&d->commit_lock);
    return at == NULL ? QUARTET_OK : buf_check(at, err);
}

void db_table_name(db *d, uint64_t id, struct buf *out)
{
    pthread_mutex_lock(&d->commit_lock);
    const struct table_def *t = catalog_table_by_id(d->catalog, id);
    if (t != NULL && t->name != NULL)
        buf_str(out, t->name);
    else
        buf_printf(out, "table %llu", (unsigned long long)id);
    pthread_mutex_unlock(&d->commit_lock);
}

quartet_status db_table_hashes(db *d, void (*each)(void *arg, const struct table_def *t, struct state_hash h), void *arg, struct err *err)
{
    const struct table_def *t;
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&d->commit_lock);
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_at_id(d->catalog, i)) != NULL; i++) {
        struct table_state *s = db_table(d, t->id, err);
        if (s == NULL)
            rc = QUARTET_NOMEM;
        else
            each(arg, t, s->hash);
    }
    pthread_mutex_unlock(&d->commit_lock);
    return rc;
}
