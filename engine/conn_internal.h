/* conn_internal.h - what a connection and its statements are made of; for conn*.c only. */
#ifndef ENGINE_CONN_INTERNAL_H
#define ENGINE_CONN_INTERNAL_H

#include "conn.h"
#include "params.h"
#include "txn_internal.h"

#define CONN_SAVEPOINTS_MAX 1000u
#define CONN_LIMIT_BYTES_MIN ((uint64_t)64 << 10) /* of buffer_bytes and snapshot_bytes */
#define CONN_LIMIT_BYTES_MAX ((uint64_t)1 << 40)
#define CONN_RETRIES 3 /* of a lone statement on new snapshots; then it holds the commit lock */

struct conn_savepoint {
    char *name; /* owned */
    txn_mark mark;
};

/* What the open transaction did, so that it can be run again (conn_rerun.c). */
struct rerun_entry;
struct conn_rerun {
    struct arena arena;
    struct rerun_entry *first, *last;
    uint32_t count;
    bool off;           /* too much to note: it will not be run again */
    bool running;       /* it is being run again: nothing is noted */
    struct buf randoms; /* what random() and uuid() drew, in order */
};

#define CONN_AURORA_LEVEL "aurora_mm_session_consistency_level" /* the same as consistency */

struct conn {
    db *d;
    txn *t;                 /* of BEGIN; NULL: none */
    db *temp;               /* what the session has for itself, in memory; NULL: nothing yet */
    struct catalog *temp_known; /* that transactions with it began with last; NULL: none */
    uint32_t steps;         /* calls under way: the transaction's snapshot is busy; else it is idle unless a query streams from it */
    bool begun_by_savepoint; /* RELEASE of the outermost savepoint commits */
    struct conn_savepoint *savepoints;
    uint32_t savepoint_count, savepoint_cap;
    struct conn_settings settings;
    struct buf token;       /* set from outside; empty: none */
    int64_t changes, last_insert_id;
    hlc_stamp last_commit;
    struct delta_request request; /* of the client whose session it is; session 0: none */
    struct conn_rerun rerun;
    int interrupted;        /* atomic; set by any thread */
    void (*notice)(void *arg, const char *text);
    void *notice_arg;
    int (*progress)(void *arg);
    void *progress_arg;
    uint32_t progress_every;
    conn_stmt *first;       /* all statements of the connection */
    struct arena spare_text, spare_plan, spare_run; /* memory of finalized statements, for the next one */
    conn_stmt *spare_stmt;  /* likewise; NULL: none */
    txn *rested;            /* of the last lone read, to use again; NULL: none */
    uint64_t share_until_ns; /* the statement that runs waits so long for shares of COUNTERs, in all its attempts together; 0: it has not waited yet */
    bool is_client;         /* of a node: it may name no path */
    const char *backup_dir; /* where a client's BACKUP goes; NULL: nowhere */
};

/* Rows kept until they are asked for: of a statement that writes, of SHOW. */
struct conn_rows {
    struct arena arena;
    uint32_t column_count;
    struct value **rows;
    uint64_t count, cap, at;
};

enum conn_state {
    CONN_IDLE,
    CONN_STREAMING,
    CONN_KEPT_ROWS,
    CONN_CUT_OFF /* its transaction ended before it did: the next step says so */
};

struct conn_stmt {
    conn *c;
    conn_stmt *prev, *next;
    struct arena arena;      /* text and tree */
    const char *sql;
    size_t sql_len;
    struct ast_stmt *tree;
    struct arena plan_arena;
    plan *p;                 /* NULL: not a planned kind */
    struct plan_column *columns; /* of SHOW and PRAGMA, in rows.arena */
    uint32_t column_count;
    struct params params;
    enum conn_state state;
    txn *own_txn;            /* of a lone read */
    exec *run;
    struct rerun_entry *noted; /* of the present run, in the connection's log; NULL: none */
    struct conn_rows rows;
    struct arena batch_arena; /* of the batch given out from rows */
};

