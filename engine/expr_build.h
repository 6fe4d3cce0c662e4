/* expr_build.h - what the files that build expressions share. Inside engine/expr_build*.c only. */
#ifndef ENGINE_EXPR_BUILD_H
#define ENGINE_EXPR_BUILD_H

#include "expr_ops.h"

#define BUILD_COLLATION (EXPR_NOCASE_VALUE | EXPR_COLLATED | EXPR_OF_COLUMN)

/* x as the result of CASE, COALESCE and the like, which has neither affinity nor collation. */
quartet_status build_plain(struct arena *a, struct expr *x, struct expr **out, struct err *err);
quartet_status build_node(struct arena *a, enum expr_op op, struct expr *const *args, uint32_t n, int64_t sql_offset, struct expr **out,
                          struct err *err);
quartet_status build_fold(struct arena *a, struct expr *e, struct expr **out, struct err *err); /* e itself where it is no constant */
/* A REAL literal beside a DECIMAL becomes that exact DECIMAL. */
quartet_status build_exact(struct arena *a, struct expr **e, const struct expr *other, struct err *err);
quartet_status build_affinity(struct arena *a, struct expr **e, uint8_t to, struct err *err);
quartet_status build_compare_sides(struct arena *a, struct expr **left, struct expr **right, struct err *err);
uint8_t build_collation(const struct expr *left, const struct expr *right); /* EXPR_NOCASE or 0 */
bool build_is_cheap(const struct expr *e); /* may stand in the tree twice */
bool build_is_compare(uint8_t op);

#endif
