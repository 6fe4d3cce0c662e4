/* test_expr.c - bound expressions: the rules that docs/SQL.md promises, by value and by batch, and what happens when memory runs out. */
#include "base/mem.h"
#include "base/prng.h"
#include "unit/cunit.h"
#include "unit/engine/expr_sql.h"

#include <stdio.h>

static int64_t fixed_now(void *arg)
{
    (void)arg;
    return INT64_C(1709210096789123); /* 2024-02-29 12:34:56.789123 */
}

static quartet_status fixed_random(void *arg, void *p, size_t n, struct err *err)
{
    (void)err;
    prng_fill(arg, p, n);
    return QUARTET_OK;
}

static const struct expr_host host = {.now_us = fixed_now, .random = fixed_random};

/* The text of an expression's value, "ERROR code" or "NULL", in a static buffer. */
static const char *value_of(const char *sql)
{
    static char text[4096];
    struct arena a = {.limit_bytes = 64u << 20};
    struct err err = ERR_INIT;
    struct prng r;
    struct value v;
    prng_seed(&r, 1);
    struct expr *e = expr_from_sql(&a, NULL, sql, &err);
    struct expr_ctx ctx = {.arena = &a, .host = &host, .host_arg = &r};
    if (e == NULL || expr_value(e, &ctx, NULL, 0, &v, &err) != QUARTET_OK) {
        (void)snprintf(text, sizeof text, "%s", status_name(err.code));
    } else {
        struct buf b = {.limit_bytes = 1u << 20};
        value_to_text(&v, &b);
        (void)snprintf(text, sizeof text, "%.*s", (int)b.len, v.type == VALUE_NULL ? "NULL" : b.data != NULL ? (const char *)b.data : "");
        if (v.type == VALUE_NULL)
            (void)snprintf(text, sizeof text, "NULL");
        buf_deinit(&b);
    }
    arena_free_all(&a);
    return text;
}

static void check(const char *sql, const char *expected)
{
    const char *got = value_of(sql);
    if (strcmp(got, expected) != 0)
        printf("\n    %s: got %s, expected %s\n", sql, got, expected);
    CU_ASSERT_STRING_EQUAL(got, expected);
}

static void test_arithmetic(void)
{
    check("7 / 2", "3");
    check("-7 / 2", "-3");
    check("7 % -2", "1");
    check("1 / 0", "NULL");
    check("1 % 0", "NULL");
    check("1.0 / 0", "NULL");
    check("7 / 2.0", "3.5");
    check("9223372036854775807 + 1", "QUARTET_ERROR");
    check("-9223372036854775808 / -1", "QUARTET_ERROR");
    check("-9223372036854775808 % -1", "0");
    check("- -9223372036854775808", "QUARTET_ERROR");
    check("abs(-9223372036854775808)", "QUARTET_ERROR");
    check("'12 apples' + 1", "13");
    check("'x' * 3", "0");
    check("'1.5' + 1", "2.5");
    check("+'a'", "a");
    check("-'5'", "-5");
    check("5.5 % 2", "1.0");
    check("9 DIV 2", "4");
    check("NULL + 1", "NULL");
    check("1 << 3 | 1", "9");
    check("-1 >> 70", "-1");
    check("1 << -1", "0");
    check("~5", "-6");
    check("0.1 + 0.2", "0.30000000000000004");
    check("CASE WHEN 0 THEN 9223372036854775807 + 1 ELSE 5 END", "5");
    check("coalesce(1, 9223372036854775807 + 1)", "1");
    check("COALESCE(9, 4.0) / 2", "4");
}

