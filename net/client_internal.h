/* client_internal.h - what the files of the client library share. Only client*.c include it. */
#ifndef NET_CLIENT_INTERNAL_H
#define NET_CLIENT_INTERNAL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/prng.h"
#include "base/spin.h"
#include "client.h"
#include "gossip.h"
#include "handshake.h"

#define CLIENT_NAME_BYTES 80u /* of a transaction's identifier as text */
#define CLIENT_NODES_MAX 8u /* those of the URL and those of the membership document */

/* One encrypted connection on a plain socket. */
struct client_link {
    int fd; /* -1: none */
    channel *channel;
    struct frame_in in;
    struct buf out;
    uint64_t heard_ms, ping_sent_us, rtt_us;
    struct spin spin; /* its limit is set after client_link_init, and stays */
    uint8_t slot, state; /* of the node; state as of its last pong */
    bool silent;         /* it was given up for that */
    struct session_name name; /* of its session, request left out; session 0: it has none */
};

struct client_node {
    char host[MEMBER_ADDRESS_BYTES_MAX];
    uint16_t port;
    int slot; /* -1: not known yet */
    uint32_t flags;    /* of member.h, as the last membership said that we were given */
    uint64_t probe_us; /* route=nearest: until its port answered; where it was measured, until it had let us in; UINT64_MAX: it did not, or was not asked */
    uint64_t behind;   /* where it was measured: transactions that others have and it has not; UINT64_MAX: it did not answer */
    uint8_t state;     /* likewise: enum gossip_state */
};

struct client {
    struct env *env;
    struct url url; /* wiped of its key once that is in `key` */
    struct member_key key;
    struct handshake_config config;
    char application[128];
    void (*notice)(void *arg, const char *text);
    void *notice_arg;
    struct prng prng;
    struct client_node nodes[CLIENT_NODES_MAX];
    uint32_t node_count;
    uint32_t turn;
    client_choose *choose; /* NULL: by the URL's route */
    void *choose_arg;
    uint32_t chosen[CLIENT_NODES_MAX], chosen_count; /* what it said when a connection was last needed */
    uint32_t current; /* index into nodes of the one that serves, or served last */
    struct client_link link;
    uint32_t generation; /* of the session: grows with every login */
    uint32_t next_id, next_statement;
    bool in_transaction;
    bool transaction_lost; /* the session broke while one was open, and the caller has not been told
                            */
    char address[MEMBER_ADDRESS_BYTES_MAX + 8];
    struct buf token;
    bool token_untold;   /* another node than the one of this session added to it, by saying what became of a commit: requests carry it until one is answered */
    struct buf request;  /* message under construction */
    bool request_tells;  /* it carries the token */
    int cancel_fd;       /* eventfd: client_cancel writes, whoever waits reads */
    struct arena answer; /* of the last answer's columns */
    struct {
        char name[64];
        char value[256];
    } settings[SESSION_SETTINGS_MAX];
    uint32_t setting_count;
    char doubt[CLIENT_NAME_BYTES];
    int silent_slot; /* the node that was just given up because it was silent: asking it again at once would be waiting again. -1: none */
};

struct client_stmt {
    client *client;
    uint32_t number, generation;
    char *sql; /* owned; for preparing again */
    size_t sql_bytes;
    bool prepared;      /* on the node of `generation` */
    bool keep;          /* made by client_prepare */
    bool open;          /* a cursor is open on the node */
    struct arena arena; /* columns' texts */
    struct session_column *columns;
    struct slice *param_names;
    uint32_t column_count, param_count, flags;
    struct buf rows; /* of the batch at hand */
    struct bytes_in at;
    uint32_t rows_left;
    bool done;
    struct value *row; /* column_count of them */
    int64_t affected, last_insert_id;
    char **warnings; /* in the arena of warnings */
    struct arena warning_arena;
    uint32_t warning_count;
};

/* client_probe.c: ask all nodes' ports at once how far they are, timeout_ms at most; fills probe_us. A port answers for a process that is stopped, too: that one is found out when
 * it does not shake hands. */
