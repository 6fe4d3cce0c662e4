/* handshake.h - who is there: a pure state machine that turns two byte streams into an encrypted
 * channel between known parties.
 *
 * Four messages, each one frame: (1) initiator: ephemeral key and a gate MAC that proves the
 * cluster's gate secret; until it has been checked the responder sends nothing. (2) responder:
 * ephemeral key, then, encrypted, its identity and signature of the transcript. (3) initiator,
 * encrypted: its identity and signature. (4) responder, encrypted: welcome or the reason of
 * refusal; to a node that was evicted the document that says so. The transcript holds magic, version, cluster id, both ephemeral keys and both roles.
 * Byte by byte in docs/WIRE.md. */
#ifndef NET_HANDSHAKE_H
#define NET_HANDSHAKE_H

#include "channel.h"
#include "member.h"

#define HANDSHAKE_VERSION     1u
#define HANDSHAKE_DEADLINE_MS 3000u
#define HANDSHAKE_FIRST_BYTES 72u /* message 1 is exactly as long */
#define HANDSHAKE_FRAME_BYTES_MAX                                                                  \
    (64u << 10) /* what an initiator accepts; a responder accepts HANDSHAKE_REQUEST_BYTES_MAX */
#define HANDSHAKE_REQUEST_BYTES_MAX 512u
#define HANDSHAKE_SEEN_MAX          1024u

enum net_role { NET_ROLE_PEER = 1, NET_ROLE_CLIENT = 2, NET_ROLE_JOINER = 3 /* with a token: member_join.c */ };

/* First messages seen of late, so that a replayed one gets no answer. One per responder; not
 * thread-safe. */
struct handshake_seen {
    uint8_t mac[HANDSHAKE_SEEN_MAX][16];
    uint32_t next, count;
};

/* Everything is borrowed and must outlive the handshake. */
struct handshake_config {
    struct env *env;    /* randomness only */
    enum net_role role; /* the initiator's: peer or client; a responder is always a node */
    struct cluster_id cluster;
    const struct member_key *key; /* ours */
    uint64_t instance;            /* random number of this process, told to the other side */
    const struct member_doc
        *doc; /* whom we know; NULL for a client: it trusts the document that the node sends */
    struct slice doc_bytes;      /* responder: the signed document, sent to clients and joiners */
    int expect_slot;             /* initiator: the slot that must answer, or -1 */
    struct handshake_seen *seen; /* responder; NULL: replays are only stopped by message 3 */
};

struct handshake_peer {
    enum net_role role; /* what the other side is; a responder is a peer */
    uint8_t slot;       /* of a node */
    uint8_t public_key[MEMBER_KEY_BYTES];
    char name[MEMBER_NAME_BYTES_MAX]; /* of a client, as the document has it */
    uint64_t instance;
    uint64_t epoch; /* of a node: member_version of its membership document */
    struct slice
        doc_bytes; /* client side: the node's document, verified; belongs to the handshake */
};

typedef struct handshake handshake;
/* Initiator, after QUARTET_AUTH: the other side proved by a newer membership document that this node was evicted. *doc_bytes is that document, verified, and belongs to the
 * handshake. False: it was refused for another reason. */
bool handshake_evicted(const handshake *h, struct slice *doc_bytes, uint64_t *epoch);

/* Either side; an initiator's first message is appended to `out`. */
quartet_status handshake_dial(const struct handshake_config *config, handshake **out_handshake,
                              struct buf *out, struct err *err);
quartet_status handshake_answer(const struct handshake_config *config, handshake **out_handshake,
                                struct err *err);
void handshake_free(handshake *h); /* NULL is allowed; wipes */

/* One frame's body from the other side; what is to be sent is appended to `out`, also on failure (a
 * refusal): send it, then close. QUARTET_AUTH: refused, the text says why (for the log); `out` is
 * empty for strangers. QUARTET_CORRUPT: malformed. */
quartet_status handshake_input(handshake *h, struct slice message, struct buf *out,
                               struct err *err);
bool handshake_done(const handshake *h);
const struct handshake_peer *handshake_peer(const handshake *h); /* once done */
channel *handshake_take_channel(handshake *h); /* once done; the caller's (channel_free) */

#endif
