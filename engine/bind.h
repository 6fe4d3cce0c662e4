/* bind.h - a statement with its names resolved: what the binder hands to the planner.
 *
 * Every column of every source, every group, aggregate and window result has a number of its own in
 * the statement (its *cid*); a bound expression's EXPR_COLUMN holds a cid until the planner places
 * it on a node and turns it into a batch position. A column of an enclosing query becomes a
 * parameter behind the user's (a *slot*), which whoever runs the subquery fills in: so a correlated
 * subquery is a plan with parameters, and index lookups by an outer value need nothing special. All
 * lies in the plan's arena. */
#ifndef ENGINE_BIND_H
#define ENGINE_BIND_H

#include "agg.h"
#include "catalog.h"
#include "exec.h"
#include "expr.h"

#define BIND_VIEW_DEPTH_MAX 64u
#define BIND_SOURCES_MAX    1000u /* in one FROM: binder and planner recurse along it */
#define BIND_NONE           UINT32_MAX

struct bsource;
enum bcol_kind { BCOL_SOURCE, BCOL_GROUP, BCOL_AGG, BCOL_WINDOW };

struct bcol {
    const char *name;
    uint8_t kind; /* enum bcol_kind */
    uint8_t type, affinity, scale,
        flags; /* as in struct expr; flags: EXPR_NOCASE_VALUE, EXPR_OF_COLUMN */
    bool is_boolean;
    uint32_t uses;                         /* how many expressions name it: 0 need not be read */
    const char *declared, *table, *column; /* of a plain column, else NULL */
    struct bsource *source;                /* of a table's column, else NULL */
};

struct bquery;
struct scope;

struct bslot {
    const struct scope *owner; /* the query whose column it is */
    const struct expr *expr;   /* there */
    uint32_t param;            /* its parameter number */
};

struct bcte {
    const char *name;
    struct bquery *query; /* the whole, or of a recursive one the part that starts it */
    uint32_t refs;
    uint32_t out_count;
    const char **names;
    bool materialized, recursive, distinct; /* distinct: UNION */
    struct bquery **steps;                  /* recursive: the parts that name it */
    uint32_t step_count;
    struct expr *limit, *limit_offset; /* recursive */
    void *plan;                        /* the planner's */
};

enum bsource_kind { SRC_TABLE, SRC_QUERY, SRC_CTE, SRC_CTE_WORK, SRC_JOIN, SRC_FUNCTION };
enum bfunction { BFN_SERIES, BFN_JSON_EACH, BFN_JSON_TREE, BFN_QUARANTINE };
enum bjoin { JOIN_INNER, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL };

struct bsource {
    uint8_t kind;
    uint8_t join; /* SRC_JOIN: enum bjoin */
    bool lateral; /* its query names sources at its left, by slots that they own */
    const char *alias;
    uint32_t first_cid, count; /* a leaf's columns */
    uint32_t key_cid;          /* SRC_TABLE: the row's key as a BLOB, or BIND_NONE */
    bool keyless;              /* INSERT's: rows that are not there yet */
    const struct table_def *table;
    struct bquery *query;
    struct bcte *cte;
    uint8_t as_of;          /* SRC_TABLE: enum ast_as_of */
    struct expr *as_of_expr; /* the rows as they were then; NULL: as they are */
    uint8_t function;   /* SRC_FUNCTION: enum bfunction */
    struct expr **args; /* SRC_FUNCTION: its arguments; NULL where one was not given */
    uint32_t arg_count;
    struct bsource *left, *right; /* SRC_JOIN */
    struct expr **on;             /* conjuncts */
    uint32_t on_count;
};

struct bsort {
    uint32_t out;  /* position among the outputs, hidden ones included */
    uint8_t flags; /* enum cell_key_flags */
};
struct border {
    struct expr *expr;
    uint8_t flags;
};
struct bagg {
    struct agg_spec spec;
    struct expr **args;
    struct expr *filter;
    struct border *order;
    uint32_t order_count;
    uint32_t cid;
};
struct bbare { /* a column outside of GROUP BY: of any row of the group, or of the row with the one
                  min() or max() */
    uint32_t from, cid;
};
struct bwindow {
    uint8_t code;         /* enum window_code, or WINDOW_AGG */
    struct agg_spec spec; /* WINDOW_AGG */
    struct expr **args;
    uint32_t arg_count;
    struct expr *filter;
    bool ignore_nulls;
    struct expr **partition;
    uint32_t partition_count;
    struct border *order;
    uint32_t order_count;
    uint8_t mode, start, end, exclude; /* as in struct ast_frame */
    struct expr *start_expr, *end_expr;
    uint32_t cid;
};
enum window_code {
    WINDOW_AGG,
    WINDOW_ROW_NUMBER,
    WINDOW_RANK,
    WINDOW_DENSE_RANK,
    WINDOW_PERCENT_RANK,
    WINDOW_CUME_DIST,
    WINDOW_NTILE,
    WINDOW_LAG,
    WINDOW_LEAD,
    WINDOW_FIRST_VALUE,
    WINDOW_LAST_VALUE,
    WINDOW_NTH_VALUE
};

