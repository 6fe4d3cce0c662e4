/* test_types.c - declared names, strict conversion, CAST's helpers, decimals, dates and numbers as text. */
#include "base/prng.h"
#include "engine/collate.h"
#include "engine/datetime.h"
#include "engine/decimal.h"
#include "unit/cunit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_name(const char *name, uint8_t args, int32_t p, int32_t s, uint8_t type)
{
    struct type_decl t;
    struct err err = ERR_INIT;
    int32_t arg[2] = {p, s};
    CU_ASSERT_EQUAL(types_from_name(name, args, arg, &t, &err), QUARTET_OK);
    if (t.type != type)
        printf("\n    %s: %s\n", name, types_name(t.type));
    CU_ASSERT_EQUAL(t.type, type);
}

static void test_names(void)
{
    static const struct {
        const char *name;
        uint8_t type;
    } names[] = {
        {"INT", VALUE_INTEGER}, {"bigint", VALUE_INTEGER}, {"TINYINT", VALUE_INTEGER}, {"UNSIGNED BIG INT", VALUE_INTEGER}, {"INT UNSIGNED", VALUE_INTEGER},
        {"MEDIUMINT", VALUE_INTEGER}, {"INT8", VALUE_INTEGER}, {"BOOLEAN", VALUE_INTEGER}, {"DOUBLE PRECISION", VALUE_REAL}, {"FLOAT", VALUE_REAL},
        {"FLOAT8", VALUE_REAL}, {"VARCHAR", VALUE_TEXT}, {"NVARCHAR", VALUE_TEXT}, {"CHARACTER VARYING", VALUE_TEXT}, {"CLOB", VALUE_TEXT},
        {"LONGTEXT", VALUE_TEXT}, {"NATIVE CHARACTER", VALUE_TEXT}, {"STRING", VALUE_TEXT}, {"LONGBLOB", VALUE_BLOB}, {"VARBINARY", VALUE_BLOB},
        {"BYTEA", VALUE_BLOB}, {"NUMERIC", VALUE_DECIMAL}, {"DECIMAL", VALUE_DECIMAL}, {"DATE", VALUE_DATE}, {"TIME", VALUE_TIME},
        {"DATETIME", VALUE_TIMESTAMP}, {"TIMESTAMP WITH TIME ZONE", VALUE_TIMESTAMP}, {"UUID", VALUE_UUID}, {"JSONB", VALUE_JSON}, {"", VALUE_NULL},
        {"ELEPHANT", VALUE_NULL},
    };
    struct type_decl t;
    struct err err = ERR_INIT;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        check_name(names[k].name, 0, 0, 0, names[k].type);
    CU_ASSERT_EQUAL(types_from_name(NULL, 0, NULL, &t, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(t.type, VALUE_NULL);
    CU_ASSERT_EQUAL(types_from_name("DECIMAL", 2, (int32_t[]){10, 2}, &t, &err), QUARTET_OK);
    CU_ASSERT(t.precision == 10 && t.scale == 2);
    CU_ASSERT_EQUAL(types_from_name("DECIMAL", 2, (int32_t[]){38, 38}, &t, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(types_from_name("DECIMAL", 2, (int32_t[]){39, 2}, &t, &err), QUARTET_ERROR);
    CU_ASSERT_EQUAL(types_from_name("DECIMAL", 2, (int32_t[]){5, -1}, &t, &err), QUARTET_ERROR);
    CU_ASSERT_EQUAL(types_from_name("VARCHAR", 1, (int32_t[]){160}, &t, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(t.length, 160);
}

/* Convert a value for a declared type; the text of what it becomes, or the status. */
static const char *converted(const char *type, uint8_t args, int32_t p, int32_t s, struct value v)
{
    static char text[256];
    struct arena a = {.limit_bytes = 0};
    struct type_decl t;
    struct err err = ERR_INIT;
    struct buf b = {.limit_bytes = 0};
    struct value before = v;
    CU_ASSERT_EQUAL(types_from_name(type, args, (int32_t[]){p, s}, &t, &err), QUARTET_OK);
    quartet_status rc = types_convert(&t, "price", &v, &a, &err);
    if (rc == QUARTET_OK) {
        CU_ASSERT(v.type == t.type || v.type == VALUE_NULL || t.type == VALUE_NULL);
        value_to_text(&v, &b);
        (void)snprintf(text, sizeof text, "%.*s", (int)b.len, b.data != NULL ? (const char *)b.data : "");
    } else {
        CU_ASSERT(value_identical(&before, &v));
        CU_ASSERT(strstr(err.text, "price") != NULL);
        (void)snprintf(text, sizeof text, "%s", status_name(rc));
    }
    buf_deinit(&b);
    arena_free_all(&a);
    return text;
}

static struct value t(const char *s)
{
    return value_text(s, strlen(s));
}

static struct value real(double r)
{
    return (struct value){.type = VALUE_REAL, .r = r};
}

static void test_strict_conversion(void)
{
    const char *bad = "QUARTET_MISMATCH";
    CU_ASSERT_STRING_EQUAL(converted("INTEGER", 0, 0, 0, t("12")), "12");
    CU_ASSERT_STRING_EQUAL(converted("INTEGER", 0, 0, 0, t("abc")), bad);
    CU_ASSERT_STRING_EQUAL(converted("INTEGER", 0, 0, 0, t("12 apples")), bad);
    CU_ASSERT_STRING_EQUAL(converted("INTEGER", 0, 0, 0, real(1.0)), "1");
    CU_ASSERT_STRING_EQUAL(converted("INTEGER", 0, 0, 0, real(1.5)), bad);
    CU_ASSERT_STRING_EQUAL(converted("INTEGER", 0, 0, 0, real(9223372036854775808.0)), bad);
    CU_ASSERT_STRING_EQUAL(converted("BOOLEAN", 0, 0, 0, t("TRUE")), "1");
    CU_ASSERT_STRING_EQUAL(converted("BOOLEAN", 0, 0, 0, value_int(0)), "0");
    CU_ASSERT_STRING_EQUAL(converted("BOOLEAN", 0, 0, 0, value_int(2)), bad);
    CU_ASSERT_STRING_EQUAL(converted("REAL", 0, 0, 0, value_int(7)), "7.0");
    CU_ASSERT_STRING_EQUAL(converted("REAL", 0, 0, 0, value_int(9007199254740993)), bad);
    CU_ASSERT_STRING_EQUAL(converted("REAL", 0, 0, 0, t("0.1")), "0.1");
    CU_ASSERT_STRING_EQUAL(converted("NUMERIC", 2, 10, 2, real(0.99)), "0.99");
    CU_ASSERT_STRING_EQUAL(converted("NUMERIC", 2, 10, 2, t("0.999")), bad);
    CU_ASSERT_STRING_EQUAL(converted("NUMERIC", 2, 10, 2, t("0.990")), "0.99");
    CU_ASSERT_STRING_EQUAL(converted("NUMERIC", 2, 4, 2, value_int(99)), "99.00");
    CU_ASSERT_STRING_EQUAL(converted("NUMERIC", 2, 4, 2, value_int(100)), bad);
    CU_ASSERT_STRING_EQUAL(converted("NUMERIC", 0, 0, 0, t("1.500")), "1.500");
    CU_ASSERT_STRING_EQUAL(converted("TEXT", 0, 0, 0, value_int(5)), "5");
    CU_ASSERT_STRING_EQUAL(converted("TEXT", 0, 0, 0, t("\xff")), bad);
    CU_ASSERT_STRING_EQUAL(converted("", 0, 0, 0, real(NAN)), "");
    CU_ASSERT_STRING_EQUAL(converted("DATE", 0, 0, 0, t("2009-01-01 00:00:00")), "2009-01-01");
    CU_ASSERT_STRING_EQUAL(converted("DATE", 0, 0, 0, t("2009-01-01 10:00:00")), bad);
    CU_ASSERT_STRING_EQUAL(converted("DATE", 0, 0, 0, t("2009-02-30")), bad);
    CU_ASSERT_STRING_EQUAL(converted("TIMESTAMP", 0, 0, 0, t("2009-01-01 00:00:00")), "2009-01-01 00:00:00");
    CU_ASSERT_STRING_EQUAL(converted("TIMESTAMP", 0, 0, 0, t("2009-01-01T12:30:00.5Z")), "2009-01-01 12:30:00.500000");
    CU_ASSERT_STRING_EQUAL(converted("TIMESTAMP", 0, 0, 0, t("2009-01-01 12:30:00.1234567")), bad);
    CU_ASSERT_STRING_EQUAL(converted("TIMESTAMP", 0, 0, 0, value_int(1)), bad);
    CU_ASSERT_STRING_EQUAL(converted("TIME", 0, 0, 0, t("23:59")), "23:59:00");
    CU_ASSERT_STRING_EQUAL(converted("TIME", 0, 0, 0, t("24:00")), bad);
    CU_ASSERT_STRING_EQUAL(converted("UUID", 0, 0, 0, t("{6E7A1B0C00004000800000000000000A}")), "6e7a1b0c-0000-4000-8000-00000000000a");
    CU_ASSERT_STRING_EQUAL(converted("UUID", 0, 0, 0, t("6e7a")), bad);
    CU_ASSERT_STRING_EQUAL(converted("JSON", 0, 0, 0, t("{\"a\" : 1}")), "{\"a\" : 1}");
    CU_ASSERT_STRING_EQUAL(converted("JSON", 0, 0, 0, t("{a:1}")), bad);
    CU_ASSERT_STRING_EQUAL(converted("BLOB", 0, 0, 0, t("ab")), "ab");
    CU_ASSERT_STRING_EQUAL(converted("BLOB", 0, 0, 0, value_int(1)), bad);
    CU_ASSERT_STRING_EQUAL(converted("INTEGER", 0, 0, 0, VALUE_NULL_INIT), "");
}

static void test_value_at_the_byte_limit(void)
{
    struct type_decl text = {.type = VALUE_TEXT};
    struct arena a = {.limit_bytes = 0};
    struct err err = ERR_INIT;
    char *big = malloc(TYPES_VALUE_BYTES_MAX + 1);
    CU_ASSERT_FATAL(big != NULL);
    memset(big, 'x', TYPES_VALUE_BYTES_MAX + 1);
    struct value v = value_text(big, TYPES_VALUE_BYTES_MAX);
    CU_ASSERT_EQUAL(types_convert(&text, "c", &v, &a, &err), QUARTET_OK);
    v = value_text(big, TYPES_VALUE_BYTES_MAX + 1);
    CU_ASSERT_EQUAL(types_convert(&text, "c", &v, &a, &err), QUARTET_LIMIT);
    free(big);
    arena_free_all(&a);
}

static void check_real(double r, const char *expected)
{
    char text[TYPES_NUMBER_TEXT_BYTES];
    size_t n = types_format_real(r, text);
    if (strlen(expected) != n || memcmp(text, expected, n) != 0)
        printf("\n    %a: %.*s, expected %s\n", r, (int)n, text, expected);
    CU_ASSERT(strlen(expected) == n && memcmp(text, expected, n) == 0);
}

static void test_reals_as_text(void)
{
    check_real(1, "1.0");
    check_real(-0.0, "0.0");
    check_real(0.1, "0.1");
    check_real(-12.345, "-12.345");
    check_real(0.1 + 0.2, "0.30000000000000004");
    check_real(1e15, "1.0e+15");
    check_real(123456789012345.0, "123456789012345.0");
    check_real(1e-5, "1.0e-05");
    check_real(0.0001, "0.0001");
    check_real(0.00012345, "0.00012345");
    check_real(1.7976931348623157e308, "1.7976931348623157e+308");
    check_real(5e-324, "4.94065645841247e-324");
    check_real(2.5e-7, "2.5e-07");
    check_real(INFINITY, "Inf");
}

/* Every double survives text and back, and no libc locale comes between. */
static void test_reals_round_trip(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(41));
    for (int k = 0; k < 20000; k++) {
        uint64_t bits = prng_u64(&r);
        double d, back;
        char text[TYPES_NUMBER_TEXT_BYTES];
        memcpy(&d, &bits, sizeof d);
        if (k % 2 == 0)
            d = (double)prng_between(&r, -100000000, 100000000) / pow(10, (double)prng_below(&r, 9));
        if (!isfinite(d) || d == 0)
            continue;
        size_t n = types_format_real(d, text);
        CU_ASSERT(n < TYPES_NUMBER_TEXT_BYTES);
        CU_ASSERT_FATAL(types_parse_real(text, n, &back));
        CU_ASSERT_EQUAL(memcmp(&d, &back, sizeof d), 0);
    }
}

static void test_parse_real_agrees_with_libc(void)
{
    static const char *const texts[] = {"0", "1", "-1.5", "1e308", "1e309", "4.9e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "9007199254740993",
                                        "0.000000000000000000000000000001", "123456789012345678901234567890", "1.7976931348623158e308", ".5", "5.", "1e-400",
                                        "100000000000000000000000e-23"};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        double r;
        CU_ASSERT(types_parse_real(texts[k], strlen(texts[k]), &r));
        CU_ASSERT_EQUAL(r, strtod(texts[k], NULL));
    }
    double r;
    CU_ASSERT_FALSE(types_parse_real("", 0, &r));
    CU_ASSERT_FALSE(types_parse_real(".", 1, &r));
    CU_ASSERT_FALSE(types_parse_real("1e", 2, &r));
    CU_ASSERT_FALSE(types_parse_real("1x", 2, &r));
    CU_ASSERT_FALSE(types_parse_real("0x10", 4, &r));
}

static const char *decimal_text(struct decimal d)
{
    static char text[4][TYPES_NUMBER_TEXT_BYTES + 1];
    static int at;
    at = (at + 1) % 4;
    text[at][decimal_format(d, text[at])] = '\0';
    return text[at];
}

static struct decimal dec(const char *s)
{
    struct decimal d = {0, 0};
    CU_ASSERT_FATAL(decimal_parse(s, strlen(s), &d));
    return d;
}

static void test_decimals(void)
{
    struct decimal r;
    bool exact;
    CU_ASSERT_STRING_EQUAL(decimal_text(dec("-0.05")), "-0.05");
    CU_ASSERT_STRING_EQUAL(decimal_text(dec("1e3")), "1000");
    CU_ASSERT_STRING_EQUAL(decimal_text(dec("1.5e-3")), "0.0015");
    CU_ASSERT_STRING_EQUAL(decimal_text(dec("00012.50")), "12.50");
    CU_ASSERT_FALSE(decimal_parse("123456789012345678901234567890123456789", 39, &r));
    CU_ASSERT_FALSE(decimal_parse("1.", 0, &r));
    CU_ASSERT(decimal_add(dec("0.1"), dec("0.22"), &r));
    CU_ASSERT_STRING_EQUAL(decimal_text(r), "0.32");
    CU_ASSERT(decimal_mul(dec("1.25"), dec("-0.2"), &r));
    CU_ASSERT_STRING_EQUAL(decimal_text(r), "-0.250");
    CU_ASSERT(decimal_div(dec("1"), dec("3.00"), &r));
    CU_ASSERT_STRING_EQUAL(decimal_text(r), "0.3333333333333333");
    CU_ASSERT(decimal_div(dec("-2"), dec("3"), &r));
    CU_ASSERT_STRING_EQUAL(decimal_text(r), "-0.66666666666667");
    CU_ASSERT(decimal_mod(dec("-7.5"), dec("2"), &r));
    CU_ASSERT_STRING_EQUAL(decimal_text(r), "-1.5");
    CU_ASSERT(decimal_rescale(dec("2.675"), 2, &r, &exact));
    CU_ASSERT_STRING_EQUAL(decimal_text(r), "2.68");
    CU_ASSERT_FALSE(exact);
    CU_ASSERT(decimal_rescale(dec("-2.5"), 0, &r, &exact));
    CU_ASSERT_STRING_EQUAL(decimal_text(r), "-3");
    CU_ASSERT(decimal_mul(dec("12345678901234567890.123456789"), dec("98765.432109876"), &r));
    CU_ASSERT_STRING_EQUAL(decimal_text(r), "1219326311370211245953421.1245941227861");
    CU_ASSERT(decimal_div(dec("99999999999999999999999999999999999999"), dec("7"), &r));
    CU_ASSERT_STRING_EQUAL(decimal_text(r), "14285714285714285714285714285714285714");
    CU_ASSERT_FALSE(decimal_mul(dec("99999999999999999999"), dec("99999999999999999999"), &r));
    CU_ASSERT_FALSE(decimal_add(dec("99999999999999999999999999999999999999"), dec("1"), &r));
    CU_ASSERT_EQUAL(decimal_to_double(dec("0.1")), 0.1);
    CU_ASSERT_EQUAL(decimal_to_double(dec("12345678901234567890123.456")), 12345678901234567890123.456);
    CU_ASSERT_EQUAL(decimal_to_int64(dec("-7.9")), -7);
}

/* (a / b) * b is a to the last digit but one, and mod agrees with integers. */
static void test_decimals_against_integers(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(43));
    for (int k = 0; k < 5000; k++) {
        int64_t x = prng_between(&r, -1000000000, 1000000000), y = prng_between(&r, 1, 1000000);
        struct decimal a = {x, 0}, b = {y, 0}, q, m;
        CU_ASSERT(decimal_div(a, b, &q) && decimal_mod(a, b, &m));
        CU_ASSERT_EQUAL((int64_t)m.v, x % y);
        CU_ASSERT_EQUAL(decimal_to_int64(q), x / y);
        CU_ASSERT(fabs(decimal_to_double(q) - (double)x / (double)y) <= 1e-12 * (1 + fabs((double)x / (double)y)));
    }
}

static void test_calendar(void)
{
    struct datetime_civil c;
    CU_ASSERT_EQUAL(datetime_days(1970, 1, 1), 0);
    CU_ASSERT_EQUAL(datetime_days(2000, 3, 1), 11017);
    CU_ASSERT_EQUAL(datetime_days(0, 1, 1), DATETIME_DAYS_MIN);
    CU_ASSERT_EQUAL(datetime_days(9999, 12, 31), DATETIME_DAYS_MAX);
    CU_ASSERT_EQUAL(datetime_days(2023, 14, 1), datetime_days(2024, 2, 1));
    for (int64_t day = DATETIME_DAYS_MIN; day <= DATETIME_DAYS_MAX; day += 97) {
        datetime_civil(day * DATETIME_DAY_US + 1, &c);
        CU_ASSERT(datetime_days(c.year, c.month, c.day) == day && c.micros == 1);
    }
    datetime_civil(-1, &c);
    CU_ASSERT(c.year == 1969 && c.month == 12 && c.day == 31 && c.hour == 23 && c.second == 59 && c.micros == 999999);
}

static void test_intervals(void)
{
    int64_t months, us;
    CU_ASSERT(datetime_parse_interval(slice_of("1 year 2 months 3 days", 22), &months, &us));
    CU_ASSERT(months == 14 && us == 3 * DATETIME_DAY_US);
    CU_ASSERT(datetime_parse_interval(slice_of("-1 day 02:30:00", 15), &months, &us));
    CU_ASSERT_EQUAL(us, -DATETIME_DAY_US + INT64_C(9000000000));
    CU_ASSERT_FALSE(datetime_parse_interval(slice_of("", 0), &months, &us));
    CU_ASSERT_FALSE(datetime_parse_interval(slice_of("3 moons", 7), &months, &us));
    CU_ASSERT_FALSE(datetime_parse_interval(slice_of("days", 4), &months, &us));
}

/* Any cut of a good date is refused or read, never read past. */
static void test_dates_cut_short(void)
{
    const char *whole = "2024-02-29 12:34:56.789+01:30";
    int64_t us;
    for (size_t n = 0; n <= strlen(whole); n++) {
        char *copy = malloc(n > 0 ? n : 1);
        CU_ASSERT_FATAL(copy != NULL);
        memcpy(copy, whole, n);
        enum datetime_form form = datetime_parse(slice_of(copy, n), false, &us, NULL);
        CU_ASSERT(n != 10 || form == DATETIME_DATE);
        CU_ASSERT(n != strlen(whole) || form == DATETIME_BOTH);
        CU_ASSERT(n >= 10 || form == DATETIME_NONE);
        free(copy);
    }
}

static void test_collation(void)
{
    struct arena a = {.limit_bytes = 0};
    struct slice x, y;
    CU_ASSERT_EQUAL(collate_nocase_cmp(slice_of("ABC", 3), slice_of("abc", 3)), 0);
    CU_ASSERT(collate_nocase_cmp(slice_of("ABC", 3), slice_of("abd", 3)) < 0);
    CU_ASSERT(collate_nocase_cmp(slice_of("ab", 2), slice_of("ABC", 3)) < 0);
    CU_ASSERT_EQUAL(collate_nocase_cmp(slice_of("\xc3\x84", 2), slice_of("\xc3\xa4", 2)), 0);
    CU_ASSERT_FATAL(collate_fold(slice_of("Stra\xc3\x9f" "e", 7), &a, &x));
    CU_ASSERT_FATAL(collate_fold(slice_of("STRASSE", 7), &a, &y));
    CU_ASSERT(slice_eq(x, y));
    CU_ASSERT(collate_nocase_cmp(slice_of("\xff", 1), slice_of("\xfe", 1)) > 0);
    arena_free_all(&a);
}

const char *const unit_suite = "types";
const struct unit_test unit_tests[] = {
    {"test_types_names", test_names},
    {"test_types_strict_conversion", test_strict_conversion},
    {"test_types_value_at_the_byte_limit", test_value_at_the_byte_limit},
    {"test_types_reals_as_text", test_reals_as_text},
    {"test_types_reals_round_trip", test_reals_round_trip},
    {"test_types_parse_real_agrees_with_libc", test_parse_real_agrees_with_libc},
    {"test_decimal_examples", test_decimals},
    {"test_decimal_against_integers", test_decimals_against_integers},
    {"test_datetime_calendar", test_calendar},
    {"test_datetime_intervals", test_intervals},
    {"test_datetime_cut_short", test_dates_cut_short},
    {"test_collate", test_collation},
    {NULL, NULL},
};
