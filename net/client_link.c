/* client_link.c - a blocking encrypted connection with deadlines, on poll.
 *
 * A stopped process still accepts TCP and takes bytes, so only its own words count as life: while
 * an answer is due we ask every 150 ms whether the node is there, and give it up after 600 ms of
 * silence. Time in which we ourselves did not run does not count. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "client_internal.h"

#define READ_BYTES (64u << 10)
#define LATE_MS    100u

uint64_t client_now_ms(struct env *env)
{
    return env->ops->mono_ns(env) / 1000000u;
}

void client_link_init(struct client_link *l)
{
    *l = (struct client_link){.fd = -1};
}

void client_link_close(struct client_link *l, bool goodbye)
{
    if (l->fd >= 0) {
        struct err ignored = ERR_INIT; /* a goodbye that cannot be said is a cut */
        buf_clear(&l->out);
        if (goodbye && l->channel != NULL &&
            channel_seal_end(l->channel, &l->out, &ignored) == QUARTET_OK && l->out.len > 0)
            (void)send(l->fd, l->out.data, l->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)close(l->fd);
    }
    channel_free(l->channel);
    frame_in_deinit(&l->in);
    buf_deinit(&l->out);
    uint64_t rtt = l->rtt_us;
    struct spin spin = l->spin;
    client_link_init(l);
    l->rtt_us = rtt;
    l->spin = spin;
}

/* Wait for an event. 1: it came (or an error that the next call will tell); 0: the time is over; 2:
 * cancelled. */
static int wait_for(int fd, short events, int cancel_fd, uint64_t ms)
{
    struct pollfd p[2] = {{.fd = fd, .events = events}, {.fd = cancel_fd, .events = POLLIN}};
    int n = poll(p, cancel_fd >= 0 ? 2 : 1, ms > 60000u ? 60000 : (int)ms);
    if (n < 0)
        return 0; /* EINTR: the callers look at the clock and come again */
    if (p[0].revents != 0)
        return 1;
    return cancel_fd >= 0 && p[1].revents != 0 ? 2 : 0;
}

/* The same of an answer that is due, which mostly comes soon. */
static int wait_for_answer(struct client_link *l, struct env *env, int cancel_fd, uint64_t ms)
{
    uint64_t from = env->ops->mono_ns(env), now = from, until = spin_begin(&l->spin, from);
    int event = 0;
    while (until != 0 && (event = wait_for(l->fd, POLLIN, cancel_fd, 0)) == 0 && (now = env->ops->mono_ns(env)) < until)
        spin_pause();
    if (until != 0)
        spin_end(&l->spin, event != 0, now);
    if (event != 0)
        return event;
    event = wait_for(l->fd, POLLIN, cancel_fd, ms);
    spin_slept(&l->spin, env->ops->mono_ns(env) - from);
    return event;
}

static quartet_status tcp_connect(const struct addrinfo *a, struct env *env, uint64_t deadline_ms,
                                  int *out, struct err *err)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, QUARTET_NET, "socket: %s", strerror(errno));
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
                     sizeof one); /* slower without, not wrong */
    int bad = connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    while (bad == EINPROGRESS || bad == EINTR) {
        uint64_t now = client_now_ms(env);
        if (now >= deadline_ms) {
            bad = ETIMEDOUT;
        } else if (wait_for(fd, POLLOUT, -1, deadline_ms - now) == 1) {
            socklen_t n = sizeof bad;
            if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &bad, &n) != 0)
                bad = errno;
        }
    }
    if (bad != 0) {
        (void)close(fd);
        return err_set(err, QUARTET_NET, "%s", strerror(bad));
    }
    *out = fd;
    return QUARTET_OK;
}

static quartet_status connect_host(const char *host, uint16_t port, struct env *env,
                                   uint64_t deadline_ms, int *out, struct err *err)
{
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port); /* fits: at most 5 digits */
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
    int bad = getaddrinfo(host, service, &hints, &found);
    if (bad != 0)
        return err_set(err, QUARTET_NET, "%s", gai_strerror(bad));
    quartet_status rc = err_set(err, QUARTET_NET, "no address");
    for (const struct addrinfo *a = found; a != NULL && rc != QUARTET_OK; a = a->ai_next)
        rc = tcp_connect(a, env, deadline_ms, out, err);
    freeaddrinfo(found);
    return rc;
}

