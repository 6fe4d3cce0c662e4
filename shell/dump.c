/* dump.c - `quartet dump`: a database, or some of its tables, as SQL that Quartet and SQLite both load.
 * Why texts for most types: DECIMAL, dates, UUID and JSON are texts to SQLite, and Quartet makes them what their column says, without loss. All is read in one transaction.
 * Order: tables, rows, indexes, then views (each after those that it names) and triggers, so that no trigger sees the rows go in. */
#include "shell.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ROWS_PER_INSERT 200
#define BYTES_PER_INSERT (256u << 10)

struct object {
    char *name, *sql;
    bool done;
};
struct dump {
    quartet_db *db;
    char **tables; /* asked for; count 0: all */
    int table_count;
    unsigned long long changed; /* values of columns without a type that SQL text cannot give both */
    bool failed;
};

static bool fail(struct dump *d)
{
    if (!d->failed)
        fprintf(stderr, "quartet dump: %s\n", quartet_errmsg(d->db));
    d->failed = true;
    return false;
}

static void put_quoted(const char *p, size_t n, char quote)
{
    putchar(quote);
    for (size_t i = 0; i < n; i++) {
        if (p[i] == quote)
            putchar(quote);
        putchar(p[i]);
    }
    putchar(quote);
}

static void put_hex(const unsigned char *p, size_t n)
{
    fputs("x'", stdout);
    for (size_t i = 0; i < n; i++)
        printf("%02x", p[i]);
    putchar('\'');
}

static void put_value(struct dump *d, quartet_stmt *s, int c, bool untyped)
{
    int type = quartet_column_type(s, c);
    size_t n = (size_t)quartet_column_bytes(s, c);
    const char *text;
    switch (type) {
    case QUARTET_NULL:
        fputs("NULL", stdout);
        return;
    case QUARTET_INTEGER:
        printf("%lld", (long long)quartet_column_int64(s, c));
        return;
    case QUARTET_REAL: {
        double r = quartet_column_double(s, c);
        if (r - r != 0)
            fputs(r > 0 ? "9e999" : "-9e999", stdout);
        else
            fputs(quartet_column_text(s, c), stdout); /* the shortest that reads back the same, at most 17 digits */
        return;
    }
    case QUARTET_BLOB:
        put_hex(quartet_column_blob(s, c), n);
        return;
    default:
        d->changed += untyped && type != QUARTET_TEXT;
        text = quartet_column_text(s, c);
        if (type == QUARTET_TEXT && memchr(text, '\0', n) != NULL) { /* no SQL text holds a NUL */
            fputs("CAST(", stdout);
            put_hex((const unsigned char *)text, n);
            fputs(" AS TEXT)", stdout);
        } else {
            put_quoted(text, n, '\'');
        }
    }
}

/* Which of a table's columns have no type: a bit each in a string of '0' and '1'; *names: the columns, for a SELECT. Those that are computed are left out. */
static char *untyped_columns(struct dump *d, const char *table, char **names)
{
    char *sql = NULL, *flags = NULL;
    size_t n = 0, m = 0, k = 0;
    quartet_stmt *s = NULL;
    FILE *text = open_memstream(&sql, &n), *out = open_memstream(&flags, &m), *list = open_memstream(names, &k);
    bool first = true;
    int rc = QUARTET_NOMEM;
    if (text != NULL && out != NULL && list != NULL) {
        fputs("PRAGMA table_info('", text);
        for (const char *p = table; *p != '\0'; p++)
            fprintf(text, *p == '\'' ? "''" : "%c", *p);
        fputs("')", text);
    }
    if (text != NULL && fclose(text) == 0)
        rc = quartet_prepare(d->db, sql, -1, &s, NULL);
    while (rc == QUARTET_OK && quartet_step(s) == QUARTET_ROW) {
        const char *type = quartet_column_text(s, 2), *name = quartet_column_text(s, 1), *merges = quartet_column_text(s, 6);
        char *quoted = name != NULL ? text_quote_name(name) : NULL;
        if (quoted == NULL || merges == NULL)
            d->failed = true;
        else if (strcmp(merges, "computed") == 0) {
            free(quoted);
            continue;
        } else {
            fprintf(list, "%s%s", first ? "" : ", ", quoted);
            first = false;
        }
        free(quoted);
        fputc(type == NULL || type[0] == '\0' ? '1' : '0', out);
    }
    if (quartet_finalize(s) != QUARTET_OK || rc != QUARTET_OK)
        (void)fail(d);
    if (out == NULL || fclose(out) != 0)
        d->failed = true;
    if (list == NULL || fclose(list) != 0)
        d->failed = true;
    free(sql);
    return flags;
}

