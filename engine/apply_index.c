/* apply_index.c - what merging does to secondary indexes: entries of changed rows, indexes that come and go with the schema, and both once more after
 *   a flush that a crash cut in two.
 * Invariants: an index holds one entry for each live row of its table, quarantined ones too, and no other.
 * Not here: a transaction's own entries (index.c). */
#include <string.h>

#include "apply.h"
#include "kv_past.h"
#include "base/mem.h"
#include "base/plant.h"
#include "txn_internal.h"

#define OPS_POUR_BYTES (256u << 10)

static quartet_status put(struct apply_ops *o, struct kv_op op, struct err *err)
{
    if (o->count == o->cap) {
        size_t cap = o->cap == 0 ? 64 : o->cap * 2;
        struct kv_op *grown = mem_realloc(o->ops, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        o->ops = grown;
        o->cap = cap;
    }
    o->ops[o->count++] = op;
    size_t bytes = o->bytes.used_bytes + o->count * sizeof *o->ops;
    if (o->store == NULL || bytes <= o->limit)
        return QUARTET_OK;
    if (o->bulk == NULL) { /* asked for here, since most transactions never come to it */
        o->limit = kv_bulk_from(o->store);
        if (bytes <= o->limit)
            return QUARTET_OK;
    }
    return ops_pour(o, err);
}

quartet_status ops_put(struct apply_ops *o, tree_id tree, struct slice key, struct slice record, struct err *err)
{
    return put(o, (struct kv_op){.tree = tree, .key = key, .record = record}, err);
}

/* A run holds pasts as entries of the history tree. */
static quartet_status pour_past(struct apply_ops *o, const struct kv_op *op, struct err *err)
{
    struct buf key = {0};
    struct slice record;
    uint64_t stamp;
    kv_past_take(op->past, &stamp, &record);
    kv_past_key(&key, op->key, KV_PAST_BEFORE, stamp, 0);
    quartet_status rc = buf_check(&key, err);
    if (rc == QUARTET_OK)
        rc = kv_bulk_put(o->bulk, kv_past_tree(op->tree), slice_of(key.data, key.len), record, err);
    buf_deinit(&key);
    return rc;
}

quartet_status ops_pour(struct apply_ops *o, struct err *err)
{
    quartet_status rc = o->bulk == NULL ? kv_bulk_begin(o->store, &o->bulk, err) : QUARTET_OK;
    for (size_t i = 0; i < o->count && rc == QUARTET_OK; i++) {
        rc = kv_bulk_put(o->bulk, o->ops[i].tree, o->ops[i].key, o->ops[i].record, err);
        if (rc == QUARTET_OK && o->ops[i].past.n > 0)
            rc = pour_past(o, &o->ops[i], err);
    }
    o->count = 0;
    arena_rewind(&o->bytes, (struct arena_mark){0});
    if (o->limit > OPS_POUR_BYTES)
        o->limit = OPS_POUR_BYTES; /* it is a large one: gather no more than saves calls */
    return rc;
}

quartet_status ops_commit_derived(struct apply_ops *o, db *d, struct err *err)
{
    bool rebuild = d->rebuild;
    d->rebuild = true; /* a flush that begins here holds the transaction without this */
    kv_settle_run(d->store); /* a large transaction's run goes into the base by itself: its checkpoint must name the transaction before anything else is applied */
    quartet_status rc = ops_commit(o, d->applied_no + 1, err);
    if (rc != QUARTET_OK)
        return rc;
    d->rebuild = rebuild;
    d->applied_no++;
    return QUARTET_OK;
}

quartet_status ops_commit(struct apply_ops *o, apply_no at, struct err *err)
{
    if (o->bulk == NULL)
        return kv_apply(o->store, o->ops, o->count, at, err);
    quartet_status rc = o->count > 0 ? ops_pour(o, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return rc;
    kv_bulk *bulk = o->bulk;
    o->bulk = NULL;
    return kv_bulk_commit(bulk, at, err);
}

void ops_deinit(struct apply_ops *o)
{
    kv_bulk_abort(o->bulk);
    mem_free(o->ops);
    arena_free_all(&o->bytes);
    *o = (struct apply_ops){0};
}

quartet_status ops_put_row(struct apply_ops *o, tree_id tree, struct slice key, struct slice record, struct slice past, struct err *err)
{
    struct kv_op op = {.tree = tree, .key = key, .record = record, .past = past};
    if (o->bulk != NULL) { /* which copies */
        quartet_status rc = o->count > 0 ? ops_pour(o, err) : QUARTET_OK;
        if (rc == QUARTET_OK)
            rc = kv_bulk_put(o->bulk, tree, key, record, err);
        return rc == QUARTET_OK && past.n > 0 ? pour_past(o, &op, err) : rc;
    }
    uint8_t *p = arena_alloc(&o->bytes, key.n + record.n + past.n);
    if (p == NULL)
        return arena_fail(&o->bytes, err);
    bytes_copy(p, key.p, key.n);
    if (record.n > 0)
        memcpy(p + key.n, record.p, record.n);
    if (past.n > 0)
        memcpy(p + key.n + record.n, past.p, past.n);
    op.key = slice_of(p, key.n);
    if (record.p != NULL)
        op.record = slice_of(p + key.n, record.n);
    op.past = slice_of(p + key.n + record.n, past.n);
    return put(o, op, err);
}

quartet_status ops_put_copy(struct apply_ops *o, tree_id tree, struct slice key, struct slice record, struct err *err)
{
    return ops_put_row(o, tree, key, record, slice_of("", 0), err);
}

static quartet_status entry(struct apply_ops *o, const struct table_def *t, const struct index_def *ix, struct slice key, const struct value *values,
                            bool put, struct buf *scratch, struct err *err)
{
    if (!index_holds(ix, values))
        return QUARTET_OK;
    quartet_status rc = index_key(t, ix, values, key, scratch, err);
    if (rc == QUARTET_LIMIT) { /* a value that another node could write without this index: the row stays out of it on every node alike */
        err_clear(err);
        return QUARTET_OK;
    }
    if (rc != QUARTET_OK)
        return rc;
    rc = ops_put_copy(o, ix->id, slice_of(scratch->data, scratch->len), put ? slice_of("", 0) : (struct slice){0}, err);
    if (rc == QUARTET_OK && put && ix->unique && o->count > 0) /* else it was poured into a run, which knows no claims */
        o->ops[o->count - 1].claim = (uint32_t)(scratch->len - key.n);
    return rc;
}

quartet_status apply_entries(struct apply_ops *o, const struct table_def *t, struct slice key, const struct value *old, const struct value *fresh,
                             struct buf *scratch, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < t->index_count && rc == QUARTET_OK; i++) {
        const struct index_def *ix = &t->indexes[i];
        bool same = old != NULL && fresh != NULL && index_holds(ix, old) == index_holds(ix, fresh);
        for (uint32_t k = 0; k < ix->column_count && same; k++)
            same = value_identical(&old[ix->columns[k]], &fresh[ix->columns[k]]);
        if (same)
            continue;
        if (old != NULL && !plant_is(PLANT_INDEX_KEEPS_OLD))
            rc = entry(o, t, ix, key, old, false, scratch, err);
        if (rc == QUARTET_OK && fresh != NULL)
            rc = entry(o, t, ix, key, fresh, true, scratch, err);
    }
    return rc;
}

/* Call each() for every record of a tree. */
static quartet_status walk(kv_snap *snap, tree_id tree, bool records, quartet_status (*each)(void *arg, struct slice key, struct slice record, struct err *err),
                           void *arg, struct err *err)
{
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true, .records = records, .dead = records};
    kv_iter *it = NULL;
    quartet_status rc = kv_iter_open(snap, NULL, tree, &all, &want, &it, err);
    while (rc == QUARTET_OK) {
        struct kv_rows rows;
        rc = kv_iter_next(it, 0, &rows, err);
        if (rc != QUARTET_OK || rows.n == 0)
            break;
        for (uint32_t i = 0; i < rows.n && rc == QUARTET_OK; i++)
            rc = each(arg, rows.keys[i], records ? rows.records[i] : (struct slice){0}, err);
    }
    kv_iter_close(it);
    return rc;
}

