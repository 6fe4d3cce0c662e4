/* test_frame.c - frames: limits before allocation, any cut of the stream. */
#include "unit/cunit.h"

#include "base/prng.h"
#include "net/frame.h"

static void test_any_cut_of_the_stream_gives_the_same_frames(void)
{
    struct prng prng;
    uint64_t seed = unit_seed(1);
    prng_seed(&prng, seed);
    struct buf stream = {0};
    for (uint32_t i = 0; i < 200; i++) {
        uint8_t body[300];
        for (uint32_t k = 0; k < sizeof body; k++)
            body[k] = (uint8_t)i;
        frame_put(&stream, body, i);
    }
    for (int round = 0; round < 50; round++) {
        struct frame_in in = {0};
        struct err err = ERR_INIT;
        quartet_status rc = QUARTET_OK;
        size_t at = 0;
        uint32_t seen = 0;
        while (at < stream.len) {
            size_t n = 1 + prng_below(&prng, 700);
            n = n < stream.len - at ? n : stream.len - at;
            CU_ASSERT_EQUAL(frame_feed(&in, stream.data + at, n, &err), QUARTET_OK);
            at += n;
            struct slice body;
            while (frame_next(&in, &body, &rc, &err)) {
                CU_ASSERT(body.n == seen && (seen == 0 || body.p[seen - 1] == (uint8_t)seen));
                seen++;
            }
            CU_ASSERT_EQUAL(rc, QUARTET_OK);
            CU_ASSERT(in.pending.cap < 8192); /* consumed bytes do not pile up */
        }
        CU_ASSERT_EQUAL(seen, 200);
        frame_in_deinit(&in);
    }
    buf_deinit(&stream);
}

static void test_limit_is_checked_before_memory_is_taken(void)
{
    struct err err = ERR_INIT;
    quartet_status rc = QUARTET_OK;
    struct slice body;
    static const uint32_t lengths[] = {NET_FRAME_BYTES_MAX + 1, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < 3; i++) {
        struct frame_in in = {0};
        uint8_t head[4];
        store_le32(head, lengths[i]);
        CU_ASSERT_EQUAL(frame_feed(&in, head, 4, &err), QUARTET_OK);
        CU_ASSERT(!frame_next(&in, &body, &rc, &err));
        CU_ASSERT_EQUAL(rc, QUARTET_LIMIT);
        CU_ASSERT(in.pending.cap < 1024);
        frame_in_deinit(&in);
    }
    struct frame_in in = {.limit_bytes = 10};
    struct buf b = {0};
    frame_put(&b, "0123456789", 10); /* at the limit, and one past it */
    frame_put(&b, "0123456789a", 11);
    CU_ASSERT_EQUAL(frame_feed(&in, b.data, b.len, &err), QUARTET_OK);
    CU_ASSERT(frame_next(&in, &body, &rc, &err) && body.n == 10);
    CU_ASSERT(!frame_next(&in, &body, &rc, &err));
    CU_ASSERT_EQUAL(rc, QUARTET_LIMIT);
    frame_in_deinit(&in);
    buf_deinit(&b);
}

const char *const unit_suite = "frame";
const struct unit_test unit_tests[] = {
    {"any cut of the stream gives the same frames",
     test_any_cut_of_the_stream_gives_the_same_frames},
    {"the limit is checked before memory is taken", test_limit_is_checked_before_memory_is_taken},
    {NULL, NULL},
};