enum bquery_kind { BQ_SELECT, BQ_VALUES, BQ_SET };
struct bquery {
    uint8_t kind;
    uint32_t out_count, hidden_count; /* hidden outputs follow, for ORDER BY */
    struct expr **outs;               /* SELECT: over the sources' (or groups') cids */
    const char **names;
    struct bcol *shape; /* types and origin of each visible output */
    /* SELECT */
    struct bsource *from; /* NULL: one row without columns */
    struct expr **where;
    uint32_t where_count, where_cap;
    bool aggregated, distinct;
    struct expr **group;
    uint32_t *group_cids;
    uint32_t group_count;
    uint64_t *sets; /* GROUPING SETS: which groups count in each; NULL: all, once */
    uint32_t set_count;
    struct bagg *aggs;
    uint32_t agg_count, agg_cap;
    struct bbare *bare;
    uint32_t bare_count, bare_cap;
    uint32_t bare_by; /* the min() or max() that picks the row, or BIND_NONE */
    struct expr **having;
    uint32_t having_count;
    struct bwindow *windows;
    uint32_t window_count, window_cap;
    struct expr *qualify;
    uint32_t *distinct_on; /* positions among the outputs */
    uint32_t distinct_on_count;
    /* VALUES */
    struct expr ***rows;
    uint32_t row_count;
    /* SET */
    struct bquery **parts;
    uint8_t *ops; /* enum ast_set_op */
    uint32_t part_count;
    /* all */
    struct bsort *order;
    uint32_t order_count;
    struct expr *limit, *limit_offset;
    bool with_ties;
    struct bcte **ctes;
    uint32_t cte_count, cte_cap;
    uint32_t *deps; /* slots (index) that it reads and does not own: it is correlated */
    uint32_t dep_count, dep_cap;
};

/* A subquery in an expression (expr.u.subquery). */
struct bsub {
    struct bquery *query;
    uint32_t column;    /* EXPR_SUBQUERY: which output */
    uint8_t compare;    /* EXPR_IN_QUERY: 0 for IN, or the enum expr_op of x op ANY (query) */
    uint32_t set_count; /* slots that the query around it fills in before */
    uint32_t *set_params;
    struct expr **set_exprs;
    uint32_t *plan_index; /* of its plan, shared by copies of the expression; BIND_NONE there before
                             it is planned */
};

/* Names that are visible where an expression stands. */
struct visible {
    const char *name, *table;
    struct expr *expr;
    bool hidden; /* found only with its table's name (USING) */
    bool rowid;  /* an INTEGER PRIMARY KEY */
};
struct cte_scope {
    struct bcte *cte;
    const struct ast_cte *ast;
    bool recursive;   /* WITH RECURSIVE */
    bool busy;        /* being bound: only a recursive one may be named then */
    uint32_t working; /* not 0: being bound as a recursion; counts 1 + its references to itself */
    struct scope *home;
    struct cte_scope *next;
};
struct scope {
    struct scope *up;        /* names not found here are looked for there */
    struct scope *container; /* the query that this one is planned into */
    struct bquery *query;
    struct visible *cols;
    uint32_t count, cap;
    struct cte_scope *ctes;
    const struct ast_results *aliases; /* SELECT's result list, for names that no column has */
    const struct ast_select *select;
    bool allow_agg, allow_window, in_agg;
    bool alias_first; /* ORDER BY */
    uint32_t alias_depth;
    const char *clause; /* for errors: "WHERE" */
};

struct bind {
    struct arena *a;
    struct catalog *catalog;
    struct bcol *cols;
    uint32_t col_count, col_cap;
    struct bslot *slots;
    uint32_t slot_count, slot_cap;
    uint32_t param_count; /* the user's */
    uint32_t view_depth;
    /* In a trigger: OLD.x and NEW.x are columns of this table, parameters 1 to n and n + 1 to 2 n; NULL: none is. */
    const struct table_def *row_of;
    bool has_old, has_new;
    bool listing; /* information_schema asks what columns a view has: within that, no view is asked again */
    bool permanent; /* what is bound is for all sessions: names of temporary objects mean nothing in it */
    const struct ast_from *view_as_of; /* of the view that is being bound, or one around it; or NULL */
};

/* bind.c */
bool bind_grow(struct arena *a, void *items, uint32_t count, uint32_t *cap,
               size_t size); /* items: pointer to the array's pointer */
quartet_status bind_new_col(struct bind *b, const struct bcol *like, uint32_t *cid,
                            struct err *err);
quartet_status bind_col_expr(struct bind *b, uint32_t cid, struct expr **out, struct err *err);
void bind_shape(const struct bind *b, const struct expr *e, const char *name,
                struct bcol *out); /* a column that shows e */
quartet_status bind_visible(struct bind *b, struct scope *s, const char *name, const char *table,
                            struct expr *e, struct err *err);
/* Resolve [table.]name. QUARTET_NOTFOUND: nothing so called; err is set to a text that lists what
 * there is. */
quartet_status bind_name(struct bind *b, struct scope *s, const struct ast_column *c,
                         uint32_t offset, struct expr **out, struct err *err);
