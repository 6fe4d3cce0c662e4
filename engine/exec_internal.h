/* exec_internal.h - what the executor's files share: operators as objects with open, next and
 * close.
 *
 * A *run* is a tree of operators with memory of its own: the statement, each subquery, the inner
 * side of an APPLY, each part of a recursion. Opening a run again forgets all that the last time
 * left in its arena. Operators keep their buffers in exec.keep, so that a plan that runs again
 * allocates nothing. */
#ifndef ENGINE_EXEC_INTERNAL_H
#define ENGINE_EXEC_INTERNAL_H

#include "exec_key.h"
#include "exec_keyset.h"
#include "exec_rows.h"
#include "plan.h"

struct xnode;
struct xops {
    quartet_status (*open)(struct xnode *x, struct err *err); /* start, or start anew */
    quartet_status (*next)(
        struct xnode *x,
        struct err *err); /* the next rows into x->out; x->out.n == 0: the end, and so for ever */
    void (*close)(struct xnode *x); /* end of the statement: scans and heap; NULL: nothing. Another
                                       run may follow unless exec.last is set */
};
struct xnode {
    const struct xops *ops;
    const struct pnode *p;
    struct xrun *run;
    struct xnode *child[2];
    struct batch out;
    struct arena tmp;    /* results of expressions, until the next call */
    struct expr_ctx ctx; /* ctx.arena is &tmp */
    struct measure *measure; /* EXPLAIN ANALYZE; else NULL */
};
struct xrun {
    struct exec *e;
    struct arena data; /* lives until the run is opened again */
    struct xnode *root;
};
struct xsub { /* a subquery's run and its last answers */
    struct xrun run;
    const struct psub *p;
    bool made, never_keep, ready; /* ready: rows hold the answer of these outer values */
    struct value *key;            /* the values of the outer columns at that time, in key_arena */
    struct arena key_arena;
    struct arena cache_arena;
    struct keyset cache; /* outer values seen -> answers */
    struct value *cache_answers;
    uint32_t cache_cap;
    struct rows rows;  /* the answer's rows (scalar: one; EXISTS: none) */
    struct keyset set; /* IN: the rows without NULLs */
    bool has_rows, has_null;
};
struct xcte {
    struct xrun init;
    struct xrun *steps;
    bool made, filled, finished;
    struct arena data;
    struct rows rows;        /* all of it, as far as anybody has asked for it */
    struct keyset keys;      /* UNION: what is in it */
    const struct rows *work; /* what the steps read: the rows of the last round */
    struct rows last;
    struct arena last_data[2];
    uint32_t which;
    uint64_t limit, offset; /* limit counts the rows before offset too */
};

struct firing {
    tree_id trigger;
    const struct firing *up;
};

struct exec {
    struct plan *p;
    txn *t;
    const struct catalog *catalog;
    struct exec_limits limits;           /* time_zone NULL or `zone` */
    char zone[TZ_NAME_BYTES_MAX + 1];
    struct arena keep;
    struct value *params;
    uint32_t param_count;
    struct xrun main;
    struct xsub *subs;
    struct xcte *ctes;
    struct expr_ctx ctx; /* for what belongs to no operator */
    struct arena tmp;
    uint32_t ticks, progress_ticks;
    uint64_t changes;
    int64_t last_id;
    bool has_last_id;
    bool ignore_raised;         /* RAISE(IGNORE) ended it */
    const struct firing *firing; /* triggers that are at work around it, the innermost first */
    bool busy; /* handed out */
    bool opened;
    bool last; /* no run follows: close gives up what it would keep for one */
    struct xnode *nodes; /* of all runs, for close */
    struct xnode **all;
    uint32_t all_count, all_cap;
};

/* exec.c */
void exec_destroy(struct exec *e); /* NULL is allowed */
quartet_status xnode_make(struct exec *e, struct xrun *run, const struct pnode *p,
                          struct xnode **out, struct err *err);
quartet_status xrun_make(struct exec *e, struct xrun *run, const struct pnode *p, struct err *err);
quartet_status xrun_open(struct xrun *run, struct err *err);
quartet_status exec_check(struct exec *e,
                          struct err *err); /* interrupted, out of time? once a batch */
quartet_status out_vecs(struct xnode *x, uint32_t n,
                        struct err *err); /* x->out.cols for n columns, kept */
void *keep_alloc(struct exec *e, size_t count, size_t size);
void batch_cut(struct batch *b, uint32_t from, uint32_t n,
               uint16_t *sel); /* narrow b to rows from .. from+n-1 of its own */
