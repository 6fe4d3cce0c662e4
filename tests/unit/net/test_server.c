/* test_server.c - real servers and clients over loopback, with a toy host: sessions, gossip between
 * nodes, failover, hostile bytes. */
#include "unit/cunit.h"

#include <sched.h>
#include <time.h>

#include "unit/net/toy_node.h"

static _Thread_local char last_notice[512];
static atomic_int notices;

static void on_notice(void *arg, const char *text)
{
    (void)arg;
    (void)snprintf(last_notice, sizeof last_notice, "%s", text);
    notices++;
}

static client *open_routed(struct toy_net *t, const char *route, uint32_t turn)
{
    struct err err = ERR_INIT;
    struct client_options options = {.application = "test", .notice = on_notice, .turn = turn};
    client *c = NULL;
    char url[URL_BYTES_MAX];
    (void)snprintf(url, sizeof url, "%s%s", (const char *)t->url.data, route);
    quartet_status rc = client_open(url, &options, &c, &err);
    if (rc != QUARTET_OK)
        printf("open: %s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(rc, QUARTET_OK);
    return c;
}

static client *open_client(struct toy_net *t)
{
    return open_routed(t, "", 0);
}

/* Run and throw away the rows. */
static quartet_status run(client *c, const char *sql, enum client_hint hint, struct err *err)
{
    client_stmt *s = NULL;
    const struct value *row = NULL;
    err_clear(err);
    quartet_status rc = client_execute(c, sql, strlen(sql), NULL, 0, hint, &s, NULL, err);
    while (rc == QUARTET_OK || rc == QUARTET_ROW)
        rc = client_step(s, &row, err);
    client_stmt_free(s);
    return rc == QUARTET_DONE ? QUARTET_OK : rc;
}

static double now_s(void)
{
    return (double)env_posix()->ops->mono_ns(env_posix()) / 1e9;
}

static void test_statements_rows_and_errors(void)
{
    struct toy_net *t = toy_net_new(1, 1);
    struct err err = ERR_INIT;
    client *c = open_client(t);
    client_stmt *s = NULL;
    size_t consumed = 0;
    const struct value *row = NULL;
    CU_ASSERT_EQUAL(client_slot(c), 0);

    CU_ASSERT_EQUAL(
        client_execute(c, "rows 10000;write", 16, NULL, 0, CLIENT_HINT_READS, &s, &consumed, &err),
        QUARTET_OK);
    CU_ASSERT_EQUAL(consumed, 11);
    CU_ASSERT_EQUAL(client_column_count(s), 2);
    CU_ASSERT_STRING_EQUAL(client_column_name(s, 0), "a");
    CU_ASSERT_STRING_EQUAL(client_column_decltype(s, 0), "INTEGER");
    int64_t n = 0;
    while (client_step(s, &row, &err) == QUARTET_ROW) {
        CU_ASSERT(row[0].i == n && row[1].s.n == 4);
        n++;
    }
    CU_ASSERT_EQUAL(n, 10000);
    client_stmt_free(s);

    CU_ASSERT_EQUAL(client_prepare(c, "echo", 4, &s, &consumed, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(client_param_count(s), 2);
    CU_ASSERT_EQUAL(client_param_index(s, ":b"), 2);
    for (int i = 0; i < 3; i++) {
        struct value params[2] = {{.type = VALUE_REAL, .r = -0.0}, value_text("x\xc3\xa4", 3)};
        CU_ASSERT_EQUAL(client_run(s, params, 2, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(client_step(s, &row, &err), QUARTET_ROW);
        CU_ASSERT(value_identical(&row[0], &params[0]) && value_identical(&row[1], &params[1]));
        CU_ASSERT_EQUAL(client_step(s, &row, &err), QUARTET_DONE);
    }
    CU_ASSERT_EQUAL(client_run(s, NULL, 0, &err), QUARTET_RANGE);
    err_clear(&err);
    client_stmt_free(s);

    CU_ASSERT_EQUAL(run(c, "syntax", CLIENT_HINT_NONE, &err), QUARTET_ERROR);
    CU_ASSERT_STRING_EQUAL(err.text, "no such toy");
    CU_ASSERT_EQUAL(err.sql_offset, 3);
    CU_ASSERT_EQUAL(run(c, "fail", CLIENT_HINT_NONE, &err), QUARTET_CONSTRAINT);
    CU_ASSERT_EQUAL(run(c, "", CLIENT_HINT_NONE, &err), QUARTET_OK);

    err_clear(&err);
    CU_ASSERT_EQUAL(client_execute(c, "write", 5, NULL, 0, CLIENT_HINT_WRITES, &s, NULL, &err),
                    QUARTET_OK);
    CU_ASSERT_EQUAL(client_affected(s), 1);
    CU_ASSERT_EQUAL(client_last_insert_id(s), 42);
    CU_ASSERT_EQUAL_FATAL(client_warning_count(s), 1);
    CU_ASSERT_STRING_EQUAL(client_warning(s, 0), "be warned");
    CU_ASSERT_EQUAL(client_token(c).n, 8);
    client_stmt_free(s);
    CU_ASSERT_EQUAL(t->nodes[0].writes, 1);

    CU_ASSERT_EQUAL(run(c, "begin", CLIENT_HINT_READS, &err), QUARTET_OK);
    CU_ASSERT(client_in_transaction(c));
    CU_ASSERT_EQUAL(run(c, "commit", CLIENT_HINT_NONE, &err), QUARTET_OK);
    CU_ASSERT(!client_in_transaction(c));
    client_close(c);
    TOY_UNTIL(t->nodes[0].sessions == 0);
    toy_net_free(t);
}

static void test_large_values_and_many_open_statements(void)
{
    struct toy_net *t = toy_net_new(1, 2);
    struct err err = ERR_INIT;
    client *c = open_client(t);
    client_stmt *s = NULL, *many[50];
    const struct value *row = NULL;
    CU_ASSERT_EQUAL(
        client_execute(c, "big 9000000", 11, NULL, 0, CLIENT_HINT_READS, &s, NULL, &err),
        QUARTET_OK);
    CU_ASSERT_EQUAL(client_step(s, &row, &err), QUARTET_ROW);
    CU_ASSERT_EQUAL(row[1].s.n, 9000000);
    client_stmt_free(s);
    for (int i = 0; i < 50; i++)
        CU_ASSERT_EQUAL(
            client_execute(c, "rows 1000", 9, NULL, 0, CLIENT_HINT_READS, &many[i], NULL, &err),
            QUARTET_OK);
    for (int i = 0; i < 1000; i++)
        for (int k = 0; k < 50; k++)
            CU_ASSERT(client_step(many[k], &row, &err) == QUARTET_ROW && row[0].i == i);
    for (int i = 0; i < 50; i++)
        client_stmt_free(many[i]);
    client_close(c);
    toy_net_free(t);
}

static void *cancel_soon(void *arg)
{
    (void)poll(NULL, 0, 50);
    client_cancel(arg);
    return NULL;
}

static void test_cancel_ends_the_statement_and_keeps_the_session(void)
{
    struct toy_net *t = toy_net_new(1, 3);
    struct err err = ERR_INIT;
    client *c = open_client(t);
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, cancel_soon, c), 0);
    double start = now_s();
    CU_ASSERT_EQUAL(run(c, "sleep", CLIENT_HINT_READS, &err), QUARTET_INTERRUPTED);
    CU_ASSERT(now_s() - start < 5);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(run(c, "write", CLIENT_HINT_WRITES, &err), QUARTET_OK);
    uint64_t rtt = 0;
    CU_ASSERT_EQUAL(client_ping(c, &rtt, &err), QUARTET_OK);
    CU_ASSERT(rtt > 0);
    struct session_node nodes[SLOTS_MAX];
    uint32_t count = 0;
    CU_ASSERT_EQUAL(client_nodes(c, nodes, &count, &err), QUARTET_OK);
    CU_ASSERT(count == 1 && nodes[0].up == 1);
    client_close(c);
    toy_net_free(t);
}

static void test_failover(void)
{
    struct toy_net *t = toy_net_new(3, 4);
    struct err err = ERR_INIT;
    client *c = open_client(t);
    client_stmt *s = NULL, *cursor = NULL;
    const struct value *row = NULL;
    int first = client_slot(c);
    CU_ASSERT_EQUAL(first, 0);
    CU_ASSERT_EQUAL(run(c, "write", CLIENT_HINT_WRITES, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(client_prepare(c, "echo", 4, &s, NULL, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(
        client_execute(c, "rows 1000", 9, NULL, 0, CLIENT_HINT_READS, &cursor, NULL, &err),
        QUARTET_OK);
    CU_ASSERT_EQUAL(client_step(cursor, &row, &err), QUARTET_ROW);
    int before = notices;
    toy_node_stop(&t->nodes[0]);
    double start = now_s();
    CU_ASSERT_EQUAL(run(c, "rows 5", CLIENT_HINT_READS, &err),
                    QUARTET_OK); /* unseen by the caller */
    CU_ASSERT(now_s() - start < 1.0);
    CU_ASSERT_EQUAL(notices, before + 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(last_notice, "does not answer: now on node 1 at 127.0.0.1:"));
    CU_ASSERT_EQUAL(client_slot(c), 1);
    struct value params[2] = {value_int(1), value_int(2)};
    CU_ASSERT_EQUAL(client_run(s, params, 2, &err), QUARTET_OK); /* prepared again by itself */
    quartet_status rc = QUARTET_ROW;
    while (rc == QUARTET_ROW)
        rc = client_step(cursor, &row, &err);
    CU_ASSERT_EQUAL(rc, QUARTET_NET); /* half of the rows came from a node that is gone */

    CU_ASSERT_EQUAL(run(c, "begin", CLIENT_HINT_READS, &err), QUARTET_OK);
    toy_node_stop(&t->nodes[1]);
    CU_ASSERT_EQUAL(run(c, "write", CLIENT_HINT_WRITES, &err), QUARTET_NET);
    CU_ASSERT_STRING_EQUAL(err.text, "transaction rolled back by failover; run it again");
    CU_ASSERT_EQUAL(client_slot(c), 2);
    CU_ASSERT_EQUAL(run(c, "write", CLIENT_HINT_WRITES, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(t->nodes[2].writes, 1);

    CU_ASSERT_EQUAL(toy_node_start(&t->nodes[0], &t->cluster, 0, 77, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(run(c, "begin", CLIENT_HINT_READS, &err), QUARTET_OK);
    toy_node_stop(&t->nodes[2]);
    int written = t->nodes[0].writes;
    client_stmt *described = NULL; /* who asks for columns may drop the error: the transaction's end must be told to who runs something */
    CU_ASSERT_EQUAL(client_describe(c, "write", 5, &described, NULL, &err), QUARTET_NET);
    CU_ASSERT_EQUAL(client_ping(c, NULL, &err), QUARTET_NET);
    CU_ASSERT_EQUAL(run(c, "write", CLIENT_HINT_WRITES, &err), QUARTET_NET);
    CU_ASSERT_STRING_EQUAL(err.text, "transaction rolled back by failover; run it again");
    CU_ASSERT_EQUAL(t->nodes[0].writes, written);
    CU_ASSERT_EQUAL(run(c, "write", CLIENT_HINT_WRITES, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(t->nodes[0].writes, written + 1);
    CU_ASSERT_EQUAL(toy_node_start(&t->nodes[2], &t->cluster, 2, 78, &err), QUARTET_OK);
    toy_node_stop(&t->nodes[0]);
    CU_ASSERT_EQUAL(run(c, "rows 5", CLIENT_HINT_READS, &err), QUARTET_OK);

    CU_ASSERT_EQUAL(toy_node_start(&t->nodes[0], &t->cluster, 0, 77, &err), QUARTET_OK);
    toy_node_stop(&t->nodes[2]);
    /* Nobody knows it yet: the write was given to a dead socket. It is told as unknown or was done
     * on the other node, never lost silently. */
    rc = run(c, "write", CLIENT_HINT_WRITES, &err);
    CU_ASSERT(rc == QUARTET_OK || rc == QUARTET_UNKNOWN_OUTCOME);
    CU_ASSERT_EQUAL(client_slot(c), 0);
    client_stmt_free(s);
    client_stmt_free(cursor);
    client_close(c);
    toy_net_free(t);
}

struct busy {
    struct toy_net *net;
    atomic_bool stop;
    int acknowledged, unknown, others;
};

static void *write_on(void *arg)
{
    struct busy *b = arg;
    struct err err = ERR_INIT;
    client *c = open_client(b->net);
    while (!b->stop) {
        quartet_status rc = run(c, "write", CLIENT_HINT_WRITES, &err);
        b->acknowledged += rc == QUARTET_OK;
        b->unknown += rc == QUARTET_UNKNOWN_OUTCOME;
        b->others += rc != QUARTET_OK && rc != QUARTET_UNKNOWN_OUTCOME;
        err_clear(&err);
    }
    client_close(c);
    return NULL;
}

/* A node that stops in order answers what it runs and says that it ran nothing else: the clients go on elsewhere, and nothing is in doubt or written twice. */
static void test_a_node_that_stops_leaves_nothing_in_doubt(void)
{
    enum { CLIENTS = 4, STOPS = 12 };
    struct toy_net *t = toy_net_new(2, 9);
    struct err err = ERR_INIT;
    struct busy b[CLIENTS] = {{.net = t}};
    pthread_t threads[CLIENTS];
    for (int k = 0; k < CLIENTS; k++) {
        b[k].net = t;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[k], NULL, write_on, &b[k]), 0);
    }
    int written = 0;
    for (int i = 0; i < STOPS; i++) {
        TOY_UNTIL(t->nodes[0].sessions + t->nodes[1].sessions == CLIENTS);
        uint8_t slot = t->nodes[0].sessions >= t->nodes[1].sessions ? 0 : 1; /* where the clients are */
        struct toy_node *n = &t->nodes[slot];
        int before = n->writes;
        TOY_UNTIL(n->writes > before + 20);
        toy_node_stop(n);
        CU_ASSERT_EQUAL_FATAL(toy_node_start(n, &t->cluster, slot, 100 + (uint64_t)i, &err), QUARTET_OK);
    }
    for (int k = 0; k < CLIENTS; k++)
        b[k].stop = true;
    for (int k = 0; k < CLIENTS; k++) {
        (void)pthread_join(threads[k], NULL);
        CU_ASSERT_EQUAL(b[k].unknown, 0);
        CU_ASSERT_EQUAL(b[k].others, 0);
        written += b[k].acknowledged;
    }
    CU_ASSERT_EQUAL(t->nodes[0].writes + t->nodes[1].writes, written);
    CU_ASSERT(written > STOPS);
    toy_net_free(t);
}

static bool linked(struct toy_node *n, uint32_t peers)
{
    struct server_view v;
    struct err err = ERR_INIT;
    uint32_t up = 0;
    CU_ASSERT_EQUAL(server_view(n->server, &v, &err), QUARTET_OK);
    for (uint32_t i = 0; i < v.count; i++)
        up += v.peers[i].gossip.connected && v.peers[i].gossip.status_at_us != 0 ? 1u : 0u;
    server_view_deinit(&v);
    return up == peers;
}

/* A node that starts with a newer membership document gives it to those it meets; one in which a node is no member is not taken by that node. */
static void test_a_newer_membership_is_passed_on(void)
{
    struct toy_net *t = toy_net_new(3, 11);
    struct err err = ERR_INIT;
    struct toy_cluster newer = t->cluster;
    struct buf bytes = {0}, next = {0};
    newer.doc.epoch = 7;
    (void)snprintf(newer.doc.nodes[1].zone, sizeof newer.doc.nodes[1].zone, "west");
    CU_ASSERT_EQUAL_FATAL(member_doc_encode(&newer.doc, t->cluster.keys.root.seed, &bytes, &err), QUARTET_OK);
    newer.doc_bytes = bytes;
    TOY_UNTIL(linked(&t->nodes[1], 2));
    CU_ASSERT(t->nodes[0].memberships == 0 && t->nodes[2].memberships == 0);
    toy_node_stop(&t->nodes[1]);
    CU_ASSERT_EQUAL_FATAL(toy_node_start(&t->nodes[1], &newer, 1, 200, &err), QUARTET_OK);
    TOY_UNTIL(t->nodes[0].epoch == 7 && t->nodes[2].epoch == 7);
    CU_ASSERT_EQUAL(t->nodes[1].memberships, 0);
    /* the next one leaves out node 2 */
    toy_node_stop(&t->nodes[0]);
    newer.doc.epoch = 8;
    newer.doc.node_count = 2;
    CU_ASSERT_EQUAL_FATAL(member_doc_encode(&newer.doc, t->cluster.keys.root.seed, &next, &err), QUARTET_OK); /* node 1 has the other bytes still */
    newer.doc_bytes = next;
    CU_ASSERT_EQUAL_FATAL(toy_node_start(&t->nodes[0], &newer, 0, 201, &err), QUARTET_OK);
    TOY_UNTIL(t->nodes[1].epoch == 8);
    CU_ASSERT_EQUAL(t->nodes[2].epoch, 7);
    toy_net_free(t);
    buf_deinit(&bytes);
    buf_deinit(&next);
}

/* Which node a session is with: by turns, by distance; never one that the membership says to keep away from, while another answers. */
static void test_routes(void)
{
    struct toy_net *t = toy_net_new(3, 12);
    struct err err = ERR_INIT;
    for (uint32_t turn = 0; turn < 6; turn++) {
        client *c = open_routed(t, "&route=roundrobin", turn);
        CU_ASSERT_EQUAL(client_slot(c), (int)(turn % 3));
        client_close(c);
    }
    for (uint32_t i = 0; i < 5; i++) {
        client *c = open_routed(t, "&route=nearest", 0);
        CU_ASSERT(client_slot(c) >= 0);
        CU_ASSERT_EQUAL(run(c, "rows 5", CLIENT_HINT_READS, &err), QUARTET_OK);
        client_close(c);
    }
    toy_node_stop(&t->nodes[1]);
    client *c = open_routed(t, "&route=roundrobin", 1); /* its turn, but it is away */
    CU_ASSERT_EQUAL(client_slot(c), 2);
    client_close(c);
    c = open_routed(t, "&route=nearest", 0);
    CU_ASSERT(client_slot(c) == 0 || client_slot(c) == 2);
    client_close(c);
    toy_net_free(t);
}

/* Drained and standby, one after the other, as each next membership says. */
static void test_drained_and_standby(void)
{
    struct toy_net *t = toy_net_new(3, 13);
    struct err err = ERR_INIT;
    struct toy_cluster newer = t->cluster;
    struct buf bytes = {0};
    newer.doc.epoch = 5;
    newer.doc.nodes[0].flags = MEMBER_DRAINED;
    newer.doc.nodes[1].flags = MEMBER_STANDBY;
    CU_ASSERT_EQUAL_FATAL(member_doc_encode(&newer.doc, t->cluster.keys.root.seed, &bytes, &err), QUARTET_OK);
    newer.doc_bytes = bytes;
    for (uint32_t i = 0; i < 3; i++) {
        toy_node_stop(&t->nodes[i]);
        CU_ASSERT_EQUAL_FATAL(toy_node_start(&t->nodes[i], &newer, (uint8_t)i, 300 + i, &err), QUARTET_OK);
    }
    static const char *const routes[] = {"", "&route=random", "&route=roundrobin", "&route=nearest"};
    int before = notices;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        client *c = open_routed(t, routes[i], (uint32_t)i);
        CU_ASSERT_EQUAL(client_slot(c), 2);
        client_close(c);
    }
    CU_ASSERT_EQUAL(notices, before); /* nothing has failed */
    client *c = open_client(t);
    toy_node_stop(&t->nodes[2]);
    CU_ASSERT_EQUAL(run(c, "rows 5", CLIENT_HINT_READS, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(client_slot(c), 1);
    toy_node_stop(&t->nodes[1]);
    CU_ASSERT_EQUAL(run(c, "rows 5", CLIENT_HINT_READS, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(client_slot(c), 0);
    client_close(c);
    toy_net_free(t);
    buf_deinit(&bytes);
}

/* A stopped process accepts TCP and says nothing: a listening socket that nobody serves does the
 * same. */
static void test_a_node_that_is_silent_is_passed_over(void)
{
    struct toy_net *t = toy_net_new(2, 5);
    struct err err = ERR_INIT;
    toy_node_stop(&t->nodes[0]);
    char host[64];
    uint16_t port = 0;
    CU_ASSERT_EQUAL(
        url_split_address(t->cluster.doc.nodes[0].address, host, sizeof host, &port, &err),
        QUARTET_OK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    CU_ASSERT_FATAL(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 8) == 0);
    double start = now_s();
    client *c = open_client(t);
    CU_ASSERT(now_s() - start < 2.0);
    CU_ASSERT_EQUAL(client_slot(c), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(last_notice, "does not answer: now on node 1 at "));
    client_close(c);
    (void)close(fd);
    toy_net_free(t);
}

static void test_strangers_are_refused(void)
{
    struct toy_net *t = toy_net_new(1, 6), *other = toy_net_new(1, 7);
    struct err err = ERR_INIT;
    client *c = NULL;
    struct buf url = {0};
    url_write(&url, &t->cluster.doc,
              &other->cluster.keys.clients[0]); /* the keys of another cluster */
    buf_str(&url, "&timeout=300");
    buf_u8(&url, 0);
    CU_ASSERT_EQUAL(client_open((char *)url.data, NULL, &c, &err), QUARTET_NET); /* silence */
    buf_clear(&url);
    struct member_key unknown = t->cluster.keys.clients[0];
    unknown.seed[0] ^= 1;
    url_write(&url, &t->cluster.doc, &unknown); /* knows the gate, but nobody knows it */
    buf_u8(&url, 0);
    err_clear(&err);
    CU_ASSERT_EQUAL(client_open((char *)url.data, NULL, &c, &err), QUARTET_AUTH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "an unknown client key"));
    buf_deinit(&url);
    toy_net_free(t);
    toy_net_free(other);
}

static void commit_and_push(struct toy_node *n, const void *p, size_t bytes)
{
    server_push_batch(n->server, toy_commit(&n->store, p, bytes, 1));
    server_notify_commit(n->server);
}

static uint64_t has(struct toy_store *s, struct chain_id chain)
{
    (void)pthread_mutex_lock(&s->mutex);
    uint64_t n = toy_last(toy_chain_of(s, chain));
    (void)pthread_mutex_unlock(&s->mutex);
    return n;
}


static void test_gossip_between_servers(void)
{
    struct toy_net *t = toy_net_new(4, 8);
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < 4; i++) {
        TOY_UNTIL(linked(&t->nodes[i], 3));
    }
    double worst = 0;
    for (uint64_t i = 1; i <= 50; i++) {
        double start = now_s();
        commit_and_push(&t->nodes[i % 4], "delta", 5);
        struct toy_node *origin = &t->nodes[i % 4];
        for (uint32_t k = 0; k < 4; k++)
            while (has(&t->nodes[k].store, origin->store.own) < (i + 3) / 4 && now_s() - start < 10)
                ;
        double took = now_s() - start;
        worst = took > worst ? took : worst;
    }
    printf(" (worst push %.2f ms) ", worst * 1e3);
    CU_ASSERT(worst < 10);
    /* One node is cut off, the others go on; it catches up through one peer only. */
    for (uint8_t i = 0; i < 3; i++)
        server_block_peer(t->nodes[3].server, i, true);
    TOY_UNTIL(linked(&t->nodes[3], 0));
    for (int i = 0; i < 100; i++)
        commit_and_push(&t->nodes[0], "more", 4);
    server_block_peer(t->nodes[3].server, 2, false);
    TOY_UNTIL(has(&t->nodes[3].store, t->nodes[0].store.own) ==
              has(&t->nodes[0].store, t->nodes[0].store.own));
    /* A killed node comes back as another process. */
    toy_node_stop(&t->nodes[1]);
    commit_and_push(&t->nodes[2], "meanwhile", 9);
    CU_ASSERT_EQUAL(toy_node_start(&t->nodes[1], &t->cluster, 1, 4711, &err), QUARTET_OK);
    TOY_UNTIL(has(&t->nodes[1].store, t->nodes[2].store.own) ==
              has(&t->nodes[2].store, t->nodes[2].store.own));
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(t->nodes[i].store.faults, 0);
    toy_net_free(t);
}

static int dial_port(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    CU_ASSERT_FATAL(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

/* Send, then read until the other side hangs up; the number of bytes that came. */
static size_t talk(uint16_t port, const void *p, size_t n, char *answer, size_t answer_bytes)
{
    int fd = dial_port(port);
    (void)send(fd, p, n, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    size_t got = 0;
    while (got < answer_bytes) {
        ssize_t r = recv(fd, answer + got, answer_bytes - got, 0);
        if (r <= 0)
            break;
        got += (size_t)r;
    }
    (void)close(fd);
    return got;
}

static uint32_t links_of(struct toy_net *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        (void)pthread_mutex_lock(&t->nodes[i].store.mutex);
        n += t->nodes[i].store.links;
        (void)pthread_mutex_unlock(&t->nodes[i].store.mutex);
    }
    return n;
}

/* For three times as long as silence may last. */
static bool stays_linked(struct toy_net *t)
{
    uint32_t before = links_of(t);
    for (double until = now_s() + 3 * SERVER_SILENCE_MS / 1000.0; now_s() < until && links_of(t) == before;)
        (void)poll(NULL, 0, 5);
    return links_of(t) == before;
}

/* One that takes its time over a batch goes on answering, and takes in no more than it may meanwhile. */
static void test_a_peer_at_work_is_not_taken_for_dead(void)
{
    struct toy_net *t = toy_net_new(2, 14);
    TOY_UNTIL(links_of(t) == 2);
    t->nodes[1].store.stuck = true;
    server_push_batch(t->nodes[0].server, toy_commit(&t->nodes[0].store, "first", 5, 1));
    TOY_UNTIL(t->nodes[1].store.is_stuck);
    bool stayed = false;
    for (int i = 0; i < 5 && !stayed; i++) /* on a machine without a processor for us either may be silent once */
        stayed = stays_linked(t);
    CU_ASSERT(stayed);
    static uint8_t payload[200000];
    for (int i = 0; i < 60; i++) /* 12 MB: more than may wait */
        server_push_batch(t->nodes[0].server, toy_commit(&t->nodes[0].store, payload, sizeof payload, 1));
    for (int i = 0; i < 5 && (i == 0 || !stayed); i++)
        stayed = stays_linked(t);
    CU_ASSERT(stayed);
    t->nodes[1].store.stuck = false;
    TOY_UNTIL(toy_equal(&t->nodes[0].store, &t->nodes[1].store));
    CU_ASSERT_EQUAL(t->nodes[0].store.faults + t->nodes[1].store.faults, 0);
    toy_net_free(t);
}

static void test_random_bytes_on_both_ports_do_no_harm(void)
{
    struct toy_net *t = toy_net_new(1, 9);
    struct err err = ERR_INIT;
    struct prng prng;
    char answer[4096];
    uint64_t seed = unit_seed(9);
    prng_seed(&prng, seed);
    client *c = open_client(t);
    for (int i = 0; i < 300; i++) {
        uint8_t noise[600];
        size_t n = prng_below(&prng, sizeof noise);
        prng_fill(&prng, noise, n);
        if (i % 3 == 0 && n > 4)
            store_le32(noise, (uint32_t)prng_below(&prng, 100)); /* a frame that could be one */
        CU_ASSERT_EQUAL(talk(server_port(t->nodes[0].server), noise, n, answer, sizeof answer),
                        0); /* silence */
        (void)talk(server_http_port(t->nodes[0].server), noise, n, answer, sizeof answer);
    }
    static const char get[] = "GET /healthz?x=1 HTTP/1.1\r\nHost: x\r\n\r\n",
                      none[] = "GET /nothing HTTP/1.0\r\n\r\n",
                      post[] = "POST /healthz HTTP/1.1\r\n\r\n";
    size_t n =
        talk(server_http_port(t->nodes[0].server), get, sizeof get - 1, answer, sizeof answer - 1);
    answer[n] = '\0';
    CU_ASSERT_EQUAL(strncmp(answer, "HTTP/1.1 200 OK\r\n", 17), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\r\n\r\nok\n"));
    n = talk(server_http_port(t->nodes[0].server), none, sizeof none - 1, answer,
             sizeof answer - 1);
    CU_ASSERT(n > 12 && memcmp(answer, "HTTP/1.1 404", 12) == 0);
    n = talk(server_http_port(t->nodes[0].server), post, sizeof post - 1, answer,
             sizeof answer - 1);
    CU_ASSERT(n > 12 && memcmp(answer, "HTTP/1.1 405", 12) == 0);
    CU_ASSERT_EQUAL(run(c, "write", CLIENT_HINT_WRITES, &err),
                    QUARTET_OK); /* who was there is not disturbed */
    client_close(c);
    toy_net_free(t);
}

static void test_too_many_strangers_are_turned_away(void)
{
    struct toy_net *t = toy_net_new(1, 10);
    struct err err = ERR_INIT;
    client *c = open_client(t);
    int fds[SERVER_STRANGERS_MAX + 8];
    for (uint32_t i = 0; i < SERVER_STRANGERS_MAX + 8; i++)
        fds[i] = dial_port(server_port(t->nodes[0].server));
    char byte = 0;
    struct pollfd p = {.fd = fds[SERVER_STRANGERS_MAX + 7], .events = POLLIN};
    CU_ASSERT_EQUAL(poll(&p, 1, 10000), 1);
    CU_ASSERT_EQUAL(recv(p.fd, &byte, 1, 0), 0); /* closed at once */
    CU_ASSERT_EQUAL(run(c, "write", CLIENT_HINT_WRITES, &err), QUARTET_OK);
    p.fd = fds[0];
    double start = now_s();
    CU_ASSERT_EQUAL(poll(&p, 1, 10000), 1); /* and the others once their time is over */
    CU_ASSERT(now_s() - start > 1.0);
    for (uint32_t i = 0; i < SERVER_STRANGERS_MAX + 8; i++)
        (void)close(fds[i]);
    client_close(c);
    toy_net_free(t);
}

static void *hammer(void *arg)
{
    struct toy_net *t = arg;
    struct err err = ERR_INIT;
    client *c = open_client(t);
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(run(c, "write", CLIENT_HINT_WRITES, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(run(c, "rows 300", CLIENT_HINT_READS, &err), QUARTET_OK);
    }
    client_close(c);
    return NULL;
}

static void test_many_sessions_at_once(void)
{
    struct toy_net *t = toy_net_new(2, 11);
    pthread_t threads[12];
    for (int i = 0; i < 12; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, hammer, t), 0);
    for (int i = 0; i < 12; i++)
        (void)pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(t->nodes[0].writes + t->nodes[1].writes, 1200);
    TOY_UNTIL(t->nodes[0].sessions == 0);
    toy_net_free(t);
}

/* Stopped before its thread has done anything, or anywhere in its first rounds; with and without an
 * HTTP port. The membership names port 0 for all, so each dials what cannot answer. */
static void test_stopped_right_after_the_start(void)
{
    static const char *const https[] = {"127.0.0.1:0", ""};
    static const char *const addresses[] = {"127.0.0.1:0", "127.0.0.1:0"};
    struct toy_cluster cluster;
    toy_cluster_init(&cluster, 2, addresses, 12);
    for (int i = 0; i < 200; i++) {
        struct toy_node node = {.http = https[i % 2]};
        struct err err = ERR_INIT;
        quartet_status rc = toy_node_start(&node, &cluster, i / 2 % 2, 9000, &err);
        if (rc != QUARTET_OK)
            printf("%s\n", err.text);
        CU_ASSERT_EQUAL_FATAL(rc, QUARTET_OK);
        CU_ASSERT(server_port(node.server) != 0);
        CU_ASSERT_EQUAL(server_http_port(node.server) != 0, https[i % 2][0] != '\0');
        for (int k = 0; k < i * 10; k++) /* some get as far as to dial */
            (void)sched_yield();
        toy_node_free(&node);
    }
    toy_cluster_deinit(&cluster);
}

const char *const unit_suite = "server and client";
const struct unit_test unit_tests[] = {
    {"statements, rows and errors", test_statements_rows_and_errors},
    {"large values and many open statements", test_large_values_and_many_open_statements},
    {"cancel ends the statement and keeps the session",
     test_cancel_ends_the_statement_and_keeps_the_session},
    {"failover", test_failover},
    {"a newer membership is passed on", test_a_newer_membership_is_passed_on},
    {"routes", test_routes},
    {"drained and standby", test_drained_and_standby},
    {"a node that stops leaves nothing in doubt", test_a_node_that_stops_leaves_nothing_in_doubt},
    {"a node that is silent is passed over", test_a_node_that_is_silent_is_passed_over},
    {"strangers are refused", test_strangers_are_refused},
    {"gossip between servers", test_gossip_between_servers},
    {"a peer at work is not taken for dead", test_a_peer_at_work_is_not_taken_for_dead},
    {"random bytes on both ports do no harm", test_random_bytes_on_both_ports_do_no_harm},
    {"too many strangers are turned away", test_too_many_strangers_are_turned_away},
    {"many sessions at once", test_many_sessions_at_once},
    {"stopped right after the start", test_stopped_right_after_the_start},
    {NULL, NULL},
};
