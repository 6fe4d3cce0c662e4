/* prng.c - xoshiro256** seeded by splitmix64 (Blackman and Vigna, "Scrambled linear pseudorandom number generators").
 * Why: the simulator and every randomized test must replay from one number, on every machine and C library alike. */
#include "base/prng.h"

#include "base/bytes.h"
#include "base/status.h"

#include <string.h>

static uint64_t rotate_left(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64u - bits);
}

static uint64_t splitmix64(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

void prng_seed(struct prng *r, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++)
        r->s[i] = splitmix64(&seed);
}

uint64_t prng_u64(struct prng *r)
{
    uint64_t result = rotate_left(r->s[1] * 5u, 7) * 9u;
    uint64_t t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotate_left(r->s[3], 45);
    return result;
}

/* The high half of a 128-bit product is nearly uniform; the few low halves that would favour some results are drawn
 * again (Lemire, "Fast random integer generation in an interval"). */
uint64_t prng_below(struct prng *r, uint64_t n)
{
    QASSERT(n > 0);
    uint64_t unfair = (0u - n) % n; /* 2^64 mod n */
    for (;;) {
        unsigned __int128 product = (unsigned __int128)prng_u64(r) * n;
        if ((uint64_t)product >= unfair)
            return (uint64_t)(product >> 64);
    }
}

int64_t prng_between(struct prng *r, int64_t lo, int64_t hi)
{
    QASSERT(lo <= hi);
    uint64_t span = (uint64_t)hi - (uint64_t)lo + 1u; /* 0: all 2^64 */
    uint64_t offset = span == 0 ? prng_u64(r) : prng_below(r, span);
    return (int64_t)((uint64_t)lo + offset);
}

double prng_unit(struct prng *r)
{
    return (double)(prng_u64(r) >> 11) * 0x1p-53;
}

bool prng_chance(struct prng *r, double p)
{
    return prng_unit(r) < p;
}

void prng_fill(struct prng *r, void *p, size_t n)
{
    uint8_t *to = p;
    while (n > 0) {
        uint8_t raw[8];
        size_t part = n < sizeof raw ? n : sizeof raw;
        store_le64(raw, prng_u64(r)); /* the same bytes whatever the machine's order */
        memcpy(to, raw, part);
        to += part;
        n -= part;
    }
}
