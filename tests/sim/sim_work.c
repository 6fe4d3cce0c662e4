/* sim_work.c - what the simulated clients do: the schema, and one transaction of a load at a time, with its row in the journal. */
#include "sim/sim_load.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/db_snapshot.h"

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
    struct err err = ERR_INIT;
    char retention[80] = "SET history_retention = 0";
    if (s->o.retention_ms > 0)
        snprintf(retention, sizeof retention, "SET history_retention = '%llu milliseconds'", (unsigned long long)s->o.retention_ms);
    if (s->o.purge && sim_sql(&s->nodes[0], retention, NULL, &err) != QUARTET_OK) {
        sim_fail(s, "node 0: %s", err.text);
        return false;
    }
    for (uint32_t at = 0; at < (s->o.concurrent_ddl ? 2u : 1u); at++)
        if (!make_tables(s, at))
            return false;
    for (uint32_t i = 0; i < sim_load_count; i++)
        if (sim_loads[i]->prepare != NULL && !sim_loads[i]->prepare(s))
            return false;
    return true;
}

const struct sim_load *sim_load_draw(struct sim *s)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < sim_load_count; i++)
        total += s->o.weights[i];
    uint64_t at = prng_below(&s->plan, total);
    uint32_t i = 0;
    while (at >= s->o.weights[i])
        at -= s->o.weights[i++];
    return sim_loads[i];
}

/* The event's random numbers stay its own. */
void sim_time_passes(struct sim *s)
{
    if (!prng_chance(&s->prng, s->o.slow))
        return;
    struct prng own = s->prng;
    sim_tick(s);
    s->prng = own;
}

static quartet_status run_txn(struct sim *s, struct sim_node *n, const struct sim_load *load, struct sim_txn *t, struct err *err)
{
    quartet_status rc = sim_sql(n, "BEGIN", NULL, err);
    if (rc == QUARTET_OK)
        rc = load->run(s, n, t, err);
    if (rc == QUARTET_OK)
        rc = sim_sqlf(n, NULL, err, "INSERT INTO journal (node, k, id, d) VALUES (%u, %llu, %llu, %lld)", (unsigned)n->slot, (unsigned long long)t->k,
                      (unsigned long long)t->id, (long long)t->d);
    if (rc == QUARTET_OK)
        sim_time_passes(s);
    return rc == QUARTET_OK ? sim_sql(n, "COMMIT", NULL, err) : rc;
}

/* An error on a node that nothing is wrong with is a failure of the run. */
static bool is_excused(const struct sim_node *n, quartet_status rc, bool memory_failed)
{
    if (rc == QUARTET_READONLY && n->up && n->gone)
        return true; /* it was told that it is evicted */
    bool left_behind = n->up && (db_is_behind(n->d) || db_is_sealed(n->d)); /* it waits for a snapshot, or for its opening with one */
    if ((rc == QUARTET_READONLY || rc == QUARTET_BUSY) && left_behind)
        return true;
    if (rc == QUARTET_READONLY && n->up && db_clock_ahead_ms(n->d) > DB_CLOCK_AHEAD_MS_MAX)
        return true;
    if (n->env.dead || n->sick || rc == QUARTET_OK || rc == QUARTET_SERIALIZATION)
        return true;
    return (rc == QUARTET_FULL && n->env.disk_bytes > 0) || (rc == QUARTET_NOMEM && memory_failed);
}

void sim_work_step(struct sim *s, uint8_t slot, const struct sim_load *load)
{
    struct sim_node *n = &s->nodes[slot];
    struct err err = ERR_INIT;
    if (n->next >= SIM_WRITES_MAX || sim_sql(n, "SELECT count(*) FROM journal", NULL, &err) != QUARTET_OK)
        return; /* the schema has not arrived yet */
    struct sim_txn t = {.k = n->next++, .id = prng_below(&s->prng, s->o.keys), .unique = 1 + (s->next_event * 4 + s->event_txns++) * 16};
    double slow = s->o.slow;
    uint64_t fail_at = 1 + prng_below(&s->prng, 600);
    bool memory = n->memory;
    n->memory = false;
    if (memory) {
        s->o.slow = 0; /* what fails is to be this node's, in this transaction */
        mem_fail_at(fail_at, false);
    }
    s->working = n;
    quartet_status rc = run_txn(s, n, load, &t, &err);
    s->working = NULL;
    memory = memory && mem_fail_hits() > 0;
    mem_fail_at(0, false);
    s->o.slow = slow;
    struct err health = ERR_INIT;
    if (memory && n->up && db_health(n->d, &health) != QUARTET_OK)
        n->sick = true; /* it struck the made-up disk's own memory in a write: that is an I/O error, and the node starts again */
    bool refused = rc != QUARTET_OK && rc != QUARTET_SERIALIZATION && load->may_fail != NULL && load->may_fail(rc, &err);
    n->told[t.k] = rc == QUARTET_OK ? 1 : 2;
    if (s->stage == 1 && slot == s->evicted)
        n->told[t.k] = 2; /* it goes on, and does not know yet that it is out */
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
    bool frozen = rc == QUARTET_READONLY && ((s->liar && slot + 1u == s->o.nodes) || n->restored || n->lied); /* the cluster went on without it */
    if (!refused && !frozen && !is_excused(n, rc, memory))
        sim_fail(s, "node %u: transaction %llu (%s) failed on a healthy node: %s", (unsigned)slot, (unsigned long long)t.k, load->name, err.text);
}
