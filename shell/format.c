/* format.c - the output formats: table, csv, json, jsonl, markdown, line, list.
 * Rows are streamed; only a table must know its widths, so it collects up to TABLE_ROWS_AHEAD rows, prints them, and lets later cells
 * that are wider stick out. Formats for programs (csv, json, jsonl, list) are stable; table, markdown and line are for people. */
#include "shell.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_ROWS_AHEAD 2000u
#define TABLE_CELL_CELLS_MAX 80u /* of a header's width estimate: one very long cell must not push all others off the screen */

static const char *const format_names[] = {"table", "csv", "json", "jsonl", "markdown", "line", "list"};

bool format_parse(const char *name, enum shell_format *out)
{
    for (size_t i = 0; i < sizeof format_names / sizeof *format_names; i++)
        if (strcmp(name, format_names[i]) == 0) {
            *out = (enum shell_format)i;
            return true;
        }
    return false;
}

/* The text of a cell as people and CSV see it: BLOBs as hexadecimal. *owned is to free() where not NULL. */
static const char *cell_text(struct shell *sh, quartet_stmt *stmt, int column, size_t *n, char **owned)
{
    *owned = NULL;
    int type = quartet_column_type(stmt, column);
    if (type == QUARTET_NULL) {
        *n = strlen(sh->null_text);
        return sh->null_text;
    }
    if (type == QUARTET_BLOB) {
        const unsigned char *p = quartet_column_blob(stmt, column);
        size_t bytes = (size_t)quartet_column_bytes(stmt, column);
        char *hex = malloc(2 * bytes + 1);
        if (hex == NULL || (p == NULL && bytes > 0)) {
            free(hex);
            *n = 0;
            return "";
        }
        for (size_t i = 0; i < bytes; i++)
            snprintf(hex + 2 * i, 3, "%02x", (unsigned)p[i]);
        hex[2 * bytes] = '\0';
        *n = 2 * bytes;
        *owned = hex;
        return hex;
    }
    const char *text = quartet_column_text(stmt, column);
    *n = text != NULL ? (size_t)quartet_column_bytes(stmt, column) : 0;
    return text != NULL ? text : "";
}

static bool is_number(quartet_stmt *stmt, int column)
{
    int type = quartet_column_type(stmt, column);
    return type == QUARTET_INTEGER || type == QUARTET_REAL || type == QUARTET_DECIMAL;
}

/* ---- table and markdown ---- */

struct table_cell {
    char *text;
    size_t n;
    bool right;
};
struct table {
    struct table_cell *cells; /* rows * columns */
    size_t *widths;
    size_t rows;
    int columns;
    bool markdown;
    bool started;
};

static void table_rule(FILE *out, const struct table *t, const char *left, const char *middle, const char *right)
{
    fputs(left, out);
    for (int c = 0; c < t->columns; c++) {
        if (c > 0)
            fputs(middle, out);
        for (size_t i = 0; i < t->widths[c] + 2; i++)
            fputs("─", out);
    }
    fprintf(out, "%s\n", right);
}

static void table_head(struct shell *sh, const struct table *t, quartet_stmt *stmt)
{
    const char *bar = t->markdown ? "|" : "│";
    if (!t->markdown)
        table_rule(sh->out, t, "┌", "┬", "┐");
    for (int c = 0; c < t->columns; c++) {
        const char *name = quartet_column_name(stmt, c);
        fprintf(sh->out, "%s ", bar);
        text_print_padded(sh->out, name, strlen(name), t->widths[c], false);
        fputc(' ', sh->out);
    }
    fprintf(sh->out, "%s\n", bar);
    if (!t->markdown) {
        table_rule(sh->out, t, "├", "┼", "┤");
        return;
    }
    for (int c = 0; c < t->columns; c++) {
        fputs("|", sh->out);
        for (size_t i = 0; i < t->widths[c] + 2; i++)
            fputc('-', sh->out);
    }
    fputs("|\n", sh->out);
}

/* Markdown would take a bar inside a cell for the cell's end. */
static void markdown_print(FILE *out, const struct table_cell *cell, size_t width)
{
    size_t bars = 0;
    for (size_t i = 0; i < cell->n; i++)
        bars += cell->text[i] == '|';
    if (bars == 0) {
        text_print_padded(out, cell->text, cell->n, width, cell->right);
        return;
    }
    for (size_t i = 0, from = 0; i <= cell->n; i++)
        if (i == cell->n || cell->text[i] == '|') {
            text_print_safe(out, cell->text + from, i - from);
            if (i < cell->n)
                fputs("\\|", out);
            from = i + 1;
        }
}

