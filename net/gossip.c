/* gossip.c - the state machine's events: connections, messages, the clock.
 *
 * How a delta gets everywhere: its origin pushes the signed batch to every peer that has what comes
 * before it; a receiver relays to whom the sender did not reach; everything else (losses, slow
 * peers, restarts, partitions) is repaired by vectors: each node tells its on-disk vector at
 * connect, once a second, and at once where it knows that a peer may lack something; who lacks
 * something pulls it. Invariants: memory per peer is bounded; nothing a peer says can make us
 * believe that we have what we have not; a peer that breaks the protocol is disconnected here
 * before the error is returned. Not here: signatures, the log, dependencies (the host); sockets and
 * time (the server or the simulator). */
#include "gossip.h"

#include <string.h>

#include "base/level.h"
#include "base/mem.h"
#include "gossip_internal.h"
#include "wire.h"

#define SNAPSHOT_URGENT_BYTES 4096u
#define TICK_LATE_US          200000u /* a tick that comes so long after the one before is late */

void gossip_status_deinit(struct gossip_status *s)
{
    idvec_deinit(&s->disk);
    idvec_deinit(&s->applied);
}

quartet_status gossip_status_copy(struct gossip_status *to, const struct gossip_status *from,
                                  struct err *err)
{
    QASSERT(to != from);
    quartet_status rc = idvec_copy(&to->disk, &from->disk, err);
    if (rc == QUARTET_OK)
        rc = idvec_copy(&to->applied, &from->applied, err);
    if (rc != QUARTET_OK)
        return rc;
    to->wall_us = from->wall_us;
    to->floor = from->floor;
    to->answers = from->answers;
    to->incarnation = from->incarnation;
    to->state = from->state;
    to->hash_bytes = from->hash_bytes;
    memcpy(to->hash, from->hash, sizeof to->hash);
    return QUARTET_OK;
}

quartet_status gossip_new(uint8_t slot, uint64_t seed, const struct gossip_host *host, gossip **out,
                          struct err *err)
{
    QASSERT(slot < SLOTS_MAX && host->deliver != NULL);
    gossip *g = mem_zalloc(1, sizeof *g);
    if (g == NULL)
        return err_nomem(err);
    (void)pthread_mutex_init(&g->out_lock, NULL); /* with its default attributes it cannot fail here */
    g->slot = slot;
    g->host = *host;
    prng_seed(&g->prng, seed);
    quartet_status rc = host->disk(host->ctx, &g->disk, err);
    if (rc == QUARTET_OK)
        rc = idvec_merge(&g->known, &g->disk, err);
    if (rc != QUARTET_OK) {
        gossip_free(g);
        return rc;
    }
    *out = g;
    return QUARTET_OK;
}

static void peer_reset(struct gossip *g, struct gossip_peer_state *p)
{
    gossip_queue_reset(g, p);
    idvec_deinit(&p->offers);
    idvec_deinit(&p->sent);
    idvec_deinit(&p->told);
    idvec_deinit(&p->lost);
    struct gossip_status last = p->status; /* what it said last stays visible while it is away */
    uint64_t at = p->status_at_us;
    uint32_t min = p->level_min, max = p->level_max;
    char refused[GOSSIP_REFUSED_BYTES];
    memcpy(refused, p->refused, sizeof refused);
    *p = (struct gossip_peer_state){.status = last, .status_at_us = at, .level_min = min, .level_max = max};
    memcpy(p->refused, refused, sizeof refused);
}

void gossip_free(gossip *g)
{
    if (g == NULL)
        return;
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        peer_reset(g, &g->peers[i]);
        gossip_status_deinit(&g->peers[i].status);
    }
    gossip_stash_clear(g);
    gossip_status_deinit(&g->status);
    idvec_deinit(&g->disk);
    idvec_deinit(&g->known);
    idvec_deinit(&g->disk_was);
    buf_deinit(&g->scratch);
    buf_deinit(&g->served);
    buf_deinit(&g->replies);
    (void)pthread_mutex_destroy(&g->out_lock);
    mem_free(g);
}

