/* gossip_queue.c - messages that wait for a peer's link: two queues each, so that a fresh delta
 * does not wait behind a catch-up. */
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
    b->refs = 1;
    b->n = message->len;
    memcpy(b->bytes, message->data, message->len);
    return b;
}

void gossip_body_unref(struct gossip_body *b)
{
    if (b != NULL && --b->refs == 0)
        mem_free(b);
}

bool gossip_queue_put(struct gossip *g, struct gossip_peer_state *p, bool urgent,
                      struct gossip_body *body)
{
    struct gossip_item *item = mem_alloc(sizeof *item);
    if (item == NULL)
        return false;
    *item = (struct gossip_item){.body = body};
    body->refs++;
    struct gossip_queue *q = urgent ? &p->urgent : &p->bulk;
    if (q->last != NULL)
        q->last->next = item;
    else
        q->first = item;
    q->last = item;
    p->queued_bytes += body->n + ITEM_OVERHEAD_BYTES;
    g->counters.messages_out++;
    g->counters.bytes_out += body->n;
    return true;
}

static void pop(struct gossip_peer_state *p, struct gossip_queue *q)
{
    struct gossip_item *item = q->first;
    q->first = item->next;
    if (q->first == NULL)
        q->last = NULL;
    QASSERT(p->queued_bytes >= item->body->n + ITEM_OVERHEAD_BYTES);
    p->queued_bytes -= item->body->n + ITEM_OVERHEAD_BYTES;
    gossip_body_unref(item->body);
    mem_free(item);
}

void gossip_queue_clear(struct gossip_peer_state *p)
{
    while (p->urgent.first != NULL)
        pop(p, &p->urgent);
    while (p->bulk.first != NULL)
        pop(p, &p->bulk);
}

quartet_status gossip_send_scratch(struct gossip *g, struct gossip_peer_state *p, bool urgent,
                                   struct err *err)
{
    quartet_status rc = buf_check(&g->scratch, err);
    if (rc != QUARTET_OK)
        return rc;
    struct gossip_body *body = gossip_body_new(&g->scratch);
    if (body == NULL || !gossip_queue_put(g, p, urgent, body))
        rc = err_nomem(err);
    gossip_body_unref(body);
    return rc;
}

bool gossip_peek(const gossip *g, uint8_t slot, struct slice *message)
{
    QASSERT(slot < SLOTS_MAX);
    const struct gossip_peer_state *p = &g->peers[slot];
    const struct gossip_item *item = p->urgent.first != NULL ? p->urgent.first : p->bulk.first;
    if (item == NULL)
        return false;
    *message = slice_of(item->body->bytes, item->body->n);
    return true;
}

void gossip_pop(gossip *g, uint8_t slot)
{
    QASSERT(slot < SLOTS_MAX);
    struct gossip_peer_state *p = &g->peers[slot];
    struct gossip_queue *q = p->urgent.first != NULL ? &p->urgent : &p->bulk;
    QASSERT(q->first != NULL);
    pop(p, q);
}

bool gossip_next_is_bulk(const gossip *g, uint8_t slot)
{
    QASSERT(slot < SLOTS_MAX);
    return g->peers[slot].urgent.first == NULL;
}
