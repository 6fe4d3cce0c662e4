/* db_void.c - what came of a chain and can never take effect: chunks of a transaction whose writer died before it had given out the last one, and deltas that depend on
 *   what is lost with a closed chain, or with disks (db_strand.c).
 * The rule: a closed chain has what was applied of it up to the number at which it was closed. All beyond is void, on every node alike: no node applies it, keeps chunks of it, or tells
 *   anybody that it has it. Batches are signed as a whole, so one may begin at or below the close and end beyond it; that one stays, since what it holds up to the close is needed, and a
 *   chain's disk vector then names its last delta.
 * Why a member may agree to a close though more came: of a chain everybody has a beginning, cut somewhere, and what lacks its end here lacks it at all who say the same
 *   number. Who has the end has applied it and says more.
 * Not here: how members agree (db_close.c). */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/plant.h"
#include "db_fork.h"

/* Does it depend on something that was closed before it came to that? */
static bool depends_on_void(db *d, struct slice bytes)
{
    struct delta_reader r;
    struct err ignored = ERR_INIT; /* take_delta says what is wrong with it */
    if (delta_open(&r, bytes, &d->chains, &ignored) != QUARTET_OK)
        return false;
    bool lost = false;
    if (fork_resolve(d, &r.deps, false, &ignored) == QUARTET_OK)
        for (uint32_t i = 0; i < r.deps.count && !lost; i++) {
            uint64_t end;
            struct chain_id successor;
            const struct vv_entry *e = &r.deps.e[i];
            lost = !e->astray && db_chain_closed(d, e->chain, &end, &successor) && e->number > end;
        }
    delta_close(&r);
    return lost;
}

/* What this batch waits for will never come, as far as all members tell; or it waits for another batch of its chain, which is asked in its turn. */
static bool is_hopeless(db *d, const struct held_batch *b)
{
    struct bytes_in in = bytes_in(b->bytes + b->n - b->header.payload_bytes + b->next_at, b->header.payload_bytes - b->next_at);
    struct slice delta;
    return b->next_number > chain_next(d, b->chain) || chain_is_stranded(d, b->chain) || (batch_next_delta(&in, &delta) && depends_on_void(d, delta));
}

bool chain_rest_is_void(db *d, chain_no chain)
{
    const struct chain_state *s = chain < d->state_count ? d->state[chain] : NULL;
    for (const struct held_batch *b = s != NULL ? s->held : NULL; b != NULL; b = b->next)
        if (!is_hopeless(d, b))
            return false;
    return true;
}

static bool drop_held(db *d, chain_no chain, uint64_t number)
{
    bool any = false;
    struct chain_state *s = chain < d->state_count ? d->state[chain] : NULL;
    for (struct held_batch **at = s != NULL ? &s->held : NULL; at != NULL && *at != NULL;) {
        if ((*at)->next_number <= number) {
            at = &(*at)->next;
            continue;
        }
        held_drop(d, s, at);
        any = true;
    }
    if (d->held_count == 0)
        fork_needs_end(d); /* nobody waits for anything */
    return any;
}

/* The header of the last batch that stays. False: the log does not tell any more. */
static bool last_header(db *d, chain_no chain, uint64_t number, struct batch_header *out)
{
    struct chain_state *s = d->state[chain];
    uint8_t raw[BATCH_SIGNED_BYTES];
    struct err ignored = ERR_INIT;
    bool found = false;
    *out = (struct batch_header){0};
    if (number == 0)
        return true;
    if (db_read_header(d, chain, number, raw, out, &found, &ignored) == QUARTET_OK && found)
        return true;
    for (size_t i = 0; i < s->batch_count; i++) /* it went; the one behind it names it */
        if (s->batches[i].first > number) {
            struct batch_header next;
            if (db_read_header(d, chain, s->batches[i].first, raw, &next, &found, &ignored) != QUARTET_OK || !found || next.first != s->batches[i].first)
                return false;
            const struct vv_entry *e = vv_find(&d->applied, chain);
            *out = (struct batch_header){.first = next.first - 1, .count = 1, .last_stamp = e != NULL ? e->stamp : 0};
            memcpy(out->hash, next.prev, sizeof out->hash);
            return true;
        }
    return false;
}

static void cut_index(struct chain_state *s, uint64_t last)
{
    while (s->batch_count > 0 && s->batches[s->batch_count - 1].first > last)
        s->batch_count--;
    if (s->run_count > s->batch_count)
        s->run_count = s->batch_count;
    struct batch_at *b = s->batch_count > 0 ? &s->batches[s->batch_count - 1] : NULL;
    if (b != NULL && b->run && b->first + b->count - 1 > last)
        b->count = (uint32_t)(last - b->first + 1);
}

static void cut_durable(db *d, chain_no chain, const struct chain_state *s)
{
    struct vv *v = &d->durable;
    for (uint32_t i = 0; i < v->count; i++) {
        if (v->e[i].chain != chain || v->e[i].number <= s->head_number)
            continue;
        if (s->head_number == 0)
            memmove(&v->e[i], &v->e[i + 1], (--v->count - i) * sizeof *v->e);
        else
            v->e[i] = (struct vv_entry){.chain = chain, .number = s->head_number, .stamp = s->head_stamp, .head = load_le64(s->head)};
        return;
    }
}

void chain_drop_void(db *d, chain_no chain, uint64_t number)
{
    struct chain_state *s = chain < d->state_count ? d->state[chain] : NULL;
    struct batch_header h;
    if (s == NULL || vv_number(&d->applied, chain) != number || (d->own_started && chain == d->own) || plant_is(PLANT_VOID_KEPT))
        return;
    bool any = drop_held(d, chain, number);
    if (s->chunks.open) {
        chain_drop_unfinished(s);
        any = true;
    }
    if (s->received <= number && s->head_number <= number)
        return;
    if (!last_header(d, chain, number, &h)) {
        if (any)
            log_line(d->env, LOG_WARN, "db", "slot %u: what lies beyond delta %llu of a closed chain is void, but the log no longer tells where the last batch before it ends",
                     (unsigned)chain_id_of(&d->chains, chain).slot, (unsigned long long)number);
        return;
    }
    uint64_t last = h.count > 0 ? h.first + h.count - 1 : 0;
    if (s->head_number > last) {
        log_line(d->env, LOG_INFO, "db", "slot %u: its chain was closed at delta %llu; what came of it beyond, up to %llu, is void", (unsigned)chain_id_of(&d->chains, chain).slot,
                 (unsigned long long)number, (unsigned long long)s->head_number);
        s->head_number = last;
        s->head_stamp = h.last_stamp;
        memcpy(s->head, h.hash, sizeof s->head);
        cut_index(s, last);
        cut_durable(d, chain, s);
    }
    s->received = s->head_number; /* what was not logged is forgotten likewise */
    memcpy(s->received_hash, s->head, sizeof s->received_hash);
}
