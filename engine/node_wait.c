/* node_wait.c - waiting for other nodes: for what a session has seen, for what anybody has acknowledged, for peers' disks.
 * All of it waits for news (node_wake) with a deadline, never for a heartbeat's opinion of who is alive. */
#include "node_internal.h"

#include <errno.h>
#include <time.h>

void node_peer_disk(struct node *n, uint8_t slot, const struct idvec *disk)
{
    struct err err = ERR_INIT;
    pthread_mutex_lock(&n->lock);
    if (slot < SLOTS_MAX && idvec_copy(&n->peer_disk[slot], disk, &err) == QUARTET_OK)
        pthread_cond_broadcast(&n->applied); /* without memory: its next telling will do */
    n->applied_count++;
    pthread_mutex_unlock(&n->lock);
}

void node_peer_status(struct node *n, uint8_t slot, const struct gossip_status *s)
{
    struct err err = ERR_INIT;
    pthread_mutex_lock(&n->lock);
    if (slot < SLOTS_MAX && gossip_status_copy(&n->peer_status[slot], s, &err) == QUARTET_OK) {
        n->peer_answers[slot] = s->answers;
        pthread_cond_broadcast(&n->applied); /* without memory: its next telling will do */
    }
    n->applied_count++;
    pthread_mutex_unlock(&n->lock);
}

quartet_status node_wait_covered(struct node *n, struct slice encoded_vv, uint32_t timeout_ms, struct err *err)
{
    struct timespec until;
    node_deadline(n, &until, timeout_ms);
    for (;;) {
        pthread_mutex_lock(&n->lock);
        uint64_t seen = n->applied_count;
        bool stopping = n->stopping;
        pthread_mutex_unlock(&n->lock);
        if (db_covers(n->d, encoded_vv))
            return QUARTET_OK;
        if (stopping)
            return err_set(err, QUARTET_UNAVAILABLE, "the node is stopping");
        int rc = 0;
        pthread_mutex_lock(&n->lock);
        while (rc == 0 && n->applied_count == seen && !n->stopping)
            rc = pthread_cond_timedwait(&n->applied, &n->lock, &until);
        pthread_mutex_unlock(&n->lock);
        if (rc == ETIMEDOUT)
            break;
    }
    /* Name what is missing: which slot, how many. */
    struct idvec wanted = {0}, ours = {0};
    struct buf applied = {0}, durable = {0}, missing = {0};
    struct err ignored = ERR_INIT;
    struct bytes_in in = bytes_in(encoded_vv.p, encoded_vv.n);
    if (idvec_decode(&in, &wanted, &ignored) == QUARTET_OK && db_vectors(n->d, &applied, &durable, &ignored) == QUARTET_OK) {
        in = bytes_in(applied.data, applied.len);
        if (idvec_decode(&in, &ours, &ignored) == QUARTET_OK)
            for (uint32_t i = 0; i < wanted.count; i++) {
                uint64_t have = idvec_number(&ours, wanted.e[i].chain);
                if (have < wanted.e[i].number)
                    buf_printf(&missing, "%s%llu of node %u", missing.len > 0 ? ", " : "", (unsigned long long)(wanted.e[i].number - have),
                               (unsigned)wanted.e[i].chain.slot);
            }
    }
    buf_u8(&missing, 0);
    quartet_status rc = err_set(err, QUARTET_UNAVAILABLE,
                                "this node has not yet got all that the session has seen; missing transactions: %s (waited %u ms; SET consistency = "
                                "'local' reads without them)",
                                missing.failed ? "?" : (const char *)missing.data, timeout_ms);
    idvec_deinit(&wanted);
    idvec_deinit(&ours);
    buf_deinit(&applied);
    buf_deinit(&durable);
    buf_deinit(&missing);
    return rc;
}


bool node_wait_news(void *ctx, uint64_t *seen, uint32_t timeout_ms)
{
    struct node *n = ctx;
    struct timespec until;
    int rc = 0;
    node_deadline(n, &until, timeout_ms);
    pthread_mutex_lock(&n->lock);
    while (rc == 0 && n->applied_count == *seen && !n->stopping)
        rc = pthread_cond_timedwait(&n->applied, &n->lock, &until);
    *seen = n->applied_count;
    bool stopping = n->stopping;
    pthread_mutex_unlock(&n->lock);
    return !stopping;
}

/* The first member that has not answered this question, or -1; merges those that have into *all. Under lock. */
static int silent_member(struct node *n, uint64_t question, struct idvec *all, struct err *err)
{
    for (uint32_t i = 0; i < n->identity.doc.node_count; i++) {
        uint8_t slot = n->identity.doc.nodes[i].slot;
        if (slot == node_slot(n) || db_slot_frozen(n->d, slot)) /* what a frozen one says nobody waits for */
            continue;
        if (n->peer_answers[slot] < question || idvec_merge(all, &n->peer_status[slot].applied, err) != QUARTET_OK)
            return slot;
    }
    return -1;
}

/* Every member is asked; a status made after it had the question names all that was acknowledged there before the read began. A periodic one
 * would not do: it may have been on its way already. */
