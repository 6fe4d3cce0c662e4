/* txn_commit.c - COMMIT: is what was read still so? Then one delta, logged, applied as any delta is, and made durable.
 * Why each operation goes into the delta's bytes and into apply at once: the bytes tell exactly these operations (a peer reads them back, and every test that
 *   compares two nodes compares both ways), and taking apart what was just put together was a third of a load's COMMIT.
 * Why in chunks: a large transaction is never whole in memory. Each chunk is merged, logged and forgotten; without the last one, which says that all are
 *   there, the log's others are void, here and at replay, and their numbers are given again.
 * Invariants: nothing fails between the append of what completes it to the log and the end of apply but memory and the disk, and then the database takes no
 *   more commits until it is opened again, which replays the log. Stamps of commits ascend with their apply numbers.
 * Not here: running a failed transaction again (conn.c). */
#include <string.h>

#include "base/plant.h"
#include "apply.h"
#include "base/mem.h"
#include "db_fork.h"
#include "share.h"
#include "txn_op.h"

#define COMMIT_CHUNKED_BYTES (96u << 10) /* writes of a transaction from which on it travels in chunks */
#define COMMIT_KEPT_BYTES (64u << 10)    /* of each buffer that a commit leaves to the next */
#define COMMIT_ROW_BYTES_MAX (BATCH_PAYLOAD_BYTES_MAX - (2u << 10))

struct commit {
    txn *t;
    db *d;
    hlc_stamp stamp;
    uint64_t number;     /* of the present chunk */
    uint8_t flags;       /* likewise */
    bool first;          /* likewise: there is none before it */
    struct buf bytes;    /* likewise */
    struct applying *applying;
    const struct table_def *merging; /* of applying; NULL: none yet */
    struct vv seen;      /* the own chain's as of before this transaction, and what was received of it; from the first chunk on */
    uint64_t received;
    log_pos end;         /* of the log record written last */
    bool seen_kept;
    bool torn;           /* the log may hold what the store does not */
    struct vv deps;
    struct delta_writer w;
    bool open, chunked;
    const struct table_def *table; /* of the writer; NULL: none begun in this chunk */
    struct txn_op_memory op;
    struct arena row;    /* of one row at a time */
    struct buf record;   /* likewise */
    struct err *err;
};

/* A commit's memory, left to the next; under commit_lock. */
struct commit_memory {
    struct buf bytes, record;
    struct vv deps, seen;
    struct txn_op_memory op;
    struct arena row;
};

/* ---- validation ---- */

static const struct index_def *index_by_id(const struct catalog *c, tree_id id)
{
    const struct table_def *t;
    for (uint32_t i = 0; (t = catalog_at_id(c, i)) != NULL; i++)
        for (uint32_t k = 0; k < t->index_count; k++)
            if (t->indexes[k].id == id)
                return &t->indexes[k];
    return NULL;
}

static bool changed(const txn *t, tree_id tree, struct slice lo, struct slice hi, bool hi_open)
{
    struct kv_range r = {.lo = lo, .hi = hi, .hi_open = hi_open};
    return kv_changed_since(t->d->store, tree, &r, t->snap_at);
}

/* Rows that were written were looked at before, and so were the neighbours of entries in UNIQUE indexes. */
static quartet_status writes_clash(txn *t, bool *clash, struct err *err)
{
    struct kv_overlay over;
    struct kv_overlay_walk w = {0};
    struct buf hi = {0};
    tree_id tree = 0;
    bool skip = true;
    const struct index_def *ix = NULL;
    const struct kv_walk *c;
    quartet_status rc = txn_overlay(t, t->statement, &over, err);
    if (rc == QUARTET_OK)
        rc = kv_overlay_start(&w, &over, err);
    for (; rc == QUARTET_OK && (c = w.blend.at) != NULL && !*clash; rc = kv_blend_next(&w.blend, err)) {
        if (c->tree != tree) {
            tree = c->tree;
            ix = NULL;
            skip = !changed(t, tree, slice_of("", 0), slice_of("", 0), true);
            if (!skip && catalog_table_by_id(t->catalog, tree) == NULL) {
                ix = index_by_id(t->catalog, tree);
                skip = ix == NULL || !ix->unique;
            }
        }
        if (skip)
            continue;
        size_t n = ix != NULL ? index_prefix(ix, c->key) : c->key.n;
        buf_clear(&hi);
        buf_put(&hi, c->key.p, n);
        bool open = false;
        if (ix == NULL)
            buf_u8(&hi, 0);
        else
            open = !key_prefix_end(&hi);
        if (hi.failed)
            break;
        *clash = changed(t, tree, slice_of(c->key.p, n), slice_of(hi.data, hi.len), open);
    }
    if (rc == QUARTET_OK && hi.failed)
        rc = err_nomem(err);
    kv_overlay_end(&w);
    buf_deinit(&hi);
    return rc;
}

