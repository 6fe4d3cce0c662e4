/* frame.h - length-prefixed frames: what a byte stream is cut into, before and after the handshake.
 *
 * A frame is a little-endian u32 length, then that many bytes. The length is checked before
 * anything is allocated. A reader keeps only bytes that have arrived, so a lying length costs its
 * sender more than us. */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include "base/buf.h"
#include "base/bytes.h"

#define NET_FRAME_BYTES_MAX (1u << 20)

struct frame_in {
    struct buf pending; /* bytes that came and are not consumed yet */
    size_t at;          /* consumed up to here */
    size_t limit_bytes; /* of one frame's body; at most NET_FRAME_BYTES_MAX; 0 means that */
};

void frame_in_deinit(struct frame_in *in);
/* Bytes from the socket. QUARTET_NOMEM. Slices from frame_next are dead afterwards. */
quartet_status frame_feed(struct frame_in *in, const void *p, size_t n, struct err *err);
/* The next whole frame's body: true and *body (valid until the next frame_feed), or false: more
 * bytes are needed (QUARTET_OK), or the length is past the limit (*rc = QUARTET_LIMIT; the stream
 * is unusable from then on). */
bool frame_next(struct frame_in *in, struct slice *body, quartet_status *rc, struct err *err);
/* Length and body, appended to out. n is at most NET_FRAME_BYTES_MAX. */
void frame_put(struct buf *out, const void *p, size_t n);

#endif
