/* test_ast_print.c - the round trip: what is printed parses, and prints alike again. Over every
 * form, over shared data where it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser/parse.h"
#include "unit/cunit.h"
#include "unit/parser/forms.h"

const char *const unit_suite = "ast_print";

/* Parse one statement of sql[0..n), print, parse, print: equal. Returns the bytes read, 0 after a
 * failure; *seen counts statements. */
static size_t round_trip(struct arena *a, const char *sql, size_t n, size_t *seen)
{
    struct err err = ERR_INIT;
    struct ast_stmt *one = NULL, *two = NULL;
    struct buf first = {0}, second = {0};
    size_t used = 0, again = 0;
    quartet_status rc = parse_sql(a, sql, n, NULL, &one, &used, &err);
    bool same = rc == QUARTET_OK;
    if (same && one != NULL) {
        (*seen)++;
        ast_print_stmt(one, &first);
        rc = parse_sql(a, (const char *)first.data, first.len, NULL, &two, &again, &err);
        same = rc == QUARTET_OK && two != NULL && again == first.len && two->kind == one->kind &&
               two->params.count <= one->params.count;
        if (same) {
            ast_print_stmt(two, &second);
            same = first.len == second.len && memcmp(first.data, second.data, first.len) == 0;
        }
    }
    if (!same)
        printf("\n  %.*s\n  %.*s\n  %.*s\n  %s\n", (int)(used < 500 ? used : 500), sql,
               (int)first.len, (const char *)first.data, (int)second.len, (const char *)second.data,
               err.text);
    buf_deinit(&first);
    buf_deinit(&second);
    return same ? used : 0;
}

static void test_ast_print_round_trips_every_form(void)
{
    size_t seen = 0;
    for (size_t i = 0; i < FORMS_COUNT; i++) {
        struct arena a = {0};
        CU_ASSERT_EQUAL(round_trip(&a, forms[i], strlen(forms[i]), &seen), strlen(forms[i]));
        arena_free_all(&a);
    }
    CU_ASSERT_EQUAL(seen, FORMS_COUNT);
}

static void expect(const char *sql, const char *printed)
{
    struct arena a = {0};
    struct err err = ERR_INIT;
    struct ast_stmt *s = NULL;
    struct buf out = {0};
    size_t used;
    CU_ASSERT_EQUAL_FATAL(parse_sql(&a, sql, strlen(sql), NULL, &s, &used, &err), QUARTET_OK);
    ast_print_stmt(s, &out);
    buf_u8(&out, 0);
    CU_ASSERT_STRING_EQUAL((char *)out.data, printed);
    if (strcmp((char *)out.data, printed) != 0)
        printf("\n  %s\n", (char *)out.data);
    buf_deinit(&out);
    arena_free_all(&a);
}

static void test_ast_print_is_canonical(void)
{
    expect("select  A,b  c from [t x] where (((a))) = - (- 1)",
           "SELECT A, b AS c FROM \"t x\" WHERE a = -(-1)");
    expect("select a <=> b, a is null, not exists(select 1)",
           "SELECT a IS NOT DISTINCT FROM b, a IS NULL, NOT EXISTS (SELECT 1)");
    expect("select (a or b) and c, (a and b) or c, a + (b + c), (a + b) + c",
           "SELECT (a OR b) AND c, a AND b OR c, a + (b + c), a + b + c");
    expect("create table [T]([a] integer not null primary key,\"order\" NVARCHAR ( 160 ) "
           "default('x'))",
           "CREATE TABLE T (a integer PRIMARY KEY NOT NULL, \"order\" NVARCHAR(160) DEFAULT 'x')");
    expect("select ?, :b, ?1", "SELECT ?1, :b, ?1");
    expect("select 0.10, 1e5, 0xff, x'AB'", "SELECT 0.10, 1e5, 255, x'ab'");
    expect("select \"a\", [select], `b`, \"x y\"", "SELECT \"a\", \"select\", b, \"x y\"");
    expect("replace into t values (1)", "INSERT OR REPLACE INTO t VALUES (1)");
}

static void test_ast_print_quotes_names_that_need_it(void)
{
    static const char *const names[][2] = {{"a", "a"},
                                           {"A_1$", "A_1$"},
                                           {"1a", "\"1a\""},
                                           {"a b", "\"a b\""},
                                           {"select", "\"select\""},
                                           {"Order", "\"Order\""},
                                           {"a\"b", "\"a\"\"b\""},
                                           {"", "\"\""},
                                           {"\xc3\xa4", "\xc3\xa4"},
                                           {"key", "key"},
                                           {"a-b", "\"a-b\""},
                                           {"$a", "\"$a\""}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct buf out = {0};
        ast_print_name(names[i][0], &out);
        buf_u8(&out, 0);
        CU_ASSERT_STRING_EQUAL((char *)out.data, names[i][1]);
        buf_deinit(&out);
    }
}

/* A file of shared data, or NULL. The caller frees it. */
static char *read_shared(const char *name, size_t *n)
{
    static const char *const places[] = {"..", "../..", "../../..", "../../../.."};
    char path[1024];
    const char *shared = getenv("QUARTET_SHARED");
    FILE *f = NULL;
    if (shared != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", shared, name);
        f = fopen(path, "rb");
    }
    for (size_t i = 0; shared == NULL && f == NULL && i < sizeof places / sizeof places[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/shared/%s", places[i], name);
        f = fopen(path, "rb");
    }
    if (f == NULL)
        return NULL;
    char *text = malloc(4000000);
    *n = text == NULL ? 0 : fread(text, 1, 4000000, f);
    fclose(f);
    return text;
}

static void test_ast_print_round_trips_chinook(void)
{
    size_t n = 0, at = 0, seen = 0;
    char *sql = read_shared("data/chinook.sql", &n);
    if (sql == NULL) {
        printf(" (skipped: no shared/data/chinook.sql; set QUARTET_SHARED) ");
        const char *ci = getenv("CI");
        CU_ASSERT_TRUE(ci == NULL || strcmp(ci, "true") != 0);
        return;
    }
    struct arena a = {0};
    while (at < n) {
        struct arena_mark mark = arena_mark(&a);
        size_t used = round_trip(&a, sql + at, n - at, &seen);
        arena_rewind(&a, mark);
        CU_ASSERT_TRUE_FATAL(used > 0);
        at += used;
    }
    CU_ASSERT_TRUE(seen > 40);
    arena_free_all(&a);
    free(sql);
}

const struct unit_test unit_tests[] = {
    {"test_ast_print_round_trips_every_form", test_ast_print_round_trips_every_form},
    {"test_ast_print_is_canonical", test_ast_print_is_canonical},
    {"test_ast_print_quotes_names_that_need_it", test_ast_print_quotes_names_that_need_it},
    {"test_ast_print_round_trips_chinook", test_ast_print_round_trips_chinook},
    {NULL, NULL},
};
