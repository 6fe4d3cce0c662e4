/* quartet.h - the public interface of libquartet: a SQL engine whose tables are CRDTs.
 *
 * Its core is shaped as SQLite's. A path is a directory (an embedded database), ":memory:", or a quartet:// URL of a cluster; one API for
 * all. A database opened twice in a process is shared. A quartet_db is a connection: used by one thread at a time, except for
 * quartet_interrupt. After fork() a child must not use the parent's connections: they are refused with QUARTET_MISUSE.
 *
 * Unless said otherwise, functions return a status code (quartet_status.h), QUARTET_OK being 0; quartet_errmsg tells more. Pointers to
 * text and bytes that belong to a statement are valid until its next step, reset or finalize. All text is UTF-8. */
#ifndef QUARTET_H
#define QUARTET_H

#include <stddef.h>
#include <stdint.h>

#include "quartet_status.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define QUARTET_API __attribute__((visibility("default")))
#else
#define QUARTET_API
#endif

#define QUARTET_VERSION "0.1.0"

typedef struct quartet_db quartet_db;     /* a connection */
typedef struct quartet_stmt quartet_stmt; /* a prepared statement */
typedef struct quartet_node quartet_node; /* a running cluster node inside this process */
typedef struct quartet_pool quartet_pool; /* connections that threads share */

/* Column types, as quartet_column_type returns them. */
#define QUARTET_INTEGER   1
#define QUARTET_REAL      2
#define QUARTET_TEXT      3
#define QUARTET_BLOB      4
#define QUARTET_NULL      5
#define QUARTET_DECIMAL   6
#define QUARTET_DATE      7
#define QUARTET_TIME      8
#define QUARTET_TIMESTAMP 9
#define QUARTET_UUID      10
#define QUARTET_JSON      11

#define QUARTET_SQL_BYTES_MAX   (64u << 20) /* of one statement; a longer one is QUARTET_LIMIT */
#define QUARTET_VALUE_BYTES_MAX (8u << 20)  /* of one text, blob or JSON value */

/* ---- connections ---- */

/* Open a connection. *db is set even on failure (NULL only when memory ran out), so that quartet_errmsg can tell; close it in any case. */
QUARTET_API int quartet_open(const char *path, quartet_db **db);
/* A node of a cluster, as a function that chooses sees it. */
struct quartet_route_node {
    int slot;            /* -1: not known */
    const char *address; /* "host:port"; valid during the call */
    int drained, standby; /* 1: clients are to keep away from it */
    int serves_now;      /* 1: this connection is with it, or was until its link broke */
    int ready;           /* 1: it serves and has caught up; 0: not, or it did not answer */
    int64_t answer_us;   /* how long it took to log in; -1: it did not answer */
    int64_t behind;      /* how many transactions it lacks that others have; -1: it did not answer */
};
/* Which node to try first, which then: put up to `count` of the nodes' indexes into order and return how many. The others follow by the URL's route; so does all where it returns 0. Called
 * inside calls on the connection, on their thread, whenever a link is to be made; it must not use the connection. */
typedef int quartet_route(void *arg, const struct quartet_route_node *nodes, int count, int *order);

struct quartet_open_options {
    uint32_t size;           /* sizeof(struct quartet_open_options): lets later versions add fields */
    const char *application; /* for the nodes' logs; NULL: "libquartet" */
    quartet_route *route;    /* of a quartet:// URL; NULL: as its route= says */
    void *route_arg;
};
/* quartet_open with options (NULL: none). */
QUARTET_API int quartet_open_with(const char *path, const struct quartet_open_options *options, quartet_db **db);
/* Close: rolls back an open transaction, finalizes what is left. The last connection of an embedded database flushes it. NULL is allowed. */
QUARTET_API int quartet_close(quartet_db *db);
QUARTET_API const char *quartet_errmsg(quartet_db *db);         /* of the last call that failed; never NULL; line, column and caret for SQL errors */
QUARTET_API int quartet_errcode(quartet_db *db);
QUARTET_API const char *quartet_sqlstate(quartet_db *db);       /* five characters */
QUARTET_API const char *quartet_version(void);

/* Run every statement of `sql` in turn; callback (may be NULL) gets each result row as text (NULL for NULL); a non-zero return stops with
 * QUARTET_INTERRUPTED. *errmsg (may be NULL) gets the error's text, to release with quartet_free. */
QUARTET_API int quartet_exec(quartet_db *db, const char *sql, int (*callback)(void *arg, int columns, char **values, char **names), void *arg,
                             char **errmsg);
QUARTET_API void quartet_free(void *p);

