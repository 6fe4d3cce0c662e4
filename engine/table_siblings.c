/* table_siblings.c - all that a MULTIVALUE column holds in one row: siblings() asks.
 * Why row by row: records show one value in the clear, and hardly any row has more; who asks pays for the look into the registers.
 * Not here: which value shows (crdt/row_show.c). */
#include "txn_internal.h"

/* The pending row replaces what its writer saw, so its own value is all there is. */
static quartet_status pending_value(const struct table_def *t, struct slice record, uint32_t at, struct arena *a, struct value **out, bool *wrote, struct err *err)
{
    struct pending p;
    if (!pending_read(record, &p))
        return err_set(err, QUARTET_INTERNAL, "damaged pending row of table %s", t->name);
    *wrote = !p.live || (p.flags & ROW_OP_INSERT) != 0 || (at / 8 < p.bitmap.n && (p.bitmap.p[at / 8] >> (at % 8) & 1) != 0);
    if (!*wrote)
        return QUARTET_OK;
    *out = NULL;
    if (!p.live)
        return QUARTET_OK;
    *out = arena_alloc(a, sizeof **out);
    struct bytes_in in = bytes_in(p.values.p, p.values.n);
    bool good = true;
    for (uint32_t i = 0; *out != NULL && good && i <= at; i++) {
        **out = t->rows.columns[i].missing;
        if (i < p.value_count)
            good = value_decode(&in, *out);
    }
    if (!good)
        return err_set(err, QUARTET_INTERNAL, "damaged pending row of table %s", t->name);
    return *out != NULL && value_copy(a, *out) ? QUARTET_OK : arena_fail(a, err);
}

quartet_status table_siblings(txn *t, uint64_t table, uint32_t column, struct slice key, struct arena *a, struct value **out, uint32_t *count, struct err *err)
{
    const struct table_def *def = catalog_table_by_id(t->catalog, table);
    struct slice record;
    struct row row;
    bool own, found, wrote = false;
    *count = 0;
    if (def == NULL && t->temp != NULL)
        return table_siblings(t->temp, table, column, key, a, out, count, err);
    if (def == NULL || column >= def->column_count || def->columns[column].record_at < 0)
        return err_set(err, QUARTET_INTERNAL, "siblings() of a column that is not there");
    uint32_t at = (uint32_t)def->columns[column].record_at;
    quartet_status rc = txn_row(t, table, key, t->reads_through, &record, &own, &found, err);
    if (rc != QUARTET_OK || !found)
        return rc;
    if (own) {
        rc = pending_value(def, record, at, a, out, &wrote, err);
        *count = rc == QUARTET_OK && wrote && *out != NULL;
        if (rc != QUARTET_OK || wrote)
            return rc;
        buf_clear(&t->record);
        rc = kv_get(t->snap, NULL, table, key, &t->record, err);
        if (rc != QUARTET_OK)
            return rc;
        record = slice_of(t->record.data, t->record.len);
    }
    uint8_t *copy = arena_dup(a, record.p, record.n); /* values point into it */
    if (copy == NULL)
        return arena_fail(a, err);
    rc = row_decode(slice_of(copy, record.n), &def->rows, a, &row, err);
    if (rc != QUARTET_OK || !row_live(&row))
        return rc;
    if (!t->exclusive) /* chains' identities order versions; new ones come under this lock */
        pthread_mutex_lock(&t->d->commit_lock);
    bool done = row_siblings(&row, &def->rows, &t->d->chains, at, a, out, count);
    if (!t->exclusive)
        pthread_mutex_unlock(&t->d->commit_lock);
    return done ? QUARTET_OK : arena_fail(a, err);
}
