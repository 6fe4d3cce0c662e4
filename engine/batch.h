/* batch.h - rows by column: what the store yields and the executor works on, up to BATCH_ROWS_MAX rows at a time. */
#ifndef ENGINE_BATCH_H
#define ENGINE_BATCH_H

#include "crdt/value.h"

#define BATCH_ROWS_MAX 1024u
#define VEC_MIXED 0u /* a tag per row: `v` holds whole values */

/* One column of a batch. `type` is the type of all its non-NULL rows (VALUE_NULL: all are NULL), or VEC_MIXED.
 * null[k] is 1 where row k is NULL (VEC_MIXED: v[k].type says it, null is not used); the cell beside it is zero. */
struct vec {
    uint8_t type;
    uint8_t scale;  /* VALUE_DECIMAL: of all rows; rows of other scales make the vector VEC_MIXED */
    bool has_null;  /* false: null[] need not be looked at, though it is valid */
    bool constant;  /* all rows equal row 0, and only row 0 is filled in: a literal costs nothing per row */
    uint8_t *null;
    union {
        int64_t *i;          /* INTEGER, DATE, TIME, TIMESTAMP */
        double *r;           /* REAL */
        struct slice *s;     /* TEXT, BLOB, JSON */
        struct dec128 *dec;  /* DECIMAL */
        uint8_t (*uuid)[16]; /* UUID */
        struct value *v;     /* VEC_MIXED */
        void *p;
    };
};

/* Rows sel[0 .. n-1] where sel is not NULL (ascending), else rows 0 .. n-1. All arrays have room for BATCH_ROWS_MAX. */
struct batch {
    uint32_t n;
    uint32_t col_count;
    struct vec *cols;
    const uint16_t *sel;
    struct slice *keys; /* scans that ask for them: the encoded primary key of each row; else NULL */
};

static inline uint32_t batch_row(const struct batch *b, uint32_t k)
{
    return b->sel != NULL ? b->sel[k] : k;
}
/* An empty vector of room for `rows`, in the arena. false: out of memory. Type may be VEC_MIXED. */
bool vec_init(struct vec *v, uint8_t type, uint32_t rows, struct arena *a);
struct value vec_get(const struct vec *v, uint32_t row); /* any type; heeds constant and null */
size_t vec_cell_bytes(uint8_t type); /* VALUE_NULL: 0 */
/* Can a value that is not NULL be put without changing the vector's type? */
static inline bool vec_fits(const struct vec *v, const struct value *value)
{
    return v->type == VEC_MIXED || (v->type == value->type && (v->type != VALUE_DECIMAL || v->scale == value->scale));
}
/* Put a value that fits (vec_fits, or NULL) into row `row`; nothing is allocated. */
void vec_put_cell(struct vec *v, uint32_t row, const struct value *value); /* the cell alone: it is no NULL, or the vector is VEC_MIXED */
void vec_put(struct vec *v, uint32_t row, const struct value *value);
/* Turn rows 0 .. rows-1 into VEC_MIXED, in `room`; that may be the memory of the cells themselves where it is large enough. */
void vec_to_mixed(struct vec *v, uint32_t rows, struct value *room);
/* Set one row; a value of another type turns the vector into VEC_MIXED (rows below `row` are converted). */
bool vec_set(struct vec *v, uint32_t row, const struct value *value, uint32_t rows_cap, struct arena *a);
bool batch_init(struct batch *b, uint32_t col_count, struct arena *a); /* vectors of type VALUE_NULL, n = 0 */

#endif
