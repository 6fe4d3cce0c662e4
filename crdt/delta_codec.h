/* delta_codec.h - the pieces of msgpack that deltas are made of; shared by delta_write.c and delta_read.c. */
#ifndef CRDT_DELTA_CODEC_H
#define CRDT_DELTA_CODEC_H

#include "delta.h"

#define DELTA_FIELDS 6u     /* version, number, stamp, flags, deps, tables; with DELTA_REQUEST one more */
#define DELTA_REQUEST_FIELDS 5u /* session, request, gave rows, affected, last insert id */
#define DELTA_DEP_FIELDS 5u /* slot, incarnation, number, stamp, head */
#define DELTA_TABLE_FIELDS 3u /* id, column ids, rows */
#define DELTA_ROW_FIELDS 2u  /* key, flags; then the writes */
#define DELTA_LIFE_FIELDS 3u /* of a life that is named: its stamp, slot, incarnation. ROW_OP_ADD_TO: one, before the writes; ROW_OP_LIVES: their number, then each */

/* Writers: the shortest form of each item, as msgpack-c packs them. Failure is the buf's. */
void mp_put_uint_long(struct buf *out, uint64_t v);
static inline void mp_put_uint(struct buf *out, uint64_t v)
{
    if (v < 0x80)
        buf_u8(out, (uint8_t)v);
    else
        mp_put_uint_long(out, v);
}
void mp_put_array(struct buf *out, uint32_t count);
void mp_put_bin(struct buf *out, struct slice s);
void mp_put_value(struct buf *out, const struct value *v);
bool mp_put_encoded(struct buf *out, struct bytes_in *in); /* the next value as value_encode wrote it; false: damage */

/* Bounded readers: each takes one item; the wrong kind of item sets in->bad. Any width of a number is accepted. */
uint64_t mp_uint(struct bytes_in *in);
uint32_t mp_array(struct bytes_in *in); /* the count; bad where it is more than the bytes left */
struct slice mp_bin(struct bytes_in *in);
/* A value; TEXT and JSON are checked to be UTF-8 where `check`, and point into the input. */
bool mp_value(struct bytes_in *in, struct value *v, bool check);

#endif