quartet_status bind_add(struct arena *a, struct expr ***list, uint32_t *count, uint32_t *cap,
                        struct expr *e, struct err *err);
/* Split at AND. */
quartet_status bind_conjuncts(struct bind *b, struct expr *e, struct expr ***list, uint32_t *count,
                              uint32_t *cap, struct err *err);
bool name_eq(const char *a, const char *b);

/* bind_expr.c */
quartet_status bind_expr(struct bind *b, struct scope *s, const struct ast_expr *e,
                         struct expr **out, struct err *err);
/* All of a list, into an array in the arena. */
quartet_status bind_expr_list(struct bind *b, struct scope *s, const struct ast_exprs *list, struct expr ***out,
                              struct err *err);
/* bind_sub.c: output `column` of the `want` outputs of a subquery expression; *sub is made by the first call
 * and shared by the others. */
quartet_status bind_row_subquery(struct bind *b, struct scope *s, const struct ast_expr *e,
                                 uint32_t column, uint32_t want, struct bsub **sub,
                                 struct expr **out, struct err *err);
/* bind_walk.c: copy with columns replaced; enters the outer values of subqueries. */
typedef quartet_status bind_map_fn(void *arg, const struct expr *e, struct expr **out,
                                   struct err *err); /* *out NULL: copy the node */
quartet_status bind_map(struct arena *a, const struct expr *e, bind_map_fn *map, void *arg,
                        struct expr **out, struct err *err);
/* Call visit for every column (cid) below e, those of outer values of subqueries included. */
void bind_each_column(const struct expr *e, void (*visit)(void *arg, uint32_t cid), void *arg);
bool bind_has_subquery(const struct expr *e);
bool bind_is_volatile(
    const struct expr *e); /* random() or a subquery: must not be evaluated more or less often */

/* bind_call.c */
quartet_status bind_function(struct bind *b, struct scope *s, const struct ast_expr *e,
                             struct expr **out, struct err *err);
quartet_status bind_sort_flags(const struct ast_order *o, const struct expr *e, uint8_t *flags);

/* bind_from.c */
quartet_status bind_from_list(struct bind *b, struct scope *s, const struct ast_from_list *list,
                              struct bsource **out, struct err *err);
struct bcol bind_table_col(const struct table_def *t, uint32_t column); /* what a column of a table looks like */
struct bsource *bind_source_new(struct bind *b, uint8_t kind); /* NULL: out of memory */
/* One more column of a source, visible under its name where s is given. */
quartet_status bind_source_column(struct bind *b, struct scope *s, struct bsource *src,
                                  const struct bcol *like, struct err *err);
/* t(a, b): other names for the visible columns from `from` on. */
quartet_status bind_name_columns(struct bind *b, struct scope *s, uint32_t from,
                                 const struct ast_from *f, struct err *err);
/* bind_function.c: f(..) in FROM. The second makes LATERAL (SELECT * FROM f(..)) of it, which may name what is at its left. */
quartet_status bind_table_function(struct bind *b, struct scope *s, const struct ast_from *f,
                                   struct bsource **out, struct err *err);
quartet_status bind_function_query(struct bind *b, const struct ast_from *f,
                                   const struct ast_from **out, struct err *err);
quartet_status bind_table_source(struct bind *b, struct scope *s, const struct table_def *t,
                                 const char *alias, bool with_key, struct bsource **out,
                                 struct err *err);
quartet_status bind_join(struct bind *b, struct bsource *l, struct bsource *r, uint8_t join,
                         struct bsource **out, struct err *err);
void bind_in_view(const struct view_def *v, struct err *err); /* say in the error which view */
/* A view as a source, and what its rows are to statements that write it: a table that is nowhere, whose columns take any value. f: its name and alias. */
quartet_status bind_view_rows(struct bind *b, struct scope *s, const struct view_def *v, const struct ast_from *f, struct table_def **rows, struct bsource **src,
                              struct err *err);
const struct table_def *bind_find_table(struct bind *b, const struct ast_qname *name,
                                        struct err *err);
const struct view_def *bind_find_view(const struct bind *b, const struct ast_qname *name); /* NULL: none, or a table of the session has the name */

/* bind_schema.c: a table of information_schema as the rows it has in the plan's catalog. */
quartet_status bind_schema_query(struct bind *b, const struct ast_qname *name, struct bquery **out,
                                 struct err *err);

/* bind_select.c */
quartet_status bind_query(struct bind *b, struct scope *up, struct scope *container,
                          struct cte_scope *ctes, const struct ast_query *q, struct bquery **out,
                          struct err *err);
quartet_status bind_with(struct bind *b, struct scope *s, const struct ast_with *with,
                         struct err *err);
quartet_status bind_results(struct bind *b, struct scope *s, const struct ast_results *results,
                            struct bquery *q, struct err *err);
quartet_status bind_tail(struct bind *b, struct scope *s, struct bquery *q,
                         const struct ast_query *ast, struct err *err); /* ORDER BY, LIMIT */
quartet_status bind_group_pass(struct bind *b, struct bquery *q, struct err *err);

#endif
