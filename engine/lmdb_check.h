/* lmdb_check.h - is LMDB's file what it should be? LMDB 0.9 trusts every page: a flipped bit in one of its own sends it anywhere, or hides rows.
 *
 * The blocks have checksums. What holds them together (meta, branch and leaf pages, the list of free pages) is about one percent of the file; it is read
 * at open, past LMDB, and held against its own rules and against a sum over all entries that every commit carries along. */
#ifndef ENGINE_LMDB_CHECK_H
#define ENGINE_LMDB_CHECK_H

#include "base/env.h"
#include "base/bytes.h"

#define LMDB_SUM_BYTES 24u

/* The entries of the one database, in any order: each adds its key and where its value lies (or what it is, where it lies in the leaf). */
struct lmdb_sum {
    uint64_t sum, entries;
};
/* Does a value of that many bytes go to pages of its own? LMDB's rule. */
bool lmdb_is_apart(size_t key_bytes, size_t value_bytes);
/* `page`: the number of the first page of a value apart; else `value` counts. */
uint64_t lmdb_entry_hash(struct slice key, struct slice value, uint64_t page);
void lmdb_sum_encode(const struct lmdb_sum *s, uint8_t out[LMDB_SUM_BYTES]);
/* Is the header of a value apart, right before its bytes, that of as many pages as it needs? Its number in *page. */
bool lmdb_apart_good(const void *value, size_t value_bytes, uint64_t *page);

/* Read the file. `sum_key` is the entry that holds the sum; it is not counted in it. *has_sum false: there is none, as in bases of an older format. QUARTET_CORRUPT
 * names file and page; QUARTET_CANTOPEN: made with other pages than 4 KiB. *out: for the commits to come. */
quartet_status lmdb_check(struct env *env, const char *path, struct slice sum_key, struct lmdb_sum *out, bool *has_sum, struct err *err);

#endif
