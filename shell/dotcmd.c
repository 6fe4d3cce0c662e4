/* dotcmd.c - the commands that begin with a dot: one table, from which .help is made too. */
#include "shell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define ARGS_MAX 8

struct dotcmd {
    const char *name, *arguments, *help;
    int args_min, args_max;
    bool (*run)(struct shell *sh, char **args, int count);
};

static const struct dotcmd commands[];

static bool bad(struct shell *sh, const char *format, const char *word)
{
    char text[512];
    snprintf(text, sizeof text, "%s%s", format, word);
    shell_error(sh, NULL, 0, text);
    return false;
}

static bool parse_switch(struct shell *sh, const char *word, bool *out)
{
    if (strcmp(word, "on") == 0 || strcmp(word, "off") == 0) {
        *out = word[1] == 'n';
        return true;
    }
    return bad(sh, "expected on or off, not ", word);
}

static bool cmd_help(struct shell *sh, char **args, int count)
{
    bool found = false;
    const char *wanted = count > 0 ? args[0] + (args[0][0] == '.') : NULL;
    for (const struct dotcmd *c = commands; c->name != NULL; c++) {
        if (wanted != NULL && strcmp(wanted, c->name) != 0)
            continue;
        found = true;
        int used = fprintf(sh->out, ".%s %s", c->name, c->arguments);
        fprintf(sh->out, "%*s%s\n", used < 26 ? 26 - used : 1, "", c->help);
    }
    if (!found)
        return bad(sh, "no such command: .", wanted);
    if (wanted == NULL)
        fputs("SQL statements end with a semicolon. Ctrl-C stops a running statement, Ctrl-D leaves.\n", sh->out);
    return true;
}

static bool cmd_tables(struct shell *sh, char **args, int count)
{
    quartet_stmt *stmt = NULL;
    const char *sql = count > 0 ? "SELECT name FROM quartet_objects WHERE kind IN ('table', 'view') AND name LIKE ? ORDER BY name"
                                : "SELECT name FROM quartet_objects WHERE kind IN ('table', 'view') ORDER BY name";
    int rc = quartet_prepare(sh->db, sql, -1, &stmt, NULL);
    if (rc == QUARTET_OK && count > 0)
        rc = quartet_bind_text(stmt, 1, args[0], -1);
    if (rc == QUARTET_OK)
        while ((rc = quartet_step(stmt)) == QUARTET_ROW) {
            const char *name = quartet_column_text(stmt, 0);
            text_print_safe(sh->out, name != NULL ? name : "", name != NULL ? strlen(name) : 0);
            fputc('\n', sh->out);
        }
    (void)quartet_finalize(stmt); /* repeats rc */
    return rc == QUARTET_DONE ? true : bad(sh, quartet_errmsg(sh->db), "");
}

/* Its own lines are kept. */
static void print_definition(struct shell *sh, const char *text)
{
    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, "\n");
        text_print_safe(sh->out, p, n);
        p += n;
        if (*p != '\0') {
            fputc('\n', sh->out);
            p++;
        }
    }
    fputs(";\n", sh->out);
}

static bool cmd_schema(struct shell *sh, char **args, int count)
{
    quartet_stmt *stmt = NULL;
    int rc = quartet_prepare(sh->db, "SHOW SCHEMA", -1, &stmt, NULL), rows = 0;
    if (rc == QUARTET_OK)
        while ((rc = quartet_step(stmt)) == QUARTET_ROW) {
            const char *name = quartet_column_text(stmt, 1), *table = quartet_column_text(stmt, 2), *text = quartet_column_text(stmt, 3);
            if (name == NULL || table == NULL || text == NULL || (count > 0 && strcasecmp(name, args[0]) != 0 && strcasecmp(table, args[0]) != 0))
                continue;
            print_definition(sh, text);
            rows++;
        }
    (void)quartet_finalize(stmt); /* repeats rc */
    if (rc != QUARTET_DONE)
        return bad(sh, quartet_errmsg(sh->db), "");
    if (count > 0 && rows == 0)
        return bad(sh, "no such table: ", args[0]);
    return true;
}

static bool cmd_import(struct shell *sh, char **args, int count)
{
    (void)count; /* the table says two */
    return import_csv(sh, args[0], args[1]);
}

static bool cmd_read(struct shell *sh, char **args, int count)
{
    (void)count; /* the table says one */
    return script_run_file(sh, args[0]);
}

static bool cmd_timer(struct shell *sh, char **args, int count)
{
    (void)count; /* the table says one */
    return parse_switch(sh, args[0], &sh->timer);
}

static bool cmd_headers(struct shell *sh, char **args, int count)
{
    (void)count; /* the table says one */
    return parse_switch(sh, args[0], &sh->headers);
}

static bool cmd_format(struct shell *sh, char **args, int count)
{
    (void)count; /* the table says one */
    if (!format_parse(args[0], &sh->format))
        return bad(sh, "no such format; choose table, csv, json, jsonl, markdown, line or list, not ", args[0]);
    return true;
}

static bool cmd_nulls(struct shell *sh, char **args, int count)
{
    const char *text = count > 0 ? args[0] : "";
    if (strlen(text) >= sizeof sh->null_text)
        return bad(sh, "at most 31 bytes: ", text);
    snprintf(sh->null_text, sizeof sh->null_text, "%s", text);
    return true;
}