struct filling {
    struct apply_ops *o;
    const struct table_def *t;
    const struct index_def *ix; /* NULL: erase */
    tree_id tree;
    struct arena arena;
    struct value *values;
    struct buf scratch;
    struct state_hash hash, hidden;
    uint64_t hidden_count;
    const struct chain_table *chains;
};

static quartet_status fill_row(void *arg, struct slice key, struct slice record, struct err *err)
{
    struct filling *f = arg;
    bool live;
    arena_rewind(&f->arena, (struct arena_mark){0});
    f->values = arena_zalloc(&f->arena, f->t->column_count, sizeof *f->values);
    if (f->values == NULL)
        return arena_fail(&f->arena, err);
    quartet_status rc = table_decode_hidden(f->t, key, record, f->values, &f->arena, &live, err);
    if (rc != QUARTET_OK || !live)
        return rc;
    return entry(f->o, f->t, f->ix, key, f->values, true, &f->scratch, err);
}

static quartet_status erase_entry(void *arg, struct slice key, struct slice record, struct err *err)
{
    struct filling *f = arg;
    (void)record;
    return ops_put_copy(f->o, f->tree, key, (struct slice){0}, err);
}

static void filling_end(struct filling *f)
{
    arena_free_all(&f->arena);
    buf_deinit(&f->scratch);
}

