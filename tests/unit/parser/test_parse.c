/* test_parse.c - statements to trees: precedence, splitting, completeness, limits. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "parser/parse.h"
#include "unit/cunit.h"

const char *const unit_suite = "parse";

static quartet_status parse(struct arena *a, const char *sql, struct ast_stmt **s, struct err *err)
{
    size_t used;
    *err = ERR_INIT;
    return parse_sql(a, sql, strlen(sql), NULL, s, &used, err);
}

/* Every operator in parentheses: shows how an expression was read. */
static void bracket(const struct ast_expr *e, struct buf *out)
{
    if (e->kind == AST_EXPR_BINARY) {
        buf_str(out, "(");
        bracket(e->u.binary.left, out);
        buf_printf(out, " %s ", ast_op_text((enum ast_op)e->op));
        bracket(e->u.binary.right, out);
        buf_str(out, ")");
    } else if (e->kind == AST_EXPR_UNARY) {
        buf_printf(out, "(%s ", ast_op_text((enum ast_op)e->op));
        bracket(e->u.binary.left, out);
        buf_str(out, ")");
    } else if (e->kind == AST_EXPR_AND || e->kind == AST_EXPR_OR) {
        buf_str(out, "(");
        for (uint32_t i = 0; i < e->u.list.count; i++) {
            buf_str(out, i == 0 ? "" : e->kind == AST_EXPR_AND ? " AND " : " OR ");
            bracket(e->u.list.item[i], out);
        }
        buf_str(out, ")");
    } else if (e->kind == AST_EXPR_LIKE) {
        buf_str(out, "(");
        bracket(e->u.like->left, out);
        buf_str(out, (e->flags & AST_NEGATED) != 0 ? " NOT LIKE " : " LIKE ");
        bracket(e->u.like->pattern, out);
        buf_str(out, ")");
    } else if (e->kind == AST_EXPR_BETWEEN) {
        buf_str(out, "(");
        bracket(e->u.between->value, out);
        buf_str(out, " BETWEEN ");
        bracket(e->u.between->low, out);
        buf_str(out, " : ");
        bracket(e->u.between->high, out);
        buf_str(out, ")");
    } else {
        ast_print_expr(e, out);
    }
}

static void expect_read_as(const char *sql, const char *brackets)
{
    struct arena a = {0};
    struct err err = ERR_INIT;
    struct ast_expr *e = NULL;
    struct buf out = {0};
    CU_ASSERT_EQUAL_FATAL(parse_expression(&a, sql, strlen(sql), NULL, &e, &err), QUARTET_OK);
    bracket(e, &out);
    buf_u8(&out, 0);
    CU_ASSERT_STRING_EQUAL((char *)out.data, brackets);
    if (strcmp((char *)out.data, brackets) != 0)
        printf("\n  %s\n  %s\n", sql, (char *)out.data);
    buf_deinit(&out);
    arena_free_all(&a);
}

static void test_parse_binds_operators_as_sqlite(void)
{
    expect_read_as("a OR b AND c", "(a OR (b AND c))");
    expect_read_as("a AND b AND c OR d OR e", "((a AND b AND c) OR d OR e)");
    expect_read_as("NOT a = b AND c", "((NOT (a = b)) AND c)");
    expect_read_as("a = b < c", "(a = (b < c))");
    expect_read_as("a < b & c", "(a < (b & c))");
    expect_read_as("a & b + c", "(a & (b + c))");
    expect_read_as("a << b | c", "((a << b) | c)");
    expect_read_as("a - b - c", "((a - b) - c)");
    expect_read_as("a + b * c || d", "(a + (b * (c || d)))");
    expect_read_as("-a * b", "((- a) * b)");
    expect_read_as("- - a || ~b", "((- (- a)) || (~ b))");
    expect_read_as("a -> 'x' ->> 'y' || c", "(((a -> 'x') ->> 'y') || c)");
    expect_read_as("a LIKE b || c AND d", "((a LIKE (b || c)) AND d)");
    expect_read_as("a BETWEEN b AND c AND d", "((a BETWEEN b : c) AND d)");
    expect_read_as("a NOT LIKE b OR c", "((a NOT LIKE b) OR c)");
    expect_read_as("a IS NOT NULL = b", "((NOTNULL a) = b)");
    expect_read_as("a = b IS NULL", "(ISNULL (a = b))");
    expect_read_as("a || b COLLATE x", "(a || b COLLATE x)");
    expect_read_as("a XOR b AND c OR d", "((a XOR (b AND c)) OR d)");
    expect_read_as("-1", "(- 1)");
    expect_read_as("a <=> b", "(a IS NOT DISTINCT FROM b)");
}

