/* test_client_outcome.c - the link breaks while a write is on its way: whom the client asks, and what it makes of the answers. The nodes are toys that say what they are told to. */
#include "unit/cunit.h"

#include "net/client_internal.h"
#include "unit/net/toy_node.h"

static client *open_client(struct toy_net *t, const char *more)
{
    struct err err = ERR_INIT;
    client *c = NULL;
    char url[URL_BYTES_MAX];
    (void)snprintf(url, sizeof url, "%s&connect_timeout=3000%s", (const char *)t->url.data, more);
    CU_ASSERT_EQUAL_FATAL(client_open(url, NULL, &c, &err), QUARTET_OK);
    return c;
}

struct cut {
    int fd;
    pthread_t thread;
};

static void *cut_soon(void *arg)
{
    struct cut *k = arg;
    (void)poll(NULL, 0, 60); /* the statement takes 300 ms */
    (void)shutdown(k->fd, SHUT_RDWR);
    return NULL;
}

/* Run "pause" as a write whose link breaks before the answer comes. */
static quartet_status run_cut(client *c, const char *sql, enum client_hint hint, client_stmt **out, size_t *consumed, struct err *err)
{
    struct cut k = {.fd = c->link.fd};
    err_clear(err);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&k.thread, NULL, cut_soon, &k), 0);
    quartet_status rc = client_execute(c, sql, strlen(sql), NULL, 0, hint, out, consumed, err);
    (void)pthread_join(k.thread, NULL);
    return rc;
}

static struct toy_net *start(int verdict0, int verdict1)
{
    struct toy_net *t = toy_net_new(2, 21);
    int verdicts[2] = {verdict0, verdict1};
    for (int i = 0; i < 2; i++) {
        t->nodes[i].incarnation = 50 + (uint64_t)i;
        t->nodes[i].verdict = verdicts[i];
    }
    return t;
}

static void test_it_took_effect(void)
{
    struct toy_net *t = start(SESSION_UNKNOWN, SESSION_COMMITTED);
    struct err err = ERR_INIT;
    client *c = open_client(t, "");
    client_stmt *s = NULL;
    size_t consumed = 0;
    uint64_t session = c->link.name.session;
    CU_ASSERT_EQUAL(client_slot(c), 0);
    CU_ASSERT_EQUAL_FATAL(run_cut(c, "pause;write", CLIENT_HINT_WRITES, &s, &consumed, &err), QUARTET_OK);
    CU_ASSERT(client_affected(s) == 7 && client_last_insert_id(s) == 8 && consumed == 6);
    CU_ASSERT(t->nodes[1].asked == 1 && t->nodes[1].asked_session == session);
    CU_ASSERT_EQUAL(t->nodes[1].writes, 0); /* it was not run again */
    CU_ASSERT_STRING_EQUAL(client_doubt(c), "");
    client_stmt_free(s);
    client_close(c);
    toy_net_free(t);
}

/* Another node than the one that the client is with now tells that it took effect: what comes next waits for it there. */
static void test_another_node_tells(void)
{
    struct toy_net *t = start(SESSION_COMMITTED, SESSION_UNKNOWN);
    struct err err = ERR_INIT;
    client *c = open_client(t, "");
    client_stmt *s = NULL;
    t->nodes[0].applied = 5;
    CU_ASSERT_EQUAL_FATAL(run_cut(c, "pause", CLIENT_HINT_WRITES, &s, NULL, &err), QUARTET_OK);
    client_stmt_free(s);
    CU_ASSERT(client_slot(c) == 1 && t->nodes[1].asked == 1 && t->nodes[0].asked == 1);
    CU_ASSERT_EQUAL(t->nodes[1].waited_for, 0);
    CU_ASSERT_EQUAL_FATAL(client_execute(c, "rows 1", 6, NULL, 0, CLIENT_HINT_READS, &s, NULL, &err), QUARTET_OK);
    client_stmt_free(s);
    CU_ASSERT_EQUAL(t->nodes[1].waited_for, 5);
    t->nodes[1].waited_for = 0;
    CU_ASSERT_EQUAL_FATAL(client_execute(c, "rows 1", 6, NULL, 0, CLIENT_HINT_READS, &s, NULL, &err), QUARTET_OK);
    client_stmt_free(s);
    CU_ASSERT_EQUAL(t->nodes[1].waited_for, 0); /* it was told once */
    client_close(c);
    toy_net_free(t);
}

