/* node_alarm.c - the divergence alarm.
 * Rounds: at every full NODE_ALARM_PERIOD_MS of its clock each node has a stamp, the same on all. Each works out its tables' hashes as of that stamp (db_mark.h), with the vector that
 *   was applied when it did, and tells the members that it is connected with.
 * Why these may be compared although vectors never meet under load: the stamps of a chain grow. Where both vectors go past the stamp in a chain, both hold all of it up to the stamp; where
 *   they name the same number, they hold the same of it. If that is so in every chain, both hold the same transactions up to the stamp. Otherwise this round says nothing, and the next may.
 * Why one difference is an alarm: the hash as of a stamp is a function of those transactions; the simulator compares in every world that it makes.
 * Not found by it: rows that were altered on a disk with their checksums, which no hash follows (quartet verify reads them); a member that lies.
 * Not here: hashes (db_mark.c), which rows differ (shell/verify_cluster.c). */
#include "node_alarm.h"

#include <string.h>

#include <pthread.h>

#include "base/log.h"
#include "base/mem.h"
#include "catalog.h"
#include "db_mark.h"
#include "node_snapshot_internal.h"

#define STEP_ROWS 200u
#define REPEAT_MS 60000u
#define KEPT 2u /* own rounds: a member's clock may be behind */

struct told_table {
    uint64_t id;
    struct state_hash hash;
};
struct told { /* what somebody tells in a round */
    hlc_stamp stamp; /* 0: nothing yet */
    struct idvec vector;
    struct told_table *tables; /* by id; owned */
    uint32_t count;
    bool whole; /* own: none is left out */
};
struct differing {
    uint64_t table;
    uint8_t slots; /* bits: whose is different */
};
struct node_alarm {
    pthread_mutex_t lock;
    struct told own[KEPT], members[SLOTS_MAX];
    uint64_t own_count;             /* rounds told; the last KEPT are kept */
    hlc_stamp sent[SLOTS_MAX];      /* told to them last */
    hlc_stamp compared[SLOTS_MAX];
    struct differing differ[NODE_ALARM_NAMED_MAX];
    uint32_t differ_count;
    struct node_alarm_figures figures;
    uint64_t said_ms;
    uint32_t period_ms;
    /* the worker's */
    bool begun;
    hlc_stamp round;
    db_mark *mark;
};

quartet_status node_alarm_new(struct node_gossip *g, struct err *err)
{
    g->alarm = mem_zalloc(1, sizeof *g->alarm);
    if (g->alarm == NULL)
        return err_nomem(err);
    g->alarm->period_ms = NODE_ALARM_PERIOD_MS;
    if (pthread_mutex_init(&g->alarm->lock, NULL) != 0) {
        mem_free(g->alarm);
        g->alarm = NULL;
        return err_nomem(err);
    }
    return QUARTET_OK;
}

void node_alarm_set_period(struct node_gossip *g, uint32_t ms)
{
    g->alarm->period_ms = ms;
}

static void told_deinit(struct told *t)
{
    idvec_deinit(&t->vector);
    mem_free(t->tables);
    *t = (struct told){0};
}

void node_alarm_free(struct node_gossip *g)
{
    struct node_alarm *a = g->alarm;
    if (a == NULL)
        return;
    if (a->begun)
        db_mark_drop(g->d);
    db_mark_free(a->mark);
    for (uint32_t i = 0; i < KEPT; i++)
        told_deinit(&a->own[i]);
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        told_deinit(&a->members[i]);
    pthread_mutex_destroy(&a->lock);
    mem_free(a);
    g->alarm = NULL;
}

/* ---- comparing; lock held ---- */

static bool same_part(const struct idvec_entry *x, const struct idvec_entry *y, hlc_stamp stamp)
{
    if (x == NULL || y == NULL)
        return false;
    if (x->number == y->number)
        return x->head == y->head; /* another one: of a slot that signed two histories, or not sealed yet */
    return x->stamp >= stamp && y->stamp >= stamp;
}

