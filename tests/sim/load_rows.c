/* load_rows.c - everything that one can do to rows, at random, held against the naive model at the end. */
#include "sim/sim_load.h"

#include <stdio.h>

static const char *const schema[] = {
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'new', b INTEGER, n INTEGER COUNTER DEFAULT 0)",
    "CREATE INDEX t_b ON t (b, a)",
    NULL,
};

/* A statement on the table that the model checks. */
static void draw_t(struct sim *s, char *sql, size_t n, uint64_t unique)
{
    uint64_t id = prng_below(&s->prng, s->o.keys), b = prng_below(&s->prng, 5);
    switch (prng_below(&s->prng, 8)) {
    case 0:
        snprintf(sql, n, "INSERT OR IGNORE INTO t (id, a, b, n) VALUES (%llu, 'i%llu', %llu, 3)", (unsigned long long)id,
                 (unsigned long long)unique, (unsigned long long)b);
        break;
    case 1:
        snprintf(sql, n, "INSERT INTO t (id, b) VALUES (%llu, %llu) ON CONFLICT (id) DO UPDATE SET n = n + 1, b = excluded.b",
                 (unsigned long long)id, (unsigned long long)b);
        break;
    case 2:
        snprintf(sql, n, "DELETE FROM t WHERE id = %llu", (unsigned long long)id);
        break;
    case 3:
        snprintf(sql, n, "REPLACE INTO t (id, a, b) VALUES (%llu, 'r%llu', NULL)", (unsigned long long)id, (unsigned long long)unique);
        break;
    case 4:
        snprintf(sql, n, "UPDATE t SET a = 'u%llu' WHERE b = %llu", (unsigned long long)unique, (unsigned long long)b);
        break;
    case 5:
        snprintf(sql, n, "UPDATE t SET n = n + %lld WHERE id <= %llu", (long long)prng_between(&s->prng, -5, 5), (unsigned long long)id);
        break;
    case 6:
        snprintf(sql, n, "UPDATE t SET b = %llu WHERE id = %llu", (unsigned long long)b, (unsigned long long)id);
        break;
    default:
        snprintf(sql, n, "UPDATE t SET n = %llu, a = NULL WHERE id = %llu", (unsigned long long)b, (unsigned long long)id);
        break;
    }
}

/* More than one run, batch or block takes. */
static quartet_status run_large(struct sim *s, struct sim_node *n, uint64_t unique, struct err *err)
{
    char sql[160];
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; rc == QUARTET_OK && i < s->o.large; i++) {
        uint64_t id = 1000 + prng_below(&s->prng, 4 * s->o.large);
        snprintf(sql, sizeof sql, "INSERT INTO t (id, a, b) VALUES (%llu, 'large%llu', 7) ON CONFLICT (id) DO UPDATE SET a = excluded.a",
                 (unsigned long long)id, (unsigned long long)unique);
        rc = sim_sql(n, sql, NULL, err);
    }
    return rc;
}

/* Written and taken back within the transaction: nobody may ever see it. */
static quartet_status take_back(struct sim_node *n, struct sim_txn *t, struct err *err)
{
    quartet_status rc = sim_sql(n, "SAVEPOINT s", NULL, err);
    if (rc == QUARTET_OK)
        rc = sim_sqlf(n, NULL, err, "REPLACE INTO t (id, a, b, n) VALUES (%llu, 'taken back', 3, 100)", (unsigned long long)t->id);
    if (rc == QUARTET_OK)
        rc = sim_sql(n, "ROLLBACK TO s", NULL, err);
    return rc == QUARTET_OK ? sim_sql(n, "RELEASE s", NULL, err) : rc;
}

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    char sql[256];
    quartet_status rc = QUARTET_OK;
    if (prng_chance(&s->prng, 0.04))
        return run_large(s, n, t->unique, err);
    for (uint64_t i = 0, count = 1 + prng_below(&s->prng, 3); rc == QUARTET_OK && i < count; i++) {
        draw_t(s, sql, sizeof sql, t->unique + i);
        rc = sim_sql(n, sql, NULL, err);
        if (rc == QUARTET_OK && prng_chance(&s->prng, 0.1))
            rc = take_back(n, t, err);
    }
    return rc;
}

static const struct sim_invariant invariants[] = {
    {"an index disagrees with its table (t_b)",
     "SELECT (SELECT count(*) FROM t WHERE b >= 0 AND b <= 9) - (SELECT count(*) FROM t WHERE b + 0 >= 0 AND b + 0 <= 9)"},
    {"what was rolled back to a savepoint is visible (t)", "SELECT count(*) FROM t WHERE a = 'taken back'"},
    {NULL, NULL},
};
static const char *const dumps[] = {"SELECT * FROM t ORDER BY id", "SELECT id, a, b FROM t WHERE b >= 0 ORDER BY b, a, id", NULL};

const struct sim_load sim_load_rows = {.name = "rows", .schema = schema, .run = run, .invariants = invariants, .dumps = dumps, .weight = 5};
