/* sim_work.c - what the simulated clients do: transactions whose effects can be checked in any snapshot and at the end.
 *   journal: one row per transaction, so that the journal tells which transactions a node has.
 *   cnt:     counters; each must equal the sum of the journal's changes in every snapshot.
 *   pa, pb:  two tables written together with one value; a reader never sees them differ.
 *   cz:      rows that name a row which their writer had read; a reader never sees the one without the other.
 *   t:       everything at random, held against the naive model at the end. */
#include "sim/sim.h"

#include <stdio.h>
#include <string.h>

static const char *const schema[] = {
    "CREATE TABLE journal (node INTEGER, k INTEGER, id INTEGER, d INTEGER, PRIMARY KEY (node, k))",
    "CREATE TABLE cnt (id INTEGER PRIMARY KEY, n INTEGER COUNTER DEFAULT 0)",
    "CREATE TABLE pa (id INTEGER PRIMARY KEY, v INTEGER)",
    "CREATE TABLE pb (id INTEGER PRIMARY KEY, v INTEGER)",
    "CREATE TABLE cz (id INTEGER PRIMARY KEY, dep INTEGER)",
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'new', b INTEGER, n INTEGER COUNTER DEFAULT 0)",
    "CREATE INDEX t_b ON t (b, a)",
    NULL,
};

quartet_status sim_sql(struct sim_node *n, const char *sql, int64_t *number, struct err *err)
{
    conn_stmt *stmt = NULL;
    size_t consumed = 0;
    struct batch rows;
    bool first = true;
    quartet_status rc = conn_prepare(n->c, sql, strlen(sql), &stmt, &consumed, err);
    if (number != NULL)
        *number = 0;
    while (rc == QUARTET_OK && (rc = conn_step(stmt, &rows, err)) == QUARTET_OK && rows.n > 0)
        if (first && number != NULL && rows.col_count > 0) {
            struct value v = vec_get(&rows.cols[0], 0);
            *number = v.type == VALUE_INTEGER ? v.i : 0;
            first = false;
        }
    conn_finalize(stmt);
    return rc;
}

bool sim_work_schema(struct sim *s)
{
    struct err err = ERR_INIT;
    char sql[128];
    for (uint32_t k = 0; k < (s->o.concurrent_ddl ? 2u : 1u); k++) {
        for (size_t i = 0; schema[i] != NULL; i++)
            if (sim_sql(&s->nodes[k], schema[i], NULL, &err) != QUARTET_OK) {
                sim_fail(s, "node %u: %s: %s", k, schema[i], err.text);
                return false;
            }
    }
    for (uint32_t id = 0; id < s->o.keys; id++) {
        snprintf(sql, sizeof sql, "INSERT INTO cnt (id) VALUES (%u)", id);
        if (sim_sql(&s->nodes[0], sql, NULL, &err) != QUARTET_OK) {
            sim_fail(s, "node 0: %s: %s", sql, err.text);
            return false;
        }
    }
    return true;
}

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

static quartet_status run_causal(struct sim *s, struct sim_node *n, uint64_t unique, struct err *err)
{
    char sql[160];
    int64_t latest = 0;
    (void)s; /* nothing is drawn */
    quartet_status rc = sim_sql(n, "SELECT max(id) FROM cz", &latest, err);
    if (latest == 0)
        snprintf(sql, sizeof sql, "INSERT INTO cz (id, dep) VALUES (%llu, NULL)", (unsigned long long)unique);
    else
        snprintf(sql, sizeof sql, "INSERT INTO cz (id, dep) VALUES (%llu, %lld)", (unsigned long long)unique, (long long)latest);
    return rc == QUARTET_OK ? sim_sql(n, sql, NULL, err) : rc;
}

