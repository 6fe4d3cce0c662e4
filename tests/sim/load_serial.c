/* load_serial.c - a transaction that writes down what it counted: right after its COMMIT there is one more, whatever arrived meanwhile. So COMMIT must have noticed
 * what changed under it; and what it reads twice it reads alike. */
#include "sim/sim_load.h"

static const char *const schema[] = {"CREATE TABLE ser (id INTEGER PRIMARY KEY, grp INTEGER, v INTEGER)", "CREATE INDEX ser_grp ON ser (grp)", NULL};

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    int64_t count = 0, again = 0;
    t->flag = prng_chance(&s->prng, 0.5); /* by index, or all of the table */
    quartet_status rc = t->flag ? sim_sqlf(n, &count, err, "SELECT count(*) FROM ser WHERE grp = %llu", (unsigned long long)t->id % 3)
                                : sim_sql(n, "SELECT count(*) FROM ser", &count, err);
    sim_time_passes(s);
    if (rc == QUARTET_OK)
        rc = t->flag ? sim_sqlf(n, &again, err, "SELECT count(*) FROM ser WHERE grp = %llu", (unsigned long long)t->id % 3)
                     : sim_sql(n, "SELECT count(*) FROM ser", &again, err);
    if (rc == QUARTET_OK && again != count)
        sim_fail(s, "node %u: a transaction counts %lld rows and then %lld", (unsigned)n->slot, (long long)count, (long long)again);
    return rc != QUARTET_OK ? rc : sim_sqlf(n, NULL, err, "INSERT INTO ser (id, grp, v) VALUES (%llu, %llu, %lld)", (unsigned long long)t->unique,
                                            (unsigned long long)t->id % 3, (long long)count);
}

static void committed(struct sim *s, struct sim_node *n, const struct sim_txn *t)
{
    struct err err = ERR_INIT;
    int64_t wrong = 0;
    quartet_status rc = t->flag ? sim_sqlf(n, &wrong, &err, "SELECT (SELECT count(*) FROM ser WHERE grp = %llu) - v - 1 FROM ser WHERE id = %llu",
                                           (unsigned long long)t->id % 3, (unsigned long long)t->unique)
                                : sim_sqlf(n, &wrong, &err, "SELECT (SELECT count(*) FROM ser) - v - 1 FROM ser WHERE id = %llu", (unsigned long long)t->unique);
    if (rc == QUARTET_OK && wrong != 0)
        sim_fail(s, "node %u: transaction %llu is not serializable: it counted %lld rows too few", (unsigned)n->slot, (unsigned long long)t->k, (long long)wrong);
}

static const char *const dumps[] = {"SELECT * FROM ser ORDER BY id", NULL};

const struct sim_load sim_load_serial = {.name = "serial", .schema = schema, .run = run, .committed = committed, .dumps = dumps, .weight = 2};
