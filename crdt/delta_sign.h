/* delta_sign.h - signed batches: a chain of headers, each with the hash of the one before, vouched for by one Ed25519 signature.
 *
 * A batch is what is stored, shipped and relayed, byte for byte as its origin made it; it is never encoded anew.
 *   header (fixed 136 bytes): "QRTB", u8 version, u8 slot, u16 0, cluster id 32, u64 incarnation, u64 first, u32 count,
 *   u32 payload bytes, previous header's hash 32 (zeros for the first), payload hash 32 (BLAKE2b-256), u64 stamp of the last delta
 *   then the signature 64, then the payload: `count` deltas, each with a u32 length before it. */
#ifndef CRDT_DELTA_SIGN_H
#define CRDT_DELTA_SIGN_H

#include "delta.h"

#define BATCH_HEADER_BYTES 136u
#define BATCH_SIGNATURE_BYTES 64u
#define BATCH_SIGNED_BYTES (BATCH_HEADER_BYTES + BATCH_SIGNATURE_BYTES)
#define BATCH_BYTES_MAX (BATCH_HEADER_BYTES + BATCH_SIGNATURE_BYTES + BATCH_PAYLOAD_BYTES_MAX)

struct cluster_id {
    uint8_t b[32];
};
struct batch_header {
    struct chain_id chain;
    struct cluster_id cluster;
    uint64_t first;
    uint32_t count;
    uint32_t payload_bytes;
    uint8_t prev[32];
    uint8_t payload_hash[32];
    hlc_stamp last_stamp;
    uint8_t hash[32]; /* BLAKE2b-256 of header and signature: computed by seal and open */
};

/* The process has called sodium_init before any of these. */

/* Seal: header and signature for these payload bytes, appended to `out` (200 bytes; the payload is not copied).
 * secret_key: 64 bytes, libsodium's form. Fills header->payload_hash and header->hash. */
quartet_status batch_seal(struct batch_header *header, struct slice payload, const uint8_t *secret_key, struct buf *out, struct err *err);
/* Parse and bound-check only: no signature. `bytes` are one batch, no more. Fills header->hash. */
quartet_status batch_parse(struct slice bytes, struct batch_header *header, struct slice *payload, struct err *err);
/* The same of header and signature alone, BATCH_SIGNED_BYTES. */
quartet_status batch_parse_header(struct slice bytes, struct batch_header *header, struct err *err);
quartet_status batch_verify_header(struct slice bytes, const struct batch_header *header, const struct cluster_id *cluster, const uint8_t *public_key,
                                   struct err *err);
/* Check cluster, payload hash and signature. QUARTET_AUTH or QUARTET_CORRUPT. The chain link is the caller's to compare with what it has. */
quartet_status batch_verify(struct slice bytes, const struct batch_header *header, struct slice payload, const struct cluster_id *cluster,
                            const uint8_t *public_key, struct err *err);
/* Walk the payload: next delta's bytes; false at the end or on damage (in->bad). */
bool batch_next_delta(struct bytes_in *in, struct slice *delta);

#endif