static quartet_status run_body(struct sim *s, struct sim_node *n, uint64_t k, uint64_t unique, struct err *err)
{
    char sql[256];
    uint64_t kind = prng_below(&s->prng, 10), id = prng_below(&s->prng, s->o.keys);
    int64_t d = kind < 2 ? prng_between(&s->prng, -9, 9) : 0;
    quartet_status rc = QUARTET_OK;
    if (kind < 2) {
        snprintf(sql, sizeof sql, "UPDATE cnt SET n = n + %lld WHERE id = %llu", (long long)d, (unsigned long long)id);
        rc = sim_sql(n, sql, NULL, err);
        if (conn_changes(n->c) == 0)
            d = 0; /* the counter's row has not arrived here yet */
    }
    snprintf(sql, sizeof sql, "INSERT INTO journal (node, k, id, d) VALUES (%u, %llu, %llu, %lld)", (unsigned)n->slot, (unsigned long long)k,
             (unsigned long long)id, (long long)d);
    if (rc == QUARTET_OK)
        rc = sim_sql(n, sql, NULL, err);
    if (rc != QUARTET_OK || kind < 2)
        return rc;
    if (kind < 4) {
        n->wrote_pair = true;
        static const char *const pair[] = {"pa", "pb"};
        for (size_t i = 0; rc == QUARTET_OK && i < 2; i++) {
            snprintf(sql, sizeof sql, "INSERT INTO %s (id, v) VALUES (%llu, %llu) ON CONFLICT (id) DO UPDATE SET v = excluded.v", pair[i],
                     (unsigned long long)id, (unsigned long long)unique);
            rc = sim_sql(n, sql, NULL, err);
        }
        return rc;
    }
    if (kind == 4)
        return run_causal(s, n, unique, err);
    if (kind == 5 && prng_chance(&s->prng, 0.2))
        return run_large(s, n, unique, err);
    for (uint64_t i = 0, count = 1 + prng_below(&s->prng, 3); rc == QUARTET_OK && i < count; i++) {
        draw_t(s, sql, sizeof sql, unique + i);
        rc = sim_sql(n, sql, NULL, err);
    }
    return rc;
}

/* A writer sees its own commit at once, also where it overwrote something stamped by a clock ahead of its own: a transaction's stamp is
 * greater than all that it had seen. Nothing comes between here, since the simulator has one thread. */
static void check_own_write(struct sim *s, struct sim_node *n, uint64_t k, uint64_t unique)
{
    char sql[160];
    struct err err = ERR_INIT;
    int64_t lost = 0;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM journal j JOIN pa ON pa.id = j.id WHERE j.node = %u AND j.k = %llu AND pa.v < %llu",
             (unsigned)n->slot, (unsigned long long)k, (unsigned long long)unique);
    if (n->wrote_pair && sim_sql(n, sql, &lost, &err) == QUARTET_OK && lost != 0)
        sim_fail(s, "node %u does not see its own commit %llu", (unsigned)n->slot, (unsigned long long)k);
}

void sim_work_step(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    struct err err = ERR_INIT;
    if (n->next >= SIM_WRITES_MAX || sim_sql(n, "SELECT count(*) FROM t", NULL, &err) != QUARTET_OK)
        return; /* the schema, of which t is the last table, has not arrived yet */
    uint64_t k = n->next++;
    n->wrote_pair = false;
    uint64_t unique = 1 + (s->committed + s->failed_txns) * 16 + slot; /* 16: statements of one transaction count on from here */
    quartet_status rc = sim_sql(n, "BEGIN", NULL, &err);
    if (rc == QUARTET_OK)
        rc = run_body(s, n, k, unique, &err);
    if (rc == QUARTET_OK)
        rc = sim_sql(n, "COMMIT", NULL, &err);
    n->told[k] = rc == QUARTET_OK ? 1 : 2;
    if (rc == QUARTET_OK)
        check_own_write(s, n, k, unique);
    if (rc == QUARTET_OK)
        s->committed++;
    else
        s->failed_txns++;
    sim_note(s, rc == QUARTET_OK ? "committed" : "failed", slot, k);
    if (rc != QUARTET_OK && conn_in_transaction(n->c)) {
        struct err ignored = ERR_INIT;
        (void)sim_sql(n, "ROLLBACK", NULL, &ignored); /* a node that is going down cannot do even that */
    }
    if (rc != QUARTET_OK && !n->env.dead && rc != QUARTET_SERIALIZATION)
        sim_fail(s, "node %u: transaction %llu failed on a healthy node: %s", (unsigned)slot, (unsigned long long)k, err.text);
}
