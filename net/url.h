/* url.h - quartet:// URLs: where the nodes are and who the client is.
 *
 *   quartet://USER@HOST:PORT,HOST:PORT,.../?cluster=HEX64&key=HEX64&gate=HEX64&consistency=session&route=ordered
 *   quartet://USER@HOST:PORT,.../?keyfile=PATH
 * USER is optional (it names the client in logs; the key decides who it is). One to four hosts; the
 * port may be left out (7401); IPv6 in [brackets]. cluster: the cluster's id; key: the client's
 * Ed25519 seed; gate: the cluster's gate secret; each 64 hex digits; or keyfile: a file of member.h
 * with all three. connect_timeout: ms per node (250). timeout: ms until giving up on all nodes
 * (10000). outcome_timeout: ms for which all nodes are asked again what became of a transaction whose
 * answer was lost (0: once). poll_us: for how many microseconds an answer is polled for before the
 * thread sleeps, where that pays (50; 0: never). route: which node a session is with, of those that answer: ordered (the default: in the
 * order given), random, roundrobin (each new connection of a program begins with the next one), or
 * nearest (whose port answers first), or leastlag (which lacks the least of what the others have). All
 * other parameters are session settings (consistency, commit_acks, ...), sent at login. Parts are
 * percent-decoded. A URL with a key in it is a secret: it is never logged. */
#ifndef NET_URL_H
#define NET_URL_H

#include "member.h"
#include "session_wire.h"

#define URL_BYTES_MAX    4096u
#define URL_PORT_DEFAULT 7401u
#define URL_SETTINGS_MAX 16u

enum url_route {
    URL_ROUTE_ORDERED,
    URL_ROUTE_RANDOM,
    URL_ROUTE_ROUNDROBIN,
    URL_ROUTE_NEAREST,
    URL_ROUTE_LEASTLAG
};

struct url_host {
    char host[MEMBER_ADDRESS_BYTES_MAX];
    uint16_t port;
};
struct url {
    char user[MEMBER_NAME_BYTES_MAX];
    struct url_host hosts[SLOTS_MAX];
    uint32_t host_count;
    struct member_key key; /* kind client */
    char keyfile[1024];    /* not empty: the key is still to be read from it */
    enum url_route route;
    uint32_t connect_timeout_ms, timeout_ms, outcome_timeout_ms, poll_us;
    struct {
        char name[64];
        char value[256];
    } settings[URL_SETTINGS_MAX];
    uint32_t setting_count;
};
/* QUARTET_MISUSE says what is wrong and where. */
quartet_status url_parse(const char *text, struct url *out, struct err *err);
void url_wipe(struct url *u);
/* "host:port" or "[v6]:port" into host and port; port 0 allowed. */
quartet_status url_split_address(const char *text, char *host, size_t host_bytes, uint16_t *port,
                                 struct err *err);
/* The URL of a cluster for one client, as `quartetd` prints it. */
void url_write(struct buf *out, const struct member_doc *doc, const struct member_key *client);

#endif
