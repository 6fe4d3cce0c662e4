/* ddl_as.h - CREATE TABLE t AS query, for ddl.c. */
#ifndef ENGINE_DDL_AS_H
#define ENGINE_DDL_AS_H

#include "catalog.h"

/* The CREATE TABLE with a column for each of the query's results; in `a`, which the bound query shares. Columns that the statement names (and types)
 * itself are taken from there. QUARTET_ERROR: the query cannot be bound, or has another number of results. */
quartet_status ddl_as_definition(struct catalog *catalog, const struct ast_create_table *c, struct arena *a, struct ast_stmt **out, struct err *err);

#endif
