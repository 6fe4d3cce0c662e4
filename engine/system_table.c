/* system_table.c - see system_table.h. */
#include "system_table.h"

#include "catalog_build.h"
#include "txn_internal.h"

quartet_status system_put(txn *t, const struct table_def *table, struct value *row, const uint32_t *columns, uint32_t count, struct err *err)
{
    struct value old[SYSTEM_COLUMNS_MAX];
    struct table_write writes[SYSTEM_COLUMNS_MAX];
    struct arena a = {0};
    struct buf key = {0};
    bool found = false;
    QASSERT(table->column_count <= SYSTEM_COLUMNS_MAX && count <= SYSTEM_COLUMNS_MAX);
    for (uint32_t i = 0; i < count; i++)
        writes[i] = (struct table_write){.column = columns[i], .value = row[columns[i]]};
    quartet_status rc = table_key(table, row, &key, err);
    if (rc == QUARTET_OK)
        rc = table_get(t, table, slice_of(key.data, key.len), old, &a, &found, err);
    if (rc == QUARTET_OK && !found)
        rc = table_insert(t, table, row, &a, NULL, NULL, err);
    else if (rc == QUARTET_OK && count > 0)
        rc = table_update(t, table, slice_of(key.data, key.len), old, writes, count, &a, NULL, err);
    buf_deinit(&key);
    arena_free_all(&a);
    return rc;
}

quartet_status system_rows(kv_snap *snap, const struct kv_overlay *over, const struct table_def *table, const struct kv_range *range, struct arena *keep,
                           system_take *take, void *arg, struct err *err)
{
    static const struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true, .records = true};
    struct arena a = {0};
    kv_iter *it = NULL;
    QASSERT(table->column_count <= SYSTEM_COLUMNS_MAX);
    quartet_status rc = kv_iter_open(snap, over, table->id, range != NULL ? range : &all, &want, &it, err);
    while (rc == QUARTET_OK) {
        struct kv_rows rows;
        rc = kv_iter_next(it, 0, &rows, err);
        if (rc != QUARTET_OK || rows.n == 0)
            break;
        for (uint32_t i = 0; i < rows.n && rc == QUARTET_OK; i++) {
            struct value v[SYSTEM_COLUMNS_MAX];
            bool live = false;
            arena_rewind(&a, (struct arena_mark){0}); /* nothing in it where they are kept */
            rc = table_decode(table, rows.keys[i], rows.records[i], v, keep != NULL ? keep : &a, &live, err);
            if (rc == QUARTET_OK && live)
                rc = take(arg, v, rows.keys[i], rows.records[i], err);
        }
    }
    kv_iter_close(it);
    arena_free_all(&a);
    return rc;
}

quartet_status system_rows_now(db *d, const struct table_def *table, system_take *take, void *arg, struct err *err)
{
    kv_snap *snap = NULL;
    quartet_status rc = kv_snapshot_latest(d->store, &snap, err);
    if (rc == QUARTET_OK)
        rc = system_rows(snap, NULL, table, NULL, NULL, take, arg, err);
    kv_release(snap);
    return rc;
}
