/* share.c - does this node's share of a bounded COUNTER's room suffice for what a transaction takes? Looked at by statements, and by COMMIT under its lock.
 * Why twice: a statement can wait for other nodes and say what is lacking, but what it saw may be gone when the transaction commits; COMMIT sees what is so, and must
 *   not wait. In between nothing is held: a transaction that is overtaken runs again, as where anything else that it relied on has changed.
 * Why rooms are derived each time: they follow from the row and the moves of its key, which are read together; a sum kept beside them would be a second truth.
 * A closed chain's room belongs to its successor: all members agreed on both, so there is one, and nothing of the chain is missing once its last number is applied. What
 *   the successor takes of it makes no state break the bound: whoever has that delta has all of the closed chain, and the two rooms' sum is what counts.
 * A database never in a cluster holds all room, and so never asks.
 * Not here: asking and giving (share_move.c). */
#include "share.h"

#include <stdio.h>

#include "base/plant.h"
#include "conn.h"
#include "types.h"

#define SHARE_LOW 4         /* a share that is below 1/4 of a member's part of what the others hold is low */
#define SHARE_LOOK_MS 100u  /* who waits looks again at least so often */
#define SHARE_ROUNDS_MAX 4u /* all members have answered so many times, and it still does not suffice */

bool share_same(const struct share_of *a, const struct share_of *b)
{
    return a->table == b->table && a->column_id == b->column_id && a->side == b->side && a->birth == b->birth &&
           chain_id_cmp(a->birth_chain, b->birth_chain) == 0 && slice_eq(a->key, b->key);
}

struct chain_id share_self(const db *d)
{
    if (d->own_started || !d->identity.member)
        return chain_id_of(&d->chains, d->own);
    return (struct chain_id){.slot = d->identity.slot, .incarnation = d->run};
}

uint32_t share_members(const db *d)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        n += d->peers >> i & 1u;
    return n;
}

struct chain_id share_heir(const db *d, struct chain_id of)
{
    for (uint32_t hops = 0; hops < d->chains.count; hops++) {
        chain_no no;
        uint64_t number;
        struct chain_id next;
        if (!chain_find(&d->chains, of, &no) || !db_chain_closed(d, no, &number, &next) || vv_number(&d->applied, no) < number || next.incarnation == 0)
            break;
        of = next;
    }
    return of;
}

/* Whether this node may take from what that chain has. */
static bool is_mine(const db *d, struct chain_id chain)
{
    if (!d->identity.member || chain_id_cmp(chain, share_self(d)) == 0)
        return true;
    return chain.slot == d->identity.slot && chain_id_cmp(share_heir(d, chain), share_self(d)) == 0;
}

quartet_status share_rooms(db *d, const struct table_def *t, const struct row_life *life, const struct share_of *of, const struct share_move *moves, uint32_t count,
                           struct arena *a, struct share_rooms *out, struct err *err)
{
    struct bounded_move *own = arena_zalloc(a, count + 1u, sizeof *own);
    uint32_t n = 0, at = 0;
    *out = (struct share_rooms){0};
    if (own == NULL)
        return arena_fail(a, err);
    for (uint32_t i = 0; i < count; i++)
        if (moves[i].from.incarnation != 0 && share_same(&moves[i].of, of))
            own[n++] = (struct bounded_move){.from = moves[i].from, .to = moves[i].to, .amount = moves[i].amount};
    while (t->record_ids[at] != of->column_id)
        at++;
    const struct column_def *c = &t->columns[t->record_columns[at]];
    if (!bounded_rooms(&t->rows.columns[at], life, at, &c->bound, of->side, &d->chains, own, n, a, &out->room, &out->count))
        return arena_fail(a, err);
    for (uint32_t i = 0; i < out->count; i++) {
        out->all += out->room[i].room;
        out->mine += is_mine(d, out->room[i].chain) ? out->room[i].room : 0;
    }
    return QUARTET_OK;
}

/* ---- a row and what is wanted of it ---- */

