/* sim_purge.c - what must hold of purging, in a run and at its end (../docs/SIMULATOR.md, checker 10).
 * The rule for what a member has: what its present run had applied at some time, as seen from outside of all nodes. A node may purge up to a vector only if each other member has
 * had all of it, in a run no earlier than the newest one of which the node itself has applied anything. */
#include "sim/sim_load.h"

#include <string.h>

#include "engine/kv_past.h"
#include "engine/txn_internal.h"

#define QUIET_US 5000000u /* for reports to come */
#define SHORT_MS 10000u   /* a retention that can be waited for */

static struct sim_run_had *present_run(struct sim_node *n)
{
    uint64_t run = db_incarnation(n->d);
    for (uint32_t i = 0; i < n->had_count; i++)
        if (n->had[i].run == run)
            return &n->had[i];
    if (n->had_count == SIM_RUNS_MAX)
        return NULL;
    n->had[n->had_count] = (struct sim_run_had){.run = run};
    return &n->had[n->had_count++];
}

void sim_purge_note(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    struct err err = ERR_INIT;
    struct idvec v;
    struct sim_run_had *had = s->o.purge && n->up ? present_run(n) : NULL;
    if (had == NULL)
        return;
    if (sim_vector(n, false, &v, &err) && idvec_merge(&had->v, &v, &err) != QUARTET_OK)
        sim_fail(s, "the simulator is out of memory");
    idvec_deinit(&v);
}

static bool purge_vector(struct sim_node *n, struct idvec *out, struct err *err)
{
    struct buf b = {0};
    *out = (struct idvec){0};
    bool ok = db_purge_vector(n->d, &b, err) == QUARTET_OK;
    struct bytes_in in = bytes_in(b.data, b.len);
    ok = ok && idvec_decode(&in, out, err) == QUARTET_OK;
    buf_deinit(&b);
    return ok;
}

/* Has member m had all of v, in a run no earlier than the newest one that `known` names? */
static bool has_had(const struct sim_node *m, const struct idvec *v, const struct idvec *known)
{
    uint32_t from = 0;
    for (uint32_t i = 0; i < m->had_count; i++)
        if (idvec_number(known, (struct chain_id){.slot = m->slot, .incarnation = m->had[i].run}) > 0)
            from = i;
    for (uint32_t i = from; i < m->had_count; i++)
        if (idvec_covers(&m->had[i].v, v))
            return true;
    return m->had_count == SIM_RUNS_MAX; /* not all of its runs are remembered */
}

void sim_purge_begin(struct sim *s, uint8_t slot, struct idvec *known)
{
    struct err err = ERR_INIT;
    *known = (struct idvec){0};
    if (s->o.purge && !sim_vector(&s->nodes[slot], false, known, &err))
        sim_fail(s, "node %u: %s", (unsigned)slot, err.text);
}

void sim_purge_check(struct sim *s, uint8_t slot, struct idvec *known)
{
    struct sim_node *n = &s->nodes[slot];
    struct err err = ERR_INIT;
    struct idvec v = {0};
    if (s->o.purge && n->up && !n->env.dead && purge_vector(n, &v, &err) && !idvec_equal(&v, &n->purged)) {
        for (uint8_t m = 0; m < s->o.nodes; m++)
            if (m != slot && v.count > 0 && !(s->stage > 0 && m == s->evicted && n->doc == 1) && !has_had(&s->nodes[m], &v, known))
                sim_fail(s, "PURGE: node %u let rows go of which node %u, as far as it runs now, never had the end", (unsigned)slot, (unsigned)m);
        if (idvec_copy(&n->purged, &v, &err) != QUARTET_OK)
            sim_fail(s, "the simulator is out of memory");
    }
    idvec_deinit(&v);
    idvec_deinit(known);
}

void sim_purge_free(struct sim_node *n)
{
    for (uint32_t i = 0; i < n->had_count; i++)
        idvec_deinit(&n->had[i].v);
    n->had_count = 0;
    idvec_deinit(&n->purged);
}

/* ---- the end ---- */

quartet_status sim_sweep(struct sim_node *n, bool flush_first, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    if (flush_first) {
        pthread_mutex_lock(&n->d->commit_lock);
        db_publish(n->d);
        rc = db_usable(n->d, err);
        if (rc == QUARTET_OK)
            rc = kv_flush(n->d->store, err);
        pthread_mutex_unlock(&n->d->commit_lock);
    }
    return rc == QUARTET_OK ? db_sweep(n->d, err) : rc;
}