void gossip_lower(struct idvec *v, const struct idvec *was, const struct idvec *is)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < v->count; i++) {
        const struct idvec_entry *now = idvec_find(is, v->e[i].chain);
        uint64_t number = now != NULL ? now->number : 0;
        if (number < idvec_number(was, v->e[i].chain) && v->e[i].number > number) {
            if (now == NULL)
                continue;
            v->e[i] = *now;
        }
        v->e[kept++] = v->e[i];
    }
    v->count = kept;
}

/* Ask the host for its status; its disk vector becomes ours. */
static quartet_status refresh_status(gossip *g, struct err *err)
{
    quartet_status rc = g->host.status(g->host.ctx, &g->status, err);
    if (rc == QUARTET_OK)
        gossip_lower(&g->known, &g->disk, &g->status.disk);
    if (rc == QUARTET_OK)
        rc = idvec_copy(&g->disk, &g->status.disk, err);
    if (rc == QUARTET_OK)
        rc = idvec_merge(&g->known, &g->disk, err);
    return rc;
}

static quartet_status send_status(gossip *g, struct gossip_peer_state *p, struct err *err)
{
    struct buf *out = &g->scratch;
    bool next = gossip_level_max(g) >= LEVEL_NEXT; /* one field more, which others skip */
    buf_clear(out);
    wire_put_array(out, GOSSIP_STATUS_FIELDS + next);
    wire_put_u64(out, GM_STATUS);
    wire_put_u64(out, GOSSIP_VERSION);
    wire_put_u64(out, p->asked);
    wire_put_u64(out, g->status.wall_us);
    wire_put_u64(out, g->status.floor);
    wire_put_u64(out, g->status.state);
    wire_put_bin(out, slice_of(g->status.hash, g->status.hash_bytes));
    size_t begun = wire_bin_begin(out);
    idvec_encode(out, &g->status.disk);
    wire_bin_end(out, begun);
    begun = wire_bin_begin(out);
    idvec_encode(out, &g->status.applied);
    wire_bin_end(out, begun);
    wire_put_u64(out, g->status.incarnation);
    gossip_level_put(g, out);
    if (next)
        wire_put_u64(out, LEVEL_NEXT);
    quartet_status rc = gossip_send_scratch(g, p, GOSSIP_CONTROL, err);
    if (rc == QUARTET_OK)
        rc = idvec_merge(&p->told, &g->status.disk, err);
    return rc;
}

/* [GM_ASK, question] */
quartet_status gossip_send_ask(struct gossip *g, struct gossip_peer_state *p, struct err *err)
{
    buf_clear(&g->scratch);
    wire_put_array(&g->scratch, 2);
    wire_put_u64(&g->scratch, GM_ASK);
    wire_put_u64(&g->scratch, g->question);
    return gossip_send_scratch(g, p, GOSSIP_CONTROL, err);
}

quartet_status gossip_ask(gossip *g, uint64_t number, uint64_t now_us, struct err *err)
{
    (void)now_us; /* part of every event's form */
    QASSERT(number > g->question);
    g->question = number;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < SLOTS_MAX && rc == QUARTET_OK; i++)
        if (g->peers[i].connected)
            rc = gossip_send_ask(g, &g->peers[i], err);
    return rc;
}

static quartet_status take_ask(gossip *g, struct gossip_peer_state *p, struct bytes_in *in, struct err *err)
{
    uint64_t question = wire_u64(in);
    if (in->bad)
        return err_set(err, QUARTET_CORRUPT, "a malformed question");
    if (question > p->asked)
        p->asked = question;
    struct err ours = ERR_INIT;
    if (refresh_status(g, &ours) != QUARTET_OK)
        return QUARTET_OK; /* a host that cannot tell says nothing; that is no fault of the peer */
    return send_status(g, p, err);
}

