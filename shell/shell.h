/* shell.h - what the files of the shell share: one struct shell, made by main.c, passed to everybody. */
#ifndef SHELL_SHELL_H
#define SHELL_SHELL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "quartet.h"

enum shell_format { FORMAT_TABLE, FORMAT_CSV, FORMAT_JSON, FORMAT_JSONL, FORMAT_MARKDOWN, FORMAT_LINE, FORMAT_LIST };

struct shell {
    quartet_db *db;
    const char *path;         /* what it is connected to, as given */
    FILE *out;                /* stdout, or the file of .output */
    enum shell_format format;
    bool headers;             /* csv and list: a line of column names first */
    char null_text[32];
    bool timer;
    bool interactive;         /* a person is at a terminal */
    bool out_tty;             /* out is a terminal: escape what could steer it */
    bool force;               /* go on after a failed statement */
    bool quit;
    bool failed;              /* some statement failed: exit status 1 */
    bool stdin_is_script;     /* SQL comes from there: COPY cannot read it */
    double copy_started, copy_told; /* of the COPY that runs; 0: none was told of yet */
    int read_depth;           /* .read within .read */
};

#define SHELL_READ_DEPTH_MAX 16
#define SHELL_LINE_BYTES_MAX (64u << 20)

/* script.c: run SQL and dot commands. `name` is for messages (a file, or NULL). false: stop (error without --force, or .quit). */
bool script_run_sql(struct shell *sh, const char *sql, const char *name, long first_line);
bool script_run_stream(struct shell *sh, FILE *in, const char *name);
bool script_run_file(struct shell *sh, const char *path);
void shell_error(struct shell *sh, const char *name, long line, const char *text);

/* dotcmd.c: one line that begins with a dot. false: stop. */
bool dotcmd_run(struct shell *sh, const char *line, const char *name, long line_number);

/* format.c: print the rows of a statement that has been prepared and bound; steps it to its end.
 * Returns the last status (QUARTET_DONE or an error) and counts rows. */
int format_rows(struct shell *sh, quartet_stmt *stmt, uint64_t *rows);
bool format_parse(const char *name, enum shell_format *out);

/* import.c: .import FILE TABLE. */
bool import_csv(struct shell *sh, const char *path, const char *table);

/* subcommand.c: `quartet restore`, ...; *status is the exit status. false: argv[1] names none. */
bool subcommand_run(int argc, char **argv, int *status);

/* dump.c: args are a database and the tables that are wanted; the exit status. */
int dump_run(int count, char **args);

/* top.c: args follow the word; the exit status. */
int top_run(int count, char **args);

/* copy.c: standard input and output for COPY, and its progress on a terminal's stderr. */
void copy_setup(struct shell *sh);

/* repl.c: the interactive loop. */
int repl_run(struct shell *sh);

/* text.c: text for terminals and for SQL. */
size_t text_width(const char *s, size_t n);             /* terminal cells, wide and combining characters counted right */
void text_print_safe(FILE *out, const char *s, size_t n); /* control characters as \xNN, so that data cannot steer a terminal */
void text_print_padded(FILE *out, const char *s, size_t n, size_t width, bool right);
void text_print_json(FILE *out, const char *s, size_t n); /* with its quotes */
void text_print_csv(FILE *out, const char *s, size_t n);
char *text_quote_name(const char *name);                /* "name" for SQL; free() it; NULL: out of memory */

#endif