static quartet_status write_all(struct client_link *l, struct env *env, uint64_t patience_ms,
                                struct err *err)
{
    size_t at = 0;
    uint64_t last = client_now_ms(env);
    while (at < l->out.len) {
        ssize_t n = send(l->fd, l->out.data + at, l->out.len - at, MSG_NOSIGNAL);
        if (n > 0) {
            at += (size_t)n;
            last = client_now_ms(env);
        } else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            return err_set(err, QUARTET_NET, "%s", strerror(errno));
        } else {
            uint64_t asked = client_now_ms(env);
            if (asked - last >= patience_ms)
                return err_set(err, QUARTET_NET, "it takes no more bytes");
            (void)wait_for(l->fd, POLLOUT, -1,
                           last + patience_ms - asked); /* the loop looks again */
            uint64_t now = client_now_ms(env);
            if (now > last + patience_ms + LATE_MS)
                last = now - patience_ms / 2; /* we did not run: try once more */
        }
    }
    buf_clear(&l->out);
    return QUARTET_OK;
}

/* Take what has come. QUARTET_OK with nothing new is possible. */
static quartet_status read_some(struct client_link *l, struct env *env, struct err *err)
{
    uint8_t *to = mem_alloc(READ_BYTES);
    if (to == NULL)
        return err_nomem(err);
    ssize_t n = recv(l->fd, to, READ_BYTES, 0);
    quartet_status rc = QUARTET_OK;
    if (n > 0) {
        l->heard_ms = client_now_ms(env);
        rc = frame_feed(&l->in, to, (size_t)n, err);
    } else if (n == 0) {
        rc = err_set(err, QUARTET_NET, "it closed the connection");
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        rc = err_set(err, QUARTET_NET, "%s", strerror(errno));
    }
    mem_free(to);
    return rc;
}

static quartet_status shake_hands(struct client_link *l, handshake *h, struct env *env,
                                  uint64_t deadline_ms, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && !handshake_done(h)) {
        struct slice body;
        if (frame_next(&l->in, &body, &rc, err)) {
            rc = handshake_input(h, body, &l->out, err);
            struct err ignored =
                ERR_INIT; /* on failure a refusal may be in out; it is only a courtesy */
            quartet_status sent = write_all(l, env, 200, rc == QUARTET_OK ? err : &ignored);
            if (rc == QUARTET_OK)
                rc = sent;
            continue;
        }
        uint64_t now = client_now_ms(env);
        if (rc != QUARTET_OK)
            break;
        if (now >= deadline_ms)
            return err_set(err, QUARTET_NET, "no answer within the time");
        if (wait_for(l->fd, POLLIN, -1, deadline_ms - now) == 1)
            rc = read_some(l, env, err);
    }
    return rc;
}

quartet_status client_link_open(struct client_link *l, const struct handshake_config *config,
                                const char *host, uint16_t port, uint32_t timeout_ms,
                                struct buf *doc, struct err *err)
{
    QASSERT(l->fd < 0);
    handshake *h = NULL;
    uint64_t deadline = client_now_ms(config->env) + timeout_ms;
    l->in.limit_bytes = HANDSHAKE_FRAME_BYTES_MAX;
    quartet_status rc = connect_host(host, port, config->env, deadline, &l->fd, err);
    if (rc == QUARTET_OK)
        rc = handshake_dial(config, &h, &l->out, err);
    if (rc == QUARTET_OK)
        rc = write_all(l, config->env, timeout_ms, err);
    if (rc == QUARTET_OK)
        rc = shake_hands(l, h, config->env, deadline, err);
    if (rc == QUARTET_OK) {
        const struct handshake_peer *who = handshake_peer(h);
        buf_clear(doc);
        buf_put(doc, who->doc_bytes.p, who->doc_bytes.n);
        rc = buf_check(doc, err);
        l->slot = who->slot;
        l->in.limit_bytes = NET_FRAME_BYTES_MAX;
        l->channel = handshake_take_channel(h);
        l->heard_ms = client_now_ms(config->env);
    }
    handshake_free(h);
    if (rc != QUARTET_OK)
        client_link_close(l, false);
    return rc;
}

quartet_status client_link_send(struct client_link *l, struct env *env, struct slice message,
                                struct err *err)
{
    quartet_status rc = channel_seal(l->channel, message, &l->out, err);
    if (rc == QUARTET_OK)
        rc = write_all(l, env, CLIENT_SILENCE_MS + 3 * l->rtt_us / 1000u, err);
    return rc;
}

static quartet_status send_simple(struct client_link *l, struct env *env, uint8_t kind,
                                  struct err *err)
{
    struct buf b = {0};
    session_put_simple(&b, kind, 0);
    quartet_status rc = buf_check(&b, err);
    if (rc == QUARTET_OK)
        rc = client_link_send(l, env, slice_of(b.data, b.len), err);
    buf_deinit(&b);
    return rc;
}

