/* remote.h - a session on a cluster's node, for api.c: the client library (net/client.h) behind the shape of conn.h. */
#ifndef ENGINE_REMOTE_H
#define ENGINE_REMOTE_H

#include "crdt/value.h"
#include "include/quartet.h"

typedef struct remote remote;
typedef struct remote_stmt remote_stmt;

/* Connect. `notice` tells what the client does by itself, and statements' warnings. QUARTET_NET, QUARTET_AUTH, QUARTET_MISUSE. */
quartet_status remote_open(const char *url, const struct quartet_open_options *open, void (*notice)(void *arg, const char *text), void *arg, uint32_t turn, remote **out, struct err *err);
quartet_status remote_ping(remote *r, struct err *err); /* a question to the node; moves to another where there is no answer */
void remote_close(remote *r); /* all statements are gone before; NULL is allowed */
void remote_interrupt(remote *r);
bool remote_in_transaction(const remote *r);
int64_t remote_changes(const remote *r);
int64_t remote_last_insert_id(const remote *r);
const char *remote_doubt(const remote *r); /* see quartet_unknown_transaction, quartet_outcome */
quartet_status remote_outcome(remote *r, const char *transaction, uint32_t timeout_ms, int *outcome, struct err *err);
void remote_where(const remote *r, char *out, size_t n); /* "node 2 (127.0.0.1:7402)" */

/* The first statement of sql. It is parsed here (so that syntax errors need no round trip) and prepared by the node when that is needed. */
quartet_status remote_prepare(remote *r, const char *sql, size_t n, remote_stmt **out, size_t *consumed, struct err *err);
void remote_finalize(remote_stmt *s); /* NULL is allowed */
const char *remote_sql(const remote_stmt *s, size_t *n);
uint32_t remote_param_count(const remote_stmt *s);
const char *remote_param_name(const remote_stmt *s, uint32_t number);
quartet_status remote_bind(remote_stmt *s, uint32_t number, const struct value *v, struct err *err); /* copied */
const struct value *remote_param(const remote_stmt *s, uint32_t number);
void remote_clear_bindings(remote_stmt *s);
/* Columns are known once the node has prepared the statement: asks it where that has not happened. */
quartet_status remote_describe(remote_stmt *s, struct err *err);
uint32_t remote_column_count(const remote_stmt *s);
const char *remote_column_name(const remote_stmt *s, uint32_t i);
const char *remote_column_decltype(const remote_stmt *s, uint32_t i); /* NULL: none */
/* QUARTET_ROW with the row's values (valid until the next call), QUARTET_DONE, or an error. */
quartet_status remote_step(remote_stmt *s, const struct value **row, struct err *err);
void remote_reset(remote_stmt *s);

#endif
