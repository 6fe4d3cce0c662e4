/* delta_sign.c - signed batches: one signature over a header that holds the payload's hash and the previous header's.
 * Why: one signature vouches for up to 256 transactions (13 µs to sign, 37 to verify), and the hashes chain the batches, so a
 *   relay can neither alter nor drop from the middle. A batch's hash covers header and signature: it names the bytes as sent.
 * Not here: whether a batch links to the one before and whether the chain's owner is a member (engine, gossip). */
#include "delta_sign.h"
#include "base/plant.h"

#include <sodium.h>
#include <string.h>

#define BATCH_VERSION 1u
#define SIGNED_BYTES (BATCH_HEADER_BYTES + BATCH_SIGNATURE_BYTES)

static const uint8_t MAGIC[4] = {'Q', 'R', 'T', 'B'}; /* also keeps the signature from meaning anything elsewhere */

static void blake(uint8_t out[32], const uint8_t *p, size_t n)
{
    int failed = crypto_generichash(out, 32, p, n, NULL, 0);
    QASSERT(failed == 0); /* its only failure is a wrong length */
}

static void header_bytes(const struct batch_header *h, uint8_t raw[BATCH_HEADER_BYTES])
{
    memcpy(raw, MAGIC, sizeof MAGIC);
    raw[4] = BATCH_VERSION;
    raw[5] = h->chain.slot;
    store_le16(raw + 6, 0);
    memcpy(raw + 8, h->cluster.b, 32);
    store_le64(raw + 40, h->chain.incarnation);
    store_le64(raw + 48, h->first);
    store_le32(raw + 56, h->count);
    store_le32(raw + 60, h->payload_bytes);
    memcpy(raw + 64, h->prev, 32);
    memcpy(raw + 96, h->payload_hash, 32);
    store_le64(raw + 128, h->last_stamp);
}

/* What is wrong with a header's numbers, or NULL. */
static const char *check_header(const struct batch_header *h)
{
    if (h->chain.slot >= SLOTS_MAX || h->chain.incarnation == 0 || h->chain.incarnation >= CHAIN_SUMS)
        return "no such chain can be";
    if (h->count == 0 || h->count > BATCH_DELTAS_MAX || h->first == 0 || h->first > UINT64_MAX - h->count)
        return "its numbers";
    if (h->payload_bytes > BATCH_PAYLOAD_BYTES_MAX || h->last_stamp == 0)
        return "its size or stamp";
    return NULL;
}

/* Do exactly `count` deltas fill the payload? */
static bool payload_holds(struct slice payload, uint32_t count)
{
    struct bytes_in in = bytes_in(payload.p, payload.n);
    struct slice delta;
    uint32_t n = 0;
    while (n <= count && batch_next_delta(&in, &delta))
        n++;
    return n == count && !in.bad && in.left == 0;
}

quartet_status batch_seal(struct batch_header *header, struct slice payload, const uint8_t *secret_key, struct buf *out, struct err *err)
{
    uint8_t raw[SIGNED_BYTES];
    if (payload.n > BATCH_PAYLOAD_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "a batch of %zu bytes, limit %u", payload.n, BATCH_PAYLOAD_BYTES_MAX);
    header->payload_bytes = (uint32_t)payload.n;
    const char *wrong = check_header(header);
    if (wrong != NULL || !payload_holds(payload, header->count))
        return err_set(err, QUARTET_INTERNAL, "a batch to be sealed is wrong: %s", wrong != NULL ? wrong : "its payload");
    blake(header->payload_hash, payload.p, payload.n);
    header_bytes(header, raw);
    int failed = crypto_sign_detached(raw + BATCH_HEADER_BYTES, NULL, raw, BATCH_HEADER_BYTES, secret_key);
    QASSERT(failed == 0); /* Ed25519 in libsodium cannot fail to sign */
    blake(header->hash, raw, sizeof raw);
    buf_put(out, raw, sizeof raw);
    return buf_check(out, err);
}