quartet_status gossip_connect(gossip *g, uint8_t slot, uint64_t now_us, struct err *err)
{
    QASSERT(slot < SLOTS_MAX && slot != g->slot);
    struct gossip_peer_state *p = &g->peers[slot];
    if (p->connected)
        gossip_disconnect(g, slot, now_us);
    peer_reset(g, p);
    p->status_at_us = 0; /* of this connection: pushes wait for its first status */
    p->connected = true;
    p->ping_due_us = now_us;
    g->host.peer_link(g->host.ctx, slot, true);
    quartet_status rc = refresh_status(g, err);
    if (rc == QUARTET_OK)
        rc = send_status(g, p, err);
    if (rc == QUARTET_OK && g->question != 0)
        rc = gossip_send_ask(g, p, err);
    return rc;
}

void gossip_disconnect(gossip *g, uint8_t slot, uint64_t now_us)
{
    QASSERT(slot < SLOTS_MAX);
    (void)now_us; /* part of every event's form */
    struct gossip_peer_state *p = &g->peers[slot];
    if (!p->connected)
        return;
    peer_reset(g, p);
    g->host.peer_link(g->host.ctx, slot, false);
    /* It may have died in the middle of a push: tell the others what we have of it. */
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        struct err ignored = ERR_INIT; /* told again with the next status */
        g->peers[i].have_due = g->peers[i].connected;
        if (g->peers[i].connected)
            (void)gossip_send_have(g, &g->peers[i], &ignored);
    }
}

/* [GM_STATUS, version, question answered, wall us, floor, state, hash, disk, applied, incarnation, levels: gossip_level.c]; what stands behind that a later version added */
static quartet_status take_status(gossip *g, uint8_t slot, struct bytes_in *in, uint32_t fields, uint64_t now_us,
                                  struct err *err)
{
    struct gossip_peer_state *p = &g->peers[slot];
    uint64_t version = wire_u64(in);
    if (!in->bad && version != GOSSIP_VERSION)
        return err_set(err, QUARTET_CORRUPT, "gossip version %llu, this is %u",
                       (unsigned long long)version, GOSSIP_VERSION);
    struct gossip_status s = {0};
    s.answers = wire_u64(in);
    s.wall_us = wire_u64(in);
    s.floor = wire_u64(in);
    uint32_t state = wire_u32(in);
    struct slice hash = wire_bin(in, sizeof s.hash);
    struct slice disk = wire_bin(in, GOSSIP_MESSAGE_BYTES_MAX),
                 applied = wire_bin(in, GOSSIP_MESSAGE_BYTES_MAX);
    s.incarnation = wire_u64(in);
    struct gossip_told_levels levels = {0};
    if (in->bad || state > GOSSIP_STATE_TOO_OLD || !gossip_level_get(in, &levels))
        return err_set(err, QUARTET_CORRUPT, "a malformed status");
    if (gossip_level_max(g) >= LEVEL_NEXT && levels.max >= LEVEL_NEXT && (fields <= GOSSIP_STATUS_FIELDS || wire_u64(in) != LEVEL_NEXT))
        return err_set(err, QUARTET_CORRUPT, "a status that lacks a field of its level");
    quartet_status rc = gossip_level_take(g, slot, &levels, s.wall_us, err);
    if (rc != QUARTET_OK)
        return rc;
    s.state = (uint8_t)state;
    s.hash_bytes = (uint8_t)hash.n;
    memcpy(s.hash, hash.p, hash.n);
    struct bytes_in disk_in = bytes_in(disk.p, disk.n), applied_in = bytes_in(applied.p, applied.n);
    rc = idvec_decode(&disk_in, &s.disk, err);
    if (rc == QUARTET_OK)
        rc = idvec_decode(&applied_in, &s.applied, err);
    if (rc == QUARTET_OK) {
        gossip_lower(&p->offers, &p->status.disk, &s.disk);
        gossip_lower(&p->sent, &p->status.disk, &s.disk);
        rc = gossip_status_copy(&p->status, &s, err);
    }
    if (rc == QUARTET_OK)
        rc = idvec_merge(&p->offers, &s.disk, err);
    if (rc == QUARTET_OK)
        rc = idvec_merge(&p->sent, &s.disk, err);
    gossip_status_deinit(&s);
    if (rc != QUARTET_OK)
        return rc;
    p->status_at_us = now_us > 0 ? now_us : 1;
    g->host.peer_status(g->host.ctx, slot, &p->status);
    g->host.peer_disk(g->host.ctx, slot, &p->status.disk);
    if (!idvec_covers(&p->told, &g->disk))
        rc = gossip_send_have(g, p, err);
    if (rc == QUARTET_OK)
        rc = gossip_plan_pulls(g, now_us, err);
    return rc;
}

