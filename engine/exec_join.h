/* exec_join.h - a join at work; inside exec_join.c and exec_join_hash.c. */
#ifndef ENGINE_EXEC_JOIN_H
#define ENGINE_EXEC_JOIN_H

#include <stddef.h>
#include <string.h>

#include "exec_pile.h"

#define CHAIN_END UINT32_MAX

struct xjoin {
    struct xnode x;
    struct batch left; /* the present left batch; n == 0: fetch one */
    bool have_left, left_done, built, tail;
    uint32_t left_at; /* row of it that is being joined */
    uint32_t cursor;  /* of its partners */
    struct rows right;
    struct arena fetched; /* INDEX_JOIN, APPLY: what `right` holds, until the next call */
    uint32_t pairs;
    uint8_t *right_matched;
    bool *wanted; /* columns of both sides that are looked at */
    struct vec *both;
    struct outvec *gathered;
    /* HASH_JOIN, LOOP_JOIN */
    struct arena data, feed; /* of the right side; of rows that come back from a pile */
    struct keyset keys;
    uint32_t *heads, *tails, heads_cap, *chain, chain_cap;
    struct scan_semi semi;
    bool semi_known;
    bool spilled; /* right rows went to piles in this pass */
    bool in_pair; /* two piles are joined, not the inputs */
    uint32_t depth;
    struct piles left_piles, right_piles;
    struct pile left_from, right_from;
    struct vec *fed;
    /* INDEX_JOIN, APPLY */
    bool inner_open, inner_any;
    struct batch inner;
    uint32_t inner_at;
    table_scan *scan;
    struct scan_key inner_key;
    struct bound_state bound;
    struct xrun run;
    bool run_made;
    struct arena set_values; /* APPLY: what the run in progress reads of the left row */
    /* Scratch, which need not begin with zeros: a statement that runs once would pay for 17 KiB of them a join. */
    uint32_t ids[BATCH_ROWS_MAX];
    uint16_t left_rows[BATCH_ROWS_MAX]; /* of the pairs: row in the left batch */
    uint16_t left_pos[BATCH_ROWS_MAX];  /* and its number there */
    uint32_t right_rows[BATCH_ROWS_MAX];
    bool left_matched[BATCH_ROWS_MAX];
    uint16_t sel[BATCH_ROWS_MAX];
    uint16_t inner_sel[BATCH_ROWS_MAX];
};
#define XJOIN_CLEAR offsetof(struct xjoin, ids)

static inline uint32_t left_cols(const struct xjoin *j)
{
    return j->x.p->child[0]->col_count;
}

static inline uint32_t right_cols(const struct xjoin *j)
{
    return j->x.p->child[1]->col_count;
}

/* SEMI and ANTI that ask for a key alone: no rows of the right side are kept. */
static inline bool keys_alone(const struct xjoin *j)
{
    const struct pjoin *p = j->x.p->u.join;
    return (p->kind == PJ_SEMI || p->kind == PJ_ANTI) && p->cond == NULL;
}

static inline void add_pair(struct xjoin *j, uint32_t left_pos, uint32_t right_row)
{
    j->left_rows[j->pairs] = (uint16_t)batch_row(&j->left, left_pos);
    j->left_pos[j->pairs] = (uint16_t)left_pos;
    j->right_rows[j->pairs++] = right_row;
}

/* exec_join.c: what joins that fetch right rows for each left row share. */
quartet_status join_open(struct xnode *x, struct err *err);
quartet_status join_fetched_next(struct xnode *x, struct err *err);
void join_close(struct xnode *x);

/* exec_join_merge.c: pairs of the left batch, as many as a batch of the result holds; their right rows are put into j->right. keep_lonely: a left row without partner is one
 * with ROWS_NONE. */
quartet_status merge_pairs(struct xjoin *j, bool keep_lonely, struct err *err);

/* exec_join_hash.c */
void join_begin(struct xjoin *j); /* nothing is built, nothing lies on piles */
void join_end(struct xjoin *j);   /* gives up what begin made */
/* The right side of HASH_JOIN and LOOP_JOIN is read: into memory, or both sides onto piles and the first pair of these is in the inputs' place. */
quartet_status join_build(struct xjoin *j, struct err *err);
/* The next pair of piles, built; *more false: there is none. */
quartet_status join_next_pair(struct xjoin *j, bool *more, struct err *err);
/* The next left batch into j->left. */
quartet_status join_left_next(struct xjoin *j, struct err *err);
/* The keys of the left batch are looked up. */
quartet_status join_probe(struct xjoin *j, struct err *err);
/* keys_alone: left rows whose key is not known here go to piles where right rows did; they leave the batch. */
quartet_status join_leave_open(struct xjoin *j, struct err *err);

#endif
