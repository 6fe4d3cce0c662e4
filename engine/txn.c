/* txn.c - a transaction's life up to COMMIT: its snapshot, its buffer of own writes, what it read.
 * Why reads are remembered as ranges of keys: that is what makes transactions serializable, phantoms included, and it costs a few bytes for a scan
 *   of any length. Past a limit whole trees are remembered: too careful, never wrong.
 * Invariants: nothing here changes the store. A statement's writes carry its number, so that undoing is forgetting.
 * Not here: validation and COMMIT (txn_commit.c), rows (table_read.c, table_write.c). */
#include "txn_internal.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/plant.h"
#include "kv_digest.h"

/* A transaction that ended is kept with its memory for the next: a commit of one row would spend a third of its time in malloc and free. */
static txn *spare_take(db *d)
{
    for (uint32_t i = 0; i < DB_SPARE_TXNS; i++) {
        txn *t = atomic_load_explicit(&d->spare_txns[i], memory_order_relaxed) != NULL ? atomic_exchange(&d->spare_txns[i], NULL) : NULL;
        if (t != NULL)
            return t;
    }
    return NULL;
}

static bool spare_give(db *d, txn *t)
{
    for (uint32_t i = 0; i < DB_SPARE_TXNS; i++) {
        txn *none = NULL;
        if (atomic_load_explicit(&d->spare_txns[i], memory_order_relaxed) == NULL && atomic_compare_exchange_strong(&d->spare_txns[i], &none, t))
            return true;
    }
    return false;
}

static quartet_status txn_new(db *d, txn **out, struct err *err)
{
    txn *t = spare_take(d);
    if (t == NULL)
        t = mem_zalloc(1, sizeof *t);
    if (t == NULL)
        return err_nomem(err);
    t->d = d;
    t->sync = d->options.sync;
    *out = t;
    return QUARTET_OK;
}

static void memory_free(txn *t)
{
    mem_free(t->own);
    kv_own_free(t->spare_writes);
    buf_deinit(&t->read_bytes);
    mem_free(t->reads);
    mem_free(t->taken);
    kv_top_deinit(&t->top);
    buf_deinit(&t->key);
    buf_deinit(&t->entry);
    buf_deinit(&t->fold);
    buf_deinit(&t->record);
    buf_deinit(&t->meta);
    buf_deinit(&t->fresh);
    arena_free_all(&t->scratch);
    kv_top_deinit(&t->top);
    mem_free(t);
}

/* All but the memory is as new. */
static void make_spare(txn *t)
{
    if (t->writes != NULL) {
        kv_own_recycle(t->writes);
        t->spare_writes = t->writes;
    }
    if (t->read_cap > TXN_SPARE_READS) {
        mem_free(t->reads);
        t->reads = NULL;
        t->read_cap = 0;
    }
    memset(t, 0, offsetof(txn, own));
    kv_top_forget(&t->top);
    struct buf *all[] = {&t->read_bytes, &t->key, &t->entry, &t->fold, &t->record, &t->meta, &t->fresh, &t->top.key};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buf_recycle(all[i], TXN_SPARE_BYTES);
    arena_recycle(&t->scratch, TXN_SPARE_BYTES);
}

static void txn_free(txn *t)
{
    db *d = t->d;
    txn_rollback(t->temp);
    for (uint32_t i = 0; i < TXN_UNIQUE_LOOKS; i++)
        kv_iter_close(t->looks[i].it);
    if (t->spilling != NULL) {
        struct err err = ERR_INIT; /* whatever it says, all of it goes */
        (void)kv_spill_end(t->spilling, &t->spill, &err);
    }
    kv_own_free(t->pouring);
    kv_release(t->snap);
    for (uint32_t i = 0; i < t->own_count; i++)
        catalog_unref(t->own[i].catalog);
    catalog_unref(t->base);
    if (t->taken_count > 0) {
        pthread_mutex_lock(&d->keys_lock);
        for (uint32_t i = 0; i < t->taken_count; i++)
            if (--t->taken[i].state->key_users == 0 && !d->identity.member)
                t->taken[i].state->next_key = 0; /* alone: the next one looks at the table, so that numbers have no holes */
        pthread_mutex_unlock(&d->keys_lock);
    }
    kv_run_page_deinit(&t->page);
    kv_spill_drop(t->spill);
    if (t->writes != NULL && kv_own_shared(t->writes)) { /* a scan that has not rested yet */
        kv_own_free(t->writes);
        t->writes = NULL;
    }
    if (t->writes != NULL) {
        kv_own_free(t->spare_writes); /* one is enough */
        t->spare_writes = NULL;
    }
    make_spare(t);
    if (!spare_give(d, t))
        memory_free(t);
}