/* [GM_HAVE, entries of its disk vector that changed] */
static quartet_status take_have(gossip *g, uint8_t slot, struct bytes_in *in, uint64_t now_us,
                                struct err *err)
{
    struct gossip_peer_state *p = &g->peers[slot];
    struct slice bytes = wire_bin(in, GOSSIP_MESSAGE_BYTES_MAX);
    struct idvec news = {0};
    struct bytes_in news_in = bytes_in(bytes.p, bytes.n);
    quartet_status rc = in->bad ? err_set(err, QUARTET_CORRUPT, "a malformed message")
                                : idvec_decode(&news_in, &news, err);
    if (rc == QUARTET_OK)
        rc = idvec_merge(&p->offers, &news, err);
    if (rc == QUARTET_OK)
        rc = idvec_merge(&p->sent, &news, err);
    if (rc == QUARTET_OK)
        rc = idvec_merge(&p->status.disk, &news, err);
    idvec_deinit(&news);
    if (rc != QUARTET_OK)
        return rc;
    g->host.peer_disk(g->host.ctx, slot, &p->status.disk);
    return gossip_plan_pulls(g, now_us, err);
}

static quartet_status send_ping(gossip *g, struct gossip_peer_state *p, uint64_t now_us, struct err *err)
{
    buf_clear(&g->scratch);
    wire_put_array(&g->scratch, 2);
    wire_put_u64(&g->scratch, GM_PING);
    wire_put_u64(&g->scratch, now_us);
    return gossip_send_scratch(g, p, GOSSIP_CONTROL, err);
}

static void put_pong(struct buf *out, uint64_t sent_us, uint64_t wall_us)
{
    wire_put_array(out, 3);
    wire_put_u64(out, GM_PONG);
    wire_put_u64(out, sent_us);
    wire_put_u64(out, wall_us);
}

static quartet_status send_pong(gossip *g, struct gossip_peer_state *p, uint64_t sent_us, struct err *err)
{
    buf_clear(&g->scratch);
    put_pong(&g->scratch, sent_us, g->host.wall_us(g->host.ctx));
    return gossip_send_scratch(g, p, GOSSIP_CONTROL, err);
}

bool gossip_answer_ping(struct slice message, uint64_t wall_us, struct buf *out)
{
    struct bytes_in in = bytes_in(message.p, message.n);
    wire_array_of(&in, 2);
    if (in.bad || wire_u64(&in) != GM_PING)
        return false;
    uint64_t sent_us = wire_u64(&in);
    if (in.bad)
        return false; /* gossip says what is wrong with it */
    put_pong(out, sent_us, wall_us);
    return true;
}

void gossip_put_keepalive(struct buf *out)
{
    wire_put_array(out, 2);
    wire_put_u64(out, GM_PING);
    wire_put_u64(out, UINT64_MAX); /* of no time: take_pong drops the answer */
}

/* The peer's clock showed wall_us at some time between our ping and now: that bounds its skew, whatever kept either of us waiting (Cristian, "Probabilistic clock
 * synchronization", 1989). The quickest answer of the last seconds tells most. */
static void take_clock(gossip *g, uint8_t slot, uint64_t wall_us, uint64_t rtt_us, uint64_t now_us)
{
    struct gossip_peer_state *p = &g->peers[slot];
    uint64_t error = rtt_us / 2 + 1;
    int64_t skew = (int64_t)(wall_us - (g->host.wall_us(g->host.ctx) - g->lag_us)) + (int64_t)(rtt_us / 2);
    uint64_t apart = (uint64_t)(skew > p->skew_us ? skew - p->skew_us : p->skew_us - skew);
    bool newer = p->skew_at_us == 0 || now_us - p->skew_at_us > GOSSIP_SKEW_AGE_US || apart > error + p->skew_error_us; /* a clock was set */
    if (newer || error <= p->skew_error_us) {
        p->skew_us = skew;
        p->skew_error_us = error;
        p->skew_at_us = now_us > 0 ? now_us : 1;
    }
    g->host.peer_clock(g->host.ctx, slot, p->skew_us, p->skew_error_us);
}

