/* bounded.c - a COUNTER that stays on one side of a bound, whoever writes it: the bounded counter of Balegas et al. ("Extending Eventually Consistent Cloud
 *   Databases for Enforcing Numeric Invariants", SRDS 2015) on top of the register that COUNTER has anyway.
 * How: for n >= k a life's value less k is its *room*. The chain of the INSERT has all of it; additions make room for the chain that adds, subtractions take from
 *   it, and a *move* takes room from the chain that writes it and gives it to another. So a chain's room is the sum of its changes (its part of the COUNTER), plus
 *   what it got, less what it gave; the birth's chain has k less. The paper's matrix R and vector U are the moves and the parts. n <= k is the same with all signs
 *   turned round, and has moves of its own.
 * Why the bound holds in every state that any node can show: such a state is causally closed. It holds for each chain the operations up to some point, and all that
 *   its writer had seen when it wrote the last of them. At that point the chain's room was not below 0 as far as its writer knew, since a writer never takes more
 *   than it has; what the state holds beyond that are moves to the chain, which add. So no chain's room is below 0, nor is their sum, and the sum is the value's
 *   distance from the bound: a move counts on both sides or on neither.
 * Not here: who asks, who gives, closed chains (engine/share.c). */
#include "bounded.h"

#include "base/plant.h"

static __int128 sum_of(__int128 a, __int128 b)
{
    return (__int128)((unsigned __int128)a + (unsigned __int128)b); /* what a member sends may be any number */
}

static __int128 negative(__int128 a)
{
    return (__int128)(0 - (unsigned __int128)a);
}

bool bounded_holds(const struct bounded *b, __int128 value)
{
    return (!b->has[BOUNDED_MIN] || value >= dec_get(b->at[BOUNDED_MIN])) && (!b->has[BOUNDED_MAX] || value <= dec_get(b->at[BOUNDED_MAX]));
}

struct rooms {
    struct bounded_room *room;
    uint32_t count;
};

static void add_room(struct rooms *r, struct chain_id chain, __int128 by)
{
    uint32_t at = 0;
    while (at < r->count && chain_id_cmp(r->room[at].chain, chain) < 0)
        at++;
    if (at == r->count || chain_id_cmp(r->room[at].chain, chain) != 0) {
        for (uint32_t i = r->count++; i > at; i--)
            r->room[i] = r->room[i - 1];
        r->room[at] = (struct bounded_room){.chain = chain};
    }
    r->room[at].room = sum_of(r->room[at].room, by);
}

bool bounded_rooms(const struct row_column *column, const struct row_life *life, uint32_t at, const struct bounded *bound, enum bounded_side side,
                   const struct chain_table *chains, const struct bounded_move *moves, uint32_t move_count, struct arena *a, struct bounded_room **out,
                   uint32_t *count)
{
    QASSERT(bound->has[side] && life->cells != NULL);
    const struct row_cell *cell = &life->cells[at];
    struct rooms r = {.room = arena_zalloc(a, (size_t)cell->part_count + 2u * (size_t)move_count + 1u, sizeof *r.room)};
    if (r.room == NULL)
        return false;
    __int128 k = dec_get(bound->at[side]);
    bool low = side == BOUNDED_MIN;
    struct row_cell none = {.ver = cell->ver};
    __int128 base = sum_of(row_counter_sum(column, &none), negative(k)); /* what the life began with beside its parts, from the bound on */
    add_room(&r, chain_id_of(chains, life->birth.chain), low ? base : negative(base));
    for (uint32_t i = 0; i < cell->part_count; i++) {
        __int128 part = dec_get(cell->parts[i].sum);
        add_room(&r, chain_id_of(chains, cell->parts[i].chain), low ? part : negative(part));
    }
    for (uint32_t i = 0; i < move_count; i++) {
        add_room(&r, moves[i].from, plant_is(PLANT_SHARE_KEPT) ? 0 : negative(moves[i].amount));
        add_room(&r, moves[i].to, moves[i].amount);
    }
    *out = r.room;
    *count = r.count;
    return true;
}
