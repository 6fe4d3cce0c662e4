/* plan.h - a plan: a tree of operators that pass batches upwards, made by plan*.c, run by exec*.c,
 * shown by EXPLAIN.
 *
 * Expressions on a node hold positions in the batches of its input. Everything lies in the plan's
 * arena and is not changed while it runs, but for `cached`, the execution that waits to be used
 * again. */
#ifndef ENGINE_PLAN_H
#define ENGINE_PLAN_H

#include "bind.h"
#include "exec.h"

#define PLAN_NONE       UINT32_MAX
#define PLAN_TABLE_ROWS 1000.0 /* what a table is taken to hold where nothing is known */

#define SHARE_EQUAL     0.02 /* of the rows, where a column is not known */
#define SHARE_BETWEEN   0.1
#define SHARE_INTERVAL  0.02 /* who asks from here to there and does not say where wants few */
#define SHARE_HALF      0.3

#define PLAN_BOUND_COLUMNS_MAX 60u /* further columns of a key are asked as conditions */

#define PNODE_KINDS(X)                                                                             \
    X(ONE)                                                                                         \
    X(SCAN) X(VALUES) X(SERIES) X(JSON_EACH) X(JSON_TREE) X(CTE_SCAN) X(CTE_WORK) X(FILTER) X(PROJECT) X(HASH_JOIN)          \
        X(LOOP_JOIN) X(MERGE_JOIN) X(INDEX_JOIN) X(APPLY) X(AGG) X(WINDOW) X(SORT) X(LIMIT) X(DISTINCT) X(SET)   \
            X(WITH) X(TEXT) X(ANALYZE) X(INSERT) X(UPDATE) X(DELETE) X(BACKTRACK) X(RESOLVE)        \
            X(QUARANTINE) X(QUARANTINE_WRITE) X(KEYED) X(UNION)
enum pnode_kind {
#define X(name) PN_##name,
    PNODE_KINDS(X)
#undef X
        PNODE_KIND_COUNT
};

/* Values of some columns of a key, each row of them a lookup of its own: of an IN list, of rows in a list, of IN (SELECT ...). An equality behind such
 * columns is a set of one row. */
