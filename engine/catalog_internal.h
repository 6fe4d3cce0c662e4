/* catalog_internal.h - a table's definition at work; for catalog_table.c and catalog_column.c. */
#ifndef ENGINE_CATALOG_INTERNAL_H
#define ENGINE_CATALOG_INTERNAL_H

#include "catalog_build.h"

struct build {
    struct arena *a;
    const struct table_source *src;
    struct ast_create_table *ast;
    struct ast_stmt *stmt;
    struct table_def *t;
    struct column_def *columns;
    struct index_def *indexes;
    struct check_def *checks;
    struct foreign_key_def *fks;
    uint32_t total;       /* columns ever, in the order of the definition and of ALTER TABLE; what follows is by that order */
    uint32_t *place;      /* position in columns */
    bool *dropped, *overridden;
    const char **first_name;
    const struct ast_expr **first_default;
    uint32_t check_cap, fk_cap, index_cap;
    const struct ast_constraint *primary; /* NULL: hidden key */
    int32_t primary_column;               /* where it stands at a column; else -1 */
    struct err *err;
};

static inline quartet_status build_nomem(struct build *b)
{
    return arena_fail(b->a, b->err);
}
quartet_status build_parse(struct build *b, const char *sql, struct ast_stmt **out); /* QUARTET_CORRUPT: there is no statement */

/* catalog_column.c, in the order in which they are called: */
quartet_status build_added(struct build *b);   /* hangs added columns into the tree */
quartet_status build_columns(struct build *b, uint32_t base); /* base: how many columns CREATE TABLE had; fills b->columns and all that is by column */
quartet_status build_record(struct build *b, uint32_t base);  /* once the primary key is known: positions in records */

/* catalog_bound.c: a CHECK that names this COUNTER column becomes its bounds; one that cannot be refused with QUARTET_ERROR. */
quartet_status build_bound(struct build *b, struct column_def *c, const struct ast_expr *check);

#endif
