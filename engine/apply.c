/* apply.c - merging a transaction into the store: rows, index entries, hashes and catalog in one atomic step.
 * Why one function for local and remote deltas, recovery included: a second way in would be a second semantics. What a delta does is decided by its bytes
 *   and the rows alone, never by who asks.
 * Invariants: all or nothing; the hash of a table is always that of the rows applied; an index holds exactly the entries of its live rows.
 * System rows come first in every delta (their trees are the lowest), so the catalog is made anew before the rows of a table that the same delta created.
 * Not here: whether a delta may be applied already (db_replicate.c), entries of indexes (apply_index.c). */
#include "apply.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/plant.h"
#include "history.h"
#include "kv_top.h"

#define APPLY_KEPT_BYTES (64u << 10) /* of each buffer that an apply leaves to the next */
#define APPLY_KEPT_COUNT 256u

struct hash_change {
    struct table_state *state;
    struct state_hash add, sub;
    bool reset;
};
struct applying {
    db *d;
    struct apply_in in;
    bool prepared;
    struct row_writer writer;
    struct apply_ops ops;
    kv_snap *snap;
    struct catalog *fresh;       /* made on the way; NULL: d->catalog is still right */
    const struct catalog *catalog;
    kv_own *system;              /* merged system rows, laid over the snapshot; NULL: none touched */
    struct hash_change *changes;
    size_t change_count, change_cap, at_table; /* at_table: of the present table */
    const struct table_def *t;
    uint32_t *map;               /* the delta's column -> record column; NULL: the same */
    bool plain;                  /* the table is the user's, its columns' ids ascend, none is a COUNTER: row_hash_plain */
    uint32_t *ends;              /* plain: room for apply_values.ends */
    struct kv_top top;           /* as of snap */
    tree_id last_tree;
    struct arena tables, row;    /* per delta; per row */
    struct buf old, record, hashed, entry, encoded;
    hlc_stamp newest;            /* of all that was applied before: what is stamped later is late for no row */
    bool settings;               /* one was changed */
    hlc_stamp past_from;         /* older history is not written */
    struct buf past, scratch;
    kv_past *past_reader;        /* of past_table; NULL: none */
    tree_id past_table;
    struct value *old_values, *values;
    uint64_t rows;
    struct table_state *last_state; /* looked up last, maybe by an earlier apply */
    struct err *err;
};

static quartet_status misfit(struct applying *a, const char *what)
{
    return err_set(a->err, QUARTET_CORRUPT, "delta %llu: %s (table %s)", (unsigned long long)a->in.number, what,
                   a->t != NULL ? a->t->name : "unknown");
}

/* ---- the system tables ---- */

static quartet_status system_put(struct applying *a, tree_id tree, struct slice key, struct slice record)
{
    if (a->system == NULL)
        a->system = kv_own_new();
    if (a->system == NULL)
        return err_nomem(a->err);
    return kv_own_put(a->system, tree, key, 1, record, a->err);
}

static quartet_status system_put_op(struct applying *a, tree_id tree, struct slice key, const struct value *values, uint32_t n)
{
    buf_clear(&a->record);
    record_put_simple(&a->record, a->writer.ver, values, n);
    if (a->record.failed)
        return err_nomem(a->err);
    struct slice record = slice_of(a->record.data, a->record.len);
    quartet_status rc = system_put(a, tree, key, record);
    return rc == QUARTET_OK ? ops_put_copy(&a->ops, tree, key, record, a->err) : rc;
}