static inline quartet_status child_next(struct xnode *x, uint32_t i, struct err *err)
{
    return x->child[i]->ops->next(x->child[i], err);
}
static inline quartet_status child_open(struct xnode *x, uint32_t i, struct err *err)
{
    return x->child[i]->ops->open(x->child[i], err);
}
static inline void tmp_reset(struct xnode *x)
{
    arena_reset(&x->tmp);
}
/* exec_analyze.c: from now on the operator counts its rows and its time. */
quartet_status measure_node(struct xnode *x, struct err *err);
/* exec_sub.c */
extern const struct expr_host exec_host;
void xsub_forget(struct exec *e);
void xsub_close(struct xsub *s);
quartet_status xcte_fill(struct exec *e, uint32_t index, struct err *err);
void xcte_close(struct xcte *c, uint32_t step_count);

/* exec_scan.c: what a sort that wants its first rows only lets a scan below it drop. */
struct scan_cut {
    bool on;
    uint32_t column; /* of the scan */
    uint8_t flags;
    uint64_t prefix; /* rows whose key begins with more (cell_key_prefixes) are not wanted */
};
/* Rows without a partner in a hash join above (plan_semi) are dropped by the scan. */
struct scan_semi {
    bool on;
    struct keyset *keys;
    struct psemi at;
    uint32_t asked, kept; /* where most stay it is given up */
    struct scan_semi *next;
};
void scan_add_semi(struct xnode *scan, struct scan_semi *semi); /* once; borrowed */
/* The row's key as one more column behind those of a table's batch. */
struct scan_key {
    struct vec *cols;  /* the batch's, and this one */
    uint8_t *no_nulls; /* keys are never NULL */
};
quartet_status scan_add_key(struct exec *e, struct scan_key *k, struct batch *b, struct err *err);
void scan_set_cut(struct xnode *scan, const struct scan_cut *cut); /* borrowed */

/* exec_history.c: what AS OF or BACKTRACK TO names; kind is enum ast_as_of. */
quartet_status exec_as_of(uint8_t kind, const struct expr *e, struct expr_ctx *ctx, hlc_stamp *out,
                          struct err *err);

/* exec_bound.c: the bound of a scan from values. */
struct bound_state {
    struct key_bound bound;
    struct value prefix[PLAN_BOUND_COLUMNS_MAX + 2];
    struct value lo, hi;
    struct value *lookups; /* rows of width values, in the key's order, none twice; lookup_at of them are begun */
    uint32_t width, lookup_count, lookup_at, step_from;
    bool backwards;
    bool empty;   /* no row can match */
    bool inexact; /* ask bound_filter too */
    bool whole;   /* too many lookups and no fixed column: the table is read by its primary key, from end to end */
};
quartet_status bound_eval(struct bound_state *b, const struct pscan *s, struct expr_ctx *ctx,
                          const struct batch *in, uint32_t row, struct err *err);
bool bound_next(
    struct bound_state *b); /* the next of the lookups that sets make; false: no more */

/* exec_bound_sets.c: those of s->bound.sets into b->lookups, or b->inexact where they are too many. */
quartet_status bound_sets(struct bound_state *b, const struct pscan *s, struct expr_ctx *ctx, const struct batch *in, uint32_t row, struct err *err);
/* A value of the column's type in its place, if there is one that equals it. */
enum types_fit bound_fit(const struct column_def *c, struct value *v, struct arena *a);
quartet_status bound_value(const struct expr *e, struct expr_ctx *ctx, const struct batch *in, uint32_t row, struct value *out, struct err *err);

/* Operators, by kind of node. The sizes are those of their own structs. */
struct xkind {
    size_t size;
    struct xops ops;
    size_t clear; /* only so many bytes need be zero: arrays behind them are scratch; 0: all */
};
extern const struct xkind xkind_one, xkind_scan, xkind_values, xkind_series, xkind_json, xkind_cte_scan,
    xkind_cte_work, xkind_filter, xkind_project, xkind_hash_join, xkind_loop_join, xkind_merge_join, xkind_index_join,
    xkind_apply, xkind_agg, xkind_window, xkind_sort, xkind_limit, xkind_distinct, xkind_set,
    xkind_with, xkind_text, xkind_analyze, xkind_insert, xkind_update, xkind_delete, xkind_backtrack, xkind_resolve,
    xkind_quarantine, xkind_quarantine_write, xkind_keyed, xkind_union;

#endif
