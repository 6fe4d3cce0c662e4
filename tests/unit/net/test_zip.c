/* test_zip.c - compressed messages: what is packed is opened, and bombs and damage are refused before memory is taken. */
#include "unit/cunit.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/mem.h"
#include "base/prng.h"
#include "net/wire.h"
#include "net/zip.h"

#define LIMIT (1u << 20)

static void test_round_trips(void)
{
    struct zip *z = zip_new();
    struct prng r;
    struct err err = ERR_INIT;
    uint8_t *message = mem_alloc(LIMIT);
    prng_seed(&r, unit_seed(1));
    for (int i = 0; i < 200; i++) {
        size_t n = 1 + (size_t)prng_below(&r, i % 10 == 0 ? LIMIT : 5000);
        uint32_t letters = i % 3 == 0 ? 256 : 4; /* noise does not get smaller */
        for (size_t k = 0; k < n; k++)
            message[k] = (uint8_t)prng_below(&r, letters);
        struct buf out = {0};
        struct slice opened;
        quartet_status rc = QUARTET_INTERNAL;
        buf_str(&out, "before");
        bool packed = zip_pack(z, slice_of(message, n), &out);
        CU_ASSERT_EQUAL(packed, n >= ZIP_BYTES_MIN && letters == 4);
        if (!packed) {
            CU_ASSERT_EQUAL(out.len, 6);
        } else {
            CU_ASSERT(out.len < n);
            CU_ASSERT(zip_open(z, slice_of(out.data + 6, out.len - 6), LIMIT, &opened, &rc, &err));
            CU_ASSERT_EQUAL(rc, QUARTET_OK);
            CU_ASSERT(slice_eq(opened, slice_of(message, n)));
            CU_ASSERT(zip_open(z, slice_of(out.data + 6, out.len - 6), n - 1, &opened, &rc, &err)); /* a byte past the limit */
            CU_ASSERT_EQUAL(rc, QUARTET_CORRUPT);
        }
        buf_deinit(&out);
    }
    mem_free(message);
    zip_free(z);
}

/* [33, told, frame] of n zero bytes; 64 MiB of them are a frame of a few thousand. */
static void bomb(struct buf *out, uint64_t told, size_t n, bool sized)
{
    uint8_t *zeros = mem_zalloc(1, n);
    size_t room = ZSTD_compressBound(n);
    uint8_t *frame = mem_alloc(room);
    ZSTD_CCtx *c = ZSTD_createCCtx();
    (void)ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, sized);
    size_t got = ZSTD_compress2(c, frame, room, zeros, n);
    CU_ASSERT_FATAL(!ZSTD_isError(got));
    buf_clear(out);
    wire_put_array(out, 3);
    wire_put_u64(out, ZIP_KIND);
    wire_put_u64(out, told);
    wire_put_bin(out, slice_of(frame, got));
    (void)ZSTD_freeCCtx(c);
    mem_free(zeros);
    mem_free(frame);
}

static quartet_status open_it(struct zip *z, struct slice bytes)
{
    struct err err = ERR_INIT;
    struct slice opened;
    quartet_status rc = QUARTET_INTERNAL;
    CU_ASSERT_FATAL(zip_open(z, bytes, LIMIT, &opened, &rc, &err));
    CU_ASSERT(rc == QUARTET_OK || opened.n == 0);
    return rc;
}

static void test_bombs_are_refused(void)
{
    static const uint64_t told[] = {64u << 20, LIMIT, ZIP_BYTES_MIN, 0, UINT64_MAX, 1ull << 32};
    struct zip *z = zip_new();
    struct buf out = {0};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        bomb(&out, told[i], 64u << 20, true);
        CU_ASSERT(out.len < 10000);
        CU_ASSERT_EQUAL(open_it(z, slice_of(out.data, out.len)), QUARTET_CORRUPT);
    }
    bomb(&out, LIMIT, LIMIT, false); /* a frame that does not tell its length */
    CU_ASSERT_EQUAL(open_it(z, slice_of(out.data, out.len)), QUARTET_CORRUPT);
    bomb(&out, 5000, 6000, true);
    CU_ASSERT_EQUAL(open_it(z, slice_of(out.data, out.len)), QUARTET_CORRUPT);
    bomb(&out, LIMIT, LIMIT, true);
    CU_ASSERT_EQUAL(open_it(z, slice_of(out.data, out.len)), QUARTET_OK);
    /* two frames in one: the second would be read by a decoder that goes on */
    struct buf two = {0};
    struct bytes_in in = bytes_in(out.data, out.len);
    wire_array_of(&in, 3);
    (void)wire_u64(&in);
    (void)wire_u64(&in);
    struct slice frame = wire_bin(&in, LIMIT);
    wire_put_array(&two, 3);
    wire_put_u64(&two, ZIP_KIND);
    wire_put_u64(&two, LIMIT);
    size_t begun = wire_bin_begin(&two);
    buf_put(&two, frame.p, frame.n);
    buf_put(&two, frame.p, frame.n);
    wire_bin_end(&two, begun);
    CU_ASSERT_EQUAL(open_it(z, slice_of(two.data, two.len)), QUARTET_CORRUPT);
    buf_deinit(&two);
    buf_deinit(&out);
    zip_free(z);
}

static void test_damage_is_refused_or_harmless(void)
{
    struct zip *z = zip_new();
    struct prng r;
    struct buf out = {0};
    struct err err = ERR_INIT;
    struct slice opened;
    quartet_status rc;
    char text[2000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 7);
    prng_seed(&r, unit_seed(2));
    CU_ASSERT_FATAL(zip_pack(z, slice_of(text, sizeof text), &out));
    for (size_t n = 0; n < out.len; n++) {
        uint8_t *copy = mem_dup(out.data, n);
        if (zip_open(z, slice_of(copy, n), LIMIT, &opened, &rc, &err))
            CU_ASSERT_EQUAL(rc, QUARTET_CORRUPT);
        mem_free(copy);
    }
    for (int i = 0; i < 20000; i++) {
        uint8_t *copy = mem_dup(out.data, out.len);
        for (uint64_t k = 1 + prng_below(&r, 4); k > 0; k--)
            copy[prng_below(&r, out.len)] = (uint8_t)prng_u64(&r);
        if (zip_open(z, slice_of(copy, out.len), LIMIT, &opened, &rc, &err) && rc == QUARTET_OK)
            CU_ASSERT(opened.n <= LIMIT);
        mem_free(copy);
    }
    uint8_t other[] = {0x92, 8, 1}; /* a ping */
    CU_ASSERT(!zip_open(z, slice_of(other, sizeof other), LIMIT, &opened, &rc, &err));
    buf_deinit(&out);
    zip_free(z);
}

const char *const unit_suite = "zip";
const struct unit_test unit_tests[] = {
    {"round trips", test_round_trips},
    {"bombs are refused", test_bombs_are_refused},
    {"damage is refused, or harmless", test_damage_is_refused_or_harmless},
    {NULL, NULL},
};
