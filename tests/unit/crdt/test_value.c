/* test_value.c - values: exact comparison, and one encoding for each. */
#include "unit/cunit.h"

#include "base/mem.h"
#include "crdt/value_quick.h"
#include "unit/crdt/gen.h"

#include <stdio.h>

const char *const unit_suite = "value";

static int sign(int c)
{
    return (c > 0) - (c < 0);
}

static struct value real(double r)
{
    return (struct value){.type = VALUE_REAL, .r = r};
}

static struct value decimal(int64_t n, uint8_t scale)
{
    return (struct value){.type = VALUE_DECIMAL, .scale = scale, .dec = dec_make(n)};
}

static void check_order(struct value small, struct value large)
{
    CU_ASSERT(value_cmp(&small, &large) < 0);
    CU_ASSERT(value_cmp(&large, &small) > 0);
}

static void check_equal(struct value a, struct value b)
{
    CU_ASSERT(value_cmp(&a, &b) == 0);
    CU_ASSERT(value_cmp(&b, &a) == 0);
}

static void test_value_cmp_is_exact_across_types(void)
{
    check_order(real(9007199254740992.0), value_int(9007199254740993));
    check_order(value_int(INT64_MAX), real(9223372036854775808.0));
    check_equal(value_int(INT64_MIN), real(-9223372036854775808.0));
    check_order(decimal(1, 1), real(0.1)); /* the double nearest to 0.1 is a little more */
    check_equal(decimal(5, 1), real(0.5));
    check_order(decimal(-5, 1), real(-0.25));
    check_equal(decimal(100, 2), value_int(1));
    check_order(decimal(99, 2), value_int(1));
    check_order(decimal(1, 38), real(1e-37));
    check_order(real(5e-324), decimal(1, 38));
    check_order(real(-1.0), real(5e-324));
    check_equal(real(0.0), real(-0.0));
    check_order(decimal(INT64_MAX, 0), real((double)INFINITY));
    check_order(real(-(double)INFINITY), value_int(INT64_MIN));
    check_order(real(1.5), decimal(16, 1));
    check_order(decimal(-16, 1), real(-1.5));
}

static void test_value_cmp_orders_classes(void)
{
    struct value null = VALUE_NULL_INIT, nan = real((double)NAN);
    struct value date = {.type = VALUE_DATE, .i = 1}, stamp = {.type = VALUE_TIMESTAMP, .i = VALUE_DAY_US};
    struct value time = {.type = VALUE_TIME, .i = -5}, text = value_text("", 0), json = {.type = VALUE_JSON, .s = slice_of("a", 1)};
    struct value uuid = {.type = VALUE_UUID}, blob = {.type = VALUE_BLOB};
    check_equal(null, nan);
    check_order(null, real(-(double)INFINITY));
    check_order(real((double)INFINITY), date);
    check_equal(date, stamp);
    check_order(stamp, time);
    check_order(time, text);
    check_order(text, json);
    check_equal(value_text("a", 1), json);
    check_order(json, uuid);
    check_order(uuid, blob);
    stamp.i++;
    check_order(date, stamp);
    date.i = INT64_MAX; /* its microseconds are past 64 bits */
    check_order(stamp, date);
}

/* A number as n / (10^6 * 2^10), for values small enough. */
static bool as_common(const struct value *v, __int128 *n)
{
    __int128 den = (__int128)1000000 << 10;
    if (v->type == VALUE_INTEGER)
        *n = v->i * den;
    else if (v->type == VALUE_REAL)
        *n = (__int128)(v->r * 1024.0) * 1000000;
    else
        *n = dec_get(v->dec) * (den / value_pow10(v->scale));
    return true;
}