static void test_parse_splits_a_script_into_statements(void)
{
    const char *sql = ";; SELECT 1; -- c\n CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; "
                      "UPDATE t SET a = CASE WHEN 1 THEN 2 END; END; "
                      "EXPLAIN SELECT ';';  ";
    static const enum ast_stmt_kind kinds[] = {AST_STMT_SELECT, AST_STMT_CREATE_TRIGGER,
                                               AST_STMT_SELECT};
    struct arena a = {0};
    struct err err = ERR_INIT;
    size_t n = strlen(sql), at = 0;
    for (int i = 0; i < 3; i++) {
        struct ast_stmt *s = NULL;
        size_t used = 0;
        CU_ASSERT_EQUAL_FATAL(parse_sql(&a, sql + at, n - at, NULL, &s, &used, &err), QUARTET_OK);
        CU_ASSERT_TRUE_FATAL(s != NULL);
        CU_ASSERT_EQUAL(s->kind, kinds[i]);
        CU_ASSERT_EQUAL(sql[at + used - 1], ';');
        CU_ASSERT_EQUAL(s->explain, i == 2 ? AST_EXPLAIN_PLAN : AST_EXPLAIN_NONE);
        CU_ASSERT_NOT_EQUAL(sql[at + s->offset + s->length - 1], ';');
        at += used;
    }
    struct ast_stmt *s = NULL;
    size_t used = 0;
    CU_ASSERT_EQUAL(parse_sql(&a, sql + at, n - at, NULL, &s, &used, &err), QUARTET_OK);
    CU_ASSERT_PTR_NULL(s);
    CU_ASSERT_EQUAL(at + used, n);
    arena_free_all(&a);
}

static void test_parse_goes_on_after_a_faulty_statement(void)
{
    static const char *const scripts[] = {"SELECT FROM; SELECT 2", "SELECT 1 ^ 2; SELECT 2",
                                          "SELECT f(; SELECT 2",
                                          "CREATE TRIGGER g ON BEGIN SELECT 1; END; SELECT 2"};
    for (size_t i = 0; i < 4; i++) {
        struct arena a = {0};
        struct err err = ERR_INIT;
        struct ast_stmt *s = NULL;
        size_t used = 0, n = strlen(scripts[i]);
        CU_ASSERT_EQUAL(parse_sql(&a, scripts[i], n, NULL, &s, &used, &err), QUARTET_ERROR);
        CU_ASSERT_EQUAL(used, n - strlen(" SELECT 2"));
        CU_ASSERT_EQUAL(parse_sql(&a, scripts[i] + used, n - used, NULL, &s, &used, &err),
                        QUARTET_OK);
        CU_ASSERT_PTR_NOT_NULL(s);
        arena_free_all(&a);
    }
}

static void test_parse_is_complete_knows_when_to_ask_for_more(void)
{
    static const char *const complete[] = {
        "",
        "  ",
        "-- x",
        "SELECT 1;",
        "SELECT 1; -- x",
        "SELECT ';';",
        "SELECT ^;",
        "/* x */",
        "CREATE TRIGGER g UPDATE ON t BEGIN SELECT 1; END;",
        "CREATE TRIGGER g;",
        "CREATE TEMP TRIGGER g UPDATE ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; END;"};
    static const char *const open[] = {"SELECT 1",
                                       "SELECT 1; SELECT",
                                       "SELECT ';",
                                       "SELECT \";",
                                       "SELECT [;",
                                       "SELECT `;",
                                       "SELECT 1; /* x",
                                       "CREATE TRIGGER g UPDATE ON t BEGIN SELECT 1;",
                                       "CREATE TRIGGER g UPDATE ON t BEGIN SELECT 1; END",
                                       "EXPLAIN CREATE TRIGGER g UPDATE ON t BEGIN SELECT 1;"};
    for (size_t i = 0; i < sizeof complete / sizeof complete[0]; i++) {
        CU_ASSERT_TRUE(parse_is_complete(complete[i], strlen(complete[i])));
        if (!parse_is_complete(complete[i], strlen(complete[i])))
            printf("\n  %s\n", complete[i]);
    }
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        CU_ASSERT_FALSE(parse_is_complete(open[i], strlen(open[i])));
}

