/* apply_past.c - what apply writes into a row's history beside its new record; history.h tells what it is.
 * Why the newest entry is looked at only for late operations: all others come after everything that is known, so the row as it is is the state before them. */
#include "apply_internal.h"
#include "base/plant.h"

/* The newest entry of this key that is in date; found only where some change advanced it before. Older ones may be gone in part, and the row may have changed since without
 * any: they tell nothing of it. */
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
        rc = kv_past_seek(a->past_reader, key, a->past_from > 0 ? a->past_from - 1 : 0, a->err);
    return rc == QUARTET_OK ? kv_past_next(a->past_reader, stamp, entry, found, a->err) : rc;
}

quartet_status apply_past_newest(struct applying *a, struct slice key, hlc_stamp *out)
{
    struct slice entry;
    bool found = false;
    quartet_status rc = newest_entry(a, key, out, &entry, &found);
    *out = rc == QUARTET_OK && found ? *out : 0;
    return rc;
}

quartet_status apply_past_before(struct applying *a, const struct row *row, struct slice key, const struct row_op *op, struct past_change *c)
{
    hlc_stamp stamp = a->writer.ver.stamp, at = 0;
    struct slice entry;
    bool found = false;
    *c = (struct past_change){.kept = false};
    if (a->t->id < SYS_TREES_END || a->past_from == UINT64_MAX || a->old.len == 0 || (stamp < a->past_from && stamp > a->newest))
        return QUARTET_OK;
    quartet_status rc = QUARTET_OK;
    c->kept = stamp >= a->past_from;
    if (stamp <= a->newest) {
        hlc_stamp newest = history_newest(row, &a->t->rows);
        rc = newest_entry(a, key, &at, &entry, &found);
        c->late = rc == QUARTET_OK && ((found && stamp <= at) || stamp <= newest);
        /* One that is older than history is part of what the row was at every time that history tells of: it is kept as long as there is such a time. */
        c->kept = c->kept || ((found || newest >= a->past_from) && !plant_is(PLANT_OLD_NOT_KEPT));
    }
    if (!c->kept)
        return rc;
    QASSERT(rc != QUARTET_OK || stamp >= a->past_from || c->late);
    if (rc == QUARTET_OK && c->late && found && !history_entry_is_whole(entry))
        c->at = at;
    if (rc != QUARTET_OK || !c->late)
        return rc == QUARTET_OK ? history_save(row, &a->t->rows, op, &a->row, &c->saved, a->err) : rc;
    buf_clear(&a->past);
    buf_clear(&a->entry);
    rc = history_late(row, &a->t->rows, op, &a->writer, &a->past, &a->scratch, a->err);
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

quartet_status apply_past_after(struct applying *a, const struct row *now, struct slice key, struct past_change *c)
{
    hlc_stamp stamp = c->late ? c->at : a->writer.ver.stamp;
    buf_clear(&a->past);
    if (!c->kept || stamp == 0)
        return QUARTET_OK;
    buf_u64(&a->past, stamp); /* kv_past_put, in place */
    quartet_status rc = c->late ? make_whole(a, key, &a->past)
                                : history_entry(&c->saved, &a->t->rows, now, slice_of(a->old.data, a->old.len), &a->past, &a->scratch, a->err);
    return rc;
}
