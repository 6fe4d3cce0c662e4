/* db_help.h - for tests of the engine: open a database in memory, run DDL, write and read rows without the SQL layer. */
#ifndef TESTS_UNIT_ENGINE_DB_HELP_H
#define TESTS_UNIT_ENGINE_DB_HELP_H

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/db.h"
#include "engine/txn_internal.h"
#include "parser/parse.h"
#include "unit/cunit.h"

/* Fails the test with the message where a call does not return QUARTET_OK. */
#define OK(call)                                                                                                    \
    do {                                                                                                            \
        quartet_status ok_rc = (call);                                                                              \
        if (ok_rc != QUARTET_OK)                                                                                    \
            printf("\n%s:%d: %s: %s\n", __FILE__, __LINE__, status_name(ok_rc), err.text);                          \
        CU_ASSERT_EQUAL_FATAL(ok_rc, QUARTET_OK);                                                                   \
    } while (0)

static inline db *help_memory(void)
{
    struct err err = ERR_INIT;
    struct db_options o = {.in_memory = true};
    db *d = NULL;
    OK(db_open(env_posix(), NULL, &o, &d, &err));
    return d;
}

static inline void help_close(db *d)
{
    struct err err = ERR_INIT;
    OK(db_close(d, &err));
}

/* One statement of DDL within a transaction that is there. */
static inline quartet_status help_ddl_in(txn *t, const char *sql, struct err *err)
{
    struct arena a = {0};
    struct ast_stmt *stmt = NULL;
    size_t consumed;
    quartet_status rc = parse_sql(&a, sql, strlen(sql), NULL, &stmt, &consumed, err);
    if (rc == QUARTET_OK)
        rc = txn_statement_begin(t, err);
    if (rc == QUARTET_OK)
        rc = ddl_run(t, stmt, &a, NULL, err);
    if (rc != QUARTET_OK && t->statement > 0)
        txn_statement_rollback(t);
    arena_free_all(&a);
    return rc;
}

static inline quartet_status help_try_ddl(db *d, const char *sql, struct err *err)
{
    txn *t = NULL;
    quartet_status rc = txn_begin(d, &t, err);
    if (rc == QUARTET_OK)
        rc = help_ddl_in(t, sql, err);
    if (rc != QUARTET_OK) {
        txn_rollback(t);
        return rc;
    }
    return txn_commit(t, err);
}

static inline void help_ddl(db *d, const char *sql)
{
    struct err err = ERR_INIT;
    OK(help_try_ddl(d, sql, &err));
}

/* INSERT of up to four values; NULL text is NULL, digits are integers. */
static inline struct value help_value(const char *text)
{
    if (text == NULL)
        return VALUE_NULL_INIT;
    char *end;
    long long i = strtoll(text, &end, 10);
    return *end == '\0' && end != text ? value_int(i) : value_text(text, strlen(text));
}

static inline quartet_status help_insert(txn *t, const char *table, const char *const *texts, struct err *err)
{
    const struct table_def *def = catalog_table(txn_catalog(t), table);
    struct value v[16];
    struct arena a = {0};
    CU_ASSERT_PTR_NOT_NULL_FATAL(def);
    for (uint32_t i = 0; i < def->column_count; i++)
        v[i] = help_value(texts[i]);
    quartet_status rc = txn_statement_begin(t, err);
    if (rc == QUARTET_OK)
        rc = table_insert(t, def, v, &a, NULL, NULL, err);
    if (rc != QUARTET_OK)
        txn_statement_rollback(t);
    arena_free_all(&a);
    return rc;
}

/* The key of a row by its INTEGER PRIMARY KEY. */
static inline struct slice help_key(const struct table_def *def, int64_t id, struct buf *out)
{
    struct err err = ERR_INIT;
    struct value v[16];
    for (uint32_t i = 0; i < def->column_count; i++)
        v[i] = value_int(id);
    buf_clear(out);
    OK(table_key(def, v, out, &err));
    return slice_of(out->data, out->len);
}

