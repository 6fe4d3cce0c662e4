/* node.c - start and stop of a cluster node, and its worker thread.
 * Who does what: sessions commit on their own threads; the worker signs what became durable and hands it to the network, and makes durable
 * what the network delivered, so that nobody there waits for a disk. Deltas are delivered on gossip's thread (net/server_gossip.c). */
#include "node_internal.h"
#include "node_alarm.h"
#include "node_snapshot.h"

#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "include/quartet.h"

#define WORKER_IDLE_MS 50u
#define MEMBERSHIP_TURN_MS 1500u
#define HAND_OVER_MS 500u /* a node that stops waits so long for its peers to have its last commits */
#define SYNC_REMOTE_MS 5u /* peers' batches wait this long for an fdatasync that they share */

void node_wake(void *arg)
{
    struct node *n = arg;
    pthread_mutex_lock(&n->lock);
    n->has_work = true;
    n->applied_count++;
    pthread_cond_signal(&n->work);
    pthread_cond_broadcast(&n->applied);
    pthread_mutex_unlock(&n->lock);
}

/* A peer's batch was taken. The worker looks a few ms after the first, and needs not be told of each. */
static void took(void *arg, bool unsynced)
{
    struct node *n = arg;
    pthread_mutex_lock(&n->lock);
    if (unsynced) {
        n->has_work = true;
        pthread_cond_signal(&n->work);
    }
    n->applied_count++;
    pthread_cond_broadcast(&n->applied);
    pthread_mutex_unlock(&n->lock);
}

