/* test_parse_hostile.c - text that means harm, and memory that runs out: an error each time, never
 * a crash or a leak. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "parser/parse.h"
#include "unit/cunit.h"
#include "unit/parser/forms.h"

const char *const unit_suite = "parse_hostile";

static const char *const words[] = {
    "SELECT",    "FROM",     "WHERE",     "GROUP",   "BY",        "ORDER",      "HAVING",
    "LIMIT",     "OFFSET",   "INSERT",    "INTO",    "VALUES",    "UPDATE",     "SET",
    "DELETE",    "CREATE",   "TABLE",     "INDEX",   "VIEW",      "TRIGGER",    "BEGIN",
    "END",       "ON",       "CONFLICT",  "DO",      "NOTHING",   "AND",        "OR",
    "NOT",       "NULL",     "IS",        "IN",      "LIKE",      "BETWEEN",    "CASE",
    "WHEN",      "THEN",     "ELSE",      "CAST",    "AS",        "WITH",       "RECURSIVE",
    "UNION",     "ALL",      "EXCEPT",    "JOIN",    "LEFT",      "USING",      "OVER",
    "PARTITION", "ROWS",     "RANGE",     "WINDOW",  "FILTER",    "EXISTS",     "ANY",
    "PRIMARY",   "KEY",      "UNIQUE",    "CHECK",   "DEFAULT",   "REFERENCES", "COUNTER",
    "MERGE",     "TOGETHER", "ALTER",     "ADD",     "COLUMN",    "DROP",       "RENAME",
    "TO",        "IF",       "EXPLAIN",   "ANALYZE", "PRAGMA",    "SHOW",       "OF",
    "STAMP",     "DATE",     "INTERVAL",  "FETCH",   "FIRST",     "FOR",        "RETURNING",
    "COLLATE",   "ESCAPE",   "GENERATED", "ALWAYS",  "DUPLICATE", "(",          ")",
    ",",         ".",        ";",         "*",       "=",         "<",          ">",
    "+",         "-",        "/",         "||",      "->",        "::",         "?",
    ":a",        "@b",       "'x'",       "x'00'",   "1",         "2.5",        "1e9",
    "a",         "b",        "t",         "\"q\"",   "[q]",       "`q`",        "--c\n",
    "/*c*/",     "#",        "'",         "\"",      "[",         "/*",         "\xc3\xa4",
    "\xff",      "^",
};

/* Parse the whole text, statement by statement; whatever parses must print and parse again. */
static void feed(const char *sql, size_t n)
{
    struct arena a = {.limit_bytes = 1 << 20};
    size_t at = 0;
    while (at < n) {
        struct err err = ERR_INIT;
        struct ast_stmt *s = NULL;
        size_t used = 0;
        struct arena_mark mark = arena_mark(&a);
        quartet_status rc = parse_sql(&a, sql + at, n - at, NULL, &s, &used, &err);
        if (rc != QUARTET_OK && (err.code != rc || err.text[0] == '\0' || s != NULL))
            CU_FAIL("an error without its text");
        if (s != NULL) {
            struct buf out = {0};
            struct ast_stmt *t = NULL;
            size_t again = 0;
            ast_print_stmt(s, &out);
            if (parse_sql(&a, (const char *)out.data, out.len, NULL, &t, &again, &err) !=
                    QUARTET_OK ||
                t == NULL) {
                printf("\n  %.*s\n  %.*s\n", (int)used, sql + at, (int)out.len,
                       (const char *)out.data);
                CU_FAIL("what was printed does not parse");
            }
            buf_deinit(&out);
        }
        arena_rewind(&a, mark);
        if (used == 0)
            break;
        at += used;
    }
    (void)parse_is_complete(sql, n); /* must only come back */
    CU_ASSERT_EQUAL(at, n);
    arena_free_all(&a);
}

static long rounds(long quick)
{
    const char *more = getenv("QUARTET_LONG");
    return more != NULL ? quick * 100 : quick;
}

static void test_parse_hostile_token_soup(void)
{
    uint64_t seed = unit_seed(1);
    struct prng r;
    prng_seed(&r, seed);
    printf(" (seed %llu) ", (unsigned long long)seed);
    for (long i = 0; i < rounds(4000); i++) {
        struct buf sql = {0};
        for (uint64_t k = prng_below(&r, 40); k > 0; k--) {
            buf_str(&sql, words[prng_below(&r, sizeof words / sizeof words[0])]);
            buf_str(&sql, prng_chance(&r, 0.9) ? " " : "");
        }
        feed((const char *)sql.data, sql.len);
        buf_deinit(&sql);
    }
}

