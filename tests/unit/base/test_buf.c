/* test_buf.c - growth, limits, sticky failure, and what bytes.c reads back. */
#include "unit/cunit.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static void test_buf_numbers_are_little_endian(void)
{
    static const uint8_t EXPECTED[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 8, 7, 6, 5, 4, 3, 2, 1, 'x', 'y', '-', '5'};
    struct buf b = {0};
    buf_u8(&b, 0x01);
    buf_u16(&b, 0x0203);
    buf_u32(&b, 0x04050607);
    buf_u64(&b, 0x0102030405060708);
    buf_str(&b, "xy");
    buf_printf(&b, "%d", -5);
    CU_ASSERT_EQUAL_FATAL(b.len, sizeof EXPECTED);
    CU_ASSERT_EQUAL(memcmp(b.data, EXPECTED, sizeof EXPECTED), 0);
    buf_deinit(&b);
}

static void test_buf_varints_read_back(void)
{
    struct buf b = {0};
    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t top = bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
        for (uint64_t v = top - (top > 0); v != top + 1 || v == 0; v++) {
            buf_clear(&b);
            buf_varint(&b, v);
            size_t expected = 1;
            for (uint64_t rest = v >> 7; rest != 0; rest >>= 7)
                expected++;
            CU_ASSERT_EQUAL(b.len, expected);
            struct bytes_in in = bytes_in(b.data, b.len);
            CU_ASSERT_EQUAL(bytes_varint(&in), v);
            CU_ASSERT_FALSE(in.bad);
            CU_ASSERT_EQUAL(in.left, 0);
            if (v == UINT64_MAX)
                break;
        }
    }
    buf_deinit(&b);
}

static void test_buf_grows_and_keeps_bytes(void)
{
    struct buf b = {0};
    for (uint32_t i = 0; i < 50000; i++)
        buf_u32(&b, i);
    CU_ASSERT_EQUAL_FATAL(b.len, 200000);
    size_t wrong = 0;
    for (uint32_t i = 0; i < 50000; i++)
        wrong += load_le32(b.data + (size_t)i * 4) != i;
    CU_ASSERT_EQUAL(wrong, 0);
    buf_deinit(&b);
}

static void test_buf_limit_is_exact_and_sticky(void)
{
    for (size_t limit = 1; limit <= 200; limit++) {
        struct err err = ERR_INIT;
        struct buf b = {.limit_bytes = limit};
        for (size_t i = 0; i < limit; i++)
            buf_u8(&b, (uint8_t)i);
        CU_ASSERT_EQUAL(buf_check(&b, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(b.len, limit);
        CU_ASSERT(b.cap <= limit);
        buf_u16(&b, 1);
        CU_ASSERT_EQUAL(buf_check(&b, &err), QUARTET_LIMIT);
        CU_ASSERT_EQUAL(b.len, limit);
        CU_ASSERT_PTR_NULL(buf_reserve(&b, 0)); /* sticky, though nothing more is asked for */
        buf_clear(&b);
        buf_put(&b, "abc", 0);
        buf_u8(&b, 9);
        CU_ASSERT_EQUAL(buf_check(&b, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(b.len, 1);
        buf_deinit(&b);
        CU_ASSERT_EQUAL(b.limit_bytes, limit);
    }
}

static void test_buf_printf_fills_up_to_the_limit(void)
{
    struct err err = ERR_INIT;
    struct buf b = {.limit_bytes = 10};
    buf_printf(&b, "%s", "0123456789"); /* all ten, no room for a NUL */
    CU_ASSERT_EQUAL(buf_check(&b, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(b.len, 10);
    CU_ASSERT_EQUAL(memcmp(b.data, "0123456789", 10), 0);
    buf_printf(&b, "%s", "");
    CU_ASSERT_EQUAL(buf_check(&b, &err), QUARTET_OK);
    buf_printf(&b, "%d", 1);
    CU_ASSERT_EQUAL(buf_check(&b, &err), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(b.len, 10);
    buf_deinit(&b);
    buf_printf(&b, "%s", "0123456789+");
    CU_ASSERT_EQUAL(buf_check(&b, &err), QUARTET_LIMIT);
    buf_deinit(&b);
}

static void test_buf_out_of_memory_keeps_what_is_there(void)
{
    struct err err = ERR_INIT;
    struct buf b = {0};
    buf_str(&b, "here");
    mem_fail_at(1, false);
    for (int i = 0; i < 100; i++)
        buf_u64(&b, 1);
    CU_ASSERT_EQUAL(mem_fail_hits(), 1);
    mem_fail_at(0, false);
    CU_ASSERT_EQUAL(buf_check(&b, &err), QUARTET_NOMEM);
    CU_ASSERT_EQUAL(memcmp(b.data, "here", 4), 0);
    size_t n = 1;
    CU_ASSERT_PTR_NULL(buf_take(&b, &n));
    CU_ASSERT_EQUAL(n, 0);
    buf_deinit(&b);
}

static void test_buf_sizes_do_not_wrap(void)
{
    struct err err = ERR_INIT;
    struct buf b = {0};
    buf_u8(&b, 1);
    CU_ASSERT_PTR_NULL(buf_reserve(&b, SIZE_MAX));
    CU_ASSERT_EQUAL(buf_check(&b, &err), QUARTET_NOMEM);
    CU_ASSERT_EQUAL(b.len, 1);
    buf_deinit(&b);
}

static void test_buf_take_moves_ownership(void)
{
    struct buf b = {0};
    size_t n = 0;
    buf_str(&b, "mine");
    uint8_t *data = buf_take(&b, &n);
    CU_ASSERT_EQUAL(n, 4);
    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    CU_ASSERT_EQUAL(memcmp(data, "mine", 4), 0);
    CU_ASSERT_PTR_NULL(b.data);
    CU_ASSERT_EQUAL(b.len, 0);
    mem_free(data);
    buf_str(&b, "again");
    CU_ASSERT_EQUAL(b.len, 5);
    buf_deinit(&b);
}

static void test_buf_recycle_keeps_little(void)
{
    struct buf b = {.limit_bytes = 5000};
    buf_put(&b, "0123456789", 10);
    const uint8_t *kept = b.data;
    buf_recycle(&b, 4096);
    CU_ASSERT_EQUAL(b.len, 0);
    CU_ASSERT_PTR_EQUAL(b.data, kept);
    for (int i = 0; i < 600; i++)
        buf_put(&b, "0123456789", 10);
    CU_ASSERT_TRUE(b.failed);
    buf_recycle(&b, 1024);
    CU_ASSERT_FALSE(b.failed);
    CU_ASSERT_PTR_NULL(b.data);
    CU_ASSERT_EQUAL(b.limit_bytes, 5000);
    buf_deinit(&b);
}

const char *const unit_suite = "buf";
const struct unit_test unit_tests[] = {
    {"numbers_are_little_endian", test_buf_numbers_are_little_endian},
    {"varints_read_back", test_buf_varints_read_back},
    {"grows_and_keeps_bytes", test_buf_grows_and_keeps_bytes},
    {"limit_is_exact_and_sticky", test_buf_limit_is_exact_and_sticky},
    {"printf_fills_up_to_the_limit", test_buf_printf_fills_up_to_the_limit},
    {"out_of_memory_keeps_what_is_there", test_buf_out_of_memory_keeps_what_is_there},
    {"sizes_do_not_wrap", test_buf_sizes_do_not_wrap},
    {"take_moves_ownership", test_buf_take_moves_ownership},
    {"recycle_keeps_little", test_buf_recycle_keeps_little},
    {NULL, NULL},
};
