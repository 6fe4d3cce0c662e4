/* load_computed.c - what is computed from rows that all nodes write at once: generated columns, an index on one and one on an expression, and partial UNIQUE indexes, which some rows enter and leave by a
 *   column that others set. What shows is computed from the row that shows; no two rows within an index's WHERE have one value, whoever brought them in. */
#include "sim/sim_load.h"

static const char *const schema[] = {
    "CREATE TABLE comp (id INTEGER PRIMARY KEY, price INTEGER, n INTEGER, seat INTEGER, state TEXT DEFAULT 'held', total INTEGER AS (price * n) STORED, tag TEXT AS (state || '/' || coalesce(seat, '-')))",
    "CREATE INDEX comp_total ON comp (total)",
    "CREATE INDEX comp_sum ON comp (price + n)",
    "CREATE UNIQUE INDEX comp_seat ON comp (seat) WHERE state = 'held'",
    "CREATE UNIQUE INDEX comp_pair ON comp (price % 4, n) WHERE n > 6",
    NULL,
};

typedef unsigned long long ull;

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    static const char *const states[] = {"held", "held", "free", "sold"};
    ull id = (ull)t->id, seat = (ull)prng_below(&s->prng, s->o.keys);
    long long price = (long long)prng_between(&s->prng, 0, 9), number = (long long)prng_between(&s->prng, 0, 9);
    const char *state = states[prng_below(&s->prng, 4)];
    switch (prng_below(&s->prng, 11)) {
    case 0: return sim_sqlf(n, NULL, err, "DELETE FROM comp WHERE id = %llu", id);
    case 1: case 2: return sim_sqlf(n, NULL, err, "UPDATE comp SET state = '%s' WHERE id = %llu", state, id);
    case 3: return sim_sqlf(n, NULL, err, "UPDATE comp SET seat = %llu WHERE id = %llu", seat, id);
    case 4: return sim_sqlf(n, NULL, err, "UPDATE comp SET price = %lld WHERE id = %llu", price, id);
    case 5: case 6: return sim_sqlf(n, NULL, err, "UPDATE comp SET n = %lld WHERE id = %llu", number, id);
    case 7: return sim_sqlf(n, NULL, err, "UPDATE comp SET seat = NULL, n = NULL WHERE tag = 'free/%llu'", seat);
    case 8: return sim_sqlf(n, NULL, err, "REPLACE INTO comp (id, price, n, seat, state) VALUES (%llu, %lld, %lld, %llu, '%s')", id, price, number, seat, state);
    default: return sim_sqlf(n, NULL, err, "INSERT INTO comp (id, price, n, seat, state) VALUES (%llu, %lld, %lld, %llu, '%s')", id, price, number, seat, state);
    }
}

static bool may_fail(quartet_status rc, const struct err *err)
{
    (void)err;
    return rc == QUARTET_CONSTRAINT;
}

/* AS OF the present is an evaluation from scratch: it knows nothing of marks. */
static void check_end(struct sim *s)
{
    static const char *const sql[] = {"SELECT count(*) FROM (SELECT * FROM comp EXCEPT SELECT * FROM comp AS OF STAMP quartet_stamp())",
                                      "SELECT count(*) FROM (SELECT * FROM comp AS OF STAMP quartet_stamp() EXCEPT SELECT * FROM comp)"};
    for (int way = 0; way < 2; way++) {
        struct err err = ERR_INIT;
        int64_t differ = 0;
        if (sim_sqlf(&s->nodes[0], &differ, &err, "%s", sql[way]) != QUARTET_OK)
            sim_fail(s, "node 0: %s", err.text);
        else if (differ != 0)
            sim_fail(s, way == 0 ? "rows show that break something (comp)" : "rows are quarantined that break nothing (comp)");
    }
}

static const struct sim_invariant invariants[] = {
    {"a generated column is not what its row says (comp)", "SELECT count(*) FROM comp WHERE total IS DISTINCT FROM price * n OR tag IS DISTINCT FROM state || '/' || coalesce(seat, '-')"},
    {"two rows with one value are within a partial UNIQUE index (comp_seat)", "SELECT count(seat) - count(DISTINCT seat) FROM comp WHERE state || '' = 'held'"},
    {"two rows with one value are within a partial UNIQUE index on an expression (comp_pair)",
     "SELECT count(*) FROM (SELECT 1 FROM comp WHERE n + 0 > 6 AND price IS NOT NULL GROUP BY price % 4, n HAVING count(*) > 1) AS x"},
    {"an index on a generated column tells of other rows than its table (comp_total)",
     "SELECT (SELECT count(*) FROM comp WHERE total >= 10) - (SELECT count(*) FROM comp WHERE price * n + 0 >= 10)"},
    {"an index on an expression tells of other rows than its table (comp_sum)",
     "SELECT (SELECT count(*) FROM comp WHERE price + n >= 9) - (SELECT count(*) FROM comp WHERE n + price >= 9)"},
    {"a partial index tells of other rows than its table (comp_seat)",
     "SELECT (SELECT count(*) FROM comp WHERE seat >= 0 AND state = 'held') - (SELECT count(*) FROM comp WHERE seat + 0 >= 0 AND state || '' = 'held')"},
    {NULL, NULL},
};
static const char *const dumps[] = {"SELECT * FROM comp ORDER BY id", "SELECT seat FROM comp WHERE state = 'held' AND seat >= 0 ORDER BY seat",
                                    "SELECT id FROM comp WHERE total >= 0 ORDER BY total, id", NULL};
static const char *const derived[] = {"comp", NULL};

const struct sim_load sim_load_computed = {.name = "computed", .schema = schema, .run = run, .may_fail = may_fail, .invariants = invariants, .dumps = dumps, .derived_tables = derived,
                                           .check_end = check_end, .weight = 3};
