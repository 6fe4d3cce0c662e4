/* db_mark.c - the tables' hashes as of a stamp, beside writers.
 * Why: two nodes can only be compared where they know the same transactions, and under load they never do at any one moment. They do know the same ones up to a stamp, once
 *   both have all that was stamped up to it; and history tells what a row was as of a stamp.
 * How: the live hash of a table, less that of each row written with a greater stamp as it is now, plus that of the same row as of the stamp. Rows so written are few, since
 *   only a second or two lie between begin and take; only their keys are kept, by apply.
 * Of which tables nothing is told: the system's, whose rows have no history, where any of their rows was so written; users' where history does not go back to the stamp.
 * Not here: who compares with whom (node_alarm.c). */
#include "db_mark.h"

#include <stdlib.h>
#include <string.h>

#include "apply_internal.h"
#include "base/mem.h"
#include "catalog_build.h"
#include "history.h"

struct marked { /* a table */
    tree_id id;
    struct state_hash hash;
    bool untold;
};
struct db_mark {
    hlc_stamp stamp;
    struct catalog *catalog; /* owned */
    struct chain_table chains;
    kv_snap *snap;
    struct buf vector, touched, record, hashed;
    struct arena arena;
    struct marked *tables; /* by id */
    uint32_t count;
    const uint8_t **rows; /* what `touched` holds, in the order of tables and keys */
    size_t row_count, at;
    tree_id past_of; /* whose past is open */
    struct history_reader past;
    bool history; /* goes back to the stamp */
    bool whole;   /* done: no table was left out */
};

/* ---- what apply keeps: u64 table, u32 length, key ---- */

void mark_touch(db *d, tree_id table, struct slice key)
{
    struct db_marking *m = &d->marking;
    if (m->touched.len + 12 + key.n > DB_MARK_TOUCHED_BYTES_MAX) {
        m->spoilt = true;
        return;
    }
    buf_u64(&m->touched, table);
    buf_u32(&m->touched, (uint32_t)key.n);
    buf_put(&m->touched, key.p, key.n);
    m->spoilt = m->spoilt || m->touched.failed || table == SYS_OBJECTS || table == SYS_COLUMNS;
}

static void end_marking(db *d)
{
    buf_deinit(&d->marking.touched);
    d->marking = (struct db_marking){0};
}

bool db_mark_begin(db *d, hlc_stamp stamp)
{
    bool early = true;
    pthread_mutex_lock(&d->commit_lock);
    for (uint32_t i = 0; i < d->applied.count; i++)
        early = early && d->applied.e[i].stamp <= stamp;
    early = early && !d->marking.on && !d->sealed;
    if (early)
        d->marking = (struct db_marking){.on = true, .stamp = stamp};
    pthread_mutex_unlock(&d->commit_lock);
    return early;
}

void db_mark_drop(db *d)
{
    pthread_mutex_lock(&d->commit_lock);
    end_marking(d);
    pthread_mutex_unlock(&d->commit_lock);
}

/* ---- taking ---- */

static int by_id(const void *a, const void *b)
{
    tree_id x = ((const struct marked *)a)->id, y = ((const struct marked *)b)->id;
    return x < y ? -1 : x > y;
}

/* All that are there, also those that never had a row here: another node may have some. Not the dropped ones: what is left of these goes when each node likes. */
static quartet_status copy_tables(db_mark *m, db *d, struct err *err)
{
    const struct table_def *t;
    uint32_t n = 0;
    while (catalog_at_id(d->catalog, n) != NULL)
        n++;
    m->tables = mem_zalloc(n + 1, sizeof *m->tables);
    if (m->tables == NULL)
        return err_nomem(err);
    for (uint32_t i = 0; (t = catalog_at_id(d->catalog, i)) != NULL; i++) {
        const struct table_state *s = t->dropped ? NULL : db_table(d, t->id, err);
        if (s == NULL && !t->dropped)
            return QUARTET_NOMEM;
        if (s != NULL)
            m->tables[m->count++] = (struct marked){.id = t->id, .hash = s->hash};
    }
    return QUARTET_OK;
}

static quartet_status copy_chains(db_mark *m, const db *d, struct err *err)
{
    return chain_table_follow(&m->chains, &d->chains, err);
}

static int by_row(const void *a, const void *b)
{
    const uint8_t *x = *(const uint8_t *const *)a, *y = *(const uint8_t *const *)b;
    uint64_t s = load_le64(x), t = load_le64(y);
    if (s != t)
        return s < t ? -1 : 1;
    return slice_cmp(slice_of(x + 12, load_le32(x + 8)), slice_of(y + 12, load_le32(y + 8)));
}

/* Each row once, in order: so that its neighbours' blocks are at hand. */
static quartet_status sort_rows(db_mark *m, struct err *err)
{
    size_t n = 0;
    for (size_t at = 0; at < m->touched.len; at += 12u + load_le32(m->touched.data + at + 8))
        n++;
    m->rows = mem_zalloc(n + 1, sizeof *m->rows);
    if (m->rows == NULL)
        return err_nomem(err);
    n = 0;
    for (size_t at = 0; at < m->touched.len; at += 12u + load_le32(m->touched.data + at + 8))
        m->rows[n++] = m->touched.data + at;
    qsort(m->rows, n, sizeof *m->rows, by_row);
    for (size_t i = 0; i < n; i++)
        if (m->row_count == 0 || by_row(&m->rows[m->row_count - 1], &m->rows[i]) != 0)
            m->rows[m->row_count++] = m->rows[i];
    return QUARTET_OK;
}

