/* ast_print.h - what the files that print trees share. Private to parser/; the public calls are in
 * parse.h. */
#ifndef PARSER_AST_PRINT_H
#define PARSER_AST_PRINT_H

#include "parser/parse.h"

struct printer {
    struct buf *out;
    const struct ast_params *params; /* NULL: parameters are printed as ?N */
};

void print_name(struct printer *p, const struct ast_name *name);
void print_qname(struct printer *p, const struct ast_qname *name);
void print_names(struct printer *p, const struct ast_names *list); /* a, b */
void print_string(struct printer *p, const char *s);               /* 'it''s' */
void print_expr(struct printer *p, const struct ast_expr *e);
void print_exprs(struct printer *p, const struct ast_exprs *list);
void print_orders(struct printer *p, const struct ast_orders *list);
void print_window(struct printer *p, const struct ast_window *w);
void print_query(struct printer *p, const struct ast_query *q);
void print_from_item(struct printer *p, const struct ast_from *f);
void print_from(struct printer *p, const struct ast_from_list *list);
void print_results(struct printer *p, const struct ast_results *list);
void print_with(struct printer *p, const struct ast_with *with);
void print_limit(struct printer *p, const struct ast_expr *limit, const struct ast_expr *offset);
void print_type(struct printer *p, const struct ast_type *type);
void print_default(struct printer *p, const struct ast_expr *e);
void print_column_def(struct printer *p, const struct ast_column_def *c);
void print_constraint(struct printer *p, const struct ast_constraint *c);
void print_create_table(struct printer *p, const struct ast_create_table *t);
void print_conflict(struct printer *p, const char *before, uint8_t conflict);
void print_stmt(struct printer *p, const struct ast_stmt *s);
void print_command(struct printer *p,
                   const struct ast_stmt *s); /* ast_print_command.c: all that neither queries,
                                                 writes nor makes schema */

#endif
