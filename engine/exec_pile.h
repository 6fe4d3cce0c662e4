/* exec_pile.h - rows that memory_limit has no room for, apart by the hash of their key: eight piles on disk, each of which is taken up later by itself.
 *
 * All rows of a key are in one pile, so whoever works by keys (groups, DISTINCT, set operations, joins) does with a pile what it did with its input, one level
 * deeper. Files have no names (exec_spill.h). All functions: QUARTET_FULL, QUARTET_IO, QUARTET_NOMEM. */
#ifndef ENGINE_EXEC_PILE_H
#define ENGINE_EXEC_PILE_H

#include "exec_internal.h"
#include "exec_spill.h"

#define PILES           8u
#define PILES_DEEP      8u /* so often a pile is taken apart: 8 to the 8th times the memory */
#define PILE_FULL_SHARE 3u /* of the limit is filled before rows go to piles; doubling arrays takes the rest */

#define PILE_KEPT_BYTES ((size_t)1 << 20) /* between two runs of a plan */

struct pile {
    spill *rows; /* in the order in which they came; NULL: none */
    uint32_t depth;
};
struct piles {
    struct pile making[PILES];
    struct pile waiting[PILES * (PILES_DEEP + 1u)];
    uint32_t waiting_count;
    struct buf key, row;
};
/* Is it time to put rows on piles, now that `used` bytes are filled? False too where there is no disk, or piles are too deep. */
bool piles_begin(const struct exec *e, uint32_t depth, size_t used);
/* A row of cols[0 .. col_count-1] on the pile of its key. */
quartet_status piles_put(struct piles *p, const struct exec *e, uint32_t depth, const struct vec *keys, const uint8_t *flags, uint32_t key_count,
                         const struct vec *cols, uint32_t col_count, uint32_t row, struct err *err);
/* What was put waits from now on, one level below `depth`. empty: piles without rows, too (so that those of both sides of a join stand in pairs). */
quartet_status piles_end(struct piles *p, uint32_t depth, bool empty, struct err *err);
/* The pile that was put last, to be read with pile_feed; the caller frees out->rows. There is one. */
quartet_status piles_take(struct piles *p, struct pile *out, struct err *err);
/* The next rows, as many as a part of the arena's limit holds; out->n == 0: the end. They live until the next call. rows NULL: none. */
quartet_status pile_feed(spill *rows, struct vec *cols, uint32_t col_count, struct arena *a, struct batch *out, struct err *err);
void piles_reset(struct piles *p); /* all rows are forgotten */
void piles_deinit(struct piles *p);

/* Rows whose order has to be that of their numbers, given out pile by pile: runs that are merged at the end. */
struct late_rows {
    spill *rows;
    bool open;
};
quartet_status late_put(struct late_rows *l, const struct exec *e, struct buf *scratch, uint64_t number, const struct vec *cols, uint32_t col_count, uint32_t row,
                        struct err *err);               /* numbers of a run ascend */
quartet_status late_run_end(struct late_rows *l, struct err *err);
void late_reset(struct late_rows *l);

#endif
