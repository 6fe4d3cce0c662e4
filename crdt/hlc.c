/* hlc.c - hybrid logical clock: stamps that respect causality and stay near wall time.
 * Why: last-writer-wins needs an order that every node computes alike. Wall clocks tie and jump back; a bare counter says
 *   nothing to a person reading history.
 * Invariants: stamps from one clock strictly increase; after observe(s) the next stamp is greater than s. When the counter of
 *   one millisecond is used up it carries into the milliseconds: the stamp runs ahead of the clock, never backwards.
 * Not here: who wins a conflict (row.c), keeping the upper bound on disk (engine). The caller passes the time, so tests own it. */
#include "hlc.h"

#include "base/plant.h"

#define MS_MAX ((1ull << 46) - 1)
#define SLOT_BITS 3ull
#define STEP 4ull /* one of the counter */

void hlc_init(struct hlc *c, uint8_t slot, hlc_stamp not_below)
{
    QASSERT(slot <= SLOT_BITS);
    c->slot = slot;
    c->last = not_below & ~SLOT_BITS;
}

quartet_status hlc_next(struct hlc *c, uint64_t now_ms, hlc_stamp *out, struct err *err)
{
    if (now_ms > MS_MAX || c->last > UINT64_MAX - SLOT_BITS - STEP)
        return err_set(err, QUARTET_LIMIT, "the clock is past the last stamp (year 4199)");
    uint64_t wall = now_ms << 18;
    c->last = wall > c->last || plant_is(PLANT_CLOCK_GOES_BACK) ? wall : c->last + STEP;
    *out = c->last | c->slot;
    return QUARTET_OK;
}

quartet_status hlc_observe(struct hlc *c, uint64_t now_ms, hlc_stamp seen, struct err *err)
{
    uint64_t ms = hlc_ms(seen);
    if (ms > now_ms && ms - now_ms > HLC_DRIFT_MS_MAX)
        return err_set(err, QUARTET_LIMIT, "a stamp is %llu ms ahead of this node's clock, limit %u",
                       (unsigned long long)(ms - now_ms), HLC_DRIFT_MS_MAX);
    seen &= ~SLOT_BITS;
    if (seen > c->last && !plant_is(PLANT_CLOCK_NOT_OBSERVED))
        c->last = seen;
    return QUARTET_OK;
}
