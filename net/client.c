/* client.c - the client: its nodes, connecting and logging in, failing over, and what may be asked
 * again.
 *
 * The rules of retrying are at the top of client.h. They rest on one fact: a message that was not
 * wholly given to the system cannot have been decrypted by the node, so it was never run; one that
 * was may have been. */
#include "client.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "client_internal.h"

#define ATTEMPTS_MAX           4u
#define ROUND_PAUSE_MS         50
#define CONNECT_TIMEOUT_MS_MAX 3000u

void client_tell(client *c, const char *text)
{
    if (c->notice != NULL)
        c->notice(c->notice_arg, text);
}

uint32_t client_next_id(client *c)
{
    c->next_id = c->next_id == UINT32_MAX ? 1 : c->next_id + 1;
    return c->next_id;
}

void client_address_write(const struct client_node *n, char *out, size_t out_bytes)
{
    bool v6 = strchr(n->host, ':') != NULL;
    (void)snprintf(out, out_bytes, v6 ? "[%s]:%u" : "%s:%u", n->host, n->port);
}

static void name_node(const struct client_node *n, char *out, size_t out_bytes)
{
    char address[MEMBER_ADDRESS_BYTES_MAX + 8];
    client_address_write(n, address, sizeof address);
    if (n->slot >= 0)
        (void)snprintf(out, out_bytes, "node %d at %s", n->slot, address);
    else
        (void)snprintf(out, out_bytes, "the node at %s", address);
}

static void add_node(client *c, const char *host, uint16_t port, int slot, uint32_t flags)
{
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (c->nodes[i].port == port && strcmp(c->nodes[i].host, host) == 0) {
            c->nodes[i].slot = slot >= 0 ? slot : c->nodes[i].slot;
            c->nodes[i].flags = flags;
            return;
        }
        if (slot >= 0 && c->nodes[i].slot == slot) { /* known by another address */
            c->nodes[i].flags = flags;
            return;
        }
    }
    if (c->node_count == CLIENT_NODES_MAX)
        return;
    struct client_node *n = &c->nodes[c->node_count++];
    (void)snprintf(n->host, sizeof n->host, "%s", host);
    n->port = port;
    n->slot = slot;
    n->flags = flags;
    n->probe_us = n->behind = UINT64_MAX;
}

/* The document names all members: from one node we learn the others. It was verified by the
 * handshake. */
void client_learn_nodes(client *c, struct slice doc_bytes)
{
    struct member_doc doc = {0};
    struct err ignored = ERR_INIT; /* without it the URL's nodes remain */
    if (member_doc_decode(doc_bytes, &c->key.cluster, &doc, &ignored) != QUARTET_OK)
        return;
    for (uint32_t i = 0; i < doc.node_count; i++) {
        char host[MEMBER_ADDRESS_BYTES_MAX];
        uint16_t port = 0;
        if (url_split_address(doc.nodes[i].address, host, sizeof host, &port, &ignored) ==
                QUARTET_OK &&
            port != 0)
            add_node(c, host, port, doc.nodes[i].slot, doc.nodes[i].flags);
    }
    member_doc_deinit(&doc);
}

static quartet_status keep_token(client *c, struct slice token, struct err *err)
{
    if (token.n == 0)
        return QUARTET_OK;
    buf_clear(&c->token);
    buf_put(&c->token, token.p, token.n);
    return buf_check(&c->token, err);
}

static quartet_status take_error(client *c, struct bytes_in *in, struct err *err)
{
    struct session_error e;
    quartet_status rc = session_get_error(in, &e, err);
    if (rc != QUARTET_OK)
        return rc;
    c->in_transaction = (e.flags & SESSION_IN_TRANSACTION) != 0;
    (void)err_set_at(err, e.code, e.sql_offset, "%.*s", (int)e.text.n, (const char *)e.text.p);
    return e.code;
}

