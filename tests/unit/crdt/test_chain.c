/* test_chain.c - chains, versions and vectors. */
#include "unit/cunit.h"

#include "base/mem.h"
#include "base/prng.h"
#include "crdt/chain.h"

#include <string.h>

const char *const unit_suite = "chain";

static chain_no intern(struct chain_table *t, uint8_t slot, uint64_t incarnation)
{
    struct err err = ERR_INIT;
    chain_no no = 0;
    CU_ASSERT_FATAL(chain_intern(t, (struct chain_id){.slot = slot, .incarnation = incarnation}, &no, &err) == QUARTET_OK);
    return no;
}

static void raise_to(struct vv *v, chain_no chain, uint64_t number, hlc_stamp stamp, uint64_t head)
{
    struct err err = ERR_INIT;
    CU_ASSERT_FATAL(vv_raise(v, (struct vv_entry){.chain = chain, .number = number, .stamp = stamp, .head = head}, &err) == QUARTET_OK);
}

static void test_chain_versions_are_ordered_by_stamp_then_incarnation(void)
{
    struct chain_table t = {0};
    chain_no late = intern(&t, 0, 900), early = intern(&t, 3, 5), twin = intern(&t, 1, 900);
    CU_ASSERT(intern(&t, 0, 900) == late);
    CU_ASSERT(ver_cmp(&t, (struct ver){8, early}, (struct ver){9, late}) < 0);
    CU_ASSERT(ver_cmp(&t, (struct ver){9, late}, (struct ver){9, early}) > 0);
    CU_ASSERT(ver_cmp(&t, (struct ver){9, late}, (struct ver){9, twin}) < 0);
    CU_ASSERT(ver_cmp(&t, (struct ver){9, late}, (struct ver){9, late}) == 0);
    CU_ASSERT(ver_cmp(&t, (struct ver){9, 77}, (struct ver){9, 78}) != 0); /* numbers that no table has do no harm */
    chain_table_deinit(&t);
}

static void test_chain_intern_refuses_what_cannot_be(void)
{
    struct chain_table t = {0};
    struct err err = ERR_INIT;
    chain_no no;
    CU_ASSERT(chain_intern(&t, (struct chain_id){.slot = SLOTS_MAX, .incarnation = 1}, &no, &err) == QUARTET_CORRUPT);
    CU_ASSERT(chain_intern(&t, (struct chain_id){.slot = 0, .incarnation = 0}, &no, &err) == QUARTET_CORRUPT);
    t.ids = mem_zalloc(CHAINS_MAX, sizeof *t.ids);
    CU_ASSERT_FATAL(t.ids != NULL);
    t.count = t.cap = CHAINS_MAX - 1;
    CU_ASSERT_EQUAL(intern(&t, 0, 1), CHAINS_MAX - 1);
    CU_ASSERT(chain_intern(&t, (struct chain_id){.slot = 0, .incarnation = 2}, &no, &err) == QUARTET_LIMIT);
    chain_table_deinit(&t);
}

static void test_chain_vectors_rise_and_never_fall(void)
{
    struct vv v = {0}, w = {0};
    struct err err = ERR_INIT;
    raise_to(&v, 2, 5, 500, 0);
    raise_to(&v, 0, 1, 100, 9);
    raise_to(&v, 2, 4, 400, 1);
    CU_ASSERT_EQUAL(vv_number(&v, 2), 5);
    CU_ASSERT_EQUAL(vv_number(&v, 1), 0);
    CU_ASSERT_EQUAL(v.e[0].chain, 0);
    raise_to(&v, 2, 5, 500, 7);
    CU_ASSERT_EQUAL(vv_find(&v, 2)->head, 7);
    raise_to(&v, 2, 5, 500, 8);
    CU_ASSERT_EQUAL(vv_find(&v, 2)->head, 7);
    CU_ASSERT(vv_saw(&v, (struct ver){500, 2}));
    CU_ASSERT(!vv_saw(&v, (struct ver){501, 2}));
    CU_ASSERT(!vv_saw(&v, (struct ver){1, 1}));
    CU_ASSERT(vv_copy(&w, &v, &err) == QUARTET_OK);
    CU_ASSERT(vv_compare(&v, &w) == VV_EQUAL);
    raise_to(&w, 1, 1, 1, 0);
    CU_ASSERT(vv_compare(&v, &w) == VV_BEFORE);
    CU_ASSERT(vv_compare(&w, &v) == VV_AFTER);
    raise_to(&v, 0, 2, 200, 0);
    CU_ASSERT(vv_compare(&v, &w) == VV_CONCURRENT);
    CU_ASSERT(vv_merge(&v, &w, &err) == QUARTET_OK);
    CU_ASSERT(vv_covers(&v, &w));
    CU_ASSERT_EQUAL(v.count, 3);
    vv_deinit(&v);
    vv_deinit(&w);
}

