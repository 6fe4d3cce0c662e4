/* toy.h - what the tests of net/ share: a cluster made from a seed, and a host whose "database" is
 * a list of signed batches. */
#ifndef TESTS_UNIT_NET_TOY_H
#define TESTS_UNIT_NET_TOY_H

#include <CUnit/CUnit.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/env.h"
#include "base/mem.h"
#include "base/prng.h"
#include "net/gossip.h"
#include "net/member.h"

/* An environment whose randomness and clocks are the test's. */
struct toy_env {
    struct env env;
    struct prng prng;
    uint64_t now_us;
    char last_line[512];
};

static inline quartet_status toy_random(struct env *env, void *p, size_t n, struct err *err)
{
    (void)err;
    prng_fill(&((struct toy_env *)env->ctx)->prng, p, n);
    return QUARTET_OK;
}
static inline uint64_t toy_wall(struct env *env)
{
    return 1700000000000000u + ((struct toy_env *)env->ctx)->now_us;
}
static inline uint64_t toy_mono(struct env *env)
{
    return ((struct toy_env *)env->ctx)->now_us * 1000u;
}
static inline void toy_log(struct env *env, int level, const char *component, const char *line)
{
    struct toy_env *t = env->ctx;
    (void)snprintf(t->last_line, sizeof t->last_line, "%d %s %s", level, component, line);
}
static inline void toy_env_init(struct toy_env *t, uint64_t seed)
{
    static const struct env_ops ops = {
        .wall_us = toy_wall, .mono_ns = toy_mono, .random = toy_random, .log = toy_log};
    memset(t, 0, sizeof *t);
    t->env = (struct env){.ops = &ops, .ctx = t};
    prng_seed(&t->prng, seed);
}

struct toy_cluster {
    struct member_doc doc;
    struct member_keys keys;
    struct buf doc_bytes;
};

