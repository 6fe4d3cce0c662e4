/* script.c - running text: SQL statements one by one, dot commands line by line, from -c, -f, a pipe or the prompt.
 * A script stops at its first failed statement unless --force is given: half a migration that goes on is worse than one that stops. */
#include "shell.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void shell_error(struct shell *sh, const char *name, long line, const char *text)
{
    sh->failed = true;
    fflush(sh->out);
    if (name != NULL)
        fprintf(stderr, "%s:%ld: ", name, line);
    fputs("error: ", stderr);
    for (const char *p = text; *p != '\0';) { /* line ends stay: the caret stands under its line */
        size_t n = strcspn(p, "\n\t");
        text_print_safe(stderr, p, n);
        p += n;
        if (*p != '\0')
            fputc(*p++, stderr);
    }
    fputc('\n', stderr);
}

static void print_summary(struct shell *sh, quartet_stmt *stmt, uint64_t rows, double seconds)
{
    if (!sh->interactive && !sh->timer)
        return;
    FILE *out = sh->interactive ? sh->out : stderr;
    if (quartet_column_count(stmt) > 0)
        fprintf(out, "%llu row%s", (unsigned long long)rows, rows == 1 ? "" : "s");
    else
        fprintf(out, "%lld changed", (long long)quartet_changes(sh->db));
    if (sh->timer)
        fprintf(out, " (%.3f ms)", seconds * 1000);
    fputc('\n', out);
}

/* Where in `sql` line numbers are asked for; scripts are run statement by statement, so this is paid once per error. */
static long line_of(const char *sql, const char *at)
{
    long line = 0;
    for (const char *p = sql; p < at; p++)
        line += *p == '\n';
    return line;
}

static const char *skip_blank(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r' || *p == ';')
        p++;
    return p;
}

bool script_run_sql(struct shell *sh, const char *sql, const char *name, long first_line)
{
    const char *at = sql;
    while (*(at = skip_blank(at)) != '\0' && !sh->quit && !ferror(sh->out)) {
        quartet_stmt *stmt = NULL;
        const char *tail = at;
        uint64_t rows = 0;
        double started = now_seconds();
        int rc = quartet_prepare(sh->db, at, -1, &stmt, &tail);
        if (rc == QUARTET_OK && stmt == NULL && tail == at)
            break;
        if (rc == QUARTET_OK && stmt != NULL) {
            rc = format_rows(sh, stmt, &rows);
            if (rc == QUARTET_DONE) {
                print_summary(sh, stmt, rows, now_seconds() - started);
                rc = QUARTET_OK;
            }
        }
        if (rc != QUARTET_OK) {
            shell_error(sh, name, first_line + line_of(sql, at), rc == QUARTET_NOMEM ? "out of memory" : quartet_errmsg(sh->db));
            (void)quartet_finalize(stmt); /* it repeats the error that was just told */
            if (!sh->force && !sh->interactive)
                return false;
            if (tail == at) /* the statement's end is not known: the rest would be guessing */
                return sh->interactive || sh->force;
        } else if (quartet_finalize(stmt) != QUARTET_OK) {
            shell_error(sh, name, first_line, quartet_errmsg(sh->db));
        }
        at = tail;
    }
    if (fflush(sh->out) != 0 || ferror(sh->out)) {
        shell_error(sh, NULL, 0, "cannot write the output");
        clearerr(sh->out);
        return false;
    }
    return !sh->quit;
}

/* Lines are gathered until they end a statement, then run, so that a pipe of any length runs in little memory. */
bool script_run_stream(struct shell *sh, FILE *in, const char *name)
{
    char *line = NULL, *text = NULL;
    size_t line_cap = 0, text_len = 0, text_cap = 0;
    long line_number = 0, first_line = 1;
    bool go_on = true;
    ssize_t n;
    while (go_on && !sh->quit && (n = getline(&line, &line_cap, in)) >= 0) {
        line_number++;
        if (text_len == 0 && line[0] == '.') {
            line[strcspn(line, "\r\n")] = '\0';
            go_on = dotcmd_run(sh, line, name, line_number) || sh->force;
            continue;
        }
        if (memchr(line, '\0', (size_t)n) != NULL) {
            shell_error(sh, name, line_number, "a NUL byte in the SQL text");
            go_on = false;
            break;
        }
        if (text_len + (size_t)n + 1 > SHELL_LINE_BYTES_MAX) {
            shell_error(sh, name, first_line, "a statement of more than 64 MiB");
            go_on = false;
            break;
        }
        if (text_len + (size_t)n + 1 > text_cap) {
            text_cap = (text_len + (size_t)n + 1) * 2;
            char *grown = realloc(text, text_cap);
            if (grown == NULL) {
                shell_error(sh, name, line_number, "out of memory");
                go_on = false;
                break;
            }
            text = grown;
        }
        if (text_len == 0)
            first_line = line_number;
        memcpy(text + text_len, line, (size_t)n + 1);
        text_len += (size_t)n;
        /* Only a line with a semicolon can end a statement: asking at every line of a long one would be quadratic. */
        if (memchr(line, ';', (size_t)n) != NULL && quartet_complete(text)) {
            go_on = script_run_sql(sh, text, name, first_line);
            text_len = 0;
        }
    }
    if (ferror(in)) {
        shell_error(sh, name, line_number, strerror(errno));
        go_on = false;
    }
    if (go_on && text_len > 0)
        go_on = script_run_sql(sh, text, name, first_line);
    free(line);
    free(text);
    return go_on;
}

bool script_run_file(struct shell *sh, const char *path)
{
    if (sh->read_depth >= SHELL_READ_DEPTH_MAX) {
        shell_error(sh, NULL, 0, ".read is nested more than 16 deep");
        return false;
    }
    FILE *in = fopen(path, "rb");
    if (in == NULL) {
        char text[512];
        snprintf(text, sizeof text, "cannot read %s: %s", path, strerror(errno));
        shell_error(sh, NULL, 0, text);
        return false;
    }
    sh->read_depth++;
    bool go_on = script_run_stream(sh, in, path);
    sh->read_depth--;
    fclose(in); /* it was only read: nothing can be lost here */
    return go_on;
}