static quartet_status validate(txn *t, struct err *err)
{
    db *d = t->d;
    bool clash = d->catalog != t->base; /* the schema changed: checks may be missing */
    if (t->exclusive || (!clash && t->snap_at == d->applied_no) || plant_is(PLANT_NO_VALIDATION))
        return QUARTET_OK;
    for (uint32_t i = 0; i < t->read_count && !clash; i++) {
        const struct read_range *r = &t->reads[i];
        if (plant_is(PLANT_INDEX_READS_FREE) && catalog_table_by_id(t->catalog, r->tree) == NULL)
            continue;
        const uint8_t *base = t->reads_whole ? NULL : t->read_bytes.data;
        clash = t->reads_whole ? changed(t, r->tree, slice_of("", 0), slice_of("", 0), true)
                               : changed(t, r->tree, slice_of(base + r->lo, r->lo_n), slice_of(base + r->hi, r->hi_n), r->hi_open);
    }
    quartet_status rc = clash ? QUARTET_OK : writes_clash(t, &clash, err);
    if (rc == QUARTET_OK && clash)
        rc = err_set(err, QUARTET_SERIALIZATION,
                     "another transaction changed what this one had read: nothing was written, retry the transaction");
    return rc;
}

/* ---- the delta ---- */

/* Before the first chunk is merged: the own chain has seen what it depends on, as at a receiver. */
static quartet_status chunks_start(struct commit *c)
{
    struct chain_state *s = c->d->state[c->d->own];
    struct apply_in in = {.chain = c->d->own, .number = c->number, .stamp = c->stamp, .trusted = true};
    if (c->t->snap_at == c->d->applied_no) /* nothing came between: the transaction's snapshot is the newest state */
        in.snap = c->t->snap;
    c->received = s->received;
    quartet_status rc = vv_copy(&c->seen, &s->seen, c->err);
    if (rc != QUARTET_OK)
        return rc;
    c->seen_kept = true;
    rc = vv_merge(&s->seen, &c->deps, c->err);
    return rc == QUARTET_OK ? apply_begin(c->d, &in, &c->applying, c->err) : rc;
}

static quartet_status chunk_begin(struct commit *c)
{
    struct delta_head head = {.number = c->number, .stamp = c->stamp, .deps = c->first ? &c->deps : NULL};
    head.flags = (uint8_t)((c->chunked ? DELTA_MORE : 0) | (c->first ? 0 : DELTA_CONTINUES));
    if (!c->chunked && c->t->request.session > 0) {
        head.flags |= DELTA_REQUEST;
        head.request = &c->t->request;
    }
    c->flags = head.flags;
    quartet_status rc = db_level_to_write(c->d, &head.level, c->err);
    if (rc != QUARTET_OK)
        return rc;
    atomic_store(&c->d->written_level, head.level);
    buf_clear(&c->bytes);
    delta_begin(&c->w, &c->bytes, &c->d->chains, &head);
    c->open = true;
    c->table = NULL;
    return c->first ? chunks_start(c) : QUARTET_OK;
}

