/* slt_engine.c - the engines that SQL logic tests run on: Quartet through quartet.h, and SQLite
 * through the same code for comparison. */
#include "slt.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quartet.h"

bool slt_add(struct slt_values *v, const char *text)
{
    if (v->count == v->cap) {
        size_t cap = v->cap == 0 ? 256 : v->cap * 2;
        char **item = realloc(v->item, cap * sizeof(char *));
        if (item == NULL)
            return false;
        v->item = item;
        v->cap = cap;
    }
    v->item[v->count] = strdup(text);
    return v->item[v->count++] != NULL;
}

bool slt_add_text(struct slt_values *v, const char *text, size_t n)
{
    if (n == 0)
        return slt_add(v, "(empty)");
    char *copy = malloc(n + 1);
    if (copy == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        copy[i] = text[i] < ' ' || text[i] > '~' ? '@' : text[i];
    copy[n] = 0;
    bool ok = slt_add(v, copy);
    free(copy);
    return ok;
}

void slt_clear(struct slt_values *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->item[i]);
    v->count = 0;
}

static bool add_number(struct slt_values *out, char type, int64_t i, double r)
{
    char text[400];
    if (type == 'I')
        (void)snprintf(text, sizeof text, "%lld", (long long)i); /* 20 characters at most */
    else
        (void)sqlite3_snprintf(sizeof text, text, "%.3f",
                               r); /* the files were made with it: 16 digits, then zeros */
    return slt_add(out, text);
}

/* ---- Quartet ---- */

static bool q_open(void **db)
{
    quartet_db *q = NULL;
    bool ok = sqlite3_initialize() == SQLITE_OK && /* its printf asks for memory where a number is long */
              quartet_open(":memory:", &q) == QUARTET_OK;
    *db = q;
    return ok;
}

static void q_close(void *db)
{
    if (quartet_close(db) != QUARTET_OK)
        (void)fprintf(stderr, "close failed\n");
}

static bool q_run(void *db, const char *sql, const char **message)
{
    bool ok = quartet_exec(db, sql, NULL, NULL, NULL) == QUARTET_OK;
    *message = ok ? "" : quartet_errmsg(db);
    return ok;
}

static bool q_value(quartet_stmt *s, int column, char type, struct slt_values *out)
{
    if (quartet_column_type(s, column) == QUARTET_NULL)
        return slt_add(out, "NULL");
    int value_type = quartet_column_type(s, column);
    if (type == 'N')
        type = value_type == QUARTET_INTEGER || value_type == QUARTET_REAL ? 'R' : 'T';
    if (type == 'A')
        type = value_type == QUARTET_INTEGER ? 'I' : value_type == QUARTET_REAL ? 'R' : 'T';
    if (type == 'I')
        return add_number(out, type, quartet_column_int64(s, column), 0);
    if (type == 'R')
        return add_number(out, type, 0, quartet_column_double(s, column));
    const char *text = quartet_column_text(s, column);
    return slt_add_text(out, text, (size_t)quartet_column_bytes(s, column));
}

static bool q_query(void *db, const char *sql, const char *types, struct slt_values *out,
                    size_t *columns, const char **message)
{
    quartet_stmt *s = NULL;
    size_t letters = strlen(types);
    int rc = quartet_prepare(db, sql, -1, &s, NULL);
    *columns = rc == QUARTET_OK && s != NULL ? (size_t)quartet_column_count(s) : 0;
    while (rc == QUARTET_OK || rc == QUARTET_ROW) {
        rc = quartet_step(s);
        for (size_t c = 0; rc == QUARTET_ROW && c < *columns; c++) {
            if (!q_value(s, (int)c, c < letters ? types[c] : 'T', out))
                rc = QUARTET_NOMEM;
        }
    }
    bool ok = rc == QUARTET_DONE;
    *message = ok ? "" : quartet_errmsg(db);
    (void)quartet_finalize(s); /* the step has told */
    return ok;
}

const struct slt_engine slt_quartet = {"quartet", q_open, q_close, q_run, q_query};

/* ---- SQLite ---- */

static bool s_open(void **db)
{
    sqlite3 *s = NULL;
    bool ok = sqlite3_open(":memory:", &s) == SQLITE_OK;
    *db = s;
    return ok;
}

static void s_close(void *db)
{
    (void)sqlite3_close(db); /* all statements are finalized */
}

static bool s_run(void *db, const char *sql, const char **message)
{
    bool ok = sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
    *message = ok ? "" : sqlite3_errmsg(db);
    return ok;
}

static bool s_value(sqlite3_stmt *s, int column, char type, struct slt_values *out)
{
    if (sqlite3_column_type(s, column) == SQLITE_NULL)
        return slt_add(out, "NULL");
    int value_type = sqlite3_column_type(s, column);
    if (type == 'N')
        type = value_type == SQLITE_INTEGER || value_type == SQLITE_FLOAT ? 'R' : 'T';
    if (type == 'A')
        type = value_type == SQLITE_INTEGER ? 'I' : value_type == SQLITE_FLOAT ? 'R' : 'T';
    if (type == 'I')
        return add_number(out, type, sqlite3_column_int64(s, column), 0);
    if (type == 'R')
        return add_number(out, type, 0, sqlite3_column_double(s, column));
    const char *text = (const char *)sqlite3_column_text(s, column);
    return slt_add_text(out, text, (size_t)sqlite3_column_bytes(s, column));
}

static bool s_query(void *db, const char *sql, const char *types, struct slt_values *out,
                    size_t *columns, const char **message)
{
    sqlite3_stmt *s = NULL;
    size_t letters = strlen(types);
    int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
    *columns = (size_t)sqlite3_column_count(s);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(s);
        for (size_t c = 0; rc == SQLITE_ROW && c < *columns; c++) {
            if (!s_value(s, (int)c, c < letters ? types[c] : 'T', out))
                rc = SQLITE_NOMEM;
        }
    }
    bool ok = rc == SQLITE_DONE;
    *message = ok ? "" : sqlite3_errmsg(db);
    (void)sqlite3_finalize(s); /* the step has told */
    return ok;
}

const struct slt_engine slt_sqlite = {"sqlite", s_open, s_close, s_run, s_query};