static inline quartet_status help_update(txn *t, const char *table, int64_t id, const char *column, bool add, const char *text, struct err *err)
{
    const struct table_def *def = catalog_table(txn_catalog(t), table);
    struct buf key = {0};
    struct arena a = {0};
    struct value old[16];
    bool found;
    struct table_write w = {.column = (uint32_t)table_column(def, column), .op = add ? ROW_ADD : ROW_PUT, .value = help_value(text)};
    quartet_status rc = txn_statement_begin(t, err);
    struct slice k = help_key(def, id, &key);
    if (rc == QUARTET_OK)
        rc = table_get(t, def, k, old, &a, &found, err);
    if (rc == QUARTET_OK && found)
        rc = table_update(t, def, k, old, &w, 1, &a, NULL, err);
    if (rc != QUARTET_OK)
        txn_statement_rollback(t);
    arena_free_all(&a);
    buf_deinit(&key);
    return rc;
}

static inline quartet_status help_delete(txn *t, const char *table, int64_t id, struct err *err)
{
    const struct table_def *def = catalog_table(txn_catalog(t), table);
    struct buf key = {0};
    struct arena a = {0};
    struct value old[16];
    bool found;
    quartet_status rc = txn_statement_begin(t, err);
    struct slice k = help_key(def, id, &key);
    if (rc == QUARTET_OK)
        rc = table_get(t, def, k, old, &a, &found, err);
    if (rc == QUARTET_OK && found)
        rc = table_delete(t, def, k, NULL, err);
    arena_free_all(&a);
    buf_deinit(&key);
    return rc;
}

void value_to_literal(const struct value *v, struct buf *out);

/* All rows of a table (or of an index of it) as text "1,'a';2,'b';" into out. */
static inline void help_dump(txn *t, const char *table, const char *index, struct buf *out)
{
    struct err err = ERR_INIT;
    const struct table_def *def = catalog_table(txn_catalog(t), table), *of;
    const struct index_def *ix = index != NULL ? catalog_index(txn_catalog(t), index, &of) : NULL;
    uint32_t columns[16];
    CU_ASSERT_PTR_NOT_NULL_FATAL(def);
    CU_ASSERT_FATAL(index == NULL || ix != NULL);
    for (uint32_t i = 0; i < def->column_count; i++)
        columns[i] = i;
    struct scan_want want = {.columns = columns, .column_count = def->column_count};
    table_scan *s = NULL;
    OK(txn_statement_begin(t, &err));
    OK(table_scan_open(t, def, ix, NULL, &want, &s, &err));
    for (;;) {
        struct batch b;
        OK(table_scan_next(s, 0, &b, &err));
        if (b.n == 0)
            break;
        for (uint32_t r = 0; r < b.n; r++)
            for (uint32_t i = 0; i < def->column_count; i++) {
                struct value v = vec_get(&b.cols[i], r);
                value_to_literal(&v, out);
                buf_u8(out, i + 1 < def->column_count ? ',' : ';');
            }
    }
    table_scan_close(s);
}

static inline void help_expect_in(txn *t, const char *table, const char *index, const char *want, const char *file, int line)
{
    struct buf got = {0};
    help_dump(t, table, index, &got);
    buf_u8(&got, 0);
    if (strcmp((const char *)got.data, want) != 0)
        printf("\n%s:%d: %s holds %s, wanted %s\n", file, line, table, (const char *)got.data, want);
    CU_ASSERT_STRING_EQUAL((const char *)got.data, want);
    buf_deinit(&got);
}

static inline void help_expect(db *d, const char *table, const char *index, const char *want, const char *file, int line)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    help_expect_in(t, table, index, want, file, line);
    txn_rollback(t);
}
#define EXPECT(d, table, want) help_expect(d, table, NULL, want, __FILE__, __LINE__)
#define EXPECT_INDEX(d, table, index, want) help_expect(d, table, index, want, __FILE__, __LINE__)
#define EXPECT_IN(t, table, want) help_expect_in(t, table, NULL, want, __FILE__, __LINE__)
#define ROW(...) ((const char *const[]){__VA_ARGS__})

/* One row in a transaction of its own. */
static inline void help_put(db *d, const char *table, const char *const *texts)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    OK(help_insert(t, table, texts, &err));
    OK(txn_commit(t, &err));
}

#endif
