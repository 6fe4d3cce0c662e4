/* delta.h - a transaction as it travels: chain, number, stamp, what it depends on, and register operations by table.
 *
 * delta_writer builds the msgpack bytes; delta_open walks untrusted bytes with the bounded reader before anything is unpacked.
 * The format is documented byte by byte in docs/WIRE.md. */
#ifndef CRDT_DELTA_H
#define CRDT_DELTA_H

#include "base/level.h"
#include "row.h"

#define DELTA_VERSION 4u /* 1: a write said only whether it adds. 2: none said whether updates win to its writer. 3: none said whose request it was */
#define DELTA_VERSION_NEXT 5u /* of LEVEL_NEXT: each operation has DELTA_OP_NEXT in its code. Read and written by quartetd-next of the tests alone */
#define DELTA_OP_NEXT 32u
#define DELTA_KEY_BYTES_MAX 8192u /* as KEY_BYTES_MAX */
#define DELTA_BYTES_MAX (16u << 20)       /* one transaction in one piece; more travels as a run of chunks */
#define DELTA_CHUNK_BYTES_MAX (192u << 10) /* of one chunk's operations: a batch holds at least one chunk */
#define BATCH_PAYLOAD_BYTES_MAX (256u << 10)
#define BATCH_DELTAS_MAX 256u

/* A chunk of a large transaction is a delta of its own number; it takes effect with the last one. */
enum delta_flags {
    DELTA_MORE = 1,     /* not the last chunk of its transaction */
    DELTA_CONTINUES = 2, /* not the first */
    DELTA_REQUEST = 4    /* it says at its end which client's request committed it; never with DELTA_MORE */
};

/* Whose transaction it was: what a client asks for that lost the link before the answer came (engine/outcome.h). */
struct delta_request {
    uint64_t session;   /* counted by the node in this run, from 1; 0: no client's */
    uint32_t request;   /* the client's number of it */
    bool gave_rows;     /* the statement had columns: an answer that is lost cannot be told again */
    int64_t affected, last_insert_id;
};

struct delta_head {
    uint64_t number;
    hlc_stamp stamp;        /* all chunks of a transaction carry the same */
    uint8_t flags;
    uint32_t level;         /* of operations (base/level.h); 0: LEVEL_FIRST */
    const struct vv *deps;  /* to encode: entries that changed since the chain's previous delta; own chain left out */
    const struct delta_request *request; /* to encode, with DELTA_REQUEST only; must live until delta_end */
};

/* Build. Call begin, then for each table `table` followed by its rows in key order, then end; check `out` with buf_check. */
struct delta_writer {
    struct buf *out;
    const struct chain_table *chains;
    size_t count_at;  /* where the current count is patched */
    uint32_t count, table_count, column_count;
    const struct delta_request *request; /* NULL: none */
    size_t tables_at;
    uint8_t op_more;  /* what is added to each operation's code */
};
void delta_begin(struct delta_writer *w, struct buf *out, const struct chain_table *chains, const struct delta_head *head);
/* column_ids: what the writes' column positions stand for, `count` of them. */
void delta_table(struct delta_writer *w, uint64_t table_id, const uint32_t *column_ids, uint32_t count);
void delta_row(struct delta_writer *w, struct slice key, const struct row_op *op); /* INSERT: writes are all columns of the table, in order */
/* As delta_row of an INSERT whose values, one for each column, stand as value_encode wrote them: column i ends at ends[i]. False: they do not, and the delta is of no use. */
bool delta_insert(struct delta_writer *w, struct slice key, struct slice values, uint32_t *ends);
void delta_end(struct delta_writer *w);

/* Read. Everything points into the bytes or the arena. */
struct delta_reader {
    struct bytes_in in;
    uint64_t number;
    hlc_stamp stamp;
    uint8_t flags;
    uint32_t level;          /* of operations that it is written in */
    struct vv deps;          /* entries that changed; the caller's to vv_deinit */
    struct delta_request request; /* zeros without DELTA_REQUEST */
    uint32_t tables_left, rows_left;
    uint64_t table_id;
    uint32_t *column_ids;    /* of the present table, in the arena */
    uint32_t column_count;
};
/* Checks the whole delta's structure (depth, counts, ranges, UTF-8, lengths) before returning. QUARTET_CORRUPT says where. */
quartet_status delta_open(struct delta_reader *r, struct slice bytes, struct chain_table *chains, struct err *err);
/* The level of operations that a delta, not looked at otherwise, says it is written in. LEVEL_FIRST also where it is none;
 * UINT32_MAX: of one that this build does not know. */
uint32_t delta_level(struct slice bytes);
/* *more is false after the last. Rows of the present table that were not read are skipped. */
quartet_status delta_next_table(struct delta_reader *r, struct arena *a, bool *more, struct err *err);
/* Next row of the present table; op->writes in the arena (rewind it between rows), columns as positions into column_ids. The
 * only failure is the arena's. Keys ascend within a table; whether they and the values fit it is the caller's to check. */
quartet_status delta_next_row(struct delta_reader *r, struct arena *a, struct slice *key, struct row_op *op, bool *more,
                              struct err *err);
void delta_close(struct delta_reader *r);

#endif
