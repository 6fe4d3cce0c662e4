/* kv_digest.h - keys as numbers that sort like them: what the maps in memory compare first, without a look at the key's bytes. */
#ifndef ENGINE_KV_DIGEST_H
#define ENGINE_KV_DIGEST_H

#include <string.h>

#include "base/bytes.h"

/* Eight bytes of the key from `at` on as a big-endian number, padded with zeros. */
static inline uint64_t kv_key_word(struct slice key, size_t at)
{
    if (key.n >= at + 8)
        return load_be64(key.p + at);
    uint8_t pad[8] = {0};
    if (key.n > at)
        memcpy(pad, key.p + at, key.n - at);
    return load_be64(pad);
}

/* 56 bits for 64 and what follows them, in the same order though not all different: sign, magnitude, and the first 49 bits, so that the keys of integers up to
 * 2^49 and their negatives differ, whose first bytes are all alike. What a small number leaves of the 49 bits holds the beginning of `tail`. */
static inline uint64_t kv_squeeze(uint64_t x, uint64_t tail)
{
    bool positive = x >> 63 != 0;
    uint64_t d = (positive ? x : ~x) & (UINT64_MAX >> 1);
    uint64_t bits = d == 0 ? 0 : 64 - (uint64_t)__builtin_clzll(d);
    uint64_t m = bits > 49 ? d >> (bits - 49) : d << (49 - bits);
    if (bits < 49)
        m |= (positive ? tail : ~tail) >> (15 + bits); /* a negative one's bits are turned around below */
    uint64_t packed = bits << 49 | (m & (((uint64_t)1 << 49) - 1));
    return positive ? (uint64_t)1 << 55 | packed : ((uint64_t)1 << 55) - 1 - packed;
}

/* Grows with the key: a greater digest means a greater key. The first byte of a key tells the kind of its first column, the tenth that of a second one where the first
 * is a number: an index of small numbers is told apart by the row's key behind them. word0 and word1: its first 16 bytes. */
static inline uint64_t kv_digest(struct slice key, uint64_t word0, uint64_t word1)
{
    if (key.n == 0)
        return 0;
    uint64_t tail = key.n <= 9 ? 0 : (uint64_t)key.p[9] << 56 | kv_squeeze(kv_key_word(key, 10), 0);
    return word0 >> 56 << 56 | kv_squeeze(word0 << 8 | word1 >> 56, tail);
}

static inline uint64_t kv_digest_of(struct slice key)
{
    if (key.n == 9) { /* one column, a number: the key of most rows */
        uint64_t word0 = load_be64(key.p);
        return word0 >> 56 << 56 | kv_squeeze(word0 << 8 | key.p[8], 0);
    }
    return kv_digest(key, kv_key_word(key, 0), kv_key_word(key, 8));
}

#endif
