/* claim.h - which live rows break a constraint of their own table (DESIGN.md section 4, step 2), and why; a function of the merged rows and the definitions.
 *
 * A live row claims its values in each UNIQUE index (one with a NULL claims nothing). Claims of one value are ordered by the row's earliest unended birth, then by its
 * key; the first owns the value, and a row that does not own all its values is quarantined. Quarantined rows claim all the same. So is a row that is NULL where
 * it must not be, or for which a CHECK is false or cannot be evaluated. Who keeps records so: apply_claims.c. */
#ifndef ENGINE_CLAIM_H
#define ENGINE_CLAIM_H

#include "base/map.h"
#include "db_internal.h"
#include "expr.h"

/* NOT NULL and CHECK of one table, ready to be evaluated. */
struct claim_tests;
/* The catalog is kept as long as they are. */
quartet_status claim_tests_new(struct catalog *catalog, const struct table_def *t, struct claim_tests **out, struct err *err);
void claim_tests_free(struct claim_tests *x); /* NULL is allowed */
bool claim_check_reads(const struct claim_tests *x, uint32_t check, uint32_t column);
void claim_tests_forget_check(struct claim_tests *x, uint32_t check);   /* what it says does not count */
void claim_tests_forget_column(struct claim_tests *x, uint32_t column); /* it may be NULL */
/* Which one does a row break? *column NOT NULL, or *check; both NULL: none. values by column. */
quartet_status claim_test(struct claim_tests *x, const struct value *values, const struct column_def **column, const struct check_def **check, struct err *err);
/* Those of the newest catalog, kept from one apply to the next; under commit_lock. NULL in *out: the table has none. */
quartet_status claim_tests_of(db *d, struct catalog *catalog, const struct table_def *t, struct claim_tests **out, struct err *err);
void claim_tests_drop(db *d);

bool claim_tested(const struct table_def *t);   /* a row by itself may break something */
bool claim_has_unique(const struct table_def *t); /* two may */
/* May rows of a table with these definitions be quarantined that were not with those? Either may be NULL: it is not there. A dropped table has no constraints. */
bool claim_more(const struct table_def *was, const struct table_def *is);
bool claim_differ(const struct table_def *was, const struct table_def *is);

quartet_status claim_note_table(txn *t, const struct table_def *table, struct err *err); /* the transaction depends on which of its rows are quarantined */
/* Is there such a row in the transaction's snapshot, and is it quarantined? For who found that none is shown. */
quartet_status claim_is_hidden(txn *t, const struct table_def *table, struct slice key, bool *hidden, struct err *err);

/* May a snapshot at this apply number hold quarantined rows? Any thread. */
static inline bool claim_possible(const db *d, apply_no at)
{
    return at < atomic_load(&d->hidden_none_from);
}

struct claim_row { /* {0}; claim_row_deinit */
    struct buf record;
    struct arena arena;
    struct value *values; /* by column */
    uint32_t cap;
    struct row row;
    bool live;            /* by its births; else nothing of what follows holds */
    bool hidden;          /* the record says so */
    struct ver birth;
};
void claim_row_deinit(struct claim_row *r);

/* One state of the store, in which claims are compared. {.snap, .chains}; claim_view_deinit */
struct claim_view {
    kv_snap *snap;
    const struct chain_table *chains;
    struct map owners; /* of values that were asked for: entry of the index without the key -> its owner's key */
    struct arena arena;
    struct claim_row other;
    struct buf entry, hi;
    bool started;
};
void claim_view_deinit(struct claim_view *v);
quartet_status claim_row_read(struct claim_view *v, const struct table_def *t, struct slice key, struct claim_row *out, struct err *err);
/* The bytes that all claims of the row's value begin with, into `out`. *none: the row claims nothing here. */
quartet_status claim_value(const struct table_def *t, const struct index_def *ix, const struct value *values, struct slice key, struct buf *out, bool *none, struct err *err);
/* Calls each() with the keys of the rows that claim a value, as far as the index tells; it stops at the first failure. */
typedef quartet_status (*claim_fn)(void *arg, const struct table_def *t, struct slice key, struct err *err);
quartet_status claim_each(struct claim_view *v, const struct table_def *t, const struct index_def *ix, struct slice value, claim_fn each, void *arg, struct err *err);

struct claim_reason { /* the first that there is; all NULL: the row breaks nothing */
    const struct column_def *column;
    const struct check_def *check;
    const struct index_def *index;
    struct slice owner; /* with index: the primary key of the row that has the value, in the view's arena */
};
/* tests: NULL where the table has none. */
quartet_status claim_why(struct claim_view *v, const struct table_def *t, struct claim_tests *tests, struct slice key, const struct claim_row *row,
                         struct claim_reason *out, struct err *err);

#endif