quartet_status apply_index_build(struct apply_ops *o, kv_snap *snap, const struct table_def *t, const struct index_def *ix, struct err *err)
{
    struct filling f = {.o = o, .t = t, .ix = ix};
    quartet_status rc = walk(snap, t->id, true, fill_row, &f, err);
    filling_end(&f);
    return rc;
}

quartet_status apply_tree_erase(struct apply_ops *o, kv_snap *snap, tree_id tree, struct err *err)
{
    struct filling f = {.o = o, .tree = tree};
    quartet_status rc = walk(snap, tree, false, erase_entry, &f, err);
    filling_end(&f);
    return rc;
}

static quartet_status erase_rows(struct apply_ops *o, kv_snap *snap, tree_id tree, struct err *err)
{
    struct filling f = {.o = o, .tree = tree};
    quartet_status rc = walk(snap, tree, true, erase_entry, &f, err); /* those that are not live, too */
    filling_end(&f);
    return rc;
}

static const struct index_def *find_index(const struct table_def *t, tree_id id)
{
    for (uint32_t i = 0; t != NULL && i < t->index_count; i++)
        if (t->indexes[i].id == id)
            return &t->indexes[i];
    return NULL;
}

quartet_status apply_catalog_change(struct apply_ops *o, kv_snap *snap, const struct catalog *before, const struct catalog *after, bool reclaim,
                                    struct err *err)
{
    quartet_status rc = QUARTET_OK;
    const struct table_def *t;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_at_id(before, i)) != NULL; i++) {
        const struct table_def *now = catalog_table_by_id(after, t->id);
        if (now == t)
            continue; /* the same box */
        for (uint32_t k = 0; k < t->index_count && rc == QUARTET_OK; k++)
            if (find_index(now, t->indexes[k].id) == NULL)
                rc = apply_tree_erase(o, snap, t->indexes[k].id, err);
        if (rc == QUARTET_OK && now == NULL && reclaim)
            rc = erase_rows(o, snap, t->id, err);
        if (rc == QUARTET_OK && now == NULL && reclaim)
            rc = erase_rows(o, snap, kv_past_tree(t->id), err);
    }
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_at_id(after, i)) != NULL; i++) {
        const struct table_def *was = catalog_table_by_id(before, t->id);
        if (was == t)
            continue;
        for (uint32_t k = 0; k < t->index_count && rc == QUARTET_OK; k++)
            if (find_index(was, t->indexes[k].id) == NULL)
                rc = apply_index_build(o, snap, t, &t->indexes[k], err);
    }
    return rc;
}

