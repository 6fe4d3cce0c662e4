/* main.c - the program `quartet`: arguments, connection, then a script or the interactive loop.
 * Exit status: 0; 1 after a failed statement; 2 where the database cannot be opened; 64 for wrong arguments. */
#include "shell.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_CANNOT_OPEN 2
#define EXIT_USAGE 64
#define ACTIONS_MAX 256

struct action {
    bool file;
    const char *text;
};

static void usage(FILE *out)
{
    fputs("usage: quartet [DIRECTORY | :memory: | quartet://HOST:PORT,.../?...] [options]\n"
          "  -c SQL          run SQL and end (may be repeated)\n"
          "  -f FILE         run a file and end (may be repeated)\n"
          "  --format NAME   table, csv, json, jsonl, markdown, line or list\n"
          "  --headers       column names before csv and list\n"
          "  --nulls TEXT    what to show for NULL\n"
          "  --timer         how long each statement takes\n"
          "  --force         go on after a failed statement\n"
          "  --version, --help\n"
          "Without -c and -f it reads standard input; with a terminal it is interactive. Without a database it opens :memory:.\n"
          "QUARTET_URL names a database where the command line does not.\n"
          "Subcommands, each with --help: dump, restore, verify (a directory so named is written ./dump).\n",
          out);
}

static void notice(void *arg, const char *text)
{
    struct shell *sh = arg;
    fflush(sh->out);
    fputs("note: ", stderr);
    text_print_safe(stderr, text, strlen(text));
    fputc('\n', stderr);
}

struct arguments {
    struct action actions[ACTIONS_MAX];
    size_t action_count;
    bool format_set;
};

/* 0: go on; otherwise the exit status plus one. */
static int parse_arguments(int argc, char **argv, struct shell *sh, struct arguments *args)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool takes = strcmp(a, "-c") == 0 || strcmp(a, "-f") == 0 || strcmp(a, "--format") == 0 || strcmp(a, "--nulls") == 0;
        if (takes && value == NULL) {
            fprintf(stderr, "quartet: %s needs a value\n", a);
            return EXIT_USAGE + 1;
        }
        i += takes;
        if (strcmp(a, "-c") == 0 || strcmp(a, "-f") == 0) {
            if (args->action_count == ACTIONS_MAX) {
                fprintf(stderr, "quartet: more than %d times -c and -f\n", ACTIONS_MAX);
                return EXIT_USAGE + 1;
            }
            args->actions[args->action_count++] = (struct action){.file = a[1] == 'f', .text = value};
        } else if (strcmp(a, "--format") == 0) {
            if (!format_parse(value, &sh->format)) {
                fprintf(stderr, "quartet: no such format: %s\n", value);
                return EXIT_USAGE + 1;
            }
            args->format_set = true;
        } else if (strcmp(a, "--nulls") == 0) {
            if (strlen(value) >= sizeof sh->null_text) {
                fprintf(stderr, "quartet: --nulls takes at most 31 bytes\n");
                return EXIT_USAGE + 1;
            }
            snprintf(sh->null_text, sizeof sh->null_text, "%s", value);
        } else if (strcmp(a, "--headers") == 0) {
            sh->headers = true;
        } else if (strcmp(a, "--timer") == 0) {
            sh->timer = true;
        } else if (strcmp(a, "--force") == 0) {
            sh->force = true;
        } else if (strcmp(a, "--version") == 0) {
            printf("quartet %s\n", quartet_version());
            return 1;
        } else if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
            usage(stdout);
            return 1;
        } else if (a[0] == '-' || sh->path != NULL) {
            fprintf(stderr, "quartet: %s: %s\n", a[0] == '-' ? "no such option" : "a second database", a);
            usage(stderr);
            return EXIT_USAGE + 1;
        } else {
            sh->path = a;
        }
    }
    return 0;
}

static void run_actions(struct shell *sh, const struct arguments *args)
{
    for (size_t i = 0; i < args->action_count && !sh->quit; i++) {
        const struct action *a = &args->actions[i];
        bool go_on;
        if (a->file)
            go_on = script_run_file(sh, a->text);
        else if (a->text[0] == '.')
            go_on = dotcmd_run(sh, a->text, NULL, 0);
        else
            go_on = script_run_sql(sh, a->text, NULL, 0);
        if (!go_on && !sh->force)
            break;
    }
}

int main(int argc, char **argv)
{
    struct shell sh = {.out = stdout, .out_tty = isatty(STDOUT_FILENO)};
    struct arguments args = {.action_count = 0};
    int stop;
    if (subcommand_run(argc, argv, &stop))
        return stop;
    stop = parse_arguments(argc, argv, &sh, &args);
    if (stop != 0)
        return stop - 1;
    if (sh.path == NULL)
        sh.path = getenv("QUARTET_URL");
    if (sh.path == NULL)
        sh.path = ":memory:";
    sh.interactive = args.action_count == 0 && isatty(STDIN_FILENO);
    if (!args.format_set)
        sh.format = sh.out_tty ? FORMAT_TABLE : FORMAT_LIST;
    signal(SIGPIPE, SIG_IGN); /* writing to a closed pipe is an error we report, not a death */
    int rc = quartet_open(sh.path, &sh.db);
    if (rc != QUARTET_OK) {
        shell_error(&sh, NULL, 0, sh.db != NULL ? quartet_errmsg(sh.db) : "out of memory");
        (void)quartet_close(sh.db); /* nothing was opened */
        return EXIT_CANNOT_OPEN;
    }
    quartet_on_notice(sh.db, notice, &sh);
    sh.stdin_is_script = args.action_count == 0;
    copy_setup(&sh);
    if (args.action_count > 0)
        run_actions(&sh, &args);
    else if (sh.interactive)
        (void)repl_run(&sh); /* failed statements set sh.failed */
    else
        (void)script_run_stream(&sh, stdin, NULL); /* likewise */
    if (sh.interactive)
        sh.failed = false; /* a person has seen the errors */
    if (fflush(sh.out) != 0 || (sh.out != stdout && fclose(sh.out) != 0))
        sh.failed = true;
    if (quartet_close(sh.db) != QUARTET_OK) {
        fprintf(stderr, "error: the database could not be closed cleanly\n");
        sh.failed = true;
    }
    return sh.failed ? 1 : 0;
}