/* Statements that are right but for a few words or bytes get deeper into the grammar than soup
 * does. */
static void test_parse_hostile_mutated_statements(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(2));
    for (long i = 0; i < rounds(6000); i++) {
        const char *form = forms[prng_below(&r, FORMS_COUNT)];
        const char *other = forms[prng_below(&r, FORMS_COUNT)];
        size_t n = strlen(form), cut = (size_t)prng_below(&r, n + 1),
               skip = (size_t)prng_below(&r, 12);
        struct buf sql = {0};
        buf_put(&sql, form, cut);
        switch (prng_below(&r, 4)) {
        case 0:
            buf_u8(&sql, (uint8_t)prng_below(&r, 256));
            break;
        case 1:
            buf_printf(&sql, " %s ", words[prng_below(&r, sizeof words / sizeof words[0])]);
            break;
        case 2:
            buf_str(&sql, other + prng_below(&r, strlen(other)));
            break;
        default:
            break;
        }
        if (cut + skip < n)
            buf_str(&sql, form + cut + skip);
        feed((const char *)sql.data, sql.len);
        buf_deinit(&sql);
    }
}

static void test_parse_hostile_every_prefix(void)
{
    for (size_t i = 0; i < FORMS_COUNT; i += 7)
        for (size_t n = 0; n <= strlen(forms[i]); n++) {
            char *exact = malloc(n + 1); /* so that a read past the end is seen */
            memcpy(exact, forms[i], n);
            feed(exact, n);
            free(exact);
        }
}

static void test_parse_hostile_memory_fails_at_every_allocation(void)
{
    uint64_t struck = 0;
    for (size_t i = 0; i < FORMS_COUNT; i++) {
        for (uint64_t n = 1; n < 1000; n++) {
            struct arena a = {0};
            struct err err = ERR_INIT;
            struct ast_stmt *s = NULL;
            size_t used;
            mem_fail_at(n, n % 2 == 0);
            quartet_status rc = parse_sql(&a, forms[i], strlen(forms[i]), NULL, &s, &used, &err);
            uint64_t hits = mem_fail_hits();
            mem_fail_at(0, false);
            struck += hits;
            CU_ASSERT_EQUAL(rc, hits > 0 ? QUARTET_NOMEM : QUARTET_OK);
            CU_ASSERT_EQUAL(s == NULL, rc != QUARTET_OK);
            arena_free_all(&a);
            if (hits == 0)
                break;
        }
    }
    CU_ASSERT_TRUE(struck >= FORMS_COUNT);
}

/* An arena's chunk holds a whole small statement, so the limit reaches the places between that
 * malloc never fails at. */
static void test_parse_hostile_arena_ends_anywhere(void)
{
    for (size_t i = 0; i < FORMS_COUNT; i++) {
        quartet_status rc = QUARTET_LIMIT;
        for (size_t limit = 16; rc != QUARTET_OK; limit += 16) {
            struct arena a = {.limit_bytes = limit};
            struct err err = ERR_INIT;
            struct ast_stmt *s = NULL;
            size_t used;
            rc = parse_sql(&a, forms[i], strlen(forms[i]), NULL, &s, &used, &err);
            if (rc != QUARTET_OK && rc != QUARTET_LIMIT)
                CU_FAIL_FATAL("wrong status past the arena's limit");
            if ((s == NULL) != (rc != QUARTET_OK))
                CU_FAIL_FATAL("a tree after a failure");
            arena_free_all(&a);
            if (limit > (1u << 20))
                CU_FAIL_FATAL("a small statement needs more than 1 MiB");
        }
        CU_ASSERT_EQUAL(rc, QUARTET_OK);
    }
}

const struct unit_test unit_tests[] = {
    {"test_parse_hostile_token_soup", test_parse_hostile_token_soup},
    {"test_parse_hostile_mutated_statements", test_parse_hostile_mutated_statements},
    {"test_parse_hostile_every_prefix", test_parse_hostile_every_prefix},
    {"test_parse_hostile_memory_fails_at_every_allocation",
     test_parse_hostile_memory_fails_at_every_allocation},
    {"test_parse_hostile_arena_ends_anywhere", test_parse_hostile_arena_ends_anywhere},
    {NULL, NULL},
};
