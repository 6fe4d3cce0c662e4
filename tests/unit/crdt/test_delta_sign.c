/* test_delta_sign.c - batches: what was forged, altered, cut or meant for another cluster is refused. */
#include "unit/cunit.h"

#include "crdt/delta_sign.h"

#include <sodium.h>
#include <string.h>

const char *const unit_suite = "delta_sign";

static uint8_t public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];
static struct cluster_id cluster;
static struct buf batch;
static struct batch_header sealed;

static void make_keys(uint8_t *pub, uint8_t *sec, uint8_t seed)
{
    uint8_t bytes[crypto_sign_SEEDBYTES];
    memset(bytes, seed, sizeof bytes);
    CU_ASSERT_FATAL(crypto_sign_seed_keypair(pub, sec, bytes) == 0);
}

static void payload_of(struct buf *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        buf_u32(out, 3 + i);
        for (uint32_t k = 0; k < 3 + i; k++)
            buf_u8(out, (uint8_t)(i + k));
    }
}

/* A good batch of three deltas in `batch`. */
static void begin(void)
{
    struct err err = ERR_INIT;
    struct buf payload = {0};
    CU_ASSERT_FATAL(sodium_init() >= 0);
    make_keys(public_key, secret_key, 1);
    memset(cluster.b, 7, sizeof cluster.b);
    payload_of(&payload, 3);
    sealed = (struct batch_header){
        .chain = {.slot = 2, .incarnation = 99}, .cluster = cluster, .first = 10, .count = 3, .last_stamp = 555};
    memset(sealed.prev, 3, sizeof sealed.prev);
    CU_ASSERT_FATAL(batch_seal(&sealed, slice_of(payload.data, payload.len), secret_key, &batch, &err) == QUARTET_OK);
    buf_put(&batch, payload.data, payload.len);
    buf_deinit(&payload);
}

static void end(void)
{
    buf_deinit(&batch);
    batch = (struct buf){0};
}

static quartet_status take(struct slice bytes, const struct cluster_id *where, const uint8_t *key, struct batch_header *h)
{
    struct err err = ERR_INIT;
    struct slice payload;
    quartet_status rc = batch_parse(bytes, h, &payload, &err);
    if (rc == QUARTET_OK)
        rc = batch_verify(bytes, h, payload, where, key, &err);
    CU_ASSERT((rc == QUARTET_OK) == (err.code == QUARTET_OK));
    return rc;
}

static void test_delta_sign_round_trips(void)
{
    struct batch_header h;
    struct slice payload, delta;
    struct err err = ERR_INIT;
    begin();
    struct slice bytes = slice_of(batch.data, batch.len);
    CU_ASSERT(take(bytes, &cluster, public_key, &h) == QUARTET_OK);
    CU_ASSERT(h.chain.slot == 2 && h.chain.incarnation == 99 && h.first == 10 && h.count == 3 && h.last_stamp == 555);
    CU_ASSERT(memcmp(h.hash, sealed.hash, 32) == 0 && memcmp(h.prev, sealed.prev, 32) == 0);
    CU_ASSERT(memcmp(h.payload_hash, sealed.payload_hash, 32) == 0);
    CU_ASSERT(batch_parse(bytes, &h, &payload, &err) == QUARTET_OK);
    struct bytes_in in = bytes_in(payload.p, payload.n);
    for (size_t i = 0; i < 3; i++)
        CU_ASSERT(batch_next_delta(&in, &delta) && delta.n == 3 + i && delta.p[0] == i);
    CU_ASSERT(!batch_next_delta(&in, &delta) && !in.bad);
    end();
}

static void test_delta_sign_refuses_each_altered_byte(void)
{
    struct batch_header h;
    begin();
    for (size_t i = 0; i < batch.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            batch.data[i] ^= (uint8_t)(1u << bit);
            quartet_status rc = take(slice_of(batch.data, batch.len), &cluster, public_key, &h);
            CU_ASSERT_FATAL(rc == QUARTET_CORRUPT || rc == QUARTET_AUTH);
            batch.data[i] ^= (uint8_t)(1u << bit);
        }
    end();
}

static void test_delta_sign_refuses_truncation_at_each_length(void)
{
    struct batch_header h;
    begin();
    for (size_t n = 0; n < batch.len; n++)
        CU_ASSERT_FATAL(take(slice_of(batch.data, n), &cluster, public_key, &h) == QUARTET_CORRUPT);
    buf_u8(&batch, 0);
    CU_ASSERT(take(slice_of(batch.data, batch.len), &cluster, public_key, &h) == QUARTET_CORRUPT);
    end();
}

