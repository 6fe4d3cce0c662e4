/* toy_node.h - a real server with a toy host, for tests over loopback. Its "SQL": echo (gives its
 * parameters back), rows N, write, begin, commit, sleep (until cancelled), pause (a write after 0.3 s), fail, big N (one text of
 * N bytes), two;words (two statements). */
#ifndef TESTS_UNIT_NET_TOY_NODE_H
#define TESTS_UNIT_NET_TOY_NODE_H

#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/client.h"
#include "net/idvec.h"
#include "net/server.h"
#include "net/url.h"
#include "shell/free_port.h"
#include "unit/net/toy.h"

struct toy_node {
    struct toy_store store;
    struct server_host host;
    server *server;
    const char *http; /* where it listens; NULL: a free port of loopback, "": nowhere */
    atomic_int writes, sessions, memberships, asked;
    _Atomic uint64_t sessions_total, incarnation; /* 0: its requests have no names */
    _Atomic uint64_t applied; /* how much of a chain it says at login that it has; 0: it says nothing */
    atomic_int verdict, gave_rows; /* what it says when it is asked */
    _Atomic uint64_t asked_session;
    _Atomic uint32_t asked_request;
    _Atomic uint64_t waited_for; /* how much of that chain a request last told it to have first */
    _Atomic uint64_t epoch; /* of the membership that it was given last */
};

struct toy_session {
    struct toy_node *node;
    bool in_transaction;
    atomic_bool cancelled;
    int64_t affected;
    uint8_t token[8];
    bool token_news;
    struct buf vector; /* told at login */
    uint64_t number;  /* of the session in its node, from 1 */
    uint32_t request; /* that was begun last */
};
struct toy_statement {
    char text[64];
    size_t consumed;
    struct value *params;
    uint32_t param_count;
    int64_t at, rows;
    struct session_column columns[2];
    struct slice param_name;
    char *big;
};

/* What the node has applied, as a token; empty: it says nothing. */
static inline struct slice toy_vector(struct toy_session *s)
{
    struct idvec v = {0};
    struct err ignored = ERR_INIT;
    struct idvec_entry e = {.chain = {.slot = 1, .incarnation = 77}, .number = s->node->applied, .stamp = s->node->applied};
    if (e.number == 0)
        return slice_of(NULL, 0);
    buf_clear(&s->vector);
    CU_ASSERT_EQUAL(idvec_raise(&v, e, &ignored), QUARTET_OK);
    idvec_encode(&s->vector, &v);
    idvec_deinit(&v);
    return slice_of(s->vector.data, s->vector.len);
}

