/* gossip_pull.c - repair: peers tell their vectors, and whoever lacks something asks somebody who
 * has it.
 *
 * A chain is asked of one peer at a time, a peer is asked one thing at a time, and each answer is
 * bounded; so a node that was away for long draws from all others at once and cannot be flooded. */
#include "base/plant.h"
#include "gossip_internal.h"
#include "wire.h"

#define NO_PROGRESS_US 500000u
#define REST_US        1000000u

static bool in_flight(const struct gossip *g, struct chain_id chain)
{
    for (uint32_t s = 0; s < SLOTS_MAX; s++) {
        const struct gossip_peer_state *p = &g->peers[s];
        for (uint32_t i = 0; p->pulling && i < p->want_count; i++)
            if (chain_id_cmp(p->wants[i].chain, chain) == 0)
                return true;
    }
    return false;
}

void gossip_rest(struct gossip *g, struct chain_id chain, uint64_t now_us)
{
    struct gossip_resting *to = &g->resting[0];
    for (uint32_t i = 0; i < GOSSIP_RESTING_MAX; i++) {
        if (chain_id_cmp(g->resting[i].chain, chain) == 0) {
            to = &g->resting[i];
            break;
        }
        if (g->resting[i].until_us < to->until_us)
            to = &g->resting[i];
    }
    *to = (struct gossip_resting){.chain = chain, .until_us = now_us + REST_US};
}

static bool rests(const struct gossip *g, struct chain_id chain, uint64_t now_us)
{
    for (uint32_t i = 0; i < GOSSIP_RESTING_MAX; i++)
        if (g->resting[i].until_us > now_us && chain_id_cmp(g->resting[i].chain, chain) == 0)
            return true;
    return false;
}

void gossip_note_push(struct gossip_peer_state *p, struct chain_id chain, bool followed, uint64_t now_us)
{
    struct gossip_pushing *to = &p->pushing[0];
    for (uint32_t i = 0; i < GOSSIP_PUSHES_MAX; i++) {
        if (chain_id_cmp(p->pushing[i].chain, chain) == 0) {
            to = &p->pushing[i];
            break;
        }
        if (p->pushing[i].until_us < to->until_us)
            to = &p->pushing[i];
    }
    if (followed)
        *to = (struct gossip_pushing){.chain = chain, .until_us = now_us + GOSSIP_PUSHED_AGE_US + 3 * p->rtt_us};
    else if (chain_id_cmp(to->chain, chain) == 0)
        to->until_us = 0;
}

static bool is_pushed(const struct gossip_peer_state *p, struct chain_id chain, uint64_t now_us)
{
    for (uint32_t i = 0; i < GOSSIP_PUSHES_MAX; i++)
        if (p->pushing[i].until_us > now_us && chain_id_cmp(p->pushing[i].chain, chain) == 0)
            return true;
    return false;
}

struct gossip_back *gossip_back_find(struct gossip_peer_state *p, struct chain_id chain)
{
    for (uint32_t i = 0; i < GOSSIP_BACKS_MAX; i++)
        if (p->back[i].from > 0 && chain_id_cmp(p->back[i].chain, chain) == 0)
            return &p->back[i];
    return NULL;
}

/* Only further back: what is pushed meanwhile does not fit either, and must not make the look begin
 * anew. */
void gossip_go_back(struct gossip_peer_state *p, struct chain_id chain, uint64_t from)
{
    struct gossip_back *b = gossip_back_find(p, chain);
    for (uint32_t i = 0; b == NULL && i < GOSSIP_BACKS_MAX; i++)
        if (p->back[i].from == 0)
            b = &p->back[i];
    if (b == NULL)
        b = &p->back[p->next_back++ % GOSSIP_BACKS_MAX];
    if (b->from == 0 || chain_id_cmp(b->chain, chain) != 0 || from < b->start)
        *b = (struct gossip_back){.chain = chain, .start = from, .from = from};
}

/* As long as ours and another one: its owner signed two histories. The host is given what they have
 * and says what follows. */
static bool other_head(const struct idvec_entry *theirs, const struct idvec_entry *ours)
{
    return ours != NULL && theirs->number == ours->number && theirs->head != 0 && ours->head != 0 &&
           theirs->head != ours->head;
}

