/* test_agg.c - aggregates: every kind against a plain computation, batch and row alike, groups, DISTINCT, merging, overflow, memory. */
#include "base/mem.h"
#include "base/prng.h"
#include "engine/agg.h"
#include "unit/cunit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static agg *make(struct arena *a, const char *name, uint32_t args, bool distinct)
{
    struct err err = ERR_INIT;
    struct agg_spec spec = {.arg_count = args, .distinct = distinct, .sql_offset = 7};
    agg *g = NULL;
    CU_ASSERT_EQUAL_FATAL(func_find(name, args, &spec.func, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(agg_new(a, &spec, &g, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(agg_reserve(g, 1, &err), QUARTET_OK);
    return g;
}

static struct value real(double r)
{
    return (struct value){.type = VALUE_REAL, .r = r};
}

static struct value decimal(int64_t v, uint8_t scale)
{
    return (struct value){.type = VALUE_DECIMAL, .scale = scale, .dec = dec_make(v)};
}

/* The result over a list of values, as text. */
static const char *over(const char *name, bool distinct, const struct value *values, uint32_t n, struct value second)
{
    static char text[256];
    struct arena a = {.limit_bytes = 0};
    struct err err = ERR_INIT;
    struct buf b = {.limit_bytes = 0};
    struct value out;
    agg *g = make(&a, name, second.type == VALUE_NULL ? 1 : 2, distinct);
    quartet_status rc = QUARTET_OK;
    for (uint32_t k = 0; k < n && rc == QUARTET_OK; k++) {
        struct value args[2] = {values[k], second};
        rc = agg_update_row(g, 0, args, &err);
    }
    if (rc == QUARTET_OK)
        rc = agg_final(g, 0, &a, &out, &err);
    if (rc != QUARTET_OK) {
        (void)snprintf(text, sizeof text, "%s", status_name(rc));
        CU_ASSERT_EQUAL(err.code, rc);
    } else {
        value_to_text(&out, &b);
        (void)snprintf(text, sizeof text, "%.*s", (int)b.len, out.type == VALUE_NULL ? "" : (const char *)b.data);
        if (out.type == VALUE_NULL)
            (void)snprintf(text, sizeof text, "NULL");
    }
    buf_deinit(&b);
    arena_free_all(&a);
    return text;
}

static void test_each_kind(void)
{
    struct value null = VALUE_NULL_INIT, comma = value_text("; ", 2);
    struct value ints[] = {value_int(3), null, value_int(1), value_int(3), value_int(-2)};
    struct value mixed[] = {value_int(1), real(2.5), value_text("x", 1), value_text("4", 1)};
    struct value money[] = {decimal(10, 2), decimal(20, 2), value_int(1), decimal(5, 1)};
    struct value words[] = {value_text("b", 1), value_text("B", 1), value_text("a", 1), null};
    CU_ASSERT_STRING_EQUAL(over("count", false, ints, 5, null), "4");
    CU_ASSERT_STRING_EQUAL(over("count", true, ints, 5, null), "3");
    CU_ASSERT_STRING_EQUAL(over("sum", false, ints, 5, null), "5");
    CU_ASSERT_STRING_EQUAL(over("sum", true, ints, 5, null), "2");
    CU_ASSERT_STRING_EQUAL(over("sum", false, ints, 0, null), "NULL");
    CU_ASSERT_STRING_EQUAL(over("total", false, ints, 0, null), "0.0");
    CU_ASSERT_STRING_EQUAL(over("avg", false, ints, 5, null), "1.25");
    CU_ASSERT_STRING_EQUAL(over("sum", false, mixed, 4, null), "7.5");
    CU_ASSERT_STRING_EQUAL(over("sum", false, money, 4, null), "1.80");
    CU_ASSERT_STRING_EQUAL(over("avg", false, money, 4, null), "0.45");
    CU_ASSERT_STRING_EQUAL(over("min", false, ints, 5, null), "-2");
    CU_ASSERT_STRING_EQUAL(over("max", false, mixed, 4, null), "x");
    CU_ASSERT_STRING_EQUAL(over("min", false, words, 4, null), "B");
    CU_ASSERT_STRING_EQUAL(over("group_concat", false, words, 4, null), "b,B,a");
    CU_ASSERT_STRING_EQUAL(over("string_agg", false, words, 4, comma), "b; B; a");
    CU_ASSERT_STRING_EQUAL(over("stddev_pop", false, ints, 5, null), "2.0463381929681126");
    CU_ASSERT_STRING_EQUAL(over("var_samp", false, ints, 1, null), "NULL");
    CU_ASSERT_STRING_EQUAL(over("median", false, ints, 5, null), "2.0");
    CU_ASSERT_STRING_EQUAL(over("percentile_cont", false, ints, 5, real(0.25)), "0.25");
    CU_ASSERT_STRING_EQUAL(over("percentile_disc", false, ints, 5, real(0.5)), "1");
    CU_ASSERT_STRING_EQUAL(over("bool_and", false, ints, 5, null), "1");
    CU_ASSERT_STRING_EQUAL(over("bool_or", false, ints, 0, null), "NULL");
    CU_ASSERT_STRING_EQUAL(over("bit_and", false, ints, 4, null), "1");
    CU_ASSERT_STRING_EQUAL(over("any_value", false, ints, 5, null), "3");
    CU_ASSERT_STRING_EQUAL(over("json_group_array", false, mixed, 4, null), "[1,2.5,\"x\",\"4\"]");
    CU_ASSERT_STRING_EQUAL(over("json_group_object", false, words, 2, value_int(1)), "{\"b\":1,\"B\":1}");
}

static void test_sum_overflow_is_an_error_only_of_the_sum(void)
{
    struct value null = VALUE_NULL_INIT;
    struct value past[] = {value_int(INT64_MAX), value_int(1)}, back[] = {value_int(INT64_MAX), value_int(1), value_int(-5)};
    struct value huge[] = {{.type = VALUE_DECIMAL}, {.type = VALUE_DECIMAL}};
    huge[0].dec = huge[1].dec = dec_make((__int128)9 * 1000000000000000000 * 1000000000000000000 * 10);
    CU_ASSERT_STRING_EQUAL(over("sum", false, past, 2, null), "QUARTET_ERROR");
    CU_ASSERT_STRING_EQUAL(over("sum", false, back, 3, null), "9223372036854775803");
    CU_ASSERT_STRING_EQUAL(over("avg", false, past, 2, null), "4.611686018427388e+18");
    CU_ASSERT_STRING_EQUAL(over("sum", false, huge, 2, null), "QUARTET_ERROR");
}

static void test_distinct_joins_equal_numbers(void)
{
    struct value null = VALUE_NULL_INIT;
    struct value same[] = {value_int(1), real(1.0), decimal(100, 2), value_text("1", 1), real(0.5), decimal(50, 2), real(-0.0), value_int(0)};
    CU_ASSERT_STRING_EQUAL(over("count", true, same, 8, null), "4");
}

/* ---- batches, groups, merging: against agg_update_row ---- */

#define GROUPS 5u

static bool random_vec(struct vec *v, uint8_t type, uint32_t n, struct prng *r, struct arena *a)
{
    bool ok = vec_init(v, type == VEC_MIXED ? VALUE_NULL : type, BATCH_ROWS_MAX, a);
    v->scale = type == VALUE_DECIMAL ? 2 : 0;
    for (uint32_t k = 0; k < n && ok; k++) {
        static const char *const words[] = {"", "a", "bb", "7", "zz"};
        const char *word = words[prng_below(r, 5)];
        uint8_t t = type == VEC_MIXED ? (uint8_t[]){VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_DECIMAL}[prng_below(r, 4)] : type;
        struct value x = value_int(prng_between(r, -50, 50));
        if (t == VALUE_REAL)
            x = real((double)x.i / 8);
        else if (t == VALUE_DECIMAL)
            x = decimal(x.i, 2);
        else if (t == VALUE_TEXT)
            x = value_text(word, strlen(word));
        if (prng_chance(r, 0.1))
            x = VALUE_NULL_INIT;
        ok = vec_set(v, k, &x, BATCH_ROWS_MAX, a);
    }
    return ok;
}

static bool close_values(const struct value *a, const struct value *b)
{
    if (a->type == VALUE_REAL && b->type == VALUE_REAL)
        return fabs(a->r - b->r) <= 1e-9 * (1 + fabs(b->r));
    return value_identical(a, b);
}

static void check_kind(const struct func *f, uint8_t type, bool distinct, struct prng *r)
{
    struct arena a = {.limit_bytes = 0};
    struct err err = ERR_INIT;
    struct vec args[2];
    uint32_t n = (uint32_t)prng_between(r, 1, 300), count = (uint32_t)f->max_args, group[BATCH_ROWS_MAX], selected = 0;
    uint16_t sel[BATCH_ROWS_MAX];
    struct agg_spec spec = {.func = f, .arg_count = count, .distinct = distinct, .sql_offset = -1};
    agg *by_batch, *by_row, *halves[2], *first;
    bool fresh_group = prng_chance(r, 0.5);
    CU_ASSERT_FATAL(random_vec(&args[0], type, n, r, &a) && vec_init(&args[1], VALUE_REAL, BATCH_ROWS_MAX, &a));
    for (uint32_t k = 0; k < n; k++) {
        args[1].r[k] = 0.5;
        group[k] = fresh_group ? 0 : (uint32_t)prng_below(r, GROUPS);
        if (prng_chance(r, 0.7))
            sel[selected++] = (uint16_t)k;
    }
    struct batch in = {.n = n};
    if (prng_chance(r, 0.5))
        in = (struct batch){.n = selected, .sel = sel};
    agg **all[] = {&by_batch, &by_row, &halves[0], &halves[1]};
    for (size_t k = 0; k < 4; k++)
        CU_ASSERT_FATAL(agg_new(&a, &spec, all[k], &err) == QUARTET_OK && agg_reserve(*all[k], GROUPS, &err) == QUARTET_OK);
    CU_ASSERT_EQUAL(agg_update(by_batch, &in, args, fresh_group ? NULL : group, &err), QUARTET_OK);
    for (uint32_t k = 0; k < in.n; k++) {
        uint32_t row = batch_row(&in, k);
        struct value values[2] = {vec_get(&args[0], row), vec_get(&args[1], row)};
        CU_ASSERT_EQUAL(agg_update_row(by_row, group[row], values, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(agg_update_row(halves[k * 2 >= in.n], group[row], values, &err), QUARTET_OK);
    }
    first = halves[0];
    for (uint32_t g = 0; g < GROUPS; g++) {
        struct value x, y, z;
        CU_ASSERT_EQUAL(agg_final(by_batch, g, &a, &x, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(agg_final(by_row, g, &a, &y, &err), QUARTET_OK);
        if (!close_values(&x, &y))
            printf("\n    %s over type %u: batch and row differ\n", f->name, type);
        CU_ASSERT(close_values(&x, &y));
        quartet_status rc = agg_merge(first, g, halves[1], g, &err);
        CU_ASSERT_EQUAL(rc, distinct || (f->code == AGG_GROUP_CONCAT && count > 1 && rc != QUARTET_OK) ? QUARTET_MISUSE : QUARTET_OK);
        if (rc != QUARTET_OK)
            continue;
        CU_ASSERT_EQUAL(agg_final(first, g, &a, &z, &err), QUARTET_OK);
        if (!close_values(&z, &y))
            printf("\n    %s over type %u: merged and whole differ\n", f->name, type);
        CU_ASSERT(close_values(&z, &y));
    }
    arena_free_all(&a);
}

static void test_batches_rows_and_merges_agree(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(31));
    static const uint8_t types[] = {VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_DECIMAL, VEC_MIXED, VALUE_NULL};
    const struct func *f;
    for (uint32_t i = 0; (f = func_at(i)) != NULL; i++) {
        if ((f->flags & FUNC_AGGREGATE) == 0 || f->code == AGG_JSON_OBJECT) /* a NULL name is an error there */
            continue;
        for (size_t t = 0; t < sizeof types; t++)
            for (int round = 0; round < 6; round++)
                check_kind(f, types[t], round == 5 && f->max_args > 0, &r);
    }
}

static void test_result_does_not_depend_on_batch_borders(void)
{
    struct arena a = {.limit_bytes = 0};
    struct err err = ERR_INIT;
    struct prng r;
    struct vec v;
    struct value whole, cut;
    prng_seed(&r, 9);
    CU_ASSERT_FATAL(vec_init(&v, VALUE_REAL, BATCH_ROWS_MAX, &a));
    for (uint32_t k = 0; k < 1000; k++)
        v.r[k] = (prng_unit(&r) - 0.5) * pow(10, (double)prng_below(&r, 18));
    agg *one = make(&a, "sum", 1, false), *many = make(&a, "sum", 1, false);
    struct batch in = {.n = 1000};
    CU_ASSERT_EQUAL(agg_update(one, &in, &v, NULL, &err), QUARTET_OK);
    for (uint32_t at = 0; at < 1000; at += 125) {
        struct vec part = v;
        part.r = v.r + at;
        part.null = v.null + at;
        in.n = 125;
        CU_ASSERT_EQUAL(agg_update(many, &in, &part, NULL, &err), QUARTET_OK);
    }
    CU_ASSERT_EQUAL(agg_final(one, 0, &a, &whole, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(agg_final(many, 0, &a, &cut, &err), QUARTET_OK);
    CU_ASSERT(value_identical(&whole, &cut));
    arena_free_all(&a);
}

static void test_reset_and_final_vec(void)
{
    struct arena a = {.limit_bytes = 0};
    struct err err = ERR_INIT;
    struct vec out;
    struct value one = value_int(1);
    agg *g = make(&a, "max", 1, false);
    CU_ASSERT_EQUAL(agg_reserve(g, 3, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(agg_update_row(g, 0, &one, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(agg_update_row(g, 2, &one, &err), QUARTET_OK);
    agg_reset(g, 2);
    CU_ASSERT_EQUAL(agg_final_vec(g, 0, 3, &a, &out, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(vec_get(&out, 0).i, 1);
    CU_ASSERT_EQUAL(vec_get(&out, 1).type, VALUE_NULL);
    CU_ASSERT_EQUAL(vec_get(&out, 2).type, VALUE_NULL);
    arena_free_all(&a);
}

static void test_memory_runs_out(void)
{
    static const char *const names[] = {"sum", "max", "group_concat", "median", "json_group_array", "percentile_disc"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (int distinct = 0; distinct < 2; distinct++) {
            quartet_status rc = QUARTET_NOMEM;
            for (uint64_t n = 1; rc == QUARTET_NOMEM && n < 2000; n++) {
                struct arena a = {.limit_bytes = 0};
                struct err err = ERR_INIT;
                uint32_t args = strcmp(names[k], "percentile_disc") == 0 ? 2 : 1;
                agg *g = make(&a, names[k], args, distinct == 1);
                rc = QUARTET_OK;
                mem_fail_at(n, true);
                for (uint32_t row = 0; row < 120 && rc == QUARTET_OK; row++) {
                    char word[16];
                    (void)snprintf(word, sizeof word, "word %u", row % 40);
                    struct value v[2] = {value_text(word, strlen(word)), real(0.5)};
                    rc = agg_update_row(g, 0, v, &err);
                }
                struct value out;
                if (rc == QUARTET_OK)
                    rc = agg_final(g, 0, &a, &out, &err);
                mem_fail_at(0, false);
                CU_ASSERT(rc == QUARTET_NOMEM || rc == QUARTET_OK);
                arena_free_all(&a);
            }
            CU_ASSERT_EQUAL(rc, QUARTET_OK);
        }
}

const char *const unit_suite = "agg";
const struct unit_test unit_tests[] = {
    {"test_agg_each_kind", test_each_kind},
    {"test_agg_sum_overflow_is_an_error_only_of_the_sum", test_sum_overflow_is_an_error_only_of_the_sum},
    {"test_agg_distinct_joins_equal_numbers", test_distinct_joins_equal_numbers},
    {"test_agg_batches_rows_and_merges_agree", test_batches_rows_and_merges_agree},
    {"test_agg_result_does_not_depend_on_batch_borders", test_result_does_not_depend_on_batch_borders},
    {"test_agg_reset_and_final_vec", test_reset_and_final_vec},
    {"test_agg_memory_runs_out", test_memory_runs_out},
    {NULL, NULL},
};
