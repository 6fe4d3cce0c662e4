/* route.c - quartetd route: takes connections at one address and passes each on to a node that is well, byte for byte. Encryption goes from the client to the node, so nothing is seen or
 * changed here, and no key is needed but the one that asks the nodes how they are.
 * How: a thread asks all nodes once a second by real questions, since a stopped process accepts connections too; one thread per connection copies. A new connection goes to the well node with the
 *   fewest; where a node stops answering its connections are ended, so that its clients come again and are taken to another one.
 * Limits: CONNECTIONS_MAX; a node counts as gone after two questions without an answer. */
#include "route.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nodes.h"

#define EXIT_USAGE 64
#define CONNECTIONS_MAX 512
#define ASK_MS 1000
#define CONNECT_MS 250
#define COPY_BYTES 65536

struct router;
struct passing { /* one connection */
    struct router *router;
    int node;      /* -1: the place is free */
    int client, far;
};
struct router {
    struct nodes nodes;   /* of the thread that asks */
    pthread_mutex_t lock; /* guards what follows */
    char address[NODES_MAX][NODES_TEXT_MAX];
    int count;
    int misses[NODES_MAX]; /* questions without an answer, one after the other; 2: gone */
    bool avoid[NODES_MAX]; /* drained, starting, too old, ...: where no other one is there */
    int load[NODES_MAX];
    struct passing passing[CONNECTIONS_MAX];
};

/* A signal handler can reach nothing but a global. */
static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
    (void)sig; /* all of them mean: end */
    ended = 1;
}

/* ---- asking the nodes ---- */

/* Whoever copies for this node sees its sockets end. Lock held. */
static void end_connections(struct router *r, int k)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (r->passing[i].node == k && r->passing[i].far >= 0) {
            (void)shutdown(r->passing[i].far, SHUT_RDWR); /* it may be gone already */
            (void)shutdown(r->passing[i].client, SHUT_RDWR);
        }
}

static void take_answers(struct router *r)
{
    pthread_mutex_lock(&r->lock);
    for (int k = 0; k < r->count; k++) {
        const struct node_view *v = &r->nodes.node[k];
        int before = r->misses[k];
        r->misses[k] = v->up ? 0 : before < 2 ? before + 1 : 2;
        const char *state = v->up && v->slot >= 0 ? v->says[v->slot].state : "";
        bool drained = false;
        for (int i = 0; i < r->count; i++) /* its own line is cut after the state; the others tell all */
            if (v->slot >= 0 && r->nodes.node[i].up && r->nodes.node[i].slot != v->slot && strstr(r->nodes.node[i].says[v->slot].state, "drained") != NULL)
                drained = true;
        r->avoid[k] = drained || strcmp(state, "ready") != 0;
        if (r->misses[k] == 2 && before < 2) {
            fprintf(stderr, "route: %s does not answer: its %d connections are ended\n", r->address[k], r->load[k]);
            end_connections(r, k);
        } else if (r->misses[k] == 0 && before == 2) {
            fprintf(stderr, "route: %s answers again\n", r->address[k]);
        }
    }
    pthread_mutex_unlock(&r->lock);
}

static void *ask_nodes(void *arg)
{
    struct router *r = arg;
    while (!ended) {
        nodes_ask(&r->nodes, ASK_MS);
        take_answers(r);
        (void)poll(NULL, 0, ASK_MS); /* a pause, nothing to wait for */
    }
    return NULL;
}

/* ---- connections ---- */

/* The best node that was not tried: well before avoided, then by load. -1: none is left. Lock held. */
static int choose(const struct router *r, unsigned tried)
{
    int best = -1;
    for (int k = 0; k < r->count; k++) {
        if ((tried & (1u << k)) != 0)
            continue;
        int rank = r->misses[k] * 2 + r->avoid[k], best_rank = best < 0 ? 0 : r->misses[best] * 2 + r->avoid[best];
        if (best < 0 || rank < best_rank || (rank == best_rank && r->load[k] < r->load[best]))
            best = k;
    }
    return best;
}

