/* conn.h - a connection: SQL text in, rows by the batch out, whoever asks: the library's user (api.c) or a client of the node (node.c).
 *
 * A connection is a session: transaction, settings, prepared statements. It knows rows and errors, no bytes on a wire. What only a
 * cluster node can do (SHOW CLUSTER, waiting for peers) comes through struct conn_node_hooks. Used by one thread at a time; conn_interrupt from any. */
#ifndef ENGINE_CONN_H
#define ENGINE_CONN_H

#include "db.h"
#include "exec.h"

typedef struct conn conn;
typedef struct conn_stmt conn_stmt;

enum conn_consistency { CONN_LOCAL, CONN_SESSION, CONN_CLUSTER };
#define CONN_ACKS_MAJORITY (-1)
#define CONN_ACKS_ALL (-2)

struct conn_settings {
    enum log_sync_mode synchronous;
    enum conn_consistency consistency;
    int commit_acks;                 /* 0 to 3, CONN_ACKS_MAJORITY or CONN_ACKS_ALL */
    uint32_t consistency_timeout_ms; /* 2000 */
    uint32_t commit_acks_timeout_ms; /* 2000 */
    uint32_t share_timeout_ms;       /* 2000 */
    uint32_t statement_timeout_ms;   /* 0: none */
    uint64_t memory_bytes;           /* of one statement; 0: the default */
    char time_zone[TZ_NAME_BYTES_MAX + 1]; /* empty: UTC */
    bool no_foreign_keys;            /* neither checked nor followed by what this session writes */
};

/* A small table made in memory: SHOW and PRAGMA. Everything in the arena that was given. */
struct conn_table {
    uint32_t column_count;
    const char *const *columns;
    uint32_t row_count;
    const struct value *values; /* row by row */
};

/* What the node adds; all may be NULL. `ctx` outlives every connection. Called on the connection's thread. */
struct conn_node_hooks {
    void *ctx;
    /* SHOW what (upper case, "CLUSTER"): fill *out and set *known, or leave *known false. */
    quartet_status (*show)(void *ctx, const char *what, struct arena *a, struct conn_table *out, bool *known, struct err *err);
    /* More lines of SHOW STATUS: calls each() for one after the other; texts are copied. May be NULL. */
    quartet_status (*status)(void *ctx, quartet_status (*each)(void *arg, const char *name, const struct value *value, struct err *err), void *arg, struct err *err);
    /* Before a transaction's first statement: wait until this node may answer it. `token` is the session's encoded vector (may be empty).
     * QUARTET_UNAVAILABLE names what is missing. */
    quartet_status (*before_read)(void *ctx, enum conn_consistency consistency, struct slice token, uint32_t timeout_ms, struct err *err);
    /* After a commit with commit_acks != 0: wait. QUARTET_UNAVAILABLE: the commit stands, and the text says so. */
    quartet_status (*after_commit)(void *ctx, hlc_stamp stamp, int acks, uint32_t timeout_ms, struct err *err);
    /* Wait until something came, or was written here, since *seen, and update that; timeout_ms at most. False: the node is stopping. */
    bool (*wait_news)(void *ctx, uint64_t *seen, uint32_t timeout_ms);
};
void db_set_node_hooks(db *d, const struct conn_node_hooks *hooks); /* copied; NULL: none. Before connections use them */

quartet_status conn_open(db *d, conn **out, struct err *err); /* borrows d */
void conn_close(conn *c);       /* rolls back; finalizes what is left; NULL is allowed */
db *conn_db(conn *c);
void conn_interrupt(conn *c);
void conn_on_notice(conn *c, void (*notice)(void *arg, const char *text), void *arg);
void conn_on_progress(conn *c, uint32_t every, int (*progress)(void *arg), void *arg); /* see quartet_progress */
/* The connection is a client's of a node: BACKUP TO takes a plain name below `dir` (borrowed; NULL: it is refused). */
void conn_backups_below(conn *c, const char *dir);
bool conn_in_transaction(const conn *c);
int64_t conn_changes(const conn *c);        /* of the last INSERT, UPDATE or DELETE */
int64_t conn_last_insert_id(const conn *c); /* 0: none */
hlc_stamp conn_last_commit(const conn *c);  /* stamp of the last commit of this connection that wrote; 0: none. Its transaction identifier */
/* The connection is a client's session: what it commits from now on does so at this request, which the client can ask about (outcome.h). session 0: it is no client's. */
void conn_set_request(conn *c, uint64_t session, uint32_t request, bool gives_rows);
struct conn_settings *conn_settings(conn *c);
/* The session token: what this session has seen, as an encoded vector. Setting one makes `session` consistency wait for it. */
quartet_status conn_token(conn *c, struct buf *out, struct err *err);
quartet_status conn_set_token(conn *c, struct slice encoded_vv, struct err *err);

/* Compile the first statement of sql. *out is NULL where nothing was left. *consumed bytes were read (set on errors too). err->sql_offset is within sql.
 * A statement outlives schema changes: it is planned again when needed. */
quartet_status conn_prepare(conn *c, const char *sql, size_t n, conn_stmt **out, size_t *consumed, struct err *err);
void conn_finalize(conn_stmt *s); /* NULL is allowed */
const char *conn_sql(const conn_stmt *s, size_t *n); /* its own text, without what follows */
uint32_t conn_param_count(const conn_stmt *s);
const char *conn_param_name(const conn_stmt *s, uint32_t number); /* ":name" or NULL; numbers from 1 */
quartet_status conn_bind(conn_stmt *s, uint32_t number, const struct value *v, struct err *err); /* copied. QUARTET_RANGE, QUARTET_MISUSE while running */
/* Where a number may be put instead of conn_bind; NULL: ask that, which says why not. */
struct value *conn_param_place(conn_stmt *s, uint32_t number);
const struct value *conn_param(const conn_stmt *s, uint32_t number); /* what is bound; NULL: no such parameter */
void conn_clear_bindings(conn_stmt *s);
uint32_t conn_column_count(const conn_stmt *s);
const struct plan_column *conn_column(const conn_stmt *s, uint32_t i); /* NULL past the end */
/* Run and give the next rows; n == 0: done (a statement outside a transaction has then been committed). Rows are valid until the next call on the statement.
 * After an error or the end the next call runs it again, as after conn_reset. */
quartet_status conn_step(conn_stmt *s, struct batch *out, struct err *err);
/* The transaction that the statement was reading in has ended: rows at hand are gone, and the next conn_step is an error. */
bool conn_is_cut_off(const conn_stmt *s);
void conn_reset(conn_stmt *s); /* gives up what is left of a run; bindings stay */
bool conn_stmt_running(const conn_stmt *s);
bool conn_stmt_reads(const conn_stmt *s); /* has no effect on data, session or transaction: it may be run again (SELECT, SHOW, EXPLAIN) */
bool conn_stmt_ends(const conn_stmt *s);  /* COMMIT or ROLLBACK of the transaction: a lost answer leaves its outcome open */

#endif
