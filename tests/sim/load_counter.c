/* load_counter.c - counters: each must equal the sum of the journal's changes, in every snapshot. */
#include "sim/sim_load.h"

static const char *const schema[] = {"CREATE TABLE cnt (id INTEGER PRIMARY KEY, n INTEGER COUNTER DEFAULT 0)", NULL};

static bool prepare(struct sim *s)
{
    struct err err = ERR_INIT;
    for (uint32_t id = 0; id < s->o.keys; id++)
        if (sim_sqlf(&s->nodes[0], NULL, &err, "INSERT INTO cnt (id) VALUES (%u)", id) != QUARTET_OK) {
            sim_fail(s, "node 0: %s", err.text);
            return false;
        }
    return true;
}

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    int64_t d = prng_between(&s->prng, -9, 9);
    quartet_status rc = sim_sqlf(n, NULL, err, "UPDATE cnt SET n = n + %lld WHERE id = %llu", (long long)d, (unsigned long long)t->id);
    t->d = conn_changes(n->c) == 0 ? 0 : d; /* 0: the counter's row has not arrived here yet */
    return rc;
}

static const struct sim_invariant invariants[] = {
    {"a counter differs from the sum of its changes (cnt, journal)",
     "SELECT count(*) FROM cnt LEFT JOIN (SELECT id, sum(d) AS s FROM journal GROUP BY id) j ON j.id = cnt.id WHERE cnt.n <> coalesce(j.s, 0)"},
    {NULL, NULL},
};
static const char *const dumps[] = {"SELECT * FROM cnt ORDER BY id", NULL};

const struct sim_load sim_load_counter = {
    .name = "counter", .schema = schema, .prepare = prepare, .run = run, .invariants = invariants, .dumps = dumps, .weight = 2};
