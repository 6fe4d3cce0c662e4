/* node_gossip.c - what gossip asks of its host, answered from a database.
 * Why apart from node.c: the simulator runs these same functions over a fake network, without sockets, threads or a real clock.
 * A batch's signer is looked up in the membership document here; everything else about a batch is the database's to judge. */
#include "node.h"
#include "node_alarm.h"
#include "node_snapshot.h"

#include <string.h>

#include "base/log.h"

static quartet_status read_vector(struct buf *encoded, struct idvec *out, struct err *err)
{
    quartet_status rc = buf_check(encoded, err);
    if (rc != QUARTET_OK)
        return rc;
    struct bytes_in in = bytes_in(encoded->data, encoded->len);
    return idvec_decode(&in, out, err);
}

static enum gossip_verdict verdict_of(enum deliver_result result)
{
    switch (result) {
    case DELIVER_APPLIED:
        return GOSSIP_ACCEPTED;
    case DELIVER_DUPLICATE:
        return GOSSIP_DUPLICATE;
    case DELIVER_GAP:
        return GOSSIP_GAP;
    case DELIVER_HELD:
        return GOSSIP_HELD;
    case DELIVER_LATER:
        return GOSSIP_LATER;
    case DELIVER_REFUSED:
        break;
    }
    return GOSSIP_REFUSED;
}

/* Whose key the batch is to be signed with: that of the slot's node, or of one that was evicted from that slot, where it fits. NULL: nobody's. */
static const uint8_t *signer_of(const struct node_gossip *g, struct slice batch, const struct batch_header *h, bool *former)
{
    const struct member_node *now = member_find_slot(&g->doc, h->chain.slot);
    bool fits = false, tried = false; /* only where there is a choice */
    for (uint32_t i = 0; i < g->doc.former_count && !fits; i++) {
        const struct member_former *f = &g->doc.former[i];
        struct err ignored = ERR_INIT;
        if (f->slot != h->chain.slot)
            continue;
        if (!tried && now != NULL)
            fits = batch_verify_header(slice_of(batch.p, BATCH_SIGNED_BYTES), h, &g->doc.cluster, now->public_key, &ignored) == QUARTET_OK;
        tried = true;
        *former = !fits && batch_verify_header(slice_of(batch.p, BATCH_SIGNED_BYTES), h, &g->doc.cluster, f->public_key, &ignored) == QUARTET_OK;
        if (*former)
            return f->public_key;
    }
    return now != NULL ? now->public_key : NULL;
}

/* Forged, altered, of nobody; or of somebody who is a member by the document that is to hold. */
static enum gossip_verdict refuse(const struct node_gossip *g)
{
    return __atomic_load_n(&g->renewing, __ATOMIC_ACQUIRE) ? GOSSIP_LATER : GOSSIP_REFUSED;
}

static enum gossip_verdict deliver(void *ctx, struct slice batch, uint8_t from, struct gossip_need *need, struct err *err)
{
    struct node_gossip *g = ctx;
    struct batch_header header;
    struct slice payload;
    if (batch_parse(batch, &header, &payload, err) != QUARTET_OK) {
        g->refused++;
        return GOSSIP_REFUSED;
    }
    bool former = false;
    const uint8_t *signer = signer_of(g, batch, &header, &former);
    if (signer == NULL) {
        err_set(err, QUARTET_AUTH, "a batch of slot %u, which is no member; sent by slot %u", (unsigned)header.chain.slot, (unsigned)from);
        enum gossip_verdict v = refuse(g);
        g->refused += v == GOSSIP_REFUSED;
        return v;
    }
    enum deliver_result result = DELIVER_REFUSED;
    need->chain = header.chain;
    quartet_status rc = (former ? db_deliver_former : db_deliver)(g->d, batch, signer, &result, &need->from, err);
    if (rc == QUARTET_OK) {
        g->delivered++;
        if (result == DELIVER_APPLIED || result == DELIVER_HELD || result == DELIVER_DUPLICATE)
            need->chain = db_batch_name(g->d, &header);
        if (result == DELIVER_APPLIED || result == DELIVER_HELD) {
            bool already = __atomic_exchange_n(&g->unsynced, true, __ATOMIC_ACQ_REL); /* the worker's thread takes it */
            if (g->news != NULL)
                g->news(g->news_ctx, !already);
            node_behind_came(g);
        }
        return result == DELIVER_REFUSED ? refuse(g) : verdict_of(result);
    }
    if (rc == QUARTET_READONLY)
        return GOSSIP_BUSY; /* a node that the cluster left behind takes nothing more; what peers send is as good as before */
    /* A full disk, no memory: not the sender's fault, and the batch will be pulled again. */
    if (rc == QUARTET_BUSY)
        return GOSSIP_BUSY; /* a snapshot is about to take its place */
    if (result != DELIVER_REFUSED || rc == QUARTET_FULL || rc == QUARTET_NOMEM || rc == QUARTET_IO) {
        log_line(g->env, LOG_ERROR, "gossip", "a batch could not be taken: %s", err->text);
        return GOSSIP_BUSY;
    }
    g->refused++;
    return GOSSIP_REFUSED;
}

