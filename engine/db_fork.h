/* db_fork.h - a member that signs two histories: its chain forks, every branch is taken that an honest member took, and the slot is frozen. Why and how: db_fork.c.
 *
 * All of it under commit_lock but for the tick. */
#ifndef ENGINE_DB_FORK_H
#define ENGINE_DB_FORK_H

#include "db_internal.h"

#define FORK_ROWS_AT_ONCE 16u /* written in one tick */
#define FORK_SEEN_EVERY 256u /* a delta whose number is 1 modulo this says all that its writer had seen */

/* Where a batch belongs. */
struct fork_place {
    enum deliver_result result;
    chain_no chain; /* DUPLICATE, APPLIED: the chain that has or takes it; not with `fresh` or `fork` */
    bool fresh;     /* the first of its chain that is known */
    bool fork;      /* another batch of `chain` stands where it would, and both follow the same: once it is verified, fork_found */
    uint64_t need;  /* GAP: what is to be pulled first */
};
struct fork_place fork_place(db *d, const struct batch_header *h, struct err *err);
/* A verified batch for which fork_place said so. What is known of it is written down, and the slot is frozen. *branch: a new chain for it, where it is to be taken; *take
 * tells. */
quartet_status fork_found(db *d, const struct batch_header *h, struct slice bytes, chain_no beside, chain_no *branch, bool *take, struct err *err);
/* Before a batch is logged: to which chain it belongs, where its header does not say it, and whether a branch begins with it. */
quartet_status fork_log_batch(db *d, const struct held_batch *b, log_pos *at, bool *logged, struct err *err);

/* What proves that a slot signed two histories is known from now on. write: put it into the log too. */
quartet_status fork_point_add(db *d, chain_no root, const struct batch_header *h, const uint8_t a[BATCH_SIGNED_BYTES], const uint8_t b[BATCH_SIGNED_BYTES], bool write,
                              struct err *err);
quartet_status fork_split_all(db *d, const struct fork_point *p, struct err *err);
/* A branch's writer has seen what is before the branch. */
quartet_status fork_seen_origin(db *d, chain_no no, struct vv *seen, struct err *err);
bool fork_proof(const db *d, const uint8_t *a, const uint8_t *b, struct batch_header *h); /* two signed headers; *h: the first one, parsed */
bool fork_frozen(const db *d, uint8_t slot);
bool fork_blocks(const db *d, uint8_t slot, uint64_t first); /* a batch of this slot that begins there is not to be taken (any longer, or yet) */
/* Which branch do these entries, decoded from a peer's bytes, mean? What is not here becomes `astray`; with `clip` it goes out. */
quartet_status fork_resolve(db *d, struct vv *v, bool clip, struct err *err);
bool fork_needs(const db *d, const struct batch_header *h); /* does a delta that waits here depend on it, or on what comes after it in its chain? */
void fork_needs_end(db *d);                   /* nothing waits any more; also when the database is closed */
void fork_need(db *d, const struct vv *deps); /* a delta waits for these */

/* The part of a chain's numbers that has this name: first to end - 1. */
void fork_part(const db *d, struct chain_id name, chain_no no, uint64_t *first, uint64_t *end);

quartet_status forks_load(db *d, struct err *err); /* quartet_forks changed, or it was opened, or keys became known */
void fork_tick(db *d);
void forks_deinit(db *d);

/* db_recover.c, db_checkpoint.c */
enum fork_meta { FORK_META_BRANCH = 3, FORK_META_POINT = 5, FORK_META_NEXT = 6 }; /* kinds of LOG_META, beside db_recover.c's */
quartet_status fork_replay_meta(db *d, uint8_t kind, struct bytes_in *in, struct err *err);
void fork_checkpoint_put(const db *d, struct buf *out);
quartet_status fork_checkpoint_get(db *d, struct bytes_in *in, struct err *err);

/* db_replicate.c: the header and signature of the batch that holds delta `number`, from the log. */
quartet_status db_read_batch(db *d, const struct batch_at *at, struct buf *out, struct err *err); /* all of it, appended */
quartet_status db_read_header(db *d, chain_no chain, uint64_t number, uint8_t raw[BATCH_HEADER_BYTES + BATCH_SIGNATURE_BYTES], struct batch_header *out,
                              bool *found, struct err *err);
bool db_find_batch(db *d, chain_no no, uint64_t number, struct batch_at *out); /* db_batches.c; the batch itself, not a run */

#endif