QUARTET_API int64_t quartet_changes(quartet_db *db);        /* rows changed by the last INSERT, UPDATE or DELETE */
QUARTET_API int64_t quartet_last_insert_id(quartet_db *db); /* the last key that was assigned; 0: none */
QUARTET_API int quartet_in_transaction(quartet_db *db);     /* 1 between BEGIN and its end */
QUARTET_API void quartet_interrupt(quartet_db *db);         /* from any thread: the running statement ends with QUARTET_INTERRUPTED */

/* Called on the connection's own thread while a statement works, once in `every` batches of up to 1,024 rows that its operators hand on; what it returns is not 0: the statement ends with
 * QUARTET_INTERRUPTED, as by quartet_interrupt. It must not use the connection. `every` 0 or callback NULL takes it back. Of a quartet:// URL the statement works elsewhere: it is never called. */
QUARTET_API int quartet_progress(quartet_db *db, int every, int (*callback)(void *arg), void *arg);

/* Notices: warnings of statements, and what the client did by itself ("node 1 does not answer: now on node 2"). Called inside other calls
 * on this connection. */
QUARTET_API void quartet_on_notice(quartet_db *db, void (*notice)(void *arg, const char *text), void *arg);
/* For prompts: "local", "memory", or "node 2 (127.0.0.1:7402)"; valid until the next call on db. */
QUARTET_API const char *quartet_where(quartet_db *db);

/* A commit whose answer was lost with the link is asked for at all nodes that can be reached, so mostly it has an outcome all the same. Where nobody can tell, the call fails with
 * QUARTET_UNKNOWN_OUTCOME (SQLSTATE 08007), and this is that transaction's identifier, to be kept and asked about; "": there was none. Valid until the next such failure. */
QUARTET_API const char *quartet_unknown_transaction(quartet_db *db);
#define QUARTET_OUTCOME_UNKNOWN 0 /* still nobody can tell; ask again later */
#define QUARTET_COMMITTED 1       /* it took effect: do not run it again */
#define QUARTET_NOT_COMMITTED 2   /* it did not, and never will: it may be run again */
/* What became of it, for timeout_ms (0: every node is asked once). Any connection to the cluster may ask, of another process too. QUARTET_MISUSE: no identifier, or not a
 * quartet:// connection. */
QUARTET_API int quartet_outcome(quartet_db *db, const char *transaction, int timeout_ms, int *outcome);

/* ---- a pool ---- */

#define QUARTET_POOL_MAX 1024u
struct quartet_pool_config {
    uint32_t size;     /* sizeof(struct quartet_pool_config) */
    uint32_t max;      /* connections open at once, 1 to QUARTET_POOL_MAX */
    int wait_ms;       /* how long quartet_pool_take waits where all are lent; 0: 5,000 */
    int check_idle_ms; /* one that lay for so long is asked whether it still stands before it is lent; 0: 1,000 */
    const struct quartet_open_options *options; /* copied, what it points to borrowed; NULL: none */
};
/* Opens nothing yet. All functions of a pool may be called by any thread; a connection is its taker's until it is given back. QUARTET_MISUSE, QUARTET_NOMEM. */
QUARTET_API int quartet_pool_open(const char *path, const struct quartet_pool_config *config, quartet_pool **pool);
/* A connection that stands: one that was given back, or a new one. QUARTET_BUSY: all were lent for wait_ms (*db is NULL). Other failures are those of quartet_open: *db, where it is
 * not NULL, says why, and is to be given back or closed. */
QUARTET_API int quartet_pool_take(quartet_pool *pool, quartet_db **db);
/* Back to the pool; an open transaction is rolled back. What was SET, and temporary tables, stay with the connection; one with statements that were not finalized is closed. */
QUARTET_API void quartet_pool_give(quartet_pool *pool, quartet_db *db);
QUARTET_API void quartet_pool_stats(quartet_pool *pool, uint32_t *open, uint32_t *idle);
/* QUARTET_BUSY: some are lent, nothing was closed. NULL is allowed. */
QUARTET_API int quartet_pool_close(quartet_pool *pool);

/* COPY reads and writes files of this process, also over a quartet:// URL. Where COPY ... FROM STDIN reads, COPY ... TO STDOUT writes, and who hears
 * how far a COPY is; a function that is NULL: there is no such thing. io is copied; NULL takes it back. */
struct quartet_copy_io {
    uint32_t size; /* sizeof(struct quartet_copy_io): lets later versions add fields */
    void *arg;
    int64_t (*read)(void *arg, void *p, int64_t n);      /* up to n bytes; returns how many, 0 at the end, -1 after an error */
    int (*write)(void *arg, const void *p, int64_t n);   /* all of them; 0, or -1 after an error */
    void (*progress)(void *arg, uint64_t rows, uint64_t bytes, uint64_t total, int done); /* total 0: not known; now and then, and with `done` at the end */
};
QUARTET_API int quartet_on_copy(quartet_db *db, const struct quartet_copy_io *io);