static quartet_status read_batches(void *ctx, struct chain_id chain, uint64_t from, size_t max_bytes, struct buf *out, struct err *err)
{
    struct node_gossip *g = ctx;
    uint32_t count = 0;
    quartet_status rc = db_read_batches(g->d, chain, from, max_bytes, out, &count, err);
    if (rc != QUARTET_NOTFOUND)
        return rc;
    err_clear(err); /* nothing to give is no failure */
    return QUARTET_OK;
}

static quartet_status status(void *ctx, struct gossip_status *out, struct err *err)
{
    struct node_gossip *g = ctx;
    struct buf at = {0}, applied = {0}, durable = {0};
    struct state_hash hash;
    quartet_status rc = db_state_hash(g->d, &hash, &at, err);
    if (rc == QUARTET_OK)
        rc = db_vectors(g->d, &applied, &durable, err);
    /* The applied vector told is the one that the hash belongs to: only so can two nodes compare. */
    if (rc == QUARTET_OK)
        rc = read_vector(&at, &out->applied, err);
    if (rc == QUARTET_OK)
        rc = read_vector(&durable, &out->disk, err);
    if (rc == QUARTET_OK) {
        struct db_stats stats;
        db_stats(g->d, &stats);
        out->incarnation = db_incarnation(g->d);
        out->wall_us = g->env->ops->wall_us(g->env);
        out->floor = stats.last_stamp;
        out->state = (uint8_t)(db_is_fenced(g->d) ? GOSSIP_STATE_FENCED : db_is_behind(g->d) ? GOSSIP_STATE_TOO_OLD
                               : db_is_catching_up(g->d) ? GOSSIP_STATE_CATCHING_UP : GOSSIP_STATE_READY);
        out->hash_bytes = 16;
        store_le64(out->hash, hash.lo);
        store_le64(out->hash + 8, hash.hi);
        uint8_t donors = node_snapshot_unconfirmed(g);
        if (donors != 0)
            out->hash[out->hash_bytes++] = donors;
    }
    buf_deinit(&at);
    buf_deinit(&applied);
    buf_deinit(&durable);
    return rc;
}

static quartet_status disk(void *ctx, struct idvec *out, struct err *err)
{
    struct node_gossip *g = ctx;
    struct buf applied = {0}, durable = {0};
    quartet_status rc = db_vectors(g->d, &applied, &durable, err);
    if (rc == QUARTET_OK)
        rc = read_vector(&durable, out, err);
    buf_deinit(&applied);
    buf_deinit(&durable);
    return rc;
}

static void peer_link(void *ctx, uint8_t slot, bool connected)
{
    struct node_gossip *g = ctx;
    if (!connected) {
        db_peer_gone(g->d, slot);
        node_clock_gone(g, slot);
    }
    node_snapshot_link(g, slot, connected);
    log_line(g->env, LOG_INFO, "gossip", "node %u is %s", (unsigned)slot, connected ? "connected" : "not connected any more");
}

