/* load_bounded.c - counters with bounds: in no snapshot of any node is a value beyond its bound, whatever was lost, late, restored or inserted twice. `bnd` is inserted and
 * deleted by everybody at once (a sum of values of at least 0 is at least 0); of `lim`, with bounds on both sides, each row was inserted once, before anything went wrong. */
#include "sim/sim_load.h"

static const char *const schema[] = {"CREATE TABLE bnd (id INTEGER PRIMARY KEY, n INTEGER COUNTER DEFAULT 0 CHECK (n >= 0))",
                                     "CREATE TABLE lim (id INTEGER PRIMARY KEY, n DECIMAL(6, 1) COUNTER DEFAULT 0 CHECK (n BETWEEN -4 AND 9.5))", NULL};

static bool prepare(struct sim *s)
{
    struct err err = ERR_INIT;
    for (uint32_t id = 0; id < s->o.keys; id++)
        if (sim_sqlf(&s->nodes[0], NULL, &err, "INSERT INTO bnd VALUES (%u, 12)", id) != QUARTET_OK ||
            sim_sqlf(&s->nodes[0], NULL, &err, "INSERT INTO lim VALUES (%u, 3.5)", id) != QUARTET_OK) {
            sim_fail(s, "node 0: %s", err.text);
            return false;
        }
    return true;
}

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    unsigned long long id = (unsigned long long)(t->id < 3 ? t->id : t->id % 3); /* few rows: what is left of them runs out */
    uint64_t what = prng_below(&s->prng, 20);
    long long by = (long long)prng_between(&s->prng, -5, 4);
    if (what == 0)
        return sim_sqlf(n, NULL, err, "DELETE FROM bnd WHERE id = %llu", id);
    if (what <= 2)
        return sim_sqlf(n, NULL, err, "INSERT INTO bnd VALUES (%llu, %lld) ON CONFLICT (id) DO UPDATE SET n = n + 1", id, (long long)prng_between(&s->prng, 0, 9));
    if (what <= 11)
        return sim_sqlf(n, NULL, err, "UPDATE bnd SET n = n + %lld WHERE id = %llu", by, id);
    if (what <= 15)
        return sim_sqlf(n, NULL, err, "UPDATE lim SET n = n + %lld.5 WHERE id = %llu", by, id);
    /* What it takes adds up, and while it is open others ask for what is left. */
    quartet_status rc = sim_sqlf(n, NULL, err, "UPDATE lim SET n = n - 2 WHERE id = %llu", id);
    for (int i = 0; i < 4; i++)
        sim_time_passes(s);
    return rc == QUARTET_OK ? sim_sqlf(n, NULL, err, "UPDATE lim SET n = n - 1 WHERE id = %llu", id) : rc;
}

static bool may_fail(quartet_status rc, const struct err *err)
{
    (void)err; /* its own bound, or a share that has not come yet */
    return rc == QUARTET_CONSTRAINT || rc == QUARTET_UNAVAILABLE;
}

static const struct sim_invariant invariants[] = {
    {"a counter is below its bound (bnd)", "SELECT count(*) FROM bnd WHERE n < 0"},
    {"a counter is beyond a bound (lim)", "SELECT count(*) FROM lim WHERE n < -4 OR n > 9.5"},
    {NULL, NULL},
};
static const char *const dumps[] = {"SELECT * FROM bnd ORDER BY id", "SELECT * FROM lim ORDER BY id", NULL};

const struct sim_load sim_load_bounded = {.name = "bounded", .schema = schema, .prepare = prepare, .run = run, .may_fail = may_fail, .invariants = invariants,
                                          .dumps = dumps, .weight = 3};
