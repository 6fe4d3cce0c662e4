/* server_link.c - TCP connections of the native port: accept, connect, handshake, frames in and
 * out, close.
 *
 * Invariants: a link that is closing hands out no more messages; its memory goes in libuv's close
 * callback, after the last write's. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "join.h"
#include "server_internal.h"

struct write_request {
    uv_write_t write;
    struct link *link;
    size_t n;
    uint8_t *bytes; /* owned */
};

static void name_peer(struct link *l)
{
    struct sockaddr_storage a;
    int n = sizeof a;
    char host[64] = "?";
    unsigned port = 0;
    if (uv_tcp_getpeername(&l->tcp, (struct sockaddr *)&a, &n) == 0) {
        if (a.ss_family == AF_INET6) {
            (void)uv_ip6_name((struct sockaddr_in6 *)&a, host, sizeof host);
            port = ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
        } else {
            (void)uv_ip4_name((struct sockaddr_in *)&a, host, sizeof host);
            port = ntohs(((struct sockaddr_in *)&a)->sin_port);
        }
    }
    (void)snprintf(l->from, sizeof l->from, "%s port %u", host, port);
}

struct link *server_link_new(server *s, bool initiator)
{
    struct link *l = mem_zalloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    if (uv_tcp_init(&s->loop, &l->tcp) != 0) {
        mem_free(l);
        return NULL;
    }
    l->tcp.data = l;
    l->server = s;
    l->number = ++s->link_count;
    l->initiator = initiator;
    l->state = initiator ? LINK_CONNECTING : LINK_HANDSHAKE;
    l->opened_ms = l->heard_ms = server_now_ms(s);
    l->in.limit_bytes = initiator ? HANDSHAKE_FRAME_BYTES_MAX : HANDSHAKE_REQUEST_BYTES_MAX;
    l->config = (struct handshake_config){.env = s->env,
                                          .role = NET_ROLE_PEER,
                                          .cluster = s->doc.cluster,
                                          .key = s->config.key,
                                          .instance = s->config.instance,
                                          .doc = &s->doc,
                                          .doc_bytes = s->config.doc_bytes,
                                          .expect_slot = -1,
                                          .seen = &s->seen};
    l->next = s->links;
    if (s->links != NULL)
        s->links->prev = l;
    s->links = l;
    if (!initiator)
        s->stranger_count++;
    return l;
}

static void on_closed(uv_handle_t *handle)
{
    struct link *l = handle->data;
    server *s = l->server;
    if (l->prev != NULL)
        l->prev->next = l->next;
    else
        s->links = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    handshake_free(l->handshake);
    channel_free(l->channel);
    frame_in_deinit(&l->in);
    mem_free(l);
}

void server_link_close(struct link *l, const char *why)
{
    if (l->closing)
        return;
    server *s = l->server;
    if (l->channel != NULL) {
        struct buf out = {0};
        struct err ignored = ERR_INIT; /* a goodbye that cannot be said is a cut */
        if (channel_seal_end(l->channel, &out, &ignored) == QUARTET_OK && out.len > 0) {
            uv_buf_t b = uv_buf_init((char *)out.data, (unsigned)out.len);
            if (l->writing_bytes == 0)
                (void)uv_try_write((uv_stream_t *)&l->tcp, &b, 1);
        }
        buf_deinit(&out);
    }
    l->closing = true;
    if (why != NULL)
        log_line(s->env, LOG_DEBUG, "net", "link with %s closed: %s", l->from, why);
    if (l->state == LINK_HANDSHAKE && !l->initiator)
        s->stranger_count--;
    if (l->state == LINK_CLIENT)
        server_session_link_closed(l);
    else
        server_peer_closed(l);
    uv_close((uv_handle_t *)&l->tcp, on_closed);
}

static void on_written(uv_write_t *write, int status)
{
    struct write_request *w = write->data;
    struct link *l = w->link;
    l->writing_bytes -= w->n;
    if (l->state == LINK_CLIENT)
        server_session_written(l, w->n);
    mem_free(w->bytes);
    mem_free(w);
    if (l->closing)
        return;
    if (status != 0)
        server_link_close(l, uv_strerror(status));
    else if (l->state == LINK_PEER && l->server->peers[l->slot].link == l)
        server_peer_flush(l->server, l->slot);
}

