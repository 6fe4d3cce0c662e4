/* sim_work.c - what the simulated clients do: the schema, and one transaction of a load at a time, with its row in the journal. */
#include "sim/sim_load.h"

#include <string.h>

/* Made last: who has it has the tables of all loads. */
static const char journal[] = "CREATE TABLE journal (node INTEGER, k INTEGER, id INTEGER, d INTEGER, PRIMARY KEY (node, k))";

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

static bool make_tables(struct sim *s, uint32_t at)
{
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < sim_load_count; i++)
        for (const char *const *sql = sim_loads[i]->schema; sql != NULL && *sql != NULL; sql++)
            if (sim_sql(&s->nodes[at], *sql, NULL, &err) != QUARTET_OK) {
                sim_fail(s, "node %u: %s: %s", at, *sql, err.text);
                return false;
            }
    if (sim_sql(&s->nodes[at], journal, NULL, &err) != QUARTET_OK)
        sim_fail(s, "node %u: %s: %s", at, journal, err.text);
    return s->failure[0] == '\0';
}

bool sim_work_schema(struct sim *s)
{
    for (uint32_t at = 0; at < (s->o.concurrent_ddl ? 2u : 1u); at++)
        if (!make_tables(s, at))
            return false;
    for (uint32_t i = 0; i < sim_load_count; i++)
        if (sim_loads[i]->prepare != NULL && !sim_loads[i]->prepare(s))
            return false;
    return true;
}

static const struct sim_load *draw_load(struct sim *s)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < sim_load_count; i++)
        total += s->o.weights[i];
    uint64_t at = prng_below(&s->prng, total);
    uint32_t i = 0;
    while (at >= s->o.weights[i])
        at -= s->o.weights[i++];
    return sim_loads[i];
}

static quartet_status run_txn(struct sim *s, struct sim_node *n, const struct sim_load *load, struct sim_txn *t, struct err *err)
{
    quartet_status rc = sim_sql(n, "BEGIN", NULL, err);
    if (rc == QUARTET_OK)
        rc = load->run(s, n, t, err);
    if (rc == QUARTET_OK)
        rc = sim_sqlf(n, NULL, err, "INSERT INTO journal (node, k, id, d) VALUES (%u, %llu, %llu, %lld)", (unsigned)n->slot, (unsigned long long)t->k,
                      (unsigned long long)t->id, (long long)t->d);
    return rc == QUARTET_OK ? sim_sql(n, "COMMIT", NULL, err) : rc;
}

void sim_work_step(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    struct err err = ERR_INIT;
    if (n->next >= SIM_WRITES_MAX || sim_sql(n, "SELECT count(*) FROM journal", NULL, &err) != QUARTET_OK)
        return; /* the schema has not arrived yet */
    const struct sim_load *load = draw_load(s);
    struct sim_txn t = {.k = n->next++, .id = prng_below(&s->prng, s->o.keys), .unique = 1 + (s->committed + s->failed_txns) * 16};
    quartet_status rc = run_txn(s, n, load, &t, &err);
    bool refused = rc != QUARTET_OK && rc != QUARTET_SERIALIZATION && load->may_fail != NULL && load->may_fail(rc, &err);
    n->told[t.k] = rc == QUARTET_OK ? 1 : 2;
    if (rc == QUARTET_OK && load->committed != NULL)
        load->committed(s, n, &t);
    if (rc == QUARTET_OK)
        s->committed++;
    else
        s->failed_txns++;
    sim_note(s, rc == QUARTET_OK ? "committed" : "failed", slot, t.k);
    if (rc != QUARTET_OK && conn_in_transaction(n->c)) {
        struct err ignored = ERR_INIT;
        (void)sim_sql(n, "ROLLBACK", NULL, &ignored); /* a node that is going down cannot do even that */
    }
    if (rc != QUARTET_OK && !n->env.dead && rc != QUARTET_SERIALIZATION && !refused)
        sim_fail(s, "node %u: transaction %llu (%s) failed on a healthy node: %s", (unsigned)slot, (unsigned long long)t.k, load->name, err.text);
}
