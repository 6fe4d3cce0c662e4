/* db_close.c - closing chains whose writer runs no more: every member says up to which number it has the chain, and takes nothing beyond it from then on.
 * How: quartet_closings has a row per chain and member, written by that member alone, by an ordinary transaction. The node that runs the slot now proposes, once it
 *   has all that any member knows of the chain; each other member agrees when it has exactly that. Where all say the same number and name the same successor, the
 *   chain is closed there.
 * Why a row and not a message: it is durable, signed, relayed, and comes after what it speaks of, as every delta does.
 * Why a member may move on from what it said, but only to what the slot's own node proposes or a delta of another chain depends on: what one member still had in its
 *   socket when the others agreed comes to light later. Nobody else takes more, and whoever proposes more or writes on top of it has it: so once all agree on a number
 *   nothing beyond it exists.
 * A slot without a node (it was evicted): nobody proposes. Each member says what it has, and takes what the others' rows depend on, until all say the same. A node that gets the slot later is
 *   one more member that must say it, and names itself as the successor, as a restarted one does.
 * What came beyond the number and can never take effect (an unfinished transaction, say) is void from then on: db_void.c.
 * Invariants: a member that agreed to a number refuses what lies beyond it, from before the row is written. A node whose running chain others close, or that holds
 *   more of a chain than it was closed at, writes no more (`fenced`): its slot was taken over, by a clone, a restored backup, or a node in its place.
 * Not here: what a closed chain's successor inherits, who is a member (node_gossip.c). */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "db_fork.h"
#include "system_table.h"
#include "txn_internal.h"

#define CLOSINGS_AT_ONCE 64u

struct told { /* by one member */
    bool is;
    uint64_t number, successor; /* successor: incarnation of the same slot */
};
struct closing {
    chain_no chain;
    struct told by[SLOTS_MAX];
};

static struct closing *find(const db *d, chain_no chain)
{
    for (uint32_t i = 0; i < d->closing_count; i++)
        if (d->closings[i].chain == chain)
            return &d->closings[i];
    return NULL;
}

static struct closing *make(db *d, chain_no chain, struct err *err)
{
    struct closing *c = find(d, chain);
    if (c != NULL)
        return c;
    struct closing *grown = mem_realloc(d->closings, d->closing_count + 1u, sizeof *grown);
    if (grown == NULL) {
        (void)err_nomem(err); /* NULL tells */
        return NULL;
    }
    d->closings = grown;
    grown[d->closing_count] = (struct closing){.chain = chain};
    return &grown[d->closing_count++];
}

static bool has_node(const db *d, uint8_t slot)
{
    return slot < SLOTS_MAX && ((d->peers | 1u << d->identity.slot) & 1u << slot) != 0;
}

static bool closed(const db *d, const struct closing *c, struct told *at)
{
    uint8_t members = (uint8_t)(d->peers | 1u << d->identity.slot);
    for (uint32_t m = 0; m < SLOTS_MAX; m++) /* who is frozen says nothing more, and nothing more is taken from it */
        members &= (uint8_t)(m != d->identity.slot && fork_frozen(d, (uint8_t)m) ? ~(1u << m) : UINT8_MAX);
    *at = c->by[d->identity.slot];
    if (!d->peers_known)
        return false;
    for (uint32_t m = 0; m < SLOTS_MAX; m++)
        if ((members & 1u << m) != 0 && (!c->by[m].is || c->by[m].number != at->number || c->by[m].successor != at->successor))
            return false;
    return true;
}

bool db_chain_closed(const db *d, chain_no chain, uint64_t *number, struct chain_id *successor)
{
    const struct closing *c = find(d, chain);
    struct told at;
    if (c == NULL || !closed(d, c, &at))
        return false;
    *number = at.number;
    *successor = (struct chain_id){.slot = chain_id_of(&d->chains, chain).slot, .incarnation = at.successor};
    return true;
}

bool db_chain_ends(const db *d, chain_no chain, uint64_t *number)
{
    const struct closing *c = find(d, chain);
    uint8_t slot = chain_id_of(&d->chains, chain).slot;
    struct told at;
    if (c == NULL)
        return false;
    if (closed(d, c, &at)) {
        *number = at.number;
        return true;
    }
    if (slot == d->identity.slot || !c->by[d->identity.slot].is)
        return false;
    *number = c->by[d->identity.slot].number;
    if (has_node(d, slot) && c->by[slot].is && c->by[slot].number > *number)
        *number = c->by[slot].number;
    const struct chain_state *s = chain < d->state_count ? d->state[chain] : NULL;
    if (s != NULL && s->vouched > *number)
        *number = s->vouched;
    return true;
}

