/* server_gossip.c - gossip's thread: what peers send is judged, verified and applied here, apart from the thread that carries their bytes.
 *
 * Why: a batch takes what its transactions take, and waits for whoever commits something large meanwhile. On the network's thread that was silence: a node that caught up beside
 *   other work was taken for dead and dialled anew. Now that thread answers and sends keep-alives by itself, whatever goes on here.
 * How: per peer a bounded queue of what came over its link, in order: that it is up, its messages, that it is gone. Past SERVER_INPUT_BYTES_MAX the link is not read until half of it is
 *   done. What gossip says goes into its own lanes, from which the network's thread sends (gossip_take). A link has a number, so that nothing of an old one reaches a new one.
 * Who may be in gossip: this thread, and for a moment any other that finds it free (server_gossip_try): a local batch is pushed without a change of threads.
 * Invariants: gossip is called with gossip_lock held only; what is queued here is handled in its order per peer.
 * The simulator has no threads, and calls gossip itself. */
#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "server_internal.h"

#define ROUND_US 2000u /* then it is looked whether something else has come */

enum event_kind { EVENT_UP, EVENT_MESSAGE, EVENT_DOWN };

struct gossip_event {
    struct gossip_event *next;
    enum event_kind kind;
    uint64_t link, at_us;
    size_t n;
    uint8_t bytes[];
};

/* lock held. While it works it looks by itself: waking it for each message of many would cost more than the message. */
static void wake(struct server_gossip *sg)
{
    if (sg->asleep)
        (void)pthread_cond_signal(&sg->wake);
}

/* ---- from the network's thread ---- */

static bool put_event(server *s, uint8_t slot, enum event_kind kind, uint64_t link, struct slice message)
{
    struct server_gossip *sg = &s->gossiping;
    struct gossip_event *e = mem_alloc(sizeof *e + message.n);
    if (e == NULL)
        return false;
    *e = (struct gossip_event){.kind = kind, .link = link, .at_us = server_now_us(s), .n = message.n};
    if (message.n > 0)
        memcpy(e->bytes, message.p, message.n);
    struct gossip_inbox *in = &sg->in[slot];
    (void)pthread_mutex_lock(&sg->lock);
    if (in->last != NULL)
        in->last->next = e;
    else
        in->first = e;
    in->last = e;
    (void)atomic_fetch_add(&in->bytes, message.n + sizeof *e);
    wake(sg);
    (void)pthread_mutex_unlock(&sg->lock);
    return true;
}

bool server_gossip_up(server *s, uint8_t slot, uint64_t link)
{
    return put_event(s, slot, EVENT_UP, link, slice_of(NULL, 0));
}

/* Without memory for it gossip goes on with a link that is gone, until the next one takes its place. */
void server_gossip_down(server *s, uint8_t slot, uint64_t link)
{
    if (!put_event(s, slot, EVENT_DOWN, link, slice_of(NULL, 0)))
        log_line(s->env, LOG_ERROR, "net", "slot %u: no memory to tell that its link is gone", slot);
}

bool server_gossip_message(server *s, uint8_t slot, uint64_t link, struct slice message)
{
    return put_event(s, slot, EVENT_MESSAGE, link, message);
}

size_t server_gossip_waiting(server *s, uint8_t slot)
{
    return atomic_load(&s->gossiping.in[slot].bytes);
}

bool server_gossip_closed(server *s, uint8_t slot, struct gossip_closed *out)
{
    struct gossip_closed *c = &s->gossiping.closed[slot];
    (void)pthread_mutex_lock(&s->gossiping.lock);
    *out = *c;
    c->link = 0;
    (void)pthread_mutex_unlock(&s->gossiping.lock);
    return out->link != 0;
}

/* ---- in gossip: gossip_lock held ---- */

/* The network's thread is to close this link. */
static void close_link(server *s, uint8_t slot, const struct err *err)
{
    struct server_gossip *sg = &s->gossiping;
    struct gossip_closed *c = &sg->closed[slot];
    (void)pthread_mutex_lock(&sg->lock);
    c->link = sg->link[slot];
    c->code = err->code;
    memcpy(c->text, err->text, sizeof c->text);
    (void)pthread_mutex_unlock(&sg->lock);
    sg->link[slot] = 0;
    sg->has_news = true;
}