static inline quartet_status toy_open(void *ctx, const char *user,
                                      const struct session_login *login, void **session,
                                      struct session_outcome *o, struct err *err)
{
    struct toy_node *n = ctx;
    CU_ASSERT_STRING_EQUAL(user, "alice");
    if (login->token.n == 4 && memcmp(login->token.p, "FAIL", 4) == 0)
        return err_set(err, QUARTET_UNAVAILABLE, "the token is not covered");
    struct toy_session *s = mem_zalloc(1, sizeof *s);
    s->node = n;
    if (login->token.n == 8)
        memcpy(s->token, login->token.p, 8);
    n->sessions++;
    s->number = ++n->sessions_total;
    o->incarnation = n->incarnation;
    o->session = s->number;
    o->token = toy_vector(s);
    *session = s;
    return QUARTET_OK;
}
static inline void toy_close(void *session)
{
    struct toy_session *s = session;
    s->node->sessions--;
    buf_deinit(&s->vector);
    mem_free(s);
}
static inline void toy_cancel(void *session)
{
    ((struct toy_session *)session)->cancelled = true;
}
static inline quartet_status toy_wait(void *session, struct slice token, struct err *err)
{
    struct bytes_in in = bytes_in(token.p, token.n);
    struct idvec v = {0};
    if (idvec_decode(&in, &v, err) == QUARTET_OK && v.count > 0)
        ((struct toy_session *)session)->node->waited_for = v.e[0].number;
    idvec_deinit(&v);
    return QUARTET_OK;
}
static inline quartet_status toy_ask(void *session, const struct session_name *name, struct session_ruling *out, struct err *err)
{
    struct toy_node *n = ((struct toy_session *)session)->node;
    (void)err;
    n->asked_session = name->session;
    n->asked_request = name->request;
    n->asked++;
    *out = (struct session_ruling){.verdict = (uint8_t)n->verdict, .gave_rows = n->gave_rows != 0, .stamp = 1, .affected = 7, .last_insert_id = 8, .text = slice_of("because", 7), .token = n->verdict == SESSION_COMMITTED ? toy_vector(session) : slice_of(NULL, 0)};
    return QUARTET_OK;
}
static inline quartet_status toy_prepare(void *session, struct slice sql, void **statement,
                                         struct session_statement_info *info, struct err *err)
{
    (void)session;
    size_t n = 0;
    while (n < sql.n && sql.p[n] != ';')
        n++;
    *info = (struct session_statement_info){.consumed_bytes = (uint32_t)(n < sql.n ? n + 1 : n)};
    if (n == 0)
        return QUARTET_OK;
    if (n >= 64)
        return err_set_at(err, QUARTET_ERROR, 63, "too long for a toy");
    struct toy_statement *st = mem_zalloc(1, sizeof *st);
    memcpy(st->text, sql.p, n);
    if (strncmp(st->text, "syntax", 6) == 0) {
        mem_free(st);
        return err_set_at(err, QUARTET_ERROR, 3, "no such toy");
    }
    info->flags = SESSION_READ_ONLY;
    if (strcmp(st->text, "write") == 0 || strcmp(st->text, "wait") == 0 || strcmp(st->text, "pause") == 0)
        info->flags = 0;
    if (strcmp(st->text, "commit") == 0)
        info->flags = SESSION_ENDS;
    if (strcmp(st->text, "echo") == 0) {
        info->param_count = 2;
        st->param_name = slice_of(":b", 2);
        static const struct slice names[2] = {{(const uint8_t *)"", 0}, {(const uint8_t *)":b", 2}};
        info->param_names = names;
    }
    bool rows = strncmp(st->text, "rows", 4) == 0 || strcmp(st->text, "echo") == 0 ||
                strncmp(st->text, "big", 3) == 0;
    info->column_count = rows ? 2 : 0;
    st->columns[0] = (struct session_column){
        .name = slice_of("a", 1), .declared = slice_of("INTEGER", 7), .type = VALUE_INTEGER};
    st->columns[1] = (struct session_column){.name = slice_of("b", 1), .declared = slice_of("", 0)};
    info->columns = st->columns;
    *statement = st;
    return QUARTET_OK;
}
static inline quartet_status toy_start(void *session, void *statement, const struct value *params,
                                       uint32_t count, uint32_t request, struct err *err)
{
    struct toy_session *s = session;
    struct toy_statement *st = statement;
    s->request = request;
    s->cancelled = false;
    mem_free(st->params);
    st->params = mem_dup(params, count * sizeof *params);
    st->param_count = count;
    for (uint32_t i = 0; i < count; i++) /* the bytes are the message's */
        if (params[i].type == VALUE_TEXT) {
            mem_free(st->big);
            st->params[i].s.p = (const uint8_t *)(st->big = mem_dup(params[i].s.p, params[i].s.n));
        }
    st->at = 0;
    st->rows = strncmp(st->text, "rows ", 5) == 0
                   ? atoll(st->text + 5)
                   : strcmp(st->text, "echo") == 0 || strncmp(st->text, "big", 3) == 0;
    return strcmp(st->text, "fail") == 0 ? err_set(err, QUARTET_CONSTRAINT, "it was to fail")
                                         : QUARTET_OK;
}
static inline quartet_status toy_fetch(void *session, void *statement, struct session_rows *rows,
                                       bool *done, struct err *err)
{
    struct toy_session *s = session;
    struct toy_statement *st = statement;
    s->affected = 0;
    if (strcmp(st->text, "sleep") == 0 || strcmp(st->text, "wait") == 0) {
        for (int i = 0; i < 1000 && !s->cancelled; i++)
            (void)poll(NULL, 0, 10);
        if (s->cancelled)
            return err_set(err, QUARTET_INTERRUPTED, "cancelled");
    }
    if (strcmp(st->text, "begin") == 0 || strcmp(st->text, "commit") == 0)
        s->in_transaction = st->text[0] == 'b';
    if (strcmp(st->text, "pause") == 0)
        (void)poll(NULL, 0, 300);
    if (strcmp(st->text, "write") == 0 || strcmp(st->text, "pause") == 0) {
        s->node->writes++;
        s->affected = 1;
        s->token[0]++;
        s->token_news = true;
    }
    if (strncmp(st->text, "big ", 4) == 0 && st->big == NULL)
        st->big = mem_zalloc(1, (size_t)atoll(st->text + 4));
    while (st->at < st->rows) {
        struct value row[2] = {value_int(st->at), value_text("text", 4)};
        if (strcmp(st->text, "echo") == 0)
            memcpy(row, st->params, sizeof row);
        if (st->text[0] == 'b')
            row[1] = value_text(st->big, (size_t)atoll(st->text + 4));
        st->at++;
        if (!session_rows_put(rows, row, 2))
            break;
    }
    *done = st->at == st->rows;
    return QUARTET_OK;
}
static inline void toy_reset(void *session, void *statement)
{
    (void)session;
    ((struct toy_statement *)statement)->at = ((struct toy_statement *)statement)->rows;
}
static inline void toy_finalize(void *session, void *statement)
{
    struct toy_statement *st = statement;
    (void)session;
    mem_free(st->params);
    mem_free(st->big);
    mem_free(st);
}
static inline void toy_outcome(void *session, struct session_outcome *o)
{
    struct toy_session *s = session;
    *o = (struct session_outcome){
        .affected = s->affected, .last_insert_id = 42, .in_transaction = s->in_transaction};
    if (s->affected > 0) {
        o->warning_count = 1;
        o->warnings[0] = slice_of("be warned", 9);
    }
    if (s->token_news)
        o->token = slice_of(s->token, sizeof s->token);
    s->token_news = false;
}
static inline void toy_http(void *ctx, const struct http_request *request, struct http_reply *reply)
{
    (void)ctx;
    if (strcmp(request->path, "/healthz") != 0)
        return;
    reply->status = 200;
    buf_str(&reply->body, "ok\n");
}
static inline uint8_t toy_state(void *ctx)
{
    (void)ctx;
    return GOSSIP_STATE_READY;
}

