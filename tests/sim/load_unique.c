/* load_unique.c - values that only one row may have, a CHECK over two columns and one that comes and goes, written by all nodes at once: no snapshot shows two rows with
 *   one value, nor a row that breaks a CHECK; whoever is out of sight at the end is so for a reason that is there. */
#include "sim/sim_load.h"

#include <string.h>

#define WIDE "(SELECT count(*) FROM quartet_objects WHERE kind = 'constraint' AND name = 'wide') > 0" /* is there a CHECK (lo + 3 < hi)? */

static const char *const schema[] = {
    "CREATE TABLE un (id INTEGER PRIMARY KEY, a INTEGER UNIQUE, b INTEGER, lo INTEGER, hi INTEGER, UNIQUE (b), CHECK (lo < hi))", NULL};

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    unsigned long long id = t->id, a = prng_below(&s->prng, s->o.keys), b = prng_below(&s->prng, s->o.keys);
    long long lo = prng_between(&s->prng, 0, 8), hi = prng_between(&s->prng, 2, 10);
    switch (prng_below(&s->prng, 26) / 2) {
    case 12:
        return sim_sqlf(n, NULL, err, prng_chance(&s->prng, 0.5) ? "ALTER TABLE un ADD CONSTRAINT wide CHECK (lo + 3 < hi)"
                                                                 : "ALTER TABLE un DROP CONSTRAINT IF EXISTS wide");
    case 0: return sim_sqlf(n, NULL, err, "DELETE FROM un WHERE id = %llu", id);
    case 1: return sim_sqlf(n, NULL, err, "UPDATE un SET a = %llu WHERE id = %llu", a, id);
    case 2: return sim_sqlf(n, NULL, err, "UPDATE un SET b = %llu, lo = %lld WHERE id = %llu", b, lo, id);
    case 8: case 9: return sim_sqlf(n, NULL, err, "UPDATE un SET lo = %lld WHERE id = %llu", lo, id);
    case 3: case 10: return sim_sqlf(n, NULL, err, "UPDATE un SET hi = %lld WHERE id = %llu", hi, id);
    case 4: return sim_sqlf(n, NULL, err, "UPDATE un SET a = a, b = b WHERE id <= %llu", id); /* saved unchanged */
    case 5: return sim_sqlf(n, NULL, err, "REPLACE INTO un VALUES (%llu, %llu, %llu, 0, 10)", id, a, b);
    default: return sim_sqlf(n, NULL, err, "INSERT INTO un VALUES (%llu, %llu, %llu, 0, 10)", id, a, b);
    }
}

static bool may_fail(quartet_status rc, const struct err *err)
{
    return rc == QUARTET_CONSTRAINT || (rc == QUARTET_ERROR && strstr(err->text, "already has a constraint") != NULL);
}

/* AS OF the present is an evaluation from scratch: it knows nothing of marks. */
static void check_end(struct sim *s)
{
    static const char *const sql[] = {"SELECT count(*) FROM (SELECT * FROM un EXCEPT SELECT * FROM un AS OF STAMP quartet_stamp())",
                                      "SELECT count(*) FROM (SELECT * FROM un AS OF STAMP quartet_stamp() EXCEPT SELECT * FROM un)"};
    for (int way = 0; way < 2; way++) {
        struct err err = ERR_INIT;
        int64_t differ = 0;
        if (sim_sqlf(&s->nodes[0], &differ, &err, "%s", sql[way]) != QUARTET_OK)
            sim_fail(s, "node 0: %s", err.text);
        else if (differ != 0)
            sim_fail(s, way == 0 ? "rows show that break something (un)" : "rows are quarantined that break nothing (un)");
    }
}

static const struct sim_invariant invariants[] = {
    {"two rows with one value are visible (un.a)", "SELECT count(*) - count(DISTINCT a) FROM un WHERE a + 0 IS NOT NULL"},
    {"two rows with one value are visible (un.b)", "SELECT count(*) - count(DISTINCT b) FROM un WHERE b + 0 IS NOT NULL"},
    {"a row that breaks a CHECK is visible (un)", "SELECT count(*) FROM un WHERE lo >= hi"},
    {"a row that breaks a CHECK that was added is visible (un)", "SELECT count(*) FROM un WHERE lo + 3 >= hi AND " WIDE},
    {"an index tells of other rows than its table (un.a)", "SELECT (SELECT count(*) FROM un WHERE a >= 0) - (SELECT count(*) FROM un WHERE a + 0 >= 0)"},
    {NULL, NULL},
};
static const char *const dumps[] = {"SELECT * FROM un ORDER BY id", "SELECT a FROM un WHERE a >= 0 ORDER BY a",
                                    "SELECT table_id, hex(row_key) FROM quartet_quarantined ORDER BY 1, 2", NULL};
static const char *const derived[] = {"un", NULL};

const struct sim_load sim_load_unique = {.name = "unique", .schema = schema, .run = run, .may_fail = may_fail, .invariants = invariants, .dumps = dumps,
                                         .derived_tables = derived, .check_end = check_end, .weight = 3};
