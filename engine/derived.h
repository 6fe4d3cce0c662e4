/* derived.h - columns that are computed from the other columns of their row: GENERATED ones, and hidden ones that stand for the expressions and the WHERE of an index.
 *
 * A derived column has no register and no place in records: whoever has a row's values computes it from them (table_decode, apply, scans, statements that write). So all
 * nodes agree on it wherever they agree on the row, whatever was merged into it. What cannot be computed of a merged row (integer overflow, a value that the declared
 * type cannot take) is NULL; a statement that would write such a row fails at its origin instead. */
#ifndef ENGINE_DERIVED_H
#define ENGINE_DERIVED_H

#include "batch.h"
#include "catalog.h"

/* Fill in the derived columns of a row. `values`: by column, all others are there; bytes of the results lie in the arena or in `values`. QUARTET_NOMEM. */
quartet_status derived_fill(const struct table_def *t, struct value *values, struct arena *a, struct err *err);
/* The same for a row that a statement makes: what cannot be computed is an error that names the column, or the index. */
quartet_status derived_fill_new(const struct table_def *t, struct value *values, struct arena *a, struct err *err);
/* One derived column of `rows` rows into *out, in the arena: `cols` by column of the table, those that it reads are filled in. The vector is not constant. QUARTET_NOMEM. */
quartet_status derived_vec(const struct derived_def *d, struct vec *cols, uint32_t col_count, uint32_t rows, struct vec *out, struct arena *a, struct err *err);
/* That of a column; NULL: it is no derived one. */
const struct derived_def *derived_of(const struct table_def *t, uint32_t column);
/* Is the column `at`, or computed from it? */
bool derived_reads(const struct table_def *t, uint32_t column, uint32_t at);

#endif
