/* apply.c - merging a transaction into the store: rows, index entries, hashes and catalog in one atomic step.
 * Why one function for local and remote deltas, recovery included: a second way in would be a second semantics. What a delta does is decided by its bytes
 *   and the rows alone, never by who asks.
 * Invariants: all or nothing; the hash of a table is always that of the rows applied; an index holds exactly the entries of its live rows.
 * System rows come first in every delta (their trees are the lowest), so the catalog is made anew before the rows of a table that the same delta created.
 * Not here: whether a delta may be applied already (db_replicate.c), one row (apply_row.c). */
#include "apply_internal.h"

#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "db_fork.h"
#include "base/mem.h"
#include "base/plant.h"
#include "stats.h"

#define APPLY_KEPT_BYTES (64u << 10) /* of each buffer that an apply leaves to the next */
#define APPLY_KEPT_COUNT 256u

quartet_status apply_misfit(struct applying *a, const char *what)
{
    return err_set(a->err, QUARTET_CORRUPT, "delta %llu: %s (table %s)", (unsigned long long)a->in.number, what,
                   a->t != NULL ? a->t->name : "unknown");
}

static quartet_status rows_of(struct applying *a, struct delta_reader *r)
{
    bool more = true;
    uint32_t tables = 0; /* for a planted bug only */
    (void)tables;        /* unused where none can be planted */
    quartet_status rc = QUARTET_OK;
    if ((r->flags & DELTA_REQUEST) != 0)
        a->request = r->request;
    while (rc == QUARTET_OK) {
        rc = delta_next_table(r, &a->tables, &more, a->err);
        if (rc != QUARTET_OK || !more)
            break;
        if (plant_is(PLANT_HALF_TRANSACTION) && tables++ > 0 && r->tables_left == 0)
            break;
        rc = apply_begin_table(a, r->table_id, r->column_ids, r->column_count);
        while (rc == QUARTET_OK && a->t != NULL) {
            struct slice key;
            struct row_op op;
            arena_rewind(&a->row, (struct arena_mark){0});
            rc = delta_next_row(r, &a->row, &key, &op, &more, a->err);
            if (rc != QUARTET_OK || !more)
                break;
            rc = apply_one_row(a, key, &op, NULL);
        }
    }
    return rc;
}

static quartet_status one_delta(struct applying *a, struct slice bytes)
{
    struct delta_reader r;
    quartet_status rc = delta_open(&r, bytes, &a->d->chains, a->err);
    if (rc != QUARTET_OK)
        return rc;
    rc = rows_of(a, &r);
    delta_close(&r);
    return rc;
}

static int op_cmp(const struct kv_op *x, const struct kv_op *y)
{
    if (x->tree != y->tree)
        return x->tree < y->tree ? -1 : 1;
    return slice_cmp(x->key, y->key);
}

/* Where a new catalog filled or emptied indexes, rows of the same delta may have touched the same entries: the later operation of a key wins. A stable merge
 * sort, since order of writing decides. */
static quartet_status settle_ops(struct applying *a)
{
    struct apply_ops *o = &a->ops;
    size_t spare_cap = o->count + 1;
    struct kv_op *spare = mem_zalloc(spare_cap, sizeof *spare);
    if (spare == NULL)
        return err_nomem(a->err);
    for (size_t width = 1; width < o->count; width *= 2) {
        for (size_t lo = 0; lo < o->count; lo += 2 * width) {
            size_t i = lo, mid = lo + width < o->count ? lo + width : o->count, j = mid, end = mid + width < o->count ? mid + width : o->count;
            for (size_t k = lo; k < end; k++)
                spare[k] = i < mid && (j >= end || op_cmp(&o->ops[i], &o->ops[j]) <= 0) ? o->ops[i++] : o->ops[j++];
        }
        struct kv_op *swap = o->ops; /* each with its own size: the first may have no room for one more */
        size_t swap_cap = o->cap;
        o->ops = spare;
        o->cap = spare_cap;
        spare = swap;
        spare_cap = swap_cap;
    }
    mem_free(spare);
    size_t kept = 0;
    for (size_t i = 0; i < o->count; i++)
        if (i + 1 == o->count || op_cmp(&o->ops[i], &o->ops[i + 1]) != 0)
            o->ops[kept++] = o->ops[i];
    o->count = kept;
    return QUARTET_OK;
}

static void snap_release(struct applying *a)
{
    kv_past_close(a->past_reader); /* it reads in the snapshot */
    a->past_reader = NULL;
    if (a->in.snap == NULL)
        kv_release(a->snap);
    a->snap = NULL;
}

