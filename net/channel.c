/* channel.c - one secretstream each way, cut into frames.
 *
 * Why fragments and not larger frames: the frame limit is checked before anything is authenticated,
 * so it must be small; a message's own limit applies to a party that has proved who it is. The tag
 * PUSH ends a message, FINAL ends the stream. Both sides count the bytes of whole messages and
 * change keys at the same place, so no message has to say so. */
#include "channel.h"

#include <sodium.h>
#include <string.h>

#include "base/mem.h"

#define TAG_MORE        crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
#define TAG_LAST        crypto_secretstream_xchacha20poly1305_TAG_PUSH
#define TAG_END         crypto_secretstream_xchacha20poly1305_TAG_FINAL
#define OVERHEAD        crypto_secretstream_xchacha20poly1305_ABYTES
#define PIECE_BYTES_MAX (NET_FRAME_BYTES_MAX - OVERHEAD)

struct channel {
    crypto_secretstream_xchacha20poly1305_state send, receive;
    uint8_t receive_key[CHANNEL_KEY_BYTES];
    bool accepted, ended_out, ended_in;
    uint64_t sent_bytes, received_bytes; /* since the last change of keys */
    size_t limit_bytes;
    struct buf message; /* pieces of the message under way */
    bool complete;      /* `message` was handed out and is to be emptied */
};

quartet_status channel_new(const uint8_t *send_key, const uint8_t *receive_key, uint8_t *header,
                           channel **out, struct err *err)
{
    _Static_assert(CHANNEL_KEY_BYTES == crypto_secretstream_xchacha20poly1305_KEYBYTES, "key size");
    _Static_assert(CHANNEL_HEADER_BYTES == crypto_secretstream_xchacha20poly1305_HEADERBYTES,
                   "header size");
    channel *c = mem_zalloc(1, sizeof *c);
    if (c == NULL)
        return err_nomem(err);
    c->limit_bytes = CHANNEL_MESSAGE_BYTES_MAX;
    memcpy(c->receive_key, receive_key, CHANNEL_KEY_BYTES);
    /* Cannot fail: it draws a random header and derives from it. */
    (void)crypto_secretstream_xchacha20poly1305_init_push(&c->send, header, send_key);
    *out = c;
    return QUARTET_OK;
}

quartet_status channel_accept(channel *c, const uint8_t *header, struct err *err)
{
    QASSERT(!c->accepted);
    if (crypto_secretstream_xchacha20poly1305_init_pull(&c->receive, header, c->receive_key) != 0)
        return err_set(err, QUARTET_CORRUPT, "invalid stream header");
    sodium_memzero(c->receive_key, sizeof c->receive_key);
    c->accepted = true;
    return QUARTET_OK;
}

void channel_free(channel *c)
{
    if (c == NULL)
        return;
    if (c->message.data != NULL)
        sodium_memzero(c->message.data, c->message.len);
    buf_deinit(&c->message);
    sodium_memzero(c, sizeof *c);
    mem_free(c);
}

void channel_set_limit(channel *c, size_t message_bytes)
{
    c->limit_bytes =
        message_bytes < CHANNEL_MESSAGE_BYTES_MAX ? message_bytes : CHANNEL_MESSAGE_BYTES_MAX;
}

static void put_piece(channel *c, const uint8_t *p, size_t n, uint8_t tag, struct buf *out)
{
    uint8_t length[4];
    size_t body = n + OVERHEAD;
    store_le32(length, (uint32_t)body);
    uint8_t *to =
        buf_reserve(out, 4 + body); /* checked to succeed by the caller, which reserved it all */
    QASSERT(to != NULL);
    memcpy(to, length, 4);
    (void)crypto_secretstream_xchacha20poly1305_push(&c->send, to + 4, NULL, p, n, length,
                                                     sizeof length, tag);
    out->len += 4 + body;
}