static bool comparable(const struct told *x, const struct told *y)
{
    bool same = x->stamp == y->stamp && x->vector.count == y->vector.count;
    for (uint32_t i = 0; same && i < x->vector.count; i++)
        same = same_part(&x->vector.e[i], idvec_find(&y->vector, x->vector.e[i].chain), x->stamp);
    return same;
}

static void set_differing(struct node_alarm *a, uint64_t table, uint8_t slot, bool differs)
{
    uint8_t bit = (uint8_t)(1u << slot);
    for (uint32_t i = 0; i < a->differ_count; i++) {
        if (a->differ[i].table != table)
            continue;
        a->differ[i].slots = differs ? a->differ[i].slots | bit : a->differ[i].slots & (uint8_t)~bit;
        if (a->differ[i].slots == 0)
            a->differ[i] = a->differ[--a->differ_count];
        return;
    }
    if (differs && a->differ_count < NODE_ALARM_NAMED_MAX)
        a->differ[a->differ_count++] = (struct differing){.table = table, .slots = bit};
}

static void put_names(struct node_gossip *g, uint8_t bits, struct buf *out)
{
    struct node_alarm *a = g->alarm;
    for (uint32_t i = 0; i < a->differ_count; i++) {
        if ((a->differ[i].slots & bits) == 0)
            continue;
        if (out->len > 0)
            buf_str(out, ", ");
        db_table_name(g->d, a->differ[i].table, out);
    }
}

static void say(struct node_gossip *g, uint8_t slot, hlc_stamp stamp)
{
    struct buf names = {0};
    struct node_alarm *a = g->alarm;
    a->said_ms = snapshot_now_ms(g);
    put_names(g, (uint8_t)(1u << slot), &names);
    log_line(g->env, LOG_ERROR, "node", "DIVERGED: this node and node %u hold the same transactions up to stamp %llu and different rows in: %.*s. Nothing is repaired by itself: quartet verify "
             "with the cluster's URL finds the rows", (unsigned)slot, (unsigned long long)stamp, (int)(names.len < 600 ? names.len : 600), names.data == NULL ? "" : (const char *)names.data);
    buf_deinit(&names);
}

static void compare(struct node_gossip *g, uint8_t slot, const struct told *own)
{
    struct node_alarm *a = g->alarm;
    const struct told *theirs = &a->members[slot];
    uint32_t differing = 0, met = 0, k = 0, before = a->differ_count;
    bool was = false;
    if (own->stamp == 0 || a->compared[slot] >= own->stamp || !comparable(own, theirs))
        return;
    for (uint32_t i = 0; i < a->differ_count; i++)
        was = was || (a->differ[i].slots & (1u << slot)) != 0;
    a->compared[slot] = own->stamp;
    a->figures.compared++;
    a->figures.compared_ms[slot] = snapshot_now_ms(g);
    for (uint32_t i = 0; i < own->count; i++) {
        while (k < theirs->count && theirs->tables[k].id < own->tables[i].id)
            k++;
        if (k == theirs->count || theirs->tables[k].id != own->tables[i].id)
            continue;
        bool differs = theirs->tables[k].hash.lo != own->tables[i].hash.lo || theirs->tables[k].hash.hi != own->tables[i].hash.hi;
        set_differing(a, own->tables[i].id, slot, differs);
        differing += differs;
        met++;
    }
    a->figures.differing += differing > 0;
    node_snapshot_compared(g, slot, own->whole && met == own->count, differing > 0);
    a->figures.tables = a->differ_count;
    if (differing > 0 && (!was || a->differ_count > before || snapshot_now_ms(g) - a->said_ms >= REPEAT_MS))
        say(g, slot, own->stamp);
    else if (was && differing == 0)
        log_line(g->env, LOG_WARN, "node", "this node and node %u are equal again as of stamp %llu", (unsigned)slot, (unsigned long long)own->stamp);
}

static void compare_rounds(struct node_gossip *g, uint8_t slot)
{
    for (uint32_t i = 0; i < KEPT; i++)
        compare(g, slot, &g->alarm->own[i]);
}

/* ---- messages: u64 stamp, vector, varint count, for each table u64 id, u64 lo, u64 hi ---- */

