/* wires.c - see wires.h.
 * How: a thread of its own makes each host: it leaves the network namespace of the process, opens a TUN device in its new one, gives it an address, and
 *   leaves two descriptors behind, the device's and the namespace's. The pump reads what hosts send and writes what is due.
 * Why a queue keeps its order: reordering would be a third kind of loss for TCP, and no wire does it. */
#include "wires.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "shell/clock.h"

#define PACKET_MAX 2048u      /* the devices' MTU is 1,500 */
#define QUEUE_MAX (256u << 10) /* bytes that a narrow wire keeps; what comes on top is lost, as in a switch */

struct wire_packet {
    struct wire_packet *next;
    double due;
    uint32_t n;
    unsigned char bytes[];
};

struct host_making {
    int host, tun, ns;
    int error;
    const char *step; /* that failed */
};

const char *wires_address(int host)
{
    static const char *const address[WIRES_HOSTS] = {"10.99.7.1", "10.99.7.2", "10.99.7.3", "10.99.7.4", "10.99.7.5"};
    return address[host];
}

static bool step(struct host_making *m, const char *what, bool ok)
{
    if (!ok && m->step == NULL) {
        m->step = what;
        m->error = errno;
    }
    return ok;
}

static bool set_address(int fd, struct ifreq *r, unsigned long request, const char *address)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    memcpy(&r->ifr_addr, &a, sizeof a);
    if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
        return false;
    memcpy(&r->ifr_addr, &a, sizeof a);
    return ioctl(fd, request, r) == 0;
}

static bool bring_up(int fd, const char *name)
{
    struct ifreq r = {0};
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(fd, SIOCSIFFLAGS, &r) == 0;
}

static void *make_host(void *arg)
{
    struct host_making *m = arg;
    struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(r.ifr_name, sizeof r.ifr_name, "wire0");
    bool ok = step(m, "a network namespace", unshare(CLONE_NEWNET) == 0);
    m->tun = ok ? open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
    ok = ok && step(m, "/dev/net/tun", m->tun >= 0) && step(m, "a TUN device", ioctl(m->tun, TUNSETIFF, &r) == 0);
    int fd = ok ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    ok = ok && step(m, "a socket", fd >= 0) && step(m, "an address", set_address(fd, &r, SIOCSIFADDR, wires_address(m->host))) &&
         step(m, "a netmask", set_address(fd, &r, SIOCSIFNETMASK, "255.255.255.0")) && step(m, "the device up", bring_up(fd, "wire0")) &&
         step(m, "loopback up", bring_up(fd, "lo"));
    if (fd >= 0)
        close(fd); /* only asked */
    m->ns = ok ? open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC) : -1;
    (void)(ok && step(m, "/proc/thread-self/ns/net", m->ns >= 0));
    return NULL;
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd); /* the write was looked at */
    return ok;
}

/* A user without rights has them in a user namespace of his own, where the system allows it. */
static bool gain_rights(void)
{
    char uid[64], gid[64];
    snprintf(uid, sizeof uid, "0 %u 1", (unsigned)geteuid());
    snprintf(gid, sizeof gid, "0 %u 1", (unsigned)getegid());
    return geteuid() == 0 || (unshare(CLONE_NEWUSER) == 0 && write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/uid_map", uid) &&
                              write_text("/proc/self/gid_map", gid));
}

/* ---- the pump ---- */

