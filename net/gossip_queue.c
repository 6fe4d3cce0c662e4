/* gossip_queue.c - messages that wait for a peer's link, in lanes: what steers (acknowledgements, status, keep-alives, questions) waits for no data, and a fresh delta for no
 * catch-up.
 * Why a lock of its own: the thread that sends takes from here while gossip's is busy with a batch. */
#include <string.h>

#include "base/mem.h"
#include "gossip_internal.h"

#define ITEM_OVERHEAD_BYTES                                                                        \
    64u /* counted too, or many small messages would pass the limit unseen */

struct gossip_body *gossip_body_new(const struct buf *message)
{
    struct gossip_body *b = mem_alloc(sizeof *b + message->len);
    if (b == NULL)
        return NULL;
    atomic_init(&b->refs, 1);
    b->n = message->len;
    memcpy(b->bytes, message->data, message->len);
    return b;
}

void gossip_body_unref(struct gossip_body *b)
{
    if (b != NULL && atomic_fetch_sub(&b->refs, 1) == 1)
        mem_free(b);
}

static struct gossip_out *out_of(struct gossip *g, const struct gossip_peer_state *p)
{
    return &g->out[p - g->peers];
}

bool gossip_queue_put(struct gossip *g, struct gossip_peer_state *p, enum gossip_lane lane,
                      struct gossip_body *body)
{
    struct gossip_item *item = mem_alloc(sizeof *item);
    if (item == NULL)
        return false;
    *item = (struct gossip_item){.body = body};
    (void)atomic_fetch_add(&body->refs, 1);
    struct gossip_out *o = out_of(g, p);
    struct gossip_queue *q = &o->lanes[lane];
    (void)pthread_mutex_lock(&g->out_lock);
    if (q->last != NULL)
        q->last->next = item;
    else
        q->first = item;
    q->last = item;
    o->queued_bytes += body->n + ITEM_OVERHEAD_BYTES;
    (void)pthread_mutex_unlock(&g->out_lock);
    g->counters.messages_out++;
    g->counters.bytes_out += body->n;
    return true;
}

/* The first message up to this lane is the caller's now. out_lock held. */
static struct gossip_body *take(struct gossip_out *o, enum gossip_lane up_to)
{
    for (uint32_t i = 0; i <= (uint32_t)up_to; i++) {
        struct gossip_queue *q = &o->lanes[i];
        struct gossip_item *item = q->first;
        if (item == NULL)
            continue;
        q->first = item->next;
        if (q->first == NULL)
            q->last = NULL;
        struct gossip_body *body = item->body;
        QASSERT(o->queued_bytes >= body->n + ITEM_OVERHEAD_BYTES);
        o->queued_bytes -= body->n + ITEM_OVERHEAD_BYTES;
        mem_free(item);
        return body;
    }
    return NULL;
}

void gossip_queue_reset(struct gossip *g, const struct gossip_peer_state *p)
{
    struct gossip_out *o = out_of(g, p);
    (void)pthread_mutex_lock(&g->out_lock);
    for (struct gossip_body *b = take(o, GOSSIP_BULK); b != NULL; b = take(o, GOSSIP_BULK))
        gossip_body_unref(b);
    o->level = 0;
    o->link = 0;
    (void)pthread_mutex_unlock(&g->out_lock);
}

size_t gossip_queued(struct gossip *g, const struct gossip_peer_state *p)
{
    return gossip_queued_bytes(g, (uint8_t)(p - g->peers));
}

void gossip_queue_level(struct gossip *g, const struct gossip_peer_state *p, uint32_t level)
{
    (void)pthread_mutex_lock(&g->out_lock);
    out_of(g, p)->level = level;
    (void)pthread_mutex_unlock(&g->out_lock);
}

quartet_status gossip_send_scratch(struct gossip *g, struct gossip_peer_state *p, enum gossip_lane lane,
                                   struct err *err)
{
    quartet_status rc = buf_check(&g->scratch, err);
    if (rc != QUARTET_OK)
        return rc;
    struct gossip_body *body = gossip_body_new(&g->scratch);
    if (body == NULL || !gossip_queue_put(g, p, lane, body))
        rc = err_nomem(err);
    gossip_body_unref(body);
    return rc;
}

void gossip_open_output(gossip *g, uint8_t slot, uint64_t link)
{
    QASSERT(slot < SLOTS_MAX && link != 0);
    (void)pthread_mutex_lock(&g->out_lock);
    g->out[slot].link = link;
    (void)pthread_mutex_unlock(&g->out_lock);
}

struct gossip_body *gossip_take(gossip *g, uint8_t slot, uint64_t link, enum gossip_lane up_to, struct slice *message)
{
    QASSERT(slot < SLOTS_MAX && link != 0);
    struct gossip_body *body = NULL;
    (void)pthread_mutex_lock(&g->out_lock);
    if (g->out[slot].link == link)
        body = take(&g->out[slot], up_to);
    (void)pthread_mutex_unlock(&g->out_lock);
    if (body != NULL)
        *message = slice_of(body->bytes, body->n);
    return body;
}

void gossip_release(struct gossip_body *body)
{
    gossip_body_unref(body);
}

size_t gossip_queued_bytes(gossip *g, uint8_t slot)
{
    QASSERT(slot < SLOTS_MAX);
    (void)pthread_mutex_lock(&g->out_lock);
    size_t n = g->out[slot].queued_bytes;
    (void)pthread_mutex_unlock(&g->out_lock);
    return n;
}

uint32_t gossip_link_level(gossip *g, uint8_t slot)
{
    QASSERT(slot < SLOTS_MAX);
    (void)pthread_mutex_lock(&g->out_lock);
    uint32_t level = g->out[slot].level;
    (void)pthread_mutex_unlock(&g->out_lock);
    return level;
}

bool gossip_peek(const gossip *g, uint8_t slot, struct slice *message)
{
    QASSERT(slot < SLOTS_MAX);
    for (uint32_t i = 0; i < GOSSIP_LANES; i++) {
        const struct gossip_item *item = g->out[slot].lanes[i].first;
        if (item == NULL)
            continue;
        *message = slice_of(item->body->bytes, item->body->n);
        return true;
    }
    return false;
}

void gossip_pop(gossip *g, uint8_t slot)
{
    QASSERT(slot < SLOTS_MAX);
    struct gossip_body *body = take(&g->out[slot], GOSSIP_BULK);
    QASSERT(body != NULL);
    gossip_body_unref(body);
}