static void take_pong(gossip *g, uint8_t slot, uint64_t sent_us, uint64_t wall_us, uint64_t now_us)
{
    struct gossip_peer_state *p = &g->peers[slot];
    now_us -= g->lag_us < now_us ? g->lag_us : now_us; /* when it came */
    if (sent_us > now_us || now_us - sent_us > 60000000u || wall_us > INT64_MAX / 2)
        return; /* not an answer to a ping of ours, or of no clock */
    uint64_t rtt = now_us - sent_us;
    if (rtt == 0)
        rtt = 1;
    p->rtt_us = p->rtt_us == 0 ? rtt : (p->rtt_us * 7 + rtt) / 8;
    take_clock(g, slot, wall_us, rtt, now_us);
}

/* [GM_SNAPSHOT, bytes]: the host's, in both directions. Small ones ask for more and overtake what is large. */
static quartet_status ask_snapshot(gossip *g, uint8_t slot, struct slice bytes, struct err *err)
{
    struct gossip_peer_state *p = &g->peers[slot];
    buf_clear(&g->replies);
    quartet_status rc = g->host.snapshot(g->host.ctx, slot, bytes, &g->replies, err);
    if (rc == QUARTET_OK)
        rc = buf_check(&g->replies, err);
    struct bytes_in in = bytes_in(g->replies.data, g->replies.len);
    while (rc == QUARTET_OK && in.left > 0) {
        uint32_t n = bytes_u32(&in);
        const uint8_t *message = bytes_take(&in, n);
        QASSERT(message != NULL && n <= GOSSIP_SNAPSHOT_BYTES_MAX);
        if (gossip_queued(g, p) >= GOSSIP_QUEUE_BYTES_MAX)
            return QUARTET_OK; /* it is asked for again */
        buf_clear(&g->scratch);
        wire_put_array(&g->scratch, 2);
        wire_put_u64(&g->scratch, GM_SNAPSHOT);
        wire_put_bin(&g->scratch, slice_of(message, n));
        rc = gossip_send_scratch(g, p, n < SNAPSHOT_URGENT_BYTES ? GOSSIP_CONTROL : GOSSIP_BULK, err);
    }
    return rc;
}

static quartet_status dispatch(gossip *g, uint8_t slot, struct slice message, uint64_t now_us,
                               struct err *err)
{
    struct gossip_peer_state *p = &g->peers[slot];
    if (message.n > GOSSIP_MESSAGE_BYTES_MAX)
        return err_set(err, QUARTET_CORRUPT, "a message of %zu bytes, limit %u", message.n,
                       GOSSIP_MESSAGE_BYTES_MAX);
    struct bytes_in in = bytes_in(message.p, message.n);
    uint32_t fields = wire_array(&in);
    uint64_t kind = wire_u64(&in);
    static const uint8_t fields_of[] = {0, GOSSIP_STATUS_FIELDS, 2, 3, 4, 3, 4, 2, 2, 3, 2};
    if (in.bad || kind == 0 || kind >= sizeof fields_of || (kind == GM_STATUS ? fields < fields_of[kind] : fields != fields_of[kind]))
        return err_set(err, QUARTET_CORRUPT, "a malformed message of %zu bytes", message.n);
    quartet_status rc = QUARTET_OK;
    uint64_t number = 0;
    struct slice batch;
    switch ((enum gossip_kind)kind) {
    case GM_STATUS:
        return take_status(g, slot, &in, fields, now_us, err);
    case GM_ASK:
        return take_ask(g, p, &in, err);
    case GM_BATCH:
    case GM_PULLED:
        number = wire_u64(&in);
        batch = wire_bin(&in, BATCH_BYTES_MAX);
        if (in.bad)
            return err_set(err, QUARTET_CORRUPT, "a malformed batch message");
        if (kind == GM_PULLED && p->pulling && number == p->pull_id)
            p->pull_deadline_us = now_us + GOSSIP_PULL_TIMEOUT_US + 3 * p->rtt_us;
        rc = gossip_take_batch(g,
                               &(struct gossip_incoming){.from = slot,
                                                         .pulled = kind == GM_PULLED,
                                                         .mask = (uint32_t)(number & 15u),
                                                         .bytes = batch,
                                                         .now_us = now_us},
                               err);
        return rc == QUARTET_OK && kind == GM_BATCH ? gossip_plan_pulls(g, now_us, err) : rc;
    case GM_PULL:
        return gossip_serve_pull(g, p, &in, err);
    case GM_PULL_END:
        return gossip_pull_ended(g, slot, &in, now_us, err);
    case GM_HAVE:
        return take_have(g, slot, &in, now_us, err);
    case GM_PING:
        number = wire_u64(&in);
        if (in.bad)
            return err_set(err, QUARTET_CORRUPT, "a malformed ping");
        return send_pong(g, p, number, err);
    case GM_PONG: {
        number = wire_u64(&in);
        uint64_t wall = wire_u64(&in);
        if (in.bad)
            return err_set(err, QUARTET_CORRUPT, "a malformed pong");
        take_pong(g, slot, number, wall, now_us);
        return QUARTET_OK;
    }
    case GM_SNAPSHOT:
        batch = wire_bin(&in, GOSSIP_SNAPSHOT_BYTES_MAX);
        if (in.bad || batch.n == 0 || g->host.snapshot == NULL)
            return err_set(err, QUARTET_CORRUPT, "a malformed message about snapshots");
        return ask_snapshot(g, slot, batch, err);
    }
    return err_set(err, QUARTET_CORRUPT, "an unknown message");
}

