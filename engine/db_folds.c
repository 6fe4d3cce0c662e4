/* db_folds.c - FOLD: chains that are closed, and that every member has as a whole, are told of by a row of quartet_folds; from then on what they added to COUNTERs is kept as one sum in each
 *   register, and their marks in SETs and MULTIVALUE columns as one mark. Without it every restart of a node would leave a part in each counter that it ever changed.
 * Who writes the row: the member in the lowest slot, when every other has reported a vector that covers the chain's end, and all that those reports name is applied here. The row's delta
 *   depends on that, so who applies it has the chain as a whole, and nothing that comes later was written by somebody who lacked any of it.
 * How rows are folded: when they are written the next time (apply_row.c), by each node for itself. What shows, the state hash and every later merge are the same either way, so nodes need not do it
 *   at the same time, and a row that nobody writes costs nothing. What folded chains wrote is told again where the past is read (late operations, engine/history.c): so a sum names the
 *   *fold* up to which it holds all; folds are numbered as this node learnt of them, and the numbers are in its checkpoint.
 * Invariants: a chain gets its number once, and no later than its first sum. Bounded COUNTERs are not folded (share.c), nor are births.
 * Not here: where a chain ends (db_close.c), one register (crdt/row_cell.c). */
#include "base/log.h"
#include "db_internal.h"
#include "system_table.h"
#include "txn_internal.h"

#define FOLD_EVERY_NS ((uint64_t)10 * 1000000000u)
#define FOLDS_AT_ONCE 64u

struct loading {
    db *d;
    uint32_t number; /* of what is new */
};

static quartet_status take_row(void *arg, const struct value *v, struct slice key, struct slice record, struct err *err)
{
    struct loading *l = arg;
    db *d = l->d;
    chain_no chain;
    struct chain_id id = {.slot = (uint8_t)v[FOLD_SLOT].i, .incarnation = (uint64_t)v[FOLD_INCARNATION].i};
    (void)key;
    (void)record; /* every walk gives them */
    if (v[FOLD_SLOT].i < 0 || v[FOLD_SLOT].i >= SLOTS_MAX || id.incarnation == 0 || chain_id_is_sum(id))
        return QUARTET_OK; /* no row of ours; it folds nothing */
    if (!chain_find(&d->chains, id, &chain) || chain_fold_of(&d->chains, chain) > 0 || vv_number(&d->applied, chain) < (uint64_t)v[FOLD_NUMBER].i)
        return QUARTET_OK;
    return chain_fold_set(&d->chains, chain, l->number, err);
}

/* Chains that are new in the table get the next number, all of them the same. */
quartet_status db_folds_load(db *d, struct err *err)
{
    struct loading l = {.d = d, .number = d->chains.fold_last + 1u};
    quartet_status rc = system_rows_now(d, catalog_table_by_id(d->catalog, SYS_FOLDS), take_row, &l, err);
    if (rc == QUARTET_OK && d->chains.fold_last > 0)
        rc = chain_intern(&d->chains, (struct chain_id){.slot = 0, .incarnation = CHAIN_SUMS + d->chains.fold_last}, &d->fold_sum, err);
    return rc;
}

/* ---- writing rows ---- */

struct fold_row {
    struct chain_id chain;
    uint64_t number;
};

/* commit_lock held. */
static uint32_t gather(db *d, struct fold_row *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->chains.count && n < FOLDS_AT_ONCE; i++) {
        struct chain_id successor, id = chain_id_of(&d->chains, (chain_no)i);
        uint64_t number;
        bool forked = false;
        for (uint32_t k = 0; k < d->chains.fork_count; k++)
            forked |= d->chains.forks[k].chain == i || d->chains.forks[k].as == i;
        if (forked || chain_fold_of(&d->chains, (chain_no)i) > 0 || !db_chain_closed(d, (chain_no)i, &number, &successor) || number == 0 ||
            vv_number(&d->applied, (chain_no)i) != number || !db_chain_stable(d, (chain_no)i, number))
            continue;
        out[n++] = (struct fold_row){.chain = id, .number = number};
    }
    return n;
}

static quartet_status write_all(db *d, const struct fold_row *rows, uint32_t count, struct err *err)
{
    txn *t = NULL;
    quartet_status rc = txn_begin(d, &t, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = txn_statement_begin(t, err);
    for (uint32_t i = 0; i < count && rc == QUARTET_OK; i++) {
        struct value row[FOLD_COLUMNS];
        row[FOLD_SLOT] = value_int(rows[i].chain.slot);
        row[FOLD_INCARNATION] = value_int((int64_t)rows[i].chain.incarnation);
        row[FOLD_NUMBER] = value_int((int64_t)rows[i].number);
        rc = system_put(t, catalog_table_by_id(txn_catalog(t), SYS_FOLDS), row, (const uint32_t[]){FOLD_NUMBER}, 1, err);
    }
    if (rc == QUARTET_OK)
        return txn_commit(t, err);
    txn_rollback(t);
    return rc;
}

void db_fold_tick(db *d)
{
    struct fold_row rows[FOLDS_AT_ONCE];
    struct err err = ERR_INIT;
    uint64_t now = d->env->ops->mono_ns(d->env);
    if (now < d->fold_after_ns)
        return;
    d->fold_after_ns = now + FOLD_EVERY_NS;
    pthread_mutex_lock(&d->commit_lock);
    bool lowest = (d->peers & ((1u << d->identity.slot) - 1u)) == 0;
    bool may = d->identity.member && lowest && d->can_sign && d->peers_known && !d->fenced && db_writable(d, &err) == QUARTET_OK;
    uint32_t count = may ? gather(d, rows) : 0;
    pthread_mutex_unlock(&d->commit_lock);
    err_clear(&err);
    if (count > 0 && write_all(d, rows, count, &err) != QUARTET_OK && err.code != QUARTET_SERIALIZATION)
        log_line(d->env, LOG_WARN, "db", "that chains are folded could not be written: %s", err.text);
}
