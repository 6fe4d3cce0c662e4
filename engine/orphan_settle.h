/* orphan_settle.h - which referenced keys are broken in a new state; for apply_orphans.c and whoever asks what is behind one of them. */
#ifndef ENGINE_ORPHAN_SETTLE_H
#define ENGINE_ORPHAN_SETTLE_H

#include "base/map.h"
#include "orphan.h"

struct key_state { /* of a key in doubt */
    bool was;      /* it stands in the set */
    bool broken;   /* it will, as far as is known */
    bool gone;     /* a row that gave it went, or references something else */
};
struct key_entry {
    struct slice key;
    struct key_state state;
};
struct settle_row;
struct settling {
    db *d;
    const struct catalog *catalog;
    kv_snap *snap;
    bool any;          /* the set is not empty */
    bool anew;         /* all of it is in doubt, and so is every reference */
    struct map states; /* key -> struct key_entry, in `arena`; in the order in which doubt reached them */
    struct arena arena;
    struct settle_row *spare;
    struct orphan_key key;
    struct buf record;
    struct key_entry **queue; /* those that broke */
    size_t queue_count, queue_cap;
    struct err *err;
};
/* The newest state; holder of the commit lock only. In any case settling_end comes. catalog: borrowed until then. */
quartet_status settling_begin(struct settling *s, db *d, const struct catalog *catalog, struct err *err);
void settling_end(struct settling *s);
quartet_status settling_in_set(struct settling *s, struct slice key, bool *in);
quartet_status settling_doubt(struct settling *s, struct slice key, bool was);
struct key_entry *settling_doubted(const struct settling *s, struct slice key); /* NULL: it is not in doubt */
quartet_status settling_run(struct settling *s); /* decides all that is in doubt */
/* Does a row that is visible by steps 1 and 2 reference the key? And if so, does no such row give it, or one that is an orphan as far as is known? */
quartet_status settling_has_child(struct settling *s, struct slice key, bool *has);
quartet_status settling_has_reason(struct settling *s, struct slice key, bool *broken);
/* All rows of a table that are visible by steps 1 and 2; values by column, valid during the call. */
typedef quartet_status (*settling_row_fn)(struct settling *s, const struct table_def *t, struct slice key, const struct value *values, void *arg);
quartet_status settling_each_row(struct settling *s, const struct table_def *t, settling_row_fn each, void *arg);

#endif
