/* stats.h - what the planner knows of a table's contents: how many rows, and of a column how many distinct values, which share is NULL, and between which numbers
 * they lie.
 *
 * Nothing is stored: figures are made from the rows when a plan first asks (rows are counted from their blocks, of a column about 130,000 values are
 * read), kept in memory, and made again once as many rows were written as the table had. Then stats_epoch moves on too, and plans made before are
 * made anew. They steer plans only, never results. Thread-safe. */
#ifndef ENGINE_STATS_H
#define ENGINE_STATS_H

#include "catalog.h"

typedef struct db db;

#define STATS_TEXT_BYTES 32u /* of a text are looked at */

struct column_stats {
    double distinct;   /* at least 1 */
    double null_share; /* of the rows */
    bool ranged;       /* numbers, dates and times only, or texts only: all lie within lo .. hi */
    double lo, hi;
    bool texts;        /* lo and hi are places of texts (stats_place) */
    uint8_t common[STATS_TEXT_BYTES]; /* what all texts begin with */
    uint32_t common_bytes;
};

/* False: nothing is known: no rows, a system table, or they could not be read (planning goes on without). */
bool stats_rows(db *d, const struct table_def *t, double *rows);
bool stats_column(db *d, const struct table_def *t, uint32_t column, struct column_stats *out);
/* ANALYZE [t]: figures of these tables are forgotten and made anew, rows and all columns of keys and indexes. */
quartet_status stats_analyze(db *d, const struct table_def *t, struct err *err);
uint64_t stats_epoch(const db *d);
/* A value on the line of numbers that the column's lo and hi lie on; false: it is not of their kind. */
bool stats_place(const struct column_stats *c, const struct value *v, double *out);

/* db.c's and apply.c's. */
struct table_state;
void stats_free(struct table_state *s);
void stats_written(db *d, struct table_state *s, uint64_t rows); /* by one delta; commit_lock */

#endif
