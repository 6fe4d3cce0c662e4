/* kv_behind.h - work that a thread does behind its owner's back, in order: bytes gather in one buffer while the thread takes those of another. */
#ifndef ENGINE_KV_BEHIND_H
#define ENGINE_KV_BEHIND_H

#include "base/buf.h"

typedef struct kv_behind kv_behind;

/* take() gets at least `at_once_bytes` at a time (the last time fewer), in the order of filling, from the thread, which is started with the first of them; where
 * there are no threads, or none can be started, from the caller of kv_behind_filled. */
quartet_status kv_behind_new(bool threads, size_t at_once_bytes, quartet_status (*take)(void *arg, const uint8_t *p, size_t n, struct err *err), void *arg,
                             kv_behind **out, struct err *err);
/* Where to append; then tell that what was appended may be taken: what take() gets never ends within it. Waits while the thread has not taken the buffer before. Once
 * take() failed it is not called again, and this and kv_behind_drain return that error; QUARTET_NOMEM: also where appending failed. */
struct buf *kv_behind_fill(kv_behind *b);
quartet_status kv_behind_filled(kv_behind *b, struct err *err);
quartet_status kv_behind_drain(kv_behind *b, struct err *err); /* all was taken, the thread is idle */
void kv_behind_free(kv_behind *b); /* what waits is not taken any more, what take() is at is waited for; NULL is allowed */

#endif