static void test_delta_sign_refuses_other_clusters_and_keys(void)
{
    struct batch_header h;
    struct cluster_id other = cluster;
    uint8_t pub[crypto_sign_PUBLICKEYBYTES], sec[crypto_sign_SECRETKEYBYTES];
    begin();
    other.b[31] ^= 1;
    make_keys(pub, sec, 2);
    CU_ASSERT(take(slice_of(batch.data, batch.len), &other, public_key, &h) == QUARTET_AUTH);
    CU_ASSERT(take(slice_of(batch.data, batch.len), &cluster, pub, &h) == QUARTET_AUTH);
    CU_ASSERT(take(slice_of(batch.data, batch.len), &cluster, public_key, &h) == QUARTET_OK);
    end();
}

/* Keys and signatures that some libraries take and others do not: nodes would come to differ. Small-order points sign anything; a signature plus the group's order is another one of the same text. */
static void test_delta_sign_refuses_weak_keys_and_second_signatures(void)
{
    static const uint8_t small[][crypto_sign_PUBLICKEYBYTES] = {
        {1}, /* the neutral element */
        {0}, /* of order 4 */
        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, /* -1: of order 2 */
        {0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, /* 1, not canonical */
    };
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    struct batch_header h;
    begin();
    uint8_t *signature = batch.data + BATCH_SIGNED_BYTES - crypto_sign_BYTES, kept[crypto_sign_BYTES];
    memcpy(kept, signature, sizeof kept);
    unsigned carry = 0;
    for (size_t i = 0; i < sizeof order; i++) {
        carry += (unsigned)signature[32 + i] + order[i];
        signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    CU_ASSERT(take(slice_of(batch.data, batch.len), &cluster, public_key, &h) == QUARTET_AUTH);
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        for (size_t r = 0; r < sizeof small / sizeof *small; r++) {
            memcpy(signature, small[r], 32);
            memset(signature + 32, 0, 32);
            CU_ASSERT(take(slice_of(batch.data, batch.len), &cluster, small[i], &h) == QUARTET_AUTH);
        }
    memcpy(signature, kept, sizeof kept);
    CU_ASSERT(take(slice_of(batch.data, batch.len), &cluster, public_key, &h) == QUARTET_OK);
    end();
}

static void test_delta_sign_seal_refuses_what_is_past_the_limits(void)
{
    struct err err = ERR_INIT;
    struct buf payload = {0}, out = {0};
    struct batch_header h = {.chain = {.slot = 0, .incarnation = 1}, .first = 1, .count = BATCH_DELTAS_MAX, .last_stamp = 1};
    struct slice parsed;
    CU_ASSERT_FATAL(sodium_init() >= 0);
    make_keys(public_key, secret_key, 1);
    for (uint32_t i = 0; i < BATCH_DELTAS_MAX; i++)
        buf_u32(&payload, 0);
    CU_ASSERT(batch_seal(&h, slice_of(payload.data, payload.len), secret_key, &out, &err) == QUARTET_OK);
    buf_put(&out, payload.data, payload.len);
    CU_ASSERT(batch_parse(slice_of(out.data, out.len), &h, &parsed, &err) == QUARTET_OK);
    buf_u32(&payload, 0);
    h.count++;
    CU_ASSERT(batch_seal(&h, slice_of(payload.data, payload.len), secret_key, &out, &err) == QUARTET_INTERNAL);
    h.count = BATCH_DELTAS_MAX; /* one fewer than there are */
    CU_ASSERT(batch_seal(&h, slice_of(payload.data, payload.len), secret_key, &out, &err) == QUARTET_INTERNAL);
    buf_clear(&payload);
    buf_clear(&out);
    h.count = 1;
    buf_u32(&payload, BATCH_PAYLOAD_BYTES_MAX - 4);
    CU_ASSERT_FATAL(buf_reserve(&payload, BATCH_PAYLOAD_BYTES_MAX) != NULL);
    memset(payload.data + 4, 1, BATCH_PAYLOAD_BYTES_MAX - 4);
    payload.len = BATCH_PAYLOAD_BYTES_MAX;
    CU_ASSERT(batch_seal(&h, slice_of(payload.data, payload.len), secret_key, &out, &err) == QUARTET_OK);
    CU_ASSERT(batch_seal(&h, slice_of(payload.data, payload.len + 1), secret_key, &out, &err) == QUARTET_LIMIT);
    buf_deinit(&payload);
    buf_deinit(&out);
}

const struct unit_test unit_tests[] = {
    {"test_delta_sign_round_trips", test_delta_sign_round_trips},
    {"test_delta_sign_refuses_each_altered_byte", test_delta_sign_refuses_each_altered_byte},
    {"test_delta_sign_refuses_truncation_at_each_length", test_delta_sign_refuses_truncation_at_each_length},
    {"test_delta_sign_refuses_other_clusters_and_keys", test_delta_sign_refuses_other_clusters_and_keys},
    {"test_delta_sign_refuses_weak_keys_and_second_signatures", test_delta_sign_refuses_weak_keys_and_second_signatures},
    {"test_delta_sign_seal_refuses_what_is_past_the_limits", test_delta_sign_seal_refuses_what_is_past_the_limits},
    {NULL, NULL},
};
