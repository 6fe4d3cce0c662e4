/* test_idvec.c - vectors by chain identity. */
#include "unit/cunit.h"

#include "base/mem.h"
#include "base/prng.h"
#include "net/idvec.h"

static struct idvec_entry random_entry(struct prng *r)
{
    return (struct idvec_entry){
        .chain = {.slot = (uint8_t)prng_below(r, 4), .incarnation = 1 + prng_below(r, 8)},
        .number = 1 + prng_below(r, 20),
        .stamp = 1 + prng_below(r, 100),
        .head = prng_u64(r)};
}

static void test_merge_is_a_lattice_and_encoding_is_canonical(void)
{
    struct prng r;
    struct err err = ERR_INIT;
    uint64_t seed = unit_seed(1);
    prng_seed(&r, seed);
    for (int round = 0; round < 500; round++) {
        struct idvec a = {0}, b = {0}, ab = {0}, ba = {0}, back = {0};
        for (int i = 0; i < 12; i++) {
            CU_ASSERT_EQUAL(idvec_raise(&a, random_entry(&r), &err), QUARTET_OK);
            CU_ASSERT_EQUAL(idvec_raise(&b, random_entry(&r), &err), QUARTET_OK);
        }
        CU_ASSERT_EQUAL(idvec_copy(&ab, &a, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(idvec_merge(&ab, &b, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(idvec_copy(&ba, &b, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(idvec_merge(&ba, &a, &err), QUARTET_OK);
        CU_ASSERT(idvec_equal(&ab, &ba) && idvec_covers(&ab, &a) && idvec_covers(&ab, &b));
        for (uint32_t i = 1; i < ab.count; i++)
            CU_ASSERT(chain_id_cmp(ab.e[i - 1].chain, ab.e[i].chain) < 0);
        struct buf bytes = {0};
        idvec_encode(&bytes, &ab);
        struct bytes_in in = bytes_in(bytes.data, bytes.len);
        CU_ASSERT_EQUAL(idvec_decode(&in, &back, &err), QUARTET_OK);
        CU_ASSERT(idvec_equal(&back, &ab) && in.left == 0);
        for (size_t n = 0; n < bytes.len; n++) {
            uint8_t *copy = mem_dup(bytes.data, n);
            in = bytes_in(copy, n);
            CU_ASSERT_EQUAL(idvec_decode(&in, &back, &err), QUARTET_CORRUPT);
            mem_free(copy);
        }
        buf_deinit(&bytes);
        idvec_deinit(&a);
        idvec_deinit(&b);
        idvec_deinit(&ab);
        idvec_deinit(&ba);
        idvec_deinit(&back);
    }
}

/* The node's own vectors have the same bytes, so a host may hand them over as they are. */
static void test_encoding_is_that_of_vv(void)
{
    struct chain_table t = {0};
    struct vv v = {0}, back = {0};
    struct idvec id = {0};
    struct err err = ERR_INIT;
    for (uint64_t i = 0; i < 6; i++) {
        struct vv_entry e = {.number = 5 + i, .stamp = 100 + i, .head = i};
        CU_ASSERT_EQUAL(
            chain_intern(&t, (struct chain_id){.slot = (uint8_t)(i % 4), .incarnation = 77 - i * 3},
                         &e.chain, &err),
            QUARTET_OK);
        CU_ASSERT_EQUAL(vv_raise(&v, e, &err), QUARTET_OK);
    }
    CU_ASSERT_EQUAL(idvec_from_vv(&id, &v, &t, &err), QUARTET_OK);
    struct buf a = {0}, b = {0};
    vv_encode(&a, &v, &t);
    idvec_encode(&b, &id);
    CU_ASSERT(slice_eq(slice_of(a.data, a.len), slice_of(b.data, b.len)));
    CU_ASSERT_EQUAL(idvec_to_vv(&back, &id, &t, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(vv_compare(&v, &back), VV_EQUAL);
    buf_deinit(&a);
    buf_deinit(&b);
    vv_deinit(&v);
    vv_deinit(&back);
    idvec_deinit(&id);
    chain_table_deinit(&t);
}

static void test_malformed_vectors_are_refused(void)
{
    struct err err = ERR_INIT;
    struct idvec v = {0};
    struct idvec_entry e[2] = {{.chain = {.slot = 1, .incarnation = 5}, .number = 1},
                               {.chain = {.slot = 0, .incarnation = 5}, .number = 1}};
    struct idvec wrong[] = {
        {.e = e, .count = 2},
        /* out of order */ {.e = (struct idvec_entry[]){e[0], e[0]}, .count = 2}, /* twice */
        {.e = (struct idvec_entry[]){{.chain = {.slot = 4, .incarnation = 1}}}, .count = 1},
        {.e = (struct idvec_entry[]){{.chain = {.slot = 0, .incarnation = 0}}}, .count = 1}};
    for (size_t i = 0; i < 4; i++) {
        struct buf b = {0};
        idvec_encode(&b, &wrong[i]);
        struct bytes_in in = bytes_in(b.data, b.len);
        CU_ASSERT_EQUAL(idvec_decode(&in, &v, &err), QUARTET_CORRUPT);
        CU_ASSERT_EQUAL(v.count, 0);
        buf_deinit(&b);
    }
    idvec_deinit(&v);
}

const char *const unit_suite = "idvec";
const struct unit_test unit_tests[] = {
    {"merge is a lattice and encoding is canonical",
     test_merge_is_a_lattice_and_encoding_is_canonical},
    {"encoding is that of vv", test_encoding_is_that_of_vv},
    {"malformed vectors are refused", test_malformed_vectors_are_refused},
    {NULL, NULL},
};