/* ---- reading the rows ---- */

static void fence(db *d, const char *why, chain_no chain, uint64_t number)
{
    struct chain_id id = chain_id_of(&d->chains, chain);
    if (d->fenced)
        return;
    d->fenced = true;
    log_line(d->env, LOG_ERROR, "db", "slot %u, incarnation %016llx, closed at delta %llu: %s", (unsigned)id.slot, (unsigned long long)id.incarnation,
             (unsigned long long)number, why);
}

/* Is this directory one that the cluster has left behind? */
void db_close_look(db *d)
{
    for (uint32_t i = 0; i < d->closing_count; i++) {
        const struct closing *c = &d->closings[i];
        uint64_t number;
        struct chain_id successor;
        bool told = false;
        for (uint32_t m = 0; m < SLOTS_MAX; m++)
            told |= c->by[m].is;
        if (told && d->own_started && c->chain == d->own)
            fence(d, "another process runs this node's slot, and the members go on with that one", c->chain, vv_number(&d->applied, c->chain));
        if (!db_chain_closed(d, c->chain, &number, &successor))
            continue;
        if (vv_number(&d->applied, c->chain) > number)
            fence(d, "this directory holds deltas beyond it, which the other members never had", c->chain, number);
        else
            chain_drop_void(d, c->chain, number);
    }
}

static quartet_status take_row(void *arg, const struct value *v, struct slice key, struct slice record, struct err *err)
{
    db *d = arg;
    (void)key, (void)record; /* the shape of system_take */
    chain_no chain;
    struct chain_id id = {.slot = (uint8_t)v[CLOSING_SLOT].i, .incarnation = (uint64_t)v[CLOSING_INCARNATION].i};
    if (v[CLOSING_SLOT].i < 0 || v[CLOSING_SLOT].i >= SLOTS_MAX || v[CLOSING_MEMBER].i < 0 || v[CLOSING_MEMBER].i >= SLOTS_MAX || id.incarnation == 0)
        return QUARTET_OK; /* no row of ours; it closes nothing */
    quartet_status rc = chain_intern(&d->chains, id, &chain, err);
    struct closing *c = rc == QUARTET_OK ? make(d, chain, err) : NULL;
    if (c == NULL)
        return rc != QUARTET_OK ? rc : QUARTET_NOMEM;
    c->by[v[CLOSING_MEMBER].i] = (struct told){.is = true, .number = (uint64_t)v[CLOSING_NUMBER].i, .successor = (uint64_t)v[CLOSING_SUCCESSOR].i};
    return QUARTET_OK;
}

quartet_status db_closings_load(db *d, struct err *err)
{
    d->closing_count = 0;
    quartet_status rc = system_rows_now(d, catalog_table_by_id(d->catalog, SYS_CLOSINGS), take_row, d, err);
    if (rc == QUARTET_OK && !d->recovering)
        db_close_look(d);
    return rc;
}

/* ---- writing them ---- */

struct agreement {
    chain_no chain;
    uint64_t number, successor;
};

/* The chain that goes on for this one, as far as a member has named it; 0: nobody has. */
static uint64_t named(const db *d, const struct closing *c)
{
    uint64_t successor = 0;
    for (uint8_t m = 0; c != NULL && m < SLOTS_MAX; m++)
        if (has_node(d, m) && c->by[m].is && c->by[m].successor > successor)
            successor = c->by[m].successor;
    return successor;
}

/* Has anybody who counts said that it is to be closed? It may be all that is known of it here. */
static bool heard(const db *d, const struct closing *c, uint8_t slot)
{
    bool any = false;
    for (uint8_t m = 0; c != NULL && m < SLOTS_MAX; m++)
        any |= c->by[m].is && has_node(d, m) && (m == slot || !has_node(d, slot));
    return any;
}

static bool chain_is_forked(const struct chain_table *t, chain_no chain)
{
    for (uint32_t i = 0; i < t->fork_count; i++)
        if (t->forks[i].chain == chain || t->forks[i].as == chain)
            return true;
    return false;
}