quartet_status apply_prepare(struct applying *a, struct err *err)
{
    db *d = a->d;
    a->err = err;
    quartet_status rc = apply_renew_catalog(a); /* where it was DDL only */
    if (rc == QUARTET_OK)
        rc = apply_conflicts_sweep(a);
    if (rc == QUARTET_OK)
        rc = apply_outcome(a);
    snap_release(a);
    struct chain_state *s = db_chain(d, a->in.chain, err);
    if (s == NULL)
        return QUARTET_NOMEM;
    if (rc == QUARTET_OK)
        rc = vv_reserve(&d->applied, err);
    if (rc == QUARTET_OK)
        rc = vv_reserve(&s->seen, err);
    if (rc == QUARTET_OK && a->fresh != NULL)
        rc = db_catalog_reserve(d, err);
    if (rc == QUARTET_OK && a->ops.bulk != NULL) {
        rc = ops_pour(&a->ops, err);
        if (rc == QUARTET_OK)
            rc = kv_bulk_prepare(a->ops.bulk, d->applied_no + 1, err);
    } else if (rc == QUARTET_OK && a->system != NULL) {
        rc = settle_ops(a);
    }
    a->prepared = rc == QUARTET_OK;
    return rc;
}

static void take_changes(struct applying *a)
{
    for (size_t i = 0; i < a->change_count; i++) {
        const struct hash_change *c = &a->changes[i];
        struct table_state *t = c->state;
        if (c->reset) {
            a->d->hidden_rows -= t->hidden_count;
            t->hash = t->hidden = (struct state_hash){0};
            t->hidden_count = 0;
        }
        state_hash_add(&t->hash, c->add);
        state_hash_sub(&t->hash, c->sub);
        state_hash_sub(&t->hidden, c->hidden_sub);
        t->hidden_count += (uint64_t)c->hidden_rows;
        a->d->hidden_rows += (uint64_t)c->hidden_rows;
        stats_written(a->d, t, c->rows);
    }
}

/* Everything is prepared: nothing after ops_commit may fail but for memory and the disk, and then the log is replayed at the next opening. */
static quartet_status finish(struct applying *a, uint64_t number, log_pos end, apply_no *no)
{
    db *d = a->d;
    struct vv_entry e = {.chain = a->in.chain, .number = number, .stamp = a->in.stamp};
    struct chain_state *s = db_chain(d, a->in.chain, a->err);
    if (s == NULL)
        return QUARTET_NOMEM;
    const struct vv_entry *had = vv_find(&d->applied, a->in.chain);
    const struct batch_at *b = chain_entry(s, number);
    if (had != NULL)
        e.head = had->head;
    if (b != NULL && !b->run && b->head != 0)
        e.head = b->head;
    else if (s->head_number != 0 && s->head_number <= number)
        e.head = load_le64(s->head);
    bool bulk = a->ops.bulk != NULL;
    quartet_status rc = ops_commit(&a->ops, d->applied_no + 1, a->err);
    if (rc != QUARTET_OK)
        return rc;
    *no = ++d->applied_no;
    d->conflicts_kept += a->conflicts;
    d->conflicts_kept -= a->swept < d->conflicts_kept ? a->swept : d->conflicts_kept;
    d->applied_end = end;
    take_changes(a);
    rc = vv_raise(&d->applied, e, a->err);
    QASSERT(rc == QUARTET_OK); /* reserved */
    rc = vv_raise(&s->seen, e, a->err);
    QASSERT(rc == QUARTET_OK); /* reserved */
    if (a->fresh != NULL) {
        db_catalog_set(d, a->fresh, *no);
        a->fresh = NULL;
    }
    atomic_fetch_add(&d->rows_written, a->rows);
    rc = apply_claims_settle(a, d->catalog, no);
    if (rc == QUARTET_OK)
        rc = apply_orphans_settle(a, d->catalog, no);
    if (rc != QUARTET_OK)
        return rc;
    if (bulk)
        kv_settle(d->store);
    else
        kv_settle_run(d->store); /* what follows from it may be large */
    if (a->closings && !d->recovering && db_closings_load(d, a->err) != QUARTET_OK) {
        log_line(d->env, LOG_WARN, "db", "quartet_closings could not be read: %s", a->err->text);
        err_clear(a->err);
    }
    if (a->folds && !d->recovering && db_folds_load(d, a->err) != QUARTET_OK) { /* it is folded later */
        log_line(d->env, LOG_WARN, "db", "quartet_folds could not be read: %s", a->err->text);
        err_clear(a->err);
    }
    if (a->forks && !d->recovering && forks_load(d, a->err) != QUARTET_OK) {
        log_line(d->env, LOG_WARN, "db", "quartet_forks could not be read: %s", a->err->text);
        err_clear(a->err);
    }
    if (a->settings && db_history_load(d, a->err) != QUARTET_OK) { /* the transaction is in; the next opening reads it again */
        log_line(d->env, LOG_WARN, "db", "the settings could not be read: %s", a->err->text);
        err_clear(a->err);
    }
    return QUARTET_OK;
}