/* Entries of a tree; *dead: those that say no more than that their births have ended (a hidden row has values). */
static quartet_status count(struct sim_node *n, tree_id tree, uint64_t *all, uint64_t *dead, struct err *err)
{
    kv_snap *snap = NULL;
    kv_iter *it = NULL;
    struct kv_range range = {.hi_open = true};
    struct kv_want want = {.keys = true, .records = true, .dead = true};
    struct kv_rows rows = {.n = 1};
    *all = *dead = 0;
    quartet_status rc = kv_snapshot_latest(n->d->store, &snap, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_open(snap, NULL, tree, &range, &want, &it, err);
    while (rc == QUARTET_OK && rows.n > 0) {
        rc = kv_iter_next(it, 0, &rows, err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n; i++) {
            struct record_view view;
            *dead += record_view(rows.records[i], &view) && !record_has_values(view.flags);
            ++*all;
        }
    }
    kv_iter_close(it);
    kv_release(snap);
    return rc;
}

static void check_gone(struct sim *s, struct sim_node *n, const struct table_def *t)
{
    struct err err = ERR_INIT;
    uint64_t all, dead, pasts, ignored;
    struct db_purge_info info;
    db_purge_info(n->d, &info);
    quartet_status rc = count(n, t->id, &all, &dead, &err);
    if (rc == QUARTET_OK)
        rc = count(n, kv_past_tree(t->id), &pasts, &ignored, &err);
    if (rc != QUARTET_OK)
        sim_fail(s, "node %u: %s", (unsigned)n->slot, err.text);
    else if ((dead > 0 && !t->rows.updates_win) || pasts > 0)
        sim_fail(s, "PURGE: node %u, where all is quiet, keeps %llu rows of %s that are not live, and %llu entries of history; it waits for %x", (unsigned)n->slot,
                 (unsigned long long)dead, t->name, (unsigned long long)pasts, (unsigned)info.waits_for);
}

void sim_purge_quiet(struct sim *s)
{
    struct err err = ERR_INIT;
    if (!s->o.purge || s->failure[0] != '\0' || db_history_ms(s->nodes[0].d) > SHORT_MS) /* the setting, too, may have gone with a disk */
        return;
    /* What came last is no history yet: something newer makes it so. */
    if (sim_sql(&s->nodes[0], "INSERT INTO journal VALUES (99, 0, 0, 0)", NULL, &err) != QUARTET_OK)
        sim_fail(s, "node 0: %s", err.text);
    sim_converge(s);
    for (uint64_t until = s->now_us + QUIET_US + db_history_ms(s->nodes[0].d) * 1000; s->now_us < until && s->failure[0] == '\0';)
        sim_tick(s);
    sim_converge(s); /* nodes tidy up by transactions of their own (share_move.c) */
    for (uint32_t k = 0; k < s->o.nodes; k++)
        for (int pass = 0; pass < 2 && s->failure[0] == '\0'; pass++) /* entries of history, and the rows that they held */
            if (sim_sweep(&s->nodes[k], pass == 0, &err) != QUARTET_OK)
                sim_fail(s, "node %u: sweep: %s", k, err.text);
    for (uint32_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++) {
        struct catalog *c = db_catalog(s->nodes[k].d);
        const struct table_def *t;
        for (uint32_t i = 0; (t = catalog_table_at(c, i)) != NULL && s->failure[0] == '\0'; i++)
            if (!t->is_system)
                check_gone(s, &s->nodes[k], t);
        catalog_unref(c);
    }
}

/* What is gone from a node is named by its purge vector. */
void sim_purge_check_named(struct sim *s, const struct model *model)
{
    for (uint32_t k = 0; s->o.purge && k < s->o.nodes && s->failure[0] == '\0'; k++) {
        struct err err = ERR_INIT;
        struct idvec v = {0};
        struct model_seen known[64];
        struct buf record = {0};
        kv_snap *snap = NULL;
        bool ok = purge_vector(&s->nodes[k], &v, &err) && v.count <= 64 && kv_snapshot_latest(s->nodes[k].d->store, &snap, &err) == QUARTET_OK;
        for (uint32_t i = 0; ok && i < v.count; i++)
            known[i] = (struct model_seen){.chain = v.e[i].chain, .number = v.e[i].number};
        for (size_t i = 0; ok && i < model->key_count && s->failure[0] == '\0'; i++) {
            const struct model_key *key = model->keys[i];
            buf_clear(&record);
            quartet_status rc = kv_get(snap, NULL, key->table, key->key, &record, &err);
            ok = rc == QUARTET_OK || rc == QUARTET_NOTFOUND;
            if (rc == QUARTET_NOTFOUND && !model_births_known(key, known, v.count))
                sim_fail(s, "PURGE: a row is gone from node %u that its purge vector does not name", k);
        }
        if (!ok)
            sim_fail(s, "node %u: %s", k, err.text);
        kv_release(snap);
        buf_deinit(&record);
        idvec_deinit(&v);
    }
}
