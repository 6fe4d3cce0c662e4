/* sim_net.c - the made-up network: messages that come late, twice, in another order or not at all; links that are cut one way or both. */
#include "sim/sim.h"

#include <string.h>

#include "base/mem.h"

static bool before(const struct sim_message *a, const struct sim_message *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void push(struct sim *s, struct sim_message m)
{
    if (s->queue_count == s->queue_cap) {
        size_t cap = s->queue_cap == 0 ? 256 : s->queue_cap * 2;
        struct sim_message *grown = mem_realloc(s->queue, cap, sizeof *grown);
        if (grown == NULL) {
            mem_free(m.bytes);
            sim_fail(s, "the simulator is out of memory");
            return;
        }
        s->queue = grown;
        s->queue_cap = cap;
    }
    size_t i = s->queue_count++;
    while (i > 0 && before(&m, &s->queue[(i - 1) / 2])) {
        s->queue[i] = s->queue[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->queue[i] = m;
}

static struct sim_message pop(struct sim *s)
{
    struct sim_message top = s->queue[0], last = s->queue[--s->queue_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->queue_count)
            break;
        if (child + 1 < s->queue_count && before(&s->queue[child + 1], &s->queue[child]))
            child++;
        if (!before(&s->queue[child], &last))
            break;
        s->queue[i] = s->queue[child];
        i = child;
    }
    if (s->queue_count > 0)
        s->queue[i] = last;
    return top;
}

/* A relay that alters a signed batch. The rest of a message is not signed, the connection vouches for it. */
static bool tamper(struct sim_message *m, struct prng *r)
{
    const uint8_t *batch = memmem(m->bytes, m->n, "QRTB", 4);
    if (batch == NULL)
        return false;
    size_t from = (size_t)(batch - m->bytes);
    m->bytes[from + prng_below(r, m->n - from)] ^= (uint8_t)(1u << prng_below(r, 8));
    return true;
}

static void send_copy(struct sim *s, uint8_t from, uint8_t to, struct slice bytes)
{
    struct prng *r = &s->net[from][to];
    uint64_t delay = (uint64_t)prng_between(r, (int64_t)s->o.delay_us_min, (int64_t)s->o.delay_us_max);
    struct sim_message m = {.at_us = s->now_us + delay, .order = s->order++, .from = from, .to = to, .epoch = s->epoch[from][to], .n = bytes.n};
    m.bytes = mem_dup(bytes.p, bytes.n);
    if (m.bytes == NULL) {
        sim_fail(s, "the simulator is out of memory");
        return;
    }
    if (!s->healed && prng_chance(r, s->o.corrupt))
        m.corrupt = tamper(&m, r);
    push(s, m);
}

void sim_pump(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    struct slice message;
    sim_purge_note(s, slot);
    for (uint8_t to = 0; to < s->o.nodes; to++)
        while (n->up && to != slot && gossip_peek(n->g, to, &message)) {
            struct prng *r = &s->net[slot][to];
            bool lost = !s->healed && prng_chance(r, s->o.loss);
            s->messages++;
            if (lost || !sim_net_open(s, slot, to))
                s->lost++;
            else
                send_copy(s, slot, to, message);
            if (!lost && !s->healed && prng_chance(r, s->o.repeat))
                send_copy(s, slot, to, message);
            gossip_pop(n->g, to);
        }
}

static void connect_side(struct sim *s, uint8_t a, uint8_t b)
{
    struct err err = ERR_INIT;
    s->linked[a][b] = true;
    s->epoch[a][b]++;
    if (gossip_connect(s->nodes[a].g, b, s->now_us, &err) != QUARTET_OK)
        sim_fail(s, "node %u cannot connect to %u: %s", (unsigned)a, (unsigned)b, err.text);
}

static void disconnect_side(struct sim *s, uint8_t a, uint8_t b)
{
    s->epoch[a][b]++; /* what is under way is lost */
    if (s->linked[a][b] && s->nodes[a].up)
        gossip_disconnect(s->nodes[a].g, b, s->now_us);
    s->linked[a][b] = false;
}

bool sim_net_open(const struct sim *s, uint8_t from, uint8_t to)
{
    return !s->blocked[from][to] && (s->healed || (s->nodes[from].alone_us <= s->now_us && s->nodes[to].alone_us <= s->now_us));
}

/* A link stands while both ends live and at least one way is open: a one-way cut looks like a link on which nothing comes. One that has not noticed yet that the other fell
 * over keeps its end of the link for a while, and gets no new one. */
static void one_link(struct sim *s, uint8_t a, uint8_t b)
{
    bool want = s->nodes[a].up && s->nodes[b].up && (sim_net_open(s, a, b) || sim_net_open(s, b, a)) && sim_may_link(s, a, b);
    bool stale = s->linked[a][b] && s->nodes[a].up && s->stale_us[a][b] > s->now_us;
    bool other_stale = s->linked[b][a] && s->nodes[b].up && s->stale_us[b][a] > s->now_us;
    if (stale)
        return;
    if (s->stale_us[a][b] > 0) {
        s->stale_us[a][b] = 0;
        if (s->linked[a][b])
            disconnect_side(s, a, b);
    }
    if (want && !s->linked[a][b] && !other_stale)
        connect_side(s, a, b);
    else if (!want && s->linked[a][b])
        disconnect_side(s, a, b);
}

void sim_net_links(struct sim *s)
{
    for (uint8_t a = 0; a < s->o.nodes; a++)
        for (uint8_t b = 0; b < s->o.nodes; b++)
            if (a != b)
                one_link(s, a, b);
}

void sim_net_deliver(struct sim *s)
{
    while (s->queue_count > 0 && s->queue[0].at_us <= s->now_us && s->failure[0] == '\0') {
        struct sim_message m = pop(s);
        struct sim_node *n = &s->nodes[m.to];
        if (n->up && n->paused_us > s->now_us) { /* it hears of it when it goes on */
            m.at_us = n->paused_us;
            push(s, m);
            continue;
        }
        struct err err = ERR_INIT;
        if (n->up && s->linked[m.to][m.from] && s->epoch[m.from][m.to] == m.epoch && sim_net_open(s, m.from, m.to)) {
            sim_note(s, "message", (uint64_t)m.from << 8 | m.to, hash64(m.bytes, m.n, 1));
            uint64_t refused = n->host.refused;
            quartet_status rc = gossip_input(n->g, m.from, slice_of(m.bytes, m.n), s->now_us, &err);
            if (rc == QUARTET_NOMEM)
                sim_fail(s, "node %u is out of memory", (unsigned)m.to);
            else if (rc != QUARTET_OK) {
                /* A repeated or reordered message may end a link; a batch that is refused may not: nobody here forges. */
                sim_note(s, "link fault", m.to, (uint64_t)rc);
                disconnect_side(s, m.to, m.from);
                disconnect_side(s, m.from, m.to);
                if (n->host.refused > refused && !m.corrupt && !s->liar)
                    sim_fail(s, "node %u refused an honest batch: %s", (unsigned)m.to, err.text);
            }
            sim_pump(s, m.to);
        }
        mem_free(m.bytes);
    }
}

void sim_net_clear(struct sim *s)
{
    for (size_t i = 0; i < s->queue_count; i++)
        mem_free(s->queue[i].bytes);
    mem_free(s->queue);
    s->queue = NULL;
    s->queue_count = s->queue_cap = 0;
}