static int find_address(const char *address, int flags, struct addrinfo **out)
{
    char host[NODES_TEXT_MAX];
    const char *colon = strrchr(address, ':');
    if (colon == NULL || (size_t)(colon - address) >= sizeof host)
        return EAI_NONAME;
    bool v6 = address[0] == '[' && colon > address + 1 && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - address) - 2 * v6, address + v6);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    return getaddrinfo(host, colon + 1, &hints, out);
}

int route_connect(const char *address)
{
    struct addrinfo *found = NULL;
    if (find_address(address, 0, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), bad = 0, one = 1;
    socklen_t n = sizeof bad;
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS)
        bad = errno;
    freeaddrinfo(found);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (fd >= 0 && bad == 0 && (poll(&p, 1, CONNECT_MS) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &bad, &n) != 0))
        bad = ETIMEDOUT;
    if (fd >= 0 && bad != 0) {
        (void)close(fd); /* nothing was written */
        return -1;
    }
    if (fd >= 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* slower without, not wrong */
    return fd;
}

struct pipe { /* one direction: what was read and could not be written yet */
    int from, to;
    size_t at, n;
    unsigned char bytes[COPY_BYTES];
};

/* False: this direction has ended. */
static bool move(struct pipe *p)
{
    for (;;) {
        if (p->n == 0) {
            ssize_t got = read(p->from, p->bytes, sizeof p->bytes);
            if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return true;
            if (got <= 0)
                return false;
            p->at = 0;
            p->n = (size_t)got;
        }
        ssize_t put = send(p->to, p->bytes + p->at, p->n, MSG_NOSIGNAL);
        if (put < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (put <= 0)
            return false;
        p->at += (size_t)put;
        p->n -= (size_t)put;
    }
}

static void copy(int client, int far)
{
    struct pipe *up = malloc(sizeof *up), *down = malloc(sizeof *down);
    bool open = up != NULL && down != NULL;
    if (open) {
        up->from = down->to = client;
        up->to = down->from = far;
        up->n = down->n = 0;
    }
    while (open && !ended) {
        struct pollfd p[2] = {{.fd = client, .events = (short)((up->n == 0 ? POLLIN : 0) | (down->n > 0 ? POLLOUT : 0))},
                              {.fd = far, .events = (short)((down->n == 0 ? POLLIN : 0) | (up->n > 0 ? POLLOUT : 0))}};
        if (poll(p, 2, 1000) < 0 && errno != EINTR)
            break;
        if ((p[0].revents | p[1].revents) != 0)
            open = move(up) && move(down);
    }
    free(up);
    free(down);
}

static void *pass(void *arg)
{
    struct passing *c = arg;
    struct router *r = c->router;
    unsigned tried = 0;
    int far = -1, k = -1;
    pthread_mutex_lock(&r->lock);
    while (far < 0 && (k = choose(r, tried)) >= 0) {
        tried |= 1u << k;
        pthread_mutex_unlock(&r->lock);
        far = route_connect(r->address[k]);
        pthread_mutex_lock(&r->lock);
    }
    if (far >= 0) {
        c->node = k;
        c->far = far;
        r->load[k]++;
    }
    pthread_mutex_unlock(&r->lock);
    if (far >= 0)
        copy(c->client, far);
    else
        fprintf(stderr, "route: no node can be reached\n");
    pthread_mutex_lock(&r->lock);
    if (far >= 0) {
        r->load[k]--;
        (void)close(far); /* what was to be said was said */
    }
    (void)close(c->client);
    *c = (struct passing){.node = -1, .client = -1, .far = -1};
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void take(struct router *r, int client)
{
    struct passing *free_one = NULL;
    pthread_t t;
    int one = 1;
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* slower without, not wrong */
    pthread_mutex_lock(&r->lock);
    for (int i = 0; i < CONNECTIONS_MAX && free_one == NULL; i++)
        if (r->passing[i].client < 0)
            free_one = &r->passing[i];
    if (free_one != NULL)
        *free_one = (struct passing){.router = r, .node = -1, .client = client, .far = -1};
    pthread_mutex_unlock(&r->lock);
    bool begun = free_one != NULL && pthread_create(&t, NULL, pass, free_one) == 0 && pthread_detach(t) == 0;
    if (begun)
        return;
    fprintf(stderr, "route: a connection is turned away: %s\n", free_one == NULL ? "there are as many as can be" : "no thread can be had");
    (void)close(client); /* nothing was written */
    if (free_one != NULL) {
        pthread_mutex_lock(&r->lock);
        *free_one = (struct passing){.node = -1, .client = -1, .far = -1};
        pthread_mutex_unlock(&r->lock);
    }
}

/* ---- all of it ---- */

static int listen_at(const char *address)
{
    struct addrinfo *found = NULL;
    int bad = find_address(address, AI_PASSIVE, &found), one = 1;
    if (bad != 0) {
        fprintf(stderr, "quartetd route: %s: %s\n", address, gai_strerror(bad));
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 && bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, 128) == 0;
    if (!ok)
        fprintf(stderr, "quartetd route: %s: %s\n", address, strerror(errno));
    freeaddrinfo(found);
    if (!ok && fd >= 0)
        (void)close(fd); /* nothing was written */
    return ok ? fd : -1;
}

static int serve(struct router *r, int listening)
{
    pthread_t asking;
    struct sigaction act = {.sa_handler = on_signal};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    /* Threads inherit the mask: a signal comes to this one, and wakes its poll. */
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0 || pthread_create(&asking, NULL, ask_nodes, r) != 0) {
        fprintf(stderr, "quartetd route: no thread can be had\n");
        return 1;
    }
    (void)sigaction(SIGINT, &act, NULL); /* cannot fail with these */
    (void)sigaction(SIGTERM, &act, NULL);
    sigset_t open;
    sigemptyset(&open);
    while (!ended) {
        struct pollfd p = {.fd = listening, .events = POLLIN};
        if (ppoll(&p, 1, NULL, &open) != 1)
            continue;
        int client = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client >= 0)
            take(r, client);
        else if (errno == EMFILE || errno == ENFILE)
            (void)poll(NULL, 0, 50); /* a pause: some connection may end meanwhile */
    }
    (void)pthread_join(asking, NULL); /* it was made */
    return 0;
}

