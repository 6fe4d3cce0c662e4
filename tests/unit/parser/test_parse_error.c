/* test_parse_error.c - what a user reads after a mistake: the text, the place, the caret. */
#include <string.h>

#include "parser/parse.h"
#include "unit/cunit.h"

const char *const unit_suite = "parse_error";

static void expect(const char *sql, int64_t offset, const char *text)
{
    struct arena a = {0};
    struct err err = ERR_INIT;
    struct ast_stmt *s = NULL;
    size_t used;
    CU_ASSERT_EQUAL(parse_sql(&a, sql, strlen(sql), NULL, &s, &used, &err), QUARTET_ERROR);
    CU_ASSERT_EQUAL(err.sql_offset, offset);
    CU_ASSERT_STRING_EQUAL(err.text, text);
    if (err.sql_offset != offset || strcmp(err.text, text) != 0)
        printf("\n  %s\n  %lld: %s\n", sql, (long long)err.sql_offset, err.text);
    arena_free_all(&a);
}

static void test_parse_error_names_the_keyword_that_was_meant(void)
{
    expect("SELECT a FORM t", 9, "syntax error near \"FORM\": expected FROM");
    expect("SELEC 1", 0, "syntax error near \"SELEC\": expected SELECT");
    expect("DROP TABL x", 5, "syntax error near \"TABL\": expected TABLE");
    expect("SELECT * FROM t WEHRE a = 1", 16, "syntax error near \"WEHRE\": expected WHERE");
    expect("SELECT * FROM t ORDR BY a", 16, "syntax error near \"ORDR\": expected ORDER");
    expect("UPDATE t SETT a = 1", 9, "syntax error near \"SETT\": expected SET");
}

static void test_parse_error_lists_what_was_expected(void)
{
    expect("INSERT t VALUES (1)", 7, "syntax error near \"t\": expected INTO, IGNORE or OR");
    expect("SELECT * FROM t WHERE ORDER BY a", 22,
           "syntax error near \"ORDER\": expected an expression");
    expect("SELECT (1", 9, "syntax error: the statement ends too early: expected ')' or ','");
    expect("CREATE TABLE t (a INT,)", 22,
           "syntax error near \")\": expected a name, CONSTRAINT, PRIMARY, UNIQUE, CHECK or other "
           "words");
    expect("SELECT 1 2", 9,
           "syntax error near \"2\": expected FROM, AS, ',', WHERE, GROUP or other words");
}

static void test_parse_error_tells_what_is_wrong_beyond_syntax(void)
{
    expect("INSERT INTO t VALUES (1, 2), (3)", 30,
           "all VALUES must have the same number of terms: 1 here, 2 in the first row");
    expect("UPDATE t SET (a, b) = (1, 2, 3)", 22, "2 columns are set to 3 values");
    expect("CREATE TABLE t (a INT(2.5))", 22,
           "a type's length or precision is a whole number up to 2147483647");
    expect("SELECT sum(a) OVER (ROWS BETWEEN CURRENT ROW AND 1 PRECEDING) FROM t", 20,
           "this window frame would end before it starts");
    expect("SELECT * FROM a NATURAL JOIN b ON 1", 29, "a NATURAL join has neither ON nor USING");
    expect("CREATE TABLE t (a) WITHOUT x", 27, "unknown table option WITHOUT x");
    expect("CREATE TABLE t (a, FOREIGN KEY (a) REFERENCES u (b, c))", 19,
           "this FOREIGN KEY has 1 columns and references 2");
    expect("CREATE TRIGGER g INSERT ON t BEGIN SELECT ?; END", 0,
           "a trigger is stored and cannot hold parameters");
}

static void expect_picture(const char *sql, size_t n, int64_t offset, const char *picture)
{
    struct buf out = {0};
    parse_error_render(sql, n, offset, &out);
    buf_u8(&out, 0);
    CU_ASSERT_FALSE(out.failed);
    CU_ASSERT_STRING_EQUAL((char *)out.data, picture);
    if (strcmp((char *)out.data, picture) != 0)
        printf("\n%s", (char *)out.data);
    buf_deinit(&out);
}

static void test_parse_error_render_points_at_the_place(void)
{
    const char *sql = "SELECT a,\n\tb FORM t\r\nWHERE x";
    expect_picture(sql, strlen(sql), 13, "line 2, column 4\n\tb FORM t\n\t  ^\n");
    expect_picture(sql, strlen(sql), (int64_t)strlen(sql), "line 3, column 8\nWHERE x\n       ^\n");
    expect_picture(sql, strlen(sql), 0, "line 1, column 1\nSELECT a,\n^\n");
    expect_picture("", 0, 0, "line 1, column 1\n\n^\n");
    expect_picture("x", 1, -1, "");
    expect_picture("x", 1, 2, "");
}

static void test_parse_error_render_counts_characters(void)
{
    const char *sql = "SELECT '\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80' ^";
    expect_picture(
        sql, strlen(sql), 19,
        "line 1, column 14\nSELECT '\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80' ^\n             ^\n");
    expect_picture("a\xff\x01z", 4, 3, "line 1, column 4\na??z\n   ^\n");
    expect_picture("\xef\xbb\xbfx y", 6, 5, "line 1, column 3\nx y\n  ^\n");
}

static void test_parse_error_render_shows_a_window_of_a_long_line(void)
{
    char sql[1001];
    memset(sql, 'x', 1000);
    sql[1000] = '\0';
    sql[500] = '^';
    struct buf out = {0};
    parse_error_render(sql, 1000, 500, &out);
    buf_u8(&out, 0);
    CU_ASSERT_TRUE(out.len < 300);
    char *line = strchr((char *)out.data, '\n') + 1;
    char *caret = strchr(line, '\n') + 1;
    CU_ASSERT_EQUAL(strncmp(line, "...", 3), 0);
    CU_ASSERT_EQUAL(line[strcspn(caret, "^")], '^');
    buf_deinit(&out);
}

const struct unit_test unit_tests[] = {
    {"test_parse_error_names_the_keyword_that_was_meant",
     test_parse_error_names_the_keyword_that_was_meant},
    {"test_parse_error_lists_what_was_expected", test_parse_error_lists_what_was_expected},
    {"test_parse_error_tells_what_is_wrong_beyond_syntax",
     test_parse_error_tells_what_is_wrong_beyond_syntax},
    {"test_parse_error_render_points_at_the_place", test_parse_error_render_points_at_the_place},
    {"test_parse_error_render_counts_characters", test_parse_error_render_counts_characters},
    {"test_parse_error_render_shows_a_window_of_a_long_line",
     test_parse_error_render_shows_a_window_of_a_long_line},
    {NULL, NULL},
};
