/* share_move.c - how room gets from one node to another: rows of quartet_share_moves.
 * How: who lacks room writes a row that says of what and how much. Every other member answers it once, by a row that says how much it has given to that chain so far, all
 *   in all; what it has not got it cannot give, and says so. Both are ordinary transactions, so they are durable, signed, relayed by whoever has them, and a move
 *   comes after everything that made the room it gives.
 * Why a giver gives a fair part at least: the next statement would ask again. Who has less than is lacking gives all, so what is left anywhere can be spent anywhere.
 * Why the older request goes first where two nodes ask each other: each would give what it has to the other for ever.
 * Invariants: a row is written by its giver alone (a request: by the asker), and what was given only grows while the life lives. A giver looks at its room and writes
 *   under the commit lock. Rows go when the life they speak of has ended: whoever sees them go sees it ended.
 * Not here: how much room there is (share.c). */
#include "share.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/plant.h"
#include "system_table.h"

#define SHARE_ITEMS_MAX 4096u     /* requests of one kind that wait in memory; more are forgotten, and asked again by who still needs them */
#define SHARE_ANSWERS_MAX 256u    /* of one tick, which holds the commit lock */
#define SHARE_EARLY_SLOTS 64u
#define SHARE_EARLY_MS 1000u
#define SHARE_SWEEP_MS 10000u
#define SHARE_SWEEP_ROWS 512u

struct item {
    struct item *next;
    struct share_of of; /* its key follows */
    struct chain_id to; /* who asks */
    __int128 lacking;
    int64_t asked;
};
struct items {
    struct item *first, **end;
    uint32_t count;
};
struct shares {
    pthread_mutex_t lock;
    struct items asks;   /* to be written */
    struct items wishes; /* of other members, to be answered */
    struct items waits;  /* of sessions: `lacking` is all they need */
    int64_t last_asked;
    uint64_t early_ns[SHARE_EARLY_SLOTS]; /* by a hash of what was asked for: when somebody did so early */
    uint64_t swept_ns;
    struct buf sweep_from; /* key from which on the next sweep looks */
};

static void items_init(struct items *l)
{
    *l = (struct items){.first = NULL};
    l->end = &l->first;
}

static void items_free(struct items *l)
{
    for (struct item *i = l->first, *next; i != NULL; i = next) {
        next = i->next;
        mem_free(i);
    }
    items_init(l);
}

/* A copy of `like`, at the end. NULL: no memory, or too many. */
static struct item *items_add(struct items *l, const struct item *like)
{
    struct item *i = l->count < SHARE_ITEMS_MAX ? mem_zalloc(1, sizeof *i + like->of.key.n) : NULL;
    if (i == NULL)
        return NULL;
    *i = *like;
    i->next = NULL;
    if (like->of.key.n > 0)
        memcpy(i + 1, like->of.key.p, like->of.key.n);
    i->of.key = slice_of((const uint8_t *)(i + 1), like->of.key.n);
    *l->end = i;
    l->end = &i->next;
    l->count++;
    return i;
}

static struct item *items_take(struct items *l)
{
    struct item *i = l->first;
    if (i == NULL)
        return NULL;
    l->first = i->next;
    l->count--;
    if (l->first == NULL)
        l->end = &l->first;
    return i;
}

quartet_status shares_new(struct shares **out, struct err *err)
{
    struct shares *s = mem_zalloc(1, sizeof *s);
    if (s == NULL || pthread_mutex_init(&s->lock, NULL) != 0) {
        mem_free(s);
        return err_nomem(err);
    }
    items_init(&s->asks);
    items_init(&s->wishes);
    items_init(&s->waits);
    *out = s;
    return QUARTET_OK;
}

