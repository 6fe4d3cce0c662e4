/* load_causal.c - rows that name a row which their writer had read: a reader never sees the one without the other. */
#include "sim/sim_load.h"

static const char *const schema[] = {"CREATE TABLE cz (id INTEGER PRIMARY KEY, dep INTEGER)", NULL};

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    int64_t latest = 0;
    (void)s; /* nothing is drawn */
    quartet_status rc = sim_sql(n, "SELECT max(id) FROM cz", &latest, err);
    if (rc != QUARTET_OK)
        return rc;
    if (latest == 0)
        return sim_sqlf(n, NULL, err, "INSERT INTO cz (id, dep) VALUES (%llu, NULL)", (unsigned long long)t->unique);
    return sim_sqlf(n, NULL, err, "INSERT INTO cz (id, dep) VALUES (%llu, %lld)", (unsigned long long)t->unique, (long long)latest);
}

static const struct sim_invariant invariants[] = {
    {"an effect is visible before its cause (cz)", "SELECT count(*) FROM cz c LEFT JOIN cz d ON d.id = c.dep WHERE c.dep IS NOT NULL AND d.id IS NULL"},
    {NULL, NULL},
};
static const char *const dumps[] = {"SELECT * FROM cz ORDER BY id", NULL};

const struct sim_load sim_load_causal = {.name = "causal", .schema = schema, .run = run, .invariants = invariants, .dumps = dumps, .weight = 1};
