/* api_internal.h - what quartet_db and quartet_stmt are made of; for api*.c only.
 *
 * A connection is local (conn.h, an embedded database) or remote (remote.h, a quartet:// URL). Exactly one of the two pointers is set. */
#ifndef ENGINE_API_INTERNAL_H
#define ENGINE_API_INTERNAL_H

#include <sys/types.h>

#include "conn.h"
#include "node.h"
#include "quartet.h"
#include "remote.h"

struct api_shared; /* an open database in the registry */

struct quartet_db {
    unsigned generation; /* of the process that opened it (api_generation): refused after fork() */
    struct api_shared *shared;
    conn *local;
    remote *far;
    quartet_status code;    /* of the last failure */
    struct buf message;     /* its text, ended by a NUL; empty: none */
    void (*notice)(void *arg, const char *text);
    void *notice_arg;
    char where[256];
    quartet_stmt *first;    /* all statements */
    quartet_stmt *spare;    /* a finalized one's memory, for the next; NULL: none */
    struct quartet_copy_io copy_io;
    int interrupted;        /* atomic; for COPY, which runs statements of its own */
    int64_t copied;         /* rows of the last statement where that was COPY, else -1 */
};

struct quartet_stmt {
    quartet_db *db;
    quartet_stmt *prev, *next;
    conn_stmt *local;
    remote_stmt *far;
    struct api_copy *copy;   /* COPY: the other two are NULL */
    struct batch rows;       /* local: the rows at hand */
    uint32_t at;             /* the present one is at - 1 */
    const struct value *row; /* remote: the present row */
    bool has_row;
    quartet_status last;     /* of the last step: repeated by reset and finalize */
    struct buf *texts;       /* one per column: its text, made when asked for */
    uint32_t text_count;
};

/* Set the connection's last error from err; sql (may be NULL) gives line, column and caret. Returns err->code. */
int api_fail(quartet_db *db, const struct err *err, const char *sql, size_t n);
int api_misuse(quartet_db *db, const char *text);
/* Grows in the child with each fork(). getpid() would be a system call for each row. 0: could not be set up. */
unsigned api_generation(void);
uint32_t api_next_turn(void); /* counts the connections to URLs that this process opened: for route=roundrobin */
int api_check_slow(quartet_db *q);
/* QUARTET_OK, or QUARTET_MISUSE after fork(). db not NULL. Inline: every call of the library asks. */
static inline int api_check(quartet_db *q)
{
    return q->generation == api_generation() && (q->local != NULL || q->far != NULL) ? QUARTET_OK : api_check_slow(q);
}
void api_notice(void *db, const char *text);

struct value api_cell(quartet_stmt *s, int column); /* of the present row; NULL where there is no row or column */

/* api_copy.c: COPY, which the connection itself never sees. */
struct api_copy;
bool api_copy_is(const char *sql, size_t n); /* is the first statement a COPY? */
quartet_status api_copy_prepare(const char *sql, size_t n, struct api_copy **out, size_t *consumed, struct err *err);
void api_copy_free(struct api_copy *c); /* NULL is allowed */
const char *api_copy_sql(const struct api_copy *c, size_t *n);
quartet_status api_copy_run(quartet_db *q, const struct api_copy *c, struct err *err);

/* api_open.c: the registry of open databases. */
quartet_status api_shared_open(const char *path, struct api_shared **out, struct err *err);
quartet_status api_shared_close(struct api_shared *s, struct err *err);
db *api_shared_db(struct api_shared *s);
const char *api_shared_path(const struct api_shared *s); /* "" in memory */
node *api_shared_node(struct api_shared *s);             /* the node that serves it, or NULL */
bool api_shared_set_node(struct api_shared *s, node *n); /* false: there is one already */

#endif
