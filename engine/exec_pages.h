/* exec_pages.h - rows by their number: the first of them in memory, what memory_limit has no room for in a file without a name.
 *
 * For who walks rows that stand near each other, again and again: a window's partition, the rows of one key in a merge join. Used by one thread. All functions:
 * QUARTET_FULL, QUARTET_IO of the file, QUARTET_NOMEM. */
#ifndef ENGINE_EXEC_PAGES_H
#define ENGINE_EXEC_PAGES_H

#include "exec_internal.h"

#define PAGES_AT_HAND 8u /* so many pages hold their rows as values; what pages_row gave lasts while so many others are asked at most */

struct pages; /* opaque */

/* Of rows with col_count values each; more than memory_bytes of them go to the file. */
quartet_status pages_new(const struct exec *e, uint32_t col_count, size_t memory_bytes, struct pages **out, struct err *err);
void pages_free(struct pages *p); /* NULL is allowed */
void pages_reset(struct pages *p); /* no rows */
/* The next row: col_count values as value_encode writes them. */
quartet_status pages_put(struct pages *p, struct slice row, struct err *err);
uint32_t pages_count(const struct pages *p);
/* Row `number`, as values and as it was put. */
quartet_status pages_row(struct pages *p, uint32_t number, const struct value **values, struct slice *row, struct err *err);

#endif