quartet_status client_log_in(client *c, struct client_link *l, struct slice token,
                             uint64_t deadline_ms, struct session_welcome *welcome,
                             struct err *err)
{
    struct session_login login = {.version = SESSION_VERSION,
                                  .user = slice_of(c->url.user, strlen(c->url.user)),
                                  .application = slice_of(c->application, strlen(c->application)),
                                  .token = token,
                                  .setting_count = c->setting_count};
    for (uint32_t i = 0; i < c->setting_count; i++) {
        login.settings[i].name = slice_of(c->settings[i].name, strlen(c->settings[i].name));
        login.settings[i].value = slice_of(c->settings[i].value, strlen(c->settings[i].value));
    }
    struct buf message = {0};
    uint32_t id = client_next_id(c), got = 0;
    session_put_login(&message, id, &login);
    quartet_status rc = buf_check(&message, err);
    if (rc == QUARTET_OK)
        rc = client_link_send(l, c->env, slice_of(message.data, message.len), err);
    buf_deinit(&message);
    struct slice answer;
    if (rc == QUARTET_OK)
        rc = client_link_receive(l, c->env, -1, deadline_ms, &answer, err);
    struct bytes_in in;
    uint8_t kind = 0;
    if (rc == QUARTET_OK)
        rc = session_open_message(answer, &in, &kind, &got, err);
    if (rc == QUARTET_OK && kind == SESSION_ERROR)
        rc = take_error(c, &in, err);
    else if (rc == QUARTET_OK && (kind != SESSION_WELCOME || got != id))
        rc = err_set(err, QUARTET_CORRUPT, "an unexpected answer to the login");
    if (rc == QUARTET_OK && kind == SESSION_WELCOME)
        rc = session_get_welcome(&in, welcome, err);
    return rc;
}

static quartet_status log_in(client *c, uint64_t deadline_ms, struct err *err)
{
    struct session_welcome welcome;
    quartet_status rc = client_log_in(c, &c->link, slice_of(c->token.data, c->token.len),
                                      deadline_ms, &welcome, err);
    if (rc != QUARTET_OK)
        return rc;
    c->link.slot = welcome.slot;
    c->link.state = welcome.state;
    c->link.name = (struct session_name){.slot = welcome.slot,
                                         .incarnation = welcome.incarnation,
                                         .session = welcome.session};
    c->token_untold = false;
    return keep_token(c, welcome.token, err);
}

static quartet_status try_node(client *c, uint32_t index, uint32_t timeout_ms, uint64_t deadline_ms,
                               struct err *err)
{
    struct client_node *n = &c->nodes[index];
    struct buf doc = {0};
    quartet_status rc =
        client_link_open(&c->link, &c->config, n->host, n->port, timeout_ms, &doc, err);
    if (rc == QUARTET_OK) {
        n->slot = c->link.slot;
        rc = log_in(c, deadline_ms, err);
        if (rc != QUARTET_OK)
            client_link_close(&c->link, true);
    }
    if (rc == QUARTET_OK) {
        c->current = index;
        c->generation++;
        c->in_transaction = false;
        client_address_write(n, c->address, sizeof c->address);
        client_learn_nodes(c, slice_of(doc.data, doc.len));
    } else {
        char name[MEMBER_ADDRESS_BYTES_MAX + 48];
        name_node(n, name, sizeof name);
        err_prefix(err, name);
    }
    buf_deinit(&doc);
    return rc;
}

/* How late a node is asked: one that is named alone is wanted for itself. */
static uint32_t rank_of(const client *c, uint32_t index)
{
    uint32_t flags = c->url.host_count > 1 ? c->nodes[index].flags : 0;
    return (flags & MEMBER_DRAINED) != 0 ? 2 : (flags & MEMBER_STANDBY) != 0 ? 1 : 0;
}

/* Among equals by rank: is x to be asked before y? */
static bool is_better(const client *c, uint32_t x, uint32_t y)
{
    const struct client_node *a = &c->nodes[x], *b = &c->nodes[y];
    if (c->url.route == URL_ROUTE_LEASTLAG && a->behind != b->behind)
        return a->behind < b->behind;
    return (c->url.route == URL_ROUTE_LEASTLAG || c->url.route == URL_ROUTE_NEAREST) && a->probe_us < b->probe_us;
}

