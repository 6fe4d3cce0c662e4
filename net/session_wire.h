/* session_wire.h - what a client and a node say to each other, over the encrypted channel:
 * statements, rows and errors.
 *
 * Each message is a msgpack array [kind, request id, ...]. Requests may be pipelined; a session
 * answers them in order, except PING and CANCEL, which are served at once. Rows travel in batches
 * as one bin of values in crdt/value.h's encoding, which is bit-exact and needs no second copy. SQL
 * is opaque text here. Layout: docs/WIRE.md. */
#ifndef NET_SESSION_WIRE_H
#define NET_SESSION_WIRE_H

#include "crdt/value.h"
#include "member.h"
#include "wire.h"

#define SESSION_VERSION           2u /* 1: requests had no names */
#define SESSION_SQL_BYTES_MAX     (64u << 20)
#define SESSION_PARAMS_MAX        32766u
#define SESSION_COLUMNS_MAX       4096u
#define SESSION_NAME_BYTES_MAX    256u  /* of a column, a type, a setting */
#define SESSION_SETTING_BYTES_MAX 4096u /* of a setting's value */
#define SESSION_SETTINGS_MAX      64u
#define SESSION_WARNINGS_MAX      64u
#define SESSION_WARNING_BYTES_MAX 1024u
#define SESSION_TOKEN_BYTES_MAX   (64u << 10)
#define SESSION_STATEMENTS_MAX    1024u /* prepared or open at once in a session */
#define SESSION_PIPELINE_MAX      64u   /* requests not answered yet */
#define SESSION_BATCH_ROWS_MAX    4096u
#define SESSION_BATCH_BYTES       (256u << 10) /* a batch of rows ends with the row that passes this */
#define SESSION_REQUEST_BYTES_MAX (72u << 20)

enum session_kind {
    /* requests */
    SESSION_LOGIN = 1,
    SESSION_EXECUTE = 2, /* prepare, run and fetch the first batch in one */
    SESSION_PREPARE = 3,
    SESSION_RUN = 4, /* bind a prepared statement, run it, fetch the first batch */
    SESSION_FETCH = 5,
    SESSION_CLOSE = 6,  /* no answer */
    SESSION_CANCEL = 7, /* what runs now; no answer */
    SESSION_PING = 8,
    SESSION_NODES = 9,
    SESSION_BYE = 10,
    SESSION_RESET = 11, /* a statement's cursor; it stays prepared. No answer */
    SESSION_ASK = 12,   /* what became of a request of another session, whose answer did not come */
    /* answers */
    SESSION_WELCOME = 65,
    SESSION_PREPARED = 66,
    SESSION_RESULT = 67,
    SESSION_ERROR = 68,
    SESSION_PONG = 69,
    SESSION_NODES_ARE = 70,
    SESSION_RULING = 71
};

enum session_flags {
    SESSION_DONE = 1,           /* no more rows: the statement's cursor is closed */
    SESSION_IN_TRANSACTION = 2, /* after this answer a transaction is open */
    SESSION_READ_ONLY = 4,      /* the statement has no effect: it may be run again */
    SESSION_ENDS = 8 /* the statement ends a transaction (COMMIT, ROLLBACK): a lost answer leaves
                        the outcome open */
};

struct session_setting {
    struct slice name, value; /* text */
};
struct session_login {
    uint32_t version;
    struct slice user, application; /* text, for logs */
    struct slice token;             /* the vector this session must see; empty: none */
    struct session_setting settings[SESSION_SETTINGS_MAX];
    uint32_t setting_count;
};
/* EXECUTE, PREPARE, RUN, FETCH, CLOSE, RESET; fields that a kind has no use for are empty. */
struct session_request {
    uint8_t kind;
    uint32_t id;
    uint32_t statement; /* RUN, FETCH, CLOSE, RESET, and EXECUTE and PREPARE: the number the client
                           gives to it; not 0 */
    struct slice sql;
    struct slice params; /* encoded values, checked */
    uint32_t param_count;
    uint32_t max_rows;        /* of the first batch, or of this fetch */
    struct slice token;       /* wait until it is covered first; empty: none */
};
/* The identifier of a transaction: the request that was to commit it, of which session of which run
 * of which node. */