int route_run(int count, char **args)
{
    static struct router r; /* its threads may outlive this function by a moment, as the process ends */
    const char *listen_address = NULL, *url = getenv("QUARTET_URL"), *why = NULL;
    for (int i = 0; i < count; i++) {
        if (strcmp(args[i], "--listen") == 0 && i + 1 < count)
            listen_address = args[++i];
        else if (strcmp(args[i], "--die-with-parent") == 0)
            (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* then it outlives its parent */
        else if (strncmp(args[i], "quartet://", 10) == 0)
            url = args[i];
        else
            listen_address = url = NULL;
    }
    if (listen_address == NULL || url == NULL) {
        fprintf(stderr, "usage: quartetd route --listen HOST:PORT [URL]\n");
        return EXIT_USAGE;
    }
    if (!nodes_parse(&r.nodes, url, &why)) {
        fprintf(stderr, "quartetd route: %s\n", why);
        return EXIT_USAGE;
    }
    r.count = r.nodes.count;
    for (int k = 0; k < r.count; k++)
        memcpy(r.address[k], r.nodes.node[k].address, sizeof r.address[k]); /* both of NODES_TEXT_MAX, ended by a NUL */
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        r.passing[i] = (struct passing){.node = -1, .client = -1, .far = -1};
    if (pthread_mutex_init(&r.lock, NULL) != 0)
        return 1;
    int listening = listen_at(listen_address);
    if (listening < 0)
        return 1;
    printf("ready %s\n", listen_address);
    fflush(stdout);
    return serve(&r, listening);
}
