/* hostile.c - raw links, real handshakes and forged batches. See hostile.h. */
#include "hostile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/wire.h"

#define GOSSIP_MESSAGE_BATCH 3 /* docs/WIRE.md */

int url_port(const char *node_url)
{
    const char *at = strchr(node_url, '@');
    const char *colon = strchr(at != NULL ? at : node_url + strlen("quartet://"), ':');
    return colon != NULL ? (int)strtol(colon + 1, NULL, 10) : 0;
}

static bool read_doc(const char *dir, struct member_doc *out, struct err *err)
{
    char path[CLUSTER_PATH_MAX + 64];
    uint8_t *bytes = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "%s/member.qm", dir);
    bool ok = env_read_file(env_posix(), path, MEMBER_DOC_BYTES_MAX, &bytes, &n, err) == QUARTET_OK &&
              member_doc_decode(slice_of(bytes, n), NULL, out, err) == QUARTET_OK;
    mem_free(bytes);
    return ok;
}

int http_port(const struct proc *p, int slot)
{
    char dir[CLUSTER_PATH_MAX + 32];
    struct member_doc doc = {0};
    struct err err = ERR_INIT;
    int port = 0;
    snprintf(dir, sizeof dir, "%s/%d/keys", p->cluster.dir, slot);
    if (read_doc(dir, &doc, &err)) {
        const struct member_node *node = member_find_slot(&doc, (uint8_t)slot);
        const char *colon = node != NULL ? strrchr(node->http, ':') : NULL;
        port = colon != NULL ? (int)strtol(colon + 1, NULL, 10) : 0;
        member_doc_deinit(&doc);
    }
    return port;
}

/* ---- links ---- */

int raw_open(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        printf("FAILED: cannot connect to port %d: %s\n", port, strerror(errno));
        exit(1);
    }
    return fd;
}

