/* exec_key.h - cells as bytes whose memcmp is their order: one encoding for sorting, grouping,
 * joining and DISTINCT.
 *
 * Unlike crdt/key.h, values that compare equal have equal bytes whatever their types (1 and 1.0, a
 * DATE and its midnight). */
#ifndef ENGINE_EXEC_KEY_H
#define ENGINE_EXEC_KEY_H

#include "batch.h"

enum cell_key_flags {
    CELL_KEY_DESC = 1,
    CELL_KEY_NULLS_LAST = 2,
    CELL_KEY_NOCASE = 4 /* TEXT by folded case */
};
/* Append one cell. Failure is sticky in `out`. */
void cell_key_put(struct buf *out, const struct value *v, uint8_t flags);
/* Append row `row` of a vector. */
void cell_key_put_vec(struct buf *out, const struct vec *v, uint32_t row, uint8_t flags);

/* The first eight bytes of the keys of an INTEGER or REAL vector, as a big-endian number: enough to
 * see that a row sorts behind another. False: not of these types, or NULLs in it. out is indexed by
 * row. */
bool cell_key_prefixes(const struct vec *v, const uint16_t *sel, uint32_t n, uint8_t flags,
                       uint64_t *out);
/* Rows of `in` whose prefix of `v` is at most `most`, into sel_out, which may be in->sel's own
 * memory. False: not of these types, or NULLs in it; nothing was put. */
bool cell_key_upto(const struct vec *v, const struct batch *in, uint8_t flags, uint64_t most,
                   uint16_t *sel_out, uint32_t *n_out);

#endif
