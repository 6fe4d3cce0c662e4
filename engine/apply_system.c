/* apply_system.c - rows of the system tables, as apply merges them, and the catalog that they make.
 * Why they are kept in memory on the way: the rows of a table that the same delta creates need its definition, before anything of the delta is in the store.
 * Not here: how a catalog is read (catalog_read.c), indexes that come and go with it (apply_index.c). */
#include "apply_internal.h"
#include "kv_own.h"
#include "share.h"

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
        return apply_misfit(a, "a key");
    struct bytes_in rest = in;
    struct value id;
    if (!key_get(&rest, &columns->keys[1], &id, &a->row))
        return apply_misfit(a, "a key");
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

quartet_status apply_system_changed(struct applying *a, struct slice key, struct slice record, bool was_live, bool live)
{
    if (a->t->id == SYS_SHARES) { /* says nothing of the schema */
        share_noted(a->d, key);
        return QUARTET_OK;
    }
    quartet_status rc = system_put(a, a->t->id, key, record);
    a->settings = a->settings || a->t->id == SYS_SETTINGS;
    a->closings = a->closings || a->t->id == SYS_CLOSINGS;
    a->folds = a->folds || a->t->id == SYS_FOLDS;
    a->forks = a->forks || a->t->id == SYS_FORKS;
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


quartet_status apply_renew_catalog(struct applying *a)
{
    if (a->system == NULL || a->fresh != NULL)
        return QUARTET_OK;
    db *d = a->d;
    struct kv_overlay over = {.own = a->system, .through = 1};
    struct catalog_source src = {.snap = a->snap, .over = &over, .chains = &d->chains, .old = d->catalog, .temporary = d->temporary};
    quartet_status rc = catalog_read(&src, atomic_fetch_add(&d->catalog_versions, 1), &a->fresh, a->err);
    if (rc != QUARTET_OK)
        return rc;
    rc = apply_catalog_change(&a->ops, a->snap, d->catalog, a->fresh, !d->identity.member, a->err);
    const struct table_def *t;
    for (uint32_t i = 0; rc == QUARTET_OK && !d->identity.member && (t = catalog_at_id(d->catalog, i)) != NULL; i++)
        if (catalog_table_by_id(a->fresh, t->id) == NULL) { /* its rows are gone */
            struct hash_change *c = apply_change_of(a, t->id);
            if (c == NULL)
                return QUARTET_NOMEM;
            c->reset = true;
        }
    a->catalog = a->fresh;
    if (rc == QUARTET_OK)
        rc = apply_claims_catalog(a, d->catalog, a->fresh);
    return rc == QUARTET_OK ? apply_orphans_catalog(a, d->catalog, a->fresh) : rc;
}
