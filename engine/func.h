/* func.h - the built-in functions, scalar and aggregate, as one table. docs/SQL.md lists them; a test holds that list against this table. */
#ifndef ENGINE_FUNC_H
#define ENGINE_FUNC_H

#include "types.h"

struct expr_ctx;

enum func_flags {
    FUNC_DETERMINISTIC = 1, /* same arguments, same result: may be folded, may stand in CHECK and in an index */
    FUNC_STABLE = 2,        /* the same within one statement (now) */
    FUNC_AGGREGATE = 4,     /* agg.h; `agg` tells which */
    FUNC_STRICT = 8,        /* NULL for any NULL argument: the implementation never sees one */
    FUNC_LOWERED = 16,      /* no implementation: expr_call makes other nodes of it (coalesce, iif, nullif, ...) */
    FUNC_ZONED = 64,        /* depends on this machine's tz database: in nothing that every node computes */
    FUNC_NO_PARENS = 32     /* also written without parentheses: CURRENT_TIMESTAMP */
};

struct func;
struct func_call {
    struct expr_ctx *ctx;
    const struct func *func;
    bool nocase; /* of the call's collation: instr, replace, min, max */
};

struct func {
    const char *name;  /* lower case */
    int8_t min_args;
    int8_t max_args;   /* -1: any number */
    uint8_t flags;
    uint8_t type;      /* static type of the result where it is always the same (or NULL), else 0 */
    uint8_t code;      /* lets several names share an implementation; aggregates: enum agg_kind */
    /* Results may point into the arguments or into ctx->arena. */
    quartet_status (*scalar)(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err);
};

/* By name (ASCII case does not matter) and number of arguments (max(a) is an aggregate, max(a, b) is not; count(*) has 0). QUARTET_ERROR: no such function, or
 * not with so many arguments; the text tells which. */
quartet_status func_find(const char *name, uint32_t arg_count, const struct func **out, struct err *err);
bool func_exists(const char *name);
/* The name of a function that may stand without parentheses (CURRENT_DATE); the binder asks it for a column name it cannot resolve. */
const struct func *func_bare(const char *name);
extern const struct func func_raise; /* RAISE(): arguments action and message; the binder's alone, no name finds it */
const struct func *func_siblings(void); /* the binder gives it the row's key, the table's id and the column's place behind its argument */
bool func_changes_set(const struct func *f); /* set_add, set_remove; `code` is the enum row_write_op */
extern const struct func func_set_changes; /* the planner's alone: what set_add and set_remove do to a SET column (kind.h) */
const struct func *func_at(uint32_t i); /* the whole table, for SHOW FUNCTIONS and the docs' test; NULL past the end */

#endif
