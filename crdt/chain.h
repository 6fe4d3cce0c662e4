/* chain.h - chains, versions and vectors: who wrote what, and who has seen what (DESIGN.md section 2).
 *
 * A chain is one run of one slot: (slot, incarnation). Within a node a chain has a small number (chain_no), local to that
 * node and never shipped or hashed; on the wire and in hashes a chain is its identity. */
#ifndef CRDT_CHAIN_H
#define CRDT_CHAIN_H

#include "base/buf.h"
#include "base/bytes.h"
#include "hlc.h"

#define SLOTS_MAX 4u
#define CHAINS_MAX 65535u /* chains known to one node, folded ones included */

#define CHAIN_BRANCH_BIT ((uint64_t)1 << 63) /* set in the names of branches, never in an incarnation */

/* What folded chains wrote into one register is kept as one sum, in the name of a chain that there is not: slot 0, incarnation CHAIN_SUMS plus the number of the fold. Such names
 * are this node's own and never travel; no run of a node draws one. */
#define CHAIN_SUMS ((uint64_t)0x7fffffff << 32)

typedef uint16_t chain_no; /* 0 is the first chain the node heard of */

struct chain_id {
    uint8_t slot;
    uint64_t incarnation; /* random, never 0, below CHAIN_BRANCH_BIT; of a branch its name (struct chain_fork) */
};

/* An owner that signs two histories (DESIGN.md section 7): from delta `first` on its chain is several, each named by the hash of its first batch. One of these entries
 * for each that is known: the one that this node had taken for the chain itself, and those that came later, which are chains of their own. */
struct chain_fork {
    chain_no chain;  /* what they have in common ends in it, at first - 1 */
    uint64_t first;
    hlc_stamp after; /* stamp of delta first - 1; 0: there is none */
    uint64_t head;   /* first 8 bytes of the hash of the batch that ends there */
    uint64_t branch; /* in place of an incarnation: first 8 bytes of the hash of the branch's first batch, and CHAIN_BRANCH_BIT */
    chain_no as;     /* the branch's number: `chain` itself, or another */
};
struct chain_table {
    struct chain_id *ids; /* owned; of a chain of which a branch goes on: what it was called before */
    struct chain_fork *forks; /* owned; NULL nearly always */
    uint32_t count, cap, fork_count;
    uint32_t *folds; /* owned; by chain_no: with which fold of this node it was folded, 0: it was not; fold_cap of them */
    uint32_t fold_cap, fold_last;
};
static inline bool chain_id_is_sum(struct chain_id id)
{
    return id.incarnation >= CHAIN_SUMS && id.incarnation < CHAIN_BRANCH_BIT;
}

void chain_table_deinit(struct chain_table *t);
/* Folds are numbered from 1 on, in the order in which this node learnt of them: a sum of fold n holds all that chains of folds up to n wrote into its register. The fold of a chain, or of a
 * sum; 0: it is neither. */
uint32_t chain_fold_of(const struct chain_table *t, chain_no no);
bool chain_is_sum(const struct chain_table *t, chain_no no);
quartet_status chain_fold_set(struct chain_table *t, chain_no no, uint32_t fold, struct err *err);
/* All that `from` knows and a copy of an earlier state of it lacks. */
quartet_status chain_table_follow(struct chain_table *copy, const struct chain_table *from, struct err *err);
/* The chain's number, added where new. QUARTET_LIMIT past CHAINS_MAX. */
quartet_status chain_intern(struct chain_table *t, struct chain_id id, chain_no *out, struct err *err);
bool chain_find(const struct chain_table *t, struct chain_id id, chain_no *out);
struct chain_id chain_id_of(const struct chain_table *t, chain_no no); /* {0, 0} where the table has no such number */
/* Its name at this delta, and of a version: another one beyond a fork. */
struct chain_id chain_id_at(const struct chain_table *t, chain_no no, uint64_t number);
chain_no chain_root(const struct chain_table *t, chain_no no); /* the chain that its batches name */
quartet_status chain_fork_add(struct chain_table *t, struct chain_fork f, struct err *err); /* known already: nothing happens */
int chain_id_cmp(struct chain_id a, struct chain_id b); /* by incarnation, then slot */
int chain_no_cmp(const struct chain_table *t, chain_no a, chain_no b); /* by identity */

/* A version: when and by whom a register was written. Ordered by stamp, then by incarnation. */
struct ver {
    hlc_stamp stamp;
    chain_no chain;
};
struct chain_id ver_chain_id(const struct chain_table *t, struct ver v);
/* Is it the version that someone calls so? Who does not know of a fork calls a branch as the chain was called. */
bool ver_is(const struct chain_table *t, struct ver v, hlc_stamp stamp, struct chain_id chain);
int ver_cmp(const struct chain_table *t, struct ver a, struct ver b);
static inline bool ver_eq(struct ver a, struct ver b)
{
    return a.stamp == b.stamp && a.chain == b.chain;
}

/* A vector: for each chain, how far it is known. Entries are few (about four), sorted by chain_no. */
struct vv_entry {
    chain_no chain;
    uint64_t number;  /* deltas 1 to number are known */
    hlc_stamp stamp;  /* of delta `number`; a version of this chain stamped no later was seen */
    uint64_t head;    /* first 8 bytes, little-endian, of the hash of the batch that holds `number`; where that was not sealed yet of the last one before; 0: none */
    bool astray;      /* of a branch of `chain` that is not here: nothing covers it */
};
struct vv {
    struct vv_entry *e; /* owned */
    uint32_t count, cap;
};
void vv_deinit(struct vv *v);
quartet_status vv_copy(struct vv *to, const struct vv *from, struct err *err);
const struct vv_entry *vv_find(const struct vv *v, chain_no chain);
uint64_t vv_number(const struct vv *v, chain_no chain); /* 0 where unknown */
/* Make sure that raising an entry that is not there yet cannot fail. */
quartet_status vv_reserve(struct vv *v, struct err *err);
/* Raise an entry (never lowers one; at an equal number only a head of 0 is filled in). */
quartet_status vv_raise(struct vv *v, struct vv_entry e, struct err *err);
void vv_set_head(struct vv *v, chain_no chain, uint64_t head); /* a later batch was sealed; the entry must exist */
quartet_status vv_merge(struct vv *v, const struct vv *other, struct err *err); /* element-wise maximum */
bool vv_covers(const struct vv *v, const struct vv *other);
bool vv_saw(const struct vv *v, struct ver version); /* was this version seen? exact, by chain and stamp */
enum vv_order { VV_EQUAL, VV_BEFORE, VV_AFTER, VV_CONCURRENT };
enum vv_order vv_compare(const struct vv *a, const struct vv *b);
/* What is called otherwise from some delta on is told in parts, each with its name and its last number. Part 0 is what the chain was called at the start. False: the
 * vector holds nothing of this part, maybe of a later one (there are t->fork_count + 1 at most). */
bool vv_part(const struct chain_table *t, const struct vv_entry *e, uint32_t part, struct chain_id *id, struct vv_entry *out);
/* Wire form with chain identities, sorted by identity, so that equal vectors give equal bytes on every node:
 * varint count, then per chain (each branch for itself) u8 slot, u64 incarnation, varint number, u64 stamp, u64 head.
 * Decoding overwrites *out (the caller's to vv_deinit; empty on failure) and interns chains: only for bytes from a member. */
void vv_encode(struct buf *out, const struct vv *v, const struct chain_table *t);
quartet_status vv_decode(struct bytes_in *in, struct vv *out, struct chain_table *t, struct err *err);

#endif
