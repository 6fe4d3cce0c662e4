/* sim_check.c - the checkers: what must hold in every snapshot, and what must hold at the end (../docs/ARCHITECTURE.md, "How we know"). */
#include "sim/sim_load.h"

#include <stdio.h>
#include <string.h>

#include "engine/db_internal.h"

void sim_check_now(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    for (uint32_t i = 0; i < sim_load_count; i++)
        for (const struct sim_invariant *v = sim_loads[i]->invariants; v != NULL && v->what != NULL && s->failure[0] == '\0'; v++) {
            struct err err = ERR_INIT;
            int64_t offences = 0;
            quartet_status rc = sim_sql(n, v->sql, &offences, &err);
            if (rc == QUARTET_ERROR && strstr(err.text, "no such table") != NULL)
                return; /* the schema has not arrived yet */
            if (rc != QUARTET_OK && !n->env.dead)
                sim_fail(s, "node %u cannot be read: %s", (unsigned)slot, err.text);
            else if (rc == QUARTET_OK && offences != 0)
                sim_fail(s, "node %u: %s: %lld times", (unsigned)slot, v->what, (long long)offences);
        }
}

bool sim_vector(struct sim_node *n, bool durable, struct idvec *out, struct err *err)
{
    struct buf applied = {0}, disk = {0};
    *out = (struct idvec){0};
    bool ok = db_vectors(n->d, &applied, &disk, err) == QUARTET_OK;
    struct bytes_in in = durable ? bytes_in(disk.data, disk.len) : bytes_in(applied.data, applied.len);
    ok = ok && idvec_decode(&in, out, err) == QUARTET_OK;
    buf_deinit(&applied);
    buf_deinit(&disk);
    return ok;
}

bool sim_same_vectors(struct sim *s, uint8_t a, uint8_t b)
{
    struct idvec one = {0}, other = {0};
    struct err err = ERR_INIT;
    bool equal = s->nodes[a].up && s->nodes[b].up && sim_vector(&s->nodes[a], false, &one, &err) && sim_vector(&s->nodes[b], false, &other, &err) &&
                 idvec_equal(&one, &other);
    idvec_deinit(&one);
    idvec_deinit(&other);
    return equal;
}

bool sim_converged(struct sim *s)
{
    struct idvec first = {0}, other = {0};
    struct err err = ERR_INIT;
    bool equal = sim_members_settled(s) && s->nodes[0].up && sim_vector(&s->nodes[0], false, &first, &err);
    for (uint32_t k = 1; k < s->o.nodes && equal; k++) {
        equal = s->nodes[k].up && sim_vector(&s->nodes[k], false, &other, &err) && idvec_equal(&first, &other);
        idvec_deinit(&other);
        other = (struct idvec){0};
    }
    /* Everything that is sealed must be known, and nothing may wait to be sealed. */
    for (size_t i = 0; i < s->batch_count && equal; i++) {
        struct batch_header h;
        struct slice payload;
        if (s->batches[i].maybe_lost)
            continue;
        equal = batch_parse(slice_of(s->batches[i].bytes, s->batches[i].n), &h, &payload, &err) == QUARTET_OK &&
                idvec_number(&first, h.chain) >= h.first + h.count - 1;
    }
    idvec_deinit(&first);
    return equal;
}

/* ---- the end ---- */

static quartet_status dump(struct sim_node *n, const char *sql, struct buf *out, struct err *err)
{
    conn_stmt *stmt = NULL;
    size_t consumed = 0;
    struct batch rows;
    quartet_status rc = conn_prepare(n->c, sql, strlen(sql), &stmt, &consumed, err);
    while (rc == QUARTET_OK && (rc = conn_step(stmt, &rows, err)) == QUARTET_OK && rows.n > 0)
        for (uint32_t r = 0; r < rows.n; r++)
            for (uint32_t c = 0; c < rows.col_count; c++) {
                struct value v = vec_get(&rows.cols[c], r);
                value_encode(out, &v);
            }
    conn_finalize(stmt);
    return rc == QUARTET_OK ? buf_check(out, err) : rc;
}

static void check_dump(struct sim *s, const char *sql)
{
    struct buf first = {0};
    struct err err = ERR_INIT;
    for (uint32_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++) {
        struct buf mine = {0};
        if (dump(&s->nodes[k], sql, &mine, &err) != QUARTET_OK)
            sim_fail(s, "node %u: %s: %s", k, sql, err.text);
        else if (k > 0 && !slice_eq(slice_of(first.data, first.len), slice_of(mine.data, mine.len)))
            sim_fail(s, "DIVERGED: node %u and node 0 answer differently to: %s", k, sql);
        if (k == 0)
            first = mine;
        else
            buf_deinit(&mine);
    }
    buf_deinit(&first);
}

