/* given_up.h - who gave a referenced UNIQUE value up, as far as this node did: what apply writes down and follow_up.c asks for. Why and how: the top of given_up.c. */
#ifndef ENGINE_GIVEN_UP_H
#define ENGINE_GIVEN_UP_H

#include "orphan.h"

/* Of the rows from which transactions of this slot took the value of `key` (of SYS_BROKEN, of a UNIQUE index) the one that lost it last: *at is that transaction's stamp, 0
 * where there is none, *row_key the row's primary key, in the arena. */
quartet_status given_up_find(kv_snap *snap, uint8_t slot, struct slice key, hlc_stamp *at, struct slice *row_key, struct arena *a, struct err *err);

#endif