static bool cmd_output(struct shell *sh, char **args, int count)
{
    FILE *out = stdout;
    if (count > 0 && (out = fopen(args[0], "wb")) == NULL) {
        char text[512];
        snprintf(text, sizeof text, "cannot write %s: %s", args[0], strerror(errno));
        shell_error(sh, NULL, 0, text);
        return false;
    }
    bool ok = sh->out == stdout || fclose(sh->out) == 0;
    sh->out = out;
    sh->out_tty = out == stdout && isatty(STDOUT_FILENO);
    return ok ? true : bad(sh, "the output file could not be written: ", strerror(errno));
}

static bool cmd_echo(struct shell *sh, char **args, int count)
{
    for (int i = 0; i < count; i++)
        fprintf(sh->out, "%s%s", i > 0 ? " " : "", args[i]);
    fputc('\n', sh->out);
    return true;
}

static bool cmd_cluster(struct shell *sh, char **args, int count)
{
    (void)args;  /* takes none */
    (void)count; /* takes none */
    return script_run_sql(sh, "SHOW CLUSTER", NULL, 0);
}

static bool cmd_where(struct shell *sh, char **args, int count)
{
    (void)args;  /* takes none */
    (void)count; /* takes none */
    fprintf(sh->out, "%s\n", quartet_where(sh->db));
    return true;
}

static bool cmd_quit(struct shell *sh, char **args, int count)
{
    (void)args;  /* takes none */
    (void)count; /* takes none */
    sh->quit = true;
    return false;
}

static const struct dotcmd commands[] = {
    {"cluster", "", "the nodes: state, lag, hashes (SHOW CLUSTER)", 0, 0, cmd_cluster},
    {"echo", "TEXT...", "print the text", 0, ARGS_MAX, cmd_echo},
    {"exit", "", "leave", 0, 0, cmd_quit},
    {"format", "FORMAT", "table, csv, json, jsonl, markdown, line or list", 1, 1, cmd_format},
    {"headers", "on|off", "column names before csv and list", 1, 1, cmd_headers},
    {"help", "[COMMAND]", "this", 0, 1, cmd_help},
    {"import", "FILE TABLE", "a CSV file with a header line into a table, made if missing", 2, 2, cmd_import},
    {"nulls", "[TEXT]", "what to show for NULL", 0, 1, cmd_nulls},
    {"output", "[FILE]", "write results to FILE, or to the terminal again", 0, 1, cmd_output},
    {"quit", "", "leave", 0, 0, cmd_quit},
    {"read", "FILE", "run SQL and dot commands from FILE", 1, 1, cmd_read},
    {"schema", "[TABLE]", "the CREATE statements", 0, 1, cmd_schema},
    {"tables", "[PATTERN]", "tables and views, those LIKE the pattern", 0, 1, cmd_tables},
    {"timer", "on|off", "how long each statement takes", 1, 1, cmd_timer},
    {"where", "", "the database, or the node, that answers", 0, 0, cmd_where},
    {NULL, NULL, NULL, 0, 0, NULL},
};

/* Words are separated by blanks; '...' and "..." keep them together. Changes `line`. -1: too many words or an open quote. */
static int split_words(char *line, char **words)
{
    int count = 0;
    char *p = line;
    for (;;) {
        while (*p == ' ' || *p == '\t')
            p++;
        if (*p == '\0')
            return count;
        if (count == ARGS_MAX + 1)
            return -1;
        if (*p == '"' || *p == '\'') {
            char quote = *p++;
            words[count++] = p;
            while (*p != '\0' && *p != quote)
                p++;
            if (*p == '\0')
                return -1;
            *p++ = '\0';
        } else {
            words[count++] = p;
            while (*p != '\0' && *p != ' ' && *p != '\t')
                p++;
            if (*p != '\0')
                *p++ = '\0';
        }
    }
}

bool dotcmd_run(struct shell *sh, const char *line, const char *name, long line_number)
{
    char *copy = strdup(line + 1);
    char *words[ARGS_MAX + 2];
    bool go_on = false;
    int count = copy != NULL ? split_words(copy, words) : 0;
    const struct dotcmd *found = commands;
    if (count > 0) {
        /* An unmistakable beginning is enough, as in .imp. */
        int matches = 0;
        for (const struct dotcmd *c = commands; c->name != NULL; c++)
            if (strncmp(c->name, words[0], strlen(words[0])) == 0) {
                found = c;
                matches++;
                if (strcmp(c->name, words[0]) == 0) {
                    matches = 1;
                    break;
                }
            }
        if (matches != 1)
            count = 0;
    }
    char text[512];
    if (count <= 0) {
        snprintf(text, sizeof text, count < 0 ? "too many words or an open quote: %.200s" : "no such command: %.200s (.help lists them)", line);
        shell_error(sh, name, line_number, text);
    } else if (count - 1 < found->args_min || count - 1 > found->args_max) {
        snprintf(text, sizeof text, "usage: .%s %s", found->name, found->arguments);
        shell_error(sh, name, line_number, text);
    } else {
        go_on = found->run(sh, words + 1, count - 1);
    }
    free(copy);
    fflush(sh->out);
    return go_on;
}