void server_link_write(struct link *l, struct buf *out)
{
    if (l->closing || out->failed || out->len == 0) {
        bool failed = out->failed && !l->closing;
        buf_deinit(out);
        if (failed)
            server_link_close(l, "out of memory");
        return;
    }
    struct write_request *w = mem_zalloc(1, sizeof *w);
    if (w == NULL) {
        buf_deinit(out);
        server_link_close(l, "out of memory");
        return;
    }
    w->link = l;
    w->bytes = buf_take(out, &w->n);
    w->write.data = w;
    uv_buf_t b = uv_buf_init((char *)w->bytes, (unsigned)w->n);
    l->writing_bytes += w->n;
    l->sent_ms = server_now_ms(l->server);
    int bad = uv_write(&w->write, (uv_stream_t *)&l->tcp, &b, 1, on_written);
    if (bad != 0) {
        l->writing_bytes -= w->n;
        mem_free(w->bytes);
        mem_free(w);
        server_link_close(l, uv_strerror(bad));
    }
}

void server_link_send(struct link *l, struct slice message)
{
    struct buf out = {0};
    struct err err = ERR_INIT;
    if (l->closing)
        return;
    if (channel_seal(l->channel, message, &out, &err) != QUARTET_OK) {
        buf_deinit(&out);
        server_link_close(l, err.text);
        return;
    }
    server_link_write(l, &out);
}

static void established(struct link *l)
{
    server *s = l->server;
    l->who = *handshake_peer(l->handshake);
    l->channel = handshake_take_channel(l->handshake);
    handshake_free(l->handshake);
    l->handshake = NULL;
    l->established_ms = l->heard_ms = server_now_ms(s);
    l->in.limit_bytes = NET_FRAME_BYTES_MAX;
    if (!l->initiator)
        s->stranger_count--;
    if (l->who.role == NET_ROLE_PEER) {
        l->state = LINK_PEER;
        channel_set_limit(l->channel, GOSSIP_MESSAGE_BYTES_MAX);
        server_peer_established(l);
    } else if (l->who.role == NET_ROLE_JOINER) {
        l->state = LINK_JOINER;
        channel_set_limit(l->channel, JOIN_MESSAGE_BYTES_MAX);
    } else {
        l->state = LINK_CLIENT;
        channel_set_limit(l->channel, SESSION_REQUEST_BYTES_MAX + SESSION_TOKEN_BYTES_MAX);
        server_session_established(l);
    }
}

static void handshake_frame(struct link *l, struct slice body)
{
    struct buf out = {0};
    struct err err = ERR_INIT;
    quartet_status rc = handshake_input(l->handshake, body, &out, &err);
    server_link_write(l, &out);
    if (l->closing)
        return;
    if (rc != QUARTET_OK) {
        char text[ERR_TEXT_BYTES_MAX + 32];
        (void)snprintf(text, sizeof text, "%s%s", l->initiator ? "as dialled by us, " : "",
                       err.text);
        struct slice doc_bytes;
        uint64_t epoch;
        if (handshake_evicted(l->handshake, &doc_bytes, &epoch) && l->server->host.evicted != NULL)
            l->server->host.evicted(l->server->host.ctx, doc_bytes, epoch);
        server_log_stranger(l->server, l->from, text);
        server_link_close(l, NULL);
    } else if (handshake_done(l->handshake)) {
        established(l);
    }
}

