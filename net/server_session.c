/* server_session.c - client sessions, the loop's side: requests go to the session's worker, answers
 * to the socket.
 *
 * PING, CANCEL and NODES are answered here, so that a client can tell a busy node from a dead one
 * and stop what runs. A session's memory goes when its worker has ended and its link is gone,
 * whichever comes last. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "server_internal.h"

static void send_built(struct link *l, struct buf *message)
{
    struct err err = ERR_INIT;
    if (buf_check(message, &err) == QUARTET_OK)
        server_link_send(l, slice_of(message->data, message->len));
    else
        server_link_close(l, err.text);
    buf_deinit(message);
}

static void send_error(struct link *l, uint32_t id, quartet_status code, const char *text)
{
    struct buf out = {0};
    struct session_error e = {.code = code, .sql_offset = -1, .text = slice_of(text, strlen(text))};
    session_put_error(&out, id, &e);
    send_built(l, &out);
}

static void free_messages(struct session_message *m)
{
    while (m != NULL) {
        struct session_message *next = m->next;
        mem_free(m->bytes);
        mem_free(m);
        m = next;
    }
}

static void session_free(struct session *s)
{
    server *sv = s->server;
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        sv->sessions = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    sv->session_count--;
    free_messages(s->requests);
    free_messages(s->answers);
    (void)pthread_mutex_destroy(&s->mutex);
    (void)pthread_cond_destroy(&s->wake);
    mem_free(s);
}

static bool start_worker(struct session *s)
{
    sigset_t all, before;
    (void)sigfillset(&all); /* signals are the program's, not ours */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int bad = pthread_create(&s->thread, NULL, server_worker_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return bad == 0;
}

void server_session_established(struct link *l)
{
    server *sv = l->server;
    if (sv->draining || sv->session_count >= SERVER_SESSIONS_MAX) {
        send_error(l, 0, QUARTET_LIMIT,
                   sv->draining ? "this node is stopping" : "this node has too many sessions");
        server_link_close(l, "no session for it");
        return;
    }
    struct session *s = mem_zalloc(1, sizeof *s);
    if (s == NULL) {
        server_link_close(l, "out of memory");
        return;
    }
    s->server = sv;
    s->link = l;
    memcpy(s->user, l->who.name, sizeof s->user);
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)pthread_cond_init(&s->wake, NULL);
    s->next = sv->sessions;
    if (s->next != NULL)
        s->next->prev = s;
    sv->sessions = s;
    sv->session_count++;
    if (!start_worker(s)) {
        session_free(s);
        send_error(l, 0, QUARTET_LIMIT, "this node cannot start another session");
        server_link_close(l, "no thread for it");
        return;
    }
    sv->sessions_total++;
    l->session = s;
    log_line(sv->env, LOG_DEBUG, "net", "client %s connected, %s", s->user, l->from);
}

static void answer_nodes(struct link *l, uint32_t id)
{
    server *sv = l->server;
    struct session_node nodes[SLOTS_MAX];
    uint32_t count = 0;
    for (; count < sv->doc.node_count; count++) {
        const struct member_node *n = &sv->doc.nodes[count];
        nodes[count] =
            (struct session_node){.slot = n->slot,
                                  .up = n->slot == sv->slot || sv->peers[n->slot].link != NULL,
                                  .address = slice_of(n->address, strlen(n->address)),
                                  .http = slice_of(n->http, strlen(n->http))};
    }
    struct buf out = {0};
    session_put_nodes(&out, id, nodes, count);
    send_built(l, &out);
}

static void cancel(struct session *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    if (s->host_session != NULL)
        s->server->host.session.cancel(s->host_session);
    (void)pthread_mutex_unlock(&s->mutex);
}

