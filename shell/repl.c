/* repl.c - the interactive loop: line editing and history by libedit, a prompt that tells where one is, Ctrl-C that stops the statement.
 * A statement of several lines is one entry of the history, so that it comes back as it was. */
#include "shell.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HISTORY_ENTRIES 2000

/* A signal handler can reach nothing but globals: these two are the loop's, and are set by it alone. */
static quartet_db *volatile interrupt_db;
static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig; /* SIGINT only */
    interrupted = 1;
    quartet_db *db = interrupt_db;
    if (db != NULL)
        quartet_interrupt(db); /* sets a flag: safe here */
}

struct repl {
    struct shell *sh;
    char prompt[160];
};

static char *prompt_of(EditLine *el)
{
    struct repl *r;
    el_get(el, EL_CLIENTDATA, &r);
    return r->prompt;
}

static void set_prompt(struct repl *r, bool more)
{
    const char *state = quartet_in_transaction(r->sh->db) ? "*" : "";
    if (more)
        snprintf(r->prompt, sizeof r->prompt, "   ...> ");
    else
        snprintf(r->prompt, sizeof r->prompt, "quartet %.120s%s> ", quartet_where(r->sh->db), state);
}

static void history_path(char *out, size_t n)
{
    const char *own = getenv("QUARTET_HISTORY");
    const char *home = getenv("HOME");
    if (own != NULL)
        snprintf(out, n, "%s", own);
    else if (home != NULL)
        snprintf(out, n, "%s/.quartet_history", home);
    else
        out[0] = '\0';
}

/* A line that names a secret is not kept. */
static bool keeps_secret(const char *text)
{
    return strcasestr(text, "password") != NULL || strcasestr(text, "identified by") != NULL || strcasestr(text, "key=") != NULL;
}

/* Add a line to the statement; run it when it is complete. */
static void take_line(struct repl *r, History *past, HistEvent *event, char **text, size_t *len, const char *line)
{
    struct shell *sh = r->sh;
    size_t n = strlen(line);
    if (*len == 0 && line[0] == '.') {
        char *command = strndup(line, strcspn(line, "\r\n"));
        if (command != NULL) {
            if (!keeps_secret(command))
                history(past, event, H_ENTER, command);
            (void)dotcmd_run(sh, command, NULL, 0); /* the loop goes on; .quit sets sh->quit */
        }
        free(command);
        return;
    }
    char *grown = *len + n + 1 <= SHELL_LINE_BYTES_MAX ? realloc(*text, *len + n + 1) : NULL;
    if (grown == NULL) {
        shell_error(sh, NULL, 0, "the statement is too long; it was thrown away");
        *len = 0;
        return;
    }
    *text = grown;
    memcpy(*text + *len, line, n + 1);
    *len += n;
    if (strspn(*text, " \t\r\n") == *len) {
        *len = 0;
        return;
    }
    if (!quartet_complete(*text))
        return;
    if (!keeps_secret(*text))
        history(past, event, H_ENTER, *text);
    interrupt_db = sh->db;
    (void)script_run_sql(sh, *text, NULL, 0); /* errors were told; the loop goes on */
    interrupt_db = NULL;
    *len = 0;
}

static void loop(struct repl *r, EditLine *el, History *past)
{
    HistEvent event;
    char *text = NULL;
    size_t len = 0;
    while (!r->sh->quit) {
        set_prompt(r, len > 0);
        interrupted = 0;
        int n = 0;
        const char *line = el_gets(el, &n);
        if (interrupted) {
            fputs("^C\n", stdout);
            len = 0;
            if (line == NULL)
                el_reset(el);
            continue;
        }
        if (line == NULL || n <= 0) {
            fputc('\n', stdout);
            break;
        }
        take_line(r, past, &event, &text, &len, line);
    }
    free(text);
}

int repl_run(struct shell *sh)
{
    struct repl r = {.sh = sh};
    setlocale(LC_CTYPE, "");
    struct sigaction act = {.sa_handler = on_interrupt};
    sigemptyset(&act.sa_mask);
    if (sigaction(SIGINT, &act, NULL) != 0)
        fprintf(stderr, "warning: Ctrl-C will end the shell: %s\n", strerror(errno));
    EditLine *el = el_init("quartet", stdin, stdout, stderr);
    History *past = history_init();
    if (el == NULL || past == NULL) {
        shell_error(sh, NULL, 0, "the line editor could not be started");
        if (past != NULL)
            history_end(past);
        if (el != NULL)
            el_end(el);
        return 1;
    }
    HistEvent event;
    char path[4096];
    history_path(path, sizeof path);
    history(past, &event, H_SETSIZE, HISTORY_ENTRIES);
    history(past, &event, H_SETUNIQUE, 1);
    if (path[0] != '\0')
        history(past, &event, H_LOAD, path); /* none yet the first time */
    el_set(el, EL_CLIENTDATA, &r);
    el_set(el, EL_PROMPT, prompt_of);
    el_set(el, EL_EDITOR, "emacs");
    el_set(el, EL_HIST, history, past);
    el_set(el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(el, NULL);
    printf("Quartet %s. Type .help for help.\n", quartet_version());
    loop(&r, el, past);
    if (path[0] != '\0') {
        mode_t mask = umask(0077);
        if (history(past, &event, H_SAVE, path) < 0)
            fprintf(stderr, "warning: the history could not be kept in %s\n", path);
        umask(mask);
    }
    history_end(past);
    el_end(el);
    return 0;
}
