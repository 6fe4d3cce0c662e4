/* table_assign.c - numbers for an INTEGER PRIMARY KEY that was left NULL.
 * Why an allocator beside the table: two transactions that ran at once would both take the highest key + 1 and one would fail for nothing. Where a
 *   transaction is alone it starts from the table again, so that numbers have no holes after a rollback.
 * Members of a cluster take only numbers equal to slot + 1 modulo 4, so that no two nodes ever assign the same. Two runs of one slot might, where the directory is an
 *   old copy: so a run goes on after the highest key only when every member has answered, and otherwise begins at a random place (DESIGN.md section 3). Where the members knew more
 *   of the slot than the directory did, the slot's earlier chains must be closed as well, so that nothing of theirs can still come; and a process that runs the slot beside
 *   this one makes this one leave for another random place.
 * Not here: keys that the user gives. */
#include "base/mem.h"
#include "base/plant.h"
#include "table_internal.h"

#define KEY_ROOM ((int64_t)1 << 32) /* no known key for so much above a random start */
#define KEY_TRIES 64u

static int64_t key_number(struct slice key)
{
    return key.n == 9 && key.p[0] == 1 ? (int64_t)(load_be64(key.p + 1) ^ (1ull << 63)) : 0;
}

/* The highest key of the table in this snapshot and the transaction's own writes (a member's: of the residue class, below DB_KEY_MEMBER_END, rows that are quarantined or
 * deleted included); 0: none above 0. */
