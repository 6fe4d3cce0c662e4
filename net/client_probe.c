/* client_probe.c - which node is nearest: all ports are asked at the same time, and the time until each answers is taken. Names are looked up before the clock starts. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client_internal.h"

static int begin(const struct client_node *n)
{
    char service[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
    (void)snprintf(service, sizeof service, "%u", n->port); /* fits: at most 5 digits */
    if (getaddrinfo(n->host, service, &hints, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS) {
        (void)close(fd); /* nothing was written */
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static bool answered(int fd)
{
    int bad = 0;
    socklen_t n = sizeof bad;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &bad, &n) == 0 && bad == 0;
}

void client_probe(struct client_node *nodes, uint32_t count, struct env *env, uint32_t timeout_ms)
{
    struct pollfd p[CLIENT_NODES_MAX];
    uint64_t start[CLIENT_NODES_MAX], deadline = client_now_ms(env) + timeout_ms;
    uint32_t open = 0;
    QASSERT(count <= CLIENT_NODES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        nodes[i].probe_us = UINT64_MAX;
        start[i] = env->ops->mono_ns(env);
        p[i] = (struct pollfd){.fd = begin(&nodes[i]), .events = POLLOUT};
        open += p[i].fd >= 0;
    }
    while (open > 0) {
        uint64_t now = client_now_ms(env);
        if (now >= deadline || (poll(p, count, (int)(deadline - now)) < 0 && errno != EINTR))
            break; /* who is silent is asked last */
        for (uint32_t i = 0; i < count; i++) {
            if (p[i].fd < 0 || p[i].revents == 0)
                continue;
            if (answered(p[i].fd))
                nodes[i].probe_us = (env->ops->mono_ns(env) - start[i]) / 1000u;
            (void)close(p[i].fd); /* nothing was written */
            p[i].fd = -1; /* poll leaves it out */
            open--;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        if (p[i].fd >= 0)
            (void)close(p[i].fd);
}