/* What it has need not be kept for it. */
static void note_disk(struct node_gossip *g, uint8_t slot, const struct gossip_status *s)
{
    struct buf b = {0};
    struct err err = ERR_INIT;
    idvec_encode(&b, &s->disk);
    quartet_status rc = buf_check(&b, &err);
    if (rc == QUARTET_OK)
        rc = db_peer_has(g->d, slot, slice_of(b.data, b.len), &err);
    if (rc != QUARTET_OK) /* then more is kept */
        log_line(g->env, LOG_WARN, "gossip", "what node %u has: %s", (unsigned)slot, err.text);
    buf_deinit(&b);
}

/* What it has applied and would still have after a power cut none of its writers will miss any longer. */
static void note_applied(struct node_gossip *g, uint8_t slot, const struct gossip_status *s)
{
    struct buf b = {0};
    struct err err = ERR_INIT;
    struct idvec safe = {0};
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < s->applied.count && rc == QUARTET_OK; i++) {
        struct idvec_entry e = s->applied.e[i];
        const struct idvec_entry *on_disk = idvec_find(&s->disk, e.chain);
        if (on_disk == NULL)
            continue;
        rc = idvec_raise(&safe, on_disk->number < e.number ? *on_disk : e, &err);
    }
    idvec_encode(&b, &safe);
    idvec_deinit(&safe);
    if (rc == QUARTET_OK)
        rc = buf_check(&b, &err);
    if (rc == QUARTET_OK)
        rc = db_peer_applied(g->d, slot, s->incarnation, slice_of(b.data, b.len), &err);
    if (rc != QUARTET_OK) { /* then rows stay that might go */
        db_peer_gone(g->d, slot);
        log_line(g->env, LOG_WARN, "gossip", "what node %u has applied: %s", (unsigned)slot, err.text);
    }
    buf_deinit(&b);
}

/* Once every member has told what it knows of our slot, and we have it all, assigned keys may go on after the highest known. */
static void peer_status(void *ctx, uint8_t slot, const struct gossip_status *s)
{
    struct node_gossip *g = ctx;
    if (g->told_status != NULL)
        g->told_status(g->news_ctx, slot, s);
    note_disk(g, slot, s);
    note_applied(g, slot, s);
    node_behind_status(g, slot, s);
    node_snapshot_status(g, slot, s);
    if (g->identity.members_answered || s->state == GOSSIP_STATE_CATCHING_UP) /* of what waits there its vectors tell nothing */
        return;
    struct buf applied = {0}, durable = {0};
    struct idvec ours = {0};
    struct err err = ERR_INIT;
    quartet_status rc = db_vectors(g->d, &applied, &durable, &err);
    if (rc == QUARTET_OK)
        rc = read_vector(&applied, &ours, &err);
    bool has_all = rc == QUARTET_OK;
    for (uint32_t i = 0; has_all && i < s->applied.count; i++)
        if (s->applied.e[i].chain.slot == g->identity.slot)
            has_all = idvec_number(&ours, s->applied.e[i].chain) >= s->applied.e[i].number;
    idvec_deinit(&ours);
    buf_deinit(&applied);
    buf_deinit(&durable);
    if (!has_all)
        return;
    g->answered |= (uint8_t)(1u << slot);
    uint8_t all = 0;
    for (uint32_t i = 0; i < g->doc.node_count; i++)
        if (g->doc.nodes[i].slot != g->identity.slot)
            all |= (uint8_t)(1u << g->doc.nodes[i].slot);
    if ((g->answered & all) != all)
        return;
    g->identity.members_answered = true;
    if (db_set_identity(g->d, &g->identity, &err) != QUARTET_OK) {
        g->identity.members_answered = false; /* asked again with the next status */
        log_line(g->env, LOG_WARN, "gossip", "%s", err.text);
    }
}

static void peer_disk(void *ctx, uint8_t slot, const struct idvec *v)
{
    struct node_gossip *g = ctx;
    if (g->told_disk != NULL)
        g->told_disk(g->news_ctx, slot, v);
}

static void peer_fault(void *ctx, uint8_t slot, const char *text)
{
    struct node_gossip *g = ctx;
    g->faults++;
    log_line(g->env, LOG_ERROR, "gossip", "node %u sent something invalid, its link is closed: %s", (unsigned)slot, text);
}

static void too_old(void *ctx, uint8_t slot, struct chain_id chain, uint64_t from)
{
    node_behind_gone(ctx, slot, chain, from);
}