struct need { /* of one bound */
    uint32_t record; /* position in the record */
    uint8_t side;
    __int128 by;
};
struct verdict { /* on one life */
    enum { SHARE_FITS, SHARE_LACKS, SHARE_NEVER } is; /* NEVER: not even all room together would do */
    struct share_of of; /* of the need that is not met; of several one that can never be. FITS: of the one that leaves least */
    struct need need;
    struct share_rooms rooms;
};
struct look {
    db *d;
    const struct table_def *t;
    struct slice key;
    struct need *needs;
    uint32_t need_count;
    struct arena *a;
    /* What came of it: */
    struct verdict best;
    struct ver life; /* that it fits, the newest where several do; {0, 0}: none, or the row has none */
    uint32_t lives;  /* unended ones */
    struct share_move *moves;
    uint32_t move_count;
    struct chain_id self;
    uint32_t peers; /* other members, a bit each */
};

/* A COUNTER's additions by record position to needs. */
static quartet_status needs_of(struct look *k, const __int128 *sums, struct err *err)
{
    k->needs = arena_zalloc(k->a, BOUNDED_SIDES * (size_t)k->t->rows.count + 1u, sizeof *k->needs);
    if (k->needs == NULL)
        return arena_fail(k->a, err);
    for (uint32_t i = 0; i < k->t->rows.count; i++)
        for (uint8_t side = 0; side < BOUNDED_SIDES; side++) {
            const struct column_def *c = &k->t->columns[k->t->record_columns[i]];
            __int128 by = bounded_takes(side, sums[i]);
            if (c->bound.has[side] && by > 0)
                k->needs[k->need_count++] = (struct need){.record = i, .side = side, .by = by};
        }
    return QUARTET_OK;
}

static quartet_status judge(struct look *k, const struct row_life *life, struct verdict *out, struct err *err)
{
    *out = (struct verdict){.is = SHARE_FITS};
    __int128 least = 0;
    for (uint32_t i = 0; i < k->need_count && out->is != SHARE_NEVER; i++) {
        const struct need *need = &k->needs[i];
        struct share_of of = {.table = k->t->id, .key = k->key, .column_id = k->t->record_ids[need->record], .side = need->side,
                              .birth = life->birth.stamp, .birth_chain = chain_id_of(&k->d->chains, life->birth.chain)};
        struct share_rooms rooms;
        quartet_status rc = share_rooms(k->d, k->t, life, &of, k->moves, k->move_count, k->a, &rooms, err);
        if (rc != QUARTET_OK)
            return rc;
        bool never = rooms.all < need->by;
        __int128 left = rooms.mine - need->by;
        if (out->is == SHARE_FITS && left >= 0 && (out->need.by == 0 || left < least)) {
            *out = (struct verdict){.is = SHARE_FITS, .of = of, .need = *need, .rooms = rooms};
            least = left;
        }
        if (plant_is(PLANT_SHARE_IGNORED) ? !never : rooms.mine >= need->by || (out->is == SHARE_LACKS && !never))
            continue;
        *out = (struct verdict){.is = never ? SHARE_NEVER : SHARE_LACKS, .of = of, .need = *need, .rooms = rooms};
    }
    return QUARTET_OK;
}

/* commit_lock held. */
static quartet_status look(struct look *k, kv_snap *snap, const struct kv_overlay *over, struct err *err)
{
    struct row row = {0};
    struct buf record = {0};
    k->best = (struct verdict){.is = SHARE_FITS};
    k->life = (struct ver){0};
    k->lives = 0;
    k->self = share_self(k->d);
    k->peers = k->d->peers;
    quartet_status rc = kv_get(snap, NULL, k->t->id, k->key, &record, err);
    if (rc == QUARTET_NOTFOUND) { /* purged meanwhile: there is nothing to take from */
        err_clear(err);
        buf_deinit(&record);
        return QUARTET_OK;
    }
    if (rc == QUARTET_OK)
        rc = row_decode(slice_of(record.data, record.len), &k->t->rows, k->a, &row, err);
    if (rc == QUARTET_OK && k->need_count > 0)
        rc = share_moves(k->d, snap, over, k->t->id, k->key, k->a, &k->moves, &k->move_count, err);
    for (uint32_t i = row.life_count; i-- > 0 && rc == QUARTET_OK;) { /* they are sorted by birth: the newest first */
        struct verdict v;
        if (row.lives[i].ended)
            continue;
        k->lives++;
        if (k->life.stamp != 0 || (k->t->rows.updates_win && k->lives > 1))
            continue; /* one is found; or operations name all lives, and the newest takes what is added */
        rc = judge(k, &row.lives[i], &v, err);
        if (v.is == SHARE_FITS)
            k->life = row.lives[i].birth;
        if (k->lives == 1 || v.is < k->best.is || (v.is == k->best.is && v.rooms.mine > k->best.rooms.mine))
            k->best = v;
    }
    buf_deinit(&record);
    return rc;
}

