/* idvec.h - a vector by chain identity: what travels between nodes and lies in tokens, free of
 * anybody's chain numbers.
 *
 * crdt/chain.h's vv counts chains by a node's own small numbers; gossip must not intern what
 * strangers claim, so it keeps identities. */
#ifndef NET_IDVEC_H
#define NET_IDVEC_H

#include "crdt/chain.h"

#define IDVEC_ENTRIES_MAX CHAINS_MAX

struct idvec_entry {
    struct chain_id chain;
    uint64_t number; /* deltas 1 to number are known */
    hlc_stamp stamp; /* of delta `number` */
    uint64_t head;   /* as in struct vv_entry */
};
struct idvec {
    struct idvec_entry *e; /* owned; ascending by chain_id_cmp */
    uint32_t count, cap;
};

void idvec_deinit(struct idvec *v);
void idvec_clear(struct idvec *v); /* keeps the memory */
quartet_status idvec_copy(struct idvec *to, const struct idvec *from, struct err *err);
const struct idvec_entry *idvec_find(const struct idvec *v, struct chain_id chain);
uint64_t idvec_number(const struct idvec *v, struct chain_id chain); /* 0 where unknown */
quartet_status idvec_raise(struct idvec *v, struct idvec_entry e,
                           struct err *err); /* never lowers */
quartet_status idvec_merge(struct idvec *v, const struct idvec *other, struct err *err);
bool idvec_covers(const struct idvec *v, const struct idvec *other);
bool idvec_equal(const struct idvec *a, const struct idvec *b); /* same chains, same numbers */
/* From and to a node's own vector; replaces *out. The second interns the chains. */
quartet_status idvec_from_vv(struct idvec *out, const struct vv *v, const struct chain_table *t,
                             struct err *err);
quartet_status idvec_to_vv(struct vv *out, const struct idvec *v, struct chain_table *t,
                           struct err *err);
/* Wire form: varint count, then for each chain u8 slot, u64 incarnation, varint number, u64 stamp,
 * u64 head. Equal vectors give equal bytes. */
void idvec_encode(struct buf *out, const struct idvec *v);
quartet_status idvec_decode(struct bytes_in *in, struct idvec *out,
                            struct err *err); /* replaces *out */

#endif
