/* test_lex.c - tokens, seen through the expressions and names they become. */
#include <math.h>
#include <string.h>

#include "parser/lex.h"
#include "parser/parse.h"
#include "unit/cunit.h"

const char *const unit_suite = "lex";

/* Parse `sql` as an expression into `a`; NULL with the error in *err. */
static struct ast_expr *expr(struct arena *a, const char *sql, struct err *err)
{
    struct ast_expr *e = NULL;
    *err = ERR_INIT;
    quartet_status rc = parse_expression(a, sql, strlen(sql), NULL, &e, err);
    CU_ASSERT_EQUAL(rc == QUARTET_OK, e != NULL);
    CU_ASSERT_EQUAL(rc, err->code);
    return e;
}

static void expect_integer(const char *sql, int64_t value)
{
    struct arena a = {0};
    struct err err;
    struct ast_expr *e = expr(&a, sql, &err);
    CU_ASSERT_TRUE(e != NULL && e->kind == AST_EXPR_INTEGER && e->u.integer == value);
    arena_free_all(&a);
}

static void expect_real(const char *sql, double value, const char *text)
{
    struct arena a = {0};
    struct err err;
    struct ast_expr *e = expr(&a, sql, &err);
    CU_ASSERT_TRUE_FATAL(e != NULL && e->kind == AST_EXPR_REAL);
    CU_ASSERT_EQUAL(e->u.real.value, value);
    CU_ASSERT_STRING_EQUAL(e->u.real.text, text);
    arena_free_all(&a);
}

static void expect_column(const char *sql, const char *name)
{
    struct arena a = {0};
    struct err err;
    struct ast_expr *e = expr(&a, sql, &err);
    CU_ASSERT_TRUE_FATAL(e != NULL && e->kind == AST_EXPR_COLUMN);
    CU_ASSERT_STRING_EQUAL(e->u.column->name.text, name);
    CU_ASSERT_EQUAL(e->u.column->name.len, strlen(name));
    arena_free_all(&a);
}

static void expect_error(const char *sql, size_t n, int64_t offset, const char *part)
{
    struct arena a = {0};
    struct err err = ERR_INIT;
    struct ast_expr *e = NULL;
    CU_ASSERT_EQUAL(parse_expression(&a, sql, n, NULL, &e, &err), QUARTET_ERROR);
    CU_ASSERT_EQUAL(err.sql_offset, offset);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, part));
    if (err.sql_offset != offset || strstr(err.text, part) == NULL)
        printf("\n  %s -> %lld: %s\n", sql, (long long)err.sql_offset, err.text);
    arena_free_all(&a);
}

static void test_lex_reads_integers_to_the_edge_of_64_bits(void)
{
    expect_integer("0", 0);
    expect_integer("007", 7);
    expect_integer("9223372036854775807", INT64_MAX);
    expect_integer("-9223372036854775808", INT64_MIN);
    expect_integer("0x7fffffffffffffff", INT64_MAX);
    expect_integer("0XFFFFFFFFFFFFFFFF", -1);
    expect_integer("0x0", 0);
    expect_real("9223372036854775808", 9223372036854775808.0, "9223372036854775808");
    expect_real("123456789012345678901234567890", 123456789012345678901234567890.0,
                "123456789012345678901234567890");
    expect_error("0x10000000000000000", 19, 0, "hexadecimal literal too big");
}

static void test_lex_reads_reals_and_keeps_their_text(void)
{
    expect_real("1.5", 1.5, "1.5");
    expect_real("0.10", 0.1, "0.10");
    expect_real(".5", 0.5, ".5");
    expect_real("1.", 1.0, "1.");
    expect_real("1e5", 1e5, "1e5");
    expect_real("2.5E-3", 2.5e-3, "2.5E-3");
    expect_real("1e+2", 100, "1e+2");
    expect_real("1.7976931348623157e308", 1.7976931348623157e308, "1.7976931348623157e308");
    expect_real("4.9e-324", 4.9e-324, "4.9e-324");
    expect_real("0.000000000000000000000001", 1e-24, "0.000000000000000000000001");
    expect_real("1e400", (double)INFINITY, "1e400");
    expect_real("1e-99999999999999999999", 0, "1e-99999999999999999999");
    expect_real("0.1234567890123456789", 0.1234567890123456789, "0.1234567890123456789");
}

