/* kv_past.h - history of records: what a key's record was before each step, and operations that arrived late (docs/STORAGE.md, "History").
 *
 * Every tree of rows has a history tree beside it. A writer puts a *past* with a new record (kv_op.past): a stamp, and a record from which the state
 * before the change stamped so can be told. Until a flush it lies beside the record in the buffer; the flush moves it to the history tree, in the
 * transaction that moves the record. Operations that arrived late are put into the history tree directly. What records mean is history.h's business. */
#ifndef ENGINE_KV_PAST_H
#define ENGINE_KV_PAST_H

#include "kv.h"

/* A key of a history tree: the row's key, u64 stamp (big-endian), u16 chain (big-endian; KV_PAST_LATE only), u8 kind. */
enum kv_past_kind { KV_PAST_BEFORE = 0, KV_PAST_LATE = 1 };

#define KV_PAST_TREE ((tree_id)1 << 63) /* ids of objects are below */
#define KV_USER_TREES ((tree_id)256)    /* from here on: users' tables and their indexes; below, the system's, which have no history */
#define KV_GIVEN_UP ((tree_id)12)       /* of the system's the one whose rows go as users' do, once they are dead */

static inline tree_id kv_past_tree(tree_id tree)
{
    return tree | KV_PAST_TREE;
}
static inline bool kv_past_is_tree(tree_id tree)
{
    return (tree & KV_PAST_TREE) != 0;
}
/* Append an entry's key; `chain` is for KV_PAST_LATE. Failure is sticky in out. */
void kv_past_key(struct buf *out, struct slice key, enum kv_past_kind kind, uint64_t stamp, uint16_t chain);
bool kv_past_key_late(struct slice key, struct slice *row); /* is it one of a late operation? *row: the row's key */
bool kv_past_key_stamp(struct slice key, uint64_t *stamp); /* of a key of a history tree; false: it is none */
/* kv_op.past: stamp and record; and apart again. */
void kv_past_put(struct buf *out, uint64_t stamp, struct slice record);
void kv_past_take(struct slice past, uint64_t *stamp, struct slice *record);

/* The past of rows of one tree, in a snapshot. */
typedef struct kv_past kv_past;
quartet_status kv_past_open(kv_snap *snap, tree_id tree, kv_past **out, struct err *err); /* borrows snap */
void kv_past_close(kv_past *p); /* NULL is allowed */
/* Entries stamped above `above` of this key, newest first: seek, then next until *found is false. The record is valid until the next call. Two of one
 * stamp may come, of which one was made whole; to take back both is to take back either. */
quartet_status kv_past_seek(kv_past *p, struct slice key, uint64_t above, struct err *err);
quartet_status kv_past_next(kv_past *p, uint64_t *stamp, struct slice *record, bool *found, struct err *err);
/* Late operations on this key stamped up to `through`, by stamp: likewise. */
quartet_status kv_past_seek_late(kv_past *p, struct slice key, uint64_t through, struct err *err);
quartet_status kv_past_next_late(kv_past *p, uint64_t *stamp, uint16_t *chain, struct slice *record, bool *found, struct err *err);

#endif