static void handle(server *s, uint8_t slot, const struct gossip_event *e)
{
    struct server_gossip *sg = &s->gossiping;
    struct err err = ERR_INIT;
    uint64_t now = server_now_us(s);
    quartet_status rc = QUARTET_OK;
    if (e->kind == EVENT_UP) {
        sg->link[slot] = e->link;
        rc = gossip_connect(s->gossip, slot, now, &err);
        if (rc == QUARTET_OK)
            gossip_open_output(s->gossip, slot, e->link);
        sg->has_news = true;
    } else if (sg->link[slot] != e->link) {
        return; /* of a link that is closed, or about to be */
    } else if (e->kind == EVENT_MESSAGE) {
        gossip_set_lag(s->gossip, now - e->at_us);
        rc = gossip_input(s->gossip, slot, slice_of(e->bytes, e->n), now, &err);
    } else {
        gossip_disconnect(s->gossip, slot, now);
        sg->link[slot] = 0;
    }
    if (rc != QUARTET_OK) {
        if (e->kind == EVENT_UP || rc == QUARTET_NOMEM)
            gossip_disconnect(s->gossip, slot, now);
        close_link(s, slot, &err);
    }
}

/* What this node itself has to say: its new batches first. Returns false where there was nothing. */
static bool speak(server *s)
{
    struct server_gossip *sg = &s->gossiping;
    (void)pthread_mutex_lock(&sg->lock);
    struct pushed_batch *pushed = sg->pushed;
    sg->pushed = sg->pushed_last = NULL;
    sg->pushed_bytes = 0;
    bool moved = sg->disk_moved;
    sg->disk_moved = false;
    uint64_t question = sg->question > sg->question_asked ? sg->question : 0;
    sg->question_asked = sg->question;
    (void)pthread_mutex_unlock(&sg->lock);
    bool any = pushed != NULL || moved || question != 0;
    uint64_t now = server_now_us(s);
    struct err err = ERR_INIT;
    while (pushed != NULL) {
        struct pushed_batch *b = pushed;
        pushed = b->next;
        if (gossip_local_batch(s->gossip, slice_of(b->bytes, b->n), now, &err) != QUARTET_OK)
            log_line(s->env, LOG_ERROR, "net", "a batch of ours was not pushed: %s", err.text);
        mem_free(b);
    }
    if (moved && gossip_disk_moved(s->gossip, now, &err) != QUARTET_OK)
        log_line(s->env, LOG_ERROR, "net", "the new vector was not told: %s", err.text);
    if (question != 0 && gossip_ask(s->gossip, question, now, &err) != QUARTET_OK)
        log_line(s->env, LOG_ERROR, "net", "the peers were not asked: %s", err.text);
    return any;
}

static struct gossip_event *next_event(struct server_gossip *sg, uint8_t slot)
{
    struct gossip_inbox *in = &sg->in[slot];
    if (in->taken == NULL) {
        (void)pthread_mutex_lock(&sg->lock);
        in->taken = in->first;
        in->first = in->last = NULL;
        (void)pthread_mutex_unlock(&sg->lock);
    }
    struct gossip_event *e = in->taken;
    if (e != NULL) {
        in->taken = e->next;
        size_t before = atomic_fetch_sub(&in->bytes, e->n + sizeof *e);
        sg->has_news |= before > SERVER_INPUT_BYTES_MAX / 2 && before - e->n - sizeof *e <= SERVER_INPUT_BYTES_MAX / 2; /* it is read again */
    }
    return e;
}

/* One message of each peer in turn, for a while. */
static void listen_round(server *s)
{
    uint64_t from = server_now_us(s);
    for (bool any = true; any && server_now_us(s) - from < ROUND_US;) {
        any = false;
        for (uint8_t slot = 0; slot < SLOTS_MAX; slot++) {
            struct gossip_event *e = next_event(&s->gossiping, slot);
            if (e == NULL)
                continue;
            handle(s, slot, e);
            mem_free(e);
            any = true;
        }
    }
}