static double draw(struct wires *w) /* [0, 1), splitmix64 */
{
    uint64_t z = w->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static int host_of(const unsigned char *packet, size_t n) /* its destination; -1: not one of ours */
{
    if (n < 20 || packet[0] >> 4 != 4 || packet[16] != 10 || packet[17] != 99 || packet[18] != 7)
        return -1;
    return packet[19] >= 1 && packet[19] <= WIRES_HOSTS ? packet[19] - 1 : -1;
}

static void take_packet(struct wires *w, int from, const unsigned char *bytes, size_t n, double now)
{
    int to = host_of(bytes, n);
    if (to < 0 || to == from)
        return;
    const struct wire *x = &w->wire[from][to];
    struct wire_queue *q = &w->queue[from][to];
    struct wire_packet *p = NULL;
    if (!x->cut && !(x->loss > 0 && draw(w) < x->loss) && q->bytes + n <= QUEUE_MAX)
        p = malloc(sizeof *p + n);
    if (p == NULL) { /* without memory, too: networks lose packets */
        w->lost++;
        return;
    }
    p->next = NULL;
    p->n = (uint32_t)n;
    memcpy(p->bytes, bytes, n);
    double sent = now;
    if (x->bytes_per_s > 0) {
        sent = (q->free_at > now ? q->free_at : now) + (double)n / x->bytes_per_s;
        q->free_at = sent;
    }
    p->due = sent + (x->delay_ms + x->jitter_ms * draw(w)) / 1e3;
    p->due = p->due > q->last ? p->due : q->last;
    q->last = p->due;
    q->bytes += n;
    *q->end = p;
    q->end = &p->next;
}

/* When the next packet is due; 0: none waits. */
static double deliver(struct wires *w, double now)
{
    double next = 0;
    for (int from = 0; from < WIRES_HOSTS; from++)
        for (int to = 0; to < WIRES_HOSTS; to++) {
            struct wire_queue *q = &w->queue[from][to];
            while (q->first != NULL && q->first->due <= now) {
                struct wire_packet *p = q->first;
                q->first = p->next;
                q->end = q->first == NULL ? &q->first : q->end;
                q->bytes -= p->n;
                if (!w->wire[from][to].cut && write(w->tun[to], p->bytes, p->n) == (ssize_t)p->n)
                    w->carried++;
                else
                    w->lost++;
                free(p);
            }
            if (q->first != NULL && (next == 0 || q->first->due < next))
                next = q->first->due;
        }
    return next;
}

static void *pump_main(void *arg)
{
    struct wires *w = arg;
    struct pollfd fds[WIRES_HOSTS + 1] = {[WIRES_HOSTS] = {.fd = w->stop[0], .events = POLLIN}};
    unsigned char bytes[PACKET_MAX];
    for (int k = 0; k < WIRES_HOSTS; k++)
        fds[k] = (struct pollfd){.fd = w->tun[k], .events = POLLIN};
    while ((fds[WIRES_HOSTS].revents & (POLLIN | POLLHUP)) == 0) {
        pthread_mutex_lock(&w->lock);
        for (int k = 0; k < WIRES_HOSTS; k++) {
            ssize_t n;
            for (int i = 0; i < 64 && (n = read(w->tun[k], bytes, sizeof bytes)) > 0; i++)
                take_packet(w, k, bytes, (size_t)n, now_seconds());
        }
        double now = now_seconds(), next = deliver(w, now);
        pthread_mutex_unlock(&w->lock);
        int wait = next == 0 ? -1 : (int)((next - now) * 1e3) + 1;
        if (poll(fds, WIRES_HOSTS + 1, wait) < 0 && errno != EINTR)
            break;
    }
    return NULL;
}

bool wires_open(struct wires *w, uint64_t seed, char *why, size_t n)
{
    *w = (struct wires){.random = seed, .stop = {-1, -1}};
    pthread_mutex_init(&w->lock, NULL);
    for (int k = 0; k < WIRES_HOSTS; k++) {
        w->tun[k] = w->ns[k] = -1;
        for (int to = 0; to < WIRES_HOSTS; to++)
            w->queue[k][to].end = &w->queue[k][to].first;
    }
    bool ok = gain_rights() && pipe2(w->stop, O_CLOEXEC) == 0;
    if (!ok)
        snprintf(why, n, "no right to make network namespaces: %s", strerror(errno));
    for (int k = 0; ok && k < WIRES_HOSTS; k++) {
        struct host_making m = {.host = k, .tun = -1, .ns = -1};
        pthread_t t;
        ok = pthread_create(&t, NULL, make_host, &m) == 0 && pthread_join(t, NULL) == 0 && m.step == NULL;
        w->tun[k] = m.tun;
        w->ns[k] = m.ns;
        if (!ok)
            snprintf(why, n, "%s: %s", m.step != NULL ? m.step : "a thread", strerror(m.error));
    }
    w->pumping = ok && pthread_create(&w->pump, NULL, pump_main, w) == 0;
    if (ok && !w->pumping)
        snprintf(why, n, "no thread");
    if (!w->pumping)
        wires_close(w);
    return w->pumping;
}

void wires_close(struct wires *w)
{
    if (w->stop[1] >= 0)
        close(w->stop[1]); /* what the pump waits for */
    if (w->pumping)
        pthread_join(w->pump, NULL);
    if (w->stop[0] >= 0)
        close(w->stop[0]);
    for (int from = 0; from < WIRES_HOSTS; from++) {
        if (w->tun[from] >= 0)
            close(w->tun[from]); /* and the device goes */
        if (w->ns[from] >= 0)
            close(w->ns[from]);
        for (int to = 0; to < WIRES_HOSTS; to++)
            for (struct wire_packet *p = w->queue[from][to].first, *next; p != NULL; p = next) {
                next = p->next;
                free(p);
            }
    }
    pthread_mutex_destroy(&w->lock);
}

bool wires_enter(const struct wires *w, int host)
{
    return setns(w->ns[host], CLONE_NEWNET) == 0;
}

void wires_set(struct wires *w, int from, int to, const struct wire *x)
{
    pthread_mutex_lock(&w->lock);
    w->wire[from][to] = *x;
    w->queue[from][to].free_at = 0;
    pthread_mutex_unlock(&w->lock);
}

void wires_between_nodes(struct wires *w, const struct wire *x)
{
    for (int from = 0; from < WIRES_CLIENTS; from++)
        for (int to = 0; to < WIRES_CLIENTS; to++)
            if (from != to)
                wires_set(w, from, to, x);
}
