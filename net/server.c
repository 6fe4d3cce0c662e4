/* server.c - start, stop, the loop's thread and its clock.
 *
 * Why one loop thread: links, sessions' messages and HTTP share state and are cheap; what may take long or block (SQL, what peers wrote: server_gossip.c) has threads of its own.
 * Other threads reach the loop only through the mutexes' lists and one uv_async.
 */
#include "server.h"

#include <netdb.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "server_internal.h"
#include "url.h"

#define LISTEN_BACKLOG            128
#define STRANGER_LINES_PER_SECOND 20u

uint64_t server_now_us(const server *s)
{
    return s->env->ops->mono_ns(s->env) / 1000u;
}

uint64_t server_now_ms(const server *s)
{
    return server_now_us(s) / 1000u;
}

void server_log_stranger(server *s, const char *from, const char *text)
{
    s->refused_total++;
    uint64_t second = server_now_ms(s) / 1000u;
    if (second != s->log_second) {
        if (s->log_suppressed > 0)
            log_line(s->env, LOG_WARN, "net", "%u more refusals in the last second",
                     s->log_suppressed);
        s->log_second = second;
        s->log_budget = STRANGER_LINES_PER_SECOND;
        s->log_suppressed = 0;
    }
    if (s->log_budget == 0) {
        s->log_suppressed++;
        return;
    }
    s->log_budget--;
    log_line(s->env, LOG_WARN, "net", "refused %s: %s", from, text);
}

/* For other threads, but for what gossip knows (server_gossip_view). */
static void refresh_view(server *s)
{
    struct server_view *v = &s->view;
    uint64_t now = server_now_ms(s);
    (void)pthread_mutex_lock(&s->mutex);
    v->zip = s->zip_counters;
    v->sessions = s->session_count;
    v->strangers = s->stranger_count;
    v->sessions_total = s->sessions_total;
    v->refused_total = s->refused_total;
    v->count = s->doc.node_count;
    for (uint32_t i = 0; i < s->doc.node_count; i++) {
        const struct member_node *n = &s->doc.nodes[i];
        const struct peer_links *links = &s->peers[n->slot];
        struct server_peer_view *p = &v->peers[i];
        p->slot = n->slot;
        p->self = n->slot == s->slot;
        memcpy(p->address, n->address, sizeof p->address);
        p->heard_ms_ago =
            links->heard_ms != 0 && now >= links->heard_ms ? now - links->heard_ms : UINT64_MAX;
        p->connected_ms = links->link != NULL ? now - links->link->established_ms + 1 : 0;
        p->faults = links->faults;
        p->slow = links->link != NULL && links->link->speed.slow_until_ms > now;
    }
    (void)pthread_mutex_unlock(&s->mutex);
}

static void close_handles(server *s)
{
    if (s->handles_closed)
        return;
    s->handles_closed = true;
    uv_close((uv_handle_t *)&s->async, NULL);
    uv_close((uv_handle_t *)&s->timer, NULL);
}

static void begin_drain(server *s)
{
    s->draining = true;
    s->draining_ms = server_now_ms(s);
    server_session_close_all(s);
}

static void begin_stop(server *s)
{
    s->stopping = true;
    if (!s->draining)
        begin_drain(s);
    uv_close((uv_handle_t *)&s->listener, NULL);
    uv_close((uv_handle_t *)&s->http_listener, NULL); /* the loop has it, listening or not */
    for (struct link *l = s->links, *next = NULL; l != NULL; l = next) {
        next = l->next;
        if (l->state != LINK_CLIENT)
            server_link_close(l, "the server stops");
    }
    server_http_close_all(s);
}

