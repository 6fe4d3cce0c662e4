/* orphan.h - rows whose reference is broken (DESIGN.md section 4, step 3): which key a row references or gives, and whether readers see the row.
 *
 * Nothing is written per row: SYS_BROKEN holds the referenced keys that are broken, a reader of a table with foreign keys tests its rows against that set while
 * it is not empty. A row with a reference to such a key is an orphan. Who keeps the set: apply_orphans.c. */
#ifndef ENGINE_ORPHAN_H
#define ENGINE_ORPHAN_H

#include "table_internal.h"

enum orphan_ref {
    ORPHAN_NONE,  /* a part is NULL: it references nothing */
    ORPHAN_KEY,   /* a key that a row of the parent may have */
    ORPHAN_NEVER  /* a value that no row of the parent can have, for its type or its length */
};
struct orphan_key { /* {0}; the caller's to deinit */
    struct buf key;       /* of SYS_BROKEN: the parent's table, its key's id (0: the primary key), the key's bytes */
    struct buf raw, fold;
    struct arena arena;
};
void orphan_key_deinit(struct orphan_key *k);
/* values by the child's columns; `primary`: the child's own key. QUARTET_NOMEM. */
quartet_status orphan_reference(const struct fk_link *l, const struct value *values, struct slice primary, struct orphan_key *k, enum orphan_ref *out,
                                struct err *err);
/* The key that a row of the parent gives; *none: it has none (a part is NULL, or too long to be looked up). */
quartet_status orphan_given(const struct fk_link *l, const struct value *values, struct slice primary, struct orphan_key *k, bool *none, struct err *err);
/* What all keys begin with that a link references. */
quartet_status orphan_prefix(const struct fk_link *l, struct orphan_key *k, struct err *err);
/* Of a key of SYS_BROKEN: *raw gets the parent's bytes (in the arena or in `key`). false: damaged. */
bool orphan_split(struct slice key, tree_id *table, tree_id *index, struct slice *raw, struct arena *a);
/* The values of the child's columns that reference the parent's key `raw`, in the order of l->index (of the child's primary key), l->count of them; only where
 * l->seeks. *never: the child's columns cannot hold them. */
quartet_status orphan_child_values(const struct fk_link *l, struct slice raw, struct value *out, bool *never, struct arena *a, struct err *err);
/* The range of l->index (NULL: of the child's rows) in which the rows are that reference the parent's key `raw`; all of it unless l->seeks. *never: there is none.
 * Rows in it must still be looked at. */
quartet_status orphan_children(const struct fk_link *l, struct slice raw, struct buf *lo, struct buf *hi, bool *hi_open, bool *never, struct arena *a,
                               struct err *err);

/* May a snapshot at this apply number hold broken keys? Any thread. */
static inline bool orphan_possible(const db *d, apply_no at)
{
    return at < atomic_load(&d->broken_none_from);
}

/* What a reader tests rows with. {0}; one table, any number of snapshots one after the other. */
struct orphan_link_set;
struct orphan_filter {
    bool on;                      /* rows must be tested */
    const struct fk_link *links;  /* of the table */
    uint32_t count;
    struct orphan_link_set *sets; /* by link */
    bool loaded;
    apply_no at;                  /* of the snapshot that they are of; 0 in one that was just opened */
    uint64_t of;                  /* the catalog's version */
    kv_snap *snap;
    txn *t;
    bool few;                     /* they were not loaded: each key is looked up */
    bool noted;
    struct orphan_key key;
    struct buf record;
};
/* A row that the transaction itself wrote mends the key it gives, for its own eyes, at once; what depends on rows that come back by that, with the COMMIT.
 * Before rows of a snapshot are read; notes for the transaction that it depends on the set. `few`: hardly a row will be tested. */
quartet_status orphan_filter_start(struct orphan_filter *f, txn *t, const struct table_def *table, bool few, struct err *err);
quartet_status orphan_filter_test(struct orphan_filter *f, const struct value *values, struct slice primary, bool *orphan, struct err *err);
/* The first of the links by which the row is an orphan: *ref ORPHAN_KEY, and the key is in f->key, or ORPHAN_NEVER. ORPHAN_NONE: it is none. */
quartet_status orphan_filter_find(struct orphan_filter *f, const struct value *values, struct slice primary, uint32_t *link, enum orphan_ref *ref,
                                  struct err *err);
void orphan_filter_rest(struct orphan_filter *f); /* the transaction ends */
void orphan_filter_deinit(struct orphan_filter *f);

#endif