void client_probe(struct client_node *nodes, uint32_t count, struct env *env, uint32_t timeout_ms);

/* client_measure.c: ask all nodes by logging in; fills probe_us, behind and state, and learns of nodes. */
void client_measure(client *c);
void client_let_choose(client *c); /* measures, and fills chosen */

/* client_link.c. All times come from env. */
uint64_t client_now_ms(struct env *env);
void client_link_init(struct client_link *l);
void client_link_close(struct client_link *l, bool goodbye);
/* TCP and handshake within timeout_ms. *doc gets the node's membership document (buf of the
 * caller). */
quartet_status client_link_open(struct client_link *l, const struct handshake_config *config,
                                const char *host, uint16_t port, uint32_t timeout_ms,
                                struct buf *doc, struct err *err);
/* QUARTET_OK: the system has all of it. Otherwise the node cannot have got the whole message. */
quartet_status client_link_send(struct client_link *l, struct env *env, struct slice message,
                                struct err *err);
/* The next message but keep-alive pongs; valid until the next call. Pings while it waits;
 * QUARTET_NET once the node is silent for too long. cancel_fd: readable once the caller is to be
 * cancelled (a CANCEL is sent), or -1. deadline_ms 0: none. */
quartet_status client_link_receive(struct client_link *l, struct env *env, int cancel_fd,
                                   uint64_t deadline_ms, struct slice *message, struct err *err);

/* The same from somebody who answers no pings: only the deadline counts. */
quartet_status client_link_receive_quietly(struct client_link *l, struct env *env,
                                           uint64_t deadline_ms, struct slice *message,
                                           struct err *err);

/* client.c */
void client_learn_nodes(client *c, struct slice doc_bytes);
void client_address_write(const struct client_node *n, char *out, size_t out_bytes); /* "host:port" */
/* Make sure of a session. QUARTET_NET and others: no node took us. */
quartet_status client_connect(client *c, struct err *err);
/* The link broke: forget it; an open transaction is lost. `why` goes into the notice. */
void client_lost(client *c, const char *why);
uint32_t client_next_id(client *c);
void client_tell(client *c, const char *text); /* a notice */

/* Log in over this link; *welcome's texts are valid until its next message. */
quartet_status client_log_in(client *c, struct client_link *l, struct slice token,
                             uint64_t deadline_ms, struct session_welcome *welcome,
                             struct err *err);

struct client_answer {
    uint8_t kind;
    bool settled; /* the answer was lost: this is what others told of the outcome */
    struct session_result result; /* PREPARED, RESULT; points into the message and c->answer */
    uint8_t slot, state;          /* PONG */
    struct session_node nodes[SLOTS_MAX]; /* NODES_ARE; points into the message */
    uint32_t node_count;
};
/* client_outcome.c */
struct client_verdict {
    uint8_t verdict; /* enum session_verdict */
    bool gave_rows;
    int64_t affected, last_insert_id;
    char why[ERR_TEXT_BYTES_MAX];
};
/* Ask all nodes until one can tell, for timeout_ms; each once at least. */
void client_rule(client *c, const struct session_name *name, uint32_t timeout_ms,
                 struct client_verdict *out);
/* The answer to this request did not come. OK: *answer is what it would have said, or, *again, it
 * never took effect and may be run again. QUARTET_UNKNOWN_OUTCOME. */
quartet_status client_settle(client *c, const struct session_name *name,
                             struct client_answer *answer, bool *again, struct err *err);
/* The session has seen this too. */
quartet_status client_merge_token(client *c, struct slice token, struct err *err);
void client_name_write(const struct session_name *name, char out[CLIENT_NAME_BYTES]);
bool client_name_read(const char *text, struct session_name *name);

/* Send c->request (request id `id`) and take its answer, failing over by the rules at the top of
 * client.h. needs_generation: not 0: the request belongs to that session (a cursor, a prepared
 * statement); where it is gone, QUARTET_NOTFOUND tells the caller to build the request anew. */
quartet_status client_ask(client *c, uint32_t id, enum client_hint hint, uint32_t needs_generation,
                          struct client_answer *answer, struct err *err);

#endif