static void check_alike(struct sim *s)
{
    struct err err = ERR_INIT;
    check_dump(s, "SELECT * FROM journal ORDER BY node, k");
    for (uint32_t i = 0; i < sim_load_count; i++)
        for (const char *const *sql = sim_loads[i]->dumps; sql != NULL && *sql != NULL; sql++)
            check_dump(s, *sql);
    struct state_hash first = {0};
    for (uint32_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++) {
        struct state_hash h;
        struct buf at = {0};
        if (db_state_hash(s->nodes[k].d, &h, &at, &err) != QUARTET_OK)
            sim_fail(s, "node %u: %s", k, err.text);
        else if (k > 0 && (h.lo != first.lo || h.hi != first.hi))
            sim_fail(s, "DIVERGED: the state hashes of node %u and node 0 differ at equal vectors", k);
        if (k == 0)
            first = h;
        buf_deinit(&at);
    }
}

static void check_durable(struct sim *s)
{
    for (uint32_t k = 0; k < s->o.nodes; k++)
        for (uint64_t i = 0; i < s->nodes[k].next && s->failure[0] == '\0'; i++) {
            char sql[128];
            int64_t found = 0;
            struct err err = ERR_INIT;
            if (s->nodes[k].told[i] != 1)
                continue;
            snprintf(sql, sizeof sql, "SELECT count(*) FROM journal WHERE node = %u AND k = %llu", k, (unsigned long long)i);
            if (sim_sql(&s->nodes[0], sql, &found, &err) != QUARTET_OK)
                sim_fail(s, "node 0: %s", err.text);
            else if (found != 1)
                sim_fail(s, "LOST: transaction %llu of node %u was acknowledged and is nowhere", (unsigned long long)i, k);
        }
}

/* Where a branch of somebody's history is known, everybody has stopped believing who signed it. */
static void check_frozen(struct sim *s)
{
    for (uint8_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++) {
        struct idvec v;
        struct err err = ERR_INIT;
        bool branches = false;
        bool ok = sim_vector(&s->nodes[k], false, &v, &err);
        for (uint32_t i = 0; ok && i < v.count; i++)
            branches = branches || (v.e[i].chain.incarnation & CHAIN_BRANCH_BIT) != 0;
        idvec_deinit(&v);
        if (branches && !db_slot_frozen(s->nodes[k].d, (uint8_t)s->o.nodes)) /* who signed them was the last one, and has left */
            sim_fail(s, "node %u goes on with a slot that signed two histories", (unsigned)k);
    }
}

/* Of a closed chain nobody keeps more than all have: no chunks of a transaction without its end, nothing that waits, nothing on a disk that not all disks hold. */
static void check_void(struct sim *s)
{
    for (uint8_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++) {
        db *d = s->nodes[k].d, *first = s->nodes[0].d;
        for (uint32_t i = 0; i < d->state_count && s->failure[0] == '\0'; i++) {
            const struct chain_state *c = d->state[i];
            struct chain_id successor, id = chain_id_of(&d->chains, (chain_no)i);
            uint64_t number;
            chain_no there;
            if (c == NULL || !db_chain_closed(d, (chain_no)i, &number, &successor))
                continue;
            uint64_t others = chain_find(&first->chains, id, &there) ? vv_number(&first->durable, there) : 0;
            if (c->chunks.open || c->held != NULL || vv_number(&d->durable, (chain_no)i) != others)
                sim_fail(s, "VOID: node %u keeps what came of chain %u/%04x beyond its end at %llu:%s%s %llu on its disk, %llu on that of node 0", (unsigned)k, (unsigned)id.slot,
                         (unsigned)(id.incarnation & 0xffff), (unsigned long long)number, c->chunks.open ? " chunks," : "", c->held != NULL ? " what waits," : "",
                         (unsigned long long)vv_number(&d->durable, (chain_no)i), (unsigned long long)others);
        }
    }
}

void sim_check_end(struct sim *s)
{
    for (uint8_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++)
        sim_check_now(s, k);
    if (s->failure[0] == '\0')
        check_alike(s);
    if (s->failure[0] == '\0')
        check_durable(s);
    if (s->failure[0] == '\0' && !s->liar)
        check_void(s);
    if (s->failure[0] == '\0' && !s->liar) /* the model knows no branches */
        sim_check_model(s);
    if (s->failure[0] == '\0' && s->liar)
        check_frozen(s);
    if (s->failure[0] != '\0' || !s->o.purge || s->liar) /* a member that is gone for good keeps what is to be purged */
        return;
    sim_purge_quiet(s); /* and nothing that shows has changed with what went */
    if (s->failure[0] == '\0')
        check_alike(s);
    if (s->failure[0] == '\0')
        sim_check_model(s);
}