/* ---- statements ---- */

/* Compile the first statement of sql (nbytes, or -1 for up to the NUL). *tail (may be NULL) gets where the next one begins. *stmt is NULL where there
 * was only blank or comment. */
QUARTET_API int quartet_prepare(quartet_db *db, const char *sql, int64_t nbytes, quartet_stmt **stmt, const char **tail);
/* 1: sql ends a statement (nothing open: string, comment, trigger body); 0: more is needed. For shells. */
QUARTET_API int quartet_complete(const char *sql);
/* Parameters count from 1. Bytes are copied. n < 0: up to the NUL. */
QUARTET_API int quartet_bind_int64(quartet_stmt *stmt, int index, int64_t value);
QUARTET_API int quartet_bind_double(quartet_stmt *stmt, int index, double value);
QUARTET_API int quartet_bind_text(quartet_stmt *stmt, int index, const char *text, int64_t n);
QUARTET_API int quartet_bind_blob(quartet_stmt *stmt, int index, const void *data, int64_t n);
QUARTET_API int quartet_bind_null(quartet_stmt *stmt, int index);
QUARTET_API int quartet_bind_count(quartet_stmt *stmt);
QUARTET_API int quartet_bind_index(quartet_stmt *stmt, const char *name); /* ":name"; 0: no such parameter */
QUARTET_API int quartet_clear_bindings(quartet_stmt *stmt);
/* Bind the first quartet_bind_count(to) parameters of `to` to what those of `from` are bound to; both of one connection. */
QUARTET_API int quartet_bind_copy(quartet_stmt *to, quartet_stmt *from);

/* QUARTET_ROW, QUARTET_DONE, or an error. */
QUARTET_API int quartet_step(quartet_stmt *stmt);
QUARTET_API int quartet_reset(quartet_stmt *stmt);    /* ready to run again; bindings stay. Returns the last step's error, or QUARTET_OK */
QUARTET_API int quartet_finalize(quartet_stmt *stmt); /* NULL is allowed */

QUARTET_API int quartet_column_count(quartet_stmt *stmt);
QUARTET_API const char *quartet_column_name(quartet_stmt *stmt, int column);
QUARTET_API const char *quartet_column_decltype(quartet_stmt *stmt, int column); /* NULL where it is no plain column */
QUARTET_API int quartet_column_type(quartet_stmt *stmt, int column);
QUARTET_API int64_t quartet_column_int64(quartet_stmt *stmt, int column);
QUARTET_API double quartet_column_double(quartet_stmt *stmt, int column);
QUARTET_API const char *quartet_column_text(quartet_stmt *stmt, int column); /* any type as text; NULL for NULL */
QUARTET_API const void *quartet_column_blob(quartet_stmt *stmt, int column);
QUARTET_API int64_t quartet_column_bytes(quartet_stmt *stmt, int column);    /* of what column_text or column_blob gives */

/* ---- backups ---- */

/* Make a database in `dir` (new or empty) of what BACKUP TO wrote; everything is checked first. It belongs to no cluster. *errmsg (may be NULL) gets the error's text, to
 * release with quartet_free. */
QUARTET_API int quartet_restore(const char *backup, const char *dir, char **errmsg);

struct quartet_finding { /* what is wrong, and where; texts are valid during the call, "" where there is none */
    uint32_t size;
    const char *file;  /* in the directory: "base.mdb", "log/00000001" */
    int64_t offset;    /* in the file; -1: not one place */
    const char *table; /* "table t", "index i of table t" */
    const char *key;   /* as SQL values, or hexadecimal */
    const char *what;
};
struct quartet_verified { /* what was looked at */
    uint32_t size;     /* sizeof(struct quartet_verified), set by the caller */
    uint64_t found, pages, blocks, tables, rows, indexes, entries, records, batches, signatures;
    int is_backup;     /* it has a backup's manifest, which was checked too */
    int unread;        /* damage was in the way: not all rows, indexes and hashes were compared */
};
/* Check a database that nobody has open, or a backup: checksums, links, signatures, rows against indexes, hashes. Changes nothing. QUARTET_OK: nothing was found;
 * QUARTET_CORRUPT: found() was called for each finding (the first 1,000); any other: it could not be looked at (QUARTET_BUSY: in use), *errmsg tells, to release with
 * quartet_free. found, summary and errmsg may be NULL. */
QUARTET_API int quartet_verify(const char *dir, void (*found)(void *arg, const struct quartet_finding *f), void *arg, struct quartet_verified *summary,
                               char **errmsg);

/* ---- a cluster node inside a service ---- */

