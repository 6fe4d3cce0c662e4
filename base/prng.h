/* prng.h - seeded pseudo-random numbers (xoshiro256**, Blackman and Vigna 2018) for tests, simulation and jitter. Never for keys. */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t s[4];
};

void prng_seed(struct prng *r, uint64_t seed); /* expands with splitmix64 */
uint64_t prng_u64(struct prng *r);
uint64_t prng_below(struct prng *r, uint64_t n); /* uniform in [0, n); n > 0 */
int64_t prng_between(struct prng *r, int64_t lo, int64_t hi); /* both ends included */
double prng_unit(struct prng *r);                 /* [0, 1) */
bool prng_chance(struct prng *r, double p);
void prng_fill(struct prng *r, void *p, size_t n);

#endif
