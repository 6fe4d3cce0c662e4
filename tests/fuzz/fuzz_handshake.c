/* fuzz_handshake.c - hostile bytes as handshake messages, membership documents and frames: refused,
 * never worse.
 *
 * The first byte chooses the target; for the responder's third message a real handshake is led up
 * to it, so that the fuzzer is not stopped by the gate. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/env.h"
#include "base/mem.h"
#include "base/prng.h"
#include "net/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static quartet_status fixed_random(struct env *env, void *p, size_t n, struct err *err)
{
    (void)err;
    prng_fill(env->ctx, p, n);
    return QUARTET_OK;
}

static void feed(struct handshake_config *mine, struct handshake_config *theirs, uint8_t which,
                 struct slice noise)
{
    struct err err = ERR_INIT;
    handshake *initiator = NULL, *responder = NULL;
    struct buf a = {0}, b = {0};
    quartet_status rc = handshake_dial(theirs, &initiator, &a, &err);
    if (rc == QUARTET_OK)
        rc = handshake_answer(mine, &responder, &err);
    if (rc == QUARTET_OK && which == 1)
        (void)handshake_input(responder, noise, &b, &err);
    if (rc == QUARTET_OK && which > 1)
        rc = handshake_input(responder, slice_of(a.data + 4, a.len - 4), &b, &err);
    if (rc == QUARTET_OK && which == 2)
        (void)handshake_input(initiator, noise, &a, &err);
    if (rc == QUARTET_OK && which == 3)
        (void)handshake_input(responder, noise, &a, &err);
    if (responder != NULL && which <= 3)
        QASSERT(!handshake_done(responder));
    handshake_free(initiator);
    handshake_free(responder);
    buf_deinit(&a);
    buf_deinit(&b);
}

static void frames(struct slice noise)
{
    struct frame_in in = {.limit_bytes = 512};
    struct err err = ERR_INIT;
    quartet_status rc = QUARTET_OK;
    struct slice body;
    for (size_t at = 0; at < noise.n && rc == QUARTET_OK; at += 7) {
        rc = frame_feed(&in, noise.p + at, noise.n - at < 7 ? noise.n - at : 7, &err);
        while (rc == QUARTET_OK && frame_next(&in, &body, &rc, &err))
            QASSERT(body.n <= 512);
    }
    QASSERT(in.pending.cap < 4096);
    frame_in_deinit(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct prng prng;
    prng_seed(&prng, 1);
    static const struct env_ops ops = {.random = fixed_random};
    struct env env = {.ops = &ops, .ctx = &prng};
    struct member_plan plan = {.node_count = 2, .address = {"a:1", "b:1"}};
    struct member_doc doc = {0};
    struct member_keys keys = {0};
    struct err err = ERR_INIT;
    struct slice noise = slice_of(data + 1, size - 1);
    if (member_init(&env, &plan, &doc, &keys, &err) != QUARTET_OK)
        return 0;
    struct handshake_config mine = {.env = &env,
                                    .role = NET_ROLE_PEER,
                                    .cluster = doc.cluster,
                                    .key = &keys.nodes[0],
                                    .doc = &doc,
                                    .expect_slot = -1};
    struct handshake_config theirs = mine;
    theirs.key = &keys.nodes[1];
    switch (data[0] % 6) {
    case 0:
        frames(noise);
        break;
    case 4: {
        struct member_doc other = {0};
        if (member_doc_decode(noise, NULL, &other, &err) == QUARTET_OK)
            member_doc_deinit(&other);
        break;
    }
    case 5: {
        struct member_key key;
        (void)member_key_decode(noise, &key, &err); /* either answer will do */
        break;
    }
    default:
        feed(&mine, &theirs, data[0] % 6, noise);
        break;
    }
    member_doc_deinit(&doc);
    member_keys_deinit(&keys);
    return 0;
}
