/* kind_settle.c - when a kind that ALTER TABLE chose for a column takes effect.
 * Why not at once: nodes that do not know of each other may choose different kinds, and what is written to a register of one kind is nothing to another. So the choice is a
 *   claim first, under which everybody goes on to write a plain column. Once every member has acknowledged one, nobody will make another, all there are are known here, and
 *   the one born first is final; the row that says so comes before every write by the new kind, by causality, on all nodes. Nothing is ever to be taken out of a register
 *   again, and no row is written for it: a register above a plain one that nobody has used shows what the plain one does (crdt/row_show.c).
 * Not here: the claims (ddl_alter.c), what the rows make of a column (catalog_column.c), who has what (db_purge.c). */
#include "db_internal.h"
#include "base/log.h"
#include "base/plant.h"
#include "ddl_internal.h"
#include "kind.h"

#define SETTLE_MAX 32u /* columns in one transaction */
#define SETTLE_EVERY_NS ((uint64_t)200 * 1000 * 1000)

struct settled {
    tree_id table;
    uint32_t column;
    uint8_t kind;
};

/* Those that may take effect. Under commit_lock. */
static uint32_t find_settled(db *d, struct settled *out)
{
    const struct table_def *t;
    uint32_t n = 0;
    for (uint32_t i = 0; d->catalog->claims_kinds && (t = catalog_table_at(d->catalog, i)) != NULL; i++)
        for (uint32_t k = 0; k < t->visible_count && t->claims_kind && n < SETTLE_MAX; k++) {
            const struct column_def *c = &t->columns[k];
            if (c->kind_claimed != ROW_LWW && (plant_is(PLANT_KIND_UNASKED) || db_seen_by_all(d, c->kind_birth)))
                out[n++] = (struct settled){.table = t->id, .column = c->id, .kind = c->kind_claimed};
        }
    return n;
}

quartet_status db_settle_kinds(db *d, uint32_t *count, struct err *err)
{
    struct settled all[SETTLE_MAX];
    struct arena a = {0};
    txn *t = NULL;
    *count = 0;
    pthread_mutex_lock(&d->commit_lock);
    uint32_t n = find_settled(d, all);
    pthread_mutex_unlock(&d->commit_lock);
    if (n == 0)
        return QUARTET_OK;
    quartet_status rc = txn_begin(d, &t, err);
    if (rc == QUARTET_OK)
        rc = txn_statement_begin(t, err);
    struct ddl x = {.t = t, .a = &a, .err = err};
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        const struct table_def *table = catalog_table_by_id(t->catalog, all[i].table);
        if (table != NULL && !table->dropped)
            rc = ddl_put_kind(&x, table, all[i].column, CATALOG_KIND_SETTLED, kind_name(all[i].kind));
    }
    if (rc == QUARTET_OK)
        rc = txn_commit(t, err);
    else
        txn_rollback(t);
    arena_free_all(&a);
    *count = rc == QUARTET_OK ? n : 0;
    return rc;
}

void db_settle_kinds_tick(db *d)
{
    struct err err = ERR_INIT;
    uint32_t count;
    uint64_t now = d->env->ops->mono_ns(d->env);
    if (now < d->kinds_after_ns)
        return;
    d->kinds_after_ns = now + SETTLE_EVERY_NS;
    pthread_mutex_lock(&d->commit_lock);
    bool may = d->catalog->claims_kinds && d->identity.member && d->can_sign && !d->fenced && db_writable(d, &err) == QUARTET_OK;
    pthread_mutex_unlock(&d->commit_lock);
    quartet_status rc = may ? db_settle_kinds(d, &count, &err) : QUARTET_OK;
    if (rc != QUARTET_OK && rc != QUARTET_SERIALIZATION)
        log_line(d->env, LOG_WARN, "db", "a column's new kind could not take effect: %s", err.text);
}
