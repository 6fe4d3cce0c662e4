/* exec.h - a statement from tree to rows: bind and plan once, run many times, batch at a time.
 *
 * plan.c and bind.c make the plan; exec_*.c run it. Session statements (BEGIN, COMMIT, SET, SHOW, ...) are conn.c's and never get here; DDL
 * goes to ddl_run. */
#ifndef ENGINE_EXEC_H
#define ENGINE_EXEC_H

#include "tz.h"
#include "txn.h"

typedef struct plan plan;
typedef struct exec exec;

struct plan_column {
    const char *name;
    const char *declared;     /* declared type of a plain column, or NULL */
    const char *table, *column; /* its origin, or NULL */
};

/* `d`: where figures about the tables' contents come from (stats.h); NULL: plan without. Plan one SELECT, INSERT, UPDATE, DELETE, REPLACE, TRUNCATE, VALUES or EXPLAIN of these. The plan lives in `a`, as does `stmt`, which must outlive it;
 * holds a reference to the catalog. */
quartet_status plan_build(struct catalog *catalog, db *d, const struct ast_stmt *stmt, struct arena *a, plan **out, struct err *err);
void plan_free(plan *p); /* releases the catalog; NULL is allowed */
void plan_lend(plan *p, struct arena *spare); /* memory for its runs, empty but for what arena_give kept; it outlives the plan */
uint32_t plan_column_count(const plan *p); /* 0: no result rows */
const struct plan_column *plan_column(const plan *p, uint32_t i);
bool plan_writes(const plan *p);
uint64_t plan_catalog_version(const plan *p);
uint64_t plan_stats_epoch(const plan *p); /* stats.h: when it was made */

/* Limits and interruption of one run. */
struct exec_limits {
    const volatile int *interrupted; /* not 0: stop with QUARTET_INTERRUPTED; NULL: none */
    size_t memory_bytes;             /* 0: 1 GiB; passing it is QUARTET_LIMIT */
    uint64_t deadline_ns;            /* env mono time; 0: none */
    int (*progress)(void *arg);      /* called once in so many batches; not 0: stop with QUARTET_INTERRUPTED. NULL: none */
    void *progress_arg;
    uint32_t progress_every;         /* 1 at least */
    const char *time_zone;           /* the session's; NULL or empty: UTC. Copied */
    int64_t changes, last_insert_id; /* of the session's statement before */
    bool no_foreign_keys;            /* SET foreign_keys = off: they are neither checked nor followed */
};
/* Run. params[0 .. n-1] are ?1 ... ?n (missing ones are NULL); their bytes must live until exec_close. The caller has begun the statement on the transaction. */
quartet_status exec_open(plan *p, txn *t, const struct value *params, uint32_t param_count, const struct exec_limits *limits, exec **out, struct err *err);
/* The next rows (their sel is always NULL); n == 0: the end. Valid until the next call. A statement that writes does all of its work before its first rows. */
quartet_status exec_next(exec *e, struct batch *out, struct err *err);
uint64_t exec_changes(const exec *e);          /* rows inserted, updated or deleted */
bool exec_last_insert_id(const exec *e, int64_t *id); /* of an assigned key; false: none */
void exec_close(exec *e); /* NULL is allowed */

#endif
