/* gossip_batch.c - a batch comes in: the host judges it; then it is passed on to whom its sender
 * did not reach, and what waited for it follows.
 *
 * A pushed batch carries a mask of the slots its sender sent it to. In a full mesh the origin
 * reaches everybody and nobody relays; where a link is missing, whoever has one relays at once. A
 * sender that dies in the middle is repaired by vectors (gossip_pull.c). */
#include <string.h>

#include "base/mem.h"
#include "gossip_internal.h"
#include "wire.h"

#define STASH_AGE_US 5000000u

static struct idvec_entry entry_of(const struct batch_header *h)
{
    return (struct idvec_entry){.chain = h->chain,
                                .number = h->first + h->count - 1,
                                .stamp = h->last_stamp,
                                .head = load_le64(h->hash)};
}

quartet_status gossip_push(struct gossip *g, const struct batch_header *header, struct slice bytes,
                           uint32_t mask, bool relay, struct err *err)
{
    struct idvec_entry last = entry_of(header);
    struct gossip_peer_state *to[SLOTS_MAX];
    uint32_t count = 0;
    for (uint8_t slot = 0; slot < SLOTS_MAX; slot++) {
        struct gossip_peer_state *p = &g->peers[slot];
        if (!p->connected || (mask & 1u << slot) != 0 || (relay && slot == header->chain.slot))
            continue;
        uint64_t has = idvec_number(&p->sent, header->chain);
        if (has >= last.number)
            continue;
        if (p->level == 0 || has < header->first - 1 ||
            gossip_queued(g, p) + bytes.n > GOSSIP_QUEUE_BYTES_MAX) {
            p->have_due = true; /* it will pull */
            g->counters.pushes_dropped++;
            continue;
        }
        mask |= 1u << slot;
        to[count++] = p;
    }
    if (count == 0)
        return QUARTET_OK;
    buf_clear(&g->scratch);
    wire_put_array(&g->scratch, 3);
    wire_put_u64(&g->scratch, GM_BATCH);
    wire_put_u64(&g->scratch, mask | 1u << g->slot);
    wire_put_bin(&g->scratch, bytes);
    quartet_status rc = buf_check(&g->scratch, err);
    if (rc != QUARTET_OK)
        return rc;
    struct gossip_body *body = gossip_body_new(&g->scratch);
    if (body == NULL)
        return err_nomem(err);
    for (uint32_t i = 0; i < count && rc == QUARTET_OK; i++) {
        rc = idvec_raise(&to[i]->sent, last, err);
        if (rc == QUARTET_OK && !gossip_queue_put(g, to[i], GOSSIP_FRESH, body))
            rc = err_nomem(err);
        if (relay)
            g->counters.batches_relayed++;
        else
            g->counters.batches_pushed++;
    }
    gossip_body_unref(body);
    return rc;
}

static void stash_remove(struct gossip *g, uint32_t i)
{
    g->stash_bytes -= g->stash[i].n;
    mem_free(g->stash[i].bytes);
    g->stash[i] = g->stash[--g->stash_count];
}

void gossip_stash_clear(struct gossip *g)
{
    while (g->stash_count > 0)
        stash_remove(g, g->stash_count - 1);
}

void gossip_stash_age(struct gossip *g, uint64_t now_us)
{
    for (uint32_t i = g->stash_count; i-- > 0;)
        if (now_us - g->stash[i].at_us > STASH_AGE_US)
            stash_remove(g, i);
}

/* Keep a batch that came too early; where there is no room it is pulled again. */
static void stash_put(struct gossip *g, const struct batch_header *h, struct slice bytes,
                      uint8_t from, uint64_t now_us)
{
    for (uint32_t i = 0; i < g->stash_count; i++)
        if (g->stash[i].first == h->first && chain_id_cmp(g->stash[i].chain, h->chain) == 0)
            return;
    if (g->stash_count == GOSSIP_STASH_BATCHES_MAX ||
        g->stash_bytes + bytes.n > GOSSIP_STASH_BYTES_MAX)
        return;
    uint8_t *copy = mem_dup(bytes.p, bytes.n);
    if (copy == NULL)
        return;
    g->stash[g->stash_count++] = (struct gossip_stashed){.bytes = copy,
                                                         .n = bytes.n,
                                                         .chain = h->chain,
                                                         .first = h->first,
                                                         .from = from,
                                                         .at_us = now_us};
    g->stash_bytes += bytes.n;
}