/* A worker may still have to answer and a client to read it, so the last handles go when they have gone. */
static void advance_stop(server *s)
{
    bool clients = s->session_count > 0;
    for (const struct link *l = s->links; l != NULL && s->draining; l = l->next)
        clients = clients || l->state == LINK_CLIENT;
    if (s->draining && !clients) {
        (void)pthread_mutex_lock(&s->mutex);
        s->drained = true;
        (void)pthread_cond_broadcast(&s->change);
        (void)pthread_mutex_unlock(&s->mutex);
    }
    if (s->stopping && !clients)
        close_handles(s);
}

static void on_async(uv_async_t *handle)
{
    server *s = handle->data;
    s->activity++;
    (void)pthread_mutex_lock(&s->mutex);
    bool drain = s->drain_asked, stop = s->stop_asked;
    struct session *ready = s->ready_sessions;
    s->ready_sessions = NULL;
    for (struct session *r = ready; r != NULL; r = r->ready_next) {
        r->ready = false; /* from here on its worker may put it into the next list, by ready_next */
        r->taken_next = r->ready_next;
        r->joinable = r->finished;
    }
    (void)pthread_mutex_unlock(&s->mutex);

    server_peer_news(s);
    server_peer_flush_all(s);
    server_session_ready(s, ready);
    if (drain && !s->draining)
        begin_drain(s);
    if (stop && !s->stopping)
        begin_stop(s);
    advance_stop(s);
}

static void on_timer(uv_timer_t *handle)
{
    server *s = handle->data;
    uint64_t now = server_now_ms(s);
    /* A tick that comes late means that this process had no processor: others' silence meanwhile is
     * ours, not theirs. */
    uint64_t late = s->last_tick_ms != 0 && now > s->last_tick_ms + 2 * SERVER_TICK_MS
                        ? now - s->last_tick_ms - SERVER_TICK_MS
                        : 0;
    s->last_tick_ms = now;
    for (struct link *l = s->links, *next = NULL; l != NULL; l = next) {
        next = l->next;
        l->heard_ms += l->heard_ms + late <= now ? late : now - l->heard_ms;
        if (l->state <= LINK_HANDSHAKE && now - l->opened_ms > HANDSHAKE_DEADLINE_MS &&
            !l->closing) {
            if (!l->initiator)
                server_log_stranger(s, l->from, "no handshake within its time");
            server_link_close(l, "no handshake within its time");
        } else if (l->state == LINK_JOINER && now - l->opened_ms > HANDSHAKE_DEADLINE_MS) {
            server_link_close(l, "it joined, or asked nothing");
        } else if (l->ending_ms != 0 && now - l->ending_ms > SERVER_ENDING_MS) {
            server_link_close(l, "its session has ended");
        }
    }
    if (s->draining_ms != 0 && now - s->draining_ms > SERVER_DRAIN_MS) {
        s->draining_ms = 0;
        server_session_cancel_all(s);
    }
    advance_stop(s);
    server_http_tick(s, now);
    if (s->stopping)
        return;
    server_peer_tick(s, now);
    server_peer_flush_all(s);
    refresh_view(s);
}

/* A round of the loop, and before it sleeps a look whether something comes at once. false: no handle is left. */
static bool run_round(server *s, struct spin *spin)
{
    uint64_t from = s->env->ops->mono_ns(s->env), now = from, until = spin_begin(spin, from), seen = s->activity;
    bool alive = true;
    while (until != 0 && alive && s->activity == seen && now < until) {
        alive = uv_run(&s->loop, UV_RUN_NOWAIT) != 0;
        spin_pause();
        now = s->env->ops->mono_ns(s->env);
    }
    if (until != 0)
        spin_end(spin, s->activity != seen, now);
    if (!alive || s->activity != seen)
        return alive;
    alive = uv_run(&s->loop, UV_RUN_ONCE) != 0;
    if (s->activity != seen) /* a tick of the clock is nothing that was waited for */
        spin_slept(spin, s->env->ops->mono_ns(s->env) - from);
    return alive;
}

static void loop_main(void *arg)
{
    server *s = arg;
    struct spin spin;
    spin_init(&spin, s->config.poll_us);
    while (run_round(s, &spin))
        ;
}