static void test_value_cmp_agrees_with_fractions(void)
{
    struct prng r;
    uint64_t seed = unit_seed(3);
    int bad = 0;
    prng_seed(&r, seed);
    for (int i = 0; i < 100000; i++) {
        struct value v[2];
        __int128 n[2];
        for (int k = 0; k < 2; k++) {
            switch (prng_below(&r, 3)) {
            case 0:
                v[k] = value_int(prng_between(&r, -20, 20));
                break;
            case 1:
                v[k] = real((double)prng_between(&r, -20000, 20000) / 1024.0);
                break;
            default:
                v[k] = decimal(prng_between(&r, -2000000, 2000000), (uint8_t)prng_below(&r, 7));
            }
            as_common(&v[k], &n[k]);
        }
        if (sign(value_cmp(&v[0], &v[1])) != (n[0] > n[1]) - (n[0] < n[1]))
            bad++;
    }
    CU_ASSERT_EQUAL(bad, 0);
}

static void test_value_cmp_is_a_total_order(void)
{
    struct prng r;
    int bad = 0;
    prng_seed(&r, unit_seed(4));
    for (int i = 0; i < 200000; i++) {
        uint8_t room[3][GEN_ROOM_BYTES];
        struct value v[3];
        for (int k = 0; k < 3; k++)
            v[k] = prng_chance(&r, 0.6) ? gen_value_of(&r, (uint8_t[]){1, 2, 6}[prng_below(&r, 3)], -1, room[k])
                                        : gen_value(&r, room[k]);
        int ab = sign(value_cmp(&v[0], &v[1])), bc = sign(value_cmp(&v[1], &v[2])), ac = sign(value_cmp(&v[0], &v[2]));
        if (sign(value_cmp(&v[1], &v[0])) != -ab || value_cmp(&v[0], &v[0]) != 0)
            bad++;
        if (ab <= 0 && bc <= 0 && ac > 0)
            bad++;
        if (ab <= 0 && bc <= 0 && (ab < 0 || bc < 0) && ac == 0)
            bad++;
    }
    CU_ASSERT_EQUAL(bad, 0);
}

static bool round_trips(const struct value *v)
{
    struct buf b = {0};
    struct value back;
    value_encode(&b, v);
    struct bytes_in in = bytes_in(b.data, b.len), skip = in;
    bool ok = value_decode(&in, &back) && in.left == 0 && value_identical(v, &back) && value_skip(&skip) && skip.left == 0;
    for (size_t n = 0; ok && n < b.len; n++) {
        struct bytes_in cut = bytes_in(b.data, n);
        ok = !value_decode(&cut, &back) && cut.bad;
    }
    buf_deinit(&b);
    return ok;
}

static void test_value_encoding_round_trips_and_refuses_truncation(void)
{
    struct prng r;
    uint8_t room[GEN_ROOM_BYTES];
    int bad = 0;
    prng_seed(&r, unit_seed(5));
    for (int i = 0; i < 100000; i++) {
        struct value v = gen_value(&r, room);
        bad += !round_trips(&v);
    }
    CU_ASSERT_EQUAL(bad, 0);
    static const size_t sizes[] = {62, 63, 64, 65, 127, 128, 20000};
    static uint8_t big[20000];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint8_t type = VALUE_TEXT; type <= VALUE_BLOB; type++) {
            struct value v = {.type = type, .s = slice_of(big, sizes[i])};
            CU_ASSERT(round_trips(&v));
        }
}

static void test_value_encode_makes_nan_null(void)
{
    struct buf b = {0};
    struct value v = real((double)NAN), back;
    value_encode(&b, &v);
    struct bytes_in in = bytes_in(b.data, b.len);
    CU_ASSERT(value_decode(&in, &back));
    CU_ASSERT_EQUAL(back.type, VALUE_NULL);
    buf_deinit(&b);
    uint8_t nan_bytes[9] = {0x02, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f};
    in = bytes_in(nan_bytes, sizeof nan_bytes);
    CU_ASSERT(!value_decode(&in, &back));
}