void node_deadline(const struct node *n, struct timespec *t, uint32_t ms)
{
    uint64_t ns = n->env->ops->mono_ns(n->env) + (uint64_t)ms * 1000000u;
    *t = (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

static void push_batch(void *arg, struct slice batch, const struct batch_header *h)
{
    struct node *n = arg;
    (void)h; /* the bytes say it all */
    server_push_batch(n->server, batch);
}

/* One round: sign and push first, since others wait for that; then sync what came from others, at most every few ms. True: there is more to do at once. */
static bool work(struct node *n, uint64_t *synced_at_ns)
{
    struct err err = ERR_INIT;
    if (db_seal(n->d, push_batch, n, &err) != QUARTET_OK)
        log_line(n->env, LOG_ERROR, "node", "new deltas cannot be signed: %s", err.text);
    uint64_t now = n->env->ops->mono_ns(n->env);
    if (__atomic_exchange_n(&n->gossip.unsynced, false, __ATOMIC_ACQ_REL)) {
        if (now - *synced_at_ns < (uint64_t)SYNC_REMOTE_MS * 1000000u) {
            __atomic_store_n(&n->gossip.unsynced, true, __ATOMIC_RELEASE);
        } else {
            *synced_at_ns = now;
            if (db_sync_remote(n->d, &err) != QUARTET_OK)
                log_line(n->env, LOG_ERROR, "node", "received deltas cannot be made durable: %s", err.text);
        }
    }
    server_notify_commit(n->server);
    db_tick(n->d);
    node_snapshot_work(&n->gossip);
    return node_alarm_work(&n->gossip);
}

static void *run_worker(void *arg)
{
    struct node *n = arg;
    uint64_t synced_at_ns = 0;
    pthread_mutex_lock(&n->lock);
    while (!n->stopping) {
        if (!n->has_work) {
            struct timespec until;
            node_deadline(n, &until, __atomic_load_n(&n->gossip.unsynced, __ATOMIC_ACQUIRE) ? SYNC_REMOTE_MS : WORKER_IDLE_MS);
            pthread_cond_timedwait(&n->work, &n->lock, &until); /* a time-out is a round like any other */
        }
        n->has_work = false;
        pthread_mutex_unlock(&n->lock);
        bool more = work(n, &synced_at_ns);
        pthread_mutex_lock(&n->lock);
        n->has_work = n->has_work || more;
    }
    pthread_mutex_unlock(&n->lock);
    return NULL;
}

uint8_t node_state(struct node *n)
{
    struct err err = ERR_INIT;
    struct server_view view;
    struct buf applied = {0}, durable = {0};
    struct idvec ours = {0};
    uint8_t state = GOSSIP_STATE_STARTING;
    if (n->server == NULL || server_view(n->server, &view, &err) != QUARTET_OK)
        return state;
    if (db_vectors(n->d, &applied, &durable, &err) == QUARTET_OK) {
        struct bytes_in in = bytes_in(applied.data, applied.len);
        state = idvec_decode(&in, &ours, &err) == QUARTET_OK ? GOSSIP_STATE_READY : GOSSIP_STATE_STARTING;
        for (uint32_t i = 0; i < view.count && state == GOSSIP_STATE_READY; i++) {
            const struct idvec *theirs = &view.peers[i].gossip.status.applied;
            uint64_t behind = 0;
            for (uint32_t k = 0; !view.peers[i].self && k < theirs->count; k++) {
                uint64_t have = idvec_number(&ours, theirs->e[k].chain);
                behind += theirs->e[k].number > have ? theirs->e[k].number - have : 0;
            }
            if (behind > NODE_BEHIND_DELTAS)
                state = GOSSIP_STATE_CATCHING_UP;
        }
    }
    server_view_deinit(&view);
    idvec_deinit(&ours);
    buf_deinit(&applied);
    buf_deinit(&durable);
    return state;
}

static uint8_t state_of(void *ctx)
{
    (void)ctx; /* a node that serves is ready: how far behind it is steers routing only, and is in its status */
    return GOSSIP_STATE_READY;
}

static void told_disk(void *ctx, uint8_t slot, const struct idvec *disk)
{
    node_peer_disk(ctx, slot, disk);
}

static void told_status(void *ctx, uint8_t slot, const struct gossip_status *s)
{
    node_peer_status(ctx, slot, s);
}

/* Kept for the next start: what knows the members is made once (server.c, db_trim.c), and a start takes a moment. */
static quartet_status keep(struct node *n, struct buf *doc, struct err *err)
{
    quartet_status rc = node_membership_keep(n->env, n->keys_dir, slice_of(doc->data, doc->len), err);
    if (rc != QUARTET_OK)
        return rc;
    struct buf old = n->kept;
    n->kept = *doc;
    *doc = old; /* the caller's to release */
    return QUARTET_OK;
}

static void membership(void *ctx, struct slice doc_bytes, uint64_t epoch)
{
    struct node *n = ctx;
    struct err err = ERR_INIT;
    struct buf merged = {0};
    struct slice kept = slice_of(n->kept.data, n->kept.len);
    quartet_status rc = n->kept_evicts ? QUARTET_OK : member_doc_merge(kept, doc_bytes, &n->identity.key.cluster, &merged, &err);
    if (rc == QUARTET_OK && (n->kept_evicts || slice_eq(slice_of(merged.data, merged.len), kept))) {
        buf_deinit(&merged);
        return; /* that is known */
    }
    if (rc == QUARTET_OK)
        rc = keep(n, &merged, &err);
    buf_deinit(&merged);
    if (rc != QUARTET_OK) {
        log_line(n->env, LOG_ERROR, "node", "a newer membership (number %llu) cannot be kept: %s", (unsigned long long)epoch, err.text);
        return; /* it comes again with the next link */
    }
    n->kept_ns = n->env->ops->mono_ns(n->env);
    node_gossip_renewing(&n->gossip);
    log_line(n->env, LOG_INFO, "node", "a newer membership came, number %llu; it holds from the next start of the node", (unsigned long long)epoch);
}

/* A token of ours is shown. What is written down here before it is answered is what makes the token good for one node. */
static quartet_status admit(void *ctx, const struct member_admission *request, struct buf *doc_bytes, struct err *err)
{
    struct node *n = ctx;
    struct buf doc = {0};
    struct slice kept = slice_of(n->kept.data, n->kept.len);
    if (n->kept_evicts)
        return err_set(err, QUARTET_AUTH, "this node was evicted, and lets nobody in");
    quartet_status rc = member_admit(kept, &n->identity.key, n->env->ops->wall_us(n->env) / 1000u, request, &doc, err);
    if (rc == QUARTET_OK) {
        buf_put(doc_bytes, doc.data, doc.len);
        rc = buf_check(doc_bytes, err);
    }
    if (rc == QUARTET_OK && !slice_eq(slice_of(doc.data, doc.len), kept)) {
        rc = keep(n, &doc, err);
        if (rc == QUARTET_OK)
            n->kept_ns = n->env->ops->mono_ns(n->env);
    }
    buf_deinit(&doc);
    return rc;
}

/* The members go on without this node. Its next start says so at once; in this run nothing is written any more. */
static void evicted(void *ctx, struct slice doc_bytes, uint64_t epoch)
{
    struct node *n = ctx;
    struct err err = ERR_INIT;
    struct member_doc doc = {0};
    struct buf bytes = {0};
    if (n->kept_evicts)
        return;
    bool renewed = member_doc_decode(doc_bytes, &n->identity.key.cluster, &doc, &err) == QUARTET_OK && node_has_next_key(n->env, n->keys_dir, &doc, node_slot(n));
    member_doc_deinit(&doc);
    err_clear(&err);
    if (renewed) { /* it is the key that goes, not the node */
        membership(ctx, doc_bytes, epoch);
        return;
    }
    db_set_evicted(n->d);
    n->kept_evicts = true; /* and no kept_ns: it is not started anew */
    buf_put(&bytes, doc_bytes.p, doc_bytes.n);
    quartet_status rc = buf_check(&bytes, &err);
    if (rc == QUARTET_OK)
        rc = keep(n, &bytes, &err);
    buf_deinit(&bytes);
    if (rc != QUARTET_OK)
        log_line(n->env, LOG_ERROR, "node", "the membership that evicts this node (number %llu) cannot be kept: %s", (unsigned long long)epoch, err.text);
    log_line(n->env, LOG_ERROR, "node", "this node was evicted from the cluster (membership %llu): it takes no writes, and no member takes anything from it. What only it holds can be written to a "
             "file by `quartet dump`; see OPERATIONS.md, \"Taking a node out\"", (unsigned long long)epoch);
}

static quartet_status start_threads(struct node *n, uint32_t poll_us, struct err *err)
{
    struct server_host host = {.ctx = n, .http = node_http, .state = state_of, .membership = membership, .evicted = evicted, .admit = admit};
    node_gossip_host(&n->gossip, &host.gossip);
    node_session_host(n, &host.session);
    struct server_config config = {.env = n->env,
                                   .doc = &n->identity.doc,
                                   .doc_bytes = slice_of(n->identity.doc_bytes.data, n->identity.doc_bytes.len),
                                   .key = &n->identity.key,
                                   .version = QUARTET_VERSION,
                                   .poll_us = poll_us};
    quartet_status rc = n->env->ops->random(n->env, &config.seed, sizeof config.seed, err);
    if (rc == QUARTET_OK)
        rc = n->env->ops->random(n->env, &config.instance, sizeof config.instance, err);
    if (rc == QUARTET_OK)
        rc = server_start(&config, &host, &n->server, err);
    if (rc != QUARTET_OK)
        return rc;
    db_on_commit(n->d, node_wake, n);
    if (pthread_create(&n->worker, NULL, run_worker, n) != 0)
        return err_set(err, QUARTET_NOMEM, "the node's thread could not be started");
    n->worker_started = true;
    return QUARTET_OK;
}

static quartet_status init_locks(struct node *n, struct err *err)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return err_nomem(err);
    bool ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_mutex_init(&n->lock, NULL) == 0;
    ok = ok && pthread_cond_init(&n->work, &attr) == 0 && pthread_cond_init(&n->applied, &attr) == 0;
    pthread_condattr_destroy(&attr);
    return ok ? QUARTET_OK : err_nomem(err);
}

quartet_status node_start(db *d, const char *keys_dir, const char *backup_dir, uint32_t poll_us, node **out, struct err *err)
{
    struct node *n = mem_zalloc(1, sizeof *n);
    if (n == NULL)
        return err_nomem(err);
    n->d = d;
    n->env = db_env(d);
    quartet_status rc = init_locks(n, err);
    if (rc != QUARTET_OK) {
        mem_free(n);
        return rc;
    }
    if (backup_dir != NULL && (n->backup_dir = mem_strdup(backup_dir)) == NULL)
        rc = err_nomem(err);
    if (rc == QUARTET_OK && (n->keys_dir = mem_strdup(keys_dir)) == NULL)
        rc = err_nomem(err);
    if (rc == QUARTET_OK)
        rc = node_identity_read(n->env, keys_dir, &n->identity, err);
    if (rc == QUARTET_OK) {
        buf_put(&n->kept, n->identity.doc_bytes.data, n->identity.doc_bytes.len);
        rc = buf_check(&n->kept, err);
    }
    if (rc == QUARTET_OK)
        rc = node_gossip_init(&n->gossip, d, &n->identity.doc, &n->identity.key, err);
    if (rc == QUARTET_OK) {
        struct conn_node_hooks hooks;
        node_note_run(n);
        n->gossip.news = took;
        n->gossip.news_ctx = n;
        n->gossip.told_disk = told_disk;
        n->gossip.told_status = told_status;
        node_hooks(n, &hooks);
        db_set_node_hooks(d, &hooks);
        rc = start_threads(n, poll_us, err);
    }
    if (rc != QUARTET_OK) {
        node_stop(n);
        return rc;
    }
    log_line(n->env, LOG_INFO, "node", "slot %u serves at %s", (unsigned)node_slot(n), node_address(n));
    *out = n;
    return QUARTET_OK;
}

void node_stop(node *n)
{
    if (n == NULL)
        return;
    if (n->worker_started) { /* it still signs and sends */
        server_drain(n->server);
        node_hand_over(n, HAND_OVER_MS);
    }
    pthread_mutex_lock(&n->lock);
    n->stopping = true;
    pthread_cond_broadcast(&n->work);
    pthread_cond_broadcast(&n->applied);
    pthread_mutex_unlock(&n->lock);
    if (n->worker_started)
        pthread_join(n->worker, NULL); /* before the server that it pushes to */
    db_on_commit(n->d, NULL, NULL);
    server_stop(n->server);
    db_set_node_hooks(n->d, NULL);
    node_gossip_deinit(&n->gossip);
    node_identity_deinit(&n->identity);
    buf_deinit(&n->kept);
    for (uint32_t k = 0; k < SLOTS_MAX; k++) {
        idvec_deinit(&n->peer_disk[k]);
        gossip_status_deinit(&n->peer_status[k]);
    }
    pthread_cond_destroy(&n->work);
    pthread_cond_destroy(&n->applied);
    pthread_mutex_destroy(&n->lock);
    mem_free(n->backup_dir);
    mem_free(n->keys_dir);
    mem_free(n);
}

/* Members hear of a new membership at the same time: one after the other starts anew, so that there is always one to go to. */
static bool membership_is_due(const node *n)
{
    uint64_t since = n->kept_ns;
    return since != 0 && n->env->ops->mono_ns(n->env) - since >= (uint64_t)node_slot(n) * MEMBERSHIP_TURN_MS * 1000000u;
}

bool node_wants_reopen(node *n)
{
    return node_snapshot_is_adopted(&n->gossip) || membership_is_due(n);
}

uint8_t node_slot(const node *n)
{
    return n->identity.key.slot;
}

const char *node_address(const node *n)
{
    const struct member_node *self = member_find_slot(&n->identity.doc, n->identity.key.slot);
    return self != NULL ? self->address : "";
}