/* ---- statements ---- */

/* All that the transaction adds to the row, these writes included, by record position. *inserted: it made the row itself. */
static quartet_status sums_of(txn *t, const struct table_def *table, struct slice key, const struct value *old, const struct table_write *writes, uint32_t count,
                              struct arena *a, __int128 **out, bool *inserted, struct err *err)
{
    struct slice record;
    struct pending prior;
    bool own, found;
    __int128 *sums = arena_zalloc(a, table->rows.count + 1u, sizeof *sums);
    quartet_status rc = sums == NULL ? arena_fail(a, err) : txn_row(t, table->id, key, t->statement, &record, &own, &found, err);
    *out = sums;
    *inserted = false;
    if (rc != QUARTET_OK || !found)
        return rc;
    if (own && pending_read(record, &prior) && prior.live) {
        *inserted = (prior.flags & ROW_OP_INSERT) != 0;
        struct pending_item item;
        while (!*inserted && pending_next(&prior.items, &table->rows, &item))
            sums[item.column] = item.sum; /* 0 where it is no COUNTER */
    }
    for (uint32_t i = 0; i < count; i++) {
        int32_t at = table->columns[writes[i].column].record_at;
        if (at < 0 || table->rows.columns[at].kind != ROW_COUNTER || !bounded_any(&table->columns[writes[i].column].bound))
            continue;
        const struct row_column *c = &table->rows.columns[at];
        __int128 before = writes[i].op == ROW_ADD ? 0 : row_counter_number(c, &old[writes[i].column]);
        sums[at] += row_counter_number(c, &writes[i].value) - before;
    }
    return QUARTET_OK;
}

static quartet_status look_now(txn *t, struct look *k, struct err *err)
{
    kv_snap *latest = NULL;
    if (!t->exclusive)
        pthread_mutex_lock(&t->d->commit_lock);
    quartet_status rc = kv_snapshot_latest(t->d->store, &latest, err);
    if (rc == QUARTET_OK)
        rc = look(k, latest, NULL, err);
    kv_release(latest);
    if (!t->exclusive)
        pthread_mutex_unlock(&t->d->commit_lock);
    return rc;
}

/* Which other members have not answered this request? Bits by slot. */
static uint32_t silent_members(const struct look *k, int64_t asked)
{
    uint32_t silent = k->peers;
    for (uint32_t i = 0; i < k->move_count; i++) {
        const struct share_move *m = &k->moves[i];
        if (m->from.incarnation != 0 && m->from.slot < SLOTS_MAX && m->asked >= asked && chain_id_cmp(m->to, k->self) == 0 && share_same(&m->of, &k->best.of))
            silent &= ~(1u << m->from.slot);
    }
    return silent;
}

static void put_number(struct buf *out, const struct row_column *c, __int128 n)
{
    struct value v = row_counter_value(c, n);
    value_to_text(&v, out);
}