struct pbound_set {
    uint32_t width;
    uint32_t *at;         /* of each column, its place behind those of eq */
    struct expr **values; /* row by row */
    uint32_t row_count;
    struct expr *query;   /* an EXPR_IN_QUERY, whose rows these are; or NULL */
    uint32_t *from;       /* and the output that each column has there */
};
/* Which part of an index or primary key is read. */
struct pbound {
    struct expr **eq; /* of the first columns */
    uint32_t eq_count;
    struct pbound_set *sets; /* of the next ones: all combinations of their rows, in the key's order */
    uint32_t set_count, set_width;
    bool queried;       /* some of them come from queries: */
    double lookups_max; /* with more lookups than that the table is read as if there were no sets, and bound_filter asked */
    struct expr *lo, *hi; /* an interval of the column behind */
    bool lo_open, hi_open;
};
struct pscan {
    const struct table_def *table;
    const struct index_def *index; /* NULL: by primary key */
    const char *alias;
    bool bounded;
    struct pbound bound;
    struct expr *bound_filter; /* what the bound stands for, to be asked where a value does not fit
                                  the column's type; or NULL */
    struct expr *filter;       /* the other conditions; or NULL. Both over the scan's own columns */
    uint32_t *columns;         /* positions in table->columns */
    uint32_t column_count;
    bool keys; /* the row's key is the last output, a BLOB */
    bool covering; /* the index's entries hold all that is read */
    bool reverse;
    bool few;                /* the first row is mostly all that anybody wants */
    uint8_t as_of;           /* enum ast_as_of */
    struct expr *as_of_expr; /* NULL: the rows as they are */
};
enum pjoin_kind { PJ_INNER, PJ_LEFT, PJ_FULL, PJ_SEMI, PJ_ANTI };
struct pjoin {
    uint8_t kind;                          /* enum pjoin_kind */
    struct expr **left_keys, **right_keys; /* HASH_JOIN; MERGE_JOIN: columns, by which both sides ascend */
    uint8_t *key_flags;
    uint32_t key_count;
    struct expr *cond;    /* over left and right side by side; or NULL */
    bool ordered;         /* the left rows' order is the result's */
    uint32_t *out;        /* positions in left and right side by side */
    struct pscan *inner;  /* INDEX_JOIN: its bound is over the left side */
    uint32_t *set_params; /* APPLY: what the right side reads of the left row */
    struct expr **set_exprs;
    uint32_t set_count;
};
struct pagg_call {
    struct agg_spec spec;
    struct expr **args;
    struct expr *filter;
    struct expr **order;
    uint8_t *order_flags;
    uint32_t order_count;
};
struct pagg {
    struct expr **group;
    uint8_t *group_flags;
    uint32_t group_count;
    uint64_t *sets;
    uint32_t set_count; /* 0: one set of all */
    struct pagg_call *calls;
    uint32_t call_count;
    uint32_t *bare; /* input positions */
    uint32_t bare_count;
    uint32_t bare_by; /* call, or PLAN_NONE: the first row */
};
struct pwindow_call {
    uint8_t code;
    struct agg_spec spec;
    struct expr **args;
    uint32_t arg_count;
    struct expr *filter;
    bool ignore_nulls;
    uint8_t mode, start, end, exclude;
    struct expr *start_expr, *end_expr;
};
struct pwindow { /* calls that share PARTITION BY and ORDER BY; outputs are the input's columns,
                    then one for each call */
    struct expr **partition, **order;
    uint8_t *partition_flags, *order_flags;
    uint32_t partition_count, order_count;
    struct pwindow_call *calls;
    uint32_t call_count;
};
struct psort {
    uint32_t *cols;
    uint8_t *flags;
    uint32_t key_count;
    struct expr *limit, *offset; /* only so many of the first rows are wanted; or NULL */
};
struct plimit {
    struct expr *limit, *offset;
    uint32_t *tie_cols; /* WITH TIES */
    uint8_t *tie_flags;
    uint32_t tie_count;
};
struct pdistinct {
    uint32_t *cols;
    uint8_t *flags;
    uint32_t count;
    bool ordered; /* DISTINCT ON: the input's order is that of the result */
};
struct pset {
    struct pnode **parts;
    uint8_t *ops; /* enum ast_set_op */
    uint32_t part_count;
    uint8_t *flags; /* enum cell_key_flags of each column */
};
struct punion { /* rows that any of several searches of one table finds, each once */
    struct pnode **parts; /* SCANs; the row's key is their last output, behind those of this node */
    uint32_t part_count;
};
struct pvalues {
    struct expr ***rows;
    uint32_t row_count;
};
struct ptext { /* TEXT, ANALYZE */
    const char **lines;
    const struct pnode **nodes; /* which operator a line is about, or NULL */
    uint32_t count;
};
struct pcte {
    const char *name;
    struct pnode *init;
    struct pnode **steps;
    uint32_t step_count;
    uint32_t col_count;
    bool distinct;
    uint8_t *flags; /* enum cell_key_flags of each column */
    struct expr *limit, *offset;
};

/* ---- writing ---- */

struct pset_column {
    uint32_t column; /* of the table */
    uint32_t from;   /* UPDATE: input position */
    struct expr
        *expr; /* ON CONFLICT: over the present row and, behind it, the row to be inserted */
    bool add;  /* COUNTER: the value is what is added; SET: a BLOB of changes (kind.h) */
};
struct pupsert {
    uint32_t *target; /* columns of the conflict target; target_count 0: any */
    uint32_t target_count;
    bool do_update;
    struct pset_column *sets;
    uint32_t set_count;
    struct expr *where;
};
/* What a write of one row does beside it: triggers, and both ends of foreign keys (plan_effect.c,
 * exec_effect.c). Each is a statement of its own, planned when it is first needed. */
struct peffect_stmt {
    const struct ast_stmt *ast; /* of a trigger: over its row; or */
    const char *sql;            /* of a foreign key: ?1 ... are the key's values */
};
struct peffect_trigger {
    const struct trigger_def *def;
    uint32_t when;         /* statement that gives a row where it fires, or PLAN_NONE: always */
    uint32_t first, count; /* statements */
};
struct peffect_key { /* a foreign key, seen from either table */
    const struct table_def *child, *parent; /* parent NULL: there is no such table */
    const struct foreign_key_def *fk;
    const uint32_t *columns;       /* of the table that is written */
    uint8_t rule;                  /* enum ast_fk_action; seen from the parent */
    uint32_t parent_there, child_there, action; /* statements; PLAN_NONE: none */
};
struct peffects { /* of one event */
    struct peffect_stmt *stmts;
    uint32_t stmt_count, stmt_cap;
    struct peffect_trigger *before, *after;
    uint32_t before_count, after_count, before_cap, after_cap;
    struct peffect_key *out, *in; /* keys of this table; keys of others to it */
    uint32_t out_count, in_count, out_cap, in_cap;
    bool keeps; /* ON MERGE KEEP PARENT: the rows that it references are written to, too */
};