/* What our disk vector will show to others once it is synced: those who lack it must be told. */
static void note_lacking(struct gossip *g, const struct idvec_entry *last, uint8_t from)
{
    for (uint8_t slot = 0; slot < SLOTS_MAX; slot++) {
        struct gossip_peer_state *p = &g->peers[slot];
        if (p->connected && slot != from && idvec_number(&p->sent, last->chain) < last->number)
            p->have_due = true;
    }
}

static quartet_status ask_status(struct gossip *g, struct gossip_peer_state *p, uint64_t now_us,
                                 struct err *err)
{
    if (!p->connected || now_us < p->ask_not_before_us)
        return QUARTET_OK;
    p->ask_not_before_us = now_us + 100000;
    return gossip_send_ask(g, p, err);
}

static quartet_status taken(struct gossip *g, const struct gossip_incoming *in,
                            const struct batch_header *h, bool held, struct err *err)
{
    struct gossip_peer_state *p = &g->peers[in->from];
    struct idvec_entry last = entry_of(h);
    quartet_status rc = idvec_raise(&g->known, last, err);
    if (rc != QUARTET_OK)
        return rc;
    g->counters.batches_accepted++;
    if (in->pulled) {
        p->pull_progress = true;
        note_lacking(g, &last, in->from);
    } else {
        rc = gossip_push(g, h, in->bytes, in->mask | 1u << in->from, true, err);
    }
    if (rc == QUARTET_OK && held)
        rc = ask_status(g, p, in->now_us, err); /* what it waits for may be there */
    return rc;
}

/* The host knows best how far a chain goes here, be it more or less than we thought. */
static quartet_status believe_host(struct gossip *g, struct chain_id chain, uint64_t number,
                                   struct err *err)
{
    for (uint32_t i = 0; i < g->known.count; i++)
        if (chain_id_cmp(g->known.e[i].chain, chain) == 0 && g->known.e[i].number > number)
            g->known.e[i] = (struct idvec_entry){.chain = chain, .number = number};
    return number == 0 ? QUARTET_OK
                       : idvec_raise(&g->known,
                                     (struct idvec_entry){.chain = chain, .number = number}, err);
}

/* While it is looked for where the peer's chain departs from ours: this much they have in common. */
static void walk_on(struct gossip *g, struct gossip_peer_state *p, const struct batch_header *h)
{
    struct gossip_back *b = gossip_back_find(p, h->chain);
    uint64_t last = h->first + h->count - 1;
    if (b == NULL || h->first > b->from || last < b->from)
        return;
    b->from = last < idvec_number(&g->known, h->chain) ? last + 1 : 0;
}

static void back_ends(struct gossip_peer_state *p, struct chain_id chain)
{
    struct gossip_back *b = gossip_back_find(p, chain);
    if (b != NULL)
        b->from = 0;
}

/* What cannot be taken yet is not asked for again at once. A batch of a branch has the name of the chain that it departs
 * from: of that chain earlier ones may be missing, and be what it waits for. */
static void rest_later(struct gossip *g, const struct gossip_incoming *in, const struct batch_header *h)
{
    const struct gossip_peer_state *p = &g->peers[in->from];
    if (h->first <= idvec_number(&g->known, h->chain) + 1)
        gossip_rest(g, h->chain, in->now_us);
    for (uint32_t i = 0; in->pulled && i < p->want_count; i++) {
        const struct gossip_want *w = &p->wants[i];
        if (w->chain.slot == h->chain.slot && (w->chain.incarnation & CHAIN_BRANCH_BIT) != 0 && w->from <= h->first)
            gossip_rest(g, w->chain, in->now_us);
    }
}

/* One batch, already copied or still in the message. Sets *advanced where its successor may now be
 * taken. */