/* A column that this node did not know takes the next place in the records of its table. */
static quartet_status place_column(struct applying *a, struct slice key)
{
    struct kv_overlay over = {.own = a->system, .through = 1};
    struct kv_want want = {.keys = true};
    struct buf hi = {0};
    kv_iter *it = NULL;
    int64_t count = 0;
    bool known = false;
    struct bytes_in in = bytes_in(key.p, key.n);
    const struct table_def *columns = catalog_table_by_id(a->catalog, SYS_COLUMNS);
    if (!key_skip(&in, &columns->keys[0]))
        return misfit(a, "a key");
    struct bytes_in rest = in;
    struct value id;
    if (!key_get(&rest, &columns->keys[1], &id, &a->row))
        return misfit(a, "a key");
    if (id.i >= CATALOG_OVERRIDE)
        return QUARTET_OK; /* no column of its own */
    struct kv_range range = {.lo = slice_of(key.p, key.n - in.left)};
    buf_put(&hi, range.lo.p, range.lo.n);
    range.hi_open = !key_prefix_end(&hi);
    range.hi = slice_of(hi.data, hi.len);
    quartet_status rc = hi.failed ? err_nomem(a->err) : kv_iter_open(a->snap, &over, SYS_COLUMN_ORDER, &range, &want, &it, a->err);
    while (rc == QUARTET_OK) {
        struct kv_rows rows;
        rc = kv_iter_next(it, 0, &rows, a->err);
        if (rc != QUARTET_OK || rows.n == 0)
            break;
        count += rows.n;
        for (uint32_t i = 0; i < rows.n; i++)
            known |= slice_eq(rows.keys[i], key);
    }
    kv_iter_close(it);
    buf_deinit(&hi);
    if (rc != QUARTET_OK || known)
        return rc;
    struct value position = value_int(count);
    return system_put_op(a, SYS_COLUMN_ORDER, key, &position, 1);
}

/* After a system row changed. In a cluster the definition of a dropped table is kept, since writes to it may still be under way. */
static quartet_status system_changed(struct applying *a, struct slice key, struct slice record, bool was_live, bool live)
{
    quartet_status rc = system_put(a, a->t->id, key, record);
    a->settings = a->settings || a->t->id == SYS_SETTINGS;
    if (rc == QUARTET_OK && a->t->id == SYS_COLUMNS && live)
        rc = place_column(a, key);
    if (rc == QUARTET_OK && a->t->id == SYS_OBJECTS && was_live && !live && a->d->identity.member) {
        struct value v[OBJ_COLUMNS];
        for (uint32_t i = 0; i < a->t->rows.count; i++)
            v[i] = a->old_values[a->t->record_columns[i]];
        rc = system_put_op(a, SYS_GRAVES, key, v, a->t->rows.count);
    }
    return rc;
}

static struct hash_change *change_of(struct applying *a, tree_id id);

/* All system rows of the delta are merged: what do they make of the schema? */
static quartet_status renew_catalog(struct applying *a)
{
    if (a->system == NULL || a->fresh != NULL)
        return QUARTET_OK;
    db *d = a->d;
    struct kv_overlay over = {.own = a->system, .through = 1};
    struct catalog_source src = {.snap = a->snap, .over = &over, .chains = &d->chains, .old = d->catalog};
    quartet_status rc = catalog_read(&src, atomic_fetch_add(&d->catalog_versions, 1), &a->fresh, a->err);
    if (rc != QUARTET_OK)
        return rc;
    rc = apply_catalog_change(&a->ops, a->snap, d->catalog, a->fresh, !d->identity.member, a->err);
    const struct table_def *t;
    for (uint32_t i = 0; rc == QUARTET_OK && !d->identity.member && (t = catalog_at_id(d->catalog, i)) != NULL; i++)
        if (catalog_table_by_id(a->fresh, t->id) == NULL) { /* its rows are gone */
            struct hash_change *c = change_of(a, t->id);
            if (c == NULL)
                return QUARTET_NOMEM;
            c->reset = true;
        }
    a->catalog = a->fresh;
    return rc;
}

/* ---- rows ---- */

static struct hash_change *change_of(struct applying *a, tree_id id)
{
    for (size_t i = 0; i < a->change_count; i++)
        if (a->changes[i].state->id == id)
            return &a->changes[i];
    if (a->change_count == a->change_cap) {
        size_t cap = a->change_cap == 0 ? 8 : a->change_cap * 2;
        struct hash_change *grown = mem_realloc(a->changes, cap, sizeof *grown);
        if (grown == NULL) {
            (void)err_nomem(a->err); /* the caller returns it */
            return NULL;
        }
        a->changes = grown;
        a->change_cap = cap;
    }
    struct table_state *s = a->last_state != NULL && a->last_state->id == id ? a->last_state : db_table(a->d, id, a->err);
    if (s == NULL)
        return NULL;
    a->last_state = s; /* states stay where they are */
    a->changes[a->change_count] = (struct hash_change){.state = s};
    return &a->changes[a->change_count++];
}

static bool table_plain(const struct table_def *t)
{
    for (uint32_t i = 0; i < t->rows.count; i++)
        if (t->rows.columns[i].kind != ROW_LWW || (i > 0 && t->record_ids[i] <= t->record_ids[i - 1]))
            return false;
    return t->id >= SYS_TREES_END;
}

