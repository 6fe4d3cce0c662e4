/* test_bytes.c - the bounded reader: truncation at each length, counts that lie, UTF-8, byte order. */
#include "unit/cunit.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "base/prng.h"

#include <stdio.h>
#include <string.h>

struct sample {
    uint8_t a;
    uint16_t b;
    uint32_t c;
    uint64_t d;
    uint64_t e;
    struct slice f;
    uint32_t g;
};

static void sample_write(struct buf *b)
{
    buf_u8(b, 0xAB);
    buf_u16(b, 0xBCDE);
    buf_u32(b, 0xDEADBEEF);
    buf_u64(b, 0x0123456789ABCDEF);
    buf_varint(b, UINT64_MAX);
    buf_varint(b, 5);
    buf_str(b, "slice");
    buf_varint(b, 2); /* two elements of three bytes */
    buf_str(b, "abcdef");
}

static struct sample sample_read(struct bytes_in *in)
{
    struct sample s;
    s.a = bytes_u8(in);
    s.b = bytes_u16(in);
    s.c = bytes_u32(in);
    s.d = bytes_u64(in);
    s.e = bytes_varint(in);
    s.f = bytes_slice(in);
    s.g = bytes_count(in, 3);
    (void)bytes_take(in, (size_t)s.g * 3); /* the test looks at in->bad */
    return s;
}

static void test_bytes_reads_what_was_written(void)
{
    struct buf b = {0};
    sample_write(&b);
    struct bytes_in in = bytes_in(b.data, b.len);
    struct sample s = sample_read(&in);
    CU_ASSERT_FALSE(in.bad);
    CU_ASSERT_EQUAL(in.left, 0);
    CU_ASSERT_EQUAL(s.a, 0xAB);
    CU_ASSERT_EQUAL(s.b, 0xBCDE);
    CU_ASSERT_EQUAL(s.c, 0xDEADBEEF);
    CU_ASSERT_EQUAL(s.d, 0x0123456789ABCDEF);
    CU_ASSERT_EQUAL(s.e, UINT64_MAX);
    CU_ASSERT_TRUE(slice_eq(s.f, slice_of("slice", 5)));
    CU_ASSERT_EQUAL(s.g, 2);
    buf_deinit(&b);
}

/* Each shorter length is bad. The copy is exactly as long, so that AddressSanitizer sees a read past the end. */
static void test_bytes_truncation_at_each_length_is_bad(void)
{
    struct buf b = {0};
    sample_write(&b);
    for (size_t n = 0; n < b.len; n++) {
        uint8_t *copy = mem_dup(b.data, n);
        CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
        struct bytes_in in = bytes_in(copy, n);
        struct sample s = sample_read(&in);
        CU_ASSERT_TRUE(in.bad);
        CU_ASSERT(s.f.n <= n);
        mem_free(copy);
    }
    buf_deinit(&b);
}

static void test_bytes_failure_is_sticky(void)
{
    uint8_t raw[4] = {1, 2, 3, 4};
    struct bytes_in in = bytes_in(raw, sizeof raw);
    CU_ASSERT_EQUAL(bytes_u64(&in), 0);
    CU_ASSERT_TRUE(in.bad);
    CU_ASSERT_EQUAL(bytes_u8(&in), 0); /* though four bytes are there */
    CU_ASSERT_PTR_NULL(bytes_take(&in, 0));
    CU_ASSERT_EQUAL(in.left, 4);
    struct bytes_in empty = bytes_in(NULL, 0);
    CU_ASSERT_PTR_NOT_NULL(bytes_take(&empty, 0));
    CU_ASSERT_FALSE(empty.bad);
    CU_ASSERT_PTR_NULL(bytes_take(&empty, SIZE_MAX));
    CU_ASSERT_TRUE(empty.bad);
}

static void test_bytes_varint_refuses_more_than_64_bits(void)
{
    uint8_t raw[11];
    memset(raw, 0x80, sizeof raw);
    raw[9] = 0x01;
    struct bytes_in in = bytes_in(raw, 10);
    CU_ASSERT_EQUAL(bytes_varint(&in), UINT64_C(1) << 63);
    CU_ASSERT_FALSE(in.bad);
    for (unsigned tenth = 2; tenth < 256; tenth++) {
        raw[9] = (uint8_t)tenth;
        in = bytes_in(raw, 11);
        CU_ASSERT_EQUAL(bytes_varint(&in), 0);
        CU_ASSERT_TRUE(in.bad);
    }
}

static void test_bytes_lengths_that_lie_are_bad(void)
{
    static const uint64_t LENGTHS[] = {4, 5, 255, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof LENGTHS / sizeof LENGTHS[0]; i++) {
        struct buf b = {0};
        buf_varint(&b, LENGTHS[i]);
        buf_str(&b, "abc");
        struct bytes_in in = bytes_in(b.data, b.len);
        CU_ASSERT_EQUAL(bytes_slice(&in).n, 0);
        CU_ASSERT_TRUE(in.bad);
        in = bytes_in(b.data, b.len);
        CU_ASSERT_EQUAL(bytes_count(&in, 1), 0);
        CU_ASSERT_TRUE(in.bad);
        buf_deinit(&b);
    }
    uint8_t three[] = {3, 'a', 'b', 'c'};
    struct bytes_in in = bytes_in(three, sizeof three);
    CU_ASSERT_EQUAL(bytes_count(&in, 1), 3); /* just fits */
    in = bytes_in(three, sizeof three);
    CU_ASSERT_EQUAL(bytes_count(&in, 2), 0); /* three of two bytes do not */
    CU_ASSERT_TRUE(in.bad);
}