static quartet_status judge(struct gossip *g, const struct gossip_incoming *in, bool *advanced,
                            struct chain_id *chain, struct err *err)
{
    struct gossip_peer_state *p = &g->peers[in->from];
    struct batch_header h;
    struct slice payload;
    *advanced = false;
    g->counters.batches_in++;
    quartet_status rc = batch_parse(in->bytes, &h, &payload, err);
    if (rc == QUARTET_OK && (h.count == 0 || h.first == 0 || h.first > UINT64_MAX - h.count ||
                             h.chain.slot >= SLOTS_MAX))
        rc = err_set(err, QUARTET_CORRUPT, "a batch with impossible numbers");
    if (rc != QUARTET_OK) {
        g->counters.batches_refused++;
        return rc;
    }
    *chain = h.chain;
    struct idvec_entry last = entry_of(&h);
    struct gossip_need need = {.chain = h.chain, .from = idvec_number(&g->known, h.chain) + 1};
    enum gossip_verdict verdict = g->host.deliver(g->host.ctx, in->bytes, in->from, &need, err);
    if (verdict == GOSSIP_REFUSED) {
        g->counters.batches_refused++;
        if (err->code == QUARTET_OK)
            (void)err_set(err, QUARTET_CORRUPT, "an invalid batch"); /* the host gave no reason */
        return err->code;
    }
    err_clear(err); /* an explanation of GAP or BUSY is no error */
    struct batch_header named = h; /* from here on under the name that vectors have */
    if (verdict != GOSSIP_GAP)
        named.chain = need.chain;
    last.chain = named.chain;
    rc = idvec_raise(&p->offers, last, err);
    if (rc == QUARTET_OK)
        rc = idvec_raise(&p->sent, last, err);
    if (rc != QUARTET_OK)
        return rc;
    if (!in->pulled)
        gossip_note_push(p, named.chain, verdict == GOSSIP_ACCEPTED || verdict == GOSSIP_HELD || verdict == GOSSIP_DUPLICATE, in->now_us);
    switch (verdict) {
    case GOSSIP_ACCEPTED:
    case GOSSIP_HELD:
        *advanced = true;
        back_ends(p, h.chain);
        return taken(g, in, &named, verdict == GOSSIP_HELD, err);
    case GOSSIP_DUPLICATE:
        g->counters.batches_duplicate++;
        *advanced = true;
        walk_on(g, p, &h);
        return idvec_raise(&g->known, last, err);
    case GOSSIP_GAP:
        g->counters.batches_gap++;
        if (need.from > 0 && need.from <= idvec_number(&g->disk, h.chain)) {
            /* What is here is here: what follows it at the peer follows something else. */
            gossip_go_back(p, h.chain, need.from);
            return QUARTET_OK;
        }
        if (need.from > 0 && chain_id_cmp(need.chain, h.chain) == 0)
            rc = believe_host(g, h.chain, need.from - 1, err);
        stash_put(g, &h, in->bytes, in->from, in->now_us);
        return rc;
    case GOSSIP_LATER:
        g->counters.batches_busy++;
        back_ends(p, h.chain);
        rest_later(g, in, &h);
        return QUARTET_OK;
    case GOSSIP_BUSY:
        g->counters.batches_busy++;
        p->pull_not_before_us = in->now_us + 1000000;
        return QUARTET_OK;
    case GOSSIP_REFUSED:
        break;
    }
    return err_set(err, QUARTET_INTERNAL, "an unknown verdict");
}

/* The stashed batch of this chain that now follows, or whose numbers are behind us already. */
static bool stash_next(struct gossip *g, struct chain_id chain, uint32_t *at)
{
    uint64_t known = idvec_number(&g->known, chain);
    for (uint32_t i = 0; i < g->stash_count; i++) {
        if (g->stash[i].first <= known + 1 && chain_id_cmp(g->stash[i].chain, chain) == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

quartet_status gossip_take_batch(struct gossip *g, const struct gossip_incoming *in,
                                 struct err *err)
{
    bool advanced = false;
    struct chain_id chain = {0};
    quartet_status rc = judge(g, in, &advanced, &chain, err);
    uint32_t at = 0;
    while (rc == QUARTET_OK && advanced && stash_next(g, chain, &at)) {
        struct gossip_stashed s = g->stash[at];
        g->stash[at].bytes = NULL; /* ours now */
        stash_remove(g, at);
        struct gossip_incoming follower = {
            .from = s.from, .pulled = true, .bytes = slice_of(s.bytes, s.n), .now_us = in->now_us};
        rc = judge(g, &follower, &advanced, &chain, err);
        mem_free(s.bytes);
        if (rc != QUARTET_OK && rc != QUARTET_NOMEM && s.from != in->from) {
            /* Another peer's batch: its fault, not that of the one whose message is being handled.
             * It will be pulled and judged again. */
            g->host.peer_fault(g->host.ctx, s.from, err->text);
            err_clear(err);
            rc = QUARTET_OK;
        }
    }
    return rc;
}