/* For other threads: what gossip knows of each member. On failure the old one stays. */
void server_gossip_view(server *s)
{
    struct gossip_peer_view views[SLOTS_MAX];
    struct err ignored = ERR_INIT;
    memset(views, 0, sizeof views);
    bool ok = true;
    for (uint32_t i = 0; i < s->doc.node_count; i++)
        ok = gossip_peer(s->gossip, s->doc.nodes[i].slot, &views[i], &ignored) == QUARTET_OK && ok;
    (void)pthread_mutex_lock(&s->mutex);
    s->view.counters = gossip_counters_get(s->gossip);
    for (uint32_t i = 0; i < s->doc.node_count && ok; i++) {
        struct gossip_peer_view old = s->view.peers[i].gossip;
        s->view.peers[i].gossip = views[i];
        views[i] = old;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    for (uint32_t i = 0; i < s->doc.node_count; i++)
        gossip_status_deinit(&views[i].status);
}

static void tick(server *s)
{
    struct server_gossip *sg = &s->gossiping;
    struct err err = ERR_INIT;
    uint64_t now = server_now_us(s);
    if (now - sg->ticked_us < SERVER_TICK_MS * 1000u)
        return;
    sg->ticked_us = now;
    if (gossip_tick(s->gossip, now, &err) != QUARTET_OK)
        log_line(s->env, LOG_ERROR, "net", "gossip: %s", err.text);
    server_gossip_view(s);
}

/* Has gossip said something, or is there something else that the network's thread has to see? */
static bool has_news(server *s)
{
    struct server_gossip *sg = &s->gossiping;
    uint64_t said = gossip_counters_get(s->gossip).messages_out;
    bool news = sg->has_news || said != sg->said;
    sg->said = said;
    sg->has_news = false;
    return news;
}

/* ---- the thread ---- */

static bool is_idle(const struct server_gossip *sg)
{
    bool idle = sg->pushed == NULL && !sg->disk_moved && sg->question == sg->question_asked;
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        idle = idle && sg->in[i].first == NULL && sg->in[i].taken == NULL;
    return idle;
}

static void wait_for_work(server *s)
{
    struct server_gossip *sg = &s->gossiping;
    uint64_t from = s->env->ops->mono_ns(s->env), now = from, spin_until = spin_begin(&sg->spin, from);
    bool came = false;
    while (spin_until != 0 && !(came = sg->stopping || !is_idle(sg)) && now < spin_until) {
        (void)pthread_mutex_unlock(&sg->lock);
        spin_pause();
        now = s->env->ops->mono_ns(s->env);
        (void)pthread_mutex_lock(&sg->lock);
    }
    if (spin_until != 0)
        spin_end(&sg->spin, came, now);
    if (sg->stopping || !is_idle(sg))
        return;
    uint64_t until = from + SERVER_TICK_MS * 1000000u;
    struct timespec t = {.tv_sec = (time_t)(until / 1000000000u), .tv_nsec = (long)(until % 1000000000u)};
    int timed_out = 0;
    sg->asleep = true;
    while (timed_out == 0 && !sg->stopping && is_idle(sg))
        timed_out = pthread_cond_timedwait(&sg->wake, &sg->lock, &t);
    sg->asleep = false;
    if (timed_out == 0)
        spin_slept(&sg->spin, s->env->ops->mono_ns(s->env) - from);
}

static void *gossip_main(void *arg)
{
    server *s = arg;
    struct server_gossip *sg = &s->gossiping;
    (void)pthread_mutex_lock(&sg->lock);
    while (!sg->stopping) {
        wait_for_work(s);
        (void)pthread_mutex_unlock(&sg->lock);
        (void)pthread_mutex_lock(&sg->gossip_lock);
        (void)speak(s);
        listen_round(s);
        tick(s);
        bool news = has_news(s);
        (void)pthread_mutex_unlock(&sg->gossip_lock);
        if (news)
            (void)uv_async_send(&s->async);
        (void)pthread_mutex_lock(&sg->lock);
    }
    (void)pthread_mutex_unlock(&sg->lock);
    return NULL;
}

quartet_status server_gossip_init(struct server_gossip *sg, struct err *err)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return err_nomem(err);
    bool ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_mutex_init(&sg->lock, NULL) == 0;
    ok = ok && pthread_mutex_init(&sg->gossip_lock, NULL) == 0 && pthread_cond_init(&sg->wake, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    sg->ready = ok;
    return ok ? QUARTET_OK : err_nomem(err);
}

/* It takes no signals: they belong to the program that we are part of. */
quartet_status server_gossip_start(server *s, struct err *err)
{
    sigset_t all, before;
    spin_init(&s->gossiping.spin, s->config.poll_us);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int bad = pthread_create(&s->gossiping.thread, NULL, gossip_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    s->gossiping.started = bad == 0;
    return bad == 0 ? QUARTET_OK : err_set(err, QUARTET_NET, "gossip's thread cannot be started: %s", uv_strerror(-bad));
}

void server_gossip_stop(server *s)
{
    struct server_gossip *sg = &s->gossiping;
    if (!sg->started)
        return;
    (void)pthread_mutex_lock(&sg->lock);
    sg->stopping = true;
    wake(sg);
    (void)pthread_mutex_unlock(&sg->lock);
    (void)pthread_join(sg->thread, NULL);
    sg->started = false;
}

void server_gossip_deinit(server *s)
{
    struct server_gossip *sg = &s->gossiping;
    if (!sg->ready)
        return;
    for (uint8_t slot = 0; slot < SLOTS_MAX; slot++) {
        for (struct gossip_event *e = next_event(sg, slot); e != NULL; e = next_event(sg, slot))
            mem_free(e);
        if (sg->link[slot] != 0)
            gossip_disconnect(s->gossip, slot, server_now_us(s));
    }
    while (sg->pushed != NULL) {
        struct pushed_batch *b = sg->pushed;
        sg->pushed = b->next;
        mem_free(b);
    }
    (void)pthread_cond_destroy(&sg->wake);
    (void)pthread_mutex_destroy(&sg->gossip_lock);
    (void)pthread_mutex_destroy(&sg->lock);
}

/* ---- from any thread ---- */

/* Where nobody is in gossip and nothing that came before waits to be said: be in it now. */
static bool enter(server *s)
{
    struct server_gossip *sg = &s->gossiping;
    if (pthread_mutex_trylock(&sg->gossip_lock) != 0)
        return false;
    (void)pthread_mutex_lock(&sg->lock);
    bool first = !sg->stopping && sg->pushed == NULL;
    (void)pthread_mutex_unlock(&sg->lock);
    if (!first)
        (void)pthread_mutex_unlock(&sg->gossip_lock);
    return first;
}

static void leave(server *s)
{
    bool news = has_news(s);
    (void)pthread_mutex_unlock(&s->gossiping.gossip_lock);
    if (news)
        (void)uv_async_send(&s->async);
}

void server_push_batch(server *s, struct slice batch)
{
    struct server_gossip *sg = &s->gossiping;
    struct err err = ERR_INIT;
    if (enter(s)) {
        if (gossip_local_batch(s->gossip, batch, server_now_us(s), &err) != QUARTET_OK)
            log_line(s->env, LOG_ERROR, "net", "a batch of ours was not pushed: %s", err.text);
        leave(s);
        return;
    }
    struct pushed_batch *b = mem_alloc(sizeof *b + batch.n);
    if (b == NULL)
        return; /* pulls repair it */
    b->next = NULL;
    b->n = batch.n;
    memcpy(b->bytes, batch.p, batch.n);
    (void)pthread_mutex_lock(&sg->lock);
    bool room = sg->pushed_bytes + batch.n <= SERVER_PUSH_BYTES_MAX;
    if (room) {
        if (sg->pushed_last != NULL)
            sg->pushed_last->next = b;
        else
            sg->pushed = b;
        sg->pushed_last = b;
        sg->pushed_bytes += batch.n;
        wake(sg);
    }
    (void)pthread_mutex_unlock(&sg->lock);
    if (!room)
        mem_free(b);
}

void server_notify_commit(server *s)
{
    struct server_gossip *sg = &s->gossiping;
    struct err err = ERR_INIT;
    if (enter(s)) {
        if (gossip_disk_moved(s->gossip, server_now_us(s), &err) != QUARTET_OK)
            log_line(s->env, LOG_ERROR, "net", "the new vector was not told: %s", err.text);
        leave(s);
        return;
    }
    (void)pthread_mutex_lock(&sg->lock);
    sg->disk_moved = true;
    wake(sg);
    (void)pthread_mutex_unlock(&sg->lock);
}

uint64_t server_ask(server *s)
{
    struct server_gossip *sg = &s->gossiping;
    (void)pthread_mutex_lock(&sg->lock);
    uint64_t number = ++sg->question;
    wake(sg);
    (void)pthread_mutex_unlock(&sg->lock);
    return number;
}
