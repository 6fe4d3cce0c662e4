/* query_help.h - for tests of binder, planner and executor: run SQL on a database in memory, look
 * at rows as text. */
#ifndef TESTS_UNIT_ENGINE_QUERY_HELP_H
#define TESTS_UNIT_ENGINE_QUERY_HELP_H

#include "db_help.h"
#include "engine/exec.h"
#include "engine/types.h"

/* Run one statement in a transaction of its own; result rows are appended to `out` (may be NULL) as
 * "a|b\n", NULL as "NULL". */
static inline quartet_status query_try(db *d, const char *sql, const struct exec_limits *limits,
                                       struct buf *out, struct err *err)
{
    struct arena a = {0};
    struct ast_stmt *stmt = NULL;
    txn *t = NULL;
    plan *p = NULL;
    exec *e = NULL;
    size_t consumed;
    quartet_status rc = parse_sql(&a, sql, strlen(sql), NULL, &stmt, &consumed, err);
    if (rc == QUARTET_OK && (stmt->kind > AST_STMT_DELETE && stmt->kind != AST_STMT_TRUNCATE &&
                             stmt->kind != AST_STMT_BACKTRACK && stmt->kind != AST_STMT_RESOLVE)) {
        arena_free_all(&a);
        return help_try_ddl(d, sql, err);
    }
    if (rc == QUARTET_OK)
        rc = txn_begin(d, &t, err);
    if (rc == QUARTET_OK)
        rc = txn_statement_begin(t, err);
    if (rc == QUARTET_OK) {
        struct catalog *c = db_catalog(d);
        rc = plan_build(c, d, stmt, &a, &p, err);
        catalog_unref(c);
    }
    if (rc == QUARTET_OK)
        rc = exec_open(p, t, NULL, 0, limits, &e, err);
    while (rc == QUARTET_OK) {
        struct batch b;
        rc = exec_next(e, &b, err);
        if (rc != QUARTET_OK || b.n == 0)
            break;
        for (uint32_t k = 0; out != NULL && k < b.n; k++) {
            for (uint32_t i = 0; i < plan_column_count(p); i++) {
                struct value v = vec_get(&b.cols[i], k);
                buf_str(out, i > 0 ? "|" : "");
                if (v.type == VALUE_NULL)
                    buf_str(out, "NULL");
                else
                    value_to_text(&v, out);
            }
            buf_u8(out, '\n');
        }
    }
    exec_close(e);
    plan_free(p);
    if (rc == QUARTET_OK)
        rc = txn_commit(t, err);
    else
        txn_rollback(t);
    arena_free_all(&a);
    return rc;
}

static inline void run_sql(db *d, const char *sql)
{
    struct err err = ERR_INIT;
    OK(query_try(d, sql, NULL, NULL, &err));
}

/* The statement's rows are exactly `want`. */
static inline void expect_rows(db *d, const char *sql, const char *want)
{
    struct err err = ERR_INIT;
    struct buf out = {0};
    OK(query_try(d, sql, NULL, &out, &err));
    buf_u8(&out, 0);
    if (strcmp((const char *)out.data, want) != 0)
        printf("\n%s\n  want: %s\n  got:  %s\n", sql, want, (const char *)out.data);
    CU_ASSERT_STRING_EQUAL((const char *)out.data, want);
    buf_deinit(&out);
}

/* The statement's rows hold `part` somewhere: for EXPLAIN. */
static inline void expect_part(db *d, const char *sql, const char *part)
{
    struct err err = ERR_INIT;
    struct buf out = {0};
    OK(query_try(d, sql, NULL, &out, &err));
    buf_u8(&out, 0);
    if (strstr((const char *)out.data, part) == NULL)
        printf("\n%s\n  want: %s\n  in:   %s\n", sql, part, (const char *)out.data);
    CU_ASSERT_PTR_NOT_NULL(strstr((const char *)out.data, part));
    buf_deinit(&out);
}

/* The statement fails with this code and a text that holds `part`; offset: of the caret, or -2
 * where it does not matter. */
static inline void expect_error(db *d, const char *sql, quartet_status code, const char *part,
                                int64_t offset)
{
    struct err err = ERR_INIT;
    quartet_status rc = query_try(d, sql, NULL, NULL, &err);
    if (rc != code || strstr(err.text, part) == NULL || (offset != -2 && err.sql_offset != offset))
        printf("\n%s\n  want: %s at %lld\n  got:  %s: %s at %lld\n", sql, part, (long long)offset,
               status_name(rc), err.text, (long long)err.sql_offset);
    CU_ASSERT_EQUAL(rc, code);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, part));
    CU_ASSERT(offset == -2 || err.sql_offset == offset);
}

#endif
