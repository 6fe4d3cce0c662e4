/* load_pair.c - two tables written together with one value: a reader never sees them differ. */
#include "sim/sim_load.h"

static const char *const schema[] = {"CREATE TABLE pa (id INTEGER PRIMARY KEY, v INTEGER)", "CREATE TABLE pb (id INTEGER PRIMARY KEY, v INTEGER)", NULL};

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    static const char *const pair[] = {"pa", "pb"};
    quartet_status rc = QUARTET_OK;
    int64_t a = 0, b = 0;
    rc = sim_sqlf(n, &a, err, "SELECT v FROM pa WHERE id = %llu", (unsigned long long)t->id);
    sim_time_passes(s);
    if (rc == QUARTET_OK)
        rc = sim_sqlf(n, &b, err, "SELECT v FROM pb WHERE id = %llu", (unsigned long long)t->id);
    if (rc == QUARTET_OK && a != b)
        sim_fail(s, "node %u: half a transaction is visible within a transaction (pa, pb)", (unsigned)n->slot);
    for (size_t i = 0; rc == QUARTET_OK && i < 2; i++)
        rc = sim_sqlf(n, NULL, err, "INSERT INTO %s (id, v) VALUES (%llu, %llu) ON CONFLICT (id) DO UPDATE SET v = excluded.v", pair[i],
                      (unsigned long long)t->id, (unsigned long long)t->unique);
    return rc;
}

/* A writer sees its own commit at once, also where it overwrote something stamped by a clock ahead of its own: a transaction's stamp is
 * greater than all that it had seen. Nothing comes between here, since the simulator has one thread. */
static void committed(struct sim *s, struct sim_node *n, const struct sim_txn *t)
{
    struct err err = ERR_INIT;
    int64_t lost = 0;
    if (sim_sqlf(n, &lost, &err, "SELECT count(*) FROM pa WHERE id = %llu AND v < %llu", (unsigned long long)t->id, (unsigned long long)t->unique) ==
            QUARTET_OK && lost != 0)
        sim_fail(s, "node %u does not see its own commit %llu", (unsigned)n->slot, (unsigned long long)t->k);
}

static const struct sim_invariant invariants[] = {
    {"half a transaction is visible (pa, pb)",
     "SELECT (SELECT count(*) FROM pa LEFT JOIN pb ON pa.id = pb.id WHERE pb.id IS NULL OR pa.v <> pb.v) + "
     "(SELECT count(*) FROM pb LEFT JOIN pa ON pa.id = pb.id WHERE pa.id IS NULL)"},
    {NULL, NULL},
};
static const char *const dumps[] = {"SELECT * FROM pa ORDER BY id", "SELECT * FROM pb ORDER BY id", NULL};

const struct sim_load sim_load_pair = {
    .name = "pair", .schema = schema, .run = run, .committed = committed, .invariants = invariants, .dumps = dumps, .weight = 2};