static void choose_wants(struct gossip *g, struct gossip_peer_state *p, uint64_t now_us)
{
    p->want_count = 0;
    for (uint32_t i = 0; i < p->offers.count && p->want_count < GOSSIP_PULL_CHAINS_MAX; i++) {
        const struct idvec_entry *e = &p->offers.e[i];
        uint64_t known = idvec_number(&g->known, e->chain);
        bool differs = e->number == known && other_head(e, idvec_find(&g->known, e->chain));
        const struct gossip_back *back = gossip_back_find(p, e->chain);
        /* What its log no longer holds tells nothing of where two histories part: what follows may. */
        uint64_t lost = idvec_number(&p->lost, e->chain);
        g->counters.looks_back_cut += back != NULL && back->from <= known && back->from < lost;
        uint64_t from = back != NULL && back->from <= known && back->from >= lost ? back->from
                        : differs                                                 ? known
                                                                                  : known + 1;
        if ((e->number <= known && !differs) || from < lost ||
            in_flight(g, e->chain) || rests(g, e->chain, now_us) || (back == NULL && !differs && is_pushed(p, e->chain, now_us)))
            continue;
        if (differs)
            gossip_rest(g, e->chain, now_us);
        p->wants[p->want_count++] = (struct gossip_want){.chain = e->chain, .from = from};
    }
}

static quartet_status send_pull(struct gossip *g, struct gossip_peer_state *p, uint64_t now_us,
                                struct err *err)
{
    struct buf *out = &g->scratch;
    buf_clear(out);
    wire_put_array(out, 4);
    wire_put_u64(out, GM_PULL);
    wire_put_u64(out, ++g->next_pull_id);
    wire_put_u64(out, GOSSIP_PULL_BYTES);
    wire_put_array(out, p->want_count * 3);
    for (uint32_t i = 0; i < p->want_count; i++) {
        wire_put_u64(out, p->wants[i].chain.slot);
        wire_put_u64(out, p->wants[i].chain.incarnation);
        wire_put_u64(out, p->wants[i].from + plant_is(PLANT_PULL_ONE_LATE));
    }
    quartet_status rc = gossip_send_scratch(g, p, GOSSIP_CONTROL, err);
    if (rc != QUARTET_OK)
        return rc;
    p->pulling = true;
    p->pull_progress = false;
    p->pull_id = g->next_pull_id;
    p->pull_deadline_us = plant_is(PLANT_PULL_NOT_REPEATED) ? UINT64_MAX : now_us + GOSSIP_PULL_TIMEOUT_US + 3 * p->rtt_us;
    g->counters.pulls_sent++;
    return QUARTET_OK;
}

quartet_status gossip_plan_pulls(struct gossip *g, uint64_t now_us, struct err *err)
{
    if (plant_is(PLANT_NO_PULL))
        return QUARTET_OK;
    quartet_status rc = QUARTET_OK;
    uint32_t start = (uint32_t)prng_below(&g->prng, SLOTS_MAX);
    for (uint32_t i = 0; i < SLOTS_MAX && rc == QUARTET_OK; i++) {
        struct gossip_peer_state *p = &g->peers[(start + i) % SLOTS_MAX];
        if (!p->connected || p->pulling || now_us < p->pull_not_before_us)
            continue;
        choose_wants(g, p, now_us);
        if (p->want_count > 0)
            rc = send_pull(g, p, now_us, err);
    }
    return rc;
}

/* Queue the batches in g->served; *left is what the answer may still hold. */
static quartet_status queue_served(struct gossip *g, struct gossip_peer_state *p, uint32_t id,
                                   size_t *left, struct err *err)
{
    struct bytes_in in = bytes_in(g->served.data, g->served.len);
    quartet_status rc = QUARTET_OK;
    while (in.left > 0 && rc == QUARTET_OK) {
        uint32_t n = bytes_u32(&in);
        const uint8_t *bytes = bytes_take(&in, n);
        struct batch_header h;
        struct slice payload;
        if (bytes == NULL || batch_parse(slice_of(bytes, n), &h, &payload, err) != QUARTET_OK)
            return err_set(err, QUARTET_INTERNAL, "the host gave an invalid batch to send");
        buf_clear(&g->scratch);
        wire_put_array(&g->scratch, 3);
        wire_put_u64(&g->scratch, GM_PULLED);
        wire_put_u64(&g->scratch, id);
        wire_put_bin(&g->scratch, slice_of(bytes, n));
        rc = gossip_send_scratch(g, p, GOSSIP_BULK, err);
        struct idvec_entry last = {
            .chain = h.chain, .number = h.first + h.count - 1, .stamp = h.last_stamp};
        if (rc == QUARTET_OK)
            rc = idvec_raise(&p->sent, last, err);
        *left = n < *left ? *left - n : 0;
        g->counters.batches_served++;
    }
    return rc;
}

