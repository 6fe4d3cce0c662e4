/* import.c - .import FILE TABLE: a CSV file with a header line into a table, all of it or nothing.
 * A missing table is made, with types inferred from the whole file (one pass to look, one to load), because a type guessed from the first
 * rows fails at the millionth. Rows go in many to a statement: over a network the round trips would cost more than the work. */
#include "shell.h"

#include "clock.h"
#include "csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMPORT_PARAMETERS_MAX 960u /* of one INSERT */
#define IMPORT_COLUMNS_MAX 2000u

enum guess { GUESS_NONE, GUESS_INTEGER, GUESS_REAL, GUESS_DATE, GUESS_TIMESTAMP, GUESS_TEXT };

struct import {
    struct shell *sh;
    const char *path, *table;
    struct csv csv;
    size_t columns;
    char **names;
    enum guess *guesses;
    bool *ascending; /* every value a larger integer than the one before, none missing: fit for a key */
    int64_t *last;
    uint64_t size, rows;
    double started, drawn;
};

static void progress(struct import *im, const char *what, bool last)
{
    double now = now_seconds();
    if (!isatty(STDERR_FILENO) || (!last && now - im->drawn < 0.1))
        return;
    im->drawn = now;
    double part = im->size > 0 ? (double)im->csv.bytes / (double)im->size : 0;
    int full = (int)(part * 30);
    double rate = now > im->started ? (double)im->rows / (now - im->started) : 0;
    double left = part > 0.01 ? (now - im->started) * (1 - part) / part : 0;
    fprintf(stderr, "\r%-8s [", what);
    for (int i = 0; i < 30; i++)
        fputs(i < full ? "█" : "·", stderr);
    fprintf(stderr, "] %3.0f %%  %llu rows, %.0f/s, %.0f s left   ", part * 100, (unsigned long long)im->rows, rate, left);
    if (last)
        fputs("\r\033[K", stderr);
    fflush(stderr);
}

static void fail(struct import *im, const char *text)
{
    char message[1024];
    if (im->csv.line > 0)
        snprintf(message, sizeof message, "%s, line %ld: %s", im->path, im->csv.line, text);
    else
        snprintf(message, sizeof message, "%s: %s", im->path, text);
    shell_error(im->sh, NULL, 0, message);
}

static bool digits(const char *s, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return true;
}

static bool is_date(const char *s, size_t n)
{
    return n == 10 && digits(s, 0, 4) && s[4] == '-' && digits(s, 5, 2) && s[7] == '-' && digits(s, 8, 2);
}

static enum guess guess_field(const struct csv_field *f, int64_t *integer)
{
    const char *s = f->text;
    size_t n = f->n;
    if (is_date(s, n))
        return GUESS_DATE;
    if (n >= 19 && n <= 26 && is_date(s, 10) && (s[10] == ' ' || s[10] == 'T') && s[13] == ':' && s[16] == ':' && digits(s, 11, 2) &&
        digits(s, 14, 2) && digits(s, 17, 2) && (n == 19 || (s[19] == '.' && digits(s, 20, n - 20))))
        return GUESS_TIMESTAMP;
    size_t sign = s[0] == '-';
    if (n > sign && n - sign <= 18 && digits(s, sign, n - sign)) {
        if (s[sign] == '0' && n - sign > 1)
            return GUESS_TEXT; /* 007 is a code, not a number */
        *integer = strtoll(s, NULL, 10);
        return GUESS_INTEGER;
    }
    char *end;
    if ((s[sign] >= '0' && s[sign] <= '9') || (s[sign] == '.' && n > sign + 1)) {
        if (s[sign] == '0' && n > sign + 1 && s[sign + 1] >= '0' && s[sign + 1] <= '9')
            return GUESS_TEXT;
        (void)strtod(s, &end); /* only where it ends matters */
        if (end == s + n && memchr(s, 'x', n) == NULL && memchr(s, 'X', n) == NULL)
            return GUESS_REAL;
    }
    return GUESS_TEXT;
}

static enum guess join_guess(enum guess a, enum guess b)
{
    if (a == GUESS_NONE || a == b)
        return b;
    if ((a == GUESS_INTEGER && b == GUESS_REAL) || (a == GUESS_REAL && b == GUESS_INTEGER))
        return GUESS_REAL;
    if ((a == GUESS_DATE && b == GUESS_TIMESTAMP) || (a == GUESS_TIMESTAMP && b == GUESS_DATE))
        return GUESS_TIMESTAMP;
    return GUESS_TEXT;
}

