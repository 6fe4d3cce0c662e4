/* server_peer.c - links with the other nodes: dialling with jitter, which of two links stays,
 * silence, faults, and gossip's bytes.
 *
 * Both nodes may dial each other at once; both then keep the link that the lower slot opened, so
 * they agree without a word. A peer whose process number changed has restarted: its new link always
 * wins. Silence steers links only; whether a node serves never depends on it. */
#include <stdio.h>
#include <string.h>

#include "base/level.h"
#include "base/mem.h"
#include "server_internal.h"
#include "url.h"
#include "wire.h"

#define DIAL_BACKOFF_MS_MIN  25u
#define FAULT_BACKOFF_MS_MAX 60000u
#define FAULT_FORGIVEN_MS    60000u
#define OTHER_HEALTHY_MS     300u
#define APART_LOG_MS         60000u

struct dial_request {
    uv_getaddrinfo_t resolve;
    server *server;
    uint8_t slot;
};

static uint64_t jitter(server *s, uint64_t ms)
{
    return ms + prng_below(&s->prng, ms / 2 + 1);
}

static bool is_blocked(server *s, uint8_t slot)
{
    (void)pthread_mutex_lock(&s->mutex);
    bool blocked = s->peers[slot].blocked;
    (void)pthread_mutex_unlock(&s->mutex);
    return blocked;
}

void server_peer_fault(server *s, uint8_t slot, const char *text)
{
    struct peer_links *p = &s->peers[slot];
    uint64_t now = server_now_ms(s);
    p->faults++;
    p->fault_backoff_ms =
        p->fault_backoff_ms == 0 ? SERVER_FAULT_BACKOFF_MS : p->fault_backoff_ms * 2;
    if (p->fault_backoff_ms > FAULT_BACKOFF_MS_MAX)
        p->fault_backoff_ms = FAULT_BACKOFF_MS_MAX;
    p->refuse_until_ms = now + p->fault_backoff_ms;
    log_line(s->env, LOG_WARN, "net",
             "slot %u sent something invalid: %s; no link with it for %u ms", slot, text,
             p->fault_backoff_ms);
}

/* Our versions do not understand each other. That is nobody's fault, and ends when one of us comes back with another version. */
static void too_far_apart(server *s, uint8_t slot, const char *text)
{
    struct peer_links *p = &s->peers[slot];
    uint64_t now = server_now_ms(s);
    p->refuse_until_ms = now + SERVER_APART_RETRY_MS;
    if (p->apart_logged_ms != 0 && now - p->apart_logged_ms < APART_LOG_MS)
        return;
    p->apart_logged_ms = now;
    log_line(s->env, LOG_ERROR, "net", "no link with slot %u: %s. OPERATIONS.md, \"Upgrading\"", slot, text);
}

/* Does the new link replace the one that is there? */
static bool replaces(const server *s, const struct link *old, const struct link *new, uint64_t now)
{
    if (old->who.instance != new->who.instance)
        return true;
    uint8_t old_by = old->initiator ? s->slot : old->slot,
            new_by = new->initiator ? s->slot : new->slot;
    return new_by <= old_by || now - old->heard_ms > OTHER_HEALTHY_MS;
}

/* ---- membership: who has the newer document gives it to the other, right after the handshake, which told both epochs ---- */

#define MEMBERSHIP_KIND 32u /* beside gossip's kinds: [32, document] */

static void give_membership(server *s, struct link *l)
{
    struct buf out = {0};
    struct err err = ERR_INIT;
    if (!member_version_has_news(member_version(&s->doc), l->who.epoch))
        return;
    wire_put_array(&out, 2);
    wire_put_u64(&out, MEMBERSHIP_KIND);
    wire_put_bin(&out, s->config.doc_bytes);
    if (buf_check(&out, &err) == QUARTET_OK)
        server_link_send(l, slice_of(out.data, out.len)); /* without memory for it: with the next link */
    buf_deinit(&out);
}

