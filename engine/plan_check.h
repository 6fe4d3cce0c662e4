/* plan_check.h - what DDL asks before it believes a definition: do the expressions in it make
 * sense? */
#ifndef ENGINE_PLAN_CHECK_H
#define ENGINE_PLAN_CHECK_H

#include "catalog.h"

/* Bind the CHECKs and DEFAULTs of a table. QUARTET_ERROR: an unknown column or function, a
 * subquery, an aggregate; the text names the constraint. */
quartet_status plan_check_table(struct catalog *catalog, const struct table_def *t, struct arena *a,
                                struct err *err);

/* Plan what a trigger of the table does; the text of an error names the trigger. */
quartet_status plan_check_trigger(struct catalog *catalog, const struct table_def *t, const struct trigger_def *def,
                                  struct arena *a, struct err *err);
quartet_status plan_check_view_trigger(struct catalog *catalog, const struct view_def *v, const struct trigger_def *def,
                                       struct arena *a, struct err *err);
/* Bind a view's query. QUARTET_ERROR: it names what is not there (now); the text names the view. */
quartet_status plan_check_view(struct catalog *catalog, const struct view_def *v, struct arena *a,
                               struct err *err);

/* Does an expression give the same for the same row on every node, at any time? If not *function is one that does not. */
struct expr;
bool plan_always_same(const struct expr *e, const char **function);

#endif