static void test_decimal(void)
{
    check("CAST('0.10' AS DECIMAL(10,2)) + 0.20", "0.30");
    check("TRY_CAST('12 apples' AS INTEGER)", "NULL");
    check("TRY_CAST(' 12 ' AS INTEGER)", "12");
    check("TRY_CAST('2.9' AS INTEGER)", "2");
    check("TRY_CAST('9e99' AS INTEGER)", "NULL");
    check("TRY_CAST(9e99 AS INTEGER)", "NULL");
    check("TRY_CAST('x' AS REAL)", "NULL");
    check("TRY_CAST('1.005' AS DECIMAL(10,2))", "1.01");
    check("TRY_CAST('2026-13-01' AS DATE)", "NULL");
    check("TRY_CAST('2026-11-23' AS DATE)", "2026-11-23");
    check("TRY_CAST('no' AS BOOLEAN)", "NULL");
    check("TRY_CAST('true' AS BOOLEAN)", "1");
    check("TRY_CAST(x'ff' AS TEXT)", "NULL");
    check("TRY_CAST(NULL AS INTEGER)", "NULL");
    check("TRY_CAST(7 AS TEXT)", "7");
    check("TRY_CAST(9223372036854775807 + 1 AS TEXT)", "QUARTET_ERROR"); /* the cast may fail, not what is cast */
    check("CAST(10 AS DECIMAL(10,2)) / 4", "2.5000000000000000");
    check("CAST('1.005' AS DECIMAL(10,3)) * 2", "2.010");
    check("CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0)) + 1", "QUARTET_ERROR");
    check("CAST('0.99' AS DECIMAL(10,2)) = 0.99", "1");
    check("CAST('0.99' AS DECIMAL(10,2)) IN (0.98, 0.99)", "1");
    check("CAST(1.005 AS DECIMAL(10,2))", "1.01");
    check("round(CAST('2.675' AS DECIMAL(10,3)), 2)", "2.68");
    check("CAST('-7.5' AS DECIMAL(10,1)) % 2", "-1.5");
    check("CAST(1 AS DECIMAL(10,2)) / 0", "NULL");
    check("-CAST('1.50' AS DECIMAL(10,2))", "-1.50");
    check("CAST('1.50' AS DECIMAL(10,2)) + 1.0e0", "2.50");
    check("typeof(CAST('1.50' AS DECIMAL(10,2)) * 1.1)", "decimal");
    check("ceil(CAST('-1.50' AS DECIMAL(10,2)))", "-1");
    check("floor(CAST('-1.50' AS DECIMAL(10,2)))", "-2");
}

static void test_comparison_and_logic(void)
{
    check("1 = 1.0", "1");
    check("'5' = 5", "0");
    check("CAST('5' AS INTEGER) = '5'", "1");
    check("NULL = NULL", "NULL");
    check("NULL IS NULL", "1");
    check("NULL IS NOT DISTINCT FROM NULL", "1");
    check("1 IS DISTINCT FROM NULL", "1");
    check("NULL AND 0", "0");
    check("NULL OR 1", "1");
    check("NOT NULL", "NULL");
    check("NOT (1 < 2)", "0");
    check("1 IN ()", "0");
    check("NULL IN ()", "0");
    check("NULL NOT IN ()", "1");
    check("1 IN (2, NULL)", "NULL");
    check("1 NOT IN (2, 3)", "1");
    check("'a' < 'b'", "1");
    check("9007199254740993 = 9007199254740992.0", "0");
    check("'ABC' = 'abc' COLLATE NOCASE", "1");
    check("'STRASSE' = 'straße' COLLATE NOCASE", "1");
    check("2 BETWEEN 1 AND 3", "1");
    check("2 NOT BETWEEN 1 AND NULL", "NULL");
    check("0 BETWEEN 1 AND NULL", "0");
    check("CASE 3 WHEN 1 THEN 'a' WHEN 3 THEN 'c' END", "c");
    check("CASE NULL WHEN NULL THEN 'a' ELSE 'b' END", "b");
    check("'yes' IS TRUE", "0");
    check("NULL IS NOT TRUE", "1");
    check("1 XOR 1", "0");
    check("nullif(1, 1.0)", "NULL");
    check("iif(0, 1)", "NULL");
}

static void test_patterns(void)
{
    check("'Hello' LIKE 'h%'", "1");
    check("'Hello' LIKE '%LLO'", "1");
    check("'Hello' LIKE '%ell%'", "1");
    check("'Hello' LIKE 'h_l_o'", "1");
    check("'Hello' LIKE 'h_lo'", "0");
    check("'Ä' LIKE 'ä'", "0");
    check("'Ä' ILIKE 'ä'", "1");
    check("'10%' LIKE '10\\%' ESCAPE '\\'", "1");
    check("'10x' LIKE '10\\%' ESCAPE '\\'", "0");
    check("'a' LIKE 'a' ESCAPE 'xy'", "QUARTET_ERROR");
    check("'aXbXc' LIKE '%x%x%'", "1");
    check("'é' LIKE '_'", "1");
    check("'abc' GLOB 'a*'", "1");
    check("'abc' GLOB 'A*'", "0");
    check("'abc' GLOB '[a-c][^x]?'", "1");
    check("'a]c' GLOB 'a[]]c'", "1");
    check("'abc' GLOB 'a['", "0");
    check("'abc' REGEXP '^a.c$'", "1");
    check("'abc' REGEXP '('", "QUARTET_ERROR");
    check("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' REGEXP '^(a+)+$'", "QUARTET_LIMIT");
    check("'abc' SIMILAR TO 'a(b|x)_'", "1");
    check("'abcd' SIMILAR TO 'a(b|x)_'", "0");
    check("NULL LIKE 'a'", "NULL");
    check("'a' NOT LIKE 'b'", "1");
    check("123 LIKE '1%'", "1");
    check("'abc' LIKE 'abc%%'", "1");
    check("'' LIKE '%'", "1");
    check("'' LIKE ''", "1");
    check("'a' LIKE ''", "0");
}

