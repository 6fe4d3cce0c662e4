/* wire.h - msgpack on the wire: a writer over msgpack-c's packer and a bounded reader of untrusted
 * bytes.
 *
 * Every message is one msgpack array. Reading never goes through msgpack-c, which believes declared
 * counts: this reader takes what it expects, item by item, from a struct bytes_in, and a count is
 * only believed as far as the bytes for it are there. */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include "base/buf.h"
#include "base/bytes.h"

void wire_put_array(struct buf *out, uint32_t n);
void wire_put_u64(struct buf *out, uint64_t v);
void wire_put_i64(struct buf *out, int64_t v);
void wire_put_bool(struct buf *out, bool v);
void wire_put_nil(struct buf *out);
void wire_put_bin(struct buf *out, struct slice s);
void wire_put_str(struct buf *out, struct slice s); /* the caller vouches for UTF-8 */
void wire_put_cstr(struct buf *out, const char *s);
/* A bin whose bytes are appended by the caller between begin and end. */
size_t wire_bin_begin(struct buf *out);
void wire_bin_end(struct buf *out, size_t begun);

/* A wrong type sets in->bad; the result is then 0, false or empty. Read all, check once. */
uint32_t wire_array(struct bytes_in *in);            /* the count; no larger than the bytes left */
void wire_array_of(struct bytes_in *in, uint32_t n); /* bad unless exactly n */
uint64_t wire_u64(struct bytes_in *in);
int64_t wire_i64(struct bytes_in *in);
uint32_t wire_u32(struct bytes_in *in); /* bad past 32 bits */
bool wire_bool(struct bytes_in *in);
bool wire_is_nil(struct bytes_in *in); /* true: a nil was consumed; false: nothing was */
struct slice wire_bin(struct bytes_in *in, size_t max_bytes);
struct slice wire_str(struct bytes_in *in, size_t max_bytes); /* checks UTF-8 */

#endif
