/* server_internal.h - what the files of the server share. Only server*.c include it. Everything is
 * the loop thread's, unless it says that the mutex guards it. */
#ifndef NET_SERVER_INTERNAL_H
#define NET_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/log.h"
#include "base/spin.h"
#include "handshake.h"
#include "server.h"
#include "server_speed.h"
#include "zip.h"

struct session;

enum link_state {
    LINK_CONNECTING, /* outgoing, TCP not up yet */
    LINK_HANDSHAKE,
    LINK_PEER,
    LINK_CLIENT,
    LINK_JOINER /* a node that shows a token: one question, one answer */
};

/* One TCP connection of the native port. */
struct link {
    struct link *next, *prev;
    server *server;
    uv_tcp_t tcp;
    uv_connect_t connect;
    enum link_state state;
    bool initiator, closing;
    uint64_t ending_ms; /* of a client whose session has ended: since when it is to hang up; 0: not so. Closing first would throw away what it has not read yet */
    uint8_t slot; /* of the peer, once known; of the dialled slot before */
    struct handshake_config config;
    handshake *handshake;
    channel *channel;
    struct frame_in in;
    struct handshake_peer who;
    uint64_t number;   /* of this run's links, from 1 */
    bool paused;       /* it is not read: gossip has enough of it to do */
    uint64_t sent_ms;  /* when something was written last */
    uint64_t opened_ms, heard_ms, established_ms;
    struct link_speed speed;
    size_t writing_bytes;    /* given to libuv, not written yet */
    struct session *session; /* of a client */
    char from[80];           /* its address, for the log */
};

/* What is known of a slot's connections. */
struct peer_links {
    struct link *link;    /* established, or NULL */
    struct link *dialing; /* outgoing and not established yet, or NULL */
    bool resolving;
    bool blocked; /* mutex: server_block_peer */
    uint64_t dial_not_before_ms, refuse_until_ms;
    uint32_t dial_backoff_ms, fault_backoff_ms;
    uint64_t faults;
    uint64_t apart_logged_ms; /* when it was last told that our versions are too far apart; 0: never */
    uint64_t heard_ms; /* ever; 0: never */
};

struct pushed_batch {
    struct pushed_batch *next;
    size_t n;
    uint8_t bytes[];
};

/* What came over a peer's links and waits for gossip; server_gossip.c. */
struct gossip_event;
struct gossip_inbox {
    struct gossip_event *first, *last; /* `lock` */
    struct gossip_event *taken;        /* gossip's thread's: what it took from there at once */
    _Atomic size_t bytes;              /* of both */
};
struct gossip_closed { /* gossip wants this link closed */
    uint64_t link;     /* 0: none */
    quartet_status code;
    char text[ERR_TEXT_BYTES_MAX];
};
struct server_gossip {
    pthread_t thread;
    bool ready, started;
    pthread_mutex_t gossip_lock; /* who has it is in gossip; before `lock` */
    uint64_t link[SLOTS_MAX];    /* gossip_lock: the links that gossip listens to; 0: none */
    uint64_t ticked_us, said;    /* gossip_lock */
    struct spin spin;            /* the thread's */
    bool has_news;               /* gossip_lock: for the network's thread */
    pthread_mutex_t lock;        /* guards what follows */
    pthread_cond_t wake;
    struct gossip_inbox in[SLOTS_MAX];
    struct gossip_closed closed[SLOTS_MAX];
    struct pushed_batch *pushed, *pushed_last;
    size_t pushed_bytes;
    bool disk_moved, stopping, asleep;
    uint64_t question, question_asked; /* the latest; the latest that gossip was told */
};

struct session_message {
    struct session_message *next;
    size_t n;
    uint8_t *bytes; /* owned */
};

/* A client's session: the loop's side and the worker's side. */
struct session {
    struct session *next, *prev; /* of the server's list */
    server *server;
    struct link *link; /* loop's; NULL once closed */
    pthread_t thread;
    char user[MEMBER_NAME_BYTES_MAX];
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;   /* requests, or room for answers */
    struct session_message *requests, *requests_last, *answers, *answers_last;
    uint32_t request_count; /* queued or being worked on */
    size_t answer_bytes;    /* posted, not taken by the socket yet */
    bool closing;           /* the client is gone or the server stops: end */
    bool lost;              /* an answer could not be given: what was run is not told */
    void *host_session;     /* set while `cancel` may be called */
    /* guarded by the server's mutex */
    struct session *ready_next;
    bool ready;    /* in the list of those to be looked at */
    bool finished; /* the worker has put it there for the last time */
    /* the loop's */
    bool joinable; /* `finished`, as seen when it was taken from the list */
    struct session *taken_next; /* of those that were taken together */
};

