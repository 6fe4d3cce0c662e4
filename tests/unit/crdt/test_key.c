/* test_key.c - keys: memcmp of two keys is value_cmp of their values, for every kind, ascending and descending. */
#include "unit/cunit.h"

#include "crdt/key.h"
#include "unit/crdt/gen.h"

#include <stdio.h>

const char *const unit_suite = "key";

static const struct key_column KINDS[] = {
    {.kind = KEY_INT, .type = VALUE_INTEGER},     {.kind = KEY_INT, .type = VALUE_DATE},
    {.kind = KEY_INT, .type = VALUE_TIMESTAMP},   {.kind = KEY_REAL, .type = VALUE_REAL},
    {.kind = KEY_DECIMAL, .type = VALUE_DECIMAL, .scale = 3}, {.kind = KEY_BYTES, .type = VALUE_TEXT},
    {.kind = KEY_BYTES, .type = VALUE_BLOB},      {.kind = KEY_BYTES, .type = VALUE_JSON},
    {.kind = KEY_UUID, .type = VALUE_UUID},       {.kind = KEY_ANY, .type = VALUE_NULL},
};
#define KIND_COUNT (sizeof KINDS / sizeof *KINDS)

static int sign(int c)
{
    return (c > 0) - (c < 0);
}

static struct key_column random_column(struct prng *r)
{
    struct key_column col = KINDS[prng_below(r, KIND_COUNT)];
    col.desc = prng_chance(r, 0.5);
    return col;
}

static struct value random_for(struct prng *r, const struct key_column *col, uint8_t *room)
{
    if (prng_chance(r, 0.03))
        return VALUE_NULL_INIT;
    if (col->kind != KEY_ANY)
        return gen_value_of(r, col->type, col->scale, room);
    if (prng_chance(r, 0.7)) { /* numbers that meet */
        static const uint8_t numbers[] = {VALUE_INTEGER, VALUE_REAL, VALUE_DECIMAL};
        struct value v = gen_value_of(r, numbers[prng_below(r, 3)], -1, room);
        if (v.type == VALUE_DECIMAL && prng_chance(r, 0.3))
            v = (struct value){.type = VALUE_DECIMAL, .scale = 3, .dec = dec_make(prng_between(r, -2000, 2000))};
        return v;
    }
    return gen_value(r, room);
}

/* Types that KEY_ANY keeps apart though they compare equal. */
static bool kept_apart(const struct value *a, const struct value *b)
{
    return a->type != b->type && a->type != VALUE_INTEGER && a->type != VALUE_REAL && a->type != VALUE_DECIMAL;
}

static void test_key_order_is_the_values_order(void)
{
    struct prng r;
    int bad = 0, equal = 0;
    uint64_t seed = unit_seed(11);
    struct buf ka = {0}, kb = {0};
    prng_seed(&r, seed);
    for (int i = 0; i < 300000 && bad == 0; i++) {
        uint8_t room[2][GEN_ROOM_BYTES];
        struct key_column col = random_column(&r);
        struct value a = random_for(&r, &col, room[0]), b = random_for(&r, &col, room[1]);
        buf_clear(&ka);
        buf_clear(&kb);
        key_put(&ka, &col, &a);
        key_put(&kb, &col, &b);
        int want = sign(value_cmp(&a, &b)), got = sign(slice_cmp(slice_of(ka.data, ka.len), slice_of(kb.data, kb.len)));
        if (want == 0 && kept_apart(&a, &b))
            continue;
        equal += want == 0;
        if (got != (col.desc ? -want : want)) {
            printf("seed %llu round %d kind %d types %d %d want %d got %d\n", (unsigned long long)seed, i, col.kind, a.type, b.type, want, got);
            bad++;
        }
    }
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT(equal > 1000);
    buf_deinit(&ka);
    buf_deinit(&kb);
}

static bool reads_back(const struct buf *key, const struct key_column *col, const struct value *v, struct arena *a)
{
    struct bytes_in in = bytes_in(key->data, key->len), skip = in;
    struct value back;
    if (!key_get(&in, col, &back, a) || in.left != 0 || !key_skip(&skip, col) || skip.left != 0)
        return false;
    if (value_cmp(v, &back) != 0 || !key_check(slice_of(key->data, key->len), col, 1, a))
        return false;
    bool normalised = (v->type == VALUE_REAL && v->r == 0) || (col->kind == KEY_ANY && (v->type == VALUE_REAL || v->type == VALUE_DECIMAL));
    return normalised || value_identical(v, &back);
}

static void test_key_reads_back_and_refuses_truncation(void)
{
    struct prng r;
    struct arena a = {0};
    struct buf key = {0};
    int bad = 0;
    prng_seed(&r, unit_seed(12));
    for (int i = 0; i < 100000; i++) {
        uint8_t room[GEN_ROOM_BYTES];
        struct key_column col = random_column(&r);
        struct value v = random_for(&r, &col, room), back;
        struct arena_mark mark = arena_mark(&a);
        buf_clear(&key);
        key_put(&key, &col, &v);
        bad += !reads_back(&key, &col, &v, &a);
        for (size_t n = 0; n < key.len; n++) {
            struct bytes_in cut = bytes_in(key.data, n), skip = cut;
            bad += key_get(&cut, &col, &back, &a) || !cut.bad || key_skip(&skip, &col);
        }
        arena_rewind(&a, mark);
    }
    CU_ASSERT_EQUAL(bad, 0);
    buf_deinit(&key);
    arena_free_all(&a);
}

