/* demo_main.c - the program behind ./start cluster: a demonstration of four writing nodes, and --serve.
 * It must never leave a process or a directory behind: nodes end with it, and a temporary directory goes at exit. */
#include "demo.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEMO_SECONDS_MAX 120
#define EXIT_USAGE 64

struct options {
    bool shell;
    const char *dir;   /* --dir: kept */
    const char *serve; /* --serve */
    const char *project;
    double seconds;    /* of writing */
};

/* A signal handler can reach nothing but a global. */
static struct demo *volatile the_demo;

static void on_signal(int sig)
{
    (void)sig; /* all of them mean: end */
    if (the_demo != NULL) {
        the_demo->interrupted = true;
        the_demo->stop = true;
    }
}

static void usage(FILE *out)
{
    fputs("usage: ./start cluster [--no-shell] [--dir DIR] [--seconds N]\n"
          "         four nodes on this machine, a demonstration, then a shell connected to all four\n"
          "       ./start cluster --serve DIR\n"
          "         four nodes with their data in DIR/0 ... DIR/3, until SIGINT or SIGTERM\n",
          out);
}

static bool parse_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--no-shell") == 0) {
            o->shell = false;
            continue;
        }
        if (value == NULL)
            return false;
        i++;
        if (strcmp(argv[i - 1], "--dir") == 0)
            o->dir = value;
        else if (strcmp(argv[i - 1], "--serve") == 0)
            o->serve = value;
        else if (strcmp(argv[i - 1], "--project") == 0)
            o->project = value;
        else if (strcmp(argv[i - 1], "--seconds") == 0 && strtod(value, NULL) >= 3 && strtod(value, NULL) <= 60)
            o->seconds = strtod(value, NULL);
        else
            return false;
    }
    return true;
}

static bool start_all(struct cluster *c)
{
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (!cluster_start_node(c, k))
            return false;
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (!cluster_wait_ready(c, k, 20000))
            return false;
    return true;
}

/* ---- --serve ---- */

static int serve(const struct options *o, const char *program)
{
    static struct cluster c; /* large; one */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL); /* before threads; signals wait for sigwait */
    if ((mkdir(o->serve, 0700) != 0 && errno != EEXIST) || !cluster_init(&c, o->serve, program) || !cluster_make(&c) || !start_all(&c)) {
        fprintf(stderr, "%s: %s\n", o->serve, c.error[0] != '\0' ? c.error : strerror(errno));
        cluster_stop(&c);
        return 1;
    }
    for (int k = 0; k < CLUSTER_NODES; k++)
        printf("node %d %ld %s\n", k, (long)c.pid[k], c.node_url[k]);
    printf("cluster %s\nready\n", c.url);
    fflush(stdout);
    int sig = 0;
    while (sigwait(&set, &sig) != 0)
        continue;
    cluster_stop(&c);
    return 0;
}

/* ---- the demonstration ---- */

static void draw(struct demo *d, const char *what, bool first)
{
    static uint64_t before[CLUSTER_NODES]; /* one caller, one thread */
    static double drawn;
    double now = now_seconds();
    if (!d->tty) {
        if (!first && now - drawn < 1)
            return;
        uint64_t all = 0;
        for (int k = 0; k < CLUSTER_NODES; k++)
            all += d->writers[k].acknowledged;
        printf("  %4.1f s  %-28s %llu writes acknowledged\n", now - d->started, what, (unsigned long long)all);
        fflush(stdout);
        drawn = now;
        return;
    }
    if (!first)
        printf("\033[%dA", CLUSTER_NODES + 1);
    printf("\033[K  %4.1f s  %s\n", now - d->started, what);
    for (int k = 0; k < CLUSTER_NODES; k++) {
        struct demo_writer *w = &d->writers[k];
        uint64_t done = w->acknowledged;
        double rate = now > drawn && !first ? (double)(done - before[k]) / (now - drawn) : 0;
        bool up = d->cluster.pid[k] > 0;
        int bar = (int)(rate / 100);
        printf("\033[K  %s node %d  %s  writer %d: %7llu acknowledged %6.0f/s ", up ? "\033[32m●\033[0m" : "\033[31m✖\033[0m", k,
               up ? "up  " : "dead", k, (unsigned long long)done, rate);
        for (int i = 0; i < bar && i < 24; i++)
            fputs("▪", stdout);
        if (w->moves > 0)
            printf(" moved to another node %llu×", (unsigned long long)w->moves);
        fputc('\n', stdout);
        before[k] = done;
    }
    drawn = now;
    fflush(stdout);
}

static void write_phase(struct demo *d, const char *what, double seconds, bool first)
{
    double until = now_seconds() + seconds;
    draw(d, what, first);
    while (now_seconds() < until && !d->interrupted) {
        pause_ms(200);
        draw(d, what, false);
    }
}