struct http_connection {
    struct http_connection *next, *prev;
    server *server;
    uv_tcp_t tcp;
    uv_write_t write;
    struct buf in, out;
    uint64_t opened_ms;
    bool closing, answered;
};

struct server {
    struct server_config config;
    struct member_doc doc; /* a copy */
    struct server_host host;
    struct env *env;
    uint8_t slot;
    char version[64];
    struct prng prng;
    gossip *gossip; /* gossiping.gossip_lock, but for its output */
    struct server_gossip gossiping;
    uint64_t link_count; /* ever */
    uint64_t activity;   /* the loop's: counts what came */
    uv_loop_t loop;
    uv_thread_t thread;
    uv_tcp_t listener, http_listener;
    bool has_http;
    uint16_t port, http_port;
    uv_async_t async;
    uv_timer_t timer;
    struct handshake_seen seen;
    struct link *links;
    uint32_t stranger_count;
    struct http_connection *https;
    uint32_t http_count;
    struct session *sessions;
    uint32_t session_count;
    uint64_t sessions_total, refused_total;
    struct peer_links peers[SLOTS_MAX];
    struct zip *zip;
    struct buf zipped; /* a message on its way out */
    struct server_zip_counters zip_counters;
    bool draining, stopping, handles_closed;
    uint64_t draining_ms; /* since when; 0: cancelled by now, or not draining */
    uint64_t last_tick_ms;
    uint32_t log_budget, log_suppressed; /* lines about strangers left in this second */
    uint64_t log_second;
    uint8_t read_buffer[64u << 10];

    pthread_mutex_t mutex; /* guards what follows */
    bool drain_asked, stop_asked, drained;
    pthread_cond_t change; /* drained */
    struct session *ready_sessions;
    struct server_view view;
};

/* server.c */
uint64_t server_now_ms(const server *s);
uint64_t server_now_us(const server *s);
/* A line about somebody whom we do not know: at most 20 a second, so that nobody can fill the disk.
 */
void server_log_stranger(server *s, const char *from, const char *text);

/* server_gossip.c: gossip's thread. From the network's: a link with this number is up, is gone; a message came over it. false: no memory. */
quartet_status server_gossip_init(struct server_gossip *sg, struct err *err);
quartet_status server_gossip_start(server *s, struct err *err);
void server_gossip_stop(server *s); /* nothing is said or judged any more; returns when the thread is gone */
void server_gossip_deinit(server *s);
bool server_gossip_up(server *s, uint8_t slot, uint64_t link);
void server_gossip_down(server *s, uint8_t slot, uint64_t link);
bool server_gossip_message(server *s, uint8_t slot, uint64_t link, struct slice message);
size_t server_gossip_waiting(server *s, uint8_t slot); /* bytes */
bool server_gossip_closed(server *s, uint8_t slot, struct gossip_closed *out); /* tells each once */
void server_gossip_view(server *s); /* with gossip_lock, or before the thread starts */

/* server_link.c */
struct link *server_link_new(server *s, bool initiator);
void server_link_on_connection(uv_stream_t *listener, int status);
void server_link_connect(struct link *l, const struct sockaddr *address);
void server_link_close(struct link *l,
                       const char *why); /* why: for the log at debug level; may be NULL */
/* Encrypt and write. Closes the link on failure. */
void server_link_send(struct link *l, struct slice message);
void server_link_write(struct link *l, struct buf *out); /* takes out's bytes */

/* server_peer.c */
void server_peer_established(struct link *l);
void server_peer_closed(struct link *l);
void server_peer_message(struct link *l, struct slice message);
void server_peer_flush_all(server *s);
void server_peer_flush(server *s, uint8_t slot);
void server_peer_tick(server *s, uint64_t now_ms);
void server_peer_news(server *s); /* of gossip: links that it wants closed, and such as may be read again */
void server_link_pause(struct link *l, bool pause);
void server_peer_fault(server *s, uint8_t slot, const char *text);

/* server_join.c */
void server_join_message(struct link *l, struct slice message);

/* server_session.c: the loop's side */
void server_session_established(struct link *l);
void server_session_message(struct link *l, struct slice message);
void server_session_link_closed(struct link *l);
void server_session_written(struct link *l, size_t bytes);
void server_session_ready(server *s, struct session *list); /* answers to send, workers to join */
void server_session_close_all(server *s); /* each ends after what it runs */
void server_session_cancel_all(server *s);
/* server_worker.c: the worker's side */
void *server_worker_main(void *session);
void server_worker_post(struct session *s, struct buf *answer); /* takes the bytes */

/* server_http.c */
void server_http_on_connection(uv_stream_t *listener, int status);
void server_http_tick(server *s, uint64_t now_ms);
void server_http_close_all(server *s);

#endif
