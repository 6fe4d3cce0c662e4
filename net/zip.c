/* zip.c - see zip.h. Level 1 of zstd: on one core it is several times faster than any link that is slow.
 * Why the frame has no say in its memory: its length is told in front, bounded by the caller, and the frame must fill it exactly; the decoder works in that one piece and keeps no window. */
#include "zip.h"

#include <zstd.h>

#include "base/mem.h"
#include "wire.h"

#define ZSTD_LEVEL 1

struct zip {
    ZSTD_CCtx *pack;
    ZSTD_DCtx *open;
    struct buf raw; /* of the last message that was opened */
};

struct zip *zip_new(void)
{
    return mem_zalloc(1, sizeof(struct zip));
}

void zip_free(struct zip *z)
{
    if (z == NULL)
        return;
    (void)ZSTD_freeCCtx(z->pack); /* NULL is allowed; it cannot fail */
    (void)ZSTD_freeDCtx(z->open);
    buf_deinit(&z->raw);
    mem_free(z);
}

bool zip_pack(struct zip *z, struct slice message, struct buf *out)
{
    size_t before = out->len, room = ZSTD_compressBound(message.n);
    if (message.n < ZIP_BYTES_MIN || out->failed)
        return false;
    if (z->pack == NULL)
        z->pack = ZSTD_createCCtx();
    if (z->pack == NULL)
        return false;
    wire_put_array(out, 3);
    wire_put_u64(out, ZIP_KIND);
    wire_put_u64(out, message.n);
    size_t begun = wire_bin_begin(out);
    uint8_t *to = buf_reserve(out, room);
    size_t n = to != NULL ? ZSTD_compressCCtx(z->pack, to, room, message.p, message.n, ZSTD_LEVEL) : 0;
    if (to == NULL || ZSTD_isError(n) || n > message.n - message.n / 10) {
        if (!out->failed)
            out->len = before;
        return false;
    }
    out->len += n;
    wire_bin_end(out, begun);
    return !out->failed;
}

bool zip_open(struct zip *z, struct slice bytes, size_t max_bytes, struct slice *message, quartet_status *rc, struct err *err)
{
    struct bytes_in in = bytes_in(bytes.p, bytes.n);
    wire_array_of(&in, 3);
    if (wire_u64(&in) != ZIP_KIND || in.bad)
        return false;
    uint64_t n = wire_u64(&in);
    struct slice frame = wire_bin(&in, max_bytes);
    *message = slice_of("", 0);
    if (in.bad || in.left != 0 || n < ZIP_BYTES_MIN || n > max_bytes || ZSTD_getFrameContentSize(frame.p, frame.n) != n || ZSTD_findFrameCompressedSize(frame.p, frame.n) != frame.n) {
        *rc = err_set(err, QUARTET_CORRUPT, "a malformed compressed message of %zu bytes", bytes.n);
        return true;
    }
    if (z->open == NULL)
        z->open = ZSTD_createDCtx();
    buf_clear(&z->raw);
    uint8_t *to = z->open != NULL ? buf_reserve(&z->raw, (size_t)n) : NULL;
    if (to == NULL) {
        *rc = err_nomem(err);
        return true;
    }
    size_t got = ZSTD_decompressDCtx(z->open, to, (size_t)n, frame.p, frame.n);
    *rc = !ZSTD_isError(got) && got == n ? QUARTET_OK : err_set(err, QUARTET_CORRUPT, "a compressed message of %zu bytes does not hold what it says", bytes.n);
    *message = slice_of(to, *rc == QUARTET_OK ? (size_t)n : 0);
    return true;
}