/* All nodes in the order in which they are to be asked, beginning with those that the program chose, then with `start` where neither rank nor distance says otherwise. */
static void order_nodes(const client *c, uint32_t start, uint32_t order[CLIENT_NODES_MAX])
{
    uint32_t count = c->chosen_count;
    bool chosen[CLIENT_NODES_MAX] = {false};
    for (uint32_t i = 0; i < count; i++) {
        order[i] = c->chosen[i];
        chosen[order[i]] = true;
    }
    for (uint32_t i = 0; i < c->node_count; i++) {
        uint32_t x = (start + i) % c->node_count, at = count;
        if (chosen[x])
            continue;
        for (; at > c->chosen_count; at--) {
            uint32_t y = order[at - 1], a = rank_of(c, x), b = rank_of(c, y);
            if (a > b || (a == b && !is_better(c, x, y)))
                break;
            order[at] = y;
        }
        order[at] = x;
        count++;
    }
}

/* One round over all nodes. *hopeless: every one refuses who we are. */
static quartet_status try_round(client *c, uint32_t start, uint32_t timeout_ms,
                                uint64_t deadline_ms, bool *hopeless, struct err *err)
{
    quartet_status rc = err_set(err, QUARTET_NET, "there is no node");
    uint32_t order[CLIENT_NODES_MAX] = {0}, refused = 0, count = c->node_count;
    order_nodes(c, start, order);
    for (uint32_t i = 0; i < count; i++) {
        err_clear(err);
        rc = try_node(c, order[i], timeout_ms, deadline_ms, err);
        if (rc == QUARTET_OK || rc == QUARTET_NOMEM)
            return rc;
        refused += rc == QUARTET_AUTH ? 1 : 0;
    }
    *hopeless = refused == count;
    return rc;
}

/* It answered, and the membership that it gave says that clients are to keep away from it: is there one to go to instead? If none of those answers the next round comes back. */
static bool better_elsewhere(client *c, uint32_t rank_before)
{
    uint32_t rank = rank_of(c, c->current);
    if (c->chosen_count > 0) /* it was wanted */
        return false;
    if (rank <= rank_before) /* that was known when the order was made: the others did not answer */
        return false;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (rank_of(c, i) < rank)
            return true;
    return false;
}

static uint32_t first_node(client *c, bool again)
{
    if (c->choose != NULL)
        client_let_choose(c);
    else if (c->url.route == URL_ROUTE_LEASTLAG)
        client_measure(c);
    else if (c->url.route == URL_ROUTE_NEAREST)
        client_probe(c->nodes, c->node_count, c->env, c->url.connect_timeout_ms);
    if (again)
        return (c->current + 1) % c->node_count; /* the one that failed is asked last */
    if (c->url.route == URL_ROUTE_RANDOM)
        return (uint32_t)prng_below(&c->prng, c->node_count);
    return c->url.route == URL_ROUTE_ROUNDROBIN ? c->turn % c->node_count : 0;
}

quartet_status client_connect(client *c, struct err *err)
{
    if (c->link.fd >= 0)
        return QUARTET_OK;
    bool again = c->generation > 0, moved = false;
    uint64_t deadline = client_now_ms(c->env) + c->url.timeout_ms;
    uint32_t timeout = c->url.connect_timeout_ms, start = first_node(c, again), order[CLIENT_NODES_MAX] = {0};
    if (!again) {
        order_nodes(c, start, order);
        c->current = order[0];
    }
    uint32_t first = c->current;
    char before[MEMBER_ADDRESS_BYTES_MAX + 48];
    name_node(&c->nodes[c->current], before, sizeof before);
    quartet_status rc = QUARTET_OK;
    while (true) {
        bool hopeless = false;
        uint32_t ranks[CLIENT_NODES_MAX] = {0};
        for (uint32_t i = 0; i < c->node_count; i++)
            ranks[i] = rank_of(c, i);
        rc = try_round(c, start, timeout, deadline, &hopeless, err);
        if (rc == QUARTET_OK && !moved && better_elsewhere(c, ranks[c->current])) {
            client_link_close(&c->link, true);
            moved = true;
            continue;
        }
        if (rc == QUARTET_OK || rc == QUARTET_NOMEM || hopeless ||
            client_now_ms(c->env) >= deadline)
            break;
        (void)poll(NULL, 0, ROUND_PAUSE_MS); /* a pause, nothing to wait for */
        timeout = timeout * 2 < CONNECT_TIMEOUT_MS_MAX ? timeout * 2 : CONNECT_TIMEOUT_MS_MAX;
    }
    if (moved && !again)
        first = c->current; /* nothing has failed */
    if (rc == QUARTET_OK && (again || c->current != first)) {
        char now_on[MEMBER_ADDRESS_BYTES_MAX + 48], text[2 * MEMBER_ADDRESS_BYTES_MAX + 160];
        name_node(&c->nodes[c->current], now_on, sizeof now_on);
        if (strcmp(before, now_on) == 0)
            (void)snprintf(text, sizeof text, "connected again to %s", now_on);
        else
            (void)snprintf(text, sizeof text, "%s does not answer: now on %s", before, now_on);
        client_tell(c, text);
    } else if (rc != QUARTET_OK && rc != QUARTET_AUTH && rc != QUARTET_UNAVAILABLE &&
               rc != QUARTET_NOMEM) {
        rc = err->code = QUARTET_NET;
        err_prefix(err, "no node can be reached; the last try");
    }
    return rc;
}