/* A document with news, of a peer who vouches for nothing: the root and the sponsors of its admissions do. */
static void take_news(server *s, const struct link *l, struct slice bytes)
{
    struct buf merged = {0};
    struct member_doc doc = {0};
    struct err err = ERR_INIT;
    quartet_status rc = member_doc_merge(s->config.doc_bytes, bytes, &s->doc.cluster, &merged, &err);
    if (rc == QUARTET_OK)
        rc = member_doc_decode(slice_of(merged.data, merged.len), &s->doc.cluster, &doc, &err);
    if (rc != QUARTET_OK) {
        log_line(s->env, LOG_ERROR, "net", "the membership that slot %u has is not taken: %s", l->slot, err.text);
    } else {
        const struct member_node *self = member_find_slot(&doc, s->slot), *now = member_find_slot(&s->doc, s->slot);
        bool member = self != NULL && memcmp(self->public_key, now->public_key, sizeof self->public_key) == 0;
        if (!member && member_find_former(&doc, now->public_key) != NULL && s->host.evicted != NULL)
            s->host.evicted(s->host.ctx, slice_of(merged.data, merged.len), doc.epoch);
        else if (!member)
            log_line(s->env, LOG_ERROR, "net", "slot %u has a membership document (number %llu) in which this node is no member any more; it is not taken", l->slot,
                     (unsigned long long)doc.epoch);
        else
            s->host.membership(s->host.ctx, slice_of(merged.data, merged.len), doc.epoch);
    }
    member_doc_deinit(&doc);
    buf_deinit(&merged);
}

/* Is the message a document? *rc: whether it is a good one. */
static bool take_membership(server *s, struct link *l, struct slice message, quartet_status *rc, struct err *err)
{
    struct bytes_in in = bytes_in(message.p, message.n);
    struct member_doc doc = {0};
    wire_array_of(&in, 2);
    if (wire_u64(&in) != MEMBERSHIP_KIND || in.bad)
        return false;
    struct slice bytes = wire_bin(&in, MEMBER_DOC_BYTES_MAX);
    *rc = !in.bad && in.left == 0 ? member_doc_decode(bytes, &s->doc.cluster, &doc, err) : err_set(err, QUARTET_CORRUPT, "a malformed membership message");
    if (*rc == QUARTET_OK && member_version_has_news(member_version(&doc), member_version(&s->doc)) && s->host.membership != NULL)
        take_news(s, l, bytes);
    member_doc_deinit(&doc);
    return true;
}

void server_peer_established(struct link *l)
{
    server *s = l->server;
    uint8_t slot = l->who.slot;
    struct peer_links *p = &s->peers[slot];
    uint64_t now = server_now_ms(s);
    l->slot = slot;
    if (p->dialing == l)
        p->dialing = NULL;
    if (now < p->refuse_until_ms || is_blocked(s, slot)) {
        server_link_close(l, "no links with this slot at present");
        return;
    }
    if (p->link != NULL && !replaces(s, p->link, l, now)) {
        server_link_close(l, "another link with this slot is there");
        return;
    }
    struct link *old = p->link;
    p->link = l;
    p->dial_backoff_ms = 0;
    p->heard_ms = now;
    if (old != NULL)
        server_link_close(old, "a newer link with this slot replaces it");
    log_line(s->env, LOG_INFO, "net", "slot %u connected, %s", slot, l->from);
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&l->tcp, &fd) == 0)
        server_speed_begin(fd);
    if (!server_gossip_up(s, slot, l->number)) {
        server_link_close(l, "out of memory");
        return;
    }
    give_membership(s, l);
}

void server_peer_closed(struct link *l)
{
    server *s = l->server;
    struct peer_links *p = &s->peers[l->slot];
    uint64_t now = server_now_ms(s);
    if (p->dialing == l) {
        p->dialing = NULL;
        p->dial_backoff_ms = p->dial_backoff_ms == 0 ? DIAL_BACKOFF_MS_MIN : p->dial_backoff_ms * 2;
        if (p->dial_backoff_ms > SERVER_RECONNECT_MS_MAX)
            p->dial_backoff_ms = SERVER_RECONNECT_MS_MAX;
        p->dial_not_before_ms = now + jitter(s, p->dial_backoff_ms);
    }
    if (l->state != LINK_PEER || p->link != l)
        return;
    p->link = NULL;
    if (now - l->established_ms > FAULT_FORGIVEN_MS)
        p->fault_backoff_ms = 0;
    /* The lower slot dials first; the higher one only where that does not come to pass. */
    p->dial_not_before_ms = now + jitter(s, s->slot < l->slot ? 20 : 150);
    log_line(s->env, LOG_INFO, "net", "slot %u disconnected, %s", l->slot, l->from);
    server_gossip_down(s, l->slot, l->number);
}

/* The message as it goes out: compressed where the link is slow, the peer knows it, and it helps. */
static struct slice outgoing(server *s, const struct link *l, struct slice message)
{
    buf_clear(&s->zipped);
    if (l->speed.slow_until_ms <= server_now_ms(s) || gossip_link_level(s->gossip, l->slot) < LEVEL_ZIPPED || !zip_pack(s->zip, message, &s->zipped)) {
        if (s->zipped.failed)
            buf_deinit(&s->zipped); /* memory was out for a moment */
        return message;
    }
    s->zip_counters.messages++;
    s->zip_counters.bytes_before += message.n;
    s->zip_counters.bytes_after += s->zipped.len;
    return slice_of(s->zipped.data, s->zipped.len);
}