static void channel_frame(struct link *l, struct slice body)
{
    bool complete = false, ended = false;
    struct slice message;
    struct err err = ERR_INIT;
    quartet_status rc = channel_open(l->channel, body, &complete, &message, &ended, &err);
    if (rc != QUARTET_OK) {
        log_line(l->server->env, LOG_WARN, "net", "link with %s closed: %s", l->from, err.text);
        if (l->state == LINK_PEER && rc != QUARTET_NOMEM)
            server_peer_fault(l->server, l->slot, err.text);
        server_link_close(l, NULL);
    } else if (ended) {
        server_link_close(l, "the other side said goodbye");
    } else if (complete && l->state == LINK_PEER) {
        server_peer_message(l, message);
    } else if (complete && l->state == LINK_JOINER) {
        server_join_message(l, message);
    } else if (complete) {
        server_session_message(l, message);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *b)
{
    (void)suggested; /* one buffer serves all: libuv hands it back before it asks again */
    struct link *l = handle->data;
    *b = uv_buf_init((char *)l->server->read_buffer, sizeof l->server->read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct link *l = stream->data;
    if (l->closing || n == 0)
        return;
    l->server->activity++;
    if (n < 0) {
        if (l->state == LINK_HANDSHAKE && !l->initiator)
            server_log_stranger(l->server, l->from, "it hung up before the handshake was done");
        server_link_close(l, n == UV_EOF ? "end of stream" : uv_strerror((int)n));
        return;
    }
    struct err err = ERR_INIT;
    quartet_status rc = frame_feed(&l->in, b->base, (size_t)n, &err);
    l->heard_ms = server_now_ms(l->server);
    struct slice body;
    while (rc == QUARTET_OK && !l->closing && frame_next(&l->in, &body, &rc, &err)) {
        if (l->state == LINK_HANDSHAKE)
            handshake_frame(l, body);
        else
            channel_frame(l, body);
    }
    if (rc != QUARTET_OK && !l->closing) {
        server_log_stranger(l->server, l->from, err.text);
        server_link_close(l, NULL);
    }
}

void server_link_pause(struct link *l, bool pause)
{
    if (l->closing || l->paused == pause)
        return;
    int bad = pause ? uv_read_stop((uv_stream_t *)&l->tcp) : uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
    l->paused = pause;
    if (bad != 0)
        server_link_close(l, uv_strerror(bad));
}

static void start_reading(struct link *l)
{
    (void)uv_tcp_nodelay(&l->tcp, 1); /* a link without it is slower, not wrong */
    (void)uv_tcp_keepalive(&l->tcp, 1, 15);
    name_peer(l);
    int bad = uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
    if (bad != 0)
        server_link_close(l, uv_strerror(bad));
}

void server_link_on_connection(uv_stream_t *listener, int status)
{
    server *s = listener->data;
    if (status != 0) {
        log_line(s->env, LOG_ERROR, "net", "accept: %s", uv_strerror(status));
        return;
    }
    bool full = s->stranger_count >= SERVER_STRANGERS_MAX;
    struct link *l = server_link_new(s, false);
    if (l == NULL)
        return;
    int bad = uv_accept(listener, (uv_stream_t *)&l->tcp);
    struct err err = ERR_INIT;
    if (bad != 0) {
        server_link_close(l, uv_strerror(bad));
    } else if (full) {
        name_peer(l);
        server_log_stranger(s, l->from, "too many connections without a handshake");
        server_link_close(l, NULL);
    } else if (handshake_answer(&l->config, &l->handshake, &err) != QUARTET_OK) {
        server_link_close(l, err.text);
    } else {
        start_reading(l);
    }
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct link *l = connect->data;
    if (l->closing)
        return;
    if (status != 0) {
        server_link_close(l, uv_strerror(status));
        return;
    }
    l->state = LINK_HANDSHAKE;
    l->config.expect_slot = l->slot;
    start_reading(l);
    if (l->closing)
        return;
    struct buf out = {0};
    struct err err = ERR_INIT;
    if (handshake_dial(&l->config, &l->handshake, &out, &err) != QUARTET_OK) {
        buf_deinit(&out);
        server_link_close(l, err.text);
        return;
    }
    server_link_write(l, &out);
}

void server_link_connect(struct link *l, const struct sockaddr *address)
{
    l->connect.data = l;
    int bad = uv_tcp_connect(&l->connect, &l->tcp, address, on_connected);
    if (bad != 0)
        server_link_close(l, uv_strerror(bad));
}