static void queue_request(struct link *l, uint32_t id, struct slice message)
{
    struct session *s = l->session;
    struct session_message *m = mem_zalloc(1, sizeof *m);
    uint8_t *copy = m != NULL ? mem_dup(message.p, message.n) : NULL;
    if (copy == NULL) {
        mem_free(m);
        send_error(l, id, QUARTET_NOMEM, "out of memory");
        return;
    }
    *m = (struct session_message){.n = message.n, .bytes = copy};
    (void)pthread_mutex_lock(&s->mutex);
    bool room = s->request_count < SESSION_PIPELINE_MAX;
    if (room) {
        if (s->requests_last != NULL)
            s->requests_last->next = m;
        else
            s->requests = m;
        s->requests_last = m;
        s->request_count++;
        (void)pthread_cond_broadcast(&s->wake);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    if (!room) {
        free_messages(m);
        send_error(l, id, QUARTET_LIMIT, "too many requests without waiting for answers");
    }
}

void server_session_message(struct link *l, struct slice message)
{
    server *sv = l->server;
    struct bytes_in in;
    uint8_t kind = 0;
    uint32_t id = 0;
    struct err err = ERR_INIT;
    if (l->session == NULL)
        return;
    if (session_open_message(message, &in, &kind, &id, &err) != QUARTET_OK) {
        log_line(sv->env, LOG_WARN, "net", "client %s, %s: %s", l->session->user, l->from,
                 err.text);
        server_link_close(l, NULL);
        return;
    }
    struct buf out = {0};
    switch (kind) {
    case SESSION_PING:
        session_put_pong(&out, id, sv->slot, sv->host.state(sv->host.ctx));
        send_built(l, &out);
        break;
    case SESSION_CANCEL:
        cancel(l->session);
        break;
    case SESSION_NODES:
        answer_nodes(l, id);
        break;
    case SESSION_BYE:
        server_link_close(l, "the client said goodbye");
        break;
    default:
        queue_request(l, id, message);
        break;
    }
}

static void end_worker(struct session *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->closing = true;
    (void)pthread_cond_broadcast(&s->wake);
    (void)pthread_mutex_unlock(&s->mutex);
}

void server_session_link_closed(struct link *l)
{
    struct session *s = l->session;
    if (s == NULL)
        return;
    l->session = NULL;
    s->link = NULL;
    end_worker(s);
    cancel(s); /* nobody waits for it */
}

void server_session_close_all(server *sv)
{
    for (struct session *s = sv->sessions; s != NULL; s = s->next)
        end_worker(s);
}

void server_session_cancel_all(server *sv)
{
    for (struct session *s = sv->sessions; s != NULL; s = s->next)
        cancel(s);
}

void server_session_written(struct link *l, size_t bytes)
{
    struct session *s = l->session;
    if (s == NULL)
        return;
    (void)pthread_mutex_lock(&s->mutex);
    s->answer_bytes -= bytes < s->answer_bytes ? bytes : s->answer_bytes;
    (void)pthread_cond_broadcast(&s->wake);
    (void)pthread_mutex_unlock(&s->mutex);
}

static void serve_ready(struct session *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    struct session_message *answers = s->answers;
    s->answers = s->answers_last = NULL;
    (void)pthread_mutex_unlock(&s->mutex);
    for (struct session_message *m = answers; m != NULL && s->link != NULL; m = m->next)
        server_link_send(
            s->link, slice_of(m->bytes, m->n)); /* may close the link, which sets s->link to NULL */
    free_messages(answers);
    if (!s->joinable)
        return;
    (void)pthread_join(s->thread, NULL);
    struct link *l = s->link;
    if (l != NULL && !s->lost) { /* all that it ran is answered */
        struct buf bye = {0};
        session_put_simple(&bye, SESSION_BYE, 0);
        send_built(l, &bye);
    }
    if (s->link != NULL) { /* sending may have closed it */
        l->session = NULL;
        s->link = NULL;
        l->ending_ms = server_now_ms(s->server);
        if (s->lost)
            server_link_close(l, "an answer could not be given");
    }
    session_free(s);
}

void server_session_ready(server *sv, struct session *list)
{
    (void)sv; /* the sessions know it */
    while (list != NULL) {
        struct session *next = list->taken_next;
        serve_ready(list);
        list = next;
    }
}
