/* plant.h - planted bugs: mistakes made on purpose, to prove that the simulator finds them. Only in builds with PLANTED_BUGS=ON;
 * in every other build plant_is() is the constant false and costs nothing. */
#ifndef BASE_PLANT_H
#define BASE_PLANT_H

#include <stdbool.h>

enum plant {
    PLANT_NONE,
    PLANT_ARRIVAL_WINS,       /* of two writes to a register, the one that arrives last wins */
    PLANT_DELETE_ENDS_UNSEEN, /* a DELETE also ends births that its writer had not seen */
    PLANT_COUNTER_REPLACES,   /* a counter's change replaces what its chain added before */
    PLANT_NO_DEPENDENCY_WAIT, /* a delta is applied before what it depends on */
    PLANT_ACK_BEFORE_SYNC,    /* a commit is acknowledged before it is on disk */
    PLANT_NO_PULL,            /* what a push did not bring is never asked for */
    PLANT_CLOCK_NOT_OBSERVED, /* stamps do not heed the stamps that were received */
    PLANT_HALF_TRANSACTION,   /* the last of several tables of a transaction is left out */
    PLANT_COUNT
};

#ifdef QUARTET_PLANTED_BUGS
void plant_set(enum plant p); /* one for the process; before anything runs */
bool plant_is(enum plant p);
#else
#define plant_is(p) false
#endif

#endif
