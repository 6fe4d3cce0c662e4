/* zip.h - messages between nodes made smaller, for links where bytes are dearer than processor time (server_speed.c). Pure.
 *
 * [33, u64 length before, bin: one zstd frame]. What comes out is a message like any other, of a bounded length, and is none of this kind again. */
#ifndef NET_ZIP_H
#define NET_ZIP_H

#include "base/buf.h"
#include "base/bytes.h"

#define ZIP_KIND      33u  /* beside gossip's kinds */
#define ZIP_BYTES_MIN 300u /* smaller messages do not gain */

struct zip; /* memory for both directions, a megabyte or so, made as needed; not thread-safe */
struct zip *zip_new(void); /* NULL: out of memory */
void zip_free(struct zip *z); /* NULL is allowed */

/* Appended to `out`. False: it would not be a good tenth smaller, or memory is out; nothing is appended then. */
bool zip_pack(struct zip *z, struct slice message, struct buf *out);
/* Is it of this kind? Then *rc says whether it is a good one, and *message what was in it: valid until the next call. max_bytes: of what is in it. Memory is taken for the length
 * that it tells, which is checked first, and for no more. */
bool zip_open(struct zip *z, struct slice bytes, size_t max_bytes, struct slice *message, quartet_status *rc, struct err *err);

#endif