static void test_dates(void)
{
    check("DATE '2024-02-29' + 1", "2024-03-01");
    check("DATE '2024-01-31' + INTERVAL '1 month'", "2024-02-29");
    check("DATE '2024-03-01' - DATE '2024-02-01'", "29");
    check("TIMESTAMP '2024-01-01 10:00:00' - INTERVAL '90 minutes'", "2024-01-01 08:30:00");
    check("TIMESTAMP '2024-01-02 12:00:00' - TIMESTAMP '2024-01-01 00:00:00'", "1.5");
    check("DATE '2024-01-01' < '2024-01-02'", "1");
    check("DATE '2024-01-01' = '2024-01-01 00:00:00'", "1");
    check("CAST('2024-02-30' AS DATE)", "2024-03-01");
    check("CAST('nonsense' AS DATE)", "QUARTET_MISMATCH");
    check("CURRENT_TIMESTAMP", "2024-02-29 12:34:56");
    check("now()", "2024-02-29 12:34:56.789123");
    check("CURRENT_DATE", "2024-02-29");
    check("date('now', '+1 year')", "2025-03-01");
    check("date('2024-01-01', 'unixepoch')", "NULL"); /* the modifier says that it is a number */
    check("date('2024-01-01', 'julianday')", "NULL");
    check("date('1704067200', 'unixepoch') || date('2460310.5', 'julianday') || date('2024-01-01', 'auto')", "2024-01-012024-01-012024-01-01");
    check("date('2024-01-01', ' +1 day')", "NULL");
    check("date('2024-01-01', '+1 day ')", "NULL");
    check("date(' 2024-01-01')", "NULL");
    check("date('2024-01-01 ', '+1  day')", "2024-01-02");
    check("date('now', 'localtime')", "QUARTET_ERROR");
    check("extract('year', DATE '2024-02-29')", "2024");
    check("year('2024-02-29')", "2024");
    check("dayofweek('2024-02-29')", "5");
    check("date_trunc('month', '2024-02-29 10:11:12')", "2024-02-01 00:00:00");
    check("datediff('2024-03-01', '2024-02-28')", "2");
    check("last_day('2024-02-10')", "2024-02-29");
    check("CAST(TIMESTAMP '2024-02-29 10:11:12' AS TIME)", "10:11:12");
    check("TIMESTAMP '2024-02-29 10:11:12+02:00'", "2024-02-29 08:11:12");
    check("DATE '9999-12-31' + 1", "QUARTET_ERROR");
    check("DATE '2024-01-01' + 'x'", "QUARTET_MISMATCH");
}

static void test_json(void)
{
    check("'{\"a\":[1,2.5,\"x\"]}' -> '$.a'", "[1,2.5,\"x\"]");
    check("'{\"a\":[1,2.5,\"x\"]}' -> 'a' ->> 2", "x");
    check("json_extract('{\"a\":{\"b\":true}}', '$.a.b')", "1");
    check("json_extract('[1,2,3]', '$[#-1]')", "3");
    check("json_extract('[1,2,3]', '$[0]', '$[9]')", "[1,null]");
    check("json_extract('{', '$')", "QUARTET_ERROR");
    check("json_extract('{}', 'a')", "QUARTET_ERROR");
    check("json_array(1, 'a\"', NULL, json('[1, 2]'))", "[1,\"a\\\"\",null,[1,2]]");
    check("json_object('k', 1.5, 'l', 'v')", "{\"k\":1.5,\"l\":\"v\"}");
    check("json_valid('{\"a\":}')", "0");
    check("json_type('[1]', '$[0]')", "integer");
    check("json_array_length('[1,[2,3]]')", "2");
    check("'\"\\u00e9\\ud83d\\ude00\"' ->> '$'", "é😀");
    check("json_quote('x')", "\"x\"");
    check("json_value('{\"a\":[1]}', '$.a')", "NULL");
    check("json_value('{\"a\":[1]}', '$.a[0]')", "1");
    check("json_query('{\"a\":[1]}', '$.a')", "[1]");
    check("json_query('{\"a\":1}', '$.a')", "NULL");
    check("json_exists('{\"a\":null}', '$.a')", "1");
    check("json_exists('{}', '$.a')", "0");
    check("json_keys('{\"a\":1,\"b c\":2}')", "[\"a\",\"b c\"]");
    check("json_keys('[1]')", "NULL");
    check("json_unquote('\"a\\u0041\"')", "aA");
    check("json_unquote('plain')", "plain");
    check("json_length('{\"a\":1,\"b\":2}')", "2");
    check("json_length('7')", "1");
    check("json_set('{\"\\u0061\":1}', '$.a', 2)", "{\"\\u0061\":2}");
    check("json_set('[]', '$[0]', 1, '$[1]', 2)", "[1,2]");
}