quartet_status batch_parse_header(struct slice bytes, struct batch_header *header, struct err *err)
{
    const uint8_t *p = bytes.p;
    if (bytes.n < SIGNED_BYTES)
        return err_set(err, QUARTET_CORRUPT, "batch: cut short at %zu bytes", bytes.n);
    if (memcmp(p, MAGIC, sizeof MAGIC) != 0 || p[4] != BATCH_VERSION || load_le16(p + 6) != 0)
        return err_set(err, QUARTET_CORRUPT, "batch: not one of version %u", BATCH_VERSION);
    *header = (struct batch_header){
        .chain = {.slot = p[5], .incarnation = load_le64(p + 40)},
        .first = load_le64(p + 48),
        .count = load_le32(p + 56),
        .payload_bytes = load_le32(p + 60),
        .last_stamp = load_le64(p + 128),
    };
    memcpy(header->cluster.b, p + 8, 32);
    memcpy(header->prev, p + 64, 32);
    memcpy(header->payload_hash, p + 96, 32);
    const char *wrong = check_header(header);
    if (wrong != NULL)
        return err_set(err, QUARTET_CORRUPT, "batch: %s", wrong);
    blake(header->hash, p, SIGNED_BYTES);
    return QUARTET_OK;
}

quartet_status batch_parse(struct slice bytes, struct batch_header *header, struct slice *payload, struct err *err)
{
    quartet_status rc = batch_parse_header(bytes, header, err);
    if (rc != QUARTET_OK)
        return rc;
    if (bytes.n - SIGNED_BYTES != header->payload_bytes)
        return err_set(err, QUARTET_CORRUPT, "batch: a payload of %zu bytes, %u announced", bytes.n - SIGNED_BYTES,
                       header->payload_bytes);
    *payload = slice_of(bytes.p + SIGNED_BYTES, header->payload_bytes);
    if (!payload_holds(*payload, header->count))
        return err_set(err, QUARTET_CORRUPT, "batch: its payload is not %u deltas", header->count);
    return QUARTET_OK;
}

quartet_status batch_verify_header(struct slice bytes, const struct batch_header *header, const struct cluster_id *cluster, const uint8_t *public_key,
                                   struct err *err)
{
    QASSERT(bytes.n >= SIGNED_BYTES); /* what was parsed */
    if (memcmp(header->cluster.b, cluster->b, sizeof cluster->b) != 0)
        return err_set(err, QUARTET_AUTH, "batch: from another cluster");
    if (!plant_is(PLANT_NO_SIGNATURE_CHECK) && crypto_sign_verify_detached(bytes.p + BATCH_HEADER_BYTES, bytes.p, BATCH_HEADER_BYTES, public_key) != 0)
        return err_set(err, QUARTET_AUTH, "batch: its signature is wrong");
    return QUARTET_OK;
}

quartet_status batch_verify(struct slice bytes, const struct batch_header *header, struct slice payload, const struct cluster_id *cluster,
                            const uint8_t *public_key, struct err *err)
{
    uint8_t hash[32];
    QASSERT(bytes.n == SIGNED_BYTES + payload.n); /* what batch_parse took */
    quartet_status rc = batch_verify_header(bytes, header, cluster, public_key, err);
    if (rc != QUARTET_OK)
        return rc;
    blake(hash, payload.p, payload.n);
    if (!plant_is(PLANT_NO_PAYLOAD_CHECK) && memcmp(hash, header->payload_hash, sizeof hash) != 0)
        return err_set(err, QUARTET_CORRUPT, "batch: its payload was altered");
    return QUARTET_OK;
}

bool batch_next_delta(struct bytes_in *in, struct slice *delta)
{
    if (in->left == 0 || in->bad)
        return false;
    uint32_t n = bytes_u32(in);
    const uint8_t *p = bytes_take(in, n);
    if (p == NULL)
        return false;
    *delta = slice_of(p, n);
    return true;
}