static quartet_status log_chunk(struct commit *c)
{
    db *d = c->d;
    uint8_t head[DB_LOCAL_HEAD_BYTES];
    store_le64(head, c->number);
    store_le64(head + 8, c->stamp);
    head[16] = c->flags;
    struct slice parts[2] = {slice_of(head, sizeof head), slice_of(c->bytes.data, c->bytes.len)};
    bool last = (c->flags & DELTA_MORE) == 0;
    log_pos at;
    quartet_status rc = commit_log_append(d->log, LOG_LOCAL, parts, 2, &at, &c->end, c->err);
    /* The log makes room, on disk and in memory, before it writes: then nothing has happened. */
    c->torn = rc == QUARTET_OK ? last : rc != QUARTET_FULL && rc != QUARTET_NOMEM && rc != QUARTET_LIMIT;
    if (rc == QUARTET_OK && d->identity.member)
        rc = chain_add_local(d->state[d->own], (struct local_delta){.number = c->number, .stamp = c->stamp, .at = at, .end = c->end,
                                                                    .n = (uint32_t)c->bytes.len, .more = !last}, c->err);
    return rc;
}

/* The rows of the chunk are merged: now it is logged. The last one is logged only when nothing can go wrong any longer. */
static quartet_status chunk_end(struct commit *c)
{
    uint32_t limit = c->d->identity.member ? COMMIT_ROW_BYTES_MAX : DELTA_BYTES_MAX;
    delta_end(&c->w);
    c->open = false;
    quartet_status rc = buf_check(&c->bytes, c->err);
    if (rc == QUARTET_OK && c->bytes.len > limit)
        rc = err_set(c->err, QUARTET_LIMIT, "one row's change has %zu bytes, limit %u", c->bytes.len, limit);
    if (rc == QUARTET_OK && (c->flags & DELTA_REQUEST) != 0)
        apply_request(c->applying, &c->t->request);
    if (rc == QUARTET_OK && (c->flags & DELTA_MORE) == 0)
        rc = apply_prepare(c->applying, c->err);
    if (rc == QUARTET_OK)
        rc = log_chunk(c);
    c->first = false;
    if (rc == QUARTET_OK && (c->flags & DELTA_MORE) != 0)
        c->number++;
    return rc;
}

/* A provisional hidden key becomes (stamp, incarnation, ordinal). */
static struct slice final_key(const struct commit *c, const struct table_def *t, struct slice key, uint8_t raw[HIDDEN_KEY_BYTES])
{
    if (!t->hidden_key || key.n != HIDDEN_KEY_BYTES || load_be64(key.p) != UINT64_MAX)
        return key;
    store_be64(raw, c->stamp);
    store_be64(raw + 8, c->d->chains.ids[c->d->own].incarnation);
    memcpy(raw + 16, key.p + 16, 4);
    return slice_of(raw, HIDDEN_KEY_BYTES);
}

/* An addition must count once: where the row has several lives, it goes to the newest. Where updates win, and an ended life may come back, all writes say which lives they
 * took to be there. */
static bool names_lives(const struct table_def *t, const struct row_op *op)
{
    bool adds = t->rows.updates_win;
    if ((op->flags & ~ROW_OP_WIN) != 0)
        return false;
    for (uint32_t i = 0; !adds && i < op->write_count; i++)
        adds = op->writes[i].op == ROW_ADD && t->rows.columns[op->writes[i].column].kind == ROW_COUNTER;
    return adds;
}

/* The snapshot shows the row as it is: it was validated. The names lie in c->row until the next row. */
static quartet_status name_lives(struct commit *c, const struct table_def *t, struct slice key, struct row_op *op)
{
    struct row row;
    const struct row_life *newest = NULL;
    struct ver fits = {0}; /* of a bounded COUNTER: the life that has room for it */
    uint32_t unended = 0;
    quartet_status rc = t->bounded ? share_commit(c->t, t, key, op, &fits, c->err) : QUARTET_OK;
    arena_rewind(&c->row, (struct arena_mark){0});
    buf_clear(&c->record);
    if (rc == QUARTET_OK)
        rc = kv_get(c->t->snap, NULL, t->id, key, &c->record, c->err);
    if (rc == QUARTET_OK)
        rc = row_decode(slice_of(c->record.data, c->record.len), &t->rows, &c->row, &row, c->err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < row.life_count; i++)
        if (!row.lives[i].ended) {
            if (fits.stamp == 0 || ver_eq(row.lives[i].birth, fits))
                newest = &row.lives[i]; /* they are sorted by birth */
            unended++;
        }
    if (rc == QUARTET_OK && (t->rows.updates_win ? row.life_count > 1 : unended > 1)) {
        op->flags |= t->rows.updates_win ? ROW_OP_LIVES : ROW_OP_ADD_TO;
        op->lives = arena_zalloc(&c->row, row.life_count, sizeof *op->lives);
        for (uint32_t i = 0; op->lives != NULL && i < row.life_count; i++)
            if (!row.lives[i].ended && (t->rows.updates_win || &row.lives[i] == newest))
                op->lives[op->life_count++] = (struct row_birth){.stamp = row.lives[i].birth.stamp,
                                                                  .chain = ver_chain_id(&c->d->chains, row.lives[i].birth)};
        if (op->lives == NULL)
            rc = arena_fail(&c->row, c->err);
        else if (op->life_count == 0)
            rc = err_set(c->err, QUARTET_INTERNAL, "a write to a row of %s that is not there", t->name);
    }
    if (rc == QUARTET_NOTFOUND) { /* purged meanwhile: there is nothing to add to */
        err_clear(c->err);
        rc = QUARTET_OK;
    }
    return rc;
}