static void test_text_functions(void)
{
    check("substr('hello', 2, 3)", "ell");
    check("substr('hello', 0, 3)", "he");
    check("substr('hello', -3, 2)", "ll");
    check("substr('hello', -7, 3)", "h");
    check("substr('hello', 2, -1)", "h");
    check("substr('héllo', 2, 1)", "é");
    check("upper('straße é')", "STRAßE É");
    check("trim('xxaxx', 'x')", "a");
    check("replace('aaa', 'a', 'bb')", "bbbbbb");
    check("instr('héllo', 'l')", "3");
    check("locate('l', 'hello', 4)", "4");
    check("lpad('7', 3, '0')", "007");
    check("rpad('ab', 5, 'xy')", "abxyx");
    check("left('hello', 2) || right('hello', 2)", "helo");
    check("concat('a', NULL, 1)", "a1");
    check("concat_ws('-', 'a', NULL, 'b')", "a-b");
    check("repeat('ab', 3)", "ababab");
    check("repeat('ab', 99999999)", "QUARTET_LIMIT");
    check("reverse('añb')", "bña");
    check("hex('abc')", "616263");
    check("unhex('61 62', ' ')", "ab");
    check("unhex('6')", "NULL");
    check("char(72, 233)", "Hé");
    check("unicode('é')", "233");
    check("quote('it''s')", "'it''s'");
    check("quote(x'00ff')", "X'00FF'");
    check("printf('%5.2f|%-4d|%05d|%,d|%x|%s|%Q|%%', 3.14159, 42, -42, 1234567, 255, 'abc', 'it''s')", " 3.14|42  |-0042|1,234,567|ff|abc|'it''s'|%");
    check("split_part('a,b,c', ',', 2)", "b");
    check("split_part('a,b,c', ',', -1)", "c");
    check("initcap('hello world')", "Hello World");
    check("length('héllo')", "5");
    check("octet_length('é')", "2");
    check("length(x'000102')", "3");
    check("zeroblob(9000000)", "QUARTET_LIMIT");
    check("typeof(zeroblob(2))", "blob");
    check("translate('abc', 'ab', 'x')", "xc");
    check("soundex('Robert') || soundex('Rupert') || soundex('Tymczak') || soundex('') || soundex(NULL)", "R163R163T522?000?000");
    check("strcmp('a', 'b') || strcmp('b', 'a') || strcmp('a', 'a') || strcmp('', 'a')", "-110-1");
    check("strcmp('a', NULL)", "NULL");
    check("find_in_set('b', 'a,b,c') || find_in_set('c', 'a,b,c') || find_in_set('d', 'a,b,c') || find_in_set('', 'a,,c') || find_in_set('', '')", "23020");
    check("field('b', 'a', 'b', 'b') || field('x', 'a', 'b') || field(NULL, 'a') || field('a', NULL, 'a')", "2002");
    check("elt(2, 'a', 'b')", "b");
    check("elt(3, 'a', 'b')", "NULL");
    check("elt(0, 'a')", "NULL");
    check("substring_index('a.b.c', '.', 2)", "a.b");
    check("substring_index('a.b.c', '.', -2)", "b.c");
    check("substring_index('a.b.c', '.', 9)", "a.b.c");
    check("substring_index('a.b.c', '.', -9)", "a.b.c");
    check("substring_index('a--b--c', '--', -1)", "c");
    check("substring_index('a.b', '.', 0) || substring_index('a.b', '', 1) || '|'", "|");
    check("substring_index('aaa', 'aa', 1) || '|' || substring_index('aaa', 'aa', -1) || '|'", "||");
}

