/* ddl_internal.h - what the files of DDL share (ddl.c, ddl_alter.c). */
#ifndef ENGINE_DDL_INTERNAL_H
#define ENGINE_DDL_INTERNAL_H

#include "table_internal.h"

struct ddl {
    txn *t;
    struct catalog *names; /* what queries within the statement see, of temporary objects: all that the session sees; NULL: t->catalog */
    struct arena *a;
    const char **warning;
    struct err *err;
};

quartet_status ddl_unsupported(struct ddl *x, const char *what);
char *ddl_printed(struct ddl *x, const struct ast_stmt *stmt); /* canonical text, in the arena; NULL: no memory, err says so */
const struct table_def *ddl_system_table(struct ddl *x, tree_id id);
quartet_status ddl_object_key(struct ddl *x, tree_id id, struct slice *key); /* of a row of quartet_objects, in the arena */
quartet_status ddl_check_name(struct ddl *x, const struct ast_qname *q);     /* its schema is one that we have */
/* Tables and views share their names. *done: it is there, and IF NOT EXISTS was said. */
quartet_status ddl_check_unused(struct ddl *x, const struct ast_qname *q, bool if_not_exists, bool *done);
quartet_status ddl_fresh_id(struct ddl *x, const char *kind, const char *name, const char *sql, tree_id *out);
quartet_status ddl_put_object(struct ddl *x, tree_id id, const char *kind, const char *name, tree_id table, const char *sql); /* table 0: none */
quartet_status ddl_drop_object(struct ddl *x, tree_id id);
quartet_status ddl_ask(struct ddl *x, struct buf *sql, bool *found); /* does the query, over the state that this transaction sees, give a row? sql is freed */
/* ddl_constraint.c */
quartet_status ddl_add_constraint(struct ddl *x, const struct table_def *t, struct ast_alter_action *action);
quartet_status ddl_drop_constraint(struct ddl *x, const struct table_def *t, struct ast_alter_action *action);
/* Canonical text of CREATE INDEX, or of ALTER TABLE ADD CONSTRAINT, with the table's columns by id; in the arena. */
quartet_status ddl_by_id(struct ddl *x, const struct table_def *t, const char *sql, const char **out);
quartet_status ddl_check_key_column(struct ddl *x, const struct table_def *t, const char *name, uint32_t offset); /* it merges by itself, or is about to: QUARTET_ERROR */
/* A row that says something of a column's kind, unless it is there (catalog_build.h). */
quartet_status ddl_put_kind(struct ddl *x, const struct table_def *t, uint32_t column_id, uint32_t upper, const char *name);
/* ddl_comment.c. The second: column is its id, or CATALOG_COMMENT_OF_OBJECT. */
quartet_status ddl_comment(struct ddl *x, const struct ast_comment *c);
quartet_status ddl_put_comment(struct ddl *x, tree_id object, uint32_t column, const char *text);
quartet_status ddl_check_temporary(struct ddl *x, tree_id table); /* what a temporary one may not have */
quartet_status ddl_alter(struct ddl *x, const struct ast_alter *alter);
/* Writes down who each FOREIGN KEY references, where that is not told or is not there any longer (catalog_build.h). */
quartet_status ddl_tell_parents(struct ddl *x);
/* Indexes that a FOREIGN KEY has of its own since the table was `was`: entries of the rows that are there. */
quartet_status ddl_fill_implied(struct ddl *x, const struct table_def *was);

#endif