static void test_bytes_slices_compare_as_bytes(void)
{
    CU_ASSERT(slice_cmp(slice_of("a", 1), slice_of("b", 1)) < 0);
    CU_ASSERT(slice_cmp(slice_of("\xFF", 1), slice_of("a", 1)) > 0);
    CU_ASSERT(slice_cmp(slice_of("ab", 2), slice_of("a", 1)) > 0);
    CU_ASSERT(slice_cmp(slice_of(NULL, 0), slice_of("", 1)) < 0);
    CU_ASSERT_EQUAL(slice_cmp(slice_of(NULL, 0), slice_of("x", 0)), 0);
    CU_ASSERT_FALSE(slice_eq(slice_of("a", 1), slice_of("ab", 2)));
    CU_ASSERT_TRUE(slice_eq(slice_of(NULL, 0), slice_of("x", 0)));
}

/* Another way to decide: decode to a code point, by arithmetic, and look whether the shortest form is as long. */
static bool naive_utf8(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t ones = 0;
        while (ones < 8 && (p[i] & 0x80u >> ones) != 0)
            ones++;
        size_t length = ones == 0 ? 1 : ones;
        if (ones == 1 || ones > 4 || length > n - i)
            return false;
        uint32_t code = ones == 0 ? p[i] : p[i] & 0x7Fu >> ones;
        for (size_t k = 1; k < length; k++) {
            if ((p[i + k] & 0xC0u) != 0x80u)
                return false;
            code = code << 6 | (p[i + k] & 0x3Fu);
        }
        size_t shortest = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        if (shortest != length || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            return false;
        i += length;
    }
    return true;
}

static void test_bytes_utf8_agrees_with_arithmetic(void)
{
    size_t wrong = 0;
    for (uint32_t v = 0; v < 0x10000; v++) { /* all pairs of first bytes, with two kinds of continuation */
        uint8_t p[4] = {(uint8_t)(v >> 8), (uint8_t)v, 0x80, 0xBF};
        for (size_t n = 1; n <= 4; n++)
            wrong += utf8_valid(p, n) != naive_utf8(p, n);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    struct prng r;
    uint64_t seed = unit_seed(3);
    prng_seed(&r, seed);
    static const uint8_t BYTES[] = {'a', 'b', 0x80, 0xBF, 0xC2, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xA0, 0x9F, 0x90, 0x8F};
    size_t valid = 0;
    for (unsigned round = 0; round < 300000; round++) {
        uint8_t p[24];
        size_t n = prng_below(&r, sizeof p + 1);
        memset(p, 'a', sizeof p);
        for (size_t k = prng_below(&r, 5); k > 0 && n > 0; k--)
            p[prng_below(&r, n)] = BYTES[prng_below(&r, sizeof BYTES)];
        wrong += utf8_valid(p, n) != naive_utf8(p, n);
        valid += utf8_valid(p, n);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(valid > 10000 && valid < 290000);
    if (wrong != 0)
        printf("seed %llu\n", (unsigned long long)seed);
}

static void test_bytes_load_and_store_at_any_alignment(void)
{
    uint8_t raw[24] = {0};
    for (size_t at = 0; at < 8; at++) {
        store_le64(raw + at, 0x0102030405060708);
        CU_ASSERT_EQUAL(raw[at], 8);
        CU_ASSERT_EQUAL(load_le64(raw + at), 0x0102030405060708);
        CU_ASSERT_EQUAL(load_be64(raw + at), 0x0807060504030201);
        store_be64(raw + at, 0x0102030405060708);
        CU_ASSERT_EQUAL(raw[at], 1);
        CU_ASSERT_EQUAL(load_be64(raw + at), 0x0102030405060708);
        store_le32(raw + at, 0xA1B2C3D4);
        CU_ASSERT_EQUAL(load_le32(raw + at), 0xA1B2C3D4);
        store_le16(raw + at, 0xFEDC);
        CU_ASSERT_EQUAL(load_le16(raw + at), 0xFEDC);
        CU_ASSERT_EQUAL(raw[at + 1], 0xFE);
    }
}

/* Every length, with nothing to spare on either side. */
static void test_bytes_copy_takes_each_length(void)
{
    for (size_t n = 0; n <= 80; n++) {
        uint8_t *from = mem_alloc(n > 0 ? n : 1), *to = mem_alloc(n + 1);
        CU_ASSERT_FATAL(from != NULL && to != NULL);
        for (size_t i = 0; i < n; i++)
            from[i] = (uint8_t)(i * 7 + n);
        memset(to, 0xee, n + 1);
        bytes_copy(to, from, n);
        CU_ASSERT(memcmp(to, from, n) == 0 && to[n] == 0xee);
        mem_free(from);
        mem_free(to);
    }
}

const char *const unit_suite = "bytes";
const struct unit_test unit_tests[] = {
    {"reads_what_was_written", test_bytes_reads_what_was_written},
    {"truncation_at_each_length_is_bad", test_bytes_truncation_at_each_length_is_bad},
    {"failure_is_sticky", test_bytes_failure_is_sticky},
    {"varint_refuses_more_than_64_bits", test_bytes_varint_refuses_more_than_64_bits},
    {"lengths_that_lie_are_bad", test_bytes_lengths_that_lie_are_bad},
    {"slices_compare_as_bytes", test_bytes_slices_compare_as_bytes},
    {"utf8_agrees_with_arithmetic", test_bytes_utf8_agrees_with_arithmetic},
    {"copy_takes_each_length", test_bytes_copy_takes_each_length},
    {"load_and_store_at_any_alignment", test_bytes_load_and_store_at_any_alignment},
    {NULL, NULL},
};
