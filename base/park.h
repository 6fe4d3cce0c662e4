/* park.h - threads that sleep until their turn comes, woken in groups: what a condition variable cannot do without waking all.
 *
 * A word counts events. A sleeper names the groups (bits) it belongs to; a waker wakes at most so many of some groups, in one system call. The word
 * is read under the owner's lock and given to park_wait, which returns at once where it has changed meanwhile: so no wake is lost. */
#ifndef BASE_PARK_H
#define BASE_PARK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PARK_ALL UINT32_MAX /* of bits: every group; of count: every sleeper */

/* Sleep unless *word has moved on from `seen`. May return without cause: the caller looks again. bits is not 0. */
void park_wait(const _Atomic uint32_t *word, uint32_t seen, uint32_t bits);
/* No longer than until this time of the system's monotonic clock. */
void park_wait_until(const _Atomic uint32_t *word, uint32_t seen, uint32_t bits, uint64_t until_ns);
void park_wake(const _Atomic uint32_t *word, uint32_t count, uint32_t bits);

/* A mutex that is held for a microsecond at a time: who finds it taken looks again for a moment before it sleeps, since sleeping and being woken cost several. */
bool park_mutex_init(pthread_mutex_t *m);

#endif
