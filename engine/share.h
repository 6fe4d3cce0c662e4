/* share.h - COUNTERs with a bound: each chain's share of the room that is left, who asks for more and who gives. crdt/bounded.h tells why the bound holds.
 *
 * A statement that takes from the room looks first whether this node's share suffices, and asks the other members where it does not (share_check); COMMIT looks once
 * more, under the commit lock (share_commit). Askers and givers write rows of quartet_share_moves, which replicate like all others (share_move.c). */
#ifndef ENGINE_SHARE_H
#define ENGINE_SHARE_H

#include "txn_internal.h"

#define SHARE_TIMEOUT_MS 2000u      /* share_timeout where a session sets none */
#define SHARE_KEY_BYTES_MAX 2048u   /* of a primary key: rows with a longer one keep their room where they were inserted */

/* One bound of one COUNTER of one life of a row. */
struct share_of {
    tree_id table;
    struct slice key;
    uint32_t column_id;
    uint8_t side; /* enum bounded_side */
    hlc_stamp birth;
    struct chain_id birth_chain;
};
/* A row of quartet_share_moves. */
struct share_move {
    struct share_of of;
    struct chain_id from, to; /* from.incarnation 0: `to` asks */
    __int128 amount;          /* all that was given so far; or what is lacking, 0: a fair part is enough */
    int64_t asked;            /* of a request, its number; else the last request that was answered */
};
/* A row's moves and requests in one snapshot, with a transaction's own laid over it (may be NULL). In the arena. */
quartet_status share_moves(db *d, kv_snap *snap, const struct kv_overlay *over, tree_id table, struct slice key, struct arena *a, struct share_move **out,
                           uint32_t *count, struct err *err);
bool share_same(const struct share_of *a, const struct share_of *b);

/* The rooms of one share_of; commit_lock held. */
struct share_rooms {
    struct bounded_room *room;
    uint32_t count;
    __int128 mine, all; /* this node's, those of closed chains that it goes on for included; the sum of all */
};
quartet_status share_rooms(db *d, const struct table_def *t, const struct row_life *life, const struct share_of *of, const struct share_move *moves, uint32_t count,
                           struct arena *a, struct share_rooms *out, struct err *err);
struct chain_id share_self(const db *d);                     /* the chain that this node writes, or will write with its first commit */
struct chain_id share_heir(const db *d, struct chain_id of); /* the chain that a closed one's room belongs to; `of` where it is not closed and applied */
uint32_t share_members(const db *d);                         /* this node included */

/* Before table_update writes: waits for what the node's share lacks, as long as the transaction's share_until_ns says. QUARTET_UNAVAILABLE says what is held here,
 * and who did not answer. */
quartet_status share_check(txn *t, const struct table_def *table, struct slice key, const struct value *old, const struct table_write *writes, uint32_t count,
                           struct err *err);
/* A row's net operation, under the commit lock: *life is the one that its additions go to, the newest that has room for them; {0, 0} where it makes no difference.
 * QUARTET_SERIALIZATION: the share does not suffice any more. */
quartet_status share_commit(txn *t, const struct table_def *table, struct slice key, const struct row_op *op, struct ver *life, struct err *err);
/* The first values of a row are within the bounds. */
quartet_status share_begin(const struct table_def *table, const struct value *values, struct err *err);

/* share_move.c */
struct shares; /* requests to be written and to be answered; db.shares */
quartet_status shares_new(struct shares **out, struct err *err);
void shares_free(struct shares *s); /* NULL is allowed */
/* To be asked of the other members at the next tick, which is made to come soon. *asked gets the request's number. */
quartet_status share_ask(db *d, const struct share_of *of, __int128 lacking, int64_t *asked, struct err *err);
/* Not more than once a second for the same. */
bool share_may_ask_early(db *d, const struct share_of *of, uint64_t now_ns);
/* Somebody waits for its request; a request of another member that is younger gets only what is left over. */
void share_wait_begin(db *d, const struct share_of *of, int64_t asked, __int128 need);
void share_wait_end(db *d, const struct share_of *of, int64_t asked);
void share_noted(db *d, struct slice key); /* apply: this row of quartet_share_moves came or changed; commit_lock held */
void share_tick(db *d);                    /* writes requests, answers others', takes away rows of lives that have ended */
quartet_status share_sweep(db *d, struct err *err); /* one stretch of that last, now */

/* share_show.c: SHOW SHARES [FROM t] */
struct conn_table;
quartet_status share_show(db *d, const char *table, struct arena *a, struct conn_table *out, struct err *err);

#endif
