/* top.c - quartet top: a cluster's nodes, again and again. On a terminal the picture is drawn over itself; elsewhere one follows the other. */
#include "clock.h"
#include "nodes.h"
#include "shell.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE 64
#define ANSWER_MS 1000

/* A signal handler can reach nothing but a global. */
static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
    (void)sig; /* all of them mean: end */
    ended = 1;
}

static void print_bytes(int64_t n)
{
    static const char *const units[] = {"B", "K", "M", "G", "T"};
    double v = (double)n;
    size_t u = 0;
    for (; v >= 1000 && u + 1 < sizeof units / sizeof *units; u++)
        v /= 1024;
    printf(" %6.*f%s", v < 10 && u > 0 ? 1 : 0, v, units[u]);
}

/* What the others see of it is what tells how far it is behind. */
static void lag_of(const struct nodes *n, int slot, int64_t *deltas, int64_t *ms)
{
    *deltas = *ms = 0;
    for (int i = 0; i < n->count; i++) {
        const struct node_says *s = &n->node[i].says[slot];
        if (!n->node[i].up || !s->there || n->node[i].slot == slot)
            continue;
        *deltas = s->lag_deltas > *deltas ? s->lag_deltas : *deltas;
        *ms = s->lag_ms > *ms ? s->lag_ms : *ms;
    }
}

static void print_node(const struct nodes *n, const struct node_view *v, const struct node_view *before, double seconds, bool color)
{
    bool well = node_is_well(v);
    const char *on = color ? (well ? "\033[32m" : "\033[31m") : "", *off = color ? "\033[0m" : "";
    printf("%4d  %-22s %s%-12s%s", v->slot, v->address, on, v->up && v->slot >= 0 ? v->says[v->slot].state : "no answer", off);
    if (!v->up || v->slot < 0) {
        printf("  %s\n", v->error);
        return;
    }
    int64_t deltas, ms;
    bool rates = before->up && seconds > 0;
    lag_of(n, v->slot, &deltas, &ms);
    printf(" %9.0f %9.0f", rates ? (double)(v->figures.commits - before->figures.commits) / seconds : 0.0,
           rates ? (double)(v->figures.remote_rows - before->figures.remote_rows) / seconds : 0.0);
    printf(" %8lld %8lld %6lld", (long long)deltas, (long long)ms, (long long)v->figures.held_batches);
    print_bytes(v->figures.buffer_bytes + v->figures.frozen_bytes);
    print_bytes(v->figures.log_bytes);
    print_bytes(v->figures.base_bytes);
    printf("  %s\n", v->says[v->slot].hash[0] != '\0' ? v->says[v->slot].hash + (strlen(v->says[v->slot].hash) > 8 ? strlen(v->says[v->slot].hash) - 8 : 0) : "");
}

static void print_all(const struct nodes *n, const struct nodes *before, double seconds, bool tty, bool first)
{
    char clock[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc) != NULL)
        strftime(clock, sizeof clock, "%Y-%m-%d %H:%M:%S UTC", &utc);
    if (tty)
        fputs("\033[H\033[J", stdout);
    else if (!first)
        putchar('\n');
    printf("%s\nslot  %-22s %-12s %9s %9s %8s %8s %6s %7s %7s %7s  %s\n", clock, "address", "state", "commits/s", "merges/s", "behind", "ms", "held", "buffer", "log",
           "base", "hash");
    for (int i = 0; i < n->count; i++)
        print_node(n, &n->node[i], &before->node[i], seconds, tty);
    if (tty)
        printf("\nmerges/s: rows of other nodes; behind: transactions that others have and it has not, as they see it; Ctrl-C ends\n");
    fflush(stdout);
}

int top_run(int count, char **args)
{
    static struct nodes now, before; /* large */
    double interval = 1;
    long rounds = 0; /* no end */
    const char *url = NULL, *why = NULL;
    for (int i = 0; i < count; i++) {
        char *end = NULL;
        bool number = i + 1 < count && (strcmp(args[i], "--interval") == 0 || strcmp(args[i], "--count") == 0);
        if (number && args[i][2] == 'i')
            interval = strtod(args[++i], &end);
        else if (number)
            rounds = strtol(args[++i], &end, 10);
        else if (url == NULL && args[i][0] != '-')
            url = args[i];
        else
            url = "";
        if ((end != NULL && *end != '\0') || interval < 0.1 || interval > 3600 || rounds < 0 || (url != NULL && url[0] == '\0')) {
            fprintf(stderr, "quartet top: wrong option: %s\n", args[i]);
            return EXIT_USAGE;
        }
    }
    url = url != NULL ? url : getenv("QUARTET_URL");
    if (url == NULL || !nodes_parse(&now, url, &why)) {
        fprintf(stderr, "quartet top: %s\n", url == NULL ? "which cluster? Give its URL, or set QUARTET_URL" : why);
        return EXIT_USAGE;
    }
    struct sigaction act = {.sa_handler = on_signal};
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    bool tty = isatty(STDOUT_FILENO) == 1;
    double last = 0;
    for (long round = 0; !ended && (rounds == 0 || round < rounds); round++) {
        before = now;
        nodes_ask(&now, ANSWER_MS);
        double at = now_seconds(), seconds = round > 0 ? at - last : 0;
        last = at;
        print_all(&now, &before, seconds, tty, round == 0);
        if (!ended && (rounds == 0 || round + 1 < rounds))
            pause_ms((long)(interval * 1e3)); /* cut short by a signal: then it ends */
    }
    return 0;
}