static bool dump_rows(struct dump *d, const char *table)
{
    char *names = NULL, *untyped = untyped_columns(d, table, &names), *quoted = text_quote_name(table), *sql = NULL;
    size_t n = 0;
    long began = 0, bytes = 0;
    int rows = 0, rc = QUARTET_NOMEM;
    quartet_stmt *s = NULL;
    FILE *text = open_memstream(&sql, &n);
    if (text != NULL) {
        fprintf(text, "SELECT %s FROM %s", names != NULL ? names : "", quoted != NULL ? quoted : "");
        if (fclose(text) == 0 && quoted != NULL && untyped != NULL)
            rc = quartet_prepare(d->db, sql, -1, &s, NULL);
    }
    int columns = rc == QUARTET_OK ? quartet_column_count(s) : 0;
    while (rc == QUARTET_OK && (rc = quartet_step(s)) == QUARTET_ROW) {
        rc = QUARTET_OK;
        if (rows == 0)
            printf("INSERT INTO %s VALUES", quoted);
        fputs(rows > 0 ? ",\n(" : "\n(", stdout);
        for (int c = 0; c < columns; c++) {
            if (c > 0)
                putchar(',');
            put_value(d, s, c, (size_t)c < strlen(untyped) && untyped[c] == '1');
            bytes += (long)quartet_column_bytes(s, c);
        }
        putchar(')');
        if (++rows == ROWS_PER_INSERT || bytes - began > (long)BYTES_PER_INSERT) {
            fputs(";\n", stdout);
            rows = 0;
            began = bytes;
        }
    }
    if (rows > 0)
        fputs(";\n", stdout);
    if (rc != QUARTET_DONE)
        (void)fail(d);
    (void)quartet_finalize(s); /* its error was told */
    free(sql);
    free(quoted);
    free(names);
    free(untyped);
    return !d->failed;
}

static bool chosen(const struct dump *d, const char *table)
{
    for (int i = 0; i < d->table_count; i++)
        if (strcasecmp(d->tables[i], table) == 0)
            return true;
    return d->table_count == 0;
}

/* The objects of a kind as they are now, in order of their tables' names; the chosen tables' only. */
static struct object *objects(struct dump *d, const char *kind, int *count)
{
    struct object *list = NULL;
    quartet_stmt *s = NULL;
    int rc = quartet_prepare(d->db, "SHOW SCHEMA", -1, &s, NULL);
    *count = 0;
    while (rc == QUARTET_OK && (rc = quartet_step(s)) == QUARTET_ROW) {
        rc = QUARTET_OK;
        if (strcmp(quartet_column_text(s, 0), kind) != 0 || !chosen(d, quartet_column_text(s, 2)))
            continue;
        struct object *grown = realloc(list, sizeof *list * (size_t)(*count + 1));
        if (grown == NULL)
            break;
        list = grown;
        list[*count] = (struct object){.name = strdup(quartet_column_text(s, 1)), .sql = strdup(quartet_column_text(s, 3))};
        d->failed = d->failed || list[*count].name == NULL || list[*count].sql == NULL;
        ++*count;
    }
    if (rc != QUARTET_DONE)
        (void)fail(d);
    (void)quartet_finalize(s); /* its error was told */
    return list;
}

static void objects_free(struct object *list, int count)
{
    for (int i = 0; i < count; i++) {
        free(list[i].name);
        free(list[i].sql);
    }
    free(list);
}

static bool names_another(const struct object *list, int count, int k)
{
    for (int i = 0; i < count; i++)
        if (i != k && !list[i].done && strcasestr(list[k].sql, list[i].name) != NULL)
            return true;
    return false;
}

/* Views: each after those that it may name. */
static void put_views(struct dump *d)
{
    int count = 0;
    struct object *list = d->table_count == 0 ? objects(d, "view", &count) : NULL;
    for (int left = count, before = count + 1; left > 0 && !d->failed;) {
        bool stuck = left == before;
        before = left;
        for (int k = 0; k < count; k++)
            if (!list[k].done && (stuck || !names_another(list, count, k))) {
                printf("%s;\n", list[k].sql);
                list[k].done = true;
                left--;
                if (stuck)
                    break;
            }
    }
    objects_free(list, count);
}

static void put_all(struct dump *d, const char *kind)
{
    int count;
    struct object *list = objects(d, kind, &count);
    for (int i = 0; i < count && !d->failed; i++)
        printf("%s;\n", list[i].sql);
    objects_free(list, count);
}

static void dump_all(struct dump *d)
{
    int count;
    struct object *tables = objects(d, "table", &count);
    for (int i = 0; i < d->table_count && !d->failed; i++) {
        bool found = false;
        for (int k = 0; k < count; k++)
            found = found || strcasecmp(tables[k].name, d->tables[i]) == 0;
        if (!found) {
            fprintf(stderr, "quartet dump: no such table: %s\n", d->tables[i]);
            d->failed = true;
        }
    }
    if (!d->failed)
        fputs("-- Written by quartet dump.\nPRAGMA foreign_keys = OFF;\nBEGIN;\n", stdout);
    for (int i = 0; i < count && !d->failed; i++) {
        printf("%s;\n", tables[i].sql);
        (void)dump_rows(d, tables[i].name); /* d->failed says it */
    }
    objects_free(tables, count);
    if (!d->failed)
        put_all(d, "index");
    if (!d->failed)
        put_views(d);
    if (!d->failed)
        put_all(d, "trigger");
    if (!d->failed)
        fputs("COMMIT;\n", stdout);
    if (!d->failed)
        put_all(d, "comment"); /* last, since SQLite has none: it then has loaded all else */
}

int dump_run(int count, char **args)
{
    struct dump d = {.tables = args + 1, .table_count = count - 1};
    if (quartet_open(args[0], &d.db) != QUARTET_OK || quartet_exec(d.db, "BEGIN", NULL, NULL, NULL) != QUARTET_OK)
        (void)fail(&d);
    if (!d.failed)
        dump_all(&d);
    if (d.changed > 0)
        fprintf(stderr, "quartet dump: %llu values of columns without a type, dates for instance, are written as texts\n", d.changed);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "quartet dump: cannot write the output\n");
        d.failed = true;
    }
    if (quartet_close(d.db) != QUARTET_OK && !d.failed)
        d.failed = true;
    return d.failed;
}
