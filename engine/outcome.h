/* outcome.h - what became of a client's request: did the transaction that it was to commit take effect? Why and how: the top of outcome.c. */
#ifndef ENGINE_OUTCOME_H
#define ENGINE_OUTCOME_H

#include "db.h"

#define OUTCOME_SESSIONS ((uint64_t)65536)             /* of one run: the newest so many sessions are remembered */
#define OUTCOME_KEPT_MS ((uint64_t)24 * 3600 * 1000)   /* and those of a chain whose last delta is no older */

/* A request: which run of which slot was asked, in which of its sessions, and the client's number of it. */
struct outcome_name {
    uint8_t slot;
    uint64_t incarnation, session;
    uint32_t request;
};
enum outcome_kind {
    OUTCOME_NONE,      /* nothing is known here of such a commit. Whether there is or will be one elsewhere is another question: `ended` */
    OUTCOME_COMMITTED, /* it is applied here */
    OUTCOME_OVERTAKEN, /* the session committed a later request; what became of this one is not remembered */
    OUTCOME_FORGOTTEN  /* too old to be remembered */
};
struct outcome {
    enum outcome_kind kind;
    bool ended;       /* the chain is closed, and all of it is applied here: NONE is final */
    bool forked;      /* its slot signed two histories: nothing is final */
    uint64_t applied; /* number of the chain's last delta that is applied here */
    hlc_stamp stamp;  /* COMMITTED: the commit's, and what its answer said */
    bool gave_rows;
    int64_t affected, last_insert_id;
};
/* Takes the commit lock. Any thread. QUARTET_IO and others: the store cannot be read, or must be opened again. */
quartet_status db_outcome(db *d, const struct outcome_name *name, struct outcome *out, struct err *err);

#endif
