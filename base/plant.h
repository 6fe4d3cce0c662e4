/* plant.h - planted bugs: mistakes made on purpose, to prove that the simulator finds them. Only in builds with PLANTED_BUGS=ON;
 * in every other build plant_is() is the constant false and costs nothing. `quartet-check --plant all` looks for each (docs/SIMULATOR.md has the table). */
#ifndef BASE_PLANT_H
#define BASE_PLANT_H

#include <stdbool.h>
#include <stdint.h>

#define PLANTS(X) \
    X(ARRIVAL_WINS)       /* of two writes to a register, the one that arrives last wins */ \
    X(DELETE_ENDS_UNSEEN) /* a DELETE also ends births that its writer had not seen */ \
    X(COUNTER_REPLACES)   /* a counter's change replaces what its chain added before */ \
    X(NO_DEPENDENCY_WAIT) /* a delta is applied before what it depends on */ \
    X(ACK_BEFORE_SYNC)    /* a commit is acknowledged before it is on disk */ \
    X(NO_PULL)            /* what a push did not bring is never asked for */ \
    X(CLOCK_NOT_OBSERVED) /* stamps do not heed the stamps that were received */ \
    X(HALF_TRANSACTION)   /* the last of several tables of a transaction is left out */ \
    X(HELD_NOT_SYNCED)    /* what was held back and is taken later is never made durable, so nobody hears of it */ \
    X(WRITES_ONE_LIFE)    /* a write reaches one of the births that its writer saw, not all */ \
    X(WRITES_UNSEEN)      /* a write also reaches births that its writer had not seen */ \
    X(ADDS_TO_ALL)        /* an addition to one birth of several counts in each */ \
    X(LOCAL_ORDER)        /* writes are ordered by numbers that each node gives to chains for itself */ \
    X(NULL_IGNORED)       /* setting a column to NULL is not merged */ \
    X(FIRST_VALUE_LOST)   /* a counter does not begin with what the INSERT gave it */ \
    X(DELETE_ENDS_ONE)    /* a DELETE ends one of the births that it saw, not all */ \
    X(SHOWS_OLDEST)       /* of several births the oldest shows */ \
    X(CLOCK_GOES_BACK)    /* stamps follow the wall clock, also where it goes back */ \
    X(SEEN_FORGOTTEN)     /* what a peer had seen is not kept from delta to delta */ \
    X(CLOCK_FORGOTTEN)    /* after a restart stamps do not heed those of before */ \
    X(NO_DEPENDENCIES)    /* a delta does not say what it depends on */ \
    X(NO_VALIDATION)      /* COMMIT does not look whether what was read has changed */ \
    X(INDEX_READS_FREE)   /* what was read by index is not validated */ \
    X(SYNC_ERROR_IGNORED) /* a commit whose fsync failed is acknowledged */ \
    X(SAVEPOINT_KEEPS)    /* ROLLBACK TO a savepoint takes nothing back */ \
    X(HASH_KEEPS_OLD)     /* the state hash keeps what a row was before */ \
    X(INDEX_KEEPS_OLD)    /* an index keeps the entries of values that are gone */ \
    X(INDEX_MISSES_PEERS) /* an index does not follow what peers change */ \
    X(PAST_LOST)          /* what a row was before is not kept */ \
    X(SHIPS_UNSYNCED)     /* a delta is shipped before it is on its origin's disk */ \
    X(NOT_LINKED)         /* a batch does not name the one before it */ \
    X(ONE_INCARNATION)    /* every run of a node goes on with the same chain */ \
    X(PEERS_NOT_REPLAYED) /* recovery leaves out what peers wrote */ \
    X(TAIL_NOT_SIGNED)    /* what was not signed before a crash never is */ \
    X(SIGNED_ANEW)        /* after a crash everything is signed again, in other batches */ \
    X(NO_SIGNATURE_CHECK) /* a wrong signature is taken */ \
    X(NO_PAYLOAD_CHECK)   /* a payload that was altered on the way is taken */ \
    X(NO_LOG_CHECKSUM)    /* recovery does not check the records of the log */ \
    X(PULL_NOT_REPEATED)  /* a request that is lost on the way is not sent again */ \
    X(PULL_ONE_LATE)      /* the first delta that is missing is not asked for */ \
    X(HELD_DROPPED)       /* what must wait for something else is dropped and counts as received */ \
    X(KIND_UNASKED)       /* a column's new kind takes effect before every member has acknowledged it */ \
    X(NAME_LOCAL_ORDER)   /* claims on a name are ordered by numbers that each node gives to chains for itself */ \
    X(GAP_TAKEN)          /* a batch is taken though the one before it is missing */ \
    X(SHARE_IGNORED)      /* a bounded counter is taken from as long as there is room anywhere, whoever holds it */ \
    X(SHARE_KEPT)         /* who gives room to another does not count it off its own */ \
    X(PURGE_UNASKED)      /* rows that are not live go before every member has their end */ \
    X(PURGE_NOT_NAMED)    /* the purge vector is not stored with rows that go */ \
    X(PURGE_NEVER)        /* rows that may go stay */ \
    X(PURGE_IN_HISTORY)   /* rows go though history that is in date tells of them */ \
    X(LATE_GOES_EARLY)    /* a late operation goes with the retention, though something newer needs it */ \
    X(OLD_NOT_KEPT)       /* an operation that arrives older than history is not kept beside what is newer */ \
    X(MAXIMUM_BY_STAMP)   /* a MAXIMUM or MINIMUM takes the newest value, or the oldest */ \
    X(SET_CUT_ENDS_UNSEEN) /* removing an element from a SET also ends additions that its writer had not seen */ \
    X(MULTI_KEEPS_ONE)    /* a MULTIVALUE write replaces values that its writer had not seen */ \
    X(UPDATE_FORGOTTEN)   /* where updates win, a write that loses does not count against a DELETE */ \
    X(SWITCH_IGNORED)     /* in a table where updates were made to win, operations of those who did not know it count as if they had */ \
    X(CLAIM_LOCAL_ORDER)  /* claims on a value are ordered by numbers that each node gives to chains for itself */ \
    X(CLAIM_NOT_RELEASED) /* a quarantined row stays so when the value that it waits for is given up */ \
    X(CHECK_LOCAL)        /* CHECK and NOT NULL are not looked at where rows are merged */ \
    X(ORPHAN_UNSEEN)      /* a row that comes from elsewhere is not asked for its parent */ \
    X(ORPHAN_NOT_MENDED)  /* a broken key stays so when a row gives it again */ \
    X(KEEP_IGNORED)       /* ON MERGE KEEP PARENT: a write of no column does not count against a DELETE */ \
    X(SNAPSHOT_NOT_UPLOADED) /* a snapshot takes the place of a state that holds what it lacks */ \
    X(SNAPSHOT_VECTOR_EARLY) /* a donor tells the vector of what it has now, not of what the rows hold that it gives */ \
    X(SNAPSHOT_PIECE_LOST)   /* of a snapshot a block is left out on the way */ \
    X(KEYS_UNASKED)       /* a run assigns keys after the highest that it knows, whoever has answered */ \
    X(FORK_UNSEEN)        /* a batch whose number is known is taken for the one that is known */ \
    X(FORK_HEADS_IGNORED) /* a delta does not wait for the branch of a chain that its writer had seen */ \
    X(FORK_SEEN_LOST)     /* of a branch it is forgotten what its writer had seen before */ \
    X(FORMER_TAKEN)       /* what an evicted node signs is taken as before */ \
    X(DERIVED_STALE)      /* what is computed from a row is left out where merging changed the row */ \
    X(FORK_NOT_FROZEN)    /* a slot that signed two histories is believed as before */ \
    X(FOLD_FORGOTTEN)     /* what a sum of folded chains holds counts again where it is told again */ \
    X(VOID_KEPT)          /* chunks of a transaction without its end stay when their chain is closed */

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