bool conn_planned(const struct ast_stmt *tree); /* goes to plan_build; otherwise it is a session statement or DDL */
void conn_say(conn *c, const char *text);
void conn_share_wait(conn *c); /* a statement begins: share_until_ns */
quartet_status conn_commit(conn *c, struct err *err); /* of BEGIN; c->t is gone afterwards */
quartet_status conn_commit_txn(conn *c, txn *t, hlc_stamp *stamp, struct err *err); /* txn_commit_stamped, with what the session has set; who asked for it is told along */
quartet_status conn_committed(conn *c, hlc_stamp stamp, struct err *err); /* waits for peers, as commit_acks says */
quartet_status conn_before_read(conn *c, struct err *err);
void conn_cut_readers(conn *c); /* statements that stream from the transaction go no further */
void conn_end_txn(conn *c); /* resets statements that read in it, forgets savepoints */
quartet_status conn_rows_add(struct conn_rows *r, const struct value *values, struct err *err); /* copies */
void conn_rows_clear(struct conn_rows *r);
/* conn_stmt.c */
void conn_forget_rows(conn_stmt *s); /* the kept ones, and with those of SHOW and PRAGMA their columns, which live beside them */
quartet_status conn_plan_now(conn_stmt *s, struct err *err);
quartet_status conn_make_table(conn_stmt *s, struct err *err); /* SHOW and PRAGMA: when prepared too, since only then their columns are known */

/* conn_temp.c. A transaction has begun: the session's own objects take part. Where it fails the transaction is still the caller's to end. */
quartet_status conn_temp_begin(conn *c, txn *t, struct err *err);
/* DDL, of what is permanent or the session's own. */
quartet_status conn_ddl(conn *c, txn *t, const struct ast_stmt *stmt, struct arena *a, const char **warning, struct err *err);
/* As txn_commit_stamped, of both. */
quartet_status conn_txn_commit(txn *t, hlc_stamp *stamp, struct err *err);
void conn_temp_close(conn *c);

/* conn_rerun.c */
void conn_rerun_clear(conn *c);
struct rerun_entry *conn_rerun_note(conn_stmt *s);            /* a statement begins; NULL: not noted */
void conn_rerun_rows(conn_stmt *s, const struct batch *b);    /* rows of a read were given out; n == 0: it has ended */
void conn_rerun_ended(conn_stmt *s, quartet_status rc);       /* a statement that writes, or that failed, has ended */
/* Run the transaction that failed with `err` again and commit it. QUARTET_SERIALIZATION, err as it was: its results would differ. */
quartet_status conn_rerun(conn *c, int64_t now_us, hlc_stamp *stamp, struct err *err);
/* conn_session.c: BEGIN ... ROLLBACK TO, SET, PRAGMA. */
quartet_status conn_transaction(conn *c, const struct ast_transaction *a, struct err *err);
/* The text of what a setting is set to. */
quartet_status conn_setting_value(const struct ast_expr *e, char *out, size_t n, struct err *err);
quartet_status conn_set(conn *c, const struct ast_settings *list, struct err *err);
quartet_status conn_pragma(conn *c, const struct ast_setting *s, struct arena *a, struct conn_table *out, struct err *err);
/* conn_history.c */
quartet_status conn_set_retention(conn *c, const char *text, int64_t offset, struct err *err);
const char *conn_retention_text(const conn *c, struct arena *a);
/* conn_show.c */
quartet_status conn_show(conn *c, const struct ast_show *s, struct arena *a, struct conn_table *out, struct err *err);
quartet_status conn_show_columns(conn *c, const char *table, struct arena *a, struct conn_table *out, struct err *err);
/* conn_maintenance.c: BACKUP and VACUUM, run, as a table of one row; and its columns alone. */
quartet_status conn_maintenance(conn *c, const struct ast_stmt *tree, struct arena *a, struct conn_table *out, struct err *err);
quartet_status conn_analyze(conn *c, const struct ast_maintenance *m, struct err *err); /* ANALYZE [t] */
void conn_maintenance_columns(const struct ast_stmt *tree, struct conn_table *out);
const char *conn_setting_text(const conn *c, const char *name, struct arena *a); /* NULL: no such setting */
quartet_status conn_catalog(conn *c, struct catalog **out, struct err *err);     /* a reference: the transaction's, or the newest */

#endif