/* Up to which lane there is room; -1: for none. Acknowledgements and questions go at once, as long as the system takes them at all. Fresh deltas must not get so far ahead that those
 * wait for them, and answers to pulls not so far that fresh deltas do. */
static int room_up_to(server *s, const struct link *l, size_t more)
{
    uv_os_fd_t fd;
    size_t waiting = l->writing_bytes + more;
    uint64_t now = server_now_ms(s);
    if (waiting >= SERVER_LINK_BYTES_MAX)
        return -1;
    if (waiting >= SERVER_FRESH_BYTES_MAX || (waiting > 0 && l->speed.slow_until_ms > now))
        return GOSSIP_CONTROL;
    if (uv_fileno((const uv_handle_t *)&l->tcp, &fd) == 0 && !server_speed_has_room(&l->speed, fd, now))
        return GOSSIP_CONTROL;
    return waiting >= SERVER_BULK_BYTES_MAX ? GOSSIP_FRESH : GOSSIP_BULK;
}

void server_peer_flush(server *s, uint8_t slot)
{
    struct link *l = s->peers[slot].link;
    if (l == NULL || l->closing)
        return;
    struct buf out = {0};
    struct err err = ERR_INIT;
    quartet_status rc = QUARTET_OK;
    for (int up_to = room_up_to(s, l, 0); rc == QUARTET_OK && up_to >= 0; up_to = room_up_to(s, l, out.len)) {
        struct slice message;
        struct gossip_body *body = gossip_take(s->gossip, slot, l->number, (enum gossip_lane)up_to, &message);
        if (body == NULL)
            break;
        rc = channel_seal(l->channel, outgoing(s, l, message), &out, &err);
        gossip_release(body);
    }
    if (rc != QUARTET_OK) {
        buf_deinit(&out);
        server_link_close(l, err.text);
        return;
    }
    server_link_write(l, &out);
}

void server_peer_flush_all(server *s)
{
    for (uint8_t slot = 0; slot < SLOTS_MAX; slot++)
        server_peer_flush(s, slot);
}

/* Answered here, whatever gossip is busy with. Who pings without reading gets no more answers than the link holds. */
static bool take_ping(server *s, struct link *l, struct slice message)
{
    struct buf pong = {0};
    if (!gossip_answer_ping(message, s->env->ops->wall_us(s->env), &pong))
        return false;
    if (!pong.failed && l->writing_bytes < SERVER_LINK_BYTES_MAX)
        server_link_send(l, slice_of(pong.data, pong.len));
    buf_deinit(&pong);
    return true;
}

static void hand_to_gossip(server *s, struct link *l, struct slice message)
{
    if (message.n <= GOSSIP_PING_BYTES_MAX && take_ping(s, l, message))
        return;
    if (!server_gossip_message(s, l->slot, l->number, message))
        server_link_close(l, "out of memory"); /* the next link begins with whole vectors */
    else if (server_gossip_waiting(s, l->slot) > SERVER_INPUT_BYTES_MAX)
        server_link_pause(l, true);
}

static void at_fault(server *s, struct link *l, quartet_status rc, const char *text)
{
    if (rc == QUARTET_NOMEM) {
        log_line(s->env, LOG_ERROR, "net", "slot %u: %s", l->slot, text);
        server_link_close(l, text); /* the next link begins with whole vectors */
    } else if (rc == QUARTET_UNAVAILABLE) {
        too_far_apart(s, l->slot, text);
        server_link_close(l, NULL);
    } else {
        server_peer_fault(s, l->slot, text);
        server_link_close(l, NULL);
    }
}

void server_peer_message(struct link *l, struct slice message)
{
    server *s = l->server;
    struct err err = ERR_INIT;
    if (s->peers[l->slot].link != l || s->stopping)
        return;
    s->peers[l->slot].heard_ms = l->heard_ms;
    quartet_status rc = QUARTET_OK;
    struct slice opened;
    if (zip_open(s->zip, message, GOSSIP_MESSAGE_BYTES_MAX, &opened, &rc, &err)) {
        if (rc == QUARTET_OK) /* gossip knows no compressed ones, so there is none in it */
            hand_to_gossip(s, l, opened);
    } else if (!take_membership(s, l, message, &rc, &err)) {
        hand_to_gossip(s, l, message);
    }
    if (rc != QUARTET_OK)
        at_fault(s, l, rc, err.text);
}