static void test_chain_equal_vectors_have_equal_bytes(void)
{
    struct chain_table t[2] = {{0}, {0}};
    struct vv v[2] = {{0}, {0}}, back;
    struct buf b[2] = {{0}, {0}};
    struct err err = ERR_INIT;
    for (int n = 0; n < 2; n++) {
        for (int i = 0; i < 5; i++) {
            int k = n == 0 ? i : 4 - i;
            raise_to(&v[n], intern(&t[n], (uint8_t)(k % 4), 1000u * (uint64_t)(k * 7 % 5) + 1), (uint64_t)k + 300, 44, 3);
        }
        vv_encode(&b[n], &v[n], &t[n]);
    }
    CU_ASSERT(slice_eq(slice_of(b[0].data, b[0].len), slice_of(b[1].data, b[1].len)));
    struct bytes_in in = bytes_in(b[0].data, b[0].len);
    CU_ASSERT(vv_decode(&in, &back, &t[1], &err) == QUARTET_OK);
    CU_ASSERT(in.left == 0 && vv_compare(&back, &v[1]) == VV_EQUAL);
    vv_deinit(&back);
    for (size_t n = 0; n < b[0].len; n++) {
        in = bytes_in(b[0].data, n);
        CU_ASSERT(vv_decode(&in, &back, &t[1], &err) == QUARTET_CORRUPT);
        CU_ASSERT(back.e == NULL);
    }
    b[0].data[0] = 0x7f; /* more entries than bytes */
    in = bytes_in(b[0].data, b[0].len);
    CU_ASSERT(vv_decode(&in, &back, &t[1], &err) == QUARTET_CORRUPT);
    for (int n = 0; n < 2; n++) {
        chain_table_deinit(&t[n]);
        vv_deinit(&v[n]);
        buf_deinit(&b[n]);
    }
}

static void test_chain_survives_each_failed_allocation(void)
{
    struct err err = ERR_INIT;
    bool done = false;
    for (uint64_t n = 1; !done && n < 100; n++) {
        struct chain_table t = {0};
        struct vv v = {0}, w = {0};
        chain_no no = 0;
        quartet_status rc = QUARTET_OK;
        mem_fail_at(n, false);
        for (uint64_t i = 0; i < 20 && rc == QUARTET_OK; i++) {
            rc = chain_intern(&t, (struct chain_id){.slot = 0, .incarnation = i + 1}, &no, &err);
            if (rc == QUARTET_OK)
                rc = vv_raise(&v, (struct vv_entry){.chain = no, .number = 1, .stamp = 1}, &err);
        }
        if (rc == QUARTET_OK)
            rc = vv_copy(&w, &v, &err);
        done = mem_fail_hits() == 0;
        mem_fail_at(0, false);
        CU_ASSERT(done ? rc == QUARTET_OK : rc == QUARTET_NOMEM);
        chain_table_deinit(&t);
        vv_deinit(&v);
        vv_deinit(&w);
    }
    CU_ASSERT(done);
}

const struct unit_test unit_tests[] = {
    {"test_chain_versions_are_ordered_by_stamp_then_incarnation", test_chain_versions_are_ordered_by_stamp_then_incarnation},
    {"test_chain_intern_refuses_what_cannot_be", test_chain_intern_refuses_what_cannot_be},
    {"test_chain_vectors_rise_and_never_fall", test_chain_vectors_rise_and_never_fall},
    {"test_chain_equal_vectors_have_equal_bytes", test_chain_equal_vectors_have_equal_bytes},
    {"test_chain_survives_each_failed_allocation", test_chain_survives_each_failed_allocation},
    {NULL, NULL},
};
