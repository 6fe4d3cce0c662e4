/* wires.h - five hosts, each in a network namespace of its own, and the wires between them: delayed, lossy, narrow, cut one way or both. Four hosts
 * are for nodes, the fifth for their clients. What a host sends comes out of a TUN device, is kept as long as its wire says, and goes into the other
 * host's device: so real TCP connections meet real delay and loss, on kernels without a network emulator, too, and of the machine's own network
 * nothing is touched. Needs the right to make network namespaces: that of root, or of a user namespace. */
#ifndef NETNS_WIRES_H
#define NETNS_WIRES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRES_HOSTS 5
#define WIRES_CLIENTS 4 /* the host of the clients */

/* Of one direction of one wire. All zero: at once, and nothing lost. */
struct wire {
    bool cut;
    double delay_ms, jitter_ms;
    double loss;          /* 0.05: one packet of twenty */
    double bytes_per_s;   /* 0: no limit */
};

struct wire_packet;
struct wire_queue {
    struct wire_packet *first, **end;
    double last;          /* when the last packet in it is due: a wire keeps the order */
    double free_at;       /* when a narrow wire has sent what is in it */
    size_t bytes;
};

struct wires {
    int tun[WIRES_HOSTS], ns[WIRES_HOSTS];
    pthread_t pump;
    bool pumping;
    int stop[2];          /* a pipe; closed: the pump ends */
    pthread_mutex_t lock; /* of what follows */
    struct wire wire[WIRES_HOSTS][WIRES_HOSTS]; /* from, to */
    struct wire_queue queue[WIRES_HOSTS][WIRES_HOSTS]; /* the pump's */
    uint64_t random;
    uint64_t carried, lost; /* packets */
};

/* Makes hosts and wires; the calling process has one thread. False: not allowed or not possible here, and why says so. */
bool wires_open(struct wires *w, uint64_t seed, char *why, size_t n);
void wires_close(struct wires *w);
const char *wires_address(int host); /* "10.99.7.1" */
/* The calling thread, and what it starts from now on, is on that host. */
bool wires_enter(const struct wires *w, int host);
void wires_set(struct wires *w, int from, int to, const struct wire *x);
/* All wires between nodes, both ways; those of the clients stay as they are. */
void wires_between_nodes(struct wires *w, const struct wire *x);

#endif
