/* gen.h - random values of every type, edges included, for the unit tests of crdt/. */
#ifndef TESTS_UNIT_CRDT_GEN_H
#define TESTS_UNIT_CRDT_GEN_H

#include "base/prng.h"
#include "crdt/value.h"

#include <math.h>
#include <string.h>

static inline int64_t gen_int(struct prng *r)
{
    static const int64_t edges[] = {0, 1, -1, 31, 32, 63, 64, 127, 128, -128, -129, 255, 256, 32767, 32768, -32768, -32769,
                                    1ll << 31, (1ll << 53) + 1, 1ll << 53, -(1ll << 53) - 1, INT64_MAX, INT64_MIN, INT64_MAX - 1};
    if (prng_chance(r, 0.3))
        return edges[prng_below(r, sizeof edges / sizeof *edges)];
    return (int64_t)prng_u64(r) >> prng_below(r, 64);
}

static inline double gen_real(struct prng *r)
{
    static const double edges[] = {0.0, -0.0, 0.5, -0.5, 0.1, 1e-320, -5e-324, 1e308, 9223372036854775807.0, -9223372036854775808.0,
                                   9007199254740993.0, 1e39, -1e39, 1.7014118346046923e38, 0.25, 1e-40, 12345.678};
    if (prng_chance(r, 0.3))
        return edges[prng_below(r, sizeof edges / sizeof *edges)];
    if (prng_chance(r, 0.05))
        return prng_chance(r, 0.5) ? (double)INFINITY : -(double)INFINITY;
    if (prng_chance(r, 0.5))
        return (double)prng_between(r, -2000, 2000) / (double)(1 << prng_below(r, 12));
    uint64_t bits = prng_u64(r);
    double d;
    memcpy(&d, &bits, sizeof d);
    return isnan(d) ? 1.0 : d;
}

static inline struct value gen_decimal(struct prng *r, int scale)
{
    struct value v = {.type = VALUE_DECIMAL, .scale = (uint8_t)(scale >= 0 ? (uint64_t)scale : prng_below(r, VALUE_SCALE_MAX + 1))};
    __int128 limit = value_pow10(VALUE_SCALE_MAX) - 1;
    __int128 n = (__int128)((unsigned __int128)prng_u64(r) << 64 | prng_u64(r)) >> prng_below(r, 127);
    if (prng_chance(r, 0.3))
        n = prng_between(r, -1000, 1000);
    if (prng_chance(r, 0.1))
        n = (__int128)prng_between(r, -9, 9) * value_pow10((uint32_t)prng_below(r, 37));
    v.dec = dec_make(n > limit ? limit : n < -limit ? -limit : n);
    return v;
}

/* Valid UTF-8 with zeros in it; the bytes live in `room` of 128. */
static inline struct slice gen_text(struct prng *r, uint8_t *room)
{
    static const char *const pieces[] = {"a", "b", "\0", "\x01", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "ab", "aa"};
    static const size_t sizes[] = {1, 1, 1, 1, 2, 3, 4, 2, 2};
    size_t n = 0, count = (size_t)prng_below(r, prng_chance(r, 0.1) ? 31 : 5);
    for (size_t i = 0; i < count; i++) {
        size_t k = (size_t)prng_below(r, sizeof sizes / sizeof *sizes);
        memcpy(room + n, pieces[k], sizes[k]);
        n += sizes[k];
    }
    return slice_of(room, n);
}

static inline struct value gen_value_of(struct prng *r, uint8_t type, int scale, uint8_t *room)
{
    struct value v = {.type = type};
    switch (type) {
    case VALUE_REAL:
        v.r = gen_real(r);
        break;
    case VALUE_TEXT:
    case VALUE_JSON:
        v.s = gen_text(r, room);
        break;
    case VALUE_BLOB:
        v.s = slice_of(room, (size_t)prng_below(r, 6));
        for (size_t i = 0; i < v.s.n; i++)
            room[i] = (uint8_t)(prng_chance(r, 0.5) ? prng_below(r, 2) * 255 : prng_below(r, 256));
        break;
    case VALUE_DECIMAL:
        return gen_decimal(r, scale);
    case VALUE_UUID:
        prng_fill(r, v.uuid, sizeof v.uuid);
        break;
    case VALUE_NULL:
        break;
    default:
        v.i = gen_int(r);
    }
    return v;
}

static inline struct value gen_value(struct prng *r, uint8_t *room)
{
    return gen_value_of(r, (uint8_t)prng_between(r, VALUE_INTEGER, VALUE_JSON), -1, room);
}

#define GEN_ROOM_BYTES 128u

#endif
