/* test_client_route.c - which node a client is with: the one that lacks least, what a program's own function says, and processes that accept connections and say nothing. */
#include "unit/cunit.h"

#include "net/client_internal.h"
#include "unit/net/toy_node.h"

static client *open_with(struct toy_net *t, const char *more, client_choose *choose, void *arg)
{
    struct err err = ERR_INIT;
    struct client_options options = {.choose = choose, .choose_arg = arg};
    client *c = NULL;
    char url[URL_BYTES_MAX];
    (void)snprintf(url, sizeof url, "%s&connect_timeout=3000%s", (const char *)t->url.data, more);
    quartet_status rc = client_open(url, &options, &c, &err);
    if (rc != QUARTET_OK)
        printf("open: %s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(rc, QUARTET_OK);
    return c;
}

static void expect_slot(struct toy_net *t, const char *more, int slot)
{
    client *c = open_with(t, more, NULL, NULL);
    CU_ASSERT_EQUAL(client_slot(c), slot);
    client_close(c);
}

static void applied(struct toy_net *t, uint64_t a, uint64_t b, uint64_t c)
{
    t->nodes[0].applied = a;
    t->nodes[1].applied = b;
    t->nodes[2].applied = c;
}

static void test_leastlag(void)
{
    struct toy_net *t = toy_net_new(3, 31);
    struct err err = ERR_INIT;
    applied(t, 5, 9, 7);
    expect_slot(t, "&route=leastlag", 1);
    expect_slot(t, "&route=ordered", 0);
    applied(t, 5, 6, 7);
    expect_slot(t, "&route=leastlag", 2);
    applied(t, 8, 7, 7);
    client *c = open_with(t, "&route=leastlag", NULL, NULL);
    CU_ASSERT_EQUAL(client_slot(c), 0);
    applied(t, 8, 7, 8); /* as it is when the other one goes, not as it was */
    toy_node_stop(&t->nodes[0]);
    CU_ASSERT_EQUAL(client_ping(c, NULL, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(client_slot(c), 2);
    client_close(c);
    toy_net_free(t);
}

/* A process that is stopped: its port answers, and that is all. */
static void test_leastlag_finds_out_who_is_silent(void)
{
    struct toy_net *t = toy_net_new(3, 32);
    applied(t, 5, 9, 7);
    uint16_t port = server_port(t->nodes[1].server);
    toy_node_stop(&t->nodes[1]);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    CU_ASSERT_EQUAL_FATAL(listen(fd, 16), 0);
    expect_slot(t, "&connect_timeout=1500&route=leastlag", 2);
    (void)close(fd);
    toy_net_free(t);
}

struct wish {
    int slots[4], count; /* what it asks for, by slot; a number that is no slot stands for itself */
    int calls, answered, ready;
    int64_t behind[3];
    bool standby[3], serves_now[3];
};

static int choose(void *arg, const struct client_route_node *nodes, uint32_t count, int *order)
{
    struct wish *w = arg;
    w->calls++;
    w->answered = w->ready = 0;
    CU_ASSERT(count <= 3);
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT(strncmp(nodes[i].address, "127.0.0.1:", 10) == 0);
        w->answered += nodes[i].answer_us >= 0;
        w->ready += nodes[i].state == GOSSIP_STATE_READY;
        if (nodes[i].slot >= 0 && nodes[i].slot < 3) {
            w->behind[nodes[i].slot] = nodes[i].behind;
            w->serves_now[nodes[i].slot] = nodes[i].serves_now;
        }
    }
    int n = 0;
    for (int k = 0; k < w->count && n < (int)count; k++) {
        order[n] = w->slots[k];
        for (uint32_t i = 0; i < count; i++)
            if (nodes[i].slot == w->slots[k])
                order[n] = (int)i;
        n++;
    }
    return n;
}

static void test_a_choice_of_ones_own(void)
{
    struct toy_net *t = toy_net_new(3, 33);
    struct err err = ERR_INIT;
    struct wish w = {.slots = {2, 1}, .count = 2};
    applied(t, 5, 9, 7);
    client *c = open_with(t, "", choose, &w);
    CU_ASSERT(client_slot(c) == 2 && w.calls == 1 && w.answered == 3 && w.ready == 3);
    CU_ASSERT(w.behind[0] == 4 && w.behind[1] == 0 && w.behind[2] == 2);
    CU_ASSERT(!w.serves_now[2]);
    toy_node_stop(&t->nodes[2]);
    CU_ASSERT_EQUAL(client_ping(c, NULL, &err), QUARTET_OK);
    CU_ASSERT(client_slot(c) == 1 && w.calls == 2 && w.answered == 2 && w.behind[2] == -1 && w.serves_now[2]);
    w.slots[0] = 1000; /* what is no node is left out, and so is what is named twice */
    w.slots[1] = w.slots[2] = 2;
    w.slots[3] = -7;
    w.count = 4;
    toy_node_stop(&t->nodes[1]);
    CU_ASSERT_EQUAL(client_ping(c, NULL, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(client_slot(c), 0); /* the one it asked for is away, so are others: who is there follows in any case */
    client_close(c);
    w.count = 0; /* no wish: the URL's route */
    c = open_with(t, "&route=ordered", choose, &w);
    CU_ASSERT_EQUAL(client_slot(c), 0);
    client_close(c);
    toy_net_free(t);
}

/* One node of the URL is enough to learn of the others. */
static void test_the_others_are_learnt_of(void)
{
    struct toy_net *t = toy_net_new(3, 34);
    struct err err = ERR_INIT;
    client *c = NULL;
    char url[URL_BYTES_MAX], *comma, *rest;
    (void)snprintf(url, sizeof url, "%s&connect_timeout=3000&route=leastlag", (const char *)t->url.data);
    comma = strchr(url, ',');
    rest = strstr(url, "/?");
    CU_ASSERT_FATAL(comma != NULL && rest != NULL);
    memmove(comma, rest, strlen(rest) + 1); /* only the first host is left */
    applied(t, 5, 9, 7);
    CU_ASSERT_EQUAL_FATAL(client_open(url, NULL, &c, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(c->node_count, 3);
    CU_ASSERT_EQUAL(client_slot(c), 1); /* which the URL does not name */
    toy_node_stop(&t->nodes[1]);
    CU_ASSERT_EQUAL(client_ping(c, NULL, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(client_slot(c), 2);
    client_close(c);
    toy_net_free(t);
}

const char *const unit_suite = "client route";
const struct unit_test unit_tests[] = {
    {"leastlag", test_leastlag},
    {"leastlag finds out who is silent", test_leastlag_finds_out_who_is_silent},
    {"a choice of one's own", test_a_choice_of_ones_own},
    {"the others are learnt of", test_the_others_are_learnt_of},
    {NULL, NULL},
};
