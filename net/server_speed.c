/* server_speed.c - is a link so slow that bytes are to be saved? Measured by the kernel, which knows what was acknowledged and what it waited for.
 * A link is slow as long as, in each tenth of a second, more waits to be sent than a little, the network and not the receiver's or our own memory is what it waits for, and less than
 *   SERVER_SLOW_BYTES_PER_S went. On loopback, and where the other side is short of processor time, the kernel waits for the receiver's window: there it would be wrong to spend more
 *   processor time. For what is measured see tcp_info in the kernel's headers, which alone are included here: the C library has an older one. */
#include <linux/tcp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "server_speed.h"

#define SAMPLE_MS       100u
#define STRIKES         2u
#define SLOW_MS         3000u /* it stays so for a while: else compression, which empties the queue, would end itself */
#define WAITING_BYTES   (16u << 10)
#define UNDER_WAY_LEAST (16u << 10)

void server_speed_begin(int fd)
{
    int lowat = (int)SERVER_UNSENT_BYTES;
    /* What the kernel has taken cannot be overtaken any more. Without it fresh deltas are later, not wrong. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
}

void server_speed_look(struct link_speed *s, int fd, size_t queued_bytes, uint64_t now_ms)
{
    struct tcp_info t = {.tcpi_state = 0};
    socklen_t n = sizeof t;
    if (now_ms - s->at_ms < SAMPLE_MS || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &t, &n) != 0)
        return;
    uint64_t waited_us = t.tcpi_busy_time - t.tcpi_rwnd_limited - t.tcpi_sndbuf_limited, interval_us = (now_ms - s->at_ms) * 1000u;
    bool began = s->at_ms != 0;
    uint64_t of_network = waited_us > s->waited_us ? waited_us - s->waited_us : 0, acked = t.tcpi_bytes_acked - s->acked;
    s->at_ms = now_ms;
    s->waited_us = waited_us;
    s->acked = t.tcpi_bytes_acked;
    s->bytes_per_s = t.tcpi_delivery_rate;
    s->rtt_us = t.tcpi_min_rtt;
    bool slow = began && t.tcpi_notsent_bytes + queued_bytes > WAITING_BYTES && of_network > interval_us / 2 && acked * 1000000u < interval_us * SERVER_SLOW_BYTES_PER_S;
    s->strikes = slow ? s->strikes + 1 : 0;
    if (s->strikes >= STRIKES)
        s->slow_until_ms = now_ms + SLOW_MS;
}

bool server_speed_has_room(const struct link_speed *s, int fd, uint64_t now_ms)
{
    int under_way = 0;
    if (s->slow_until_ms <= now_ms || ioctl(fd, SIOCOUTQ, &under_way) != 0)
        return true;
    /* Twice what fills it, as in BBR (Cardwell et al. 2016), and a tenth of a second, for we look every twentieth. */
    uint64_t enough = s->bytes_per_s * (2 * s->rtt_us + 100000u) / 1000000u;
    return (uint64_t)under_way < (enough > UNDER_WAY_LEAST ? enough : UNDER_WAY_LEAST);
}