static void test_lex_refuses_words_that_begin_with_digits(void)
{
    expect_error("1_000", 5, 1, "cannot begin with a digit");
    expect_error("12abc", 5, 2, "cannot begin with a digit");
    expect_error("0xZZ", 4, 1, "cannot begin with a digit");
    expect_error("1e", 2, 1, "cannot begin with a digit");
}

static void test_lex_unquotes_names_of_every_kind(void)
{
    expect_column("abc", "abc");
    expect_column("_a$1", "_a$1");
    expect_column("\"a\"\"b\"", "a\"b");
    expect_column("`a``b`", "a`b");
    expect_column("[a b]", "a b");
    expect_column("\xc3\xa4rger", "\xc3\xa4rger");
    expect_column("\"select\"", "select");
    expect_column("offset", "offset");
    expect_column("key", "key");
    expect_column("Window", "Window");
    expect_column("fetch", "fetch");
}

static void test_lex_unescapes_strings_and_blobs(void)
{
    struct arena a = {0};
    struct err err;
    struct ast_expr *e = expr(&a, "'it''s'''", &err);
    CU_ASSERT_TRUE_FATAL(e != NULL && e->kind == AST_EXPR_STRING);
    CU_ASSERT_STRING_EQUAL(e->u.string.p, "it's'");
    CU_ASSERT_EQUAL(e->u.string.n, 5);
    e = expr(&a, "x'00fFa0'", &err);
    CU_ASSERT_TRUE_FATAL(e != NULL && e->kind == AST_EXPR_BLOB);
    CU_ASSERT_EQUAL(e->u.string.n, 3);
    CU_ASSERT_EQUAL(memcmp(e->u.string.p, "\x00\xff\xa0", 3), 0);
    e = expr(&a, "X''", &err);
    CU_ASSERT_TRUE(e != NULL && e->kind == AST_EXPR_BLOB && e->u.string.n == 0);
    e = expr(&a, "N'x'", &err);
    CU_ASSERT_TRUE(e != NULL && e->kind == AST_EXPR_STRING && strcmp(e->u.string.p, "x") == 0);
    arena_free_all(&a);
    expect_error("x'0'", 4, 3, "pairs of hexadecimal digits");
    expect_error("x'0g'", 5, 3, "pairs of hexadecimal digits");
    expect_error("1 + 'abc", 8, 4, "no closing quote");
    expect_error("\"abc", 4, 0, "no closing quote");
    expect_error("[abc", 4, 0, "no closing quote");
    expect_error("x'00", 4, 1, "no closing quote");
}

static void test_lex_skips_comments(void)
{
    expect_integer("-- one\n 1 -- two", 1);
    expect_integer("/* one */ 2 /* two", 2);
    expect_integer("# one\n3\n  # two", 3);
    expect_integer("/* a /* b */ 4", 4);
    expect_integer("\xef\xbb\xbf# mark\n5", 5);
    expect_integer("\xef\xbb\xbf"
                   "6",
                   6);
    expect_error("1 # 2", 5, 2, "means nothing here");
    expect_integer("8 --", 8);
    expect_integer("9 /**/", 9);
}

static void test_lex_refuses_bytes_that_are_no_text(void)
{
    expect_error("1 + \0 2", 7, 4, "NUL byte");
    expect_error("'a\0b'", 5, 2, "NUL byte");
    expect_error("'ab\xff'", 5, 3, "not valid UTF-8");
    expect_error("a\xc3", 2, 1, "not valid UTF-8");
    expect_error("1 /* \xc0\x80 */", 10, 5, "not valid UTF-8");
    expect_error("1 -- \xed\xa0\x80", 8, 5, "not valid UTF-8");
    expect_error("\"\xf8\"", 3, 1, "not valid UTF-8");
    expect_error("1 ^ 2", 5, 2, "means nothing here");
    expect_error("1 ! 2", 5, 2, "means nothing here");
    expect_error("a : b", 5, 2, "needs a name");
}