struct pwrite {
    const struct table_def *table; /* of a view: one that is nowhere */
    bool instead;                  /* of a view: INSTEAD OF triggers are all that happens */
    struct peffects *effects[3]; /* by enum ast_trigger_event; NULL: the write is all */
    uint8_t on_conflict; /* enum ast_conflict */
    /* INSERT */
    uint32_t
        *from; /* for each column of the table the input's position, or PLAN_NONE: its default */
    struct expr **defaults; /* for each column, or NULL */
    struct pupsert *upserts;
    uint32_t upsert_count;
    /* UPDATE, DELETE: input position 0 is the row's key */
    struct pset_column *sets;
    uint32_t set_count;
    uint32_t old_first;                /* the table's columns begin here in the input */
    bool olds;                         /* DELETE: they do */
    uint32_t extra_first, extra_count; /* input columns that RETURNING sees behind the table's */
    bool key_changes;
    bool once; /* a row may come more than once: only the first counts */
    bool any;  /* rows out of sight are written too */
    /* all */
    struct expr **checks;    /* over the table's columns */
    struct expr **returning; /* over the table's columns, then the extra ones */
    uint32_t returning_count;
};

struct pkeyed { /* the row with the key ?1, in sight or not; then the values that it is set to: ?2, ?3, ... (NULL where not given), or expressions */
    const struct table_def *table;
    struct expr **values; /* NULL, or each may be */
};
struct pquarantine_write { /* UPDATE or DELETE of quartet_quarantine: the input has the table's id, the row's key, and what the row is set to */
    bool deletes;
};

struct presolve {
    struct expr *id;
    bool using_loser;
};
struct pbacktrack {
    const struct table_def *table; /* NULL: all */
    uint8_t to;                    /* enum ast_as_of */
    struct expr *expr;
};

struct pnode {
    uint8_t kind; /* enum pnode_kind */
    double rows;  /* estimated */
    uint32_t col_count;
    uint32_t *cids; /* while planning: the cid of each output, or BIND_NONE */
    struct pnode *child[2];
    union {
        struct pscan *scan;
        struct pjoin *join;
        struct expr *filter;
        struct expr **project;
        struct pagg *agg;
        struct pwindow *window;
        struct psort *sort;
        struct plimit *limit;
        struct pdistinct *distinct;
        struct pset *set;
        struct punion *any;
        struct pvalues *values;
        struct ptext *text;
        struct expr **args;   /* SERIES, JSON_EACH, JSON_TREE: NULL where one was not given */
        uint32_t cte;         /* CTE_SCAN, CTE_WORK: plan.ctes[cte] */
        struct {
            uint32_t *ctes;
            uint32_t count;
        } with;
        struct pwrite *write;
        struct pbacktrack *backtrack;
        struct presolve *resolve;
        struct pkeyed *keyed;
        struct pquarantine_write *quarantine_write;
    } u;
};

struct psub {
    struct pnode *root;
    uint32_t *deps; /* parameter numbers that its result depends on */
    uint32_t dep_count;
    uint32_t out_count;
    bool in_set;       /* asked with IN: keep a set */
    uint8_t *flags;    /* of each column in that set: CELL_KEY_NOCASE */
    uint8_t *affinity; /* of each column */
};

struct plan {
    struct arena *a;
    struct catalog *catalog;
    uint64_t version, stats_epoch;
    struct pnode *root;
    struct plan_column *columns;
    uint32_t column_count;
    struct psub *subs;
    uint32_t sub_count, sub_cap;
    struct pcte *ctes;
    uint32_t cte_count, cte_cap;
    uint32_t user_params,
        param_count; /* the slots of outer columns lie behind the user's parameters */
    bool writes;
    bool measured; /* EXPLAIN ANALYZE: operators count rows and time */
    struct exec *cached; /* one execution that waits to run again */
    struct arena *spare; /* memory that its first run takes and gives back at its end; NULL: none */
};

/* What the planner carries along. */
struct planner {
    struct bind b;
    struct plan *plan;
    struct arena *a;
    db *d;          /* whose rows stats.h tells of; NULL: nothing is known */
    uint32_t words; /* of a set of cids */
    bool figures;   /* estimates are worth reading columns for: there is a join, or they are shown */
};

