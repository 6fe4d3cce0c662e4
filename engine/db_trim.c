/* db_trim.c - how much of the log is kept: what recovery replays, what is to be signed, and what a member lacks.
 * Why whole segments: they are used again as they are (log_segment.c). The index forgets what stands below the first segment that stays, so that nobody is promised what is
 *   about to go.
 * Invariants: nothing goes that the base's checkpoint needs, not for any limit. Nothing that a member may lack goes below the limit, and what a member has is only known
 *   from itself, in this run.
 * Not here: files (log_segment.c, log_archive.c), who tells what (node_gossip.c). */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/plant.h"
#include "db_fork.h"

#define TRIM_DUE_BYTES (4u << 20) /* of log, between two looks from a commit */

void db_set_peers(db *d, uint8_t others)
{
    pthread_mutex_lock(&d->commit_lock);
    d->peers = others;
    d->peers_known = true;
    db_close_look(d);
    pthread_mutex_unlock(&d->commit_lock);
}

quartet_status db_peer_has(db *d, uint8_t slot, struct slice encoded_vv, struct err *err)
{
    struct vv v = {0};
    struct bytes_in in = bytes_in(encoded_vv.p, encoded_vv.n);
    QASSERT(slot < SLOTS_MAX);
    pthread_mutex_lock(&d->commit_lock);
    quartet_status rc = vv_decode(&in, &v, &d->chains, err);
    if (rc == QUARTET_OK)
        rc = fork_resolve(d, &v, true, err);
    if (rc == QUARTET_OK) { /* not the maximum: it may have lost its disk */
        held_note_peer(d, slot, &v);
        vv_deinit(&d->peer_has[slot]);
        d->peer_has[slot] = v;
        d->peers_told |= (uint8_t)(1u << slot);
    } else {
        vv_deinit(&v);
    }
    pthread_mutex_unlock(&d->commit_lock);
    return rc;
}

quartet_status db_set_retention(db *d, uint64_t bytes_max, const char *archive, struct err *err)
{
    quartet_status rc = commit_log_archive(d->log, archive != NULL ? archive : "", err);
    pthread_mutex_lock(&d->commit_lock);
    d->options.log_bytes_max = bytes_max > 0 ? bytes_max : DB_LOG_BYTES_MAX_DEFAULT;
    pthread_mutex_unlock(&d->commit_lock);
    return rc;
}

/* Of each chain all other members have the batches up to here. */
static uint64_t all_have(const db *d, chain_no chain)
{
    uint64_t number = UINT64_MAX;
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        uint64_t has = vv_number(&d->peer_has[i], chain);
        if ((d->peers & 1u << i) != 0 && has < number)
            number = has;
    }
    return number;
}

/* The first record of a batch of this chain beyond delta `has`; UINT64_MAX: there is none. */
static log_pos first_beyond(const struct chain_state *s, uint64_t has)
{
    size_t lo = 0, hi = s == NULL ? 0 : s->batch_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->batches[mid].first + (s->batches[mid].count - 1) <= has)
            lo = mid + 1;
        else
            hi = mid;
    }
    return s != NULL && lo < s->batch_count ? s->batches[lo].low : UINT64_MAX;
}

/* The first record that somebody may still ask for. */
static log_pos peers_need(const db *d)
{
    log_pos at = UINT64_MAX;
    if (!d->peers_known || (d->peers_told & d->peers) != d->peers)
        return 0;
    for (uint32_t i = 0; i < d->state_count; i++) {
        log_pos first = first_beyond(d->state[i], all_have(d, (chain_no)i));
        at = first < at ? first : at;
    }
    return at;
}

bool db_peer_lag_bytes(db *d, uint8_t slot, uint64_t *bytes)
{
    log_pos at = UINT64_MAX;
    pthread_mutex_lock(&d->commit_lock);
    bool told = (d->peers_told & 1u << slot) != 0;
    for (uint32_t i = 0; told && i < d->state_count; i++) {
        log_pos first = first_beyond(d->state[i], vv_number(&d->peer_has[slot], (chain_no)i));
        at = first < at ? first : at;
    }
    log_pos end = commit_log_end(d->log);
    pthread_mutex_unlock(&d->commit_lock);
    *bytes = at < end ? end - at : 0;
    return told;
}

/* The first record that this database itself needs. */
static log_pos own_needs(db *d)
{
    log_pos at = d->options.in_memory ? db_replay_from(d) : db_base_at(d);
    for (uint32_t i = 0; i < d->state_count; i++) {
        const struct chain_state *s = d->state[i];
        if (s != NULL && s->local_count > 0 && s->local[s->local_start].at < at)
            at = s->local[s->local_start].at;
    }
    return at;
}

void db_trim_index(db *d, log_pos start)
{
    for (uint32_t i = 0; i < d->state_count; i++) {
        struct chain_state *s = d->state[i];
        size_t n = 0;
        while (s != NULL && n < s->batch_count && s->batches[n].low < start)
            n++;
        if (n == 0)
            continue; /* a run goes as one, though its end may lie in what stays */
        chain_forget_batches(s, n);
    }
}

void db_set_log_floor(db *d, uint64_t bytes)
{
    pthread_mutex_lock(&d->commit_lock);
    d->options.log_bytes_min = bytes;
    pthread_mutex_unlock(&d->commit_lock);
}

/* What may go, rounded down to where a segment begins; 0: nothing. */
static log_pos choose(db *d)
{
    uint64_t grain = d->options.in_memory ? 1 : LOG_SEGMENT_BYTES;
    log_pos own = own_needs(d), peers = d->has_identity ? peers_need(d) : UINT64_MAX, end = commit_log_end(d->log);
    log_pos forced = end + grain > d->options.log_bytes_max ? end + grain - d->options.log_bytes_max : 0;
    log_pos floor = end > d->options.log_bytes_min ? end - d->options.log_bytes_min : 0;
    if (d->has_identity && peers > floor)
        peers = floor;
    log_pos at = peers > forced ? peers : forced;
    at = (own < at ? own : at) / grain * grain;
    log_pos start = commit_log_start(d->log);
    if (at <= start)
        return 0;
    if (at > peers && at > d->forced_at && (d->peers != 0 || !d->peers_known)) {
        log_line(d->env, LOG_WARN, "db", "the log passed %llu bytes: batches go that a member may lack", (unsigned long long)d->options.log_bytes_max);
        d->forced_at = at;
    }
    db_trim_index(d, at);
    return at;
}

void db_trim(db *d)
{
    struct err err = ERR_INIT;
    if (d->options.base_in_memory)
        return; /* recovery needs it all */
    pthread_mutex_lock(&d->commit_lock);
    log_pos at = choose(d);
    pthread_mutex_unlock(&d->commit_lock);
    if (at > 0 && commit_log_trim(d->log, at, &err) != QUARTET_OK) /* keeping too much is no harm, and the next one tries again */
        log_line(d->env, LOG_WARN, "db", "old segments of the log stay: %s", err.text);
}

void db_trim_due(db *d)
{
    log_pos end = commit_log_end(d->log);
    if (end - atomic_load(&d->trim_looked) < TRIM_DUE_BYTES)
        return;
    atomic_store(&d->trim_looked, end);
    db_trim(d);
}