quartet_status node_gossip_init(struct node_gossip *g, db *d, const struct member_doc *doc, const struct member_key *key, struct err *err)
{
    uint8_t public_key[32];
    *g = (struct node_gossip){.d = d, .env = db_env(d)};
    g->identity = (struct db_identity){.cluster = doc->cluster, .slot = key->slot, .member = true, .members_answered = doc->node_count == 1};
    member_key_expand(key, g->identity.secret_key, public_key);
    const struct member_node *self = member_find_slot(doc, key->slot);
    const struct member_former *was = member_find_former(doc, public_key);
    if (was != NULL)
        return err_set(err, QUARTET_AUTH, "this node was evicted from the cluster by membership %llu: it does not start as a member again. What only this directory holds can be written to a file by "
                                          "`quartet dump`; OPERATIONS.md, \"Taking a node out\"", (unsigned long long)was->epoch);
    if (self == NULL || memcmp(self->public_key, public_key, sizeof public_key) != 0)
        return err_set(err, QUARTET_AUTH, "the node key is not the one of slot %u in the membership document", (unsigned)key->slot);
    quartet_status rc = member_doc_copy(&g->doc, doc, err);
    if (rc == QUARTET_OK)
        rc = node_snapshot_new(g, err);
    if (rc == QUARTET_OK)
        rc = node_alarm_new(g, err);
    if (rc == QUARTET_OK)
        rc = db_set_identity(d, &g->identity, err);
    if (rc == QUARTET_OK) {
        uint8_t others = 0;
        for (uint32_t i = 0; i < doc->node_count; i++)
            if (doc->nodes[i].slot != key->slot)
                others |= (uint8_t)(1u << doc->nodes[i].slot);
        for (uint32_t i = 0; i < doc->node_count; i++)
            db_set_member_key(d, doc->nodes[i].slot, doc->nodes[i].public_key);
        db_set_peers(d, others);
    }
    if (rc != QUARTET_OK)
        node_gossip_deinit(g);
    return rc;
}

void node_gossip_renewing(struct node_gossip *g)
{
    __atomic_store_n(&g->renewing, true, __ATOMIC_RELEASE);
}

void node_gossip_deinit(struct node_gossip *g)
{
    node_snapshot_free(g);
    node_alarm_free(g);
    member_doc_deinit(&g->doc);
    memset(g->identity.secret_key, 0, sizeof g->identity.secret_key);
}

static uint64_t wall(void *ctx)
{
    const struct node_gossip *g = ctx;
    return g->env->ops->wall_us(g->env);
}

static void peer_clock(void *ctx, uint8_t slot, int64_t skew_us, uint64_t error_us)
{
    node_clock_heard(ctx, slot, skew_us, error_us);
}

static uint32_t level(void *ctx)
{
    const struct node_gossip *g = ctx;
    return db_level(g->d);
}

static void raise_level(void *ctx, uint32_t to)
{
    struct node_gossip *g = ctx;
    struct err err = ERR_INIT;
    if (db_raise_level(g->d, to, &err) != QUARTET_OK) /* it is asked again within a second */
        log_line(g->env, LOG_ERROR, "gossip", "operations of level %u cannot be used: %s", to, err.text);
}

static uint8_t members_of(const struct member_doc *doc)
{
    uint8_t bits = 0;
    for (uint32_t i = 0; i < doc->node_count; i++)
        bits |= (uint8_t)(1u << doc->nodes[i].slot);
    return bits;
}

void node_gossip_host(struct node_gossip *g, struct gossip_host *out)
{
    *out = (struct gossip_host){.ctx = g,
                                .deliver = deliver,
                                .read_batches = read_batches,
                                .status = status,
                                .disk = disk,
                                .peer_link = peer_link,
                                .peer_status = peer_status,
                                .peer_disk = peer_disk,
                                .wall_us = wall,
                                .peer_clock = peer_clock,
                                .peer_fault = peer_fault,
                                .too_old = too_old,
                                .snapshot = node_snapshot_message,
                                .members = members_of(&g->doc),
                                .level = level,
                                .raise_level = raise_level};
}