/* A pong to a keep-alive ping (request 0): note it. */
static bool take_keep_alive(struct client_link *l, struct env *env, struct slice message)
{
    struct bytes_in in;
    uint8_t kind = 0, slot = 0, state = 0;
    uint32_t id = 0;
    struct err ignored = ERR_INIT; /* a malformed message is told by whoever expects it */
    if (session_open_message(message, &in, &kind, &id, &ignored) != QUARTET_OK ||
        kind != SESSION_PONG || id != 0)
        return false;
    if (session_get_pong(&in, &slot, &state, &ignored) == QUARTET_OK)
        l->state = state;
    uint64_t now_us = env->ops->mono_ns(env) / 1000u;
    if (l->ping_sent_us != 0 && now_us > l->ping_sent_us)
        l->rtt_us = l->rtt_us == 0 ? now_us - l->ping_sent_us
                                   : (l->rtt_us * 7 + now_us - l->ping_sent_us) / 8;
    l->ping_sent_us = 0;
    return true;
}

/* One step of waiting: sleep until bytes come, a ping is due, or it is a cancel. */
static quartet_status wait_step(struct client_link *l, struct env *env, int cancel_fd,
                                uint64_t deadline_ms, uint64_t *ping_due_ms, struct err *err)
{
    uint64_t now = client_now_ms(env), silence = CLIENT_SILENCE_MS + 3 * l->rtt_us / 1000u;
    l->silent = now - l->heard_ms > silence;
    if (l->silent)
        return err_set(err, QUARTET_NET, "silent for %llu ms",
                       (unsigned long long)(now - l->heard_ms));
    if (deadline_ms != 0 && now >= deadline_ms)
        return err_set(err, QUARTET_NET, "no answer within the time");
    if (now >= *ping_due_ms) {
        *ping_due_ms = now + CLIENT_PING_INTERVAL_MS;
        l->ping_sent_us = env->ops->mono_ns(env) / 1000u;
        return send_simple(l, env, SESSION_PING, err);
    }
    uint64_t until = *ping_due_ms;
    if (deadline_ms != 0 && deadline_ms < until)
        until = deadline_ms;
    int event = wait_for_answer(l, env, cancel_fd, until - now);
    uint64_t after = client_now_ms(env);
    if (after > until + LATE_MS)
        l->heard_ms += after - until; /* we did not run: not its silence */
    if (event == 2) {
        uint64_t count = 0;
        ssize_t quiet = read(cancel_fd, &count, sizeof count); /* nothing to read is quiet, too */
        (void)quiet;
        return send_simple(l, env, SESSION_CANCEL, err);
    }
    return event == 1 ? read_some(l, env, err) : QUARTET_OK;
}

quartet_status client_link_receive(struct client_link *l, struct env *env, int cancel_fd,
                                   uint64_t deadline_ms, struct slice *message, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    uint64_t now = client_now_ms(env);
    uint64_t ping_due = now + CLIENT_PING_INTERVAL_MS;
    l->heard_ms = now; /* silence counts from when we began to listen */
    while (rc == QUARTET_OK) {
        struct slice body;
        if (frame_next(&l->in, &body, &rc, err)) {
            bool complete = false, ended = false;
            rc = channel_open(l->channel, body, &complete, message, &ended, err);
            if (rc == QUARTET_OK && ended)
                rc = err_set(err, QUARTET_NET, "it said goodbye");
            if (rc == QUARTET_OK && complete && !take_keep_alive(l, env, *message))
                return QUARTET_OK;
        } else if (rc == QUARTET_OK) {
            rc = wait_step(l, env, cancel_fd, deadline_ms, &ping_due, err);
        }
    }
    return rc;
}

quartet_status client_link_receive_quietly(struct client_link *l, struct env *env,
                                           uint64_t deadline_ms, struct slice *message,
                                           struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK) {
        struct slice body;
        if (frame_next(&l->in, &body, &rc, err)) {
            bool complete = false, ended = false;
            rc = channel_open(l->channel, body, &complete, message, &ended, err);
            if (rc == QUARTET_OK && ended)
                rc = err_set(err, QUARTET_NET, "it said goodbye");
            if (rc == QUARTET_OK && complete)
                return QUARTET_OK;
        } else if (rc == QUARTET_OK) {
            uint64_t now = client_now_ms(env);
            if (now >= deadline_ms)
                return err_set(err, QUARTET_NET, "no answer within the time");
            if (wait_for(l->fd, POLLIN, -1, deadline_ms - now) == 1)
                rc = read_some(l, env, err);
        }
    }
    return rc;
}
