/* work.h - what the fault tests do with a database, and what they expect of it.
 *
 * A script is made from a seed: transactions over several tables, DDL, savepoints, rollbacks, and queries. What the tables hold after each step is known from a
 * run in memory without faults. So after any fault a database can be held against the states before and after the step that was hit: nothing else is allowed. */
#ifndef TESTS_FAULT_WORK_H
#define TESTS_FAULT_WORK_H

#include "base/buf.h"
#include "base/env.h"
#include "engine/conn.h"

/* ---- an open database with one connection, past the public interface so that tests choose environment and buffer ---- */

struct work {
    struct env *env;
    char path[512];
    struct db_options options;
    db *d;
    conn *c;
};
quartet_status work_open(struct work *w, struct err *err);
quartet_status work_close(struct work *w, struct err *err); /* NULL handles are fine; they are gone whatever is returned */
/* Run statements, separated by semicolons, until one fails. Rows go to `rows` (may be NULL) as text. */
quartet_status work_sql(struct work *w, const char *sql, struct buf *rows, struct err *err);
/* Everything that users see, as text: definitions and rows of all tables. */
quartet_status work_dump(struct work *w, struct buf *out, struct err *err);
/* Do indexes and state hash agree with the rows? False: `why` says what does not; where reading fails, too. Rebuilds both. */
bool work_consistent(struct work *w, char *why, size_t n);

/* ---- scripts ---- */

#define SCRIPT_STEPS_MAX 400u

struct script {
    uint32_t count;
    char *steps[SCRIPT_STEPS_MAX];
    struct buf rows[SCRIPT_STEPS_MAX];       /* what its queries answer */
    struct buf state[SCRIPT_STEPS_MAX + 1];  /* before step i; the last: at the end */
};
/* Of `count` steps; `large`: rows of some hundred bytes, so that small buffers are flushed. Exits the program where the run in memory fails. */
void script_make(struct script *s, uint64_t seed, uint32_t count, bool large);
void script_free(struct script *s);
/* Run one step; rolls back what it left open when it fails, if there is memory to say so. False rows: *err says QUARTET_INTERNAL. */
quartet_status script_step(const struct script *s, uint32_t i, struct work *w, struct err *err);
/* Which state is this, from `lo` to `hi`? -1: none of them. */
int script_state(const struct script *s, const struct buf *dump, uint32_t lo, uint32_t hi);
/* Where two texts begin to differ, for people. */
void script_explain(const struct script *s, const struct buf *dump, uint32_t at);

/* A directory of the test's own, in memory where the system has such a place; removed by work_dir_end. */
void work_dir_begin(char *out, size_t n, const char *name);
void work_dir_end(const char *dir);

#endif