void client_lost(client *c, const char *why)
{
    (void)why; /* the notice of the next connection tells; the reason is in the error where there is
                  one */
    client_link_close(&c->link, false);
    if (c->in_transaction)
        c->transaction_lost = true;
    c->in_transaction = false;
}

/* Wait for the answer with this id. QUARTET_NET and CORRUPT mean that the link is of no more use;
 * *link_broke tells that apart from an error that the node sent. *not_run: it ended the session in order, having answered all that it ran. */
static quartet_status take_answer(client *c, uint32_t id, struct client_answer *answer,
                                  bool *link_broke, bool *not_run, struct err *err)
{
    *not_run = false;
    while (true) {
        struct slice message;
        struct bytes_in in;
        uint8_t kind = 0;
        uint32_t got = 0;
        *link_broke = true;
        quartet_status rc = client_link_receive(&c->link, c->env, c->cancel_fd, 0, &message, err);
        if (rc == QUARTET_OK)
            rc = session_open_message(message, &in, &kind, &got, err);
        if (rc != QUARTET_OK)
            return rc;
        if (got == 0 && kind == SESSION_BYE) {
            *not_run = true;
            return err_set(err, QUARTET_NET, "it is stopping");
        }
        if (got != id && !(got == 0 && kind == SESSION_ERROR))
            continue; /* of a request that was given up */
        answer->kind = kind;
        answer->settled = false;
        if (kind == SESSION_ERROR) {
            *link_broke = got == 0; /* without a request: the node is about to hang up */
            return take_error(c, &in, err);
        }
        if (kind == SESSION_PONG)
            rc = session_get_pong(&in, &answer->slot, &answer->state, err);
        else if (kind == SESSION_NODES_ARE)
            rc = session_get_nodes(&in, answer->nodes, &answer->node_count, err);
        else if (kind == SESSION_RESULT || kind == SESSION_PREPARED)
            rc = session_get_result(&in, &c->answer, &answer->result, err);
        else
            rc = err_set(err, QUARTET_CORRUPT, "an unexpected answer");
        if (rc == QUARTET_OK && (kind == SESSION_RESULT || kind == SESSION_PREPARED)) {
            c->in_transaction = (answer->result.flags & SESSION_IN_TRANSACTION) != 0;
            rc = c->token_untold ? client_merge_token(c, answer->result.token, err)
                                 : keep_token(c, answer->result.token, err);
            c->token_untold = c->token_untold && !c->request_tells;
        }
        *link_broke = rc != QUARTET_OK;
        return rc;
    }
}

/* Whoever drops this error must not go on as if the transaction were open: what comes next would be committed by itself, half a transaction. */
static quartet_status rolled_back(client *c, enum client_hint hint, struct err *err)
{
    c->transaction_lost = hint == CLIENT_HINT_ASKS;
    return err_set(err, QUARTET_NET, "transaction rolled back by failover; run it again");
}