quartet_status apply_begin(db *d, const struct apply_in *in, struct applying **out, struct err *err)
{
    struct chain_state *s = db_chain(d, in->chain, err);
    struct applying *a = s == NULL ? NULL : d->spare_applying != NULL ? d->spare_applying : mem_zalloc(1, sizeof *a);
    if (a == NULL)
        return err_nomem(err);
    d->spare_applying = NULL;
    a->d = d;
    a->in = *in;
    a->catalog = d->catalog;
    a->err = err;
    a->ops.store = d->store;
    a->ops.limit = ops_limit(d);
    a->writer = (struct row_writer){.ver = {.stamp = in->stamp, .chain = in->chain}, .seen = &s->seen, .chains = &d->chains};
    a->newest = 0;
    for (uint32_t i = 0; i < d->applied.count; i++)
        a->newest = d->applied.e[i].stamp > a->newest ? d->applied.e[i].stamp : a->newest;
    a->past_from = db_history_floor(d);
    if (a->past_from < atomic_load(&d->history_from)) /* what was let go stays so, even if the clock goes back */
        a->past_from = atomic_load(&d->history_from);
    a->snap = in->snap;
    quartet_status rc = a->snap != NULL ? QUARTET_OK : kv_snapshot_latest(d->store, &a->snap, err);
    if (rc != QUARTET_OK) {
        apply_abort(a);
        return rc;
    }
    *out = a;
    return QUARTET_OK;
}

quartet_status apply_feed(struct applying *a, struct slice delta, struct err *err)
{
    a->err = err;
    return one_delta(a, delta);
}

quartet_status apply_feed_open(struct applying *a, struct delta_reader *delta, struct err *err)
{
    a->err = err;
    return rows_of(a, delta);
}

quartet_status apply_table(struct applying *a, uint64_t table_id, const uint32_t *column_ids, uint32_t column_count, struct err *err)
{
    a->err = err;
    return apply_begin_table(a, table_id, column_ids, column_count);
}

quartet_status apply_row(struct applying *a, struct slice key, struct row_op *op, const struct apply_values *values, struct err *err)
{
    a->err = err;
    arena_rewind(&a->row, (struct arena_mark){0});
    return apply_one_row(a, key, op, values);
}

void apply_request(struct applying *a, const struct delta_request *request)
{
    a->request = *request;
}

quartet_status apply_end(struct applying *a, uint64_t number, log_pos end, apply_no *no, struct err *err)
{
    quartet_status rc = a->prepared ? QUARTET_OK : apply_prepare(a, err);
    a->err = err;
    if (rc == QUARTET_OK)
        rc = finish(a, number, end, no);
    apply_abort(a);
    return rc;
}

static void applying_free(struct applying *a)
{
    mem_free(a->changes);
    ops_deinit(&a->ops);
    arena_free_all(&a->tables);
    arena_free_all(&a->row);
    buf_deinit(&a->old);
    buf_deinit(&a->record);
    buf_deinit(&a->hashed);
    buf_deinit(&a->entry);
    buf_deinit(&a->encoded);
    kv_top_deinit(&a->top);
    buf_deinit(&a->past);
    buf_deinit(&a->scratch);
    mem_free(a);
}

/* All but the memory is as new: a commit of one row would spend more on malloc than on merging. */
static void make_spare(struct applying *a)
{
    kv_bulk_abort(a->ops.bulk);
    if (a->change_cap > APPLY_KEPT_COUNT) {
        mem_free(a->changes);
        a->changes = NULL;
        a->change_cap = 0;
    }
    if (a->ops.cap > APPLY_KEPT_COUNT) {
        mem_free(a->ops.ops);
        a->ops.ops = NULL;
        a->ops.cap = 0;
    }
    memset(a, 0, offsetof(struct applying, last_state));
    a->ops = (struct apply_ops){.ops = a->ops.ops, .cap = a->ops.cap, .bytes = a->ops.bytes};
    kv_top_forget(&a->top);
    struct buf *bufs[] = {&a->old, &a->record, &a->hashed, &a->entry, &a->encoded, &a->top.key, &a->past, &a->scratch};
    struct arena *arenas[] = {&a->ops.bytes, &a->tables, &a->row};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
        buf_recycle(bufs[i], APPLY_KEPT_BYTES);
    for (size_t i = 0; i < sizeof arenas / sizeof arenas[0]; i++)
        arena_recycle(arenas[i], APPLY_KEPT_BYTES);
}

void apply_abort(struct applying *a)
{
    if (a == NULL)
        return;
    db *d = a->d;
    snap_release(a);
    catalog_unref(a->fresh);
    catalog_unref(a->links_were);
    catalog_unref(a->claims_were);
    apply_notes_free(a->notes);
    apply_claims_free(a->claim_notes);
    kv_own_free(a->system);
    if (d->spare_applying != NULL) {
        applying_free(a);
        return;
    }
    make_spare(a);
    d->spare_applying = a;
}

void apply_free_spare(db *d)
{
    if (d->spare_applying != NULL)
        applying_free(d->spare_applying);
    d->spare_applying = NULL;
}

quartet_status apply_transaction(db *d, const struct apply_in *in, const struct slice *deltas, size_t count, log_pos end, apply_no *no, struct err *err)
{
    struct applying *a;
    quartet_status rc = apply_begin(d, in, &a, err);
    if (rc != QUARTET_OK)
        return rc;
    for (size_t i = 0; i < count && rc == QUARTET_OK; i++)
        rc = apply_feed(a, deltas[i], err);
    if (rc == QUARTET_OK)
        return apply_end(a, in->number + count - 1, end, no, err);
    apply_abort(a);
    return rc;
}
