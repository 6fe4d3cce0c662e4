/* table_assign.c - numbers for an INTEGER PRIMARY KEY that was left NULL.
 * Why an allocator beside the table: two transactions that ran at once would both take the highest key + 1 and one would fail for nothing. Where a
 *   transaction is alone it starts from the table again, so that numbers have no holes after a rollback.
 * Members of a cluster take only numbers equal to slot + 1 modulo 4, so that no two nodes ever assign the same; where it is not known that every
 *   member has told its highest, a run begins at a random place (DESIGN.md section 3).
 * Not here: keys that the user gives. */
#include "base/mem.h"
#include "table_internal.h"

static int64_t key_number(struct slice key)
{
    return key.n == 9 && key.p[0] == 1 ? (int64_t)(load_be64(key.p + 1) ^ (1ull << 63)) : 0;
}

/* The highest key of the table as this transaction sees it (of the residue class, below `below`); 0: none above 0. */
static quartet_status highest(txn *t, const struct table_def *table, int64_t residue, int64_t below, int64_t *out, struct err *err)
{
    struct kv_overlay over;
    struct kv_want want = {.keys = true, .reverse = true};
    struct kv_range all = {.hi_open = true};
    kv_iter *it = NULL;
    *out = 0;
    quartet_status rc = txn_overlay(t, t->statement, &over, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_open(t->snap, &over, table->id, &all, &want, &it, err);
    for (bool done = false; rc == QUARTET_OK && !done;) {
        struct kv_rows rows;
        rc = kv_iter_next(it, residue < 0 ? 1 : 0, &rows, err);
        if (rc != QUARTET_OK || rows.n == 0)
            break;
        for (uint32_t i = 0; i < rows.n && !done; i++) {
            int64_t k = key_number(rows.keys[i]);
            done = k <= 0 || residue < 0 || (k < below && k % 4 == residue);
            if (done && k > 0)
                *out = k;
        }
    }
    kv_iter_close(it);
    return rc;
}

static quartet_status random_start(txn *t, int64_t residue, int64_t *out, struct err *err)
{
    uint64_t r;
    quartet_status rc = t->d->env->ops->random(t->d->env, &r, sizeof r, err);
    int64_t lo = 1ll << 43, hi = 1ll << 52;
    int64_t n = lo + (int64_t)(r % (uint64_t)(hi - lo - 4));
    *out = n - n % 4 + residue; /* residue is slot + 1, below 5: stays within the class and the range */
    return rc;
}

/* The first number to give, where nothing is known yet. */
static quartet_status first_number(txn *t, const struct table_def *table, int64_t *out, struct err *err)
{
    const db *d = t->d;
    if (!d->identity.member) {
        int64_t top;
        quartet_status rc = highest(t, table, -1, 0, &top, err);
        if (rc == QUARTET_OK && top == INT64_MAX)
            return err_set(err, QUARTET_LIMIT, "table %s has the highest key there can be: no key can be assigned", table->name);
        *out = top + 1;
        return rc;
    }
    int64_t residue = (d->identity.slot + 1) % 4, top;
    if (!d->identity.members_answered)
        return random_start(t, residue, out, err);
    quartet_status rc = highest(t, table, residue, DB_KEY_MEMBER_END, &top, err);
    *out = top == 0 ? d->identity.slot + 1 : top + 4;
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
    pthread_mutex_lock(&t->d->keys_lock);
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
