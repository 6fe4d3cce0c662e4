/* server.h - one libuv thread that carries all links of a node: peers, clients (sessions) and HTTP; and one that gossips.
 *
 * The server knows no tables and no SQL: it calls its host through the table below. Gossip's host functions run on gossip's thread and may take their time (or, one at a time with that,
 * on a thread that calls server_push_batch or server_notify_commit); `http` and what concerns membership run on the loop's and must be quick. Each client session has a thread of its own, on
 * which the session functions run and may block. */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include "base/env.h"
#include "gossip.h"
#include "http.h"
#include "member.h"
#include "session_wire.h"

#define SERVER_SESSIONS_MAX     256u
#define SERVER_STRANGERS_MAX    64u /* connections that have not finished the handshake */
#define SERVER_HTTP_MAX         64u
#define SERVER_HTTP_DEADLINE_MS 3000u
#define SERVER_TICK_MS          50u
#define SERVER_DRAIN_MS         250u /* statements that run may take so long before they are cancelled */
#define SERVER_ENDING_MS        200u /* a client may take so long to read the last of a session */
#define SERVER_SILENCE_MS       600u /* plus three round trips: then a link is dead */
#define SERVER_KEEPALIVE_MS     250u /* nothing was sent for so long, not even gossip's own pings: the loop sends one */
#define SERVER_RECONNECT_MS_MAX 1000u
#define SERVER_FAULT_BACKOFF_MS                                                                    \
    5000u /* after invalid bytes from a peer; doubles up to a minute                               \
           */
#define SERVER_APART_RETRY_MS 2000u /* versions too far apart: one of us may come back with another */
#define SERVER_LINK_BYTES_MAX                                                                      \
    (1u << 20) /* written to one socket and not taken by the system yet: past it, gossip waits */
#define SERVER_FRESH_BYTES_MAX                                                                     \
    (256u << 10) /* the same, past which fresh deltas wait, so that what steers overtakes them */
#define SERVER_BULK_BYTES_MAX                                                                      \
    (128u << 10) /* the same, past which answers to pulls wait, so that fresh deltas overtake them */
#define SERVER_SESSION_BYTES_MAX                                                                   \
    (1u << 20) /* answers not taken by the client yet: past it, its worker waits */
#define SERVER_INPUT_BYTES_MAX                                                                     \
    (4u << 20) /* of a peer, come and not judged yet; past it its link is not read */
#define SERVER_PUSH_BYTES_MAX                                                                      \
    (8u << 20) /* local batches handed over and not pushed yet; past it pulls repair */

/* Rows of one batch, on their way out. */
struct session_rows;
/* One row of column_count values (told by prepare). false: the batch is full or memory is out; this
 * row was still taken unless `failed`. */
bool session_rows_put(struct session_rows *rows, const struct value *values, uint32_t count);

/* What the host says about a statement. */
struct session_statement_info {
    uint32_t consumed_bytes;
    uint32_t param_count;
    const struct slice *param_names; /* ":name" or empty for each parameter, or NULL; valid as long
                                        as the statement */
    uint32_t column_count;
    const struct session_column *columns; /* valid as long as the statement */
    uint32_t flags;                       /* SESSION_READ_ONLY, SESSION_ENDS */
};
struct session_outcome {
    int64_t affected, last_insert_id;
    bool in_transaction;
    uint32_t warning_count;
    struct slice warnings[SESSION_WARNINGS_MAX]; /* valid until the next call in this session */
    struct slice token; /* empty: unchanged since last told; valid as above */
    uint64_t incarnation, session; /* of `open` only: names of this session's requests begin so */
};

/* Sessions. A session's functions are called from its own thread, one at a time; only `cancel`
 * comes from another (the loop's). */
struct session_host {
    void *ctx;
    /* `user`: as authenticated by key. May block until the login's token is covered. *session is
     * released with close. outcome->token may be set. */
    quartet_status (*open)(void *ctx, const char *user, const struct session_login *login,
                           void **session, struct session_outcome *outcome, struct err *err);
    void (*close)(void *session); /* rolls back what is open */
    void (*cancel)(
        void *session); /* thread-safe: the running statement ends with QUARTET_INTERRUPTED */
    /* Wait until the vector in the token is visible here. */
    quartet_status (*wait_token)(void *session, struct slice token, struct err *err);
    /* The first statement of `sql`. *statement == NULL with QUARTET_OK: nothing but blanks and
     * comments. Released with finalize. */
    quartet_status (*prepare)(void *session, struct slice sql, void **statement,
                              struct session_statement_info *info, struct err *err);
    /* Bind all parameters and run from the start; a running one is reset first. `request`: the
     * client's number of it, by which it may ask later what became of it. */
    quartet_status (*start)(void *session, void *statement, const struct value *params,
                            uint32_t param_count, uint32_t request, struct err *err);
    /* Give rows until session_rows_put says no, or *done. A statement without rows does all its
     * work in the first call. */
    quartet_status (*fetch)(void *session, void *statement, struct session_rows *rows, bool *done,
                            struct err *err);
    void (*reset)(
        void *session,
        void *statement); /* ends what runs; lets go of its snapshot; it may be started again */
    void (*finalize)(void *session, void *statement);
    /* What became of a request, of another session. May block; ends that session where it is one of
     * this node. The ruling's text and token are valid until the next call in this session. */
    quartet_status (*ask)(void *session, const struct session_name *name,
                          struct session_ruling *out, struct err *err);
    /* After a statement's first answer and after each failure. */
    void (*outcome)(void *session, struct session_outcome *out);
};