/* A condition that still waits for its place. */
struct conj {
    struct expr *e;
    uint64_t *refs; /* set of cids */
    bool placed;
    bool late; /* a subquery for every row: asked when all tables are joined */
};

/* plan_index.c */
/* Is this an expression of an index of the source's table? *column: the hidden column that stands for it. */
bool plan_is_index_expr(const struct bsource *src, const struct expr *e, uint32_t *column);
/* Do these conditions make sure that the rows that they let through are in the index? */
bool plan_index_serves(const struct bsource *src, const struct index_def *ix, struct conj **conjs, uint32_t conj_count);
double plan_index_share(const struct planner *p, const struct bsource *src, const struct index_def *ix); /* of the table's rows are in the index */

/* plan_semi.c: where the left keys of a hash join are read first. */
#define PLAN_SEMI_KEYS_MAX 4u
struct psemi {
    const struct pnode *scan;
    uint32_t columns[PLAN_SEMI_KEYS_MAX]; /* of the scan */
    uint32_t count;
};
bool plan_semi(const struct pnode *join, struct psemi *out); /* false: nowhere */

/* plan.c */
struct pnode *pnode_new(struct planner *p, uint8_t kind, uint32_t col_count, struct err *err);

/* plan_query.c */
quartet_status plan_query(struct planner *p, struct bquery *q, struct pnode **out, struct err *err);
/* How rows with these columns are told apart: enum cell_key_flags of each, in the arena; shape NULL: as they are. NULL: no memory, err says so. */
uint8_t *plan_key_flags(struct planner *p, const struct bcol *shape, uint32_t count, struct err *err);

/* plan_place.c */
/* How many rows the query of an EXPR_IN_QUERY gives, and how it compares: it is planned now, if it was not before. */
quartet_status plan_in_query(struct planner *p, const struct expr *e, const struct psub **out, struct err *err);
quartet_status plan_filter(struct planner *p, struct pnode *in, struct expr **list, uint32_t n,
                           struct pnode **out, struct err *err);
/* Expression `e` with its cids replaced by positions in cids[0 .. n-1]; its subqueries are planned.
 */
quartet_status plan_place(struct planner *p, const struct expr *e, const uint32_t *cids, uint32_t n,
                          struct expr **out, struct err *err);
quartet_status plan_place_list(struct planner *p, struct expr *const *list, uint32_t count,
                               const uint32_t *cids, uint32_t n, struct expr ***out,
                               struct err *err);
uint64_t *cid_set_new(struct planner *p);
void cid_set_add_expr(struct planner *p, uint64_t *set, const struct expr *e);
static inline void cid_set_add(uint64_t *set, uint32_t cid)
{
    set[cid / 64] |= 1ull << (cid % 64);
}
static inline bool cid_set_has(const uint64_t *set, uint32_t cid)
{
    return (set[cid / 64] >> (cid % 64) & 1u) != 0;
}
/* Conditions list[0..n) joined by AND, or NULL. */
quartet_status plan_and(struct planner *p, struct expr **list, uint32_t n, struct expr **out,
                        struct err *err);

/* plan_cost.c: estimates. Rows of a table; distinct values of a column; the share of the rows that equal a value, that lie between two (NULL: no
 * bound), that meet a condition on src alone. */
double plan_table_rows(const struct planner *p, const struct table_def *t);
double plan_column_values(const struct planner *p, const struct table_def *t, uint32_t column);
double plan_equal_share(const struct planner *p, const struct table_def *t, uint32_t column);
double plan_between_share(const struct planner *p, const struct table_def *t, uint32_t column,
                          const struct expr *lo, const struct expr *hi);
double plan_share(const struct planner *p, const struct bsource *src, const struct expr *e);
double plan_shares(const struct planner *p, const struct bsource *src, struct expr *const *list, uint32_t n); /* of all of them together */

/* plan_from.c: the FROM tree under conditions; the outputs hold at least `need`. Conditions are all
 * placed. */
quartet_status plan_from(struct planner *p, struct bsource *src, struct expr **where,
                         uint32_t where_count, const uint64_t *need, struct pnode **out,
                         struct err *err);

/* plan_access.c: the best way into one table under conditions; those in `conjs` that it takes are
 * marked placed. */
quartet_status plan_access(struct planner *p, const struct bsource *src, struct conj **conjs,
                           uint32_t conj_count, const uint64_t *need, struct pnode **out,
                           struct err *err);
