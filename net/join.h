/* join.h - the conversation by which a node joins with a token: after the handshake of a joiner (handshake.h) one request and one answer. Byte by byte in docs/WIRE.md. */
#ifndef NET_JOIN_H
#define NET_JOIN_H

#include "member.h"

#define JOIN_VERSION           1u
#define JOIN_MESSAGE_BYTES_MAX 2048u /* of a request */

enum join_kind { JOIN_REQUEST = 40, JOIN_ADMITTED = 41, JOIN_REFUSED = 42 };

/* server_join.c: messages, for both sides. Requests are untrusted; whether they may be granted is member_admit's to say. */
void join_put_request(struct buf *out, const struct member_admission *a);
quartet_status join_get_request(struct slice message, const uint8_t *token_key, struct member_admission *out, struct err *err);

/* client_join.c: ask the token's sponsor to admit the node of this public key. Blocks, timeout_ms at most. *doc_bytes: the membership that lists it (verified), appended to;
 * *gate: the cluster's gate secret, 32 bytes. QUARTET_NET: no answer, also where the token means nothing to who was asked. QUARTET_AUTH: refused, the text says why. */
quartet_status join_ask(struct env *env, const struct member_token *t, const struct member_admission *request, uint32_t timeout_ms, struct buf *doc_bytes, uint8_t *gate, struct err *err);

#endif