static void test_lex_gives_parameters_numbers_and_names(void)
{
    struct arena a = {0};
    struct err err = ERR_INIT;
    struct ast_stmt *s = NULL;
    size_t used;
    const char *sql = "SELECT ?, ?7, ?, :a, @b, $c, :a, ?2";
    CU_ASSERT_EQUAL_FATAL(parse_sql(&a, sql, strlen(sql), NULL, &s, &used, &err), QUARTET_OK);
    static const uint32_t numbers[] = {1, 7, 8, 9, 10, 11, 9, 2};
    for (uint32_t i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(s->u.query->select->results.item[i].expr->u.param, numbers[i]);
    CU_ASSERT_EQUAL_FATAL(s->params.count, 11);
    CU_ASSERT_PTR_NULL(s->params.names[0]);
    CU_ASSERT_STRING_EQUAL(s->params.names[8], ":a");
    CU_ASSERT_STRING_EQUAL(s->params.names[10], "$c");
    arena_free_all(&a);
    static const char *const wrong[] = {"SELECT ?0", "SELECT ?32767",
                                        "SELECT ?99999999999999999999"};
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(parse_sql(&a, wrong[i], strlen(wrong[i]), NULL, &s, &used, &err),
                        QUARTET_ERROR);
        CU_ASSERT_PTR_NULL(s);
        arena_free_all(&a);
    }
    expect_error("1 + ?", 5, 4, "a parameter cannot stand here");
}

/* The tables are searched up to the first longer word: one out of its place would hide those behind it. */
static void test_lex_finds_every_keyword(void)
{
    uint32_t found = 0;
    for (int code = 1; code < 400; code++) {
        const char *text = keyword_text(code);
        if (text == NULL)
            continue;
        found++;
        CU_ASSERT_TRUE(keyword_is_known(text, strlen(text)));
    }
    CU_ASSERT_TRUE(found > 200);
    static const char *const shared[] = {"GLOB",     "ILIKE",     "REGEXP", "RLIKE",          "DATETIME",      "TIMESTAMP",
                                         "json",     "Uuid",      "temp",   "TEMPORARY",      "AUTOINCREMENT", "auto_increment",
                                         "LOCALTIME", "LOCALTIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"};
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
        CU_ASSERT_TRUE(keyword_is_known(shared[i], strlen(shared[i])));
    CU_ASSERT_FALSE(keyword_is_known("SELEC", 5));
    CU_ASSERT_FALSE(keyword_is_known("CURRENT_TIMESTAMPS", 18));
}

const struct unit_test unit_tests[] = {
    {"test_lex_finds_every_keyword", test_lex_finds_every_keyword},
    {"test_lex_reads_integers_to_the_edge_of_64_bits",
     test_lex_reads_integers_to_the_edge_of_64_bits},
    {"test_lex_reads_reals_and_keeps_their_text", test_lex_reads_reals_and_keeps_their_text},
    {"test_lex_refuses_words_that_begin_with_digits",
     test_lex_refuses_words_that_begin_with_digits},
    {"test_lex_unquotes_names_of_every_kind", test_lex_unquotes_names_of_every_kind},
    {"test_lex_unescapes_strings_and_blobs", test_lex_unescapes_strings_and_blobs},
    {"test_lex_skips_comments", test_lex_skips_comments},
    {"test_lex_refuses_bytes_that_are_no_text", test_lex_refuses_bytes_that_are_no_text},
    {"test_lex_gives_parameters_numbers_and_names", test_lex_gives_parameters_numbers_and_names},
    {NULL, NULL},
};