/* A key that key_check takes is the key of what it decodes to; random damage does nothing else. */
static void test_key_check_takes_exact_keys_only(void)
{
    struct prng r;
    struct arena a = {0};
    struct buf key = {0}, again = {0};
    int bad = 0, taken = 0;
    prng_seed(&r, unit_seed(13));
    for (int i = 0; i < 200000; i++) {
        uint8_t room[GEN_ROOM_BYTES];
        struct key_column col = random_column(&r);
        struct value v = random_for(&r, &col, room);
        struct arena_mark mark = arena_mark(&a);
        buf_clear(&key);
        key_put(&key, &col, &v);
        key.data[prng_below(&r, key.len)] = (uint8_t)prng_u64(&r);
        if (prng_chance(&r, 0.2))
            buf_u8(&key, (uint8_t)prng_u64(&r));
        struct bytes_in in = bytes_in(key.data, key.len);
        bool decodes = key_get(&in, &col, &v, &a);
        if (key_check(slice_of(key.data, key.len), &col, 1, &a)) {
            taken++;
            buf_clear(&again);
            key_put(&again, &col, &v);
            bad += !decodes || in.left != 0 || !slice_eq(slice_of(key.data, key.len), slice_of(again.data, again.len));
        }
        arena_rewind(&a, mark);
    }
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT(taken > 1000);
    buf_deinit(&key);
    buf_deinit(&again);
    arena_free_all(&a);
}

static void test_key_any_unites_equal_numbers(void)
{
    struct key_column any = {.kind = KEY_ANY, .type = VALUE_NULL};
    struct buf keys[6] = {{0}};
    struct arena a = {0};
    struct value half = {.type = VALUE_REAL, .r = 0.5}, one = {.type = VALUE_REAL, .r = 1};
    struct value dec_half = {.type = VALUE_DECIMAL, .scale = 2, .dec = dec_make(50)};
    struct value dec_one = {.type = VALUE_DECIMAL, .scale = 3, .dec = dec_make(1000)};
    struct value tenth = {.type = VALUE_DECIMAL, .scale = 2, .dec = dec_make(10)}, integer = value_int(1), back;
    const struct value *v[6] = {&half, &dec_half, &one, &dec_one, &integer, &tenth};
    for (int i = 0; i < 6; i++)
        key_put(&keys[i], &any, v[i]);
    CU_ASSERT(slice_eq(slice_of(keys[0].data, keys[0].len), slice_of(keys[1].data, keys[1].len)));
    CU_ASSERT(slice_eq(slice_of(keys[2].data, keys[2].len), slice_of(keys[3].data, keys[3].len)));
    CU_ASSERT(slice_eq(slice_of(keys[2].data, keys[2].len), slice_of(keys[4].data, keys[4].len)));
    struct bytes_in in = bytes_in(keys[3].data, keys[3].len);
    CU_ASSERT(key_get(&in, &any, &back, &a) && value_identical(&back, &integer));
    in = bytes_in(keys[5].data, keys[5].len);
    tenth = (struct value){.type = VALUE_DECIMAL, .scale = 1, .dec = dec_make(1)};
    CU_ASSERT(key_get(&in, &any, &back, &a) && value_identical(&back, &tenth));
    for (int i = 0; i < 6; i++)
        buf_deinit(&keys[i]);
    arena_free_all(&a);
}

static void test_key_prefixes_bound_composite_keys(void)
{
    struct key_column text = {.kind = KEY_BYTES, .type = VALUE_TEXT}, number = {.kind = KEY_INT, .type = VALUE_INTEGER};
    struct buf prefix = {0}, end = {0}, key = {0};
    struct value a = value_text("a", 1), ab = value_text("a\0", 2), n = value_int(INT64_MAX);
    key_put(&prefix, &text, &a);
    buf_put(&end, prefix.data, prefix.len);
    CU_ASSERT(key_prefix_end(&end));
    key_put(&key, &text, &a);
    key_put(&key, &number, &n);
    struct slice p = slice_of(prefix.data, prefix.len), e = slice_of(end.data, end.len);
    CU_ASSERT(slice_cmp(p, slice_of(key.data, key.len)) < 0);
    CU_ASSERT(slice_cmp(e, slice_of(key.data, key.len)) > 0);
    buf_clear(&key);
    key_put(&key, &text, &ab);
    CU_ASSERT(slice_cmp(e, slice_of(key.data, key.len)) <= 0);
    buf_clear(&end);
    buf_put(&end, "\xff\xff", 2);
    CU_ASSERT(!key_prefix_end(&end));
    buf_deinit(&prefix);
    buf_deinit(&end);
    buf_deinit(&key);
}

const struct unit_test unit_tests[] = {
    {"test_key_order_is_the_values_order", test_key_order_is_the_values_order},
    {"test_key_reads_back_and_refuses_truncation", test_key_reads_back_and_refuses_truncation},
    {"test_key_check_takes_exact_keys_only", test_key_check_takes_exact_keys_only},
    {"test_key_any_unites_equal_numbers", test_key_any_unites_equal_numbers},
    {"test_key_prefixes_bound_composite_keys", test_key_prefixes_bound_composite_keys},
    {NULL, NULL},
};