/* "stock.n: 5 are to be taken, this node may take 2 of the 40 that are left" and why there are no more. */
static quartet_status lacking(const struct look *k, const char *why, uint32_t silent, struct err *err)
{
    struct buf text = {0};
    const struct row_column *rc = &k->t->rows.columns[k->best.need.record];
    const struct column_def *c = &k->t->columns[k->t->record_columns[k->best.need.record]];
    bool low = k->best.need.side == BOUNDED_MIN;
    buf_printf(&text, "%s.%s %s ", k->t->name, c->name, low ? ">=" : "<=");
    put_number(&text, rc, dec_get(c->bound.at[k->best.need.side]));
    buf_str(&text, ": this node's share lets it ");
    buf_str(&text, low ? "subtract " : "add ");
    put_number(&text, rc, k->best.rooms.mine > 0 ? k->best.rooms.mine : 0);
    buf_str(&text, " of the ");
    put_number(&text, rc, k->best.rooms.all);
    buf_str(&text, " that are left, not ");
    put_number(&text, rc, k->best.need.by);
    buf_printf(&text, "; %s", why);
    for (uint32_t slot = 0, n = 0; slot < SLOTS_MAX; slot++)
        if ((silent >> slot & 1u) != 0)
            buf_printf(&text, "%s%u", n++ == 0 ? ": no answer from node " : ", node ", slot);
    buf_u8(&text, 0);
    quartet_status status = text.failed ? err_nomem(err)
                            : k->best.is == SHARE_NEVER ? err_set(err, QUARTET_CONSTRAINT, "CHECK constraint failed: %s", (const char *)text.data)
                                                        : err_set(err, QUARTET_UNAVAILABLE, "%s", (const char *)text.data);
    buf_deinit(&text);
    return status;
}

/* Waits a little for news. False: the time is over, or the statement is to end; then *rc says so where it was interrupted. */
static bool wait_for_news(txn *t, uint64_t *news, quartet_status *rc, struct err *err)
{
    const struct conn_node_hooks *hooks = db_node_hooks(t->d);
    uint64_t now = t->d->env->ops->mono_ns(t->d->env);
    if (t->exclusive || hooks->wait_news == NULL || t->share_until_ns == NULL)
        return false;
    if (*t->share_until_ns == 0)
        *t->share_until_ns = now + (uint64_t)t->share_timeout_ms * 1000000u;
    if (now >= *t->share_until_ns)
        return false;
    uint64_t left_ms = (*t->share_until_ns - now) / 1000000u + 1;
    if (!hooks->wait_news(hooks->ctx, news, left_ms < SHARE_LOOK_MS ? (uint32_t)left_ms : SHARE_LOOK_MS))
        return false;
    if (t->share_interrupted != NULL && __atomic_load_n(t->share_interrupted, __ATOMIC_RELAXED) != 0) {
        *rc = err_set(err, QUARTET_INTERRUPTED, "interrupted while waiting for other nodes' share of a COUNTER");
        return false;
    }
    return true;
}

/* Asks, and waits until there is enough. */
static quartet_status fetch(txn *t, struct look *k, struct err *err)
{
    uint64_t news = 0, since = t->d->env->ops->mono_ns(t->d->env);
    int64_t asked = 0, waits = 0;
    uint32_t silent = 0, rounds = 0;
    struct share_of of = {0};
    bool more = true;
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && k->best.is == SHARE_LACKS && more) {
        if (asked == 0 || !share_same(&of, &k->best.of) || (silent == 0 && rounds < SHARE_ROUNDS_MAX)) { /* the first time, or who answered had too little then */
            if (waits != 0)
                share_wait_end(t->d, &of, waits);
            waits = 0;
            of = k->best.of;
            rounds++;
            rc = share_ask(t->d, &of, k->best.need.by - k->best.rooms.mine, &asked, err);
            if (rc != QUARTET_OK)
                break;
            share_wait_begin(t->d, &of, waits = asked, k->best.need.by);
        }
        more = wait_for_news(t, &news, &rc, err);
        if (rc == QUARTET_OK)
            rc = look_now(t, k, err);
        silent = rc == QUARTET_OK && k->best.is == SHARE_LACKS ? silent_members(k, asked) : 0;
        more = more && (silent != 0 || rounds < SHARE_ROUNDS_MAX);
    }
    if (waits != 0)
        share_wait_end(t->d, &of, waits);
    if (rc != QUARTET_OK || k->best.is != SHARE_LACKS)
        return rc;
    char why[64];
    snprintf(why, sizeof why, "the others gave no more within %llu ms",
             (unsigned long long)((t->d->env->ops->mono_ns(t->d->env) - since) / 1000000u));
    return lacking(k, why, silent, err);
}

