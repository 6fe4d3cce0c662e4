/* load_schema.c - DDL by all nodes at once, within transactions that also write rows: columns that come, go and change their names, constraints, indexes, tables that are
 *   made, renamed and dropped. In the end all have the same definitions and rows; those of tables without constraints are held against the naive model. */
#include "sim/sim_load.h"

#include <string.h>

static const char *const schema[] = {
    "CREATE TABLE sch (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER)",  /* changed, never renamed */
    "CREATE TABLE judged (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER)", /* has constraints as they come and go */
    NULL,
};
static const char *const columns[] = {"a", "b", "c", "d"};
static const char *const tables[] = {"made", "other"}; /* names that come and go */
#define PICK(s, list) ((list)[prng_below(&(s)->prng, sizeof(list) / sizeof *(list))])

typedef unsigned long long ull;

static quartet_status change_columns(struct sim *s, struct sim_node *n, const char *table, struct err *err)
{
    static const char *const kinds[] = {"COUNTER", "MAXIMUM", "MINIMUM", "MULTIVALUE"};
    const char *x = PICK(s, columns), *y = PICK(s, columns);
    switch (prng_below(&s->prng, 7)) {
    case 5: case 6: return sim_sqlf(n, NULL, err, "ALTER TABLE %s ALTER COLUMN %s SET %s", table, x, PICK(s, kinds));
    case 0: case 1:
        return sim_sqlf(n, NULL, err, "ALTER TABLE %s ADD COLUMN %s INTEGER%s", table, x, prng_chance(&s->prng, 0.5) ? "" : prng_chance(&s->prng, 0.5) ? " DEFAULT 3" : " COUNTER");
    case 2: return sim_sqlf(n, NULL, err, "ALTER TABLE %s DROP COLUMN %s", table, x);
    default: return sim_sqlf(n, NULL, err, "ALTER TABLE %s RENAME COLUMN %s TO %s", table, x, y);
    }
}

static quartet_status change_tables(struct sim *s, struct sim_node *n, struct err *err)
{
    const char *x = PICK(s, tables), *y = PICK(s, tables);
    switch (prng_below(&s->prng, 8)) {
    case 6: return sim_sqlf(n, NULL, err, "COMMENT ON TABLE %s IS 'of node %u, %llu'", x, n->slot, (ull)prng_below(&s->prng, 100));
    case 7: return sim_sqlf(n, NULL, err, "COMMENT ON COLUMN sch.%s IS 'of node %u, %llu'", PICK(s, columns), n->slot, (ull)prng_below(&s->prng, 100));
    case 0: return sim_sqlf(n, NULL, err, "DROP TABLE %s", x);
    case 1: return sim_sqlf(n, NULL, err, "ALTER TABLE %s RENAME TO %s", x, y);
    case 2: return sim_sqlf(n, NULL, err, "CREATE TABLE %s (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER DEFAULT 5)", x);
    case 3: return change_columns(s, n, x, err);
    default: return sim_sqlf(n, NULL, err, "CREATE TABLE %s (id INTEGER PRIMARY KEY, a INTEGER)", x);
    }
}

static quartet_status change_constraints(struct sim *s, struct sim_node *n, struct err *err)
{
    const char *x = PICK(s, columns);
    switch (prng_below(&s->prng, 7)) {
    case 0: return sim_sqlf(n, NULL, err, "ALTER TABLE judged ADD CONSTRAINT k CHECK (%s <> 3)", x);
    case 1: return sim_sqlf(n, NULL, err, "ALTER TABLE judged ADD CONSTRAINT k UNIQUE (%s)", x);
    case 2: case 3: return sim_sqlf(n, NULL, err, "ALTER TABLE judged DROP CONSTRAINT IF EXISTS k");
    case 4: return sim_sqlf(n, NULL, err, "CREATE INDEX judged_i ON judged (%s)", x);
    case 5: return sim_sqlf(n, NULL, err, "DROP INDEX IF EXISTS judged_i");
    default: return sim_sqlf(n, NULL, err, "ALTER TABLE judged ALTER COLUMN %s %s NOT NULL", x, prng_chance(&s->prng, 0.5) ? "SET" : "DROP");
    }
}

