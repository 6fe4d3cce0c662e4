/* slt.c - quartet-slt FILE...: runs files of SQL logic tests and counts what passes.
 *
 * The format is sqllogictest's: records divided by blank lines; statement ok|error, query TYPES
 * [sort] [label], skipif, onlyif, halt, hash-threshold, and `connection NAME` before a record. Each
 * file has a database of its own in memory. Exit status 0 only if all passed. */
#include "slt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS_MAX 16u
#define LABELS_MAX      100000u

struct label {
    char *name;
    char hash[33];
};
struct totals {
    uint64_t passed, failed, skipped, records;
    double cpu_s;
};
struct runner {
    const struct slt_engine *engine;
    void *db;
    void *connections[CONNECTIONS_MAX];
    char *connection_names[CONNECTIONS_MAX];
    size_t connection_count;
    const char *file;
    char *text, *at; /* what is left of the file */
    size_t line;
    struct label *labels;
    size_t label_count, label_cap;
    struct totals totals;
    uint64_t shown, show_max;
    bool verbose;
};

static double cpu_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* cannot fail for this clock */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The next line, cut at its end, CR stripped; NULL at the end of the file. */
static char *next_line(struct runner *r)
{
    if (r->at == NULL || *r->at == 0)
        return NULL;
    char *line = r->at, *end = strchr(line, '\n');
    r->at = end == NULL ? NULL : end + 1;
    r->line++;
    if (end == NULL)
        end = line + strlen(line);
    *end = 0;
    if (end > line && end[-1] == '\r')
        end[-1] = 0;
    return line;
}

static void show(struct runner *r, size_t line, const char *what, const char *sql,
                 const char *expected, const char *got)
{
    r->totals.failed++;
    if (r->shown++ >= r->show_max)
        return;
    printf("%s:%zu: %s\n  %.600s\n", r->file, line, what, sql);
    if (expected != NULL)
        printf("  expected: %.300s\n", expected);
    if (got != NULL)
        printf("  got:      %.300s\n", got);
}

