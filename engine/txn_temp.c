/* txn_temp.c - temporary tables: a database in memory that belongs to one session takes part in that session's transactions.
 * Why a database of its own: rows, indexes, checks and DDL then work as they do anywhere, nothing of it can come into a delta, and it goes with the session.
 * Invariants: a table's rows are in the transaction that txn_of() tells; the two number their statements alike; the other database has no other writer, so it commits
 *   once the shared one has, and cannot be overtaken.
 * Not here: which statements go there (conn_temp.c). */
#include "txn_internal.h"

/* t->catalog with the session's own objects. */
static quartet_status wrap(txn *t, struct catalog **out, struct err *err)
{
    return catalog_with_temp(t->catalog, t->temp->catalog, atomic_fetch_add(&t->d->catalog_versions, 1), out, err);
}

quartet_status txn_temp_begin(txn *t, db *temp, struct catalog **known, struct err *err)
{
    QASSERT(t->temp == NULL && temp->temporary);
    quartet_status rc = t->reads_unneeded ? txn_begin_read(temp, NULL, &t->temp, err) : txn_begin(temp, &t->temp, err);
    if (rc != QUARTET_OK)
        return rc;
    t->temp->statement = t->statement;
    t->temp->outermost = t->outermost;
    t->temp->reads_through = t->reads_through;
    struct catalog *c = *known;
    if (c == NULL || c->bare_version != t->catalog->version || c->temp->version != t->temp->catalog->version) {
        rc = wrap(t, &c, err);
        if (rc != QUARTET_OK)
            return rc;
        catalog_unref(*known);
        *known = c;
    }
    return txn_own_catalog(t, t->statement, catalog_ref(c), err);
}

quartet_status txn_temp_changed(txn *t, struct err *err)
{
    struct catalog *c;
    quartet_status rc = wrap(t, &c, err);
    return rc == QUARTET_OK ? txn_own_catalog(t, t->statement, c, err) : rc;
}