/* For an index join: look rows of src up by equalities between its columns and expressions over the
 * outer row (cids[0..n), `outer` as a set). All conjs refer to src and the outer row at most; what
 * *scan does not cover stays unplaced. *scan NULL: there is no such way. */
quartet_status plan_lookup(struct planner *p, const struct bsource *src, struct conj **conjs,
                           uint32_t conj_count, const uint64_t *outer,
                           const struct pnode *outer_node, const uint64_t *need,
                           struct pnode **scan, double *rows_per_lookup, struct err *err);
/* Does the scan yield rows in this order of its table's columns? Turns it round where that helps.
 */
bool plan_scan_ordered(struct pnode *scan, const uint32_t *cids, const uint8_t *flags, uint32_t n);

/* Do the node's rows come in ascending order of these outputs (cids, BINARY)? True leaves the scan below it forwards. */
bool plan_keeps_order(const struct pnode *n); /* that of its (left) input */
bool plan_ascends(struct pnode *n, const uint32_t *cids, uint32_t count);

/* Where only `wanted` rows are asked for (0: all), let a whole scan of a table go along an index that has this order. True: it does now. */
bool plan_scan_by_order(const struct planner *p, struct pnode *scan, const uint32_t *cids, const uint8_t *flags, uint32_t n, double wanted);

/* plan_insert.c, plan_update.c, plan_backtrack.c */
quartet_status plan_insert(struct planner *p, const struct ast_insert *ast, struct err *err);
quartet_status plan_update(struct planner *p, const struct ast_update *ast, struct err *err);
quartet_status plan_delete(struct planner *p, const struct ast_delete *ast, struct err *err);
quartet_status plan_truncate(struct planner *p, const struct ast_maintenance *ast, struct err *err);
quartet_status plan_resolve(struct planner *p, const struct ast_resolve *ast, struct err *err);
quartet_status plan_backtrack(struct planner *p, const struct ast_backtrack *ast, struct err *err);

/* plan_write.c */
quartet_status plan_default(struct planner *p, const struct column_def *c, struct expr **out, struct err *err); /* *out NULL: it has none */
/* CHECK of rows that come to `w` as they are. */
quartet_status plan_write_checks(struct planner *p, const struct table_def *table, struct pwrite *w, struct err *err);

/* plan_quarantine.c: writes of quartet_quarantine, which is in `name`. */
bool plan_is_quarantine(const struct planner *p, const struct ast_qname *name);
quartet_status plan_quarantine_update(struct planner *p, const struct ast_update *ast, struct err *err);
quartet_status plan_quarantine_delete(struct planner *p, const struct ast_delete *ast, struct err *err);
/* A plan of its own: the row of the table with the key ?1, in sight or not, is deleted (columns NULL), or has its columns set to ?2, ?3, ..., or to their defaults.
 * With all that such a write sets off. */
struct keyed_write {
    const struct table_def *table;
    const uint32_t *columns;
    uint32_t count;
    bool defaults;
};
quartet_status plan_build_keyed(struct catalog *catalog, const struct keyed_write *k, struct arena *a, plan **out, struct err *err);

/* plan_effect.c: what else an event does; sets (of `set_count`) are the columns that an UPDATE
 * writes. *out NULL: nothing. replace: DELETE because another row comes in its place, which sets
 * off no triggers. */
quartet_status plan_effects(struct planner *p, const struct table_def *t, uint8_t event,
                            const struct pset_column *sets, uint32_t set_count, bool replace,
                            struct peffects **out, struct err *err);
/* SELECT 1 WHERE `when`, which gives a row where a trigger fires; *out NULL where it always does. */
quartet_status plan_when(struct arena *a, struct ast_expr *when, struct ast_stmt **out,
                         struct err *err);
/* plan.c: a statement whose parameters are a row's old columns, then its new ones. */
quartet_status plan_build_for_row(struct catalog *catalog, db *d, const struct ast_stmt *stmt,
                                  const struct table_def *row_of, bool has_old, bool has_new,
                                  struct arena *a, plan **out, struct err *err);

/* plan_explain.c: the lines of EXPLAIN. */
quartet_status plan_explain(struct planner *p, struct ptext **out, struct err *err);
/* plan_explain_merge.c: those of EXPLAIN MERGE. */
quartet_status plan_explain_merge(struct planner *p, struct ptext **out, struct err *err);

#endif