bool raw_send(int fd, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;
    while (n > 0) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* Bytes that came, 0 at the end of the stream, -1 at the deadline. */
static ssize_t receive(int fd, void *out, size_t n, double until)
{
    double left = until - now_seconds();
    struct pollfd pf = {.fd = fd, .events = POLLIN};
    if (left <= 0 || poll(&pf, 1, (int)(left * 1000) + 1) <= 0)
        return -1;
    ssize_t got = recv(fd, out, n, 0);
    return got < 0 ? 0 : got; /* a reset is an end, too */
}

bool raw_wait_closed(int fd, double seconds, size_t *got)
{
    char bytes[4096];
    double until = now_seconds() + seconds;
    ssize_t n;
    *got = 0;
    while ((n = receive(fd, bytes, sizeof bytes, until)) > 0)
        *got += (size_t)n;
    return n == 0;
}

size_t raw_read_all(int fd, char *out, size_t n, double seconds)
{
    double until = now_seconds() + seconds;
    size_t used = 0;
    ssize_t got = 1;
    while (used < n && (got = receive(fd, out + used, n - used, until)) > 0)
        used += (size_t)got;
    return used;
}

/* ---- handshakes ---- */

static bool read_key(const char *dir, const char *name, struct member_key *out, struct err *err)
{
    char path[CLUSTER_PATH_MAX + 64];
    uint8_t *bytes = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    bool ok = env_read_file(env_posix(), path, MEMBER_KEY_FILE_BYTES_MAX, &bytes, &n, err) == QUARTET_OK &&
              member_key_decode(slice_of(bytes, n), out, err) == QUARTET_OK;
    mem_free(bytes);
    return ok;
}

bool dialled_open(struct dialled *d, const char *dir, const char *key_name, int port, int expect_slot)
{
    struct err err = ERR_INIT;
    *d = (struct dialled){.fd = -1};
    bool ok = read_key(dir, key_name, &d->key, &err);
    bool node = ok && d->key.kind == MEMBER_KEY_NODE;
    ok = ok && (!node || read_doc(dir, &d->doc, &err));
    d->config = (struct handshake_config){.env = env_posix(),
                                          .role = node ? NET_ROLE_PEER : NET_ROLE_CLIENT,
                                          .cluster = d->key.cluster,
                                          .key = &d->key,
                                          .instance = 12345,
                                          .doc = node ? &d->doc : NULL,
                                          .expect_slot = expect_slot};
    ok = ok && handshake_dial(&d->config, &d->h, &d->first, &err) == QUARTET_OK;
    snprintf(d->error, sizeof d->error, "%s", err.text);
    if (ok)
        d->fd = raw_open(port);
    return ok;
}

size_t dialled_first(struct dialled *d, uint8_t *out, size_t n)
{
    if (d->first.len > n)
        return 0;
    memcpy(out, d->first.data, d->first.len);
    return d->first.len;
}

bool dialled_complete(struct dialled *d)
{
    struct err err = ERR_INIT;
    uint8_t bytes[8192];
    double until = now_seconds() + 5;
    bool ok = raw_send(d->fd, d->first.data, d->first.len);
    while (ok && !handshake_done(d->h)) {
        ssize_t got = receive(d->fd, bytes, sizeof bytes, until);
        struct slice body;
        quartet_status rc = QUARTET_OK;
        ok = got > 0 && frame_feed(&d->in, bytes, (size_t)got, &err) == QUARTET_OK;
        while (ok && !handshake_done(d->h) && frame_next(&d->in, &body, &rc, &err)) {
            struct buf out = {0};
            ok = handshake_input(d->h, body, &out, &err) == QUARTET_OK && (out.len == 0 || raw_send(d->fd, out.data, out.len));
            buf_deinit(&out);
        }
    }
    snprintf(d->error, sizeof d->error, "%s", err.text[0] != '\0' ? err.text : "closed by the node");
    if (ok)
        d->channel = handshake_take_channel(d->h);
    return ok;
}

bool dialled_send(struct dialled *d, const void *message, size_t n)
{
    struct buf out = {0};
    struct err err = ERR_INIT;
    bool ok = channel_seal(d->channel, slice_of(message, n), &out, &err) == QUARTET_OK && raw_send(d->fd, out.data, out.len);
    buf_deinit(&out);
    return ok;
}

void dialled_close(struct dialled *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    channel_free(d->channel);
    handshake_free(d->h);
    d->channel = NULL;
    d->h = NULL;
    buf_deinit(&d->first);
    frame_in_deinit(&d->in);
    member_doc_deinit(&d->doc);
    member_key_wipe(&d->key);
}

/* ---- forgery ---- */

size_t forge_batch(const char *keys_dir, uint8_t slot, enum forgery how, uint8_t *out, size_t n)
{
    static const uint8_t payload[] = "\x0f\0\0\0 no real delta";
    struct member_key key;
    struct err err = ERR_INIT;
    struct buf batch = {0}, message = {0};
    uint8_t secret[64], public_key[32];
    size_t bytes = 0;
    if (!read_key(keys_dir, "node.key", &key, &err))
        return 0;
    member_key_expand(&key, secret, public_key);
    struct batch_header h = {.chain = {.slot = slot, .incarnation = 77}, .cluster = key.cluster, .first = 1, .count = 1,
                             .payload_bytes = sizeof payload, .last_stamp = 1};
    if (batch_seal(&h, slice_of(payload, sizeof payload), secret, &batch, &err) == QUARTET_OK) {
        buf_put(&batch, payload, sizeof payload);
        if (how == FORGE_ALTERED && batch.len > 10)
            batch.data[batch.len - 5] ^= 1;
        wire_put_array(&message, 3);
        wire_put_u64(&message, GOSSIP_MESSAGE_BATCH);
        wire_put_u64(&message, 8);
        wire_put_bin(&message, slice_of(batch.data, batch.len));
        if (!message.failed && message.len <= n) {
            memcpy(out, message.data, message.len);
            bytes = message.len;
        }
    }
    buf_deinit(&batch);
    buf_deinit(&message);
    member_key_wipe(&key);
    return bytes;
}