/* [GM_PULL, id, max bytes, [slot, incarnation, from, ...]] */
quartet_status gossip_serve_pull(struct gossip *g, struct gossip_peer_state *p, struct bytes_in *in,
                                 struct err *err)
{
    uint32_t id = wire_u32(in);
    uint64_t max_bytes = wire_u64(in);
    uint32_t count = wire_array(in);
    if (in->bad || count % 3 != 0 || count / 3 > GOSSIP_PULL_CHAINS_MAX)
        return err_set(err, QUARTET_CORRUPT, "a malformed request for batches");
    size_t left = max_bytes < GOSSIP_PULL_BYTES ? (size_t)max_bytes : GOSSIP_PULL_BYTES;
    if (gossip_queued(g, p) >= GOSSIP_QUEUE_BYTES_MAX)
        left = 0; /* it asks faster than it reads */
    struct gossip_want lost[GOSSIP_PULL_CHAINS_MAX];
    uint32_t lost_count = 0;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < count / 3 && rc == QUARTET_OK; i++) {
        struct gossip_want w = {.chain.slot = (uint8_t)wire_u32(in)};
        w.chain.incarnation = wire_u64(in);
        w.from = wire_u64(in);
        if (in->bad || w.from == 0)
            return err_set(err, QUARTET_CORRUPT, "a malformed request for batches");
        if (left == 0)
            continue;
        buf_clear(&g->served);
        struct err why = ERR_INIT;
        quartet_status got =
            g->host.read_batches(g->host.ctx, w.chain, w.from, left, &g->served, &why);
        if (got == QUARTET_TOO_OLD)
            lost[lost_count++] = w;
        else if (got == QUARTET_OK)
            rc = queue_served(g, p, id, &left, err);
        /* Any other failure is ours; the host has logged it, and the peer will ask somebody else.
         */
    }
    if (rc != QUARTET_OK)
        return rc;
    g->counters.pulls_served++;
    struct buf *out = &g->scratch;
    buf_clear(out);
    wire_put_array(out, 4);
    wire_put_u64(out, GM_PULL_END);
    wire_put_u64(out, id);
    wire_put_bool(out, left == 0);
    wire_put_array(out, lost_count * 3);
    for (uint32_t i = 0; i < lost_count; i++) {
        wire_put_u64(out, lost[i].chain.slot);
        wire_put_u64(out, lost[i].chain.incarnation);
        wire_put_u64(out, lost[i].from);
    }
    return gossip_send_scratch(g, p, GOSSIP_BULK, err);
}

/* [GM_PULL_END, id, more, [slot, incarnation, from, ...]]: what is listed is no longer in its log.
 */
quartet_status gossip_pull_ended(struct gossip *g, uint8_t slot, struct bytes_in *in,
                                 uint64_t now_us, struct err *err)
{
    struct gossip_peer_state *p = &g->peers[slot];
    uint32_t id = wire_u32(in);
    (void)wire_bool(in); /* "more": what is missing shows in the vectors; kept for people who read
                            the traffic */
    uint32_t count = wire_array(in);
    if (in->bad || count % 3 != 0 || count / 3 > GOSSIP_PULL_CHAINS_MAX)
        return err_set(err, QUARTET_CORRUPT, "a malformed end of batches");
    for (uint32_t i = 0; i < count / 3; i++) {
        struct chain_id chain = {.slot = (uint8_t)wire_u32(in)};
        chain.incarnation = wire_u64(in);
        uint64_t from = wire_u64(in);
        if (in->bad || chain.slot >= SLOTS_MAX || from == UINT64_MAX)
            return err_set(err, QUARTET_CORRUPT, "a malformed end of batches");
        quartet_status rc =
            idvec_raise(&p->lost, (struct idvec_entry){.chain = chain, .number = from + 1}, err);
        if (rc != QUARTET_OK)
            return rc;
        g->host.too_old(g->host.ctx, slot, chain, from);
    }
    if (!p->pulling || id != p->pull_id)
        return QUARTET_OK;
    p->pulling = false;
    if (!p->pull_progress)
        p->pull_not_before_us = now_us + NO_PROGRESS_US;
    return gossip_plan_pulls(g, now_us, err);
}

quartet_status gossip_send_have(struct gossip *g, struct gossip_peer_state *p, struct err *err)
{
    struct idvec news = {0};
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < g->disk.count && rc == QUARTET_OK; i++)
        if (g->disk.e[i].number > idvec_number(&p->told, g->disk.e[i].chain))
            rc = idvec_raise(&news, g->disk.e[i], err);
    if (rc == QUARTET_OK && news.count > 0) {
        buf_clear(&g->scratch);
        wire_put_array(&g->scratch, 2);
        wire_put_u64(&g->scratch, GM_HAVE);
        size_t begun = wire_bin_begin(&g->scratch);
        idvec_encode(&g->scratch, &news);
        wire_bin_end(&g->scratch, begun);
        rc = gossip_send_scratch(g, p, GOSSIP_CONTROL, err);
        if (rc == QUARTET_OK)
            rc = idvec_merge(&p->told, &news, err);
    }
    /* What is accepted and not on disk yet is still to be told. */
    if (rc == QUARTET_OK && idvec_covers(&g->disk, &g->known))
        p->have_due = false;
    idvec_deinit(&news);
    return rc;
}
