/* node_internal.h - the node's own structure, for the node_*.c files only. */
#ifndef ENGINE_NODE_INTERNAL_H
#define ENGINE_NODE_INTERNAL_H

#include <pthread.h>

#include "net/server.h"
#include "node.h"

#define NODE_TOKEN_WAIT_MS 2000u /* consistency_timeout where a session sets none */
#define NODE_BEHIND_DELTAS 10000u /* a node that is further behind a peer than this says it is catching up */

#define NODE_RUNS_MAX 256u

struct node_session;
struct node {
    db *d;
    struct env *env;
    struct node_identity identity;
    struct node_gossip gossip;
    server *server;
    char *backup_dir; /* owned; NULL: clients make no backups */
    char *keys_dir;   /* owned */
    struct buf kept;  /* the newest membership document in keys_dir. Of the network's thread, once that runs */
    bool kept_evicts; /* it evicts this node */
    _Atomic uint64_t kept_ns; /* when it came, and the node so wants to be started again; 0: it did not */

    /* The worker: signs what is durable, makes durable what was delivered, keeps the database's own clockwork going. */
    pthread_t worker;
    bool worker_started;
    pthread_mutex_t lock;
    pthread_cond_t work;    /* there is something for the worker */
    pthread_cond_t applied; /* something was applied: who waits for a vector looks again */
    bool has_work, stopping;
    uint64_t applied_count; /* under lock: counts news, so that a waiter misses none */
    struct idvec peer_disk[SLOTS_MAX];  /* under lock: what each peer has on disk, as it last told */
    uint64_t peer_answers[SLOTS_MAX];   /* under lock: the question (server_ask) that its last status answers; 0: none */
    struct gossip_status peer_status[SLOTS_MAX]; /* under lock: that status; all zeros before the first */
    struct node_session *sessions; /* under lock: those that are open */
    uint64_t session_count;        /* under lock: ever opened; the number of the newest */
    uint64_t run;                  /* db_incarnation */
    uint64_t runs[NODE_RUNS_MAX];  /* earlier ones of this directory, as far as it remembers */
    uint32_t run_count;
};

/* Wait until the encoded vector is applied here, timeout_ms at most. QUARTET_UNAVAILABLE names what is missing. */
quartet_status node_wait_covered(struct node *n, struct slice encoded_vv, uint32_t timeout_ms, struct err *err);
uint8_t node_state(struct node *n);
/* node_wait.c: conn.h's waiting hooks, and what gossip tells that wakes them. */
quartet_status node_before_read(void *ctx, enum conn_consistency consistency, struct slice token, uint32_t timeout_ms, struct err *err);
quartet_status node_after_commit(void *ctx, hlc_stamp stamp, int acks, uint32_t timeout_ms, struct err *err);
bool node_wait_news(void *ctx, uint64_t *seen, uint32_t timeout_ms);
/* Ask all members how they are, and wait for the answers, timeout_ms at most: so that what is shown is not a second old. */
void node_ask_peers(struct node *n, uint32_t timeout_ms);
/* Wait until every connected peer has all that this node committed, timeout_ms at most: so that clients which move to one of them find it there. */
void node_hand_over(struct node *n, uint32_t timeout_ms);
void node_peer_disk(struct node *n, uint8_t slot, const struct idvec *disk);
void node_peer_status(struct node *n, uint8_t slot, const struct gossip_status *s);
void node_deadline(const struct node *n, struct timespec *t, uint32_t ms); /* monotonic, for the node's conditions */
void node_wake(void *node); /* there is news: for the worker and for who waits */

/* node_outcome.c */
void node_note_run(struct node *n); /* before the first session */
/* What became of a request; `why` gets the text where nobody here can tell. `asker`: the number of the session that asks. */
quartet_status node_ask(struct node *n, uint64_t asker, const struct session_name *name, struct session_ruling *out, char *why, size_t why_bytes, struct err *err);
/* node_session.c. The session runs nothing any more from now on; true once what ran has ended (or there is no such session), false: not within the time. */
bool node_session_end(struct node *n, uint64_t number, uint32_t timeout_ms);
void node_session_host(struct node *n, struct session_host *out);
/* node_show_peers.c: SHOW PEERS. */
quartet_status node_show_peers(struct node *n, struct arena *a, struct conn_table *out, struct err *err);
/* node_show.c: the hooks of conn.h. */
void node_hooks(struct node *n, struct conn_node_hooks *out);
struct node_lag {
    uint64_t deltas, ms; /* ms: of stamps */
};
/* What `theirs` lacks of `ours`. */
struct node_lag node_lag_of(const struct idvec *ours, const struct idvec *theirs);
/* "0/1f3a:12 1/99b2:7": slot, start of the incarnation, number; sorted by chain identity, so equal vectors read alike. */
void node_vector_text(struct buf *out, const struct idvec *v);
/* node_http.c */
void node_http(void *ctx, const struct http_request *request, struct http_reply *reply);

#endif