/* Lines up to a blank one or ----, joined; *ends_in_dashes tells which. The caller frees. */
static char *read_sql(struct runner *r, bool *dashes)
{
    char *sql = NULL;
    size_t n = 0;
    *dashes = false;
    for (char *line; (line = next_line(r)) != NULL && *line != 0;) {
        if (strcmp(line, "----") == 0) {
            *dashes = true;
            break;
        }
        size_t len = strlen(line);
        char *more = realloc(sql, n + len + 2);
        if (more == NULL)
            abort();
        sql = more;
        memcpy(sql + n, line, len);
        n += len;
        sql[n++] = '\n';
        sql[n] = 0;
    }
    return sql != NULL ? sql : strdup("");
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t sort_columns; /* qsort has no context; set right before each sort */

static int compare_row(const void *a, const void *b)
{
    char *const *x = a, *const *y = b;
    for (size_t i = 0; i < sort_columns; i++) {
        int c = strcmp(x[i], y[i]);
        if (c != 0)
            return c;
    }
    return 0;
}

static void sort_values(struct slt_values *v, const char *mode, size_t columns)
{
    if (v->count == 0)
        return;
    if (strcmp(mode, "valuesort") == 0) {
        qsort(v->item, v->count, sizeof v->item[0], compare_text);
    } else if (strcmp(mode, "rowsort") == 0 && columns > 0) {
        sort_columns = columns;
        qsort(v->item, v->count / columns, columns * sizeof v->item[0], compare_row);
    }
}

static void hash_values(const struct slt_values *v, char out[33])
{
    struct md5 m;
    md5_start(&m);
    for (size_t i = 0; i < v->count; i++) {
        md5_add(&m, v->item[i], strlen(v->item[i]));
        md5_add(&m, "\n", 1);
    }
    md5_end(&m, out);
}

static void run_statement(struct runner *r, size_t line, bool expect_ok)
{
    bool dashes;
    const char *message;
    char *sql = read_sql(r, &dashes);
    if (dashes) {
        for (char *l; (l = next_line(r)) != NULL && *l != 0;)
            continue; /* an expected message: texts differ between engines */
    }
    double start = cpu_now();
    bool ok = r->engine->run(r->db, sql, &message);
    r->totals.cpu_s += cpu_now() - start;
    if (ok == expect_ok)
        r->totals.passed++;
    else
        show(r, line, expect_ok ? "statement failed" : "statement should have failed", sql, NULL,
             message);
    free(sql);
}

/* A label's results must be equal everywhere. */
static bool check_label(struct runner *r, const char *name, const char *hash)
{
    for (size_t i = 0; i < r->label_count; i++) {
        if (strcmp(r->labels[i].name, name) == 0)
            return strcmp(r->labels[i].hash, hash) == 0;
    }
    if (r->label_count >= LABELS_MAX)
        return true;
    if (r->label_count == r->label_cap) {
        size_t cap = r->label_cap == 0 ? 64 : r->label_cap * 2;
        struct label *more = realloc(r->labels, cap * sizeof *more);
        if (more == NULL)
            abort();
        r->labels = more;
        r->label_cap = cap;
    }
    struct label *l = &r->labels[r->label_count++];
    l->name = strdup(name);
    memcpy(l->hash, hash, sizeof l->hash);
    return true;
}

static void compare_values(struct runner *r, size_t line, const char *sql,
                           const struct slt_values *got, const char *label)
{
    char hash[33], text[64];
    size_t at = 0;
    hash_values(got, hash);
    (void)snprintf(text, sizeof text, "%zu values hashing to %s", got->count,
                   hash); /* fits: 20 + 19 + 32 */
    bool same = true, any = false;
    char want[300] = "", have[300] = "";
    for (char *l; (l = next_line(r)) != NULL && *l != 0; at++) {
        any = true;
        if (strstr(l, " values hashing to ") != NULL) {
            same = strcmp(l, text) == 0;
            if (!same) {
                (void)snprintf(want, sizeof want, "%s", l); /* cut is fine */
                (void)snprintf(have, sizeof have, "%s", text);
            }
            at = got->count;
            while ((l = next_line(r)) != NULL && *l != 0)
                continue;
            break;
        }
        if (same && (at >= got->count || strcmp(l, got->item[at]) != 0)) {
            same = false;
            (void)snprintf(want, sizeof want, "value %zu: %s", at + 1, l); /* cut is fine */
            (void)snprintf(have, sizeof have, "%s",
                           at < got->count ? got->item[at] : "(no more values)");
        }
    }
    if (same && at != got->count) {
        same = false;
        (void)snprintf(want, sizeof want, "%zu values", at); /* cut is fine */
        (void)snprintf(have, sizeof have, "%zu values, the first more: %s", got->count,
                       at < got->count ? got->item[at] : "");
    }
    (void)any;
    if (same && label != NULL && !check_label(r, label, hash)) {
        same = false;
        (void)snprintf(want, sizeof want, "what label %s gave before", label); /* cut is fine */
        (void)snprintf(have, sizeof have, "%s", text);
    }
    if (same)
        r->totals.passed++;
    else
        show(r, line, "wrong result", sql, want, have);
}

static void run_query(struct runner *r, size_t line, char *header)
{
    bool dashes;
    const char *message;
    struct slt_values got = {0};
    size_t columns;
    char *save = NULL;
    (void)strtok_r(header, " \t", &save); /* "query" */
    char *types = strtok_r(NULL, " \t", &save), *mode = strtok_r(NULL, " \t", &save),
         *label = strtok_r(NULL, " \t", &save);
    char *sql = read_sql(r, &dashes);
    if (types == NULL)
        types = header + strlen(header); /* none */
    if (mode == NULL)
        mode = (char[]){"nosort"};
    double start = cpu_now();
    bool ok = r->engine->query(r->db, sql, types, &got, &columns, &message);
    r->totals.cpu_s += cpu_now() - start;
    if (!ok || (columns != strlen(types) &&
                columns != 0)) { /* 0: a statement without result, asked as a query */
        char have[64];
        (void)snprintf(have, sizeof have, "%zu columns", columns); /* fits */
        show(r, line, ok ? "wrong number of columns" : "query failed", sql, ok ? types : NULL,
             ok ? have : message);
        if (dashes) {
            for (char *l; (l = next_line(r)) != NULL && *l != 0;)
                continue;
        }
    } else {
        sort_values(&got, mode, columns);
        if (dashes)
            compare_values(r, line, sql, &got, label);
        else
            r->totals.passed++;
    }
    slt_clear(&got);
    free(got.item);
    free(sql);
}

static void skip_record(struct runner *r)
{
    for (char *l; (l = next_line(r)) != NULL && *l != 0;)
        continue;
    r->totals.skipped++;
}

static void use_connection(struct runner *r, const char *name)
{
    for (size_t i = 0; i < r->connection_count; i++) {
        if (strcmp(r->connection_names[i], name) == 0) {
            r->db = r->connections[i];
            return;
        }
    }
    if (r->connection_count < CONNECTIONS_MAX &&
        r->engine->open(&r->connections[r->connection_count])) {
        r->connection_names[r->connection_count] = strdup(name);
        r->db = r->connections[r->connection_count++];
    }
}

/* One line that begins something; false: halt. */
static bool directive(struct runner *r, char *line, bool *skip)
{
    size_t at = r->line;
    const char *name = r->engine->name;
    if (strncmp(line, "skipif ", 7) == 0) {
        *skip |= strcmp(line + 7, name) == 0;
    } else if (strncmp(line, "onlyif ", 7) == 0) {
        char word[64];
        *skip |= sscanf(line + 7, "%63s", word) != 1 ||
                 strcmp(word, name) != 0; /* a comment may follow */
    } else if (strncmp(line, "halt", 4) == 0) {
        if (!*skip)
            return false;
        *skip = false;
    } else if (strncmp(line, "connection ", 11) == 0) {
        use_connection(r, line + 11);
    } else if (strncmp(line, "hash-threshold", 14) == 0) {
        *skip = false;
    } else if (strncmp(line, "statement ", 10) == 0 || strncmp(line, "query", 5) == 0) {
        r->totals.records++;
        if (*skip)
            skip_record(r);
        else if (line[0] == 's')
            run_statement(r, at, strncmp(line + 10, "ok", 2) == 0);
        else
            run_query(r, at, line);
        *skip = false;
    }
    return true;
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    size_t n = 0, got;
    if (f == NULL)
        return NULL;
    do {
        char *more = realloc(text, n + (1u << 20) + 1);
        if (more == NULL)
            abort();
        text = more;
        got = fread(text + n, 1, 1u << 20, f);
        n += got;
    } while (got > 0);
    text[n] = 0;
    (void)fclose(f); /* read only */
    return text;
}

static void run_file(struct runner *r, const char *path)
{
    bool skip = false;
    struct totals before = r->totals;
    r->file = path;
    r->line = 0;
    r->text = r->at = read_file(path);
    if (r->text == NULL || !r->engine->open(&r->db)) {
        show(r, 0, "cannot read the file or open a database", path, NULL, NULL);
        free(r->text);
        return;
    }
    void *main_db = r->db;
    for (char *line; (line = next_line(r)) != NULL;) {
        if (*line == 0 || *line == '#')
            continue;
        if (!directive(r, line, &skip))
            break;
    }
    for (size_t i = 0; i < r->connection_count; i++) {
        r->engine->close(r->connections[i]);
        free(r->connection_names[i]);
    }
    r->connection_count = 0;
    r->engine->close(main_db);
    for (size_t i = 0; i < r->label_count; i++)
        free(r->labels[i].name);
    r->label_count = 0;
    free(r->text);
    uint64_t ran = r->totals.passed + r->totals.failed - before.passed - before.failed;
    if (r->verbose || r->totals.failed != before.failed)
        printf("%s: %llu passed, %llu failed, %.1f us a record\n", path,
               (unsigned long long)(r->totals.passed - before.passed),
               (unsigned long long)(r->totals.failed - before.failed),
               ran > 0 ? (r->totals.cpu_s - before.cpu_s) * 1e6 / (double)ran : 0.0);
    (void)fflush(stdout); /* a pipe that broke shows at exit */
}

int main(int argc, char **argv)
{
    struct runner r = {.engine = &slt_quartet, .show_max = 20};
    int files = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--engine") == 0 && i + 1 < argc)
            r.engine = strcmp(argv[++i], "sqlite") == 0 ? &slt_sqlite : &slt_quartet;
        else if (strcmp(argv[i], "--verbose") == 0)
            r.verbose = true;
        else if (strcmp(argv[i], "--show") == 0 && i + 1 < argc)
            r.show_max = strtoull(argv[++i], NULL, 10);
        else if (argv[i][0] == '-')
            files = -1000000;
        else {
            run_file(&r, argv[i]);
            files++;
        }
    }
    if (files <= 0) {
        (void)fprintf(
            stderr,
            "usage: quartet-slt [--engine quartet|sqlite] [--verbose] [--show N] FILE...\n");
        return 2;
    }
    uint64_t ran = r.totals.passed + r.totals.failed;
    printf("%d files, %.2f s CPU in %s, %.1f us a record, %llu skipped\n", files, r.totals.cpu_s,
           r.engine->name, ran > 0 ? r.totals.cpu_s * 1e6 / (double)ran : 0.0,
           (unsigned long long)r.totals.skipped);
    printf("%llu passed, %llu failed\n", (unsigned long long)r.totals.passed,
           (unsigned long long)r.totals.failed);
    free(r.labels);
    return r.totals.failed == 0 ? 0 : 1;
}
