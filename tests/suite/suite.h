/* suite.h - the merge-consistency suite: a user's transactions on simulated nodes, what breaks, by how little, why, and what would cure it.
 *
 * A run is a schedule: a list of steps, drawn from a seed. Nodes hear of each other's transactions only in steps that say so (MEET), so a schedule
 * without one between two transactions makes them concurrent, whether by delay or by a cut network; after the last step all meet. The nodes are the simulator's
 * (sim/sim.h): production's object files over a made-up disk, clock and network. */
#ifndef TESTS_SUITE_SUITE_H
#define TESTS_SUITE_SUITE_H

#include "sim/sim.h"
#include "suite/workload.h"

#define SUITE_STEPS_MAX 96u
#define SUITE_WRITES_MAX 32u

enum step_kind {
    STEP_RUN,    /* a transaction from BEGIN to COMMIT */
    STEP_BEGIN,  /* all of it but COMMIT */
    STEP_COMMIT, /* of what this node began */
    STEP_MEET,   /* node and other tell each other all they know; nothing, where the network is cut between them */
    STEP_CUT,    /* the nodes of the bit mask `other` are cut off from the rest */
    STEP_HEAL
};
struct step {
    uint8_t kind, node, other;
    uint32_t txn;         /* of workload.txns */
    uint32_t id;          /* RUN, BEGIN: its number in the run as drawn; time and random numbers follow from it, whatever other steps are left out */
    struct value *params; /* one per draw; borrowed from the suite's arena */
};
struct schedule {
    uint64_t seed;
    uint32_t nodes, count;
    struct step steps[SUITE_STEPS_MAX];
};

struct cell_change {
    const char *column, *value;
    bool add, key;
};
struct row_change {
    const char *table, *key;
    bool insert, del;
    struct cell_change *cells;
    uint32_t cell_count;
};
struct write_result {
    uint32_t step, txn, id;
    uint8_t node;
    bool committed;
    uint64_t saw;      /* which writes (bits by position in outcome.writes) its node knew when it committed */
    const char *why;   /* not committed: the reason */
    const char *reads; /* what its lets found: "have = 100"; may be empty */
    struct row_change *rows;
    uint32_t row_count;
};
struct break_point {
    bool broken;
    uint32_t step; /* after this step; schedule.count: when all had met */
    uint8_t node;
    const char *rows; /* what the query answered */
};
struct outcome {
    struct arena arena;
    struct write_result writes[SUITE_WRITES_MAX];
    uint32_t write_count;
    struct break_point breaks[WORKLOAD_INVARIANTS_MAX];
    uint32_t broken_count;
    char fault[640]; /* not empty: the run could not be finished: a mistake in the files, or in Quartet */
};

struct suite {
    struct workload w;
    struct arena arena;       /* of drawn parameters */
    uint32_t nodes_min, nodes_max;
    uint64_t seed, runs;
    /* A cure on trial: statements in the place of w.schema, and one more for every connection. */
    const char *const *schema; /* NULL: w.schema */
    const char *session;       /* NULL: none */
    uint64_t replays;          /* done so far */
};

/* ---- replay.c ---- */
/* false: out->fault says why. outcome_free in any case. */
bool suite_replay(struct suite *u, const struct schedule *s, struct outcome *out);
void outcome_free(struct outcome *out);
/* Ask a node whether schema and statements mean something; QUARTET_OK, or a text that begins with FILE:LINE. */
quartet_status suite_verify(struct suite *u, struct err *err);

/* ---- writes.c ---- */
/* Add to w->rows what the deltas of this batch write, if it is of this slot. Memory in the arena. */
bool suite_take_batch(struct arena *a, const struct sim_batch *b, uint8_t slot, const struct catalog *catalog, struct write_result *w, struct err *err);
const char *suite_value_text(struct arena *a, const struct value *v); /* never NULL */

/* ---- schedule.c ---- */
quartet_status schedule_draw(struct suite *u, uint64_t run, struct schedule *out, struct err *err);
/* Make it as short as it gets while this invariant still breaks; *out is then what the shortest does. */
quartet_status schedule_shrink(struct suite *u, struct schedule *s, uint32_t invariant, struct outcome *out, struct err *err);
void schedule_drop(struct schedule *s, uint32_t step); /* leave this step out */

/* ---- anomaly.c ---- */
enum anomaly {
    ANOMALY_NONE_CONCURRENT, /* it breaks without concurrency */
    ANOMALY_KEY_COLLISION,
    ANOMALY_LOST_TO_DELETE,
    ANOMALY_LOST_UPDATE,
    ANOMALY_OVERWRITE,
    ANOMALY_DANGLING,
    ANOMALY_DUPLICATE,
    ANOMALY_MIXED_ROW,
    ANOMALY_LONG_FORK,
    ANOMALY_OVERSPEND,
    ANOMALY_WRITE_SKEW,
    ANOMALY_STALE_READ,
    ANOMALY_COMBINED,
    ANOMALY_COUNT
};
struct diagnosis {
    enum anomaly kind;
    uint32_t a, b;           /* positions in outcome.writes */
    const struct row_change *row_a, *row_b; /* the rows that clash; may be NULL */
    const char *columns[8];  /* what clashes: the columns of row_a's table, if possible only those that the invariant names */
    uint32_t column_count;
    const char *parent_column; /* DANGLING: the column of row_b that names row_a */
    char text[768];          /* for people: two or three sentences */
};
const char *anomaly_name(enum anomaly a); /* "lost update" */
/* d borrows from o. */
void suite_diagnose(struct suite *u, const struct schedule *s, const struct outcome *o, uint32_t invariant, struct diagnosis *d);

/* ---- cure.c ---- */
#define SUITE_CURES_MAX 16u
enum cure_verdict { CURE_HELPS, CURE_NOT_ENOUGH, CURE_REFUSED, CURE_UNTRIED };
struct cure {
    const char *what;   /* "balance INTEGER COUNTER in table account" */
    uint8_t verdict;
    const char *detail; /* of trials: "this schedule holds, and 50 of 50 runs"; REFUSED: what the engine says */
};
struct cures {
    struct cure item[SUITE_CURES_MAX];
    uint32_t count;
};
/* Think of changes that fit the diagnosis, and try them. Memory in u->arena. */
quartet_status suite_cure(struct suite *u, const struct schedule *s, uint32_t invariant, const struct diagnosis *d, struct cures *out, struct err *err);

/* ---- report.c ---- */
struct finding {
    uint64_t broken_runs, first_seed;
    struct schedule shortest;
    struct outcome outcome; /* of the shortest */
    struct diagnosis diagnosis;
    struct cures cures;
};
struct report {
    const struct suite *u;
    struct finding *findings; /* one per invariant; broken_runs 0: it held */
    uint64_t runs, committed, given_up;
    double seconds;
};
void report_people(const struct report *r, struct buf *out);
void report_json(const struct report *r, struct buf *out);
void report_junit(const struct report *r, struct buf *out);

int suite_main(int argc, char **argv); /* 0: all held; 1: something broke; 2: usage, or a bad file */

#endif