quartet_status client_ask(client *c, uint32_t id, enum client_hint hint, uint32_t needs_generation,
                          struct client_answer *answer, struct err *err)
{
    quartet_status rc = buf_check(&c->request, err);
    for (uint32_t attempt = 0; rc == QUARTET_OK && attempt < ATTEMPTS_MAX; attempt++) {
        arena_free_all(&c->answer);
        rc = client_connect(c, err);
        if (c->transaction_lost)
            return rolled_back(c, hint, err);
        if (rc != QUARTET_OK)
            return rc;
        if (needs_generation != 0 && needs_generation != c->generation)
            return err_set(err, QUARTET_NOTFOUND, "the session is gone");
        bool in_transaction = c->in_transaction, sent = false, link_broke = true, not_run = false;
        rc = client_link_send(&c->link, c->env, slice_of(c->request.data, c->request.len), err);
        if (rc == QUARTET_LIMIT || rc == QUARTET_NOMEM)
            return rc; /* nothing was sent, the link is as before */
        sent = rc == QUARTET_OK;
        if (sent)
            rc = take_answer(c, id, answer, &link_broke, &not_run, err);
        sent = sent && !not_run;
        if (rc == QUARTET_OK || !link_broke)
            return rc;
        struct session_name name = c->link.name;
        name.request = id;
        c->silent_slot = c->link.silent ? c->link.slot : -1;
        client_lost(c, err->text);
        c->transaction_lost = false; /* told right here */
        struct err connecting =
            ERR_INIT; /* go to another node at once; the next call says why where none is there */
        quartet_status connected = client_connect(c, &connecting);
        if (in_transaction && (!sent || hint != CLIENT_HINT_NONE))
            return rolled_back(c, hint, err);
        bool again = true;
        if (sent && hint != CLIENT_HINT_READS && hint != CLIENT_HINT_ASKS) {
            if (hint == CLIENT_HINT_ONCE)
                name.session = 0;
            rc = client_settle(c, &name, answer, &again, err);
            if (rc != QUARTET_OK || !again)
                return rc;
            if (in_transaction)
                return rolled_back(c, hint, err);
        }
        rc = connected;
        if (rc != QUARTET_OK)
            *err = connecting;
    }
    return rc != QUARTET_OK ? rc
                            : err_set(err, QUARTET_NET, "the link broke %u times", ATTEMPTS_MAX);
}

static quartet_status read_key_file(client *c, struct err *err)
{
    uint8_t *data = NULL;
    size_t n = 0;
    quartet_status rc = member_key_check_rights(c->url.keyfile, err);
    if (rc == QUARTET_OK)
        rc = env_read_file(c->env, c->url.keyfile, MEMBER_KEY_FILE_BYTES_MAX, &data, &n, err);
    if (rc == QUARTET_OK)
        rc = member_key_decode(slice_of(data, n), &c->key, err);
    if (rc == QUARTET_OK && c->key.kind != MEMBER_KEY_CLIENT)
        rc = err_set(err, QUARTET_AUTH, "%s is not a client's key", c->url.keyfile);
    mem_free(data);
    return rc;
}

static quartet_status set_up(client *c, const char *url, const struct client_options *options,
                             struct err *err)
{
    quartet_status rc = url_parse(url, &c->url, err);
    if (rc != QUARTET_OK)
        return rc;
    c->key = c->url.key;
    if (c->url.keyfile[0] != '\0')
        rc = read_key_file(c, err);
    member_key_wipe(&c->url.key);
    uint64_t seed = 0;
    if (rc == QUARTET_OK)
        rc = c->env->ops->random(c->env, &seed, sizeof seed, err);
    prng_seed(&c->prng, seed);
    if (rc == QUARTET_OK)
        rc = c->env->ops->random(c->env, &c->config.instance, sizeof c->config.instance, err);
    c->config.env = c->env;
    c->config.role = NET_ROLE_CLIENT;
    c->config.cluster = c->key.cluster;
    c->config.key = &c->key;
    c->config.expect_slot = -1;
    for (uint32_t i = 0; i < c->url.host_count; i++)
        add_node(c, c->url.hosts[i].host, c->url.hosts[i].port, -1, 0);
    for (uint32_t i = 0; rc == QUARTET_OK && i < c->url.setting_count; i++)
        rc = client_remember(c, c->url.settings[i].name, c->url.settings[i].value, err);
    if (options != NULL && options->application != NULL)
        (void)snprintf(c->application, sizeof c->application, "%s", options->application);
    c->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (rc == QUARTET_OK && c->cancel_fd < 0)
        rc = err_set(err, QUARTET_IO, "eventfd cannot be had");
    return rc;
}