static quartet_status wait_for_all(struct node *n, uint32_t timeout_ms, struct buf *encoded, struct err *err)
{
    struct timespec until;
    struct idvec all = {0};
    uint64_t question = server_ask(n->server);
    int silent = -1, rc = 0;
    node_deadline(n, &until, timeout_ms);
    pthread_mutex_lock(&n->lock);
    while (rc == 0 && (silent = silent_member(n, question, &all, err)) >= 0 && !n->stopping) {
        idvec_clear(&all);
        rc = pthread_cond_timedwait(&n->applied, &n->lock, &until);
    }
    pthread_mutex_unlock(&n->lock);
    quartet_status status = QUARTET_OK;
    if (silent >= 0)
        status = err_set(err, QUARTET_UNAVAILABLE, "consistency 'cluster' needs every member, and node %d does not answer (waited %u ms)", silent,
                         timeout_ms);
    else
        idvec_encode(encoded, &all);
    idvec_deinit(&all);
    return status == QUARTET_OK ? buf_check(encoded, err) : status;
}

void node_ask_peers(struct node *n, uint32_t timeout_ms)
{
    struct timespec until;
    struct idvec all = {0};
    struct err err = ERR_INIT;
    uint64_t question = server_ask(n->server);
    int rc = 0;
    node_deadline(n, &until, timeout_ms);
    pthread_mutex_lock(&n->lock);
    while (rc == 0 && silent_member(n, question, &all, &err) >= 0 && !n->stopping)
        rc = pthread_cond_timedwait(&n->applied, &n->lock, &until); /* who does not answer is shown as it was */
    pthread_mutex_unlock(&n->lock);
    idvec_deinit(&all);
}

quartet_status node_before_read(void *ctx, enum conn_consistency consistency, struct slice token, uint32_t timeout_ms, struct err *err)
{
    struct node *n = ctx;
    if (consistency == CONN_LOCAL)
        return QUARTET_OK;
    if (token.n > 0 && !db_covers(n->d, token)) {
        quartet_status rc = node_wait_covered(n, token, timeout_ms, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if (consistency != CONN_CLUSTER)
        return QUARTET_OK;
    struct buf all = {0};
    quartet_status rc = wait_for_all(n, timeout_ms, &all, err);
    if (rc == QUARTET_OK)
        rc = node_wait_covered(n, slice_of(all.data, all.len), timeout_ms, err);
    buf_deinit(&all);
    return rc;
}

/* How many peers have our delta of this stamp on disk: stamps of a chain grow, so a later one of our slot covers it. Under lock. */
static uint32_t acknowledged(const struct node *n, hlc_stamp stamp)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < SLOTS_MAX; slot++) {
        bool has = false;
        for (uint32_t i = 0; i < n->peer_disk[slot].count; i++) {
            const struct idvec_entry *e = &n->peer_disk[slot].e[i];
            has = has || (e->chain.slot == node_slot(n) && e->stamp >= stamp);
        }
        count += has;
    }
    return count;
}

quartet_status node_after_commit(void *ctx, hlc_stamp stamp, int acks, uint32_t timeout_ms, struct err *err)
{
    struct node *n = ctx;
    uint32_t peers = n->identity.doc.node_count - 1;
    uint32_t wanted = acks == CONN_ACKS_ALL ? peers : acks == CONN_ACKS_MAJORITY ? (peers + 1) / 2 : (uint32_t)acks;
    uint32_t have = 0;
    struct timespec until;
    int rc = 0;
    if (wanted > peers)
        return err_set(err, QUARTET_UNAVAILABLE, "the transaction is committed here and will replicate, but commit_acks = %u was asked of %u peers",
                       wanted, peers);
    node_deadline(n, &until, timeout_ms);
    pthread_mutex_lock(&n->lock);
    while (rc == 0 && (have = acknowledged(n, stamp)) < wanted && !n->stopping)
        rc = pthread_cond_timedwait(&n->applied, &n->lock, &until);
    pthread_mutex_unlock(&n->lock);
    if (have >= wanted)
        return QUARTET_OK;
    return err_set(err, QUARTET_UNAVAILABLE, "the transaction is committed here and will replicate; %u of %u peers have it on disk after %u ms",
                   have, wanted, timeout_ms);
}

/* The stamp of this node's newest commit; 0: none. */
static hlc_stamp own_stamp(struct node *n)
{
    struct err err = ERR_INIT;
    struct idvec ours = {0};
    struct buf applied = {0}, durable = {0};
    hlc_stamp stamp = 0;
    if (db_vectors(n->d, &applied, &durable, &err) == QUARTET_OK) {
        struct bytes_in in = bytes_in(applied.data, applied.len);
        if (idvec_decode(&in, &ours, &err) == QUARTET_OK)
            for (uint32_t i = 0; i < ours.count; i++)
                if (ours.e[i].chain.slot == node_slot(n) && ours.e[i].stamp > stamp)
                    stamp = ours.e[i].stamp;
    }
    idvec_deinit(&ours);
    buf_deinit(&applied);
    buf_deinit(&durable);
    return stamp;
}

void node_hand_over(struct node *n, uint32_t timeout_ms)
{
    struct err err = ERR_INIT;
    struct server_view view;
    uint32_t connected = 0;
    struct timespec until;
    int rc = 0;
    hlc_stamp stamp = own_stamp(n);
    if (stamp == 0 || server_view(n->server, &view, &err) != QUARTET_OK)
        return; /* without it the peers take it when this node is back */
    for (uint32_t i = 0; i < view.count; i++)
        connected += !view.peers[i].self && view.peers[i].connected_ms != 0;
    server_view_deinit(&view);
    node_wake(n);
    node_deadline(n, &until, timeout_ms);
    pthread_mutex_lock(&n->lock);
    while (rc == 0 && acknowledged(n, stamp) < connected)
        rc = pthread_cond_timedwait(&n->applied, &n->lock, &until);
    pthread_mutex_unlock(&n->lock);
}