static void test_it_never_took_effect(void)
{
    struct toy_net *t = start(SESSION_NEVER, SESSION_UNKNOWN);
    struct err err = ERR_INIT;
    client *c = open_client(t, "");
    client_stmt *s = NULL;
    const struct value *row = NULL;
    CU_ASSERT_EQUAL_FATAL(run_cut(c, "pause", CLIENT_HINT_WRITES, &s, NULL, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(client_slot(c), 1);
    CU_ASSERT(t->nodes[1].asked == 1 && t->nodes[0].asked == 1 && t->nodes[1].writes == 1); /* run again where it is now */
    client_stmt_free(s);
    TOY_UNTIL(t->nodes[0].sessions == 0);

    CU_ASSERT_EQUAL(client_prepare(c, "pause", 5, &s, NULL, &err), QUARTET_OK); /* prepared again by itself, and run again */
    struct cut k = {.fd = c->link.fd};
    t->nodes[1].verdict = SESSION_NEVER;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&k.thread, NULL, cut_soon, &k), 0);
    CU_ASSERT_EQUAL(client_run(s, NULL, 0, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(client_step(s, &row, &err), QUARTET_DONE);
    CU_ASSERT_EQUAL(client_slot(c), 0);
    CU_ASSERT(t->nodes[0].writes == 2); /* the toy ran the first one to its end, too */
    (void)pthread_join(k.thread, NULL);
    client_stmt_free(s);
    client_close(c);
    toy_net_free(t);
}

static void test_nobody_can_tell(void)
{
    struct toy_net *t = start(SESSION_UNKNOWN, SESSION_UNKNOWN);
    struct err err = ERR_INIT;
    client *c = open_client(t, "");
    client_stmt *s = NULL;
    char want[CLIENT_NAME_BYTES], *doubt;
    struct session_name name = c->link.name;
    enum session_verdict verdict = SESSION_NEVER;
    CU_ASSERT_EQUAL(run_cut(c, "pause", CLIENT_HINT_WRITES, &s, NULL, &err), QUARTET_UNKNOWN_OUTCOME);
    CU_ASSERT_PTR_NULL(s);
    name.request = t->nodes[0].asked_request;
    client_name_write(&name, want);
    CU_ASSERT_STRING_EQUAL(client_doubt(c), want);
    CU_ASSERT(strstr(err.text, want) != NULL && strstr(err.text, "because") != NULL);
    CU_ASSERT(t->nodes[0].asked == 1 && t->nodes[1].asked == 1);
    err_clear(&err);
    doubt = want;
    CU_ASSERT_EQUAL(client_outcome(c, doubt, 0, &verdict, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(verdict, SESSION_UNKNOWN);
    t->nodes[0].verdict = SESSION_COMMITTED; /* which is not where the client is now */
    CU_ASSERT_EQUAL(client_outcome(c, doubt, 5000, &verdict, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(verdict, SESSION_COMMITTED);
    CU_ASSERT_EQUAL(client_outcome(c, "3-xyz-1-1", 0, &verdict, &err), QUARTET_MISUSE);
    err_clear(&err);

    /* Rows that are lost cannot be told again. */
    t->nodes[0].gave_rows = t->nodes[1].gave_rows = 1;
    t->nodes[1].verdict = SESSION_COMMITTED;
    CU_ASSERT_EQUAL(run_cut(c, "pause", CLIENT_HINT_WRITES, &s, NULL, &err), QUARTET_UNKNOWN_OUTCOME);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "do not run it again"));

    /* What is no transaction nobody is asked about. */
    int asked = t->nodes[0].asked + t->nodes[1].asked;
    CU_ASSERT_EQUAL(run_cut(c, "pause", CLIENT_HINT_ONCE, &s, NULL, &err), QUARTET_UNKNOWN_OUTCOME);
    CU_ASSERT_EQUAL(t->nodes[0].asked + t->nodes[1].asked, asked);
    client_close(c);
    toy_net_free(t);
}

static void test_transactions(void)
{
    struct toy_net *t = start(SESSION_COMMITTED, SESSION_COMMITTED);
    struct err err = ERR_INIT;
    client *c = open_client(t, "");
    client_stmt *s = NULL;
    for (int committed = 1; committed >= 0; committed--) {
        t->nodes[0].verdict = t->nodes[1].verdict = committed ? SESSION_COMMITTED : SESSION_NEVER;
        CU_ASSERT_EQUAL(client_execute(c, "begin", 5, NULL, 0, CLIENT_HINT_READS, &s, NULL, &err), QUARTET_OK);
        client_stmt_free(s);
        CU_ASSERT(client_in_transaction(c));
        quartet_status rc = run_cut(c, "pause", CLIENT_HINT_NONE, &s, NULL, &err); /* for all that is known it is a COMMIT */
        CU_ASSERT_EQUAL(rc, committed ? QUARTET_OK : QUARTET_NET);
        if (committed)
            client_stmt_free(s);
        else
            CU_ASSERT_STRING_EQUAL(err.text, "transaction rolled back by failover; run it again");
        CU_ASSERT(!client_in_transaction(c));
        s = NULL;
    }
    client_close(c);
    toy_net_free(t);
}

static void test_asked_for_a_while(void)
{
    struct toy_net *t = start(SESSION_UNKNOWN, SESSION_UNKNOWN);
    struct err err = ERR_INIT;
    client *c = open_client(t, "&outcome_timeout=300");
    client_stmt *s = NULL;
    CU_ASSERT_EQUAL(run_cut(c, "pause", CLIENT_HINT_WRITES, &s, NULL, &err), QUARTET_UNKNOWN_OUTCOME);
    CU_ASSERT(t->nodes[0].asked > 1 && t->nodes[1].asked > 1);
    t->nodes[0].verdict = SESSION_NEVER;
    client_close(c);
    c = open_client(t, "&route=ordered");
    CU_ASSERT_EQUAL(run_cut(c, "pause", CLIENT_HINT_WRITES, &s, NULL, &err), QUARTET_OK);
    client_stmt_free(s);
    t->nodes[0].incarnation = t->nodes[1].incarnation = 0; /* a node whose requests have no names: what is lost there stays unknown */
    client_close(c);
    c = open_client(t, "");
    int asked = t->nodes[0].asked + t->nodes[1].asked;
    CU_ASSERT_EQUAL(run_cut(c, "pause", CLIENT_HINT_WRITES, &s, NULL, &err), QUARTET_UNKNOWN_OUTCOME);
    CU_ASSERT_EQUAL(t->nodes[0].asked + t->nodes[1].asked, asked);
    client_close(c);
    toy_net_free(t);
}

static void test_names(void)
{
    static const char *const bad[] = {"", "1", "1-2-3", "1-2-3-4-5", "4-1f-1-1", "1-0-1-1", "1-1f-0-1", "1-1f-1-4294967296", "1-1f-1-1 ", " 1-1f-1-1", "1--1f-1-1", "1-+1f-1-1",
                                      "1-8000000000000000-1-1", "1-1f-9223372036854775808-1", "1-1g-1-1"};
    struct session_name name = {.slot = 3, .incarnation = INT64_MAX, .session = INT64_MAX, .request = UINT32_MAX}, back;
    char text[CLIENT_NAME_BYTES];
    client_name_write(&name, text);
    CU_ASSERT_FATAL(client_name_read(text, &back));
    CU_ASSERT(back.slot == 3 && back.incarnation == name.incarnation && back.session == name.session && back.request == name.request);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT(!client_name_read(bad[i], &back));
}

const char *const unit_suite = "client outcome";
const struct unit_test unit_tests[] = {
    {"it took effect", test_it_took_effect},
    {"another node tells", test_another_node_tells},
    {"it never took effect", test_it_never_took_effect},
    {"nobody can tell", test_nobody_can_tell},
    {"transactions", test_transactions},
    {"asked for a while", test_asked_for_a_while},
    {"names", test_names},
    {NULL, NULL},
};