void txn_free_spares(db *d)
{
    for (txn *t; (t = spare_take(d)) != NULL;)
        memory_free(t);
}

static quartet_status take_snapshot(txn *t, struct err *err)
{
    db *d = t->d;
    pthread_mutex_lock(&d->publish_lock); /* snapshot and catalog belong together */
    t->base = t->catalog = catalog_ref(d->catalog_visible);
    quartet_status rc = kv_snapshot(d->store, 0, &t->snap, err);
    pthread_mutex_unlock(&d->publish_lock);
    if (rc == QUARTET_OK)
        t->snap_at = kv_snap_at(t->snap);
    return rc;
}

quartet_status txn_begin(db *d, txn **out, struct err *err)
{
    txn *t = NULL;
    quartet_status rc = txn_new(d, &t, err);
    if (rc != QUARTET_OK)
        return rc;
    t->now_us = (int64_t)d->env->ops->wall_us(d->env);
    rc = take_snapshot(t, err);
    if (rc != QUARTET_OK) {
        txn_free(t);
        return rc;
    }
    *out = t;
    return QUARTET_OK;
}

quartet_status txn_begin_read(db *d, txn *rested, txn **out, struct err *err)
{
    txn *t = rested;
    quartet_status rc = t == NULL ? txn_new(d, &t, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return rc;
    QASSERT(t->snap == NULL && t->base == NULL);
    t->reads_unneeded = true;
    rc = take_snapshot(t, err);
    if (rc != QUARTET_OK) {
        txn_free(t);
        return rc;
    }
    *out = t;
    return QUARTET_OK;
}

void txn_rest(txn *t)
{
    txn_rollback(t->temp);
    t->temp = NULL;
    while (t->own_count > 0)
        catalog_unref(t->own[--t->own_count].catalog); /* with the session's own objects: a read makes none */
    QASSERT(t->reads_unneeded && t->writes == NULL && t->taken_count == 0);
    kv_release(t->snap);
    catalog_unref(t->base);
    t->snap = NULL;
    t->base = t->catalog = NULL;
    t->statement = 0;
    t->now_us = 0;
}

quartet_status txn_begin_exclusive(db *d, txn **out, struct err *err)
{
    txn *t = NULL;
    quartet_status rc = txn_new(d, &t, err);
    if (rc != QUARTET_OK)
        return rc;
    t->now_us = (int64_t)d->env->ops->wall_us(d->env);
    pthread_mutex_lock(&d->commit_lock);
    t->base = t->catalog = catalog_ref(d->catalog);
    rc = kv_snapshot_latest(d->store, &t->snap, err);
    if (rc != QUARTET_OK) {
        pthread_mutex_unlock(&d->commit_lock);
        txn_free(t);
        return rc;
    }
    t->snap_at = d->applied_no;
    t->exclusive = true;
    *out = t;
    return QUARTET_OK;
}

void txn_rollback(txn *t)
{
    if (t == NULL)
        return;
    if (t->exclusive)
        pthread_mutex_unlock(&t->d->commit_lock);
    txn_free(t);
}

bool txn_has_writes(const txn *t)
{
    return t->spill != NULL || t->pouring != NULL || (t->writes != NULL && kv_own_entries(t->writes) > 0);
}

const struct catalog *txn_catalog(txn *t)
{
    return t->catalog;
}

db *txn_db(txn *t)
{
    return t->d;
}

void txn_set_sync(txn *t, enum log_sync_mode mode)
{
    t->sync = mode;
}

void txn_set_request(txn *t, const struct delta_request *request)
{
    t->request = *request;
}

/* What is on its way to disk is there. */
static quartet_status pour_end(txn *t, struct err *err)
{
    if (t->pouring == NULL)
        return QUARTET_OK;
    struct kv_run_place place = db_run_place(t->d);
    place.memory_bytes = 0;
    kv_run_page_rest(&t->page); /* runs may go */
    kv_snap_rest(t->snap);
    quartet_status rc = t->spilling != NULL ? kv_spill_end(t->spilling, &t->spill, err) : kv_spill_add(&t->spill, &place, t->pouring, err);
    t->spilling = NULL;
    if (rc != QUARTET_OK)
        return rc;
    kv_own_clear(t->pouring);
    if (t->spare_writes != NULL)
        kv_own_free(t->pouring);
    else
        t->spare_writes = t->pouring;
    t->pouring = NULL;
    return QUARTET_OK;
}

quartet_status txn_overlay(txn *t, apply_no through, struct kv_overlay *out, struct err *err)
{
    quartet_status rc = pour_end(t, err);
    *out = (struct kv_overlay){.own = t->writes, .through = through, .spill = t->spill};
    return rc;
}

/* The transaction's own writes go to disk: up to where are keys to be looked for there? */
static void note_poured(txn *t, const kv_own *own)
{
    tree_id tree;
    uint64_t digest;
    for (uint32_t i = 0; kv_own_tree(own, i, &tree, &digest) && t->poured_count <= TXN_POURED_TREES; i++) {
        uint32_t k = 0;
        while (k < t->poured_count && t->poured[k].tree != tree)
            k++;
        if (k == t->poured_count) {
            t->poured_count++;
            if (k == TXN_POURED_TREES)
                return;
            t->poured[k] = (struct poured_tree){.tree = tree};
        }
        t->poured[k].digest = digest > t->poured[k].digest ? digest : t->poured[k].digest;
    }
}

/* Nothing with this key can have gone to disk: rows that are loaded in order are looked for nowhere. */
static bool poured_below(const txn *t, tree_id tree, struct slice key)
{
    if (t->poured_count > TXN_POURED_TREES)
        return false;
    for (uint32_t i = 0; i < t->poured_count; i++)
        if (t->poured[i].tree == tree)
            return kv_digest_of(key) > t->poured[i].digest;
    return true;
}

/* Own writes in memory become a sorted run on disk, while the transaction goes on with an empty map. Scans that are under way hold what they read, and search in it as
 * nobody else may meanwhile: then it is done at once. */
static quartet_status spill(txn *t, struct err *err)
{
    struct kv_run_place place = db_run_place(t->d);
    quartet_status rc = pour_end(t, err);
    if (rc != QUARTET_OK)
        return rc;
    kv_own *fresh = t->spare_writes != NULL ? t->spare_writes : kv_own_new();
    t->spare_writes = NULL;
    if (fresh == NULL)
        return err_nomem(err);
    kv_run_page_rest(&t->page);
    kv_snap_rest(t->snap);
    place.memory_bytes = 0;
    note_poured(t, t->writes); /* where it does not go after all, this is too careful, not wrong */
    bool alone = t->d->env->threads && place.dir != NULL && !kv_own_shared(t->writes);
    if (alone && kv_spill_begin(t->spill, &place, t->writes, &t->spilling, err) == QUARTET_OK) {
        t->pouring = t->writes;
        t->writes = fresh;
        return QUARTET_OK;
    }
    err_clear(err); /* without a thread, then */
    rc = kv_spill_add(&t->spill, &place, t->writes, err);
    if (rc != QUARTET_OK) {
        t->spare_writes = fresh;
        return rc;
    }
    kv_own_free(t->writes);
    t->writes = fresh;
    return QUARTET_OK;
}

quartet_status txn_writable(txn *t, struct err *err)
{
    if (t->writes == NULL) {
        t->writes = t->spare_writes != NULL ? t->spare_writes : kv_own_new();
        t->spare_writes = NULL;
    }
    if (t->writes == NULL)
        return err_nomem(err);
    return kv_own_bytes(t->writes) > db_large_bytes(t->d) ? spill(t, err) : QUARTET_OK;
}

/* Both number their statements alike, so that undoing one undoes it in both. */
static void temp_follows(txn *t)
{
    if (t->temp == NULL)
        return;
    t->temp->statement = t->statement;
    t->temp->outermost = t->outermost;
    t->temp->reads_through = t->reads_through;
}

quartet_status txn_statement_begin(txn *t, struct err *err)
{
    (void)err; /* part of the interface: a later version may have to allocate */
    t->reads_through = t->statement++;
    t->outermost = t->statement;
    temp_follows(t);
    return QUARTET_OK;
}

quartet_status txn_nested_begin(txn *t, struct txn_nested *saved, struct err *err)
{
    *saved = (struct txn_nested){.reads_through = t->reads_through};
    t->nested++;
    t->reads_through = t->statement++;
    temp_follows(t);
    if (t->nested > TXN_NESTED_MAX)
        return err_set(err, QUARTET_LIMIT, "triggers and foreign keys set each other off more than %u deep", TXN_NESTED_MAX);
    return QUARTET_OK;
}

void txn_nested_end(txn *t, const struct txn_nested *saved)
{
    QASSERT(t->nested > 0);
    t->nested--;
    t->reads_through = saved->reads_through;
    temp_follows(t);
}

static void forget_after(txn *t, apply_no keep)
{
    struct err err = ERR_INIT; /* a failure is told by the next that needs it on disk, which tries again */
    if (pour_end(t, &err) != QUARTET_OK)
        kv_own_rollback(t->pouring, keep);
    if (t->writes != NULL)
        kv_own_rollback(t->writes, keep);
    kv_spill_rollback(t->spill, keep);
    while (t->own_count > 0 && t->own[t->own_count - 1].statement > keep)
        catalog_unref(t->own[--t->own_count].catalog);
    t->catalog = t->own_count > 0 ? t->own[t->own_count - 1].catalog : t->base;
    for (uint32_t i = 0; i < t->taken_count; i++)
        if (t->taken[i].statement > keep)
            t->taken[i].next = 0;
    if (t->temp != NULL)
        forget_after(t->temp, keep);
}

void txn_statement_rollback(txn *t)
{
    QASSERT(t->statement > 0 && t->nested == 0);
    forget_after(t, t->outermost - 1);
}

txn_mark txn_savepoint(txn *t)
{
    return t->statement;
}

void txn_rollback_to(txn *t, txn_mark mark)
{
    QASSERT(mark <= t->statement);
    if (!plant_is(PLANT_SAVEPOINT_KEEPS))
        forget_after(t, mark);
}

int64_t txn_now_us(txn *t)
{
    if (t->now_us == 0) /* a lone read: its one statement has just begun, and most never ask */
        t->now_us = (int64_t)t->d->env->ops->wall_us(t->d->env);
    return t->now_us;
}

void txn_replay_inputs(txn *t, int64_t now_us, struct buf *randoms)
{
    t->now_us = now_us;
    t->randoms = randoms;
    t->random_at = 0;
}

quartet_status txn_random(txn *t, void *p, size_t n, struct err *err)
{
    if (t->randoms == NULL)
        return t->d->env->ops->random(t->d->env, p, n, err);
    if (t->randoms->len - t->random_at < n) {
        t->randoms->len = t->random_at; /* a rest too short for this draw is drawn anew */
        uint8_t *room = buf_reserve(t->randoms, n);
        quartet_status rc = room != NULL ? t->d->env->ops->random(t->d->env, room, n, err) : err_nomem(err);
        if (rc != QUARTET_OK)
            return rc;
        t->randoms->len += n;
    }
    memcpy(p, t->randoms->data + t->random_at, n);
    t->random_at += n;
    return QUARTET_OK;
}

/* Too many ranges: remember each tree as a whole. */
static void reads_collapse(txn *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->read_count; i++) {
        uint32_t k = 0;
        while (k < n && t->reads[k].tree != t->reads[i].tree)
            k++;
        if (k == n)
            t->reads[n++] = (struct read_range){.tree = t->reads[i].tree, .hi_open = true};
    }
    t->read_count = n;
    t->reads_whole = true;
    buf_deinit(&t->read_bytes);
}

