/* channel.h - the encrypted stream that a handshake leaves behind: messages in, frames out, and
 * back.
 *
 * One crypto_secretstream (XChaCha20-Poly1305) each way: nothing can be altered, dropped, repeated
 * or reordered unnoticed. A message larger than a frame travels as several; the last carries the
 * tag PUSH. Pure: bytes in, bytes out. Not thread-safe. */
#ifndef NET_CHANNEL_H
#define NET_CHANNEL_H

#include "frame.h"

#define CHANNEL_KEY_BYTES    32u
#define CHANNEL_HEADER_BYTES 24u
#define CHANNEL_MESSAGE_BYTES_MAX                                                                  \
    (80u << 20)                          /* whole messages, larger ones are refused on both sides */
#define CHANNEL_REKEY_BYTES (1ull << 30) /* both sides change keys after as many bytes */

typedef struct channel channel;

/* The sending direction's header is written to `header` (to be given to the other side), the
 * receiving one is opened with channel_accept. Keys are copied. */
quartet_status channel_new(const uint8_t *send_key, const uint8_t *receive_key, uint8_t *header,
                           channel **out, struct err *err);
quartet_status channel_accept(channel *c, const uint8_t *header, struct err *err);
void channel_free(channel *c); /* NULL is allowed; wipes the keys */

/* Refuse messages past this many bytes from the other side (default CHANNEL_MESSAGE_BYTES_MAX). */
void channel_set_limit(channel *c, size_t message_bytes);
/* Encrypt one message; its frames are appended to `out`. QUARTET_LIMIT, QUARTET_NOMEM: nothing was
 * appended, the channel is as before. */
quartet_status channel_seal(channel *c, struct slice message, struct buf *out, struct err *err);
/* Say goodbye: after this nothing can be sent, and the other side knows that the end was no cut. */
quartet_status channel_seal_end(channel *c, struct buf *out, struct err *err);
/* Decrypt one frame's body. *complete: a whole message is in *message, valid until the next call.
 * *ended: the other side said goodbye. QUARTET_CORRUPT: altered, repeated, out of order; the link
 * must be closed. QUARTET_LIMIT: the message is too large. */
quartet_status channel_open(channel *c, struct slice frame, bool *complete, struct slice *message,
                            bool *ended, struct err *err);

#endif
