/* exec_spill.h - rows in the order of a key that memory did not hold: sorted runs in files of their own, merged while they are read.
 *
 * A run's file has no name any longer when its first byte is written, so neither the statement's end nor the process's leaves one behind. Used by one
 * thread. All functions: QUARTET_FULL, QUARTET_IO of the files, QUARTET_NOMEM; the spill can only be freed then. */
#ifndef ENGINE_EXEC_SPILL_H
#define ENGINE_EXEC_SPILL_H

#include "batch.h"
#include "kv_run.h"

#define SPILL_FAN_IN      8u        /* runs that are merged at once; so many buffers there are */
#define SPILL_BUFFER_BYTES (32u << 10)

struct spill_key {      /* compared as bytes: the two words, then the rest */
    uint64_t first, second;
    const uint8_t *rest;
    uint32_t rest_bytes;
};
int spill_key_cmp(const struct spill_key *a, const struct spill_key *b);

typedef struct spill spill;

/* dir is where the files go; both are borrowed. */
quartet_status spill_new(struct env *env, const char *dir, spill **out, struct err *err);
void spill_free(spill *s); /* NULL is allowed */

/* A file in dir that has no name any longer; the caller closes it, also after an error where *out was set. */
quartet_status spill_file(struct env *env, const char *dir, struct file **out, struct err *err);

/* A run: begin, rows by ascending key, end. Of equal keys those of earlier runs come first. */
quartet_status spill_run_begin(spill *s, struct err *err);
quartet_status spill_run_put(spill *s, const struct spill_key *key, struct slice row, struct err *err);
quartet_status spill_run_end(spill *s, struct err *err);
uint32_t spill_runs(const spill *s);

/* All rows in order, once: spill_read, then spill_next until *row has no p (the end). The bytes are valid until the next call. */
quartet_status spill_read(spill *s, struct err *err);
quartet_status spill_next(spill *s, struct slice *row, struct err *err);

/* Append a row that was written with value_encode, a value for each of out->col_count columns, to a batch whose vectors have room for `cap` rows. The first row
 * (out->n == 0) makes the vectors. Bytes are copied into the arena. */
quartet_status spill_row_put(struct slice row, struct batch *out, uint32_t cap, struct arena *a, struct err *err);

#endif
