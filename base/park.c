/* park.c - futexes with bit sets (Linux). Private ones: the sleepers are threads of one process.
 * Not here: the order of memory, which the word's own atomic operations and the owner's lock give. */
#include "base/park.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void park_wait(const _Atomic uint32_t *word, uint32_t seen, uint32_t bits)
{
    /* Whatever it returns (woken, word changed, a signal), the caller looks again. */
    (void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, seen, NULL, NULL, bits);
}

void park_wait_until(const _Atomic uint32_t *word, uint32_t seen, uint32_t bits, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u), .tv_nsec = (long)(until_ns % 1000000000u)};
    (void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, seen, &until, NULL, bits); /* likewise; a time, not a span, with bits */
}

void park_wake(const _Atomic uint32_t *word, uint32_t count, uint32_t bits)
{
    int n = count > INT32_MAX ? INT32_MAX : (int)count;
    (void)syscall(SYS_futex, word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, n, NULL, NULL, bits); /* how many slept is of no use */
}

bool park_mutex_init(pthread_mutex_t *m)
{
    pthread_mutexattr_t attr;
    if (pthread_mutexattr_init(&attr) != 0)
        return false;
    bool good = pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP) == 0 && pthread_mutex_init(m, &attr) == 0;
    pthread_mutexattr_destroy(&attr);
    return good;
}
