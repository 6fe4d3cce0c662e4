/* fuzz_gossip.c - hostile messages from a keyed peer: gossip refuses them, keeps its memory in
 * bounds and goes on with the others.
 *
 * The input is a run of messages, each with a two-byte length before it; between them the clock
 * moves and the link is opened again. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "net/gossip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A host that takes nothing, and says so in different ways. */
static enum gossip_verdict deliver(void *ctx, struct slice batch, uint8_t from,
                                   struct gossip_need *need, struct err *err)
{
    (void)ctx;
    (void)from;
    (void)err;
    need->from = batch.p[batch.n - 1];
    return (enum gossip_verdict)(batch.p[batch.n / 2] % 6);
}
static quartet_status read_batches(void *ctx, struct chain_id chain, uint64_t from,
                                   size_t max_bytes, struct buf *out, struct err *err)
{
    (void)ctx;
    (void)max_bytes;
    (void)out;
    return chain.slot == 3 ? err_set(err, QUARTET_TOO_OLD, "from %llu", (unsigned long long)from)
                           : QUARTET_OK;
}
static quartet_status disk(void *ctx, struct idvec *v, struct err *err)
{
    (void)ctx;
    idvec_clear(v);
    return idvec_raise(
        v, (struct idvec_entry){.chain = {.slot = 0, .incarnation = 7}, .number = 9, .stamp = 1},
        err);
}
static quartet_status status(void *ctx, struct gossip_status *out, struct err *err)
{
    quartet_status rc = disk(ctx, &out->disk, err);
    return rc == QUARTET_OK ? disk(ctx, &out->applied, err) : rc;
}
static void peer_link(void *ctx, uint8_t slot, bool connected)
{
    (void)ctx;
    (void)slot;
    (void)connected;
}
static void peer_status(void *ctx, uint8_t slot, const struct gossip_status *s)
{
    (void)ctx;
    (void)slot;
    QASSERT(s->hash_bytes <= GOSSIP_HASH_BYTES_MAX);
}
static void peer_disk(void *ctx, uint8_t slot, const struct idvec *v)
{
    (void)ctx;
    (void)slot;
    for (uint32_t i = 1; i < v->count; i++)
        QASSERT(chain_id_cmp(v->e[i - 1].chain, v->e[i].chain) < 0);
}
static uint64_t wall(void *ctx)
{
    (void)ctx;
    return 1800000000000000u;
}
static void peer_clock(void *ctx, uint8_t slot, int64_t skew_us, uint64_t error_us)
{
    (void)ctx;
    QASSERT(slot < SLOTS_MAX && error_us > 0 && skew_us > INT64_MIN / 2);
}
static void peer_fault(void *ctx, uint8_t slot, const char *text)
{
    (void)ctx;
    (void)slot;
    QASSERT(strlen(text) < ERR_TEXT_BYTES_MAX);
}
static void too_old(void *ctx, uint8_t slot, struct chain_id chain, uint64_t from)
{
    (void)ctx;
    (void)slot;
    (void)from;
    QASSERT(chain.slot < SLOTS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gossip_host host = {.deliver = deliver,
                                            .read_batches = read_batches,
                                            .status = status,
                                            .disk = disk,
                                            .peer_link = peer_link,
                                            .peer_status = peer_status,
                                            .peer_disk = peer_disk,
                                            .wall_us = wall,
                                            .peer_clock = peer_clock,
                                            .peer_fault = peer_fault,
                                            .too_old = too_old};
    gossip *g = NULL;
    struct err err = ERR_INIT;
    struct bytes_in in = bytes_in(data, size);
    uint64_t now = 1;
    if (gossip_new(0, 1, &host, &g, &err) != QUARTET_OK)
        return 0;
    (void)gossip_connect(g, 1, now,
                         &err); /* memory aside it cannot fail, and then nothing is connected */
    (void)gossip_connect(g, 2, now, &err);
    while (in.left > 2) {
        uint16_t n = bytes_u16(&in);
        size_t take = n < in.left ? n : in.left;
        uint8_t *copy = mem_dup(bytes_take(&in, take),
                                take); /* exactly as large, so that a read past the end is seen */
        if (copy == NULL)
            break;
        if (gossip_input(g, 1, slice_of(copy, take), now, &err) != QUARTET_OK)
            (void)gossip_connect(g, 1, now, &err);
        mem_free(copy);
        now += 60000;
        (void)gossip_tick(g, now, &err);
        struct gossip_peer_view v;
        struct slice m;
        if (gossip_peer(g, 2, &v, &err) == QUARTET_OK)
            QASSERT(v.connected && v.queued_bytes < 2 * GOSSIP_QUEUE_BYTES_MAX);
        gossip_status_deinit(&v.status);
        while (gossip_peek(g, 2, &m))
            gossip_pop(g, 2);
    }
    gossip_free(g);
    return 0;
}