static quartet_status take_locked(db_mark *m, db *d, struct err *err)
{
    struct db_marking *k = &d->marking;
    struct err no_history = ERR_INIT;
    if (!k->on || k->spoilt || d->sealed || d->catalog == NULL)
        return err_set(err, QUARTET_NOTFOUND, "the hashes as of that stamp cannot be told");
    m->stamp = k->stamp;
    m->touched = k->touched;
    k->touched = (struct buf){0};
    m->history = db_history_check(d, m->stamp, &no_history) == QUARTET_OK;
    m->catalog = catalog_ref(d->catalog);
    vv_encode(&m->vector, &d->applied, &d->chains);
    quartet_status rc = buf_check(&m->vector, err);
    if (rc == QUARTET_OK)
        rc = copy_tables(m, d, err);
    if (rc == QUARTET_OK)
        rc = copy_chains(m, d, err);
    if (rc == QUARTET_OK)
        rc = kv_snapshot_latest(d->store, &m->snap, err);
    return rc;
}

quartet_status db_mark_take(db *d, db_mark **out, struct err *err)
{
    db_mark *m = mem_zalloc(1, sizeof *m);
    if (m == NULL) {
        db_mark_drop(d);
        return err_nomem(err);
    }
    pthread_mutex_lock(&d->commit_lock);
    quartet_status rc = take_locked(m, d, err);
    end_marking(d);
    pthread_mutex_unlock(&d->commit_lock);
    if (rc == QUARTET_OK)
        rc = sort_rows(m, err);
    if (rc != QUARTET_OK) {
        db_mark_free(m);
        return rc;
    }
    *out = m;
    return QUARTET_OK;
}

void db_mark_free(db_mark *m)
{
    if (m == NULL)
        return;
    kv_past_close(m->past.past);
    kv_release(m->snap);
    catalog_unref(m->catalog);
    chain_table_deinit(&m->chains);
    arena_free_all(&m->arena);
    buf_deinit(&m->vector);
    buf_deinit(&m->touched);
    buf_deinit(&m->record);
    buf_deinit(&m->hashed);
    mem_free(m->tables);
    mem_free(m->rows);
    mem_free(m);
}

/* ---- working it out ---- */

static struct marked *find(db_mark *m, tree_id id)
{
    struct marked key = {.id = id};
    return bsearch(&key, m->tables, m->count, sizeof *m->tables, by_id);
}

static quartet_status open_past(db_mark *m, const struct table_def *t, struct err *err)
{
    if (m->past_of == t->id && m->past.past != NULL)
        return QUARTET_OK;
    kv_past_close(m->past.past);
    m->past = (struct history_reader){.table = t, .chains = &m->chains, .as_of = m->stamp};
    m->past_of = t->id;
    return kv_past_open(m->snap, t->id, &m->past.past, err);
}

static quartet_status one_row(db_mark *m, struct marked *x, const struct table_def *t, struct slice key, struct err *err)
{
    struct row now = {0}, then = {0};
    buf_clear(&m->record);
    arena_rewind(&m->arena, (struct arena_mark){0});
    quartet_status rc = kv_get(m->snap, NULL, t->id, key, &m->record, err);
    if (rc == QUARTET_NOTFOUND) { /* it was purged, or its operation named nothing that is here */
        err_clear(err);
        return QUARTET_OK;
    }
    struct slice record = slice_of(m->record.data, m->record.len);
    if (rc == QUARTET_OK)
        rc = row_decode(record, &t->rows, &m->arena, &now, err);
    if (rc == QUARTET_OK)
        rc = open_past(m, t, err);
    if (rc != QUARTET_OK)
        return rc;
    state_hash_sub(&x->hash, row_hash(&now, &t->rows, t->record_ids, t->id, key, &m->chains, &m->hashed));
    rc = history_row(&m->past, key, record, &m->arena, &then, err);
    if (rc != QUARTET_OK)
        return rc;
    state_hash_add(&x->hash, row_hash(&then, &t->rows, t->record_ids, t->id, key, &m->chains, &m->hashed));
    return buf_check(&m->hashed, err);
}

static void drop_untold(db_mark *m)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->count; i++)
        if (!m->tables[i].untold)
            m->tables[kept++] = m->tables[i];
    m->whole = kept == m->count;
    m->count = kept;
}

bool db_mark_whole(const db_mark *m)
{
    return m->whole;
}

quartet_status db_mark_step(db_mark *m, uint32_t rows, bool *done, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < rows && m->at < m->row_count && rc == QUARTET_OK; i++) {
        const uint8_t *r = m->rows[m->at++];
        struct marked *x = find(m, load_le64(r));
        const struct table_def *t = x == NULL ? NULL : catalog_table_by_id(m->catalog, x->id);
        if (t == NULL || x->untold)
            continue;
        x->untold = x->id < KV_USER_TREES || !m->history;
        if (!x->untold)
            rc = one_row(m, x, t, slice_of(r + 12, load_le32(r + 8)), err);
    }
    *done = rc == QUARTET_OK && m->at == m->row_count;
    if (*done)
        drop_untold(m);
    return rc;
}

hlc_stamp db_mark_stamp(const db_mark *m)
{
    return m->stamp;
}

struct slice db_mark_vector(const db_mark *m)
{
    return slice_of(m->vector.data, m->vector.len);
}

bool db_mark_table(const db_mark *m, uint32_t i, uint64_t *table, struct state_hash *hash)
{
    if (i >= m->count)
        return false;
    *table = m->tables[i].id;
    *hash = m->tables[i].hash;
    return true;
}
