/* sim_snapshot.c - logs that are cut while a node lacks what goes, so that it gets a snapshot (the fault "logs cut"), and the opening again that takes one up.
 * The rule for what goes: what all nodes but one have on their disks. With all of them up no other node can give it to that one; a node that was down then, or starts again, has its log whole, as
 * one has whose limit is higher: it may give it after all.
 * Recovery of a simulated node replays its whole log, so nothing goes from its disk: only the index of what can be asked for is cut, as db_trim.c cuts it. */
#include "sim/sim_load.h"

#include "engine/db_fork.h"
#include "engine/node_snapshot.h"

/* The least position that a node other than the victim may still ask node k for. */
static log_pos needed(struct sim *s, uint8_t k, uint8_t victim)
{
    db *d = s->nodes[k].d;
    log_pos at = commit_log_end(d->log);
    for (uint32_t i = 0; i < d->state_count; i++) {
        const struct chain_state *c = d->state[i];
        for (size_t b = 0; c != NULL && b < c->batch_count; b++) {
            bool all = true;
            for (uint8_t other = 0; other < s->o.nodes && all; other++) {
                chain_no no;
                db *o = s->nodes[other].d;
                if (other == victim || other == k)
                    continue;
                all = chain_find(&o->chains, d->chains.ids[i], &no) && no < o->state_count && o->state[no] != NULL &&
                      vv_number(&o->durable, no) >= c->batches[b].first + c->batches[b].count - 1;
            }
            if (!all && c->batches[b].low < at)
                at = c->batches[b].low;
        }
        if (c != NULL && c->local_count > 0 && c->local[c->local_start].at < at)
            at = c->local[c->local_start].at; /* to be signed */
    }
    log_pos replay = db_replay_from(d); /* what waits here for something else */
    return replay < at ? replay : at;
}

/* Can `from` give all that `to` lacks of what it has? */
static bool gives(db *from, db *to)
{
    for (uint32_t i = 0; i < from->durable.count; i++) {
        const struct vv_entry *e = &from->durable.e[i];
        const struct chain_state *c = from->state[e->chain];
        chain_no no;
        uint64_t has = chain_find(&to->chains, from->chains.ids[e->chain], &no) ? vv_number(&to->durable, no) : 0;
        if (has < e->number && (c->batch_count == 0 || c->batches[0].first > has + 1))
            return false;
    }
    return true;
}

/* Two nodes of which each lacks what the other can no longer give could never come together again: who gives must lack nothing itself. Real logs are cut so only past
 * log_bytes_max, and then an operator is asked (OPERATIONS.md). */
static bool others_lack_nothing(struct sim *s, uint8_t victim)
{
    for (uint8_t k = 0; k < s->o.nodes; k++)
        for (uint8_t j = 0; j < s->o.nodes; j++)
            if (k != victim && j != k && (!s->nodes[j].up || !gives(s->nodes[j].d, s->nodes[k].d)))
                return false;
    return true;
}

static bool is_told(const struct sim *s, struct chain_id chain, uint64_t number)
{
    for (size_t i = s->batch_count; i > 0; i--) {
        struct batch_header h;
        struct slice payload;
        struct err ignored = ERR_INIT;
        if (batch_parse(slice_of(s->batches[i - 1].bytes, s->batches[i - 1].n), &h, &payload, &ignored) == QUARTET_OK && chain_id_cmp(h.chain, chain) == 0 && h.first <= number &&
            number < h.first + h.count)
            return true;
    }
    return false;
}

/* The batch of this log that holds a delta, for the model, if its node never told it. Returns the number behind it; 0: it is not there. */
static uint64_t keep_one(struct sim *s, db *d, struct chain_id chain, uint64_t number)
{
    struct buf bytes = {0};
    struct batch_header h = {0};
    struct slice payload;
    struct err ignored = ERR_INIT; /* then the model says that it misses it */
    uint32_t count = 0;
    bool ok = db_read_batches(d, chain, number, 1, &bytes, &count, &ignored) == QUARTET_OK && bytes.len > 4 &&
              batch_parse(slice_of(bytes.data + 4, load_le32(bytes.data)), &h, &payload, &ignored) == QUARTET_OK;
    if (ok && !is_told(s, chain, h.first))
        sim_batch_add(s, slice_of(bytes.data + 4, load_le32(bytes.data)));
    buf_deinit(&bytes);
    return ok ? h.first + h.count : 0;
}

/* What was signed and never told by its node, because it fell over in that moment, the model reads from a log: before it goes. */
static void keep_untold(struct sim *s, db *d, log_pos below)
{
    for (uint32_t i = 0; i < d->state_count; i++) {
        const struct chain_state *c = d->state[i];
        for (size_t b = 0; c != NULL && b < c->batch_count && c->batches[b].low < below; b++)
            for (uint64_t at = c->batches[b].first, end = at + c->batches[b].count; at > 0 && at < end;)
                at = is_told(s, d->chains.ids[i], at) ? at + 1 : keep_one(s, d, d->chains.ids[i], at);
    }
}

void sim_cut_logs(struct sim *s, uint8_t victim)
{
    struct err err = ERR_INIT;
    for (uint8_t k = 0; k < s->o.nodes; k++)
        if (k != victim && (!s->nodes[k].up || s->nodes[k].sick || s->nodes[k].env.dead))
            return;
    for (uint8_t k = 0; k < s->o.nodes; k++)
        if (k != victim && db_sync_remote(s->nodes[k].d, &err) != QUARTET_OK)
            return;
    if (!others_lack_nothing(s, victim))
        return;
    for (uint8_t k = 0; k < s->o.nodes; k++) {
        if (k == victim)
            continue;
        log_pos at = needed(s, k, victim);
        keep_untold(s, s->nodes[k].d, at);
        pthread_mutex_lock(&s->nodes[k].d->commit_lock);
        db_trim_index(s->nodes[k].d, at);
        pthread_mutex_unlock(&s->nodes[k].d->commit_lock);
    }
}

bool sim_snapshot_round(struct sim *s, uint8_t slot)
{
    struct sim_node *n = &s->nodes[slot];
    node_snapshot_work(&n->host);
    if (!node_snapshot_is_adopted(&n->host) || s->working == n)
        return false;
    s->snapshots++;
    keep_untold(s, n->d, UINT64_MAX); /* the log begins anew */
    sim_note(s, "snapshot", slot, 0);
    n->keep_unsynced = n->env.lying_sync || s->snapshots % 2 == 0; /* killed, or without power: what it begins with is on its disk, unless that lies */
    sim_stop_node(s, slot);
    n->env.lying_sync = false;
    n->held_us = s->now_us;
    return true;
}
