/* plant.h - planted bugs: mistakes made on purpose, to prove that the simulator finds them. Only in builds with PLANTED_BUGS=ON;
 * in every other build plant_is() is the constant false and costs nothing. `quartet-check --plant all` looks for each (docs/CHECK.md has the table). */
#ifndef BASE_PLANT_H
#define BASE_PLANT_H

#include <stdbool.h>
#include <stdint.h>

#define PLANTS(X)                                                                                               \
    X(ARRIVAL_WINS)       /* of two writes to a register, the one that arrives last wins */                     \
    X(DELETE_ENDS_UNSEEN) /* a DELETE also ends births that its writer had not seen */                          \
    X(COUNTER_REPLACES)   /* a counter's change replaces what its chain added before */                         \
    X(NO_DEPENDENCY_WAIT) /* a delta is applied before what it depends on */                                    \
    X(ACK_BEFORE_SYNC)    /* a commit is acknowledged before it is on disk */                                   \
    X(NO_PULL)            /* what a push did not bring is never asked for */                                    \
    X(CLOCK_NOT_OBSERVED) /* stamps do not heed the stamps that were received */                                \
    X(HALF_TRANSACTION)   /* the last of several tables of a transaction is left out */                         \
    X(HELD_NOT_SYNCED)    /* what was held back and is taken later is never made durable, so nobody hears of it */

enum plant {
    PLANT_NONE,
#define X(name) PLANT_##name,
    PLANTS(X)
#undef X
        PLANT_COUNT
};

const char *plant_name(uint32_t p); /* "ARRIVAL_WINS"; "NONE" for 0 and what is past the end */
#ifdef QUARTET_PLANTED_BUGS
void plant_set(enum plant p); /* one for the process; before anything runs */
bool plant_is(enum plant p);
#else
#define plant_is(p) false
#endif

#endif