static bool read_header(struct import *im)
{
    if (!csv_next(&im->csv)) {
        fail(im, im->csv.error != NULL ? im->csv.error : "the file is empty; a header line was expected");
        return false;
    }
    im->columns = im->csv.count;
    if (im->columns > IMPORT_COLUMNS_MAX) {
        fail(im, "more than 2,000 columns");
        return false;
    }
    im->names = calloc(im->columns, sizeof *im->names);
    im->guesses = calloc(im->columns, sizeof *im->guesses);
    im->ascending = calloc(im->columns, sizeof *im->ascending);
    im->last = calloc(im->columns, sizeof *im->last);
    bool ok = im->names != NULL && im->guesses != NULL && im->ascending != NULL && im->last != NULL;
    for (size_t c = 0; ok && c < im->columns; c++) {
        if (im->csv.fields[c].n == 0) {
            fail(im, "the header line has a column without a name");
            return false;
        }
        im->names[c] = text_quote_name(im->csv.fields[c].text);
        im->ascending[c] = true;
        im->last[c] = INT64_MIN;
        ok = im->names[c] != NULL;
    }
    if (!ok)
        fail(im, "out of memory");
    return ok;
}

static bool next_row(struct import *im, bool *end)
{
    *end = !csv_next(&im->csv);
    if (*end && im->csv.error != NULL) {
        fail(im, im->csv.error);
        return false;
    }
    if (!*end && im->csv.count != im->columns) {
        char text[128];
        snprintf(text, sizeof text, "%zu fields, but the header line has %zu", im->csv.count, im->columns);
        fail(im, text);
        return false;
    }
    return true;
}

/* First pass: what each column could be. */
static bool infer(struct import *im)
{
    bool end;
    while (next_row(im, &end)) {
        if (end)
            return true;
        im->rows++;
        for (size_t c = 0; c < im->columns; c++) {
            const struct csv_field *f = &im->csv.fields[c];
            int64_t integer = 0;
            if (f->n == 0 && !f->quoted) {
                im->ascending[c] = false;
                continue;
            }
            enum guess g = guess_field(f, &integer);
            im->guesses[c] = join_guess(im->guesses[c], g);
            if (g != GUESS_INTEGER || integer <= im->last[c])
                im->ascending[c] = false;
            im->last[c] = integer;
        }
        progress(im, "looking", false);
    }
    return false;
}

static bool run(struct import *im, const char *sql)
{
    char *text = NULL;
    int rc = quartet_exec(im->sh->db, sql, NULL, NULL, &text);
    if (rc != QUARTET_OK)
        fail(im, text != NULL ? text : "out of memory");
    quartet_free(text);
    return rc == QUARTET_OK;
}

static bool make_table(struct import *im, const char *quoted_table)
{
    static const char *const types[] = {"TEXT", "INTEGER", "REAL", "DATE", "TIMESTAMP", "TEXT"};
    char *sql = NULL;
    size_t n = 0;
    FILE *text = open_memstream(&sql, &n);
    if (text == NULL) {
        fail(im, "out of memory");
        return false;
    }
    fprintf(text, "CREATE TABLE %s (", quoted_table);
    bool keyed = false;
    for (size_t c = 0; c < im->columns; c++) {
        bool key = !keyed && im->guesses[c] == GUESS_INTEGER && im->ascending[c] && strcasecmp(im->names[c], "\"id\"") == 0;
        keyed = keyed || key;
        fprintf(text, "%s%s %s%s", c > 0 ? ", " : "", im->names[c], types[im->guesses[c]], key ? " PRIMARY KEY" : "");
    }
    fputc(')', text);
    bool ok = fclose(text) == 0 && run(im, sql);
    if (ok && im->sh->interactive)
        fprintf(im->sh->out, "made the table: %s\n", sql);
    free(sql);
    return ok;
}

static quartet_stmt *prepare_insert(struct import *im, const char *quoted_table, size_t rows)
{
    char *sql = NULL;
    size_t n = 0;
    FILE *text = open_memstream(&sql, &n);
    if (text == NULL)
        return NULL;
    fprintf(text, "INSERT INTO %s (", quoted_table);
    for (size_t c = 0; c < im->columns; c++)
        fprintf(text, "%s%s", c > 0 ? ", " : "", im->names[c]);
    fputs(") VALUES ", text);
    for (size_t r = 0; r < rows; r++) {
        fputs(r > 0 ? ", (" : "(", text);
        for (size_t c = 0; c < im->columns; c++)
            fputs(c > 0 ? ", ?" : "?", text);
        fputc(')', text);
    }
    quartet_stmt *stmt = NULL;
    if (fclose(text) != 0 || quartet_prepare(im->sh->db, sql, -1, &stmt, NULL) != QUARTET_OK) {
        fail(im, quartet_errmsg(im->sh->db));
        stmt = NULL;
    }
    free(sql);
    return stmt;
}

static bool step_insert(struct import *im, quartet_stmt *stmt)
{
    int rc = quartet_step(stmt);
    if (rc != QUARTET_DONE) {
        fail(im, quartet_errmsg(im->sh->db));
        return false;
    }
    return quartet_reset(stmt) == QUARTET_OK;
}