quartet_status node_alarm_message(struct node_gossip *g, uint8_t slot, struct bytes_in *in, struct err *err)
{
    struct node_alarm *a = g->alarm;
    struct told t = {.stamp = bytes_u64(in)};
    quartet_status rc = idvec_decode(in, &t.vector, err);
    uint32_t count = rc == QUARTET_OK ? bytes_count(in, 24) : 0;
    if (rc == QUARTET_OK && (in->bad || count > NODE_ALARM_TABLES_MAX))
        rc = err_set(err, QUARTET_CORRUPT, "malformed hashes");
    t.tables = rc == QUARTET_OK ? mem_zalloc(count + 1u, sizeof *t.tables) : NULL;
    if (rc == QUARTET_OK && t.tables == NULL)
        rc = err_nomem(err);
    for (t.count = 0; rc == QUARTET_OK && t.tables != NULL && t.count < count; t.count++) {
        struct told_table *x = &t.tables[t.count];
        x->id = bytes_u64(in);
        x->hash.lo = bytes_u64(in);
        x->hash.hi = bytes_u64(in);
        if (t.count > 0 && x->id <= x[-1].id)
            in->bad = true;
    }
    if (rc == QUARTET_OK && (in->bad || in->left > 0))
        rc = err_set(err, QUARTET_CORRUPT, "malformed hashes");
    if (rc != QUARTET_OK) {
        told_deinit(&t);
        return rc;
    }
    pthread_mutex_lock(&a->lock);
    told_deinit(&a->members[slot]);
    a->members[slot] = t;
    compare_rounds(g, slot);
    pthread_mutex_unlock(&a->lock);
    return QUARTET_OK;
}

void node_alarm_tell(struct node_gossip *g, uint8_t slot, struct buf *replies)
{
    struct node_alarm *a = g->alarm;
    pthread_mutex_lock(&a->lock);
    const struct told *t = &a->own[(a->own_count + KEPT - 1) % KEPT];
    if (a->own_count > 0 && t->stamp > a->sent[slot]) {
        size_t begun = snapshot_reply_begin(replies, SNAPSHOT_HASHES);
        buf_u64(replies, t->stamp);
        idvec_encode(replies, &t->vector);
        buf_varint(replies, t->count);
        for (uint32_t i = 0; i < t->count; i++) {
            buf_u64(replies, t->tables[i].id);
            buf_u64(replies, t->tables[i].hash.lo);
            buf_u64(replies, t->tables[i].hash.hi);
        }
        snapshot_reply_end(replies, begun);
        if (!replies->failed && replies->len - begun - 4 <= GOSSIP_SNAPSHOT_BYTES_MAX)
            a->sent[slot] = t->stamp;
        else if (!replies->failed) /* a vector of ten thousands of chains; folding makes it short */
            replies->len = begun;
    }
    pthread_mutex_unlock(&a->lock);
}

/* ---- rounds: the worker ---- */

/* Which tables a round tells of, where there are too many for one: the same on all nodes that have as many. */
static bool told_of(uint32_t i, uint32_t count, uint64_t round)
{
    uint32_t groups = (count + NODE_ALARM_TABLES_MAX - 1) / NODE_ALARM_TABLES_MAX;
    return groups <= 1 || i % groups == round % groups;
}

static quartet_status keep_round(struct node_gossip *g, struct err *err)
{
    struct node_alarm *a = g->alarm;
    struct told t = {.stamp = db_mark_stamp(a->mark)};
    struct slice v = db_mark_vector(a->mark);
    struct bytes_in in = bytes_in(v.p, v.n);
    uint64_t id;
    struct state_hash h;
    uint32_t all = 0;
    while (db_mark_table(a->mark, all, &id, &h))
        all++;
    quartet_status rc = idvec_decode(&in, &t.vector, err);
    t.tables = rc == QUARTET_OK ? mem_zalloc((all < NODE_ALARM_TABLES_MAX ? all : NODE_ALARM_TABLES_MAX) + 1u, sizeof *t.tables) : NULL;
    if (rc == QUARTET_OK && t.tables == NULL)
        rc = err_nomem(err);
    for (uint32_t i = 0; rc == QUARTET_OK && t.tables != NULL && i < all; i++)
        if (told_of(i, all, hlc_ms(t.stamp) / a->period_ms) && db_mark_table(a->mark, i, &id, &h))
            t.tables[t.count++] = (struct told_table){.id = id, .hash = h};
    t.whole = t.count == all && db_mark_whole(a->mark);
    if (rc != QUARTET_OK) {
        told_deinit(&t);
        return rc;
    }
    pthread_mutex_lock(&a->lock);
    struct told *place = &a->own[a->own_count++ % KEPT];
    told_deinit(place);
    *place = t;
    a->figures.rounds++;
    for (uint8_t slot = 0; slot < SLOTS_MAX; slot++)
        compare(g, slot, place);
    pthread_mutex_unlock(&a->lock);
    return QUARTET_OK;
}

