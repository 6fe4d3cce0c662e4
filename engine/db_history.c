/* db_history.c - how far back history goes: the setting history_retention, what it means as stamps, and when a stamp is stable.
 * Why a mark beside the setting: what was dropped under a short retention does not come back when a longer one is set.
 * Invariants: history_from never goes down; what is dropped is older than history_from as the checkpoint of the same flush has it.
 * Not here: what is kept (apply.c), where it is dropped (kv_merge.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datetime.h"
#include "txn_internal.h"

static hlc_stamp floor_of(db *d, uint64_t retention_ms)
{
    uint64_t now = env_wall_ms(d->env);
    if (retention_ms == 0)
        return UINT64_MAX;
    return now > retention_ms ? hlc_make(now - retention_ms, 0, 0) : 0;
}

hlc_stamp db_history_floor(db *d)
{
    return floor_of(d, atomic_load_explicit(&d->history_ms, memory_order_relaxed));
}

static void raise_to(db *d, hlc_stamp from)
{
    if (from > atomic_load(&d->history_from))
        atomic_store(&d->history_from, from);
}

/* Without history nothing before the newest stamp can be told. */
static hlc_stamp newest_applied(const db *d)
{
    hlc_stamp newest = 0;
    for (uint32_t i = 0; i < d->applied.count; i++)
        newest = d->applied.e[i].stamp > newest ? d->applied.e[i].stamp : newest;
    return newest;
}

void db_history_raise(db *d)
{
    hlc_stamp floor = db_history_floor(d);
    raise_to(d, floor == UINT64_MAX ? newest_applied(d) : floor);
}

uint64_t db_history_cut(void *ctx)
{
    db *d = ctx;
    return atomic_load(&d->history_from);
}

void db_history_set(db *d, uint64_t retention_ms)
{
    if (atomic_load(&d->history_ms) == retention_ms)
        return;
    db_history_raise(d); /* what the old setting let go is gone */
    atomic_store(&d->history_ms, retention_ms);
}

uint64_t db_history_ms(db *d)
{
    return atomic_load(&d->history_ms);
}

quartet_status db_history_check(db *d, hlc_stamp as_of, struct err *err)
{
    char text[TYPES_NUMBER_TEXT_BYTES];
    hlc_stamp floor = db_history_floor(d), from = atomic_load(&d->history_from);
    if (floor == UINT64_MAX)
        return err_set(err, QUARTET_TOO_OLD, "no history is kept: history_retention is 0");
    from = floor > from ? floor : from;
    if (as_of >= from)
        return QUARTET_OK;
    size_t n = datetime_format_timestamp((int64_t)hlc_ms(from) * 1000, text);
    return err_set(err, QUARTET_TOO_OLD, "history goes back to %.*s (stamp %llu), not to stamp %llu; history_retention is %llu h", (int)n, text,
                   (unsigned long long)from, (unsigned long long)as_of, (unsigned long long)(atomic_load(&d->history_ms) / 3600000u));
}

hlc_stamp db_stamp_of_time(int64_t us)
{
    if (us < 0)
        return 0;
    uint64_t ms = (uint64_t)us / 1000;
    return ms >= (UINT64_C(1) << 46) - 1 ? UINT64_MAX : hlc_make(ms, UINT16_MAX, 3);
}

/* The newest stamp of each slot that ever wrote here; the least of them is stable, since the stamps of a slot only grow and come in order. */
static hlc_stamp least_of_slots(const db *d)
{
    hlc_stamp newest[SLOTS_MAX] = {0}, least = UINT64_MAX;
    for (uint32_t i = 0; i < d->applied.count; i++) {
        const struct vv_entry *e = &d->applied.e[i];
        uint8_t slot = chain_id_of(&d->chains, e->chain).slot & (SLOTS_MAX - 1);
        newest[slot] = e->stamp > newest[slot] ? e->stamp : newest[slot];
    }
    for (uint32_t s = 0; s < SLOTS_MAX; s++)
        if (newest[s] != 0 && s != d->identity.slot && newest[s] < least)
            least = newest[s];
    return least;
}

hlc_stamp txn_newest_stamp(txn *t, bool stable)
{
    db *d = t->d;
    if (!t->exclusive)
        pthread_mutex_lock(&d->commit_lock);
    hlc_stamp out = newest_applied(d), now = hlc_make(env_wall_ms(d->env), 0, 0);
    if (stable) {
        /* The own clock has not given what lies below now, and from here on it will not. */
        if (now > 4 && now - 4 > d->clock.last)
            d->clock.last = now - 4;
        hlc_stamp own = d->clock.last | 3u, others = d->identity.member ? least_of_slots(d) : UINT64_MAX;
        out = others < own ? others : own;
    }
    if (!t->exclusive)
        pthread_mutex_unlock(&d->commit_lock);
    return out;
}

/* ---- the setting ---- */

quartet_status db_history_load(db *d, struct err *err)
{
    kv_snap *snap = NULL;
    struct buf key = {0}, record = {0};
    struct record_view view;
    struct value v = value_text("history_retention", strlen("history_retention"));
    const struct table_def *t = catalog_table_by_id(d->catalog, SYS_SETTINGS);
    uint64_t ms = DB_HISTORY_MS_DEFAULT;
    key_put(&key, &t->keys[0], &v);
    quartet_status rc = key.failed ? err_nomem(err) : kv_snapshot_latest(d->store, &snap, err);
    if (rc == QUARTET_OK)
        rc = kv_get(snap, NULL, SYS_SETTINGS, slice_of(key.data, key.len), &record, err);
    kv_release(snap);
    if (rc == QUARTET_OK && record_view(slice_of(record.data, record.len), &view) && (view.flags & RECORD_LIVE) != 0) {
        struct bytes_in in = bytes_in(view.values.p, view.values.n);
        char text[32] = "";
        if (value_decode(&in, &v) && v.type == VALUE_TEXT && v.s.n < sizeof text) {
            memcpy(text, v.s.p, v.s.n);
            ms = strtoull(text, NULL, 10);
        }
    }
    if (rc == QUARTET_NOTFOUND) {
        err_clear(err);
        rc = QUARTET_OK;
    }
    if (rc == QUARTET_OK && d->recovering)
        atomic_store(&d->history_ms, ms); /* it is what it was */
    else if (rc == QUARTET_OK)
        db_history_set(d, ms);
    buf_deinit(&key);
    buf_deinit(&record);
    return rc;
}