static inline void toy_membership(void *ctx, struct slice doc_bytes, uint64_t epoch)
{
    struct toy_node *n = ctx;
    (void)doc_bytes;
    n->epoch = epoch;
    n->memberships++;
}
static inline quartet_status toy_node_start(struct toy_node *n, const struct toy_cluster *cluster,
                                            uint8_t slot, uint64_t instance, struct err *err)
{
    if (n->store.cluster == NULL)
        toy_store_init(&n->store, cluster, slot, 500u + slot, NULL);
    n->host = (struct server_host){.gossip = n->store.host,
                                   .session = {.ctx = n,
                                               .open = toy_open,
                                               .close = toy_close,
                                               .cancel = toy_cancel,
                                               .wait_token = toy_wait,
                                               .ask = toy_ask,
                                               .prepare = toy_prepare,
                                               .start = toy_start,
                                               .fetch = toy_fetch,
                                               .reset = toy_reset,
                                               .finalize = toy_finalize,
                                               .outcome = toy_outcome},
                                   .ctx = n,
                                   .http = toy_http,
                                   .state = toy_state,
                                   .membership = toy_membership};
    struct server_config config = {.env = env_posix(),
                                   .doc = &cluster->doc,
                                   .doc_bytes =
                                       slice_of(cluster->doc_bytes.data, cluster->doc_bytes.len),
                                   .key = &cluster->keys.nodes[slot],
                                   .http = n->http != NULL ? n->http : "127.0.0.1:0",
                                   .version = "toy",
                                   .seed = slot + 1,
                                   .instance = instance,
                                   .poll_us = slot % 2 == 0 ? 50 : 0};
    return server_start(&config, &n->host, &n->server, err);
}
static inline void toy_node_stop(struct toy_node *n)
{
    server_stop(n->server);
    n->server = NULL;
}
static inline void toy_node_free(struct toy_node *n)
{
    if (n->server != NULL)
        toy_node_stop(n);
    toy_store_deinit(&n->store);
}

struct toy_net {
    struct toy_cluster cluster;
    struct toy_node nodes[SLOTS_MAX];
    uint32_t count;
    struct buf url;
};
static inline struct toy_net *toy_net_new(uint32_t nodes, uint64_t seed)
{
    struct toy_net *t = mem_zalloc(1, sizeof *t);
    char text[SLOTS_MAX][32];
    const char *addresses[SLOTS_MAX];
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < nodes; i++) {
        (void)snprintf(text[i], sizeof text[i], "127.0.0.1:%u", free_port());
        addresses[i] = text[i];
    }
    toy_cluster_init(&t->cluster, nodes, addresses, seed);
    t->count = nodes;
    for (uint8_t i = 0; i < nodes; i++) {
        quartet_status rc = toy_node_start(&t->nodes[i], &t->cluster, i, 9000u + i, &err);
        if (rc != QUARTET_OK)
            printf("%s\n", err.text);
        CU_ASSERT_EQUAL_FATAL(rc, QUARTET_OK);
    }
    url_write(&t->url, &t->cluster.doc, &t->cluster.keys.clients[0]);
    buf_u8(&t->url, 0);
    return t;
}
static inline void toy_net_free(struct toy_net *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        toy_node_free(&t->nodes[i]);
    toy_cluster_deinit(&t->cluster);
    buf_deinit(&t->url);
    mem_free(t);
}
/* Poll until the condition holds or 10 s are over. */
#define TOY_UNTIL(condition)                                                                       \
    for (int until_i = 0; until_i < 10000 && !(condition); until_i++)                              \
        (void)poll(NULL, 0, 1);                                                                    \
    CU_ASSERT(condition)

#endif
