/* table_keep.c - ON MERGE KEEP PARENT: who writes a row writes to the rows that it references, too, so that in a table where updates win a DELETE that had not seen it does
 *   not take them away (DESIGN.md section 4).
 * Why a write of no column and no extra register: what keeps a row alive there is that somebody wrote to it whom the DELETE had not seen, and that is what this says.
 * Why on and on to the parents of parents: a parent that is kept while its own parent goes would be out of sight all the same.
 * Invariants: a row that the transaction wrote before has done this already, so circles end.
 * Not here: who may say it (catalog_keep_problem), what a merge makes of it (crdt/row.c). */
#include "orphan.h"

struct kept_row {
    const struct table_def *t;
    struct slice key;
    struct kept_row *next;
};
struct keeping {
    txn *t;
    struct kept_row *todo;
    struct orphan_key key;
    struct arena a;
    struct err *err;
};

static quartet_status add_parents(struct keeping *k, const struct table_def *child, const struct value *values)
{
    const struct fk_link *out;
    uint32_t n = catalog_links_out(k->t->catalog, child->id, &out);
    for (uint32_t i = 0; i < n; i++) {
        enum orphan_ref ref;
        if (!out[i].fk->keep_parent || catalog_keep_problem(k->t->catalog, child, out[i].fk) != NULL)
            continue;
        quartet_status rc = orphan_reference(&out[i], values, (struct slice){0}, &k->key, &ref, k->err);
        if (rc != QUARTET_OK)
            return rc;
        if (ref != ORPHAN_KEY)
            continue;
        struct kept_row *row = arena_zalloc(&k->a, 1, sizeof *row);
        uint8_t *key = arena_dup(&k->a, k->key.raw.data, k->key.raw.len);
        if (row == NULL || key == NULL)
            return arena_fail(&k->a, k->err);
        *row = (struct kept_row){.t = out[i].parent, .key = slice_of(key, k->key.raw.len), .next = k->todo};
        k->todo = row;
    }
    return QUARTET_OK;
}

static quartet_status keep(struct keeping *k, const struct kept_row *row)
{
    const struct table_def *t = row->t;
    struct slice record;
    bool own, found, live = false;
    struct value *values = arena_zalloc(&k->a, t->column_count, sizeof *values);
    uint8_t *copy = NULL;
    if (values == NULL)
        return arena_fail(&k->a, k->err);
    quartet_status rc = txn_note_point(k->t, t->id, row->key, k->err);
    if (rc == QUARTET_OK)
        rc = txn_row(k->t, t->id, row->key, k->t->statement, &record, &own, &found, k->err);
    if (rc != QUARTET_OK || !found || own)
        return rc;
    copy = arena_dup(&k->a, record.p, record.n); /* the values point into it, and it is the transaction's to use again */
    if (copy == NULL)
        return arena_fail(&k->a, k->err);
    rc = table_decode(t, row->key, slice_of(copy, record.n), values, &k->a, &live, k->err);
    if (rc == QUARTET_OK && live)
        rc = table_update(k->t, t, row->key, values, NULL, 0, &k->a, NULL, k->err);
    return rc == QUARTET_OK && live ? add_parents(k, t, values) : rc;
}

quartet_status table_keep_parents(txn *t, const struct table_def *child, const struct value *values, struct err *err)
{
    struct keeping k = {.t = t, .err = err};
    quartet_status rc = add_parents(&k, child, values);
    while (rc == QUARTET_OK && k.todo != NULL) {
        const struct kept_row *row = k.todo;
        k.todo = row->next;
        rc = keep(&k, row);
    }
    orphan_key_deinit(&k.key);
    arena_free_all(&k.a);
    return rc;
}