static inline void toy_cluster_init(struct toy_cluster *c, uint32_t nodes,
                                    const char *const *addresses, uint64_t seed)
{
    struct toy_env env;
    struct err err = ERR_INIT;
    static const char *const clients[] = {"alice", "bob"};
    struct member_plan plan = {.node_count = nodes, .client_count = 2, .client_names = clients};
    memset(c, 0, sizeof *c);
    toy_env_init(&env, seed);
    for (uint32_t i = 0; i < nodes; i++)
        plan.address[i] = addresses != NULL ? addresses[i] : "127.0.0.1:1";
    CU_ASSERT_EQUAL_FATAL(member_init(&env.env, &plan, &c->doc, &c->keys, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(member_doc_encode(&c->doc, c->keys.root.seed, &c->doc_bytes, &err),
                          QUARTET_OK);
}
static inline void toy_cluster_deinit(struct toy_cluster *c)
{
    member_doc_deinit(&c->doc);
    member_keys_deinit(&c->keys);
    buf_deinit(&c->doc_bytes);
}

#define TOY_CHAINS_MAX  16u
#define TOY_BATCHES_MAX 4096u

struct toy_batch {
    uint8_t *bytes;
    size_t n;
    struct batch_header header;
};
struct toy_chain {
    struct chain_id id;
    struct toy_batch *batches; /* TOY_BATCHES_MAX of them */
    uint32_t count;
};
/* The host: keeps batches by chain; what it accepts is on its disk at once. */
struct toy_store {
    pthread_mutex_t mutex;
    const struct toy_cluster *cluster;
    struct toy_env *env;
    uint8_t slot;
    struct chain_id own;
    struct toy_chain chains[TOY_CHAINS_MAX];
    uint32_t chain_count;
    struct gossip_host host;
    uint32_t faults, links, refused;
    char fault[ERR_TEXT_BYTES_MAX];
    bool busy;
    struct idvec peer_disk[SLOTS_MAX];
    atomic_bool stuck, is_stuck; /* deliver is to wait; it does */
    uint32_t level; /* of operations in use, which it remembers */
    int64_t wall_offset_us; /* its clock is so wrong */
    int64_t skew_us[SLOTS_MAX];
    uint64_t skew_error_us[SLOTS_MAX]; /* 0: never heard */
};

static inline struct toy_chain *toy_chain_of(struct toy_store *s, struct chain_id id)
{
    for (uint32_t i = 0; i < s->chain_count; i++)
        if (chain_id_cmp(s->chains[i].id, id) == 0)
            return &s->chains[i];
    CU_ASSERT_FATAL(s->chain_count < TOY_CHAINS_MAX);
    struct toy_chain *c = &s->chains[s->chain_count++];
    c->id = id;
    c->count = 0;
    c->batches = mem_zalloc(TOY_BATCHES_MAX, sizeof *c->batches);
    return c;
}
static inline uint64_t toy_last(const struct toy_chain *c)
{
    return c->count == 0
               ? 0
               : c->batches[c->count - 1].header.first + c->batches[c->count - 1].header.count - 1;
}
static inline void toy_append(struct toy_chain *c, struct slice bytes, const struct batch_header *h)
{
    CU_ASSERT_FATAL(c->count < TOY_BATCHES_MAX);
    c->batches[c->count++] =
        (struct toy_batch){.bytes = mem_dup(bytes.p, bytes.n), .n = bytes.n, .header = *h};
}

static inline enum gossip_verdict toy_judge(struct toy_store *s, struct slice batch,
                                            struct gossip_need *need, struct err *err)
{
    struct batch_header h;
    struct slice payload;
    if (s->busy)
        return GOSSIP_BUSY;
    if (batch_parse(batch, &h, &payload, err) != QUARTET_OK)
        return GOSSIP_REFUSED;
    const struct member_node *origin = member_find_slot(&s->cluster->doc, h.chain.slot);
    if (origin == NULL) {
        (void)err_set(err, QUARTET_AUTH, "no such slot");
        return GOSSIP_REFUSED;
    }
    if (batch_verify(batch, &h, payload, &s->cluster->doc.cluster, origin->public_key, err) !=
        QUARTET_OK)
        return GOSSIP_REFUSED;
    struct toy_chain *c = toy_chain_of(s, h.chain);
    if (h.first + h.count - 1 <= toy_last(c))
        return GOSSIP_DUPLICATE;
    if (h.first > toy_last(c) + 1) {
        *need = (struct gossip_need){.chain = h.chain, .from = toy_last(c) + 1};
        return GOSSIP_GAP;
    }
    static const uint8_t zero[32];
    if (memcmp(h.prev, c->count > 0 ? c->batches[c->count - 1].header.hash : zero, 32) != 0) {
        (void)err_set(err, QUARTET_CORRUPT, "the chain's link is broken");
        return GOSSIP_REFUSED;
    }
    toy_append(c, batch, &h);
    return GOSSIP_ACCEPTED;
}
static inline enum gossip_verdict toy_deliver(void *ctx, struct slice batch, uint8_t from,
                                              struct gossip_need *need, struct err *err)
{
    struct toy_store *s = ctx;
    (void)from;
    for (s->is_stuck = s->stuck; s->stuck;)
        (void)poll(NULL, 0, 1);
    (void)pthread_mutex_lock(&s->mutex);
    enum gossip_verdict v = toy_judge(s, batch, need, err);
    s->refused += v == GOSSIP_REFUSED ? 1 : 0;
    (void)pthread_mutex_unlock(&s->mutex);
    return v;
}
static inline quartet_status toy_read(void *ctx, struct chain_id chain, uint64_t from,
                                      size_t max_bytes, struct buf *out, struct err *err)
{
    struct toy_store *s = ctx;
    size_t start = out->len;
    (void)pthread_mutex_lock(&s->mutex);
    struct toy_chain *c = toy_chain_of(s, chain);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct toy_batch *b = &c->batches[i];
        if (b->header.first + b->header.count - 1 < from)
            continue;
        if (out->len > start && out->len - start + b->n > max_bytes)
            break;
        buf_u32(out, (uint32_t)b->n);
        buf_put(out, b->bytes, b->n);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return buf_check(out, err);
}
static inline quartet_status toy_disk(void *ctx, struct idvec *disk, struct err *err)
{
    struct toy_store *s = ctx;
    quartet_status rc = QUARTET_OK;
    idvec_clear(disk);
    (void)pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < s->chain_count && rc == QUARTET_OK; i++) {
        const struct toy_chain *c = &s->chains[i];
        if (c->count > 0)
            rc = idvec_raise(
                disk,
                (struct idvec_entry){.chain = c->id, .number = toy_last(c), .stamp = 1, .head = c->count > 0 ? load_le64(c->batches[c->count - 1].header.hash) : 0},
                err);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return rc;
}
static inline uint64_t toy_host_wall(void *ctx)
{
    const struct toy_store *s = ctx;
    return (s->env != NULL ? toy_wall(&s->env->env) : env_wall_ms(env_posix()) * 1000u) + (uint64_t)s->wall_offset_us;
}
static inline uint32_t toy_level(void *ctx)
{
    const struct toy_store *s = ctx;
    return s->level;
}
static inline void toy_raise_level(void *ctx, uint32_t level)
{
    struct toy_store *s = ctx;
    CU_ASSERT(level > s->level); /* it never goes back, and is not told twice */
    s->level = level;
}
static inline quartet_status toy_status(void *ctx, struct gossip_status *out, struct err *err)
{
    quartet_status rc = toy_disk(ctx, &out->disk, err);
    if (rc == QUARTET_OK)
        rc = idvec_copy(&out->applied, &out->disk, err);
    out->wall_us = toy_host_wall(ctx);
    out->state = GOSSIP_STATE_READY;
    out->hash_bytes = 4;
    memcpy(out->hash, "hash", 4);
    return rc;
}
static inline void toy_link(void *ctx, uint8_t slot, bool connected)
{
    struct toy_store *s = ctx;
    (void)slot;
    (void)pthread_mutex_lock(&s->mutex);
    s->links += connected ? 1u : 0u;
    (void)pthread_mutex_unlock(&s->mutex);
}
static inline void toy_peer_status(void *ctx, uint8_t slot, const struct gossip_status *status)
{
    (void)ctx;
    (void)slot;
    CU_ASSERT(status->hash_bytes == 4);
}
static inline void toy_peer_disk(void *ctx, uint8_t slot, const struct idvec *disk)
{
    struct toy_store *s = ctx;
    struct err err = ERR_INIT;
    (void)pthread_mutex_lock(&s->mutex);
    (void)idvec_copy(&s->peer_disk[slot], disk, &err);
    (void)pthread_mutex_unlock(&s->mutex);
}
static inline void toy_peer_clock(void *ctx, uint8_t slot, int64_t skew_us, uint64_t error_us)
{
    struct toy_store *s = ctx;
    (void)pthread_mutex_lock(&s->mutex);
    s->skew_us[slot] = skew_us;
    s->skew_error_us[slot] = error_us;
    (void)pthread_mutex_unlock(&s->mutex);
}
static inline void toy_fault(void *ctx, uint8_t slot, const char *text)
{
    struct toy_store *s = ctx;
    (void)pthread_mutex_lock(&s->mutex);
    s->faults++;
    (void)snprintf(s->fault, sizeof s->fault, "slot %u: %s", slot, text);
    (void)pthread_mutex_unlock(&s->mutex);
}
static inline void toy_too_old(void *ctx, uint8_t slot, struct chain_id chain, uint64_t from)
{
    (void)ctx;
    (void)slot;
    (void)chain;
    (void)from;
}

static inline void toy_store_init(struct toy_store *s, const struct toy_cluster *cluster,
                                  uint8_t slot, uint64_t incarnation, struct toy_env *env)
{
    memset(s, 0, sizeof *s);
    (void)pthread_mutex_init(&s->mutex, NULL);
    s->cluster = cluster;
    s->env = env;
    s->slot = slot;
    s->level = 1;
    s->own = (struct chain_id){.slot = slot, .incarnation = incarnation};
    s->host = (struct gossip_host){.ctx = s,
                                   .deliver = toy_deliver,
                                   .read_batches = toy_read,
                                   .status = toy_status,
                                   .disk = toy_disk,
                                   .peer_link = toy_link,
                                   .peer_status = toy_peer_status,
                                   .peer_disk = toy_peer_disk,
                                   .wall_us = toy_host_wall,
                                   .peer_clock = toy_peer_clock,
                                   .peer_fault = toy_fault,
                                   .too_old = toy_too_old,
                                   .level = toy_level,
                                   .raise_level = toy_raise_level};
}
static inline void toy_store_deinit(struct toy_store *s)
{
    for (uint32_t i = 0; i < s->chain_count; i++) {
        for (uint32_t b = 0; b < s->chains[i].count; b++)
            mem_free(s->chains[i].batches[b].bytes);
        mem_free(s->chains[i].batches);
    }
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        idvec_deinit(&s->peer_disk[i]);
    (void)pthread_mutex_destroy(&s->mutex);
}

/* Seal a batch of `count` deltas on the store's own chain; the slice lives as long as the store. */
static inline struct slice toy_commit(struct toy_store *s, const void *payload, size_t n,
                                      uint32_t count)
{
    uint8_t secret[64], public_key[32];
    struct buf out = {0}, framed = {0};
    struct err err = ERR_INIT;
    buf_u32(&framed, (uint32_t)n);
    buf_put(&framed, payload, n);
    for (uint32_t i = 1; i < count; i++)
        buf_u32(&framed, 0); /* empty deltas: their content is of no matter here */
    (void)pthread_mutex_lock(&s->mutex);
    struct toy_chain *c = toy_chain_of(s, s->own);
    struct batch_header h = {.chain = s->own,
                             .cluster = s->cluster->doc.cluster,
                             .first = toy_last(c) + 1,
                             .count = count,
                             .last_stamp = hlc_make(1000 + toy_last(c), 0, s->slot)};
    if (c->count > 0)
        memcpy(h.prev, c->batches[c->count - 1].header.hash, 32);
    member_key_expand(&s->cluster->keys.nodes[s->slot], secret, public_key);
    CU_ASSERT_EQUAL_FATAL(batch_seal(&h, slice_of(framed.data, framed.len), secret, &out, &err),
                          QUARTET_OK);
    buf_put(&out, framed.data, framed.len);
    toy_append(c, slice_of(out.data, out.len), &h);
    struct slice result = slice_of(c->batches[c->count - 1].bytes, c->batches[c->count - 1].n);
    (void)pthread_mutex_unlock(&s->mutex);
    buf_deinit(&out);
    buf_deinit(&framed);
    return result;
}
static inline bool toy_equal(struct toy_store *a, struct toy_store *b)
{
    struct idvec va = {0}, vb = {0};
    struct err err = ERR_INIT;
    bool equal = toy_disk(a, &va, &err) == QUARTET_OK && toy_disk(b, &vb, &err) == QUARTET_OK &&
                 idvec_equal(&va, &vb);
    idvec_deinit(&va);
    idvec_deinit(&vb);
    return equal;
}

#endif
