/* frame.c - length-prefixed frames. The buffer holds what has come and is not consumed; it is
 * compacted when the consumed part is the larger one, so that a long stream costs no more memory
 * than its largest frame and one read. */
#include "frame.h"

#include <string.h>

void frame_in_deinit(struct frame_in *in)
{
    buf_deinit(&in->pending);
    in->at = 0;
}

quartet_status frame_feed(struct frame_in *in, const void *p, size_t n, struct err *err)
{
    if (in->at == in->pending.len) {
        buf_clear(&in->pending);
        in->at = 0;
    } else if (in->at > in->pending.len / 2) {
        memmove(in->pending.data, in->pending.data + in->at, in->pending.len - in->at);
        in->pending.len -= in->at;
        in->at = 0;
    }
    buf_put(&in->pending, p, n);
    return buf_check(&in->pending, err);
}

bool frame_next(struct frame_in *in, struct slice *body, quartet_status *rc, struct err *err)
{
    size_t limit = in->limit_bytes != 0 ? in->limit_bytes : NET_FRAME_BYTES_MAX;
    *rc = QUARTET_OK;
    size_t left = in->pending.len - in->at;
    if (left < 4)
        return false;
    uint32_t n = load_le32(in->pending.data + in->at);
    if (n > limit) {
        *rc = err_set(err, QUARTET_LIMIT, "frame of %u bytes, limit %zu", n, limit);
        return false;
    }
    if (left - 4 < n)
        return false;
    *body = slice_of(in->pending.data + in->at + 4, n);
    in->at += 4 + (size_t)n;
    return true;
}

void frame_put(struct buf *out, const void *p, size_t n)
{
    QASSERT(n <= NET_FRAME_BYTES_MAX);
    buf_u32(out, (uint32_t)n);
    buf_put(out, p, n);
}