static quartet_status begin_table(struct applying *a, uint64_t table_id, const uint32_t *column_ids, uint32_t column_count)
{
    if (table_id < a->last_tree)
        return err_set(a->err, QUARTET_CORRUPT, "delta %llu: tables out of order", (unsigned long long)a->in.number);
    a->last_tree = table_id;
    if (table_id >= SYS_TREES_END) {
        quartet_status rc = renew_catalog(a);
        if (rc != QUARTET_OK)
            return rc;
    } else if (table_id != SYS_OBJECTS && table_id != SYS_COLUMNS && table_id != SYS_SETTINGS) {
        return err_set(a->err, QUARTET_CORRUPT, "delta %llu writes table %llu, which is not replicated", (unsigned long long)a->in.number,
                       (unsigned long long)table_id);
    }
    a->t = catalog_table_by_id(a->catalog, table_id);
    a->map = NULL;
    if (a->t == NULL) /* dropped and reclaimed meanwhile: only a replay sees this */
        return a->d->recovering ? QUARTET_OK : misfit(a, "a table that is not known");
    struct hash_change *c = change_of(a, a->t->id);
    if (c == NULL)
        return QUARTET_NOMEM;
    a->at_table = (size_t)(c - a->changes);
    const struct table_def *t = a->t;
    a->values = arena_zalloc(&a->tables, t->column_count, sizeof *a->values);
    a->old_values = arena_zalloc(&a->tables, t->column_count, sizeof *a->old_values);
    a->plain = table_plain(t);
    a->ends = arena_alloc(&a->tables, (t->rows.count + 1u) * sizeof *a->ends);
    if (a->values == NULL || a->old_values == NULL || a->ends == NULL)
        return arena_fail(&a->tables, a->err);
    if (column_count <= t->rows.count && memcmp(column_ids, t->record_ids, column_count * sizeof *column_ids) == 0)
        return QUARTET_OK;
    a->map = arena_zalloc(&a->tables, column_count + 1u, sizeof *a->map);
    if (a->map == NULL)
        return arena_fail(&a->tables, a->err);
    for (uint32_t i = 0; i < column_count; i++) {
        uint32_t k = 0;
        while (k < t->rows.count && t->record_ids[k] != column_ids[i])
            k++;
        if (k == t->rows.count)
            return misfit(a, "a column that is not known");
        a->map[i] = k;
    }
    return QUARTET_OK;
}

/* What a member sends must fit the schema before any code relies on it. */
static quartet_status check_fit(struct applying *a, struct slice key, const struct row_op *op)
{
    const struct table_def *t = a->t;
    if (t->hidden_key ? key.n != HIDDEN_KEY_BYTES_DB : !key_check(key, t->keys, t->key_count, &a->row))
        return misfit(a, "a key that does not fit");
    for (uint32_t i = 0; i < op->write_count; i++) {
        const struct column_def *c = &t->columns[t->record_columns[op->writes[i].column]];
        const struct value *v = &op->writes[i].value;
        if (v->type == VALUE_NULL || c->type == VALUE_NULL)
            continue;
        if (c->kind == ROW_COUNTER) {
            if (v->type != VALUE_INTEGER && v->type != VALUE_DECIMAL)
                return misfit(a, "a counter's value that does not fit");
        } else if (v->type != c->type || (c->type == VALUE_DECIMAL && c->precision > 0 && v->scale != c->scale)) {
            return misfit(a, "a value that does not fit its column");
        }
    }
    return QUARTET_OK;
}

static quartet_status decode_key_into(struct applying *a, struct slice key, struct value *values)
{
    struct bytes_in in = bytes_in(key.p, key.n);
    for (uint32_t i = 0; i < a->t->key_count; i++)
        if (!key_get(&in, &a->t->keys[i], &values[a->t->key_columns[i]], &a->row))
            return misfit(a, "a damaged key");
    return QUARTET_OK;
}

static void count_hash(struct applying *a, const struct row *before, const struct row *after, struct slice key)
{
    const struct table_def *t = a->t;
    struct hash_change *c = &a->changes[a->at_table];
    if (before != NULL)
        state_hash_add(&c->sub, row_hash(before, &t->rows, t->record_ids, t->id, key, &a->d->chains, &a->hashed));
    if (after != NULL)
        state_hash_add(&c->add, row_hash(after, &t->rows, t->record_ids, t->id, key, &a->d->chains, &a->hashed));
}