static quartet_status hash_row(void *arg, struct slice key, struct slice record, struct err *err)
{
    struct filling *f = arg;
    struct row row;
    arena_rewind(&f->arena, (struct arena_mark){0});
    quartet_status rc = row_decode(record, &f->t->rows, &f->arena, &row, err);
    struct state_hash h = rc == QUARTET_OK && row_live(&row) ? row_hash(&row, &f->t->rows, f->t->record_ids, f->t->id, key, f->chains, &f->scratch)
                                                             : (struct state_hash){0};
    state_hash_add(&f->hash, h);
    if (record.n > 0 && (record.p[0] & RECORD_HIDDEN) != 0) {
        state_hash_add(&f->hidden, h);
        f->hidden_count++;
    }
    return rc == QUARTET_OK && f->scratch.failed ? err_nomem(err) : rc;
}

/* Entries of one index once more: all that are there go, unless a row still makes them. */
static quartet_status rebuild_index(db *d, kv_snap *snap, const struct table_def *t, const struct index_def *ix, struct err *err)
{
    struct apply_ops gone = {.store = d->store, .limit = ops_limit(d)}, made = gone;
    quartet_status rc = apply_tree_erase(&gone, snap, ix->id, err);
    if (rc == QUARTET_OK)
        rc = apply_index_build(&made, snap, t, ix, err);
    bool any_gone = gone.count > 0 || gone.bulk != NULL, any_made = made.count > 0 || made.bulk != NULL;
    if (rc == QUARTET_OK && any_gone)
        rc = ops_commit(&gone, d->applied_no + 1, err);
    if (rc == QUARTET_OK && any_gone)
        kv_publish(d->store, ++d->applied_no); /* nobody reads yet; a full buffer can be flushed only when it is visible */
    if (rc == QUARTET_OK && any_made)
        rc = ops_commit(&made, d->applied_no + 1, err);
    if (rc == QUARTET_OK && any_made)
        kv_publish(d->store, ++d->applied_no);
    ops_deinit(&gone);
    ops_deinit(&made);
    return rc;
}

quartet_status apply_rebuild(db *d, struct err *err)
{
    kv_snap *snap = NULL;
    const struct table_def *t;
    d->rebuild = true; /* none of this is in the log: a flush that takes half of it says so in its checkpoint */
    quartet_status rc = kv_snapshot_latest(d->store, &snap, err);
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_at_id(d->catalog, i)) != NULL; i++) {
        struct table_state *s = db_table(d, t->id, err);
        struct filling f = {.t = t, .chains = &d->chains};
        if (s == NULL) {
            rc = QUARTET_NOMEM;
            break;
        }
        if (!system_is_local(t->id))
            rc = walk(snap, t->id, true, hash_row, &f, err);
        if (rc == QUARTET_OK) {
            s->hash = f.hash;
            s->hidden = f.hidden; /* as records say now; apply_claims_rebuild goes on from there */
            s->hidden_count = f.hidden_count;
        }
        filling_end(&f);
        for (uint32_t k = 0; k < t->index_count && rc == QUARTET_OK; k++)
            rc = rebuild_index(d, snap, t, &t->indexes[k], err);
    }
    kv_release(snap);
    if (rc == QUARTET_OK)
        rc = apply_claims_rebuild(d, err);
    if (rc == QUARTET_OK)
        rc = apply_orphans_rebuild(d, err);
    d->rebuild = rc != QUARTET_OK;
    return rc;
}