static void test_number_functions(void)
{
    check("round(2.675, 2)", "2.68");
    check("round(-2.5)", "-3.0");
    check("round(5)", "5.0");
    check("sign(-3)", "-1");
    check("ceil(1.2)", "2.0");
    check("floor(-1.2)", "-2.0");
    check("trunc(-2.7)", "-2.0");
    check("log(100)", "2.0");
    check("log(2, 8)", "3.0");
    check("ln(0)", "NULL");
    check("sqrt(-1)", "NULL");
    check("max(1, 'a', 2.5)", "a");
    check("min(1, NULL)", "NULL");
    check("greatest(3, 7)", "7");
    check("power(2, 10)", "1024.0");
    check("mod(7, 3)", "1.0");
    check("gcd(12, 18)", "6");
    check("typeof(random())", "integer");
    check("length(randomblob(5))", "5");
    check("substr(CAST(uuid() AS TEXT), 15, 1)", "7");
    check("no_such_function(1)", "QUARTET_ERROR");
    check("abs(1, 2)", "QUARTET_ERROR");
}

static void test_casts(void)
{
    check("CAST('12abc' AS INTEGER)", "12");
    check("CAST(2.9 AS INTEGER)", "2");
    check("CAST(9e99 AS INTEGER)", "9223372036854775807");
    check("CAST('1e3' AS INTEGER)", "1");
    check("CAST('1e3' AS REAL)", "1000.0");
    check("CAST(5 AS TEXT) || 'x'", "5x");
    check("CAST(x'616263' AS TEXT)", "abc");
    check("CAST(x'ff' AS TEXT)", "QUARTET_MISMATCH");
    check("CAST(NULL AS INTEGER)", "NULL");
    check("CAST('true' AS BOOLEAN)", "1");
    check("CAST(7 AS BOOLEAN)", "1");
    check("CAST('6E7A1B0C-0000-4000-8000-00000000000A' AS UUID)", "6e7a1b0c-0000-4000-8000-00000000000a");
    check("CAST('{\"a\": 1}' AS JSON) -> 'a'", "1");
    check("typeof(CAST('5' AS NUMERIC))", "decimal");
}

/* ---- batches ---- */

static const struct test_column columns[] = {
    {"a", {.type = VALUE_INTEGER}, false}, {"b", {.type = VALUE_INTEGER}, false}, {"r", {.type = VALUE_REAL}, false},
    {"t", {.type = VALUE_TEXT}, false},    {"n", {.type = VALUE_TEXT}, true},     {"d", {.type = VALUE_DECIMAL, .precision = 10, .scale = 2}, false},
    {"x", {.type = VALUE_NULL}, false},    {"day", {.type = VALUE_DATE}, false},  {NULL, {.type = 0}, false},
};
#define COLUMN_COUNT 8u
#define BATCH_SEED 11u

static struct value random_cell(struct prng *r, uint32_t column, struct arena *a)
{
    static const char *const words[] = {"", "a", "A", "b", "abc", "ABC", "5", "-3", "7.5", "hello", "x%y", "zz"};
    const char *word = words[prng_below(r, sizeof words / sizeof *words)];
    if (prng_chance(r, 0.15))
        return VALUE_NULL_INIT;
    switch (column) {
    case 0:
    case 1:
        return value_int(prng_chance(r, 0.02) ? INT64_MAX : prng_between(r, -6, 6));
    case 2:
        return (struct value){.type = VALUE_REAL, .r = (double)prng_between(r, -20, 20) / 4};
    case 3:
    case 4:
        return value_text(word, strlen(word));
    case 5:
        return (struct value){.type = VALUE_DECIMAL, .scale = 2, .dec = dec_make(prng_between(r, -500, 500))};
    case 7:
        return (struct value){.type = VALUE_DATE, .i = prng_between(r, 19000, 19020)};
    default:
        return random_cell(r, (uint32_t)prng_below(r, 6), a);
    }
}

static bool random_batch(struct batch *b, uint32_t n, struct prng *r, struct arena *a)
{
    bool ok = batch_init(b, COLUMN_COUNT, a);
    for (uint32_t c = 0; c < COLUMN_COUNT && ok; c++) {
        if (columns[c].type.type != VALUE_NULL)
            ok = vec_init(&b->cols[c], columns[c].type.type, BATCH_ROWS_MAX, a);
        b->cols[c].scale = columns[c].type.scale;
        for (uint32_t k = 0; k < n && ok; k++) {
            struct value v = random_cell(r, c, a);
            ok = vec_set(&b->cols[c], k, &v, BATCH_ROWS_MAX, a);
        }
    }
    b->n = n;
    return ok;
}