quartet_status client_open(const char *url, const struct client_options *options, client **out,
                           struct err *err)
{
    client *c = mem_zalloc(1, sizeof *c);
    if (c == NULL)
        return err_nomem(err);
    c->env = options != NULL && options->env != NULL ? options->env : env_posix();
    c->cancel_fd = c->silent_slot = -1;
    client_link_init(&c->link);
    if (options != NULL) {
        c->turn = options->turn;
        c->choose = options->choose;
        c->choose_arg = options->choose_arg;
        c->notice = options->notice;
        c->notice_arg = options->notice_arg;
    }
    quartet_status rc = set_up(c, url, options, err);
    spin_init(&c->link.spin, c->url.poll_us);
    if (rc == QUARTET_OK)
        rc = client_connect(c, err);
    if (rc != QUARTET_OK) {
        client_close(c);
        return rc;
    }
    *out = c;
    return QUARTET_OK;
}

void client_close(client *c)
{
    if (c == NULL)
        return;
    client_link_close(&c->link, true);
    if (c->cancel_fd >= 0)
        (void)close(c->cancel_fd);
    arena_free_all(&c->answer);
    buf_deinit(&c->token);
    buf_deinit(&c->request);
    url_wipe(&c->url);
    member_key_wipe(&c->key);
    mem_free(c);
}

bool client_in_transaction(const client *c)
{
    return c->in_transaction;
}

void client_cancel(client *c)
{
    uint64_t one = 1;
    ssize_t n = write(c->cancel_fd, &one, sizeof one);
    (void)n; /* full means that a cancel is waiting already */
}

quartet_status client_ping(client *c, uint64_t *rtt_us, struct err *err)
{
    uint64_t start = c->env->ops->mono_ns(c->env);
    struct client_answer answer;
    uint32_t id = client_next_id(c);
    buf_clear(&c->request);
    session_put_simple(&c->request, SESSION_PING, id);
    quartet_status rc = client_ask(c, id, CLIENT_HINT_ASKS, 0, &answer, err);
    if (rc != QUARTET_OK)
        return rc;
    if (answer.kind != SESSION_PONG)
        return err_set(err, QUARTET_CORRUPT, "an unexpected answer to a ping");
    c->link.state = answer.state;
    if (rtt_us != NULL)
        *rtt_us = (c->env->ops->mono_ns(c->env) - start) / 1000u;
    return QUARTET_OK;
}

quartet_status client_nodes(client *c, struct session_node nodes[SLOTS_MAX], uint32_t *count,
                            struct err *err)
{
    struct client_answer answer;
    uint32_t id = client_next_id(c);
    buf_clear(&c->request);
    session_put_simple(&c->request, SESSION_NODES, id);
    quartet_status rc = client_ask(c, id, CLIENT_HINT_ASKS, 0, &answer, err);
    if (rc != QUARTET_OK)
        return rc;
    if (answer.kind != SESSION_NODES_ARE)
        return err_set(err, QUARTET_CORRUPT, "an unexpected answer about the nodes");
    memcpy(nodes, answer.nodes, sizeof answer.nodes);
    *count = answer.node_count;
    return QUARTET_OK;
}

quartet_status client_remember(client *c, const char *name, const char *value, struct err *err)
{
    if (strlen(name) >= sizeof c->settings[0].name || strlen(value) >= sizeof c->settings[0].value)
        return err_set(err, QUARTET_LIMIT, "the setting %.32s is too long", name);
    uint32_t i = 0;
    while (i < c->setting_count && strcmp(c->settings[i].name, name) != 0)
        i++;
    if (i == SESSION_SETTINGS_MAX)
        return err_set(err, QUARTET_LIMIT, "more than %u settings", SESSION_SETTINGS_MAX);
    if (i == c->setting_count)
        c->setting_count++;
    memcpy(c->settings[i].name, name, strlen(name) + 1);
    memcpy(c->settings[i].value, value, strlen(value) + 1);
    return QUARTET_OK;
}

int client_slot(const client *c)
{
    return c->link.fd >= 0 ? c->link.slot : -1;
}

const char *client_address(const client *c)
{
    return c->address;
}

uint8_t client_state(const client *c)
{
    return c->link.state;
}

struct slice client_token(const client *c)
{
    return slice_of(c->token.data, c->token.len);
}
