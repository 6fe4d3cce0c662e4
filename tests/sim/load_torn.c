/* load_torn.c - transactions that travel in chunks, and whose writer's disk is lost when some have heard of a part: everybody sees all of one or nothing, and what is void keeps nobody's chains open.
 *   Each writes every row of its table, so in every snapshot all rows are of one transaction. */
#include "sim/sim_load.h"

#define ROWS 60u
#define VALUE_BYTES 6000u /* with ROWS: two chunks, and the last one (txn_commit.c), which says that all are there */

static const char *const schema[] = {"CREATE TABLE big (id INTEGER PRIMARY KEY, w INTEGER, v TEXT)", NULL};

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    t->flag = prng_chance(&s->prng, 0.4);
    return sim_sqlf(n, NULL, err,
                    "INSERT INTO big SELECT i, %llu, substr(hex(zeroblob(%u)), 1 + i) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %u) SELECT i FROM n) AS x "
                    "WHERE true ON CONFLICT (id) DO UPDATE SET w = excluded.w, v = excluded.v",
                    (unsigned long long)t->unique, VALUE_BYTES / 2, ROWS);
}

static void committed(struct sim *s, struct sim_node *n, const struct sim_txn *t)
{
    if (t->flag && !s->healed)
        sim_tear(s, n->slot);
}

static const struct sim_invariant invariants[] = {
    {"a transaction that travels in chunks is seen by halves (big)", "SELECT count(*) FROM big WHERE w <> (SELECT max(w) FROM big) OR (SELECT count(*) FROM big) <> 60"},
    {NULL, NULL},
};
static const char *const dumps[] = {"SELECT id, w, length(v) FROM big ORDER BY id", NULL};

const struct sim_load sim_load_torn = {.name = "torn", .schema = schema, .run = run, .committed = committed, .invariants = invariants, .dumps = dumps, .costly = true, .weight = 1};