static const char *const batch_expressions[] = {
    "a + b", "a - b", "a * b", "a / b", "a % b", "a + 1", "10 - a", "r * 2", "r / a", "a / r", "r + r", "r % 2", "d + d", "d * 3", "d - 0.5", "d * d",
    "d / a", "a < b", "a = 3", "3 >= a", "r > 1", "r <= a", "t = 'a'", "t < t || 'x'", "n = 'ABC'", "n < 'b'", "d > 1.5", "d = a", "x = 5", "x < 'b'",
    "x + a", "day > '2022-01-10'", "day + a", "day = DATE '2022-01-09'", "a AND b", "a OR b > 2 OR r", "NOT a", "NOT (a > 1 AND r < 2)",
    "a IS NULL", "t IS NOT NULL", "a IS b", "a IS NOT 3", "a IN (1, 2, 3)", "a NOT IN (1, NULL)", "t IN ('a', 'b', 'abc')", "n IN ('A', 'hello')",
    "x IN (5, 'a', 7.5, NULL)", "a IN (b, 1)", "a BETWEEN b AND 3", "a + 0 BETWEEN b AND 3", "t NOT BETWEEN 'a' AND 'b'", "t LIKE 'a%'", "t LIKE '%b%'",
    "t LIKE t", "x LIKE '%5'", "t GLOB 'a*'", "t REGEXP '^[a-c]+$'", "t NOT LIKE '_'", "CASE WHEN b <> 0 THEN a / b ELSE -1 END",
    "CASE WHEN a > 0 THEN t WHEN a < 0 THEN r ELSE d END", "CASE a WHEN 1 THEN 'one' WHEN b THEN 'b' END", "CASE a + 0 WHEN 1 THEN 'one' WHEN 2 THEN r END",
    "coalesce(a, r, t)", "coalesce(a, 0) + coalesce(b, 0)", "nullif(a, b)", "ifnull(t, 'none')", "iif(a > b, a, b)", "CAST(r AS INTEGER)",
    "CAST(t AS INTEGER)", "CAST(x AS TEXT)", "CAST(a AS REAL)", "-a", "+t", "~a", "-d", "-r", "a & b", "a | 8", "a << 2", "t || a", "t || n || 'x'", "length(t)",
    "upper(n)", "substr(t, 2)", "max(a, b)", "abs(r)", "round(r)", "typeof(x)", "a IS TRUE", "a IS NOT FALSE", "a XOR b", "x IS NULL", "x * 2",
    "CASE WHEN a < 1000 THEN a * 1000 END", "r = 2.5 AND a = 1", "(a > 1 OR b > 1) AND (r > 0 OR t LIKE 'a%')", "a > 0 AND a / b > 1", "year(day)",
};

/* Whatever way: the batch's answer is the row's answer, for all rows and for a part of them. */
static void check_batch(struct expr *e, const char *sql, const struct batch *in, struct arena *a)
{
    struct err err = ERR_INIT, row_err = ERR_INIT;
    struct expr_ctx ctx = {.arena = a, .host = &host};
    struct vec out;
    uint16_t sel[BATCH_ROWS_MAX];
    uint32_t n = 0, expected = 0;
    quartet_status rc = expr_eval(e, &ctx, in, &out, &err);
    quartet_status row_rc = QUARTET_OK;
    bool same = true;
    for (uint32_t k = 0; k < in->n && row_rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k);
        struct value v;
        row_rc = expr_value(e, &ctx, in, row, &v, &row_err);
        if (row_rc == QUARTET_OK && rc == QUARTET_OK) {
            struct value got = vec_get(&out, row);
            same = same && value_identical(&got, &v);
        }
    }
    if (!same || rc != row_rc)
        printf("\n    seed %llu: %s: batch and row differ (%s, %s)\n", (unsigned long long)unit_seed(BATCH_SEED), sql, status_name(rc), status_name(row_rc));
    CU_ASSERT(same);
    CU_ASSERT_EQUAL(rc, row_rc);
    if (rc != QUARTET_OK)
        return;
    rc = expr_filter(e, &ctx, in, sel, &n, &err);
    same = rc == QUARTET_OK;
    for (uint32_t k = 0; k < in->n && same; k++) {
        uint32_t row = batch_row(in, k);
        struct value got = vec_get(&out, row);
        if (types_truth(&got) == 1) {
            same = same && expected < n && sel[expected] == row;
            expected++;
        }
    }
    if (!same || expected != n)
        printf("\n    %s: filter gives %u rows, %u expected (%s)\n", sql, n, expected, err.text);
    CU_ASSERT(same);
    CU_ASSERT_EQUAL(expected, n);
}