static quartet_status write_row(struct sim *s, struct sim_node *n, const struct sim_txn *t, const char *table, struct err *err)
{
    ull id = (ull)(t->id % 8), v = (ull)prng_below(&s->prng, 6);
    const char *x = PICK(s, columns);
    switch (prng_below(&s->prng, 8)) {
    case 0: return sim_sqlf(n, NULL, err, "DELETE FROM %s WHERE id = %llu", table, id);
    case 1: case 2: case 3: return sim_sqlf(n, NULL, err, "UPDATE %s SET %s = %llu WHERE id = %llu", table, x, v, id);
    case 4: return sim_sqlf(n, NULL, err, prng_chance(&s->prng, 0.5) ? "UPDATE %s SET %s = %s + %llu" : "UPDATE %s SET %s = coalesce(%s, 0) - %llu", table, x, x, v);
    default: return sim_sqlf(n, NULL, err, "INSERT OR IGNORE INTO %s (id, %s) VALUES (%llu, %llu)", table, x, id, v);
    }
}

static const char *any_table(struct sim *s)
{
    static const char *const fixed[] = {"sch", "judged", "sch", "judged", "made", "other"};
    return PICK(s, fixed);
}

/* What a statement names may not be there: then it is a transaction that did nothing. */
static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    switch (prng_below(&s->prng, 12)) {
    case 0: rc = change_columns(s, n, "sch", err); break;
    case 1: rc = change_columns(s, n, "judged", err); break;
    case 2: rc = change_tables(s, n, err); break;
    case 3: rc = change_constraints(s, n, err); break;
    default: return write_row(s, n, t, any_table(s), err);
    }
    if (rc != QUARTET_OK || prng_chance(&s->prng, 0.5))
        return rc;
    sim_time_passes(s);
    return write_row(s, n, t, any_table(s), err);
}

static bool may_fail(quartet_status rc, const struct err *err)
{
    (void)err;
    return rc == QUARTET_ERROR || rc == QUARTET_CONSTRAINT || rc == QUARTET_MISMATCH;
}

static const struct sim_invariant invariants[] = {
    {"an index tells of other rows than its table (judged)", "SELECT (SELECT count(*) FROM judged WHERE id >= 0) - (SELECT count(*) FROM judged WHERE id + 0 >= 0)"},
    {NULL, NULL},
};
static const char *const dumps[] = {"SHOW SCHEMA", "SELECT * FROM sch ORDER BY id", "SELECT * FROM judged ORDER BY id", "SHOW COLUMNS FROM sch",
                                    "SELECT table_name, key, reason FROM quartet_quarantine ORDER BY 1, 2", NULL};
static const char *const derived[] = {"judged", NULL};

/* Each index that there is in the end has the rows of its table, whoever made it. */
static void check_end(struct sim *s)
{
    for (uint32_t i = 0; i < s->o.nodes; i++) {
        struct err err = ERR_INIT;
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            int64_t by_index = 0, by_rows = 0;
            if (sim_sqlf(&s->nodes[i], &by_index, &err, "SELECT count(*) FROM judged WHERE %s >= 0", columns[c]) != QUARTET_OK)
                continue; /* it is not there */
            if (sim_sqlf(&s->nodes[i], &by_rows, &err, "SELECT count(*) FROM judged WHERE %s + 0 >= 0", columns[c]) != QUARTET_OK || by_rows != by_index)
                sim_fail(s, "node %u: by its index judged.%s has %lld rows, by the table %lld", i, columns[c], (long long)by_index, (long long)by_rows);
        }
    }
}

const struct sim_load sim_load_schema = {.name = "schema", .schema = schema, .run = run, .may_fail = may_fail, .invariants = invariants, .dumps = dumps,
                                         .derived_tables = derived, .check_end = check_end, .weight = 2};