static quartet_status highest(txn *t, kv_snap *snap, const struct table_def *table, int64_t residue, int64_t *out, struct err *err)
{
    struct kv_overlay over;
    struct kv_want want = {.keys = true, .reverse = true, .records = residue >= 0, .dead = residue >= 0};
    struct kv_range all = {.hi_open = true};
    kv_iter *it = NULL;
    *out = 0;
    quartet_status rc = txn_overlay(t, t->statement, &over, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_open(snap, &over, table->id, &all, &want, &it, err);
    for (bool done = false; rc == QUARTET_OK && !done;) {
        struct kv_rows rows;
        rc = kv_iter_next(it, residue < 0 ? 1 : 0, &rows, err);
        if (rc != QUARTET_OK || rows.n == 0)
            break;
        for (uint32_t i = 0; i < rows.n && !done; i++) {
            int64_t k = key_number(rows.keys[i]);
            done = k <= 0 || residue < 0 || (k < DB_KEY_MEMBER_END && k % 4 == residue);
            if (done && k > 0)
                *out = k;
        }
    }
    kv_iter_close(it);
    return rc;
}

/* Is there a key from `from` to `from` + KEY_ROOM? */
static quartet_status is_taken(txn *t, kv_snap *snap, const struct table_def *table, int64_t from, bool *taken, struct err *err)
{
    struct kv_overlay over;
    struct kv_want want = {.keys = true, .records = true, .dead = true};
    struct buf lo = {0}, hi = {0};
    struct value first = value_int(from), end = value_int(from + KEY_ROOM);
    struct kv_rows rows = {0};
    kv_iter *it = NULL;
    key_put(&lo, &table->keys[0], &first);
    key_put(&hi, &table->keys[0], &end);
    quartet_status rc = lo.failed || hi.failed ? err_nomem(err) : txn_overlay(t, t->statement, &over, err);
    struct kv_range range = {.lo = slice_of(lo.data, lo.len), .hi = slice_of(hi.data, hi.len)};
    if (rc == QUARTET_OK)
        rc = kv_iter_open(snap, &over, table->id, &range, &want, &it, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_next(it, 1, &rows, err);
    *taken = rows.n > 0;
    kv_iter_close(it);
    buf_deinit(&lo);
    buf_deinit(&hi);
    return rc;
}

static quartet_status random_start(txn *t, kv_snap *snap, const struct table_def *table, int64_t residue, int64_t *out, struct err *err)
{
    int64_t lo = 1ll << 43, hi = 1ll << 52;
    for (uint32_t tries = 0; tries < KEY_TRIES; tries++) {
        uint64_t r;
        bool taken = true;
        quartet_status rc = t->d->env->ops->random(t->d->env, &r, sizeof r, err);
        int64_t n = lo + (int64_t)(r % (uint64_t)(hi - lo - 4));
        *out = n - n % 4 + residue; /* residue is below 4: stays within the class and the range */
        if (rc == QUARTET_OK)
            rc = is_taken(t, snap, table, *out, &taken, err);
        if (rc != QUARTET_OK || !taken)
            return rc;
    }
    return err_set(err, QUARTET_LIMIT, "table %s: no room for keys was found between 2^43 and 2^52; give keys yourself", table->name);
}

/* Is all that this slot ever assigned known here, so that nothing of it can still come to light? commit_lock held. */
static bool all_is_known(const db *d)
{
    if (plant_is(PLANT_KEYS_UNASKED))
        return true;
    if (!d->identity.members_answered || d->own_apart)
        return false;
    for (uint32_t i = 0; i < d->applied.count && d->own_behind; i++) { /* an old copy of the directory: what is still under way must not be taken by anybody */
        chain_no no = d->applied.e[i].chain;
        uint64_t end;
        struct chain_id successor;
        bool running = d->own_started && no == d->own;
        if (chain_id_of(&d->chains, no).slot == d->identity.slot && !running && (!db_chain_closed(d, no, &end, &successor) || d->applied.e[i].number < end))
            return false;
    }
    return true;
}

void db_heard_of_own_slot(db *d, bool unknown_chain)
{
    bool answered = d->identity.members_answered;
    bool again = answered ? !d->own_apart || unknown_chain : unknown_chain;
    d->own_behind = true;
    d->own_apart = d->own_apart || answered;
    if (again)
        atomic_fetch_add(&d->key_epoch, 1);
}

/* The first number to give, where nothing is known yet. A member looks at all that is applied, not at what the transaction sees: its slot's own past may have come since. */
static quartet_status first_number(txn *t, const struct table_def *table, int64_t *out, struct err *err)
{
    db *d = t->d;
    int64_t top;
    if (!d->identity.member) {
        quartet_status rc = highest(t, t->snap, table, -1, &top, err);
        if (rc == QUARTET_OK && top == INT64_MAX)
            return err_set(err, QUARTET_LIMIT, "table %s has the highest key there can be: no key can be assigned", table->name);
        *out = top + 1;
        return rc;
    }
    kv_snap *now = NULL;
    int64_t residue = (d->identity.slot + 1) % 4;
    if (!t->exclusive)
        pthread_mutex_lock(&d->commit_lock);
    bool known = all_is_known(d);
    quartet_status rc = kv_snapshot_latest(d->store, &now, err);
    if (!t->exclusive)
        pthread_mutex_unlock(&d->commit_lock);
    if (rc == QUARTET_OK && known) {
        rc = highest(t, now, table, residue, &top, err);
        *out = top == 0 ? d->identity.slot + 1 : top + 4;
    } else if (rc == QUARTET_OK) {
        rc = random_start(t, now, table, residue, out, err);
    }
    kv_release(now);
    return rc;
}

static quartet_status taken_of(txn *t, const struct table_def *table, struct taken_keys **out, struct err *err)
{
    for (uint32_t i = 0; i < t->taken_count; i++)
        if (t->taken[i].state->id == table->id) {
            *out = &t->taken[i];
            return QUARTET_OK;
        }
    if (t->taken_count == t->taken_cap) {
        uint32_t cap = t->taken_cap == 0 ? 4 : t->taken_cap * 2;
        struct taken_keys *grown = mem_realloc(t->taken, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        t->taken = grown;
        t->taken_cap = cap;
    }
    pthread_mutex_lock(&t->d->keys_lock);
    struct table_state *state = db_table(t->d, table->id, err);
    if (state != NULL)
        state->key_users++;
    pthread_mutex_unlock(&t->d->keys_lock);
    if (state == NULL)
        return QUARTET_NOMEM;
    *out = &t->taken[t->taken_count++];
    **out = (struct taken_keys){.state = state};
    return QUARTET_OK;
}

void txn_key_given(txn *t, const struct table_def *table, const struct value *v)
{
    for (uint32_t i = 0; i < t->taken_count; i++)
        if (t->taken[i].state->id == table->id && v->type == VALUE_INTEGER && v->i >= t->taken[i].next && !t->d->identity.member)
            t->taken[i].next = 0; /* the table's highest key is another now: look again */
}

quartet_status txn_assign_key(txn *t, const struct table_def *table, struct value *v, struct err *err)
{
    struct taken_keys *mine = NULL;
    int64_t first = 0, step = t->d->identity.member ? 4 : 1;
    quartet_status rc = taken_of(t, table, &mine, err);
    if (rc != QUARTET_OK)
        return rc;
    struct table_state *state = mine->state;
    uint64_t epoch = atomic_load(&t->d->key_epoch);
    pthread_mutex_lock(&t->d->keys_lock);
    if (mine->epoch != epoch)
        mine->next = 0;
    if (state->key_epoch != epoch)
        state->next_key = 0;
    mine->epoch = state->key_epoch = epoch;
    bool look = mine->next == 0 && (step == 1 || state->next_key == 0);
    bool alone = state->key_users == 1;
    pthread_mutex_unlock(&t->d->keys_lock);
    if (look)
        rc = first_number(t, table, &first, err);
    if (rc != QUARTET_OK)
        return rc;
    pthread_mutex_lock(&t->d->keys_lock);
    if (look && (state->next_key < first || (alone && step == 1)))
        state->next_key = first;
    if (mine->next > state->next_key)
        state->next_key = mine->next;
    int64_t key = state->next_key;
    bool full = key <= 0 || key > INT64_MAX - step || (step == 4 && key >= DB_KEY_MEMBER_END);
    if (!full)
        mine->next = state->next_key = key + step;
    pthread_mutex_unlock(&t->d->keys_lock);
    if (full)
        return err_set(err, QUARTET_LIMIT, "table %s: no key is left to assign", table->name);
    mine->statement = t->statement;
    *v = value_int(key);
    return QUARTET_OK;
}