void shares_free(struct shares *s)
{
    if (s == NULL)
        return;
    items_free(&s->asks);
    items_free(&s->wishes);
    items_free(&s->waits);
    buf_deinit(&s->sweep_from);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* ---- requests in memory ---- */

quartet_status share_ask(db *d, const struct share_of *of, __int128 lacking, int64_t *asked, struct err *err)
{
    struct shares *s = d->shares;
    struct item like = {.of = *of, .lacking = lacking}, *i;
    int64_t now = (int64_t)d->env->ops->wall_us(d->env);
    if (of->key.n > SHARE_KEY_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "the primary key has %zu bytes: rows whose key has more than %u cannot be spent from on other nodes", of->key.n,
                       SHARE_KEY_BYTES_MAX);
    pthread_mutex_lock(&s->lock);
    for (i = s->asks.first; i != NULL && !share_same(&i->of, of);)
        i = i->next;
    if (i == NULL)
        i = items_add(&s->asks, &like);
    if (i != NULL) {
        i->lacking = lacking > i->lacking ? lacking : i->lacking;
        i->asked = s->last_asked = now > s->last_asked ? now : s->last_asked + 1;
        *asked = i->asked;
    }
    bool full = i == NULL && s->asks.count >= SHARE_ITEMS_MAX;
    pthread_mutex_unlock(&s->lock);
    if (i == NULL && !full)
        return err_nomem(err);
    if (i == NULL)
        return err_set(err, QUARTET_LIMIT, "more than %u requests for shares of COUNTERs wait to be sent", SHARE_ITEMS_MAX);
    db_notify(d);
    return QUARTET_OK;
}

bool share_may_ask_early(db *d, const struct share_of *of, uint64_t now_ns)
{
    struct shares *s = d->shares;
    uint64_t *at = &s->early_ns[hash64(of->key.p, of->key.n, of->table ^ of->birth ^ (uint64_t)of->column_id << 8 ^ of->side) % SHARE_EARLY_SLOTS];
    pthread_mutex_lock(&s->lock);
    bool may = *at == 0 || now_ns - *at >= (uint64_t)SHARE_EARLY_MS * 1000000u;
    if (may)
        *at = now_ns;
    pthread_mutex_unlock(&s->lock);
    return may;
}

void share_wait_begin(db *d, const struct share_of *of, int64_t asked, __int128 need)
{
    struct item like = {.of = *of, .asked = asked, .lacking = need};
    pthread_mutex_lock(&d->shares->lock);
    (void)items_add(&d->shares->waits, &like); /* without memory for it, it only has no precedence */
    pthread_mutex_unlock(&d->shares->lock);
}

void share_wait_end(db *d, const struct share_of *of, int64_t asked)
{
    struct items *l = &d->shares->waits;
    pthread_mutex_lock(&d->shares->lock);
    for (struct item **at = &l->first; *at != NULL; at = &(*at)->next)
        if ((*at)->asked == asked && share_same(&(*at)->of, of)) {
            struct item *gone = *at;
            *at = gone->next;
            if (l->end == &gone->next)
                l->end = at;
            l->count--;
            mem_free(gone);
            break;
        }
    pthread_mutex_unlock(&d->shares->lock);
}

/* What sessions of this node need that asked before that request. */
static __int128 needed_first(db *d, const struct share_of *of, int64_t asked, struct chain_id by)
{
    __int128 need = 0;
    pthread_mutex_lock(&d->shares->lock);
    for (const struct item *i = d->shares->waits.first; i != NULL; i = i->next)
        if ((i->asked < asked || (i->asked == asked && chain_id_cmp(share_self(d), by) < 0)) && share_same(&i->of, of))
            need += i->lacking;
    pthread_mutex_unlock(&d->shares->lock);
    return need;
}

/* ---- rows ---- */

static const struct table_def *moves_table(const db *d)
{
    return catalog_table_by_id(d->catalog, SYS_SHARES);
}

static struct chain_id chain_value(const struct value *slot, const struct value *incarnation)
{
    return (struct chain_id){.slot = (uint8_t)slot->i, .incarnation = (uint64_t)incarnation->i};
}

static bool slot_value(const struct value *v)
{
    return v->type == VALUE_INTEGER && v->i >= 0 && v->i < SLOTS_MAX;
}

/* Rows come from other members: what is none of ours says nothing, alike on every node. */
static bool read_move(const struct value *v, struct share_move *out)
{
    if (v[SHARE_AMOUNT].type != VALUE_DECIMAL || v[SHARE_ASKED].type != VALUE_INTEGER || v[SHARE_KEY].type != VALUE_BLOB || !slot_value(&v[SHARE_BIRTH_SLOT]) ||
        !slot_value(&v[SHARE_FROM_SLOT]) || !slot_value(&v[SHARE_TO_SLOT]) || v[SHARE_SIDE].i < 0 || v[SHARE_SIDE].i >= (int64_t)BOUNDED_SIDES)
        return false;
    *out = (struct share_move){.of = {.table = (tree_id)v[SHARE_TABLE_ID].i, .key = v[SHARE_KEY].s, .column_id = (uint32_t)v[SHARE_COLUMN_ID].i,
                                      .side = (uint8_t)v[SHARE_SIDE].i, .birth = (hlc_stamp)v[SHARE_BIRTH_STAMP].i,
                                      .birth_chain = chain_value(&v[SHARE_BIRTH_SLOT], &v[SHARE_BIRTH_INCARNATION])},
                               .from = chain_value(&v[SHARE_FROM_SLOT], &v[SHARE_FROM_INCARNATION]),
                               .to = chain_value(&v[SHARE_TO_SLOT], &v[SHARE_TO_INCARNATION]),
                               .amount = dec_get(v[SHARE_AMOUNT].dec), .asked = v[SHARE_ASKED].i};
    return out->amount >= 0 && out->to.incarnation != 0;
}

static void put_move(const struct share_move *m, struct value *v)
{
    v[SHARE_TABLE_ID] = value_int((int64_t)m->of.table);
    v[SHARE_KEY] = (struct value){.type = VALUE_BLOB, .s = m->of.key};
    v[SHARE_COLUMN_ID] = value_int(m->of.column_id);
    v[SHARE_SIDE] = value_int(m->of.side);
    v[SHARE_BIRTH_STAMP] = value_int((int64_t)m->of.birth);
    v[SHARE_BIRTH_SLOT] = value_int(m->of.birth_chain.slot);
    v[SHARE_BIRTH_INCARNATION] = value_int((int64_t)m->of.birth_chain.incarnation);
    v[SHARE_FROM_SLOT] = value_int(m->from.slot);
    v[SHARE_FROM_INCARNATION] = value_int((int64_t)m->from.incarnation);
    v[SHARE_TO_SLOT] = value_int(m->to.slot);
    v[SHARE_TO_INCARNATION] = value_int((int64_t)m->to.incarnation);
    v[SHARE_AMOUNT] = (struct value){.type = VALUE_DECIMAL, .dec = dec_make(m->amount)};
    v[SHARE_ASKED] = value_int(m->asked);
}

struct move_list {
    struct share_move *item;
    uint32_t count, cap;
    struct slice key; /* of the row that all of them are about; the caller's */
    struct arena *a;
};

static quartet_status add_move(void *arg, const struct value *v, struct slice key, struct slice record, struct err *err)
{
    struct move_list *l = arg;
    struct share_move m;
    (void)key, (void)record; /* the shape of system_take */
    if (!read_move(v, &m))
        return QUARTET_OK;
    m.of.key = l->key;
    if (l->count == l->cap) {
        uint32_t grown = l->cap == 0 ? 8 : l->cap * 2;
        struct share_move *more = arena_zalloc(l->a, grown, sizeof *more);
        if (more == NULL)
            return arena_fail(l->a, err);
        if (l->count > 0)
            memcpy(more, l->item, l->count * sizeof *more);
        l->item = more;
        l->cap = grown;
    }
    l->item[l->count++] = m;
    return QUARTET_OK;
}

quartet_status share_moves(db *d, kv_snap *snap, const struct kv_overlay *over, tree_id table, struct slice key, struct arena *a, struct share_move **out,
                           uint32_t *count, struct err *err)
{
    const struct table_def *t = moves_table(d);
    struct move_list list = {.key = key, .a = a};
    struct value first[SHARE_COLUMNS];
    struct buf lo = {0}, hi = {0};
    *out = NULL;
    *count = 0;
    if (key.n > SHARE_KEY_BYTES_MAX)
        return QUARTET_OK;
    put_move(&(struct share_move){.of = {.table = table, .key = key}}, first);
    key_put(&lo, &t->keys[SHARE_TABLE_ID], &first[SHARE_TABLE_ID]);
    key_put(&lo, &t->keys[SHARE_KEY], &first[SHARE_KEY]);
    buf_put(&hi, lo.data, lo.len);
    bool open = !key_prefix_end(&hi);
    struct kv_range range = {.lo = slice_of(lo.data, lo.len), .hi = slice_of(hi.data, hi.len), .hi_open = open};
    quartet_status rc = lo.failed || hi.failed ? err_nomem(err) : system_rows(snap, over, t, &range, NULL, add_move, &list, err);
    *out = list.item;
    *count = list.count;
    buf_deinit(&lo);
    buf_deinit(&hi);
    return rc;
}

/* The row as it is to be, instead of what there is of it. */
static quartet_status write_move(txn *t, const struct share_move *m, struct err *err)
{
    const struct table_def *def = moves_table(t->d);
    struct value row[SHARE_COLUMNS];
    put_move(m, row);
    return system_put(t, def, row, (const uint32_t[]){SHARE_AMOUNT, SHARE_ASKED}, 2, err);
}

void share_noted(db *d, struct slice key)
{
    const struct table_def *t = moves_table(d);
    struct bytes_in in = bytes_in(key.p, key.n);
    struct value v[SHARE_COLUMNS];
    struct arena a = {0};
    struct share_move m;
    bool ok = t != NULL && !d->recovering;
    for (uint32_t i = 0; ok && i < t->key_count; i++)
        ok = key_get(&in, &t->keys[i], &v[t->key_columns[i]], &a);
    v[SHARE_AMOUNT] = (struct value){.type = VALUE_DECIMAL};
    v[SHARE_ASKED] = value_int(0);
    if (ok && read_move(v, &m) && m.from.incarnation == 0 && m.to.slot != d->identity.slot && m.of.key.n <= SHARE_KEY_BYTES_MAX) {
        struct item like = {.of = m.of, .to = m.to};
        bool known = false;
        pthread_mutex_lock(&d->shares->lock);
        for (const struct item *i = d->shares->wishes.first; i != NULL && !known; i = i->next)
            known = chain_id_cmp(i->to, m.to) == 0 && share_same(&i->of, &m.of);
        if (!known)
            (void)items_add(&d->shares->wishes, &like); /* without memory it is not answered, and will be asked again */
        pthread_mutex_unlock(&d->shares->lock);
    }
    arena_free_all(&a);
}

/* ---- answers; the commit lock is held by the transaction ---- */

static const struct share_move *find_move(const struct share_move *moves, uint32_t count, const struct share_of *of, struct chain_id from, struct chain_id to)
{
    for (uint32_t i = 0; i < count; i++)
        if (chain_id_cmp(moves[i].from, from) == 0 && chain_id_cmp(moves[i].to, to) == 0 && share_same(&moves[i].of, of))
            return &moves[i];
    return NULL;
}

/* The table and the record position of the column, if there still is such a bound. */
static const struct table_def *bound_of(const db *d, const struct share_of *of)
{
    const struct table_def *t = catalog_table_by_id(d->catalog, of->table);
    for (uint32_t i = 0; t != NULL && !t->dropped && i < t->rows.count; i++)
        if (t->record_ids[i] == of->column_id && t->columns[t->record_columns[i]].bound.has[of->side])
            return t;
    return NULL;
}

/* The unended life that a move speaks of; NULL: there is none. */
static const struct row_life *life_of(const db *d, const struct row *row, const struct share_of *of)
{
    for (uint32_t i = 0; i < row->life_count; i++)
        if (!row->lives[i].ended && row->lives[i].birth.stamp == of->birth &&
            chain_id_cmp(chain_id_of(&d->chains, row->lives[i].birth.chain), of->birth_chain) == 0)
            return &row->lives[i];
    return NULL;
}

/* The row in the transaction's snapshot, which is the newest state; no lives: it is not there. */
static quartet_status row_of(txn *t, const struct table_def *table, struct slice key, struct buf *record, struct arena *a, struct row *row, struct err *err)
{
    *row = (struct row){0};
    buf_clear(record);
    quartet_status rc = kv_get(t->snap, NULL, table->id, key, record, err);
    if (rc == QUARTET_NOTFOUND) {
        err_clear(err);
        return QUARTET_OK;
    }
    return rc == QUARTET_OK ? row_decode(slice_of(record->data, record->len), &table->rows, a, row, err) : rc;
}

static __int128 to_give(db *d, const struct share_move *wish, __int128 mine)
{
    __int128 left = mine - needed_first(d, &wish->of, wish->asked, wish->to);
    __int128 fair = left / (__int128)share_members(d);
    if (left <= 0)
        return 0;
    __int128 give = wish->amount > fair ? wish->amount : fair;
    return give < left ? give : left;
}

static quartet_status answer(txn *t, const struct item *x, struct arena *a, struct err *err)
{
    db *d = t->d;
    const struct table_def *table = bound_of(d, &x->of);
    struct chain_id self = share_self(d), nobody = {0};
    struct kv_overlay over;
    struct share_move *moves;
    uint32_t count;
    struct row row;
    struct buf record = {0};
    struct share_rooms rooms;
    if (table == NULL || chain_id_cmp(share_heir(d, x->to), x->to) != 0)
        return QUARTET_OK; /* gone; or who asked runs no more */
    quartet_status rc = txn_overlay(t, t->statement, &over, err);
    if (rc == QUARTET_OK)
        rc = share_moves(d, t->snap, &over, x->of.table, x->of.key, a, &moves, &count, err);
    if (rc == QUARTET_OK)
        rc = row_of(t, table, x->of.key, &record, a, &row, err);
    const struct share_move *wish = rc == QUARTET_OK ? find_move(moves, count, &x->of, nobody, x->to) : NULL;
    const struct share_move *given = wish != NULL ? find_move(moves, count, &x->of, self, x->to) : NULL;
    const struct row_life *life = wish != NULL ? life_of(d, &row, &x->of) : NULL;
    if (life != NULL && (given == NULL || given->asked < wish->asked)) {
        rc = share_rooms(d, table, life, &x->of, moves, count, a, &rooms, err);
        struct share_move m = {.of = x->of, .from = self, .to = x->to, .asked = wish->asked};
        if (rc == QUARTET_OK) {
            m.amount = (given != NULL ? given->amount : 0) + to_give(d, wish, rooms.mine);
            rc = write_move(t, &m, err);
        }
    }
    buf_deinit(&record);
    return rc;
}

static quartet_status ask(txn *t, const struct item *x, struct err *err)
{
    struct share_move m = {.of = x->of, .to = share_self(t->d), .amount = x->lacking, .asked = x->asked};
    return write_move(t, &m, err);
}

/* ---- the tick ---- */

static quartet_status work_off(db *d, struct items *asks, struct items *wishes, struct err *err)
{
    txn *t = NULL;
    struct arena a = {0};
    quartet_status rc = txn_begin_exclusive(d, &t, err);
    if (rc != QUARTET_OK)
        return rc;
    bool may = d->identity.member && d->can_sign && d->peers_known && !d->fenced && db_usable(d, err) == QUARTET_OK;
    if (may)
        rc = db_own_start(d, err); /* the rows name this run's chain */
    if (may && rc == QUARTET_OK)
        rc = txn_statement_begin(t, err);
    for (const struct item *x = asks->first; may && x != NULL && rc == QUARTET_OK; x = x->next)
        rc = ask(t, x, err);
    for (const struct item *x = wishes->first; may && x != NULL && rc == QUARTET_OK; x = x->next) {
        arena_rewind(&a, (struct arena_mark){0});
        rc = answer(t, x, &a, err);
    }
    arena_free_all(&a);
    if (may && rc == QUARTET_OK)
        return txn_commit(t, err);
    txn_rollback(t);
    return rc;
}

/* Takes away what speaks of lives that have ended, where this node wrote it or its slot's earlier runs did. Where updates win a life may come back. */
static quartet_status sweep_row(txn *t, struct slice key, const struct value *v, struct arena *a, struct err *err)
{
    struct share_move m;
    struct row row;
    struct buf record = {0};
    if (!read_move(v, &m) || (m.from.incarnation == 0 ? m.to.slot : m.from.slot) != t->d->identity.slot)
        return QUARTET_OK;
    const struct table_def *table = catalog_table_by_id(t->d->catalog, m.of.table);
    quartet_status rc = table == NULL ? QUARTET_OK : row_of(t, table, m.of.key, &record, a, &row, err);
    if (rc == QUARTET_OK && (table == NULL || life_of(t->d, &row, &m.of) == NULL))
        rc = table_delete(t, moves_table(t->d), key, NULL, err);
    buf_deinit(&record);
    return rc;
}

/* One stretch of the tree. commit_lock held by the transaction. */
static quartet_status sweep_some(txn *t, struct buf *from, struct err *err)
{
    const struct table_def *def = moves_table(t->d);
    struct kv_range range = {.lo = slice_of(from->data, from->len), .hi_open = true};
    struct kv_want want = {.keys = true, .records = true};
    struct arena a = {0};
    struct kv_rows r;
    kv_iter *it = NULL;
    quartet_status rc = kv_iter_open(t->snap, NULL, SYS_SHARES, &range, &want, &it, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_next(it, SHARE_SWEEP_ROWS, &r, err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < r.n; i++) {
        struct value v[SHARE_COLUMNS];
        bool live = false;
        arena_rewind(&a, (struct arena_mark){0});
        rc = table_decode(def, r.keys[i], r.records[i], v, &a, &live, err);
        if (rc == QUARTET_OK && live)
            rc = sweep_row(t, r.keys[i], v, &a, err);
    }
    if (rc == QUARTET_OK) {
        bool end = r.n < SHARE_SWEEP_ROWS;
        buf_clear(from);
        if (!end) {
            buf_put(from, r.keys[r.n - 1].p, r.keys[r.n - 1].n);
            buf_u8(from, 0);
        }
        rc = buf_check(from, err);
    }
    kv_iter_close(it);
    arena_free_all(&a);
    return rc;
}

quartet_status share_sweep(db *d, struct err *err)
{
    txn *t = NULL;
    quartet_status rc = txn_begin_exclusive(d, &t, err);
    if (rc != QUARTET_OK)
        return rc;
    bool may = d->identity.member && d->can_sign && d->peers_known && !d->fenced && db_usable(d, err) == QUARTET_OK;
    if (may)
        rc = txn_statement_begin(t, err);
    if (may && rc == QUARTET_OK)
        rc = sweep_some(t, &d->shares->sweep_from, err);
    if (may && rc == QUARTET_OK)
        return txn_commit(t, err);
    txn_rollback(t);
    return rc;
}

void share_tick(db *d)
{
    struct shares *s = d->shares;
    struct err err = ERR_INIT;
    struct items asks, wishes;
    uint64_t now = d->env->ops->mono_ns(d->env);
    items_init(&asks);
    items_init(&wishes);
    pthread_mutex_lock(&s->lock);
    struct item *x;
    for (uint32_t n = 0; n < SHARE_ANSWERS_MAX && (x = items_take(&s->asks)) != NULL; n++) {
        (void)items_add(&asks, x); /* without memory it is as lost on the way */
        mem_free(x);
    }
    for (uint32_t n = 0; n < SHARE_ANSWERS_MAX && (x = items_take(&s->wishes)) != NULL; n++) {
        (void)items_add(&wishes, x);
        mem_free(x);
    }
    bool more = s->asks.first != NULL || s->wishes.first != NULL;
    pthread_mutex_unlock(&s->lock);
    quartet_status rc = asks.first == NULL && wishes.first == NULL ? QUARTET_OK : work_off(d, &asks, &wishes, &err);
    items_free(&asks);
    items_free(&wishes);
    if (rc == QUARTET_OK && now - s->swept_ns >= (uint64_t)SHARE_SWEEP_MS * 1000000u) {
        s->swept_ns = now;
        rc = share_sweep(d, &err);
    }
    if (rc != QUARTET_OK) /* whoever still lacks something asks again */
        log_line(d->env, LOG_WARN, "db", "shares of COUNTERs could not be moved: %s", err.text);
    if (more)
        db_notify(d);
}
