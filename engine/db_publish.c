/* db_publish.c - what new transactions see: a commit becomes visible in the order of its apply number, and not before it is durable.
 * Why a queue: commits of other sessions may still wait for their fdatasync when this one's is done, and one sync makes all before it durable as well.
 *   Snapshot and catalog change in one step, so that no statement is planned with a schema that its snapshot does not have.
 * Invariants: entries ascend by apply number and by log position; what is visible never goes back.
 * Not here: when the log is synced (txn_commit.c, db_replicate.c). */
#include <string.h>

#include "base/mem.h"
#include "db_internal.h"

quartet_status db_pending_add(db *d, apply_no no, log_pos end, bool durable, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&d->publish_lock);
    if (d->pending_start + d->pending_count == d->pending_cap) {
        if (d->pending_start > 0) {
            memmove(d->pending, d->pending + d->pending_start, d->pending_count * sizeof *d->pending);
            d->pending_start = 0;
        } else {
            size_t cap = d->pending_cap == 0 ? 64 : d->pending_cap * 2;
            struct pending_commit *grown = mem_realloc(d->pending, cap, sizeof *grown);
            if (grown == NULL) {
                rc = err_nomem(err);
            } else {
                d->pending = grown;
                d->pending_cap = cap;
            }
        }
    }
    if (rc == QUARTET_OK)
        d->pending[d->pending_start + d->pending_count++] = (struct pending_commit){.no = no, .end = end, .durable = durable};
    pthread_mutex_unlock(&d->publish_lock);
    return rc;
}

/* publish_lock held. */
static void publish(db *d)
{
    apply_no no = 0;
    log_pos synced = commit_log_synced(d->log);
    while (d->pending_count > 0) {
        const struct pending_commit *p = &d->pending[d->pending_start];
        if (!p->durable && p->end > synced)
            break;
        no = p->no;
        d->pending_start++;
        d->pending_count--;
    }
    if (no == 0)
        return;
    size_t taken = 0;
    while (taken < d->catalog_count && d->catalogs[taken].from <= no)
        taken++;
    if (taken > 0) {
        catalog_unref(d->catalog_visible);
        for (size_t i = 0; i + 1 < taken; i++)
            catalog_unref(d->catalogs[i].catalog);
        d->catalog_visible = d->catalogs[taken - 1].catalog;
        d->catalog_count -= taken;
        memmove(d->catalogs, d->catalogs + taken, d->catalog_count * sizeof *d->catalogs);
    }
    kv_publish(d->store, no);
}

void db_publish(db *d)
{
    pthread_mutex_lock(&d->publish_lock);
    publish(d);
    pthread_mutex_unlock(&d->publish_lock);
}

void db_pending_done(db *d, apply_no no)
{
    pthread_mutex_lock(&d->publish_lock);
    for (size_t i = 0; i < d->pending_count; i++) {
        struct pending_commit *p = &d->pending[d->pending_start + i];
        if (p->no > no)
            break;
        p->durable = true; /* older ones too: their bytes lie before in the log, and a session must see its own commit when it returns */
    }
    publish(d);
    pthread_mutex_unlock(&d->publish_lock);
}

quartet_status db_catalog_reserve(db *d, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&d->publish_lock);
    if (d->catalog_count == d->catalog_cap) {
        size_t cap = d->catalog_cap == 0 ? 8 : d->catalog_cap * 2;
        struct pending_catalog *grown = mem_realloc(d->catalogs, cap, sizeof *grown);
        if (grown == NULL) {
            rc = err_nomem(err);
        } else {
            d->catalogs = grown;
            d->catalog_cap = cap;
        }
    }
    pthread_mutex_unlock(&d->publish_lock);
    return rc;
}

void db_catalog_set(db *d, struct catalog *fresh, apply_no from)
{
    pthread_mutex_lock(&d->publish_lock);
    QASSERT(d->catalog_count < d->catalog_cap);
    d->catalogs[d->catalog_count++] = (struct pending_catalog){.from = from, .catalog = catalog_ref(fresh)};
    pthread_mutex_unlock(&d->publish_lock);
    catalog_unref(d->catalog);
    d->catalog = fresh;
}

void db_publish_end(db *d)
{
    for (size_t i = 0; i < d->catalog_count; i++)
        catalog_unref(d->catalogs[i].catalog);
    catalog_unref(d->catalog_visible);
    mem_free(d->catalogs);
    mem_free(d->pending);
}

struct catalog *db_catalog(db *d)
{
    pthread_mutex_lock(&d->publish_lock);
    struct catalog *c = catalog_ref(d->catalog_visible);
    pthread_mutex_unlock(&d->publish_lock);
    return c;
}