/* Whatever decodes is the one encoding of what it decodes to. */
static void test_value_decode_takes_canonical_bytes_only(void)
{
    struct prng r;
    int bad = 0, taken = 0;
    prng_seed(&r, unit_seed(6));
    for (int i = 0; i < 300000; i++) {
        uint8_t bytes[24];
        struct value v;
        struct buf b = {0};
        prng_fill(&r, bytes, sizeof bytes);
        if (prng_chance(&r, 0.5))
            memset(bytes + 2, prng_chance(&r, 0.5) ? 0xff : 0, 6);
        struct bytes_in in = bytes_in(bytes, sizeof bytes);
        if (value_decode(&in, &v)) {
            value_encode(&b, &v);
            bad += !slice_eq(slice_of(b.data, b.len), slice_of(bytes, sizeof bytes - in.left));
            taken++;
        }
        buf_deinit(&b);
    }
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT(taken > 1000);
}

/* What is compiled into its callers gives the same bytes and the same answers, for bytes that are none, too. */
static void test_value_quick_is_no_other_encoding(void)
{
    struct prng r;
    int bad = 0;
    uint64_t seed = unit_seed(8);
    prng_seed(&r, seed);
    for (int i = 0; i < 100000; i++) {
        uint8_t room[GEN_ROOM_BYTES], raw[12];
        struct value v = gen_value(&r, room), slow = VALUE_NULL_INIT, quick = VALUE_NULL_INIT;
        struct buf a = {0}, b = {0}, row = {0};
        uint32_t column = 0;
        value_encode(&a, &v);
        value_encode_quick(&b, &v);
        value_encode_row(&row, &v, &column, 1);
        bad += a.len != b.len || memcmp(a.data, b.data, a.len) != 0 || a.len != row.len || memcmp(a.data, row.data, a.len) != 0;
        size_t n = prng_chance(&r, 0.5) ? a.len : 1 + (size_t)prng_below(&r, sizeof raw);
        if (n > sizeof raw)
            n = sizeof raw;
        memcpy(raw, a.data, n < a.len ? n : a.len);
        for (size_t k = n < a.len ? n : a.len; k < n; k++)
            raw[k] = (uint8_t)prng_below(&r, 256);
        if (prng_chance(&r, 0.3))
            raw[prng_below(&r, n)] = (uint8_t)prng_below(&r, 256);
        uint8_t *exact = mem_dup(raw, n); /* so that reading beyond it is found */
        CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
        struct bytes_in from = bytes_in(exact, n), also = from;
        bool good = value_decode(&from, &slow);
        bad += good != value_decode_quick(&also, &quick) || from.bad != also.bad;
        bad += good && (from.left != also.left || !value_identical(&slow, &quick) || slow.scale != quick.scale);
        mem_free(exact);
        buf_deinit(&a);
        buf_deinit(&b);
        buf_deinit(&row);
    }
    if (bad > 0)
        printf("seed %llu: %d differ\n", (unsigned long long)seed, bad);
    CU_ASSERT_EQUAL(bad, 0);
}

static void test_value_copy_owns_its_bytes(void)
{
    struct arena a = {0};
    char text[] = "hello";
    struct value v = value_text(text, 5), want = value_text("hello", 5), empty = value_text(text, 0);
    CU_ASSERT(value_copy(&a, &v));
    text[0] = 'x';
    CU_ASSERT(value_identical(&v, &want));
    CU_ASSERT(value_copy(&a, &empty));
    CU_ASSERT_EQUAL(empty.s.n, 0);
    arena_free_all(&a);
}

const struct unit_test unit_tests[] = {
    {"test_value_cmp_is_exact_across_types", test_value_cmp_is_exact_across_types},
    {"test_value_cmp_orders_classes", test_value_cmp_orders_classes},
    {"test_value_cmp_agrees_with_fractions", test_value_cmp_agrees_with_fractions},
    {"test_value_cmp_is_a_total_order", test_value_cmp_is_a_total_order},
    {"test_value_encoding_round_trips_and_refuses_truncation", test_value_encoding_round_trips_and_refuses_truncation},
    {"test_value_encode_makes_nan_null", test_value_encode_makes_nan_null},
    {"test_value_decode_takes_canonical_bytes_only", test_value_decode_takes_canonical_bytes_only},
    {"test_value_quick_is_no_other_encoding", test_value_quick_is_no_other_encoding},
    {"test_value_copy_owns_its_bytes", test_value_copy_owns_its_bytes},
    {NULL, NULL},
};