static void test_batches_agree_with_rows(void)
{
    uint64_t seed = unit_seed(BATCH_SEED);
    struct prng r;
    prng_seed(&r, seed);
    for (int round = 0; round < 12; round++) {
        struct arena a = {.limit_bytes = 0};
        struct batch in;
        uint16_t sel[BATCH_ROWS_MAX];
        uint32_t n = (uint32_t)prng_between(&r, 1, round < 6 ? 12 : 400), selected = 0;
        CU_ASSERT_FATAL(random_batch(&in, n, &r, &a));
        for (uint32_t k = 0; k < n; k++)
            if (prng_chance(&r, 0.6))
                sel[selected++] = (uint16_t)k;
        for (size_t k = 0; k < sizeof batch_expressions / sizeof *batch_expressions; k++) {
            struct err err = ERR_INIT;
            struct arena_mark mark = arena_mark(&a);
            struct expr *e = expr_from_sql(&a, columns, batch_expressions[k], &err);
            if (e == NULL)
                printf("\n    %s: %s\n", batch_expressions[k], err.text);
            CU_ASSERT_FATAL(e != NULL);
            in.sel = NULL;
            in.n = n;
            check_batch(e, batch_expressions[k], &in, &a);
            in.sel = sel;
            in.n = selected;
            check_batch(e, batch_expressions[k], &in, &a);
            arena_rewind(&a, mark);
        }
        arena_free_all(&a);
    }
}