/* "SELECT " + before * n + middle + after * n */
static quartet_status parse_nested(const char *before, const char *middle, const char *after,
                                   size_t n, uint32_t limit)
{
    struct buf sql = {0};
    struct arena a = {0};
    struct err err = ERR_INIT;
    struct ast_stmt *s = NULL;
    struct parse_limits limits = {.max_expression_depth = limit};
    size_t used;
    buf_str(&sql, "SELECT ");
    for (size_t i = 0; i < n; i++)
        buf_str(&sql, before);
    buf_str(&sql, middle);
    for (size_t i = 0; i < n; i++)
        buf_str(&sql, after);
    quartet_status rc = parse_sql(&a, (const char *)sql.data, sql.len, &limits, &s, &used, &err);
    CU_ASSERT_EQUAL(rc, err.code);
    if (rc == QUARTET_LIMIT)
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "max_expression_depth"));
    arena_free_all(&a);
    buf_deinit(&sql);
    return rc;
}

static void test_parse_nests_to_the_limit_and_no_further(void)
{
    CU_ASSERT_EQUAL(parse_nested("(", "1", ")", 1000, 0), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("a AND (b OR ", "c", ")", 400, 0), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("f(", "1", ")", 998, 0),
                    QUARTET_OK); /* the SELECT and the 1 count too */
    CU_ASSERT_EQUAL(parse_nested("f(", "1", ")", 999, 0), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(parse_nested("f(", "1", ")", 8, 10), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("f(", "1", ")", 9, 10), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(parse_nested("1 + ", "1", "", 998, 0), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("1 + ", "1", "", 999, 0), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(parse_nested("(SELECT ", "1", ")", 499, 0), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("(SELECT ", "1", ")", 500, 0), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(parse_nested("CASE WHEN 1 THEN ", "1", " END", 998, 0), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("CASE WHEN 1 THEN ", "1", " END", 999, 0), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(parse_nested("* FROM (SELECT ", "1", ")", 499, 0), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("* FROM (SELECT ", "1", ")", 500, 0), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(parse_nested("- ", "1", "", 999, 0), QUARTET_LIMIT);
}

static void test_parse_survives_any_nesting(void)
{
    static const char *const openers[] = {"(",
                                          "f(",
                                          "- ",
                                          "NOT ",
                                          "(SELECT ",
                                          "CASE ",
                                          "CASE WHEN ",
                                          "a IN (",
                                          "sum(a) OVER (ORDER BY ",
                                          "* FROM (",
                                          "* FROM (SELECT ",
                                          "x BETWEEN ",
                                          "CAST(",
                                          "EXISTS (",
                                          "WITH a AS (",
                                          "(VALUES (",
                                          "1 UNION (SELECT "};
    for (size_t i = 0; i < sizeof openers / sizeof openers[0]; i++) {
        quartet_status rc = parse_nested(openers[i], "1", "", 20000, 0);
        CU_ASSERT_TRUE(rc == QUARTET_LIMIT || rc == QUARTET_ERROR);
    }
}

static void test_parse_takes_wide_statements(void)
{
    CU_ASSERT_EQUAL(parse_nested("a = 1 AND ", "1", "", 5000, 0), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("a = 1 OR b AND ", "1", "", 5000, 0), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("a, ", "1", "", 5000, 0), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("", "1", " UNION ALL SELECT 2", 5000, 0), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("", "1 FROM t0", " JOIN t ON 1", 2000, 0), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("", "1 FROM t0", ", t", 2000, 0), QUARTET_OK);
    CU_ASSERT_EQUAL(parse_nested("", "a IN (1", ", 2", 0, 0), QUARTET_ERROR);
}

static void test_parse_makes_chains_one_node(void)
{
    struct arena a = {0};
    struct err err;
    struct ast_stmt *s = NULL;
    CU_ASSERT_EQUAL_FATAL(parse(&a, "SELECT a AND (b AND c) AND d AND (e OR (f OR g))", &s, &err),
                          QUARTET_OK);
    const struct ast_expr *e = s->u.query->select->results.item[0].expr;
    CU_ASSERT_EQUAL(e->kind, AST_EXPR_AND);
    CU_ASSERT_EQUAL_FATAL(e->u.list.count, 5);
    CU_ASSERT_EQUAL(e->u.list.item[4]->u.list.count, 3);
    CU_ASSERT_EQUAL(e->height, 3);
    CU_ASSERT_EQUAL_FATAL(
        parse(&a, "(SELECT 1 UNION SELECT 2) EXCEPT SELECT 3 INTERSECT (SELECT 4 UNION SELECT 5)",
              &s, &err),
        QUARTET_OK);
    CU_ASSERT_EQUAL(s->u.query->kind, AST_QUERY_COMPOUND);
    CU_ASSERT_EQUAL(s->u.query->part_count, 4);
    CU_ASSERT_EQUAL(s->u.query->part[3].query->kind, AST_QUERY_COMPOUND);
    arena_free_all(&a);
}

static void test_parse_keeps_places_for_messages(void)
{
    struct arena a = {0};
    struct err err;
    struct ast_stmt *s = NULL;
    const char *sql = " SELECT  a + b , f( c )AS x, u.* FROM t  ;";
    CU_ASSERT_EQUAL_FATAL(parse(&a, sql, &s, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(s->offset, 1);
    CU_ASSERT_EQUAL(s->length, strlen("SELECT  a + b , f( c )AS x, u.* FROM t"));
    const struct ast_results *r = &s->u.query->select->results;
    static const char *const texts[] = {"a + b", "f( c )", "u.*"};
    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(r->item[i].length, strlen(texts[i]));
        CU_ASSERT_EQUAL(memcmp(sql + r->item[i].offset, texts[i], strlen(texts[i])), 0);
    }
    CU_ASSERT_EQUAL(sql[r->item[0].expr->offset], '+');
    CU_ASSERT_EQUAL(sql[r->item[1].expr->offset], 'f');
    CU_ASSERT_EQUAL(sql[s->u.query->select->from.item[0]->offset], 't');
    sql = "CREATE TABLE t (a INT CHECK ( a > 0 ))";
    CU_ASSERT_EQUAL_FATAL(parse(&a, sql, &s, &err), QUARTET_OK);
    const struct ast_constraint *c = s->u.create_table->columns.item[0]->constraints.item[0];
    CU_ASSERT_EQUAL(c->check_length, 5);
    CU_ASSERT_EQUAL(memcmp(sql + c->check_offset, "a > 0", 5), 0);
    arena_free_all(&a);
}

static void test_parse_reads_columns_of_every_kind(void)
{
    struct arena a = {0};
    struct err err;
    struct ast_stmt *s = NULL;
    CU_ASSERT_EQUAL_FATAL(parse(&a,
                                "CREATE TABLE t (a INTEGER COUNTER, b DECIMAL(10, 2) NOT NULL "
                                "COUNTER, c COUNTER, d TEXT SET, e REAL maximum, f counter TEXT)",
                                &s, &err),
                          QUARTET_OK);
    const struct ast_column_defs *c = &s->u.create_table->columns;
    static const enum ast_column_kind kinds[] = {AST_COLUMN_COUNTER, AST_COLUMN_COUNTER,
                                                 AST_COLUMN_COUNTER, AST_COLUMN_SET,
                                                 AST_COLUMN_MAXIMUM, AST_COLUMN_LWW};
    static const char *const types[] = {"INTEGER", "DECIMAL", NULL, "TEXT", "REAL", "counter TEXT"};
    CU_ASSERT_EQUAL_FATAL(c->count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(c->item[i]->column_kind, kinds[i]);
        CU_ASSERT_TRUE(types[i] == NULL ? c->item[i]->type.text == NULL
                                        : strcmp(c->item[i]->type.text, types[i]) == 0);
    }
    CU_ASSERT_EQUAL(c->item[1]->type.arg_count, 2);
    CU_ASSERT_EQUAL(c->item[1]->type.arg[0], 10);
    CU_ASSERT_EQUAL(c->item[1]->not_null, 1);
    arena_free_all(&a);
}

const struct unit_test unit_tests[] = {
    {"test_parse_binds_operators_as_sqlite", test_parse_binds_operators_as_sqlite},
    {"test_parse_splits_a_script_into_statements", test_parse_splits_a_script_into_statements},
    {"test_parse_goes_on_after_a_faulty_statement", test_parse_goes_on_after_a_faulty_statement},
    {"test_parse_is_complete_knows_when_to_ask_for_more",
     test_parse_is_complete_knows_when_to_ask_for_more},
    {"test_parse_nests_to_the_limit_and_no_further", test_parse_nests_to_the_limit_and_no_further},
    {"test_parse_survives_any_nesting", test_parse_survives_any_nesting},
    {"test_parse_takes_wide_statements", test_parse_takes_wide_statements},
    {"test_parse_makes_chains_one_node", test_parse_makes_chains_one_node},
    {"test_parse_keeps_places_for_messages", test_parse_keeps_places_for_messages},
    {"test_parse_reads_columns_of_every_kind", test_parse_reads_columns_of_every_kind},
    {NULL, NULL},
};
