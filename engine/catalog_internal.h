/* catalog_internal.h - a table's definition at work; for catalog_table.c and catalog_column.c. */
#ifndef ENGINE_CATALOG_INTERNAL_H
#define ENGINE_CATALOG_INTERNAL_H

#include "catalog_build.h"
#include "derived.h"

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
    uint32_t base;        /* how many CREATE TABLE had */
    const char **first_name;
    const char **own_name; /* what its definition calls it; CREATE TABLE's as first_name */
    const struct ast_expr **first_default;
    struct derived_def *derived;
    uint32_t derived_cap;
    struct created_index *created;
    uint32_t check_cap, fk_cap, index_cap;
    struct constraint_def *constraints;
    struct ast_constraint **more; /* that ALTER TABLE added; they name columns as they are called now */
    uint32_t more_count;
    bool present;                 /* one of those is at work */
    uint32_t at_column;           /* whose own constraint is at work; UINT32_MAX: none */
    bool missed;                  /* build_now_called met an id that no visible column has */
    uint32_t *group;              /* by position in columns: towards the first of those that merge together */
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

/* catalog_table.c */
int32_t build_column_called(const struct build *b, const char *name, bool original);
const char *build_now_called(void *build, const char *name); /* of "#id": the column's name now; else NULL */
bool build_names(const char *text, const char *name); /* does an expression's canonical text name this column? */
const char *build_new_name(void *build, const char *name); /* of a name in the definition of column build->at_column, or of the table: the column's name now; else NULL */

/* catalog_derived.c: GENERATED columns, once the primary key and records are known; and a hidden column for an expression of an index. `clause`: what to call it in errors. */
quartet_status build_generated(struct build *b);
quartet_status build_problem(struct build *b); /* what b->err says becomes t->problem, and the error is gone */
quartet_status build_hidden(struct build *b, const char *clause, const struct ast_expr *ast, bool nocase, uint32_t *at);

/* catalog_index.c */
quartet_status build_keys(struct build *b, const uint32_t *at, const bool *desc, uint32_t n, const struct key_column **out);
/* Positions of the columns of a key. own: the column whose own constraint it is, or -1; hidden: of expressions, by place in the key, UINT32_MAX for none (NULL: no expression may stand there);
 * original: columns are called as they were created. */
quartet_status build_key_columns(struct build *b, const struct ast_constraint *c, const uint32_t *hidden, int32_t own, bool original, uint32_t **at, uint32_t *n, bool **desc);
quartet_status build_indexes_begin(struct build *b);              /* behind build_generated: hidden columns of CREATE INDEX */
quartet_status build_created_index(struct build *b, uint32_t i); /* by the order of the source */

/* catalog_constraint.c, in the order in which they are called: */
quartet_status build_constraints(struct build *b);      /* once the columns are known: what ALTER TABLE added and dropped */
quartet_status build_together_begin(struct build *b);   /* once records are known */
quartet_status build_together_clause(struct build *b, struct ast_constraint *c); /* MERGE TOGETHER */
quartet_status build_together(struct build *b);         /* at the end */
quartet_status build_constraints_text(struct build *b); /* before the definition is printed */

/* catalog_bound.c: a CHECK that names this COUNTER column becomes its bounds; one that cannot be refused with QUARTET_ERROR. */
quartet_status build_bound(struct build *b, struct column_def *c, const struct ast_expr *check);

#endif
