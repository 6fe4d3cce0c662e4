/* given_up.c - which values of UNIQUE keys, referenced by others, this node's own transactions took from the rows that had them.
 * Why: a child that was written elsewhere meanwhile arrives later, and follow_up.c must know whose UPDATE or DELETE it was that it had not seen, and what became of the row.
 *   Of a primary key the row's own history tells; who had a UNIQUE value no index tells any longer.
 * How: a row of SYS_GIVEN_UP per value and row, dead from the beginning: its key has all that there is to say, and one ended life the stamp. So it is purged as tombstones
 *   are, once every member has what ended it: nobody writes a child then that had not seen it.
 * Invariants: derived by apply from this slot's own operations, of whichever run, so a replay writes it again.
 * Not here: whether a child is owed anything (apply_orphans.c), what is done for it (follow_up.c). */
#include "given_up.h"

#include "apply_internal.h"

static const struct key_column blob_key = {.kind = KEY_BYTES, .type = VALUE_BLOB};

static quartet_status put(struct applying *a, struct orphan_key *k, struct slice row_key)
{
    struct row_life life = {.birth = a->writer.ver, .ended = true};
    struct row row = {.lives = &life, .life_count = 1};
    struct row_schema no_columns = {0};
    struct value v = {.type = VALUE_BLOB, .s = row_key};
    struct buf record = {0};
    key_put(&k->key, &blob_key, &v);
    quartet_status rc = row_encode(&row, &no_columns, &a->d->chains, &record, a->err);
    if (rc == QUARTET_OK && (record.failed || k->key.failed))
        rc = err_nomem(a->err);
    if (rc == QUARTET_OK)
        rc = ops_put_copy(&a->ops, SYS_GIVEN_UP, slice_of(k->key.data, k->key.len), slice_of(record.data, record.len), a->err);
    buf_deinit(&record);
    return rc;
}

quartet_status apply_given_up(struct applying *a, const struct table_def *t, struct slice key, const struct value *before, const struct value *after)
{
    const struct fk_link *const *in;
    struct orphan_key was = {0}, is = {0};
    uint32_t n = catalog_links_in(a->catalog, t->id, &in);
    quartet_status rc = QUARTET_OK;
    if (!a->d->has_identity || chain_id_of(&a->d->chains, a->writer.ver.chain).slot != a->d->identity.slot)
        return QUARTET_OK;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        bool gave = false, none = true;
        if (in[i]->key == NULL || (i > 0 && in[i]->key == in[i - 1]->key)) /* several tables may reference one key */
            continue;
        rc = orphan_given(in[i], before, key, &was, &none, a->err);
        gave = !none;
        none = true;
        if (rc == QUARTET_OK && gave && after != NULL)
            rc = orphan_given(in[i], after, key, &is, &none, a->err);
        if (rc == QUARTET_OK && gave && (none || !slice_eq(slice_of(was.key.data, was.key.len), slice_of(is.key.data, is.key.len))))
            rc = put(a, &was, key);
    }
    orphan_key_deinit(&was);
    orphan_key_deinit(&is);
    return rc;
}

quartet_status given_up_find(kv_snap *snap, uint8_t slot, struct slice key, hlc_stamp *at, struct slice *row_key, struct arena *a, struct err *err)
{
    struct kv_range range = {.lo = key, .hi_open = true};
    struct kv_want want = {.keys = true, .records = true, .dead = true};
    struct kv_rows rows = {.n = 1};
    struct row_schema no_columns = {0};
    kv_iter *it = NULL;
    bool behind = false;
    *at = 0;
    quartet_status rc = kv_iter_open(snap, NULL, SYS_GIVEN_UP, &range, &want, &it, err);
    while (rc == QUARTET_OK && rows.n > 0 && !behind) {
        rc = kv_iter_next(it, 0, &rows, err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n && !behind; i++) {
            struct row row;
            struct value v;
            behind = rows.keys[i].n < key.n || !slice_eq(slice_of(rows.keys[i].p, key.n), key);
            struct bytes_in in = bytes_in(rows.keys[i].p + (behind ? 0 : key.n), behind ? 0 : rows.keys[i].n - key.n);
            if (behind)
                break;
            rc = row_decode(rows.records[i], &no_columns, a, &row, err);
            if (rc == QUARTET_OK && (row.life_count != 1 || !key_get(&in, &blob_key, &v, a)))
                rc = err_set(err, QUARTET_CORRUPT, "a damaged row of quartet_given_up");
            if (rc != QUARTET_OK || row.lives[0].birth.stamp <= *at || hlc_slot(row.lives[0].birth.stamp) != slot)
                continue;
            *at = row.lives[0].birth.stamp;
            *row_key = slice_of(arena_dup(a, v.s.p, v.s.n), v.s.n);
            if (row_key->p == NULL)
                rc = arena_fail(a, err);
        }
    }
    kv_iter_close(it);
    return rc;
}