static void table_flush(struct shell *sh, struct table *t, quartet_stmt *stmt)
{
    if (!t->started) {
        for (int c = 0; c < t->columns; c++) {
            const char *name = quartet_column_name(stmt, c);
            t->widths[c] = text_width(name, strlen(name));
            for (size_t r = 0; r < t->rows; r++) {
                const struct table_cell *cell = &t->cells[r * (size_t)t->columns + (size_t)c];
                size_t width = text_width(cell->text, cell->n);
                if (width > t->widths[c])
                    t->widths[c] = width < TABLE_CELL_CELLS_MAX || width < t->widths[c] ? width : TABLE_CELL_CELLS_MAX;
            }
        }
        table_head(sh, t, stmt);
        t->started = true;
    }
    const char *bar = t->markdown ? "|" : "│";
    for (size_t r = 0; r < t->rows; r++) {
        for (int c = 0; c < t->columns; c++) {
            struct table_cell *cell = &t->cells[r * (size_t)t->columns + (size_t)c];
            fprintf(sh->out, "%s ", bar);
            if (t->markdown)
                markdown_print(sh->out, cell, t->widths[c]);
            else
                text_print_padded(sh->out, cell->text, cell->n, t->widths[c], cell->right);
            fputc(' ', sh->out);
            free(cell->text);
        }
        fprintf(sh->out, "%s\n", bar);
    }
    t->rows = 0;
}

static int table_rows(struct shell *sh, quartet_stmt *stmt, uint64_t *rows, bool markdown)
{
    int columns = quartet_column_count(stmt);
    struct table t = {.columns = columns, .markdown = markdown};
    t.cells = calloc((size_t)columns * TABLE_ROWS_AHEAD, sizeof *t.cells);
    t.widths = calloc((size_t)columns, sizeof *t.widths);
    int rc = t.cells != NULL && t.widths != NULL ? QUARTET_ROW : QUARTET_NOMEM;
    while (rc == QUARTET_ROW && !ferror(sh->out) && (rc = quartet_step(stmt)) == QUARTET_ROW) {
        for (int c = 0; c < columns && rc == QUARTET_ROW; c++) {
            struct table_cell *cell = &t.cells[t.rows * (size_t)columns + (size_t)c];
            char *owned;
            const char *text = cell_text(sh, stmt, c, &cell->n, &owned);
            cell->text = owned != NULL ? owned : malloc(cell->n + 1);
            if (cell->text == NULL) {
                cell->n = 0;
                rc = QUARTET_NOMEM;
            } else if (owned == NULL) {
                memcpy(cell->text, text, cell->n);
            }
            cell->right = is_number(stmt, c);
        }
        t.rows++;
        (*rows)++;
        if (t.rows == TABLE_ROWS_AHEAD)
            table_flush(sh, &t, stmt);
    }
    if (t.cells != NULL && t.widths != NULL) {
        if (rc == QUARTET_DONE || t.rows > 0)
            table_flush(sh, &t, stmt);
        if (t.started && !markdown)
            table_rule(sh->out, &t, "└", "┴", "┘");
    }
    free(t.cells);
    free(t.widths);
    return rc == QUARTET_ROW ? QUARTET_DONE : rc; /* rows are left where nobody takes the output any more: the caller tells */
}

/* ---- formats for programs ---- */

static void json_value(FILE *out, quartet_stmt *stmt, int column, const char *text, size_t n)
{
    switch (quartet_column_type(stmt, column)) {
    case QUARTET_NULL:
        fputs("null", out);
        return;
    case QUARTET_REAL:
        if (!isfinite(quartet_column_double(stmt, column))) { /* JSON has no infinity */
            text_print_json(out, text, n);
            return;
        }
        break;
    case QUARTET_INTEGER:
    case QUARTET_DECIMAL:
    case QUARTET_JSON:
        break;
    default:
        text_print_json(out, text, n);
        return;
    }
    fwrite(text, 1, n, out);
}

static void json_row(struct shell *sh, quartet_stmt *stmt)
{
    int columns = quartet_column_count(stmt);
    fputc('{', sh->out);
    for (int c = 0; c < columns; c++) {
        const char *name = quartet_column_name(stmt, c);
        size_t n;
        char *owned;
        const char *text = cell_text(sh, stmt, c, &n, &owned);
        if (c > 0)
            fputs(", ", sh->out);
        text_print_json(sh->out, name, strlen(name));
        fputs(": ", sh->out);
        json_value(sh->out, stmt, c, text, n);
        free(owned);
    }
    fputc('}', sh->out);
}

