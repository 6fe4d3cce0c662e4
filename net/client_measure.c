/* client_measure.c - how the nodes are: each is asked for real, by a handshake and a login, since a process that is stopped still accepts connections. What it shows of its vector, against
 * all that any of them has, is how far it is behind. For route=leastlag, and for who chooses by a function of its own.
 * Nodes whose ports do not answer are left out at once; one that accepts and is silent costs connect_timeout. Not here: what is made of it (client.c). */
#include <string.h>

#include "client_internal.h"
#include "idvec.h"

struct measured {
    struct idvec has[CLIENT_NODES_MAX];
    bool answered[CLIENT_NODES_MAX];
};

static quartet_status ask(client *c, uint32_t i, struct client_link *l, struct measured *m, struct err *err)
{
    struct buf doc = {0};
    struct slice no_token = {0};
    struct session_welcome welcome;
    uint64_t start = c->env->ops->mono_ns(c->env), deadline = client_now_ms(c->env) + c->url.connect_timeout_ms;
    quartet_status rc = client_link_open(l, &c->config, c->nodes[i].host, c->nodes[i].port, c->url.connect_timeout_ms, &doc, err);
    if (rc == QUARTET_OK) {
        c->nodes[i].slot = l->slot;
        client_learn_nodes(c, slice_of(doc.data, doc.len));
        rc = client_log_in(c, l, no_token, deadline, &welcome, err);
    }
    buf_deinit(&doc);
    if (rc != QUARTET_OK)
        return rc;
    c->nodes[i].probe_us = (c->env->ops->mono_ns(c->env) - start) / 1000u;
    c->nodes[i].state = welcome.state;
    struct bytes_in in = bytes_in(welcome.token.p, welcome.token.n);
    return welcome.token.n > 0 ? idvec_decode(&in, &m->has[i], err) : QUARTET_OK;
}

static uint64_t lacks(const struct idvec *has, const struct idvec *all)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < all->count; i++)
        n += all->e[i].number - idvec_number(has, all->e[i].chain);
    return n;
}

void client_measure(client *c)
{
    struct measured m = {0};
    struct idvec all = {0};
    struct err err = ERR_INIT;
    client_probe(c->nodes, c->node_count, c->env, c->url.connect_timeout_ms);
    bool open[CLIENT_NODES_MAX];
    for (uint32_t i = 0; i < CLIENT_NODES_MAX; i++) /* of one that is learnt of on the way nobody knows */
        open[i] = i >= c->node_count || c->nodes[i].probe_us != UINT64_MAX;
    for (uint32_t i = 0; i < c->node_count; i++) {
        struct client_link l;
        c->nodes[i].probe_us = c->nodes[i].behind = UINT64_MAX;
        if (!open[i])
            continue;
        client_link_init(&l);
        err_clear(&err);
        m.answered[i] = ask(c, i, &l, &m, &err) == QUARTET_OK && idvec_merge(&all, &m.has[i], &err) == QUARTET_OK; /* who cannot be asked comes last */
        client_link_close(&l, true);
    }
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (m.answered[i])
            c->nodes[i].behind = lacks(&m.has[i], &all);
        idvec_deinit(&m.has[i]);
    }
    idvec_deinit(&all);
}

void client_let_choose(client *c)
{
    struct client_route_node nodes[CLIENT_NODES_MAX];
    char addresses[CLIENT_NODES_MAX][MEMBER_ADDRESS_BYTES_MAX + 8];
    int order[CLIENT_NODES_MAX];
    bool named[CLIENT_NODES_MAX] = {false};
    c->chosen_count = 0;
    client_measure(c);
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct client_node *n = &c->nodes[i];
        client_address_write(n, addresses[i], sizeof addresses[i]);
        nodes[i] = (struct client_route_node){.slot = n->slot, .address = addresses[i], .drained = (n->flags & MEMBER_DRAINED) != 0, .standby = (n->flags & MEMBER_STANDBY) != 0,
                                              .serves_now = c->generation > 0 && i == c->current, .state = n->behind == UINT64_MAX ? -1 : n->state,
                                              .answer_us = n->behind == UINT64_MAX ? -1 : (int64_t)n->probe_us, .behind = n->behind == UINT64_MAX ? -1 : (int64_t)n->behind};
        order[i] = 0;
    }
    int count = c->choose(c->choose_arg, nodes, c->node_count, order);
    for (int i = 0; i < count && i < (int)c->node_count; i++) { /* what is no node, or named twice, is left out: all others follow in any case */
        if (order[i] < 0 || order[i] >= (int)c->node_count || named[order[i]])
            continue;
        named[order[i]] = true;
        c->chosen[c->chosen_count++] = (uint32_t)order[i];
    }
}