quartet_status gossip_input(gossip *g, uint8_t slot, struct slice message, uint64_t now_us,
                            struct err *err)
{
    QASSERT(slot < SLOTS_MAX && slot != g->slot);
    if (!g->peers[slot].connected)
        return err_set(err, QUARTET_NET, "slot %u is not connected", slot);
    g->counters.messages_in++;
    g->counters.bytes_in += message.n;
    /* Questions are answered into the peer's queue; one that only asks and never reads must not
     * fill memory. */
    if (gossip_queued_bytes(g, slot) > 4u * GOSSIP_QUEUE_BYTES_MAX) {
        (void)err_set(err, QUARTET_LIMIT, "asks without reading the answers");
    } else {
        quartet_status rc = dispatch(g, slot, message, now_us, err);
        if (rc == QUARTET_OK || rc == QUARTET_NOMEM)
            return rc;
    }
    quartet_status rc = err->code;
    gossip_disconnect(g, slot, now_us);
    if (rc == QUARTET_UNAVAILABLE)
        return rc;
    g->counters.faults++;
    g->host.peer_fault(g->host.ctx, slot, err->text);
    return rc;
}

void gossip_set_lag(gossip *g, uint64_t lag_us)
{
    g->lag_us = lag_us;
}

quartet_status gossip_local_batch(gossip *g, struct slice batch, uint64_t now_us, struct err *err)
{
    (void)now_us; /* part of every event's form */
    struct batch_header h;
    struct slice payload;
    quartet_status rc = batch_parse(batch, &h, &payload, err);
    if (rc != QUARTET_OK)
        return rc;
    QASSERT(h.count > 0 && h.first > 0);
    struct idvec_entry last = {.chain = h.chain,
                               .number = h.first + h.count - 1,
                               .stamp = h.last_stamp,
                               .head = load_le64(h.hash)};
    rc = idvec_raise(&g->known, last, err);
    if (rc == QUARTET_OK)
        rc = gossip_push(g, &h, batch, 0, false, err);
    return rc;
}