/* Second pass: the rows. `stmt` takes `many` rows at once; the rest at the end goes through a shorter statement. */
static bool load_rows(struct import *im, const char *quoted_table, quartet_stmt *stmt, size_t many)
{
    size_t pending = 0;
    bool end = false;
    while (next_row(im, &end) && !end) {
        for (size_t c = 0; c < im->columns; c++) {
            const struct csv_field *f = &im->csv.fields[c];
            int index = (int)(pending * im->columns + c + 1);
            int rc = f->n == 0 && !f->quoted ? quartet_bind_null(stmt, index) : quartet_bind_text(stmt, index, f->text, (int64_t)f->n);
            if (rc != QUARTET_OK) {
                fail(im, quartet_errmsg(im->sh->db));
                return false;
            }
        }
        im->rows++;
        if (++pending == many) {
            if (!step_insert(im, stmt))
                return false;
            pending = 0;
        }
        progress(im, "loading", false);
    }
    if (!end)
        return false;
    if (pending == 0)
        return true;
    /* The last rows are fewer than the statement takes: a shorter one gets their values from it. */
    quartet_stmt *rest = prepare_insert(im, quoted_table, pending);
    bool ok = rest != NULL;
    if (ok && quartet_bind_copy(rest, stmt) != QUARTET_OK) {
        fail(im, quartet_errmsg(im->sh->db));
        ok = false;
    }
    ok = ok && step_insert(im, rest);
    (void)quartet_finalize(rest); /* its error, if any, has been told */
    return ok;
}

static bool load(struct import *im, const char *quoted_table)
{
    size_t many = IMPORT_PARAMETERS_MAX / im->columns;
    if (many == 0)
        many = 1;
    quartet_stmt *stmt = prepare_insert(im, quoted_table, many);
    if (stmt == NULL)
        return false;
    bool ok = load_rows(im, quoted_table, stmt, many);
    (void)quartet_finalize(stmt); /* its error, if any, has been told */
    return ok;
}

static bool table_exists(struct import *im, const char *quoted_table)
{
    char *sql = NULL;
    size_t n = 0;
    FILE *text = open_memstream(&sql, &n);
    if (text == NULL)
        return false;
    fprintf(text, "SELECT * FROM %s LIMIT 0", quoted_table);
    quartet_stmt *stmt = NULL;
    bool found = fclose(text) == 0 && quartet_prepare(im->sh->db, sql, -1, &stmt, NULL) == QUARTET_OK;
    (void)quartet_finalize(stmt); /* never stepped */
    free(sql);
    return found;
}

static bool import_open(struct import *im, FILE *in)
{
    struct stat st;
    if (fstat(fileno(in), &st) == 0 && st.st_size > 0)
        im->size = (uint64_t)st.st_size;
    csv_init(&im->csv, in);
    im->started = now_seconds();
    return read_header(im);
}

/* Look at the whole file, make the table, go back to the first row. */
static bool import_make(struct import *im, FILE *in, const char *quoted_table)
{
    if (!infer(im))
        return false;
    progress(im, "looking", true);
    im->csv.line = 0;
    if (!make_table(im, quoted_table))
        return false;
    im->rows = 0;
    csv_deinit(&im->csv);
    if (fseek(in, 0, SEEK_SET) != 0) {
        csv_init(&im->csv, in);
        fail(im, "a table can be made from a regular file only (two passes); create the table first");
        return false;
    }
    csv_init(&im->csv, in);
    return csv_next(&im->csv); /* the header line again */
}

bool import_csv(struct shell *sh, const char *path, const char *table)
{
    struct import im = {.sh = sh, .path = path, .table = table};
    char *quoted_table = text_quote_name(table);
    FILE *in = fopen(path, "rb");
    bool ok = false, began = false;
    if (in == NULL || quoted_table == NULL) {
        fail(&im, in == NULL ? strerror(errno) : "out of memory");
        goto done;
    }
    if (!import_open(&im, in))
        goto done;
    if (!quartet_in_transaction(sh->db)) {
        if (!run(&im, "BEGIN"))
            goto done;
        began = true;
    }
    ok = (table_exists(&im, quoted_table) || import_make(&im, in, quoted_table)) && load(&im, quoted_table);
    progress(&im, "loading", true);
    if (began) {
        im.csv.line = 0;
        if (ok)
            ok = run(&im, "COMMIT");
        else if (quartet_in_transaction(sh->db))
            (void)run(&im, "ROLLBACK"); /* the first error has been told; nothing was imported */
    }
    if (ok) {
        double seconds = now_seconds() - im.started;
        fprintf(sh->interactive ? sh->out : stderr, "%llu rows imported into %s in %.2f s\n", (unsigned long long)im.rows, table, seconds);
    }
done:
    if (in != NULL)
        fclose(in); /* it was only read */
    for (size_t c = 0; im.names != NULL && c < im.columns; c++)
        free(im.names[c]);
    free(im.names);
    free(im.guesses);
    free(im.ascending);
    free(im.last);
    csv_deinit(&im.csv);
    free(quoted_table);
    return ok;
}