/* Make keys and membership of a cluster of `nodes` (1 to 4) under dir: dir/0 ... dir/3 with node key and membership each, dir/admin.url with the client
 * URL, dir/root.key. addresses[i] is "host:port" for peers and clients, http[i] for /healthz, /readyz, /metrics (NULL: none). */
QUARTET_API int quartet_cluster_init(const char *dir, int nodes, const char *const *addresses, const char *const *http, char **errmsg);

/* Change who belongs to the cluster whose keys quartet_cluster_init made in `dir` (root.key and admin.key must be there): writes dir/member.qm, the new membership, signed; of a new node
 * dir/SLOT/keys, of a node's new key dir/node-SLOT.key (which is keys/node.key.next of its directory), of a new client dir/NAME.key and dir/NAME.url; and admin.url anew. Give member.qm to one running node (keys/member.qm of its directory, then SIGHUP to quartetd): the
 * others take it from there. *slot: the new node's. */
enum { QUARTET_ADD_NODE = 1, QUARTET_SET_ADDRESS = 2, QUARTET_SET_ZONE = 3, QUARTET_ADD_CLIENT = 4, QUARTET_REMOVE_CLIENT = 5, QUARTET_EVICT_NODE = 6, QUARTET_NEW_NODE_KEY = 7, QUARTET_SET_DRAINED = 8, QUARTET_SET_STANDBY = 9, QUARTET_NEW_ROOT_KEY = 10 };
struct quartet_cluster_change {
    uint32_t size;       /* sizeof(struct quartet_cluster_change) */
    int what;            /* of the above */
    int slot;            /* SET_ADDRESS, SET_ZONE, EVICT_NODE, NEW_NODE_KEY */
    const char *address; /* ADD_NODE, SET_ADDRESS: "host:port" */
    const char *http;    /* likewise; NULL: none, or as it was */
    const char *name;    /* the client's, or the zone's; SET_DRAINED, SET_STANDBY: "on" or "off" */
};
QUARTET_API int quartet_cluster_change(const char *dir, const struct quartet_cluster_change *change, int *slot, uint64_t *epoch, char **errmsg);

/* A token by which one more node joins: like a change of the cluster it makes dir/member.qm (to be given to the running nodes), with an invitation in it. *token (to be freed with
 * quartet_free) is good for one node, in slot *slot, for as many seconds, and is shown to the node `sponsor` (-1: the lowest slot), which must run. Who has it can become a member: keep it as a key. */
QUARTET_API int quartet_cluster_token(const char *dir, int sponsor, uint64_t seconds, char **token, int *slot, uint64_t *epoch, char **errmsg);
/* Join by a token: makes keys in the new directory `dir` (dir/keys), shows the token, and writes what the cluster answers; then a node can be started there. address is where the
 * node will listen for peers and clients, http for /metrics and the like (NULL: none). May be called again after a failure. */
QUARTET_API int quartet_cluster_join(const char *token, const char *dir, const char *address, const char *http, int *slot, char **errmsg);

/* The log of the whole process, on standard error: from this level on (0 debug, 1 info, 2 warnings, 3 errors), as text or, with json 1, as one JSON object a line with
 * "time", "level", "component" and "text". Before anything else of the library is called; 1 and text unless it was. */
QUARTET_API void quartet_log(int level, int json);

struct quartet_node_config {
    uint32_t size;            /* sizeof(struct quartet_node_config): lets later versions add fields */
    const char *keys;         /* directory with node.key and member.qm; NULL: the database's own directory + "/keys" */
    const char *backups;      /* an existing directory: clients may make backups in it, by a plain name; NULL: they may not */
    const char *log_archive;  /* segments of the log that are not needed any longer go into this directory; NULL: they are used again */
    uint64_t log_bytes_min;   /* so much of the log stays even where every member has it, for a new node in the place of a lost one; 0: 1 GiB */
    uint64_t log_bytes_max;   /* past this the log lets go even of what a member lacks; 0: 4 GiB */
    int32_t poll_us;          /* the node's threads look for so many microseconds (1,000 at most) whether something comes before they sleep, where that pays; 0: 50, negative: never */
};
/* Make an open embedded database a member of its cluster, until stopped. The database must be empty or belong to this member. */
QUARTET_API int quartet_node_start(quartet_db *db, const struct quartet_node_config *config, quartet_node **node);
/* 1: the node was too far behind the cluster and has taken another member's state, which the next opening of the database begins with (docs/OPERATIONS.md, "A node that was left behind"):
 * stop the node, close all connections to the database, open it and start the node again. Until then it is read only. Any thread; ask now and then. */
QUARTET_API int quartet_node_wants_reopen(quartet_node *node);
QUARTET_API int quartet_node_stop(quartet_node *node); /* NULL is allowed; before the last quartet_close */

#ifdef __cplusplus
}
#endif

#endif