struct server_host {
    struct gossip_host gossip;
    struct session_host session;
    void *ctx;
    /* Answer a GET: status, content type and body. Unknown paths: 404. On the loop's thread. */
    void (*http)(void *ctx, const struct http_request *request, struct http_reply *reply);
    /* This node's state for clients (enum gossip_state). Any thread. */
    uint8_t (*state)(void *ctx);
    /* A membership document of this cluster that has news (member_version), in which this node is as it was; its signatures have been verified. To be merged with what is kept
     * (member_doc_merge), kept, and used from the next start on. On the loop's thread; may come again; may be NULL. */
    void (*membership)(void *ctx, struct slice doc_bytes, uint64_t epoch);
    /* A node asks to be admitted by a token of ours. QUARTET_OK: it is kept for good, and *doc_bytes appended to, with the document that lists it. May be NULL: nobody is. */
    quartet_status (*admit)(void *ctx, const struct member_admission *request, struct buf *doc_bytes, struct err *err);
    /* Likewise, but in this document the node is no member any more: it was evicted. */
    void (*evicted)(void *ctx, struct slice doc_bytes, uint64_t epoch);
};

/* The host's table is copied; its contexts must stay. Of the configuration everything is borrowed
 * until server_stop, but the addresses' texts, which are copied. */
struct server_config {
    struct env *env;
    const struct member_doc *doc;
    struct slice doc_bytes;       /* as signed */
    const struct member_key *key; /* of kind node */
    const char *listen;           /* "host:port", port 0: any; NULL: the document's address */
    const char *http;             /* the same; NULL: the document's; empty: none */
    const char *version;          /* told to clients */
    uint64_t seed;                /* jitter and choices of peers */
    uint64_t instance;            /* random, of this process */
    uint32_t poll_us;             /* for so long a thread looks whether there is something to do before it sleeps, where that pays (base/spin.h); 0: never */
};

typedef struct server server;

/* Binds both ports, then starts the loop's thread. QUARTET_NET: an address is in use or wrong (the
 * text names it). */
quartet_status server_start(const struct server_config *config, const struct server_host *host,
                            server **out, struct err *err);
/* No more clients: what runs is answered (after SERVER_DRAIN_MS it is cancelled), each client is told that nothing else it sent was run, so that it can go on
 * elsewhere with nothing in doubt; returns when the last one is gone. Peers stay connected. */
void server_drain(server *s);
/* Drains, says goodbye, waits until the thread is gone; frees. NULL is allowed. */
void server_stop(server *s);
uint16_t server_port(const server *s);
uint16_t server_http_port(const server *s); /* 0: none */

/* From any thread. */
/* A batch of our chain is sealed and on disk: push it now. Copies. Cannot fail: what is dropped is
 * pulled. */
void server_push_batch(server *s, struct slice batch);
/* The disk vector moved (local or remote batches synced). Cheap; calls are merged. */
void server_notify_commit(server *s);
/* Ask all connected peers for their status now. The number of the question: a peer_status with
 * `answers` no less was made after this call. */
uint64_t server_ask(server *s);
/* Links on purpose cut and let again, by slot: for drills and tests. */
void server_block_peer(server *s, uint8_t slot, bool blocked);

/* A copy of what is known of each slot, for SHOW CLUSTER. Release with server_view_deinit. */
/* Messages that were compressed, and their bytes before and after. */
struct server_zip_counters {
    uint64_t messages, bytes_before, bytes_after;
};
struct server_peer_view {
    uint8_t slot;
    bool self;
    char address[MEMBER_ADDRESS_BYTES_MAX];
    uint64_t heard_ms_ago; /* UINT64_MAX: never */
    uint64_t connected_ms; /* for how long; 0: not */
    uint64_t faults;       /* links closed for invalid bytes */
    bool slow;             /* what goes there is compressed where that helps */
    struct gossip_peer_view gossip;
};
struct server_view {
    struct server_peer_view peers[SLOTS_MAX]; /* the document's nodes, by slot */
    uint32_t count;
    struct gossip_counters counters;
    struct server_zip_counters zip;
    uint32_t sessions, strangers;
    uint64_t sessions_total, refused_total; /* refused: failed handshakes */
};
/* As of one tick ago; of what gossip knows longer, while it is busy with something large. */
quartet_status server_view(server *s, struct server_view *out, struct err *err);
void server_view_deinit(struct server_view *v);

#endif