static bool write_on_all(struct demo *d, double seconds)
{
    const int victim = 2;
    printf("four writers, one on each node: +1 on counters with a journal line, and new towns\n");
    if (!demo_start_writers(d))
        return false;
    write_phase(d, "all four nodes write", seconds * 0.3, true);
    cluster_kill_node(&d->cluster, victim, SIGKILL);
    write_phase(d, "node 2 was killed (SIGKILL)", seconds * 0.3, false);
    bool ok = cluster_start_node(&d->cluster, victim);
    write_phase(d, "node 2 is back", seconds * 0.4, false);
    demo_join_writers(d);
    uint64_t acknowledged = 0, unknown = 0;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        acknowledged += d->writers[k].acknowledged;
        unknown += d->writers[k].unknown;
    }
    printf("  %llu writes acknowledged, %llu with an unknown outcome (their node died before it could answer)\n",
           (unsigned long long)acknowledged, (unsigned long long)unknown);
    ok = ok && cluster_wait_ready(&d->cluster, victim, 20000);
    if (!ok)
        fprintf(stderr, "%s\n", d->cluster.error);
    return ok && !d->interrupted;
}

static void open_shell(struct demo *d)
{
    char shell[CLUSTER_PATH_MAX];
    snprintf(shell, sizeof shell, "%s", d->cluster.quartetd);
    shell[strlen(shell) - 1] = '\0'; /* quartetd without the d */
    printf("\nthe shell, connected to all four (try: SHOW CLUSTER;  SELECT * FROM cities ORDER BY visits DESC LIMIT 5;)\n");
    fflush(stdout);
    signal(SIGINT, SIG_IGN); /* Ctrl-C is the shell's now */
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        execl(shell, "quartet", d->cluster.url, (char *)NULL);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static bool demonstrate(struct demo *d, const struct options *o)
{
    bool sample = false;
    char error[512];
    FILE *cities = demo_cities(o->project, &sample, error, sizeof error);
    if (cities == NULL) {
        fprintf(stderr, "%s\n", error);
        return false;
    }
    printf("four nodes on this machine, data in %s; %s\n", d->cluster.dir,
           sample ? "a sample of cities made here" : "cities by GeoNames (CC BY 4.0)");
    bool ok = cluster_make(&d->cluster) && start_all(&d->cluster);
    if (!ok)
        fprintf(stderr, "%s\n", d->cluster.error);
    ok = ok && demo_load(d, cities) && write_on_all(d, o->seconds) && demo_check(d);
    fclose(cities); /* it was only read */
    double seconds = now_seconds() - d->started;
    if (!ok && !d->interrupted)
        demo_print_states(d);
    if (d->interrupted)
        printf("interrupted\n");
    else
        printf("%s after %.1f s\n", ok ? "all held" : "NOT all held", seconds);
    fflush(stdout);
    return ok;
}

int main(int argc, char **argv)
{
    static struct demo d; /* large; one */
    struct options o = {.shell = true, .project = ".", .seconds = 10};
    if (!parse_options(argc, argv, &o)) {
        usage(stderr);
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    if (o.serve != NULL)
        return serve(&o, argv[0]);
    char temporary[256];
    const char *tmp = getenv("TMPDIR");
    snprintf(temporary, sizeof temporary, "%s/quartet-XXXXXX", tmp != NULL && strlen(tmp) < 200 ? tmp : "/tmp");
    const char *dir = o.dir;
    if (dir == NULL ? (dir = mkdtemp(temporary)) == NULL : mkdir(dir, 0700) != 0) {
        fprintf(stderr, "%s: %s\n", o.dir != NULL ? o.dir : temporary, o.dir != NULL && errno == EEXIST ? "exists already; --serve starts it again" : strerror(errno));
        return 1;
    }
    bool ok = cluster_init(&d.cluster, dir, argv[0]);
    if (!ok)
        fprintf(stderr, "%s\n", d.cluster.error);
    d.tty = isatty(STDOUT_FILENO);
    d.started = now_seconds();
    d.deadline = d.started + DEMO_SECONDS_MAX;
    the_demo = &d;
    struct sigaction act = {.sa_handler = on_signal};
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    ok = ok && demonstrate(&d, &o);
    demo_join_writers(&d);
    if (o.shell && !d.interrupted && isatty(STDIN_FILENO))
        open_shell(&d);
    cluster_stop(&d.cluster);
    if (o.dir == NULL && !cluster_remove(&d.cluster))
        fprintf(stderr, "%s\n", d.cluster.error);
    for (int k = 0; k < CLUSTER_NODES; k++)
        free(d.writers[k].told);
    return ok ? 0 : 1;
}
