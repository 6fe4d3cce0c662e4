/* apply_internal.h - one apply at work, and what its parts ask of each other; only for apply*.c.
 *
 * apply.c takes a transaction from its first delta to the store, apply_row.c merges one row, apply_system.c rows of the system tables and what they make of the
 * catalog, apply_past.c writes history beside a changed row, apply_index.c keeps entries. */
#ifndef ENGINE_APPLY_INTERNAL_H
#define ENGINE_APPLY_INTERNAL_H

#include "apply.h"
#include "history.h"
#include "kv_past.h"
#include "kv_top.h"

struct hash_change {
    struct table_state *state;
    uint64_t rows; /* written */
    struct state_hash add, sub;
    struct state_hash hidden_sub; /* of rows that were quarantined and have changed: apply_claims.c decides about them anew */
    int64_t hidden_rows;          /* less of those */
    bool reset;
};
struct applying {
    db *d;
    struct apply_in in;
    bool prepared;
    struct row_writer writer;
    kv_snap *snap;
    struct catalog *fresh;       /* made on the way; NULL: d->catalog is still right */
    const struct catalog *catalog;
    kv_own *system;              /* merged system rows, laid over the snapshot; NULL: none touched */
    size_t change_count, at_table; /* of changes; that of the present table */
    const struct table_def *t;
    uint32_t *map;               /* the delta's column -> record column; NULL: the same */
    bool plain;                  /* the table is the user's, its columns' ids ascend, none is a COUNTER: row_hash_plain */
    uint32_t *ends;              /* plain: room for apply_values.ends */
    tree_id last_tree;
    hlc_stamp newest;            /* of all that was applied before: what is stamped later is late for no row */
    bool settings, closings, forks, folds; /* one was changed */
    hlc_stamp past_from;         /* older history is not written */
    kv_past *past_reader;        /* of past_table; NULL: none */
    tree_id past_table;
    struct value *old_values, *values;
    uint64_t rows;
    uint64_t conflicts, swept;   /* rows of SYS_CONFLICTS that it writes, and lets go */
    struct orphan_notes *notes;  /* apply_orphans.c's; NULL: none */
    struct catalog *links_were;  /* the catalog before foreign keys changed, a reference; NULL: they did not */
    bool links_out, links_in;    /* the present table references, is referenced */
    struct claims_at {           /* of the present table */
        bool unique;             /* rows claim values */
        bool probes;             /* others may have them */
        bool hidden;             /* some of its rows are quarantined */
        bool any;                /* a row that came or changed is to be told to apply_claims_row */
        struct claim_tests *tests; /* NULL: none */
    } claims;
    struct claim_notes *claim_notes; /* apply_claims.c's; NULL: none */
    struct catalog *claims_were; /* the catalog before constraints changed, a reference; NULL: they did not */
    struct delta_request request; /* whose transaction it is; session 0: no client's */
    struct err *err;
    /* From here on memory that the next apply takes over; what is before it begins with zeros. */
    struct table_state *last_state; /* looked up last, maybe by an earlier apply */
    struct apply_ops ops;        /* of it only memory */
    struct hash_change *changes;
    size_t change_cap;
    struct arena tables, row;    /* per delta; per row */
    struct kv_top top;           /* as of snap */
    struct buf old, record, hashed, entry, encoded, past, scratch;
};

/* QUARTET_CORRUPT with the delta's number and the table's name. */
quartet_status apply_misfit(struct applying *a, const char *what);

/* apply_row.c */
struct hash_change *apply_change_of(struct applying *a, tree_id id); /* NULL: out of memory, told in a->err */
quartet_status apply_begin_table(struct applying *a, uint64_t table_id, const uint32_t *column_ids, uint32_t column_count);
quartet_status apply_one_row(struct applying *a, struct slice key, struct row_op *op, const struct apply_values *values);

/* apply_system.c */
/* After a system row changed. In a cluster the definition of a dropped table is kept, since writes to it may still be under way. */
quartet_status apply_system_changed(struct applying *a, struct slice key, struct slice record, bool was_live, bool live);
/* All system rows of the delta are merged: what do they make of the schema? */
quartet_status apply_renew_catalog(struct applying *a);

/* apply_past.c */
struct past_change { /* what merging an operation into a row means for its history */
    bool kept, late;
    struct history_saved saved;
    hlc_stamp at;       /* late: of the newest entry, which is to be made whole; 0: nothing is to be done */
};