static bool reads_hold_whole(const txn *t, tree_id tree)
{
    for (uint32_t i = 0; t->reads_whole && i < t->read_count; i++)
        if (t->reads[i].tree == tree)
            return true;
    return false;
}

static bool reads_hold(const txn *t, tree_id tree, const struct kv_range *r)
{
    if (t->reads_whole)
        return reads_hold_whole(t, tree);
    uint32_t from = t->read_count > 4 ? t->read_count - 4 : 0; /* the last ones: loops repeat themselves */
    for (uint32_t i = from; i < t->read_count; i++) {
        const struct read_range *x = &t->reads[i];
        const uint8_t *base = t->read_bytes.data;
        if (x->tree != tree || (r->hi_open && !x->hi_open))
            continue;
        if (slice_cmp(slice_of(base + x->lo, x->lo_n), r->lo) <= 0 &&
            (x->hi_open || slice_cmp(r->hi, slice_of(base + x->hi, x->hi_n)) <= 0))
            return true;
    }
    return false;
}

quartet_status txn_note_range(txn *t, tree_id tree, const struct kv_range *r, struct err *err)
{
    if (t->exclusive || t->reads_unneeded || reads_hold(t, tree, r))
        return QUARTET_OK;
    if (!t->reads_whole && (t->read_count >= TXN_READS_MAX || t->read_bytes.len > TXN_READ_BYTES_MAX)) {
        reads_collapse(t);
        if (reads_hold(t, tree, r))
            return QUARTET_OK;
    }
    if (t->read_count == t->read_cap) {
        uint32_t cap = t->read_cap == 0 ? 8 : t->read_cap * 2;
        struct read_range *grown = mem_realloc(t->reads, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        t->reads = grown;
        t->read_cap = cap;
    }
    struct read_range x = {.tree = tree, .hi_open = true};
    if (!t->reads_whole) {
        x.lo = t->read_bytes.len;
        x.lo_n = r->lo.n;
        buf_put(&t->read_bytes, r->lo.p, r->lo.n);
        x.hi_open = r->hi_open;
        x.hi = t->read_bytes.len;
        x.hi_n = r->hi_open ? 0 : r->hi.n;
        buf_put(&t->read_bytes, r->hi.p, x.hi_n);
        if (t->read_bytes.failed)
            return err_nomem(err);
    }
    t->reads[t->read_count++] = x;
    return QUARTET_OK;
}

quartet_status txn_note_point(txn *t, tree_id tree, struct slice key, struct err *err)
{
    if (t->exclusive || t->reads_unneeded || reads_hold_whole(t, tree))
        return QUARTET_OK;
    uint8_t hi[KEY_BYTES_MAX + 1];
    QASSERT(key.n <= KEY_BYTES_MAX);
    if (key.n > 0)
        memcpy(hi, key.p, key.n);
    hi[key.n] = 0; /* the next key there can be */
    return txn_note_range(t, tree, &(struct kv_range){.lo = key, .hi = slice_of(hi, key.n + 1)}, err);
}

quartet_status txn_own_catalog(txn *t, apply_no statement, struct catalog *fresh, struct err *err)
{
    if (t->own_count == t->own_cap) {
        uint32_t cap = t->own_cap == 0 ? 4 : t->own_cap * 2;
        struct own_catalog *grown = mem_realloc(t->own, cap, sizeof *grown);
        if (grown == NULL) {
            catalog_unref(fresh);
            return err_nomem(err);
        }
        t->own = grown;
        t->own_cap = cap;
    }
    t->own[t->own_count++] = (struct own_catalog){.statement = statement, .catalog = fresh};
    t->catalog = fresh;
    return QUARTET_OK;
}

quartet_status txn_catalog_refresh(txn *t, struct err *err)
{
    struct kv_overlay over;
    struct catalog_source src = {.snap = t->snap, .over = &over, .pending = true, .old = t->catalog, .temporary = t->d->temporary};
    struct catalog *fresh;
    quartet_status rc = txn_overlay(t, t->statement, &over, err);
    if (rc == QUARTET_OK)
        rc = catalog_read(&src, atomic_fetch_add(&t->d->catalog_versions, 1), &fresh, err);
    if (rc != QUARTET_OK)
        return rc;
    if (t->temp != NULL)
        fresh->temp = catalog_ref(t->temp->catalog);
    return txn_own_catalog(t, t->statement, fresh, err);
}

bool pending_read(struct slice record, struct pending *out)
{
    struct record_view view;
    if (!record_view(record, &view) || (view.flags & RECORD_SIMPLE) != 0)
        return false;
    struct bytes_in in = bytes_in(view.meta.p, view.meta.n);
    *out = (struct pending){.flags = bytes_u8(&in), .live = (view.flags & RECORD_LIVE) != 0, .value_count = view.value_count, .values = view.values};
    if (out->flags == 0 && out->live) {
        size_t n = (view.value_count + 7u) / 8u; /* not of the table's columns: this transaction may have added one since */
        const uint8_t *p = bytes_take(&in, n);
        out->bitmap = slice_of(p, p == NULL ? 0 : n);
    }
    out->items = in;
    return !in.bad;
}

quartet_status txn_own_row(txn *t, tree_id tree, struct slice key, apply_no through, struct slice *out, bool *own, struct err *err)
{
    apply_no version;
    quartet_status rc = QUARTET_OK;
    struct kv_run_probe probe = {0};
    bool poured = (t->pouring != NULL || t->spill != NULL) && !poured_below(t, tree, key);
    if (poured && t->pouring != NULL)
        kv_own_ahead(t->pouring, tree, key);
    if (poured && t->spill != NULL) {
        probe = kv_run_probe_of(tree, key);
        kv_spill_ahead(t->spill, &probe);
    }
    *own = t->writes != NULL && kv_own_get(t->writes, tree, key, through, out, &version);
    bool here = *own;
    if (!*own && poured && t->pouring != NULL)
        *own = kv_own_peek(t->pouring, tree, key, through, out, &version);
    if (!*own && poured && t->spill != NULL)
        rc = kv_spill_get(t->spill, &t->page, &probe, through, out, &version, own, err);
    if (rc != QUARTET_OK)
        return rc;
    if (*own && !here && out->p != NULL) { /* the map goes when it is on disk, the page may go with the next look */
        buf_clear(&t->record);
        buf_put(&t->record, out->p, out->n);
        *out = slice_of(t->record.data, t->record.len);
    }
    return *own ? buf_check(&t->record, err) : QUARTET_OK;
}

quartet_status txn_row(txn *t, tree_id tree, struct slice key, apply_no through, struct slice *out, bool *own, bool *found, struct err *err)
{
    *found = false;
    quartet_status rc = txn_own_row(t, tree, key, through, out, own, err);
    if (rc != QUARTET_OK || *own) {
        *found = rc == QUARTET_OK && out->p != NULL;
        return rc;
    }
    if (kv_top_above(&t->top, tree, key))
        return QUARTET_OK;
    buf_clear(&t->record);
    rc = kv_get(t->snap, NULL, tree, key, &t->record, err);
    if (rc == QUARTET_OK) {
        *found = true;
        *out = slice_of(t->record.data, t->record.len);
        return rc;
    }
    if (rc != QUARTET_NOTFOUND)
        return rc;
    return kv_top_missed(&t->top, t->snap, tree, err);
}
