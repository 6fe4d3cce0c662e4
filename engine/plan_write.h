/* plan_write.h - what INSERT, UPDATE and DELETE share: the table that is written, its RETURNING and its SET lists; inside
 * plan_write.c, plan_insert.c and plan_update.c. All lies in the plan's arena. */
#ifndef ENGINE_PLAN_WRITE_H
#define ENGINE_PLAN_WRITE_H

#include "plan.h"

struct target { /* the table that is written, as a source */
    const struct table_def *table;
    const struct view_def *view; /* or NULL; what `table` then is: bind_view_rows() */
    struct bsource *src;
    struct scope scope;
    struct bquery *query;
};

/* The table `name` under its WITH; key: with the row's key as a column (of a view none). Refuses what is read-only, and views without triggers. */
quartet_status target_open(struct planner *p, const struct ast_qname *name,
                           const char *alias, const struct ast_with *with, bool key,
                           struct target *t, struct err *err);
/* A view's INSTEAD OF triggers are there for what is done to it, or it cannot be done. */
quartet_status target_instead(const struct target *t, struct pwrite *w, uint8_t event, const struct ast_qname *name, struct err *err);
quartet_status target_column(const struct table_def *t, const struct ast_name *name,
                             uint32_t *out, struct err *err);
/* The same of one that is to be written: a generated one is refused. */
quartet_status target_written(const struct table_def *t, const struct ast_name *name, uint32_t *out, struct err *err);
/* The cids of the table's columns, in order: the layout of a row that is written; with room for more behind. */
quartet_status target_cids(struct planner *p, const struct bsource *src, uint32_t room,
                           uint32_t **out, struct err *err);
quartet_status target_checks(struct planner *p, const struct target *t, struct pwrite *w,
                             struct err *err);

/* *out NULL: there is none. The cids are those of what is written. */
quartet_status returning_bind(struct planner *p, struct target *t,
                              const struct ast_results *list, struct bquery **out,
                              struct err *err);
quartet_status returning_place(struct planner *p, struct pwrite *w, const struct bquery *ret,
                               const uint32_t *cids, uint32_t n, struct err *err);

struct set_list {
    struct pset_column *item;
    struct expr **exprs; /* bound, not placed */
    uint32_t count, cap;
};
quartet_status sets_bind(struct planner *p, struct target *t, struct scope *s,
                         const struct ast_assigns *sets, struct set_list *list,
                         struct err *err);
/* A value that goes to a column; DEFAULT is the column's. */
quartet_status sets_value(struct planner *p, struct target *t, struct scope *s,
                          uint32_t column, const struct ast_expr *value, struct expr **out,
                          struct err *err);

#endif
