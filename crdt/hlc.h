/* hlc.h - hybrid logical clock (Kulkarni et al. 2014): stamps that respect causality and stay near wall time. */
#ifndef CRDT_HLC_H
#define CRDT_HLC_H

#include "base/status.h"

#define HLC_DRIFT_MS_MAX 5000u /* a stamp further ahead than this is held back by the receiver */

typedef uint64_t hlc_stamp; /* 46 bits of Unix milliseconds, 16 of counter, 2 of slot; compares as a number; 0 is none */

/* Pure: the caller passes the time. One per node; guarded by the node's commit lock. */
struct hlc {
    hlc_stamp last; /* slot bits cleared */
    uint8_t slot;
};

void hlc_init(struct hlc *c, uint8_t slot, hlc_stamp not_below); /* all stamps will be above not_below */
/* The next stamp: above every stamp given or observed, and at least now_ms. QUARTET_LIMIT past the 46 bits (year 4199). */
quartet_status hlc_next(struct hlc *c, uint64_t now_ms, hlc_stamp *out, struct err *err);
/* Learn a stamp from elsewhere. QUARTET_LIMIT: more than HLC_DRIFT_MS_MAX ahead of now_ms; the clock is unchanged. */
quartet_status hlc_observe(struct hlc *c, uint64_t now_ms, hlc_stamp seen, struct err *err);

static inline uint64_t hlc_ms(hlc_stamp s)
{
    return s >> 18;
}
static inline uint8_t hlc_slot(hlc_stamp s)
{
    return (uint8_t)(s & 3u);
}
static inline hlc_stamp hlc_make(uint64_t ms, uint16_t counter, uint8_t slot)
{
    return ms << 18 | (uint64_t)counter << 2 | (slot & 3u);
}

#endif