quartet_status channel_seal(channel *c, struct slice message, struct buf *out, struct err *err)
{
    QASSERT(!c->ended_out);
    if (message.n > CHANNEL_MESSAGE_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "message of %zu bytes, limit %u", message.n,
                       CHANNEL_MESSAGE_BYTES_MAX);
    size_t pieces = message.n / PIECE_BYTES_MAX + 1;
    /* All memory first: a stream that has moved on cannot be taken back. */
    if (buf_reserve(out, message.n + pieces * (4 + OVERHEAD)) == NULL)
        return buf_check(out, err);
    size_t at = 0;
    while (message.n - at > PIECE_BYTES_MAX) {
        put_piece(c, message.p + at, PIECE_BYTES_MAX, TAG_MORE, out);
        at += PIECE_BYTES_MAX;
    }
    put_piece(c, message.p + at, message.n - at, TAG_LAST, out);
    c->sent_bytes += message.n;
    if (c->sent_bytes >= CHANNEL_REKEY_BYTES) {
        crypto_secretstream_xchacha20poly1305_rekey(&c->send);
        c->sent_bytes = 0;
    }
    return QUARTET_OK;
}

quartet_status channel_seal_end(channel *c, struct buf *out, struct err *err)
{
    if (c->ended_out)
        return QUARTET_OK;
    if (buf_reserve(out, 4 + OVERHEAD) == NULL)
        return buf_check(out, err);
    put_piece(c, NULL, 0, TAG_END, out);
    c->ended_out = true;
    return QUARTET_OK;
}

static quartet_status take_piece(channel *c, struct slice frame, uint8_t *tag, struct err *err)
{
    size_t n = frame.n - OVERHEAD;
    if (n > c->limit_bytes - c->message.len)
        return err_set(err, QUARTET_LIMIT, "message of more than %zu bytes", c->limit_bytes);
    uint8_t *to = buf_reserve(&c->message, n > 0 ? n : 1);
    if (to == NULL)
        return buf_check(&c->message, err);
    uint8_t length[4];
    store_le32(length, (uint32_t)frame.n);
    unsigned long long got = 0;
    if (crypto_secretstream_xchacha20poly1305_pull(&c->receive, to, &got, tag, frame.p, frame.n,
                                                   length, sizeof length) != 0)
        return err_set(err, QUARTET_CORRUPT, "a frame fails its authentication");
    QASSERT(got == n);
    c->message.len += n;
    return QUARTET_OK;
}

quartet_status channel_open(channel *c, struct slice frame, bool *complete, struct slice *message,
                            bool *ended, struct err *err)
{
    QASSERT(c->accepted);
    *complete = false;
    *ended = false;
    if (c->complete) {
        buf_clear(&c->message);
        c->complete = false;
        if (c->message.cap >
            NET_FRAME_BYTES_MAX) /* one large message must not hold its memory for good */
            buf_deinit(&c->message);
    }
    if (c->ended_in)
        return err_set(err, QUARTET_CORRUPT, "a frame after the end of the stream");
    if (frame.n < OVERHEAD)
        return err_set(err, QUARTET_CORRUPT, "a frame of %zu bytes is too short", frame.n);
    uint8_t tag = 0;
    quartet_status rc = take_piece(c, frame, &tag, err);
    if (rc != QUARTET_OK)
        return rc;
    if (tag == TAG_END) {
        if (c->message.len != 0)
            return err_set(err, QUARTET_CORRUPT, "the stream ends within a message");
        c->ended_in = true;
        *ended = true;
    } else if (tag == TAG_LAST) {
        *complete = true;
        *message = slice_of(c->message.data, c->message.len);
        c->complete = true;
        c->received_bytes += c->message.len;
        if (c->received_bytes >= CHANNEL_REKEY_BYTES) {
            crypto_secretstream_xchacha20poly1305_rekey(&c->receive);
            c->received_bytes = 0;
        }
    } else if (tag != TAG_MORE) {
        return err_set(err, QUARTET_CORRUPT, "a frame with an unknown tag");
    }
    return QUARTET_OK;
}
