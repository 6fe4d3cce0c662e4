/* bounded.h - the room of a COUNTER with a bound: how much each chain may still take from it (DESIGN.md section 3). Why it holds: the top of bounded.c.
 *
 * Numbers are at the column's scale (row_counter_number). Each bound of each life has rooms of its own. */
#ifndef CRDT_BOUNDED_H
#define CRDT_BOUNDED_H

#include "row.h"

#define BOUNDED_SIDES 2u
enum bounded_side {
    BOUNDED_MIN = 0, /* n >= at[0] */
    BOUNDED_MAX = 1  /* n <= at[1] */
};
struct bounded {
    bool has[BOUNDED_SIDES];
    struct dec128 at[BOUNDED_SIDES];
};
static inline bool bounded_any(const struct bounded *b)
{
    return b->has[BOUNDED_MIN] || b->has[BOUNDED_MAX];
}
/* What a change by `add` takes from the room of one side; not above 0: it takes nothing. */
static inline __int128 bounded_takes(enum bounded_side side, __int128 add)
{
    return side == BOUNDED_MIN ? -add : add;
}
/* Is this value on the right side of all its bounds? */
bool bounded_holds(const struct bounded *b, __int128 value);

/* Room that one chain gave to another, all in all. Written by the giver alone. */
struct bounded_move {
    struct chain_id from, to;
    __int128 amount;
};
struct bounded_room {
    struct chain_id chain;
    __int128 room; /* below 0 only where a closed chain's room was taken over (engine/share.c) */
};

/* The rooms of one side of one life's column: those of all chains that changed it, gave or got, by chain identity; their sum is how far the life's value is from
 * the bound. Memory from the arena. False: out of memory. */
bool bounded_rooms(const struct row_column *column, const struct row_life *life, uint32_t at, const struct bounded *bound, enum bounded_side side,
                   const struct chain_table *chains, const struct bounded_move *moves, uint32_t move_count, struct arena *a, struct bounded_room **out,
                   uint32_t *count);

#endif
