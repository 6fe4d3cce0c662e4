/* sim_load.h - a load is one kind of transaction that simulated clients run, with what must hold of its tables. One file each (load_*.c), named once
 * in the table of sim_load.c; a new column kind or constraint brings a load of its own, and needs no other file touched.
 *
 * Every transaction of every load also writes one row of the table journal (node, k, id, d): so the journal tells which transactions a node has. */
#ifndef TESTS_SIM_SIM_LOAD_H
#define TESTS_SIM_SIM_LOAD_H

#include "sim/sim.h"

struct sim_txn { /* one transaction under way */
    uint64_t k;      /* its number on its node */
    uint64_t unique; /* a number that no other transaction has, nor the 15 after it */
    uint64_t id;     /* a key from 0 to options.keys - 1, drawn for it; goes into the journal, where the body may change it */
    int64_t d;       /* 0 unless the body sets it; goes into the journal with id: a change whose sum a check can use */
    bool flag;       /* the body's own, for `committed` */
};

struct sim_invariant {
    const char *what, *sql; /* the query's first value counts offences: 0 in every snapshot of every node, at any time */
};

/* Lists end with NULL (what == NULL); any list or function but `run` may be NULL. */
struct sim_load {
    const char *name;
    const char *const *schema; /* statements, on one node or on two at once, as the seed says */
    bool (*prepare)(struct sim *s); /* after the schema, on node 0, before anything goes wrong; false: sim_fail has said why */
    /* What lies between BEGIN and COMMIT. A status but QUARTET_OK rolls back; on a healthy node only QUARTET_SERIALIZATION, or what `may_fail` allows, may be. */
    quartet_status (*run)(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err);
    bool (*may_fail)(quartet_status rc, const struct err *err); /* a constraint's refusal, say: such a transaction is rolled back, and all is well */
    void (*committed)(struct sim *s, struct sim_node *n, const struct sim_txn *t); /* right after COMMIT, nothing came between */
    const struct sim_invariant *invariants;
    const char *const *dumps;  /* queries that all nodes answer alike, byte for byte, once they agree */
    /* Its tables' visible rows are less than what births and registers alone make: quarantine, orphans. The naive model of tests/merge
     * knows rows only, so these tables are not held against it; check_end does that instead. */
    const char *const *derived_tables;
    void (*check_end)(struct sim *s); /* when all nodes agree */
    bool costly;                      /* in 3 seeds of 10, not in 8 */
    uint32_t weight;                  /* how often, beside the others; the seed scales it and may leave a load out */
};

extern const struct sim_load sim_load_rows, sim_load_counter, sim_load_pair, sim_load_causal, sim_load_serial, sim_load_unique, sim_load_kinds, sim_load_bounded, sim_load_schema,
    sim_load_keys, sim_load_family, sim_load_rules, sim_load_torn, sim_load_computed;

extern const struct sim_load *const sim_loads[]; /* sim_load_count of them, at most SIM_LOADS_MAX */
extern const uint32_t sim_load_count;

const struct sim_load *sim_load_draw(struct sim *s); /* by weight, from s->plan */
bool sim_load_derives(const char *table); /* is it one of any load's derived_tables? */

/* For bodies: now and then time passes here, and others' transactions arrive in the middle of this one. */
void sim_time_passes(struct sim *s);
/* For bodies: one statement made by printf. */
quartet_status sim_sqlf(struct sim_node *n, int64_t *number, struct err *err, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
