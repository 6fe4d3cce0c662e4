/* test_hostile.c - real nodes and everything that a network may throw at them: noise, lengths that lie, half handshakes, replays, HTTP
 * garbage, clients that dawdle, keys of another cluster, a node of another cluster, a member with a right key that lies.
 * After each the nodes still serve, and their memory is back; each kind leaves a line in the log. */
#include "proc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crdt/delta_sign.h"
#include "hostile.h"

#ifdef __SANITIZE_ADDRESS__
#define RSS_SLACK_KIB (300 * 1024) /* freed memory is kept aside on purpose */
#else
#define RSS_SLACK_KIB (8 * 1024) /* what an allocator may keep */
#endif
#define NOISE_LINKS 150
#define SLOW_LINKS 50

/* Both ports of node 0. */
struct target {
    struct proc *p;
    int port, http;
};

/* ---- noise ---- */

static void noise(struct target *t)
{
    static uint8_t bytes[65536];
    int open_links = 0;
    for (int i = 0; i < NOISE_LINKS; i++) {
        size_t n = 1 + proc_random(t->p) % (i % 10 == 0 ? sizeof bytes : 2000);
        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)proc_random(t->p);
        if (i % 3 == 0) /* a length that claims more than will come */
            memcpy(bytes, i % 2 == 0 ? "\xff\xff\xff\xff" : "\xff\xff\x0f\x00", n < 4 ? n : 4);
        if (i % 3 == 1) /* a plausible length, and noise for a body */
            memcpy(bytes, "\x48\x00\x00\x00", n < 4 ? n : 4);
        int fd = raw_open(i % 5 == 4 ? t->http : t->port);
        size_t got = 0;
        (void)raw_send(fd, bytes, n); /* the node may have closed already */
        shutdown(fd, SHUT_WR);
        open_links += !raw_wait_closed(fd, 10, &got);
        if (got > 0 && i % 5 != 4)
            proc_fail(t->p, "noise on the native port was answered with %zu bytes", got);
        close(fd);
    }
    if (open_links > 0)
        proc_fail(t->p, "%d noisy links were not closed within 10 s", open_links);
}

/* ---- HTTP ---- */

static void http_one(struct target *t, int port, const char *head, size_t n, const char *expected)
{
    char answer[4096];
    int fd = raw_open(port);
    (void)raw_send(fd, head, n); /* a refusal may come before all is sent */
    size_t got = raw_read_all(fd, answer, sizeof answer - 1, 10);
    answer[got] = '\0';
    if (strncmp(answer, expected, strlen(expected)) != 0)
        proc_fail(t->p, "HTTP: expected \"%s\", got \"%.40s\" to \"%.30s\"", expected, answer, head);
    close(fd);
}

