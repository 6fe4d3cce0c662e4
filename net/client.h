/* client.h - the client library: one session over whichever node is healthy, blocking, on plain
 * sockets.
 *
 * What it does when a node fails: it connects to another (within a second: a node that is silent
 * for 600 ms while an answer is due is given up), logs in with the settings and the token, prepares
 * the statements again, and says so through the notice callback. Then the statement that was under
 * way
 *   - was never sent, or only reads and no transaction was open: is run (again), unseen by the
 * caller;
 *   - may have been a write outside a transaction, or ends a transaction: all nodes that can be
 * reached are asked what became of it. It took effect: that is the answer. It did not and never
 * will: a lone statement is run again, of a transaction the client is told that it was rolled back.
 * Nobody can tell: fails with QUARTET_UNKNOWN_OUTCOME, and client_doubt names the transaction;
 *   - was inside a transaction: fails with QUARTET_NET, "transaction rolled back by failover; run
 * it again". A statement that has given rows to the caller is not run again: QUARTET_NET. It is
 * never guessed. A client and its statements are used by one thread at a time, except
 * client_cancel. */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include "crdt/value.h"
#include "session_wire.h"
#include "url.h"

#define CLIENT_PING_INTERVAL_MS 150u
#define CLIENT_SILENCE_MS       600u

typedef struct client client;
typedef struct client_stmt client_stmt;

/* A node as a program's own choice sees it. */
struct client_route_node {
    int slot;            /* -1: not known */
    const char *address; /* "host:port" */
    bool drained, standby, serves_now;
    int state;           /* enum gossip_state; -1: it did not answer */
    int64_t answer_us;   /* until it had let us in; -1 likewise */
    int64_t behind;      /* transactions that others have and it has not; -1 likewise */
};
/* Which of the nodes to try first: fills order[] with up to `count` of their indexes and returns how
 * many. The others follow by the URL's route. Called within client calls, before each connection. */
typedef int client_choose(void *arg, const struct client_route_node *nodes, uint32_t count,
                          int *order);

struct client_options {
    struct env *env;                             /* NULL: env_posix() */
    const char *application;                     /* for the node's logs; may be NULL */
    void (*notice)(void *arg, const char *text); /* "node 1 at 127.0.0.1:7401 does not answer: now
                                                    on node 2 at ..."; may be NULL */
    void *notice_arg;
    client_choose *choose; /* NULL: as the URL's route says */
    void *choose_arg;
    uint32_t turn; /* route=roundrobin: which of the URL's nodes comes first, modulo their number */
};

/* Parses the URL, connects to the first node that answers, in the order of its route, and logs in. Where the URL names several nodes, standby ones come
 * after all others and drained ones last (member.h). QUARTET_MISUSE, QUARTET_AUTH, QUARTET_NET. */
quartet_status client_open(const char *url, const struct client_options *options, client **out,
                           struct err *err);
void client_close(client *c); /* NULL is allowed. All its statements must have been freed */

/* What the caller knows of a statement, since SQL is opaque here. A prepared statement knows by
 * itself. */
enum client_hint {
    CLIENT_HINT_NONE,  /* could be anything, COMMIT too */
    CLIENT_HINT_READS, /* no effect outside the session: may be run again; BEGIN and SET too */
    CLIENT_HINT_WRITES, /* has effects, but does not end a transaction */
    CLIENT_HINT_ONCE,   /* likewise, but others than on rows, which no node can tell about: is not run again */
    CLIENT_HINT_ASKS    /* a question around statements, whose error the caller may drop: a transaction that is lost with it is told by the next statement too */
};

/* A statement of its own: sent with its parameters in one message; rows come with client_step.
 * `sql` holds at least one statement; the first is run, *consumed (may be NULL) tells its length.
 * *out is the caller's (client_stmt_free); blank text gives one without columns that is done. Send
 * one statement at a time: what follows it is sent along for nothing. */
quartet_status client_execute(client *c, const char *sql, size_t n, const struct value *params,
                              uint32_t param_count, enum client_hint hint, client_stmt **out,
                              size_t *consumed, struct err *err);
/* Prepare only; run it as often as you like. *out is NULL for blank text. */
quartet_status client_prepare(client *c, const char *sql, size_t n, client_stmt **out,
                              size_t *consumed, struct err *err);
/* The same for who only wants to know the columns and may drop the error. */
quartet_status client_describe(client *c, const char *sql, size_t n, client_stmt **out,
                               size_t *consumed, struct err *err);
quartet_status client_run(client_stmt *s, const struct value *params, uint32_t param_count,
                          struct err *err);
/* QUARTET_ROW: *row has client_column_count values, valid until the next call on this statement.
 * QUARTET_DONE, or an error. */
quartet_status client_step(client_stmt *s, const struct value **row, struct err *err);
void client_reset(client_stmt *s);     /* closes the cursor; it may be run again */
void client_stmt_free(client_stmt *s); /* NULL is allowed */

uint32_t client_param_count(const client_stmt *s);
uint32_t client_param_index(const client_stmt *s,
                            const char *name); /* counts from 1; ":name"; 0: no such parameter */
uint32_t client_column_count(const client_stmt *s);
const char *client_column_name(const client_stmt *s,
                               uint32_t i); /* valid as long as the statement */
const char *client_column_decltype(const client_stmt *s, uint32_t i); /* empty for expressions */
uint8_t client_column_type(const client_stmt *s, uint32_t i);         /* enum value_type, or 0 */
int64_t client_affected(const client_stmt *s);
int64_t client_last_insert_id(const client_stmt *s);
uint32_t client_warning_count(const client_stmt *s);
const char *client_warning(const client_stmt *s, uint32_t i);
bool client_read_only(const client_stmt *s);

/* The identifier of the transaction whose outcome was unknown last; "": of none. Valid until the next. */
const char *client_doubt(const client *c);
/* What became of it? Asks until somebody knows, for timeout_ms (0: all nodes once). QUARTET_MISUSE: no
 * identifier; QUARTET_NET: no node can be reached. */
quartet_status client_outcome(client *c, const char *transaction, uint32_t timeout_ms,
                              enum session_verdict *verdict, struct err *err);
bool client_in_transaction(const client *c);
/* Any thread, or a signal handler's thread: the running statement ends with QUARTET_INTERRUPTED. */
void client_cancel(client *c);
/* A real question to the node and its answer; fails over where there is none. rtt_us may be NULL.
 */
quartet_status client_ping(client *c, uint64_t *rtt_us, struct err *err);
/* A setting to be sent at every login from now on, after failover too; it does not change the
 * present session. */
quartet_status client_remember(client *c, const char *name, const char *value, struct err *err);

/* Which node serves: its slot (-1: none), "host:port", its state. */
int client_slot(const client *c);
const char *client_address(const client *c);
uint8_t client_state(const client *c);
struct slice client_token(const client *c); /* valid until the next call */
/* The cluster as this client's node sees it. Slices are valid until the next call on the client. */
quartet_status client_nodes(client *c, struct session_node nodes[SLOTS_MAX], uint32_t *count,
                            struct err *err);

#endif