/* The rows that are merged from here on are this table's. */
static quartet_status merge_into(struct commit *c, const struct table_def *t)
{
    if (c->merging == t)
        return QUARTET_OK;
    quartet_status rc = apply_table(c->applying, t->id, t->record_ids, t->rows.count, c->err);
    c->merging = rc == QUARTET_OK ? t : NULL;
    return rc;
}

/* A row of the table follows, of about so many bytes: there is a chunk for it. */
static quartet_status row_begin(struct commit *c, const struct table_def *t, size_t bytes)
{
    quartet_status rc = QUARTET_OK;
    if (c->open && c->chunked && c->bytes.len + bytes > DELTA_CHUNK_BYTES_MAX)
        rc = chunk_end(c);
    if (rc == QUARTET_OK && !c->open)
        rc = chunk_begin(c);
    if (rc == QUARTET_OK && c->table != t) {
        delta_table(&c->w, t->id, t->record_ids, t->rows.count);
        c->table = t;
    }
    return rc == QUARTET_OK ? merge_into(c, t) : rc;
}

/* What most rows of a load are: the values' bytes go where they are wanted as they stand. */
static quartet_status encode_insert(struct commit *c, const struct table_def *t, struct slice key, struct slice bytes)
{
    uint8_t raw[HIDDEN_KEY_BYTES];
    struct row_op op = {.flags = ROW_OP_INSERT, .write_count = t->rows.count};
    struct apply_values values = {.bytes = bytes.p, .ends = c->op.ends};
    quartet_status rc = row_begin(c, t, bytes.n + key.n);
    if (rc != QUARTET_OK)
        return rc;
    key = final_key(c, t, key, raw);
    if (!delta_insert(&c->w, key, bytes, c->op.ends))
        return err_set(c->err, QUARTET_INTERNAL, "damaged pending row of table %s", t->name);
    return apply_row(c->applying, key, &op, &values, c->err);
}

static quartet_status encode_row(struct commit *c, const struct table_def *t, struct slice key, struct slice record)
{
    struct row_op op;
    struct apply_values values;
    struct slice bytes;
    bool empty = false, insert = false;
    uint8_t raw[HIDDEN_KEY_BYTES];
    quartet_status rc = txn_op_insert(&c->op, t, record, &insert, &bytes, c->err);
    if (rc == QUARTET_OK && insert)
        return encode_insert(c, t, key, bytes);
    if (rc == QUARTET_OK)
        rc = txn_op_read(&c->op, t, record, &op, &values, &empty, c->err);
    if (rc != QUARTET_OK || empty)
        return rc;
    if (names_lives(t, &op))
        rc = name_lives(c, t, key, &op);
    if (rc == QUARTET_OK)
        rc = row_begin(c, t, record.n + key.n);
    if (rc != QUARTET_OK)
        return rc;
    key = final_key(c, t, key, raw);
    delta_row(&c->w, key, &op);
    return apply_row(c->applying, key, &op, values.bytes != NULL ? &values : NULL, c->err);
}