static quartet_status bind_address(server *s, uv_tcp_t *tcp, const char *text,
                                   uv_connection_cb on_connection, uint16_t *port, struct err *err)
{
    char host[MEMBER_ADDRESS_BYTES_MAX], service[8];
    uint16_t number = 0;
    quartet_status rc = url_split_address(text, host, sizeof host, &number, err);
    if (rc != QUARTET_OK)
        return rc;
    (void)snprintf(service, sizeof service, "%u", number); /* fits: at most 5 digits */
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *found = NULL;
    int bad = getaddrinfo(host, service, &hints, &found);
    if (bad != 0)
        return err_set(err, QUARTET_NET, "cannot listen on %s: %s", text, gai_strerror(bad));
    bad = uv_tcp_bind(tcp, found->ai_addr, 0);
    freeaddrinfo(found);
    if (bad == 0)
        bad = uv_listen((uv_stream_t *)tcp, LISTEN_BACKLOG, on_connection);
    if (bad != 0)
        return err_set(err, QUARTET_NET, "cannot listen on %s: %s", text, uv_strerror(bad));
    struct sockaddr_storage bound;
    int n = sizeof bound;
    if (uv_tcp_getsockname(tcp, (struct sockaddr *)&bound, &n) == 0)
        *port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                  : ((struct sockaddr_in *)&bound)->sin_port);
    tcp->data = s;
    return QUARTET_OK;
}

static quartet_status open_handles(server *s, const char *listen, const char *http, struct err *err)
{
    if (uv_async_init(&s->loop, &s->async, on_async) != 0 ||
        uv_timer_init(&s->loop, &s->timer) != 0 || uv_tcp_init(&s->loop, &s->listener) != 0 ||
        uv_tcp_init(&s->loop, &s->http_listener) != 0)
        return err_set(err, QUARTET_NET, "the event loop cannot be set up");
    s->async.data = s->timer.data = s;
    quartet_status rc =
        bind_address(s, &s->listener, listen, server_link_on_connection, &s->port, err);
    if (rc == QUARTET_OK && s->has_http)
        rc =
            bind_address(s, &s->http_listener, http, server_http_on_connection, &s->http_port, err);
    if (rc == QUARTET_OK && uv_timer_start(&s->timer, on_timer, 1, SERVER_TICK_MS) != 0)
        rc = err_set(err, QUARTET_NET, "the timer cannot be started");
    return rc;
}

