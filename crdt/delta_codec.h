/* delta_codec.h - the pieces of msgpack that deltas are made of; shared by delta_write.c and delta_read.c. */
#ifndef CRDT_DELTA_CODEC_H
#define CRDT_DELTA_CODEC_H

#include "delta.h"

#include <msgpack/pack.h>

#define DELTA_FIELDS 6u     /* version, number, stamp, flags, deps, tables */
#define DELTA_DEP_FIELDS 5u /* slot, incarnation, number, stamp, head */
#define DELTA_TABLE_FIELDS 3u /* id, column ids, rows */
#define DELTA_ROW_FIELDS 2u  /* key, flags; then the writes */
#define DELTA_LIFE_FIELDS 3u /* where additions go to a named life: its stamp, slot, incarnation, before the writes */

/* msgpack-c's packer, appending to a buf. Failure is the buf's. */
msgpack_packer mp_packer(struct buf *out);
void mp_put_value(msgpack_packer *pk, const struct value *v);

/* Bounded readers: each takes one item; the wrong kind of item sets in->bad. Any width of a number is accepted. */
uint64_t mp_uint(struct bytes_in *in);
uint32_t mp_array(struct bytes_in *in); /* the count; bad where it is more than the bytes left */
struct slice mp_bin(struct bytes_in *in);
/* A value; TEXT and JSON are checked to be UTF-8 where `check`, and point into the input. */
bool mp_value(struct bytes_in *in, struct value *v, bool check);

#endif
