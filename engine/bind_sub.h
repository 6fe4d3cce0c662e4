/* bind_sub.h - subqueries and rows in expressions; inside bind_expr.c and bind_sub.c. */
#ifndef ENGINE_BIND_SUB_H
#define ENGINE_BIND_SUB_H

#include "bind.h"

/* (SELECT ..) as a value, or EXISTS (SELECT ..). */
quartet_status bind_scalar(struct bind *b, struct scope *s, const struct ast_expr *e, struct expr **out, struct err *err);
quartet_status bind_exists(struct bind *b, struct scope *s, const struct ast_expr *e, struct expr **out, struct err *err);
/* The items of a row, or of a subquery that stands for one (want: how many are wanted; 1 takes a subquery as a value); *n is 1
 * and one item for a plain expression. */
quartet_status bind_row_items(struct bind *b, struct scope *s, const struct ast_expr *e,
                              uint32_t want, struct expr ***items, uint32_t *n, struct err *err);
quartet_status bind_row_compare(struct bind *b, enum expr_op op, struct expr **l, struct expr **r,
                                uint32_t n, uint32_t offset, struct expr **out, struct err *err);
/* x op y, where op is an enum ast_op that compares; 0: it does not. */
enum expr_op bind_compare_op(uint8_t op);
quartet_status bind_compare(struct bind *b, struct scope *s, const struct ast_expr *e,
                            enum expr_op op, struct expr **out, struct err *err);
/* x IN (a, b), x IN (SELECT ..) or x op ANY (SELECT ..), x IN table. */
quartet_status bind_in_list(struct bind *b, struct scope *s, const struct ast_expr *e,
                            struct expr **out, struct err *err);
quartet_status bind_in_query(struct bind *b, struct scope *s, const struct ast_expr *e,
                             const struct ast_query *q, struct expr **out, struct err *err);
quartet_status bind_in_table(struct bind *b, struct scope *s, const struct ast_expr *e,
                             struct expr **out, struct err *err);

#endif