/* What this node should say of a chain now. */
static bool agree(db *d, chain_no chain, uint64_t *number, uint64_t *successor)
{
    const struct closing *c = find(d, chain);
    uint8_t own = d->identity.slot, slot = chain_id_of(&d->chains, chain).slot;
    uint64_t have = vv_number(&d->applied, chain);
    const struct chain_state *s = chain < d->state_count ? d->state[chain] : NULL;
    struct told at, said = c != NULL ? c->by[own] : (struct told){0};
    if (fork_frozen(d, slot) || chain_is_forked(&d->chains, chain))
        return false; /* where its chains end nobody can say for it, nor which branch is meant */
    if ((s == NULL || s->received == 0 ? !heard(d, c, slot) : s->received != have && !chain_rest_is_void(d, chain)) || (c != NULL && closed(d, c, &at)))
        return false;
    if (slot == own) { /* propose */
        if ((d->own_started && chain == d->own) || !d->identity.members_answered || (said.is && said.number >= have))
            return false;
        *number = have;
        *successor = said.is && said.successor != 0 ? said.successor : named(d, c); /* one that was named stays so; 0: ours */
        return true;
    }
    bool leads = has_node(d, slot);
    if (slot >= SLOTS_MAX || (leads && (c == NULL || !c->by[slot].is || c->by[slot].number != have)))
        return false;
    *number = have;
    *successor = said.is && said.successor != 0 ? said.successor : leads ? c->by[slot].successor : named(d, c);
    return !said.is || said.number < have || (said.number == have && said.successor != *successor);
}

/* Gathers what is to be said, and holds to it from here on. commit_lock held. */
static quartet_status gather(db *d, struct agreement *out, uint32_t *count, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    *count = 0;
    for (uint32_t i = 0; i < d->chains.count && *count < CLOSINGS_AT_ONCE && rc == QUARTET_OK; i++) {
        struct agreement x = {.chain = (chain_no)i};
        if (!agree(d, x.chain, &x.number, &x.successor))
            continue;
        bool own = chain_id_of(&d->chains, x.chain).slot == d->identity.slot;
        if (own && !d->own_started)
            rc = db_own_start(d, err);
        if (rc == QUARTET_OK && own && x.successor == 0)
            x.successor = chain_id_of(&d->chains, d->own).incarnation;
        struct closing *c = rc == QUARTET_OK ? make(d, x.chain, err) : NULL;
        if (c == NULL)
            return rc != QUARTET_OK ? rc : QUARTET_NOMEM;
        c->by[d->identity.slot] = (struct told){.is = true, .number = x.number, .successor = x.successor};
        out[(*count)++] = x;
    }
    return rc;
}

static quartet_status write_one(txn *t, const struct agreement *x, struct err *err)
{
    const struct table_def *def = catalog_table_by_id(txn_catalog(t), SYS_CLOSINGS);
    struct chain_id id = chain_id_of(&t->d->chains, x->chain);
    struct value row[CLOSING_COLUMNS];
    row[CLOSING_SLOT] = value_int(id.slot);
    row[CLOSING_INCARNATION] = value_int((int64_t)id.incarnation);
    row[CLOSING_MEMBER] = value_int(t->d->identity.slot);
    row[CLOSING_NUMBER] = value_int((int64_t)x->number);
    row[CLOSING_SUCCESSOR] = value_int((int64_t)x->successor);
    return system_put(t, def, row, (const uint32_t[]){CLOSING_NUMBER, CLOSING_SUCCESSOR}, 2, err);
}

static quartet_status write_all(db *d, const struct agreement *x, uint32_t count, struct err *err)
{
    txn *t = NULL;
    quartet_status rc = txn_begin(d, &t, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = txn_statement_begin(t, err);
    for (uint32_t i = 0; i < count && rc == QUARTET_OK; i++)
        rc = write_one(t, &x[i], err);
    if (rc == QUARTET_OK)
        return txn_commit(t, err);
    txn_rollback(t);
    return rc;
}

void db_close_tick(db *d)
{
    struct agreement x[CLOSINGS_AT_ONCE];
    struct err err = ERR_INIT;
    uint32_t count = 0;
    pthread_mutex_lock(&d->commit_lock);
    bool may = d->identity.member && d->can_sign && d->peers_known && !d->fenced && db_writable(d, &err) == QUARTET_OK;
    quartet_status rc = may ? gather(d, x, &count, &err) : QUARTET_OK;
    pthread_mutex_unlock(&d->commit_lock);
    if (rc == QUARTET_OK && count > 0)
        rc = write_all(d, x, count, &err);
    if (rc == QUARTET_OK)
        return;
    pthread_mutex_lock(&d->commit_lock); /* it was not said: nobody is held to it. The next round tries again */
    struct err ignored = ERR_INIT;
    if (db_closings_load(d, &ignored) != QUARTET_OK)
        log_line(d->env, LOG_WARN, "db", "%s", ignored.text);
    pthread_mutex_unlock(&d->commit_lock);
    if (rc != QUARTET_SERIALIZATION)
        log_line(d->env, LOG_WARN, "db", "the end of a chain could not be written: %s", err.text);
}
