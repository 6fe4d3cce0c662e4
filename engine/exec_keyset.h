/* exec_keyset.h - rows of key cells to dense numbers: the hash table below GROUP BY, hash joins,
 * DISTINCT, set operations and IN. */
#ifndef ENGINE_EXEC_KEYSET_H
#define ENGINE_EXEC_KEYSET_H

#include "batch.h"

#define KEYSET_NONE UINT32_MAX

enum keyset_mode { KEYSET_EMPTY, KEYSET_INT, KEYSET_TEXT, KEYSET_RAW, KEYSET_BYTES };

struct keyset {
    struct arena *a;
    uint32_t col_count;
    const uint8_t *flags; /* of each column: CELL_KEY_NOCASE */
    uint8_t mode;         /* enum keyset_mode */
    uint32_t n, cap;      /* keys, numbered 0 .. n-1 in order of arrival */
    uint32_t null_id; /* KEYSET_INT and KEYSET_TEXT: the number of the NULL key, or KEYSET_NONE */
    uint64_t *hashes;
    int64_t *ints;       /* KEYSET_INT */
    struct slice *bytes; /* KEYSET_TEXT, KEYSET_RAW, KEYSET_BYTES */
    uint8_t *types;      /* KEYSET_RAW: of each column; VALUE_NULL: no value so far */
    uint32_t *slots;     /* number + 1, 0 where empty */
    uint32_t slot_mask;
    struct buf scratch;
};

void keyset_init(struct keyset *k, uint32_t col_count, const uint8_t *flags, struct arena *a);
void keyset_deinit(struct keyset *k); /* the scratch buffer only */
/* Number every row (sel[i], or i) of `cols`: NULLs equal each other. insert false: unknown rows get
 * KEYSET_NONE. null_none: a row with a NULL in it gets KEYSET_NONE and is not inserted (joins). */
quartet_status keyset_rows(struct keyset *k, const struct vec *cols, const uint16_t *sel,
                           uint32_t n, bool insert, bool null_none, uint32_t *ids, struct err *err);

#endif
