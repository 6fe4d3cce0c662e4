/* server_speed.h - how fast a link is, for the server's files. See server_speed.c. */
#ifndef NET_SERVER_SPEED_H
#define NET_SERVER_SPEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVER_SLOW_BYTES_PER_S (4u << 20)
#define SERVER_UNSENT_BYTES     (64u << 10) /* of a peer's link, in the kernel and not sent yet */

struct link_speed {
    uint64_t at_ms, waited_us, acked; /* of the last look */
    uint32_t strikes;
    uint64_t slow_until_ms; /* below now: it is not slow */
    uint64_t bytes_per_s, rtt_us; /* delivered of late; the shortest round trip */
};
void server_speed_begin(int fd); /* of a link with a peer, once */
void server_speed_look(struct link_speed *s, int fd, size_t queued_bytes, uint64_t now_ms); /* now and then; queued_bytes: what waits outside of the kernel */
/* May more that is not urgent be given to the system? On a slow link as much is under way as fills it, and a little: what is under way cannot be overtaken, and the queues of narrow
 * links are long. */
bool server_speed_has_room(const struct link_speed *s, int fd, uint64_t now_ms);

#endif
