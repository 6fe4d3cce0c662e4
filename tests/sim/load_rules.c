/* load_rules.c - rules that change while rows are written by them: a table in which updates are made to win and to lose again, and plain columns for which a kind is chosen, by all nodes at once. What
 *   each write counts for is decided by what its writer knew, and so the naive model, which reads that off the operations, must show the same rows. */
#include "sim/sim_load.h"

static const char *const schema[] = {
    "CREATE TABLE turned (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER)",
    "CREATE TABLE chosen (id INTEGER PRIMARY KEY, c0 INTEGER DEFAULT 0, c1 INTEGER DEFAULT 0, c2 INTEGER DEFAULT 0, c3 INTEGER DEFAULT 0, c4 INTEGER DEFAULT 0, c5 INTEGER DEFAULT 0)",
    NULL,
};

typedef unsigned long long ull;

static bool prepare(struct sim *s)
{
    struct err err = ERR_INIT;
    for (uint32_t id = 0; id < 2; id++)
        if (sim_sqlf(&s->nodes[0], NULL, &err, "INSERT INTO chosen (id) VALUES (%u)", id) != QUARTET_OK ||
            sim_sqlf(&s->nodes[0], NULL, &err, "INSERT INTO turned (id) VALUES (%u)", id) != QUARTET_OK) {
            sim_fail(s, "node 0: %s", err.text);
            return false;
        }
    return true;
}

/* Few rows, so that a DELETE meets what it has not seen. */
static quartet_status turn(struct sim *s, struct sim_node *n, const struct sim_txn *t, struct err *err)
{
    ull id = (ull)prng_below(&s->prng, 3), v = (ull)t->unique;
    switch (prng_below(&s->prng, 10)) {
    case 0: case 1: return sim_sqlf(n, NULL, err, "ALTER TABLE turned UPDATES %s", prng_chance(&s->prng, 0.6) ? "WIN" : "LOSE");
    case 2: case 3: return sim_sqlf(n, NULL, err, "DELETE FROM turned WHERE id = %llu", id);
    case 4: case 5: return sim_sqlf(n, NULL, err, "UPDATE turned SET a = %llu WHERE id = %llu", v, id);
    case 6: return sim_sqlf(n, NULL, err, "UPDATE turned SET b = %llu WHERE id = %llu", v, id);
    default: return sim_sqlf(n, NULL, err, "INSERT INTO turned VALUES (%llu, %llu, 0) ON CONFLICT (id) DO UPDATE SET b = %llu", id, v, v);
    }
}

static quartet_status choose(struct sim *s, struct sim_node *n, struct err *err)
{
    static const char *const kinds[] = {"COUNTER", "MAXIMUM", "MINIMUM", "MULTIVALUE"};
    ull c = (ull)prng_below(&s->prng, 6), id = (ull)prng_below(&s->prng, 2);
    long long v = (long long)prng_between(&s->prng, -9, 9);
    if (prng_chance(&s->prng, 0.3))
        return sim_sqlf(n, NULL, err, "ALTER TABLE chosen ALTER COLUMN c%llu SET %s", c, kinds[prng_below(&s->prng, 4)]);
    return sim_sqlf(n, NULL, err, prng_chance(&s->prng, 0.5) ? "UPDATE chosen SET c%llu = c%llu + %lld WHERE id = %llu" : "UPDATE chosen SET c%llu = c%llu * 0 + %lld WHERE id = %llu", c, c, v, id);
}

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    return prng_chance(&s->prng, 0.5) ? turn(s, n, t, err) : choose(s, n, err);
}

/* A column that has a kind takes no other. */
static bool may_fail(quartet_status rc, const struct err *err)
{
    (void)err;
    return rc == QUARTET_ERROR || rc == QUARTET_MISMATCH;
}

static const char *const dumps[] = {"SELECT * FROM turned ORDER BY id", "SELECT * FROM chosen ORDER BY id", "SHOW COLUMNS FROM chosen", NULL};

const struct sim_load sim_load_rules = {.name = "rules", .schema = schema, .prepare = prepare, .run = run, .may_fail = may_fail, .dumps = dumps, .weight = 2};