quartet_status gossip_disk_moved(gossip *g, uint64_t now_us, struct err *err)
{
    (void)now_us; /* part of every event's form */
    quartet_status rc = idvec_copy(&g->disk_was, &g->disk, err);
    if (rc == QUARTET_OK)
        rc = g->host.disk(g->host.ctx, &g->disk, err);
    if (rc == QUARTET_OK)
        gossip_lower(&g->known, &g->disk_was, &g->disk);
    if (rc == QUARTET_OK)
        rc = idvec_merge(&g->known, &g->disk, err);
    for (uint8_t slot = 0; slot < SLOTS_MAX && rc == QUARTET_OK; slot++) {
        struct gossip_peer_state *p = &g->peers[slot];
        bool due = p->have_due;
        for (uint32_t i = 0; i < g->disk.count && !due; i++) {
            const struct idvec_entry *e = &g->disk.e[i];
            due = e->chain.slot == slot && e->number > idvec_number(&p->told, e->chain);
        }
        if (p->connected && due)
            rc = gossip_send_have(g, p, err);
    }
    return rc;
}

static quartet_status tick_peer(gossip *g, uint8_t slot, bool status_due, uint64_t now_us,
                                struct err *err)
{
    struct gossip_peer_state *p = &g->peers[slot];
    quartet_status rc = QUARTET_OK;
    if (!p->connected)
        return rc;
    bool room = gossip_queued(g, p) < GOSSIP_QUEUE_BYTES_MAX;
    if (status_due && room)
        rc = send_status(g, p, err);
    if (rc == QUARTET_OK && p->have_due && room)
        rc = gossip_send_have(g, p, err);
    if (rc == QUARTET_OK && now_us >= p->ping_due_us && room) {
        p->ping_due_us = now_us + GOSSIP_PING_INTERVAL_US;
        rc = send_ping(g, p, now_us, err);
    }
    if (p->pulling && now_us >= p->pull_deadline_us) {
        p->pulling = false;
        p->pull_not_before_us = now_us + 200000; /* somebody else first */
    }
    if (rc == QUARTET_OK && g->host.snapshot != NULL && p->status_at_us > 0)
        rc = ask_snapshot(g, slot, slice_of(NULL, 0), err);
    return rc;
}

/* Who had no time to look at what came has not waited for it either. */
static void forgive(struct gossip *g, uint64_t now_us)
{
    uint64_t late = g->ticked_us != 0 && now_us > g->ticked_us + TICK_LATE_US ? now_us - g->ticked_us - TICK_LATE_US : 0;
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        if (g->peers[i].pulling && g->peers[i].pull_deadline_us < UINT64_MAX - late)
            g->peers[i].pull_deadline_us += late;
    g->ticked_us = now_us;
}

quartet_status gossip_tick(gossip *g, uint64_t now_us, struct err *err)
{
    forgive(g, now_us);
    bool status_due = now_us >= g->status_due_us;
    quartet_status rc = QUARTET_OK;
    if (status_due) {
        /* Jitter keeps four nodes from speaking at the same moment for ever. */
        g->status_due_us = now_us + GOSSIP_STATUS_INTERVAL_US -
                           prng_below(&g->prng, GOSSIP_STATUS_INTERVAL_US / 10);
        rc = refresh_status(g, err);
        gossip_level_look(g); /* a cluster of one has nobody who tells it */
    }
    for (uint8_t slot = 0; slot < SLOTS_MAX && rc == QUARTET_OK; slot++)
        rc = tick_peer(g, slot, status_due, now_us, err);
    gossip_stash_age(g, now_us);
    if (rc == QUARTET_OK)
        rc = gossip_plan_pulls(g, now_us, err);
    return rc;
}

quartet_status gossip_peer(gossip *g, uint8_t slot, struct gossip_peer_view *out,
                           struct err *err)
{
    QASSERT(slot < SLOTS_MAX);
    const struct gossip_peer_state *p = &g->peers[slot];
    *out = (struct gossip_peer_view){.connected = p->connected,
                                     .rtt_us = p->rtt_us,
                                     .skew_us = p->skew_us,
                                     .status_at_us = p->status_at_us,
                                     .queued_bytes = gossip_queued_bytes(g, slot),
                                     .level = p->level,
                                     .level_min = p->level_min,
                                     .level_max = p->level_max};
    memcpy(out->refused, p->refused, sizeof out->refused);
    return gossip_status_copy(&out->status, &p->status, err);
}

struct gossip_counters gossip_counters_get(const gossip *g)
{
    return g->counters;
}
