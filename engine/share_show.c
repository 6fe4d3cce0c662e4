/* share_show.c - SHOW SHARES [FROM t]: who may take how much from which bounded COUNTER, as far as this node knows.
 * Not here: what follows from it (share.c). */
#include "share.h"

#include <string.h>

#include "conn.h"
#include "types.h"

#define SHARE_SHOW_LINES_MAX 10000u /* the first ones, by table and key; name a table to see others */

enum { SHOW_TABLE, SHOW_KEY, SHOW_COLUMN, SHOW_BOUND, SHOW_NODE, SHOW_INCARNATION, SHOW_SHARE, SHOW_STATE, SHOW_COLUMNS };
static const char *const columns[] = {"table_name", "row_key", "column_name", "bound", "node", "incarnation", "share", "state"};

struct listing {
    db *d;
    const struct table_def *t;
    struct arena *a;     /* of what is given out */
    struct arena row;    /* of one row */
    struct conn_table *out;
    struct value *values;
    uint32_t cap;
    struct err *err;
};

static struct value copied(struct listing *l, struct buf *text)
{
    const char *s = text->failed ? NULL : arena_strndup(l->a, (const char *)text->data, text->len);
    struct value v = s != NULL ? value_text(s, text->len) : VALUE_NULL_INIT;
    buf_deinit(text);
    return v;
}

static quartet_status add_line(struct listing *l, const struct value *line)
{
    if (l->out->row_count == l->cap) {
        uint32_t cap = l->cap == 0 ? 32 : l->cap * 2;
        struct value *grown = arena_zalloc(l->a, (size_t)cap * SHOW_COLUMNS, sizeof *grown);
        if (grown == NULL)
            return arena_fail(l->a, l->err);
        if (l->cap > 0)
            memcpy(grown, l->values, (size_t)l->cap * SHOW_COLUMNS * sizeof *grown);
        l->out->values = l->values = grown;
        l->cap = cap;
    }
    memcpy(l->values + (size_t)l->out->row_count++ * SHOW_COLUMNS, line, SHOW_COLUMNS * sizeof *line);
    return QUARTET_OK;
}

/* Who may take from what the chain has. */
static const char *state_of(const db *d, struct chain_id chain)
{
    struct chain_id heir = share_heir(d, chain);
    if (!d->identity.member || chain_id_cmp(chain, share_self(d)) == 0)
        return "this node";
    if (chain_id_cmp(heir, share_self(d)) == 0)
        return "this node, from a run before";
    if (chain_id_cmp(heir, chain) != 0)
        return "closed: its node's next run has it";
    return chain.slot == d->identity.slot ? "a run before, not closed yet" : "its node's";
}

static quartet_status list_side(struct listing *l, struct slice key, const struct row_life *life, uint32_t at, uint8_t side, const struct share_move *moves,
                                uint32_t count)
{
    const struct column_def *c = &l->t->columns[l->t->record_columns[at]];
    const struct row_column *rc = &l->t->rows.columns[at];
    struct share_of of = {.table = l->t->id, .key = key, .column_id = l->t->record_ids[at], .side = side, .birth = life->birth.stamp,
                          .birth_chain = chain_id_of(&l->d->chains, life->birth.chain)};
    struct share_rooms rooms;
    quartet_status status = share_rooms(l->d, l->t, life, &of, moves, count, &l->row, &rooms, l->err);
    for (uint32_t i = 0; status == QUARTET_OK && i < rooms.count && l->out->row_count < SHARE_SHOW_LINES_MAX; i++) {
        struct value line[SHOW_COLUMNS];
        struct buf bound = {0}, state = {0}, name = {0}, column = {0}, incarnation = {0};
        struct value k = row_counter_value(rc, dec_get(c->bound.at[side]));
        buf_str(&bound, side == BOUNDED_MIN ? ">= " : "<= ");
        value_to_text(&k, &bound);
        buf_str(&name, l->t->name);
        buf_str(&column, c->name);
        buf_str(&state, state_of(l->d, rooms.room[i].chain));
        buf_printf(&incarnation, "%016llx", (unsigned long long)rooms.room[i].chain.incarnation);
        line[SHOW_TABLE] = copied(l, &name);
        line[SHOW_COLUMN] = copied(l, &column);
        line[SHOW_BOUND] = copied(l, &bound);
        line[SHOW_NODE] = value_int(rooms.room[i].chain.slot);
        line[SHOW_INCARNATION] = copied(l, &incarnation);
        line[SHOW_SHARE] = row_counter_value(rc, rooms.room[i].room);
        line[SHOW_STATE] = copied(l, &state);
        status = table_key_text(l->t, key, l->a, &line[SHOW_KEY], l->err);
        if (status == QUARTET_OK)
            status = add_line(l, line);
    }
    return status;
}

/* commit_lock held. */
static quartet_status list_row(struct listing *l, kv_snap *snap, struct slice key, struct slice record)
{
    struct row row;
    struct share_move *moves;
    uint32_t count;
    quartet_status rc = row_decode(record, &l->t->rows, &l->row, &row, l->err);
    if (rc == QUARTET_OK)
        rc = share_moves(l->d, snap, NULL, l->t->id, key, &l->row, &moves, &count, l->err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < row.life_count; i++)
        for (uint32_t at = 0; at < l->t->rows.count && !row.lives[i].ended && rc == QUARTET_OK; at++)
            for (uint8_t side = 0; side < BOUNDED_SIDES && rc == QUARTET_OK; side++)
                if (l->t->columns[l->t->record_columns[at]].bound.has[side])
                    rc = list_side(l, key, &row.lives[i], at, side, moves, count);
    return rc;
}

static quartet_status list_table(struct listing *l, kv_snap *snap)
{
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true, .records = true};
    struct kv_rows r;
    kv_iter *it = NULL;
    quartet_status rc = kv_iter_open(snap, NULL, l->t->id, &all, &want, &it, l->err);
    while (rc == QUARTET_OK && l->out->row_count < SHARE_SHOW_LINES_MAX) {
        rc = kv_iter_next(it, 0, &r, l->err);
        if (rc != QUARTET_OK || r.n == 0)
            break;
        for (uint32_t i = 0; i < r.n && rc == QUARTET_OK && l->out->row_count < SHARE_SHOW_LINES_MAX; i++) {
            arena_rewind(&l->row, (struct arena_mark){0});
            pthread_mutex_lock(&l->d->commit_lock);
            rc = list_row(l, snap, r.keys[i], r.records[i]);
            pthread_mutex_unlock(&l->d->commit_lock);
        }
    }
    kv_iter_close(it);
    return rc;
}

quartet_status share_show(db *d, const char *table, struct arena *a, struct conn_table *out, struct err *err)
{
    struct listing l = {.d = d, .a = a, .out = out, .err = err};
    struct catalog *catalog = db_catalog(d);
    const struct table_def *t;
    kv_snap *snap = NULL;
    *out = (struct conn_table){.columns = columns, .column_count = SHOW_COLUMNS};
    quartet_status rc = kv_snapshot(d->store, 0, &snap, err);
    if (rc == QUARTET_OK && table != NULL && catalog_table(catalog, table) == NULL)
        rc = err_set(err, QUARTET_ERROR, "no such table: %s", table);
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_table_at(catalog, i)) != NULL; i++) {
        if (!t->bounded || (table != NULL && name_cmp(t->name, table) != 0))
            continue;
        l.t = t;
        rc = list_table(&l, snap);
    }
    kv_release(snap);
    catalog_unref(catalog);
    arena_free_all(&l.row);
    return rc;
}
