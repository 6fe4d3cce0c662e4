/* history.h - random histories of one row, written by two to four chains that exchange what they know, and replicas of that row
 * that learn the transactions in any causal order. For property tests of rows against the naive model. */
#ifndef TESTS_MERGE_HISTORY_H
#define TESTS_MERGE_HISTORY_H

#include "base/prng.h"
#include "merge/model.h"

#define HISTORY_WRITERS_MAX 4u
#define HISTORY_TXNS_MAX 12u
#define HISTORY_COLUMNS 16u
#define HISTORY_PLAIN_COLUMNS 5u /* of plain columns and counters; the first ones. History of these alone takes the ways that plain tables take */
#define HISTORY_TOGETHER 3u /* the first so many are one group where h->together: who writes one writes all, as MERGE TOGETHER has it done at the origin */
#define HISTORY_WRITES_MAX (HISTORY_COLUMNS * 3u)
#define HISTORY_TABLE 7u

struct history_txn {
    uint32_t writer;
    uint64_t number;
    hlc_stamp stamp;
    uint64_t seen[HISTORY_WRITERS_MAX]; /* numbers by writer; its own: number - 1 */
    struct row_op op;
    struct row_write writes[HISTORY_WRITES_MAX];
    struct row_birth lives[HISTORY_TXNS_MAX];
    struct model_seen model_seen[HISTORY_WRITERS_MAX]; /* the same for the model */
    struct model_op model_op;
    struct model_txn model_txn;
};

struct history {
    uint32_t writers, count;
    struct chain_id chains[HISTORY_WRITERS_MAX];
    struct history_txn t[HISTORY_TXNS_MAX]; /* in one causal order */
    uint64_t known[HISTORY_WRITERS_MAX][HISTORY_WRITERS_MAX]; /* what each writer knows at the end */
    struct row_column columns[HISTORY_COLUMNS];
    struct row_schema schema;
    bool together;
    bool switches;    /* updates win from transaction `on` to `off` only, to those who know of these */
    uint32_t on, off; /* of t; past the end: never */
    uint32_t column_ids[HISTORY_COLUMNS];
};

/* Do not move a history: its operations point into it. Draws plain columns, all kinds, or a table where updates win. */
void history_random(struct history *h, struct prng *r, uint32_t writers, uint32_t count);
enum history_table { HISTORY_OF_PLAIN, HISTORY_OF_KINDS, HISTORY_UPDATES_WIN };
void history_random_of(struct history *h, struct prng *r, enum history_table table, uint32_t writers, uint32_t count);
/* The same by hand: history_begin, then history_add for each transaction; `seen`: numbers by writer, its own is filled in. */
void history_begin(struct history *h, uint32_t writers);
struct history_txn *history_add(struct history *h, uint32_t writer, hlc_stamp stamp, const uint64_t *seen, uint8_t flags);
void history_write(struct history_txn *t, uint32_t column, uint8_t op, struct value v);
void history_print(const struct history *h);
bool history_fill_model(const struct history *h, struct model *m); /* false: out of memory */

/* One node's row. Its chain numbers are its own: given in a random order. */
struct replica {
    struct chain_table chains;
    chain_no no[HISTORY_WRITERS_MAX];
    uint64_t known[HISTORY_WRITERS_MAX];
    struct row row;
};
bool replica_init(struct replica *p, const struct history *h, struct prng *r); /* r NULL: numbers in the writers' order */
void replica_deinit(struct replica *p);
bool replica_ready(const struct replica *p, const struct history_txn *t); /* all that it depends on is known, and it is not */
bool replica_knows(const struct replica *p, const struct history_txn *t);
quartet_status replica_apply(struct replica *p, const struct history *h, const struct history_txn *t, struct arena *a, bool *changed,
                             struct err *err);
/* The row's record with chains numbered in the writers' order: equal on equal replicas. Empty where no life is known. */
quartet_status replica_bytes(const struct replica *p, const struct history *h, struct arena *a, struct slice *out, struct err *err);
/* Another replica's row, in p's chain numbers. */
quartet_status replica_import(const struct replica *p, const struct history *h, const struct replica *from, struct arena *a, struct row *out,
                              struct err *err);

#endif
