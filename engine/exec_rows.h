/* exec_rows.h - rows that an operator keeps: chunks of columns in an arena, addressed by number.
 *
 * What sorts, joins, groups and subqueries materialise. Every chunk but the last holds
 * BATCH_ROWS_MAX rows, so that row r lies in chunk r / BATCH_ROWS_MAX. Bytes are copied into the
 * arena. */
#ifndef ENGINE_EXEC_ROWS_H
#define ENGINE_EXEC_ROWS_H

#include "batch.h"

#define ROWS_NONE UINT32_MAX /* in a gather: a row of NULLs */

struct rows_chunk {
    uint32_t n, cap;
    struct vec *cols;
};
struct rows {
    struct arena *a;
    uint32_t col_count;
    uint32_t chunk_count, chunk_cap;
    struct rows_chunk *chunks;
    uint8_t *types,
        *scales; /* of each column: what all chunks share (VALUE_NULL ones fit any), or VEC_MIXED */
    uint32_t n;
};

void rows_init(struct rows *r, uint32_t col_count, struct arena *a);
/* Append a batch's rows. QUARTET_LIMIT past the arena's limit or 2^32 - 2 rows. */
quartet_status rows_append(struct rows *r, const struct batch *b, struct err *err);
/* The same from any columns: row k is sel[k], or k where sel is NULL. */
quartet_status rows_append_vecs(struct rows *r, const struct vec *cols, const uint16_t *sel,
                                uint32_t n, struct err *err);
struct value rows_value(const struct rows *r, uint32_t row, uint32_t col);

/* A vector that an operator refills for each of its batches; the memory grows to what its types
 * need and is kept. */
struct outvec {
    struct vec v;
    void *cells; /* room for BATCH_ROWS_MAX values of width `width` */
    size_t width;
    uint8_t *null;
    uint32_t cap;
};
/* Make it an empty vector of `type` with room for n rows, nulls cleared. */
bool outvec_reset(struct outvec *o, uint8_t type, uint32_t n, struct arena *a);
/* Column `col` of the rows ids[0 .. n-1] (ROWS_NONE: NULL). Bytes are shared with the rows. */
quartet_status rows_gather(const struct rows *r, uint32_t col, const uint32_t *ids, uint32_t n,
                           struct outvec *out, struct arena *a, struct err *err);
/* Rows idx[0 .. n-1] of a vector. Bytes are shared. */
quartet_status vec_gather(const struct vec *src, const uint16_t *idx, uint32_t n,
                          struct outvec *out, struct arena *a, struct err *err);
/* Put rows of src (sel[k], or k) at dst[at ...]; dst was made with vec_init and room for cap. Bytes
 * are copied where copy is set. */
quartet_status rows_put(struct vec *dst, uint32_t at, uint32_t cap, const struct vec *src,
                        const uint16_t *sel, uint32_t n, bool copy, struct arena *a,
                        struct err *err);

#endif
