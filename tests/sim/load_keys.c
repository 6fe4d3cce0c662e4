/* load_keys.c - keys that nodes assign: no key is given to two rows, whatever disks are lost, restored or run again. Each transaction writes down beside its row which key it
 * got. A key of a transaction that went with a disk may be given again, and so may one that
 * only a disk had which was put aside and comes back. */
#include "sim/sim_load.h"

#include "engine/conn.h"

static const char *const schema[] = {"CREATE TABLE keyed (id INTEGER PRIMARY KEY, who INTEGER)", "CREATE TABLE key_log (who INTEGER PRIMARY KEY, id INTEGER)", NULL};

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    uint64_t rows = 1 + prng_below(&s->prng, 3);
    for (uint64_t i = 0; i < rows && rc == QUARTET_OK; i++) {
        unsigned long long who = (unsigned long long)(t->unique + i);
        rc = sim_sqlf(n, NULL, err, "INSERT INTO keyed (who) VALUES (%llu)", who);
        if (rc == QUARTET_OK)
            rc = sim_sqlf(n, NULL, err, "INSERT INTO key_log VALUES (%llu, %lld)", who, (long long)conn_last_insert_id(n->c));
        if (rc == QUARTET_OK)
            sim_time_passes(s);
    }
    return rc;
}

static void check_end(struct sim *s)
{
    struct err err = ERR_INIT;
    int64_t lost = 0;
    for (uint8_t k = 0; k < s->o.nodes && s->failure[0] == '\0'; k++) {
        quartet_status rc = sim_sql(&s->nodes[k], "SELECT count(*) FROM key_log l LEFT JOIN keyed k ON k.id = l.id WHERE k.who IS DISTINCT FROM l.who", &lost, &err);
        if (rc != QUARTET_OK)
            sim_fail(s, "node %u: %s", (unsigned)k, err.text);
        else if (lost > 0 && !s->came_back && !s->liar)
            sim_fail(s, "node %u: %lld rows share the keys that were assigned to them with others", (unsigned)k, (long long)lost);
    }
}

static const char *const dumps[] = {"SELECT * FROM keyed ORDER BY id", NULL};

const struct sim_load sim_load_keys = {.name = "keys", .schema = schema, .run = run, .dumps = dumps, .check_end = check_end, .weight = 2};