struct session_name {
    uint8_t slot;
    uint64_t incarnation, session;
    uint32_t request;
};
enum session_verdict {
    SESSION_UNKNOWN = 0,   /* this node cannot tell; the text says why and who could */
    SESSION_COMMITTED = 1, /* it took effect */
    SESSION_NEVER = 2      /* it did not, and never will: it may be run again */
};
struct session_ruling {
    uint8_t verdict;  /* enum session_verdict */
    bool gave_rows;   /* COMMITTED: the statement had columns, whose rows are lost with the answer */
    uint64_t stamp;   /* likewise: the commit's */
    int64_t affected, last_insert_id; /* likewise: as the answer said */
    struct slice token; /* COMMITTED: what whoever goes on with it must have seen */
    struct slice text;
};

struct session_column {
    struct slice name;
    struct slice declared; /* as declared; empty for expressions */
    uint8_t type;          /* enum value_type, or 0 where it may vary */
};
/* WELCOME */
struct session_welcome {
    uint8_t slot;
    uint8_t state;               /* enum gossip_state */
    struct slice server_version; /* text */
    struct slice token;
    uint64_t incarnation, session; /* names of this session's requests begin so; session 0: they have
                                      none */
};
struct session_node {
    uint8_t slot;
    uint8_t up; /* the answering node has a link to it, or is it */
    struct slice address, http;
};
/* PREPARED and RESULT */
struct session_result {
    uint32_t flags; /* enum session_flags */
    uint32_t param_count;
    uint32_t consumed_bytes; /* of the SQL text: what follows is the next statement */
    uint32_t column_count;
    bool has_columns;                /* columns are told once, in the first answer of a statement */
    struct session_column *columns;  /* in the caller's arena when decoded */
    const struct slice *param_names; /* with the columns: param_count texts, ":name" or empty; NULL:
                                        none has a name */
    uint32_t row_count;
    struct slice rows; /* row_count * column_count encoded values, checked */
    int64_t affected, last_insert_id;
    struct slice warnings[SESSION_WARNINGS_MAX]; /* text */
    uint32_t warning_count;
    struct slice token; /* empty: unchanged */
};
struct session_error {
    quartet_status code;
    int64_t sql_offset;
    struct slice text;
    uint32_t flags; /* SESSION_IN_TRANSACTION */
};

/* Kind and request id of any message; then the body with the function of the kind. `in` is left
 * after the two. */
quartet_status session_open_message(struct slice message, struct bytes_in *in, uint8_t *kind,
                                    uint32_t *id, struct err *err);

void session_put_login(struct buf *out, uint32_t id, const struct session_login *login);
quartet_status session_get_login(struct bytes_in *in, struct session_login *login, struct err *err);
void session_put_request(struct buf *out, const struct session_request *r);
quartet_status session_get_request(struct bytes_in *in, uint8_t kind, uint32_t id,
                                   struct session_request *r, struct err *err);
void session_put_simple(struct buf *out, uint8_t kind, uint32_t id); /* CANCEL, PING, NODES, BYE */
void session_put_welcome(struct buf *out, uint32_t id, const struct session_welcome *w);
quartet_status session_get_welcome(struct bytes_in *in, struct session_welcome *w, struct err *err);
void session_put_result(struct buf *out, uint8_t kind, uint32_t id, const struct session_result *r);
/* columns go into `a`. Rows are walked: every value is whole. */
quartet_status session_get_result(struct bytes_in *in, struct arena *a, struct session_result *r,
                                  struct err *err);
void session_put_error(struct buf *out, uint32_t id, const struct session_error *e);
quartet_status session_get_error(struct bytes_in *in, struct session_error *e, struct err *err);
void session_put_pong(struct buf *out, uint32_t id, uint8_t slot, uint8_t state);
quartet_status session_get_pong(struct bytes_in *in, uint8_t *slot, uint8_t *state,
                                struct err *err);
void session_put_nodes(struct buf *out, uint32_t id, const struct session_node *nodes,
                       uint32_t count);
void session_put_ask(struct buf *out, uint32_t id, const struct session_name *name);
quartet_status session_get_ask(struct bytes_in *in, struct session_name *name, struct err *err);
void session_put_ruling(struct buf *out, uint32_t id, const struct session_ruling *r);
quartet_status session_get_ruling(struct bytes_in *in, struct session_ruling *r, struct err *err);
quartet_status session_get_nodes(struct bytes_in *in, struct session_node nodes[SLOTS_MAX],
                                 uint32_t *count, struct err *err);

#endif