static void test_filter_may_write_over_its_input(void)
{
    struct arena a = {.limit_bytes = 0};
    struct prng r;
    struct batch in;
    struct err err = ERR_INIT;
    uint16_t sel[BATCH_ROWS_MAX], apart[BATCH_ROWS_MAX];
    uint32_t n, m;
    prng_seed(&r, 3);
    CU_ASSERT_FATAL(random_batch(&in, 200, &r, &a));
    struct expr *e = expr_from_sql(&a, columns, "(a > 0 OR r > 0) AND t IS NOT NULL AND (b < 3 OR x = 5)", &err);
    struct expr_ctx ctx = {.arena = &a};
    for (uint32_t k = 0; k < 100; k++)
        sel[k] = (uint16_t)(2 * k);
    in.sel = sel;
    in.n = 100;
    CU_ASSERT_EQUAL(expr_filter(e, &ctx, &in, apart, &n, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(expr_filter(e, &ctx, &in, sel, &m, &err), QUARTET_OK);
    CU_ASSERT(n > 0);
    CU_ASSERT_EQUAL(n, m);
    CU_ASSERT_EQUAL(memcmp(sel, apart, n * sizeof *sel), 0);
    arena_free_all(&a);
}

static void test_error_has_its_place(void)
{
    struct arena a = {.limit_bytes = 0};
    struct err err = ERR_INIT;
    struct value v;
    struct expr_ctx ctx = {.arena = &a};
    struct expr *e = expr_from_sql(&a, NULL, "1 + 9223372036854775807", &err);
    CU_ASSERT_FATAL(e != NULL);
    CU_ASSERT_EQUAL(expr_value(e, &ctx, NULL, 0, &v, &err), QUARTET_ERROR);
    CU_ASSERT_EQUAL(err.sql_offset, 2);
    arena_free_all(&a);
}

static bool has_op(void *arg, const struct expr *e)
{
    return e->op != *(uint8_t *)arg;
}

static bool contains(const struct expr *e, uint8_t op)
{
    return !expr_walk(e, has_op, &op);
}

static void test_building_simplifies(void)
{
    struct arena a = {.limit_bytes = 0};
    struct err err = ERR_INIT;
    CU_ASSERT(expr_is_const(expr_from_sql(&a, columns, "1 + 2 * 3 = 7 AND 'a' LIKE 'A'", &err)));
    CU_ASSERT_EQUAL(expr_from_sql(&a, columns, "a > 1 AND (b > 2 AND r > 3) AND 1", &err)->arg_count, 3);
    CU_ASSERT_EQUAL(expr_from_sql(&a, columns, "a BETWEEN 1 AND 5", &err)->op, EXPR_AND);
    CU_ASSERT_EQUAL(expr_from_sql(&a, columns, "NOT (a >= 5)", &err)->op, EXPR_LT);
    CU_ASSERT_EQUAL(expr_from_sql(&a, columns, "a IN (5)", &err)->op, EXPR_EQ);
    CU_ASSERT(expr_from_sql(&a, columns, "a IN (5, 6)", &err)->u.set != NULL);
    CU_ASSERT_FALSE(contains(expr_from_sql(&a, columns, "a = '5'", &err), EXPR_AFFINITY));
    CU_ASSERT(contains(expr_from_sql(&a, columns, "a = t", &err), EXPR_AFFINITY));
    struct expr *param, *sum;
    CU_ASSERT_EQUAL(expr_param(&a, 1, &param, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(expr_binary(&a, EXPR_ADD, param, param, -1, &sum, &err), QUARTET_OK);
    CU_ASSERT(expr_is_invariant(sum));
    CU_ASSERT_FALSE(expr_is_invariant(expr_from_sql(&a, columns, "a + 1", &err)));
    CU_ASSERT_FALSE(expr_is_invariant(expr_from_sql(&a, columns, "random()", &err)));
    CU_ASSERT(expr_equal(expr_from_sql(&a, columns, "a + b * 2", &err), expr_from_sql(&a, columns, "a + b * 2", &err)));
    CU_ASSERT_FALSE(expr_equal(expr_from_sql(&a, columns, "a + b", &err), expr_from_sql(&a, columns, "a + r", &err)));
    arena_free_all(&a);
}

/* Fail the Nth allocation until it goes through: no leak (ASan), and always NOMEM. */
static void test_memory_runs_out(void)
{
    for (size_t k = 0; k < sizeof batch_expressions / sizeof *batch_expressions; k++) {
        struct arena data = {.limit_bytes = 0};
        struct prng r;
        struct batch in;
        prng_seed(&r, 5);
        CU_ASSERT_FATAL(random_batch(&in, 40, &r, &data));
        struct err probe = ERR_INIT;
        struct expr_ctx ctx = {.arena = &data, .host = &host};
        struct vec out;
        struct expr *e = expr_from_sql(&data, columns, batch_expressions[k], &probe);
        quartet_status expected = expr_eval(e, &ctx, &in, &out, &probe);
        probe = ERR_INIT;
        struct ast_expr *x = NULL;
        const char *sql = batch_expressions[k];
        CU_ASSERT_EQUAL_FATAL(parse_expression(&data, sql, strlen(sql), NULL, &x, &probe), QUARTET_OK);
        quartet_status rc = QUARTET_NOMEM;
        for (uint64_t n = 1; rc == QUARTET_NOMEM && n < 10000; n++) {
            struct arena a = {.limit_bytes = 0};
            struct err err = ERR_INIT;
            struct test_scope scope = {&a, columns, &err};
            ctx.arena = &a;
            mem_fail_at(n, true);
            e = bind_test(&scope, x);
            rc = e != NULL ? expr_eval(e, &ctx, &in, &out, &err) : err.code;
            mem_fail_at(0, false);
            arena_free_all(&a);
            CU_ASSERT(rc == QUARTET_NOMEM || rc == expected);
        }
        CU_ASSERT_EQUAL(rc, expected);
        arena_free_all(&data);
    }
}

const char *const unit_suite = "expr";
const struct unit_test unit_tests[] = {
    {"test_expr_arithmetic", test_arithmetic},
    {"test_expr_decimal", test_decimal},
    {"test_expr_comparison_and_logic", test_comparison_and_logic},
    {"test_expr_patterns", test_patterns},
    {"test_expr_dates", test_dates},
    {"test_expr_json", test_json},
    {"test_expr_text_functions", test_text_functions},
    {"test_expr_number_functions", test_number_functions},
    {"test_expr_casts", test_casts},
    {"test_expr_batches_agree_with_rows", test_batches_agree_with_rows},
    {"test_expr_filter_may_write_over_its_input", test_filter_may_write_over_its_input},
    {"test_expr_error_has_its_place", test_error_has_its_place},
    {"test_expr_building_simplifies", test_building_simplifies},
    {"test_expr_memory_runs_out", test_memory_runs_out},
    {NULL, NULL},
};