void server_peer_news(server *s)
{
    for (uint8_t slot = 0; slot < SLOTS_MAX; slot++) {
        struct gossip_closed closed;
        struct link *l = s->peers[slot].link;
        if (server_gossip_closed(s, slot, &closed) && l != NULL && l->number == closed.link)
            at_fault(s, l, closed.code, closed.text);
        else if (l != NULL && l->paused && server_gossip_waiting(s, slot) <= SERVER_INPUT_BYTES_MAX / 2)
            server_link_pause(l, false);
    }
}

static void dial_failed(server *s, uint8_t slot, const char *why)
{
    struct peer_links *p = &s->peers[slot];
    log_line(s->env, LOG_DEBUG, "net", "slot %u cannot be dialled: %s", slot, why);
    p->dial_not_before_ms = server_now_ms(s) + jitter(s, SERVER_RECONNECT_MS_MAX);
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
    struct dial_request *d = resolve->data;
    server *s = d->server;
    uint8_t slot = d->slot;
    struct peer_links *p = &s->peers[slot];
    mem_free(d);
    p->resolving = false;
    if (status != 0) {
        if (!s->stopping)
            dial_failed(s, slot, uv_strerror(status));
        return;
    }
    if (!s->stopping && p->link == NULL && p->dialing == NULL) {
        struct link *l = server_link_new(s, true);
        if (l != NULL) {
            l->slot = slot;
            p->dialing = l;
            server_link_connect(l, found->ai_addr);
        }
    }
    uv_freeaddrinfo(found);
}

static void dial(server *s, const struct member_node *n)
{
    char host[MEMBER_ADDRESS_BYTES_MAX], service[8];
    uint16_t port = 0;
    struct err err = ERR_INIT;
    if (url_split_address(n->address, host, sizeof host, &port, &err) != QUARTET_OK) {
        dial_failed(s, n->slot, err.text);
        return;
    }
    (void)snprintf(service, sizeof service, "%u", port); /* fits: at most 5 digits */
    struct dial_request *d = mem_zalloc(1, sizeof *d);
    if (d == NULL)
        return;
    *d = (struct dial_request){.server = s, .slot = n->slot, .resolve.data = d};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    int bad = uv_getaddrinfo(&s->loop, &d->resolve, on_resolved, host, service, &hints);
    if (bad != 0) {
        mem_free(d);
        dial_failed(s, n->slot, uv_strerror(bad));
        return;
    }
    s->peers[n->slot].resolving = true;
}

/* As gossip last told; 0: not known yet. */
static uint64_t rtt_us(server *s, uint32_t node)
{
    (void)pthread_mutex_lock(&s->mutex);
    uint64_t us = s->view.peers[node].gossip.rtt_us;
    (void)pthread_mutex_unlock(&s->mutex);
    return us;
}

static void look_at_link(server *s, struct link *l, uint64_t rtt, uint64_t now_ms)
{
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&l->tcp, &fd) == 0)
        server_speed_look(&l->speed, fd, l->writing_bytes + gossip_queued_bytes(s->gossip, l->slot), now_ms);
    if (l->paused)
        l->heard_ms = now_ms; /* it is not it that is silent */
    if (now_ms - l->heard_ms > SERVER_SILENCE_MS + 3 * rtt / 1000u) {
        server_link_close(l, "silent for too long");
    } else if (now_ms - l->sent_ms >= SERVER_KEEPALIVE_MS && l->writing_bytes == 0) { /* gossip is busy */
        struct buf ping = {0};
        gossip_put_keepalive(&ping);
        if (!ping.failed)
            server_link_send(l, slice_of(ping.data, ping.len));
        buf_deinit(&ping);
    }
}

void server_peer_tick(server *s, uint64_t now_ms)
{
    for (uint32_t i = 0; i < s->doc.node_count; i++) {
        const struct member_node *n = &s->doc.nodes[i];
        struct peer_links *p = &s->peers[n->slot];
        if (n->slot == s->slot)
            continue;
        bool blocked = is_blocked(s, n->slot);
        if (p->link != NULL) {
            if (blocked)
                server_link_close(p->link, "blocked on purpose");
            else
                look_at_link(s, p->link, rtt_us(s, i), now_ms);
            continue;
        }
        if (p->dialing != NULL && blocked)
            server_link_close(p->dialing, "blocked on purpose");
        if (p->dialing != NULL || p->resolving || blocked || now_ms < p->dial_not_before_ms ||
            now_ms < p->refuse_until_ms)
            continue;
        if (p->dial_not_before_ms == 0 && s->slot > n->slot) {
            p->dial_not_before_ms =
                now_ms + jitter(s, 150); /* at start too the lower slot dials first */
            continue;
        }
        dial(s, n);
    }
}