/* An INSERT's record and index entries; `shown`: op's values as the row shows them. */
static quartet_status put_inserted(struct applying *a, struct slice key, const struct row_op *op, const struct value *shown)
{
    const struct table_def *t = a->t;
    struct slice record = slice_of(a->record.data, a->record.len);
    if (a->record.failed || a->hashed.failed)
        return err_nomem(a->err);
    if (t->id < SYS_TREES_END) {
        quartet_status rc = ops_put_copy(&a->ops, t->id, key, record, a->err);
        return rc == QUARTET_OK ? system_changed(a, key, record, false, true) : rc;
    }
    if (t->index_count > 0) {
        quartet_status rc = decode_key_into(a, key, a->values);
        for (uint32_t i = 0; i < t->rows.count; i++)
            a->values[t->record_columns[i]] = i >= op->write_count ? t->rows.columns[i].missing : shown != NULL ? shown[i] : op->writes[i].value;
        if (rc == QUARTET_OK)
            rc = apply_entries(&a->ops, t, key, NULL, a->values, &a->entry, a->err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return ops_put_copy(&a->ops, t->id, key, record, a->err);
}

/* The same without counters: what the values' bytes are is all there is to know. */
static quartet_status insert_plain(struct applying *a, struct slice key, const struct row_op *op, const struct apply_values *values)
{
    const struct table_def *t = a->t;
    struct apply_values own = {.ends = a->ends};
    if (values == NULL) {
        buf_clear(&a->encoded);
        for (uint32_t i = 0; i < op->write_count; i++) {
            value_encode(&a->encoded, &op->writes[i].value);
            a->ends[i] = (uint32_t)a->encoded.len;
        }
        if (a->encoded.failed)
            return err_nomem(a->err);
        own.bytes = a->encoded.data;
        values = &own;
    }
    struct row_plain row = {.ver = a->writer.ver, .values = values->bytes, .ends = values->ends, .count = op->write_count};
    struct record_view view = {.flags = RECORD_LIVE | RECORD_SIMPLE, .ver = row.ver, .value_count = row.count,
                               .values = slice_of(row.values, row.count > 0 ? row.ends[row.count - 1] : 0)};
    state_hash_add(&a->changes[a->at_table].add, row_hash_plain(&row, t->record_ids, t->id, key, &a->d->chains, &a->hashed));
    buf_clear(&a->record);
    record_put(&a->record, &view);
    return put_inserted(a, key, op, NULL);
}

/* An INSERT where nothing was: no need to take a row apart. */
static quartet_status insert_simple(struct applying *a, struct slice key, struct row_op *op)
{
    const struct table_def *t = a->t;
    uint32_t n = t->rows.count;
    struct row_cell *cells = arena_alloc(&a->row, (n + 1u) * sizeof *cells);
    struct row_part *parts = arena_alloc(&a->row, (n + 1u) * sizeof *parts);
    struct value *shown = arena_alloc(&a->row, (n + 1u) * sizeof *shown);
    if (cells == NULL || parts == NULL || shown == NULL)
        return arena_fail(&a->row, a->err);
    for (uint32_t i = 0; i < n; i++) {
        cells[i] = (struct row_cell){.value = VALUE_NULL_INIT};
        if (i >= op->write_count)
            continue;
        cells[i].ver = a->writer.ver;
        shown[i] = op->writes[i].value;
        if (t->rows.columns[i].kind != ROW_COUNTER) {
            cells[i].value = shown[i];
            continue;
        }
        __int128 sum = row_counter_number(&t->rows.columns[i], &shown[i]);
        shown[i] = row_counter_value(&t->rows.columns[i], sum);
        parts[i] = (struct row_part){.chain = a->writer.ver.chain, .last = a->writer.ver.stamp, .sum = dec_make(sum)};
        if (sum != 0) {
            cells[i].parts = &parts[i];
            cells[i].part_count = 1;
        }
    }
    struct row_life life = {.birth = a->writer.ver, .cells = cells};
    struct row row = {.lives = &life, .life_count = 1};
    count_hash(a, NULL, &row, key);
    buf_clear(&a->record);
    record_put_simple(&a->record, a->writer.ver, shown, op->write_count);
    return put_inserted(a, key, op, shown);
}

static quartet_status show(struct applying *a, const struct row *row, struct slice key, struct value *out)
{
    const struct table_def *t = a->t;
    struct value *shown = arena_zalloc(&a->row, t->rows.count + 1u, sizeof *shown);
    if (shown == NULL)
        return arena_fail(&a->row, a->err);
    row_show(row, &t->rows, &a->d->chains, shown);
    for (uint32_t i = 0; i < t->rows.count; i++)
        out[t->record_columns[i]] = shown[i];
    return decode_key_into(a, key, out);
}

/* ---- history: history.h tells what is written ---- */

/* The newest entry of this key; found only where some change advanced it before. */
static quartet_status newest_entry(struct applying *a, struct slice key, hlc_stamp *stamp, struct slice *entry, bool *found)
{
    quartet_status rc = QUARTET_OK;
    if (a->past_reader == NULL || a->past_table != a->t->id) {
        kv_past_close(a->past_reader);
        a->past_reader = NULL;
        a->past_table = a->t->id;
        rc = kv_past_open(a->snap, a->t->id, &a->past_reader, a->err);
    }
    if (rc == QUARTET_OK)
        rc = kv_past_seek(a->past_reader, key, 0, a->err);
    return rc == QUARTET_OK ? kv_past_next(a->past_reader, stamp, entry, found, a->err) : rc;
}

struct past_change { /* what merging an operation into a row means for its history */
    bool kept, late;
    struct history_saved saved;
    hlc_stamp at;       /* late: of the newest entry, which is to be made whole; 0: nothing is to be done */
};

/* Before the row is changed. Late operations are written down here, whether they will change anything or not. */
static quartet_status past_before(struct applying *a, const struct row *row, struct slice key, const struct row_op *op, struct past_change *c)
{
    hlc_stamp stamp = a->writer.ver.stamp, at = 0;
    struct slice entry;
    bool found = false;
    *c = (struct past_change){.kept = a->t->id >= SYS_TREES_END && stamp >= a->past_from && a->old.len > 0};
    if (!c->kept)
        return QUARTET_OK;
    quartet_status rc = QUARTET_OK;
    if (stamp <= a->newest) {
        rc = newest_entry(a, key, &at, &entry, &found);
        c->late = rc == QUARTET_OK && ((found && stamp <= at) || stamp <= history_newest(row, &a->t->rows));
    }
    if (rc == QUARTET_OK && c->late && found && !history_entry_is_whole(entry))
        c->at = at;
    if (rc != QUARTET_OK || !c->late)
        return rc == QUARTET_OK ? history_save(row, &a->t->rows, op, &a->row, &c->saved, a->err) : rc;
    buf_clear(&a->past);
    buf_clear(&a->entry);
    rc = history_late(row, op, &a->writer, &a->past, &a->scratch, a->err);
    kv_past_key(&a->entry, key, KV_PAST_LATE, stamp, a->writer.ver.chain);
    if (rc == QUARTET_OK && (a->past.failed || a->entry.failed))
        rc = err_nomem(a->err);
    return rc == QUARTET_OK ? ops_put_copy(&a->ops, kv_past_tree(a->t->id), slice_of(a->entry.data, a->entry.len), slice_of(a->past.data, a->past.len), a->err)
                            : rc;
}

/* A late operation changes the row under the newest entry: from now on that one tells by itself what the row was before it. */
static quartet_status make_whole(struct applying *a, struct slice key, struct buf *out)
{
    hlc_stamp at;
    struct slice entry;
    bool found;
    struct row was;
    struct buf record = {0};
    quartet_status rc = newest_entry(a, key, &at, &entry, &found);
    if (rc == QUARTET_OK)
        rc = row_decode(slice_of(a->old.data, a->old.len), &a->t->rows, &a->row, &was, a->err);
    if (rc == QUARTET_OK)
        rc = history_undo(&was, &a->t->rows, entry, &a->row, a->err);
    if (rc == QUARTET_OK)
        rc = row_encode(&was, &a->t->rows, &a->d->chains, &record, a->err);
    if (rc == QUARTET_OK)
        rc = history_entry_whole(slice_of(record.data, record.len), out, &a->scratch, a->err);
    buf_deinit(&record);
    return rc;
}

/* After it: the past that goes with the row's new record, into a->past; empty: none. */
static quartet_status past_after(struct applying *a, const struct row *now, struct slice key, struct past_change *c)
{
    hlc_stamp stamp = c->late ? c->at : a->writer.ver.stamp;
    buf_clear(&a->past);
    if (!c->kept || stamp == 0)
        return QUARTET_OK;
    buf_u64(&a->past, stamp); /* kv_past_put, in place */
    quartet_status rc = c->late ? make_whole(a, key, &a->past)
                                : history_entry(&c->saved, now, slice_of(a->old.data, a->old.len), &a->past, &a->scratch, a->err);
    return rc;
}

static quartet_status put_row(struct applying *a, const struct row *row, struct slice key, struct past_change *past)
{
    buf_clear(&a->record);
    quartet_status rc = row_encode(row, &a->t->rows, &a->d->chains, &a->record, a->err);
    if (rc == QUARTET_OK)
        rc = past_after(a, row, key, past);
    if (rc == QUARTET_OK && (a->record.failed || a->hashed.failed || a->past.failed))
        rc = err_nomem(a->err);
    return rc == QUARTET_OK ? ops_put_row(&a->ops, a->t->id, key, slice_of(a->record.data, a->record.len), slice_of(a->past.data, a->past.len), a->err) : rc;
}

static quartet_status merge_row(struct applying *a, struct slice key, struct row_op *op)
{
    const struct table_def *t = a->t;
    db *d = a->d;
    struct row row;
    struct past_change past;
    bool changed, shows = t->index_count > 0 || t->id < SYS_TREES_END;
    struct state_hash before = {0}, after;
    quartet_status rc = row_decode(slice_of(a->old.data, a->old.len), &t->rows, &a->row, &row, a->err);
    if (rc != QUARTET_OK)
        return rc;
    bool was_live = row_live(&row);
    if (was_live && shows)
        rc = show(a, &row, key, a->old_values);
    if (rc == QUARTET_OK && was_live)
        before = row_hash(&row, &t->rows, t->record_ids, t->id, key, &d->chains, &a->hashed);
    if (rc == QUARTET_OK && a->hashed.failed)
        rc = err_nomem(a->err);
    if (rc == QUARTET_OK)
        rc = past_before(a, &row, key, op, &past);
    if (rc == QUARTET_OK)
        rc = row_apply(&row, &t->rows, op, &a->writer, &a->row, &changed, a->err);
    if (rc != QUARTET_OK || !changed)
        return rc;
    bool live = row_live(&row);
    after = row_hash(&row, &t->rows, t->record_ids, t->id, key, &d->chains, &a->hashed);
    state_hash_add(&a->changes[a->at_table].sub, before);
    state_hash_add(&a->changes[a->at_table].add, after);
    rc = put_row(a, &row, key, &past);
    if (rc == QUARTET_OK && t->id < SYS_TREES_END)
        rc = system_changed(a, key, slice_of(a->record.data, a->record.len), was_live, live);
    if (rc == QUARTET_OK && live && t->index_count > 0)
        rc = show(a, &row, key, a->values);
    if (rc == QUARTET_OK && t->index_count > 0)
        rc = apply_entries(&a->ops, t, key, was_live ? a->old_values : NULL, live ? a->values : NULL, &a->entry, a->err);
    return rc;
}

static quartet_status one_row(struct applying *a, struct slice key, struct row_op *op, const struct apply_values *values)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; a->map != NULL && i < op->write_count; i++)
        op->writes[i].column = a->map[op->writes[i].column];
    if (!a->in.trusted)
        rc = check_fit(a, key, op);
    if (rc != QUARTET_OK)
        return rc;
    buf_clear(&a->old);
    a->rows++;
    if (!kv_top_above(&a->top, a->t->id, key)) {
        rc = kv_get(a->snap, NULL, a->t->id, key, &a->old, a->err);
        if (rc == QUARTET_OK)
            return merge_row(a, key, op);
        if (rc == QUARTET_NOTFOUND)
            rc = kv_top_missed(&a->top, a->snap, a->t->id, a->err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if ((op->flags & ROW_OP_INSERT) == 0)
        return QUARTET_OK; /* the row was purged: what the writer saw of it has ended */
    if (a->map != NULL)
        return merge_row(a, key, op);
    return a->plain ? insert_plain(a, key, op, values) : insert_simple(a, key, op);
}

static quartet_status one_delta(struct applying *a, struct slice bytes)
{
    struct delta_reader r;
    bool more = true;
    uint32_t tables = 0; /* for a planted bug only */
    (void)tables;        /* unused where none can be planted */
    quartet_status rc = delta_open(&r, bytes, &a->d->chains, a->err);
    if (rc != QUARTET_OK)
        return rc;
    while (rc == QUARTET_OK) {
        rc = delta_next_table(&r, &a->tables, &more, a->err);
        if (rc != QUARTET_OK || !more)
            break;
        if (plant_is(PLANT_HALF_TRANSACTION) && tables++ > 0 && r.tables_left == 0)
            break;
        rc = begin_table(a, r.table_id, r.column_ids, r.column_count);
        while (rc == QUARTET_OK && a->t != NULL) {
            struct slice key;
            struct row_op op;
            arena_rewind(&a->row, (struct arena_mark){0});
            rc = delta_next_row(&r, &a->row, &key, &op, &more, a->err);
            if (rc != QUARTET_OK || !more)
                break;
            rc = one_row(a, key, &op, NULL);
        }
    }
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
    quartet_status rc = renew_catalog(a); /* where it was DDL only */
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

/* Everything is prepared: nothing after ops_commit may fail. */
static quartet_status finish(struct applying *a, uint64_t number, log_pos end, apply_no *no)
{
    db *d = a->d;
    struct vv_entry e = {.chain = a->in.chain, .number = number, .stamp = a->in.stamp};
    struct chain_state *s = db_chain(d, a->in.chain, a->err);
    if (s == NULL)
        return QUARTET_NOMEM;
    const struct vv_entry *had = vv_find(&d->applied, a->in.chain);
    if (had != NULL)
        e.head = had->head;
    if (s->head_number != 0 && s->head_number <= number)
        e.head = load_le64(s->head);
    bool bulk = a->ops.bulk != NULL;
    quartet_status rc = ops_commit(&a->ops, d->applied_no + 1, a->err);
    if (rc != QUARTET_OK)
        return rc;
    *no = ++d->applied_no;
    d->applied_end = end;
    for (size_t i = 0; i < a->change_count; i++) {
        if (a->changes[i].reset)
            a->changes[i].state->hash = (struct state_hash){0};
        state_hash_add(&a->changes[i].state->hash, a->changes[i].add);
        state_hash_sub(&a->changes[i].state->hash, a->changes[i].sub);
    }
    rc = vv_raise(&d->applied, e, a->err);
    QASSERT(rc == QUARTET_OK); /* reserved */
    rc = vv_raise(&s->seen, e, a->err);
    QASSERT(rc == QUARTET_OK); /* reserved */
    if (a->fresh != NULL) {
        db_catalog_set(d, a->fresh, *no);
        a->fresh = NULL;
    }
    atomic_fetch_add(&d->rows_written, a->rows);
    if (bulk)
        kv_settle(d->store);
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
    a->ops.limit = db_large_bytes(d);
    a->writer = (struct row_writer){.ver = {.stamp = in->stamp, .chain = in->chain}, .seen = &s->seen, .chains = &d->chains};
    a->newest = 0;
    for (uint32_t i = 0; i < d->applied.count; i++)
        a->newest = d->applied.e[i].stamp > a->newest ? d->applied.e[i].stamp : a->newest;
    a->past_from = db_history_floor(d);
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

quartet_status apply_table(struct applying *a, uint64_t table_id, const uint32_t *column_ids, uint32_t column_count, struct err *err)
{
    a->err = err;
    return begin_table(a, table_id, column_ids, column_count);
}

quartet_status apply_row(struct applying *a, struct slice key, struct row_op *op, const struct apply_values *values, struct err *err)
{
    a->err = err;
    arena_rewind(&a->row, (struct arena_mark){0});
    return one_row(a, key, op, values);
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
    struct applying kept = {.tables = a->tables, .row = a->row, .old = a->old, .record = a->record, .hashed = a->hashed, .entry = a->entry,
                            .encoded = a->encoded, .top = {.key = a->top.key}, .past = a->past, .scratch = a->scratch, .last_state = a->last_state};
    kept.ops.bytes = a->ops.bytes;
    kv_bulk_abort(a->ops.bulk);
    if (a->change_cap <= APPLY_KEPT_COUNT) {
        kept.changes = a->changes;
        kept.change_cap = a->change_cap;
    } else {
        mem_free(a->changes);
    }
    if (a->ops.cap <= APPLY_KEPT_COUNT) {
        kept.ops.ops = a->ops.ops;
        kept.ops.cap = a->ops.cap;
    } else {
        mem_free(a->ops.ops);
    }
    *a = kept;
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
