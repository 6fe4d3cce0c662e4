/* free_port.c - see free_port.h. Processes that look at the same time begin at different places, so that they seldom meet. */
#include "free_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOWEST 10000u /* below: services known by their number */
#define PER_PROCESS 61u /* a prime: the places of processes with following ids lie apart */

/* [*first, *first + the result): the longer of what lies below and above the range for outgoing connections. */
static unsigned range(unsigned *first)
{
    unsigned low = 32768, high = 60999; /* Linux's default; where it cannot be read, it was not changed either */
    FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");
    if (f != NULL) {
        unsigned a, b;
        if (fscanf(f, "%u %u", &a, &b) == 2 && a <= b && b <= 65535) {
            low = a;
            high = b;
        }
        fclose(f); /* it was only read */
    }
    unsigned below = low > LOWEST ? low - LOWEST : 0, above = 65535 - high;
    if (below == 0 && above == 0) { /* all of them are for outgoing connections: then any may be taken away */
        *first = LOWEST;
        return 65535 - LOWEST;
    }
    *first = below >= above ? LOWEST : high + 1;
    return below >= above ? below : above;
}

static bool is_free(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0)
        close(fd); /* it never listened */
    return ok;
}

uint16_t free_port(void)
{
    static unsigned next, count; /* one thread */
    static unsigned first;
    if (count == 0) {
        count = range(&first);
        next = (unsigned)getpid() * PER_PROCESS % count;
    }
    for (unsigned tries = 0; tries < count; tries++) {
        uint16_t port = (uint16_t)(first + next);
        next = (next + 1) % count;
        if (is_free(port))
            return port;
    }
    errno = EADDRINUSE;
    return 0;
}
