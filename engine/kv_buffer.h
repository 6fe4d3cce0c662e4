/* kv_buffer.h - a versioned ordered map in memory: the write buffer of the store (a transaction's own writes: kv_own.h).
 *
 * A skip list of keys in an arena, (tree, key) ascending, a key's versions descending. One writer; readers take no lock and see every entry whose
 * put returned before their version was published. Entries are never moved or freed while the buffer lives. */
#ifndef ENGINE_KV_BUFFER_H
#define ENGINE_KV_BUFFER_H

#include "base/bytes.h"
#include "base/status.h"

typedef uint64_t tree_id;  /* the object's id in the catalog; below 256: system trees */
typedef uint64_t apply_no; /* 1, 2, 3, ...: one per applied delta; in a transaction's buffer, one per statement */
typedef struct kv_buffer kv_buffer;

#define KV_KEY_BYTES_MAX (32u << 10)      /* an index entry holds an index key and a primary key, 8 KiB each at most */
#define KV_RECORD_BYTES_MAX (1u << 30)

kv_buffer *kv_buffer_new(void); /* NULL: out of memory */
void kv_buffer_free(kv_buffer *b);
/* Record NULL: an erasure. Bytes are copied. `version` is never below that of an earlier put. Same (tree, key, version) twice: the second
 * wins. QUARTET_LIMIT past the limits above. */
quartet_status kv_buffer_put(kv_buffer *b, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err);
/* With the past of the key: bytes that this version adds to its history (kv_past.h), kept beside the record. Empty: nothing. */
quartet_status kv_buffer_put_past(kv_buffer *b, tree_id tree, struct slice key, apply_no version, struct slice record, struct slice past,
                                  struct err *err);
struct kv_op {
    tree_id tree;
    struct slice key;
    struct slice record; /* p == NULL: erase the entry (index entries; rows are never erased but by purging) */
    struct slice past;   /* what this version adds to the key's history (kv_past.h); empty: nothing */
    uint32_t claim;      /* so many bytes that the key begins with are a value that only one row may have (kv_claimed); 0: none */
};
/* Puts one after the other; the first *done of them are in when it fails. In a large buffer it is much cheaper than one by one (kv_buffer_many.c). */
quartet_status kv_buffer_put_many(kv_buffer *b, const struct kv_op *ops, size_t n, apply_no version, size_t *done, struct err *err);
/* Was a key put whose claim is `value`? false: certainly not; true: perhaps, it may be erased since. For the writer, or where nobody writes any longer. */
bool kv_buffer_claimed(const kv_buffer *b, tree_id tree, struct slice value);
size_t kv_buffer_bytes(const kv_buffer *b);
uint64_t kv_buffer_entries(const kv_buffer *b);
apply_no kv_buffer_last_version(const kv_buffer *b); /* 0 while empty; for the writer */
/* false: nothing of the tree was put with a version above `since`. true: perhaps. For the writer. */
bool kv_buffer_tree_changed(const kv_buffer *b, tree_id tree, apply_no since);
/* Take the key's newest entry away, which no snapshot can see yet: an apply that failed half way. Its memory stays, since readers may stand on it. */
void kv_buffer_take_back(kv_buffer *b, tree_id tree, struct slice key, apply_no version);
/* Newest version at or below `through`. false: none. *record.p is NULL for an erasure. */
bool kv_buffer_get(const kv_buffer *b, tree_id tree, struct slice key, apply_no through, struct slice *record, apply_no *version);

/* How many keys of the tree begin with `prefix` and are not erased at `through`: 0, 1, or 2 for more. For the writer, or where nobody writes any longer. */
uint32_t kv_buffer_begin_with(const kv_buffer *b, tree_id tree, struct slice prefix, apply_no through);

/* Walk. The cursor is on an entry (newest version at or below `through` of one key) or at the end. */
struct kv_cursor {
    const kv_buffer *buffer;
    apply_no through;
    const void *node; /* NULL: the end */
    const void *at;   /* the entry among those of its key */
    tree_id tree;
    struct slice key, record; /* record.p NULL: an erasure */
    apply_no version;
};
void kv_cursor_seek(struct kv_cursor *c, const kv_buffer *b, apply_no through, tree_id tree, struct slice key); /* first at or after */
void kv_cursor_seek_before(struct kv_cursor *c, const kv_buffer *b, apply_no through, tree_id tree, struct slice key); /* last before */
void kv_cursor_seek_last(struct kv_cursor *c, const kv_buffer *b, apply_no through);
void kv_cursor_next(struct kv_cursor *c);
void kv_cursor_prev(struct kv_cursor *c);
bool kv_cursor_older(struct kv_cursor *c); /* to the next older version of the same key; false: there is none, it stays */
/* What the cursor's version and the older ones of its key put as past, newest first. *at NULL begins; false: no more. */
bool kv_buffer_past(const struct kv_cursor *c, const void **at, struct slice *past);
bool kv_buffer_has_past(const kv_buffer *b); /* false: no entry has any */

#endif