/* What the chain's writer has applied and its receivers do not know of yet. */
static quartet_status new_deps(struct commit *c)
{
    const struct chain_state *own = c->d->state[c->d->own];
    bool whole = c->number % FORK_SEEN_EVERY == 1;
    for (uint32_t i = 0; i < c->d->applied.count && !plant_is(PLANT_NO_DEPENDENCIES); i++) {
        const struct vv_entry *e = &c->d->applied.e[i];
        if (e->chain == c->d->own || (!whole && vv_number(&own->seen, e->chain) == e->number))
            continue;
        quartet_status rc = vv_raise(&c->deps, *e, c->err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

static quartet_status encode(struct commit *c)
{
    txn *t = c->t;
    tree_id tree = 0;
    const struct table_def *table = NULL;
    struct kv_overlay over;
    struct kv_overlay_walk w = {0};
    const struct kv_walk *cur;
    quartet_status rc = txn_overlay(t, t->statement, &over, c->err);
    if (rc == QUARTET_OK)
        rc = new_deps(c);
    c->chunked = t->spill != NULL || kv_own_bytes(t->writes) >= COMMIT_CHUNKED_BYTES;
    if (rc == QUARTET_OK)
        rc = kv_overlay_start(&w, &over, c->err);
    while (rc == QUARTET_OK && (cur = w.blend.at) != NULL) {
        if (cur->tree != tree) {
            tree = cur->tree;
            table = catalog_table_by_id(t->catalog, tree); /* NULL: an index, or a table dropped by this transaction */
        }
        if (table != NULL)
            rc = encode_row(c, table, cur->key, cur->record);
        if (rc == QUARTET_OK)
            rc = kv_blend_next(&w.blend, c->err);
    }
    kv_overlay_end(&w);
    if (rc == QUARTET_OK && c->open)
        rc = chunk_end(c);
    if (rc == QUARTET_OK && c->chunked && !c->first) { /* the last chunk says that all are there */
        c->chunked = false;
        rc = chunk_begin(c);
        if (rc == QUARTET_OK)
            rc = chunk_end(c);
    }
    return rc;
}

/* What was logged of it is void, and what was merged of it goes: as if nothing had happened. */
static void give_up(struct commit *c)
{
    struct chain_state *s = c->d->state[c->d->own];
    apply_abort(c->applying);
    c->applying = NULL;
    if (!c->seen_kept)
        return;
    struct vv swap = s->seen;
    s->seen = c->seen;
    c->seen = swap;
    chain_drop_unfinished(s);
    s->received = c->received;
}

/* Under the commit lock. *no stays 0 where nothing was left to write. */
static quartet_status commit_locked(struct commit *c, apply_no *no, log_pos *end)
{
    db *d = c->d;
    quartet_status rc = db_writable(d, c->err);
    if (rc == QUARTET_OK)
        rc = validate(c->t, c->err);
    if (rc == QUARTET_OK)
        rc = hlc_next(&d->clock, env_wall_ms(d->env), &c->stamp, c->err);
    if (rc == QUARTET_OK)
        rc = db_own_start(d, c->err);
    if (rc != QUARTET_OK)
        return rc;
    c->number = vv_number(&d->applied, d->own) + 1;
    c->first = true;
    rc = encode(c);
    if (rc == QUARTET_OK && c->first)
        return rc;
    if (rc == QUARTET_OK) {
        struct applying *a = c->applying;
        c->applying = NULL;
        rc = apply_end(a, c->number, c->end, no, c->err);
    } else if (!c->torn) {
        give_up(c);
        return rc;
    }
    *end = c->end;
    if (rc == QUARTET_OK)
        rc = db_pending_add(d, *no, *end, false, c->err);
    if (rc != QUARTET_OK) { /* the log may hold what the store does not: only opening again puts that right */
        d->broken = true;
        err_prefix(c->err, "the commit failed half-way; the database must be opened again");
    } else {
        kv_settle(d->store);
    }
    return rc;
}

static void commit_begin(struct commit *c)
{
    struct commit_memory *m = c->d->spare_commit;
    if (m == NULL)
        return;
    c->bytes = m->bytes;
    c->record = m->record;
    c->deps = m->deps;
    c->seen = m->seen;
    c->op = m->op;
    c->row = m->row;
    *m = (struct commit_memory){.deps = {0}};
}

/* commit_lock held. */
static void commit_end(struct commit *c)
{
    db *d = c->d;
    apply_abort(c->applying);
    if (d->spare_commit == NULL)
        d->spare_commit = mem_zalloc(1, sizeof *d->spare_commit);
    if (d->spare_commit == NULL) { /* no memory: then nothing is kept */
        buf_deinit(&c->bytes);
        buf_deinit(&c->record);
        vv_deinit(&c->deps);
        vv_deinit(&c->seen);
        txn_op_deinit(&c->op);
        arena_free_all(&c->row);
        return;
    }
    buf_recycle(&c->bytes, COMMIT_KEPT_BYTES);
    buf_recycle(&c->record, COMMIT_KEPT_BYTES);
    txn_op_recycle(&c->op, COMMIT_KEPT_BYTES);
    arena_recycle(&c->row, COMMIT_KEPT_BYTES);
    c->deps.count = c->seen.count = 0;
    *d->spare_commit = (struct commit_memory){.bytes = c->bytes, .record = c->record, .deps = c->deps, .seen = c->seen, .op = c->op, .row = c->row};
}

void txn_commit_free_spare(db *d)
{
    struct commit_memory *m = d->spare_commit;
    if (m == NULL)
        return;
    buf_deinit(&m->bytes);
    buf_deinit(&m->record);
    vv_deinit(&m->deps);
    vv_deinit(&m->seen);
    txn_op_deinit(&m->op);
    arena_free_all(&m->row);
    mem_free(m);
    d->spare_commit = NULL;
}

const uint32_t DB_COMMIT_BOUNDS_US[DB_COMMIT_BUCKETS - 1] = {50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000};

static void count_latency(db *d, uint64_t us)
{
    uint32_t i = 0;
    while (i < DB_COMMIT_BUCKETS - 1 && us > DB_COMMIT_BOUNDS_US[i])
        i++;
    atomic_fetch_add_explicit(&d->commit_buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&d->commit_us, us, memory_order_relaxed);
}

quartet_status txn_commit_stamped(txn *t, hlc_stamp *stamp, struct err *err)
{
    db *d = t->d;
    *stamp = 0;
    if (!txn_has_writes(t)) {
        txn_rollback(t);
        return QUARTET_OK;
    }
    struct commit c = {.t = t, .d = d, .err = err};
    struct kv_overlay over;
    apply_no no = 0;
    log_pos end = 0;
    enum log_sync_mode mode = t->sync;
    quartet_status rc = txn_overlay(t, t->statement, &over, err); /* what it waits for it need not wait for under the lock */
    if (rc != QUARTET_OK) {
        txn_rollback(t);
        return rc;
    }
    uint64_t began = mode == LOG_SYNC_FULL ? d->env->ops->mono_ns(d->env) : 0; /* what is faster than a disk is not worth two looks at a clock */
    if (!t->exclusive)
        pthread_mutex_lock(&d->commit_lock);
    commit_begin(&c);
    rc = commit_locked(&c, &no, &end);
    commit_end(&c);
    pthread_mutex_unlock(&d->commit_lock);
    t->exclusive = false;
    txn_rollback(t); /* what is left of it: snapshot and buffers */
    if (rc != QUARTET_OK || no == 0)
        return rc;
    rc = commit_log_sync(d->log, end, plant_is(PLANT_ACK_BEFORE_SYNC) ? LOG_SYNC_OFF : mode, err);
    if (rc != QUARTET_OK) {
        db_break(d);
        if (!plant_is(PLANT_SYNC_ERROR_IGNORED))
            return rc;
    }
    *stamp = c.stamp;
    atomic_fetch_add(&d->commits, 1);
    if (mode == LOG_SYNC_FULL)
        count_latency(d, (d->env->ops->mono_ns(d->env) - began) / 1000u);
    if (kv_published(d->store) < no) /* whoever synced for many has shown them all */
        db_pending_done(d, no);
    db_trim_due(d);
    db_notify(d);
    return QUARTET_OK;
}

quartet_status txn_commit(txn *t, struct err *err)
{
    hlc_stamp stamp;
    return txn_commit_stamped(t, &stamp, err);
}