static void separated_row(struct shell *sh, quartet_stmt *stmt, bool csv)
{
    int columns = quartet_column_count(stmt);
    for (int c = 0; c < columns; c++) {
        size_t n;
        char *owned;
        const char *text = cell_text(sh, stmt, c, &n, &owned);
        if (c > 0)
            fputc(csv ? ',' : '|', sh->out);
        if (csv && quartet_column_type(stmt, c) != QUARTET_NULL)
            text_print_csv(sh->out, text, n);
        else if (sh->out_tty)
            text_print_safe(sh->out, text, n);
        else
            fwrite(text, 1, n, sh->out);
        free(owned);
    }
    fputs(csv ? "\r\n" : "\n", sh->out);
}

static void separated_head(struct shell *sh, quartet_stmt *stmt, bool csv)
{
    int columns = quartet_column_count(stmt);
    for (int c = 0; c < columns; c++) {
        const char *name = quartet_column_name(stmt, c);
        if (c > 0)
            fputc(csv ? ',' : '|', sh->out);
        if (csv)
            text_print_csv(sh->out, name, strlen(name));
        else
            text_print_safe(sh->out, name, strlen(name));
    }
    fputs(csv ? "\r\n" : "\n", sh->out);
}

static void line_row(struct shell *sh, quartet_stmt *stmt, uint64_t row)
{
    int columns = quartet_column_count(stmt);
    size_t width = 0;
    for (int c = 0; c < columns; c++) {
        const char *name = quartet_column_name(stmt, c);
        size_t w = text_width(name, strlen(name));
        if (w > width)
            width = w;
    }
    if (row > 0)
        fputc('\n', sh->out);
    for (int c = 0; c < columns; c++) {
        const char *name = quartet_column_name(stmt, c);
        size_t n;
        char *owned;
        const char *text = cell_text(sh, stmt, c, &n, &owned);
        text_print_padded(sh->out, name, strlen(name), width, true);
        fputs(" = ", sh->out);
        if (sh->out_tty)
            text_print_safe(sh->out, text, n);
        else
            fwrite(text, 1, n, sh->out);
        fputc('\n', sh->out);
        free(owned);
    }
}

static void program_row(struct shell *sh, quartet_stmt *stmt, uint64_t row)
{
    switch (sh->format) {
    case FORMAT_CSV:
    case FORMAT_LIST:
        if (row == 0 && sh->headers)
            separated_head(sh, stmt, sh->format == FORMAT_CSV);
        separated_row(sh, stmt, sh->format == FORMAT_CSV);
        break;
    case FORMAT_JSON:
        fputs(row == 0 ? "[" : ",\n ", sh->out);
        json_row(sh, stmt);
        break;
    case FORMAT_JSONL:
        json_row(sh, stmt);
        fputc('\n', sh->out);
        break;
    default:
        line_row(sh, stmt, row);
        break;
    }
}

int format_rows(struct shell *sh, quartet_stmt *stmt, uint64_t *rows)
{
    *rows = 0;
    if (quartet_column_count(stmt) == 0) {
        int rc;
        do
            rc = quartet_step(stmt);
        while (rc == QUARTET_ROW);
        return rc;
    }
    if (sh->format == FORMAT_TABLE || sh->format == FORMAT_MARKDOWN)
        return table_rows(sh, stmt, rows, sh->format == FORMAT_MARKDOWN);
    int rc = QUARTET_ROW;
    while (!ferror(sh->out) && (rc = quartet_step(stmt)) == QUARTET_ROW)
        program_row(sh, stmt, (*rows)++);
    if (rc == QUARTET_ROW) /* nobody takes the output any more: the caller tells, and the other rows need no work */
        return QUARTET_DONE;
    if (*rows == 0 && rc == QUARTET_DONE && sh->headers && (sh->format == FORMAT_CSV || sh->format == FORMAT_LIST))
        separated_head(sh, stmt, sh->format == FORMAT_CSV);
    if (sh->format == FORMAT_JSON && (*rows > 0 || rc == QUARTET_DONE))
        fputs(*rows == 0 ? "[]\n" : "]\n", sh->out);
    return rc;
}