quartet_status share_check(txn *t, const struct table_def *table, struct slice key, const struct value *old, const struct table_write *writes, uint32_t count,
                           struct err *err)
{
    struct arena a = {0};
    struct look k = {.d = t->d, .t = table, .key = key, .a = &a};
    __int128 *sums;
    bool inserted;
    quartet_status rc = sums_of(t, table, key, old, writes, count, &a, &sums, &inserted, err);
    if (rc == QUARTET_OK && !inserted)
        rc = needs_of(&k, sums, err);
    if (rc == QUARTET_OK && k.need_count > 0)
        rc = look_now(t, &k, err);
    if (rc == QUARTET_OK && k.need_count > 0 && k.best.is == SHARE_LACKS)
        rc = fetch(t, &k, err);
    if (rc == QUARTET_OK && k.need_count > 0 && k.best.is == SHARE_NEVER)
        rc = lacking(&k, k.lives > 1 ? "the row was inserted on several nodes at once, and one change can take from one of these INSERTs only" : "no node has more", 0,
                     err);
    arena_free_all(&a);
    return rc;
}

quartet_status share_begin(const struct table_def *table, const struct value *values, struct err *err)
{
    for (uint32_t i = 0; i < table->rows.count; i++) {
        const struct column_def *c = &table->columns[table->record_columns[i]];
        if (bounded_any(&c->bound) && !bounded_holds(&c->bound, row_counter_number(&table->rows.columns[i], &values[table->record_columns[i]])))
            return err_set(err, QUARTET_CONSTRAINT, "CHECK constraint failed: the COUNTER column %s.%s would begin beyond its bound (one without a value begins at 0)",
                           table->name, c->name);
    }
    return QUARTET_OK;
}

/* ---- COMMIT ---- */

/* The share is running low while others hold much: ask for a fair part before somebody has to wait for it. */
static void ask_early(db *d, const struct look *k)
{
    const struct share_rooms *r = &k->best.rooms;
    __int128 left = r->mine - k->best.need.by, others = r->all - r->mine;
    struct err ignored = ERR_INIT;
    int64_t asked;
    uint64_t now = d->env->ops->mono_ns(d->env);
    if (!d->identity.member || d->peers == 0 || k->best.need.by == 0 || left > others / (SHARE_LOW * (__int128)share_members(d)))
        return;
    if (!share_may_ask_early(d, &k->best.of, now))
        return;
    if (share_ask(d, &k->best.of, 0, &asked, &ignored) != QUARTET_OK)
        return; /* nobody needs it yet */
}

quartet_status share_commit(txn *t, const struct table_def *table, struct slice key, const struct row_op *op, struct ver *life, struct err *err)
{
    db *d = t->d;
    struct arena a = {0};
    struct look k = {.d = d, .t = table, .key = key, .a = &a};
    kv_snap *latest = NULL;
    bool adds = false;
    *life = (struct ver){0};
    if ((op->flags & (ROW_OP_INSERT | ROW_OP_DELETE)) != 0)
        return QUARTET_OK;
    __int128 *sums = arena_zalloc(&a, table->rows.count + 1u, sizeof *sums);
    quartet_status rc = sums == NULL ? arena_fail(&a, err) : QUARTET_OK;
    for (uint32_t i = 0; rc == QUARTET_OK && i < op->write_count; i++)
        if (op->writes[i].op == ROW_ADD && bounded_any(&table->columns[table->record_columns[op->writes[i].column]].bound)) {
            adds = true;
            sums[op->writes[i].column] = row_counter_number(&table->rows.columns[op->writes[i].column], &op->writes[i].value);
        }
    if (rc == QUARTET_OK && adds)
        rc = needs_of(&k, sums, err);
    if (rc == QUARTET_OK && adds && t->snap_at != d->applied_no)
        rc = kv_snapshot_latest(d->store, &latest, err);
    if (rc == QUARTET_OK && adds)
        rc = look(&k, latest != NULL ? latest : t->snap, NULL, err);
    kv_release(latest);
    if (rc == QUARTET_OK && adds && k.best.is != SHARE_FITS)
        rc = err_set(err, QUARTET_SERIALIZATION,
                     "another transaction took from this node's share of a COUNTER of table %s: nothing was written, retry the transaction", table->name);
    if (rc == QUARTET_OK && k.best.is == SHARE_FITS)
        ask_early(d, &k);
    *life = k.life;
    arena_free_all(&a);
    return rc;
}