static void skip(struct node_gossip *g, const struct err *err)
{
    struct node_alarm *a = g->alarm;
    db_mark_free(a->mark);
    a->mark = NULL;
    pthread_mutex_lock(&a->lock);
    a->figures.skipped++;
    pthread_mutex_unlock(&a->lock);
    if (err->code != QUARTET_OK && err->code != QUARTET_NOTFOUND && err->code != QUARTET_TOO_OLD)
        log_line(g->env, LOG_WARN, "node", "the tables' hashes cannot be told this time: %s", err->text);
}

/* Begin the round that comes next, a little before its time; one that was begun is dropped where the clock was set meanwhile. */
static void begin(struct node_gossip *g, uint64_t now_ms)
{
    struct node_alarm *a = g->alarm;
    uint64_t before_ms = a->period_ms / 8, next_ms = (now_ms + before_ms) / a->period_ms * a->period_ms;
    hlc_stamp stamp = hlc_make(next_ms, 0, 0);
    if (next_ms + before_ms < now_ms || stamp <= a->round)
        return; /* not the time for it, or it was tried */
    a->round = stamp;
    a->begun = db_mark_begin(g->d, stamp);
    struct err too_late = ERR_INIT;
    if (!a->begun)
        skip(g, &too_late);
}

bool node_alarm_work(struct node_gossip *g)
{
    struct node_alarm *a = g->alarm;
    struct err err = ERR_INIT;
    uint64_t now_ms = env_wall_ms(g->env);
    bool done = false;
    if (a->mark != NULL) {
        quartet_status rc = db_mark_step(a->mark, STEP_ROWS, &done, &err);
        if (rc == QUARTET_OK && done)
            rc = keep_round(g, &err);
        if (rc != QUARTET_OK)
            skip(g, &err);
        if (rc == QUARTET_OK && done) {
            db_mark_free(a->mark);
            a->mark = NULL;
        }
        return a->mark != NULL;
    }
    if (a->round != 0 && (hlc_ms(a->round) > now_ms + a->period_ms || (a->begun && now_ms > hlc_ms(a->round) + 2 * a->period_ms))) {
        db_mark_drop(g->d); /* the clock was set, or this process was stopped for a while */
        a->begun = false;
        a->round = 0;
    }
    if (!a->begun)
        begin(g, now_ms);
    if (!a->begun || now_ms < hlc_ms(a->round) + a->period_ms / 8 * 3)
        return false;
    a->begun = false;
    if (db_mark_take(g->d, &a->mark, &err) != QUARTET_OK)
        skip(g, &err);
    return a->mark != NULL;
}

/* ---- for people ---- */

struct node_alarm_figures node_alarm_figures(struct node_gossip *g)
{
    if (g->alarm == NULL)
        return (struct node_alarm_figures){0};
    pthread_mutex_lock(&g->alarm->lock);
    struct node_alarm_figures f = g->alarm->figures;
    pthread_mutex_unlock(&g->alarm->lock);
    return f;
}

void node_alarm_text(struct node_gossip *g, uint8_t slot, struct buf *out)
{
    if (g->alarm == NULL)
        return;
    pthread_mutex_lock(&g->alarm->lock);
    put_names(g, (uint8_t)(slot == g->identity.slot ? 0xffu : 1u << slot), out);
    pthread_mutex_unlock(&g->alarm->lock);
}