/* Before the row is changed. Late operations are written down here, whether they will change anything or not. */
quartet_status apply_past_before(struct applying *a, const struct row *row, struct slice key, const struct row_op *op, struct past_change *c);
/* After it: the past that goes with the row's new record, into a->past; empty: none. */
quartet_status apply_past_after(struct applying *a, const struct row *now, struct slice key, struct past_change *c);

/* The stamp of the newest change of a row that history knows; 0: it knows none. */
quartet_status apply_past_newest(struct applying *a, struct slice key, hlc_stamp *out);

/* apply_conflicts.c */
struct conflict_set { /* what an operation clashes with; in the row's arena */
    bool looked;
    bool to_dead_row; /* it writes to what has ended */
    struct clash *clashes;
    uint32_t count;
};
quartet_status apply_conflicts_before(struct applying *a, const struct row *row, const struct row_op *op, struct conflict_set *out);
/* Once the row is changed: writes down who lost. Uses a->record. */
quartet_status apply_conflicts_after(struct applying *a, const struct row *row, struct slice key, const struct row_op *op, bool changed,
                                     const struct conflict_set *set);
/* One row of SYS_CONFLICTS. */
struct conflict_entry {
    const struct table_def *t;
    struct slice key;
    int64_t column_id;    /* negative: a constraint, whose row is quarantined */
    const char *column, *rule;
    hlc_stamp losing, winning; /* winning 0: not known */
    struct value lost, won;
    uint64_t id;
    struct ver by;        /* who brought it */
};
uint64_t apply_conflict_id(tree_id table, uint32_t column_id, struct slice key, struct ver losing, const struct chain_table *chains);
quartet_status apply_conflict_put(struct apply_ops *ops, const struct catalog *catalog, const struct conflict_entry *e, struct arena *a, struct buf *record,
                                  struct err *err);
/* An INSERT was merged: did two runs of a slot assign its key? */
void apply_conflicts_twice(struct applying *a, const struct row *row, struct slice key);
quartet_status apply_conflicts_sweep(struct applying *a); /* all rows are merged: let go of those that are too old or too many */
/* outcome.c: a client's transaction is remembered as its session's last. */
quartet_status apply_outcome(struct applying *a);
/* apply_orphans.c: which rows are orphans (DESIGN.md section 4, step 3). */
/* A row of a table that references or is referenced is seen otherwise by steps 1 and 2 than before, or has other values: before and after by
 * column, NULL where it is not there or quarantined. Called too often it does no harm. */
quartet_status apply_state_note(struct applying *a, const struct table_def *t, struct slice key, const struct value *before, const struct value *after);
/* given_up.c. What a row of a table that others reference was and is (NULL: it is gone, or out of sight), where it changed. */
quartet_status apply_given_up(struct applying *a, const struct table_def *t, struct slice key, const struct value *before, const struct value *after);
void apply_state_table(struct applying *a); /* sets links_out and links_in for a->t */
quartet_status apply_orphans_catalog(struct applying *a, struct catalog *was, const struct catalog *is);
/* The transaction is in the store, and not published: what it breaks or mends goes in under the next apply number, which *no then is. */
quartet_status apply_orphans_settle(struct applying *a, const struct catalog *catalog, apply_no *no);
void apply_notes_free(struct orphan_notes *n); /* NULL is allowed */

/* apply_claims.c: which rows a constraint of their own table hides (DESIGN.md section 4, step 2). */
quartet_status apply_claims_table(struct applying *a); /* sets a->claims for a->t */
/* A row is merged: its values by column before and after, NULL where it is not live; same_birth: its earliest unended one is what it was. */
quartet_status apply_claims_row(struct applying *a, struct slice key, const struct value *before, const struct value *after, bool same_birth);
/* It was quarantined; `before`: its hash then. */
quartet_status apply_claims_was_hidden(struct applying *a, struct slice key, struct state_hash before);
quartet_status apply_claims_catalog(struct applying *a, struct catalog *was, const struct catalog *is);
/* The transaction is in the store, and not published: what it hides or shows goes in under the next apply number, which *no then is. */
quartet_status apply_claims_settle(struct applying *a, struct catalog *catalog, apply_no *no);
void apply_claims_free(struct claim_notes *n); /* NULL is allowed */

#endif
