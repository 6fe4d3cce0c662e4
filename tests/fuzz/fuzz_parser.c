/* fuzz_parser.c - libFuzzer target of lexer, parser and printer: any bytes give a tree or an error;
 * a tree prints and parses again. */
#include <stdint.h>
#include <stdlib.h>

#include "parser/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(struct arena *a, const struct ast_stmt *s)
{
    struct buf out = {0};
    struct err err = ERR_INIT;
    struct ast_stmt *again = NULL;
    size_t used;
    ast_print_stmt(s, &out);
    if (!out.failed &&
        parse_sql(a, (const char *)out.data, out.len, NULL, &again, &used, &err) == QUARTET_ERROR)
        abort();
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {.limit_bytes = 8 << 20};
    const char *sql = (const char *)data;
    size_t at = 0, used = 1;
    while (at < size && used > 0) {
        struct arena_mark mark = arena_mark(&a);
        struct err err = ERR_INIT;
        struct ast_stmt *s = NULL;
        quartet_status rc = parse_sql(&a, sql + at, size - at, NULL, &s, &used, &err);
        if (s != NULL)
            check_round_trip(&a, s);
        if (rc != QUARTET_OK) {
            struct buf picture = {0};
            parse_error_render(sql + at, size - at, err.sql_offset, &picture);
            buf_deinit(&picture);
        }
        arena_rewind(&a, mark);
        at += used;
    }
    struct ast_expr *e;
    struct err err = ERR_INIT;
    quartet_status rc = parse_expression(&a, sql, size, NULL, &e, &err);
    if ((rc == QUARTET_OK) != (e != NULL))
        abort();
    if (parse_is_complete(sql, size) && size > 0 && sql == NULL)
        abort();
    arena_free_all(&a);
    return 0;
}