static void http(struct target *t)
{
    static char line[100000];
    static const struct {
        const char *head, *expected;
    } cases[] = {
        {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
        {"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
        {"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
        {"GET /nosuch HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404"},
        {"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 40"},
        {"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 4"},
        {"\r\n\r\n", "HTTP/1.1 4"},
        {"GET\r\n\r\n", "HTTP/1.1 4"},
        {"GET /healthz\r\n\r\n", "HTTP/1.1 4"},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 \r\n\r\n", "HTTP/1.1 4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        http_one(t, t->http, cases[i].head, strlen(cases[i].head), cases[i].expected);
    memset(line, 'a', sizeof line);
    memcpy(line, "GET /", 5);
    http_one(t, t->http, line, sizeof line, "HTTP/1.1 4");
    http_one(t, t->port, cases[0].head, strlen(cases[0].head), ""); /* HTTP on the native port: silence */
}

/* ---- handshakes ---- */

static void handshakes(struct target *t, const char *cluster_dir)
{
    struct dialled d;
    uint8_t first[256];
    size_t n, got;
    if (!dialled_open(&d, cluster_dir, "admin.key", t->port, 0)) {
        proc_fail(t->p, "no handshake could be prepared: %s", d.error);
        return;
    }
    n = dialled_first(&d, first, sizeof first);
    /* Right first messages that nothing follows, some cut short. */
    for (int i = 0; i < 20; i++) {
        int fd = raw_open(t->port);
        (void)raw_send(fd, first, i % 2 == 0 ? n : n * (size_t)i / 40); /* a cut-off one is the test */
        shutdown(fd, SHUT_WR);
        if (!raw_wait_closed(fd, 10, &got))
            proc_fail(t->p, "a half handshake was not closed within 10 s");
        if (i > 0 && got > 0)
            proc_fail(t->p, "a replayed or cut first message was answered with %zu bytes", got);
        close(fd);
    }
    /* One flipped bit at each byte of another. */
    dialled_close(&d);
    for (size_t at = 4; at < n; at += 3) {
        if (!dialled_open(&d, cluster_dir, "admin.key", t->port, 0))
            break;
        n = dialled_first(&d, first, sizeof first);
        first[at] ^= 0x10;
        int fd = raw_open(t->port);
        (void)raw_send(fd, first, n); /* may be closed already */
        shutdown(fd, SHUT_WR);
        if (!raw_wait_closed(fd, 10, &got) || got > 0)
            proc_fail(t->p, "a first message with byte %zu altered was answered", at);
        close(fd);
        dialled_close(&d);
    }
}

/* A client with a right key that then talks nonsense, encrypted and not. */
static void keyed_client(struct target *t, const char *cluster_dir)
{
    for (int i = 0; i < 20; i++) {
        struct dialled d;
        uint8_t bytes[600];
        size_t got = 0;
        if (!dialled_open(&d, cluster_dir, "admin.key", t->port, 0) || !dialled_complete(&d)) {
            proc_fail(t->p, "a client with a right key got no link: %s", d.error);
            dialled_close(&d);
            return;
        }
        size_t n = 1 + proc_random(t->p) % sizeof bytes;
        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)proc_random(t->p);
        if (i % 2 == 0)
            (void)dialled_send(&d, bytes, n); /* it may be closed at any time */
        else
            (void)raw_send(d.fd, bytes, n); /* likewise */
        shutdown(d.fd, SHUT_WR);
        if (!raw_wait_closed(d.fd, 10, &got))
            proc_fail(t->p, "a client that talks nonsense was not cut off within 10 s");
        dialled_close(&d);
    }
}

/* ---- those who dawdle ---- */

static void slow(struct target *t)
{
    int fds[SLOW_LINKS];
    char text[256];
    for (int i = 0; i < SLOW_LINKS; i++)
        fds[i] = raw_open(i % 2 == 0 ? t->port : t->http);
    double until = now_seconds() + 15;
    int left = SLOW_LINKS;
    bool served = true;
    while (left > 0 && now_seconds() < until) {
        for (int i = 0; i < SLOW_LINKS; i++)
            if (fds[i] >= 0 && !raw_send(fds[i], "G", 1)) {
                close(fds[i]);
                fds[i] = -1;
                left--;
            }
        served = cluster_ask(t->p->cluster.node_url[0], "SELECT 1", text, sizeof text) && served;
        pause_ms(100);
    }
    if (left > 0)
        proc_fail(t->p, "%d of %d links that send a byte now and then were kept for 15 s", left, SLOW_LINKS);
    if (!served)
        proc_fail(t->p, "no service while %d links dawdle: %s", SLOW_LINKS, text);
    for (int i = 0; i < SLOW_LINKS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* ---- others' keys ---- */

/* Another cluster that claims the same addresses: its client and its node 3 come to us with valid keys of theirs. */
static void foreign(struct proc *p)
{
    static struct proc other; /* large; one */
    char text[1024];
    other = (struct proc){.guard = p->guard, .seed = p->seed};
    snprintf(other.dir, sizeof other.dir, "%.200s/foreign", p->dir);
    char address[CLUSTER_NODES][32], https[CLUSTER_NODES][32], *error = NULL;
    const char *addresses[CLUSTER_NODES], *http_addresses[CLUSTER_NODES];
    for (int k = 0; k < CLUSTER_NODES; k++) {
        snprintf(address[k], sizeof address[k], "127.0.0.1:%d", url_port(p->cluster.node_url[k]));
        snprintf(https[k], sizeof https[k], "127.0.0.1:%d", http_port(p, k));
        addresses[k] = address[k];
        http_addresses[k] = https[k];
    }
    if (quartet_cluster_init(other.dir, CLUSTER_NODES, addresses, http_addresses, &error) != QUARTET_OK ||
        !cluster_init(&other.cluster, other.dir, "") || !cluster_make(&other.cluster)) {
        proc_fail(p, "no second cluster: %s", error != NULL ? error : other.cluster.error);
        quartet_free(error);
        return;
    }
    int before = proc_log_lines(p, 0, "refused");
    char patient[9000];
    snprintf(patient, sizeof patient, "%s&timeout=2000", other.cluster.node_url[0]);
    if (cluster_ask(patient, "SELECT 1", text, sizeof text))
        proc_fail(p, "a client of another cluster was served");
    if (proc_log_lines(p, 0, "refused") <= before)
        proc_fail(p, "no log line about a client of another cluster");
    /* Node 3 goes; the other cluster's node 3 takes its port and dials ours. */
    proc_signal(p, 3, SIGKILL);
    before = proc_log_lines(p, 0, "refused");
    if (!proc_start(&other, 3)) {
        proc_fail(p, "the foreign node does not start: %s", other.cluster.error);
        return;
    }
    double until = now_seconds() + 10;
    while (proc_log_lines(p, 0, "refused") <= before && now_seconds() < until)
        pause_ms(50);
    if (proc_log_lines(p, 0, "refused") <= before)
        proc_fail(p, "no log line about a node of another cluster");
    if (!cluster_ask(p->cluster.node_url[0], "SELECT count(*) FROM t", text, sizeof text))
        proc_fail(p, "no service beside a node of another cluster: %s", text);
    proc_signal(&other, 3, SIGKILL);
    p->failures += other.failures;
    proc_start(p, 3);
    double took;
    if (!cluster_wait_ready(&p->cluster, 3, 20000))
        proc_fail(p, "%s", p->cluster.error);
    proc_wait_equal(p, 15, 10, &took);
}

/* ---- a member that lies ---- */

/* On a link of its own to one node, which must cut it and say why. */
static void lie(struct proc *p, int to, const char *keys_dir, const uint8_t *message, size_t n, const char *what)
{
    struct dialled d;
    size_t got;
    int before = proc_log_lines(p, to, "invalid");
    if (n == 0 || !dialled_open(&d, keys_dir, "node.key", url_port(p->cluster.node_url[to]), to)) {
        proc_fail(p, "%s: it could not be made", what);
        return;
    }
    if (!dialled_complete(&d))
        proc_fail(p, "%s: no link as member: %s", what, d.error);
    else if (!dialled_send(&d, message, n) || !raw_wait_closed(d.fd, 10, &got))
        proc_fail(p, "%s: the link was not closed", what);
    else if (proc_log_lines(p, to, "invalid") <= before)
        proc_fail(p, "%s: no log line", what);
    dialled_close(&d);
}

/* Slot 3's key is in our hands: batches under it in the name of slot 1, altered after signing, and noise instead of messages. Each goes to
 * another node: who was lied to keeps away from the liar for seconds. */
static void lying_member(struct proc *p)
{
    char keys_dir[CLUSTER_PATH_MAX + 16];
    uint8_t bytes[2048];
    size_t n;
    snprintf(keys_dir, sizeof keys_dir, "%s/3/keys", p->cluster.dir);
    proc_signal(p, 3, SIGKILL);
    n = forge_batch(keys_dir, 1, FORGE_OTHER_SLOT, bytes, sizeof bytes);
    lie(p, 0, keys_dir, bytes, n, "a batch in another's name");
    n = forge_batch(keys_dir, 3, FORGE_ALTERED, bytes, sizeof bytes);
    lie(p, 1, keys_dir, bytes, n, "a batch altered after signing");
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)proc_random(p);
    lie(p, 2, keys_dir, bytes, sizeof bytes, "noise for a message");
    double took;
    proc_start(p, 3);
    if (!cluster_wait_ready(&p->cluster, 3, 20000))
        proc_fail(p, "%s", p->cluster.error);
    proc_exec(p, p->cluster.node_url[3], "INSERT INTO t VALUES (0)"); /* must get to those who are cross with the slot */
    if (proc_wait_equal(p, 15, 20, &took))
        printf("  the true node 3 was let in again after %.1f s\n", took);
}

static void still_serves(struct target *t, const char *after, long rss, pid_t pid)
{
    char text[256];
    if (!cluster_ask(t->p->cluster.node_url[0], "SELECT count(*), sum(x) FROM t", text, sizeof text) || (strcmp(text, "3|6") != 0 && strcmp(text, "4|6") != 0))
        proc_fail(t->p, "after %s node 0 answers: %s", after, text);
    if (t->p->cluster.pid[0] != pid || kill(pid, 0) != 0)
        proc_fail(t->p, "after %s node 0 is gone", after);
    long now = proc_rss_kib(t->p, 0);
    printf("  %-22s resident %ld KiB (at first %ld)\n", after, now, rss);
    fflush(stdout);
    if (now > rss + RSS_SLACK_KIB)
        proc_fail(t->p, "after %s node 0 holds %ld KiB, at first %ld", after, now, rss);
}

static void run(struct proc *p)
{
    double took;
    if (sodium_init() < 0 || !proc_start_all(p) ||
        !proc_exec(p, p->cluster.node_url[0], "CREATE TABLE t (x INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)") ||
        !proc_wait_equal(p, 15, 10, &took))
        return;
    struct target t = {.p = p, .port = url_port(p->cluster.node_url[0]), .http = http_port(p, 0)};
    long rss = proc_rss_kib(p, 0);
    pid_t pid = p->cluster.pid[0];
    int before = proc_log_lines(p, 0, "refused");
    noise(&t);
    still_serves(&t, "noise", rss, pid);
    if (proc_log_lines(p, 0, "refused") <= before)
        proc_fail(p, "no log line about noise");
    http(&t);
    still_serves(&t, "HTTP garbage", rss, pid);
    handshakes(&t, p->cluster.dir);
    still_serves(&t, "half handshakes", rss, pid);
    keyed_client(&t, p->cluster.dir);
    still_serves(&t, "keyed nonsense", rss, pid);
    slow(&t);
    still_serves(&t, "dawdlers", rss, pid);
    foreign(p);
    still_serves(&t, "another cluster", rss, pid);
    lying_member(p);
    still_serves(&t, "a lying member", rss, pid);
}

int main(void)
{
    static struct proc p; /* large; one */
    const char *seed = getenv("QUARTET_SEED");
    proc_begin(&p, "hostile", seed != NULL ? strtoull(seed, NULL, 10) : 1 + (uint64_t)(unsigned)getpid(), NULL);
    run(&p);
    return proc_end(&p, "hostile: everything refused, logged, and served on");
}