static void close_walked(uv_handle_t *handle, void *arg)
{
    (void)arg; /* uv_walk's form */
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void free_server(server *s)
{
    zip_free(s->zip);
    buf_deinit(&s->zipped);
    server_gossip_deinit(s);
    gossip_free(s->gossip);
    server_view_deinit(&s->view);
    member_doc_deinit(&s->doc);
    (void)pthread_cond_destroy(&s->change);
    (void)pthread_mutex_destroy(&s->mutex);
    mem_free(s);
}

/* The loop thread and the workers take no signals: they belong to the program that we are part of.
 */
static quartet_status start_thread(server *s, struct err *err)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int bad = uv_thread_create(&s->thread, loop_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return bad == 0 ? QUARTET_OK
                    : err_set(err, QUARTET_NET, "the network thread cannot be started: %s",
                              uv_strerror(bad));
}

quartet_status server_start(const struct server_config *config, const struct server_host *host,
                            server **out, struct err *err)
{
    QASSERT(config->key->kind == MEMBER_KEY_NODE && config->env != NULL);
    if (sodium_init() < 0)
        return err_set(err, QUARTET_INTERNAL, "libsodium does not start");
    const struct member_node *self = member_find_slot(config->doc, config->key->slot);
    if (self == NULL)
        return err_set(err, QUARTET_AUTH, "slot %u is not in the membership document",
                       config->key->slot);
    server *s = mem_zalloc(1, sizeof *s);
    if (s == NULL)
        return err_nomem(err);
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)pthread_cond_init(&s->change, NULL);
    s->config = *config;
    s->host = *host;
    s->env = config->env;
    s->slot = config->key->slot;
    (void)snprintf(s->version, sizeof s->version, "%s",
                   config->version != NULL ? config->version : "");
    prng_seed(&s->prng, config->seed);
    const char *http = config->http != NULL ? config->http : self->http;
    s->has_http = http[0] != '\0';
    quartet_status rc = member_doc_copy(&s->doc, config->doc, err);
    if (rc == QUARTET_OK)
        rc = server_gossip_init(&s->gossiping, err);
    if (rc == QUARTET_OK && (s->zip = zip_new()) == NULL)
        rc = err_nomem(err);
    if (rc == QUARTET_OK)
        rc = gossip_new(s->slot, config->seed, &host->gossip, &s->gossip, err);
    if (rc == QUARTET_OK && uv_loop_init(&s->loop) != 0)
        rc = err_set(err, QUARTET_NET, "the event loop cannot be set up");
    if (rc != QUARTET_OK) {
        free_server(s);
        return rc;
    }
    rc = open_handles(s, config->listen != NULL ? config->listen : self->address, http, err);
    if (rc == QUARTET_OK) {
        refresh_view(s);
        server_gossip_view(s);
        rc = server_gossip_start(s, err);
    }
    if (rc == QUARTET_OK && (rc = start_thread(s, err)) != QUARTET_OK)
        server_gossip_stop(s); /* it calls nobody any more when the handles go */
    if (rc != QUARTET_OK) {
        uv_walk(&s->loop, close_walked, NULL);
        (void)uv_run(&s->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&s->loop);
        free_server(s);
        return rc;
    }
    *out = s;
    return QUARTET_OK;
}

void server_drain(server *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->drain_asked = true;
    (void)uv_async_send(&s->async);
    while (!s->drained)
        (void)pthread_cond_wait(&s->change, &s->mutex);
    (void)pthread_mutex_unlock(&s->mutex);
}

void server_stop(server *s)
{
    if (s == NULL)
        return;
    server_drain(s); /* clients may wait for what peers say */
    server_gossip_stop(s);
    (void)pthread_mutex_lock(&s->mutex);
    s->stop_asked = true;
    (void)pthread_mutex_unlock(&s->mutex);
    (void)uv_async_send(&s->async);
    (void)uv_thread_join(&s->thread);
    int open = uv_loop_close(&s->loop);
    QASSERT(open == 0); /* every handle was closed */
    free_server(s);
}

uint16_t server_port(const server *s)
{
    return s->port;
}

uint16_t server_http_port(const server *s)
{
    return s->http_port;
}

void server_block_peer(server *s, uint8_t slot, bool blocked)
{
    QASSERT(slot < SLOTS_MAX);
    (void)pthread_mutex_lock(&s->mutex);
    s->peers[slot].blocked = blocked;
    (void)pthread_mutex_unlock(&s->mutex);
}

quartet_status server_view(server *s, struct server_view *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    (void)pthread_mutex_lock(&s->mutex);
    *out = s->view;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < out->count; i++)
        memset(&out->peers[i].gossip.status, 0, sizeof out->peers[i].gossip.status);
    for (uint32_t i = 0; i < out->count && rc == QUARTET_OK; i++)
        rc = gossip_status_copy(&out->peers[i].gossip.status, &s->view.peers[i].gossip.status, err);
    (void)pthread_mutex_unlock(&s->mutex);
    if (rc != QUARTET_OK)
        server_view_deinit(out);
    return rc;
}

void server_view_deinit(struct server_view *v)
{
    for (uint32_t i = 0; i < v->count; i++)
        gossip_status_deinit(&v->peers[i].gossip.status);
    v->count = 0;
}
