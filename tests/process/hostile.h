/* hostile.h - raw links to a node, and handshakes with real keys that then go wrong. It goes below quartet.h on purpose. */
#ifndef PROCESS_HOSTILE_H
#define PROCESS_HOSTILE_H

#include "net/handshake.h"
#include "proc.h"

int url_port(const char *node_url);               /* of the first host */
int http_port(const struct proc *p, int slot);    /* from the node's membership document */

int raw_open(int port);                          /* a connected socket; ends the program where none can be had */
bool raw_send(int fd, const void *bytes, size_t n); /* false: the other side has closed */
bool raw_wait_closed(int fd, double seconds, size_t *got); /* reads what comes until the end of the stream */
size_t raw_read_all(int fd, char *out, size_t n, double seconds);

/* One connection with a right key. */
struct dialled {
    int fd;
    struct member_key key;
    struct member_doc doc;
    struct handshake_config config;
    handshake *h;
    channel *channel;
    struct buf first;
    struct frame_in in;
    char error[512];
};
/* Reads dir/key_name (and dir/member.qm for a node's key), connects, and makes the first message, which is not sent. */
bool dialled_open(struct dialled *d, const char *dir, const char *key_name, int port, int expect_slot);
size_t dialled_first(struct dialled *d, uint8_t *out, size_t n); /* the first message with its length */
bool dialled_complete(struct dialled *d);                        /* the whole handshake */
bool dialled_send(struct dialled *d, const void *message, size_t n); /* one message, encrypted as it should be */
void dialled_close(struct dialled *d);

enum forgery { FORGE_OTHER_SLOT, FORGE_ALTERED };
/* A gossip message with a batch of the chain of `slot`, signed with the key in keys_dir; the number of its bytes. */
size_t forge_batch(const char *keys_dir, uint8_t slot, enum forgery how, uint8_t *out, size_t n);

#endif
