/* db_strand.c - what waits here for something that nobody has any longer: its writer had it, and it went with that one's disk before anybody else did.
 * Why it matters: who holds what may yet take effect tells the members so, since its vectors say nothing of it; and until all have told a slot's new run what they know of the slot, that one closes
 *   no chains of former runs and assigns keys at random. Where what is missing is lost with those very chains, each would wait for the other for ever.
 * The rule: of each chain the first delta that waits needs one that is missing. Where every other member has said several times in turn that it lacks that too, nobody is waited for: this node is no
 *   longer catching up, and agrees to close the chain without the rest (db_void.c). Nothing is dropped for it: if somebody turns up who has it, it is taken as long as the chain is not closed.
 * Why several times: a member tells of its disk once a second, and what it just sent on may come before that.
 * Not here: who is asked (net/gossip_pull.c), how members agree (db_close.c). */
#include <string.h>

#include "db_fork.h"

#define LACKED_TIMES 3u

bool chain_is_stranded(const db *d, chain_no chain)
{
    const struct chain_state *s = chain < d->state_count ? d->state[chain] : NULL;
    if (s == NULL || s->waits.number == 0 || vv_number(&d->applied, s->waits.chain) >= s->waits.number || d->peers == 0)
        return false;
    for (uint32_t slot = 0; slot < SLOTS_MAX; slot++)
        if ((d->peers & 1u << slot) != 0 && s->waits.lacked[slot] < LACKED_TIMES)
            return false;
    return true;
}

/* Of what this delta depends on the first that is not here. False: it waits for nothing, or only for its time. *by_others: something of it waits itself, in vain. */
static bool first_missing(db *d, struct slice delta, struct vv_entry *out, bool *by_others)
{
    struct delta_reader r;
    struct err ignored = ERR_INIT; /* take_delta says what is wrong with it */
    bool found = false;
    *by_others = false;
    if (delta_open(&r, delta, &d->chains, &ignored) != QUARTET_OK)
        return false;
    if (fork_resolve(d, &r.deps, false, &ignored) == QUARTET_OK)
        for (uint32_t i = 0; i < r.deps.count; i++) {
            const struct vv_entry *e = &r.deps.e[i];
            if (e->astray || vv_number(&d->applied, e->chain) >= e->number)
                continue;
            if (!found)
                *out = *e;
            found = true;
            *by_others |= chain_is_stranded(d, e->chain);
        }
    delta_close(&r);
    return found;
}

void held_note_peer(db *d, uint8_t slot, const struct vv *disk)
{
    for (uint32_t i = 0; i < d->state_count && d->held_count > 0; i++) { /* of each chain the first that waits: the others wait for that one */
        struct chain_state *s = d->state[i];
        const struct held_batch *b = s != NULL ? s->held : NULL;
        if (b == NULL || b->next_number != chain_next(d, b->chain))
            continue;
        struct bytes_in in = bytes_in(b->bytes + b->n - b->header.payload_bytes + b->next_at, b->header.payload_bytes - b->next_at);
        struct slice delta;
        struct vv_entry missing = {0};
        bool by_others = false;
        if (!batch_next_delta(&in, &delta) || !first_missing(d, delta, &missing, &by_others)) {
            memset(&s->waits, 0, sizeof s->waits);
            continue;
        }
        if (s->waits.chain != missing.chain || s->waits.number != missing.number)
            s->waits = (struct chain_waits){.chain = missing.chain, .number = missing.number};
        uint8_t *lacked = &s->waits.lacked[slot];
        if (!by_others && vv_number(disk, missing.chain) >= missing.number)
            *lacked = 0;
        else if (*lacked < LACKED_TIMES)
            ++*lacked;
    }
}

bool db_is_catching_up(db *d)
{
    bool any = false;
    pthread_mutex_lock(&d->commit_lock);
    for (uint32_t i = 0; i < d->state_count && d->held_count > 0 && !any; i++)
        any = d->state[i] != NULL && d->state[i]->held != NULL && !chain_is_stranded(d, (chain_no)i);
    pthread_mutex_unlock(&d->commit_lock);
    return any;
}
